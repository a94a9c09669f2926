"""What the issuer's identity holds on the chain: keys, writers, status lists; asked for, and read back.

Calls go into the outbox together with the state that says so, in one transaction: asked for twice is sent once. What
became of them is read from storage slots at the finalized block, never from a receipt, so a database that was
restored from a backup finds out what the chain knows already.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from node.chain.transactions import Call, CredentialRegistryCalls, DidRegistryCalls
from node.core.did.ethr import delegate_number
from node.core.errors import Conflict, NotFound, Unavailable
from node.core.evm import registry
from node.core.evm.header import Header
from node.core.evm.keccak import keccak256
from node.core.evm.registry import KeyWindow, ListRecord, WriterRole
from node.core.jose.domain_linkage import LINKED_DOMAINS
from node.core.keys import parse_multikey
from node.outbound.resolve import RegistryEndpoint, fetch_ethr_history
from node.services.issuer import Issuer, address_of, purposes_of
from node.services.writers import former_writers, has_ended, writer_record
from node.storage.protocols.issuer import IssuerKey, KeyRole, KeyState
from node.storage.protocols.outbox import OWN_CHAIN, OutboxEntry, TransactionState
from node.storage.protocols.status_lists import ListMode, StatusList
from node.storage.protocols.store import Transaction

# The name under which an ERC-1056 registry lists an assertion key.
ATTRIBUTE: Final = "did/pub/Multikey/veriKey"
DOMAIN_ATTRIBUTE: Final = f"did/svc/{LINKED_DOMAINS}"
# "For good": retiring is the CredentialRegistry's business; an attribute that ran out would end old badges
# for those who only read ERC-1056.
ATTRIBUTE_VALIDITY_SECONDS: Final = 100 * 365 * 24 * 3600
WRITER_VALIDITY: Final = timedelta(days=10 * 365)
WRITER_ROLES: Final = WriterRole.ANCHOR | WriterRole.REVOKE | WriterRole.SUSPEND
SET_WRITER: Final = "set_writer"
_IDENTITY_OWNER: Final = keccak256(b"identityOwner(address)")[:4]
_MODES: Final = {
    ListMode.OR_ONLY: registry.MODE_OR_ONLY,
    ListMode.SETTABLE: registry.MODE_SETTABLE,
}


async def owner_of(transaction: Transaction) -> IssuerKey:
    """The owner's key, whose address is the identity."""
    return (await transaction.keys.all(KeyRole.OWNER))[0]


async def writer_of(transaction: Transaction) -> IssuerKey:
    """The writer's key; Conflict before `issuer init` is through, and while another takes its place."""
    writer = await transaction.keys.active(KeyRole.WRITER)
    if writer is not None:
        return writer
    if await former_writers(transaction):
        raise Conflict("the new writer is not final on the chain yet: run `issuer anchor`, then this again")
    raise Conflict("no writer is registered yet: finish `issuer init`")


async def register_key(issuer: Issuer, transaction: Transaction, key: IssuerKey) -> None:
    """Ask for an assertion key to be listed by ERC-1056 and opened in the CredentialRegistry; once."""
    if key.state is not KeyState.PREPARED:
        return
    public_key = parse_multikey(key.multibase)
    data = public_key.multicodec_bytes
    purposes = purposes_of(public_key)
    did_registry, credential_registry = _registries(issuer)
    calls = (
        (
            "set_attribute",
            did_registry.set_attribute(issuer.identity, ATTRIBUTE, data, ATTRIBUTE_VALIDITY_SECONDS),
        ),
        ("add_key", credential_registry.add_key(issuer.identity, data, int(purposes))),
    )
    for purpose, call in calls:
        await ask_as_owner(issuer, transaction, purpose, call)
    await transaction.keys.move(key.multibase, KeyState.ADDING)


async def register_writer(issuer: Issuer, transaction: Transaction, key: IssuerKey) -> None:
    """Ask for a writer's roles; once."""
    if key.state is KeyState.PREPARED:
        await _set_writer(issuer, transaction, key)
        await transaction.keys.move(key.multibase, KeyState.ADDING)


async def remove_writer(issuer: Issuer, transaction: Transaction, key: IssuerKey) -> None:
    """Ask for a writer's roles to be taken away. From here on nothing is signed with its key."""
    _, credential_registry = _registries(issuer)
    call = credential_registry.set_writer(issuer.identity, address_of(key), 0, 0)
    await ask_as_owner(issuer, transaction, SET_WRITER, call)
    if key.state is KeyState.ACTIVE:
        await transaction.keys.move(key.multibase, KeyState.RETIRING)


async def renew_writer(issuer: Issuer, transaction: Transaction, key: IssuerKey) -> None:
    """Ask for a writer's roles for another ten years, unless that is under way already, or it was replaced."""
    current = await transaction.keys.load(key.multibase)
    if current is None or current.state is not KeyState.ACTIVE:
        return
    owner = address_of(await owner_of(transaction))
    under_way = await transaction.outbox.unfinished(owner, limit=1000)
    if all(entry.purpose != SET_WRITER for entry in under_way):
        await _set_writer(issuer, transaction, key)


async def _set_writer(issuer: Issuer, transaction: Transaction, key: IssuerKey) -> None:
    _, credential_registry = _registries(issuer)
    until = int((issuer.clock() + WRITER_VALIDITY).timestamp())
    call = credential_registry.set_writer(issuer.identity, address_of(key), int(WRITER_ROLES), until)
    await ask_as_owner(issuer, transaction, SET_WRITER, call)


async def retire_key(issuer: Issuer, transaction: Transaction, key: IssuerKey) -> None:
    """Ask for a key's window to be closed, unless that is under way already."""
    _, credential_registry = _registries(issuer)
    call = credential_registry.retire_key(issuer.identity, parse_multikey(key.multibase).multicodec_bytes)
    await _ask_unless_under_way(issuer, transaction, "retire_key", call)


async def link_origin(issuer: Issuer, transaction: Transaction, origin: str) -> None:
    """Ask for the DID document to say that a web origin is the DID's own, unless that is under way already."""
    did_registry, _ = _registries(issuer)
    call = did_registry.set_attribute(
        issuer.identity, DOMAIN_ATTRIBUTE, origin.encode(), ATTRIBUTE_VALIDITY_SECONDS
    )
    await _ask_unless_under_way(issuer, transaction, "link_origin", call)


async def unlink_origin(issuer: Issuer, transaction: Transaction, origin: str) -> None:
    """Ask for what `link_origin` did to be undone, unless that is under way already."""
    did_registry, _ = _registries(issuer)
    call = did_registry.revoke_attribute(issuer.identity, DOMAIN_ATTRIBUTE, origin.encode())
    await _ask_unless_under_way(issuer, transaction, "unlink_origin", call)


async def _ask_unless_under_way(issuer: Issuer, transaction: Transaction, purpose: str, call: Call) -> None:
    owner = address_of(await owner_of(transaction))
    under_way = await transaction.outbox.unfinished(owner, limit=1000)
    if all(entry.data != call.data for entry in under_way):
        await ask_as_owner(issuer, transaction, purpose, call)


async def compromise_key(issuer: Issuer, transaction: Transaction, key: IssuerKey, since: int) -> None:
    """Ask for a key to be declared compromised since a block, and taken out of the DID document; the former again for
    an earlier block, unless a declaration is under way already. It signs nothing from here on.
    """
    if key.state is KeyState.COMPROMISING:
        return
    _, credential_registry = _registries(issuer)
    data = parse_multikey(key.multibase).multicodec_bytes
    call = credential_registry.compromise_key(issuer.identity, data, since)
    await ask_as_owner(issuer, transaction, "compromise_key", call)
    if key.state is not KeyState.COMPROMISED:
        await revoke_attribute(issuer, transaction, key)
        await transaction.keys.move(key.multibase, KeyState.COMPROMISING)


async def revoke_attribute(issuer: Issuer, transaction: Transaction, key: IssuerKey) -> None:
    """Ask for a key to be taken out of the DID document; once."""
    did_registry, _ = _registries(issuer)
    data = parse_multikey(key.multibase).multicodec_bytes
    call = did_registry.revoke_attribute(issuer.identity, ATTRIBUTE, data)
    if await transaction.outbox.find("revoke_attribute", call.data) is None:
        await ask_as_owner(issuer, transaction, "revoke_attribute", call)


async def ask_as_owner(issuer: Issuer, transaction: Transaction, purpose: str, call: Call) -> OutboxEntry:
    """Put a call of the owner's into the outbox."""
    owner = address_of(await owner_of(transaction))
    return await transaction.outbox.add(purpose, owner, call.to, call.data, issuer.clock())


async def open_list(issuer: Issuer, transaction: Transaction, status_list: StatusList) -> None:
    """Record a list and ask for it to be opened; the owner does, so that it need not wait for the writer."""
    _, credential_registry = _registries(issuer)
    await transaction.status_lists.add(status_list)
    call = credential_registry.open_list(
        issuer.identity,
        status_list.list_id,
        _MODES[status_list.mode],
        status_list.log2_entries,
        status_list.status_size,
    )
    entry = await ask_as_owner(issuer, transaction, "open_list", call)
    await transaction.status_lists.attach(status_list.list_id, entry.id)


async def settle(issuer: Issuer, finalized: Header) -> bool:
    """Record what stands on the chain at the finalized block; whether anything was new."""
    async with issuer.store.reading() as reading:
        keys = await reading.keys.all()
        lists = await reading.status_lists.all()
    changed = False
    for key in keys:
        if key.role is KeyRole.ASSERTION and key.state is KeyState.ADDING:
            changed |= await _settle_added(issuer, key, finalized)
        elif key.role is KeyRole.WRITER and key.state is KeyState.ADDING:
            changed |= await _settle_writer(issuer, key, finalized)
        elif key.role is KeyRole.WRITER and key.state is KeyState.RETIRING:
            changed |= await _settle_former(issuer, key, finalized)
        elif key.role is KeyRole.OWNER and key.state is KeyState.RETIRING:
            changed |= await _settle_owner(issuer, key, finalized)
        elif key.state in (KeyState.RETIRING, KeyState.COMPROMISING):
            changed |= await _settle_ended(issuer, key, finalized)
    for status_list in lists:
        if not status_list.is_open:
            changed |= await _settle_list(issuer, status_list, finalized)
    return changed


async def _slot(issuer: Issuer, slot: bytes, finalized: Header) -> int:
    return await issuer.require_chain().slot(finalized, slot)


async def learn_ends(issuer: Issuer, finalized: Header) -> None:
    """Take the keys out of use that have ended on the chain while the database takes them for active.

    It was restored from before the end, or the owner's key was used elsewhere: what such a key signs now is void.
    """
    async with issuer.store.reading() as reading:
        keys = [key for key in await reading.keys.all(KeyRole.ASSERTION) if key.state is KeyState.ACTIVE]
    for key in keys:
        window = await key_window(issuer, key, finalized)
        if window.until:
            state = KeyState.COMPROMISING if window.compromised_since else KeyState.RETIRING
            async with issuer.store.transaction() as transaction:
                await transaction.keys.move(key.multibase, state)


async def owner_at(issuer: Issuer, header: Header) -> bytes:
    """Who owns the identity by ERC-1056 at a block, by the endpoint's word; 20 bytes."""
    chain = issuer.require_chain()
    data = _IDENTITY_OWNER + issuer.identity.rjust(32, b"\0")
    answer = await chain.client.call(chain.network.did_registry, data, header.hash)
    if len(answer) != 32:
        raise Unavailable("there is no DID registry at the address in the table", asked=chain.client.host)
    return answer[12:]


async def key_window(issuer: Issuer, key: IssuerKey, header: Header) -> KeyWindow:
    """The window of an assertion key as it stands at a block, proven."""
    data = parse_multikey(key.multibase).multicodec_bytes
    return KeyWindow.from_word(await _slot(issuer, registry.key_slot(issuer.identity, data), header))


async def _settle_added(issuer: Issuer, key: IssuerKey, finalized: Header) -> bool:
    window = await key_window(issuer, key, finalized)
    if not window.valid_from:
        return False
    chain = issuer.require_chain()
    endpoint = RegistryEndpoint(chain.client, chain.network.did_registry)
    history = await fetch_ethr_history(endpoint, issuer.identity, block=finalized.hash)
    try:
        number = delegate_number(
            history.events,
            parse_multikey(key.multibase),
            block_time=finalized.timestamp,
            at_block=finalized.number,
        )
    except NotFound:
        return False
    async with issuer.store.transaction() as transaction:
        await transaction.keys.move(
            key.multibase,
            KeyState.ACTIVE,
            valid_from=window.valid_from,
            delegate=number,
            verification_method=f"{issuer.settings.did}#delegate-{number}",
        )
    return True


async def _settle_owner(issuer: Issuer, key: IssuerKey, finalized: Header) -> bool:
    if await owner_at(issuer, finalized) == address_of(key):
        return False
    async with issuer.store.transaction() as transaction:
        await transaction.keys.move(key.multibase, KeyState.RETIRED)
    return True


async def _settle_writer(issuer: Issuer, key: IssuerKey, finalized: Header) -> bool:
    record = await writer_record(issuer, key, finalized)
    if WRITER_ROLES & ~record.roles:
        return False
    async with issuer.store.transaction() as transaction:
        await transaction.keys.move(key.multibase, KeyState.ACTIVE, valid_from=finalized.number)
    return True


async def _settle_former(issuer: Issuer, key: IssuerKey, finalized: Header) -> bool:
    if not await has_ended(issuer, key, finalized):
        return False
    async with issuer.store.transaction() as transaction:
        if await _calls_of(transaction, address_of(key)):
            return False  # what it left is the next writer's to do
        await transaction.keys.move(key.multibase, KeyState.RETIRED, valid_until=finalized.number)
    return True


async def _calls_of(transaction: Transaction, sender: bytes) -> int:
    """How many calls of a sender are not final, those that are set aside among them."""
    parked = await transaction.outbox.in_state(TransactionState.PARKED, 1000, OWN_CHAIN)
    under_way = await transaction.outbox.unfinished(sender, limit=1000)
    return len(under_way) + sum(entry.sender == sender for entry in parked)


async def _settle_ended(issuer: Issuer, key: IssuerKey, finalized: Header) -> bool:
    window = await key_window(issuer, key, finalized)
    is_loss = key.state is KeyState.COMPROMISING
    if not (window.compromised_since if is_loss else window.until):
        return False
    ended = KeyState.COMPROMISED if is_loss else KeyState.RETIRED
    async with issuer.store.transaction() as transaction:
        await transaction.keys.move(key.multibase, ended, valid_until=window.until)
    return True


async def _settle_list(issuer: Issuer, status_list: StatusList, finalized: Header) -> bool:
    slot = registry.list_slot(issuer.identity, status_list.list_id)
    record = ListRecord.from_word(await _slot(issuer, slot, finalized))
    if not record.mode:
        return False
    asked_for = (_MODES[status_list.mode], status_list.log2_entries, status_list.status_size)
    if (record.mode, record.log2_entries, record.status_size) != asked_for:
        raise Conflict(f"the list {status_list.url} was opened on the chain in another form")
    async with issuer.store.transaction() as transaction:
        await transaction.status_lists.mark_open(status_list.list_id, record.opened)
    return True


def _registries(issuer: Issuer) -> tuple[DidRegistryCalls, CredentialRegistryCalls]:
    settings = issuer.settings
    if settings.did_registry is None or settings.credential_registry is None:
        raise Conflict("this issuer has no registries: it was made without a chain")
    return DidRegistryCalls(settings.did_registry), CredentialRegistryCalls(settings.credential_registry)
