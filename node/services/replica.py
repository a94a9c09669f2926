"""What a verifier's own replica of a registry answers, in the place of endpoints: no connection is opened for it.

It answers at the header to which `node/services/follower.py` proved it, and at those before it that are kept: a report
that began before a step ends as it began. What it cannot answer for is missing, never zero.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Final

import orjson

from node.core.did.ethr import (
    AttributeChanged,
    DelegateChanged,
    EthrEvent,
    OwnerChanged,
    document_from_events,
    parse_did_ethr,
)
from node.core.did.syntax import is_did_ethr
from node.core.evm.header import parse_header
from node.core.evm.keccak import keccak256
from node.core.evm.network import Network, format_chain
from node.core.verify.materials import (
    DocumentAnswer,
    DocumentNeed,
    HeaderAnswer,
    HeaderNeed,
    Missing,
    ReplicaAnswer,
    StateNeed,
    Strength,
)
from node.storage.protocols.store import Store, Transaction
from node.storage.protocols.verifier import ReplicaHead, ReplicaHeader, ReplicaIdentity

# Anybody can ask for anybody's document, and each is looked up at every step.
MAX_HISTORIES: Final = 1_000
MAX_IDENTITIES: Final = 1_000_000
_SAID: Final = "this verifier's replica"
_NO_EVENTS: Final = b"[]"  # as `encode_history` writes it
_KINDS: Final[Mapping[str, Callable[..., EthrEvent]]] = {
    kind.__name__: kind for kind in (OwnerChanged, DelegateChanged, AttributeChanged)
}


class StoredReplica:
    """`outbound.gather.Replica`, of the chains that are followed with this database."""

    def __init__(
        self,
        store: Store,
        networks: Mapping[int, Network],
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store = store
        self._networks = networks
        self._clock = clock

    async def header(self, need: HeaderNeed) -> HeaderAnswer | Missing | None:
        """The header to which the replica was proven, and the hashes of those kept before it."""
        if need.chain_id not in self._networks:
            return None
        async with self._store.reading() as tx:
            head = await tx.replica.head(need.chain_id)
            newest = await _answering(tx, head)
            if isinstance(newest, Missing):
                return newest
            kept = await tx.replica.headers_at(need.chain_id, need.heights) if need.heights else []
        # One that was taken on a weaker word is not told by the word for the newest.
        told = [one for one in kept if one.is_sound and one.strength >= newest.strength]
        hashes = {header.number: header.hash for header in told}
        return HeaderAnswer(
            parse_header(newest.raw),
            hashes | {newest.number: newest.hash},
            f"{newest.source}, by {_SAID}",
            Strength(newest.strength),
        )

    async def state(self, need: StateNeed) -> ReplicaAnswer | Missing | None:
        """Words after a block at which the replica was proven, of an identity of which every write is known."""
        network = self._networks.get(need.chain_id)
        if network is None or need.address != network.credential_registry:
            return None
        paths = {slot: keccak256(slot) for slot in need.slots}
        async with self._store.reading() as tx:
            head = await tx.replica.head(need.chain_id)
            newest = await _answering(tx, head)
            if isinstance(newest, Missing):
                return newest
            at = await tx.replica.header_by_hash(need.chain_id, need.block_hash)
            if at is None or not (at.is_sound or at == newest):
                return Missing("this verifier's replica does not go back to that block")
            identities = []
            if not at.is_whole:
                identities = await tx.replica.identities(need.chain_id, [need.identity])
            earlier = None if at.number == newest.number else at.number
            words = await tx.replica.words(need.chain_id, list(paths.values()), earlier)
        if not at.is_whole:
            missing = await self._missing(need, at, identities)
            if missing is not None:
                return missing
        return ReplicaAnswer({slot: words.get(path, 0) for slot, path in paths.items()}, _SAID)

    async def _missing(
        self, need: StateNeed, at: ReplicaHeader, identities: Sequence[ReplicaIdentity]
    ) -> Missing | None:
        """Why nothing is known of an identity where each is proven by itself; one not known is proven next time."""
        known = next(iter(identities), None)
        if known is None:
            await self._ask_for(need.chain_id, ReplicaIdentity(need.identity))
        if known is None or known.proven is None or known.proven < at.number:
            return Missing("the identity was not followed yet: it will be from the next block on")
        return None if known.fault is None else Missing(f"its logs do not add up: {known.fault}")

    async def document(self, need: DocumentNeed) -> DocumentAnswer | Missing | None:
        """The document of a did:ethr as of the header to which the replica was proven."""
        if not is_did_ethr(need.did):
            return None
        did = parse_did_ethr(need.did)
        if did.chain_id not in self._networks:
            return None
        async with self._store.reading() as tx:
            newest = await _answering(tx, await tx.replica.head(did.chain_id))
            # Histories are read after a step: those of the step before hold until then.
            recent = [header.number for header in await tx.replica.headers(did.chain_id, 2)]
            known = next(iter(await tx.replica.identities(did.chain_id, [did.identity])), None)
        if isinstance(newest, Missing):
            return newest
        if known is None or not known.wants_history:
            await self._ask_for(
                did.chain_id, replace(known or ReplicaIdentity(did.identity), wants_history=True)
            )
        if known is None or known.history is None or known.history_number not in recent:
            return Missing("its document was not followed yet: it will be from the next block on")
        found = document_from_events(
            did, decode_history(known.history), block_time=int(self._clock().timestamp())
        )
        source = newest.source if known.history_agreed else "one endpoint's word"
        return DocumentAnswer(
            found.document, known.history_agreed, f"the events of its registry, by {source}, by {_SAID}"
        )

    async def _ask_for(self, chain_id: int, identity: ReplicaIdentity) -> None:
        async with self._store.transaction() as tx:
            if identity.wants_history:
                has_room = await _make_room(tx, chain_id)
            else:
                has_room = await tx.replica.count_identities(chain_id) < MAX_IDENTITIES
            if has_room:
                await tx.replica.save_identities(chain_id, [identity])


async def _make_room(tx: Transaction, chain_id: int) -> bool:
    """Whether one history more can be followed.

    One that is empty gives way: identities that never wrote are invented at no cost, and would keep out all others.
    """
    followed = await tx.replica.identities_with_history(chain_id)
    if len(followed) < MAX_HISTORIES:
        return True
    empty = sorted(
        (one for one in followed if one.history in (_NO_EVENTS, None)), key=lambda one: one.history is None
    )
    for one in empty[:1]:
        await tx.replica.save_identities(chain_id, [ReplicaIdentity(one.identity, one.proven, one.fault)])
    return bool(empty)


async def _answering(tx: Transaction, head: ReplicaHead | None) -> ReplicaHeader | Missing:
    """The header to which the replica was proven, or why it does not answer."""
    if head is None:
        return Missing("this verifier's replica has not begun")
    if head.fault is not None:
        return Missing(f"{_SAID} of {format_chain(head.chain_id)}: {head.fault}")
    headers = await tx.replica.headers(head.chain_id, 1)
    if not headers or head.proven != head.followed or headers[0].number != head.proven:
        return Missing(
            f"{_SAID} of {format_chain(head.chain_id)} is at block {head.followed}, and on its way"
        )
    return headers[0]


def encode_history(events: Sequence[EthrEvent]) -> bytes:
    """ERC-1056 events as JSON."""
    return orjson.dumps(
        [[type(event).__name__, _texts(asdict(event))] for event in events],
        option=orjson.OPT_PASSTHROUGH_SUBCLASS,
    )


def decode_history(data: bytes) -> list[EthrEvent]:
    """Inverse of `encode_history`."""
    return [
        _KINDS[kind](**{name: _value(value) for name, value in members.items()})
        for kind, members in orjson.loads(data)
    ]


def _texts(members: Mapping[str, bytes | int]) -> dict[str, str]:
    # Text for numbers too: a time may be any 256-bit number.
    return {
        name: "0x" + value.hex() if isinstance(value, bytes) else str(value)
        for name, value in members.items()
    }


def _value(text: str) -> bytes | int:
    return bytes.fromhex(text[2:]) if text.startswith("0x") else int(text)
