"""What of a credential may be left out, and that what is told before is exactly what is then shown."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from fixtures.held import NAME, bbs, by_terms, ecdsa_sd, held, sd_jwt, sd_jwt_vc, with_results
from fixtures.sd_jwt import badge_sd_jwt, raw_sd_jwt
from fixtures.selective import deriving
from fixtures.verification import KEY_SCHOOL, LEARNER, Story, as_jwt, of_key_school, standards
from hypothesis import given, settings
from hypothesis import strategies as st

from node.core.dataintegrity import proofs_of, selective_suite_of
from node.core.errors import Malformed, NotFound
from node.core.verify.intake import shown as read_credential
from wallet.claims import Place, find_places, names_of, path_text, places_in, under
from wallet.disclose import Occasion, base_proof_in, choices_of, named_places
from wallet.holdings import Holding

OCCASION = Occasion(b"\x07" * 32, "challenge", "https://employer.example")
SD, UNLINKABLE, TOKEN, FLAT = map(held, (ecdsa_sd(), bbs(), sd_jwt(), sd_jwt_vc()))
PARTIAL = {"ecdsa-sd-2023": SD, "bbs-2023": UNLINKABLE, "vc+sd-jwt": TOKEN, "dc+sd-jwt": FLAT}


def made(holding: Holding, selection: Any) -> dict[str, Any]:
    credential = holding.choices.make(selection, standards().canonicalizer, OCCASION)
    return read_credential(credential).document


def values(document: Any, places: Any) -> list[Any]:
    found = []
    for place in places:
        value = document
        for step in place:
            value = value[step]
        found.append(value)
    return sorted(map(str, found))


def said(document: dict[str, Any], flat: bool) -> list[str]:
    body = {name: value for name, value in document.items() if name != "proof"}
    return values(body, places_in(body, flat=flat))


@pytest.mark.parametrize("name", PARTIAL)
@given(data=st.data())
@settings(max_examples=12, deadline=None)
def test_what_is_told_is_what_is_shown(name: str, data: st.DataObject) -> None:
    holding = PARTIAL[name]
    choices = holding.choices
    # By name, as a person chooses: a list is one claim to statements.
    names = data.draw(st.sets(st.sampled_from(names_of(choices.places))))
    selection = [place for place in choices.places if path_text(place) in names]
    revealed = choices.reveal(selection)
    assert revealed >= set(selection)
    document = made(holding, selection)
    known = holding.document if name != "vc+sd-jwt" else {**holding.document, **token_claims(holding)}
    shown_values = values(known, revealed)
    assert (
        said({**document, **(token_claims(holding) if name == "vc+sd-jwt" else {})}, name == "dc+sd-jwt")
        == shown_values
    )


def token_claims(holding: Holding) -> dict[str, Any]:
    """The claims of the token itself, which are always shown and stand in no document."""
    assert holding.shown.envelope is not None
    return {
        name: value
        for name, value in holding.shown.envelope.claims.raw.items()
        if name not in holding.document and name != "name"
    }


@pytest.mark.parametrize("name", PARTIAL)
def test_without_a_choice_only_that_is_shown_which_always_is(name: str) -> None:
    choices = PARTIAL[name].choices
    always = choices.reveal(())
    assert 0 < len(always) < len(choices.places)
    assert {path_text(place) for place in always} >= (
        {"iss", "vct", "exp"} if name == "dc+sd-jwt" else {"issuer.id", "validUntil"}
    )


@pytest.mark.parametrize("name", ["ecdsa-sd-2023", "bbs-2023", "vc+sd-jwt"])
def test_some_of_the_subject_is_always_shown_since_there_is_no_credential_without_one(name: str) -> None:
    subject = made(PARTIAL[name], ())["credentialSubject"]
    assert subject["type"] == ["AchievementSubject"]
    assert "result" not in subject or "value" not in subject["result"][0]


def test_a_subject_that_could_be_withheld_as_a_whole_is_shown() -> None:
    holding = held(of_key_school(token=badge_sd_jwt(("credentialSubject",), ("name",))))
    assert "credentialSubject" in made(holding, ())
    assert "name" not in made(holding, ())


@pytest.mark.parametrize("name", PARTIAL)
def test_all_of_it_can_be_shown(name: str) -> None:
    choices = PARTIAL[name].choices
    assert choices.reveal(choices.places) == set(choices.places)
    assert base_proof_in(made(PARTIAL[name], choices.places)) is None


@pytest.mark.parametrize("story", [Story(), Story(token=as_jwt)], ids=["embedded proof", "token"])
def test_one_signature_over_all_of_it_leaves_no_choice(story: Story) -> None:
    holding = held(story)
    assert holding.choices.reveal(()) == set(holding.choices.places)
    assert holding.choices.make((), standards().canonicalizer, OCCASION) == holding.credential


def test_a_derived_credential_leaves_no_choice() -> None:
    derived = deriving("/name")(ecdsa_sd().issued())
    choices = choices_of(derived, read_credential(derived))
    assert choices.reveal(()) == set(choices.places)


def test_identifiers_on_the_way_are_told() -> None:
    """Data Integrity ECDSA Cryptosuites section 3.4.12: every object on the way to a claim keeps its id."""
    revealed = SD.choices.reveal(named_places(SD.choices, [NAME], SD.document))
    assert {"credentialSubject.id", "credentialSubject.achievement.id"} <= set(map(path_text, revealed))


def test_a_list_is_chosen_as_a_whole_or_not_at_all() -> None:
    def with_levels(document: Any) -> None:
        with_results(document)
        for one in document["credentialSubject"]["achievement"]["resultDescription"]:
            one["allowedValue"] = ["A", "B", "C"]

    holding = held(ecdsa_sd(write=with_levels))
    name = "credentialSubject.achievement.resultDescription[].allowedValue"
    document = made(holding, named_places(holding.choices, [name], holding.document))
    described = document["credentialSubject"]["achievement"]["resultDescription"]
    assert [one["allowedValue"] for one in described] == [["A", "B", "C"]] * 2
    one = named_places(
        holding.choices,
        ["/credentialSubject/achievement/resultDescription/0/allowedValue/0"],
        holding.document,
    )
    with pytest.raises(Malformed, match="middle of a value"):
        made(holding, one)


def test_how_to_read_an_object_goes_along_with_it() -> None:
    """A type that may be withheld is none of the claims, and without it the others mean nothing."""
    achievement: Place = ("credentialSubject", "achievement")
    paths = [achievement, (*achievement, "type"), (*achievement, "name"), (*achievement, "criteria")]
    holding = held(of_key_school(token=badge_sd_jwt(*paths)))
    (name,) = named_places(holding.choices, [NAME], holding.document)
    assert made(holding, [name])["credentialSubject"]["achievement"]["type"] == ["Achievement"]
    assert "achievement" not in made(holding, [])["credentialSubject"]


def test_in_flat_claims_a_type_is_a_claim_like_others() -> None:
    token = raw_sd_jwt({"type": "learner", "grade": "1.0"}, [("type",), ("grade",)])(KEY_SCHOOL, {})
    choices = choices_of(token, read_credential(token))
    assert ("type",) in choices.places
    assert ("type",) not in choices.reveal([("grade",)])


def test_the_key_of_the_holder_is_one_claim() -> None:
    assert ("cnf",) in FLAT.choices.reveal(())
    assert not [place for place in FLAT.choices.places if place[:1] == ("cnf",) and len(place) > 1]


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("name", ["name"]),
        ("/name", ["name"]),
        ("/credentialSubject/result/1/value", ["credentialSubject.result[2].value"]),
        ("credentialSubject.result[].value", [f"credentialSubject.result[{at}].value" for at in (1, 2)]),
        ("credentialSubject.result[2].value", ["credentialSubject.result[2].value"]),
        ("credentialSubject.achievement.criteria", ["credentialSubject.achievement.criteria.narrative"]),
        ("achievement.criteria", ["credentialSubject.achievement.criteria.narrative"]),
        ("result[2].value", ["credentialSubject.result[2].value"]),
        ("/credentialSubject/achievement/criteria", ["credentialSubject.achievement.criteria.narrative"]),
    ],
)  # fmt: skip
def test_claims_are_named_as_the_screen_does_or_by_pointers(name: str, found: list[str]) -> None:
    places = named_places(SD.choices, [name], SD.document)
    assert list(names_of(places, places)) == found


@pytest.mark.parametrize(
    "name", ["nam", "credentialSubject.result[3].value", "/nothing", "/name/0", "/achievement", "/a~2"]
)
def test_a_name_of_no_claim_is_an_error(name: str) -> None:
    with pytest.raises(NotFound):
        named_places(SD.choices, [name], SD.document)


def test_of_elements_of_which_some_are_hidden_it_is_told_which() -> None:
    values_ = [("r", 0, "v"), ("r", 1, "v")]
    assert names_of(values_) == ("r[].v",)
    assert names_of(values_[1:], values_[:1]) == ("r[2].v",)


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (["a"], [("a",)]),
        (["a", None, "b"], [("a", 0, "b"), ("a", 1, "b")]),
        (["a", 1, "b"], [("a", 1, "b")]),
        (["a", 2], []),
        (["a", "b"], []),
        (["c", None], []),
    ],
)
def test_a_claims_path_leads_to_places(path: list[Any], found: list[Place]) -> None:
    assert list(find_places({"a": [{"b": 1}, {"b": 2}], "c": "text"}, path)) == found


def test_what_is_under_a_place_or_has_it_as_a_part() -> None:
    places: list[Place] = [("a", "b"), ("a", "c"), ("cnf",)]
    assert under(places, ("a",)) == (("a", "b"), ("a", "c"))
    assert under(places, ("cnf", "jwk")) == (("cnf",),)
    assert under(places, ("x",)) == ()


def test_only_the_proof_for_the_occasion_changes_between_two_showings_of_what_cannot_be_linked() -> None:
    selection = named_places(UNLINKABLE.choices, [NAME], UNLINKABLE.document)
    first = UNLINKABLE.choices.make(selection, standards().canonicalizer, OCCASION)
    again = UNLINKABLE.choices.make(
        selection, standards().canonicalizer, Occasion(b"\x08" * 32, "other", "https://o.example")
    )
    assert isinstance(first, dict)
    assert isinstance(again, dict)
    (proof,), (other,) = proofs_of(first), proofs_of(again)
    assert selective_suite_of(proof) is not None
    assert proof.proof_value != other.proof_value
    assert {**first, "proof": None} == {**again, "proof": None}
    assert not UNLINKABLE.choices.linkable
    assert SD.choices.linkable
    assert TOKEN.choices.linkable


def test_a_label_of_an_unnamed_object_is_not_shown_on_the_way() -> None:
    def label(document: Any) -> None:
        document["credentialSubject"]["achievement"]["criteria"]["id"] = "_:c0"

    holding = held(ecdsa_sd(write=label))
    criteria: Place = ("credentialSubject", "achievement", "criteria")
    selection = [(*criteria, "narrative")]
    assert (*criteria, "id") not in holding.choices.reveal(selection)
    assert "id" not in made(holding, selection)["credentialSubject"]["achievement"]["criteria"]


@pytest.mark.parametrize(
    "change",
    [
        lambda document: document.update(id="urn:uuid:6b0d5c6e-3a3f-4b57-9d0e-2f1f4c6f7a11"),
        lambda document: document["credentialSubject"].update(id=LEARNER.did),
        lambda document: document.update(validFrom="2026-05-25T00:00:01Z"),
        lambda document: document.update(validUntil="2027-06-21T00:00:00Z"),
    ],
    ids=["an id", "a subject's id", "a date of its own", "a long life"],
)
def test_what_is_issued_against_the_terms_is_not_said_to_be_unlinkable(change: Any) -> None:
    """FORMATS.md section 3: the proof links nothing, and what is shown beside it does."""

    def write(document: Any) -> None:
        by_terms(document)
        change(document)

    choices = held(replace(bbs(), write=write)).choices
    assert choices.linkable
    assert choices.for_occasion
