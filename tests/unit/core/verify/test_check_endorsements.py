"""Open Badges 3.0 section 9, step 7: an endorsement in a badge is verified and told; it decides nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from fixtures.verification import (
    CONTEXTS,
    KEY_SCHOOL,
    STRANGER,
    Story,
    as_jwt,
    badge,
    of_key_school,
    without_status,
)

from node.core.verify.endorsements import MAX_ENDORSEMENTS
from node.core.verify.policy import ANY_ISSUER_UNSAFE
from node.core.verify.report import Acceptance, CheckName, Reason, Report
from node.core.verify.trust import TrustEntry, TrustList
from node.core.verify.wording import (
    COPIED_BY_ANYBODY,
    ENDORSEMENTS,
    OF_SOMETHING_ELSE,
    SENTENCES,
    Verdict,
    verdict_of_endorsement,
)

Json = dict[str, Any]
BADGE = badge(KEY_SCHOOL.did)
ABOUT = BADGE["id"]
ACHIEVEMENT = BADGE["credentialSubject"]["achievement"]["id"]


def unsigned(about: str, **changes: Any) -> Json:
    return {
        "@context": list(CONTEXTS),
        "id": "urn:uuid:11111111-0000-4000-8000-000000000001",
        "type": ["VerifiableCredential", "EndorsementCredential"],
        "issuer": {"id": STRANGER.did, "type": ["Profile"]},
        "validFrom": "2026-04-01T00:00:00Z",
        "name": "Sound work",
        "credentialSubject": {
            "id": about,
            "type": ["EndorsementSubject"],
            "endorsementComment": "I was there",
        },
        **changes,
    }


def endorsement(about: str = ABOUT, **changes: Any) -> Json:
    return STRANGER.sign(unsigned(about, **changes))


def with_endorsement(*found: Any, place: str = "", member: str = "endorsement", **changes: Any) -> Story:
    """A badge that has these endorsements in one of its objects."""

    def write(document: Json) -> None:
        without_status(document)
        subject = document["credentialSubject"]
        places = {"": document, "achievement": subject["achievement"], "issuer": document["issuer"]}
        places[place][member] = list(found)
        if member == "endorsementJwt":
            # No context of Open Badges has the term: badges that use it define it elsewhere.
            document["@context"].append("https://www.w3.org/ns/credentials/undefined-terms/v2")

    return of_key_school(write=write, **{"policy": ANY_ISSUER_UNSAFE, **changes})


def told(report: Report) -> Report:
    (found,) = report.endorsements
    return found


@pytest.mark.parametrize(
    "make",
    [
        lambda: with_endorsement(endorsement()),
        lambda: with_endorsement(endorsement(ACHIEVEMENT), place="achievement"),
        lambda: with_endorsement(endorsement(KEY_SCHOOL.did), place="issuer"),
        lambda: with_endorsement(as_jwt(STRANGER, unsigned(ABOUT)), member="endorsementJwt"),
    ],
    ids=["of the badge", "of the achievement", "of the issuer", "as a token"],
)
def test_a_sound_endorsement_is_told(make: Callable[[], Story]) -> None:
    report = make().report()
    assert report.acceptance is Acceptance.ACCEPTED
    assert told(report).acceptance is Acceptance.ACCEPTED
    assert told(report).notes == ()
    assert told(report).issuer is not None
    assert report.to_json()["endorsements"] == [told(report).to_json()]


@pytest.mark.parametrize(
    ("found", "check", "reason"),
    [
        ({**endorsement(), "name": "Excellent work"}, CheckName.PROOF, Reason.CHANGED),
        (unsigned(ABOUT), CheckName.PROOF, Reason.NO_PROOF),
        (endorsement(validUntil="2026-05-01T00:00:00Z"), CheckName.VALIDITY_PERIOD, Reason.EXPIRED),
    ],
    ids=["changed", "unsigned", "expired"],
)
def test_one_that_fails_is_told_and_decides_nothing(found: Json, check: CheckName, reason: Reason) -> None:
    report = with_endorsement(found).report()
    assert report.acceptance is Acceptance.ACCEPTED
    assert told(report).acceptance is Acceptance.REFUSED
    assert told(report)[check].reason is reason


def test_a_text_that_is_no_token_is_told_and_decides_nothing() -> None:
    report = with_endorsement("no.token", member="endorsementJwt").report()
    assert told(report)[CheckName.CONFORMANCE].reason is Reason.NOT_CONFORMING


def test_an_endorser_who_is_not_listed_does_not_make_the_badge_undetermined() -> None:
    report = with_endorsement(endorsement(), policy=Story().policy).report()
    assert report.acceptance is Acceptance.ACCEPTED
    assert told(report)[CheckName.ISSUER_TRUST].reason is Reason.ISSUER_NOT_LISTED


def test_one_about_something_else_is_told_as_such() -> None:
    report = with_endorsement(endorsement("urn:uuid:another")).report()
    assert told(report).notes == (OF_SOMETHING_ELSE,)


OF_STRANGER = TrustList((TrustEntry(STRANGER.did, "The Ministry"),))
OF_BOTH = TrustList((*OF_STRANGER.entries, TrustEntry(KEY_SCHOOL.did, "School")))
GENUINE = endorsement()


def changed(document: Json) -> None:
    document["name"] = "Another"


@pytest.mark.parametrize(
    ("found", "changes", "acceptance", "why"),
    [
        (GENUINE, {"trust": OF_BOTH}, Acceptance.ACCEPTED, ""),
        (GENUINE, {"policy": ANY_ISSUER_UNSAFE}, Acceptance.ACCEPTED, ""),
        (endorsement("urn:x"), {"trust": OF_BOTH}, Acceptance.REFUSED, OF_SOMETHING_ELSE),
        (
            {**GENUINE, "name": "Excellent work"},
            {"trust": OF_BOTH},
            Acceptance.REFUSED,
            SENTENCES[Reason.CHANGED],
        ),
        (GENUINE, {}, Acceptance.UNDETERMINED, SENTENCES[Reason.ISSUER_NOT_LISTED]),
        (GENUINE, {"trust": OF_BOTH, "tamper": changed}, Acceptance.UNDETERMINED, COPIED_BY_ANYBODY),
        (GENUINE, {"trust": OF_STRANGER}, Acceptance.UNDETERMINED, COPIED_BY_ANYBODY),
    ],
    ids=[
        "of one who is recognised, in a badge of another",
        "where any issuer will do",
        "about something else",
        "changed",
        "of one who is not recognised",
        "in a badge that was changed",
        "in a badge of one who is not recognised",
    ],
)
def test_it_is_told_what_an_endorsement_is_worth_where_it_stands(
    found: Json, changes: Json, acceptance: Acceptance, why: str
) -> None:
    report = with_endorsement(found, **{"policy": Story().policy, **changes}).report()
    assert verdict_of_endorsement(told(report), report) == (
        acceptance,
        Verdict(ENDORSEMENTS[acceptance], why),
    )


def test_no_endorsement_makes_a_changed_badge_sound() -> None:
    tamper = {"tamper": lambda document: document.update(name="Another")}
    report = with_endorsement(endorsement(), **tamper).report()
    assert report.acceptance is Acceptance.REFUSED


def test_not_more_are_judged_than_anybody_makes() -> None:
    report = with_endorsement(*[endorsement()] * (MAX_ENDORSEMENTS + 4)).report()
    assert len(report.endorsements) == MAX_ENDORSEMENTS


def test_a_badge_without_endorsements_has_no_word_of_them() -> None:
    assert "endorsements" not in of_key_school().report().to_json()
