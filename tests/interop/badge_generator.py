"""Varied badges and one fault each, the same for the same seed, signed by us with a did:key.

Everything that Open Badges 3.0 lets a badge have appears in some of them: results of a rubric, alignments, creators,
endorsements, addresses, numbers, dates in the past; texts of many scripts, and of the corners of Unicode and JSON.
"""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import nacl.signing

from node.core.canonical.rdfc import Canonicalizer
from node.core.dataintegrity import prepare_proof
from node.core.keys import KeyKind, PublicKey

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
NOW_TEXT = "2026-06-01T12:00:00Z"
SUITES = ("eddsa-jcs-2022", "eddsa-rdfc-2022")
COUNT = 20

Document = dict[str, Any]

_WORDS = (
    "Ада Лавлейс", "学习者", "زينب", "नीलम", "Zoë Müller-Łącki", "e\u0301 and é", "🎓👩🏽‍🔬", "\U0001d518nicode",
    'quotes " and \\ and /', "tab\tnew\nline\rreturn", "\u2028 and \u2029", "\u200f\u202eright to left", "\x7f\x80",
    "<script>&amp;", "0", "null", "", " spaces ", "\ufeffmark", "\x01\x1f control",
)  # fmt: skip


@dataclass(frozen=True)
class Holder:
    """A key pair and its did:key."""

    seed: bytes

    @property
    def key(self) -> nacl.signing.SigningKey:
        return nacl.signing.SigningKey(self.seed)

    @property
    def public_key(self) -> PublicKey:
        return PublicKey(KeyKind.ED25519, bytes(self.key.verify_key))

    @property
    def did(self) -> str:
        return f"did:key:{self.public_key.multibase}"

    @property
    def method(self) -> str:
        return f"{self.did}#{self.public_key.multibase}"


ISSUER, STRANGER, LEARNER = (Holder(bytes([number]) * 32) for number in (1, 2, 3))


def sign(
    document: Document, suite: str, canonicalizer: Canonicalizer, *, by: Holder = ISSUER, **options: Any
) -> Document:
    """The document with a proof of ours; `options` are members of the proof that differ from the usual ones."""
    proof = {
        "cryptosuite": suite,
        "created": "2026-02-01T00:00:00Z",
        "verificationMethod": by.method,
        "proofPurpose": "assertionMethod",
        **options,
    }
    prepared = prepare_proof(document, proof, canonicalizer)
    return prepared.finish(by.key.sign(prepared.message).signature)


def make_badge(number: int, seed: str = "bonafides") -> Document:
    """An unsigned badge; `number` picks which of the things that a badge may have it has."""
    chance = random.Random(f"{seed} {number}")  # noqa: S311 - the same badges every time

    def words() -> str:
        return chance.choice(_WORDS) + chance.choice(_WORDS)

    def maybe(members: Document) -> Document:
        return members if chance.random() < 0.5 else {}

    base = f"https://school{number}.example/achievements/{chance.randrange(10**6)}"
    results = chance.randrange(4)
    achievement = {
        "id": base,
        "type": ["Achievement"],
        "name": words(),
        "description": words(),
        "criteria": {"narrative": words()},
        **maybe({"achievementType": "MicroCredential", "tag": [words(), "tag"], "inLanguage": "de-CH"}),
        **maybe(
            {"creator": _profile(chance, base), "creditsAvailable": chance.choice([1, 2.5, 12345.678, 1e-7])}
        ),
        **maybe({"alignment": [_alignment(words, base, index) for index in range(1 + chance.randrange(3))]}),
        **maybe({"otherIdentifier": [_identifier(words())], "version": "1.0"}),
        **({"resultDescription": [_description(words, base, n) for n in range(results)]} if results else {}),
    }
    subject = {
        "id": LEARNER.did,
        "type": ["AchievementSubject"],
        "achievement": achievement,
        **({"result": [_result(base, n, chance) for n in range(results)]} if results else {}),
        **maybe({"narrative": words(), "creditsEarned": chance.choice([3, 0.5, 100])}),
        **maybe(
            {"activityStartDate": "2026-01-05T08:00:00+01:00", "activityEndDate": "2026-01-20T17:30:00Z"}
        ),
        **maybe({"source": _profile(chance, base + "/assessor")}),
    }
    return {
        "@context": [
            "https://www.w3.org/ns/credentials/v2",
            "https://purl.imsglobal.org/spec/ob/v3p0/context-3.0.3.json",
        ],
        "id": f"urn:uuid:00000000-0000-4000-8000-{number:012d}",
        "type": ["VerifiableCredential", chance.choice(["OpenBadgeCredential", "AchievementCredential"])],
        "issuer": {"id": ISSUER.did, "type": ["Profile"], "name": words()},
        "validFrom": chance.choice(["2026-02-01T00:00:00Z", "2026-01-31T23:59:59.5+05:30"]),
        "name": words(),
        "credentialSubject": subject,
        **maybe({"validUntil": "2036-01-01T00:00:00Z"}),
        **maybe({"awardedDate": "2026-01-31T10:00:00Z", "description": words()}),
        **maybe({"evidence": [{"id": f"{base}/evidence", "type": ["Evidence"], "name": words()}]}),
    }


def _profile(chance: random.Random, base: str) -> Document:
    address = {"type": ["Address"], "addressLocality": chance.choice(_WORDS), "addressCountryCode": "CH"}
    geo = {"type": "GeoCoordinates", "latitude": 46.94809, "longitude": -7.44744}
    return {
        "id": f"{base}#profile",
        "type": ["Profile"],
        "name": chance.choice(_WORDS),
        "address": {**address, "geo": geo},
    }


def _alignment(words: Callable[[], str], base: str, index: int) -> Document:
    url = f"{base}/framework/{index}"
    return {"type": ["Alignment"], "targetName": words(), "targetUrl": url, "targetType": "ceasn:Competency"}


def _identifier(text: str) -> Document:
    return {"type": "IdentifierEntry", "identifier": text, "identifierType": "systemId"}


def _description(words: Callable[[], str], base: str, number: int) -> Document:
    levels = [
        {
            "id": f"{base}#{number}-{level}",
            "type": ["RubricCriterionLevel"],
            "name": words(),
            "level": str(level),
        }
        for level in range(3)
    ]
    return {
        "id": f"{base}#{number}",
        "type": ["ResultDescription"],
        "name": words(),
        "resultType": "RubricCriterionLevel",
        "rubricCriterionLevel": levels,
        "requiredLevel": levels[1]["id"],
    }


def _result(base: str, number: int, chance: random.Random) -> Document:
    level = f"{base}#{number}-{chance.randrange(3)}"
    return {"type": ["Result"], "resultDescription": f"{base}#{number}", "achievedLevel": level}


Fault = Callable[[Document, str, Canonicalizer], Document]


def changed(edit: Callable[[Document], object]) -> Fault:
    """A fault that is made after signing."""

    def fault(document: Document, suite: str, canonicalizer: Canonicalizer) -> Document:
        signed = sign(document, suite, canonicalizer)
        edit(signed)
        return signed

    return fault


def signed_with(edit: Callable[[Document], object], **options: Any) -> Fault:
    """A fault that the issuer itself makes: the signature fits."""

    def fault(document: Document, suite: str, canonicalizer: Canonicalizer) -> Document:
        faulty = copy.deepcopy(document)
        edit(faulty)
        return sign(faulty, suite, canonicalizer, **options)

    return fault


def _flipped(proof_value: str) -> str:
    return proof_value[:40] + ("2" if proof_value[40] != "2" else "3") + proof_value[41:]


# What both sides refuse.
FAULTS: dict[str, Fault] = {
    "another name of the achievement": changed(
        lambda d: d["credentialSubject"]["achievement"].update(name="Another")
    ),
    "one character more": changed(lambda d: d.update(name=d["name"] + "\u200b")),
    "another spelling of the same letter": changed(lambda d: d["issuer"].update(name="e\u0301e\u0301")),
    "another learner": changed(lambda d: d["credentialSubject"].update(id=STRANGER.did)),
    "a member more": changed(lambda d: d.update(awardedDate="2020-01-01T00:00:00Z")),
    "a member that no context defines": changed(lambda d: d.update(surprise="yes")),
    "a member less": changed(lambda d: d.pop("name")),
    "another start": changed(lambda d: d.update(validFrom="2026-03-01T00:00:00Z")),
    "a context less": changed(lambda d: d["@context"].pop()),
    "one digit of the signature": changed(
        lambda d: d["proof"][0].update(proofValue=_flipped(d["proof"][0]["proofValue"]))
    ),
    "a short signature": changed(lambda d: d["proof"][0].update(proofValue=d["proof"][0]["proofValue"][:-4])),
    "another key": changed(lambda d: d["proof"][0].update(verificationMethod=STRANGER.method)),
    "another time of signing": changed(lambda d: d["proof"][0].update(created="2026-01-01T00:00:00Z")),
    "another purpose": changed(lambda d: d["proof"][0].update(proofPurpose="authentication")),
    "another suite": changed(
        lambda d: d["proof"][0].update(cryptosuite=SUITES[1 - SUITES.index(d["proof"][0]["cryptosuite"])])
    ),
    "no proof": changed(lambda d: d.pop("proof")),
    "another issuer": changed(lambda d: d["issuer"].update(id=STRANGER.did)),
    "signed by somebody else": signed_with(lambda _: None, by=STRANGER),
    "signed to authenticate": signed_with(lambda _: None, proofPurpose="authentication"),
    "expired": signed_with(lambda d: d.update(validUntil="2026-05-01T00:00:00Z")),
    "not yet valid": signed_with(lambda d: d.update(validFrom="2026-07-01T00:00:00Z")),
    "no subject": signed_with(lambda d: d.pop("credentialSubject")),
    "no issuer": signed_with(lambda d: d.pop("issuer")),
    "an issuer that is no URL": signed_with(lambda d: d["issuer"].update(id="the school")),
    "not typed as a credential": signed_with(lambda d: d.update(type=["OpenBadgeCredential"])),
    "evidence without a type": signed_with(lambda d: d.update(evidence=[{"id": "https://a.example/"}])),
    "a start that is no time": signed_with(lambda d: d.update(validFrom="last Tuesday")),
}
# Faults whose statements would be lost: nothing can be signed with eddsa-rdfc-2022.
NOT_SIGNED_AS_RDF = {"an issuer that is no URL", "not typed as a credential"}


def as_text(document: Document) -> str:
    """The document as a file would hold it."""
    return json.dumps(document, ensure_ascii=False)
