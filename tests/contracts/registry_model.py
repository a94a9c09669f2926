"""CredentialRegistry in plain Python: what FORMATS.md section 6 says, written a second time for the tests.

Records are kept as Python values and packed into words only when asked, so that a slip in the contract's shifting
is not repeated here. Addresses are 20-byte strings. A call returns the events that it emits, or raises `Refused`
with the contract's own sentence.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from Crypto.Hash import keccak

ANCHOR, REVOKE, SUSPEND = 1, 2, 4
DEAD = bytes.fromhex("000000000000000000000000000000000000dead")

Event = tuple[str, dict[str, object]]


class Refused(Exception):
    """The contract reverts with this reason."""


def keccak256(data: bytes) -> bytes:
    return keccak.new(digest_bits=256, data=data).digest()


def slot(base: int, *keys: bytes | int) -> int:
    """The slot of a mapping's entry: keccak256(base32 ‖ key32), once per level."""
    place = base.to_bytes(32, "big")
    for key in keys:
        word = key.to_bytes(32, "big") if isinstance(key, int) else key.rjust(32, b"\x00")
        place = keccak256(place + word)
    return int.from_bytes(place, "big")


def pack(*parts: tuple[int, int]) -> int:
    """A word of (value, bits), the lowest first."""
    word = shift = 0
    for value, bits in parts:
        assert 0 <= value < 1 << bits
        word |= value << shift
        shift += bits
    return word


@dataclass
class Key:
    valid_from: int
    purposes: int
    until: int = 0
    since: int = 0
    declared: int = 0


@dataclass
class StatusList:
    mode: int
    log2_entries: int
    status_size: int
    opened: int
    sequence: int = 0
    pointer: bytes = bytes(20)

    @property
    def role(self) -> int:
        return {1: REVOKE, 2: SUSPEND}[self.mode]


@dataclass
class RegistryModel:
    block: int = 0
    time: int = 0
    owners: dict[bytes, bytes] = field(default_factory=dict)
    heads: dict[bytes, int] = field(default_factory=dict)
    anchors: dict[tuple[bytes, bytes], tuple[int, int, int]] = field(default_factory=dict)
    keys: dict[tuple[bytes, bytes], Key] = field(default_factory=dict)
    lists: dict[tuple[bytes, bytes], StatusList] = field(default_factory=dict)
    status: dict[tuple[bytes, bytes, int], int] = field(default_factory=dict)
    writers: dict[tuple[bytes, bytes, bytes], tuple[int, int]] = field(default_factory=dict)
    closed: dict[bytes, int] = field(default_factory=dict)

    def words(self) -> dict[int, int]:
        """Every slot that holds something, packed as the formats say."""
        found = {slot(0, identity): n for identity, n in self.heads.items()}
        for (identity, commitment), (block, time, n) in self.anchors.items():
            found[slot(1, identity, commitment)] = pack((block, 48), (time, 48), (n, 48))
        for (identity, digest), key in self.keys.items():
            blocks = [(key.valid_from, 48), (key.until, 48), (key.since, 48), (key.declared, 48)]
            found[slot(2, identity, digest)] = pack(*blocks, (key.purposes, 16))
        for (identity, name), record in self.lists.items():
            found[slot(3, identity, name)] = pack(
                (record.mode, 8),
                (record.log2_entries, 8),
                (record.status_size, 8),
                (record.opened, 48),
                (record.sequence, 24),
                (int.from_bytes(record.pointer, "big"), 160),
            )
        found |= {slot(4, *place): bits for place, bits in self.status.items()}
        found |= {
            slot(5, *place): pack((roles, 16), (until, 48)) for place, (roles, until) in self.writers.items()
        }
        found |= {slot(6, identity): block for identity, block in self.closed.items()}
        return found

    def owner(self, identity: bytes) -> bytes:
        return self.owners.get(identity, identity)

    def anchor(self, sender: bytes, identity: bytes, commitment: bytes) -> list[Event]:
        if (identity, commitment) in self.anchors:
            return []
        self._need_role(sender, identity, ANCHOR)
        self._need_open(identity)
        if not any(commitment):
            raise Refused("empty commitment")
        n = self._count(identity)
        self.anchors[identity, commitment] = (self.block, self.time, n)
        return [("Anchored", {"identity": identity, "commitment": commitment, "n": n})]

    def add_key(self, sender: bytes, identity: bytes, key: bytes, purposes: int) -> list[Event]:
        self._need_owner(sender, identity)
        self._need_open(identity)
        if not key:
            raise Refused("empty key")
        if not purposes:
            raise Refused("key without purpose")
        digest = keccak256(key)
        if (identity, digest) in self.keys:
            raise Refused("key was added before")
        n = self._count(identity)
        self.keys[identity, digest] = Key(self.block, purposes)
        members = {"identity": identity, "key_hash": digest, "purposes": purposes, "key": key, "n": n}
        return [("KeyAdded", members)]

    def retire_key(self, sender: bytes, identity: bytes, digest: bytes) -> list[Event]:
        self._need_owner(sender, identity)
        key = self._need_key(identity, digest)
        if key.until:
            raise Refused("key has ended")
        key.until = self.block
        return [("KeyRetired", {"identity": identity, "key_hash": digest, "n": self._count(identity)})]

    def compromise_key(self, sender: bytes, identity: bytes, digest: bytes, since: int) -> list[Event]:
        self._need_owner(sender, identity)
        key = self._need_key(identity, digest)
        if since < key.valid_from:
            raise Refused("compromise before the key")
        if since > self.block:
            raise Refused("compromise in the future")
        if key.since and since >= key.since:
            raise Refused("compromise only moves earlier")
        key.since, key.declared, key.until = since, self.block, key.until or self.block
        n = self._count(identity)
        return [("KeyCompromised", {"identity": identity, "key_hash": digest, "since": since, "n": n})]

    def open_list(
        self, sender: bytes, identity: bytes, name: bytes, mode: int, log2_entries: int, status_size: int
    ) -> list[Event]:
        if mode not in (1, 2):
            raise Refused("unknown mode")
        record = StatusList(mode, log2_entries, status_size, self.block)
        self._need_role(sender, identity, record.role)
        self._need_open(identity)
        if log2_entries < 17:
            raise Refused("list too short")
        if log2_entries > 24:
            raise Refused("list too long")
        if status_size not in (1, 2, 4, 8):
            raise Refused("unknown status size")
        if (identity, name) in self.lists:
            raise Refused("list was opened before")
        self.lists[identity, name] = record
        members = {"identity": identity, "list_id": name, "mode": mode, "log2_entries": log2_entries}
        return [("ListOpened", members | {"status_size": status_size, "n": self._count(identity)})]

    def publish_list(self, sender: bytes, identity: bytes, name: bytes, pointer: bytes) -> list[Event]:
        record = self._need_list(identity, name)
        self._need_role(sender, identity, record.role)
        if record.sequence == 2**24 - 1:
            raise Refused("sequence is used up")
        record.sequence, record.pointer = record.sequence + 1, pointer
        members = {"identity": identity, "list_id": name, "sequence": record.sequence, "pointer": pointer}
        return [("ListPublished", members | {"n": self._count(identity)})]

    def set_status(
        self, sender: bytes, identity: bytes, name: bytes, changes: list[tuple[int, int, int]]
    ) -> list[Event]:
        record = self._need_list(identity, name)
        self._need_role(sender, identity, record.role)
        for word, set_bits, clear_bits in changes:
            if word >= 2**record.log2_entries * record.status_size // 256:
                raise Refused("word outside the list")
            if record.mode == 1 and clear_bits:
                raise Refused("bits of this list stay set")
            if set_bits & clear_bits:
                raise Refused("bit both set and cleared")
        events: list[Event] = []
        for word, set_bits, clear_bits in changes:
            place = (identity, name, word)
            old = self.status.get(place, 0)
            new = old
            for bit in range(256):
                if set_bits >> bit & 1:
                    new |= 1 << bit
                elif clear_bits >> bit & 1:
                    new &= ~(1 << bit)
            if new != old:
                self.status[place] = new
                members = {"identity": identity, "list_id": name, "word": word, "bits": new}
                events.append(("StatusChanged", members | {"n": self._count(identity)}))
        return events

    def set_status_word(
        self, sender: bytes, identity: bytes, name: bytes, change: tuple[int, int, int]
    ) -> list[Event]:
        return self.set_status(sender, identity, name, [change])

    def set_writer(
        self, sender: bytes, identity: bytes, writer: bytes, roles: int, until: int
    ) -> list[Event]:
        if roles > 7:
            raise Refused("unknown role")
        if not roles and until:
            raise Refused("no roles, but a time")
        if roles and until <= self.time:
            raise Refused("roles that have ended")
        self._need_owner(sender, identity)
        self.writers[identity, sender, writer] = (roles, until)
        members = {"identity": identity, "owner": sender, "writer": writer, "roles": roles, "until": until}
        return [("WriterSet", members | {"n": self._count(identity)})]

    def close(self, sender: bytes, identity: bytes) -> list[Event]:
        self._need_owner(sender, identity)
        self._need_open(identity)
        self.closed[identity] = self.block
        return [("IdentityClosed", {"identity": identity, "n": self._count(identity)})]

    def _count(self, identity: bytes) -> int:
        self.heads[identity] = self.heads.get(identity, 0) + 1
        return self.heads[identity]

    def _need_owner(self, sender: bytes, identity: bytes) -> None:
        if sender != self.owner(identity):
            raise Refused("caller is not the owner")

    def _need_role(self, sender: bytes, identity: bytes, role: int) -> None:
        owner = self.owner(identity)
        if sender == owner:
            return
        roles, until = self.writers.get((identity, owner, sender), (0, 0))
        if not roles & role:
            raise Refused("caller has not the role")
        if self.time >= until:
            raise Refused("role of the caller has ended")

    def _need_open(self, identity: bytes) -> None:
        if identity in self.closed:
            raise Refused("identity is closed")

    def _need_key(self, identity: bytes, digest: bytes) -> Key:
        if (identity, digest) not in self.keys:
            raise Refused("unknown key")
        return self.keys[identity, digest]

    def _need_list(self, identity: bytes, name: bytes) -> StatusList:
        if (identity, name) not in self.lists:
            raise Refused("list is not open")
        return self.lists[identity, name]
