"""The demo: a school, its learners and an employer, each with a process of its own, and what must be true of them.

Acts follow one another in time: the school issues, learners take and show, the school takes something back and changes
its key, the school disappears, and then everything is tried that somebody might try. Each expectation says what was
seen, so that a demo that fails tells why.
"""

from __future__ import annotations

import csv
import json
import shutil
import signal
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from node.commands.loading import load_networks, load_standards
from node.core.encoding import encode_base64url
from node.core.evm.checkpoint import Checkpoint
from node.core.evm.network import Network
from node.core.keys import KeyKind
from node.core.strict_json import JsonObject
from node.core.times import format_datetime_stamp
from node.demo import attacks
from node.demo.assess import Assessed, assess
from node.demo.expectations import Playbill
from node.demo.foreign import make_foreign_badge
from node.demo.sample import Course, load_course, load_template
from node.demo.stage import Finished, Role, Stage, http, together, wait_until
from node.keystore import generate_secret, open_secret, open_signer, signer_of

SCHOOL: Final = "Lindmere Open College"
# Long enough to be issued and anchored, short enough to have run out before the demo ends.
_SHORT_LIFE_SECONDS: Final = 25


def free_port() -> int:
    """A port of this machine that nobody listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@dataclass(frozen=True, slots=True)
class Seen:
    """What a verifier said, in the few words that an expectation looks at."""

    report: Mapping[str, Any]

    @property
    def acceptance(self) -> str:
        """accepted, refused or undetermined."""
        return str(self.report["acceptance"])

    @property
    def contacted(self) -> list[str]:
        """Hosts that were asked."""
        return list(self.report["contacted"])

    def check(self, name: str) -> Mapping[str, Any]:
        """One of the sixteen checks."""
        return next(check for check in self.report["checks"] if check["name"] == name)

    def reason(self, name: str) -> str | None:
        """Why a check did not pass."""
        return self.check(name).get("reason")

    def brief(self) -> dict[str, Any]:
        """For the transcript: the verdict and every check that neither passed nor did not apply."""
        odd = {
            check["name"]: f"{check['outcome']}: {check.get('reason')} ({check['basis']})"
            for check in self.report["checks"]
            if check["outcome"] in ("failed", "unknown")
        }
        return {"acceptance": self.acceptance, "verified": self.report["verified"], **odd}


class Play:
    """One performance in one folder."""

    def __init__(self, stage: Stage, playbill: Playbill) -> None:
        self.stage = stage
        self.bill = playbill
        self.folder = stage.folder
        self.out = stage.out
        self.issuer_folder = self.folder / "issuer"
        self.issuer_url = f"http://127.0.0.1:{free_port()}"
        self.course: Course = load_course()
        self.dids: dict[str, str] = {}
        self.rows: dict[str, dict[str, Any]] = {}
        self.chain: Role
        self.issuer: Role
        self.verifier: Role
        self.assessed: Assessed
        self.made: dict[str, Any] = {}
        self.did = ""
        self.held: dict[str, str] = {}

    # --- what the roles do ---------------------------------------------------------------------------------

    def wallet(self, name: str) -> Path:
        """The wallet folder of a learner."""
        return self.folder / "wallets" / name

    def issuer_run(self, *arguments: str | Path, expect: Sequence[int] = (0,)) -> Finished:
        """An `issuer` command in the school's folder."""
        words = list(arguments)
        verbs = 2 if words[0] == "key" else 1
        common: list[str | Path] = [
            "--dir",
            self.issuer_folder,
            "--passphrase-file",
            self.stage.passphrase_file,
        ]
        return self.stage.run("issuer", *words[:verbs], *common, *words[verbs:], "--json", expect=expect)

    def wallet_command(self, name: str, verb: str, *arguments: str | Path) -> list[str | Path]:
        """A `wallet` command in a learner's folder."""
        common: list[str | Path] = [
            "--dir",
            self.wallet(name),
            "--passphrase-file",
            self.stage.passphrase_file,
        ]
        return ["wallet", verb, *common, *arguments, "--development", "--json"]

    def wallet_run(
        self, name: str, verb: str, *arguments: str | Path, expect: Sequence[int] = (0,)
    ) -> Finished:
        """Run a `wallet` command."""
        return self.stage.run(*self.wallet_command(name, verb, *arguments), expect=expect)

    def ask_verifier(self, document: Any) -> Seen:
        """The employer's verifier, by HTTP."""
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        _, answer = http("POST", f"{self.verifier.url}/verify", body, accept="application/json")
        return Seen(json.loads(answer))

    def verify_files(self, *arguments: str | Path, networks: bool = True) -> list[Seen]:
        """`bonafides verify`, one report a file."""
        table: list[str | Path] = ["--networks", self.networks_file] if networks else []
        done = self.stage.run("verify", *arguments, *table, "--json", expect=(0, 1, 3))
        return [Seen(report) for report in done.json_lines]

    @property
    def networks_file(self) -> Path:
        """The employer's table of networks."""
        return self.out / "networks.json"

    @property
    def trust_file(self) -> Path:
        """The employer's list of recognised issuers."""
        return self.out / "trust.json"

    @property
    def network(self) -> Network:
        """The embedded chain's entry in the table."""
        return next(iter(load_networks(self.networks_file).values()))

    def write(self, name: str, value: Any) -> Path:
        """Keep something in the folder of results."""
        path = self.out / name
        path.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        return path

    def read(self, path: Path) -> Any:
        """A JSON file."""
        return json.loads(path.read_text(encoding="utf-8"))

    # --- scenery -------------------------------------------------------------------------------------------

    def set_up(self) -> None:
        """Chain, wallets, assessed work, school: what does not wait for each other happens at once."""
        self.bill.act("A school, its learners, and their work")
        scenes: list[Callable[[], None]] = [self.open_school, self.do_the_course]
        together(scenes)
        self.bill.tell(f"chain {self.chain.ready['chain']} at {self.chain.url}")
        self.bill.tell(f"{len(self.dids) - 1} learners have made a wallet")
        self.bill.expect(
            "the school has three separate keys and an identity on the chain",
            self.did.startswith("did:ethr:") and self.made["owner"] != self.made["writer"],
            did=self.did,
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
        made = self.stage.run_all([self.wallet_command(name, "init") for name in [*bound, "visitor"]])
        self.dids = {name: one.json["did"] for name, one in zip([*bound, "visitor"], made, strict=True)}
        dids = {name: did for name, did in self.dids.items() if name != "visitor"}
        self.assessed = assess(self.course, self.folder / "work", dids=dids)

    def cast(self, assessed: Assessed) -> None:
        """Who of those who passed plays what; and one row that ends soon, one in a suspendable course."""
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
        for row in rows:
            if row["id"] == self.expiring:
                end = datetime.now(UTC) + timedelta(seconds=_SHORT_LIFE_SECONDS)
                row["valid_until"] = format_datetime_stamp(end)
                self.expires = end
        suspendable = {**load_template(), "suspendable": True, "cohort": "suspendable"}
        (self.folder / "work" / "suspendable.json").write_text(json.dumps(suspendable), encoding="utf-8")
        self.write_cohort("cohort.csv", [row for row in rows if row["id"] != self.suspended])
        self.write_cohort("suspendable.csv", [row for row in rows if row["id"] == self.suspended])

    def write_cohort(self, name: str, rows: list[dict[str, str]]) -> None:
        """A cohort file in the school's work folder."""
        with (self.folder / "work" / name).open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)

    def issue(self, template: str, cohort: str, *options: str) -> list[dict[str, Any]]:
        """Issue a cohort of the work folder."""
        work = self.folder / "work"
        files = ("--template", work / template, "--cohort", work / cohort, "--evidence", work / "evidence")
        answer = self.issuer_run("issue", *files, *options).json
        credentials: list[dict[str, Any]] = answer["credentials"]
        return credentials

    # --- acts ----------------------------------------------------------------------------------------------

    def issuing(self) -> None:
        """Act 1: issue and anchor, take, show."""
        self.bill.act("The school issues, anchors, and hands out")
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
        anchors = {json.dumps(records[row].get("anchor", {}).get("commitment")) for row in self.bound}
        final = all(records[row].get("anchor", {}).get("state") == "final" for row in self.bound)
        return final and len(anchors) == 1 and "null" not in anchors, {"commitments": sorted(anchors)}

    def records(self) -> dict[str, JsonObject]:
        """The school's own record of its credentials, by row."""
        folder = self.folder / "work" / f"records-{time.monotonic_ns()}"
        self.issuer_run("export", "--records", folder)
        lines = (folder / "credentials.ndjson").read_text(encoding="utf-8").splitlines()
        return {record["row"].removeprefix("id:"): record for record in map(json.loads, lines)}

    def start_verifier(self) -> None:
        """The employer's verifier node, with its own trust list and table of networks."""
        self.verifier = self.stage.start(
            "verifier",
            *("verifier", "serve", "--dir", self.folder / "verifier", "--port", "0", "--mode", "chain"),
            *("--rpc", self.chain.url, "--networks", self.networks_file, "--trust", self.trust_file),
            "--development",
        )

    def bundle_of(self, row: str) -> JsonObject:
        """A credential's bundle as the school exports it."""
        path = self.folder / "work" / f"bundle-{row}.json"
        self.issuer_run("export", "--credential", self.rows[row]["id"], "--bundle", path)
        bundle: JsonObject = self.read(path)
        return bundle

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
        received = {row: receipt.json for row, receipt in zip(offers, receipts, strict=True)}
        self.bill.expect(
            "two learners receive what was signed for them, a third claims with a wallet that was made just now",
            all(received.values()),
            received={row: str(answer)[:200] for row, answer in received.items()},
        )
        self.issuer_run("anchor")
        self.wallet_run(self.claimer, "receive", "--resume", "--yes")
        self.bill.attempt(
            "what was signed at the claim is anchored by the next transaction", self._claim_anchored
        )
        self.bill.attempt("a learner answers the employer's request: genuine, and hers", self._answer_request)
        self.present_file()

    def _claim_anchored(self) -> tuple[bool, Mapping[str, Any]]:
        held = self.export(self.claimer, "bundle", self.folder / "work" / "claimed.json")
        seen = self.ask_verifier(held)
        first = self.export(self.ada, "bundle", self.folder / "work" / "first.json")["anchor"]["block"]
        later = held["anchor"]["block"] > first
        return seen.acceptance == "accepted" and later, {
            "blocks": [first, held["anchor"]["block"]],
            **seen.brief(),
        }

    def held_by(self, name: str) -> str:
        """What a wallet calls its one credential."""
        if name not in self.held:
            self.held[name] = str(self.wallet_run(name, "list").json["holdings"][0]["id"])
        return self.held[name]

    def export(self, name: str, form: str, path: Path, *options: str | Path) -> JsonObject:
        """What a wallet exports of its one credential."""
        identifier = self.held_by(name)
        self.wallet_run(name, "export", identifier, "--format", form, "--out", path, "--replace", *options)
        value: JsonObject = self.read(path)
        return value

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

    def no_issuer_host(self, seen: Seen) -> bool:
        """Whether nobody but the chain's endpoint was asked."""
        return set(seen.contacted) <= {urlsplit(self.chain.url).netloc}

    def present_file(self) -> None:
        """A presentation file for a challenge, as it might be sent by mail."""
        self.challenge, self.domain = (
            "demo-" + encode_base64url(generate_secret(KeyKind.ED25519)),
            "employer.example",
        )
        held = self.held_by(self.ada)
        path = self.out / "presentation.json"
        answer = (
            "--challenge",
            self.challenge,
            "--domain",
            self.domain,
            "--out",
            path,
            "--yes",
            "--no-evidence",
        )
        self.wallet_run(self.ada, "present", held, *answer)
        text = f"challenge {self.challenge}\ndomain {self.domain}\n"
        (self.out / "presentation.txt").write_text(text, encoding="utf-8")
        seen = self.verify_files(path, *self.asking(self.challenge), *self.with_rpc)[0]
        self.bill.expect(
            "a presentation file for a challenge is accepted as belonging to who made it",
            seen.acceptance == "accepted" and seen.report["verified"] is True,
            **seen.brief(),
        )

    def asking(self, challenge: str) -> tuple[str, ...]:
        """The options that ask for a challenge."""
        return ("--challenge", challenge, "--domain", self.domain)

    @property
    def with_rpc(self) -> tuple[str | Path, ...]:
        """The options of an employer with an endpoint."""
        return ("--trust", self.trust_file, "--rpc", self.chain.url)

    @property
    def with_checkpoint(self) -> tuple[str | Path, ...]:
        """The options of an employer with a checkpoint file and no network."""
        return ("--trust", self.trust_file, "--checkpoint", self.out / "checkpoint.json", "--mode", "offline")

    def taking_back(self) -> None:
        """The school revokes, suspends, and changes its key."""
        self.bill.act("The school revokes, suspends, and changes its key")
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
        jobs: list[Callable[[], object]] = [self.badge_without_chain, self.renew_and_export]
        jobs += [partial(self.export_from_school, row, name) for row, name in shown]
        jobs.append(partial(self.issuer_run, "export", "--did-document", self.out / "did.json"))
        together(jobs)

    def renew_and_export(self) -> None:
        """Two learners renew their proofs; one exports what she has."""
        for name in (self.ada, self.ben):
            self.wallet_run(name, "refresh", *self.chain_options)
        self.export(self.ada, "json", self.out / "badge.json")
        self.export(self.ada, "bundle", self.out / "bundle.json")

    def export_from_school(self, row: str, name: str) -> None:
        """A credential and its bundle as the school has them."""
        bundle = self.bundle_of(row)
        self.write(f"{name}-bundle.json", bundle)
        self.write(f"{name}.json", bundle["credential"])

    @property
    def passphrase(self) -> str:
        """The one passphrase of the demo."""
        return self.stage.passphrase_file.read_text(encoding="utf-8").strip()

    @property
    def chain_options(self) -> tuple[str | Path, ...]:
        """The options of a wallet that renews its proofs."""
        return ("--rpc", self.chain.url, "--networks", self.networks_file)

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

    def csv_rows(self, name: str) -> list[dict[str, str]]:
        """The rows of a cohort file in the work folder."""
        with (self.folder / "work" / name).open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))

    def write_checkpoint(self) -> None:
        """The employer's own list of block hashes, taken from the chain and from nobody else."""
        network = self.network
        headers = []
        number = 0
        while (found := self.rpc("eth_getBlockByNumber", hex(number), False)) is not None:
            headers.append((number, bytes.fromhex(found["hash"][2:])))
            number += 1
        checkpoint = Checkpoint(network.chain_id, network.genesis, 1, number, tuple(headers))
        self.write("checkpoint.json", checkpoint.to_json())

    def rpc(self, method: str, *params: Any) -> Any:
        """One JSON-RPC request to the chain."""
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
        _, answer = http("POST", self.chain.url, body)
        return json.loads(answer).get("result")

    def without_the_school(self) -> None:
        """Act 2: the issuer's process is killed and its folder is gone."""
        self.bill.act("The school's server is killed, and its data is gone")
        status = self.issuer.stop(signal.SIGKILL)
        self.issuer_folder.rename(self.folder / "issuer-gone")
        self.bill.tell(f"issuer process ended with status {status}; its folder was moved away")
        seen = self.ask_verifier(self.read(self.out / "bundle.json"))
        self.bill.expect(
            "the employer's verifier still finds the credential genuine, and asked nobody but the chain",
            seen.acceptance == "accepted" and self.no_issuer_host(seen),
            **seen.brief(),
            contacted=seen.contacted,
        )
        bundle = self.out / "bundle.json"
        seen = self.verify_files(bundle, *self.with_checkpoint)[0]
        self.bill.expect(
            "so does `bonafides verify` offline, from the bundle and a checkpoint file: no connection is opened",
            seen.acceptance == "accepted" and not seen.contacted,
            **seen.brief(),
        )

    def refused(self) -> None:
        """Act 3: each attack is refused for its own reason."""
        self.bill.act("What must be refused, each for its own reason")
        badge, bundle = self.read(self.out / "badge.json"), self.read(self.out / "bundle.json")
        tampered = attacks.with_better_mark(badge)
        self.write("tampered-badge.json", tampered)
        self.write("tampered.json", {**bundle, "credential": tampered})
        self.refuse("a changed mark", {**bundle, "credential": tampered}, "proof", "changed_after_signing")
        seen = self.verify_files(self.out / "presentation.json", *self.asking("another"), *self.with_rpc)[0]
        self.expect_refusal(
            "another learner's presentation, replayed", seen, "challenge", "for_somebody_else"
        )
        forger = attacks.Forger(
            self.chain.url, self.network, load_standards().canonicalizer, stolen_writer_key=self.writer_key
        )
        method = f"{self.did}#delegate-1"
        stranger = signer_of(KeyKind.ED25519, generate_secret(KeyKind.ED25519))
        forged = forger.forge(badge, stranger, method)
        self.refuse("a proof by a key that was never registered", forged, "key", "key_not_registered")
        faucet = bytes.fromhex((self.folder / "chain" / "faucet.key").read_text().strip())
        fake = attacks.look_alike_registry(forged, self.network, self.chain.url, faucet, stranger)
        self.refuse(
            "genuine registry code with forged storage at another address", fake, "anchor", "bundle_false"
        )
        late = forger.forge(badge, self.stolen_key, method)
        self.refuse("one anchored after its key was retired", late, "key", "key_retired")
        evidence = self.export(
            self.ada, "bundle", self.folder / "work" / "shown.json", "--evidence", "submission.py"
        )
        swapped = attacks.with_swapped_evidence(evidence)
        self.refuse("swapped evidence", swapped, "evidence", "evidence_swapped")
        revoked = self.read(self.out / "revoked-bundle.json")
        self.refuse("a revoked credential", revoked, "status", "revoked")
        suspended = self.read(self.out / "suspended-bundle.json")
        self.refuse("a suspended credential", suspended, "status", "suspended")
        renamed = {**revoked, "credential": attacks.with_status_renamed(revoked["credential"])}
        self.refuse("a revoked one whose status term is renamed to its IRI", renamed, "status", "revoked")
        left = (self.expires - datetime.now(UTC)).total_seconds()
        if left > 0:
            self.bill.tell(f"waiting {left:.0f} s for a credential to expire")
            time.sleep(left + 0.1)
        self.refuse(
            "an expired one", self.read(self.out / "expiring-bundle.json"), "validity_period", "expired"
        )

    def refuse(self, sentence: str, document: Any, check: str, reason: str) -> None:
        """The verifier refuses a document, and names the reason."""
        self.expect_refusal(sentence, self.ask_verifier(document), check, reason)

    def expect_refusal(self, sentence: str, seen: Seen, check: str, reason: str) -> None:
        """Refused, and by the check that should."""
        held = seen.acceptance == "refused" and seen.reason(check) == reason
        self.bill.expect(f"refused: {sentence}", held, wanted=f"{check}: {reason}", **seen.brief())

    def accepted(self) -> None:
        """Act 4: what stays good."""
        self.bill.act("What stays good")
        before = self.read(self.out / "bundle.json")
        seen = self.ask_verifier(before)
        self.bill.expect(
            "accepted: a credential issued before the key was changed",
            seen.acceptance == "accepted" and before["key"]["id"].endswith("#delegate-1"),
            **seen.brief(),
        )
        some = ("--evidence", "submission.py", "--evidence", "tests.log")
        shown = self.export(self.ben, "bundle", self.folder / "work" / "two.json", *some)
        seen = self.ask_verifier(shown)
        open_items = [item["name"] for item in shown["evidence"] if "name" in item]
        self.bill.expect(
            "accepted: two of five evidence items shown, the rest withheld",
            seen.acceptance == "accepted"
            and sorted(open_items) == ["submission.py", "tests.log"]
            and seen.check("evidence")["basis"].startswith("2 of 5"),
            shown=open_items,
            **seen.brief(),
        )

    def undetermined(self) -> None:
        """Act 5: neither green nor red."""
        self.bill.act("What cannot be told, and who could supply what is missing")
        bundle = self.out / "bundle.json"
        nobody = ("--rpc", f"http://127.0.0.1:{free_port()}", "--trust", self.trust_file)
        empty = self.folder / "work" / "nobody.json"
        empty.write_text('{"issuers": []}', encoding="utf-8")
        stranger = ("--trust", empty, "--rpc", self.chain.url)
        cases = (
            (
                "a bare badge without its bundle",
                (self.out / "badge.json", *self.with_rpc),
                "anchor",
                "bundle_missing",
            ),
            (
                "the endpoint is down and no checkpoint is at hand",
                (bundle, *nobody),
                "header",
                "chain_unreachable",
            ),
            (
                "a header older than the policy's limit",
                (bundle, *self.with_checkpoint, "--max-header-age", "1s"),
                "freshness",
                "stale",
            ),
            (
                "an issuer that is not on the trust list",
                (bundle, *stranger),
                "issuer_trust",
                "issuer_not_listed",
            ),
        )
        found = together([partial(self.verify_files, *arguments) for _, arguments, _, _ in cases])
        for (sentence, _, check, reason), (seen,) in zip(cases, found, strict=True):
            held = seen.acceptance == "undetermined" and seen.reason(check) == reason
            self.bill.expect(f"undetermined: {sentence}", held, wanted=f"{check}: {reason}", **seen.brief())

    def foreign(self, path: Path | None) -> None:
        """Act 6: somebody else's badge."""
        self.bill.act("A badge that was made without our software")
        if path is not None:
            seen = self.ask_verifier(path.read_bytes())
            self.bill.tell(f"{path}: {seen.acceptance}; {seen.brief()}")
        badge = make_foreign_badge()
        seen = self.ask_verifier(badge)
        self.bill.expect(
            "made with pyld and cryptography alone: its signature holds, and its issuer is not known here",
            seen.report["verified"] is True
            and seen.acceptance == "undetermined"
            and seen.reason("issuer_trust") == "issuer_not_listed",
            **seen.brief(),
        )
        badge["name"] = "Something better"
        seen = self.ask_verifier(badge)
        self.expect_refusal("the same, changed", seen, "proof", "changed_after_signing")

    # --- the whole -----------------------------------------------------------------------------------------

    def perform(self, foreign: Path | None) -> None:
        """All acts in their order."""
        self.set_up()
        self.issuing()
        self.holding()
        self.taking_back()
        self.without_the_school()
        self.refused()
        self.accepted()
        self.undetermined()
        self.foreign(foreign)

    def open_house(self) -> None:
        """`make up`: everything set up and issued, and every role running."""
        self.set_up()
        self.issuing()
