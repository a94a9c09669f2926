"""`bonafides verifier list`: a whole status list from the mirror that its issuer published."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from node.commands.endpoints import asking
from node.core.encoding import encode_hex

if TYPE_CHECKING:
    from node.core.evm.agreement import Endpoints
    from node.outbound.list_mirrors import MirroredList

_FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)
_DIFFERENT: Final = 1
Differences = dict[int, tuple[int, int]]


@click.command("list")
@click.argument("did")
@click.argument("url")
@asking
@click.option("--purpose", default="revocation", show_default=True, help="What the list is of.")
@click.option("--networks", type=_FILE, show_envvar=True, help="Your own table of networks.")
@click.option("--compare", is_flag=True, help="Hold it against the words of the registry, which decide.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.pass_context
def read_list(
    ctx: click.Context,
    did: str,
    url: str,
    endpoints: Endpoints,
    purpose: str,
    networks: Path | None,
    compare: bool,
    as_json: bool,
) -> None:
    """Read the status list at URL of a did:ethr whole, from its mirror on the chain; nobody learns of which badge.

    Prints index and value of each status that is not 0. The issuer's site is not asked. What the mirror says decides
    nothing, and it may be older than the registry: --compare tells.

    Exit status: 0 read; 1 mirror and registry differ; 2 wrong use, or it could not be read.
    """
    found, differences = asyncio.run(_read(did, url, endpoints, purpose, networks, compare=compare))
    if as_json:
        import orjson  # noqa: PLC0415 - `--help` needs none of it

        click.echo(orjson.dumps(_json(found, differences)).decode())
    else:
        click.echo(
            f"sequence {found.record.sequence}, at block {found.header.number}, {found.source}", err=True
        )
        for index, value in found.values().items():
            click.echo(f"{index}\t{value}")
        for index, (told, stands) in (differences or {}).items():
            click.echo(f"{index}: {told} in the mirror, {stands} in the registry", err=True)
    if differences:
        ctx.exit(_DIFFERENT)


async def _read(
    did: str, url: str, endpoints: Endpoints, purpose: str, networks: Path | None, *, compare: bool
) -> tuple[MirroredList, Differences | None]:
    from node.commands import loading  # noqa: PLC0415
    from node.core.did.ethr_identity import parse_did_ethr  # noqa: PLC0415
    from node.core.verify.materials import Mode  # noqa: PLC0415
    from node.outbound.headers import ChainEndpoints  # noqa: PLC0415
    from node.outbound.http import Egress, EgressLimits, EgressPolicy  # noqa: PLC0415
    from node.outbound.list_mirrors import ListReader  # noqa: PLC0415

    name = parse_did_ethr(did)
    table = loading.load_table(networks)
    network = loading.network_of(table, name.chain_id)
    limits = EgressLimits(total_seconds=None)
    async with Egress(EgressPolicy(Mode.CHAIN, endpoints, limits=limits)) as egress:
        voices = ChainEndpoints(egress, table).of(name.chain_id)
        reader = ListReader(voices, network, name.identity)
        found = await reader.mirror(purpose, url)
        return found, await reader.differences(purpose, url, found) if compare else None


def _json(found: MirroredList, differences: Differences | None) -> dict[str, object]:
    body: dict[str, object] = {
        "sequence": found.record.sequence,
        "mirror": encode_hex(found.record.pointer),
        "entries": found.entries,
        "statusSize": found.record.status_size,
        "header": {"number": found.header.number, "source": found.source},
        "values": {str(index): value for index, value in found.values().items()},
    }
    if differences is not None:
        body["differences"] = {
            str(index): {"mirror": told, "registry": stands} for index, (told, stands) in differences.items()
        }
    return body
