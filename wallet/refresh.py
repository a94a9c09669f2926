"""Renewing the state proof of a bundle from the chain (FORMATS.md section 7).

The new proof is made at the newest finalized header whose number is a multiple of the network's step, over exactly the
slots that a verifier wants, and judged by the engine before it takes the place of the old. What only the issuer and
the holder know (salt, index, path, evidence) is kept as it is. Anybody could do this: the holder's own endpoints, or a
node that makes proofs for holders, which is then told what is held. The issuer's is asked only if the holder says so.

Where the state of that header can no longer be proven (most endpoints keep 128 blocks of it), the held state is led to
a newer header by a hop (EIP-2935): what it proves grows no fresher by that, and nothing is lost either.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlsplit

from node.core.anchor import CREDENTIAL
from node.core.bundle import Bundle, ShownDocument
from node.core.errors import NotFound, NotVerified, Unavailable
from node.core.evm.checkpoint import Checkpoint
from node.core.evm.network import Network
from node.core.oid4vci.errors import parse_error
from node.core.oid4vci.metadata import issuer_metadata_url, parse_issuer_metadata
from node.core.times import from_unix
from node.core.verify import engine
from node.core.verify.anchored import CLOCK_TOLERANCE_SECONDS
from node.core.verify.intake import Intake
from node.core.verify.ledger import Identity, Wanted
from node.core.verify.materials import HeaderAnswer, Materials, Mode
from node.core.verify.reading import read_document
from node.core.verify.report import CheckName, Outcome, Report
from node.core.verify.verifier import Verifier
from node.outbound.headers import ChainEndpoints
from node.outbound.http import Egress, NamedBy
from node.outbound.proofs import At, EndpointProofs, Height, NodeProofs, ProofSource, Target
from wallet.check import as_others_see, last_check
from wallet.exchange import Exchange, json_of
from wallet.holdings import Holding

ISSUER: Final = "issuer"
"""In place of a node's URL: the node of whoever issued it, where it was received."""


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What became of a holding: with a newer proof, or a hop, and its report; or unchanged for the reason in `note`."""

    holding: Holding
    report: Report | None = None
    note: str = ""

    @property
    def is_renewed(self) -> bool:
        """Whether it is proven anew: what is led to a newer header by a hop is as old as before."""
        return self.report is not None and self.holding.hop is None


def is_stale(holding: Holding, limit: timedelta, now: datetime) -> bool:
    """Whether a bundle's proof is of a block older than `limit`; one without a proof has none to renew."""
    header = holding.header
    return header is not None and now - from_unix(header.timestamp) > limit


class Refresher:
    """One command's renewal. `proofs` is the URL of a node that makes proofs, or `ISSUER`; by default endpoints do."""

    def __init__(
        self,
        verifier: Verifier,
        egress: Egress,
        *,
        now: datetime,
        at: Height = At.SERIES,
        proofs: str | None = None,
    ) -> None:
        # Judged by the header that the proof is made at, and by no other.
        self._verifier = replace(verifier, mode=Mode.OFFLINE)
        self._egress = egress
        self._now = now
        self._at = at
        self._proofs = proofs
        self._sources: dict[str, ProofSource] = {}
        self._targets: dict[tuple[str, int, Height], Target] = {}

    async def refresh(self, holding: Holding) -> Refreshed:
        """The holding with a renewed proof. Unavailable where the chain cannot be read; NotVerified where it lies."""
        found = self._provable(holding)
        if isinstance(found, str):
            return Refreshed(holding, note=found)
        bundle, wanted, network = found
        name, source = await self._source(holding)
        target = await self._target(name, source, network, self._at)
        held = holding.header
        if bundle.anchor is not None and target.header.number < bundle.anchor.block:
            return Refreshed(holding, note="no block of the series is final yet that knows its anchor")
        if held is not None and held.timestamp >= target.header.timestamp:
            return Refreshed(holding, note=f"block {held.number} is the newest that can be proven")
        try:
            state = await source.state(target, wanted.slots())
        except Unavailable as error:
            hopped = await self._hop_instead(holding, source, network, name)
            if hopped is None:
                raise
            why = f"block {target.header.number} could not be proven: {error.detail}"
            return replace(hopped, note=why)
        return self._taken(replace(holding, bundle=replace(bundle, state=state)), target)

    async def hop(self, holding: Holding) -> Refreshed:
        """The holding with its state as it is, led to a newer header. Errors as of `refresh`."""
        found = self._provable(holding)
        if isinstance(found, str):
            return Refreshed(holding, note=found)
        name, source = await self._source(holding)
        target = await self._target(name, source, found[2], self._at)
        held = holding.header
        if held is None:
            return Refreshed(holding, note="no proof is held that could be led anywhere")
        if held.timestamp >= target.header.timestamp:
            return Refreshed(holding, note=f"it is proven at block {held.number} already")
        return await self._hopped(holding, source, target)

    async def _hop_instead(
        self, holding: Holding, source: ProofSource, network: Network, name: str
    ) -> Refreshed | None:
        """A hop to the newest block, where one can be had."""
        if holding.header is None:
            return None
        try:
            return await self._hopped(holding, source, await self._target(name, source, network, At.NEWEST))
        except (Unavailable, NotVerified, NotFound):
            return None

    async def _hopped(self, holding: Holding, source: ProofSource, target: Target) -> Refreshed:
        bundle, held = holding.bundle, holding.header
        assert bundle is not None and bundle.state is not None and held is not None  # noqa: S101, PT018
        hop = await source.hop(target, held.number)
        state = replace(bundle.state, hop=hop)
        return self._taken(replace(holding, bundle=replace(bundle, state=state)), target)

    def _taken(self, renewed: Holding, target: Target) -> Refreshed:
        """What is renewed, if it holds; NotVerified otherwise."""
        report = self._judge(renewed, target)
        assert renewed.bundle is not None  # noqa: S101 - narrows for the type checker
        anchored = Outcome.NOT_APPLICABLE if renewed.bundle.anchor is None else Outcome.PASSED
        for name, outcome in ((CheckName.HEADER, Outcome.PASSED), (CheckName.ANCHOR, anchored)):
            if report[name].outcome is not outcome:
                told = f"of {target.answer.source}: {report[name].basis}"
                raise NotVerified(f"no proof that was given holds, and the old one was kept ({told})")
        return Refreshed(replace(renewed, last_check=last_check(report, self._now)), report)

    def _judge(self, holding: Holding, target: Target) -> Report:
        """As a verifier that trusts this header alone and has nothing but the bundle; told by whose word it is."""
        header, network = target.header, target.network
        alone = Checkpoint(network.chain_id, network.genesis, 1, 0, ((header.number, header.hash),))
        verifier = replace(self._verifier, checkpoints={network.chain_id: alone})
        canonicalizer = self._verifier.canonicalizer
        shown = as_others_see(holding.credential, holding.bundle, canonicalizer, holding.secrets)
        materials = Materials(contacted=self._egress.contacted)
        report = engine.verify(Intake((shown,)), materials, verifier, now=self._now)
        return _by_word_of(target.answer, report, holding)

    # --- what is to be proven

    def _provable(self, holding: Holding) -> tuple[Bundle, Wanted, Network] | str:
        """What a verifier wants proven of it and on which chain, or why there is nothing to prove."""
        bundle = holding.bundle
        if (
            bundle is None
            or bundle.key is None
            or (bundle.anchor is None and not holding.choices.for_occasion)
        ):
            return "no bundle with an anchor is held"
        document = read_document(
            holding.document, self._verifier.canonicalizer, self._verifier.schemas, holding.shown.envelope
        )
        if document.ethr is None:
            return "its issuer keeps no record on a chain"
        identity = Identity(document.ethr.chain_id, document.ethr.identity)
        network = self._verifier.networks.get(identity.chain_id)
        if network is None:
            raise Unavailable(f"{identity.chain} is in no table of networks: name a file with --networks")
        return (
            bundle,
            Wanted(identity, _commitment(holding), bundle.key.public_key, document.entries),
            network,
        )

    # --- who proves it

    async def _source(self, holding: Holding) -> tuple[str, ProofSource]:
        """Who gives proofs of it, with the name under which that is remembered; each is opened once."""
        name = self._proofs or ""
        if name == ISSUER:
            name = holding.provenance.source
        if name not in self._sources:
            self._sources[name] = await self._opened(holding)
        return name, self._sources[name]

    async def _opened(self, holding: Holding) -> ProofSource:
        if self._proofs is None:
            return EndpointProofs(ChainEndpoints(self._egress, self._verifier.networks.every).of)
        if self._proofs != ISSUER:
            return NodeProofs(self._egress, _proofs_of(self._proofs), named_by=NamedBy.MIRROR)
        issuer = holding.provenance.source
        if urlsplit(issuer).scheme not in ("http", "https"):
            raise Unavailable(
                "it came from a file, so that no node of its issuer is known: name one by its URL"
            )
        answer = await Exchange(self._egress, parse_error).get(issuer_metadata_url(issuer))
        base = parse_issuer_metadata(json_of(answer), issuer).proof_endpoint
        if base is None:
            raise Unavailable("its issuer makes no proofs for holders: name another node by its URL")
        return NodeProofs(self._egress, base, named_by=NamedBy.DOCUMENT)

    async def _target(self, name: str, source: ProofSource, network: Network, at: Height) -> Target:
        key = (name, network.chain_id, at)
        if key not in self._targets:
            target = await source.target(network, at)
            self._check_age(target)
            self._targets[key] = target
        return self._targets[key]

    def _check_age(self, target: Target) -> None:
        """Unavailable where whoever was asked lags behind the chain, or names a block of the future.

        After such a block no later proof would count as newer.
        """
        network, newest = target.network, target.answer.newest
        latest = max(newest.timestamp, target.header.timestamp)
        if latest > self._now.timestamp() + CLOCK_TOLERANCE_SECONDS:
            raise Unavailable(
                f"{target.answer.source} names a final block that is later than this machine's clock"
            )
        if network.is_old(newest.timestamp, self._now):
            age = int(self._now.timestamp()) - newest.timestamp
            told = f"the newest final block by {target.answer.source} is {age} seconds old"
            raise Unavailable(f"{told} (limit {network.header_age_limit_seconds})")


def _by_word_of(answer: HeaderAnswer, report: Report, holding: Holding) -> Report:
    """The report with whose word the header is, which the engine was told as if it stood in a file."""
    used, hop = report.header, holding.hop
    if used is None:
        return report
    source = answer.source if hop is None else f"{answer.source}, through block {hop.number}"
    basis = "; ".join([report[CheckName.HEADER].basis.replace(used.source, source), *answer.others])
    checks = tuple(
        replace(check, basis=basis) if check.name is CheckName.HEADER else check for check in report.checks
    )
    header = replace(used, source=source, strength=answer.strength)
    return replace(report, checks=checks, header=header, mode=Mode.CHAIN)


def _proofs_of(node: str) -> str:
    """Where a node makes proofs: below the URL that was named, which may be that of its /proofs already."""
    base = node.rstrip("/")
    return base if base.endswith("/proofs") else base + "/proofs"


def _commitment(holding: Holding) -> bytes | None:
    """What the anchor's slot is named by; None where there is no anchor (bbs-2023)."""
    anchor = holding.bundle.anchor if holding.bundle else None
    digest = ShownDocument(holding.document, holding.shown.envelope).digest(
        anchor.proof_value if anchor else None
    )
    return None if anchor is None or digest is None else anchor.commitment_of(CREDENTIAL, digest)
