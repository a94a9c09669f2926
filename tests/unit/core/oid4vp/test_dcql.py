"""OpenID4VP 1.0 sections 6 and 7: the query language."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import schemas
from node.core.canonical.contexts import ContextStore
from node.core.canonical.rdfc import Canonicalizer
from node.core.errors import Malformed
from node.core.oid4vp.dcql import (
    OPEN_BADGE_TYPES,
    Candidate,
    NotSatisfied,
    check_answer,
    expanded_types,
    matched_claims,
    parse_dcql,
    select,
)

TYPES = frozenset(OPEN_BADGE_TYPES)
BADGE = {
    "credentialSubject": {
        "achievement": {"name": "Team Work"},
        "result": [{"achievedLevel": "a"}, {"value": "90"}, {"achievedLevel": "b"}],
        "passed": True,
    }
}
QUERY: dict[str, Any] = {
    "credentials": [
        {
            "id": "badge",
            "format": "ldp_vc",
            "meta": {"type_values": [list(OPEN_BADGE_TYPES)]},
            "claims": [
                {"id": "a", "path": ["credentialSubject", "achievement", "name"]},
                {"id": "r", "path": ["credentialSubject", "result", None, "achievedLevel"]},
            ],
            "claim_sets": [["a", "r"], ["a"]],
        },
        {"id": "other", "format": "dc+sd-jwt", "meta": {"vct_values": ["https://node.example/v/1"]}},
    ],
    "credential_sets": [{"options": [["badge"], ["other"]]}],
}


def changed(**members: Any) -> dict[str, Any]:
    query = copy.deepcopy(QUERY)
    query["credentials"][0] |= members
    return query


def test_a_query_survives_being_written_and_read() -> None:
    query = parse_dcql(QUERY)
    assert parse_dcql(query.to_json()) == query
    assert query.to_json() == QUERY


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (("credentialSubject", "achievement", "name"), ("Team Work",)),
        (("credentialSubject", "result", None, "achievedLevel"), ("a", "b")),
        (("credentialSubject", "result", 1, "value"), ("90",)),
        (("credentialSubject", "result", 3), ()),
        (("credentialSubject", "result", "value"), ()),
        (("credentialSubject", None), ()),
        (("credentialSubject", 0), ()),
        (("issuer",), ()),
    ],
    ids=[
        "member",
        "every",
        "element",
        "beyond",
        "text-on-array",
        "null-on-object",
        "int-on-object",
        "absent",
    ],
)
def test_claims_path(path: tuple[str | int | None, ...], expected: tuple[str, ...]) -> None:
    assert select(BADGE, path) == expected


def test_the_first_claim_set_that_can_be_met_is_chosen() -> None:
    query = parse_dcql(QUERY)["badge"]
    found = matched_claims(query, Candidate(BADGE, TYPES))
    assert found is not None
    assert [claim.id for claim in found] == ["a", "r"]
    without = {"credentialSubject": {"achievement": {"name": "x"}}}
    found = matched_claims(query, Candidate(without, TYPES))
    assert found is not None
    assert [claim.id for claim in found] == ["a"]


@pytest.mark.parametrize(
    ("members", "matches"),
    [
        ({}, True),
        ({"meta": {"type_values": [["https://other.example/T"]]}}, False),
        ({"meta": {"type_values": [["https://other.example/T"], [OPEN_BADGE_TYPES[1]]]}}, True),
        ({"format": "jwt_vc_json"}, False),
        ({"trusted_authorities": [{"type": "aki", "values": ["x"]}]}, False),
        ({"claims": [{"id": "a", "path": ["nothing"]}], "claim_sets": [["a"]]}, False),
    ],
    ids=["as-asked", "other-type", "one-of-two-types", "other-format", "authority-unknown", "claim-absent"],
)
def test_matching(members: dict[str, Any], matches: bool) -> None:
    query = parse_dcql(changed(**members))["badge"]
    assert (matched_claims(query, Candidate(BADGE, TYPES)) is not None) is matches


@pytest.mark.parametrize(
    ("values", "path", "matches"),
    [
        (["Team Work"], ["credentialSubject", "achievement", "name"], True),
        (["team work"], ["credentialSubject", "achievement", "name"], False),
        ([1], ["credentialSubject", "passed"], False),
        ([True], ["credentialSubject", "passed"], True),
        (["x"], ["credentialSubject", "achievement"], False),
    ],
    ids=["equal", "case", "true-is-not-one", "true", "object"],
)
def test_values_match_in_type_and_value(values: list[Any], path: list[str], matches: bool) -> None:
    query = changed(claims=[{"path": path, "values": values}])
    del query["credentials"][0]["claim_sets"]
    assert (matched_claims(parse_dcql(query)["badge"], Candidate(BADGE, TYPES)) is not None) is matches


@pytest.mark.parametrize(
    ("value", "where"),
    [
        ([], ()),
        ({}, ("credentials",)),
        ({"credentials": []}, ("credentials",)),
        (changed(id="a b"), ("credentials", 0, "id")),
        (changed(id="other"), ("credentials",)),
        (changed(meta={}), ("credentials", 0, "meta", "type_values")),
        (changed(meta={"type_values": [[]]}), ("credentials", 0, "meta", "type_values", 0)),
        (changed(multiple="yes"), ("credentials", 0, "multiple")),
        (changed(claims=[{"id": "a", "path": []}]), ("credentials", 0, "claims", 0, "path")),
        (changed(claims=[{"id": "a", "path": [-1]}]), ("credentials", 0, "claims", 0, "path")),
        (changed(claims=[{"id": "a", "path": [True]}]), ("credentials", 0, "claims", 0, "path")),
        (changed(claims=[{"path": ["a"]}]), ("credentials", 0, "claim_sets")),
        (changed(claim_sets=[["z"]]), ("credentials", 0, "claim_sets", 0)),
        ({**QUERY, "credential_sets": []}, ("credential_sets",)),
        ({**QUERY, "credential_sets": [{"options": [["z"]]}]}, ("credential_sets", 0, "options", 0)),
    ],
)
def test_a_broken_query_is_malformed_and_says_where(value: Any, where: tuple[str | int, ...]) -> None:
    with pytest.raises(Malformed) as caught:
        parse_dcql(value)
    assert caught.value.problem.path == where


@pytest.mark.parametrize(
    ("sets", "available", "chosen"),
    [
        (None, {"a", "b", "c"}, ("a", "b", "c")),
        (None, {"a", "b"}, None),
        ([{"options": [["a", "b"], ["c"]]}], {"c"}, ("c",)),
        ([{"options": [["a"], ["c"]]}], {"a", "c"}, ("a",)),
        ([{"options": [["a"]]}], {"c"}, None),
        ([{"options": [["a"]], "required": False}, {"options": [["c"]]}], {"c"}, ("c",)),
        ([{"options": [["a"]], "required": False}], {"c"}, None),
    ],
)
def test_credential_sets(sets: Any, available: set[str], chosen: tuple[str, ...] | None) -> None:
    one = {"format": "ldp_vc", "meta": {"type_values": [["https://x.example/T"]]}}
    query: dict[str, Any] = {"credentials": [{"id": name, **one} for name in "abc"]}
    if sets is not None:
        query["credential_sets"] = sets
    assert parse_dcql(query).choose(available) == chosen


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ({"badge": [BADGE]}, None),
        ({"badge": [BADGE, BADGE]}, "one was asked for"),
        ({"badge": []}, "empty"),
        ({"elsewhere": [BADGE]}, "not asked"),
        ({"badge": [{}]}, "not what was asked for"),
        ({}, "not everything"),
    ],
    ids=["as-asked", "too-many", "none", "unknown-query", "other-credential", "nothing"],
)
def test_an_answer_is_checked_again_by_the_verifier(answer: dict[str, Any], why: str | None) -> None:
    given_back = {name: [Candidate(item, TYPES) for item in items] for name, items in answer.items()}
    if why is None:
        check_answer(parse_dcql(QUERY), given_back)
        return
    with pytest.raises(NotSatisfied, match=why):
        check_answer(parse_dcql(QUERY), given_back)


def test_types_are_expanded_by_the_contexts_of_the_credential() -> None:
    canonicalizer = Canonicalizer(ContextStore(schemas.load_contexts(), schemas.context_digests()))
    contexts = [
        "https://www.w3.org/ns/credentials/v2",
        "https://purl.imsglobal.org/spec/ob/v3p0/context-3.0.3.json",
    ]
    document = {"@context": contexts, "type": ["VerifiableCredential", "OpenBadgeCredential"], "x": "unread"}
    assert expanded_types(document, canonicalizer) == TYPES
    undefined = {**document, "type": ["VerifiableCredential", "Undefined"]}
    assert expanded_types(undefined, canonicalizer) == {OPEN_BADGE_TYPES[0], "Undefined"}
    with pytest.raises(Malformed):
        expanded_types({**document, "@context": [1]}, canonicalizer)


SD_JWT_VC = {"vct": "https://node.example/vct/1", "achievement": "Team Work"}
ASKED_BY_VCT = {
    "credentials": [
        {
            "id": "sd",
            "format": "dc+sd-jwt",
            "meta": {"vct_values": ["https://node.example/vct/1", "https://node.example/vct/2"]},
            "claims": [{"path": ["achievement"]}],
        }
    ]
}


@pytest.mark.parametrize(
    ("members", "name", "matches"),
    [
        ({}, "dc+sd-jwt", True),
        ({"vct": "https://node.example/vct/2"}, "dc+sd-jwt", True),
        ({"vct": "https://node.example/vct/3"}, "dc+sd-jwt", False),
        ({"vct": ["https://node.example/vct/1"]}, "dc+sd-jwt", False),
        ({"vct": None}, "dc+sd-jwt", False),
        ({"achievement": None}, "dc+sd-jwt", True),
        ({}, "vc+sd-jwt", False),
        ({}, "ldp_vc", False),
    ],
    ids=["as-asked", "the-other", "not-listed", "list", "null", "null-claim", "vc-sd-jwt", "object"],
)
def test_an_sd_jwt_vc_is_asked_for_by_its_vct(members: dict[str, Any], name: str, matches: bool) -> None:
    query = parse_dcql(ASKED_BY_VCT)["sd"]
    found = matched_claims(query, Candidate({**SD_JWT_VC, **members}, frozenset(), name))
    assert (found is not None) is matches


def test_a_claim_that_was_not_disclosed_does_not_answer() -> None:
    query = parse_dcql(ASKED_BY_VCT)["sd"]
    hidden = {"vct": SD_JWT_VC["vct"]}
    assert matched_claims(query, Candidate(hidden, frozenset(), "dc+sd-jwt")) is None


@pytest.mark.parametrize("name", ["ldp_vc", "jwt_vc_json", "vc+sd-jwt", "vc+cose"])
def test_formats_of_the_data_model_are_asked_for_by_types(name: str) -> None:
    one = {"id": "a", "format": name, "meta": {}}
    with pytest.raises(Malformed) as caught:
        parse_dcql({"credentials": [one]})
    assert caught.value.problem.path == ("credentials", 0, "meta", "type_values")
    query = parse_dcql({"credentials": [{**one, "meta": {"type_values": [[OPEN_BADGE_TYPES[1]]]}}]})["a"]
    for other in ("ldp_vc", "jwt_vc_json", "vc+sd-jwt", "vc+cose", "dc+sd-jwt"):
        assert (matched_claims(query, Candidate(BADGE, TYPES, other)) is not None) is (other == name)


@pytest.mark.parametrize("meta", [{}, {"vct_values": []}, {"vct_values": [1]}, {"vct_values": "x"}], ids=str)
def test_dc_sd_jwt_without_vct_values_is_malformed(meta: dict[str, Any]) -> None:
    with pytest.raises(Malformed) as caught:
        parse_dcql({"credentials": [{"id": "a", "format": "dc+sd-jwt", "meta": meta}]})
    assert caught.value.problem.path == ("credentials", 0, "meta", "vct_values")


def test_the_older_name_of_sd_jwt_vc_is_read_and_matches_no_credential_of_the_data_model() -> None:
    meta = {"vct_values": ["https://node.example/vct/1"]}
    query = parse_dcql({"credentials": [{"id": "a", "format": "vc+sd-jwt", "meta": meta}]})["a"]
    assert matched_claims(query, Candidate(BADGE, TYPES, "vc+sd-jwt")) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
MEMBERS = st.sampled_from(
    ["id", "format", "meta", "type_values", "claims", "claim_sets", "path", "values", "multiple", "options"]
)
NEAR = st.recursive(
    JSON | st.sampled_from(["ldp_vc", "a", "b"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(MEMBERS, inner, max_size=6),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(st.fixed_dictionaries({"credentials": st.lists(NEAR, max_size=3)}, optional={"credential_sets": NEAR}))
def test_the_parser_raises_malformed_and_nothing_else(value: Any) -> None:
    try:
        query = parse_dcql(value)
    except Malformed:
        return
    assert parse_dcql(query.to_json()).credentials[0].id == query.credentials[0].id


@settings(max_examples=150, deadline=None)
@given(JSON, st.lists(st.text(max_size=4) | st.integers(0, 3) | st.none(), max_size=4))
def test_selecting_never_fails(document: Any, path: list[Any]) -> None:
    assert isinstance(select(document, tuple(path)), tuple)
