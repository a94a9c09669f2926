"""`key add`, and `key rotate` in the safe order (FORMATS.md section 11): add → final → sign only with the new key →
every batch signed with the old one final → retire.

Keys of different kinds stand beside each other, and each is rotated by itself. The states of the keys are the whole
story, so a rotation that was interrupted goes on with the next tick of whatever runs, a server or the command called
again:

    new PREPARED → ADDING → ACTIVE       asked for, final on the chain
    old ACTIVE → RETIRING                as soon as the new one is active; signs nothing from here on
    old RETIRING → retire_key → RETIRED  when nothing that it signed waits for its anchor

A key that was declared compromised (`compromise.py`) is out of it, wherever it stood.

What was signed before is recorded only while its key is active, in the transaction that looks (`issuance.py`), so no
signature of the old key appears behind the count. The ERC-1056 attribute stays: strangers still verify old badges.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Final

from node import keystore
from node.core.errors import Conflict, Misconfigured
from node.core.keys import KeyKind, parse_multikey
from node.services import status_lists
from node.services.issuer import Issuer
from node.storage.protocols.issuer import IssuerKey, KeyRole, KeyState
from node.storage.protocols.store import Transaction

# In which a command that was interrupted is run again by hand.
_LATELY: Final = timedelta(hours=24)
_ROTATING: Final = (KeyState.PREPARED, KeyState.ADDING, KeyState.RETIRING)


async def add(issuer: Issuer, folder: Path, passphrase: str, kind: KeyKind) -> IssuerKey:
    """Make the first assertion key of a kind and ask for it to be added; one on its way is gone on with instead.

    `folder` is the issuer's. Conflict where a key of the kind is in use already: it can be rotated.
    """
    keys = await _keys_of(issuer, kind)
    if any(key.state is KeyState.ACTIVE for key in keys):
        raise Conflict(f"a {kind} key is in use: `issuer key rotate --kind …` replaces it")
    return await _begin(issuer, folder, passphrase, kind, keys)


async def begin(issuer: Issuer, folder: Path, passphrase: str, kind: KeyKind = KeyKind.ED25519) -> IssuerKey:
    """Make a new assertion key of a kind and ask for it to be added; a rotation under way is gone on with instead.

    `folder` is the issuer's. Returns the new key as it is now. Conflict where there is no key of the kind.
    """
    keys = await _keys_of(issuer, kind)
    if not keys:
        raise Conflict(f"there is no {kind} key to rotate: `issuer key add --kind …` makes one")
    return await _begin(issuer, folder, passphrase, kind, keys)


async def _begin(
    issuer: Issuer, folder: Path, passphrase: str, kind: KeyKind, keys: Sequence[IssuerKey]
) -> IssuerKey:
    from node.services import registration  # noqa: PLC0415 - web3 is slow to import

    active = [key for key in keys if key.state is KeyState.ACTIVE]
    under_way = len(active) > 1 or any(key.state in _ROTATING for key in keys)
    # One that was lost while it took another's place is itself to be replaced.
    if under_way and keys[-1].state not in (KeyState.COMPROMISING, KeyState.COMPROMISED):
        return keys[-1]
    async with issuer.store.reading() as reading:
        number = len(await reading.keys.all(KeyRole.ASSERTION)) + 1
    uri = f"file:keys/assertion-{number}.json"
    public_key = make_key(kind, folder, uri, passphrase)
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


async def _keys_of(issuer: Issuer, kind: KeyKind) -> list[IssuerKey]:
    """The assertion keys of a kind, oldest first; Misconfigured for an issuer that is its one key."""
    if not issuer.on_chain:
        raise Misconfigured(
            "a did:key is its key: an issuer without a chain can neither rotate it nor have another."
            " `issuer init --did key --kind …` makes another issuer, in another folder"
        )
    async with issuer.store.reading() as reading:
        return _of_kind(await reading.keys.all(KeyRole.ASSERTION), kind)


def _of_kind(keys: Sequence[IssuerKey], kind: KeyKind) -> list[IssuerKey]:
    return [key for key in keys if parse_multikey(key.multibase).kind is kind]


async def finished_lately(issuer: Issuer, kind: KeyKind = KeyKind.ED25519) -> IssuerKey | None:
    """The key of a rotation of the last day that is through, None where there is none or one is under way.

    Whoever ran the command and was interrupted may not know that a server has finished it.
    """
    async with issuer.store.reading() as reading:
        keys = _of_kind(await reading.keys.all(KeyRole.ASSERTION), kind)
    if len(keys) < 2 or keys[-1].state is not KeyState.ACTIVE:
        return None
    if any(key.state in _ROTATING for key in keys) or keys[-2].state is KeyState.ACTIVE:
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
    """Take the next step of each rotation that was begun, if there is one to take."""
    async with issuer.store.reading() as reading:
        keys = await reading.keys.all(KeyRole.ASSERTION)
    active = [key for key in keys if key.state is KeyState.ACTIVE]
    newest = {parse_multikey(key.multibase).kind: key for key in active}
    replaced = [key for key in active if key not in newest.values()]
    if replaced:
        async with issuer.store.transaction() as transaction:
            for key in replaced:
                await transaction.keys.move(key.multibase, KeyState.RETIRING)
        await status_lists.publish_due(issuer)
    for key in keys:
        if key.state is KeyState.RETIRING or key in replaced:
            await _retire_when_anchored(issuer, key)


async def _retire_when_anchored(issuer: Issuer, key: IssuerKey) -> None:
    from node.services import registration  # noqa: PLC0415

    is_anchored = parse_multikey(key.multibase).kind is not KeyKind.BLS12381_G2
    async with issuer.store.transaction() as transaction:
        current = await transaction.keys.load(key.multibase)
        if current is None or current.state is not KeyState.RETIRING:
            return
        # What it signed outlives it for 31 days where nothing is anchored (FORMATS.md section 3).
        if is_anchored and await transaction.batches.unanchored_of_key(key.multibase):
            return
        await registration.retire_key(issuer, transaction, key)


async def is_settling(reading: Transaction) -> bool:
    """Whether a key or writer waits for the chain."""
    return any(key.state in (*_ROTATING, KeyState.COMPROMISING) for key in await reading.keys.all())
