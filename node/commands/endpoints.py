"""The options that name endpoints of a chain, for commands that read it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import click


def naming_endpoints(command: Callable[..., Any], *, required: bool = False) -> Callable[..., Any]:
    """Add `--rpc` and `--agree`, handed over as they were written."""
    for option in (
        click.option(
            "--agree",
            type=click.IntRange(1),
            metavar="N",
            show_envvar=True,
            help="How many operators must agree.  [default: the smallest majority]",
        ),
        click.option(
            "--rpc",
            multiple=True,
            required=required,
            metavar="[OPERATOR=]URL",
            show_envvar=True,
            help="JSON-RPC endpoint of the chain; of several, a majority of operators must agree.",
        ),
    ):
        command = option(command)
    return command


def asking(command: Callable[..., Any], *, required: bool = True) -> Callable[..., Any]:
    """Add the same options, handed over as one `Endpoints` called `endpoints`."""

    @functools.wraps(command)
    def run(*arguments: Any, rpc: Sequence[str], agree: int | None, **more: Any) -> Any:
        from node.core.evm.agreement import Endpoints  # noqa: PLC0415

        return command(*arguments, endpoints=Endpoints.of(rpc, agree), **more)

    return naming_endpoints(run, required=required)
