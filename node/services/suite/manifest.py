"""The manifest that the interoperability suites of the W3C read as their `localConfig`.

Each suite finds what it tests by tags of its own; which of them an address has, and what is sent along with a request,
stands in one table here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from node.core.keys import KeyKind
from node.core.strict_json import Json, JsonObject
from node.services.suite.keys import SuiteKey
from node.services.suite.tokens import Feature

NAME: Final = "Bonafides"


@dataclass(frozen=True, slots=True)
class _Issued:
    """What one key issues: the step of the path that says how, the suites' tags, and options to send along."""

    securing: str
    tags: Sequence[str]
    options: Mapping[str, Json] = field(default_factory=dict)
    versions: Sequence[str] = ("1.1", "2.0")


# One entry that can be revoked, and one whose two bits tell more, with as many messages as the suite counts.
_ENTRIES: Final[Json] = [
    {"statusPurpose": "revocation"},
    {
        "statusPurpose": "message",
        "statusSize": 2,
        "statusMessage": [
            {"status": "0x0", "message": "unset"},
            {"status": "0x1", "message": "under review"},
        ],
        "statusReference": "https://www.w3.org/TR/vc-bitstring-status-list/",
    },
]
_ISSUED: Final[Mapping[KeyKind, Sequence[_Issued]]] = {
    KeyKind.ED25519: (
        _Issued("eddsa-rdfc-2022", ("eddsa-rdfc-2022", "vc2.0", "vc-api", "localhost")),
        _Issued("eddsa-jcs-2022", ("eddsa-jcs-2022", "localhost")),
        _Issued("eddsa-rdfc-2022", ("BitstringStatusList",), {"credentialStatus": _ENTRIES}, ("2.0",)),
        _Issued("vc+jwt", ("EnvelopingProof",)),
    ),
    KeyKind.P256: (
        _Issued("ecdsa-rdfc-2019", ("ecdsa-rdfc-2019",)),
        _Issued("ecdsa-jcs-2019", ("ecdsa-jcs-2019",)),
        _Issued("ecdsa-sd-2023", ("ecdsa-sd-2023",)),
    ),
    KeyKind.P384: (
        _Issued("ecdsa-rdfc-2019", ("ecdsa-rdfc-2019",)),
        _Issued("ecdsa-jcs-2019", ("ecdsa-jcs-2019",)),
    ),
    KeyKind.BLS12381_G2: (_Issued("bbs-2023", ("bbs-2023",)),),
}
_VERIFIED: Final = tuple(dict.fromkeys(tag for kind in _ISSUED.values() for one in kind for tag in one.tags))
_PRESENTED: Final = ("vc2.0", "vc-api", "EnvelopingProof", "localhost")
_DERIVED: Final = ("vcHolder", "ecdsa-sd-2023", "bbs-2023")
# By default a suite tests version 1.1 alone, and no curve at all.
_SUPPORTED: Final[JsonObject] = {
    "supports": {"vc": ["1.1", "2.0"]},
    "supportedEcdsaKeyTypes": [str(KeyKind.P256), str(KeyKind.P384)],
}


def suite_manifest(base_url: str, keys: Sequence[SuiteKey]) -> JsonObject:
    """The manifest of the addresses under `base_url`; without keys there is nobody who issues."""
    some_id = {"id": keys[0].did} if keys else {}
    implementation: JsonObject = {
        "name": NAME,
        "implementation": NAME,
        "issuers": [_issuer(base_url, key, one) for key in keys for one in _ISSUED.get(key.kind, ())],
        "verifiers": [_endpoint(f"{base_url}/credentials/verify", _VERIFIED) | some_id],
        "vpVerifiers": [_endpoint(f"{base_url}/presentations/verify", _PRESENTED) | some_id],
        "vcHolders": [_endpoint(f"{base_url}/credentials/derive", _DERIVED) | some_id],
        "jose-cose": {"features": dict.fromkeys(map(str, Feature), True)},
    }
    settings = {"enableInteropTests": True, "testAllImplementations": False}
    return {"settings": settings, "implementations": [implementation]}


def _issuer(base_url: str, key: SuiteKey, issued: _Issued) -> JsonObject:
    endpoint = _endpoint(f"{base_url}/{issued.securing}/credentials/issue", issued.tags)
    # One of the suites writes into the options that it is given, so that none are better than empty ones.
    options = {"options": dict(issued.options)} if issued.options else {}
    supported = {"supports": {"vc": list(issued.versions)}, "supportedEcdsaKeyTypes": [str(key.kind)]}
    return {**endpoint, "id": key.did, **supported, **options}


def _endpoint(url: str, tags: Sequence[str]) -> JsonObject:
    return {"endpoint": url, "tags": list(tags), **_SUPPORTED}
