"""Credentials as Blockcerts v3: the same words under a MerkleProof2019 (`merkle-proof-2019`), for those verifiers.

    documents    what was signed, without its proof, as a BlockcertsCredential; one tree over all, by id
    sent         the root, in a transaction of the identity's owner to itself: the key that a DID document names as
                 `#controller`; asked for once, since the outbox is looked at for this very root first
    written      as soon as that transaction is final, one file a credential

A run that was interrupted is simply run again: the same credentials have the same root. Left alone are anchors, keys
and statuses on the registry: who reads a Blockcert judges it by its own rules.
"""

from __future__ import annotations

import os
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson

from node.core.dataintegrity import unsecured
from node.core.dataintegrity.merkle_proof_2019 import (
    CRYPTOSUITE,
    MerkleProof,
    encode_proof_value,
    merkle_paths,
    target_hash,
    transaction,
)
from node.core.dataintegrity.proof import DATA_INTEGRITY_PROOF
from node.core.did.document import ASSERTION_METHOD
from node.core.errors import Malformed, Misconfigured, NotFound
from node.core.securing import SELECTIVE
from node.core.strict_json import JsonObject
from node.core.times import format_datetime_stamp
from node.services import lookup, registration
from node.services.issuer import Issuer, address_of
from node.services.securing import read_issued, securing_of
from node.storage.protocols.credentials import CredentialRecord, CredentialState
from node.storage.protocols.outbox import OutboxEntry, TransactionState

CONTEXT: Final = "https://w3id.org/blockcerts/v3.2"
TYPE: Final = "BlockcertsCredential"
_OF_BADGES: Final = frozenset({"awardedDate"})
PURPOSE: Final = "blockcerts"
"""What the outbox calls the transaction."""
_NOT_IN_NAMES: Final = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class Blockcerts:
    """Documents to be proven together, in the order of their ids."""

    documents: tuple[JsonObject, ...]
    targets: tuple[bytes, ...]
    root: bytes


async def prepare(issuer: Issuer, names: Sequence[str], cohort: str | None) -> Blockcerts:
    """The tree over the credentials named, or over all of a cohort that are signed.

    Misconfigured for a chain that Blockcerts has no name for; NotFound where nothing is signed; Malformed for what is
    shown in part, of which the whole would lie open.
    """
    try:
        transaction(issuer.require_chain().network.chain_id, bytes(32))
    except Malformed as error:
        raise Misconfigured(error.detail) from error
    records = [await lookup.find_credential(issuer, name) for name in names]
    records += await _of_cohort(issuer, cohort) if cohort is not None else []
    by_id = {record.intent.credential_id: record for record in records}
    documents = tuple([_document(by_id[identifier]) for identifier in sorted(by_id)])
    if not documents:
        raise NotFound("nothing is signed that could be exported")
    targets = tuple([target_hash(one, issuer.standards.canonicalizer) for one in documents])
    return Blockcerts(documents, targets, merkle_paths(targets)[0])


async def send(issuer: Issuer, blockcerts: Blockcerts) -> OutboxEntry:
    """The transaction that carries the root, asked for now or before."""
    async with issuer.store.transaction() as transaction:
        known = await transaction.outbox.find(PURPOSE, blockcerts.root)
        if known is not None:
            return known
        owner = address_of(await registration.owner_of(transaction))
        return await transaction.outbox.add(PURPOSE, owner, owner, blockcerts.root, issuer.clock())


async def export(
    issuer: Issuer, blockcerts: Blockcerts, folder: Path, wait: Callable[[], Awaitable[object]]
) -> list[Path]:
    """Write the files, after `wait` has taken the transaction to the chain and found it final; their paths."""
    entry = await send(issuer, blockcerts)
    if entry.state is not TransactionState.FINAL:
        await wait()
        entry = await send(issuer, blockcerts)
    if entry.state is not TransactionState.FINAL or entry.transaction_hash is None:
        raise Misconfigured("the transaction is not final yet: see `issuer status`, then run this again")
    sent = transaction(issuer.require_chain().network.chain_id, entry.transaction_hash)
    _, paths = merkle_paths(blockcerts.targets)
    written = []
    for document, target, path in zip(blockcerts.documents, blockcerts.targets, paths, strict=True):
        proof = {
            "type": DATA_INTEGRITY_PROOF,
            "cryptosuite": CRYPTOSUITE,
            "created": format_datetime_stamp(entry.created_at),
            "verificationMethod": f"{issuer.settings.did}#controller",
            "proofPurpose": ASSERTION_METHOD,
            "proofValue": encode_proof_value(MerkleProof(blockcerts.root, target, path, (sent,))),
        }
        written.append(_write(folder, document["id"], {**document, "proof": proof}))
    return written


async def _of_cohort(issuer: Issuer, cohort: str) -> list[CredentialRecord]:
    found: list[CredentialRecord] = []
    async with issuer.store.reading() as reading:
        while page := await reading.credentials.page(
            after=found[-1].intent.credential_id if found else "", state=CredentialState.SIGNED, cohort=cohort
        ):
            found += page
    return found


def _document(record: CredentialRecord) -> JsonObject:
    if record.signed is None:
        raise NotFound(f"{record.intent.credential_id} is not signed yet")
    issued = read_issued(record.signed.document)
    if (securing := securing_of(issued)) in SELECTIVE:
        raise Malformed(f"what is secured by {securing} is for its holder to show, and is not exported whole")
    document = unsecured(issued.document)
    base, *others = document["@context"]
    # Before the others, which protect terms that it has as well. There 1EdTech's schema allows it no place, so the file
    # says that it is a Blockcert, whose subject speaks of the badge; what is a member of badges alone falls away.
    said = {name: value for name, value in document.items() if name not in _OF_BADGES}
    return {**said, "@context": [base, CONTEXT, *others], "type": ["VerifiableCredential", TYPE]}


def _write(folder: Path, identifier: str, document: JsonObject) -> Path:
    file = folder / f"{_NOT_IN_NAMES.sub('-', identifier)}.json"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)  # it is about somebody
        with open(descriptor, "wb") as opened:  # noqa: PTH123 - the descriptor carries the mode
            opened.write(orjson.dumps(document, option=orjson.OPT_INDENT_2))
    except OSError as error:
        raise Misconfigured(f"{file} cannot be written: {error.strerror}") from error
    return file
