"""vc+jwt and SD-JWT with ten Disclosures, against joserfc and the reference implementation of SD-JWT (PyPI sd-jwt).

Theirs is the library's own verification of signature and Disclosures with the payload as JSON; ours is the report, and
beside it what the engine asks of `node/core/envelope` alone: read strictly, compared with the document, verified.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable, Iterator
from functools import partial, reduce
from hashlib import sha256
from operator import getitem
from typing import Any

from joserfc import jwt
from joserfc.jwk import ECKey, OKPKey

from bench.badges import BADGES, accept, make_badge
from bench.rows import Row, each, in_turns, microseconds
from node.core.envelope import read_envelope
from node.core.jose.sd_jwt_vc import prepare_sd_jwt_vc, prepare_vc_sd_jwt
from node.core.jose.vc_jwt import prepare_vc_jwt
from node.core.keys import KeyKind, PublicKey, Signer
from node.keystore import signer_of

_ROUNDS = 20
_DISCLOSURES = 10
_SECRET = bytes(range(1, 33))
_ALGORITHMS = {"EdDSA": KeyKind.ED25519, "ES256": KeyKind.P256}


def measure(rounds: int = _ROUNDS) -> Iterator[Row]:
    """Each form of token, with both kinds of key."""
    for algorithm, kind in _ALGORITHMS.items():
        signer = signer_of(kind, _SECRET)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # joserfc calls the name EdDSA deprecated
            joserfc = _joserfc(algorithm, signer.public_key)
            yield from _rows(f"vc+jwt, {algorithm}", "joserfc", 1.2, signer, _vc_jwt, joserfc, rounds)
        reference = _reference(signer.public_key)
        for form, issue in {"vc+sd-jwt": _vc_sd_jwt, "dc+sd-jwt": _dc_sd_jwt}.items():
            name = f"{form}, {_DISCLOSURES} Disclosures, {algorithm}"
            yield from _rows(name, "sd-jwt", 1.7, signer, issue, reference, rounds)


def _rows(
    name: str,
    peer: str,
    at_least: float,
    signer: Signer,
    issue: Callable[[Signer, int], str],
    theirs: Callable[[str], object],
    rounds: int,
) -> Iterator[Row]:
    tokens = [issue(signer, number) for number in range(BADGES)]
    found = in_turns(
        {
            "report": each(accept, [token.encode() for token in tokens]),
            "envelope alone": each(partial(_envelope_alone, signer.public_key), tokens),
            peer: each(theirs, tokens),
        },
        rounds,
    )
    yield Row(f"verify {name}", found[peer] / found["report"], f"times {peer}", at_least)
    yield Row(f"  {name}: envelope alone", found[peer] / found["envelope alone"], f"times {peer}")
    yield from microseconds({f"  {name}: {what}": seconds for what, seconds in found.items()})


def _envelope_alone(public_key: PublicKey, token: str) -> None:
    envelope = read_envelope(token)
    assert envelope is not None
    envelope.verify(public_key)


def _joserfc(algorithm: str, public_key: PublicKey) -> Callable[[str], object]:
    public: dict[str, Any] = dict(public_key.to_jwk())
    key: Any = (OKPKey if algorithm == "EdDSA" else ECKey).import_key(public)
    return lambda token: jwt.decode(token, key, algorithms=[algorithm])


def _reference(public_key: PublicKey) -> Callable[[str], object]:
    verifier: Any = importlib.import_module("sd_jwt.verifier").SDJWTVerifier  # neither has types
    key = importlib.import_module("jwcrypto.jwk").JWK(**public_key.to_jwk())
    return lambda token: verifier(token, lambda _issuer, _header: key).get_verified_payload()


def _badge(signer: Signer, number: int) -> tuple[dict[str, Any], str]:
    did = f"did:key:{signer.public_key.multibase}"
    return make_badge(number, did), f"{did}#{signer.public_key.multibase}"


def _vc_jwt(signer: Signer, number: int) -> str:
    badge, kid = _badge(signer, number)
    prepared = prepare_vc_jwt(badge, signer.public_key, kid)
    return prepared.finish(signer.sign(prepared.message))


def _vc_sd_jwt(signer: Signer, number: int) -> str:
    """A badge; what may be withheld, and is shown here, are members of achievement and results."""
    badge, kid = _badge(signer, number)
    paths = list(_texts(badge["credentialSubject"], ("credentialSubject",)))[:_DISCLOSURES]
    prepared = prepare_vc_sd_jwt(badge, signer.public_key, kid, paths, salts=_salts(number))
    return prepared.finish(signer.sign(prepared.message))


def _dc_sd_jwt(signer: Signer, number: int) -> str:
    """Flat claims of the badge's texts, each of which may be withheld."""
    badge, kid = _badge(signer, number)
    texts = [str(_at(badge, path)) for path in _texts(badge["credentialSubject"], ("credentialSubject",))]
    claims = {f"claim_{index}": text for index, text in enumerate(texts[:_DISCLOSURES])}
    named = {"vct": "https://credentials.example/badge", "iss": badge["issuer"]["id"], **claims}
    paths = [(name,) for name in claims]
    prepared = prepare_sd_jwt_vc(named, signer.public_key, kid, paths, salts=_salts(number))
    return prepared.finish(signer.sign(prepared.message))


def _salts(number: int) -> list[bytes]:
    return [sha256(f"{number} {index}".encode()).digest()[:16] for index in range(_DISCLOSURES)]


def _at(value: Any, path: tuple[str | int, ...]) -> Any:
    return reduce(getitem, path, value)


def _texts(value: Any, path: tuple[str | int, ...]) -> Iterator[tuple[str | int, ...]]:
    members = value.items() if isinstance(value, dict) else enumerate(value)
    for name, member in members:
        if isinstance(member, dict | list):
            if name != "type":
                yield from _texts(member, (*path, name))
        elif name != "id":
            yield (*path, name)
