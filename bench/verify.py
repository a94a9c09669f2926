"""From the bytes of a badge to the report on it, against bare libsodium and @digitalbazaar/vc 7.3.0."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from nacl.bindings import crypto_sign_open

from bench.badges import BADGES, NOW_TEXT, accept, as_text, secured, signer_for
from bench.peer import Peer
from bench.rows import Pass, Row, each, in_turns, microseconds

_ROUNDS = 15
_BUNDLES = 20


def measure(rounds: int = _ROUNDS) -> Iterator[Row]:
    """Both suites, and a bundle."""
    with Peer(NOW_TEXT) as peer:
        found = _times("eddsa-rdfc-2022", peer, rounds)
        yield Row(
            "verify eddsa-rdfc-2022",
            found["theirs"] / found["ours"],
            "times @digitalbazaar/vc",
            15,
            stretch=25,
        )
        percent = 100 * found["bare"] / found["ours"]
        yield Row("verify eddsa-rdfc-2022", percent, "% of bare libsodium", 18, stretch=25)
        yield from _named("eddsa-rdfc-2022", found)
        found = _times("eddsa-jcs-2022", peer, rounds)
        yield Row("verify eddsa-jcs-2022", found["theirs"] / found["ours"], "times @digitalbazaar/vc", 3)
        percent = 100 * found["bare"] / found["ours"]
        yield Row("verify eddsa-jcs-2022", percent, "% of bare libsodium", 40, stretch=50)
        yield from _named("eddsa-jcs-2022", found)
    yield from microseconds(
        in_turns({"  report on a bundle with state proof and evidence": _bundles()}, rounds)
    )


def bare_libsodium() -> Pass:
    """A verification of what the eddsa suites sign, two digests, and nothing else."""
    signer = signer_for("eddsa-rdfc-2022")
    public_key = signer.public_key.raw
    messages = [number.to_bytes(64, "big") for number in range(BADGES)]
    signed = [signer.sign(message) + message for message in messages]
    return each(lambda data: crypto_sign_open(data, public_key), signed)


def _times(suite: str, peer: Peer, rounds: int) -> dict[str, float]:
    texts = [as_text(secured(number, suite)) for number in range(BADGES)]
    return in_turns(
        {
            "ours": each(accept, [text.encode() for text in texts]),
            "bare": bare_libsodium(),
            "theirs": peer.each(suite, texts),
        },
        rounds,
    )


def _named(suite: str, found: dict[str, float]) -> list[Row]:
    names = {"ours": "report", "bare": "libsodium", "theirs": "@digitalbazaar/vc"}
    return microseconds({f"  {suite}: {names[name]}": seconds for name, seconds in found.items()})


def _bundles() -> Pass:
    """Anchored badges in bundles, judged offline by a checkpoint file."""
    # The simulated chain and its school are those of the engine's tests.
    sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
    from fixtures.verification import NOW, Story  # type: ignore[import-not-found]

    from node.core.verify import engine
    from node.core.verify.intake import read_intake
    from node.core.verify.materials import Materials
    from node.core.verify.report import Acceptance

    def story(number: int) -> Story:
        return Story(write=lambda badge: badge.update(id=f"urn:uuid:00000000-0000-4000-8000-{number:012d}"))

    def judge(case: tuple[bytes, Story]) -> None:
        data, told = case
        report = engine.verify(read_intake(data), Materials.none(), told.verifier(), now=NOW)
        assert report.acceptance is Acceptance.ACCEPTED, report.decisive

    stories = [story(number) for number in range(_BUNDLES)]
    return each(judge, [(told.shown_bytes(), told) for told in stories])
