"""Anchors that stand somewhere else, or are somebody else's: registries, chains, identities.

The contracts are the genuine ones, on embedded chains of the attackers' own where they need one.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from fixtures.own_chain import Employer, OwnChain, School
from fixtures.verification import LIST_URL, key_word, list_word, public

from contracts import deployed_code, deployment_code
from node.chain.transactions import Call, CredentialRegistryCalls, address_of
from node.core.evm import registry
from node.core.evm.keccak import keccak256
from node.core.evm.network import NetworkClass
from node.core.evm.registry import CREATE2_DEPLOYER, create2_address
from node.core.verify.report import Acceptance, CheckName, Outcome, Reason


def create2(chain: OwnChain, code: bytes, salt: bytes) -> bytes:
    """Deploy `code` at an address of its own."""
    chain.block((Call(CREATE2_DEPLOYER, salt + code, "deploy"), chain.new_key()))
    return create2_address(salt, code)


def with_storage(code: bytes, words: dict[bytes, int]) -> bytes:
    """Init code that writes words into storage as it likes and leaves `code` to stand there."""
    writes = b"".join(
        b"\x7f" + word.to_bytes(32, "big") + b"\x7f" + slot + b"\x55" for slot, word in words.items()
    )
    start = len(writes) + 15
    tail = (
        b"\x61" + len(code).to_bytes(2, "big") + b"\x80\x61" + start.to_bytes(2, "big") + b"\x5f\x39\x5f\xf3"
    )
    return (writes + tail).ljust(start, b"\x00") + code


@pytest.fixture
def forged(own_chain: OwnChain, school: School) -> tuple[bytes, School]:
    """The registry's own code with an anchor and a window for a key that the school never had."""
    forger = School(own_chain, "forger", owner=school.owner, writer=school.writer)
    made, me = forger.badge(), school.identity
    lists = registry.list_id("revocation", LIST_URL)
    words = {
        registry.anchor_slot(me, made.commitment): 5 | own_chain.seconds << 48 | 1 << 96,
        registry.key_slot(me, public(forger.key).multicodec_bytes): key_word(valid_from=1),
        registry.list_slot(me, lists): list_word(),
    }
    code = deployed_code("CredentialRegistry", own_chain.deployments.did_registry)
    return create2(own_chain, with_storage(code, words), bytes(32)), forger


def test_a_look_alike_registry_with_the_genuine_code_and_forged_storage_counts_for_nothing(
    own_chain: OwnChain, forged: tuple[bytes, School]
) -> None:
    address, forger = forged
    at = own_chain.head
    code_hash = own_chain.network.code_hash
    assert own_chain.chain.proof(own_chain.chain.head, address, []).code_hash == code_hash
    shown = forger.bundle(forger.badge(), at, registry_at=address, claimed=5)
    for one in (Employer(forger, [at]), Employer(forger, final=at)):
        report = one.judge(shown)
        anchor = report[CheckName.ANCHOR]
        assert (anchor.outcome, anchor.reason) == (Outcome.FAILED, Reason.BUNDLE_FALSE)
        assert "another registry" in anchor.basis
        assert report.acceptance is Acceptance.REFUSED


def test_a_look_alike_registry_is_not_helped_by_the_genuine_ones_address(
    own_chain: OwnChain, forged: tuple[bytes, School]
) -> None:
    """The bundle names the table's registry, and its proofs are of the other."""
    address, forger = forged
    at = own_chain.head
    shown = forger.bundle(forger.badge(), at, registry_at=address, claimed=5)
    shown["anchor"]["registry"] = "0x" + own_chain.deployments.credential_registry.hex()
    offline = Employer(forger, [at]).judge(shown)
    assert (offline[CheckName.ANCHOR].outcome, offline[CheckName.ANCHOR].reason) == (
        Outcome.FAILED,
        Reason.BUNDLE_FALSE,
    )
    # With an endpoint it is judged by what the genuine one holds.
    report = Employer(forger, final=at).judge(shown)
    assert report[CheckName.ANCHOR].reason is Reason.NOT_ANCHORED
    assert report[CheckName.KEY].reason is Reason.KEY_NOT_REGISTERED


def test_the_same_code_at_another_address_under_a_did_registry_of_the_attackers_counts_for_nothing(
    own_chain: OwnChain, school: School
) -> None:
    """There he is the owner of every identity that he likes, and all calls are genuine."""
    attacker = own_chain.new_key()
    yes_man = create2(own_chain, with_storage(says_that_all_is_owned_by(address_of(attacker)), {}), bytes(32))
    address = create2(own_chain, deployment_code("CredentialRegistry", yes_man), bytes(31) + b"\x01")
    calls, me = CredentialRegistryCalls(address), school.identity
    forger = School(own_chain, "forger", owner=school.owner, writer=school.writer)
    made = forger.badge()
    lists = registry.list_id("revocation", LIST_URL)
    own_chain.block(
        (calls.add_key(me, forger.multikey, 1), attacker),
        (calls.open_list(me, lists, 1, 17, 1), attacker),
        (calls.anchor(me, made.commitment), attacker),
    )
    assert own_chain.word(registry.anchor_slot(me, made.commitment), address)
    at = own_chain.head
    shown = forger.bundle(made, at, registry_at=address, claimed=at.number)
    assert Employer(forger, [at]).judge(shown)[CheckName.ANCHOR].reason is Reason.BUNDLE_FALSE
    assert Employer(forger, final=at).judge(shown).acceptance is Acceptance.REFUSED


def says_that_all_is_owned_by(owner: bytes) -> bytes:
    """Code that answers every call with this address."""
    return b"\x73" + owner + bytes.fromhex("5f5260205ff3")


def test_a_registry_in_the_table_whose_code_is_another_is_not_believed(
    own_chain: OwnChain, school: School
) -> None:
    """An operator's table may name a wrong address: the code hash is compared with what is proven."""
    made = school.anchored()
    at = own_chain.head
    network = replace(own_chain.network, code_hash=keccak256(b"other code"))
    employer = Employer(school, [at], network=network)
    assert employer.judge(school.bundle(made, at))[CheckName.ANCHOR].reason is Reason.BUNDLE_FALSE


# Another chain ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> OwnChain:
    """A chain of trials, on which the registries have the addresses that they have everywhere."""
    return OwnChain(tmp_path_factory.mktemp("elsewhere") / "chain", chain_id=31_415_928)


@pytest.fixture
def trials(elsewhere: OwnChain, school: School) -> School:
    """The school's own address and keys there: somebody else may have them by now."""
    made = School(elsewhere, owner=school.owner, writer=school.writer)
    made.begin()
    return made


def test_an_anchor_at_the_same_address_on_another_chain_is_not_the_schools(
    own_chain: OwnChain, elsewhere: OwnChain, school: School, trials: School
) -> None:
    assert trials.identity == school.identity
    assert elsewhere.deployments == own_chain.deployments
    made = school.badge()
    elsewhere.block((elsewhere.calls.anchor(school.identity, made.commitment), trials.writer))
    at = own_chain.head
    true_name = school.bundle(made, elsewhere.head, on=elsewhere)
    for one in (Employer(school, [at]), Employer(school, final=at)):
        anchor = one.judge(true_name)[CheckName.ANCHOR]
        assert (anchor.outcome, anchor.reason) == (Outcome.FAILED, Reason.BUNDLE_FALSE)
        assert f"names chain eip155:{elsewhere.chain_id}" in anchor.basis
    false_name = {**true_name, "anchor": {**true_name["anchor"], "chain": f"eip155:{own_chain.chain_id}"}}
    offline = Employer(school, [at]).judge(false_name)
    assert offline[CheckName.HEADER].reason is Reason.HEADER_NOT_TRUSTED
    assert offline.acceptance is Acceptance.UNDETERMINED
    claimed = {**false_name, "anchor": {**false_name["anchor"], "block": at.number}}
    assert Employer(school, final=at).judge(claimed)[CheckName.ANCHOR].reason is Reason.NOT_ANCHORED


def test_a_badge_of_the_same_address_on_another_chain_is_of_another_issuer(
    own_chain: OwnChain, elsewhere: OwnChain, school: School, trials: School
) -> None:
    made, at = trials.anchored(), elsewhere.head
    shown = trials.bundle(made, at)
    assert Employer(trials, [at]).judge(shown).acceptance is Acceptance.ACCEPTED
    # The employer recognises the school on its own chain, and knows both chains.
    employer = Employer(trials, [at], trust=school.trust())
    report = employer.judge(shown)
    assert report[CheckName.ISSUER_TRUST].reason is Reason.ISSUER_NOT_LISTED
    assert report.acceptance is Acceptance.UNDETERMINED
    # Known to be a chain for trials, it is refused whoever is recognised there.
    network = replace(elsewhere.network, network_class=NetworkClass.TEST)
    report = Employer(trials, [at], network=network).judge(shown)
    assert report[CheckName.NETWORK].reason is Reason.TEST_NETWORK


# Somebody else's anchor -------------------------------------------------------------------------------------


def test_a_front_run_anchor_takes_nothing_from_the_school_and_gives_nothing_to_who_ran(
    own_chain: OwnChain, school: School
) -> None:
    """He sees the commitment among waiting transactions, and anchors it as his own in the same block, first."""
    thief = School(own_chain, "thief")
    thief.begin()
    made = school.badge()
    own_chain.block(
        (own_chain.calls.anchor(thief.identity, made.commitment), thief.writer), school.anchoring(made)
    )
    at = own_chain.head
    assert school.block_of(made) == thief.block_of(made) == at.number
    assert Employer(school, [at]).judge(school.bundle(made, at)).acceptance is Acceptance.ACCEPTED
    shown = school.bundle(made, at)
    shown["anchor"]["identity"] = "0x" + thief.identity.hex()
    anchor = Employer(school, [at]).judge(shown)[CheckName.ANCHOR]
    assert (anchor.outcome, anchor.reason) == (Outcome.FAILED, Reason.BUNDLE_FALSE)


def test_a_front_run_anchor_under_the_schools_identity_is_refused_by_the_contract(
    own_chain: OwnChain, school: School
) -> None:
    thief, made = own_chain.new_key(), school.badge()
    call = own_chain.calls.anchor(school.identity, made.commitment)
    assert own_chain.attempt((call, thief))[1] == [False]
    at = own_chain.head
    assert school.block_of(made) == 0
    assert (
        Employer(school, [at]).judge(school.bundle(made, at))[CheckName.ANCHOR].reason is Reason.NOT_ANCHORED
    )


def test_an_anchor_of_another_credential_of_the_school_is_not_this_ones(
    own_chain: OwnChain, school: School
) -> None:
    sound = school.anchored()
    unsent = school.badge(lambda document: document.update(name="With honours"))
    at = own_chain.head
    shown = school.bundle(sound, at) | {"credential": unsent.credential}
    assert Employer(school, [at]).judge(shown).acceptance is Acceptance.REFUSED
    assert Employer(school, final=at).judge(shown)[CheckName.ANCHOR].reason is Reason.NOT_ANCHORED
