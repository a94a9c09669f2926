"""Where a document breaks a rule says which rule it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from fixtures.verification import of_key_school

from node.core.problem import MALFORMED_VALUE_ERROR, Problem
from node.core.verify.clauses import CLAUSES, cite
from node.core.verify.report import Check, CheckName, Outcome, Reason


@pytest.mark.parametrize(
    ("path", "clause"),
    [
        (("issuer",), "VC Data Model 2.0 section 4.7"),
        (("issuer", "id"), "VC Data Model 2.0 section 4.7"),
        (("id",), "VC Data Model 2.0 section 4.4"),
        (("credentialSubject", "achievement", "id"), "VC Data Model 2.0 section 4.4"),
        (("credentialSubject", 1), "VC Data Model 2.0 section 4.8"),
        (("credentialStatus", 0, "statusListIndex"), "Bitstring Status List 1.0 section 2.1"),
        (("verifiableCredential", 0, "validUntil"), "VC Data Model 2.0 section 4.9"),
        (("proof", 0, "created"), "VC Data Integrity 1.0 section 2.1"),
        (("credentialSchema", "id"), "VC Data Model 2.0 section 4.11"),
        ((), "VC Data Model 2.0 sections 5.2 and 6"),
    ],
    ids=str,
)
def test_the_place_of_a_fault_tells_its_clause(path: tuple[str | int, ...], clause: str) -> None:
    fault = Problem(MALFORMED_VALUE_ERROR, "it is wrong", path)
    broken = Check(CheckName.CONFORMANCE, Outcome.FAILED, "it is wrong", Reason.NOT_CONFORMING, (fault,))
    told = cite(broken)
    assert clause in told.basis
    assert told.problems == (fault,)


def alike(document: dict[str, Any]) -> None:
    leaves = [{"type": ["Alignment"]}] * 40
    document["credentialSubject"]["result"] = [{"type": ["Result"], "alignment": leaves}] * 60


def named_twice(document: dict[str, Any]) -> None:
    document["evidence"] = {"id": document["id"], "type": ["Evidence"], "name": "moved here"}


@pytest.mark.parametrize(
    ("change", "detail", "clause"),
    [
        (alike, "too alike to be put in order within the work limit", "Canonicalization 1.0 section 7.1"),
        (named_twice, "two different objects have the same id", "FORMATS.md section 2"),
    ],
    ids=["a poisoned graph", "one identifier of two objects"],
)
def test_a_rule_about_the_whole_is_told_for_the_place_where_it_is_broken(
    change: Callable[[dict[str, Any]], None], detail: str, clause: str
) -> None:
    report = of_key_school(options={"cryptosuite": "eddsa-rdfc-2022"}, tamper=change).report()
    broken = report[CheckName.CONFORMANCE]
    assert (broken.outcome, broken.reason) == (Outcome.FAILED, Reason.NOT_CONFORMING)
    assert detail in broken.basis
    assert clause in broken.basis


def test_what_is_cited_once_is_not_cited_again() -> None:
    told = cite(Check(CheckName.PROOF, Outcome.FAILED, "nobody signed it", Reason.NO_PROOF))
    assert cite(told) == told
    assert told.basis == f"nobody signed it [{CLAUSES[Reason.NO_PROOF]}]"


def test_a_document_that_speaks_in_brackets_does_not_silence_the_clause() -> None:
    told = cite(Check(CheckName.PROOF, Outcome.FAILED, "no proof of [my own]", Reason.NO_PROOF))
    assert told.basis.endswith(f" [{CLAUSES[Reason.NO_PROOF]}]")


@pytest.mark.parametrize(
    ("suite", "clause"),
    [
        ("ecdsa-sd-2023", "ECDSA Cryptosuites 1.0 section 3.6"),
        ("bbs-2023", "BBS Cryptosuites 1.0 section 3.4"),
    ],
)
def test_a_base_proof_is_refused_by_the_clause_of_its_own_suite(suite: str, clause: str) -> None:
    basis = f"a base proof of {suite} is for its holder alone"
    told = cite(Check(CheckName.PROOF, Outcome.FAILED, basis, Reason.BASE_PROOF))
    assert told.basis == f"{basis} [{clause}]"


@pytest.mark.parametrize("outcome", [Outcome.PASSED, Outcome.UNKNOWN, Outcome.NOT_APPLICABLE])
def test_only_failures_cite(outcome: Outcome) -> None:
    check = Check(CheckName.STATUS, outcome, "as it is", Reason.NO_STATUS)
    assert cite(check) is check


def test_a_failure_without_a_problem_of_a_standard_gets_one_of_ours() -> None:
    told = cite(Check(CheckName.STATUS, Outcome.FAILED, "revoked", Reason.REVOKED))
    assert [one.type for one in told.problems] == ["urn:bonafides:problem:check-revoked"]
