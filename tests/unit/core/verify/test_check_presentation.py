"""CHECKS.md 14 to 16: who presented it, to whom and when; and presentations of several credentials."""

# ruff: noqa: E501 - a table has one row a line

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from fixtures.check_tables import FAILED, NOT_APPLICABLE, PASSED, UNKNOWN, Row, covers, hold, ids
from fixtures.verification import (
    ASKED,
    CHALLENGE,
    CONTEXTS,
    DOMAIN,
    KEY_SCHOOL,
    LEARNER,
    NOW,
    OTHER_LEARNER,
    STRANGER,
    Signatory,
    Story,
    agreed,
    as_jwt,
    as_member,
    badge,
    did_document,
    of_key_school,
    signing_key,
    without_status,
)

from node.core.canonical import expansion
from node.core.verify.holder import Asked
from node.core.verify.materials import DocumentNeed, Mode
from node.core.verify.report import Acceptance, CheckName, Outcome, Reason, Report

Json = dict[str, Any]
WEB_LEARNER = Signatory("did:web:learner.example", "key-1", signing_key("web learner"))
RDF = {"cryptosuite": "eddsa-rdfc-2022"}


def presented(**changes: Any) -> Story:
    return Story(**{"holder": LEARNER, **changes})


def subject_id(identifier: str | None) -> Callable[[Json], None]:
    def change(document: Json) -> None:
        document["credentialSubject"].pop("id")
        if identifier is not None:
            document["credentialSubject"]["id"] = identifier

    return change


def two_subjects(document: Json) -> None:
    other = copy.deepcopy(document["credentialSubject"])
    other["id"] = OTHER_LEARNER.did
    document["credentialSubject"] = [document["credentialSubject"], other]


def endorsement(document: Json) -> None:
    document["type"] = ["VerifiableCredential", "EndorsementCredential"]
    document["credentialSubject"] = {
        "id": "urn:uuid:6b0d5c6e-3a3f-4b57-9d0e-2f1f4c6f7a12",
        "type": ["EndorsementSubject"],
        "endorsementComment": "Well earned",
    }
    document.pop("evidence")
    document.pop("credentialStatus", None)


def endorsement_by_key_school() -> Json:
    document = badge(KEY_SCHOOL.did)
    endorsement(document)
    document["id"] = "urn:uuid:6b0d5c6e-3a3f-4b57-9d0e-2f1f4c6f7a13"
    return KEY_SCHOOL.sign(document)


def renamed_holder(presentation: Json) -> None:
    """The thief's own name for the holder; the signed one keeps its statement under its IRI."""
    presentation["https://www.w3.org/2018/credentials#holder"] = {"@id": presentation.pop("holder")}
    presentation["holder"] = OTHER_LEARNER.did


def by_web(**changes: Any) -> Story:
    """The holder's DID is on the web, and so is the issuer's list of who may be fetched."""
    fields: Json = {
        "holder": WEB_LEARNER,
        "write": subject_id(WEB_LEARNER.did),
        "mode": Mode.FULL,
        "documents": {
            WEB_LEARNER.did: agreed(did_document(WEB_LEARNER.did, WEB_LEARNER, ["authentication"]))
        },
    }
    return Story(**{**fields, **changes})


HOLDER_BINDING = [
    Row("key, holder and subject are one", presented, PASSED),
    Row("an RDF suite", lambda: presented(presentation_options=RDF), PASSED),
    Row("beside an endorsement", lambda: presented(beside=[endorsement_by_key_school()]), PASSED),
    Row("a did:key school", lambda: of_key_school(holder=LEARNER), PASSED),
    Row("presented by another learner", lambda: presented(holder=OTHER_LEARNER), FAILED, Reason.HOLDER_DIFFERS),
    Row("signed by another than its holder", lambda: presented(holder=OTHER_LEARNER, presentation={"holder": LEARNER.did}), FAILED, Reason.HOLDER_DIFFERS),
    Row("one of two subjects is another", lambda: presented(write=two_subjects), FAILED, Reason.HOLDER_DIFFERS),
    Row("changed after it was signed", lambda: presented(tamper_presentation=lambda p: p.update(holder=OTHER_LEARNER.did)), FAILED, Reason.HOLDER_PROOF_WRONG),
    Row("unsigned", lambda: presented(presentation_options={"proofPurpose": None}), FAILED, Reason.HOLDER_PROOF_WRONG),
    Row("signed for another purpose", lambda: presented(presentation_options={"proofPurpose": "assertionMethod"}), FAILED, Reason.HOLDER_PROOF_WRONG),
    Row("expired", lambda: presented(presentation_options={"expires": "2026-05-31T00:00:00Z"}), FAILED, Reason.HOLDER_PROOF_WRONG),
    Row("a document alone", Story, UNKNOWN, Reason.DOCUMENT_ALONE),
    Row("no subject id", lambda: presented(write=subject_id(None)), UNKNOWN, Reason.NO_SUBJECT),
    Row("it does not name its holder", lambda: presented(presentation={"holder": None}), UNKNOWN, Reason.HOLDER_UNRESOLVED),
    Row("holder's DID not resolvable in this mode", lambda: by_web(mode=Mode.CHAIN, checkpoint="shown"), UNKNOWN, Reason.HOLDER_UNRESOLVED),
    Row("holder's DID of somebody who is not listed", by_web, UNKNOWN, Reason.HOLDER_UNRESOLVED),
    Row("a method that is no DID URL", lambda: presented(holder=replace(LEARNER, did="https://learner.example/me")), UNKNOWN, Reason.HOLDER_UNRESOLVED),
    Row("a suite that is not known", lambda: presented(tamper_presentation=lambda p: p["proof"][0].update(cryptosuite="xyz-2030")), UNKNOWN, Reason.HOLDER_UNRESOLVED),
    Row("the presentation cannot be read", lambda: presented(tamper_presentation=lambda p: p.update(holder=7)), UNKNOWN, Reason.NOT_REACHED),
    Row("the credential cannot be read", lambda: presented(tamper=lambda d: d.pop("issuer")), UNKNOWN, Reason.NOT_REACHED),
    Row("an endorsement", lambda: of_key_school(holder=LEARNER, write=endorsement), NOT_APPLICABLE, Reason.NOT_HELD),
    Row("no credentials in it", lambda: of_key_school(holder=LEARNER, presentation={"verifiableCredential": []}), NOT_APPLICABLE, Reason.NOT_HELD),
]  # fmt: skip

CHALLENGE_ROWS = [
    Row("asked, equal, first, in time", presented, PASSED),
    Row("no credentials in it", lambda: of_key_school(holder=LEARNER, presentation={"verifiableCredential": []}), PASSED),
    Row("made for another occasion", lambda: presented(presentation_options={"challenge": "another"}), FAILED, Reason.FOR_SOMEBODY_ELSE),
    Row("missing", lambda: presented(presentation_options={"challenge": None}), FAILED, Reason.FOR_SOMEBODY_ELSE),
    Row("unsigned", lambda: presented(presentation_options={"proofPurpose": None}), FAILED, Reason.FOR_SOMEBODY_ELSE),
    Row("asked, and a document given instead", lambda: Story(asked=ASKED), FAILED, Reason.COPY),
    Row("answered before", lambda: presented(asked=replace(ASKED, first=False)), FAILED, Reason.ANSWERED_BEFORE),
    Row("too late", lambda: presented(asked=replace(ASKED, in_time=False)), FAILED, Reason.ANSWERED_BEFORE),
    Row("the credential cannot be read, and it is another occasion", lambda: presented(tamper=lambda d: d.pop("issuer"), presentation_options={"challenge": "x"}), FAILED, Reason.FOR_SOMEBODY_ELSE),
    Row("nothing was asked", lambda: presented(asked=Asked()), UNKNOWN, Reason.NOT_ASKED),
    Row("only a domain was asked", lambda: presented(asked=Asked(domain=(DOMAIN,))), UNKNOWN, Reason.NOT_ASKED),
    Row("a document", Story, NOT_APPLICABLE, Reason.DOCUMENT_ALONE),
]  # fmt: skip

TWO = ["https://b.example", DOMAIN]

DOMAIN_ROWS = [
    Row("asked and equal", presented, PASSED),
    Row("equal as sets", lambda: presented(presentation_options={"domain": TWO}, asked=Asked(CHALLENGE, (DOMAIN, "https://b.example"))), PASSED),
    Row("another", lambda: presented(presentation_options={"domain": "https://b.example"}), FAILED, Reason.FOR_SOMEBODY_ELSE),
    Row("one more than was asked", lambda: presented(presentation_options={"domain": TWO}), FAILED, Reason.FOR_SOMEBODY_ELSE),
    Row("one fewer than was asked", lambda: presented(asked=Asked(CHALLENGE, tuple(TWO))), FAILED, Reason.FOR_SOMEBODY_ELSE),
    Row("a slash more", lambda: presented(presentation_options={"domain": DOMAIN + "/"}), FAILED, Reason.FOR_SOMEBODY_ELSE),
    Row("missing", lambda: presented(presentation_options={"domain": None}), FAILED, Reason.FOR_SOMEBODY_ELSE),
    Row("asked, and a document given instead", lambda: Story(asked=ASKED), FAILED, Reason.COPY),
    Row("answered before", lambda: presented(asked=replace(ASKED, first=False)), FAILED, Reason.ANSWERED_BEFORE),
    Row("nothing was asked", lambda: presented(asked=Asked(CHALLENGE)), UNKNOWN, Reason.NOT_ASKED),
    Row("a document", Story, NOT_APPLICABLE, Reason.DOCUMENT_ALONE),
    Row("a document, where one will do", lambda: Story(asked=replace(ASKED, of_documents=False)), NOT_APPLICABLE, Reason.DOCUMENT_ALONE),
]  # fmt: skip

TABLES = {
    CheckName.HOLDER_BINDING: HOLDER_BINDING,
    CheckName.CHALLENGE: CHALLENGE_ROWS,
    CheckName.DOMAIN: DOMAIN_ROWS,
}


@pytest.mark.parametrize("row", HOLDER_BINDING, ids=ids)
def test_holder_binding(row: Row) -> None:
    hold(CheckName.HOLDER_BINDING, row)


@pytest.mark.parametrize("row", CHALLENGE_ROWS, ids=ids)
def test_challenge(row: Row) -> None:
    hold(CheckName.CHALLENGE, row)


@pytest.mark.parametrize("row", DOMAIN_ROWS, ids=ids)
def test_domain(row: Row) -> None:
    hold(CheckName.DOMAIN, row)


@pytest.mark.parametrize("check", TABLES)
def test_every_outcome_is_possible_and_in_the_table(check: CheckName) -> None:
    covers(TABLES[check], {})


ENVELOPE = {
    "@context": CONTEXTS[:1],
    "id": "data:application/vc+jwt,eyJhbGciOiJFZERTQSJ9.e30.AAAA",
    "type": "EnvelopedVerifiableCredential",
}


def bare_badge() -> Json:
    document = badge(KEY_SCHOOL.did)
    without_status(document)
    document["id"] = "urn:uuid:6b0d5c6e-3a3f-4b57-9d0e-2f1f4c6f7a14"
    return document


@pytest.mark.parametrize(
    ("beside", "acceptance"),
    [
        ([], Acceptance.ACCEPTED),
        ([KEY_SCHOOL.sign(bare_badge())], Acceptance.ACCEPTED),
        ([endorsement_by_key_school()], Acceptance.ACCEPTED),
        ([STRANGER.sign({**bare_badge(), "issuer": STRANGER.did})], Acceptance.UNDETERMINED),
        ([{**KEY_SCHOOL.sign(bare_badge()), "name": "x"}], Acceptance.REFUSED),
        ([bare_badge()], Acceptance.REFUSED),
        ([as_member(as_jwt(KEY_SCHOOL, bare_badge()))], Acceptance.ACCEPTED),
        ([ENVELOPE], Acceptance.REFUSED),
        ([{}], Acceptance.REFUSED),
    ],
    ids=[
        "alone",
        "sound",
        "endorsement",
        "unlisted issuer",
        "changed",
        "unsigned",
        "enveloped",
        "envelope of nothing",
        "empty",
    ],
)
def test_the_worst_of_several_credentials_decides(beside: list[Json], acceptance: Acceptance) -> None:
    report = presented(beside=beside).report()
    assert report.acceptance is acceptance
    if report[CheckName.CONFORMANCE].outcome is Outcome.PASSED:
        assert len(report.credentials) == 1 + len(beside)
    for name in CheckName:
        order = [Outcome.FAILED, Outcome.UNKNOWN, Outcome.PASSED, Outcome.NOT_APPLICABLE]
        worst = min(order.index(one[name].outcome) for one in report.credentials)
        assert order.index(report[name].outcome) <= worst


def test_a_presentation_without_credentials_is_not_accepted() -> None:
    report = of_key_school(holder=LEARNER, presentation={"verifiableCredential": []}).report()
    assert report.acceptance is Acceptance.UNDETERMINED
    assert report[CheckName.PROOF].outcome is Outcome.PASSED


def test_a_holder_renamed_under_an_rdf_suite_is_not_read() -> None:
    """The statements stay those that were signed, and the member that is read would be another's."""
    report = presented(presentation_options=RDF, tamper_presentation=renamed_holder).report()
    assert report.acceptance is not Acceptance.ACCEPTED


def test_a_presentation_replayed_to_another_verifier_is_refused() -> None:
    data = presented().shown_bytes()
    replayed = presented(asked=Asked("AnotherChallenge123456789", ("https://other.example",)))
    report = replayed.judge(data)
    assert report.acceptance is Acceptance.REFUSED
    assert not report.verified


def test_a_copy_of_the_document_does_not_answer_what_was_asked() -> None:
    # Whoever got hold of a copy could else leave the presentation out.
    for shown in (Story(asked=ASKED), Story(asked=Asked(domain=(DOMAIN,)))):
        assert shown.report().acceptance is Acceptance.REFUSED


def test_a_bundle_that_matches_no_credential_is_ignored_and_told() -> None:
    def other_digest(bundle: Json) -> None:
        del bundle["credential"]
        bundle["credentialDigest"] = "0x" + "11" * 32

    report = presented(spoil=other_digest).report()
    assert report.notes == ("a bundle that matches no credential was ignored",)
    assert report[CheckName.ANCHOR].reason is Reason.BUNDLE_MISSING


def test_a_holder_on_the_web_is_not_asked_for_unless_listed() -> None:
    """Else whoever presents could make a verifier call at a host of his choice."""
    story = by_web()
    story.report()
    assert not any(isinstance(need, DocumentNeed) for need in story.needed)


def test_presented_credentials_are_judged_at_one_time() -> None:
    report = presented(as_of=NOW).report()
    assert {one.as_of for one in (report, *report.credentials)} == {NOW}


def test_a_presentation_whose_credentials_need_too_many_contexts_together_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(expansion, "MAX_CONTEXTS_OF_REPORT", 200)

    def shown(count: int) -> Report:
        own = [{**without_proof, "@context": [*CONTEXTS, {f"x{n}": "urn:x"}]} for n in range(count)]
        return of_key_school(
            options={"cryptosuite": "eddsa-rdfc-2022"},
            holder=LEARNER,
            beside=[KEY_SCHOOL.sign(one, cryptosuite="eddsa-rdfc-2022") for one in own],
        ).report()

    without_proof = {name: value for name, value in of_key_school().credential().items() if name != "proof"}
    assert shown(1).acceptance is Acceptance.ACCEPTED
    report = shown(6)
    assert report.acceptance is Acceptance.REFUSED
    assert "too many contexts" in report[CheckName.CONFORMANCE].basis
