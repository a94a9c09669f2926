"""Building blocks of Open Badges 3.0, against our schemas and 1EdTech's."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.core.canonical.contexts import ContextStore
from node.core.canonical.rdfc import Canonicalizer
from node.core.credential import check_credential
from node.core.errors import Malformed
from node.core.openbadges import (
    Achievement,
    AchievementSubject,
    Address,
    Alignment,
    Criteria,
    Evidence,
    GeoCoordinates,
    IdentifierEntry,
    IdentityObject,
    Image,
    Profile,
    Related,
    Result,
    ResultDescription,
    RubricCriterionLevel,
    achievement_credential,
    endorsement_credential,
)
from node.core.schema import SchemaSet
from node.core.status.bitstring import Bitstring
from node.core.status.entry import StatusEntry
from node.core.status.status_list import build_list_credential
from schemas import context_digests, load_contexts, load_schemas

SCHEMAS = SchemaSet(load_schemas())
NOW = datetime(2026, 1, 1, tzinfo=UTC)
ALIGNMENT = Alignment(target_name="S", target_url="https://esco.example/s", target_type="ext:ESCO")
LEVELS = tuple(
    RubricCriterionLevel(id=f"urn:r:1:{n}", name=str(n), level=str(n), points=str(n), alignment=(ALIGNMENT,))
    for n in range(3)
)
RUBRIC = ResultDescription(
    id="urn:r:1",
    name="Tests",
    result_type="RubricCriterionLevel",
    rubric_criterion_level=LEVELS,
    required_level="urn:r:1:1",
)
GRADE = ResultDescription(
    id="urn:r:2", name="Grade", result_type="LetterGrade", allowed_value=("C", "B", "A")
)
STATUS = ResultDescription(id="urn:r:3", name="Passed", result_type="Status", value_min="0", value_max="1")
SCHOOL = Profile(
    id="did:example:school",
    name="A School",
    url="https://school.example/",
    image=Image(id="data:image/png;base64,AA==", caption="Logo"),
    address=Address(address_country="AT", geo=GeoCoordinates(latitude=48.2, longitude=16)),
    other_identifier=(IdentifierEntry(identifier="1", identifier_type="sourcedId"),),
    parent_org=Profile(id="did:example:town"),
)
ACHIEVEMENT = Achievement(
    id="https://school.example/a/1",
    name="Programming",
    description="Can program.",
    criteria=Criteria(narrative="Pass the *task*."),
    achievement_type="MicroCredential",
    creator=SCHOOL,
    alignment=(ALIGNMENT,),
    result_description=(RUBRIC, GRADE, STATUS),
    in_language="en-GB",
    related=(Related(id="https://school.example/a/0", version="0"),),
    credits_available=3,
    tag=("python",),
)
RESULTS = (
    Result(result_description="urn:r:1", achieved_level="urn:r:1:2"),
    Result(result_description="urn:r:2", value="A"),
    Result(result_description="urn:r:3", status="Completed"),
)
SUBJECT = AchievementSubject(
    id="did:example:learner",
    achievement=ACHIEVEMENT,
    result=RESULTS,
    source=Profile(id="urn:assessor:1"),
    identifier=(IdentityObject.of("a@example.com", "emailAddress", "Kosher"),),
    activity_end_date=NOW,
)
BADGE = {"id": "urn:uuid:1", "issuer": SCHOOL, "subject": SUBJECT, "name": "Programming", "valid_from": NOW}


def badge(**members: object) -> dict:
    return achievement_credential(**{**BADGE, **members})  # type: ignore[arg-type]


def test_a_full_badge_is_accepted_by_our_schema_and_by_1edtech_s(vectors: Path) -> None:
    document = badge(
        valid_until=datetime(2030, 1, 1, tzinfo=UTC),
        description="x",
        awarded_date=NOW,
        image=Image(id="https://school.example/i.png"),
        evidence=[Evidence(id="https://school.example/e", name="Code", genre="code"), {"type": ["Evidence"]}],
        credential_status={"id": "https://s.example/1#2", "type": "BitstringStatusListEntry"},
        credential_schema=True,
    )
    facts = check_credential(document, for_issuing=True)
    assert (facts.issuer_name, facts.subject_ids) == ("A School", ("did:example:learner",))
    verdict = SCHEMAS.check(document)
    assert (verdict.applied, verdict.problems, verdict.unpinned) == (("achievementcredential",), (), ())
    published = vectors / "ob3-schema" / "ob_v3p0_achievementcredential_schema.json"
    jsonschema_rs.Draft201909Validator(json.loads(published.read_text())).validate(document)


def test_an_endorsement_is_accepted_by_our_schema() -> None:
    document = endorsement_credential(
        id="urn:uuid:2",
        issuer="did:example:town",
        endorsed="urn:uuid:1",
        name="E",
        valid_from=NOW,
        comment="Good",
    )
    check_credential(document, for_issuing=True)
    verdict = SCHEMAS.check(document)
    assert (verdict.applied, verdict.problems) == (("endorsementcredential",), ())
    assert not SCHEMAS.check(badge(endorsement=[document])).problems
    with pytest.raises(Malformed):
        endorsement_credential(
            id="urn:uuid:2", issuer="did:example:town", endorsed="it", name="E", valid_from=NOW
        )


def test_many_are_arrays_and_nothing_is_null_or_empty() -> None:
    document = ACHIEVEMENT.to_json()
    assert document["alignment"] == [ALIGNMENT.to_json()]
    assert document["type"] == ["Achievement"]
    assert SCHOOL.to_json()["image"]["type"] == "Image"
    assert "version" not in document
    assert "otherIdentifier" not in document
    assert "credentialSchema" not in badge()


def test_what_is_written_parses_to_the_same() -> None:
    assert Achievement.parse(ACHIEVEMENT.to_json()) == ACHIEVEMENT
    assert AchievementSubject.parse(SUBJECT.to_json()) == SUBJECT


def test_the_sample_of_1edtech_parses_and_is_written_again(vectors: Path) -> None:
    subject = json.loads((vectors / "ob3-1edtech" / "complete.json").read_text())["credentialSubject"]
    assert Achievement.parse(subject["achievement"]).to_json() == subject["achievement"]
    # Two of its results name the description of another: found, as it would be in a template of ours.
    with pytest.raises(Malformed, match="no such level"):
        AchievementSubject.parse(subject)
    subject["result"][1]["resultDescription"] = subject["achievement"]["resultDescription"][1]["id"]
    assert AchievementSubject.parse(subject).to_json() == subject


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"name": 1}, ("a", "name")),
        ({"nmae": "x"}, ("a", "nmae")),
        ({"id": "one"}, ("a", "id")),
        ({"criteria": {}}, ("a", "criteria")),
        ({"criteria": "Pass"}, ("a", "criteria")),
        ({"type": "Other"}, ("a", "type")),
        ({"tag": ["x", 1]}, ("a", "tag", 1)),
        ({"tag": ["x"] * 1001}, ("a", "tag")),
        ({"creditsAvailable": True}, ("a", "creditsAvailable")),
        ({"inLanguage": "English"}, ("a", "inLanguage")),
        ({"achievementType": "Medal"}, ("a", "achievementType")),
        ({"endorsement": ["x"]}, ("a", "endorsement", 0)),
        ({"alignment": {"targetName": "x"}}, ("a", "alignment", "targetUrl")),
        (
            {"resultDescription": [{**RUBRIC.to_json(), "requiredLevel": "urn:r:9"}]},
            ("a", "resultDescription", 0, "requiredLevel"),
        ),
    ],
)
def test_parsing_names_the_member_at_fault(change: dict, path: tuple) -> None:
    with pytest.raises(Malformed) as caught:
        Achievement.parse({**ACHIEVEMENT.to_json(), **change}, ("a",))
    assert caught.value.problem.path == path


def test_a_missing_member_is_named() -> None:
    document = ACHIEVEMENT.to_json()
    del document["description"]
    with pytest.raises(Malformed) as caught:
        Achievement.parse(document)
    assert caught.value.problem.path == ("description",)


@pytest.mark.parametrize(
    "result",
    [
        Result(result_description="urn:r:9"),
        Result(result_description="urn:r:1", achieved_level="urn:r:1:9"),
        Result(result_description="urn:r:2", value="D"),
        Result(result_description="urn:r:3"),
    ],
)
def test_a_result_must_follow_a_description_of_the_achievement(result: Result) -> None:
    with pytest.raises(Malformed) as caught:
        replace(SUBJECT, result=(result,))
    assert caught.value.problem.path[:2] == ("result", 0)


def test_a_subject_must_be_known() -> None:
    with pytest.raises(Malformed):
        AchievementSubject(achievement=ACHIEVEMENT)


def test_closed_vocabularies_cannot_be_extended() -> None:
    with pytest.raises(Malformed):
        Result(status="ext:Great")


def test_identity_hash_of_the_specification_s_example() -> None:
    """Open Badges 3.0, IdentityHash: SHA-256 of 'a@example.comKosher'."""
    identity = IdentityObject.of("a@example.com", "emailAddress", "Kosher")
    assert identity.identity_hash == "sha256$b5809d8a92f8858436d7e6b87c12ebc0ae1eac4baecc2c0b913aee2c922ef399"
    assert identity.is_of("a@example.com", "emailAddress")
    assert replace(identity, identity_hash=identity.identity_hash.upper().replace("SHA", "sha")).is_of(
        "a@example.com", "emailAddress"
    )
    assert not identity.is_of("b@example.com", "emailAddress")
    assert not identity.is_of("a@example.com", "userName")


def test_md5_and_plain_identities_are_compared() -> None:
    md5 = IdentityObject(
        identity_hash="md5$900150983cd24fb0d6963f7d28e17f72", identity_type="userName", hashed=True
    )
    assert md5.is_of("abc", "userName")
    assert IdentityObject(identity_hash="abc", identity_type="userName", hashed=False).is_of(
        "abc", "userName"
    )
    with pytest.raises(Malformed):
        IdentityObject(identity_hash="abc", identity_type="userName", hashed=True)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=6) | st.just("urn:a:b"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*ACHIEVEMENT.to_json(), "x"]), inner, max_size=4)
    ),
    max_leaves=6,
)


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(list(ACHIEVEMENT.to_json())), JSON)
def test_parsing_raises_only_malformed(name: str, value: object) -> None:
    with contextlib.suppress(Malformed):
        Achievement.parse({**ACHIEVEMENT.to_json(), name: value})
    with contextlib.suppress(Malformed):
        AchievementSubject.parse({**SUBJECT.to_json(), name: value})


def test_every_member_of_a_badge_is_a_term_that_is_signed() -> None:
    """In safe mode the canonicalizer refuses a member that JSON-LD processing would drop."""
    canonicalizer = Canonicalizer(ContextStore(load_contexts(), context_digests()))
    endorsement = endorsement_credential(
        id="urn:uuid:2",
        issuer="did:example:town",
        endorsed="urn:uuid:1",
        name="E",
        valid_from=NOW,
        comment="Good",
    )
    entry = StatusEntry("message", "https://s.example/1", 2, 2, ("a", "b", "c", "d"))
    person = Profile(
        id="urn:p", given_name="A", family_name="B", date_of_birth="2000-01-01", email="a@b.example"
    )
    document = badge(
        subject=replace(SUBJECT, source=person, role="r", term="t", narrative="n", license_number="1"),
        evidence=[Evidence(id="data:,x", name="Code", digest_multibase="uEiA", audience="a", narrative="n")],
        endorsement=[endorsement],
        awarded_date=NOW,
        credential_status=entry.to_json(),
        credential_schema=True,
    )
    assert canonicalizer.nquads(document).count("\n") > 100
    listed = build_list_credential(
        list_url="https://s.example/1",
        issuer="did:example:school",
        purpose="revocation",
        bits=Bitstring.zeros(),
        valid_from=NOW,
        ttl=1,
    )
    assert "statusPurpose" in canonicalizer.nquads(listed)
