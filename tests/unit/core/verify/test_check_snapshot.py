"""Snapshots of did:web and did:webvh documents that a witness anchored (FORMATS.md sections 4, 7 and 9)."""

# ruff: noqa: E501 - a table has one row a line

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

import pytest
from fixtures.check_tables import FAILED, PASSED, UNKNOWN, Row, hold, ids
from fixtures.verification import (
    CHAIN_ID,
    ENDPOINT,
    GENESIS,
    NETWORK,
    NOW,
    OWN_BLOCK,
    REGISTRY,
    LedgerState,
    Signatory,
    agreed,
    anchor_word,
    badge,
    did_document,
    public,
    signing_key,
    standards,
    without_status,
)
from fixtures.webvh import Log, key_of
from fixtures.webvh import document as web_vh_document

from node.core.anchor import CREDENTIAL, DID_DOCUMENT, did_document_digest, seal_batch
from node.core.bundle import Bundle, BundleKey, BundleState, DidDocumentSnapshot
from node.core.did.ethr_identity import did_ethr, parse_did_ethr
from node.core.did.webvh import read_log
from node.core.errors import Malformed
from node.core.evm.checkpoint import Checkpoint
from node.core.evm.network import NetworkClass
from node.core.strict_json import parse_json
from node.core.verify import engine
from node.core.verify.intake import read_intake
from node.core.verify.ledger import Identity, Wanted
from node.core.verify.materials import (
    Answer,
    DocumentAnswer,
    DocumentNeed,
    HeaderAnswer,
    HeaderNeed,
    Materials,
    Missing,
    Mode,
    Need,
    StateAnswer,
    StateNeed,
    Strength,
)
from node.core.verify.policy import ANY_ISSUER_UNSAFE, STRICT, Policy
from node.core.verify.report import CheckName, Outcome, Reason, Report
from node.core.verify.trust import TrustEntry, TrustList, parse_trust_list
from node.core.verify.verifier import Verifier

Json = dict[str, Any]
HOUR = timedelta(hours=1)
WEB = Signatory("did:web:school.example", "key-1", signing_key("web school"))
RENEWED = replace(WEB, key=signing_key("the web school's next key"))
IDENTITY = sha256(b"identity of a witness").digest()[:20]
WITNESS = did_ethr(CHAIN_ID, IDENTITY)
OTHER_WITNESS = did_ethr(CHAIN_ID, bytes(20))
SEEN = LedgerState(anchor=anchor_word(at=NOW - 3 * HOUR))


def web_document(signatory: Signatory = WEB) -> bytes:
    return json.dumps(did_document(signatory.did, signatory).to_json()).encode()


def snapshot(did: str, data: bytes, kind: int = DID_DOCUMENT) -> tuple[DidDocumentSnapshot, bytes]:
    """What a witness anchored, and its commitment."""
    salts = [sha256(bytes([number])).digest() for number in range(64)]
    sealed = seal_batch([(kind, did_document_digest(did, data))], salts, salts[1:], range(64))
    place = sealed.places[0]
    return (
        DidDocumentSnapshot(data, place.salt, place.index, sealed.size, place.path, IDENTITY),
        sealed.commitment,
    )


def _nothing(_: Any) -> None:
    pass


@dataclass
class Case:
    """A badge of a school with a web site, in a bundle with what a witness saw there."""

    issuer: Signatory = WEB
    data: bytes = field(default_factory=web_document)
    """What the witness anchored."""
    kind: int = DID_DOCUMENT
    shown: LedgerState = SEEN
    """The state that the bundle proves; without it where None."""
    with_state: bool = True
    own: LedgerState | None = None
    """What an endpoint tells, if there is one."""
    site: DocumentAnswer | None = None
    """What the site of the issuer says, if it answers."""
    witnesses: tuple[str, ...] = (WITNESS,)
    trust: TrustList | None = None
    mode: Mode = Mode.OFFLINE
    policy: Policy = STRICT
    networks: Json = field(default_factory=lambda: {"operator_networks": {CHAIN_ID: NETWORK}})
    checkpoint: bool = True
    as_of: datetime | None = None
    tamper: Callable[[Json], object] = _nothing
    """Changes the signed badge."""
    spoil: Callable[[Json], object] = _nothing
    """Changes the bundle's JSON."""
    needed: list[Need] = field(default_factory=list)

    def made(self) -> tuple[bytes, Verifier, bytes]:
        """The file, the verifier, and the commitment that the witness anchored."""
        shown, commitment = snapshot(self.issuer.did, self.data, self.kind)
        unsigned = badge(self.issuer.did)
        without_status(unsigned)
        del unsigned["evidence"]
        credential = self.issuer.sign(unsigned)
        self.tamper(credential)
        state = self.shown.state(IDENTITY, commitment, None)
        header = self.shown.header(state)
        slots = Wanted(Identity(CHAIN_ID, IDENTITY), commitment, None, ()).slots()
        proven = BundleState(header.raw, state.nodes(REGISTRY, slots)) if self.with_state else None
        bundle = Bundle(credential=credential, state=proven, did_document=shown).to_json()
        self.spoil(bundle)
        trusted = Checkpoint(CHAIN_ID, GENESIS, 1, 3, ((header.number, header.hash),))
        named = tuple(map(parse_did_ethr, self.witnesses))
        made = Verifier.of(
            standards(),
            trust=self.trust or TrustList((TrustEntry(self.issuer.did, "The Web School", witnesses=named),)),
            checkpoints=[trusted] if self.checkpoint else [],
            policy=self.policy,
            mode=self.mode,
            operator_networks=self.networks.get("operator_networks"),
        )
        verifier = replace(
            made, networks=replace(made.networks, ours=self.networks.get("ours", made.networks.ours))
        )
        return json.dumps(bundle).encode(), verifier, commitment

    def report(self) -> Report:
        data, verifier, commitment = self.made()
        intake = read_intake(data)
        materials = Materials.none()
        while missing := engine.needs(intake, materials, verifier, now=NOW, as_of=self.as_of):
            self.needed += missing
            materials = materials.extended({need: self.answer(need, commitment) for need in missing}, ())
        return engine.verify(intake, materials, verifier, now=NOW, as_of=self.as_of)

    def answer(self, need: Need, commitment: bytes) -> Answer | Missing:
        if isinstance(need, DocumentNeed) and self.site is not None:
            return self.site
        if self.own is None:
            return Missing("nobody answered")
        state = self.own.state(IDENTITY, commitment, None)
        header = self.own.header(state)
        if isinstance(need, HeaderNeed):
            hashes = {height: header.hash for height in need.heights if height == header.number}
            return HeaderAnswer(header, hashes, ENDPOINT, Strength.ONE_ENDPOINT)
        assert isinstance(need, StateNeed)
        return StateAnswer(state.nodes(need.address, need.slots), ENDPOINT)


def own(**changes: Any) -> LedgerState:
    return replace(SEEN, number=OWN_BLOCK, time=NOW - timedelta(seconds=10), **changes)


def changed(credential: Json) -> None:
    credential["name"] = "Data structures with honours"


def set_in(*path: str, value: Any) -> Callable[[Json], None]:
    def change(bundle: Json) -> None:
        inner = bundle
        for name in path[:-1]:
            inner = inner[name]
        inner[path[-1]] = value

    return change


def as_salted(bundle: Json) -> None:
    salt = bundle["didDocument"]["salt"]
    bundle["didDocument"]["salt"] = ("B" if salt[0] == "A" else "A") + salt[1:]


def junk_node(bundle: Json) -> None:
    bundle["state"]["nodes"].pop()


def with_own_key(bundle: Json) -> None:
    """Whoever forges puts a key of his own into the bundle, as if the issuer had an identity."""
    bundle["key"] = BundleKey(WEB.method, public(RENEWED.key)).to_json()


SITE = agreed(did_document(WEB.did, WEB))
OTHER_KEY_ON_SITE = agreed(did_document(WEB.did, RENEWED))
KEY_GONE = agreed(did_document(WEB.did, replace(RENEWED, fragment="key-2")))
LIMITED = TrustList((TrustEntry(WEB.did, "The Web School", end=NOW - HOUR, witnesses=(parse_did_ethr(WITNESS),)),))  # fmt: skip
AT_TEN = replace(STRICT, max_header_age_seconds=10 * 3600)
OF_OURS: Json = {"ours": {CHAIN_ID: replace(NETWORK, network_class=NetworkClass.TEST)}}


ROWS = [
    Row("seen by a witness three hours ago, offline", Case, PASSED),
    Row("one of two witnesses", lambda: Case(witnesses=(OTHER_WITNESS, WITNESS)), PASSED),
    Row("the witness named in another legal form", lambda: Case(witnesses=(f"did:ethr:0x{CHAIN_ID:X}:0x{IDENTITY.hex().upper()}",)), PASSED),
    Row("proven at the verifier's own header", lambda: Case(with_state=False, mode=Mode.CHAIN, own=own(), checkpoint=False), PASSED),
    Row("the site has the same", lambda: Case(mode=Mode.FULL, site=SITE), PASSED),
    Row("the site does not answer", lambda: Case(mode=Mode.FULL), PASSED),
    Row("the site has another key now, offline", lambda: Case(site=OTHER_KEY_ON_SITE), PASSED),
    Row("the anchor is seen after the identity of its witness was closed", lambda: Case(shown=replace(SEEN, closed=1_001)), PASSED),
    Row("changed after signing", lambda: Case(tamper=changed), FAILED, Reason.CHANGED),
    Row("the site has another key under that name, and may be asked", lambda: Case(mode=Mode.FULL, site=OTHER_KEY_ON_SITE), FAILED, Reason.CHANGED),
    Row("the site has not the key any more, and may be asked", lambda: Case(mode=Mode.FULL, site=KEY_GONE), FAILED, Reason.KEY_UNKNOWN),
    Row("signed with a key that was not there when it was seen", lambda: Case(data=web_document(replace(RENEWED, fragment="key-0"))), UNKNOWN, Reason.KEY_UNKNOWN),
    Row("nobody is named as a witness", lambda: Case(witnesses=()), UNKNOWN, Reason.KEY_NOT_ASKED),
    Row("somebody else is named as a witness", lambda: Case(witnesses=(OTHER_WITNESS,)), UNKNOWN, Reason.KEY_NOT_ASKED),
    Row("the witness is named on another chain", lambda: Case(witnesses=(did_ethr(7, IDENTITY),)), UNKNOWN, Reason.KEY_NOT_ASKED),
    Row("no list of issuers", lambda: Case(trust=TrustList(()), policy=ANY_ISSUER_UNSAFE), UNKNOWN, Reason.KEY_NOT_ASKED),
    Row("named for another time", lambda: Case(trust=LIMITED), UNKNOWN, Reason.KEY_NOT_ASKED),
    Row("never anchored", lambda: Case(shown=replace(SEEN, anchor=None)), UNKNOWN, Reason.KEY_NOT_ASKED),
    Row("anchored as something else", lambda: Case(kind=CREDENTIAL), UNKNOWN, Reason.KEY_NOT_ASKED),
    Row("other bytes than were anchored", lambda: Case(spoil=set_in("didDocument", "bytes", value="e30")), UNKNOWN, Reason.KEY_NOT_ASKED),
    Row("another salt", lambda: Case(spoil=as_salted), UNKNOWN, Reason.KEY_NOT_ASKED),
    Row("what was anchored is of another DID", lambda: Case(data=json.dumps(did_document("did:web:elsewhere.example", WEB).to_json()).encode()), UNKNOWN, Reason.KEY_NOT_ASKED),
    Row("what was anchored is no document", lambda: Case(data=b"<html>"), UNKNOWN, Reason.KEY_NOT_ASKED),
    Row("anchored when its witness had closed its identity", lambda: Case(shown=replace(SEEN, closed=1_000)), UNKNOWN, Reason.KEY_NOT_ASKED),
    Row("no state in the bundle, and no endpoint", lambda: Case(with_state=False), UNKNOWN, Reason.KEY_NOT_ASKED),
    Row("the proof in the bundle lacks a node", lambda: Case(spoil=junk_node), UNKNOWN, Reason.KEY_NOT_ASKED),
    Row("nobody vouches for the header", lambda: Case(checkpoint=False), UNKNOWN, Reason.KEY_NOT_ASKED),
    Row("a look-alike registry", lambda: Case(shown=replace(SEEN, code_hash=bytes(32))), UNKNOWN, Reason.KEY_NOT_ASKED),
    Row("a witness on a test network", lambda: Case(networks=OF_OURS), UNKNOWN, Reason.KEY_NOT_ASKED),
    Row("a witness on a chain in no table", lambda: Case(networks={}), UNKNOWN, Reason.KEY_NOT_ASKED),
    Row("seen longer ago than the policy allows", lambda: Case(shown=replace(SEEN, anchor=anchor_word(at=NOW - 25 * HOUR))), UNKNOWN, Reason.SNAPSHOT_OLD),
    Row("seen within a limit of ten hours", lambda: Case(shown=replace(SEEN, anchor=anchor_word(at=NOW - 10 * HOUR)), policy=AT_TEN), PASSED),
    Row("seen before a limit of ten hours", lambda: Case(shown=replace(SEEN, anchor=anchor_word(at=NOW - 10 * HOUR - timedelta(seconds=1))), policy=AT_TEN), UNKNOWN, Reason.SNAPSHOT_OLD),
    Row("seen after the time asked for", lambda: Case(as_of=NOW - 4 * HOUR), UNKNOWN, Reason.KEY_NOT_ASKED),
    Row("seen in the future", lambda: Case(shown=replace(SEEN, anchor=anchor_word(at=NOW + HOUR)), as_of=NOW + 2 * HOUR), UNKNOWN, Reason.CLOCK),
    Row("in full the site does not answer, and the snapshot does not count", lambda: Case(mode=Mode.FULL, witnesses=()), UNKNOWN, Reason.KEY_UNREACHABLE),
    Row("a key in the bundle", lambda: Case(issuer=RENEWED, spoil=with_own_key, witnesses=()), UNKNOWN, Reason.KEY_NOT_ASKED),
]  # fmt: skip


@pytest.mark.parametrize("row", ROWS, ids=ids)
def test_proof(row: Row) -> None:
    report = hold(CheckName.PROOF, row)
    of_the_chain = ("network", "header", "anchor", "key", "freshness")
    assert all(report[CheckName(name)].outcome is Outcome.NOT_APPLICABLE for name in of_the_chain)


def test_it_is_accepted_offline_and_asks_nobody() -> None:
    case = Case()
    report = case.report()
    assert (report.acceptance, report.verified) == ("accepted", True)
    assert case.needed == []


def test_the_basis_tells_block_time_age_and_whose_word_it_is() -> None:
    basis = Case().report()[CheckName.PROOF].basis
    for told in (
        "snapshot",
        "by its witness in block 1000 (2026-06-01T09:00:00Z)",
        "checkpoint file",
        "3 hours old",
    ):
        assert told in basis


def test_why_a_snapshot_does_not_count_is_told() -> None:
    for witnesses in ((), (OTHER_WITNESS,)):
        assert "does not name who made it" in Case(witnesses=witnesses).report()[CheckName.PROOF].basis
    old = Case(shown=replace(SEEN, anchor=anchor_word(at=NOW - timedelta(days=40))))
    assert "40 days old, the limit is 24 hours" in old.report()[CheckName.PROOF].basis


def test_a_snapshot_beside_an_issuer_of_another_method_changes_nothing() -> None:
    key_school = Signatory(f"did:key:{public(WEB.key).multibase}", public(WEB.key).multibase, WEB.key)
    case = Case(issuer=key_school, data=b"<html>", spoil=lambda bundle: bundle.pop("state"))
    assert case.report().acceptance == "accepted"


def test_of_two_readings_of_the_witness_the_newest_decides() -> None:
    """The bundle's state is older than the verifier's own, where the anchor stands meanwhile."""
    case = Case(shown=replace(SEEN, anchor=None), own=own(), mode=Mode.CHAIN)
    assert case.report()[CheckName.PROOF].outcome is PASSED


# A prime, as in `tests/attacks/test_every_byte.py`.
STRIDE = 23


@pytest.mark.parametrize("accepted", [True, False])
def test_a_changed_byte_turns_nothing_green_and_changes_nothing_that_is(accepted: bool) -> None:
    """FORMATS.md section 7, for a bundle whose key is in a snapshot."""
    data, verifier, _ = Case(witnesses=(WITNESS,) if accepted else ()).made()

    def judged(changed: bytes) -> Json:
        try:
            report = engine.verify(read_intake(changed), Materials.none(), verifier, now=NOW)
        except Malformed as error:
            report = engine.unreadable(error, verifier, now=NOW)
        return report.to_json()

    before = judged(data)
    assert (before["acceptance"] == "accepted") is accepted
    for at in range(0, len(data), STRIDE):
        after = judged(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        assert after["acceptance"] != "accepted" or after == before, data[max(0, at - 40) : at + 10]


# did:webvh --------------------------------------------------------------------------------------------------


def school_with_log(*updates: Json) -> tuple[Signatory, Log]:
    log = Log()
    for changes in updates:
        log.update(**changes)
    return Signatory(log.did, "key-1", key_of(9)), log


def versions(log: Log) -> DocumentAnswer:
    history = read_log(log.did, log.to_bytes(), None, now=NOW)
    told = tuple(version.version_id for version in history.versions)
    return replace(agreed(history.latest.document()), versions=told)


def of_log(served: Log | None = None, **changes: Any) -> Case:
    issuer, log = school_with_log({})
    site = None if served is None else versions(served)
    return Case(**{"issuer": issuer, "data": log.to_bytes(), "site": site, **changes})


def newer_key() -> tuple[Signatory, Log]:
    """A school that replaced its key in its second entry, of which somebody has the old one."""
    issuer, log = school_with_log()
    log.update(state=web_vh_document(log.did, 8))
    return issuer, log


def test_the_key_of_a_did_webvh_is_known_offline_by_its_log() -> None:
    report = of_log().report()
    assert report.acceptance == "accepted"
    assert "snapshot" in report[CheckName.PROOF].basis


def test_a_log_is_verified_whoever_anchored_it() -> None:
    issuer, log = school_with_log({})
    log.entries[-1]["state"] = web_vh_document(log.did, 3)
    proof = Case(issuer=replace(issuer, key=key_of(3)), data=log.to_bytes()).report()[CheckName.PROOF]
    assert (proof.outcome, proof.reason) == (UNKNOWN, Reason.KEY_NOT_ASKED)


def test_a_site_that_withholds_the_anchored_head_of_its_log_is_not_believed() -> None:
    """The key was replaced in an entry that a witness saw; the site serves the log without that entry."""
    issuer, log = newer_key()
    older = Log()
    assert older.did == log.did
    assert (
        Case(issuer=issuer, site=versions(older), mode=Mode.FULL, with_state=False).report().acceptance
        == "accepted"
    )
    caught = Case(issuer=issuer, data=log.to_bytes(), site=versions(older), mode=Mode.FULL).report()
    assert caught[CheckName.PROOF].outcome is FAILED
    assert (
        "snapshot"
        not in of_log(served=school_with_log({}, {})[1], mode=Mode.FULL).report()[CheckName.PROOF].basis
    )


def test_an_anchored_head_binds_a_site_however_long_ago_it_was_seen() -> None:
    issuer, log = newer_key()
    long_ago = replace(SEEN, anchor=anchor_word(at=NOW - timedelta(days=40)))
    case = Case(issuer=issuer, data=log.to_bytes(), site=versions(Log()), mode=Mode.FULL, shown=long_ago)
    proof = case.report()[CheckName.PROOF]
    assert (proof.outcome, proof.reason) == (UNKNOWN, Reason.KEY_UNREACHABLE)
    assert "lacks an entry" in proof.basis


def test_entries_after_the_anchored_head_are_the_site_s_to_tell() -> None:
    issuer, log = newer_key()
    first = Log()
    proof = Case(issuer=issuer, data=first.to_bytes(), site=versions(log), mode=Mode.FULL).report()[
        CheckName.PROOF
    ]
    assert (proof.outcome, proof.reason) == (FAILED, Reason.CHANGED)


def test_a_did_webvh_that_was_ended_has_no_key_any_more() -> None:
    issuer, log = school_with_log({"deactivated": True, "updateKeys": []})
    proof = Case(issuer=issuer, data=log.to_bytes()).report()[CheckName.PROOF]
    assert (proof.outcome, proof.reason) == (FAILED, Reason.KEY_UNKNOWN)


# The trust list ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("named", ["did:web:notary.example", "did:ethr:foonet:0x" + "00" * 20, "notary", 1])
def test_a_witness_has_an_identity_on_a_chain(named: Any) -> None:
    listed = {"issuers": [{"did": WEB.did, "name": "School", "witnesses": [named]}]}
    with pytest.raises(Malformed) as caught:
        parse_trust_list(parse_json(json.dumps(listed).encode()))
    assert caught.value.problem.path == ("issuers", 0, "witnesses")
