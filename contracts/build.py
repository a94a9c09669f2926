"""Compiles the contracts and writes their artefacts: `python -m contracts.build`.

With `--check` it only compares. Needs the pinned `vyper` of the development dependencies; nothing that runs in a
node does. The output has no date and no path in it, so that the same sources give the same bytes everywhere.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from contracts import CONTRACT_NAMES

FOLDER = Path(__file__).resolve().parent
ARTIFACTS = FOLDER / "artifacts"
COMPILER = "0.4.3"
# Later forks add nothing that the contracts use, and cancun is what every target chain runs.
EVM_VERSION = "cancun"


def compile_contract(name: str) -> dict[str, Any]:
    """Return the artefact of `<name>.vy`, in the shape that `contracts.load_artifact` tells."""
    import vyper  # type: ignore[import-untyped]  # noqa: PLC0415  (absent outside development)
    from vyper.compiler.input_bundle import FilesystemInputBundle  # type: ignore[import-untyped]  # noqa: PLC0415
    from vyper.compiler.settings import Settings  # type: ignore[import-untyped]  # noqa: PLC0415

    if vyper.__version__.partition("+")[0] != COMPILER:
        raise SystemExit(f"contracts.build: needs vyper {COMPILER}, found {vyper.__version__}")
    bundle = FilesystemInputBundle([FOLDER])
    # `devdoc` is asked for only to have the NatSpec checked against the signatures.
    wanted = ["abi", "bytecode", "bytecode_runtime", "layout", "integrity", "devdoc"]
    output = vyper.compiler.compile_from_file_input(
        bundle.load_file(f"{name}.vy"),
        input_bundle=bundle,
        settings=Settings(evm_version=EVM_VERSION),
        output_formats=wanted,
    )
    layout = output["layout"]
    return {
        "name": name,
        "compiler": f"vyper {vyper.__long_version__}",
        "evmVersion": EVM_VERSION,
        "integrity": output["integrity"],
        "abi": output["abi"],
        "initcode": output["bytecode"],
        "runtime": output["bytecode_runtime"],
        "immutables": {key: item["offset"] for key, item in layout.get("code_layout", {}).items()},
        "storage": {key: item["slot"] for key, item in layout["storage_layout"].items()},
    }


def encode_artifact(artifact: dict[str, Any]) -> str:
    """Return the text of an artefact's file: indented, so that a change of the ABI is readable in a diff."""
    return json.dumps(artifact, indent=1, ensure_ascii=False) + "\n"


def main(arguments: list[str] | None = None) -> int:
    """Write the artefacts, or with `--check` return 1 if one differs from what the sources compile to."""
    parser = argparse.ArgumentParser(prog="python -m contracts.build", description=main.__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, compare")
    check = parser.parse_args(arguments).check
    stale = []
    for name in CONTRACT_NAMES:
        file = ARTIFACTS / f"{name}.json"
        text = encode_artifact(compile_contract(name))
        if not file.is_file() or file.read_text("utf-8") != text:
            stale.append(file.name)
            if not check:
                ARTIFACTS.mkdir(exist_ok=True)
                file.write_text(text, "utf-8")
    verb = "differs from its source" if check else "written"
    sys.stderr.write("".join(f"contracts.build: {name} {verb}\n" for name in stale))
    return 1 if check and stale else 0


if __name__ == "__main__":
    raise SystemExit(main())
