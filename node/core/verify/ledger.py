"""What the chain says about a credential: network, header, anchor, key, status, freshness (FORMATS.md 1, 6 to 9).

The network and the registry's address follow from the issuer's DID and the verifier's own table; what a bundle says
of them is compared, never used. Everything that decides is read from storage slots proven against a header that is
trusted for a named reason. Nothing here believes an event, a receipt or a time that is not a block's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, TypeGuard

from node.core.bundle import Bundle, BundleHop
from node.core.errors import Malformed, NotVerified
from node.core.evm import registry
from node.core.evm.checkpoint import Checkpoint
from node.core.evm.header import Header, parse_header
from node.core.evm.network import Finality, Network
from node.core.evm.registry import AnchorRecord, KeyWindow
from node.core.evm.state_proof import prove_history, prove_slots
from node.core.keys import PublicKey
from node.core.status.entry import BITSTRING_ENTRY, StatusEntry
from node.core.times import format_datetime_stamp, from_unix
from node.core.verify.materials import (
    HeaderAnswer,
    HeaderNeed,
    Inquiry,
    Missing,
    ReplicaAnswer,
    StateAnswer,
    StateNeed,
    Strength,
)
from node.core.verify.reading import AnyStatusEntry
from node.core.verify.report import Check, CheckName, Outcome, Reason


@dataclass(frozen=True, slots=True)
class Identity:
    """The pair that a did:ethr names.

    `chain_id` is None where the DID writes its network by a name that is not known here: the identity is then on
    some chain all the same, and nothing else is known of it.
    """

    chain_id: int | None
    address: bytes

    @property
    def chain(self) -> str:
        """The chain as CAIP-2 text."""
        return "a chain that is known by name only" if self.chain_id is None else f"eip155:{self.chain_id}"


UNNAMED_CHAIN: Final = Identity(None, b"")


@dataclass(frozen=True, slots=True)
class Networks:
    """The verifier's table: `ours` is shipped, `operator` is the operator's own file and wins."""

    ours: Mapping[int, Network]
    operator: Mapping[int, Network]

    @property
    def every(self) -> dict[int, Network]:
        """One entry for each chain."""
        return {**self.ours, **self.operator}

    def get(self, chain_id: int | None) -> Network | None:
        """The entry for a chain, if any table has one."""
        if chain_id is None:
            return None
        return self.operator.get(chain_id) or self.ours.get(chain_id)


@dataclass(frozen=True, slots=True)
class Proven:
    """Slots of the registry, proven at a header that is trusted by the word of `source`.

    `faults` tell who gave a wrong proof before this one, a clause each.
    """

    header: Header
    source: str
    strength: Strength
    slots: Mapping[bytes, int]
    faults: tuple[str, ...] = ()

    @property
    def time(self) -> datetime:
        """The time of the block whose state this is."""
        return from_unix(self.header.timestamp)

    @property
    def at(self) -> str:
        """For a basis: the block and its time."""
        return f"block {self.header.number} ({format_datetime_stamp(self.time)})"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which slots decide about one credential."""

    identity: Identity
    commitment: bytes | None
    key: PublicKey | None
    entries: tuple[AnyStatusEntry, ...]

    def slots(self) -> tuple[bytes, ...]:
        """Closed, key, anchor, and list and word of each entry; each once, in this order."""
        identity = self.identity.address
        found = [registry.closed_slot(identity)]
        if self.key is not None:
            found.append(registry.key_slot(identity, self.key.multicodec_bytes))
        if self.commitment is not None:
            found.append(registry.anchor_slot(identity, self.commitment))
        for entry in self.entries:
            if has_rule(entry) and entry.index < MAX_LIST_ENTRIES:
                found.extend(entry_slots(identity, entry))
        return tuple(dict.fromkeys(found))

    def check_words(self, words: Mapping[bytes, int]) -> None:
        """Malformed where a slot of key or anchor holds what the registry's code never writes."""
        identity = self.identity.address
        if self.key is not None:
            KeyWindow.from_word(words[registry.key_slot(identity, self.key.multicodec_bytes)])
        if self.commitment is not None:
            record = AnchorRecord.from_word(words[registry.anchor_slot(identity, self.commitment)])
            from_unix(record.time)


MAX_LIST_ENTRIES: Final = 1 << registry.MAX_LOG2_ENTRIES
_MESSAGE_SIZES: Final = (2, 4, 8)


def has_rule(entry: AnyStatusEntry) -> TypeGuard[StatusEntry]:
    """Whether FORMATS.md section 6 says how an entry of this type, purpose and size is read from slots."""
    if not isinstance(entry, StatusEntry) or entry.type != BITSTRING_ENTRY:
        return False
    sizes = _MESSAGE_SIZES if entry.purpose == "message" else (1,)
    return entry.purpose in registry.MODES and entry.size in sizes


def entry_slots(identity: bytes, entry: StatusEntry) -> tuple[bytes, bytes]:
    """The slots of an entry's list and of the word that holds its value."""
    list_id = registry.list_id(entry.purpose, entry.list_url)
    return (
        registry.list_slot(identity, list_id),
        registry.status_slot(identity, list_id, registry.status_word(entry.index, entry.size)),
    )


@dataclass(frozen=True, slots=True)
class Gap:
    """A state that could not be read. `false` where bundle or endpoint contradict the header they were held to."""

    reason: Reason
    detail: str
    false: bool = False


@dataclass(frozen=True, slots=True)
class Ledger:
    """The chain as far as it could be read for one credential.

    `own` was read by this verifier at its own header, `shown` came with the bundle; each is a `Gap` where it could
    not be had.
    """

    wanted: Wanted
    network: Check
    header: Check
    own: Proven | Gap
    shown: Proven | Gap
    registry: bytes | None = None
    shown_block: int = 0
    """The block whose state the bundle shows, trusted or not; 0 where it shows none."""

    @property
    def states(self) -> tuple[Proven, ...]:
        """The states that are proven, the newest first; of two at one height the verifier's own."""
        proven = [state for state in (self.own, self.shown) if isinstance(state, Proven)]
        return tuple(sorted(proven, key=lambda state: -state.header.number))

    @property
    def state(self) -> Proven | None:
        """The state that decides: the newest. An older one may still speak against the credential."""
        return next(iter(self.states), None)

    @property
    def false(self) -> str | None:
        """Why the bundle is false, where the verifier has no state of its own to judge by."""
        if self.state is None and isinstance(self.shown, Gap) and self.shown.false:
            return self.shown.detail
        return None

    def value(self, slot: bytes) -> int | None:
        """The slot's value at the header that decides, or None where it is not proven."""
        return self.state.slots.get(slot) if self.state else None

    @property
    def key_word(self) -> int | None:
        """The content of the key's slot, None where it is not proven."""
        key = self.wanted.key
        if key is None or self.state is None:
            return None
        return self.value(registry.key_slot(self.wanted.identity.address, key.multicodec_bytes))

    def nothing_written(self) -> bool:
        """Whether the identity is proven never to have written to the registry."""
        return self.state is not None and self.value(registry.heads_slot(self.wanted.identity.address)) == 0


def open_ledger(
    wanted: Wanted,
    bundle: Bundle | None,
    inquiry: Inquiry,
    networks: Networks,
    checkpoints: Mapping[int, Checkpoint],
    now: datetime,
) -> Ledger:
    """Read what can be read: the network's entry, a trusted header, and the wanted slots under it."""
    network = networks.get(wanted.identity.chain_id)
    network_check = _check_network(wanted.identity, networks)
    if network is None:
        gap = Gap(Reason.UNKNOWN_NETWORK, f"{wanted.identity.chain} is in no table of networks")
        return Ledger(wanted, network_check, _check_header(gap, gap), gap, gap)
    header = _bundle_header(bundle)
    checkpoint = checkpoints.get(network.chain_id)
    heights = {header.number} if isinstance(header, Header) else set()
    if checkpoint is not None and checkpoint.headers:
        heights.add(checkpoint.newest_number)
    answer = inquiry.header(HeaderNeed(network.chain_id, tuple(sorted(heights))))
    trust = _Trust(network, checkpoint, answer)
    own: Proven | Gap
    shown: Proven | Gap
    if dissent := trust.dissent():
        own = shown = dissent
    else:
        own = _read_own(wanted, network, answer, inquiry, now)
        if isinstance(own, Gap) and (own.reason is Reason.HEADER_OLD or own.false or _is_lone(answer)):
            # Who lags or proves wrongly vouches for no other block either. Nor does a single one that proves nothing:
            # to keep back the newest state would be enough to hide what was revoked since.
            trust = replace(trust, answer=Missing(own.detail))
        shown = _read_shown(wanted, network, bundle, header, trust)
    others = answer.others if isinstance(answer, HeaderAnswer) else ()
    header_check = _noted(_check_header(own, shown), own, others, network)
    shown_block = header.number if isinstance(header, Header) else 0
    return Ledger(wanted, network_check, header_check, own, shown, network.credential_registry, shown_block)


def _is_lone(answer: HeaderAnswer | Missing) -> bool:
    return isinstance(answer, HeaderAnswer) and answer.strength is Strength.ONE_ENDPOINT


def _check_network(identity: Identity, networks: Networks) -> Check:
    def found(outcome: Outcome, basis: str, reason: Reason | None = None) -> Check:
        return Check(CheckName.NETWORK, outcome, f"{identity.chain}: {basis}", reason)

    network = networks.get(identity.chain_id)
    if network is None:
        return found(Outcome.UNKNOWN, "in no table of networks", Reason.UNKNOWN_NETWORK)
    if identity.chain_id in networks.operator:
        return found(Outcome.PASSED, f"{network.name}, in the operator's own table")
    if network.network_class != "production":
        basis = f"{network.name} is a {network.network_class} network"
        return found(Outcome.FAILED, basis, Reason.TEST_NETWORK)
    return found(Outcome.PASSED, f"{network.name}, a production network")


def _bundle_header(bundle: Bundle | None) -> Header | Gap:
    if bundle is None or bundle.state is None:
        return Gap(Reason.BUNDLE_MISSING, "no bundle with a proof of the chain's state came with it")
    try:
        return parse_header(bundle.state.header)
    except Malformed as error:
        # Nothing vouches for it, and nothing authentic contradicts it: not known, rather than false.
        return Gap(Reason.HEADER_NOT_TRUSTED, f"the bundle's header is not a block header: {error.detail}")


# Reading at the verifier's own header ----------------------------------------------------------------------


def _read_own(
    wanted: Wanted,
    network: Network,
    answer: HeaderAnswer | Missing,
    inquiry: Inquiry,
    now: datetime,
) -> Proven | Gap:
    """The slots and the identity's counter at the newest finalized header that the strongest source names."""
    if isinstance(answer, Missing):
        if answer.disputed:
            return Gap(Reason.SOURCES_DISAGREE, answer.reason)
        reason = Reason.HEADER_NOT_TRUSTED if answer.forbidden else Reason.CHAIN_UNREACHABLE
        return Gap(reason, f"no endpoint told the newest block: {answer.reason}")
    header = answer.newest
    if network.is_old(header.timestamp, now):
        age, limit = int(now.timestamp()) - header.timestamp, network.header_age_limit_seconds
        detail = f"the newest final block by {answer.source} is {age} seconds old (limit {limit})"
        return Gap(Reason.HEADER_OLD, detail)
    identity = wanted.identity.address
    slots = (registry.heads_slot(identity), *wanted.slots())
    need = StateNeed(network.chain_id, header.hash, network.credential_registry, identity, slots)
    faults: dict[str, str] = {}
    while True:
        # Who proved wrongly is not asked again; another one may prove it.
        reply = inquiry.state(replace(need, besides=tuple(faults)))
        if isinstance(reply, Missing) or reply.source in faults:
            break
        try:
            values = _values(wanted, header, reply, network, slots)
        except (Malformed, NotVerified) as error:
            faults[reply.source] = (
                f"{reply.source} gave a wrong proof for block {header.number}: {error.detail}"
            )
        else:
            return Proven(header, answer.source, answer.strength, values, tuple(faults.values()))
    if faults:
        return Gap(Reason.CHAIN_UNREACHABLE, "; ".join(faults.values()), false=True)
    assert isinstance(reply, Missing)  # noqa: S101 - narrows for the type checker
    detail = f"the state of block {header.number} could not be read: {reply.reason}"
    return Gap(Reason.CHAIN_UNREACHABLE, detail)


def _values(
    wanted: Wanted,
    header: Header,
    reply: StateAnswer | ReplicaAnswer,
    network: Network,
    slots: Sequence[bytes],
) -> Mapping[bytes, int]:
    """What the slots hold: by proof, or by a replica of our own that was proven whole at this header."""
    if isinstance(reply, StateAnswer):
        return _slots(wanted, header, reply.nodes, network, slots)
    wanted.check_words(reply.slots)
    return reply.slots


def _slots(
    wanted: Wanted, header: Header, nodes: Sequence[bytes], network: Network, slots: Sequence[bytes]
) -> Mapping[bytes, int]:
    """The slots of the table's registry; the code is compared too, for it alone proves nothing."""
    proven = prove_slots(header, nodes, network.credential_registry, slots)
    proven.require_code(network.code_hash)
    wanted.check_words(proven.values)
    return proven.values


_OF_ENDPOINTS: Final = (Reason.HEADER_OLD, Reason.CHAIN_UNREACHABLE, Reason.SOURCES_DISAGREE)


# Reading what the bundle proves ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Voucher:
    """By whose word a header is trusted."""

    source: str
    strength: Strength


@dataclass(frozen=True, slots=True)
class _Trust:
    """Who may say that a header is part of the chain."""

    network: Network
    checkpoint: Checkpoint | None
    answer: HeaderAnswer | Missing

    def dissent(self) -> Gap | None:
        """Endpoint and checkpoint file name different blocks at one height: then neither is believed."""
        checkpoint = self.checkpoint
        if not isinstance(self.answer, HeaderAnswer) or checkpoint is None:
            return None
        if checkpoint.genesis != self.network.genesis:
            return None
        for number, told in self.answer.hashes.items():
            if checkpoint.hash_at(number) not in (None, told):
                detail = f"{self.answer.source} and the checkpoint file name different blocks {number}"
                return Gap(Reason.SOURCES_DISAGREE, detail)
        return None

    def vouch(self, header: Header) -> _Voucher | Gap:
        """Whoever vouches for the header, or why nobody does."""
        reasons = []
        if isinstance(self.answer, HeaderAnswer):
            final = header.number <= self.answer.newest.number
            known = self.answer.hashes.get(header.number) if final else None
            if known == header.hash:
                return _Voucher(self.answer.source, self.answer.strength)
            says = "names another block" if known is not None else "does not call final the block"
            reasons.append(f"{self.answer.source} {says} {header.number}")
        if self.checkpoint is not None and self.checkpoint.genesis != self.network.genesis:
            reasons.append("the checkpoint file is of another chain with the same number")
        elif self.checkpoint is not None:
            known = self.checkpoint.hash_at(header.number)
            if known == header.hash:
                source = f"checkpoint file, sequence {self.checkpoint.sequence}"
                return _Voucher(source, Strength.CHECKPOINT)
            reasons.append(_why_not_in(self.checkpoint, header, known))
        detail = "; ".join(reasons) or "there is no checkpoint file for this chain and no endpoint answered"
        return Gap(Reason.HEADER_NOT_TRUSTED, detail)


def _why_not_in(checkpoint: Checkpoint, header: Header, known: bytes | None) -> str:
    if known is not None:
        return f"the checkpoint file names another block {header.number}"
    if header.number > checkpoint.newest_number:
        newest = checkpoint.newest_number
        return f"block {header.number} is newer than the checkpoint file, which ends at {newest}"
    return f"block {header.number} is not among the blocks of the checkpoint file"


def _read_shown(
    wanted: Wanted, network: Network, bundle: Bundle | None, header: Header | Gap, trust: _Trust
) -> Proven | Gap:
    """The slots that the bundle proves, at its own header."""
    if isinstance(header, Gap):
        return header
    assert bundle is not None and bundle.state is not None  # noqa: S101, PT018 - narrows for the type checker
    state = bundle.state
    voucher = trust.vouch(header)
    if isinstance(voucher, Gap) and state.hop is not None:
        voucher = _hop(network, state.hop, header, trust)
    if isinstance(voucher, Gap):
        return voucher
    try:
        values = _slots(wanted, header, state.nodes, network, wanted.slots())
    except (Malformed, NotVerified) as error:
        detail = f"the bundle's proof does not match block {header.number}: {error.detail}"
        return Gap(Reason.BUNDLE_FALSE, detail, false=True)
    return Proven(header, voucher.source, voucher.strength, values)


def _hop(network: Network, hop: BundleHop, header: Header, trust: _Trust) -> _Voucher | Gap:
    """The one hop of EIP-2935: a newer trusted header whose history contract names this header's hash."""
    if not network.eip2935:
        return Gap(Reason.HEADER_NOT_TRUSTED, "this network keeps no history of block hashes (EIP-2935)")
    try:
        newer = parse_header(hop.header)
    except Malformed as error:
        detail = f"the header of the bundle's hop is not a block header: {error.detail}"
        return Gap(Reason.HEADER_NOT_TRUSTED, detail)
    voucher = trust.vouch(newer)
    if isinstance(voucher, Gap):
        return voucher
    try:
        named = prove_history(newer, hop.nodes, header.number)
    except (Malformed, NotVerified) as error:
        detail = f"the bundle's hop to a newer block does not hold: {error.detail}"
        return Gap(Reason.BUNDLE_FALSE, detail, false=True)
    if named != header.hash:
        detail = f"block {newer.number} names another block {header.number}"
        return Gap(Reason.HEADER_NOT_TRUSTED, detail)
    return _Voucher(f"{voucher.source}, through block {newer.number}", voucher.strength)


def _check_header(own: Proven | Gap, shown: Proven | Gap) -> Check:
    if isinstance(shown, Proven) and (not isinstance(own, Proven) or own.header.number < shown.header.number):
        return Check(CheckName.HEADER, Outcome.PASSED, f"{shown.at}, vouched for by {shown.source}")
    if isinstance(own, Proven):
        word = " (one endpoint's word)" if own.strength is Strength.ONE_ENDPOINT else ""
        return Check(CheckName.HEADER, Outcome.PASSED, f"{own.at}, final according to {own.source}{word}")
    assert isinstance(shown, Gap)  # noqa: S101 - narrows for the type checker
    if shown.false:
        # The header itself may be trusted: what is false is the proof under it, and `anchor` says so.
        return Check(CheckName.HEADER, Outcome.UNKNOWN, shown.detail, shown.reason)
    gap = own if own.reason in _OF_ENDPOINTS else shown
    return Check(CheckName.HEADER, Outcome.UNKNOWN, gap.detail, gap.reason)


def _noted(check: Check, own: Proven | Gap, others: Sequence[str], network: Network) -> Check:
    """The check with who said something else, nothing, or something wrong; and where no block is ever final."""
    notes = [*others, *(own.faults if isinstance(own, Proven) else ())]
    if check.outcome is Outcome.PASSED:
        if isinstance(own, Gap) and own.reason in (Reason.SOURCES_DISAGREE, Reason.CHAIN_UNREACHABLE):
            notes.append(own.detail)
        if network.finality is Finality.NONE:
            notes.append("this chain has no finality")
    return replace(check, basis="; ".join([check.basis, *notes]))
