"""bbs-2023: every published credential value by value, and what a holder or a thief may try with a proof."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from functools import reduce
from pathlib import Path
from typing import Any

import pytest
from fixtures.published import published_canonicalizer
from hypothesis import example, given, settings
from hypothesis import strategies as st

from node.core import problem
from node.core.bbs.blind import BLIND_BBS, PSEUDONYM_BBS, Commitment, commit
from node.core.bbs.interface import RandomScalars, expand_message, seeded_scalars
from node.core.bbs.request import SigningRequest, sign_request
from node.core.bbs.signatures import BBS, key_gen, public_key_of
from node.core.bls12381 import ORDER
from node.core.cbor import decode_cbor, encode_cbor
from node.core.dataintegrity import (
    Disclosure,
    bbs_2023,
    derive_proof,
    parse_proof,
    prepare_proof,
    proofs_of,
    selective_suite_of,
    signs_rdf,
    unsecured,
    verify_proof,
)
from node.core.dataintegrity.bbs_2023 import (
    BaseHashData,
    Bbs2023,
    BbsDisclosure,
    BoundHolder,
    DerivedProof,
    Feature,
    encode_base_proof,
    encode_derived_proof,
    parse_base_proof,
    parse_derived_proof,
    presentation_header_of,
    shuffled_labels,
)
from node.core.dataintegrity.selective import (
    Grouping,
    given_labels,
    label_statements,
    mandatory_statements,
    parse_pointer,
    select,
)
from node.core.encoding import decode_multibase, encode_multibase
from node.core.errors import BonafidesError, Malformed, NotVerified, Unavailable
from node.core.keys import KeyKind, PublicKey, parse_multikey

Document = dict[str, Any]
CANONICALIZER = published_canonicalizer()
SUITE = Bbs2023()
V2 = "https://www.w3.org/ns/credentials/v2"


def load(path: Path) -> Any:
    return json.loads(path.read_text("utf-8"))


# Published vectors ------------------------------------------------------------------------------------------

LICENSE = tuple(f"FeatureInputs/license{part}" for part in ("", "Mandatory", "Selective"))
FOLDERS = {
    ".": ("windDoc", "windMandatory", "windSelective"),
    "prc": ("prCredUnsigned", "prCredMandatory", "prCredSelective"),
    "HolderBinding": LICENSE,
    "Pseudonym": LICENSE,
    "PseudonymHB": LICENSE,
}


class Published:
    """One credential of the W3C's vectors with its steps."""

    def __init__(self, vectors: Path, name: str) -> None:
        base = vectors / "di-bbs"
        self.name, self.folder = name, base / name
        document, mandatory, selective = FOLDERS[name]
        self.input = load(base / f"{document}.json")
        self.mandatory = tuple(load(base / f"{mandatory}.json"))
        self.selective = tuple(load(base / f"{selective}.json"))
        keys, derive = load(base / "BBSKeyMaterial.json"), load(base / "BBSDeriveMaterial.json")
        self.secret_key = int(keys["privateKeyHex"], 16)
        self.issuer_key = PublicKey(KeyKind.BLS12381_G2, bytes.fromhex(keys["publicKeyHex"]))
        self.hmac_key = bytes.fromhex(keys["hmacKeyString"])
        self.presentation_header = bytes.fromhex(derive["presentationHeaderHex"])
        self.seed = bytes.fromhex(derive["pseudoRandSeedHex"])
        self.signed = self("addSignedSDBase")
        self.document = unsecured(self.signed)
        self.shown = self("derivedRevealDocument")
        inputs = {path.stem: load(path) for path in (base / "FeatureInputs").iterdir()}
        self.nym_domain = None
        self.holder = self.commitment = self.entropy = None
        if name not in (".", "prc"):
            with_nym, bound = name != "HolderBinding", name != "Pseudonym"
            made = self("commitmentInfo")
            self.commitment = Commitment(
                bytes.fromhex(made["commitmentWithProof"]), int(made["secretProverBlind"], 16)
            )
            if with_nym:
                self.nym_domain = inputs["verifierInfo"]["verifierId"].encode()
                self.entropy = bytes.fromhex(inputs["signerNymEntropy"]["signerNymEntropyHex"])
            self.holder = BoundHolder(
                secret_prover_blind=self.commitment.secret_prover_blind,
                holder_secret=bytes.fromhex(inputs["holderSecret"]["holderSecretHex"]) if bound else None,
                prover_nym=int(inputs["proverNym"]["proverNymHex"], 16) if with_nym else None,
                nym_domain=self.nym_domain,
            )

    def __call__(self, name: str) -> Any:
        return load(self.folder / f"{name}.json")

    @property
    def disclosure(self) -> BbsDisclosure:
        return BbsDisclosure(
            self.mandatory,
            self.hmac_key,
            public_key=self.issuer_key,
            commitment_with_proof=self.commitment.commitment_with_proof if self.commitment else b"",
            signer_nym_entropy=self.entropy or b"",
        )

    def grouping(self) -> Grouping:
        return Grouping(self.document, shuffled_labels(self.hmac_key), CANONICALIZER)

    def mocked(self, *_: object) -> RandomScalars:
        """The random scalars that the vectors were made with."""
        interface = BBS if self.commitment is None else PSEUDONYM_BBS if self.entropy else BLIND_BBS

        def scalars(count: int) -> list[int]:
            data = expand_message(self.seed, interface.api_id, 48 * count)
            return [int.from_bytes(data[48 * i : 48 * (i + 1)], "big") % ORDER for i in range(count)]

        return scalars


@pytest.fixture(params=FOLDERS)
def published(vectors: Path, request: pytest.FixtureRequest) -> Published:
    return Published(vectors, request.param)


def test_published_statements_labels_and_groups(published: Published) -> None:
    assert CANONICALIZER.nquads(published.document) == "".join(published("addBaseDocCanon"))
    grouping = published.grouping()
    labelled = published("addBaseDocHMACCanon")
    assert list(grouping.statements) == labelled
    base, groups = published("addBaseTransform"), published("derivedGroupIndexes")
    combined = published.mandatory + published.selective
    mandatory = grouping.indexes(published.mandatory)
    assert [[index, labelled[index]] for index in mandatory] == base["mandatory"]["value"]
    others = [index for index in range(len(labelled)) if index not in mandatory]
    assert [[index, labelled[index]] for index in others] == base["nonMandatory"]["value"]
    assert others == groups["nonMandatoryIndexes"]
    assert list(mandatory) == groups["mandatoryIndexes"]
    assert list(grouping.indexes(published.selective)) == groups["selectiveIndexes"]
    assert list(grouping.indexes(combined)) == groups["combinedIndexes"]
    if published.name != ".":
        detail = published("derivedAllGroupData")
        assert sorted(detail["nquads"]) == sorted(labelled)
        assert sorted(label for _, label in detail["labelMap"]["value"]) == sorted(grouping.labels_in_order())
        parts = {"mandatory": published.mandatory, "selective": published.selective, "combined": combined}
        for name, pointers in parts.items():
            matching = [[index, labelled[index]] for index in grouping.indexes(pointers)]
            assert matching == detail["groups"][name]["matching"]["value"]


def test_published_selection_of_pointers(published: Published) -> None:
    # The windsurfer's pointers are written as within credentialSubject.
    within = published.document["credentialSubject"] if published.name == "." else published.document
    for entry in published("addPointerValues") if published.name in (".", "prc") else ():
        path = parse_pointer(entry["pointer"], within)
        assert reduce(lambda value, step: value[step], path, within) == entry["value"]
    combined = published.mandatory + published.selective
    assert select(combined, published.document) == published("derivedUnsignedReveal")


def test_published_base_proof_with_its_intermediate_values(published: Published) -> None:
    config = published("addProofConfig")
    canonical_config = (published.folder / "addProofConfigCanon.txt").read_text("utf-8")
    assert CANONICALIZER.nquads(config) == canonical_config
    options = {name: value for name, value in config.items() if name != "@context"}
    prepared = prepare_proof(published.document, options, CANONICALIZER, disclosure=published.disclosure)
    data = prepared.data
    assert isinstance(data, BaseHashData)
    hashes = published("addHashData")
    assert (data.proof_hash.hex(), data.mandatory_hash.hex()) == (
        hashes["proofHash"],
        hashes["mandatoryHash"],
    )
    signature = sign_request(published.secret_key, prepared.message)
    raw = published("addRawBaseSignatureInfo")
    assert signature.hex() == raw["bbsSignature"]
    assert list(published.mandatory) == raw["mandatoryPointers"]
    finished = prepared.finish(signature)
    assert finished["proof"][0] == published.signed["proof"]
    assert unsecured(finished) == unsecured(published.signed)


def test_a_published_base_proof_is_read_and_its_holder_verifies_it(published: Published) -> None:
    proof = proofs_of(published.signed)[0]
    base = parse_base_proof(proof)
    recovered = published("derivedRecoveredBaseData")
    assert base.bbs_signature.hex() == recovered["bbsSignature"]
    assert base.hmac_key == published.hmac_key
    assert base.public_key == published.issuer_key.raw
    assert list(base.mandatory_pointers) == recovered["mandatoryPointers"]
    if published.entropy:
        assert base.signer_nym_entropy == int.from_bytes(published.entropy, "big")
    assert encode_base_proof(base) == proof.proof_value
    SUITE.verify_base(published.document, proof, published.issuer_key, CANONICALIZER, holder=published.holder)


def test_a_published_derived_proof_is_derived_value_by_value(
    published: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bbs_2023, "seeded_scalars", published.mocked)
    shown = SUITE.derive(
        published.document,
        proofs_of(published.signed)[0],
        published.selective,
        CANONICALIZER,
        presentation_header=published.presentation_header,
        entropy=bytes(32),
        holder=published.holder,
    )
    derived, expected = parse_derived_proof(proofs_of(shown)[0]), published("derivedDisclosureData")
    adjusted = published("derivedAdjIndexes")
    assert derived.bbs_proof.hex() == expected["bbsProof"]
    assert [[key, label] for key, label in derived.labels.items()] == expected["labelMap"]["value"]
    assert list(derived.mandatory_indexes) == adjusted["adjMandatoryIndexes"] == expected["mandatoryIndexes"]
    assert list(derived.selective_indexes) == adjusted["adjSelectiveIndexes"]
    assert derived.presentation_header == bytes(expected["presentationHeader"].values())
    assert derived.pseudonym == (bytes.fromhex(expected["pseudonym"]) if published.entropy else None)
    assert derived.length == expected.get("lengthBBSMessages", derived.length)
    assert shown["proof"][0] == published.shown["proof"]
    assert unsecured(shown) == unsecured(published.shown)


def test_a_published_derived_proof_verifies(published: Published) -> None:
    proof = proofs_of(published.shown)[0]
    document = unsecured(published.shown)
    SUITE.verify(document, proof, published.issuer_key, CANONICALIZER, nym_domain=published.nym_domain)
    assert encode_derived_proof(parse_derived_proof(proof)) == proof.proof_value
    labels = given_labels(parse_derived_proof(proof).labels)
    statements = label_statements(document, labels, CANONICALIZER)
    if published.name != ".":
        assert list(statements.labelled) == published("verifyNQuads")
        assert parse_derived_proof(proof).bbs_proof.hex() == published("verifyDerivedProofValue")["bbsProof"]
    other = replace(proof, proof_value=published.signed["proof"]["proofValue"])
    with pytest.raises(NotVerified):
        SUITE.verify(document, other, published.issuer_key, CANONICALIZER)


# A credential of our own --------------------------------------------------------------------------------------

SECRET_KEY = key_gen(b"the secret of a school, 32 bytes and more")
ISSUER_KEY = PublicKey(KeyKind.BLS12381_G2, public_key_of(SECRET_KEY))
ISSUER = "did:key:" + ISSUER_KEY.multibase
METHOD = f"{ISSUER}#{ISSUER_KEY.multibase}"
OPTIONS = {"cryptosuite": "bbs-2023", "verificationMethod": METHOD, "proofPurpose": "assertionMethod"}
MANDATORY = ("/issuer", "/validFrom", "/validUntil")
SELECTIVE = ("/credentialSubject/achievement/name",)
SEED = bytes(range(32))
NONCE = b"made by the verifier"
OTHER_KEY = PublicKey(KeyKind.BLS12381_G2, public_key_of(SECRET_KEY + 1))


def credential() -> Document:
    return {
        "@context": [V2, "https://purl.imsglobal.org/spec/ob/v3p0/context-3.0.3.json"],
        "type": ["VerifiableCredential", "OpenBadgeCredential"],
        "issuer": {"id": ISSUER, "type": ["Profile"], "name": "School"},
        "validFrom": "2026-11-16T00:00:00Z",
        "validUntil": "2026-12-14T00:00:00Z",
        "name": "Welding",
        "credentialSubject": {
            "type": ["AchievementSubject"],
            "achievement": {
                "id": "urn:uuid:6d3b6b3c-0a4f-4d8c-a5b9-0b4f2b1f3a77",
                "type": ["Achievement"],
                "name": "Welding I",
                "description": "Welds.",
                "criteria": {"narrative": "Weld."},
            },
            "result": [{"type": ["Result"], "value": "87"}, {"type": ["Result"], "value": "91"}],
        },
    }


def disclosure(**changed: Any) -> BbsDisclosure:
    return replace(BbsDisclosure(MANDATORY, SEED, public_key=ISSUER_KEY), **changed)


def issue(document: Document | None = None, options: Document | None = None, **changed: Any) -> Document:
    prepared = prepare_proof(
        document or credential(), options or OPTIONS, CANONICALIZER, disclosure=disclosure(**changed)
    )
    return prepared.finish(sign_request(SECRET_KEY, prepared.message))


def show(signed: Document, *pointers: str, **changed: Any) -> Document:
    given: dict[str, Any] = {"presentation_header": NONCE, "entropy": SEED, **changed}
    return derive_proof(signed, proofs_of(signed)[0], pointers or SELECTIVE, CANONICALIZER, **given)


def verify(document: Document, key: PublicKey = ISSUER_KEY) -> None:
    verify_proof(document, proofs_of(document)[0], key, CANONICALIZER)


SIGNED = issue()
SHOWN = show(SIGNED)


def changed_value(document: Document, change: Callable[[DerivedProof], DerivedProof]) -> Document:
    """The document with another derived proof value."""
    value = encode_derived_proof(change(parse_derived_proof(proofs_of(document)[0])))
    return {**document, "proof": {**document["proof"][0], "proofValue": value}}


def changed_items(document: Document, change: Callable[[list[Any]], object]) -> Document:
    """The document with other CBOR items in its proof value."""
    proof = document["proof"][0]
    data = decode_multibase(proof["proofValue"])
    items = decode_cbor(data[3:])
    change(items)  # type: ignore[arg-type]
    return {
        **document,
        "proof": {**proof, "proofValue": encode_multibase(data[:3] + encode_cbor(items), "u")},
    }


def test_what_the_issuer_signed_and_the_holder_shows_verifies() -> None:
    verify(SHOWN)
    assert "name" not in SHOWN
    assert SHOWN["credentialSubject"]["achievement"]["name"] == "Welding I"
    assert "result" not in SHOWN["credentialSubject"]


@pytest.mark.parametrize(
    "pointers",
    [("",), ("/name",), ("/credentialSubject/result/1",), ("/credentialSubject", "/name"), MANDATORY],
    ids=str,
)
def test_any_part_can_be_shown(pointers: tuple[str, ...]) -> None:
    verify(show(SIGNED, *pointers))


def test_the_suite_tells_what_is_mandatory() -> None:
    proof = proofs_of(SHOWN)[0]
    assert signs_rdf(proof)
    suite = selective_suite_of(proof)
    assert suite is not None
    assert not suite.is_base(proof)
    assert suite.is_base(proofs_of(SIGNED)[0])
    mandatory = "".join(mandatory_statements(unsecured(SHOWN), suite.parse_derived(proof), CANONICALIZER))
    assert "validUntil" in mandatory
    assert "Welding" not in mandatory
    assert set(mandatory.splitlines()) < set(CANONICALIZER.nquads(unsecured(SHOWN)).splitlines())


def test_a_base_proof_is_refused_by_who_verifies() -> None:
    with pytest.raises(NotVerified, match="base proof") as caught:
        verify(SIGNED)
    assert caught.value.problem.type == problem.PROOF_VERIFICATION_ERROR


def test_nothing_is_derived_from_a_derived_proof() -> None:
    with pytest.raises(Malformed):
        show(SHOWN)


DOCUMENT_CHANGES: dict[str, Callable[[Document], object]] = {
    "a mandatory value changed": lambda d: d.update(validUntil="2027-12-14T00:00:00Z"),
    "a shown value changed": lambda d: d["credentialSubject"]["achievement"].update(name="Welding II"),
    "a mandatory member left out": lambda d: d.pop("validUntil"),
    "a shown member left out": lambda d: d["credentialSubject"]["achievement"].pop("name"),
    "a member added": lambda d: d.update(name="Welding"),
    "an id added": lambda d: d.update(id="urn:uuid:0c4fdd02-9c3f-4a58-9c36-6fd8bb9d2c61"),
    "another object without an id": lambda d: d["credentialSubject"].update(result={"type": ["Result"]}),
    "a member moved to another object": lambda d: d["credentialSubject"].update(
        name=d["credentialSubject"]["achievement"].pop("name")
    ),
    "another issuer": lambda d: d["issuer"].update(id="did:web:other.example"),
    "another time of the proof": lambda d: d["proof"][0].update(created="2026-01-01T00:00:00Z"),
    "another purpose of the proof": lambda d: d["proof"][0].update(proofPurpose="authentication"),
    "another method of the proof": lambda d: d["proof"][0].update(verificationMethod="did:web:a.example#k"),
    "a nonce in the proof": lambda d: d["proof"][0].update(nonce="1"),
    "a member in the proof by its IRI": lambda d: d["proof"][0].update(
        {"https://w3id.org/security#expiration": "2026-01-01T00:00:00Z"}
    ),
}


@pytest.mark.parametrize("change", DOCUMENT_CHANGES)
def test_a_shown_document_does_not_verify_with(change: str) -> None:
    document = copy.deepcopy(SHOWN)
    DOCUMENT_CHANGES[change](document)
    with pytest.raises(BonafidesError):
        verify(document)


def flipped(labels: dict[str, str]) -> dict[str, str]:
    return {**labels, "c14n0": labels["c14n1"], "c14n1": labels["c14n0"]}


VALUE_CHANGES: dict[str, Callable[[DerivedProof], DerivedProof]] = {
    "another presentation header": lambda d: replace(d, presentation_header=b"other"),
    "no presentation header": lambda d: replace(d, presentation_header=b""),
    "two labels exchanged": lambda d: replace(d, labels=flipped(d.labels)),
    "one label for two objects": lambda d: replace(d, labels={**d.labels, "c14n0": d.labels["c14n1"]}),
    "a label of no object": lambda d: replace(d, labels={**d.labels, "c14n9": "b9"}),
    "an object without a label": lambda d: replace(d, labels=dict(list(d.labels.items())[:-1])),
    "an index of no statement": lambda d: replace(d, mandatory_indexes=(*d.mandatory_indexes, 99)),
    "a mandatory statement as one that was chosen": lambda d: replace(
        d, mandatory_indexes=d.mandatory_indexes[:-1]
    ),
    "a chosen statement as a mandatory one": lambda d: replace(
        d,
        mandatory_indexes=tuple(range(len(d.mandatory_indexes) + len(d.selective_indexes))),
        selective_indexes=(),
    ),
    "mandatory indexes out of order": lambda d: replace(
        d, mandatory_indexes=tuple(reversed(d.mandatory_indexes))
    ),
    "a mandatory index twice": lambda d: replace(
        d, mandatory_indexes=(d.mandatory_indexes[0], *d.mandatory_indexes)
    ),
    "chosen indexes out of order": lambda d: replace(
        d, selective_indexes=tuple(reversed(d.selective_indexes))
    ),
    "a chosen index twice": lambda d: replace(
        d, selective_indexes=(d.selective_indexes[0], *d.selective_indexes[:-1])
    ),
    "an index more": lambda d: replace(d, selective_indexes=(*d.selective_indexes, 14)),
    "an index less": lambda d: replace(d, selective_indexes=d.selective_indexes[:-1]),
    "an index beyond the messages": lambda d: replace(d, selective_indexes=(*d.selective_indexes[:-1], 4000)),
    "a proof of zero bytes": lambda d: replace(d, bbs_proof=b""),
    "a proof cut short": lambda d: replace(d, bbs_proof=d.bbs_proof[:-32]),
    "a scalar more in the proof": lambda d: replace(d, bbs_proof=d.bbs_proof + bytes(31) + b"\x01"),
    "another point in the proof": lambda d: replace(d, bbs_proof=d.bbs_proof[48:96] + d.bbs_proof[48:]),
}


@pytest.mark.parametrize("change", VALUE_CHANGES)
def test_a_derived_proof_does_not_verify_with(change: str) -> None:
    with pytest.raises((NotVerified, Malformed)) as caught:
        verify(changed_value(SHOWN, VALUE_CHANGES[change]))
    assert caught.value.problem.type == problem.PROOF_VERIFICATION_ERROR


ITEM_CHANGES: dict[str, Callable[[list[Any]], object]] = {
    "an item more": lambda items: items.append(b""),
    "an item less": lambda items: items.pop(),
    "text for the proof": lambda items: items.__setitem__(0, "proof"),
    "an array of labels": lambda items: items.__setitem__(1, []),
    "labels of text": lambda items: items.__setitem__(1, {"c14n0": "b0"}),
    "labels of bytes": lambda items: items.__setitem__(1, {0: bytes(32)}),
    "a negative label": lambda items: items.__setitem__(1, {0: -1}),
    "a negative index": lambda items: items[2].__setitem__(0, -1),
    "an index that is true": lambda items: items[2].__setitem__(0, True),
    "an index of text": lambda items: items[3].__setitem__(0, "0"),
    "no indexes": lambda items: items.__setitem__(3, None),
    "a presentation header of text": lambda items: items.__setitem__(4, "nonce"),
}


@pytest.mark.parametrize("change", ITEM_CHANGES)
def test_it_is_no_derived_proof_with(change: str) -> None:
    with pytest.raises(Malformed) as caught:
        verify(changed_items(SHOWN, ITEM_CHANGES[change]))
    assert caught.value.problem.type == problem.PROOF_VERIFICATION_ERROR


def test_a_proof_value_has_one_form() -> None:
    proof = SHOWN["proof"][0]
    data = decode_multibase(proof["proofValue"])
    for value in (
        encode_multibase(data, "z"),
        proof["proofValue"] + "=",
        encode_multibase(data + b"\x00", "u"),
        encode_multibase(b"\xd9\x5d\x01" + data[3:], "u"),
        encode_multibase(b"\xd9\x5d\x05" + data[3:], "u"),
        encode_multibase(data[:3] + b"\xd8\x40" + data[3:], "u"),
        encode_multibase(data[:3], "u"),
        "u",
    ):
        with pytest.raises(Malformed):
            verify({**SHOWN, "proof": {**proof, "proofValue": value}})
    with pytest.raises(Malformed):
        verify({**SHOWN, "proof": {name: value for name, value in proof.items() if name != "proofValue"}})


def test_it_is_no_base_proof_with_other_items() -> None:
    changes: list[Callable[[list[Any]], object]] = [
        lambda items: items.append(1),
        lambda items: items.pop(),
        *(lambda items, at=at: items.__setitem__(at, items[at] + b"\x00") for at in range(4)),
        lambda items: items.__setitem__(4, "/issuer"),
        lambda items: items.__setitem__(4, [1]),
    ]
    for change in changes:
        with pytest.raises(Malformed):
            show(changed_items(SIGNED, change))


def test_another_key_does_not_verify() -> None:
    with pytest.raises(NotVerified):
        verify(SHOWN, OTHER_KEY)
    with pytest.raises(NotVerified, match="takes no"):
        verify(SHOWN, parse_multikey("z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK"))


def test_a_header_of_a_feature_does_not_make_one() -> None:
    """The plain proof under the header of holder binding, with the length that this one has."""
    derived = parse_derived_proof(proofs_of(SHOWN)[0])
    bound = replace(derived, feature=Feature.ANONYMOUS_HOLDER_BINDING, length=5)
    with pytest.raises(NotVerified):
        verify(changed_value(SHOWN, lambda _: bound))


@pytest.mark.parametrize(
    "changed",
    [
        {"hmac_key": bytes(31)},
        {"public_key": None},
        {"public_key": parse_multikey("z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK")},
        {"mandatory_pointers": ("/nothing",)},
        {"signer_nym_entropy": bytes(32)},
        {"commitment_with_proof": bytes(112)},
        {"commitment_with_proof": bytes(145)},
        {"commitment_with_proof": bytes(176)},
        {"commitment_with_proof": bytes(208), "signer_nym_entropy": bytes(32)},
    ],
    ids=str,
)
def test_no_base_proof_is_prepared_with(changed: dict[str, Any]) -> None:
    with pytest.raises(Malformed) as caught:
        prepare_proof(credential(), OPTIONS, CANONICALIZER, disclosure=disclosure(**changed))
    assert caught.value.problem.type == problem.PROOF_GENERATION_ERROR


def test_no_base_proof_is_prepared_for_another_suite_key_or_chain() -> None:
    plain = Disclosure(MANDATORY, SEED)
    for other in (None, plain):
        with pytest.raises(Malformed):
            prepare_proof(credential(), OPTIONS, CANONICALIZER, disclosure=other)
    with pytest.raises(Malformed):
        prepare_proof(credential(), OPTIONS, CANONICALIZER, disclosure=disclosure(), key_kind=KeyKind.P256)
    earlier = {**SIGNED, "proof": {**SIGNED["proof"][0], "id": "urn:example:1"}}
    chained = {**OPTIONS, "previousProof": "urn:example:1"}
    with pytest.raises(Malformed):
        prepare_proof(earlier, chained, CANONICALIZER, disclosure=disclosure())
    prepared = prepare_proof(credential(), OPTIONS, CANONICALIZER, disclosure=disclosure())
    with pytest.raises(Malformed):
        prepared.finish(bytes(64))


def test_nothing_is_derived_without_randomness_or_a_selection() -> None:
    with pytest.raises(Malformed, match="random"):
        show(SIGNED, entropy=bytes(31))
    unselected = issue(mandatory_pointers=())
    with pytest.raises(Malformed, match="selected"):
        derive_proof(unselected, proofs_of(unselected)[0], (), CANONICALIZER, entropy=SEED)
    with pytest.raises(Malformed):
        show(SIGNED, "/nothing")


def test_a_holder_verifies_a_base_proof_and_notices_every_change() -> None:
    proof, document = proofs_of(SIGNED)[0], unsecured(SIGNED)
    SUITE.verify_base(document, proof, ISSUER_KEY, CANONICALIZER)
    base = parse_base_proof(proof)
    for changed in (
        replace(base, hmac_key=bytes(32)),
        replace(base, mandatory_pointers=("/issuer",)),
        replace(base, public_key=OTHER_KEY.raw),
        replace(base, bbs_header=bytes(64)),
        replace(base, bbs_signature=base.bbs_signature[:-1] + bytes([base.bbs_signature[-1] ^ 1])),
    ):
        other = parse_proof({**proof.raw, "proofValue": encode_base_proof(changed)})
        with pytest.raises(NotVerified):
            SUITE.verify_base(document, other, ISSUER_KEY, CANONICALIZER)
    with pytest.raises(NotVerified):
        SUITE.verify_base({**document, "name": "other"}, proof, ISSUER_KEY, CANONICALIZER)
    with pytest.raises(NotVerified):
        SUITE.verify_base(document, proof, OTHER_KEY, CANONICALIZER)
    with pytest.raises(Malformed):
        SUITE.verify_base(unsecured(SHOWN), proofs_of(SHOWN)[0], ISSUER_KEY, CANONICALIZER)


# Holder binding and pseudonyms --------------------------------------------------------------------------------

DOMAIN = b"https://verifier.example/"
ENTROPY = b"\x07" * 32


def bound_credential(*, with_nym: bool, with_secret: bool) -> tuple[Document, BoundHolder]:
    secret, prover_nym = b"only the holder's", 12345
    made = commit(
        [secret] if with_secret else [],
        seeded_scalars(SEED),
        prover_nym=prover_nym if with_nym else None,
        interface=PSEUDONYM_BBS if with_nym else BLIND_BBS,
    )
    holder = BoundHolder(
        made.secret_prover_blind,
        secret if with_secret else None,
        prover_nym if with_nym else None,
        DOMAIN if with_nym else None,
    )
    entropy = ENTROPY if with_nym else b""
    return (
        issue(commitment_with_proof=made.commitment_with_proof, signer_nym_entropy=entropy),
        holder,
    )


def show_bound(signed: Document, holder: BoundHolder | None) -> Document:
    return show(signed, holder=holder)


def verify_bound(shown: Document, nym_domain: bytes | None = DOMAIN) -> None:
    verify_proof(shown, proofs_of(shown)[0], ISSUER_KEY, CANONICALIZER, nym_domain=nym_domain)


def test_only_who_knows_the_secret_shows_a_bound_credential() -> None:
    signed, holder = bound_credential(with_nym=False, with_secret=True)
    SUITE.verify_base(unsecured(signed), proofs_of(signed)[0], ISSUER_KEY, CANONICALIZER, holder=holder)
    verify(show_bound(signed, holder))
    for thief in (replace(holder, holder_secret=b"guessed"), replace(holder, secret_prover_blind=5)):
        with pytest.raises(NotVerified):
            verify(show_bound(signed, thief))
        with pytest.raises(NotVerified):
            SUITE.verify_base(
                unsecured(signed), proofs_of(signed)[0], ISSUER_KEY, CANONICALIZER, holder=thief
            )
    with pytest.raises(Malformed, match="secrets"):
        show_bound(signed, None)


@pytest.mark.parametrize("change", [-1, 1, 10**6])
def test_a_bound_proof_does_not_verify_with_another_number_of_messages(change: int) -> None:
    signed, holder = bound_credential(with_nym=False, with_secret=True)
    shown = show_bound(signed, holder)
    with pytest.raises((NotVerified, Malformed)):
        verify(changed_value(shown, lambda d: replace(d, length=(d.length or 0) + change)))


@pytest.mark.parametrize("with_secret", [False, True], ids=["alone", "with holder binding"])
def test_a_pseudonym_is_the_same_in_a_domain_and_proven_for_it_alone(with_secret: bool) -> None:
    signed, holder = bound_credential(with_nym=True, with_secret=with_secret)
    shown = show_bound(signed, holder)
    verify_bound(shown)
    elsewhere = show_bound(signed, replace(holder, nym_domain=b"https://other.example/"))
    verify_bound(elsewhere, b"https://other.example/")
    first, other = (parse_derived_proof(proofs_of(document)[0]).pseudonym for document in (shown, elsewhere))
    assert first != other
    with pytest.raises(NotVerified):
        verify_bound(shown, b"https://other.example/")
    with pytest.raises(Unavailable, match="domain"):
        verify_bound(shown, None)
    with pytest.raises(NotVerified):
        verify_bound(changed_value(shown, lambda d: replace(d, pseudonym=other)))


def test_a_pseudonym_needs_a_secret_and_a_domain() -> None:
    signed, holder = bound_credential(with_nym=True, with_secret=False)
    for incomplete in (replace(holder, nym_domain=None), replace(holder, prover_nym=None)):
        with pytest.raises(Malformed):
            show_bound(signed, incomplete)


@pytest.mark.parametrize("header", [b"\xd9\x5d\x07", b"\xd9\x5d\x09"], ids=["07", "09"])
def test_a_proof_that_names_the_domain_of_its_pseudonym_is_read_too(header: bytes) -> None:
    signed, holder = bound_credential(with_nym=True, with_secret=False)
    shown = changed_value(show_bound(signed, holder), lambda d: replace(d, nym_domain=DOMAIN))
    data = decode_multibase(shown["proof"]["proofValue"])
    shown["proof"]["proofValue"] = encode_multibase(header + data[3:], "u")
    verify(shown)
    verify_bound(shown)
    with pytest.raises(NotVerified, match="another domain"):
        verify_bound(shown, b"https://other.example/")


def test_a_base_proof_with_its_entropy_as_bytes_is_read_too() -> None:
    signed, holder = bound_credential(with_nym=True, with_secret=True)
    proof = signed["proof"][0]
    items = decode_cbor(decode_multibase(proof["proofValue"])[3:], bignums=True)
    assert isinstance(items, list)
    for header in (b"\xd9\x5d\x06", b"\xd9\x5d\x08"):
        value = encode_multibase(header + encode_cbor([*items[:5], ENTROPY]), "u")
        verify_bound(show_bound({**signed, "proof": {**proof, "proofValue": value}}, holder))
    for wrong in (bytes(31), bytes(32), "text", 0, -1, None):
        value = encode_multibase(b"\xd9\x5d\x08" + encode_cbor([*items[:5], wrong]), "u")
        with pytest.raises(Malformed):
            show_bound({**signed, "proof": {**proof, "proofValue": value}}, holder)


@pytest.mark.parametrize("entropy", [1, (1 << 64) - 1, 1 << 64, ORDER - 1], ids=hex)
def test_any_entropy_is_read_as_it_was_written(entropy: int) -> None:
    signed, _ = bound_credential(with_nym=True, with_secret=True)
    base = replace(parse_base_proof(proofs_of(signed)[0]), signer_nym_entropy=entropy)
    read = parse_base_proof(parse_proof({**signed["proof"][0], "proofValue": encode_base_proof(base)}))
    assert read == base


def test_a_request_for_a_signature_is_strict() -> None:
    request = SigningRequest(ISSUER_KEY.raw, b"header", [b"message"])
    assert len(sign_request(SECRET_KEY, request.encode())) == 80
    for wrong in (
        b"a message",
        encode_cbor([]),
        encode_cbor([ISSUER_KEY.raw, b"", b"message", b"", b""]),
        encode_cbor([ISSUER_KEY.raw, b"", ["message"], b"", b""]),
        encode_cbor([ISSUER_KEY.raw, b"", [b"message"], b"", b"\x01" * 32]),
        encode_cbor([ISSUER_KEY.raw, b"", [b"message"], bytes(144), b"\x01"]),
        encode_cbor([ISSUER_KEY.raw, b"", [b"message"], None, b""]),
    ):
        with pytest.raises(Malformed):
            sign_request(SECRET_KEY, wrong)


def test_a_commitment_whose_maker_does_not_know_what_is_in_it_is_not_signed() -> None:
    made = commit([b"secret"], seeded_scalars(SEED), interface=BLIND_BBS).commitment_with_proof
    false = made[:-1] + bytes([made[-1] ^ 1])
    with pytest.raises(NotVerified):
        issue(commitment_with_proof=false)


def test_a_header_for_a_verifier_tells_challenge_and_domain_apart() -> None:
    assert presentation_header_of("c", "d") == b'{"challenge":"c","domain":"d"}'
    header = presentation_header_of("nonce", "https://verifier.example/")
    shown = show(SIGNED, presentation_header=header)
    verify(shown)
    assert parse_derived_proof(proofs_of(shown)[0]).presentation_header == header


def test_no_secret_is_in_the_text_of_what_holds_it() -> None:
    _, holder = bound_credential(with_nym=True, with_secret=True)
    assert "12345" not in repr(holder) + str(disclosure(signer_nym_entropy=ENTROPY))
    assert "only the holder" not in repr(holder)


def test_a_suite_without_holder_binding_takes_no_secrets_of_a_holder(vectors: Path) -> None:
    signed = load(vectors / "di-ecdsa/ecdsa-sd-2023/prc/addSignedSDBase.json")
    with pytest.raises(Malformed, match="binds no credential"):
        show(signed, "/issuer", holder=BoundHolder(1))


# Many cases -------------------------------------------------------------------------------------------------


def pointers_into(value: Any, pointer: str = "") -> list[str]:
    found = [pointer] if pointer else []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, member in items:
        if step != "@context":
            found += pointers_into(member, f"{pointer}/{step}")
    return found


POINTERS = st.lists(st.sampled_from(pointers_into(credential())), max_size=6).map(tuple)


@settings(max_examples=40, deadline=None)
@given(POINTERS, POINTERS)
@example((), ("/type/0",))
def test_any_selection_is_shown_and_verifies(mandatory: tuple[str, ...], chosen: tuple[str, ...]) -> None:
    signed = issue(mandatory_pointers=(*mandatory, "/issuer"))
    shown = derive_proof(signed, proofs_of(signed)[0], chosen, CANONICALIZER, entropy=SEED)
    verify(shown)
    assert unsecured(shown) == select((*mandatory, "/issuer", *chosen), credential())


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_no_byte_of_a_proof_value_can_be_changed(data: st.DataObject) -> None:
    value = bytearray(decode_multibase(SHOWN["proof"][0]["proofValue"]))
    place = data.draw(st.integers(0, len(value) - 1))
    value[place] ^= data.draw(st.integers(1, 255))
    proof = {**SHOWN["proof"][0], "proofValue": encode_multibase(bytes(value), "u")}
    with pytest.raises((Malformed, NotVerified)):
        verify({**SHOWN, "proof": proof})


@settings(max_examples=200, deadline=None)
@given(st.sampled_from([f"d95d0{number}" for number in range(2, 10)]), st.binary(max_size=200))
def test_a_proof_value_of_any_bytes_is_refused_in_order(header: str, data: bytes) -> None:
    value = encode_multibase(bytes.fromhex(header) + data, "u")
    document = {**SHOWN, "proof": {**SHOWN["proof"][0], "proofValue": value}}
    for judge in (verify, show):
        with pytest.raises((Malformed, NotVerified)):
            judge(document)


def test_a_seed_used_twice_by_mistake_gives_no_scalar_twice() -> None:
    """Two proofs with the same random scalars and other challenges would give the signature away."""
    first, second = (
        parse_derived_proof(proofs_of(show(SIGNED, presentation_header=nonce, entropy=SEED))[0]).bbs_proof
        for nonce in (b"one verifier", b"another")
    )
    parts = [{proof[at : at + 48] for at in (0, 48, 96)} for proof in (first, second)]
    assert not parts[0] & parts[1]
