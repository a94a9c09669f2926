"""What services ask of the database: protocols and records in domain terms, no rows, no SQL.

Rules for every implementation, held by one behavioural test class:

- A writing transaction sees no other writer between its first statement and its end, so reading and then
  writing is safe. It is kept whole or not at all, and on the disk when the `async with` ends without an
  error.
- Secrets (pre-authorized codes, tx_codes, tokens, nonces, response codes) arrive as 32-byte hashes.
- Times are aware; what comes back is UTC. Blocks, nonces and indexes are integers, zero-based.
- What is already recorded and asked again is not an error; what contradicts it is a Conflict.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, Protocol

from node.core.verify.domains import DomainLink

# --- the issuer itself
# ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class IssuerSettings:
    """Who issues here. Fixed by `issuer init`; an issuer without a chain has None for all that concerns
    one.
    """

    did: str
    name: str
    url: str
    chain: str | None  # CAIP-2
    identity: bytes | None  # 20 bytes
    did_registry: bytes | None
    credential_registry: bytes | None
    created_at: datetime


class Issuer(Protocol):
    """The issuer's settings, one record a database."""

    async def load(self) -> IssuerSettings | None:
        """The settings, or None before `issuer init`."""
        ...

    async def save(self, settings: IssuerSettings) -> None:
        """Record them; Conflict where another DID, chain, identity or registry is recorded already."""
        ...


class KeyRole(StrEnum):
    """What a key of the issuer may do; different roles are different keys (FORMATS.md section 11)."""

    OWNER = "owner"
    WRITER = "writer"
    ASSERTION = "assertion"
    STATUS_LIST = "status_list"


class KeyState(StrEnum):
    """A key's life; `ADDING`, `RETIRING` and `COMPROMISING` wait for a chain transaction to become final."""

    PREPARED = "prepared"
    ADDING = "adding"
    ACTIVE = "active"
    RETIRING = "retiring"
    RETIRED = "retired"
    COMPROMISING = "compromising"
    COMPROMISED = "compromised"


KEY_TRANSITIONS: Final[Mapping[KeyState, frozenset[KeyState]]] = {
    KeyState.PREPARED: frozenset({KeyState.ADDING, KeyState.ACTIVE}),
    KeyState.ADDING: frozenset({KeyState.ACTIVE}),
    KeyState.ACTIVE: frozenset({KeyState.RETIRING, KeyState.RETIRED, KeyState.COMPROMISING}),
    KeyState.RETIRING: frozenset({KeyState.RETIRED, KeyState.COMPROMISING}),
    KeyState.RETIRED: frozenset({KeyState.COMPROMISING}),
    KeyState.COMPROMISING: frozenset({KeyState.COMPROMISED}),
    KeyState.COMPROMISED: frozenset(),
}


@dataclass(frozen=True, slots=True)
class IssuerKey:
    """One key of the issuer and its window in blocks; `uri` is where the key store finds its secret half."""

    multibase: str
    role: KeyRole
    uri: str
    verification_method: str | None  # DID URL that proofs name
    delegate: int | None  # the N of `#delegate-N`
    state: KeyState
    valid_from: int | None
    valid_until: int | None
    created_at: datetime


class Keys(Protocol):
    """The issuer's keys, none of which is ever forgotten."""

    async def add(self, key: IssuerKey) -> None:
        """Record a key; Conflict where the same key has another role or URI."""
        ...

    async def load(self, multibase: str) -> IssuerKey | None:
        """The key of that `publicKeyMultibase`."""
        ...

    async def all(self, role: KeyRole | None = None) -> tuple[IssuerKey, ...]:
        """All keys, or those of a role, oldest first."""
        ...

    async def active(self, role: KeyRole) -> IssuerKey | None:
        """The newest key of the role in state ACTIVE: the one to sign with."""
        ...

    async def move(
        self,
        multibase: str,
        state: KeyState,
        *,
        valid_from: int | None = None,
        valid_until: int | None = None,
        delegate: int | None = None,
        verification_method: str | None = None,
    ) -> IssuerKey:
        """Take a step of KEY_TRANSITIONS (or none) and fill in what is now known; else Conflict."""
        ...


class ApiRole(StrEnum):
    """What a bearer of an API token may do over HTTP."""

    ISSUE = "issue"
    STATUS = "status"


@dataclass(frozen=True, slots=True)
class ApiToken:
    """A bearer token of `issuer token`, known by the hash of its text."""

    token_hash: bytes
    label: str
    roles: frozenset[ApiRole]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


class ApiTokens(Protocol):
    """Tokens of those who call the issuer's own HTTP interface."""

    async def add(self, token: ApiToken) -> None:
        """Record a token; Conflict where one with that label is alive."""
        ...

    async def find(self, token_hash: bytes, now: datetime) -> ApiToken | None:
        """The token if it is known, not expired and not revoked."""
        ...

    async def revoke(self, label: str, now: datetime) -> bool:
        """End the token of that label; False where there is none alive."""
        ...

    async def all(self) -> tuple[ApiToken, ...]:
        """Every token ever made, oldest first."""
        ...


# --- credentials and their evidence
# --------------------------------------------------------------------------


class CredentialState(StrEnum):
    """INTENDED is signed as soon as possible, WAITING at its holder's claim; the last two are ends."""

    INTENDED = "intended"
    WAITING = "waiting"
    SIGNED = "signed"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class Intent:
    """What shall be signed: stored before any key is touched, so that a crash repeats and never doubles.

    `cohort` and `row_key` make issuing idempotent; `content_digest` tells whether a row known by its id has
    changed since. `body` is the prepared credential without proof, as JSON bytes; once it is signed, `kept` of that.
    """

    credential_id: str
    cohort: str
    row_key: str
    content_digest: bytes
    body: bytes
    subject_did: str | None
    state: CredentialState
    evidence_size: int
    evidence_root: bytes | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class SignedCredential:
    """A credential as issued: `document` are its exact JSON bytes, `digest` that of FORMATS.md section 3.

    `kept` becomes the body of its intent: what the document does not say and whoever issues it anew needs.
    """

    credential_id: str
    document: bytes
    digest: bytes
    key_multibase: str
    subject_did: str | None
    signed_at: datetime
    kept: bytes = b""


@dataclass(frozen=True, slots=True)
class CredentialRecord:
    """An intent and, once signed, what became of it."""

    intent: Intent
    signed: SignedCredential | None

    @property
    def state(self) -> CredentialState:
        """The intent's state as it is now."""
        return self.intent.state


@dataclass(frozen=True, slots=True)
class KnownRow:
    """A row of a cohort that was taken in before; `digest` is that of the credential, once it is signed."""

    credential_id: str
    content_digest: bytes
    state: CredentialState
    digest: bytes | None
    subject_did: str | None


class Credentials(Protocol):
    """Intents and signed credentials."""

    async def known_rows(self, cohort: str, row_keys: Sequence[str] | None = None) -> Mapping[str, KnownRow]:
        """Row key to what is recorded of it, for a whole cohort or for some of its rows."""
        ...

    async def intend(self, intents: Sequence[Intent]) -> None:
        """Record intents, all or none; Conflict where an id or (cohort, row key) is recorded already."""
        ...

    async def record_signed(self, signed: Sequence[SignedCredential]) -> None:
        """Move intents to SIGNED, all or none. The same digest again is quiet; another one is a Conflict."""
        ...

    async def withdraw(self, credential_id: str) -> None:
        """End an intent that was not signed; Conflict where it was."""
        ...

    async def load(self, credential_id: str) -> CredentialRecord | None:
        """By the credential's `id`."""
        ...

    async def load_many(self, credential_ids: Sequence[str]) -> Mapping[str, CredentialRecord]:
        """As `load`, for many: those that there are."""
        ...

    async def find_by_digest(self, digest: bytes) -> CredentialRecord | None:
        """By the digest of the signed document."""
        ...

    async def page(
        self,
        *,
        after: str = "",
        limit: int = 500,
        state: CredentialState | None = None,
        cohort: str | None = None,
    ) -> tuple[CredentialRecord, ...]:
        """Records ordered by id, beginning after `after`; for export and for resuming."""
        ...

    async def counts(self, cohort: str | None = None) -> Mapping[CredentialState, int]:
        """How many are in each state."""
        ...


@dataclass(frozen=True, slots=True)
class StoredEvidence:
    """One item of a credential's evidence. Erased: all but index and leaf hash are gone (FORMATS.md
    section 5).
    """

    index: int
    leaf: bytes
    salt: bytes | None
    name: str | None
    media_type: str | None
    genre: str | None
    data: bytes | None
    erased_at: datetime | None = None


class Evidence(Protocol):
    """Evidence items; what is erased cannot be had back, and the credential stays verifiable."""

    async def store(self, credential_id: str, items: Sequence[StoredEvidence]) -> None:
        """Record the items of a credential; Conflict where it has some."""
        ...

    async def load(self, credential_id: str, *, with_data: bool = True) -> tuple[StoredEvidence, ...]:
        """The items in the order of their index; `with_data=False` leaves the bytes where they are."""
        ...

    async def erase(self, credential_id: str, now: datetime, indexes: Sequence[int] | None = None) -> int:
        """Erase salt, members and bytes of the items (all, or those named); how many were erased now."""
        ...


# --- anchoring and the chain
# ---------------------------------------------------------------------------------


class TransactionState(StrEnum):
    """A chain transaction's life. A reorganisation takes it from INCLUDED back to SENT."""

    PREPARED = "prepared"
    SIGNED = "signed"
    SENT = "sent"
    INCLUDED = "included"
    FINAL = "final"
    PARKED = "parked"


OWN_CHAIN: Final = ""
"""The chain of the issuer's DID, where the outbox says of which chain a call is; a second chain is named by its
CAIP-2 id.
"""


@dataclass(frozen=True, slots=True)
class Spent:
    """What a transaction came to: gas, and wei per gas (`effectiveGasPrice`)."""

    gas: int
    gas_price: int

    @property
    def wei(self) -> int:
        """The fee that was paid."""
        return self.gas * self.gas_price


@dataclass(frozen=True, slots=True)
class OutboxEntry:
    """A call that shall reach the chain. `nonce` is None until one is assigned; `fault` says why it is
    parked.
    """

    id: int
    chain: str  # OWN_CHAIN, or the CAIP-2 id of a second chain
    purpose: str  # "anchor", "open_list", "set_status", "add_key" …: the service's own word
    sender: bytes
    to: bytes | None
    data: bytes
    state: TransactionState
    nonce: int | None
    transaction_hash: bytes | None  # of the newest attempt, or of the one included
    block_number: int | None
    block_hash: bytes | None
    gas_used: int | None
    gas_price: int | None  # wei per gas
    fault: str | None
    created_at: datetime
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class Attempt:
    """A signed form of an entry. Every one that may have been broadcast is kept: any of them can be
    included.
    """

    transaction_hash: bytes
    raw: bytes
    nonce: int
    signed_at: datetime


class Outbox(Protocol):
    """Chain transactions, each stored raw before it is broadcast, with nonces counted here."""

    async def add(
        self,
        purpose: str,
        sender: bytes,
        to: bytes | None,
        data: bytes,
        now: datetime,
        chain: str = OWN_CHAIN,
    ) -> OutboxEntry:
        """A new entry, PREPARED."""
        ...

    async def load(self, entry_id: int) -> OutboxEntry | None:
        """One entry."""
        ...

    async def find(self, purpose: str, data: bytes) -> OutboxEntry | None:
        """The newest entry of a purpose with this very data."""
        ...

    async def unfinished(
        self, sender: bytes | None = None, limit: int = 100, chain: str = OWN_CHAIN
    ) -> tuple[OutboxEntry, ...]:
        """Entries of a chain neither final nor parked, in the order in which they were added."""
        ...

    async def in_state(
        self, state: TransactionState, limit: int = 100, chain: str | None = None
    ) -> tuple[OutboxEntry, ...]:
        """Entries in a state, in the order in which they were added; of every chain unless one is named."""
        ...

    async def assign_nonce(self, entry_id: int, at_least: int) -> int:
        """The entry's nonce, given once: the sender's next here, or the chain's count `at_least` if
        higher.
        """
        ...

    async def release_nonce(self, entry_id: int, now: datetime) -> None:
        """Its nonce was used up by a foreign transaction: PREPARED again, to be signed with another."""
        ...

    async def record_attempt(self, entry_id: int, transaction_hash: bytes, raw: bytes, now: datetime) -> None:
        """Keep a signed transaction of the assigned nonce; must be durable before it is broadcast."""
        ...

    async def attempts(self, entry_id: int) -> tuple[Attempt, ...]:
        """All signed forms, oldest first."""
        ...

    async def signed(self) -> frozenset[bytes]:
        """The hash of every transaction that was signed here for the issuer's own chain, sent or not."""
        ...

    async def mark_sent(self, entry_id: int, now: datetime) -> None:
        """An endpoint has taken it."""
        ...

    async def mark_included(
        self,
        entry_id: int,
        transaction_hash: bytes,
        block_number: int,
        block_hash: bytes,
        now: datetime,
        spent: Spent | None = None,
    ) -> None:
        """One of its attempts stands in a block (again: after a reorganisation perhaps in another), and what it
        cost there.
        """
        ...

    async def mark_reorganised(self, entry_id: int, now: datetime) -> None:
        """Its block is gone: SIGNED, and to be sent again."""
        ...

    async def mark_final(self, entry_id: int, now: datetime) -> None:
        """Its block is final."""
        ...

    async def mark_found(self, entry_id: int, block_number: int | None, now: datetime) -> None:
        """FINAL from any state, since the chain shows at a final block what it was to bring about, in the block
        `block_number` where the chain tells it.
        """
        ...

    async def park(self, entry_id: int, fault: str, now: datetime, *, nonce_spent: bool = False) -> None:
        """Set it aside for the operator; `nonce_spent` (it was included and reverted) takes its nonce
        away.
        """
        ...

    async def resume(self, entry_id: int, now: datetime) -> OutboxEntry:
        """Take a parked entry up again."""
        ...

    async def counts(self, chain: str = OWN_CHAIN) -> Mapping[TransactionState, int]:
        """How many of a chain are in each state."""
        ...

    async def spent(self, chain: str = OWN_CHAIN) -> Mapping[str, tuple[Spent, ...]]:
        """What the calls in blocks came to, by purpose."""
        ...


@dataclass(frozen=True, slots=True)
class AnchorItem:
    """A digest that shall be anchored; `kind` is that of FORMATS.md section 4."""

    id: int
    kind: int
    digest: bytes
    added_at: datetime


@dataclass(frozen=True, slots=True)
class Waiting:
    """The open batch: how many items wait, and since when the oldest does."""

    count: int
    oldest: datetime | None


@dataclass(frozen=True, slots=True)
class ItemPlace:
    """Where an item stands in its batch's tree."""

    item_id: int
    salt: bytes
    index: int
    path: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Batch:
    """A sealed batch. State and block are those of its transaction; without one it is None: only sealed."""

    id: int
    commitment: bytes
    size: int
    root: bytes
    sealed_at: datetime
    transaction_id: int | None
    state: TransactionState | None
    block_number: int | None


@dataclass(frozen=True, slots=True)
class AnchoredPlace:
    """An item's place together with its batch."""

    item: AnchorItem
    place: ItemPlace
    batch: Batch


@dataclass(frozen=True, slots=True)
class BatchCost:
    """What anchoring one batch cost; items of every kind count."""

    batch_id: int
    items: int
    spent: Spent


@dataclass(frozen=True, slots=True)
class BatchTally:
    """A batch, and how many items of each kind (FORMATS.md section 4) are in it, the padding left out."""

    batch: Batch
    kinds: Mapping[int, int]


class Batches(Protocol):
    """What is to be anchored. Items without a batch are the open batch; sealing gives them their places."""

    async def enqueue(self, kind: int, digests: Sequence[bytes], now: datetime) -> int:
        """Let digests wait for the next batch; those known already are passed over. How many were new."""
        ...

    async def waiting(self) -> Waiting:
        """The open batch in numbers."""
        ...

    async def load_waiting(self, limit: int) -> tuple[AnchorItem, ...]:
        """The items that have waited longest."""
        ...

    async def seal(
        self, commitment: bytes, size: int, root: bytes, places: Sequence[ItemPlace], now: datetime
    ) -> Batch:
        """Close a batch over items that wait; Conflict where one of them has a place already."""
        ...

    async def attach(self, batch_id: int, transaction_id: int) -> None:
        """Name the transaction that carries the commitment; Conflict where another does."""
        ...

    async def add_second(self, batch_id: int, chain: str, transaction_id: int) -> None:
        """Name the transaction that carries the commitment to a second chain (CAIP-2)."""
        ...

    async def on_second_chain(self) -> frozenset[int]:
        """Ids of the batches that stand on a second chain at a final block, and not yet on the DID's own."""
        ...

    async def costs(self, limit: int) -> tuple[BatchCost, ...]:
        """What the newest final batches cost on the DID's own chain, newest first."""
        ...

    async def load(self, batch_id: int) -> Batch | None:
        """One batch."""
        ...

    async def unfinished(self) -> tuple[Batch, ...]:
        """Batches whose transaction is not final (or not made), oldest first."""
        ...

    async def places(self, batch_id: int) -> tuple[AnchoredPlace, ...]:
        """All places of a batch."""
        ...

    async def find_place(self, kind: int, digest: bytes) -> AnchoredPlace | None:
        """Where a digest is anchored, or None while it waits or is unknown."""
        ...

    async def unanchored_of_key(self, key_multibase: str) -> int:
        """Credentials signed with a key whose batch is not final: a key is retired when there are none."""
        ...

    async def tallies(self) -> tuple[BatchTally, ...]:
        """The final batches, oldest first."""
        ...

    async def anchored_of_key(self, key_multibase: str, since_block: int) -> int:
        """Credentials signed with a key whose batch is final, anchored in that block or later."""
        ...


# --- status
# --------------------------------------------------------------------------------------------------


class ListMode(StrEnum):
    """FORMATS.md section 6: modes 1 and 2, and lists of an issuer without a chain."""

    OR_ONLY = "or_only"
    SETTABLE = "settable"
    PUBLISHED = "published"


@dataclass(frozen=True, slots=True)
class StatusList:
    """A status list. Indexes are given out only once it is open: on chain, or at once where there is none."""

    list_id: bytes  # 32 bytes
    purpose: str
    url: str
    mode: ListMode
    log2_entries: int
    status_size: int
    transaction_id: int | None
    opened_block: int | None
    is_open: bool
    allocated: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class StatusIndex:
    """The entry of one credential in one list."""

    list_id: bytes
    purpose: str
    url: str
    index: int
    credential_id: str


@dataclass(frozen=True, slots=True)
class ListCredential:
    """The signed list credential last published."""

    document: bytes
    signed_at: datetime
    valid_until: datetime


class ChangeState(StrEnum):
    """ACCEPTED is promised, SENT is on its way to the chain, EFFECTIVE is what a verifier sees."""

    ACCEPTED = "accepted"
    SENT = "sent"
    EFFECTIVE = "effective"


@dataclass(frozen=True, slots=True)
class StatusChange:
    """A revocation, suspension or reinstatement: who asked for it, when and why."""

    id: int
    credential_id: str
    list_id: bytes
    purpose: str
    index: int
    value: int
    reason: str
    requested_by: str
    requested_at: datetime
    state: ChangeState
    transaction_id: int | None


@dataclass(frozen=True, slots=True)
class StatusWord:
    """256 bits of a list (FORMATS.md section 6): as the chain has them, and as they shall be."""

    word: int
    current: bytes  # 32 bytes
    desired: bytes


class StatusLists(Protocol):
    """Status lists, the indexes given out, and every change that was accepted."""

    async def add(self, status_list: StatusList) -> None:
        """Record a list before it is opened; Conflict where its id or URL is known."""
        ...

    async def load(self, list_id: bytes) -> StatusList | None:
        """One list."""
        ...

    async def find_by_url(self, url: str) -> StatusList | None:
        """The list that is published at a URL."""
        ...

    async def all(self, purpose: str | None = None) -> tuple[StatusList, ...]:
        """All lists, or those of a purpose, oldest first."""
        ...

    async def attach(self, list_id: bytes, transaction_id: int) -> None:
        """Name the transaction that opens the list."""
        ...

    async def mark_open(self, list_id: bytes, block_number: int | None) -> None:
        """The list is open: on chain since a final block, or without a chain (None)."""
        ...

    async def allocate(
        self, list_id: bytes, credential_ids: Sequence[str], draw: Callable[[int], int]
    ) -> Mapping[str, int]:
        """Give each credential a random index never given before; one that has an index keeps it.

        `draw(n)` is a CSPRNG's choice below n. Conflict where the list is not open or is more than half full:
        beyond that, what is left would no longer be random enough to hide who was issued next to whom.
        """
        ...

    async def indexes_of(self, credential_id: str) -> tuple[StatusIndex, ...]:
        """All entries of a credential."""
        ...

    async def change(
        self,
        credential_id: str,
        purpose: str,
        value: int,
        *,
        reason: str,
        requested_by: str,
        now: datetime,
    ) -> StatusChange:
        """Accept a change. The value that stands already gives the change that set it.

        NotFound where the credential has no entry of the purpose; Conflict where a revocation would be
        undone.
        """
        ...

    async def changes(self, credential_id: str) -> tuple[StatusChange, ...]:
        """What was ever accepted for a credential, oldest first."""
        ...

    async def value(self, list_id: bytes, index: int) -> int:
        """The desired value of an entry."""
        ...

    async def pending_words(self, list_id: bytes, limit: int = 256) -> tuple[StatusWord, ...]:
        """Words that differ from the chain and are not under way."""
        ...

    async def mark_words_sent(self, list_id: bytes, words: Sequence[int], transaction_id: int) -> None:
        """A transaction carries the desired value of these words, and with it the changes accepted so far."""
        ...

    async def mark_words_effective(self, transaction_id: int) -> None:
        """That transaction is final."""
        ...

    async def mark_published(self, list_id: bytes) -> None:
        """For a list without a chain: everything desired stands in the list credential just saved."""
        ...

    async def effective_words(self, list_id: bytes) -> Mapping[int, bytes]:
        """The words of a list that are not empty, as they were last made final; 32 bytes each."""
        ...

    async def bitstring(self, list_id: bytes) -> bytes:
        """The whole list as desired: 2^log2_entries times status_size bits."""
        ...

    async def save_credential(self, list_id: bytes, credential: ListCredential) -> None:
        """Keep the signed list credential that is served from now on."""
        ...

    async def load_credential(self, list_id: bytes) -> ListCredential | None:
        """The signed list credential, or None where none was made."""
        ...


# --- handing out
# ---------------------------------------------------------------------------------------------


class OfferState(StrEnum):
    """OPEN can be redeemed once; REDEEMED has an access token; CLAIMED handed out its credential."""

    OPEN = "open"
    REDEEMED = "redeemed"
    CLAIMED = "claimed"
    BURNED = "burned"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class Offer:
    """A credential offer with a pre-authorized code (OpenID4VCI section 4)."""

    id: str  # random, the last part of credential_offer_uri
    credential_id: str
    configuration_id: str
    code_hash: bytes
    tx_code_hash: bytes | None
    tx_code_failures: int
    state: OfferState
    created_at: datetime
    expires_at: datetime


class Redemption(StrEnum):
    """What became of a pre-authorized code. Not exceptions: a failed guess must be counted, not rolled
    back.
    """

    REDEEMED = "redeemed"
    UNKNOWN = "unknown"
    USED = "used"
    EXPIRED = "expired"
    TX_CODE_MISSING = "tx_code_missing"
    TX_CODE_NOT_EXPECTED = "tx_code_not_expected"
    TX_CODE_WRONG = "tx_code_wrong"


class Offers(Protocol):
    """Offers and their one-time codes."""

    async def add(self, offers: Sequence[Offer]) -> None:
        """Record offers, all or none."""
        ...

    async def load(self, offer_id: str) -> Offer | None:
        """One offer."""
        ...

    async def of_credential(self, credential_id: str) -> tuple[Offer, ...]:
        """The offers ever made for a credential, oldest first."""
        ...

    async def of_credentials(self, credential_ids: Sequence[str]) -> Mapping[str, tuple[Offer, ...]]:
        """As `of_credential`, for many: those that were offered."""
        ...

    async def redeem(
        self, code_hash: bytes, tx_code_hash: bytes | None, now: datetime, *, max_failures: int = 5
    ) -> tuple[Redemption, Offer | None]:
        """Use a code up. A wrong tx_code counts, and the code is burned at `max_failures`."""
        ...

    async def mark_claimed(self, offer_id: str) -> None:
        """Its credential was handed out."""
        ...

    async def withdraw(self, offer_id: str) -> None:
        """End an offer that was not claimed; Conflict where it was."""
        ...


@dataclass(frozen=True, slots=True)
class AccessToken:
    """An OAuth access token, bound to what was offered."""

    token_hash: bytes
    offer_id: str
    credential_id: str
    configuration_id: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Deferred:
    """A deferred issuance; `delivered_at` ends it."""

    transaction_hash: bytes  # hash of the transaction_id
    offer_id: str
    credential_id: str
    created_at: datetime
    delivered_at: datetime | None


@dataclass(frozen=True, slots=True)
class Notification:
    """What the wallet said of a credential it was given (OpenID4VCI section 11)."""

    notification_hash: bytes  # hash of the notification_id
    offer_id: str
    credential_id: str
    event: str | None
    description: str | None
    received_at: datetime | None


class Deliveries(Protocol):
    """What follows a redeemed offer: access token, deferral, notification."""

    async def grant(self, token_hash: bytes, offer_id: str, expires_at: datetime) -> None:
        """Record an access token for an offer."""
        ...

    async def find_token(self, token_hash: bytes, now: datetime) -> AccessToken | None:
        """The token if it is known and not expired."""
        ...

    async def defer(self, transaction_hash: bytes, offer_id: str, now: datetime) -> None:
        """Record a transaction_id."""
        ...

    async def find_deferred(self, transaction_hash: bytes) -> Deferred | None:
        """The deferral, delivered or not."""
        ...

    async def mark_delivered(self, transaction_hash: bytes, now: datetime) -> bool:
        """End a deferral; False where it was delivered before or is unknown."""
        ...

    async def expect_notification(self, notification_hash: bytes, offer_id: str) -> None:
        """Record a notification_id that was handed out."""
        ...

    async def record_notification(
        self, notification_hash: bytes, event: str, description: str | None, now: datetime
    ) -> bool:
        """Keep what the wallet said, the last word counts; False where the id is unknown."""
        ...

    async def notifications(self, credential_id: str) -> tuple[Notification, ...]:
        """What was said of a credential."""
        ...

    async def purge(self, now: datetime) -> int:
        """Forget access tokens that are over."""
        ...


@dataclass(frozen=True, slots=True)
class StoredBundle:
    """A final bundle as JSON bytes, without evidence: that is added when it is served, so erasing works."""

    digest: bytes
    body: bytes
    header_number: int
    header_hash: bytes
    proven_at: datetime


class Bundles(Protocol):
    """Proofs made for holders, by the digest of their credential. They can be made again from the chain."""

    async def save(self, bundles: Sequence[StoredBundle]) -> None:
        """Keep bundles; a newer header takes the place of an older one, never the other way round."""
        ...

    async def load(self, digest: bytes) -> StoredBundle | None:
        """The newest bundle of a credential."""
        ...

    async def due(
        self, header_number: int, limit: int = 100, *, step: int | None = None
    ) -> tuple[bytes, ...]:
        """Digests of anchored, final credentials that have no bundle proven at `header_number` or later.

        With `step`, a bundle proven at a multiple of it is as good as new.
        """
        ...


# --- verifier
# ------------------------------------------------------------------------------------------------


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


# --- the replica of a follower
# -----------------------------------------------------------------------------------------------


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


# --- the whole
# -----------------------------------------------------------------------------------------------


class Transaction(Protocol):
    """One database transaction: everything done through it is kept together or not at all."""

    @property
    def issuer(self) -> Issuer: ...
    @property
    def keys(self) -> Keys: ...
    @property
    def api_tokens(self) -> ApiTokens: ...
    @property
    def credentials(self) -> Credentials: ...
    @property
    def evidence(self) -> Evidence: ...
    @property
    def outbox(self) -> Outbox: ...
    @property
    def batches(self) -> Batches: ...
    @property
    def status_lists(self) -> StatusLists: ...
    @property
    def offers(self) -> Offers: ...
    @property
    def deliveries(self) -> Deliveries: ...
    @property
    def bundles(self) -> Bundles: ...
    @property
    def nonces(self) -> Nonces: ...
    @property
    def presentation_requests(self) -> PresentationRequests: ...
    @property
    def replica(self) -> Replica: ...
    @property
    def domain_links(self) -> DomainLinks: ...


class Store(Protocol):
    """An open database."""

    def transaction(self) -> AbstractAsyncContextManager[Transaction]:
        """A writing transaction; writers queue. An exception undoes all of it."""
        ...

    def reading(self) -> AbstractAsyncContextManager[Transaction]:
        """A consistent view for reading only; it neither waits for writers nor holds them up."""
        ...

    async def close(self) -> None:
        """Let go of every connection."""
        ...
