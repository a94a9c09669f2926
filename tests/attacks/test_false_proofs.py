"""State proofs that are not what they should be, in a bundle of a real chain.

Offline such a bundle is false. A verifier with an endpoint proves for itself and judges by that, so that nobody can
spoil a sound badge either. What nodes may look like at all stands in `property/test_state_proof_properties.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from fixtures.own_chain import Badge, Employer, OwnChain, School

from node.core.encoding import decode_base64url, encode_base64url
from node.core.evm import rlp
from node.core.evm.state_proof import MAX_POOL_NODES
from node.core.verify.report import Acceptance, CheckName, Outcome, Reason

Json = dict[str, Any]
Nodes = list[bytes]


def flipped(node: bytes, at: int, mask: int) -> bytes:
    return node[:at] + bytes([node[at] ^ mask]) + node[at + 1 :]


def loosely(node: bytes) -> bytes:
    """The same list with its length in a byte more than it needs."""
    items = rlp.encode(rlp.decode(node))
    body = items[len(items) - _length(items) :]
    return b"\xfa" + len(body).to_bytes(3, "big") + body


def _length(items: bytes) -> int:
    return items[0] - 0xC0 if items[0] < 0xF8 else int.from_bytes(items[1 : items[0] - 0xF6], "big")


def leaf_of(nodes: Nodes) -> int:
    """The leaf with the account."""
    return next(at for at, node in enumerate(nodes) if len(_items(node)) == 2 and len(_items(node)[1]) > 64)


def _items(node: bytes) -> Any:
    return rlp.decode(node)


def with_leaf(nodes: Nodes, change: Callable[[Any], Any]) -> Nodes:
    at = leaf_of(nodes)
    return [*nodes[:at], rlp.encode(change(_items(nodes[at]))), *nodes[at + 1 :]]


def embedded(nodes: Nodes) -> Nodes:
    """A branch that has its child inside itself, where it should name it by hash."""
    root, child = _items(nodes[0]), _items(nodes[leaf_of(nodes)])
    return [rlp.encode([child, *root[1:]]), *nodes[1:]]


JUNK = rlp.encode([b"\x20" + bytes(32), b"junk" * 9])
SPOILED: dict[str, Callable[[Nodes], Nodes]] = {
    "a junk node": lambda nodes: [*nodes, JUNK],
    "a node twice": lambda nodes: [*nodes, nodes[0]],
    "a node missing": lambda nodes: nodes[:-1],
    "no nodes": lambda _: [],
    "nodes of another path": lambda nodes: [JUNK, *nodes[1:]],
    "a length that is not minimal": lambda nodes: [loosely(nodes[0]), *nodes[1:]],
    "a byte behind a node": lambda nodes: [nodes[0] + b"\0", *nodes[1:]],
    "a flipped nibble of a path": lambda nodes: with_leaf(nodes, lambda leaf: [flipped(leaf[0], 1, 0x10), leaf[1]]),
    "a prefix flag that makes a leaf an extension": lambda nodes: with_leaf(
        nodes, lambda leaf: [flipped(leaf[0], 0, 0x20), leaf[1]]
    ),
    "a prefix flag that is none": lambda nodes: with_leaf(
        nodes, lambda leaf: [flipped(leaf[0], 0, 0x80), leaf[1]]
    ),
    "a pad nibble": lambda nodes: with_leaf(nodes, lambda leaf: [flipped(leaf[0], 0, 0x01), leaf[1]]),
    "an account with another storage": lambda nodes: with_leaf(
        nodes, lambda leaf: [leaf[0], flipped(leaf[1], 40, 0x01)]
    ),
    "a branch with an embedded node": embedded,
    "more nodes than any proof has": lambda nodes: nodes + [n.to_bytes(32, "big") for n in range(MAX_POOL_NODES)],
    "a node of more than a kilobyte": lambda nodes: [*nodes, rlp.encode([b"\x20" + bytes(32), bytes(1024)])],
}  # fmt: skip


# The bundle is not even read.
UNREADABLE = {"more nodes than any proof has", "a node of more than a kilobyte"}


def nodes_in(bundle: Json) -> Nodes:
    return [decode_base64url(node) for node in bundle["state"]["nodes"]]


@pytest.fixture
def badge(school: School) -> Badge:
    return school.anchored()


@pytest.mark.parametrize("name", SPOILED)
def test_a_spoiled_proof_makes_a_bundle_false_and_no_badge_worse_where_the_chain_can_be_asked(
    own_chain: OwnChain, school: School, badge: Badge, name: str
) -> None:
    at = own_chain.head
    bundle = school.bundle(badge, at)
    spoiled = SPOILED[name](nodes_in(bundle))
    assert spoiled != nodes_in(bundle)
    bundle["state"]["nodes"] = [encode_base64url(node) for node in spoiled]
    offline = Employer(school, [at]).judge(bundle)
    assert offline.acceptance is Acceptance.REFUSED
    if name in UNREADABLE:
        assert offline[CheckName.CONFORMANCE].reason is Reason.UNREADABLE
        return
    assert (offline[CheckName.ANCHOR].outcome, offline[CheckName.ANCHOR].reason) == (
        Outcome.FAILED,
        Reason.BUNDLE_FALSE,
    )
    assert Employer(school, final=at).judge(bundle).acceptance is Acceptance.ACCEPTED


def test_a_proof_of_another_account_is_not_the_registrys(
    own_chain: OwnChain, school: School, badge: Badge
) -> None:
    at = own_chain.head
    bundle = school.bundle(badge, at)
    nodes = own_chain.nodes(at, own_chain.deployments.did_registry, ())
    bundle["state"]["nodes"] = [encode_base64url(node) for node in nodes]
    assert Employer(school, [at]).judge(bundle)[CheckName.ANCHOR].reason is Reason.BUNDLE_FALSE


def test_an_absent_account_holds_no_anchor(own_chain: OwnChain, school: School, badge: Badge) -> None:
    """A trusted header from before the registry was deployed: nothing stands at its address."""
    before = own_chain.header(1)
    bundle = school.bundle(badge, before, claimed=1)
    report = Employer(school, [before]).judge(bundle, now=own_chain.now)
    assert (report[CheckName.ANCHOR].outcome, report[CheckName.ANCHOR].reason) == (
        Outcome.FAILED,
        Reason.BUNDLE_FALSE,
    )


def test_an_empty_trie_holds_nothing_and_takes_no_nodes(
    own_chain: OwnChain, school: School, badge: Badge
) -> None:
    """A trusted header at which the registry stands and nobody has written yet."""
    empty = own_chain.header(2)
    bundle = school.bundle(badge, empty, claimed=2)
    report = Employer(school, [empty]).judge(bundle)
    assert report[CheckName.ANCHOR].reason is Reason.NOT_ANCHORED
    assert report[CheckName.KEY].reason is Reason.KEY_NOT_REGISTERED
    full = school.bundle(badge, own_chain.head)
    bundle["state"]["nodes"] += [
        node for node in full["state"]["nodes"] if node not in bundle["state"]["nodes"]
    ]
    assert Employer(school, [empty]).judge(bundle)[CheckName.ANCHOR].reason is Reason.BUNDLE_FALSE


def test_a_header_with_bytes_behind_it_is_none_however_many_they_are(
    own_chain: OwnChain, school: School, badge: Badge
) -> None:
    at = own_chain.head
    bundle = school.bundle(badge, at)
    bundle["state"]["header"] = encode_base64url(at.raw + bytes(1024))
    report = Employer(school, [at]).judge(bundle)
    assert report[CheckName.CONFORMANCE].reason is Reason.UNREADABLE
    bundle["state"]["header"] = encode_base64url(at.raw + b"\0")
    report = Employer(school, [at]).judge(bundle)
    assert report[CheckName.HEADER].reason is Reason.HEADER_NOT_TRUSTED
