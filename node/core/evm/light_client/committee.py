"""The signature of a sync committee: BLS over BLS12-381, keys in G1 (consensus-specs, specs/altair/bls.md).

`FastAggregateVerify` of draft-irtf-cfrg-bls-signature section 3.3.4. Its keys have proofs of possession since their
deposits, which the state that holds the committee is witness to.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache, reduce
from typing import Final

from node.core import problem
from node.core.bls12381 import G1Point, curve
from node.core.errors import Malformed, NotVerified
from node.core.evm.light_client.containers import SyncAggregate, SyncCommittee

_DST: Final = b"BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_"


@dataclass(frozen=True, slots=True)
class _Keys:
    """The keys of one committee, and the sum of all."""

    points: tuple[G1Point, ...]
    total: G1Point


def verify_aggregate(committee: SyncCommittee, aggregate: SyncAggregate, message: bytes) -> None:
    """Raise NotVerified unless those members of `committee` that `aggregate` names signed `message`.

    Malformed where a key is not a point of its group. `read_g2` refuses the identity, so that a sum of keys that is the
    identity signs nothing.
    """
    keys = _keys(committee)
    signers = _sum_of_signers(keys, aggregate)
    engine = curve()
    try:
        signature = engine.read_g2(aggregate.sync_committee_signature)
    except Malformed as error:
        raise _wrong("no point of the curve") from error
    pairs = [(signers, engine.hash_to_g2(message, _DST)), (engine.negate(engine.g1), signature)]
    if not engine.pairings_cancel(pairs):
        raise _wrong("not over this header by these members")


def _wrong(why: str) -> NotVerified:
    return NotVerified(
        f"the signature of the sync committee is wrong: {why}", type=problem.PROOF_VERIFICATION_ERROR
    )


# A client knows two committees of each chain it follows; reading one takes ten times as long as a signature.
@lru_cache(maxsize=8)
def _keys(committee: SyncCommittee) -> _Keys:
    engine = curve()
    points = tuple(map(engine.read_g1, committee.pubkeys))
    return _Keys(points, reduce(engine.add, points))


def _sum_of_signers(keys: _Keys, aggregate: SyncAggregate) -> G1Point:
    """The sum of the keys that signed: added up, or where most did, what is left when the others are taken away."""
    engine = curve()
    signed = [point for index, point in enumerate(keys.points) if aggregate.signed(index)]
    absent = [point for index, point in enumerate(keys.points) if not aggregate.signed(index)]
    if not signed:
        raise NotVerified("nobody of the sync committee signed")
    if len(signed) <= len(absent):
        return reduce(engine.add, signed)
    return reduce(lambda total, point: engine.add(total, engine.negate(point)), absent, keys.total)
