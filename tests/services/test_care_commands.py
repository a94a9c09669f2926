"""Keys lost, an identity closed: as a school types it, asked before anything that cannot be taken back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from fixtures.chain import RunningChain
from services.test_issuer_commands import School

from node.commands.issuer import issuer
from node.core.errors import Conflict, Misconfigured, NotFound


def answering(school: School, answer: str, *arguments: str) -> tuple[int, str]:
    """A command that asks."""
    place = ["--dir", str(school.folder / "issuer"), "--passphrase-file", str(school.pass_file)]
    words = 2 if arguments[0] == "key" else 1
    found = CliRunner().invoke(issuer, [*arguments[:words], *place, *arguments[words:]], input=answer)
    if isinstance(found.exception, Misconfigured):
        raise found.exception
    return found.exit_code, found.stderr


def states(school: School) -> list[str]:
    return [key["state"] for key in school.json("key", "list")["keys"]]


def test_from_a_lost_key_to_an_abandoned_identity(devchain: RunningChain, tmp_path: Path) -> None:
    school = School(tmp_path / "school")
    networks, faucet = tmp_path / "networks.json", tmp_path / "faucet.key"
    networks.write_text(json.dumps({"networks": [devchain.network]}))
    faucet.write_text(devchain.key.hex())
    did = school.json(
        "init", "--name", "A school", "--url", "https://school.example", "--rpc", devchain.url,
        "--networks", str(networks), "--faucet", str(faucet),
    )["did"]  # fmt: skip

    code, asked = answering(school, "n\n", "key", "compromise", "delegate-1", "--since", "now")
    assert code != 0
    assert "for good" in asked
    assert states(school) == ["active"]
    with pytest.raises(NotFound):
        school.json("key", "compromise", "delegate-7", "--since", "now", "--yes")
    lost = school.json("key", "compromise", "delegate-1", "--since", "now", "--yes")
    assert (lost["void"], lost["keys"][0]["state"]) == (0, "compromised")
    assert school.json("key", "list")["keys"][0]["compromisedSince"] == lost["since"]
    with pytest.raises(Conflict, match="only move earlier"):
        school.json("key", "compromise", "delegate-1", "--since", str(lost["since"]), "--yes")
    assert school.run("key", "compromise", "delegate-1", "--since", "yesterday").exit_code == 2
    school.json("key", "add")
    assert states(school) == ["compromised", "active"]

    with pytest.raises(Misconfigured, match="not the DID"):
        answering(school, "yes\n", "close")
    assert states(school) == ["compromised", "active"]
    code, told = answering(school, f"{did}\n", "close")
    assert code == 0, told
    assert "cannot be taken back" in told
    assert "issuer close --abandon" in told
    assert states(school) == ["compromised", "retired"]
    again = school.json("close")  # nothing is asked where nothing is to be done
    assert again["closed"] > 0
    assert again["abandoned"] is False
    left = school.json("close", "--abandon", "--confirm", did)
    assert left == {"did": did, "closed": again["closed"], "abandoned": True}
    assert school.json("close", "--abandon") == left
