"""Credential offers: the object, and the links that carry it (OpenID4VCI 1.0 section 4).

Both grants are read; the pre-authorized code is the one that is written. Offers of drafts before 14
(`credentials`, `user_pin_required`) are Malformed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl, quote, urlsplit

from node.core.errors import Malformed
from node.core.members import within
from node.core.strict_json import Json, JsonObject, parse_json_object

PRE_AUTHORIZED_CODE_GRANT: Final = "urn:ietf:params:oauth:grant-type:pre-authorized_code"
SCHEME: Final = "openid-credential-offer"

# A link by value fits a QR code of the largest version only below this; by reference it is far shorter.
MAX_LINK_CHARS: Final = 32 * 1024
MAX_OFFER_BYTES: Final = 64 * 1024
MAX_CONFIGURATIONS: Final = 64
MAX_DESCRIPTION_CHARS: Final = 300  # section 4.1.1
_MAX_CODE_CHARS: Final = 4096
_URL_TEXT: Final = re.compile(r"[\x21-\x7e]{1,4096}\Z")


@dataclass(frozen=True, slots=True)
class TxCode:
    """What the wallet asks its user for: a code that came another way. `length` in characters, None if not told."""

    length: int | None = None
    input_mode: str = "numeric"
    description: str | None = None

    def to_json(self) -> JsonObject:
        """The member `tx_code` of an offer."""
        members: JsonObject = {"input_mode": self.input_mode}
        if self.length is not None:
            members["length"] = self.length
        if self.description is not None:
            members["description"] = self.description
        return members


@dataclass(frozen=True, slots=True)
class CredentialOffer:
    """An offer (section 4.1.1). `pre_authorized_code` is None where only the other grant, or none, is offered."""

    credential_issuer: str
    configuration_ids: tuple[str, ...]
    pre_authorized_code: str | None = None
    tx_code: TxCode | None = None
    authorization_server: str | None = None

    def to_json(self) -> JsonObject:
        """The credential offer object."""
        body: JsonObject = {
            "credential_issuer": self.credential_issuer,
            "credential_configuration_ids": list(self.configuration_ids),
        }
        if self.pre_authorized_code is not None:
            grant: JsonObject = {"pre-authorized_code": self.pre_authorized_code}
            if self.tx_code is not None:
                grant["tx_code"] = self.tx_code.to_json()
            if self.authorization_server is not None:
                grant["authorization_server"] = self.authorization_server
            body["grants"] = {PRE_AUTHORIZED_CODE_GRANT: grant}
        return body


@dataclass(frozen=True, slots=True)
class OfferReference:
    """Where an offer is to be fetched: `credential_offer_uri`."""

    url: str


def offer_link(credential_offer_uri: str) -> str:
    """The link that opens a wallet with the offer at that URL."""
    return f"{SCHEME}://?credential_offer_uri={quote(credential_offer_uri, safe='')}"


def parse_offer_link(link: str) -> CredentialOffer | OfferReference:
    """What a link or QR code offers (section 4.1): an offer by value, or where to fetch it.

    Any scheme is taken, since wallets have their own; a plain http or https URL without either parameter is taken for
    the place of the offer itself. Whether that place may be opened is left to the egress guard.
    """
    if not link.isascii() or len(link) > MAX_LINK_CHARS:
        raise Malformed("not a link to a credential offer")
    try:
        parts = urlsplit(link.strip())
        pairs = parse_qsl(parts.query, keep_blank_values=True, max_num_fields=16)
    except ValueError as error:
        raise Malformed("not a link to a credential offer") from error
    values = [value for name, value in pairs if name == "credential_offer"]
    references = [value for name, value in pairs if name == "credential_offer_uri"]
    if not values and not references and parts.scheme in ("https", "http") and parts.netloc:
        return OfferReference(checked_url(link.strip()))
    if len(values) + len(references) != 1:
        raise Malformed("a link holds exactly one of credential_offer and credential_offer_uri")
    if references:
        return OfferReference(checked_url(references[0]))
    return parse_offer(parse_json_object(values[0], max_bytes=MAX_OFFER_BYTES))


def parse_offer(body: Json) -> CredentialOffer:
    """The offer in a JSON object; members that are not known are passed over."""
    if not isinstance(body, dict):
        raise Malformed("a credential offer is a JSON object")
    if "credential_configuration_ids" not in body and "credentials" in body:
        raise Malformed("the offer is of a draft before OpenID4VCI 1.0")
    ids = body.get("credential_configuration_ids")
    if not isinstance(ids, list) or not 0 < len(ids) <= MAX_CONFIGURATIONS:
        raise Malformed("expected a list of configuration ids", path=("credential_configuration_ids",))
    if not all(isinstance(item, str) and item for item in ids) or len(set(ids)) != len(ids):
        raise Malformed(
            "configuration ids are texts, each of them once", path=("credential_configuration_ids",)
        )
    with within("credential_issuer"):
        issuer = checked_issuer(body.get("credential_issuer"))
    code, tx_code, server = None, None, None
    with within("grants"):
        grants = _object(body.get("grants", {}), "grants")
        if PRE_AUTHORIZED_CODE_GRANT in grants:
            with within(PRE_AUTHORIZED_CODE_GRANT):
                code, tx_code, server = _pre_authorized(_object(grants[PRE_AUTHORIZED_CODE_GRANT], "a grant"))
    return CredentialOffer(issuer, tuple(ids), code, tx_code, server)


def checked_issuer(value: Json) -> str:
    """A Credential Issuer Identifier (section 12.2.1): a URL without query and fragment, kept byte for byte."""
    url = checked_url(value)
    if "?" in url or "#" in url:
        raise Malformed("the identifier of an issuer has neither query nor fragment")
    return url


def checked_url(value: Json) -> str:
    """An http or https URL with a host and without user info; which hosts may be opened is decided elsewhere."""
    if not isinstance(value, str) or not _URL_TEXT.match(value):
        raise Malformed("expected a URL")
    try:
        parts = urlsplit(value)
        usable = parts.scheme in ("https", "http") and parts.hostname and "@" not in parts.netloc
        _ = parts.port
    except ValueError as error:
        raise Malformed("expected a URL") from error
    if not usable:
        raise Malformed("expected an https URL")
    return value


def _pre_authorized(grant: JsonObject) -> tuple[str, TxCode | None, str | None]:
    code = grant.get("pre-authorized_code")
    if not isinstance(code, str) or not 0 < len(code) <= _MAX_CODE_CHARS:
        raise Malformed("expected the code of the grant", path=("pre-authorized_code",))
    server = None
    if "authorization_server" in grant:
        with within("authorization_server"):
            server = checked_issuer(grant["authorization_server"])
    if "tx_code" not in grant:
        return code, None, server
    with within("tx_code"):
        return code, _tx_code(_object(grant["tx_code"], "tx_code")), server


def _tx_code(value: JsonObject) -> TxCode:
    length, mode, description = (
        value.get("length"),
        value.get("input_mode", "numeric"),
        value.get("description"),
    )
    if length is not None and (type(length) is not int or not 0 < length <= 1000):
        raise Malformed("expected a number of characters", path=("length",))
    if mode not in ("numeric", "text"):
        raise Malformed("expected numeric or text", path=("input_mode",))
    if description is not None and (
        not isinstance(description, str) or len(description) > MAX_DESCRIPTION_CHARS
    ):
        raise Malformed(f"expected at most {MAX_DESCRIPTION_CHARS} characters", path=("description",))
    return TxCode(length, mode, description)


def _object(value: Json, what: str) -> JsonObject:
    if not isinstance(value, dict):
        raise Malformed(f"{what} is a JSON object")
    return value
