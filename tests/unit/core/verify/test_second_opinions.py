"""A proof of a type that is not built here: what another program says of it, and what follows (CHECKS.md 3)."""

from __future__ import annotations

from typing import Any

import pytest
from fixtures.verification import NOW, standards

from node.core.verify import engine
from node.core.verify.intake import Intake, Shown
from node.core.verify.materials import (
    MAX_SECOND_OPINIONS,
    Materials,
    Missing,
    Mode,
    Need,
    SecondOpinionAnswer,
    SecondOpinionNeed,
)
from node.core.verify.report import CheckName, Outcome, Reason, Report
from node.core.verify.verifier import Verifier

KEY = "zQ3shsLDYXf6gbYXLGRZq8VPgvPyVfDaML69a57zUAccmpa9q"
VERIFIER = Verifier.of(standards())


def credential(number: int = 0, **proof: Any) -> dict[str, Any]:
    return {
        "@context": ["https://www.w3.org/2018/credentials/v1"],
        "id": f"urn:uuid:1b7a5c6e-0000-4000-8000-{number:012}",
        "type": ["VerifiableCredential"],
        "issuer": f"did:key:{KEY}",
        "issuanceDate": "2020-08-19T21:41:50Z",
        "credentialSubject": {"id": "did:example:learner"},
        "proof": {
            "type": "EcdsaSecp256k1Signature2019",
            "proofPurpose": "assertionMethod",
            "verificationMethod": f"did:key:{KEY}#{KEY}",
            "created": "2020-08-19T21:41:50Z",
            "jws": "a..b",
            **proof,
        },
    }


def needs(*documents: dict[str, Any]) -> tuple[Need, ...]:
    intake = Intake(
        tuple(map(Shown, documents)), {"type": "VerifiablePresentation"} if documents[1:] else None
    )
    return engine.needs(intake, Materials.none(), VERIFIER, now=NOW)


def judged(document: dict[str, Any], answer: SecondOpinionAnswer | Missing | None) -> Report:
    materials = Materials.none()
    if answer is not None:
        (need,) = needs(document)
        materials = Materials({need: answer})
    return engine.verify(Intake((Shown(document),)), materials, VERIFIER, now=NOW)


def test_it_is_asked_in_every_mode_since_nothing_is_opened_for_it() -> None:
    (need,) = needs(credential())
    assert isinstance(need, SecondOpinionNeed)
    assert need.proof_purpose == "assertionMethod"
    assert VERIFIER.mode is Mode.OFFLINE


@pytest.mark.parametrize(
    ("answer", "outcome", "reason", "verified"),
    [
        (SecondOpinionAnswer(verifies=True, source="didkit"), Outcome.PASSED, None, True),
        (SecondOpinionAnswer(verifies=False, source="didkit"), Outcome.FAILED, Reason.CHANGED, False),
        (Missing("didkit is not installed"), Outcome.UNKNOWN, Reason.UNKNOWN_SUITE, False),
        (None, Outcome.UNKNOWN, Reason.UNKNOWN_SUITE, False),
    ],
    ids=["right", "wrong", "absent", "not asked"],
)
def test_its_word_decides_and_the_basis_says_whose_it_is(
    answer: SecondOpinionAnswer | Missing | None, outcome: Outcome, reason: Reason | None, verified: bool
) -> None:
    report = judged(credential(), answer)
    proof = report[CheckName.PROOF]
    assert (proof.outcome, proof.reason, report.verified) == (outcome, reason, verified)
    assert report.of_unknown_suite is (reason is Reason.UNKNOWN_SUITE)
    if answer is not None:
        assert "didkit" in proof.basis


@pytest.mark.parametrize(
    "change",
    [
        {"type": "SomeProof2030"},
        {"expires": "2030-01-01T00:00:00Z"},
        {"@context": {"domain": None}},
        {"verificationMethod": f"did:example:{KEY}#{KEY}"},
    ],
    ids=["an unheard-of type", "a member it may not know", "a context of its own", "a key of somebody else"],
)
def test_it_is_not_asked_about_everything(change: dict[str, Any]) -> None:
    assert needs(credential(**change)) == ()


def test_its_word_is_about_these_very_bytes() -> None:
    """An answer about another document is none about this."""
    (need,) = needs(credential(1))
    answer = Materials({need: SecondOpinionAnswer(verifies=True, source="didkit")})
    report = engine.verify(Intake((Shown(credential(2)),)), answer, VERIFIER, now=NOW)
    assert report[CheckName.PROOF].outcome is Outcome.UNKNOWN


def test_what_is_read_is_what_is_signed_here_too() -> None:
    """didkit verifies statements: the document is read as they say, and terms that say nothing are refused."""
    report = judged({**credential(), "unheardOf": 1}, None)
    assert report[CheckName.CONFORMANCE].outcome is Outcome.FAILED


def test_not_more_are_asked_for_than_a_machine_can_bear() -> None:
    many = [credential(number) for number in range(MAX_SECOND_OPINIONS + 3)]
    assert len(needs(*many)) == MAX_SECOND_OPINIONS
