"""What is written of Open Badges 3.0, and a badge with all that one can say, against our schemas and 1EdTech's."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema_rs

from node.core.canonical.contexts import ContextStore
from node.core.canonical.rdfc import Canonicalizer
from node.core.credential import BASE_CONTEXT, check_credential
from node.core.openbadges import OB_CONTEXT, IdentityObject, profile
from node.core.schema import SchemaSet
from node.core.status.bitstring import Bitstring
from node.core.status.status_list import build_list_credential
from schemas import context_digests, load_contexts, load_schemas

SCHEMAS = SchemaSet(load_schemas())
CANONICALIZER = Canonicalizer(ContextStore(load_contexts(), context_digests()))
ACHIEVEMENT_SCHEMA = (
    "https://purl.imsglobal.org/spec/ob/v3p0/schema/json/ob_v3p0_achievementcredential_schema.json"
)
# The specification's example, IdentityHash: SHA-256 of 'a@example.comKosher'.
IDENTITY = IdentityObject.of("a@example.com", "emailAddress", "Kosher")
DIGEST = "b5809d8a92f8858436d7e6b87c12ebc0ae1eac4baecc2c0b913aee2c922ef399"

SCHOOL = {
    **profile("did:example:school", "A School", "https://school.example/"),
    "image": {"id": "data:image/png;base64,AA==", "type": "Image", "caption": "Logo"},
    "address": {
        "type": ["Address"],
        "addressCountry": "AT",
        "geo": {"type": "GeoCoordinates", "latitude": 48.2, "longitude": 16},
    },
    "otherIdentifier": [{"type": "IdentifierEntry", "identifier": "1", "identifierType": "sourcedId"}],
    "parentOrg": {"id": "did:example:town", "type": ["Profile"]},
}
ALIGNMENT = {
    "type": ["Alignment"],
    "targetName": "S",
    "targetUrl": "https://esco.example/s",
    "targetType": "ext:ESCO",
}
RUBRIC = {
    "id": "urn:r:1",
    "type": ["ResultDescription"],
    "name": "Tests",
    "resultType": "RubricCriterionLevel",
    "requiredLevel": "urn:r:1:1",
    "rubricCriterionLevel": [
        {
            "id": f"urn:r:1:{level}",
            "type": ["RubricCriterionLevel"],
            "name": f"Level {level}",
            "level": str(level),
            "points": str(level),
            "alignment": [ALIGNMENT],
        }
        for level in range(3)
    ],
}
GRADE = {
    "id": "urn:r:2",
    "type": ["ResultDescription"],
    "name": "Grade",
    "resultType": "LetterGrade",
    "allowedValue": ["C", "B", "A"],
}
STATUS = {
    "id": "urn:r:3",
    "type": ["ResultDescription"],
    "name": "Passed",
    "resultType": "Status",
    "valueMax": "1",
    "valueMin": "0",
}
ACHIEVEMENT = {
    "id": "https://school.example/a/1",
    "type": ["Achievement"],
    "name": "Programming",
    "description": "Can program.",
    "criteria": {"narrative": "Pass the *task*."},
    "achievementType": "MicroCredential",
    "creator": SCHOOL,
    "alignment": [ALIGNMENT],
    "resultDescription": [RUBRIC, GRADE, STATUS],
    "creditsAvailable": 3,
    "inLanguage": "en-GB",
    "related": [{"id": "https://school.example/a/0", "type": ["Related"], "version": "0"}],
    "tag": ["python"],
}
SUBJECT = {
    "id": "did:example:learner",
    "type": ["AchievementSubject"],
    "achievement": ACHIEVEMENT,
    "identifier": [IDENTITY.to_json()],
    "result": [
        {"type": ["Result"], "resultDescription": "urn:r:1", "achievedLevel": "urn:r:1:2"},
        {"type": ["Result"], "resultDescription": "urn:r:2", "value": "A"},
        {"type": ["Result"], "resultDescription": "urn:r:3", "status": "Completed"},
    ],
    "source": {
        "id": "urn:assessor:1",
        "type": ["Profile"],
        "email": "a@b.example",
        "familyName": "B",
        "givenName": "A",
        "dateOfBirth": "2000-01-01",
    },
    "activityEndDate": "2026-01-01T00:00:00Z",
    "licenseNumber": "1",
    "narrative": "n",
    "role": "r",
    "term": "t",
}
ENDORSEMENT: dict[str, Any] = {
    "@context": [BASE_CONTEXT, OB_CONTEXT],
    "id": "urn:uuid:2",
    "type": ["VerifiableCredential", "EndorsementCredential"],
    "name": "E",
    "issuer": "did:example:town",
    "validFrom": "2026-01-01T00:00:00Z",
    "credentialSubject": {
        "id": "urn:uuid:1",
        "type": ["EndorsementSubject"],
        "endorsementComment": "Good",
    },
}
BADGE: dict[str, Any] = {
    # The third defines the name of 1EdTech's kind of schema.
    "@context": [BASE_CONTEXT, OB_CONTEXT, "https://purl.imsglobal.org/spec/ob/v3p0/extensions.json"],
    "id": "urn:uuid:1",
    "type": ["VerifiableCredential", "OpenBadgeCredential"],
    "name": "Programming",
    "description": "x",
    "image": {"id": "https://school.example/i.png", "type": "Image"},
    "issuer": SCHOOL,
    "validFrom": "2026-01-01T00:00:00Z",
    "validUntil": "2030-01-01T00:00:00Z",
    "awardedDate": "2026-01-01T00:00:00Z",
    "credentialSubject": SUBJECT,
    "evidence": [
        {
            "id": "https://school.example/e",
            "type": ["Evidence"],
            "name": "Code",
            "narrative": "n",
            "genre": "code",
            "audience": "a",
        },
        {"type": ["Evidence"]},
    ],
    "endorsement": [ENDORSEMENT],
    "credentialStatus": {"id": "https://s.example/1#2", "type": "BitstringStatusListEntry"},
    "credentialSchema": [{"id": ACHIEVEMENT_SCHEMA, "type": "1EdTechJsonSchemaValidator2019"}],
}


def test_a_full_badge_is_accepted_by_our_schema_and_by_1edtech_s(vectors: Path) -> None:
    facts = check_credential(BADGE, for_issuing=True)
    assert (facts.issuer_name, facts.subject_ids) == ("A School", ("did:example:learner",))
    verdict = SCHEMAS.check(BADGE)
    assert (verdict.applied, verdict.problems, verdict.unpinned) == (("achievementcredential",), (), ())
    published = vectors / "ob3-schema" / "ob_v3p0_achievementcredential_schema.json"
    jsonschema_rs.Draft201909Validator(json.loads(published.read_text())).validate(BADGE)


def test_an_endorsement_is_accepted_by_our_schema() -> None:
    check_credential(ENDORSEMENT, for_issuing=True)
    verdict = SCHEMAS.check(ENDORSEMENT)
    assert (verdict.applied, verdict.problems) == (("endorsementcredential",), ())


def test_every_member_of_a_badge_is_a_term_that_is_signed() -> None:
    """In safe mode the canonicalizer refuses a member that JSON-LD processing would drop."""
    entry = {
        "id": "https://s.example/1#2",
        "type": "BitstringStatusListEntry",
        "statusPurpose": "message",
        "statusListIndex": "2",
        "statusListCredential": "https://s.example/1",
        "statusSize": 2,
        "statusMessage": [{"status": f"0x{number}", "message": "m"} for number in range(4)],
    }
    statements = CANONICALIZER.nquads({**BADGE, "credentialStatus": entry})
    assert statements.count("\n") > 100
    assert DIGEST in statements


def test_so_is_every_member_of_a_status_list() -> None:
    listed = build_list_credential(
        list_url="https://s.example/1",
        issuer="did:example:school",
        purpose="revocation",
        bits=Bitstring.zeros(),
        valid_from=datetime(2026, 1, 1, tzinfo=UTC),
        ttl=1,
    )
    assert "statusPurpose" in CANONICALIZER.nquads(listed)


def test_a_learner_is_known_by_the_hash_of_the_specification_s_example() -> None:
    assert IDENTITY.identity_hash == f"sha256${DIGEST}"
    assert IDENTITY.to_json()["hashed"] is True
