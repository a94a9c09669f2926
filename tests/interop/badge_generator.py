"""Varied badges and one fault each, the same for the same seed, signed by us with a did:key of each kind.

Everything that Open Badges 3.0 lets a badge have appears in some of them: results of a rubric, alignments, creators,
endorsements, addresses, numbers, dates in the past; texts of many scripts, and of the corners of Unicode and JSON.
"""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from hashlib import sha256
from typing import Any, Final

from node.core.canonical.rdfc import Canonicalizer
from node.core.dataintegrity import Disclosure, prepare_proof
from node.core.dataintegrity.bbs_2023 import BbsDisclosure
from node.core.keys import KeyKind, Signer
from node.keystore import signer_of

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
NOW_TEXT = "2026-06-01T12:00:00Z"
SIGNED_AT = "2026-02-01T00:00:00Z"
COUNT = 20

Document = dict[str, Any]

_WORDS = (
    "Ада Лавлейс", "学习者", "زينب", "नीलम", "Zoë Müller-Łącki", "e\u0301 and é", "🎓👩🏽‍🔬", "\U0001d518nicode",
    'quotes " and \\ and /', "tab\tnew\nline\rreturn", "\u2028 and \u2029", "\u200f\u202eright to left", "\x7f\x80",
    "<script>&amp;", "0", "null", "", " spaces ", "\ufeffmark", "\x01\x1f control",
)  # fmt: skip


@dataclass(frozen=True)
class Suite:
    """A cryptosuite with the kind of key that signs."""

    name: str
    kind: KeyKind = KeyKind.ED25519

    def __str__(self) -> str:
        return f"{self.name} {self.kind}"

    @property
    def signs_rdf(self) -> bool:
        return "-jcs-" not in self.name


JCS = (
    Suite("eddsa-jcs-2022"), Suite("ecdsa-jcs-2019", KeyKind.P256), Suite("ecdsa-jcs-2019", KeyKind.P384)
)  # fmt: skip
RDFC = (
    Suite("eddsa-rdfc-2022"), Suite("ecdsa-rdfc-2019", KeyKind.P256), Suite("ecdsa-rdfc-2019", KeyKind.P384)
)  # fmt: skip
SUITES = JCS + RDFC
# Suites whose holder shows a part.
SELECTIVE = (Suite("ecdsa-sd-2023", KeyKind.P256), Suite("bbs-2023", KeyKind.BLS12381_G2))
_OTHER: Final = {**dict(zip(JCS, RDFC, strict=True)), **dict(zip(RDFC, JCS, strict=True))}

# Scalars of 32 bytes for all curves but P-384; small enough for each of them.
_SECRET_BYTES: Final = {KeyKind.P384: 48}


@dataclass(frozen=True)
class Person:
    """Somebody with a key pair of each kind, told by a number, and the did:key of one of them."""

    number: int
    kind: KeyKind = KeyKind.ED25519

    def of(self, kind: KeyKind) -> Person:
        """The same one with another key."""
        return replace(self, kind=kind)

    @property
    def secret(self) -> bytes:
        return bytes([self.number]) * _SECRET_BYTES.get(self.kind, 32)

    @property
    def signer(self) -> Signer:
        return _signer(self.kind, self.secret)

    @property
    def did(self) -> str:
        return f"did:key:{self.signer.public_key.multibase}"

    @property
    def method(self) -> str:
        return f"{self.did}#{self.signer.public_key.multibase}"

    def to_json(self) -> dict[str, str]:
        """Both halves of the key, for other software."""
        return {
            "kind": str(self.kind),
            "secret": self.secret.hex(),
            "publicKey": self.signer.public_key.raw.hex(),
            "method": self.method,
        }


_signer = cache(signer_of)
ISSUER, STRANGER, LEARNER = (Person(number) for number in (1, 2, 3))


def sign(
    document: Document,
    suite: Suite,
    canonicalizer: Canonicalizer,
    *,
    by: Person = ISSUER,
    mandatory: tuple[str, ...] = (),
    **options: Any,
) -> Document:
    """The document with a proof of ours; `options` are members of the proof that differ from the usual ones."""
    signer = by.of(suite.kind).signer
    proof = {
        "cryptosuite": suite.name,
        "created": SIGNED_AT,
        "verificationMethod": by.of(suite.kind).method,
        "proofPurpose": "assertionMethod",
        **options,
    }
    disclosure: Disclosure | None = None
    if suite.name == "ecdsa-sd-2023":
        disclosure = Disclosure(mandatory, _fresh("labels"), _fresh("a key for one proof"))
    elif suite.name == "bbs-2023":
        disclosure = BbsDisclosure(mandatory, _fresh("labels"), public_key=signer.public_key)
    prepared = prepare_proof(document, proof, canonicalizer, key_kind=suite.kind, disclosure=disclosure)
    return prepared.finish(signer.sign(prepared.message))


def _fresh(name: str) -> bytes:
    return sha256(name.encode()).digest()


def make_badge(number: int, kind: KeyKind = KeyKind.ED25519, seed: str = "bonafides") -> Document:
    """An unsigned badge; `number` picks which of the things that a badge may have it has.

    Its issuer and learner are those with keys of `kind`.
    """
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
        "id": LEARNER.of(kind).did,
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
        "issuer": {"id": ISSUER.of(kind).did, "type": ["Profile"], "name": words()},
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


Fault = Callable[[Document, Suite, Canonicalizer], Document]


def changed(edit: Callable[[Document], object]) -> Fault:
    """A fault that is made after signing."""

    def fault(document: Document, suite: Suite, canonicalizer: Canonicalizer) -> Document:
        signed = sign(document, suite, canonicalizer)
        edit(signed)
        return signed

    return fault


def signed_with(edit: Callable[[Document], object], **options: Any) -> Fault:
    """A fault that the issuer itself makes: the signature fits."""

    def fault(document: Document, suite: Suite, canonicalizer: Canonicalizer) -> Document:
        faulty = copy.deepcopy(document)
        edit(faulty)
        return sign(faulty, suite, canonicalizer, **options)

    return fault


def proof_with(**members: Callable[[Suite], str]) -> Fault:
    """A fault in the proof, made after signing; each member depends on the suite."""

    def fault(document: Document, suite: Suite, canonicalizer: Canonicalizer) -> Document:
        signed = sign(document, suite, canonicalizer)
        signed["proof"][0].update({name: value(suite) for name, value in members.items()})
        return signed

    return fault


def _another_kind(kind: KeyKind) -> KeyKind:
    return KeyKind.P256 if kind is not KeyKind.P256 else KeyKind.P384


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
    "another key": proof_with(verificationMethod=lambda suite: STRANGER.of(suite.kind).method),
    "a key of another kind": proof_with(
        verificationMethod=lambda suite: ISSUER.of(_another_kind(suite.kind)).method
    ),
    "another time of signing": changed(lambda d: d["proof"][0].update(created="2026-01-01T00:00:00Z")),
    "another purpose": changed(lambda d: d["proof"][0].update(proofPurpose="authentication")),
    "another suite": proof_with(cryptosuite=lambda suite: _OTHER[suite].name),
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
# Faults whose statements would be lost: nothing can be signed as RDF.
NOT_SIGNED_AS_RDF = {"an issuer that is no URL", "not typed as a credential"}


def as_text(document: Document) -> str:
    """The document as a file would hold it."""
    return json.dumps(document, ensure_ascii=False)
