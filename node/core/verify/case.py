"""One credential in front of the verifier: its sixteen checks, in the order of FORMATS.md section 9."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from functools import cache, lru_cache
from typing import Any, Final, Generic, TypeVar

from node.core.anchor import CREDENTIAL, Anchor, credential_digest, issued_digest
from node.core.did.resolution import resolve_self_certifying
from node.core.encoding import encode_multibase
from node.core.errors import BonafidesError, Malformed, NotVerified
from node.core.evidence import EvidenceCommitment, ShownEvidence, committed_in, verify_shown
from node.core.evm.registry import KeyPurpose, KeyWindow
from node.core.keys import PublicKey
from node.core.times import format_datetime_stamp
from node.core.verify import anchored
from node.core.verify import holder as holding
from node.core.verify.anchored import AnchorFound
from node.core.verify.disclosure import Disclosure, disclosure_of
from node.core.verify.foreign import Told, check_foreign_status
from node.core.verify.holder import Asked, Holder, is_presented
from node.core.verify.intake import Shown
from node.core.verify.ledger import UNNAMED_CHAIN, Identity, Ledger, Wanted, open_ledger
from node.core.verify.materials import DocumentNeed, Inquiry, Missing
from node.core.verify.methods import KeyFound, KeyMissing, KeyNamed, find_in, find_key
from node.core.verify.proofs import ProofChecks, check_proofs
from node.core.verify.reading import not_reached, read_document
from node.core.verify.report import (
    Check,
    CheckName,
    HeaderUsed,
    HolderSecret,
    IssuerNamed,
    Outcome,
    Reason,
    Report,
)
from node.core.verify.snapshot import WITNESSED_METHODS, Uncounted, Witnessed, judge_snapshot
from node.core.verify.tokens import check_token
from node.core.verify.trust import TrustEntry
from node.core.verify.verifier import Verifier, make_report

# Each item shown is compared with each commitment, which costs a hash of all its bytes.
_MAX_COMMITMENTS: Final = 16
_NO_IDENTITY: Final = "its issuer has no identity on a chain"


_NO_STATUS: Final = Check(
    CheckName.STATUS, Outcome.NOT_APPLICABLE, "it has no status entry", Reason.NO_STATUS
)
_NO_END: Final = Check(CheckName.VALIDITY_PERIOD, Outcome.PASSED, "it names no end")
_NO_EVIDENCE: Final = Check(
    CheckName.EVIDENCE, Outcome.NOT_APPLICABLE, "no evidence of ours is in it", Reason.NO_EVIDENCE
)
_NO_TRUST_LIST: Final = Check(
    CheckName.ISSUER_TRUST,
    Outcome.UNKNOWN,
    "there is no list of recognised issuers: nobody says who this issuer is",
    Reason.NO_TRUST_LIST,
)

T = TypeVar("T")


@lru_cache(maxsize=256)  # the credentials of one course have one end
def _valid_until(end: datetime) -> Check:
    return Check(CheckName.VALIDITY_PERIOD, Outcome.PASSED, f"valid until {format_datetime_stamp(end)}")


@cache  # the same for every such document
def _of_no_identity(name: CheckName) -> Check:
    return Check(name, Outcome.NOT_APPLICABLE, _NO_IDENTITY, Reason.NO_IDENTITY)


class once(Generic[T]):  # noqa: N801 - used as a word, like `property`
    """A property that is found out at its first use and kept; one thread asks, so there is no lock to pay for."""

    def __init__(self, find: Callable[[Any], T]) -> None:
        self._find = find
        self._name = find.__name__

    def __get__(self, instance: Any, owner: type) -> T:
        found: T = self._find(instance)
        instance.__dict__[self._name] = found
        return found


class Case:
    """One credential. Each property is found out once, in whatever order it is needed."""

    def __init__(
        self,
        shown: Shown,
        inquiry: Inquiry,
        verifier: Verifier,
        now: datetime,
        as_of: datetime,
        domain: Collection[str] | None = None,
    ) -> None:
        self.bundle = shown.bundle
        self.inquiry = inquiry
        self.verifier = verifier
        self.now = now
        self.as_of = as_of
        self.domain = domain
        self.document = read_document(
            shown.document, verifier.canonicalizer, verifier.schemas, shown.envelope
        )

    def report(self, holder: Holder | None, asked: Asked) -> Report:
        """All sixteen checks, in their order."""
        facts = self.document.facts
        if facts is None:
            return self._unread(holder, asked)
        found = self.anchor
        checks = (
            self.document.conformance,  # 1
            self.disclosure.limit_schema(self.document.schema, lacking=self.document.lacking),  # 2
            self.proofs.proof,  # 3
            self.proofs.purpose,  # 4
            self._of_ledger(CheckName.NETWORK),  # 5
            self._of_ledger(CheckName.HEADER),  # 6
            found.check,  # 7
            self._key(),  # 8
            self.disclosure.limit(self._status()),  # 9
            self.freshness,  # 10
            self.disclosure.limit(self._validity_period()),  # 11
            self._evidence(),  # 12
            self._issuer_trust(),  # 13
            *self._presented(holder, asked),  # 14, 15, 16
        )
        return make_report(
            checks,
            self.verifier,
            self.as_of,
            presented=is_presented(holder),
            issuer=self._issuer_named(),
            header=self._header_used(),
            anchored=found.time,
            holder_secret=_proven_secret(holder, checks),
            document=self.document.read,
        )

    def _issuer_named(self) -> IssuerNamed | None:
        """Who issued it; nobody of an SD-JWT VC that leaves it to a certificate."""
        assert self.document.facts is not None  # noqa: S101
        if not self.issuer:
            return None
        entry = self._trust_entry()
        return IssuerNamed(self.issuer, entry.name if entry else None, self.document.facts.issuer_name)

    def _unread(self, holder: Holder | None, asked: Asked) -> Report:
        """The report on what could not be read: who presented it, and to whom, is known all the same."""
        known = [self.document.conformance, self.document.schema]
        if holder is not None:
            known += self._presented(holder, asked)
        names = {check.name for check in known}
        rest = [not_reached(name) for name in CheckName if name not in names]
        return make_report([*known, *rest], self.verifier, self.as_of, presented=is_presented(holder))

    # Who issued it, and where its identity lives

    @once
    def issuer(self) -> str:
        """The issuer, letter by letter as signed."""
        assert self.document.facts is not None  # noqa: S101 - nothing asks before the document was read
        return self.document.facts.issuer_id

    @once
    def identity(self) -> Identity | None:
        """The issuer's identity on a chain, if its DID names one."""
        if self.document.on_unnamed_chain:
            return UNNAMED_CHAIN
        did = self.document.ethr
        return Identity(did.chain_id, did.identity) if did is not None else None

    # 3, 4 proof

    @once
    def proofs(self) -> ProofChecks:
        """The proof checks."""
        if self.document.envelope is not None:
            envelope = self.document.envelope
            return check_token(self.document, envelope, self._find_key, self.as_of, self.domain)
        return check_proofs(
            self.document, self.verifier.canonicalizer, self._find_key, self.as_of, self.inquiry
        )

    @once
    def disclosure(self) -> Disclosure:
        """How much of it was shown, by the proof that the anchor names where it names one.

        Of another one nothing tells whether its key still counted: a retired key could make a whole of a part.
        """
        named = self.bundle.anchor.proof_value if self.bundle and self.bundle.anchor else None
        verified = [proof for proof in self.proofs.verified if named in (None, proof.proof_value)]
        return disclosure_of(self.document, verified, self.verifier.canonicalizer)

    def _find_key(self, named: KeyNamed) -> KeyFound | KeyMissing:
        key = self._key_of_bundle(named)
        if key is not None:
            return self._judge_key_of_bundle(key)
        return self._key_of(named)

    def _key_of_bundle(self, named: KeyNamed) -> PublicKey | None:
        """The bundle's key, if it is for this signature: by the method's id, and by the value that the anchor names.

        Without an anchor it counts for nothing: of an identity that never wrote, neither anchor nor key is asked for,
        and then anybody's key in a bundle would do. Under bbs-2023 the key is asked for always, and an anchor never.
        """
        bundle = self.bundle
        if bundle is None or bundle.key is None or self.identity is None:
            return None
        if bundle.anchor is None and not self.document.unlinkable:
            return None
        anchored_one = bundle.anchor is None or bundle.anchor.proof_value in (None, named.proof_value)
        issuers = named.method.startswith(self.issuer + "#")
        fits = anchored_one and issuers and named.method == bundle.key.id
        return bundle.key.public_key if fits else None

    def _judge_key_of_bundle(self, key: PublicKey) -> KeyFound:
        """How far the bundle's key is to be believed: its slot must be proven to hold a window, fit to assert.

        Until it is, anybody can have put a key of his own into the bundle (FORMATS.md section 7).
        """
        word = self.ledger.key_word if self.ledger is not None else None
        if not word:
            return KeyFound(key, "the bundle", confirmed=False, doubt=Reason.KEY_NOT_CONFIRMED)
        purpose = KeyPurpose.BBS if self.document.unlinkable else KeyPurpose.ASSERTION
        fit = bool(KeyWindow.from_word(word).purposes & purpose)
        return KeyFound(key, "the bundle", fit=fit)

    def _key_of(self, named: KeyNamed) -> KeyFound | KeyMissing:
        may_fetch = self.verifier.may_fetch
        return find_key(
            named,
            self.inquiry,
            as_of=self.as_of,
            may_fetch=may_fetch,
            confirm=self._confirm,
            snapshot=self._snapshot_of,
        )

    def _snapshot_of(self, did: str) -> Witnessed | Uncounted | None:
        return self._snapshot if did == self.issuer else None

    @once
    def _snapshot(self) -> Witnessed | Uncounted | None:
        """The issuer's document by what a witness of it saw, where the bundle shows that."""
        shown = self.bundle.did_document if self.bundle else None
        if shown is None or not self.issuer.startswith(WITNESSED_METHODS):
            return None
        trust, policy = self.verifier.trust, self.verifier.policy
        named = () if trust is None else trust.witnesses_of(self.issuer, self.as_of)
        witnesses = [Identity(one.chain_id, one.identity) for one in named]
        return judge_snapshot(shown, self.issuer, witnesses, self._read_chain, policy, self.as_of, self.now)

    def _confirm(self, key: PublicKey) -> bool:
        """Whether the registry's slot confirms a key that events told of."""
        return self.ledger is not None and self.ledger.wanted.key == key and bool(self.ledger.key_word)

    # 5 to 10, the chain

    @once
    def ledger(self) -> Ledger | None:
        """What could be read of the chain, where the issuer has an identity on one."""
        if self.identity is None:
            return None
        wanted = Wanted(self.identity, self._commitment, self._key_hint(), self.document.entries)
        return self._read_chain(wanted)

    def _read_chain(self, wanted: Wanted) -> Ledger:
        return open_ledger(
            wanted,
            self.bundle,
            self.inquiry,
            self.verifier.networks,
            self.verifier.checkpoints,
            self.now,
        )

    def _key_hint(self) -> PublicKey | None:
        """The key whose slot decides: the bundle's, else the one that the identity's events name."""
        if self.bundle is not None:
            return self.bundle.key.public_key if self.bundle.key else None
        methods = self.document.methods
        if not methods:
            return None
        answer = self.inquiry.document(DocumentNeed(self.issuer), on_chain=True)
        if isinstance(answer, Missing):
            return None
        method = find_in(answer.document, methods[0])
        return method.public_key if method else None

    @once
    def _digest(self) -> bytes | BonafidesError:
        """The digest that an anchor is over (FORMATS.md section 3); an error where there is none."""
        envelope = self.document.envelope
        named = self.bundle.anchor.proof_value if self.bundle and self.bundle.anchor else None
        if named is not None and all(proof.proof_value != named for proof in self.document.issuer_proofs):
            return Malformed("the anchor is over a proof that is not the issuer's")
        try:
            if envelope is not None:
                return issued_digest(envelope.digest_input)
            return credential_digest(self.document.raw, named)
        except BonafidesError as error:
            return error

    @once
    def _commitment(self) -> bytes | None:
        if self.bundle is None or self.bundle.anchor is None or not isinstance(self._digest, bytes):
            return None
        try:
            return self.bundle.anchor.commitment_of(CREDENTIAL, self._digest)
        except (Malformed, NotVerified):
            return None

    def _of_ledger(self, name: CheckName) -> Check:
        if self.ledger is None:
            return _of_no_identity(name)
        return self.ledger.network if name is CheckName.NETWORK else self.ledger.header

    @once
    def freshness(self) -> Check:
        """How fresh the state is."""
        if self.ledger is None:
            return _of_no_identity(CheckName.FRESHNESS)
        return anchored.check_freshness(self.ledger, self.verifier.policy, self.as_of, self.now)

    @once
    def anchor(self) -> AnchorFound:
        """The anchor check and what it established."""
        anchor = self.bundle.anchor if self.bundle else None

        def found(outcome: Outcome, basis: str, reason: Reason) -> AnchorFound:
            return AnchorFound(Check(CheckName.ANCHOR, outcome, basis, reason))

        if self.ledger is None:
            if anchor is None:
                return AnchorFound(_of_no_identity(CheckName.ANCHOR))
            basis = f"an anchor was supplied, but {_NO_IDENTITY}"
            return found(Outcome.FAILED, basis, Reason.ANCHOR_OUT_OF_PLACE)
        if self.document.unlinkable:
            return self._anchor_of_unlinkable(anchor)
        if anchor is not None and isinstance(self._digest, BonafidesError):
            return found(Outcome.UNKNOWN, self._digest.detail, Reason.STATE_NOT_PROVEN)
        if anchor is not None and self._commitment is None:
            basis = "the bundle is false: its path has another length than its size and index ask for"
            return found(Outcome.FAILED, basis, Reason.BUNDLE_FALSE)
        found_out = anchored.check_anchor(self.ledger, anchor, self.freshness, self.as_of)
        if found_out.record is not None and self.disclosure.by_statement:
            return found_out.told("of what is shown, it dates the mandatory statements alone")
        return found_out

    def _anchor_of_unlinkable(self, anchor: Anchor | None) -> AnchorFound:
        """Under bbs-2023 an anchor would link what is not to be linked; the terms of issue stand in its place."""
        outcome, reason = Outcome.NOT_APPLICABLE, Reason.UNLINKABLE
        basis = "under bbs-2023 nothing is anchored, which would link its presentations"
        if anchor is not None:
            outcome, reason = Outcome.FAILED, Reason.ANCHOR_OUT_OF_PLACE
            basis = f"an anchor was supplied, but {basis}"
        elif self.disclosure.broken_terms:
            outcome, reason = Outcome.UNKNOWN, Reason.TERMS_BROKEN
            basis = f"{basis}; but {'; '.join(self.disclosure.broken_terms)} (FORMATS.md section 3)"
        return AnchorFound(Check(CheckName.ANCHOR, outcome, basis, reason))

    def _key(self) -> Check:
        if self.ledger is None:
            return _of_no_identity(CheckName.KEY)
        if self.document.unlinkable:
            network = self.verifier.networks.get(self.ledger.wanted.identity.chain_id)
            blocks = network.blocks_in_31_days if network else 0
            check = anchored.check_undated_key(self.ledger, self.ledger.shown_block, blocks)
        else:
            anchor = self.bundle.anchor if self.bundle else None
            claimed = anchor.block if anchor else 0
            check = anchored.check_key(self.ledger, self.anchor, claimed, self.verifier.policy)
        proven, verified_with = self.ledger.wanted.key, self.proofs.keys
        if check.outcome is Outcome.PASSED and verified_with and proven not in verified_with:
            # Else a proof by a retired key could pass beside a bundle that shows another key's window.
            basis = "the proof was verified with another key than the one whose validity is proven"
            return Check(CheckName.KEY, Outcome.UNKNOWN, basis, Reason.STATE_NOT_PROVEN)
        return check

    def _status(self) -> Check:
        if not self.document.entries and self.document.of_blockcerts and not self._is_self_certifying():
            basis = (
                "it has no status entry, and a list of revocations in its issuer's profile is not read here"
            )
            return Check(CheckName.STATUS, Outcome.UNKNOWN, basis, Reason.STATUS_LIST_UNKNOWN)
        exempt = self.anchor.check.outcome is Outcome.NOT_APPLICABLE
        if self.ledger is not None and not exempt:
            return anchored.check_status(self.ledger, self.document.entries, self.as_of)
        if not self.document.entries:
            return _NO_STATUS
        assert self.document.facts is not None  # noqa: S101
        told = Told(
            self.issuer,
            self.document.facts.id,
            self.proofs.proof.outcome is Outcome.PASSED,
            self.verifier.may_fetch(self.issuer),
            self.verifier.canonicalizer,
            self._key_of,
            self.as_of,
        )
        return check_foreign_status(self.document.entries, told, self.inquiry)

    def _is_self_certifying(self) -> bool:
        """Whether the issuer's identifier is all that there is of it, so that it has no profile."""
        try:
            return resolve_self_certifying(self.issuer) is not None
        except Malformed:
            return False

    def _header_used(self) -> HeaderUsed | None:
        state = self.ledger.state if self.ledger else None
        if self.ledger is None or state is None:
            return None
        hash_text = "0x" + state.header.hash.hex()
        chain = self.ledger.wanted.identity.chain
        return HeaderUsed(chain, state.header.number, hash_text, state.time, state.source, state.strength)

    # 11 to 13

    def _validity_period(self) -> Check:
        facts = self.document.facts
        assert facts is not None  # noqa: S101

        def found(outcome: Outcome, basis: str, reason: Reason | None = None) -> Check:
            return Check(CheckName.VALIDITY_PERIOD, outcome, basis, reason)

        if facts.valid_from is not None and self.as_of < facts.valid_from:
            basis = f"valid only from {format_datetime_stamp(facts.valid_from)}"
            return found(Outcome.FAILED, basis, Reason.NOT_YET_VALID)
        if facts.valid_until is not None and self.as_of >= facts.valid_until:
            basis = f"expired on {format_datetime_stamp(facts.valid_until)}"
            return found(Outcome.FAILED, basis, Reason.EXPIRED)
        if facts.valid_until is None:
            return _NO_END
        return _valid_until(facts.valid_until)

    def _evidence(self) -> Check:
        def found(outcome: Outcome, basis: str, reason: Reason | None = None) -> Check:
            return Check(CheckName.EVIDENCE, outcome, basis, reason)

        listed = self.document.read.get("evidence", [])
        objects = listed if isinstance(listed, list) else [listed]
        shown = self.bundle.evidence if self.bundle else ()
        visible = [item for item in shown if isinstance(item, ShownEvidence)]
        if not objects and not visible:
            return _NO_EVIDENCE
        try:
            commitments = [made for item in objects if (made := committed_in(item)) is not None]
            if len(commitments) > _MAX_COMMITMENTS:
                raise Malformed(f"more than {_MAX_COMMITMENTS} commitments to evidence")
            if visible and not commitments:
                raise NotVerified("files were shown, but the credential commits to none")
            for item in visible:
                verify_shown(_committing(commitments, item), item)
        except (NotVerified, Malformed) as error:
            basis = f"what was shown is not what was assessed: {error.detail}"
            return found(Outcome.FAILED, basis, Reason.EVIDENCE_SWAPPED)
        total = sum(made.size for made in commitments)
        if visible:
            return found(Outcome.PASSED, f"{len(visible)} of {total} items shown, as committed to")
        if total:
            basis = f"{total} item{'s' * (total > 1)} committed, none shown"
            return found(Outcome.NOT_APPLICABLE, basis, Reason.EVIDENCE_WITHHELD)
        return _NO_EVIDENCE

    def _issuer_trust(self) -> Check:
        def found(outcome: Outcome, basis: str, reason: Reason | None = None) -> Check:
            return Check(CheckName.ISSUER_TRUST, outcome, basis, reason)

        if self.verifier.trust is None:
            return _NO_TRUST_LIST
        entries = self.verifier.trust.of(self.issuer)
        if not entries:
            basis = "the issuer is not on your list of recognised issuers"
            return found(Outcome.UNKNOWN, basis, Reason.ISSUER_NOT_LISTED)
        entry = self._trust_entry()
        if entry is not None:
            return found(Outcome.PASSED, f"{entry.name}, on your list of recognised issuers")
        if self._time_of_issue() is None:
            basis = f"{entries[0].name} is listed for a time, and when this was anchored is not proven"
            return found(Outcome.UNKNOWN, basis, Reason.ISSUER_TIME_UNKNOWN)
        basis = f"{entries[0].name} is on your list, but not for the time of this credential"
        return found(Outcome.FAILED, basis, Reason.ISSUER_OUTSIDE_TIME)

    def _trust_entry(self) -> TrustEntry | None:
        """The entry that recognises the issuer at the credential's time."""
        if self.verifier.trust is None:
            return None
        moment = self._time_of_issue()
        for entry in self.verifier.trust.of(self.issuer):
            if not entry.limited or (moment is not None and entry.covers(moment)):
                return entry
        return None

    def _time_of_issue(self) -> datetime | None:
        """The anchor's time; where there is nothing to anchor, the time asked for."""
        exempt = self.anchor.check.outcome is Outcome.NOT_APPLICABLE
        return self.as_of if exempt else self.anchor.time

    # 14 to 16

    def _presented(self, holder: Holder | None, asked: Asked) -> Sequence[Check]:
        if holder is None:
            return holding.document_alone(asked)
        facts = self.document.facts
        known = facts is None or self.disclosure.has_subjects
        return (
            holding.check_binding(holder, facts, subjects_known=known),
            holding.check_challenge(holder, asked),
            holding.check_domain(holder, asked),
        )


def _proven_secret(holder: Holder | None, checks: Sequence[Check]) -> HolderSecret | None:
    """What a proof of bbs-2023 shows of its holder, where it verifies and was made for this verifier and occasion."""
    needed = {CheckName.PROOF, CheckName.HOLDER_BINDING, CheckName.CHALLENGE, CheckName.DOMAIN}
    if holder is None or not holder.by_secret or len(holder.domain) != 1:
        return None
    if any(check.outcome is not Outcome.PASSED for check in checks if check.name in needed):
        return None
    pseudonym = None if holder.pseudonym is None else encode_multibase(holder.pseudonym, "u")
    return HolderSecret(holder.domain[0], pseudonym)


def _committing(commitments: Sequence[EvidenceCommitment], item: ShownEvidence) -> EvidenceCommitment:
    """The commitment that a shown item is of; with several, the one it verifies against, else the first."""
    for made in commitments[1:]:
        try:
            verify_shown(made, item)
        except (NotVerified, Malformed):
            continue
        return made
    return commitments[0]
