"""Asking the DNS for texts, by the resolver of this machine.

Without DNSSEC: an answer is the word of that resolver, and of whoever can speak in its place.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from node.core.errors import Unavailable

TextLookup = Callable[[str], Awaitable[tuple[str, ...]]]
"""A name to the texts of its TXT records; Unavailable where that cannot be told."""

MAX_TEXTS: Final = 64
_SECONDS: Final = 5.0


async def text_records(name: str, *, nameservers: Sequence[str] = (), port: int = 53) -> tuple[str, ...]:
    """The texts at `name` (RFC 1035 section 3.3.14), each with its pieces joined; none where there are none.

    What is no UTF-8 is passed over. `nameservers` are IP addresses, by default those of this machine.
    """
    import dns.asyncresolver  # noqa: PLC0415 - takes a fifth of a second, which only those pay who ask
    import dns.exception  # noqa: PLC0415
    import dns.resolver  # noqa: PLC0415

    try:
        resolver = dns.asyncresolver.Resolver(configure=not nameservers)
        if nameservers:
            resolver.nameservers = list(nameservers)
            resolver.port = port
        answer = await resolver.resolve(f"{name}.", "TXT", lifetime=_SECONDS, search=False)
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
        return ()
    except (dns.exception.DNSException, OSError, EOFError, ValueError) as error:
        raise Unavailable(
            f"the DNS gave no answer for {name}: {type(error).__name__}", asked="DNS"
        ) from error
    texts = []
    for record in list(answer)[:MAX_TEXTS]:
        try:
            texts.append(b"".join(record.strings).decode("utf-8"))
        except UnicodeDecodeError:
            continue
    return tuple(texts)
