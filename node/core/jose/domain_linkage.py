"""Domain linkage: that a DID and a web origin are one party's (DIF, Well Known DID Configuration).

The origin serves `/.well-known/did-configuration.json`, in which the DID says that the origin is its own, signed. Made
and read here in the token form; entries with embedded proofs need a context that is not pinned, and are passed over.
In its document the DID says the same by a service of type `LinkedDomains`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
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
LINKED_DOMAINS: Final = "LinkedDomains"
MAX_LINKED: Final = 64
MAX_ORIGINS: Final = 8
_CONTEXT: Final = "https://identity.foundation/.well-known/did-configuration/v1"
_VC_CONTEXT: Final = "https://www.w3.org/2018/credentials/v1"
_TYPES: Final = ["VerifiableCredential", "DomainLinkageCredential"]
_HEADER: Final = frozenset({"alg", "kid"})
# A host as the DNS has it: what looks like other letters is written in its own way there (RFC 5890), and is shown so.
_LABEL: Final = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_ORIGIN: Final = re.compile(
    rf"https?://(?P<host>(?=.{{1,253}}(:|\Z)){_LABEL}(\.{_LABEL})*)(:[1-9][0-9]{{0,4}})?\Z"
)
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


def is_origin(text: str) -> bool:
    """Whether `text` is an origin of a host name or an IPv4 address, in lower-case ASCII."""
    return _ORIGIN.match(text) is not None


def domain_of(origin: str) -> str:
    """What people call it: the host, and its port where it is not the usual one."""
    return origin.partition("://")[2]


def host_of(origin: str) -> str:
    """The host of an origin, without port."""
    return domain_of(origin).partition(":")[0]


def linked_origins(document: DidDocument) -> tuple[str, ...]:
    """The origins that a DID document says to be its DID's ("Linked Domain Service Endpoint"), the first few of them.

    What is no plain origin is passed over: it is somebody else's document, and no fault of anything.
    """
    found: dict[str, None] = {}
    for service in _list(document.raw.get("service")):
        if isinstance(service, dict) and LINKED_DOMAINS in _list(service.get("type")):
            for text in _endpoints(service.get("serviceEndpoint")):
                origin = text.lower().removesuffix("/")
                if is_origin(origin):
                    found[origin] = None
    return tuple(found)[:MAX_ORIGINS]


def _endpoints(value: Json) -> Iterator[str]:
    for one in _list(value):
        for origin in _list(one.get("origins") if isinstance(one, dict) else one):
            if isinstance(origin, str):
                yield origin


def _list(value: Json) -> list[Json]:
    return value if isinstance(value, list) else [value]


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
