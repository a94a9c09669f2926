"""The terms of bbs-2023 credentials, and that under them nothing links two presentations of one of them."""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from fixtures.published import published_canonicalizer

from node.core.bbs.request import sign_request
from node.core.bbs.signatures import key_gen, public_key_of
from node.core.cbor import decode_cbor
from node.core.dataintegrity import derive_proof, prepare_proof, proofs_of, verify_proof
from node.core.dataintegrity.bbs_2023 import BbsDisclosure, shuffled_labels, uniform_hmac_key
from node.core.dataintegrity.bbs_terms import broken_terms, epoch_of, linking_members, validity_of
from node.core.dataintegrity.selective import Grouping
from node.core.encoding import decode_multibase
from node.core.errors import Malformed
from node.core.keys import KeyKind, PublicKey

Document = dict[str, Any]
CANONICALIZER = published_canonicalizer()
SECRET_KEY = key_gen(b"the secret of a school for one epoch ...")
KEY = PublicKey(KeyKind.BLS12381_G2, public_key_of(SECRET_KEY))
ISSUER = "did:web:school.example"
OPTIONS = {
    "cryptosuite": "bbs-2023",
    "verificationMethod": f"{ISSUER}#2026-11-16",
    "proofPurpose": "assertionMethod",
}
MANDATORY = ("/type", "/issuer", "/validFrom", "/validUntil")
NAME = "/credentialSubject/achievement/name"
RESULT = "/credentialSubject/result/0/type"
FROM, UNTIL = validity_of(datetime(2026, 11, 21, 17, 30, tzinfo=UTC))
HASHED = {
    "type": "IdentityObject",
    "hashed": True,
    "salt": "of each learner",
    "identityHash": f"sha256${'0' * 64}",
    "identityType": "ext:row",
}
LEARNERS = [("Ada", "87", "91"), ("Grace", "12", "100"), ("Edsger", "55", "54"), ("Barbara", "1", "2")]


def credential(learner: tuple[str, str, str], **changed: Any) -> Document:
    name, first, second = learner
    return {
        "@context": [
            "https://www.w3.org/ns/credentials/v2",
            "https://purl.imsglobal.org/spec/ob/v3p0/context-3.0.3.json",
        ],
        "type": ["VerifiableCredential", "OpenBadgeCredential"],
        "issuer": {"id": ISSUER, "type": ["Profile"], "name": "School"},
        "validFrom": FROM,
        "validUntil": UNTIL,
        "credentialSubject": {
            "type": ["AchievementSubject"],
            "narrative": name,
            "achievement": {
                "id": "https://school.example/welding",
                "type": ["Achievement"],
                "name": "Welding I",
                "description": "Welds.",
                "criteria": {"narrative": "Weld."},
            },
            "result": [{"type": ["Result"], "value": first}, {"type": ["Result"], "value": second}],
        },
        **changed,
    }


def issue(
    learner: tuple[str, str, str], options: Document | None = None, *, uniform: bool = True, **changed: Any
) -> Document:
    seed = hashlib.sha256(learner[0].encode()).digest()
    disclosure = BbsDisclosure(MANDATORY, seed, public_key=KEY, uniform=uniform)
    document = credential(learner, **changed)
    prepared = prepare_proof(document, options or OPTIONS, CANONICALIZER, disclosure=disclosure)
    return prepared.finish(sign_request(SECRET_KEY, prepared.message))


SEEDS = (number.to_bytes(32, "big") for number in itertools.count())


def show(signed: Document, *pointers: str, nonce: bytes = b"") -> Document:
    shown = derive_proof(
        signed,
        proofs_of(signed)[0],
        pointers,
        CANONICALIZER,
        presentation_header=nonce,
        entropy=next(SEEDS),
    )
    verify_proof(shown, proofs_of(shown)[0], KEY, CANONICALIZER)
    return shown


def everything_in(shown: Document) -> set[tuple[str, object]]:
    """Every value that a presentation consists of, with its place: the proof taken apart to points and scalars."""
    document = {**shown, "proof": dict(shown["proof"][0])}
    data = decode_multibase(document["proof"].pop("proofValue"))
    proof, *items = decode_cbor(data[3:])  # type: ignore[misc]
    assert isinstance(proof, bytes)
    points = [proof[at : at + 48] for at in range(0, 144, 48)]
    scalars = [proof[at : at + 32] for at in range(144, len(proof), 32)]
    values: Document = {"document": document, "header": data[:3], "items": items, "length": len(data)}
    # The place of a point or scalar says nothing: the same one in another place would link as well.
    return (
        set(leaves("", values))
        | {("points", point) for point in points}
        | {("scalars", scalar) for scalar in scalars}
    )


def leaves(place: str, value: Any) -> Iterator[tuple[str, object]]:
    if isinstance(value, dict):
        yield place, tuple(value)
        for name, member in value.items():
            yield from leaves(f"{place}/{name}", member)
    elif isinstance(value, list):
        yield place, len(value)
        for index, item in enumerate(value):
            yield from leaves(f"{place}/{index}", item)
    else:
        yield place, value


def linking(one: Document, again: Document, others: list[Document]) -> set[tuple[str, object]]:
    """What two presentations of one credential have in common that those of others do not have."""
    common = everything_in(one) & everything_in(again)
    return common - set.intersection(*(everything_in(other) for other in others))


def test_nothing_links_two_presentations_of_one_credential() -> None:
    signed = [issue(learner) for learner in LEARNERS]
    for mine in signed:
        first, second = show(mine, NAME), show(mine, NAME)
        assert linking(first, second, [show(other, NAME) for other in signed]) == set()


def test_nothing_links_presentations_that_show_different_parts() -> None:
    signed = [issue(learner) for learner in LEARNERS]
    for mine in signed:
        first, second = show(mine, NAME), show(mine, NAME, RESULT)
        others = [[show(other, NAME), show(other, NAME, RESULT)] for other in signed]
        common = everything_in(first) & everything_in(second)
        assert common == set.intersection(*(everything_in(a) & everything_in(b) for a, b in others))


def test_all_but_the_proof_itself_is_the_same_for_every_holder() -> None:
    shown = [everything_in(show(issue(learner), NAME, RESULT, nonce=b"nonce")) for learner in LEARNERS]
    for one in shown[1:]:
        assert {place for place, _ in one ^ shown[0]} == {"points", "scalars"}
        assert len(one ^ shown[0]) == 2 * len([1 for place, _ in one if place in ("points", "scalars")])


LINKS: dict[str, dict[str, Any]] = {
    "an id of the credential": {"id": "urn:uuid:0c4fdd02-9c3f-4a58-9c36-6fd8bb9d2c61"},
    "a date of its own": {"validFrom": "2026-11-21T17:30:12Z"},
}


@pytest.mark.parametrize("change", LINKS)
def test_the_comparison_finds(change: str) -> None:
    mine = issue(LEARNERS[0], **LINKS[change])
    others = [show(issue(learner), NAME) for learner in LEARNERS[1:]]
    assert linking(show(mine, NAME), show(mine, NAME), others)


def test_the_comparison_finds_a_time_in_the_proof() -> None:
    mine = issue(LEARNERS[0], {**OPTIONS, "created": "2026-11-21T17:30:12Z"})
    assert linking(show(mine, NAME), show(mine, NAME), [show(issue(LEARNERS[1]), NAME)])


def test_the_comparison_finds_labels_that_were_shuffled_for_each_holder() -> None:
    """Why labels are uniform under these terms: the draft's shuffle alone tells credentials apart."""
    signed = [issue(learner, uniform=False) for learner in LEARNERS]
    shown = [(show(mine, NAME), show(mine, NAME)) for mine in signed]
    assert any(linking(first, second, [other for other, _ in shown]) for first, second in shown)


@pytest.mark.parametrize("learner", LEARNERS, ids=str)
def test_uniform_labels_follow_the_order_of_the_document(learner: tuple[str, str, str]) -> None:
    """The credential first, its subject, then what the subject has, whatever is written in them."""
    key = uniform_hmac_key(credential(learner), bytes(32), CANONICALIZER)
    assert key == uniform_hmac_key(credential(learner), bytes(32), CANONICALIZER)
    grouping = Grouping(credential(learner), shuffled_labels(key), CANONICALIZER)
    assert grouping.labels_in_order() == tuple(f"b{number}" for number in range(5))
    statements = "".join(grouping.statements)
    for label, value in {"b1": learner[0], "b3": learner[1], "b4": learner[2]}.items():
        assert re.search(rf'^_:{label} \S+ "{value}"', statements, re.MULTILINE)


def test_too_many_objects_without_an_id_are_not_put_in_order() -> None:
    results = [{"type": ["Result"], "value": str(value)} for value in range(6)]
    document = credential(LEARNERS[0])
    document["credentialSubject"]["result"] = results
    with pytest.raises(Malformed, match="without an id"):
        uniform_hmac_key(document, bytes(32), CANONICALIZER)


# Terms --------------------------------------------------------------------------------------------------------


def test_a_credential_under_the_terms_keeps_them_whole_and_shown() -> None:
    assert broken_terms(credential(LEARNERS[0]), end_is_mandatory=True) == ()
    shown = show(issue(LEARNERS[0]), NAME)
    assert broken_terms(shown, end_is_mandatory=True) == ()
    assert linking_members(credential(LEARNERS[0]), OPTIONS) == ()


BROKEN: dict[str, dict[str, Any]] = {
    "a status entry": {"credentialStatus": {"type": "BitstringStatusListEntry"}},
    "an end on a Tuesday": {"validUntil": "2026-12-15T00:00:00Z"},
    "an end a second late": {"validUntil": "2026-12-14T00:00:01Z"},
    "an end with a fraction": {"validUntil": "2026-12-14T00:00:00.0Z"},
    "an end with an offset": {"validUntil": "2026-12-14T01:00:00+01:00"},
    "an end with an empty offset": {"validUntil": "2026-12-14T00:00:00+00:00"},
    "an end at twenty-four hours": {"validUntil": "2026-12-13T24:00:00Z"},
    "an end that is no time": {"validUntil": "soon"},
    "two ends": {"validUntil": ["2026-12-14T00:00:00Z"]},
    "no end": {"validUntil": None},
    "no begin": {"validFrom": None},
    "a begin within the week": {"validFrom": "2026-11-21T17:30:00Z"},
    "35 days": {"validUntil": "2026-12-21T00:00:00Z"},
    "no day at all": {"validUntil": FROM},
    "an end before its begin": {"validFrom": UNTIL, "validUntil": FROM},
}


@pytest.mark.parametrize("change", BROKEN)
def test_the_terms_are_broken_by(change: str) -> None:
    assert len(broken_terms(credential(LEARNERS[0], **BROKEN[change]), end_is_mandatory=True)) == 1


def test_the_terms_are_broken_by_an_end_that_is_not_mandatory() -> None:
    assert broken_terms(credential(LEARNERS[0]), end_is_mandatory=False) == ("validUntil is not mandatory",)


@pytest.mark.parametrize(
    ("document", "options", "found"),
    [
        ({"id": "urn:uuid:1"}, {}, ("/id",)),
        ({"credentialSubject": {"id": "did:key:z"}}, {}, ("/credentialSubject/id",)),
        ({"credentialSubject": [{}, {"id": "did:key:z"}]}, {}, ("/credentialSubject/1/id",)),
        ({"credentialSubject": {"identifier": [HASHED]}}, {}, ("/credentialSubject/identifier",)),
        ({"credentialSubject": [{}, {"identifier": [HASHED]}]}, {}, ("/credentialSubject/1/identifier",)),
        ({}, {"created": "2026-11-21T17:30:12Z"}, ("created",)),
        ({}, {"created": FROM}, ()),
        ({}, {"id": "urn:uuid:1", "nonce": "n", "expires": UNTIL}, ("expires", "id", "nonce")),
        ({}, {"challenge": "c", "domain": "d"}, ("challenge", "domain")),
    ],
    ids=str,
)
def test_what_would_link_is_named_before_it_is_signed(
    document: Document, options: Document, found: tuple[str, ...]
) -> None:
    assert linking_members(credential(LEARNERS[0], **document), {**OPTIONS, **options}) == found


@pytest.mark.parametrize(
    ("moment", "begin"),
    [
        (datetime(2026, 11, 16, tzinfo=UTC), datetime(2026, 11, 16, tzinfo=UTC)),
        (datetime(2026, 11, 15, 23, 59, 59, 999999, tzinfo=UTC), datetime(2026, 11, 9, tzinfo=UTC)),
        (datetime(2026, 11, 22, 23, tzinfo=UTC), datetime(2026, 11, 16, tzinfo=UTC)),
        (datetime(1969, 12, 31, tzinfo=UTC), datetime(1969, 12, 29, tzinfo=UTC)),
    ],
    ids=str,
)
def test_an_epoch_begins_on_monday(moment: datetime, begin: datetime) -> None:
    assert epoch_of(moment) == begin
    assert begin.isoweekday() == 1


def test_all_who_get_a_credential_in_one_week_get_the_same_dates() -> None:
    dates = {
        validity_of(datetime(2026, 11, day, hour, tzinfo=UTC)) for day in range(16, 23) for hour in (0, 23)
    }
    assert dates == {("2026-11-16T00:00:00Z", "2026-12-14T00:00:00Z")}
    assert validity_of(datetime(2026, 11, 21, tzinfo=UTC), weeks=1)[1] == "2026-11-23T00:00:00Z"
    for weeks in (0, 5):
        with pytest.raises(ValueError, match="weeks"):
            validity_of(datetime(2026, 11, 21, tzinfo=UTC), weeks)
