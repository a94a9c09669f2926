"""The proof of Blockcerts v3, judged (CHECKS.md 3): its issuer signed by sending a transaction with a Merkle root.

Hash and path are arithmetic; so is who sent the transaction, by its signature, once somebody tells what is in it. Only
that it stands in a block, and since when, is the word of an endpoint. The account is the issuer's where a method of the
issuer's identifier names it or its key. A profile at an https address may name it as well, and is not fetched: before a
signature is verified no host named in a document is asked (FORMATS.md section 10).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from node.core.canonical.contexts import ContextNotPinned
from node.core.canonical.rdfc import Canonicalizer
from node.core.dataintegrity.merkle_proof_2019 import (
    CRYPTOSUITE,
    MerkleProof,
    Transaction,
    verify_merkle_proof,
)
from node.core.dataintegrity.proof import Proof
from node.core.errors import BonafidesError, Malformed, NotVerified
from node.core.evm.transaction import verify_transaction
from node.core.keys import KeyKind, PublicKey
from node.core.strict_json import JsonObject
from node.core.times import format_datetime_stamp
from node.core.verify.materials import Inquiry, Missing, TransactionAnswer, TransactionNeed
from node.core.verify.methods import KeyFinder, KeyNamed, Sender
from node.core.verify.report import Outcome, Reason
from node.core.verify.signature import Verdict, judge_signature

_PROFILE: Final = (
    "a profile at an https address is not fetched, so whether that is the issuer's account is not known"
)
# Its target is the hash of the document alone, without the options of the proof.
_UNCOVERED: Final = "; nothing covers what it says of itself: created, expires, proofPurpose"


def judge_merkle_proof(
    document: JsonObject,
    proof: Proof,
    canonicalizer: Canonicalizer,
    find_key: KeyFinder,
    inquiry: Inquiry | None,
) -> Verdict:
    """The verdict on a proof whose suite is merkle-proof-2019; without `inquiry` no transaction is looked up."""
    try:
        found = verify_merkle_proof(document, proof.raw, canonicalizer)
    except ContextNotPinned as error:
        return Verdict(Outcome.UNKNOWN, error.detail, Reason.CONTEXT_NOT_PINNED, (error.problem,))
    except (Malformed, NotVerified) as error:
        return _changed(error)
    verdict = _judge_anchor(found, proof, find_key, inquiry)
    return (
        verdict if verdict.outcome is Outcome.FAILED else replace(verdict, basis=verdict.basis + _UNCOVERED)
    )


def _judge_anchor(found: MerkleProof, proof: Proof, find_key: KeyFinder, inquiry: Inquiry | None) -> Verdict:
    """Whether the issuer sent the root in the transaction that the proof names."""
    led = f"{CRYPTOSUITE}: its hash leads to the Merkle root 0x{found.root.hex()}"
    anchor = next((one for one in found.anchors if one.chain_id is not None), None)
    if anchor is None:
        told = f"{led}; what is missing is {found.anchors[0].blink}, on a chain that is not read here"
        return Verdict(Outcome.UNKNOWN, told, Reason.CHAIN_NOT_READ)
    answer = _look_up(anchor, inquiry)
    if isinstance(answer, Missing):
        told = f"{led}; what is missing is {anchor.blink}, which the issuer is to have sent: {answer.reason}"
        return Verdict(Outcome.UNKNOWN, told, Reason.TRANSACTION_MISSING)
    try:
        sender = _sender(answer, anchor, found.root)
    except NotVerified as error:
        return _changed(error)
    except Malformed as error:
        told = f"{led}; {answer.source} is at fault for {anchor.blink}: {error.detail}"
        return Verdict(Outcome.UNKNOWN, told, Reason.TRANSACTION_MISSING)
    sent = (
        f"{led}, which 0x{sender.account.address.hex()} sent in {anchor.blink}, in block {answer.block} of "
        f"{format_datetime_stamp(answer.time)} by the word of {answer.source}"
    )
    return _judge_sender(proof, sender, find_key, sent)


def _look_up(anchor: Transaction, inquiry: Inquiry | None) -> TransactionAnswer | Missing:
    assert anchor.chain_id is not None  # noqa: S101 - only such are asked for
    if inquiry is None:
        return Missing("transactions are not looked up for this")
    return inquiry.transaction(TransactionNeed(anchor.chain_id, anchor.transaction_id))


def _sender(answer: TransactionAnswer, anchor: Transaction, root: bytes) -> Sender:
    """Who sent the root; NotVerified where the transaction is about something else, Malformed where it is none."""
    try:
        sent = verify_transaction(answer.content, anchor.transaction_id)
    except BonafidesError as error:
        raise Malformed(error.detail) from error
    if sent.chain_id != anchor.chain_id:
        raise NotVerified("the transaction was made for another chain than the proof names")
    if sent.data != root:
        raise NotVerified("the transaction does not carry the Merkle root")
    return Sender(PublicKey(KeyKind.SECP256K1, sent.public_key), sent.chain_id)


def _judge_sender(proof: Proof, sender: Sender, find_key: KeyFinder, sent: str) -> Verdict:
    """Whether the account that sent the root is the issuer's."""
    if proof.verification_method.startswith("https://"):
        return Verdict(Outcome.UNKNOWN, f"{sent}; {_PROFILE}", Reason.KEY_NOT_LOOKED_UP)

    def verify(key: PublicKey) -> None:
        if key != sender.key:
            raise NotVerified("the transaction was sent by another than the issuer")

    method = KeyNamed(proof.verification_method, proof.proof_purpose, proof.proof_value, sender=sender)
    verdict = judge_signature(method, find_key, verify, sent)
    if verdict.outcome is not Outcome.UNKNOWN:
        return verdict
    return Verdict(verdict.outcome, f"{sent}; {verdict.basis}", verdict.reason, verdict.problems, verdict.key)


def _changed(error: BonafidesError) -> Verdict:
    basis = f"the Merkle proof does not fit the document: {error.detail}"
    return Verdict(Outcome.FAILED, basis, Reason.CHANGED, (error.problem,))
