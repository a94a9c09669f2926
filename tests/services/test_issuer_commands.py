"""`bonafides issuer` as a school types it, on the embedded chain: from nothing to a revoked badge."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from fixtures.chain import RunningChain
from fixtures.issuers import ALICE, PASSPHRASE, MakeCohort

from node.commands.issuer import issuer
from node.core.bundle import parse_bundle
from node.core.envelope import read_envelope
from node.core.errors import Conflict, Misconfigured, NotVerified
from node.core.strict_json import JsonObject, parse_json_object
from node.services import bundles


class School:
    """A folder and the commands on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.pass_file = folder / "passphrase"
        folder.mkdir(exist_ok=True)
        self.pass_file.write_text("correct horse\n")

    def run(self, *arguments: str) -> Result:
        """In a thread of its own: each command has its own event loop."""
        place = ["--dir", str(self.folder / "issuer"), "--passphrase-file", str(self.pass_file)]
        words = 2 if arguments[0] in ("key", "token") else 1
        command = [*arguments[:words], *place, *arguments[words:]]
        return CliRunner().invoke(issuer, command)

    def json(self, *arguments: str) -> Any:
        result = self.run(*arguments, "--json")
        if result.exception is not None:
            raise result.exception
        return json.loads(result.stdout)


@pytest.fixture
def inputs(make_cohort: MakeCohort, tmp_path: Path) -> list[str]:
    make_cohort(("s1", ALICE, "90"), ("s2", "", "70"))
    folder = tmp_path / "input"
    options = {"--template": "template.json", "--cohort": "cohort.csv", "--evidence": "evidence"}
    return [part for name, file in options.items() for part in (name, str(folder / file))]


def copied(made_school: Path, folder: Path) -> School:
    """The commands on a copy of an issuer that was made before."""
    school = School(folder)
    shutil.copytree(made_school, folder / "issuer")
    school.pass_file.write_text(PASSPHRASE)
    return school


def test_a_bundle_that_does_not_hold_is_told_and_is_no_success(
    made_school: Path, tmp_path: Path, inputs: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise NotVerified("a bundle of ours does not hold: header: unknown")

    monkeypatch.setattr(bundles, "_judge", refuse)
    school = copied(made_school, tmp_path / "school")
    school.json("issue", *inputs)
    result = school.run("anchor")
    assert result.exit_code == 1
    assert "a bundle of ours does not hold: header: unknown" in result.stderr
    assert "without a bundle for 1" in result.stdout
    result = school.run("anchor", "--no-wait", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["troubles"] == ["a bundle of ours does not hold: header: unknown"]


def test_from_nothing_to_a_revoked_badge(devchain: RunningChain, tmp_path: Path, inputs: list[str]) -> None:
    school = School(tmp_path / "school")
    networks, faucet = tmp_path / "networks.json", tmp_path / "faucet.key"
    networks.write_text(json.dumps({"networks": [devchain.network]}))
    faucet.write_text(devchain.key.hex())
    init = ["init", "--name", "A school", "--url", "https://school.example", "--rpc", devchain.url]
    init += ["--networks", str(networks)]
    with pytest.raises(Misconfigured, match=r"owner 0x.* needs .* ether"):
        school.json(*init)
    made = school.json(*init, "--faucet", str(faucet))
    assert made["did"] == f"did:ethr:{devchain.chain_id:#x}:{made['owner']}"
    assert (
        school.json(*init, "--batch-size", "1", "--max-fee", "150.5") == made
    )  # run again, it finds all done
    kept = json.loads((school.folder / "issuer" / "issuer.json").read_text())
    assert kept["terms"] == {"batch_size": 1, "max_fee": 150.5}

    plan = school.json("issue", *inputs, "--dry-run")
    assert (plan["new"], plan["signed_at_once"], plan["signed_at_claim"]) == (2, 1, 1)
    assert plan["anchoring"]["batches"] == 2
    assert 0 < plan["anchoring"]["wei_per_item"] * 2 <= plan["anchoring"]["wei"] + 1
    issued = school.json("issue", *inputs)
    assert [row["state"] for row in issued["credentials"]] == ["signed", "waiting"]
    estimate = school.json("anchor", "--dry-run")
    assert (estimate["waiting"], estimate["anchoring"]["batches"]) == (1, 1)
    assert "1 waiting: 1 anchor of" in school.run("anchor", "--dry-run").stdout
    with pytest.raises(Misconfigured, match="needs a P-256 key"):
        school.json("issue", *inputs, "--securing", "ecdsa-sd-2023", "--dry-run")
    added = school.json("key", "add", "--kind", "P-256")
    assert [key["kind"] for key in added["keys"]] == ["Ed25519", "P-256"]
    assert school.json("issue", *inputs, "--securing", "ecdsa-sd-2023", "--dry-run")["new"] == 0
    with pytest.raises(Misconfigured, match="no name for the chain"):
        school.json("export", "--blockcerts", str(tmp_path / "blockcerts"), "--credential", "s1")
    assert all(row["offer"]["link"].startswith("openid-credential-offer://") for row in issued["credentials"])
    anchored = school.json("anchor")
    assert anchored["done"] is True
    assert anchored["paid"]["newest_batch"]["items"] == 1
    assert anchored["paid"]["newest_batch"]["gas"] <= estimate["anchoring"]["gas"]

    out = tmp_path / "out"
    bundle_file, checkpoint = out / "bundle.json", out / "checkpoint.json"
    written = [
        "--bundle",
        str(bundle_file),
        "--checkpoint",
        str(checkpoint),
        "--records",
        str(out / "records"),
    ]
    school.json("export", "--credential", "s1", *written)
    bundle = parse_bundle(parse_json_object(bundle_file.read_bytes()))
    assert bundle.state is not None
    assert len((out / "records" / "credentials.ndjson").read_text().splitlines()) == 2

    assert school.json("revoke", "s1", "--reason", "plagiarism")["effective"] is True
    status = school.json("status")
    assert status["set_aside"] == []
    assert status["paid"]["calls"]["set_status"]["transactions"] == 1
    assert "each item anchored" in school.run("status").stdout
    assert status["credentials"]["signed"] == 1


def test_an_issuer_without_a_chain_needs_two_commands(tmp_path: Path, inputs: list[str]) -> None:
    school = School(tmp_path / "school")
    made = school.json("init", "--name", "A school", "--url", "https://school.example", "--did", "key")
    assert made["did"].startswith("did:key:z6Mk")
    issued = school.json("issue", *inputs)
    assert issued["credentials"][0]["state"] == "signed"
    out = tmp_path / "out"
    school.json("export", "--credential", "s1", "--document", str(out / "badge.json"))
    document = parse_json_object((out / "badge.json").read_bytes())
    assert "credentialStatus" not in document
    assert document["proof"][0]["verificationMethod"] == f"{made['did']}#{made['did'].rpartition(':')[2]}"


def test_messages_are_set_from_the_command_line(tmp_path: Path, make_cohort: MakeCohort) -> None:
    words = ["In good standing", "Paused", "Under review", "Ended"]
    make_cohort(("s1", ALICE, "90"), statusMessage=words, evidence=None, with_evidence=False)
    school, folder = School(tmp_path / "school"), tmp_path / "input"
    init = ["init", "--name", "A school", "--url", "https://school.example", "--did", "key", "--status"]
    school.json(*init, "--kind", "P-256")
    inputs = ["--template", str(folder / "template.json"), "--cohort", str(folder / "cohort.csv")]
    school.json("issue", *inputs, "--securing", "vc+jwt")
    said = school.json("message", "s1", "--value", "2", "--reason", "a complaint")
    assert (said["action"], said["effective"]) == ("message", True)
    out = tmp_path / "badge.jwt"
    school.json("export", "--credential", "s1", "--document", str(out))
    token = read_envelope(out.read_bytes())  # the token itself, not a JSON string
    assert token is not None
    assert token.algorithm == "ES256"


def test_bbs_credentials_are_renewed_until_revoked_from_the_command_line(
    tmp_path: Path, make_cohort: MakeCohort
) -> None:
    make_cohort(("s1", ALICE, "90"), evidence=None, validDays=7, securing="bbs-2023", with_evidence=False)
    school, folder = School(tmp_path / "school"), tmp_path / "input"
    init = ["init", "--name", "A school", "--url", "https://school.example", "--did", "key"]
    with pytest.raises(Misconfigured, match="signs no status lists"):
        school.json(*init, "--kind", "BLS12-381", "--status")
    school.json(*init, "--kind", "BLS12-381")
    inputs = ["--template", str(folder / "template.json"), "--cohort", str(folder / "cohort.csv")]
    assert school.json("issue", *inputs, "--dry-run")["securing"] == "bbs-2023"
    (issued,) = school.json("issue", *inputs)["credentials"]
    assert "nothing to renew" in school.run("renew").stderr
    assert school.json("renew")["credentials"] == []  # one of this week would end no later
    ended = school.run("revoke", issued["id"], "--reason", "left")
    assert "renewed no more" in ended.output


def test_an_issuer_without_a_chain_revokes_in_its_published_list(tmp_path: Path, inputs: list[str]) -> None:
    school = School(tmp_path / "school")
    init = ["init", "--name", "A school", "--url", "https://school.example", "--did", "key", "--status"]
    school.json(*init)
    school.json("issue", *inputs)  # who asked for a list at `init` need not ask again
    assert school.json("revoke", "s1", "--reason", "plagiarism")["effective"] is True


def test_a_status_that_one_issue_asked_for_is_not_in_what_is_issued_later(
    tmp_path: Path, make_cohort: MakeCohort
) -> None:
    school = School(tmp_path / "school")
    init = ["init", "--name", "A school", "--url", "https://school.example", "--did", "key"]
    school.json(*init)
    for cohort, *options in (("asked", "--status"), ("later",)):
        school.json("issue", *plain(tmp_path, make_cohort, cohort=cohort), *options)
    assert "credentialStatus" in exported(school, "asked/s1")
    assert "credentialStatus" not in exported(school, "later/s1")
    school.json(*init)  # run again, it changes nothing of it
    school.json("issue", *plain(tmp_path, make_cohort, cohort="last"))
    assert "credentialStatus" not in exported(school, "last/s1")
    school.json(*init, "--status")
    school.json("issue", *plain(tmp_path, make_cohort, cohort="always"))
    assert "credentialStatus" in exported(school, "always/s1")


def test_a_folder_of_an_earlier_release_gives_entries_where_a_list_is_open(
    tmp_path: Path, make_cohort: MakeCohort
) -> None:
    school = School(tmp_path / "school")
    init = ["init", "--name", "A school", "--url", "https://school.example", "--did", "key"]
    school.json(*init, "--status")
    settings = school.folder / "issuer" / "issuer.json"
    body = {name: value for name, value in json.loads(settings.read_text()).items() if name != "status"}
    settings.write_text(json.dumps(body))
    school.json(*init)
    school.json("issue", *plain(tmp_path, make_cohort))
    assert "credentialStatus" in exported(school, "s1")


def test_rows_issued_before_as_something_else_stay_so_and_it_is_said(
    tmp_path: Path, make_cohort: MakeCohort
) -> None:
    school = School(tmp_path / "school")
    school.json("init", "--name", "A school", "--url", "https://school.example", "--did", "key")
    inputs = plain(tmp_path, make_cohort, ("s1", ALICE, "90"), ("s2", "", "70"))
    dry = school.run("issue", *inputs, "--securing", "vc+jwt", "--dry-run")
    assert "2 rows are in order as vc+jwt: 2 new" in dry.stdout
    first = school.run("issue", *inputs, "--securing", "vc+jwt")
    assert "issued before" not in first.stderr
    assert "rows that wait are signed when claimed" in first.stderr
    assert school.json("issue", *inputs, "--securing", "vc+jwt")["secured_otherwise"] == {}
    for options in ([], ["--dry-run"]):
        again = school.run("issue", *inputs, "--securing", "eddsa-jcs-2022", *options)
        assert "issued before as vc+jwt, and left so: 2 of the rows" in again.stderr
        assert (
            school.json("issue", *inputs, "--securing", "eddsa-jcs-2022", *options)["secured_otherwise"]
            == {"vc+jwt": 2}
        )  # fmt: skip


def test_badges_for_anybody_are_written_to_files(tmp_path: Path, make_cohort: MakeCohort) -> None:
    school = School(tmp_path / "school")
    school.json("init", "--name", "A school", "--url", "https://school.example", "--did", "key")
    issued = school.run("issue", *plain(tmp_path, make_cohort, ("s1", "", "90"), cohort="open"), "--bearer")
    assert "next: bonafides issuer export --credential s1 --document FILE" in issued.stderr
    assert "claimed" not in issued.stderr
    assert "id" not in exported(school, "open/s1")["credentialSubject"]


def plain(tmp_path: Path, make_cohort: MakeCohort, *rows: tuple[str, str, str], **changed: Any) -> list[str]:
    """The inputs of a cohort without evidence, of one learner unless told otherwise."""
    make_cohort(*(rows or (("s1", ALICE, "90"),)), evidence=None, with_evidence=False, **changed)
    folder = tmp_path / "input"
    return ["--template", str(folder / "template.json"), "--cohort", str(folder / "cohort.csv")]


def exported(school: School, name: str) -> JsonObject:
    out = school.folder / "exported"
    school.json("export", "--credential", name, "--document", str(out))
    return parse_json_object(out.read_bytes())


def test_another_passphrase_opens_nothing_and_changes_nothing(tmp_path: Path, inputs: list[str]) -> None:
    school = School(tmp_path / "school")
    school.json("init", "--name", "A school", "--url", "https://school.example", "--did", "key")
    school.pass_file.write_text("wrong\n")
    with pytest.raises(Misconfigured, match="key file"):
        school.json("issue", *inputs)
    assert school.json("status")["credentials"]["signed"] == 0


@pytest.mark.parametrize(
    "url", ["http://school.example", "school.example", "ftp://school.example", "https://school.example?a=b"]
)
def test_a_url_that_is_no_public_https_is_refused(tmp_path: Path, url: str) -> None:
    school = School(tmp_path / "school")
    with pytest.raises(Misconfigured):
        school.json("init", "--name", "A school", "--url", url, "--did", "key")


def test_a_second_init_with_another_method_is_a_conflict(tmp_path: Path) -> None:
    school = School(tmp_path / "school")
    init = ["init", "--name", "A school", "--url", "https://school.example"]
    first = school.json(*init, "--did", "key")
    assert school.json(*init, "--did", "key") == first
    before = (school.folder / "issuer" / "issuer.json").read_bytes()
    with pytest.raises(Conflict):
        school.json(*init, "--rpc", "http://127.0.0.1:1")
    assert (school.folder / "issuer" / "issuer.json").read_bytes() == before


def test_faults_of_the_input_are_told_with_row_and_column(tmp_path: Path, make_cohort: MakeCohort) -> None:
    school = School(tmp_path / "school")
    school.json("init", "--name", "A school", "--url", "https://school.example", "--did", "key")
    make_cohort(("s1", ALICE, "90"))
    folder = tmp_path / "input"
    (folder / "cohort.csv").write_text("id,subject_did,score\ns1,,900\ns1,did:key:nobody,\n")
    result = school.run(
        "issue", "--template", str(folder / "template.json"), "--cohort", str(folder / "cohort.csv"), "--evidence",
        str(folder / "evidence"),
    )  # fmt: skip
    assert "row 1 (line 2), column score" in result.stderr
    assert "row 2 (line 3), column subject_did" in result.stderr
    assert school.json("status")["credentials"]["waiting"] == 0


def test_a_token_is_printed_once_and_ended_by_its_label(tmp_path: Path) -> None:
    school = School(tmp_path / "school")
    school.json("init", "--name", "A school", "--url", "https://school.example", "--did", "key")
    text = school.json("token", "create", "lms", "--role", "issue")["token"]
    with pytest.raises(Conflict):
        school.json("token", "create", "lms")
    listed = school.run("token", "list").stdout
    assert "lms  alive  issue" in listed
    assert text not in listed
    school.run("token", "revoke", "lms")
    assert "lms  ended" in school.run("token", "list").stdout


def test_the_folder_can_be_moved(tmp_path: Path, inputs: list[str]) -> None:
    school = School(tmp_path / "school")
    school.json("init", "--name", "A school", "--url", "https://school.example", "--did", "key")
    (tmp_path / "school").rename(tmp_path / "moved")
    moved = School(tmp_path / "moved")
    assert moved.json("issue", *inputs)["new"] == 2


def modes(folder: Path) -> dict[str, int]:
    return {
        str(file.relative_to(folder)): file.stat().st_mode & 0o777
        for file in folder.rglob("*")
        if file.is_file()
    }


def test_what_the_issuer_writes_is_for_its_owner_alone(tmp_path: Path, inputs: list[str]) -> None:
    school = School(tmp_path / "school")
    table = tmp_path / "networks.json"
    table.write_text('{"networks": []}')
    init = ["init", "--name", "A school", "--url", "https://school.example", "--did", "key"]
    school.json(*init, "--networks", str(table))
    school.json("issue", *inputs)
    out = tmp_path / "out"
    files = ["--bundle", str(out / "bundle.json"), "--document", str(out / "badge.json")]
    school.json("export", "--credential", "s1", *files, "--records", str(out / "records"))
    found = {**modes(school.folder / "issuer"), **modes(out)}
    assert {"issuer.json", "issuer.db", "networks.json", "bundle.json", "records/credentials.ndjson"} <= set(
        found
    )
    assert set(found.values()) == {0o600}, found
    assert {path.stat().st_mode & 0o777 for path in (school.folder / "issuer", out / "records")} == {0o700}


def test_a_table_of_networks_that_cannot_be_read_replaces_none(tmp_path: Path) -> None:
    school = School(tmp_path / "school")
    table = tmp_path / "networks.json"
    table.write_text('{"networks": []}')
    init = ["init", "--name", "A school", "--url", "https://school.example", "--did", "key"]
    school.json(*init, "--networks", str(table))
    table.write_text('{"networks": [')
    with pytest.raises(Misconfigured):
        school.json(*init, "--networks", str(table))
    assert (school.folder / "issuer" / "networks.json").read_text() == '{"networks": []}'


def test_init_run_again_keeps_the_database_that_it_was_told(tmp_path: Path) -> None:
    school = School(tmp_path / "school")
    init = ["init", "--name", "A school", "--url", "https://school.example", "--did", "key"]
    made = school.json(*init, "--database", f"sqlite+aiosqlite:///{tmp_path / 'elsewhere.db'}")
    assert school.json(*init) == made
    assert not (school.folder / "issuer" / "issuer.db").exists()
