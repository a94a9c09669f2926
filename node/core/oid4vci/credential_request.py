"""What a wallet sends to the credential, deferred and notification endpoints (sections 8.2, 9.1 and 11.1).

Requests of drafts (`format`, the singular `proof`) are refused by name, so that the maker of an older wallet learns
why. Encrypted requests and responses are not offered in the metadata and refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from node.core.dataintegrity.bbs_binding import MAX_COMMITMENT_BYTES
from node.core.encoding import decode_base64url, encode_base64url
from node.core.errors import Malformed, Refused
from node.core.oid4vci.errors import (
    INVALID_CREDENTIAL_REQUEST,
    INVALID_ENCRYPTION_PARAMETERS,
    INVALID_NOTIFICATION_REQUEST,
    INVALID_PROOF,
    INVALID_TRANSACTION_ID,
)
from node.core.oid4vci.metadata import COMMITMENT
from node.core.strict_json import Json, JsonObject

MAX_REQUEST_BYTES: Final = 256 * 1024
# One credential an offer, so one proof: keys in bulk are no use of a badge.
MAX_PROOFS: Final = 1
# A transaction_id of ours may hold the DID of a key proof, and a DID has up to 4,096 characters.
_MAX_NAME_CHARS: Final = 8192
_MAX_DESCRIPTION_CHARS: Final = 2000


class NotificationEvent(StrEnum):
    """What became of the credential in the wallet (section 11.1)."""

    ACCEPTED = "credential_accepted"
    FAILURE = "credential_failure"
    DELETED = "credential_deleted"


@dataclass(frozen=True, slots=True)
class CredentialRequest:
    """A request for one credential, by configuration or by identifier; `proof` of the type `proof_type`."""

    configuration_id: str | None = None
    identifier: str | None = None
    proof_type: str | None = None
    proofs: tuple[Json, ...] = ()
    commitment: bytes = b""
    """To the holder's secrets, where the configuration asks for one (`metadata.COMMITMENT`)."""

    def to_json(self) -> JsonObject:
        """The request body."""
        body: JsonObject = (
            {"credential_configuration_id": self.configuration_id}
            if self.identifier is None
            else {"credential_identifier": self.identifier}
        )
        if self.proof_type is not None:
            body["proofs"] = {self.proof_type: list(self.proofs)}
        if self.commitment:
            body[COMMITMENT] = encode_base64url(self.commitment)
        return body


@dataclass(frozen=True, slots=True)
class Notification:
    """A notification request."""

    notification_id: str
    event: NotificationEvent
    description: str | None = None

    def to_json(self) -> JsonObject:
        """The request body."""
        body: JsonObject = {"notification_id": self.notification_id, "event": str(self.event)}
        if self.description is not None:
            body["event_description"] = self.description
        return body


def parse_credential_request(body: Json) -> CredentialRequest:
    """The request in a body, or Refused with the code of section 8.3.1.2."""
    if not isinstance(body, dict):
        raise _refused("a credential request is a JSON object")
    if "credential_response_encryption" in body:
        raise Refused("responses are not encrypted here", code=INVALID_ENCRYPTION_PARAMETERS)
    if "format" in body or "proof" in body:
        raise _refused("the request is of a draft before OpenID4VCI 1.0: use proofs and a configuration id")
    configuration, identifier = (
        _name(body, "credential_configuration_id"),
        _name(body, "credential_identifier"),
    )
    if (configuration is None) == (identifier is None):
        raise _refused("exactly one of credential_configuration_id and credential_identifier is needed")
    commitment = _commitment(body)
    if "proofs" not in body:
        return CredentialRequest(configuration, identifier, commitment=commitment)
    proofs = body["proofs"]
    if not isinstance(proofs, dict) or len(proofs) != 1:
        raise Refused("proofs holds exactly one proof type", code=INVALID_PROOF)
    kind, values = next(iter(proofs.items()))
    if not isinstance(values, list) or not values:
        raise Refused("proofs of a type are a list of at least one", code=INVALID_PROOF)
    if len(values) > MAX_PROOFS:
        raise _refused("one credential is issued for one key here, so send one proof")
    return CredentialRequest(configuration, identifier, kind, tuple(values), commitment)


def parse_deferred_request(body: Json) -> str:
    """The transaction_id of a deferred credential request (section 9.1)."""
    if not isinstance(body, dict):
        raise _refused("a deferred credential request is a JSON object")
    if "credential_response_encryption" in body:
        raise Refused("responses are not encrypted here", code=INVALID_ENCRYPTION_PARAMETERS)
    value = body.get("transaction_id")
    if not isinstance(value, str) or not 0 < len(value) <= _MAX_NAME_CHARS:
        raise Refused("transaction_id is missing", code=INVALID_TRANSACTION_ID)
    return value


def parse_notification(body: Json) -> Notification:
    """The notification in a body, or Refused."""
    if not isinstance(body, dict):
        raise _bad_notification("a notification is a JSON object")
    identifier, event = body.get("notification_id"), body.get("event")
    if not isinstance(identifier, str) or not 0 < len(identifier) <= _MAX_NAME_CHARS:
        raise _bad_notification("notification_id is missing")
    if not isinstance(event, str) or event not in list(NotificationEvent):
        raise _bad_notification("event is none of those that OpenID4VCI names")
    words = body.get("event_description")
    if words is not None and (not isinstance(words, str) or len(words) > _MAX_DESCRIPTION_CHARS):
        raise _bad_notification("event_description is a text of at most 2,000 characters")
    return Notification(identifier, NotificationEvent(event), words)


def _name(body: JsonObject, member: str) -> str | None:
    if member not in body:
        return None
    value = body[member]
    if not isinstance(value, str) or not 0 < len(value) <= _MAX_NAME_CHARS:
        raise _refused(f"{member} is a text")
    return value


def _commitment(body: JsonObject) -> bytes:
    value = body.get(COMMITMENT)
    if value is None:
        return b""
    if not isinstance(value, str) or not 0 < len(value) <= 2 * MAX_COMMITMENT_BYTES:
        raise _refused(f"{COMMITMENT} is a commitment in base64url")
    try:
        return decode_base64url(value)
    except Malformed as error:
        raise _refused(f"{COMMITMENT}: {error.detail}") from error


def _refused(detail: str) -> Refused:
    return Refused(detail, code=INVALID_CREDENTIAL_REQUEST)


def _bad_notification(detail: str) -> Refused:
    return Refused(detail, code=INVALID_NOTIFICATION_REQUEST)
