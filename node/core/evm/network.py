"""The table of networks: what a verifier knows of each chain before it looks at any credential.

FORMATS.md section 1. The network follows from the issuer's DID; chain, registry and identity in a bundle
are compared with this table and never used. The package's table is `schemas/networks.json`; an operator may
give a file of his own in the same form, which `schemas/bonafides/networks.schema.json` describes:

    {"networks": [{
      "chain": "eip155:1",                  CAIP-2
      "name": "Ethereum mainnet",
      "class": "production",                production | test | development
      "genesis": "0x…",                     hash of block 0, 32 bytes
      "didRegistry": {"address": "0x…", "codeHash": "0x…"},
      "credentialRegistry": {"address": "0x…", "codeHash": "0x…"},
      "finality": "finalized",              finalized: the endpoint's tag; none: the chain has no finality
      "eip2935": true,                      the history contract is active
      "headerAgeLimitSeconds": 1800,        null: none
      "step": 4096,                         bundles are proven again at multiples of this
      "blocksIn31Days": 223200,             for keys of bbs-2023, FORMATS.md section 3
      "deployed": 20000000,                 block of the CredentialRegistry; who follows begins there
      "beacon": {…}                         light_client/forks.py
    }]}

`codeHash` of the DID registry may be left out: nothing is proven about its account. So may `deployed`, and the chain is
followed from its first block; and `beacon`: the chain then has no light client.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from node.core.encoding import encode_hex
from node.core.errors import Malformed
from node.core.evm.light_client.forks import BeaconChain, parse_beacon_chain
from node.core.members import (
    boolean_member,
    closed_object,
    hex_member,
    integer_member,
    list_member,
    text_member,
    within,
)
from node.core.strict_json import MAX_INTEGER, Json, JsonObject

MAX_NETWORKS: Final = 1024
_MAX_NAME_BYTES: Final = 100
_CHAIN: Final = re.compile(r"eip155:([1-9][0-9]{0,15})\Z")
_ADDRESS: Final = frozenset({"address"})
_OPTIONAL: Final = frozenset({"deployed", "beacon"})
_MEMBERS: Final = frozenset(
    {
        "chain",
        "name",
        "class",
        "genesis",
        "didRegistry",
        "credentialRegistry",
        "finality",
        "eip2935",
        "headerAgeLimitSeconds",
        "step",
        "blocksIn31Days",
    }
)


class NetworkClass(StrEnum):
    """What an acceptance by this network is worth."""

    PRODUCTION = "production"
    TEST = "test"
    DEVELOPMENT = "development"


class Finality(StrEnum):
    """How one learns that a block will stay: from the `finalized` tag, or not at all."""

    FINALIZED = "finalized"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Network:
    """One row of the table. Addresses are 20 bytes; hashes are 32."""

    chain_id: int
    name: str
    genesis: bytes
    network_class: NetworkClass
    did_registry: bytes
    credential_registry: bytes
    code_hash: bytes  # of the CredentialRegistry's account
    did_registry_code_hash: bytes | None = None
    finality: Finality = Finality.FINALIZED
    eip2935: bool = True
    header_age_limit_seconds: int | None = None
    step: int = 4096
    blocks_in_31_days: int = 223_200
    deployed: int = 0  # the CredentialRegistry's block, 0 where it is not known
    beacon: BeaconChain | None = None

    @property
    def chain(self) -> str:
        """The CAIP-2 identifier, `eip155:<chain id>`."""
        return format_chain(self.chain_id)

    def last_of_series(self, number: int) -> int:
        """The newest block up to `number` at which all issuers of the network prove: a multiple of `step`."""
        return number - number % self.step

    def is_old(self, timestamp: int, now: datetime) -> bool:
        """Whether `timestamp` (Unix seconds), of a newest final block, is further back from `now` than the limit."""
        limit = self.header_age_limit_seconds
        return limit is not None and int(now.timestamp()) - timestamp > limit

    def to_json(self) -> JsonObject:
        """The row as `parse_networks` reads it."""
        did_registry = {"address": encode_hex(self.did_registry)}
        if self.did_registry_code_hash is not None:
            did_registry["codeHash"] = encode_hex(self.did_registry_code_hash)
        row: JsonObject = {
            "chain": self.chain,
            "name": self.name,
            "class": str(self.network_class),
            "genesis": encode_hex(self.genesis),
            "didRegistry": did_registry,
            "credentialRegistry": {
                "address": encode_hex(self.credential_registry),
                "codeHash": encode_hex(self.code_hash),
            },
            "finality": str(self.finality),
            "eip2935": self.eip2935,
            "headerAgeLimitSeconds": self.header_age_limit_seconds,
            "step": self.step,
            "blocksIn31Days": self.blocks_in_31_days,
        }
        if self.deployed:
            row["deployed"] = self.deployed
        if self.beacon is not None:
            row["beacon"] = self.beacon.to_json()
        return row


def parse_chain(text: Json) -> int:
    """The chain id of a CAIP-2 text `eip155:<decimal>`; at most 2^53 - 1, no leading zero."""
    match = _CHAIN.match(text) if isinstance(text, str) else None
    if match is None or int(match[1]) > MAX_INTEGER:
        raise Malformed("not a CAIP-2 identifier of an EVM chain", path=("chain",))
    return int(match[1])


def format_chain(chain_id: int) -> str:
    """Inverse of `parse_chain`."""
    return f"eip155:{chain_id}"


def parse_networks(table: Json) -> dict[int, Network]:
    """The networks of a table by chain id. Unknown members, and a chain named twice, are Malformed."""
    members = closed_object(table, "a table of networks", frozenset({"networks"}))
    networks: dict[int, Network] = {}
    for position, row in enumerate(list_member(members, "networks", max_items=MAX_NETWORKS)):
        with within("networks", position):
            network = _parse_network(row)
            if network.chain_id in networks:
                raise Malformed(f"{network.chain} stands in the table twice", path=("chain",))
        networks[network.chain_id] = network
    return networks


def _parse_network(value: Json) -> Network:
    row = closed_object(value, "a network", _MEMBERS, _OPTIONAL)
    did_registry, did_code = _parse_registry(row, "didRegistry", code_hash_optional=True)
    credential_registry, code = _parse_registry(row, "credentialRegistry", code_hash_optional=False)
    limit = row["headerAgeLimitSeconds"]
    with within("beacon"):
        beacon = parse_beacon_chain(row["beacon"]) if "beacon" in row else None
    return Network(
        chain_id=parse_chain(row["chain"]),
        name=text_member(row, "name", max_bytes=_MAX_NAME_BYTES),
        genesis=hex_member(row, "genesis", 32),
        network_class=NetworkClass(_choice(row, "class", NetworkClass)),
        did_registry=did_registry,
        credential_registry=credential_registry,
        code_hash=code,
        did_registry_code_hash=did_code or None,
        finality=Finality(_choice(row, "finality", Finality)),
        eip2935=boolean_member(row, "eip2935"),
        header_age_limit_seconds=(
            None if limit is None else integer_member(row, "headerAgeLimitSeconds", minimum=1)
        ),
        step=integer_member(row, "step", minimum=1),
        blocks_in_31_days=integer_member(row, "blocksIn31Days", minimum=1),
        deployed=integer_member(row, "deployed", minimum=1) if "deployed" in row else 0,
        beacon=beacon,
    )


def _parse_registry(row: JsonObject, name: str, *, code_hash_optional: bool) -> tuple[bytes, bytes]:
    """Address and code hash of a registry; the latter is empty where it may be left out and is."""
    code = frozenset({"codeHash"})
    with within(name):
        required, optional = (_ADDRESS, code) if code_hash_optional else (_ADDRESS | code, frozenset[str]())
        registry = closed_object(row[name], "a registry", required, optional)
        code_hash = hex_member(registry, "codeHash", 32) if "codeHash" in registry else b""
        return hex_member(registry, "address", 20), code_hash


def _choice(row: JsonObject, name: str, choices: type[StrEnum]) -> str:
    value = row[name]
    if not isinstance(value, str) or value not in list(choices):
        raise Malformed(f"expected one of: {', '.join(choices)}", path=(name,))
    return value
