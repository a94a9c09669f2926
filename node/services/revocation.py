"""Revoking, suspending, reinstating: accepted once, then effective on the chain and in the signed list.

The change and the newly signed list credential are one transaction, so what was accepted is never forgotten and the
list that is served says so from that moment. The chain follows with the next tick (`anchoring.py`): only the bits that
differ are sent. A revocation is never undone (FORMATS.md section 6); asked for twice it is one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from node.core.errors import Malformed, NotFound, Refused
from node.core.status.entry import MESSAGE, REVOCATION, SUSPENSION
from node.services import renewal, status_lists
from node.services.issuer import Issuer
from node.storage.protocols.credentials import CredentialRecord, CredentialState
from node.storage.protocols.issuer import KeyRole, KeyState
from node.storage.protocols.status_lists import ChangeState, StatusChange
from node.storage.protocols.store import Transaction

MAX_REASON_BYTES = 1000


class Action(StrEnum):
    """What can be done to the status of a credential."""

    REVOKE = "revoke"
    SUSPEND = "suspend"
    REINSTATE = "reinstate"
    MESSAGE = "message"


_EFFECTS: Final = {
    Action.REVOKE: (REVOCATION, 1),
    Action.SUSPEND: (SUSPENSION, 1),
    Action.REINSTATE: (SUSPENSION, 0),
    Action.MESSAGE: (MESSAGE, 0),
}
_HINTS: Final = {
    REVOCATION: "it was issued without one",
    SUSPENSION: "its template was not suspendable",
    MESSAGE: "its template had no statusMessage",
}


@dataclass(frozen=True, slots=True)
class Change:
    """What became of a request; `is_effective` where a verifier sees it already."""

    credential_id: str
    action: Action
    is_effective: bool
    reason: str
    ends: datetime | None = None
    """Under bbs-2023, which has no status: when what is renewed no more is over."""


async def change_status(
    issuer: Issuer,
    credentials: Sequence[CredentialRecord],
    action: Action,
    *,
    reason: str,
    requested_by: str,
    value: int | None = None,
) -> list[Change]:
    """Accept a change for all of the credentials, or for none. `value` is what a message shall say, by its number.

    A credential that nobody claimed yet is withdrawn by revoking it: it will never be signed. What bbs-2023 secures has
    no status: revoked, it is renewed no more. NotFound where one has no status entry of the kind; Conflict where a
    revocation would be undone; Malformed for an unusable reason.
    """
    if (value is not None) is not (action is Action.MESSAGE):
        raise Malformed("a message, and nothing else, is set to a value")
    if not reason.strip() or len(reason.encode()) > MAX_REASON_BYTES:
        raise Malformed(f"a reason is given, of at most {MAX_REASON_BYTES:,} bytes")
    if any(one.signed is not None and not renewal.is_renewed(one.signed) for one in credentials):
        await status_lists.open_signing_key(issuer)  # before the transaction, which nobody shall wait for
    changes = []
    touched: dict[bytes, None] = {}
    async with issuer.store.transaction() as transaction:
        await _require_owner(transaction)
        for record in credentials:
            if record.signed is None:
                changes.append(await _withdraw(transaction, record, action, reason))
                continue
            if renewal.is_renewed(record.signed):
                changes.append(await _end(issuer, transaction, record, action, reason))
                continue
            made = await _change(issuer, transaction, record, (action, value), reason, requested_by)
            touched[made.list_id] = None
            credential_id = record.intent.credential_id
            effective = made.state is ChangeState.EFFECTIVE
            changes.append(Change(credential_id, action, effective, made.reason))
        for list_id in touched:
            status_list = await transaction.status_lists.load(list_id)
            if status_list is not None:
                await status_lists.publish(issuer, transaction, status_list)
    return changes


async def _require_owner(transaction: Transaction) -> None:
    """Refused where the identity was abandoned (`closing.py`): no status of its credentials changes any more."""
    for owner in await transaction.keys.all(KeyRole.OWNER):
        if owner.state is not KeyState.ACTIVE:
            raise Refused("the identity was abandoned: the status of its credentials stays as it is")


async def _change(
    issuer: Issuer,
    transaction: Transaction,
    record: CredentialRecord,
    wanted: tuple[Action, int | None],
    reason: str,
    requested_by: str,
) -> StatusChange:
    action, message = wanted
    purpose, value = _EFFECTS[action]
    credential_id = record.intent.credential_id
    entries = await transaction.status_lists.indexes_of(credential_id)
    if not any(entry.purpose == purpose for entry in entries):
        raise NotFound(f"{credential_id} has no status entry for a {purpose}: {_HINTS[purpose]}")
    return await transaction.status_lists.change(
        credential_id,
        purpose,
        value if message is None else message,
        reason=reason,
        requested_by=requested_by,
        now=issuer.clock(),
    )


async def _end(
    issuer: Issuer, transaction: Transaction, record: CredentialRecord, action: Action, reason: str
) -> Change:
    credential_id = record.intent.credential_id
    if action is not Action.REVOKE:
        raise NotFound(f"{credential_id} has no status entry: it is renewed until it is revoked")
    ends = await renewal.end(issuer, transaction, record)
    return Change(credential_id, action, issuer.clock() >= ends, reason, ends)


async def _withdraw(
    transaction: Transaction, record: CredentialRecord, action: Action, reason: str
) -> Change:
    credential_id = record.intent.credential_id
    if action is not Action.REVOKE:
        raise Refused(f"{credential_id} was not claimed yet: it can only be revoked, which withdraws it")
    if record.state is not CredentialState.WITHDRAWN:
        await transaction.credentials.withdraw(credential_id)
    for offer in await transaction.offers.of_credential(credential_id):
        await transaction.offers.withdraw(offer.id)
    return Change(credential_id, action, is_effective=True, reason=reason)


async def is_effective(issuer: Issuer, credential_ids: Sequence[str]) -> bool:
    """Whether every change that was accepted for these credentials is seen by verifiers."""
    async with issuer.store.reading() as reading:
        for credential_id in credential_ids:
            for change in await reading.status_lists.changes(credential_id):
                if change.state is not ChangeState.EFFECTIVE:
                    return False
    return True
