"""The proof object (VC Data Integrity 1.0 section 2.1): reading it, and what a verifier asks of it.

Cryptography is in the suites, the key comes from elsewhere. Domain, challenge and expiry are compared by
functions of their own because the caller knows the expected values and the time.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from node.core import problem
from node.core.errors import Malformed, NotVerified
from node.core.strict_json import Json, JsonObject
from node.core.times import parse_datetime_stamp

DATA_INTEGRITY_PROOF: Final = "DataIntegrityProof"
MAX_PROOFS: Final = 16
_OFFSET: Final = re.compile(r"(?:Z|[+-]\d\d:\d\d)\Z")


@dataclass(frozen=True, slots=True)
class Proof:
    """One proof as it stands in a document; `raw` is the JSON object that was read.

    `type` need not be ours and `proof_value` may be missing: whether a proof can be checked is the suite's to
    say. `verification_method` is required, since nothing can be verified without it (sections 4.2 and 4.4).
    `domain` and `previous_proof` are empty where absent, a single string is a tuple of one.
    """

    raw: JsonObject
    type: str
    cryptosuite: str | None
    verification_method: str
    proof_purpose: str
    proof_value: str | None
    id: str | None
    created: datetime | None
    expires: datetime | None
    domain: tuple[str, ...]
    challenge: str | None
    previous_proof: tuple[str, ...]
    nonce: str | None


def parse_proof(value: Json, path: tuple[str | int, ...] = ("proof",)) -> Proof:
    """The proof that a JSON object writes, or Malformed; members that are not known stay in `raw`."""
    if type(value) is not dict:
        raise Malformed("a proof is an object", type=problem.PARSING_ERROR, path=path)
    proof_type = _required(value, "type", path)
    cryptosuite = _text(value, "cryptosuite", path)
    if proof_type == DATA_INTEGRITY_PROOF and cryptosuite is None:
        raise Malformed("a DataIntegrityProof names its cryptosuite", path=(*path, "cryptosuite"))
    return Proof(
        raw=value,
        type=proof_type,
        cryptosuite=cryptosuite,
        verification_method=_required(value, "verificationMethod", path),
        proof_purpose=_required(value, "proofPurpose", path),
        proof_value=_text(value, "proofValue", path),
        id=_text(value, "id", path),
        created=_moment(value, "created", path),
        expires=_moment(value, "expires", path),
        domain=_texts(value, "domain", path),
        challenge=_text(value, "challenge", path),
        previous_proof=_texts(value, "previousProof", path),
        nonce=_text(value, "nonce", path),
    )


def proofs_of(document: JsonObject) -> tuple[Proof, ...]:
    """All proofs of a document in their order; none where there is no `proof` member.

    A proof that stands there again is left out: the array is a set (section 2.1.1), and a copy would only be verified
    again. Malformed: an empty array (reject list), more than 16, or two with one `id`, since a chain could then mean
    either.
    """
    if "proof" not in document:
        return ()
    value = document["proof"]
    if type(value) is not list:
        return (parse_proof(value),)
    if not 0 < len(value) <= MAX_PROOFS:
        raise Malformed(f"expected 1 to {MAX_PROOFS} proofs, got {len(value)}", path=("proof",))
    proofs = [parse_proof(item, ("proof", index)) for index, item in enumerate(value)]
    if len(proofs) == 1:
        return tuple(proofs)
    ids = [proof.id for proof in proofs if proof.id is not None]
    if len(set(ids)) != len(ids):
        raise Malformed("two proofs have the same id", path=("proof",))
    once: dict[str, Proof] = {}
    for proof in proofs:  # by their text, in which true is no 1
        once.setdefault(json.dumps(proof.raw, sort_keys=True), proof)
    return tuple(once.values())


def verify_expiry(proof: Proof, now: datetime) -> None:
    """Raise NotVerified where the proof has expired at `now`; the moment of `expires` is already too late."""
    if proof.expires is not None and now >= proof.expires:
        raise NotVerified(
            "the proof has expired", type=problem.PROOF_VERIFICATION_ERROR, path=("proof", "expires")
        )


def verify_purpose(proof: Proof, expected_purpose: str) -> None:
    """Raise NotVerified unless the proof was made for `expected_purpose`."""
    if proof.proof_purpose != expected_purpose:
        raise NotVerified(
            f"expected the proof purpose {expected_purpose}, got {proof.proof_purpose[:80]}",
            type=problem.PROOF_VERIFICATION_ERROR,
            path=("proof", "proofPurpose"),
        )


def verify_domain(proof: Proof, expected_domain: Collection[str]) -> None:
    """Raise NotVerified unless the proof's domains are, as a set, those expected."""
    if set(proof.domain) != set(expected_domain):
        raise NotVerified(
            "the proof is for another domain", type=problem.INVALID_DOMAIN_ERROR, path=("proof", "domain")
        )


def _text(value: JsonObject, member: str, path: tuple[str | int, ...]) -> str | None:
    text = value.get(member)
    if member in value and (type(text) is not str or not text):
        raise Malformed(f"{member} of a proof is a non-empty string", path=(*path, member))
    return text


def _required(value: JsonObject, member: str, path: tuple[str | int, ...]) -> str:
    text = _text(value, member, path)
    if text is None:
        raise Malformed(f"a proof has {member}", path=(*path, member))
    return text


def _texts(value: JsonObject, member: str, path: tuple[str | int, ...]) -> tuple[str, ...]:
    if member not in value:
        return ()
    found = value[member]
    texts = found if type(found) is list else [found]
    if not texts or not all(type(text) is str and text for text in texts) or len(set(texts)) != len(texts):
        raise Malformed(
            f"{member} of a proof is a string or an array of different strings", path=(*path, member)
        )
    return tuple(texts)


def _moment(value: JsonObject, member: str, path: tuple[str | int, ...]) -> datetime | None:
    text = _text(value, member, path)
    if text is None:
        return None
    try:
        # Section 2.1: an incorrectly serialized value without an offset is read as UTC.
        return parse_datetime_stamp(text if text[-1] == "Z" or _OFFSET.search(text) else text + "Z")
    except Malformed as error:
        raise Malformed(f"{member} of a proof is {error.detail}", path=(*path, member)) from error
