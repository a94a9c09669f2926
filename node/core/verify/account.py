"""A report and its documents, told for people: who, what, when, how we know (PAGES.md, the order of a result page).

Plain JSON values, so that a page, its JSON twin and a stored result hold the same. Sentences are the catalogue's
(`wording.py`), as a text with named places and what fills them, so that they can be translated. What only the
document claims is kept apart from what was established: `established` is false where the signature is not proven,
and then nothing in `achievement`, `person` or `results` is more than a claim.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType
from typing import Final

from node.core.credential import types_of
from node.core.dataintegrity.proof import Proof, proofs_of
from node.core.dataintegrity.suites import selective_suite_of
from node.core.envelope import Envelope
from node.core.errors import Malformed
from node.core.evidence import ShownEvidence, committed_in
from node.core.strict_json import Json, JsonObject
from node.core.times import format_datetime_stamp, from_unix, parse_datetime_stamp
from node.core.verify.domains import Told
from node.core.verify.intake import Intake, Shown
from node.core.verify.report import Acceptance, Check, CheckName, Outcome, Reason, Report
from node.core.verify.wording import (
    ALL_SHOWN,
    DATED,
    NEWER_ELSEWHERE,
    OUTCOMES,
    PART_SHOWN,
    QUESTIONS,
    REASSURANCES,
    SOME_SHOWN,
    sentence_of,
    verdict_of,
    verdict_of_endorsement,
)

# A page is for reading: what is longer is in the document itself.
MAX_RESULTS: Final = 100
MAX_TEXT: Final = 2_000
# Said of the token, not of its subject.
_OF_THE_TOKEN: Final = frozenset(
    {"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "cnf", "status", "vct", "vct#integrity", "aka_vcts"}
)
_BEGIN: Final = ("validFrom", "issuanceDate", "nbf")
_END: Final = ("validUntil", "expirationDate", "exp")
_NO_DOMAINS: Final[Told] = MappingProxyType({})
_MEMBERS_OF: Final = {Reason.EXPIRED: _END, Reason.NOT_YET_VALID: _BEGIN}


def account_of(report: Report, intake: Intake | None, domains: Told = _NO_DOMAINS) -> JsonObject:
    """The account of a report; `intake` is None where the input could not be read.

    `domains` is what was known of the domains of its issuers beforehand.
    """
    shown = intake.credentials if intake is not None else ()
    reports = report.credentials if intake is not None and intake.presentation is not None else (report,)
    credentials = [
        _credential(one, shown[index] if index < len(shown) else None, domains)
        for index, one in enumerate(reports)
    ]
    verdict = verdict_of(report)
    first = reports[0].document if len(reports) == 1 else None
    following = None
    if report.acceptance is Acceptance.ACCEPTED:
        following = {"text": verdict.sentence, "fill": {}} if verdict.sentence else None
    elif report.decisive is not None:
        following = sentence(report.decisive, first)
    return {
        "acceptance": report.acceptance,
        "verified": report.verified,
        "presented": intake is not None and _is_presented(report, intake),
        "headline": verdict.headline,
        "sentence": following,
        "credentials": credentials,
        # Of a credential alone they are its own: told once, which is a third of telling.
        "checks": credentials[0]["checks"]
        if reports[0] is report and first is not None
        else [_check(check, first) for check in report.checks],
        "contacted": list(report.contacted),
        "mode": report.mode,
        "policy": report.policy,
        "as_of": format_datetime_stamp(report.as_of),
        "notes": list(report.notes),
    }


def _is_presented(report: Report, intake: Intake) -> bool:
    """Whether somebody presented it: in a presentation, or by a proof of its own that he holds it."""
    bound = report[CheckName.HOLDER_BINDING].outcome
    return intake.presentation is not None or bound in (Outcome.PASSED, Outcome.FAILED)


def sentence(check: Check, document: Json) -> JsonObject:
    """What a check found, as `text` with named places and the moments that `fill` them."""
    if check.reason is None and check.outcome is Outcome.PASSED:
        return {"text": REASSURANCES[check.name], "fill": {}}
    if check.reason in _MEMBERS_OF:
        moment = _first_moment(document, *_MEMBERS_OF[check.reason])
        if moment is not None:
            return {"text": DATED[check.reason], "fill": {"date": moment}}
    return {"text": sentence_of(check), "fill": {}}


def _check(check: Check, document: Json) -> JsonObject:
    return {
        "name": check.name,
        "outcome": check.outcome,
        "question": QUESTIONS[check.name],
        "answer": OUTCOMES[check.outcome],
        "sentence": sentence(check, document),
        "basis": check.basis,
    }


def _credential(report: Report, shown: Shown | None, domains: Told) -> JsonObject:
    document = report.document if report.document is not None else (shown.document if shown else {})
    subject = _first(document.get("credentialSubject"))
    achievement = _first(subject.get("achievement"))
    told = report.decisive
    status = report[CheckName.STATUS]
    return {
        "acceptance": report.acceptance,
        "established": report.established,
        "sentence": sentence(told, document)
        if told is not None and report.acceptance != "accepted"
        else None,
        "issuer": _issuer(report, document, domains),
        "name": _text(document.get("name")) or _text(achievement.get("name")),
        "kind": _kind(document),
        "achievement": {
            "name": _text(achievement.get("name")),
            "description": _text(achievement.get("description")),
            "criteria": _text(_first(achievement.get("criteria")).get("narrative")),
        },
        "person": {
            "id": _text(subject.get("id")) or _text(document.get("sub")),
            "name": _person(subject),
            "is_holder": report[CheckName.HOLDER_BINDING].outcome is Outcome.PASSED,
            "pseudonym": report.holder_secret.pseudonym if report.holder_secret else None,
        },
        "awarded": _moment(subject, "awardedDate"),
        "recorded": format_datetime_stamp(report.anchored) if report.anchored else None,
        "valid_from": _first_moment(document, *_BEGIN),
        "valid_until": _first_moment(document, *_END),
        "not_revoked_as_of": format_datetime_stamp(report.header.time)
        if report.header is not None and status.outcome is Outcome.PASSED
        else None,
        "results": _results(subject, achievement),
        "claims": _claims(document),
        "secured_by": _secured_by(shown),
        "disclosure": _disclosure(shown),
        **_evidence(report, document, shown),
        "endorsements": [_endorsement(one, report, domains) for one in report.endorsements],
        "newer": {"text": NEWER_ELSEWHERE, "fill": {}} if NEWER_ELSEWHERE in report.notes else None,
        "checks": [_check(check, document) for check in report.checks],
        "header": report.header.to_json() if report.header else None,
        # A record tells of each credential in it; the files of their evidence travel with none of them.
        "credentials": [_credential(one, None, domains) for one in report.credentials],
    }


def _endorsement(report: Report, within: Report, domains: Told) -> JsonObject:
    """Who endorses, and what that is worth; what the endorser says only where it is not to be disregarded."""
    document = report.document or {}
    acceptance, verdict = verdict_of_endorsement(report, within)
    comment = _text(_first(document.get("credentialSubject")).get("endorsementComment"))
    return {
        "acceptance": acceptance,
        "headline": verdict.headline,
        "sentence": verdict.sentence or None,
        "issuer": _issuer(report, document, domains),
        "comment": comment if acceptance is not Acceptance.REFUSED else None,
    }


def _issuer(report: Report, document: Json, domains: Told) -> JsonObject:
    issuer = report.issuer
    if issuer is None:
        claimed = document.get("issuer")
        named = claimed if isinstance(claimed, dict) else {"id": claimed}
        own = _text(named.get("name"))
        return {"id": _text(named.get("id")), "name": None, "calls_itself": own, "domains": []}
    # A listed name belongs to whoever holds the key, and so do domains: without a proven signature it is only claimed.
    return {
        "id": issuer.id,
        "name": issuer.name if report.established else None,
        "calls_itself": _text(issuer.calls_itself) or None,
        "domains": list(domains.get(issuer.id, ())) if report.established else [],
    }


def _kind(document: Json) -> str | None:
    """What sort of credential it says to be: `vct`, or its first type that is not every credential's."""
    named = [name for name in types_of(document) if name != "VerifiableCredential"]
    return _text(document.get("vct")) or (_text(named[0]) if named else None)


def _person(subject: JsonObject) -> str | None:
    for identifier in _objects(subject.get("identifier")):
        if identifier.get("identityType") in ("name", "identityName") and identifier.get("hashed") is False:
            return _text(identifier.get("identityHash"))
    return _text(subject.get("name"))


def _results(subject: JsonObject, achievement: JsonObject) -> list[JsonObject]:
    """Open Badges 3.0 results with the names that the achievement gives to what was measured."""
    described = {one.get("id"): one for one in _objects(achievement.get("resultDescription"))}
    rows = []
    for result in _objects(subject.get("result"))[:MAX_RESULTS]:
        description = described.get(_text(result.get("resultDescription")), {})
        levels = {one.get("id"): one for one in _objects(description.get("rubricCriterionLevel"))}
        achieved = levels.get(_text(result.get("achievedLevel")))
        required = levels.get(_text(description.get("requiredLevel")))
        rows.append(
            {
                "name": _text(description.get("name")),
                "value": _text(result.get("value")),
                "minimum": _text(description.get("valueMin")),
                "maximum": _text(description.get("valueMax")),
                "level": _level(achieved),
                "level_description": _text(achieved.get("description")) if achieved else None,
                "required": _level(required) or _text(description.get("requiredValue")),
                "status": _text(result.get("status")),
            }
        )
    return rows


def _claims(document: Json) -> list[JsonObject]:
    """The claims of an SD-JWT VC that say something about a person, as far as they can be told in a line each."""
    if "vct" not in document or "@context" in document:
        return []
    # By name: the order in which they were disclosed is that of their digests.
    told = [(name, _text(value)) for name, value in sorted(document.items()) if name not in _OF_THE_TOKEN]
    return [{"name": name, "value": text} for name, text in told if text is not None][:MAX_RESULTS]


def _secured_by(shown: Shown | None) -> list[str]:
    """The media type and algorithm of a token, or the cryptosuites and older proof types of an object."""
    if shown is None:
        return []
    if shown.envelope is not None:
        return [shown.envelope.media_type, shown.envelope.algorithm]
    named = (_text(proof.cryptosuite or proof.type) for proof in _proofs(shown.document))
    return list(dict.fromkeys(name for name in named if name))[:MAX_RESULTS]


def _disclosure(shown: Shown | None) -> JsonObject | None:
    """How much was shown of what its holder may show in part, and what by choice, as far as that can be seen."""
    if shown is None:
        return None
    if shown.envelope is not None:
        return _disclosure_of_token(shown.envelope)
    for proof in _proofs(shown.document):
        suite = selective_suite_of(proof)
        if suite is not None and not suite.is_base(proof):
            return {"text": SOME_SHOWN, "fill": {}, "chosen": []}
    return None


def _disclosure_of_token(envelope: Envelope) -> JsonObject | None:
    if not envelope.withheld and not envelope.disclosed:
        return None
    chosen = sorted(".".join(map(str, path))[:MAX_TEXT] for path in envelope.disclosed)[:MAX_RESULTS]
    return {"text": PART_SHOWN if envelope.withheld else ALL_SHOWN, "fill": {}, "chosen": chosen}


def _proofs(document: JsonObject) -> tuple[Proof, ...]:
    try:
        return proofs_of(document)
    except Malformed:
        return ()


def _level(level: JsonObject | None) -> str | None:
    return None if level is None else _text(level.get("name")) or _text(level.get("level"))


def _evidence(report: Report, document: Json, shown: Shown | None) -> JsonObject:
    """The files shown, by their place in the bundle; none where one of them is not what was assessed."""
    total = _committed(document)
    bundle = shown.bundle if shown is not None else None
    items = bundle.evidence if bundle is not None else ()
    genuine = report[CheckName.EVIDENCE].outcome is Outcome.PASSED and report.established
    files = [
        {
            "place": place,
            "name": item.item.name,
            "media_type": item.item.media_type,
            "genre": item.item.genre or None,
            "bytes": len(item.item.data),
        }
        for place, item in enumerate(items)
        if isinstance(item, ShownEvidence) and genuine
    ]
    return {
        "evidence": files,
        "evidence_withheld": max(total - len(files), 0) if files else 0,
        "evidence_note": _check(report[CheckName.EVIDENCE], None)["sentence"],
    }


def _committed(document: Json) -> int:
    """How many files the credential commits to."""
    total = 0
    for one in _objects(document.get("evidence")):
        try:
            made = committed_in(one)
        except Malformed:
            continue
        total += made.size if made is not None else 0
    return total


def _first(value: Json) -> JsonObject:
    """The object that a member holds, alone or as the first of several."""
    found = _objects(value)
    return found[0] if found else {}


def _objects(value: Json) -> Sequence[JsonObject]:
    items = value if isinstance(value, list) else [value]
    return [item for item in items if isinstance(item, dict)]


def _text(value: Json) -> str | None:
    """A text for people: a string, a number, or the first text of language value objects."""
    if isinstance(value, dict):
        value = value.get("@value")
    elif isinstance(value, list):
        return next((text for item in value if (text := _text(item))), None)
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    text = str(value).strip()
    return (text[:MAX_TEXT] + "…" if len(text) > MAX_TEXT else text) or None


def _first_moment(document: Json, *names: str) -> str | None:
    return next((moment for name in names if (moment := _moment(document, name)) is not None), None)


def _moment(members: Json, name: str) -> str | None:
    """A time as the standards write it (for tokens in seconds since 1970), or None where it cannot be read."""
    value = members.get(name) if isinstance(members, dict) else None
    try:
        if isinstance(value, int) and not isinstance(value, bool):
            return format_datetime_stamp(from_unix(value))
        return format_datetime_stamp(parse_datetime_stamp(value)) if isinstance(value, str) else None
    except Malformed:
        return None
