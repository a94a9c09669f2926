"""Domain linkage: that a DID and a web origin are one party's (DIF, Well Known DID Configuration).

The origin serves `/.well-known/did-configuration.json`, in which the DID says that the origin is its own, signed. Made
and read here in the token form; entries with embedded proofs need a context that is not pinned, and are passed over.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from urllib.parse import urlsplit

from node.core.did.document import ASSERTION_METHOD, DidDocument
from node.core.errors import Malformed, NotVerified
from node.core.jose.claims import Claims, numeric_date, parse_claims
from node.core.jose.jws import ALGORITHMS, Jws, PreparedJws, algorithm_of, parse_jws, prepare_jws, verify_jws
from node.core.keys import PublicKey
from node.core.members import closed_object, list_member
from node.core.strict_json import Json, JsonObject, parse_json_object
from node.core.times import format_datetime_stamp

CONFIGURATION_PATH: Final = "/.well-known/did-configuration.json"
MAX_LINKED: Final = 64
_CONTEXT: Final = "https://identity.foundation/.well-known/did-configuration/v1"
_VC_CONTEXT: Final = "https://www.w3.org/2018/credentials/v1"
_TYPES: Final = ["VerifiableCredential", "DomainLinkageCredential"]
_HEADER: Final = frozenset({"alg", "kid"})
_CLAIMS: Final = frozenset({"iss", "sub", "nbf", "exp", "vc"})


@dataclass(frozen=True, slots=True)
class DomainLinkage:
    """One entry: `did` says that `origin` is its own. Read and not verified."""

    did: str
    origin: str
    verification_method: str
    claims: Claims
    jws: Jws

    def verify(self, document: DidDocument, origin: str, now: datetime) -> None:
        """Raise NotVerified unless the DID of `document` has signed that just this origin is its own, for now."""
        if self.did != document.id or self.origin != origin:
            raise NotVerified(f"it links {self.did} with {self.origin}")
        begins, ends = self.claims.not_before, self.claims.expires
        if begins is None or ends is None or not begins <= now < ends:
            raise NotVerified("it is not valid now: its time is over, or has not begun")
        method = document.method(self.verification_method, ASSERTION_METHOD, at=now)
        if method.public_key is None:
            raise NotVerified("its key is of a kind that signs nothing here")
        verify_jws(self.jws, method.public_key, allowed_algorithms=ALGORITHMS)


def origin_of(url: str) -> str:
    """The origin of a web URL (RFC 6454): scheme, host and, where it is not the usual one, port."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2].lower()}"


def prepare_linkage(
    did: str, origin: str, public_key: PublicKey, kid: str, *, begins: datetime, ends: datetime
) -> PreparedJws:
    """What the DID signs to say that the origin is its own; `kid` is the URL of its verification method."""
    credential = {
        "@context": [_VC_CONTEXT, _CONTEXT],
        "issuer": did,
        "issuanceDate": format_datetime_stamp(begins),
        "expirationDate": format_datetime_stamp(ends),
        "type": _TYPES,
        "credentialSubject": {"id": did, "origin": origin},
    }
    times = {"nbf": numeric_date(begins), "exp": numeric_date(ends)}
    # Neither header nor payload has a member more ("JSON Web Token Proof Format").
    header = {"alg": algorithm_of(public_key.kind), "kid": kid}
    return prepare_jws(header, {"iss": did, "sub": did, **times, "vc": credential})


def did_configuration(tokens: Sequence[str]) -> JsonObject:
    """What the origin serves."""
    return {"@context": _CONTEXT, "linked_dids": list(tokens)}


def read_did_configuration(value: Json) -> tuple[DomainLinkage, ...]:
    """The entries in the token form; each stands for itself, so what cannot be read is left out.

    Malformed where the whole has not the form of a DID configuration.
    """
    members = closed_object(value, "a DID configuration", frozenset({"@context", "linked_dids"}))
    found = []
    for entry in list_member(members, "linked_dids", max_items=MAX_LINKED):
        try:
            found.append(_read(entry))
        except Malformed:
            continue
    return tuple(found)


def _read(entry: Json) -> DomainLinkage:
    if not isinstance(entry, str):
        raise Malformed("an entry with an embedded proof")
    jws = parse_jws(entry)
    kid = closed_object(jws.header, "its header", _HEADER)["kid"]
    payload = closed_object(parse_json_object(jws.payload), "its payload", _CLAIMS)
    claims, credential = parse_claims(payload), payload["vc"]
    subject = credential.get("credentialSubject") if isinstance(credential, dict) else None
    if (
        not isinstance(subject, dict)
        or not isinstance(subject.get("origin"), str)
        or not isinstance(kid, str)
    ):
        raise Malformed("no domain linkage credential")
    said = (claims.subject, credential.get("issuer"), subject.get("id"))
    if claims.issuer is None or any(one != claims.issuer for one in said):
        raise Malformed("a domain linkage credential of several parties")
    if "id" in credential or credential.get("type") != _TYPES:
        raise Malformed("a domain linkage credential of another form")
    return DomainLinkage(claims.issuer, subject["origin"], kid, claims, jws)
