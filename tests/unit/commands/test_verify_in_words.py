"""What `bonafides verify` prints of who issued and who endorses: a name that nobody confirms is never told as one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fixtures.held import bbs as unlinkable
from fixtures.sd_jwt import claims_sd_jwt
from fixtures.selective import deriving
from fixtures.verification import (
    CHALLENGE,
    DOMAIN,
    KEY_SCHOOL,
    STRANGER,
    Json,
    Story,
    badge,
    of_key_school,
    without_status,
)

from node.cli import main
from node.core.dataintegrity.bbs_2023 import nym_domain_of, presentation_header_of
from node.core.dataintegrity.bbs_binding import Binding, bind
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


def test_who_shows_it_under_a_pseudonym_is_known_to_the_verifier_by_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bound = bind(Binding.PSEUDONYM, bytes(range(32)))
    more = {"commitment_with_proof": bound.commitment_with_proof, "signer_nym_entropy": b"\1" * 32}
    holder = replace(bound.holder, nym_domain=nym_domain_of(DOMAIN))
    header = presentation_header_of(CHALLENGE, DOMAIN)
    story = unlinkable()
    derive = deriving("/credentialSubject", entropy=bytes(32), presentation_header=header, holder=holder)
    story = replace(story, issuer=replace(story.issuer, more=more), disclose=derive)  # type: ignore[call-arg]
    path = tmp_path / "credential"
    path.write_bytes(story.shown_bytes())
    main(["verify", str(path), "--challenge", CHALLENGE, "--domain", DOMAIN])
    assert f"known to {DOMAIN} as u" in capsys.readouterr().out
    main(["verify", str(path), "--challenge", CHALLENGE, "--domain", "https://other.example"])
    assert "known to" not in capsys.readouterr().out
