"""The parsers of our formats raise Malformed and nothing else, whatever they are given."""

from __future__ import annotations

import contextlib
import copy
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import schemas
from node.core.anchor import credential_digest, parse_anchor
from node.core.bundle import parse_bundle
from node.core.did.address import identifier_of, origin_of
from node.core.envelope import read_envelope
from node.core.errors import Malformed
from node.core.evidence import committed_in, parse_evidence
from node.core.evm import rlp
from node.core.evm.checkpoint import parse_checkpoint
from node.core.evm.header import header_from_rpc, parse_header
from node.core.evm.network import parse_networks
from node.core.jose.key_set import parse_keys, place_in_metadata
from node.core.verify.trust import parse_trust_list
from node.services.witness import parse_sight

VECTORS = Path(__file__).parents[1] / "vectors" / "bonafides"
BUNDLE = json.loads((VECTORS / "bundles.json").read_text())["cases"][0]["input"]["bundle"]
CHECKPOINT = json.loads((VECTORS / "checkpoints.json").read_text())["cases"][0]["input"]["file"]
NETWORKS = json.loads(schemas.load_networks())

DID = "did:web:school.example"
SIGHT = {
    "version": 1,
    "did": DID,
    "seen": "2026-06-01T09:00:00Z",
    "didDocument": {
        "bytes": "e30",
        "salt": "A" * 43,
        "index": 0,
        "size": 1,
        "path": [],
        "identity": "0x" + "00" * 20,
    },
    "state": BUNDLE["state"],
}
TRUST_LIST = {
    "issuers": [
        {
            "did": DID,
            "name": "School",
            "until": "2027-01-01T00:00:00Z",
            "witnesses": ["did:ethr:0x" + "00" * 20],
        }
    ]
}
JWK = {"kty": "OKP", "crv": "Ed25519", "x": "O2onvM62pC1io6jQKm8Nc2UyFXcd4kOmOsBIoYtZ2ik", "kid": "1"}
ISSUER = "https://school.example"
METADATA = {"issuer": ISSUER, "jwks_uri": "https://school.example/keys"}

LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(st.characters(exclude_categories=()), max_size=12),
    st.sampled_from(["0x", "0x" + "00" * 32, "AAAA", "eip155:1", "z6Mk", "data:,x", "\ud800", "\u0663"]),
)
JSON = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=10,
)


def metadata_of_keys(value):
    return place_in_metadata(value, ISSUER)


PARSERS = {
    "bundle": (parse_bundle, BUNDLE),
    "anchor": (parse_anchor, BUNDLE["anchor"]),
    "shown evidence": (parse_evidence, BUNDLE["evidence"][0]),
    "evidence commitment": (committed_in, BUNDLE["credential"]["evidence"][0]),
    "credential digest": (credential_digest, BUNDLE["credential"]),
    "checkpoint": (parse_checkpoint, CHECKPOINT),
    "networks": (parse_networks, NETWORKS),
    "sight": (parse_sight, SIGHT),
    "trust list": (parse_trust_list, TRUST_LIST),
    "keys": (parse_keys, {"keys": [JWK]}),
    "metadata of keys": (metadata_of_keys, METADATA),
    "block": (header_from_rpc, {"number": "0x1", "hash": "0x" + "00" * 32}),
}
# These are given objects only: their callers have parsed a JSON object.
OBJECTS_ONLY = {"credential digest", "block", "keys", "metadata of keys"}


def places(value, path=()):
    """The paths of all members and items below `value`."""
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, inner in steps:
        yield (*path, step)
        yield from places(inner, (*path, step))


@pytest.mark.parametrize("name", PARSERS)
@settings(max_examples=60)
@given(value=JSON)
def test_any_json_is_read_or_malformed(name, value):
    parse, _ = PARSERS[name]
    if name not in OBJECTS_ONLY or isinstance(value, dict):
        read_or_malformed(parse, value)


@pytest.mark.parametrize("name", PARSERS)
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_one_member_of_any_json_is_read_or_malformed(name, data):
    parse, good = PARSERS[name]
    body = copy.deepcopy(good)
    path = data.draw(st.sampled_from(list(places(good))))
    place = body
    for step in path[:-1]:
        place = place[step]
    if data.draw(st.booleans()):
        place[path[-1]] = data.draw(JSON)
    else:
        del place[path[-1]]
    read_or_malformed(parse, body)


def read_or_malformed(parse, value):
    with contextlib.suppress(Malformed):
        parse(value)


@settings(max_examples=300)
@given(st.one_of(st.binary(max_size=200), st.binary(max_size=1200)))
def test_any_bytes_are_rlp_and_a_header_or_malformed(data):
    for parse in (rlp.decode, parse_header):
        read_or_malformed(parse, data)


@given(st.text(st.characters(exclude_categories=()), max_size=40))
def test_any_text_is_a_token_or_malformed(text):
    read_or_malformed(read_envelope, text)


@given(st.text(st.characters(exclude_categories=()), max_size=20))
def test_any_text_has_an_origin_or_is_malformed(text):
    for url in (text, f"https://{text}", f"https://school.example{text}"):
        read_or_malformed(origin_of, url)
        read_or_malformed(identifier_of, url)
