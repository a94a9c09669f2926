"""ecdsa-sd-2023 and bbs-2023 beside @digitalbazaar's: whoever issues, whoever shows a part, both verify it.

And both refuse it with one fault, but for `DIFFERENCES`, where a clause decides. What is compared is whether the
document verifies: whether a part is enough to be accepted is our policy's own question.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import badge_generator as badges
import pytest
from badge_generator import (
    ISSUER,
    LEARNER,
    NOW,
    NOW_TEXT,
    SELECTIVE,
    SIGNED_AT,
    STRANGER,
    Document,
    Person,
    Suite,
)

from node.commands.loading import load_standards
from node.core.dataintegrity import bbs_2023, derive_proof, ecdsa_sd_2023, parse_proof, proofs_of, unsecured
from node.core.encoding import decode_multibase, encode_base64url, encode_multibase
from node.core.keys import KeyKind
from node.core.verify import engine
from node.core.verify.holder import Asked
from node.core.verify.intake import read_intake
from node.core.verify.materials import Materials
from node.core.verify.policy import ANY_ISSUER_UNSAFE
from node.core.verify.report import CheckName, Outcome, Report
from node.core.verify.verifier import Verifier

pytestmark = [pytest.mark.node_js, pytest.mark.xdist_group("other_software")]

STANDARDS = load_standards()
CANONICALIZER = STANDARDS.canonicalizer
VERIFIER = Verifier.of(STANDARDS, policy=ANY_ISSUER_UNSAFE)
ECDSA_SD, BBS = SELECTIVE
MANDATORY = ("/issuer", "/validFrom")
# Else somebody else could be its subject as well, as far as a verifier knows.
TO_HOLDER = (*MANDATORY, "/credentialSubject/id")
SHOWN = (
    "/credentialSubject/id",
    "/credentialSubject/achievement/name",
    "/credentialSubject/achievement/criteria",
    "/credentialSubject/achievement/alignment/0",
)
CODECS: dict[str, Any] = {ECDSA_SD.name: ecdsa_sd_2023, BBS.name: bbs_2023}
# A proof of theirs takes seconds under bbs-2023.
NUMBERS = {ECDSA_SD: range(6), BBS: range(1)}
by_suite = pytest.mark.parametrize("suite", SELECTIVE, ids=str)


def issue(document: Document, suite: Suite, mandatory: tuple[str, ...] = MANDATORY) -> Document:
    return badges.sign(document, suite, CANONICALIZER, mandatory=mandatory)


def derive(base: Document, pointers: tuple[str, ...] = SHOWN, header: bytes = b"") -> Document:
    (proof,) = proofs_of(base)
    entropy = bytes(range(32))
    return derive_proof(base, proof, pointers, CANONICALIZER, presentation_header=header, entropy=entropy)


def we_verify(document: Document) -> bool:
    report = report_of(document)
    assert report.acceptance != "accepted"  # what is hidden may be a status entry
    return report.verified and report.acceptance != "refused"


def report_of(document: Document, asked: Asked = Asked()) -> Report:  # noqa: B008 - frozen
    intake = read_intake(badges.as_text(document).encode())
    return engine.verify(intake, Materials.none(), VERIFIER, now=NOW, asked=asked)


@pytest.fixture
def they_verify(other_software: Any) -> Callable[[Document], bool]:
    def verified(document: Document) -> bool:
        return bool(other_software.ask("verifyCredential", credential=document, now=NOW_TEXT)["verified"])

    return verified


@pytest.fixture
def they_issue(other_software: Any) -> Callable[[Document, Suite], Document]:
    def issued(document: Document, suite: Suite) -> Document:
        key = ISSUER.of(suite.kind).to_json()
        how = {"cryptosuite": suite.name, "key": key, "date": SIGNED_AT, "mandatoryPointers": MANDATORY}
        base: Document = other_software.ask("issue", credential=document, now=NOW_TEXT, **how)
        return base

    return issued


@pytest.fixture
def they_derive(other_software: Any) -> Callable[..., Document]:
    def derived(
        base: Document, suite: Suite, pointers: tuple[str, ...] = SHOWN, header: bytes = b""
    ) -> Document:
        how = {"cryptosuite": suite.name, "selectivePointers": pointers, "presentationHeader": header.hex()}
        shown: Document = other_software.ask("derive", credential=base, **how)
        return shown

    return derived


def pointers_into(document: Document, number: int) -> tuple[str, ...]:
    """Some places of a badge, the same for the same number, in any order."""
    chance = random.Random(f"pointers {number}")  # noqa: S311 - the same every time
    subject = document["credentialSubject"]
    found = [*_places(subject, "/credentialSubject"), *(f"/{name}" for name in document if name[0] != "@")]
    return tuple(chance.sample(found, 1 + chance.randrange(6)))


def without_coordinates(value: Any) -> Any:
    """The badge as far as other software can show parts of it; see below."""
    if isinstance(value, list):
        return [without_coordinates(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {name: without_coordinates(member) for name, member in value.items() if name != "geo"}


def _places(value: Any, here: str) -> Iterator[str]:
    # An array of one is where the two differ; see below.
    several = enumerate(value) if isinstance(value, list) and len(value) > 1 else ()
    for name, member in value.items() if isinstance(value, dict) else several:
        yield f"{here}/{name}"
        yield from _places(member, f"{here}/{name}")


@by_suite
def test_whoever_issues_and_whoever_shows_a_part_both_verify_it(
    suite: Suite, they_issue: Any, they_derive: Any, they_verify: Callable[[Document], bool]
) -> None:
    for number in NUMBERS[suite]:
        badge = without_coordinates(badges.make_badge(number, suite.kind))
        pointers = pointers_into(badge, number)
        for base in (issue(badge, suite), they_issue(badge, suite)):
            ours, theirs = derive(base, pointers), they_derive(base, suite, pointers)
            assert unsecured(ours) == unsecured(theirs), pointers
            for shown in (ours, theirs):
                assert we_verify(shown), (number, pointers)
                assert they_verify(shown), (number, pointers)


def test_both_derive_the_same_proof_from_a_base_proof_of_ecdsa_sd_2023(
    they_issue: Any, they_derive: Any
) -> None:
    base = they_issue(small_badge(ECDSA_SD), ECDSA_SD)
    (ours,), theirs = derive(base)["proof"], they_derive(base, ECDSA_SD)["proof"]
    assert [ours] == (theirs if isinstance(theirs, list) else [theirs])


@by_suite
def test_a_base_proof_is_refused_by_both(
    suite: Suite, they_issue: Any, they_verify: Callable[[Document], bool]
) -> None:
    badge = small_badge(suite)
    for base in (issue(badge, suite), they_issue(badge, suite)):
        assert (we_verify(base), they_verify(base)) == (False, False)


# What is shown, with one fault ---------------------------------------------------------------------------------------

Fault = Callable[[Document, Suite], object]


def in_value(**changes: Callable[[Any], object]) -> Fault:
    """Changes parts of the proof value."""

    def fault(document: Document, suite: Suite) -> None:
        codec = CODECS[suite.name]
        derived = codec.parse_derived_proof(parse_proof(document["proof"][0]))
        changed = replace(
            derived, **{name: change(getattr(derived, name)) for name, change in changes.items()}
        )
        document["proof"][0]["proofValue"] = codec.encode_derived_proof(changed)

    return fault


def in_document(edit: Callable[[Document], object]) -> Fault:
    return lambda document, _: edit(document)


def in_proof(edit: Callable[[Document, Suite], object]) -> Fault:
    return lambda document, suite: edit(document["proof"][0], suite)


def _achievement(document: Document) -> Document:
    found: Document = document["credentialSubject"]["achievement"]
    return found


def _key_of(person: Person) -> bytes:
    return person.of(ECDSA_SD.kind).signer.public_key.multicodec_bytes


def _swapped(labels: dict[str, str]) -> dict[str, str]:
    first, second, *_ = labels
    return {**labels, first: labels[second], second: labels[first]}


def _one_bit(data: bytes) -> bytes:
    return data[:-5] + bytes([data[-5] ^ 1]) + data[-4:]


def _unused(labels: dict[str, str]) -> str:
    return (
        "u" + encode_base64url(bytes(32))
        if any(label[0] == "u" for label in labels.values())
        else f"b{len(labels)}"
    )


def _other_s(raw: bytes) -> bytes:
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    return raw[:32] + (order - int.from_bytes(raw[32:], "big")).to_bytes(32, "big")


def _in_bytes(edit: Callable[[bytes], bytes]) -> Fault:
    def fault(document: Document, _: Suite) -> None:
        proof = document["proof"][0]
        proof["proofValue"] = encode_multibase(edit(decode_multibase(proof["proofValue"], "u")), "u")

    return fault


# In base64url, where the fifth letter has bits of the header and of what follows.
BASE_HEADERS = {ECDSA_SD: "u2V0A", BBS: "u2V0C"}
FAULTS: dict[str, Fault] = {
    "another name of the achievement": in_document(lambda d: _achievement(d).update(name="Another")),
    "another issuer's name": in_document(lambda d: d["issuer"].update(name="Another")),
    "another start": in_document(lambda d: d.update(validFrom="2026-03-01T00:00:00Z")),
    "another learner": in_document(lambda d: d["credentialSubject"].update(id=STRANGER.did)),
    "a mandatory statement less": in_document(lambda d: d.pop("validFrom")),
    "a statement less": in_document(lambda d: _achievement(d).pop("name")),
    "a statement more": in_document(lambda d: d.update(awardedDate="2026-01-01T00:00:00Z")),
    "a type more": in_document(lambda d: d["type"].append("ClrCredential")),
    "a context less": in_document(lambda d: d["@context"].pop()),
    "a member that no context defines": in_document(lambda d: d.update(surprise="yes")),
    "another time of signing": in_proof(lambda p, _: p.update(created="2026-01-01T00:00:00Z")),
    "another purpose": in_proof(lambda p, _: p.update(proofPurpose="authentication")),
    "another key": in_proof(lambda p, suite: p.update(verificationMethod=STRANGER.of(suite.kind).method)),
    "base58-btc": in_proof(lambda p, _: p.update(proofValue="z" + p["proofValue"][1:])),
    "cut short": in_proof(lambda p, _: p.update(proofValue=p["proofValue"][:-8])),
    "longer": in_proof(lambda p, _: p.update(proofValue=p["proofValue"] + "AAAA")),
    "the header of a base proof": in_proof(
        lambda p, suite: p.update(proofValue=BASE_HEADERS[suite] + p["proofValue"][5:])
    ),
    "a mandatory statement called an optional one": in_value(mandatory_indexes=lambda indexes: indexes[1:]),
    "an optional statement called a mandatory one": in_value(
        mandatory_indexes=lambda indexes: (*indexes, min(set(range(99)) - set(indexes)))
    ),
    "two labels changed for each other": in_value(labels=_swapped),
    "a label less": in_value(labels=lambda labels: dict(list(labels.items())[1:])),
}  # fmt: skip
OF_ONE: dict[Suite, dict[str, Fault]] = {
    ECDSA_SD: {
        "another base signature": in_value(base_signature=_one_bit),
        "another key of the proof": in_value(public_key=lambda _: _key_of(STRANGER)),
        "a signature less": in_value(signatures=lambda signatures: signatures[1:]),
        "a signature more": in_value(signatures=lambda signatures: (*signatures, signatures[0])),
        "signatures in another order": in_value(signatures=lambda signatures: signatures[::-1]),
    },
    BBS: {
        "another proof": in_value(bbs_proof=_one_bit),
        "another presentation header": in_value(presentation_header=lambda _: b"another"),
        "optional statements in another order": in_value(selective_indexes=lambda found: found[::-1]),
        "other places of the statements": in_value(selective_indexes=lambda found: tuple(n + 1 for n in found)),
    },
}  # fmt: skip
# What they verify and we refuse, and the clause that decides. None of it changes what is read from the document.
ORDER = (
    "ECDSA section 3.6.6, BBS section 3.4.6: what is derived names each mandatory statement once, ascending; sections"
    " 3.6.7 and 3.4.7 ask no more than whether an index is among them, and one document would have many proofs"
)
CBOR = (
    "RFC 8949 section 4.2.1, one encoding for one value, which ours asks of every CBOR; the suites do not say"
)
DIFFERENCES: dict[str, tuple[Fault, tuple[Suite, ...], str]] = {
    "a mandatory statement that is not there": (
        in_value(mandatory_indexes=lambda found: (*found, 999)),
        SELECTIVE,
        ORDER,
    ),
    "a mandatory statement named twice": (
        in_value(mandatory_indexes=lambda found: (*found, found[-1])),
        SELECTIVE,
        ORDER,
    ),
    "mandatory statements in another order": (
        in_value(mandatory_indexes=lambda found: found[::-1]),
        SELECTIVE,
        ORDER,
    ),
    "a label for nothing": (
        in_value(labels=lambda labels: {**labels, "c14n99": _unused(labels)}),
        SELECTIVE,
        "ECDSA section 3.4.3: the map is over the identifiers of the document; they leave the others unread",
    ),
    "an array without its length": (
        _in_bytes(lambda value: value[:3] + b"\x9f" + value[4:] + b"\xff"),
        SELECTIVE,
        CBOR,
    ),
    "a length in more bytes than it needs": (
        _in_bytes(lambda value: value[:3] + b"\x98" + bytes([value[3] & 31]) + value[4:]),
        SELECTIVE,
        CBOR,
    ),
    "a tag before the bytes": (
        _in_bytes(lambda value: value[:4] + b"\xd8\x40" + value[4:]),
        SELECTIVE,
        "ECDSA section 3.5.7, BBS section 3.3.7: no component is tagged; they read the tag 64 of an earlier draft",
    ),
}
CASES = [
    pytest.param(suite, fault, id=f"{name}, {suite}")
    for suite in SELECTIVE
    for name, fault in {**FAULTS, **OF_ONE[suite]}.items()
]


@pytest.fixture(scope="module")
def shown() -> Callable[[Suite], Document]:
    """A derived document of ours, of a badge with few statements."""
    made = {suite: derive(issue(small_badge(suite), suite)) for suite in SELECTIVE}
    return lambda suite: copy.deepcopy(made[suite])


def small_badge(suite: Suite) -> Document:
    badge = badges.make_badge(0, suite.kind)
    achievement = _achievement(badge)
    return {
        **{name: badge[name] for name in ("@context", "id", "type", "issuer", "validFrom", "name")},
        "credentialSubject": {
            "id": LEARNER.of(suite.kind).did,
            "type": ["AchievementSubject"],
            "achievement": {
                **{name: achievement[name] for name in ("id", "type", "name", "description", "criteria")},
                "alignment": [
                    {"type": ["Alignment"], "targetName": "A", "targetUrl": "https://framework.example/a"},
                    {"type": ["Alignment"], "targetName": "B", "targetUrl": "https://framework.example/b"},
                ],
            },
        },
    }


@pytest.mark.parametrize(("suite", "fault"), CASES)
def test_what_is_shown_with_one_fault_is_refused_by_both(
    suite: Suite,
    fault: Fault,
    shown: Callable[[Suite], Document],
    they_verify: Callable[[Document], bool],
) -> None:
    document = shown(suite)
    fault(document, suite)
    assert document != shown(suite)
    assert (we_verify(document), they_verify(document)) == (False, False)


@pytest.mark.parametrize(
    ("suite", "difference"),
    [
        pytest.param(suite, name, id=f"{name}, {suite}")
        for name, (_, suites, _) in DIFFERENCES.items()
        for suite in suites
    ],
)
def test_a_difference_is_one_that_a_clause_decides(
    suite: Suite,
    difference: str,
    shown: Callable[[Suite], Document],
    they_verify: Callable[[Document], bool],
) -> None:
    fault, _, clause = DIFFERENCES[difference]
    document = shown(suite)
    fault(document, suite)
    assert document != shown(suite)
    assert not we_verify(document), clause
    assert they_verify(document), f"no difference any more: {clause}"


def test_the_other_s_of_a_base_signature_is_verified_by_both(
    shown: Callable[[Suite], Document], they_verify: Callable[[Document], bool]
) -> None:
    document = shown(ECDSA_SD)
    in_value(base_signature=_other_s)(document, ECDSA_SD)
    assert (we_verify(document), they_verify(document)) == (True, True)


@by_suite
def test_a_pointer_into_an_array_of_one_is_understood_by_us_alone(suite: Suite, they_derive: Any) -> None:
    """ECDSA section 3.4.9: the document is compacted before pointers are followed, and then it is no array.

    Ours are followed in the document as its reader has it. A mandatory pointer of this kind makes a base proof from
    which other software derives nothing.
    """
    badge = {**small_badge(suite), "evidence": [{"id": "https://school.example/e", "type": ["Evidence"]}]}
    for base in (
        issue(badge, suite),
        badges.sign(badge, suite, CANONICALIZER, mandatory=("/issuer", "/evidence/0")),
    ):
        with pytest.raises(RuntimeError, match='"/evidence/0" does not match document'):
            they_derive(base, suite, (*SHOWN, "/evidence/0"))
        assert we_verify(derive(base, (*SHOWN, "/evidence/0")))
    assert unsecured(derive(issue(badge, suite), ("/evidence",))) == unsecured(
        they_derive(issue(badge, suite), suite, ("/evidence",))
    )


@by_suite
def test_coordinates_are_shown_by_us_alone(suite: Suite, they_derive: Any) -> None:
    """ECDSA section 3.4.9 again: the context of Open Badges gives `geo` and `GeoCoordinates` one IRI.

    Compacted, the type reads `geo`, whose latitude no context defines. A badge that has them can be issued and shown
    with other software as long as nobody points to them.
    """
    address = {"type": ["Address"], "geo": {"type": "GeoCoordinates", "latitude": 46.9, "longitude": 7.4}}
    badge = small_badge(suite)
    badge["issuer"]["address"] = address
    base = badges.sign(badge, suite, CANONICALIZER, mandatory=("/issuer/id", "/validFrom"))
    assert we_verify(derive(base, (*SHOWN, "/issuer/address")))
    assert unsecured(derive(base)) == unsecured(they_derive(base, suite))
    with pytest.raises(RuntimeError, match="Safe mode validation error"):
        they_derive(base, suite, (*SHOWN, "/issuer/address"))


@by_suite
def test_an_end_that_its_holder_left_out_is_seen_by_us_alone(
    suite: Suite, they_verify: Callable[[Document], bool]
) -> None:
    """FORMATS section 2: absent and hidden look alike, so that without a mandatory end nobody knows when it ends."""
    expired = {**small_badge(suite), "validUntil": "2026-03-01T00:00:00Z"}
    shown_whole, hidden = (
        derive(issue(expired, suite), (*SHOWN, "/validUntil")),
        derive(issue(expired, suite)),
    )
    assert (we_verify(shown_whole), they_verify(shown_whole)) == (False, False)
    assert they_verify(hidden)
    report = report_of(hidden)
    assert report[CheckName.VALIDITY_PERIOD].outcome is Outcome.UNKNOWN
    assert report.acceptance == "undetermined"


# Occasions -----------------------------------------------------------------------------------------------------------

CHALLENGE, DOMAIN = "zQx7b0f3cQ2n", "employer.example"


def test_a_presentation_header_is_read_alike(other_software: Any, they_derive: Any) -> None:
    """BBS section 3.4.6: what a proof is bound to; that ours is made of challenge and domain is our own choice."""
    header = bbs_2023.presentation_header_of(CHALLENGE, DOMAIN)
    base = issue(small_badge(BBS), BBS)
    for document in (derive(base, header=header), they_derive(base, BBS, SHOWN, header)):
        (proof,) = proofs_of(document)
        assert bbs_2023.parse_derived_proof(proof).presentation_header == header
        for expected, verified in ((header, True), (header + b"!", False)):
            asked = {"credential": document, "now": NOW_TEXT, "presentationHeader": expected.hex()}
            assert other_software.ask("verifyCredential", **asked)["verified"] is verified
        for challenge, outcome in ((CHALLENGE, Outcome.PASSED), ("another", Outcome.FAILED)):
            report = report_of(document, Asked(challenge, (DOMAIN,)))
            assert report[CheckName.CHALLENGE].outcome is outcome


@by_suite
def test_a_presentation_of_a_part_is_verified_by_both(suite: Suite, other_software: Any) -> None:
    asked: dict[str, Any] = {"challenge": CHALLENGE, "domain": DOMAIN}
    signed_with = Suite("ecdsa-rdfc-2019", KeyKind.P256) if suite is ECDSA_SD else Suite("eddsa-jcs-2022")
    holder = LEARNER.of(signed_with.kind)
    badge = small_badge(suite)
    badge["credentialSubject"]["id"] = holder.did
    credential = derive(issue(badge, suite, TO_HOLDER))
    presentation = {
        "@context": ["https://www.w3.org/ns/credentials/v2"],
        "type": ["VerifiablePresentation"],
        "holder": holder.did,
        "verifiableCredential": [credential],
    }
    ours = badges.sign(
        presentation, signed_with, CANONICALIZER, by=LEARNER, proofPurpose="authentication", **asked
    )
    theirs = other_software.ask(
        "present",
        credentials=[credential],
        holder=holder.did,
        cryptosuite=signed_with.name,
        key=holder.to_json(),
        date=SIGNED_AT,
        now=NOW_TEXT,
        **asked,
    )
    for document in (ours, theirs):
        changed = copy.deepcopy(document)
        # One credential may stand without its array.
        (shown,) = (
            [changed["verifiableCredential"]]
            if isinstance(changed["verifiableCredential"], dict)
            else changed["verifiableCredential"]
        )
        shown["validFrom"] = "2026-01-02T00:00:00Z"
        for one, verified in ((document, True), (changed, False)):
            report = report_of(one, Asked(CHALLENGE, (DOMAIN,)))
            assert report.verified is verified
            answer = other_software.ask("verifyPresentation", presentation=one, now=NOW_TEXT, **asked)
            assert answer["verified"] is verified, answer
