"""Issue and verify a badge of some 3 KB with both suites, against bare libsodium and against pyld with PyNaCl."""

from __future__ import annotations

import base64
import copy
import hashlib
import json
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import nacl.signing
from pyld import jsonld

from node.core.canonical.contexts import ContextStore
from node.core.canonical.plain import read_as_signed
from node.core.canonical.rdfc import Canonicalizer
from node.core.dataintegrity import prepare_proof, proofs_of, signs_rdf, verify_proof
from node.core.encoding import SHA2_256, decode_multibase, encode_multibase
from node.core.evidence import DATA_URL_PREFIX
from node.core.keys import KeyKind, PublicKey
from node.core.strict_json import parse_json_object
from schemas import context_digests, load_contexts

SIGNER = nacl.signing.SigningKey(b"\x01" * 32)
_normalize: Any = jsonld.normalize  # its options are typed as a closed dictionary
KEY = PublicKey(KeyKind.ED25519, bytes(SIGNER.verify_key))
TURN = 20  # calls of an action before it is another's turn
# A commitment to five items, as FORMATS.md section 5 writes it.
EVIDENCE = b"\x02" + (5).to_bytes(8, "big") + hashlib.sha256(b"five items").digest()
DID = f"did:key:{KEY.multibase}"


def badge(number: int) -> dict[str, Any]:
    """A badge with results and an evidence commitment, as the demo issues it; `number` makes it another one."""
    achievement = f"https://school.example/achievements/{number % 3}"
    return {
        "@context": [
            "https://www.w3.org/ns/credentials/v2",
            "https://purl.imsglobal.org/spec/ob/v3p0/context-3.0.3.json",
        ],
        "id": f"urn:uuid:00000000-0000-4000-8000-{number:012d}",
        "type": ["VerifiableCredential", "OpenBadgeCredential"],
        "issuer": {"id": DID, "type": ["Profile"], "name": "School of Examples"},
        "validFrom": "2026-01-01T00:00:00Z",
        "name": "Data structures",
        "credentialSubject": {
            "id": f"did:example:learner-{number}",
            "type": ["AchievementSubject"],
            "achievement": {
                "id": achievement,
                "type": ["Achievement"],
                "name": "Data structures",
                "description": "Implements and tests lists, trees, heaps and hash tables, says what each operation "
                "costs, and chooses between them for a given task",
                "criteria": {
                    "narrative": "Three tasks are handed in during the course. Each is run against tests that the "
                    "learner has not seen, then read by a reviewer who has not taught the learner. The final task "
                    "is done in the presence of an examiner: an index over a million records that answers within "
                    "stated bounds of time and memory. All tests of it must pass, and the learner must be able to "
                    "say why each structure was chosen and what would be chosen for other data."
                },
                "resultDescription": [
                    {
                        "id": f"{achievement}#{n}",
                        "type": ["ResultDescription"],
                        "name": n,
                        "resultType": "RawScore",
                    }
                    for n in ("tests", "style", "report")
                ],
            },
            "result": [
                {"type": ["Result"], "resultDescription": f"{achievement}#{n}", "value": str(number % 100)}
                for n in ("tests", "style", "report")
            ],
        },
        "credentialStatus": {
            "id": f"https://school.example/status/1#{number}",
            "type": "BitstringStatusListEntry",
            "statusPurpose": "revocation",
            "statusListIndex": str(number),
            "statusListCredential": "https://school.example/status/1",
        },
        "evidence": [
            {
                "id": DATA_URL_PREFIX + base64.b64encode(EVIDENCE).decode(),
                "type": ["Evidence"],
                "name": "Five items",
                "digestMultibase": encode_multibase(SHA2_256 + hashlib.sha256(EVIDENCE).digest(), "u"),
            }
        ],
    }


def seconds(actions: dict[str, Callable[[int], object]], repeat: int) -> dict[str, float]:
    """The least time of each action, called with 0 to `repeat` - 1.

    In turns of some calls each: a busy machine slows all, and what one leaves in the processor's caches is its own.
    """
    times: dict[str, list[float]] = {name: [] for name in actions}
    for action in actions.values():
        action(repeat)
    for first in range(0, repeat, TURN):
        for name, action in actions.items():
            for number in range(first, min(first + TURN, repeat)):
                started = time.perf_counter()
                action(number)
                times[name].append(time.perf_counter() - started)
    return {name: min(values) for name, values in times.items()}


def measure(repeat: int = 60) -> dict[str, float]:
    """Microseconds for each step, and ratios to bare libsodium and to pyld with PyNaCl."""
    canonicalizer = Canonicalizer(ContextStore(load_contexts(), context_digests()))
    message = b"\x00" * 64
    signature = SIGNER.sign(message).signature

    def issue(suite: str, first: int, number: int) -> dict[str, Any]:
        # Each document and each moment is new: the canonicalizer remembers what it saw last.
        moment = f"2026-01-01T{(first + number) // 60 % 24:02d}:{number % 60:02d}:00Z"
        options = {
            "cryptosuite": suite,
            "verificationMethod": f"{DID}#{KEY.multibase}",
            "proofPurpose": "assertionMethod",
        }
        prepared = prepare_proof(badge(first + number), {**options, "created": moment}, canonicalizer)
        return prepared.finish(SIGNER.sign(prepared.message).signature)

    def verify(texts: list[str], number: int) -> None:
        document = parse_json_object(texts[number])
        proof = proofs_of(document)[0]
        if signs_rdf(proof):
            read_as_signed(document, canonicalizer)
        verify_proof(document, proof, KEY, canonicalizer)

    actions: dict[str, Callable[[int], object]] = {
        "libsodium sign": lambda _: SIGNER.sign(message),
        "libsodium verify": lambda _: KEY.verify(signature, message),
    }
    for suite in ("eddsa-jcs-2022", "eddsa-rdfc-2022"):
        texts = [json.dumps(issue(suite, 0, number)) for number in range(repeat + 1)]
        actions[f"{suite} verify"] = partial(verify, texts)
        actions["pyld with PyNaCl verify"] = pyld_verifier(texts)
    for suite in ("eddsa-jcs-2022", "eddsa-rdfc-2022"):
        actions[f"{suite} issue"] = partial(issue, suite, 600)
    found = seconds(actions, repeat)
    result = {f"{name} (us)": round(value * 1e6, 1) for name, value in found.items()}
    for suite in ("eddsa-jcs-2022", "eddsa-rdfc-2022"):
        result[f"{suite} issue / libsodium sign"] = round(
            found[f"{suite} issue"] / found["libsodium sign"], 2
        )
        result[f"{suite} verify / libsodium verify"] = round(
            found[f"{suite} verify"] / found["libsodium verify"], 2
        )
    ratio = found["eddsa-rdfc-2022 verify"] / found["pyld with PyNaCl verify"]
    return result | {"eddsa-rdfc-2022 verify / pyld with PyNaCl verify": round(ratio, 2)}


def pyld_verifier(texts: list[str]) -> Callable[[int], None]:
    """What a program without us does: pyld for both canonical forms, PyNaCl for the signature."""
    files = {url: json.loads(data) for url, data in load_contexts().items()}

    def load(url: str, _options: object) -> dict[str, Any]:
        document = copy.deepcopy(files[url])
        return {"contextUrl": None, "documentUrl": url, "document": document, "tag": "static"}

    options = {
        "algorithm": "URDNA2015",
        "format": "application/n-quads",
        "documentLoader": load,
        "base": None,
    }

    def verify(number: int) -> None:
        document = json.loads(texts[number])
        proof = document.pop("proof")[0]
        value = decode_multibase(proof.pop("proofValue"))
        config = {"@context": document["@context"], **proof}
        digests = [hashlib.sha256(_normalize(part, options).encode()).digest() for part in (config, document)]
        SIGNER.verify_key.verify(b"".join(digests), value)

    return verify


if __name__ == "__main__":
    for name, value in measure().items():
        print(f"{name:60} {value:>12}")
