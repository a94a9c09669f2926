"""didkit as a second program: what it is asked, what its answers mean, and that it ends with its process."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from fixtures.skipping import missing
from fixtures.verification import NOW, standards

from node.cli import main
from node.core.dataintegrity import proofs_of
from node.core.dataintegrity.second_opinion import question
from node.core.errors import Unavailable
from node.core.verify.materials import SecondOpinionNeed
from node.core.verify.verifier import Verifier
from node.outbound import didkit
from node.outbound.didkit import Didkit
from wallet.check import Checker

Document = dict[str, Any]

K256 = "zQ3shsLDYXf6gbYXLGRZq8VPgvPyVfDaML69a57zUAccmpa9q"
P256 = "zDnaexzs9RM2SXT8ChZ9jHhuGZxwQf7k7jUBaH1GYQCzArDHm"
ACCOUNT = "did:pkh:eip155:1:0x5cC675cD5E8442e041dC7052F520703e170eA6b8"
RECOVERY = "https://w3id.org/security/suites/secp256k1recovery-2020/v2"


def specimen(
    issuer: str, method: str, proof_type: str, jws: str, context: list[str] | None = None
) -> Document:
    """A credential as didkit 0.3.3 signed it, with a key made from SHA-256 of "specimen"."""
    return {
        "@context": ["https://www.w3.org/2018/credentials/v1"],
        "id": "urn:uuid:1b7a5c6e-0000-4000-8000-000000000000",
        "type": ["VerifiableCredential"],
        "issuer": issuer,
        "issuanceDate": "2020-08-19T21:41:50Z",
        "credentialSubject": {"id": "did:example:d23dd687a7dc6787646f2eb98d0"},
        "proof": {
            **({"@context": context} if context else {}),
            "type": proof_type,
            "proofPurpose": "assertionMethod",
            "verificationMethod": method,
            "created": "2020-08-19T21:41:50Z",
            "jws": jws,
        },
    }


SPECIMENS = [
    specimen(
        f"did:key:{K256}",
        f"did:key:{K256}#{K256}",
        "EcdsaSecp256k1Signature2019",
        "eyJhbGciOiJFUzI1NksiLCJjcml0IjpbImI2NCJdLCJiNjQiOmZhbHNlfQ.."
        "FGhL3wnyqm8nzeZSpNYZajmlkfeTuUtGfo8OsbC6YF1VZC6yJkMQbA8H7OKsIb9-Mx-urwHXS0xxPXIx8nD5lg",
    ),
    specimen(
        f"did:key:{P256}",
        f"did:key:{P256}#{P256}",
        "EcdsaSecp256r1Signature2019",
        "eyJhbGciOiJFUzI1NiIsImNyaXQiOlsiYjY0Il0sImI2NCI6ZmFsc2V9.."
        "x3IVAU0RRfy5eX8DlGc1AvlnPeuQw3d173hRB1VbbkAjhW_UNYU4MvYWk-XX0YnJ4yPgHmGfPFi8DnvSmVENxA",
    ),
    specimen(
        ACCOUNT,
        f"{ACCOUNT}#blockchainAccountId",
        "EcdsaSecp256k1RecoverySignature2020",
        "eyJhbGciOiJFUzI1NkstUiIsImNyaXQiOlsiYjY0Il0sImI2NCI6ZmFsc2V9.."
        "u0ZC45-8jR-6GMv7rGcz0DWXfkIjJAIt7-eoy6yLQgMiriixRxFt7Wnejqc2l79r3fZ2mVYiPxvEm9UMEKBn2QE",
        [RECOVERY],
    ),
]


@pytest.fixture(autouse=True)
def _installed() -> None:
    if find_spec("didkit") is None:
        missing("didkit is not installed: the extra `didkit`, for Python before 3.13")


async def ask(document: Document) -> bool:
    (proof,) = proofs_of(document)
    need = SecondOpinionNeed(question(document, proof), proof.proof_purpose)
    return (await Didkit().answer(need)).verifies


def changed(document: Document, change: Callable[[Document], object]) -> Document:
    other = copy.deepcopy(document)
    change(other)
    return other


@pytest.mark.parametrize("document", SPECIMENS, ids=lambda document: document["proof"]["type"])
async def test_a_right_signature_is_told_from_a_wrong_one(document: Document) -> None:
    assert await ask(document)
    assert not await ask({**document, "issuanceDate": "2020-08-19T21:41:51Z"})


@pytest.mark.parametrize("document", SPECIMENS, ids=lambda document: document["proof"]["type"])
async def test_every_member_that_is_read_is_signed(document: Document) -> None:
    """What is added to a proof, and is read by us, must be noticed: as wrong, or by giving no answer."""
    additions = {"id": "urn:a:b", "domain": "verifier.example", "challenge": "c", "nonce": "n"}
    additions["created"] = "2020-08-19T21:41:51Z"
    for member, value in additions.items():
        other = changed(document, lambda one, new={member: value}: one["proof"].update(new))
        with contextlib.suppress(Unavailable):
            assert not await ask(other), member


@pytest.mark.parametrize(
    "change",
    [
        lambda one: one.update(unheardOf="a"),
        lambda one: one["@context"].append("https://example.org/unknown"),
        lambda one: one.update(issuer="did:example:other"),
        lambda one: one.update(issuer=f"did:key:{P256}"),
    ],
    ids=["a member that would be lost", "an unknown context", "an unknown DID method", "somebody else's key"],
)
async def test_where_it_cannot_tell_it_gives_no_opinion(change: Callable[[Document], object]) -> None:
    with pytest.raises(Unavailable, match="could not tell"):
        await ask(changed(SPECIMENS[0], change))


async def test_absent_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(didkit, "find_spec", lambda _name: None)
    with pytest.raises(Unavailable, match="not installed"):
        await ask(SPECIMENS[0])


CHILDREN = {
    "that dies": ("import os; os._exit(3)", "without an answer"),
    "that is killed": ("import os; os.kill(os.getpid(), 9)", "without an answer"),
    "that never ends": ("import time; time.sleep(60)", "in time"),
    "that babbles": ("print('[[[')", "without an answer"),
    "that answers something else": ("print('{}')", "without an answer"),
}


@pytest.mark.parametrize(("program", "why"), CHILDREN.values(), ids=CHILDREN)
async def test_a_child(program: str, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    child = tmp_path / "child.py"
    child.write_text(f"import sys; sys.stdin.read(); {program}")
    monkeypatch.setattr(didkit, "_CHILD", child)
    limit = 0.5 if "sleep" in program else 10.0
    with pytest.raises(Unavailable, match=why):
        await Didkit(time_limit_seconds=limit).answer(SecondOpinionNeed("{}", "assertionMethod"))


async def test_a_child_ends_with_the_question(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    child, pid = tmp_path / "child.py", tmp_path / "pid"
    child.write_text(f"import os, time; open({str(pid)!r}, 'w').write(str(os.getpid())); time.sleep(60)")
    monkeypatch.setattr(didkit, "_CHILD", child)
    question = asyncio.create_task(ask(SPECIMENS[0]))
    while not pid.exists() or not pid.read_text():  # noqa: ASYNC110 - another process writes it
        await asyncio.sleep(0.01)
    question.cancel()
    with pytest.raises(asyncio.CancelledError):
        await question
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)


async def test_the_child_is_given_no_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    child = tmp_path / "child.py"
    child.write_text(
        "import json, os; print(json.dumps([] if 'BONAFIDES_SECRET' not in os.environ else ['x']))"
    )
    monkeypatch.setattr(didkit, "_CHILD", child)
    monkeypatch.setenv("BONAFIDES_SECRET", "s")
    assert await ask(SPECIMENS[0])


async def test_no_more_children_than_allowed_run_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    child, log = tmp_path / "child.py", tmp_path / "log"
    child.write_text(
        textwrap.dedent(f"""
            import os, time
            def note(word): os.write(os.open({str(log)!r}, os.O_APPEND | os.O_CREAT | os.O_WRONLY), word)
            note(b"+"); time.sleep(0.05); note(b"-"); print("[]")
        """)
    )
    monkeypatch.setattr(didkit, "_CHILD", child)
    one = Didkit(at_once=1)
    need = SecondOpinionNeed("{}", "assertionMethod")
    await asyncio.gather(*(one.answer(need) for _ in range(3)))
    assert log.read_bytes() == b"+-+-+-"


def run_child(code: str) -> subprocess.CompletedProcess[str]:
    program = f"import sys; sys.path.insert(0, {str(didkit._CHILD.parent)!r}); import didkit_child; {code}"
    return subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, check=False)


def test_the_child_has_no_network_where_the_system_allows() -> None:
    found = run_child("print(didkit_child.leave_network()); print(open('/proc/net/dev').read())")
    allowed, _, devices = found.stdout.partition("\n")
    if allowed != "True":
        pytest.skip("this system gives no process a network of its own")
    assert {line.split(":")[0].strip() for line in devices.splitlines()[2:] if line} == {"lo"}


def test_the_child_writes_no_file_and_uses_no_more_than_its_share(tmp_path: Path) -> None:
    place = str(tmp_path / "file")
    written = run_child(f"didkit_child.set_limits(); open({place!r}, 'w').write('x' * 9999)")
    assert written.returncode != 0
    assert not (tmp_path / "file").exists() or (tmp_path / "file").stat().st_size == 0
    assert run_child("didkit_child.set_limits(); bytes(5 * 1024**3)").returncode != 0


def test_an_answer_is_one_short_json_text() -> None:
    question = {
        "document": json.dumps(SPECIMENS[0]),
        "presentation": False,
        "proofPurpose": "assertionMethod",
    }
    found = subprocess.run(
        [sys.executable, "-I", str(didkit._CHILD)],
        input=json.dumps(question),
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout == "[]"


def test_a_file_is_verified_offline_by_its_word(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = {}
    for name, date in (("right", "2020-08-19T21:41:50Z"), ("wrong", "2020-08-19T21:41:51Z")):
        path = tmp_path / f"{name}.json"
        path.write_text(json.dumps({**SPECIMENS[0], "issuanceDate": date}))
        main(["verify", str(path), "--json"])
        told[name] = json.loads(capsys.readouterr().out)
    assert [told[name]["verified"] for name in ("right", "wrong")] == [True, False]
    (proof,) = [check for check in told["wrong"]["checks"] if check["name"] == "proof"]
    assert proof["outcome"] == "failed"


async def test_a_wallet_hears_it_too() -> None:
    verifier = Verifier.of(standards())
    checker = Checker(verifier, clock=lambda: NOW)
    assert (await checker.report(SPECIMENS[0], None)).verified
    assert not (await checker.report({**SPECIMENS[0], "id": "urn:uuid:0"}, None)).verified
