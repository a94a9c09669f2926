"""Badges of some 3 KB, no two alike, secured in any of our ways; and a verifier that takes them.

Their shapes differ too: how many results, levels, alignments and tags there are, which optional members, how long the
texts. `number` says which badge it is; the same number is the same badge in every run.
"""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime
from functools import cache
from hashlib import sha256
from typing import Any, Final

from node.commands.loading import load_standards
from node.core.dataintegrity import Disclosure, prepare_proof
from node.core.dataintegrity.bbs_2023 import BbsDisclosure
from node.core.keys import KeyKind, Signer
from node.core.verify import engine
from node.core.verify.intake import read_intake
from node.core.verify.materials import Materials
from node.core.verify.policy import ANY_ISSUER_UNSAFE
from node.core.verify.report import Acceptance, Report
from node.core.verify.verifier import Standards, Verifier
from node.keystore import signer_of

NOW: Final = datetime(2026, 1, 20, 12, tzinfo=UTC)
NOW_TEXT: Final = "2026-01-20T12:00:00Z"
# Those that judge a document twice must not be faster for it: the canonicalizer remembers sixteen.
BADGES: Final = 40
_CHARACTERS: Final = 2_500
_SECRET: Final = bytes(range(1, 33))
_KINDS: Final = {
    "ecdsa-rdfc-2019": KeyKind.P256,
    "ecdsa-jcs-2019": KeyKind.P256,
    "ecdsa-sd-2023": KeyKind.P256,
    "bbs-2023": KeyKind.BLS12381_G2,
}
# What a verifier needs of any credential is always shown.
_MANDATORY: Final = ("/issuer", "/validFrom", "/validUntil")
_TEXT: Final = (
    "each task is run against tests that the learner has not seen, then read by a reviewer, who says what was done "
    "well and what another choice would have cost; prüft Größen, évalue les résultats, 数据结构, обосновывает выбор"
)

Document = dict[str, Any]


@cache
def standards() -> Standards:
    """Contexts, schemas and networks, read once."""
    return load_standards()


@cache
def verifier() -> Verifier:
    """Offline; recognises any issuer."""
    return Verifier.of(standards(), policy=ANY_ISSUER_UNSAFE)


def report_on(data: bytes) -> Report:
    """From the bytes of a file to the report; its proof must be good."""
    report = engine.verify(read_intake(data), Materials.none(), verifier(), now=NOW)
    assert report.verified, report.decisive
    return report


def accept(data: bytes) -> None:
    """`report_on` what must be accepted."""
    report = report_on(data)
    assert report.acceptance is Acceptance.ACCEPTED, report.decisive


def signer_for(securing: str) -> Signer:
    """The issuer's key of the kind that fits."""
    return _signer(_KINDS.get(securing, KeyKind.ED25519))


_signer = cache(lambda kind: signer_of(kind, _SECRET))


def secured(number: int, securing: str) -> Document:
    """Badge `number` of a did:key issuer, with an embedded proof."""
    signer = signer_for(securing)
    did = f"did:key:{signer.public_key.multibase}"
    options = {
        "cryptosuite": securing,
        "created": f"2026-01-02T10:{number // 60 % 60:02d}:{number % 60:02d}Z",
        "verificationMethod": f"{did}#{signer.public_key.multibase}",
        "proofPurpose": "assertionMethod",
    }
    badge = make_badge(number, did)
    disclosure = None
    if securing == "ecdsa-sd-2023":
        disclosure = Disclosure(_MANDATORY, _secret("labels", number), _secret("statements", number))
    elif securing == "bbs-2023":
        badge["validUntil"] = "2026-02-02T00:00:00Z"  # such a credential has no status, so it is short
        labels = _secret("labels", number)
        disclosure = BbsDisclosure(_MANDATORY, labels, public_key=signer.public_key)
    canonicalizer = standards().canonicalizer
    kind = signer.public_key.kind
    prepared = prepare_proof(badge, options, canonicalizer, key_kind=kind, disclosure=disclosure)
    return prepared.finish(signer.sign(prepared.message))


def as_text(document: Document) -> str:
    """The document as a file holds it."""
    return json.dumps(document, ensure_ascii=False)


def make_badge(number: int, issuer: str) -> Document:
    """Badge `number` without a proof."""
    chance = random.Random(f"badge {number}")  # noqa: S311 - the same badges in every run
    base = f"https://school.example/achievements/{chance.randrange(10**6)}"
    names = chance.sample(["tests", "style", "report", "talk"], 2 + chance.randrange(3))
    subject: Document = {
        "id": f"did:example:learner-{number}",
        "type": ["AchievementSubject"],
        "achievement": _achievement(chance, base, names),
        "result": [_result(chance, base, name) for name in names],
    }
    if chance.random() < 0.5:
        subject |= {"narrative": _words(chance, 12), "activityEndDate": "2025-12-20T17:30:00Z"}
    badge: Document = {
        "@context": [
            "https://www.w3.org/ns/credentials/v2",
            "https://purl.imsglobal.org/spec/ob/v3p0/context-3.0.3.json",
        ],
        "id": f"urn:uuid:00000000-0000-4000-8000-{number:012d}",
        "type": ["VerifiableCredential", "OpenBadgeCredential"],
        "issuer": {"id": issuer, "type": ["Profile"], "name": "School of Examples"},
        "validFrom": "2026-01-05T00:00:00Z",
        "validUntil": "2036-01-01T00:00:00Z",
        "name": _words(chance, 3),
        "credentialSubject": subject,
    }
    if chance.random() < 0.5:
        badge |= {"awardedDate": "2026-01-04T10:00:00Z", "description": _words(chance, 10)}
    if chance.random() < 0.5:
        url = "https://school.example/logo.png"
        badge["issuer"] |= {"url": "https://school.example/", "image": {"id": url, "type": "Image"}}
    criteria = subject["achievement"]["criteria"]
    while len(as_text(badge)) < _CHARACTERS:
        criteria["narrative"] += " " + _words(chance, 4)
    return badge


def _achievement(chance: random.Random, base: str, names: list[str]) -> Document:
    achievement: Document = {
        "id": base,
        "type": ["Achievement"],
        "name": _words(chance, 3),
        "description": _words(chance, 20),
        "criteria": {"narrative": _words(chance, 10)},
        "resultDescription": [_description(chance, base, name) for name in names],
    }
    if chance.random() < 0.5:
        achievement["alignment"] = [
            {
                "type": ["Alignment"],
                "targetName": _words(chance, 3),
                "targetUrl": f"https://framework.example/{index}",
            }
            for index in range(1 + chance.randrange(3))
        ]
    if chance.random() < 0.5:
        achievement |= {"achievementType": "MicroCredential", "tag": ["data", _words(chance, 1)]}
    return achievement


def _description(chance: random.Random, base: str, name: str) -> Document:
    description: Document = {"id": f"{base}#{name}", "type": ["ResultDescription"], "name": name}
    if name != "style":
        return {**description, "resultType": "RawScore", "valueMin": "0", "valueMax": "100"}
    levels = [
        {
            "id": f"{base}#{name}-{level}",
            "type": ["RubricCriterionLevel"],
            "name": _words(chance, 2),
            "level": str(level),
        }
        for level in range(1 + chance.randrange(3))
    ]
    return {**description, "resultType": "RubricCriterionLevel", "rubricCriterionLevel": levels}


def _result(chance: random.Random, base: str, name: str) -> Document:
    result: Document = {"type": ["Result"], "resultDescription": f"{base}#{name}"}
    if name == "style":
        return {**result, "achievedLevel": f"{base}#{name}-0"}
    return {**result, "value": str(chance.randrange(101))}


def _words(chance: random.Random, count: int) -> str:
    return " ".join(chance.choices(_TEXT.split(), k=count))


def _secret(name: str, number: int) -> bytes:
    return sha256(f"{name} {number}".encode()).digest()
