"""Our did:ethr documents against npm ethr-did-resolver, over one life of an identity in our registry on Anvil.

With BONAFIDES_WRITE_VECTORS set, what was compared is kept in tests/vectors/did-ethr, where a unit test replays it
without Node.js.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import coincurve
import pytest
from fixtures.chain import RunningChain

from node.chain.transactions import Call, DidRegistryCalls, Transactions, address_of
from node.core.did.ethr import did_ethr, parse_did_ethr
from node.core.encoding import encode_multibase
from node.core.keys import KeyKind, PublicKey
from node.outbound.chain import ChainClient, Fees
from node.outbound.resolve import RegistryEndpoint, resolve_did

HERE = Path(__file__).resolve().parent
VECTORS = HERE.parent / "vectors/did-ethr/series.json"
pytestmark = [pytest.mark.node_js, pytest.mark.anvil]

LONG = 10**7
SHORT = 3  # seconds; blocks are two apart
FEES = Fees(max_fee_per_gas=10**10, max_priority_fee_per_gas=10**9)
ONE, TWO, THREE = (PublicKey(KeyKind.ED25519, bytes([n]) * 32).multicodec_bytes for n in (1, 2, 3))
MULTIKEY = "did/pub/Multikey/veriKey"
SECP256K1 = "did/pub/Secp256k1/veriKey/hex"
AGREEMENT = "did/pub/X25519/enc/base58"


@dataclass
class Life:
    """What happened: the blocks of the events, and the identity in both of its names."""

    chain: RunningChain
    client: ChainClient
    dids: tuple[str, str]
    identity: bytes
    blocks: list[int]
    now: int


def batches(
    calls: DidRegistryCalls, identity: bytes, key: bytes, owner: bytes
) -> list[tuple[bytes, list[Call]]]:
    """The script: for each block who sends what."""

    def add(name: str, value: bytes = b"\0\1\2", seconds: int = LONG) -> Call:
        return calls.set_attribute(identity, name, value, seconds)

    def revoke(name: str, value: bytes = b"\0\1\2") -> Call:
        return calls.revoke_attribute(identity, name, value)

    def delegate(kind: str, of: int, seconds: int = LONG) -> Call:
        return calls.add_delegate(identity, kind, bytes([of]) * 20, seconds)

    no_text = calls._call("setAttribute", identity, b"did/pub/\xff".ljust(32, b"\0"), b"\1", LONG)
    return [
        (key, [add(MULTIKEY, ONE)]),
        (key, [add(SECP256K1), delegate("veriKey", 1), delegate("sigAuth", 2, SHORT), add(MULTIKEY, TWO, SHORT)]),
        (key, [add("did/pub/Ed25519/veriKey/base64"), add("did/pub/Ed25519/sigAuth/base58"), add(AGREEMENT)]),
        (key, [revoke(MULTIKEY, ONE), calls.revoke_delegate(identity, "veriKey", bytes([1]) * 20)]),
        (key, [add("did/svc/Hub", b"https://hub.example"), add("did/svc/Api", b'{"a":[1,"b"]}'), no_text]),
        (key, [add("did/svc/Broken", b"\xff"), add("did/pub/RSA/veriKey/pem", b"-----"),
               add("did/pub/RSA/veriKey/pem", b"\xff"), add("did/svc/Short", b"x", SHORT)]),
        (key, [add(MULTIKEY, ONE), add(MULTIKEY + "/hex", TWO), add("did/pub/Foo/veriKey/shape"),
               add("did/pub/Foo"), add("did/pub/a/b/c/d"), add("x/y"), revoke("did/pub/"), revoke("did/svc/")]),
        (key, [revoke(AGREEMENT), add(SECP256K1), revoke("did/svc/Hub", b"https://hub.example")]),
        (key, [calls.change_owner(identity, address_of(owner))]),
        (owner, [add(MULTIKEY, THREE), delegate("strange", 3), delegate("sigAuth", 4)]),
        (owner, [calls.change_owner(identity, identity)]),
        (key, [delegate("veriKey", 4), add("did/pub/Secp256k1/sigAuth"), add("did/svc/Number", b" 42 ")]),
        (key, [calls.change_owner(identity, bytes(20))]),
        (key, [add(MULTIKEY, TWO)]),
    ]  # fmt: skip


async def mined(client: ChainClient, key: bytes, calls: Sequence[Call], moment: int) -> int:
    """All `calls` in one block of the time `moment`; its number."""
    transactions = Transactions(client)
    first = await client.nonce(address_of(key))
    for index, call in enumerate(calls):
        signed = await transactions.sign(call, key, nonce=first + index, fees=FEES, gas_limit=300_000)
        await client.send_raw(signed.raw)
    await client.request("evm_setNextBlockTimestamp", [moment])
    await client.request("evm_mine")
    block = await client.block()
    assert len(block["transactions"]) == len(calls)
    return int(block["number"], 16)


@pytest.fixture
async def life(anvil: RunningChain) -> AsyncIterator[Life]:
    key, owner = anvil.new_key(), anvil.new_key()
    identity = address_of(key)
    point = coincurve.PublicKey.from_secret(key).format()
    dids = (did_ethr(anvil.chain_id, identity), f"did:ethr:{anvil.chain_id:#x}:0x{point.hex()}")
    async with ChainClient(anvil.url) as client:
        # Every block of the script is mined by it; afterwards one comes each second again.
        await client.request("evm_setIntervalMining", [0])
        try:
            now = (await client.header()).timestamp
            blocks = []
            script = batches(DidRegistryCalls(anvil.deployments.did_registry), identity, key, owner)
            for sender, calls in script:
                now += 2
                blocks.append(await mined(client, sender, calls, now))
        finally:
            await client.request("evm_setIntervalMining", [1])
        yield Life(anvil, client, dids, identity, blocks, now + 1)


def resolved_by_npm(life: Life, urls: list[str]) -> list[dict[str, Any]]:
    job = {
        "rpcUrl": life.chain.url,
        "chainId": life.chain.chain_id,
        "registry": "0x" + life.chain.deployments.did_registry.hex(),
        "now": life.now,
        "urls": urls,
    }
    done = subprocess.run(
        ["node", str(HERE / "resolve_ethr.mjs")],
        input=json.dumps(job), capture_output=True, text=True, timeout=60, cwd=HERE, check=True,
    )  # fmt: skip
    results: list[dict[str, Any]] = json.loads(done.stdout)
    return results


def with_multikeys(result: dict[str, Any]) -> dict[str, Any]:
    """The one difference that is meant."""
    for method in result["didDocument"]["verificationMethod"]:
        if method["type"] == "Multikey" and "publicKeyHex" in method:
            method["publicKeyMultibase"] = encode_multibase(bytes.fromhex(method.pop("publicKeyHex")))
    return result


async def test_every_version_of_a_life_is_equal_to_what_ethr_did_resolver_writes(life: Life) -> None:
    versions: list[int | None] = [life.blocks[0] - 1, *life.blocks, None]
    cases = [(did, version) for did in life.dids for version in versions]
    urls = [did if version is None else f"{did}?versionId={version}" for did, version in cases]
    theirs = [with_multikeys(result) for result in resolved_by_npm(life, urls)]
    registries = {life.chain.chain_id: RegistryEndpoint(life.client, life.chain.deployments.did_registry)}
    ours = [
        (
            await resolve_did(
                did, now=datetime.fromtimestamp(life.now, UTC), registries=registries, at_block=version
            )
        ).to_json()
        for did, version in cases
    ]
    for (did, version), mine, other in zip(cases, ours, theirs, strict=True):
        assert mine == other, (did, version)
    assert len({json.dumps(result["didDocument"]) for result in theirs}) > 20
    assert theirs[-1]["didDocumentMetadata"]["deactivated"] is True
    if os.environ.get("BONAFIDES_WRITE_VECTORS"):
        await write_vectors(life, cases, theirs)


async def write_vectors(
    life: Life, cases: list[tuple[str, int | None]], results: list[dict[str, Any]]
) -> None:
    times = {str(block): (await life.client.header(block)).timestamp for block in life.blocks}
    before = life.blocks[0] - 1
    times[str(before)] = (await life.client.header(before)).timestamp
    word = parse_did_ethr(life.dids[0]).identity.rjust(32, b"\0")
    logs = await life.client.logs(life.chain.deployments.did_registry, [None, word])
    kept = ("address", "topics", "data", "blockNumber", "logIndex")
    vectors = {
        "source": "npm ethr-did-resolver 11.1.3 (Apache-2.0) on Anvil 1.7.1; publicKeyHex of Multikey methods "
        "rewritten as publicKeyMultibase",
        "generator": "BONAFIDES_WRITE_VECTORS=1 pytest tests/interop/test_ethr_did_resolver.py",
        "made": time.strftime("%Y-%m-%d", time.gmtime()),
        "now": life.now,
        "blockTimes": times,
        "logs": [{name: log[name] for name in kept} for log in logs],
        "cases": [
            {"did": did, "versionId": version, "result": result}
            for (did, version), result in zip(cases, results, strict=True)
        ],
    }
    VECTORS.parent.mkdir(parents=True, exist_ok=True)
    VECTORS.write_text(json.dumps(vectors, indent=1) + "\n")
