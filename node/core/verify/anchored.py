"""The checks that follow from the ledger: anchor, key, status and freshness (FORMATS.md section 9, CHECKS.md 7-10).

Blocks are compared with blocks. The anchor's block is the only time that is believed; `created` in a proof is not
looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from node.core import problem
from node.core.anchor import Anchor
from node.core.evm import registry
from node.core.evm.registry import AnchorRecord, KeyPurpose, KeyWindow, ListRecord
from node.core.problem import Problem
from node.core.status.entry import StatusEntry
from node.core.times import format_datetime_stamp, from_unix, span
from node.core.verify.ledger import MAX_LIST_ENTRIES, Ledger, Proven, entry_slots, has_rule
from node.core.verify.policy import Policy
from node.core.verify.reading import AnyStatusEntry
from node.core.verify.report import Check, CheckName, Outcome, Reason, worst

CLOCK_TOLERANCE_SECONDS: Final = 60
_HARMLESS: Final = ("message", "refresh")


@dataclass(frozen=True, slots=True)
class AnchorFound:
    """The anchor check, and the block and time that it established."""

    check: Check
    record: AnchorRecord | None = None

    @property
    def time(self) -> datetime | None:
        """The anchor's block time."""
        return from_unix(self.record.time) if self.record else None

    def told(self, more: str) -> AnchorFound:
        """The same, with `more` in its basis."""
        return replace(self, check=replace(self.check, basis=f"{self.check.basis}; {more}"))


def _anchor(outcome: Outcome, basis: str, reason: Reason | None = None) -> AnchorFound:
    return AnchorFound(Check(CheckName.ANCHOR, outcome, basis, reason))


# 10. freshness ---------------------------------------------------------------------------------------------


def check_freshness(ledger: Ledger, policy: Policy, as_of: datetime, now: datetime) -> Check:
    """How old the header is whose state root proved key and status, seen from `as_of`."""
    if ledger.state is None:
        return Check(
            CheckName.FRESHNESS,
            Outcome.UNKNOWN,
            "the state of the chain is not proven",
            ledger.header.reason or Reason.STATE_NOT_PROVEN,
        )
    moment = ledger.state.time
    if (moment - now).total_seconds() > CLOCK_TOLERANCE_SECONDS:
        basis = f"{ledger.state.at} is ahead of this clock"
        return Check(CheckName.FRESHNESS, Outcome.UNKNOWN, basis, Reason.CLOCK)
    age = int((as_of - moment).total_seconds())
    limit = policy.max_header_age_seconds
    if age > limit:
        basis = f"proven as of {ledger.state.at}, {span(age)} ago; the limit is {span(limit)}"
        return Check(CheckName.FRESHNESS, Outcome.UNKNOWN, basis, Reason.STALE)
    ago = f"{span(age)} ago" if age >= 0 else "after the time asked for"
    return Check(CheckName.FRESHNESS, Outcome.PASSED, f"proven as of {ledger.state.at}, {ago}")


# 7. anchor -------------------------------------------------------------------------------------------------


def check_anchor(ledger: Ledger, anchor: Anchor | None, freshness: Check, as_of: datetime) -> AnchorFound:
    """Whether the issuer anchored this credential, and in which block."""
    if anchor is None:
        if ledger.nothing_written() and freshness.outcome is Outcome.PASSED:
            return _anchor(
                Outcome.NOT_APPLICABLE, "the issuer never anchored anything", Reason.NOTHING_ANCHORED
            )
        return _anchor(
            Outcome.UNKNOWN,
            "could not be told: ask the holder for the bundle",
            Reason.BUNDLE_MISSING,
        )
    if misplaced := _misplaced(ledger, anchor):
        return _anchor(Outcome.FAILED, misplaced, Reason.BUNDLE_FALSE)
    if ledger.false is not None:
        return _anchor(Outcome.FAILED, f"the bundle is false: {ledger.false}", Reason.BUNDLE_FALSE)
    state = ledger.state
    if state is None or ledger.wanted.commitment is None:
        reason = ledger.header.reason or Reason.STATE_NOT_PROVEN
        return _anchor(Outcome.UNKNOWN, "no trusted block shows the anchor", reason)
    word = ledger.value(registry.anchor_slot(ledger.wanted.identity.address, ledger.wanted.commitment))
    if not word:
        return _absent(anchor, state)
    return _present(ledger, AnchorRecord.from_word(word), state, as_of)


def _misplaced(ledger: Ledger, anchor: Anchor) -> str | None:
    """What the bundle says of chain, registry and identity is compared with the table and the DID."""
    identity = ledger.wanted.identity
    if identity.chain_id is None:
        return None
    if anchor.chain != identity.chain:
        return f"the bundle is false: it names chain {anchor.chain}, the issuer's is {identity.chain}"
    if anchor.identity != identity.address:
        return "the bundle is false: it names another identity than the issuer's"
    if ledger.registry is not None and anchor.registry != ledger.registry:
        return "the bundle is false: it names another registry than the network's"
    return None


def _absent(anchor: Anchor, state: Proven) -> AnchorFound:
    if state.header.number >= anchor.block:
        basis = f"the registry holds no such anchor at {state.at}"
        return _anchor(Outcome.FAILED, basis, Reason.NOT_ANCHORED)
    basis = f"claimed for block {anchor.block}, which is after {state.at}"
    return _anchor(Outcome.UNKNOWN, basis, Reason.STATE_NOT_PROVEN)


def check_witness(ledger: Ledger, as_of: datetime) -> AnchorFound:
    """Whether a witness anchored what it saw (kind 4); judged as an issuer's anchor, but a bundle claims no block."""
    state, commitment = ledger.state, ledger.wanted.commitment
    if state is None or commitment is None:
        reason = ledger.header.reason or Reason.STATE_NOT_PROVEN
        return _anchor(Outcome.UNKNOWN, f"no trusted block shows its anchor: {ledger.header.basis}", reason)
    word = ledger.value(registry.anchor_slot(ledger.wanted.identity.address, commitment))
    if not word:
        return _anchor(
            Outcome.FAILED, f"the registry holds no such anchor at {state.at}", Reason.NOT_ANCHORED
        )
    return _present(ledger, AnchorRecord.from_word(word), state, as_of, by="its witness")


def _present(
    ledger: Ledger, record: AnchorRecord, state: Proven, as_of: datetime, by: str = "the issuer"
) -> AnchorFound:
    closed = ledger.value(registry.closed_slot(ledger.wanted.identity.address))
    when = f"block {record.block} ({format_datetime_stamp(from_unix(record.time))})"
    if closed is None:
        return _anchor(
            Outcome.UNKNOWN, "whether the identity is closed is not proven", Reason.STATE_NOT_PROVEN
        )
    if 0 < closed <= record.block:
        basis = f"anchored in {when}, but {by} closed its identity in block {closed}"
        return _anchor(Outcome.FAILED, basis, Reason.IDENTITY_CLOSED)
    if as_of < from_unix(record.time):
        basis = f"anchored in {when}: not shown to have existed at the time asked for"
        return _anchor(Outcome.UNKNOWN, basis, Reason.ANCHORED_LATER)
    basis = f"anchored by {by} in {when}, proven at block {state.header.number}"
    return AnchorFound(Check(CheckName.ANCHOR, Outcome.PASSED, basis), record)


# 8. key ----------------------------------------------------------------------------------------------------


def check_key(ledger: Ledger, anchor: AnchorFound, claimed: int, policy: Policy) -> Check:
    """Whether the signing key was the issuer's, open and fit for its purpose at the anchor's block.

    `claimed` is the block that the bundle claims for an anchor, 0 without one.
    """
    word = ledger.key_word
    if anchor.check.outcome is Outcome.NOT_APPLICABLE:
        return Check(CheckName.KEY, Outcome.NOT_APPLICABLE, anchor.check.basis, Reason.NOTHING_ANCHORED)
    if word == 0:
        return _unregistered(ledger, 0 if anchor.record else claimed)
    window = None if word is None else KeyWindow.from_word(word)
    if anchor.record is None or window is None:
        basis = "without a proven anchor the key's validity cannot be told"
        reason = anchor.check.reason or ledger.header.reason or Reason.STATE_NOT_PROVEN
        return Check(CheckName.KEY, Outcome.UNKNOWN, basis, reason)
    return _judge_window(window, anchor.record.block, policy)


def _unregistered(ledger: Ledger, claimed: int) -> Check:
    """A key whose slot is zero: not the issuer's, unless it may have been added since, before the block `claimed`."""
    state = ledger.state
    if state is not None and state.header.number < claimed:
        basis = f"not registered as of {state.at}, which is before block {claimed} that the bundle speaks of"
        return Check(CheckName.KEY, Outcome.UNKNOWN, basis, Reason.STATE_NOT_PROVEN)
    basis = "the issuer never registered this key"
    return Check(CheckName.KEY, Outcome.FAILED, basis, Reason.KEY_NOT_REGISTERED)


def check_undated_key(ledger: Ledger, claimed: int, blocks_in_31_days: int) -> Check:
    """The key of a credential that is not anchored, bbs-2023, at the header that decides (FORMATS.md section 3).

    Nothing proves when it signed. What it signs lives at most 31 days, so a key counts for as long after its
    retirement, or after its identity was closed; a key that was ever compromised never counts. `claimed` is the
    block whose state the bundle shows, trusted or not, 0 without one.
    """
    word, state = ledger.key_word, ledger.state
    if word is None or state is None:
        reason = ledger.header.reason or Reason.STATE_NOT_PROVEN
        return Check(CheckName.KEY, Outcome.UNKNOWN, "its key's window is not proven", reason)
    if word == 0:
        return _unregistered(ledger, claimed)
    window = KeyWindow.from_word(word)
    closed = ledger.value(registry.closed_slot(ledger.wanted.identity.address)) or 0
    ends = [block for block in (window.until, closed) if block]
    if not window.purposes & KeyPurpose.BBS:
        basis = "registered for another purpose than bbs-2023"
        return Check(CheckName.KEY, Outcome.FAILED, basis, Reason.KEY_PURPOSE)
    if window.compromised_since:
        basis = f"compromised since block {window.compromised_since}, and no proof of time"
        return Check(CheckName.KEY, Outcome.FAILED, basis, Reason.KEY_COMPROMISED)
    if ends and state.header.number - min(ends) > blocks_in_31_days:
        basis = f"retired in block {min(ends)}, more than 31 days before {state.at}, and no proof of time"
        return Check(CheckName.KEY, Outcome.FAILED, basis, Reason.KEY_RETIRED)
    since = f"retired in block {min(ends)}, less than 31 days before" if ends else "open at"
    return Check(CheckName.KEY, Outcome.PASSED, f"{since} {state.at}; no proof of time")


def _judge_window(window: KeyWindow, block: int, policy: Policy) -> Check:
    def failed(basis: str, reason: Reason) -> Check:
        return Check(CheckName.KEY, Outcome.FAILED, basis, reason)

    if block < window.valid_from:
        return failed(
            f"registered in block {window.valid_from}, after the anchor in block {block}",
            Reason.KEY_NOT_YET_VALID,
        )
    if 0 < window.compromised_since <= block:
        basis = (
            f"compromised since block {window.compromised_since} (declared in block {window.declared}), "
            f"anchored in block {block}"
        )
        if policy.compromise == "dispute" and block < window.declared:
            return Check(CheckName.KEY, Outcome.UNKNOWN, basis, Reason.KEY_DISPUTED)
        return failed(basis, Reason.KEY_COMPROMISED)
    if 0 < window.until <= block:
        return failed(
            f"retired in block {window.until}, before or in the anchor's block {block}", Reason.KEY_RETIRED
        )
    if not window.purposes & KeyPurpose.ASSERTION:
        return failed("registered for another purpose than signing credentials", Reason.KEY_PURPOSE)
    return Check(
        CheckName.KEY,
        Outcome.PASSED,
        f"registered in block {window.valid_from} and open at the anchor's block {block}",
    )


# 9. status -------------------------------------------------------------------------------------------------


def check_status(ledger: Ledger, entries: Iterable[AnyStatusEntry], as_of: datetime) -> Check:
    """The worst of all status entries, each by its list slot and its word slot."""
    checks = [_check_entry(ledger, entry, as_of) for entry in entries]
    if not checks:
        return Check(CheckName.STATUS, Outcome.NOT_APPLICABLE, "it has no status entry", Reason.NO_STATUS)
    decisive = worst(checks)
    if decisive.outcome is not Outcome.PASSED:
        return decisive
    return Check(CheckName.STATUS, Outcome.PASSED, "; ".join(check.basis for check in checks))


def _status(
    outcome: Outcome, basis: str, reason: Reason | None = None, problems: tuple[Problem, ...] = ()
) -> Check:
    return Check(CheckName.STATUS, outcome, basis, reason, problems)


def _check_entry(ledger: Ledger, entry: AnyStatusEntry, as_of: datetime) -> Check:
    if not has_rule(entry):
        basis = "there is no rule for reading a status of this kind from the chain"
        return _status(Outcome.UNKNOWN, basis, Reason.STATUS_LIST_UNKNOWN)
    if entry.index >= MAX_LIST_ENTRIES:
        return _out_of_range(entry, MAX_LIST_ENTRIES)
    if ledger.state is None:
        reason = ledger.header.reason or Reason.STATE_NOT_PROVEN
        return _status(Outcome.UNKNOWN, f"{entry.purpose}: the state of the chain is not proven", reason)
    values = [_read(ledger, state, entry) for state in ledger.states]
    # A bit that is set counts whatever the list slot says.
    found = [found for found in _speaking(entry, values, as_of) if found.value]
    if entry.purpose not in _HARMLESS and found:
        return worst([_set(entry, one, as_of) for one in found])
    return _unset(entry, values[0], as_of)


def _speaking(entry: StatusEntry, values: Sequence[_Reading], as_of: datetime) -> Sequence[_Reading]:
    """The readings, the newest first, of which a bit that is set speaks against the credential.

    Nothing clears a bit of an OR-only list, so an older state adds its own. A suspension may have been lifted since:
    what came before the newest state says nothing, unless an earlier time is asked for.
    """
    if registry.MODES[entry.purpose] == registry.MODE_SETTABLE and values[0].state.time <= as_of:
        return values[:1]
    return values


@dataclass(frozen=True, slots=True)
class _Reading:
    """A status value and its list's record, as proven in one state."""

    state: Proven
    value: int | None
    record: ListRecord | None


def _read(ledger: Ledger, state: Proven, entry: StatusEntry) -> _Reading:
    list_slot, word_slot = entry_slots(ledger.wanted.identity.address, entry)
    record, word = state.slots.get(list_slot), state.slots.get(word_slot)
    return _Reading(
        state,
        None if word is None else registry.status_value(word, entry.index, entry.size),
        None if record is None else ListRecord.from_word(record),
    )


def _set(entry: StatusEntry, found: _Reading, as_of: datetime) -> Check:
    reason = Reason.REVOKED if entry.purpose == "revocation" else Reason.SUSPENDED
    basis = f"{reason} as of {found.state.at}"
    if as_of < found.state.time:
        return _status(Outcome.UNKNOWN, f"{basis}: later than the time asked for", Reason.STATUS_LATER)
    return _status(Outcome.FAILED, basis, reason)


def _unset(entry: StatusEntry, found: _Reading, as_of: datetime) -> Check:
    record, mode = found.record, registry.MODES[entry.purpose]
    if record is None or record.mode != mode or record.status_size != entry.size:
        basis = f"the registry has no list for {entry.purpose} at this address as of {found.state.at}"
        return _status(Outcome.UNKNOWN, basis, Reason.STATUS_LIST_UNKNOWN)
    if entry.index >= 1 << record.log2_entries:
        return _out_of_range(entry, 1 << record.log2_entries)
    if found.value is None:
        basis = f"{entry.purpose}: its value is not proven"
        return _status(Outcome.UNKNOWN, basis, Reason.STATE_NOT_PROVEN)
    if mode == registry.MODE_SETTABLE and as_of < found.state.time:
        basis = f"{entry.purpose}: known as of {found.state.at} only, after the time asked for"
        return _status(Outcome.UNKNOWN, basis, Reason.STATUS_LATER)
    return _status(Outcome.PASSED, f"{_told(entry, found.value)} as of {found.state.at}")


def _out_of_range(entry: StatusEntry, entries: int) -> Check:
    detail = f"index {entry.index} is outside a list of {entries} entries"
    range_error = Problem(problem.RANGE_ERROR, detail, ("credentialStatus", "statusListIndex"))
    return _status(Outcome.FAILED, detail, Reason.STATUS_OUT_OF_RANGE, (range_error,))


def _told(entry: StatusEntry, value: int) -> str:
    if entry.purpose == "refresh":
        return "a newer version is offered" if value else "no newer version"
    if entry.purpose == "message":
        text = entry.message(value)
        return f"message 0x{value:x}" + (f" ({text})" if text else "")
    return "not revoked" if entry.purpose == "revocation" else "not suspended"
