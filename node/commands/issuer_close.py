"""`bonafides issuer close`: the end of an identity, asked for twice and typed out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from node.commands.issuer_options import (
    as_json_option,
    finish,
    issuer_place,
    opened,
    print_json,
    run_async,
)
from node.core.errors import Misconfigured

if TYPE_CHECKING:
    from node.services.anchoring import Tick
    from node.services.closing import Standing
    from node.services.issuer import Issuer


@click.command()
@issuer_place
@click.option(
    "--abandon",
    is_flag=True,
    help="Then move the owner to an address that nobody holds: from there on nothing can be revoked either.",
)
@click.option("--confirm", metavar="DID", help="The issuer's DID, instead of being asked to type it.")
@as_json_option
@run_async
async def close(
    folder: Path,
    passphrase_file: Path | None,
    rpc: str | None,
    database: str | None,
    abandon: bool,
    confirm: str | None,
    as_json: bool,
) -> None:
    """Close the issuer's identity for good: nothing is issued any more, what was anchored before stays good.

    Afterwards revoke what is to be revoked, and last, if nobody shall ever write again, close with --abandon. What
    waits is anchored first. Needs the owner's key. Run again, it goes on where it stopped.
    """
    from node.services import closing  # noqa: PLC0415
    from node.services.anchoring import AnchorWorker  # noqa: PLC0415

    async with opened(folder, passphrase_file, rpc, database) as node:
        found = await closing.standing(node)
        if not found.is_abandoned:
            if abandon or not found.closed_block:
                _confirm(node, _meaning(found, abandon=abandon), confirm)
            worker = AnchorWorker(node)
            if not found.closed_block:
                await finish(worker, "anchoring what waits")
            await closing.close(node)
            await finish(worker, "closing", done=_settled)
            if abandon:
                await closing.abandon(node)
                await finish(worker, "abandoning", done=_settled)
            found = await closing.standing(node)
        did = node.settings.did
    if as_json:
        print_json({"did": did, "closed": found.closed_block, "abandoned": found.is_abandoned})
        return
    click.echo(f"{did}: closed in block {found.closed_block}{', abandoned' if found.is_abandoned else ''}")
    if not found.is_abandoned:
        click.echo("its credentials can still be revoked; `issuer close --abandon` ends that too", err=True)


def _settled(tick: Tick) -> bool:
    return not (tick.transactions or tick.settling)


def _meaning(found: Standing, *, abandon: bool) -> list[str]:
    """What the step comes to, a line each."""
    lines = []
    if not found.closed_block:
        lines += [
            "from its block on nothing is anchored, and no key and no list begins; that cannot be taken back",
            "what was anchored before stays good, and can be revoked and suspended still",
            "its keys leave the DID document: programs that do not read our registry refuse all it issued",
            f"{found.unclaimed} credentials that are not signed yet are withdrawn, with their links",
        ]
    if abandon:
        lines += [
            "the owner moves to 0x…dEaD: nothing can be revoked, suspended or declared compromised any more",
            "so revoke first what is to be revoked",
        ]
    return lines


def _confirm(node: Issuer, lines: list[str], typed: str | None) -> None:
    did = node.settings.did
    click.echo(f"closing {did}:", err=True)
    for line in lines:
        click.echo(f"- {line}", err=True)
    if typed is None:
        typed = click.prompt("Type the DID to go on", err=True)
    if typed.strip() != did:
        raise Misconfigured("that is not the DID of this issuer: nothing was done")
