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


def canonicalize(value: Json) -> bytes:
    """The JCS form of a JSON value, in UTF-8.

    Malformed where RFC 8785 has none: integers beyond 2^53 - 1, NaN and infinities, lone surrogates, member
    names that are not strings, values that are not JSON, and nesting too deep to walk.
    """
    try:
        if _orjson_agrees(value):
            return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
        return rfc8785.dumps(value)
    except (orjson.JSONEncodeError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise Malformed(f"no canonical JSON form (RFC 8785): {_reason(error)}") from error


def _orjson_agrees(value: Json) -> bool:
    """Whether orjson with sorted keys writes what RFC 8785 section 3.2 asks for.

    It orders member names by code point, not by UTF-16 unit, and spells some numbers otherwise; it also
    writes Python types that are no JSON.
    """
    todo = [value]
    while todo:
        item = todo.pop()
        kind = type(item)
        if kind is str or kind is bool or item is None:
            continue
        if kind is dict:
            if not all(type(name) is str and name.isascii() for name in item):
                return False
            todo.extend(item.values())
        elif kind is list:
            todo.extend(item)
        elif kind is int:
            if not -MAX_INTEGER <= item <= MAX_INTEGER:
                return False
        elif kind is not float or item.is_integer() or not _MIN_FLOAT <= abs(item) <= MAX_INTEGER:
            return False
    return True


def _reason(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "nested too deeply"
    if isinstance(error, rfc8785.CanonicalizationError):
        return str(error)
    if isinstance(error, UnicodeError):
        return "a lone surrogate"
    return "a value that is not JSON"
