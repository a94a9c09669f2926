"""`make bench`: every measurement in one run, each as the row of a table.

A module of this package measures with `measure()`, which gives names and figures; `DESCRIPTION` says what they are
compared with. Figures are the best of several repetitions, so that a busy machine shows less.
"""

from __future__ import annotations

import argparse
import importlib
import os
import platform
import sys

MODULES = ("verify", "tokens", "proofs", "trees", "batch", "start", "gas")


def main() -> int:
    """Run the chosen measurements, or all."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(MODULES)}; default all")
    names = parser.parse_args().names or MODULES
    print(f"{platform.python_implementation()} {platform.python_version()}, {os.cpu_count()} cores")
    for name in names:
        module = importlib.import_module(f"bench.{name}")
        print(f"\n{name}: {(module.__doc__ or '').splitlines()[0]}")
        for row, figure in module.measure().items():
            shown = (
                f"{figure:,.3g}"
                if isinstance(figure, float)
                else f"{figure:,}"
                if isinstance(figure, int)
                else figure
            )
            print(f"  {row:<72} {shown:>14}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
