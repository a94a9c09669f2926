"""Proofs of possession: `jwt` and `di_vp` (OpenID4VCI 1.0 appendix F.1, F.2 and the checks of F.4).

A proof shows that the wallet holds a key now: its audience is this issuer, its nonce one that the issuer gave out.
Whether the nonce is fresh is the caller's to say, after the signature: it keeps them. Only keys that their DID holds
itself (did:key, did:jwk) and bare JWKs are taken, so nobody has to be asked.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from node.core.canonical.plain import is_plain
from node.core.canonical.rdfc import Canonicalizer
from node.core.credential import check_presentation
from node.core.dataintegrity.proof import (
    Proof,
    proofs_of,
    verify_domain,
    verify_expiry,
    verify_purpose,
)
from node.core.dataintegrity.suites import verify_proof
from node.core.did.document import AUTHENTICATION
from node.core.did.key import did_key_of
from node.core.did.resolution import did_of, resolve_self_certifying
from node.core.errors import BonafidesError, Malformed, NotVerified, Refused
from node.core.jose.jws import (
    ALGORITHMS,
    Jws,
    PreparedJws,
    algorithm_of,
    parse_jws,
    prepare_jws,
    require_type,
    verify_jws,
)
from node.core.keys import PublicKey, parse_jwk
from node.core.oid4vci.errors import INVALID_PROOF
from node.core.strict_json import Json, JsonObject

JWT: Final = "jwt"
DI_VP: Final = "di_vp"
PROOF_TYPE: Final = "openid4vci-proof+jwt"
BINDING_METHODS: Final = ("did:key", "did:jwk", "jwk")
JWT_ALGORITHMS: Final = ("EdDSA", "Ed25519", "ES256")
CRYPTOSUITES: Final = ("eddsa-rdfc-2022", "eddsa-jcs-2022")

# A nonce of the issuer bounds a proof's age; this only stops one made for a later day.
MAX_AHEAD: Final = timedelta(minutes=1)
MAX_AGE: Final = timedelta(minutes=10)
_MAX_PROOF_CHARS: Final = 16 * 1024
# Nothing else of the presentation is read, so nothing else may be signed under this purpose.
_VP_MEMBERS: Final = frozenset({"@context", "id", "type", "holder", "proof"})


@dataclass(frozen=True, slots=True)
class KeyProof:
    """What a proof established: `did` holds `public_key`, and answered `nonce`.

    For a bare JWK the DID is the did:key of the key.
    """

    did: str
    public_key: PublicKey
    nonce: str | None

    def is_by(self, did: str) -> bool:
        """Whether the proof is by `did`: the same DID, or one that lists this very key for authentication."""
        if did == self.did:
            return True
        try:
            document = resolve_self_certifying(did)
        except BonafidesError:
            return False
        return document is not None and any(
            method.public_key == self.public_key and method.id in document.relationships[AUTHENTICATION]
            for method in document.methods
        )


def prepare_jwt_proof(
    public_key: PublicKey,
    *,
    credential_issuer: str,
    nonce: str | None,
    now: datetime,
    kid: str | None = None,
) -> PreparedJws:
    """What the wallet signs (F.1). `kid` is the DID URL of its key; without one the key itself goes along."""
    header: JsonObject = {"typ": PROOF_TYPE, "alg": algorithm_of(public_key.kind)}
    header |= {"jwk": public_key.to_jwk()} if kid is None else {"kid": kid}
    claims: JsonObject = {"aud": credential_issuer, "iat": int(now.timestamp())}
    if nonce is not None:
        claims["nonce"] = nonce
    return prepare_jws(header, claims)


def verify_key_proof(
    proof_type: str,
    proof: Json,
    *,
    credential_issuer: str,
    now: datetime,
    proof_types: Mapping[str, Collection[str]],
    canonicalizer: Canonicalizer,
) -> KeyProof:
    """What `proof` establishes, or Refused with `invalid_proof`.

    `proof_types` are those of the configuration with their algorithms or cryptosuites. The nonce is handed back
    unjudged; Refused where there is none.
    """
    allowed = proof_types.get(proof_type)
    if allowed is None:
        raise _refused(f"proofs of type {proof_type[:40]} are not taken here")
    try:
        if proof_type == JWT:
            found = _verify_jwt(proof, credential_issuer, now, allowed)
        elif proof_type == DI_VP:
            found = _verify_di_vp(proof, credential_issuer, now, allowed, canonicalizer)
        else:
            raise _refused(f"proofs of type {proof_type[:40]} are not taken here")
    except Refused:
        raise
    except BonafidesError as error:
        raise _refused(error.detail) from error
    if not found.nonce:
        raise _refused("the proof answers no c_nonce")
    return found


def _verify_jwt(proof: Json, issuer: str, now: datetime, allowed: Collection[str]) -> KeyProof:
    if not isinstance(proof, str):
        raise Malformed("a jwt proof is a text")
    jws = parse_jws(proof, max_chars=_MAX_PROOF_CHARS)
    require_type(jws, PROOF_TYPE)
    did, public_key = _header_key(jws)
    verify_jws(jws, public_key, allowed_algorithms=frozenset(allowed) & ALGORITHMS.keys())
    claims = jws.claims()
    if claims.get("aud") != issuer:
        raise NotVerified("the proof is for another issuer")
    if "iss" in claims:
        # Appendix F.1: left out where the wallet is anonymous, as all are here.
        raise NotVerified("the proof names a client, but the token was given to nobody by name")
    issued = claims.get("iat")
    if not isinstance(issued, int | float) or isinstance(issued, bool):
        raise NotVerified("the proof does not say when it was made")
    _check_age(float(issued), now)
    nonce = claims.get("nonce")
    if nonce is not None and not isinstance(nonce, str):
        raise Malformed("the nonce is a text")
    return KeyProof(did, public_key, nonce)


def _header_key(jws: Jws) -> tuple[str, PublicKey]:
    header = jws.header
    named = [name for name in ("kid", "jwk", "x5c") if name in header]
    if len(named) != 1:
        raise Malformed("a proof names its key by exactly one of kid, jwk and x5c")
    if "jwk" in header:
        if not isinstance(header["jwk"], dict):
            raise Malformed("jwk is an object")
        public_key = parse_jwk(header["jwk"])
        return did_key_of(public_key), public_key
    if not isinstance(header.get("kid"), str):
        raise Malformed("the key of a proof is a DID URL or a JWK")
    return _method_key(header["kid"], None)


def _method_key(did_url: str, at: datetime | None) -> tuple[str, PublicKey]:
    """DID and key of a verification method that may authenticate."""
    did = did_of(did_url)
    document = resolve_self_certifying(did)
    if document is None:
        raise NotVerified(f"keys of {did.split(':')[1]} DIDs are not taken here: use did:key or did:jwk")
    method = document.method(did_url, AUTHENTICATION, at=at)
    if method.public_key is None:
        raise NotVerified("the key is of a type that does not sign here")
    return did, method.public_key


def _verify_di_vp(
    proof: Json, issuer: str, now: datetime, allowed: Collection[str], canonicalizer: Canonicalizer
) -> KeyProof:
    if not isinstance(proof, dict):
        raise Malformed("a di_vp proof is a presentation")
    if unknown := proof.keys() - _VP_MEMBERS:
        raise Malformed(f"a presentation that proves a key holds no {min(unknown)[:40]}")
    facts = check_presentation(proof)
    if not is_plain({name: value for name, value in proof.items() if name != "proof"}):
        # Under an RDF suite anything else could read otherwise than it was signed.
        raise Malformed("a presentation that proves a key has pinned contexts and plain terms only")
    secured = _only_proof(proof)
    if secured.cryptosuite not in allowed:
        raise NotVerified("the proof's cryptosuite is none of those that are taken here")
    verify_purpose(secured, AUTHENTICATION)
    verify_domain(secured, {issuer})
    verify_expiry(secured, now)
    if secured.created is not None:
        _check_age(secured.created.timestamp(), now)
    did, public_key = _method_key(secured.verification_method, now)
    if facts.holder_id is not None and facts.holder_id != did:
        raise NotVerified("the presentation names another holder than the one who signed it")
    verify_proof(proof, secured, public_key, canonicalizer)
    return KeyProof(did, public_key, secured.challenge)


def _only_proof(document: JsonObject) -> Proof:
    proofs, written = proofs_of(document), document.get("proof")
    if len(proofs) != 1 or (isinstance(written, list) and len(written) != 1):  # nor a copy of it
        raise Malformed("a presentation that proves a key has one proof")
    return proofs[0]


def _check_age(issued: float, now: datetime) -> None:
    age = now.timestamp() - issued
    if not -MAX_AHEAD.total_seconds() <= age <= MAX_AGE.total_seconds():
        raise NotVerified("the proof was made at another time")


def _refused(detail: str) -> Refused:
    return Refused(detail, code=INVALID_PROOF)
