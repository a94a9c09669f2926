"""Receiving by OpenID4VCI 1.0, pre-authorized code flow; every step is kept before the next is taken.

A `Receipt` is how far one offer has got (`receipt.py`). It is saved after the holder's yes, after the token, after each
answer of the credential endpoint and after each bundle, so a crash or a lost connection anywhere leaves something that
`resume` goes on from: a token that was kept is used again, a credential request is repeated with a new proof, a
transaction is polled again. A receipt of what is issued anew every few weeks is kept after its end, to ask for the
successor. What arrives is judged before it is kept, and kept in the same save that ends its part of the receipt.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from node.core.bundle import MEDIA_TYPE, Bundle, parse_bundle
from node.core.dataintegrity.bbs_binding import SECRET_BYTES, bind
from node.core.did.syntax import is_did_ethr
from node.core.encoding import decode_base64url, encode_base64url
from node.core.errors import BonafidesError, Malformed, Misconfigured, NotFound, NotVerified, Refused
from node.core.jose.jws import ALGORITHMS
from node.core.keys import KeyKind
from node.core.oid4vci.credential_request import CredentialRequest, Notification, NotificationEvent
from node.core.oid4vci.credential_response import (
    MAX_RESPONSE_BYTES,
    Deferred,
    Issued,
    parse_credential_response,
)
from node.core.oid4vci.errors import INVALID_GRANT, INVALID_NONCE, INVALID_TOKEN, parse_error
from node.core.oid4vci.key_proof import JWT, prepare_jwt_proof
from node.core.oid4vci.metadata import (
    CredentialConfiguration,
    IssuerMetadata,
    issuer_metadata_url,
    parse_issuer_metadata,
    parse_server_metadata,
    server_metadata_url,
)
from node.core.oid4vci.offer import (
    CredentialOffer,
    OfferReference,
    TxCode,
    parse_offer,
    parse_offer_link,
)
from node.core.oid4vci.token import (
    TokenRequest,
    TokenResponse,
    parse_nonce_response,
    parse_token_response,
)
from node.core.strict_json import JsonObject
from node.core.verify.intake import shown as read_credential
from node.core.verify.report import Acceptance, CheckName, Outcome, Report
from node.outbound.http import Egress
from wallet.bindings import needs_secrets, secrets_of
from wallet.check import Checker, last_check, with_bundle
from wallet.exchange import Exchange, host_of, json_of
from wallet.formats import RECEIVED, SUITES
from wallet.holder_keys import HolderKey, make_key
from wallet.holdings import Holding, Provenance, as_kept, belongs, fuller, new_holding, runs_out
from wallet.receipt import Part, Receipt
from wallet.store import WalletStore

ISSUED: Final = "issued"
# The issuer says how long to wait; this bounds what it can make of that.
_MIN_POLL_SECONDS: Final = 1.0
_MAX_POLL_SECONDS: Final = 30.0
_DEFAULT_POLL_SECONDS: Final = 5.0
_NONCE_ATTEMPTS: Final = 2
# An issuer may say any number; a year is as good as for ever, and no date overflows.
_MAX_TOKEN_SECONDS: Final = 366 * 24 * 3600

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Offered:
    """An offer with what its issuer says of itself, ready to be put before the holder."""

    offer: CredentialOffer
    metadata: IssuerMetadata
    token_endpoint: str

    @property
    def host(self) -> str:
        """The issuer's host, the only part of it that the connection proves."""
        return host_of(self.offer.credential_issuer)

    @property
    def tx_code(self) -> TxCode | None:
        """What code the holder is asked for, if any."""
        return self.offer.tx_code

    def configurations(self) -> tuple[CredentialConfiguration, ...]:
        """What is offered; Malformed where the issuer's metadata do not know it."""
        found = []
        for name in self.offer.configuration_ids:
            configuration = self.metadata.configurations.get(name)
            if configuration is None:
                raise Malformed(f"the issuer offers {name!r}, which its own metadata do not list")
            found.append(configuration)
        return tuple(found)


@dataclass(frozen=True, slots=True)
class Arrived:
    """A credential that came, with the report on it; not `kept` where it was refused and nobody insisted."""

    holding: Holding
    report: Report
    kept: bool


def check_tx_code(wanted: TxCode | None, given: str | None) -> None:
    """Misconfigured unless a code is given exactly where one is wanted (section 6.1)."""
    if wanted is None and given is not None:
        raise Misconfigured("this offer takes no code: leave --tx-code out")
    if wanted is not None and not given:
        raise Misconfigured(f"this offer needs the code that came another way: --tx-code{_about(wanted)}")


def _about(wanted: TxCode) -> str:
    length = "" if wanted.length is None else f" of {wanted.length} characters"
    return f"{length}: {wanted.description}" if wanted.description else length


class Receiver:
    """Takes offers into a wallet. `tell` hears of progress; `clock` is asked for each proof and deadline."""

    def __init__(
        self,
        store: WalletStore,
        keys: Sequence[HolderKey],
        checker: Checker,
        egress: Egress,
        *,
        tell: Tell,
        clock: Callable[[], datetime],
        keep_anyway: bool = False,
    ) -> None:
        self._store = store
        self._keys = list(keys)
        self._checker = checker
        self._http = Exchange(egress, parse_error)
        self._tell = tell
        self._clock = clock
        self._keep_anyway = keep_anyway
        self._arrived: dict[bytes, Arrived] = {}

    @property
    def arrived(self) -> tuple[Arrived, ...]:
        """What came so far, each once, as it last stood."""
        return tuple(self._arrived.values())

    # --- the offer ---

    async def look_at(self, link: str) -> Offered:
        """What a link offers, and by whom; nothing is redeemed yet."""
        found = parse_offer_link(link)
        if isinstance(found, OfferReference):
            self._tell(f"fetching the offer from {host_of(found.url)}")
            answer = await self._http.get(found.url, expected=(200, 404, 410))
            if answer.status != 200:
                raise NotFound("the offer was taken or has run out: ask the issuer for a new one")
            found = parse_offer(json_of(answer))
        if found.pre_authorized_code is None:
            raise Refused(
                "the offer wants you to sign in at the issuer (authorization code), which is not done here",
                code="unsupported_grant_type",
            )
        answer = await self._http.get(issuer_metadata_url(found.credential_issuer))
        metadata = parse_issuer_metadata(json_of(answer), found.credential_issuer)
        server = _server_of(found, metadata)
        answer = await self._http.get(server_metadata_url(server))
        offered = Offered(found, metadata, parse_server_metadata(json_of(answer), server).token_endpoint)
        for configuration in offered.configurations():
            _check_format(configuration)
        return offered

    def key_for(self, configuration: CredentialConfiguration) -> HolderKey:
        """The key that a credential is made out to: the first whose proofs the issuer takes.

        Where it takes none of those there are, a new one on P-256, which is kept with the yes.
        """
        algorithms = configuration.proof_types.get(JWT)
        for key in self._keys:
            if algorithms is None or key.kind in _kinds_of(algorithms):
                return key
        self._keys.append(make_key(KeyKind.P256, secrets.token_bytes, self._clock()))
        return self._keys[-1]

    def accept(self, offered: Offered, tx_code: str | None) -> Receipt:
        """The holder said yes: from here on the offer is in the store."""
        check_tx_code(offered.tx_code, tx_code)
        with self._store.transaction():
            parts = tuple(map(self._part_of, offered.configurations()))
            kept = {key.did for key in self._store.holder_keys()}
            for key in self._keys:
                if key.did not in kept and any(part.did == key.did for part in parts):
                    self._store.add_key(key)
            return self._begin(offered, parts, tx_code)

    def _part_of(self, configuration: CredentialConfiguration) -> Part:
        """What is wanted; where it is bound to secrets, these are kept from here on."""
        commitment = None
        if configuration.binding is not None:
            bound = bind(configuration.binding, secrets.token_bytes(SECRET_BYTES))
            self._store.add_secrets(bound.holder)
            commitment = encode_base64url(bound.commitment_with_proof)
        did = self.key_for(configuration).did
        return Part(configuration.id, tuple(configuration.proof_types), did=did, commitment=commitment)

    def _begin(self, offered: Offered, parts: tuple[Part, ...], tx_code: str | None) -> Receipt:
        metadata, issuer = offered.metadata, offered.offer.credential_issuer
        return self._keep(
            Receipt(
                issuer,
                self._clock(),
                offered.offer.to_json(),
                offered.token_endpoint,
                metadata.credential_endpoint,
                metadata.nonce_endpoint,
                metadata.deferred_endpoint,
                metadata.notification_endpoint,
                metadata.bundle_endpoint or f"{issuer.rstrip('/')}/bundles",
                parts,
                tx_code,
            )
        )

    # --- from the yes to the last bundle ---

    async def go_on(self, receipt: Receipt, *, wait_seconds: float) -> Receipt:
        """Take a receipt to its end, or as far as the issuer is ready within `wait_seconds`."""
        deadline = self._clock() + timedelta(seconds=wait_seconds)
        receipt = await self._with_token(receipt)
        try:
            for index in range(len(receipt.parts)):
                receipt = await self._part(receipt, index, deadline)
        except Refused as error:
            if error.code != INVALID_TOKEN:
                raise
            raise Refused(
                f"{error.detail}; the time for this offer is over: ask the issuer for a new one, then give "
                f"this one up with `receive --discard {receipt.number}`",
                code=error.code,
            ) from error
        if all(part.done for part in receipt.parts) and receipt.number is not None:
            if self._is_renewed(receipt):
                return self._keep(replace(receipt, renews=True))
            self._store.drop_receipt(receipt.number)
        return receipt

    def _is_renewed(self, receipt: Receipt) -> bool:
        """Whether it brought what its issuer issues anew in time, and says how long it may be asked for that."""
        held = (self._store.holding(bytes.fromhex(one)) for part in receipt.parts for one in part.kept)
        return receipt.token_ends is not None and any(one and one.choices.for_occasion for one in held)

    async def renew(self, receipt: Receipt, *, wait_seconds: float) -> None:
        """Ask again for what is about to end; with a token that has ended, nobody is asked any more."""
        held = [self._store.holding(bytes.fromhex(one)) for part in receipt.parts for one in part.kept]
        now, number = self._clock(), receipt.number
        if number is None or not any(one is not None and runs_out(one, now) for one in held):
            return
        alive = receipt.token_ends is not None and now < receipt.token_ends
        if alive and await self._asked_again(receipt, wait_seconds):
            return
        self._store.drop_receipt(number)
        self._tell(f"{host_of(receipt.issuer)} gives nothing new for the old offer: ask it for a new one")

    async def _asked_again(self, receipt: Receipt, wait_seconds: float) -> bool:
        """Take the receipt through once more; False where its token is not taken any more."""
        parts = tuple(
            Part(part.configuration_id, part.proof_types, did=part.did, commitment=part.commitment)
            for part in receipt.parts
        )
        again = self._keep(replace(receipt, parts=parts, renews=False))
        try:
            await self.go_on(again, wait_seconds=wait_seconds)
        except Refused as error:
            if error.code != INVALID_TOKEN:
                raise
            return False
        return True

    async def discard(self, receipt: Receipt) -> None:
        """Give a receipt up, and tell the issuer if it can be told."""
        if receipt.number is not None:
            self._store.drop_receipt(receipt.number)
        for part in receipt.parts:
            if part.items is not None:
                await self._notify(receipt, part, NotificationEvent.FAILURE)

    async def _with_token(self, receipt: Receipt) -> Receipt:
        if receipt.access_token is not None:
            return receipt
        offer = parse_offer(receipt.offer)
        request = TokenRequest(offer.pre_authorized_code or "", receipt.tx_code)
        try:
            answer = await self._http.post_form(receipt.token_endpoint, request.to_form())
        except Refused as error:
            if error.code == INVALID_GRANT and receipt.number is not None:
                # Used, expired or wrong: with this code nothing will ever come.
                self._store.drop_receipt(receipt.number)
                raise Refused(
                    f"{error.detail}; if the offer is used or too old, ask the issuer for a new one",
                    code=error.code,
                ) from error
            raise
        token: TokenResponse = parse_token_response(json_of(answer))
        ends = None
        if token.expires_in is not None:
            ends = self._clock() + timedelta(seconds=min(token.expires_in, _MAX_TOKEN_SECONDS))
        return self._keep(replace(receipt, access_token=token.access_token, token_ends=ends, tx_code=None))

    async def _part(self, receipt: Receipt, index: int, deadline: datetime) -> Receipt:
        part, rest_first = receipt.parts[index], False
        if part.items is None and part.digests is None and part.transaction_id is None:
            receipt = self._with_answer(receipt, index, await self._request(receipt, part))
            rest_first = True  # asked a moment ago; a receipt that is taken up again has waited already
        while (part := receipt.parts[index]).transaction_id is not None:
            if rest_first and not await self._may_wait(part.interval_seconds, deadline, "not issued yet"):
                return receipt
            receipt = self._with_answer(receipt, index, await self._poll(receipt, part))
            rest_first = True
        if receipt.parts[index].items is not None:
            receipt = await self._take_in(receipt, index)
        while receipt.parts[index].digests:
            receipt, pause = await self._fetch_bundles(receipt, index)
            if pause is None:
                break
            if not await self._may_wait(pause, deadline, "the proof bundle is not final yet"):
                return receipt
        return receipt

    async def _request(self, receipt: Receipt, part: Part) -> Issued | Deferred:
        for attempt in range(_NONCE_ATTEMPTS):
            commitment = decode_base64url(part.commitment or "")
            request = CredentialRequest(part.configuration_id, commitment=commitment)
            if part.proof_types:
                request = replace(request, proof_type=JWT, proofs=(await self._proof(receipt, part),))
            try:
                return await self._credential(receipt, receipt.credential_endpoint, request.to_json())
            except Refused as error:
                if error.code != INVALID_NONCE or attempt + 1 == _NONCE_ATTEMPTS:
                    raise
        raise AssertionError("unreachable")

    async def _proof(self, receipt: Receipt, part: Part) -> str:
        nonce, key = None, self._key_of(part)
        if receipt.nonce_endpoint is not None:
            nonce = parse_nonce_response(json_of(await self._http.post_json(receipt.nonce_endpoint, None)))
        prepared = prepare_jwt_proof(
            key.public_key,
            credential_issuer=receipt.issuer,
            nonce=nonce,
            now=self._clock(),
            kid=key.verification_method,
        )
        return prepared.finish(key.sign(prepared.message))

    def _key_of(self, part: Part) -> HolderKey:
        for key in self._keys:
            if part.did in (None, key.did):
                return key
        raise NotFound("the key that the offer was accepted with is no longer in the wallet")

    async def _poll(self, receipt: Receipt, part: Part) -> Issued | Deferred:
        if receipt.deferred_endpoint is None:
            raise Malformed("the issuer defers the credential and names no endpoint to ask for it")
        return await self._credential(
            receipt, receipt.deferred_endpoint, {"transaction_id": part.transaction_id}
        )

    async def _credential(self, receipt: Receipt, url: str, body: JsonObject) -> Issued | Deferred:
        answer = await self._http.post_json(
            url, body, token=receipt.access_token, expected=(200, 202), max_bytes=MAX_RESPONSE_BYTES
        )
        return parse_credential_response(answer.status, json_of(answer))

    def _with_answer(self, receipt: Receipt, index: int, answer: Issued | Deferred) -> Receipt:
        part = receipt.parts[index]
        if isinstance(answer, Deferred):
            part = replace(
                part, transaction_id=answer.transaction_id, interval_seconds=answer.interval_seconds
            )
        else:
            items = tuple((item.credential, item.bundle) for item in answer.items)
            part = replace(part, transaction_id=None, items=items, notification_id=answer.notification_id)
        return self._replaced(receipt, index, part)

    # --- what arrived ---

    async def _take_in(self, receipt: Receipt, index: int) -> Receipt:
        """Judge what came and keep it, in the save that says that it need not be fetched again."""
        part = receipt.parts[index]
        arrived = [await self._judge(receipt, *item) for item in part.items or ()]
        for one in arrived:
            self._arrived[one.holding.digest] = one
        if not all(one.kept for one in arrived):
            return receipt
        awaited = tuple(one.holding.id for one in arrived if _has_more(one.holding))
        kept = tuple(one.holding.id for one in arrived)
        with self._store.transaction():
            for one in arrived:
                self._store.save_holding(one.holding)
            receipt = self._replaced(receipt, index, replace(part, items=None, digests=awaited, kept=kept))
        await self._notify(receipt, part, NotificationEvent.ACCEPTED)
        return receipt

    async def _judge(
        self, receipt: Receipt, credential: JsonObject | str, bundle_json: JsonObject | None
    ) -> Arrived:
        bundle = None if bundle_json is None else parse_bundle(bundle_json)
        provenance = Provenance(ISSUED, receipt.issuer, self._clock())
        shown, canonicalizer = read_credential(credential), self._checker.verifier.canonicalizer
        known = secrets_of(shown, self._store.secrets(), canonicalizer)
        if known is None and needs_secrets(shown):
            self._tell("it is bound to a secret that is not in this wallet: nothing can be shown of it")
        holding = new_holding(as_kept(shown), bundle, provenance, known)
        report = await self._checker.report(holding.credential, holding.bundle, known)
        held = self._store.holding(holding.digest)
        if held is not None:
            if isinstance(holding.credential, str) or report[CheckName.PROOF].outcome is Outcome.PASSED:
                more = fuller(held, holding.credential)
                held = replace(held, credential=more, secrets=held.secrets or known)
            holding = held if holding.bundle is None else with_bundle(held, holding.bundle, report)
        holding = replace(holding, last_check=last_check(report, self._clock()))
        kept = report.acceptance is not Acceptance.REFUSED or self._keep_anyway
        return Arrived(holding, report, kept)

    async def _fetch_bundles(self, receipt: Receipt, index: int) -> tuple[Receipt, float | None]:
        """Fetch what is final; also after how many seconds to ask again, None where nothing is left to ask."""
        pause: float | None = None
        for digest in receipt.parts[index].digests or ():
            answer = await self._http.get(
                f"{receipt.bundle_endpoint.rstrip('/')}/{digest}",
                token=receipt.access_token,
                accept=f"{MEDIA_TYPE}, application/json",
                expected=(200, 202, 404),
                max_bytes=MAX_RESPONSE_BYTES,
            )
            if answer.status == 202:
                pause = _retry_after(answer.headers.get("Retry-After"))
                continue
            arrived = None
            if answer.status == 404:
                self._tell("this issuer keeps no proof bundle for the credential")
            else:
                arrived = await self._judge_bundle(bytes.fromhex(digest), parse_bundle(json_of(answer)))
                self._arrived[arrived.holding.digest] = arrived
            part = receipt.parts[index]
            left = tuple(one for one in part.digests or () if one != digest)
            with self._store.transaction():
                if arrived is not None:
                    self._store.save_holding(arrived.holding)
                if arrived is None or arrived.kept:
                    receipt = self._replaced(receipt, index, replace(part, digests=left))
        return receipt, pause

    async def _judge_bundle(self, digest: bytes, bundle: Bundle) -> Arrived:
        held = self._store.holding(digest)
        if held is None or not belongs(bundle, held.shown):
            raise NotVerified("the issuer sent the bundle of another credential")
        report = await self._checker.report(held.credential, bundle, held.secrets)
        kept = report.acceptance is not Acceptance.REFUSED or self._keep_anyway
        holding = with_bundle(held, bundle, report) if kept else held
        return Arrived(replace(holding, last_check=last_check(report, self._clock())), report, kept)

    async def _notify(self, receipt: Receipt, part: Part, event: NotificationEvent) -> None:
        if receipt.notification_endpoint is None or part.notification_id is None:
            return
        body = Notification(part.notification_id, event).to_json()
        try:
            await self._http.post_json(
                receipt.notification_endpoint, body, token=receipt.access_token, expected=range(200, 300)
            )
        except BonafidesError as error:
            # A courtesy (section 11): what the holder has does not depend on it.
            self._tell(f"the issuer could not be told that it arrived: {error.detail}")

    # --- keeping ---

    def _keep(self, receipt: Receipt) -> Receipt:
        return replace(receipt, number=self._store.save_receipt(receipt.number, receipt.to_json()))

    def _replaced(self, receipt: Receipt, index: int, part: Part) -> Receipt:
        parts = (*receipt.parts[:index], part, *receipt.parts[index + 1 :])
        return self._keep(replace(receipt, parts=parts))

    async def _may_wait(self, seconds: float, deadline: datetime, why: str) -> bool:
        """Wait as long as the issuer asks for; False where the holder's patience ends before."""
        pause = min(max(float(seconds), _MIN_POLL_SECONDS), _MAX_POLL_SECONDS)
        if self._clock() + timedelta(seconds=pause) > deadline:
            return False
        self._tell(f"{why}: asking again in {pause:.0f} seconds")
        await asyncio.sleep(pause)
        return True


def _has_more(holding: Holding) -> bool:
    """Whether a bundle is to be fetched: an issuer without a chain has none to give but for evidence."""
    return holding.bundle is None and (
        is_did_ethr(holding.issuer_id) or bool(holding.document.get("evidence"))
    )


def _server_of(offer: CredentialOffer, metadata: IssuerMetadata) -> str:
    # Section 4.1.1: only one of the issuer's own. An offer is anybody's text, and code and tx_code go there.
    servers = metadata.authorization_servers or (offer.credential_issuer,)
    if offer.authorization_server is None:
        return servers[0]
    if offer.authorization_server not in servers:
        raise NotVerified("the offer names an authorization server that the issuer does not")
    return offer.authorization_server


def _check_format(configuration: CredentialConfiguration) -> None:
    if configuration.format not in RECEIVED:
        raise Refused(
            f"the offer is of the format {configuration.format[:40]}, which this wallet does not hold"
        )
    proof_types = configuration.proof_types
    if proof_types and _kinds_of(proof_types.get(JWT, ())).isdisjoint(SUITES):
        raise Refused("the issuer takes no proof that a key of this wallet can make")


def _kinds_of(algorithms: Iterable[str]) -> frozenset[KeyKind]:
    """The kinds of key that sign so, each algorithm by any of its names."""
    return frozenset(ALGORITHMS[name] for name in algorithms if name in ALGORITHMS)


def _retry_after(text: str | None) -> float:
    try:
        return float(int(text or ""))
    except (ValueError, OverflowError):
        return _DEFAULT_POLL_SECONDS
