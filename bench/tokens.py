"""Tokens read and verified, against joserfc (vc+jwt) and the reference implementation of SD-JWT (PyPI `sd-jwt`).

`python -m bench.tokens` prints the table. Ours is what the engine asks of `node/core/envelope`: told apart, read
strictly, claims compared with the document, signature verified; theirs is the library's own verification and the
payload as JSON. Forty different badges of 3 KB, or credentials of ten claims that may be withheld, all disclosed; each
token's best time of 60 rounds in turns, so that a busy machine shows in both alike.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Any

from joserfc import jws as joserfc_jws
from joserfc.jwk import ECKey, OKPKey
from jwcrypto.jwk import JWK
from sd_jwt.verifier import SDJWTVerifier

from node.core.envelope import read_envelope
from node.core.jose.sd_jwt_vc import prepare_sd_jwt_vc, prepare_vc_sd_jwt
from node.core.jose.vc_jwt import prepare_vc_jwt
from node.core.keys import KeyKind, PublicKey, Signer
from node.keystore import signer_of

TOKENS = 40
ROUNDS = 60
DISCLOSURES = 10
KID = "did:example:school#key-1"
KINDS = {"EdDSA": KeyKind.ED25519, "ES256": KeyKind.P256}


def measure() -> dict[str, float | int | str]:
    """Every figure by its name; ratios say what they are ratios of."""
    rows: dict[str, float | int | str] = {}
    for algorithm, kind in KINDS.items():
        signer = signer_of(kind, bytes(range(1, 33)))
        rows |= _vc_jwt(algorithm, signer)
        rows |= _sd_jwt(algorithm, signer, "a badge of 3 KB", _badges_withheld)
        rows |= _sd_jwt(algorithm, signer, "flat claims", _flat_claims)
    return rows


def _in_turns(works: Sequence[Callable[[str], object]], tokens: Sequence[str]) -> list[float]:
    """For each of `works` the mean over `tokens` of its best time, in microseconds."""
    best = [[float("inf")] * len(tokens) for _ in works]
    for _ in range(ROUNDS):
        for times, work in zip(best, works, strict=True):
            for index, token in enumerate(tokens):
                start = time.perf_counter()
                work(token)
                times[index] = min(times[index], time.perf_counter() - start)
    return [sum(times) / len(tokens) * 1e6 for times in best]


def _ours(public_key: PublicKey) -> Callable[[str], None]:
    def verify(token: str) -> None:
        envelope = read_envelope(token)
        assert envelope is not None
        envelope.verify(public_key)

    return verify


def _vc_jwt(algorithm: str, signer: Signer) -> dict[str, float | int | str]:
    public = signer.public_key.to_jwk()
    key: Any = (OKPKey if algorithm == "EdDSA" else ECKey).import_key(public)
    tokens = []
    for number in range(TOKENS):
        prepared = prepare_vc_jwt(_badge(number), signer.public_key, KID)
        tokens.append(prepared.finish(signer.sign(prepared.message)))

    def theirs(token: str) -> None:
        json.loads(joserfc_jws.deserialize_compact(token, key, algorithms=[algorithm]).payload or b"")

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # joserfc calls the name EdDSA deprecated
        ours, peer = _in_turns((_ours(signer.public_key), theirs), tokens)
    name = f"vc+jwt, {algorithm}, a badge of 3 KB"
    return {f"{name}, µs": ours, f"{name}: joserfc / ours": peer / ours}


def _sd_jwt(
    algorithm: str, signer: Signer, shape: str, issue: Callable[[Signer, int], str]
) -> dict[str, float | int | str]:
    key = JWK(**signer.public_key.to_jwk())
    tokens = [issue(signer, number) for number in range(TOKENS)]

    def theirs(token: str) -> None:
        SDJWTVerifier(token, lambda _issuer, _header: key).get_verified_payload()

    ours, peer = _in_turns((_ours(signer.public_key), theirs), tokens)
    name = f"SD-JWT, {DISCLOSURES} Disclosures, {algorithm}, {shape}"
    return {f"{name}, µs": ours, f"{name}: sd-jwt / ours": peer / ours}


def _salts(number: int) -> list[bytes]:
    return [sha256(f"{number} {index}".encode()).digest()[:16] for index in range(DISCLOSURES)]


def _claims(number: int) -> dict[str, str]:
    return {f"claim{index}": f"value {index} of {number}" for index in range(DISCLOSURES)}


def _badges_withheld(signer: Signer, number: int) -> str:
    badge = _badge(number)
    badge["credentialSubject"] |= _claims(number)
    paths = [("credentialSubject", name) for name in _claims(number)]
    prepared = prepare_vc_sd_jwt(badge, signer.public_key, KID, paths, salts=_salts(number))
    return prepared.finish(signer.sign(prepared.message))


def _flat_claims(signer: Signer, number: int) -> str:
    claims = {"vct": "https://credentials.example/badge", "iss": "did:example:school"} | _claims(number)
    paths = [(name,) for name in _claims(number)]
    prepared = prepare_sd_jwt_vc(claims, signer.public_key, KID, paths, salts=_salts(number))
    return prepared.finish(signer.sign(prepared.message))


def _badge(number: int) -> dict[str, Any]:
    return {
        "@context": [
            "https://www.w3.org/ns/credentials/v2",
            "https://purl.imsglobal.org/spec/ob/v3p0/context-3.0.3.json",
        ],
        "id": f"urn:uuid:{number}",
        "type": ["VerifiableCredential", "OpenBadgeCredential"],
        "issuer": {"id": "did:example:school", "type": ["Profile"], "name": "School"},
        "validFrom": "2026-01-01T00:00:00Z",
        "name": "Badge",
        "credentialSubject": {
            "id": f"did:example:learner{number}",
            "type": ["AchievementSubject"],
            "achievement": {
                "id": "urn:uuid:achievement",
                "type": ["Achievement"],
                "name": "Achievement",
                "description": "what was achieved " * 55,
                "criteria": {"narrative": "what was asked for " * 50},
                "alignment": [
                    {
                        "type": ["Alignment"],
                        "targetName": f"target {index}",
                        "targetUrl": f"https://targets.example/{index}",
                    }
                    for index in range(8)
                ],
            },
        },
    }


if __name__ == "__main__":
    for row, figure in measure().items():
        sys.stdout.write(f"{row:<72} {figure:>10.3g}\n")
