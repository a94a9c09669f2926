"""The issuer at work: its database, its keys, its chain and the pinned standards, handed to every use case.

Made by an entry point from a folder and options; nothing here reads configuration. A key is named in the
database by a URI relative to the issuer's folder, so that the folder can be moved, and is opened when it
is first needed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from node import keystore
from node.core.did.ethr_identity import ethereum_address
from node.core.errors import Misconfigured, Unavailable
from node.core.evm.agreement import Endpoints
from node.core.evm.header import Header
from node.core.evm.keccak import keccak256
from node.core.evm.network import Network
from node.core.evm.registry import KeyPurpose
from node.core.evm.state_proof import ProvenSlots, prove_slots
from node.core.keys import KeyKind, PublicKey, Signer, parse_multikey
from node.core.openbadges import profile
from node.core.strict_json import JsonObject
from node.core.verify.verifier import Standards
from node.outbound.blame import blaming
from node.outbound.chain import ChainClient
from node.outbound.headers import voices_of
from node.outbound.proofs import EndpointProofs
from node.storage.protocols.issuer import IssuerKey, IssuerSettings, KeyRole, KeyState
from node.storage.protocols.store import Store, Transaction

# What one answer of `eth_getProof` is asked for here: paths of a large contract, each of a few nodes of its own.
_SLOTS_AT_ONCE: Final = 32
GWEI: Final = 10**9


def in_gwei(wei: int) -> str:
    """A price of gas, for people."""
    return f"{wei / GWEI:.4g} gwei"


class Keyring:
    """Opens keys of one issuer, each once: unsealing costs a deliberate fraction of a second."""

    def __init__(self, folder: Path, passphrase: str | None) -> None:
        self._folder = folder
        self._passphrase = passphrase
        self._signers: dict[str, Signer] = {}
        self._secrets: dict[str, bytes] = {}

    def signer(self, uri: str) -> Signer:
        """The Signer of a key; Misconfigured where it cannot be opened."""
        if uri not in self._signers:
            self._signers[uri] = keystore.open_signer(self._located(uri), self._passphrase)
        return self._signers[uri]

    def secret(self, uri: str) -> bytes:
        """The 32 bytes of a secp256k1 key, for chain transactions."""
        if uri not in self._secrets:
            self._secrets[uri] = keystore.open_secret(self._located(uri), self._passphrase)
        return self._secrets[uri]

    def is_missing(self, uri: str) -> bool:
        """Whether the key is in a file that is not there."""
        scheme, _, path = self._located(uri).partition(":")
        return scheme == "file" and not Path(path).is_file()

    def _located(self, uri: str) -> str:
        scheme, _, path = uri.partition(":")
        return f"file:{self._folder / path}" if scheme == "file" and not path.startswith("/") else uri


@dataclass(frozen=True, slots=True)
class ChainAccess:
    """A chain, by the endpoints of the operator's.

    Which block is final is taken from as many operators as must agree; what is proven against it from any endpoint.
    `client` is asked for all that nobody need believe: gas, prices, receipts.
    """

    client: ChainClient
    network: Network
    others: tuple[ChainClient, ...] = ()
    endpoints: Endpoints = field(default_factory=Endpoints)

    @property
    def clients(self) -> tuple[ChainClient, ...]:
        """One for each endpoint, in the order of the configuration."""
        return (self.client, *self.others)

    async def check(self) -> None:
        """Misconfigured unless an endpoint speaks for the network of the table, registry code included."""
        failures = []
        for client in self.clients:
            try:
                await self._check(client)
            except (Misconfigured, Unavailable) as error:
                failures.append(error)
            else:
                return
        raise failures[0]

    async def _check(self, client: ChainClient) -> None:
        network = self.network
        if await client.chain_id() != network.chain_id or await client.genesis_hash() != network.genesis:
            raise Misconfigured(f"{client.host} is an endpoint of another chain than {network.chain}")
        if keccak256(await client.code(network.credential_registry)) != network.code_hash:
            raise Misconfigured(f"{network.chain} does not have our registry at the address in the table")

    async def finalized(self) -> Header:
        """The newest final header: what everything that the issuer believes of the chain is proven against."""
        if not self.others:
            return await self.client.finalized()
        return (await voices_of(self.network, self.endpoints, self.clients).newest()).value

    def proofs(self) -> EndpointProofs:
        """Proofs for holders, by these endpoints."""
        voices = voices_of(self.network, self.endpoints, self.clients)
        return EndpointProofs(lambda _: voices)

    async def slots(self, header: Header, slots: Sequence[bytes]) -> Mapping[bytes, int]:
        """Storage slots of the CredentialRegistry after the block of `header`, proven.

        Unavailable, the endpoint named as at fault, where its proof is wrong.
        """
        values: dict[bytes, int] = {}
        for start in range(0, len(slots), _SLOTS_AT_ONCE):
            some = slots[start : start + _SLOTS_AT_ONCE]
            proven = await self._proven(header, self.network.credential_registry, some)
            if proven.account is None or proven.account.code_hash != self.network.code_hash:
                where = f"{self.network.chain} does not have our registry at the address in the table"
                raise Misconfigured(f"{where} as of block {header.number}, which is final")
            values |= proven.values
        return values

    async def slot(self, header: Header, slot: bytes) -> int:
        """One of `slots`."""
        return (await self.slots(header, [slot]))[slot]

    async def nonce(self, header: Header, address: bytes) -> int:
        """How many transactions `address` has sent up to the block of `header`, proven."""
        account = (await self._proven(header, address, ())).account
        return 0 if account is None else account.nonce

    async def code_hash(self, header: Header, address: bytes) -> bytes | None:
        """The hash of the code at `address` after the block of `header`, proven; None where there is no account."""
        return (await self._proven(header, address, ())).code_hash

    async def _proven(self, header: Header, address: bytes, slots: Sequence[bytes]) -> ProvenSlots:
        failures = []
        for client in self.clients:
            try:
                return await _proof(client, header, address, slots)
            except Unavailable as error:
                failures.append(error)
        raise failures[0]


async def _proof(client: ChainClient, header: Header, address: bytes, slots: Sequence[bytes]) -> ProvenSlots:
    nodes = await client.proof_nodes(address, slots, header.hash)
    with blaming(client.host):
        return prove_slots(header, nodes, address, slots)


@dataclass(frozen=True, slots=True)
class SecondChain:
    """A second chain, to which each commitment goes as well: a further record of the time, which no verdict reads."""

    chain: ChainAccess
    is_needed: bool
    """Whether the worker is done only when both chains have a batch; else either is enough."""


@dataclass(frozen=True, slots=True)
class AnchoringTerms:
    """When batches are closed, and what may be paid."""

    batch_size: int = 1000
    """Items that close a batch."""
    batch_age: timedelta = timedelta(seconds=60)
    """Age of the oldest item that closes a batch."""
    max_fee_per_gas: int = 200 * GWEI
    """Wei per gas that no transaction offers more than."""
    low_balance: int = 50
    """How many anchors, at the present price, the writer should be able to pay for: below that it is told."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """An open key and the DID URL by which proofs name it."""

    multibase: str
    verification_method: str
    signer: Signer


def now_utc() -> datetime:
    """The system's clock."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Issuer:
    """Everything that a use case of the issuer needs."""

    store: Store
    settings: IssuerSettings
    keyring: Keyring
    standards: Standards
    chain: ChainAccess | None = None
    clock: Callable[[], datetime] = now_utc
    anchoring: AnchoringTerms = AnchoringTerms()
    second: SecondChain | None = None
    status_by_default: bool | None = None
    """Without a chain: what `init` was told; None where nobody wrote it down, and an open list says it."""

    @property
    def identity(self) -> bytes:
        """The issuer's 20-byte identity; Misconfigured for an issuer without a chain."""
        if self.settings.identity is None:
            raise Misconfigured("this issuer has no identity on a chain")
        return self.settings.identity

    @property
    def on_chain(self) -> bool:
        """Whether the issuer has an identity on a chain, reachable now or not."""
        return self.settings.identity is not None

    def require_chain(self) -> ChainAccess:
        """The chain; Misconfigured where none is configured."""
        if not self.on_chain:
            raise Misconfigured("this issuer has no chain: it was made with --did key")
        if self.chain is None:
            raise Misconfigured("this needs the chain: give its endpoint with --rpc")
        return self.chain

    def profile(self) -> JsonObject:
        """The `issuer` member of credentials."""
        settings = self.settings
        return profile(settings.did, settings.name, settings.url)

    async def signing_key(
        self, transaction: Transaction | None = None, kinds: Collection[KeyKind] | None = None
    ) -> SigningKey:
        """The key to sign with now, opened: the newest active one, of these kinds where only they fit."""
        if transaction is None:
            async with self.store.reading() as reading:
                return await self.signing_key(reading, kinds)
        key = await self.active_key(transaction, kinds)
        assert key.verification_method is not None  # noqa: S101 - an active key has one
        return SigningKey(key.multibase, key.verification_method, self.keyring.signer(key.uri))

    async def active_key(
        self, reading: Transaction, kinds: Collection[KeyKind] | None = None, *, for_what: str = "this"
    ) -> IssuerKey:
        """As `signing_key`, without opening it; Misconfigured where none fits `for_what`, which is told with it."""
        known = await reading.keys.all(KeyRole.ASSERTION)
        keys = [key for key in known if key.state is KeyState.ACTIVE]
        fitting = [key for key in keys if kinds is None or parse_multikey(key.multibase).kind in kinds]
        if fitting and fitting[-1].verification_method is not None:
            return fitting[-1]
        if not keys and any(key.state not in (KeyState.PREPARED, KeyState.ADDING) for key in known):
            raise Misconfigured(
                "no assertion key is active any more: `issuer key add` makes one, unless the identity is closed"
            )
        if not keys or kinds is None:
            raise Misconfigured("no assertion key is active yet: finish `issuer init`")
        wanted = sorted(kinds)
        key = " or ".join(f"{'an' if kind == KeyKind.ED25519 else 'a'} {kind}" for kind in wanted) + " key"
        if not self.on_chain:
            raise Misconfigured(
                f"{for_what} needs {key}, and a did:key is its one key: `issuer init --did key --kind {wanted[0]}"
                " --dir …` makes another issuer, in another folder"
            )
        raise Misconfigured(
            f"{for_what} needs {key}, and none is active: `issuer key add --kind {wanted[0]}`"
        )


def purposes_of(key: PublicKey) -> KeyPurpose:
    """What an assertion key of ours is registered for."""
    # What is not anchored has no time, so that its key is judged by other rules and must be for nothing else.
    is_bbs = key.kind is KeyKind.BLS12381_G2
    return KeyPurpose.BBS if is_bbs else KeyPurpose.ASSERTION | KeyPurpose.STATUS_LIST


def address_of(key: IssuerKey) -> bytes:
    """The 20-byte address of an owner's or a writer's key."""
    return ethereum_address(parse_multikey(key.multibase))
