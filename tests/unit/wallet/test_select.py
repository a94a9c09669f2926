"""What answers a query, and what is never shown."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from fixtures.verification import NOW
from fixtures.wallets import LEARNER_KEY
from hypothesis import given, settings
from hypothesis import strategies as st

from node.core.oid4vp.dcql import Candidate, matched_claims, parse_dcql
from node.core.oid4vp.formats import vp_formats
from wallet.claims import names_of, path_text, places_in
from wallet.holdings import Holding, LastCheck, Provenance
from wallet.select import Option, candidates, choose

ME, OTHER = LEARNER_KEY.did, "did:key:other"
KEYS, FORMATS = [LEARNER_KEY], vp_formats()
TYPES = ("urn:type:a", "urn:type:b", "urn:type:c")
PROOF = {
    "type": "DataIntegrityProof",
    "cryptosuite": "eddsa-jcs-2022",
    "verificationMethod": "did:key:school#1",
    "proofPurpose": "assertionMethod",
    "proofValue": "z1",
}
NAMES = ("marks", "level", "name")


def holding(
    number: int, claims: dict[str, Any], subject: str | None = ME, refused: bool = False, age: int = 0
) -> Holding:
    body: dict[str, Any] = dict(claims)
    if subject is not None:
        body["id"] = subject
    last = LastCheck(NOW, "refused" if refused else "accepted", "", "")
    return Holding(
        bytes([number]) * 32,
        {"credentialSubject": body, "proof": PROOF},
        Provenance("imported", "x", NOW - timedelta(days=age)),
        None,
        last,
    )


def option(held: Holding, types: frozenset[str] = frozenset({TYPES[0]})) -> Option:
    return Option(held, Candidate(held.document, types))


def query(*credentials: dict[str, Any], sets: list[dict[str, Any]] | None = None) -> Any:
    body: dict[str, Any] = {"credentials": list(credentials)}
    if sets is not None:
        body["credential_sets"] = sets
    return parse_dcql(body)


def asking(query_id: str = "q", types: list[str] | None = None, *claims: str, **more: Any) -> dict[str, Any]:
    body: dict[str, Any] = {
        "id": query_id,
        "format": "ldp_vc",
        "meta": {"type_values": [types or [TYPES[0]]]},
        **more,
    }
    if claims:
        body["claims"] = [{"path": ["credentialSubject", name]} for name in claims]
    return body


holdings = st.lists(
    st.builds(
        lambda claims, subject, types, refused: (claims, subject, types, refused),
        st.dictionaries(st.sampled_from(NAMES), st.integers(0, 3)),
        st.sampled_from([ME, OTHER, None]),
        st.frozensets(st.sampled_from(TYPES)),
        st.booleans(),
    ),
    max_size=6,
).map(
    lambda made: [
        option(holding(at, claims, subject, refused), types)
        for at, (claims, subject, types, refused) in enumerate(made)
    ]
)
queries = st.lists(
    st.tuples(
        st.lists(st.sampled_from(TYPES), min_size=1, max_size=2, unique=True),
        st.lists(st.sampled_from(NAMES), max_size=2, unique=True),
        st.booleans(),
        st.booleans(),
    ),
    min_size=1,
    max_size=3,
)


@st.composite
def whole_queries(draw: st.DrawFn) -> Any:
    made = [
        asking(f"q{at}", types, *claims, multiple=multiple, require_cryptographic_holder_binding=binding)
        for at, (types, claims, multiple, binding) in enumerate(draw(queries))
    ]
    names = [one["id"] for one in made]
    sets = draw(
        st.none()
        | st.lists(
            st.fixed_dictionaries(
                {
                    "options": st.lists(
                        st.lists(st.sampled_from(names), min_size=1, unique=True), min_size=1, max_size=2
                    ),
                    "required": st.booleans(),
                }
            ),
            min_size=1,
            max_size=2,
        )
    )
    return query(*made, sets=sets)


@settings(max_examples=150, deadline=None)
@given(whole_queries(), holdings, st.booleans())
def test_select_never_discloses_what_was_not_asked(asked: Any, options: list[Option], many: bool) -> None:
    chosen = choose(asked, options, KEYS, FORMATS, as_many_as_fit=many)
    if chosen is None:
        return
    known = {option.holding.digest: option.candidate for option in options}
    wanted = asked.choose([one.id for one in asked.credentials if candidates(one, options, KEYS, FORMATS)])
    for choice in chosen:
        found = known[choice.holding.digest]
        assert matched_claims(choice.query, found) is not None, "it answers its query"
        assert choice.query.id in wanted, "its query was wanted"
        if choice.query.require_cryptographic_holder_binding:
            assert OTHER not in choice.holding.subject_ids, "somebody else's is not ours to show"
    for one in asked.credentials:
        answers = [choice.holding.digest for choice in chosen if choice.query.id == one.id]
        assert len(answers) == len(set(answers))
        if not (one.multiple and many):
            assert len(answers) <= 1
    assert {choice.query.id for choice in chosen} == set(wanted), "and the query as a whole is met"


def test_where_one_credential_is_missing_nothing_at_all_is_chosen() -> None:
    options = [option(holding(1, {}))]
    assert choose(query(asking("a"), asking("b", [TYPES[1]])), options, KEYS, FORMATS) is None


def test_an_optional_set_without_a_match_is_left_out() -> None:
    options = [option(holding(1, {}))]
    sets = [{"options": [["a"]]}, {"options": [["b"]], "required": False}]
    chosen = choose(query(asking("a"), asking("b", [TYPES[1]]), sets=sets), options, KEYS, FORMATS)
    assert chosen is not None
    assert [choice.query.id for choice in chosen] == ["a"]


def test_of_several_that_answer_the_newest_that_was_not_refused_is_chosen() -> None:
    options = [
        option(holding(1, {}, age=2)),
        option(holding(2, {}, age=1)),
        option(holding(3, {}, refused=True)),
        option(holding(4, {}, subject=None)),
    ]
    chosen = choose(query(asking()), options, KEYS, FORMATS)
    assert chosen is not None
    assert [choice.holding.digest[0] for choice in chosen] == [2]


def test_claims_are_listed_by_name_without_context_types_and_signature() -> None:
    document = {
        "@context": ["https://x"],
        "type": ["A"],
        "issuer": {"id": "did:x", "type": ["Profile"]},
        "credentialSubject": {"result": [{"value": "1"}, {"value": "2", "status": "Completed"}]},
        "proof": [{"proofValue": "z"}],
    }
    assert names_of(places_in(document)) == (
        "issuer.id",
        "credentialSubject.result[].value",
        "credentialSubject.result[].status",
    )
    assert path_text(("credentialSubject", "result", None, "value")) == "credentialSubject.result[].value"
