"""CredentialRegistry and its model in Python, side by side through random histories.

After every step both have answered alike (the same events or the same refusal), and every slot of the contract
holds the word that the formats give for the model's records.
"""

from __future__ import annotations

from typing import Any

import boa
from conftest import Chain
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from registry_model import Refused, RegistryModel, keccak256

KEYS = [b"\xed\x01" + bytes([n]) * 32 for n in range(2)]
LISTS = [bytes([n]) * 32 for n in range(1, 4)]
MASKS = [0, 1, 3, 1 << 255, 2**256 - 1]

hashes = st.sampled_from([keccak256(KEYS[0]), keccak256(KEYS[0]), keccak256(KEYS[1]), bytes(32)])
who = st.sampled_from(["school", "writer", "heir", "stranger"])
owner_mostly = st.sampled_from(["owner"] * 4 + ["writer", "stranger"])
writer_mostly = st.sampled_from(["owner", "owner", "writer", "writer", "writer", "stranger"])
identities = st.sampled_from(["school", "school", "school", "heir"])
words = st.sampled_from([0, 0, 0, 1, 1, 511, 1023, 512, 1024, 2**256 - 1])
cleared = st.sampled_from([0, 0, 0, 4, 2**200, 1])
changes = st.lists(st.tuples(words, st.sampled_from(MASKS), cleared), min_size=1, max_size=2)


class Histories(RuleBasedStateMachine):
    chain: Chain

    def __init__(self) -> None:
        super().__init__()
        self.undo = boa.env.anchor()
        self.undo.__enter__()
        self.model = RegistryModel(self.chain.block, self.chain.time)

    @initialize()
    def school_has_begun(self) -> None:
        """Without this most histories would be refusals for want of a list, a key, a writer."""
        self.chain.pass_time(100, 1200)
        self.model.block, self.model.time = self.chain.block, self.chain.time
        self.both("owner", "set_writer", "school", self.address("writer"), 7, self.model.time + 9000)
        self.both("owner", "add_key", "school", KEYS[0], 1)
        self.both("owner", "open_list", "school", LISTS[0], 1, 17, 1)
        self.both("owner", "open_list", "school", LISTS[1], 2, 17, 2)

    def teardown(self) -> None:
        self.undo.__exit__(None, None, None)

    def address(self, name: str, identity: bytes = b"") -> bytes:
        return self.model.owner(identity) if name == "owner" else self.chain.accounts[name]

    def both(self, sender: str, call: str, identity_name: str, *arguments: Any) -> None:
        identity = self.address(identity_name)
        actor = self.address(sender, identity)
        try:
            expected = getattr(self.model, call)(actor, identity, *arguments)
        except Refused as refusal:
            with boa.reverts(f"CredentialRegistry: {refusal}"):
                self.chain.call(actor, call, identity, *arguments)
        else:
            assert self.chain.call(actor, call, identity, *arguments) == expected

    @rule(blocks=st.integers(1, 3), seconds=st.sampled_from([1, 60, 4000]))
    def time_passes(self, blocks: int, seconds: int) -> None:
        self.chain.pass_time(blocks, seconds)
        self.model.block, self.model.time = self.chain.block, self.chain.time

    @rule(identity=identities, owner=st.sampled_from(["school"] * 5 + ["heir", "writer", "stranger"]))
    def owner_changes(self, identity: str, owner: str) -> None:
        place = self.address(identity)
        self.chain.change_owner(self.model.owner(place), place, self.address(owner))
        self.model.owners[place] = self.address(owner)

    @rule(sender=writer_mostly, identity=identities, commitment=st.sampled_from([*LISTS, bytes(32)]))
    def anchor(self, sender: str, identity: str, commitment: bytes) -> None:
        self.both(sender, "anchor", identity, commitment)

    @rule(
        sender=owner_mostly,
        identity=identities,
        key=st.sampled_from([*KEYS, b""]),
        purposes=st.integers(0, 7),
    )
    def add_key(self, sender: str, identity: str, key: bytes, purposes: int) -> None:
        self.both(sender, "add_key", identity, key, purposes)

    @rule(sender=owner_mostly, identity=identities, digest=hashes)
    def retire_key(self, sender: str, identity: str, digest: bytes) -> None:
        self.both(sender, "retire_key", identity, digest)

    @rule(sender=owner_mostly, identity=identities, digest=hashes, back=st.integers(-1, 4))
    def compromise_key(self, sender: str, identity: str, digest: bytes, back: int) -> None:
        self.both(sender, "compromise_key", identity, digest, max(0, self.model.block - back))

    @rule(
        sender=writer_mostly,
        identity=identities,
        name=st.sampled_from(LISTS),
        mode=st.sampled_from([1, 2, 1, 2, 0, 3]),
        log2_entries=st.sampled_from([17, 24, 17, 24, 16, 25]),
        status_size=st.sampled_from([1, 8, 2, 4, 1, 3]),
    )
    def open_list(
        self, sender: str, identity: str, name: bytes, mode: int, log2_entries: int, status_size: int
    ) -> None:
        self.both(sender, "open_list", identity, name, mode, log2_entries, status_size)

    @rule(sender=writer_mostly, identity=identities, name=st.sampled_from(LISTS), pointer=who)
    def publish_list(self, sender: str, identity: str, name: bytes, pointer: str) -> None:
        self.both(sender, "publish_list", identity, name, self.address(pointer))

    @rule(
        sender=writer_mostly,
        identity=identities,
        name=st.sampled_from(LISTS),
        changes=changes,
        alone=st.booleans(),
    )
    def set_status(
        self, sender: str, identity: str, name: bytes, changes: list[tuple[int, int, int]], alone: bool
    ) -> None:
        if alone:
            self.both(sender, "set_status_word", identity, name, changes[0])
        else:
            self.both(sender, "set_status", identity, name, changes)

    @rule(
        sender=owner_mostly,
        identity=identities,
        writer=st.sampled_from(["writer", "heir"]),
        roles=st.sampled_from([7, 7, 7, 0, 1, 2, 4, 8]),
        seconds=st.sampled_from([3600, 3600, 10**6, 1, 0]),
    )
    def set_writer(self, sender: str, identity: str, writer: str, roles: int, seconds: int) -> None:
        until = self.model.time + seconds if roles or seconds == 1 else 0
        self.both(sender, "set_writer", identity, self.address(writer), roles, until)

    @rule(sender=owner_mostly, identity=st.sampled_from(["heir"] * 8 + ["school"]))
    def close(self, sender: str, identity: str) -> None:
        self.both(sender, "close", identity)

    @invariant()
    def every_slot_holds_what_the_formats_say(self) -> None:
        for slot, word in self.model.words().items():
            assert self.chain.word(slot) == word


# A failing history is told as it was found: to make it shorter takes minutes.
HISTORIES = settings(
    max_examples=50,
    stateful_step_count=60,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
)


def test_contract_and_model_agree_through_any_history(chain: Chain) -> None:
    machine = type("HistoriesHere", (Histories,), {"chain": chain})
    run_state_machine_as_test(machine, settings=HISTORIES)
