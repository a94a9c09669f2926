"""The direction of dependencies, as data: who may import whom, and that nothing imports in a circle."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# A package may import what stands on its own line or above it; the longest prefix of a module's name counts.
LAYERS = (
    ("schemas", "contracts"),
    ("node.core.problem", "node.core.errors"),
    (
        "node.core.encoding",
        "node.core.cbor",
        "node.core.times",
        "node.core.strict_json",
        "node.core.members",
        "node.core.sealed",
        "node.core.bls12381",
        "node.core.evm.log",
    ),
    ("node.core.keys", "node.core.canonical", "node.core.merkle", "node.core.bbs"),
    ("node.core.credential", "node.core.did", "node.core.related_resource", "node.core.securing"),
    ("node.core.anchor", "node.core.evm", "node.core.dataintegrity", "node.core.jose", "node.core.cose"),
    (
        "node.core.envelope",
        "node.core.evidence",
        "node.core.status",
        "node.core.schema",
        "node.core.bundle",
        "node.core.openbadges",
        "node.core.baking",
    ),
    ("node.core.verify", "node.core.oid4vci", "node.core.oid4vp"),
    ("wallet.claims", "wallet.disclose", "wallet.consent", "wallet.holder_keys", "wallet.formats"),
    ("wallet.holdings", "wallet.bindings", "wallet.presentation", "wallet.select"),
    ("node.outbound", "node.web.serve"),
    ("node.chain", "node.storage", "node.keystore"),
    ("node.services",),
    ("node.web",),
    ("node.config",),
    ("wallet.store", "wallet.check", "wallet.exchange"),
    (
        "wallet.receipt",
        "wallet.receive",
        "wallet.present",
        "wallet.refresh",
        "wallet.arrivals",
        "wallet.backup",
    ),
    ("node.commands", "node.cli", "node.__main__", "node.demo", "wallet"),
)
# Beyond the layers: these never import those.
NEVER = (
    ("node", "wallet"),
    ("wallet", "node.chain"),
    ("wallet", "node.storage"),
    ("wallet", "node.keystore"),
    ("wallet", "node.services"),
    ("wallet", "node.web"),
    ("wallet", "node.config"),
    ("wallet", "node.commands"),
    ("wallet", "node.demo"),
    ("node.core.oid4vci", "node.core.verify"),
    ("node.core.oid4vp", "node.core.verify"),
    ("node.core.verify", "node.core.oid4vci"),
    ("node.core.verify", "node.core.oid4vp"),
    ("node.storage", "node.chain"),
    ("node.chain", "node.storage"),
)
IMPURE = {
    *("aiohttp", "asyncio", "socket", "sqlalchemy", "web3", "requests"),
    *("random", "secrets", "subprocess", "pathlib", "os", "time"),
}
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
# Roots that are only to be imported by the one package that is made for them.
ONLY_IN = {
    "web3": "node.chain",
    "sqlalchemy": "node.storage",
    "alembic": "node.storage",
    "eth": "node.chain",
    "didkit": "node.outbound.didkit_child",
    "dns": "node.outbound",
    "py_arkworks_bls12381": "node.core.bls12381",
    "py_ecc": "node.core.bls12381",
}


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {
    module_name(path): path
    for folder in ("node", "wallet", "schemas", "contracts")
    for path in sorted((ROOT / folder).rglob("*.py"))
    if "migrations" not in path.parts
}


def imports_of(name: str, *, at_import_time: bool) -> Iterator[str]:
    """What a module imports: while it is imported itself, or ever."""
    tree = ast.parse(MODULES[name].read_text("utf-8"))
    todo: list[ast.AST] = list(tree.body)
    while todo:
        statement = todo.pop()
        if isinstance(statement, ast.Import):
            yield from (alias.name for alias in statement.names)
        elif isinstance(statement, ast.ImportFrom):
            assert statement.level == 0, f"{name}: imports are absolute"
            for alias in statement.names:
                full = f"{statement.module}.{alias.name}"
                yield full if full in MODULES else str(statement.module)
        elif not (is_for_types(statement) or (at_import_time and isinstance(statement, FUNCTIONS))):
            todo.extend(ast.iter_child_nodes(statement))


def is_under(name: str, package: str) -> bool:
    return name == package or name.startswith(package + ".")


def is_for_types(statement: ast.AST) -> bool:
    return isinstance(statement, ast.If) and "TYPE_CHECKING" in ast.unparse(statement.test)


def layer_of(name: str) -> int:
    found = [
        (len(package), level)
        for level, packages in enumerate(LAYERS)
        for package in packages
        if is_under(name, package)
    ]
    assert found, f"{name} is in no layer: give it a place in LAYERS"
    return max(found)[1]


@pytest.mark.parametrize("name", [name for name in MODULES if name not in ("node", "node.core")])
def test_a_module_imports_only_from_its_own_layer_or_below(name: str) -> None:
    for other in imports_of(name, at_import_time=False):
        if other.partition(".")[0] in ("node", "wallet", "schemas", "contracts") and other != "node":
            assert layer_of(other) <= layer_of(name), f"{name} imports {other}"


@pytest.mark.parametrize(("who", "whom"), NEVER)
def test_some_arrows_are_forbidden_altogether(who: str, whom: str) -> None:
    for name in MODULES:
        if is_under(name, who) and not (who == "node" and is_under(name, "node.demo")):
            for other in imports_of(name, at_import_time=False):
                assert not is_under(other, whom), f"{name} imports {other}"


@pytest.mark.parametrize("name", [name for name in MODULES if is_under(name, "node.core")])
def test_the_core_is_pure(name: str) -> None:
    for other in imports_of(name, at_import_time=False):
        assert other.partition(".")[0] not in IMPURE, f"{name} imports {other}"
    tree = ast.parse(MODULES[name].read_text("utf-8"))
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.AsyncFunctionDef)]


@pytest.mark.parametrize(("library", "package"), ONLY_IN.items())
def test_a_heavy_library_has_one_importer(library: str, package: str) -> None:
    for name in MODULES:
        for other in imports_of(name, at_import_time=False):
            if is_under(other, library):
                assert is_under(name, package), f"{name} imports {other}"


def test_nothing_imports_in_a_circle() -> None:
    graph = {
        name: {other for other in imports_of(name, at_import_time=True) if other in MODULES and other != name}
        for name in MODULES
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" imports ".join(error.args[1]))
