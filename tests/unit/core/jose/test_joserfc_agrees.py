"""PyPI `joserfc` as judge of our tokens, and we of its: every algorithm, valid and with one fault each.

Both must agree, but for the differences in DIFFERENCES, which name the clause that decides.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
from joserfc import jws as joserfc_jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey

from node.core.encoding import decode_base64url, encode_base64url
from node.core.envelope import read_envelope
from node.core.errors import BonafidesError
from node.core.jose.jws import ALGORITHMS
from node.core.jose.vc_jwt import prepare_vc_jwt
from node.core.keys import KeyKind, PublicKey, Signer, parse_jwk
from node.keystore import signer_of

TAKEN = list(ALGORITHMS)
SIGNED_HERE = {
    "EdDSA": "Ed25519",
    "ES256": "P-256",
    "ES384": "P-384",
    "ES512": "P-521",
    "ES256K": "secp256k1",
}
KID = "did:example:school#key-1"


# RFC 9864 deprecates the name EdDSA, which everybody still writes.
pytestmark = pytest.mark.filterwarnings("ignore:EdDSA is deprecated")


def their_key(kind: str, which: int = 0) -> Any:
    return made_key(kind, which)


@cache
def made_key(kind: str, which: int) -> Any:
    if kind == "RSA":
        return RSAKey.generate_key(2048)
    return OKPKey.generate_key(kind) if kind == "Ed25519" else ECKey.generate_key(kind)


@cache
def our_signer(kind: str) -> Signer:
    secret = decode_base64url(their_key(kind).as_dict(private=True)["d"])
    return signer_of(KeyKind(kind), secret)


def our_key(kind: str, which: int = 0) -> PublicKey:
    return parse_jwk(their_key(kind, which).as_dict(private=False))


def credential(draw: random.Random) -> dict[str, Any]:
    return {
        "@context": ["https://www.w3.org/ns/credentials/v2"],
        "type": ["VerifiableCredential"],
        "issuer": "did:example:school",
        "credentialSubject": {
            "name": draw.choice(["Ada", "Zoë", "李", "\U0001f600", 'a"b\\']),
            "score": draw.choice([0, 1.5, 10**15, -3]),
            "more": [draw.random() < 0.5, None, "x" * draw.randrange(200)],
        },
    }


def theirs(payload: dict[str, Any], alg: str, **header: Any) -> str:
    kind = str(ALGORITHMS[alg])
    body = json.dumps(payload, ensure_ascii=False).encode()
    full = {"alg": alg, "typ": "vc+jwt", "kid": KID} | header
    return str(joserfc_jws.serialize_compact(full, body, their_key(kind), algorithms=TAKEN))


def we_accept(token: str, key: PublicKey) -> bool:
    try:
        envelope = read_envelope(token)
        if envelope is None:
            return False
        envelope.verify(key)
    except BonafidesError:
        return False
    return True


def they_accept(token: str, key: Any) -> bool:
    try:
        payload = joserfc_jws.deserialize_compact(token, key, algorithms=TAKEN).payload
        return isinstance(json.loads(payload or b""), dict)
    except (JoseError, ValueError):
        return False


@pytest.mark.parametrize("alg", TAKEN)
def test_what_they_sign_is_accepted_here(alg: str) -> None:
    draw = random.Random(alg)  # noqa: S311 (reproducible on purpose)
    for _ in range(5):
        document = credential(draw)
        envelope = read_envelope(theirs(document, alg))
        assert envelope is not None
        assert envelope.document == document
        envelope.verify(our_key(str(ALGORITHMS[alg])))


@pytest.mark.parametrize("alg", SIGNED_HERE)
def test_what_we_sign_is_accepted_there(alg: str) -> None:
    draw = random.Random(alg)  # noqa: S311 (reproducible on purpose)
    signer = our_signer(SIGNED_HERE[alg])
    for _ in range(5):
        document = credential(draw)
        prepared = prepare_vc_jwt(document, signer.public_key, KID)
        read = joserfc_jws.deserialize_compact(
            prepared.finish(signer.sign(prepared.message)), their_key(SIGNED_HERE[alg]), algorithms=[alg]
        )
        assert json.loads(read.payload or b"") == document
        assert read.headers() == {"alg": alg, "typ": "vc+jwt", "cty": "vc", "kid": KID}


def parts(token: str) -> list[str]:
    return token.split(".")


def reheaded(token: str, **header: Any) -> str:
    head = json.loads(decode_base64url(parts(token)[0])) | header
    return ".".join((encode_base64url(json.dumps(head).encode()), *parts(token)[1:]))


def signature_of(token: str) -> bytes:
    return decode_base64url(parts(token)[2])


def algorithm_of(token: str) -> str:
    return str(json.loads(decode_base64url(parts(token)[0]))["alg"])


# One fault each.
FAULTS: dict[str, Callable[[str], str]] = {
    "no signature": lambda token: ".".join((*parts(token)[:2], "")),
    "a signature cut short": lambda token: token[:-4],
    "a signature that is longer": lambda token: token + "AAAA",
    "a part too many": lambda token: token + ".AAAA",
    "a part too few": lambda token: ".".join(parts(token)[:2]),
    "padding": lambda token: token + "=",
    "alg none": lambda token: reheaded(token, alg="none"),
    "alg HS256": lambda token: reheaded(token, alg="HS256"),
    "the algorithm of another kind of key": lambda token: reheaded(
        token, alg="ES384" if algorithm_of(token) == "ES256" else "ES256"
    ),
    "an empty payload": lambda token: ".".join((parts(token)[0], "", parts(token)[2])),
    "a signature of zeros": lambda token: ".".join(
        (*parts(token)[:2], encode_base64url(bytes(len(signature_of(token)))))
    ),
}


def other_letter(token: str, part: int, draw: random.Random) -> str:
    texts = parts(token)
    # Not the last letter, some of whose bits may say nothing.
    place = draw.randrange(len(texts[part]) - 1)
    old = texts[part]
    letter = draw.choice([letter for letter in "AZaz09-_" if letter != old[place]])
    texts[part] = old[:place] + letter + old[place + 1 :]
    return ".".join(texts)


def refused_by_both(broken: str, alg: str) -> bool:
    kind = str(ALGORITHMS[alg])
    return not we_accept(broken, our_key(kind)) and not they_accept(broken, their_key(kind))


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("alg", TAKEN)
def test_both_refuse(alg: str, fault: str) -> None:
    token = theirs(credential(random.Random(alg)), alg)  # noqa: S311 (reproducible on purpose)
    broken = FAULTS[fault](token)
    assert broken != token
    assert refused_by_both(broken, alg)


@pytest.mark.parametrize("part", ["header", "payload", "signature"])
@pytest.mark.parametrize("alg", TAKEN)
def test_both_refuse_another_letter(alg: str, part: str) -> None:
    draw = random.Random(alg + part)  # noqa: S311 (reproducible on purpose)
    for _ in range(5):
        token = theirs(credential(draw), alg)
        assert refused_by_both(other_letter(token, ("header", "payload", "signature").index(part), draw), alg)


@pytest.mark.parametrize("alg", TAKEN)
def test_both_refuse_another_key_of_the_same_kind(alg: str) -> None:
    kind = str(ALGORITHMS[alg])
    token = theirs(credential(random.Random(0)), alg)  # noqa: S311 (reproducible on purpose)
    assert we_accept(token, our_key(kind))
    assert they_accept(token, their_key(kind))
    assert not we_accept(token, our_key(kind, 1))
    assert not they_accept(token, their_key(kind, 1))


def raw(payload: bytes, **header: Any) -> str:
    full = {"alg": "ES256", "typ": "vc+jwt"} | header
    return str(joserfc_jws.serialize_compact(full, payload, their_key("P-256"), algorithms=TAKEN))


# Taken by joserfc, refused here, and why.
DIFFERENCES = {
    "a member twice (RFC 8725 section 2.4, FORMATS.md section 2)": raw(b'{"a":1,"a":2}'),
    "an integer beyond 2^53 - 1 (FORMATS.md section 2)": raw(b'{"a":9007199254740993}'),
    "NaN (RFC 8259 section 6)": raw(b'{"a":NaN}'),
    "another type of token (RFC 8725 section 3.11)": raw(b"{}", typ="kb+jwt"),
}


@pytest.mark.parametrize("difference", DIFFERENCES)
def test_what_is_refused_here_alone(difference: str) -> None:
    assert they_accept(DIFFERENCES[difference], their_key("P-256"))
    assert not we_accept(DIFFERENCES[difference], our_key("P-256"))
