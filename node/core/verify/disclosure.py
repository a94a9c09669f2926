"""What of a credential its holder may have left out (FORMATS.md section 2, selective disclosure).

Absent and hidden look alike. So of a credential that was shown in part, status entries, begin and end count for it only
where its issuer made them mandatory; what was shown beyond that can only count against it. That an issuer made all of
`credentialStatus` mandatory shows in that no statement of an entry is shown which is not; that he made all subjects so,
in that no link to a subject is shown which is not. Whoever makes one of them mandatory and another one not has chosen
what his holders may leave out, and nobody can see it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Final

from node.core.canonical.rdfc import Canonicalizer
from node.core.dataintegrity.bbs_terms import broken_terms
from node.core.dataintegrity.cryptosuite import SelectiveSuite
from node.core.dataintegrity.proof import Proof
from node.core.dataintegrity.selective import mandatory_statements
from node.core.dataintegrity.suites import selective_suite_of, unsecured
from node.core.errors import BonafidesError, Malformed
from node.core.jose.sd_jwt_vc import DC_SD_JWT
from node.core.verify.reading import Document
from node.core.verify.report import Check, CheckName, Outcome, Reason

_CREDENTIALS: Final = "https://www.w3.org/2018/credentials#"
_ISSUER: Final = f"<{_CREDENTIALS}issuer>"
_STATUS: Final = f"<{_CREDENTIALS}credentialStatus>"
_SUBJECT: Final = f"<{_CREDENTIALS}credentialSubject>"
_BEGINS: Final = (f"<{_CREDENTIALS}validFrom>", f"<{_CREDENTIALS}issuanceDate>")
_ENDS: Final = (f"<{_CREDENTIALS}validUntil>", f"<{_CREDENTIALS}expirationDate>")
_BASIS: Final = {
    CheckName.STATUS: "only a part of it was shown, and a status entry may be in the rest",
    CheckName.VALIDITY_PERIOD: "only a part of it was shown, and when it begins or ends may be in the rest",
}


@dataclass(frozen=True, slots=True)
class Disclosure:
    """How much was shown.

    `partial`: something may have been left out, `hidden`: something that decides. `has_status`, `has_begin`, `has_end`
    and `has_subjects`: they are shown, and nobody could have left them out. `by_statement`: statements were signed one
    by one, beyond the mandatory ones by a key that is not the issuer's. `broken_terms`: what stands in for status and
    anchor under bbs-2023, broken.
    """

    partial: bool
    hidden: bool
    has_status: bool = True
    has_begin: bool = True
    has_end: bool = True
    has_subjects: bool = True
    by_statement: bool = False
    broken_terms: tuple[str, ...] = ()

    def limit(self, check: Check) -> Check:
        """A check of status or end, but for what may be hidden: a pass, or nothing to look at, is then not known."""
        if not self.hidden:
            return check
        sure = self.has_status if check.name is CheckName.STATUS else self.has_begin and self.has_end
        if sure or check.outcome in (Outcome.FAILED, Outcome.UNKNOWN):
            return check
        return _may_be_hidden(check, _BASIS[check.name])

    def limit_schema(self, check: Check, *, lacking: bool) -> Check:
        """The check of the schema, where only members are `lacking` that may have been left out."""
        if not self.partial or not lacking:
            return check
        return _may_be_hidden(check, f"{check.basis}, which may be for what was left out")


def _may_be_hidden(check: Check, basis: str) -> Check:
    return replace(check, outcome=Outcome.UNKNOWN, basis=basis, reason=Reason.MAY_BE_HIDDEN)


WHOLE: Final = Disclosure(partial=False, hidden=False)


def disclosure_of(
    document: Document, verified: Collection[Proof], canonicalizer: Canonicalizer
) -> Disclosure:
    """How much of a credential was shown; `verified` are the issuer's proofs that verified.

    A proof over the whole that verifies shows that there is no more. What decides stands in the open part of an SD-JWT,
    or it does not conform, so that all of it that is shown counts.
    """
    if document.envelope is not None:
        assert document.facts is not None  # noqa: S101 - nothing asks before the document was read
        begins, ends = document.facts.valid_from, document.facts.valid_until
        if (
            document.envelope.media_type == DC_SD_JWT
        ):  # only these claims are what the format keeps in the open
            begins, ends = document.envelope.claims.not_before, document.envelope.claims.expires
        return Disclosure(
            document.envelope.withheld,
            document.envelope.hidden,
            bool(document.entries),
            begins is not None,
            ends is not None,
        )
    suites = [(proof, selective_suite_of(proof)) for proof in verified]
    partial = any(map(_is_of_a_part, document.issuer_proofs))
    if not partial or any(suite is None for _, suite in suites):
        return WHOLE
    mandatory = frozenset[str]().union(
        *(_mandatory(document, proof, suite, canonicalizer) for proof, suite in suites if suite is not None)
    )
    found = _of_statements(document, mandatory)
    if not document.unlinkable:
        return found
    broken = broken_terms(document.read, end_is_mandatory=found.has_end)
    # Where the terms are kept there is no status that could have been left out.
    return replace(found, has_status=found.has_status or not broken, broken_terms=broken)


def _is_of_a_part(proof: Proof) -> bool:
    """Whether it is derived, so that something may have been left out; with a base proof, which is refused, all is."""
    suite = selective_suite_of(proof)
    try:
        return suite is not None and not suite.is_base(proof)
    except Malformed:
        return True


def _mandatory(
    document: Document, proof: Proof, suite: SelectiveSuite, canonicalizer: Canonicalizer
) -> tuple[str, ...]:
    try:
        return mandatory_statements(unsecured(document.raw), suite.parse_derived(proof), canonicalizer)
    except BonafidesError:
        return ()


def _of_statements(document: Document, mandatory: frozenset[str]) -> Disclosure:
    """Which of the deciding statements about the credential itself are among the mandatory ones."""
    statements = [_split(line) for line in (document.nquads or "").split("\n") if line]
    credential = _subject(document, statements)

    def of(*predicates: str) -> list[tuple[str, str]]:
        return [
            (line, value)
            for subject, predicate, value, line in statements
            if subject == credential and predicate in predicates
        ]

    def is_whole(entry: str) -> bool:
        return all(line in mandatory for subject, _, _, line in statements if subject == entry)

    entries, subjects = of(_STATUS), of(_SUBJECT)
    return Disclosure(
        partial=True,
        hidden=True,
        has_status=bool(entries) and all(line in mandatory and is_whole(entry) for line, entry in entries),
        has_begin=any(line in mandatory for line, _ in of(*_BEGINS)),
        has_end=any(line in mandatory for line, _ in of(*_ENDS)),
        has_subjects=bool(subjects) and all(line in mandatory for line, _ in subjects),
        by_statement=True,
    )


def _split(line: str) -> tuple[str, str, str, str]:
    """Subject, predicate, the first word of the object, and the statement with its newline."""
    subject, predicate, rest = line.split(" ", 2)
    return subject, predicate, rest.split(" ", 1)[0], line + "\n"


def _subject(document: Document, statements: list[tuple[str, str, str, str]]) -> str | None:
    """The node that is the credential: by its id, else the only one that has an issuer."""
    assert document.facts is not None  # noqa: S101 - nothing asks before the document was read
    if document.facts.id is not None:
        return f"<{document.facts.id}>"
    issued = {subject for subject, predicate, _, _ in statements if predicate == _ISSUER}
    return issued.pop() if len(issued) == 1 else None
