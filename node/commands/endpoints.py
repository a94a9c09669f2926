"""The options that name endpoints of a chain, for commands that read it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import click


def asking(command: Callable[..., Any], *, required: bool = True) -> Callable[..., Any]:
    """Add `--rpc` and `--agree`, handed over as one `Endpoints` called `endpoints`."""

    @functools.wraps(command)
    def run(*arguments: Any, rpc: Sequence[str], agree: int | None, **more: Any) -> Any:
        from node.core.evm.agreement import Endpoints  # noqa: PLC0415

        return command(*arguments, endpoints=Endpoints.of(rpc, agree), **more)

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
        run = option(run)
    return run
