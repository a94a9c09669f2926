"""`bonafides audit`: all that an identity ever wrote to the CredentialRegistry, and whether its issuer says the same.

Anybody may ask it, of endpoints of his own. The header is as trusted as those that agree on it. The number of writes
and the words that they left are proven against it, and the events, one endpoint's word, have to fit both
(`core/evm/history.py`). Costs, and the times of writes that are no anchors, are that endpoint's word and no more.

So are the transactions that the writes are of, and by these an issuer's record knows its own where what was written
could be anybody's, as the end of a key. Where something is compared, as many operators have to tell the same writes as
must agree on a header.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from node.core.encoding import encode_hex
from node.core.errors import Malformed, NotVerified, Unavailable
from node.core.evm import registry
from node.core.evm.claim import Claim, Difference, differences
from node.core.evm.events import TOPICS, KeyAdded, RegistryEvent, decode_registry_log, slot_of
from node.core.evm.header import Header
from node.core.evm.history import History, read_history
from node.core.evm.log import hex_data, is_emitted_by, quantity_of
from node.core.evm.network import Network
from node.core.evm.registry import KeyWindow
from node.core.strict_json import Json, JsonObject
from node.core.times import from_unix
from node.outbound.blame import blaming
from node.outbound.chain import ChainClient
from node.outbound.headers import Voices
from node.outbound.logs import read_logs
from node.services.issuer import ChainAccess


@dataclass(frozen=True, slots=True)
class Cost:
    """What a transaction cost, by an endpoint's word: gas, wei for each, and who paid (20 bytes)."""

    gas: int
    gas_price: int
    sender: bytes

    @property
    def wei(self) -> int:
        """Both multiplied."""
        return self.gas * self.gas_price


@dataclass(frozen=True, slots=True)
class Write:
    """One write and when it came. `cost` is its transaction's: None at all but the first write of it, or where the
    endpoint has forgotten.
    """

    event: RegistryEvent
    time: datetime
    cost: Cost | None


@dataclass(frozen=True, slots=True)
class Audit:
    """Every write of an identity up to `header`; none is missing. `differences` is None where nothing was compared.

    `agreed`: several operators told the same writes, each of the same transaction.
    """

    header: Header
    trusted: str
    """By whose word the header is final."""
    told: str
    """Whose word events, costs and times are."""
    agreed: bool
    history: History
    writes: tuple[Write, ...]
    differences: tuple[Difference, ...] | None


async def audit(
    voices: Voices, network: Network, identity: bytes, *, first_block: int = 0, claim: Claim | None = None
) -> Audit:
    """Read, prove and compare. Unavailable where no endpoint gives the whole history, and why, endpoint by endpoint;
    with a claim, where too few give the same one.

    Writes before `first_block` are missing if there are any.
    """
    newest = await voices.newest()
    header = newest.value
    reading = partial(_read, network=network, identity=identity, header=header, first_block=first_block)
    if claim is None:
        (history, times), told = await voices.read(reading)
        agreed = False
    else:
        said = await voices.say("history of writes", reading, lambda found: found[0].events)
        (history, times), told, agreed = said.value, said.source, said.several
    try:
        costs, _ = await voices.read(partial(_costs, history=history))
    except Unavailable:
        costs = {}
    return Audit(
        header,
        newest.source,
        told,
        agreed,
        history,
        _writes(history, times, costs),
        None if claim is None else differences(claim, history),
    )


async def _read(
    client: ChainClient, *, network: Network, identity: bytes, header: Header, first_block: int
) -> tuple[History, dict[int, int]]:
    """The history by one endpoint, proven, and the times of its blocks; Unavailable where it does not hold."""
    chain = ChainAccess(client, network)
    head_slot = registry.heads_slot(identity)
    head = (await chain.slots(header, [head_slot]))[head_slot]
    with blaming(client.host, "a wrong history"):
        events = await _events(client, network, identity, (first_block, header.number), head)
        blocks = sorted({event.block_number for event in events})
        headers = await client.headers(blocks)
        if headers.keys() != set(blocks):
            raise NotVerified("it lacks a block of its own")
        times = {number: one.timestamp for number, one in headers.items()}
        history = read_history(identity, head, events, times)
        history.check_words(await chain.slots(header, list(history.words)))
    return history, times


async def _events(
    client: ChainClient, network: Network, identity: bytes, blocks: tuple[int, int], head: int
) -> list[RegistryEvent]:
    address = network.credential_registry
    topics: list[bytes | Sequence[bytes] | None] = [TOPICS, identity.rjust(32, b"\0")]
    found: list[RegistryEvent] = []
    async for end, logs in read_logs(client, address, topics, *blocks):
        found += [event for log in logs if (event := _event(log, address, end)) is not None]
        if len(found) > head:
            raise NotVerified(f"more writes than the {head} that there are")
    return found


def _event(log: JsonObject, address: bytes, last: int) -> RegistryEvent | None:
    if not is_emitted_by(log, address):
        raise NotVerified("a log that it was not asked for")
    event = decode_registry_log(log)
    if event is not None and event.block_number > last:
        raise NotVerified("a log of a block that it was not asked for")
    return event


async def _costs(client: ChainClient, *, history: History) -> dict[bytes, Cost]:
    hashes = list(dict.fromkeys(event.transaction_hash for event in history.events))
    receipts = await client.batch([("eth_getTransactionReceipt", [encode_hex(one)]) for one in hashes])
    costs = {one: _cost(receipt) for one, receipt in zip(hashes, receipts, strict=True)}
    return {one: cost for one, cost in costs.items() if cost is not None}


def _cost(receipt: Json) -> Cost | None:
    """What a receipt says, None where it says it in no form that is known."""
    if not isinstance(receipt, dict):
        return None
    try:
        gas, price = (quantity_of(receipt, name) for name in ("gasUsed", "effectiveGasPrice"))
        return Cost(gas, price, hex_data(receipt.get("from"), 20))
    except Malformed:
        return None


def _writes(history: History, times: dict[int, int], costs: dict[bytes, Cost]) -> tuple[Write, ...]:
    told: set[bytes] = set()
    writes = []
    for event in history.events:
        is_first = event.transaction_hash not in told
        told.add(event.transaction_hash)
        cost = costs.get(event.transaction_hash) if is_first else None
        writes.append(Write(event, from_unix(times[event.block_number]), cost))
    return tuple(writes)


def total(writes: Sequence[Write]) -> tuple[int, int]:
    """Gas and wei of all writes together, as far as it is known."""
    costs = [write.cost for write in writes if write.cost is not None]
    return sum(cost.gas for cost in costs), sum(cost.wei for cost in costs)


def key_windows(history: History) -> list[tuple[KeyAdded, KeyWindow]]:
    """Each key that was ever added, and what became of it."""
    added = [event for event in history.events if isinstance(event, KeyAdded)]
    return [(event, KeyWindow.from_word(history.latest(slot_of(event)))) for event in added]


def closed_block(history: History) -> int:
    """The block in which the identity was closed, 0 while it is open."""
    return history.latest(registry.closed_slot(history.identity))
