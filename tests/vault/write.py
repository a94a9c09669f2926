"""Writes a new edition of the vault with what `catalogue.py` names and no edition holds yet.

    PYTHONPATH=tests .venv/bin/python -m vault.write

A school on an embedded chain of its own, and others without a chain, issue by the services that `bonafides issuer`
runs; a wallet's own functions make what is shown. All keys are drawn here and gone at the end: nobody can write a
specimen again. Nothing that stands is touched. A specimen of which the engine does not say what the catalogue says is
not written.
"""

from __future__ import annotations

import asyncio
import csv
import json
import secrets
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import orjson
from fixtures.chain import ChainProcess, RunningChain, deployed
from fixtures.issuers import PASSPHRASE
from vault import catalogue
from vault.specimens import (
    INDEX,
    VAULT,
    Specimen,
    digest,
    encode,
    encode_index,
    outcomes,
    specimens,
    standards,
)

from node.commands.issuer_folder import Folder, open_chain, open_issuer
from node.core.keys import KeyKind
from node.core.securing import BBS, DEFAULT_SECURING
from node.core.strict_json import JsonObject, parse_json_object
from node.core.times import format_datetime_stamp, from_unix
from node.services import (
    anchoring,
    blockcerts,
    bundles,
    derivation,
    export,
    issuance,
    lookup,
    revocation,
    rotation,
    setup,
    status_lists,
)
from node.services.cohort import load_cohort
from node.services.issuer import Issuer, now_utc
from node.services.preparing import Terms
from node.services.revocation import Action
from node.storage.base import KeyRole, KeyState
from node.storage.database import open_database
from wallet.backup import Format, encode_export
from wallet.disclose import Occasion, named_places
from wallet.holder_keys import HolderKey, make_key
from wallet.holdings import Holding, Provenance, new_holding
from wallet.presentation import Showing, bundles_of, for_a_file, presentation_file, sign_token

SCHOOL: Final = "The School of the Vault"
URL: Final = "https://school.example"
CHALLENGE: Final = "vault-0123456789abcdef0123456789"
DOMAIN: Final = "https://employer.example"
# Görli is no more, so nobody takes its number for a chain that he could ask; Blockcerts has a name for it.
BLOCKCERTS_CHAIN: Final = 5
SHOWN: Final = ("credentialSubject.achievement.name", "/credentialSubject/result/0")
FLAT_SHOWN: Final = ("achievement.name", "/result/0")
MESSAGES: Final = ["In good standing", "Paused", "Under review", "Ended"]
MANDATORY: Final = ["/name", "/credentialSubject/achievement/name"]
RESULTS: Final = (
    "urn:uuid:976af6fe-1a18-5be7-9487-596b1e66021e",
    "urn:uuid:2f0c6a52-7d3e-4c52-9f7e-6f7a1f0c3b11",
)
ACHIEVEMENT: Final = "urn:uuid:5e1a2c7e-94ab-4d0c-8b39-3a1d0c5f7a20"
BADGE: Final[JsonObject] = {
    "template": 1,
    "name": "Python, first course",
    "achievement": {
        "id": ACHIEVEMENT,
        "name": "Python, first course",
        "description": "Writes small programs, and finds out why they do not work.",
        "criteria": {"narrative": "A task of three hours, passed with at least 50 points."},
        "resultDescription": [
            {"id": one, "type": ["ResultDescription"], "name": name, "resultType": "RawScore"}
            for one, name in zip(RESULTS, ("Score", "Days"), strict=True)
        ],
    },
    "results": [
        {"resultDescription": RESULTS[0], "value": "{score}"},
        {"resultDescription": RESULTS[1], "value": "{days}"},
    ],
    "validDays": 3650,
}
EVIDENCE: Final = {"name": "The task", "items": [{"file": "solution.py"}, {"file": "review.txt"}]}
ENDORSEMENT: Final[JsonObject] = {
    "template": 1,
    "kind": "EndorsementCredential",
    "name": "What we think of it",
    "subject": {"id": "{endorsed}", "endorsementComment": "{comment}"},
    "validDays": 3650,
}
RECORD: Final[JsonObject] = {
    "template": 1,
    "kind": "ClrCredential",
    "name": "All that was learned",
    "credentials": "badges",
    "validDays": 3650,
}


@dataclass
class Draft:
    """An edition that is being made: its files, and the entries of its index."""

    files: dict[str, bytes] = field(default_factory=dict)
    entries: dict[str, JsonObject] = field(default_factory=dict)
    networks: list[JsonObject] = field(default_factory=list)
    trusted: list[str] = field(default_factory=list)

    def add(self, name: str, ending: str, data: bytes, *, asked: bool = False, **more: Any) -> None:
        """A specimen, its file named after it."""
        kind = catalogue.KINDS[name]
        self.files[f"{name}.{ending}"] = data
        self.entries[name] = {
            "name": name,
            "what": kind.what,
            "file": f"{name}.{ending}",
            "policy": "strict",
            "mode": kind.mode,
            **({"asked": {"challenge": CHALLENGE, "domain": DOMAIN}} if asked else {}),
            **more,
        }


@dataclass
class Learner:
    """Who the badges are for, with a key of each kind that a wallet has."""

    key: HolderKey = field(default_factory=lambda: make_key(KeyKind.ED25519, secrets.token_bytes, now_utc()))
    other: HolderKey = field(default_factory=lambda: make_key(KeyKind.P256, secrets.token_bytes, now_utc()))

    def present(self, *showings: Showing, key: HolderKey | None = None) -> bytes:
        """What `wallet present` writes into a file."""
        body = presentation_file(
            [key or self.key],
            for_a_file(showings),
            standards().canonicalizer,
            secrets.token_bytes,
            challenge=CHALLENGE,
            domain=DOMAIN,
            now=now_utc(),
        )
        return orjson.dumps(body)


@dataclass
class Author:
    """An issuer that writes for an edition."""

    issuer: Issuer
    folder: Path
    draft: Draft
    learner: Learner

    async def issue(
        self, cohort: str, securing: str = DEFAULT_SECURING, *, to: str | None = None, **changed: Any
    ) -> str:
        """A badge by the template with these members changed; returns the name under which it is found."""
        template = {**BADGE, **changed}
        with_evidence = "evidence" in changed
        cells = {"score": "90", "days": "12"}
        return await self._issue(cohort, securing, template, cells, to=to, with_evidence=with_evidence)

    async def endorse(self, cohort: str, securing: str) -> str:
        """An endorsement of the achievement."""
        cells = {"endorsed": ACHIEVEMENT, "comment": "Sound work, and well told."}
        return await self._issue(cohort, securing, ENDORSEMENT, cells)

    async def collect(self, cohort: str, securing: str, badges: Sequence[str]) -> str:
        """A record of badges that were issued."""
        ids = [(await lookup.find_credential(self.issuer, name)).intent.credential_id for name in badges]
        return await self._issue(cohort, securing, RECORD, {"badges": ";".join(ids)})

    async def _issue(
        self,
        cohort: str,
        securing: str,
        template: Mapping[str, Any],
        cells: Mapping[str, str],
        *,
        to: str | None = None,
        with_evidence: bool = False,
    ) -> str:
        place = self.folder / "input" / cohort
        place.mkdir(parents=True)
        body = {name: value for name, value in {**template, "cohort": cohort}.items() if value is not None}
        (place / "template.json").write_text(json.dumps(body))
        row = {"id": "1", "subject_did": self.learner.key.did if to is None else to, **cells}
        with (place / "cohort.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, row)
            writer.writeheader()
            writer.writerow(row)
        if with_evidence:
            (place / "evidence/1").mkdir(parents=True)
            (place / "evidence/1/solution.py").write_text("print(sum(map(int, input().split())))\n")
            (place / "evidence/1/review.txt").write_text("Works, and reads well.\n")
        evidence = place / "evidence" if with_evidence else None
        loaded = load_cohort(place / "template.json", place / "cohort.csv", evidence)
        with_status = await status_lists.gives_entries(self.issuer) and securing != BBS
        plan = await issuance.plan(
            self.issuer, loaded, Terms(securing, bearer=to == "", with_status=with_status)
        )
        while not await issuance.ensure_lists(self.issuer, plan):
            await self.settle()
        await issuance.issue(self.issuer, plan)
        return f"{cohort}/1"

    async def settle(self) -> None:
        """Until nothing is under way any more."""
        await anchoring.AnchorWorker(self.issuer).run_until_done(timeout_seconds=120)

    async def change(self, name: str, action: Action, value: int | None = None) -> None:
        """Revoke, suspend, reinstate, or say a message."""
        record = await lookup.find_credential(self.issuer, name)
        await revocation.change_status(
            self.issuer, [record], action, reason="for the vault", requested_by="the vault", value=value
        )

    async def held(self, name: str) -> Holding:
        """What its holder's wallet keeps."""
        found = await bundles.load_bundle(
            self.issuer, await lookup.find_digest(self.issuer, name), max_age_seconds=-1
        )
        assert found is not None
        assert found.credential is not None
        bundle = found if self.issuer.on_chain else None
        return new_holding(found.credential, bundle, Provenance("issued", URL, now_utc()))

    async def bundle(self, specimen: str, name: str) -> None:
        """A specimen: the bundle as `issuer export --bundle` writes it."""
        self.draft.add(specimen, "bundle.json", await export.bundle_json(self.issuer, name))

    async def exported(self, specimen: str, name: str, form: Format, *evidence: str) -> None:
        """A specimen: what `wallet export` writes."""
        ending = {Format.OWN: "json", Format.BUNDLE: "bundle.json"}.get(form, str(form))
        holding = await self.held(name)
        if form is Format.OWN and holding.shown.envelope is not None:
            ending = "cose" if isinstance(holding.shown.envelope.token, bytes) else "jwt"
        self.draft.add(specimen, ending, encode_export(holding, form, standards().canonicalizer, evidence))


def in_part(holding: Holding, names: Sequence[str] = SHOWN) -> Showing:
    """A showing of these claims alone."""
    return Showing(holding, selection=named_places(holding.choices, names, holding.document))


def derived(showing: Showing) -> JsonObject:
    """The part in its bundle, for no occasion."""
    made = showing.made(standards().canonicalizer, Occasion(secrets.token_bytes(32)))
    return showing.holding.loose_bundle((), made).with_credential(made).to_json()


# --- the school on a chain


async def write_school(author: Author) -> None:
    """Everything that has an anchor."""
    issuer, folder = author.issuer, author.folder / "school"
    await author.issue("retired-key")
    await author.settle()
    await rotation.begin(issuer, folder, PASSPHRASE)
    await author.settle()
    await _of_ed25519(author)
    await author.settle()
    await _with_key(author, folder, KeyKind.P256)
    await _with_key(author, folder, KeyKind.BLS12381_G2)
    await _of_p256(author)
    await author.settle()
    await _with_key(author, folder, KeyKind.P384)
    for name in ("ecdsa-rdfc-2019", "ecdsa-jcs-2019"):
        await author.issue(f"{name}-P-384", name)
    for name in catalogue.TOKENS:
        await author.issue(f"{name}-ES384", catalogue.TOKENS[name])
    await author.settle()
    await _records(author)
    await author.settle()
    await _change_statuses(author)
    await author.settle()
    async with issuer.store.reading() as reading:
        states = [key.state for key in await reading.keys.all(KeyRole.ASSERTION)]
    assert states == [KeyState.RETIRED, *[KeyState.ACTIVE] * 4], states
    await _show_documents(author)
    await _show_parts(author)
    await _present(author)


async def _with_key(author: Author, folder: Path, kind: KeyKind) -> None:
    await rotation.add(author.issuer, folder, PASSPHRASE, kind)
    await author.settle()


async def _of_ed25519(author: Author) -> None:
    for name in ("eddsa-rdfc-2022", "eddsa-jcs-2022"):
        await author.issue(name, name)
    for name in catalogue.TOKENS:
        await author.issue(f"{name}-EdDSA", catalogue.TOKENS[name])
    for name in ("suspendable", "suspended", "reinstated"):
        await author.issue(name, suspendable=True)
    await author.issue("revoked")
    await author.issue("message", statusMessage=MESSAGES)
    await author.issue("expired", validDays=1)
    await author.issue("bearer", to="")
    for name in ("evidence", "evidence-erased"):
        await author.issue(name, evidence=EVIDENCE)
    await author.issue("P-256 holder", to=author.learner.other.did)
    await author.endorse("endorsement-eddsa-rdfc-2022", DEFAULT_SECURING)
    await author.endorse("endorsement-vc-jwt", "vc+jwt")


async def _of_p256(author: Author) -> None:
    for name in ("ecdsa-rdfc-2019", "ecdsa-jcs-2019"):
        await author.issue(f"{name}-P-256", name)
    for name in catalogue.TOKENS:
        await author.issue(f"{name}-ES256", catalogue.TOKENS[name])
    await author.issue("ecdsa-sd-2023-base", "ecdsa-sd-2023")
    await author.issue("bbs-2023-base", BBS, validDays=None)
    await author.endorse("endorsement-ecdsa-sd-2023", "ecdsa-sd-2023")
    for securing in ("ecdsa-sd-2023", "vc+sd-jwt"):
        await author.issue(f"mandatory {securing}", securing, mandatoryPointers=MANDATORY)


async def _records(author: Author) -> None:
    badges = ("eddsa-rdfc-2022/1", "ecdsa-sd-2023-base/1")
    await author.collect("record-eddsa-rdfc-2022", DEFAULT_SECURING, badges)
    await author.collect("record-vc-jwt", "vc+jwt", badges)


async def _change_statuses(author: Author) -> None:
    await author.change("revoked/1", Action.REVOKE)
    for name in ("suspended/1", "reinstated/1"):
        await author.change(name, Action.SUSPEND)
    await author.settle()
    await author.change("reinstated/1", Action.REINSTATE)
    await author.change("message/1", Action.MESSAGE, 2)
    record = await lookup.find_credential(author.issuer, "evidence-erased/1")
    async with author.issuer.store.transaction() as transaction:
        await transaction.evidence.erase(record.intent.credential_id, now_utc(), [1])


async def _show_documents(author: Author) -> None:
    for suite in ("eddsa-rdfc-2022", "eddsa-jcs-2022", "ecdsa-sd-2023-base", "bbs-2023-base"):
        await author.bundle(suite, f"{suite}/1")
    for suite in ("ecdsa-rdfc-2019", "ecdsa-jcs-2019"):
        for curve in ("P-256", "P-384"):
            await author.bundle(f"{suite}-{curve}", f"{suite}-{curve}/1")
    for token in catalogue.TOKENS:
        for algorithm in catalogue.ALGORITHMS:
            await author.bundle(f"{token}-{algorithm}", f"{token}-{algorithm}/1")
    for name in (
        *("suspendable", "revoked", "suspended", "reinstated", "message", "bearer", "retired-key"),
        *("endorsement-eddsa-rdfc-2022", "endorsement-vc-jwt", "record-eddsa-rdfc-2022", "record-vc-jwt"),
        "evidence-erased",
    ):
        await author.bundle(name, f"{name}/1")
    await author.bundle("expired", "expired/1")
    author.draft.entries["expired"]["now"] = format_datetime_stamp(now_utc() + timedelta(days=2))
    await author.exported("evidence-all", "evidence/1", Format.BUNDLE, "solution.py", "review.txt")
    await author.exported("evidence-one", "evidence/1", Format.BUNDLE, "review.txt")
    await author.exported("evidence-none", "evidence/1", Format.BUNDLE)
    await author.exported("alone", "eddsa-rdfc-2022/1", Format.OWN)
    await author.exported("alone-vc-jwt", "vc-jwt-EdDSA/1", Format.OWN)
    await author.exported("baked-png", "evidence/1", Format.PNG, "solution.py")
    await author.exported("baked-svg", "evidence/1", Format.SVG, "solution.py")
    await author.exported("baked-svg-vc-jwt", "vc-jwt-EdDSA/1", Format.SVG)
    await author.exported("baked-png-ecdsa-sd-2023", "ecdsa-sd-2023-base/1", Format.PNG)


async def _show_parts(author: Author) -> None:
    for suite in ("ecdsa-sd-2023", BBS):
        part = derived(in_part(await author.held(f"{suite}-base/1")))
        author.draft.add(f"{suite}-part", "bundle.json", orjson.dumps(part))
    for name, securing in (("ecdsa-sd-2023", "ecdsa-sd-2023"), ("vc-sd-jwt", "vc+sd-jwt")):
        least = derived(in_part(await author.held(f"mandatory {securing}/1"), ()))
        author.draft.add(f"{name}-least", "bundle.json", orjson.dumps(least))
    endorsement = await author.held("endorsement-ecdsa-sd-2023/1")
    author.draft.add("endorsement-ecdsa-sd-2023", "bundle.json", orjson.dumps(derived(Showing(endorsement))))
    for token, names in (("vc-sd-jwt", SHOWN), ("dc-sd-jwt", FLAT_SHOWN)):
        part_of = in_part(await author.held(f"{token}-EdDSA/1"), names)
        author.draft.add(f"{token}-part", "bundle.json", orjson.dumps(derived(part_of)))
        author.draft.add(f"{token}-key-binding", "json", author.learner.present(part_of), asked=True)


async def _present(author: Author) -> None:
    learner, add = author.learner, author.draft.add
    several = [Showing(await author.held("evidence/1"), ("solution.py",))]
    several += [Showing(await author.held(f"{name}-EdDSA/1")) for name in ("vc-jwt", "vc-cose")]
    add("presentation", "json", learner.present(*several), asked=True)
    others = Showing(await author.held("P-256 holder/1"))
    add("presentation-P-256", "json", learner.present(others, key=learner.other), asked=True)
    one = Showing(await author.held("eddsa-jcs-2022/1"))
    token = sign_token(
        learner.key, [one.holding.credential], challenge=CHALLENGE, domain=DOMAIN, now=now_utc()
    )
    beside = [bundle.to_json() for bundle in bundles_of([one], [one.holding.credential])]
    add("presentation-vp-jwt", "json", orjson.dumps({"presentation": token, "bundles": beside}), asked=True)
    for suite in ("ecdsa-sd-2023", BBS):
        part = in_part(await author.held(f"{suite}-base/1"))
        add(f"presentation-{suite}", "json", learner.present(part), asked=True)
    record = await author.held("record-eddsa-rdfc-2022/1")
    body = parse_json_object(learner.present(Showing(record)))
    body["bundles"] += await _bundles_within(author, record)
    add("record-with-bundles", "json", orjson.dumps(body), asked=True)


async def _bundles_within(author: Author, record: Holding) -> list[JsonObject]:
    """The bundles of the badges in a record, beside the form in which they stand in it."""
    whole, part = record.document["credentialSubject"]["verifiableCredential"]
    found = []
    for name, inner in (("eddsa-rdfc-2022/1", whole), ("ecdsa-sd-2023-base/1", part)):
        found.append((await author.held(name)).loose_bundle((), inner).to_json())
    return found


# --- issuers without a chain


async def write_keys(folder: Path, draft: Draft, learner: Learner) -> None:
    """Everything of issuers that are their one key."""
    for kind, suite in (
        (KeyKind.ED25519, "eddsa-rdfc-2022"),
        (KeyKind.P256, "ecdsa-rdfc-2019"),
        (KeyKind.P384, "ecdsa-jcs-2019"),
        (KeyKind.BLS12381_G2, BBS),
    ):
        async with keyed(folder / kind, draft, learner, kind) as author:
            plain = {"validDays": None} if suite == BBS else {}
            await author.issue("badge", suite, **plain)
            if suite == BBS:
                document = (await author.held("badge/1")).document
                shown = derivation.derive_all(document, standards().canonicalizer)
                draft.add("did-key-bbs-2023", "json", orjson.dumps(shown))
                continue
            await author.exported(f"did-key-{kind}", "badge/1", Format.OWN)
            if kind is KeyKind.ED25519:
                await _plain_tokens(author)
    async with keyed(folder / "listed", draft, learner, KeyKind.ED25519) as author:
        await _listed(author)


async def _plain_tokens(author: Author) -> None:
    for name in ("vc-jwt", "vc-cose"):
        await author.issue(name, catalogue.TOKENS[name])
        await author.exported(f"did-key-{name}", f"{name}/1", Format.OWN)
    await author.collect("record", DEFAULT_SECURING, ["badge/1"])
    await author.exported("did-key-record", "record/1", Format.OWN)
    shown = Showing(await author.held("badge/1"))
    author.draft.add("did-key-presentation", "json", author.learner.present(shown), asked=True)


async def _listed(author: Author) -> None:
    await status_lists.ensure_list(author.issuer, "revocation")
    names = ("listed", "revoked", "suspended", "message", "vc-sd-jwt", "dc-sd-jwt")
    for name in ("listed", "revoked"):
        await author.issue(name)
    await author.issue("suspended", suspendable=True)
    await author.issue("message", statusMessage=MESSAGES)
    for name in ("vc-sd-jwt", "dc-sd-jwt"):
        await author.issue(name, catalogue.TOKENS[name])
    await author.change("revoked/1", Action.REVOKE)
    await author.change("suspended/1", Action.SUSPEND)
    await author.change("message/1", Action.MESSAGE, 2)
    lists = await _keep_lists(author)
    for name in names:
        await author.exported(f"did-key-{name}", f"{name}/1", Format.OWN)
        author.draft.entries[f"did-key-{name}"]["lists"] = lists
    await author.exported("did-key-list-unread", "listed/1", Format.OWN)


async def _keep_lists(author: Author) -> dict[str, str]:
    """The lists as they are served, each in a file named after what it is for; the files by URL."""
    lists = {}
    async with author.issuer.store.reading() as reading:
        for one in await reading.status_lists.all():
            signed = await reading.status_lists.load_credential(one.list_id)
            assert signed is not None
            lists[one.url] = f"did-key.{one.purpose}.json"
            author.draft.files[lists[one.url]] = signed.document
            if one.purpose == "revocation":
                author.draft.add("did-key-list", "json", signed.document)
    return lists


@asynccontextmanager
async def keyed(folder: Path, draft: Draft, learner: Learner, kind: KeyKind) -> AsyncIterator[Author]:
    """What `issuer init --did key` makes."""
    place = Folder(folder)
    place.save()
    store = await open_database(place.database_url)
    try:
        where = setup.Place(folder, store, PASSPHRASE)
        issuer = await setup.create_without_chain(where, standards(), SCHOOL, URL, kind)
        draft.trusted.append(issuer.settings.did)
        yield Author(issuer, folder, draft, learner)
    finally:
        await store.close()


# --- Blockcerts


async def write_blockcerts(author: Author) -> None:
    """A badge as Blockcerts, and the transaction that signed it."""
    issuer = author.issuer
    await author.issue("badge")
    prepared = await blockcerts.prepare(issuer, ["badge/1"], None)
    (file,) = await blockcerts.export(issuer, prepared, author.folder / "exported", author.settle)
    data = file.read_bytes()
    entry = await blockcerts.send(issuer, prepared)
    assert entry.transaction_hash is not None
    client = issuer.require_chain().client
    told = await client.request("eth_getTransactionByHash", ["0x" + entry.transaction_hash.hex()])
    block = await client.block(bytes.fromhex(told["blockHash"][2:]))
    author.draft.files["blockcerts.transaction.json"] = encode(
        {
            "chainId": BLOCKCERTS_CHAIN,
            "block": int(told["blockNumber"], 16),
            "time": format_datetime_stamp(from_unix(int(block["timestamp"], 16))),
            "transaction": told,
        }
    )
    author.draft.files["blockcerts.did.json"] = await export.did_document_json(issuer)
    author.draft.add("blockcerts", "json", data)
    author.draft.add(
        "blockcerts-transaction",
        "json",
        data,
        transaction="blockcerts.transaction.json",
        documents={issuer.settings.did: "blockcerts.did.json"},
    )


# --- the edition


@asynccontextmanager
async def on_chain(
    chain: RunningChain, folder: Path, draft: Draft, learner: Learner
) -> AsyncIterator[Author]:
    """What `issuer init` makes, with lists for revocation and suspension."""
    school = folder / "school"
    school.mkdir(parents=True)
    (school / "networks.json").write_text(json.dumps({"networks": [chain.network]}))
    place = Folder(school, chain.url)
    place.save()
    store = await open_database(place.database_url)
    try:
        async with open_chain(chain.url, place.networks()) as access:
            where = setup.Place(school, store, PASSPHRASE)
            issuer = await setup.create_on_chain(where, standards(), access, SCHOOL, URL)
            await setup.fund(issuer, chain.key, await setup.shortages(issuer))
            await setup.register(issuer, suspendable=True)
            await anchoring.AnchorWorker(issuer).run_until_done(timeout_seconds=120)
    finally:
        await store.close()
    draft.networks.append(dict(chain.network))
    async with open_issuer(place, PASSPHRASE) as issuer:
        draft.trusted.append(issuer.settings.did)
        yield Author(issuer, folder, draft, learner)


async def make(folder: Path, school: RunningChain, other: RunningChain) -> Draft:
    """Every specimen, held already or not: what belongs together is made together."""
    draft, learner = Draft(), Learner()
    async with on_chain(school, folder / "on chain", draft, learner) as author:
        await write_school(author)
        draft.files["checkpoint.json"] = await export.checkpoint_json(author.issuer)
    async with on_chain(other, folder / "blockcerts", draft, learner) as author:
        await write_blockcerts(author)
    (folder / "keys").mkdir()
    await write_keys(folder / "keys", draft, learner)
    draft.files["networks.json"] = encode({"networks": draft.networks})
    listed = [{"did": did, "name": SCHOOL} for did in draft.trusted]
    draft.files["trust.json"] = encode({"issuers": listed})
    return draft


def judged(folder: Path, draft: Draft, wanted: Sequence[str]) -> list[JsonObject]:
    """The entries of the index, after the engine found in each file what the catalogue says; SystemExit otherwise."""
    for name, data in draft.files.items():
        (folder / name).write_bytes(data)
    now = format_datetime_stamp(now_utc())
    entries, wrong = [], []
    for name in wanted:
        entry = {"now": now, **draft.entries[name]}
        found = outcomes(Specimen(folder, entry).judge())
        kind = catalogue.KINDS[name]
        if (found["acceptance"], found["checks"]) != (kind.acceptance, kind.checks):
            report = Specimen(folder, entry).judge()
            different = [
                f"{check.name}: {check.outcome}, {check.basis}"
                for check in report.checks
                if check.outcome != kind.checks[check.name]
            ]
            wrong.append("\n  ".join([f"{name}: {report.acceptance}", *different]))
        entries.append({**entry, "expected": found})
    if wrong:
        raise SystemExit("not what the catalogue says:\n" + "\n".join(wrong))
    return entries


def missing() -> list[str]:
    """What the catalogue names and no edition holds."""
    held = {one.name for one in specimens()}
    return [name for name in catalogue.KINDS if name not in held]


def new_edition(vault: Path = VAULT) -> Path:
    """The folder of the next edition, named after the version; one that stands is never written again."""
    release = version("bonafides")
    taken = {path.name for path in vault.iterdir()}
    name = release
    number = 1
    while name in taken:
        number += 1
        name = f"{release}-{number}"
    return vault / name


def keep(edition: Path, draft: Draft, entries: Sequence[JsonObject], written: datetime) -> None:
    """Write the files that the entries need, the index last; FileExistsError where the edition stands."""
    needed = {name for entry in entries for name in Specimen(edition, entry).files}
    needed |= {"networks.json", "trust.json", "checkpoint.json"}
    index = {
        "version": version("bonafides"),
        "written": format_datetime_stamp(written),
        "digests": {name: digest(draft.files[name]) for name in sorted(needed)},
        "specimens": list(entries),
    }
    edition.mkdir()
    for name in sorted(needed):
        with (edition / name).open("xb") as file:
            file.write(draft.files[name])
    with (edition / INDEX).open("xb") as file:
        file.write(encode_index(index))


def main() -> None:
    """Write what is missing."""
    wanted = missing()
    if not wanted:
        print("the vault holds all of the catalogue: nothing to write")  # noqa: T201
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        chains = [
            ChainProcess(folder / "chain"),
            ChainProcess(folder / "other chain", "--chain-id", str(BLOCKCERTS_CHAIN)),
        ]
        try:
            for chain in chains:
                chain.folder.mkdir()
                chain.start()
            running = [deployed(chain.url, chain.key) for chain in chains]
            draft = asyncio.run(make(folder / "issuers", *running))
        finally:
            for chain in chains:
                if chain.process is not None:
                    chain.stop()
        (folder / "judged").mkdir()
        entries = judged(folder / "judged", draft, wanted)
        edition = new_edition()
        keep(edition, draft, entries, now_utc())
    sealed = digest((edition / INDEX).read_bytes())
    print(f'{len(entries)} specimens; into test_vault.py: "{edition.name}": "{sealed}"')  # noqa: T201


if __name__ == "__main__":
    main()
