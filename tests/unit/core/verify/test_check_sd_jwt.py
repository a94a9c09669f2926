"""SD-JWT: what a holder withholds, with which key it is presented, and the claims that no holder may withhold."""

# ruff: noqa: E501 - a table has one row a line

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from fixtures.check_tables import FAILED, NOT_APPLICABLE, PASSED, UNKNOWN, Row, hold, ids
from fixtures.sd_jwt import (
    ACHIEVEMENT,
    CRITERIA,
    NAME,
    VCT,
    badge_sd_jwt,
    bound,
    claims_sd_jwt,
    raw_sd_jwt,
    showing,
)
from fixtures.verification import (
    CHALLENGE,
    DOMAIN,
    KEY_SCHOOL,
    LEARNER,
    LIST_URL,
    NOW,
    OTHER_LEARNER,
    SCHOOL,
    STRANGER,
    LedgerState,
    Signatory,
    Story,
    agreed,
    did_document,
    entry,
    of_key_school,
    public,
    revoked,
    signed_token,
    signing_key,
    without_status,
)

from node.core.verify.holder import Asked
from node.core.verify.materials import Mode
from node.core.verify.policy import ANY_ISSUER_UNSAFE
from node.core.verify.presentation import MAX_KEY_BINDING_AGE
from node.core.verify.report import Acceptance, CheckName, Outcome, Reason

Json = dict[str, Any]


def story(**changes: Any) -> Story:
    """A badge of a did:ethr school, of which the holder shows one name, bound to his key."""
    return Story(**{"token": badge_sd_jwt(), "disclose": bound(ACHIEVEMENT), **changes})


def flat(**changes: Any) -> Story:
    """An SD-JWT VC of a did:key school."""
    return of_key_school(**{"token": claims_sd_jwt(), "disclose": bound(("grade",)), **changes})


def test_one_name_of_an_anchored_badge_is_presented_and_anchor_key_and_status_still_pass() -> None:
    report = story().report()
    passed = (CheckName.PROOF, CheckName.ANCHOR, CheckName.KEY, CheckName.STATUS, CheckName.HOLDER_BINDING)
    assert {report[name].outcome for name in passed} == {Outcome.PASSED}
    assert report.acceptance is Acceptance.ACCEPTED
    assert report.document is not None
    assert report.document["credentialSubject"]["achievement"] == {
        "id": "urn:uuid:0f0e0d0c-0000-4000-8000-000000000001",
        "type": ["Achievement"],
        "name": "Data structures",
        "description": "Lists, trees and tables",
    }


def test_whatever_is_disclosed_the_anchored_digest_is_the_same() -> None:
    for disclose in (None, showing(), showing(NAME), showing(NAME, CRITERIA)):
        assert story(disclose=disclose).report()[CheckName.ANCHOR].outcome is Outcome.PASSED


def test_a_disclosed_badge_that_was_revoked_is_refused() -> None:
    report = story(shown=LedgerState(values=revoked())).report()
    assert report[CheckName.STATUS].reason is Reason.REVOKED
    assert report.acceptance is Acceptance.REFUSED


SCHEMA = [
    Row("nothing withheld", lambda: story(disclose=None), PASSED),
    Row("what was withheld is required", story, UNKNOWN, Reason.MAY_BE_HIDDEN),
    Row("nothing withheld, and something is missing", lambda: story(write=lambda d: d["credentialSubject"]["achievement"].pop("description"), disclose=None), FAILED, Reason.SCHEMA_BROKEN),
    Row("what is shown is wrong", lambda: story(write=lambda d: d["credentialSubject"]["achievement"].update(name=7)), FAILED, Reason.SCHEMA_BROKEN),
]  # fmt: skip


@pytest.mark.parametrize("row", SCHEMA, ids=ids)
def test_schema(row: Row) -> None:
    hold(CheckName.SCHEMA, row)


# What may be withheld ---------------------------------------------------------------------------------------


def no_end(document: Json) -> None:
    del document["validUntil"]


def no_begin(document: Json) -> None:
    del document["validFrom"]


STATUS = [
    Row("a status entry in the open", story, PASSED),
    Row("nothing withheld, and no entry", lambda: story(write=without_status, disclose=None), NOT_APPLICABLE, Reason.NO_STATUS),
    Row("something withheld, and no entry", lambda: story(write=without_status), UNKNOWN, Reason.MAY_BE_HIDDEN),
    Row("something withheld deeper down, and no entry", lambda: story(write=without_status, token=badge_sd_jwt(CRITERIA), disclose=showing()), NOT_APPLICABLE, Reason.NO_STATUS),
    Row("claims: something withheld, and no status", flat, UNKNOWN, Reason.MAY_BE_HIDDEN),
    Row("claims: a status in the words of the data model, of a kind that is not read", lambda: flat(token=claims_sd_jwt(credentialStatus={"id": "urn:x:1", "type": "OtherStatus"})), UNKNOWN, Reason.STATUS_LIST_UNKNOWN),
    Row("claims: nothing withheld, and no status", lambda: flat(disclose=None), NOT_APPLICABLE, Reason.NO_STATUS),
]  # fmt: skip

PAST, TO_COME = "2026-05-01T00:00:00Z", "2026-07-01T00:00:00Z"

VALIDITY = [
    Row("an end in the open", story, PASSED),
    Row("nothing withheld, and no end", lambda: story(write=no_end, disclose=None), PASSED),
    Row("something withheld, and no end", lambda: story(write=no_end), UNKNOWN, Reason.MAY_BE_HIDDEN),
    Row("something withheld, and no beginning", lambda: story(write=no_begin), UNKNOWN, Reason.MAY_BE_HIDDEN),
    Row("nothing withheld, and no beginning", lambda: story(write=no_begin, disclose=None), PASSED),
    Row("something withheld deeper down, and no beginning", lambda: story(write=no_begin, token=badge_sd_jwt(CRITERIA), disclose=showing()), PASSED),
    Row("claims: something withheld, and no beginning", lambda: flat(token=claims_sd_jwt(without=["nbf"])), UNKNOWN, Reason.MAY_BE_HIDDEN),
    Row("its beginning is to come, and no end", lambda: story(write=lambda d: (no_end(d), d.update(validFrom="2026-07-01T00:00:00Z"))), FAILED, Reason.NOT_YET_VALID),
    Row("claims: an end in the open", flat, PASSED),
    Row("claims: its end is past", lambda: flat(token=claims_sd_jwt(exp=int(NOW.timestamp()))), FAILED, Reason.EXPIRED),
    Row("claims: its beginning is to come", lambda: flat(token=claims_sd_jwt(nbf=int(NOW.timestamp()) + 1)), FAILED, Reason.NOT_YET_VALID),
    Row("claims: past by validUntil, and not by exp", lambda: flat(token=claims_sd_jwt(validUntil=PAST)), FAILED, Reason.EXPIRED),
    Row("claims: past by expirationDate, and not by exp", lambda: flat(token=claims_sd_jwt(expirationDate=PAST)), FAILED, Reason.EXPIRED),
    Row("claims: past by exp, and not by validUntil", lambda: flat(token=claims_sd_jwt(exp=int(NOW.timestamp()), validUntil=TO_COME)), FAILED, Reason.EXPIRED),
    Row("claims: to come by validFrom, and not by nbf", lambda: flat(token=claims_sd_jwt(validFrom=TO_COME)), FAILED, Reason.NOT_YET_VALID),
    Row("claims: to come by issuanceDate, and not by nbf", lambda: flat(token=claims_sd_jwt(issuanceDate=TO_COME)), FAILED, Reason.NOT_YET_VALID),
    Row("claims: begin and end in the words of the data model besides", lambda: flat(token=claims_sd_jwt(validFrom=PAST, validUntil=TO_COME)), PASSED),
    Row("claims: something withheld, and an end as validUntil alone", lambda: flat(token=claims_sd_jwt(without=["exp"], validUntil=TO_COME)), UNKNOWN, Reason.MAY_BE_HIDDEN),
    Row("claims: something withheld, and a beginning as validFrom alone", lambda: flat(token=claims_sd_jwt(without=["nbf"], validFrom=PAST)), UNKNOWN, Reason.MAY_BE_HIDDEN),
    Row("claims: something withheld, and no end", lambda: flat(token=claims_sd_jwt(without=["exp"])), UNKNOWN, Reason.MAY_BE_HIDDEN),
]  # fmt: skip


@pytest.mark.parametrize("row", STATUS, ids=ids)
def test_status(row: Row) -> None:
    hold(CheckName.STATUS, row)


@pytest.mark.parametrize("row", VALIDITY, ids=ids)
def test_validity_period(row: Row) -> None:
    hold(CheckName.VALIDITY_PERIOD, row)


def test_claims_of_a_school_on_a_chain_are_anchored_and_revoked_as_badges_are() -> None:
    def anchored_claims(**changes: Any) -> Story:
        token = claims_sd_jwt(credentialStatus=entry())
        return Story(**{"token": token, "disclose": bound(("grade",)), "show": (), **changes})

    assert anchored_claims().report().acceptance is Acceptance.ACCEPTED
    report = anchored_claims(shown=LedgerState(values=revoked())).report()
    assert report[CheckName.STATUS].reason is Reason.REVOKED


def test_the_end_of_claims_is_told_as_expiry_and_not_as_a_wrong_signature() -> None:
    report = flat(token=claims_sd_jwt(exp=int(NOW.timestamp()))).report()
    assert report[CheckName.PROOF].outcome is Outcome.PASSED


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("credentialStatus", entry()),
        ("validUntil", "2030-01-01T00:00:00Z"),
        ("validFrom", "2026-04-01T00:00:00Z"),
        ("issuer", SCHOOL.did),
        ("cnf", {"jwk": public(LEARNER.key).to_jwk()}),
    ],
    ids=["status", "end", "beginning", "issuer", "holder"],
)
def test_status_validity_issuer_and_holder_out_of_a_disclosure_do_not_conform(
    member: str, value: Json
) -> None:
    token = raw_sd_jwt({member: value}, [(member,)], typ="vc+sd-jwt")
    hold(
        CheckName.CONFORMANCE,
        Row(member, lambda: story(token=token, disclose=None), FAILED, Reason.UNREADABLE),
    )


@pytest.mark.parametrize(
    ("member", "check"),
    [
        ("credentialStatus", CheckName.STATUS),
        ("validUntil", CheckName.VALIDITY_PERIOD),
        ("issuer", CheckName.CONFORMANCE),
    ],
)
def test_status_end_and_issuer_that_were_withheld_are_missed(member: str, check: CheckName) -> None:
    """By an issuer who let his holders withhold them."""

    def token(signatory: Signatory, document: Json) -> str:
        return raw_sd_jwt({member: document[member]}, [(member,)], typ="vc+sd-jwt")(signatory, document)

    report = story(token=token, disclose=showing()).report()
    assert report[check].outcome in (FAILED, UNKNOWN)
    assert report.acceptance is not Acceptance.ACCEPTED


def two_subjects(document: Json) -> None:
    without_status(document)
    document["type"] = ["VerifiableCredential"]
    del document["evidence"]
    document["credentialSubject"] = [{"id": one.did} for one in (LEARNER, OTHER_LEARNER)]


def test_the_holder_of_a_credential_about_two_is_not_its_one_subject_by_withholding_the_other() -> None:
    for shown, outcome in ((showing(), Outcome.UNKNOWN), (showing(("credentialSubject", 1)), Outcome.FAILED)):
        report = of_key_school(
            write=two_subjects,
            token=badge_sd_jwt(("credentialSubject", 1), holder=None),
            disclose=shown,
            holder=LEARNER,
        ).report()
        assert report[CheckName.PROOF].outcome is Outcome.PASSED
        assert report[CheckName.HOLDER_BINDING].outcome is outcome


@pytest.mark.parametrize("member", ["iss", "exp", "nbf", "cnf", "vct", "status"])
def test_claims_that_are_never_withheld_do_not_conform_out_of_a_disclosure(member: str) -> None:
    values: Json = {
        "iss": KEY_SCHOOL.did,
        "exp": 4_000_000_000,
        "nbf": 1,
        "cnf": {"jwk": public(LEARNER.key).to_jwk()},
        "vct": VCT,
        "status": {"status_list": {"idx": 1, "uri": LIST_URL}},
    }
    report = flat(token=raw_sd_jwt({member: values[member]}, [(member,)]), disclose=None).report()
    assert report[CheckName.CONFORMANCE].outcome is Outcome.FAILED


def test_one_of_several_status_entries_cannot_be_withheld() -> None:
    listed = [entry(), entry("suspension", 3)]
    token = raw_sd_jwt({"credentialStatus": listed}, [("credentialStatus", 0)], typ="vc+sd-jwt")
    report = story(token=token, disclose=showing()).report()
    assert report.acceptance is not Acceptance.ACCEPTED
    assert report[CheckName.CONFORMANCE].outcome is Outcome.FAILED


# Claims of its own ------------------------------------------------------------------------------------------

CONFORMANCE = [
    Row("a badge", story, PASSED),
    Row("claims", flat, PASSED),
    Row("no issuer named, but a key of a DID", lambda: flat(token=claims_sd_jwt(without=["iss"])), PASSED),
    Row("an issuer that is no URL", lambda: flat(token=claims_sd_jwt(iss="The School")), FAILED, Reason.NOT_CONFORMING),
    Row("an end before the beginning", lambda: flat(token=claims_sd_jwt(nbf=4_000_000_000)), FAILED, Reason.NOT_CONFORMING),
    Row("an end in the words of the data model before the beginning", lambda: flat(token=claims_sd_jwt(validUntil="2000-01-01T00:00:00Z")), FAILED, Reason.NOT_CONFORMING),
    Row("an end in the words of the data model that is no time", lambda: flat(token=claims_sd_jwt(validUntil="soon")), FAILED, Reason.NOT_CONFORMING),
    Row("an end in the words of the data model that is no text", lambda: flat(token=claims_sd_jwt(expirationDate=7)), FAILED, Reason.NOT_CONFORMING),
    Row("a type that a data model knows", lambda: flat(token=claims_sd_jwt(vct="ClrCredential")), PASSED),
    Row("no type", lambda: of_key_school(token=lambda s, _: signed_token({"alg": "EdDSA", "typ": "dc+sd-jwt", "kid": s.method}, {"iss": s.did}, s) + "~"), FAILED, Reason.UNREADABLE),
    Row("a disclosure that nothing asks for", lambda: flat(disclose=lambda token: token + "WyJzYWx0IiwgImFkbWluIiwgdHJ1ZV0~"), FAILED, Reason.UNREADABLE),
]  # fmt: skip

PROOF = [
    Row("claims, by a self-certifying key", flat, PASSED),
    Row("no issuer named, but a key of a DID", lambda: flat(token=claims_sd_jwt(without=["iss"])), PASSED),
    Row("claims of somebody else's", lambda: flat(token=claims_sd_jwt(iss=STRANGER.did)), FAILED, Reason.ONLY_THIRD_PARTY_PROOFS),
    Row("claims that are addressed to the verifier (aud)", lambda: flat(token=claims_sd_jwt(aud=DOMAIN)), PASSED),
    Row("claims that are addressed to somebody else (aud)", lambda: flat(token=claims_sd_jwt(aud="https://elsewhere.example")), FAILED, Reason.FOR_SOMEBODY_ELSE),
    Row("no issuer named, and a key at an https address", lambda: flat(token=lambda s, _: signed_token({"alg": "EdDSA", "typ": "dc+sd-jwt", "kid": "https://school.example/keys/1"}, {"vct": VCT}, s) + "~", disclose=None), UNKNOWN, Reason.KEY_NOT_LOOKED_UP),
    Row("neither issuer nor key named", lambda: flat(token=lambda s, _: signed_token({"alg": "EdDSA", "typ": "dc+sd-jwt"}, {"vct": VCT}, s) + "~", disclose=None), UNKNOWN, Reason.KEY_NOT_LOOKED_UP),
]  # fmt: skip


@pytest.mark.parametrize("row", CONFORMANCE, ids=ids)
def test_conformance(row: Row) -> None:
    hold(CheckName.CONFORMANCE, row)


@pytest.mark.parametrize("row", PROOF, ids=ids)
def test_proof(row: Row) -> None:
    hold(CheckName.PROOF, row)


def test_claims_of_an_issuer_who_is_not_named_belong_to_whose_key_signed_them() -> None:
    report = flat(token=claims_sd_jwt(without=["iss"])).report()
    assert report.issuer is not None
    assert report.issuer.id == KEY_SCHOOL.did


def test_nobody_is_named_as_issuer_where_the_token_names_none() -> None:
    def nameless(signatory: Signatory, _: Json) -> str:
        return signed_token({"alg": "EdDSA", "typ": "dc+sd-jwt"}, {"vct": VCT}, signatory) + "~"

    report = flat(token=nameless, disclose=None).report()
    assert report.issuer is None
    assert report[CheckName.ISSUER_TRUST].reason is Reason.ISSUER_NOT_LISTED


# Key binding ------------------------------------------------------------------------------------------------


def other_disclosures(shown: str) -> str:
    """Fewer Disclosures than the holder signed for."""
    return shown.partition("~")[0] + "~"


WEB_LEARNER = Signatory("did:web:learner.example", "key-1", signing_key("web learner"))


def of_web(relationship: str) -> Story:
    """A credential that its issuer bound to a key on the web, which is listed there for this."""
    document = did_document(WEB_LEARNER.did, WEB_LEARNER, [relationship])
    return flat(
        token=raw_sd_jwt({"cnf": {"kid": WEB_LEARNER.method}}, []),
        disclose=bound(by=WEB_LEARNER),
        mode=Mode.FULL,
        policy=ANY_ISSUER_UNSAFE,
        documents={WEB_LEARNER.did: agreed(document)},
    )


BINDING = [
    Row("by the key that the issuer named", story, PASSED),
    Row("claims, by the key that the issuer named", flat, PASSED),
    Row("by another key", lambda: story(disclose=bound(by=OTHER_LEARNER)), FAILED, Reason.HOLDER_PROOF_WRONG),
    Row("over other disclosures", lambda: story(disclose=bound(ACHIEVEMENT, spoil=other_disclosures)), FAILED, Reason.HOLDER_PROOF_WRONG),
    Row("the issuer named no key", lambda: story(token=badge_sd_jwt(holder=None)), FAILED, Reason.HOLDER_PROOF_WRONG),
    Row("the issuer named a DID's key", lambda: flat(token=raw_sd_jwt({"cnf": {"kid": LEARNER.method}}, []), disclose=bound()), PASSED),
    Row("the issuer named a key on the web, which may present", lambda: of_web("authentication"), PASSED),
    Row("the issuer named a key on the web, which may only assert", lambda: of_web("assertionMethod"), UNKNOWN, Reason.HOLDER_UNRESOLVED),
    Row("the issuer named a key that is not at hand", lambda: flat(token=raw_sd_jwt({"cnf": {"kid": "did:web:learner.example#key-1"}}, []), disclose=bound()), UNKNOWN, Reason.HOLDER_UNRESOLVED),
    Row("without a binding it is a document", lambda: story(disclose=showing(ACHIEVEMENT)), UNKNOWN, Reason.DOCUMENT_ALONE),
]  # fmt: skip


def presented(disclose: Any = None, **changes: Any) -> Story:
    """A badge with a key binding in a presentation by its subject."""
    return story(disclose=disclose or bound(ACHIEVEMENT), holder=LEARNER, **changes)


def nameless(document: Json) -> None:
    del document["credentialSubject"]["id"]


IN_PRESENTATION = [
    (CheckName.HOLDER_BINDING, Row("by both", presented, PASSED)),
    (CheckName.HOLDER_BINDING, Row("by another key", lambda: presented(bound(by=OTHER_LEARNER)), FAILED, Reason.HOLDER_PROOF_WRONG)),
    (CheckName.HOLDER_BINDING, Row("over other disclosures", lambda: presented(bound(ACHIEVEMENT, spoil=other_disclosures)), FAILED, Reason.HOLDER_PROOF_WRONG)),
    (CheckName.HOLDER_BINDING, Row("in a presentation by another", lambda: replace(presented(), holder=OTHER_LEARNER), FAILED, Reason.HOLDER_DIFFERS)),
    (CheckName.HOLDER_BINDING, Row("it names no subject, but the key is its holder's", lambda: presented(write=nameless), PASSED)),
    (CheckName.HOLDER_BINDING, Row("it names no subject and has no key binding", lambda: presented(showing(ACHIEVEMENT), write=nameless), UNKNOWN, Reason.NO_SUBJECT)),
    (CheckName.CHALLENGE, Row("the nonce that was asked for", presented, PASSED)),
    (CheckName.CHALLENGE, Row("a nonce of another occasion", lambda: presented(bound(nonce="another")), FAILED, Reason.FOR_SOMEBODY_ELSE)),
    (CheckName.CHALLENGE, Row("made too long ago", lambda: presented(bound(at=LATE)), FAILED, Reason.ANSWERED_BEFORE)),
    (CheckName.DOMAIN, Row("the verifier asked for", presented, PASSED)),
    (CheckName.DOMAIN, Row("another verifier", lambda: presented(bound(audience="https://other.example")), FAILED, Reason.FOR_SOMEBODY_ELSE)),
]  # fmt: skip


@pytest.mark.parametrize(("check", "row"), IN_PRESENTATION, ids=lambda value: ids(value) if isinstance(value, Row) else str(value))  # fmt: skip
def test_a_key_binding_of_a_credential_in_a_presentation(check: CheckName, row: Row) -> None:
    hold(check, row)


LATE, EARLY = NOW - MAX_KEY_BINDING_AGE - timedelta(seconds=1), NOW + timedelta(seconds=61)
CHALLENGES = [
    Row("the nonce that was asked for", story, PASSED),
    Row("just in time", lambda: story(disclose=bound(at=NOW - MAX_KEY_BINDING_AGE)), PASSED),
    Row("another", lambda: story(disclose=bound(nonce="another")), FAILED, Reason.FOR_SOMEBODY_ELSE),
    Row("made too long ago", lambda: story(disclose=bound(at=LATE)), FAILED, Reason.ANSWERED_BEFORE),
    Row("made in the future", lambda: story(disclose=bound(at=EARLY)), FAILED, Reason.ANSWERED_BEFORE),
    Row("answered before", lambda: story(asked=replace(Asked(CHALLENGE, (DOMAIN,)), first=False)), FAILED, Reason.ANSWERED_BEFORE),
    Row("nothing was asked", lambda: story(asked=Asked()), UNKNOWN, Reason.NOT_ASKED),
    Row("a document", lambda: story(disclose=showing()), NOT_APPLICABLE, Reason.DOCUMENT_ALONE),
]  # fmt: skip

DOMAINS = [
    Row("the verifier asked for", story, PASSED),
    Row("another", lambda: story(disclose=bound(audience="https://other.example")), FAILED, Reason.FOR_SOMEBODY_ELSE),
    Row("nothing was asked", lambda: story(asked=Asked()), UNKNOWN, Reason.NOT_ASKED),
]  # fmt: skip


@pytest.mark.parametrize("row", BINDING, ids=ids)
def test_holder_binding(row: Row) -> None:
    hold(CheckName.HOLDER_BINDING, row)


@pytest.mark.parametrize("row", CHALLENGES, ids=ids)
def test_challenge(row: Row) -> None:
    hold(CheckName.CHALLENGE, row)


@pytest.mark.parametrize("row", DOMAINS, ids=ids)
def test_domain(row: Row) -> None:
    hold(CheckName.DOMAIN, row)


def test_a_token_presented_to_another_verifier_is_refused_here() -> None:
    report = story(disclose=bound(ACHIEVEMENT, audience="https://other.example", nonce="theirs")).report()
    assert report.acceptance is Acceptance.REFUSED
    assert not report.verified
