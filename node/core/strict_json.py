"""The one parser for JSON that comes from outside (FORMATS.md section 2).

Refused: duplicate members, NaN and Infinity, numbers whose value is not finite, integers beyond 2^53 - 1,
lone surrogates, a byte order mark, bytes that are not UTF-8, nesting deeper than 64, and more bytes than the
caller allows.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection
from typing import Any, Final, NoReturn

from node.core import problem
from node.core.errors import Malformed

Json = Any
JsonObject = dict[str, Any]

MAX_BYTES: Final = 4 * 1024 * 1024
MAX_DEPTH: Final = 64
MAX_INTEGER: Final = 2**53 - 1
_MAX_INTEGER_CHARS: Final = 17
_SURROGATE_ESCAPE: Final = re.compile(r"\\u[dD][89a-fA-F]")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_BRACKETS: Final = re.compile(r'"(?:[^"\\]|\\.)*"?|[\[\]{}]', re.DOTALL)


def parse_json(data: bytes | str, *, max_bytes: int = MAX_BYTES) -> Json:
    """The value that `data` (UTF-8 where it is bytes) writes, or Malformed with type PARSING_ERROR."""
    text = _decode(data, max_bytes)
    _check_depth(text)
    try:
        value = _DECODER.decode(text)
    except Malformed:
        raise
    except (ValueError, RecursionError) as error:
        raise _malformed(f"not JSON: {_reason(error)}") from error
    if "\\" in text and _SURROGATE_ESCAPE.search(text):
        _refuse_surrogates(value)
    return value


def parse_json_object(data: bytes | str, *, max_bytes: int = MAX_BYTES) -> JsonObject:
    """As `parse_json`, for the places where only an object makes sense."""
    value = parse_json(data, max_bytes=max_bytes)
    if type(value) is not dict:
        raise _malformed("expected a JSON object")
    return value


def objects_in(document: JsonObject, *, without: Collection[str]) -> list[JsonObject]:
    """Every object in a document, itself first; what stands under the names `without` is not looked into."""
    found: list[JsonObject] = [document]
    for item in found:  # which grows meanwhile
        for name, member in item.items():
            kind = type(member)
            if (kind is dict or kind is list) and name not in without:
                if kind is dict:
                    found.append(member)
                    continue
                for value in member:
                    if type(value) is dict:
                        found.append(value)
                    elif type(value) is list:
                        _collect_objects(value, found)
    return found


def _collect_objects(values: list[Json], found: list[JsonObject]) -> None:
    for value in values:
        if type(value) is dict:
            found.append(value)
        elif type(value) is list:
            _collect_objects(value, found)


def _decode(data: bytes | str, max_bytes: int) -> str:
    if len(data) > max_bytes:
        raise _malformed(f"more than {max_bytes:,} bytes of JSON")
    if isinstance(data, str):
        if _SURROGATE.search(data):
            raise _malformed("a lone surrogate")
        return data
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _malformed("not UTF-8") from error
    if text.startswith("\ufeff"):
        raise _malformed("begins with a byte order mark")
    return text


def _check_depth(text: str) -> None:
    # Counting every bracket is an upper bound and cheap; the exact walk runs only where the bound is passed.
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return
    depth = 0
    for match in _BRACKETS.finditer(text):
        token = match.group()
        if token in ("[", "{"):
            depth += 1
            if depth > MAX_DEPTH:
                raise _malformed(f"nested deeper than {MAX_DEPTH}")
        elif token in ("]", "}"):
            depth -= 1


def _reason(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg.lower().removesuffix(' at')} at line {error.lineno}, column {error.colno}"
    return "nested too deeply" if isinstance(error, RecursionError) else "a number is out of range"


def _malformed(detail: str) -> Malformed:
    return Malformed(detail, type=problem.PARSING_ERROR)


def _object(pairs: list[tuple[str, Json]]) -> JsonObject:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise _malformed("an object has the same member twice")
    return value


def _integer(text: str) -> int:
    # The length is looked at first: converting a million digits is quadratic.
    if len(text) > _MAX_INTEGER_CHARS or not -MAX_INTEGER <= (number := int(text)) <= MAX_INTEGER:
        raise _malformed("an integer beyond 2^53 - 1")
    return number


def _real(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise _malformed("a number beyond the range of a double")
    if number.is_integer() and abs(number) > MAX_INTEGER:
        raise _malformed("an integral number beyond 2^53 - 1")
    return number


def _constant(text: str) -> NoReturn:
    raise _malformed(f"{text} is not JSON")


def _refuse_surrogates(value: Json) -> None:
    todo = [value]
    while todo:
        item = todo.pop()
        if isinstance(item, str):
            if _SURROGATE.search(item):
                raise _malformed("a lone surrogate")
        elif isinstance(item, dict):
            todo.extend(item.keys())
            todo.extend(item.values())
        elif isinstance(item, list):
            todo.extend(item)


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_object,
    parse_int=_integer,
    parse_float=_real,
    parse_constant=_constant,
)
