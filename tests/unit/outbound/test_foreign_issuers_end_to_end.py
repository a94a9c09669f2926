"""Credentials of issuers without a chain, from file to report: their lists and DID documents asked for by HTTP."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from fixtures.sd_jwt import claims_sd_jwt
from fixtures.verification import (
    KEY_SCHOOL,
    NOW,
    STRANGER,
    Signatory,
    as_jwt,
    badge,
    did_document,
    entry,
    public,
    signed_token,
    standards,
    status_list,
    without_status,
)
from fixtures.webvh import Log, document, key_of, proof_by

from node.core.cbor import encode_cbor
from node.core.encoding import encode_base64url
from node.core.verify.intake import read_intake
from node.core.verify.materials import Mode
from node.core.verify.report import Acceptance, CheckName, Outcome, Reason, Report
from node.core.verify.trust import TrustEntry, TrustList
from node.core.verify.verifier import Verifier
from node.core.verify.wording import NEWER_ELSEWHERE
from node.outbound.gather import examine
from node.outbound.http import Egress, EgressPolicy

Json = dict[str, Any]
INDEX = 4
STATUS_LIST_2021 = "https://w3id.org/vc/status-list/2021/v1"
OPEN_BADGES_EXTENSIONS = "https://purl.imsglobal.org/spec/ob/v3p0/extensions.json"


class Site:
    """Somebody's web space on this machine."""

    def __init__(self) -> None:
        self.files: dict[str, tuple[str, bytes]] = {}
        self.asked: list[str] = []
        app = web.Application()
        app.router.add_get("/{path:.*}", self._answer)
        self.server = TestServer(app)

    async def _answer(self, request: web.Request) -> web.Response:
        self.asked.append(request.path)
        if request.path not in self.files:
            raise web.HTTPNotFound
        content_type, body = self.files[request.path]
        return web.Response(body=body, headers={"Content-Type": content_type})

    def url(self, path: str) -> str:
        return str(self.server.make_url(path))


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    site = Site()
    async with site.server:
        yield site


async def report(credential: Json | str, issuer: str) -> Report:
    """What a verifier that recognises the issuer reports, allowed to ask whom the credential names."""
    data = credential.encode() if isinstance(credential, str) else json.dumps(credential).encode()
    trust = TrustList((TrustEntry(issuer, "School"),))
    verifier = Verifier.of(standards(), trust=trust, mode=Mode.FULL)
    async with Egress(EgressPolicy(mode=Mode.FULL, allow_loopback=True)) as egress:
        return await examine(read_intake(data), verifier, egress, now=NOW)


def badge_of(issuer: Signatory, **changes: Any) -> Json:
    unsigned = badge(issuer.did)
    without_status(unsigned)
    del unsigned["evidence"]
    return {**unsigned, **changes}


# Lists behind a URL -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Kind:
    """How a credential names a list of this kind, and how somebody publishes one; both are told its URL."""

    issue: Callable[[str], Json | str]
    publish: Callable[[Signatory, bool, str], bytes]
    content_type: str


def with_status_list_2021(url: str) -> Json:
    named = badge_of(
        KEY_SCHOOL, credentialStatus={**entry(index=INDEX, url=url), "type": "StatusList2021Entry"}
    )
    named["@context"].append(STATUS_LIST_2021)
    return KEY_SCHOOL.sign(named)


def status_list_2021(by: Signatory, revoked: bool, url: str) -> bytes:
    bits = bytearray(16_384)
    bits[0] = 0x80 >> INDEX if revoked else 0
    unsigned = {
        "@context": ["https://www.w3.org/2018/credentials/v1", STATUS_LIST_2021],
        "id": url,
        "type": ["VerifiableCredential", "StatusList2021Credential"],
        "issuer": by.did,
        "issuanceDate": "2026-05-01T00:00:00Z",
        "credentialSubject": {
            "id": f"{url}#list",
            "type": "StatusList2021",
            "statusPurpose": "revocation",
            "encodedList": encode_base64url(gzip.compress(bytes(bits))),
        },
    }
    return json.dumps(by.sign(unsigned)).encode()


def with_bitstring(url: str) -> Json:
    return KEY_SCHOOL.sign(badge_of(KEY_SCHOOL, credentialStatus=entry(index=INDEX, url=url)))


def bitstring_as_token(by: Signatory, revoked: bool, url: str) -> bytes:
    listed = status_list(by, [INDEX] if revoked else [], url)
    return as_jwt(by, {name: value for name, value in listed.items() if name != "proof"}).encode()


def with_token_status(url: str) -> str:
    return claims_sd_jwt(status={"status_list": {"idx": INDEX, "uri": url}})(KEY_SCHOOL, {})


def packed(revoked: bool) -> bytes:
    """One status a byte."""
    return zlib.compress(bytes([0, 0, 0, 0, 1 if revoked else 0]) + bytes(1024))


MADE = int((NOW - timedelta(minutes=1)).timestamp())


def token_status_list(by: Signatory, revoked: bool, url: str) -> bytes:
    claims = {"sub": url, "iat": MADE, "status_list": {"bits": 8, "lst": encode_base64url(packed(revoked))}}
    return signed_token({"alg": "EdDSA", "typ": "statuslist+jwt", "kid": by.method}, claims, by).encode()


def token_status_list_in_cbor(by: Signatory, revoked: bool, url: str) -> bytes:
    payload = encode_cbor({2: url, 6: MADE, 65533: {"bits": 8, "lst": packed(revoked)}})
    protected = encode_cbor({1: -8, 4: by.method.encode(), 16: "application/statuslist+cwt"})
    signature = by.key.sign(encode_cbor(["Signature1", protected, b"", payload])).signature
    return b"\xd2" + encode_cbor([protected, {}, payload, signature])


def with_revocation_list(url: str) -> Json:
    named = badge_of(KEY_SCHOOL, credentialStatus={"id": url, "type": "1EdTechRevocationList"})
    named["@context"].append(OPEN_BADGES_EXTENSIONS)
    return KEY_SCHOOL.sign(named)


def revocation_list(by: Signatory, revoked: bool, _: str) -> bytes:
    """Nobody signs such a list: it names whose it is."""
    identifier = badge(by.did)["id"] if revoked else "urn:uuid:another"
    return json.dumps({"issuer": by.did, "revokedCredential": [{"id": identifier}]}).encode()


KINDS = {
    "StatusList2021": Kind(with_status_list_2021, status_list_2021, "application/json"),
    "Bitstring Status List as vc+jwt": Kind(with_bitstring, bitstring_as_token, "application/vc+jwt"),
    "Token Status List": Kind(with_token_status, token_status_list, "application/statuslist+jwt"),
    "Token Status List in CBOR": Kind(
        with_token_status, token_status_list_in_cbor, "application/statuslist+cwt"
    ),
    "1EdTechRevocationList": Kind(with_revocation_list, revocation_list, "application/json"),
}


@pytest.mark.parametrize(
    ("by", "revoked", "outcome", "reason"),
    [
        (KEY_SCHOOL, False, Outcome.PASSED, None),
        (KEY_SCHOOL, True, Outcome.FAILED, Reason.REVOKED),
        (STRANGER, False, Outcome.UNKNOWN, Reason.STATUS_LIST_UNKNOWN),
        (STRANGER, True, Outcome.UNKNOWN, Reason.STATUS_LIST_UNKNOWN),
        (None, False, Outcome.UNKNOWN, Reason.STATUS_UNREACHABLE),
    ],
    ids=["in the clear", "revoked", "in the clear by somebody else", "revoked by somebody else", "not there"],
)
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
async def test_a_list_is_fetched_and_counts_where_the_issuer_made_it(
    site: Site, kind: Kind, by: Signatory | None, revoked: bool, outcome: Outcome, reason: Reason | None
) -> None:
    url = site.url("/list")
    if by is not None:
        site.files["/list"] = (kind.content_type, kind.publish(by, revoked, url))
    found = await report(kind.issue(url), KEY_SCHOOL.did)
    assert found[CheckName.PROOF].outcome is Outcome.PASSED
    status = found[CheckName.STATUS]
    assert (status.outcome, status.reason) == (outcome, reason), status.basis
    assert site.asked == ["/list"]
    assert found.contacted == (f"127.0.0.1:{site.server.port}",)


async def test_nobody_is_asked_for_a_newer_credential(site: Site) -> None:
    url = site.url("/list")
    site.files["/list"] = ("application/vc+jwt", bitstring_as_token(KEY_SCHOOL, False, url))
    named = badge_of(KEY_SCHOOL, credentialStatus=entry(index=INDEX, url=url))
    named["@context"].append(OPEN_BADGES_EXTENSIONS)
    named["refreshService"] = {"id": site.url("/newer"), "type": "1EdTechCredentialRefresh"}
    found = await report(KEY_SCHOOL.sign(named), KEY_SCHOOL.did)
    assert found.acceptance is Acceptance.ACCEPTED
    assert found.notes == (NEWER_ELSEWHERE,)
    assert site.asked == ["/list"]


# Issuers whose DID document is elsewhere ------------------------------------------------------------------------


def rewritten(log: Log) -> None:
    """Whoever may update changes an entry after its version was told to others, and signs it again."""
    entry = {name: value for name, value in log.entries[-1].items() if name != "proof"}
    entry["state"] = document(log.did, 9)
    log.entries[-1] = {**entry, "proof": [proof_by(1, entry)]}


def deactivated(log: Log) -> None:
    log.update(deactivated=True, updateKeys=[])


def taken_over(log: Log) -> None:
    """Whoever has the web space, but not the key to update with, puts his own key in."""
    log.update(signers=(2,), state=document(log.did, 9))


def untouched(log: Log) -> None:
    pass


@pytest.mark.parametrize(
    ("key", "happens", "outcome", "basis"),
    [
        (9, untouched, Outcome.PASSED, "eddsa-jcs-2022"),
        (8, rewritten, Outcome.UNKNOWN, "versionId is not the hash of the entry"),
        (8, taken_over, Outcome.UNKNOWN, "signed with a key that may not sign it"),
        (9, deactivated, Outcome.FAILED, "has no such verification method"),
    ],
    ids=["sound", "rewritten", "taken over", "deactivated"],
)
async def test_a_key_of_a_did_webvh_counts_where_its_log_holds(
    site: Site, key: int, happens: Callable[[Log], None], outcome: Outcome, basis: str
) -> None:
    log = Log(f"127.0.0.1%3A{site.server.port}")
    issuer = Signatory(log.did, "key-1", key_of(9))
    if key != 9:
        log.update(state=document(log.did, key))
    happens(log)
    site.files["/.well-known/did.jsonl"] = ("text/jsonl", log.to_bytes())
    found = await report(issuer.sign(badge_of(issuer)), issuer.did)
    proof = found[CheckName.PROOF]
    assert proof.outcome is outcome
    assert basis in proof.basis
    assert (found.acceptance is Acceptance.ACCEPTED) == (outcome is Outcome.PASSED)
    assert site.asked == ["/.well-known/did.jsonl"]


@pytest.mark.parametrize(
    ("path", "kid", "content_type", "publish"),
    [
        ("/keys/1", "/keys/1", "application/jwk+json", lambda key, _: key),
        ("/keys", "/keys#1", "application/jwk-set+json", lambda key, _: {"keys": [{**key, "kid": "1"}]}),
        (
            "/.well-known/jwt-vc-issuer/hall",
            None,
            "application/json",
            lambda key, issuer: {"issuer": issuer, "jwks": {"keys": [key]}},
        ),
    ],
    ids=["a JWK", "a JWK Set", "metadata"],
)
@pytest.mark.parametrize("served", [True, False], ids=["served", "not served"])
async def test_the_key_of_a_token_is_had_from_its_issuer_s_own_site(
    site: Site,
    path: str,
    kid: str | None,
    content_type: str,
    publish: Callable[[Json, str], Json],
    served: bool,
) -> None:
    """In development plain http on this machine stands for https (Open Badges 3.0 section 8.2, SD-JWT VC section 5)."""
    issuer = Signatory(site.url("/hall"), "key-1", KEY_SCHOOL.key)
    if served:
        content = publish(public(issuer.key).to_jwk(), issuer.did)
        site.files[path] = (content_type, json.dumps(content).encode())
    token = as_jwt(issuer, badge_of(issuer), kid=None if kid is None else site.url(kid))
    found = await report(token, issuer.did)
    proof = found[CheckName.PROOF]
    assert (proof.outcome, proof.reason) == (
        (Outcome.PASSED, None) if served else (Outcome.UNKNOWN, Reason.KEY_UNREACHABLE)
    )
    assert (found.acceptance is Acceptance.ACCEPTED) == served
    assert site.asked == [path]
    assert found.contacted == (f"127.0.0.1:{site.server.port}",)


async def test_the_status_list_of_an_issuer_with_an_https_address_is_verified_by_its_keys(site: Site) -> None:
    issuer = Signatory(site.url("/hall"), "key-1", KEY_SCHOOL.key)
    jwk = public(issuer.key).to_jwk()
    site.files["/keys/1"] = ("application/jwk+json", json.dumps(jwk).encode())
    url, kid = site.url("/list"), site.url("/keys/1")
    for revoked, outcome in ((False, Outcome.PASSED), (True, Outcome.FAILED)):
        listed = status_list(issuer, [INDEX] if revoked else [], url)
        unsigned = {name: value for name, value in listed.items() if name != "proof"}
        site.files["/list"] = ("application/vc+jwt", as_jwt(issuer, unsigned, kid=kid).encode())
        credential = badge_of(issuer, credentialStatus=entry(index=INDEX, url=url))
        found = await report(as_jwt(issuer, credential, kid=kid), issuer.did)
        assert found[CheckName.STATUS].outcome is outcome, found[CheckName.STATUS].basis


@pytest.mark.parametrize(
    ("content_type", "changes", "reason"),
    [
        ("application/cid", {}, None),
        ("application/json", {}, None),
        ("application/cid", {"id": "https://school.example/hall"}, Reason.KEY_UNREACHABLE),
        ("application/cid", {"padding": "x" * 256 * 1024}, Reason.KEY_UNREACHABLE),
        ("text/html", {}, Reason.KEY_UNREACHABLE),
    ],
    ids=["application/cid", "application/json", "of another", "too large", "a page for people"],
)
async def test_the_method_of_an_embedded_proof_is_in_the_document_at_its_issuer_s_address(
    site: Site, content_type: str, changes: Json, reason: Reason | None
) -> None:
    """Controlled Identifiers 1.0 section 3.3. The list that the issuer signed too counts by the same document."""
    issuer = Signatory(site.url("/hall"), "key-1", KEY_SCHOOL.key)
    content = {**did_document(issuer.did, issuer).to_json(), **changes}
    site.files["/hall"] = (content_type, json.dumps(content).encode())
    url = site.url("/list")
    for bits, outcome in (([], Acceptance.ACCEPTED), ([INDEX], Acceptance.REFUSED)):
        site.asked.clear()
        site.files["/list"] = ("application/vc", json.dumps(status_list(issuer, bits, url)).encode())
        credential = badge_of(issuer, credentialStatus=entry(index=INDEX, url=url))
        found = await report(issuer.sign(credential), issuer.did)
        assert found[CheckName.PROOF].reason is reason, found[CheckName.PROOF].basis
        assert found.acceptance is (outcome if reason is None else Acceptance.UNDETERMINED)
        assert site.asked == (["/hall", "/list"] if reason is None else ["/hall"])


async def test_the_proof_of_an_account_is_of_a_type_that_is_not_judged_here() -> None:
    account = "did:pkh:eip155:1:0xab16a96d359ec26a11e2c2b3d8f8b8942d5bfcdb"
    issuer = Signatory(account, "blockchainAccountId", KEY_SCHOOL.key)
    signed = issuer.sign(badge_of(issuer))
    (proof,) = signed["proof"]
    proof["type"] = "EcdsaSecp256k1RecoverySignature2020"
    del proof["cryptosuite"]
    found = await report(signed, account)
    assert found[CheckName.PROOF].reason is Reason.UNKNOWN_SUITE, found[CheckName.PROOF].basis
    assert found.acceptance is Acceptance.UNDETERMINED
    assert found.contacted == ()
