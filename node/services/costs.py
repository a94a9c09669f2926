"""What anchoring costs: estimated before, read from receipts after, and whether the writer can go on paying.

Wei throughout. An estimate is by the endpoint's word: its count of gas, and what the next block asks.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from node.chain.transactions import CredentialRegistryCalls
from node.core.encoding import encode_hex
from node.core.errors import NotVerified, Unavailable
from node.outbound.chain import Reverted
from node.services import registration
from node.services.issuer import ChainAccess, Issuer, address_of, in_gwei
from node.services.writers import SET_WRITER_GAS, may_anchor, writers_in_use
from node.storage.protocols.batches import BatchCost
from node.storage.protocols.issuer import IssuerKey, KeyRole
from node.storage.protocols.outbox import OWN_CHAIN, Spent
from node.storage.protocols.store import Transaction

# Measured on Anvil, and the most that an anchor may take.
ANCHOR_GAS: Final = 62_000
# A new key and the retirement of the old one, and a new list, are what an owner is needed for at once.
OWNER_GAS: Final = 600_000
_ETHER: Final = 10**18
_LATELY: Final = 100


@dataclass(frozen=True, slots=True)
class Estimate:
    """What it will cost to anchor so many items, at the price of now."""

    items: int
    batches: int
    gas: int
    """Of one anchor."""
    gas_price: int
    balance: int
    """What the writer has."""

    @property
    def wei(self) -> int:
        """All anchors."""
        return self.batches * self.gas * self.gas_price

    def to_json(self) -> dict[str, Any]:
        """As commands print it."""
        return {
            "items": self.items,
            "batches": self.batches,
            "gas": self.batches * self.gas,
            "gas_price": self.gas_price,
            "wei": self.wei,
            "wei_per_item": _share(self.wei, self.items),
            "balance": self.balance,
        }

    def __str__(self) -> str:
        anchors = "1 anchor" if self.batches == 1 else f"{self.batches:,} anchors"
        return (
            f"{anchors} of {self.gas:,} gas at {in_gwei(self.gas_price)}: {_ether(self.wei)} ether,"
            f" {_ether(_share(self.wei, self.items))} each; the writer has {_ether(self.balance)}"
        )


async def estimate(issuer: Issuer, items: int) -> Estimate:
    """What anchoring `items` more would cost now, full batches; Unavailable where the chain cannot be asked."""
    chain = issuer.require_chain()
    async with issuer.store.reading() as reading:
        writer = address_of(await registration.writer_of(reading))
    price = await chain.client.gas_price()
    return Estimate(
        items=items,
        batches=-(-items // issuer.anchoring.batch_size),
        gas=await _anchor_gas(issuer, chain, writer),
        gas_price=price.now,
        balance=await chain.client.balance(writer),
    )


async def _anchor_gas(issuer: Issuer, chain: ChainAccess, writer: bytes) -> int:
    registry = CredentialRegistryCalls(chain.network.credential_registry)
    # A byte that is zero costs less: what is estimated has none.
    commitment = bytes(1 + secrets.randbelow(255) for _ in range(32))
    call = registry.anchor(issuer.identity, commitment)
    try:
        return await chain.client.estimate_gas(writer, call.to, call.data)
    except Reverted:
        return ANCHOR_GAS  # its role is not final yet


async def paid(reading: Transaction, chain: str = OWN_CHAIN) -> dict[str, Any]:
    """What was paid, from receipts: by purpose, and for each item of the newest batches."""
    by_purpose = await reading.outbox.spent(chain)
    batches = await reading.batches.costs(_LATELY) if chain == OWN_CHAIN else ()
    return {
        "calls": {purpose: _sum(spent) for purpose, spent in by_purpose.items()},
        "batches": _of_batches(batches),
        "newest_batch": _of_batches(batches[:1]),
    }


def paid_in_words(body: dict[str, Any]) -> dict[str, str]:
    """`paid` for people, a line for each purpose."""
    lines = {
        purpose: f"{one['transactions']:,}, {one['gas']:,} gas, {_ether(one['wei'])} ether"
        for purpose, one in body["calls"].items()
    }
    if body["batches"] is not None:
        lines["each item anchored"] = f"{_ether(body['batches']['wei_per_item'])} ether"
    return lines


def batch_in_words(body: dict[str, int]) -> str:
    """The newest batch of `paid`."""
    each = _ether(body["wei_per_item"])
    return f"the newest batch, of {body['items']:,}: {body['gas']:,} gas, {_ether(body['wei'])} ether, {each} each"


def _sum(spent: Iterable[Spent]) -> dict[str, int]:
    every = tuple(spent)
    return {
        "transactions": len(every),
        "gas": sum(one.gas for one in every),
        "wei": sum(one.wei for one in every),
    }


def _of_batches(batches: Sequence[BatchCost]) -> dict[str, int] | None:
    if not batches:
        return None
    body = _sum(one.spent for one in batches)
    items = sum(one.items for one in batches)
    return {"batches": len(batches), "items": items, **body, "wei_per_item": _share(body["wei"], items)}


async def warnings(issuer: Issuer) -> list[str]:
    """Who will soon be unable to pay, on every chain. A second one that cannot be asked is told of by the worker."""
    own = issuer.require_chain()
    found = await _short_writers(issuer, own)
    found += await _short_owners(issuer, own, OWNER_GAS, "cannot pay for a new key")
    if issuer.second is not None:
        with contextlib.suppress(Unavailable, NotVerified):
            found += await _short_writers(issuer, issuer.second.chain)
            found += await _short_of_role(issuer, issuer.second.chain)
    return found


async def _short_writers(issuer: Issuer, chain: ChainAccess) -> list[str]:
    async with issuer.store.reading() as reading:
        writers = await writers_in_use(reading)
    price = max(1, (await chain.client.gas_price()).now)
    found = []
    for key in writers:
        anchors = await chain.client.balance(address_of(key)) // (ANCHOR_GAS * price)
        if anchors < issuer.anchoring.low_balance:
            found.append(_short(key, chain, f"can pay for {anchors} more anchors"))
    return found


async def _short_of_role(issuer: Issuer, second: ChainAccess) -> list[str]:
    """The owner gives the writer its role there, once, and has nothing else to pay for."""
    short = await _short_owners(issuer, second, SET_WRITER_GAS, "cannot pay for the writer's role")
    return [] if not short or await may_anchor(issuer, second) else short


async def _short_owners(issuer: Issuer, chain: ChainAccess, gas: int, what: str) -> list[str]:
    async with issuer.store.reading() as reading:
        owners = await reading.keys.all(KeyRole.OWNER)
    price = max(1, (await chain.client.gas_price()).now)
    return [
        _short(key, chain, what)
        for key in owners
        if await chain.client.balance(address_of(key)) < gas * price
    ]


def _short(key: IssuerKey, chain: ChainAccess, what: str) -> str:
    address = encode_hex(address_of(key))
    return f"the {key.role} {address} {what} on {chain.network.chain} at the present price: send it ether"


def _share(wei: int, items: int) -> int:
    return -(-wei // items) if items else 0


def _ether(wei: int) -> str:
    return f"{wei / _ETHER:.3g}"
