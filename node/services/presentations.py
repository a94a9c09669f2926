"""The verifier's side of OpenID4VP 1.0: ask for a presentation, take one answer, keep the result for a while.

A request has three secrets of 128 bits and more: `state`, which is in the link and names the request; `nonce`, the
challenge; and the id of the result, which only the page that asked knows. It can be answered once, within five
minutes, by whoever comes first: the nonce is used up before the answer is judged, and stays so if it is refused. The
domain that a presentation must name is the whole `client_id`, prefix included. Where the answer is to be encrypted, it
is to a key of that request alone, which is kept beside it and forgotten with it.

Across devices nothing ties the wallet to the page that asked, but the eyes of the person between them; on the same
device the result is given out only with the code that the wallet's browser brings back (section 14.2 of the text).
"""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial
from hashlib import sha256
from hmac import compare_digest
from typing import Any, Final

import orjson

from node.core.bundle import Bundle
from node.core.encoding import decode_base64url, encode_base64url
from node.core.errors import BonafidesError, Malformed, NotFound, Refused
from node.core.jose.jwe import CONTENT_ENCRYPTIONS, SECRET_BYTES, DecryptionKey
from node.core.oid4vci.metadata import FORMATS, JWT_VC_JSON, LDP_VC, VC_SD_JWT
from node.core.oid4vp.dcql import (
    OPEN_BADGE_TYPES,
    Candidate,
    ClaimsQuery,
    CredentialQuery,
    CredentialSetQuery,
    DcqlQuery,
    candidate_of,
    check_answer,
)
from node.core.oid4vp.formats import vp_formats
from node.core.oid4vp.request import (
    AuthorizationRequest,
    ClientMetadata,
    RequestReference,
    client_id_of,
    encode_link,
    encode_request_object,
    encryption_of,
    parse_request,
)
from node.core.oid4vp.response import (
    MAX_PRESENTATIONS,
    AuthorizationError,
    AuthorizationResponse,
    Presentation,
    encode_answer,
    parse_response,
)
from node.core.problem import ours
from node.core.strict_json import JsonObject
from node.core.verify.holder import Asked
from node.core.verify.intake import Intake, given
from node.core.verify.report import Acceptance, CheckName, Outcome, Reason, Report
from node.core.verify.wording import HELD_BY_NOBODY, OTHER_THAN_ASKED
from node.services.verification import Examination, Examiner, Told, tell
from node.storage.protocols.store import Store
from node.storage.protocols.verifier import NoncePurpose, NonceUse, PresentationRequest

REQUEST_SECONDS: Final = 300
# How long a result can still be read after its request ended.
RESULT_SECONDS: Final = 3600
# Longer than a request to this node may take.
JUDGING_SECONDS: Final = 60
# Files of answers, of about an hour: anybody may ask and answer, and a disk is not for filling.
MAX_KEPT_BYTES: Final = 1024 * 1024 * 1024
MAX_OPEN_REQUESTS: Final = 10_000
_SECRET_BYTES: Final = 24
_GRAVEST_LAST: Final = (Acceptance.ACCEPTED, Acceptance.UNDETERMINED, Acceptance.REFUSED)


class Flow(StrEnum):
    """Where the wallet is, seen from the page that asks."""

    CROSS_DEVICE = "cross_device"
    SAME_DEVICE = "same_device"


class ResultState(StrEnum):
    """How far a request has come."""

    WAITING = "waiting"
    JUDGING = "judging"
    ANSWERED = "answered"
    DECLINED = "declined"
    FAILED = "failed"
    """It was answered, and could not be judged in time."""
    EXPIRED = "expired"


class TooManyOpen(Refused):
    """More requests or challenges wait for an answer than the operator allows."""

    default_type = ours("too-many-requests")


@dataclass(frozen=True, slots=True)
class NewRequest:
    """A request as the one who asked gets it. `result_id` is for that one alone."""

    result_id: str
    client_id: str
    request_uri: str
    link: str
    nonce: str
    flow: Flow
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a request.

    `record` is what was kept of the answer (see `Presentations.answer`). On the same device it is None for a
    browser that does not bring the code.
    """

    state: ResultState
    link: str
    query: DcqlQuery
    expires_at: datetime
    forgotten_at: datetime
    record: JsonObject | None = None


class Presentations:
    """Requests, answers and results, kept in `store`; `base_url` is where wallets reach this node."""

    def __init__(
        self,
        store: Store,
        examiner: Examiner,
        base_url: str,
        *,
        client_name: str | None = None,
        request_seconds: int = REQUEST_SECONDS,
        max_open: int = MAX_OPEN_REQUESTS,
    ) -> None:
        self._store = store
        self._examiner = examiner
        self._base_url = base_url.rstrip("/")
        self.client_name = client_name
        self._life = timedelta(seconds=request_seconds)
        self._max_open = max_open
        self._kept: deque[tuple[datetime, int]] = deque()

    async def create(
        self, query: DcqlQuery, flow: Flow = Flow.CROSS_DEVICE, *, encrypted: bool = False
    ) -> NewRequest:
        """Ask for what `query` says, `encrypted`: by an answer that is encrypted to a key of this request alone.

        Malformed where it asks for what cannot be judged here.
        """
        _check_askable(query)
        now = self._examiner.clock()
        state, nonce, result_id = (secrets.token_urlsafe(_SECRET_BYTES) for _ in range(3))
        key = None
        if encrypted:
            key = DecryptionKey(secrets.token_bytes(SECRET_BYTES), secrets.token_urlsafe(9))
        request = self._request(query, state, nonce, key)
        kept: JsonObject = {"request": request.to_json(), "flow": flow}
        if key is not None:
            kept["key"] = {"secret": encode_base64url(key.secret), "kid": key.kid}
        if flow is Flow.SAME_DEVICE:
            kept["result_id"] = result_id  # the wallet's browser is sent to it
        stored = PresentationRequest(
            _hash(result_id),
            _hash(state),
            nonce,
            orjson.dumps(kept),
            now,
            now + self._life,
            taken_at=None,
            report=None,
            response_code_hash=None,
            answered_at=None,
        )
        async with self._store.transaction() as tx:
            if await tx.presentation_requests.count(now) >= self._max_open:
                raise TooManyOpen("too many requests wait for an answer", code="slow_down")
            await tx.presentation_requests.add(stored)
        return NewRequest(
            result_id,
            request.client_id,
            self._request_uri(state),
            self._link(request),
            nonce,
            flow,
            stored.expires_at,
        )

    def _request(
        self, query: DcqlQuery, state: str, nonce: str, key: DecryptionKey | None
    ) -> AuthorizationRequest:
        """What a wallet is asked; with `key`, by an answer that is encrypted to it."""
        metadata = ClientMetadata(vp_formats(), self.client_name, bonafides_bundle=True)
        if key is not None:
            metadata = replace(metadata, keys=(key.to_jwk(),), enc_values=tuple(CONTENT_ENCRYPTIONS))
        return AuthorizationRequest(
            client_id_of(f"{self._base_url}/requests/{state}/response"),
            nonce,
            query,
            metadata,
            state,
            encryption_of(metadata) if key is not None else None,
        )

    async def request_object(self, state: str) -> str:
        """The request that a link refers to, as an unsecured request object; NotFound once it has ended."""
        stored = await self._by_state(state)
        if stored.taken_at is not None or self._examiner.clock() >= stored.expires_at:
            raise NotFound("this request was answered or has expired: ask for a new one")
        return encode_request_object(_kept(stored)[0])

    async def progress(self, state: str) -> ResultState:
        """How far a request has come, for whoever has its link: nothing of the result."""
        return self._state_of(await self._by_state(state))

    async def check_open(self, state: str) -> None:
        """Refused as by `answer`; for before anything large is read. Only `answer` uses a request up."""
        await self._open(state)

    async def _open(self, state: str) -> PresentationRequest:
        async with self._store.reading() as tx:
            stored = await tx.presentation_requests.find_by_state(_hash(state))
        if stored is None:
            raise _cannot_be_answered(NonceUse.UNKNOWN)
        if stored.taken_at is not None:
            raise _cannot_be_answered(NonceUse.USED)
        if self._examiner.clock() >= stored.expires_at:
            raise _cannot_be_answered(NonceUse.EXPIRED)
        return stored

    async def answer(self, state: str, form: Mapping[str, str]) -> JsonObject:
        """Take a wallet's direct_post and judge it; what is returned is the HTTP answer's JSON.

        Refused (invalid_request) where the request is unknown, was answered before, or has expired. What was
        judged is kept: `{"acceptance", "answers": [{"query", "report", "account", "files"}], "satisfied", "detail",
        "sentence"}`, the last two telling why it is no answer to what was asked, or `{"declined": {"error",
        "description"}}`. `files` are the evidence shown, by credential.
        """
        key = _key(await self._open(state))
        response = await self._examiner.work(partial(parse_response, form, key))
        if response.state != state:
            raise Refused("the state is not this request's")
        now = self._examiner.clock()
        async with self._store.transaction() as tx:
            use, stored = await tx.presentation_requests.take(_hash(state), now)
        if stored is None or use is not NonceUse.FRESH:
            raise _cannot_be_answered(use)
        request, flow = _kept(stored)
        record = self._within_bounds(await self._judge(request, response), stored.expires_at)
        code = secrets.token_urlsafe(_SECRET_BYTES) if flow is Flow.SAME_DEVICE else None
        async with self._store.transaction() as tx:
            await tx.presentation_requests.record_report(
                stored.id_hash, orjson.dumps(record), _hash(code) if code else None, self._examiner.clock()
            )
        if code is None:
            return encode_answer()
        result_id = orjson.loads(stored.request)["result_id"]
        return encode_answer(f"{self._base_url}/results/{result_id}?response_code={code}")

    async def result(self, result_id: str, response_code: str | None = None) -> Result:
        """The result for whoever asked; on the same device, with the code that the browser brought back."""
        async with self._store.reading() as tx:
            stored = await tx.presentation_requests.load(_hash(result_id))
        if stored is None or self._examiner.clock() >= stored.expires_at + timedelta(seconds=RESULT_SECONDS):
            raise NotFound("there is no such result, or it has been forgotten")
        request, flow = _kept(stored)
        open_to_all = flow is Flow.CROSS_DEVICE or _is_code(response_code, stored.response_code_hash)
        record = orjson.loads(stored.report) if stored.report is not None and open_to_all else None
        return Result(
            self._state_of(stored),
            self._link(request),
            request.dcql_query,
            stored.expires_at,
            stored.expires_at + timedelta(seconds=RESULT_SECONDS),
            record,
        )

    async def purge(self) -> int:
        """Forget what is past its time; how many requests were forgotten."""
        before = self._examiner.clock() - timedelta(seconds=RESULT_SECONDS)
        async with self._store.transaction() as tx:
            await tx.nonces.purge(before)
            return await tx.presentation_requests.purge(before)

    # Challenges for those who carry presentations themselves (VC API)

    async def new_challenge(self) -> tuple[str, datetime]:
        """A challenge for one presentation, and when it ends."""
        now = self._examiner.clock()
        challenge = secrets.token_urlsafe(_SECRET_BYTES)
        async with self._store.transaction() as tx:
            if await tx.nonces.count(NoncePurpose.CHALLENGE, now) >= self._max_open:
                raise TooManyOpen("too many challenges wait for an answer", code="slow_down")
            await tx.nonces.add(NoncePurpose.CHALLENGE, _hash(challenge), now + self._life)
        return challenge, now + self._life

    async def asked(self, challenge: str | None, domain: tuple[str, ...] | None) -> Asked:
        """What somebody says that they asked for. A challenge of ours is used up by this; others are their care."""
        if challenge is None:
            return Asked(None, domain)
        async with self._store.transaction() as tx:
            use = await tx.nonces.use(NoncePurpose.CHALLENGE, _hash(challenge), self._examiner.clock())
        return Asked(challenge, domain, first=use is not NonceUse.USED, in_time=use is not NonceUse.EXPIRED)

    # Judging

    async def _judge(
        self, request: AuthorizationRequest, response: AuthorizationResponse | AuthorizationError
    ) -> JsonObject:
        if isinstance(response, AuthorizationError):
            return {"declined": {"error": response.error, "description": response.description}}
        asked = Asked(request.nonce, (request.client_id,))
        bound = {one.id for one in request.dcql_query.credentials if one.require_cryptographic_holder_binding}
        read = await self._examiner.work(partial(_read, response))
        answers = []
        for query_id, intake in read:
            if isinstance(intake, Malformed):
                answers.append((query_id, self._examiner.unreadable(intake)))
            else:
                demanded = replace(asked, of_documents=query_id in bound)
                answers.append((query_id, await self._examiner.examine(intake, asked=demanded)))
        return await self._examiner.work(partial(self._record, request.dcql_query, answers))

    def _within_bounds(self, record: JsonObject, expires_at: datetime) -> JsonObject:
        """The record, without its files where this process has kept too many already."""
        now = self._examiner.clock()
        while self._kept and self._kept[0][0] <= now:
            self._kept.popleft()
        answers = record.get("answers", [])
        size = sum(len(item["data"]) for one in answers for files in one["files"] for item in files)
        if size + sum(count for _, count in self._kept) > MAX_KEPT_BYTES:
            return {**record, "answers": [{**one, "files": []} for one in answers]}
        if size:
            self._kept.append((expires_at + timedelta(seconds=RESULT_SECONDS), size))
        return record

    def _record(self, query: DcqlQuery, answers: Sequence[tuple[str, Examination]]) -> JsonObject:
        sentence, detail = self._unsatisfied(query, answers) or (None, None)
        verdicts = [found.report.acceptance for _, found in answers]
        if detail is not None:
            verdicts.append(Acceptance.REFUSED)
        return {
            "acceptance": max(verdicts, key=_GRAVEST_LAST.index),
            "satisfied": detail is None,
            "detail": detail,
            "sentence": sentence,
            "answers": [_kept_answer(query_id, tell(found)) for query_id, found in answers],
        }

    def _unsatisfied(
        self, query: DcqlQuery, answers: Sequence[tuple[str, Examination]]
    ) -> tuple[str, str] | None:
        """Why the answers are not what was asked for, to people and in detail; None where they are (section 8.6)."""
        given_back: dict[str, list[Candidate]] = {}
        try:
            for query_id, found in answers:
                given_back.setdefault(query_id, []).extend(self._candidates(found))
            check_answer(query, given_back)
        except BonafidesError as error:
            return OTHER_THAN_ASKED, error.detail
        for query_id, found in answers:
            if query[query_id].require_cryptographic_holder_binding and not _is_bound(found.report):
                return (
                    HELD_BY_NOBODY,
                    f"nothing shows that what was given for {query_id} is held by who gave it",
                )
        return None

    def _candidates(self, found: Examination) -> list[Candidate]:
        if found.intake is None:
            return []
        canonicalizer = self._examiner.verifier.canonicalizer
        reports = (found.report,) if found.intake.presentation is None else found.report.credentials
        return [
            candidate_of(dict(report.document), shown.envelope, canonicalizer)
            for report, shown in zip(reports, found.intake.credentials, strict=True)
            if report.document is not None
        ]

    # Odds and ends

    async def _by_state(self, state: str) -> PresentationRequest:
        async with self._store.reading() as tx:
            stored = await tx.presentation_requests.find_by_state(_hash(state))
        if stored is None:
            raise NotFound("there is no such request")
        return stored

    def _state_of(self, stored: PresentationRequest) -> ResultState:
        if stored.report is not None:
            declined = "declined" in orjson.loads(stored.report)
            return ResultState.DECLINED if declined else ResultState.ANSWERED
        if stored.taken_at is not None:
            # Given up, or the process ended: the request is used up and nothing will come.
            late = self._examiner.clock() >= stored.taken_at + timedelta(seconds=JUDGING_SECONDS)
            return ResultState.FAILED if late else ResultState.JUDGING
        expired = self._examiner.clock() >= stored.expires_at
        return ResultState.EXPIRED if expired else ResultState.WAITING

    def _request_uri(self, state: str) -> str:
        return f"{self._base_url}/requests/{state}"

    def _link(self, request: AuthorizationRequest) -> str:
        return encode_link(RequestReference(request.client_id, self._request_uri(request.state or "")))


def open_badge_query(*, achievement: str | None = None) -> DcqlQuery:
    """The usual question: an Open Badge, in one of three formats, perhaps for the achievement of that exact name."""
    path = ("credentialSubject", "achievement", "name")
    claims = (ClaimsQuery(path, None, (achievement,) if achievement else ()),)
    types = frozenset(OPEN_BADGE_TYPES)
    meta = {"type_values": [list(OPEN_BADGE_TYPES)]}
    # dc+sd-jwt is asked for by an issuer's own vct; vc+cose makes some wallets refuse the whole question.
    asked = {"badge": LDP_VC, "badge_jwt": JWT_VC_JSON, "badge_sd_jwt": VC_SD_JWT}
    queries = tuple(CredentialQuery(name, form, meta, (types,), claims) for name, form in asked.items())
    return DcqlQuery(queries, (CredentialSetQuery(tuple((name,) for name in asked)),))


def asked_achievement(query: DcqlQuery) -> str | None:
    """The name that `open_badge_query` asked for; None for any badge, empty where something else was asked."""
    values = [value for one in query.credentials for claim in one.claims for value in claim.values]
    name = next((value for value in values if isinstance(value, str)), None)
    return name if query.to_json() == open_badge_query(achievement=name).to_json() else ""


def _cannot_be_answered(use: NonceUse) -> Refused:
    why = {NonceUse.USED: "was answered before", NonceUse.EXPIRED: "has expired"}.get(use, "is not known")
    return Refused(f"this request {why}")


def _check_askable(query: DcqlQuery) -> None:
    for index, one in enumerate(query.credentials):
        if one.format not in FORMATS:
            path = ("credentials", index, "format")
            raise Malformed(f"what can be judged here is one of {', '.join(FORMATS)}", path=path)


def _read(response: AuthorizationResponse) -> list[tuple[str, Intake | Malformed]]:
    """What there is to judge, by query, in the order given; MAX_PRESENTATIONS credentials in all."""
    read: list[tuple[str, Intake | Malformed]] = []
    left = MAX_PRESENTATIONS
    for query_id, presentations in response.vp_token.items():
        for presentation in presentations:
            found = _read_one(presentation, response.bundles, left)
            left -= len(found.credentials) if isinstance(found, Intake) else 0
            read.append((query_id, found))
    return read


def _read_one(presentation: Presentation, bundles: Sequence[Bundle], left: int) -> Intake | Malformed:
    try:
        intake = given(presentation, bundles)
    except Malformed as error:
        return error
    if len(intake.credentials) > left:
        return Malformed(f"more than {MAX_PRESENTATIONS} credentials in one answer")
    # The bundles of the other presentations are no news of this one.
    return replace(intake, notes=())


def _is_bound(report: Report) -> bool:
    """Whether it was made for this request, by somebody who is shown to hold it, unless a check says otherwise.

    Policies accept a document without any of that: here it was asked for.
    """
    answered = all(report[name].outcome is Outcome.PASSED for name in (CheckName.CHALLENGE, CheckName.DOMAIN))
    return answered and report[CheckName.HOLDER_BINDING].reason is not Reason.DOCUMENT_ALONE


def _kept_answer(query_id: str, told: Told) -> JsonObject:
    files = [[{**one, "data": encode_base64url(data)} for one, data in shown] for shown in told.files]
    return {"query": query_id, "report": told.report, "account": told.account, "files": files}


def _kept(stored: PresentationRequest) -> tuple[AuthorizationRequest, Flow]:
    kept: dict[str, Any] = orjson.loads(stored.request)
    return parse_request(kept["request"]), Flow(kept["flow"])


def _key(stored: PresentationRequest) -> DecryptionKey | None:
    kept = orjson.loads(stored.request).get("key")
    return None if kept is None else DecryptionKey(decode_base64url(kept["secret"]), kept["kid"])


def _hash(secret: str) -> bytes:
    # 192 random bits need no slow hash; nobody who reads the database can use what stands there.
    return sha256(secret.encode()).digest()


def _is_code(code: str | None, expected_hash: bytes | None) -> bool:
    return code is not None and expected_hash is not None and compare_digest(_hash(code), expected_hash)
