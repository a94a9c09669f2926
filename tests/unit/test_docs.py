"""What the documents say is there, is there: commands, settings, problem types, sentences, links.

BONAFIDES_WRITE_DOCS=1 writes the tables that are made from code into README.md anew.
"""

from __future__ import annotations

import ast
import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest
from fixtures.command_lines import check_command_line, find_command

from node.config import ROLES, ServerSettings, describe
from node.core.verify.report import Reason
from node.core.verify.wording import SENTENCES

ROOT = Path(__file__).resolve().parents[2]
TRACKED = [
    ROOT / name
    for name in subprocess.run(
        ["git", "ls-files", "-z"], capture_output=True, text=True, cwd=ROOT, check=True
    ).stdout.split("\0")
    if name and (ROOT / name).is_file()
]
# The texts of the sample course are about other things.
DOCUMENTS = [file for file in TRACKED if file.suffix == ".md" and "node/demo/course" not in file.as_posix()]
NAMES = [file.relative_to(ROOT).as_posix() for file in DOCUMENTS]
_BLOCK = re.compile(r"^```sh\n(.*?)^```", re.DOTALL | re.MULTILINE)
_INLINE = re.compile(r"`bonafides ([^`]+)`")
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_SETTINGS = re.compile(r"(?<=<!-- settings -->\n).*?(?=<!-- /settings -->)", re.DOTALL)


@pytest.mark.parametrize("name", NAMES)
def test_every_command_line_in_a_document_is_one_that_can_be_typed(name: str) -> None:
    for block in _BLOCK.findall((ROOT / name).read_text()):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if words[:1] == ["bonafides"]:
                check_command_line(words[1:])


@pytest.mark.parametrize("name", NAMES)
def test_every_command_named_in_a_sentence_exists_and_has_a_help_text(name: str) -> None:
    for text in _INLINE.findall((ROOT / name).read_text()):
        words = [word for word in text.split() if re.fullmatch(r"[a-z]+", word)]
        command, context, _ = find_command(words)
        assert command.help, context.command_path


def test_every_make_target_in_a_document_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for document in DOCUMENTS:
        assert set(re.findall(r"`make ([a-z-]+)`", document.read_text())) <= targets, document


def roles_that_read_settings() -> dict[str, type[ServerSettings]]:
    """Those whose command loads them: what nothing reads is not documented as if it had an effect."""
    commands = "".join(file.read_text() for file in (ROOT / "node/commands").glob("*.py"))
    return {role: settings for role, settings in ROLES.items() if settings.__name__ in commands}


def settings_table() -> str:
    """The settings of the roles, as README shows them."""
    lines = []
    for role in roles_that_read_settings():
        lines += [f"\nThe {role}:\n", "| variable | default | what |", "| --- | --- | --- |"]
        lines += [
            f"| `{setting.variable}` | {f'`{setting.default}`' if setting.default else ''} "
            f"| {setting.description} |".replace("|  |", "| |")
            for setting in describe(ROLES[role])
        ]
    return "\n".join(lines) + "\n\n"


def test_every_setting_is_described_and_stands_in_the_readme() -> None:
    for role in ROLES.values():
        for setting in describe(role):
            assert setting.description.endswith((".", "m", "h", "d")), setting.name
    readme = ROOT / "README.md"
    text = readme.read_text()
    if os.environ.get("BONAFIDES_WRITE_DOCS"):
        readme.write_text(_SETTINGS.sub(lambda _: settings_table(), text))
        return
    found = _SETTINGS.search(text)
    assert found is not None
    assert found[0] == settings_table(), "run: BONAFIDES_WRITE_DOCS=1 pytest tests/unit/test_docs.py"


def test_every_reason_has_a_sentence_for_people() -> None:
    assert set(SENTENCES) == set(Reason)
    for reason, sentence in SENTENCES.items():
        assert sentence[0].isupper(), reason
        assert sentence.endswith("."), reason


def own_problem_types() -> set[str]:
    """Every name that is given to `problem.ours`, wherever it is, and the constants beside it."""
    found = set()
    for file in TRACKED:
        if file.suffix == ".py" and file.relative_to(ROOT).parts[0] in ("node", "wallet"):
            for item in ast.walk(ast.parse(file.read_text())):
                if isinstance(item, ast.Call) and ast.unparse(item.func).split(".")[-1] == "ours":
                    found |= _literals(item.args[0], file)
    constants = (ROOT / "node/core/problem.py").read_text()
    return found | set(re.findall(r'= _OURS \+ "([a-z-]+)"', constants))


def _literals(name: ast.expr, file: Path) -> set[str]:
    if isinstance(name, ast.Constant):
        return {str(name.value)}
    # By status, for what aiohttp itself refuses.
    assert file.name == "problems.py", f"{file}: a problem type has a literal name"
    return {"http-", "method-not-allowed", "too-large", "unsupported-media-type"}


def test_every_problem_type_of_our_own_stands_in_the_nodes_readme() -> None:
    documented = re.findall(r"^\| `([a-z0-9-]+)` \| ", (ROOT / "node/README.md").read_text(), re.MULTILINE)
    assert documented == sorted(own_problem_types())


def slug(heading: str) -> str:
    """The anchor that a heading gets: lower case, spaces to hyphens, other marks left out."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


@pytest.mark.parametrize("name", NAMES)
def test_every_relative_link_leads_somewhere(name: str) -> None:
    document = ROOT / name
    for link in _LINK.findall(document.read_text()):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, fragment = link.partition("#")
        target = (document.parent / path).resolve() if path else document
        assert target.exists(), link
        assert target.is_relative_to(ROOT), link
        if fragment:
            assert fragment in map(slug, _HEADING.findall(target.read_text())), link


def test_every_folder_that_people_look_into_has_a_readme() -> None:
    for folder in (
        "",
        "node",
        "node/services",
        "node/storage",
        "node/demo",
        "contracts",
        "docker",
        "schemas/openbadges",
    ):
        assert (ROOT / folder / "README.md").is_file(), folder


def test_no_todo_is_without_the_number_of_its_issue() -> None:
    own = {Path(__file__)}
    word = re.compile(r"\b(?:TODO|FIXME|XXX)\b(?!\(#\d+\))")
    for file in TRACKED:
        if (
            file.suffix in (".py", ".md", ".vy", ".mjs", ".js", ".html", ".css", ".toml", ".yml")
            and file not in own
        ):
            assert not word.search(file.read_text()), file
