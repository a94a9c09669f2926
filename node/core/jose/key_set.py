"""The keys that the issuer of a token publishes at an https address: a JWK, a JWK Set, or the issuer's metadata.

RFC 7517 sections 4 and 5; Open Badges 3.0 section 8.2 (`kid` is the URL of a JWK); SD-JWT VC section 5 (JWT VC Issuer
Metadata). What stands at an address is the word of that address: whose key it is follows from the origin that it
shares with the issuer's own identifier, as a did:web follows from a name. Fetching is `node/outbound`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from node.core.did.address import origin_of
from node.core.errors import Malformed
from node.core.keys import PublicKey, parse_jwk
from node.core.strict_json import JsonObject

MAX_KEYS: Final = 100
_WELL_KNOWN: Final = "/.well-known/jwt-vc-issuer"


@dataclass(frozen=True, slots=True)
class PublishedKey:
    """One key and the `kid` by which tokens name it."""

    kid: str | None
    public_key: PublicKey


def metadata_url(issuer: str) -> str:
    """Where the metadata of an issuer is: between its host and its path. Malformed for what has no such place."""
    origin_of(issuer)
    if "?" in issuer or "#" in issuer:
        raise Malformed("the address of a token's issuer has no query and no fragment")
    start = issuer.find("/", issuer.index("://") + 3)
    host, path = (issuer, "") if start < 0 else (issuer[:start], issuer[start:])
    return f"{host}{_WELL_KNOWN}{path.removesuffix('/')}"


def place_in_metadata(metadata: JsonObject, issuer: str) -> str | None:
    """Where the metadata of `issuer` say that its keys are, of its own origin; None where they hold them (`jwks`).

    Malformed where they are another's, or name a place of another origin.
    """
    if metadata.get("issuer") != issuer:
        raise Malformed("the metadata there are of another issuer")
    held, place = metadata.get("jwks"), metadata.get("jwks_uri")
    if isinstance(held, dict) and place is None:
        return None
    if not isinstance(place, str) or held is not None:
        raise Malformed("metadata of an issuer hold either jwks or jwks_uri")
    if origin_of(place) != origin_of(issuer):
        raise Malformed("its keys are said to be at another host than its issuer")
    return place


def parse_keys(content: JsonObject) -> tuple[PublishedKey, ...]:
    """The keys of a JWK Set or of metadata that hold one, or the one that a JWK is.

    Those that do not sign, or not here, are left out.
    """
    held = content.get("jwks", content)
    listed = held.get("keys", [held] if "kty" in held else None) if isinstance(held, dict) else None
    if not isinstance(listed, list) or len(listed) > MAX_KEYS:
        raise Malformed(f"what is there is neither a JWK nor a set of at most {MAX_KEYS}")
    return tuple(found for jwk in listed if (found := _parse_key(jwk)) is not None)


def _parse_key(jwk: object) -> PublishedKey | None:
    if not isinstance(jwk, dict):
        raise Malformed("a JWK is an object")
    kid = jwk.get("kid")
    try:
        return PublishedKey(kid if isinstance(kid, str) else None, parse_jwk(jwk))
    except Malformed:
        return None


def choose(keys: Sequence[PublishedKey], names: Collection[str], shown: PublicKey | None) -> PublicKey | None:
    """The key of one of the `names`; where there are none, the one `shown`, or the only one. None: there is a choice.

    A single key without a name goes by every name.
    """
    if names and not (len(keys) == 1 and keys[0].kid is None):
        fitting = [one.public_key for one in keys if one.kid in names]
    else:
        fitting = [one.public_key for one in keys if names or shown is None or one.public_key == shown]
    return fitting[0] if len(set(fitting)) == 1 else None
