"""What has to be in the vault, each with what a verifier must find; `write.py` makes what is missing.

The outcomes stand here by hand: a specimen of which the engine says anything else is not written.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from node.core.verify.report import CheckName, Outcome

Outcomes = Mapping[CheckName, Outcome]

_NONE, _OPEN, _FAILED, _PASSED = Outcome.NOT_APPLICABLE, Outcome.UNKNOWN, Outcome.FAILED, Outcome.PASSED
# What is usual: a badge in its bundle, judged by somebody who asked nothing.
_USUAL: Final[Outcomes] = {
    **dict.fromkeys(CheckName, _PASSED),
    CheckName.EVIDENCE: _NONE,
    CheckName.HOLDER_BINDING: _OPEN,
    CheckName.CHALLENGE: _NONE,
    CheckName.DOMAIN: _NONE,
}
_ANSWERS: Final = dict.fromkeys((CheckName.CHALLENGE, CheckName.DOMAIN), _PASSED)
_BOUND: Final = {CheckName.HOLDER_BINDING: _PASSED, **_ANSWERS}
_WITH_EVIDENCE: Final = {CheckName.EVIDENCE: _PASSED}
_NO_CHAIN: Final = dict.fromkeys(
    (CheckName.NETWORK, CheckName.HEADER, CheckName.ANCHOR, CheckName.KEY, CheckName.FRESHNESS), _NONE
)
_NO_STATUS: Final = {CheckName.STATUS: _NONE}
_REVOKED: Final = {CheckName.STATUS: _FAILED}
_UNLINKABLE: Final = {CheckName.ANCHOR: _NONE, CheckName.STATUS: _NONE}
_NO_SCHEMA: Final = {CheckName.SCHEMA: _NONE}
_SCHEMA_LACKS: Final = {CheckName.SCHEMA: _OPEN}
_BASE: Final = {CheckName.PROOF: _FAILED}
_UNPROVEN: Final = dict.fromkeys(
    (CheckName.HEADER, CheckName.ANCHOR, CheckName.KEY, CheckName.STATUS, CheckName.FRESHNESS), _OPEN
)
_BUNDLE_MISSING: Final = {**_UNPROVEN, CheckName.PROOF: _OPEN, CheckName.PROOF_PURPOSE: _OPEN}
_ACCEPTED, _REFUSED, _UNDETERMINED = "accepted", "refused", "undetermined"

ALGORITHMS: Final = ("EdDSA", "ES256", "ES384")
TOKENS: Final[Mapping[str, str]] = {
    "vc-jwt": "vc+jwt",
    "vc-cose": "vc+cose",
    "vc-sd-jwt": "vc+sd-jwt",
    "dc-sd-jwt": "dc+sd-jwt",
}
"""The securing of each token, by its part of a specimen's name."""


@dataclass(frozen=True)
class Kind:
    """One thing that is issued or shown: in a sentence, with the verdict and all sixteen outcomes."""

    what: str
    acceptance: str
    checks: Mapping[str, str]
    mode: str


def _kind(what: str, *differs: Outcomes, acceptance: str = _ACCEPTED, mode: str = "offline") -> Kind:
    outcomes = dict(_USUAL)
    for some in differs:
        outcomes |= some
    return Kind(what, acceptance, {str(name): str(outcome) for name, outcome in outcomes.items()}, mode)


def _whole() -> dict[str, Kind]:
    found = {
        suite: _kind(f"A badge with {suite}, in its bundle.")
        for suite in ("eddsa-rdfc-2022", "eddsa-jcs-2022")
    }
    for suite in ("ecdsa-rdfc-2019", "ecdsa-jcs-2019"):
        for curve in ("P-256", "P-384"):
            found[f"{suite}-{curve}"] = _kind(f"A badge with {suite} on {curve}, in its bundle.")
    for name, securing in TOKENS.items():
        schema = _NO_SCHEMA if name == "dc-sd-jwt" else {}
        for algorithm in ALGORITHMS:
            what = f"A badge as {securing}, signed with {algorithm}, in its bundle."
            found[f"{name}-{algorithm}"] = _kind(what, schema)
    return found


def _in_part() -> dict[str, Kind]:
    kept = "as its holder keeps it; shown to others it is refused."
    found = {
        "ecdsa-sd-2023-base": _kind(
            f"A badge with a base proof of ecdsa-sd-2023, {kept}", _BASE, acceptance=_REFUSED
        ),
        "ecdsa-sd-2023-part": _kind(
            "Name and one result of that badge, derived, in the bundle.", _SCHEMA_LACKS
        ),
        "bbs-2023-base": _kind(
            f"A badge with a base proof of bbs-2023, {kept}",
            _BASE,
            {CheckName.SCHEMA: _FAILED, CheckName.ANCHOR: _NONE, CheckName.STATUS: _NONE},
            acceptance=_REFUSED,
        ),
        "bbs-2023-part": _kind(
            "Name and one result of that badge, derived, in the bundle.", _UNLINKABLE, _SCHEMA_LACKS
        ),
    }
    for name in ("ecdsa-sd-2023", "vc-sd-jwt"):
        least = "Of a badge whose issuer made two names mandatory the least that can be shown, in the bundle."
        found[f"{name}-least"] = _kind(least, _SCHEMA_LACKS)
    for name, schema in (("vc-sd-jwt", _SCHEMA_LACKS), ("dc-sd-jwt", _NO_SCHEMA)):
        part = f"Name and one result of {name}-EdDSA, nothing else disclosed"
        found[f"{name}-part"] = _kind(f"{part}, in the bundle.", schema)
        found[f"{name}-key-binding"] = _kind(
            f"{part}, with a key binding for one verifier; the bundle beside.", schema, _BOUND
        )
    return found


def _other_types() -> dict[str, Kind]:
    missing = (_BUNDLE_MISSING, {CheckName.VALIDITY_PERIOD: _OPEN})
    return {
        "endorsement-eddsa-rdfc-2022": _kind("An endorsement with eddsa-rdfc-2022, in its bundle."),
        "endorsement-vc-jwt": _kind("An endorsement as vc+jwt, in its bundle."),
        "endorsement-ecdsa-sd-2023": _kind(
            "All of an endorsement with ecdsa-sd-2023, derived, in its bundle."
        ),
        "record-eddsa-rdfc-2022": _kind(
            "A learner's record of two badges in its bundle; the bundles of the badges are not there.",
            *missing,
            acceptance=_UNDETERMINED,
        ),
        "record-vc-jwt": _kind(
            "The same badges in a record as vc+jwt, in its bundle alone.", *missing, acceptance=_UNDETERMINED
        ),
        "record-with-bundles": _kind(
            "The first record in a presentation, its bundle and those of both badges beside.", _BOUND
        ),
    }


def _states() -> dict[str, Kind]:
    return {
        "suspendable": _kind("A badge with two status entries, revocation and suspension."),
        "revoked": _kind(
            "A badge that was revoked before its bundle was proven.", _REVOKED, acceptance=_REFUSED
        ),
        "suspended": _kind("A badge that is suspended.", _REVOKED, acceptance=_REFUSED),
        "reinstated": _kind("A badge that was suspended and reinstated."),
        "message": _kind("A badge whose status says the third of four messages."),
        "expired": _kind(
            "A badge of one day, judged two days later.",
            {CheckName.VALIDITY_PERIOD: _FAILED, CheckName.FRESHNESS: _OPEN},
            acceptance=_REFUSED,
        ),
        "bearer": _kind("A badge that is out to nobody."),
        "retired-key": _kind("A badge signed and anchored before its key was retired, proven afterwards."),
        "evidence-all": _kind("A badge with two files of evidence, both shown.", _WITH_EVIDENCE),
        "evidence-one": _kind("The same, one shown and of the other its leaf.", _WITH_EVIDENCE),
        "evidence-none": _kind("The same, nothing shown."),
        "evidence-erased": _kind(
            "A badge whose issuer erased one of two files; the other is shown.", _WITH_EVIDENCE
        ),
        "alone": _kind("A badge without its bundle.", _BUNDLE_MISSING, acceptance=_UNDETERMINED),
        "alone-vc-jwt": _kind(
            "The text of a vc+jwt without its bundle.", _BUNDLE_MISSING, acceptance=_UNDETERMINED
        ),
    }


def _shown() -> dict[str, Kind]:
    with_evidence = "its bundle with one file of evidence beside."
    return {
        "baked-png": _kind(f"A badge in a PNG image, {with_evidence}", _WITH_EVIDENCE),
        "baked-svg": _kind(f"A badge in an SVG image, {with_evidence}", _WITH_EVIDENCE),
        "baked-svg-vc-jwt": _kind("A badge as vc+jwt in an SVG image, its bundle beside."),
        "baked-png-ecdsa-sd-2023": _kind("All of a badge with ecdsa-sd-2023, derived, in a PNG image."),
        "presentation": _kind(
            "Three badges (embedded proof, vc+jwt, vc+cose) in one presentation signed on Ed25519.",
            _BOUND,
            _WITH_EVIDENCE,
        ),
        "presentation-P-256": _kind("A badge in a presentation signed on P-256.", _BOUND),
        "presentation-vp-jwt": _kind("A badge in a presentation as vp+jwt.", _BOUND),
        "presentation-ecdsa-sd-2023": _kind(
            "A part of a badge with ecdsa-sd-2023 in a presentation.", _BOUND, _SCHEMA_LACKS
        ),
        "presentation-bbs-2023": _kind(
            "A part of a badge with bbs-2023, derived for one verifier.", _UNLINKABLE, _ANSWERS, _SCHEMA_LACKS
        ),
    }


def _without_chain() -> dict[str, Kind]:
    listed = "and the status list that it names"
    found = {
        f"did-key-{kind}": _kind(f"A badge with {suite} by a did:key on {kind}.", _NO_CHAIN, _NO_STATUS)
        for kind, suite in (
            ("Ed25519", "eddsa-rdfc-2022"),
            ("P-256", "ecdsa-rdfc-2019"),
            ("P-384", "ecdsa-jcs-2019"),
        )
    }
    return {
        **found,
        "did-key-vc-jwt": _kind("The text of a vc+jwt by a did:key.", _NO_CHAIN, _NO_STATUS),
        "did-key-vc-cose": _kind("The bytes of a vc+cose by a did:key.", _NO_CHAIN, _NO_STATUS),
        "did-key-bbs-2023": _kind(
            "All of a badge with bbs-2023 by a did:key, derived.", _NO_CHAIN, _NO_STATUS, _SCHEMA_LACKS
        ),
        "did-key-record": _kind("A learner's record of one badge, all by a did:key.", _NO_CHAIN, _NO_STATUS),
        "did-key-presentation": _kind(
            "A badge by a did:key in a presentation.", _NO_CHAIN, _NO_STATUS, _BOUND
        ),
        "did-key-list": _kind("A status list by a did:key.", _NO_CHAIN, _NO_STATUS, _NO_SCHEMA),
        "did-key-listed": _kind(f"A badge by a did:key, {listed}.", _NO_CHAIN, mode="full"),
        "did-key-list-unread": _kind(
            "The same where the list is not fetched.",
            _NO_CHAIN,
            {CheckName.STATUS: _OPEN},
            acceptance=_UNDETERMINED,
        ),
        "did-key-revoked": _kind(
            "A badge that the same list revokes.", _NO_CHAIN, _REVOKED, acceptance=_REFUSED, mode="full"
        ),
        "did-key-suspended": _kind(
            "A badge that another list suspends.", _NO_CHAIN, _REVOKED, acceptance=_REFUSED, mode="full"
        ),
        "did-key-message": _kind(
            "A badge of which a list says the third of four messages.", _NO_CHAIN, mode="full"
        ),
        "did-key-vc-sd-jwt": _kind(
            f"The text of a vc+sd-jwt by a did:key, {listed}.", _NO_CHAIN, mode="full"
        ),
        "did-key-dc-sd-jwt": _kind(
            f"The text of a dc+sd-jwt by a did:key, {listed}.", _NO_CHAIN, _NO_SCHEMA, mode="full"
        ),
    }


def _as_blockcerts() -> dict[str, Kind]:
    return {
        "blockcerts": _kind(
            "A badge as Blockcerts v3; its transaction is not looked up.",
            _BUNDLE_MISSING,
            _NO_SCHEMA,
            acceptance=_UNDETERMINED,
        ),
        "blockcerts-transaction": _kind(
            "The same, with the transaction and the DID document as endpoints tell them.",
            _UNPROVEN,
            _NO_SCHEMA,
            acceptance=_UNDETERMINED,
            mode="chain",
        ),
    }


def _bound() -> dict[str, Kind]:
    """bbs-2023 with a secret of the holder's."""
    what = {
        "holder": "to a secret of its holder's",
        "pseudonym": "to a secret with pseudonyms",
        "both": "to a secret, with pseudonyms",
    }
    found = {
        f"bbs-2023-{name}": _kind(
            f"All of a badge with bbs-2023, bound {bound}, derived for one verifier; its bundle beside.",
            _UNLINKABLE,
            _BOUND,
            _SCHEMA_LACKS,
        )
        for name, bound in what.items()
    }
    return {
        **found,
        "bbs-2023-both-base": _kind(
            "A badge with bbs-2023 bound to a secret, with pseudonyms, as its holder keeps it, the secrets beside; "
            "shown to others it is refused.",
            _BASE,
            {CheckName.SCHEMA: _FAILED, CheckName.ANCHOR: _NONE, CheckName.STATUS: _NONE},
            acceptance=_REFUSED,
        ),
        "bbs-2023-both-part": _kind(
            "Name and one result of that badge, derived for nobody, in the bundle.",
            _UNLINKABLE,
            _SCHEMA_LACKS,
        ),
        "bbs-2023-both-presentation": _kind(
            "Name and one result of that badge, derived for the verifier to which all of it was shown.",
            _UNLINKABLE,
            _BOUND,
            _SCHEMA_LACKS,
        ),
    }


def _by_others() -> dict[str, Kind]:
    """Bundles that hold more than the issuer's own state."""
    seen = "in a bundle with what a witness saw there and anchored."
    return {
        "hop": _kind(
            "A badge whose proof is of a block that no checkpoint names, led by a hop (EIP-2935) to one that is."
        ),
        "hop-revoked": _kind(
            "A badge that was revoked, proven and led by a hop in the same way.",
            _REVOKED,
            acceptance=_REFUSED,
        ),
        "witness-did-web": _kind(f"A badge by a did:web, {seen}", _NO_CHAIN, _NO_STATUS),
        "witness-did-webvh": _kind(
            f"A badge by the newest of two entries of a did:webvh, {seen}", _NO_CHAIN, _NO_STATUS
        ),
    }


PAPERS: Final[Mapping[str, str]] = {
    "checkpoint": "A checkpoint file that its operator signed.",
    "audit": "What a school says it wrote to the chain, and what the chain shows.",
    "did-configuration": "What the site of a school says of its DID, whose document names the site.",
}
"""What is issued beside credentials, by its kind: in a sentence."""

KINDS: Final[Mapping[str, Kind]] = {
    **_whole(),
    **_in_part(),
    **_other_types(),
    **_states(),
    **_shown(),
    **_without_chain(),
    **_as_blockcerts(),
    **_bound(),
    **_by_others(),
}
