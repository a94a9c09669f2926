"""JSON Canonicalization Scheme, RFC 8785.

orjson writes most documents, a small pure implementation (rfc8785) the rest; both are tested to agree. What
is canonicalized here was read by `strict_json`, or built by us.
"""

from __future__ import annotations

from typing import Final

import orjson
import rfc8785

from node.core.errors import Malformed
from node.core.strict_json import MAX_INTEGER, Json

# Below this orjson and ECMAScript choose between decimals and exponent differently.
_MIN_FLOAT: Final = 1e-4
# With which the UTF-8 of a character beyond the Basic Multilingual Plane begins.
_BEYOND_BMP: Final = (b"\xf0", b"\xf1", b"\xf2", b"\xf3", b"\xf4")


def canonicalize(value: Json) -> bytes:
    """The JCS form of a JSON value, in UTF-8.

    Malformed where RFC 8785 has none: integers beyond 2^53 - 1, NaN and infinities, lone surrogates, member
    names that are not strings, values that are not JSON, and nesting too deep to walk.
    """
    try:
        return _written_fast(value) or rfc8785.dumps(value)
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise Malformed(f"no canonical JSON form (RFC 8785): {_reason(error)}") from error


def _written_fast(value: Json) -> bytes | None:
    """What orjson writes with sorted keys, where that is what RFC 8785 section 3.2 asks for; else None.

    It orders member names by code point, not by UTF-16 unit, which differ only for characters beyond the Basic
    Multilingual Plane; it spells some numbers otherwise, and writes Python types that are no JSON.
    """
    if not _has_plain_values(value):
        return None
    try:
        written = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError:  # a member name of a kind of string that only the other knows, or an error
        return None
    return None if any(lead in written for lead in _BEYOND_BMP) else written


def _has_plain_values(value: Json) -> bool:
    todo = [value if type(value) is dict or type(value) is list else [value]]
    for holder in todo:  # which grows meanwhile
        for item in holder.values() if type(holder) is dict else holder:
            kind = type(item)
            if kind is str:
                continue
            if kind is dict or kind is list:
                todo.append(item)
            elif kind is not bool and item is not None and not _is_plain_number(item):
                return False
    return True


def _is_plain_number(value: object) -> bool:
    if type(value) is int:
        return -MAX_INTEGER <= value <= MAX_INTEGER
    return type(value) is float and not value.is_integer() and _MIN_FLOAT <= abs(value) <= MAX_INTEGER


def _reason(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "nested too deeply"
    if isinstance(error, rfc8785.CanonicalizationError):
        return str(error)
    if isinstance(error, UnicodeError):
        return "a lone surrogate"
    return "a value that is not JSON"
