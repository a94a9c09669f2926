"""A revoked or an expired credential in every spelling that keeps its statements: never accepted.

The rewrites, and the proof that each is an attack, are in `tests/unit/core/test_read_as_signed.py`.
"""

from __future__ import annotations

import copy
import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
from fixtures.verification import (
    LIST_URL,
    SCHOOL,
    LedgerState,
    Mode,
    Signatory,
    Story,
    of_key_school,
    status_list,
)

from node.core.verify.report import Acceptance, CheckName, Outcome, Reason, Report
from node.core.verify.trust import TrustEntry, TrustList

Json = dict[str, Any]

_spec = importlib.util.spec_from_file_location(
    "read_as_signed", Path(__file__).parents[1] / "test_read_as_signed.py"
)
assert _spec is not None
assert _spec.loader is not None
rewrites = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(rewrites)

ISSUER = Signatory(rewrites.DID, rewrites.PUBLIC_KEY.multibase, rewrites.KEY)
TRUST = TrustList((TrustEntry(ISSUER.did, "The school"), TrustEntry(SCHOOL.did, "The school")))
INDEX = int(rewrites.ENTRY["statusListIndex"])
REVOKED, CLEAR = [INDEX], [INDEX + 1]
FAR, PAST = "2031-01-01T00:00:00Z", "2025-01-01T00:00:00Z"


def badge() -> Json:
    """The badge of the rewrites, with what the schema asks of an endorsement."""
    document: Json = rewrites.badge()
    document["endorsement"][0]["name"] = "Endorsement"
    return document


def signed(valid_until: str) -> Json:
    """The badge of the rewrites with another end."""
    signed: Json = rewrites.sign({**badge(), "validUntil": valid_until})
    return signed


def judged(document: Json, bits: list[int]) -> Report:
    """By a verifier that trusts the issuer and may fetch its list."""
    lists = {LIST_URL: status_list(ISSUER, bits)}
    story = of_key_school(trust=TRUST, mode=Mode.FULL, lists=lists)
    return story.judge(json.dumps(document).encode())


def rewritten(document: Json, name: str) -> Json:
    changed = copy.deepcopy(document)
    proof = changed.pop("proof")
    rewrites.REWRITES[name](changed)
    return {**changed, "proof": proof}


def test_the_badge_is_accepted_if_neither_revoked_nor_expired() -> None:
    report = judged(signed(FAR), CLEAR)
    assert report.acceptance is Acceptance.ACCEPTED, report.decisive


@pytest.mark.parametrize(
    ("bits", "valid_until", "reason"),
    [(REVOKED, FAR, Reason.REVOKED), (CLEAR, PAST, Reason.EXPIRED)],
    ids=["revoked", "expired"],
)
@pytest.mark.parametrize("name", sorted(rewrites.REWRITES))
def test_a_rewrite_is_not_accepted(name: str, bits: list[int], valid_until: str, reason: Reason) -> None:
    report = judged(rewritten(signed(valid_until), name), bits)
    assert report.acceptance is Acceptance.REFUSED
    if report[CheckName.CONFORMANCE].outcome is Outcome.PASSED:
        assert report[CheckName.PROOF].outcome is Outcome.PASSED
        assert report.decisive is not None
        assert report.decisive.reason is reason


@pytest.mark.parametrize("name", sorted(rewrites.REWRITES))
def test_a_rewrite_of_an_anchored_credential_is_not_accepted(name: str) -> None:
    """On a chain the digest of the anchor is over the members as they were issued, too."""

    def write(document: Json) -> None:
        document.clear()
        document.update({**badge(), "issuer": {"id": SCHOOL.did, "type": ["Profile"], "name": "S"}})

    def spoil(bundle: Json) -> None:
        bundle["credential"] = rewritten(bundle["credential"], name)

    revoked = LedgerState(values={("revocation", LIST_URL, INDEX, 1): 1})
    story = Story(
        write=write,
        options={"cryptosuite": "eddsa-rdfc-2022"},
        show=(),
        trust=TRUST,
        shown=revoked,
        spoil=spoil,
        mode=Mode.CHAIN,
    )
    assert story.report().acceptance is Acceptance.REFUSED
