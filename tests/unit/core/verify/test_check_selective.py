"""Credentials shown in part, under ecdsa-sd-2023 and bbs-2023 (FORMATS.md sections 2, 3 and 9)."""

# ruff: noqa: E501 - a table has one row a line

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from fixtures.check_tables import FAILED, NOT_APPLICABLE, PASSED, UNKNOWN, Row, hold, ids
from fixtures.selective import BbsKey, P256Key, SelectiveIssuer, deriving, with_key
from fixtures.verification import (
    ASKED,
    CHAIN_ID,
    CHALLENGE,
    DOMAIN,
    LEARNER,
    LIST_URL,
    NETWORK,
    SCHOOL,
    SHOWN_BLOCK,
    STRANGER,
    SUSPENSIONS_URL,
    LedgerState,
    Signatory,
    Story,
    agreed,
    did_document,
    entry,
    key_word,
    list_word,
    of_key_school,
    revoked,
    signing_key,
    standards,
    without_status,
)

from node.core.bbs.blind import BLIND_BBS, commit
from node.core.bbs.interface import seeded_scalars
from node.core.dataintegrity import prepare_proof, proofs_of
from node.core.dataintegrity.bbs_2023 import (
    BoundHolder,
    encode_derived_proof,
    nym_domain_of,
    parse_derived_proof,
    presentation_header_of,
)
from node.core.dataintegrity.bbs_binding import Binding, bind
from node.core.did.document import DidDocument
from node.core.verify.holder import Asked
from node.core.verify.materials import Mode
from node.core.verify.report import Acceptance, CheckName, Outcome, Reason
from node.core.verify.trust import TrustEntry, TrustList

Json = dict[str, Any]
NAME = "/credentialSubject/achievement/name"
RESULT = "/credentialSubject/result/0"
P256, BBS = P256Key("school on P-256"), BbsKey("school with BBS")
ON_CHAIN = SelectiveIssuer(SCHOOL.did, SCHOOL.fragment, P256)  # type: ignore[arg-type]
KEYED = with_key(P256, "ecdsa-sd-2023")
TRUSTED = TrustList((TrustEntry(SCHOOL.did, "School"), TrustEntry(KEYED.did, "School")))


def with_results(document: Json) -> None:
    document["credentialSubject"]["achievement"]["resultDescription"] = [
        {"id": f"urn:uuid:0f0e0d0c-0000-4000-8000-00000000001{n}", "type": ["ResultDescription"], "name": f"part {n}", "resultType": "Percent"}
        for n in range(2)
    ]  # fmt: skip
    document["credentialSubject"]["result"] = [
        {"type": ["Result"], "resultDescription": f"urn:uuid:0f0e0d0c-0000-4000-8000-00000000001{n}", "value": str(70 + n)}
        for n in range(2)
    ]  # fmt: skip


def story(issuer: SelectiveIssuer = ON_CHAIN, **changes: Any) -> Story:
    """A badge, anchored where its issuer is on a chain, of which its name and one result are shown."""
    fields: Json = {
        "issuer": issuer,
        "write": with_results,
        "disclose": deriving(NAME, RESULT),
        "show": (),
        "trust": TRUSTED,
    }
    return Story(**{**fields, **changes})


def written(*changes: Callable[[Json], object]) -> Callable[[Json], None]:
    def change(document: Json) -> None:
        with_results(document)
        for one in changes:
            one(document)

    return change


def test_a_name_and_one_result_of_an_anchored_badge_are_presented_and_anchor_key_and_status_still_pass() -> (
    None
):
    report = story(holder=LEARNER).report()
    assert report.acceptance is Acceptance.ACCEPTED
    passed = (CheckName.PROOF, CheckName.ANCHOR, CheckName.KEY, CheckName.STATUS, CheckName.HOLDER_BINDING)
    assert {report[name].outcome for name in passed} == {Outcome.PASSED}
    (credential,) = report.credentials
    assert credential.document is not None
    assert [one["value"] for one in credential.document["credentialSubject"]["result"]] == ["70"]
    assert "criteria" not in credential.document["credentialSubject"]["achievement"]
    assert "it dates the mandatory statements alone" in report[CheckName.ANCHOR].basis


def test_whatever_is_disclosed_the_anchored_digest_is_the_same() -> None:
    for pointers in ((NAME,), (RESULT,), (RESULT, "/name")):
        assert story(disclose=deriving(*pointers)).report()[CheckName.ANCHOR].outcome is Outcome.PASSED


def test_a_part_of_a_badge_that_was_revoked_is_refused() -> None:
    report = story(shown=LedgerState(values=revoked())).report()
    assert report[CheckName.STATUS].reason is Reason.REVOKED
    assert report.acceptance is Acceptance.REFUSED


def two_entries(document: Json) -> None:
    document["credentialStatus"] = [entry(), entry("suspension", url=SUSPENSIONS_URL)]


def endorsed(document: Json) -> None:
    """With another credential in it, which has an issuer too."""
    with_results(document)
    document["endorsement"] = [
        {
            "id": "urn:uuid:11111111-0000-4000-8000-000000000001",
            "type": ["VerifiableCredential", "EndorsementCredential"],
            "issuer": {"id": "did:example:endorser", "type": ["Profile"]},
            "validFrom": "2026-04-01T00:00:00Z",
            "name": "Sound work",
            "credentialSubject": {"id": "urn:example:somebody", "type": ["EndorsementSubject"]},
        }
    ]


def over_all(document: Json) -> Json:
    """With one more proof of the issuer's, over all that is shown."""
    options = {
        "cryptosuite": "ecdsa-jcs-2019",
        "verificationMethod": KEYED.method,
        "proofPurpose": "assertionMethod",
    }
    prepared = prepare_proof(document, options, standards().canonicalizer, key_kind=P256.public_key.kind)
    return prepared.finish(P256.sign(prepared.message))


BOTH_LISTS = LedgerState(lists={("revocation", LIST_URL): list_word(), ("suspension", SUSPENSIONS_URL): list_word(mode=2)})  # fmt: skip
SUSPENDED_LISTS = replace(BOTH_LISTS, values={("suspension", SUSPENSIONS_URL, 94_567, 1): 1})


def mandatory(*pointers: str) -> SelectiveIssuer:
    return replace(ON_CHAIN, mandatory=pointers)


DATES = ("/issuer", "/validFrom", "/validUntil", "/credentialStatus")
WITHOUT_END = mandatory("/issuer", "/validFrom", "/credentialStatus")
WITHOUT_BEGIN = mandatory("/issuer", "/validUntil", "/credentialStatus")
WITHOUT_STATUS = mandatory("/issuer", "/validFrom", "/validUntil")
WITHOUT_LINK = mandatory("/issuer", "/validFrom", "/validUntil", "/credentialStatus/statusPurpose")
WITHOUT_SECOND = mandatory("/issuer", "/validFrom", "/validUntil", "/credentialStatus/0")
TO_COME = {"validFrom": "2026-07-01T00:00:00Z"}
EXPIRED = {"validFrom": "2026-04-01T00:00:00Z", "validUntil": "2026-05-31T00:00:00Z"}

PROOF = [
    Row("derived, by the bundle's key", story, PASSED),
    Row("derived, by a self-certifying key", lambda: story(KEYED), PASSED),
    Row("a base proof", lambda: story(disclose=None), FAILED, Reason.BASE_PROOF),
    Row("a base proof beside a sound one of another suite", lambda: story(disclose=None, more_proofs=((replace(SCHOOL, key=SCHOOL.key), {}),), anchored_proof=0), FAILED, Reason.BASE_PROOF),
    Row("a value of neither kind", lambda: story(KEYED, disclose=lambda d: {**d, "proof": [{**d["proof"][0], "proofValue": "u2V0HgA"}]}), FAILED, Reason.CHANGED),
    Row("a disclosed member changed", lambda: story(disclose=lambda d: {**deriving("/name", NAME)(d), "name": "With honours"}), FAILED, Reason.CHANGED),
    Row("a mandatory member changed", lambda: story(disclose=lambda d: {**deriving(NAME)(d), "validUntil": "2031-01-01T00:00:00Z"}), FAILED, Reason.CHANGED),
    Row("a mandatory member left out", lambda: story(disclose=lambda d: {n: v for n, v in deriving(NAME)(d).items() if n != "credentialStatus"}), FAILED, Reason.CHANGED),
]  # fmt: skip

STATUS = [
    Row("its entry is mandatory", story, PASSED),
    Row("its entry is mandatory, and an endorsement in it shown", lambda: story(write=endorsed, disclose=deriving(NAME, "/endorsement")), PASSED),
    Row("without an id of its own, and with an endorsement, which credential it is of is not known", lambda: story(write=written(endorsed, lambda d: d.pop("id")), disclose=deriving(NAME, "/endorsement")), UNKNOWN, Reason.MAY_BE_HIDDEN),
    Row("its entry is hidden", lambda: story(WITHOUT_STATUS), UNKNOWN, Reason.MAY_BE_HIDDEN),
    Row("it has none, which looks the same", lambda: story(WITHOUT_STATUS, write=written(without_status)), UNKNOWN, Reason.MAY_BE_HIDDEN),
    Row("its entry was shown of free will", lambda: story(WITHOUT_STATUS, disclose=deriving(NAME, "/credentialStatus")), UNKNOWN, Reason.MAY_BE_HIDDEN),
    Row("shown of free will, and revoked", lambda: story(WITHOUT_STATUS, disclose=deriving(NAME, "/credentialStatus"), shown=LedgerState(values=revoked())), FAILED, Reason.REVOKED),
    Row("a part of its entry is mandatory", lambda: story(WITHOUT_LINK, disclose=deriving(NAME, "/credentialStatus")), UNKNOWN, Reason.MAY_BE_HIDDEN),
    Row("both of its entries are mandatory", lambda: story(write=written(two_entries), shown=BOTH_LISTS), PASSED),
    Row("one of its two entries is mandatory, and the other shown of free will", lambda: story(WITHOUT_SECOND, write=written(two_entries), disclose=deriving(NAME, "/credentialStatus"), shown=BOTH_LISTS), UNKNOWN, Reason.MAY_BE_HIDDEN),
    Row("the one shown of free will says suspended", lambda: story(WITHOUT_SECOND, write=written(two_entries), disclose=deriving(NAME, "/credentialStatus"), shown=SUSPENDED_LISTS), FAILED, Reason.SUSPENDED),
    Row("its entry is hidden, by terms that are of bbs-2023 alone", lambda: story(WITHOUT_STATUS, write=written(without_status, lambda d: d.update(TERMS))), UNKNOWN, Reason.MAY_BE_HIDDEN),
    Row("it has none, and a proof over all of it beside", lambda: story(replace(KEYED, mandatory=WITHOUT_STATUS.mandatory), write=written(without_status), disclose=lambda d: over_all(deriving(NAME)(d))), NOT_APPLICABLE, Reason.NO_STATUS),
    Row("it has none, and nothing was derived, though its proof fails", lambda: of_key_school(tamper=lambda d: d.update(name="Another")), NOT_APPLICABLE, Reason.NO_STATUS),
    Row("without a chain, its entry is hidden", lambda: story(replace(KEYED, mandatory=WITHOUT_STATUS.mandatory)), UNKNOWN, Reason.MAY_BE_HIDDEN),
]  # fmt: skip

VALIDITY = [
    Row("its end is mandatory", story, PASSED),
    Row("its end is mandatory, and past", lambda: story(write=written(lambda d: d.update(EXPIRED))), FAILED, Reason.EXPIRED),
    Row("its end is hidden", lambda: story(WITHOUT_END), UNKNOWN, Reason.MAY_BE_HIDDEN),
    Row("its end is hidden, and past", lambda: story(WITHOUT_END, write=written(lambda d: d.update(EXPIRED))), UNKNOWN, Reason.MAY_BE_HIDDEN),
    Row("it has none, which looks the same", lambda: story(WITHOUT_END, write=written(lambda d: d.pop("validUntil"))), UNKNOWN, Reason.MAY_BE_HIDDEN),
    Row("its end was shown of free will", lambda: story(WITHOUT_END, disclose=deriving(NAME, "/validUntil")), UNKNOWN, Reason.MAY_BE_HIDDEN),
    Row("its begin is hidden", lambda: story(WITHOUT_BEGIN), UNKNOWN, Reason.MAY_BE_HIDDEN),
    Row("its begin is hidden, and to come", lambda: story(WITHOUT_BEGIN, write=written(lambda d: d.update(TO_COME))), UNKNOWN, Reason.MAY_BE_HIDDEN),
    Row("its begin was shown of free will", lambda: story(WITHOUT_BEGIN, disclose=deriving(NAME, "/validFrom")), UNKNOWN, Reason.MAY_BE_HIDDEN),
    Row("its begin was shown of free will, and is to come", lambda: story(WITHOUT_BEGIN, disclose=deriving(NAME, "/validFrom"), write=written(lambda d: d.update(TO_COME))), FAILED, Reason.NOT_YET_VALID),
    Row("its begin is hidden, and its end past", lambda: story(WITHOUT_BEGIN, write=written(lambda d: d.update(EXPIRED))), FAILED, Reason.EXPIRED),
    Row("shown of free will, and past", lambda: story(WITHOUT_END, disclose=deriving(NAME, "/validUntil"), write=written(lambda d: d.update(EXPIRED))), FAILED, Reason.EXPIRED),
]  # fmt: skip

SCHEMA = [
    Row("what was left out is required", story, UNKNOWN, Reason.MAY_BE_HIDDEN),
    Row("all of it is shown", lambda: story(disclose=deriving("/credentialSubject", "/name", "/evidence")), PASSED),
    Row("what is shown is wrong", lambda: story(write=written(lambda d: d["credentialSubject"]["result"][0].update(value=7))), FAILED, Reason.SCHEMA_BROKEN),
]  # fmt: skip


def about_two(document: Json) -> None:
    with_results(document)
    document["credentialSubject"] = [document["credentialSubject"], {"id": STRANGER.did, "type": ["AchievementSubject"]}]  # fmt: skip


NAME_OF_FIRST = "/credentialSubject/0/achievement/name"
WITHOUT_SUBJECT = mandatory(*DATES)
BINDING = [
    Row("its subject is mandatory", lambda: story(holder=LEARNER), PASSED),
    Row("its subject is not mandatory, so that there may be another", lambda: story(WITHOUT_SUBJECT, holder=LEARNER), UNKNOWN, Reason.MAY_BE_HIDDEN),
    Row("its subject is not mandatory, and is another", lambda: story(WITHOUT_SUBJECT, holder=STRANGER), FAILED, Reason.HOLDER_DIFFERS),
    Row("of two subjects none is mandatory, and the other is withheld", lambda: story(WITHOUT_SUBJECT, holder=LEARNER, write=about_two, disclose=deriving(NAME_OF_FIRST)), UNKNOWN, Reason.MAY_BE_HIDDEN),
    Row("of two subjects one is mandatory, and the other shown of free will", lambda: story(mandatory(*DATES, "/credentialSubject/0/id"), holder=LEARNER, write=about_two, disclose=deriving("/credentialSubject/1")), FAILED, Reason.HOLDER_DIFFERS),
    Row("of two subjects both are mandatory", lambda: story(mandatory(*DATES, "/credentialSubject/0/id", "/credentialSubject/1/id"), holder=LEARNER, write=about_two, disclose=deriving(NAME_OF_FIRST)), FAILED, Reason.HOLDER_DIFFERS),
    Row("its subject is not mandatory, and a proof over all of it beside", lambda: story(replace(KEYED, mandatory=DATES[:3]), holder=LEARNER, write=written(without_status), disclose=lambda d: over_all(deriving(NAME)(d))), PASSED),
]  # fmt: skip

ANCHOR = [
    Row("of the base signature", story, PASSED),
    Row("supplied for an issuer without a chain", lambda: story(KEYED, bundled=True), FAILED, Reason.ANCHOR_OUT_OF_PLACE),
]  # fmt: skip

TABLES = {
    CheckName.PROOF: PROOF,
    CheckName.STATUS: STATUS,
    CheckName.VALIDITY_PERIOD: VALIDITY,
    CheckName.SCHEMA: SCHEMA,
    CheckName.ANCHOR: ANCHOR,
    CheckName.HOLDER_BINDING: BINDING,
}


@pytest.mark.parametrize(("check", "row"), [(check, row) for check, rows in TABLES.items() for row in rows], ids=lambda value: ids(value) if isinstance(value, Row) else str(value))  # fmt: skip
def test_ecdsa_sd_2023(check: CheckName, row: Row) -> None:
    hold(check, row)


def test_a_badge_that_hides_its_status_its_begin_or_its_end_is_never_accepted() -> None:
    for issuer in (WITHOUT_STATUS, WITHOUT_BEGIN, WITHOUT_END):
        assert story(issuer).report().acceptance is Acceptance.UNDETERMINED


def test_a_credential_without_an_id_has_its_mandatory_statements_all_the_same() -> None:
    write = written(lambda document: document.pop("id"))
    report = story(write=write).report()
    assert report[CheckName.STATUS].outcome is Outcome.PASSED
    assert report[CheckName.VALIDITY_PERIOD].outcome is Outcome.PASSED


RETIRED = Signatory(SCHOOL.did, "delegate-2", signing_key("a retired key of the school"))


def both_keys() -> DidDocument:
    """The registry keeps the attributes of retired keys, so that old badges still verify."""
    document = did_document(SCHOOL.did, RETIRED)
    other = did_document(SCHOOL.did, ON_CHAIN)
    return replace(
        document,
        methods=(*document.methods, *other.methods),
        relationships={"assertionMethod": frozenset({RETIRED.method, ON_CHAIN.method})},
    )


def test_a_retired_key_makes_no_whole_of_a_part_that_was_anchored() -> None:
    def disclose(issued: Json) -> Json:
        shown = deriving("/credentialSubject", "/name", "/evidence")(issued)
        return RETIRED.sign(shown, cryptosuite="eddsa-rdfc-2022")

    def name_the_anchored(bundle: Json) -> None:
        bundle["anchor"]["proofValue"] = bundle["credential"]["proof"][0]["proofValue"]

    report = story(
        WITHOUT_STATUS,
        disclose=disclose,
        spoil=name_the_anchored,
        mode=Mode.CHAIN,
        documents={SCHOOL.did: agreed(both_keys())},
        shown=LedgerState(values=revoked()),
    ).report()
    assert report[CheckName.ANCHOR].outcome is Outcome.PASSED
    assert report[CheckName.STATUS].reason is Reason.MAY_BE_HIDDEN
    assert report.acceptance is Acceptance.UNDETERMINED


@pytest.mark.parametrize("issuer", [WITHOUT_END, WITHOUT_STATUS])
def test_with_a_base_proof_nothing_is_left_out(issuer: SelectiveIssuer) -> None:
    report = story(issuer, disclose=None).report()
    assert report[CheckName.PROOF].reason is Reason.BASE_PROOF
    assert report[CheckName.VALIDITY_PERIOD].outcome is PASSED
    assert Reason.MAY_BE_HIDDEN not in {check.reason for check in report.checks}
    assert report.acceptance is Acceptance.REFUSED


# bbs-2023 ---------------------------------------------------------------------------------------------------

TERMS = {"validFrom": "2026-05-25T00:00:00Z", "validUntil": "2026-06-22T00:00:00Z"}
BBS_MANDATORY = ("/issuer", "/validFrom", "/validUntil")
BBS_ISSUER = with_key(BBS, "bbs-2023", mandatory=BBS_MANDATORY)
BBS_ON_CHAIN = SelectiveIssuer(SCHOOL.did, SCHOOL.fragment, BBS, "bbs-2023", BBS_MANDATORY)  # type: ignore[arg-type]
BBS_STATE = LedgerState(key=key_word(purposes=4), anchor=0)


def by_terms(document: Json) -> None:
    """What makes presentations unlinkable: no status, no ids of its own, the dates of an epoch."""
    without_status(document)
    with_results(document)
    document.pop("id")
    document["credentialSubject"].pop("id")
    document.update(TERMS)


def no_anchor(bundle: Json) -> None:
    del bundle["anchor"]


def bbs(issuer: SelectiveIssuer = BBS_ISSUER, **changes: Any) -> Story:
    fields: Json = {
        "issuer": issuer,
        "write": by_terms,
        "disclose": deriving(NAME, RESULT, entropy=b"\x07" * 32),
        "show": (),
        "spoil": no_anchor,
        "shown": BBS_STATE,
        "trust": TrustList((TrustEntry(issuer.did, "School"),)),
    }
    return Story(**{**fields, **changes})


def chained_bbs(issuer: SelectiveIssuer = BBS_ON_CHAIN, **changes: Any) -> Story:
    return bbs(issuer, **changes)


def also(*changes: Callable[[Json], object]) -> Callable[[Json], None]:
    def change(document: Json) -> None:
        by_terms(document)
        for one in changes:
            one(document)

    return change


FAR = SHOWN_BLOCK - 100
SHORT = {CHAIN_ID: replace(NETWORK, blocks_in_31_days=100)}
BBS_TABLES = {
    CheckName.PROOF: [
        Row("derived, by a self-certifying key", bbs, PASSED),
        Row("derived, by the bundle's key", chained_bbs, PASSED),
        Row("a base proof", lambda: bbs(disclose=None), FAILED, Reason.BASE_PROOF),
        Row("a disclosed member changed", lambda: bbs(disclose=lambda d: {**bbs().disclose(d), "validUntil": "2026-06-29T00:00:00Z"}), FAILED, Reason.CHANGED),  # type: ignore[misc]
        Row("no slot confirms the bundle's key", lambda: chained_bbs(checkpoint=None), UNKNOWN, Reason.KEY_NOT_CONFIRMED),
    ],
    CheckName.PROOF_PURPOSE: [
        Row("a key registered for it", chained_bbs, PASSED),
        Row("a key registered for what is anchored", lambda: chained_bbs(shown=LedgerState(key=key_word(purposes=1), anchor=0)), FAILED, Reason.WRONG_PURPOSE),
    ],
    CheckName.ANCHOR: [
        Row("by the terms, nothing is anchored", chained_bbs, NOT_APPLICABLE, Reason.UNLINKABLE),
        Row("no identity", bbs, NOT_APPLICABLE, Reason.NO_IDENTITY),
        Row("an anchor was supplied", lambda: chained_bbs(spoil=lambda _: None), FAILED, Reason.ANCHOR_OUT_OF_PLACE),
        Row("its end is not mandatory", lambda: chained_bbs(issuer=replace(BBS_ON_CHAIN, mandatory=("/issuer",)), disclose=deriving(NAME, "/validUntil", "/validFrom", entropy=b"\x07" * 32)), UNKNOWN, Reason.TERMS_BROKEN),
        Row("it lives for too long", lambda: chained_bbs(write=also(lambda d: d.update(validUntil="2026-06-29T00:00:00Z"))), UNKNOWN, Reason.TERMS_BROKEN),
        Row("its dates are its own", lambda: chained_bbs(write=also(lambda d: d.update(validFrom="2026-05-25T00:00:01Z"))), UNKNOWN, Reason.TERMS_BROKEN),
        Row("it has a status entry", lambda: chained_bbs(issuer=replace(BBS_ON_CHAIN, mandatory=DATES), write=also(lambda d: d.update(credentialStatus=entry()))), UNKNOWN, Reason.TERMS_BROKEN),
    ],
    CheckName.KEY: [
        Row("open at the header", chained_bbs, PASSED),
        Row("retired less than 31 days before", lambda: chained_bbs(shown=replace(BBS_STATE, key=key_word(until=FAR, purposes=4)), operator_networks=SHORT), PASSED),
        Row("retired more than 31 days before", lambda: chained_bbs(shown=replace(BBS_STATE, key=key_word(until=FAR - 1, purposes=4)), operator_networks=SHORT), FAILED, Reason.KEY_RETIRED),
        Row("the identity was closed more than 31 days before", lambda: chained_bbs(shown=replace(BBS_STATE, closed=FAR - 1), operator_networks=SHORT), FAILED, Reason.KEY_RETIRED),
        Row("compromised, whenever", lambda: chained_bbs(shown=replace(BBS_STATE, key=key_word(since=SHOWN_BLOCK, declared=SHOWN_BLOCK, until=SHOWN_BLOCK, purposes=4))), FAILED, Reason.KEY_COMPROMISED),
        Row("registered for another purpose", lambda: chained_bbs(shown=replace(BBS_STATE, key=key_word(purposes=3))), FAILED, Reason.KEY_PURPOSE),
        Row("never registered", lambda: chained_bbs(shown=replace(BBS_STATE, key=0)), FAILED, Reason.KEY_NOT_REGISTERED),
        Row("not registered yet, at a header before the bundle's own", lambda: chained_bbs(mode=Mode.CHAIN, checkpoint=None, own=replace(BBS_STATE, key=0, number=SHOWN_BLOCK - 1)), UNKNOWN, Reason.STATE_NOT_PROVEN),
        Row("not proven", lambda: chained_bbs(checkpoint=None), UNKNOWN, Reason.HEADER_NOT_TRUSTED),
        Row("no identity", bbs, NOT_APPLICABLE, Reason.NO_IDENTITY),
    ],
    CheckName.STATUS: [
        Row("by the terms, it has none", bbs, NOT_APPLICABLE, Reason.NO_STATUS),
        Row("by the terms, on a chain", chained_bbs, NOT_APPLICABLE, Reason.NO_STATUS),
        Row("without the terms, it may be hidden", lambda: bbs(write=also(lambda d: d.update(validUntil="2027-06-28T00:00:00Z"))), UNKNOWN, Reason.MAY_BE_HIDDEN),
        Row("without the terms, its entry is mandatory", lambda: chained_bbs(issuer=replace(BBS_ON_CHAIN, mandatory=DATES), write=also(lambda d: d.update(credentialStatus=entry()))), PASSED),
        Row("without the terms, on a chain", lambda: chained_bbs(write=also(lambda d: d.update(validUntil="2027-06-28T00:00:00Z"))), UNKNOWN, Reason.MAY_BE_HIDDEN),
        Row("its end is not mandatory", lambda: bbs(issuer=replace(BBS_ISSUER, mandatory=("/issuer",)), disclose=deriving(NAME, "/validUntil", "/validFrom", entropy=b"\x07" * 32)), UNKNOWN, Reason.MAY_BE_HIDDEN),
    ],
    CheckName.VALIDITY_PERIOD: [
        Row("its end is mandatory", bbs, PASSED),
        Row("its begin is hidden", lambda: bbs(issuer=replace(BBS_ISSUER, mandatory=("/issuer", "/validUntil"))), UNKNOWN, Reason.MAY_BE_HIDDEN),
        Row("its end is hidden", lambda: bbs(issuer=replace(BBS_ISSUER, mandatory=("/issuer",))), UNKNOWN, Reason.MAY_BE_HIDDEN),
        Row("its end is past", lambda: bbs(write=also(lambda d: d.update(validFrom="2026-05-04T00:00:00Z", validUntil="2026-06-01T00:00:00Z"))), FAILED, Reason.EXPIRED),
    ],
}  # fmt: skip


@pytest.mark.parametrize(("check", "row"), [(check, row) for check, rows in BBS_TABLES.items() for row in rows], ids=lambda value: ids(value) if isinstance(value, Row) else str(value))  # fmt: skip
def test_bbs_2023(check: CheckName, row: Row) -> None:
    hold(check, row)


def test_a_part_of_an_unlinkable_badge_is_accepted_with_no_proof_of_time() -> None:
    report = chained_bbs().report()
    assert report.acceptance is Acceptance.ACCEPTED
    assert report[CheckName.KEY].basis.endswith("no proof of time")
    assert report.anchored is None


HEADER = presentation_header_of(CHALLENGE, DOMAIN)
OTHERS = presentation_header_of("theirs", "https://other.example")
SECRET = b"a secret of the learner's"


def for_occasion(header: bytes, **options: Any) -> Callable[[Json], Json]:
    return deriving(NAME, entropy=b"\x07" * 32, presentation_header=header, **options)


def bound_bbs(header: bytes = HEADER, **changes: Any) -> Story:
    """A badge that was signed over a secret of its holder's, unseen, and a proof that was derived for an occasion."""
    commitment = commit([SECRET], seeded_scalars(b"\x05" * 32, b"commit"), interface=BLIND_BBS)
    issuer = replace(BBS_ISSUER, more={"commitment_with_proof": commitment.commitment_with_proof})
    holder = BoundHolder(commitment.secret_prover_blind, SECRET)
    fields: Json = {"issuer": issuer, "disclose": for_occasion(header, holder=holder), "asked": ASKED}
    return bbs(**{**fields, **changes})


OCCASIONS = {
    CheckName.HOLDER_BINDING: [
        Row("by a secret of the holder's", bound_bbs, PASSED),
        Row("by whoever has the credential", lambda: bbs(disclose=for_occasion(HEADER), asked=ASKED), UNKNOWN, Reason.DOCUMENT_ALONE),
        Row("for no occasion", lambda: bound_bbs(b""), UNKNOWN, Reason.DOCUMENT_ALONE),
    ],
    CheckName.CHALLENGE: [
        Row("by a secret of the holder's, as asked", bound_bbs, PASSED),
        Row("by whoever has the credential, as asked", lambda: bbs(disclose=for_occasion(HEADER), asked=ASKED), PASSED),
        Row("for another occasion", lambda: bound_bbs(OTHERS), FAILED, Reason.FOR_SOMEBODY_ELSE),
        Row("for another occasion, by whoever has the credential", lambda: bbs(disclose=for_occasion(OTHERS), asked=ASKED), FAILED, Reason.FOR_SOMEBODY_ELSE),
        Row("as asked, and something more", lambda: bound_bbs(HEADER[:-1] + b',"more":1}'), FAILED, Reason.FOR_SOMEBODY_ELSE),
        Row("for an occasion that it does not tell", lambda: bound_bbs(b"\x01\x02"), FAILED, Reason.FOR_SOMEBODY_ELSE),
        Row("nothing was asked", lambda: bound_bbs(asked=Asked()), UNKNOWN, Reason.NOT_ASKED),
        Row("nothing was asked of a document", lambda: bbs(disclose=for_occasion(HEADER), asked=Asked()), NOT_APPLICABLE, Reason.DOCUMENT_ALONE),
        Row("a document for an occasion of another kind", lambda: bbs(disclose=for_occasion(b"{}")), NOT_APPLICABLE, Reason.DOCUMENT_ALONE),
        Row("asked, and made for an occasion of another kind", lambda: bbs(disclose=for_occasion(b"{}"), asked=ASKED), FAILED, Reason.COPY),
    ],
    CheckName.DOMAIN: [
        Row("as asked", bound_bbs, PASSED),
        Row("another", lambda: bound_bbs(OTHERS), FAILED, Reason.FOR_SOMEBODY_ELSE),
    ],
}  # fmt: skip


@pytest.mark.parametrize(("check", "row"), [(check, row) for check, rows in OCCASIONS.items() for row in rows], ids=lambda value: ids(value) if isinstance(value, Row) else str(value))  # fmt: skip
def test_a_proof_that_was_derived_for_an_occasion(check: CheckName, row: Row) -> None:
    hold(check, row)


def test_a_presentation_header_that_was_exchanged_is_seen() -> None:
    theirs = proofs_of(bound_bbs(OTHERS).credential())[0]
    forged = encode_derived_proof(replace(parse_derived_proof(theirs), presentation_header=HEADER))
    story = bound_bbs()
    document = {**story.credential()}
    document["proof"] = [{**document["proof"][0], "proofValue": forged}]
    report = bound_bbs(disclose=lambda _: document).report()
    assert report[CheckName.PROOF].reason is Reason.CHANGED
    assert report.acceptance is Acceptance.REFUSED


def test_a_badge_presented_by_its_holder_without_a_name_is_accepted() -> None:
    assert bound_bbs().report().acceptance is Acceptance.ACCEPTED


# Pseudonyms -------------------------------------------------------------------------------------------------

NYM_ENTROPY = (7).to_bytes(32, "big")


def known_bbs(
    binding: Binding = Binding.PSEUDONYM,
    *,
    domain: str = DOMAIN,
    nym_domain: bytes | None = None,
    **changes: Any,
) -> Story:
    """A badge with pseudonyms, shown to one verifier; `nym_domain` is for whom its name is, if for another."""
    bound = bind(binding, b"\x05" * 32)
    more: Json = {"commitment_with_proof": bound.commitment_with_proof}
    if binding.has_pseudonyms:
        more["signer_nym_entropy"] = NYM_ENTROPY
    holder = replace(bound.holder, nym_domain=nym_domain or nym_domain_of(domain))
    fields: Json = {
        "issuer": replace(BBS_ISSUER, more=more),
        "disclose": for_occasion(presentation_header_of(CHALLENGE, domain), holder=holder),
        "asked": Asked(CHALLENGE, (domain,)),
    }
    return bbs(**{**fields, **changes})


def pseudonym_in(story: Story) -> str | None:
    report = story.report()
    assert report.acceptance is Acceptance.ACCEPTED
    assert report.holder_secret is not None
    assert report.to_json()["holder_secret"] == report.holder_secret.to_json()
    return report.holder_secret.pseudonym


@pytest.mark.parametrize("binding", [Binding.PSEUDONYM, Binding.BOTH])
def test_a_verifier_knows_a_holder_again_whenever_and_whatever_is_shown_and_nobody_else_does(
    binding: Binding,
) -> None:
    name = pseudonym_in(known_bbs(binding))
    again = replace(
        known_bbs(binding), write=also(lambda d: d.update(EARLIER)), options={"created": EARLIER["validFrom"]}
    )
    assert name is not None
    assert pseudonym_in(again) == name
    assert pseudonym_in(known_bbs(binding, domain="https://other.example")) != name


EARLIER = {"validFrom": "2026-05-18T00:00:00Z", "validUntil": "2026-06-15T00:00:00Z"}


def test_a_secret_without_pseudonyms_tells_nobody_apart() -> None:
    assert pseudonym_in(known_bbs(Binding.HOLDER)) is None


def test_a_name_for_another_verifier_is_none_for_this_one() -> None:
    report = known_bbs(nym_domain=b"https://other.example").report()
    assert report[CheckName.PROOF].outcome is Outcome.FAILED
    assert report.holder_secret is None


@pytest.mark.parametrize(
    "asked",
    [Asked(), Asked(CHALLENGE), Asked("another", (DOMAIN,)), Asked(CHALLENGE, ("https://other.example",))],
    ids=["nothing asked", "of nobody", "another challenge", "another verifier"],
)
def test_a_name_is_told_only_to_the_verifier_who_asked_for_it(asked: Asked) -> None:
    report = known_bbs(asked=asked).report()
    assert report[CheckName.PROOF].outcome is Outcome.PASSED
    assert report.holder_secret is None
    assert "holder_secret" not in report.to_json()


def test_a_name_for_nobody_who_is_told_leaves_the_proof_unknown() -> None:
    holder = replace(bind(Binding.PSEUDONYM, b"\x05" * 32).holder, nym_domain=b"somewhere")
    told, untold = (
        known_bbs(disclose=for_occasion(b"", holder=replace(holder, tells_domain=tells)), asked=Asked())
        for tells in (True, False)
    )
    assert told.report()[CheckName.PROOF].outcome is Outcome.PASSED
    assert told.report().acceptance is Acceptance.ACCEPTED
    assert untold.report()[CheckName.PROOF].outcome is Outcome.UNKNOWN
