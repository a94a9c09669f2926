"""The same attacks on a verifier as it is run: `POST /verify`, with an endpoint that is asked over HTTP."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer
from fixtures.own_chain import Employer, OwnChain, School, with_status

from node.chain.devchain_rpc import ChainServer, make_app
from node.core.encoding import decode_base64url, encode_base64url
from node.core.evm import rlp
from node.core.evm.agreement import Endpoints
from node.core.verify.materials import Mode
from node.core.verify.report import CheckName, Reason
from node.storage.database import sqlite_url
from node.web.verifier import VerifierOptions, make_verifier_app

Json = dict[str, Any]
Attack = Callable[[OwnChain, School], Json]


@pytest.fixture
async def served(own_chain: OwnChain, school: School, tmp_path: Path) -> AsyncIterator[TestClient[Any, Any]]:
    """A verifier of an employer who recognises the school."""
    async with TestServer(make_app(ChainServer(own_chain.chain))) as endpoint:
        options = VerifierOptions(
            "https://verifier.example",
            sqlite_url(tmp_path / "verifier.sqlite3"),
            Employer(school, mode=Mode.CHAIN).verifier(),
            endpoints=Endpoints.of([str(endpoint.make_url("/"))]),
            clock=lambda: own_chain.now,
        )
        async with TestClient(TestServer(make_verifier_app(options))) as client:
            yield client


def revoked_since(chain: OwnChain, school: School) -> Json:
    made = school.anchored()
    shown = school.bundle(made, chain.head)
    chain.block(school.setting(made.credential["credentialStatus"]))
    return shown


def without_its_state(chain: OwnChain, school: School) -> Json:
    """A bundle need not prove anything where the verifier reads for itself."""
    shown = revoked_since(chain, school)
    del shown["state"]
    return shown


def suspended_for_a_while(chain: OwnChain, school: School) -> Json:
    made = school.anchored(with_status("revocation", "suspension"))
    _, suspension = made.credential["credentialStatus"]
    chain.block(school.setting(suspension))
    shown = school.bundle(made, chain.head)
    chain.block(school.setting(suspension, 0))
    return shown


def retired_in_its_block(chain: OwnChain, school: School) -> Json:
    made = school.badge()
    retiring = (chain.calls.retire_key(school.identity, school.multikey), school.owner)
    return school.bundle(made, chain.block(school.anchoring(made), retiring))


def closed_in_its_block(chain: OwnChain, school: School) -> Json:
    made = school.badge()
    closing = (chain.calls.close(school.identity), school.owner)
    return school.bundle(made, chain.block(school.anchoring(made), closing))


def declared_since(chain: OwnChain, school: School) -> Json:
    made = school.anchored()
    shown = school.bundle(made, chain.head)
    since = chain.head.number
    chain.block((chain.calls.compromise_key(school.identity, school.multikey, since), school.owner))
    return shown


def front_run(chain: OwnChain, school: School) -> Json:
    thief, made = School(chain, "thief"), school.badge()
    thief.begin()
    at = chain.block((chain.calls.anchor(thief.identity, made.commitment), thief.writer))
    shown = school.bundle(made, at)
    shown["anchor"]["identity"] = "0x" + thief.identity.hex()
    return shown


def never_anchored(chain: OwnChain, school: School) -> Json:
    return school.bundle(school.badge(), chain.head)


def claimed_for_later(chain: OwnChain, school: School) -> Json:
    return school.bundle(school.badge(), chain.head, claimed=chain.head.number + 9)


def of_a_block_to_come(chain: OwnChain, school: School) -> Json:
    """Its header is the attacker's, with a number that no endpoint has: the newest block decides all the same."""
    shown = revoked_since(chain, school)
    fields = rlp.decode(decode_base64url(shown["state"]["header"]))
    assert isinstance(fields, list)
    fields[8] = (2**52).to_bytes(7, "big")
    shown["state"]["header"] = encode_base64url(rlp.encode(fields))
    return shown


def sound(chain: OwnChain, school: School) -> Json:
    made = school.anchored()
    return school.bundle(made, chain.head)


ATTACKS: dict[str, tuple[Attack, str, CheckName | None, Reason | None]] = {
    "none": (sound, "accepted", None, None),
    "revoked since its bundle was made": (revoked_since, "refused", CheckName.STATUS, Reason.REVOKED),
    "revoked, and the bundle proves nothing": (without_its_state, "refused", CheckName.STATUS, Reason.REVOKED),
    "revoked, under a header of a block to come": (of_a_block_to_come, "refused", CheckName.STATUS, Reason.REVOKED),
    "suspended when its bundle was made, and not any more": (suspended_for_a_while, "accepted", None, None),
    "its key retired in its block": (retired_in_its_block, "refused", CheckName.KEY, Reason.KEY_RETIRED),
    "its issuer closed in its block": (closed_in_its_block, "refused", CheckName.ANCHOR, Reason.IDENTITY_CLOSED),
    "its key declared compromised since": (declared_since, "refused", CheckName.KEY, Reason.KEY_COMPROMISED),
    "anchored by who ran in front": (front_run, "refused", CheckName.ANCHOR, Reason.BUNDLE_FALSE),
    "never anchored": (never_anchored, "refused", CheckName.ANCHOR, Reason.NOT_ANCHORED),
    "claimed for a block to come": (claimed_for_later, "undetermined", CheckName.ANCHOR, Reason.STATE_NOT_PROVEN),
}  # fmt: skip


@pytest.mark.parametrize("name", ATTACKS)
async def test_a_badge_as_a_served_verifier_finds_it(
    own_chain: OwnChain, school: School, served: TestClient[Any, Any], name: str
) -> None:
    attack, acceptance, check, reason = ATTACKS[name]
    shown = attack(own_chain, school)
    async with served.post("/verify", data=json.dumps(shown)) as answer:
        assert answer.status == 200
        report = await answer.json()
    assert report["acceptance"] == acceptance, report
    if check is not None:
        (found,) = [one for one in report["checks"] if one["name"] == check]
        assert found["reason"] == reason
