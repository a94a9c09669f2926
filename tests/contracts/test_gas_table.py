"""The gas table of contracts/README.md is what the calls cost."""

from __future__ import annotations

from pathlib import Path

from bench.gas import gas_of_each, markdown_table

README = Path(__file__).resolve().parents[2] / "contracts" / "README.md"


def test_readme_tells_what_each_call_costs() -> None:
    told = README.read_text("utf-8").partition("tests/contracts -->\n")[2].partition("<!-- /gas -->")[0]
    assert told == markdown_table(gas_of_each())
