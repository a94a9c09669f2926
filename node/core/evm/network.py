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
      "blocksIn31Days": 223200              for keys of bbs-2023, FORMATS.md section 3
    }]}

`codeHash` of the DID registry may be left out: nothing is proven about its account.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from node.core.encoding import decode_hex, encode_hex
from node.core.errors import Malformed
from node.core.strict_json import MAX_INTEGER, Json, JsonObject

MAX_NETWORKS: Final = 1024
_MAX_NAME_CHARS: Final = 100
_CHAIN: Final = re.compile(r"eip155:([1-9][0-9]{0,15})\Z")
_REQUIRED: Final = frozenset(
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
    credential_registry_code_hash: bytes
    did_registry_code_hash: bytes | None = None
    finality: Finality = Finality.FINALIZED
    eip2935: bool = True
    header_age_limit_seconds: int | None = None
    step: int = 4096
    blocks_in_31_days: int = 223_200

    @property
    def chain(self) -> str:
        """The CAIP-2 identifier, `eip155:<chain id>`."""
        return format_chain(self.chain_id)

    def to_json(self) -> JsonObject:
        """The row as `parse_networks` reads it."""
        did_registry = {"address": encode_hex(self.did_registry)}
        if self.did_registry_code_hash is not None:
            did_registry["codeHash"] = encode_hex(self.did_registry_code_hash)
        return {
            "chain": self.chain,
            "name": self.name,
            "class": str(self.network_class),
            "genesis": encode_hex(self.genesis),
            "didRegistry": did_registry,
            "credentialRegistry": {
                "address": encode_hex(self.credential_registry),
                "codeHash": encode_hex(self.credential_registry_code_hash),
            },
            "finality": str(self.finality),
            "eip2935": self.eip2935,
            "headerAgeLimitSeconds": self.header_age_limit_seconds,
            "step": self.step,
            "blocksIn31Days": self.blocks_in_31_days,
        }


def parse_chain(text: Any) -> int:
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
    rows = table.get("networks") if isinstance(table, dict) else None
    if not isinstance(rows, list) or len(table) != 1 or len(rows) > MAX_NETWORKS:
        raise Malformed(f"a table of networks is an object with a list of at most {MAX_NETWORKS} `networks`")
    networks: dict[int, Network] = {}
    for position, row in enumerate(rows):
        try:
            network = _parse_network(row)
        except Malformed as error:
            raise Malformed(error.detail, path=("networks", position, *error.problem.path)) from error
        if network.chain_id in networks:
            raise Malformed(
                f"{network.chain} stands in the table twice", path=("networks", position, "chain")
            )
        networks[network.chain_id] = network
    return networks


def encode_networks(networks: Iterable[Network]) -> JsonObject:
    """Inverse of `parse_networks`."""
    return {"networks": [network.to_json() for network in networks]}


def _parse_network(row: Any) -> Network:
    if not isinstance(row, dict) or row.keys() != _REQUIRED:
        raise Malformed(f"a network has exactly the members {', '.join(sorted(_REQUIRED))}")
    did_registry, did_code = _parse_registry(row, "didRegistry")
    credential_registry, credential_code = _parse_registry(row, "credentialRegistry")
    if credential_code is None:
        raise Malformed("codeHash is missing", path=("credentialRegistry", "codeHash"))
    name, eip2935, limit = row["name"], row["eip2935"], row["headerAgeLimitSeconds"]
    if not isinstance(name, str) or not 0 < len(name) <= _MAX_NAME_CHARS or not name.isprintable():
        raise Malformed(f"a name has 1 to {_MAX_NAME_CHARS} printable letters", path=("name",))
    if not isinstance(eip2935, bool):
        raise Malformed("expected true or false", path=("eip2935",))
    return Network(
        chain_id=parse_chain(row["chain"]),
        name=name,
        genesis=_hex(row, "genesis", 32),
        network_class=NetworkClass(_choice(row, "class", NetworkClass)),
        did_registry=did_registry,
        credential_registry=credential_registry,
        credential_registry_code_hash=credential_code,
        did_registry_code_hash=did_code,
        finality=Finality(_choice(row, "finality", Finality)),
        eip2935=eip2935,
        header_age_limit_seconds=None if limit is None else _positive(row, "headerAgeLimitSeconds"),
        step=_positive(row, "step"),
        blocks_in_31_days=_positive(row, "blocksIn31Days"),
    )


def _parse_registry(row: JsonObject, member: str) -> tuple[bytes, bytes | None]:
    value = row[member]
    if not isinstance(value, dict) or "address" not in value or not value.keys() <= {"address", "codeHash"}:
        raise Malformed("a registry has an address and a codeHash", path=(member,))
    try:
        code_hash = _hex(value, "codeHash", 32) if "codeHash" in value else None
        return _hex(value, "address", 20), code_hash
    except Malformed as error:
        raise Malformed(error.detail, path=(member, *error.problem.path)) from error


def _hex(row: JsonObject, member: str, length: int) -> bytes:
    value = row[member]
    if not isinstance(value, str):
        raise Malformed("expected lower-case hex with 0x", path=(member,))
    try:
        return decode_hex(value, length)
    except Malformed as error:
        raise Malformed(error.detail, path=(member,)) from error


def _choice(row: JsonObject, member: str, choices: type[StrEnum]) -> str:
    value = row[member]
    if not isinstance(value, str) or value not in list(choices):
        raise Malformed(f"expected one of: {', '.join(choices)}", path=(member,))
    return value


def _positive(row: JsonObject, member: str) -> int:
    value = row[member]
    if type(value) is not int or not 0 < value <= MAX_INTEGER:
        raise Malformed("expected a positive integer", path=(member,))
    return value
