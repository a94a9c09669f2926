"""What `issuer init` does when it is run again, and what `issuer status` warns of."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from fixtures.issuers import PASSPHRASE, URL, CrashingStore
from services.test_anchoring import finish

from node.core.dataintegrity import proofs_of, verify_proof
from node.core.errors import Conflict, Misconfigured
from node.core.keys import KeyKind, parse_multikey
from node.core.strict_json import parse_json_object
from node.core.verify.verifier import Standards
from node.services import rotation, setup, status_lists
from node.services.issuer import Issuer
from node.services.overview import overview
from node.storage.protocols.outbox import TransactionState


@pytest.mark.parametrize("kind", [KeyKind.ED25519, KeyKind.P256, KeyKind.P384, KeyKind.BLS12381_G2])
async def test_an_issuer_without_a_chain_is_a_key_of_any_kind_and_that_one_for_good(
    store: CrashingStore, standards: Standards, tmp_path: Path, kind: KeyKind
) -> None:
    place = setup.Place(tmp_path, store, PASSPHRASE)
    for _ in range(2):
        made = await setup.create_without_chain(place, standards, "A school", URL, kind)
        assert parse_multikey(made.settings.did.removeprefix("did:key:")).kind is kind
    other = KeyKind.P256 if kind is not KeyKind.P256 else KeyKind.ED25519
    with pytest.raises(Conflict, match="another key, for good"):
        await setup.create_without_chain(place, standards, "A school", URL, other)
    with pytest.raises(Misconfigured, match="a did:key is its key"):
        await rotation.add(made, tmp_path, PASSPHRASE, other)


@pytest.mark.parametrize(
    ("kind", "suite"), [(KeyKind.P256, "ecdsa-rdfc-2019"), (KeyKind.P384, "ecdsa-rdfc-2019")]
)
async def test_lists_are_signed_by_whatever_key_there_is(
    store: CrashingStore, standards: Standards, tmp_path: Path, kind: KeyKind, suite: str
) -> None:
    place = setup.Place(tmp_path, store, PASSPHRASE)
    made = await setup.create_without_chain(place, standards, "A school", URL, kind)
    await status_lists.ensure_list(made, "revocation")
    assert await status_lists.publish_due(made) == 1
    assert await status_lists.publish_due(made) == 0
    async with made.store.reading() as reading:
        (one,) = await reading.status_lists.all()
        credential = await reading.status_lists.load_credential(one.list_id)
    assert credential is not None
    document = parse_json_object(credential.document)
    (proof,) = proofs_of(document)
    assert proof.cryptosuite == suite
    key = parse_multikey(made.settings.did.removeprefix("did:key:"))
    verify_proof(document, proof, key, standards.canonicalizer)


async def prepared(issuer: Issuer) -> int:
    async with issuer.store.reading() as reading:
        return (await reading.outbox.counts())[TransactionState.PREPARED]


async def test_a_writer_whose_time_runs_out_is_told_and_renewed_by_init(school: Issuer) -> None:
    assert (await overview(school))["warnings"] == []
    await setup.register(school)
    assert await prepared(school) == 0
    later = replace(school, clock=lambda: school.clock() + timedelta(days=9.5 * 365))
    (warning,) = (await overview(later))["warnings"]
    assert "issuer init" in warning
    await setup.register(later)
    await setup.register(later)
    assert await prepared(school) == 1
    await finish(school)
    assert (await overview(later))["warnings"] == []


@pytest.mark.parametrize("url", ["https:///school", "https://a\nb.example", "https://<school>.example"])
def test_what_no_credential_could_name_is_no_url_of_an_issuer(url: str) -> None:
    with pytest.raises(Misconfigured, match="names no host, or has a character"):
        setup.check_url(url)
    assert setup.check_url("https://school.example/badges/") == "https://school.example/badges"


def test_the_url_of_an_issuer_tells_no_password() -> None:
    with pytest.raises(Misconfigured, match="a user name or a password"):
        setup.check_url("https://me:secret@school.example")
