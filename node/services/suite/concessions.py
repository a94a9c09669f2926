"""Where a suite's own input or expectation breaks a clause of its specification, and `/suite` goes along.

Nowhere else is any of this accepted. A document that has one of these faults is judged as it should have been written,
and its proofs as it is; all other faults stay faults.

1. The suite for the data model gives digests of `credentials/v2` as it was in July 2024 (revision 8d0ee10 of
   w3c/vc-data-model), one of them without the header of a multihash. VC Data Model 2.0 section 5.3 wants the digest of
   the resource, whose SHA-256 its appendix B.1 prints, and Controlled Identifiers 1.0 section 2.5 a multihash.
2. The suite for Bitstring Status List counts one `statusMessage` for each bit of `statusSize`. Section 2.1 wants one
   for each value: four where there are two bits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from node.core.canonical.contexts import CREDENTIALS_V2
from node.core.strict_json import Json, JsonObject

_EARLIER_EDITIONS: Final = {
    "digestSRI": "sha384-NSOcNpmdIVUxIJGvGUoe22FjTWrXiaXlsZ8q6912LdnR3KraQO2n75Ica4wK4Qeg",
    "digestMultibase": "uJKGMkOmFbVJhEfKTduMC2XCyvRAYLjOVmZWwIH1wQ7k",
}
_PUBLISHED: Final = {
    "digestSRI": "sha384-l/HrjlBCNWyAX91hr6LFV2Y3heB5Tcr6IeE4/Tje8YyzYBM8IhqjHWiWpr8+ZbYU",
    "digestMultibase": "uEiBZlVztZpfWHgPyslVv6-UwirFoQoRvW1htfx963sknNA",
}
_MAX_BITS: Final = 8


def as_specified(document: JsonObject) -> JsonObject:
    """The document as it would stand without those faults; the very same object where it has none."""
    changed = {
        name: fixed
        for name, mend in (("relatedResource", _resource), ("credentialStatus", _entry))
        if name in document and (fixed := _each(document[name], mend)) != document[name]
    }
    return {**document, **changed} if changed else document


def _each(value: Json, mend: Callable[[JsonObject], JsonObject]) -> Json:
    if isinstance(value, list):
        return [mend(item) if isinstance(item, dict) else item for item in value]
    return mend(value) if isinstance(value, dict) else value


def _resource(resource: JsonObject) -> JsonObject:
    if resource.get("id") != CREDENTIALS_V2:
        return resource
    earlier = [name for name, digest in _EARLIER_EDITIONS.items() if resource.get(name) == digest]
    return {**resource, **{name: _PUBLISHED[name] for name in earlier}}


def _entry(entry: JsonObject) -> JsonObject:
    size, messages = entry.get("statusSize"), entry.get("statusMessage")
    if type(size) is not int or not 1 < size <= _MAX_BITS or not isinstance(messages, list):
        return entry
    if len(messages) != size:
        return entry
    rest = [{"status": hex(value), "message": "reserved"} for value in range(size, 1 << size)]
    return {**entry, "statusMessage": [*messages, *rest]}
