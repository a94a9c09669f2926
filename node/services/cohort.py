"""The issuer's input: template, cohort and evidence, checked whole before anything is prepared.

Parsing is pure and apart from reading files: `parse_table` and `prepare` take bytes and values; `load_cohort`
reads the three inputs and gives either all prepared rows or every fault that was found, never a part.

A row is known by its `id` column, else by the digest of row and template, so that issuing again repeats
nothing. `subject_did` is the holder; empty: the credential is signed when it is claimed (FORMATS.md section 11). All
other columns are the template's.
"""

from __future__ import annotations

import csv
import gc
import io
import os
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import file_digest, sha256
from pathlib import Path, PurePosixPath
from typing import Final

from node.core.canonical.jcs import canonicalize
from node.core.did.document import AUTHENTICATION
from node.core.did.resolution import resolve_self_certifying
from node.core.did.syntax import parse_did
from node.core.encoding import encode_base64url
from node.core.errors import Malformed, Misconfigured
from node.core.evidence import MAX_ITEM_BYTES, EvidenceItem
from node.core.jose.jws import ALGORITHMS
from node.core.keys import parse_multikey
from node.core.oid4vci.key_proof import JWT_ALGORITHMS
from node.core.strict_json import Json, JsonObject, parse_json_object
from node.services.faults import Fault, InputFaults
from node.services.template import (
    MAX_ITEMS,
    MAX_TEMPLATE_BYTES,
    EvidenceTemplate,
    Filled,
    ItemTemplate,
    Template,
    parse_template,
)

MAX_COHORT_BYTES: Final = 256 * 1024 * 1024
MAX_ROWS: Final = 100_000
MAX_COLUMNS: Final = 64
MAX_CELL_BYTES: Final = 16 * 1024
MAX_ID_BYTES: Final = 255
MAX_HELD: Final = 64  # as many as a verifier takes at once
MAX_COLUMN_NAME_CHARS: Final = 128
ID: Final = "id"
SUBJECT_DID: Final = "subject_did"
_CLAIMING: Final = frozenset(ALGORITHMS[name] for name in JWT_ALGORITHMS)
_NOT_CLAIMABLE: Final = (
    "only a did:key or did:jwk can claim; left empty, the credential is signed for whoever has the offer"
)
_SUFFIXES: Final = {".csv": "csv", ".ndjson": "ndjson", ".jsonl": "ndjson"}
_BOM: Final = b"\xef\xbb\xbf"
_OTHER_BOMS: Final = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}
# Tabs and line ends are text; other control characters are the sign of a file that is not what it seems.
_CONTROL: Final = re.compile("[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]")
_NOT_IN_COLUMNS: Final = re.compile("[{}:\u0000-\u001f\u007f-\u009f]")
# What evidence is made of; everything else is bytes. A table of ours: the system's differs by machine.
_MEDIA_TYPES: Final = {
    ".csv": "text/csv",
    ".html": "text/html",
    ".ipynb": "application/x-ipynb+json",
    ".jpeg": "image/jpeg",
    ".jpg": "image/jpeg",
    ".json": "application/json",
    ".log": "text/plain",
    ".md": "text/markdown",
    ".mp4": "video/mp4",
    ".pdf": "application/pdf",
    ".png": "image/png",
    ".py": "text/x-python",
    ".svg": "image/svg+xml",
    ".txt": "text/plain",
    ".xml": "application/xml",
    ".zip": "application/zip",
}


@dataclass(frozen=True, slots=True)
class TableRow:
    """A row as it was written; `number` counts from 1 without the header, `line` is that of the file."""

    number: int
    line: int
    cells: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Table:
    """A cohort without meaning yet: named columns, cells that are texts, "" where there is none."""

    columns: tuple[str, ...]
    rows: tuple[TableRow, ...]


@dataclass(frozen=True, slots=True)
class EvidenceFile:
    """A file below the evidence folder; `path` is relative, with `/`, in Unicode form NFC."""

    path: str
    location: Path
    length: int
    digest: bytes  # SHA-256


@dataclass(frozen=True, slots=True)
class PreparedEvidence:
    """An item of a row's evidence, its bytes still in the file: a cohort's do not fit into memory."""

    name: str
    media_type: str
    genre: str
    file: EvidenceFile

    def read(self) -> EvidenceItem:
        """The item with its bytes; Malformed where the file is no longer the one that was checked."""
        try:
            with self.file.location.open("rb") as file:
                data = file.read(MAX_ITEM_BYTES + 1)
        except OSError as error:
            raise Malformed(f"evidence {self.file.path} can no longer be read") from error
        if sha256(data).digest() != self.file.digest:
            raise Malformed(f"evidence {self.file.path} was changed while it was being issued")
        return EvidenceItem(self.name, self.media_type, self.genre, data)


@dataclass(frozen=True, slots=True)
class PreparedRow:
    """A row that can be issued. `key` is unique in the cohort; `content_digest` changes with anything in
    it.
    """

    number: int
    key: str
    content_digest: bytes
    subject_did: str | None
    filled: Filled
    evidence: tuple[PreparedEvidence, ...]
    names: tuple[str, ...] = ()
    """What a learner record shall hold: ids of credentials that were issued before."""
    held: tuple[JsonObject, ...] = ()
    """These credentials, once they were looked up (`records.py`)."""


@dataclass(frozen=True, slots=True)
class Cohort:
    """A whole input without a fault."""

    template: Template
    rows: tuple[PreparedRow, ...]


@contextmanager
def uncollected() -> Iterator[None]:
    """Work on a whole cohort without looking for cycles.

    Nothing in it has any, and it lives to the end: to walk through all of it each time that it grew by a quarter would
    cost a third of the work.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def load_cohort(template: Path, cohort: Path, evidence: Path | None = None) -> Cohort:
    """Read and check the whole input.

    InputFaults with every fault of the three; Misconfigured where a file cannot be read at all.
    """
    with uncollected():
        return _load(template, cohort, evidence)


def _load(template: Path, cohort: Path, evidence: Path | None) -> Cohort:
    form = _SUFFIXES.get(cohort.suffix.lower())
    if form is None:
        raise Misconfigured(f"{cohort}: a cohort is a file .csv, .ndjson or .jsonl")
    template_data = _read(template, MAX_TEMPLATE_BYTES)
    cohort_data = _read(cohort, MAX_COHORT_BYTES)
    faults: list[Fault] = []
    parsed, table, files = None, None, None
    try:
        parsed = parse_template(template_data)
    except InputFaults as error:
        faults += error.faults
    try:
        table = parse_table(cohort_data, form)
    except InputFaults as error:
        faults += error.faults
    try:
        files = None if evidence is None else index_evidence(evidence)
    except InputFaults as error:
        faults += error.faults
    # A template and a table that stand for themselves are still compared when the third is at fault.
    if parsed is not None and table is not None and (files is not None or not faults):
        try:
            rows = prepare(parsed, table, files)
        except InputFaults as error:
            faults += error.faults
        else:
            if not faults:
                return Cohort(parsed, rows)
    raise InputFaults(faults)


# --- the table
# -----------------------------------------------------------------------------------------------


def parse_table(data: bytes, form: str) -> Table:
    """The table in `data`: "csv" (RFC 4180, comma, with header) or "ndjson" (one flat object a line).

    UTF-8, a byte order mark allowed, lines end LF or CRLF. InputFaults with everything that is wrong with it.
    """
    faults: list[Fault] = []
    text = _decode(data)
    columns, rows = _parse_csv(text, faults) if form == "csv" else _parse_ndjson(text, faults)
    faults += _column_faults(columns)
    if not rows and not faults:
        faults.append(Fault("cohort", "has no rows"))
    for row in rows:
        faults += _cell_faults(row)
    if faults:
        raise InputFaults(sorted(faults, key=lambda fault: fault.line or 0))
    return Table(columns, tuple(rows))


def _decode(data: bytes) -> str:
    if data[:2] in _OTHER_BOMS:
        raise InputFaults([Fault("cohort", f"is {_OTHER_BOMS[data[:2]]}: save it as UTF-8")])
    body = data.removeprefix(_BOM)
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError as error:
        line = body[: error.start].count(b"\n") + 1
        raise InputFaults([Fault("cohort", "is not UTF-8: save it as UTF-8", line=line)]) from error


def _parse_csv(text: str, faults: list[Fault]) -> tuple[tuple[str, ...], list[TableRow]]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    columns: tuple[str, ...] | None = None
    rows: list[TableRow] = []
    line = 1
    try:
        for record in reader:
            begins, line = line, reader.line_num + 1
            if not record:
                continue
            if columns is None:
                columns = tuple(record)
                if len(columns) == 1 and ";" in columns[0]:
                    faults.append(Fault("cohort", "is separated by semicolons: use commas", line=begins))
                    break
                continue
            if len(rows) == MAX_ROWS:
                faults.append(Fault("cohort", f"has more than {MAX_ROWS:,} rows", line=begins))
                break
            number = len(rows) + 1
            if len(record) != len(columns):
                detail = f"has {len(record)} cells, the header has {len(columns)}"
                faults.append(Fault("cohort", detail, row=number, line=begins))
            rows.append(TableRow(number, begins, dict(zip(columns, record, strict=False))))
    except csv.Error as error:
        # Beyond an open quote nothing can be told apart: what follows is not read.
        faults.append(Fault("cohort", f"is not CSV: {error}", line=line))
    if columns is None:
        faults.append(Fault("cohort", "has no header"))
    return columns or (), rows


def _parse_ndjson(text: str, faults: list[Fault]) -> tuple[tuple[str, ...], list[TableRow]]:
    rows: list[TableRow] = []
    columns: dict[str, None] = {}
    for line, written in enumerate(text.split("\n"), 1):
        if not written.strip():
            continue
        if len(rows) == MAX_ROWS:
            faults.append(Fault("cohort", f"has more than {MAX_ROWS:,} rows", line=line))
            break
        number = len(rows) + 1
        cells: dict[str, str] = {}
        try:
            record = parse_json_object(written.removesuffix("\r"))
        except Malformed as error:
            faults.append(Fault("cohort", error.detail, row=number, line=line))
            record = {}
        for name, value in record.items():
            cell = _cell(value)
            if cell is None:
                detail = "a cell is a text, a number, true, false or null"
                faults.append(Fault("cohort", detail, row=number, line=line, column=name))
            cells[name] = cell or ""
        columns.update(dict.fromkeys(cells))
        rows.append(TableRow(number, line, cells))
    return tuple(columns), rows


def _cell(value: Json) -> str | None:
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, (int, float)) else None


def _column_faults(columns: Sequence[str]) -> Iterator[Fault]:
    if len(columns) > MAX_COLUMNS:
        yield Fault("cohort", f"has {len(columns)} columns, {MAX_COLUMNS} are allowed", line=1)
    seen: set[str] = set()
    for position, name in enumerate(columns, 1):
        if not name.strip():
            yield Fault("cohort", f"the header of column {position} is empty", line=1)
        elif name != name.strip() or _NOT_IN_COLUMNS.search(name) or len(name) > MAX_COLUMN_NAME_CHARS:
            detail = "a header has no spaces around it, no braces, colons or control characters"
            yield Fault("cohort", f"column {position}: {detail}", line=1)
        elif name in seen:
            yield Fault("cohort", "stands in the header twice", line=1, column=name)
        seen.add(name)


def _cell_faults(row: TableRow) -> Iterator[Fault]:
    # One look at the whole row: a fault is rare, and is then placed.
    whole = "".join(row.cells.values())
    if 4 * len(whole) <= MAX_CELL_BYTES and not _CONTROL.search(whole):
        return
    for name, cell in row.cells.items():
        if len(cell.encode("utf-8")) > MAX_CELL_BYTES:
            detail = f"a cell has at most {MAX_CELL_BYTES:,} bytes"
            yield Fault("cohort", detail, row=row.number, line=row.line, column=name)
        elif _CONTROL.search(cell):
            yield Fault("cohort", "a control character", row=row.number, line=row.line, column=name)


# --- preparing
# -----------------------------------------------------------------------------------------------


def prepare(
    template: Template, table: Table, files: Mapping[str, EvidenceFile] | None
) -> tuple[PreparedRow, ...]:
    """Every row put into the template, with its evidence; InputFaults with all that stands in the way.

    `files` is what `index_evidence` found, None where no folder was named.
    """
    missing = sorted(template.columns - set(table.columns))
    faults = [Fault("cohort", "the template needs this column", column=name) for name in missing]
    if template.evidence is not None and files is None:
        faults.append(Fault("evidence", "the template has evidence: name its folder"))
    if template.evidence is None and files is not None:
        faults.append(
            Fault("template", "says nothing of evidence, but a folder is named", path=("evidence",))
        )
    if faults:
        raise InputFaults(faults)
    by_folder = _by_folder(files or {})
    seen: dict[str, int] = {}
    rows: list[PreparedRow] = []
    for row in table.rows:
        found: list[Fault] = []
        key = _row_key(template, table, row)
        if key in seen:
            what = "this id" if ID in table.columns else "the same content"
            found.append(Fault("cohort", f"row {seen[key]} has {what}", column=_key_column(table)))
        seen.setdefault(key, row.number)
        found += _id_faults(table, row)
        found += _did_faults(row)
        filled, cell_faults = template.fill(row.cells)
        found += cell_faults
        items: tuple[PreparedEvidence, ...] = ()
        if filled is not None and template.evidence is not None:
            items = _row_evidence(template.evidence, filled, row, files or {}, by_folder, found)
        names = _names(template, row, found)
        if found:
            faults += [_placed(fault, row) for fault in found]
        elif filled is not None:
            digest = _content_digest(template, row, items)
            did = row.cells.get(SUBJECT_DID) or None
            rows.append(PreparedRow(row.number, key, digest, did, filled, items, names))
    if faults:
        raise InputFaults(faults)
    return tuple(rows)


def _names(template: Template, row: TableRow, faults: list[Fault]) -> tuple[str, ...]:
    """The ids that a row of a learner record lists."""
    if template.records is None:
        return ()
    names = [name.strip() for name in row.cells.get(template.records, "").split(";") if name.strip()]
    if not names or len(names) > MAX_HELD or len(set(names)) != len(names):
        detail = f"lists 1 to {MAX_HELD} credentials, each once"
        faults.append(Fault("cohort", detail, column=template.records))
    return tuple(names)


def _placed(fault: Fault, row: TableRow) -> Fault:
    return Fault(fault.source, fault.detail, row.number, row.line, fault.column, fault.path)


def _row_key(template: Template, table: Table, row: TableRow) -> str:
    # The letter in front keeps an id from being taken for another row's digest.
    if ID in table.columns:
        return "id:" + row.cells.get(ID, "")
    return "row:" + encode_base64url(_digest(_content(template, row)))


def _key_column(table: Table) -> str | None:
    return ID if ID in table.columns else None


def _content(template: Template, row: TableRow) -> JsonObject:
    # Empty cells are left out, so that a column added for others changes nobody else's row.
    cells = {name: cell for name, cell in row.cells.items() if cell}
    return {"template": encode_base64url(template.digest), "cells": cells}


def _content_digest(template: Template, row: TableRow, items: Sequence[PreparedEvidence]) -> bytes:
    evidence = [
        [item.name, item.media_type, item.genre, encode_base64url(item.file.digest)] for item in items
    ]
    return _digest({**_content(template, row), "evidence": evidence})


def _digest(value: JsonObject) -> bytes:
    return sha256(canonicalize(value)).digest()


def _id_faults(table: Table, row: TableRow) -> Iterator[Fault]:
    if ID not in table.columns:
        return
    text = row.cells.get(ID, "")
    if not text:
        yield Fault("cohort", "an id column is filled in every row", column=ID)
    elif text != text.strip() or "\n" in text or "\r" in text or "\t" in text:
        yield Fault("cohort", "an id has no spaces around it and stands on one line", column=ID)
    elif len(text.encode("utf-8")) > MAX_ID_BYTES or not unicodedata.is_normalized("NFC", text):
        yield Fault("cohort", f"an id has at most {MAX_ID_BYTES} bytes in Unicode form NFC", column=ID)


def _did_faults(row: TableRow) -> Iterator[Fault]:
    did = row.cells.get(SUBJECT_DID)
    if not did:
        return
    # The claim must be by this DID (FORMATS.md section 11): better now than in a credential that nobody can claim.
    if _is_claiming_key(did):
        return
    try:
        parse_did(did)
        document = resolve_self_certifying(did)
    except Malformed as error:
        yield Fault("cohort", error.detail, column=SUBJECT_DID)
        return
    if document is None:
        yield Fault("cohort", _NOT_CLAIMABLE, column=SUBJECT_DID)
    elif not any(
        method.public_key is not None
        and method.public_key.kind in _CLAIMING
        and method.id in document.relationships[AUTHENTICATION]
        for method in document.methods
    ):
        yield Fault("cohort", "its key cannot claim: Ed25519 and P-256 keys can", column=SUBJECT_DID)


def _is_claiming_key(did: str) -> bool:
    """Whether the DID is the did:key of a key that can claim: nearly all are, and need no document to tell."""
    try:
        return did.startswith("did:key:z") and parse_multikey(did.removeprefix("did:key:")).kind in _CLAIMING
    except Malformed:
        return False


# --- evidence
# ------------------------------------------------------------------------------------------------


def index_evidence(folder: Path) -> dict[str, EvidenceFile]:
    """Every file below `folder` with length and digest; dot files and dot folders are passed over.

    InputFaults where there are links (they lead out of the folder) or files that are too large.
    """
    if not folder.is_dir():
        raise Misconfigured(f"evidence folder {folder} is not a folder")
    found: dict[str, EvidenceFile] = {}
    faults: list[Fault] = []
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        links = [name for name in folders if (Path(root) / name).is_symlink()]
        for name in sorted([*names, *links]):
            if name.startswith("."):
                continue
            location = Path(root) / name
            path = unicodedata.normalize("NFC", location.relative_to(folder).as_posix())
            try:
                found[path] = _index_file(path, location)
            except Malformed as error:
                faults.append(Fault("evidence", f"{path}: {error.detail}"))
            except OSError as error:
                faults.append(Fault("evidence", f"{path}: cannot be read: {error.strerror}"))
    if faults:
        raise InputFaults(faults)
    return found


def _index_file(path: str, location: Path) -> EvidenceFile:
    if location.is_symlink() or not location.is_file():
        raise Malformed("is not a plain file")
    with location.open("rb") as file:
        length = os.fstat(file.fileno()).st_size
        if length > MAX_ITEM_BYTES:
            raise Malformed(f"has {length:,} bytes, {MAX_ITEM_BYTES:,} are allowed")
        return EvidenceFile(path, location, length, file_digest(file, "sha256").digest())


def _by_folder(files: Mapping[str, EvidenceFile]) -> dict[str, list[EvidenceFile]]:
    folders: dict[str, list[EvidenceFile]] = {}
    for path in sorted(files):
        top, slash, _ = path.partition("/")
        if slash:
            folders.setdefault(top, []).append(files[path])
    return folders


def _row_evidence(
    evidence: EvidenceTemplate,
    filled: Filled,
    row: TableRow,
    files: Mapping[str, EvidenceFile],
    by_folder: Mapping[str, Sequence[EvidenceFile]],
    faults: list[Fault],
) -> tuple[PreparedEvidence, ...]:
    before = len(faults)
    if evidence.files is not None:
        chosen = _listed(row.cells.get(evidence.files, ""), evidence.files, files, faults)
    else:
        chosen = _in_folder(filled.folder or "", by_folder, faults)
    every = evidence.items is None
    items = [_item(None, file) for file in chosen] if every else _match(evidence.items or (), chosen, faults)
    if len(items) > MAX_ITEMS:
        faults.append(Fault("evidence", f"{len(items)} items, {MAX_ITEMS} are allowed"))
    if len(faults) == before:
        faults += _item_faults(items)
    return tuple(items)


def _in_folder(
    folder: str, by_folder: Mapping[str, Sequence[EvidenceFile]], faults: list[Fault]
) -> list[EvidenceFile]:
    name = unicodedata.normalize("NFC", folder)
    inside = by_folder.get(name)
    if not inside:
        faults.append(Fault("evidence", f"there is no folder {name!r} with files"))
        return []
    nested = [file.path for file in inside if file.path.count("/") > 1]
    faults += [Fault("evidence", f"{path}: a row's folder holds no folders") for path in nested]
    return [file for file in inside if file.path.count("/") == 1]


def _listed(
    cell: str, column: str, files: Mapping[str, EvidenceFile], faults: list[Fault]
) -> list[EvidenceFile]:
    chosen: list[EvidenceFile] = []
    for written in filter(None, (part.strip() for part in cell.split(";"))):
        # Looked up, never joined to a path: what does not lie in the folder has no entry.
        file = files.get(unicodedata.normalize("NFC", written))
        if file is None:
            faults.append(Fault("evidence", f"{written}: no such file in the evidence folder", column=column))
        elif file in chosen:
            faults.append(Fault("evidence", f"{written}: listed twice", column=column))
        else:
            chosen.append(file)
    if not cell.strip():
        faults.append(Fault("evidence", "no file is listed", column=column))
    return chosen


def _match(
    expected: Sequence[ItemTemplate], chosen: Sequence[EvidenceFile], faults: list[Fault]
) -> list[PreparedEvidence]:
    by_name = {PurePosixPath(file.path).name: file for file in chosen}
    items: list[PreparedEvidence] = []
    for item in expected:
        file = by_name.pop(item.file, None)
        if file is not None:
            items.append(_item(item, file))
        elif not item.is_optional:
            faults.append(Fault("evidence", f"{item.file} is missing"))
    # Nobody hands out a private note by accident: what the template does not name is not taken along.
    faults += [
        Fault("evidence", f"{file.path}: no item of the template names this file")
        for file in by_name.values()
    ]
    return items


def _item(item: ItemTemplate | None, file: EvidenceFile) -> PreparedEvidence:
    path = PurePosixPath(file.path)
    media_type = item.media_type if item is not None and item.media_type is not None else None
    return PreparedEvidence(
        name=item.name if item is not None else path.name,
        media_type=media_type or _MEDIA_TYPES.get(path.suffix.lower(), "application/octet-stream"),
        genre=item.genre if item is not None else "",
        file=file,
    )


def _item_faults(items: Sequence[PreparedEvidence]) -> Iterator[Fault]:
    seen: set[str] = set()
    for item in items:
        if item.name in seen:
            yield Fault("evidence", f"{item.file.path}: two items have the name {item.name!r}")
        seen.add(item.name)
        try:
            # The rules of FORMATS.md section 5, without the bytes.
            EvidenceItem(item.name, item.media_type, item.genre, b"")
        except Malformed as error:
            yield Fault("evidence", f"{item.file.path}: {error.detail}")


def _read(path: Path, limit: int) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise Misconfigured(f"{path} cannot be read: {error.strerror}") from error
    if len(data) > limit:
        raise Misconfigured(f"{path} has more than {limit:,} bytes")
    return data
