"""did:webvh 1.0: the log is verified entry by entry; each refusal is one step away from a log that is taken."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from fixtures.webvh import Entry, Log, did_key, document, multihash, multikey, proof_by
from hypothesis import given, settings
from hypothesis import strategies as st

from node.core.did.webvh import WebvhHistory, did_webvh_urls, needs_witness_file, read_log
from node.core.errors import BonafidesError, Malformed, NotFound, NotVerified

NOW = datetime(2026, 6, 1, tzinfo=UTC)
SCID = "Qm" + "1" * 44


def read(log: Log, *, did: str | None = None, witness: bool = False) -> WebvhHistory:
    return read_log(did or log.did, log.to_bytes(), log.witness_bytes() if witness else None, now=NOW)


def resign(log: Log, version: int, signer: int = 1, **changes: Any) -> None:
    """Sign an entry again, with other proof options."""
    entry = {name: value for name, value in log.entries[version - 1].items() if name != "proof"}
    log.entries[version - 1]["proof"] = [proof_by(signer, entry, **changes)]


def witnesses(threshold: Any, *numbers: int) -> Entry:
    return {"threshold": threshold, "witnesses": [{"id": did_key(number)} for number in numbers]}


def test_a_first_entry_is_its_own_proof_of_the_identifier() -> None:
    log = Log()
    history = read(log)
    assert [version.number for version in history.versions] == [1]
    key = history.latest.document().method(f"{log.did}#key-1", "assertionMethod").public_key
    assert key is not None
    assert key.multibase == multikey(9)


def test_keys_of_the_entry_before_sign_the_next_one() -> None:
    log = Log()
    log.update(updateKeys=[multikey(2)])
    log.update(signers=[2], state=document(log.did, key=8))
    assert read(log).latest.document().methods[0].raw["publicKeyMultibase"] == multikey(8)


def test_every_version_can_be_named() -> None:
    log = Log()
    log.update()
    history = read(log)
    assert history.version(log.entries[0]["versionId"]).number == 1
    with pytest.raises(NotFound):
        history.version("3-" + SCID)


def test_under_pre_rotation_the_promised_keys_sign_their_own_entry() -> None:
    log = Log(nextKeyHashes=[multihash(multikey(2).encode()), "kept for show"])
    log.update(signers=[2], updateKeys=[multikey(2)], nextKeyHashes=[])
    log.update(signers=[2])
    assert read(log).latest.number == 3


def test_a_portable_did_moves_with_its_history() -> None:
    log = Log(portable=True)
    moved = f"did:webvh:{log.scid}:new.example:staff"
    log.update(state=document(moved) | {"alsoKnownAs": [log.did]})
    assert read(log, did=moved).latest.did == moved
    assert read(log).latest.did == moved


@pytest.mark.parametrize("known", [None, 5, {}, [5], ["did:webvh:other"], True])
def test_a_did_that_moved_without_saying_where_it_was_is_refused(known: object) -> None:
    log = Log(portable=True)
    log.update(state=document(f"did:webvh:{log.scid}:new.example") | {"alsoKnownAs": known})
    with pytest.raises(NotVerified, match="naming where it was"):
        read(log)


def test_a_deactivated_did_says_so() -> None:
    log = Log()
    log.update(deactivated=True, updateKeys=[])
    assert read(log).deactivated


def test_null_stands_for_the_default_as_early_writers_had_it() -> None:
    log = Log(nextKeyHashes=None, witness=None, watchers=None, ttl=None)
    assert read(log).latest.parameters.next_key_hashes == ()


def test_an_approval_of_a_later_version_covers_those_before() -> None:
    log = Log(witness=witnesses(2, 3, 4, 5))
    log.update()
    log.approve(2, 3)
    log.approve(1, 5, 9)
    log.approve(1, 4)
    assert needs_witness_file(log.to_bytes())
    with pytest.raises(NotVerified, match="version 2 has 1 of 2"):
        read(log, witness=True)
    log.approve(2, 5)
    assert read(log, witness=True).latest.number == 2


def test_new_witnesses_approve_the_entry_after_the_one_that_names_them() -> None:
    log = Log(witness=witnesses(1, 3))
    log.update(witness=witnesses(1, 4))
    log.approve(2, 4)
    with pytest.raises(NotVerified, match="version 1 has 0 of 1"):
        read(log, witness=True)
    log.approve(2, 3)
    assert read(log, witness=True).latest.number == 2
    log.update(witness={})
    with pytest.raises(NotVerified, match="version 3 has 0 of 1"):
        read(log, witness=True)
    log.approve(3, 4)
    log.update()
    assert read(log, witness=True).latest.number == 4


def test_approvals_of_what_is_not_published_count_for_nothing() -> None:
    log = Log(witness=witnesses(1, 3))
    other = Log("elsewhere.example", witness=witnesses(1, 3))
    other.approve(1, 3)
    log.approvals = other.approvals
    with pytest.raises(NotVerified, match="0 of 1"):
        read(log, witness=True)


@pytest.mark.parametrize(
    "changes",
    [
        {"cryptosuite": "eddsa-rdfc-2022"},
        {"proofPurpose": "authentication"},
        {"verificationMethod": f"{did_key(3)}#{multikey(4)}"},
        {"verificationMethod": did_key(3)},
    ],
)
def test_an_approval_that_fails_counts_for_nothing(changes: dict[str, str]) -> None:
    log = Log(witness=witnesses(1, 3))
    log.approve(1, 3, **changes)
    with pytest.raises(NotVerified, match="0 of 1"):
        read(log, witness=True)


def test_a_log_with_witnesses_and_no_file_is_refused() -> None:
    with pytest.raises(NotVerified, match="file with their proofs is missing"):
        read(Log(witness=witnesses(1, 3)))


@pytest.mark.parametrize(
    ("value", "detail"),
    [
        (witnesses(0, 3), "number of witnesses"),
        (witnesses(2, 3), "number of witnesses"),
        (witnesses(True, 3), "number of witnesses"),
        (witnesses(1), "1 to"),
        (witnesses(1, 3, 3), "twice"),
        ({"witnesses": [{"id": did_key(3)}]}, "threshold and witnesses"),
        ({"threshold": 1, "witnesses": [{"id": multikey(3)}]}, "did:key"),
        ({"threshold": 1, "witnesses": ["did:key:z"]}, "did:key"),
        (
            {
                "threshold": 1,
                "witnesses": [{"id": "did:key:zDnaerDaTF5BXEavCrfRZEk316dpbLsfPDZ3WJ5hRTPFU2169"}],
            },
            "Ed25519",
        ),
        ([], "threshold and witnesses"),
    ],
    ids=str,
)
def test_malformed_witnesses_are_not_read_as_none(value: Any, detail: str) -> None:
    with pytest.raises(Malformed, match=detail):
        read(Log(witness=value))


def _edit(version: int, change: Callable[[Entry], None]) -> Callable[[Log], None]:
    def edit(log: Log) -> None:
        change(log.entries[version - 1])

    return edit


def _with_update(**arguments: Any) -> Callable[[Log], None]:
    def update(log: Log) -> None:
        log.update(**arguments)

    return update


def _spoiled(change: Callable[[Entry], None]) -> Callable[[Log], None]:
    return _with_update(spoil=change)


REFUSED: dict[str, tuple[Callable[[Log], None], str]] = {
    "a state that was changed later": (
        _edit(1, lambda entry: entry["state"].update(service=[])),
        "not the hash of the first entry",
    ),
    "a later state that was changed": (
        _edit(2, lambda entry: entry["state"].update(service=[])),
        "not the hash of the entry",
    ),
    "a proof that was changed": (
        _edit(2, lambda entry: entry["proof"][0].update(created="2026-01-02T00:00:00Z")),
        "does not match",
    ),
    "no proof": (_edit(2, lambda entry: entry.update(proof=[])), "1 to 16 proofs"),
    "a second proof by somebody else": (
        lambda log: log.entries[1]["proof"].append(
            proof_by(7, {name: value for name, value in log.entries[1].items() if name != "proof"})
        ),
        "may not sign",
    ),
    "another cryptosuite": (lambda log: resign(log, 2, cryptosuite="eddsa-rdfc-2022"), "eddsa-jcs-2022"),
    "another purpose": (lambda log: resign(log, 2, proofPurpose="authentication"), "assertionMethod"),
    "a fragment that names another key": (
        lambda log: resign(log, 2, verificationMethod=f"{did_key(7)}#{multikey(1)}"),
        "repeats its key",
    ),
    "signed by a stranger": (_with_update(signers=[7]), "may not sign"),
    "signed by the key that the entry itself brings": (
        _with_update(signers=[7], updateKeys=[multikey(7)]),
        "may not sign",
    ),
    "an entry left out": (lambda log: (log.update(), log.entries.pop(1), None)[2], "expected version 2"),
    "the same time twice": (_with_update(time="2026-01-02T00:00:00Z"), "not later"),
    "from the future": (_with_update(time="2026-06-01T00:05:01Z"), "future"),
    "a time without its zone": (_with_update(time="2026-01-05T00:00:00"), "UTC"),
    "a time of another zone": (_with_update(time="2026-01-05T00:00:00+01:00"), "UTC"),
    "a later method version": (_with_update(method="did:webvh:2.0"), "only did:webvh:1.0"),
    "an identifier named again": (_spoiled(lambda entry: entry["parameters"].update(scid=SCID)), "only the first"),
    "made portable later": (_with_update(portable=True), "only the first"),
    "an unknown parameter": (_with_update(prerotation=True), "version 1.0 alone"),
    "a parameter of another type": (_with_update(deactivated="yes"), "true or false"),
    "a key listed twice": (_with_update(updateKeys=[multikey(1)] * 2), "twice"),
    "time to live below zero": (_with_update(ttl=-1), "seconds"),
    "an unknown member": (_spoiled(lambda entry: entry.update(comment="")), "versionId, versionTime"),
    "moved although it is not portable": (
        lambda log: log.update(
            state=document(f"did:webvh:{log.scid}:new.example") | {"alsoKnownAs": [log.did]}
        ),
        "moved",
    ),
    "another identifier in the document": (
        _with_update(state=document(f"did:webvh:{SCID}:school.example")),
        "another identifier",
    ),
    "something after the end": (lambda log: (log.update(deactivated=True), log.update(), None)[2], "deactivates"),
}  # fmt: skip


@pytest.mark.parametrize(("spoil", "detail"), REFUSED.values(), ids=REFUSED)
def test_a_log_with_this_fault_is_refused(spoil: Callable[[Log], None], detail: str) -> None:
    log = Log()
    log.update()
    read(log)
    spoil(log)
    with pytest.raises((NotVerified, Malformed), match=detail):
        read(log)


def test_a_move_names_where_the_did_was() -> None:
    log = Log(portable=True)
    log.update(state=document(f"did:webvh:{log.scid}:new.example"))
    with pytest.raises(NotVerified, match="without naming"):
        read(log)


@pytest.mark.parametrize(
    ("parameters", "detail"),
    [
        ({"nextKeyHashes": []}, "names its keys"),
        ({"updateKeys": [multikey(2)]}, "names its keys"),
        ({"updateKeys": [multikey(1)], "nextKeyHashes": []}, "did not promise"),
        ({"updateKeys": [multikey(2), multikey(1)], "nextKeyHashes": []}, "did not promise"),
    ],
)
def test_pre_rotation_inherits_nothing_and_takes_only_promised_keys(
    parameters: dict[str, Any], detail: str
) -> None:
    log = Log(nextKeyHashes=[multihash(multikey(2).encode())])
    log.update(signers=[2], **parameters)
    with pytest.raises(NotVerified, match=detail):
        read(log)


def test_a_log_of_another_did_is_refused() -> None:
    log, other = Log(), Log("other.example")
    with pytest.raises(NotVerified, match="another identifier"):
        read(log, did=other.did)
    with pytest.raises(NotVerified, match="no entry of the log is of this DID"):
        read(log, did=f"did:webvh:{log.scid}:lookalike.example")


@pytest.mark.parametrize(
    ("did", "log_url"),
    [
        (f"did:webvh:{SCID}:example.com", "https://example.com/.well-known/did.jsonl"),
        (f"did:webvh:{SCID}:issuer.example.com", "https://issuer.example.com/.well-known/did.jsonl"),
        (f"did:webvh:{SCID}:example.com:dids:issuer", "https://example.com/dids/issuer/did.jsonl"),
        (f"did:webvh:{SCID}:example.com%3A3000:dids", "https://example.com:3000/dids/did.jsonl"),
        (f"did:webvh:{SCID}:example.com%3a3000", "https://example.com:3000/.well-known/did.jsonl"),
    ],
)
def test_log_and_witness_file_lie_beside_each_other(did: str, log_url: str) -> None:
    assert did_webvh_urls(did) == (log_url, log_url.replace("did.jsonl", "did-witness.json"))


@pytest.mark.parametrize(
    "did",
    [
        "did:webvh:example.com",
        f"did:webvh:{SCID}",
        f"did:webvh:{SCID[:-1]}0:example.com",
        f"did:webvh:{SCID}:127.0.0.1",
        f"did:webvh:{SCID}:127%2E0%2E0%2E1",
        f"did:webvh:{SCID}:127.0.0.1%3a8080",
        f"did:webvh:{SCID}:127.0.0.1#x",
        f"did:webvh:{SCID}:example.com:..:..:admin",
        f"did:webvh:{SCID}:example.com:%2e%2e:admin",
        f"did:webvh:{SCID}:example.com:a%2Fb",
        "did:web:example.com",
    ],
)
def test_an_identifier_that_would_lead_elsewhere_is_refused(did: str) -> None:
    with pytest.raises(Malformed):
        did_webvh_urls(did)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_no_changed_byte_gives_another_document(data: st.DataObject) -> None:
    log = Log(witness=witnesses(1, 3))
    log.update(updateKeys=[multikey(2)])
    log.approve(2, 3)
    text = bytearray(log.to_bytes())
    place = data.draw(st.integers(0, len(text) - 1))
    text[place] ^= data.draw(st.integers(1, 255))
    try:
        found = read_log(log.did, bytes(text), log.witness_bytes(), now=NOW)
    except BonafidesError:
        return
    # White space between members and such: what it says is what was signed.
    assert [version.state for version in found.versions] == [entry["state"] for entry in log.entries]


def test_a_log_is_read_within_limits() -> None:
    with pytest.raises(Malformed, match="bytes"):
        read_log(Log().did, b" " * (4 * 1024 * 1024 + 1), None, now=NOW)
    with pytest.raises(Malformed, match="1000 entries"):
        read_log(Log().did, b"{}\n" * 1001, None, now=NOW)
    with pytest.raises(Malformed):
        read_log(Log().did, orjson.dumps([]), None, now=NOW)
