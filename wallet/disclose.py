"""What of a credential its holder may leave out, and the making of what is then shown.

Three ways: a signature over all of it, which is shown whole; the base proofs of ecdsa-sd-2023 and bbs-2023, from which
a proof for a part is derived; SD-JWT, whose Disclosures are passed on or kept. What is chosen are places of claims;
what is revealed with them (identifiers on the way, what the issuer made mandatory) is told exactly, before anything is
made. Pure: randomness is an argument.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256
from typing import Final, Protocol

from node.core.canonical.rdfc import Canonicalizer
from node.core.dataintegrity import bbs_2023, ecdsa_sd_2023
from node.core.dataintegrity.bbs_2023 import Bbs2023, BoundHolder, nym_domain_of
from node.core.dataintegrity.bbs_terms import broken_terms, linking_members
from node.core.dataintegrity.proof import Proof
from node.core.dataintegrity.selective import parse_pointer
from node.core.dataintegrity.selective import select as select_part
from node.core.dataintegrity.suites import base_proofs_in, derive_proof, unsecured
from node.core.errors import Malformed, NotFound
from node.core.jose import sd_jwt
from node.core.jose.sd_jwt import Processed
from node.core.jose.sd_jwt_vc import DC_SD_JWT
from node.core.problem import pointer_of
from node.core.strict_json import Json, JsonObject
from node.core.verify.intake import Shown
from wallet.claims import Place, names_of, path_text, places_in, under

ENTROPY_BYTES: Final = 32
_HOW_TO_READ: Final = ("@context", "type")
_SUBJECT: Final = "credentialSubject"


@dataclass(frozen=True, slots=True)
class Occasion:
    """For whom something is shown, and what makes it new: `entropy` are `ENTROPY_BYTES` random bytes, used once."""

    entropy: bytes
    challenge: str | None = None
    domain: str | None = None


class Choices(Protocol):
    """The claims of one credential, and what its holder can do about them."""

    @property
    def places(self) -> tuple[Place, ...]:
        """Every claim that is held."""
        ...

    @property
    def for_occasion(self) -> bool:
        """Whether a proof is derived for one verifier each time, and answers it alone (bbs-2023)."""
        ...

    @property
    def linkable(self) -> bool:
        """Whether two presentations of it can be seen to be of one credential, whatever is shown."""
        ...

    @property
    def by_secret(self) -> bool:
        """Whether it is shown with a secret of the wallet's alone, so that nobody need sign for it."""
        ...

    @property
    def pseudonymous(self) -> bool:
        """Whether each verifier knows it again by a name of its own, and no other verifier does."""
        ...

    def reveal(self, selection: Collection[Place]) -> frozenset[Place]:
        """The claims that are shown if these are chosen; of no choice, what is always shown."""
        ...

    def make(
        self, selection: Collection[Place], canonicalizer: Canonicalizer, occasion: Occasion
    ) -> JsonObject | str:
        """The credential as it is shown."""
        ...


def choices_of(credential: JsonObject | str, shown: Shown, secrets: BoundHolder | None = None) -> Choices:
    """What can be left out of a credential, `shown` being what it was read as, `secrets` what it is bound to."""
    envelope = shown.envelope
    if envelope is not None and isinstance(envelope.token, str) and "~" in envelope.token:
        return _Disclosures(envelope.token, flat=envelope.media_type == DC_SD_JWT)
    base = None if envelope is not None else base_proof_in(shown.document)
    if base is not None:
        return _Statements(shown.document, base, secrets)
    return _Whole(credential, shown.document)


def base_proof_in(document: JsonObject) -> Proof | None:
    """The proof from which others are derived for what is shown, if the credential has one."""
    try:
        return next(base_proofs_in(document), None)
    except Malformed:
        return None


def whole(
    credential: JsonObject | str,
    shown: Shown,
    canonicalizer: Canonicalizer,
    entropy: bytes,
    secrets: BoundHolder | None = None,
) -> Json:
    """The credential as somebody sees it to whom all is shown: what is judged, and what a picture carries."""
    choices = choices_of(credential, shown, secrets)
    return choices.make(choices.places, canonicalizer, Occasion(entropy))


def named_places(choices: Choices, names: Iterable[str], document: JsonObject) -> tuple[Place, ...]:
    """The places of claims that a person names: as the screen does, or as an RFC 6901 JSON Pointer.

    NotFound where the credential has none of that name.
    """
    found: list[Place] = []
    for name in names:
        if name.startswith("/"):
            found += _at_pointer(choices, name, document)
            continue
        # Of what is said about the subject, which is most of it, the beginning may be left out.
        matching = _of_name(choices, name) or _of_name(choices, f"{_SUBJECT}.{name}")
        if not matching:
            raise NotFound(f"there is no claim named {name[:100]!r}")
        found += matching
    return tuple(dict.fromkeys(found))


def _of_name(choices: Choices, name: str) -> list[Place]:
    return [
        place
        for place in choices.places
        if name in (path_text(place), *names_of([place], [place]))
        or path_text(place).startswith((f"{name}.", f"{name}[]"))
    ]


def _at_pointer(choices: Choices, pointer: str, document: JsonObject) -> tuple[Place, ...]:
    try:
        return under(choices.places, parse_pointer(pointer, document))
    except Malformed as error:
        raise NotFound(f"the pointer {pointer[:100]} points to nothing") from error


# A signature over all of it ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Whole:
    credential: JsonObject | str
    document: JsonObject
    for_occasion = False
    linkable = True
    by_secret = False
    pseudonymous = False

    @cached_property
    def places(self) -> tuple[Place, ...]:
        return places_in(self.document)

    def reveal(self, selection: Collection[Place]) -> frozenset[Place]:  # noqa: ARG002 - there is no choice
        return frozenset(self.places)

    def make(
        self,
        selection: Collection[Place],  # noqa: ARG002
        canonicalizer: Canonicalizer,  # noqa: ARG002
        occasion: Occasion,  # noqa: ARG002
    ) -> JsonObject | str:
        return self.credential


# ecdsa-sd-2023 and bbs-2023 ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Statements:
    document: JsonObject
    base: Proof
    secrets: BoundHolder | None = None

    @property
    def for_occasion(self) -> bool:
        return self.base.cryptosuite == Bbs2023.name

    @property
    def by_secret(self) -> bool:
        return self.secrets is not None

    @property
    def pseudonymous(self) -> bool:
        return self.secrets is not None and self.secrets.prover_nym is not None

    @cached_property
    def linkable(self) -> bool:
        if not self.for_occasion:
            return True
        # FORMATS.md section 3: the proof links nothing; ids, dates and options of its own do.
        document = unsecured(self.document)
        always = {place[0] for place in self.reveal(()) if len(place) == 1}
        broken = broken_terms(document, end_is_mandatory="validUntil" in always)
        return bool(broken or linking_members(document, self.base.raw))

    @cached_property
    def places(self) -> tuple[Place, ...]:
        return places_in(unsecured(self.document))

    @cached_property
    def _mandatory(self) -> tuple[str, ...]:
        if not self.for_occasion:
            return ecdsa_sd_2023.parse_base_proof(self.base).mandatory_pointers
        return bbs_2023.parse_base_proof(self.base).mandatory_pointers

    def reveal(self, selection: Collection[Place]) -> frozenset[Place]:
        # The suite's own selection, of a document in which each claim is written as its place.
        pointers = {pointer_of(place): place for place in self.places}
        marked = _marked(unsecured(self.document), (), pointers)
        part = select_part((*self._mandatory, *self._pointers(selection)), marked)
        if part is None:
            return frozenset()
        return frozenset(pointers[_at(part, place).removeprefix("_:")] for place in places_in(part))

    def make(
        self, selection: Collection[Place], canonicalizer: Canonicalizer, occasion: Occasion
    ) -> JsonObject | str:
        header, entropy = b"", b""
        if self.for_occasion:
            entropy = occasion.entropy
            if occasion.challenge is not None and occasion.domain is not None:
                header = bbs_2023.presentation_header_of(occasion.challenge, occasion.domain)
        return derive_proof(
            self.document,
            self.base,
            self._pointers(selection),
            canonicalizer,
            presentation_header=header,
            entropy=entropy,
            holder=self._holder(occasion, named=bool(header)),
        )

    def _holder(self, occasion: Occasion, *, named: bool) -> BoundHolder | None:
        """The secrets, with the domain in which a pseudonym is shown: the verifier's, else one for this once."""
        if self.secrets is None:
            return None
        if named and occasion.domain is not None:
            return replace(self.secrets, nym_domain=nym_domain_of(occasion.domain))
        once = sha256(b"a pseudonym for nobody" + occasion.entropy).digest()
        return replace(self.secrets, nym_domain=once, tells_domain=True)

    def _pointers(self, selection: Collection[Place]) -> tuple[str, ...]:
        """As few as possible: an object or array of which all is chosen is chosen itself, since a list has no parts.

        With them the least of the subject that there is: without any, what is shown would be no credential (VC Data
        Model 2.0 section 4.8).
        """
        chosen = set(selection)
        complete = {place[:length] for place in self.places for length in range(len(place) + 1)}
        complete -= {
            place[:length] for place in self.places if place not in chosen for length in range(len(place) + 1)
        }
        tops = (
            next(place[:length] for length in range(len(place) + 1) if place[:length] in complete)
            for place in self.places
            if place in chosen
        )
        return tuple(dict.fromkeys((*map(pointer_of, tops), *self._of_subject)))

    @cached_property
    def _of_subject(self) -> tuple[str, ...]:
        subject, at = self.document.get(_SUBJECT), f"/{_SUBJECT}"
        if isinstance(subject, list) and subject:
            subject, at = subject[0], f"{at}/0"
        members = subject if isinstance(subject, dict) else {}
        return tuple(f"{at}/{name}" for name in ("type", "id") if name in members)[:1]


def _marked(value: Json, at: Place, pointers: Mapping[str, Place]) -> Json:
    pointer = pointer_of(at)
    if pointer in pointers:
        # An identifier that names nothing outside is not shown unless it is chosen.
        return f"_:{pointer}" if isinstance(value, str) and value.startswith("_:") else pointer
    if isinstance(value, dict):
        return {name: _marked(inner, (*at, name), pointers) for name, inner in value.items()}
    if isinstance(value, list):
        return [_marked(inner, (*at, index), pointers) for index, inner in enumerate(value)]
    return value


def _at(value: Json, place: Place) -> str:
    for step in place:
        value = value[step]
    return str(value)


# SD-JWT -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Disclosures:
    token: str
    flat: bool
    """Whether the claims are no document, so that none of its names says how to read the others."""
    for_occasion = False
    linkable = True
    by_secret = False
    pseudonymous = False

    @cached_property
    def _processed(self) -> Processed:
        return sd_jwt.process(sd_jwt.parse_sd_jwt(self.token))

    @cached_property
    def places(self) -> tuple[Place, ...]:
        return places_in(self._processed.payload, flat=self.flat)

    def reveal(self, selection: Collection[Place]) -> frozenset[Place]:
        needed = self._needed(selection)
        kept = {one.path for one in self._processed.disclosed if one.path not in needed}
        return frozenset(
            place
            for place in self.places
            if not any(place[:length] in kept for length in range(1, len(place) + 1))
        )

    def make(
        self,
        selection: Collection[Place],
        canonicalizer: Canonicalizer,  # noqa: ARG002
        occasion: Occasion,  # noqa: ARG002
    ) -> JsonObject | str:
        return sd_jwt.select(self.token, self._needed(selection))

    def _needed(self, selection: Collection[Place]) -> frozenset[Place]:
        """The paths of the Disclosures that go along: of what is chosen, of what it is in, and how to read that."""
        paths = {one.path for one in self._processed.disclosed}
        needed = {place[:length] for place in selection for length in range(1, len(place) + 1)} & paths
        if not self.flat:
            needed |= {(_SUBJECT,)} & paths  # without it, what is shown would be no credential
            needed |= {
                path for path in paths if path[-1] in _HOW_TO_READ and self._is_shown(path[:-1], needed)
            }
        return frozenset(needed)

    def _is_shown(self, place: Place, needed: Collection[Place]) -> bool:
        above = {place[:length] for length in range(1, len(place) + 1)}
        return all(one.path in needed for one in self._processed.disclosed if one.path in above)
