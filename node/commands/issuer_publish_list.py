"""`bonafides issuer publish-list`: a whole status list on the chain, for who reads in bulk."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from node.commands.issuer_options import (
    as_json_option,
    finish,
    issuer_place,
    no_wait_option,
    opened,
    print_json,
    run_async,
)
from node.core.encoding import encode_hex

if TYPE_CHECKING:
    from node.services.list_mirrors import Publication

_ETHER = 10**18


@click.command("publish-list")
@click.argument("url")
@issuer_place
@click.option("--dry-run", is_flag=True, help="Say what it would cost, and do nothing.")
@click.option("--yes", is_flag=True, help="Publish without asking.")
@no_wait_option
@as_json_option
@run_async
async def publish_list(
    url: str,
    folder: Path,
    passphrase_file: Path | None,
    rpc: str | None,
    database: str | None,
    dry_run: bool,
    yes: bool,
    no_wait: bool,
    as_json: bool,
) -> None:
    """Put the status list at URL on the chain as the code of a contract, and let the registry point there.

    A mirror for those who read whole lists: no verdict reads it, and the next change is not in it. It costs as much as
    some sixty anchors, so what it will cost is told and asked about first.
    """
    from node.services import list_mirrors  # noqa: PLC0415
    from node.services.anchoring import AnchorWorker  # noqa: PLC0415

    async with opened(folder, passphrase_file, rpc, database, keys=not dry_run) as node:
        found = await list_mirrors.plan(node, url)
        click.echo(_cost(found), err=True)
        if found.calls and not dry_run:
            if not yes:
                click.confirm("Publish it?", abort=True, err=True)
            await list_mirrors.publish(node, found)
            worker = AnchorWorker(node)
            if no_wait:
                await worker.tick()
            else:
                await finish(worker, "publishing", close=False, done=lambda tick: not tick.transactions)
    published = not found.calls or not (dry_run or no_wait)
    if as_json:
        print_json({**found.to_json(), "published": published})
    elif published:
        click.echo(f"{found.status_list.url}: mirrored at {encode_hex(found.pointer)}")


def _cost(found: Publication) -> str:
    if not found.calls:
        return "this very list is published already"
    return f"bits set: {found.bits:,}; {found.gas:,} gas, about {found.wei / _ETHER:.6f} ether"
