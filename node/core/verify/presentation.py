"""A presentation: who made it, and the reports on the credentials in it (FORMATS.md section 9)."""

from __future__ import annotations

from datetime import datetime

from node.core.credential import NonConforming, check_presentation
from node.core.dataintegrity.proof import proofs_of
from node.core.did.resolution import did_of
from node.core.errors import Malformed
from node.core.strict_json import JsonObject
from node.core.verify import holder as holding
from node.core.verify.credentials import Occasion, judge_credential
from node.core.verify.holder import Asked, Holder
from node.core.verify.intake import Intake
from node.core.verify.materials import Inquiry
from node.core.verify.methods import KeyFound, KeyMissing, KeyNamed, find_key
from node.core.verify.proofs import ProofJudge
from node.core.verify.reading import read_secured
from node.core.verify.report import Check, CheckName, Outcome, Reason, Report, worst
from node.core.verify.verifier import Verifier, make_report


def judge_presentation(intake: Intake, occasion: Occasion) -> Report:
    """The report on a presentation: one for each credential, and for each check the worst of them."""
    presentation = intake.presentation
    assert presentation is not None  # noqa: S101
    verifier, asked = occasion.verifier, occasion.asked
    own, holder = _read_presentation(presentation, occasion.inquiry, verifier, occasion.as_of)
    reports = tuple(judge_credential(shown, occasion, holder) for shown in intake.credentials)
    checks = []
    for name in CheckName:
        of_name = [check for check in own if check.name is name] + [report[name] for report in reports]
        checks.append(worst(of_name) if of_name else _without_credentials(name, holder, asked))
    first = reports[0] if len(reports) == 1 else None
    return make_report(
        checks,
        verifier,
        occasion.as_of,
        presented=True,
        credentials=reports,
        issuer=first.issuer if first else None,
        header=first.header if first else None,
        anchored=first.anchored if first else None,
    )


def _without_credentials(name: CheckName, holder: Holder, asked: Asked) -> Check:
    if name is CheckName.CHALLENGE:
        return holding.check_challenge(holder, asked)
    if name is CheckName.DOMAIN:
        return holding.check_domain(holder, asked)
    basis = "there is no credential in the presentation"
    if name is CheckName.HOLDER_BINDING:
        return Check(name, Outcome.NOT_APPLICABLE, basis, Reason.NOT_HELD)
    return Check(name, Outcome.UNKNOWN, basis, Reason.NOT_REACHED)


def _read_presentation(
    presentation: JsonObject, inquiry: Inquiry, verifier: Verifier, as_of: datetime
) -> tuple[list[Check], Holder]:
    """The checks of the presentation itself (conformance, proof, purpose), and who its proof shows to hold it."""
    try:
        proofs = proofs_of(presentation)
        facts = check_presentation(read_secured(presentation, proofs, verifier.canonicalizer).document)
    except Malformed as error:
        problems = error.problems if isinstance(error, NonConforming) else (error.problem,)
        broken = Check(CheckName.CONFORMANCE, Outcome.FAILED, error.detail, Reason.NOT_CONFORMING, problems)
        return [broken], Holder(Outcome.UNKNOWN, error.detail, Reason.NOT_REACHED, None, None)
    basis = f"the presentation conforms to the VC Data Model {facts.version}"
    conforming = Check(CheckName.CONFORMANCE, Outcome.PASSED, basis, None, facts.warnings)
    proof = next((one for one in proofs if one.proof_purpose == holding.AUTHENTICATION), None)
    if proof is None:
        basis = "the presentation is not signed by its holder"
        missing = Reason.WRONG_PURPOSE if proofs else Reason.NO_PROOF
        failed = [
            Check(name, Outcome.FAILED, basis, missing) for name in (CheckName.PROOF, CheckName.PROOF_PURPOSE)
        ]
        return [conforming, *failed], Holder(
            Outcome.FAILED, basis, Reason.HOLDER_PROOF_WRONG, None, facts.holder_id
        )

    def key_of(named: KeyNamed) -> KeyFound | KeyMissing:
        return find_key(
            named,
            inquiry,
            may_fetch=verifier.may_fetch,
            confirm=lambda _key: False,
        )

    verdict = ProofJudge(presentation, proofs, verifier.canonicalizer, key_of, as_of).judge(proof)
    basis = f"the presentation's proof: {verdict.basis}"
    checks = [
        conforming,
        Check(CheckName.PROOF, verdict.outcome, basis, verdict.reason, verdict.problems),
        _purpose_of_presentation(verdict.key, verdict.outcome, basis),
    ]
    reason: Reason | None = {
        Outcome.PASSED: None,
        Outcome.FAILED: Reason.HOLDER_PROOF_WRONG,
        Outcome.UNKNOWN: Reason.HOLDER_UNRESOLVED,
    }.get(verdict.outcome)
    if verdict.key is not None and not verdict.key.fit:
        return checks, Holder(
            Outcome.FAILED,
            "the key may not be used to present",
            Reason.HOLDER_PROOF_WRONG,
            None,
            facts.holder_id,
            proof.challenge,
            proof.domain,
        )
    controller = did_of(proof.verification_method) if verdict.key is not None else None
    return checks, Holder(
        verdict.outcome, basis, reason, controller, facts.holder_id, proof.challenge, proof.domain
    )


def _purpose_of_presentation(key: KeyFound | None, outcome: Outcome, basis: str) -> Check:
    if key is not None and not key.fit:
        detail = "the holder's key may not be used to present"
        return Check(CheckName.PROOF_PURPOSE, Outcome.FAILED, detail, Reason.WRONG_PURPOSE)
    if key is None and outcome is Outcome.UNKNOWN:
        return Check(CheckName.PROOF_PURPOSE, Outcome.UNKNOWN, basis, Reason.KEY_UNKNOWN)
    return Check(CheckName.PROOF_PURPOSE, Outcome.PASSED, holding.AUTHENTICATION)
