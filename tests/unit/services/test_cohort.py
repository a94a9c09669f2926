"""The issuer's input: what is read, and every fault with its row and column."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.core.did.key import did_key_of
from node.core.errors import Malformed, Misconfigured
from node.core.keys import KeyKind
from node.demo.sample import load_template
from node.keystore import signer_of
from node.services import cohort as cohort_module
from node.services.cohort import (
    Cohort,
    EvidenceFile,
    index_evidence,
    load_cohort,
    parse_table,
    prepare,
)
from node.services.faults import InputFaults
from node.services.template import Template, parse_template

README = Path(cohort_module.__file__).with_name("README.md").read_text(encoding="utf-8")
DID = "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK"
# No wallet can prove this key here.
SECP256K1_DID = did_key_of(signer_of(KeyKind.SECP256K1, b"\1" * 32).public_key)

BAD_HEADER = "a header has no spaces around it, no braces, colons or control characters"


def example(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", README, re.DOTALL)
    assert found is not None
    return found.group(1)


def template(**changes: Any) -> Template:
    raw = json.loads(example("json")) | changes
    return parse_template(
        json.dumps({name: value for name, value in raw.items() if value is not ...}).encode()
    )


def plain(**changes: Any) -> Template:
    return template(evidence=..., **changes)


def faults(call: Callable[[], object]) -> list[str]:
    with pytest.raises(InputFaults) as caught:
        call()
    return [str(fault) for fault in caught.value.faults]


def csv(*lines: str) -> bytes:
    return "\r\n".join(["id,subject_did,craft,score,ects,assessed_at", *lines]).encode()


def filled(line: str, of: Template) -> Any:
    (row,) = prepare(of, parse_table(csv(line), "csv"), None)
    return row.filled.credential


class TestReadmeExample:
    def load(self, folder: Path) -> Cohort:
        (folder / "template.json").write_text(example("json"), encoding="utf-8")
        (folder / "cohort.csv").write_text(example("csv"), encoding="utf-8")
        for name in ("s-001", "s-002"):
            (folder / "evidence" / name).mkdir(parents=True)
            (folder / "evidence" / name / "solution.py").write_text(f"print('{name}')")
        (folder / "evidence" / "s-001" / "review.md").write_text("Good.")
        (folder / "evidence" / "s-001" / ".DS_Store").write_text("passed over")
        return load_cohort(folder / "template.json", folder / "cohort.csv", folder / "evidence")

    def test_two_rows(self, tmp_path: Path) -> None:
        cohort = self.load(tmp_path)
        first, second = cohort.rows
        assert (cohort.template.cohort, cohort.template.valid_days) == ("python-1-2026", 730)
        assert (first.key, first.subject_did, second.subject_did) == ("id:s-001", DID, None)
        credential = first.filled.credential
        assert credential["awardedDate"] == "2026-01-20T10:00:00Z"
        subject = credential["credentialSubject"]
        assert subject["type"] == ["AchievementSubject"]
        assert subject["creditsEarned"] == 2
        assert subject["achievement"]["type"] == ["Achievement"]
        assert subject["result"] == [
            {
                "type": ["Result"],
                "resultDescription": "urn:example:craft",
                "achievedLevel": "urn:example:craft:2",
            },
            {"type": ["Result"], "resultDescription": "urn:example:score", "value": "91"},
        ]
        assert len(second.filled.credential["credentialSubject"]["result"]) == 1
        assert first.filled.evidence == {"name": "Assessed programming task"}
        assert [(item.name, item.media_type, item.genre) for item in first.evidence] == [
            ("solution.py", "text/x-python", "Submission"),
            ("review.md", "text/markdown", "ReviewerNote"),
        ]
        assert first.evidence[0].read().data == b"print('s-001')"
        assert len(second.evidence) == 1

    def test_a_file_that_changes_afterwards_is_noticed(self, tmp_path: Path) -> None:
        item = self.load(tmp_path).rows[0].evidence[0]
        item.file.location.write_text("print('another')")
        with pytest.raises(Malformed, match="was changed while it was being issued"):
            item.read()
        item.file.location.unlink()
        with pytest.raises(Malformed, match="can no longer be read"):
            item.read()

    def test_all_faults_of_all_three_inputs_at_once(self, tmp_path: Path) -> None:
        self.load(tmp_path)
        raw = json.loads(example("json"))
        del raw["name"]
        (tmp_path / "template.json").write_text(json.dumps(raw))
        (tmp_path / "cohort.csv").write_text("id,id\n1,2\n")
        (tmp_path / "evidence" / "s-001" / "link").symlink_to("/etc/passwd")
        found = faults(
            lambda: load_cohort(tmp_path / "template.json", tmp_path / "cohort.csv", tmp_path / "evidence")
        )
        assert found == [
            "template /name: is missing",
            "cohort line 1, column id: stands in the header twice",
            "evidence: s-001/link: is not a plain file",
        ]

    def test_files_that_cannot_be_read(self, tmp_path: Path) -> None:
        with pytest.raises(Misconfigured, match=r"\.csv, \.ndjson or \.jsonl"):
            load_cohort(tmp_path / "t.json", tmp_path / "cohort.xlsx")
        with pytest.raises(Misconfigured, match="cannot be read: No such file"):
            load_cohort(tmp_path / "t.json", tmp_path / "cohort.csv")
        with pytest.raises(Misconfigured, match="is not a folder"):
            index_evidence(tmp_path / "none")

    def test_the_sample_course(self) -> None:
        assert parse_template(json.dumps(load_template()).encode()).columns >= {"reading", "total", "id"}


class TestTemplate:
    @pytest.mark.parametrize(
        ("changes", "expected"),
        [
            ({"template": 2}, "template /template: this release reads version 1"),
            ({"name": ""}, "template /name: must not be empty"),
            ({"name": 7}, "template /name: must be a text"),
            ({"suspendable": 1}, "template /suspendable: must be true or false"),
            ({"more": 1}, "template /more: unknown member"),
            ({"validDays": 0}, "template /validDays: must be 1 to 36,525"),
            ({"validDays": True}, "template /validDays: must be an integer"),
            ({"description": "{score"}, "template /description: a stray {: write {{ for a brace"),
            ({"description": "a } b"}, "template /description: a stray }: write }} for a brace"),
            ({"description": "{a:date}"}, "template /description: unknown flag :date of {a}"),
            (
                {"description": "x{a:number}"},
                "template /description: a :number placeholder stands alone in its text",
            ),
            ({"subject": {"id": "x"}}, "template /subject/id: is not the template's to say"),
            (
                {"results": [{"value": "1"}]},
                "template /results/0: a result is an object that names its resultDescription",
            ),
            ({"evidence": {"folder": "a", "files": "b"}}, "template /evidence: folder or files, not both"),
            ({"evidence": {"items": []}}, "template /evidence/items: 1 to 64 items"),
            (
                {"evidence": {"items": [{"file": "../x"}]}},
                "template /evidence/items/0/file: a name with a slash, control or bidirectional character",
            ),
            ({"evidence": {"items": [{"name": "x"}]}}, "template /evidence/items/0/file: is missing"),
            ({"evidence": {"items": [1]}}, "template /evidence/items/0: must be an object"),
        ],
    )
    def test_faults(self, changes: dict[str, Any], expected: str) -> None:
        assert expected in faults(lambda: template(**changes))

    def test_same_names(self) -> None:
        items = [{"file": "a", "name": "x"}, {"file": "a", "name": "x"}]
        assert faults(lambda: template(evidence={"items": items})) == [
            "template /evidence/items/1/name: two items have this name",
            "template /evidence/items/1/file: two items have this file",
        ]

    def test_achievement(self) -> None:
        found = faults(lambda: template(achievement={"id": "a", "name": "b"}))
        assert found == [
            "template /achievement/description: is missing",
            "template /achievement/criteria: is missing",
        ]
        achievement = json.loads(example("json"))["achievement"] | {"id": "urn:{course}"}
        assert "name the cohort" in faults(lambda: template(cohort=..., achievement=achievement))[0]
        assert template(cohort=...).cohort.startswith("urn:uuid:")

    @pytest.mark.parametrize("data", [b"", b"[]", b"{", b"\xff", b'{"template":1,"template":1}'])
    def test_no_template(self, data: bytes) -> None:
        assert len(faults(lambda: parse_template(data))) >= 1

    def test_digest_does_not_depend_on_spelling(self) -> None:
        raw = json.loads(example("json"))
        other = b"\xef\xbb\xbf" + json.dumps(dict(reversed(raw.items())), indent=4).encode()
        assert parse_template(other).digest == template().digest
        assert template(name="other").digest != template().digest

    def test_placeholders(self) -> None:
        of = plain(name="{{{craft}}} of {id}", description="{score:optional}", validUntil="{score:optional}")
        credential = filled(f"7,{DID},1,,2.5,2026-01-20T10:00:00Z", of)
        assert credential["name"] == "{1} of 7"
        assert "description" not in credential
        assert "validUntil" not in credential
        assert credential["credentialSubject"]["creditsEarned"] == 2.5

    def test_cells_are_data_and_never_placeholders(self) -> None:
        credential = filled("{score},,1,9,2,2026-01-20T10:00:00Z", plain(name='{id}", "x'))
        assert credential["name"] == '{score}", "x'

    @pytest.mark.parametrize(
        ("line", "expected"),
        [
            ("1,,3,5,2,2026-01-20T10:00:00Z", "column craft: achievedLevel: not one of the levels"),
            ("1,,1,101,2,2026-01-20T10:00:00Z", "column score: value: not between 0 and 100"),
            ("1,,1,NaN,2,2026-01-20T10:00:00Z", "column score: value: not a number"),
            ("1,,1,x,2,2026-01-20T10:00:00Z", "column score: value: not a number"),
            ("1,,1,5,two,2026-01-20T10:00:00Z", "column ects: not a number that JSON can carry"),
            ("1,,1,5,1e9,2026-01-20T10:00:00Z", "column ects: not a number that JSON can carry"),
            ("1,,1,5,99999999999999999,2026-01-20T10:00:00Z", "column ects: not a number that JSON"),
            ("1,,1,5,2,20.1.2026", "column assessed_at: awardedDate: not a dateTimeStamp"),
            ("1,,,5,2,2026-01-20T10:00:00Z", "column craft: the cell is empty"),
            ("1,did:key:z6Mk,1,5,2,2026-01-20T10:00:00Z", "column subject_did: "),
            ("1,did:jwk:e30,1,5,2,2026-01-20T10:00:00Z", "column subject_did: a did:jwk without a key"),
            ("1,did:ethr:0xzz,1,5,2,2026-01-20T10:00:00Z", "column subject_did: "),
            ("1,alice@example.org,1,5,2,2026-01-20T10:00:00Z", "column subject_did: not a DID"),
            (
                "1,did:web:alice.example,1,5,2,2026-01-20T10:00:00Z",
                "column subject_did: only a did:key or did:jwk",
            ),
            (
                "1,did:example:alice,1,5,2,2026-01-20T10:00:00Z",
                "column subject_did: only a did:key or did:jwk",
            ),
            (
                f"1,did:ethr:0x{'ab' * 20},1,5,2,2026-01-20T10:00:00Z",
                "column subject_did: only a did:key or did:jwk",
            ),
            (f"1,{SECP256K1_DID},1,5,2,2026-01-20T10:00:00Z", "column subject_did: its key cannot claim"),
        ],
    )
    def test_faults_of_cells(self, line: str, expected: str) -> None:
        (found,) = faults(lambda: filled(line, plain()))
        assert found.startswith(f"cohort row 1 (line 2), {expected}")

    def test_validity(self) -> None:
        of = plain(validFrom="{assessed_at}", validUntil="2026-01-20T10:00:00Z")
        assert (
            "validUntil is not after validFrom"
            in faults(lambda: filled("1,,1,5,2,2026-01-20T10:00:00Z", of))[0]
        )

    def test_allowed_values(self) -> None:
        achievement = json.loads(example("json"))["achievement"]
        achievement["resultDescription"][1] = {"id": "urn:example:score", "allowedValue": ["A", "B"]}
        of = plain(achievement=achievement)
        assert "not one of the values" in faults(lambda: filled("1,,1,C,2,2026-01-20T10:00:00Z", of))[0]
        assert filled("1,,1,A,2,2026-01-20T10:00:00Z", of)
        achievement["resultDescription"] = []
        of = plain(achievement=achievement)
        assert "does not describe" in faults(lambda: filled("1,,1,A,2,2026-01-20T10:00:00Z", of))[0]


class TestTables:
    @pytest.mark.parametrize("data", [b"id,a\n1,x\n2,y", b"\xef\xbb\xbfid,a\r\n1,x\r\n\r\n2,y\r\n"])
    def test_line_ends_and_byte_order_mark(self, data: bytes) -> None:
        table = parse_table(data, "csv")
        assert table.columns == ("id", "a")
        assert [row.cells for row in table.rows] == [{"id": "1", "a": "x"}, {"id": "2", "a": "y"}]

    def test_lines_are_those_of_the_file(self) -> None:
        table = parse_table(b'id,a\n1,"two\nlines"\n2,y\n', "csv")
        assert [(row.number, row.line) for row in table.rows] == [(1, 2), (2, 4)]

    @pytest.mark.parametrize(
        ("data", "expected"),
        [
            (b"", ["cohort: has no header"]),
            (b"id\n", ["cohort: has no rows"]),
            (b"\xff\xfei\0d\0", ["cohort: is UTF-16: save it as UTF-8"]),
            (b"id\nM\xfcller\n", ["cohort line 2: is not UTF-8: save it as UTF-8"]),
            (b"id;a\n1;2\n", ["cohort line 1: is separated by semicolons: use commas"]),
            (b"id,a\n1\n2,x,y\n", [
                "cohort row 1 (line 2): has 1 cells, the header has 2",
                "cohort row 2 (line 3): has 3 cells, the header has 2",
            ]),
            (b'id,a\n1,"open\n2,x\n', ["cohort line 2: is not CSV: unexpected end of data"]),
            (b'id,a\n1,"x"y\n', ["cohort line 2: is not CSV: ',' expected after '\"'"]),
            (b"id, a,,{b}\n1,2,3,4\n", [
                f"cohort line 1: column 2: {BAD_HEADER}",
                "cohort line 1: the header of column 3 is empty",
                f"cohort line 1: column 4: {BAD_HEADER}",
            ]),
            (b"id,a\n1,x\0y\n", ["cohort row 1 (line 2), column a: a control character"]),
            (b"id,a\n1," + b"x" * 16385, ["cohort row 1 (line 2), column a: a cell has at most 16,384 bytes"]),
        ],
    )  # fmt: skip
    def test_faults_of_csv(self, data: bytes, expected: list[str]) -> None:
        assert faults(lambda: parse_table(data, "csv")) == expected

    def test_limits(self, monkeypatch: pytest.MonkeyPatch) -> None:
        wide = ",".join(f"c{number}" for number in range(65)).encode()
        assert faults(lambda: parse_table(wide + b"\n" + wide, "csv")) == [
            "cohort line 1: has 65 columns, 64 are allowed"
        ]
        monkeypatch.setattr(cohort_module, "MAX_ROWS", 2)
        assert len(parse_table(b"id\n1\n2\n", "csv").rows) == 2
        assert faults(lambda: parse_table(b"id\n1\n2\n3\n4\n", "csv")) == [
            "cohort line 4: has more than 2 rows"
        ]
        assert faults(lambda: parse_table(b'{"a":1}\n' * 3, "ndjson")) == [
            "cohort line 3: has more than 2 rows"
        ]

    def test_ndjson(self) -> None:
        data = '{"id":"ä","n":7,"x":1.5,"b":true}\r\n\n{"id":"2","extra":null}\n'.encode()
        table = parse_table(data, "ndjson")
        assert table.columns == ("id", "n", "x", "b", "extra")
        assert [(row.line, dict(row.cells)) for row in table.rows] == [
            (1, {"id": "ä", "n": "7", "x": "1.5", "b": "true"}),
            (3, {"id": "2", "extra": ""}),
        ]
        assert faults(lambda: parse_table(b'{"id":[1]}\n{"id":1,"id":2}\n7\n', "ndjson")) == [
            "cohort row 1 (line 1), column id: a cell is a text, a number, true, false or null",
            "cohort row 2 (line 2): an object has the same member twice",
            "cohort row 3 (line 3): expected a JSON object",
        ]

    @settings(max_examples=150, deadline=None)
    @given(st.binary(max_size=200), st.sampled_from(["csv", "ndjson"]))
    def test_anything_else_is_a_fault_too(self, data: bytes, form: str) -> None:
        try:
            parse_table(data, form)
        except InputFaults as error:
            assert error.faults  # noqa: PT017 - nothing else may be raised

    @settings(max_examples=100, deadline=None)
    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=6),
            lambda inner: (
                st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
            ),
            max_leaves=6,
        ),
        st.sampled_from(["name", "achievement", "results", "subject", "evidence", "validUntil", "cohort"]),
    )
    def test_any_template_is_read_or_refused(self, value: Any, member: str) -> None:
        raw = json.loads(example("json")) | {member: value}
        try:
            of = parse_template(json.dumps(raw).encode())
            of.fill({"id": "1"})
        except Malformed:
            pass


class TestRows:
    GOOD = "1,9,2,2026-01-20T10:00:00Z"

    def keys(self, data: bytes, of: Template | None = None) -> list[str]:
        return [row.key for row in prepare(of or plain(), parse_table(data, "csv"), None)]

    def test_missing_columns(self) -> None:
        assert faults(lambda: self.keys(b"id,score\n1,2\n")) == [
            "cohort, column assessed_at: the template needs this column",
            "cohort, column craft: the template needs this column",
            "cohort, column ects: the template needs this column",
        ]

    def test_ids(self) -> None:
        rows = [f"{name},,{self.GOOD}" for name in ("a", "b", "a", "", " c", '"d\n"', "e\u0301", "f" * 256)]
        assert faults(lambda: self.keys(csv(*rows))) == [
            "cohort row 3 (line 4), column id: row 1 has this id",
            "cohort row 4 (line 5), column id: an id column is filled in every row",
            "cohort row 5 (line 6), column id: an id has no spaces around it and stands on one line",
            "cohort row 6 (line 7), column id: an id has no spaces around it and stands on one line",
            "cohort row 7 (line 9), column id: an id has at most 255 bytes in Unicode form NFC",
            "cohort row 8 (line 10), column id: an id has at most 255 bytes in Unicode form NFC",
        ]

    def test_rows_without_ids(self) -> None:
        head = "subject_did,craft,score,ects,assessed_at\n"
        first = self.keys(f"{head},{self.GOOD}\n".encode())
        assert first[0].startswith("row:")
        wider = "score,craft,ects,assessed_at,note\n9,1,2,2026-01-20T10:00:00Z,\n"
        assert self.keys(wider.encode()) == first, "neither order nor empty columns matter"
        assert self.keys(f"{head},{self.GOOD}\n".encode(), plain(name="other")) != first
        twice = f"{head},{self.GOOD}\n,{self.GOOD}\n".encode()
        assert faults(lambda: self.keys(twice)) == ["cohort row 2 (line 3): row 1 has the same content"]

    def test_content_digest_tells_a_changed_row(self) -> None:
        def digest(line: str) -> bytes:
            return prepare(plain(), parse_table(csv(line), "csv"), None)[0].content_digest

        assert digest(f"1,,{self.GOOD}") == digest(f"1,,{self.GOOD}")
        assert digest(f"1,,{self.GOOD}") != digest(f"1,,{self.GOOD.replace('9', '8')}")

    def test_every_fault_of_every_row(self) -> None:
        rows = ["1,nobody,7,900,x,never", f"1,,{self.GOOD}"]
        found = faults(lambda: self.keys(csv(*rows)))
        assert [fault.partition(":")[0] for fault in found] == [
            "cohort row 1 (line 2), column subject_did",
            "cohort row 1 (line 2), column ects",
            "cohort row 2 (line 3), column id",
        ]

    def test_evidence_and_folder_belong_together(self) -> None:
        table = parse_table(csv(f"1,,{self.GOOD}"), "csv")
        assert faults(lambda: prepare(template(), table, None)) == [
            "evidence: the template has evidence: name its folder"
        ]
        assert "says nothing of evidence" in faults(lambda: prepare(plain(), table, {}))[0]


class TestEvidence:
    TABLE = parse_table(csv("s,,1,9,2,2026-01-20T10:00:00Z"), "csv")

    def run(self, evidence: dict[str, Any], *paths: str, column: str | None = None) -> list[str]:
        files = {path: EvidenceFile(path, Path(path), 1, bytes(32)) for path in paths}
        table = self.TABLE
        if column is not None:
            data = f'craft,score,ects,assessed_at,files\n1,9,2,2026-01-20T10:00:00Z,"{column}"\n'
            table = parse_table(data.encode(), "csv")
        (row,) = prepare(template(evidence=evidence), table, files)
        return [item.name for item in row.evidence]

    def test_all_files_of_a_folder(self) -> None:
        assert self.run({}, "s/b.txt", "s/a.bin", "other/x", "top") == ["a.bin", "b.txt"]
        assert self.run({"folder": "all"}, "all/x") == ["x"]

    def test_listed_files(self) -> None:
        evidence = {"files": "files"}
        assert self.run(evidence, "a.txt", "d/b.txt", column="d/b.txt; a.txt") == ["b.txt", "a.txt"]
        for column, expected in [
            ("../etc/passwd", "../etc/passwd: no such file in the evidence folder"),
            ("a.txt;a.txt", "a.txt: listed twice"),
            ("", "no file is listed"),
        ]:
            (found,) = faults(lambda column=column: self.run(evidence, "a.txt", column=column))
            assert found == f"evidence row 1 (line 2), column files: {expected}"

    @pytest.mark.parametrize(
        ("evidence", "paths", "expected"),
        [
            ({}, ["x/a"], "there is no folder 's' with files"),
            ({}, ["s/d/a"], "s/d/a: a row's folder holds no folders"),
            ({"items": [{"file": "a"}, {"file": "b"}]}, ["s/a"], "b is missing"),
            (
                {"items": [{"file": "a"}]},
                ["s/a", "s/secret"],
                "s/secret: no item of the template names this file",
            ),
            ({}, [f"s/{number}" for number in range(65)], "65 items, 64 are allowed"),
            ({}, ["s/a\u202eb"], "s/a\u202eb: a name with a slash, control or bidirectional character"),
            ({"items": [{"file": "a", "mediaType": "text"}]}, ["s/a"], "s/a: not a media type"),
        ],
    )
    def test_faults(self, evidence: dict[str, Any], paths: list[str], expected: str) -> None:
        found = faults(lambda: self.run(evidence, *paths))
        assert found[0].startswith(f"evidence row 1 (line 2): {expected}")

    def test_same_names_from_two_folders(self) -> None:
        found = faults(lambda: self.run({"files": "files"}, "a/x", "b/x", column="a/x;b/x"))
        assert found == ["evidence row 1 (line 2): b/x: two items have the name 'x'"]

    def test_what_lies_in_a_folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "s").mkdir()
        (tmp_path / ".git").mkdir()
        (tmp_path / ".git" / "config").write_text("x")
        (tmp_path / "s" / "e\u0301.txt").write_text("text")
        found = index_evidence(tmp_path)
        assert list(found) == ["s/\u00e9.txt"]
        assert found["s/\u00e9.txt"].length == 4
        os.mkfifo(tmp_path / "s" / "pipe")
        (tmp_path / "folder link").symlink_to(tmp_path / "s")
        monkeypatch.setattr(cohort_module, "MAX_ITEM_BYTES", 3)
        assert faults(lambda: index_evidence(tmp_path)) == [
            "evidence: folder link: is not a plain file",
            "evidence: s/\u00e9.txt: has 4 bytes, 3 are allowed",
            "evidence: s/pipe: is not a plain file",
        ]
