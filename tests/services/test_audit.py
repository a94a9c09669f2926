"""`bonafides audit`: every write of a school, proven whole; a stolen writer and a withholding endpoint are told."""

from __future__ import annotations

import csv
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result
from fixtures.chain import RunningChain
from fixtures.issuers import MakeCohort
from fixtures.lying_chain import LyingChain, logs_of_transaction, logs_withheld, receipts_withheld
from services.test_anchoring import finish
from services.test_compromise import own_school
from services.test_rotation import sign_one

from node.chain.transactions import CredentialRegistryCalls, Transactions, WordChange
from node.commands.audit import audit
from node.commands.did import did
from node.core.encoding import encode_hex
from node.core.evm.keccak import keccak256
from node.core.keys import parse_multikey
from node.outbound.chain import ChainClient
from node.services import audit as auditing
from node.services import export, revocation
from node.services.issuer import Issuer
from node.services.revocation import Action
from node.storage.protocols.issuer import KeyRole

__all__ = ["own_school"]


async def change(issuer: Issuer, digest: bytes, action: Action) -> None:
    async with issuer.store.reading() as reading:
        record = await reading.credentials.find_by_digest(digest)
    assert record is not None
    await revocation.change_status(issuer, [record], action, reason="because", requested_by="test")
    await finish(issuer)


def run(*arguments: str, command: click.Command = audit) -> Result:
    """In a thread of its own: each command has its own event loop."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(CliRunner().invoke, command, arguments).result()


async def thief_retires_the_key(issuer: Issuer, chain: RunningChain) -> None:
    """With the owner's key, and without the school's database."""
    async with issuer.store.reading() as reading:
        (owner,) = await reading.keys.all(KeyRole.OWNER)
        (key,) = await reading.keys.all(KeyRole.ASSERTION)
    assert issuer.settings.credential_registry is not None
    calls = CredentialRegistryCalls(issuer.settings.credential_registry)
    call = calls.retire_key(issuer.identity, parse_multikey(key.multibase).multicodec_bytes)
    async with ChainClient(chain.url) as client:
        await Transactions(client).send(call, issuer.keyring.secret(owner.uri))


async def stolen_writer_revokes(issuer: Issuer, chain: RunningChain) -> None:
    """With the writer's key, and without the school's database."""
    async with issuer.store.reading() as reading:
        (writer,) = await reading.keys.all(KeyRole.WRITER)
        (first, *_) = await reading.status_lists.all()
    assert issuer.settings.credential_registry is not None
    calls = CredentialRegistryCalls(issuer.settings.credential_registry)
    call = calls.set_status(issuer.identity, first.list_id, [WordChange(9, 1)])
    async with ChainClient(chain.url) as client:
        await Transactions(client).send(call, issuer.keyring.secret(writer.uri))


def withheld(options: tuple[str, ...], devchain: RunningChain) -> None:
    """An endpoint that keeps something back is not believed, and another one is asked; to compare, it takes both."""
    with LyingChain(devchain.url) as endpoint:
        endpoint.tell(logs_withheld(which="last"))
        alone = run(*options, "--rpc", endpoint.url)
        assert alone.exit_code == 3
        assert "1 of 6 writes are withheld: 6" in alone.stderr
        two = ("--rpc", f"one={endpoint.url}", "--rpc", f"two={devchain.url}")
        both = run(*options[:3], *two, "--json")
        assert both.exit_code == 0, both.output
        assert json.loads(both.stdout)["head"] == 6
        compared = run(*options, *two)
        assert compared.exit_code == 3
        assert "1 of the 2 operators that must agree gave history of writes" in compared.stderr
        endpoint.tell(receipts_withheld())
        free = json.loads(run(*options, "--rpc", endpoint.url, "--json").stdout)
        assert (free["head"], free["gas"]) == (6, 0)


GOOD = {"gasUsed": "0x5208", "effectiveGasPrice": "0x1", "from": "0x" + "11" * 20}


@pytest.mark.parametrize(
    "receipt",
    [
        None,
        [],
        GOOD | {"gasUsed": "-0x5208"},
        GOOD | {"gasUsed": "0x_5208"},
        GOOD | {"effectiveGasPrice": "0x" + "f" * 64},
        GOOD | {"effectiveGasPrice": 7},
        GOOD | {"from": "0x11"},
        GOOD | {"from": None},
    ],
)
def test_a_receipt_that_is_none_tells_no_cost(receipt: Any) -> None:
    assert auditing._cost(GOOD) == auditing.Cost(21000, 1, b"\x11" * 20)
    assert auditing._cost(receipt) is None


async def test_a_thief_is_not_hidden_by_one_endpoint_among_several(
    own_school: Issuer, devchain: RunningChain, tmp_path: Path
) -> None:
    """One that says of the thief's write that it is of a transaction of the school's."""
    issuer = own_school
    async with issuer.store.reading() as reading:
        own = encode_hex(min(await reading.outbox.signed()))
    networks, said = tmp_path / "networks.json", tmp_path / "said.json"
    networks.write_text(json.dumps({"networks": [devchain.network]}))
    said.write_bytes(await export.audit_json(issuer))
    options = (issuer.settings.did, "--networks", str(networks), "--against", str(said))
    await thief_retires_the_key(issuer, devchain)
    with LyingChain(devchain.url) as liar, LyingChain(devchain.url) as honest:
        liar.tell(logs_of_transaction(own, topic=keccak256(b"KeyRetired(address,bytes32,uint256)")))
        alone, both = ("--rpc", f"liar={liar.url}"), ("--rpc", f"one={devchain.url}")
        hidden = run(*options, *alone)
        assert hidden.exit_code == 0, hidden.output
        assert f"is the word of the endpoint {liar.host} alone" in hidden.stdout
        assert json.loads(run(*options, *alone, "--json").stdout)["agreed"] is False

        against_one = run(*options, *alone, *both)
        assert against_one.exit_code == 3
        assert "fewer than 2 of 2 operators give the same history of writes" in against_one.stderr

        most = run(*options, *alone, *both, "--rpc", f"two={honest.url}", "--json")
        assert most.exit_code == 1, most.exception
        body = json.loads(most.stdout)
        assert body["agreed"] is True
        (told,) = body["differences"]
        assert (told["n"], told["detail"]) == (
            body["head"],
            "is of a transaction that the issuer's record does not know (retire_key)",
        )


async def test_a_school_is_audited(
    own_school: Issuer, devchain: RunningChain, make_cohort: MakeCohort, tmp_path: Path
) -> None:
    issuer, name = own_school, own_school.settings.did
    digest = await sign_one(issuer, make_cohort, "course")
    await finish(issuer)
    await change(issuer, digest, Action.REVOKE)
    networks, said = tmp_path / "networks.json", tmp_path / "said.json"
    networks.write_text(json.dumps({"networks": [devchain.network]}))
    said.write_bytes(await export.audit_json(issuer))
    options = (name, "--networks", str(networks), "--against", str(said))

    # All of it, and the issuer says the same.
    found = run(*options, "--rpc", devchain.url, "--json")
    assert found.exit_code == 0, found.output
    body: dict[str, Any] = json.loads(found.stdout)
    kinds = [write["kind"] for write in body["writes"]]
    assert sorted(kinds[:4]) == ["add_key", "open_list", "open_list", "set_writer"]
    assert kinds[4:] == ["anchor", "set_status"]
    assert [write["n"] for write in body["writes"]] == list(range(1, 7)) == [*range(1, body["head"] + 1)]
    assert body["differences"] == []
    assert body["gas"] == sum(write["gas"] for write in body["writes"])
    assert 50_000 < body["writes"][4]["gas"] < 100_000
    async with issuer.store.reading() as reading:
        (key,) = await reading.keys.all(KeyRole.ASSERTION)
    assert [one["publicKeyMultibase"] for one in body["keys"]] == [key.multibase]
    claim = json.loads(said.read_text())
    assert [(one["size"], one["entries"]) for one in claim["anchors"]] == [(64, {"credential": 1})]
    rows = list(csv.DictReader(run(*options, "--rpc", devchain.url, "--csv").stdout.splitlines()))
    assert [row["kind"] for row in rows] == kinds
    words = run(*options, "--rpc", devchain.url).stdout
    assert "6 writes, and there are no others" in words
    assert words.endswith("the issuer says the same\n")

    assert "is the word of the endpoint 127.0.0.1" in words
    withheld(options, devchain)
    late = run(*options, "--rpc", devchain.url, "--from-block", str(body["writes"][1]["block"] + 1))
    assert late.exit_code == 3

    # A write that the school did not make.
    await stolen_writer_revokes(issuer, devchain)
    robbed = run(*options, "--rpc", devchain.url, "--json")
    assert robbed.exit_code == 1
    told = [(one["n"], one["detail"]) for one in json.loads(robbed.stdout)["differences"]]
    assert [n for n, _ in told] == [7, None]
    assert "transaction that the issuer's record does not know" in told[0][1]
    assert "word 9 of the revocation list" in told[1][1]

    # The document as it was before its key was added, and as it is.
    first = body["writes"][0]["block"]
    for version, methods in ((f"{name}?versionId={first - 1}", 1), (name, 2)):
        shown = run("resolve", version, "--rpc", devchain.url, "--networks", str(networks), command=did)
        assert len(json.loads(shown.stdout)["didDocument"]["verificationMethod"]) == methods
