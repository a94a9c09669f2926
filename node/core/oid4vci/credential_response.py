"""What the credential and deferred endpoints answer (sections 8.3 and 9.2), with the bundle beside the credential.

`bonafides_bundle` in an item is ours (FORMATS.md section 7, Travel); it is left out while the anchor is not final.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from node.core.errors import Malformed
from node.core.strict_json import Json, JsonObject

BUNDLE: Final = "bonafides_bundle"
MAX_RESPONSE_BYTES: Final = 32 * 1024 * 1024
MAX_ITEMS: Final = 100
# A wallet that is told to come back next year has been told nothing; one that comes each second is a nuisance.
MAX_INTERVAL_SECONDS: Final = 7 * 24 * 3600


@dataclass(frozen=True, slots=True)
class Item:
    """One credential: a JSON object (`ldp_vc`) or a token, and its bundle where the issuer sent one."""

    credential: JsonObject | str
    bundle: JsonObject | None = None


@dataclass(frozen=True, slots=True)
class Issued:
    """Credentials, and the id under which the wallet may say what became of them."""

    items: tuple[Item, ...]
    notification_id: str | None = None

    def to_json(self) -> JsonObject:
        """The body of a 200."""
        items: list[JsonObject] = [
            {"credential": item.credential, **({} if item.bundle is None else {BUNDLE: item.bundle})}
            for item in self.items
        ]
        body: JsonObject = {"credentials": items}
        if self.notification_id is not None:
            body["notification_id"] = self.notification_id
        return body


@dataclass(frozen=True, slots=True)
class Deferred:
    """Not yet: ask the deferred endpoint with `transaction_id` after `interval_seconds`."""

    transaction_id: str
    interval_seconds: int

    def to_json(self) -> JsonObject:
        """The body of a 202."""
        return {"transaction_id": self.transaction_id, "interval": self.interval_seconds}


def parse_credential_response(status: int, body: Json) -> Issued | Deferred:
    """What an issuer answered with status 200 or 202, or Malformed."""
    if not isinstance(body, dict):
        raise Malformed("a credential response is a JSON object")
    if "credential" in body and "credentials" not in body:
        raise Malformed("the response is of a draft before OpenID4VCI 1.0")
    if ("credentials" in body) == ("transaction_id" in body):
        raise Malformed("a response holds either credentials or a transaction_id")
    if status == 202 and "transaction_id" in body:
        return _deferred(body)
    if status == 200 and "credentials" in body:
        return _issued(body)
    raise Malformed(f"status {status} does not fit what the response holds")


def _issued(body: JsonObject) -> Issued:
    values, notification = body["credentials"], body.get("notification_id")
    if not isinstance(values, list) or not 0 < len(values) <= MAX_ITEMS:
        raise Malformed(f"expected 1 to {MAX_ITEMS} credentials", path=("credentials",))
    if notification is not None and not (isinstance(notification, str) and notification):
        raise Malformed("expected a text", path=("notification_id",))
    return Issued(tuple(_item(value, index) for index, value in enumerate(values)), notification)


def _item(value: Json, index: int) -> Item:
    credential = value.get("credential") if isinstance(value, dict) else None
    if not isinstance(credential, dict | str) or not credential:
        raise Malformed("expected an object with a credential", path=("credentials", index))
    bundle = value.get(BUNDLE)
    if bundle is not None and not isinstance(bundle, dict):
        raise Malformed("expected a JSON object", path=("credentials", index, BUNDLE))
    return Item(credential, bundle)


def _deferred(body: JsonObject) -> Deferred:
    transaction, interval = body["transaction_id"], body.get("interval")
    if not isinstance(transaction, str) or not transaction:
        raise Malformed("expected a text", path=("transaction_id",))
    if type(interval) is not int or not 0 < interval <= MAX_INTERVAL_SECONDS:
        raise Malformed("expected a number of seconds", path=("interval",))
    return Deferred(transaction, interval)
