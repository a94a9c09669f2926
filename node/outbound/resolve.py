"""Resolving DIDs that need a look outside: did:web and did:webvh by their URL, did:ethr by its registry's events.

DID Resolution 1.0 section 4.4; Controlled Identifiers 1.0 (CID) section 3.3, where an https address is the identifier.
What the answers mean is `node/core/did`; here is only the order of asking. An endpoint's events are not proven: who
needs more than one endpoint's word compares the histories of several.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType
from typing import Final

from node.core import problem
from node.core.did.document import DidDocument, parse_controlled_document, parse_did_document
from node.core.did.ethr import (
    EthrDid,
    EthrEvent,
    decode_log,
    document_from_events,
    parse_did_ethr,
    previous_change,
)
from node.core.did.resolution import ResolutionResult, parse_did, resolve_self_certifying
from node.core.did.web import did_web_url
from node.core.did.webvh import did_webvh_urls, needs_witness_file, read_log
from node.core.errors import Malformed, NotFound, NotVerified, Unavailable
from node.core.evm.keccak import keccak256
from node.core.evm.log import is_emitted_by
from node.core.strict_json import JsonObject
from node.core.times import from_unix
from node.outbound.chain import BlockId, ChainClient
from node.outbound.fetch import (
    CONTROLLED_DOCUMENT,
    DID_DOCUMENT,
    DID_LOG,
    DID_WITNESSES,
    fetch_bytes,
    fetch_json,
)
from node.outbound.http import Egress

# One request each. A school that changes its DID weekly is at the limit after ten years.
MAX_CHANGED_BLOCKS: Final = 512
MAX_EVENTS: Final = 2048
_CHANGED: Final = keccak256(b"changed(address)")[:4]


@dataclass(frozen=True, slots=True)
class RegistryEndpoint:
    """An ERC-1056 registry (20-byte address) as one endpoint tells of it."""

    chain: ChainClient
    registry: bytes


@dataclass(frozen=True, slots=True)
class EthrHistory:
    """All events of an identity up to a block, oldest first, by the word of one endpoint."""

    identity: bytes
    events: tuple[EthrEvent, ...]
    source: str


async def resolve_did(
    did: str,
    *,
    now: datetime,
    egress: Egress | None = None,
    registries: Mapping[int, RegistryEndpoint] = MappingProxyType({}),
    at_block: int | None = None,
) -> ResolutionResult:
    """Resolve any DID of the six methods.

    `registries` are by chain id. `at_block` is `versionId` of did:ethr and means nothing to other methods;
    `now` is when its entries must be valid otherwise. Malformed where DID or document is; NotFound where a did:web
    has no document; EgressDenied, or Unavailable, where it could not be asked for.
    """
    method, _ = parse_did(did)
    own = resolve_self_certifying(did)
    if own is not None:
        return ResolutionResult(own)
    if method == "web" and egress is not None:
        return await resolve_did_web(did, egress)
    if method == "webvh" and egress is not None:
        return await resolve_did_webvh(did, egress, now=now)
    if method == "ethr":
        name = parse_did_ethr(did)
        if name.chain_id in registries:
            return await resolve_did_ethr(name, registries[name.chain_id], now=now, at_block=at_block)
        raise Unavailable(
            f"no endpoint is configured for the chain eip155:{name.chain_id}",
            asked=did,
            type=problem.METHOD_NOT_SUPPORTED,
        )
    raise Unavailable(f"did:{method} is not resolved here", asked=did, type=problem.METHOD_NOT_SUPPORTED)


async def resolve_did_web(did: str, egress: Egress) -> ResolutionResult:
    """Fetch the document of a did:web; only mode `full` does."""
    url = did_web_url(did, allow_loopback=egress.policy.allow_loopback)
    with _no_document():
        fetched = await fetch_json(egress, url, purpose=DID_DOCUMENT)
    document = parse_did_document(fetched.document, did, require_absolute_urls=True)
    return ResolutionResult(document, content_type=fetched.content_type)


async def fetch_controlled_document(address: str, egress: Egress) -> DidDocument:
    """Fetch the controlled identifier document at an https address (CID section 3.3); only mode `full` does.

    Malformed where something else is there; errors of fetching as of `fetch_json`.
    """
    fetched = await fetch_json(egress, address, purpose=CONTROLLED_DOCUMENT)
    return parse_controlled_document(fetched.document, address)


@contextmanager
def _no_document() -> Iterator[None]:
    try:
        yield
    except NotFound as error:
        # A did:web is deactivated by taking its document away; the two cannot be told apart.
        raise NotFound("the DID has no document", type=problem.DID_NOT_FOUND) from error


async def fetch_did_bytes(did: str, egress: Egress) -> bytes:
    """What stands at the place that a did:web or did:webvh names, its document or its log, neither read nor verified.

    Malformed for a DID of another method; errors of fetching as of `resolve_did_web`.
    """
    loopback = egress.policy.allow_loopback
    if did.startswith("did:webvh:"):
        url, purpose = did_webvh_urls(did, allow_loopback=loopback)[0], DID_LOG
    else:
        url, purpose = did_web_url(did, allow_loopback=loopback), DID_DOCUMENT
    with _no_document():
        return (await fetch_bytes(egress, url, purpose=purpose)).body


async def resolve_did_webvh(did: str, egress: Egress, *, now: datetime) -> ResolutionResult:
    """Fetch and verify the log of a did:webvh; only mode `full` does. NotVerified where the log does not hold."""
    log = await fetch_did_bytes(did, egress)
    witness_file = None
    if needs_witness_file(log):
        _, witness_url = did_webvh_urls(did, allow_loopback=egress.policy.allow_loopback)
        witness_file = (await fetch_bytes(egress, witness_url, purpose=DID_WITNESSES)).body
    history = read_log(did, log, witness_file, now=now)
    latest = history.latest
    if latest.did != did:
        raise NotVerified(f"the DID has moved to {latest.did[:200]}", type=problem.INVALID_DID)
    # A deactivated DID has no document any more (section "Deactivate"): nothing is left that could sign.
    document = parse_did_document({"id": did}, did) if history.deactivated else latest.document()
    return ResolutionResult(
        document,
        deactivated=history.deactivated,
        version_id=latest.version_id,
        updated=latest.time,
        history=tuple(version.version_id for version in history.versions),
    )


async def resolve_did_ethr(
    did: EthrDid,
    endpoint: RegistryEndpoint,
    *,
    now: datetime,
    at_block: int | None = None,
    block: BlockId = "latest",
) -> ResolutionResult:
    """The document of a did:ethr by the word of one endpoint, as of `block`: the newest, or that of
    `versionId=at_block`.
    """
    if await endpoint.chain.chain_id() != did.chain_id:
        raise Unavailable(
            f"{endpoint.chain.host} speaks for another chain than eip155:{did.chain_id}",
            asked=endpoint.chain.host,
        )
    history = await fetch_ethr_history(endpoint, did.identity, block=block)
    block_time = int(now.timestamp()) if at_block is None else await _block_time(endpoint.chain, at_block)
    result = document_from_events(did, history.events, block_time=block_time, at_block=at_block)
    return replace(
        result,
        updated=await _moment(endpoint.chain, result.version_id),
        next_update=await _moment(endpoint.chain, result.next_version_id),
    )


async def fetch_ethr_history(
    endpoint: RegistryEndpoint, identity: bytes, *, block: BlockId = "latest"
) -> EthrHistory:
    """Every event of `identity` in the registry as of `block`, by following `previousChange` back.

    Unavailable, the endpoint named, where it gives less than the chain of changes promises.
    """
    chain = endpoint.chain
    word = identity.rjust(32, b"\0")
    answer = await chain.call(endpoint.registry, _CHANGED + word, block)
    if len(answer) != 32:
        raise _wrong(chain, "has no DID registry at the configured address")
    at = int.from_bytes(answer, "big")
    blocks: list[list[EthrEvent]] = []
    count = 0
    while at:
        logs = await chain.logs(endpoint.registry, [None, word], from_block=at, to_block=at)
        events = _decode(chain, logs, endpoint.registry, identity, at)
        count += len(events)
        blocks.append(events)
        if len(blocks) > MAX_CHANGED_BLOCKS or count > MAX_EVENTS:
            raise Unavailable("the identity has more changes than are read here", asked=chain.host)
        at = previous_change(events, at)
    ordered = tuple(event for events in reversed(blocks) for event in events)
    return EthrHistory(identity, ordered, chain.host)


def _decode(
    chain: ChainClient, logs: list[JsonObject], registry: bytes, identity: bytes, block: int
) -> list[EthrEvent]:
    try:
        events = [
            event for log in logs if is_emitted_by(log, registry) and (event := decode_log(log)) is not None
        ]
    except Malformed as error:
        raise _wrong(chain, f"gave {error.detail}") from error
    if not events:
        raise _wrong(chain, f"has no events of block {block}, to which the registry points")
    events.sort(key=lambda event: event.log_index)
    places = {(event.identity, event.block_number) for event in events}
    if places != {(identity, block)} or len({event.log_index for event in events}) != len(events):
        raise _wrong(chain, "gave events that it was not asked for")
    return events


async def _block_time(chain: ChainClient, block: int) -> int:
    return (await chain.header(block)).timestamp


async def _moment(chain: ChainClient, block: int | str | None) -> datetime | None:
    return None if block is None else from_unix(await _block_time(chain, int(block)))


def _wrong(chain: ChainClient, what: str) -> Unavailable:
    return Unavailable(f"chain endpoint {chain.host} {what}", asked=chain.host)
