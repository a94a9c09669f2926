"""SD-JWT VC among three: ours, @sd-jwt/sd-jwt-vc 0.19.0 for Node.js, and the reference implementation, PyPI sd-jwt.

Whoever issues and whoever shows a part, all three read the same claims; with one fault all three refuse, but for those
that a row of `FAULTS` names, where the clause decides. Whether times hold the reference implementation never asks.
"""

# ruff: noqa: E501 - a table has one row a line

from __future__ import annotations

import json
import random
from collections.abc import Callable, Collection
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import pytest
from badge_generator import ISSUER, LEARNER, NOW, STRANGER, Person, make_badge
from jwcrypto.jwk import JWK
from sd_jwt.common import SDObj
from sd_jwt.issuer import SDJWTIssuer
from sd_jwt.verifier import SDJWTVerifier

from node.commands.loading import load_standards
from node.core.encoding import encode_base64url
from node.core.envelope import read_envelope
from node.core.errors import Malformed
from node.core.jose.jws import algorithm_of, prepare_jws
from node.core.jose.sd_jwt import Path, prepare_key_binding, salts_needed, select
from node.core.jose.sd_jwt_vc import prepare_sd_jwt_vc, prepare_vc_sd_jwt
from node.core.keys import KeyKind
from node.core.verify import engine
from node.core.verify.holder import Asked
from node.core.verify.intake import read_intake
from node.core.verify.materials import Materials
from node.core.verify.policy import ANY_ISSUER_UNSAFE
from node.core.verify.report import CheckName, Outcome
from node.core.verify.verifier import Verifier

pytestmark = [pytest.mark.node_js, pytest.mark.xdist_group("other_tokens")]

VERIFIER = Verifier.of(load_standards(), policy=ANY_ISSUER_UNSAFE)
VCT = "https://school.example/types/badge"
NONCE, AUDIENCE = "zQx7b0f3cQ2n", "https://employer.example"
SECONDS = int(NOW.timestamp())
OF_PRESENTATION = (CheckName.HOLDER_BINDING, CheckName.CHALLENGE, CheckName.DOMAIN)
KINDS = (KeyKind.P256, KeyKind.ED25519)
COUNT = 16
Claims = dict[str, Any]


def jwk(person: Person) -> dict[str, str]:
    """Both halves of the key."""
    return {**person.signer.public_key.to_jwk(), "d": encode_base64url(person.secret)}


# What is issued and shown ----------------------------------------------------------------------------------


def invented(number: int, issuer: Person) -> tuple[Claims, frozenset[Path]]:
    """Claims of a badge, and paths to some of them, the same for the same number."""
    chance = random.Random(f"sd-jwt {number}")  # noqa: S311 - the same every time
    paths: set[Path] = set()

    def value(here: Path, depth: int) -> Any:
        kind = chance.randrange(5 if depth < 3 else 3)
        if kind < 3:
            return chance.choice([True, chance.randrange(1000), "Zoë", "李 🎓", 'quotes " and \\', 1.5])
        if kind == 3:
            # Arrays of objects differ: see below.
            elements = [chance.choice(["a", 7, "é"]) for _ in range(chance.randrange(1, 4))]
            paths.update((*here, index) for index in range(len(elements)) if chance.random() < 0.4)
            return elements
        return members(here, depth + 1)

    def members(here: Path, depth: int) -> Claims:
        found = {}
        for index in range(chance.randrange(1, 5)):
            place = (*here, f"claim{index}")
            found[f"claim{index}"] = value(place, depth)
            if chance.random() < 0.5:
                paths.add(place)
        return found

    claims = {"iss": issuer.did, "vct": VCT, "iat": SECONDS - 60, "exp": SECONDS + 1000, **members((), 0)}
    return claims, frozenset(paths)


def issued_by_us(claims: Claims, paths: Collection[Path], issuer: Person) -> str:
    holder_key = LEARNER.of(issuer.kind).signer.public_key
    prepared = prepare_sd_jwt_vc(
        claims, issuer.signer.public_key, issuer.method, paths, salts=salts(paths), holder_key=holder_key
    )
    return prepared.finish(issuer.signer.sign(prepared.message))


def salts(paths: Collection[Path]) -> list[bytes]:
    return [sha256(b"salt %d" % number).digest()[:16] for number in range(salts_needed(paths))]


def issued_by_npm(claims: Claims, paths: Collection[Path], issuer: Person, npm: Any) -> str:
    frame: dict[str, Any] = {}
    for *above, last in paths:
        inner = frame
        for step in above:
            inner = inner.setdefault(str(step), {})
        inner.setdefault("_sd", []).append(last)
    whole = {**claims, "cnf": {"jwk": LEARNER.of(issuer.kind).signer.public_key.to_jwk()}}
    token: str = npm.ask(
        "issueSdJwt", claims=whole, frame=frame, jwk=jwk(issuer), header={"kid": issuer.method}
    )
    return token


def issued_by_reference(claims: Claims, paths: Collection[Path], issuer: Person) -> str:
    def marked(value: Any, here: Path) -> Any:
        if isinstance(value, list):
            inner = [(marked(element, (*here, index)), (*here, index)) for index, element in enumerate(value)]
            return [SDObj(element) if place in paths else element for element, place in inner]
        if not isinstance(value, dict):
            return value
        return {
            SDObj(name) if (*here, name) in paths else name: marked(member, (*here, name))
            for name, member in value.items()
        }

    token: str = SDJWTIssuer(
        marked(claims, ()),
        JWK(**jwk(issuer)),
        JWK(**jwk(LEARNER.of(issuer.kind))),
        sign_alg=algorithm_of(issuer.kind),
        extra_header_parameters={"typ": "dc+sd-jwt", "kid": issuer.method},
    ).sd_jwt_issuance
    return token


def shown_by_us(token: str, paths: Collection[Path], holder: Person) -> str:
    shown = select(token, paths)
    prepared = prepare_key_binding(
        shown, holder.signer.public_key, audience=AUDIENCE, nonce=NONCE, issued_at=NOW
    )
    return shown + prepared.finish(holder.signer.sign(prepared.message))


def _frame(paths: Collection[Path]) -> dict[str, Any]:
    """The paths as nested objects, down to True."""
    frame: dict[str, Any] = {}
    for path in sorted(paths, key=len):
        inner = frame
        for step in path[:-1]:
            found = inner.get(str(step))
            inner[str(step)] = inner = found if isinstance(found, dict) else {}
        inner.setdefault(str(path[-1]), True)
    return frame


def shown_by_npm(token: str, paths: Collection[Path], holder: Person, npm: Any) -> str:
    binding = {"iat": SECONDS, "aud": AUDIENCE, "nonce": NONCE}
    shown: str = npm.ask("presentSdJwt", token=token, frame=_frame(paths), jwk=jwk(holder), binding=binding)
    return shown


# What each reads -------------------------------------------------------------------------------------------


def read_by_us(token: str, *, bound: bool = True) -> Claims | None:
    """The claims, or None where it is refused."""
    try:
        intake = read_intake(token.encode())
    except Malformed:
        return None
    asked = Asked(NONCE, (AUDIENCE,)) if bound else Asked()
    report = engine.verify(intake, Materials.none(), VERIFIER, now=NOW, asked=asked)
    if not report.verified or report.acceptance == "refused":
        return None
    if bound and any(report[name].outcome is not Outcome.PASSED for name in OF_PRESENTATION):
        return None
    envelope = read_envelope(token)
    assert envelope is not None
    return envelope.document


def read_by_npm(token: str, issuer: Person, npm: Any, *, bound: bool = True) -> Claims | None:
    how = {"nonce": NONCE} if bound else {}
    try:
        answer = npm.ask(
            "verifySdJwt", token=token, jwk=issuer.signer.public_key.to_jwk(), now=SECONDS, **how
        )
    except RuntimeError:
        return None
    payload: Claims = answer["payload"]
    return payload


def read_by_reference(token: str, issuer: Person, *, bound: bool = True) -> Claims | None:
    expected = {"expected_aud": AUDIENCE, "expected_nonce": NONCE} if bound else {}
    try:
        judge = SDJWTVerifier(token, lambda _issuer, _header: JWK(**jwk(issuer)), **expected)
        payload: Claims = judge.get_verified_payload()
    except Exception:  # noqa: BLE001 - its errors have no common root
        return None
    return payload


@pytest.mark.parametrize("kind", KINDS)
def test_whoever_issues_and_whoever_shows_all_read_the_same(kind: KeyKind, other_tokens: Any) -> None:
    issuer, holder = ISSUER.of(kind), LEARNER.of(kind)
    for number in range(COUNT):
        claims, paths = invented(number, issuer)
        chance = random.Random(f"shown {number}")  # noqa: S311 - the same every time
        some = frozenset(chance.sample(sorted(paths, key=repr), chance.randrange(len(paths) + 1)))
        tokens = (
            issued_by_us(claims, paths, issuer),
            issued_by_npm(claims, paths, issuer, other_tokens),
            issued_by_reference(claims, paths, issuer),
        )
        for token in tokens:
            whole = {**claims, "cnf": {"jwk": holder.signer.public_key.to_jwk()}}
            assert read_by_us(token, bound=False) == whole, number
            assert read_by_npm(token, issuer, other_tokens, bound=False) == whole, number
            assert read_by_reference(token, issuer, bound=False) == whole, number
            by_us, by_npm = (
                shown_by_us(token, some, holder),
                shown_by_npm(token, some, holder, other_tokens),
            )
            for shown in (by_us, by_npm):
                ours = read_by_us(shown)
                assert ours is not None or (shown is by_npm and is_nested(some, paths)), (number, some)
                assert ours == read_by_npm(shown, issuer, other_tokens), (number, some)
                if kind is KeyKind.P256:  # the reference implementation takes no other binding
                    assert ours == read_by_reference(shown, issuer), (number, some)


def is_nested(some: Collection[Path], paths: Collection[Path]) -> bool:
    """Whether a Disclosure inside another is shown.

    @sd-jwt 0.19.0 then leaves inner ones out of what it presents and signs a binding over what it had: all refuse it
    (RFC 9901 section 7.3, step 5).
    """
    return any(path[:length] in paths for path in some for length in range(1, len(path)))


@pytest.mark.parametrize("kind", KINDS)
def test_a_badge_of_ours_as_vc_sd_jwt_is_read_by_all(kind: KeyKind, other_tokens: Any) -> None:
    """VC-JOSE-COSE section 3.2.1: an SD-JWT whose payload is a credential."""
    issuer, holder = ISSUER.of(kind), LEARNER.of(kind)
    some: list[Path] = [("name",), ("credentialSubject", "achievement", "description")]
    for number in range(COUNT):
        badge = make_badge(number, kind)
        paths = [*some, ("credentialSubject", "achievement", "criteria")]
        prepared = prepare_vc_sd_jwt(
            badge,
            issuer.signer.public_key,
            issuer.method,
            paths,
            salts=salts(paths),
            holder_key=holder.signer.public_key,
        )
        shown = shown_by_us(prepared.finish(issuer.signer.sign(prepared.message)), some, holder)
        del badge["credentialSubject"]["achievement"]["criteria"]
        assert read_by_us(shown) == badge, number
        read = [read_by_npm(shown, issuer, other_tokens)]
        if kind is KeyKind.P256:
            read.append(read_by_reference(shown, issuer))
        for other in read:
            assert other is not None, number
            assert {name: other[name] for name in badge} == badge, number


# One fault each ----------------------------------------------------------------------------------------------


def disclosure(*parts: Any) -> str:
    return encode_base64url(json.dumps(parts).encode())


def digest(text: str) -> str:
    return encode_base64url(sha256(text.encode()).digest())


NAME = disclosure("salt of the name, 128 bits", "name", "Ada")
GRADE = disclosure("salt of the grade, 128 bits", "grade", "1.0")
FIRST = disclosure("salt of an element, 128 bits", "lists")
HIDDEN = digest("what nobody shows")


@dataclass
class Draft:
    """A token with its key binding before anything is signed; a fault changes one thing of it."""

    header: Claims
    payload: Claims
    disclosures: list[str]
    binding_header: Claims
    bound: Claims
    issuer: Person
    holder: Person
    shown: Callable[[str], str] = str
    """What becomes of the token and its disclosures after the binding was made over them."""
    spelled: bytes | None = None
    """The payload in another spelling than its own."""
    has_binding: bool = True

    def text(self) -> str:
        issued = _signed(self.header, self.spelled or self.payload, self.issuer)
        token = "~".join((issued, *self.disclosures, ""))
        binding = {"sd_hash": digest(token), **self.bound}
        signed = _signed(self.binding_header, binding, self.holder) if self.has_binding else ""
        return self.shown(token) + signed


def _signed(header: Claims, payload: Claims | bytes, person: Person) -> str:
    prepared = prepare_jws(header, payload)
    return prepared.finish(person.signer.sign(prepared.message))


def draft() -> Draft:
    issuer, holder = ISSUER.of(KeyKind.P256), LEARNER.of(KeyKind.P256)
    return Draft(
        header={"alg": "ES256", "typ": "dc+sd-jwt", "kid": issuer.method},
        payload={
            "iss": issuer.did,
            "vct": VCT,
            "iat": SECONDS - 60,
            "exp": SECONDS + 1000,
            "open": "yes",
            "cnf": {"jwk": holder.signer.public_key.to_jwk()},
            "subjects": [{"...": digest(FIRST)}, "trees"],
            "_sd": sorted([digest(NAME), digest(GRADE), HIDDEN]),
            "_sd_alg": "sha-256",
        },
        disclosures=[NAME, FIRST],
        binding_header={"alg": "ES256", "typ": "kb+jwt"},
        bound={"iat": SECONDS, "aud": AUDIENCE, "nonce": NONCE},
        issuer=issuer,
        holder=holder,
    )


Fault = Callable[[Draft], object]


def shows(*disclosures: str) -> Fault:
    """The holder shows these instead."""
    return lambda d: setattr(d, "disclosures", list(disclosures))


def issues(*disclosures: str, **members: Any) -> Fault:
    """The issuer signed the digests of these as well, and they are shown."""

    def fault(d: Draft) -> None:
        d.payload["_sd"] = [*d.payload["_sd"], *map(digest, disclosures)]
        d.payload.update(members)
        d.disclosures += disclosures

    return fault


def after(edit: Callable[[str], str]) -> Fault:
    return lambda d: setattr(d, "shown", edit)


def by(who: str, person: Person) -> Fault:
    return lambda d: setattr(d, who, person.of(KeyKind.P256))


def _letter(part: int) -> Callable[[str], str]:
    """One letter of a part of the issuer's token changed."""

    def edit(text: str) -> str:
        token, _, rest = text.partition("~")
        parts = token.split(".")
        parts[part] = parts[part][:20] + ("A" if parts[part][20] != "A" else "B") + parts[part][21:]
        return ".".join(parts) + "~" + rest

    return edit


def _unsigned(d: Draft) -> None:
    header = encode_base64url(b'{"alg":"none","typ":"dc+sd-jwt"}')
    d.shown = lambda text: f"{header}.{text.split('.')[1]}." + text[text.index("~") :]


def _twice(d: Draft) -> None:
    d.spelled = json.dumps(d.payload)[:-1].encode() + b',"open":"no"}'


def _disclosed(name: str) -> Fault:
    return lambda d: issues(disclosure("salt of what decides", name, d.payload.pop(name)))(d)


# For each fault who takes it, and the clause that decides.
NPM, REFERENCE = "npm", "reference"
OTHERS = {NPM, REFERENCE}
TIMES = "RFC 9901 section 7.1 step 6: times are checked"
NAMES = "RFC 9901 section 7.1 step 3.c: a name is a string, and neither _sd nor ..."
ARITY = "RFC 9901 section 7.1 step 3.c: three parts in an object, two in an array"
ONCE = "RFC 9901 section 7.1 step 4: no digest is there twice"
OPEN = "SD-JWT VC section 2.2.2.2, FORMATS section 2: never in a disclosure; both leave it to the issuer"
DIGESTS = "RFC 9901 section 4.2.4.1: an array of strings"
FAULTS: dict[str, tuple[Fault, Collection[str], str]] = {
    "nothing": (lambda _: None, {"ours", NPM, REFERENCE}, ""),
    # The issuer's token
    "another signature": (after(_letter(2)), (), ""),
    "another header": (after(_letter(0)), (), ""),
    "another payload": (after(_letter(1)), (), ""),
    "alg none": (_unsigned, (), ""),
    "signed by somebody else": (by("issuer", STRANGER), (), ""),
    "another type of token": (lambda d: d.header.update(typ="example+sd-jwt"), OTHERS, "SD-JWT VC section 2.2.1, RFC 8725 section 3.11: dc+sd-jwt; both let their caller look"),
    "a critical extension": (lambda d: d.header.update(crit=["x"], x=1), {NPM}, "RFC 7515 section 4.1.11: one that is not understood makes the token invalid"),
    "expired": (lambda d: d.payload.update(exp=SECONDS - 1), {REFERENCE}, TIMES),
    "not yet valid": (lambda d: d.payload.update(nbf=SECONDS + 1000), {REFERENCE}, TIMES),
    "an end that is no number": (lambda d: d.payload.update(exp="tomorrow"), OTHERS, "RFC 7519 section 4.1.4: a NumericDate"),
    "no type of credential": (lambda d: d.payload.pop("vct"), OTHERS, "SD-JWT VC section 2.2.2.1: vct is required"),
    "another hash": (lambda d: d.payload.update(_sd_alg="md5"), (), ""),
    "_sd that is a string": (lambda d: d.payload.update(_sd=digest(NAME)), {NPM}, DIGESTS),
    "_sd of numbers": (lambda d: (d.payload.update(_sd=[1, 2]), shows(FIRST)(d)), OTHERS, DIGESTS),
    "a digest twice": (lambda d: d.payload["_sd"].append(digest(NAME)), {NPM}, ONCE),
    "a digest in two places": (lambda d: d.payload["subjects"].append({"...": digest(FIRST)}), OTHERS, ONCE),
    "an element with more than its digest": (lambda d: d.payload["subjects"][0].update(more=1), OTHERS, "RFC 9901 section 4.2.4.2: nothing beside it"),
    "an element's digest in an object": (lambda d: d.payload.update({"...": digest(FIRST)}), OTHERS, "RFC 9901 section 4.2.4.2: in arrays alone"),
    "a member twice": (_twice, OTHERS, "RFC 8725 section 2.4, FORMATS section 2: duplicates are refused"),
    # Disclosures
    "a disclosure that nothing refers to": (shows(NAME, disclosure("s", "x", 1)), OTHERS, "RFC 9901 section 7.1 step 5: then the token is rejected"),
    "a disclosure with another value": (shows(NAME[:-6] + "AAAAAA"), (), ""),
    "a disclosure twice": (shows(NAME, NAME), {NPM}, "RFC 9901 section 7.1 steps 4 and 5: the second has nothing that refers to it"),
    "an empty disclosure": (shows(NAME, ""), (), ""),
    "a disclosure that is no array": (issues(encode_base64url(b'{"name":"Ada"}')), (), ""),
    "a disclosure of four parts": (issues(disclosure("s", "x", 1, 2)), (), ""),
    "a disclosure of an element where a name belongs": (issues(disclosure("s", "x")), {NPM}, ARITY),
    "a disclosure whose name is no text": (issues(disclosure("s", 7, 1)), OTHERS, NAMES),
    "a disclosure named _sd": (issues(disclosure("s", "_sd", ["x"])), OTHERS, NAMES),
    "a disclosure named ...": (issues(disclosure("s", "...", "x")), OTHERS, NAMES),
    "a disclosure of a claim that is open": (issues(disclosure("s", "open", "no")), {NPM}, "RFC 9901 section 7.1 step 3.c: then the token is rejected; theirs overwrites it"),
    "a type disclosed": (_disclosed("vct"), OTHERS, OPEN),
    "an end disclosed": (_disclosed("exp"), OTHERS, OPEN),
    "a holder disclosed": (_disclosed("cnf"), {NPM}, OPEN + ", here but for the holder of the reference implementation"),
    "an issuer disclosed": (_disclosed("iss"), OTHERS, OPEN),
    # The key binding
    "no binding": (lambda d: setattr(d, "has_binding", False), (), ""),
    "another nonce": (lambda d: d.bound.update(nonce="another"), (), ""),
    "another audience": (lambda d: d.bound.update(aud="https://elsewhere.example"), {NPM}, "RFC 9901 section 7.3 step 5: aud is the verifier's; theirs has no place to say it"),
    "several audiences": (lambda d: d.bound.update(aud=[AUDIENCE]), {NPM}, "RFC 9901 section 4.3: one string"),
    "another holder": (by("holder", STRANGER), (), ""),
    "another type of binding": (lambda d: d.binding_header.update(typ="JWT"), (), ""),
    "a binding without its time": (lambda d: d.bound.pop("iat"), {REFERENCE}, "RFC 9901 section 4.3: iat is required"),
    "a binding of long ago": (lambda d: d.bound.update(iat=SECONDS - 10**6), OTHERS, "RFC 9901 section 7.3 step 5: made within an acceptable window"),
    "a disclosure less": (after(lambda text: text.replace(FIRST + "~", "")), (), ""),
    "a disclosure more": (after(lambda text: text + GRADE + "~"), (), ""),
    "disclosures in another order": (after(lambda text: text.replace(f"{NAME}~{FIRST}", f"{FIRST}~{NAME}")), (), ""),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_one_fault_is_refused_by_all_but_where_a_clause_decides(fault: str, other_tokens: Any) -> None:
    make, accepted_by, clause = FAULTS[fault]
    made = draft()
    make(made)
    token, issuer = made.text(), ISSUER.of(KeyKind.P256)
    readers = {
        "ours": read_by_us(token),
        NPM: read_by_npm(token, issuer, other_tokens),
        REFERENCE: read_by_reference(token, issuer),
    }
    assert {name for name, read in readers.items() if read is not None} == set(accepted_by), clause
