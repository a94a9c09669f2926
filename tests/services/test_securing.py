"""Every way to secure a credential, through the one seam: checked, signed by the key that fits, recorded, offered."""

from __future__ import annotations

import re
from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest
from fixtures.issuers import ALICE, BOB, URL, MakeCohort

from node.commands.issuer_issue import SECURINGS
from node.core.bundle import ShownDocument
from node.core.dataintegrity import proofs_of
from node.core.dataintegrity.ecdsa_sd_2023 import base_signature
from node.core.did.key import did_key_of
from node.core.envelope import read_envelope
from node.core.errors import Malformed, Misconfigured
from node.core.jose.sd_jwt import Path, select
from node.core.jose.sd_jwt_vc import ALWAYS_SHOWN
from node.core.keys import KeyKind, parse_multikey
from node.core.oid4vci.credential_request import CredentialRequest
from node.core.oid4vci.credential_response import Issued as Delivered
from node.core.oid4vci.key_proof import prepare_jwt_proof
from node.core.oid4vci.metadata import FORMATS, parse_issuer_metadata
from node.core.oid4vci.token import TokenRequest
from node.core.securing import BBS, DEFAULT_SECURING, ECDSA_SD, KINDS, SELECTIVE
from node.core.strict_json import JsonObject
from node.core.verify.disclosure import disclosure_of
from node.core.verify.intake import Shown
from node.core.verify.intake import shown as read_shown
from node.core.verify.reading import read_document
from node.keystore import encode_secret, generate_secret, signer_of
from node.services import bundles, configurations, issuance, offering, offers
from node.services.derivation import derive
from node.services.faults import InputFaults
from node.services.issuance import Issued
from node.services.issuer import Issuer
from node.services.offers import OfferDesk
from node.services.preparing import Terms, check_issuable, check_secured, throwaway_key
from node.services.securing import (
    always_shown,
    check_can_be_followed,
    claims_of,
    holder_key_of,
    issued_value,
    method_of,
    prepare,
    read_issued,
    securing_of,
)
from node.services.shapes import Shapes
from node.storage.protocols.issuer import IssuerKey, KeyRole, KeyState

ANCHORED = tuple(name for name in KINDS if name != BBS)
EVERY_KIND = (KeyKind.P256, KeyKind.P384, KeyKind.BLS12381_G2)


async def add_key(issuer: Issuer, kind: KeyKind, monkeypatch: pytest.MonkeyPatch, number: int) -> str:
    """An active assertion key, as it stands when the chain has taken it."""
    secret = generate_secret(kind)
    monkeypatch.setenv(f"TEST_KEY_{number}", encode_secret(kind, secret))
    multibase = signer_of(kind, secret).public_key.multibase
    method = f"{issuer.settings.did}#delegate-{number}"
    async with issuer.store.transaction() as transaction:
        await transaction.keys.add(
            IssuerKey(
                multibase,
                KeyRole.ASSERTION,
                f"env:TEST_KEY_{number}",
                method,
                number,
                KeyState.ACTIVE,
                number,
                None,
                issuer.clock(),
            )
        )
    return method


@pytest.fixture
async def versed(paper: Issuer, monkeypatch: pytest.MonkeyPatch) -> Issuer:
    """An issuer on paper with a key of every kind."""
    for number, kind in enumerate(EVERY_KIND, 2):
        await add_key(paper, kind, monkeypatch, number)
    return paper


async def issue(issuer: Issuer, make_cohort: MakeCohort, terms: Terms, **template: Any) -> list[Issued]:
    cohort = make_cohort(("s1", ALICE, "90"), **template)
    await issuance.issue(issuer, await issuance.plan(issuer, cohort, terms))
    return await issuance.results(issuer, cohort)


async def stored(issuer: Issuer, issued: Issued) -> bytes:
    async with issuer.store.reading() as reading:
        record = await reading.credentials.load(issued.credential_id)
    assert record is not None
    assert record.signed is not None
    return record.signed.document


async def issue_one(
    issuer: Issuer, make_cohort: MakeCohort, securing: str, **template: Any
) -> tuple[Issued, Shown]:
    (issued,) = await issue(issuer, make_cohort, Terms(securing), **template)
    return issued, read_issued(await stored(issuer, issued))


def test_the_command_line_knows_every_securing() -> None:
    assert tuple(KINDS) == SECURINGS
    assert SECURINGS[0] == DEFAULT_SECURING


# --- signed


@pytest.mark.parametrize("securing", ANCHORED)
async def test_what_is_issued_verifies_by_the_fitting_key_and_waits_for_its_anchor(
    versed: Issuer, make_cohort: MakeCohort, securing: str
) -> None:
    issued, shown = await issue_one(versed, make_cohort, securing)
    key = await versed.signing_key(kinds=KINDS[securing])
    document = await stored(versed, issued)
    assert securing_of(shown) == securing
    assert method_of(shown) == key.verification_method
    check_secured(versed, issued_value(document), parse_multikey(key.multibase))
    assert ShownDocument(shown.document, shown.envelope).digest(None) == issued.digest
    async with versed.store.reading() as reading:
        waiting = await reading.batches.load_waiting(10)
    assert [item.digest for item in waiting] == [issued.digest]


@pytest.mark.parametrize("securing", ANCHORED)
async def test_what_another_key_signed_does_not_verify(
    versed: Issuer, make_cohort: MakeCohort, securing: str
) -> None:
    issued, _ = await issue_one(versed, make_cohort, securing)
    kind = (await versed.signing_key(kinds=KINDS[securing])).signer.public_key.kind
    other = signer_of(kind, generate_secret(kind)).public_key
    with pytest.raises(Exception, match="signature"):
        check_secured(versed, issued_value(await stored(versed, issued)), other)


async def test_the_newest_of_the_fitting_keys_signs(
    versed: Issuer, make_cohort: MakeCohort, monkeypatch: pytest.MonkeyPatch
) -> None:
    newest = await add_key(versed, KeyKind.P256, monkeypatch, 5)
    for securing, expected in (("ecdsa-jcs-2019", newest), ("eddsa-jcs-2022", "#delegate-1")):
        _, shown = await issue_one(versed, make_cohort, securing, cohort=securing)
        assert method_of(shown).endswith(expected)


async def test_without_a_fitting_key_nothing_is_stored_and_the_remedy_is_said(
    paper: Issuer, make_cohort: MakeCohort
) -> None:
    with pytest.raises(
        Misconfigured, match=r"ecdsa-sd-2023 needs a P-256 key.*`issuer key add --kind P-256`"
    ):
        await issue(paper, make_cohort, Terms("ecdsa-sd-2023"))
    alone = replace(paper, settings=replace(paper.settings, identity=None, chain=None))
    with pytest.raises(
        Misconfigured, match=r"ecdsa-rdfc-2019 needs a P-256 or a P-384 key, .*--kind P-256 --dir"
    ):
        await issue(alone, make_cohort, Terms("ecdsa-rdfc-2019"))


def test_an_unknown_securing_is_refused() -> None:
    with pytest.raises(Misconfigured, match="ecdsa-2019"):
        Terms("ecdsa-2019")


async def test_digests_are_those_of_the_format(versed: Issuer, make_cohort: MakeCohort) -> None:
    issued, shown = await issue_one(versed, make_cohort, "dc+sd-jwt")
    assert shown.envelope is not None
    assert isinstance(shown.envelope.token, str)
    assert issued.digest == sha256(shown.envelope.token.partition("~")[0].encode()).digest()
    again, base = await issue_one(versed, make_cohort, "ecdsa-sd-2023", cohort="sd")
    derived = derive(base.document, [], versed.standards.canonicalizer)
    assert ShownDocument(derived).digest(None) == again.digest
    assert base_signature(proofs_of(derived)[0]) == base_signature(proofs_of(base.document)[0])


# --- shown in part


@pytest.mark.parametrize("securing", sorted(SELECTIVE - {BBS}))
@pytest.mark.parametrize(
    ("terms", "template", "lacking"),
    [
        ({"with_status": False}, {}, "needs a status entry, since .*: issue with --status"),
        ({}, {"validDays": None}, 'needs an end, since .*: give "validDays" or "validUntil"'),
    ],
)
async def test_what_could_be_hidden_must_be_there(
    versed: Issuer,
    make_cohort: MakeCohort,
    securing: str,
    terms: dict[str, Any],
    template: dict[str, Any],
    lacking: str,
) -> None:
    cohort = make_cohort(("s1", ALICE, "90"), ("s2", BOB, "70"), **template)
    with pytest.raises(InputFaults, match=lacking) as told:
        await issuance.plan(versed, cohort, Terms(securing, **terms))
    assert len(told.value.faults) == 1  # for all rows once


@pytest.mark.parametrize("securing", sorted(SELECTIVE - {BBS}))
@pytest.mark.parametrize("member", ["validUntil", "credentialStatus"])
async def test_a_document_of_its_own_needs_what_could_be_hidden(
    versed: Issuer, make_cohort: MakeCohort, securing: str, member: str
) -> None:
    _, shown = await issue_one(versed, make_cohort, DEFAULT_SECURING)
    document = {name: value for name, value in shown.document.items() if name not in ("proof", member)}
    with pytest.raises(Malformed, match=f"{re.escape(securing)} needs {member}"):
        check_issuable(versed, document, securing, throwaway_key(versed, KeyKind.P256))


async def test_the_least_that_a_base_proof_shows_still_tells_whether_it_holds(
    versed: Issuer, make_cohort: MakeCohort
) -> None:
    _, shown = await issue_one(versed, make_cohort, "ecdsa-sd-2023")
    canonicalizer = versed.standards.canonicalizer
    least = derive(shown.document, [], canonicalizer)
    assert least.keys() == ALWAYS_SHOWN - {"credentialSchema"} | {"credentialSubject", "proof"}
    assert least["credentialSubject"].keys() == {"id", "type"}
    read = read_document(least, canonicalizer, versed.standards.schemas)
    disclosure = disclosure_of(read, read.proofs, canonicalizer)
    assert disclosure.has_status
    assert disclosure.has_begin
    assert disclosure.has_end
    assert disclosure.has_subjects


@pytest.mark.parametrize(
    ("subjects", "always"),
    [
        ({"id": "urn:x:1"}, ("/credentialSubject/id",)),
        ({"type": ["AchievementSubject"]}, ()),
        (
            [{"id": "urn:x:1"}, {"type": ["AchievementSubject"]}, {"name": "x"}],
            ("/credentialSubject/0/id", "/credentialSubject/1/type", "/credentialSubject/2"),
        ),
        ([{"type": ["AchievementSubject"]}] * 2, ()),
        ([{"id": "urn:x:1"}], ()),
    ],
    ids=["one", "one without an id", "several", "several without ids", "one in an array, which others cannot follow"],
)  # fmt: skip
def test_that_a_subject_is_there_cannot_be_withheld(subjects: Any, always: tuple[str, ...]) -> None:
    document = {"issuer": "did:example:i", "credentialSubject": subjects}
    assert always_shown(document, ECDSA_SD) == ("/issuer", *always)
    assert always_shown(document, BBS) == ("/issuer",), "it would tell whose the credential is"


GEO = {"type": ["Address"], "geo": {"type": "GeoCoordinates", "latitude": 46.9, "longitude": 7.4}}


@pytest.mark.parametrize(
    ("pointer", "words"),
    [
        ("/evidence/0", "array of one"),
        ("/evidence/0/name", "array of one"),
        ("/place", "GeoCoordinates"),
        ("/place/address/geo/latitude", "GeoCoordinates"),
        ("/places/1", "GeoCoordinates"),
        ("/evidence", None),
        ("/places/0", None),
        ("/places/1/name", None),
    ],
)
def test_a_mandatory_pointer_that_other_wallets_cannot_follow_is_refused(
    pointer: str, words: str | None
) -> None:
    """ECDSA section 3.4.9: they compact the document before they follow the pointers."""
    document = {
        "evidence": [{"name": "x"}],
        "place": {"address": GEO},
        "places": [{"name": "y"}, {"name": "x", "address": GEO}],
    }
    if words is None:
        check_can_be_followed(pointer, document)
        return
    with pytest.raises(Malformed, match=words):
        check_can_be_followed(pointer, document)


@pytest.mark.parametrize("securing", [ECDSA_SD, BBS])
def test_nothing_is_signed_whose_mandatory_part_other_wallets_cannot_show(
    versed: Issuer, securing: str
) -> None:
    kind = KeyKind.P256 if securing == ECDSA_SD else KeyKind.BLS12381_G2
    document = {"issuer": {"id": "did:example:i", "address": GEO}}
    with pytest.raises(Malformed, match="GeoCoordinates"):
        prepare(versed, document, throwaway_key(versed, kind), securing, versed.clock())


async def test_mandatory_pointers_are_shown_whatever_the_holder_selects(
    versed: Issuer, make_cohort: MakeCohort
) -> None:
    pointers = ["/name", "/credentialSubject/achievement/name"]
    _, base = await issue_one(versed, make_cohort, "ecdsa-sd-2023", mandatoryPointers=pointers)
    least = derive(base.document, [], versed.standards.canonicalizer)
    assert least["name"] == "Python, first course"
    assert least["credentialSubject"]["achievement"]["name"] == "Python, first course"
    assert "description" not in least["credentialSubject"]["achievement"]
    for securing in ("vc+sd-jwt", "dc+sd-jwt"):
        _, token = await issue_one(versed, make_cohort, securing, mandatoryPointers=pointers, cohort=securing)
        assert token.envelope is not None
        shown = read_envelope(select(str(token.envelope.token), []))
        assert shown is not None
        subject = shown.document.get("credentialSubject", shown.document)
        assert subject["achievement"]["name"] == "Python, first course"
        assert "description" not in subject["achievement"]


@pytest.mark.parametrize("pointer", ["/credentialSubject/nothing", "/a~2"])
@pytest.mark.parametrize("securing", sorted(SELECTIVE - {BBS}))
async def test_a_mandatory_pointer_that_leads_nowhere_refuses_the_input(
    versed: Issuer, make_cohort: MakeCohort, securing: str, pointer: str
) -> None:
    with pytest.raises(InputFaults, match="JSON Pointer"):
        await issue(versed, make_cohort, Terms(securing), mandatoryPointers=[pointer])


def test_a_template_says_json_pointers_and_a_securing_that_exists(make_cohort: MakeCohort) -> None:
    for template, words in (
        ({"mandatoryPointers": [""]}, "begins with /"),
        ({"mandatoryPointers": [1]}, "begins with /"),
        ({"securing": "rsa"}, "must be one of"),
    ):
        with pytest.raises(InputFaults, match=words):
            make_cohort(("s1", ALICE, "90"), **template)


async def test_of_an_sd_jwt_what_decides_is_open_and_the_rest_is_the_holders_to_show(
    versed: Issuer, make_cohort: MakeCohort
) -> None:
    _, whole = await issue_one(versed, make_cohort, "vc+sd-jwt")
    assert whole.envelope is not None
    token = str(whole.envelope.token)
    least = read_envelope(select(token, []))
    assert least is not None
    assert least.document.keys() == ALWAYS_SHOWN - {"credentialSchema"} | {"credentialSubject"}
    assert least.document["credentialSubject"] == {"type": ["AchievementSubject"], "id": ALICE}
    chosen: list[Path] = [("credentialSubject", "achievement", "name"), ("credentialSubject", "result", 0)]
    shown = read_envelope(select(token, chosen))
    assert shown is not None
    subject = shown.document["credentialSubject"]
    assert subject["achievement"].keys() == {"id", "type", "name"}
    assert subject["result"][0]["value"] == "90"


async def test_an_sd_jwt_vc_says_claims_and_keeps_open_what_decides(
    versed: Issuer, make_cohort: MakeCohort
) -> None:
    _, whole = await issue_one(versed, make_cohort, "dc+sd-jwt")
    assert whole.envelope is not None
    claims = whole.document
    assert claims["vct"] == f"{URL}/vct/OpenBadgeCredential"
    assert claims["iss"] == versed.settings.did
    assert claims["sub"] == ALICE
    assert claims["exp"] - claims["nbf"] == 730 * 86400
    assert claims["achievement"]["name"] == "Python, first course"
    least = read_envelope(select(str(whole.envelope.token), []))
    assert least is not None
    assert least.document.keys() == {
        *("vct", "iss", "jti", "sub", "nbf", "exp", "cnf", "credentialStatus"),
    }


@pytest.mark.parametrize("securing", ["vc+sd-jwt", "dc+sd-jwt"])
async def test_an_sd_jwt_is_bound_to_the_key_of_its_subject(
    versed: Issuer, make_cohort: MakeCohort, securing: str
) -> None:
    _, shown = await issue_one(versed, make_cohort, securing)
    assert shown.envelope is not None
    assert shown.envelope.holder_key == parse_multikey(ALICE.removeprefix("did:key:"))


async def test_nobody_holds_the_key_of_an_sd_jwt_without_a_subject(
    versed: Issuer, make_cohort: MakeCohort
) -> None:
    cohort = make_cohort(("s1", "", "90"))
    terms = Terms("vc+sd-jwt", bearer=True)
    await issuance.issue(versed, await issuance.plan(versed, cohort, terms))
    (issued,) = await issuance.results(versed, cohort)
    shown = read_issued(await stored(versed, issued))
    assert shown.envelope is not None
    assert shown.envelope.holder_key is None


@pytest.mark.parametrize("subject", [{}, {"id": "did:web:a.example"}, {"id": 1}, [{"id": ALICE}]])
def test_only_a_did_that_holds_its_key_gives_one(subject: object) -> None:
    assert holder_key_of({"credentialSubject": subject}) is None


def test_members_of_credential_and_subject_never_share_a_claim() -> None:
    document: JsonObject = {
        "type": ["VerifiableCredential"],
        "issuer": "did:example:1",
        "name": "A",
        "credentialSubject": {"name": "B"},
    }
    for changed in ({}, {"name": 1, "credentialSubject": {"iss": "did:example:2"}}):
        with pytest.raises(Malformed, match="one name"):
            claims_of(document | changed, "https://a.example/vct/A")


# --- offered and bundled


async def test_metadata_offer_what_the_keys_can_sign(paper: Issuer, versed: Issuer) -> None:
    metadata = await offers.issuer_metadata(versed, URL)
    read = parse_issuer_metadata(metadata.to_json(), URL)
    assert {one.format for one in read.configurations.values()} == set(FORMATS)
    cose = read.configurations["OpenBadgeCredential.vc+cose"]
    assert cose.signing_algorithms == ("ES256", "ES384", "EdDSA")
    assert read.configurations["OpenBadgeCredential.ecdsa-sd-2023"].signing_algorithms == ("ecdsa-sd-2023",)
    assert read.configurations["OpenBadgeCredential.dc+sd-jwt"].vct == f"{URL}/vct/OpenBadgeCredential"
    assert not read.configurations["OpenBadgeCredentialBearer"].proof_types
    only_eddsa = configurations.offered({KeyKind.ED25519}, URL)
    assert not [name for name in only_eddsa if "ecdsa" in name or "bbs" in name]


@pytest.mark.parametrize("securing", ANCHORED)
async def test_an_offer_names_the_configuration_of_what_was_issued(
    versed: Issuer, make_cohort: MakeCohort, securing: str
) -> None:
    cohort = make_cohort(("s1", ALICE, "90"), ("s2", "", "80"))
    await issuance.issue(versed, await issuance.plan(versed, cohort, Terms(securing)))
    issued = await issuance.results(versed, cohort)
    desk = OfferDesk(versed, URL)
    made = await offering.offer(versed, issued, bearer=False)
    named = {(await desk.view(one.page.rpartition("/")[2])).offer.configuration_ids for one in made}
    expected = "" if securing == DEFAULT_SECURING else f".{securing}"
    assert named == {(f"OpenBadgeCredential{expected}",)}
    assert named <= {(name,) for name in (await offers.issuer_metadata(versed, URL)).configurations}


@pytest.mark.parametrize("securing", ["vc+jwt", "vc+cose", "ecdsa-sd-2023"])
async def test_a_claim_signs_in_the_form_that_was_intended(
    versed: Issuer, make_cohort: MakeCohort, securing: str
) -> None:
    cohort = make_cohort(("s1", "", "90"))
    await issuance.issue(versed, await issuance.plan(versed, cohort, Terms(securing)))
    (waiting,) = await issuance.results(versed, cohort)
    record = await issuance.sign_for(versed, waiting.credential_id, ALICE)
    assert record.signed is not None
    shown = read_issued(record.signed.document)
    assert securing_of(shown) == securing
    assert shown.document["credentialSubject"]["id"] == ALICE
    value = issued_value(record.signed.document)
    assert isinstance(value, str) is (securing == "vc+jwt")


@pytest.mark.parametrize("securing", ["vc+sd-jwt", "dc+sd-jwt", "vc+cose", "ecdsa-sd-2023"])
async def test_a_wallet_claims_with_its_key_and_the_token_is_bound_to_it(
    versed: Issuer, make_cohort: MakeCohort, securing: str
) -> None:
    cohort = make_cohort(("s1", "", "90"))
    await issuance.issue(versed, await issuance.plan(versed, cohort, Terms(securing)))
    (made,) = await offering.offer(versed, await issuance.results(versed, cohort), bearer=False)
    desk = OfferDesk(versed, URL)
    code = (await desk.view(made.page.rpartition("/")[2])).offer.pre_authorized_code or ""
    token = await desk.admit((await desk.redeem(TokenRequest(code))).access_token)
    holder = signer_of(KeyKind.P256, generate_secret(KeyKind.P256))
    prepared = prepare_jwt_proof(
        holder.public_key, credential_issuer=URL, nonce=await desk.new_nonce(), now=versed.clock()
    )
    proof = prepared.finish(holder.sign(prepared.message))
    request = CredentialRequest(f"OpenBadgeCredential.{securing}", None, "jwt", (proof,))
    answer = await desk.claim(token, request)
    assert isinstance(answer, Delivered)
    value = answer.items[0].credential
    assert isinstance(value, str) is securing.endswith("sd-jwt")
    claimed = read_shown(value)
    subject = claimed.document.get("credentialSubject", {"id": claimed.document.get("sub")})
    assert subject["id"] == did_key_of(holder.public_key)
    if claimed.envelope is not None and isinstance(value, str):
        assert claimed.envelope.holder_key == holder.public_key


@pytest.mark.parametrize("securing", ANCHORED)
async def test_the_bundle_of_an_issuer_without_a_chain_names_the_key(
    versed: Issuer, make_cohort: MakeCohort, securing: str
) -> None:
    issued, shown = await issue_one(versed, make_cohort, securing)
    assert issued.digest is not None
    alone = replace(versed, settings=replace(versed.settings, identity=None, chain=None))
    bundle = await bundles.load_bundle(alone, issued.digest)
    assert bundle is not None
    assert bundle.key is not None
    assert bundle.key.id == method_of(shown)
    assert bundle.belongs_to(ShownDocument(shown.document, shown.envelope))


async def test_no_stencil_is_cut_for_what_is_no_single_hash(versed: Issuer, make_cohort: MakeCohort) -> None:
    rows = [(f"s{number}", ALICE, str(number)) for number in range(30)]
    cohort = make_cohort(*rows)
    found = Shapes(versed, cohort.template, Terms("vc+jwt"), ("revocation",))
    for row in cohort.rows:
        found.judge(row)
    assert not found._met


async def test_ecdsa_of_many_rows_is_stencilled_and_still_verifies(
    versed: Issuer, make_cohort: MakeCohort
) -> None:
    cohort = make_cohort(*[(f"s{number}", ALICE, str(number)) for number in range(40)])
    plan = await issuance.plan(versed, cohort, Terms("ecdsa-jcs-2019"))
    assert plan.shapes._met
    await issuance.issue(versed, plan)
    key = await versed.signing_key(kinds=KINDS["ecdsa-jcs-2019"])
    for one in await issuance.results(versed, cohort):
        check_secured(versed, issued_value(await stored(versed, one)), key.signer.public_key)
