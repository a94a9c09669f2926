"""The page of a verdict, for what is not a badge of one sort: flat claims, and a record of several credentials."""

from __future__ import annotations

from typing import Any

from fixtures.sd_jwt import claims_sd_jwt
from fixtures.verification import KEY_SCHOOL, Story, badge, of_key_school, without_status

from node.core.verify.account import account_of
from node.core.verify.intake import read_intake
from node.web.pages import Pages

CLR = "https://purl.imsglobal.org/spec/clr/v2p0/context-2.0.1.json"


def page_of(story: Story) -> str:
    report = story.report()
    account: dict[str, Any] = account_of(report, read_intake(story.shown_bytes()))
    rendered = Pages("verifier.html", "A verifier").render(
        "verdict.html", account=account, report=report.to_json()
    )
    assert isinstance(rendered.text, str)
    return rendered.text


def test_claims_are_shown_by_name_and_escaped() -> None:
    page = page_of(of_key_school(token=claims_sd_jwt(given_name="<b>Ada</b>")))
    assert "<dt><bdi>given_name</bdi></dt><dd><bdi>&lt;b&gt;Ada&lt;/b&gt;</bdi></dd>" in page


def test_each_credential_of_a_record_is_shown() -> None:
    def record(document: dict[str, Any]) -> None:
        held = badge(KEY_SCHOOL.did)
        without_status(held)
        del held["evidence"]
        without_status(document)
        del document["evidence"]
        document["type"] = ["VerifiableCredential", "ClrCredential"]
        document["@context"].insert(1, CLR)
        names = ("Lists", "Trees")
        document["credentialSubject"] = {
            "id": document["credentialSubject"]["id"],
            "type": ["ClrSubject"],
            "verifiableCredential": [
                KEY_SCHOOL.sign({**held, "id": f"urn:x:{name}", "name": name}) for name in names
            ],
        }

    page = page_of(of_key_school(write=record))
    for name in ("Lists", "Trees"):
        assert f'<h2 class="title"><bdi>{name}</bdi></h2>' in page
