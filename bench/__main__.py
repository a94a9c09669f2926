"""`make bench`: the table of what is measured, with what each row is to reach.

A module of this package has `measure()`, which gives its rows. Names choose modules; all of them take some minutes.
"""

from __future__ import annotations

import argparse
import importlib
import os
import platform
import sys
import time

MODULES = (
    "verify",
    "tokens",
    "bbs",
    "selective",
    "batch",
    "trees",
    "start",
    "service",
    "chain",
    "follower",
    "gas",
    "light_client",
)
_WIDTHS = (68, 40, 36, 7)


def main() -> int:
    """Run the chosen measurements, or all; 1 where a row is not met."""
    assert __doc__ is not None
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(MODULES)}; default all")
    names = parser.parse_args().names or MODULES
    print(f"{platform.python_implementation()} {platform.python_version()}, {os.cpu_count()} cores")
    _print("work", "at least", "measured", "met")
    _print(*("-" * width for width in _WIDTHS))
    started = time.monotonic()
    lacking = []
    for name in names:
        for row in importlib.import_module(f"bench.{name}").measure():
            _print(row.work, row.limit, row.figure, row.met)
            if row.met == "NO":
                lacking.append(f"{row.work} ({row.figure})")
    print(f"\nload {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores, {time.monotonic() - started:.0f} s")
    print(f"not met: {'; '.join(lacking)}" if lacking else "every row is met")
    return 1 if lacking else 0


def _print(*cells: str) -> None:
    padded = [cell.ljust(width) for cell, width in zip(cells, _WIDTHS, strict=True)]
    print(f"| {' | '.join(padded)} |", flush=True)


if __name__ == "__main__":
    sys.exit(main())
