"""Contexts beside those that were signed, and contexts that are not pinned (DI EdDSA section 3.3.2, FORMATS.md 2)."""

from __future__ import annotations

from typing import Any

import pytest
from fixtures.verification import (
    CONTEXTS,
    KEY_SCHOOL,
    STRANGER,
    as_jwt,
    of_key_school,
)

from node.core.canonical.contexts import DATA_INTEGRITY_V2
from node.core.verify.report import Acceptance, CheckName, Outcome, Reason, Report

Json = dict[str, Any]
UNPINNED = "https://x.example/context"
NOT_LOOKED_UP = "what its terms mean was not looked up"
NOT_READ = "contexts that were added after it was signed are not read"


def appended(*urls: str) -> Any:
    def change(document: Json) -> None:
        document["@context"] = [*document["@context"], *urls]  # the proof may hold the same list

    return change


def contexts_read(report: Report) -> Any:
    assert report.document is not None
    return report.document["@context"]


@pytest.mark.parametrize("url", [DATA_INTEGRITY_V2, UNPINNED], ids=["pinned", "not pinned"])
def test_a_document_is_read_with_the_contexts_that_its_jcs_proof_is_over(url: str) -> None:
    report = of_key_school(tamper=appended(url)).report()
    assert report.acceptance is Acceptance.ACCEPTED
    assert contexts_read(report) == CONTEXTS
    assert report[CheckName.CONFORMANCE].basis.endswith(NOT_READ)


def test_a_context_that_is_appended_does_not_switch_off_the_look_at_terms() -> None:
    report = of_key_school(write=lambda d: d.update(unheardOf="yes"), tamper=appended(UNPINNED)).report()
    assert report[CheckName.CONFORMANCE].outcome is Outcome.FAILED


def test_of_two_proofs_of_the_issuer_the_contexts_of_both_are_read() -> None:
    def extended(issued: Json) -> Json:
        return KEY_SCHOOL.sign({**issued, "@context": [*issued["@context"], DATA_INTEGRITY_V2]})

    report = of_key_school(disclose=extended).report()
    assert report[CheckName.PROOF].outcome is Outcome.PASSED
    assert contexts_read(report) == CONTEXTS


@pytest.mark.parametrize(
    "stranger",
    [
        {"cryptosuite": "eddsa-jcs-2022", "@context": CONTEXTS[:1]},
        {"cryptosuite": "eddsa-rdfc-2022"},
        {"cryptosuite": "xyz-2030"},
    ],
    ids=["over fewer contexts", "over statements", "of a suite that is not known"],
)
def test_the_proofs_of_others_do_not_decide_what_is_read(stranger: Json) -> None:
    def beside(document: Json) -> None:
        proof = {**document["proof"][0], "verificationMethod": STRANGER.method}
        del proof["@context"]
        document["proof"].append(proof | stranger)
        appended(UNPINNED)(document)

    report = of_key_school(tamper=beside).report()
    assert report[CheckName.PROOF].outcome is Outcome.PASSED
    assert contexts_read(report) == CONTEXTS


def test_a_proof_over_other_contexts_than_the_document_begins_with_does_not_fit() -> None:
    def replaced(document: Json) -> None:
        document["@context"] = [*document["@context"][:1], DATA_INTEGRITY_V2, *document["@context"][1:]]

    assert of_key_school(tamper=replaced).report()[CheckName.PROOF].reason is Reason.CHANGED


def test_statements_are_signed_with_all_contexts_of_the_document() -> None:
    options = {"cryptosuite": "eddsa-rdfc-2022"}
    report = of_key_school(options=options, tamper=appended(UNPINNED)).report()
    assert report[CheckName.PROOF].reason is Reason.CONTEXT_NOT_PINNED
    assert contexts_read(of_key_school(options=options).report()) == CONTEXTS


@pytest.mark.parametrize("more", [{}, {"token": as_jwt}], ids=["JCS", "JWT"])
def test_a_context_that_is_not_pinned_is_told_where_the_members_themselves_are_signed(more: Json) -> None:
    report = of_key_school(write=appended(UNPINNED), **more).report()
    assert report[CheckName.CONFORMANCE].outcome is Outcome.PASSED
    assert f"{UNPINNED} is not pinned here" in report[CheckName.CONFORMANCE].basis
    assert NOT_LOOKED_UP in report[CheckName.CONFORMANCE].basis
    assert NOT_LOOKED_UP not in of_key_school(**more).report()[CheckName.CONFORMANCE].basis
