"""What the issuer's own DID document says of web origins: `LinkedDomains`, through the outbox as every other change.

The other half is what the origin says: `export.did_configuration_json`, which `issuer serve` serves at the root of one.
"""

from __future__ import annotations

from node.core.did.document import DidDocument
from node.core.did.ethr import document_from_events
from node.core.did.ethr_identity import parse_did_ethr
from node.core.did.key import resolve_did_key
from node.core.errors import Conflict, Misconfigured
from node.core.jose.domain_linkage import MAX_ORIGINS, is_origin, linked_origins
from node.outbound.resolve import RegistryEndpoint, fetch_ethr_history
from node.services import registration
from node.services.issuer import Issuer


async def own_document(issuer: Issuer) -> DidDocument:
    """The issuer's DID document, as of the finalized block where it is on a chain."""
    did = issuer.settings.did
    if not issuer.on_chain:
        return resolve_did_key(did)
    chain = issuer.require_chain()
    finalized = await chain.finalized()
    endpoint = RegistryEndpoint(chain.client, chain.network.did_registry)
    history = await fetch_ethr_history(endpoint, issuer.identity, block=finalized.hash)
    found = document_from_events(
        parse_did_ethr(did), history.events, block_time=finalized.timestamp, at_block=finalized.number
    )
    return found.document


def parse_origin(text: str) -> str:
    """The https origin that `text`, a domain or an origin, names; Misconfigured otherwise."""
    origin = text.lower().removesuffix("/")
    origin = origin if "://" in origin else f"https://{origin}"
    if not is_origin(origin):
        raise Misconfigured(
            f"{text[:80]} is no domain: write school.example, in the letters that the DNS has (xn--…)"
        )
    return origin


async def link(issuer: Issuer, origin: str) -> bool:
    """Ask for the DID document to name `origin`; whether there is anything to do."""
    named = linked_origins(await own_document(issuer))
    if origin in named:
        return False
    if len(named) >= MAX_ORIGINS:
        raise Conflict(f"the DID document names {len(named)} origins, and readers look at no more")
    async with issuer.store.transaction() as transaction:
        await registration.link_origin(issuer, transaction, origin)
    return True


async def unlink(issuer: Issuer, origin: str) -> bool:
    """Ask for the DID document to name `origin` no more; whether there is anything to do."""
    if origin not in linked_origins(await own_document(issuer)):
        return False
    async with issuer.store.transaction() as transaction:
        await registration.unlink_origin(issuer, transaction, origin)
    return True
