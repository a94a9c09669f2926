"""Our JSON Schema of CLR 2.0: samples of 1EdTech, another validator's verdicts, and one fault for each rule."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import referencing

from node.core.schema import CLR_CREDENTIAL, SchemaSet
from schemas import load_schemas

FILES = load_schemas()
SCHEMAS = SchemaSet(FILES)
Record = dict[str, Any]


@pytest.fixture
def record(vectors: Path) -> Record:
    found: Record = json.loads((vectors / "clr2-1edtech" / "clr20" / "simple.json").read_text())
    return found


def oracle() -> jsonschema.Draft202012Validator:
    documents = [json.loads(data) for path, data in FILES.items() if path.startswith("openbadges/")]
    registry: Any = referencing.Registry().with_resources(
        (document["$id"], referencing.Resource.from_contents(document)) for document in documents
    )
    (schema,) = [document for document in documents if document["$id"].endswith(f":{CLR_CREDENTIAL}")]
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema, registry=registry)


def subject(record: Record) -> Record:
    found: Record = record["credentialSubject"]
    return found


@pytest.mark.parametrize(
    ("name", "problems"),
    [
        ("simple.json", []),
        ("complex.json", []),
        ("simple_v1.json", []),
        # The context of a draft, at an address of its own.
        ("simple-noproof.json", [("@context", 1)]),
        ("simple_old_safesigned.json", [("@context", 1)]),
    ],
)
def test_the_samples_of_1edtech(vectors: Path, name: str, problems: list[tuple[str, int]]) -> None:
    document = json.loads((vectors / "clr2-1edtech" / "clr20" / name).read_text())
    verdict = SCHEMAS.check(document)
    assert verdict.applied == (CLR_CREDENTIAL,)
    assert [item.path for item in verdict.problems] == problems


@pytest.mark.parametrize(
    "change",
    [
        lambda record: subject(record).update(
            verifiableCredential=subject(record)["verifiableCredential"][0]
        ),
        lambda record: subject(record).update(association=subject(record)["association"][0]),
        lambda record: subject(record).update(type="ClrSubject"),
        lambda record: subject(record).pop("association"),
        lambda record: subject(record).pop("achievement"),
        lambda record: record.update(partial=True),
        lambda record: record.update(issuer="did:example:school"),
        lambda record: record["@context"].append("https://example.org/more"),
    ],
    ids=[
        *("one credential", "one association", "one type", "no association", "no achievement"),
        *("partial", "issuer by id", "a further context"),
    ],
)
def test_what_the_model_allows_is_accepted(record: Record, change: Callable[[Record], None]) -> None:
    change(record)
    assert not SCHEMAS.check(record).problems


FAULTS: dict[str, Callable[[Record], object]] = {
    "no id": lambda record: record.pop("id"),
    "no name": lambda record: record.pop("name"),
    "no issuer": lambda record: record.pop("issuer"),
    "no validFrom": lambda record: record.pop("validFrom"),
    "no subject": lambda record: record.pop("credentialSubject"),
    "two subjects": lambda record: record.update(credentialSubject=[subject(record)]),
    "not partial, but a word": lambda record: record.update(partial="yes"),
    "no context of CLR": lambda record: record["@context"].pop(1),
    "no context of Open Badges": lambda record: record.update({"@context": record["@context"][:2]}),
    "contexts in another order": lambda record: record["@context"].insert(1, record["@context"].pop(2)),
    "an issuer without type": lambda record: record["issuer"].pop("type"),
    "a subject without type": lambda record: subject(record).pop("type"),
    "a subject of another type": lambda record: subject(record).update(type=["AchievementSubject"]),
    "a subject that nothing names": lambda record: subject(record).pop("id"),
    "no credential": lambda record: subject(record).pop("verifiableCredential"),
    "an empty list of credentials": lambda record: subject(record).update(verifiableCredential=[]),
    "a credential by its URL": lambda record: subject(record).update(verifiableCredential=["urn:a:b"]),
    "a credential without issuer": lambda record: subject(record)["verifiableCredential"][0].pop("issuer"),
    "something else than a credential": lambda record: subject(record)["verifiableCredential"][0].update(
        type=["OpenBadgeCredential"]
    ),
    "an achievement without criteria": lambda record: subject(record)["achievement"][0].pop("criteria"),
    "an association to nothing": lambda record: subject(record)["association"][0].pop("targetId"),
    "an association of no known type": lambda record: subject(record)["association"][0].update(
        associationType="isLike"
    ),
    "an association with no URI": lambda record: subject(record)["association"][0].update(sourceId="a b"),
    "an association of another type": lambda record: subject(record)["association"][0].update(type="Link"),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_each_fault_is_refused_by_two_validators(record: Record, fault: Callable[[Record], object]) -> None:
    document = copy.deepcopy(record)
    fault(document)
    assert SCHEMAS.check(document).problems
    assert oracle().is_valid(record)
    assert not oracle().is_valid(document)


URL = "https://purl.imsglobal.org/spec/clr/v2p0/schema/json/clr_v2p0_clrcredential_schema.json"


@pytest.mark.parametrize(
    ("url", "held"),
    [
        (URL, True),
        (URL.replace("/json/", "/json-ld/"), True),
        (URL.replace("clr/v2p0/schema", "ob/v3p0/schema"), False),
        (URL.replace("clrcredential", "achievementcredential"), False),
    ],
)
def test_which_schema_urls_are_held(url: str, held: bool) -> None:
    entry = {"id": url, "type": "1EdTechJsonSchemaValidator2019"}
    verdict = SCHEMAS.check({"type": "Other", "credentialSchema": [entry]})
    assert verdict.applied == ((CLR_CREDENTIAL,) if held else ())
    assert bool(verdict.unpinned) is not held
