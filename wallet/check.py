"""Judging what arrives and what is held, with the same engine that employers use.

Of a credential from which only a part is ever shown (a base proof), what is judged is all of it, derived as for a
verifier: that it verifies shows that every part does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from secrets import token_bytes

from node.core.bundle import Bundle
from node.core.canonical.rdfc import Canonicalizer
from node.core.dataintegrity.bbs_2023 import BoundHolder
from node.core.errors import Malformed, NotVerified
from node.core.evm.agreement import Endpoints
from node.core.strict_json import JsonObject
from node.core.verify import engine
from node.core.verify.intake import Intake, Shown
from node.core.verify.intake import shown as read_credential
from node.core.verify.materials import Materials, Mode
from node.core.verify.policy import OF_PRESENTATION
from node.core.verify.report import Outcome, Report
from node.core.verify.verifier import Verifier
from node.core.verify.wording import verdict_of
from wallet.disclose import ENTROPY_BYTES, base_proof_in, whole
from wallet.holdings import Holding, LastCheck, merged


class Checker:
    """One command's judge: the same verifier and endpoints for everything.

    The clock is read for each report: a command may wait for a bundle whose anchor is younger than the command.
    """

    def __init__(
        self,
        verifier: Verifier,
        *,
        clock: Callable[[], datetime],
        endpoints: Endpoints = Endpoints(),  # noqa: B008 - frozen
        development: bool = False,
    ) -> None:
        self.verifier = verifier
        self._clock = clock
        self.endpoints = endpoints
        self.development = development

    async def report(
        self, credential: JsonObject | str, bundle: Bundle | None, secrets: BoundHolder | None = None
    ) -> Report:
        """What can be said of a credential with bundle and secrets that are at hand; the issuer is not asked."""
        intake = Intake((as_others_see(credential, bundle, self.verifier.canonicalizer, secrets),))
        if self.verifier.mode is Mode.OFFLINE:
            now = self._clock()
            report = engine.verify(intake, Materials.none(), self.verifier, now=now)
            if not report.of_unknown_suite:
                return report
            from node.outbound.didkit import second_opinions  # noqa: PLC0415

            materials = await second_opinions(intake, self.verifier, now=now)
            return engine.verify(intake, materials, self.verifier, now=now)
        from node.outbound.gather import examine  # noqa: PLC0415 - opens sockets, so imports aiohttp
        from node.outbound.http import Egress, EgressPolicy  # noqa: PLC0415

        policy = EgressPolicy(self.verifier.mode, self.endpoints, allow_loopback=self.development)
        async with Egress(policy) as egress:
            return await examine(intake, self.verifier, egress, now=self._clock())


def as_others_see(
    credential: JsonObject | str,
    bundle: Bundle | None,
    canonicalizer: Canonicalizer,
    secrets: BoundHolder | None = None,
) -> Shown:
    """A credential with all that can be shown of it, as a verifier gets it."""
    shown = read_credential(credential, bundle)
    if shown.envelope is not None or base_proof_in(shown.document) is None:
        return shown
    try:
        derived = whole(credential, shown, canonicalizer, token_bytes(ENTROPY_BYTES), secrets)
    except (Malformed, NotVerified):
        # Nothing can be derived from it: the engine says what is wrong with it as it is.
        return shown
    return read_credential(derived, bundle)


def last_check(report: Report, at: datetime) -> LastCheck:
    """The report as it is kept with the holding: the verdict, and every check that failed or stayed open."""
    verdict = verdict_of(report)
    # A holder looking at his own credential need not hear of what only a presentation can answer.
    doubts = tuple(
        (str(check.name), str(check.outcome), check.basis)
        for check in report.checks
        if check.outcome in (Outcome.FAILED, Outcome.UNKNOWN) and check.name not in OF_PRESENTATION
    )
    return LastCheck(at, str(report.acceptance), verdict.headline, verdict.sentence, doubts)


def with_bundle(held: Holding, arriving: Bundle, report: Report) -> Holding:
    """`held` with a bundle that came for it, `report` being on the two together.

    Its state takes the place of the one held only where the report was made at that very header.
    """
    header = replace(held, bundle=arriving).header
    used = report.header
    trusted = header is not None and used is not None and used.hash == "0x" + header.hash.hex()
    return merged(held, arriving, header_trusted=trusted)
