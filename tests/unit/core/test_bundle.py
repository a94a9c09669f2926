"""Bundles and checkpoint files: closed, limited, and not one byte that can be changed with effect."""

from __future__ import annotations

import copy
import dataclasses
import json
from pathlib import Path

import jsonschema
import pytest
from fixtures.verification import KEY_SCHOOL, LEARNER, as_jwt, as_member, badge
from nacl.signing import SigningKey

import schemas
from node.core import anchor
from node.core import bundle as bundle_module
from node.core.bundle import Bundle, BundleState, DidDocumentSnapshot, parse_bundle
from node.core.envelope import read_envelope
from node.core.errors import Malformed, NotVerified
from node.core.evidence import ShownEvidence, committed_in, verify_shown
from node.core.evm import registry
from node.core.evm.checkpoint import Checkpoint, parse_checkpoint
from node.core.evm.header import parse_header
from node.core.evm.network import parse_networks
from node.core.evm.state_proof import prove_history, prove_slots
from node.core.keys import KeyKind, PublicKey
from node.core.verify.intake import presented

VECTOR = Path(__file__).parents[2] / "vectors" / "bonafides" / "bundles.json"
CASE = json.loads(VECTOR.read_text())["cases"][0]
JSON = CASE["input"]["bundle"]
BUNDLE = parse_bundle(JSON)
IDENTITY = bytes.fromhex(JSON["credential"]["issuer"][-40:])


def schema(name):
    return jsonschema.Draft202012Validator(
        json.loads(schemas.load_schemas()[f"bonafides/{name}.schema.json"])
    )


def facts(bundle: Bundle) -> dict[str, object]:
    """What the bundle establishes under the newest header, or one of the errors."""
    newer = parse_header(bundle.state.hop.header)
    if newer.hash.hex() != CASE["expected"]["newestHash"]:
        raise NotVerified("not the trusted header")
    header = parse_header(bundle.state.header)
    if prove_history(newer, bundle.state.hop.nodes, header.number) != header.hash:
        raise NotVerified("the hop names another header")
    commitment = bundle.anchor.commitment_of(anchor.CREDENTIAL, anchor.credential_digest(bundle.credential))
    entry = bundle.credential["credentialStatus"]
    list_digest = registry.list_id(entry["statusPurpose"], entry["statusListCredential"])
    word = registry.status_word(int(entry["statusListIndex"]))
    slots = (
        registry.anchor_slot(IDENTITY, commitment),
        registry.key_slot(IDENTITY, bundle.key.public_key.multicodec_bytes),
        registry.closed_slot(IDENTITY),
        registry.list_slot(IDENTITY, list_digest),
        registry.status_slot(IDENTITY, list_digest, word),
    )
    committed = committed_in(bundle.credential["evidence"][0])
    for shown in bundle.evidence:
        verify_shown(committed, shown)
    proven = prove_slots(header, bundle.state.nodes, bytes.fromhex(JSON["anchor"]["registry"][2:]), slots)
    if not proven.values[slots[0]]:  # another commitment, proven to be absent by the very same nodes
        raise NotVerified("not anchored")
    return {slot.hex(): f"{value:064x}" for slot, value in proven.values.items()}


def refused_or_equal(bundle: Bundle) -> bool:
    try:
        return facts(bundle) == CASE["expected"]["values"]
    except (Malformed, NotVerified):
        return True


def changed(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1 << at % 8]) + data[at + 1 :]


def test_the_bundle_of_the_vectors_shows_what_they_say():
    assert facts(BUNDLE) == CASE["expected"]["values"]


def test_a_bundle_is_written_as_read_and_version_comes_first():
    assert BUNDLE.to_json() == JSON
    assert next(iter(BUNDLE.to_json())) == "version"


def test_every_changed_byte_of_the_headers_is_refused():
    state = BUNDLE.state
    for at in range(len(state.header)):
        other = dataclasses.replace(state, header=changed(state.header, at))
        with pytest.raises((Malformed, NotVerified)):
            facts(dataclasses.replace(BUNDLE, state=other))
    for at in range(len(state.hop.header)):
        hop = dataclasses.replace(state.hop, header=changed(state.hop.header, at))
        with pytest.raises((Malformed, NotVerified)):
            facts(dataclasses.replace(BUNDLE, state=dataclasses.replace(state, hop=hop)))


def test_every_changed_byte_of_the_trie_nodes_is_refused():
    state = BUNDLE.state
    for number, node in enumerate(state.nodes):
        for at in range(len(node)):
            nodes = (*state.nodes[:number], changed(node, at), *state.nodes[number + 1 :])
            with pytest.raises((Malformed, NotVerified)):
                facts(dataclasses.replace(BUNDLE, state=dataclasses.replace(state, nodes=nodes)))


def test_every_changed_byte_of_path_and_salt_is_refused():
    for number, digest in enumerate(BUNDLE.anchor.path):
        for at in range(len(digest)):
            path = (*BUNDLE.anchor.path[:number], changed(digest, at), *BUNDLE.anchor.path[number + 1 :])
            with pytest.raises((Malformed, NotVerified)):
                facts(dataclasses.replace(BUNDLE, anchor=dataclasses.replace(BUNDLE.anchor, path=path)))
    for at in range(32):
        salted = dataclasses.replace(BUNDLE.anchor, salt=changed(BUNDLE.anchor.salt, at))
        with pytest.raises((Malformed, NotVerified)):
            facts(dataclasses.replace(BUNDLE, anchor=salted))


def test_every_changed_byte_of_shown_evidence_is_refused():
    for shown in BUNDLE.evidence:
        assert isinstance(shown, ShownEvidence)
        for at in range(len(shown.item.data)):
            item = dataclasses.replace(shown.item, data=changed(shown.item.data, at))
            with pytest.raises(NotVerified):
                facts(dataclasses.replace(BUNDLE, evidence=(dataclasses.replace(shown, item=item),)))


def test_a_changed_letter_of_the_text_is_refused_or_changes_nothing():
    text = json.dumps({name: JSON[name] for name in ("version", "anchor", "state", "evidence")})
    for at in range(0, len(text), 29):
        letter = "B" if text[at] == "A" else "A" if text[at].isupper() else "1" if text[at] == "0" else "0"
        try:
            value = json.loads(text[:at] + letter + text[at + 1 :])
            bundle = parse_bundle({**JSON, **value})
        except (ValueError, Malformed):
            continue
        assert refused_or_equal(bundle), at


def test_nodes_of_other_slots_are_refused():
    state = BUNDLE.state
    nodes = (*state.nodes, b"\xf8" * 40)
    with pytest.raises(Malformed):
        facts(dataclasses.replace(BUNDLE, state=dataclasses.replace(state, nodes=nodes)))
    nodes = (*state.nodes, state.nodes[0])
    with pytest.raises(Malformed):
        facts(dataclasses.replace(BUNDLE, state=dataclasses.replace(state, nodes=nodes)))


# Reading ---------------------------------------------------------------------------------------------------


def with_member(path, value):
    body = copy.deepcopy(JSON)
    place = body
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return body


BAD = [
    (("version",), 2),
    (("version",), "1"),
    (("version",), True),
    (("credential",), []),
    (("credential",), None),
    (("credentialDigest",), "0x" + "00" * 32),  # beside a credential
    (("more",), 1),
    (("key",), None),
    (("key", "id"), ""),
    (("key", "id"), "d" * 2049),
    (("key", "publicKeyMultibase"), "z6Mk"),
    (("key", "publicKeyMultibase"), "u" + "A" * 46),
    (("key", "extra"), 1),
    (("anchor",), []),
    (("anchor", "index"), 64),
    (("anchor", "proofValue"), 1),
    (("state",), {}),
    (("state", "header"), "+/+/"),
    (("state", "header"), "A" * 1370),
    (("state", "nodes"), {}),
    (("state", "nodes"), ["A" * 1370]),
    (("state", "nodes"), ["AA"] * 513),
    (("state", "nodes", 0), None),
    (("state", "hop"), None),
    (("state", "hop", "hop"), {}),
    (("state", "slot"), "0x00"),
    (("evidence",), {}),
    (("evidence", 0, "path"), None),
    (("evidence", 1, "name"), "solution.py"),
    (("didDocument",), {}),
    (("didDocument",), "AAAA"),
]


@pytest.mark.parametrize(
    ("path", "value"), BAD, ids=[f"{'.'.join(map(str, p))} {str(v)[:20]}" for p, v in BAD]
)
def test_a_bundle_with_a_wrong_member_is_malformed(path, value):
    with pytest.raises(Malformed):
        parse_bundle(with_member(path, value))


@pytest.mark.parametrize("value", [None, [], "bundle", {}, {"version": 1}])
def test_what_is_no_bundle_is_malformed(value):
    with pytest.raises(Malformed):
        parse_bundle(value)


def test_an_error_names_the_place():
    with pytest.raises(Malformed) as caught:
        parse_bundle(with_member(("state", "hop", "nodes", 2), "*"))
    assert caught.value.problem.path == ("state", "hop", "nodes", 2)


def test_a_bundle_travels_beside_its_credential():
    digest = anchor.credential_digest(BUNDLE.credential)
    beside = parse_bundle(BUNDLE.without_credential(digest).to_json())
    assert (beside.credential, beside.credential_digest) == (None, digest)
    assert beside.with_credential(BUNDLE.credential) == BUNDLE


def test_a_bundle_may_hold_little():
    assert parse_bundle({"version": 1, "credential": {}}) == Bundle(credential={})


SNAPSHOT = DidDocumentSnapshot(b'{"id":"did:web:a"}', bytes(32), 0, 2, (bytes(32),), bytes(20))


def test_a_did_document_travels_with_its_witness():
    bundle = dataclasses.replace(BUNDLE, did_document=SNAPSHOT)
    assert parse_bundle(bundle.to_json()) == bundle


@pytest.mark.parametrize("member", list(SNAPSHOT.to_json()))
def test_a_snapshot_lacks_no_member(member):
    value = SNAPSHOT.to_json()
    del value[member]
    with pytest.raises(Malformed):
        parse_bundle({**JSON, "didDocument": value})


# The published schemas -------------------------------------------------------------------------------------


def test_the_schema_accepts_what_we_write():
    everything = dataclasses.replace(BUNDLE, did_document=SNAPSHOT)
    for bundle in (BUNDLE, everything, BUNDLE.without_credential(bytes(32))):
        schema("bundle").validate(bundle.to_json())
    table = json.loads(schemas.load_networks())
    schema("networks").validate(table)
    known = [dataclasses.replace(one, deployed=7).to_json() for one in parse_networks(table).values()]
    schema("networks").validate({"networks": known})
    schema("checkpoint").validate(CHECKPOINT.to_json())


# What a schema cannot say, or says only of strict base64url and keys.
_PARSER_ALONE = {("key", "publicKeyMultibase"), ("anchor", "index"), ("evidence", 1, "name")}


@pytest.mark.parametrize(
    ("path", "value"),
    [(p, v) for p, v in BAD if p not in _PARSER_ALONE and not (p == ("version",) and v is True)],
)
def test_the_schema_refuses_what_the_parser_refuses(path, value):
    assert not schema("bundle").is_valid(with_member(path, value))


# Checkpoint files ------------------------------------------------------------------------------------------

SIGNER = SigningKey(bytes(range(32)))
KEY = PublicKey(KeyKind.ED25519, bytes(SIGNER.verify_key))
HEADERS = ((4096, b"\x01" * 32), (8192, b"\x02" * 32), (20480, b"\x03" * 32))
CHECKPOINT = Checkpoint(1, b"\x09" * 32, 4096, 7, HEADERS)
SIGNED = dataclasses.replace(CHECKPOINT, signature=SIGNER.sign(CHECKPOINT.signed_bytes).signature)


@pytest.mark.parametrize("checkpoint", [CHECKPOINT, SIGNED])
def test_a_checkpoint_file_is_read_as_written(checkpoint):
    assert parse_checkpoint(checkpoint.to_json()) == checkpoint


@pytest.mark.parametrize(
    ("number", "expected"),
    [(4096, b"\x01" * 32), (20480, b"\x03" * 32), (0, None), (4097, None), (12288, None), (24576, None)],
)
def test_a_checkpoint_names_the_hashes_that_it_holds(number, expected):
    assert CHECKPOINT.hash_at(number) == expected


def test_a_checkpoint_ends_somewhere():
    assert CHECKPOINT.newest_number == 20480
    assert Checkpoint(1, bytes(32), 1, 0, ()).newest_number == -1


def test_a_signature_of_the_operators_key_is_verified():
    SIGNED.verify_signature(KEY)


@pytest.mark.parametrize(
    "changed_file",
    [
        CHECKPOINT,
        dataclasses.replace(SIGNED, sequence=8),
        dataclasses.replace(SIGNED, chain_id=2),
        dataclasses.replace(SIGNED, headers=HEADERS[:2]),
        dataclasses.replace(SIGNED, signature=bytes(64)),
    ],
    ids=["no signature", "sequence", "chain", "headers", "signature"],
)
def test_a_changed_or_unsigned_file_is_not_verified(changed_file):
    with pytest.raises(NotVerified):
        changed_file.verify_signature(KEY)


def test_another_kind_of_key_does_not_sign_checkpoints():
    other = PublicKey(
        KeyKind.SECP256K1, bytes.fromhex("0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798")
    )
    with pytest.raises(NotVerified):
        SIGNED.verify_signature(other)


BAD_CHECKPOINTS = [
    ("chain", "1"),
    ("genesis", "0x00"),
    ("step", 0),
    ("step", 4095),
    ("sequence", -1),
    ("headers", None),
    ("headers", [[4096]]),
    ("headers", [[4096, "0x00"]]),
    ("headers", [["4096", "0x" + "00" * 32]]),
    ("headers", [[4096, "0x" + "00" * 32, 1]]),
    ("headers", [[8192, "0x" + "00" * 32], [4096, "0x" + "00" * 32]]),
    ("headers", [[4096, "0x" + "00" * 32], [4096, "0x" + "00" * 32]]),
    ("signature", None),
    ("signature", "AAAA"),
    ("note", "x"),
]


@pytest.mark.parametrize(("member", "value"), BAD_CHECKPOINTS)
def test_a_checkpoint_file_with_a_wrong_member_is_malformed(member, value):
    with pytest.raises(Malformed):
        parse_checkpoint({**SIGNED.to_json(), member: value})


def test_state_without_hop_is_a_state():
    state = BundleState(b"h", (b"n",))
    assert "hop" not in state.to_json()


def test_many_bundles_do_not_have_the_digest_of_a_credential_made_for_each(monkeypatch):
    made = []
    digest = anchor.credential_digest

    def counted(document, proof_value=None):
        made.append(document)
        return digest(document, proof_value)

    monkeypatch.setattr(bundle_module, "credential_digest", counted)
    loose = BUNDLE.without_credential(anchor.credential_digest(BUNDLE.credential))
    others = [BUNDLE.without_credential(bytes([number]) * 32) for number in range(63)]
    shown = presented({"verifiableCredential": [BUNDLE.credential] * 3}, [*others, loose])
    assert [one.bundle for one in shown.credentials] == [loose, None, None]
    assert len(made) == 3


def test_digests_of_more_proofs_than_anybody_anchors_are_not_made():
    proofs = [{"proofValue": f"z{number}"} for number in range(20)]
    shown = bundle_module.ShownDocument({"proof": proofs})
    assert sum(shown.digest(f"z{number}") is not None for number in range(20)) == 8


TOKEN = as_jwt(KEY_SCHOOL, badge(KEY_SCHOOL.did))


def shown_token():
    envelope = read_envelope(TOKEN)
    return bundle_module.ShownDocument(envelope.document, envelope)


def test_a_bundle_holds_the_text_of_a_token():
    bundle = BUNDLE.with_credential(TOKEN)
    schema("bundle").validate(bundle.to_json())
    assert parse_bundle(bundle.to_json()) == bundle


@pytest.mark.parametrize("written", [TOKEN, as_member(TOKEN)], ids=["text", "object"])
def test_a_bundle_is_of_the_token_in_it_however_that_is_written(written):
    assert BUNDLE.with_credential(written).belongs_to(shown_token())


def test_a_bundle_is_of_the_token_whose_digest_it_has():
    digest = anchor.issued_digest(TOKEN.encode())
    bundle = dataclasses.replace(BUNDLE, anchor=None)
    assert bundle.without_credential(digest).belongs_to(shown_token())
    assert not bundle.without_credential(bytes(32)).belongs_to(shown_token())


@pytest.mark.parametrize(
    "other",
    [
        badge(KEY_SCHOOL.did),
        "a text",
        {"type": "EnvelopedVerifiableCredential"},
        as_jwt(LEARNER, badge("did:x:y")),
    ],
    ids=["what it says", "no token", "an envelope of nothing", "another token"],
)
def test_a_bundle_of_something_else_is_not_the_tokens(other):
    assert not BUNDLE.with_credential(other).belongs_to(shown_token())
