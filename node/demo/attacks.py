"""What dishonest people try in the demo: changed files, forged signatures, stolen keys, a look-alike registry.

Each attack makes a file that somebody could hand to a verifier. Those that need a chain are really carried out on it.
"""

from __future__ import annotations

import asyncio
import copy
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import contracts
from node.chain.transactions import Call, CredentialRegistryCalls, Transactions
from node.core.anchor import CREDENTIAL, Anchor, credential_digest, padded_size, seal_batch
from node.core.bundle import Bundle, BundleKey, BundleState, parse_bundle
from node.core.canonical.rdfc import Canonicalizer
from node.core.dataintegrity.suites import prepare_proof
from node.core.did.ethr import parse_did_ethr
from node.core.encoding import encode_base64url, encode_hex
from node.core.errors import Unavailable
from node.core.evm import registry
from node.core.evm.network import Network
from node.core.keys import Signer
from node.core.status.entry import StatusEntry, parse_status_entries
from node.core.strict_json import JsonObject
from node.core.times import format_datetime_stamp
from node.core.verify.ledger import Identity, Wanted
from node.outbound.chain import ChainClient

STATUS_IRI: Final = "https://www.w3.org/2018/credentials#credentialStatus"
_DEPLOY_GAS: Final = 6_000_000


# Files that were changed ------------------------------------------------------------------------------------


def with_better_mark(document: JsonObject) -> JsonObject:
    """The credential with each mark a hundred: what a learner with a text editor does."""
    changed = copy.deepcopy(document)
    for result in changed["credentialSubject"]["result"]:
        if "value" in result:
            result["value"] = "100"
    return changed


def with_status_renamed(document: JsonObject) -> JsonObject:
    """The credential with its status term spelled as the IRI that it stands for: the same RDF statements."""
    changed = copy.deepcopy(document)
    changed[STATUS_IRI] = changed.pop("credentialStatus")
    return changed


def with_swapped_evidence(bundle: JsonObject) -> JsonObject:
    """The bundle with other bytes in its first evidence item that is shown."""
    changed = copy.deepcopy(bundle)
    shown = next(item for item in changed["evidence"] if "bytes" in item)
    data = b"print('a better solution than mine')\n"
    shown["bytes"] = encode_base64url(data)
    shown["length"] = len(data)
    return changed


# Credentials that were never issued -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Forger:
    """Somebody with a key for signing, and with a stolen key that may anchor for the issuer."""

    rpc: str
    network: Network
    canonicalizer: Canonicalizer
    stolen_writer_key: bytes

    def forge(self, genuine: JsonObject, signer: Signer, method: str) -> JsonObject:
        """A bundle of a credential like `genuine`, for somebody else, signed by `signer` as `method`, and anchored."""
        document = {name: value for name, value in copy.deepcopy(genuine).items() if name != "proof"}
        document["id"] = f"urn:uuid:{_uuid()}"
        document["credentialSubject"]["id"] = "did:example:somebody-else"
        document.pop("evidence", None)
        prepared = prepare_proof(
            document,
            {
                "cryptosuite": "eddsa-rdfc-2022",
                "verificationMethod": method,
                "proofPurpose": "assertionMethod",
                "created": format_datetime_stamp(datetime.now(UTC)),
            },
            self.canonicalizer,
        )
        signed = prepared.finish(signer.sign(prepared.message))
        return asyncio.run(self._anchored(signed, signer, method))

    async def _anchored(self, document: JsonObject, signer: Signer, method: str) -> JsonObject:
        did = parse_did_ethr(method.partition("#")[0])
        digest = credential_digest(document)
        size = padded_size(1)
        batch = seal_batch(
            [(CREDENTIAL, digest)],
            [secrets.token_bytes(32) for _ in range(size)],
            [secrets.token_bytes(32) for _ in range(size - 1)],
            secrets.SystemRandom().sample(range(size), size),
        )
        place = batch.places[0]
        async with ChainClient(self.rpc) as client:
            calls = CredentialRegistryCalls(self.network.credential_registry)
            sent = await Transactions(client).send(
                calls.anchor(did.identity, batch.commitment), self.stolen_writer_key
            )
            anchor = Anchor(
                place.salt,
                place.index,
                batch.size,
                place.path,
                self.network.chain,
                self.network.credential_registry,
                did.identity,
                sent.block_number,
            )
            wanted = Wanted(
                Identity(did.chain_id, did.identity), batch.commitment, signer.public_key, _entries(document)
            )
            header = await _final_from(client, sent.block_number)
            nodes = await client.proof_nodes(self.network.credential_registry, wanted.slots(), header.hash)
        key = BundleKey(method, signer.public_key)
        state = BundleState(header.raw, nodes)
        return Bundle(credential=document, key=key, anchor=anchor, state=state).to_json()


def _entries(document: JsonObject) -> tuple[Any, ...]:
    return tuple(entry for entry in parse_status_entries(document) if isinstance(entry, StatusEntry))


async def _final_from(client: ChainClient, block: int) -> Any:
    for _ in range(100):
        header = await client.finalized()
        if header.number >= block:
            return header
        await asyncio.sleep(0.2)
    raise Unavailable(f"block {block} did not become final", asked=client.host)


# A registry that looks genuine ------------------------------------------------------------------------------


async def _deploy_with_storage(
    client: ChainClient, key: bytes, code: bytes, slots: dict[bytes, int]
) -> bytes:
    """Deploy `code` at an address whose storage holds `slots`: init code writes whatever it likes before it returns."""
    writes = b"".join(
        b"\x7f" + value.to_bytes(32, "big") + b"\x7f" + slot + b"\x55" for slot, value in slots.items()
    )
    # PUSH3 length, PUSH3 offset, PUSH1 0, CODECOPY, PUSH3 length, PUSH1 0, RETURN
    length = len(code).to_bytes(3, "big")
    offset = (len(writes) + 4 + 4 + 2 + 1 + 4 + 2 + 1).to_bytes(3, "big")
    tail = b"\x62" + length + b"\x62" + offset + b"\x60\x00\x39" + b"\x62" + length + b"\x60\x00\xf3"
    salt = secrets.token_bytes(32)
    initcode = writes + tail + code
    call = Call(registry.CREATE2_DEPLOYER, salt + initcode, "deploy a look-alike registry")
    await Transactions(client).send(call, key, gas_limit=_DEPLOY_GAS)
    return registry.create2_address(salt, initcode)


def look_alike_registry(
    bundle: JsonObject, network: Network, rpc: str, key: bytes, signer: Signer
) -> JsonObject:
    """A bundle whose proof is sound, of genuine registry code whose storage says whatever the forger wrote into it."""
    return asyncio.run(_look_alike(bundle, network, rpc, key, signer))


async def _look_alike(
    bundle: JsonObject, network: Network, rpc: str, key: bytes, signer: Signer
) -> JsonObject:
    did = parse_did_ethr(str(bundle["key"]["id"]).partition("#")[0])
    document = bundle["credential"]
    anchor = bundle["anchor"]
    commitment = _commitment(bundle)
    entries = _entries(document)
    async with ChainClient(rpc) as client:
        now = await client.finalized()
        slots = {
            registry.heads_slot(did.identity): 3,
            registry.anchor_slot(did.identity, commitment): now.number | now.timestamp << 48 | 3 << 96,
            registry.key_slot(did.identity, signer.public_key.multicodec_bytes): 1 | 1 << 192,
        }
        for entry in entries:
            list_id = registry.list_id(entry.purpose, entry.list_url)
            slots[registry.list_slot(did.identity, list_id)] = (
                registry.MODES[entry.purpose] | 17 << 8 | 1 << 16 | 1 << 24
            )
        code = contracts.deployed_code("CredentialRegistry", network.did_registry)
        address = await _deploy_with_storage(client, key, code, slots)
        wanted = Wanted(Identity(did.chain_id, did.identity), commitment, signer.public_key, entries)
        header = await _final_from(client, await client.block_number())
        nodes = await client.proof_nodes(address, wanted.slots(), header.hash)
    return {
        **bundle,
        "anchor": {**anchor, "registry": encode_hex(address), "block": header.number},
        "state": BundleState(header.raw, nodes).to_json(),
    }


def _commitment(bundle: JsonObject) -> bytes:
    parsed = parse_bundle(bundle)
    assert parsed.anchor is not None  # noqa: S101 - the forger built it
    assert isinstance(parsed.credential, dict)  # noqa: S101
    return parsed.anchor.commitment_of(CREDENTIAL, credential_digest(parsed.credential))


def _uuid() -> str:
    data = secrets.token_hex(16)
    return f"{data[:8]}-{data[8:12]}-4{data[13:16]}-8{data[17:20]}-{data[20:]}"
