"""The registered claims of a token (RFC 7519 section 4.1), `nonce` and `cnf` (RFC 7800), read from a payload.

What they have to be equal to is for the formats to say, and whether the times hold now for the caller.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from node.core.errors import Malformed
from node.core.strict_json import Json, JsonObject
from node.core.times import from_unix, parse_datetime_stamp

# Said of the token, not of its subject: none of these is a term of the VC data model.
TOKEN_CLAIMS: Final = frozenset({"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "nonce", "cnf", "status"})


@dataclass(frozen=True, slots=True)
class Claims:
    """The claims of one token; `raw` is the payload, where the claims that are not named here stand too.

    `audience` is empty where there is none, one string a tuple of one. Times are cut to whole seconds.
    """

    raw: JsonObject
    issuer: str | None = None
    subject: str | None = None
    audience: tuple[str, ...] = ()
    expires: datetime | None = None
    not_before: datetime | None = None
    issued_at: datetime | None = None
    token_id: str | None = None
    nonce: str | None = None


def parse_claims(payload: JsonObject) -> Claims:
    """The registered claims of `payload`; Malformed where one has a type that RFC 7519 does not give it."""
    return Claims(
        raw=payload,
        issuer=_text(payload, "iss"),
        subject=_text(payload, "sub"),
        audience=_audience(payload.get("aud", [])),
        expires=_moment(payload, "exp"),
        not_before=_moment(payload, "nbf"),
        issued_at=_issued_at(payload),
        token_id=_text(payload, "jti"),
        nonce=_text(payload, "nonce"),
    )


def numeric_date(moment: datetime) -> int:
    """A NumericDate (RFC 7519 section 2): seconds since 1970, fractions dropped."""
    return math.floor(moment.timestamp())


def _text(payload: JsonObject, name: str) -> str | None:
    if name not in payload:
        return None
    value = payload[name]
    if not isinstance(value, str):
        raise Malformed(f"the claim {name} is a string", path=(name,))
    return value


def _audience(value: Json) -> tuple[str, ...]:
    listed = value if isinstance(value, list) else [value]
    if not all(isinstance(item, str) for item in listed):
        raise Malformed("the claim aud is a string or an array of strings", path=("aud",))
    return tuple(listed)


def _moment(payload: JsonObject, name: str) -> datetime | None:
    if name not in payload:
        return None
    value = payload[name]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Malformed(f"the claim {name} is a number of seconds", path=(name,))
    try:
        return from_unix(math.floor(value))
    except Malformed as error:
        raise Malformed(f"the claim {name} is {error.detail}", path=(name,)) from error


def _issued_at(payload: JsonObject) -> datetime | None:
    # The vectors of VC-JOSE-COSE write `iat` as a dateTimeStamp. Nothing is accepted because of it, so it is read.
    value = payload.get("iat")
    if isinstance(value, str):
        try:
            return parse_datetime_stamp(value)
        except Malformed as error:
            raise Malformed(f"the claim iat is {error.detail}", path=("iat",)) from error
    return _moment(payload, "iat")
