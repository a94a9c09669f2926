"""`issuer status`: what is where, and what is stuck."""

from __future__ import annotations

from typing import Any

from node.core.encoding import encode_hex
from node.core.errors import Unavailable
from node.core.keys import parse_multikey
from node.core.times import format_datetime_stamp, from_unix
from node.services import costs, issuance, renewal
from node.services.issuer import Issuer, SecondChain, address_of
from node.services.registration import WRITER_ROLES
from node.services.writers import ends_soon, former_writers, writer_record, writers_in_use
from node.storage.protocols.issuer import KeyRole, KeyState
from node.storage.protocols.outbox import TransactionState
from node.storage.protocols.store import Transaction


async def overview(issuer: Issuer) -> dict[str, Any]:
    """The issuer's state as plain values; the chain is asked for its height and balances if it can be."""
    settings = issuer.settings
    async with issuer.store.reading() as reading:
        body: dict[str, Any] = {
            "did": settings.did,
            "name": settings.name,
            "url": settings.url,
            "credentials": {
                str(state): number for state, number in (await reading.credentials.counts()).items()
            },
            "evidence": await _evidence(reading),
            "anchoring": await _anchoring(reading),
            "paid": await costs.paid(reading),
            "transactions": {str(state): number for state, number in (await reading.outbox.counts()).items()},
            "set_aside": await _set_aside(reading),
            "lists": await _lists(reading),
            "keys": await _keys(reading),
        }
        if issuer.second is not None:
            body["second_chain"] = await _second_chain(reading, issuer.second)
    body["warnings"] = []
    if due := await renewal.count_due(issuer):
        body["warnings"].append(f"{due} credentials run out within a week: `issuer renew` issues them again")
    if over := await issuance.count_over(issuer):
        body["warnings"].append(
            f"{over} credentials would be over by now and are not signed any more: `issuer revoke` withdraws them"
        )
    if issuer.on_chain:
        body["chain"] = await _chain(issuer, body["warnings"])
    return body


async def _evidence(reading: Transaction) -> dict[str, int]:
    counts = await reading.evidence.counts()
    return {"items": counts.items, "erased": counts.erased}


async def _anchoring(reading: Transaction) -> dict[str, Any]:
    waiting = await reading.batches.waiting()
    unfinished = await reading.batches.unfinished()
    return {
        "waiting": waiting.count,
        "waiting_since": None if waiting.oldest is None else format_datetime_stamp(waiting.oldest),
        "batches_under_way": len(unfinished),
    }


async def _second_chain(reading: Transaction, second: SecondChain) -> dict[str, Any]:
    name = second.chain.network.chain
    counts = await reading.outbox.counts(name)
    return {
        "chain": name,
        "waited_for": second.is_needed,
        "transactions": {str(state): number for state, number in counts.items()},
        "paid": await costs.paid(reading, name),
    }


async def _set_aside(reading: Transaction) -> list[dict[str, Any]]:
    parked = await reading.outbox.in_state(TransactionState.PARKED)
    return [
        {"transaction": entry.id, "purpose": entry.purpose, "fault": entry.fault, "block": entry.block_number}
        for entry in parked
    ]


async def _lists(reading: Transaction) -> list[dict[str, Any]]:
    return [
        {
            "purpose": one.purpose,
            "url": one.url,
            "open": one.is_open,
            "block": one.opened_block,
            "given_out": one.allocated,
            "entries": 1 << one.log2_entries,
        }
        for one in await reading.status_lists.all()
    ]


async def _keys(reading: Transaction) -> list[dict[str, Any]]:
    return [
        {
            "role": str(key.role),
            "kind": str(parse_multikey(key.multibase).kind),
            "state": str(key.state),
            "publicKeyMultibase": key.multibase,
            "verificationMethod": key.verification_method,
            "from": key.valid_from,
            "until": key.valid_until,
        }
        for key in await reading.keys.all()
    ]


async def _chain(issuer: Issuer, warnings: list[str]) -> dict[str, Any]:
    body: dict[str, Any] = {"chain": issuer.settings.chain}
    if issuer.chain is None:
        return body | {"endpoint": "none configured"}
    client = issuer.chain.client
    body["endpoint"] = client.host
    async with issuer.store.reading() as reading:
        keys = [*await reading.keys.all(KeyRole.OWNER), *await writers_in_use(reading)]
        former = await former_writers(reading)
    if former and former[-1].state is KeyState.RETIRING:
        warnings.append("the writer is being replaced: nothing is anchored until that is final")
    try:
        finalized = await issuer.chain.finalized()
        body["final_block"] = finalized.number
        for key in keys:
            if key.role is KeyRole.WRITER and key.state is KeyState.ACTIVE:
                record = await writer_record(issuer, key, finalized)
                until = format_datetime_stamp(from_unix(record.until))
                if WRITER_ROLES & ~record.roles:
                    warnings.append("the writer's roles were taken away: `issuer doctor` says what to do")
                else:
                    body["writer_until"] = until
                    if ends_soon(issuer, record):
                        warnings.append(
                            f"the writer can write until {until}: `issuer init` as before renews it"
                        )
            balance = await client.balance(address_of(key)) / 10**18
            body[f"{key.role}"] = f"{encode_hex(address_of(key))} has {balance:.6f} ether"
        warnings += await costs.warnings(issuer)
    except Unavailable as error:
        body["unreachable"] = error.detail
    return body
