"""Every sample file of 1EdTech's public validator, as it is dropped on the verifier: what it comes to, and why.

Offline, where no key is fetched: their issuers are named by https addresses, so their proofs stay unknown. What they
come to where their keys can be had is shown with the keys that the samples name, served where their issuers would have
them: in a document at the issuer's address, or for tokens in its metadata.
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest
from fixtures.verification import standards

from node.core.dataintegrity import proofs_of, verify_proof
from node.core.did.document import parse_controlled_document, parse_did_document
from node.core.errors import BonafidesError
from node.core.keys import parse_multikey
from node.core.verify import engine
from node.core.verify.holder import Asked
from node.core.verify.intake import held_by, read_intake
from node.core.verify.materials import (
    Answer,
    DocumentAnswer,
    DocumentNeed,
    KeySetAnswer,
    KeySetNeed,
    Materials,
    Missing,
    Mode,
    Need,
    StatusListAnswer,
    StatusListNeed,
)
from node.core.verify.report import CheckName, Outcome, Reason, Report
from node.core.verify.trust import TrustEntry, TrustList
from node.core.verify.verifier import Verifier

NOW: Final = datetime(2026, 6, 1, tzinfo=UTC)
PASSED, FAILED, UNKNOWN = Outcome.PASSED, Outcome.FAILED, Outcome.UNKNOWN
NOT_APPLICABLE = Outcome.NOT_APPLICABLE
SHOWN: Final = (CheckName.CONFORMANCE, CheckName.SCHEMA, CheckName.PROOF)


@dataclass(frozen=True)
class Expected:
    """Outcomes of conformance, schema and proof; the reason and part of the basis of the first that tells more."""

    outcomes: tuple[Outcome, Outcome, Outcome]
    reason: Reason
    says: str


# Their issuers have the keys at addresses of their own, where an unlisted one's are not asked for.
SOUND_BUT_FOR_THE_KEY: Final = Expected((PASSED, PASSED, UNKNOWN), Reason.KEY_NOT_ASKED, "not listed")
TOKEN_BUT_FOR_THE_KEY: Final = Expected((PASSED, PASSED, UNKNOWN), Reason.KEY_NOT_ASKED, "not listed")


def refused(says: str) -> Expected:
    """Conformance fails, and nothing after it is reached."""
    return Expected((FAILED, UNKNOWN, UNKNOWN), Reason.NOT_CONFORMING, says)


OF_A_STRANGER: Final = Expected(
    (PASSED, PASSED, FAILED), Reason.ONLY_THIRD_PARTY_PROOFS, "no proof is the issuer's"
)
FILES: Final = {
    "ob3-1edtech/simple.json": SOUND_BUT_FOR_THE_KEY,
    "ob3-1edtech/simple.1ob": SOUND_BUT_FOR_THE_KEY,
    "ob3-1edtech/simple_v1.json": SOUND_BUT_FOR_THE_KEY,
    "ob3-1edtech/simple-json.png": SOUND_BUT_FOR_THE_KEY,
    "ob3-1edtech/simple-json.svg": SOUND_BUT_FOR_THE_KEY,
    "ob3-1edtech/simple-jwt.png": TOKEN_BUT_FOR_THE_KEY,
    "ob3-1edtech/simple-jwt.svg": TOKEN_BUT_FOR_THE_KEY,
    "ob3-1edtech/simple-jwt_v1.png": TOKEN_BUT_FOR_THE_KEY,
    "ob3-1edtech/simple-jwt_v1.svg": TOKEN_BUT_FOR_THE_KEY,
    "ob3-1edtech/simple-context-alias.json": SOUND_BUT_FOR_THE_KEY,
    "ob3-1edtech/simple-context-version.json": SOUND_BUT_FOR_THE_KEY,
    "ob3-1edtech/simple-did-web-method.json": SOUND_BUT_FOR_THE_KEY,
    "ob3-1edtech/simple-eddsa-2022.json": SOUND_BUT_FOR_THE_KEY,
    "ob3-1edtech/endorsement-valid.json": SOUND_BUT_FOR_THE_KEY,
    "ob3-1edtech/sd/derivedcredential.json": SOUND_BUT_FOR_THE_KEY,
    # Its date has passed: a matter of validity_period.
    "ob3-1edtech/simple-err-expired.json": SOUND_BUT_FOR_THE_KEY,
    # The key in its method is none; nobody gets to look at it.
    "ob3-1edtech/simple-err-proof-method.json": SOUND_BUT_FOR_THE_KEY,
    "ob3-1edtech/bit-string-list/testlist": Expected(
        (PASSED, NOT_APPLICABLE, UNKNOWN), Reason.NO_SCHEMA, "no schema"
    ),
    "ob3-1edtech/credential-status-revoked.json": Expected(
        (PASSED, PASSED, UNKNOWN), Reason.KEY_NOT_ASKED, "not listed"
    ),
    "ob3-1edtech/simple-err-proof-method-no-scheme.json": OF_A_STRANGER,
    "ob3-1edtech/simple-err-proof-method-unknown-scheme.json": OF_A_STRANGER,
    # A key of Velocity's own DID method, which is not the issuer's did:web.
    "ob3-1edtech/velocity.jwt": Expected(
        (PASSED, PASSED, FAILED), Reason.ONLY_THIRD_PARTY_PROOFS, "somebody else than the issuer"
    ),
    # A badge without an achievement: 1EdTech tests with it that a proof is missed.
    "ob3-1edtech/simple-noproof.json": Expected(
        (PASSED, FAILED, FAILED), Reason.SCHEMA_BROKEN, "does not fit AchievementCredential"
    ),
    # Likewise, with a context of a draft.
    "ob3-1edtech/simple.jwt": Expected(
        (PASSED, FAILED, UNKNOWN), Reason.SCHEMA_BROKEN, "does not fit AchievementCredential"
    ),
    # FORMATS.md section 2, one identifier, one object: an achievement and its criteria at one address; an issuer
    # that is the subject too. 1EdTech takes both.
    "ob3-1edtech/complete.json": refused("two different objects have the same id"),
    "ob3-1edtech/simple-did-key-method.json": refused("two different objects have the same id"),
    # The types of its schema, status and refresh are terms of a context that it does not name.
    "ob3-1edtech/complete_v1.json": refused("1EdTechJsonSchemaValidator2019"),
    # Bitstring Status List 1.0 section 2.1: a string. They write a number.
    "ob3-1edtech/bit-string-list/credential-status-revoked.json": refused("statusListIndex"),
    "ob3-1edtech/bit-string-list/credential-status-revoked-blank-nodes.json": refused("statusListIndex"),
    # One proof is of a type that nobody knows, and lacks what Data Integrity 1.0 section 4.4 asks for.
    "ob3-1edtech/simple-multiple-proofs.json": refused("verificationMethod"),
    "ob3-1edtech/simple-err-context.json": refused("credentialSubject"),
    "ob3-1edtech/simple-err-type.json": refused("OtherCredential"),
    "ob3-1edtech/simple-err-issuer-type.json": refused("InvalidProfile"),
    "ob3-1edtech/simple-err-issuer-otheridentifier-type.json": refused("identifier"),
    "ob3-1edtech/simple-err-credential-subject-profile-type.json": refused("InvalidProfile"),
    "ob3-1edtech/simple-err-credential-subject-achievement-result-description-type.json": refused(
        "resultType"
    ),
    "clr2-1edtech/clr20/simple.json": SOUND_BUT_FOR_THE_KEY,
    # An achievement and what endorses it have one address, as above; and the issuer, a UUID, has a did:key sign.
    "clr2-1edtech/clr20/complex.json": Expected(
        (FAILED, UNKNOWN, FAILED), Reason.NOT_CONFORMING, "two different objects have the same id"
    ),
    "clr2-1edtech/clr20/simple_v1.json": Expected(
        (FAILED, UNKNOWN, FAILED), Reason.NOT_CONFORMING, "two different objects have the same id"
    ),
    # Drafts: a context at an address of its own, a schema type that no context defines, badges in it as tokens.
    "clr2-1edtech/clr20/simple-noproof.json": Expected(
        (FAILED, FAILED, FAILED), Reason.NOT_CONFORMING, "JsonSchemaValidator2020"
    ),
    "clr2-1edtech/clr20/simple_old_safesigned.json": Expected(
        (FAILED, FAILED, UNKNOWN), Reason.NOT_CONFORMING, "JsonSchemaValidator2020"
    ),
    # Of version 1.1, with a badge in it that is a token too, and a context of a draft.
    "clr2-1edtech/clr20/simple.jwt": Expected(
        (PASSED, FAILED, UNKNOWN), Reason.SCHEMA_BROKEN, "does not fit ClrCredential"
    ),
}


def judged(path: Path) -> Report:
    verifier = Verifier.of(standards())
    return engine.verify(read_intake(path.read_bytes()), Materials.none(), verifier, now=NOW)


def test_no_file_is_forgotten(vectors: Path) -> None:
    folders = (vectors / "ob3-1edtech", vectors / "clr2-1edtech" / "clr20")
    found = {
        str(path.relative_to(vectors)) for folder in folders for path in folder.rglob("*") if path.is_file()
    }
    assert found - {"ob3-1edtech/SOURCE.txt"} == FILES.keys()


@pytest.mark.parametrize(("name", "expected"), FILES.items(), ids=FILES)
def test_a_file(vectors: Path, name: str, expected: Expected) -> None:
    report = judged(vectors / name)
    checks = [report[check] for check in SHOWN]
    assert tuple(check.outcome for check in checks) == expected.outcomes
    first = next(check for check in checks if check.outcome is not PASSED)
    assert first.reason is expected.reason
    assert expected.says in first.basis


def test_none_is_accepted_without_its_key(vectors: Path) -> None:
    assert {judged(vectors / name).acceptance for name in FILES} == {"refused", "undetermined"}


def test_an_expired_badge_is_refused_for_its_date(vectors: Path) -> None:
    report = judged(vectors / "ob3-1edtech" / "simple-err-expired.json")
    assert report[CheckName.VALIDITY_PERIOD].reason is Reason.EXPIRED


UNSOUND: Final = {
    "simple-err-context.json": "would be lost",
    "simple-err-type.json": "would be lost",
    "simple-err-issuer-type.json": "would be lost",
    "simple-err-issuer-otheridentifier-type.json": "would be lost",
    "simple-err-credential-subject-profile-type.json": "would be lost",
    "simple-err-credential-subject-achievement-result-description-type.json": "would be lost",
    "simple-err-proof-method.json": "no public key",
    "simple-err-proof-method-no-scheme.json": "not an absolute IRI",
    "simple-err-proof-method-unknown-scheme.json": "does not match",
    "simple-multiple-proofs.json": "verificationMethod",
    "simple_old_safesigned.json": "not pinned",
    "complete_v1.json": "multibase",  # its method is a path, not a key
}
EMBEDDED: Final = [
    name for name in FILES if name.endswith((".json", ".1ob", "testlist")) and "noproof" not in name
]


@pytest.mark.parametrize("name", EMBEDDED)
def test_the_signature_is_right_by_the_key_that_the_proof_names(vectors: Path, name: str) -> None:
    document = json.loads((vectors / name).read_text())
    fault = UNSOUND.get(Path(name).name)
    with pytest.raises(BonafidesError, match=fault) if fault else contextlib.nullcontext():
        (proof,) = proofs_of(document)
        key = parse_multikey(proof.verification_method.rpartition("#")[2].rpartition(":")[2])
        verify_proof(document, proof, key, standards().canonicalizer)


# What they come to where the key that a proof names is in the document at its issuer's address.
NOT_ACCEPTED: Final = {
    "ob3-1edtech/simple-err-expired.json": ("refused", CheckName.VALIDITY_PERIOD, Reason.EXPIRED),
    # A derived credential may hide a status; see FORMATS.md section 2.
    "ob3-1edtech/sd/derivedcredential.json": ("undetermined", CheckName.STATUS, Reason.MAY_BE_HIDDEN),
    # What it names is no key, wherever it is written.
    "ob3-1edtech/simple-err-proof-method.json": ("undetermined", CheckName.PROOF, Reason.UNKNOWN_SUITE),
}
AT_ADDRESSES: Final = [
    *(name for name, expected in FILES.items() if expected is SOUND_BUT_FOR_THE_KEY),
    "ob3-1edtech/bit-string-list/testlist",
]


def judged_with_documents(data: bytes, key: str | None = None) -> Report:
    """The report in mode full for whom its issuers are recognised, with the documents at their addresses.

    Each has the method that a proof in the file names, whose key is its fragment, or `key`.
    """
    (shown,) = read_intake(data).credentials
    answers: dict[Need, Answer | Missing] = {}
    for credential in (shown.document, *held_by(shown.document)):
        (proof,) = proofs_of(credential)
        method = proof.verification_method
        address, _, fragment = method.partition("#")
        document = {
            "@context": ["https://www.w3.org/ns/cid/v1"],
            "id": address,
            "verificationMethod": [
                {
                    "id": method,
                    "type": "Multikey",
                    "controller": address,
                    "publicKeyMultibase": key or fragment,
                }
            ],
            "assertionMethod": [method],
        }
        answers[DocumentNeed(address)] = DocumentAnswer(
            parse_controlled_document(document, address), agreed=True, source="a test"
        )
    trust = TrustList(tuple(TrustEntry(need.did, "1EdTech") for need in answers))  # type: ignore[union-attr]
    verifier = Verifier.of(standards(), trust=trust, mode=Mode.FULL)
    return engine.verify(read_intake(data), Materials(answers), verifier, now=NOW)


@pytest.mark.parametrize("name", AT_ADDRESSES)
def test_a_sample_is_determined_where_its_issuer_s_document_can_be_had(vectors: Path, name: str) -> None:
    report = judged_with_documents((vectors / name).read_bytes())
    decisive = report.decisive
    found = (report.acceptance, decisive and decisive.name, decisive and decisive.reason)
    assert found == NOT_ACCEPTED.get(name, ("accepted", None, None))


@pytest.mark.parametrize("name", AT_ADDRESSES)
def test_a_sample_is_refused_where_its_issuer_has_another_key(vectors: Path, name: str) -> None:
    """Of either curve: a key of another kind than the suite's is another key too."""
    other = "z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK"
    report = judged_with_documents((vectors / name).read_bytes(), other)
    assert report.acceptance == "refused"
    assert report[CheckName.PROOF].reason is Reason.CHANGED


TOKENS: Final = [name for name, expected in FILES.items() if expected is TOKEN_BUT_FOR_THE_KEY]


@pytest.mark.parametrize("name", TOKENS)
@pytest.mark.parametrize("published", [True, False])
def test_a_token_is_verified_by_the_key_that_its_issuer_publishes(
    vectors: Path, name: str, published: bool
) -> None:
    """The key in its own header only tells which of those that the issuer publishes is meant."""
    (shown,) = read_intake((vectors / name).read_bytes()).credentials
    assert shown.envelope is not None
    assert shown.envelope.header_key is not None
    issuer = shown.document["issuer"]["id"]
    host, _, path = issuer.removeprefix("https://").partition("/")
    place = f"https://{host}/.well-known/jwt-vc-issuer/{path}"
    others = parse_multikey("z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK")
    keys = [others, shown.envelope.header_key] if published else [others]
    metadata = {"issuer": issuer, "jwks": {"keys": [key.to_jwk() for key in keys]}}
    verifier = Verifier.of(standards(), trust=TrustList((TrustEntry(issuer, "1EdTech"),)), mode=Mode.FULL)
    intake = read_intake((vectors / name).read_bytes())
    answers: dict[Need, Answer | Missing] = {KeySetNeed(place): KeySetAnswer(metadata, place)}
    asked = Asked(domain=shown.envelope.claims.audience)
    report = engine.verify(intake, Materials(answers), verifier, now=NOW, asked=asked)
    proof = report[CheckName.PROOF]
    assert (proof.outcome, proof.reason) == (
        (PASSED, None) if published else (UNKNOWN, Reason.KEY_NOT_LOOKED_UP)
    )


def test_the_revoked_badge_is_refused_where_its_key_and_its_list_can_be_had(vectors: Path) -> None:
    """The one sample whose issuer has a DID: its document and its list are given, as they would be fetched."""
    intake = read_intake((vectors / "ob3-1edtech" / "credential-status-revoked.json").read_bytes())
    credential = intake.credentials[0].document
    did, method = credential["issuer"]["id"], credential["proof"]["verificationMethod"]
    trust = TrustList((TrustEntry(did, "Wellspring"),))
    verifier = Verifier.of(standards(), trust=trust, mode=Mode.FULL)
    document = {
        "@context": ["https://www.w3.org/ns/did/v1"],
        "id": did,
        "verificationMethod": [
            {
                "id": method,
                "type": "Ed25519VerificationKey2020",
                "controller": did,
                "publicKeyMultibase": method.partition("#")[2],
            }
        ],
        "assertionMethod": [method],
    }
    for listed, outcome, reason in (
        ([{"id": credential["id"]}], FAILED, Reason.REVOKED),
        ([], PASSED, None),
    ):
        answers: dict[Need, Answer | Missing] = {
            DocumentNeed(did): DocumentAnswer(
                parse_did_document(document, did), agreed=True, source="a test"
            ),
            StatusListNeed(credential["credentialStatus"]["id"]): StatusListAnswer(
                {"issuer": did, "revokedCredential": listed}, "a test"
            ),
        }
        report = engine.verify(intake, Materials(answers), verifier, now=NOW)
        assert report[CheckName.PROOF].outcome is PASSED
        assert (report[CheckName.STATUS].outcome, report[CheckName.STATUS].reason) == (outcome, reason)
