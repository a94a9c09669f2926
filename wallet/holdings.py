"""What is held and where it came from: a credential, its bundle, and what the last look at them found.

A credential is known by the digest that its anchor is over (FORMATS.md section 3), so a credential and a bundle that
arrive apart meet, and the same credential in another file is the same holding. Pure; keeping is `store.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256
from typing import Any, Final

from node.core.anchor import credential_digest
from node.core.bundle import Bundle
from node.core.canonical.jcs import canonicalize
from node.core.credential import types_of
from node.core.errors import Malformed, NotFound, NotVerified
from node.core.evidence import ShownEvidence, WithheldEvidence, committed_in, verify_shown
from node.core.evm.header import Header, parse_header
from node.core.merkle.tree import leaf_hash
from node.core.strict_json import Json, JsonObject
from node.core.times import format_datetime_stamp, from_unix

SHORT_DIGITS: Final = 10


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


@dataclass(frozen=True, slots=True)
class Holding:
    """One credential of the holder's. `digest` is how it is known; `bundle` travels without the credential."""

    digest: bytes
    credential: JsonObject
    provenance: Provenance
    bundle: Bundle | None = None
    last_check: LastCheck | None = None

    @property
    def id(self) -> str:
        """The digest as text; any prefix that is unique names the holding as well."""
        return self.digest.hex()

    @property
    def short(self) -> str:
        """What lists print."""
        return self.id[:SHORT_DIGITS]

    @property
    def name(self) -> str:
        """What the credential calls itself, else what it is."""
        achievement = _object(_subject(self.credential).get("achievement"))
        types = [name for name in types_of(self.credential) if name != "VerifiableCredential"]
        for value in (self.credential.get("name"), achievement.get("name"), *types):
            if isinstance(value, str) and value:
                return value
        return "a credential"

    @property
    def issuer_id(self) -> str:
        """Who says to have issued it."""
        issuer = self.credential.get("issuer")
        value = issuer.get("id") if isinstance(issuer, dict) else issuer
        return value if isinstance(value, str) else ""

    @property
    def issuer_name(self) -> str | None:
        """What the issuer calls itself in the credential; nobody vouches for it."""
        value = _object(self.credential.get("issuer")).get("name")
        return value if isinstance(value, str) else None

    @property
    def subject_ids(self) -> tuple[str, ...]:
        """The subjects that are named by an identifier."""
        subjects = self.credential.get("credentialSubject")
        listed = subjects if isinstance(subjects, list) else [subjects]
        return tuple(
            subject["id"]
            for subject in listed
            if isinstance(subject, dict) and isinstance(subject.get("id"), str)
        )

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

    def full_bundle(self) -> Bundle:
        """The bundle with the credential in it; NotFound where none is held."""
        return self._bundle().with_credential(self.credential)

    def loose_bundle(self, shown: Iterable[str]) -> Bundle:
        """The bundle that travels beside the credential, showing the evidence items of these names and no others."""
        return show_only(self._bundle(), shown).without_credential(self._bundle_digest())

    def _bundle(self) -> Bundle:
        if self.bundle is None:
            raise NotFound(
                f"no bundle is held for {self.short}: fetch it with `receive --resume`, or import it"
            )
        return self.bundle

    def _bundle_digest(self) -> bytes:
        anchor = self._bundle().anchor
        return credential_digest(self.credential, anchor.proof_value if anchor else None)


def digests_of(document: JsonObject) -> tuple[bytes, ...]:
    """Every digest under which a bundle can name this credential: one for each of its proofs.

    The first is how the wallet knows it: that of the issuer's proof, where it can be told.
    """
    listed = document.get("proof")
    proofs = [one for one in (listed if isinstance(listed, list) else [listed]) if isinstance(one, dict)]
    if len(proofs) == 1:
        return (credential_digest(document),)
    issuer = document.get("issuer")
    issuer_id = issuer.get("id") if isinstance(issuer, dict) else issuer
    ordered = sorted(
        proofs, key=lambda one: not str(one.get("verificationMethod", "")).startswith(f"{issuer_id}#")
    )
    found = []
    for proof in ordered:
        value = proof.get("proofValue")
        if isinstance(value, str):
            found.append(credential_digest({**document, "proof": proof}))
    return tuple(dict.fromkeys(found)) or (sha256(canonicalize(document)).digest(),)


def belongs(bundle: Bundle, document: JsonObject) -> bool:
    """Whether a bundle is this credential's."""
    if bundle.credential is not None:
        return bundle.credential == document
    return bundle.credential_digest in digests_of(document)


def new_holding(document: JsonObject, bundle: Bundle | None, provenance: Provenance) -> Holding:
    """A holding of `document`; NotVerified where the bundle is another credential's."""
    digest = digests_of(document)[0]
    if bundle is not None and not belongs(bundle, document):
        raise NotVerified("the bundle belongs to another credential")
    return Holding(digest, document, provenance, bundle.without_credential(digest) if bundle else None)


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
    if header_trusted and newer and arriving.anchor == bundle.anchor and arriving.key == bundle.key:
        bundle = replace(bundle, state=arriving.state)
    if bundle.anchor is None and bundle.key is None:
        bundle = replace(arriving.without_credential(held.digest), evidence=bundle.evidence)
    return replace(
        held, bundle=replace(bundle, evidence=_union(held.credential, bundle.evidence, arriving.evidence))
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


def find(holdings: Sequence[Holding], text: str) -> Holding:
    """The holding that a digest, the beginning of one, or a credential's own id names; NotFound, or ambiguous."""
    wanted = text.lower().removeprefix("0x")
    matching = [
        one for one in holdings if (wanted and one.id.startswith(wanted)) or one.credential.get("id") == text
    ]
    if not matching:
        raise NotFound(f"nothing held is named {text!r}: `wallet list` shows what there is")
    if len(matching) > 1:
        raise NotFound(f"{text!r} names {len(matching)} holdings: give more digits")
    return matching[0]


@dataclass(frozen=True, slots=True)
class ResultRow:
    """One result of the assessment, as a person reads it; empty texts where the credential says nothing."""

    criterion: str
    level: str
    value: str
    description: str


def results_of(document: JsonObject) -> tuple[ResultRow, ...]:
    """The results of an Open Badges credential, each joined with its description by the achievement."""
    subject = _subject(document)
    described = {
        _text(one, "id"): one
        for one in _objects(_object(subject.get("achievement")).get("resultDescription"))
    }
    rows = []
    for result in _objects(subject.get("result")):
        about = described.get(_text(result, "resultDescription"), {})
        levels = {_text(one, "id"): one for one in _objects(about.get("rubricCriterionLevel"))}
        level = levels.get(_text(result, "achievedLevel"), {})
        rows.append(
            ResultRow(
                _text(about, "name") or _text(result, "resultDescription"),
                _text(level, "name") or _text(result, "achievedLevel"),
                _text(result, "value") or _text(result, "status") or _text(level, "points"),
                _text(level, "description"),
            )
        )
    return tuple(rows)


def summary(holding: Holding) -> JsonObject:
    """A holding for lists and for `--json`."""
    header = holding.header
    body: JsonObject = {
        "id": holding.id,
        "name": holding.name,
        "issuer": holding.issuer_id,
        "issuerCallsItself": holding.issuer_name,
        "validUntil": holding.credential.get("validUntil"),
        "received": format_datetime_stamp(holding.provenance.received),
        "how": holding.provenance.how,
        "source": holding.provenance.source,
        "bundle": holding.bundle is not None,
        "header": None
        if header is None
        else {"number": header.number, "time": format_datetime_stamp(from_unix(header.timestamp))},
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
    for value in _objects(document.get("evidence")):
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


def _subject(document: Mapping[str, Any]) -> JsonObject:
    subjects = _objects(document.get("credentialSubject"))
    return subjects[0] if subjects else {}


def _object(value: Json) -> JsonObject:
    return value if isinstance(value, dict) else {}


def _objects(value: Json) -> list[JsonObject]:
    return [one for one in (value if isinstance(value, list) else [value]) if isinstance(one, dict)]


def _text(members: JsonObject, name: str) -> str:
    value = members.get(name)
    return value if isinstance(value, str) else ""
