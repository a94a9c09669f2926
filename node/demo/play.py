"""The demo: a school, its learners and an employer, each with a process of its own, and what must be true of them.

Acts follow one another in time: the school issues, learners take and show, the school takes something back and changes
its key, the school disappears, and then everything is tried that somebody might try. Each expectation says what was
seen, so that a demo that fails tells why.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from node.commands.loading import load_standards
from node.core.keys import KeyKind
from node.demo import attacks
from node.demo.company import Seen, free_port
from node.demo.distrust import Distrust
from node.demo.foreign import make_foreign_badge
from node.demo.stage import together
from node.keystore import generate_secret, signer_of


class Play(Distrust):
    """One performance in one folder: the story, and then everything that somebody might try."""

    def refused(self) -> None:
        """Each attack is refused for its own reason."""
        self.bill.act("What must be refused, each for its own reason")
        badge, bundle = self.read(self.out / "badge.json"), self.read(self.out / "bundle.json")
        tampered = attacks.with_better_mark(badge)
        self.write("tampered-badge.json", tampered)
        self.write("tampered.json", {**bundle, "credential": tampered})
        self.refuse("a changed mark", {**bundle, "credential": tampered}, "proof", "changed_after_signing")
        seen = self.verify_files(self.out / "presentation.json", *self.asking("another"), *self.with_rpc)[0]
        self.expect_refusal(
            "another learner's presentation, replayed", seen, "challenge", "for_somebody_else"
        )
        forger = attacks.Forger(
            self.chain.url, self.network, load_standards().canonicalizer, stolen_writer_key=self.writer_key
        )
        method = f"{self.did}#delegate-1"
        stranger = signer_of(KeyKind.ED25519, generate_secret(KeyKind.ED25519))
        forged = forger.forge(badge, stranger, method)
        self.refuse("a proof by a key that was never registered", forged, "key", "key_not_registered")
        faucet = bytes.fromhex((self.folder / "chain" / "faucet.key").read_text().strip())
        fake = attacks.look_alike_registry(forged, self.network, self.chain.url, faucet, stranger)
        self.refuse(
            "genuine registry code with forged storage at another address", fake, "anchor", "bundle_false"
        )
        late = forger.forge(badge, self.stolen_key, method)
        self.refuse("one anchored after its key was retired", late, "key", "key_retired")
        evidence = self.export(
            self.ada, "bundle", self.folder / "work" / "shown.json", "--evidence", "submission.py"
        )
        swapped = attacks.with_swapped_evidence(evidence)
        self.refuse("swapped evidence", swapped, "evidence", "evidence_swapped")
        revoked = self.read(self.out / "revoked-bundle.json")
        self.refuse("a revoked credential", revoked, "status", "revoked")
        suspended = self.read(self.out / "suspended-bundle.json")
        self.refuse("a suspended credential", suspended, "status", "suspended")
        renamed = {**revoked, "credential": attacks.with_status_renamed(revoked["credential"])}
        self.refuse("a revoked one whose status term is renamed to its IRI", renamed, "status", "revoked")
        self.bill.attempt("an audit names what a thief of the writer's key has written", self._thefts_named)
        left = (self.expires - datetime.now(UTC)).total_seconds()
        if left > 0:
            self.bill.tell(f"waiting {left:.0f} s for a credential to expire")
            time.sleep(left + 0.1)
        self.refuse(
            "an expired one", self.read(self.out / "expiring-bundle.json"), "validity_period", "expired"
        )

    def _thefts_named(self) -> tuple[bool, Mapping[str, Any]]:
        found = self.audit()
        added = range(self.audited + 1, found["head"] + 1)
        named = [difference["n"] for difference in found["differences"]]
        return len(added) == 2 and set(named) == set(added), {"differences": found["differences"]}

    def refuse(self, sentence: str, document: Any, check: str, reason: str) -> None:
        """The verifier refuses a document, and names the reason."""
        self.expect_refusal(sentence, self.ask_verifier(document), check, reason)

    def expect_refusal(self, sentence: str, seen: Seen, check: str, reason: str) -> None:
        """Refused, and by the check that should."""
        held = seen.acceptance == "refused" and seen.reason(check) == reason
        self.bill.expect(f"refused: {sentence}", held, wanted=f"{check}: {reason}", **seen.brief())

    def accepted(self) -> None:
        """What stays good."""
        self.bill.act("What stays good")
        before = self.read(self.out / "bundle.json")
        seen = self.ask_verifier(before)
        self.bill.expect(
            "accepted: a credential issued before the key was changed",
            seen.acceptance == "accepted" and before["key"]["id"].endswith("#delegate-1"),
            **seen.brief(),
        )
        some = ("--evidence", "submission.py", "--evidence", "tests.log")
        shown = self.export(self.ben, "bundle", self.folder / "work" / "two.json", *some)
        seen = self.ask_verifier(shown)
        open_items = [item["name"] for item in shown["evidence"] if "name" in item]
        self.bill.expect(
            "accepted: two of five evidence items shown, the rest withheld",
            seen.acceptance == "accepted"
            and sorted(open_items) == ["submission.py", "tests.log"]
            and seen.check("evidence")["basis"].startswith("2 of 5"),
            shown=open_items,
            **seen.brief(),
        )

    def undetermined(self) -> None:
        """Neither green nor red."""
        self.bill.act("What cannot be told, and who could supply what is missing")
        bundle = self.out / "bundle.json"
        nobody = ("--rpc", f"http://127.0.0.1:{free_port()}", "--trust", self.trust_file)
        empty = self.folder / "work" / "nobody.json"
        empty.write_text('{"issuers": []}', encoding="utf-8")
        stranger = ("--trust", empty, "--rpc", self.chain.url)
        cases = (
            (
                "a bare badge without its bundle",
                (self.out / "badge.json", *self.with_rpc),
                "anchor",
                "bundle_missing",
            ),
            (
                "the endpoint is down and no checkpoint is at hand",
                (bundle, *nobody),
                "header",
                "chain_unreachable",
            ),
            (
                "a header older than the policy's limit",
                (bundle, *self.with_checkpoint, "--max-header-age", "1s"),
                "freshness",
                "stale",
            ),
            (
                "an issuer that is not on the trust list",
                (bundle, *stranger),
                "issuer_trust",
                "issuer_not_listed",
            ),
        )
        found = together([partial(self.verify_files, *arguments) for _, arguments, _, _ in cases])
        for (sentence, _, check, reason), (seen,) in zip(cases, found, strict=True):
            held = seen.acceptance == "undetermined" and seen.reason(check) == reason
            self.bill.expect(f"undetermined: {sentence}", held, wanted=f"{check}: {reason}", **seen.brief())

    def foreign(self, path: Path | None) -> None:
        """Somebody else's badge."""
        self.bill.act("A badge that was made without our software")
        if path is not None:
            seen = self.ask_verifier(path.read_bytes())
            self.bill.tell(f"{path.name}: {seen.acceptance}")
            for name, found in seen.brief().items():
                self.bill.tell(f"    {name}: {found}")
        badge = make_foreign_badge()
        seen = self.ask_verifier(badge)
        self.bill.expect(
            "made with pyld and cryptography alone: its signature holds, and its issuer is not known here",
            seen.report["verified"] is True
            and seen.acceptance == "undetermined"
            and seen.reason("issuer_trust") == "issuer_not_listed",
            **seen.brief(),
        )
        badge["name"] = "Something better"
        seen = self.ask_verifier(badge)
        self.expect_refusal("the same, changed", seen, "proof", "changed_after_signing")

    def perform(self, foreign: Path | None) -> None:
        """All acts in their order."""
        self.set_up()
        self.issuing()
        self.holding()
        self.taking_back()
        self.without_the_school()
        self.without_trust()
        self.refused()
        self.accepted()
        self.undetermined()
        self.foreign(foreign)

    def open_house(self) -> None:
        """`make up`: everything set up and issued, and every role running."""
        self.set_up()
        self.issuing()
