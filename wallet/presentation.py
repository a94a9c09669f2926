"""Presentations: what a holder signs over what is shown, for one challenge and one domain.

Each format has its own: a presentation with an embedded proof (Data Integrity), a token that holds the credential
(VC-JOSE-COSE; VC Data Model 1.1 section 6.3.1 for tokens of its kind), a key binding after an SD-JWT (RFC 9901 section
4.3). A credential of bbs-2023 is shown alone, its proof derived for the occasion: a signature by the holder's DID would
link what the suite keeps apart. So nobody can use what was shown twice or elsewhere. Pure: randomness is drawn by the
caller's function, bundles go beside.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from node.core.bundle import Bundle
from node.core.canonical.rdfc import Canonicalizer
from node.core.credential import BASE_CONTEXT, BASE_CONTEXT_1_1
from node.core.dataintegrity.suites import prepare_proof
from node.core.did.document import AUTHENTICATION
from node.core.envelope import enveloped, read_envelope
from node.core.errors import BonafidesError, Malformed, NotFound, Unavailable
from node.core.jose.claims import numeric_date
from node.core.jose.jws import prepare_jws
from node.core.jose.sd_jwt import prepare_key_binding
from node.core.jose.vc_jwt import prepare_vp_jwt
from node.core.oid4vp.formats import SD_JWTS, format_of
from node.core.strict_json import JsonObject
from node.core.times import format_datetime_stamp
from wallet.claims import Place, names_of
from wallet.consent import Disclosed
from wallet.disclose import ENTROPY_BYTES, Occasion
from wallet.formats import SUITES, is_presentable, is_version_1_1
from wallet.holder_keys import HolderKey, key_of
from wallet.holdings import Holding

Draw = Callable[[int], bytes]


@dataclass(frozen=True, slots=True)
class Showing:
    """One credential as it will be shown. `evidence` are the names of the items that go along."""

    holding: Holding
    evidence: tuple[str, ...] = ()
    asked: tuple[str, ...] = ()
    query_id: str = ""
    bound: bool = True
    """Whether the holder signs for it."""
    selection: tuple[Place, ...] | None = None
    """The claims that were chosen; None is all of them."""

    @property
    def chosen(self) -> tuple[Place, ...]:
        """The claims that were chosen, all of them where nobody chose."""
        return self.holding.choices.places if self.selection is None else self.selection

    def made(self, canonicalizer: Canonicalizer, occasion: Occasion) -> JsonObject | str:
        """The credential with what was chosen of it."""
        return self.holding.choices.make(self.chosen, canonicalizer, occasion)


def with_evidence(showings: Sequence[Showing], names: Iterable[str]) -> tuple[Showing, ...]:
    """The same showings, each with those of the named items that it holds; NotFound for a name that none holds."""
    wanted = tuple(dict.fromkeys(names))
    held = {item.item.name for one in showings for item in one.holding.evidence}
    if missing := [name for name in wanted if name not in held]:
        there = ", ".join(sorted(held)) or "none"
        raise NotFound(f"no evidence named {missing[0]!r} is held with what would be shown: there is {there}")
    return tuple(
        replace(
            one,
            evidence=tuple(item.item.name for item in one.holding.evidence if item.item.name in wanted),
        )
        for one in showings
    )


def disclosed(showing: Showing, *, with_bundle: bool) -> Disclosed:
    """What a showing discloses, for the consent screen and the record."""
    holding, choices = showing.holding, showing.holding.choices
    evidence = [item.item.name for item in holding.evidence]
    sent = with_bundle and holding.bundle is not None
    revealed, always = choices.reveal(showing.chosen), choices.reveal(())
    shown = [place for place in choices.places if place in revealed]
    hidden = [place for place in choices.places if place not in revealed]
    return Disclosed(
        holding.id,
        holding.name,
        names_of(shown, hidden),
        showing.asked,
        showing.evidence if sent else (),
        tuple(name for name in evidence if not sent or name not in showing.evidence),
        sent,
        names_of([place for place in shown if place in always], hidden),
        names_of(hidden, shown),
        choices.linkable or showing.bound,
        showing.bound and not choices.linkable,
        choices.pseudonymous,
    )


def holder_of(holding: Holding, keys: Sequence[HolderKey]) -> HolderKey:
    """The key with which a credential is presented: the one that its issuer bound it to, else that of its subject.

    NotFound where that is none of ours.
    """
    envelope = holding.shown.envelope
    if envelope is not None and (envelope.holder_key or envelope.holder_method):
        for key in keys:
            if key.public_key == envelope.holder_key or key.verification_method == envelope.holder_method:
                return key
        raise NotFound("it was bound to a key (cnf) that is not in this wallet")
    return key_of(keys, holding.subject_ids)


def shows_itself(holding: Holding) -> bool:
    """Whether it is shown without a presentation around it: with a key binding, or by a proof for the occasion."""
    envelope = holding.shown.envelope
    if envelope is None:
        return holding.choices.for_occasion
    return format_of(envelope) in SD_JWTS and (
        envelope.holder_key is not None or envelope.holder_method is not None
    )


def bundles_of(showings: Sequence[Showing], made: Sequence[JsonObject | str]) -> tuple[Bundle, ...]:
    """The bundles that travel beside what is shown, each once."""
    found = [
        one.holding.loose_bundle(one.evidence, credential)
        for one, credential in zip(showings, made, strict=True)
        if one.holding.bundle is not None
    ]
    return tuple({one.credential_digest: one for one in found}.values())


# What is signed ---------------------------------------------------------------------------------------------


def sign_presentation(
    key: HolderKey,
    credentials: Sequence[JsonObject | str],
    canonicalizer: Canonicalizer,
    *,
    challenge: str,
    domain: str,
    now: datetime,
    suites: Sequence[str] = (),
) -> JsonObject:
    """A VC 2.0 presentation of `credentials`, signed for this challenge and this domain; tokens are enveloped.

    The first suite that can sign it is taken (by default of all those of the key): RDF canonicalization needs every
    context to be pinned here.
    """
    presentation = _presentation(key, credentials)
    options: JsonObject = {
        "verificationMethod": key.verification_method,
        "proofPurpose": AUTHENTICATION,
        "created": format_datetime_stamp(now),
        "challenge": challenge,
        "domain": domain,
    }
    obstacle: BonafidesError | None = None
    for suite in suites or SUITES[key.kind]:
        try:
            prepared = prepare_proof(
                presentation, {"cryptosuite": suite, **options}, canonicalizer, key_kind=key.kind
            )
            return prepared.finish(key.sign(prepared.message))
        except (Malformed, Unavailable) as error:
            obstacle = obstacle or error
    raise obstacle or Malformed("no suite was given to sign a presentation with")


def sign_token(
    key: HolderKey,
    credentials: Sequence[JsonObject | str],
    *,
    challenge: str,
    domain: str,
    now: datetime,
    version_1_1: bool = False,
) -> str:
    """A presentation as a token, for the verifier `domain` and its nonce; `version_1_1` puts it under `vp`."""
    if not version_1_1:
        presentation = _presentation(key, credentials)
        prepared = prepare_vp_jwt(
            presentation,
            key.public_key,
            key.verification_method,
            audience=domain,
            nonce=challenge,
            issued_at=now,
        )
    else:
        header = {"alg": key.algorithm, "typ": "JWT", "kid": key.verification_method}
        held = {
            "@context": [BASE_CONTEXT_1_1],
            "type": ["VerifiablePresentation"],
            "verifiableCredential": list(credentials),
        }
        said = {"iss": key.did, "aud": domain, "nonce": challenge, "iat": numeric_date(now)}
        prepared = prepare_jws(header, said | {"nbf": said["iat"], "vp": held})
    return prepared.finish(key.sign(prepared.message))


def bind_token(key: HolderKey, shown: str, *, challenge: str, domain: str, now: datetime) -> str:
    """An SD-JWT as it is shown, with the holder's key binding for this verifier and its nonce."""
    prepared = prepare_key_binding(shown, key.public_key, audience=domain, nonce=challenge, issued_at=now)
    return shown + prepared.finish(key.sign(prepared.message))


def _presentation(key: HolderKey, credentials: Sequence[JsonObject | str]) -> JsonObject:
    return {
        "@context": [BASE_CONTEXT],
        "type": ["VerifiablePresentation"],
        "holder": key.did,
        "verifiableCredential": [_member(one) for one in credentials],
    }


def _member(credential: JsonObject | str) -> JsonObject:
    if isinstance(credential, dict):
        return credential
    envelope = read_envelope(credential)
    if envelope is None:
        raise Malformed("a credential that is neither an object nor a token")
    return enveloped(envelope)


# Files ------------------------------------------------------------------------------------------------------


def for_a_file(showings: Sequence[Showing]) -> tuple[Showing, ...]:
    """The showings as a file can hold them: one that shows itself alone needs nobody's signature around it."""
    alone = len(showings) == 1 and showings[0].holding.choices.for_occasion
    return tuple(replace(one, bound=not alone) for one in showings)


def check_together(keys: Sequence[HolderKey], showings: Sequence[Showing]) -> None:
    """Raise where one file cannot hold these, so that nobody says yes to what cannot be made.

    Malformed where one of them cannot stand in a presentation, NotFound where they were bound to different keys.
    """
    holdings = [one.holding for one in showings]
    if not showings[0].bound or (len(holdings) == 1 and shows_itself(holdings[0])):
        return
    if not _are_of_version_1_1(holdings):
        alone = next((one for one in holdings if not is_presentable(one.shown)), None)
        if alone is not None:
            raise Malformed(f"{alone.short} ({alone.securing}) cannot stand beside others: show it by itself")
    _common_key(keys, holdings)


def _are_of_version_1_1(holdings: Iterable[Holding]) -> bool:
    return all(is_version_1_1(one.shown) for one in holdings)


def presentation_file(
    keys: Sequence[HolderKey],
    showings: Sequence[Showing],
    canonicalizer: Canonicalizer,
    draw: Draw,
    *,
    challenge: str,
    domain: str,
    now: datetime,
) -> JsonObject:
    """A file that shows these credentials to one verifier (FORMATS.md section 7).

    The presentation and the bundles beside it; of a single credential of bbs-2023 the derived credential itself, in
    its bundle where there is one. NotFound where several were bound to different keys.
    """
    check_together(keys, showings)
    made = [one.made(canonicalizer, Occasion(draw(ENTROPY_BYTES), challenge, domain)) for one in showings]
    bundles = bundles_of(showings, made)
    if not showings[0].bound:
        (credential,) = made
        if bundles:
            return bundles[0].with_credential(credential).to_json()
        assert isinstance(credential, dict)  # noqa: S101 - only tokens are texts, and these are none
        return credential
    occasion = {"challenge": challenge, "domain": domain}
    first = showings[0].holding
    presentation: JsonObject | str
    if len(showings) == 1 and shows_itself(first):
        assert isinstance(made[0], str)  # noqa: S101 - an SD-JWT
        presentation = bind_token(holder_of(first, keys), made[0], **occasion, now=now)
    else:
        presentation = _together(keys, [one.holding for one in showings], made, canonicalizer, occasion, now)
    return {"presentation": presentation, "bundles": [bundle.to_json() for bundle in bundles]}


def _together(
    keys: Sequence[HolderKey],
    holdings: Sequence[Holding],
    made: Sequence[JsonObject | str],
    canonicalizer: Canonicalizer,
    occasion: dict[str, str],
    now: datetime,
) -> JsonObject | str:
    key = _common_key(keys, holdings)
    if _are_of_version_1_1(holdings):
        return sign_token(key, made, version_1_1=True, now=now, **occasion)
    return sign_presentation(key, made, canonicalizer, now=now, **occasion)


def _common_key(keys: Sequence[HolderKey], holdings: Sequence[Holding]) -> HolderKey:
    found = set()
    for one in holdings:
        try:
            found.add(holder_of(one, keys).did)
        except NotFound:
            continue  # somebody else's: signed all the same, and a verifier says what it thinks of that
    if len(found) > 1:
        raise NotFound("they were issued to different keys of yours: show them one by one")
    return next((key for key in keys if key.did in found), keys[0])
