"""CLR 2.0: a record is verified, and every credential in it; the worst decides."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from fixtures.sd_jwt import badge_sd_jwt, bound
from fixtures.verification import (
    KEY_SCHOOL,
    LEARNER,
    NOW,
    STRANGER,
    Story,
    as_jwt,
    badge,
    of_key_school,
    signed_token,
    without_status,
)

from node.core.anchor import credential_digest
from node.core.verify.intake import MAX_CREDENTIALS, MAX_DEPTH
from node.core.verify.report import Acceptance, CheckName, Outcome, Reason, Report

Json = dict[str, Any]
CLR_CONTEXT = "https://purl.imsglobal.org/spec/clr/v2p0/context-2.0.1.json"


def inner(number: int = 1, **changes: Any) -> Json:
    document = badge(KEY_SCHOOL.did)
    without_status(document)
    del document["evidence"]
    document["id"] = f"urn:uuid:6b0d5c6e-3a3f-4b57-9d0e-2f1f4c6f7b{number:02}"
    return KEY_SCHOOL.sign({**document, **changes})


def record(*held: Any) -> Callable[[Json], None]:
    """Makes a record of a badge."""

    def change(document: Json) -> None:
        without_status(document)
        del document["evidence"]
        document["@context"].insert(1, CLR_CONTEXT)
        document["type"] = ["VerifiableCredential", "ClrCredential"]
        subject = document["credentialSubject"]
        del subject["achievement"]
        document["credentialSubject"] = {
            **subject,
            "type": ["ClrSubject"],
            "verifiableCredential": list(held),
        }

    return change


def inner_record(*held: Any) -> Json:
    document = badge(KEY_SCHOOL.did)
    record(*held)(document)
    document["id"] = "urn:uuid:6b0d5c6e-3a3f-4b57-9d0e-2f1f4c6f7c00"
    return KEY_SCHOOL.sign(document)


def of_record(*held: Any, **changes: Any) -> Story:
    return of_key_school(write=record(*held), **changes)


def test_a_record_of_sound_credentials_is_accepted_with_a_report_on_each() -> None:
    report = of_record(inner(1), inner(2)).report()
    assert report.acceptance is Acceptance.ACCEPTED
    assert [one.acceptance for one in report.credentials] == [Acceptance.ACCEPTED] * 2
    assert report.issuer is not None
    assert report.issuer.id == KEY_SCHOOL.did


@pytest.mark.parametrize(
    ("held", "check", "reason"),
    [
        ({**inner(2), "name": "with honours"}, CheckName.PROOF, Reason.CHANGED),
        ({n: v for n, v in inner(2).items() if n != "proof"}, CheckName.PROOF, Reason.NO_PROOF),
        (inner(2, validUntil="2026-05-01T00:00:00Z"), CheckName.VALIDITY_PERIOD, Reason.EXPIRED),
        ({n: v for n, v in inner(2).items() if n != "issuer"}, CheckName.CONFORMANCE, Reason.NOT_CONFORMING),
        ({}, CheckName.CONFORMANCE, Reason.NOT_CONFORMING),
    ],
    ids=["changed", "unsigned", "expired", "no credential", "empty"],
)
def test_a_record_with_one_credential_that_fails_is_refused(
    held: Json, check: CheckName, reason: Reason
) -> None:
    report = of_record(inner(1), held).report()
    assert report.acceptance is Acceptance.REFUSED
    assert report[check].reason is reason
    assert report.credentials[0].acceptance is Acceptance.ACCEPTED
    if check is not CheckName.CONFORMANCE:
        assert report[check].basis.startswith("credential 2 of the 2 in it: ")


def test_a_credential_of_an_issuer_who_is_not_listed_leaves_the_record_undetermined() -> None:
    theirs = STRANGER.sign({**{n: v for n, v in inner(1).items() if n != "proof"}, "issuer": STRANGER.did})
    report = of_record(theirs).report()
    assert report.acceptance is Acceptance.UNDETERMINED
    assert report[CheckName.ISSUER_TRUST].reason is Reason.ISSUER_NOT_LISTED


def test_sound_credentials_do_not_make_a_changed_record_sound() -> None:
    report = of_record(inner(1), tamper=lambda document: document.update(name="Another")).report()
    assert report.acceptance is Acceptance.REFUSED
    assert not report.verified


def test_a_credential_in_a_presented_record_must_be_its_holders() -> None:
    other = inner(2)
    other["credentialSubject"]["id"] = STRANGER.did
    del other["proof"]
    report = of_record(inner(1), KEY_SCHOOL.sign(other), holder=LEARNER).report()
    assert report[CheckName.HOLDER_BINDING].reason is Reason.HOLDER_DIFFERS
    assert len(report.credentials) == 1
    assert len(report.credentials[0].credentials) == 2


def test_a_record_that_holds_something_else_than_objects_does_not_conform() -> None:
    report = of_record("eyJhbGciOiJFZERTQSJ9.e30.AAAA").report()
    assert report[CheckName.CONFORMANCE].reason is Reason.NOT_CONFORMING


def test_records_in_records_end_somewhere() -> None:
    held = inner(1)
    for _ in range(MAX_DEPTH):
        document = badge(KEY_SCHOOL.did)
        record(held)(document)
        held = KEY_SCHOOL.sign(document)
    report = of_record(held).report()
    assert report[CheckName.CONFORMANCE].outcome is Outcome.FAILED
    assert report[CheckName.PROOF].outcome is Outcome.PASSED


def test_a_record_has_no_more_credentials_than_a_presentation() -> None:
    report = of_record(*[{}] * (MAX_CREDENTIALS + 1)).report()
    assert report[CheckName.CONFORMANCE].outcome is Outcome.FAILED
    assert not report.credentials


def record_of_1_1(*held: Any) -> str:
    """A record as VC-JWT of version 1.1, where credentials may be texts."""
    record = {
        "@context": ["https://www.w3.org/2018/credentials/v1", "https://x.example/clr"],
        "type": ["VerifiableCredential", "ClrCredential"],
        "issuer": KEY_SCHOOL.did,
        "credentialSubject": {"id": LEARNER.did, "type": ["ClrSubject"], "verifiableCredential": list(held)},
    }
    claims = {"iss": KEY_SCHOOL.did, "nbf": int(NOW.timestamp()), "sub": LEARNER.did, "vc": record}
    return signed_token({"alg": "EdDSA", "typ": "JWT", "kid": KEY_SCHOOL.method}, claims, KEY_SCHOOL)


def test_a_record_of_version_1_1_holds_credentials_as_texts() -> None:
    document = badge(KEY_SCHOOL.did)
    without_status(document)
    sound = as_jwt(KEY_SCHOOL, document)
    report = of_key_school(token=lambda *_: record_of_1_1(sound, sound[:-4] + "AAAA")).report()
    assert [one[CheckName.PROOF].outcome for one in report.credentials] == [Outcome.PASSED, Outcome.FAILED]
    assert report[CheckName.PROOF].reason is Reason.CHANGED


def test_a_text_in_a_record_that_is_no_token_does_not_conform() -> None:
    report = of_key_school(token=lambda *_: record_of_1_1("a text")).report()
    assert report[CheckName.CONFORMANCE].reason is Reason.NOT_CONFORMING
    assert report.acceptance is Acceptance.REFUSED


# Bundles of what a record holds (FORMATS.md section 7) --------------------------------------------------------


def anchored() -> Json:
    """A badge of the school on the chain."""
    found: Json = Story().credential()
    return found


def presented_record(*held: Json, bundles: list[Json]) -> Report:
    """A presentation file of a record, with these bundles beside it."""
    story = of_record(*held, holder=LEARNER, checkpoint=Story().checkpoint_file())
    file = json.loads(story.shown_bytes())
    return story.judge(json.dumps({**file, "bundles": bundles}).encode())


def bundle_beside(credential: Json) -> Json:
    bundle = Story().bundle(credential)
    return bundle.without_credential(credential_digest(credential)).to_json()


def test_a_bundle_of_a_credential_in_a_record_is_its() -> None:
    report = presented_record(inner(1), anchored(), bundles=[bundle_beside(anchored())])
    assert report.acceptance is Acceptance.ACCEPTED
    assert report.notes == ()
    assert report.credentials[0].credentials[1][CheckName.ANCHOR].outcome is Outcome.PASSED


def test_a_bundle_of_a_credential_in_a_record_in_a_record_is_its() -> None:
    outer = inner_record(anchored())
    report = presented_record(outer, bundles=[bundle_beside(anchored())])
    assert report.acceptance is Acceptance.ACCEPTED


def test_without_its_bundle_an_anchored_credential_in_a_record_leaves_it_undetermined() -> None:
    report = presented_record(anchored(), bundles=[])
    assert report.acceptance is Acceptance.UNDETERMINED
    assert report[CheckName.ANCHOR].reason is Reason.BUNDLE_MISSING


def test_a_bundle_of_no_credential_in_a_record_is_ignored_and_told() -> None:
    other = Story(write=lambda d: d.update(name="Another")).credential()
    report = presented_record(anchored(), bundles=[bundle_beside(other)])
    assert report.acceptance is Acceptance.UNDETERMINED
    assert report.notes == ("a bundle that matches no credential was ignored",)


# A record that is presented by its key (RFC 9901 section 4.3) ----------------------------------------------------


def by_key(**subject: Any) -> Report:
    """A record with a key binding, and in it a badge about this subject."""
    held = badge(KEY_SCHOOL.did)
    without_status(held)
    del held["evidence"]
    held["credentialSubject"] = {n: v for n, v in {**held["credentialSubject"], **subject}.items() if v}
    write = record(KEY_SCHOOL.sign(held))
    return of_key_school(write=write, token=badge_sd_jwt(("name",)), disclose=bound(("name",))).report()


@pytest.mark.parametrize(
    ("subject", "outcome", "reason"),
    [
        ({}, Outcome.PASSED, None),
        ({"id": STRANGER.did}, Outcome.FAILED, Reason.HOLDER_DIFFERS),
        ({"id": None}, Outcome.UNKNOWN, Reason.NO_SUBJECT),
    ],
    ids=["the record's", "another", "nobody"],
)
def test_the_key_of_a_record_presents_what_is_in_it_about_its_own_subject_alone(
    subject: Json, outcome: Outcome, reason: Reason | None
) -> None:
    binding = by_key(**subject)[CheckName.HOLDER_BINDING]
    assert (binding.outcome, binding.reason) == (outcome, reason)
