"""Writes the test vectors of our own formats (FORMATS.md) beside itself, with node's code and without chance.

    python tests/vectors/bonafides/generate.py

Each file holds cases of `input` and `expected`. `../second_opinion.py` computes `expected` from `input` with
no code in common; a test holds both against the committed files. Change a file only with the format.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1]), str(HERE.parents[2])]

from fixtures.state_trie import State  # noqa: E402
from nacl.signing import SigningKey  # noqa: E402

from node.core import anchor  # noqa: E402
from node.core.bundle import Bundle, BundleHop, BundleKey, BundleState  # noqa: E402
from node.core.canonical.jcs import canonicalize  # noqa: E402
from node.core.encoding import encode_base64url  # noqa: E402
from node.core.evidence import EvidenceItem, build_evidence  # noqa: E402
from node.core.evm import registry  # noqa: E402
from node.core.evm.checkpoint import Checkpoint  # noqa: E402
from node.core.evm.header import parse_header  # noqa: E402
from node.core.evm.state_proof import prove_history, prove_slots  # noqa: E402
from node.core.keys import KeyKind, PublicKey  # noqa: E402
from node.core.merkle.tree import MerkleTree, leaf_hash  # noqa: E402

Case = dict[str, Any]

DID = "did:ethr:0x539:0x9d8a62f656a8d1615c1294fd71e9cfb3e4855a4f"
IDENTITY = bytes.fromhex("9d8a62f656a8d1615c1294fd71e9cfb3e4855a4f")
REGISTRY = bytes.fromhex("e0d522d5d8dc5ab9dc71d1a77b72efc018b3236b")
KEY = SigningKey(sha256(b"issuer").digest())
PUBLIC = PublicKey(KeyKind.ED25519, bytes(KEY.verify_key))
LIST_URL = "https://school.example/status/1"
INDEX = 94_567


def drawn(label: str, number: int = 0) -> bytes:
    """32 bytes that look random and are not."""
    return sha256(f"{label} {number}".encode()).digest()


def hexes(values: Any) -> list[str]:
    return [value.hex() for value in values]


def trees() -> list[Case]:
    cases = []
    for size in (1, 2, 3, 5, 8, 13, 64):
        entries = [anchor.entry(anchor.CREDENTIAL, drawn("salt", n), drawn("digest", n)) for n in range(size)]
        tree = MerkleTree(entries)
        cases.append(
            {
                "input": {"entries": hexes(entries)},
                "expected": {
                    "leaves": hexes(map(leaf_hash, entries)),
                    "root": tree.root.hex(),
                    "paths": [hexes(path) for path in tree.inclusion_paths()],
                    "consistency": [hexes(tree.consistency_path(first)) for first in range(1, size + 1)],
                    "commitment": anchor.commitment(size, tree.root).hex(),
                },
            }
        )
    return cases


def credential() -> dict[str, Any]:
    """A credential whose canonical form is not the text that Python writes."""
    evidence = build_evidence(ITEMS, [drawn("evidence salt", n) for n in range(len(ITEMS))])
    return {
        "@context": [
            "https://www.w3.org/ns/credentials/v2",
            "https://purl.imsglobal.org/spec/ob/v3p0/context-3.0.3.json",
        ],
        "id": "urn:uuid:8f6dc1b2-5f0b-4c5c-9f5e-0a8a9a1c1a11",
        "type": ["VerifiableCredential", "OpenBadgeCredential"],
        "name": 'Zertifikat \u201eGr\u00f6\u00dfe\u201c \u20ac\u0007\n"\\',
        "issuer": DID,
        "validFrom": "2026-01-02T03:04:05Z",
        "credentialSubject": {
            "type": ["AchievementSubject"],
            "\U0001f600": 1,
            "\ufb33": [2, 0.5, True, None],
            "result": [{"type": ["Result"], "value": "97"}],
        },
        "credentialStatus": {
            "id": f"{LIST_URL}#{INDEX}",
            "type": "BitstringStatusListEntry",
            "statusPurpose": "revocation",
            "statusListIndex": str(INDEX),
            "statusListCredential": LIST_URL,
        },
        "evidence": [evidence.evidence_object(name="What was handed in")],
        "proof": [_proof("zIssuer"), _proof("zSomebodyElse")],
    }


def _proof(value: str) -> dict[str, Any]:
    return {
        "type": "DataIntegrityProof",
        "cryptosuite": "eddsa-jcs-2022",
        "verificationMethod": f"{DID}#delegate-1",
        "proofPurpose": "assertionMethod",
        "proofValue": value,
    }


def digests() -> list[Case]:
    document, single = credential(), {**credential(), "proof": _proof("zOnly")}
    token = ".".join(encode_base64url(part) for part in (b'{"alg":"ES256"}', b'{"iss":"x"}', b"s" * 64))
    data = b'{"id":"did:web:school.example"}'
    return [
        _digest("credential", {"document": single}, anchor.credential_digest(single)),
        _digest(
            "credential",
            {"document": document, "proofValue": "zIssuer"},
            anchor.credential_digest(document, "zIssuer"),
        ),
        _digest("token", {"token": token}, anchor.issued_digest(token.encode())),
        _digest("token", {"token": f"{token}~WyJhIl0~"}, anchor.issued_digest(token.encode())),
        _digest(
            "didDocument",
            {"did": "did:web:school.example", "bytes": data.hex()},
            anchor.did_document_digest("did:web:school.example", data),
        ),
    ]


def _digest(kind: str, given: Case, digest: bytes) -> Case:
    return {"input": {"kind": kind, **given}, "expected": {"digest": digest.hex()}}


def batches() -> list[Case]:
    cases = []
    for count in (1, 3, 64, 65):
        kinds = [
            (anchor.CREDENTIAL, anchor.EVIDENCE, anchor.STATUS_LIST, anchor.DID_DOCUMENT)[n % 4]
            for n in range(count)
        ]
        items = [(kind, drawn("item", n)) for n, kind in enumerate(kinds)]
        size = anchor.padded_size(count)
        salts = [drawn("batch salt", n) for n in range(size)]
        padding = [drawn("padding", n) for n in range(size - count)]
        order = sorted(range(size), key=lambda n: drawn("order", n))
        sealed = anchor.seal_batch(items, salts, padding, order)
        cases.append(
            {
                "input": {
                    "items": [[kind, digest.hex()] for kind, digest in items],
                    "salts": hexes(salts),
                    "paddingDigests": hexes(padding),
                    "order": order,
                },
                "expected": {
                    "size": sealed.size,
                    "root": sealed.root.hex(),
                    "commitment": sealed.commitment.hex(),
                    "places": [
                        {"salt": place.salt.hex(), "index": place.index, "path": hexes(place.path)}
                        for place in sealed.places
                    ],
                },
            }
        )
    return cases


ITEMS = [
    EvidenceItem("solution.py", "text/x-python", "submission", b"print('hello')\n"),
    EvidenceItem("tests.log", "text/plain; charset=utf-8", "", b"3 passed\n"),
    EvidenceItem(
        "R\u00fcckmeldung \u20ac.md",
        "text/markdown",
        "note \u201cfree\u201d",
        "Gut gemacht \U0001f600".encode(),
    ),
    EvidenceItem("empty", "application/octet-stream", "", b""),
    EvidenceItem("scores.json", "application/json", "rubric", b"{}"),
]


def evidence() -> list[Case]:
    cases = []
    for count in (1, 3, 5):
        items = ITEMS[:count]
        salts = [drawn("evidence salt", n) for n in range(count)]
        made = build_evidence(items, salts)
        member = made.evidence_object()
        cases.append(
            {
                "input": {
                    "items": [
                        {
                            "name": item.name,
                            "mediaType": item.media_type,
                            "genre": item.genre,
                            "bytes": item.data.hex(),
                        }
                        for item in items
                    ],
                    "salts": hexes(salts),
                },
                "expected": {
                    "entries": hexes(item.entry(salt) for item, salt in zip(items, salts, strict=True)),
                    "root": made.root.hex(),
                    "commitment": made.commitment.hex(),
                    "id": member["id"],
                    "digestMultibase": member["digestMultibase"],
                    "paths": [hexes(path) for path in made.paths],
                },
            }
        )
    return cases


def slots() -> list[Case]:
    cases = []
    for purpose, url, size, index in (
        ("revocation", LIST_URL, 1, INDEX),
        ("suspension", "https://school.example/status/\u00fc", 1, 0),
        ("message", LIST_URL, 4, 131_071),
    ):
        commitment, writer = drawn("commitment"), drawn("writer")[:20]
        list_digest = registry.list_id(purpose, url)
        number = registry.status_word(index, size)
        word = int.from_bytes(drawn("word"), "big")
        cases.append(
            {
                "input": {
                    "identity": IDENTITY.hex(),
                    "commitment": commitment.hex(),
                    "key": PUBLIC.multicodec_bytes.hex(),
                    "purpose": purpose,
                    "url": url,
                    "statusSize": size,
                    "index": index,
                    "word": f"{word:064x}",
                    "owner": IDENTITY.hex(),
                    "writer": writer.hex(),
                    "block": 21_000_000,
                    "salt": drawn("create2").hex(),
                    "initcode": "6000",
                },
                "expected": {
                    "list": list_digest.hex(),
                    "heads": registry.heads_slot(IDENTITY).hex(),
                    "anchors": registry.anchor_slot(IDENTITY, commitment).hex(),
                    "keys": registry.key_slot(IDENTITY, PUBLIC.multicodec_bytes).hex(),
                    "lists": registry.list_slot(IDENTITY, list_digest).hex(),
                    "status": registry.status_slot(IDENTITY, list_digest, number).hex(),
                    "writers": registry.writer_slot(IDENTITY, IDENTITY, writer).hex(),
                    "closed": registry.closed_slot(IDENTITY).hex(),
                    "wordNumber": number,
                    "value": registry.status_value(word, index, size),
                    "history": registry.history_slot(21_000_000).hex(),
                    "create2": registry.create2_address(drawn("create2"), b"\x60\x00").hex(),
                },
            }
        )
    return cases


def bundles() -> list[Case]:
    """One bundle with everything in it, and what its slots say."""
    document = {**credential(), "proof": [_proof("zIssuer")]}
    size = 64
    items = [(anchor.CREDENTIAL, anchor.credential_digest(document))]
    salts = [drawn("bundle salt", n) for n in range(size)]
    sealed = anchor.seal_batch(
        items, salts, [drawn("bundle padding", n) for n in range(63)], [(n + 17) % 64 for n in range(64)]
    )
    place = sealed.places[0]
    list_digest = registry.list_id("revocation", LIST_URL)
    words = {
        registry.anchor_slot(IDENTITY, sealed.commitment): 900 | 1_767_323_045 << 48 | 7 << 96,
        registry.key_slot(IDENTITY, PUBLIC.multicodec_bytes): 800 | 1 << 192,
        registry.closed_slot(IDENTITY): 0,
        registry.list_slot(IDENTITY, list_digest): 1 | 17 << 8 | 1 << 16 | 850 << 24,
        registry.status_slot(IDENTITY, list_digest, INDEX >> 8): 0,
    }
    others = {drawn("other slot", n): n + 1 for n in range(100)}
    state = State({REGISTRY: {**words, **others}})
    header = parse_header(state.header(1000, 1_767_325_000))
    history = registry.history_slot(1000)
    newer_state = State({registry.HISTORY_ADDRESS: {history: int.from_bytes(header.hash, "big"), **others}})
    newer = parse_header(newer_state.header(5096, 1_767_375_000))
    hop_nodes = newer_state.nodes(registry.HISTORY_ADDRESS, (history,))
    evidence_set = build_evidence(ITEMS, [drawn("evidence salt", n) for n in range(len(ITEMS))])
    path = place.path
    bundle = Bundle(
        credential=document,
        key=BundleKey(f"{DID}#delegate-1", PUBLIC),
        anchor=anchor.Anchor(place.salt, place.index, size, path, "eip155:1337", REGISTRY, IDENTITY, 900),
        state=BundleState(header.raw, state.nodes(REGISTRY, tuple(words)), BundleHop(newer.raw, hop_nodes)),
        evidence=evidence_set.show((0, 2)),
    )
    proven = prove_slots(header, bundle.state.nodes, REGISTRY, tuple(words))  # type: ignore[union-attr]
    assert prove_history(newer, hop_nodes, 1000) == header.hash
    return [
        {
            "input": {"bundle": bundle.to_json()},
            "expected": {
                "credentialDigest": anchor.credential_digest(document).hex(),
                "commitment": sealed.commitment.hex(),
                "headerHash": header.hash.hex(),
                "stateRoot": header.state_root.hex(),
                "number": header.number,
                "timestamp": header.timestamp,
                "newestHash": newer.hash.hex(),
                "newestNumber": newer.number,
                "codeHash": state.code_hash.hex(),
                "values": {slot.hex(): f"{value:064x}" for slot, value in proven.values.items()},
                "evidenceShown": [0, 2],
            },
        }
    ]


def checkpoints() -> list[Case]:
    headers = tuple((4096 * n, drawn("header", n)) for n in range(1, 6))
    unsigned = Checkpoint(1337, drawn("genesis"), 4096, 12, headers)
    signature = KEY.sign(unsigned.signed_bytes).signature
    signed = Checkpoint(1337, drawn("genesis"), 4096, 12, headers, signature)
    signed.verify_signature(PUBLIC)
    return [
        {
            "input": {"file": signed.to_json(), "seed": bytes(KEY).hex()},
            "expected": {
                "signedBytes": canonicalize(unsigned.to_json()).decode(),
                "signature": signature.hex(),
                "publicKey": PUBLIC.raw.hex(),
                "publicKeyMultibase": PUBLIC.multibase,
            },
        }
    ]


FILES: dict[str, Callable[[], list[Case]]] = {
    "trees": trees,
    "digests": digests,
    "batches": batches,
    "evidence": evidence,
    "slots": slots,
    "bundles": bundles,
    "checkpoints": checkpoints,
}


def text_of(name: str) -> str:
    """The content of the file `name`."""
    return json.dumps({"cases": FILES[name]()}, indent=1, ensure_ascii=True) + "\n"


if __name__ == "__main__":
    for file in FILES:
        (HERE / f"{file}.json").write_text(text_of(file), encoding="ascii")
