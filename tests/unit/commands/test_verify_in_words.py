"""What `bonafides verify` prints of who issued and who endorses: a name that nobody confirms is never told as one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fixtures.sd_jwt import claims_sd_jwt
from fixtures.verification import KEY_SCHOOL, STRANGER, Json, Story, badge, of_key_school, without_status

from node.cli import main
from node.core.verify.report import Acceptance
from node.core.verify.wording import ENDORSEMENTS

CALLS_ITSELF = f"issued by an issuer that calls itself 'The School' ({KEY_SCHOOL.did})"
NAMELESS = f"issued by an issuer that gives no name ({KEY_SCHOOL.did})"


def nameless(document: Json) -> None:
    without_status(document)
    del document["issuer"]["name"]


def printed(story: Story, folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    path = folder / "credential"
    path.write_bytes(story.shown_bytes())
    main(["verify", str(path)])
    return capsys.readouterr().out


@pytest.mark.parametrize(
    ("story", "line"),
    [
        (of_key_school(), CALLS_ITSELF),
        (of_key_school(write=nameless), NAMELESS),
        (of_key_school(token=claims_sd_jwt()), NAMELESS),
    ],
    ids=["a badge", "a badge without a name of its issuer", "an SD-JWT VC, which has no place for a name"],
)
def test_an_issuer_is_named(
    story: Story, line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert line in printed(story, tmp_path, capsys)


def test_an_endorser_is_named_with_what_it_is_worth(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def endorsed(document: Json) -> None:
        without_status(document)
        unsigned: dict[str, Any] = badge(STRANGER.did)
        without_status(unsigned)
        del unsigned["evidence"]
        unsigned["id"] = "urn:uuid:11111111-0000-4000-8000-000000000001"
        unsigned["type"] = ["VerifiableCredential", "EndorsementCredential"]
        unsigned["credentialSubject"] = {"id": document["id"], "type": ["EndorsementSubject"]}
        document["endorsement"] = [STRANGER.sign(unsigned)]

    shown = printed(of_key_school(write=endorsed), tmp_path, capsys)
    who = f"endorsed by an issuer that calls itself 'The School' ({STRANGER.did})"
    assert f"{who}: {ENDORSEMENTS[Acceptance.UNDETERMINED]}" in shown
