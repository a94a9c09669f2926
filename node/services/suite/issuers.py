"""What the interoperability suites of the W3C ask of an issuer and a holder: the VC API's issuing side.

VCALM 1.0 sections 3.2 and 3.4: issue, derive, present, status. Everything is kept in memory and forgotten at the end. A
credential that this verifier would not call verified is not given out: what is signed has been checked as a verifier
would. The keys are those of `keys`, which sign for anybody; nothing here belongs to an issuer of ours.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from node.core.canonical.contexts import DATA_INTEGRITY_V2
from node.core.credential import BASE_CONTEXT_1_1, check_credential, check_presentation
from node.core.dataintegrity import Disclosure, prepare_proof, proofs_of, selective_suite_of
from node.core.dataintegrity.bbs_2023 import BbsDisclosure
from node.core.dataintegrity.bbs_binding import Binding, Committed, check_commitment
from node.core.did.document import ASSERTION_METHOD, AUTHENTICATION
from node.core.envelope import enveloped, read_envelope
from node.core.errors import Malformed, NotFound
from node.core.keys import KeyKind
from node.core.members import within
from node.core.problem import MALFORMED_VALUE_ERROR
from node.core.securing import BBS, ECDSA_SD, USUAL_SUITES
from node.core.status.entry import StatusEntry, UnknownStatusEntry, parse_status_entries
from node.core.strict_json import Json, JsonObject
from node.core.times import format_datetime_stamp
from node.core.verify.intake import Intake, shown
from node.core.verify.report import CheckName, Outcome
from node.keystore import generate_secret
from node.services.derivation import derive_all, hex_option, one_proof, pointers_of
from node.services.securing import committed_for
from node.services.suite.concessions import as_specified
from node.services.suite.keys import SuiteKey
from node.services.suite.status import SuiteStatusLists
from node.services.suite.tokens import Feature, MethodFile, secure
from node.services.verification import Examiner

# What is remembered of what was issued, so that a stranger cannot fill the memory.
MAX_KEPT: Final = 1_000
_DEFAULT_SUITES: Final = {**USUAL_SUITES, KeyKind.BLS12381_G2: BBS}
# Where mandatory pointers are given and no suite is named.
_SELECTIVE_SUITES: Final = {KeyKind.P256: ECDSA_SD, KeyKind.BLS12381_G2: BBS}
# `proofFormat` of the older interface, by subtypes of the media types.
_FEATURES: Final = {
    feature.media_type.removeprefix("application/"): feature
    for feature in (
        Feature.CREDENTIAL_JOSE,
        Feature.CREDENTIAL_SDJWT,
        Feature.CREDENTIAL_COSE,
        Feature.PRESENTATION_JOSE,
    )
}
_BINDING_OPTIONS: Final = ("featureOption", "commitmentWithProof")
_PROOF_OPTIONS: Final = ("created", "expires", "domain", "challenge", "nonce")


@dataclass(frozen=True, slots=True)
class _Kept:
    """What was issued, and the status entries in it, which an envelope does not show."""

    secured: JsonObject
    entries: Sequence[StatusEntry | UnknownStatusEntry]


class SuiteIssuers:
    """Issues with the keys given, whichever the credential's `issuer` names. `base_url` is where lists are served."""

    def __init__(self, keys: Mapping[KeyKind, SuiteKey], examiner: Examiner, base_url: str) -> None:
        self._keys = {key.did: key for key in keys.values()}
        self._examiner = examiner
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._lists = SuiteStatusLists(base_url)

    @property
    def keys(self) -> Sequence[SuiteKey]:
        """The keys there are."""
        return tuple(self._keys.values())

    # Issuing

    async def issue(self, credential: JsonObject, options: JsonObject) -> JsonObject:
        """The secured credential. Malformed where it does not conform, is another's, or would not verify."""
        credential = dict(credential)
        if "credentialId" in options:
            if "id" in credential:
                raise Malformed("the credential has an id already", path=("options", "credentialId"))
            credential["id"] = options["credentialId"]
        if options.get("credentialStatus") is not None:
            credential["credentialStatus"] = self._lists.entries(options["credentialStatus"])
        judged = as_specified(credential)
        facts = check_credential(judged)
        key = self._key_of(facts.issuer_id)
        if facts.version == "1.1":
            context = _with_context(credential["@context"], DATA_INTEGRITY_V2)
            credential, judged = {**credential, "@context": context}, {**judged, "@context": context}
        unbound = {name: value for name, value in options.items() if name not in _BINDING_OPTIONS}
        # What is bound to a holder's secrets nobody else can derive from: what is checked is the same without.
        secured = await self._examiner.work(lambda: self._issue(judged, unbound, key))
        await self._check(secured)
        if judged != credential or unbound != options:
            secured = await self._examiner.work(lambda: self._issue(credential, options, key))
        if facts.id is not None:
            self._keep(facts.id, _Kept(secured, parse_status_entries(judged)))
        return secured

    def credential(self, identifier: str) -> JsonObject:
        """What was issued under an id and is still remembered."""
        return self._of(identifier).secured

    def forget(self, identifier: str) -> None:
        """Drop a credential that was issued; its status stays."""
        self._of(identifier)
        del self._kept[identifier]

    def _of(self, identifier: str) -> _Kept:
        try:
            return self._kept[identifier]
        except KeyError as error:
            raise NotFound("no credential of that id is remembered") from error

    def _keep(self, identifier: str, kept: _Kept) -> None:
        # The suites issue one document many times.
        self._kept[identifier] = kept
        self._kept.move_to_end(identifier)
        while len(self._kept) > MAX_KEPT:
            self._kept.popitem(last=False)

    def _key_of(self, did: str) -> SuiteKey:
        try:
            return self._keys[did]
        except KeyError as error:
            raise Malformed("issuer is none of those that sign here", path=("issuer",)) from error

    def _issue(self, credential: JsonObject, options: JsonObject, key: SuiteKey) -> JsonObject:
        feature = _FEATURES.get(str(options.get("proofFormat")))
        if feature is not None:
            return _envelop(feature, credential, key, options)
        return self._secure(credential, options, key, ASSERTION_METHOD)

    def _secure(self, document: JsonObject, options: JsonObject, key: SuiteKey, purpose: str) -> JsonObject:
        asked: JsonObject = {name: options[name] for name in _PROOF_OPTIONS if name in options}
        pointers = pointers_of(options, "mandatoryPointers")
        default = _SELECTIVE_SUITES.get(key.kind) if pointers else None
        cryptosuite = options.get("cryptosuite", default or _DEFAULT_SUITES[key.kind])
        prepared = prepare_proof(
            document,
            {
                "cryptosuite": cryptosuite,
                "created": format_datetime_stamp(self._examiner.clock()),
                "verificationMethod": key.verification_method,
                "proofPurpose": purpose,
                **asked,
            },
            self._examiner.verifier.canonicalizer,
            key_kind=key.kind,
            disclosure=_disclosure(key, pointers, _committed(options))
            if cryptosuite in _SELECTIVE_SUITES.values()
            else None,
        )
        secured = prepared.finish(key.signer.sign(prepared.message))
        return one_proof(secured)

    async def _check(self, secured: JsonObject) -> None:
        """Raise Malformed, with the first that is wrong, where a verifier would not call it verified.

        A base proof is never shown: what is judged is all that its holder could derive.
        """
        proofs = proofs_of(secured)
        if proofs and selective_suite_of(proofs[-1]) is not None:
            canonicalizer = self._examiner.verifier.canonicalizer
            secured = await self._examiner.work(lambda: derive_all(secured, canonicalizer))
        report = (await self._examiner.examine(Intake((shown(secured),)))).report
        if not report.verified or report[CheckName.SCHEMA].outcome is Outcome.FAILED:
            wrong = [check for check in report.checks if check.outcome is Outcome.FAILED]
            first = wrong[0] if wrong else report[CheckName.PROOF]
            found = first.problems[0] if first.problems else None
            raise Malformed(
                found.detail if found else first.basis,
                type=found.type if found else MALFORMED_VALUE_ERROR,
                path=found.path if found else (),
            )

    # Presenting

    async def present(self, presentation: JsonObject, options: JsonObject) -> JsonObject:
        """The presentation, signed by the key that its holder is; the first key where it names none."""
        facts = check_presentation(presentation)
        key = self.keys[0] if facts.holder_id is None else self._key_of(facts.holder_id)
        if key.kind is KeyKind.BLS12381_G2:
            raise Malformed("a key that signs statements presents nothing", path=("holder",))
        if _FEATURES.get(str(options.get("proofFormat"))) is not Feature.PRESENTATION_JOSE:
            return await self._examiner.work(lambda: self._secure(presentation, options, key, AUTHENTICATION))
        return await self._examiner.work(
            lambda: _envelop(Feature.PRESENTATION_JOSE, presentation, key, options)
        )

    # Status

    def open_list(self, purpose: Json) -> str:
        """The URL of the list of a purpose, opened where there was none."""
        return self._lists.open(purpose)

    async def status_list(self, name: str) -> JsonObject:
        """The list as a signed credential."""
        key = self.keys[0]
        document = self._lists.document(name, key.did, self._examiner.clock())
        return await self._examiner.work(lambda: self._secure(document, {}, key, ASSERTION_METHOD))

    def set_status(self, identifier: str, purpose: str, status: bool) -> None:
        """Write the status that a credential has for a purpose; NotFound where it has none."""
        self._lists.set(self._of(identifier).entries, purpose, status)


def _envelop(feature: Feature, document: JsonObject, key: SuiteKey, options: JsonObject) -> JsonObject:
    """The document as a token, in the object that stands for it (VC Data Model 2.0 section 4.13)."""
    method = MethodFile(key.verification_method, key.public_key, key.signer)
    audience, nonce = _text(options, "domain"), _text(options, "challenge")
    token = read_envelope(secure(feature, document, method, audience=audience, nonce=nonce))
    assert token is not None  # noqa: S101 - it was made a line above
    return enveloped(token)


def _text(options: JsonObject, name: str) -> str | None:
    value = options.get(name)
    if not isinstance(value, str | None):
        raise Malformed(f"{name} is a text", path=("options", name))
    return value


def _committed(options: JsonObject) -> Committed:
    """What a holder commits to (bbs-2023), by the names of the draft and its vectors; hex as there."""
    feature = options.get("featureOption")
    if feature in (None, "baseline"):
        if "commitmentWithProof" in options:
            raise Malformed("featureOption tells what a commitment is to", path=("options", "featureOption"))
        return Committed(b"")
    if feature not in list(Binding):
        raise Malformed(f"expected one of {', '.join(Binding)}", path=("options", "featureOption"))
    binding, commitment = Binding(feature), hex_option(options, "commitmentWithProof")
    with within("options", "commitmentWithProof"):
        check_commitment(binding, commitment)
    return committed_for(binding, commitment)


def _disclosure(key: SuiteKey, pointers: tuple[str, ...], unseen: Committed) -> Disclosure:
    hmac_key = secrets.token_bytes(32)
    if key.kind is KeyKind.BLS12381_G2:
        return BbsDisclosure(
            pointers,
            hmac_key,
            public_key=key.public_key,
            commitment_with_proof=unseen.commitment_with_proof,
            signer_nym_entropy=unseen.signer_nym_entropy,
        )
    return Disclosure(pointers, hmac_key, generate_secret(KeyKind.P256))


def _with_context(contexts: Json, wanted: str) -> list[Json]:
    listed = contexts if isinstance(contexts, list) else [contexts]
    return listed if wanted in listed or listed[:1] != [BASE_CONTEXT_1_1] else [*listed, wanted]
