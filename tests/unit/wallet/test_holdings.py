"""What is held: known by digest, met by its bundle, and never less than before."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from fixtures.verification import (
    NOW,
    STRANGER,
    LedgerState,
    Story,
    evidence,
    of_key_school,
    without_status,
)
from fixtures.wallets import FROM_FILE, holding_of

from node.core.anchor import credential_digest
from node.core.bundle import Bundle, DidDocumentSnapshot
from node.core.errors import NotFound, NotVerified
from node.core.evidence import ShownEvidence, WithheldEvidence
from node.core.merkle.tree import leaf_hash
from node.core.verify.intake import shown
from wallet.claims import results_of
from wallet.holdings import belongs, digests_of, find, merged, new_holding, show_only

ALL = (0, 1, 2)


def names(items: tuple[ShownEvidence | WithheldEvidence, ...]) -> list[str]:
    return [one.item.name for one in items if isinstance(one, ShownEvidence)]


def test_a_credential_is_known_by_the_digest_of_its_anchor() -> None:
    credential = Story().credential()
    assert digests_of(shown(credential)) == (credential_digest(credential),)


def test_with_several_proofs_the_issuers_comes_first_and_each_is_a_name() -> None:
    story = Story(more_proofs=((STRANGER, {}),), anchored_proof=0)
    credential = story.credential()
    credential["proof"].reverse()
    value = next(one["proofValue"] for one in credential["proof"] if "did:ethr" in one["verificationMethod"])
    digests = digests_of(shown(credential))
    assert digests[0] == credential_digest(credential, value)
    assert len(digests) == 2


def test_a_bundle_of_another_credential_is_not_taken() -> None:
    other = Story(write=without_status)
    credential = Story().credential()
    with pytest.raises(NotVerified, match="another credential"):
        new_holding(credential, other.bundle(other.credential()), FROM_FILE)


def test_a_bundle_that_travels_apart_meets_its_credential_by_digest() -> None:
    story = Story()
    credential = story.credential()
    loose = story.bundle(credential).without_credential(credential_digest(credential))
    assert belongs(loose, shown(credential))
    assert not belongs(loose, shown(of_key_school().credential()))


def test_an_export_shows_the_named_items_and_of_the_others_the_leaf_alone() -> None:
    held = holding_of(Story(show=ALL))
    bundle = show_only(held.full_bundle(), ["code.py"])
    assert names(bundle.evidence) == ["code.py"]
    hidden = {one.leaf for one in bundle.evidence if isinstance(one, WithheldEvidence)}
    items = evidence()
    assert hidden == {leaf_hash(items.items[at].entry(items.salts[at])) for at in (1, 2)}
    text = str(bundle.to_json())
    assert "log.txt" not in text
    assert "marks" not in text


def test_an_item_that_is_not_held_cannot_be_shown() -> None:
    with pytest.raises(NotFound, match=r"log\.txt"):
        show_only(holding_of(Story(show=(0,))).full_bundle(), ["log.txt"])


def test_evidence_that_comes_later_is_added_and_none_is_lost() -> None:
    story = Story(show=(0,))
    held = holding_of(story)
    arriving = holding_of(replace(story, show=(2,))).bundle
    assert arriving is not None
    grown = merged(held, arriving, header_trusted=False)
    assert grown.bundle is not None
    assert names(grown.bundle.evidence) == ["code.py", "marks"]


def test_evidence_that_the_credential_does_not_commit_to_is_left_out() -> None:
    held = holding_of(Story(show=(0,)))
    arriving = holding_of(Story(show=(2,))).bundle
    assert arriving is not None
    (item,) = (one for one in arriving.evidence if isinstance(one, ShownEvidence))
    false = replace(item, item=replace(item.item, data=b"better marks"))
    grown = merged(held, replace(arriving, evidence=(false,)), header_trusted=True)
    assert grown.bundle is not None
    assert names(grown.bundle.evidence) == ["code.py"]


@pytest.mark.parametrize(("trusted", "number"), [(True, 8192), (False, 4096)])
def test_a_newer_state_is_taken_only_under_a_trusted_header(trusted: bool, number: int) -> None:
    story = Story()
    newer = replace(story, shown=replace(story.shown, number=8192, time=NOW))
    arriving = holding_of(newer).bundle
    assert arriving is not None
    grown = merged(holding_of(story), arriving, header_trusted=trusted)
    assert grown.header is not None
    assert grown.header.number == number


def test_an_older_state_takes_nothing_away() -> None:
    story = Story()
    older = replace(story, shown=LedgerState(number=2048, time=NOW - timedelta(days=1)))
    arriving = holding_of(older).bundle
    assert arriving is not None
    held = holding_of(story)
    assert merged(held, arriving, header_trusted=True).bundle == held.bundle


def test_a_snapshot_of_the_issuer_s_document_is_renewed_and_not_lost() -> None:
    """Of an issuer with a site, whose bundle is the snapshot and the state that proves it."""
    held = holding_of(of_key_school(), bundled=False)
    empty, newer = Story(), replace(Story(), shown=LedgerState(number=8192, time=NOW))
    states = [story.bundle(story.credential()).state for story in (empty, newer)]
    seen = DidDocumentSnapshot(b"{}", bytes(32), 0, 1, (), bytes(20))
    first, again = (
        Bundle(credential_digest=held.digest, state=state, did_document=replace(seen, salt=salt))
        for state, salt in zip(states, (bytes(32), b"1" * 32), strict=True)
    )
    held = merged(held, first, header_trusted=False)
    for trusted in (True, False):
        assert merged(held, again, header_trusted=trusted).bundle == again
        without = Bundle(credential_digest=held.digest, state=states[1])
        assert merged(held, without, header_trusted=trusted).bundle == first


def test_a_holding_is_found_by_the_beginning_of_its_digest_or_its_own_id() -> None:
    held = holding_of(Story())
    other = holding_of(of_key_school(), bundled=False)
    assert find([held, other], held.id[:4]) == held
    assert find([held], held.document["id"]) == held
    with pytest.raises(NotFound, match="names 2 holdings"):
        find([held, other], held.document["id"])
    with pytest.raises(NotFound, match="nothing held"):
        find([held], "")


def test_results_are_joined_with_the_words_of_the_rubric() -> None:
    document = {
        "credentialSubject": {
            "achievement": {
                "resultDescription": [
                    {
                        "id": "urn:r",
                        "name": "Craft",
                        "rubricCriterionLevel": [{"id": "urn:r:2", "name": "Secure", "points": "4"}],
                    }
                ]
            },
            "result": [
                {"resultDescription": "urn:r", "achievedLevel": "urn:r:2"},
                {"resultDescription": "urn:unknown", "value": "12"},
                "nonsense",
            ],
        }
    }
    rows = results_of(document)
    assert [(row.criterion, row.level, row.value) for row in rows] == [
        ("Craft", "Secure", "4"),
        ("urn:unknown", "", "12"),
    ]
    assert results_of({"credentialSubject": 3}) == ()
