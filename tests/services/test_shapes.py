"""A stencil makes what the general way makes, byte for byte, and lets nothing out that the general way would refuse."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fixtures.issuers import ALICE

from node.core.anchor import credential_digest
from node.core.canonical.labelling import canonicalize_quads
from node.core.canonical.nquads import parse_nquads
from node.core.did.key import did_key_of
from node.core.errors import NotVerified
from node.core.evidence import EvidenceItem, build_evidence
from node.core.keys import KeyKind, PublicKey
from node.core.status.entry import StatusEntry
from node.core.strict_json import parse_json_object
from node.services import issuance, shapes, stencil
from node.services.cohort import Cohort, load_cohort
from node.services.faults import InputFaults
from node.services.issuer import Issuer
from node.services.preparing import Given, Terms, check_secured, identity_of, prepare
from node.services.securing import secure
from node.services.shapes import Shapes
from node.services.stencil import Form, StatementForms, escape_json, escape_nquads
from node.storage.protocols.credentials import CredentialState

SUITES = ("eddsa-rdfc-2022", "eddsa-jcs-2022")
ACHIEVEMENT = "urn:uuid:5e1a2c7e-94ab-4d0c-8b39-3a1d0c5f7a20"
RESULTS = [f"urn:uuid:00000000-0000-4000-8000-00000000000{number}" for number in range(3)]
TEMPLATE: dict[str, Any] = {
    "template": 1,
    "cohort": "shapes",
    "name": "Structures for {course}",
    "achievement": {
        "id": ACHIEVEMENT,
        "name": "100 % of {course}",
        "description": "Lists & trees",
        "criteria": {"narrative": "All of {course}, twice {course}"},
        "resultDescription": [
            {
                "id": name,
                "type": ["ResultDescription"],
                "name": "r",
                "resultType": "RawScore",
                "valueMin": "0",
                "valueMax": "100",
            }
            for name in RESULTS
        ],
    },
    "results": [
        {"resultDescription": name, "value": f"{{r{number}:optional}}"} for number, name in enumerate(RESULTS)
    ],
    "subject": {
        "narrative": "{note:optional}",
        "activityEndDate": "{when}",
        "creditsEarned": "{ects:number}",
    },
    "awardedDate": "{when}",
    "validDays": 730,
}
# What a cell may hold and a writer of canonical forms may stumble over.
TEXTS = (
    "plain",
    'say "hi" \\ and \\n',
    "two\nlines\r\nand\ta tab",
    "über 优秀 🎓 \u2028 \ufeff",
    "%b %% %s {x}",
    "_:c14n0",
    "@id",
    "https://example.org/#x",
    "</script>&lt;",
    " ",
    "\u0430 Cyrillic a",
    "Straße" * 100,
)


def cohort_of(folder: Path, count: int, seed: int = 7, **template: Any) -> Cohort:
    """Rows of every length and letter; some cells are empty, some marks alike."""
    chance = random.Random(seed)  # noqa: S311 - the same rows every time
    (folder / "template.json").write_text(json.dumps({**TEMPLATE, **template}))
    with (folder / "cohort.ndjson").open("w") as stream:
        for number in range(count):
            day = f"20{chance.randrange(10, 30)}-0{chance.randrange(1, 10)}-1{chance.randrange(10)}T10:00:00Z"
            row = {
                "id": f"s{number}",
                "subject_did": did_key_of(PublicKey(KeyKind.ED25519, chance.randbytes(32))),
                "course": chance.choice(TEXTS) + chance.choice(TEXTS),
                "note": chance.choice(["", "", *TEXTS]),
                "when": day,
                "ects": chance.choice(["2", "2.5"]),
                **{f"r{n}": chance.choice(["", "7", str(chance.randrange(101))]) for n in range(3)},
            }
            stream.write(json.dumps(row) + "\n")
    return load_cohort(folder / "template.json", folder / "cohort.ndjson")


@pytest.fixture(autouse=True)
def _early(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shapes, "CUT_AT", 2)


def judged(
    issuer: Issuer, cohort: Cohort, terms: Terms, purposes: tuple[str, ...] = ("revocation",)
) -> Shapes:
    found = Shapes(issuer, cohort.template, terms, purposes)
    for row in cohort.rows:
        found.judge(row)
    return found


def given(number: int, chance: random.Random, **more: Any) -> Given:
    url = f"https://school.example/status/{chance.randrange(1, 40)}"
    entry = StatusEntry("revocation", url, chance.randrange(131_072))
    return Given(f"urn:uuid:00000000-0000-4000-8000-{number:012}", (entry,), **more)


@pytest.mark.parametrize("suite", SUITES)
async def test_a_row_comes_out_of_its_stencil_as_the_general_way_makes_it(
    paper: Issuer, tmp_path: Path, suite: str
) -> None:
    terms = Terms(suite)
    cohort = cohort_of(tmp_path, 100)
    found = judged(paper, cohort, terms)
    key, now, chance = await paper.signing_key(), paper.clock(), random.Random(1)  # noqa: S311
    pressed = 0
    for number, row in enumerate(cohort.rows):
        own = given(number, chance)
        draft = found.draft(
            row, replace(own, entries=(replace(own.entries[0], list_url=list_url(paper, 3)),))
        )
        general = prepare(paper, row.filled, draft.given, terms)
        assert draft.body() == general.to_bytes()
        made = draft.secure(row.subject_did, key, now)
        assert made == secure(paper, general.at_signing(now, row.subject_did), key, suite, now)
        pressed += draft.shape is not None
    assert pressed > 40, "most rows have a stencil, or this proves nothing"


def list_url(issuer: Issuer, number: int) -> str:
    return f"{issuer.settings.url}/status/{number}"


@pytest.mark.parametrize("suite", SUITES)
async def test_evidence_unbound_rows_and_two_status_entries_are_holes_too(
    paper: Issuer, tmp_path: Path, suite: str
) -> None:
    terms = Terms(suite, bearer=True)
    template = {"evidence": {"name": "Work of {course}", "folder": "all"}, "suspendable": True}
    (tmp_path / "evidence" / "all").mkdir(parents=True)
    (tmp_path / "evidence" / "all" / "a.txt").write_text("a")
    cohort_of_rows = evidence_cohort(tmp_path, template)
    found = judged(paper, cohort_of_rows, terms, ("revocation", "suspension"))
    key, now = await paper.signing_key(), paper.clock()
    for number, row in enumerate(cohort_of_rows.rows):
        items = build_evidence([EvidenceItem("a.txt", "text/plain", "", b"a")], [bytes([number]) * 32])
        entries = tuple(
            StatusEntry(purpose, list_url(paper, place), number)
            for place, purpose in enumerate(("revocation", "suspension"), 4)
        )
        identity = identity_of(row.key, f"salt-{number}")
        own = Given(f"urn:uuid:00000000-0000-4000-8000-{number:012}", entries, items, identity)
        draft = found.draft(row, own)
        general = prepare(paper, row.filled, own, terms)
        assert draft.body() == general.to_bytes()
        made = draft.secure(None, key, now)
        assert made == secure(paper, general.at_signing(now, None), key, suite, now)
        assert draft.shape is not None


def evidence_cohort(folder: Path, template: dict[str, Any]) -> Cohort:
    (folder / "template.json").write_text(json.dumps({**TEMPLATE, **template}))
    row = {"course": "x", "note": "n", "when": "2026-01-01T10:00:00Z", "ects": "2", "r0": "1"}
    rows = [{"id": f"s{number}", **row, "course": f"c {number}"} for number in range(12)]
    (folder / "cohort.ndjson").write_text(
        "".join(json.dumps({**row, "r1": "", "r2": ""}) + "\n" for row in rows)
    )
    return load_cohort(folder / "template.json", folder / "cohort.ndjson", folder / "evidence")


async def test_unnamed_objects_that_are_alike_go_the_general_way(paper: Issuer, tmp_path: Path) -> None:
    # Two results that say the same are two blank nodes with one hash: their labels do not follow from it.
    results = [
        {"resultDescription": RESULTS[0], "value": "{r0}"},
        {"resultDescription": RESULTS[0], "value": "{r1}"},
    ]
    (tmp_path / "template.json").write_text(json.dumps({**TEMPLATE, "results": results}))
    marks = [("1", "2"), ("2", "1"), ("3", "9"), ("5", "5"), ("10", "9")]
    row = {"course": "c", "note": "n", "when": "2026-01-01T10:00:00Z", "ects": "2", "subject_did": ALICE}
    (tmp_path / "cohort.ndjson").write_text(
        "".join(json.dumps({"id": f"s{a}{b}", "r0": a, "r1": b, **row}) + "\n" for a, b in marks)
    )
    cohort, terms = load_cohort(tmp_path / "template.json", tmp_path / "cohort.ndjson"), Terms()
    found = judged(paper, cohort, terms)
    key, now = await paper.signing_key(), paper.clock()
    for number, one in enumerate(cohort.rows):
        own = Given(f"urn:uuid:00000000-0000-4000-8000-{number:012}", ())
        own = replace(own, entries=(StatusEntry("revocation", list_url(paper, 1), number),))
        draft = found.draft(one, own)
        assert draft.shape is not None
        general = prepare(paper, one.filled, own, terms).at_signing(now, ALICE)
        assert draft.secure(ALICE, key, now) == secure(paper, general, key, terms.securing, now)


# Where a template's string is looked at by somebody, the row that breaks the rule is refused as ever.
RULES: tuple[tuple[str, dict[str, Any], str, str], ...] = (
    ("an end after the beginning", {"validUntil": "{note}"}, "2099-01-01T00:00:00Z", "2001-01-01T00:00:00Z"),
    ("a date", {"subject": {"activityEndDate": "{note}"}}, "2026-01-01T10:00:00Z", "the first of May"),
    ("a time", {"subject": {"activityEndDate": "{note}"}}, "2026-01-01T10:00:00Z", "2026-01-01T10:00:00 Z"),
    (
        "a URL",
        {"subject": {"image": {"id": "{note}", "type": "Image"}}},
        "https://example.org/a.png",
        "a picture",
    ),
    (
        "a word of a list",
        {"achievement": {**TEMPLATE["achievement"], "achievementType": "{note}"}},
        "Badge",
        "Bodge",
    ),
)


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize(("name", "template", "right", "wrong"), RULES, ids=[rule[0] for rule in RULES])
async def test_a_row_that_breaks_a_rule_is_refused_though_its_like_have_a_stencil(
    paper: Issuer, tmp_path: Path, suite: str, name: str, template: dict[str, Any], right: str, wrong: str
) -> None:
    (tmp_path / "template.json").write_text(json.dumps({**TEMPLATE, "results": [], **template}))
    row = {"course": "c", "when": "2026-01-01T10:00:00Z", "ects": "2", "subject_did": ALICE}
    rows = [{"id": f"s{number}", **row, "note": right} for number in range(6)]
    rows[5] = {**rows[5], "note": wrong}
    (tmp_path / "cohort.ndjson").write_text("".join(json.dumps(one) + "\n" for one in rows))
    cohort = load_cohort(tmp_path / "template.json", tmp_path / "cohort.ndjson")
    found = Shapes(paper, cohort.template, Terms(suite), ())
    for one in cohort.rows[:5]:
        found.judge(one)
    assert found.draft(cohort.rows[4], Given("urn:uuid:00000000-0000-4000-8000-000000000000", ())).shape, name
    with pytest.raises(InputFaults, match="row 6"):
        await issuance.plan(paper, cohort, Terms(suite, with_status=False))


async def test_a_holder_whom_the_badge_names_already_is_judged_alone(paper: Issuer, tmp_path: Path) -> None:
    # Two objects with one id are one node: what is said of the maker would be said of the holder.
    achievement = {**TEMPLATE["achievement"], "creator": {"id": ALICE, "type": ["Profile"], "name": "Alice"}}
    cohort = cohort_of(tmp_path, 30, achievement=achievement, results=[], subject={"narrative": "{course}"})
    found = judged(paper, cohort, Terms())
    assert found.draft(cohort.rows[-1], Given("urn:uuid:00000000-0000-4000-8000-000000000000", ())).shape
    named = replace(cohort.rows[-1], subject_did=ALICE)
    assert found.draft(named, Given("urn:uuid:00000000-0000-4000-8000-000000000000", ())).shape is None


async def test_what_a_stencil_was_not_proven_for_goes_the_general_way(paper: Issuer, tmp_path: Path) -> None:
    cohort = cohort_of(tmp_path, 24, results=[], subject={"narrative": "{course}"})
    found, row, chance = judged(paper, cohort, Terms()), cohort.rows[-1], random.Random(1)  # noqa: S311
    own = given(1, chance)
    elsewhere = replace(own, entries=(replace(own.entries[0], list_url="https://else.example/status/1"),))
    assert found.draft(row, elsewhere).shape is None
    here = replace(own, entries=(replace(own.entries[0], list_url=list_url(paper, 1)),))
    draft = found.draft(row, here)
    key, now = await paper.signing_key(), paper.clock()
    # Labels of blank nodes by another hash than the proof's would be other labels.
    assert draft._stencil is not None
    assert draft._stencil.statements is not None
    other = replace(draft._stencil.statements, hash_name="sha384", fixed=())
    wrong = replace(draft, _stencil=replace(draft._stencil, statements=other))
    assert wrong.secure(row.subject_did, key, now) == draft.secure(row.subject_did, key, now)


def stencils(found: Shapes) -> Iterator[Any]:
    return (one for one in found._met.values() if isinstance(one, shapes._Stencil))


TAMPERED = {
    "a letter of the document": (SUITES[0], lambda one: replace(one, document=_spoiled(one.document))),
    "a letter that was signed": (SUITES[1], lambda one: replace(one, document=_spoiled(one.document))),
    "a statement is missing": (SUITES[0], lambda one: replace(one, statements=_shortened(one.statements))),
    "holes are exchanged": (SUITES[1], lambda one: replace(one, document=_exchanged(one.document))),
    "another digest": (SUITES[1], lambda one: replace(one, document=_misdigested(one.document))),
}


def _spoiled(forms: Any) -> Any:
    pieces = tuple(piece.replace(b"Lists", b"Lisps") for piece in forms.issued.pieces)
    return replace(forms, issued=replace(forms.issued, pieces=pieces))


def _shortened(forms: Any) -> Any:
    return replace(forms, fixed=forms.fixed[1:])


def _misdigested(forms: Any) -> Any:
    first, *others = forms.digested.pieces
    return replace(forms, digested=replace(forms.digested, pieces=(b" " + first, *others)))


def _exchanged(forms: Any) -> Any:
    return replace(forms, canonical=replace(forms.canonical, places=forms.canonical.places[::-1]))


@pytest.mark.parametrize(("suite", "tamper"), TAMPERED.values(), ids=TAMPERED)
async def test_a_stencil_that_went_wrong_lets_nothing_out(
    paper: Issuer, tmp_path: Path, suite: str, tamper: Any
) -> None:
    cohort = cohort_of(tmp_path, 24, results=[], subject={"narrative": "{course}"})
    plan = await issuance.plan(paper, cohort, Terms(suite))
    for place, one in list(plan.shapes._met.items()):
        if isinstance(one, shapes._Stencil):
            plan.shapes._met[place] = tamper(one)
    with pytest.raises(NotVerified):
        await issuance.issue(paper, plan)
    async with paper.store.reading() as reading:
        assert (await reading.credentials.counts())[CredentialState.SIGNED] == 0
    # What was intended is signed the general way by the next run.
    assert await issuance.sign_intended(paper) == 24


def test_a_stencil_that_differs_from_the_general_way_is_not_taken(
    paper: Issuer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cohort = cohort_of(tmp_path, 24, results=[], subject={"narrative": "{course}"})
    assert next(stencils(judged(paper, cohort, Terms())), None)
    # A writer that forgets to escape: right for most texts, wrong for a few.
    monkeypatch.setattr(shapes, "escape_json", lambda text: text.encode())
    assert next(stencils(judged(paper, cohort, Terms())), None) is None
    monkeypatch.undo()
    monkeypatch.setattr(shapes, "CUT_AT", 2)
    monkeypatch.setattr(stencil, "escape_nquads", lambda text: text.encode())
    assert next(stencils(judged(paper, cohort, Terms())), None) is None


@pytest.mark.parametrize("suite", SUITES)
async def test_everything_that_is_issued_is_conforming_and_genuine(
    paper: Issuer, tmp_path: Path, suite: str
) -> None:
    cohort = cohort_of(tmp_path, 50, seed=3)
    plan = await issuance.plan(paper, cohort, Terms(suite))
    await issuance.issue(paper, plan)
    key = await paper.signing_key()
    async with paper.store.reading() as reading:
        records = await reading.credentials.page()
    assert len(records) == 50
    for record in records:
        assert record.signed is not None
        document = parse_json_object(record.signed.document)
        check_secured(paper, document, key.signer.public_key)
        assert credential_digest(document) == record.signed.digest


def test_a_mark_that_begins_like_another_is_told_apart() -> None:
    form = Form.of(b'{"a":"x1","b":"x12 100%"}', [b"x1", b"x12"])
    assert form.fill([b"A", b"B"]) == b'{"a":"A","b":"B 100%"}'


@pytest.mark.parametrize("text", [*TEXTS, "\x7f", "\x00", "\u0085"])
def test_escapes_are_those_of_the_canonical_forms(paper: Issuer, text: str) -> None:
    assert json.loads(b'"' + escape_json(text) + b'"') == text
    line = f'<urn:a> <urn:b> "{escape_nquads(text).decode()}" .\n'
    assert canonicalize_quads(parse_nquads(line))[0] == line


def test_statements_that_become_equal_are_one() -> None:
    nquads = '<urn:a> <urn:b> "mark-1" .\n<urn:a> <urn:b> "mark-2" .\n'
    forms = StatementForms.of(nquads, ["mark-1", "mark-2"], "sha256")
    assert forms.fill([b"x", b"x"]) == b'<urn:a> <urn:b> "x" .\n'
    assert forms.fill([b"z", b"y"]) == b'<urn:a> <urn:b> "y" .\n<urn:a> <urn:b> "z" .\n'
