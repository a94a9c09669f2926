"""Who gave a wrong answer is named, and another host may give a right one: what is amiss becomes Unavailable."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from node.core.errors import Malformed, NotVerified, Unavailable


def at_fault(host: str, what: str) -> Unavailable:
    """The error that names `host` and says of it `what` it did."""
    return Unavailable(f"{host} is at fault: {what}", asked=host)


@contextmanager
def blaming(host: str, given: str = "a wrong proof") -> Iterator[None]:
    """Turn Malformed and NotVerified, raised over what `host` has `given`, into Unavailable."""
    try:
        yield
    except (Malformed, NotVerified) as error:
        raise at_fault(host, f"it gave {given}: {error.detail}") from error
