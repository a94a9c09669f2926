"""Blockcerts v3: signed by a transaction that carries a Merkle root (CHECKS.md 3, FORMATS.md section 10)."""

# ruff: noqa: E501 - a table has one row a line

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from fixtures.blockcerts import (
    BLOCK,
    NODE,
    SEPOLIA,
    BlockcertsIssuer,
    EthereumKey,
    blockcert,
    of_account,
    of_key,
    send,
)
from fixtures.check_tables import FAILED, NOT_APPLICABLE, PASSED, UNKNOWN, Row, hold, ids
from fixtures.verification import KEY_SCHOOL, LIST_URL, Story, entry, of_key_school, status_list

from node.core.dataintegrity.merkle_proof_2019 import (
    Transaction,
    decode_proof_value,
    encode_proof_value,
    transaction,
)
from node.core.did.document import parse_did_document
from node.core.did.ethr_identity import did_ethr
from node.core.verify.materials import (
    MAX_TRANSACTIONS,
    DocumentAnswer,
    Inquiry,
    Materials,
    Missing,
    Mode,
    TransactionAnswer,
    TransactionNeed,
)
from node.core.verify.report import Acceptance, CheckName, Reason
from node.core.verify.trust import TrustEntry, TrustList

Json = dict[str, Any]
KEY, OTHER = EthereumKey("an issuer's account"), EthereumKey("somebody else's account")
WEB = "did:web:school.example"
ETHR = did_ethr(SEPOLIA, bytes.fromhex(KEY.address[2:]))
PROFILE = "https://school.example/issuer.json"
BITCOIN = Transaction("btc", "mainnet", bytes(32), None)


def told(issuer: BlockcertsIssuer | None = None, version: str = "2.0", **changes: Any) -> Story:
    """The story of a Blockcert, by a verifier that may ask its chains and recognises the issuer."""
    by = issuer or of_account(KEY)
    fields: Json = {
        "issuer": by,
        "write": blockcert(version),
        "options": {"created": "2026-04-02T00:00:00Z"},
        "mode": Mode.CHAIN,
        "answers": by.answer,
        "bundled": False,
        "trust": TrustList((TrustEntry(by.did, "School"),)),
    }
    return Story(**{**fields, **changes})


def on_web(method: Json, relationships: tuple[str, ...] = ("assertionMethod",), **changes: Any) -> Story:
    """By a did:web whose document has this method."""
    by = BlockcertsIssuer(WEB, "key-1", KEY)  # type: ignore[arg-type]
    full = {"id": f"{WEB}#key-1", "controller": WEB, **method}
    body: Json = {"id": WEB, "verificationMethod": [full], **{name: [full["id"]] for name in relationships}}
    answer = DocumentAnswer(parse_did_document(body, WEB), agreed=True, source="its own web site")
    return told(by, mode=Mode.FULL, documents={WEB: answer}, **changes)


def account(key: EthereumKey = KEY, chain_id: int = SEPOLIA) -> Json:
    """A method that names an account."""
    return {
        "type": "EcdsaSecp256k1RecoveryMethod2020",
        "blockchainAccountId": f"eip155:{chain_id}:{key.address}",
    }


OLD_ACCOUNT = {
    "type": "EcdsaSecp256k1RecoveryMethod2020",
    "blockchainAccountId": f"{KEY.address}@eip155:{SEPOLIA}",
}
LISTED_KEY = {"type": "EcdsaSecp256k1VerificationKey2019", "publicKeyHex": KEY.public_key.raw.hex()}


def on_ethr(**changes: Any) -> Story:
    """By a did:ethr of which one endpoint tells what its registry's events say."""
    by = BlockcertsIssuer(ETHR, "controller", KEY)  # type: ignore[arg-type]
    method = {"id": f"{ETHR}#controller", "controller": ETHR, **account()}
    body: Json = {"id": ETHR, "verificationMethod": [method], "assertionMethod": [method["id"]]}
    answer = DocumentAnswer(parse_did_document(body, ETHR), agreed=False, source=NODE)
    return told(by, documents={ETHR: answer}, **changes)


def with_root(document: Json) -> None:
    """The root of another batch."""
    (proof,) = document["proof"]
    value = decode_proof_value(proof["proofValue"])
    proof["proofValue"] = encode_proof_value(replace(value, root=bytes(32)))


def lied(edit: Any) -> Any:
    """An endpoint that tells another transaction than it was asked for."""
    by = of_account(KEY)

    def answer(asked: Json) -> None:
        by.answer(asked)
        for need, found in asked.items():
            if isinstance(found, TransactionAnswer):
                asked[need] = replace(found, content=edit(dict(found.content)))

    return told(by, answers=answer)


def other_transaction(_: Json) -> Json:
    return send(OTHER, bytes(32))[0]


OLD_FORM = {"type": "MerkleProof2019"}
PROOF = [
    Row("sent by the account of its did:pkh", told, PASSED),
    Row("sent with the key of its did:key", lambda: told(of_key(KEY)), PASSED),
    Row("of version 1.1, in the older form", lambda: told(of_account(KEY, form=OLD_FORM), "1.1"), PASSED),
    Row("of version 2.0, in the older form", lambda: told(of_account(KEY, form=OLD_FORM)), PASSED),
    Row("its did:web names the account", lambda: on_web(account()), PASSED),
    Row("its did:web names the account in the older way", lambda: on_web(OLD_ACCOUNT), PASSED),
    Row("its did:web names the key", lambda: on_web(LISTED_KEY), PASSED),
    Row("beside a proof of another suite", lambda: told(more_proofs=((KEY_SCHOOL, {}),)), PASSED),
    Row("the second of its transactions is one that can be read", lambda: told(of_account(KEY, anchors=lambda one: (BITCOIN, transaction(SEPOLIA, one)))), PASSED),
    Row("a member changed", lambda: told(tamper=lambda d: d["credentialSubject"].update(name="Another")), FAILED, Reason.CHANGED),
    Row("another root", lambda: told(tamper=with_root), FAILED, Reason.CHANGED),
    Row("no proof value", lambda: told(tamper=lambda d: d["proof"][0].pop("proofValue")), FAILED, Reason.CHANGED),
    Row("the transaction carries another root", lambda: told(of_account(KEY, sent=lambda _: bytes(32))), FAILED, Reason.CHANGED),
    Row("the transaction carries the root and more", lambda: told(of_account(KEY, sent=lambda root: root + b"\x00")), FAILED, Reason.CHANGED),
    Row("the transaction carries nothing", lambda: told(of_account(KEY, sent=lambda _: b"")), FAILED, Reason.CHANGED),
    Row("the transaction was made for another chain", lambda: told(of_account(KEY, chain_id=1)), FAILED, Reason.CHANGED),
    Row("the transaction was made for another chain, with the issuer's very key", lambda: told(of_key(KEY, chain_id=1)), FAILED, Reason.CHANGED),
    Row("another account sent it", lambda: told(of_account(KEY, sender=OTHER)), FAILED, Reason.CHANGED),
    Row("another key sent it", lambda: told(of_key(KEY, sender=OTHER)), FAILED, Reason.CHANGED),
    Row("the account is one of another chain", lambda: told(of_account(KEY, on_chain=1)), FAILED, Reason.CHANGED),
    Row("its did:web names another account", lambda: on_web(account(OTHER)), FAILED, Reason.CHANGED),
    Row("its document has no such method", lambda: replace(on_web(account()), options={"verificationMethod": f"{WEB}#key-2"}), FAILED, Reason.KEY_UNKNOWN),
    Row("the method is somebody else's", lambda: told(options={"verificationMethod": of_account(OTHER).method}), FAILED, Reason.ONLY_THIRD_PARTY_PROOFS),
    Row("the proof's end is past", lambda: told(options={"expires": "2026-05-01T00:00:00Z"}), FAILED, Reason.PROOF_EXPIRED),
    Row("the mode asks no chain", lambda: told(mode=Mode.OFFLINE), UNKNOWN, Reason.TRANSACTION_MISSING),
    Row("no endpoint answers", lambda: told(answers=lambda _: None), UNKNOWN, Reason.TRANSACTION_MISSING),
    Row("the endpoint tells another transaction", lambda: lied(other_transaction), UNKNOWN, Reason.TRANSACTION_MISSING),
    Row("the endpoint names another sender than signed", lambda: lied(lambda t: {**t, "from": OTHER.address}), PASSED),
    Row("the endpoint tells no transaction", lambda: lied(lambda _: {}), UNKNOWN, Reason.TRANSACTION_MISSING),
    Row("on Bitcoin", lambda: told(of_account(KEY, anchors=lambda _: (BITCOIN,))), UNKNOWN, Reason.CHAIN_NOT_READ),
    Row("an issuer profile at an https address", lambda: told(BlockcertsIssuer(PROFILE, "key-1", KEY), mode=Mode.FULL), UNKNOWN, Reason.KEY_NOT_LOOKED_UP),  # type: ignore[arg-type]
    Row("its did:web may not be asked", lambda: replace(on_web(account()), mode=Mode.CHAIN), UNKNOWN, Reason.KEY_NOT_ASKED),
    Row("its did:web names something else", lambda: on_web({"type": "X", "ethereumAddress": KEY.address}), UNKNOWN, Reason.UNKNOWN_SUITE),
    Row("one endpoint tells whose account it is", on_ethr, UNKNOWN, Reason.KEY_SOURCE_WEAK),
    Row("one endpoint tells that there is no such method", lambda: on_ethr(options={"verificationMethod": f"{ETHR}#delegate-1"}), UNKNOWN, Reason.KEY_UNKNOWN),
    Row("a context that is not pinned", lambda: told(tamper=lambda d: d["@context"].append("https://school.example/words")), UNKNOWN, Reason.CONTEXT_NOT_PINNED),
]  # fmt: skip

PURPOSE = [
    Row("listed to assert", lambda: on_web(account()), PASSED),
    Row("made for something else", lambda: told(options={"proofPurpose": "authentication"}), FAILED, Reason.WRONG_PURPOSE),
    Row("listed for something else", lambda: on_web(account(), ("authentication",)), FAILED, Reason.WRONG_PURPOSE),
    Row("the transaction is missing", lambda: told(mode=Mode.OFFLINE), UNKNOWN, Reason.TRANSACTION_MISSING),
]  # fmt: skip


def with_entry(document: Json) -> None:
    blockcert()(document)
    document["credentialStatus"] = entry()


STATUS = [
    Row("an identifier that has no profile", told, NOT_APPLICABLE, Reason.NO_STATUS),
    Row("a profile may hold a list", lambda: on_web(account()), UNKNOWN, Reason.STATUS_LIST_UNKNOWN),
    Row("a profile at an https address may, too", lambda: told(BlockcertsIssuer(PROFILE, "key-1", KEY)), UNKNOWN, Reason.STATUS_LIST_UNKNOWN),  # type: ignore[arg-type]
    Row("a list that is signed by a transaction", lambda: told(write=with_entry, mode=Mode.FULL, lists={LIST_URL: status_list(of_account(KEY))}), UNKNOWN, Reason.STATUS_LIST_UNKNOWN),  # type: ignore[arg-type]
    Row("the list of its entry could not be had", lambda: on_web(account(), write=with_entry), UNKNOWN, Reason.STATUS_UNREACHABLE),
]  # fmt: skip

TABLES = {CheckName.PROOF: PROOF, CheckName.PROOF_PURPOSE: PURPOSE, CheckName.STATUS: STATUS}


@pytest.mark.parametrize(("check", "row"), [(check, row) for check, rows in TABLES.items() for row in rows], ids=lambda value: ids(value) if isinstance(value, Row) else str(value))  # fmt: skip
def test_blockcerts(check: CheckName, row: Row) -> None:
    hold(check, row)


@pytest.mark.parametrize("version", ["1.1", "2.0"])
def test_a_blockcert_of_a_recognised_issuer_is_accepted(version: str) -> None:
    report = told(version=version).report()
    assert report.acceptance is Acceptance.ACCEPTED
    assert report[CheckName.CONFORMANCE].basis == f"conforms to the VC Data Model {version}"


def test_the_basis_tells_who_sent_what_when_and_by_whose_word() -> None:
    basis = told().report()[CheckName.PROOF].basis
    assert f"0x{KEY.address[2:].lower()} sent in blink:eth:sepolia:0x" in basis
    assert f"in block {BLOCK} of 2026-04-02T00:00:00Z by the word of {NODE}" in basis
    assert "signed with the key from its own identifier" in basis


@pytest.mark.parametrize("story", [told, lambda: told(mode=Mode.OFFLINE)], ids=["passed", "unknown"])
def test_the_basis_tells_that_what_the_proof_says_of_itself_is_covered_by_nothing(story: Any) -> None:
    basis = story().report()[CheckName.PROOF].basis
    assert "nothing covers what it says of itself: created, expires, proofPurpose" in basis
    assert "nothing covers" not in of_key_school().report()[CheckName.PROOF].basis


@pytest.mark.parametrize(
    ("story", "missing"),
    [
        (
            lambda: told(mode=Mode.OFFLINE),
            "which the issuer is to have sent: mode offline does not ask for it",
        ),
        (lambda: told(of_account(KEY, anchors=lambda _: (BITCOIN,))), "on a chain that is not read here"),
        (
            lambda: told(BlockcertsIssuer(PROFILE, "key-1", KEY)),  # type: ignore[arg-type]
            "a profile at an https address is not fetched, so whether that is the issuer's account is not known",
        ),
    ],
    ids=["the transaction", "the chain", "the profile"],
)
def test_what_is_missing_is_told_with_what_was_verified(story: Any, missing: str) -> None:
    basis = story().report()[CheckName.PROOF].basis
    assert "its hash leads to the Merkle root 0x" in basis
    assert missing in basis


def test_no_host_that_a_document_names_is_asked_for_its_key() -> None:
    """FORMATS.md section 10: before the signature, the URL of a did:web alone."""
    story = told(BlockcertsIssuer(PROFILE, "key-1", KEY), mode=Mode.FULL)  # type: ignore[arg-type]
    story.report()
    assert {type(need) for need in story.needed} == {TransactionNeed}


def test_the_word_of_an_endpoint_about_events_does_not_fail_a_token_either() -> None:
    """It might leave out what it likes."""
    report = on_ethr(options={"verificationMethod": f"{ETHR}#delegate-1"}).report()
    assert report.acceptance is Acceptance.UNDETERMINED


def test_not_more_transactions_are_asked_for_than_credentials_can_be_shown() -> None:
    inquiry = Inquiry(Materials.none(), Mode.CHAIN)
    for number in range(MAX_TRANSACTIONS + 5):
        found = inquiry.transaction(TransactionNeed(1, number.to_bytes(32, "big")))
        assert isinstance(found, Missing)
    assert len(inquiry.outstanding) == MAX_TRANSACTIONS
