"""The one seam through which credentials are signed, and by which what was signed is read, whatever secures it.

Those with selective disclosure always show what decides whether the credential still holds (FORMATS.md section 2), and
what the issuer adds to that by JSON Pointers; its holder may withhold the rest.

`dc+sd-jwt` has claims of its own: `vct`, `iss`, `jti`, `nbf`, `exp`, `sub` and `cnf` beside `credentialStatus`, the
members of the subject, and those of the credential that are not said by a claim already.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import orjson

from node.core.anchor import credential_digest, issued_digest
from node.core.bls12381 import ORDER, SCALAR_BYTES
from node.core.cose import prepare_cose
from node.core.credential import types_of
from node.core.dataintegrity import Disclosure, prepare_proof, proofs_of
from node.core.dataintegrity.bbs_2023 import BbsDisclosure
from node.core.dataintegrity.bbs_binding import Binding, Committed
from node.core.dataintegrity.bbs_terms import linking_members
from node.core.dataintegrity.selective import parse_pointer
from node.core.dataintegrity.suites import PreparedProof
from node.core.did.document import ASSERTION_METHOD, AUTHENTICATION
from node.core.did.resolution import resolve_self_certifying
from node.core.envelope import enveloped, read_envelope
from node.core.errors import Malformed
from node.core.jose.claims import numeric_date
from node.core.jose.sd_jwt import Path, salts_needed
from node.core.jose.sd_jwt_vc import (
    ALWAYS_SHOWN,
    NEVER_WITHHELD,
    prepare_sd_jwt_vc,
    prepare_vc_sd_jwt,
)
from node.core.jose.vc_jwt import prepare_vc_jwt
from node.core.keys import KeyKind, PublicKey
from node.core.securing import BBS, MANDATORY, SELECTIVE, TOKENS, VC_COSE, VC_JWT, VC_SD_JWT
from node.core.strict_json import Json, JsonObject, objects_in, parse_json
from node.core.times import format_datetime_stamp, parse_datetime_stamp
from node.core.verify.intake import Shown, shown
from node.keystore import generate_secret
from node.services.issuer import Issuer, SigningKey

# What tells what a thing is stays open, as in a document that was derived.
_ALWAYS_OPEN: Final = frozenset({"id", "type", "@context"})
_CLAIMS_OPEN: Final = NEVER_WITHHELD | {"jti", "sub", "credentialSchema"}
# Members that are said by a claim, or that an SD-JWT VC does not have.
_NOT_CLAIMS: Final = frozenset(
    {"@context", "id", "type", "issuer", "validFrom", "validUntil", "credentialSubject"}
)
# Whoever shows one result of many need not tell its parts apart: pieces are members of the credential, of its subject
# and of the achievement, and the items of their lists.
_DEPTH: Final = 3
_SALT_BYTES: Final = 16
_VCT: Final = "/vct/"
_COORDINATES: Final = "GeoCoordinates"


@dataclass(frozen=True, slots=True)
class Secured:
    """A credential as it is handed out, and the digest that is anchored (FORMATS.md section 3).

    `document` is JSON: an object, or the text of a token.
    """

    document: bytes
    digest: bytes


def secure(
    issuer: Issuer,
    document: JsonObject,
    key: SigningKey,
    securing: str,
    now: datetime,
    mandatory: Sequence[str] = (),
    committed: Committed | None = None,
) -> Secured:
    """Sign: what is stored of a credential, whatever secures it.

    `mandatory` are JSON Pointers into `document` to what its holder cannot withhold, beyond what is never withheld;
    `committed` is what the holder binds it to (bbs-2023).
    """
    if securing not in TOKENS:
        prepared = prepare(issuer, document, key, securing, now, mandatory, committed)
        secured = prepared.finish(key.signer.sign(prepared.message))
        return Secured(orjson.dumps(secured), credential_digest(secured))
    token = read_envelope(_token(issuer, document, key, securing, mandatory))
    assert token is not None  # noqa: S101 - it was made a line above
    # Bytes need an object around them; a text is itself.
    written: Json = token.token if isinstance(token.token, str) else enveloped(token)
    return Secured(orjson.dumps(written), issued_digest(token.digest_input))


def prepare(
    issuer: Issuer,
    document: JsonObject,
    key: SigningKey,
    cryptosuite: str,
    now: datetime,
    mandatory: Sequence[str] = (),
    committed: Committed | None = None,
) -> PreparedProof:
    """The assertion proof by `key` that `document` lacks."""
    options: JsonObject = {
        "cryptosuite": cryptosuite,
        "verificationMethod": key.verification_method,
        "proofPurpose": ASSERTION_METHOD,
    }
    disclosure = None
    if cryptosuite == BBS:
        # The moment of a signature would tell its credential apart.
        if linking := linking_members(document, options):
            raise Malformed(f"what would link the uses of a bbs-2023 credential: {', '.join(linking)}")
    else:
        options["created"] = format_datetime_stamp(now)
    if cryptosuite in SELECTIVE:
        disclosure = _disclosure(document, key.signer.public_key, cryptosuite, mandatory, committed)
    kind = key.signer.public_key.kind
    canonicalizer = issuer.standards.canonicalizer
    return prepare_proof(document, options, canonicalizer, key_kind=kind, disclosure=disclosure)


def _disclosure(
    document: JsonObject,
    public_key: PublicKey,
    cryptosuite: str,
    mandatory: Sequence[str],
    committed: Committed | None,
) -> Disclosure:
    pointers = tuple(dict.fromkeys([*always_shown(document, cryptosuite), *_parts(mandatory)]))
    for pointer in pointers:
        check_can_be_followed(pointer, document)
    hmac_key = secrets.token_bytes(32)
    if cryptosuite == BBS:
        unseen = committed or Committed(b"")
        return BbsDisclosure(
            pointers,
            hmac_key,
            public_key=public_key,
            commitment_with_proof=unseen.commitment_with_proof,
            signer_nym_entropy=unseen.signer_nym_entropy,
            uniform=True,
        )
    return Disclosure(pointers, hmac_key, generate_secret(KeyKind.P256))


def committed_for(binding: Binding, commitment_with_proof: bytes) -> Committed:
    """What is signed over unseen: the commitment, and a fresh part of the issuer's own where there are pseudonyms."""
    entropy = b""
    if binding.has_pseudonyms:
        entropy = (1 + secrets.randbelow(ORDER - 1)).to_bytes(SCALAR_BYTES, "big")
    return Committed(commitment_with_proof, entropy)


def always_shown(document: JsonObject, cryptosuite: str) -> tuple[str, ...]:
    """JSON Pointers to what no holder withholds of a document that is signed statement by statement.

    Beside the members that decide, that each subject is there, by its id: whoever could withhold one of two would
    present the other's credential as his own. Under bbs-2023 nothing tells whose a credential is.
    """
    members = tuple(f"/{name}" for name in MANDATORY if name in document)
    return members if cryptosuite == BBS else (*members, *_subjects(document.get("credentialSubject")))


def _subjects(subjects: Json) -> Iterator[str]:
    at = "/credentialSubject"
    if isinstance(subjects, dict):
        yield from (f"{at}/id",) if "id" in subjects else ()
    elif isinstance(subjects, list) and len(subjects) > 1:
        members = [one.keys() if isinstance(one, dict) else () for one in subjects]
        if not any("id" in one for one in members):
            return
        for index, one in enumerate(members):
            named = next((name for name in ("id", "type") if name in one), None)
            yield f"{at}/{index}" if named is None else f"{at}/{index}/{named}"


def check_can_be_followed(pointer: str, document: JsonObject) -> None:
    """Raise Malformed where other wallets could not follow a mandatory pointer, so that they could show nothing at all.

    They compact the document first (ECDSA Cryptosuites 1.0 section 3.4.9), which takes an array away from around one
    value, and writes the type of coordinates as a term that has none of their members.
    """
    value: Json = document
    on_the_way: list[Json] = []
    for step in parse_pointer(pointer, document):
        if isinstance(value, list) and len(value) == 1:
            raise Malformed(
                f"other wallets cannot follow the JSON Pointer {pointer[:80]} into an array of one: point to the array"
            )
        value = value[step]
        on_the_way.append(value)
    inside = [value] if isinstance(value, list | dict) else []
    objects = [*on_the_way[:-1], *objects_in({"": inside}, without=())]
    if any(isinstance(one, dict) and _COORDINATES in types_of(one) for one in objects):
        raise Malformed(
            f"other wallets cannot show what the JSON Pointer {pointer[:80]} leads to, for its {_COORDINATES}: "
            "point past them, or leave them out"
        )


def _parts(pointers: Sequence[str]) -> Sequence[str]:
    if "" in pointers:
        raise Malformed("a mandatory pointer to the whole credential leaves nothing to withhold")
    return pointers


# --- tokens


def _token(
    issuer: Issuer, document: JsonObject, key: SigningKey, securing: str, mandatory: Sequence[str]
) -> str | bytes:
    public_key, kid, signer = key.signer.public_key, key.verification_method, key.signer
    if securing == VC_COSE:
        cose = prepare_cose(document, "application/vc", public_key, kid)
        return cose.finish(signer.sign(cose.message))
    if securing == VC_JWT:
        jwt = prepare_vc_jwt(document, public_key, kid)
        return jwt.finish(signer.sign(jwt.message))
    plain = {parse_pointer(pointer, document) for pointer in _parts(mandatory)}
    holder_key = holder_key_of(document)
    if securing == VC_SD_JWT:
        paths = list(_pieces(document, ALWAYS_SHOWN, plain, {("credentialSubject",)}))
        sd_jwt = prepare_vc_sd_jwt(
            document, public_key, kid, paths, salts=_salts(paths), holder_key=holder_key
        )
    else:
        claims = claims_of(document, vct_of(issuer.settings.url, document["type"]))
        paths = list(_pieces(claims, _CLAIMS_OPEN, _in_claims(plain, document), set(), depth=_DEPTH - 1))
        sd_jwt = prepare_sd_jwt_vc(claims, public_key, kid, paths, salts=_salts(paths), holder_key=holder_key)
    return sd_jwt.finish(signer.sign(sd_jwt.message))


def _salts(paths: Collection[Path]) -> list[bytes]:
    return [secrets.token_bytes(_SALT_BYTES) for _ in range(salts_needed(paths))]


def holder_key_of(document: JsonObject) -> PublicKey | None:
    """The key with which the subject presents the credential: the first for authentication of a DID that holds it."""
    subject = document.get("credentialSubject")
    did = subject.get("id") if isinstance(subject, dict) else None
    if not isinstance(did, str) or not did.startswith(("did:key:", "did:jwk:")):
        return None
    found = resolve_self_certifying(did)
    if found is None:
        return None
    keys = (method.public_key for method in found.methods if method.id in found.relationships[AUTHENTICATION])
    return next((key for key in keys if key is not None), None)


def vct_of(url: str, types: Sequence[str]) -> str:
    """The `vct` of a credential as SD-JWT VC: below the issuer's URL, by its type beside VerifiableCredential."""
    named = [name for name in types if name != "VerifiableCredential"]
    return f"{url}{_VCT}{named[0] if named else 'VerifiableCredential'}"


def claims_of(document: JsonObject, vct: str) -> JsonObject:
    """The claims that say as an SD-JWT VC what `document` says as a credential of the data model."""
    issuer, subject = document["issuer"], document["credentialSubject"]
    if not isinstance(subject, dict):
        raise Malformed("an SD-JWT VC has one subject", path=("credentialSubject",))
    claims: JsonObject = {"vct": vct, "iss": issuer["id"] if isinstance(issuer, dict) else issuer}
    claims |= {"jti": document["id"]} if "id" in document else {}
    claims |= {"sub": subject["id"]} if "id" in subject else {}
    for claim, member in (("nbf", "validFrom"), ("exp", "validUntil")):
        if member in document:
            claims[claim] = numeric_date(parse_datetime_stamp(document[member]))
    said = {name: value for name, value in document.items() if name not in _NOT_CLAIMS}
    of_subject = {name: value for name, value in subject.items() if name not in ("id", "type")}
    if clash := (said.keys() & of_subject.keys()) | ((said.keys() | of_subject.keys()) & claims.keys()):
        raise Malformed("credential and subject have members of one name", path=(min(clash),))
    return claims | said | of_subject


def _in_claims(plain: Collection[Path], document: JsonObject) -> set[Path]:
    """Paths of a credential as paths of its claims, where the members of the subject stand at the top."""
    found: set[Path] = set()
    for path in plain:
        if path == ("credentialSubject",):
            found |= {(name,) for name in document["credentialSubject"]}
        else:
            found.add(path[1:] if path[0] == "credentialSubject" else path)
    return found


def _pieces(
    document: JsonObject,
    always: frozenset[str],
    plain: Collection[Path],
    through: Collection[Path],
    depth: int = _DEPTH,
) -> Iterator[Path]:
    """The paths that a holder may withhold, each a Disclosure; nothing of what `plain` leads to or through."""
    kept = {path[:length] for path in (*plain, *through) for length in range(1, len(path) + 1)}

    def of_object(value: JsonObject, path: Path, left: int) -> Iterator[Path]:
        for name, member in value.items():
            if name not in (_ALWAYS_OPEN if path else always):
                yield from of_value(member, (*path, name), left - 1)

    def of_value(value: Json, path: Path, left: int) -> Iterator[Path]:
        if path not in kept:
            yield path
        elif path in plain:
            return
        if isinstance(value, dict) and left:
            yield from of_object(value, path, left)
        elif isinstance(value, list):
            for index, item in enumerate(value):
                if isinstance(item, dict) and (*path, index) not in plain:
                    if (*path, index) in kept:
                        yield from of_object(item, (*path, index), max(left, 1))
                    else:
                        yield (*path, index)

    yield from of_object(document, (), depth)


# --- reading what was secured


def read_issued(document: bytes) -> Shown:
    """What is stored of a credential, read: `document` of it is what it says."""
    return shown(parse_json(document))


def issued_value(document: bytes) -> JsonObject | str:
    """What is stored of a credential, as it is handed out: an object, or the text of a token."""
    value = parse_json(document)
    if not isinstance(value, dict | str):
        raise Malformed("no credential is stored so")
    return value


def securing_of(issued: Shown) -> str:
    """The name by which an issued credential is secured."""
    if issued.envelope is not None:
        return issued.envelope.media_type.removeprefix("application/")
    return proofs_of(issued.document)[-1].cryptosuite or ""


def types_of_issued(issued: Shown) -> tuple[str, ...]:
    """The types of an issued credential; of an SD-JWT VC the one that its `vct` names."""
    if issued.envelope is not None and "vct" in issued.document:
        return (str(issued.document["vct"]).rpartition(_VCT)[2],)
    return types_of(issued.document)


def method_of(issued: Shown) -> str:
    """The verification method that an issued credential names."""
    if issued.envelope is not None:
        return issued.envelope.verification_method or ""
    return proofs_of(issued.document)[-1].verification_method
