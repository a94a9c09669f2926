"""Checkpoint files: fetched from a mirror, or made out of what endpoints agree on (FORMATS.md section 7).

A file that is fetched must be signed by a key of the operator's configuration. One that is made holds only hashes that
the source of headers vouches for; who signs it vouches for that source.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from yarl import URL

from node.core.errors import BonafidesError, Malformed, NotVerified, Unavailable
from node.core.evm.checkpoint import MAX_FILE_BYTES, Checkpoint, parse_checkpoint
from node.core.evm.network import Network
from node.core.keys import PublicKey
from node.core.verify.materials import HeaderAnswer, HeaderNeed, Mode
from node.core.verify.report import Report
from node.core.verify.verifier import Verifier
from node.outbound.fetch import CHECKPOINT_FILE, fetch_json
from node.outbound.headers import HeaderSource
from node.outbound.http import Egress, EgressLimits, EgressPolicy, NamedBy

# As many of mainnet's series are two years; a development chain reaches them in hours.
MAX_NEW_HEADERS: Final = 5_000


def mirror_egress(mode: Mode, urls: Sequence[str]) -> Egress:
    """The guard under which checkpoint files are fetched: nobody else is asked with it."""
    limits = EgressLimits(total_bytes=None, request_bytes=MAX_FILE_BYTES)
    return Egress(EgressPolicy(mode, mirrors=tuple(urls), limits=limits))


async def fetch_checkpoint(egress: Egress, url: str, keys: Sequence[PublicKey]) -> Checkpoint:
    """The checkpoint file at `url`, one of the mirrors of the policy, signed by one of `keys`.

    NotVerified where none of them signed it; Malformed where it is none; Unavailable where it could not be had.
    """
    fetched = await fetch_json(egress, url, purpose=CHECKPOINT_FILE, named_by=NamedBy.MIRROR)
    try:
        checkpoint = parse_checkpoint(fetched.document)
    except Malformed as error:
        raise Malformed(f"the checkpoint file: {error.detail}", path=error.problem.path) from error
    for key in keys:
        try:
            checkpoint.verify_signature(key)
        except NotVerified:
            continue
        return checkpoint
    raise NotVerified("the checkpoint file is signed by no key that is configured")


@dataclass(frozen=True, slots=True)
class Mirrored:
    """A verifier with what its mirrors have, who was asked for it, and why something was not taken."""

    verifier: Verifier
    contacted: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def told_in(self, report: Report) -> Report:
        """A report by that verifier which says so."""
        contacted = tuple(dict.fromkeys((*self.contacted, *report.contacted)))
        return replace(report, contacted=contacted, notes=(*report.notes, *self.notes))


async def with_mirrors(verifier: Verifier, urls: Sequence[str], keys: Sequence[PublicKey]) -> Mirrored:
    """The verifier with the checkpoint files at `urls`, each signed by one of `keys`, if newer than those it has."""
    notes = []
    async with mirror_egress(verifier.mode, urls) as egress:
        for url in urls:
            try:
                verifier = verifier.with_checkpoint(await fetch_checkpoint(egress, url, keys))
            except BonafidesError as error:
                notes.append(f"the checkpoint file of {URL(url).host} was not used: {error.detail}")
        return Mirrored(verifier, egress.contacted, tuple(notes))


async def extend_checkpoint(
    source: HeaderSource, network: Network, kept: Checkpoint | None, since: int = 0
) -> tuple[Checkpoint, HeaderAnswer]:
    """The next file of the network's series, unsigned, with every header up to the newest final block; and who told.

    It goes on from `kept`, which comes back as it is where nothing is new, or begins at block `since`; at most the
    newest 5,000 are added. Unavailable where the source does not vouch for one, NotVerified where it contradicts
    `kept`.
    """
    step = network.step
    begun = kept or Checkpoint(network.chain_id, network.genesis, step, 0, ())
    if (begun.chain_id, begun.genesis, begun.step) != (network.chain_id, network.genesis, step):
        raise NotVerified("the checkpoint file is of another chain or series than the network's")
    known = (begun.newest_number,) if begun.headers else ()
    first = begun.newest_number + step if begun.headers else -(-since // step) * step
    newest = (await source.header(HeaderNeed(network.chain_id))).newest.number
    numbers = range(first, newest + 1, step)[-MAX_NEW_HEADERS:]
    answer = await source.header(HeaderNeed(network.chain_id, (*known, *numbers)))
    for number in (*known, *numbers):
        if number not in answer.hashes:
            raise Unavailable("; ".join([f"nobody vouches for block {number}", *answer.others]))
        if begun.hash_at(number) not in (None, answer.hashes[number]):
            raise NotVerified(f"{answer.source} and the checkpoint file name different blocks {number}")
    added = [(number, answer.hashes[number]) for number in numbers]
    return (begun.extended(added) if added else begun), answer
