"""The answer of a wallet (OpenID4VP 1.0 section 8) as a direct_post form, and what the verifier says to it.

`vp_token` is an object: query id to an array of presentations, objects or texts as the format has it. Beside it
travel, where the verifier said that it takes them, the bundles of the credentials as `bonafides_bundles` (FORMATS.md
section 7). Under direct_post.jwt all of it is one object, encrypted to the verifier (section 8.3). Older drafts, in
which `vp_token` was a text or an array, are refused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from node.core.bundle import Bundle, parse_bundle
from node.core.errors import Malformed
from node.core.jose.jwe import DecryptionKey, encrypt
from node.core.members import within
from node.core.oid4vp.dcql import MAX_QUERIES
from node.core.oid4vp.request import Encryption
from node.core.strict_json import Json, JsonObject, parse_json, parse_json_object

Presentation = JsonObject | str
"""A presentation or credential as it travels: an object, or the text of a token."""

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
    """Presentations by query id, with the bundles that came beside them."""

    vp_token: Mapping[str, tuple[Presentation, ...]]
    state: str | None = None
    bundles: tuple[Bundle, ...] = ()

    def to_form(self) -> dict[str, str]:
        """The form parameters of direct_post."""
        members = self._members()
        return {name: value if isinstance(value, str) else _dumps(value) for name, value in members.items()}

    def to_encrypted_form(self, encryption: Encryption, *, secret: bytes, iv: bytes) -> dict[str, str]:
        """The form parameters of direct_post.jwt; the randomness is that of `node.core.jose.jwe.encrypt`."""
        payload = _dumps(self._members()).encode()
        return {"response": encrypt(payload, encryption.recipient, encryption.enc, secret=secret, iv=iv)}

    def _members(self) -> JsonObject:
        members: JsonObject = {"vp_token": {name: list(items) for name, items in self.vp_token.items()}}
        if self.state is not None:
            members["state"] = self.state
        if self.bundles:
            members["bonafides_bundles"] = [bundle.to_json() for bundle in self.bundles]
        return members


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


def parse_response(
    form: Mapping[str, str], key: DecryptionKey | None = None
) -> AuthorizationResponse | AuthorizationError:
    """What a wallet posted; Malformed with the parameter. Unknown parameters are passed over.

    With a `key` it was to be encrypted to that: then nothing but an error is taken in the clear (section 8.3.1).
    """
    if key is None or ("error" in form and "response" not in form):
        return _parse_members(_decoded(form))
    if "response" not in form:
        raise Malformed("the answer was to be encrypted", path=("response",))
    with within("response"):
        payload = key.decrypt(form["response"])
    return _parse_members(parse_json_object(payload, max_bytes=MAX_RESPONSE_BYTES))


def _decoded(form: Mapping[str, str]) -> JsonObject:
    """Form parameters with the JSON among them parsed."""
    members: JsonObject = dict(form)
    for name in ("vp_token", "bonafides_bundles"):
        if name in form:
            with within(name):
                members[name] = parse_json(form[name], max_bytes=MAX_RESPONSE_BYTES)
    return members


def _parse_members(members: JsonObject) -> AuthorizationResponse | AuthorizationError:
    state = _text(members, "state")
    if "error" in members:
        code = members["error"]
        if not isinstance(code, str) or code not in ERROR_CODES:
            raise Malformed("an error code that is not known", path=("error",))
        described = (_text(members, "error_description") or "")[:MAX_DESCRIPTION]
        return AuthorizationError(code, described or None, state)
    if "vp_token" not in members:
        raise Malformed("vp_token is required", path=("vp_token",))
    with within("vp_token"):
        token = _parse_token(members["vp_token"])
    bundles: tuple[Bundle, ...] = ()
    if "bonafides_bundles" in members:
        with within("bonafides_bundles"):
            bundles = _parse_bundles(members["bonafides_bundles"])
    return AuthorizationResponse(token, state, bundles)


def _text(members: JsonObject, name: str) -> str | None:
    value = members.get(name)
    if not isinstance(value, str | None):
        raise Malformed(f"{name} is a text", path=(name,))
    return value


def encode_answer(redirect_uri: str | None = None) -> JsonObject:
    """What the verifier says to a direct_post: nothing, or where the browser goes next (section 8.2)."""
    return {} if redirect_uri is None else {"redirect_uri": redirect_uri}


def parse_answer(data: bytes) -> str | None:
    """Where a verifier sends the browser after direct_post; None where nowhere."""
    redirect_uri = parse_json_object(data, max_bytes=64 * 1024).get("redirect_uri")
    if redirect_uri is not None and not isinstance(redirect_uri, str):
        raise Malformed("redirect_uri is a text", path=("redirect_uri",))
    return redirect_uri


def _parse_token(value: Json) -> dict[str, tuple[Presentation, ...]]:
    if not isinstance(value, dict):
        raise Malformed("expected an object: query id to an array of presentations")
    if not value or len(value) > MAX_QUERIES:
        raise Malformed(f"expected answers to 1 to {MAX_QUERIES} queries")
    token = {name: _parse_presentations(name, items) for name, items in value.items()}
    # All of it is judged in one go, with endpoints asked for each.
    presentations = [item for items in token.values() for item in items]
    if len(presentations) > MAX_PRESENTATIONS or sum(map(_credentials_in, presentations)) > MAX_PRESENTATIONS:
        raise Malformed(f"more than {MAX_PRESENTATIONS} presentations or credentials")
    return token


def _credentials_in(presentation: Presentation) -> int:
    # How many a token holds is seen when it is read.
    held = presentation.get("verifiableCredential") if isinstance(presentation, dict) else None
    return len(held) if isinstance(held, list) else 1


def _parse_presentations(name: str, items: Json) -> tuple[Presentation, ...]:
    with within(name):
        if not isinstance(items, list) or not 0 < len(items) <= MAX_PRESENTATIONS:
            raise Malformed(f"expected an array of 1 to {MAX_PRESENTATIONS} presentations")
        if not all(isinstance(item, dict | str) for item in items):
            raise Malformed("a presentation is an object or a text")
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
