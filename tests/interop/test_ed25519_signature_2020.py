"""Credentials of VC 1.1 that @digitalbazaar/ed25519-signature-2020 signs, whole and with one fault each.

Such proofs are verified here, not made; `test_didkit_agrees.py` has those that our reading of the suite makes.
"""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable
from typing import Any

import pytest
from badge_generator import ISSUER, LEARNER, NOW, NOW_TEXT, STRANGER, Document

from node.commands.loading import load_standards
from node.core.verify import engine
from node.core.verify.intake import read_intake
from node.core.verify.materials import Materials
from node.core.verify.policy import ANY_ISSUER_UNSAFE
from node.core.verify.verifier import Verifier

pytestmark = [pytest.mark.node_js, pytest.mark.xdist_group("other_software")]

VERIFIER = Verifier.of(load_standards(), policy=ANY_ISSUER_UNSAFE)
COUNT = 8


def credential(number: int) -> Document:
    chance = random.Random(f"1.1 {number}")  # noqa: S311 - the same every time
    document: Document = {
        "@context": [
            "https://www.w3.org/2018/credentials/v1",
            "https://w3id.org/security/suites/ed25519-2020/v1",
        ],
        "id": f"urn:uuid:00000000-0000-4000-8000-{number:012d}",
        "type": ["VerifiableCredential"],
        "issuer": chance.choice([ISSUER.did, {"id": ISSUER.did}]),
        "issuanceDate": chance.choice(["2026-02-01T00:00:00Z", "2026-01-31T23:59:59.5+05:30"]),
        "credentialSubject": {"id": LEARNER.did},
    }
    if chance.random() < 0.5:
        document["expirationDate"] = "2036-01-01T00:00:00Z"
    if chance.random() < 0.5:
        document["refreshService"] = {
            "id": "https://school.example/refresh",
            "type": "ManualRefreshService2018",
        }
    return document


@pytest.fixture
def signed(other_software: Any) -> Callable[[Document], Document]:
    def issue(document: Document) -> Document:
        how = {"cryptosuite": "Ed25519Signature2020", "key": ISSUER.to_json(), "date": "2026-02-01T00:00:00Z"}
        found: Document = other_software.ask("issue", credential=document, now=NOW_TEXT, **how)
        return found

    return issue


def we_accept(document: Document) -> bool:
    report = engine.verify(read_intake(json.dumps(document).encode()), Materials.none(), VERIFIER, now=NOW)
    return report.verified and report.acceptance == "accepted"


@pytest.fixture
def they_accept(other_software: Any) -> Callable[[Document], bool]:
    def verified(document: Document) -> bool:
        return bool(other_software.ask("verifyCredential", credential=document, now=NOW_TEXT)["verified"])

    return verified


def test_what_they_sign_is_verified_by_both(
    signed: Callable[[Document], Document], they_accept: Callable[[Document], bool]
) -> None:
    for number in range(COUNT):
        document = signed(credential(number))
        assert document["proof"]["type"] == "Ed25519Signature2020"
        assert (we_accept(document), they_accept(document)) == (True, True), number


def _edited(edit: Callable[[Document], object]) -> Callable[[Document], Document]:
    def change(document: Document) -> Document:
        changed = copy.deepcopy(document)
        edit(changed)
        return changed

    return change


CHANGED: dict[str, Callable[[Document], Document]] = {
    "another learner": _edited(lambda d: d["credentialSubject"].update(id=STRANGER.did)),
    "another date": _edited(lambda d: d.update(issuanceDate="2026-01-01T00:00:00Z")),
    "another id": _edited(lambda d: d.update(id="urn:uuid:00000000-0000-4000-8000-00000000ffff")),
    "an end that was not signed": _edited(lambda d: d.update(expirationDate="2037-01-01T00:00:00Z")),
    "another issuer": _edited(lambda d: d.update(issuer=STRANGER.did)),
    "a member that no context defines": _edited(lambda d: d.update(surprise="yes")),
    "another time of signing": _edited(lambda d: d["proof"].update(created="2026-01-01T00:00:00Z")),
    "another key": _edited(lambda d: d["proof"].update(verificationMethod=STRANGER.method)),
    "another purpose": _edited(lambda d: d["proof"].update(proofPurpose="authentication")),
    "another type of proof": _edited(lambda d: d["proof"].update(type="Ed25519Signature2018")),
    "another signature": _edited(
        lambda d: d["proof"].update(proofValue=d["proof"]["proofValue"][:-3] + "abc")
    ),
    "base64url": _edited(lambda d: d["proof"].update(proofValue="u" + d["proof"]["proofValue"][1:])),
    "no signature": _edited(lambda d: d["proof"].pop("proofValue")),
    "no proof": _edited(lambda d: d.pop("proof")),
}
# Faults that the issuer makes: the signature fits.
ISSUED: dict[str, Callable[[Document], object]] = {
    "expired": lambda d: d.update(expirationDate="2026-05-01T00:00:00Z"),
    "not yet valid": lambda d: d.update(issuanceDate="2026-07-01T00:00:00Z"),
}


@pytest.mark.parametrize("fault", CHANGED)
def test_what_was_changed_is_refused_by_both(
    fault: str, signed: Callable[[Document], Document], they_accept: Callable[[Document], bool]
) -> None:
    document = CHANGED[fault](signed(credential(1)))
    assert (we_accept(document), they_accept(document)) == (False, False)


@pytest.mark.parametrize("fault", ISSUED)
def test_what_was_signed_with_a_fault_is_refused_by_both(
    fault: str, other_software: Any, they_accept: Callable[[Document], bool]
) -> None:
    document = credential(1)
    ISSUED[fault](document)
    how = {"cryptosuite": "Ed25519Signature2020", "key": ISSUER.to_json(), "date": "2026-02-01T00:00:00Z"}
    # The issuer believes that it is another day.
    day = {"expired": "2026-04-01T00:00:00Z", "not yet valid": "2026-07-02T00:00:00Z"}[fault]
    signed = other_software.ask("issue", credential=document, now=day, **how)
    assert (we_accept(signed), they_accept(signed)) == (False, False)
