"""Every write of an identity in the CredentialRegistry: none missing, and the storage words that they left.

The contract counts the writes of an identity, and each event carries its number: whoever has 1 to `heads[identity]` has
all (FORMATS.md section 6). That the events say what was written follows where the words that they leave are those of a
proven state. Nothing is asked here; `node/services/audit.py` asks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from node.core import problem
from node.core.errors import NotVerified
from node.core.evm import registry
from node.core.evm.events import RegistryEvent, slot_of, word_after

_INCOMPLETE = problem.ours("history")
_SHOWN_GAPS = 5


@dataclass(frozen=True, slots=True)
class History:
    """All writes of `identity` (20 bytes) up to a block, the first first, and what its slots hold after them."""

    identity: bytes
    events: tuple[RegistryEvent, ...]
    words: Mapping[bytes, int]

    def latest(self, slot: bytes) -> int:
        """What a slot of the identity holds."""
        return self.words.get(slot, 0)

    def check_words(self, proven: Mapping[bytes, int]) -> None:
        """NotVerified unless the proven state holds just what the events say."""
        wrong = [slot for slot, word in self.words.items() if proven.get(slot) != word]
        if wrong:
            raise NotVerified(f"{len(wrong)} storage words are others than the events say", type=_INCOMPLETE)


def read_history(
    identity: bytes, head: int, events: Iterable[RegistryEvent], times: Mapping[int, int]
) -> History:
    """The history of an identity whose proven counter is `head`; `times` are Unix seconds by block.

    NotVerified where a write is missing or told twice, belongs to somebody else, or could not have followed those
    before it.
    """
    ordered = sorted(events, key=lambda event: event.n)
    numbers = [event.n for event in ordered]
    if numbers != list(range(1, head + 1)):
        raise NotVerified(_lack(head, numbers), type=_INCOMPLETE)
    words: dict[bytes, int] = {registry.heads_slot(identity): head, registry.closed_slot(identity): 0}
    place = (-1, -1)
    for event in ordered:
        if event.identity != identity or event.place <= place:
            raise NotVerified(f"write {event.n} is not where it should be", type=_INCOMPLETE)
        place, slot = event.place, slot_of(event)
        words[slot] = word_after(event, words.get(slot, 0), times[event.block_number])
    return History(identity, tuple(ordered), words)


def _lack(head: int, numbers: Sequence[int]) -> str:
    if len(set(numbers)) != len(numbers):
        return "a write is told twice"
    known = set(numbers)
    if len(known) >= head:
        return f"writes beyond the {head} that there are"
    missing = [number for number in range(1, head + 1) if number not in known]
    shown = ", ".join(map(str, missing[:_SHOWN_GAPS])) + (" …" if len(missing) > _SHOWN_GAPS else "")
    return f"{len(missing)} of {head} writes are withheld: {shown}"
