"""What light clients are sent: headers, committees, updates (consensus-specs, altair to electra, light-client/).

The containers of each fork and size of committee stand as data; a header of an earlier fork may travel in the shape of
a later one, with blank fields in place of what it did not have (light-client/fork.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from node.core.errors import NotVerified
from node.core.evm.light_client.forks import EXECUTION_PAYLOAD_GINDEX, BeaconChain, Fork
from node.core.evm.light_client.ssz import (
    Branch,
    ByteList,
    ByteVector,
    Container,
    Type,
    Uint,
    Vector,
    check_branch,
)


@dataclass(frozen=True, slots=True)
class BeaconBlockHeader:
    """A header of the consensus layer; its root is the block's root."""

    slot: int
    proposer_index: int
    parent_root: bytes
    state_root: bytes
    body_root: bytes

    @property
    def root(self) -> bytes:
        """The 32-byte block root."""
        return _BEACON_HEADER.root(self)


@dataclass(frozen=True, slots=True)
class ExecutionPayloadHeader:
    """A header of the execution layer as the consensus layer keeps it."""

    parent_hash: bytes
    fee_recipient: bytes
    state_root: bytes
    receipts_root: bytes
    logs_bloom: bytes
    prev_randao: bytes
    block_number: int
    gas_limit: int
    gas_used: int
    timestamp: int  # seconds since 1970
    extra_data: bytes
    base_fee_per_gas: int  # wei
    block_hash: bytes
    transactions_root: bytes
    withdrawals_root: bytes
    blob_gas_used: int = 0
    excess_blob_gas: int = 0


@dataclass(frozen=True, slots=True)
class LightClientHeader:
    """A beacon block's header, and with a branch the execution block's inside it; None before Capella."""

    beacon: BeaconBlockHeader
    execution: ExecutionPayloadHeader | None = None
    execution_branch: tuple[bytes, ...] = ()

    @property
    def is_blank(self) -> bool:
        """Whether this is the default header, which stands where there is none."""
        return self.beacon == _BEACON_HEADER.blank() and not self._names_execution

    @property
    def _names_execution(self) -> bool:
        blank = self.execution in (None, _EXECUTION_HEADER[Fork.DENEB].blank())
        return not blank or any(map(any, self.execution_branch))

    def check(self, chain: BeaconChain) -> None:
        """`is_valid_light_client_header`: NotVerified unless what is said of the execution block stands in the body.

        A header from before Capella proves none, so it may name none.
        """
        fork = chain.fork_of(self.beacon.slot)
        execution = self.execution
        if fork < Fork.CAPELLA:
            if self._names_execution:
                raise NotVerified("a header from before Capella names an execution block")
            return
        if execution is None:
            raise NotVerified("the header names no execution block")
        if fork < Fork.DENEB and (execution.blob_gas_used or execution.excess_blob_gas):
            raise NotVerified("a header from before Deneb counts gas of blobs")
        check_branch(
            execution_root(execution, fork),
            self.execution_branch,
            EXECUTION_PAYLOAD_GINDEX,
            self.beacon.body_root,
            what="execution header",
        )


@dataclass(frozen=True, slots=True)
class SyncCommittee:
    """The members' public keys, compressed points of G1, and their sum."""

    pubkeys: tuple[bytes, ...]
    aggregate_pubkey: bytes

    @property
    def root(self) -> bytes:
        """Its `hash_tree_root`."""
        return sync_committee_type(len(self.pubkeys)).root(self)


@dataclass(frozen=True, slots=True)
class SyncAggregate:
    """Who of the committee signed, and the sum of their signatures (a compressed point of G2)."""

    sync_committee_bits: bytes
    sync_committee_signature: bytes

    @property
    def participants(self) -> int:
        """How many signed."""
        return int.from_bytes(self.sync_committee_bits, "little").bit_count()

    def signed(self, index: int) -> bool:
        """Whether member `index` (zero-based) signed."""
        return bool(self.sync_committee_bits[index // 8] >> index % 8 & 1)


@dataclass(frozen=True, slots=True)
class LightClientBootstrap:
    """What a light client starts with: a header whose root it trusts, and its committee."""

    header: LightClientHeader
    current_sync_committee: SyncCommittee
    current_sync_committee_branch: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class LightClientUpdate:
    """A header that a committee attests, the header that its state calls final, and perhaps the next committee."""

    attested_header: LightClientHeader
    finalized_header: LightClientHeader
    finality_branch: tuple[bytes, ...]
    sync_aggregate: SyncAggregate
    signature_slot: int
    next_sync_committee: SyncCommittee | None = None
    next_sync_committee_branch: tuple[bytes, ...] = ()


_UINT64: Final = Uint(64)
_BYTES32: Final = ByteVector(32)
_BYTES48: Final = ByteVector(48)
_BRANCH: Final = Branch()

_BEACON_HEADER: Final = Container(
    BeaconBlockHeader,
    {
        "slot": _UINT64,
        "proposer_index": _UINT64,
        "parent_root": _BYTES32,
        "state_root": _BYTES32,
        "body_root": _BYTES32,
    },
)
_CAPELLA_EXECUTION: Final[dict[str, Type[Any]]] = {
    "parent_hash": _BYTES32,
    "fee_recipient": ByteVector(20),
    "state_root": _BYTES32,
    "receipts_root": _BYTES32,
    "logs_bloom": ByteVector(256),
    "prev_randao": _BYTES32,
    "block_number": _UINT64,
    "gas_limit": _UINT64,
    "gas_used": _UINT64,
    "timestamp": _UINT64,
    "extra_data": ByteList(32),
    "base_fee_per_gas": Uint(256),
    "block_hash": _BYTES32,
    "transactions_root": _BYTES32,
    "withdrawals_root": _BYTES32,
}
_DENEB_EXECUTION: Final = {**_CAPELLA_EXECUTION, "blob_gas_used": _UINT64, "excess_blob_gas": _UINT64}
_EXECUTION_HEADER: Final = {
    Fork.CAPELLA: Container(ExecutionPayloadHeader, _CAPELLA_EXECUTION),
    Fork.DENEB: Container(ExecutionPayloadHeader, _DENEB_EXECUTION),
}


def execution_root(header: ExecutionPayloadHeader, fork: Fork) -> bytes:
    """`get_lc_execution_root` of a block of `fork`, Capella or later."""
    return _EXECUTION_HEADER[min(fork, Fork.DENEB)].root(header)


@lru_cache
def sync_committee_type(size: int) -> Container[SyncCommittee]:
    """`SyncCommittee` of so many members."""
    return Container(SyncCommittee, {"pubkeys": Vector(_BYTES48, size), "aggregate_pubkey": _BYTES48})


@lru_cache
def header_type(fork: Fork) -> Container[LightClientHeader]:
    """`LightClientHeader` as `fork` shapes it."""
    fields: dict[str, Type[Any]] = {"beacon": _BEACON_HEADER}
    if fork >= Fork.CAPELLA:
        fields |= {"execution": _EXECUTION_HEADER[min(fork, Fork.DENEB)], "execution_branch": _BRANCH}
    return Container(LightClientHeader, fields)


@lru_cache
def bootstrap_type(fork: Fork, committee_size: int) -> Container[LightClientBootstrap]:
    """`LightClientBootstrap` as `fork` shapes it."""
    fields: dict[str, Type[Any]] = {
        "header": header_type(fork),
        "current_sync_committee": sync_committee_type(committee_size),
        "current_sync_committee_branch": _BRANCH,
    }
    return Container(LightClientBootstrap, fields)


@lru_cache
def finality_update_type(fork: Fork, committee_size: int) -> Container[LightClientUpdate]:
    """`LightClientFinalityUpdate`: an update without a committee."""
    return Container(LightClientUpdate, _finality_fields(fork, committee_size))


@lru_cache
def update_type(fork: Fork, committee_size: int) -> Container[LightClientUpdate]:
    """`LightClientUpdate`; the specification's order of fields, which matters to roots alone, is not kept."""
    fields = _finality_fields(fork, committee_size)
    fields |= {
        "next_sync_committee": sync_committee_type(committee_size),
        "next_sync_committee_branch": _BRANCH,
    }
    return Container(LightClientUpdate, fields)


def _finality_fields(fork: Fork, committee_size: int) -> dict[str, Type[Any]]:
    header = header_type(fork)
    aggregate = Container(
        SyncAggregate,
        {
            "sync_committee_bits": ByteVector(committee_size // 8),
            "sync_committee_signature": ByteVector(96),
        },
    )
    return {
        "attested_header": header,
        "finalized_header": header,
        "finality_branch": _BRANCH,
        "sync_aggregate": aggregate,
        "signature_slot": _UINT64,
    }
