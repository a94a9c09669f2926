"""Renewing the state proof of a bundle from the chain (FORMATS.md section 7).

The new proof is made at the newest finalized header whose number is a multiple of the network's step, over exactly the
slots that a verifier wants, and judged by the engine before it takes the place of the old. What only the issuer and
the holder know (salt, index, path, evidence) is kept as it is. Anybody could do this; no issuer is asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from node.core.anchor import CREDENTIAL
from node.core.bundle import BundleState, ShownDocument
from node.core.errors import NotVerified, Unavailable
from node.core.evm.header import Header
from node.core.evm.network import Network
from node.core.verify import engine
from node.core.verify.intake import Intake
from node.core.verify.ledger import Identity, Wanted
from node.core.verify.materials import HeaderAnswer, HeaderNeed, Materials, Mode, Strength
from node.core.verify.reading import read_document
from node.core.verify.report import CheckName, Outcome, Report
from node.core.verify.verifier import Verifier
from node.outbound.chain import ChainClient
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
    client: ChainClient
    newest: Header
    header: Header


class Refresher:
    """One command's renewal: each chain is opened once."""

    def __init__(
        self,
        verifier: Verifier,
        egress: Egress,
        endpoints: Sequence[str],
        *,
        now: datetime,
        newest: bool = False,
    ) -> None:
        self._verifier = replace(verifier, mode=Mode.CHAIN)
        self._egress = egress
        self._endpoints = tuple(endpoints)
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
        nodes = await target.client.proof_nodes(
            target.network.credential_registry, wanted.slots(), target.header.hash
        )
        renewed = replace(holding, bundle=replace(bundle, state=BundleState(target.header.raw, nodes)))
        report = self._judge(renewed, target)
        anchor = report[CheckName.ANCHOR]
        wanted_outcome = Outcome.NOT_APPLICABLE if bundle.anchor is None else Outcome.PASSED
        if report.header is None or anchor.outcome is not wanted_outcome:
            raise NotVerified(
                f"the proof that {target.client.host} gave does not hold, and the old one was kept: {anchor.basis}"
            )
        return Refreshed(replace(renewed, last_check=last_check(report, self._now)), report)

    def _judge(self, holding: Holding, target: _Target) -> Report:
        """As a verifier that trusts this header and has the bundle alone: no state of its own to fall back on."""
        hashes = {target.header.number: target.header.hash, target.newest.number: target.newest.hash}
        answer = HeaderAnswer(
            target.newest, hashes, f"the endpoint {target.client.host}", Strength.ONE_ENDPOINT
        )
        need = HeaderNeed(target.network.chain_id, (target.header.number,))
        shown = as_others_see(holding.credential, holding.bundle, self._verifier.canonicalizer)
        intake = Intake((shown,))
        materials = Materials({need: answer}, self._egress.contacted)
        return engine.verify(intake, materials, self._verifier, now=self._now)

    async def _target(self, chain_id: int) -> _Target:
        if chain_id not in self._targets:
            self._targets[chain_id] = await self._find_target(chain_id)
        return self._targets[chain_id]

    async def _find_target(self, chain_id: int) -> _Target:
        network = self._verifier.networks.get(chain_id)
        if network is None:
            raise Unavailable(f"eip155:{chain_id} is in no table of networks: name a file with --networks")
        client = await self._client(network)
        newest = await client.finalized()
        number = newest.number if self._at_newest else newest.number - newest.number % network.step
        header = newest if number == newest.number else await client.header(number)
        return _Target(network, client, newest, header)

    async def _client(self, network: Network) -> ChainClient:
        for url in self._endpoints:
            client = self._egress.chain(url)
            if await client.chain_id() != network.chain_id:
                continue
            if await client.genesis_hash() != network.genesis:
                raise NotVerified(
                    f"{client.host} has the number of the chain {network.name}, but another genesis"
                )
            return client
        raise Unavailable(f"no endpoint that was named is of the chain {network.name} ({network.chain})")


def _commitment(holding: Holding) -> bytes | None:
    """What the anchor's slot is named by; None where there is no anchor (bbs-2023)."""
    anchor = holding.bundle.anchor if holding.bundle else None
    digest = ShownDocument(holding.document, holding.shown.envelope).digest(
        anchor.proof_value if anchor else None
    )
    return None if anchor is None or digest is None else anchor.commitment_of(CREDENTIAL, digest)
