"""The issuer's own record, and single pieces of it, as files.

The record is NDJSON, one line a thing, so that it can be read with any tool when this software is gone: credentials as
signed, where each is anchored, and of evidence kinds and sizes but not the bytes, which are the learners'.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO, Final

import orjson

from node.core.anchor import CREDENTIAL
from node.core.did.ethr import document_from_events
from node.core.did.ethr_identity import parse_did_ethr
from node.core.did.key import resolve_did_key
from node.core.encoding import encode_base64url, encode_hex
from node.core.errors import Misconfigured, NotFound, Unavailable
from node.core.evm import registry
from node.core.evm.checkpoint import Checkpoint
from node.core.evm.claim import KINDS as CLAIMED_KINDS
from node.core.evm.claim import MAX_ITEMS, Claim, ClaimedAnchor, ClaimedKey, ClaimedList
from node.core.jose.domain_linkage import did_configuration, origin_of, prepare_linkage
from node.core.keys import parse_multikey
from node.core.securing import KINDS, VC_JWT
from node.core.strict_json import JsonObject
from node.core.times import format_datetime_stamp
from node.outbound.resolve import RegistryEndpoint, fetch_ethr_history
from node.services import bundles, lookup, witness
from node.services.issuer import Issuer, address_of, purposes_of
from node.services.securing import issued_value
from node.storage.protocols.batches import AnchoredPlace, BatchTally
from node.storage.protocols.credentials import CredentialRecord, StoredEvidence
from node.storage.protocols.issuer import IssuerKey, KeyRole
from node.storage.protocols.outbox import OWN_CHAIN, TransactionState
from node.storage.protocols.status_lists import StatusChange, StatusList
from node.storage.protocols.store import Transaction

MAX_CHECKPOINT_HEADERS: Final = 5000
_LINKED_FOR: Final = timedelta(days=365)
# It may be signed when it is asked for, and the clock of who asks may be behind ours.
_BEHIND: Final = timedelta(hours=1)


async def bundle_json(issuer: Issuer, name: str) -> bytes:
    """The bundle of a credential, proven now where the chain can be asked, else as it was proven last."""
    digest = await lookup.find_digest(issuer, name)
    bundle = await bundles.load_bundle(issuer, digest, max_age_seconds=-1)
    if bundle is None:
        raise NotFound(f"{name} is not final on the chain yet: run `issuer anchor`")
    return orjson.dumps(bundle.to_json())


async def document_json(issuer: Issuer, name: str) -> bytes:
    """The credential alone, byte for byte as it was signed; of a token its text."""
    record = await lookup.find_credential(issuer, name)
    if record.signed is None:
        raise NotFound(f"{name} is not signed yet")
    credential = issued_value(record.signed.document)
    return credential.encode("ascii") if isinstance(credential, str) else record.signed.document


async def did_document_json(issuer: Issuer) -> bytes:
    """The issuer's DID document as it stands now."""
    if not issuer.on_chain:
        return orjson.dumps(resolve_did_key(issuer.settings.did).raw, option=orjson.OPT_INDENT_2)
    chain = issuer.require_chain()
    finalized = await chain.finalized()
    endpoint = RegistryEndpoint(chain.client, chain.network.did_registry)
    history = await fetch_ethr_history(endpoint, issuer.identity, block=finalized.hash)
    result = document_from_events(
        parse_did_ethr(issuer.settings.did),
        history.events,
        block_time=finalized.timestamp,
        at_block=finalized.number,
    )
    return orjson.dumps(result.document.raw, option=orjson.OPT_INDENT_2)


async def did_configuration_json(issuer: Issuer, origin: str | None = None) -> bytes:
    """What an origin, by default that of the issuer's URL, serves to say that the DID is its own; signed for a year."""
    key = await issuer.signing_key(kinds=KINDS[VC_JWT])
    now = issuer.clock()
    prepared = prepare_linkage(
        issuer.settings.did,
        origin or origin_of(issuer.settings.url),
        key.signer.public_key,
        key.verification_method,
        begins=now - _BEHIND,
        ends=now + _LINKED_FOR,
    )
    token = prepared.finish(key.signer.sign(prepared.message))
    return orjson.dumps(did_configuration([token]), option=orjson.OPT_INDENT_2)


async def checkpoint_json(issuer: Issuer) -> bytes:
    """A checkpoint file of the chain's series up to the finalized block, at most the newest 5,000 of it.

    Unsigned: whoever takes it over takes the issuer's word for its chain, as with a file named on a command line.
    """
    chain = issuer.require_chain()
    client, network = chain.client, chain.network
    newest = (await chain.finalized()).number // network.step
    oldest = max(0, newest - MAX_CHECKPOINT_HEADERS + 1)
    numbers = [index * network.step for index in range(oldest, newest + 1)]
    found = await client.headers(numbers)
    missing = [number for number in numbers if number not in found]
    if missing:
        raise Unavailable(f"chain endpoint {client.host} has no block {missing[0]}", asked=client.host)
    headers = [(number, found[number].hash) for number in numbers]
    # Heads of the series only ever grow, so the newest index is a sequence that grows with them.
    checkpoint = Checkpoint(network.chain_id, network.genesis, network.step, newest, tuple(headers))
    return orjson.dumps(checkpoint.to_json())


async def audit_json(issuer: Issuer) -> bytes:
    """What the issuer's database says was written to the chain, for `bonafides audit --against`: kinds and sizes."""
    if not issuer.on_chain:
        raise Misconfigured("this issuer has no identity on a chain: there is nothing to audit")
    async with issuer.store.reading() as reading:
        keys = await reading.keys.all()
        finals = await reading.outbox.in_state(TransactionState.FINAL, limit=MAX_ITEMS, chain=OWN_CHAIN)
        claim = Claim(
            did=issuer.settings.did,
            exported=issuer.clock(),
            anchors=tuple(map(_claimed_anchor, await reading.batches.tallies())),
            keys=tuple(_claimed_key(key) for key in keys if key.valid_from and key.role is KeyRole.ASSERTION),
            lists=tuple(
                [await _claimed_list(reading, one) for one in await reading.status_lists.all() if one.is_open]
            ),
            writers=frozenset(address_of(key) for key in keys if key.role is KeyRole.WRITER),
            closed=any(entry.purpose == "close" for entry in finals),
            transactions=await reading.outbox.signed(),
            witnessed=witness.commitments(finals),
        )
    return orjson.dumps(claim.to_json())


def _claimed_anchor(tally: BatchTally) -> ClaimedAnchor:
    entries = {CLAIMED_KINDS[kind]: number for kind, number in tally.kinds.items()}
    return ClaimedAnchor(tally.batch.size, tally.batch.root, entries)


def _claimed_key(key: IssuerKey) -> ClaimedKey:
    return ClaimedKey(key.multibase, int(purposes_of(parse_multikey(key.multibase))))


async def _claimed_list(reading: Transaction, one: StatusList) -> ClaimedList:
    words = await reading.status_lists.effective_words(one.list_id)
    bits = {word: int.from_bytes(data, "big") for word, data in words.items()}
    mode = registry.MODES[one.purpose]
    return ClaimedList(one.purpose, one.url, mode, one.log2_entries, one.status_size, bits)


async def write_records(issuer: Issuer, folder: Path) -> None:
    """Write `issuer.json` and `credentials.ndjson` into a new or empty folder."""
    with _new_record(issuer, folder) as file:
        async for line in _records(issuer):
            await asyncio.to_thread(file.write, orjson.dumps(line) + b"\n")


def _new_record(issuer: Issuer, folder: Path) -> BinaryIO:
    settings = issuer.settings
    registry = settings.credential_registry
    about = {
        "did": settings.did,
        "name": settings.name,
        "url": settings.url,
        "chain": settings.chain,
        "credentialRegistry": None if registry is None else encode_hex(registry),
        "exported": format_datetime_stamp(issuer.clock()),
    }
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise Misconfigured(f"{folder} is not empty")
        with _private(folder / "issuer.json") as file:
            file.write(orjson.dumps(about, option=orjson.OPT_INDENT_2) + b"\n")
        return _private(folder / "credentials.ndjson")
    except OSError as error:
        raise Misconfigured(f"{folder} cannot be written: {error.strerror}") from error


def _private(file: Path) -> BinaryIO:
    """A new file for its owner alone: the record is about people."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    return open(descriptor, "wb")  # noqa: PTH123 - the descriptor carries the mode


async def _records(issuer: Issuer) -> AsyncIterator[JsonObject]:
    after = ""
    while True:
        async with issuer.store.reading() as reading:
            page = await reading.credentials.page(after=after)
            lines = [await _line(reading, record) for record in page]
        for line in lines:
            yield line
        if not page:
            return
        after = page[-1].intent.credential_id


async def _line(reading: Transaction, record: CredentialRecord) -> JsonObject:
    intent, signed = record.intent, record.signed
    line: JsonObject = {
        "id": intent.credential_id,
        "cohort": intent.cohort,
        "row": intent.row_key,
        "state": str(record.state),
        "created": format_datetime_stamp(intent.created_at),
        "changes": [_change(change) for change in await reading.status_lists.changes(intent.credential_id)],
        "evidence": [
            _evidence(item) for item in await reading.evidence.load(intent.credential_id, with_data=False)
        ],
    }
    if signed is None:
        return line
    line |= {
        "signed": format_datetime_stamp(signed.signed_at),
        "digest": encode_hex(signed.digest),
        "key": signed.key_multibase,
        "document": signed.document.decode("utf-8"),
    }
    place = await reading.batches.find_place(CREDENTIAL, signed.digest)
    return line if place is None else line | {"anchor": _anchor(place)}


def _change(change: StatusChange) -> JsonObject:
    return {
        "purpose": change.purpose,
        "value": change.value,
        "reason": change.reason,
        "by": change.requested_by,
        "at": format_datetime_stamp(change.requested_at),
        "state": str(change.state),
    }


def _evidence(item: StoredEvidence) -> JsonObject:
    return {
        "index": item.index,
        "leaf": encode_hex(item.leaf),
        "name": item.name,
        "mediaType": item.media_type,
        "genre": item.genre,
        "erased": item.erased_at is not None,
    }


def _anchor(anchored: AnchoredPlace) -> JsonObject:
    place, batch = anchored.place, anchored.batch
    return {
        "salt": encode_base64url(place.salt),
        "index": place.index,
        "size": batch.size,
        "path": [encode_hex(digest) for digest in place.path],
        "commitment": encode_hex(batch.commitment),
        "state": None if batch.state is None else str(batch.state),
        "block": batch.block_number,
    }
