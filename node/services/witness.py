"""Witnessing: what stands at a did:web or did:webvh, anchored by this identity (FORMATS.md sections 4 and 7).

    seen → kept by the caller → its anchor in the outbox → final → proven, and kept again

The record of a sight is a file of the caller's, since it is for handing out: kept before the anchor is asked for, it
holds all that is needed to go on after a crash. An anchor that is final long after the document was seen would say of
it what nobody saw, so such a sight is given up. Each sight has a tree of its own, and counts as long as verifiers let
a proof of a key count: a document that stays the same is seen and anchored again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from node.chain.transactions import Call, CredentialRegistryCalls
from node.core.anchor import DID_DOCUMENT, did_document_digest
from node.core.bundle import Bundle, BundleState, DidDocumentSnapshot, parse_snapshot, parse_state
from node.core.errors import Malformed, NotVerified, Unavailable
from node.core.evm.checkpoint import Checkpoint
from node.core.evm.header import Header
from node.core.members import closed_object, integer_member, text_member
from node.core.strict_json import Json, JsonObject
from node.core.times import format_datetime_stamp, parse_datetime_stamp
from node.core.verify.anchored import AnchorFound, check_witness
from node.core.verify.ledger import Identity, Networks, Wanted, open_ledger
from node.core.verify.materials import Inquiry, Materials, Mode
from node.core.verify.report import Outcome
from node.core.verify.snapshot import WITNESSED_METHODS, read_document
from node.outbound.http import Egress
from node.outbound.resolve import fetch_did_bytes
from node.services import registration
from node.services.bundles import PROVABLE_BLOCKS
from node.services.issuer import Issuer, address_of
from node.services.sealing import draw_tree
from node.storage.protocols.outbox import OutboxEntry, TransactionState

PURPOSE: Final = "witness"
MAX_DELAY: Final = timedelta(hours=1)
_VERSION: Final = 1
_MAX_DID_BYTES: Final = 2048
_COMMITMENT_BYTES: Final = 32  # the last argument of `anchor`
_MEMBERS: Final = frozenset({"version", "did", "seen", "didDocument"})


@dataclass(frozen=True, slots=True)
class Sight:
    """What was seen at a DID and when; with `state` it is proven to have been anchored."""

    did: str
    seen: datetime
    snapshot: DidDocumentSnapshot
    state: BundleState | None = None

    @property
    def commitment(self) -> bytes:
        """What is anchored."""
        return self.snapshot.commitment_of(self.did)

    def to_json(self) -> JsonObject:
        """The record, whose `didDocument` and `state` are those of a bundle."""
        body: JsonObject = {
            "version": _VERSION,
            "did": self.did,
            "seen": format_datetime_stamp(self.seen),
            "didDocument": self.snapshot.to_json(),
        }
        if self.state is not None:
            body["state"] = self.state.to_json()
        return body

    def bundle_of(self, credential: JsonObject | str) -> Bundle:
        """The bundle of a credential that the owner of the DID issued."""
        return Bundle(credential=credential, state=self.state, did_document=self.snapshot)


def parse_sight(value: Json) -> Sight:
    """The record that a JSON object spells; anything unknown or missing is Malformed."""
    members = closed_object(value, "a sight of a DID document", _MEMBERS, frozenset({"state"}))
    if integer_member(members, "version") != _VERSION:
        raise Malformed(f"only version {_VERSION} is known", path=("version",))
    return Sight(
        text_member(members, "did", max_bytes=_MAX_DID_BYTES),
        parse_datetime_stamp(text_member(members, "seen", max_bytes=64)),
        parse_snapshot(members["didDocument"]),
        parse_state(members["state"]) if "state" in members else None,
    )


async def look(issuer: Issuer, did: str, egress: Egress) -> Sight:
    """See what stands at a DID now, and give it its place in a tree; nothing is anchored yet.

    Malformed or NotVerified for what no verifier would read as the DID's document; errors of fetching as of
    `fetch_did_bytes`.
    """
    if not did.startswith(WITNESSED_METHODS):
        raise Malformed("only a did:web or a did:webvh stands where it can be seen")
    now = issuer.clock()
    data = await fetch_did_bytes(did, egress)
    read_document(did, data, now)
    sealed = draw_tree([(DID_DOCUMENT, did_document_digest(did, data))])
    (place,) = sealed.places
    shown = DidDocumentSnapshot(data, place.salt, place.index, sealed.size, place.path, issuer.identity)
    return Sight(did, now, shown)


async def promised(issuer: Issuer, sight: Sight) -> OutboxEntry | None:
    """The call that anchors a sight, where it was asked for: then it will be sent, whatever becomes of this process."""
    async with issuer.store.reading() as reading:
        return await reading.outbox.find(PURPOSE, _call(issuer, sight).data)


async def ask(issuer: Issuer, sight: Sight) -> None:
    """Put the anchor into the outbox, once."""
    call = _call(issuer, sight)
    async with issuer.store.transaction() as transaction:
        if await transaction.outbox.find(PURPOSE, call.data) is None:
            writer = address_of(await registration.writer_of(transaction))
            await transaction.outbox.add(PURPOSE, writer, call.to, call.data, issuer.clock())


async def is_final(issuer: Issuer, sight: Sight) -> bool:
    """Whether the call that anchors a sight is final."""
    entry = await promised(issuer, sight)
    return entry is not None and entry.state is TransactionState.FINAL


async def prove(issuer: Issuer, sight: Sight) -> Sight:
    """The sight with its proof, at the newest final block or that of the network's series, as bundles have it.

    Unavailable while its anchor is not final, and where the endpoint proves wrongly; NotVerified where it became final
    too late to say what was seen then.
    """
    chain = issuer.require_chain()
    if not await is_final(issuer, sight):
        raise Unavailable("the anchor is not final yet: see `issuer status`, then run this again")
    finalized = await chain.finalized()
    proven, found = await _prove_at(issuer, sight, finalized)
    assert found.time is not None and found.record is not None  # noqa: S101, PT018 - it passed
    if found.time - sight.seen > MAX_DELAY:
        raise NotVerified(
            f"it was seen at {format_datetime_stamp(sight.seen)} and anchored at"
            f" {format_datetime_stamp(found.time)}, which is too late: run this again to see it anew"
        )
    in_series = chain.network.last_of_series(finalized.number)
    if found.record.block <= in_series < finalized.number < in_series + PROVABLE_BLOCKS:
        proven, _ = await _prove_at(issuer, sight, await chain.client.header(in_series))
    return proven


def commitments(entries: Iterable[OutboxEntry]) -> frozenset[bytes]:
    """What those of the entries anchor that were asked for here; such anchors are in no batch."""
    return frozenset(entry.data[-_COMMITMENT_BYTES:] for entry in entries if entry.purpose == PURPOSE)


def _call(issuer: Issuer, sight: Sight) -> Call:
    calls = CredentialRegistryCalls(issuer.require_chain().network.credential_registry)
    return calls.anchor(issuer.identity, sight.commitment)


async def _prove_at(issuer: Issuer, sight: Sight, header: Header) -> tuple[Sight, AnchorFound]:
    """The sight with its state at a header, judged as a verifier offline would judge it."""
    chain = issuer.require_chain()
    network = chain.network
    wanted = Wanted(Identity(network.chain_id, issuer.identity), sight.commitment, None, ())
    nodes = await chain.client.proof_nodes(network.credential_registry, wanted.slots(), header.hash)
    proven = replace(sight, state=BundleState(header.raw, nodes))
    trusted = Checkpoint(network.chain_id, network.genesis, 1, 1, ((header.number, header.hash),))
    now = issuer.clock()
    ledger = open_ledger(
        wanted,
        Bundle(credential_digest=sight.commitment, state=proven.state),
        Inquiry(Materials.none(), Mode.OFFLINE),
        Networks({}, {network.chain_id: network}),
        {network.chain_id: trusted},
        now,
    )
    found = check_witness(ledger, now)
    if found.check.outcome is not Outcome.PASSED:
        host = chain.client.host
        raise Unavailable(f"what {host} proves does not hold: {found.check.basis}", asked=host)
    return proven, found
