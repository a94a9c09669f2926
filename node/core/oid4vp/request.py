"""The authorization request of a verifier (OpenID4VP 1.0 section 5), as this project sends and takes it.

Client identifiers have the prefix `redirect_uri:`, so requests are not signed (section 5.9.3): the rest of the
identifier is the response URI, and the whole identifier, prefix included, is the audience of the answer. The
request is fetched from `request_uri` as an unsecured request object (RFC 9101) whose `typ` is mandatory, or stands
in the link itself. `response_mode` is direct_post, or direct_post.jwt, whose answer is encrypted to a key in the
request. What a wallet of ours cannot honour is refused, with the code that the verifier is told: transaction data,
other prefixes and modes, formats that are not known here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit

from node.core.encoding import decode_base64url, encode_base64url
from node.core.errors import Malformed, Refused
from node.core.jose.jwe import CONTENT_ENCRYPTIONS, RecipientKey, parse_recipient_jwk
from node.core.members import list_member, within
from node.core.oid4vp.dcql import DcqlQuery, parse_dcql
from node.core.strict_json import Json, JsonObject, parse_json_object

SCHEME: Final = "openid4vp"
PREFIX: Final = "redirect_uri:"
REQUEST_OBJECT_TYPE: Final = "oauth-authz-req+jwt"
MEDIA_TYPE: Final = "application/oauth-authz-req+jwt"
STATIC_AUDIENCE: Final = "https://self-issued.me/v2"
DIRECT_POST: Final = "direct_post"
DIRECT_POST_JWT: Final = "direct_post.jwt"
MAX_REQUEST_BYTES: Final = 64 * 1024
MAX_KEYS: Final = 16
# What a verifier takes that does not say (section 5.1).
_DEFAULT_ENC: Final = "A128GCM"
# Section 5.2: fresh, of at least 128 bits, in characters that survive a URL.
_TOKEN: Final = re.compile(r"[A-Za-z0-9._~-]{1,512}\Z")
# Characters that no URL has (RFC 3986 section 2) are mended by some parsers and dropped by others.
_URL_TEXT: Final = re.compile(r"[!#-;=?-\[\]_a-z~]{1,2048}\Z")
_PREFIXES: Final = frozenset(
    {
        "redirect_uri",
        "openid_federation",
        "decentralized_identifier",
        "verifier_attestation",
        "x509_san_dns",
        "x509_hash",
        "origin",
    }
)
_OBJECTS: Final = ("dcql_query", "client_metadata")
_KNOWN_METADATA: Final = frozenset(
    {
        *("vp_formats_supported", "client_name", "bonafides_bundle"),
        *("jwks", "encrypted_response_enc_values_supported"),
    }
)


@dataclass(frozen=True, slots=True)
class ClientMetadata:
    """What the verifier says of itself; unknown members are kept in `more`."""

    vp_formats_supported: JsonObject
    client_name: str | None = None
    bonafides_bundle: bool = False
    """Whether bundles may travel beside the presentations (FORMATS.md section 7)."""
    more: JsonObject = field(default_factory=dict)
    keys: tuple[JsonObject, ...] = ()
    """`jwks`: to one of these an encrypted answer is encrypted."""
    enc_values: tuple[str, ...] = ()
    """`encrypted_response_enc_values_supported`; empty where nothing is said."""

    def to_json(self) -> JsonObject:
        """The metadata as `client_metadata`."""
        body: JsonObject = {**self.more, "vp_formats_supported": self.vp_formats_supported}
        if self.keys:
            body["jwks"] = {"keys": list(self.keys)}
        if self.enc_values:
            body["encrypted_response_enc_values_supported"] = list(self.enc_values)
        if self.client_name is not None:
            body["client_name"] = self.client_name
        if self.bonafides_bundle:
            body["bonafides_bundle"] = True
        return body


@dataclass(frozen=True, slots=True)
class Encryption:
    """To which of the verifier's keys an answer is encrypted, and how its content (section 8.3)."""

    recipient: RecipientKey
    enc: str


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """What a verifier asks. `nonce` comes back as challenge or nonce, `client_id` as domain or audience."""

    client_id: str
    nonce: str
    dcql_query: DcqlQuery
    client_metadata: ClientMetadata
    state: str | None = None
    encryption: Encryption | None = None
    """How the answer is encrypted (direct_post.jwt); None: not at all (direct_post)."""

    @property
    def response_uri(self) -> str:
        """Where the answer is posted: the identifier without its prefix."""
        return self.client_id.removeprefix(PREFIX)

    @property
    def response_mode(self) -> str:
        """`direct_post` or `direct_post.jwt`."""
        return DIRECT_POST if self.encryption is None else DIRECT_POST_JWT

    def to_json(self) -> JsonObject:
        """The parameters as the claims of a request object."""
        body: JsonObject = {
            "client_id": self.client_id,
            "aud": STATIC_AUDIENCE,
            "response_type": "vp_token",
            "response_mode": self.response_mode,
            "response_uri": self.response_uri,
            "nonce": self.nonce,
            "dcql_query": self.dcql_query.to_json(),
            "client_metadata": self.client_metadata.to_json(),
        }
        if self.state is not None:
            body["state"] = self.state
        return body


@dataclass(frozen=True, slots=True)
class RequestReference:
    """A link that says where the request is to be had. `client_id` must be the one inside it."""

    client_id: str
    request_uri: str


def client_id_of(response_uri: str) -> str:
    """The client identifier of a verifier that takes its answers at `response_uri`."""
    return PREFIX + response_uri


def encryption_of(metadata: ClientMetadata) -> Encryption:
    """How to encrypt an answer to a verifier, the first of its keys that is known here; Refused where none is."""
    enc_values = metadata.enc_values or (_DEFAULT_ENC,)
    enc = next((name for name in CONTENT_ENCRYPTIONS if name in enc_values), None)
    for jwk in metadata.keys:
        try:
            recipient = parse_recipient_jwk(jwk)
        except Malformed:
            continue
        if enc is not None:
            return Encryption(recipient, enc)
    raise Refused("the answer is to be encrypted, and the request has no key and way that are known here")


def encode_request_object(request: AuthorizationRequest) -> str:
    """The request as an unsecured JWT: `alg` none, since requests with this prefix must not be signed."""
    header = {"alg": "none", "typ": REQUEST_OBJECT_TYPE}
    return f"{_segment(header)}.{_segment(request.to_json())}."


def encode_link(reference: RequestReference, *, scheme: str = SCHEME) -> str:
    """The link that a QR code or a button holds."""
    query = urlencode({"client_id": reference.client_id, "request_uri": reference.request_uri})
    return f"{scheme}://?{query}"


def parse_link(text: str) -> RequestReference | AuthorizationRequest:
    """What a link asks: a reference that is to be fetched, or the request itself.

    Malformed where it is no such link; Refused with the protocol's code where it asks for what is not done here.
    """
    if len(text) > MAX_REQUEST_BYTES:
        raise Malformed(f"a link of more than {MAX_REQUEST_BYTES:,} bytes")
    head, mark, query = text.strip().partition("?")
    if not mark or "://" not in head:
        raise Malformed("this is not a link of a verifier: it would begin openid4vp://?")
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=True, max_num_fields=32)
    except ValueError as error:
        raise Malformed("the link's parameters cannot be read") from error
    parameters = dict(pairs)
    if len(parameters) != len(pairs):
        raise Malformed("a parameter is given twice")
    if "request" in parameters and "request_uri" in parameters:
        raise Malformed("either request or request_uri, not both")
    if "request" in parameters:
        return parse_request_object(parameters["request"], _text(parameters, "client_id"))
    if "request_uri" not in parameters:
        return _parse_request(_decoded(parameters))
    if parameters.get("request_uri_method", "get") not in ("get", "post"):
        raise Refused("request_uri_method is get or post", code="invalid_request_uri_method")
    reference = RequestReference(_text(parameters, "client_id"), _text(parameters, "request_uri"))
    _check_client_id(reference.client_id)
    _check_url(reference.request_uri, "request_uri")
    return reference


def parse_request_object(data: bytes | str, expected_client_id: str) -> AuthorizationRequest:
    """The request that was fetched for a reference; only what it holds counts (RFC 9101 section 5)."""
    if len(data) > MAX_REQUEST_BYTES:
        raise Malformed(f"a request of more than {MAX_REQUEST_BYTES:,} bytes")
    try:
        text = data if isinstance(data, str) else data.decode("ascii")
    except UnicodeDecodeError as error:
        raise Malformed("a request object is ASCII") from error
    segments = text.strip().split(".")
    if len(segments) != 3:
        raise Malformed("a request object has three segments")
    header = parse_json_object(decode_base64url(segments[0]))
    if header.get("typ") != REQUEST_OBJECT_TYPE:
        raise Refused(f"the typ of a request object is {REQUEST_OBJECT_TYPE}")
    if header.get("alg") != "none" or segments[2]:
        raise Refused("a request of a client with the prefix redirect_uri must not be signed")
    request = _parse_request(parse_json_object(decode_base64url(segments[1])))
    if request.client_id != expected_client_id:
        raise Refused("the request is another client's than the link said")
    return request


def parse_request(value: Json) -> AuthorizationRequest:
    """As `parse_request_object`, for the parameters as one JSON object (as a verifier keeps them)."""
    if not isinstance(value, dict):
        raise Malformed("a request is a JSON object")
    return _parse_request(value)


def _parse_request(value: JsonObject) -> AuthorizationRequest:
    client_id = _text(value, "client_id")
    _check_client_id(client_id)
    _check_kind(value)
    if ("dcql_query" in value) == ("scope" in value):
        raise Refused("exactly one of dcql_query and scope")
    if "scope" in value:
        raise Refused("no scope is known here", code="invalid_scope")
    if "transaction_data" in value:
        raise Refused("transaction data are not known here", code="invalid_transaction_data")
    response_uri = _text(value, "response_uri")
    if "redirect_uri" in value:
        raise Refused("redirect_uri has no place beside direct_post")
    # Section 5.9.3: whoever is named by a URI gets the answer there and nowhere else.
    if client_id != client_id_of(response_uri):
        raise Refused("the response URI is not the one that the client is named by")
    _check_url(response_uri, "response_uri")
    with within("dcql_query"):
        query = parse_dcql(value["dcql_query"])
    with within("client_metadata"):
        metadata = _parse_metadata(value.get("client_metadata"))
    state = _token(value, "state") if "state" in value else None
    if state is None and not all(one.require_cryptographic_holder_binding for one in query.credentials):
        raise Refused("a request that waives holder binding needs a state")
    encryption = encryption_of(metadata) if value["response_mode"] == DIRECT_POST_JWT else None
    return AuthorizationRequest(client_id, _token(value, "nonce"), query, metadata, state, encryption)


def _check_kind(value: JsonObject) -> None:
    if value.get("response_type") != "vp_token":
        raise Refused("only the response type vp_token is known here", code="unsupported_response_type")
    if value.get("response_mode") not in (DIRECT_POST, DIRECT_POST_JWT):
        raise Refused(f"only the response modes {DIRECT_POST} and {DIRECT_POST_JWT} are known here")


def _check_client_id(client_id: str) -> None:
    prefix, mark, _ = client_id.partition(":")
    if client_id.startswith(PREFIX):
        return
    if mark and prefix in _PREFIXES:
        raise Refused(f"clients with the prefix {prefix} are not known here")
    raise Refused("this wallet knows no registered clients: the client_id needs a prefix")


def _parse_metadata(value: Json) -> ClientMetadata:
    if not isinstance(value, dict):
        raise Malformed("client_metadata is required and is an object")
    formats = value.get("vp_formats_supported")
    if not isinstance(formats, dict) or not formats:
        raise Malformed("vp_formats_supported is required", path=("vp_formats_supported",))
    name = value.get("client_name")
    if name is not None and not isinstance(name, str):
        raise Malformed("client_name is a text", path=("client_name",))
    bundle = value.get("bonafides_bundle", False)
    if not isinstance(bundle, bool):
        raise Malformed("expected true or false", path=("bonafides_bundle",))
    more = {key: value[key] for key in value if key not in _KNOWN_METADATA}
    return ClientMetadata(formats, name, bundle, more, _parse_keys(value), _parse_enc_values(value))


def _parse_keys(value: JsonObject) -> tuple[JsonObject, ...]:
    if "jwks" not in value:
        return ()
    jwks = value["jwks"]
    with within("jwks"):
        if not isinstance(jwks, dict):
            raise Malformed("a JWK set is an object")
        keys = list_member(jwks, "keys", max_items=MAX_KEYS) if "keys" in jwks else None
        if keys is None or not all(isinstance(key, dict) for key in keys):
            raise Malformed("a JWK is an object", path=("keys",))
    return tuple(keys)


def _parse_enc_values(value: JsonObject) -> tuple[str, ...]:
    name = "encrypted_response_enc_values_supported"
    if name not in value:
        return ()
    listed = list_member(value, name, max_items=MAX_KEYS)
    if not listed or not all(isinstance(one, str) for one in listed):
        raise Malformed("expected a list of texts that is not empty", path=(name,))
    return tuple(listed)


def _decoded(parameters: Mapping[str, str]) -> JsonObject:
    """URL parameters with the objects among them parsed (section 5: they are JSON texts there)."""
    value: JsonObject = dict(parameters)
    for name in _OBJECTS:
        if name in value:
            with within(name):
                value[name] = parse_json_object(value[name])
    return value


def _text(value: Mapping[str, Json], name: str) -> str:
    found = value.get(name)
    if not isinstance(found, str) or not found:
        raise Malformed(f"{name} is required and is a text", path=(name,))
    return found


def _token(value: Mapping[str, Json], name: str) -> str:
    found = _text(value, name)
    if not _TOKEN.match(found):
        raise Malformed(f"{name} is of letters, digits, -, ., _ and ~", path=(name,))
    return found


def _check_url(url: str, name: str) -> None:
    # Read strictly: the host that a person is shown must be the one that is asked, whoever parses the URL.
    if not _URL_TEXT.match(url):
        raise Malformed(f"{name} is not a URL", path=(name,))
    try:
        parts = urlsplit(url)
        whole = bool(parts.hostname) and (parts.port is None or parts.port > 0)  # .port raises for nonsense
    except ValueError as error:
        raise Malformed(f"{name} is not a URL", path=(name,)) from error
    # Plain http is for development: the egress guard decides whether it may be opened.
    if parts.scheme not in ("https", "http") or not whole or "@" in parts.netloc or "#" in url:
        raise Malformed(f"{name} is not an https URL without user info and fragment", path=(name,))


def _segment(value: JsonObject) -> str:
    return encode_base64url(json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode())
