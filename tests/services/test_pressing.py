"""Signing in a process of its own: the same credentials, and never a row lost with that process."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path
from typing import Any

import pytest
from services.dying import killed_at
from services.test_issuing import everything
from services.test_killed import folder_of
from services.test_shapes import cohort_of

from node.core.anchor import credential_digest
from node.core.keys import KeyKind
from node.core.strict_json import parse_json_object
from node.keystore import generate_secret, signer_of
from node.services import issuance, pressing, shapes
from node.services.issuer import Issuer
from node.services.preparing import Terms, check_secured
from node.storage.protocols.credentials import CredentialState

ROWS = 80
SUITES = ("eddsa-rdfc-2022", "eddsa-jcs-2022")


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every cohort is a large one, of several chunks."""
    monkeypatch.setattr(pressing, "FROM_ROWS", 1)
    monkeypatch.setattr(issuance, "_LIGHT_CHUNK", 20)
    monkeypatch.setattr(shapes, "CUT_AT", 2)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What came from the child, None where it was gone."""
    answers: list[Any] = []
    ask = pressing._ask

    def spied(*arguments: Any) -> Any:
        answers.append(ask(*arguments))
        return answers[-1]

    monkeypatch.setattr(pressing, "_ask", spied)
    return answers


async def issue(issuer: Issuer, folder: Path, suite: str = SUITES[1]) -> None:
    cohort = cohort_of(folder, ROWS, results=[], subject={"narrative": "{course}"})
    await issuance.issue(issuer, await issuance.plan(issuer, cohort, Terms(suite)))


async def assert_all_genuine(issuer: Issuer) -> None:
    key = await issuer.signing_key()
    async with issuer.store.reading() as reading:
        records = await reading.credentials.page()
        assert (await reading.credentials.counts())[CredentialState.SIGNED] == ROWS
    assert len(records) == len({record.intent.row_key for record in records}) == ROWS
    for record in records:
        assert record.signed is not None
        document = parse_json_object(record.signed.document)
        assert document["id"] == record.intent.credential_id
        check_secured(issuer, document, key.signer.public_key)
        assert credential_digest(document) == record.signed.digest


@pytest.mark.parametrize("suite", SUITES)
async def test_what_is_signed_apart_is_genuine_and_recorded_once(
    paper: Issuer, tmp_path: Path, suite: str, asked: list[Any]
) -> None:
    told: list[tuple[str, int, int]] = []
    cohort = cohort_of(tmp_path, ROWS, results=[], subject={"narrative": "{course}"})
    plan = await issuance.plan(paper, cohort, Terms(suite))
    await issuance.issue(paper, plan, lambda *progress: told.append(progress))
    await assert_all_genuine(paper)
    assert [len(answer) for answer in asked] == [20, 20, 20, 20]
    assert [done for stage, done, _ in told if stage == "signed"] == [20, 40, 60, 80]


async def test_a_child_that_is_lost_on_the_way_is_done_without(
    paper: Issuer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: list[Any]
) -> None:
    start = pressing._start

    def started() -> Any:
        child = start()
        assert child is not None
        child.kill()
        return child

    monkeypatch.setattr(pressing, "_start", started)
    await issue(paper, tmp_path)
    await assert_all_genuine(paper)
    assert asked == [None]


async def test_where_no_process_can_be_started_everything_is_signed_here(
    paper: Issuer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: list[Any]
) -> None:
    def refused(*_arguments: Any, **_options: Any) -> Any:
        raise OSError("no more processes")

    monkeypatch.setattr(subprocess, "Popen", refused)
    await issue(paper, tmp_path)
    await assert_all_genuine(paper)
    assert asked == []


async def test_a_key_that_is_no_plain_seed_stays_in_its_process(asked: list[Any]) -> None:
    signer = signer_of(KeyKind.P256, generate_secret(KeyKind.P256))

    class Plate:
        def press(self, values: list[bytes], sign: Any) -> tuple[bytes, bytes]:
            return sign(values[0])[:0], values[0]

    async with pressing.pressing(ROWS) as press:
        assert press.is_apart
        assert await press.press(signer, [(Plate(), [b"value"])]) == [(b"", b"value")]  # type: ignore[list-item]
    assert asked == []


async def test_an_interrupted_issue_leaves_nothing_half_and_no_process(
    paper: Issuer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    children: list[Any] = []
    start = pressing._start

    def started() -> Any:
        children.append(start())
        return children[-1]

    monkeypatch.setattr(pressing, "_start", started)
    cohort = cohort_of(tmp_path, ROWS, results=[], subject={"narrative": "{course}"})
    plan = await issuance.plan(paper, cohort, Terms(SUITES[1]))
    begun = asyncio.Event()
    run = asyncio.create_task(issuance.issue(paper, plan, lambda *_: begun.set()))
    await begun.wait()
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert children[0].returncode is not None
    credentials, waiting, indexes = await everything(paper)
    assert 0 < credentials == indexes < ROWS
    async with paper.store.reading() as reading:
        assert (await reading.credentials.counts())[CredentialState.SIGNED] == waiting <= credentials
    await issue(paper, tmp_path)
    await assert_all_genuine(paper)


@pytest.mark.parametrize("when", ["before", "after"])
async def test_killed_while_one_chunk_is_signed_and_another_intended(
    school: Issuer, tmp_path: Path, when: str
) -> None:
    cohort_of(tmp_path, ROWS, results=[], subject={"narrative": "{course}"})
    step = (when, "node.storage.credentials", "SqlCredentials.record_signed")
    assert await asyncio.to_thread(killed_at, step, folder_of(school), "issue_apart", str(tmp_path))
    credentials, waiting, indexes = await everything(school)
    assert 20 <= credentials == indexes < ROWS
    assert waiting == 0
    await issue(school, tmp_path)
    await assert_all_genuine(school)
    assert await everything(school) == (ROWS, ROWS, ROWS)


def test_the_child_is_told_nothing_but_by_its_input_and_ends_with_it() -> None:
    child = pressing._start()
    assert child is not None
    assert child.stdin is not None
    environment = Path(f"/proc/{child.pid}/environ")
    assert not environment.exists() or environment.read_bytes() == b""
    assert child.args[1:] == ["-I", "-c", pressing._PROGRAM]  # type: ignore[index]
    child.stdin.close()
    assert child.wait(30) == 0
    assert child.stdout is not None
    assert child.stdout.read() == b""
    child.stdout.close()
