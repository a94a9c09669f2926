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
from badge_generator import (
    ISSUER,
    JCS,
    LEARNER,
    NOW,
    NOW_TEXT,
    RDFC,
    SIGNED_AT,
    STRANGER,
    SUITES,
    Document,
    Fault,
    Person,
    Suite,
)
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from node.commands.loading import load_standards
from node.core.did.ethr import AttributeChanged, did_ethr, document_from_events, parse_did_ethr
from node.core.encoding import decode_multibase, encode_multibase
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
EDDSA = tuple(suite for suite in SUITES if suite.name.startswith("eddsa-"))
ECDSA = tuple(suite for suite in SUITES if suite not in EDDSA)
by_suite = pytest.mark.parametrize("suite", SUITES, ids=str)


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


def signing_with(suite: Suite, who: Person = ISSUER) -> dict[str, Any]:
    key = who.of(suite.kind).to_json()
    return {"cryptosuite": suite.name, "key": key, "date": SIGNED_AT, "now": NOW_TEXT}


@by_suite
def test_every_badge_of_ours_is_verified_by_both(suite: Suite, theirs: Callable[[Document], bool]) -> None:
    for number in range(badges.COUNT):
        document = badges.sign(badges.make_badge(number, suite.kind), suite, CANONICALIZER)
        assert accepted(document), number
        assert theirs(document), number


@by_suite
def test_every_badge_of_theirs_is_verified_by_us_and_refused_when_changed(
    suite: Suite, other_software: Any
) -> None:
    for number in range(badges.COUNT):
        credential = badges.make_badge(number, suite.kind)
        document = other_software.ask("issue", credential=credential, **signing_with(suite))
        report = judged(badges.as_text(document))
        assert report.acceptance == "accepted", (number, report.decisive)
        assert report.verified
        document["credentialSubject"]["achievement"]["name"] += "!"
        report = judged(badges.as_text(document))
        assert report[CheckName.PROOF].outcome is Outcome.FAILED, number
        assert report.acceptance == "refused"


@pytest.mark.parametrize("suite", EDDSA, ids=str)
def test_both_sign_the_same_bytes(suite: Suite, other_software: Any) -> None:
    document = badges.make_badge(0)
    their_proof = other_software.ask("issue", credential=document, **signing_with(suite))["proof"]
    (our_proof,) = badges.sign(document, suite, CANONICALIZER)["proof"]
    assert our_proof["proofValue"] == their_proof["proofValue"]


@by_suite
@pytest.mark.parametrize("fault", badges.FAULTS)
def test_a_badge_with_one_fault_is_refused_by_both(
    fault: str, suite: Suite, theirs: Callable[[Document], bool]
) -> None:
    number = list(badges.FAULTS).index(fault) % badges.COUNT
    try:
        document = badges.FAULTS[fault](badges.make_badge(number, suite.kind), suite, CANONICALIZER)
    except Malformed:
        assert fault in badges.NOT_SIGNED_AS_RDF
        assert suite.signs_rdf
        return
    report = judged(badges.as_text(document))
    assert report.acceptance == "refused"
    assert not theirs(document)


def _reorder(document: Document) -> None:
    members = list(document.items())[::-1]
    document.clear()
    document.update(members)


# Changes after signing that change nothing that the suite signs.
NO_FAULTS: dict[str, tuple[Fault, tuple[Suite, ...]]] = {
    "members in another order": (badges.changed(_reorder), SUITES),
    "a proof that is no array": (badges.changed(lambda d: d.update(proof=d["proof"][0])), SUITES),
    "one context more, which defines nothing that is used": (
        badges.changed(lambda d: d["@context"].append("https://w3id.org/security/multikey/v1")),
        RDFC,
    ),
    "a type in an array of one": (
        badges.changed(lambda d: d["issuer"].update(type=d["issuer"]["type"][0])),
        RDFC,
    ),
    "a term written as its IRI": (
        badges.changed(lambda d: d.update({"https://schema.org/name": d.pop("name")})),
        RDFC,
    ),
    "types in another order": (badges.changed(lambda d: d["type"].reverse()), RDFC),
}


@by_suite
@pytest.mark.parametrize("change", NO_FAULTS)
def test_a_change_of_the_form_alone_is_judged_alike(
    change: str, suite: Suite, theirs: Callable[[Document], bool]
) -> None:
    make, holds_under = NO_FAULTS[change]
    document = make(badges.make_badge(1, suite.kind), suite, CANONICALIZER)
    assert accepted(document) is theirs(document) is (suite in holds_under)


def _with_value(edit: Callable[[bytes], bytes], letter: str = "z") -> Fault:
    """The signature written anew."""

    def fault(document: Document, suite: Suite, canonicalizer: Any) -> Document:
        signed = badges.sign(document, suite, canonicalizer)
        raw = decode_multibase(signed["proof"][0]["proofValue"])
        signed["proof"][0]["proofValue"] = encode_multibase(edit(raw), letter)
        return signed

    return fault


def _as_der(raw: bytes) -> bytes:
    half = len(raw) // 2
    return encode_dss_signature(int.from_bytes(raw[:half], "big"), int.from_bytes(raw[half:], "big"))


def _other_s(raw: bytes) -> bytes:
    half = len(raw) // 2
    order = ORDERS[half]
    return raw[:half] + (order - int.from_bytes(raw[half:], "big")).to_bytes(half, "big")


ORDERS = {
    32: 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
    48: 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973,
}
# Section 3.2 of Data Integrity ECDSA Cryptosuites: r and s in their full width, in base58-btc; FIPS 186-5 takes both s.
ENCODINGS: dict[str, tuple[Fault, bool]] = {
    "the other s": (_with_value(_other_s), True),
    "DER": (_with_value(_as_der), False),
    "s before r": (_with_value(lambda raw: raw[len(raw) // 2 :] + raw[: len(raw) // 2]), False),
    "zeros": (_with_value(lambda raw: bytes(len(raw))), False),
    "a byte more": (_with_value(lambda raw: raw + b"\0"), False),
}


@pytest.mark.parametrize("suite", ECDSA, ids=str)
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_signature_written_in_another_way_is_judged_alike(
    encoding: str, suite: Suite, theirs: Callable[[Document], bool]
) -> None:
    make, holds = ENCODINGS[encoding]
    document = make(badges.make_badge(1, suite.kind), suite, CANONICALIZER)
    assert (accepted(document), theirs(document)) == (holds, holds)


STATUS = {
    "id": "https://school.example/status/1#7",
    "type": "BitstringStatusListEntry",
    "statusPurpose": "revocation",
    "statusListIndex": "7",
    "statusListCredential": "https://school.example/status/1",
}


def _hidden_status(document: Document, suite: Suite, canonicalizer: Any) -> Document:
    """The entry under its IRI: the same statements, and a reader that looks for the term finds none."""
    signed = badges.sign({**document, "credentialStatus": dict(STATUS)}, suite, canonicalizer)
    entry = signed.pop("credentialStatus")
    return {**signed, "https://www.w3.org/2018/credentials#credentialStatus": entry}


def _moved_end(document: Document, suite: Suite, canonicalizer: Any) -> Document:
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
DIFFERENCES: dict[str, tuple[Fault, tuple[Suite, ...], str]] = {
    "an expired proof": (
        badges.signed_with(lambda _: None, expires="2026-05-01T00:00:00Z"),
        SUITES,
        "VC Data Integrity 1.0 section 2.1, expires: no longer valid after it; they read its form only",
    ),
    "a member that no context defines": (
        badges.signed_with(lambda d: d.update(surprise="yes")),
        JCS,
        "VC Data Model 2.0 section 5.2: terms that are not defined are errors; JCS signs them, they look no further",
    ),
    "an id that is no URL": (
        badges.signed_with(lambda d: d.update(id="badge 7")),
        JCS,
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
        RDFC,
        "FORMATS section 2, RFC 7493 section 2.2: such numbers are read differently by different software",
    ),
    "a status entry under its IRI": (
        _hidden_status,
        RDFC,
        "FORMATS section 2: what is read is what is signed; they find no entry and ask for no status",
    ),
    "an end that was moved into an endorsement of the badge": (
        _moved_end,
        RDFC,
        "FORMATS section 2: one identifier, one object; they find no end",
    ),
    "a signature in base64url": (
        _with_value(lambda raw: raw, "u"),
        ECDSA,
        "Data Integrity ECDSA Cryptosuites sections 3.2.2 and 3.3.2: base58-btc; they take any multibase",
    ),
}


@pytest.mark.parametrize(
    ("difference", "suite"),
    [
        pytest.param(name, suite, id=f"{name}, {suite}")
        for name, (_, suites, _) in DIFFERENCES.items()
        for suite in suites
    ],
)
def test_a_difference_is_one_that_a_clause_decides(
    difference: str, suite: Suite, theirs: Callable[[Document], bool]
) -> None:
    make, _, clause = DIFFERENCES[difference]
    document = make(badges.make_badge(1, suite.kind), suite, CANONICALIZER)
    assert not accepted(document), clause
    assert theirs(document), f"no difference any more: {clause}"


# Several proofs -----------------------------------------------------------------------------------------------

FIRST_ID = "urn:uuid:00000000-0000-4000-8000-0000000000aa"


def _two(by: Person = ISSUER, **second: Any) -> Document:
    """A badge with two proofs, which differ in their suite."""
    first = badges.sign(badges.make_badge(1), RDFC[0], CANONICALIZER, id=FIRST_ID)
    return badges.sign(first, JCS[0], CANONICALIZER, by=by, **second)


def _spoiled(document: Document, proof: int, **members: Any) -> Document:
    document["proof"][proof].update(members)
    return document


def _of_another_badge() -> Document:
    other = badges.sign(badges.make_badge(2), RDFC[0], CANONICALIZER, id=FIRST_ID)
    return _spoiled(_two(previousProof=FIRST_ID), 0, **other["proof"][0])


def _reversed(document: Document) -> Document:
    document["proof"].reverse()
    return document


def _without_first(document: Document) -> Document:
    del document["proof"][0]
    return document


LATER = {"created": "2026-03-01T00:00:00Z"}
ALL = "VC Data Integrity 1.0 section 4.5: verified if every proof is; to them one that verifies is enough"
# Documents, whether we accept them and whether they do, and the clause where that differs.
SEVERAL: dict[str, tuple[Callable[[], Document], tuple[bool, bool], str]] = {
    "a set": (_two, (True, True), ""),
    "a set, the other by a stranger": (lambda: _two(STRANGER), (True, True), ""),
    "a set, its first broken": (lambda: _spoiled(_two(), 0, **LATER), (False, True), ALL),
    "a set, its second broken": (lambda: _spoiled(_two(), 1, **LATER), (False, True), ALL),
    "a chain": (lambda: _two(previousProof=[FIRST_ID]), (True, True), ""),
    "a chain by a string": (lambda: _two(previousProof=FIRST_ID), (True, True), ""),
    "a chain in another order": (lambda: _reversed(_two(previousProof=FIRST_ID)), (True, True), ""),
    "a chain, its first broken": (
        lambda: _spoiled(_two(previousProof=FIRST_ID), 0, **LATER),
        (False, False),
        "",
    ),
    "a chain, its first taken away": (
        lambda: _without_first(_two(previousProof=FIRST_ID)),
        (False, False),
        "",
    ),
    "a chain, its first of another badge": (_of_another_badge, (False, False), ""),
    "a chain to nothing": (
        lambda: _spoiled(_two(previousProof=FIRST_ID), 1, previousProof=FIRST_ID[:-1] + "b"),
        (False, True),
        ALL,
    ),
}


@pytest.mark.parametrize("case", SEVERAL)
def test_several_proofs_are_judged_alike_or_by_a_clause(
    case: str, theirs: Callable[[Document], bool]
) -> None:
    make, expected, clause = SEVERAL[case]
    document = make()
    assert (accepted(document), theirs(document)) == expected, clause


@by_suite
def test_a_member_written_twice_is_refused_by_us_and_read_once_by_them(
    suite: Suite, other_software: Any
) -> None:
    """RFC 8259 section 4: names are to be unique; JSON.parse takes the last, and another reader the first."""
    text = badges.as_text(badges.sign(badges.make_badge(0, suite.kind), suite, CANONICALIZER))
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
        value=ISSUER.signer.public_key.multicodec_bytes,
        valid_to=2**40,
    )
    result = document_from_events(parse_did_ethr(did), [event], block_time=1_780_000_000)
    theirs = start_other_software(documents={did: result.document.to_json()})
    method = f"{did}#delegate-1"
    for suite in EDDSA:
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


def present(document: Document, suite: Suite, holder: Person = LEARNER) -> Document:
    """A presentation of ours."""
    presentation = {
        "@context": ["https://www.w3.org/ns/credentials/v2"],
        "type": ["VerifiablePresentation"],
        "holder": holder.of(suite.kind).did,
        "verifiableCredential": [document],
    }
    options: dict[str, Any] = {"proofPurpose": "authentication", "challenge": CHALLENGE, "domain": DOMAIN}
    return badges.sign(presentation, suite, CANONICALIZER, by=holder, **options)


ASKED = Asked(CHALLENGE, (DOMAIN,))


@by_suite
def test_a_presentation_of_ours_is_verified_by_both_and_answers_one_challenge(
    suite: Suite, other_software: Any
) -> None:
    presentation = present(badges.sign(badges.make_badge(8, suite.kind), suite, CANONICALIZER), suite)
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


@by_suite
def test_a_presentation_of_theirs_is_accepted_by_us_from_its_holder_alone(
    suite: Suite, other_software: Any
) -> None:
    credential = badges.sign(badges.make_badge(9, suite.kind), suite, CANONICALIZER)

    def presented(holder: Person) -> Report:
        presentation = other_software.ask(
            "present",
            credentials=[credential],
            holder=holder.of(suite.kind).did,
            challenge=CHALLENGE,
            domain=DOMAIN,
            **signing_with(suite, holder),
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
    badge = badges.sign(badges.make_badge(0), Suite("eddsa-rdfc-2022"), CANONICALIZER)
    changed = {**badge, "name": "Another"}
    for document, status, line in ((badge, 0, "verified"), (changed, 1, "not verified: ")):
        file.write_text(badges.as_text(document))
        command = ["node", str(Path(__file__).with_name("verify_badge.mjs")), str(file)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == status
        assert done.stdout.startswith(line)
