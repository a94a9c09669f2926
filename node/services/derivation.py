"""Deriving what a holder shows from a credential with selective disclosure (VCALM 1.0 section 3.4.1)."""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from node.core.canonical.rdfc import Canonicalizer
from node.core.dataintegrity import base_proofs_in, derive_proof, unsecured
from node.core.dataintegrity.bbs_2023 import Bbs2023, BoundHolder, nym_domain_of, presentation_header_of
from node.core.dataintegrity.bbs_binding import holder_of_json, is_bound
from node.core.dataintegrity.selective import MAX_POINTERS
from node.core.encoding import encode_base64url
from node.core.errors import Malformed
from node.core.members import within
from node.core.problem import pointer_of
from node.core.strict_json import JsonObject

_ENTROPY_BYTES: Final = 64
_HEX: Final = re.compile(r"(?:[0-9a-f]{2}){1,1024}\Z")


@dataclass(frozen=True, slots=True, repr=False)
class Showing:
    """For which occasion, and with which secrets of its holder, a credential of bbs-2023 is shown."""

    presentation_header: bytes = b""
    holder: BoundHolder | None = None


def derive(
    credential: JsonObject,
    pointers: Sequence[str],
    canonicalizer: Canonicalizer,
    showing: Showing = Showing(),
) -> JsonObject:
    """The credential's mandatory part and what the JSON Pointers select, with a proof for just that.

    Malformed: there is no base proof, or more than one, a pointer points to nothing, or secrets are missing.
    """
    bases = list(base_proofs_in(credential))
    if len(bases) != 1:
        raise Malformed(f"expected one base proof to derive from, found {len(bases)}", path=("proof",))
    entropy = secrets.token_bytes(_ENTROPY_BYTES)
    derived = derive_proof(
        credential,
        bases[0],
        pointers,
        canonicalizer,
        presentation_header=showing.presentation_header,
        entropy=entropy,
        holder=showing.holder,
    )
    return one_proof(derived)


def is_base(credential: JsonObject) -> bool:
    """Whether a credential with embedded proofs is one to derive from: its holder's alone."""
    return any(True for _ in base_proofs_in(credential))


def is_for_secrets(credential: JsonObject) -> bool:
    """Whether nothing is derived from its base proof but with secrets that its issuer does not know."""
    return any(base.cryptosuite == Bbs2023.name and is_bound(base) for base in base_proofs_in(credential))


def derive_all(credential: JsonObject, canonicalizer: Canonicalizer) -> JsonObject:
    """All that the holder of a base proof can show, as a verifier is shown it."""
    everything = [pointer_of([name]) for name in unsecured(credential) if name != "@context"]
    return derive(credential, everything, canonicalizer)


DERIVE_OPTIONS: Final = frozenset(
    {
        "selectivePointers",
        "challenge",
        "domain",
        "secretProverBlind",
        "holderSecret",
        "proverNym",
        "verifierId",
    }
)


def showing_in(options: JsonObject) -> Showing:
    """What the options of a request say of it.

    The names are those of the vectors of bbs-2023, and the values hex as there:
    `secretProverBlind`, `holderSecret` and `proverNym` are what the holder knows, `verifierId` is for whom a pseudonym
    is, by default `domain`. `challenge` and `domain`, both or neither, bind the proof to an occasion.
    """
    challenge, domain = (_text(options, name) for name in ("challenge", "domain"))
    header = b""
    if challenge is not None and domain is not None:
        header = presentation_header_of(challenge, domain)
    elif challenge is not None or domain is not None:
        raise Malformed("challenge and domain go together", path=("options",))
    return Showing(header, _holder_in(options, domain))


def _holder_in(options: JsonObject, domain: str | None) -> BoundHolder | None:
    secrets_named = [name for name in ("secretProverBlind", "holderSecret", "proverNym") if name in options]
    verifier = _text(options, "verifierId") or domain
    if not secrets_named:
        return None
    with within("options"):
        kept: JsonObject = {name: encode_base64url(_hex_bytes(options, name)) for name in secrets_named}
        holder = holder_of_json(kept)
    named = None if verifier is None else nym_domain_of(verifier)
    # Nobody else would know in which domain it is to be looked for.
    return replace(holder, nym_domain=named, tells_domain=domain is None and named is not None)


def hex_option(options: JsonObject, name: str) -> bytes:
    """Bytes that an option writes in hex, as the vectors of bbs-2023 do; none where there is no such option."""
    with within("options"):
        return _hex_bytes(options, name) if name in options else b""


def _hex_bytes(options: JsonObject, name: str) -> bytes:
    value = options[name]
    if not isinstance(value, str) or not _HEX.match(value):
        raise Malformed("expected bytes in lower-case hex", path=(name,))
    return bytes.fromhex(value)


def _text(options: JsonObject, name: str) -> str | None:
    value = options.get(name)
    if not isinstance(value, str | None):
        raise Malformed("a text", path=("options", name))
    return value


def pointers_of(options: JsonObject, name: str) -> tuple[str, ...]:
    """JSON Pointers that an option lists; none where there is no such option."""
    listed = options.get(name, [])
    if not isinstance(listed, list) or len(listed) > MAX_POINTERS:
        raise Malformed(f"an array of at most {MAX_POINTERS:,} JSON Pointers", path=("options", name))
    if not all(isinstance(pointer, str) for pointer in listed):
        raise Malformed("a JSON Pointer is a text", path=("options", name))
    return tuple(listed)


def one_proof(secured: JsonObject) -> JsonObject:
    """One proof as an object, not in an array: clients of the older interface look for its members there."""
    proofs = secured.get("proof")
    return {**secured, "proof": proofs[0]} if isinstance(proofs, list) and len(proofs) == 1 else secured
