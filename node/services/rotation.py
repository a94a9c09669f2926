"""`key rotate` in the safe order (FORMATS.md section 11): add → final → sign only with the new key → every batch
signed with the old one final → retire.

The states of the keys are the whole story, so a rotation that was interrupted goes on with the next tick of
whatever runs, a server or the command called again:

    new PREPARED → ADDING → ACTIVE       asked for, final on the chain
    old ACTIVE → RETIRING                as soon as the new one is active; signs nothing from here on
    old RETIRING → retire_key → RETIRED  when nothing that it signed waits for its anchor

What was signed before is recorded only while its key is active, in the transaction that looks (`issuance.py`), so no
signature of the old key appears behind the count. The ERC-1056 attribute stays: strangers still verify old badges.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Final

from node import keystore
from node.core.errors import Conflict, Misconfigured
from node.core.keys import KeyKind
from node.services import status_lists
from node.services.issuer import Issuer
from node.storage.base import IssuerKey, KeyRole, KeyState, Transaction

# In which a command that was interrupted is run again by hand.
_LATELY: Final = timedelta(hours=24)
_WAITING: Final = (KeyState.PREPARED, KeyState.ADDING, KeyState.RETIRING)


async def begin(issuer: Issuer, folder: Path, passphrase: str) -> IssuerKey:
    """Make a new assertion key and ask for it to be added; a rotation under way is gone on with instead.

    `folder` is the issuer's. Returns the new key as it is now.
    """
    from node.services import registration  # noqa: PLC0415 - web3 is slow to import

    if not issuer.on_chain:
        raise Misconfigured("a did:key is its key: an issuer without a chain cannot rotate it")
    async with issuer.store.reading() as reading:
        keys = await reading.keys.all(KeyRole.ASSERTION)
    active = [key for key in keys if key.state is KeyState.ACTIVE]
    if len(active) > 1 or any(key.state in _WAITING for key in keys):
        return keys[-1]
    uri = f"file:keys/assertion-{len(keys) + 1}.json"
    public_key = make_key(KeyKind.ED25519, folder, uri, passphrase)
    key = IssuerKey(
        multibase=public_key,
        role=KeyRole.ASSERTION,
        uri=uri,
        verification_method=None,
        delegate=None,
        state=KeyState.PREPARED,
        valid_from=None,
        valid_until=None,
        created_at=issuer.clock(),
    )
    async with issuer.store.transaction() as transaction:
        await transaction.keys.add(key)
        await registration.register_key(issuer, transaction, key)
        return await transaction.keys.load(key.multibase) or key


async def finished_lately(issuer: Issuer) -> IssuerKey | None:
    """The key of a rotation of the last day that is through, None where there is none or one is under way.

    Whoever ran the command and was interrupted may not know that a server has finished it.
    """
    async with issuer.store.reading() as reading:
        keys = await reading.keys.all(KeyRole.ASSERTION)
    if len(keys) < 2 or any(key.state in _WAITING for key in keys) or keys[-2].state is KeyState.ACTIVE:
        return None
    return keys[-1] if issuer.clock() - keys[-1].created_at < _LATELY else None


def make_key(kind: KeyKind, folder: Path, uri: str, passphrase: str) -> str:
    """The multibase of the key at `uri`, made now or, after a crash before it was recorded, found there."""
    path = folder / uri.removeprefix("file:")
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        return keystore.create_key(kind, path, passphrase).multibase
    except Conflict:
        signer = keystore.open_signer(f"file:{path}", passphrase)
        if signer.public_key.kind is not kind:
            raise
        return signer.public_key.multibase


async def advance(issuer: Issuer) -> None:
    """Take the next step of a rotation that was begun, if there is one to take."""
    async with issuer.store.reading() as reading:
        keys = await reading.keys.all(KeyRole.ASSERTION)
    active = [key for key in keys if key.state is KeyState.ACTIVE]
    if len(active) > 1:
        async with issuer.store.transaction() as transaction:
            for key in active[:-1]:
                await transaction.keys.move(key.multibase, KeyState.RETIRING)
        await status_lists.publish_due(issuer)
    for key in keys:
        if key.state is KeyState.RETIRING or (key in active[:-1]):
            await _retire_when_anchored(issuer, key)


async def _retire_when_anchored(issuer: Issuer, key: IssuerKey) -> None:
    from node.services import registration  # noqa: PLC0415

    async with issuer.store.transaction() as transaction:
        current = await transaction.keys.load(key.multibase)
        if current is None or current.state is not KeyState.RETIRING:
            return
        if await transaction.batches.unanchored_of_key(key.multibase):
            return
        await registration.retire_key(issuer, transaction, key)


async def is_settling(reading: Transaction) -> bool:
    """Whether a key or writer waits for the chain."""
    return any(key.state in _WAITING for key in await reading.keys.all())
