"""Bitstring status lists of ours read by @digitalbazaar/vc-bitstring-status-list 2.0.1, and theirs by our engine."""

from __future__ import annotations

import copy
import gzip
import random
from collections.abc import Callable, Collection
from typing import Any

import badge_generator as badges
import pytest
from badge_generator import ISSUER, NOW, NOW_TEXT, SIGNED_AT, STRANGER, Document, Person, Suite

from node.commands.loading import load_standards
from node.core.encoding import encode_base64url
from node.core.status.bitstring import MIN_ENTRIES, Bitstring
from node.core.status.status_list import build_list_credential
from node.core.times import parse_datetime_stamp
from node.core.verify import engine
from node.core.verify.intake import read_intake
from node.core.verify.materials import Materials, Mode, StatusListAnswer, StatusListNeed
from node.core.verify.policy import ANY_ISSUER_UNSAFE
from node.core.verify.report import CheckName, Outcome
from node.core.verify.verifier import Verifier

pytestmark = [pytest.mark.node_js, pytest.mark.xdist_group("other_software")]

STANDARDS = load_standards()
VERIFIER = Verifier.of(STANDARDS, policy=ANY_ISSUER_UNSAFE, mode=Mode.FULL)
SUITE = Suite("eddsa-rdfc-2022")
URL = "https://school.example/status/1"
# In both directions: the first, a last, neighbours, and some that chance picks.
CHANCE = random.Random("status lists")  # noqa: S311 - the same every time
PLACES = (0, 1, 7, 8, 94_567, MIN_ENTRIES - 1, *(CHANCE.randrange(MIN_ENTRIES) for _ in range(6)))
SET = frozenset(PLACES[::2])


def badge(index: int, **changes: Any) -> Document:
    entry = {
        "id": f"{URL}#{index}",
        "type": "BitstringStatusListEntry",
        "statusPurpose": "revocation",
        "statusListIndex": str(index),
        "statusListCredential": URL,
        **changes,
    }
    return badges.sign({**badges.make_badge(0), "credentialStatus": entry}, SUITE, STANDARDS.canonicalizer)


def unsigned_list(indexes: Collection[int] = SET, **changes: Any) -> Document:
    bits = Bitstring.zeros()
    for index in indexes:
        bits.set(index)
    begin = parse_datetime_stamp(SIGNED_AT)
    how = {"list_url": URL, "issuer": ISSUER.did, "purpose": "revocation", "bits": bits, "valid_from": begin}
    return build_list_credential(**{**how, **changes})


def sign(document: Document, by: Person = ISSUER) -> Document:
    return badges.sign(document, SUITE, STANDARDS.canonicalizer, by=by)


def our_status(credential: Document, status_list: Document) -> Outcome:
    answers = Materials.none().extended({StatusListNeed(URL): StatusListAnswer(status_list, URL)}, ())
    report = engine.verify(read_intake(badges.as_text(credential).encode()), answers, VERIFIER, now=NOW)
    assert report[CheckName.PROOF].outcome is Outcome.PASSED
    return report[CheckName.STATUS].outcome


@pytest.fixture
def their_status(other_software: Any) -> Callable[[Document, Document], Outcome]:
    def status(credential: Document, status_list: Document) -> Outcome:
        answer = other_software.ask("readStatus", credential=credential, list=status_list)
        if not answer["verified"]:
            return Outcome.UNKNOWN
        return Outcome.FAILED if answer["statuses"] == [True] else Outcome.PASSED

    return status


@pytest.fixture
def theirs(other_software: Any) -> Document:
    """A list of theirs with the same statuses."""
    made: Document = other_software.ask(
        "issueList",
        id=URL,
        statusPurpose="revocation",
        length=MIN_ENTRIES,
        indexes=sorted(SET),
        members={"issuer": ISSUER.did, "validFrom": SIGNED_AT},
        cryptosuite=SUITE.name,
        key=ISSUER.to_json(),
        date=SIGNED_AT,
        now=NOW_TEXT,
    )
    return made


def test_a_status_is_the_same_to_both_in_lists_of_both(
    theirs: Document, their_status: Callable[[Document, Document], Outcome]
) -> None:
    for status_list in (sign(unsigned_list()), theirs):
        for index in PLACES:
            expected = Outcome.FAILED if index in SET else Outcome.PASSED
            credential = badge(index)
            assert our_status(credential, status_list) is expected, index
            assert their_status(credential, status_list) is expected, index


def _with(edit: Callable[[Document], object]) -> Document:
    document = unsigned_list()
    edit(document)
    return document


def _changed_after() -> Document:
    changed = copy.deepcopy(sign(unsigned_list(())))
    changed["credentialSubject"]["encodedList"] = unsigned_list()["credentialSubject"]["encodedList"]
    return changed


# What makes a list useless to both.
FAULTS: dict[str, Callable[[], Document]] = {
    "changed after it was signed": _changed_after,
    "not signed": unsigned_list,
    "of another issuer": lambda: sign(unsigned_list(issuer=STRANGER.did), STRANGER),
    "signed by another": lambda: sign(unsigned_list(), STRANGER),
    "for another purpose": lambda: sign(unsigned_list(purpose="suspension")),
    "of another type": lambda: sign(_with(lambda d: d.update(type=["VerifiableCredential"]))),
    "over since": lambda: sign(unsigned_list(valid_until=parse_datetime_stamp("2026-05-01T00:00:00Z"))),
    "that is not compressed": lambda: sign(
        _with(lambda d: d["credentialSubject"].update(encodedList="u" + encode_base64url(bytes(16 * 1024))))
    ),
    "in another alphabet": lambda: sign(
        _with(
            lambda d: d["credentialSubject"].update(
                encodedList="z" + d["credentialSubject"]["encodedList"][1:]
            )
        )
    ),
}
# Lists that they read and we do not, and why.
DIFFERENCES: dict[str, tuple[Callable[[], Document], str]] = {
    "of another id": (
        lambda: sign(unsigned_list(list_url="https://school.example/status/2")),
        "Bitstring Status List section 3.2: the list is the one that the entry names",
    ),
    "of 131,064 statuses": (
        lambda: sign(_with(lambda d: d["credentialSubject"].update(encodedList=_short()))),
        "Bitstring Status List section 3.2: at least 131,072, so that one does not tell its holder apart",
    ),
}


def _short() -> str:
    return "u" + encode_base64url(gzip.compress(bytes(16 * 1024 - 1), mtime=0))


@pytest.mark.parametrize("fault", FAULTS)
def test_a_list_with_one_fault_tells_neither_anything(
    fault: str, their_status: Callable[[Document, Document], Outcome]
) -> None:
    status_list = FAULTS[fault]()
    credential = badge(PLACES[1])
    found = our_status(credential, status_list), their_status(credential, status_list)
    assert Outcome.PASSED not in found


@pytest.mark.parametrize("difference", DIFFERENCES)
def test_a_difference_is_one_that_a_clause_decides(
    difference: str, their_status: Callable[[Document, Document], Outcome]
) -> None:
    make, clause = DIFFERENCES[difference]
    status_list, credential = make(), badge(PLACES[1])
    assert our_status(credential, status_list) is not Outcome.PASSED, clause
    assert their_status(credential, status_list) is Outcome.PASSED, f"no difference any more: {clause}"


def test_a_list_for_two_purposes_is_read_by_us_alone(
    their_status: Callable[[Document, Document], Outcome],
) -> None:
    """Bitstring Status List section 2.2: statusPurpose is one string or several."""
    both = _with(lambda d: d["credentialSubject"].update(statusPurpose=["revocation", "suspension"]))
    for index, ours in ((PLACES[0], Outcome.FAILED), (PLACES[1], Outcome.PASSED)):
        assert our_status(badge(index), sign(both)) is ours
        assert their_status(badge(index), sign(both)) is Outcome.UNKNOWN
