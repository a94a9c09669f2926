"""The badges and the record that 1EdTech publishes as JWT: each is read, and each that shows its key verifies by it.

The key in a header proves nothing of the issuer; here it shows that signatures are computed alike.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from node.core.envelope import read_envelope
from node.core.errors import NotVerified

_TOKEN = re.compile(rb"eyJ[\w-]+\.eyJ[\w-]+\.[\w-]+")
SHOWING_THEIR_KEY = {
    "ob3-1edtech/simple-jwt.svg": "application/vc+jwt",
    "ob3-1edtech/simple-jwt.png": "application/vc+jwt",
    "ob3-1edtech/simple-jwt_v1.svg": "application/jwt",
    "ob3-1edtech/simple-jwt_v1.png": "application/jwt",
    "clr2-1edtech/clr20/simple.jwt": "application/jwt",
}
NAMING_NO_KEY = ("ob3-1edtech/simple.jwt", "ob3-1edtech/velocity.jwt")


def token_in(path: Path) -> bytes:
    found = _TOKEN.search(path.read_bytes())
    assert found is not None
    return found.group()


@pytest.mark.parametrize("name", SHOWING_THEIR_KEY)
def test_verifies_by_the_key_that_it_shows(vectors: Path, name: str) -> None:
    token = token_in(vectors / name)
    envelope = read_envelope(token)
    assert envelope is not None
    assert envelope.header_key is not None
    assert (envelope.media_type, envelope.verification_method) == (SHOWING_THEIR_KEY[name], None)
    envelope.verify(envelope.header_key)
    head, payload, signature = token.split(b".")
    other = b"B" if signature[:1] == b"A" else b"A"
    broken = read_envelope(b".".join((head, payload, other + signature[1:])))
    assert broken is not None
    with pytest.raises(NotVerified):
        broken.verify(envelope.header_key)


@pytest.mark.parametrize("name", NAMING_NO_KEY)
def test_is_read_with_its_claims_as_members(vectors: Path, name: str) -> None:
    envelope = read_envelope(token_in(vectors / name))
    assert envelope is not None
    document, claims = envelope.document, envelope.claims
    issuer = document["issuer"]
    assert (issuer["id"], document["id"]) == (claims.issuer, claims.token_id)
    assert document["credentialSubject"]["id"] == claims.subject
