"""Bundles: what a holder needs so that anybody can check a credential without asking us (FORMATS.md section 7).

A bundle is proven at a finalized header as soon as its batch is final, and once more at the next header of the
network's series (a multiple of its `step`), which is the form to keep. What is stored is the proof; credential and
evidence are added when a bundle is handed out, so that erased evidence is gone everywhere. Every bundle is judged by
the engine, as an employer would do it offline, before it is kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import orjson

from node.core.anchor import CREDENTIAL, Anchor, commitment
from node.core.bundle import Bundle, BundleKey, BundleState, parse_bundle
from node.core.encoding import decode_hex
from node.core.errors import Malformed, NotFound, NotVerified, Unavailable
from node.core.evidence import EvidenceItem, ShownEvidence, WithheldEvidence
from node.core.evm import registry
from node.core.evm.checkpoint import Checkpoint
from node.core.evm.header import Header, parse_header
from node.core.evm.network import Network
from node.core.evm.registry import AnchorRecord
from node.core.evm.state_proof import prove_slots
from node.core.keys import parse_multikey
from node.core.merkle.tree import MerkleTree
from node.core.securing import is_anchored
from node.core.status.entry import parse_status_entries
from node.core.strict_json import JsonObject, parse_json_object
from node.core.times import from_unix
from node.core.verify.case import Case
from node.core.verify.holder import Asked
from node.core.verify.intake import shown
from node.core.verify.ledger import Identity, Wanted
from node.core.verify.materials import Inquiry, Materials
from node.core.verify.policy import ANY_ISSUER_UNSAFE
from node.core.verify.report import CheckName, Outcome
from node.core.verify.verifier import Verifier
from node.outbound.blame import at_fault, blaming
from node.outbound.chain import MAX_PROOF_SLOTS
from node.services.derivation import derive_all, is_base, is_for_secrets
from node.services.issuer import Issuer
from node.services.securing import issued_value, method_of, read_issued, securing_of
from node.storage.protocols.batches import AnchoredPlace, StoredBundle
from node.storage.protocols.credentials import CredentialRecord, StoredEvidence
from node.storage.protocols.outbox import TransactionState
from node.storage.protocols.store import Transaction

MAX_AGE_SECONDS: Final = 3600
# What most endpoints still prove.
PROVABLE_BLOCKS: Final = 128
_PER_TICK: Final = 50
_OF_THE_PROOF: Final = (CheckName.PROOF, CheckName.PROOF_PURPOSE)
_MUST_PASS: Final[tuple[CheckName, ...]] = (
    CheckName.CONFORMANCE,
    *_OF_THE_PROOF,
    CheckName.NETWORK,
    CheckName.HEADER,
    CheckName.ANCHOR,
)
_MUST_BE_KNOWN: Final = (CheckName.KEY, CheckName.STATUS)


@dataclass(frozen=True, slots=True)
class _Subject:
    """One credential to be proven: what is known of it, and the slots that decide about it."""

    digest: bytes
    credential: JsonObject | str
    place: AnchoredPlace | None
    """None where nothing is anchored: what is proven is the key."""
    key: BundleKey
    slots: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Proving:
    """What a round of proving came to; `faults` say of which bundles the engine thought otherwise."""

    made: int
    left: int
    faults: tuple[str, ...]


async def prove_due(issuer: Issuer, finalized: Header) -> Proving:
    """Prove what became final and has no bundle, and renew at the series."""
    network = issuer.require_chain().network
    faults: list[str] = []
    async with issuer.store.reading() as reading:
        first = await reading.bundles.due(finalized.number, _PER_TICK + 1, step=1)
    made = len(await _prove(issuer, first[:_PER_TICK], finalized, faults))
    left = len(first) - made - len(faults)
    in_series = network.last_of_series(finalized.number)
    if network.step > 1 and finalized.number - in_series < PROVABLE_BLOCKS:
        async with issuer.store.reading() as reading:
            again = await reading.bundles.due(in_series, _PER_TICK, step=network.step)
        if again:
            header = await issuer.require_chain().client.header(in_series)
            made += len(await _prove(issuer, again, header, faults))
    return Proving(made, left, tuple(faults))


async def make_bundle(issuer: Issuer, digest: bytes) -> Bundle | None:
    """A bundle proven now, with credential and evidence; None while the batch is not final.

    NotFound for a digest that was never issued here; Unavailable where the chain cannot be asked.
    """
    async with issuer.store.reading() as reading:
        record = await _record(reading, digest)
    if not issuer.on_chain:
        return await _complete(issuer, record, None)
    finalized = await issuer.require_chain().finalized()
    faults: list[str] = []
    made = await _prove(issuer, [digest], finalized, faults)
    if faults:
        raise NotVerified(faults[0])
    return await _complete(issuer, record, made[0]) if made else None


async def load_bundle(
    issuer: Issuer, digest: bytes, *, max_age_seconds: int = MAX_AGE_SECONDS
) -> Bundle | None:
    """The bundle to hand out: the stored one, proven again if it is older and the chain can be asked.

    None while the batch is not final. NotFound for a digest that was never issued here.
    """
    async with issuer.store.reading() as reading:
        record = await _record(reading, digest)
        stored = await reading.bundles.load(digest)
    if not issuer.on_chain:
        return await _complete(issuer, record, None)
    fresh = stored is not None and _age_seconds(issuer, stored) <= max_age_seconds
    if not fresh and issuer.chain is not None:
        try:
            return await make_bundle(issuer, digest)
        except Unavailable:
            if stored is None:
                raise
    return None if stored is None else await _complete(issuer, record, stored)


async def _record(reading: Transaction, digest: bytes) -> CredentialRecord:
    record = await reading.credentials.find_by_digest(digest)
    if record is None:
        raise NotFound("no credential with this digest was issued here")
    return record


def _age_seconds(issuer: Issuer, stored: StoredBundle) -> float:
    bundle = parse_bundle(parse_json_object(stored.body))
    assert bundle.state is not None  # noqa: S101 - only proven bundles are stored
    return (issuer.clock() - from_unix(parse_header(bundle.state.header).timestamp)).total_seconds()


# --- proving


async def _prove(
    issuer: Issuer, digests: Sequence[bytes], header: Header, faults: list[str]
) -> list[StoredBundle]:
    """Prove the credentials at `header` and keep the bundles; those that are not final there are left out.

    A bundle that does not hold is not kept, adds to `faults`, and does not stand in the way of the others.
    """
    async with issuer.store.reading() as reading:
        subjects = [await _subject(issuer, reading, digest, header) for digest in digests]
    known = [subject for subject in subjects if subject is not None]
    made: list[StoredBundle] = []
    for part in _parts(known):
        proofs = await _fetch(issuer, part, header)
        for subject, nodes in zip(part, proofs, strict=True):
            try:
                made.append(_bundle(issuer, subject, header, nodes))
            except NotVerified as error:
                faults.append(error.detail)
    if made:
        async with issuer.store.transaction() as transaction:
            await transaction.bundles.save(made)
    return made


async def _subject(issuer: Issuer, reading: Transaction, digest: bytes, header: Header) -> _Subject | None:
    record = await _record(reading, digest)
    if record.signed is None:
        return None
    issued = read_issued(record.signed.document)
    place = None
    if is_anchored(securing_of(issued)):
        place = await reading.batches.find_place(CREDENTIAL, digest)
        if place is None or place.batch.state is not TransactionState.FINAL:
            return None
        if place.batch.block_number is None or place.batch.block_number > header.number:
            return None
    public_key = parse_multikey(record.signed.key_multibase)
    wanted = Wanted(
        Identity(issuer.require_chain().network.chain_id, issuer.identity),
        None if place is None else commitment(place.batch.size, place.batch.root),
        public_key,
        parse_status_entries(issued.document),
    )
    key = BundleKey(method_of(issued), public_key)
    return _Subject(digest, issued_value(record.signed.document), place, key, wanted.slots())


def _parts(subjects: Sequence[_Subject]) -> list[list[_Subject]]:
    """The subjects in parts whose slots fit into one request; a batch shares three of them."""
    parts: list[list[_Subject]] = []
    slots: set[bytes] = set()
    for subject in subjects:
        if not parts or len(slots | set(subject.slots)) > MAX_PROOF_SLOTS:
            parts.append([])
            slots = set()
        parts[-1].append(subject)
        slots |= set(subject.slots)
    return parts


async def _fetch(issuer: Issuer, subjects: Sequence[_Subject], header: Header) -> list[tuple[bytes, ...]]:
    """The pool of trie nodes for each subject, out of one answer."""
    chain = issuer.require_chain()
    slots = tuple(dict.fromkeys(slot for subject in subjects for slot in subject.slots))
    answer = await chain.client.proof(chain.network.credential_registry, slots, header.hash)
    try:
        account = _nodes(answer["accountProof"])
        storage = {
            slot: _nodes(entry["proof"]) for slot, entry in zip(slots, answer["storageProof"], strict=True)
        }
    except (KeyError, TypeError, ValueError, Malformed) as error:
        raise at_fault(chain.client.host, "it gave a proof without form") from error
    return [
        tuple(dict.fromkeys([*account, *(node for slot in subject.slots for node in storage[slot])]))
        for subject in subjects
    ]


def _nodes(texts: Sequence[str]) -> list[bytes]:
    # Nodes under 32 bytes stand inside their parents.
    return [node for node in map(decode_hex, texts) if len(node) >= 32]


def _bundle(issuer: Issuer, subject: _Subject, header: Header, nodes: tuple[bytes, ...]) -> StoredBundle:
    chain = issuer.require_chain()
    network = chain.network
    with blaming(chain.client.host):
        proven = prove_slots(header, nodes, network.credential_registry, subject.slots)
    anchor = None if subject.place is None else _anchor(issuer, network, subject.place, proven.values)
    bundle = Bundle(
        credential=subject.credential, key=subject.key, anchor=anchor, state=BundleState(header.raw, nodes)
    )
    _judge(issuer, bundle, header)
    body = orjson.dumps(bundle.without_credential(subject.digest).to_json())
    return StoredBundle(subject.digest, body, header.number, header.hash, issuer.clock())


def _anchor(issuer: Issuer, network: Network, place: AnchoredPlace, values: Mapping[bytes, int]) -> Anchor:
    slot = registry.anchor_slot(issuer.identity, place.batch.commitment)
    return Anchor(
        salt=place.place.salt,
        index=place.place.index,
        size=place.batch.size,
        path=place.place.path,
        chain=network.chain,
        registry=network.credential_registry,
        identity=issuer.identity,
        block=AnchorRecord.from_word(values[slot]).block,
    )


def _judge(issuer: Issuer, bundle: Bundle, header: Header) -> None:
    """The engine's verdict, offline, on what is about to be kept; NotVerified names what is wrong.

    Whether the credential is revoked or its key compromised is no fault of the bundle: it proves just that. Nor is what
    is to be said of credentials in a record: they have bundles of their own.
    """
    network = issuer.require_chain().network
    verifier = Verifier.of(
        issuer.standards,
        operator_networks={network.chain_id: network},
        checkpoints=[Checkpoint(network.chain_id, network.genesis, 1, 1, ((header.number, header.hash),))],
        policy=ANY_ISSUER_UNSAFE,
    )
    assert bundle.credential is not None  # noqa: S101 - made with it
    given, must_pass = shown(bundle.credential), _MUST_PASS
    if given.envelope is None and is_for_secrets(given.document):
        # Nobody but its holder derives from it: what is judged is what the bundle says of its key.
        must_pass = tuple(name for name in _MUST_PASS if name not in _OF_THE_PROOF)
    elif given.envelope is None and is_base(given.document):
        # Judged as all that its holder could show: the base proof itself is for the holder alone.
        derived = derive_all(given.document, issuer.standards.canonicalizer)
        given, bundle = shown(derived), bundle.with_credential(derived)
    now = issuer.clock()
    case = Case(replace(given, bundle=bundle), Inquiry(Materials.none(), verifier.mode), verifier, now, now)
    report = case.report(None, Asked())
    allowed = () if bundle.anchor else (Outcome.NOT_APPLICABLE,)
    for check in report.checks:
        passed = (Outcome.PASSED, *allowed) if check.name is CheckName.ANCHOR else (Outcome.PASSED,)
        bad = check.name in must_pass and check.outcome not in passed
        if bad or (check.name in _MUST_BE_KNOWN and check.outcome is Outcome.UNKNOWN):
            raise NotVerified(f"a bundle of ours does not hold: {check.name}: {check.basis}")


# --- handing out


async def _complete(issuer: Issuer, record: CredentialRecord, stored: StoredBundle | None) -> Bundle:
    assert record.signed is not None  # noqa: S101 - it was found by its digest
    credential = issued_value(record.signed.document)
    async with issuer.store.reading() as reading:
        evidence = _evidence(await reading.evidence.load(record.intent.credential_id))
    if stored is None:
        method = method_of(read_issued(record.signed.document))
        key = BundleKey(method, parse_multikey(record.signed.key_multibase))
        return Bundle(credential=credential, key=key, evidence=evidence)
    proven = parse_bundle(parse_json_object(stored.body)).with_credential(credential)
    return replace(proven, evidence=evidence)


def _evidence(items: Sequence[StoredEvidence]) -> tuple[ShownEvidence | WithheldEvidence, ...]:
    """All items for the holder, who chooses what to show; of an erased one only its leaf is left."""
    if not items:
        return ()
    tree = MerkleTree([item.leaf for item in items], hashed=True)
    found: list[ShownEvidence | WithheldEvidence] = []
    for item in items:
        if item.salt is None or item.name is None or item.media_type is None or item.data is None:
            found.append(WithheldEvidence(item.leaf))
            continue
        shown = EvidenceItem(item.name, item.media_type, item.genre or "", item.data)
        found.append(ShownEvidence(item.index, item.salt, shown, tree.inclusion_path(item.index)))
    return tuple(found)
