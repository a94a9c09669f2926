"""The base path `/suite`: what the interoperability suites of the W3C ask of issuers, holders and verifiers.

Each case here is one that a suite taught; the suites themselves are not part of the project.
"""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from click.testing import CliRunner
from fixtures.shown import FixedClock, World

from node.commands.verifier import verifier
from node.core.dataintegrity.bbs_binding import Binding, bind
from node.core.jose.jws import prepare_jws
from node.core.keys import KeyKind
from node.core.status.bitstring import Bitstring, decode_list
from node.core.verify.verifier import Standards
from node.services.suite.keys import SuiteKey, suite_keys
from node.storage.database import sqlite_url
from node.web.verifier import VerifierOptions, make_verifier_app

URL = "https://verifier.example"
V1 = "https://www.w3.org/2018/credentials/v1"
V2 = "https://www.w3.org/ns/credentials/v2"
SEED = bytes(range(32))
KEYS = suite_keys(SEED)
ED25519 = KEYS[KeyKind.ED25519]

Document = dict[str, Any]


class Suite:
    """A suite's client."""

    def __init__(self, client: TestClient[Any, Any], world: World) -> None:
        self.client = client
        self.world = world

    async def post(self, path: str, body: Any) -> tuple[int, Any]:
        async with self.client.post("/suite" + path, json=body) as answer:
            return answer.status, await answer.json()

    async def get(self, path: str) -> tuple[int, Any]:
        async with self.client.get(path.removeprefix(URL)) as answer:
            return answer.status, await answer.json()

    async def issue(self, document: Document, **options: Any) -> tuple[int, Any]:
        return await self.post("/credentials/issue", {"credential": document, "options": options})

    async def issued(self, document: Document, **options: Any) -> Document:
        status, body = await self.issue(document, **options)
        assert status == 201, body
        secured: Document = body["verifiableCredential"]
        return secured

    async def verify(self, document: Any) -> tuple[int, Any]:
        body = {"verifiableCredential": document, "options": {"checks": ["proof"], "anything": 1}}
        return await self.post("/credentials/verify", body)


@pytest.fixture
def database(tmp_path: Path, empty_database: Path) -> str:
    return sqlite_url(Path(shutil.copy(empty_database, tmp_path)))


def options(database: str, world: World, **more: Any) -> VerifierOptions:
    return VerifierOptions(URL, database, world.verifier(), clock=FixedClock(), **more)


@pytest.fixture
async def suite(database: str, standards: Standards) -> AsyncIterator[Suite]:
    world = World(standards)
    app = make_verifier_app(options(database, world, suite=True, suite_seed=SEED))
    async with TestClient(TestServer(app)) as client:
        yield Suite(client, world)


def credential(key: SuiteKey = ED25519, **changes: Any) -> Document:
    document = {
        "@context": [V2],
        "id": "urn:uuid:7a1c1f0e-34a2-4f0a-9d1e-2f1f4c6f7a11",
        "type": ["VerifiableCredential"],
        "issuer": key.did,
        "credentialSubject": {"id": "did:example:alice"},
    }
    return {name: value for name, value in {**document, **changes}.items() if value is not None}


# --- off by default


async def test_without_the_option_there_is_no_such_path(database: str, standards: Standards) -> None:
    world = World(standards)
    async with TestClient(TestServer(make_verifier_app(options(database, world)))) as client:
        for method, path in (("GET", ""), ("POST", "/credentials/verify"), ("POST", "/credentials/issue")):
            async with client.request(method, "/suite" + path, json={}) as answer:
                assert answer.status == 404, path


async def test_without_keys_it_verifies_and_issues_nothing(database: str, standards: Standards) -> None:
    world = World(standards)
    async with TestClient(TestServer(make_verifier_app(options(database, world, suite=True)))) as client:
        found = Suite(client, world)
        assert (await found.verify(world.badge()))[0] == 200
        assert (await found.issue(credential()))[0] == 404
        assert (await found.get("/suite"))[1]["implementations"][0]["issuers"] == []


# --- keys


def test_equal_seeds_give_equal_issuers_of_each_key_type() -> None:
    again, other = suite_keys(SEED), suite_keys(bytes(32))
    assert {kind: key.did for kind, key in KEYS.items()} == {kind: key.did for kind, key in again.items()}
    assert not {key.did for key in KEYS.values()} & {key.did for key in other.values()}


async def test_the_manifest_is_what_a_suite_reads(suite: Suite) -> None:
    status, manifest = await suite.get("/suite")
    assert status == 200
    (ours,) = manifest["implementations"]
    assert {one["id"] for one in ours["issuers"]} == {key.did for key in KEYS.values()}
    tags = {tag for one in ours["issuers"] for tag in one["tags"]}
    assert tags <= set(ours["verifiers"][0]["tags"])
    assert {"vc2.0", "eddsa-jcs-2022", "ecdsa-sd-2023", "bbs-2023", "EnvelopingProof"} <= tags


async def test_every_address_of_the_manifest_does_what_its_tags_say(suite: Suite) -> None:
    """Issue, derive where that is needed, verify: as each suite begins."""
    _, manifest = await suite.get("/suite")
    (ours,) = manifest["implementations"]
    for one in ours["issuers"]:
        for version in one["supports"]["vc"]:
            more: Document = {} if version == "2.0" else {"issuanceDate": "2026-01-01T00:00:00Z"}
            context = V2 if version == "2.0" else V1
            document = {**credential(issuer=one["id"], **more), "@context": [context]}
            body = {"credential": document, "options": one.get("options")}
            status, answer = await suite.post(one["endpoint"].removeprefix(URL + "/suite"), body)
            assert status == 201, (one, answer)
            issued = answer["verifiableCredential"]
            if {"ecdsa-sd-2023", "bbs-2023"} & set(one["tags"]):
                everything = {
                    "selectivePointers": ["/issuer", "/credentialSubject", *(f"/{n}" for n in more)]
                }
                request = {"verifiableCredential": issued, "options": everything}
                status, issued = await suite.post("/credentials/derive", request)
                assert status == 201, one
            assert (await suite.verify(issued))[0] == 200, one


# --- issuing


ISSUED = [
    (KeyKind.ED25519, "eddsa-rdfc-2022"),
    (KeyKind.ED25519, "eddsa-jcs-2022"),
    (KeyKind.P256, "ecdsa-rdfc-2019"),
    (KeyKind.P256, "ecdsa-jcs-2019"),
    (KeyKind.P384, "ecdsa-rdfc-2019"),
    (KeyKind.P384, "ecdsa-jcs-2019"),
]


@pytest.mark.parametrize(("kind", "cryptosuite"), ISSUED, ids=[f"{suite}-{kind}" for kind, suite in ISSUED])
async def test_what_is_issued_verifies(suite: Suite, kind: KeyKind, cryptosuite: str) -> None:
    issued = await suite.issued(credential(KEYS[kind]), cryptosuite=cryptosuite)
    proof = issued["proof"]
    assert (proof["type"], proof["cryptosuite"]) == ("DataIntegrityProof", cryptosuite)
    assert proof["verificationMethod"].startswith(issued["issuer"] + "#")
    status, body = await suite.verify(issued)
    assert (status, body["verified"], body["errors"]) == (200, True, [])


async def test_a_proof_that_stands_twice_in_a_set_does_no_harm(suite: Suite) -> None:
    """A suite makes its proof set so."""
    issued = await suite.issued(credential())
    twice = [issued["proof"], issued["proof"]]
    assert (await suite.verify({**issued, "proof": twice}))[0] == 200
    changed = {**issued["proof"], "proofPurpose": "authentication"}
    assert (await suite.verify({**issued, "proof": [issued["proof"], changed]}))[0] == 400


async def test_a_cryptosuite_in_the_path_is_that_of_requests_that_name_none(suite: Suite) -> None:
    """One of the suites writes into the options of its configuration, so that these had better be empty."""
    for options, expected in (
        ({}, "eddsa-jcs-2022"),
        ({"cryptosuite": "eddsa-rdfc-2022"}, "eddsa-rdfc-2022"),
    ):
        body = {"credential": credential(), "options": options}
        status, answer = await suite.post("/eddsa-jcs-2022/credentials/issue", body)
        assert (status, answer["verifiableCredential"]["proof"]["cryptosuite"]) == (201, expected)
    assert (await suite.post("/unknown-2000/credentials/issue", {"credential": credential()}))[0] == 400


@pytest.mark.parametrize("cryptosuite", [1, None, "unknown-2000", "ecdsa-rdfc-2019", "ecdsa-sd-2023"])
async def test_a_suite_that_is_not_the_keys_is_refused(suite: Suite, cryptosuite: Any) -> None:
    assert (await suite.issue(credential(), cryptosuite=cryptosuite))[0] == 400


async def test_a_credential_of_version_1_1_gets_the_context_of_its_proof(suite: Suite) -> None:
    document = {**credential(issuanceDate="2026-01-01T00:00:00Z"), "@context": [V1]}
    issued = await suite.issued(document)
    assert issued["@context"] == [V1, "https://w3id.org/security/data-integrity/v2"]
    assert (await suite.verify(issued))[0] == 200


async def test_an_id_is_only_given_where_there_is_none(suite: Suite) -> None:
    assert (await suite.issued(credential(id=None), credentialId="urn:uuid:1"))["id"] == "urn:uuid:1"
    assert "id" not in await suite.issued(credential(id=None))
    assert (await suite.issue(credential(), credentialId="urn:uuid:1"))[0] == 400


NOT_ISSUED = {
    "no context": {"@context": None},
    "a context that is a number": {"@context": 4},
    "no type": {"type": None},
    "another type": {"type": ["Something"]},
    "no issuer": {"issuer": None},
    "an issuer of somebody else's": {"issuer": "did:example:other"},
    "no subject": {"credentialSubject": None},
    "a subject that is a string": {"credentialSubject": "did:example:1234"},
    "a status without type": {"credentialStatus": {"id": "urn:uuid:2"}},
    "a term that nothing defines": {"somethingNew": "dropped by JSON-LD"},
    "a type that nothing defines": {"type": ["VerifiableCredential", "SomethingNew"]},
    "dates in the wrong order": {
        "validFrom": "2027-01-01T00:00:00Z",
        "validUntil": "2026-01-01T00:00:00Z",
    },
}


@pytest.mark.parametrize("changes", NOT_ISSUED.values(), ids=NOT_ISSUED)
async def test_what_does_not_conform_is_not_issued(suite: Suite, changes: Document) -> None:
    status, body = await suite.issue(credential(**changes))
    assert (status, body["verified"]) == (400, False)
    assert body["errors"]
    assert body["problemDetails"][0]["type"].startswith("https://")


async def test_a_related_resource_that_is_here_has_the_digest_given(suite: Suite) -> None:
    right = {"id": V2, "digestSRI": "sha384-l/HrjlBCNWyAX91hr6LFV2Y3heB5Tcr6IeE4/Tje8YyzYBM8IhqjHWiWpr8+ZbYU"}
    wrong = {"id": V2, "digestSRI": right["digestSRI"].replace("l/H", "l/h")}
    assert (await suite.issue(credential(relatedResource=right)))[0] == 201
    status, body = await suite.issue(credential(relatedResource=[wrong]))
    assert status == 400
    assert "section 5.3" in body["errors"][0]


@pytest.mark.parametrize("body", [{}, {"credential": 1}, {"credential": credential(), "options": 1}])
async def test_a_request_without_a_credential_or_with_odd_options_is_400(suite: Suite, body: Any) -> None:
    assert (await suite.post("/credentials/issue", body))[0] == 400


async def test_what_was_issued_can_be_looked_up_and_forgotten(suite: Suite) -> None:
    issued = await suite.issued(credential())
    path = "/suite/credentials/" + issued["id"]
    assert await suite.get(path) == (200, issued)
    async with suite.client.delete(path) as answer:
        assert answer.status == 202
    assert (await suite.get(path))[0] == 404


# --- verifying


async def test_a_failed_verification_is_400_with_the_body_of_any_other(suite: Suite) -> None:
    changed = await suite.issued(credential())
    changed["credentialSubject"]["id"] = "did:example:bob"
    status, body = await suite.verify(changed)
    assert (status, body["verified"]) == (400, False)
    assert body["errors"]
    assert body["problemDetails"][0]["type"] == "https://w3id.org/security#PROOF_VERIFICATION_ERROR"
    assert len(body["report"]["checks"]) == 16


PROBLEMS: dict[str, tuple[Callable[[Document], Any], str, str]] = {
    "changed": (
        lambda document: document["credentialSubject"].update(id="did:example:bob"),
        "PROOF_VERIFICATION_ERROR",
        "",
    ),
    "no proof": (lambda document: document.pop("proof"), "CRYPTOGRAPHIC_SECURITY_ERROR", "/proof"),
    "a term that nothing defines": (
        lambda document: document.update(new=1),
        "DATA_LOSS_DETECTION_ERROR",
        "",
    ),
    "no issuer": (lambda document: document.pop("issuer"), "MALFORMED_VALUE_ERROR", "/issuer"),
    "a proof that builds on a missing one": (
        lambda document: document["proof"].update(previousProof="urn:uuid:1"),
        "PROOF_VERIFICATION_ERROR",
        "/proof",
    ),
    "a time that is none": (
        lambda document: document["proof"].update(created="yesterday"),
        "MALFORMED_VALUE_ERROR",
        "/proof/created",
    ),
    "a suite that nobody knows": (
        lambda document: document["proof"].update(cryptosuite="unknown-2000"),
        "CRYPTOGRAPHIC_SECURITY_ERROR",
        "",
    ),
}


@pytest.mark.parametrize(("change", "title", "path"), PROBLEMS.values(), ids=PROBLEMS)
async def test_what_is_wrong_is_told_by_the_types_of_the_specifications(
    suite: Suite, change: Callable[[Document], Any], title: str, path: str
) -> None:
    issued = await suite.issued(credential())
    change(issued)
    status, body = await suite.verify(issued)
    first = body["problemDetails"][0]
    assert (status, first["title"], first.get("path", "")) == (400, title, path)
    assert first["type"].startswith(("https://www.w3.org/TR/", "https://w3id.org/security#"))
    assert body["errors"][0]
    told = [(one["type"], one["detail"]) for one in body["problemDetails"]]
    assert len(set(told)) == len(told)


async def test_a_suite_that_nobody_knows_is_named(suite: Suite) -> None:
    issued = await suite.issued(credential())
    issued["proof"]["cryptosuite"] = "unknown-2000"
    _, body = await suite.verify(issued)
    assert "unknown-2000" in body["errors"][0]
    assert "unknown-2000" in body["problemDetails"][0]["detail"]


@pytest.mark.parametrize("document", ["{}", 1, None, [], {}, {"type": ["NonconformingDocument"]}])
async def test_what_is_no_credential_is_400(suite: Suite, document: Any) -> None:
    status, body = await suite.verify(document)
    assert (status, body["verified"]) == (400, False)


@pytest.mark.parametrize("member", ["type", "verificationMethod", "proofPurpose", "proofValue"])
async def test_a_proof_that_lacks_a_member_is_400(suite: Suite, member: str) -> None:
    issued = await suite.issued(credential())
    del issued["proof"][member]
    assert (await suite.verify(issued))[0] == 400


async def test_a_specifications_vector_of_an_issuer_elsewhere_is_judged_by_its_proof_alone(
    suite: Suite, vectors: Path
) -> None:
    """Its issuer is at https://vc.example and its key a did:key, which says nothing of that issuer."""
    document = json.loads((vectors / "di-eddsa/Ed25519Signature2020/signedEdSig.json").read_bytes())
    assert document["issuer"] == "https://vc.example/issuers/5678"
    status, body = await suite.verify(document)
    assert (status, body["verified"]) == (200, True)
    async with suite.client.post("/credentials/verify", json={"verifiableCredential": document}) as answer:
        assert (await answer.json())["verified"] is False


ALONE = {
    "another subject": lambda document: document["credentialSubject"].update(id="did:example:other"),
    "another purpose": lambda document: document["proof"].update(proofPurpose="authentication"),
    "another key": lambda document: document["proof"].update(verificationMethod=ED25519.verification_method),
    "a key that cannot be told": lambda document: document["proof"].update(
        verificationMethod="https://vc.example/issuers/5678#key"
    ),
    "no proof": lambda document: document.pop("proof"),
    "another issuer, a did": lambda document: document.update(issuer=ED25519.did),
}


@pytest.mark.parametrize("change", ALONE.values(), ids=ALONE)
async def test_a_vector_that_was_changed_is_400(
    suite: Suite, vectors: Path, change: Callable[[Document], Any]
) -> None:
    document = json.loads((vectors / "di-eddsa/Ed25519Signature2020/signedEdSig.json").read_bytes())
    change(document)
    status, body = await suite.verify(document)
    assert (status, body["verified"]) == (400, False)


# --- selective disclosure

SUBJECT = {"id": "did:example:alice", "name": "Alice", "description": "Somebody"}
POINTERS = ["/issuer", "/credentialSubject/id"]
P256 = KEYS[KeyKind.P256]


def disclosable(key: SuiteKey = P256, **changes: Any) -> Document:
    contexts = [V2, "https://www.w3.org/ns/credentials/examples/v2"]
    return {**credential(key, credentialSubject=SUBJECT, **changes), "@context": contexts}


@pytest.mark.parametrize(
    ("kind", "cryptosuite"), [(KeyKind.P256, "ecdsa-sd-2023"), (KeyKind.BLS12381_G2, "bbs-2023")]
)
async def test_a_base_proof_is_refused_and_what_is_derived_from_it_verifies(
    suite: Suite, kind: KeyKind, cryptosuite: str
) -> None:
    base = await suite.issued(disclosable(KEYS[kind]), mandatoryPointers=POINTERS)
    assert base["proof"]["cryptosuite"] == cryptosuite
    assert (await suite.verify(base))[0] == 400
    request = {"verifiableCredential": base, "options": {"selectivePointers": ["/credentialSubject/name"]}}
    status, derived = await suite.post("/credentials/derive", request)
    assert (status, derived["credentialSubject"]) == (201, {"id": "did:example:alice", "name": "Alice"})
    assert (await suite.verify(derived))[0] == 200
    derived["credentialSubject"]["name"] = "Bob"
    assert (await suite.verify(derived))[0] == 400


async def test_deriving_answers_on_the_usual_path_too(suite: Suite) -> None:
    base = await suite.issued(disclosable(), mandatoryPointers=POINTERS)
    async with suite.client.post("/credentials/derive", json={"verifiableCredential": base}) as answer:
        assert answer.status == 201
        assert (await answer.json())["credentialSubject"] == {"id": "did:example:alice"}
    body = {"verifiableCredential": base, "options": {"other": 1}}
    async with suite.client.post("/credentials/derive", json=body) as answer:
        problem = await answer.json()
        assert (answer.status, problem["title"]) == (400, "UNKNOWN_OPTION_PROVIDED")


@pytest.mark.parametrize("pointers", ["/issuer", [1], ["issuer"], ["/nothing"], ["/issuer"] * 1001])
async def test_pointers_that_point_to_nothing_are_refused(suite: Suite, pointers: Any) -> None:
    assert (await suite.issue(disclosable(), mandatoryPointers=pointers))[0] == 400
    base = await suite.issued(disclosable(), mandatoryPointers=POINTERS)
    body = {"verifiableCredential": base, "options": {"selectivePointers": pointers}}
    status, answer = await suite.post("/credentials/derive", body)
    assert (status, answer["verified"]) == (400, False)


BOUND = {binding: bind(binding, bytes(range(32))) for binding in Binding}


def secrets_in(binding: Binding) -> Document:
    """The secrets of a holder as options write them."""
    holder = BOUND[binding].holder
    nym = None if holder.prover_nym is None else f"{holder.prover_nym:064x}"
    secret = None if holder.holder_secret is None else holder.holder_secret.hex()
    found = {
        "secretProverBlind": f"{holder.secret_prover_blind:064x}",
        "holderSecret": secret,
        "proverNym": nym,
    }
    return {name: value for name, value in found.items() if value is not None}


async def bound_badge(suite: Suite, binding: Binding, **more: Any) -> tuple[int, Any]:
    key = KEYS[KeyKind.BLS12381_G2]
    commitment = BOUND[binding].commitment_with_proof.hex()
    asked = {"featureOption": binding, "commitmentWithProof": commitment, "mandatoryPointers": ["/issuer"]}
    return await suite.issue(credential(key), **{**asked, **more})


@pytest.mark.parametrize("binding", Binding)
async def test_what_is_bound_to_secrets_is_derived_with_them_and_tells_its_verifier_a_name(
    suite: Suite, binding: Binding
) -> None:
    status, body = await bound_badge(suite, binding)
    assert status == 201
    base, names = body["verifiableCredential"], []
    for number in range(2):
        occasion = {"challenge": f"challenge {number}", "domain": "https://employer.example"}
        options = {**secrets_in(binding), **occasion, "selectivePointers": ["/credentialSubject"]}
        body = {"verifiableCredential": base, "options": options}
        async with suite.client.post("/credentials/derive", json=body) as answer:
            assert answer.status == 201
            derived = await answer.json()
        body = {"verifiableCredential": derived, "options": occasion}
        async with suite.client.post("/credentials/verify", json=body) as answer:
            found = await answer.json()
        assert found["verified"]
        assert found["report"]["holder_secret"]["domain"] == occasion["domain"]
        names.append(found["report"]["holder_secret"].get("pseudonym"))
    assert names[0] == names[1]
    assert (names[0] is not None) is binding.has_pseudonyms


async def test_without_an_occasion_a_proof_says_for_whom_its_name_is(suite: Suite) -> None:
    _, body = await bound_badge(suite, Binding.PSEUDONYM)
    options = {**secrets_in(Binding.PSEUDONYM), "selectivePointers": ["/credentialSubject"]}
    request = {"verifiableCredential": body["verifiableCredential"], "options": options}
    assert (await suite.post("/credentials/derive", request))[0] == 400
    options["verifierId"] = "https://employer.example"
    status, derived = await suite.post("/credentials/derive", request)
    assert status == 201
    assert (await suite.verify(derived))[0] == 200


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"featureOption": "pseudonym"}, "proof does not hold"),
        ({"featureOption": "holder_binding"}, "expected one of"),
        ({"featureOption": None}, "what a commitment is to"),
        ({"commitmentWithProof": "uAA"}, "lower-case hex"),
        ({"commitmentWithProof": ""}, "lower-case hex"),
    ],
    ids=str,
)
async def test_a_commitment_to_something_else_is_refused(suite: Suite, options: Document, words: str) -> None:
    status, body = await bound_badge(suite, Binding.HOLDER, **options)
    assert status == 400
    assert words in json.dumps(body)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"secretProverBlind": "00" * 32},
        {"holderSecret": "ab"},
        {"secretProverBlind": "xyz"},
        {"challenge": "one"},
        {"verifierId": 1},
        {"proverNym": "01" * 32},
    ],
    ids=str,
)
async def test_without_its_secrets_nothing_is_derived_from_a_bound_credential(
    suite: Suite, options: Document
) -> None:
    _, body = await bound_badge(suite, Binding.HOLDER)
    request = {"verifiableCredential": body["verifiableCredential"], "options": options}
    assert (await suite.post("/credentials/derive", request))[0] == 400
    async with suite.client.post("/credentials/derive", json=request) as answer:
        assert answer.status == 400


async def test_nothing_is_derived_from_other_proofs(suite: Suite) -> None:
    issued = await suite.issued(credential())
    for document in (issued, credential(), {}, 1):
        assert (await suite.post("/credentials/derive", {"verifiableCredential": document}))[0] == 400


async def test_a_document_that_does_not_conform_gets_no_base_proof(suite: Suite) -> None:
    for broken in (
        disclosable(validFrom="2027-01-01T00:00:00Z", validUntil="2026-01-01T00:00:00Z"),
        disclosable(issuer="did:example:other"),
        {**disclosable(), "@context": [V2], "somethingNew": 1},
    ):
        assert (await suite.issue(broken, cryptosuite="ecdsa-sd-2023"))[0] == 400


# --- tokens in envelopes


@pytest.mark.parametrize("form", ["vc+jwt", "vc+sd-jwt", "vc+cose"])
async def test_a_credential_is_issued_in_an_envelope(suite: Suite, form: str) -> None:
    issued = await suite.issued(credential(), proofFormat=form)
    assert (issued["type"], issued["@context"]) == ("EnvelopedVerifiableCredential", V2)
    assert issued["id"].startswith(f"data:application/{form}")
    assert (await suite.verify(issued))[0] == 200
    assert (await suite.issue(credential(credentialSubject=None), proofFormat=form))[0] == 400


ENVELOPE_FAULTS: dict[str, Document] = {
    "no context": {"@context": []},
    "another context": {"@context": "https://www.w3.org/ns/credentials/examples/v2"},
    "another type": {"type": "VerifiableCredential"},
    "an id that is no data URL": {"id": "eyJ.eyJ.eyJ"},
    "an id of another media type": {"id": "data:application/vc+sd-jwt,eyJ.eyJ.eyJ"},
}


@pytest.mark.parametrize("fault", ENVELOPE_FAULTS.values(), ids=ENVELOPE_FAULTS)
async def test_an_envelope_with_a_fault_is_400(suite: Suite, fault: Document) -> None:
    issued = await suite.issued(credential(), proofFormat="vc+jwt")
    assert (await suite.verify({**issued, **fault}))[0] == 400


async def test_a_presentation_is_signed_as_a_token(suite: Suite) -> None:
    held = await suite.issued(credential(), proofFormat="vc+jwt")
    asked = {"challenge": "abc", "domain": "employer.example"}
    unsigned = presentation([held], holder=ED25519.did)
    request = {"presentation": unsigned, "options": {**asked, "proofFormat": "vp+jwt"}}
    status, body = await suite.post("/presentations", request)
    shown = body["verifiablePresentation"]
    assert (status, shown["type"]) == (201, "EnvelopedVerifiablePresentation")
    for options, expected in ((asked, 200), ({**asked, "challenge": "other"}, 400)):
        body = {"verifiablePresentation": shown, "options": options}
        assert (await suite.post("/presentations/verify", body))[0] == expected, options


def drafts_presentation() -> Document:
    """As the suite for the data model has one: of the type application/jwt, an array of arrays in its claim `vp`."""
    key = ED25519.signer
    held = {"@context": V2, "type": "EnvelopedVerifiableCredential", "id": "data:application/jwt,x"}
    claim = {"@context": [V2], "type": ["VerifiablePresentation"], "verifiableCredential": [[held]]}
    header = {"alg": "EdDSA", "typ": "JWT", "kid": ED25519.verification_method}
    prepared = prepare_jws(header, {"iss": ED25519.did, "nonce": "123", "vp": claim})
    token = prepared.finish(key.sign(prepared.message))
    return {
        "@context": V2,
        "type": "EnvelopedVerifiablePresentation",
        "id": f"data:application/jwt,{token}",
    }


async def test_an_envelope_of_a_draft_is_judged_by_its_signature_alone(suite: Suite) -> None:
    sound = drafts_presentation()
    for options, expected in (({"challenge": "123"}, 200), ({}, 200), ({"challenge": "other"}, 400)):
        body = {"verifiablePresentation": sound, "options": options}
        assert (await suite.post("/presentations/verify", body))[0] == expected, options
    changed = sound["id"][:-2] + ("AA" if not sound["id"].endswith("AA") else "QQ")
    faults: list[Document] = [
        {"@context": []},
        {"type": ["VerifiablePresentation"]},
        {"id": changed},
        {"id": "eyJ"},
    ]
    for fault in faults:
        body = {"verifiablePresentation": {**sound, **fault}}
        assert (await suite.post("/presentations/verify", body))[0] == 400, fault
    async with suite.client.post("/presentations/verify", json={"presentation": sound}) as answer:
        assert answer.status == 400


# --- concessions to the suites


CONCEDED: dict[str, Document] = {
    "digestSRI of an earlier edition": {
        "relatedResource": {
            "id": V2,
            "digestSRI": "sha384-NSOcNpmdIVUxIJGvGUoe22FjTWrXiaXlsZ8q6912LdnR3KraQO2n75Ica4wK4Qeg",
        }
    },
    "digestMultibase without a multihash": {
        "relatedResource": [{"id": V2, "digestMultibase": "uJKGMkOmFbVJhEfKTduMC2XCyvRAYLjOVmZWwIH1wQ7k"}]
    },
}


@pytest.mark.parametrize("changes", CONCEDED.values(), ids=CONCEDED)
async def test_a_digest_of_the_context_as_it_was_is_conceded(suite: Suite, changes: Document) -> None:
    issued = await suite.issued(credential(**changes))
    assert issued["relatedResource"] == changes["relatedResource"]
    assert (await suite.verify(issued))[0] == 200
    issued["credentialSubject"]["id"] = "did:example:bob"
    assert (await suite.verify(issued))[0] == 400


async def test_what_is_conceded_must_be_signed_by_its_issuer(suite: Suite) -> None:
    changes = CONCEDED["digestSRI of an earlier edition"]
    other = suite.world.stranger.secure(suite.world.standards, credential(**changes))
    assert (await suite.verify(other))[0] == 400


@pytest.mark.parametrize("changes", CONCEDED.values(), ids=CONCEDED)
async def test_nothing_is_conceded_on_the_usual_path(suite: Suite, changes: Document) -> None:
    issued = await suite.issued(credential(**changes))
    async with suite.client.post("/credentials/verify", json={"verifiableCredential": issued}) as answer:
        body = await answer.json()
    assert body["verified"] is False
    assert body["problemDetails"][0]["title"] == "MALFORMED_VALUE_ERROR"


@pytest.mark.parametrize(
    "digest",
    [{"digestSRI": "sha384-_rCVIV7fSX"}, {"digestMultibase": "uM4RgWQc3RUDtjJCSgTJtTfvpZ7SPEg_LNO0ESlovQC0"}],
)
async def test_other_digests_are_not_conceded(suite: Suite, digest: Document) -> None:
    assert (await suite.issue(credential(relatedResource=[{"id": V2, **digest}])))[0] == 400
    elsewhere = {"id": "urn:uuid:1", **CONCEDED["digestMultibase without a multihash"]["relatedResource"][0]}
    elsewhere["id"] = "urn:uuid:1"
    assert (await suite.issue(credential(relatedResource=elsewhere)))[0] == 400


def messages(count: int) -> list[Document]:
    return [{"status": hex(value), "message": f"number {value}"} for value in range(count)]


@pytest.mark.parametrize(
    ("size", "count", "status"), [(2, 4, 201), (2, 2, 201), (2, 3, 400), (3, 3, 201), (1, 1, 400)]
)
async def test_messages_are_one_for_each_value_or_as_the_suite_counts_for_each_bit(
    suite: Suite, size: int, count: int, status: int
) -> None:
    entry = {"statusPurpose": "message", "statusSize": size, "statusMessage": messages(count)}
    answered, body = await suite.issue(credential(), credentialStatus=entry)
    assert answered == status
    if status == 201:
        issued = body["verifiableCredential"]
        assert len(issued["credentialStatus"]["statusMessage"]) == count
        assert (await suite.verify(issued))[0] == 200


# --- presentations


def presentation(held: list[Document], **changes: Any) -> Document:
    return {
        "@context": [V2],
        "type": ["VerifiablePresentation"],
        "verifiableCredential": held,
        **changes,
    }


async def test_a_presentation_is_signed_and_verified_for_its_challenge(suite: Suite) -> None:
    held = await suite.issued(credential())
    asked = {"challenge": "abc", "domain": "employer.example"}
    unsigned = presentation([held], holder=ED25519.did)
    status, body = await suite.post("/presentations", {"presentation": unsigned, "options": asked})
    assert status == 201
    shown = body["verifiablePresentation"]
    assert shown["proof"]["proofPurpose"] == "authentication"
    for options, expected in (
        (asked, 200),
        ({**asked, "challenge": "other"}, 400),
        ({**asked, "domain": "other.example"}, 400),
    ):
        body = {"verifiablePresentation": shown, "options": options}
        assert (await suite.post("/presentations/verify", body))[0] == expected, options


async def test_a_presentation_need_not_be_its_subjects_but_its_proofs_must_hold(suite: Suite) -> None:
    """The suites' presentations are signed by a key that is nobody's in the credentials."""
    held = await suite.issued(credential())
    world, asked = suite.world, {"challenge": "abc", "domain": "employer.example"}
    shown = world.holder.present(world.standards, [held], "abc", "employer.example")
    body = {"verifiablePresentation": shown, "options": asked}
    assert (await suite.post("/presentations/verify", body))[0] == 200

    inner = copy.deepcopy(held)
    inner["credentialSubject"]["id"] = "did:example:bob"
    shown = world.holder.present(world.standards, [inner], "abc", "employer.example")
    body = {"verifiablePresentation": shown, "options": asked}
    assert (await suite.post("/presentations/verify", body))[0] == 400


@pytest.mark.parametrize(
    ("changes", "options"),
    [
        ({"holder": "did:example:other"}, {}),
        ({"holder": KEYS[KeyKind.BLS12381_G2].did}, {}),
        ({"type": ["Other"]}, {}),
        ({}, {"proofFormat": "vp+jwt", "domain": ["a"]}),
        ({}, {"challenge": 1}),
    ],
)
async def test_a_presentation_that_cannot_be_made_is_400(
    suite: Suite, changes: Document, options: Document
) -> None:
    unsigned = {**presentation([]), **changes}
    assert (await suite.post("/presentations", {"presentation": unsigned, "options": options}))[0] == 400


async def test_the_same_presentation_is_not_verified_on_the_usual_path(suite: Suite) -> None:
    held = await suite.issued(credential())
    world = suite.world
    shown = world.holder.present(world.standards, [held], "abc", "employer.example")
    body = {
        "verifiablePresentation": shown,
        "options": {"challenge": "abc", "domain": "employer.example"},
    }
    async with suite.client.post("/presentations/verify", json=body) as answer:
        assert (answer.status, (await answer.json())["verified"]) == (200, False)


async def test_a_presentation_without_credentials_rests_on_its_own_proof(suite: Suite) -> None:
    asked = {"challenge": "abc", "domain": "employer.example"}
    empty = {"@context": [V2], "type": ["VerifiablePresentation"]}
    _, made = await suite.post("/presentations", {"presentation": empty, "options": asked})
    shown = made["verifiablePresentation"]
    body = {"verifiablePresentation": shown, "options": asked}
    assert (await suite.post("/presentations/verify", body))[0] == 200
    shown["proof"]["proofValue"] = "z5nmMBw2u9TGKd9NxxHJtyZKgjN2Eh"
    assert (await suite.post("/presentations/verify", body))[0] == 400
    unsigned = {"verifiablePresentation": empty, "options": asked}
    assert (await suite.post("/presentations/verify", unsigned))[0] == 400


# --- status


async def test_an_issuer_gives_a_status_entry_where_it_is_asked_to(suite: Suite) -> None:
    issued = await suite.issued(credential(), credentialStatus={"statusPurpose": "revocation"})
    entry = issued["credentialStatus"]
    assert (entry["type"], entry["statusPurpose"]) == ("BitstringStatusListEntry", "revocation")
    status, listed = await suite.get(entry["statusListCredential"])
    assert status == 200
    assert listed["id"] == entry["statusListCredential"]
    assert (await suite.verify(listed))[0] == 200
    assert ones(decode_list(listed["credentialSubject"]["encodedList"])) == 0


def ones(bits: Bitstring) -> int:
    return int.from_bytes(bytes(bits), "big").bit_count()


STATUS_REQUESTS = {
    "as VCALM has it": {"credentialStatus": {"statusPurpose": "revocation"}, "status": True},
    "as its predecessor had it": {"credentialStatus": [{"statusPurpose": "revocation", "status": "1"}]},
}


@pytest.mark.parametrize("request_", STATUS_REQUESTS.values(), ids=STATUS_REQUESTS)
async def test_a_status_is_set(suite: Suite, request_: Document) -> None:
    issued = await suite.issued(credential(), credentialStatus={"statusPurpose": "revocation"})
    entry = issued["credentialStatus"]
    assert (await suite.post("/credentials/status", {"credentialId": issued["id"], **request_}))[0] == 200
    _, listed = await suite.get(entry["statusListCredential"])
    bits = decode_list(listed["credentialSubject"]["encodedList"])
    assert (bits.get(int(entry["statusListIndex"])), ones(bits)) == (1, 1)


async def test_the_status_of_a_credential_in_an_envelope_is_set(suite: Suite) -> None:
    entry = {"statusPurpose": "suspension"}
    await suite.issued(credential(), proofFormat="vc+jwt", credentialStatus=entry)
    body = {"credentialId": credential()["id"], "credentialStatus": entry, "status": True}
    assert (await suite.post("/credentials/status", body))[0] == 200
    _, listed = await suite.get("/suite/status-lists/suspension-1")
    assert ones(decode_list(listed["credentialSubject"]["encodedList"])) == 1


async def test_a_list_of_somebody_else_is_not_written(suite: Suite) -> None:
    await suite.post("/status-lists", {"statusPurpose": "revocation"})
    entry = {
        "type": "BitstringStatusListEntry",
        "statusPurpose": "revocation",
        "statusListIndex": "1",
        "statusListCredential": "https://school.example/suite/status-lists/revocation-1",
    }
    issued = await suite.issued(credential(credentialStatus=entry))
    body = {"credentialId": issued["id"], "credentialStatus": entry, "status": True}
    assert (await suite.post("/credentials/status", body))[0] == 404


@pytest.mark.parametrize(
    "wanted",
    [
        1,
        [],
        [1],
        [{}] * 5,
        {"statusPurpose": 1},
        {"statusPurpose": "a/b"},
        {"statusPurpose": "é"},
        {"statusPurpose": "a" * 33},
        {"statusSize": 0},
        {"statusSize": 9},
        {"statusSize": True},
        {"statusSize": 2},
    ],
)
async def test_entries_that_cannot_be_made_are_refused(suite: Suite, wanted: Any) -> None:
    assert (await suite.issue(credential(), credentialStatus=wanted))[0] == 400


async def test_a_status_of_something_unknown_is_not_set(suite: Suite) -> None:
    issued = await suite.issued(credential())
    entry = {"statusPurpose": "revocation"}
    for body, expected in (
        ({"credentialId": "urn:uuid:none", "credentialStatus": entry, "status": True}, 404),
        ({"credentialId": issued["id"], "credentialStatus": entry, "status": True}, 404),
        ({"credentialStatus": entry, "status": True}, 400),
        ({"credentialId": issued["id"], "status": True}, 400),
        ({"credentialId": issued["id"], "credentialStatus": entry}, 400),
        ({"credentialId": issued["id"], "credentialStatus": entry, "status": "yes"}, 400),
    ):
        assert (await suite.post("/credentials/status", body))[0] == expected, body


async def test_a_status_list_is_opened(suite: Suite) -> None:
    status, body = await suite.post("/status-lists", {"statusPurpose": "suspension"})
    assert status == 201
    status, listed = await suite.get(body["id"])
    assert (status, listed["credentialSubject"]["statusPurpose"]) == (200, "suspension")
    assert (await suite.post("/status-lists", {"statusPurpose": "../x"}))[0] == 400
    assert (await suite.get("/suite/status-lists/none"))[0] == 404


# --- the command


@pytest.mark.parametrize(
    ("arguments", "is_there", "issues"),
    [([], False, False), (["--suite"], True, False), (["--suite-keys", "seed"], True, True)],
)
def test_the_command_serves_it_where_it_is_asked_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], is_there: bool, issues: bool
) -> None:
    made: list[web.Application] = []
    monkeypatch.setattr("node.web.serve.run_app", lambda app, *_, **__: made.append(app(URL)))
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(verifier, ["serve", "--dir", "data", *arguments])
    assert result.exit_code == 0, result.output
    (app,) = made
    paths = {route.resource.canonical for route in app.router.routes() if route.resource is not None}
    assert ("/suite/credentials/verify" in paths) is is_there
    assert ("/suite/credentials/issue" in paths) is issues
    assert (tmp_path / "seed").exists() is issues
