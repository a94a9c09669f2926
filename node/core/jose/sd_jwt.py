"""SD-JWT: a signed token whose holder shows of it what he chooses (RFC 9901).

Issuing (section 4.2): what may be withheld is replaced by the digest of a Disclosure, base64url of `[salt, name,
value]` or, for an array element, `[salt, value]`; H is SHA-256 for what is issued here. Digests are over the text of a
Disclosure, which is therefore never written anew. Verifying (section 7.1) refuses whatever could be read in two ways.
Key binding (section 4.3): the holder signs the nonce of the verifier, its name, and the digest of what is shown.
What the claims mean, and which of them may be withheld, is left to others.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final, NamedTuple, TypeAlias

from node.core import problem
from node.core.canonical.jcs import canonicalize
from node.core.encoding import decode_base64url, encode_base64url
from node.core.errors import Malformed, NotVerified
from node.core.jose.claims import Claims, numeric_date, parse_claims
from node.core.jose.jws import (
    ALGORITHMS,
    MAX_TOKEN_CHARS,
    Jws,
    PreparedJws,
    algorithm_of,
    parse_jws,
    prepare_jws,
    require_type,
    verify_jws,
)
from node.core.keys import PublicKey
from node.core.strict_json import MAX_DEPTH, Json, JsonObject, objects_in, parse_json

Path: TypeAlias = tuple[str | int, ...]
"""Where in a payload: names of members and zero-based indexes, as the payload reads with all Disclosures in place."""

KEY_BINDING_TYPE: Final = "kb+jwt"
SALT_BYTES: Final = 16  # at least; section 9.3
MAX_DISCLOSURES: Final = 2_000
# The IANA registry of named information hashes, as far as its names are in use here.
_HASHES: Final[Mapping[str, Callable[[bytes], Any]]] = MappingProxyType(
    {"sha-256": hashlib.sha256, "sha-384": hashlib.sha384, "sha-512": hashlib.sha512}
)
_DEFAULT_HASH: Final = "sha-256"
_DIGESTS: Final = "_sd"
_HASH_NAME: Final = "_sd_alg"
_ELEMENT: Final = "..."
_NESTING: Final = (dict, list)
_TEXT: Final = re.compile(r"[A-Za-z0-9_-]+\Z")


# What is received ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SdJwt:
    """An SD-JWT, perhaps with key binding, that was taken apart and not verified."""

    issued: Jws
    issued_text: str
    """The issuer-signed token: everything before the first `~`."""
    disclosures: tuple[str, ...]
    payload: JsonObject
    """The issuer's payload, digests and all."""
    key_binding: Jws | None = None

    @property
    def shown(self) -> str:
        """The token and its Disclosures with the last `~`: what a key binding is over."""
        return "~".join((self.issued_text, *self.disclosures, ""))

    def digests(self, *texts: str) -> list[str]:
        """The digests of Disclosures, or of what is shown, by the hash that the payload names."""
        name = self.payload.get(_HASH_NAME, _DEFAULT_HASH)
        if not isinstance(name, str) or name not in _HASHES:
            raise Malformed("the token names a hash that is not known here", path=(_HASH_NAME,))
        hashed = _HASHES[name]
        return [encode_base64url(hashed(text.encode()).digest()) for text in texts]


class Disclosed(NamedTuple):
    """One Disclosure and where its claim stands in the processed payload."""

    path: Path
    disclosure: str


@dataclass(frozen=True, slots=True)
class Processed:
    """A payload with its Disclosures in place and without digests (section 7.1 step 3)."""

    payload: JsonObject
    disclosed: tuple[Disclosed, ...]
    undisclosed: tuple[Path, ...]
    """For each digest that found no Disclosure (decoys are among them), the object or array where it stands."""

    @property
    def up_to_the_holder(self) -> frozenset[str | int]:
        """The top-level members over which, or over a part of which, a Disclosure decides, shown or withheld."""
        return frozenset(
            [one.path[0] for one in self.disclosed] + [path[0] for path in self.undisclosed if path]
        )


@dataclass(frozen=True, slots=True)
class KeyBindingClaims:
    """What a KB-JWT says (section 4.3): for whom, against which nonce, when, and over what."""

    audience: str
    nonce: str
    issued_at: datetime
    sd_hash: str


def parse_sd_jwt(text: str) -> SdJwt:
    """The parts of an SD-JWT in its compact form, `<token>~<Disclosure>~…~[<KB-JWT>]`, or Malformed."""
    if len(text) > MAX_TOKEN_CHARS or not text.isascii():
        raise _malformed(f"a token is ASCII, at most {MAX_TOKEN_CHARS:,} characters")
    issued, *disclosures = text.split("~")
    if not disclosures:
        raise _malformed("an SD-JWT ends with a ~, or with a key binding after one")
    binding = disclosures.pop()
    if len(disclosures) > MAX_DISCLOSURES:
        raise _malformed(f"more than {MAX_DISCLOSURES:,} Disclosures")
    jws = parse_jws(issued)
    return SdJwt(jws, issued, tuple(disclosures), jws.claims(), parse_jws(binding) if binding else None)


def process(token: SdJwt) -> Processed:
    """The payload as far as it is disclosed, or Malformed (section 7.1, steps 2 to 5).

    Refused: a Disclosure of a wrong shape, or named `_sd` or `...`, or for a claim that is there already; one that
    nothing refers to, or that is there twice; a digest that stands in two places; `_sd` that is no array of strings;
    and `...` anywhere but alone in an array element.
    """
    found = dict(zip(token.digests(*token.disclosures), token.disclosures, strict=True))
    if len(found) != len(token.disclosures):
        raise _malformed("a Disclosure is there twice")
    reader = _Reader(found)
    payload = reader.object({name: value for name, value in token.payload.items() if name != _HASH_NAME}, ())
    if found:
        raise _malformed("a Disclosure that nothing refers to")
    if _HASH_NAME in payload:
        raise _malformed(f"a Disclosure named {_HASH_NAME}")
    return Processed(payload, tuple(reader.disclosed), tuple(reader.undisclosed))


@dataclass(slots=True)
class _Reader:
    """Puts Disclosures in place; `found` are those that nothing has referred to so far, by their digests."""

    found: dict[str, str]
    seen: set[str] = field(default_factory=set)
    disclosed: list[Disclosed] = field(default_factory=list)
    undisclosed: list[Path] = field(default_factory=list)

    def value(self, value: Json, path: Path) -> Json:
        kind = type(value)
        if kind is dict:
            return self.object(value, path)
        return self.array(value, path) if kind is list else value

    def object(self, value: JsonObject, path: Path) -> JsonObject:
        _check_depth(path)
        if _ELEMENT in value:
            raise _malformed(f"{_ELEMENT} stands where no array element is withheld")
        read = value.copy()
        for name, member in value.items():
            if type(member) in _NESTING and name != _DIGESTS:
                read[name] = self.value(member, (*path, name))
        return self._disclose(read, value[_DIGESTS], path) if _DIGESTS in value else read

    def _disclose(self, read: JsonObject, digests: Json, path: Path) -> JsonObject:
        del read[_DIGESTS]
        if not isinstance(digests, list) or not all(isinstance(digest, str) for digest in digests):
            raise _malformed(f"{_DIGESTS} is an array of strings")
        for digest in digests:
            disclosure = self._take(digest, path)
            if disclosure is None:
                continue
            _, name, value = _parts(disclosure, "salt, name and value", 3)
            if not isinstance(name, str) or name in (_DIGESTS, _ELEMENT):
                raise _malformed("a Disclosure whose name no claim can have")
            if name in read:
                raise _malformed("a Disclosure of a claim that is there already")
            place = (*path, name)
            self.disclosed.append(Disclosed(place, disclosure))
            read[name] = self.value(value, place) if type(value) in _NESTING else value
        return read

    def array(self, value: list[Json], path: Path) -> list[Json]:
        _check_depth(path)
        read: list[Json] = []
        for element in value:
            if type(element) not in _NESTING:
                read.append(element)
                continue
            place = (*path, len(read))
            if _ELEMENT not in element or type(element) is list:
                read.append(self.value(element, place))
                continue
            digest = element[_ELEMENT]
            if len(element) != 1 or not isinstance(digest, str):
                raise _malformed(f"{_ELEMENT} is alone in its array element and a string")
            disclosure = self._take(digest, path)
            if disclosure is not None:
                self.disclosed.append(Disclosed(place, disclosure))
                read.append(self.value(_parts(disclosure, "salt and value", 2)[1], place))
        return read

    def _take(self, digest: str, path: Path) -> str | None:
        """The Disclosure of that digest; None where it was not shown."""
        if digest in self.seen:
            raise _malformed("a digest stands in two places")
        self.seen.add(digest)
        disclosure = self.found.pop(digest, None)
        if disclosure is None:
            self.undisclosed.append(path)
        return disclosure


def _parts(disclosure: str, shape: str, length: int) -> list[Json]:
    """What a Disclosure is an array of, the salt first."""
    try:
        parts = parse_json(decode_base64url(disclosure))
    except Malformed as error:
        raise _malformed(f"a Disclosure that cannot be read: {error.detail}") from error
    if not isinstance(parts, list) or len(parts) != length or not isinstance(parts[0], str):
        raise _malformed(f"a Disclosure at this place is an array of {shape}")
    return parts


def check_no_digests(payload: JsonObject) -> None:
    """Malformed where a payload has the members of an SD-JWT: of a token that is read as if nothing could be withheld.

    Whoever has an SD-JWT can leave out its last `~`, with all Disclosures; where no `typ` says what it is, it would
    then be read as a whole that lacks what was withheld.
    """
    for item in objects_in(payload, without=()):
        if _DIGESTS in item or _HASH_NAME in item or _ELEMENT in item:
            raise _malformed("digests of Disclosures in a token that is no SD-JWT")


def verify_issuer(token: SdJwt, public_key: PublicKey) -> None:
    """Raise NotVerified unless the issuer-signed token was signed by `public_key`."""
    verify_jws(token.issued, public_key, allowed_algorithms=ALGORITHMS)


def read_key_binding(token: SdJwt) -> KeyBindingClaims | None:
    """What the key binding says (section 4.3), not verified; None without one, Malformed where a claim is missing."""
    if token.key_binding is None:
        return None
    payload = token.key_binding.claims()
    claims: Claims = parse_claims(payload)
    audience, sd_hash = payload.get("aud"), payload.get("sd_hash")
    if not isinstance(audience, str) or not isinstance(sd_hash, str):
        raise _malformed("a key binding has aud and sd_hash, each a string")
    if claims.nonce is None or claims.issued_at is None:
        raise _malformed("a key binding has nonce and iat")
    return KeyBindingClaims(audience, claims.nonce, claims.issued_at, sd_hash)


def verify_key_binding(token: SdJwt, holder_key: PublicKey) -> KeyBindingClaims:
    """What the holder signed; NotVerified unless it is of its type, by `holder_key`, and over what is shown.

    Section 7.3 step 5, but for nonce, audience and time, which are for the caller to compare.
    """
    said = read_key_binding(token)
    if token.key_binding is None or said is None:
        raise NotVerified("there is no key binding")
    require_type(token.key_binding, KEY_BINDING_TYPE)
    verify_jws(token.key_binding, holder_key, allowed_algorithms=ALGORITHMS)
    if said.sd_hash != token.digests(token.shown)[0]:
        raise NotVerified("the key binding was made for another selection of Disclosures")
    return said


# What is issued and shown ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PreparedSdJwt:
    """An SD-JWT that lacks nothing but the issuer's signature over `message`."""

    message: bytes
    disclosures: tuple[str, ...]

    def finish(self, signature: bytes) -> str:
        """The token with all its Disclosures, as the holder gets it; `signature` is raw, for ECDSA r and s."""
        return "~".join((PreparedJws(self.message).finish(signature), *self.disclosures, ""))


def salts_needed(disclosable: Collection[Path], decoys: Mapping[Path, int] | None = None) -> int:
    """How many salts `prepare_sd_jwt` takes: one for each path and one for each decoy."""
    return len(disclosable) + sum((decoys or {}).values())


def prepare_sd_jwt(
    header: JsonObject,
    claims: JsonObject,
    disclosable: Collection[Path],
    *,
    salts: Sequence[bytes],
    decoys: Mapping[Path, int] | None = None,
) -> PreparedSdJwt:
    """What the issuer signs (section 4.2), with a Disclosure for each path in `disclosable`.

    A path below another one makes the outer Disclosure hold the digest of the inner one. `decoys` says how many
    digests without a Disclosure an object or array gets (section 4.2.7). `salts`, as many as `salts_needed` says, are
    at least 16 bytes each from a CSPRNG. Malformed: a path that leads nowhere, and claims that look like digests.
    """
    wanted = set(disclosable)
    if len(set(salts)) != salts_needed(wanted, decoys) or any(len(salt) < SALT_BYTES for salt in salts):
        raise ValueError("one salt for each Disclosure and decoy, none of them used twice")
    if _HASH_NAME in claims:
        raise _malformed(f"{_HASH_NAME} is no claim of an issuer")
    writer = _Writer(wanted, iter(salts), dict(decoys or {}))
    payload = writer.object(claims, ())
    if writer.wanted or writer.decoys:
        raise _malformed("a path that leads to no claim")
    if writer.disclosures or decoys:
        payload[_HASH_NAME] = _DEFAULT_HASH
    return PreparedSdJwt(prepare_jws(header, payload).message, tuple(writer.disclosures))


@dataclass(slots=True)
class _Writer:
    """Replaces what may be withheld by digests, from the leaves upwards."""

    wanted: set[Path]
    salts: Iterator[bytes]
    decoys: dict[Path, int]
    disclosures: list[str] = field(default_factory=list)

    def value(self, value: Json, path: Path) -> Json:
        if isinstance(value, dict):
            return self.object(value, path)
        return self.array(value, path) if isinstance(value, list) else value

    def object(self, value: JsonObject, path: Path) -> JsonObject:
        _check_depth(path)
        if _DIGESTS in value or _ELEMENT in value:
            raise _malformed(f"{_DIGESTS} and {_ELEMENT} are no names of claims", path=path)
        written: JsonObject = {}
        digests = []
        for name, member in value.items():
            place = (*path, name)
            inner = self.value(member, place)
            if self._is_wanted(place):
                digests.append(self._disclose([name, inner]))
            else:
                written[name] = inner
        digests += self._decoys(path)
        if digests:
            # Sorted, so that neither the order of the claims nor which digests are decoys can be read from it.
            written[_DIGESTS] = sorted(digests)
        return written

    def array(self, value: list[Json], path: Path) -> list[Json]:
        _check_depth(path)
        written: list[Json] = []
        for index, element in enumerate(value):
            place = (*path, index)
            inner = self.value(element, place)
            written.append({_ELEMENT: self._disclose([inner])} if self._is_wanted(place) else inner)
        for digest in self._decoys(path):
            # The digest is as good as random: a decoy at a place of its own choice is as likely anywhere.
            written.insert(int.from_bytes(digest.encode()[:8]) % (len(written) + 1), {_ELEMENT: digest})
        return written

    def _is_wanted(self, place: Path) -> bool:
        wanted = place in self.wanted
        self.wanted.discard(place)
        return wanted

    def _disclose(self, parts: list[Json]) -> str:
        text = encode_base64url(canonicalize([encode_base64url(next(self.salts)), *parts]))
        self.disclosures.append(text)
        return _digest(text.encode("ascii"))

    def _decoys(self, path: Path) -> list[str]:
        return [_digest(next(self.salts)) for _ in range(self.decoys.pop(path, 0))]


def select(text: str, paths: Collection[Path]) -> str:
    """What the holder shows of an SD-JWT: the Disclosures of `paths` and of everything above them, and no others.

    Paths are those of `process`; one to a claim that is always shown adds nothing. Malformed: a path that leads to
    nothing, and a token that has a key binding already (section 7.2).
    """
    token = parse_sd_jwt(text)
    if token.key_binding is not None:
        raise _malformed("what is selected from has no key binding yet")
    processed = process(token)
    needed = {path[:length] for path in paths for length in range(1, len(path) + 1)}
    for path in paths:
        _follow(processed.payload, path)
    kept = {one.disclosure for one in processed.disclosed if one.path in needed}
    shown = (disclosure for disclosure in token.disclosures if disclosure in kept)
    return "~".join((token.issued_text, *shown, ""))


def prepare_key_binding(
    shown: str, holder_key: PublicKey, *, audience: str, nonce: str, issued_at: datetime
) -> PreparedJws:
    """What the holder signs over `shown`, the answer of `select`; the KB-JWT is appended to it (section 4.3)."""
    token = parse_sd_jwt(shown)
    if token.key_binding is not None:
        raise _malformed("there is a key binding already")
    header = {"alg": algorithm_of(holder_key.kind), "typ": KEY_BINDING_TYPE}
    claims = {"iat": numeric_date(issued_at), "aud": audience, "nonce": nonce}
    return prepare_jws(header, claims | {"sd_hash": token.digests(shown)[0]})


# JSON serialization ----------------------------------------------------------------------------------------


def compact_forms(value: JsonObject) -> tuple[str, ...]:
    """The compact forms of an SD-JWT in JSON (section 8), one for each signature; flattened has exactly one.

    Disclosures and the KB-JWT stand in the unprotected header, in the general form in that of the first signature.
    """
    payload, signatures = value.get("payload"), value.get("signatures", [value])
    if "signatures" in value and value.keys() & {"protected", "header", "signature"}:
        raise _malformed("a token in JSON is either flattened or general")
    if not isinstance(payload, str) or not isinstance(signatures, list) or not signatures:
        raise _malformed("a token in JSON has a payload and signatures")
    forms = []
    tail: list[str] | None = None
    for signature in signatures:
        if not isinstance(signature, dict):
            raise _malformed("a signature in JSON is an object")
        parts = (signature.get("protected"), payload, signature.get("signature"))
        texts = [part for part in parts if isinstance(part, str) and _TEXT.match(part)]
        if len(texts) != 3:
            raise _malformed("a signature in JSON has a protected header and a value, in base64url")
        if tail is None:
            tail = _unprotected(signature.get("header", {}))
        elif any(_unprotected(signature.get("header", {}))):
            raise _malformed("Disclosures stand with the first signature")
        forms.append("~".join((".".join(texts), *tail)))
    return tuple(forms)


def _unprotected(header: Json) -> list[str]:
    if not isinstance(header, dict):
        raise _malformed("an unprotected header is an object")
    disclosures, binding = header.get("disclosures", []), header.get("kb_jwt", "")
    if not isinstance(disclosures, list) or not all(
        isinstance(text, str) and "~" not in text for text in (*disclosures, binding)
    ):
        raise _malformed("disclosures is an array of strings, and kb_jwt a string")
    return [*disclosures, binding]


def _follow(value: Json, path: Path) -> Json:
    for step in path:
        fits = isinstance(value, dict) if isinstance(step, str) else isinstance(value, list)
        if not fits or (step not in value if isinstance(step, str) else not 0 <= step < len(value)):
            raise _malformed("a path that leads to no claim")
        value = value[step]
    return value


def _digest(data: bytes) -> str:
    return encode_base64url(hashlib.sha256(data).digest())


def _check_depth(path: Path) -> None:
    if len(path) > MAX_DEPTH:
        raise _malformed(f"nested deeper than {MAX_DEPTH}")


def _malformed(detail: str, *, path: Path = ()) -> Malformed:
    return Malformed(detail, type=problem.PARSING_ERROR, path=path)
