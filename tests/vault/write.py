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
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final
from unittest.mock import AsyncMock, patch

import orjson
from fixtures.chain import ChainProcess, RunningChain, deployed
from fixtures.issuers import PASSPHRASE
from fixtures.verification import Signatory, badge, did_document
from fixtures.webvh import Log
from nacl.signing import SigningKey
from vault import catalogue
from vault.papers import Paper, papers
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
from node.core.dataintegrity.bbs_binding import Binding, bind, holder_to_json
from node.core.encoding import encode_hex
from node.core.evm.agreement import Endpoints
from node.core.evm.checkpoint import parse_checkpoint
from node.core.evm.events import TOPICS, decode_registry_log
from node.core.evm.history import read_history
from node.core.evm.registry import heads_slot
from node.core.keys import KeyKind
from node.core.oid4vci.credential_request import CredentialRequest
from node.core.oid4vci.key_proof import prepare_jwt_proof
from node.core.oid4vci.token import TokenRequest
from node.core.securing import BBS, DEFAULT_SECURING
from node.core.strict_json import JsonObject, parse_json_object
from node.core.times import format_datetime_stamp, from_unix
from node.core.verify.materials import Mode
from node.core.verify.verifier import Verifier
from node.keystore import generate_secret, signer_of
from node.outbound.http import Egress, EgressPolicy
from node.outbound.logs import read_logs
from node.services import (
    anchoring,
    blockcerts,
    bundles,
    checkpoints,
    derivation,
    export,
    issuance,
    linking,
    lookup,
    offering,
    revocation,
    rotation,
    setup,
    status_lists,
    witness,
)
from node.services.cohort import load_cohort
from node.services.issuer import Issuer, now_utc
from node.services.offers import OfferDesk
from node.services.preparing import Terms
from node.services.revocation import Action
from node.storage.database import open_database
from node.storage.protocols.issuer import KeyRole, KeyState
from wallet.backup import Format, encode_export
from wallet.disclose import Occasion, named_places
from wallet.holder_keys import HolderKey, make_key
from wallet.holdings import Holding, Provenance, new_holding
from wallet.presentation import Showing, bundles_of, for_a_file, presentation_file, sign_token
from wallet.refresh import Refresher

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
_OF_A_LOG: Final = ("topics", "data", "blockNumber", "logIndex", "transactionHash")
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
    trusted: list[JsonObject] = field(default_factory=list)
    papers: dict[str, JsonObject] = field(default_factory=dict)

    def trust(self, did: str, *witnesses: str) -> None:
        """Have the edition's verifier recognise an issuer, and these as witnesses of its document."""
        named = {"witnesses": list(witnesses)} if witnesses else {}
        self.trusted.append({"did": did, "name": SCHOOL, **named})

    def add_paper(self, kind: str, data: bytes, **more: Any) -> None:
        """A paper of this edition, its file named after it; one of a kind."""
        self.files[f"{kind}.json"] = data
        what = catalogue.PAPERS[kind]
        self.papers[kind] = {"name": kind, "what": what, "kind": kind, "file": f"{kind}.json", **more}

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
    hopping: list[Holding] = field(default_factory=list)
    """What was proven before the chain went on."""

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
    await _bound(author)
    await _before_the_hop(author)
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
    await _audit(author)
    await _witnessed(author)
    await _link(author)
    await _checkpoint(author)


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


# --- bbs-2023 with a secret of the holder's


async def _bound(author: Author) -> None:
    """A badge of each binding, claimed as a wallet does, and shown; of one more."""
    for name, binding in (
        ("holder", Binding.HOLDER),
        ("pseudonym", Binding.PSEUDONYM),
        ("both", Binding.BOTH),
    ):
        held = await _claimed(author, f"bbs-2023-{name}", binding)
        author.draft.add(f"bbs-2023-{name}", "json", author.learner.present(Showing(held)), asked=True)
    add = author.draft.add
    assert held.secrets is not None
    author.draft.files["bbs-2023-both.secrets.json"] = encode(holder_to_json(held.secrets))
    base = orjson.dumps(held.full_bundle().to_json())
    add("bbs-2023-both-base", "bundle.json", base, secrets="bbs-2023-both.secrets.json")
    add("bbs-2023-both-part", "bundle.json", orjson.dumps(derived(in_part(held))))
    add("bbs-2023-both-presentation", "json", author.learner.present(in_part(held)), asked=True)


async def _claimed(author: Author, cohort: str, binding: Binding) -> Holding:
    """A badge that the learner's wallet committed to and fetched by its offer, with the secrets that it drew."""
    made = bind(binding, secrets.token_bytes(32))
    wanted = {"holderBinding": binding is not Binding.PSEUDONYM, "pseudonyms": binding.has_pseudonyms}
    name = await author.issue(cohort, BBS, validDays=None, **wanted)
    issuer, key = author.issuer, author.learner.key
    record = await lookup.find_credential(issuer, name)
    intent = record.intent
    waiting = issuance.Issued(intent.row_key, intent.credential_id, record.state, None, intent.subject_did)
    (offer,) = await offering.offer(issuer, [waiting], bearer=False)
    desk = OfferDesk(issuer, URL)
    offered = (await desk.view(offer.page.rpartition("/")[2])).offer
    answer = await desk.redeem(TokenRequest(offered.pre_authorized_code or ""))
    proof = prepare_jwt_proof(
        key.public_key, credential_issuer=URL, nonce=await desk.new_nonce(), now=issuer.clock()
    )
    request = CredentialRequest(
        offered.configuration_ids[0],
        None,
        "jwt",
        (proof.finish(key.sign(proof.message)),),
        made.commitment_with_proof,
    )
    await desk.claim(await desk.admit(answer.access_token), request)
    await author.settle()
    return replace(await author.held(name), secrets=made.holder)


# --- what others add to a bundle


async def _before_the_hop(author: Author) -> None:
    """Badges as they are proven while the chain is young; the one is revoked."""
    for name in ("hop", "hop-revoked"):
        await author.issue(name)
    await author.settle()
    await author.change("hop-revoked/1", Action.REVOKE)
    await author.settle()
    author.hopping = [await author.held(f"{name}/1") for name in ("hop", "hop-revoked")]


async def _hop(author: Author) -> set[int]:
    """The same led to the newest block, as `wallet refresh --hop-to` does; the blocks that they were proven at."""
    chain, left = author.issuer.require_chain(), set()
    verifier = Verifier.of(standards(), operator_networks={chain.network.chain_id: chain.network})
    endpoint = str(Folder.load(author.folder / "school").rpc)
    async with Egress(EgressPolicy(Mode.CHAIN, Endpoints.of([endpoint]))) as egress:
        refresher = Refresher(verifier, egress, now=now_utc())
        for name, holding in zip(("hop", "hop-revoked"), author.hopping, strict=True):
            led = (await refresher.hop(holding)).holding
            assert led.hop is not None
            assert led.header is not None
            left.add(led.header.number)
            author.draft.add(name, "bundle.json", orjson.dumps(led.full_bundle().to_json()))
    return left


async def _witnessed(author: Author) -> None:
    """What stands at the sites of two academies, seen and anchored by the school, and a badge of each.

    The badges' keys are drawn here; the entries of the log are by one of the fixture's, and bind nobody once anchored.
    """
    web, log = Signatory("did:web:academy.example", "key-1", SigningKey.generate()), Log("academy.example")
    webvh = Signatory(log.did, "key-1", SigningKey.generate())
    log.update(state=did_document(log.did, webvh).raw)
    sites = ((web, orjson.dumps(did_document(web.did, web).raw)), (webvh, log.to_bytes()))
    for academy, stands in sites:
        sight = await _seen(author, academy.did, stands)
        document = badge(academy.did)
        for member in ("evidence", "credentialStatus"):
            del document[member]
        bundle = sight.bundle_of(academy.sign(document))
        method = academy.did.split(":")[1]
        author.draft.trust(academy.did, author.issuer.settings.did)
        author.draft.add(f"witness-did-{method}", "bundle.json", orjson.dumps(bundle.to_json()))


async def _seen(author: Author, did: str, stands: bytes) -> witness.Sight:
    """What `issuer witness` writes. Nobody serves an academy's site, so what stands there is told in its place."""
    with patch.object(witness, "fetch_did_bytes", AsyncMock(return_value=stands)):
        async with Egress(EgressPolicy(Mode.FULL)) as egress:
            sight = await witness.look(author.issuer, did, egress)
    await witness.ask(author.issuer, sight)
    await author.settle()
    return await witness.prove(author.issuer, sight)


# --- papers


async def _audit(author: Author) -> None:
    issuer, draft = author.issuer, author.draft
    draft.files["audit.chain.json"] = await _chain_of(issuer)
    claim = await export.audit_json(issuer)
    draft.add_paper("audit", claim, chain="audit.chain.json", did=issuer.settings.did)


async def _link(author: Author) -> None:
    issuer, add = author.issuer, author.draft.add_paper
    assert await linking.link(issuer, URL)
    await author.settle()
    author.draft.files["did-configuration.did.json"] = await export.did_document_json(issuer)
    add(
        "did-configuration",
        await export.did_configuration_json(issuer),
        document="did-configuration.did.json",
        origin=URL,
        now=format_datetime_stamp(now_utc()),
    )


async def _checkpoint(author: Author) -> None:
    """The file by which the edition is judged, as an operator signs it; without the blocks from which hops lead."""
    issuer, left = author.issuer, await _hop(author)
    whole = parse_checkpoint(parse_json_object(await export.checkpoint_json(issuer)))
    named = tuple(one for one in whole.headers if one[0] not in left)
    signer = signer_of(KeyKind.ED25519, generate_secret(KeyKind.ED25519))
    signed = checkpoints.signed(replace(whole, headers=named), signer)
    author.draft.add_paper("checkpoint", orjson.dumps(signed.to_json()), key=signer.public_key.multibase)


async def _chain_of(issuer: Issuer) -> bytes:
    """Every write of the school as an endpoint tells it, and the words that it left, proven."""
    chain = issuer.require_chain()
    header, address = await chain.finalized(), chain.network.credential_registry
    topics = [TOPICS, issuer.identity.rjust(32, b"\0")]
    parts = read_logs(chain.client, address, topics, 0, header.number)
    logs = [log async for _, some in parts for log in some]
    events = [event for log in logs if (event := decode_registry_log(log)) is not None]
    blocks = sorted({event.block_number for event in events})
    headers = await chain.client.headers(blocks)
    times = {number: headers[number].timestamp for number in blocks}
    history = read_history(issuer.identity, len(events), events, times)
    slots = await chain.slots(header, list(history.words))
    history.check_words(slots)
    return orjson.dumps(
        {
            "identity": encode_hex(issuer.identity),
            "head": slots[heads_slot(issuer.identity)],
            "times": {str(number): time for number, time in times.items()},
            "slots": {encode_hex(slot): hex(word) for slot, word in slots.items()},
            "logs": [{name: log[name] for name in _OF_A_LOG} for log in logs],
        }
    )


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
        draft.trust(issuer.settings.did)
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
            await setup.fund(issuer.require_chain(), chain.key, await setup.shortages(issuer))
            await setup.register(issuer, suspendable=True)
            await anchoring.AnchorWorker(issuer).run_until_done(timeout_seconds=120)
    finally:
        await store.close()
    draft.networks.append(dict(chain.network))
    async with open_issuer(place, PASSPHRASE) as issuer:
        draft.trust(issuer.settings.did)
        yield Author(issuer, folder, draft, learner)


async def make(folder: Path, school: RunningChain, other: RunningChain) -> Draft:
    """Every specimen, held already or not: what belongs together is made together."""
    draft, learner = Draft(), Learner()
    async with on_chain(school, folder / "on chain", draft, learner) as author:
        await write_school(author)
    async with on_chain(other, folder / "blockcerts", draft, learner) as author:
        await write_blockcerts(author)
    (folder / "keys").mkdir()
    await write_keys(folder / "keys", draft, learner)
    draft.files["networks.json"] = encode({"networks": draft.networks})
    draft.files["trust.json"] = encode({"issuers": draft.trusted})
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


def read(folder: Path, draft: Draft, wanted: Sequence[str]) -> list[JsonObject]:
    """The entries of papers, after each was found to hold; SystemExit otherwise. Their files are in the folder."""
    entries = []
    for kind in wanted:
        found = Paper(folder, draft.papers[kind]).judge()
        if not found["holds"]:
            raise SystemExit(f"{kind} does not hold: {found['why']}")
        entries.append({**draft.papers[kind], "expected": found})
    return entries


def missing() -> tuple[list[str], list[str]]:
    """What the catalogue names and no edition holds: specimens, and papers by their kind."""
    held, kinds = {one.name for one in specimens()}, {one.kind for one in papers()}
    return (
        [name for name in catalogue.KINDS if name not in held],
        [kind for kind in catalogue.PAPERS if kind not in kinds],
    )


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


def keep(
    edition: Path,
    draft: Draft,
    entries: Sequence[JsonObject],
    written: datetime,
    of_papers: Sequence[JsonObject] = (),
) -> None:
    """Write the files that the entries need, the index last; FileExistsError where the edition stands."""
    needed = {name for entry in entries for name in Specimen(edition, entry).files}
    needed |= {name for entry in of_papers for name in Paper(edition, entry).files}
    needed |= {"networks.json", "trust.json", "checkpoint.json"}
    index = {
        "version": version("bonafides"),
        "written": format_datetime_stamp(written),
        "digests": {name: digest(draft.files[name]) for name in sorted(needed)},
        "specimens": list(entries),
        "papers": list(of_papers),
    }
    edition.mkdir()
    for name in sorted(needed):
        with (edition / name).open("xb") as file:
            file.write(draft.files[name])
    with (edition / INDEX).open("xb") as file:
        file.write(encode_index(index))


def main() -> None:
    """Write what is missing."""
    wanted, wanted_papers = missing()
    if not (wanted or wanted_papers):
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
        of_papers = read(folder / "judged", draft, wanted_papers)
        edition = new_edition()
        keep(edition, draft, entries, now_utc(), of_papers)
    sealed = digest((edition / INDEX).read_bytes())
    written = f"{len(entries)} specimens, {len(of_papers)} papers"
    print(f'{written}; into test_vault.py: "{edition.name}": "{sealed}"')  # noqa: T201


if __name__ == "__main__":
    main()
