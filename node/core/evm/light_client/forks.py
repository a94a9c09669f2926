"""A beacon chain's clock and forks, as data (consensus-specs, configs/ and presets/), and what each fork changed.

The table of networks holds it as the member `beacon` of a row:

    {"genesisTime": 1606824023,             seconds since 1970 of slot 0
     "genesisValidatorsRoot": "0x…",        32 bytes; signatures are bound to it
     "secondsPerSlot": 12,
     "slotsPerEpoch": 32,
     "epochsPerSyncCommitteePeriod": 256,
     "syncCommitteeSize": 512,               members; 512 where it is left out
     "forks": [{"name": "altair", "version": "0x01000000", "epoch": 74240}, …]}   rising

A fork that is not in the table has a version that no signature is checked with: the light client stops there, it does
not err. Gloas changes the containers and is not built here.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from hashlib import sha256
from typing import Final

from node.core.encoding import encode_hex
from node.core.errors import Malformed, NotVerified
from node.core.evm.light_client.ssz import CHUNK_BYTES
from node.core.members import (
    closed_object,
    hex_member,
    integer_member,
    list_member,
    text_member,
    within,
)
from node.core.strict_json import Json, JsonObject

# specs/altair/beacon-chain.md, "Domain types"
_DOMAIN_SYNC_COMMITTEE: Final = bytes.fromhex("07000000")
_MEMBERS: Final = frozenset(
    {
        "genesisTime",
        "genesisValidatorsRoot",
        "secondsPerSlot",
        "slotsPerEpoch",
        "epochsPerSyncCommitteePeriod",
        "forks",
    }
)
_OPTIONAL: Final = frozenset({"syncCommitteeSize"})
# Of the presets mainnet and gnosis; minimal has 32. None has more, which bounds what a server may send.
SYNC_COMMITTEE_SIZE: Final = 512


class Fork(IntEnum):
    """Upgrades of the beacon chain that have light clients, in their order."""

    ALTAIR = 1
    BELLATRIX = 2
    CAPELLA = 3  # headers bring that of the execution layer
    DENEB = 4  # which gains two fields
    ELECTRA = 5  # the state has more than 32 fields: its branches are longer by one
    FULU = 6

    @property
    def finalized_root_gindex(self) -> int:
        """Of `finalized_checkpoint.root` in the state."""
        return 169 if self >= Fork.ELECTRA else 105

    @property
    def current_sync_committee_gindex(self) -> int:
        """Of `current_sync_committee` in the state."""
        return 86 if self >= Fork.ELECTRA else 54

    @property
    def next_sync_committee_gindex(self) -> int:
        """Of `next_sync_committee` in the state."""
        return 87 if self >= Fork.ELECTRA else 55


# Of `execution_payload` in the block's body, since Capella.
EXECUTION_PAYLOAD_GINDEX: Final = 25
_NAMES: Final = {fork.name.lower(): fork for fork in Fork}


def named_fork(name: Json) -> Fork:
    """The fork of that name; Malformed where it is not known here."""
    if not isinstance(name, str) or name not in _NAMES:
        raise Malformed("a fork that is not known here", path=("version",))
    return _NAMES[name]


@dataclass(frozen=True, slots=True)
class ForkEntry:
    """When a fork begins, and the version (4 bytes) that signatures are bound to from then on."""

    fork: Fork
    version: bytes
    epoch: int


@dataclass(frozen=True)
class BeaconChain:
    """Clock and forks of one beacon chain; forks rise, the first is the first with light clients."""

    genesis_time: int  # seconds since 1970
    genesis_validators_root: bytes
    forks: tuple[ForkEntry, ...]
    seconds_per_slot: int = 12
    slots_per_epoch: int = 32
    epochs_per_sync_committee_period: int = 256
    sync_committee_size: int = SYNC_COMMITTEE_SIZE

    def __post_init__(self) -> None:
        # Whole bytes, so that a `Bitvector` of members has no bits beyond them.
        if not 0 < self.sync_committee_size <= SYNC_COMMITTEE_SIZE or self.sync_committee_size % 8:
            raise Malformed(
                f"expected a multiple of 8 up to {SYNC_COMMITTEE_SIZE}", path=("syncCommitteeSize",)
            )
        if not self.forks:
            raise Malformed("a beacon chain without forks", path=("forks",))
        for before, after in zip(self.forks, self.forks[1:], strict=False):
            if after.fork <= before.fork or after.epoch < before.epoch:
                raise Malformed("forks stand in the order of their epochs", path=("forks",))

    @cached_property
    def slots_per_period(self) -> int:
        """For so long a sync committee signs."""
        return self.slots_per_epoch * self.epochs_per_sync_committee_period

    def period_of(self, slot: int) -> int:
        """`compute_sync_committee_period_at_slot`."""
        return slot // self.slots_per_period

    def time_of(self, slot: int) -> int:
        """When a slot begins, in seconds since 1970."""
        return self.genesis_time + slot * self.seconds_per_slot

    def slot_at(self, time: int) -> int:
        """The slot at a time in seconds since 1970; 0 before the first."""
        return max(0, time - self.genesis_time) // self.seconds_per_slot

    def fork_of(self, slot: int) -> Fork:
        """The fork that a slot belongs to; NotVerified before light clients."""
        return self._entry(slot).fork

    def signing_root(self, header_root: bytes, signature_slot: int) -> bytes:
        """What a sync committee signs in the slot `signature_slot`: a header of the slot before, or an earlier one."""
        version = self._entry(max(signature_slot, 1) - 1).version
        fork_data = sha256(version.ljust(CHUNK_BYTES, b"\0") + self.genesis_validators_root).digest()
        domain = _DOMAIN_SYNC_COMMITTEE + fork_data[:28]
        return sha256(header_root + domain).digest()

    def to_json(self) -> JsonObject:
        """The member `beacon`, as `parse_beacon_chain` reads it."""
        return {
            "genesisTime": self.genesis_time,
            "genesisValidatorsRoot": encode_hex(self.genesis_validators_root),
            "secondsPerSlot": self.seconds_per_slot,
            "slotsPerEpoch": self.slots_per_epoch,
            "epochsPerSyncCommitteePeriod": self.epochs_per_sync_committee_period,
            "syncCommitteeSize": self.sync_committee_size,
            "forks": [
                {
                    "name": entry.fork.name.lower(),
                    "version": encode_hex(entry.version),
                    "epoch": entry.epoch,
                }
                for entry in self.forks
            ],
        }

    def _entry(self, slot: int) -> ForkEntry:
        epoch = slot // self.slots_per_epoch
        for entry in reversed(self.forks):
            if entry.epoch <= epoch:
                return entry
        raise NotVerified("a slot before the first fork with light clients")


def parse_beacon_chain(value: Json) -> BeaconChain:
    """The member `beacon` of a row of the table of networks; closed."""
    members = closed_object(value, "a beacon chain", _MEMBERS, _OPTIONAL)
    forks = []
    for position, item in enumerate(list_member(members, "forks", max_items=len(Fork))):
        with within("forks", position):
            forks.append(_parse_entry(item))
    size = integer_member({"syncCommitteeSize": SYNC_COMMITTEE_SIZE, **members}, "syncCommitteeSize")
    return BeaconChain(
        genesis_time=integer_member(members, "genesisTime"),
        genesis_validators_root=hex_member(members, "genesisValidatorsRoot", 32),
        forks=tuple(forks),
        seconds_per_slot=integer_member(members, "secondsPerSlot", minimum=1),
        slots_per_epoch=integer_member(members, "slotsPerEpoch", minimum=1),
        epochs_per_sync_committee_period=integer_member(members, "epochsPerSyncCommitteePeriod", minimum=1),
        sync_committee_size=size,
    )


def _parse_entry(value: Json) -> ForkEntry:
    members = closed_object(value, "a fork", frozenset({"name", "version", "epoch"}))
    name = text_member(members, "name", max_bytes=32)
    if name not in _NAMES:
        raise Malformed(f"expected one of: {', '.join(_NAMES)}", path=("name",))
    return ForkEntry(_NAMES[name], hex_member(members, "version", 4), integer_member(members, "epoch"))
