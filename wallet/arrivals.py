"""Taking in files: credentials, bundles, and badge images that carry either.

A credential and its bundle may come in two files, in any order and on different days: they meet by digest. What
arrives is judged first; what is refused is kept only if the holder insists, and never takes anything away that is
held.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final

from node.core.baking import image_kind
from node.core.bundle import Bundle, parse_bundle
from node.core.dataintegrity.bbs_2023 import BoundHolder
from node.core.errors import Malformed
from node.core.strict_json import JsonObject, parse_json_object
from node.core.verify.intake import MAX_INPUT_BYTES, Shown, read_intake
from node.core.verify.report import Acceptance, CheckName, Outcome, Report
from wallet.bindings import secrets_of
from wallet.check import Checker, last_check, with_bundle
from wallet.holdings import Holding, Provenance, as_kept, belongs, digests_of, fuller, new_holding
from wallet.store import WalletStore

IMPORTED: Final = "imported"


class Became(StrEnum):
    """What became of a file."""

    KEPT = "kept"
    BUNDLE_ADDED = "bundle added to what is held"
    HELD = "held already"
    REFUSED = "refused, not kept"
    WAITING = "a bundle that waits for its credential"


@dataclass(frozen=True, slots=True)
class Taken:
    """One file that was taken in: the holding it led to, if any, and the report on it."""

    source: str
    became: Became
    holding: Holding | None = None
    report: Report | None = None


@dataclass(frozen=True, slots=True)
class _File:
    source: str
    document: Shown | None
    bundle: Bundle | None = None


class Importer:
    """Takes files into a wallet."""

    def __init__(
        self, store: WalletStore, checker: Checker, *, now: datetime, keep_anyway: bool = False
    ) -> None:
        self._store = store
        self._checker = checker
        self._now = now
        self._keep_anyway = keep_anyway

    async def take(self, files: Sequence[tuple[str, bytes]]) -> tuple[Taken, ...]:
        """Take in files, each a name and its bytes. All are read before the first is kept."""
        read = [_read(source, data) for source, data in files]
        loose = [one.bundle for one in read if one.document is None and one.bundle is not None]
        credentials = [
            await self._credential(one.source, one.document, loose)
            for one in read
            if one.document is not None
        ]
        bundles = [
            await self._loose(one.source, one.bundle, used=one.bundle not in loose)
            for one in read
            if one.document is None and one.bundle is not None
        ]
        return (*credentials, *bundles)

    async def _credential(self, source: str, shown: Shown, loose: list[Bundle]) -> Taken:
        bundle = shown.bundle
        if bundle is None:
            bundle = next((one for one in loose if belongs(one, shown)), None)
            if bundle is not None:
                loose.remove(bundle)
        digests, credential = digests_of(shown), as_kept(shown)
        secrets = secrets_of(shown, self._store.secrets(), self._checker.verifier.canonicalizer)
        held = self._store.holding(digests[0])
        with self._store.transaction():
            waiting = self._store.take_loose_bundle(digests)
            bundle = bundle or waiting
            if held is not None:
                held = await self._with_more(held, credential, secrets)
                return await self._add(source, held, bundle)
            holding = new_holding(credential, bundle, Provenance(IMPORTED, source, self._now), secrets)
            report = await self._checker.report(credential, holding.bundle, secrets)
            holding = replace(holding, last_check=last_check(report, self._now))
            if report.acceptance is Acceptance.REFUSED and not self._keep_anyway:
                if waiting is not None:
                    self._store.save_loose_bundle(digests[0], waiting)
                return Taken(source, Became.REFUSED, holding, report)
            self._store.save_holding(holding)
        return Taken(source, Became.KEPT, holding, report)

    async def _with_more(
        self, held: Holding, arriving: JsonObject | str, secrets: BoundHolder | None
    ) -> Holding:
        """What is held, or the same credential as it came now where more of it can be shown then.

        A base proof has to verify: what is hidden in what is held may be anybody's words in it. Disclosures need no
        more than their digests in the token, which is the same.
        """
        credential = fuller(held, arriving)
        if credential == held.credential:
            return held
        report = await self._checker.report(credential, held.bundle, secrets)
        if not isinstance(credential, str) and report[CheckName.PROOF].outcome is not Outcome.PASSED:
            return held
        last = last_check(report, self._now)
        grown = replace(held, credential=credential, last_check=last, secrets=secrets)
        self._store.save_holding(grown)
        return grown

    async def _loose(self, source: str, bundle: Bundle, *, used: bool) -> Taken:
        digest = bundle.credential_digest or b""
        held = next((one for one in self._store.holdings() if digest in digests_of(one.shown)), None)
        if held is not None:
            return Taken(source, Became.BUNDLE_ADDED, held) if used else await self._add(source, held, bundle)
        if used:
            return Taken(source, Became.REFUSED)
        self._store.save_loose_bundle(digest, bundle)
        return Taken(source, Became.WAITING)

    async def _add(self, source: str, held: Holding, bundle: Bundle | None) -> Taken:
        if bundle is None:
            report = await self._checker.report(held.credential, held.bundle, held.secrets)
            return Taken(source, Became.HELD, held, report)
        report = await self._checker.report(held.credential, bundle, held.secrets)
        if report.acceptance is Acceptance.REFUSED and not self._keep_anyway:
            return Taken(source, Became.REFUSED, held, report)
        grown = with_bundle(held, bundle, report)
        if grown.bundle == held.bundle:
            return Taken(source, Became.HELD, held, report)
        grown = replace(grown, last_check=last_check(report, self._now))
        self._store.save_holding(grown)
        return Taken(source, Became.BUNDLE_ADDED, grown, report)


def _read(source: str, data: bytes) -> _File:
    try:
        if (bundle := _loose_bundle(data)) is not None:
            return _File(source, None, bundle)
        intake = read_intake(data)
        if intake.presentation is not None:
            raise Malformed("a presentation is made for one occasion: import the credential or its bundle")
        envelope = intake.credentials[0].envelope
        if envelope is not None and envelope.key_binding is not None:
            raise Malformed("this was made for one verifier: import the credential as its issuer gave it")
    except Malformed as error:
        raise Malformed(
            f"{source}: {error.detail}", type=error.problem.type, path=error.problem.path
        ) from error
    return _File(source, intake.credentials[0])


def _loose_bundle(data: bytes) -> Bundle | None:
    if image_kind(data) is not None or not data.lstrip().startswith(b"{"):
        return None
    value = parse_json_object(data, max_bytes=MAX_INPUT_BYTES)
    return parse_bundle(value) if "version" in value and "credentialDigest" in value else None
