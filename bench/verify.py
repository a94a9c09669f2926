"""The verification engine's whole path, bytes to report, against bare libsodium and against pyld with PyNaCl.

Badges of some 3 KB by a did:key issuer with either suite, and badges in bundles: anchored, with a state proof and two
items of evidence, judged offline by a checkpoint file. Each document is a new one, so that nothing is remembered.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from bench.proofs import DID, KEY, SIGNER, badge, pyld_verifier, seconds
from node.core.dataintegrity import prepare_proof
from node.core.verify import engine
from node.core.verify.intake import read_intake
from node.core.verify.materials import Materials
from node.core.verify.policy import SIGNATURE_ONLY_UNSAFE
from node.core.verify.report import Acceptance
from node.core.verify.verifier import Verifier

SUITES = ("eddsa-jcs-2022", "eddsa-rdfc-2022")


def measure(repeat: int = 200) -> dict[str, float]:
    """Microseconds from the bytes of a file to the report, and ratios to the others."""
    # The simulated chain and its school are those of the engine's tests.
    sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
    from fixtures.verification import NOW, Story, standards

    canonicalizer = standards().canonicalizer
    message = b"\x00" * 64
    signature = SIGNER.sign(message).signature

    def signed(suite: str, number: int) -> str:
        options = {
            "cryptosuite": suite,
            "verificationMethod": f"{DID}#{KEY.multibase}",
            "proofPurpose": "assertionMethod",
            "created": f"2026-01-01T{number // 60 % 24:02d}:{number % 60:02d}:00Z",
        }
        prepared = prepare_proof(badge(number), options, canonicalizer)
        return json.dumps(prepared.finish(SIGNER.sign(prepared.message).signature))

    def in_bundle(number: int) -> tuple[bytes, Verifier]:
        def write(document: dict[str, Any]) -> None:
            document["id"] = f"urn:uuid:00000000-0000-4000-8000-{number:012d}"

        story = Story(write=write)
        return story.shown_bytes(), story.verifier()

    def judge(cases: list[tuple[bytes, Verifier]], number: int) -> None:
        data, verifier = cases[number]
        report = engine.verify(read_intake(data), Materials.none(), verifier, now=NOW)
        assert report.acceptance is Acceptance.ACCEPTED

    by_signature = Story(policy=SIGNATURE_ONLY_UNSAFE, checkpoint=None).verifier()
    actions: dict[str, Callable[[int], object]] = {
        "libsodium verify": lambda _: KEY.verify(signature, message)
    }
    for first, suite in enumerate(SUITES):
        # Other badges for each suite: their statements would be remembered from one to the next.
        texts = [signed(suite, 1_000 * first + number) for number in range(repeat + 1)]
        actions[f"{suite} report"] = partial(judge, [(text.encode(), by_signature) for text in texts])
        actions["pyld with PyNaCl verify"] = pyld_verifier(texts)
    actions["bundle report"] = partial(judge, [in_bundle(number) for number in range(repeat + 1)])
    for number in range(9_000, 9_040):
        signed(SUITES[1], number)  # pushes out what signing left in the canonicalizer's memory
    found = seconds(actions, repeat)
    result = {f"{name} (us)": round(value * 1e6, 1) for name, value in found.items()}
    for name in (*(f"{suite} report" for suite in SUITES), "bundle report"):
        result[f"{name} / libsodium verify"] = round(found[name] / found["libsodium verify"], 2)
    ratio = found["eddsa-rdfc-2022 report"] / found["pyld with PyNaCl verify"]
    return result | {"eddsa-rdfc-2022 report / pyld with PyNaCl verify": round(ratio, 2)}


if __name__ == "__main__":
    for name, value in measure().items():
        print(f"{name:60} {value:>12}")
