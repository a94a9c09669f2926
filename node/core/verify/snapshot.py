"""The document of a did:web or did:webvh by what a witness saw of it (FORMATS.md sections 4, 7 and 9).

A witness is an identity on a chain that the verifier's own trust list names beside an issuer. What it anchored (kind 4)
dates the document: a site may have said something else since, so a snapshot counts no longer than any other proof of
a key, as the policy limits it. Of a did:webvh the whole log is anchored: it is verified here as if it had been
fetched, and its head is an entry that a site can no longer withhold, however long ago it was seen.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from node.core.bundle import MAX_DID_DOCUMENT_BYTES, DidDocumentSnapshot
from node.core.did.document import DidDocument, parse_did_document
from node.core.did.webvh import read_log
from node.core.errors import Malformed, NotVerified
from node.core.strict_json import parse_json_object
from node.core.times import span
from node.core.verify.anchored import CLOCK_TOLERANCE_SECONDS, check_witness
from node.core.verify.ledger import Identity, Ledger, Wanted
from node.core.verify.materials import DocumentAnswer
from node.core.verify.policy import Policy
from node.core.verify.report import Outcome, Reason

WITNESSED_METHODS: Final = ("did:web:", "did:webvh:")


@dataclass(frozen=True, slots=True)
class SeenDocument:
    """The bytes of a snapshot, read: the document, and of a did:webvh the versionId of its newest entry.

    `ended`: the DID was deactivated, after which nothing can follow.
    """

    document: DidDocument
    head: str | None = None
    ended: bool = False


@dataclass(frozen=True, slots=True)
class Witnessed:
    """What a witness of the issuer's saw; `source` is for a basis.

    `doubt`: why it tells no key for the time asked for; that the site withholds entries, it tells all the same.
    """

    seen: SeenDocument
    source: str
    doubt: Reason | None = None

    def is_newer_than(self, answer: DocumentAnswer) -> bool:
        """Whether the log that a site serves lacks the entry that the witness saw: the newer ones are withheld."""
        return self.seen.head is not None and self.seen.head not in answer.versions


@dataclass(frozen=True, slots=True)
class Uncounted:
    """Why a snapshot that came with a bundle does not count."""

    detail: str


def read_document(did: str, data: bytes, now: datetime) -> SeenDocument:
    """The document in the bytes that stand at a did:web, or in the log at a did:webvh, which is verified.

    Malformed or NotVerified where they are not what they should be. A log that names did:webvh witnesses of its own is
    NotVerified: their approvals are in another file.
    """
    if len(data) > MAX_DID_DOCUMENT_BYTES:
        raise Malformed(f"more than {MAX_DID_DOCUMENT_BYTES:,} bytes are not shown in a bundle")
    if did.startswith("did:web:"):
        return SeenDocument(parse_did_document(parse_json_object(data), did, require_absolute_urls=True))
    history = read_log(did, data, None, now=now)
    latest = history.latest
    if latest.did != did:
        raise NotVerified(f"the DID has moved to {latest.did[:200]}")
    ended = history.deactivated
    document = parse_did_document({"id": did}, did) if ended else latest.document()
    return SeenDocument(document, latest.version_id, ended)


def judge_snapshot(
    snapshot: DidDocumentSnapshot,
    did: str,
    witnesses: Collection[Identity],
    read_chain: Callable[[Wanted], Ledger],
    policy: Policy,
    as_of: datetime,
    now: datetime,
) -> Witnessed | Uncounted:
    """What a snapshot says of `did`, if one of the issuer's witnesses anchored it in time.

    `read_chain` proves slots of a witness by whatever this verification has: the bundle's state, or an endpoint.
    """
    named = [witness for witness in witnesses if witness.address == snapshot.identity]
    if not named:
        return Uncounted("your list of issuers does not name who made it as a witness")
    try:
        commitment = snapshot.commitment_of(did)
        seen = read_document(did, snapshot.data, now)
    except (Malformed, NotVerified) as error:
        return Uncounted(error.detail)
    # One key may be an identity on several chains: any of those that are named will do.
    judged = [
        _judge(seen, read_chain(Wanted(one, commitment, None, ())), policy, as_of, now) for one in named
    ]
    return next((one for one in judged if isinstance(one, Witnessed)), judged[0])


def _judge(
    seen: SeenDocument, ledger: Ledger, policy: Policy, as_of: datetime, now: datetime
) -> Witnessed | Uncounted:
    if ledger.network.outcome is not Outcome.PASSED:
        return Uncounted(f"its witness is on {ledger.network.basis}")
    found = check_witness(ledger, as_of)
    moment, state = found.time, ledger.state
    if found.check.outcome is not Outcome.PASSED or moment is None or state is None:
        return Uncounted(found.check.basis)
    source = f"a snapshot of its document, {found.check.basis}, vouched for by {state.source}"
    if (moment - now).total_seconds() > CLOCK_TOLERANCE_SECONDS:
        return Witnessed(seen, f"{source}, which is ahead of this clock", Reason.CLOCK)
    age, limit = int((as_of - moment).total_seconds()), policy.max_header_age_seconds
    if age > limit:
        return Witnessed(seen, f"{source}; {span(age)} old, the limit is {span(limit)}", Reason.SNAPSHOT_OLD)
    return Witnessed(seen, f"{source}; {span(age)} old")
