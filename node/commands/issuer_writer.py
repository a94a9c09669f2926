"""`bonafides issuer key replace-writer`: the key that pays for anchors is lost, or in other hands."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from node.commands.issuer_funding import faucet_option, fund_if_can
from node.commands.issuer_options import (
    as_json_option,
    ask_passphrase,
    finish,
    issuer_place,
    no_wait_option,
    opened,
    print_json,
    run_async,
)

if TYPE_CHECKING:
    from node.services.issuer import Issuer
    from node.services.succession import Succession


@click.command("replace-writer")
@issuer_place
@faucet_option
@click.option("--again", is_flag=True, help="Begin another replacement within a day of the last one.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@no_wait_option
@as_json_option
@run_async
async def replace_writer(
    folder: Path,
    passphrase_file: Path | None,
    rpc: str | None,
    database: str | None,
    faucet: Path | None,
    again: bool,
    yes: bool,
    no_wait: bool,
    as_json: bool,
) -> None:
    """Replace the writer's key, which is lost or in other hands: a new one is made, and the old one loses its roles.

    The old key is not needed. What it had not brought to the chain by then the new one does; until that is final
    nothing is anchored or revoked. Needs the owner's key, which pays. The new writer then needs ether, and `issuer
    serve` its key file. An interrupted replacement is gone on with. Roles that only run out `issuer init` renews.
    """
    from node.services import succession  # noqa: PLC0415
    from node.services.anchoring import AnchorWorker  # noqa: PLC0415

    passphrase = ask_passphrase(passphrase_file)
    async with opened(folder, passphrase_file, rpc, database, passphrase=passphrase) as node:
        is_due = again or await succession.finished_lately(node) is None
        if is_due:
            await _begin(node, folder, passphrase, yes=yes)
        else:
            click.echo("nothing to do: replaced within the last day (--again begins another)", err=True)
        lacking = await _fund(node, faucet)
        if is_due:
            worker = AnchorWorker(node)
            # What the new writer has to do may wait for its ether.
            await (
                worker.tick()
                if no_wait
                else finish(worker, "replacing the writer", close=False, done=lambda tick: not tick.settling)
            )
        await _print_writers(node, lacking, replaced=is_due, as_json=as_json)


async def _begin(node: Issuer, folder: Path, passphrase: str, *, yes: bool) -> None:
    from node.services import succession  # noqa: PLC0415

    found = await succession.plan(node)
    if found.new is not None:
        click.echo("begun before, and not final yet: this goes on with it", err=True)
        return
    await _tell(node, found)
    if not yes:
        click.confirm("Replace it?", abort=True, err=True)
    await succession.begin(node, folder, passphrase)


async def _tell(node: Issuer, found: Succession) -> None:
    from node.core.encoding import encode_hex  # noqa: PLC0415
    from node.services.issuer import address_of  # noqa: PLC0415

    old, chain = address_of(found.old), node.require_chain()
    left = await chain.client.balance(old) / 10**18
    click.echo(
        f"the writer {encode_hex(old)} loses its roles on {chain.network.chain}, and a new key gets them:",
        err=True,
    )
    if found.calls:
        late = "those that come too late the new writer makes"
        click.echo(f"- {found.calls} of its calls are not final; {late}", err=True)
    for line in (
        f"- its {left:.6f} ether stay where they are: whoever has the key can take them",
        "- what others wrote with it stays on the chain: `bonafides audit --against` tells it",
        "- if the machine was stolen, its assertion keys were too: `issuer key compromise`",
    ):
        click.echo(line, err=True)


async def _fund(node: Issuer, faucet: Path | None) -> list[str]:
    """Who lacks ether, on each chain, after the faucet has paid, where there is one."""
    chains = [node.require_chain(), *([] if node.second is None else [node.second.chain])]
    told = [await fund_if_can(node, chain, faucet) for chain in chains]
    lacking = [detail for detail in told if detail]
    for detail in lacking:
        click.echo(f"{detail}: send it, nothing is anchored or revoked there before", err=True)
    return lacking


async def _print_writers(node: Issuer, lacking: list[str], *, replaced: bool, as_json: bool) -> None:
    from node.core.encoding import encode_hex  # noqa: PLC0415
    from node.services.issuer import address_of  # noqa: PLC0415
    from node.storage.protocols.issuer import KeyRole  # noqa: PLC0415

    async with node.store.reading() as reading:
        keys = await reading.keys.all(KeyRole.WRITER)
    writers = [
        {"address": encode_hex(address_of(key)), "state": str(key.state), "key": key.uri} for key in keys
    ]
    if as_json:
        print_json({"replaced": replaced, "writers": writers, "lacking": lacking})
        return
    for writer in writers:
        click.echo(f"{writer['address']}  {writer['state']}  {writer['key']}")
