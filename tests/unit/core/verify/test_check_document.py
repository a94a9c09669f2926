"""CHECKS.md 1 to 4, 11 and 12: what the document itself says. One row for each clause."""

# ruff: noqa: E501 - a table has one row a line

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from fixtures.check_tables import FAILED, NOT_APPLICABLE, PASSED, UNKNOWN, Row, covers, hold, ids
from fixtures.verification import (
    IDENTITY,
    KEY_SCHOOL,
    NOW,
    SCHOOL,
    STRANGER,
    LedgerState,
    Signatory,
    Story,
    agreed,
    as_jwt,
    as_member,
    did_document,
    ethr_document,
    evidence,
    key_word,
    of_key_school,
    signing_key,
    without_status,
)

from node.core.did.document import DidDocument, parse_did_document
from node.core.errors import Malformed
from node.core.verify import engine
from node.core.verify.intake import read_intake
from node.core.verify.materials import Materials, Mode
from node.core.verify.report import CheckName, Outcome, Reason, Report

Json = dict[str, Any]
RDF = {"cryptosuite": "eddsa-rdfc-2022"}
ENVELOPE = {
    "@context": ["https://www.w3.org/ns/credentials/v2"],
    "id": "data:application/vc+jwt,eyJhbGciOiJFZERTQSJ9.e30.AAAA",
    "type": "EnvelopedVerifiableCredential",
}


def told(data: bytes) -> Callable[[], Report]:
    """The report on bytes that somebody gave."""

    def report() -> Report:
        verifier = Story().verifier()
        try:
            return engine.verify(read_intake(data), Materials.none(), verifier, now=NOW)
        except Malformed as error:
            return engine.unreadable(error, verifier, now=NOW)

    return report


def setting(*path: str | int, value: object) -> Callable[[Json], None]:
    """Sets a member, however deep; None deletes it."""

    def change(document: Json) -> None:
        place: Any = document
        for step in path[:-1]:
            place = place[step]
        if value is None:
            del place[path[-1]]
        else:
            place[path[-1]] = value

    return change


def both(*changes: Callable[[Json], object]) -> Callable[[Json], None]:
    """One change after the other."""

    def change(document: Json) -> None:
        for one in changes:
            one(document)

    return change


def enveloped(document: Json) -> None:
    document.clear()
    document.update(copy.deepcopy(ENVELOPE))


def iri_status(document: Json) -> None:
    document["https://www.w3.org/2018/credentials#credentialStatus"] = document.pop("credentialStatus")


def two_nodes(document: Json) -> None:
    document["@included"] = [{"id": document["id"], "credentialStatus": document.pop("credentialStatus")}]


CONFORMANCE = [
    Row("parsed, by the rules, quads counted", Story, PASSED),
    Row("RDF suite", lambda: Story(options=RDF), PASSED),
    Row("written outside the plain form, read again", lambda: Story(options=RDF, tamper=iri_status), PASSED),
    Row("an envelope", lambda: of_key_school(token=as_jwt, disclose=as_member), PASSED),
    Row("an envelope around nothing", lambda: of_key_school(tamper=enveloped), FAILED, Reason.NOT_CONFORMING),
    Row("a presentation", lambda: Story(holder=STRANGER), PASSED),
    Row("not JSON", told(b"not JSON"), FAILED, Reason.UNREADABLE),
    Row("two members of one name", told(b'{"a": 1, "a": 2}'), FAILED, Reason.UNREADABLE),
    Row("an empty file", told(b""), FAILED, Reason.UNREADABLE),
    Row("a bundle without its credential", told(b'{"version": 1}'), FAILED, Reason.UNREADABLE),
    Row("a rule of the data model broken", lambda: Story(tamper=setting("type", value="X")), FAILED, Reason.NOT_CONFORMING),
    Row("no issuer", lambda: Story(tamper=setting("issuer", value=None)), FAILED, Reason.NOT_CONFORMING),
    Row("a term without meaning", lambda: Story(tamper=setting("nonsense", value=1)), FAILED, Reason.NOT_CONFORMING),
    Row("a status entry that cannot be read", lambda: Story(tamper=setting("credentialStatus", "statusListIndex", value=7)), FAILED, Reason.NOT_CONFORMING),
    Row("statements moved to a second node", lambda: Story(options=RDF, tamper=two_nodes), FAILED, Reason.NOT_CONFORMING),
    Row("an empty array of proofs", lambda: of_key_school(tamper=setting("proof", value=[])), FAILED, Reason.NOT_CONFORMING),
    Row("a did:ethr that is none", lambda: of_key_school(tamper=setting("issuer", "id", value="did:ethr:0x1:0x12")), FAILED, Reason.NOT_CONFORMING),
    Row("a presentation that breaks a rule", lambda: Story(holder=STRANGER, tamper_presentation=setting("holder", value=7)), FAILED, Reason.NOT_CONFORMING),
    Row("an envelope that is none", lambda: of_key_school(tamper=both(enveloped, setting("id", value="urn:x:y"))), FAILED, Reason.NOT_CONFORMING),
]  # fmt: skip


def named_schema(document: Json) -> None:
    document["credentialSchema"] = [{"id": "https://x.example/s.json", "type": "JsonSchema"}]


def plain(document: Json) -> None:
    document["type"] = ["VerifiableCredential"]
    document["credentialSubject"] = {"id": document["credentialSubject"]["id"]}


SCHEMA = [
    Row("our schema of the type accepts", Story, PASSED),
    Row("our schema of the type refuses", lambda: Story(write=setting("credentialSubject", "achievement", "criteria", value=None)), FAILED, Reason.SCHEMA_BROKEN),
    Row("it names a schema that is not pinned", lambda: Story(write=named_schema), UNKNOWN, Reason.SCHEMA_NOT_PINNED),
    Row("not pinned and another refuses", lambda: Story(write=both(named_schema, setting("credentialSubject", "achievement", "criteria", value=None))), FAILED, Reason.SCHEMA_BROKEN),
    Row("not reached", told(b"{"), UNKNOWN, Reason.NOT_REACHED),
    Row("no schema for the type", lambda: Story(write=plain), NOT_APPLICABLE, Reason.NO_SCHEMA),
]  # fmt: skip


WEB = Signatory("did:web:school.example", "key-1", signing_key("web school"))
CONTROLLER = replace(SCHOOL, fragment="delegate-1")
NO_STATE = replace(LedgerState(), key=0)


def unregistered(**changes: Any) -> Story:
    """An identity that never wrote to the registry, with its key from events."""
    ledger = LedgerState(heads=0, anchor=0, key=0, lists={})
    fields: Json = {
        "shown": ledger,
        "bundled": False,
        "mode": Mode.CHAIN,
        "checkpoint": None,
        "write": without_status,
        "documents": {SCHOOL.did: agreed(ethr_document(SCHOOL))},
    }
    return Story(**{**fields, **changes})


def no_anchor(bundle: Json) -> None:
    del bundle["anchor"]


def one_voice() -> dict[str, Any]:
    return {SCHOOL.did: agreed(ethr_document(SCHOOL), voices=False)}


def by_web(**changes: Any) -> Story:
    fields: Json = {
        "issuer": WEB,
        "write": without_status,
        "mode": Mode.FULL,
        "trust": replace(Story().trust, entries=(replace(Story().trust.entries[0], did=WEB.did),)),  # type: ignore[union-attr, type-var]
        "documents": {WEB.did: agreed(did_document(WEB.did, WEB))},
    }
    return Story(**{**fields, **changes})


def ended(**times: str) -> DidDocument:
    raw = copy.deepcopy(did_document(WEB.did, WEB).to_json())
    raw["verificationMethod"][0] |= times
    return parse_did_document(raw, WEB.did)


def change_mark(document: Json) -> None:
    document["name"] = "Data structures with honours"


def no_proof(document: Json) -> None:
    del document["proof"]


def third_party(document: Json) -> None:
    """The issuer's own proof, the first, is taken away."""
    document["proof"] = document["proof"][1:]


def suite(name: str) -> Callable[[Json], None]:
    return setting("proof", 0, "cryptosuite", value=name)


def previous(document: Json) -> None:
    """A second proof of the issuer's that builds on a stranger's, which was changed."""
    document["proof"][1]["proofValue"] = document["proof"][0]["proofValue"]


def unpinned(document: Json) -> None:
    document["@context"].append("https://x.example/context")


CHAIN = ((STRANGER, {"id": "urn:x:first"}), (KEY_SCHOOL, {"previousProof": "urn:x:first"}))


def circle(document: Json) -> None:
    first, second = document["proof"]
    first["id"], second["id"] = "urn:x:1", "urn:x:2"
    first["previousProof"], second["previousProof"] = "urn:x:2", "urn:x:1"


PROOF = [
    Row("a self-certifying key", of_key_school, PASSED),
    Row("a self-certifying key, RDF suite", lambda: of_key_school(options=RDF), PASSED),
    Row("the bundle's key", Story, PASSED),
    Row("events that several voices gave alike", unregistered, PASSED),
    Row("one voice, and the registry's slot confirms the key", lambda: Story(bundled=False, mode=Mode.CHAIN, documents=one_voice()), PASSED),
    Row("a did:web of a listed issuer", by_web, PASSED),
    Row("beside third-party proofs", lambda: of_key_school(more_proofs=((STRANGER, {}),)), PASSED),
    Row("beside a third-party proof that is wrong", lambda: of_key_school(more_proofs=((STRANGER, {}),), tamper=setting("proof", 1, "created", value="2026-01-01T00:00:00Z")), PASSED),
    Row("beside a suite that is not known", lambda: of_key_school(more_proofs=((KEY_SCHOOL, {}),), tamper=setting("proof", 1, "cryptosuite", value="xyz-2030")), PASSED),
    Row("a chain whose first proof verifies", lambda: of_key_school(more_proofs=CHAIN), PASSED),
    Row("no proof at all", lambda: of_key_school(tamper=no_proof), FAILED, Reason.NO_PROOF),
    Row("changed under a self-certifying key", lambda: of_key_school(tamper=change_mark), FAILED, Reason.CHANGED),
    Row("changed under a key that its slot confirms", lambda: Story(tamper=change_mark), FAILED, Reason.CHANGED),
    Row("changed under events that agree", lambda: unregistered(tamper=change_mark), FAILED, Reason.CHANGED),
    Row("one of two issuer's proofs wrong", lambda: of_key_school(more_proofs=((KEY_SCHOOL, {}),), tamper=setting("proof", 1, "created", value="2026-01-01T00:00:00Z")), FAILED, Reason.CHANGED),
    Row("only third-party proofs", lambda: of_key_school(more_proofs=((STRANGER, {}),), tamper=third_party), FAILED, Reason.ONLY_THIRD_PARTY_PROOFS),
    Row("the proof has expired", lambda: of_key_school(options={"expires": "2026-05-31T00:00:00Z"}), FAILED, Reason.PROOF_EXPIRED),
    Row("a chain whose first proof is wrong", lambda: of_key_school(more_proofs=CHAIN, tamper=previous), FAILED, Reason.CHANGED),
    Row("proofs that build on each other in a circle", lambda: of_key_school(more_proofs=((KEY_SCHOOL, {}),), tamper=circle), FAILED, Reason.CHANGED),
    Row("a proof that it builds on is missing", lambda: of_key_school(tamper=setting("proof", 0, "previousProof", value="urn:x:gone")), FAILED, Reason.CHANGED),
    Row("a method that the DID document has not", lambda: by_web(documents={WEB.did: agreed(did_document(WEB.did, replace(WEB, fragment="key-2")))}), FAILED, Reason.KEY_UNKNOWN),
    Row("a did:key without a key", lambda: of_key_school(issuer=replace(KEY_SCHOOL, did="did:key:z6Mkwrong")), FAILED, Reason.KEY_UNKNOWN),
    Row("a did:web says that the key was revoked", lambda: by_web(documents={WEB.did: agreed(ended(revoked="2026-06-01T12:00:00Z"))}), FAILED, Reason.KEY_ENDED),
    Row("a did:web says that the key had expired", lambda: by_web(documents={WEB.did: agreed(ended(expires="2026-06-01T12:00:00Z"))}), FAILED, Reason.KEY_ENDED),
    Row("a did:web says that the key will end", lambda: by_web(documents={WEB.did: agreed(ended(revoked="2026-06-01T12:00:01Z", expires="2026-06-01T12:00:01Z"))}), PASSED),
    Row("no key: offline, no bundle", lambda: Story(bundled=False), UNKNOWN, Reason.KEY_UNKNOWN),
    Row("no key: did:web of an unlisted issuer", lambda: by_web(trust=None), UNKNOWN, Reason.KEY_NOT_ASKED),
    Row("no key: did:web in a mode that does not ask it", lambda: by_web(mode=Mode.CHAIN), UNKNOWN, Reason.KEY_NOT_ASKED),
    Row("no key: did:web that does not answer", lambda: by_web(documents={}), UNKNOWN, Reason.KEY_UNREACHABLE),
    Row("no key: a DID method that is not known", lambda: of_key_school(issuer=Signatory("did:ion:abc", "k", KEY_SCHOOL.key), mode=Mode.FULL), UNKNOWN, Reason.KEY_NOT_LOOKED_UP),
    Row("no key: the issuer is neither a DID nor an https address", lambda: of_key_school(issuer=Signatory("http://school.example/issuer", "k", KEY_SCHOOL.key), mode=Mode.FULL), UNKNOWN, Reason.KEY_NOT_LOOKED_UP),
    Row("no key: a did:ethr of a network without a name here", lambda: of_key_school(issuer=Signatory(f"did:ethr:foonet:0x{IDENTITY.hex()}", "k", KEY_SCHOOL.key), bundled=False), UNKNOWN, Reason.KEY_UNKNOWN),
    Row("no key: a fragment that no DID URL has", lambda: of_key_school(issuer=replace(KEY_SCHOOL, fragment="a b")), UNKNOWN, Reason.KEY_UNKNOWN),
    Row("wrong signature, and no slot confirms the key", lambda: Story(tamper=change_mark, checkpoint=None), UNKNOWN, Reason.KEY_NOT_CONFIRMED),
    Row("wrong signature, and the key's slot is zero", lambda: Story(tamper=change_mark, shown=NO_STATE), UNKNOWN, Reason.KEY_NOT_CONFIRMED),
    Row("right signature, and the key's slot is zero", lambda: Story(shown=NO_STATE), UNKNOWN, Reason.KEY_NOT_CONFIRMED),
    Row("right signature, and no slot confirms the key", lambda: Story(checkpoint=None), UNKNOWN, Reason.KEY_NOT_CONFIRMED),
    Row("a bundle's key without anchor, of an identity that never wrote", lambda: unregistered(bundled=True, bundle_key=STRANGER, issuer=replace(SCHOOL, key=STRANGER.key), spoil=no_anchor, documents={}), UNKNOWN, Reason.KEY_UNKNOWN),
    Row("events by one voice", lambda: unregistered(documents=one_voice()), UNKNOWN, Reason.KEY_SOURCE_WEAK),
    Row("changed, by events of one voice", lambda: unregistered(documents=one_voice(), tamper=change_mark), UNKNOWN, Reason.KEY_NOT_CONFIRMED),
    Row("only suites that are not known", lambda: of_key_school(tamper=suite("xyz-2030")), UNKNOWN, Reason.UNKNOWN_SUITE),
    Row("a legacy type of proof", lambda: of_key_school(tamper=setting("proof", 0, "type", value="Ed25519Signature2018")), UNKNOWN, Reason.UNKNOWN_SUITE),
    Row("a chain whose first proof cannot be judged", lambda: of_key_school(more_proofs=CHAIN, tamper=both(third_party, suite("xyz-2030"))), UNKNOWN, Reason.UNKNOWN_SUITE),
    Row("an envelope around nothing", lambda: of_key_school(tamper=enveloped), UNKNOWN, Reason.NOT_REACHED),
    Row("a context that is not pinned", lambda: of_key_school(options=RDF, tamper=unpinned), UNKNOWN, Reason.CONTEXT_NOT_PINNED),
    Row("not reached", told(b"{"), UNKNOWN, Reason.NOT_REACHED),
]  # fmt: skip


BBS_ONLY = replace(LedgerState(), key=key_word(purposes=4))

PROOF_PURPOSE = [
    Row("to assert, with a key that may", of_key_school, PASSED),
    Row("to assert, with the purpose bit in the key's slot", Story, PASSED),
    Row("of a presentation: to authenticate", lambda: Story(holder=STRANGER), PASSED),
    Row("another purpose", lambda: of_key_school(options={"proofPurpose": "authentication"}), FAILED, Reason.WRONG_PURPOSE),
    Row("one of two with another purpose", lambda: of_key_school(more_proofs=((KEY_SCHOOL, {"proofPurpose": "authentication"}),)), FAILED, Reason.WRONG_PURPOSE),
    Row("the method lacks the relationship", lambda: by_web(documents={WEB.did: agreed(did_document(WEB.did, WEB, ["authentication"]))}), FAILED, Reason.WRONG_PURPOSE),
    Row("the method lacks the relationship, and it was changed", lambda: by_web(tamper=change_mark, documents={WEB.did: agreed(did_document(WEB.did, WEB, ["authentication"]))}), FAILED, Reason.WRONG_PURPOSE),
    Row("the document has no such method", lambda: by_web(documents={WEB.did: agreed(did_document(WEB.did, replace(WEB, fragment="key-2")))}), FAILED, Reason.KEY_UNKNOWN),
    Row("the purpose bit is missing", lambda: Story(shown=BBS_ONLY), FAILED, Reason.WRONG_PURPOSE),
    Row("no proof", lambda: of_key_school(tamper=no_proof), FAILED, Reason.NO_PROOF),
    Row("a presentation signed to assert", lambda: Story(holder=STRANGER, presentation_options={"proofPurpose": "assertionMethod"}), FAILED, Reason.WRONG_PURPOSE),
    Row("an unsigned presentation", lambda: Story(holder=STRANGER, presentation_options={"proofPurpose": None}), FAILED, Reason.NO_PROOF),
    Row("no key document", lambda: Story(bundled=False), UNKNOWN, Reason.KEY_UNKNOWN),
    Row("not reached", told(b"{"), UNKNOWN, Reason.NOT_REACHED),
]  # fmt: skip


def starts(text: str) -> Callable[[Json], None]:
    return setting("validFrom", value=text)


def ends(text: str) -> Callable[[Json], None]:
    return setting("validUntil", value=text)


NOW_TEXT = "2026-06-01T12:00:00Z"

VALIDITY_PERIOD = [
    Row("between the two", Story, PASSED),
    Row("at its first moment", lambda: Story(write=starts(NOW_TEXT)), PASSED),
    Row("no end", lambda: Story(write=setting("validUntil", value=None)), PASSED),
    Row("no dates", lambda: Story(write=both(setting("validUntil", value=None), setting("validFrom", value=None))), PASSED),
    Row("expired since, but not at the time asked for", lambda: of_key_school(write=both(without_status, ends("2026-05-20T00:00:00Z")), as_of=NOW - timedelta(days=20)), PASSED),
    Row("its end itself", lambda: Story(write=ends(NOW_TEXT)), FAILED, Reason.EXPIRED),
    Row("expired", lambda: Story(write=ends("2026-05-01T00:00:00Z")), FAILED, Reason.EXPIRED),
    Row("a second before its beginning", lambda: Story(write=starts("2026-06-01T12:00:01Z")), FAILED, Reason.NOT_YET_VALID),
    Row("not reached", told(b"{"), UNKNOWN, Reason.NOT_REACHED),
]  # fmt: skip


def spoil_evidence(member: str, value: object) -> Callable[[Json], None]:
    return setting("evidence", 0, member, value=value)


def foreign_link(document: Json) -> None:
    document["evidence"] = [{"id": "https://x.example/work.pdf", "type": ["Evidence"], "name": "work"}]


def other_digest(document: Json) -> None:
    document["evidence"][0]["digestMultibase"] = "uEiA" + "A" * 43


def swapped(bundle: Json) -> None:
    bundle["evidence"][0]["bytes"], bundle["evidence"][1]["bytes"] = (
        bundle["evidence"][1]["bytes"],
        bundle["evidence"][0]["bytes"],
    )
    for item in bundle["evidence"]:
        item["length"] = len(item["bytes"]) * 3 // 4


def twice(document: Json) -> None:
    document["evidence"] = [document["evidence"][0]] * 17


EVIDENCE = [
    Row("two of three shown", Story, PASSED),
    Row("all shown", lambda: Story(show=(0, 1, 2)), PASSED),
    Row("shown beside a link of somebody else's kind", lambda: Story(write=lambda d: d["evidence"].insert(0, {"id": "https://x.example/w", "type": ["Evidence"], "name": "w"})), PASSED),
    Row("other bytes", lambda: Story(spoil=spoil_evidence("bytes", evidence().show([1])[0].to_json()["bytes"])), FAILED, Reason.EVIDENCE_SWAPPED),
    Row("bytes of two items exchanged", lambda: Story(spoil=swapped), FAILED, Reason.EVIDENCE_SWAPPED),
    Row("another name", lambda: Story(spoil=spoil_evidence("name", "other.py")), FAILED, Reason.EVIDENCE_SWAPPED),
    Row("another place", lambda: Story(spoil=spoil_evidence("index", 1)), FAILED, Reason.EVIDENCE_SWAPPED),
    Row("a path of another length", lambda: Story(spoil=spoil_evidence("path", [])), FAILED, Reason.EVIDENCE_SWAPPED),
    Row("shown, though it commits to none", lambda: Story(write=foreign_link), FAILED, Reason.EVIDENCE_SWAPPED),
    Row("commitment and digestMultibase differ", lambda: Story(write=other_digest, show=()), FAILED, Reason.EVIDENCE_SWAPPED),
    Row("more commitments than anybody makes", lambda: of_key_school(write=both(without_status, twice)), FAILED, Reason.EVIDENCE_SWAPPED),
    Row("not reached", told(b"{"), UNKNOWN, Reason.NOT_REACHED),
    Row("none shown", lambda: Story(show=()), NOT_APPLICABLE, Reason.EVIDENCE_WITHHELD),
    Row("none there", lambda: Story(write=setting("evidence", value=None), show=()), NOT_APPLICABLE, Reason.NO_EVIDENCE),
    Row("only links of other kinds", lambda: Story(write=foreign_link, show=()), NOT_APPLICABLE, Reason.NO_EVIDENCE),
]  # fmt: skip


TABLES = {
    CheckName.CONFORMANCE: CONFORMANCE,
    CheckName.SCHEMA: SCHEMA,
    CheckName.PROOF: PROOF,
    CheckName.PROOF_PURPOSE: PROOF_PURPOSE,
    CheckName.VALIDITY_PERIOD: VALIDITY_PERIOD,
    CheckName.EVIDENCE: EVIDENCE,
}
IMPOSSIBLE: dict[CheckName, dict[Outcome, str]] = {
    CheckName.CONFORMANCE: {
        UNKNOWN: "the document is at hand, so its rules can always be looked at",
        NOT_APPLICABLE: "whatever is judged has to keep the rules",
    },
    CheckName.SCHEMA: {},
    CheckName.PROOF: {NOT_APPLICABLE: "no proof is a failure"},
    CheckName.PROOF_PURPOSE: {NOT_APPLICABLE: "no proof is a failure"},
    CheckName.VALIDITY_PERIOD: {NOT_APPLICABLE: "absent dates are open ends, which is a pass"},
    CheckName.EVIDENCE: {},
}


@pytest.mark.parametrize("row", CONFORMANCE, ids=ids)
def test_conformance(row: Row) -> None:
    hold(CheckName.CONFORMANCE, row)


@pytest.mark.parametrize("row", SCHEMA, ids=ids)
def test_schema(row: Row) -> None:
    hold(CheckName.SCHEMA, row)


@pytest.mark.parametrize("row", PROOF, ids=ids)
def test_proof(row: Row) -> None:
    hold(CheckName.PROOF, row)


@pytest.mark.parametrize("row", PROOF_PURPOSE, ids=ids)
def test_proof_purpose(row: Row) -> None:
    hold(CheckName.PROOF_PURPOSE, row)


@pytest.mark.parametrize("row", VALIDITY_PERIOD, ids=ids)
def test_validity_period(row: Row) -> None:
    hold(CheckName.VALIDITY_PERIOD, row)


@pytest.mark.parametrize("row", EVIDENCE, ids=ids)
def test_evidence(row: Row) -> None:
    hold(CheckName.EVIDENCE, row)


@pytest.mark.parametrize("check", TABLES)
def test_the_table_has_exactly_the_possible_outcomes(check: CheckName) -> None:
    covers(TABLES[check], IMPOSSIBLE[check])
