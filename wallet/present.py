"""Showing credentials: as an answer to a verifier's request (OpenID4VP 1.0), or as a presentation file.

A presentation is signed by the holder's key for one challenge and one domain, so that nobody can use it twice or
elsewhere. The disclosure is recorded before anything is sent: whatever happens then, the holder can see who may have
got what. Bundles go beside the presentation, with the evidence items that were chosen; of the others the leaf hash.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from node.core.bundle import Bundle
from node.core.canonical.rdfc import Canonicalizer
from node.core.credential import BASE_CONTEXT
from node.core.dataintegrity.suites import prepare_proof
from node.core.did.document import AUTHENTICATION
from node.core.errors import BonafidesError, Malformed, NotFound, NotVerified, Refused, Unavailable
from node.core.oid4vp.dcql import expanded_types
from node.core.oid4vp.request import (
    MAX_REQUEST_BYTES,
    MEDIA_TYPE,
    AuthorizationRequest,
    RequestReference,
    check_formats,
    parse_link,
    parse_request_object,
)
from node.core.oid4vp.response import AuthorizationError, AuthorizationResponse, parse_answer
from node.core.strict_json import JsonObject, parse_json_object
from node.core.times import format_datetime_stamp
from node.outbound.http import Egress, EgressDenied
from wallet.consent import Disclosed, Disclosure, Outcome, claims_in, path_text
from wallet.exchange import Exchange, host_of
from wallet.holder_keys import HolderKey
from wallet.holdings import Holding
from wallet.select import Choice, Option, choose
from wallet.store import WalletStore

# The one that most verifiers know comes first.
SUITES: Final = ("eddsa-rdfc-2022", "eddsa-jcs-2022")
_MAX_ERROR_CHARS: Final = 300


@dataclass(frozen=True, slots=True)
class Showing:
    """One credential as it will be shown. `evidence` are the names of the items that go along."""

    holding: Holding
    evidence: tuple[str, ...] = ()
    asked: tuple[str, ...] = ()
    query_id: str = ""
    bound: bool = True
    """Whether it is shown inside a presentation that the holder signs."""


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
    holding = showing.holding
    names = [item.item.name for item in holding.evidence]
    sent = with_bundle and holding.bundle is not None
    return Disclosed(
        holding.id,
        holding.name,
        claims_in(holding.credential),
        showing.asked,
        showing.evidence if sent else (),
        tuple(name for name in names if not sent or name not in showing.evidence),
        sent,
    )


def bundles_of(showings: Sequence[Showing]) -> tuple[Bundle, ...]:
    """The bundles that travel beside a presentation, each once."""
    found = {one.holding.digest: one for one in showings if one.holding.bundle is not None}
    return tuple(one.holding.loose_bundle(one.evidence) for one in found.values())


def sign_presentation(
    key: HolderKey,
    documents: Sequence[JsonObject],
    canonicalizer: Canonicalizer,
    *,
    challenge: str,
    domain: str,
    now: datetime,
    suites: Sequence[str] = SUITES,
) -> JsonObject:
    """A VC 2.0 presentation of `documents`, signed for this challenge and this domain.

    The first suite that can sign it is taken: RDF canonicalization needs every context to be pinned here.
    """
    presentation: JsonObject = {
        "@context": [BASE_CONTEXT],
        "type": ["VerifiablePresentation"],
        "holder": key.did,
        "verifiableCredential": list(documents),
    }
    options: JsonObject = {
        "verificationMethod": key.verification_method,
        "proofPurpose": AUTHENTICATION,
        "created": format_datetime_stamp(now),
        "challenge": challenge,
        "domain": domain,
    }
    obstacle: BonafidesError | None = None
    for suite in suites:
        try:
            prepared = prepare_proof(presentation, {"cryptosuite": suite, **options}, canonicalizer)
            return prepared.finish(key.sign(prepared.message))
        except (Malformed, Unavailable) as error:
            obstacle = obstacle or error
    raise obstacle or Malformed("no suite was given to sign a presentation with")


def presentation_file(
    key: HolderKey,
    showings: Sequence[Showing],
    canonicalizer: Canonicalizer,
    *,
    challenge: str,
    domain: str,
    now: datetime,
) -> JsonObject:
    """A presentation file (FORMATS.md section 7): the presentation, and the bundles beside it."""
    documents = [one.holding.credential for one in showings]
    signed = sign_presentation(key, documents, canonicalizer, challenge=challenge, domain=domain, now=now)
    return {"presentation": signed, "bundles": [bundle.to_json() for bundle in bundles_of(showings)]}


def read_error(status: int, body: bytes, *, asked: str) -> BonafidesError:
    """What a verifier answered instead of a success: OAuth's error, a problem detail, or only a status."""
    try:
        answer = parse_json_object(body, max_bytes=16 * 1024)
    except Malformed:
        answer = {}
    if status >= 500 or status == 429:
        return Unavailable(f"the verifier answered with status {status}", asked=asked)
    words = next(
        (
            answer[name]
            for name in ("error_description", "detail", "error")
            if isinstance(answer.get(name), str)
        ),
        f"status {status}",
    )
    shown = "".join(char if char.isprintable() else " " for char in words[:_MAX_ERROR_CHARS])
    code = answer.get("error")
    return Refused(
        f"the verifier refused: {shown}", code=code if isinstance(code, str) else "invalid_request"
    )


class Presenter:
    """Answers verifiers' requests from a wallet."""

    def __init__(
        self, store: WalletStore, key: HolderKey, canonicalizer: Canonicalizer, egress: Egress
    ) -> None:
        self._store = store
        self._key = key
        self._canonicalizer = canonicalizer
        self._http = Exchange(egress, read_error)

    async def look_at(self, link: str) -> AuthorizationRequest:
        """What a link asks for; nothing is said to anybody yet but that somebody looked."""
        found = parse_link(link)
        if isinstance(found, RequestReference):
            answer = await self._http.get(found.request_uri, accept=MEDIA_TYPE, max_bytes=MAX_REQUEST_BYTES)
            if answer.content_type != MEDIA_TYPE:
                raise Malformed(f"{host_of(found.request_uri)} answered with something else than a request")
            found = parse_request_object(answer.body, found.client_id)
        self._suites(found)
        return found

    def answer_for(
        self, request: AuthorizationRequest, holdings: Sequence[Holding], *, picked: bool = False
    ) -> tuple[Showing, ...] | None:
        """What would answer the request, out of `holdings`; None where they cannot. `picked`: by the holder."""
        options = [Option(one, self._types(one)) for one in holdings]
        choices = choose(request.dcql_query, options, self._key.did, as_many_as_fit=picked)
        return None if choices is None else tuple(map(_showing, choices))

    async def send(
        self,
        request: AuthorizationRequest,
        showings: Sequence[Showing],
        now: datetime,
    ) -> str | None:
        """Sign, record, send; where the verifier wants the browser to go, if anywhere."""
        with_bundles = request.client_metadata.bonafides_bundle
        tokens: dict[str, tuple[JsonObject, ...]] = {}
        for one in showings:
            tokens[one.query_id] = (*tokens.get(one.query_id, ()), self._shown(request, one, now))
        response = AuthorizationResponse(tokens, request.state, bundles_of(showings) if with_bundles else ())
        disclosure = Disclosure(
            now,
            request.client_id,
            request.client_metadata.client_name,
            tuple(disclosed(one, with_bundle=with_bundles) for one in showings),
            Outcome.SENDING,
        )
        number = self._store.save_disclosure(None, disclosure)
        try:
            answer = await self._http.post_form(request.response_uri, response.to_form())
        except Refused as error:
            outcome = Outcome.UNSENT if isinstance(error, EgressDenied) else Outcome.REFUSED
            self._store.save_disclosure(number, replace(disclosure, outcome=outcome))
            raise
        self._store.save_disclosure(number, replace(disclosure, outcome=Outcome.SENT))
        return parse_answer(answer.body) if answer.body.strip() else None

    async def decline(self, request: AuthorizationRequest) -> None:
        """Say no. One code for "has none" and "does not want to": which of them is nobody's business."""
        error = AuthorizationError("access_denied", None, request.state)
        await self._http.post_form(request.response_uri, error.to_form(), expected=range(200, 500))

    def _shown(self, request: AuthorizationRequest, showing: Showing, now: datetime) -> JsonObject:
        if not showing.bound:
            return showing.holding.credential
        return sign_presentation(
            self._key,
            [showing.holding.credential],
            self._canonicalizer,
            challenge=request.nonce,
            domain=request.client_id,
            now=now,
            suites=self._suites(request),
        )

    def _suites(self, request: AuthorizationRequest) -> tuple[str, ...]:
        """The suites that the verifier takes; Refused (vp_formats_not_supported) where there is none."""
        found = []
        obstacle: Refused | None = None
        for suite in SUITES:
            try:
                check_formats(request, suite)
                found.append(suite)
            except Refused as error:
                obstacle = error
        if obstacle is not None and not found:
            raise obstacle
        return tuple(found)

    def _types(self, holding: Holding) -> frozenset[str]:
        try:
            return expanded_types(holding.credential, self._canonicalizer)
        except (Malformed, NotVerified, Unavailable):
            # Its words have no meaning here, so it is nothing that could be asked for by a type.
            return frozenset()


def _showing(choice: Choice) -> Showing:
    return Showing(
        choice.holding,
        (),
        tuple(path_text(claim.path) for claim in choice.claims),
        choice.query.id,
        choice.query.require_cryptographic_holder_binding,
    )
