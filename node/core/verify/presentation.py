"""A presentation: who made it, and the reports on the credentials in it (FORMATS.md section 9).

It is an object with embedded proofs, or a token (VC-JOSE-COSE section 3, VC-JWT of version 1.1), which names its
verifier by `aud` and answers by `nonce` as a proof does by `domain` and `challenge`. A token with a key binding
(RFC 9901 section 4.3) is a presentation of the one credential that it is; so is a credential with a proof of bbs-2023
that was derived for an occasion, where only its holder can derive one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from node.core.credential import NonConforming, PresentationFacts, check_presentation
from node.core.dataintegrity.bbs_2023 import (
    Bbs2023,
    DerivedProof,
    Feature,
    occasion_in,
    parse_derived_proof,
)
from node.core.dataintegrity.proof import Proof, parse_proof, proofs_of
from node.core.did.address import identifier_of
from node.core.did.document import AUTHENTICATION
from node.core.envelope import Envelope, KeyBinding
from node.core.errors import Malformed, NotVerified
from node.core.keys import PublicKey
from node.core.strict_json import JsonObject
from node.core.verify import holder as holding
from node.core.verify.credentials import Occasion, judge_credential
from node.core.verify.holder import Asked, Holder
from node.core.verify.intake import Intake, Shown
from node.core.verify.methods import KeyFinder, KeyFound, KeyMissing, KeyNamed, find_key
from node.core.verify.proofs import ProofJudge
from node.core.verify.reading import read_secured, read_token
from node.core.verify.report import Check, CheckName, Outcome, Reason, Report, worst
from node.core.verify.signature import Verdict
from node.core.verify.tokens import judge_token, signer_of
from node.core.verify.verifier import make_report

# RFC 9901 section 7.3: `iat` within an acceptable window; a challenge of ours lives as long (FORMATS.md section 9).
MAX_KEY_BINDING_AGE: Final = timedelta(minutes=5)
_CLOCK_TOLERANCE: Final = timedelta(seconds=60)
_REASONS: Final = {Outcome.FAILED: Reason.HOLDER_PROOF_WRONG, Outcome.UNKNOWN: Reason.HOLDER_UNRESOLVED}


def judge_presentation(intake: Intake, occasion: Occasion) -> Report:
    """The report on a presentation: one for each credential, and for each check the worst of them."""
    asked = occasion.asked
    own, holder = _read_presentation(intake, occasion)
    reports = tuple(
        judge_credential(shown, occasion, replace(holder, also=_bound_holder(shown, occasion)))
        for shown in intake.credentials
    )
    checks = []
    for name in CheckName:
        of_name = [check for check in own if check.name is name] + [report[name] for report in reports]
        checks.append(worst(of_name) if of_name else _without_credentials(name, holder, asked))
    first = reports[0] if len(reports) == 1 else None
    return make_report(
        checks,
        occasion.verifier,
        occasion.as_of,
        presented=True,
        credentials=reports,
        issuer=first.issuer if first else None,
        header=first.header if first else None,
        anchored=first.anchored if first else None,
    )


def judge_alone(shown: Shown, occasion: Occasion) -> Report:
    """The report on one credential that no presentation holds; a key binding of its own presents it."""
    if shown.envelope is None:
        return judge_credential(shown, occasion, _holder_by_header(shown.document, occasion.asked))
    return judge_credential(shown, occasion, _bound_holder(shown, occasion))


def _without_credentials(name: CheckName, holder: Holder, asked: Asked) -> Check:
    if name is CheckName.CHALLENGE:
        return holding.check_challenge(holder, asked)
    if name is CheckName.DOMAIN:
        return holding.check_domain(holder, asked)
    basis = "there is no credential in the presentation"
    if name is CheckName.HOLDER_BINDING:
        return Check(name, Outcome.NOT_APPLICABLE, basis, Reason.NOT_HELD)
    return Check(name, Outcome.UNKNOWN, basis, Reason.NOT_REACHED)


@dataclass(frozen=True, slots=True)
class _Signed:
    """The signature by which a presentation was made: what it came to, with which method, for what occasion."""

    verdict: Verdict
    method: str
    challenge: str | None
    domain: tuple[str, ...]


def _read_presentation(intake: Intake, occasion: Occasion) -> tuple[list[Check], Holder]:
    """The checks of the presentation itself (conformance, proof, purpose), and who its proof shows to hold it."""
    assert intake.presentation is not None  # noqa: S101
    canonicalizer = occasion.verifier.canonicalizer
    proofs: tuple[Proof, ...] = ()
    try:
        if intake.envelope is not None:
            read = read_token(intake.envelope, canonicalizer)
        else:
            proofs = proofs_of(intake.presentation)
            read = read_secured(intake.presentation, proofs, canonicalizer)
        facts = check_presentation(read.document)
    except Malformed as error:
        problems = error.problems if isinstance(error, NonConforming) else (error.problem,)
        broken = Check(CheckName.CONFORMANCE, Outcome.FAILED, error.detail, Reason.NOT_CONFORMING, problems)
        return [broken], Holder(Outcome.UNKNOWN, error.detail, Reason.NOT_REACHED, None, None)
    basis = "; ".join((f"the presentation conforms to the VC Data Model {facts.version}", *read.remarks))
    conforming = Check(CheckName.CONFORMANCE, Outcome.PASSED, basis, None, facts.warnings)
    signed = (
        _signed_token(intake.envelope, facts, occasion)
        if intake.envelope is not None
        else _signed_proof(intake, proofs, occasion)
    )
    if signed is None:
        basis = "the presentation is not signed by its holder"
        reason = Reason.WRONG_PURPOSE if proofs else Reason.NO_PROOF
        missing = [
            Check(name, Outcome.FAILED, basis, reason) for name in (CheckName.PROOF, CheckName.PROOF_PURPOSE)
        ]
        nobody = Holder(Outcome.FAILED, basis, Reason.HOLDER_PROOF_WRONG, None, facts.holder_id)
        return [conforming, *missing], nobody
    verdict = replace(signed.verdict, basis=f"the presentation's proof: {signed.verdict.basis}")
    checks = [
        conforming,
        Check(CheckName.PROOF, verdict.outcome, verdict.basis, verdict.reason, verdict.problems),
        _purpose_of_presentation(verdict.key, verdict.outcome, verdict.basis),
    ]
    return checks, _holder(signed, verdict, facts)


def _holder(signed: _Signed, verdict: Verdict, facts: PresentationFacts) -> Holder:
    if verdict.key is not None and not verdict.key.fit:
        unfit = "the key may not be used to present"
        verdict = Verdict(Outcome.FAILED, unfit, Reason.HOLDER_PROOF_WRONG)
    return Holder(
        verdict.outcome,
        verdict.basis,
        _REASONS.get(verdict.outcome),
        identifier_of(signed.method) if verdict.key is not None else None,
        facts.holder_id,
        signed.challenge,
        signed.domain,
    )


def _signed_proof(intake: Intake, proofs: tuple[Proof, ...], occasion: Occasion) -> _Signed | None:
    """The first proof that was made to authenticate."""
    assert intake.presentation is not None  # noqa: S101
    proof = next((one for one in proofs if one.proof_purpose == AUTHENTICATION), None)
    if proof is None:
        return None
    canonicalizer = occasion.verifier.canonicalizer
    judge = ProofJudge(intake.presentation, proofs, canonicalizer, _key_finder(occasion), occasion.as_of)
    return _Signed(judge.judge(proof), proof.verification_method, proof.challenge, proof.domain)


def _signed_token(envelope: Envelope, facts: PresentationFacts, occasion: Occasion) -> _Signed | None:
    if envelope.verification_method is None and facts.holder_id is None:
        return None
    named = signer_of(envelope, facts.holder_id or "", AUTHENTICATION)
    verdict = judge_token(envelope, named, _key_finder(occasion), occasion.as_of)
    return _Signed(verdict, named.method, envelope.claims.nonce, envelope.claims.audience)


def _key_finder(occasion: Occasion) -> KeyFinder:
    def find(named: KeyNamed) -> KeyFound | KeyMissing:
        may_fetch = occasion.verifier.may_fetch
        return find_key(
            named,
            occasion.inquiry,
            as_of=occasion.as_of,
            may_fetch=may_fetch,
            confirm=lambda _key: False,
        )

    return find


def _purpose_of_presentation(key: KeyFound | None, outcome: Outcome, basis: str) -> Check:
    if key is not None and not key.fit:
        detail = "the holder's key may not be used to present"
        return Check(CheckName.PROOF_PURPOSE, Outcome.FAILED, detail, Reason.WRONG_PURPOSE)
    if key is None and outcome is Outcome.UNKNOWN:
        return Check(CheckName.PROOF_PURPOSE, Outcome.UNKNOWN, basis, Reason.KEY_UNKNOWN)
    return Check(CheckName.PROOF_PURPOSE, Outcome.PASSED, AUTHENTICATION)


# Key binding ------------------------------------------------------------------------------------------------


def _bound_holder(shown: Shown, occasion: Occasion) -> Holder | None:
    """Who presents a credential by a key binding of its own, where it has one."""
    envelope = shown.envelope
    if envelope is None or envelope.key_binding is None:
        return None
    return _holder_by_key(envelope, envelope.key_binding, occasion)


def _holder_by_key(envelope: Envelope, binding: KeyBinding, occasion: Occasion) -> Holder:
    """Who presents a token with a key binding: whoever has the key that the issuer wrote into it (`cnf`)."""
    found = _bound_key(envelope, occasion)
    outcome, basis = Outcome.PASSED, "signed with the key that the issuer bound it to (cnf)"
    if isinstance(found, KeyMissing):
        outcome, basis = Outcome.FAILED if found.refused else Outcome.UNKNOWN, found.detail
    else:
        try:
            binding.verify(found)
        except (NotVerified, Malformed) as error:
            outcome, basis = Outcome.FAILED, f"the key binding does not fit: {error.detail}"
    age = occasion.as_of - binding.issued_at
    return Holder(
        outcome,
        basis,
        _REASONS.get(outcome),
        None,
        None,
        binding.nonce,
        (binding.audience,),
        by_key=True,
        in_time=-_CLOCK_TOLERANCE <= age <= MAX_KEY_BINDING_AGE,
    )


def _bound_key(envelope: Envelope, occasion: Occasion) -> PublicKey | KeyMissing:
    if envelope.holder_key is not None:
        return envelope.holder_key
    if envelope.holder_method is None:
        detail = "the issuer bound it to no key (cnf), so nobody can present it with one"
        return KeyMissing(Reason.KEY_UNKNOWN, detail, refused=True)
    found = _key_finder(occasion)(KeyNamed(envelope.holder_method, AUTHENTICATION))
    if isinstance(found, KeyFound) and not (found.fit and found.doubt is None):
        return KeyMissing(Reason.KEY_UNKNOWN, f"the key from {found.source} does not speak for its holder")
    return found.key if isinstance(found, KeyFound) else found


# bbs-2023 ---------------------------------------------------------------------------------------------------


def _holder_by_header(document: JsonObject, asked: Asked) -> Holder | None:
    """Who derived a proof of bbs-2023 for an occasion, which is in its presentation header; None without one.

    With holder binding or a pseudonym it was somebody who knows a secret that the issuer signed without seeing it. Else
    it was whoever has the credential: that answers a challenge, and does not make it a presentation.
    """
    derived = _derived_by_bbs(document)
    if derived is None or not derived.presentation_header:
        return None
    occasion = occasion_in(derived.presentation_header)
    challenge, domain = (occasion[0], (occasion[1],)) if occasion else (None, ())
    if derived.feature is not Feature.BASELINE:
        basis = "derived with the secret that its issuer signed for its holder, which names nobody"
        return Holder(
            Outcome.PASSED,
            basis,
            None,
            None,
            None,
            challenge,
            domain,
            by_key=True,
            by_secret=True,
            pseudonym=derived.pseudonym,
        )
    if challenge is None or asked.challenge is None:
        return None
    basis = "derived for this verifier, by whoever has the credential"
    return Holder(
        Outcome.UNKNOWN, basis, Reason.DOCUMENT_ALONE, None, None, challenge, domain, of_document=True
    )


def _derived_by_bbs(document: JsonObject) -> DerivedProof | None:
    """The derived proof of a document that has this one proof; whether it verifies is judged elsewhere."""
    written = document.get("proof")
    one = written[0] if isinstance(written, list) and len(written) == 1 else written
    if not isinstance(one, dict) or one.get("cryptosuite") != Bbs2023.name:
        return None
    try:
        return parse_derived_proof(parse_proof(one))
    except (Malformed, NotVerified):
        return None
