"""Token request and response of the pre-authorized code flow, and the nonce response (sections 6 and 7)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import orjson

from node.core.errors import Malformed, Refused
from node.core.oid4vci.errors import INVALID_GRANT, INVALID_REQUEST, UNSUPPORTED_GRANT_TYPE
from node.core.oid4vci.offer import PRE_AUTHORIZED_CODE_GRANT
from node.core.strict_json import MAX_INTEGER, Json, JsonObject, parse_json

MAX_TOKEN_REQUEST_BYTES: Final = 16 * 1024
_MAX_DETAILS: Final = 16
_MAX_TX_CODE_CHARS: Final = 64
_OPENID_CREDENTIAL: Final = "openid_credential"
# RFC 6750 section 2.1 and RFC 6749 appendix A: what may stand in a header.
_TOKEN_TEXT: Final = re.compile(r"[A-Za-z0-9._~+/-]+=*\Z")
_VSCHARS: Final = re.compile(r"[\x20-\x7e]{1,4096}\Z")


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """A pre-authorized code to be redeemed. `configuration_ids` are those of `authorization_details`, if any."""

    pre_authorized_code: str
    tx_code: str | None = None
    configuration_ids: tuple[str, ...] = ()

    def to_form(self) -> dict[str, str]:
        """The form parameters of the request."""
        form = {"grant_type": PRE_AUTHORIZED_CODE_GRANT, "pre-authorized_code": self.pre_authorized_code}
        if self.tx_code is not None:
            form["tx_code"] = self.tx_code
        if self.configuration_ids:
            details = [
                {"type": _OPENID_CREDENTIAL, "credential_configuration_id": name}
                for name in self.configuration_ids
            ]
            form["authorization_details"] = orjson.dumps(details).decode()
        return form


@dataclass(frozen=True, slots=True)
class TokenResponse:
    """An access token, valid for `expires_in` seconds.

    `identifiers` maps a configuration id to its `credential_identifiers`, where authorization_details were used.
    """

    access_token: str
    expires_in: int | None
    identifiers: Mapping[str, tuple[str, ...]]

    def to_json(self) -> JsonObject:
        """The response (section 6.2): no c_nonce here in 1.0."""
        body: JsonObject = {"access_token": self.access_token, "token_type": "Bearer"}
        if self.expires_in is not None:
            body["expires_in"] = self.expires_in
        if self.identifiers:
            body["authorization_details"] = [
                {
                    "type": _OPENID_CREDENTIAL,
                    "credential_configuration_id": name,
                    "credential_identifiers": list(identifiers),
                }
                for name, identifiers in self.identifiers.items()
            ]
        return body


def parse_token_request(form: Mapping[str, str]) -> TokenRequest:
    """The request in a form (section 6.1), or Refused with the code of section 6.3.

    A `client_id` is passed over: anonymous access is what this server offers, and it knows no clients.
    """
    grant = form.get("grant_type")
    if not grant:
        raise Refused("grant_type is missing", code=INVALID_REQUEST)
    if grant != PRE_AUTHORIZED_CODE_GRANT:
        raise Refused("only pre-authorized codes are redeemed here", code=UNSUPPORTED_GRANT_TYPE)
    code = form.get("pre-authorized_code")
    if not code:
        raise Refused("pre-authorized_code is missing", code=INVALID_REQUEST)
    if not _VSCHARS.match(code):
        raise Refused("no such code", code=INVALID_GRANT)
    tx_code = form.get("tx_code")
    if tx_code is not None and not 0 < len(tx_code) <= _MAX_TX_CODE_CHARS:
        raise Refused("tx_code is empty or too long", code=INVALID_REQUEST)
    details = form.get("authorization_details")
    return TokenRequest(code, tx_code, () if details is None else _details(details))


def parse_token_response(body: Json) -> TokenResponse:
    """The token in an issuer's answer, or Malformed. Only Bearer tokens are used here."""
    if not isinstance(body, dict):
        raise Malformed("a token response is a JSON object")
    token, kind = body.get("access_token"), body.get("token_type")
    if not isinstance(token, str) or not _TOKEN_TEXT.match(token):
        raise Malformed("expected a token that fits a header", path=("access_token",))
    if not isinstance(kind, str) or kind.lower() != "bearer":
        raise Malformed("expected a Bearer token", path=("token_type",))
    lifetime = body.get("expires_in")
    if lifetime is not None and (type(lifetime) is not int or not 0 <= lifetime <= MAX_INTEGER):
        raise Malformed("expected a number of seconds", path=("expires_in",))
    return TokenResponse(token, lifetime, _identifiers(body.get("authorization_details", [])))


def parse_nonce_response(body: Json) -> str:
    """The c_nonce of a nonce response (section 7.2)."""
    nonce = body.get("c_nonce") if isinstance(body, dict) else None
    if not isinstance(nonce, str) or not 0 < len(nonce) <= 1024:
        raise Malformed("expected a nonce", path=("c_nonce",))
    return nonce


def _details(text: str) -> tuple[str, ...]:
    try:
        details = parse_json(text, max_bytes=MAX_TOKEN_REQUEST_BYTES)
    except Malformed as error:
        raise Refused("authorization_details cannot be read", code=INVALID_REQUEST) from error
    if not isinstance(details, list) or not 0 < len(details) <= _MAX_DETAILS:
        raise Refused("authorization_details is a list", code=INVALID_REQUEST)
    names = []
    for item in details:
        name = item.get("credential_configuration_id") if isinstance(item, dict) else None
        if not isinstance(name, str) or item.get("type") != _OPENID_CREDENTIAL:
            raise Refused(
                "authorization_details name a credential_configuration_id each", code=INVALID_REQUEST
            )
        names.append(name)
    return tuple(dict.fromkeys(names))


def _identifiers(details: Json) -> dict[str, tuple[str, ...]]:
    if not isinstance(details, list):
        raise Malformed("expected a list", path=("authorization_details",))
    found = {}
    for index, item in enumerate(details):
        name = item.get("credential_configuration_id") if isinstance(item, dict) else None
        identifiers = item.get("credential_identifiers") if isinstance(item, dict) else None
        if (
            not isinstance(name, str)
            or not isinstance(identifiers, list)
            or not identifiers
            or not all(isinstance(identifier, str) for identifier in identifiers)
        ):
            raise Malformed(
                "expected a configuration and its identifiers", path=("authorization_details", index)
            )
        found[name] = tuple(identifiers)
    return found
