"""Renewing the state proof of a bundle from the chain (FORMATS.md section 7).

The new proof is made at the newest finalized header whose number is a multiple of the network's step, over exactly the
slots that a verifier wants, and judged by the engine before it takes the place of the old. What only the issuer and
the holder know (salt, index, path, evidence) is kept as it is. Anybody could do this; no issuer is asked.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from node.core.anchor import CREDENTIAL
from node.core.bundle import Bundle, BundleState, ShownDocument
from node.core.errors import NotVerified, Unavailable
from node.core.evm.header import Header
from node.core.evm.network import Network
from node.core.verify import engine
from node.core.verify.intake import Intake
from node.core.verify.ledger import Identity, Wanted
from node.core.verify.materials import HeaderAnswer, HeaderNeed, Materials, Mode
from node.core.verify.reading import read_document
from node.core.verify.report import CheckName, Outcome, Report
from node.core.verify.verifier import Verifier
from node.outbound.headers import ChainEndpoints, Voices
from node.outbound.http import Egress
from wallet.check import as_others_see, last_check
from wallet.holdings import Holding


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What became of a holding: with a newer proof and its report, or unchanged for the reason in `note`."""

    holding: Holding
    report: Report | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class _Target:
    """The header that proofs of one chain are made at."""

    network: Network
    voices: Voices
    answer: HeaderAnswer
    header: Header


class Refresher:
    """One command's renewal: each chain is opened once."""

    def __init__(
        self,
        verifier: Verifier,
        egress: Egress,
        *,
        now: datetime,
        newest: bool = False,
    ) -> None:
        # Judged by the header that the proof is made at, and by no other.
        self._verifier = replace(verifier, mode=Mode.CHAIN, checkpoints={})
        self._egress = egress
        networks = self._verifier.networks
        self._chains = ChainEndpoints(egress, networks.every)
        self._now = now
        self._at_newest = newest
        self._targets: dict[int, _Target] = {}

    async def refresh(self, holding: Holding) -> Refreshed:
        """The holding with a renewed proof. Unavailable where the chain cannot be read; NotVerified where it lies."""
        bundle = holding.bundle
        if (
            bundle is None
            or bundle.key is None
            or (bundle.anchor is None and not holding.choices.for_occasion)
        ):
            return Refreshed(holding, note="no bundle with an anchor is held")
        document = read_document(
            holding.document, self._verifier.canonicalizer, self._verifier.schemas, holding.shown.envelope
        )
        if document.ethr is None:
            return Refreshed(holding, note="its issuer keeps no record on a chain")
        target = await self._target(document.ethr.chain_id)
        held = holding.header
        if bundle.anchor is not None and target.header.number < bundle.anchor.block:
            return Refreshed(holding, note="no block of the series is final yet that knows its anchor")
        if held is not None and held.number >= target.header.number:
            return Refreshed(holding, note=f"block {held.number} is the newest that can be proven")
        wanted = Wanted(
            Identity(document.ethr.chain_id, document.ethr.identity),
            _commitment(holding),
            bundle.key.public_key,
            document.entries,
        )
        return await self._renewed(holding, bundle, wanted, target)

    async def _renewed(self, holding: Holding, bundle: Bundle, wanted: Wanted, target: _Target) -> Refreshed:
        """With a proof that holds, of the first endpoint that gives one."""
        account, slots, block = target.network.credential_registry, wanted.slots(), target.header.hash
        anchored = Outcome.NOT_APPLICABLE if bundle.anchor is None else Outcome.PASSED
        false: dict[str, str] = {}
        while True:
            try:
                nodes, source = await target.voices.read(
                    lambda client: client.proof_nodes(account, slots, block), besides=tuple(false)
                )
            except Unavailable:
                if not false:
                    raise
                told = "; ".join(f"of {source}: {basis}" for source, basis in false.items())
                raise NotVerified(
                    f"no proof that was given holds, and the old one was kept ({told})"
                ) from None
            renewed = replace(holding, bundle=replace(bundle, state=BundleState(target.header.raw, nodes)))
            report = self._judge(renewed, target)
            if report.header is not None and report[CheckName.ANCHOR].outcome is anchored:
                return Refreshed(replace(renewed, last_check=last_check(report, self._now)), report)
            false[source] = report[CheckName.ANCHOR].basis

    def _judge(self, holding: Holding, target: _Target) -> Report:
        """As a verifier that trusts this header and has the bundle alone: no state of its own to fall back on."""
        need = HeaderNeed(target.network.chain_id, (target.header.number,))
        canonicalizer = self._verifier.canonicalizer
        shown = as_others_see(holding.credential, holding.bundle, canonicalizer, holding.secrets)
        intake = Intake((shown,))
        materials = Materials({need: target.answer}, self._egress.contacted)
        return engine.verify(intake, materials, self._verifier, now=self._now)

    async def _target(self, chain_id: int) -> _Target:
        if chain_id not in self._targets:
            self._targets[chain_id] = await self._find_target(chain_id)
        return self._targets[chain_id]

    async def _find_target(self, chain_id: int) -> _Target:
        network = self._verifier.networks.get(chain_id)
        if network is None:
            raise Unavailable(f"eip155:{chain_id} is in no table of networks: name a file with --networks")
        voices = self._chains.of(chain_id)
        newest = (await voices.newest()).value
        number = newest.number if self._at_newest else newest.number - newest.number % network.step
        answer = await voices.header(HeaderNeed(chain_id, (number,)))
        digest = answer.hashes.get(number)
        if digest is None:
            raise Unavailable(f"too few endpoints name the same block {number}")
        header, _ = await voices.read(lambda client: client.header(digest))
        return _Target(network, voices, answer, header)


def _commitment(holding: Holding) -> bytes | None:
    """What the anchor's slot is named by; None where there is no anchor (bbs-2023)."""
    anchor = holding.bundle.anchor if holding.bundle else None
    digest = ShownDocument(holding.document, holding.shown.envelope).digest(
        anchor.proof_value if anchor else None
    )
    return None if anchor is None or digest is None else anchor.commitment_of(CREDENTIAL, digest)
