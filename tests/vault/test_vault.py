"""Everything that was ever issued, judged by this build (property 7 of the design), and the vault's own rules."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
from vault import catalogue, write
from vault.papers import Paper, papers
from vault.specimens import (
    INDEX,
    Specimen,
    digest,
    editions,
    outcomes,
    read_index,
    specimens,
    standards,
)

from node.core.baking import bake, image_kind, unbake
from node.core.bundle import parse_bundle
from node.core.cbor import decode_cbor
from node.core.dataintegrity.bbs_binding import Binding, bind
from node.core.errors import Malformed, NotVerified
from node.core.evm.network import Network
from node.core.securing import KINDS
from node.core.strict_json import parse_json_object
from node.core.verify.report import CheckName, Outcome, Report
from node.core.verify.trust import TrustList
from node.services.issuer import now_utc
from wallet.disclose import Occasion
from wallet.holdings import Holding, Provenance, new_holding

# SHA-256 of each edition's index, which holds those of its files. A line is added with an edition and never changed.
SEALED: dict[str, str] = {
    "0.1.0": "c6d63658b61897511c8c156407dac4ff797e761dfcd28a1a3ddf60b4b3611119",
    "0.1.0-2": "a0e07a8850823fd10b6e6d5a0496c19cd9e41a426c2eaf74385e6a8e9b28c9b5",
}
HELD = list(specimens())
PAPERS = list(papers())
every_paper = pytest.mark.parametrize("paper", PAPERS, ids=[one.name for one in PAPERS])
SNAPSHOTS = [one for one in HELD if one.name.startswith("witness-")]
every_snapshot = pytest.mark.parametrize("specimen", SNAPSHOTS, ids=[one.name for one in SNAPSHOTS])
every_specimen = pytest.mark.parametrize("specimen", HELD, ids=[one.name for one in HELD])


def named(name: str) -> Specimen:
    (specimen,) = [one for one in HELD if one.name == name]
    return specimen


@every_specimen
def test_what_was_issued_is_found_to_be_what_it_was(specimen: Specimen) -> None:
    assert outcomes(specimen.judge()) == specimen.entry["expected"]


@pytest.mark.parametrize("name", ["message", "did-key-message"])
def test_a_message_is_told_to_whom_it_concerns(name: str) -> None:
    assert write.MESSAGES[2] in named(name).judge()[CheckName.STATUS].basis


@every_paper
def test_what_was_issued_beside_credentials_holds_as_it_did(paper: Paper) -> None:
    assert paper.judge() == paper.entry["expected"]
    assert paper.judge()["holds"]


def moved(network: Network) -> Network:
    """The same chain in a table where the registries stand elsewhere."""
    return replace(
        network, credential_registry=b"\x11" * 20, did_registry=b"\x22" * 20, code_hash=b"\x33" * 32
    )


@pytest.mark.parametrize("name", ["eddsa-rdfc-2022", "hop", "bbs-2023-both", "witness-did-web"])
def test_an_edition_is_judged_by_its_own_networks_whatever_the_shipped_table_says(name: str) -> None:
    specimen = named(name)
    verifier = specimen.verifier
    elsewhere = {chain: moved(network) for chain, network in verifier.networks.every.items()}
    assert verifier.networks.operator.keys() < elsewhere.keys()
    for ours in ({}, elsewhere):
        believing = replace(verifier, networks=replace(verifier.networks, ours=ours))
        assert outcomes(specimen.judge(verifier=believing)) == specimen.entry["expected"]
    misled = replace(verifier, networks=replace(verifier.networks, ours={}, operator=elsewhere))
    assert specimen.judge(verifier=misled).acceptance != "accepted"


# --- the vault is written once


def test_no_edition_was_touched_since_it_was_written() -> None:
    assert {edition.name: digest((edition / INDEX).read_bytes()) for edition in editions()} == SEALED
    for edition in editions():
        index = read_index(edition)
        there = {file.name: digest(file.read_bytes()) for file in edition.iterdir() if file.name != INDEX}
        assert there == index["digests"]


def test_every_specimen_has_a_name_of_its_own_and_no_file_is_without_one() -> None:
    assert len({one.name for one in [*HELD, *PAPERS]}) == len(HELD) + len(PAPERS)
    for edition in editions():
        needed = {name for one in [*HELD, *PAPERS] if one.edition == edition for name in one.files}
        believed = {"networks.json", "trust.json", "checkpoint.json"}
        assert needed | believed == read_index(edition)["digests"].keys()


def test_everything_of_the_catalogue_is_held_and_nothing_is_written_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert catalogue.KINDS.keys() <= {one.name for one in HELD}
    assert catalogue.PAPERS.keys() <= {one.kind for one in PAPERS}

    def never(*_: Any) -> None:
        pytest.fail("it began to issue")

    monkeypatch.setattr(write, "ChainProcess", never)
    write.main()
    assert "nothing to write" in capsys.readouterr().out


def test_an_edition_that_stands_is_not_written_over(tmp_path: Path) -> None:
    first = write.new_edition(tmp_path)
    first.mkdir()
    second = write.new_edition(tmp_path)
    assert second != first
    (entry,) = [dict(one.entry) for one in HELD[:1]]
    needed = (*HELD[0].files, "networks.json", "trust.json", "checkpoint.json")
    draft = write.Draft(files={name: (HELD[0].edition / name).read_bytes() for name in needed})
    with pytest.raises(FileExistsError):
        write.keep(first, draft, [entry], now_utc())
    assert not list(first.iterdir())
    write.keep(second, draft, [entry], now_utc())
    assert Specimen(second, entry).data == HELD[0].data


def test_every_way_to_secure_a_credential_has_a_specimen() -> None:
    for securing in KINDS:
        name = securing.replace("+", "-")
        assert any(one.name.startswith(name) for one in HELD), securing


def test_bbs_2023_has_a_specimen_of_everything_that_it_can_be_bound_to() -> None:
    wanted = {Binding.HOLDER: False, Binding.PSEUDONYM: True, Binding.BOTH: True}
    assert wanted.keys() == set(Binding)
    for binding, has_pseudonym in wanted.items():
        name = {Binding.HOLDER: "holder", Binding.PSEUDONYM: "pseudonym", Binding.BOTH: "both"}[binding]
        found = named(f"bbs-2023-{name}").entry["expected"]["holderSecret"]
        assert found["domain"] == write.DOMAIN
        assert ("pseudonym" in found) is has_pseudonym


def test_the_vault_holds_no_secret_but_what_a_wallet_needs_beside_a_specimen() -> None:
    beside = {one.edition / one.entry["secrets"] for one in HELD if "secrets" in one.entry}
    for file in (file for edition in editions() for file in edition.iterdir()):
        assert file.suffix in {".json", ".jwt", ".cose", ".png", ".svg"}, file
        data = file.read_bytes()
        for word in (b'"d":', b"privateKey", b"secretKey", b"ciphertext", b"passphrase"):
            assert word not in data, file
        told = re.search(rb'"(secretProverBlind|holderSecret|proverNym)"\s*:\s*"', data)
        assert (told is not None) is (file in beside), file


# --- what its holders can still do with it


def holding_of(specimen: Specimen) -> Holding:
    """What its holder's wallet keeps."""
    bundle = parse_bundle(parse_json_object(specimen.data))
    assert bundle.credential is not None
    held = new_holding(bundle.credential, bundle, Provenance("imported", "vault", now_utc()))
    return replace(held, secrets=specimen.secrets)


def shown_to(holding: Holding, challenge: str | None = None, domain: str | None = None) -> bytes:
    """All of it, derived now."""
    occasion = Occasion(secrets.token_bytes(32), challenge, domain)
    made = holding.choices.make(holding.choices.places, standards().canonicalizer, occasion)
    return json.dumps(holding.loose_bundle((), made).with_credential(made).to_json()).encode()


@pytest.mark.parametrize("name", ["ecdsa-sd-2023-base", "bbs-2023-base", "bbs-2023-both-base"])
def test_of_a_base_proof_its_holder_still_derives_what_is_accepted(name: str) -> None:
    specimen = named(name)
    assert specimen.judge(shown_to(holding_of(specimen))).acceptance == "accepted"


def test_each_verifier_still_knows_its_holder_by_the_pseudonym_of_that_day() -> None:
    shown, again = named("bbs-2023-both"), named("bbs-2023-both-presentation")
    told = shown.entry["expected"]["holderSecret"]
    assert told["pseudonym"]
    assert again.entry["expected"]["holderSecret"] == told
    holding = holding_of(named("bbs-2023-both-base"))
    now = replace(shown, entry={**shown.entry, "asked": {"challenge": "of today", "domain": write.DOMAIN}})
    today = now.judge(shown_to(holding, "of today", write.DOMAIN))
    assert today.acceptance == "accepted"
    assert today.holder_secret is not None
    assert today.holder_secret.to_json() == told
    other = replace(shown, entry={**shown.entry, "asked": {"challenge": "c", "domain": "https://b.example"}})
    elsewhere = other.judge(shown_to(holding, "c", "https://b.example"))
    assert elsewhere.acceptance == "accepted"
    assert elsewhere.holder_secret is not None
    assert elsewhere.holder_secret.pseudonym not in (None, told["pseudonym"])


def test_what_is_bound_to_a_secret_is_derived_by_nobody_without_it() -> None:
    bound = holding_of(named("bbs-2023-both-base"))
    for stolen in (None, bind(Binding.BOTH, bytes(32)).holder):
        try:
            data = shown_to(replace(bound, secrets=stolen))
        except (Malformed, NotVerified):
            continue
        assert named("bbs-2023-both-part").judge(data).acceptance != "accepted"


# --- what stands beside the credential


@pytest.mark.parametrize("name", ["hop", "hop-revoked"])
def test_without_its_hop_nobody_vouches_for_its_block(name: str) -> None:
    specimen = named(name)
    body = json.loads(specimen.data)
    del body["state"]["hop"]
    report = specimen.judge(json.dumps(body).encode())
    assert report.acceptance == "undetermined"
    assert report[CheckName.HEADER].outcome is Outcome.UNKNOWN


@every_snapshot
def test_a_snapshot_counts_by_a_witness_that_is_named_and_for_a_day(specimen: Specimen) -> None:
    assert specimen.judge(now=specimen.now + timedelta(hours=23)).acceptance == "accepted"
    assert specimen.judge(now=specimen.now + timedelta(hours=25)).acceptance == "undetermined"
    assert specimen.verifier.trust is not None
    unnamed = TrustList(tuple(replace(one, witnesses=()) for one in specimen.verifier.trust.entries))
    report = specimen.judge(verifier=replace(specimen.verifier, trust=unnamed))
    assert report.acceptance == "undetermined"
    body = json.loads(specimen.data)
    del body["didDocument"]
    assert specimen.judge(json.dumps(body).encode()).acceptance == "undetermined"


@pytest.mark.parametrize("name", ["hop", "hop-revoked", "witness-did-web", "witness-did-webvh"])
def test_with_one_character_changed_beside_the_credential_it_is_never_accepted(name: str) -> None:
    specimen = named(name)
    random, body = Random(name), json.loads(specimen.data)  # noqa: S311 - repeatable, and nobody's secret
    beside = [at for at in leaves(body) if at[0] in ("state", "didDocument")]
    assert len(beside) > 8
    for at in beside:
        # The last character of base64url may have bits that say nothing.
        changed = replaced(body, at, lambda text: other(text, random.randrange(2, len(text) - 1)))
        assert specimen.judge(json.dumps(changed).encode()).acceptance != "accepted", at


# --- one character of it changed


def other(text: str, place: int) -> str:
    """The text with the character at `place` changed into one of its kind."""
    old = text[place]
    new = {"A": "B", "a": "b", "0": "1"}.get(old, "A" if old.isupper() else "0" if old.isdigit() else "a")
    return text[:place] + new + text[place + 1 :]


@dataclass(frozen=True)
class Changed:
    """A specimen with one character of what is signed changed, and where."""

    where: str
    data: bytes


def leaves(value: Any, at: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The places of texts that a proof covers: not of the proof itself."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if name != "proof":
                yield from leaves(inner, (*at, name))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from leaves(inner, (*at, index))
    elif isinstance(value, str) and value:
        yield at


def replaced(value: Any, at: tuple[str | int, ...], change: Callable[[str], str]) -> Any:
    """A copy with the text at a place changed."""
    if not at:
        return change(value)
    copied: Any = dict(value) if isinstance(value, dict) else list(value)
    copied[at[0]] = replaced(value[at[0]], at[1:], change)
    return copied


def of_document(document: Any, random: Random, count: int) -> Iterator[tuple[str, Any]]:
    """A document with one character changed; in a token, in each of its parts."""
    if isinstance(document, str):
        yield from of_token(document, random)
        return
    if "EnvelopedVerifiableCredential" in str(document.get("type")):
        text = document["id"]
        yield "id", {**document, "id": other(text, random.randrange(len(text) // 2, len(text) - 4))}
        return
    for place in random.sample(found := list(leaves(document)), min(count, len(found))):
        yield (
            "/".join(map(str, place)),
            replaced(document, place, lambda text: other(text, random.randrange(len(text)))),
        )
    proofs = document["proof"] if isinstance(document["proof"], list) else [document["proof"]]
    at = ("proof", 0, "proofValue") if isinstance(document["proof"], list) else ("proof", "proofValue")
    # Behind the head, which says what kind of value it is.
    inside = random.randrange(12, len(proofs[0]["proofValue"]) - 4)
    yield "proofValue", replaced(document, at, lambda text: other(text, inside))


def of_token(token: str, random: Random) -> Iterator[tuple[str, str]]:
    """A token with one character changed: in each segment of the JWS, each Disclosure, the key binding."""
    issued, *disclosures = token.split("~")
    segments = issued.split(".")
    for index, segment in enumerate(segments):
        changed = [*segments]
        changed[index] = other(segment, random.randrange(len(segment) - 2))
        yield f"segment {index}", "~".join((".".join(changed), *disclosures))
    for index, one in enumerate(disclosures):
        if one:
            rest = [*disclosures]
            rest[index] = other(one, random.randrange(len(one) - 2))
            yield f"disclosure {index}", "~".join((issued, *rest))


def of_bytes(data: bytes, random: Random) -> Iterator[Changed]:
    """COSE_Sign1: one byte of its payload, one of its signature."""
    parts = decode_cbor(data[1:])
    assert isinstance(parts, list)
    for part in parts[2:]:
        assert isinstance(part, bytes)
        place = data.index(part) + random.randrange(len(part))
        yield Changed(str(place), data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])


def changes(specimen: Specimen, count: int = 12) -> Iterator[Changed]:
    """The specimen with one character changed, here and there; the same places in every run."""
    random, data = Random(specimen.name), specimen.data  # noqa: S311 - repeatable, and nobody's secret
    kind = image_kind(data)
    if kind is not None:
        baked = unbake(data)
        text = baked.credential
        document = json.loads(text) if text.startswith("{") else text
        for where, changed in of_document(document, random, count):
            again = changed if isinstance(changed, str) else json.dumps(changed)
            yield Changed(where, bake(data, again, baked.bundle))
        return
    if data[:1] != b"{":
        if data[:1] == b"\xd2":
            yield from of_bytes(data, random)
        else:
            for where, token in of_token(data.decode().strip(), random):
                yield Changed(where, token.encode())
        return
    body = json.loads(data)
    member = next((name for name in ("credential", "presentation") if name in body), None)
    for where, changed in of_document(body if member is None else body[member], random, count):
        yield Changed(where, json.dumps(changed if member is None else {**body, member: changed}).encode())


def is_sound(report: Report) -> bool:
    """Whether all that is signed was found to be as it was signed."""
    return all(report[name].outcome is Outcome.PASSED for name in (CheckName.CONFORMANCE, CheckName.PROOF))


@every_specimen
def test_with_one_character_changed_it_is_never_accepted(specimen: Specimen) -> None:
    made = list(changes(specimen))
    assert made
    for changed in made:
        assert changed.data != specimen.data
        report = specimen.judge(changed.data)
        assert report.acceptance != "accepted", changed.where
        assert not report.verified, changed.where
        assert not is_sound(report), changed.where


def of_paper(paper: Paper) -> Iterator[tuple[str, bytes]]:
    """A paper with one character changed, of all that it says of itself or of the chain."""
    random, body = Random(paper.name), json.loads(paper.data)  # noqa: S311 - repeatable, and nobody's secret
    if paper.kind == "did-configuration":
        for where, token in of_token(body["linked_dids"][0], random):
            yield where, json.dumps({**body, "linked_dids": [token]}).encode()
        return
    for at in leaves(body):
        # When it was exported, and with what it was sent, is the issuer's word alone.
        if paper.kind == "audit" and at[0] in ("exported", "transactions"):
            continue
        changed = replaced(body, at, lambda text: other(text, random.randrange(2, len(text) - 1)))
        yield "/".join(map(str, at)), json.dumps(changed).encode()


@every_paper
def test_a_paper_with_one_character_changed_holds_no_more(paper: Paper) -> None:
    made = list(of_paper(paper))
    assert made
    for where, data in made:
        assert data != paper.data
        assert not paper.judge(data)["holds"], where


def test_an_audit_that_leaves_out_a_write_is_told() -> None:
    (paper,) = [one for one in PAPERS if one.kind == "audit"]
    body = json.loads(paper.data)
    for member in ("anchors", "keys", "lists", "writers"):
        for index in range(len(body[member])):
            less = [one for place, one in enumerate(body[member]) if place != index]
            found = paper.judge(json.dumps({**body, member: less}).encode())
            assert not found["holds"], (member, index)
    assert not paper.judge(json.dumps({**body, "transactions": []}).encode())["holds"]
