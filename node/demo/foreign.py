"""A badge as another vendor would make it: pyld and cryptography alone, nothing of ours.

It imports nothing of `node`, on purpose: base58, the multicodec prefix, the two hashes and the proof are written
out here from the standards, so that the verifier is shown a credential whose maker shares no line with it.
Open Badges 3.0, issuer did:key (Ed25519), Data Integrity with eddsa-rdfc-2022 (VC Data Integrity EdDSA
Cryptosuites 1.0 section 3.2). The contexts are files, read from `schemas`, which is data.

Run it with `python -m node.demo.foreign > badge.json`.
"""

from __future__ import annotations

import hashlib
import json
import sys
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_ED25519_PUBLIC = b"\xed\x01"
_CONTEXTS = [
    "https://www.w3.org/ns/credentials/v2",
    "https://purl.imsglobal.org/spec/ob/v3p0/context-3.0.3.json",
]


def make_foreign_badge(
    *,
    subject: str | None = None,
    key: Ed25519PrivateKey | None = None,
    issued: datetime | None = None,
    contexts: Mapping[str, bytes] | None = None,
) -> dict[str, Any]:
    """A signed badge of an invented workshop for `subject` (a DID; without one, that of a new key).

    `issued` is aware and defaults to an hour ago; the badge is valid for a year.
    """
    key = key or Ed25519PrivateKey.generate()
    issued = issued or datetime.now(UTC) - timedelta(hours=1)
    did = _did_key(key)
    badge = _badge(did, subject or _did_key(Ed25519PrivateKey.generate()), issued)
    method = f"{did}#{did.removeprefix('did:key:')}"
    return _sign(badge, key, method, issued, contexts)


def _badge(issuer: str, subject: str, issued: datetime) -> dict[str, Any]:
    return {
        "@context": _CONTEXTS,
        "id": f"urn:uuid:{uuid.uuid4()}",
        "type": ["VerifiableCredential", "OpenBadgeCredential"],
        "name": "Bicycle repair, bench 2",
        "issuer": {
            "id": issuer,
            "type": ["Profile"],
            "name": "Spoke & Hub workshop",
            "url": "https://spoke-and-hub.example/",
        },
        "validFrom": _stamp(issued),
        "validUntil": _stamp(issued + timedelta(days=365)),
        "credentialSubject": {
            "id": subject,
            "type": ["AchievementSubject"],
            "achievement": {
                "id": "https://spoke-and-hub.example/badges/bench-2",
                "type": ["Achievement"],
                "achievementType": "Badge",
                "name": "Bicycle repair, bench 2",
                "description": "Trues a wheel, sets up a derailleur and replaces a bottom bracket.",
                "criteria": {"narrative": "Shown at the bench on a bicycle that the workshop chose."},
            },
        },
    }


def _sign(
    badge: dict[str, Any],
    key: Ed25519PrivateKey,
    method: str,
    created: datetime,
    contexts: Mapping[str, bytes] | None,
) -> dict[str, Any]:
    options = {
        "type": "DataIntegrityProof",
        "cryptosuite": "eddsa-rdfc-2022",
        "created": _stamp(created),
        "verificationMethod": method,
        "proofPurpose": "assertionMethod",
    }
    if contexts is None:
        import schemas  # noqa: PLC0415 - only here, so that a caller with contexts of its own needs no file of ours

        contexts = schemas.load_contexts()
    loader = _loader(contexts)
    # The proof options are read with the document's own contexts, and their hash comes first.
    proof_hash = _rdf_hash({"@context": badge["@context"], **options}, loader)
    signature = key.sign(proof_hash + _rdf_hash(badge, loader))
    return {**badge, "proof": {**options, "proofValue": "z" + _base58(signature)}}


def _rdf_hash(document: dict[str, Any], loader: Callable[..., dict[str, Any]]) -> bytes:
    from pyld import jsonld  # noqa: PLC0415 - importing this module must stay cheap for the command line

    options: Any = {"algorithm": "URDNA2015", "format": "application/n-quads", "documentLoader": loader}
    return hashlib.sha256(str(jsonld.normalize(document, options)).encode()).digest()


def _loader(contexts: Mapping[str, bytes]) -> Callable[..., dict[str, Any]]:
    def load(url: str, _options: object = None) -> dict[str, Any]:
        if url not in contexts:
            raise LookupError(f"no context file for {url}")
        return {
            "contentType": "application/ld+json",
            "contextUrl": None,
            "documentUrl": url,
            "document": json.loads(contexts[url]),
        }

    return load


def _did_key(key: Ed25519PrivateKey) -> str:
    return "did:key:z" + _base58(_ED25519_PUBLIC + key.public_key().public_bytes_raw())


def _base58(data: bytes) -> str:
    number, text = int.from_bytes(data, "big"), ""
    while number:
        number, digit = divmod(number, 58)
        text = _ALPHABET[digit] + text
    return "1" * (len(data) - len(data.lstrip(b"\0"))) + text


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


if __name__ == "__main__":
    json.dump(make_foreign_badge(), sys.stdout, ensure_ascii=False, indent=2)
    sys.stdout.write("\n")
