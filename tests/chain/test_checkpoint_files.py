"""`bonafides verifier checkpoint`: made from what endpoints agree on, signed, fetched, and never rolled back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from fixtures import lying_chain as lies
from fixtures.chain import RunningChain
from fixtures.lying_chain import LyingChain
from fixtures.web_folder import serve_folder

from node.cli import main
from node.core.evm.checkpoint import Checkpoint, parse_checkpoint, parse_checkpoint_key


class Operator:
    """Somebody who makes checkpoint files of the embedded chain, from endpoints of three operators."""

    def __init__(self, chain: RunningChain, folder: Path, endpoints: list[LyingChain]) -> None:
        self.chain = chain
        self.folder = folder
        self.endpoints = endpoints
        self.networks = folder / "networks.json"
        self.networks.write_text(json.dumps({"networks": [chain.network]}))
        self.passphrase = folder / "passphrase"
        self.passphrase.write_text("correct horse battery staple")
        self.key = folder / "operator.key"
        self.file = folder / "made.json"

    def make(self, *more: str, file: Path | None = None) -> int:
        rpc = [f"--rpc=operator{place}={one.url}" for place, one in enumerate(self.endpoints)]
        options = ["--networks", str(self.networks), "--chain", f"eip155:{self.chain.chain_id}", *rpc]
        return int(main(["verifier", "checkpoint", "make", str(file or self.file), *options, *more]))

    def make_signed(self) -> int:
        return self.make("--key", str(self.key), "--passphrase-file", str(self.passphrase))

    def read(self) -> Checkpoint:
        return parse_checkpoint(json.loads(self.file.read_text()))


@pytest.fixture(scope="module")
def endpoints(devchain: RunningChain) -> Iterator[list[LyingChain]]:
    with ExitStack() as stack:
        yield [stack.enter_context(LyingChain(devchain.url)) for _ in range(3)]


@pytest.fixture
def operator(devchain: RunningChain, tmp_path: Path, endpoints: list[LyingChain]) -> Operator:
    for endpoint in endpoints:
        endpoint.be_honest()
    return Operator(devchain, tmp_path, endpoints)


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[str]:
    """The URL under which the operator's folder is on the web."""
    with serve_folder(tmp_path) as url:
        yield url


def test_a_file_is_made_signed_and_extended(operator: Operator, capsys: pytest.CaptureFixture[str]) -> None:
    assert operator.make_signed() == 0
    first = operator.read()
    told = capsys.readouterr().out
    assert "endpoints of 3 of 3 operators" in told
    first.verify_signature(parse_checkpoint_key(told.splitlines()[-1].removeprefix("signed by ")))
    assert (first.sequence, first.headers[0][0]) == (1, 0)
    assert first.hash_at(0) == first.genesis
    assert [number for number, _ in first.headers] == list(range(first.newest_number + 1))
    assert operator.make_signed() == 0
    assert operator.read().sequence in (1, 2)  # two, where a block was mined meanwhile
    operator.read().check_follows(first)


def test_a_minority_of_endpoints_changes_nothing_in_it(
    operator: Operator, capsys: pytest.CaptureFixture[str]
) -> None:
    operator.endpoints[0].tell(lies.errors())
    assert operator.make() == 0
    assert operator.endpoints[0].host in capsys.readouterr().err
    operator.endpoints[1].tell(lies.errors())
    before = operator.file.read_bytes()
    assert operator.make() == 1
    assert operator.file.read_bytes() == before


def test_what_contradicts_the_file_is_not_added(
    operator: Operator, capsys: pytest.CaptureFixture[str]
) -> None:
    assert operator.make() == 0
    body = json.loads(operator.file.read_text())
    body["headers"] = [[0, body["headers"][0][1]], [1, "0x" + "11" * 32]]
    operator.file.write_text(json.dumps(body))
    assert operator.make() == 1
    assert "name different blocks 1" in capsys.readouterr().err
    assert operator.read().newest_number == 1


def test_a_file_is_begun_where_it_is_said(operator: Operator) -> None:
    assert operator.make("--since", "2") == 0
    assert operator.read().headers[0][0] == 2


def fetch(operator: Operator, url: str, file: Path, *keys: str) -> int:
    named = [f"--checkpoint-key={key}" for key in keys]
    command = ["verifier", "checkpoint", "fetch", str(file), f"{url}/{operator.file.name}", "--development"]
    return int(main([*command, *named]))


def test_a_fetched_file_is_kept_and_an_older_one_is_refused(
    operator: Operator, mirror: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    operator.make_signed()
    key = capsys.readouterr().out.splitlines()[-1].removeprefix("signed by ")
    kept, older = tmp_path / "kept.json", operator.file.read_bytes()
    assert fetch(operator, mirror, kept, key) == 0
    assert parse_checkpoint(json.loads(kept.read_text())) == operator.read()
    newer = json.loads(older)
    newer["sequence"] += 1
    kept.write_text(json.dumps(newer))
    assert fetch(operator, mirror, kept, f"did:key:{key}") == 1
    assert "is older than the one that is kept" in capsys.readouterr().err
    assert json.loads(kept.read_text()) == newer


def test_a_file_from_elsewhere_must_be_signed_by_the_operator(
    operator: Operator, mirror: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept, stranger = tmp_path / "kept.json", "z6MkpTHR8VNsBxYAAWHut2Geadd9jSwuBV8xRoAnwWsdvktH"
    operator.make()
    assert fetch(operator, mirror, kept, stranger) == 1
    operator.make_signed()
    assert fetch(operator, mirror, kept, stranger) == 1
    assert "signed by no key that is configured" in capsys.readouterr().err
    assert not kept.exists()


def test_plain_http_is_for_development_alone(operator: Operator, mirror: str, tmp_path: Path) -> None:
    arguments = ["fetch", str(tmp_path / "kept.json"), f"{mirror}/made.json", "--checkpoint-key=z6Mk"]
    assert main(["verifier", "checkpoint", *arguments]) == 2
