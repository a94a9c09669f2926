"""`issuer init`: keys, identity, registration, status lists; run again it goes on where it stopped.

    1  keys, each in a file of its own, sealed; a file from an earlier run is used again
    2  the settings, and the keys, in one transaction
    3  ether for owner and writer: from the faucet of a development chain, or whoever the message asks
    4  calls into the outbox: ERC-1056 attribute, add_key, set_writer, open_list
    5  ticks until key, writer and lists stand at the finalized block

An issuer without a chain (did:key) has steps 1 and 2 and is ready; its one assertion key is its DID.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from node.core.credential import is_url
from node.core.did.ethr_identity import did_ethr, ethereum_address
from node.core.encoding import encode_hex
from node.core.errors import Conflict, Misconfigured
from node.core.keys import KeyKind, parse_multikey
from node.core.status.entry import REVOCATION, SUSPENSION
from node.core.verify.verifier import Standards
from node.services import status_lists
from node.services.issuer import ChainAccess, Issuer, Keyring, address_of, now_utc
from node.services.rotation import make_key
from node.services.writers import SET_WRITER_GAS, ends_soon, may_anchor, writer_record, writers_in_use
from node.storage.protocols.issuer import IssuerKey, IssuerSettings, KeyRole, KeyState
from node.storage.protocols.store import Store

# Gas of all that the owner does at the beginning with two lists, and a rotation later; a writer's first hundred
# batches and revocations.
OWNER_GAS: Final = 1_000_000
WRITER_GAS: Final = 10_000_000
_MAX_URL_BYTES: Final = 1800  # a status list's URL is longer and has 2,048


@dataclass(frozen=True, slots=True)
class Shortage:
    """An address that cannot pay for what it has to do on a chain; amounts in wei."""

    chain: str
    role: KeyRole
    address: bytes
    balance: int
    needed: int

    def __str__(self) -> str:
        missing = (self.needed - self.balance) / 10**18
        return f"the {self.role} {encode_hex(self.address)} needs {missing:.6f} ether more on {self.chain}"


@dataclass(frozen=True, slots=True)
class Place:
    """Where an issuer is to live: its folder, its database, and what opens its keys."""

    folder: Path
    store: Store
    passphrase: str


def check_url(url: str) -> str:
    """The public URL as settings keep it, without a slash at its end."""
    url = url.rstrip("/")
    if not url.startswith(("https://", "http://")) or len(url.encode()) > _MAX_URL_BYTES:
        raise Misconfigured("the issuer's URL begins with https://")
    if any(mark in url for mark in "?# "):
        raise Misconfigured("the issuer's URL has neither query nor fragment")
    if not is_url(url):  # each credential names it
        raise Misconfigured("the issuer's URL names no host, or has a character that URLs do not have")
    if "@" in url.partition("://")[2].partition("/")[0]:
        raise Misconfigured(
            "the issuer's URL holds a user name or a password, which every credential would tell"
        )
    return url


async def create_without_chain(
    place: Place, standards: Standards, name: str, url: str, kind: KeyKind = KeyKind.ED25519
) -> Issuer:
    """An issuer that is its one key: did:key, ready at once."""
    settings = await _known_settings(place)
    if settings is None:
        multibase = make_key(kind, place.folder, "file:keys/assertion-1.json", place.passphrase)
        did = f"did:key:{multibase}"
        settings = IssuerSettings(did, name, check_url(url), None, None, None, None, now_utc())
        key = _key(multibase, KeyRole.ASSERTION, "file:keys/assertion-1.json", KeyState.ACTIVE, settings)
        async with place.store.transaction() as transaction:
            await transaction.issuer.save(settings)
            await transaction.keys.add(key)
    elif settings.identity is not None:
        raise Conflict(f"the issuer here has a chain: {settings.did}")
    elif parse_multikey(settings.did.removeprefix("did:key:")).kind is not kind:
        raise Conflict(f"the issuer here is another key, for good: {settings.did}")
    return Issuer(place.store, settings, Keyring(place.folder, place.passphrase), standards)


async def create_on_chain(
    place: Place, standards: Standards, chain: ChainAccess, name: str, url: str
) -> Issuer:
    """Steps 1 and 2 for an issuer with an identity on `chain`. Nothing has been sent when this returns."""
    network = chain.network
    settings = await _known_settings(place)
    if settings is None:
        kinds = {
            KeyRole.OWNER: (KeyKind.SECP256K1, "file:keys/owner.json"),
            KeyRole.WRITER: (KeyKind.SECP256K1, "file:keys/writer.json"),
            KeyRole.ASSERTION: (KeyKind.ED25519, "file:keys/assertion-1.json"),
        }
        made = {
            role: make_key(kind, place.folder, uri, place.passphrase) for role, (kind, uri) in kinds.items()
        }
        identity = ethereum_address(parse_multikey(made[KeyRole.OWNER]))
        did = did_ethr(network.chain_id, identity)
        settings = IssuerSettings(
            did=did,
            name=name,
            url=check_url(url),
            chain=network.chain,
            identity=identity,
            did_registry=network.did_registry,
            credential_registry=network.credential_registry,
            created_at=now_utc(),
        )
        async with place.store.transaction() as transaction:
            await transaction.issuer.save(settings)
            for role, multibase in made.items():
                # The owner owns its identity by ERC-1056 from the beginning; the others are to be registered.
                state = KeyState.ACTIVE if role is KeyRole.OWNER else KeyState.PREPARED
                await transaction.keys.add(_key(multibase, role, kinds[role][1], state, settings))
    elif settings.chain != network.chain or settings.credential_registry != network.credential_registry:
        raise Conflict(f"the issuer here has its identity on {settings.chain}, not on {network.chain}")
    return Issuer(place.store, settings, Keyring(place.folder, place.passphrase), standards, chain)


async def register(issuer: Issuer, *, suspendable: bool = False) -> None:
    """Step 4: ask for whatever was not asked for yet; the worker carries it to the chain.

    A writer whose roles end soon is renewed.
    """
    from node.services import registration  # noqa: PLC0415 - web3 is not for issuers without a chain

    ending = await _ending_writers(issuer)
    async with issuer.store.transaction() as transaction:
        for key in await transaction.keys.all():
            if key.role is KeyRole.ASSERTION:
                await registration.register_key(issuer, transaction, key)
            elif key.role is KeyRole.WRITER:
                await registration.register_writer(issuer, transaction, key)
        for key in ending:
            await registration.renew_writer(issuer, transaction, key)
    for purpose in (REVOCATION, SUSPENSION) if suspendable else (REVOCATION,):
        await status_lists.ensure_list(issuer, purpose)


async def _ending_writers(issuer: Issuer) -> list[IssuerKey]:
    async with issuer.store.reading() as reading:
        active = [key for key in await reading.keys.all(KeyRole.WRITER) if key.state is KeyState.ACTIVE]
    if not active:
        return []
    finalized = await issuer.require_chain().finalized()
    return [key for key in active if ends_soon(issuer, await writer_record(issuer, key, finalized))]


async def shortages(issuer: Issuer, second: ChainAccess | None = None) -> list[Shortage]:
    """Which of owner and writer lack ether for what is ahead of them, at twice the present price of gas.

    On the issuer's own chain, or on a second one, where the owner gives the writer its role and does nothing else.
    """
    chain = second or issuer.require_chain()
    owner_gas = OWNER_GAS
    if second is not None:
        owner_gas = 0 if await may_anchor(issuer, second) else SET_WRITER_GAS
    client = chain.client
    fees = await client.fees()
    async with issuer.store.reading() as reading:
        keys = [*await reading.keys.all(KeyRole.OWNER), *await writers_in_use(reading)]
    found = []
    for key in keys:
        gas = owner_gas if key.role is KeyRole.OWNER else WRITER_GAS
        balance = await client.balance(address_of(key))
        if balance < (needed := gas * fees.max_fee_per_gas):
            found.append(Shortage(chain.network.chain, key.role, address_of(key), balance, needed))
    return found


async def fund(chain: ChainAccess, faucet_key: bytes, lacking: Sequence[Shortage]) -> None:
    """Send ten times what is lacking from the faucet of a development chain."""
    from node.chain.transactions import Transactions, transfer  # noqa: PLC0415

    calls = [transfer(shortage.address, 10 * shortage.needed) for shortage in lacking]
    if calls:
        await Transactions(chain.client).send_all(calls, faucet_key)


async def _known_settings(place: Place) -> IssuerSettings | None:
    async with place.store.reading() as reading:
        return await reading.issuer.load()


def _key(multibase: str, role: KeyRole, uri: str, state: KeyState, settings: IssuerSettings) -> IssuerKey:
    of_did_key = role is KeyRole.ASSERTION and settings.identity is None
    return IssuerKey(
        multibase=multibase,
        role=role,
        uri=uri,
        verification_method=f"{settings.did}#{multibase}" if of_did_key else None,
        delegate=None,
        state=state,
        valid_from=None,
        valid_until=None,
        created_at=settings.created_at,
    )
