"""Revocation lists of 1EdTech: JSON files that name what was revoked."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.core import problem
from node.core.errors import Malformed, NotVerified
from node.core.status.entry import UnknownStatusEntry, parse_status_entries
from node.core.status.revocation_list import (
    parse_revocation_list,
    read_revocation,
    revocation_list_url,
)
from node.core.status.status_list import Status

ID = "https://school.example/credentials/3732"


def revocation_list(*items: Any, **changes: Any) -> dict[str, Any]:
    return {"issuer": "https://school.example/issuers/1", "revokedCredential": list(items), **changes}


def test_the_entries_of_the_published_samples_say_where_their_list_is(vectors: Path) -> None:
    for name in ("complete.json", "complete_v1.json", "credential-status-revoked.json"):
        credential = json.loads((vectors / "ob3-1edtech" / name).read_text())
        (found,) = parse_status_entries(credential)
        assert isinstance(found, UnknownStatusEntry)
        assert revocation_list_url(found) == credential["credentialStatus"]["id"]


def test_an_entry_of_another_kind_has_no_such_list() -> None:
    assert revocation_list_url(UnknownStatusEntry(("Other",), "https://a.example/1")) is None


@pytest.mark.parametrize(
    "item",
    [
        {"id": ID},
        {"id": ID, "revoked": True},
        {"id": f" {ID} "},
        {"id": ID.replace("/3732", "%2F3732")},
        {"id": ID.replace("d", "%64")},
    ],
    ids=["listed", "said to be revoked", "white space around it", "escaped slash", "escaped letter"],
)
def test_a_listed_credential_is_revoked(item: dict[str, Any]) -> None:
    found = parse_revocation_list(revocation_list(item))
    assert found.issuer_id == "https://school.example/issuers/1"
    assert read_revocation(found, ID) == Status(1, "revocation", valid=False)


def test_the_reason_is_told() -> None:
    found = parse_revocation_list(revocation_list({"id": ID, "revocationReason": "given in error"}))
    assert read_revocation(found, ID).message == "given in error"


@pytest.mark.parametrize("items", [(), ({"id": ID + "1"},), ({"id": ID, "revoked": False},)])
def test_a_credential_that_is_not_listed_or_not_any_more_is_valid(items: tuple[Any, ...]) -> None:
    found = parse_revocation_list(revocation_list(*items))
    assert read_revocation(found, ID) == Status(0, "revocation", valid=True)


def test_a_list_without_any_revoked_credential_is_a_list() -> None:
    assert not parse_revocation_list({"issuer": {"id": "did:example:school"}}).revoked


@pytest.mark.parametrize("order", [1, -1])
def test_named_twice_and_once_as_revoked_is_revoked(order: int) -> None:
    items = [{"id": ID}, {"id": ID, "revoked": False}][::order]
    assert not read_revocation(parse_revocation_list(revocation_list(*items)), ID).valid


def test_of_a_credential_without_id_the_list_says_nothing() -> None:
    with pytest.raises(NotVerified) as caught:
        read_revocation(parse_revocation_list(revocation_list({"id": ID})), None)
    assert caught.value.problem.type == problem.STATUS_VERIFICATION_ERROR


@pytest.mark.parametrize(
    "document",
    [
        {"revokedCredential": []},
        revocation_list(issuer="school"),
        revocation_list(issuer=["did:example:school"]),
        revocation_list(revokedCredential={"id": ID}),
        revocation_list(revokedCredential=None),
        revocation_list(ID),
        revocation_list({}),
        revocation_list({"id": 3732}),
        revocation_list({"id": " "}),
        revocation_list({"id": ID, "revoked": "false"}),
        revocation_list({"id": ID, "revoked": None}),
        revocation_list({"id": ID, "revocationReason": ["no"]}),
    ],
)
def test_a_file_that_is_no_list_is_malformed(document: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        parse_revocation_list(document)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["issuer", "id", "revokedCredential", "revoked", "revocationReason"]),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    ).filter(lambda value: isinstance(value, dict))
)
def test_reading_raises_only_malformed(document: dict[str, Any]) -> None:
    with contextlib.suppress(Malformed):
        parse_revocation_list(document)
