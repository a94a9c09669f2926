"""The acts of the demo in which nobody needs to be there, and nobody to be believed."""

from __future__ import annotations

import json
import signal
from collections.abc import Mapping
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from node.core.bundle import parse_bundle
from node.core.evm.header import parse_header
from node.demo.endpoint import Endpoint
from node.demo.expectations import Check
from node.demo.stage import can_reach, closed_network, http, wait_until
from node.demo.story import Story


class Distrust(Story):
    """What is left when the school, the network or an honest endpoint is not."""

    def without_the_school(self) -> None:
        """The issuer's process is killed and its folder is gone."""
        self.bill.act("The school's server is killed, and its data is gone")
        status = self.issuer.stop(signal.SIGKILL)
        self.issuer_folder.rename(self.folder / "issuer-gone")
        self.bill.tell(f"issuer process ended with status {status}; its folder was moved away")
        self.attempt_all(
            (
                "the employer's verifier still finds the credential genuine, and asked nobody but the chain",
                self._still_genuine,
            ),
            (
                "so does `bonafides verify` offline, from the bundle and a checkpoint file: no connection is opened",
                self._genuine_offline,
            ),
            ("a learner has the proof of his credential renewed, by the employer's node", self._renewed),
            (
                "an audit finds every write that the school says it made, and proves that there is no other",
                self._audited,
            ),
        )

    def _still_genuine(self) -> tuple[bool, Mapping[str, Any]]:
        seen = self.ask_verifier(self.read(self.out / "bundle.json"))
        held = seen.acceptance == "accepted" and self.no_issuer_host(seen)
        return held, {**seen.brief(), "contacted": seen.contacted}

    def _genuine_offline(self) -> tuple[bool, Mapping[str, Any]]:
        seen = self.verify_files(self.out / "bundle.json", *self.with_checkpoint)[0]
        return seen.acceptance == "accepted" and not seen.contacted, seen.brief()

    def _renewed(self) -> tuple[bool, Mapping[str, Any]]:
        gone_at = self.head
        self.rpc("evm_mine")
        self.wallet_run(
            self.ben, "refresh", "--proofs", f"{self.verifier.url}/proofs", "--networks", self.networks_file
        )
        bundle = parse_bundle(self.export(self.ben, "bundle", self.folder / "work" / "renewed.json"))
        proven_at = None if bundle.state is None else parse_header(bundle.state.header).number
        return proven_at is not None and proven_at > gone_at, {"goneAt": gone_at, "provenAt": proven_at}

    def audit(self) -> dict[str, Any]:
        """What anybody finds who holds what the school says that it wrote against what the chain shows."""
        against = ("--against", self.out / "own-audit.json", "--json")
        found: dict[str, Any] = self.stage.run(
            "audit", self.did, *self.chain_options, *against, expect=(0, 1)
        ).json
        return found

    def _audited(self) -> tuple[bool, Mapping[str, Any]]:
        found = self.audit()
        self.audited = found["head"]
        numbers = [write["n"] for write in found["writes"]]
        held = found["differences"] == [] and numbers == list(range(1, found["head"] + 1)) and numbers != []
        return held, {"writes": len(numbers), "differences": found["differences"], "gas": found["gas"]}

    def without_trust(self) -> None:
        """An endpoint lies, another is switched off, and then there is no network at all."""
        self.bill.act("An endpoint lies, another is gone, and then there is no network")
        promises: list[tuple[str, Check]] = [
            (
                "a revocation that one of three endpoints hides is seen, and that endpoint is named",
                self._liar_named,
            ),
            (
                "a verifier that follows the chain answers with its endpoint switched off, and opens no connection",
                self._followed_alone,
            ),
        ]
        within = closed_network()
        if within is None:
            self.bill.tell(
                "this machine allows no network namespace, so that nothing was tried without a network"
            )
        else:
            promises.append(
                (
                    "in a namespace without a network a bundle and a checkpoint file are enough",
                    partial(self._cut_off, within),
                )
            )
        self.attempt_all(*promises)

    def _liar_named(self) -> tuple[bool, Mapping[str, Any]]:
        honest = [Endpoint(self.chain.url) for _ in range(2)]
        liar = Endpoint(self.chain.url, hides_after=self.before_taking_back)
        names = ("one", "two", "three")
        try:
            several = [
                word
                for name, endpoint in zip(names, (*honest, liar), strict=True)
                for word in ("--rpc", f"{name}={endpoint.url}")
            ]
            shown = (self.out / "revoked-bundle.json", "--trust", self.trust_file)
            seen = self.verify_files(*shown, *several)[0]
            alone = self.verify_files(*shown, "--rpc", liar.url)[0]
        finally:
            for endpoint in (*honest, liar):
                endpoint.close()
        told = str(seen.check("header")["basis"])
        agreed, _, others = told.partition(";")
        held = (
            # By itself it would be believed: else nothing would be shown.
            alone.acceptance == "accepted"
            and seen.acceptance == "refused"
            and seen.reason("status") == "revoked"
            and liar.host in others
            and liar.host not in agreed
        )
        return held, {**seen.brief(), "header": told, "byThatEndpointAlone": alone.acceptance}

    def _followed_alone(self) -> tuple[bool, Mapping[str, Any]]:
        newest = self.head
        wait_until("the copy of the chain", lambda: self._is_followed(newest))
        self.followed.close()
        genuine = self.ask_verifier(self.read(self.out / "bundle.json"), self.follower)
        revoked = self.ask_verifier(self.read(self.out / "revoked-bundle.json"), self.follower)
        held = (
            genuine.acceptance == "accepted"
            and revoked.reason("status") == "revoked"
            and genuine.contacted == revoked.contacted == []
        )
        return held, {"genuine": genuine.brief(), "revoked": revoked.brief()}

    def _is_followed(self, block: int) -> bool:
        _, body = http("GET", f"{self.follower.url}/health/ready")
        return any(chain["block"] >= block for chain in json.loads(body).get("following", []))

    def _cut_off(self, within: tuple[str, ...]) -> tuple[bool, Mapping[str, Any]]:
        chain = urlsplit(self.chain.url)
        reached = can_reach(str(chain.hostname), chain.port or 0, within)
        seen = self.verify_files(self.out / "bundle.json", *self.with_checkpoint, within=within)[0]
        return not reached and seen.acceptance == "accepted", {"reached": reached, **seen.brief()}
