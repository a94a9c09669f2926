"""The VC API without keys of its own (VCALM 1.0 sections 3.3 and 3.4.1): verify, derive, challenges.

A failed verification is an answer like any other: 200 with `verified`, problem details, and our whole report beside.
For the interoperability suites of the W3C, which were written to an older interface, the same routes stand on a base
path of their own where a failed verification is 400 with the same body; see `node.web.suite`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from aiohttp import web

from node.core import problem
from node.core.bundle import parse_bundle
from node.core.errors import BonafidesError, Malformed, NotVerified, Unavailable
from node.core.members import within
from node.core.problem import Problem
from node.core.strict_json import Json, JsonObject
from node.core.times import format_datetime_stamp
from node.core.verify.holder import Asked
from node.core.verify.intake import MAX_CREDENTIALS, MAX_INPUT_BYTES, Intake, presented, shown
from node.core.verify.report import CheckName, Outcome, Report
from node.services.derivation import DERIVE_OPTIONS, derive, pointers_of, showing_in
from node.services.presentations import Presentations
from node.services.suite.concessions import as_specified
from node.services.suite.proofs_alone import (
    conforms,
    is_enveloped_jwt,
    rests_on_others,
    verify_enveloped_jwt,
    verify_proofs_alone,
)
from node.services.verification import Examiner
from node.web.app import read_json_object
from node.web.problems import json_response, problem_object

UNKNOWN_OPTION: Final = "https://www.w3.org/TR/vcalm#UNKNOWN_OPTION_PROVIDED"
# What VCALM 1.0 and its predecessor name; what only asks for more in the answer is answered anyway.
_OPTIONS: Final = frozenset(
    {
        "challenge",
        "checks",
        "created",
        "domain",
        "proofFormat",
        "proofPurpose",
        "returnCredential",
        "returnPresentation",
        "returnProblemDetails",
        "returnResults",
        "verificationMethod",
    }
)
_PROOF_CHECKS: Final = (CheckName.PROOF, CheckName.PROOF_PURPOSE)
# What has to pass for `verified`, in the order in which one explains the next.
_DECIDING: Final = (
    CheckName.CONFORMANCE,
    *_PROOF_CHECKS,
    CheckName.KEY,
    CheckName.HOLDER_BINDING,
    CheckName.CHALLENGE,
    CheckName.DOMAIN,
)
# What is the request's own fault to the suites, a suite or a context that nobody here knows among them.
REFUSED: Final = (Malformed, NotVerified, Unavailable)
_PASSED_OR_NONE: Final = (Outcome.PASSED, Outcome.NOT_APPLICABLE)


@dataclass(frozen=True, slots=True)
class VcApi:
    """The routes. `for_suites`: 400 for what does not verify, unknown options passed over, proofs alone judged."""

    examiner: Examiner
    presentations: Presentations
    for_suites: bool = False

    def routes(self, base: str = "") -> list[web.RouteDef]:
        """The routes under a base path without a slash at its end."""
        return [
            web.post(f"{base}/credentials/verify", self.verify_credential),
            web.post(f"{base}/presentations/verify", self.verify_presentation),
            web.post(f"{base}/credentials/derive", self.derive),
            web.post(f"{base}/challenges", self.challenge),
        ]

    async def verify_credential(self, request: web.Request) -> web.Response:
        """`POST /credentials/verify`; a bundle may stand beside as `bonafides_bundle`."""
        body = await read_json_object(request, MAX_INPUT_BYTES)
        try:
            return await self._verify_credential(body)
        except REFUSED as error:
            return self._unusable(error)

    async def _verify_credential(self, body: JsonObject) -> web.Response:
        options = self._options(body)
        credential = body.get("verifiableCredential")
        bundle = None
        if "bonafides_bundle" in body:
            with within("bonafides_bundle"):
                bundle = await self.examiner.work(partial(parse_bundle, body["bonafides_bundle"]))
        with within("verifiableCredential"):
            one = await self.examiner.work(partial(shown, credential, bundle))
        judged = replace(one, document=as_specified(one.document)) if self.for_suites else one
        asked = Asked() if self.for_suites else await self._asked(options, of_documents=False)
        found = await self.examiner.examine(Intake((judged,)), asked=asked)
        more: JsonObject = {}
        if options.get("returnCredential"):
            more["credential"] = credential
        if options.get("returnResults"):
            more["results"] = _results_of(found.report)
        verified = found.report.verified
        conceded = judged.document is not one.document and conforms(found.report)
        if conceded or (self.for_suites and rests_on_others(one.document, found.report)):
            verified = await self.examiner.work(partial(self._proofs_alone, one.document))
        return self._answer(found.report, verified, more)

    def _proofs_alone(self, credential: JsonObject) -> bool:
        try:
            verify_proofs_alone(credential, self.examiner.verifier.canonicalizer, self.examiner.clock())
        except BonafidesError:
            return False
        return True

    async def derive(self, request: web.Request) -> web.Response:
        """`POST /credentials/derive`: the answer is the bare credential.

        Base proof and secrets are their holder's alone: this is for a node of his own.
        """
        body = await read_json_object(request, MAX_INPUT_BYTES)
        try:
            options = body.get("options", {})
            if not isinstance(options, dict):
                raise Malformed("options is an object", path=("options",))
            if not self.for_suites and (unknown := sorted(options.keys() - DERIVE_OPTIONS)):
                raise _unknown_option(unknown[0])
            pointers, showing = pointers_of(options, "selectivePointers"), showing_in(options)
            credential = json_object(body, "verifiableCredential")
            canonicalizer = self.examiner.verifier.canonicalizer
            derived = await self.examiner.work(partial(derive, credential, pointers, canonicalizer, showing))
        except REFUSED as error:
            return self._unusable(error)
        return json_response(derived, status=201)

    async def verify_presentation(self, request: web.Request) -> web.Response:
        """`POST /presentations/verify`; bundles may stand beside as `bonafides_bundles`."""
        body = await read_json_object(request, MAX_INPUT_BYTES)
        try:
            return await self._verify_presentation(body)
        except REFUSED as error:
            return self._unusable(error)

    async def _verify_presentation(self, body: JsonObject) -> web.Response:
        options = self._options(body)
        member = "verifiablePresentation" if "verifiablePresentation" in body else "presentation"
        presentation = body.get(member)
        listed = body.get("bonafides_bundles", [])
        if not isinstance(listed, list) or len(listed) > MAX_CREDENTIALS:
            raise Malformed(f"an array of at most {MAX_CREDENTIALS}", path=("bonafides_bundles",))
        if self.for_suites and is_enveloped_jwt(presentation):
            return await self._verify_enveloped_jwt(presentation, options.get("challenge"))
        intake = await self.examiner.work(partial(_presented, presentation, listed, member))
        asked = await self._asked(options)
        found = await self.examiner.examine(intake, asked=asked)
        more: JsonObject = {}
        if options.get("returnPresentation"):
            more["verifiablePresentation"] = presentation
        if options.get("returnResults"):
            more["results"] = {
                "presentation": _results_of(found.report),
                "credentials": [_results_of(one) for one in found.report.credentials],
            }
        verified = _proofs_verify(found.report) if self.for_suites else found.report.verified
        return self._answer(found.report, verified, more)

    async def _asked(self, options: JsonObject, *, of_documents: bool = True) -> Asked:
        """What was asked for; a credential alone is not expected to answer it, but may (bbs-2023)."""
        domain = options.get("domain")
        domains = (domain,) if isinstance(domain, str) else domain
        asked = await self.presentations.asked(options.get("challenge"), domains)
        return replace(asked, of_documents=of_documents)

    async def _verify_enveloped_jwt(self, presentation: JsonObject, challenge: str | None) -> web.Response:
        await self.examiner.work(partial(verify_enveloped_jwt, presentation, challenge))
        return json_response({"verified": True, "checks": ["proof"], "warnings": [], "errors": []})

    async def challenge(self, _request: web.Request) -> web.Response:
        """`POST /challenges`: for one presentation, within five minutes."""
        challenge, until = await self.presentations.new_challenge()
        return json_response({"challenge": challenge, "expires": format_datetime_stamp(until)})

    def _answer(self, report: Report, verified: bool, more: JsonObject) -> web.Response:
        """`verified` and the problems; `checks`, `warnings` and `errors` are for clients of the older interface."""
        failed = [check.basis for check in report.checks if check.outcome is Outcome.FAILED]
        body = {
            "verified": verified,
            "problemDetails": [one.to_json() for one in _problems_of(report, verified=verified)],
            "checks": ["proof"],
            "warnings": failed if verified else [],
            "errors": [] if verified else failed or [_undecided(report)],
            **more,
            "report": report.to_json(),
        }
        return json_response(body, status=400 if self.for_suites and not verified else 200)

    def _unusable(self, error: BonafidesError) -> web.Response:
        if self.for_suites:
            return refused_for_suites(error)
        raise error

    def _options(self, body: JsonObject) -> JsonObject:
        options = body.get("options", {})
        if not isinstance(options, dict):
            raise Malformed("options is an object", path=("options",))
        if not self.for_suites and (unknown := sorted(options.keys() - _OPTIONS)):
            raise _unknown_option(unknown[0])
        challenge, domain = options.get("challenge"), options.get("domain")
        if challenge is not None and not isinstance(challenge, str):
            raise Malformed("challenge is a text", path=("options", "challenge"))
        texts = domain if isinstance(domain, list) else [] if domain is None else [domain]
        if not all(isinstance(text, str) for text in texts):
            raise Malformed("domain is a text or an array of texts", path=("options", "domain"))
        if isinstance(domain, list):
            options = {**options, "domain": tuple(domain)}
        return options


def _unknown_option(name: str) -> Malformed:
    return Malformed(f"no such option: {name[:80]}", type=UNKNOWN_OPTION, path=("options", name))


def json_object(body: JsonObject, name: str) -> JsonObject:
    """The member of a request that must be an object; Malformed otherwise."""
    value = body.get(name)
    if not isinstance(value, dict):
        raise Malformed(f"{name} is required and is an object", path=(name,))
    return value


def refused_for_suites(error: BonafidesError) -> web.Response:
    """Input that could not be judged, in the body that the older interface gives to everything."""
    body = {"verified": False, "errors": [error.detail], "problemDetails": [problem_object(error.problem)]}
    return json_response(body, status=400)


def _problems_of(report: Report, *, verified: bool) -> Iterator[Problem]:
    """All that the checks found wrong, those of each credential in a presentation included, each once."""
    seen = set()
    for one in (report, *report.credentials):
        for found in (found for check in one.checks for found in check.problems):
            if (found.type, found.detail) not in seen:
                seen.add((found.type, found.detail))
                yield found
    if not seen and not verified:
        yield Problem(problem.CRYPTOGRAPHIC_SECURITY_ERROR, _undecided(report))


def _undecided(report: Report) -> str:
    """Why nothing failed and it is not verified all the same."""
    open_ones = (report[name] for name in _DECIDING if report[name].outcome is Outcome.UNKNOWN)
    return next((check.basis for check in open_ones), "it could not be told")


def _proofs_verify(report: Report) -> bool:
    """Whether conformance and all proofs hold, and what was asked for was answered; who presents is left open.

    The suites' presentations are signed by a key that need be nobody's in the credentials.
    """
    credentials = [one[CheckName.KEY].outcome in _PASSED_OR_NONE for one in report.credentials]
    answers = (report[CheckName.CHALLENGE].outcome, report[CheckName.DOMAIN].outcome)
    needed = (CheckName.CONFORMANCE, *_PROOF_CHECKS)
    return (
        all(report[name].outcome is Outcome.PASSED for name in needed)
        and all(credentials)
        and Outcome.FAILED not in answers
    )


def _presented(presentation: Json, listed: list[Json], member: str) -> Intake:
    bundles = []
    for index, item in enumerate(listed):
        with within("bonafides_bundles", index):
            bundles.append(parse_bundle(item))
    with within(member):
        return presented(presentation, bundles)


def _results_of(report: Report) -> JsonObject:
    """VCALM's `results`, as far as its names and our checks are about the same thing."""

    def found(name: CheckName) -> JsonObject:
        check = report[name]
        return {"verified": check.outcome is Outcome.PASSED, "input": check.basis}

    results: JsonObject = {
        "proof": [found(name) for name in _PROOF_CHECKS],
        "validFrom": found(CheckName.VALIDITY_PERIOD),
        "validUntil": found(CheckName.VALIDITY_PERIOD),
        "credentialSchema": [found(CheckName.SCHEMA)],
        "credentialStatus": [found(CheckName.STATUS)],
    }
    return results
