"""The storage of the CredentialRegistry, seen from outside: which slot holds what, and what its bits mean.

FORMATS.md section 6. Vyper's rule: the slot of a mapping's member is keccak256(base ‖ key), both 32 bytes,
once for each level; addresses are padded on the left. Slots are 32 bytes; identities, owners and writers are
20-byte addresses; `list` digests and commitments are 32 bytes. The lowest bit of a word is bit 0.

Also here: EIP-2935's history contract, and the CREATE2 rule by which the registry's address follows from its
code. Whether a slot's value is true is for `state_proof.py` to say; what it means for a credential, for the
verification engine.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntFlag
from hashlib import sha256
from typing import Final

from node.core import problem
from node.core.errors import Malformed
from node.core.evm.keccak import keccak256

# The order in which the contract declares its storage.
_HEADS: Final = bytes(32)
_ANCHORS: Final = (1).to_bytes(32, "big")
_KEYS: Final = (2).to_bytes(32, "big")
_LISTS: Final = (3).to_bytes(32, "big")
_STATUS: Final = (4).to_bytes(32, "big")
_WRITERS: Final = (5).to_bytes(32, "big")
_CLOSED: Final = (6).to_bytes(32, "big")

MODE_OR_ONLY: Final = 1
MODE_SETTABLE: Final = 2
# The mode that the verifier requires of a list, by its purpose; every other purpose is unknown.
MODES: Final = {
    "revocation": MODE_OR_ONLY,
    "refresh": MODE_OR_ONLY,
    "suspension": MODE_SETTABLE,
    "message": MODE_SETTABLE,
}
MAX_LOG2_ENTRIES: Final = 24
STATUS_SIZES: Final = (1, 2, 4, 8)  # others would straddle two words
MAX_LIST_URL_BYTES: Final = 2048

HISTORY_ADDRESS: Final = bytes.fromhex("0000f90827f1c53a10cb7a02335b175320002935")
HISTORY_BLOCKS: Final = 8191
CREATE2_DEPLOYER: Final = bytes.fromhex("4e59b44847b379578588920ca78fbf26c0b4956c")


class KeyPurpose(IntFlag):
    """Bits 192 to 207 of a key slot."""

    ASSERTION = 1
    STATUS_LIST = 2
    BBS = 4


class WriterRole(IntFlag):
    """What a writer may do for an identity, besides its owner."""

    ANCHOR = 1
    REVOKE = 2
    SUSPEND = 4


@dataclass(frozen=True, slots=True)
class AnchorRecord:
    """`anchors[identity][commitment]`: written once, in `block`, as the identity's write number `n`."""

    block: int
    time: int  # seconds since 1970
    n: int  # counts from 1

    @classmethod
    def from_word(cls, word: int) -> AnchorRecord:
        """The record; of a slot of zero `block` is 0: this commitment was not anchored."""
        _check_rest(word >> 144)
        return cls(_bits(word, 0, 48), _bits(word, 48, 48), _bits(word, 96, 48))


@dataclass(frozen=True, slots=True)
class KeyWindow:
    """`keys[identity][key]`: block numbers, of which zero means never (but for `valid_from`)."""

    valid_from: int
    until: int
    compromised_since: int
    declared: int  # block of the last declaration of compromise
    purposes: KeyPurpose

    @classmethod
    def from_word(cls, word: int) -> KeyWindow:
        """The window; of a slot of zero `valid_from` is 0: this key was never registered."""
        _check_rest(word >> 208)
        return cls(
            _bits(word, 0, 48),
            _bits(word, 48, 48),
            _bits(word, 96, 48),
            _bits(word, 144, 48),
            KeyPurpose(_bits(word, 192, 16)),
        )


@dataclass(frozen=True, slots=True)
class ListRecord:
    """`lists[identity][list]`: opened once; only sequence and pointer (a published mirror) change."""

    mode: int
    log2_entries: int
    status_size: int
    opened: int  # block
    sequence: int
    pointer: bytes

    @classmethod
    def from_word(cls, word: int) -> ListRecord:
        """The record; of a slot of zero `mode` is 0: no such list was opened."""
        return cls(
            _bits(word, 0, 8),
            _bits(word, 8, 8),
            _bits(word, 16, 8),
            _bits(word, 24, 48),
            _bits(word, 72, 24),
            _bits(word, 96, 160).to_bytes(20, "big"),
        )


@dataclass(frozen=True, slots=True)
class WriterRecord:
    """`writers[identity][owner][writer]`: the roles of a writer, and the time at which they end."""

    roles: WriterRole
    until: int  # seconds since 1970; the roles hold before it

    @classmethod
    def from_word(cls, word: int) -> WriterRecord:
        """The record; of a slot of zero both are 0: no writer."""
        _check_rest(word >> 64)
        return cls(WriterRole(_bits(word, 0, 16)), _bits(word, 16, 48))


def _bits(word: int, lowest: int, count: int) -> int:
    return word >> lowest & (1 << count) - 1


def _check_rest(rest: int) -> None:
    # The contract writes zeros there: a word that differs was not written by it.
    if rest:
        raise Malformed("a registry slot has bits that the registry never sets")


def heads_slot(identity: bytes) -> bytes:
    """Slot of `heads[identity]`, the counter of all its writes."""
    return _member(_HEADS, _address(identity))


def anchor_slot(identity: bytes, commitment: bytes) -> bytes:
    """Slot of `anchors[identity][commitment]`."""
    return _member(_member(_ANCHORS, _address(identity)), _word(commitment))


def key_slot(identity: bytes, multicodec_bytes: bytes) -> bytes:
    """Slot of a key's window; `multicodec_bytes` is the prefix and the raw public key, as in a Multikey."""
    return key_hash_slot(identity, keccak256(multicodec_bytes))


def key_hash_slot(identity: bytes, key_hash: bytes) -> bytes:
    """`key_slot` by the Keccak-256 of the key, as events name it."""
    return _member(_member(_KEYS, _address(identity)), _word(key_hash))


def list_slot(identity: bytes, list_digest: bytes) -> bytes:
    """Slot of `lists[identity][list]`; `list_digest` is what `list_id` gives."""
    return _member(_member(_LISTS, _address(identity)), _word(list_digest))


def status_slot(identity: bytes, list_digest: bytes, word: int) -> bytes:
    """Slot of one status word; `word` is zero-based, as `status_word` counts."""
    words = _member(_member(_STATUS, _address(identity)), _word(list_digest))
    return _member(words, word.to_bytes(32, "big"))


def writer_slot(identity: bytes, owner: bytes, writer: bytes) -> bytes:
    """Slot of a writer's roles, which hold while `owner` owns the identity."""
    of_owner = _member(_member(_WRITERS, _address(identity)), _address(owner))
    return _member(of_owner, _address(writer))


def closed_slot(identity: bytes) -> bytes:
    """Slot of the block in which the identity was closed; zero while it is open."""
    return _member(_CLOSED, _address(identity))


def _member(slot: bytes, key: bytes) -> bytes:
    return keccak256(slot + key)


def _address(address: bytes) -> bytes:
    if len(address) != 20:
        raise Malformed(f"an address has 20 bytes, got {len(address)}")
    return bytes(12) + address


def _word(key: bytes) -> bytes:
    if len(key) != 32:
        raise Malformed(f"expected a digest of 32 bytes, got {len(key)}")
    return key


def list_id(purpose: str, url: str) -> bytes:
    """The registry's name of a status list: SHA-256(0x03 ‖ length of purpose ‖ purpose ‖ URL).

    `url` is `statusListCredential` exactly as signed, 1 to 2,048 bytes of UTF-8.
    """
    try:
        purpose_bytes, url_bytes = purpose.encode("utf-8"), url.encode("utf-8")
    except UnicodeEncodeError as error:
        raise Malformed("a status list's purpose or URL is not Unicode text") from error
    if not 1 <= len(purpose_bytes) <= 255:
        raise Malformed("a status purpose has 1 to 255 bytes")
    if not 1 <= len(url_bytes) <= MAX_LIST_URL_BYTES:
        raise Malformed(f"the URL of a status list has 1 to {MAX_LIST_URL_BYTES:,} bytes")
    return sha256(b"\x03" + bytes([len(purpose_bytes)]) + purpose_bytes + url_bytes).digest()


def status_word(index: int, status_size: int = 1) -> int:
    """The zero-based word that holds entry `index` (zero-based) of `status_size` bits."""
    return _bit_position(index, status_size) >> 8


def status_value(word: int, index: int, status_size: int = 1) -> int:
    """The value of entry `index` in `word`, the content of the slot that `status_word` names.

    Entry 0 is in the highest bits, so a word's big-endian bytes are those of the W3C bitstring.
    """
    position = _bit_position(index, status_size)
    return word >> 256 - status_size - (position & 255) & (1 << status_size) - 1


def _bit_position(index: int, status_size: int) -> int:
    if status_size not in STATUS_SIZES:
        raise Malformed(f"a status size of {status_size} bits: expected 1, 2, 4 or 8")
    if not 0 <= index < 1 << MAX_LOG2_ENTRIES:
        raise Malformed("a status list index outside of every list", type=problem.RANGE_ERROR)
    return index * status_size


def history_slot(number: int) -> bytes:
    """Slot of the history contract (EIP-2935) that holds the hash of block `number` for 8,191 blocks."""
    return (number % HISTORY_BLOCKS).to_bytes(32, "big")


def create2_address(salt: bytes, initcode: bytes) -> bytes:
    """The address at which the usual deployer puts `initcode` (constructor arguments included), EIP-1014."""
    return keccak256(b"\xff" + CREATE2_DEPLOYER + _word(salt) + keccak256(initcode))[12:]
