"""The company of the demo: what a school, its learners and an employer do, each by typing commands."""

from __future__ import annotations

import csv
import json
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from node.commands.loading import load_networks
from node.core.encoding import encode_hex
from node.core.evm.checkpoint import Checkpoint
from node.core.evm.events import Anchored, decode_registry_log
from node.core.evm.network import Network
from node.core.strict_json import JsonObject
from node.demo.assess import Assessed
from node.demo.endpoint import Endpoint
from node.demo.expectations import Check, Playbill, tried
from node.demo.sample import Course, load_course
from node.demo.stage import Finished, Role, Stage, http, together

# The employer's own name, which a presentation must be made for.
DOMAIN: Final = "employer.example"


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


class Company:
    """Everybody who plays, in one folder. Nothing here says what must come of it."""

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
        self.follower: Role
        self.followed: Endpoint
        self.assessed: Assessed
        self.made: dict[str, Any] = {}
        self.did = ""
        self.before_taking_back = 0  # block
        self.audited = 0  # writes of the school, while all were its own
        self.held: dict[str, str] = {}

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

    def ask_verifier(self, document: Any, verifier: Role | None = None) -> Seen:
        """The employer's verifier, or another one, by HTTP."""
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        url = (verifier or self.verifier).url
        _, answer = http("POST", f"{url}/verify", body, accept="application/json")
        return Seen(json.loads(answer))

    def verify_files(self, *arguments: str | Path, within: Sequence[str] = ()) -> list[Seen]:
        """`bonafides verify`, one report a file; `within` as of `Stage.run`."""
        words = ("verify", *arguments, "--networks", self.networks_file, "--json")
        done = self.stage.run(*words, expect=(0, 1, 3), within=within)
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

    @property
    def passphrase(self) -> str:
        """The one passphrase of the demo."""
        return self.stage.passphrase_file.read_text(encoding="utf-8").strip()

    @property
    def chain_options(self) -> tuple[str | Path, ...]:
        """The options of a wallet that renews its proofs."""
        return ("--rpc", self.chain.url, "--networks", self.networks_file)

    @property
    def with_rpc(self) -> tuple[str | Path, ...]:
        """The options of an employer with an endpoint."""
        return ("--trust", self.trust_file, "--rpc", self.chain.url)

    @property
    def with_checkpoint(self) -> tuple[str | Path, ...]:
        """The options of an employer with a checkpoint file and no network."""
        return ("--trust", self.trust_file, "--checkpoint", self.out / "checkpoint.json", "--mode", "offline")

    def asking(self, challenge: str) -> tuple[str, ...]:
        """The options that ask for a challenge."""
        return ("--challenge", challenge, "--domain", DOMAIN)

    def write(self, name: str, value: Any) -> Path:
        """Keep something in the folder of results."""
        path = self.out / name
        path.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        return path

    def read(self, path: Path) -> Any:
        """A JSON file."""
        return json.loads(path.read_text(encoding="utf-8"))

    def csv_rows(self, name: str) -> list[dict[str, str]]:
        """The rows of a cohort file in the work folder."""
        with (self.folder / "work" / name).open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))

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

    def records(self) -> dict[str, JsonObject]:
        """The school's own record of its credentials, by row."""
        folder = self.folder / "work" / f"records-{time.monotonic_ns()}"
        self.issuer_run("export", "--records", folder)
        lines = (folder / "credentials.ndjson").read_text(encoding="utf-8").splitlines()
        return {record["row"].removeprefix("id:"): record for record in map(json.loads, lines)}

    def bundle_of(self, row: str) -> JsonObject:
        """A credential's bundle as the school exports it."""
        path = self.folder / "work" / f"bundle-{row}.json"
        self.issuer_run("export", "--credential", self.rows[row]["id"], "--bundle", path)
        bundle: JsonObject = self.read(path)
        return bundle

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

    def rpc(self, method: str, *params: Any) -> Any:
        """One JSON-RPC request to the chain."""
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
        _, answer = http("POST", self.chain.url, body)
        return json.loads(answer).get("result")

    @property
    def head(self) -> int:
        """The number of the chain's newest block."""
        return int(self.rpc("eth_blockNumber"), 16)

    def anchors_after(self, block: int) -> list[Anchored]:
        """The anchors on the chain that are in later blocks, in their order."""
        query = {"address": encode_hex(self.network.credential_registry), "fromBlock": hex(block + 1)}
        events = [decode_registry_log(log) for log in self.rpc("eth_getLogs", query)]
        return [event for event in events if isinstance(event, Anchored)]

    def attempt_all(self, *promises: tuple[str, Check]) -> None:
        """Promises that do not wait for each other: looked into together, told in their order."""
        found = together([partial(tried, check) for _, check in promises])
        for (sentence, _), (held, seen) in zip(promises, found, strict=True):
            self.bill.expect(sentence, held, **seen)

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

    def no_issuer_host(self, seen: Seen) -> bool:
        """Whether nobody but the chain's endpoint was asked."""
        return set(seen.contacted) <= {urlsplit(self.chain.url).netloc}
