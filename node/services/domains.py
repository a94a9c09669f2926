"""The domains of issuers: whether a site, and the DNS, say that it is the DID's, as the DID says that it is its own.

Asked while a chain is followed, for the issuers on the verifier's trust list alone, and never because somebody showed a
credential: whoever runs the site would learn of it otherwise. So an issuer whose document was merely asked for is not
looked up either. Findings are kept with their time and told beside the issuer (`core/verify/domains.py`).

An issuer's document is the one that the replica followed; of a did:web, the name says the domain already. What is asked
is the DID configuration of each origin under `LinkedDomains`, through the guard as for URLs in documents, and the TXT
records at `_did.` before its host, one of which is the DID, or `did=` and the DID. Few have such records, so that none
is no finding where none was before.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

from node.core.did.document import DidDocument
from node.core.did.ethr_identity import parse_did_ethr
from node.core.did.resolution import same_issuer
from node.core.did.syntax import is_did_ethr
from node.core.errors import BonafidesError, Malformed, NotFound, NotVerified, Unavailable
from node.core.jose.domain_linkage import (
    CONFIGURATION_PATH,
    host_of,
    linked_origins,
    read_did_configuration,
)
from node.core.strict_json import JsonObject
from node.core.verify.domains import DomainLink, How, LinkOutcome, told_of
from node.core.verify.materials import DocumentAnswer, DocumentNeed, Missing, Mode
from node.core.verify.trust import TrustList
from node.outbound.fetch import DID_CONFIGURATION, fetch_json
from node.outbound.http import Egress, EgressLimits
from node.outbound.names import TextLookup, text_records
from node.storage.protocols.store import Store

CHECKED_EVERY: Final = timedelta(days=1)
# What could not be asked is asked again sooner: most such faults pass.
_TRIED_EVERY: Final = timedelta(hours=1)
_KEPT: Final = timedelta(days=30)
DOMAIN_SECONDS: Final = 60.0
_SIDE_BY_SIDE: Final = 8
_LIMITS: Final = EgressLimits(requests=1, total_bytes=DID_CONFIGURATION.max_bytes, total_seconds=10.0)
_MAX_FAULT: Final = 200
_SAID: Final = "did="

log = logging.getLogger("bonafides.domains")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a site or the DNS says; `fault` unless it is yes, `is_absent` where it says nothing at all."""

    outcome: LinkOutcome
    fault: str | None = None
    is_absent: bool = False


_YES: Final = Answer(LinkOutcome.LINKED)


async def ask_site(document: DidDocument, origin: str, egress: Egress, now: datetime) -> Answer:
    """Whether the DID configuration of `origin` links it with the DID of `document`."""
    url = f"{origin}{CONFIGURATION_PATH}"
    try:
        linked = read_did_configuration((await fetch_json(egress, url, purpose=DID_CONFIGURATION)).document)
    except (NotFound, Malformed) as error:
        absent = isinstance(error, NotFound)
        return Answer(LinkOutcome.NOT_LINKED, _plain(error.detail), absent)
    except BonafidesError as error:
        return Answer(LinkOutcome.UNKNOWN, _plain(error.detail))
    faults = []
    for linkage in linked:
        try:
            linkage.verify(document, origin, now)
        except (NotVerified, Malformed) as error:
            faults.append(error.detail)
        else:
            return _YES
    return Answer(LinkOutcome.NOT_LINKED, _plain("; ".join(faults[:3]) or "it holds no token"))


def record_name(origin: str) -> str | None:
    """Where in the DNS the origin's host may name DIDs; None for an address, or a host without a domain."""
    host = host_of(origin)
    return None if "." not in host or _is_address(host) else f"_did.{host}"


async def ask_dns(did: str, origin: str, texts: TextLookup) -> Answer | None:
    """Whether a TXT record of the host names the DID; None where there is no such record at all, or can be none."""
    if (name := record_name(origin)) is None:
        return None
    try:
        records = await texts(name)
    except Unavailable as error:
        return Answer(LinkOutcome.UNKNOWN, _plain(error.detail))
    named = [text.removeprefix(_SAID).strip() for text in records]
    named = [text for text in named if text.startswith("did:")]
    if any(same_issuer(did, text) for text in named):
        return _YES
    return Answer(LinkOutcome.NOT_LINKED, _plain(f"it names {named[0]}")) if named else None


async def look(
    document: DidDocument,
    egress: Egress,
    now: datetime,
    *,
    texts: TextLookup = text_records,
    origins: Collection[str] | None = None,
) -> list[DomainLink]:
    """What is found now of the origins that a document names, or of some of them."""
    found = []
    for origin in linked_origins(document):
        if origins is None or origin in origins:
            async with egress.for_report(mode=Mode.FULL, limits=_LIMITS) as own:
                site = await ask_site(document, origin, own, now)
            found.append(_link(document.id, origin, How.SITE, site, now))
            dns = await ask_dns(document.id, origin, texts)
            if dns is not None:
                found.append(_link(document.id, origin, How.DNS, dns, now))
    return found


class KnownDomains:
    """What was found, as reports tell it."""

    def __init__(self, store: Store, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._clock = clock

    async def told(self, dids: Collection[str]) -> dict[str, list[JsonObject]]:
        """What is told of each issuer of which anything is known; nothing where that cannot be read."""
        names = {did: canonical(did) for did in dids}
        try:
            async with self._store.reading() as tx:
                links = await tx.domain_links.of(set(names.values()))
        except BonafidesError as error:
            log.warning("issuers' domains could not be told: %s", error.detail)
            return {}
        now = self._clock()
        told = {
            did: [told_of(link, now) for link in links if link.did == name] for did, name in names.items()
        }
        return {did: found for did, found in told.items() if found}


class Documents(Protocol):
    """Has DID documents without asking anybody, as a replica does."""

    async def document(self, need: DocumentNeed) -> DocumentAnswer | Missing | None:
        """The document, if it is followed; else it is from now on."""
        ...


class DomainWatch:
    """Asks the sites of the issuers on a trust list, daily. `egress` belongs to the caller."""

    def __init__(
        self,
        store: Store,
        documents: Documents,
        trust: TrustList,
        egress: Egress,
        *,
        texts: TextLookup = text_records,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store = store
        self._documents = documents
        self._egress = egress
        self._texts = texts
        self._clock = clock
        # One entry of several spans of time is one issuer.
        issuers = {canonical(entry.did): entry.did for entry in trust.entries}
        self._issuers = {name: did for name, did in issuers.items() if is_did_ethr(did)}

    async def run(self, seconds: float = DOMAIN_SECONDS) -> None:
        """Step until cancelled."""
        while True:
            try:
                await self.step()
            except Exception:
                # What is known stays known, and ages.
                log.exception("issuers' domains could not be looked up")
            await asyncio.sleep(seconds)

    async def step(self) -> int:
        """Ask what is due; how many findings were renewed. An issuer whose document is not followed yet waits."""
        async with self._store.reading() as tx:
            links = await tx.domain_links.of(self._issuers)
        known: dict[str, list[DomainLink]] = {}
        for link in links:
            known.setdefault(link.did, []).append(link)
        turns = asyncio.Semaphore(_SIDE_BY_SIDE)

        async def renew(name: str, did: str) -> int:
            async with turns:
                return await self._renew(name, did, known.get(name, []))

        counts = await asyncio.gather(*(renew(name, did) for name, did in self._issuers.items()))
        async with self._store.transaction() as tx:
            await tx.domain_links.forget(self._clock() - _KEPT)
        return sum(counts)

    async def _renew(self, name: str, did: str, known: Sequence[DomainLink]) -> int:
        answer = await self._documents.document(DocumentNeed(did))
        if not isinstance(answer, DocumentAnswer):
            return 0
        now = self._clock()
        named = linked_origins(answer.document)
        due = [origin for origin in named if _is_due([one for one in known if one.origin == origin], now)]
        found = []
        if due:
            found = await look(answer.document, self._egress, now, texts=self._texts, origins=due)
        renewed = _merged(name, found, known, due, now) + _withdrawn(known, named, now)
        if renewed:
            async with self._store.transaction() as tx:
                for link in renewed:
                    await tx.domain_links.save(link)
        return len(renewed)


def canonical(did: str) -> str:
    """One text for each way of writing a did:ethr; of other DIDs themselves."""
    if not is_did_ethr(did):
        return did
    try:
        return parse_did_ethr(did).canonical
    except BonafidesError:
        return did


def _is_due(links: Sequence[DomainLink], now: datetime) -> bool:
    """Whether an origin is new, or what is known of it has aged. A clock that was set back renews too."""

    def has_aged(link: DomainLink) -> bool:
        every = _TRIED_EVERY if link.outcome is LinkOutcome.UNKNOWN else CHECKED_EVERY
        return link.outcome is LinkOutcome.WITHDRAWN or not timedelta(0) <= now - link.checked < every

    return not links or any(map(has_aged, links))


def _merged(
    name: str, found: Sequence[DomainLink], known: Sequence[DomainLink], due: Collection[str], now: datetime
) -> list[DomainLink]:
    """New findings with what the old ones confirmed; a record that has gone from the DNS is told as gone.

    A DNS that gave no answer is no finding where there was none before: most domains have no such record.
    """
    before: Mapping[tuple[str, How], DomainLink] = {(one.origin, one.how): one for one in known}
    merged = []
    for link in found:
        old = before.get((link.origin, link.how))
        if old is None and (link.how, link.outcome) == (How.DNS, LinkOutcome.UNKNOWN):
            continue
        confirmed = link.confirmed or (old.confirmed if old is not None else None)
        merged.append(replace(link, did=name, confirmed=confirmed))
    told = {(one.origin, one.how) for one in found}
    return merged + [
        replace(one, outcome=LinkOutcome.NOT_LINKED, checked=now, fault="there is no record any more")
        for key, one in before.items()
        if one.origin in due and key not in told
    ]


def _withdrawn(known: Sequence[DomainLink], named: Collection[str], now: datetime) -> list[DomainLink]:
    """Findings of origins that the DID named once: told as that for as long as findings are kept."""
    return [
        replace(one, outcome=LinkOutcome.WITHDRAWN, checked=now, fault=None)
        for one in known
        if one.origin not in named and one.outcome is not LinkOutcome.WITHDRAWN
    ]


def _link(did: str, origin: str, how: How, answer: Answer, now: datetime) -> DomainLink:
    confirmed = now if answer.outcome is LinkOutcome.LINKED else None
    return DomainLink(did, origin, how, answer.outcome, now, confirmed, answer.fault)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _plain(text: str) -> str:
    """Words of servers are shortened, and steer no terminal."""
    return "".join(char if char.isprintable() else " " for char in text)[:_MAX_FAULT]
