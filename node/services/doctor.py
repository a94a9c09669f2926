"""`issuer doctor`: whether all that issuing rests on is as it should be, and what to do where it is not.

Reads only: database, chain, and what the issuer's own URL serves, asked as a stranger would. What cannot be asked now
is unknown and never good. Each examination stands for itself: one that fails leaves the others as they are.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Final

from node.core.did.document import ASSERTION_METHOD, DidDocument
from node.core.encoding import encode_hex
from node.core.errors import BonafidesError, NotVerified, Unavailable
from node.core.evm import registry
from node.core.evm.header import Header
from node.core.evm.network import NetworkClass
from node.core.evm.registry import WriterRecord
from node.core.jose.domain_linkage import (
    CONFIGURATION_PATH,
    host_of,
    linked_origins,
    origin_of,
)
from node.core.keys import parse_multikey
from node.core.strict_json import parse_json_object
from node.core.times import format_datetime_stamp, from_unix
from node.core.verify.domains import LinkOutcome
from node.outbound.chain import ChainClient
from node.outbound.fetch import STATUS_LIST, fetch_json
from node.outbound.http import Egress
from node.outbound.names import text_records
from node.services import costs, registration
from node.services.closing import NOBODY
from node.services.domains import Answer, ask_dns, ask_site
from node.services.issuer import ChainAccess, Issuer, address_of, purposes_of
from node.services.linking import own_document
from node.services.writers import (
    ends_soon,
    former_writers,
    has_ended,
    writer_record,
    writers_in_use,
)
from node.storage.protocols.issuer import IssuerKey, KeyRole, KeyState
from node.storage.protocols.outbox import TransactionState
from node.storage.protocols.status_lists import StatusList

# FORMATS.md section 9, "freshness": what is further ahead of the clock is not known to be fresh.
_AHEAD: Final = timedelta(seconds=60)
# A chain that makes blocks is not further behind, whatever its network allows.
_BEHIND: Final = timedelta(minutes=10)
# Final blocks that an endpoint may lag behind another: two epochs of mainnet.
_LAG: Final = 64
_FOR_GOOD: Final = "none: that is for good"
_ENDED: Final = (KeyState.COMPROMISING, KeyState.COMPROMISED)


class Level(StrEnum):
    """How a finding is to be taken."""

    GOOD = "good"
    WARNING = "warning"
    FAULT = "fault"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found of a subject; `remedy` is there unless all is good."""

    subject: str
    level: Level
    detail: str
    remedy: str | None = None


_Word = tuple[Level, str, str | None]
"""A finding whose subject is told by who asked."""
_Words = AsyncIterator[_Word]


def _good(detail: str) -> _Word:
    return Level.GOOD, detail, None


def _warning(detail: str, remedy: str) -> _Word:
    return Level.WARNING, detail, remedy


def _fault(detail: str, remedy: str) -> _Word:
    return Level.FAULT, detail, remedy


async def examine(issuer: Issuer, egress: Egress) -> list[Finding]:
    """All findings, in the order in which things rest on each other. `egress` may fetch from the issuer's own URL."""
    examinations: list[tuple[str, Callable[[], _Words]]] = []
    if issuer.on_chain and issuer.chain is None:
        return [Finding("endpoint", Level.FAULT, "none is known", "give the chain's endpoint with --rpc URL")]
    if issuer.chain is not None:
        chain = _Chain(issuer, issuer.chain)
        examinations += [
            ("endpoint", chain.endpoints),
            ("clock", chain.clock),
            ("contracts", chain.contracts),
            ("identity", chain.identity),
            ("keys", chain.keys),
            ("writer", chain.writers),
            ("balance", chain.balance),
            ("transactions", lambda: _transactions(issuer)),
        ]
    if issuer.second is not None:
        second = _Chain(issuer, issuer.second.chain)
        examinations += [("second chain", second.endpoints), ("second chain", second.contracts)]
    served = _Served(issuer, egress)
    examinations += [
        ("DID document", served.document),
        ("status lists", served.lists),
        ("domain", served.domain),
    ]
    found = []
    for subject, examination in examinations:
        found += await _all(subject, examination())
    return found


async def _all(subject: str, words: _Words) -> list[Finding]:
    found = []
    try:
        async for word in words:
            found.append(Finding(subject, *word))  # noqa: PERF401 - what was found before an error is kept
    except BonafidesError as error:
        remedy = "mend that first: the rest of it was not looked at"
        found.append(Finding(subject, Level.UNKNOWN, error.detail, remedy))
    return found


@dataclass(frozen=True, slots=True)
class _Chain:
    """What the chain shows."""

    issuer: Issuer
    access: ChainAccess

    async def endpoints(self) -> _Words:
        """Chain and genesis of each, and whether they name the same final blocks."""
        network = self.access.network
        final: list[tuple[ChainClient, Header]] = []
        for client in self.access.clients:
            try:
                finding, header = await self._endpoint(client)
            except Unavailable as error:
                remedy = "see that it runs and can be reached, or use another"
                yield _fault(error.detail, remedy)
                continue
            yield finding
            if header is not None:
                final.append((client, header))
        if len(final) > 1:
            async for finding in self._compared(final):
                yield finding
        operators = {endpoint.operator for endpoint in self.access.endpoints.every}
        if len(operators) < 2 and network.network_class is not NetworkClass.DEVELOPMENT:
            detail = "one operator's word: nothing shows that it is the chain that others see"
            yield _warning(detail, "name endpoints of other operators with more --rpc")

    async def _endpoint(self, client: ChainClient) -> tuple[_Word, Header | None]:
        network = self.access.network
        if await client.chain_id() != network.chain_id or await client.genesis_hash() != network.genesis:
            detail = f"{client.host} is an endpoint of another chain than {network.chain}"
            return _fault(detail, "name one of this chain with --rpc"), None
        header = await client.finalized()
        detail = f"{client.host} is of {network.chain}; block {header.number} is final"
        return _good(detail), header

    async def _compared(self, final: Sequence[tuple[ChainClient, Header]]) -> _Words:
        height = min(header.number for _, header in final)
        hosts = " and ".join(client.host for client, _ in final)
        if len({(await client.header(height)).hash for client, _ in final}) > 1:
            detail = f"{hosts} name different blocks {height}"
            yield _fault(detail, "find out which one lies, and sign nothing until then")
            return
        yield _good(f"{hosts} name the same block {height}")
        newest = max(header.number for _, header in final)
        for client, header in final:
            if newest - header.number > _LAG:
                detail = f"{client.host} is {newest - header.number} final blocks behind"
                yield _warning(detail, "use one that keeps up")

    async def clock(self) -> _Words:
        """This machine's clock beside the newest block's."""
        newest = from_unix((await self.access.client.header("latest")).timestamp)
        now = self.issuer.clock()
        if newest - now > _AHEAD:
            detail = f"the newest block is of {format_datetime_stamp(newest)}, after this machine's time"
            yield _fault(detail, "set the clock: this machine is behind (NTP)")
        elif now - newest > _BEHIND:
            detail = (
                f"the newest block is of {format_datetime_stamp(newest)}, long before this machine's time"
            )
            yield _warning(detail, "if this machine is ahead, set its clock (NTP); else the endpoint lags")
        else:
            yield _good(f"{format_datetime_stamp(now)}, as the chain's")

    async def contracts(self) -> _Words:
        """The code at both addresses of the table, proven."""
        network = self.access.network
        finalized = await self.access.finalized()
        for name, address, expected in (
            ("CredentialRegistry", network.credential_registry, network.code_hash),
            ("DID registry", network.did_registry, network.did_registry_code_hash),
        ):
            if expected is None:
                continue
            if await self.access.code_hash(finalized, address) == expected:
                yield _good(f"the {name} has the code of the table, proven")
            else:
                detail = f"another code than that of our {name} stands at {encode_hex(address)}, or none"
                yield _fault(detail, "see whether --rpc and --networks are of one chain")

    async def identity(self) -> _Words:
        """Who owns it, and whether it is open."""
        finalized = await self.access.finalized()
        closed = await self.access.slot(finalized, registry.closed_slot(self.issuer.identity))
        if closed:
            yield _warning(f"closed in block {closed}: nothing can be issued", _FOR_GOOD)
        owner = await registration.owner_at(self.issuer, finalized)
        async with self.issuer.store.reading() as reading:
            ours = address_of(await registration.owner_of(reading))
        if owner == ours:
            yield _good(f"owned by the owner's key {encode_hex(ours)}")
        elif owner == NOBODY:
            yield _warning("abandoned: its owner is nobody", _FOR_GOOD)
        else:
            detail = f"owned by {encode_hex(owner)}, which is not the owner's key here"
            remedy = "unless you moved it, the owner's key was stolen: tell those who trust this issuer"
            yield _fault(detail, remedy)

    async def keys(self) -> _Words:
        """Each assertion key's window beside what the database takes it for."""
        finalized = await self.access.finalized()
        async with self.issuer.store.reading() as reading:
            keys = await reading.keys.all(KeyRole.ASSERTION)
        for key in keys:
            yield await self._key(key, finalized)
        is_closed = await self.access.slot(finalized, registry.closed_slot(self.issuer.identity))
        if not is_closed and not any(key.state is KeyState.ACTIVE for key in keys):
            yield _fault("none is active: nothing can be signed", "`issuer key add` makes one")

    async def _key(self, key: IssuerKey, finalized: Header) -> _Word:
        window = await registration.key_window(self.issuer, key, finalized)
        name = f"{key.multibase} ({key.state})"
        if key.state in (KeyState.PREPARED, KeyState.ADDING):
            return _warning(f"{name} is not final on the chain", "run `issuer anchor`")
        if not window.valid_from:
            return _fault(f"{name} is not on the chain", "is this the right chain and --networks?")
        if window.compromised_since and key.state not in _ENDED:
            detail = f"{name} is compromised since block {window.compromised_since}, which the database does not know"
            return _fault(
                detail, "run `issuer anchor`, which takes it out of use; `issuer key add` makes another"
            )
        if window.until and key.state is KeyState.ACTIVE:
            detail = f"{name} ended in block {window.until}, and this database signs with it"
            return _fault(
                detail, "run `issuer anchor`, which takes it out of use; `issuer key add` makes another"
            )
        if window.purposes != purposes_of(parse_multikey(key.multibase)):
            return _fault(f"{name} is registered for other purposes", "`issuer key rotate` replaces it")
        until = f"until block {window.until}" if window.until else "open"
        lost = f", compromised since block {window.compromised_since}" if window.compromised_since else ""
        return _good(f"{name}: from block {window.valid_from}, {until}{lost}")

    async def writers(self) -> _Words:
        """What the writer may do and until when, and that former ones may nothing."""
        finalized = await self.access.finalized()
        async with self.issuer.store.reading() as reading:
            used, former = await writers_in_use(reading), await former_writers(reading)
        for key in used:
            yield self._writer(key, await writer_record(self.issuer, key, finalized))
            if self.issuer.keyring.is_missing(key.uri):
                detail = f"the key of {encode_hex(address_of(key))} is not here: there is no {key.uri}"
                yield _warning(detail, "if `issuer serve` has it not either, `issuer key replace-writer`")
        for key in former:
            name = f"{encode_hex(address_of(key))}, which was replaced,"
            if key.state is KeyState.RETIRING:
                yield _warning(f"{name} is not out finally", "run `issuer anchor`, where the owner's key is")
            elif not await has_ended(self.issuer, key, finalized):
                remedy = "`issuer key replace-writer --again` takes them from it once more"
                yield _fault(f"{name} has roles again", remedy)

    def _writer(self, key: IssuerKey, record: WriterRecord) -> _Word:
        name, until = encode_hex(address_of(key)), from_unix(record.until)
        if key.state is not KeyState.ACTIVE:
            return _warning(
                f"{name} is not final on the chain", "run `issuer anchor`, where the owner's key is"
            )
        if registration.WRITER_ROLES & ~record.roles:
            remedy = (
                "if its key may be in other hands, or it was replaced after this database was backed up,"
                " `issuer key replace-writer`; else `issuer init` as before names it again"
            )
            return _fault(f"the roles of {name}, to anchor, revoke and suspend, were taken away", remedy)
        told = f"{name} may write until {format_datetime_stamp(until)}"
        if until <= self.issuer.clock():
            return _fault(f"{told}, which is over", "`issuer init` as before renews it, by the owner's key")
        if ends_soon(self.issuer, record):
            return _warning(told, "`issuer init` as before renews it, by the owner's key")
        return _good(told)

    async def balance(self) -> _Words:
        """Who can pay."""
        short = await costs.warnings(self.issuer)
        for warning in short:
            yield _warning(warning.partition(": ")[0], "send it ether")
        if not short:
            yield _good("owner and writer can pay for what is ahead")


async def _transactions(issuer: Issuer) -> _Words:
    async with issuer.store.reading() as reading:
        parked = await reading.outbox.in_state(TransactionState.PARKED)
    for entry in parked:
        detail = f"{entry.purpose} (transaction {entry.id}) is set aside: {entry.fault}"
        yield _fault(detail, "mend its reason, then `issuer anchor --retry`")
    if not parked:
        yield _good("none is set aside")


@dataclass(frozen=True, slots=True)
class _Served:
    """What strangers see."""

    issuer: Issuer
    egress: Egress

    async def document(self) -> _Words:
        """Whether the DID document lists the keys that sign, and none that was lost."""
        document = await own_document(self.issuer)
        async with self.issuer.store.reading() as reading:
            keys = await reading.keys.all(KeyRole.ASSERTION)
        for key in keys:
            if key.verification_method is not None:
                yield self._listed(key, key.verification_method, document)

    def _listed(self, key: IssuerKey, method: str, document: DidDocument) -> _Word:
        name = f"#{method.rpartition('#')[2]}"
        try:
            is_listed = document.method(method, ASSERTION_METHOD).public_key == parse_multikey(key.multibase)
        except NotVerified:
            is_listed = False
        if key.state in _ENDED and is_listed:
            remedy = "see `issuer status` for a call that is set aside"
            return _fault(f"{name} was lost, and is listed still", remedy)
        if key.state is KeyState.ACTIVE and not is_listed:
            detail = f"{name}, which signs, is not listed: strangers cannot verify what it signs"
            return _fault(detail, "`issuer key rotate` lists another one")
        return _good(f"{name} is {'' if is_listed else 'not '}listed, as it should be")

    async def lists(self) -> _Words:
        """Whether each open list is served at its URL, as it was signed last."""
        async with self.issuer.store.reading() as reading:
            lists = [one for one in await reading.status_lists.all() if one.is_open]
        for one in lists:
            yield await self._list(one)

    async def _list(self, one: StatusList) -> _Word:
        name = f"{one.purpose} list {one.url}"
        serve = "`issuer serve` has to be reachable there"
        try:
            served = (await fetch_json(self.egress, one.url, purpose=STATUS_LIST)).document
        except BonafidesError as error:
            return _fault(f"{name} cannot be fetched: {error.detail}", serve)
        async with self.issuer.store.reading() as reading:
            signed = await reading.status_lists.load_credential(one.list_id)
        if signed is None or served != parse_json_object(signed.document):
            detail = f"{name} is not what was signed last"
            return _warning(detail, f"an hour's cache is no fault; else {serve}")
        if signed.valid_until <= self.issuer.clock():
            return _fault(f"{name} is over", "keep `issuer serve` running: it signs anew")
        return _good(f"{name} is served")

    async def domain(self) -> _Words:
        """Whether the origin of the issuer's URL, and each that the DID document names, say that the DID is theirs."""
        document = await own_document(self.issuer)
        origins = dict.fromkeys((origin_of(self.issuer.settings.url), *linked_origins(document)))
        for origin in origins:
            answer = await ask_site(document, origin, self.egress, self.issuer.clock())
            yield _site(origin, answer, document)
            if answer.outcome is LinkOutcome.UNKNOWN:
                continue
            if (dns := await ask_dns(document.id, origin, text_records)) is not None:
                yield _dns(origin, dns)


def _site(origin: str, answer: Answer, document: DidDocument) -> _Word:
    if answer.outcome is LinkOutcome.LINKED:
        if origin in linked_origins(document):
            return _good(f"{origin} and the DID document say that they belong together")
        return _good(
            f"{origin} says that the DID is its own, signed by it; `issuer link` has the DID document name it too"
        )
    url = f"{origin}{CONFIGURATION_PATH}"
    remedy = (
        f"`issuer serve` at {origin}/ serves it; else `issuer export --did-configuration FILE`, for {url}"
    )
    if answer.outcome is LinkOutcome.UNKNOWN or answer.is_absent:
        return _warning(f"{url}: {answer.fault}", remedy)
    return _fault(f"{url} does not link the DID: {answer.fault}", remedy)


def _dns(origin: str, answer: Answer) -> _Word:
    host = host_of(origin)
    if answer.outcome is LinkOutcome.LINKED:
        return _good(f"the DNS says at _did.{host} that the DID is its own")
    return _warning(f"the DNS at _did.{host}: {answer.fault}", "mend the TXT record, or take it away")
