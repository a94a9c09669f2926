"""A whole status list as a contract's code: published through the outbox, read and proven by a stranger."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from fixtures.chain import RunningChain
from fixtures.issuers import PASSPHRASE, MakeCohort
from fixtures.lying_chain import LyingChain, only, wrong_proof
from services.test_anchoring import finish
from services.test_closing import revoke
from services.test_compromise import own_school
from services.test_rotation import sign_one

from node.cli import bonafides
from node.core.errors import NotFound, Unavailable
from node.core.evm.agreement import Endpoints
from node.core.verify.materials import Mode
from node.outbound.headers import ChainEndpoints
from node.outbound.http import Egress, EgressPolicy
from node.outbound.list_mirrors import ListReader
from node.services import list_mirrors
from node.services.issuer import Issuer
from node.storage.protocols.outbox import TransactionState
from node.storage.protocols.status_lists import StatusList

__all__ = ["own_school"]


async def revocations(issuer: Issuer) -> StatusList:
    async with issuer.store.reading() as reading:
        return (await reading.status_lists.all("revocation"))[0]


async def index_of(issuer: Issuer, digest: bytes) -> int:
    async with issuer.store.reading() as reading:
        record = await reading.credentials.find_by_digest(digest)
        assert record is not None
        (entry,) = await reading.status_lists.indexes_of(record.intent.credential_id)
    return entry.index


@asynccontextmanager
async def reading_by(issuer: Issuer, *urls: str) -> AsyncIterator[ListReader]:
    """A stranger who reads lists of the issuer, by endpoints."""
    network = issuer.require_chain().network
    async with Egress(EgressPolicy(Mode.CHAIN, Endpoints.of(urls))) as egress:
        voices = ChainEndpoints(egress, {network.chain_id: network}).of(network.chain_id)
        yield ListReader(voices, network, issuer.identity)


def command(*arguments: str) -> Any:
    return CliRunner().invoke(bonafides, [*arguments], standalone_mode=False)


async def test_a_list_is_published_and_read_whole(
    own_school: Issuer, make_cohort: MakeCohort, devchain: RunningChain, tmp_path: Path
) -> None:
    issuer = own_school
    revoked = await sign_one(issuer, make_cohort, "revoked")
    await finish(issuer)
    await revoke(issuer, revoked)
    await finish(issuer)
    url, index = (await revocations(issuer)).url, await index_of(issuer, revoked)
    async with reading_by(issuer, devchain.url) as reader:
        with pytest.raises(NotFound, match="has no mirror"):
            await reader.mirror("revocation", url)
        with pytest.raises(NotFound, match="opened no list"):
            await reader.mirror("suspension", url)

    planned = await list_mirrors.plan(issuer, url)
    assert [purpose for purpose, _ in planned.calls] == [list_mirrors.DEPLOY, list_mirrors.PUBLISH]
    assert planned.bits == 1
    assert planned.gas > 16_384 * 200, "each byte of code costs 200 gas"
    await list_mirrors.publish(issuer, planned)
    await list_mirrors.publish(issuer, planned)
    async with issuer.store.reading() as reading:
        assert len(await reading.outbox.in_state(TransactionState.PREPARED)) == 2, "asked for twice is once"
    assert (await finish(issuer)).parked == 0
    async with issuer.store.reading() as reading:
        (spent,) = (await reading.outbox.spent())[list_mirrors.DEPLOY]
    assert spent.gas <= planned.gas

    async with reading_by(issuer, devchain.url) as reader:
        found = await reader.mirror("revocation", url)
        assert (found.record.sequence, found.values()) == (1, {index: 1})
        assert await reader.differences("revocation", url, found) == {}
    assert (await list_mirrors.plan(issuer, url)).calls == ()

    # A change that comes later is in the registry and not in the mirror.
    other = await sign_one(issuer, make_cohort, "other")
    await finish(issuer)
    await revoke(issuer, other)
    await finish(issuer)
    later = await index_of(issuer, other)
    await asyncio.to_thread(told_by_the_commands, issuer, devchain.url, tmp_path, index, later, url)

    with LyingChain(devchain.url) as liar:
        liar.tell(only(wrong_proof(), "eth_getProof"))
        async with reading_by(issuer, liar.url) as reader:
            with pytest.raises(Unavailable, match="at fault"):
                await reader.mirror("revocation", url)


def told_by_the_commands(issuer: Issuer, rpc: str, folder: Path, index: int, later: int, url: str) -> None:
    """`verifier list --compare` names what the mirror lacks, and `issuer publish-list` publishes it."""
    networks = folder / "table.json"
    networks.write_text(json.dumps({"networks": [issuer.require_chain().network.to_json()]}))
    asking = ["verifier", "list", issuer.settings.did, url, "--rpc", rpc, "--networks", str(networks)]
    result = command(*asking, "--compare", "--json")
    body = json.loads(result.stdout)
    assert body["values"] == {str(index): 1}
    assert body["differences"] == {str(later): {"mirror": 0, "registry": 1}}
    assert result.return_value == 1 or result.exit_code == 1

    passphrase = folder / "passphrase"
    passphrase.write_text(PASSPHRASE)
    publishing = ["issuer", "publish-list", url, "--dir", str(folder / "school")]
    publishing += ["--passphrase-file", str(passphrase), "--json"]
    dry = command(*publishing, "--dry-run")
    assert dry.exception is None, dry.output
    assert not json.loads(dry.stdout)["published"]
    assert "ether" in dry.stderr
    assert command(*publishing, "--yes", "--no-wait").exception is None


async def test_only_open_lists_of_ones_own_are_published(school: Issuer) -> None:
    with pytest.raises(NotFound, match="no open status list"):
        await list_mirrors.plan(school, "https://elsewhere.example/status/1")
