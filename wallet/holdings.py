"""What is held and where it came from: a credential, its bundle, and what the last look at them found.

A credential is kept as it was issued: a JSON object with proofs in it, the text of a token, or, of a token of bytes,
the object that envelops it. It is known by the digest that its anchor is over (FORMATS.md section 3), so a credential
and a bundle that arrive apart meet, and the same credential in another file, or with more of it disclosed, is the same
holding. Pure; keeping is `store.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property
from hashlib import sha256
from typing import Final

from node.core.anchor import credential_digest, issued_digest
from node.core.bundle import Bundle, ShownDocument
from node.core.canonical.jcs import canonicalize
from node.core.dataintegrity.bbs_2023 import BoundHolder
from node.core.dataintegrity.proof import proofs_of
from node.core.envelope import enveloped
from node.core.errors import Malformed, NotFound, NotVerified
from node.core.evidence import ShownEvidence, WithheldEvidence, committed_in, verify_shown
from node.core.evm.header import Header, parse_header
from node.core.jose.sd_jwt import parse_sd_jwt
from node.core.merkle.tree import leaf_hash
from node.core.strict_json import JsonObject
from node.core.times import format_datetime_stamp, from_unix, parse_datetime_stamp
from node.core.verify.intake import Shown
from node.core.verify.intake import shown as read_credential
from wallet.claims import begin_in, end_in, issuer_in, issuer_name_in, name_in, objects_in, subjects_in
from wallet.disclose import Choices, base_proof_in, choices_of

SHORT_DIGITS: Final = 10


# Of at most 31 days (FORMATS.md section 3): time to ask for its successor, and to ask again.
RENEWED_BEFORE: Final = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Provenance:
    """How a credential came here: `how` is issued or imported, `source` an issuer's URL or a file's name."""

    how: str
    source: str
    received: datetime


@dataclass(frozen=True, slots=True)
class LastCheck:
    """The verdict of the last look, in words, with each check that stayed open or failed."""

    at: datetime
    acceptance: str
    headline: str
    sentence: str
    doubts: tuple[tuple[str, str, str], ...] = ()
    """Check, outcome, basis."""

    def to_json(self) -> JsonObject:
        """For the store and for `--json`."""
        return {
            "at": format_datetime_stamp(self.at),
            "acceptance": self.acceptance,
            "headline": self.headline,
            "sentence": self.sentence,
            "doubts": [list(doubt) for doubt in self.doubts],
        }


@dataclass(frozen=True)
class Holding:
    """One credential of the holder's. `digest` is how it is known; `bundle` travels without the credential."""

    digest: bytes
    credential: JsonObject | str
    provenance: Provenance
    bundle: Bundle | None = None
    last_check: LastCheck | None = None
    secrets: BoundHolder | None = None
    """What it is bound to beside its subject's key (bbs-2023)."""

    @property
    def id(self) -> str:
        """The digest as text; any prefix that is unique names the holding as well."""
        return self.digest.hex()

    @property
    def short(self) -> str:
        """What lists print."""
        return self.id[:SHORT_DIGITS]

    @cached_property
    def shown(self) -> Shown:
        """The credential as the engine reads it, without its bundle."""
        return read_credential(self.credential)

    @property
    def document(self) -> JsonObject:
        """What the credential says; of an SD-JWT VC its claims."""
        return self.shown.document

    @cached_property
    def choices(self) -> Choices:
        """What of it may be left out."""
        return choices_of(self.credential, self.shown, self.secrets)

    @property
    def securing(self) -> str:
        """How it is secured: a cryptosuite or older type of proof, or the kind of token."""
        envelope = self.shown.envelope
        if envelope is not None:
            return envelope.media_type.removeprefix("application/")
        try:
            names = [proof.cryptosuite or proof.type for proof in proofs_of(self.document)]
        except Malformed:
            names = []
        return ", ".join(dict.fromkeys(names)) or "nothing"

    @property
    def name(self) -> str:
        """What the credential calls itself, else what it is."""
        return name_in(self.document)

    @property
    def issuer_id(self) -> str:
        """Who says to have issued it."""
        return issuer_in(self.document) or (self._claimed_issuer or "")

    @property
    def _claimed_issuer(self) -> str | None:
        return None if self.shown.envelope is None else self.shown.envelope.claims.issuer

    @property
    def issuer_name(self) -> str | None:
        """What the issuer calls itself in the credential; nobody vouches for it."""
        return issuer_name_in(self.document)

    @property
    def subject_ids(self) -> tuple[str, ...]:
        """The subjects that are named by an identifier."""
        return subjects_in(self.document)

    @property
    def valid_from(self) -> str | None:
        """When it begins to be valid, as it says."""
        return begin_in(self.document)

    @property
    def valid_until(self) -> str | None:
        """When it ends, as it says."""
        return end_in(self.document)

    @property
    def evidence(self) -> tuple[ShownEvidence, ...]:
        """The items that are held with their bytes, in the order of their index."""
        items = self.bundle.evidence if self.bundle else ()
        return tuple(
            sorted((one for one in items if isinstance(one, ShownEvidence)), key=lambda one: one.index)
        )

    @property
    def header(self) -> Header | None:
        """The block header that the bundle's state was proven at."""
        if self.bundle is None or self.bundle.state is None:
            return None
        try:
            return parse_header(self.bundle.state.header)
        except Malformed:
            return None

    @property
    def hop(self) -> Header | None:
        """The newer header that the bundle's state is led to, where there is one (EIP-2935)."""
        if self.bundle is None or self.bundle.state is None or self.bundle.state.hop is None:
            return None
        try:
            return parse_header(self.bundle.state.hop.header)
        except Malformed:
            return None

    def full_bundle(self) -> Bundle:
        """The bundle with the credential in it; NotFound where none is held."""
        return self._bundle().with_credential(self.credential)

    def loose_bundle(self, names: Iterable[str], credential: JsonObject | str | None = None) -> Bundle:
        """The bundle that travels beside the credential, showing the evidence items of these names and no others.

        `credential` is what is shown, where that is not the whole. Beside one that cannot be linked only what is the
        same for all its holders goes along: the key, and the state that proves it.
        """
        bundle = show_only(self._bundle(), names)
        if self.choices.for_occasion:
            bundle = replace(bundle, anchor=None, evidence=())
        anchor = bundle.anchor
        known = self.shown if credential is None else read_credential(credential)
        digest = ShownDocument(known.document, known.envelope).digest(anchor.proof_value if anchor else None)
        return bundle.without_credential(self.digest if digest is None else digest)

    def _bundle(self) -> Bundle:
        if self.bundle is None:
            raise NotFound(
                f"no bundle is held for {self.short}: fetch it with `receive --resume`, or import it"
            )
        return self.bundle


def as_kept(shown: Shown) -> JsonObject | str:
    """A credential in the form in which it is kept, whatever it came in."""
    if shown.envelope is None:
        return shown.document
    token = shown.envelope.token
    return token if isinstance(token, str) else enveloped(shown.envelope)


def digests_of(shown: Shown) -> tuple[bytes, ...]:
    """Every digest under which a bundle can name this credential: of a token one, else one for each of its proofs.

    The first is how the wallet knows it: that of the issuer's proof, where it can be told.
    """
    if shown.envelope is not None:
        return (issued_digest(shown.envelope.digest_input),)
    document = shown.document
    listed = document.get("proof")
    proofs = [one for one in (listed if isinstance(listed, list) else [listed]) if isinstance(one, dict)]
    if len(proofs) == 1:
        return (credential_digest(document),)
    issuer = issuer_in(document)
    ordered = sorted(
        proofs, key=lambda one: not str(one.get("verificationMethod", "")).startswith(f"{issuer}#")
    )
    found = []
    for proof in ordered:
        value = proof.get("proofValue")
        if isinstance(value, str):
            found.append(credential_digest({**document, "proof": proof}))
    return tuple(dict.fromkeys(found)) or (sha256(canonicalize(document)).digest(),)


def belongs(bundle: Bundle, shown: Shown) -> bool:
    """Whether a bundle is this credential's."""
    if bundle.credential is not None:
        return ShownDocument(shown.document, shown.envelope).is_same(bundle.credential)
    return bundle.credential_digest in digests_of(shown)


def new_holding(
    credential: JsonObject | str,
    bundle: Bundle | None,
    provenance: Provenance,
    secrets: BoundHolder | None = None,
) -> Holding:
    """A holding of `credential`; NotVerified where the bundle is another credential's."""
    shown = read_credential(credential)
    digest = digests_of(shown)[0]
    if bundle is not None and not belongs(bundle, shown):
        raise NotVerified("the bundle belongs to another credential")
    loose = bundle.without_credential(digest) if bundle else None
    return Holding(digest, as_kept(shown), provenance, loose, secrets=secrets)


def fuller(held: Holding, arriving: JsonObject | str) -> JsonObject | str:
    """The one of two forms of a credential of which more can be shown: a base proof, more Disclosures of an SD-JWT."""
    if isinstance(held.credential, str) and isinstance(arriving, str):
        if "~" not in held.credential or "~" not in arriving:
            return held.credential
        known, more = parse_sd_jwt(held.credential), parse_sd_jwt(arriving)
        return "~".join((known.issued_text, *dict.fromkeys((*known.disclosures, *more.disclosures)), ""))
    if isinstance(held.credential, dict) and isinstance(arriving, dict):
        is_base = base_proof_in(held.credential) is not None
        return held.credential if is_base or base_proof_in(arriving) is None else arriving
    return held.credential


def merged(held: Holding, arriving: Bundle, *, header_trusted: bool) -> Holding:
    """`held` with what `arriving` adds; nothing that is held is lost.

    Place and key stay as they are. The state is taken where its header is trusted and newer: without a trusted header
    anybody could have made one. An item of evidence is taken if it is what the credential commits to.
    """
    if held.bundle is None:
        return replace(held, bundle=arriving.without_credential(held.digest))
    bundle, offered = held.bundle, Holding(held.digest, held.credential, held.provenance, arriving).header
    current = held.header
    newer = offered is not None and (current is None or offered.number > current.number)
    # A state is of what the bundle has beside it: one without a snapshot proves nothing of that which is held.
    keeps_snapshot = bundle.did_document is not None and arriving.did_document is None
    same = (arriving.anchor, arriving.key) == (bundle.anchor, bundle.key) and not keeps_snapshot
    if header_trusted and newer and same:
        bundle = replace(bundle, state=arriving.state)
    if bundle.anchor is None and bundle.key is None and not keeps_snapshot:
        bundle = replace(arriving.without_credential(held.digest), evidence=bundle.evidence)
    return replace(
        held, bundle=replace(bundle, evidence=_union(held.document, bundle.evidence, arriving.evidence))
    )


def show_only(bundle: Bundle, names: Iterable[str]) -> Bundle:
    """The bundle with the named items shown and nothing but the leaf hash of every other.

    NotFound where a name is not held.
    """
    wanted = set(names)
    held = {one.item.name for one in bundle.evidence if isinstance(one, ShownEvidence)}
    if missing := sorted(wanted - held):
        raise NotFound(f"no evidence named {missing[0]!r} is held: there is {_listing(held)}")
    return replace(
        bundle,
        evidence=tuple(
            one
            if isinstance(one, WithheldEvidence) or one.item.name in wanted
            else WithheldEvidence(_leaf(one))
            for one in bundle.evidence
        ),
    )


def runs_out(holding: Holding, now: datetime) -> bool:
    """Whether it ends within days and was meant to be issued anew (bbs-2023): no proof from a chain prolongs it."""
    if not holding.choices.for_occasion or holding.valid_until is None:
        return False
    try:
        return parse_datetime_stamp(holding.valid_until) - now <= RENEWED_BEFORE
    except Malformed:
        return False


def find(holdings: Sequence[Holding], text: str) -> Holding:
    """The holding that a digest, the beginning of one, or a credential's own id names; NotFound, or ambiguous."""
    wanted = text.lower().removeprefix("0x")
    matching = [
        one for one in holdings if (wanted and one.id.startswith(wanted)) or one.document.get("id") == text
    ]
    if not matching:
        raise NotFound(f"nothing held is named {text!r}: `wallet list` shows what there is")
    if len(matching) > 1:
        raise NotFound(f"{text!r} names {len(matching)} holdings: give more digits")
    return matching[0]


def summary(holding: Holding) -> JsonObject:
    """A holding for lists and for `--json`."""
    header, hop = holding.header, holding.hop
    body: JsonObject = {
        "id": holding.id,
        "name": holding.name,
        "issuer": holding.issuer_id,
        "issuerCallsItself": holding.issuer_name,
        "securing": holding.securing,
        "boundToSecret": holding.secrets is not None,
        "validUntil": holding.valid_until,
        "received": format_datetime_stamp(holding.provenance.received),
        "how": holding.provenance.how,
        "source": holding.provenance.source,
        "bundle": holding.bundle is not None,
        "header": None
        if header is None
        else {"number": header.number, "time": format_datetime_stamp(from_unix(header.timestamp))},
        "hop": None if hop is None else {"number": hop.number},
        "evidence": [
            {
                "name": one.item.name,
                "mediaType": one.item.media_type,
                "genre": one.item.genre,
                "length": len(one.item.data),
            }
            for one in holding.evidence
        ],
        "lastCheck": holding.last_check.to_json() if holding.last_check else None,
    }
    return body


def _union(
    document: JsonObject,
    held: Sequence[ShownEvidence | WithheldEvidence],
    arriving: Sequence[ShownEvidence | WithheldEvidence],
) -> tuple[ShownEvidence | WithheldEvidence, ...]:
    shown = {_leaf(one): one for one in held if isinstance(one, ShownEvidence)}
    for one in arriving:
        if isinstance(one, ShownEvidence) and _leaf(one) not in shown and _committed(document, one):
            shown[_leaf(one)] = one
    withheld = [
        one
        for one in dict.fromkeys(one for one in (*held, *arriving) if isinstance(one, WithheldEvidence))
        if one.leaf not in shown
    ]
    return (*sorted(shown.values(), key=lambda one: one.index), *withheld)


def _committed(document: JsonObject, shown: ShownEvidence) -> bool:
    for value in objects_in(document.get("evidence")):
        try:
            made = committed_in(value)
            if made is not None:
                verify_shown(made, shown)
                return True
        except (Malformed, NotVerified):
            continue
    return False


def _leaf(shown: ShownEvidence) -> bytes:
    return leaf_hash(shown.item.entry(shown.salt))


def _listing(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"
