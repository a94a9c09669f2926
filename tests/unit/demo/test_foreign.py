"""A badge by somebody else's program: ours verifies it, and refuses it when it is changed."""

from __future__ import annotations

import ast
import copy
import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

import schemas
from node.core.canonical.contexts import ContextStore
from node.core.canonical.rdfc import Canonicalizer
from node.core.dataintegrity import proofs_of, verify_proof
from node.core.did.key import resolve_did_key
from node.core.errors import BonafidesError, NotVerified
from node.demo.foreign import make_foreign_badge

BADGE = make_foreign_badge(key=Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
CANONICALIZER = Canonicalizer(ContextStore(schemas.load_contexts(), schemas.context_digests()))


def verify(badge: dict[str, Any]) -> None:
    (proof,) = proofs_of(badge)
    document = resolve_did_key(badge["issuer"]["id"])
    method = document.method(str(proof.verification_method), "assertionMethod")
    assert method.public_key is not None
    verify_proof(badge, proof, method.public_key, CANONICALIZER)


def test_our_verifier_accepts_the_foreign_proof() -> None:
    verify(BADGE)


def test_it_is_made_without_any_code_of_ours() -> None:
    spec = importlib.util.find_spec("node.demo.foreign")
    assert spec is not None
    assert spec.origin is not None
    tree = ast.parse(Path(spec.origin).read_text(encoding="utf-8"))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert not [name for name in imported if name.split(".")[0] in ("node", "wallet", "contracts")]


def _swap_mark(badge: dict[str, Any]) -> None:
    badge["credentialSubject"]["achievement"]["name"] = "Bicycle repair, bench 3"


def _swap_subject(badge: dict[str, Any]) -> None:
    badge["credentialSubject"]["id"] = badge["issuer"]["id"]


def _extend(badge: dict[str, Any]) -> None:
    badge["validUntil"] = "2099-01-01T00:00:00Z"


def _redate(badge: dict[str, Any]) -> None:
    badge["proof"]["created"] = "2020-01-01T00:00:00Z"


@pytest.mark.parametrize("change", [_swap_mark, _swap_subject, _extend, _redate])
def test_a_changed_foreign_badge_is_not_verified(change: Callable[[dict[str, Any]], None]) -> None:
    badge = copy.deepcopy(BADGE)
    change(badge)
    with pytest.raises(NotVerified):
        verify(badge)


def test_a_member_that_no_context_defines_is_not_verified() -> None:
    badge = json.loads(json.dumps(BADGE))
    badge["credentialSubject"]["grade"] = "A"
    with pytest.raises(BonafidesError):
        verify(badge)
