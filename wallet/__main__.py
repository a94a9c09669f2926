"""`python -m wallet`: the same commands as `bonafides wallet`."""

from __future__ import annotations

import sys

from node.cli import main

if __name__ == "__main__":
    sys.exit(main(["wallet", *sys.argv[1:]]))
