"""The sample template, filled from a row of the cohort, is a badge that the standards accept."""

from __future__ import annotations

import json
import re
from typing import Any

import schemas
from node.core.canonical.contexts import ContextStore
from node.core.canonical.rdfc import Canonicalizer
from node.core.credential import check_credential
from node.core.schema import SchemaSet
from node.demo.sample import load_course, load_template

ROW = {
    "id": "lm-03",
    "subject_did": "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK",
    "reading": "strong",
    "calculation": "secure",
    "writing": "beginning",
    "robustness": "not-yet",
    "craft": "secure",
    "total": "60",
    "assessed_at": "2026-03-22T12:00:00Z",
}


def filled() -> dict[str, Any]:
    """A badge as the template and the row say, put together here without the issuer's code."""
    template = load_template()
    del template["validUntil"]
    text = json.dumps(template)
    for column, cell in ROW.items():
        text = text.replace("{" + column + "}", cell)
    template = json.loads(text)
    results = [{"type": ["Result"], **result} for result in template["results"]]
    subject = {"id": ROW["subject_did"], "type": ["AchievementSubject"], **template["subject"]}
    return {
        "@context": [
            "https://www.w3.org/ns/credentials/v2",
            "https://purl.imsglobal.org/spec/ob/v3p0/context-3.0.3.json",
        ],
        "id": "urn:uuid:6f1f9b57-2f4e-4a8e-9a7c-0f9f6b1f2c11",
        "type": ["VerifiableCredential", "AchievementCredential"],
        "name": template["name"],
        "description": template["description"],
        "issuer": {"id": ROW["subject_did"], "type": ["Profile"], "name": "Lindmere Open College"},
        "validFrom": "2026-03-22T12:00:00Z",
        "awardedDate": template["awardedDate"],
        "credentialSubject": {**subject, "achievement": template["achievement"], "result": results},
    }


def test_the_filled_template_is_a_badge_by_the_schema() -> None:
    check_credential(filled(), for_issuing=True)
    verdict = SchemaSet(schemas.load_schemas()).check(filled())
    assert (verdict.applied, verdict.problems) == (("achievementcredential",), ())


def test_no_member_of_the_filled_template_is_lost_in_rdf() -> None:
    quads = Canonicalizer(ContextStore(schemas.load_contexts(), schemas.context_digests())).nquads(filled())
    assert all(level in quads for level in ("strong", "secure", "beginning", "not-yet"))


def test_results_name_descriptions_and_levels_of_the_achievement() -> None:
    subject = filled()["credentialSubject"]
    described = {row["id"]: row for row in subject["achievement"]["resultDescription"]}
    for result in subject["result"]:
        description = described[result["resultDescription"]]
        levels = {level["id"] for level in description.get("rubricCriterionLevel", [])}
        assert result.get("achievedLevel") in (levels or {None})


def test_every_placeholder_is_a_column_of_the_cohort() -> None:
    names = {criterion.id for criterion in load_course().rubric.criteria}
    assert names < ROW.keys()
    assert not re.findall(r"\{[a-z]", json.dumps(filled()))
