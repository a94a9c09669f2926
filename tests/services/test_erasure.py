"""`issuer erase`: nothing of an item lingers, the credential verifies as before, and what is out stays out."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from fixtures.issuers import ALICE, BOB, MakeCohort
from services.test_anchoring import finish, judge
from services.test_issuer_commands import copied

from node.commands.issuer_folder import Folder, open_issuer
from node.core.bundle import parse_bundle
from node.core.errors import NotFound
from node.core.strict_json import parse_json_object
from node.core.verify.report import CheckName, Outcome
from node.services import bundles, erasure, issuance, lookup, overview
from node.services.cohort import Cohort, load_cohort
from node.services.faults import InputFaults
from node.services.issuer import Issuer
from node.services.preparing import Terms
from node.storage.protocols.store import Traces

# Found again wherever it is: as the file's name, and all over its bytes.
SECRET = "zeugnisarbeit-von-alice"


def cohort_of(make_cohort: MakeCohort, tmp_path: Path, *, rows: int = 1) -> Cohort:
    """Rows with two files each, of which one is secret; small enough for a leaf page, or of several pages."""
    people = [(f"s{number}", ALICE if number == 1 else BOB, "90") for number in range(1, rows + 1)]
    items = {"name": "Task", "items": [{"file": f"{SECRET}.txt"}, {"file": "b.log"}]}
    make_cohort(*people, evidence=None, with_evidence=False)
    for number, (row, _, _) in enumerate(people):
        place = tmp_path / "input" / "evidence" / row
        (place / "a.py").unlink()
        (place / f"{SECRET}.txt").write_text(f"{SECRET}-{row}\n" * (2 if number % 2 else 2000))
    template = json.loads((tmp_path / "input" / "template.json").read_text())
    (tmp_path / "input" / "template.json").write_text(json.dumps({**template, "evidence": items}))
    place = tmp_path / "input"
    return load_cohort(place / "template.json", place / "cohort.csv", place / "evidence")


async def issue(issuer: Issuer, cohort: Cohort) -> list[issuance.Issued]:
    await issuance.issue(issuer, await issuance.plan(issuer, cohort, Terms("eddsa-jcs-2022")))
    return await issuance.results(issuer, cohort)


def traces_in(folder: Path) -> dict[str, int]:
    """How often the secret stands in each file of the issuer's folder."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    counts = {path.name: path.read_bytes().count(SECRET.encode()) for path in files}
    return {name: count for name, count in counts.items() if count}


async def erase(issuer: Issuer, name: str, *items: str) -> Traces:
    return await erasure.erase(issuer, await erasure.plan(issuer, name, items))


async def test_nothing_of_it_is_left_in_any_file_of_the_issuers_folder(
    school: Issuer, make_cohort: MakeCohort, tmp_path: Path
) -> None:
    folder = school.keyring._folder
    issued = await issue(school, cohort_of(make_cohort, tmp_path, rows=6))
    assert (await finish(school)).is_done
    for one in issued:
        assert await bundles.load_bundle(school, one.digest or b"") is not None
    assert "issuer.db-wal" in await asyncio.to_thread(traces_in, folder)
    for number in range(1, 6):
        assert await erase(school, f"s{number}", *([] if number % 2 else ["0"])) is Traces.NONE
    # The database is open still, and its log in use.
    found = await asyncio.to_thread(traces_in, folder)
    assert set(found) == {"issuer.db"}
    async with school.store.reading() as reading:
        record = await lookup.find_credential(school, "s6")
        item, _ = await reading.evidence.load(record.intent.credential_id)
        assert item.data is not None
        assert found["issuer.db"] == item.data.count(SECRET.encode()) + 1
    assert await erase(school, "s6") is Traces.NONE
    assert await asyncio.to_thread(traces_in, folder) == {}


async def test_while_another_reads_what_the_log_holds_is_told_and_gone_the_next_time(
    school: Issuer, make_cohort: MakeCohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node.storage.database._BUSY_SECONDS", 0.1)
    folder = school.keyring._folder
    await issue(school, cohort_of(make_cohort, tmp_path))
    async with open_issuer(Folder.load(folder), None) as other, other.store.reading() as reading:
        await reading.credentials.counts()
        async with open_issuer(Folder.load(folder), None) as issuer:
            assert await erase(issuer, "s1") is Traces.LOG
    assert await erase(school, "s1") is Traces.NONE
    assert await asyncio.to_thread(traces_in, folder) == {}


async def test_the_credential_verifies_as_before_and_what_is_out_stays_good(
    school: Issuer, make_cohort: MakeCohort, tmp_path: Path
) -> None:
    (issued,) = await issue(school, cohort_of(make_cohort, tmp_path))
    assert issued.digest is not None
    await finish(school)
    before = await bundles.load_bundle(school, issued.digest)
    assert before is not None
    handed_out = json.dumps(before.to_json())

    await erase(school, "s1", f"{SECRET}.txt")
    found = await judge(school, issued.digest)
    assert {found[name] for name in (CheckName.PROOF, CheckName.ANCHOR, CheckName.EVIDENCE)} == {
        Outcome.PASSED
    }
    after = await bundles.load_bundle(school, issued.digest)
    assert after is not None
    assert after.evidence[0].to_json().keys() == {"leaf"}
    assert SECRET not in json.dumps(after.to_json())
    assert parse_bundle(parse_json_object(handed_out)).evidence == before.evidence

    await erase(school, "s1")
    found = await judge(school, issued.digest)
    assert found[CheckName.EVIDENCE] is Outcome.NOT_APPLICABLE
    assert found[CheckName.PROOF] is Outcome.PASSED


async def test_what_is_not_signed_yet_can_be_signed_without_it(
    paper: Issuer, make_cohort: MakeCohort
) -> None:
    cohort = make_cohort(("s1", "", "90"))
    (waiting,) = await issue(paper, cohort)
    assert await erase(paper, "s1") is Traces.NONE
    await issuance.sign_for(paper, waiting.credential_id, ALICE)
    async with paper.store.reading() as reading:
        record = await reading.credentials.load(waiting.credential_id)
        assert record is not None
        assert record.signed is not None
        items = await reading.evidence.load(waiting.credential_id)
    assert [item.data for item in items] == [None, None]
    assert record.intent.evidence_root is not None


async def test_the_row_is_not_called_changed_when_its_files_are_cleared_away(
    paper: Issuer, make_cohort: MakeCohort
) -> None:
    evidence = {"name": "Task"}
    await issue(paper, make_cohort(("s1", ALICE, "90"), ("s2", BOB, "70"), evidence=evidence))
    digest = (await known(paper))["id:s1"]
    assert digest
    await erase(paper, "s1", "0")
    assert (await known(paper))["id:s1"] == b"", "it would confirm a guess at what was erased"
    cleared = make_cohort(("s1", ALICE, "91"), ("s2", BOB, "70"), evidence=evidence)
    plan = await issuance.plan(paper, cleared, Terms("eddsa-jcs-2022"))
    assert plan.new == ()
    changed = make_cohort(("s1", ALICE, "90"), ("s2", BOB, "71"), evidence=evidence)
    with pytest.raises(InputFaults):
        await issuance.plan(paper, changed, Terms("eddsa-jcs-2022"))


async def known(issuer: Issuer) -> dict[str, bytes]:
    async with issuer.store.reading() as reading:
        return {
            key: row.content_digest for key, row in (await reading.credentials.known_rows("python")).items()
        }


async def test_what_is_unknown_is_refused_and_the_rest_is_named(
    paper: Issuer, make_cohort: MakeCohort
) -> None:
    await issue(paper, make_cohort(("s1", ALICE, "90")))
    with pytest.raises(NotFound, match="no credential s2"):
        await erasure.plan(paper, "s2")
    with pytest.raises(NotFound, match=r"no item is called c\.py\. There are: 0 a\.py, 1 b\.log$"):
        await erasure.plan(paper, "s1", ["a.py", "c.py"])
    await erase(paper, "s1", "a.py")
    # Its name is gone with it, its number is not.
    with pytest.raises(NotFound, match=r"There are: 1 b\.log; erased with their names: 0"):
        await erasure.plan(paper, "s1", ["a.py"])
    again = await erasure.plan(paper, "s1", ["0"])
    assert (again.items, len(again.left), len(again.erased)) == ((), 1, 1)
    await erase(paper, "s1", "0")
    assert (await overview.overview(paper))["evidence"] == {"items": 2, "erased": 1}


async def test_without_evidence_there_is_nothing_to_erase(paper: Issuer, make_cohort: MakeCohort) -> None:
    await issue(paper, make_cohort(("s1", ALICE, "90"), with_evidence=False, evidence=None))
    with pytest.raises(NotFound, match="has no evidence here"):
        await erasure.plan(paper, "s1")


def test_as_an_operator_types_it(made_school: Path, make_cohort: MakeCohort, tmp_path: Path) -> None:
    school = copied(made_school, tmp_path / "school")
    cohort_of(make_cohort, tmp_path)
    folder = tmp_path / "input"
    inputs = ["--template", "template.json", "--cohort", "cohort.csv", "--evidence", "evidence"]
    school.json("issue", *(part if part[0] == "-" else str(folder / part) for part in inputs))

    asked = school.run("erase", "s1")  # nobody there to answer
    assert asked.exit_code == 1
    assert f"- 0 {SECRET}.txt (text/plain): erased" in asked.stderr
    assert "it cannot be had back from here; the credential stays valid without it" in asked.stderr
    assert traces_in(school.folder / "issuer")

    one = school.json("erase", "s1", "--item", f"{SECRET}.txt", "--yes")
    assert (one["erased"], one["erased_before"], one["left"], one["traces"]) == ([0], [], [1], "none")
    assert traces_in(school.folder / "issuer") == {}
    assert "- 1 b.log (text/plain): erased" in school.run("erase", "python/s1", "--yes").stderr
    again = school.run("erase", "s1")  # nothing is asked where nothing is to be done
    assert again.exit_code == 0
    assert "nothing to erase, 2 before, 0 left" in again.stdout
    with pytest.raises(NotFound):
        school.json("erase", "s1", "--item", "c.py", "--yes")
    assert school.json("status")["evidence"] == {"items": 2, "erased": 2}
    school.json("export", "--records", str(tmp_path / "records"))
    line = json.loads((tmp_path / "records" / "credentials.ndjson").read_text())
    assert [(item["name"], item["erased"]) for item in line["evidence"]] == [(None, True), (None, True)]


def test_what_is_to_be_run_again_names_what_is_erased_and_nothing_else(
    made_school: Path, make_cohort: MakeCohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The names that were typed the first time are gone, and without any all of it would be erased."""
    monkeypatch.setattr("node.storage.database._BUSY_SECONDS", 0.1)
    school = copied(made_school, tmp_path / "school")
    cohort_of(make_cohort, tmp_path)
    folder = tmp_path / "input"
    inputs = ["--template", "template.json", "--cohort", "cohort.csv", "--evidence", "evidence"]
    school.json("issue", *(part if part[0] == "-" else str(folder / part) for part in inputs))
    with closing(sqlite3.connect(school.folder / "issuer" / "issuer.db")) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM credentials").fetchone()
        for item in (f"{SECRET}.txt", "0"):
            told = school.run("erase", "s1", "--item", item, "--yes").stderr
            assert told.endswith("run `issuer erase s1 --item 0`\n")
        assert traces_in(school.folder / "issuer")
    again = school.json("erase", "s1", "--item", "0")
    assert (again["erased"], again["left"], again["traces"]) == ([], [1], "none")
    assert traces_in(school.folder / "issuer") == {}
