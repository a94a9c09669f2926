"""`python -m wallet`: the same commands as `bonafides wallet`."""

from __future__ import annotations

import sys

import click

from node.core.errors import BonafidesError
from wallet.cli import wallet
from wallet.words import plain

if __name__ == "__main__":
    try:
        wallet(prog_name="wallet")
    except BonafidesError as error:
        click.echo(f"wallet: {plain(error.detail)}", err=True)
        sys.exit(1)
