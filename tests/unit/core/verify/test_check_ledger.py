"""CHECKS.md 5 to 10 and 13: what the chain says, and who knows the issuer. One row for each clause."""

# ruff: noqa: E501 - a table has one row a line

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from fixtures.check_tables import FAILED, NOT_APPLICABLE, PASSED, UNKNOWN, Row, covers, hold, ids
from fixtures.verification import (
    ANCHOR_BLOCK,
    ANCHORED_AT,
    CHAIN_ID,
    GENESIS,
    IDENTITY,
    KEY_SCHOOL,
    LIST_URL,
    NETWORK,
    NOW,
    SCHOOL,
    SHOWN_BLOCK,
    STRANGER,
    SUSPENSIONS_URL,
    LedgerState,
    Signatory,
    Story,
    agreed,
    anchor_word,
    entry,
    ethr_document,
    key_word,
    list_word,
    of_key_school,
    revoked,
    status_list,
    without_status,
)

from node.core.evm.checkpoint import Checkpoint
from node.core.evm.network import NetworkClass
from node.core.verify.materials import (
    HeaderAnswer,
    HeaderNeed,
    Missing,
    Mode,
    StateAnswer,
    StateNeed,
    Strength,
)
from node.core.verify.policy import STRICT
from node.core.verify.report import CheckName, Outcome, Reason
from node.core.verify.trust import TrustEntry, TrustList

Json = dict[str, Any]
GOOD = LedgerState()
DAY = timedelta(days=1)


def chained(**changes: Any) -> Story:
    """A verifier with an endpoint and without a checkpoint file."""
    fields: Json = {"mode": Mode.CHAIN, "checkpoint": None}
    return Story(**{**fields, **changes})


def other_chain(**changes: Any) -> Story:
    """The issuer's identity is on a chain that no table has, or that only ours has."""
    return Story(issuer=replace(SCHOOL, did=f"did:ethr:0x7:0x{IDENTITY.hex()}"), **changes)


def our_network(network_class: NetworkClass) -> Story:
    return other_chain(our_networks={7: replace(NETWORK, chain_id=7, network_class=network_class)})


MIXED_CASE = f"did:ethr:0x{CHAIN_ID:X}:0x{IDENTITY.hex().upper()}"
UNNAMED = Signatory(f"did:ethr:foonet:0x{IDENTITY.hex()}", "delegate-1", SCHOOL.key)
ON_SEVEN = {7: replace(NETWORK, chain_id=7)}

NETWORK_ROWS = [
    Row("the operator's own table, whatever its class", Story, PASSED),
    Row("the operator's table wins over ours", lambda: other_chain(our_networks={7: replace(NETWORK, chain_id=7, network_class=NetworkClass.TEST)}, operator_networks=ON_SEVEN), PASSED),
    Row("a production network of ours", lambda: our_network(NetworkClass.PRODUCTION), PASSED),
    Row("a test network of ours", lambda: our_network(NetworkClass.TEST), FAILED, Reason.TEST_NETWORK),
    Row("a development network of ours", lambda: our_network(NetworkClass.DEVELOPMENT), FAILED, Reason.TEST_NETWORK),
    Row("in no table", other_chain, UNKNOWN, Reason.UNKNOWN_NETWORK),
    Row("written by a name that is not known", lambda: Story(issuer=UNNAMED), UNKNOWN, Reason.UNKNOWN_NETWORK),
    Row("written by a name that is not known, no bundle", lambda: Story(issuer=UNNAMED, bundled=False), UNKNOWN, Reason.UNKNOWN_NETWORK),
    Row("no identity", of_key_school, NOT_APPLICABLE, Reason.NO_IDENTITY),
]  # fmt: skip


# Header -----------------------------------------------------------------------------------------------------


def checkpoint(
    number: int = SHOWN_BLOCK, digest: bytes | None = None, genesis: bytes = GENESIS
) -> Checkpoint:
    if digest is None:
        digest = Story().header_of(GOOD, Story().credential()).hash
    return Checkpoint(CHAIN_ID, genesis, 1, 3, ((number, digest),))


def with_limit(**changes: Any) -> Story:
    """Its network allows a newest block of thirty minutes."""
    return chained(operator_networks={CHAIN_ID: replace(NETWORK, header_age_limit_seconds=1800)}, **changes)


def lagging(**changes: Any) -> Story:
    return with_limit(own=replace(GOOD, number=4_100, time=NOW - timedelta(minutes=31)), **changes)


def other_hash(answers: Any) -> None:
    """The endpoint names another block at the height of the bundle's header, and proves nothing."""
    for need, answer in answers.items():
        if isinstance(need, HeaderNeed) and isinstance(answer, HeaderAnswer):
            answers[need] = replace(answer, hashes={SHOWN_BLOCK: bytes(32)})
        elif isinstance(need, StateNeed):
            answers[need] = Missing("it does not prove state")


def contradicting(answers: Any) -> None:
    """The endpoint names another block at the height of the bundle's header; for the rest it is truthful."""
    for need, answer in answers.items():
        if isinstance(need, HeaderNeed) and isinstance(answer, HeaderAnswer):
            answers[need] = replace(answer, hashes={SHOWN_BLOCK: bytes(32)})


def no_state(answers: Any) -> None:
    for need in answers:
        if isinstance(need, StateNeed):
            answers[need] = Missing("it does not prove state")


def no_state_of_several(answers: Any) -> None:
    no_state(answers)
    for need, answer in answers.items():
        if isinstance(need, HeaderNeed) and isinstance(answer, HeaderAnswer):
            answers[need] = replace(answer, strength=Strength.ENDPOINTS_AGREE)


def wrong_state(answers: Any) -> None:
    for need, answer in answers.items():
        if isinstance(need, StateNeed) and isinstance(answer, StateAnswer):
            answers[need] = replace(answer, nodes=answer.nodes[1:])


def lags_behind(answers: Any) -> None:
    """The endpoint does not know the block of the bundle's header."""
    for need, answer in answers.items():
        if isinstance(need, HeaderNeed) and isinstance(answer, HeaderAnswer):
            answers[need] = replace(answer, hashes={})


def torn(answers: Any) -> None:
    """Endpoints name different blocks, and too few the same."""
    for need in answers:
        if isinstance(need, HeaderNeed):
            answers[need] = Missing("fewer than 2 of 3 operators", disputed=True)


def wrong_at_first(answers: Any) -> None:
    """The first endpoint's proof is wrong; of another one that is asked then it is right."""
    for need, answer in answers.items():
        if isinstance(need, StateNeed) and isinstance(answer, StateAnswer):
            right = replace(answer, source="the endpoint of another")
            answers[need] = right if need.besides else replace(answer, nodes=answer.nodes[1:])


def junk_header(bundle: Json) -> None:
    bundle["state"]["header"] = "AAAA"


HOP = replace(GOOD, number=5_000, time=NOW - timedelta(minutes=5))
TOO_FAR = replace(GOOD, number=SHOWN_BLOCK + 8_192)
FALSE_HISTORY = replace(HOP, history={(SHOWN_BLOCK % 8191).to_bytes(32, "big"): 1})


def hopped(**changes: Any) -> Story:
    fields: Json = {"checkpoint": "hop", "hop": HOP}
    return Story(**{**fields, **changes})


def without_hop(bundle: Json) -> None:
    del bundle["state"]["hop"]


def without_state(bundle: Json) -> None:
    del bundle["state"]


def no_history() -> dict[int, Any]:
    return {CHAIN_ID: replace(NETWORK, eip2935=False)}


HEADER = [
    Row("a checkpoint file", Story, PASSED),
    Row("one endpoint, named as weak", chained, PASSED),
    Row("endpoints that agree and give no state, but know the bundle's header", lambda: chained(answers=no_state_of_several), PASSED),
    Row("one endpoint that gives no state, so its word for the bundle's header is none", lambda: chained(answers=no_state), UNKNOWN, Reason.CHAIN_UNREACHABLE),
    Row("one endpoint that gives no state, but a checkpoint file", lambda: chained(answers=no_state, checkpoint="shown"), PASSED),
    Row("one hop to a header of the checkpoint file", hopped, PASSED),
    Row("a lagging endpoint, but a checkpoint file", lambda: lagging(checkpoint="shown"), PASSED),
    Row("a network without limit", lambda: chained(own=replace(GOOD, number=4_100, time=NOW - 2 * DAY)), PASSED),
    Row("neither checkpoint file nor endpoint", lambda: Story(checkpoint=None), UNKNOWN, Reason.HEADER_NOT_TRUSTED),
    Row("the endpoint is down", lambda: chained(endpoint=False), UNKNOWN, Reason.CHAIN_UNREACHABLE),
    Row("the endpoint gives no state, and there is no bundle", lambda: chained(answers=no_state, bundled=False), UNKNOWN, Reason.CHAIN_UNREACHABLE),
    Row("the endpoint's proof is wrong", lambda: chained(answers=wrong_state, bundled=False), UNKNOWN, Reason.CHAIN_UNREACHABLE),
    Row("the endpoint's proof is wrong, so its word for the bundle's header is none", lambda: chained(answers=wrong_state), UNKNOWN, Reason.CHAIN_UNREACHABLE),
    Row("the endpoint vouches for a block beyond its newest", lambda: chained(own=replace(GOOD, number=4_000, anchor=0)), PASSED),
    Row("the endpoint's newest block is too old", lagging, UNKNOWN, Reason.HEADER_OLD),
    Row("endpoint and checkpoint file differ at that height", lambda: chained(checkpoint="shown", answers=contradicting), UNKNOWN, Reason.SOURCES_DISAGREE),
    Row("endpoint and checkpoint file differ at the newest block of the file", lambda: chained(checkpoint="shown", answers=contradicting, bundled=False), UNKNOWN, Reason.SOURCES_DISAGREE),
    Row("a checkpoint file of another genesis contradicts nobody", lambda: chained(checkpoint=checkpoint(genesis=bytes(32)), answers=contradicting), PASSED),
    Row("endpoints that disagree", lambda: chained(answers=torn), UNKNOWN, Reason.SOURCES_DISAGREE),
    Row("endpoints that disagree, but a checkpoint file", lambda: chained(checkpoint="shown", answers=torn), PASSED),
    Row("another endpoint proves what one does not", lambda: chained(answers=wrong_at_first, bundled=False), PASSED),
    Row("the endpoint names another block at that height", lambda: chained(answers=other_hash), UNKNOWN, Reason.CHAIN_UNREACHABLE),
    Row("newer than the checkpoint file", lambda: Story(checkpoint=checkpoint(SHOWN_BLOCK - 1, bytes(32))), UNKNOWN, Reason.HEADER_NOT_TRUSTED),
    Row("older than the checkpoint file, not in it", lambda: Story(checkpoint=checkpoint(SHOWN_BLOCK + 1, bytes(32))), UNKNOWN, Reason.HEADER_NOT_TRUSTED),
    Row("the checkpoint file has another hash at that height", lambda: Story(checkpoint=checkpoint(digest=bytes(32))), UNKNOWN, Reason.HEADER_NOT_TRUSTED),
    Row("the checkpoint file is of another genesis", lambda: Story(checkpoint=checkpoint(genesis=bytes(32))), UNKNOWN, Reason.HEADER_NOT_TRUSTED),
    Row("the checkpoint file is of another chain", lambda: Story(checkpoint=replace(checkpoint(), chain_id=8)), UNKNOWN, Reason.HEADER_NOT_TRUSTED),
    Row("not a block header", lambda: Story(spoil=junk_header), UNKNOWN, Reason.HEADER_NOT_TRUSTED),
    Row("a hop where the network keeps no history", lambda: hopped(operator_networks=no_history()), UNKNOWN, Reason.HEADER_NOT_TRUSTED),
    Row("a hop whose history names another block", lambda: hopped(hop=FALSE_HISTORY), UNKNOWN, Reason.HEADER_NOT_TRUSTED),
    Row("a hop of more than 8,191 blocks", lambda: hopped(hop=TOO_FAR), UNKNOWN, Reason.BUNDLE_FALSE),
    Row("the hop is missing", lambda: hopped(spoil=without_hop), UNKNOWN, Reason.HEADER_NOT_TRUSTED),
    Row("no bundle, no endpoint", lambda: Story(bundled=False), UNKNOWN, Reason.BUNDLE_MISSING),
    Row("a chain in no table", other_chain, UNKNOWN, Reason.UNKNOWN_NETWORK),
    Row("no identity", of_key_school, NOT_APPLICABLE, Reason.NO_IDENTITY),
]  # fmt: skip


# Anchor -----------------------------------------------------------------------------------------------------


def anchor_member(name: str, value: object) -> Callable[[Json], None]:
    def change(bundle: Json) -> None:
        bundle["anchor"][name] = value

    return change


def no_anchor(bundle: Json) -> None:
    del bundle["anchor"]


def false_nodes(bundle: Json) -> None:
    bundle["state"]["nodes"] = bundle["state"]["nodes"][1:]


def twice_the_node(bundle: Json) -> None:
    bundle["state"]["nodes"].append(bundle["state"]["nodes"][0])


def key_missing(bundle: Json) -> None:
    del bundle["key"]


NEVER = LedgerState(heads=0, anchor=0, key=0, lists={})
FORGED_ELSEWHERE = replace(GOOD, address=bytes(range(20)))


def never_wrote(**changes: Any) -> Story:
    fields: Json = {
        "shown": NEVER,
        "bundled": False,
        "write": without_status,
        "documents": {SCHOOL.did: agreed(ethr_document(SCHOOL))},
    }
    return chained(**{**fields, **changes})


def on_mainnet(network: str) -> Story:
    issuer = replace(SCHOOL, did=f"did:ethr:{network}0x{IDENTITY.hex()}")
    table = {1: replace(NETWORK, chain_id=1)}
    checkpoint = replace(Story(issuer=issuer).checkpoint_file(), chain_id=1)
    return Story(
        issuer=issuer,
        operator_networks=table,
        checkpoint=checkpoint,
        trust=trusted(f"did:ethr:0x1:0x{IDENTITY.hex()}"),
        spoil=anchor_member("chain", "eip155:1"),
    )


def two_proofs(**changes: Any) -> Story:
    return Story(more_proofs=((SCHOOL, {"created": "2026-04-02T00:00:00Z"}),), **changes)


ANCHOR = [
    Row("in its slot at the table's registry", Story, PASSED),
    Row("read at the endpoint's own header", chained, PASSED),
    Row("the bundle's proof is false, the verifier's own is not", lambda: chained(spoil=false_nodes), PASSED),
    Row("the issuer's DID is spelled in another case", lambda: Story(issuer=replace(SCHOOL, did=MIXED_CASE)), PASSED),
    Row("mainnet, by its name", lambda: on_mainnet("mainnet:"), PASSED),
    Row("mainnet, not named at all", lambda: on_mainnet(""), PASSED),
    Row("mainnet, by its number", lambda: on_mainnet("0x01:"), PASSED),
    Row("one of several proofs is named", lambda: two_proofs(anchored_proof=0), PASSED),
    Row("another's proof was added afterwards", lambda: Story(more_proofs=((STRANGER, {}),), anchored_proof=0), PASSED),
    Row("closed after it was anchored", lambda: Story(shown=replace(GOOD, closed=ANCHOR_BLOCK + 1)), PASSED),
    Row("its slot is zero", lambda: Story(shown=replace(GOOD, anchor=0)), FAILED, Reason.NOT_ANCHORED),
    Row("its slot is zero at the verifier's own header", lambda: chained(own=replace(GOOD, number=4_100, anchor=0), checkpoint=None, spoil=false_nodes), FAILED, Reason.NOT_ANCHORED),
    Row("path to another commitment", lambda: chained(spoil=anchor_member("index", 1)), FAILED, Reason.NOT_ANCHORED),
    Row("path to another commitment, offline", lambda: Story(spoil=anchor_member("index", 1)), FAILED, Reason.BUNDLE_FALSE),
    Row("another chain", lambda: Story(spoil=anchor_member("chain", "eip155:1")), FAILED, Reason.BUNDLE_FALSE),
    Row("another registry", lambda: Story(spoil=anchor_member("registry", "0x" + "11" * 20)), FAILED, Reason.BUNDLE_FALSE),
    Row("another identity", lambda: Story(spoil=anchor_member("identity", "0x" + "11" * 20)), FAILED, Reason.BUNDLE_FALSE),
    Row("a trie node is missing", lambda: Story(spoil=false_nodes), FAILED, Reason.BUNDLE_FALSE),
    Row("a trie node stands twice", lambda: Story(spoil=twice_the_node), FAILED, Reason.BUNDLE_FALSE),
    Row("genuine code with forged storage at another address", lambda: Story(shown=FORGED_ELSEWHERE), FAILED, Reason.BUNDLE_FALSE),
    Row("other code at the registry's address", lambda: Story(shown=replace(GOOD, code_hash=bytes(32))), FAILED, Reason.BUNDLE_FALSE),
    Row("a slot that the registry never writes", lambda: Story(shown=replace(GOOD, anchor=anchor_word() | 1 << 200)), FAILED, Reason.BUNDLE_FALSE),
    Row("a hop of more than 8,191 blocks", lambda: hopped(hop=TOO_FAR), FAILED, Reason.BUNDLE_FALSE),
    Row("closed in the block of the anchor", lambda: Story(shown=replace(GOOD, closed=ANCHOR_BLOCK)), FAILED, Reason.IDENTITY_CLOSED),
    Row("closed before", lambda: Story(shown=replace(GOOD, closed=1)), FAILED, Reason.IDENTITY_CLOSED),
    Row("supplied for a DID without identity", lambda: of_key_school(bundled=True), FAILED, Reason.ANCHOR_OUT_OF_PLACE),
    Row("changed after it was anchored", lambda: chained(spoil=lambda b: b["credential"].update(name="x")), FAILED, Reason.NOT_ANCHORED),
    Row("no bundle", lambda: Story(bundled=False), UNKNOWN, Reason.BUNDLE_MISSING),
    Row("no bundle, with an endpoint", lambda: chained(bundled=False), UNKNOWN, Reason.BUNDLE_MISSING),
    Row("a bundle without the path", lambda: chained(spoil=no_anchor), UNKNOWN, Reason.BUNDLE_MISSING),
    Row("no trusted header", lambda: Story(checkpoint=None), UNKNOWN, Reason.HEADER_NOT_TRUSTED),
    Row("a lagging endpoint", lagging, UNKNOWN, Reason.HEADER_OLD),
    Row("a bundle without state, and no endpoint", lambda: Story(spoil=without_state), UNKNOWN, Reason.BUNDLE_MISSING),
    Row("the endpoint vouches for a block beyond its newest", lambda: chained(own=replace(GOOD, number=ANCHOR_BLOCK - 1, anchor=0)), UNKNOWN, Reason.STATE_NOT_PROVEN),
    Row("claimed for a block after the header", lambda: Story(shown=replace(GOOD, anchor=0, number=ANCHOR_BLOCK - 1)), UNKNOWN, Reason.STATE_NOT_PROVEN),
    Row("asked for a time before it was anchored", lambda: Story(as_of=ANCHORED_AT - timedelta(seconds=1)), UNKNOWN, Reason.ANCHORED_LATER),
    Row("over a proof that is not the issuer's", lambda: Story(more_proofs=((STRANGER, {}),), anchored_proof=1), UNKNOWN, Reason.STATE_NOT_PROVEN),
    Row("several proofs, and none is named", two_proofs, UNKNOWN, Reason.STATE_NOT_PROVEN),
    Row("heads zero, but the header is old", lambda: never_wrote(own=replace(NEVER, number=4_100, time=NOW - 2 * DAY)), UNKNOWN, Reason.BUNDLE_MISSING),
    Row("a chain in no table", lambda: other_chain(spoil=anchor_member("chain", "eip155:7")), UNKNOWN, Reason.UNKNOWN_NETWORK),
    Row("a chain by a name that is not known", lambda: Story(issuer=UNNAMED), UNKNOWN, Reason.UNKNOWN_NETWORK),
    Row("heads zero at a fresh header", never_wrote, NOT_APPLICABLE, Reason.NOTHING_ANCHORED),
    Row("no identity", of_key_school, NOT_APPLICABLE, Reason.NO_IDENTITY),
]  # fmt: skip


# Key --------------------------------------------------------------------------------------------------------


def with_key(**window: int) -> Story:
    return Story(shown=replace(GOOD, key=key_word(**window)))


DISPUTE = replace(STRICT, compromise="dispute")
A = ANCHOR_BLOCK

KEY = [
    Row("open since before the anchor", Story, PASSED),
    Row("added in the block of the anchor", lambda: with_key(valid_from=A), PASSED),
    Row("retired one block after", lambda: with_key(until=A + 1), PASSED),
    Row("compromised one block after", lambda: with_key(since=A + 1, until=A + 1, declared=A + 9), PASSED),
    Row("for more purposes than one", lambda: with_key(purposes=7), PASSED),
    Row("never registered", lambda: with_key(valid_from=0, purposes=0), FAILED, Reason.KEY_NOT_REGISTERED),
    Row("added one block after the anchor", lambda: with_key(valid_from=A + 1), FAILED, Reason.KEY_NOT_YET_VALID),
    Row("retired in the block of the anchor", lambda: with_key(until=A), FAILED, Reason.KEY_RETIRED),
    Row("compromised in the block of the anchor", lambda: with_key(since=A, until=A + 5, declared=A + 5), FAILED, Reason.KEY_COMPROMISED),
    Row("disputed, but declared in the block of the anchor", lambda: replace(with_key(since=A - 5, until=A, declared=A), policy=DISPUTE), FAILED, Reason.KEY_COMPROMISED),
    Row("for another purpose", lambda: with_key(purposes=2), FAILED, Reason.KEY_PURPOSE),
    Row("compromised, as the verifier's own header shows", lambda: chained(own=replace(GOOD, number=4_100, key=key_word(since=50, until=4_099, declared=4_099))), FAILED, Reason.KEY_COMPROMISED),
    Row("compromised, as a bundle shows that is newer than the endpoint", lambda: chained(checkpoint="shown", own=replace(GOOD, number=4_000), shown=replace(GOOD, key=key_word(since=50, until=4_050, declared=4_050))), FAILED, Reason.KEY_COMPROMISED),
    Row("never registered, at a header from before the claimed block, where the anchor stands all the same", lambda: Story(shown=replace(GOOD, key=0), spoil=anchor_member("block", SHOWN_BLOCK + 1)), FAILED, Reason.KEY_NOT_REGISTERED),
    Row("not registered yet, nor anchored, at the block before the claimed one", lambda: Story(shown=replace(GOOD, anchor=0, key=0, number=A - 1)), UNKNOWN, Reason.STATE_NOT_PROVEN),
    Row("never registered, at the claimed block", lambda: Story(shown=replace(GOOD, anchor=0, key=0, number=A)), FAILED, Reason.KEY_NOT_REGISTERED),
    Row("an endpoint that lags behind the anchor", lambda: chained(own=replace(NEVER, number=A - 1), answers=lags_behind), UNKNOWN, Reason.STATE_NOT_PROVEN),
    Row("disputed", lambda: replace(with_key(since=A - 5, until=A + 1, declared=A + 1), policy=DISPUTE), UNKNOWN, Reason.KEY_DISPUTED),
    Row("slot not proven", lambda: Story(checkpoint=None), UNKNOWN, Reason.HEADER_NOT_TRUSTED),
    Row("anchor not proven", lambda: chained(bundled=False), UNKNOWN, Reason.BUNDLE_MISSING),
    Row("asked for a time before the anchor", lambda: Story(as_of=ANCHORED_AT - DAY), UNKNOWN, Reason.ANCHORED_LATER),
    Row("a bundle without key", lambda: chained(spoil=key_missing), UNKNOWN, Reason.STATE_NOT_PROVEN),
    Row("verified with another key than the one that is proven", lambda: chained(documents={SCHOOL.did: agreed(ethr_document(SCHOOL))}, bundle_key=STRANGER, spoil=lambda b: b["key"].update(id=SCHOOL.did + "#delegate-2")), UNKNOWN, Reason.STATE_NOT_PROVEN),
    Row("a chain by a name that is not known", lambda: Story(issuer=UNNAMED), UNKNOWN, Reason.UNKNOWN_NETWORK),
    Row("heads zero at a fresh header", never_wrote, NOT_APPLICABLE, Reason.NOTHING_ANCHORED),
    Row("no identity", of_key_school, NOT_APPLICABLE, Reason.NO_IDENTITY),
]  # fmt: skip


# Status -----------------------------------------------------------------------------------------------------


def entries(*found: Json) -> Callable[[Json], None]:
    def change(document: Json) -> None:
        document["credentialStatus"] = found[0] if len(found) == 1 else list(found)

    return change


SUSPENSION = entry("suspension", 3, SUSPENSIONS_URL)
MESSAGE = entry(
    "message",
    3,
    SUSPENSIONS_URL,
    statusSize=2,
    statusMessage=[{"status": hex(n), "message": f"m{n}"} for n in range(4)],
)
REFRESH = entry("refresh", 3)
R, S = ("revocation", LIST_URL), ("suspension", SUSPENSIONS_URL)
BOTH_LISTS = {R: list_word(), S: list_word(mode=2)}
SUSPENDABLE = replace(GOOD, lists=BOTH_LISTS)
SUSPENDED = replace(SUSPENDABLE, values={(*S, 3, 1): 1})
REVOKED = replace(GOOD, values=revoked())


def with_entries(*found: Json, ledger: LedgerState = SUSPENDABLE, **changes: Any) -> Story:
    return Story(write=entries(*found), shown=ledger, **changes)


def listed(**changes: Any) -> Story:
    """A status list behind a URL, of an issuer without a chain."""
    fields: Json = {"write": lambda _: None, "mode": Mode.FULL, "lists": {LIST_URL: status_list(KEY_SCHOOL)}}
    return of_key_school(**{**fields, **changes})


def renamed_end(document: Json) -> None:
    """The end of an old list is renamed to its IRI: the same statements."""
    end = document.pop("validUntil")
    xsd = "http://www.w3.org/2001/XMLSchema#dateTime"
    document["https://www.w3.org/2018/credentials#validUntil"] = {"@value": end, "@type": xsd}


def old_list() -> Json:
    found = status_list(KEY_SCHOOL, validUntil="2026-05-20T00:00:00Z")
    del found["proof"]
    signed = KEY_SCHOOL.sign(found, cryptosuite="eddsa-rdfc-2022")
    renamed_end(signed)
    return signed


LATER = NOW - timedelta(hours=2)  # before the header of the bundle, after the anchor

STATUS = [
    Row("not revoked, by both slots", Story, PASSED),
    Row("neither revoked nor suspended", lambda: with_entries(entry(), SUSPENSION), PASSED),
    Row("another index of the word is revoked", lambda: Story(shown=replace(GOOD, values=revoked(94_568))), PASSED),
    Row("a message, whatever it says", lambda: with_entries(MESSAGE, ledger=replace(GOOD, lists={("message", SUSPENSIONS_URL): list_word(mode=2, size=2)}, values={("message", SUSPENSIONS_URL, 3, 2): 2})), PASSED),
    Row("a newer version is offered", lambda: with_entries(REFRESH, ledger=replace(GOOD, lists={("refresh", LIST_URL): list_word()}, values={("refresh", LIST_URL, 3, 1): 1})), PASSED),
    Row("a suspension that was lifted since the bundle was made", lambda: chained(write=entries(SUSPENSION), shown=SUSPENDED, own=replace(SUSPENDABLE, number=4_100)), PASSED),
    Row("bit 0 of an OR-only list, asked for an earlier time", lambda: Story(as_of=LATER), PASSED),
    Row("the last index", lambda: with_entries(entry(index=131_071)), PASSED),
    Row("a list behind a URL, signed by the issuer", listed, PASSED),
    Row("revoked", lambda: Story(shown=REVOKED), FAILED, Reason.REVOKED),
    Row("suspended", lambda: with_entries(entry(), SUSPENSION, ledger=SUSPENDED), FAILED, Reason.SUSPENDED),
    Row("revoked, though the list slot says otherwise", lambda: Story(shown=replace(REVOKED, lists={})), FAILED, Reason.REVOKED),
    Row("revoked since the bundle was made", lambda: chained(own=replace(REVOKED, number=4_100)), FAILED, Reason.REVOKED),
    Row("revoked in the bundle, whatever the endpoint says", lambda: chained(shown=REVOKED, own=replace(GOOD, number=4_100)), FAILED, Reason.REVOKED),
    Row("suspended by then as the bundle shows, and still", lambda: chained(write=entries(SUSPENSION), shown=SUSPENDED, own=replace(SUSPENDED, number=4_100, time=NOW), as_of=NOW - timedelta(minutes=30)), FAILED, Reason.SUSPENDED),
    Row("index outside of the list", lambda: with_entries(entry(index=131_072)), FAILED, Reason.STATUS_OUT_OF_RANGE),
    Row("index outside of every list", lambda: with_entries(entry(index=1 << 24)), FAILED, Reason.STATUS_OUT_OF_RANGE),
    Row("suspended since the bundle was made", lambda: chained(write=entries(SUSPENSION), shown=SUSPENDABLE, own=replace(SUSPENDED, number=4_100)), FAILED, Reason.SUSPENDED),
    Row("suspended, as a bundle shows that is newer than the endpoint", lambda: chained(checkpoint="shown", write=entries(SUSPENSION), shown=SUSPENDED, own=replace(SUSPENDABLE, number=4_000, time=NOW - timedelta(hours=2))), FAILED, Reason.SUSPENDED),
    Row("one failed, one unknown", lambda: with_entries(entry(), SUSPENSION, ledger=replace(REVOKED, lists={R: list_word()})), FAILED, Reason.REVOKED),
    Row("revoked in a list behind a URL", lambda: listed(lists={LIST_URL: status_list(KEY_SCHOOL, [94_567])}), FAILED, Reason.REVOKED),
    Row("index outside of a list behind a URL", lambda: listed(write=entries(entry(index=131_072))), FAILED, Reason.STATUS_OUT_OF_RANGE),
    Row("list slot absent", lambda: Story(shown=replace(GOOD, lists={})), UNKNOWN, Reason.STATUS_LIST_UNKNOWN),
    Row("list of another mode", lambda: Story(shown=replace(GOOD, lists={R: list_word(mode=2)})), UNKNOWN, Reason.STATUS_LIST_UNKNOWN),
    Row("list of another size", lambda: Story(shown=replace(GOOD, lists={R: list_word(size=2)})), UNKNOWN, Reason.STATUS_LIST_UNKNOWN),
    Row("a purpose without a rule", lambda: with_entries(entry("probation")), UNKNOWN, Reason.STATUS_LIST_UNKNOWN),
    Row("a message of one bit", lambda: with_entries(entry("message", 3, SUSPENSIONS_URL)), UNKNOWN, Reason.STATUS_LIST_UNKNOWN),
    Row("an entry of another type", lambda: of_key_school(mode=Mode.FULL, write=entries({"id": "https://x.example/1", "type": "BitstringStatusList"})), UNKNOWN, Reason.STATUS_LIST_UNKNOWN),
    Row("a StatusList2021 entry of an issuer on a chain", lambda: with_entries({**entry(), "type": "StatusList2021Entry"}, options={}, tamper=lambda d: d["@context"].append("https://w3id.org/vc/status-list/2021/v1")), UNKNOWN, Reason.STATUS_LIST_UNKNOWN),
    Row("slots not proven", lambda: Story(checkpoint=None), UNKNOWN, Reason.HEADER_NOT_TRUSTED),
    Row("no bundle", lambda: Story(bundled=False), UNKNOWN, Reason.BUNDLE_MISSING),
    Row("bit 1, asked for an earlier time", lambda: Story(shown=REVOKED, as_of=LATER), UNKNOWN, Reason.STATUS_LATER),
    Row("a suspension that was lifted, at a time not known, asked for a time from before", lambda: chained(write=entries(SUSPENSION), shown=SUSPENDED, own=replace(SUSPENDABLE, number=4_100, time=NOW), as_of=NOW - timedelta(hours=2)), UNKNOWN, Reason.STATUS_LATER),
    Row("a settable list, asked for an earlier time", lambda: with_entries(SUSPENSION, as_of=LATER), UNKNOWN, Reason.STATUS_LATER),
    Row("a list behind a URL that is unreachable", lambda: listed(lists={}), UNKNOWN, Reason.STATUS_UNREACHABLE),
    Row("a list behind a URL, offline", lambda: listed(mode=Mode.OFFLINE), UNKNOWN, Reason.STATUS_NOT_ASKED),
    Row("a list signed by another", lambda: listed(lists={LIST_URL: status_list(STRANGER, [94_567])}), UNKNOWN, Reason.STATUS_LIST_UNKNOWN),
    Row("a list that names the issuer, signed by another", lambda: listed(lists={LIST_URL: STRANGER.sign({n: v for n, v in status_list(KEY_SCHOOL).items() if n != "proof"})}), UNKNOWN, Reason.STATUS_LIST_UNKNOWN),
    Row("a list that was changed", lambda: listed(lists={LIST_URL: {**status_list(KEY_SCHOOL), "encodedList": "x"}}), UNKNOWN, Reason.STATUS_LIST_UNKNOWN),
    Row("a list of an earlier time", lambda: listed(lists={LIST_URL: status_list(KEY_SCHOOL, validUntil="2026-05-20T00:00:00Z")}), UNKNOWN, Reason.STATUS_LIST_UNKNOWN),
    Row("a list of an earlier time, its end renamed", lambda: listed(lists={LIST_URL: old_list()}), UNKNOWN, Reason.STATUS_LIST_UNKNOWN),
    Row("a list at another address", lambda: listed(lists={LIST_URL: status_list(KEY_SCHOOL, url=SUSPENSIONS_URL)}), UNKNOWN, Reason.STATUS_LIST_UNKNOWN),
    Row("a purpose without a rule, behind a URL", lambda: listed(write=entries(entry("probation"))), UNKNOWN, Reason.STATUS_LIST_UNKNOWN),
    Row("the credential's own signature is wrong", lambda: listed(tamper=lambda d: d.update(name="x")), UNKNOWN, Reason.NOT_REACHED),
    Row("the issuer is not listed", lambda: listed(trust=None), UNKNOWN, Reason.NOT_REACHED),
    Row("a chain by a name that is not known", lambda: Story(issuer=UNNAMED), UNKNOWN, Reason.UNKNOWN_NETWORK),
    Row("no entry", lambda: Story(write=without_status), NOT_APPLICABLE, Reason.NO_STATUS),
    Row("no entry, no identity", of_key_school, NOT_APPLICABLE, Reason.NO_STATUS),
]  # fmt: skip


# Freshness --------------------------------------------------------------------------------------------------


def aged(age: timedelta, **changes: Any) -> Story:
    return Story(shown=replace(GOOD, time=NOW - age), **changes)


FRESHNESS = [
    Row("within the limit", Story, PASSED),
    Row("at the limit", lambda: aged(DAY), PASSED),
    Row("asked for an earlier time", lambda: Story(as_of=LATER), PASSED),
    Row("a minute ahead of the clock", lambda: aged(-timedelta(seconds=60)), PASSED),
    Row("old, but the verifier's own header is fresh", lambda: chained(shown=replace(GOOD, time=NOW - 9 * DAY), own=replace(GOOD, number=4_100, time=NOW)), PASSED),
    Row("a second beyond the limit", lambda: aged(DAY + timedelta(seconds=1)), UNKNOWN, Reason.STALE),
    Row("beyond a policy's own limit", lambda: aged(timedelta(hours=1), policy=STRICT.limited_to(3599)), UNKNOWN, Reason.STALE),
    Row("old, whatever the header is that it hops to", lambda: hopped(shown=replace(GOOD, time=NOW - 2 * DAY)), UNKNOWN, Reason.STALE),
    Row("more than a minute ahead of the clock", lambda: aged(-timedelta(seconds=61)), UNKNOWN, Reason.CLOCK),
    Row("state not proven", lambda: Story(checkpoint=None), UNKNOWN, Reason.HEADER_NOT_TRUSTED),
    Row("no bundle", lambda: Story(bundled=False), UNKNOWN, Reason.BUNDLE_MISSING),
    Row("a chain by a name that is not known", lambda: Story(issuer=UNNAMED), UNKNOWN, Reason.UNKNOWN_NETWORK),
    Row("no identity", of_key_school, NOT_APPLICABLE, Reason.NO_IDENTITY),
]  # fmt: skip


# Issuer trust -----------------------------------------------------------------------------------------------


def trusted(did: str, start: datetime | None = None, end: datetime | None = None) -> TrustList:
    return TrustList((TrustEntry(did, "Listed", start, end),))


ISSUER_TRUST = [
    Row("on the list", Story, PASSED),
    Row("on the list, spelled in another case", lambda: Story(trust=trusted(MIXED_CASE)), PASSED),
    Row("listed from the very time of the anchor", lambda: Story(trust=trusted(SCHOOL.did, start=ANCHORED_AT)), PASSED),
    Row("no identity: the time asked for counts", lambda: of_key_school(trust=trusted(KEY_SCHOOL.did, start=NOW)), PASSED),
    Row("listed for two spans, one of them right", lambda: Story(trust=TrustList((TrustEntry(SCHOOL.did, "Then", end=ANCHORED_AT), TrustEntry(SCHOOL.did, "Since", ANCHORED_AT)))), PASSED),
    Row("listed, and no time is needed", lambda: Story(checkpoint=None), PASSED),
    Row("listed until the time of the anchor", lambda: Story(trust=trusted(SCHOOL.did, end=ANCHORED_AT)), FAILED, Reason.ISSUER_OUTSIDE_TIME),
    Row("listed since a later time", lambda: Story(trust=trusted(SCHOOL.did, start=ANCHORED_AT + DAY)), FAILED, Reason.ISSUER_OUTSIDE_TIME),
    Row("no identity, and the time asked for is outside", lambda: of_key_school(trust=trusted(KEY_SCHOOL.did, end=NOW)), FAILED, Reason.ISSUER_OUTSIDE_TIME),
    Row("no list", lambda: Story(trust=None), UNKNOWN, Reason.NO_TRUST_LIST),
    Row("not on the list", lambda: Story(trust=trusted(STRANGER.did)), UNKNOWN, Reason.ISSUER_NOT_LISTED),
    Row("the same identity on another chain", lambda: Story(trust=trusted(f"did:ethr:0x7:0x{IDENTITY.hex()}")), UNKNOWN, Reason.ISSUER_NOT_LISTED),
    Row("listed for a time, and the anchor is not proven", lambda: Story(trust=trusted(SCHOOL.did, start=ANCHORED_AT), checkpoint=None), UNKNOWN, Reason.ISSUER_TIME_UNKNOWN),
    Row("listed for a time, and the anchor failed", lambda: Story(trust=trusted(SCHOOL.did, start=ANCHORED_AT), shown=replace(GOOD, anchor=0)), UNKNOWN, Reason.ISSUER_TIME_UNKNOWN),
]  # fmt: skip


TABLES = {
    CheckName.NETWORK: NETWORK_ROWS,
    CheckName.HEADER: HEADER,
    CheckName.ANCHOR: ANCHOR,
    CheckName.KEY: KEY,
    CheckName.STATUS: STATUS,
    CheckName.FRESHNESS: FRESHNESS,
    CheckName.ISSUER_TRUST: ISSUER_TRUST,
}
IMPOSSIBLE: dict[CheckName, dict[Outcome, str]] = {
    CheckName.NETWORK: {},
    CheckName.HEADER: {
        FAILED: "a header that nobody vouches for is not shown to be wrong; a false bundle fails anchor"
    },
    CheckName.ANCHOR: {},
    CheckName.KEY: {},
    CheckName.STATUS: {},
    CheckName.FRESHNESS: {FAILED: "an old proof shows nothing about today, neither good nor bad"},
    CheckName.ISSUER_TRUST: {NOT_APPLICABLE: "somebody issued it, and is recognised or not"},
}


@pytest.mark.parametrize("row", NETWORK_ROWS, ids=ids)
def test_network(row: Row) -> None:
    hold(CheckName.NETWORK, row)


@pytest.mark.parametrize("row", HEADER, ids=ids)
def test_header(row: Row) -> None:
    hold(CheckName.HEADER, row)


@pytest.mark.parametrize("row", ANCHOR, ids=ids)
def test_anchor(row: Row) -> None:
    hold(CheckName.ANCHOR, row)


@pytest.mark.parametrize("row", KEY, ids=ids)
def test_key(row: Row) -> None:
    hold(CheckName.KEY, row)


@pytest.mark.parametrize("row", STATUS, ids=ids)
def test_status(row: Row) -> None:
    hold(CheckName.STATUS, row)


@pytest.mark.parametrize("row", FRESHNESS, ids=ids)
def test_freshness(row: Row) -> None:
    hold(CheckName.FRESHNESS, row)


@pytest.mark.parametrize("row", ISSUER_TRUST, ids=ids)
def test_issuer_trust(row: Row) -> None:
    hold(CheckName.ISSUER_TRUST, row)


@pytest.mark.parametrize("check", TABLES)
def test_the_table_has_exactly_the_possible_outcomes(check: CheckName) -> None:
    covers(TABLES[check], IMPOSSIBLE[check])


@pytest.mark.parametrize(
    ("story", "strength"),
    [(Story, "checkpoint"), (hopped, "checkpoint"), (chained, "one_endpoint")],
    ids=["a checkpoint file", "one hop to it", "one endpoint"],
)
def test_a_report_says_by_whose_word_its_header_is_trusted(story: Callable[[], Story], strength: str) -> None:
    assert story().report().to_json()["header"]["strength"] == strength


@pytest.mark.parametrize(
    ("story", "told"),
    [
        (chained(answers=wrong_at_first), "the endpoint rpc.example gave a wrong proof for block"),
        (chained(checkpoint="shown", answers=torn), "fewer than 2 of 3 operators"),
        (chained(checkpoint="shown", answers=wrong_state), "the endpoint rpc.example gave a wrong proof"),
    ],
    ids=["before another one", "where a checkpoint file decides", "and no endpoint is right"],
)
def test_who_was_at_fault_is_named_though_the_header_is_trusted(story: Story, told: str) -> None:
    check = story.report()[CheckName.HEADER]
    assert check.outcome is PASSED
    assert told in check.basis
