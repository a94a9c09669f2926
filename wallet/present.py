"""Answering a verifier's request (OpenID4VP 1.0).

The disclosure is recorded before anything is sent: whatever happens then, the holder can see who may have got what. Of
what can be shown in part, what was asked for is shown, and what the holder adds. Bundles go beside the presentation,
with the evidence items that were chosen; of the others the leaf hash.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from node.core.canonical.rdfc import Canonicalizer
from node.core.errors import BonafidesError, Malformed, NotVerified, Refused, Unavailable
from node.core.jose.jwe import IV_BYTES, SECRET_BYTES
from node.core.oid4vci.metadata import FORMATS, LDP_VC
from node.core.oid4vp.dcql import Candidate, candidate_of
from node.core.oid4vp.formats import SD_JWTS, format_of
from node.core.oid4vp.request import (
    MAX_REQUEST_BYTES,
    MEDIA_TYPE,
    AuthorizationRequest,
    RequestReference,
    parse_link,
    parse_request_object,
)
from node.core.oid4vp.response import AuthorizationError, AuthorizationResponse, parse_answer
from node.core.strict_json import JsonObject, parse_json_object
from node.outbound.http import Egress, EgressDenied
from wallet.claims import path_text
from wallet.consent import Disclosure, Outcome
from wallet.disclose import ENTROPY_BYTES, Occasion
from wallet.exchange import Exchange, host_of
from wallet.formats import is_version_1_1, suites_taken, takes_signature
from wallet.holder_keys import HolderKey
from wallet.holdings import Holding
from wallet.presentation import (
    Draw,
    Showing,
    bind_token,
    bundles_of,
    disclosed,
    holder_of,
    sign_presentation,
    sign_token,
)
from wallet.select import Choice, Option, choose
from wallet.store import WalletStore

_MAX_ERROR_CHARS: Final = 300


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
    """Answers verifiers' requests from a wallet. `draw` gives random bytes, for proofs that need them."""

    def __init__(
        self,
        store: WalletStore,
        keys: Sequence[HolderKey],
        canonicalizer: Canonicalizer,
        egress: Egress,
        draw: Draw,
    ) -> None:
        self._store = store
        self._keys = tuple(keys)
        self._canonicalizer = canonicalizer
        self._http = Exchange(egress, read_error)
        self._draw = draw

    async def look_at(self, link: str) -> AuthorizationRequest:
        """What a link asks for; nothing is said to anybody yet but that somebody looked.

        Refused (vp_formats_not_supported) where the verifier takes nothing that this wallet can sign.
        """
        found = parse_link(link)
        if isinstance(found, RequestReference):
            answer = await self._http.get(found.request_uri, accept=MEDIA_TYPE, max_bytes=MAX_REQUEST_BYTES)
            if answer.content_type != MEDIA_TYPE:
                raise Malformed(f"{host_of(found.request_uri)} answered with something else than a request")
            found = parse_request_object(answer.body, found.client_id)
        formats = found.client_metadata.vp_formats_supported
        if not any(takes_signature(formats, form, key) for form in FORMATS for key in self._keys):
            raise Refused("the verifier takes no format that is known here", code="vp_formats_not_supported")
        return found

    def answer_for(
        self, request: AuthorizationRequest, holdings: Sequence[Holding], *, picked: bool = False
    ) -> tuple[Showing, ...] | None:
        """What would answer the request, out of `holdings`; None where they cannot. `picked`: by the holder."""
        options = [Option(one, found) for one in holdings if (found := self._candidate(one)) is not None]
        formats = request.client_metadata.vp_formats_supported
        choices = choose(request.dcql_query, options, self._keys, formats, as_many_as_fit=picked)
        return None if choices is None else tuple(map(_showing, choices))

    async def send(
        self,
        request: AuthorizationRequest,
        showings: Sequence[Showing],
        now: datetime,
    ) -> str | None:
        """Sign, record, send; where the verifier wants the browser to go, if anywhere."""
        with_bundles = request.client_metadata.bonafides_bundle
        made = [self._made(request, one) for one in showings]
        tokens: dict[str, tuple[JsonObject | str, ...]] = {}
        for one, credential in zip(showings, made, strict=True):
            signed = self._signed(request, one, credential, now)
            tokens[one.query_id] = (*tokens.get(one.query_id, ()), signed)
        bundles = bundles_of(showings, made) if with_bundles else ()
        response = AuthorizationResponse(tokens, request.state, bundles)
        disclosure = Disclosure(
            now,
            request.client_id,
            request.client_metadata.client_name,
            tuple(disclosed(one, with_bundle=with_bundles) for one in showings),
            Outcome.SENDING,
        )
        number = self._store.save_disclosure(None, disclosure)
        try:
            answer = await self._http.post_form(request.response_uri, self._form(request, response))
        except Refused as error:
            outcome = Outcome.UNSENT if isinstance(error, EgressDenied) else Outcome.REFUSED
            self._store.save_disclosure(number, replace(disclosure, outcome=outcome))
            raise
        self._store.save_disclosure(number, replace(disclosure, outcome=Outcome.SENT))
        return parse_answer(answer.body) if answer.body.strip() else None

    def _form(self, request: AuthorizationRequest, response: AuthorizationResponse) -> dict[str, str]:
        if request.encryption is None:
            return response.to_form()
        return response.to_encrypted_form(
            request.encryption, secret=self._draw(SECRET_BYTES), iv=self._draw(IV_BYTES)
        )

    async def decline(self, request: AuthorizationRequest) -> None:
        """Say no. One code for "has none" and "does not want to": which of them is nobody's business."""
        error = AuthorizationError("access_denied", None, request.state)
        await self._http.post_form(request.response_uri, error.to_form(), expected=range(200, 500))

    def _made(self, request: AuthorizationRequest, showing: Showing) -> JsonObject | str:
        occasion = Occasion(self._draw(ENTROPY_BYTES), request.nonce, request.client_id)
        return showing.made(self._canonicalizer, occasion)

    def _signed(
        self, request: AuthorizationRequest, showing: Showing, credential: JsonObject | str, now: datetime
    ) -> JsonObject | str:
        if not showing.bound:
            return credential
        shown, key = showing.holding.shown, holder_of(showing.holding, self._keys)
        form, nonce, audience = format_of(shown.envelope), request.nonce, request.client_id
        if form == LDP_VC:
            return sign_presentation(
                key,
                [credential],
                self._canonicalizer,
                challenge=nonce,
                domain=audience,
                now=now,
                suites=suites_taken(request.client_metadata.vp_formats_supported, key),
            )
        if form in SD_JWTS and isinstance(credential, str):
            return bind_token(key, credential, challenge=nonce, domain=audience, now=now)
        old = is_version_1_1(shown)
        return sign_token(key, [credential], challenge=nonce, domain=audience, now=now, version_1_1=old)

    def _candidate(self, holding: Holding) -> Candidate | None:
        try:
            return candidate_of(holding.document, holding.shown.envelope, self._canonicalizer)
        except (Malformed, NotVerified, Unavailable):
            # Its words have no meaning here, so it is nothing that could be asked for.
            return None


def _showing(choice: Choice) -> Showing:
    return Showing(
        choice.holding,
        (),
        tuple(path_text(claim.path) for claim in choice.claims),
        choice.query.id,
        choice.query.require_cryptographic_holder_binding and not choice.holding.choices.by_secret,
        choice.places,
    )
