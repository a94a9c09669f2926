"""Fresh proofs before a badge is shown: by an endpoint, by a node that makes proofs, or not at all, and then said so.

The chain is the embedded one with real contracts, behind HTTP; commands are those that a learner types.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer, unused_port
from click.testing import CliRunner, Result
from fixtures.own_chain import Badge, OwnChain, School, with_status
from fixtures.verification import LEARNER, Story
from fixtures.wallets import FROM_FILE, PASSPHRASE, new_wallet

from node.chain.devchain_rpc import ChainServer
from node.cli import bonafides
from node.core.bundle import parse_bundle, parse_state
from node.core.errors import Unavailable
from node.core.evm.agreement import Endpoints
from node.core.evm.checkpoint import Checkpoint
from node.core.evm.header import Header, parse_header
from node.core.oid4vci.metadata import IssuerMetadata
from node.core.strict_json import parse_json_object
from node.core.verify import engine
from node.core.verify.intake import read_intake
from node.core.verify.materials import Materials, Mode
from node.core.verify.report import CheckName, Outcome
from node.storage.database import sqlite_url
from node.web.verifier import VerifierOptions, make_verifier_app
from wallet.holdings import Holding, Provenance, new_holding
from wallet.store import WalletStore

HOUR = 3600
OCCASION = ("--challenge", "abc", "--domain", "https://employer.example")


RPC, NODE = "an endpoint's URL", "a node's URL"
"""Stand in arguments for the endpoint, and for a verifier that asks it; they have one while a command runs."""


class Endpoint:
    """The chain of this process behind HTTP, while a command runs in a thread of its own."""

    def __init__(self, own: OwnChain) -> None:
        self.asked: list[tuple[str, list[Any]]] = []
        self.is_down = False
        self.port = unused_port()
        self._own = own
        self._server = ChainServer(own.chain)

    @property
    def issuer(self) -> str:
        """The URL of an issuer whose metadata name that verifier."""
        return f"http://127.0.0.1:{self.port}/school"

    def serve_while(self, folder: Path, work: Callable[[str, str], Result]) -> Result:
        """The result of `work`, which gets both URLs."""

        async def run() -> Result:
            app = web.Application()
            app.router.add_post("/", self._handle)
            app.router.add_get("/.well-known/openid-credential-issuer/school", self._metadata)
            async with TestServer(app, port=self.port) as server:
                url = str(server.make_url("/"))
                async with TestServer(make_verifier_app(self._options(folder, url))) as node:
                    self.node = str(node.make_url("/proofs"))
                    return await asyncio.get_running_loop().run_in_executor(None, work, url, self.node)

        return asyncio.run(run())

    def _options(self, folder: Path, url: str) -> VerifierOptions:
        network = self._own.network
        verifier = Story(mode=Mode.CHAIN, operator_networks={network.chain_id: network}).verifier()
        return VerifierOptions(
            public_url="https://verifier.example",
            database_url=sqlite_url(folder / "verifier.sqlite3"),
            verifier=verifier,
            endpoints=Endpoints.of([url]),
        )

    async def _metadata(self, _: web.Request) -> web.Response:
        metadata = IssuerMetadata(self.issuer, f"{self.issuer}/credential", {}, proof_endpoint=self.node)
        return web.json_response(metadata.to_json())

    async def _handle(self, request: web.Request) -> web.Response:
        if self.is_down:
            return web.Response(status=502)
        body = await request.json()
        self.asked += [(one["method"], one["params"]) for one in (body if isinstance(body, list) else [body])]
        return await self._server.handle(request)


class Place:
    """A school with one badge, proven twenty hours ago; its chain at `rpc`; a learner's wallet that holds it."""

    def __init__(self, folder: Path, own: OwnChain, rpc: Endpoint) -> None:
        self.folder, self.own, self.rpc = folder, own, rpc
        own.seconds = int(time.time()) - 20 * HOUR
        self.school = School(own)
        self.school.begin()
        self.badge = self._badge()
        self.proven = own.head
        self.bundle = parse_bundle(self.school.bundle(self.badge, self.proven))
        self.digest = self.hold("wallet", Provenance("issued", rpc.issuer, own.now))
        own.seconds = int(time.time()) - 60
        own.block()
        (folder / "passphrase").write_text(PASSPHRASE)
        (folder / "networks.json").write_text(json.dumps({"networks": [own.network.to_json()]}))
        trust = {"issuers": [{"did": self.school.did, "name": "The School"}]}
        (folder / "trust.json").write_text(json.dumps(trust))

    def hold(self, name: str, provenance: Provenance) -> str:
        """Use a wallet of that name, which holds the badge; its digest."""
        self._wallet = self.folder / name
        held = new_holding(self.badge.credential, self.bundle, provenance)
        with new_wallet(self._wallet) as store:
            store.save_holding(held)
        return held.id

    def _badge(self) -> Badge:
        def for_learner(document: dict[str, Any]) -> None:
            with_status("revocation")(document)
            document["credentialSubject"]["id"] = LEARNER.did

        return self.school.anchored(for_learner)

    def revoke(self) -> Header:
        """The school revokes the badge."""
        return self.own.block(self.school.setting(self.badge.credential["credentialStatus"]))

    def wallet(self, command: str, *arguments: str, answer: str = "") -> Result:
        """A command of the wallet."""
        where = ["--dir", str(self._wallet), "--passphrase-file", str(self.folder / "passphrase")]
        line = ["wallet", command, *where, "--development", *arguments]

        def run(rpc: str, node: str) -> Result:
            named = [{RPC: rpc, NODE: node}.get(one, one) for one in line]
            return CliRunner().invoke(bonafides, named, input=answer, standalone_mode=False)

        return self.rpc.serve_while(self.folder, run)

    def tables(self) -> list[str]:
        return [
            *("--networks", str(self.folder / "networks.json")),
            *("--trust", str(self.folder / "trust.json")),
        ]

    def present(self, *arguments: str, answer: str | None = None) -> tuple[Result, Any]:
        """A presentation file, and the header that its bundle is proven at."""
        out = self.folder / "presentation.json"
        asking = [] if answer is not None else ["--yes"]
        result = self.wallet(
            "present",
            *(self.digest, *OCCASION, "--out", str(out), "--replace", *asking, *self.tables(), *arguments),
            answer=answer or "",
        )
        if not out.exists():
            return result, None
        return result, parse_json_object(out.read_bytes())["bundles"][0]["state"]

    def holding(self) -> Holding:
        """What the wallet holds now."""
        with WalletStore.open(self._wallet, PASSPHRASE, writable=False) as store:
            return store.find(self.digest)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    own = OwnChain(tmp_path / "chain")
    try:
        yield Place(tmp_path, own, Endpoint(own))
    finally:
        own.chain.close()


def block_of(state: Any) -> int:
    return parse_header(parse_state(state).header).number


def test_an_old_proof_is_renewed_after_the_yes_and_kept(place: Place) -> None:
    result, state = place.present("--rpc", RPC)
    assert result.exception is None, result.output
    assert block_of(state) == place.own.head.number > place.proven.number
    held = place.holding()
    assert held.header is not None
    assert held.header.number == place.own.head.number
    assert held.last_check is not None
    assert held.last_check.acceptance == "accepted"


def test_a_proof_that_is_young_enough_is_shown_as_it_is_and_nobody_is_asked(place: Place) -> None:
    result, state = place.present("--rpc", RPC, "--renew-after", "24")
    assert result.exception is None, result.output
    assert block_of(state) == place.proven.number
    assert not place.rpc.asked


def test_offline_it_goes_on_with_what_it_has_and_says_so(place: Place) -> None:
    result, state = place.present()
    assert result.exception is None, result.output
    assert block_of(state) == place.proven.number
    assert "older than 12 hours" in result.stderr


def test_where_the_endpoint_fails_it_goes_on_with_what_it_has_and_says_so(place: Place) -> None:
    place.rpc.is_down = True
    result, state = place.present("--rpc", RPC)
    assert result.exception is None, result.output
    assert block_of(state) == place.proven.number
    assert "was not renewed" in result.stderr


def test_nobody_is_asked_before_the_yes(place: Place) -> None:
    result, state = place.present("--rpc", RPC, answer="n\n")
    assert (state, place.rpc.asked) == (None, [])
    assert result.exception is not None


def test_a_revocation_that_comes_to_light_is_asked_about_again(place: Place) -> None:
    place.revoke()
    result, state = place.present("--rpc", RPC, answer="y\nn\n")
    assert state is None
    assert "revoked" in result.stderr.lower()
    assert "all the same" in result.stderr


def test_endpoints_and_a_node_are_not_named_together(place: Place) -> None:
    result, _ = place.present("--rpc", RPC, "--proofs", "https://node.example/proofs")
    assert "either --rpc or --proofs" in str(result.exception)


def test_refresh_needs_somebody_to_ask(place: Place) -> None:
    assert "--proofs" in str(place.wallet("refresh", *place.tables()).exception)


def test_a_node_that_makes_proofs_stands_in_for_an_endpoint(place: Place) -> None:
    result, state = place.present("--proofs", NODE)
    assert result.exception is None, result.output
    assert block_of(state) == place.own.head.number
    held = place.holding()
    assert held.last_check is not None
    assert held.last_check.acceptance == "accepted"


def test_a_node_makes_hops_as_well(place: Place) -> None:
    result = place.wallet("refresh", "--proofs", NODE, "--hop-to", "newest", *place.tables())
    assert result.exception is None, result.output
    hop = place.holding().hop
    assert hop is not None
    assert hop.number == place.own.head.number


def test_a_node_may_be_named_by_its_own_url_too(place: Place) -> None:
    result = place.wallet("refresh", "--proofs", NODE.removesuffix("/proofs"), "--newest", *place.tables())
    assert result.exception is None, result.output
    header = place.holding().header
    assert header is not None
    assert header.number == place.own.head.number


def test_the_issuer_s_node_is_asked_where_the_holder_says_so(place: Place) -> None:
    result, state = place.present("--proofs", "issuer")
    assert "was not renewed" not in result.stderr, result.stderr
    assert block_of(state) == place.own.head.number


def test_a_node_without_a_chain_changes_nothing(place: Place) -> None:
    place.rpc.is_down = True
    result, state = place.present("--proofs", NODE)
    assert result.exception is None, result.output
    assert block_of(state) == place.proven.number
    assert "was not renewed" in result.stderr


def test_what_came_from_a_file_has_no_node_of_its_issuer(place: Place) -> None:
    place.hold("other", FROM_FILE)
    result = place.wallet("refresh", "--proofs", "issuer", *place.tables())
    assert isinstance(result.exception, Unavailable)
    assert "came from a file" in str(result.exception)


def test_a_hop_stands_for_a_verifier_who_trusts_a_newer_block_alone(place: Place) -> None:
    number = str(place.own.head.number)
    result = place.wallet("refresh", "--rpc", RPC, "--hop-to", number, *place.tables(), "--json")
    assert result.exception is None, result.output
    (told,) = json.loads(result.stdout)
    assert (told["header"]["number"], told["hop"]["number"]) == (place.proven.number, int(number))
    assert not told["renewed"]
    asked = {params[0] for method, params in place.rpc.asked if method == "eth_getProof"}
    assert asked == {"0x0000f90827f1c53a10cb7a02335b175320002935"}, "nothing of the registry"
    head, network = place.own.head, place.own.network
    only = Checkpoint(network.chain_id, network.genesis, 1, 1, ((head.number, head.hash),))
    verifier = Story(operator_networks={network.chain_id: network}, checkpoint=only).verifier()
    data = json.dumps(place.holding().full_bundle().to_json()).encode()
    report = engine.verify(read_intake(data), Materials.none(), verifier, now=place.own.now)
    assert report[CheckName.HEADER].outcome is Outcome.PASSED
    assert report[CheckName.ANCHOR].outcome is Outcome.PASSED
    assert report.header is not None
    assert report.header.number == place.proven.number


@pytest.mark.parametrize("text", ["latest", "-1", "0x10", "٣"])
def test_a_hop_goes_to_a_block_that_is_named(place: Place, text: str) -> None:
    result = place.wallet("refresh", "--rpc", RPC, f"--hop-to={text}", *place.tables())
    assert "number of a block" in str(result.exception)
