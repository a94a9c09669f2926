"""What a holder shows of a badge, by ecdsa-sd-2023 and bbs-2023, against @digitalbazaar's cryptosuites.

Verifying is the report on the bytes of what is shown. Deriving is from the bytes of what is held to the document.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bench.badges import NOW_TEXT, Document, as_text, report_on, secured, signer_for, standards
from bench.peer import Peer
from bench.rows import Row, each, in_turns, microseconds
from node.core.dataintegrity import derive_proof, proofs_of
from node.core.dataintegrity.ecdsa_sd_2023 import parse_derived_proof
from node.core.strict_json import parse_json_object

# More than the canonicalizer remembers.
_BADGES = 20
_ROUNDS = 5
# A verification of theirs takes a good part of a second under bbs-2023.
_BBS_BADGES = 3
_BBS_ROUNDS = 2
# Beside what is mandatory, the achievement's name and one result.
_SHOWN = ("/credentialSubject/achievement/name", "/credentialSubject/result/0")


def measure(rounds: int = _ROUNDS) -> Iterator[Row]:
    """Verify both, derive by ecdsa-sd-2023."""
    with Peer(NOW_TEXT) as peer:
        held = [as_text(secured(number, "ecdsa-sd-2023")) for number in range(_BADGES)]
        wanted = [{"text": text, "selectivePointers": _SHOWN} for text in held]
        theirs = peer.each("ecdsa-sd-2023 derive", wanted)
        derived = in_turns({"ours": each(_derive, held), "theirs": theirs}, rounds)
        yield from _rows("derive ecdsa-sd-2023", "ecdsa-sd-2023-cryptosuite", 10, derived)
        verified = _verified("ecdsa-sd-2023", [as_text(_derive(text)) for text in held], peer, rounds)
        yield from _rows("verify ecdsa-sd-2023, derived", "ecdsa-sd-2023-cryptosuite", 10, verified)
        both = (derived["theirs"] + verified["theirs"]) / (derived["ours"] + verified["ours"])
        yield Row("  ecdsa-sd-2023, derive and verify in sum", both, "times ecdsa-sd-2023-cryptosuite")
        yield Row("  ecdsa-sd-2023, P-256 verifications alone", 1e6 * _signatures_alone(held[0]), "µs")

        held = [as_text(secured(number, "bbs-2023")) for number in range(_BBS_BADGES)]
        found = _verified("bbs-2023", [as_text(_derive(text)) for text in held], peer, _BBS_ROUNDS)
        yield from _rows("verify bbs-2023, derived", "bbs-2023-cryptosuite", 30, found)


def _verified(suite: str, shown: list[str], peer: Peer, rounds: int) -> dict[str, float]:
    ours = each(report_on, [text.encode() for text in shown])
    return in_turns({"ours": ours, "theirs": peer.each(suite, shown)}, rounds)


def _rows(work: str, name: str, at_least: float, found: dict[str, float]) -> Iterator[Row]:
    yield Row(work, found["theirs"] / found["ours"], f"times {name}", at_least)
    yield from microseconds({f"  {work}: ours": found["ours"], f"  {work}: {name}": found["theirs"]})


def _signatures_alone(held: str) -> float:
    """Seconds for as many P-256 verifications as what is shown of it takes."""
    (proof,) = proofs_of(_derive(held))
    count = 1 + len(parse_derived_proof(proof).signatures)
    signer = signer_for("ecdsa-sd-2023")
    messages = [bytes([number]) * 100 for number in range(count)]
    signed = [(signer.sign(message), message) for message in messages]
    once = each(lambda one: signer.public_key.verify(*one), signed)
    return count * in_turns({"": once}, 20)[""]


def _derive(text: str) -> Document:
    document: dict[str, Any] = parse_json_object(text)
    (proof,) = proofs_of(document)
    return derive_proof(document, proof, _SHOWN, standards().canonicalizer, entropy=bytes(range(32)))
