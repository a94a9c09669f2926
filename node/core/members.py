"""Reading the members of closed JSON objects, the shape of every format of our own (FORMATS.md section 7).

Closed: a member that is not known is Malformed, so that nothing travels in a bundle that nobody has judged.
Each reader takes the object and the member's name, and its errors carry the path of the member.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from node.core.encoding import decode_base64url, decode_hex
from node.core.errors import Malformed
from node.core.strict_json import MAX_INTEGER, Json, JsonObject


@contextmanager
def within(*steps: str | int) -> Iterator[None]:
    """Put `steps` before the path of a Malformed that is raised inside."""
    try:
        yield
    except Malformed as error:
        path = (*steps, *error.problem.path)
        raise Malformed(error.detail, type=error.problem.type, path=path) from error


def closed_object(
    value: Json, what: str, required: frozenset[str], optional: frozenset[str] = frozenset()
) -> JsonObject:
    """`value` as an object with all `required` members and no others than `optional`; `what` names it."""
    if not isinstance(value, dict):
        raise Malformed(f"{what} is a JSON object")
    if missing := required - value.keys():
        raise Malformed(f"{what} lacks {', '.join(sorted(missing))}")
    if unknown := value.keys() - required - optional:
        raise Malformed(f"{what} has unknown members: {', '.join(sorted(map(repr, unknown)))[:200]}")
    return value


def integer_member(members: JsonObject, name: str, *, minimum: int = 0) -> int:
    """An integer from `minimum` to 2^53 - 1."""
    value = members[name]
    if type(value) is not int or not minimum <= value <= MAX_INTEGER:
        raise Malformed(f"expected an integer from {minimum} to 2^53 - 1", path=(name,))
    return value


def boolean_member(members: JsonObject, name: str) -> bool:
    """True or false."""
    value = members[name]
    if not isinstance(value, bool):
        raise Malformed("expected true or false", path=(name,))
    return value


def text_member(members: JsonObject, name: str, *, max_bytes: int, empty: bool = False) -> str:
    """A text of at most `max_bytes` of UTF-8, not empty unless that is said."""
    value = members[name]
    if not isinstance(value, str) or not (value or empty):
        raise Malformed("expected a text", path=(name,))
    try:
        length = len(value.encode("utf-8"))
    except UnicodeEncodeError as error:
        raise Malformed("a lone surrogate", path=(name,)) from error
    if length > max_bytes:
        raise Malformed(f"expected a text of at most {max_bytes:,} bytes", path=(name,))
    return value


def list_member(members: JsonObject, name: str, *, max_items: int) -> list[Json]:
    """A list of at most `max_items` items."""
    value = members[name]
    if not isinstance(value, list) or len(value) > max_items:
        raise Malformed(f"expected a list of at most {max_items:,} items", path=(name,))
    return value


def hex_value(value: Json, length: int) -> bytes:
    """`length` bytes as lower-case hex with `0x`."""
    if not isinstance(value, str) or len(value) != 2 + 2 * length:
        raise Malformed(f"expected {length} bytes of lower-case hex with 0x")
    return decode_hex(value, length)


def hex_member(members: JsonObject, name: str, length: int) -> bytes:
    """As `hex_value`, of a member."""
    with within(name):
        return hex_value(members[name], length)


def digest_list(members: JsonObject, name: str, *, max_items: int) -> tuple[bytes, ...]:
    """A list of 32-byte digests in hex."""
    digests = []
    for position, value in enumerate(list_member(members, name, max_items=max_items)):
        with within(name, position):
            digests.append(hex_value(value, 32))
    return tuple(digests)


def base64url_value(value: Json, *, max_bytes: int, length: int | None = None) -> bytes:
    """Base64url without padding of at most `max_bytes`, or of exactly `length`."""
    if not isinstance(value, str) or len(value) > (max_bytes * 4 + 2) // 3:
        raise Malformed(f"expected base64url of at most {max_bytes:,} bytes")
    data = decode_base64url(value)
    if length is not None and len(data) != length:
        raise Malformed(f"expected {length} bytes, got {len(data)}")
    return data


def base64url_member(members: JsonObject, name: str, *, max_bytes: int, length: int | None = None) -> bytes:
    """As `base64url_value`, of a member."""
    with within(name):
        return base64url_value(members[name], max_bytes=max_bytes, length=length)
