"""From an offer to a credential in a wallet: OpenID4VCI 1.0 with a pre-authorized code, the issuer's side.

    offer      a link with a secret. The offer's id and its code both follow from the secret; the database has hashes.
    redeemed   the code, once, with the tx_code where one was set: an access token for this one credential.
    claimed    the credential, to whoever proves the key of its subject, as often as it is asked for again.

A credential whose row names no subject is signed at the claim, for the DID of the key proof (FORMATS.md section 11).
What is signed is handed out at once, with its bundle as soon as that is final; what cannot be signed yet is deferred.
Whatever a crash interrupts is asked for again: signing is idempotent, and a response that was lost is made anew.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final

from node.core.bundle import Bundle
from node.core.dataintegrity.bbs_binding import check_commitment
from node.core.encoding import decode_base64url, encode_base64url
from node.core.errors import Conflict, Malformed, NotFound, NotVerified, Refused, Unavailable
from node.core.keys import parse_multikey
from node.core.oid4vci import errors as codes
from node.core.oid4vci.credential_request import CredentialRequest, Notification
from node.core.oid4vci.credential_response import Deferred, Issued, Item
from node.core.oid4vci.key_proof import KeyProof, verify_key_proof
from node.core.oid4vci.metadata import COMMITMENT, IssuerMetadata, ServerMetadata
from node.core.oid4vci.offer import CredentialOffer, TxCode, offer_link
from node.core.oid4vci.token import TokenRequest, TokenResponse
from node.services import bundles, configurations, issuance, renewal
from node.services.configurations import BADGE
from node.services.issuer import Issuer
from node.services.preparing import Prepared
from node.services.securing import issued_value, read_issued
from node.storage.protocols.credentials import CredentialRecord, CredentialState, SignedCredential
from node.storage.protocols.issuer import KeyRole, KeyState
from node.storage.protocols.offers import AccessToken, Offer, OfferState, Redemption
from node.storage.protocols.store import Transaction
from node.storage.protocols.verifier import NoncePurpose, NonceUse

# Long enough for a message to be found after a holiday; an offer that nobody redeemed is made again with one command.
OFFER_LIFETIME: Final = timedelta(days=14)
# The bundle follows the credential under the same token, on the main network a quarter of an hour later, and a wallet
# may be offline for weeks. The token opens nothing but what its holder was given.
TOKEN_LIFETIME: Final = timedelta(days=30)
NONCE_LIFETIME: Final = timedelta(minutes=5)
# Anyone may ask for a nonce; what is out at once is bounded so that nobody can fill the database.
MAX_NONCES: Final = 20_000
MAX_TX_CODE_FAILURES: Final = 5
TX_CODE_DIGITS: Final = 6
_TX_CODE_PAUSE: Final = timedelta(seconds=1)
RETRY_SECONDS: Final = 5

_REFUSALS: Final = {
    Redemption.UNKNOWN: (codes.INVALID_GRANT, "there is no such code"),
    Redemption.USED: (codes.INVALID_GRANT, "the code was used, or burned after wrong guesses"),
    Redemption.EXPIRED: (codes.INVALID_GRANT, "the offer has expired"),
    Redemption.TX_CODE_MISSING: (codes.INVALID_REQUEST, "a tx_code is needed"),
    Redemption.TX_CODE_NOT_EXPECTED: (codes.INVALID_REQUEST, "no tx_code belongs to this offer"),
    Redemption.TX_CODE_WRONG: (codes.INVALID_GRANT, "the tx_code is wrong"),
}


@dataclass(frozen=True, slots=True)
class NewOffer:
    """An offer that was just made. Its secret is in `link`, `page` and `tx_code`, and nowhere else."""

    credential_id: str
    offer_id: str
    page: str
    """The `credential_offer_uri`, which shows a person a page and a wallet the offer."""
    expires_at: datetime
    tx_code: str | None

    @property
    def link(self) -> str:
        """The link that opens a wallet."""
        return offer_link(self.page)


@dataclass(frozen=True, slots=True)
class OfferView:
    """What the secret of an offer shows: the offer for a wallet, words for a person."""

    offer: CredentialOffer
    link: str
    issuer_name: str
    credential_name: str
    expires_at: datetime
    is_open: bool
    was_redeemed: bool


async def create_offers(
    transaction: Transaction,
    credential_ids: Sequence[str],
    *,
    url: str,
    now: datetime,
    lifetime: timedelta = OFFER_LIFETIME,
    with_tx_code: bool = False,
    configuration_id: str = BADGE,
) -> tuple[NewOffer, ...]:
    """An offer for each credential, recorded in the caller's transaction; `url` is the issuer's.

    `configuration_id` is what all of them are (`configurations.py`).
    """
    made, records = [], []
    for credential_id in credential_ids:
        secret = encode_base64url(secrets.token_bytes(32))
        code = _code(secret)
        tx_code = f"{secrets.randbelow(10**TX_CODE_DIGITS):0{TX_CODE_DIGITS}}" if with_tx_code else None
        record = Offer(
            id=_offer_id(secret),
            credential_id=credential_id,
            configuration_id=configuration_id,
            code_hash=_hashed(code),
            tx_code_hash=None if tx_code is None else _tx_code_hash(code, tx_code),
            tx_code_failures=0,
            state=OfferState.OPEN,
            created_at=now,
            expires_at=now + lifetime,
        )
        records.append(record)
        made.append(NewOffer(credential_id, record.id, f"{url}/offers/{secret}", record.expires_at, tx_code))
    await transaction.offers.add(records)
    return tuple(made)


async def issuer_metadata(issuer: Issuer, url: str) -> IssuerMetadata:
    """The credential issuer's metadata at its public `url`: what its present keys can sign."""
    async with issuer.store.reading() as reading:
        keys = await reading.keys.all(KeyRole.ASSERTION)
    kinds = {parse_multikey(key.multibase).kind for key in keys if key.state is KeyState.ACTIVE}
    return IssuerMetadata(
        credential_issuer=url,
        authorization_servers=(url,),
        credential_endpoint=f"{url}/credential",
        nonce_endpoint=f"{url}/nonce",
        deferred_endpoint=f"{url}/deferred",
        notification_endpoint=f"{url}/notification",
        bundle_endpoint=f"{url}/bundles",
        proof_endpoint=None if issuer.chain is None else f"{url}/proofs",
        display_name=issuer.settings.name,
        configurations=configurations.offered(kinds, issuer.settings.url),
    )


def server_metadata(url: str) -> ServerMetadata:
    """The authorization server's metadata: the issuer is its own."""
    return ServerMetadata(url, f"{url}/token", anonymous_access=True)


@dataclass(slots=True)
class OfferDesk:
    """Hands out what was offered. `url` is the credential issuer identifier, byte for byte."""

    issuer: Issuer
    url: str
    _tries: dict[bytes, datetime] = field(default_factory=dict)

    async def view(self, secret: str) -> OfferView:
        """The offer of a secret; NotFound where there is none, or one that was withdrawn."""
        now = self.issuer.clock()
        async with self.issuer.store.reading() as reading:
            offer = await reading.offers.load(_offer_id(secret))
            record = None if offer is None else await reading.credentials.load(offer.credential_id)
        if offer is None or record is None or offer.state is OfferState.WITHDRAWN:
            raise NotFound("there is no such offer")
        tx_code = None
        if offer.tx_code_hash is not None:
            tx_code = TxCode(TX_CODE_DIGITS, "numeric", "The code that you were given with this offer")
        return OfferView(
            offer=CredentialOffer(self.url, (offer.configuration_id,), _code(secret), tx_code),
            link=offer_link(f"{self.url}/offers/{secret}"),
            issuer_name=self.issuer.settings.name,
            credential_name=_credential_name(record),
            expires_at=offer.expires_at,
            is_open=offer.state is OfferState.OPEN and now < offer.expires_at,
            was_redeemed=offer.state in (OfferState.REDEEMED, OfferState.CLAIMED),
        )

    async def redeem(self, request: TokenRequest) -> TokenResponse:
        """An access token for a pre-authorized code (section 6), or Refused."""
        now = self.issuer.clock()
        code_hash = _hashed(request.pre_authorized_code)
        tx_code_hash = None
        if request.tx_code is not None:
            self._pace(code_hash, now)
            tx_code_hash = _tx_code_hash(request.pre_authorized_code, request.tx_code)
        token = encode_base64url(secrets.token_bytes(32))
        async with self.issuer.store.transaction() as transaction:
            result, offer = await transaction.offers.redeem(
                code_hash, tx_code_hash, now, max_failures=MAX_TX_CODE_FAILURES
            )
            if result is Redemption.REDEEMED and offer is not None:
                asked = request.configuration_ids or (offer.configuration_id,)
                if asked != (offer.configuration_id,):
                    # Raised inside, so that the code is not used up by a request that gets nothing.
                    raise Refused("the offer is for another credential", code=codes.INVALID_REQUEST)
                await transaction.deliveries.grant(_hashed(token), offer.id, now + TOKEN_LIFETIME)
        # Outside: a wrong guess must stay counted.
        if offer is None or result is not Redemption.REDEEMED:
            code, words = _REFUSALS[result]
            raise Refused(words, code=code)
        identifiers = {offer.configuration_id: (offer.id,)} if request.configuration_ids else {}
        return TokenResponse(token, int(TOKEN_LIFETIME.total_seconds()), identifiers)

    async def new_nonce(self) -> str:
        """A c_nonce for one key proof (section 7).

        Where too many are out the older half is forgotten: who asks for thousands to shut others out would have to do
        so between a wallet's two requests.
        """
        nonce, now = encode_base64url(secrets.token_bytes(24)), self.issuer.clock()
        async with self.issuer.store.transaction() as transaction:
            if await transaction.nonces.count(NoncePurpose.C_NONCE, now) >= MAX_NONCES:
                await transaction.nonces.trim(NoncePurpose.C_NONCE, MAX_NONCES // 2)
            await transaction.nonces.add(NoncePurpose.C_NONCE, _hashed(nonce), now + NONCE_LIFETIME)
        return nonce

    async def admit(self, access_token: str) -> AccessToken:
        """What an access token opens; Refused with `invalid_token` where it is unknown or over."""
        async with self.issuer.store.reading() as reading:
            token = await reading.deliveries.find_token(_hashed(access_token), self.issuer.clock())
        if token is None:
            raise Refused("the access token is unknown or has expired", code=codes.INVALID_TOKEN)
        return token

    async def claim(self, token: AccessToken, request: CredentialRequest) -> Issued | Deferred:
        """The credential of an access token (section 8), or Refused with the code of section 8.3.1.2.

        Asked again with the same token, and a proof by the same key, it answers the same credential.
        """
        _check_asked(request, token)
        record = await self._record(token.credential_id)
        _check_commitment(record, request)
        subject = await self._proven_subject(record, token, request)
        signed = await self._signed(record, subject, request.commitment)
        if signed is None:
            return await self._defer(token, subject, request.commitment)
        return await self._deliver(token, signed)

    async def claim_deferred(self, token: AccessToken, transaction_id: str) -> Issued | Deferred:
        """What was deferred (section 9): the credential, or the same answer again."""
        async with self.issuer.store.reading() as reading:
            deferral = await reading.deliveries.find_deferred(_hashed(transaction_id))
        if deferral is None or deferral.offer_id != token.offer_id or deferral.delivered_at is not None:
            raise Refused("no such transaction, or one that is over", code=codes.INVALID_TRANSACTION_ID)
        # The hash of the whole id was recorded, so the DID in it is the one that was proven, the commitment checked.
        subject, commitment = _claim_in(transaction_id)
        signed = await self._signed(await self._record(token.credential_id), subject, commitment)
        if signed is None:
            return Deferred(transaction_id, RETRY_SECONDS)
        return await self._deliver(token, signed, transaction_id)

    async def notify(self, token: AccessToken, notification: Notification) -> None:
        """Keep what the wallet says of its credential (section 11); saying it again is as good."""
        known = _hashed(notification.notification_id)
        async with self.issuer.store.transaction() as transaction:
            expected = await transaction.deliveries.notifications(token.credential_id)
            if all(one.notification_hash != known for one in expected):
                raise Refused("no such notification_id", code=codes.INVALID_NOTIFICATION_ID)
            await transaction.deliveries.record_notification(
                known, str(notification.event), notification.description, self.issuer.clock()
            )

    async def bundle(self, token: AccessToken, digest: bytes) -> Bundle | None:
        """The bundle of the credential that was issued under this token, None until it is final.

        NotFound for any other digest: a bundle holds salt and evidence, and its digest is no secret. Unavailable
        where none can be made now.
        """
        record = await self._record(token.credential_id)
        if record.signed is None or record.signed.digest != digest:
            raise NotFound("no bundle of this digest belongs to the access token")
        try:
            return await bundles.load_bundle(self.issuer, digest)
        except NotVerified as error:
            # Our fault, not the wallet's, which shall come again.
            raise Unavailable("no bundle that holds can be made now", asked="issuer") from error

    async def forget_expired(self) -> int:
        """Let go of nonces and tokens that are over; how many."""
        now = self.issuer.clock()
        self._tries = {key: last for key, last in self._tries.items() if now - last < _TX_CODE_PAUSE}
        async with self.issuer.store.transaction() as transaction:
            return await transaction.nonces.purge(now) + await transaction.deliveries.purge(now)

    # --- steps of a claim

    def _pace(self, code_hash: bytes, now: datetime) -> None:
        """One guess a second for each code; the store burns it after five in all."""
        last = self._tries.get(code_hash)
        if last is not None and now - last < _TX_CODE_PAUSE:
            raise Refused("wait a second before the next try", code="slow_down")
        if len(self._tries) >= MAX_NONCES:
            self._tries.clear()
        self._tries[code_hash] = now

    async def _record(self, credential_id: str) -> CredentialRecord:
        async with self.issuer.store.reading() as reading:
            record = await reading.credentials.load(credential_id)
        if record is None or record.state is CredentialState.WITHDRAWN:
            raise Refused("the credential is not issued any more", code=codes.CREDENTIAL_REQUEST_DENIED)
        if record.signed is not None and renewal.is_renewed(record.signed):
            async with self.issuer.store.reading() as reading:
                return await renewal.newest(reading, record)
        return record

    async def _proven_subject(
        self, record: CredentialRecord, token: AccessToken, request: CredentialRequest
    ) -> str | None:
        """The DID for which the wallet has proven its key; None for a credential without a subject."""
        proof_types = configurations.proof_types_of(token.configuration_id)
        if not proof_types:
            return None
        if request.proof_type is None:
            raise Refused("a key proof is needed", code=codes.INVALID_PROOF)
        proof = verify_key_proof(
            request.proof_type,
            request.proofs[0],
            credential_issuer=self.url,
            now=self.issuer.clock(),
            proof_types=proof_types,
            canonicalizer=self.issuer.standards.canonicalizer,
        )
        await self._use_nonce(proof)
        expected = _expected_subject(record)
        if expected is not None and not proof.is_by(expected):
            raise Refused("the credential was made for another key", code=codes.INVALID_PROOF)
        return expected or proof.did

    async def _use_nonce(self, proof: KeyProof) -> None:
        async with self.issuer.store.transaction() as transaction:
            use = await transaction.nonces.use(
                NoncePurpose.C_NONCE, _hashed(proof.nonce or ""), self.issuer.clock()
            )
        if use is not NonceUse.FRESH:
            raise Refused("the nonce is unknown, used or too old: fetch a new one", code=codes.INVALID_NONCE)

    async def _signed(
        self, record: CredentialRecord, subject: str | None, commitment: bytes
    ) -> SignedCredential | None:
        """The credential as it was signed, or is signed now; None where it cannot be signed yet.

        Refused for good where it would be over: it stays unsigned.
        """
        if record.signed is None and issuance.is_over(record.intent, self.issuer.clock()):
            raise Refused("the credential would be over by now", code=codes.CREDENTIAL_REQUEST_DENIED)
        if record.signed is None and subject is not None:
            try:
                credential_id = record.intent.credential_id
                record = await issuance.sign_for(self.issuer, credential_id, subject, commitment)
            except (Unavailable, Conflict):
                # What it needs is not there yet, or another claim came first: which, the record tells.
                record = await self._record(record.intent.credential_id)
        if record.signed is not None and subject is not None and record.signed.subject_did != subject:
            raise Refused("the credential was made for another key", code=codes.INVALID_PROOF)
        return record.signed

    async def _defer(self, token: AccessToken, subject: str | None, commitment: bytes) -> Deferred:
        transaction_id = encode_base64url(secrets.token_bytes(24))
        if subject is not None:
            transaction_id += f".{encode_base64url(subject.encode())}.{encode_base64url(commitment)}"
        async with self.issuer.store.transaction() as transaction:
            await transaction.deliveries.defer(_hashed(transaction_id), token.offer_id, self.issuer.clock())
        return Deferred(transaction_id, RETRY_SECONDS)

    async def _deliver(
        self, token: AccessToken, signed: SignedCredential, transaction_id: str | None = None
    ) -> Issued:
        try:
            bundle = await bundles.load_bundle(self.issuer, signed.digest)
        except (Unavailable, NotVerified):
            # The endpoint is down or lies: the credential is the holder's anyway, the bundle follows.
            bundle = None
        shown = None if bundle is None else bundle.without_credential(signed.digest).to_json()
        notification_id = encode_base64url(secrets.token_bytes(24))
        async with self.issuer.store.transaction() as transaction:
            await transaction.offers.mark_claimed(token.offer_id)
            await transaction.deliveries.expect_notification(_hashed(notification_id), token.offer_id)
            if transaction_id is not None:
                await transaction.deliveries.mark_delivered(_hashed(transaction_id), self.issuer.clock())
        return Issued((Item(issued_value(signed.document), shown),), notification_id)


def _check_asked(request: CredentialRequest, token: AccessToken) -> None:
    if request.identifier is not None and request.identifier != token.offer_id:
        raise Refused("no such credential was offered", code=codes.UNKNOWN_CREDENTIAL_IDENTIFIER)
    if request.identifier is None and request.configuration_id != token.configuration_id:
        raise Refused("no such credential was offered", code=codes.UNKNOWN_CREDENTIAL_CONFIGURATION)


def _expected_subject(record: CredentialRecord) -> str | None:
    if record.signed is not None:
        return record.signed.subject_did
    return record.intent.subject_did


def _check_commitment(record: CredentialRecord, request: CredentialRequest) -> None:
    """Refused unless the request brings a commitment where the credential is bound by one, and only there."""
    binding = configurations.binding_of(record)
    if binding is None and request.commitment:
        raise Refused("the credential is bound to no secret", code=codes.INVALID_CREDENTIAL_REQUEST)
    if binding is None:
        return
    if not request.commitment:
        detail = f"it is bound to a secret of its holder's ({binding}): {COMMITMENT} is missing"
        raise Refused(detail, code=codes.INVALID_CREDENTIAL_REQUEST)
    try:
        check_commitment(binding, request.commitment)
    except (Malformed, NotVerified) as error:
        raise Refused(f"{COMMITMENT}: {error.detail}", code=codes.INVALID_CREDENTIAL_REQUEST) from error


def _claim_in(transaction_id: str) -> tuple[str | None, bytes]:
    """Subject and commitment of the claim that was deferred."""
    _, dot, claim = transaction_id.partition(".")
    subject, _, commitment = claim.partition(".")
    try:
        return decode_base64url(subject).decode() if dot else None, decode_base64url(commitment)
    except (Malformed, UnicodeDecodeError) as error:  # pragma: no cover - its hash was ours
        raise Refused("no such transaction", code=codes.INVALID_TRANSACTION_ID) from error


def _credential_name(record: CredentialRecord) -> str:
    signed = record.signed
    credential = read_issued(signed.document).document if signed else Prepared.of(record.intent).credential
    name = credential.get("name")
    return name if isinstance(name, str) else "Credential"


def _hashed(secret: str) -> bytes:
    # Secrets here have at least 192 random bits: a plain hash hides them.
    return sha256(secret.encode("utf-8", "surrogatepass")).digest()


def _offer_id(secret: str) -> str:
    return encode_base64url(_hashed("offer id " + secret))


def _code(secret: str) -> str:
    return encode_base64url(_hashed("pre-authorized code " + secret))


def _tx_code_hash(code: str, tx_code: str) -> bytes:
    # Six digits are no secret under a hash; with the code before them they are one for whoever has the database.
    return _hashed(f"tx_code {code} {tx_code}")
