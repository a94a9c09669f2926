"""What the interoperability suites of the W3C ask of an issuer and a holder: the VC API's issuing side.

VCALM 1.0 sections 3.2 and 3.4: issue, derive, present, status. Everything is kept in memory and forgotten at the end. A
credential that this verifier would not call verified is not given out: what is signed has been checked as a verifier
would. The keys are those of `suite_keys`, which sign for anybody; nothing here belongs to an issuer of ours.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from node.core.credential import BASE_CONTEXT_1_1, check_credential, check_presentation
from node.core.dataintegrity import Disclosure, prepare_proof, proofs_of, selective_suite_of, unsecured
from node.core.dataintegrity.bbs_2023 import BbsDisclosure
from node.core.envelope import enveloped, read_envelope
from node.core.errors import Conflict, Malformed, NotFound
from node.core.keys import KeyKind
from node.core.members import within
from node.core.problem import MALFORMED_VALUE_ERROR
from node.core.status.bitstring import MIN_ENTRIES, Bitstring
from node.core.status.entry import BITSTRING_ENTRY, REVOCATION
from node.core.status.status_list import build_list_credential
from node.core.strict_json import Json, JsonObject
from node.core.times import format_datetime_stamp
from node.core.verify.intake import Intake, shown
from node.core.verify.report import CheckName, Outcome
from node.keystore import generate_secret
from node.services.derivation import derive, one_proof, pointers_of
from node.services.suite_concessions import as_specified
from node.services.suite_keys import SuiteKey
from node.services.suite_tokens import Feature, MethodFile, secure
from node.services.verification import Examiner

# What is remembered of what was issued, so that a stranger cannot fill the memory.
MAX_KEPT: Final = 1_000
MAX_LISTS: Final = 64
_MAX_ENTRIES: Final = 4
_DATA_INTEGRITY_CONTEXT: Final = "https://w3id.org/security/data-integrity/v2"
_DEFAULT_SUITES: Final = {
    KeyKind.ED25519: "eddsa-rdfc-2022",
    KeyKind.P256: "ecdsa-rdfc-2019",
    KeyKind.P384: "ecdsa-rdfc-2019",
    KeyKind.BLS12381_G2: "bbs-2023",
}
# Where mandatory pointers are given and no suite is named.
_SELECTIVE_SUITES: Final = {KeyKind.P256: "ecdsa-sd-2023", KeyKind.BLS12381_G2: "bbs-2023"}
# `proofFormat` of the older interface, by subtypes of the media types.
_FEATURES: Final = {
    "vc+jwt": Feature.CREDENTIAL_JOSE,
    "vc+sd-jwt": Feature.CREDENTIAL_SDJWT,
    "vc+cose": Feature.CREDENTIAL_COSE,
    "vp+jwt": Feature.PRESENTATION_JOSE,
}
_PROOF_OPTIONS: Final = ("created", "expires", "domain", "challenge", "nonce")


@dataclass(slots=True)
class _List:
    """A status list with the indices that were given out."""

    url: str
    purpose: str
    size: int
    bits: Bitstring
    used: set[int] = field(default_factory=set)

    def draw(self) -> int:
        """An index that nobody has; random, so that neighbours say nothing of each other."""
        if 2 * len(self.used) >= MIN_ENTRIES:
            raise Conflict("the status list is full")
        while (index := secrets.randbelow(MIN_ENTRIES)) in self.used:
            pass
        self.used.add(index)
        return index


class SuiteIssuers:
    """Issues with the keys given, whichever the credential's `issuer` names. `base_url` is where lists are served."""

    def __init__(self, keys: Mapping[KeyKind, SuiteKey], examiner: Examiner, base_url: str) -> None:
        self._keys = {key.did: key for key in keys.values()}
        self._examiner = examiner
        self._base_url = base_url
        self._kept: OrderedDict[str, JsonObject] = OrderedDict()
        self._lists: dict[str, _List] = {}

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
        credential = self._with_status(credential, options)
        judged = as_specified(credential)
        facts = check_credential(judged)
        key = self._key_of(facts.issuer_id)
        if facts.version == "1.1":
            context = _with_context(credential["@context"], _DATA_INTEGRITY_CONTEXT)
            credential, judged = {**credential, "@context": context}, {**judged, "@context": context}
        secured = await self._examiner.work(lambda: self._issue(judged, options, key))
        await self._check(secured)
        if judged != credential:
            secured = await self._examiner.work(lambda: self._issue(credential, options, key))
        if facts.id is not None:
            self._keep(facts.id, secured)  # the suites issue one document many times
        return secured

    def credential(self, identifier: str) -> JsonObject:
        """What was issued under an id and is still remembered."""
        try:
            return self._kept[identifier]
        except KeyError as error:
            raise NotFound("no credential of that id is remembered") from error

    def forget(self, identifier: str) -> None:
        """Drop a credential that was issued; its status stays."""
        self.credential(identifier)
        del self._kept[identifier]

    def _keep(self, identifier: str, secured: JsonObject) -> None:
        self._kept[identifier] = secured
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
        return self._secure(credential, options, key, "assertionMethod")

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
            disclosure=_disclosure(key, pointers) if cryptosuite in _SELECTIVE_SUITES.values() else None,
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
            everything = [
                "/" + name.replace("~", "~0").replace("/", "~1")
                for name in unsecured(secured)
                if name != "@context"
            ]
            secured = await self._examiner.work(lambda: derive(secured, everything, canonicalizer))
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
            return await self._examiner.work(
                lambda: self._secure(presentation, options, key, "authentication")
            )
        return await self._examiner.work(
            lambda: _envelop(Feature.PRESENTATION_JOSE, presentation, key, options)
        )

    # Status

    def _with_status(self, credential: JsonObject, options: JsonObject) -> JsonObject:
        """The credential with an entry for each that `options.credentialStatus` describes."""
        wanted = options.get("credentialStatus")
        if wanted is None:
            return credential
        described = wanted if isinstance(wanted, list) else [wanted]
        if not 0 < len(described) <= _MAX_ENTRIES or not all(isinstance(one, dict) for one in described):
            raise Malformed(
                f"one to {_MAX_ENTRIES} objects that describe entries", path=("options", "credentialStatus")
            )
        entries = [self._entry(one) for one in described]
        return {**credential, "credentialStatus": entries[0] if len(entries) == 1 else entries}

    def _entry(self, described: JsonObject) -> JsonObject:
        purpose, size = described.get("statusPurpose", REVOCATION), described.get("statusSize", 1)
        status_list = self._list_of(purpose, size)
        index = status_list.draw()
        return {
            "id": f"{status_list.url}#{index}",
            "type": BITSTRING_ENTRY,
            **described,
            "statusPurpose": purpose,
            "statusListIndex": str(index),
            "statusListCredential": status_list.url,
        }

    def _list_of(self, purpose: Json, size: Json) -> _List:
        if not isinstance(purpose, str) or not purpose.isalnum() or len(purpose) > 32:
            raise Malformed("statusPurpose is a word", path=("statusPurpose",))
        if type(size) is not int or not 1 <= size <= 8:
            raise Malformed("statusSize is a number from 1 to 8", path=("statusSize",))
        name = f"{purpose}-{size}"
        if name not in self._lists:
            if len(self._lists) >= MAX_LISTS:
                raise Conflict("there are too many status lists")
            url = f"{self._base_url}/status-lists/{name}"
            self._lists[name] = _List(url, purpose, size, Bitstring.zeros(MIN_ENTRIES, size))
        return self._lists[name]

    def open_list(self, purpose: Json) -> str:
        """The URL of the list of a purpose, opened where there was none."""
        return self._list_of(purpose, 1).url

    async def status_list(self, name: str) -> JsonObject:
        """The list as a signed credential."""
        if name not in self._lists:
            raise NotFound("there is no such status list")
        found, key = self._lists[name], self.keys[0]
        document = build_list_credential(
            list_url=found.url,
            issuer=key.did,
            purpose=found.purpose,
            bits=found.bits,
            valid_from=self._examiner.clock(),
            size=found.size,
        )
        return await self._examiner.work(lambda: self._secure(document, {}, key, "assertionMethod"))

    def set_status(self, identifier: str, wanted: JsonObject, status: bool | int) -> None:
        """Write the status of the entry of a credential that has the type and purpose of `wanted`."""
        listed = self.credential(identifier).get("credentialStatus", [])
        for entry in listed if isinstance(listed, list) else [listed]:
            name = str(entry.get("statusListCredential", "")).rpartition("/")[2]
            if wanted.get("statusPurpose", REVOCATION) == entry.get("statusPurpose") and name in self._lists:
                found = self._lists[name]
                with within("status"):
                    found.bits.set(int(entry["statusListIndex"]), int(status), found.size)
                return
        raise NotFound("the credential has no such status entry")


def _envelop(feature: Feature, document: JsonObject, key: SuiteKey, options: JsonObject) -> JsonObject:
    """The document as a token, in the object that stands for it (VC Data Model 2.0 section 4.13)."""
    method = MethodFile(key.verification_method, key.public_key, key.signer)
    audience, nonce = options.get("domain"), options.get("challenge")
    token = read_envelope(secure(feature, document, method, audience=audience, nonce=nonce))
    assert token is not None  # noqa: S101 - it was made a line above
    return enveloped(token)


def _disclosure(key: SuiteKey, pointers: tuple[str, ...]) -> Disclosure:
    hmac_key = secrets.token_bytes(32)
    if key.kind is KeyKind.BLS12381_G2:
        return BbsDisclosure(pointers, hmac_key, public_key=key.public_key)
    return Disclosure(pointers, hmac_key, generate_secret(KeyKind.P256))


def _with_context(contexts: Json, wanted: str) -> list[Json]:
    listed = contexts if isinstance(contexts, list) else [contexts]
    return listed if wanted in listed or listed[:1] != [BASE_CONTEXT_1_1] else [*listed, wanted]
