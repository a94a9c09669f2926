"""What a verifier believes and demands, and the report it makes of sixteen checks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

from node.core.canonical.contexts import ContextStore
from node.core.canonical.rdfc import Canonicalizer
from node.core.evm.checkpoint import Checkpoint
from node.core.evm.network import Network, parse_networks
from node.core.schema import SchemaSet
from node.core.strict_json import parse_json
from node.core.verify.clauses import cite
from node.core.verify.ledger import Networks
from node.core.verify.materials import Mode
from node.core.verify.policy import OF_PRESENTATION, STRICT, Policy
from node.core.verify.report import Acceptance, Check, CheckName, Outcome, Report
from node.core.verify.trust import TrustList

_MUST_PASS: Final = (CheckName.CONFORMANCE, CheckName.PROOF, CheckName.PROOF_PURPOSE)
_IN_ORDER: Final = tuple(CheckName)


@dataclass(frozen=True, slots=True)
class Standards:
    """The pinned files of the standards, read once: contexts, schemas, and our own table of networks."""

    canonicalizer: Canonicalizer
    schemas: SchemaSet
    networks: Mapping[int, Network]

    @classmethod
    def read(
        cls,
        contexts: Mapping[str, bytes],
        digests: Mapping[str, str],
        schemas: Mapping[str, bytes],
        networks: bytes,
    ) -> Standards:
        """From the bytes that the package `schemas` hands out."""
        store = ContextStore(contexts, digests)
        return cls(Canonicalizer(store), SchemaSet(schemas), parse_networks(parse_json(networks)))


@dataclass(frozen=True, slots=True)
class Verifier:
    """Everything a verifier believes and demands, whatever it is shown."""

    canonicalizer: Canonicalizer
    schemas: SchemaSet
    networks: Networks
    trust: TrustList | None = None
    checkpoints: Mapping[int, Checkpoint] = field(default_factory=dict)
    policy: Policy = STRICT
    mode: Mode = Mode.OFFLINE

    @classmethod
    def of(
        cls,
        standards: Standards,
        *,
        operator_networks: Mapping[int, Network] | None = None,
        trust: TrustList | None = None,
        checkpoints: Iterable[Checkpoint] = (),
        policy: Policy = STRICT,
        mode: Mode = Mode.OFFLINE,
    ) -> Verifier:
        """A verifier by our standards and the operator's own tables.

        Of several checkpoint files of one chain the newest counts, in whatever order they are named; NotVerified where
        they are of several series, or contradict each other.
        """
        verifier = cls(
            standards.canonicalizer,
            standards.schemas,
            Networks(standards.networks, operator_networks or {}),
            trust,
            policy=policy,
            mode=mode,
        )
        for checkpoint in sorted(checkpoints, key=lambda one: one.sequence):
            verifier = verifier.with_checkpoint(checkpoint)
        return verifier

    def with_checkpoint(self, arrived: Checkpoint) -> Verifier:
        """The same with a newer checkpoint file; NotVerified where the one that it has is newer or says otherwise."""
        kept = self.checkpoints.get(arrived.chain_id)
        if kept is not None:
            arrived.check_follows(kept)
        return replace(self, checkpoints={**self.checkpoints, arrived.chain_id: arrived})

    def for_one_report(self) -> Verifier:
        """The same with an end to the work on all documents of one report together."""
        return replace(self, canonicalizer=self.canonicalizer.for_one_report())

    def may_fetch(self, did: str) -> bool:
        """Whether hosts that `did` names may be asked: for those listed, or where any issuer will do (section 10).

        Else anybody could make a verifier call at a place of his choice.
        """
        listed = self.trust is not None and bool(self.trust.of(did))
        return listed or CheckName.ISSUER_TRUST not in self.policy.accepts


def make_report(
    checks: Sequence[Check], verifier: Verifier, as_of: datetime, *, presented: bool, **more: Any
) -> Report:
    """The report of `checks`, one of each name, with the two answers that follow; `more` are its other fields."""
    failed = Outcome.FAILED
    found = {check.name: cite(check) if check.outcome is failed else check for check in checks}
    ordered = tuple(map(found.__getitem__, _IN_ORDER))
    policy = verifier.policy
    acceptance = policy.judge(ordered, presented=presented)
    accepted = acceptance is Acceptance.ACCEPTED
    return Report(
        checks=ordered,
        verified=_verified(found, presented=presented),
        acceptance=acceptance,
        decisive=None if accepted else policy.decisive(ordered, presented=presented),
        policy=policy.name,
        mode=verifier.mode,
        as_of=as_of,
        **more,
    )


def _verified(found: Mapping[CheckName, Check], *, presented: bool) -> bool:
    """VC Data Model 2.0 section 7.1: the securing mechanism and conformance, and binding where it was presented."""
    must_pass = (*_MUST_PASS, *OF_PRESENTATION) if presented else _MUST_PASS
    key = found[CheckName.KEY].outcome in (Outcome.PASSED, Outcome.NOT_APPLICABLE)
    passed = Outcome.PASSED
    return key and all(found[name].outcome is passed for name in must_pass)
