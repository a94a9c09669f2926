"""BBS over BLS12-381-SHA-256 with twenty messages, against @digitalbazaar/bbs-signatures 3.0.0.

Half of the messages are disclosed. Both sides are given the same keys, messages and signatures.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from bench.badges import NOW_TEXT
from bench.peer import Peer
from bench.rows import Row, each, in_turns, microseconds
from node.core.bbs.interface import seeded_scalars
from node.core.bbs.signatures import derive_proof, key_gen, public_key_of, sign, verify, verify_proof

_MESSAGES = 20
_SETS = 4
_ROUNDS = 4
_LIMITS = {"sign": 60, "verify": 35, "derive": 35, "proof verify": 35}

Given = dict[str, Any]


def measure(rounds: int = _ROUNDS) -> Iterator[Row]:
    """The four operations."""
    sets = [_make(number) for number in range(_SETS)]
    written = [{name: _as_hex(value) for name, value in given.items()} for given in sets]
    ours = {"sign": _sign, "verify": _verify, "derive": _derive, "proof verify": _verify_proof}
    with Peer(NOW_TEXT) as peer:
        for work, at_least in _LIMITS.items():
            theirs = peer.each(f"bbs {work}", written)
            found = in_turns({"ours": each(ours[work], sets), "bbs-signatures": theirs}, rounds)
            times = found["bbs-signatures"] / found["ours"]
            yield Row(f"BBS {work}, {_MESSAGES} messages", times, "times bbs-signatures", at_least)
            yield from microseconds({f"  BBS {work}: {name}": seconds for name, seconds in found.items()})


def _make(number: int) -> Given:
    chance = random.Random(number)  # noqa: S311 - the same in every run
    secret = key_gen(chance.randbytes(32))
    given: Given = {
        "secretKey": secret.to_bytes(32, "big"),
        "publicKey": public_key_of(secret),
        "header": chance.randbytes(64),
        "presentationHeader": chance.randbytes(16),
        "messages": [chance.randbytes(40 + chance.randrange(80)) for _ in range(_MESSAGES)],
        "indexes": sorted(chance.sample(range(_MESSAGES), _MESSAGES // 2)),
    }
    given["signature"] = _sign(given)
    given["proof"] = _derive(given)
    return given


def _sign(given: Given) -> bytes:
    secret = int.from_bytes(given["secretKey"], "big")
    return sign(secret, given["publicKey"], given["header"], given["messages"])


def _verify(given: Given) -> None:
    verify(given["publicKey"], given["signature"], given["header"], given["messages"])


def _derive(given: Given) -> bytes:
    return derive_proof(
        given["publicKey"],
        given["signature"],
        given["header"],
        given["presentationHeader"],
        given["messages"],
        given["indexes"],
        seeded_scalars(bytes(32)),
    )


def _verify_proof(given: Given) -> None:
    disclosed = {index: given["messages"][index] for index in given["indexes"]}
    verify_proof(given["publicKey"], given["proof"], given["header"], given["presentationHeader"], disclosed)


def _as_hex(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    return [item.hex() if isinstance(item, bytes) else item for item in value]
