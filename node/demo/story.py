"""The story of the demo: a school issues, learners take and show, and it takes something back."""

from __future__ import annotations

import csv
import json
import shutil
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final
from urllib.parse import urlsplit

from node.core.encoding import encode_base64url, encode_hex
from node.core.keys import KeyKind
from node.core.times import format_datetime_stamp
from node.demo.assess import Assessed, assess
from node.demo.company import DOMAIN, Company, Seen
from node.demo.endpoint import Endpoint
from node.demo.sample import load_template
from node.demo.stage import http, together, wait_until
from node.keystore import generate_secret, open_secret, open_signer
from node.services.anchoring import TICK_SECONDS

SCHOOL: Final = "Lindmere Open College"
# From just before `issue`, which refuses what is over when it is signed: a slow machine is given room.
_SHORT_LIFE_SECONDS: Final = 60


class Story(Company):
    """The acts in which something happens."""

    def set_up(self) -> None:
        """Chain, wallets, assessed work, school: what does not wait for each other happens at once."""
        self.bill.act("A school, its learners, and their work")
        scenes: list[Callable[[], None]] = [self.open_school, self.do_the_course]
        together(scenes)
        self.bill.tell(f"chain {self.chain.ready['chain']} at {self.chain.url}")
        self.bill.tell(f"{len(self.dids)} learners have made a wallet")
        files = sorted((self.issuer_folder / "keys").glob("*.json"))
        keys = {path.stem: self.read(path)["publicKeyMultibase"] for path in files}
        self.bill.expect(
            "the school has three separate keys and an identity on the chain",
            self.did.startswith("did:ethr:") and len(set(keys.values())) == len(keys) == 3,
            did=self.did,
            keys=keys,
        )
        passing = len(self.assessed.passing)
        self.bill.expect(
            f"the submissions were run against their tests: {passing} of {len(self.course.learners)} passed",
            passing >= 20,
            passing=passing,
        )
        self.cast(self.assessed)

    def open_school(self) -> None:
        """A chain, and on it an issuer; the employer recognises it."""
        self.chain = self.stage.start(
            "chain", "chain", "serve", "--dir", self.folder / "chain", "--port", "0"
        )
        shutil.copy(self.folder / "chain" / "networks.json", self.networks_file)
        self.made = self.issuer_run(
            "init",
            *("--name", SCHOOL, "--url", self.issuer_url, "--rpc", self.chain.url),
            *("--networks", self.networks_file, "--faucet", self.folder / "chain" / "faucet.key"),
            *("--suspendable", "--development"),
        ).json
        self.did = self.made["did"]
        self.write("trust.json", {"issuers": [{"did": self.did, "name": SCHOOL}]})

    def do_the_course(self) -> None:
        """Learners make wallets, and their submissions are run."""
        bound = [learner.id for learner in self.course.learners if learner.wallet]
        made = self.stage.run_all([self.wallet_command(name, "init") for name in bound])
        self.dids = {name: one.json["did"] for name, one in zip(bound, made, strict=True)}
        self.assessed = assess(self.course, self.folder / "work", dids=self.dids)

    def cast(self, assessed: Assessed) -> None:
        """Who of those who passed plays what; and one row in a suspendable course."""
        with assessed.cohort.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        bound = [row for row in rows if row["subject_did"]]
        free = [row for row in rows if not row["subject_did"]]
        # Who has full marks already has none to improve with a text editor.
        bound.sort(key=lambda row: row["total"] == "100")
        self.ada, self.ben, self.revoked, self.suspended, self.expiring = (row["id"] for row in bound[:5])
        self.claimer = free[0]["id"]
        self.unclaimed = [row["id"] for row in free]
        self.bound = [row["id"] for row in bound]
        suspendable = {**load_template(), "suspendable": True, "cohort": "suspendable"}
        (self.folder / "work" / "suspendable.json").write_text(json.dumps(suspendable), encoding="utf-8")
        self.write_cohort("cohort.csv", [row for row in rows if row["id"] != self.suspended])
        self.write_cohort("suspendable.csv", [row for row in rows if row["id"] == self.suspended])

    def end_soon(self) -> None:
        """One row ends soon, counted from now."""
        self.expires = datetime.now(UTC) + timedelta(seconds=_SHORT_LIFE_SECONDS)
        rows = self.csv_rows("cohort.csv")
        for row in rows:
            if row["id"] == self.expiring:
                row["valid_until"] = format_datetime_stamp(self.expires)
        self.write_cohort("cohort.csv", rows)

    def issuing(self) -> None:
        """Act 1: issue and anchor, take, show."""
        self.bill.act("The school issues, anchors, and hands out")
        self.end_soon()
        issued = self.issue("template.json", "cohort.csv") + self.issue("suspendable.json", "suspendable.csv")
        self.rows = {one["row"]: one for one in issued}
        signed = sorted(one["row"] for one in issued if one["state"] == "signed")
        waiting = sorted(one["row"] for one in issued if one["state"] != "signed")
        self.bill.expect(
            f"{len(signed)} rows with a learner's identifier are signed, {len(waiting)} others wait for their claim",
            signed == sorted(self.bound) and waiting == sorted(self.unclaimed),
            signed=signed,
            waiting=waiting,
        )
        again = self.issue("template.json", "cohort.csv")
        self.bill.expect(
            "issuing the same cohort again issues nothing twice",
            {one["id"] for one in again} == {one["id"] for one in issued if one["row"] != self.suspended},
        )
        self.issuer_run("anchor")
        self.bill.attempt("all of them are anchored by one transaction, and final", self._one_anchor)
        common = ("--dir", self.issuer_folder, "--passphrase-file", self.stage.passphrase_file)
        port = str(urlsplit(self.issuer_url).port)
        self.issuer = self.stage.start(
            "issuer", "issuer", "serve", *common, "--port", port, "--rpc", self.chain.url, "--development"
        )
        self.start_verifier()

    def _one_anchor(self) -> tuple[bool, Mapping[str, Any]]:
        records = self.records()
        anchors = {str(records[row].get("anchor", {}).get("commitment")) for row in self.bound}
        final = all(records[row].get("anchor", {}).get("state") == "final" for row in self.bound)
        return final and len(anchors) == 1 and "None" not in anchors, {"commitments": sorted(anchors)}

    def start_verifier(self) -> None:
        """The employer's verifier node, with its own trust list and table of networks."""
        self.verifier = self.stage.start(
            "verifier",
            *("verifier", "serve", "--dir", self.folder / "verifier", "--port", "0", "--mode", "chain"),
            *("--rpc", self.chain.url, "--networks", self.networks_file, "--trust", self.trust_file),
            "--development",
        )

    def start_follower(self) -> None:
        """Another employer's verifier, which keeps a copy of the registry, by an endpoint that can be switched off."""
        self.followed = Endpoint(self.chain.url)
        self.follower = self.stage.start(
            "follower",
            *("verifier", "serve", "--dir", self.folder / "follower", "--port", "0", "--follow"),
            *("--rpc", self.followed.url, "--networks", self.networks_file, "--trust", self.trust_file),
            "--development",
        )

    def holding(self) -> None:
        """Learners take what is theirs, and one shows it."""
        self.bill.act("Learners take their credentials into wallets, and show them")
        offers = {row: self.rows[row]["offer"]["link"] for row in (self.ada, self.ben, self.claimer)}
        self.stage.run(*self.wallet_command(self.claimer, "init"))
        receipts = together(
            [
                partial(self.wallet_run, row, "receive", link, "--yes", expect=(0, 3))
                for row, link in offers.items()
            ]
        )
        received = {row: receipt.json["received"] for row, receipt in zip(offers, receipts, strict=True)}
        arrived = {row: [one["id"] for one in got if one["kept"]] for row, got in received.items()}
        self.bill.expect(
            "two learners receive what was signed for them, a third claims with a wallet that was made just now",
            all(len(ids) == 1 for ids in arrived.values())
            and all(arrived[row] == [self.rows[row]["digest"]] for row in (self.ada, self.ben))
            and all(one["issuer"] == self.did for got in received.values() for one in got),
            received=arrived,
        )
        self.bill.attempt(
            "the block with its anchor is replaced before it is final: the same transaction is sent again, once",
            self._reorganised,
        )
        self.wallet_run(self.claimer, "receive", "--resume", "--yes")
        self.bill.attempt(
            "what was signed at the claim is anchored by the next transaction", self._claim_anchored
        )
        self.bill.attempt("a learner answers the employer's request: genuine, and hers", self._answer_request)
        self.present_file()

    def _reorganised(self) -> tuple[bool, Mapping[str, Any]]:
        before = self.head
        self.rpc("bonafides_holdFinality", True)
        with ThreadPoolExecutor(1) as pool:
            anchoring = pool.submit(self.issuer_run, "anchor")
            try:
                (first,) = wait_until("the anchor's block", lambda: self.anchors_after(before))
                # So that the school has seen it there.
                time.sleep(2 * TICK_SECONDS)
                self.rpc("anvil_reorg", self.head - first.block_number + 1)
                left = self.anchors_after(before)
            finally:
                self.rpc("bonafides_holdFinality", False)
            anchoring.result()
        anchors = self.anchors_after(before)
        same = [one.transaction_hash == first.transaction_hash for one in anchors]
        return not left and same == [True] and anchors[0].block_number > first.block_number, {
            "transaction": encode_hex(first.transaction_hash),
            "blocks": [one.block_number for one in (first, *anchors)],
            "afterTheReorganisation": len(left),
        }

    def _claim_anchored(self) -> tuple[bool, Mapping[str, Any]]:
        held = self.export(self.claimer, "bundle", self.folder / "work" / "claimed.json")
        seen = self.ask_verifier(held)
        first = self.export(self.ada, "bundle", self.folder / "work" / "first.json")["anchor"]["block"]
        later = held["anchor"]["block"] > first
        return seen.acceptance == "accepted" and later, {
            "blocks": [first, held["anchor"]["block"]],
            **seen.brief(),
        }

    def _answer_request(self) -> tuple[bool, Mapping[str, Any]]:
        _, body = http("POST", f"{self.verifier.url}/requests", b"{}", accept="application/json")
        asked = json.loads(body)
        self.wallet_run(self.ada, "present", asked["link"], "--yes", "--no-evidence")
        result = wait_until("the result", lambda: self._result(asked["result"]))
        seen = Seen(result["answers"][0]["report"])
        held = seen.acceptance == "accepted" and self.no_issuer_host(seen)
        return held, {**seen.brief(), "contacted": seen.contacted}

    def _result(self, url: str) -> Any:
        status, body = http("GET", url, accept="application/json")
        result = json.loads(body)
        return result if status == 200 and result.get("answers") else None

    def present_file(self) -> None:
        """A presentation file for a challenge, as it might be sent by mail."""
        self.challenge = "demo-" + encode_base64url(generate_secret(KeyKind.ED25519))
        held = self.held_by(self.ada)
        path = self.out / "presentation.json"
        answer = (
            "--challenge",
            self.challenge,
            "--domain",
            DOMAIN,
            "--out",
            path,
            "--yes",
            "--no-evidence",
        )
        self.wallet_run(self.ada, "present", held, *answer)
        text = f"challenge {self.challenge}\ndomain {DOMAIN}\n"
        (self.out / "presentation.txt").write_text(text, encoding="utf-8")
        seen = self.verify_files(path, *self.asking(self.challenge), *self.with_rpc)[0]
        self.bill.expect(
            "a presentation file for a challenge is accepted as belonging to who made it",
            seen.acceptance == "accepted" and seen.report["verified"] is True,
            **seen.brief(),
        )

    def taking_back(self) -> None:
        """The school revokes, suspends, and changes its key."""
        self.bill.act("The school revokes, suspends, and changes its key")
        self.before_taking_back = self.head
        # The serving process takes both to the chain; changing the key waits until nothing is left to do there.
        self.issuer_run("revoke", self.rows[self.revoked]["id"], "--reason", "plagiarism", "--no-wait")
        self.issuer_run("suspend", self.rows[self.suspended]["id"], "--reason", "under review", "--no-wait")
        self.bill.tell("one credential is revoked, another suspended")
        keys = self.issuer_folder / "keys"
        self.stolen_key = open_signer(f"file:{keys / 'assertion-1.json'}", self.passphrase)
        self.writer_key = open_secret(f"file:{keys / 'writer.json'}", self.passphrase)
        self.issuer_run("key", "rotate")
        self.bill.attempt("the key is changed: the new one signs, the old one is retired", self._rotated)
        self.issuer_run("anchor")
        self.gather_files()
        self.write_checkpoint()

    def gather_files(self) -> None:
        """What learners and school can hand over after all this; none waits for another."""
        shown = ((self.revoked, "revoked"), (self.suspended, "suspended"), (self.expiring, "expiring"))
        jobs: list[Callable[[], object]] = [
            self.start_follower,
            self.badge_without_chain,
            self.renew_and_export,
        ]
        jobs += [partial(self.export_from_school, row, name) for row, name in shown]
        own = ("--did-document", self.out / "did.json", "--audit", self.out / "own-audit.json")
        jobs.append(partial(self.issuer_run, "export", *own))
        together(jobs)

    def renew_and_export(self) -> None:
        """A learner renews her proofs and exports what she has."""
        self.wallet_run(self.ada, "refresh", *self.chain_options)
        self.export(self.ada, "json", self.out / "badge.json")
        self.export(self.ada, "bundle", self.out / "bundle.json")

    def export_from_school(self, row: str, name: str) -> None:
        """A credential and its bundle as the school has them."""
        bundle = self.bundle_of(row)
        self.write(f"{name}-bundle.json", bundle)
        self.write(f"{name}.json", bundle["credential"])

    def _rotated(self) -> tuple[bool, Mapping[str, Any]]:
        keys = [key for key in self.issuer_run("status").json["keys"] if key["role"] == "assertion"]
        states = [key["state"] for key in keys]
        return states == ["retired", "active"], {"keys": keys}

    def badge_without_chain(self) -> None:
        """A badge of an issuer that has only a key: what other people's software can verify on its own."""
        folder = self.folder / "issuer-did-key"
        common = ("--dir", folder, "--passphrase-file", self.stage.passphrase_file, "--json")
        url = ("--url", "http://127.0.0.1:1", "--development")
        self.stage.run("issuer", "init", *common, "--did", "key", "--name", "A small workshop", *url)
        work = self.folder / "work"
        rows = [row for row in self.csv_rows("cohort.csv") if row["id"] == self.ada]
        self.write_cohort("one.csv", rows)
        files = (
            "--template",
            work / "template.json",
            "--cohort",
            work / "one.csv",
            "--evidence",
            work / "evidence",
        )
        issued = self.stage.run("issuer", "issue", *common, *files).json["credentials"][0]
        out = self.out / "badge-did-key.json"
        self.stage.run("issuer", "export", *common, "--credential", issued["id"], "--document", out)
