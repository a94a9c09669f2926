"""Receipts: how far the wallet got with each offer, kept so that it can go on from there.

One is made with the holder's yes, is saved after every step (`receive.py`), and is dropped at its end, unless what came
is issued anew every few weeks.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from node.core.errors import NotFound
from node.core.strict_json import JsonObject
from node.core.times import format_datetime_stamp, parse_datetime_stamp
from wallet.store import WalletStore


@dataclass(frozen=True, slots=True)
class Part:
    """One configuration of an offer.

    wanted → asked for (`transaction_id`) → arrived (`items`: credential and bundle as they came) → awaiting a bundle
    (`digests`) → done.
    """

    configuration_id: str
    proof_types: tuple[str, ...] = ()
    transaction_id: str | None = None
    interval_seconds: int = 0
    items: tuple[tuple[JsonObject | str, JsonObject | None], ...] | None = None
    notification_id: str | None = None
    digests: tuple[str, ...] | None = None
    did: str | None = None
    """Whom it is made out to, one of the wallet's keys; None is the first of them."""
    kept: tuple[str, ...] = ()
    """The digests of what came and was kept."""
    commitment: str | None = None
    """To secrets of the wallet, in base64url, where its issuer binds it to some."""

    @property
    def done(self) -> bool:
        """Nothing is left to fetch."""
        return self.digests == ()

    @property
    def waits_for(self) -> str:
        """For people."""
        if self.items is not None:
            return "a decision: it was refused"
        if self.digests:
            return "the proof bundle"
        return "the credential"

    def to_json(self) -> JsonObject:
        """For the store."""
        return {
            "configurationId": self.configuration_id,
            "proofTypes": list(self.proof_types),
            "transactionId": self.transaction_id,
            "interval": self.interval_seconds,
            "items": None if self.items is None else [list(item) for item in self.items],
            "notificationId": self.notification_id,
            "digests": None if self.digests is None else list(self.digests),
            "did": self.did,
            "kept": list(self.kept),
            "commitment": self.commitment,
        }


def _parse_part(body: JsonObject) -> Part:
    items, digests = body["items"], body["digests"]
    return Part(
        body["configurationId"],
        tuple(body["proofTypes"]),
        body["transactionId"],
        body["interval"],
        None if items is None else tuple((credential, bundle) for credential, bundle in items),
        body["notificationId"],
        None if digests is None else tuple(digests),
        body.get("did"),
        tuple(body.get("kept", ())),
        body.get("commitment"),
    )


@dataclass(frozen=True, slots=True)
class Receipt:
    """How far an offer has got. `access_token` is None until the code was redeemed."""

    issuer: str
    begun: datetime
    offer: JsonObject
    token_endpoint: str
    credential_endpoint: str
    nonce_endpoint: str | None
    deferred_endpoint: str | None
    notification_endpoint: str | None
    bundle_endpoint: str
    parts: tuple[Part, ...]
    tx_code: str | None = None
    access_token: str | None = None
    token_ends: datetime | None = None
    number: int | None = None
    renews: bool = False
    """Whether it is finished, and kept to ask for the successors of what came (bbs-2023) as long as the token lives."""

    @property
    def waits_for(self) -> str:
        """What it waits for, for people."""
        return ", ".join(dict.fromkeys(part.waits_for for part in self.parts if not part.done))

    def to_json(self) -> JsonObject:
        """For the store; `number` is the store's."""
        return {
            "issuer": self.issuer,
            "begun": format_datetime_stamp(self.begun),
            "offer": self.offer,
            "tokenEndpoint": self.token_endpoint,
            "credentialEndpoint": self.credential_endpoint,
            "nonceEndpoint": self.nonce_endpoint,
            "deferredEndpoint": self.deferred_endpoint,
            "notificationEndpoint": self.notification_endpoint,
            "bundleEndpoint": self.bundle_endpoint,
            "parts": [part.to_json() for part in self.parts],
            "txCode": self.tx_code,
            "accessToken": self.access_token,
            "tokenEnds": None if self.token_ends is None else format_datetime_stamp(self.token_ends),
            "renews": self.renews,
        }


def parse_receipt(number: int, body: JsonObject) -> Receipt:
    """Inverse of `Receipt.to_json`, for what the store kept."""
    ends = body["tokenEnds"]
    return Receipt(
        body["issuer"],
        parse_datetime_stamp(body["begun"]),
        body["offer"],
        body["tokenEndpoint"],
        body["credentialEndpoint"],
        body["nonceEndpoint"],
        body["deferredEndpoint"],
        body["notificationEndpoint"],
        body["bundleEndpoint"],
        tuple(_parse_part(part) for part in body["parts"]),
        body["txCode"],
        body["accessToken"],
        None if ends is None else parse_datetime_stamp(ends),
        number,
        body.get("renews", False),
    )


def pending(store: WalletStore) -> tuple[Receipt, ...]:
    """The receipts under way, oldest first."""
    return tuple(one for one in _receipts(store) if not one.renews)


def renewing(store: WalletStore) -> tuple[Receipt, ...]:
    """The receipts that are finished and kept for what their issuers issue anew."""
    return tuple(one for one in _receipts(store) if one.renews)


def _receipts(store: WalletStore) -> tuple[Receipt, ...]:
    return tuple(parse_receipt(number, body) for number, body in store.receipts())


def find_receipt(store: WalletStore, number: int) -> Receipt:
    """The receipt with this number."""
    found = next((one for one in pending(store) if one.number == number), None)
    if found is None:
        raise NotFound(f"no unfinished receipt has the number {number}")
    return found
