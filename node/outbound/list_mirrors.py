"""Reading whole status lists from a chain: the mirror that an issuer published as code, and the words themselves.

Both are proven at a final header. The mirror is one answer and may be old; the words, a few hundred slots, are what a
verdict would read. For who wants all of a list at once; no verdict comes by here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from node.core.errors import Malformed, NotFound
from node.core.evm import list_mirror, registry
from node.core.evm.header import Header
from node.core.evm.keccak import keccak256
from node.core.evm.network import Network
from node.core.evm.registry import ListRecord
from node.core.evm.state_proof import ProvenSlots, prove_slots
from node.core.status.bitstring import Bitstring
from node.outbound.blame import at_fault, blaming
from node.outbound.chain import ChainClient
from node.outbound.headers import Voices

_NO_POINTER: Final = bytes(20)
_SLOTS_AT_ONCE: Final = 256
# Each slot has a path of its own below the top of the trie.
_MAX_NODES: Final = 8192
# Lists of more are read word by word through a verdict, not whole.
_MAX_WORDS: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class MirroredList:
    """A list as its mirror has it. `header` is the block at which that was proven, `source` says that it is final."""

    record: ListRecord
    bits: bytes
    header: Header
    source: str

    @property
    def entries(self) -> int:
        """How many statuses it has."""
        return 1 << self.record.log2_entries

    def values(self) -> dict[int, int]:
        """Every status that is not 0, by its zero-based index."""
        return _values(self.bits, self.entries, self.record.status_size)


class ListReader:
    """Reads lists of one identity, at one header."""

    def __init__(self, voices: Voices, network: Network, identity: bytes) -> None:
        self._voices = voices
        self._network = network
        self._identity = identity

    async def mirror(self, purpose: str, url: str) -> MirroredList:
        """The list as it was last published.

        NotFound where it was never opened or has no mirror; Unavailable where the chain cannot be asked.
        """
        newest = await self._voices.newest()
        header, list_id = newest.value, registry.list_id(purpose, url)
        slot = registry.list_slot(self._identity, list_id)
        word = (await self._words(header, (slot,)))[slot]
        record = ListRecord.from_word(word)
        if not record.mode:
            raise NotFound("the identity opened no list of this purpose and URL")
        if record.pointer == _NO_POINTER:
            raise NotFound("this list has no mirror")
        account = await self._proven(header, record.pointer, ())

        async def ask(client: ChainClient) -> bytes:
            code = await client.code(record.pointer, header.hash)
            if keccak256(code) != account.code_hash:
                raise at_fault(client.host, "it gave other code")
            return code

        if account.account is None:
            raise NotFound("nothing stands where the list points: its mirror is on its way, or went lost")
        code, _ = await self._voices.read(ask)
        bits = list_mirror.read_mirror(code, record.log2_entries, record.status_size)
        return MirroredList(record, bits, header, newest.in_full)

    async def differences(self, purpose: str, url: str, found: MirroredList) -> dict[int, tuple[int, int]]:
        """Where words and mirror differ at the mirror's header: by index, the mirror's value and that of the words."""
        list_id = registry.list_id(purpose, url)
        count = -(-found.entries * found.record.status_size // 256)
        if count > _MAX_WORDS:
            raise Malformed(f"a list of more than {_MAX_WORDS:,} words")
        slots = [registry.status_slot(self._identity, list_id, number) for number in range(count)]
        words = b""
        for at in range(0, count, _SLOTS_AT_ONCE):
            some = tuple(slots[at : at + _SLOTS_AT_ONCE])
            values = await self._words(found.header, some)
            words += b"".join(values[slot].to_bytes(32, "big") for slot in some)
        told, stands = found.values(), _values(words, found.entries, found.record.status_size)
        return {
            index: (told.get(index, 0), stands.get(index, 0))
            for index in sorted(told.keys() | stands.keys())
            if told.get(index, 0) != stands.get(index, 0)
        }

    async def _words(self, header: Header, slots: tuple[bytes, ...]) -> dict[bytes, int]:
        proven = await self._proven(header, self._network.credential_registry, slots)
        proven.require_code(self._network.code_hash)
        return dict(proven.values)

    async def _proven(self, header: Header, address: bytes, slots: tuple[bytes, ...]) -> ProvenSlots:
        async def ask(client: ChainClient) -> ProvenSlots:
            nodes = await client.proof_nodes(address, slots, header.hash)
            with blaming(client.host):
                return prove_slots(header, nodes, address, slots, max_nodes=_MAX_NODES)

        return (await self._voices.read(ask))[0]


def _values(data: bytes, entries: int, size: int) -> dict[int, int]:
    bits, per_byte = Bitstring(data), 8 // size
    found = {}
    for position, byte in enumerate(data):
        if byte:
            for index in range(position * per_byte, min((position + 1) * per_byte, entries)):
                if value := bits.get(index, size):
                    found[index] = value
    return found
