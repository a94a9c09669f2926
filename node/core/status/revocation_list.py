"""Revocation lists of 1EdTech: a JSON file that names what was revoked.

1EdTech Revocation List Status Method 1.0. The entry in the credential has the type `1EdTechRevocationList` and, as its
id, the URL of the list. The list is not signed: it says what the host of that URL says, and the URL is what the issuer
signed. Whether that is enough is the caller's to judge.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

from node.core import problem
from node.core.credential import is_url
from node.core.errors import Malformed, NotVerified
from node.core.status.entry import REVOCATION, UnknownStatusEntry
from node.core.status.status_list import Status
from node.core.strict_json import Json, JsonObject

REVOCATION_LIST_1EDTECH: Final = "1EdTechRevocationList"

_Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class RevocationList:
    """A list as its file states it; `revoked` maps the id of each revoked credential to the issuer's reason."""

    issuer_id: str
    revoked: Mapping[str, str | None]


def revocation_list_url(entry: UnknownStatusEntry) -> str | None:
    """Where the list of `entry` is published; None for an entry of another kind, or one that does not say."""
    return entry.id if REVOCATION_LIST_1EDTECH in entry.types else None


def parse_revocation_list(document: JsonObject) -> RevocationList:
    """The list in a file that was fetched; Malformed with path where it has not the form of one."""
    listed = document.get("revokedCredential", [])
    if not isinstance(listed, list):
        raise Malformed("revokedCredential must be an array", path=("revokedCredential",))
    revoked: dict[str, str | None] = {}
    for position, item in enumerate(listed):
        path: _Path = ("revokedCredential", position)
        identifier, is_revoked, reason = _parse_item(item, path)
        # Named twice and once as revoked: it is revoked.
        if is_revoked:
            revoked[identifier] = reason
    return RevocationList(_issuer_id(document.get("issuer")), revoked)


def read_revocation(found: RevocationList, credential_id: str | None) -> Status:
    """What the list says of the credential with this id.

    NotVerified with STATUS_VERIFICATION_ERROR for a credential without id, of which such a list can say nothing.
    """
    if credential_id is None:
        raise NotVerified(
            "a credential without an id cannot be in a list of ids",
            type=problem.STATUS_VERIFICATION_ERROR,
            path=("id",),
        )
    name = _same_name(credential_id)
    if name not in found.revoked:
        return Status(value=0, purpose=REVOCATION, valid=True)
    return Status(value=1, purpose=REVOCATION, valid=False, message=found.revoked[name])


def _same_name(identifier: str) -> str:
    """Ids are compared as Open Badges 3.0 section 9.3 does: percent-decoded, without white space around them."""
    return unquote(identifier).strip()


def _parse_item(item: Json, path: _Path) -> tuple[str, bool, str | None]:
    if not isinstance(item, dict):
        raise Malformed("a revoked credential must be an object", path=path)
    identifier = item.get("id")
    if not isinstance(identifier, str) or not identifier.strip():
        raise Malformed("a revoked credential must have an id", path=(*path, "id"))
    is_revoked = item.get("revoked", True)
    if not isinstance(is_revoked, bool):
        raise Malformed("revoked must be true or false", path=(*path, "revoked"))
    reason = item.get("revocationReason")
    if reason is not None and not isinstance(reason, str):
        raise Malformed("revocationReason must be a string", path=(*path, "revocationReason"))
    return _same_name(identifier), is_revoked, reason


def _issuer_id(value: Json) -> str:
    identifier = value.get("id") if isinstance(value, dict) else value
    if not is_url(identifier):
        raise Malformed("a revocation list must name its issuer", path=("issuer",))
    return str(identifier)
