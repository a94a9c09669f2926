"""What people are told of tokens, of records, and of what was presented without a presentation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from fixtures.sd_jwt import ACHIEVEMENT, VCT, badge_sd_jwt, bound, claims_sd_jwt, showing
from fixtures.selective import BbsKey, P256Key, deriving, with_key
from fixtures.verification import (
    CHALLENGE,
    CONTEXTS,
    DOMAIN,
    KEY_SCHOOL,
    NOW,
    STRANGER,
    Json,
    Story,
    as_jwt,
    badge,
    of_key_school,
    without_status,
)

from node.core.dataintegrity.bbs_2023 import presentation_header_of
from node.core.verify.account import account_of
from node.core.verify.intake import read_intake
from node.core.verify.materials import Mode
from node.core.verify.report import Acceptance, Reason
from node.core.verify.trust import TrustEntry, TrustList
from node.core.verify.wording import (
    ACCEPTED_DOCUMENT,
    ACCEPTED_PRESENTATION,
    ALL_SHOWN,
    ENDORSEMENTS,
    NEWER_ELSEWHERE,
    PART_SHOWN,
    SENTENCES,
    SOME_SHOWN,
)

DAY = 24 * 3600


def told(story: Story) -> Json:
    return account_of(story.report(), read_intake(story.shown_bytes()))


def test_claims_are_told_with_their_dates_and_whom_they_are_about() -> None:
    token = claims_sd_jwt(sub="did:example:ada", nbf=int(NOW.timestamp()) - DAY)
    account = told(of_key_school(token=token))
    (credential,) = account["credentials"]
    assert credential["claims"] == [{"name": "given_name", "value": "Ada"}, {"name": "grade", "value": "1.0"}]
    assert (credential["valid_from"], credential["valid_until"]) == (
        "2026-05-31T12:00:00Z",
        "2026-07-01T12:00:00Z",
    )
    assert credential["person"]["id"] == "did:example:ada"


def test_claims_that_were_withheld_are_not_told() -> None:
    account = told(of_key_school(token=claims_sd_jwt(), disclose=showing(("grade",))))
    assert [claim["name"] for claim in account["credentials"][0]["claims"]] == ["grade"]


def test_the_end_of_claims_is_told_with_its_date() -> None:
    account = told(of_key_school(token=claims_sd_jwt(exp=int(NOW.timestamp()))))
    assert account["sentence"] == {"text": "It expired on {date}.", "fill": {"date": "2026-06-01T12:00:00Z"}}


def test_a_badge_with_a_key_binding_is_told_as_presented() -> None:
    account = told(Story(token=badge_sd_jwt(), disclose=bound(ACHIEVEMENT)))
    assert account["presented"]
    assert account["headline"] == ACCEPTED_PRESENTATION


def test_a_badge_without_one_is_told_as_a_document() -> None:
    account = told(Story(token=badge_sd_jwt(), disclose=showing(ACHIEVEMENT)))
    assert not account["presented"]
    assert account["headline"] == ACCEPTED_DOCUMENT


def test_who_derived_a_proof_for_an_occasion_is_not_told_to_be_the_holder() -> None:
    issuer = with_key(BbsKey("school"), "bbs-2023", mandatory=("/issuer", "/validFrom", "/validUntil"))

    def by_terms(document: Json) -> None:
        without_status(document)
        document.update(validFrom="2026-05-25T00:00:00Z", validUntil="2026-06-22T00:00:00Z")

    header = presentation_header_of(CHALLENGE, DOMAIN)
    name = "/credentialSubject/achievement/name"
    story = Story(
        issuer=issuer,
        write=by_terms,
        disclose=deriving(name, entropy=b"\x07" * 32, presentation_header=header),
        trust=TrustList((TrustEntry(issuer.did, "School"),)),
    )
    account = told(story)
    assert account["acceptance"] == "accepted"
    assert account["headline"] == ACCEPTED_DOCUMENT
    assert not account["presented"]


def test_what_cannot_be_read_was_presented_by_nobody() -> None:
    account = told(of_key_school(tamper=lambda document: document.pop("issuer")))
    assert not account["presented"]


def record(document: Json) -> None:
    held = badge(KEY_SCHOOL.did)
    without_status(held)
    del held["evidence"]
    without_status(document)
    del document["evidence"]
    document["type"] = ["VerifiableCredential", "ClrCredential"]
    document["@context"].insert(1, "https://purl.imsglobal.org/spec/clr/v2p0/context-2.0.1.json")
    signed: Any = KEY_SCHOOL.sign({**held, "id": "urn:uuid:6b0d5c6e-3a3f-4b57-9d0e-2f1f4c6f7b01"})
    document["credentialSubject"] = {
        "id": document["credentialSubject"]["id"],
        "type": ["ClrSubject"],
        "verifiableCredential": [signed],
    }


def test_a_record_tells_of_each_credential_in_it() -> None:
    (credential,) = told(of_key_school(write=record))["credentials"]
    (inner,) = credential["credentials"]
    assert inner["achievement"]["name"] == "Data structures"
    assert inner["acceptance"] == "accepted"


RENEWED_BY_1EDTECH = {"id": "https://school.example/newer", "type": "1EdTechCredentialRefresh"}
RENEWED = {"id": "https://school.example/newer", "type": "VerifiableCredentialRefreshService2021"}
EXTENSIONS = "https://purl.imsglobal.org/spec/ob/v3p0/extensions.json"
UNDEFINED_TERMS = "https://www.w3.org/ns/credentials/undefined-terms/v2"


def renewed(service: Any) -> Callable[[Json], None]:
    def write(document: Json) -> None:
        without_status(document)
        document["@context"] += [EXTENSIONS, UNDEFINED_TERMS]
        document["refreshService"] = service

    return write


@pytest.mark.parametrize(
    ("story", "noted"),
    [
        (of_key_school(write=renewed(RENEWED_BY_1EDTECH)), True),
        (of_key_school(write=renewed([{**RENEWED, "type": ["AnyService"]}, RENEWED])), True),
        (of_key_school(write=renewed({**RENEWED, "type": "AnyService"})), False),
        (of_key_school(write=renewed(RENEWED), tamper=lambda document: document.update(name="X")), False),
        (of_key_school(), False),
    ],
    ids=["of 1EdTech", "one of several", "of a kind that is not known", "in a changed badge", "none"],
)
def test_that_a_newer_one_may_be_had_is_noted_and_nobody_is_asked_for_it(story: Story, noted: bool) -> None:
    story.mode = Mode.FULL
    account = told(story)
    (credential,) = account["credentials"]
    assert account["notes"] == ([NEWER_ELSEWHERE] if noted else [])
    assert credential["newer"] == ({"text": NEWER_ELSEWHERE, "fill": {}} if noted else None)
    assert story.needed == []


def test_that_a_newer_record_may_be_had_is_noted() -> None:
    def write(document: Json) -> None:
        record(document)
        document["@context"].append(EXTENSIONS)
        document["refreshService"] = RENEWED_BY_1EDTECH

    account = told(of_key_school(write=write))
    assert account["notes"] == [NEWER_ELSEWHERE]
    assert account["acceptance"] == "accepted"


def endorsing(**changes: Any) -> Json:
    unsigned = {
        "@context": list(CONTEXTS),
        "id": "urn:uuid:11111111-0000-4000-8000-000000000001",
        "type": ["VerifiableCredential", "EndorsementCredential"],
        "issuer": {"id": STRANGER.did, "type": ["Profile"], "name": "The Ministry"},
        "validFrom": "2026-04-01T00:00:00Z",
        "name": "Sound work",
        "credentialSubject": {
            "id": badge(KEY_SCHOOL.did)["id"],
            "type": ["EndorsementSubject"],
            "endorsementComment": "I was there",
        },
    }
    return {**STRANGER.sign(unsigned), **changes}


def endorsed(document: Json) -> None:
    without_status(document)
    document["endorsement"] = [endorsing(), endorsing(name="Excellent work")]


def test_an_endorsement_is_told_with_who_says_it_and_what_it_is_worth() -> None:
    account = told(of_key_school(write=endorsed))
    unlisted, changed = account["credentials"][0]["endorsements"]
    assert unlisted == {
        "acceptance": "undetermined",
        "headline": ENDORSEMENTS[Acceptance.UNDETERMINED],
        "sentence": SENTENCES[Reason.ISSUER_NOT_LISTED],
        "issuer": {"id": STRANGER.did, "name": None, "calls_itself": "The Ministry", "domains": []},
        "comment": "I was there",
    }
    assert (changed["acceptance"], changed["comment"]) == ("refused", None)
    assert account["acceptance"] == "accepted"


def test_the_listed_name_of_an_endorser_is_told_where_he_signed() -> None:
    listed = TrustList(
        (TrustEntry(KEY_SCHOOL.did, "School"), TrustEntry(STRANGER.did, "Ministry of Examples"))
    )
    credential = told(of_key_school(write=endorsed, trust=listed))["credentials"][0]
    assert [one["issuer"]["name"] for one in credential["endorsements"]] == ["Ministry of Examples", None]


SELECTIVE = with_key(P256Key("school"), "ecdsa-sd-2023")


@pytest.mark.parametrize(
    ("story", "text", "chosen"),
    [
        (Story(), None, []),
        (of_key_school(token=as_jwt), None, []),
        (Story(token=badge_sd_jwt(ACHIEVEMENT)), ALL_SHOWN, ["credentialSubject.achievement.name"]),
        (Story(token=badge_sd_jwt(), disclose=showing()), PART_SHOWN, []),
        (of_key_school(token=claims_sd_jwt(), disclose=showing(("grade",))), PART_SHOWN, ["grade"]),
        (Story(issuer=SELECTIVE, disclose=deriving("/credentialSubject")), SOME_SHOWN, []),
        (Story(issuer=SELECTIVE), None, []),
    ],
    ids=["whole", "token", "all-of-sd-jwt", "nothing-by-choice", "one-claim", "derived", "base-proof"],
)
def test_how_much_was_shown_is_told(story: Story, text: str | None, chosen: list[str]) -> None:
    (credential,) = told(story)["credentials"]
    assert credential["disclosure"] == (text and {"text": text, "fill": {}, "chosen": chosen})


@pytest.mark.parametrize(
    ("story", "names"),
    [
        (Story(), ["eddsa-jcs-2022"]),
        (Story(issuer=SELECTIVE), ["ecdsa-sd-2023"]),
        (of_key_school(token=as_jwt), ["application/vc+jwt", "EdDSA"]),
        (of_key_school(token=claims_sd_jwt()), ["application/dc+sd-jwt", "EdDSA"]),
    ],
    ids=["object", "selective", "token", "claims"],
)
def test_how_it_is_secured_is_told(story: Story, names: list[str]) -> None:
    (credential,) = told(story)["credentials"]
    assert credential["secured_by"] == names


def test_proofs_that_cannot_be_read_are_not_told() -> None:
    (credential,) = told(of_key_school(tamper=lambda document: document.update(proof=[1])))["credentials"]
    assert (credential["secured_by"], credential["disclosure"]) == ([], None)


@pytest.mark.parametrize(
    ("story", "kind"),
    [
        (Story(), "OpenBadgeCredential"),
        (of_key_school(token=claims_sd_jwt()), VCT),
        (of_key_school(write=lambda document: document.update(type=["VerifiableCredential"])), None),
    ],
    ids=["by-type", "by-vct", "of-no-kind"],
)
def test_of_what_kind_it_is_is_told(story: Story, kind: str | None) -> None:
    assert told(story)["credentials"][0]["kind"] == kind
