"""VC-JWT of VC Data Model 1.1 beside did-jwt-vc 4.0.16: credentials and presentations, by did:key and by did:ethr.

We issue none of these; what our own primitives sign in this form both judge all the same. Where the two differ, a row
of `FAULTS` says so, with the clause that decides.
"""

# ruff: noqa: E501 - a table has one row a line

from __future__ import annotations

import json
import random
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import coincurve
import pytest
from badge_generator import ISSUER, LEARNER, NOW, STRANGER, Person
from fixtures.chain import RunningChain

from node.chain.transactions import DidRegistryCalls, Transactions, address_of
from node.commands.loading import load_standards
from node.core.did.ethr import did_ethr
from node.core.encoding import encode_base64url
from node.core.errors import Malformed
from node.core.jose.jws import algorithm_of, prepare_jws
from node.core.keys import KeyKind
from node.core.verify import engine
from node.core.verify.holder import Asked
from node.core.verify.intake import presented, read_intake
from node.core.verify.materials import DocumentAnswer, DocumentNeed, Materials, Mode
from node.core.verify.policy import ANY_ISSUER_UNSAFE
from node.core.verify.report import CheckName, Outcome, Report
from node.core.verify.verifier import Verifier
from node.outbound.chain import ChainClient, Fees
from node.outbound.resolve import RegistryEndpoint, resolve_did

pytestmark = [pytest.mark.node_js, pytest.mark.xdist_group("other_tokens")]

STANDARDS = load_standards()
VERIFIER = Verifier.of(STANDARDS, policy=ANY_ISSUER_UNSAFE)
SECONDS = int(NOW.timestamp())
CHALLENGE, DOMAIN = "zQx7b0f3cQ2n", "https://employer.example"
KINDS = (KeyKind.ED25519, KeyKind.P256, KeyKind.SECP256K1)
COUNT = 6
BASE = "https://www.w3.org/2018/credentials/v1"
CONTEXTS = [BASE, "https://purl.imsglobal.org/spec/ob/v3p0/context-3.0.1.json"]
Json = dict[str, Any]
by_kind = pytest.mark.parametrize("kind", KINDS)


def credential(number: int, kind: KeyKind) -> Json:
    """A credential that is no token yet."""
    chance = random.Random(f"vc-jwt {number}")  # noqa: S311 - the same every time
    words = chance.choice(["Ада", "学习者", "Zoë", 'quotes " and \\', "🎓"])
    return {
        "@context": CONTEXTS,
        "id": f"urn:uuid:00000000-0000-4000-8000-{number:012d}",
        "type": ["VerifiableCredential"],
        "issuer": chance.choice([ISSUER.of(kind).did, {"id": ISSUER.of(kind).did, "name": words}]),
        "issuanceDate": "2026-02-01T00:00:00Z",
        **({"expirationDate": "2036-01-01T00:00:00Z"} if chance.random() < 0.5 else {}),
        "credentialSubject": {"id": LEARNER.of(kind).did, **achieved(words)},
    }


def achieved(name: str) -> Json:
    achievement = {
        "id": "https://school.example/achievements/1",
        "type": ["Achievement"],
        "name": name,
        "description": "Lists and trees",
        "criteria": {"narrative": "All tests pass"},
    }
    return {"type": ["AchievementSubject"], "achievement": achievement}


def party(person: Person, did: str | None = None) -> Json:
    return {"did": did or person.did, "alg": algorithm_of(person.kind), "secret": person.secret.hex()}


def report_of(token: str, asked: Asked | None = None) -> Report | None:
    """Our report, None where it cannot be read."""
    try:
        intake = read_intake(token.encode()) if asked is None else presented(token, [])
    except Malformed:
        return None
    return engine.verify(intake, Materials.none(), VERIFIER, now=NOW, asked=asked or Asked())


def we_accept(token: str, asked: Asked | None = None) -> bool:
    report = report_of(token, asked)
    return report is not None and report.verified and report.acceptance == "accepted"


def they_accept(token: str, others: Any) -> bool:
    try:
        others.ask("verifyVcJwt", token=token, now=SECONDS)
    except RuntimeError:
        return False
    return True


def they_accept_presented(token: str, others: Any, challenge: str = CHALLENGE, domain: str = DOMAIN) -> bool:
    try:
        others.ask("verifyVpJwt", token=token, now=SECONDS, challenge=challenge, domain=domain)
    except RuntimeError:
        return False
    return True


def issued_by_them(number: int, kind: KeyKind, others: Any) -> str:
    issuer = ISSUER.of(kind)
    token: str = others.ask(
        "issueVcJwt",
        payload=credential(number, kind),
        issuer=party(issuer),
        header={"kid": issuer.method},
    )
    return token


def signed(header: Json, payload: Json | bytes, person: Person) -> str:
    prepared = prepare_jws(header, payload)
    return prepared.finish(person.signer.sign(prepared.message))


@by_kind
def test_credentials_of_theirs_are_verified_by_both(kind: KeyKind, other_tokens: Any) -> None:
    for number in range(COUNT):
        token = issued_by_them(number, kind, other_tokens)
        read = other_tokens.ask("verifyVcJwt", token=token, now=SECONDS)
        report = report_of(token)
        assert report is not None
        assert report.acceptance == "accepted", (number, report.decisive)
        document = dict(report.document or {})
        assert document["credentialSubject"] == read["credentialSubject"]
        assert document["id"] == read["id"]


@by_kind
def test_presentations_of_theirs_are_verified_by_both_for_one_occasion(
    kind: KeyKind, other_tokens: Any
) -> None:
    token = issued_by_them(1, kind, other_tokens)
    asked = Asked(CHALLENGE, (DOMAIN,))

    def presented_by(person: Person) -> str:
        presentation = {
            "@context": [BASE],
            "type": ["VerifiablePresentation"],
            "verifiableCredential": [token],
        }
        made: str = other_tokens.ask(
            "presentVcJwt",
            payload=presentation,
            holder=party(person),
            header={"kid": person.method},
            challenge=CHALLENGE,
            domain=DOMAIN,
        )
        return made

    made = presented_by(LEARNER.of(kind))
    assert (we_accept(made, asked), they_accept_presented(made, other_tokens)) == (True, True)
    assert not we_accept(made, Asked("another", (DOMAIN,)))
    assert not they_accept_presented(made, other_tokens, challenge="another")
    assert not we_accept(made, Asked(CHALLENGE, ("https://elsewhere.example",)))
    assert not they_accept_presented(made, other_tokens, domain="https://elsewhere.example")
    # VC Data Model 1.1 section 4.10 leaves it to the verifier whether the holder is the subject: FORMATS section 9.
    by_another = presented_by(STRANGER.of(kind))
    assert (we_accept(by_another, asked), they_accept_presented(by_another, other_tokens)) == (False, True)


# One fault each ----------------------------------------------------------------------------------------------


@dataclass
class Draft:
    """A token before it is signed; a fault changes one thing of it."""

    header: Json
    payload: Json
    issuer: Person
    sent: Callable[[str], str] = str
    spelled: bytes | None = None

    def text(self) -> str:
        return self.sent(signed(self.header, self.spelled or self.payload, self.issuer))

    @property
    def vc(self) -> Json:
        found: Json = self.payload["vc"]
        return found


def draft(kind: KeyKind) -> Draft:
    issuer = ISSUER.of(kind)
    subject = achieved("Data structures")
    return Draft(
        header={"alg": algorithm_of(kind), "typ": "JWT", "kid": issuer.method},
        payload={
            "iss": issuer.did,
            "sub": LEARNER.of(kind).did,
            "jti": "urn:uuid:00000000-0000-4000-8000-000000000001",
            "nbf": SECONDS - 10_000,
            "exp": SECONDS + 10_000,
            "vc": {"@context": CONTEXTS, "type": ["VerifiableCredential"], "credentialSubject": subject},
        },
        issuer=issuer,
    )


def _letter(part: int) -> Callable[[Draft], None]:
    def edit(text: str) -> str:
        parts = text.split(".")
        parts[part] = parts[part][:20] + ("A" if parts[part][20] != "A" else "B") + parts[part][21:]
        return ".".join(parts)

    return lambda d: setattr(d, "sent", edit)


def _sent(edit: Callable[[str], str]) -> Callable[[Draft], None]:
    return lambda d: setattr(d, "sent", edit)


def _without_bits(text: str) -> str:
    """The same signature, its last letter with bits that say nothing."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return text[:-1] + letters[letters.index(text[-1]) ^ 1]


def _unsigned(text: str) -> str:
    header = encode_base64url(b'{"alg":"none","typ":"JWT"}')
    return f"{header}.{text.split('.')[1]}."


def _twice(d: Draft) -> None:
    d.spelled = json.dumps(d.payload)[:-1].encode() + b',"sub":"did:example:another"}'


def _other_alg(d: Draft) -> None:
    d.header["alg"] = "ES256" if d.header["alg"] != "ES256" else "ES256K"


OURS, THEIRS = "ours", "theirs"
TIMES = "FORMATS section 9: the policy has no tolerance; theirs is 300 seconds"
ONE_MEANING = "VC Data Model 1.1 section 6.3.1: the claim stands for the member; where they differ theirs reads one of them"
FAULTS: dict[str, tuple[Callable[[Draft], object], Collection[str], str]] = {
    "nothing": (lambda _: None, {OURS, THEIRS}, ""),
    # The signature
    "another header": (_letter(0), (), ""),
    "another payload": (_letter(1), (), ""),
    "another signature": (_letter(2), (), ""),
    "alg none": (_sent(_unsigned), (), ""),
    "alg HS256": (lambda d: d.header.update(alg="HS256"), (), ""),
    "another algorithm": (_other_alg, (), ""),
    "no signature": (_sent(lambda text: text.rpartition(".")[0] + "."), (), ""),
    "a part too many": (_sent(lambda text: text + ".AAAA"), (), ""),
    "padding": (_sent(lambda text: text + "="), (), ""),
    "bits that say nothing": (_sent(_without_bits), (), ""),
    "signed by somebody else": (lambda d: setattr(d, "issuer", STRANGER.of(d.issuer.kind)), (), ""),
    "a critical extension": (lambda d: d.header.update(crit=["x"], x=1), {THEIRS}, "RFC 7515 section 4.1.11: one that is not understood makes the token invalid"),
    "another type of token": (lambda d: d.header.update(typ="at+jwt"), {THEIRS}, "RFC 8725 section 3.11: another kind of token is no credential"),
    "another key named": (lambda d: d.header.update(kid=STRANGER.of(d.issuer.kind).method), {THEIRS}, "VC Data Model 1.1 section 6.3.1: kid tells the key; theirs tries every key of iss"),
    # The claims
    "no issuer": (lambda d: d.payload.pop("iss"), (), ""),
    "an issuer that is no DID": (lambda d: d.payload.update(iss="the school"), (), ""),
    "expired": (lambda d: d.payload.update(exp=SECONDS - 400), (), ""),
    "expired for four minutes": (lambda d: d.payload.update(exp=SECONDS - 240), {THEIRS}, TIMES),
    "not yet valid": (lambda d: d.payload.update(nbf=SECONDS + 400), (), ""),
    "valid in four minutes": (lambda d: d.payload.update(nbf=SECONDS + 240), {THEIRS}, TIMES),
    "an end that is no number": (lambda d: d.payload.update(exp="tomorrow"), (), ""),
    "for somebody": (lambda d: d.payload.update(aud="https://elsewhere.example"), (), ""),
    "a claim twice": (_twice, {THEIRS}, "RFC 8725 section 2.4, FORMATS section 2: duplicates are refused"),
    # The credential
    "no credential": (lambda d: d.payload.pop("vc"), (), ""),
    "no subject": (lambda d: (d.payload.pop("sub"), d.vc.pop("credentialSubject")), (), ""),
    "not typed as a credential": (lambda d: d.vc.update(type=["Other"]), (), ""),
    "no base context": (lambda d: d.vc.update({"@context": CONTEXTS[1:]}), (), ""),
    "the base context second": (lambda d: d.vc.update({"@context": CONTEXTS[::-1]}), {THEIRS}, "VC Data Model 1.1 section 4.1: it is the first"),
    "a term that no context defines": (lambda d: d.vc.update(surprise="yes"), {THEIRS}, "VC Data Model 2.0 section 5.2, FORMATS section 2; 1.1 lets readers of plain JSON pass over it (section 6.1)"),
    "an id that is no URL": (lambda d: d.payload.update(jti="badge 7"), {THEIRS}, "VC Data Model 1.1 section 4.2: id is a URI"),
    "another issuer inside": (lambda d: d.vc.update(issuer=STRANGER.of(d.issuer.kind).did), {THEIRS}, ONE_MEANING),
    "another subject inside": (lambda d: d.vc["credentialSubject"].update(id=STRANGER.did), {THEIRS}, ONE_MEANING),
    "another end inside": (lambda d: d.vc.update(expirationDate="2040-01-01T00:00:00Z"), {THEIRS}, ONE_MEANING),
    "another id inside": (lambda d: d.vc.update(id="urn:uuid:00000000-0000-4000-8000-000000000002"), {THEIRS}, ONE_MEANING),
}  # fmt: skip


@by_kind
@pytest.mark.parametrize("fault", FAULTS)
def test_one_fault_is_refused_by_both_but_where_a_clause_decides(
    fault: str, kind: KeyKind, other_tokens: Any
) -> None:
    make, accepted_by, clause = FAULTS[fault]
    made = draft(kind)
    make(made)
    token = made.text()
    found = {OURS: we_accept(token), THEIRS: they_accept(token, other_tokens)}
    assert {name for name, accepted in found.items() if accepted} == set(accepted_by), clause


# By did:ethr, read from a chain by ethr-did-resolver and by us ----------------------------------------------


@dataclass(frozen=True)
class OnChain:
    """A key and how it is named: the secret, the DID, the fragment of its verification method."""

    secret: bytes
    did: str
    fragment: str
    alg: str = "ES256K"

    def issue(self, others: Any, moment: int) -> str:
        payload = {**credential(1, KeyKind.SECP256K1), "issuer": self.did, "issuanceDate": iso(moment - 100)}
        payload.pop("expirationDate", None)
        issuer = {"did": self.did, "alg": self.alg, "secret": self.secret.hex()}
        token: str = others.ask(
            "issueVcJwt", payload=payload, issuer=issuer, header={"kid": f"{self.did}#{self.fragment}"}
        )
        return token


def iso(moment: int) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass
class Registry:
    """The DID registry of a chain, written to block by block."""

    chain: RunningChain
    client: ChainClient

    @property
    def calls(self) -> DidRegistryCalls:
        return DidRegistryCalls(self.chain.deployments.did_registry)

    async def send(self, key: bytes, call: Any) -> None:
        fees = Fees(max_fee_per_gas=10**10, max_priority_fee_per_gas=10**9)
        nonce = await self.client.nonce(address_of(key))
        transactions = Transactions(self.client)
        sent = await transactions.sign(call, key, nonce=nonce, fees=fees, gas_limit=300_000)
        await self.client.send_raw(sent.raw)
        while await self.client.nonce(address_of(key)) == nonce:
            await self.client.request("evm_mine")

    async def now(self) -> int:
        return (await self.client.header()).timestamp

    async def proof(self, token: str, did: str, moment: int) -> Outcome:
        """What our engine says of the signature, with the document as we read it from the chain."""
        now = datetime.fromtimestamp(moment, UTC)
        endpoint = RegistryEndpoint(self.client, self.chain.deployments.did_registry)
        result = await resolve_did(did, now=now, registries={self.chain.chain_id: endpoint})
        answer = DocumentAnswer(result.document, True, "two endpoints")
        materials = Materials.none().extended({DocumentNeed(did): answer}, ())
        verifier = Verifier.of(STANDARDS, policy=ANY_ISSUER_UNSAFE, mode=Mode.CHAIN)
        report = engine.verify(read_intake(token.encode()), materials, verifier, now=now)
        assert report[CheckName.CONFORMANCE].outcome is Outcome.PASSED
        return report[CheckName.PROOF].outcome


@pytest.mark.anvil
async def test_credentials_by_did_ethr_are_judged_alike_as_its_keys_come_and_go(
    anvil: RunningChain, start_other_tokens: Any
) -> None:
    ethr = {
        "rpcUrl": anvil.url,
        "chainId": anvil.chain_id,
        "registry": "0x" + anvil.deployments.did_registry.hex(),
    }
    others = start_other_tokens(ethr=ethr)
    owner, another = anvil.new_key(), anvil.new_key()
    identity = address_of(owner)
    by_address = did_ethr(anvil.chain_id, identity)
    point = coincurve.PublicKey.from_secret(owner).format()
    by_key = f"did:ethr:{anvil.chain_id:#x}:0x{point.hex()}"
    delegate = Person(7, KeyKind.SECP256K1)
    multikey = Person(8)
    async with ChainClient(anvil.url) as client:
        registry = Registry(anvil, client)

        async def judged(key: OnChain) -> tuple[Outcome, bool]:
            moment = await registry.now()
            token = key.issue(others, moment)
            try:
                others.ask("verifyVcJwt", token=token, now=moment)
                theirs = True
            except RuntimeError:
                theirs = False
            return await registry.proof(token, key.did, moment), theirs

        controller_key = OnChain(owner, by_key, "controllerKey")
        attribute = OnChain(delegate.secret, by_address, "delegate-1")
        assert await judged(controller_key) == (Outcome.PASSED, True)
        assert await judged(attribute) == (Outcome.FAILED, False)

        listed = ("did/pub/Secp256k1/veriKey/hex", delegate.signer.public_key.raw)
        await registry.send(owner, registry.calls.set_attribute(identity, *listed, 10**7))
        assert await judged(attribute) == (Outcome.PASSED, True)
        assert await judged(replace(attribute, secret=another)) == (Outcome.FAILED, False)

        # RFC 8812 section 3.2: ES256K is verified with a public key. The method of an address holds none, and theirs
        # computes one from the signature.
        assert await judged(OnChain(owner, by_address, "controller")) == (Outcome.UNKNOWN, True)

        # Their document has a Multikey's bytes as publicKeyHex, where Controlled Identifiers section 2.2.2 asks for
        # publicKeyMultibase: they find no key, and try the others of the document.
        written = ("did/pub/Multikey/veriKey", multikey.signer.public_key.multicodec_bytes)
        await registry.send(owner, registry.calls.set_attribute(identity, *written, 10**7))
        by_multikey = OnChain(multikey.secret, by_address, "delegate-2", "EdDSA")
        assert await judged(by_multikey) == (Outcome.PASSED, False)

        await registry.send(owner, registry.calls.revoke_attribute(identity, *listed))
        assert await judged(attribute) == (Outcome.FAILED, False)

        await registry.send(owner, registry.calls.change_owner(identity, address_of(another)))
        assert await judged(controller_key) == (Outcome.FAILED, False)
