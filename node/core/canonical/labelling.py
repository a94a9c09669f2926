"""RDF Dataset Canonicalization RDFC-1.0, section 4: canonical labels for blank nodes, in bounded work.

Function names follow the sections. Labelling is exponential for graphs made to be so ("poison", section 7.1):
work is counted and refused beyond a limit, which a library that cannot be interrupted does not offer.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable
from itertools import permutations
from typing import Final, NamedTuple

from node.core import problem
from node.core.canonical.nquads import Quad, Term, encode_quad, is_blank
from node.core.errors import Malformed

# Nodes and statements touched by Hash N-Degree Quads for one dataset, each a microsecond or so. The hardest
# computable tests of the W3C suite take some 40,000; a document without symmetric blank nodes takes none.
MAX_STEPS: Final = 500_000
# For all documents of one report, each of which is labelled to be read and again for its selective proofs.
MAX_STEPS_OF_REPORT: Final = 2 * MAX_STEPS


class Allowance:
    """The steps that are left for several datasets together."""

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = MAX_STEPS_OF_REPORT


def canonicalize_quads(
    quads: Iterable[Quad], hash_name: str = "sha256", allowance: Allowance | None = None
) -> tuple[str, dict[Term, Term]]:
    """Canonical N-Quads of a dataset, and the canonical label of each blank node.

    `hash_name` is sha256 or sha384. Malformed where the dataset is too symmetric to label within the limit, which is
    that of one dataset and what is left of `allowance`.
    """
    parts = parted(quads)
    return canonicalize_parts(parts.named, parts.unnamed, hash_name, allowance)


class Statements(NamedTuple):
    """The quads of a document. `unnamed` are those with a blank node, whose labels have no meaning yet.

    `is_plain` says that the document writes them in the one plain way (`plain`); False where that is not known.
    """

    named: list[Quad]
    unnamed: list[Quad]
    is_plain: bool = False


def parted(quads: Iterable[Quad]) -> Statements:
    """The quads of a dataset, those with blank nodes apart."""
    parts = Statements([], [])
    for quad in quads:
        (parts.unnamed if _has_blank(quad) else parts.named).append(quad)
    return parts


def canonicalize_parts(
    named: list[Quad], unnamed: list[Quad], hash_name: str = "sha256", allowance: Allowance | None = None
) -> tuple[str, dict[Term, Term]]:
    """As `canonicalize_quads`, for a dataset that was parted already."""
    dataset = list(dict.fromkeys(unnamed))
    labels = _labels(dataset, hash_name, allowance)
    label = labels.get
    lines = {f"{s} {p} {o} {g} .\n" if g else f"{s} {p} {o} .\n" for s, p, o, g in named}
    lines |= {
        f"{label(s, s)} {p} {label(o, o)} {label(g, g)} .\n" if g else f"{label(s, s)} {p} {label(o, o)} .\n"
        for s, p, o, g in dataset
    }
    return "".join(sorted(lines)), labels


def canonical_labels(
    unnamed: Iterable[Quad], hash_name: str = "sha256", allowance: Allowance | None = None
) -> dict[Term, Term]:
    """The canonical label of each blank node of a dataset, of which those quads are enough that have blank nodes."""
    return _labels(list(dict.fromkeys(unnamed)), hash_name, allowance)


def _labels(dataset: list[Quad], hash_name: str, allowance: Allowance | None) -> dict[Term, Term]:
    allowed = MAX_STEPS if allowance is None else min(MAX_STEPS, allowance.left)
    labelling = _Labelling(dataset, hash_name, allowed)
    try:
        return labelling.run()
    except RecursionError as error:
        raise _too_alike() from error
    finally:
        if allowance is not None:
            allowance.left -= allowed - max(labelling.budget, 0)


def _has_blank(quad: Quad) -> bool:
    return is_blank(quad[0]) or is_blank(quad[2]) or is_blank(quad[3])


_HASHES: Final = {"sha256": hashlib.sha256, "sha384": hashlib.sha384}


class _Issuer:
    """Section 4.5: labels by order of first request."""

    __slots__ = ("issued", "prefix")

    def __init__(self, prefix: str, issued: dict[Term, Term] | None = None) -> None:
        self.prefix = prefix
        self.issued: dict[Term, Term] = issued if issued is not None else {}

    def issue(self, node: Term) -> Term:
        label = self.issued.get(node)
        if label is None:
            label = self.issued[node] = f"{self.prefix}{len(self.issued)}"
        return label

    def copy(self) -> _Issuer:
        return _Issuer(self.prefix, dict(self.issued))


def _masked_lines(dataset: list[Quad]) -> dict[Term, list[str]]:
    """Section 4.6: the statements around each blank node, itself written `_:a`, every other `_:z`."""
    lines: dict[Term, list[str]] = defaultdict(list)
    for quad in dataset:
        subject, predicate, value, graph = quad
        if value[0] != "_" and not graph:  # most are of this kind
            lines[subject].append(f"_:a {predicate} {value} .\n")
            continue
        for node in _blanks_of(quad):
            masked = [
                term if term[:1] != "_" else "_:a" if term == node else "_:z"
                for term in (subject, value, graph)
            ]
            lines[node].append(encode_quad((masked[0], predicate, masked[1], masked[2])))
    return lines


def _blanks_of(quad: Quad) -> set[Term]:
    return {term for term in (quad[0], quad[2], quad[3]) if is_blank(term)}


class _Labelling:
    def __init__(self, dataset: list[Quad], hash_name: str, max_steps: int) -> None:
        self.dataset = dataset
        self.new_hash = _HASHES[hash_name]
        self.budget = max_steps
        self.canonical = _Issuer("_:c14n")
        self.first_degree: dict[Term, str] = {}
        self.quads: dict[Term, list[Quad]] = defaultdict(list)  # of each node, where hashes are not unique

    def run(self) -> dict[Term, Term]:
        """Section 4.4.3."""
        around = _masked_lines(self.dataset)
        if len(around) == 1:  # the only label there is
            return dict.fromkeys(around, "_:c14n0")
        self.first_degree = {node: self._hash("".join(sorted(lines))) for node, lines in around.items()}
        by_hash: dict[str, list[Term]] = defaultdict(list)
        for node, digest in self.first_degree.items():
            by_hash[digest].append(node)
        in_order = sorted(by_hash)
        if len(in_order) == len(around):
            return {by_hash[digest][0]: f"_:c14n{number}" for number, digest in enumerate(in_order)}
        for digest in in_order:
            if len(by_hash[digest]) == 1:
                self.canonical.issue(by_hash[digest][0])
        self._label_alike([by_hash[digest] for digest in in_order if len(by_hash[digest]) > 1])
        return self.canonical.issued

    def _label_alike(self, shared: list[list[Term]]) -> None:
        """Section 4.4.3 step 5: nodes that the statements around them do not tell apart."""
        for quad in self.dataset:
            for node in _blanks_of(quad):
                self.quads[node].append(quad)
        for nodes in shared:
            paths = []
            for node in nodes:
                if node in self.canonical.issued:
                    continue
                issuer = _Issuer("_:b")
                issuer.issue(node)
                paths.append(self._hash_n_degree(node, issuer))
            for _, issuer in sorted(paths, key=lambda path: path[0]):
                for node in issuer.issued:
                    self.canonical.issue(node)

    def _hash(self, text: str) -> str:
        return self.new_hash(text.encode()).hexdigest()

    def _hash_related(self, related: Term, quad: Quad, issuer: _Issuer, position: str) -> str:
        """Section 4.7."""
        label = self.canonical.issued.get(related) or issuer.issued.get(related) or self.first_degree[related]
        return self._hash(position + ("" if position == "g" else quad[1]) + label)

    def _hash_n_degree(self, node: Term, issuer: _Issuer) -> tuple[str, _Issuer]:
        """Section 4.8."""
        self._spend(len(self.quads[node]))
        groups: dict[str, list[Term]] = defaultdict(list)
        for quad in self.quads[node]:
            for position, related in (("s", quad[0]), ("o", quad[2]), ("g", quad[3])):
                if is_blank(related) and related != node:
                    groups[self._hash_related(related, quad, issuer, position)].append(related)
        data = []
        for digest in sorted(groups):
            path, issuer = self._shortest_path(groups[digest], issuer)
            data += [digest, path]
        return self._hash("".join(data)), issuer

    def _spend(self, steps: int) -> None:
        self.budget -= steps
        if self.budget < 0:
            raise _too_alike()

    def _shortest_path(self, group: list[Term], issuer: _Issuer) -> tuple[str, _Issuer]:
        """Section 4.8.2 step 5: the least path over all orders of a group."""
        chosen: tuple[str, _Issuer] | None = None
        for order in permutations(group):
            self._spend(1 + len(group) + len(issuer.issued))
            best = None if chosen is None else chosen[0]
            found = self._path(order, issuer.copy(), best)
            if found is not None and (best is None or found[0] < best):
                chosen = found
        if chosen is None:  # a group has at least one order, and the first is never abandoned
            raise AssertionError("no path was chosen")
        return chosen

    def _path(self, order: tuple[Term, ...], issuer: _Issuer, best: str | None) -> tuple[str, _Issuer] | None:
        """The path of one order, or None as soon as it cannot be less than `best`."""
        path = ""
        to_visit = []
        for related in order:
            label = self.canonical.issued.get(related)
            if label is None:
                if related not in issuer.issued:
                    to_visit.append(related)
                label = issuer.issue(related)
            path += label
            if _is_beaten(path, best):
                return None
        for related in to_visit:
            digest, deeper = self._hash_n_degree(related, issuer)
            path += f"{issuer.issue(related)}<{digest}>"
            issuer = deeper
            if _is_beaten(path, best):
                return None
        return path, issuer


def _is_beaten(path: str, best: str | None) -> bool:
    return best is not None and len(path) >= len(best) and path > best


def _too_alike() -> Malformed:
    return Malformed(
        "the document's unnamed objects are too alike to be put in order within the work limit",
        type=problem.DATASET_POISONING,
    )
