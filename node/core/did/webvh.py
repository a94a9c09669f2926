"""did:webvh: a DID whose whole history is a verifiable log on the web (DIF, did:webvh DID Method Specification v1.0).

The identifier holds the hash of the log's first entry (SCID); each entry names its predecessor's hash and is signed by
a key that the log itself authorizes, so whoever serves the log cannot rewrite it. What he can do is withhold newer
entries: a log says what was, never that nothing came after. Fetching log and witness file is
`node/outbound/resolve.py`. The services that the method implies (`#files`, `#whois`) are not added: nothing here reads
a service. Watchers are kept and not asked.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final

from node.core import problem
from node.core.canonical.jcs import canonicalize
from node.core.did.document import ASSERTION_METHOD, DidDocument, parse_did_document
from node.core.did.syntax import parse_did
from node.core.did.web import did_web_url
from node.core.encoding import decode_multibase, encode_base58btc
from node.core.errors import BonafidesError, Malformed, NotFound, NotVerified
from node.core.keys import KeyKind, PublicKey, parse_multikey
from node.core.members import within
from node.core.strict_json import Json, JsonObject, parse_json, parse_json_object
from node.core.times import parse_datetime_stamp

METHOD: Final = "did:webvh:1.0"
MAX_LOG_BYTES: Final = 4 * 1024 * 1024
MAX_ENTRIES: Final = 1000
MAX_PROOFS: Final = 16
MAX_KEYS: Final = 100
# "Read", step 4: a resolver's clock may be behind by so much.
FUTURE_TOLERANCE: Final = timedelta(minutes=5)

_PLACEHOLDER: Final = "{SCID}"
_SCID: Final = re.compile(r"[1-9A-HJ-NP-Za-km-z]{46}\Z")
_VERSION_ID: Final = re.compile(r"([1-9][0-9]{0,8})-([1-9A-HJ-NP-Za-km-z]{46})\Z")
_UTC: Final = re.compile(r"(?:Z|\+00:00)\Z")
_MULTIHASH_SHA256: Final = b"\x12\x20"
_ENTRY: Final = frozenset({"versionId", "versionTime", "parameters", "state", "proof"})
_PARAMETERS: Final = frozenset(
    {"method", "scid", "updateKeys", "nextKeyHashes", "witness", "watchers", "portable", "deactivated", "ttl"}
)
_MAX_TTL: Final = 2**31


@dataclass(frozen=True, slots=True)
class Witnesses:
    """Who must approve an entry: at least `threshold` of the did:key DIDs `ids`. None and 0: nobody."""

    threshold: int = 0
    ids: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return self.threshold > 0


@dataclass(frozen=True, slots=True)
class Parameters:
    """The parameters in force after an entry (section "did:webvh DID Method Parameters")."""

    scid: str
    update_keys: tuple[str, ...]
    next_key_hashes: tuple[str, ...] = ()
    witnesses: Witnesses = field(default_factory=Witnesses)
    portable: bool = False
    deactivated: bool = False


@dataclass(frozen=True, slots=True)
class Version:
    """One verified entry: the document `state` as it was from `time` on, by the controller's word."""

    number: int
    version_id: str
    time: datetime
    did: str
    state: JsonObject
    parameters: Parameters
    must_witness: Witnesses
    """Who has to have approved this entry."""

    def document(self) -> DidDocument:
        """The entry's document, held to the rules of DID documents only when somebody wants it; may be Malformed."""
        return parse_did_document(self.state, self.did)


@dataclass(frozen=True, slots=True)
class WebvhHistory:
    """The verified log of a did:webvh, oldest first, never empty."""

    did: str
    versions: tuple[Version, ...]

    @property
    def latest(self) -> Version:
        """The newest entry."""
        return self.versions[-1]

    @property
    def deactivated(self) -> bool:
        """Whether the DID was deactivated."""
        return self.latest.parameters.deactivated

    def version(self, version_id: str) -> Version:
        """The entry with this `versionId`; NotFound where the log has none."""
        found = next((one for one in self.versions if one.version_id == version_id), None)
        if found is None:
            raise NotFound("the DID has no such version", type=problem.DID_NOT_FOUND)
        return found


def did_webvh_urls(did: str, *, allow_loopback: bool = False) -> tuple[str, str]:
    """Where the log and the witness file of a did:webvh are ("The DID to HTTPS Transformation").

    Malformed with type INVALID_DID where the identifier breaks the method's rules. Host and path are read as did:web
    reads them; names outside ASCII are refused, in whatever encoding.
    """
    _, place = _parts(did)
    try:
        document = did_web_url(f"did:web:{place}", allow_loopback=allow_loopback)
    except Malformed as error:
        raise Malformed(error.detail.replace("did:web", "did:webvh"), type=problem.INVALID_DID) from error
    folder = document.removesuffix("did.json")
    return f"{folder}did.jsonl", f"{folder}did-witness.json"


def read_log(did: str, log: bytes, witness_file: bytes | None, *, now: datetime) -> WebvhHistory:
    """Verify a whole log ("Read (Resolve)").

    `log` is the JSON Lines file, `witness_file` what lies beside it, None where it was not asked for or is not there.
    Malformed: log or file break the format. NotVerified: a hash, a signature, a rule of the chain or the approval of
    the witnesses does not hold; the log is then refused as a whole, its older entries too.
    """
    scid, _ = _parts(did)
    versions: list[Version] = []
    for number, line in enumerate(_lines(log), 1):
        with within("entry", number):
            before = versions[-1] if versions else None
            versions.append(_verify_entry(parse_json_object(line), before, scid, now))
    if all(version.did != did for version in versions):
        raise _broken("no entry of the log is of this DID")
    _check_witnesses(versions, witness_file)
    return WebvhHistory(did, tuple(versions))


def needs_witness_file(history_log: bytes) -> bool:
    """Whether an entry of a log names witnesses, so that the file with their proofs has to be fetched."""
    for line in _lines(history_log):
        parameters = parse_json_object(line).get("parameters")
        if type(parameters) is dict and parameters.get("witness"):
            return True
    return False


def _parts(did: str) -> tuple[str, str]:
    method, identifier = parse_did(did)
    scid, _, place = identifier.partition(":")
    if method != "webvh" or not _SCID.match(scid) or not place:
        raise Malformed("not a did:webvh with a self-certifying identifier", type=problem.INVALID_DID)
    return scid, place


def _lines(log: bytes) -> Iterator[bytes]:
    if len(log) > MAX_LOG_BYTES:
        raise Malformed(f"a DID log of more than {MAX_LOG_BYTES:,} bytes")
    lines = log.removesuffix(b"\n").split(b"\n")
    if len(lines) > MAX_ENTRIES:
        raise Malformed(f"a DID log of more than {MAX_ENTRIES} entries")
    for line in lines:
        yield line.removesuffix(b"\r")


# One entry -------------------------------------------------------------------------------------------------


def _verify_entry(entry: JsonObject, before: Version | None, scid: str, now: datetime) -> Version:
    if entry.keys() != _ENTRY:
        raise Malformed("an entry has versionId, versionTime, parameters, state and proof")
    parameters = _next_parameters(entry["parameters"], before, scid)
    if before is not None and before.parameters.deactivated:
        raise _broken("nothing may follow the entry that deactivates the DID")
    number, version_id = _version_number(entry["versionId"], before)
    unsigned = {name: value for name, value in entry.items() if name != "proof"}
    if before is None and _hash({**unsigned, "versionId": scid}, scid) != scid:
        raise _broken("the identifier is not the hash of the first entry")
    predecessor = scid if before is None else before.version_id
    if _hash({**unsigned, "versionId": predecessor}) != version_id.partition("-")[2]:
        raise _broken("versionId is not the hash of the entry")
    time = _version_time(entry["versionTime"], before, now)
    rotated = before is not None and bool(before.parameters.next_key_hashes)
    signers = parameters.update_keys if before is None or rotated else before.parameters.update_keys
    _verify_proofs(unsigned, entry["proof"], signers)
    return Version(
        number=number,
        version_id=version_id,
        time=time,
        did=_document_id(entry["state"], before, parameters),
        state=entry["state"],
        parameters=parameters,
        # New witnesses approve the entry after the one that names them, the first ones that entry itself.
        must_witness=(before.parameters.witnesses if before else None) or parameters.witnesses,
    )


def _version_number(value: Json, before: Version | None) -> tuple[int, str]:
    match = _VERSION_ID.match(value) if type(value) is str else None
    if match is None:
        raise Malformed("not a number, a dash and a SHA-256 multihash", path=("versionId",))
    number, expected = int(match[1]), before.number + 1 if before else 1
    if number != expected:
        raise _broken(f"expected version {expected}, got {number}")
    return number, value


def _version_time(value: Json, before: Version | None, now: datetime) -> datetime:
    if type(value) is not str or not _UTC.search(value):
        raise Malformed("expected a time in UTC", path=("versionTime",))
    with within("versionTime"):
        time = parse_datetime_stamp(value)
    if before is not None and time <= before.time:
        raise _broken("the entry is not later than the one before it")
    if time > now + FUTURE_TOLERANCE:
        raise _broken("the entry is from the future")
    return time


def _document_id(state: Json, before: Version | None, parameters: Parameters) -> str:
    """The DID of an entry's document: always the same identifier, at another place only where that is allowed."""
    did = state.get("id") if type(state) is dict else None
    with within("state", "id"):
        if type(did) is not str or _parts(did)[0] != parameters.scid:
            raise _broken("the document is of another identifier than the log")
    if before is not None and before.did != did:
        if not before.parameters.portable:
            raise _broken("the DID was moved, which its first entry does not allow")
        known = state.get("alsoKnownAs", [])
        if before.did not in (known if type(known) is list else [known]):
            raise _broken("the DID was moved without naming where it was")
    return did


def _hash(value: Json, scid: str | None = None) -> str:
    """base58btc of the SHA-256 multihash of the JCS form; of the form with placeholders where `scid` is given."""
    return _multihash(canonicalize(value if scid is None else _with_placeholder(value, scid)))


def _with_placeholder(value: Json, scid: str) -> Json:
    if type(value) is str:
        return value.replace(scid, _PLACEHOLDER)
    if type(value) is list:
        return [_with_placeholder(item, scid) for item in value]
    if type(value) is dict:
        return {
            name.replace(scid, _PLACEHOLDER): _with_placeholder(item, scid) for name, item in value.items()
        }
    return value


def _multihash(data: bytes) -> str:
    return encode_base58btc(_MULTIHASH_SHA256 + sha256(data).digest())


# Parameters ------------------------------------------------------------------------------------------------


def _next_parameters(value: Json, before: Version | None, scid: str) -> Parameters:
    if type(value) is not dict or not value.keys() <= _PARAMETERS:
        raise Malformed("parameters are an object with those of version 1.0 alone", path=("parameters",))
    with within("parameters"):
        if before is None:
            return _read_parameters(value, _first_parameters(value, scid))
        current = before.parameters
        if "scid" in value:
            raise Malformed("only the first entry names the identifier", path=("scid",))
        if value.get("method", METHOD) != METHOD:
            raise Malformed(f"only {METHOD} is known here", path=("method",))
        if value.get("portable") is True:
            raise Malformed("only the first entry may make the DID portable", path=("portable",))
        if current.next_key_hashes:
            _check_rotation(value, current.next_key_hashes)
        return _read_parameters(value, current)


def _first_parameters(value: JsonObject, scid: str) -> Parameters:
    if value.get("method") != METHOD:
        raise Malformed(f"only {METHOD} is known here", path=("method",))
    if value.get("scid") != scid:
        raise _broken("the log is of another identifier")
    if "updateKeys" not in value:
        raise Malformed("the first entry names the keys that may sign", path=("updateKeys",))
    return Parameters(scid, ())


def _read_parameters(value: JsonObject, current: Parameters) -> Parameters:
    """`current` with what an entry changes. null, which early writers used, stands for the default."""
    found = current
    if "updateKeys" in value:
        found = replace(found, update_keys=_texts(value["updateKeys"], "updateKeys"))
    if "nextKeyHashes" in value:
        found = replace(found, next_key_hashes=_texts(value["nextKeyHashes"], "nextKeyHashes"))
    if "witness" in value:
        found = replace(found, witnesses=_witnesses(value["witness"]))
    if "portable" in value:
        found = replace(found, portable=_flag(value["portable"], "portable"))
    if "deactivated" in value:
        found = replace(found, deactivated=_flag(value["deactivated"], "deactivated"))
    _texts(value.get("watchers", []), "watchers")
    ttl = value.get("ttl")
    if ttl is not None and (type(ttl) is not int or not 0 <= ttl <= _MAX_TTL):
        raise Malformed("expected a number of seconds", path=("ttl",))
    return found


def _check_rotation(value: JsonObject, promised: Sequence[str]) -> None:
    """Pre-rotation: nothing is inherited, and every key was promised by the entry before."""
    if "updateKeys" not in value or "nextKeyHashes" not in value:
        raise _broken("under pre-rotation an entry names its keys and the hashes of the next ones")
    for key in _texts(value["updateKeys"], "updateKeys"):
        if _multihash(key.encode()) not in promised:
            raise _broken("a key that the entry before did not promise")


def _witnesses(value: Json) -> Witnesses:
    """Section "The witness Parameter": what is malformed is never read as "no witnesses"."""
    if value is None or value == {}:
        return Witnesses()
    if type(value) is not dict or value.keys() != {"threshold", "witnesses"}:
        raise Malformed("expected threshold and witnesses", path=("witness",))
    listed, threshold = value["witnesses"], value["threshold"]
    if type(listed) is not list or not 0 < len(listed) <= MAX_KEYS:
        raise Malformed(f"expected 1 to {MAX_KEYS} witnesses", path=("witness", "witnesses"))
    ids = [str(item.get("id")) if type(item) is dict else "" for item in listed]
    for did in ids:
        _key_of_did_key(did)
    if len(set(ids)) != len(ids):
        raise Malformed("a witness is listed twice", path=("witness", "witnesses"))
    if type(threshold) is not int or not 0 < threshold <= len(ids):
        raise Malformed("expected 1 to the number of witnesses", path=("witness", "threshold"))
    return Witnesses(threshold, tuple(ids))


def _key_of_did_key(did: str) -> PublicKey:
    """The Ed25519 key of a did:key, since eddsa-jcs-2022 is the one suite of version 1.0."""
    if not did.startswith("did:key:z"):
        raise Malformed("a witness is a did:key", path=("witness", "witnesses"))
    key = parse_multikey(did.removeprefix("did:key:"))
    if key.kind is not KeyKind.ED25519:
        raise Malformed("a witness has an Ed25519 key", path=("witness", "witnesses"))
    return key


def _texts(value: Json, name: str) -> tuple[str, ...]:
    if value is None:
        return ()
    if type(value) is not list or len(value) > MAX_KEYS or not all(type(item) is str for item in value):
        raise Malformed(f"expected a list of at most {MAX_KEYS} texts", path=(name,))
    if len(set(value)) != len(value):
        raise Malformed("listed twice", path=(name,))
    return tuple(value)


def _flag(value: Json, name: str) -> bool:
    if value is not None and type(value) is not bool:
        raise Malformed("expected true or false", path=(name,))
    return bool(value)


# Proofs: eddsa-jcs-2022 with did:key methods, for entries and witnesses alike -------------------------------


def _verify_proofs(secured: JsonObject, value: Json, allowed: Sequence[str]) -> None:
    """Every proof of an entry must verify, each under one of the `allowed` multikeys; there is at least one."""
    for proof in _proofs(value):
        if _verify_proof(secured, proof) not in allowed:
            raise _broken("an entry signed with a key that may not sign it")


def _proofs(value: Json) -> list[Json]:
    proofs = value if type(value) is list else [value]
    if not 0 < len(proofs) <= MAX_PROOFS:
        raise Malformed(f"expected 1 to {MAX_PROOFS} proofs", path=("proof",))
    return proofs


def _verify_proof(secured: JsonObject, proof: Json) -> str:
    """The multikey whose signature `proof` is over `secured`, a JSON object without proof; NotVerified otherwise.

    The one suite that the method permits (Data Integrity EdDSA Cryptosuites 1.0 section 3.3), written out: the key is
    in the proof's did:key and nowhere else. `expires` is not looked at: an entry was authorized when it was written.
    """
    if type(proof) is not dict:
        raise Malformed("a proof is an object", path=("proof",))
    required = {
        "type": "DataIntegrityProof",
        "cryptosuite": "eddsa-jcs-2022",
        "proofPurpose": ASSERTION_METHOD,
    }
    if any(proof.get(name) != expected for name, expected in required.items()) or "@context" in proof:
        raise _broken("a proof that is not of eddsa-jcs-2022 for assertionMethod")
    method, signature = proof.get("verificationMethod"), proof.get("proofValue")
    if type(method) is not str or type(signature) is not str:
        raise Malformed("a proof has verificationMethod and proofValue", path=("proof",))
    did, _, fragment = method.partition("#")
    if did != f"did:key:{fragment}":
        # Else a proof could name one key and be made with another.
        raise _broken("the fragment of a did:key repeats its key")
    options = {name: item for name, item in proof.items() if name != "proofValue"}
    message = sha256(canonicalize(options)).digest() + sha256(canonicalize(secured)).digest()
    _key_of_did_key(did).verify(decode_multibase(signature, "z"), message)
    return fragment


def _check_witnesses(versions: Sequence[Version], witness_file: bytes | None) -> None:
    """Section "Verifying Witness Proofs During Resolution": an approval counts for its entry and all before it."""
    if not any(version.must_witness for version in versions):
        return
    if witness_file is None:
        raise _broken("the log names witnesses, and the file with their proofs is missing")
    approved = _approvals(versions, witness_file)
    for version in versions:
        rule = version.must_witness
        given = sum(approved.get(did, 0) >= version.number for did in rule.ids)
        if given < rule.threshold:
            raise _broken(f"version {version.number} has {given} of {rule.threshold} approvals by witnesses")


def _approvals(versions: Sequence[Version], witness_file: bytes) -> Mapping[str, int]:
    """The number of the newest published version that each witness approved; proofs that fail count for nothing."""
    numbers = {version.version_id: version.number for version in versions}
    ids = {did for version in versions for did in version.must_witness.ids}
    listed = parse_json(witness_file, max_bytes=MAX_LOG_BYTES)
    if type(listed) is not list or len(listed) > 2 * MAX_ENTRIES:
        raise Malformed("the witness file is a list of proofs by version")
    found: dict[str, int] = {}
    for item in listed:
        version_id = item.get("versionId") if type(item) is dict else None
        number = numbers.get(version_id, 0) if type(version_id) is str else 0
        for proof in item.get("proof", []) if number and type(item.get("proof")) is list else []:
            did = _approving(version_id, proof, ids)
            if did is not None:
                found[did] = max(found.get(did, 0), number)
    return found


def _approving(version_id: Json, proof: Json, ids: set[str]) -> str | None:
    method = proof.get("verificationMethod") if type(proof) is dict else None
    did = method.partition("#")[0] if type(method) is str else ""
    if did not in ids:
        return None  # not a witness of this log: its signature is not worth the arithmetic
    try:
        _verify_proof({"versionId": version_id}, proof)
    except BonafidesError:
        return None
    return did


def _broken(detail: str) -> NotVerified:
    return NotVerified(detail, type=problem.INVALID_DID)
