"""What a light client knows, and how it learns more (consensus-specs, altair/light-client/sync-protocol.md).

The rules are `initialize_light_client_store`, `validate_light_client_update` and `apply_light_client_update`. Two
things of that document are left out on purpose, for this client tells final blocks and nothing else: the optimistic
header, and `process_light_client_store_force_update`, which takes an attested header for final when updates fail to
come. So an update must bring a finalized header and at least two thirds of the committee; without, nothing moves. One
that says nothing new is not refused, as `validate_light_client_update` would: it changes nothing.

Whoever was two thirds of a committee once can write another history from there on when nothing is at stake any more:
a start from a checkpoint, or a stand of one's own, that is older than the weak subjectivity period proves nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from node.core.encoding import encode_hex
from node.core.errors import Malformed, NotVerified
from node.core.evm.light_client.committee import verify_aggregate
from node.core.evm.light_client.containers import (
    LightClientBootstrap,
    LightClientHeader,
    LightClientUpdate,
    SyncCommittee,
    header_type,
    sync_committee_type,
)
from node.core.evm.light_client.forks import BeaconChain, Fork, named_fork
from node.core.evm.light_client.ssz import check_branch
from node.core.members import closed_object, hex_member, within
from node.core.strict_json import Json, JsonObject
from node.core.times import format_datetime_stamp, from_unix

# Of mainnet, as clients configure it for light clients; the true period depends on validators' balances.
WEAK_SUBJECTIVITY_SECONDS: Final = 14 * 86_400


@dataclass(frozen=True, slots=True)
class FinalBlock:
    """A block of the execution layer that is final."""

    number: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class LightClientStore:
    """A header that is final, the committee of its period, and the next one where it is known."""

    chain: BeaconChain
    finalized_header: LightClientHeader
    current_sync_committee: SyncCommittee
    next_sync_committee: SyncCommittee | None = None

    @classmethod
    def start(
        cls, chain: BeaconChain, trusted_root: bytes, bootstrap: LightClientBootstrap
    ) -> LightClientStore:
        """`initialize_light_client_store` at the header with the trusted block root; NotVerified if it is another."""
        header = bootstrap.header
        if header.beacon.root != trusted_root:
            raise NotVerified("the header is not the one with the trusted root")
        header.check(chain)
        check_branch(
            bootstrap.current_sync_committee.root,
            bootstrap.current_sync_committee_branch,
            chain.fork_of(header.beacon.slot).current_sync_committee_gindex,
            header.beacon.state_root,
            what="current sync committee",
        )
        return cls(chain, header, bootstrap.current_sync_committee)

    @property
    def period(self) -> int:
        """The sync committee period of the finalized header."""
        return self.chain.period_of(self.finalized_header.beacon.slot)

    @property
    def final_block(self) -> FinalBlock | None:
        """The execution block that is final; None before Capella, whose headers name none."""
        header = self.finalized_header
        if header.execution is None or self.chain.fork_of(header.beacon.slot) < Fork.CAPELLA:
            return None
        return FinalBlock(header.execution.block_number, header.execution.block_hash)

    def check_age(self, now: int) -> None:
        """Raise NotVerified where the finalized header is too old at `now` (seconds since 1970) to start from."""
        time = self.chain.time_of(self.finalized_header.beacon.slot)
        if now - time > WEAK_SUBJECTIVITY_SECONDS:
            days = WEAK_SUBJECTIVITY_SECONDS // 86_400
            raise NotVerified(
                f"what the light client starts from is of {format_datetime_stamp(from_unix(time))}, more than {days} "
                "days ago, and proves nothing any more: give it a newer checkpoint"
            )

    def apply(self, update: LightClientUpdate, *, current_slot: int) -> LightClientStore:
        """`process_light_client_update`: what is known after `update`, the same where it says nothing new.

        NotVerified where a rule is broken; Malformed where a key is no point.
        """
        self._validate(update, current_slot)
        return self._advanced(update)

    def _validate(self, update: LightClientUpdate, current_slot: int) -> None:
        """`validate_light_client_update`, in its order."""
        chain = self.chain
        # 1. Enough of the committee: the specification asks for one member here and for two thirds before it applies.
        signers, members = update.sync_aggregate.participants, chain.sync_committee_size
        if signers * 3 < members * 2:
            raise NotVerified(f"{signers} of {members} members signed, fewer than two thirds")
        # 2. Slots in their order, no period skipped.
        update.attested_header.check(chain)
        attested, finalized = update.attested_header.beacon, update.finalized_header.beacon
        if not current_slot >= update.signature_slot > attested.slot >= finalized.slot:
            raise NotVerified("the slots of signature, attested and finalized header are out of order")
        signature_period = chain.period_of(update.signature_slot)
        if signature_period not in self._known_periods():
            raise NotVerified(f"signed in period {signature_period}, of which no committee is known")
        # 3. The attested state calls the finalized header final.
        fork = chain.fork_of(attested.slot)
        check_branch(
            self._finalized_root(update),
            update.finality_branch,
            fork.finalized_root_gindex,
            attested.state_root,
            what="finalized header",
        )
        # 4. It holds the next committee, and the one that is known already where one is.
        if update.next_sync_committee is not None:
            self._check_next(update.next_sync_committee, chain.period_of(attested.slot))
            check_branch(
                update.next_sync_committee.root,
                update.next_sync_committee_branch,
                fork.next_sync_committee_gindex,
                attested.state_root,
                what="next sync committee",
            )
        # 5. The committee of the signature's period signed the attested header.
        committee = (
            self.current_sync_committee if signature_period == self.period else self.next_sync_committee
        )
        assert committee is not None  # noqa: S101 - rule 2 let only a period of a known committee pass
        verify_aggregate(
            committee, update.sync_aggregate, chain.signing_root(attested.root, update.signature_slot)
        )

    def _known_periods(self) -> tuple[int, ...]:
        return (self.period,) if self.next_sync_committee is None else (self.period, self.period + 1)

    def _finalized_root(self, update: LightClientUpdate) -> bytes:
        """What the attested state calls final: zeros as long as that is genesis, whose header is not told then."""
        header = update.finalized_header
        if not any(map(any, update.finality_branch)):
            raise NotVerified("the update calls no header final")
        if header.beacon.slot == 0:
            if not header.is_blank:
                raise NotVerified("genesis is told to be final by another header than a blank one")
            return bytes(32)
        header.check(self.chain)
        return header.beacon.root

    def _check_next(self, committee: SyncCommittee, attested_period: int) -> None:
        known = self.next_sync_committee if attested_period == self.period else None
        if known is not None and committee != known:
            raise NotVerified("another next committee than the one that is known")

    def _advanced(self, update: LightClientUpdate) -> LightClientStore:
        """`apply_light_client_update`; an update was valid that need not be of use."""
        finalized = update.finalized_header.beacon
        period = self.chain.period_of(finalized.slot)
        current, following = self.current_sync_committee, self.next_sync_committee
        if following is None:
            # A committee is taken from a state whose own period is final: then it cannot change any more.
            attested_period = self.chain.period_of(update.attested_header.beacon.slot)
            following = update.next_sync_committee if period == attested_period == self.period else None
        elif period == self.period + 1:
            current, following = following, update.next_sync_committee
        newer = finalized.slot > self.finalized_header.beacon.slot
        header = update.finalized_header if newer else self.finalized_header
        advanced = replace(
            self, finalized_header=header, current_sync_committee=current, next_sync_committee=following
        )
        return self if advanced == self else advanced

    def to_json(self) -> JsonObject:
        """What `parse_store` reads: the state to go on from after a restart."""
        fork = self.chain.fork_of(self.finalized_header.beacon.slot)
        committee = sync_committee_type(self.chain.sync_committee_size)
        following = self.next_sync_committee
        return {
            "genesisValidatorsRoot": encode_hex(self.chain.genesis_validators_root),
            "finalizedHeader": {
                "version": fork.name.lower(),
                "data": header_type(fork).to_json(self.finalized_header),
            },
            "currentSyncCommittee": committee.to_json(self.current_sync_committee),
            "nextSyncCommittee": None if following is None else committee.to_json(following),
        }


_STORE: Final = frozenset(
    {"genesisValidatorsRoot", "finalizedHeader", "currentSyncCommittee", "nextSyncCommittee"}
)


def parse_store(chain: BeaconChain, value: Json) -> LightClientStore:
    """What `LightClientStore.to_json` wrote for this chain; Malformed for another's. Nothing in it is proven again."""
    members = closed_object(value, "the state of a light client", _STORE)
    if hex_member(members, "genesisValidatorsRoot", 32) != chain.genesis_validators_root:
        raise Malformed("the state of a light client of another chain", path=("genesisValidatorsRoot",))
    with within("finalizedHeader"):
        written = closed_object(members["finalizedHeader"], "a header", frozenset({"version", "data"}))
        header = header_type(named_fork(written["version"])).parse(written["data"])
    committee = sync_committee_type(chain.sync_committee_size)
    with within("currentSyncCommittee"):
        current = committee.parse(members["currentSyncCommittee"])
    with within("nextSyncCommittee"):
        following = members["nextSyncCommittee"]
        following = None if following is None else committee.parse(following)
    return LightClientStore(chain, header, current, following)
