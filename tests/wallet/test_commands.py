"""The commands as a learner types them, against the real issuer and the real verifier in processes of their own."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result
from fixtures.held import NAME, forms, held
from fixtures.verification import Story, of_key_school
from fixtures.wallets import LEARNER_KEY, QUICK

from node.cli import bonafides
from node.core.errors import BonafidesError, Malformed, Misconfigured, NotFound, Refused
from node.core.verify.intake import read_intake
from wallet.store import WalletStore

MAIN = [sys.executable, "-m", "node"]
START_SECONDS = 30
TEMPLATE = {
    "template": 1,
    "cohort": "c1",
    "name": "Python, first course",
    "achievement": {
        "id": "urn:uuid:5e1a2c7e-94ab-4d0c-8b39-3a1d0c5f7a20",
        "name": "Python, first course",
        "description": "Writes small programs.",
        "criteria": {"narrative": "One task."},
    },
}


@dataclass
class Learner:
    """A wallet in a folder, driven by commands."""

    folder: Path
    passphrase: Path

    def run(self, *arguments: str, answer: str | None = None) -> Result:
        command = [
            "wallet",
            arguments[0],
            "--dir",
            str(self.folder),
            "--passphrase-file",
            str(self.passphrase),
        ]
        result = CliRunner().invoke(
            bonafides, [*command, "--development", *arguments[1:]], input=answer, standalone_mode=False
        )
        if result.exception is not None and not isinstance(
            result.exception, click.Abort | click.UsageError | BonafidesError
        ):
            raise result.exception
        return result

    def json(self, *arguments: str) -> Any:
        result = self.run(*arguments, "--json")
        assert result.exception is None, result.exception
        return json.loads(result.stdout)


@pytest.fixture
def learner(tmp_path: Path) -> Learner:
    passphrase = tmp_path / "passphrase"
    passphrase.write_text("correct horse\n")
    return Learner(tmp_path / "wallet", passphrase)


@contextmanager
def running(*arguments: str) -> Iterator[str]:
    """A role that serves; its URL."""
    process = subprocess.Popen(
        [*MAIN, *arguments, "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        line = process.stdout.readline()
        if not line:
            raise RuntimeError(process.stderr.read())
        yield str(json.loads(line)["url"])
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=START_SECONDS)


def call(*arguments: str) -> Any:
    done = subprocess.run([*MAIN, *arguments, "--json"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_offer_to_accepted_presentation_with_the_real_roles(tmp_path: Path, learner: Learner) -> None:
    did = learner.json("init")["did"]
    files = {
        "template.json": json.dumps(TEMPLATE),
        "cohort.csv": f"id,subject_did\ns-1,{did}\ns-2,\n",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    where = ["--dir", str(tmp_path / "issuer"), "--passphrase-file", str(learner.passphrase)]
    url = f"http://127.0.0.1:{_free_port()}"
    issuer = call(
        "issuer", "init", *where, "--did", "key", "--name", "School", "--url", url, "--development"
    )["did"]
    (tmp_path / "trust.json").write_text(json.dumps({"issuers": [{"did": issuer, "name": "The School"}]}))
    trust = ["--trust", str(tmp_path / "trust.json")]
    with ExitStack() as stack:
        inputs = ["--template", str(tmp_path / "template.json"), "--cohort", str(tmp_path / "cohort.csv")]
        issued = call("issuer", "issue", *where, *inputs)["credentials"]
        stack.enter_context(running("issuer", "serve", *where, "--development"))
        links = [one["offer"]["link"] for one in issued]

        no = learner.run("receive", links[0], answer="n\n")
        assert isinstance(no.exception, click.Abort)
        assert "as ldp_vc signed with eddsa-rdfc-2022" in no.stderr
        assert learner.json("list")["holdings"] == []

        for link in links:
            body = learner.json("receive", link, "--yes", *trust)
            assert [one["report"]["acceptance"] for one in body["received"]] == ["accepted"]
            assert body["unfinished"] == []
        held = learner.json("list")["holdings"]
        assert len(held) == 2

        verifier = ["--dir", str(tmp_path / "verifier"), "--port", "0", "--development", *trust]
        employer = stack.enter_context(running("verifier", "serve", *verifier))
        asked = _ask(f"{employer}/requests", b"{}")
        shown = learner.json("present", asked["link"], "--use", held[0]["id"], "--yes")
        assert [one["digest"] for one in shown["shown"]] == [held[0]["id"]]
        result = _ask(asked["result"])
        assert result["acceptance"] == "accepted"
        again = learner.run("present", asked["link"], "--yes")
        assert isinstance(again.exception, Refused)
        assert len(learner.json("list", "--disclosures")) == 1

    out = tmp_path / "presentation.json"
    asked_for = ["--challenge", "abc", "--domain", "https://employer.example"]
    learner.json("present", held[1]["id"], *asked_for, "--out", str(out), "--yes")
    report = call("verify", str(out), *asked_for, *trust)
    assert report["acceptance"] == "accepted"


def test_export_backup_restore_and_import_by_command(tmp_path: Path, learner: Learner) -> None:
    learner.run("init")
    file = tmp_path / "badge.json"
    file.write_text(json.dumps(of_key_school().credential()))
    (taken,) = learner.json("import", str(file))
    assert taken["became"] == "kept"
    held = taken["holding"]["id"]
    assert "Data structures" in learner.run("show", held[:8]).stdout
    png = tmp_path / "badge.png"
    learner.json("export", held, "--format", "png", "--out", str(png))
    assert png.read_bytes().startswith(b"\x89PNG")
    learner.json("backup", str(tmp_path / "b.bak"))
    other = Learner(tmp_path / "other", learner.passphrase)
    assert other.json("restore", str(tmp_path / "b.bak"))["holdings"] == 1
    assert other.json("did") == learner.json("did")
    assert other.json("import", str(png))[0]["became"] == "held already"


OCCASION = ("--challenge", "abc", "--domain", "https://employer.example")


@pytest.fixture(params=["ecdsa-sd-2023", "vc+sd-jwt", "bbs-2023"])
def partly(request: pytest.FixtureRequest, learner: Learner) -> str:
    """What a learner holds that can be shown in part; its id."""
    return keep(learner, forms()[request.param].story)


def keep(learner: Learner, story: Story) -> str:
    """A wallet with the key that stories are made out to, and with what is held of one."""
    holding = held(story)
    with WalletStore.create(learner.folder, "correct horse", cost=QUICK) as store:
        store.add_key(LEARNER_KEY)
        store.save_holding(holding)
    return holding.id


def test_the_claims_that_are_named_are_shown_and_the_rest_stays(
    tmp_path: Path, learner: Learner, partly: str
) -> None:
    out = tmp_path / "presentation.json"
    assert "you choose " in learner.run("show", partly).stdout
    result = learner.run("present", partly, *OCCASION, "--out", str(out), "--disclose", NAME, "--yes")
    assert result.exception is None
    assert "kept hidden:" in result.stderr
    (record,) = learner.json("list", "--disclosures")
    (shown,) = record["shown"]
    assert NAME in shown["claims"]
    assert "credentialSubject.achievement.criteria.narrative" in shown["hidden"]
    assert "All tests pass" not in json.dumps(_documents(out))
    assert "Data structures" in json.dumps(_documents(out))


def test_only_shows_what_is_always_shown_and_everything_all(
    tmp_path: Path, learner: Learner, partly: str
) -> None:
    for number, (option, hides) in enumerate((("--only", True), ("--everything", False))):
        out = tmp_path / f"{number}.json"
        (shown,) = learner.json("present", partly, *OCCASION, "--out", str(out), option, "--yes")["shown"]
        assert bool(shown["hidden"]) is hides
        assert ("All tests pass" in json.dumps(_documents(out))) is not hides


def test_nobody_chooses_unseen_and_a_list_is_answered_by_numbers(
    tmp_path: Path, learner: Learner, partly: str
) -> None:
    out = tmp_path / "presentation.json"
    unseen = learner.run("present", partly, *OCCASION, "--out", str(out), "--yes")
    assert isinstance(unseen.exception, click.UsageError)
    asked = learner.run("present", partly, *OCCASION, "--out", str(out), answer="x\n1\ny\n")
    assert asked.exception is None
    assert "numbers of the list" in asked.stderr
    (record,) = learner.json("list", "--disclosures")
    first = next(line.split()[1] for line in asked.stderr.splitlines() if line.split()[:1] == ["1"])
    assert first in record["shown"][0]["claims"]


def test_what_is_shown_whole_is_not_shown_to_whom_only_a_part_is_meant_for(
    tmp_path: Path, learner: Learner
) -> None:
    badge = keep(learner, of_key_school())
    out = tmp_path / "presentation.json"
    for option in (["--only"], ["--disclose", "name"]):
        result = learner.run("present", badge, *OCCASION, "--out", str(out), *option, "--yes")
        assert isinstance(result.exception, Refused)
        assert "shown whole" in result.exception.detail
    assert not out.exists()
    assert learner.json("list", "--disclosures") == []


def test_what_is_named_is_chosen_of_what_can_be_shown_in_part_beside_what_is_shown_whole(
    tmp_path: Path, learner: Learner
) -> None:
    part = keep(learner, forms()["bbs-2023"].story)
    whole = held(of_key_school(show=()))
    with WalletStore.open(learner.folder, "correct horse") as store:
        store.save_holding(whole)
    out = tmp_path / "presentation.json"
    both = (part, whole.id, *OCCASION, "--out", str(out), "--yes")
    only = learner.run("present", *both, "--only", "--disclose", NAME)
    assert isinstance(only.exception, Refused)
    assert not out.exists()
    result = learner.run("present", *both, "--disclose", NAME)
    assert result.exception is None
    assert "--disclose changes nothing of it" in result.stderr
    assert "your DID signs around it" in result.stderr
    (record,) = learner.json("list", "--disclosures")
    assert [bool(one["hidden"]) for one in record["shown"]] == [True, False]


def test_what_cannot_stand_beside_others_is_told_before_the_screen(tmp_path: Path, learner: Learner) -> None:
    token = keep(learner, forms()["dc+sd-jwt"].story)
    badge = held(of_key_school(show=()))
    with WalletStore.open(learner.folder, "correct horse") as store:
        store.save_holding(badge)
    out = tmp_path / "presentation.json"
    result = learner.run("present", token, badge.id, *OCCASION, "--out", str(out))
    assert isinstance(result.exception, Malformed)
    assert "would show" not in result.stderr


def _documents(file: Path) -> list[Any]:
    return [one.document for one in read_intake(file.read_bytes()).credentials]


def test_each_mistake_is_one_clear_error(tmp_path: Path, learner: Learner) -> None:
    assert isinstance(learner.run("list").exception, Misconfigured)
    learner.run("init")
    assert isinstance(learner.run("show", "abcd").exception, NotFound)
    learner.passphrase.write_text("another\n")
    wrong = learner.run("list")
    assert isinstance(wrong.exception, Misconfigured)
    assert "wrong passphrase" in wrong.exception.detail
    learner.passphrase.write_text("")
    assert isinstance(learner.run("list").exception, Misconfigured)


def test_importing_the_commands_imports_nothing_heavy() -> None:
    code = (
        "import wallet.cli, sys;"
        "heavy = {'aiohttp', 'pyld', 'web3', 'nacl', 'cryptography', 'rich', 'sqlalchemy', 'coincurve'};"
        "sys.exit(', '.join(sorted(heavy & {name.split('.')[0] for name in sys.modules})) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _ask(url: str, body: bytes | None = None) -> Any:
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    request = urllib.request.Request(url, body, headers)  # noqa: S310 - the URL of a role started here
    with urllib.request.urlopen(request, timeout=START_SECONDS) as answer:  # noqa: S310
        return json.load(answer)
