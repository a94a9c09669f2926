"""SimpleSerialize (consensus-specs, ssz/simple-serialize.md): what a light client needs of it.

A type reads a value from the JSON of the Beacon API (integers in decimal text, bytes in hex with 0x, which some servers
write with capitals), writes it back, and merkleizes it to its 32-byte `hash_tree_root`. The serialised form itself is
not needed: nothing here is signed or sent as such. Reading is strict, but for members that are not known: they are the
server's own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from typing import Any, Final, Generic, Protocol, TypeVar

from node.core.encoding import decode_hex, encode_hex
from node.core.errors import Malformed, NotVerified
from node.core.members import hex_value, within
from node.core.strict_json import Json, JsonObject

CHUNK_BYTES: Final = 32
MAX_BRANCH: Final = 32  # no generalized index of a beacon state is nearly as deep
_ZERO_CHUNK: Final = bytes(CHUNK_BYTES)
_DECIMAL: Final = re.compile(r"(?:0|[1-9][0-9]{0,77})\Z")

T = TypeVar("T")
T_contra = TypeVar("T_contra", contravariant=True)
T_co = TypeVar("T_co", covariant=True)


class Type(Protocol[T]):
    """A type of SSZ."""

    def parse(self, value: Json) -> T:
        """The value that the Beacon API writes so; Malformed otherwise."""
        ...

    def to_json(self, value: T) -> Json:
        """Inverse of `parse`."""
        ...

    def root(self, value: T) -> bytes:
        """The value's `hash_tree_root`."""
        ...

    def blank(self) -> T:
        """The type's default value."""
        ...


class Uint:
    """`uint64` and `uint256`: little-endian in a chunk."""

    def __init__(self, bits: int) -> None:
        self._limit = 1 << bits

    def parse(self, value: Json) -> int:
        """A decimal text without leading zeros."""
        if not isinstance(value, str) or not _DECIMAL.match(value) or (number := int(value)) >= self._limit:
            raise Malformed("expected an unsigned integer as decimal text")
        return number

    def to_json(self, value: int) -> str:
        """As `parse` reads it."""
        return str(value)

    def root(self, value: int) -> bytes:
        """The chunk."""
        return value.to_bytes(CHUNK_BYTES, "little")

    def blank(self) -> int:
        """Zero."""
        return 0


class ByteVector:
    """`Vector[byte, length]`; a `Bitvector` is one too, its bits little-endian in each byte."""

    def __init__(self, length: int) -> None:
        self._length = length

    def parse(self, value: Json) -> bytes:
        """Exactly `length` bytes."""
        return hex_value(_lower(value), self._length)

    def to_json(self, value: bytes) -> str:
        """As `parse` reads it."""
        return encode_hex(value)

    def root(self, value: bytes) -> bytes:
        """Of its chunks, the last filled up with zeros."""
        return merkleize(_chunks(value))

    def blank(self) -> bytes:
        """Zeros."""
        return bytes(self._length)


class ByteList:
    """`List[byte, limit]`."""

    def __init__(self, limit: int) -> None:
        self._limit = limit

    def parse(self, value: Json) -> bytes:
        """At most `limit` bytes."""
        if not isinstance(value, str) or len(value) > 2 + 2 * self._limit:
            raise Malformed(f"expected at most {self._limit} bytes of hex with 0x")
        return decode_hex(_lower(value))

    def to_json(self, value: bytes) -> str:
        """As `parse` reads it."""
        return encode_hex(value)

    def root(self, value: bytes) -> bytes:
        """Of as many chunks as the limit has, and the length mixed in."""
        limit = -(-self._limit // CHUNK_BYTES)
        chunks = _chunks(value)
        padded = merkleize(chunks + [_ZERO_CHUNK] * (limit - len(chunks)))
        return hash_pair(padded, len(value).to_bytes(CHUNK_BYTES, "little"))

    def blank(self) -> bytes:
        """No bytes."""
        return b""


class Vector(Generic[T]):
    """`Vector[item, length]` of composite items."""

    def __init__(self, item: Type[T], length: int) -> None:
        self._item = item
        self._length = length

    def parse(self, value: Json) -> tuple[T, ...]:
        """Exactly `length` items."""
        if not isinstance(value, list) or len(value) != self._length:
            raise Malformed(f"expected a list of {self._length} items")
        return tuple(map(self._item.parse, value))

    def to_json(self, value: Sequence[T]) -> list[Json]:
        """As `parse` reads it."""
        return list(map(self._item.to_json, value))

    def root(self, value: Sequence[T]) -> bytes:
        """Of the items' roots."""
        return merkleize(list(map(self._item.root, value)))

    def blank(self) -> tuple[T, ...]:
        """Default items."""
        return (self._item.blank(),) * self._length


class Container(Generic[T]):
    """A container: `make` takes its fields by their names, and its values have them as attributes."""

    def __init__(self, make: Callable[..., T], fields: Mapping[str, Type[Any]]) -> None:
        self._make = make
        self._fields = fields

    def parse(self, value: Json) -> T:
        """An object with every field."""
        if not isinstance(value, dict):
            raise Malformed("expected a JSON object")
        found = {}
        for name, kind in self._fields.items():
            with within(name):
                if name not in value:
                    raise Malformed("a field is missing")
                found[name] = kind.parse(value[name])
        return self._make(**found)

    def to_json(self, value: T) -> JsonObject:
        """As `parse` reads it."""
        return {name: kind.to_json(getattr(value, name)) for name, kind in self._fields.items()}

    def root(self, value: T) -> bytes:
        """Of the fields' roots, in their order."""
        return merkleize([kind.root(getattr(value, name)) for name, kind in self._fields.items()])

    def blank(self) -> T:
        """Default fields."""
        return self._make(**{name: kind.blank() for name, kind in self._fields.items()})


class Branch:
    """A Merkle branch, the sibling of the leaf first. It travels beside what it proves and has no root here."""

    def parse(self, value: Json) -> tuple[bytes, ...]:
        """At most 32 chunks."""
        if not isinstance(value, list) or len(value) > MAX_BRANCH:
            raise Malformed(f"expected a list of at most {MAX_BRANCH} digests")
        return tuple(hex_value(_lower(item), CHUNK_BYTES) for item in value)

    def to_json(self, value: Sequence[bytes]) -> list[str]:
        """As `parse` reads it."""
        return list(map(encode_hex, value))

    def root(self, value: Sequence[bytes]) -> bytes:
        """Nothing that is hashed holds a branch."""
        raise NotImplementedError

    def blank(self) -> tuple[bytes, ...]:
        """No siblings."""
        return ()


def _lower(value: Json) -> Json:
    # Lodestar writes addresses with the capitals of EIP-55.
    return value.lower() if isinstance(value, str) else value


def hash_pair(left: bytes, right: bytes) -> bytes:
    """The parent of two nodes."""
    return sha256(left + right).digest()


def merkleize(chunks: Sequence[bytes]) -> bytes:
    """The root over `chunks`, filled up with zero chunks to a power of two."""
    layer, zero = list(chunks) or [_ZERO_CHUNK], _ZERO_CHUNK
    while len(layer) > 1:
        if len(layer) % 2:
            layer.append(zero)
        layer = [hash_pair(*layer[at : at + 2]) for at in range(0, len(layer), 2)]
        zero = hash_pair(zero, zero)
    return layer[0]


def _chunks(data: bytes) -> list[bytes]:
    return [data[at : at + CHUNK_BYTES].ljust(CHUNK_BYTES, b"\0") for at in range(0, len(data), CHUNK_BYTES)]


def check_branch(leaf: bytes, branch: Sequence[bytes], gindex: int, root: bytes, *, what: str) -> None:
    """Raise NotVerified unless `branch` leads from `leaf` at the generalized index `gindex` to `root`.

    `is_valid_normalized_merkle_branch`: a branch written for a later fork begins with zeros in place of the levels
    that the tree did not have yet. `what` names the leaf in the error.
    """
    depth = gindex.bit_length() - 1
    extra = len(branch) - depth
    if extra < 0 or any(map(any, branch[:extra])):
        raise NotVerified(f"the branch of the {what} has not the {depth} levels of its tree")
    node = leaf
    for sibling in branch[extra:]:
        node = hash_pair(sibling, node) if gindex % 2 else hash_pair(node, sibling)
        gindex //= 2
    if node != root:
        raise NotVerified(f"the branch of the {what} does not lead to its root")
