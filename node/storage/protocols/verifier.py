"""What a verifier keeps: nonces (the issuer's c_nonces too), presentation requests, replicas, findings of domains."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from node.core.verify.domains import DomainLink


class NoncePurpose(StrEnum):
    """Where a single-use value belongs; one made for one purpose is unknown to the others."""

    C_NONCE = "c_nonce"
    CHALLENGE = "challenge"


class NonceUse(StrEnum):
    """What became of a presented value."""

    FRESH = "fresh"
    USED = "used"
    EXPIRED = "expired"
    UNKNOWN = "unknown"


class Nonces(Protocol):
    """Single-use values with an end: c_nonces of the issuer, challenges of the verifier."""

    async def add(self, purpose: NoncePurpose, nonce_hash: bytes, expires_at: datetime) -> None:
        """Record a value that was handed out."""
        ...

    async def use(self, purpose: NoncePurpose, nonce_hash: bytes, now: datetime) -> NonceUse:
        """Use a value up: FRESH once and never again."""
        ...

    async def count(self, purpose: NoncePurpose, now: datetime) -> int:
        """How many are out and neither used nor expired."""
        ...

    async def trim(self, purpose: NoncePurpose, most: int) -> int:
        """Forget all but the `most` that end last, and what ends with the first of those forgotten; how many."""
        ...

    async def purge(self, before: datetime) -> int:
        """Forget what expired before a time."""
        ...


@dataclass(frozen=True, slots=True)
class PresentationRequest:
    """An OpenID4VP request and, once answered, its report.

    `id_hash` is of the random id by which the verifier's own session asks for the result, another than
    `state`.
    """

    id_hash: bytes
    state_hash: bytes
    nonce: str  # public: it stands in the request that anybody may fetch
    request: bytes  # the authorization request as JSON
    created_at: datetime
    expires_at: datetime
    taken_at: datetime | None
    report: bytes | None
    response_code_hash: bytes | None
    answered_at: datetime | None


class PresentationRequests(Protocol):
    """OpenID4VP requests of the verifier; each is answered at most once."""

    async def add(self, request: PresentationRequest) -> None:
        """Record a request before it is shown."""
        ...

    async def load(self, id_hash: bytes) -> PresentationRequest | None:
        """By the id of the result."""
        ...

    async def find_by_state(self, state_hash: bytes) -> PresentationRequest | None:
        """By the state that the wallet returns."""
        ...

    async def take(self, state_hash: bytes, now: datetime) -> tuple[NonceUse, PresentationRequest | None]:
        """Begin to answer a request. Only the first answer gets it: its nonce is used up even if it fails."""
        ...

    async def record_report(
        self, id_hash: bytes, report: bytes, response_code_hash: bytes | None, now: datetime
    ) -> None:
        """Keep the result of a request that was taken; Conflict where it has one."""
        ...

    async def count(self, now: datetime) -> int:
        """How many wait for an answer."""
        ...

    async def purge(self, before: datetime) -> int:
        """Forget requests, reports included, that expired before a time."""
        ...


@dataclass(frozen=True, slots=True)
class ReplicaHead:
    """How far the replica of a chain goes.

    `followed` is the last block whose events are in its words, -1 before the first. `proven` is the number of the
    newest header to which the words were held, None before the first; it answers only where that is `followed`.
    `fault` says what is wrong with all of it.
    """

    chain_id: int
    genesis: bytes
    registry: bytes
    followed: int
    proven: int | None
    fault: str | None


@dataclass(frozen=True, slots=True)
class ReplicaHeader:
    """A trusted block header at which the replica was compared with the chain.

    `source` and `strength` (`core.verify.materials.Strength`) say by whose word it is trusted. `is_whole`: the words
    are all that the registry holds, proven by its storage root. `is_sound`: nothing was found to be wrong.
    """

    number: int
    hash: bytes
    raw: bytes
    source: str
    strength: int
    is_whole: bool
    is_sound: bool


@dataclass(frozen=True, slots=True)
class ReplicaWrite:
    """What a block changed a word from, and to; `path` is the Keccak-256 of `slot`."""

    block_number: int
    slot: bytes
    path: bytes
    identity: bytes
    before: int
    after: int


@dataclass(frozen=True, slots=True)
class ReplicaIdentity:
    """An identity that has written, or was asked for.

    `proven` is the number of the header at which its counter and words were found to be right by themselves, where
    the whole could not be; `fault` what was wrong there. `history` are its ERC-1056 events as JSON, complete as of
    the header `history_number`; `wants_history` once somebody asked for its document.
    """

    identity: bytes
    proven: int | None = None
    fault: str | None = None
    wants_history: bool = False
    history: bytes | None = None
    history_number: int | None = None
    history_agreed: bool = False


class Replica(Protocol):
    """Words of the registry of each chain that is followed, with what is needed to go back some blocks."""

    async def head(self, chain_id: int) -> ReplicaHead | None:
        """How far it goes; None where the chain is not followed."""
        ...

    async def save_head(self, head: ReplicaHead) -> None:
        """Record how far it goes."""
        ...

    async def forget(self, chain_id: int) -> None:
        """Everything of a chain but whom it knew or was asked for."""
        ...

    async def headers(self, chain_id: int, limit: int) -> list[ReplicaHeader]:
        """The newest headers, the newest first."""
        ...

    async def headers_at(self, chain_id: int, heights: Collection[int]) -> list[ReplicaHeader]:
        """Those of some heights that are kept."""
        ...

    async def header_by_hash(self, chain_id: int, block_hash: bytes) -> ReplicaHeader | None:
        """The header with a hash, if it is kept."""
        ...

    async def save_header(self, chain_id: int, header: ReplicaHeader) -> None:
        """Record a header, in the place of one of the same number."""
        ...

    async def words(
        self, chain_id: int, paths: Sequence[bytes], at_block: int | None = None
    ) -> dict[bytes, int]:
        """What stands under each path, now or after the block `at_block`; those that are zero are left out."""
        ...

    async def parts(self, chain_id: int, prefixes: Collection[str] | None) -> list[tuple[str, int]]:
        """All words by their path in hex, in its order; or those alone whose path begins with one of `prefixes`."""
        ...

    async def write(self, chain_id: int, writes: Sequence[ReplicaWrite]) -> None:
        """Change words; what they were before is kept."""
        ...

    async def writes_after(self, chain_id: int, block_number: int) -> list[tuple[bytes, bytes]]:
        """Identity and slot of every write after a block."""
        ...

    async def undo(self, chain_id: int, to_block: int) -> list[bytes]:
        """Take back all words, headers and histories after a block; the paths of the words."""
        ...

    async def prune(self, chain_id: int, before_block: int) -> None:
        """Forget how to go back further than to a block."""
        ...

    async def identities(
        self, chain_id: int, identities: Sequence[bytes] | None = None
    ) -> list[ReplicaIdentity]:
        """Those asked for, or all."""
        ...

    async def identities_with_history(self, chain_id: int) -> list[ReplicaIdentity]:
        """Those whose document somebody asked for."""
        ...

    async def count_identities(self, chain_id: int) -> int:
        """How many there are."""
        ...

    async def save_identities(self, chain_id: int, identities: Sequence[ReplicaIdentity]) -> None:
        """Record them, in the place of what was recorded."""
        ...


class DomainLinks(Protocol):
    """What was found of the domains of issuers, one finding for each DID, origin and place."""

    async def of(self, dids: Collection[str]) -> list[DomainLink]:
        """All findings of some DIDs, by DID, origin and place."""
        ...

    async def save(self, link: DomainLink) -> None:
        """Record a finding, in the place of the one before."""
        ...

    async def forget(self, checked_before: datetime) -> int:
        """Forget findings that were not renewed since a time; how many."""
        ...
