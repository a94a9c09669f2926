"""`bonafides verifier follow`: keep a verifier's replica of the registries, beside `serve` or in its place."""

from __future__ import annotations

import asyncio
import contextlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from node.commands.endpoints import naming_endpoints
from node.commands.verifier_folder import folder_option, make_folder

if TYPE_CHECKING:
    from node.config import VerifierConfig
    from node.core.strict_json import JsonObject
    from node.services.domains import DomainWatch
    from node.services.follower import Followers

_FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)
_TOLD_SECONDS: Final = 5.0


@click.command()
@folder_option
@click.option("--database", metavar="URL", show_envvar=True, help="PostgreSQL instead of a file in --dir.")
@naming_endpoints
@click.option("--networks", type=_FILE, show_envvar=True, help="Your own table of networks.")
@click.option("--trust", type=_FILE, show_envvar=True, help="Your list of recognised issuers.")
@click.option(
    "--follow-domains",
    is_flag=True,
    default=None,
    show_envvar=True,
    help="Ask the sites and the DNS of the issuers in --trust once a day whether they are theirs.",
)
@click.option("--development", is_flag=True, default=None, help="Admit sites on loopback and plain http.")
@click.option("--once", is_flag=True, help="Follow to the newest final block and end: for cron.")
@click.option("--json", "as_json", is_flag=True, help="Print how far it came as JSON.")
def follow(folder: Path, *, once: bool, as_json: bool, **options: Any) -> None:
    """Copy the registries of the chains of --rpc into the database of --dir, each step proven.

    A verifier that serves from the same folder with --follow keeps its own; this is for filling it before, and for
    machines on which something else serves. Exit status 1 where the copy does not answer at the end.
    """
    from node.config import VerifierConfig, load_config  # noqa: PLC0415

    config = load_config(
        VerifierConfig, dir=folder, follow=True, **{**options, "rpc": options["rpc"] or None}
    )
    make_folder(config.dir)
    told = asyncio.run(_follow(config, once=once))
    if as_json:
        click.echo(json.dumps(told))
    else:
        for one in told:
            click.echo(_line(one))
    if not told or any("fault" in one for one in told):
        raise SystemExit(1)


async def _follow(config: VerifierConfig, *, once: bool) -> list[JsonObject]:
    from node.commands.loading import load_verifier  # noqa: PLC0415
    from node.core.verify.materials import Mode  # noqa: PLC0415
    from node.outbound.http import Egress, EgressPolicy  # noqa: PLC0415
    from node.services.domains import DomainWatch  # noqa: PLC0415
    from node.services.follower import Followers  # noqa: PLC0415
    from node.services.replica import StoredReplica  # noqa: PLC0415
    from node.storage.database import open_database  # noqa: PLC0415

    judge = load_verifier(config.networks, config.trust, mode=Mode.CHAIN)
    store = await open_database(config.database_url)
    try:
        policy = EgressPolicy(Mode.CHAIN, config.endpoints, allow_loopback=config.development)
        async with Egress(policy) as egress:
            followers = Followers(store, judge.networks.every, egress)
            watch = None
            if config.follow_domains and judge.trust is not None:
                replica = StoredReplica(store, judge.networks.every)
                watch = DomainWatch(store, replica, judge.trust, egress)
            telling = asyncio.create_task(_tell(followers))
            try:
                await _work(followers, watch, once=once)
            finally:
                telling.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await telling
            return followers.progress()
    finally:
        await store.close()


async def _work(followers: Followers, watch: DomainWatch | None, *, once: bool) -> None:
    if not once:
        await asyncio.gather(followers.run(), *([watch.run()] if watch is not None else []))
        return
    faults = await followers.step()
    if watch is not None:
        await watch.step()  # asks for the documents that nobody asked for yet
        faults = await followers.step()
        await watch.step()
    for fault in faults:
        click.echo(fault, err=True)


async def _tell(followers: Followers) -> None:
    while True:
        await asyncio.sleep(_TOLD_SECONDS)
        for one in followers.progress():
            click.echo(_line(one), err=True)


def _line(one: JsonObject) -> str:
    lag = "" if one["lag"] is None else f", {one['lag']} to go"
    fault = f": {one['fault']}" if "fault" in one else ""
    return f"{one['chain']}: block {one['block']}{lag}{fault}"
