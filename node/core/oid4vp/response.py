"""The answer of a wallet (OpenID4VP 1.0 section 8) as a direct_post form, and what the verifier says to it.

`vp_token` is an object: query id to an array of presentations. Beside it travel, where the verifier said that it
takes them, the bundles of the credentials as `bonafides_bundles` (FORMATS.md section 7). Older drafts, in which
`vp_token` was a text or an array, are refused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from node.core.bundle import Bundle, parse_bundle
from node.core.errors import Malformed
from node.core.members import within
from node.core.oid4vp.dcql import MAX_QUERIES
from node.core.strict_json import Json, JsonObject, parse_json, parse_json_object

MAX_RESPONSE_BYTES: Final = 16 * 1024 * 1024
MAX_PRESENTATIONS: Final = 64
MAX_DESCRIPTION: Final = 1_000

# RFC 6749 section 4.1.2.1 and OpenID4VP 1.0 section 8.5.
ERROR_CODES: Final = frozenset(
    {
        "access_denied",
        "invalid_client",
        "invalid_request",
        "invalid_request_uri_method",
        "invalid_scope",
        "invalid_transaction_data",
        "server_error",
        "temporarily_unavailable",
        "unauthorized_client",
        "unsupported_response_type",
        "vp_formats_not_supported",
        "wallet_unavailable",
    }
)


@dataclass(frozen=True, slots=True)
class AuthorizationResponse:
    """Presentations by query id, as objects, with the bundles that came beside them."""

    vp_token: Mapping[str, tuple[JsonObject, ...]]
    state: str | None = None
    bundles: tuple[Bundle, ...] = ()

    def to_form(self) -> dict[str, str]:
        """The form parameters of direct_post."""
        form = {"vp_token": _dumps({name: list(items) for name, items in self.vp_token.items()})}
        if self.state is not None:
            form["state"] = self.state
        if self.bundles:
            form["bonafides_bundles"] = _dumps([bundle.to_json() for bundle in self.bundles])
        return form


@dataclass(frozen=True, slots=True)
class AuthorizationError:
    """The wallet's no, with the protocol's code."""

    error: str
    description: str | None = None
    state: str | None = None

    def to_form(self) -> dict[str, str]:
        """The form parameters of direct_post."""
        form = {"error": self.error}
        if self.description is not None:
            form["error_description"] = self.description
        if self.state is not None:
            form["state"] = self.state
        return form


def parse_response(form: Mapping[str, str]) -> AuthorizationResponse | AuthorizationError:
    """What a wallet posted; Malformed with the parameter. Unknown parameters are passed over."""
    state = form.get("state")
    if "error" in form:
        code = form["error"]
        if code not in ERROR_CODES:
            raise Malformed("an error code that is not known", path=("error",))
        return AuthorizationError(code, form.get("error_description", "")[:MAX_DESCRIPTION] or None, state)
    if "vp_token" not in form:
        raise Malformed("vp_token is required", path=("vp_token",))
    with within("vp_token"):
        token = _parse_token(parse_json_object(form["vp_token"], max_bytes=MAX_RESPONSE_BYTES))
    bundles: tuple[Bundle, ...] = ()
    if "bonafides_bundles" in form:
        with within("bonafides_bundles"):
            bundles = _parse_bundles(parse_json(form["bonafides_bundles"], max_bytes=MAX_RESPONSE_BYTES))
    return AuthorizationResponse(token, state, bundles)


def encode_answer(redirect_uri: str | None = None) -> JsonObject:
    """What the verifier says to a direct_post: nothing, or where the browser goes next (section 8.2)."""
    return {} if redirect_uri is None else {"redirect_uri": redirect_uri}


def parse_answer(data: bytes) -> str | None:
    """Where a verifier sends the browser after direct_post; None where nowhere."""
    redirect_uri = parse_json_object(data, max_bytes=64 * 1024).get("redirect_uri")
    if redirect_uri is not None and not isinstance(redirect_uri, str):
        raise Malformed("redirect_uri is a text", path=("redirect_uri",))
    return redirect_uri


def _parse_token(value: JsonObject) -> dict[str, tuple[JsonObject, ...]]:
    if not value or len(value) > MAX_QUERIES:
        raise Malformed(f"expected answers to 1 to {MAX_QUERIES} queries")
    token = {name: _parse_presentations(name, items) for name, items in value.items()}
    # All of it is judged in one go, with endpoints asked for each.
    presentations = [item for items in token.values() for item in items]
    if len(presentations) > MAX_PRESENTATIONS or sum(map(_credentials_in, presentations)) > MAX_PRESENTATIONS:
        raise Malformed(f"more than {MAX_PRESENTATIONS} presentations or credentials")
    return token


def _credentials_in(presentation: JsonObject) -> int:
    held = presentation.get("verifiableCredential")
    return len(held) if isinstance(held, list) else 1


def _parse_presentations(name: str, items: Json) -> tuple[JsonObject, ...]:
    with within(name):
        if not isinstance(items, list) or not 0 < len(items) <= MAX_PRESENTATIONS:
            raise Malformed(f"expected an array of 1 to {MAX_PRESENTATIONS} presentations")
        if not all(isinstance(item, dict) for item in items):
            raise Malformed("only presentations of the format ldp_vc are known here: JSON objects")
        return tuple(items)


def _parse_bundles(value: Json) -> tuple[Bundle, ...]:
    if not isinstance(value, list) or len(value) > MAX_PRESENTATIONS:
        raise Malformed(f"expected an array of at most {MAX_PRESENTATIONS} bundles")
    bundles = []
    for index, item in enumerate(value):
        with within(index):
            bundle = parse_bundle(item)
            if bundle.credential_digest is None:
                raise Malformed("a bundle beside a presentation has a credentialDigest and no credential")
            bundles.append(bundle)
    return tuple(bundles)


def _dumps(value: Sequence[Json] | JsonObject) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
