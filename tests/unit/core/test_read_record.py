"""A learner's record (CLR 2.0) holds credentials in its own graph: nothing in it can change places unseen.

The statements of a record and of the credentials in it are one graph, so the record's signature alone lets members be
moved between objects with one `id`. Each attack here keeps it valid, and is seen: the record is refused as it is read,
or the proof of a credential in it breaks, with which the record is judged.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import nacl.signing
import pytest

from node.core.canonical.contexts import ContextStore
from node.core.canonical.plain import read_as_signed
from node.core.canonical.rdfc import Canonicalizer
from node.core.dataintegrity import prepare_proof, proofs_of, verify_proof
from node.core.errors import Malformed, NotVerified
from node.core.keys import KeyKind, PublicKey
from schemas import context_digests, load_contexts

Document = dict[str, Any]
V2 = "https://www.w3.org/ns/credentials/v2"
CLR = "https://purl.imsglobal.org/spec/clr/v2p0/context-2.0.1.json"
OB = "https://purl.imsglobal.org/spec/ob/v3p0/context-3.0.3.json"
RECORD = "urn:uuid:0f0e0d0c-0000-4000-8000-000000000000"
LEARNER = "did:example:learner"
KEY = nacl.signing.SigningKey(bytes(range(32)))
PUBLIC_KEY = PublicKey(KeyKind.ED25519, bytes(KEY.verify_key))
DID = f"did:key:{PUBLIC_KEY.multibase}"
CANONICALIZER = Canonicalizer(ContextStore(load_contexts(), context_digests()))
ENTRY = {
    "id": "https://school.example/status/1#7",
    "type": "BitstringStatusListEntry",
    "statusPurpose": "revocation",
    "statusListIndex": "7",
    "statusListCredential": "https://school.example/status/1",
}


def sign(document: Document) -> Document:
    options = {
        "cryptosuite": "eddsa-rdfc-2022",
        "verificationMethod": f"{DID}#{PUBLIC_KEY.multibase}",
        "proofPurpose": "assertionMethod",
    }
    prepared = prepare_proof(document, options, CANONICALIZER)
    return prepared.finish(KEY.sign(prepared.message).signature)


def badge(number: int) -> Document:
    """A badge of the learner's, revocable, with an end, endorsed as a part of the record."""
    return sign(
        {
            "@context": [V2, OB],
            "id": f"urn:uuid:0f0e0d0c-0000-4000-8000-00000000001{number}",
            "type": ["VerifiableCredential", "OpenBadgeCredential"],
            "issuer": DID,
            "validFrom": "2024-01-01T00:00:00Z",
            "validUntil": f"2030-01-0{number}T00:00:00Z",
            "name": f"Badge {number}",
            "credentialSubject": {
                "id": LEARNER,
                "type": ["AchievementSubject"],
                "achievement": {
                    "id": f"urn:uuid:0f0e0d0c-0000-4000-8000-00000000002{number}",
                    "type": ["Achievement"],
                    "name": f"Achievement {number}",
                    "description": "What was achieved",
                    "criteria": {"narrative": "All tasks done"},
                },
            },
            "credentialStatus": {**ENTRY, "id": f"{ENTRY['id']}{number}", "statusListIndex": f"7{number}"},
            "endorsement": [
                {
                    "@context": [V2, OB],
                    "id": f"urn:uuid:0f0e0d0c-0000-4000-8000-00000000003{number}",
                    "type": ["VerifiableCredential", "EndorsementCredential"],
                    "issuer": {"id": "did:example:endorser", "type": ["Profile"], "name": "Endorser"},
                    "validFrom": "2024-01-01T00:00:00Z",
                    "credentialSubject": {
                        "id": RECORD,
                        "type": ["EndorsementSubject"],
                        "endorsementComment": "A part of it",
                    },
                }
            ],
        }
    )


def record(change: Callable[[Document], object] | None = None) -> Document:
    document: Document = {
        "@context": [V2, CLR, OB],
        "id": RECORD,
        "type": ["VerifiableCredential", "ClrCredential"],
        "issuer": DID,
        "validFrom": "2024-01-01T00:00:00Z",
        "validUntil": "2025-01-01T00:00:00Z",
        "name": "Record",
        "credentialStatus": dict(ENTRY),
        "credentialSubject": {
            "id": LEARNER,
            "type": ["ClrSubject"],
            "verifiableCredential": [badge(1), badge(2)],
        },
    }
    if change is not None:
        change(document)
    return sign(document)


def held(document: Document, number: int) -> Document:
    found: Document = document["credentialSubject"]["verifiableCredential"][number]
    return found


def verified(document: Document) -> bool:
    try:
        verify_proof(document, proofs_of(document)[0], PUBLIC_KEY, CANONICALIZER)
    except (NotVerified, Malformed):
        return False
    return True


def accepted(document: Document) -> bool:
    """Whether the record and each credential in it is read and verified, as an engine must."""
    for one in (document, held(document, 0), held(document, 1)):
        try:
            read_as_signed(one, CANONICALIZER)
        except Malformed:
            return False
        if not verified(one):
            return False
    return True


@pytest.mark.parametrize(
    "change",
    [
        None,
        lambda one: held(one, 0).pop("credentialStatus"),
        lambda one: one.pop("credentialStatus"),
        lambda one: one["credentialSubject"].update(verifiableCredential=badge(1)),
        lambda one: one["credentialSubject"].update(
            achievement=held(one, 0)["credentialSubject"]["achievement"]
        ),
    ],
    ids=["sound", "an unsound badge", "no status", "one badge alone", "an achievement told again"],
)
def test_a_record_is_read_as_it_stands(change: Callable[[Document], object] | None) -> None:
    document = record(change)
    reading = read_as_signed(document, CANONICALIZER)
    assert (reading.document, reading.rewritten) == (document, False)


def test_the_record_that_is_attacked_is_accepted() -> None:
    assert accepted(record())


def move(source: Document, target: Document, name: str) -> None:
    target[name] = source.pop(name)


def endorsed(document: Document) -> Document:
    """The object in a badge whose id is the record's, given the record's type too: that is known of it already."""
    found: Document = held(document, 0)["endorsement"][0]["credentialSubject"]
    found["type"] = ["VerifiableCredential", "EndorsementSubject"]
    return found


def swap_achievements(document: Document) -> None:
    first, second = (held(document, number)["credentialSubject"] for number in (0, 1))
    first["achievement"], second["achievement"] = second["achievement"], first["achievement"]


ATTACKS: dict[str, Callable[[Document], object]] = {
    **{
        f"the record's {name} told by the endorsement of a badge": lambda one, name=name: move(
            one, endorsed(one), name
        )
        for name in ("validUntil", "validFrom", "credentialStatus", "issuer")
    },
    "an entry's place told in another object of its id": lambda one: move(
        one["credentialStatus"], one["credentialSubject"].setdefault("more", {}), "statusListIndex"
    ),
    "the achievements of two badges exchanged": swap_achievements,
    "both achievements in one badge": lambda one: held(one, 0)["credentialSubject"].update(
        achievement=[
            held(one, 0)["credentialSubject"]["achievement"],
            held(one, 1)["credentialSubject"].pop("achievement"),
        ]
    ),
    "an achievement of a badge in the record itself": lambda one: move(
        held(one, 0)["credentialSubject"], one["credentialSubject"], "achievement"
    ),
    "the badges of the record in the subject of a badge": lambda one: held(one, 1)[
        "credentialSubject"
    ].update(verifiableCredential=[one["credentialSubject"]["verifiableCredential"].pop(0)]),
}
# What the statements do not allow at all: no term of that place, or another graph.
NO_ATTACK = {
    "an entry's place told in another object of its id",
    "an achievement of a badge in the record itself",
    "the badges of the record in the subject of a badge",
}


@pytest.mark.parametrize("name", ATTACKS)
def test_nothing_changes_places_unseen(name: str) -> None:
    document = record()
    attacked = copy.deepcopy(document)
    ATTACKS[name](attacked)
    assert attacked != document
    if name not in NO_ATTACK:
        assert verified(attacked), "the record's own signature must hold, else this is no attack"
    try:
        assert not accepted(attacked)
    except IndexError:
        assert len(attacked["credentialSubject"]["verifiableCredential"]) < 2


def test_what_decides_is_not_told_by_an_object_that_is_not_read() -> None:
    """A node with the record's id, in a badge, under a member of which nobody reads the dates."""
    document = record(lambda one: endorsed(one).update(validUntil="2031-01-01T00:00:00Z"))
    assert verified(document)
    with pytest.raises(Malformed, match="another place"):
        read_as_signed(document, CANONICALIZER)


def as_something_else(document: Document) -> None:
    document["type"] = ["VerifiableCredential"]


def under_another_subject(document: Document) -> None:
    """A second node with badges, in a badge: of such it is not said that they are verified."""
    other = {"id": "urn:x:other", "type": ["ClrSubject"], "verifiableCredential": [badge(3)]}
    held(document, 0)["endorsement"][0]["credentialSubject"] = other


def beside_the_subject(document: Document) -> None:
    document["issuer"] = {
        "id": DID,
        "type": ["Profile", "ClrSubject"],
        "verifiableCredential": [badge(3)],
    }


@pytest.mark.parametrize("change", [as_something_else, under_another_subject, beside_the_subject])
def test_credentials_are_held_where_they_are_looked_for_and_nowhere_else(
    change: Callable[[Document], None],
) -> None:
    document = record(change)
    assert verified(document)
    with pytest.raises(Malformed, match="another place"):
        read_as_signed(document, CANONICALIZER)


def test_a_record_in_a_record_is_read() -> None:
    inner = record()
    outer = record(lambda one: one["credentialSubject"]["verifiableCredential"].append(inner))
    outer = sign(
        {
            **{name: value for name, value in outer.items() if name != "proof"},
            "id": "urn:uuid:0f0e0d0c-0000-4000-8000-000000000009",
        }
    )
    assert read_as_signed(outer, CANONICALIZER).document == outer
