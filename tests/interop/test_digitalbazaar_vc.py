"""Badges and presentations of ours judged by @digitalbazaar/vc 7.3.0, and theirs by our engine.

The same badges, whole and with one fault each, go to both; where the two differ, `DIFFERENCES` says which clause
decides. Their side runs in one Node.js process without a network.
"""

from __future__ import annotations

import copy
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import badge_generator as badges
import pytest
from badge_generator import ISSUER, LEARNER, NOW, NOW_TEXT, STRANGER, SUITES, Document, Fault, Holder

from node.commands.loading import load_standards
from node.core.did.ethr import AttributeChanged, did_ethr, document_from_events, parse_did_ethr
from node.core.errors import Malformed
from node.core.verify import engine
from node.core.verify.holder import Asked
from node.core.verify.intake import read_intake
from node.core.verify.materials import DocumentAnswer, DocumentNeed, Materials, Mode
from node.core.verify.policy import ANY_ISSUER_UNSAFE
from node.core.verify.report import CheckName, Outcome, Report
from node.core.verify.verifier import Verifier

pytestmark = [pytest.mark.node_js, pytest.mark.xdist_group("other_software")]

STANDARDS = load_standards()
CANONICALIZER = STANDARDS.canonicalizer
VERIFIER = Verifier.of(STANDARDS, policy=ANY_ISSUER_UNSAFE)
CHALLENGE, DOMAIN = "zQx7b0f3cQ2n", "employer.example"
SIGNED_AT = "2026-02-01T00:00:00Z"


def judged(text: str, asked: Asked = Asked(), verifier: Verifier = VERIFIER) -> Report:  # noqa: B008
    try:
        intake = read_intake(text.encode())
    except Malformed as error:
        return engine.unreadable(error, verifier, now=NOW)
    return engine.verify(intake, Materials.none(), verifier, now=NOW, asked=asked)


def accepted(document: Document) -> bool:
    return judged(badges.as_text(document)).acceptance == "accepted"


@pytest.fixture
def theirs(other_software: Any) -> Callable[[Document], bool]:
    def verified(document: Document) -> bool:
        result = other_software.ask("verifyCredential", credential=document, now=NOW_TEXT)
        return bool(result["verified"])

    return verified


@pytest.mark.parametrize("suite", SUITES)
def test_every_badge_of_ours_is_verified_by_both(suite: str, theirs: Callable[[Document], bool]) -> None:
    for number in range(badges.COUNT):
        document = badges.sign(badges.make_badge(number), suite, CANONICALIZER)
        assert accepted(document), number
        assert theirs(document), number


@pytest.mark.parametrize("suite", SUITES)
def test_every_badge_of_theirs_is_verified_by_us_and_refused_when_changed(
    suite: str, other_software: Any
) -> None:
    key = {"cryptosuite": suite, "seed": ISSUER.seed.hex(), "date": SIGNED_AT, "now": NOW_TEXT}
    for number in range(badges.COUNT):
        document = other_software.ask("issue", credential=badges.make_badge(number), **key)
        report = judged(badges.as_text(document))
        assert report.acceptance == "accepted", (number, report.decisive)
        assert report.verified
        document["credentialSubject"]["achievement"]["name"] += "!"
        report = judged(badges.as_text(document))
        assert report[CheckName.PROOF].outcome is Outcome.FAILED, number
        assert report.acceptance == "refused"


@pytest.mark.parametrize("suite", SUITES)
def test_both_sign_the_same_bytes(suite: str, other_software: Any) -> None:
    document = badges.make_badge(0)
    key = {"cryptosuite": suite, "seed": ISSUER.seed.hex(), "date": SIGNED_AT, "now": NOW_TEXT}
    their_proof = other_software.ask("issue", credential=document, **key)["proof"]
    (our_proof,) = badges.sign(document, suite, CANONICALIZER)["proof"]
    assert our_proof["proofValue"] == their_proof["proofValue"]


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("fault", badges.FAULTS)
def test_a_badge_with_one_fault_is_refused_by_both(
    fault: str, suite: str, theirs: Callable[[Document], bool]
) -> None:
    number = list(badges.FAULTS).index(fault) % badges.COUNT
    try:
        document = badges.FAULTS[fault](badges.make_badge(number), suite, CANONICALIZER)
    except Malformed:
        assert fault in badges.NOT_SIGNED_AS_RDF
        assert suite == "eddsa-rdfc-2022"
        return
    report = judged(badges.as_text(document))
    assert report.acceptance == "refused"
    assert not theirs(document)


def _reorder(document: Document) -> None:
    members = list(document.items())[::-1]
    document.clear()
    document.update(members)


# Changes after signing that change nothing that the suite signs.
NO_FAULTS: dict[str, tuple[Fault, tuple[str, ...]]] = {
    "members in another order": (badges.changed(_reorder), SUITES),
    "a proof that is no array": (badges.changed(lambda d: d.update(proof=d["proof"][0])), SUITES),
    "one context more, which defines nothing that is used": (
        badges.changed(lambda d: d["@context"].append("https://w3id.org/security/multikey/v1")),
        ("eddsa-rdfc-2022",),
    ),
    "a type in an array of one": (
        badges.changed(lambda d: d["issuer"].update(type=d["issuer"]["type"][0])),
        ("eddsa-rdfc-2022",),
    ),
    "a term written as its IRI": (
        badges.changed(lambda d: d.update({"https://schema.org/name": d.pop("name")})),
        ("eddsa-rdfc-2022",),
    ),
    "types in another order": (badges.changed(lambda d: d["type"].reverse()), ("eddsa-rdfc-2022",)),
}


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("change", NO_FAULTS)
def test_a_change_of_the_form_alone_is_judged_alike(
    change: str, suite: str, theirs: Callable[[Document], bool]
) -> None:
    make, holds_under = NO_FAULTS[change]
    document = make(badges.make_badge(1), suite, CANONICALIZER)
    assert accepted(document) is theirs(document) is (suite in holds_under)


STATUS = {
    "id": "https://school.example/status/1#7",
    "type": "BitstringStatusListEntry",
    "statusPurpose": "revocation",
    "statusListIndex": "7",
    "statusListCredential": "https://school.example/status/1",
}


def _hidden_status(document: Document, suite: str, canonicalizer: Any) -> Document:
    """The entry under its IRI: the same statements, and a reader that looks for the term finds none."""
    signed = badges.sign({**document, "credentialStatus": dict(STATUS)}, suite, canonicalizer)
    entry = signed.pop("credentialStatus")
    return {**signed, "https://www.w3.org/2018/credentials#credentialStatus": entry}


def _moved_end(document: Document, suite: str, canonicalizer: Any) -> Document:
    """`validUntil` moved into an endorsement that names the badge's own id."""
    subject = {"id": document["id"], "type": ["EndorsementSubject"], "endorsementComment": "fine"}
    endorsement = {
        "@context": document["@context"],
        "id": "urn:uuid:00000000-0000-4000-8000-0000000000ee",
        "type": ["VerifiableCredential", "EndorsementCredential"],
        "issuer": {"id": STRANGER.did, "type": ["Profile"], "name": "Endorser"},
        "validFrom": "2026-01-01T00:00:00Z",
        "credentialSubject": subject,
    }
    whole = {**document, "validUntil": "2026-03-01T00:00:00Z", "endorsement": [endorsement]}
    signed = badges.sign(whole, suite, canonicalizer)
    # Named a credential once more, which the badge is already, so that the term is defined there too.
    subject = signed["endorsement"][0]["credentialSubject"]
    subject["type"].append("VerifiableCredential")
    subject["validUntil"] = signed.pop("validUntil")
    return signed


# What @digitalbazaar/vc verifies and we refuse: suites concerned, and the clause that decides.
DIFFERENCES: dict[str, tuple[Fault, tuple[str, ...], str]] = {
    "an expired proof": (
        badges.signed_with(lambda _: None, expires="2026-05-01T00:00:00Z"),
        SUITES,
        "VC Data Integrity 1.0 section 2.1, expires: no longer valid after it; they read its form only",
    ),
    "a member that no context defines": (
        badges.signed_with(lambda d: d.update(surprise="yes")),
        ("eddsa-jcs-2022",),
        "VC Data Model 2.0 section 5.2: terms that are not defined are errors; JCS signs them, they look no further",
    ),
    "an id that is no URL": (
        badges.signed_with(lambda d: d.update(id="badge 7")),
        ("eddsa-jcs-2022",),
        "VC Data Model 2.0 section 4.4: id is a URL; they check it under RDF alone",
    ),
    "a start without a time zone": (
        badges.signed_with(lambda d: d.update(validFrom="2026-02-01T00:00:00")),
        SUITES,
        "VC Data Model 2.0 section 4.9: a dateTimeStamp has an offset",
    ),
    "over since four minutes": (
        badges.signed_with(lambda d: d.update(validUntil="2026-06-01T11:56:00Z")),
        SUITES,
        "VC Data Model 2.0 section 4.9 gives no tolerance; theirs is 300 seconds",
    ),
    "a number beyond 2^53": (
        badges.signed_with(lambda d: d["credentialSubject"].update(creditsEarned=1e21)),
        ("eddsa-rdfc-2022",),
        "FORMATS section 2, RFC 7493 section 2.2: such numbers are read differently by different software",
    ),
    "a status entry under its IRI": (
        _hidden_status,
        ("eddsa-rdfc-2022",),
        "FORMATS section 2: what is read is what is signed; they find no entry and ask for no status",
    ),
    "an end that was moved into an endorsement of the badge": (
        _moved_end,
        ("eddsa-rdfc-2022",),
        "FORMATS section 2: one identifier, one object; they find no end",
    ),
}


@pytest.mark.parametrize(
    ("difference", "suite"),
    [(name, suite) for name, (_, suites, _) in DIFFERENCES.items() for suite in suites],
)
def test_a_difference_is_one_that_a_clause_decides(
    difference: str, suite: str, theirs: Callable[[Document], bool]
) -> None:
    make, _, clause = DIFFERENCES[difference]
    document = make(badges.make_badge(1), suite, CANONICALIZER)
    assert not accepted(document), clause
    assert theirs(document), f"no difference any more: {clause}"


@pytest.mark.parametrize("suite", SUITES)
def test_a_member_written_twice_is_refused_by_us_and_read_once_by_them(
    suite: str, other_software: Any
) -> None:
    """RFC 8259 section 4: names are to be unique; JSON.parse takes the last, and another reader the first."""
    text = badges.as_text(badges.sign(badges.make_badge(0), suite, CANONICALIZER))
    twice = '{"name": "Another name", ' + text[1:]
    assert other_software.ask("verifyText", text=twice, now=NOW_TEXT)["verified"]
    assert judged(twice)[CheckName.CONFORMANCE].outcome is Outcome.FAILED


def test_a_badge_of_a_did_ethr_issuer_is_verified_with_its_document_in_the_loader(
    start_other_software: Any,
) -> None:
    did = did_ethr(0x539, bytes(range(20)))
    event = AttributeChanged(
        identity=bytes(range(20)),
        block_number=5,
        log_index=0,
        previous_change=0,
        name=b"did/pub/Multikey/veriKey".ljust(32, b"\0"),
        value=ISSUER.public_key.multicodec_bytes,
        valid_to=2**40,
    )
    result = document_from_events(parse_did_ethr(did), [event], block_time=1_780_000_000)
    theirs = start_other_software(documents={did: result.document.to_json()})
    method = f"{did}#delegate-1"
    for suite in SUITES:
        document = badges.make_badge(6) | {"issuer": {"id": did, "type": ["Profile"], "name": "School"}}
        signed = badges.sign(document, suite, CANONICALIZER, verificationMethod=method)
        assert theirs.ask("verifyCredential", credential=signed, now=NOW_TEXT) == {
            "verified": True,
            "reasons": [],
        }
        need = DocumentNeed(did)
        answers = Materials.none().extended(
            {need: DocumentAnswer(result.document, True, "two endpoints")}, ()
        )
        verifier = Verifier.of(STANDARDS, policy=ANY_ISSUER_UNSAFE, mode=Mode.CHAIN)
        ours = engine.verify(read_intake(badges.as_text(signed).encode()), answers, verifier, now=NOW)
        assert ours[CheckName.PROOF].outcome is Outcome.PASSED
        signed["credentialSubject"]["id"] = STRANGER.did
        assert not theirs.ask("verifyCredential", credential=signed, now=NOW_TEXT)["verified"]
        unlisted = badges.sign(document, suite, CANONICALIZER, verificationMethod=f"{did}#delegate-2")
        assert not theirs.ask("verifyCredential", credential=unlisted, now=NOW_TEXT)["verified"]


def present(document: Document, suite: str, holder: Holder = LEARNER) -> Document:
    """A presentation of ours."""
    presentation = {
        "@context": ["https://www.w3.org/ns/credentials/v2"],
        "type": ["VerifiablePresentation"],
        "holder": holder.did,
        "verifiableCredential": [document],
    }
    options = {"proofPurpose": "authentication", "challenge": CHALLENGE, "domain": DOMAIN}
    return badges.sign(presentation, suite, CANONICALIZER, by=holder, **options)


ASKED = Asked(CHALLENGE, (DOMAIN,))


@pytest.mark.parametrize("suite", SUITES)
def test_a_presentation_of_ours_is_verified_by_both_and_answers_one_challenge(
    suite: str, other_software: Any
) -> None:
    presentation = present(badges.sign(badges.make_badge(8), suite, CANONICALIZER), suite)
    changed = copy.deepcopy(presentation)
    changed["verifiableCredential"][0]["name"] += "!"

    def theirs(document: Document, challenge: str = CHALLENGE, domain: str = DOMAIN) -> bool:
        asked = {"challenge": challenge, "domain": domain, "now": NOW_TEXT}
        return bool(other_software.ask("verifyPresentation", presentation=document, **asked)["verified"])

    def ours(document: Document, asked: Asked = ASKED) -> str:
        return judged(json.dumps(document), asked).acceptance

    assert theirs(presentation)
    assert ours(presentation) == "accepted"
    assert not theirs(changed)
    assert ours(changed) == "refused"
    assert not theirs(presentation, challenge="another")
    assert ours(presentation, Asked("another", (DOMAIN,))) == "refused"
    assert not theirs(presentation, domain="elsewhere.example")
    assert ours(presentation, Asked(CHALLENGE, ("elsewhere.example",))) == "refused"


@pytest.mark.parametrize("suite", SUITES)
def test_a_presentation_of_theirs_is_accepted_by_us_from_its_holder_alone(
    suite: str, other_software: Any
) -> None:
    credential = badges.sign(badges.make_badge(9), suite, CANONICALIZER)

    def presented(holder: Holder) -> Report:
        presentation = other_software.ask(
            "present",
            credentials=[credential],
            holder=holder.did,
            challenge=CHALLENGE,
            domain=DOMAIN,
            cryptosuite=suite,
            seed=holder.seed.hex(),
            date=NOW_TEXT,
            now=NOW_TEXT,
        )
        return judged(json.dumps(presentation), ASKED)

    report = presented(LEARNER)
    assert report.acceptance == "accepted", report.decisive
    assert report.verified
    by_another = presented(STRANGER)
    assert by_another.acceptance == "refused"
    assert by_another[CheckName.HOLDER_BINDING].outcome is Outcome.FAILED


def test_the_script_for_strangers_tells_a_genuine_badge_from_a_changed_one(
    other_software: Any, tmp_path: Path
) -> None:
    file = tmp_path / "badge.json"
    badge = badges.sign(badges.make_badge(0), "eddsa-rdfc-2022", CANONICALIZER)
    changed = {**badge, "name": "Another"}
    for document, status, line in ((badge, 0, "verified"), (changed, 1, "not verified: ")):
        file.write_text(badges.as_text(document))
        command = ["node", str(Path(__file__).with_name("verify_badge.mjs")), str(file)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == status
        assert done.stdout.startswith(line)
