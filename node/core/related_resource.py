"""Integrity of related resources (VC Data Model 2.0 section 5.3): the digests that a credential gives of other files.

Nothing is fetched for it. Compared is what is here: the contexts whose very bytes a standard publishes. That each
digest is well-formed is `credential.py`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import Final

from node.core import problem
from node.core.encoding import SHA2_256, decode_base64, decode_multibase
from node.core.errors import Malformed
from node.core.strict_json import Json, JsonObject

# In the order of their strength (Subresource Integrity section 3.3.3): only the strongest that is named counts.
_STRENGTH: Final = ("sha512", "sha384", "sha256")


def check_related_resources(document: JsonObject, published: Callable[[str], bytes | None]) -> None:
    """Malformed where a digest is not that of the resource; `published` gives the bytes of those that are here.

    The document conforms to the structural rules. Of several digests in one member one must fit.
    """
    listed = document.get("relatedResource", [])
    for index, item in enumerate(listed if isinstance(listed, list) else [listed]):
        data = published(item["id"])
        if data is None:
            continue
        for member, fits in (("digestSRI", _fits_sri), ("digestMultibase", _fits_multibase)):
            if member in item and not fits(item[member], data):
                where = ("relatedResource", index) if isinstance(listed, list) else ("relatedResource",)
                raise Malformed(
                    f"this is not the digest of {item['id']} (section 5.3)",
                    type=problem.MALFORMED_VALUE_ERROR,
                    path=(*where, member),
                )


def _fits_sri(value: Json, data: bytes) -> bool:
    named = [text.split("?")[0].partition("-")[::2] for text in _texts(value)]
    strongest = min((name for name, _ in named), key=_STRENGTH.index)
    digest = hashlib.new(strongest, data).digest()
    return any(name == strongest and decode_base64(text) == digest for name, text in named)


def _fits_multibase(value: Json, data: bytes) -> bool:
    return any(_fits_multihash(decode_multibase(text), data) for text in _texts(value))


def _fits_multihash(multihash: bytes, data: bytes) -> bool:
    name = "sha256" if multihash.startswith(SHA2_256) else "sha384"
    return multihash[2:] == hashlib.new(name, data).digest()


def _texts(value: Json) -> Iterator[str]:
    for item in value if isinstance(value, list) else [value]:
        yield from str(item).split()
