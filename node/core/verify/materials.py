"""What a verification needs from outside, and what it was given (STYLE.md section 5).

The engine asks an `Inquiry` for each thing at the place where it is needed. What the mode forbids, what failed and
what was not fetched yet all answer `Missing`, with a reason; what was not fetched yet is also listed, and that list is
what `needs()` returns. So the rules stand in one place only: judging and finding out what to fetch are one walk.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum, StrEnum
from typing import Final

from node.core.did.document import DidDocument
from node.core.evm.header import Header
from node.core.strict_json import JsonObject


class Mode(StrEnum):
    """What a verification may open (FORMATS.md section 10), from nothing to hosts named in documents."""

    OFFLINE = "offline"
    CHAIN = "chain"
    MIRROR = "mirror"
    FULL = "full"


class Strength(IntEnum):
    """By whose word a header is trusted, the weakest first (FORMATS.md section 8)."""

    ONE_ENDPOINT = 1
    ENDPOINTS_AGREE = 2
    CHECKPOINT = 3
    LIGHT_CLIENT = 4


@dataclass(frozen=True, slots=True)
class HeaderNeed:
    """The newest finalized header of a chain, and the hashes of its blocks at `heights`."""

    chain_id: int
    heights: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class StateNeed:
    """`slots` of the account `address`, with a proof, in the state of the block with `block_hash`.

    All are of `identity` (20 bytes): a replica answers for those identities of which it has seen every write.
    `besides` are the sources whose proofs turned out to be wrong: another one is asked.
    """

    chain_id: int
    block_hash: bytes
    address: bytes
    identity: bytes
    slots: tuple[bytes, ...]
    besides: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DocumentNeed:
    """The document of `did`, which is a DID, or an https address with a controlled identifier document."""

    did: str


@dataclass(frozen=True, slots=True)
class KeySetNeed:
    """The JSON object with the keys of a token's issuer at `url`, which is of the issuer's own origin."""

    url: str


@dataclass(frozen=True, slots=True)
class StatusListNeed:
    """The status list credential at `url`, an HTTPS URL out of a credential whose proof was verified.

    From its own host in mode `full`, in mode `mirror` a copy of it.
    """

    url: str


@dataclass(frozen=True, slots=True)
class SecondOpinionNeed:
    """Another program's word on a proof of a type that is not built here: JSON text with this one proof."""

    document: str
    proof_purpose: str


@dataclass(frozen=True, slots=True)
class TransactionNeed:
    """The transaction of that id (32 bytes), in a final block of a chain."""

    chain_id: int
    transaction_id: bytes


Need = (
    HeaderNeed | StateNeed | DocumentNeed | KeySetNeed | StatusListNeed | SecondOpinionNeed | TransactionNeed
)


@dataclass(frozen=True, slots=True)
class HeaderAnswer:
    """What `source` says is final, and the hashes of its blocks at the heights that were asked for.

    `others` are those who said something else or nothing, a clause each.
    """

    newest: Header
    hashes: Mapping[int, bytes]
    source: str
    strength: Strength
    others: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StateAnswer:
    """RLP nodes of the account's and the slots' proofs, from the endpoint named `source`. Not verified yet."""

    nodes: tuple[bytes, ...]
    source: str


@dataclass(frozen=True, slots=True)
class ReplicaAnswer:
    """Values of slots out of a replica of our own, which was proven whole at the block that was asked for."""

    slots: Mapping[bytes, int]
    source: str


@dataclass(frozen=True, slots=True)
class DocumentAnswer:
    """A DID document, or that of an https address.

    `agreed` where several independent voices gave the same, or none is needed. `versions` are the versionIds of the log
    that it was read from, of did:webvh alone.
    """

    document: DidDocument
    agreed: bool
    source: str
    versions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class KeySetAnswer:
    """What stands at the address of an issuer's keys, not read yet."""

    content: JsonObject
    source: str


@dataclass(frozen=True, slots=True)
class StatusListAnswer:
    """A status list as fetched: an object, or a token, text or the bytes of a COSE_Sign1. Not verified yet.

    `is_copy` where somebody else than the host of its URL gave it: then nothing counts that its issuer did not sign.
    """

    content: JsonObject | str | bytes
    source: str
    is_copy: bool = False


@dataclass(frozen=True, slots=True)
class SecondOpinionAnswer:
    """Whether the program `source` found the signature right."""

    verifies: bool
    source: str


@dataclass(frozen=True, slots=True)
class TransactionAnswer:
    """A transaction as JSON-RPC writes it, not verified yet; by the word of `source` in a final block of that time."""

    content: JsonObject
    block: int
    time: datetime
    source: str


Answer = (
    HeaderAnswer
    | StateAnswer
    | ReplicaAnswer
    | DocumentAnswer
    | KeySetAnswer
    | StatusListAnswer
    | SecondOpinionAnswer
    | TransactionAnswer
)


@dataclass(frozen=True, slots=True)
class Missing:
    """A thing that is not at hand, and why. `forbidden` by the mode, else it failed or was not fetched yet.

    `disputed`: it was told in more than one way, and by too few in any.
    """

    reason: str
    forbidden: bool = False
    disputed: bool = False


@dataclass(frozen=True, slots=True)
class Materials:
    """Answers so far; a failure is an answer too. `contacted` are the hosts that were asked."""

    answers: Mapping[Need, Answer | Missing] = field(default_factory=dict)
    contacted: tuple[str, ...] = ()

    @classmethod
    def none(cls) -> Materials:
        """What a verification begins with."""
        return cls()

    def extended(self, answers: Mapping[Need, Answer | Missing], contacted: tuple[str, ...]) -> Materials:
        """With more answers, and with every host contacted so far."""
        return Materials({**self.answers, **answers}, contacted)


_LEVEL: Final = {Mode.OFFLINE: 0, Mode.CHAIN: 1, Mode.MIRROR: 2, Mode.FULL: 3}
_LEVEL_OF_NEED: Final = {
    HeaderNeed: 1,
    StateNeed: 1,
    TransactionNeed: 1,
    DocumentNeed: 3,
    KeySetNeed: 3,
    StatusListNeed: 2,
}
# Each is a process of its own. Nobody's file has more proofs of old types that matter.
MAX_SECOND_OPINIONS: Final = 8
# Each is four questions to an endpoint. A presentation of as many credentials is legal.
MAX_TRANSACTIONS: Final = 64


class Inquiry:
    """One walk's questions: what is allowed, what is known, and what is still to be fetched."""

    def __init__(self, materials: Materials, mode: Mode) -> None:
        self.materials = materials
        self.mode = mode
        self.outstanding: dict[Need, None] = {}

    def header(self, need: HeaderNeed) -> HeaderAnswer | Missing:
        """The finalized header that the endpoints name."""
        answer = self._ask(need, _LEVEL_OF_NEED[HeaderNeed])
        assert isinstance(answer, HeaderAnswer | Missing)  # noqa: S101 - narrows for the type checker
        return answer

    def state(self, need: StateNeed) -> StateAnswer | ReplicaAnswer | Missing:
        """A state proof, or what a replica knows."""
        answer = self._ask(need, _LEVEL_OF_NEED[StateNeed])
        assert isinstance(answer, StateAnswer | ReplicaAnswer | Missing)  # noqa: S101
        return answer

    def document(self, need: DocumentNeed, *, on_chain: bool) -> DocumentAnswer | Missing:
        """A DID document; one that is read from a chain needs no host of the issuer's."""
        answer = self._ask(need, 1 if on_chain else _LEVEL_OF_NEED[DocumentNeed])
        assert isinstance(answer, DocumentAnswer | Missing)  # noqa: S101
        return answer

    def key_set(self, need: KeySetNeed) -> KeySetAnswer | Missing:
        """The keys of a token's issuer."""
        answer = self._ask(need, _LEVEL_OF_NEED[KeySetNeed])
        assert isinstance(answer, KeySetAnswer | Missing)  # noqa: S101
        return answer

    def status_list(self, need: StatusListNeed) -> StatusListAnswer | Missing:
        """A foreign status list."""
        answer = self._ask(need, _LEVEL_OF_NEED[StatusListNeed])
        assert isinstance(answer, StatusListAnswer | Missing)  # noqa: S101
        return answer

    def second_opinion(self, need: SecondOpinionNeed) -> SecondOpinionAnswer | Missing:
        """What another program on this machine says; nothing is opened for it, so every mode allows it."""
        if self._is_beyond(MAX_SECOND_OPINIONS, need):
            return Missing("too many others were asked for")
        answer = self._ask(need, 0)
        assert isinstance(answer, SecondOpinionAnswer | Missing)  # noqa: S101
        return answer

    def transaction(self, need: TransactionNeed) -> TransactionAnswer | Missing:
        """A transaction by its id."""
        if self._is_beyond(MAX_TRANSACTIONS, need):
            return Missing("too many others were asked for")
        answer = self._ask(need, _LEVEL_OF_NEED[TransactionNeed])
        assert isinstance(answer, TransactionAnswer | Missing)  # noqa: S101
        return answer

    def _is_beyond(self, limit: int, need: Need) -> bool:
        """Whether as many of a kind were asked for as may be."""
        kind = type(need)
        asked = {one for one in (*self.materials.answers, *self.outstanding) if type(one) is kind}
        return need not in asked and len(asked) >= limit

    def _ask(self, need: Need, level: int) -> Answer | Missing:
        if _LEVEL[self.mode] < level:
            return Missing(f"mode {self.mode} does not ask for it", forbidden=True)
        answer = self.materials.answers.get(need)
        if answer is None:
            self.outstanding[need] = None
            return Missing("it was not fetched")
        return answer
