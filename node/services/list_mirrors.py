"""`issuer publish-list`: a whole status list as the code of a contract, for who reads in bulk (FORMATS.md section 6).

Two calls of the writer's through the outbox: the usual deployer puts the code in place, and the registry points there
and raises the list's sequence. What is published is the list as it shall be, with changes that are on their way. No
verdict reads it, and it grows old with the next change.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from node.chain.transactions import Call, CredentialRegistryCalls
from node.core.encoding import encode_hex
from node.core.errors import NotFound
from node.core.evm import list_mirror, registry
from node.core.evm.registry import CREATE2_DEPLOYER, ListRecord
from node.core.strict_json import JsonObject
from node.outbound.chain import Reverted
from node.services import registration
from node.services.issuer import Issuer, address_of
from node.storage.protocols.status_lists import StatusList

DEPLOY: Final = "deploy_mirror"
PUBLISH: Final = "publish_list"
# `publish_list` for a writer, measured; counted where the code it points to does not stand yet.
_POINT_GAS: Final = 60_000


@dataclass(frozen=True, slots=True)
class Publication:
    """What is to be published, and what it takes. `calls` is empty where it stands already."""

    status_list: StatusList
    pointer: bytes
    """The 20-byte address of the mirror."""
    bits: int
    """How many bits are set."""
    calls: tuple[tuple[str, Call], ...]
    gas: int
    gas_price: int

    @property
    def wei(self) -> int:
        """What it will cost, about."""
        return self.gas * self.gas_price

    def to_json(self) -> JsonObject:
        """As commands print it."""
        return {
            "list": self.status_list.url,
            "purpose": self.status_list.purpose,
            "mirror": encode_hex(self.pointer),
            "set": self.bits,
            "gas": self.gas,
            "gas_price": self.gas_price,
            "wei": self.wei,
        }


async def plan(issuer: Issuer, url: str) -> Publication:
    """What publishing the list at `url` takes now; by the endpoint's word what it costs.

    NotFound for a list that is not open here; Refused for one that no contract holds; Unavailable without the chain.
    """
    chain = issuer.require_chain()
    async with issuer.store.reading() as reading:
        status_list = await reading.status_lists.find_by_url(url)
        if status_list is None or not status_list.is_open:
            raise NotFound(f"no open status list of this issuer has the URL {url}")
        bits = await reading.status_lists.bitstring(status_list.list_id)
        writer = address_of(await registration.writer_of(reading))
    data, pointer = list_mirror.deployment(bits)
    finalized = await chain.finalized()
    slot = registry.list_slot(issuer.identity, status_list.list_id)
    stands = await chain.code_hash(finalized, pointer) == list_mirror.code_hash(bits)
    points = ListRecord.from_word(await chain.slot(finalized, slot)).pointer == pointer
    calls = []
    if not stands:
        calls.append((DEPLOY, Call(CREATE2_DEPLOYER, data, "a list's mirror")))
    if not points:
        registry_calls = CredentialRegistryCalls(chain.network.credential_registry)
        calls.append((PUBLISH, registry_calls.publish_list(issuer.identity, status_list.list_id, pointer)))
    gas = 0
    for _, call in calls:
        try:
            gas += await chain.client.estimate_gas(writer, call.to, call.data)
        except Reverted:
            gas += _POINT_GAS  # the deployer does nothing twice, and a newer block may have the code already
    price = await chain.client.gas_price()
    set_bits = int.from_bytes(bits, "big").bit_count()
    return Publication(status_list, pointer, set_bits, tuple(calls), gas, price.now)


async def publish(issuer: Issuer, publication: Publication) -> None:
    """Ask for what the plan says; a call that is under way already is not asked for again."""
    async with issuer.store.transaction() as transaction:
        writer = address_of(await registration.writer_of(transaction))
        under_way = {entry.data for entry in await transaction.outbox.unfinished(writer, limit=1000)}
        for purpose, call in publication.calls:
            if call.data not in under_way:
                await transaction.outbox.add(purpose, writer, call.to, call.data, issuer.clock())
