"""`bonafides did`: what a DID stands for."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from node.commands.endpoints import asking
from node.core.errors import Misconfigured

if TYPE_CHECKING:
    from node.core.did.resolution import ResolutionResult
    from node.core.evm.agreement import Endpoints
    from node.outbound.chain import ChainClient
    from node.outbound.http import Egress

_FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)
_VERSIONED: Final = re.compile(r"(?P<did>did:[^?#]+)\?versionId=(?P<block>[0-9]{1,15})\Z")


@click.group()
def did() -> None:
    """Look at DIDs."""


@did.command()
@click.argument("name", metavar="DID")
@partial(asking, required=False)
@click.option(
    "--networks", type=_FILE, show_envvar=True, help="Your own table of networks, beside the built-in one."
)
@click.option(
    "--domains", is_flag=True, help="Ask each domain that it names, and the DNS, whether they are its own."
)
@click.option("--development", is_flag=True, help="Admit loopback hosts and plain http.")
def resolve(name: str, endpoints: Endpoints, networks: Path | None, domains: bool, development: bool) -> None:
    """Resolve a DID and print document and metadata (DID Resolution).

    A did:ethr is asked for at endpoints of its chain, where enough operators must tell the same; with
    "?versionId=BLOCK" behind it, it is shown as it was after that block. A did:web or did:webvh is fetched from its
    host. What --domains finds is told on standard error.
    """
    import orjson  # noqa: PLC0415

    match = _VERSIONED.match(name)
    block = None if match is None else int(match["block"])
    text = name if match is None else match["did"]
    result, source = asyncio.run(_resolve(text, block, endpoints, networks, development=development))
    click.echo(orjson.dumps(result.to_json(), option=orjson.OPT_INDENT_2).decode())
    if source is not None:
        click.echo(f"by {source}", err=True)
    if domains:
        for line in asyncio.run(_domains(result, development=development)) or ["it names no domain"]:
            click.echo(line, err=True)


async def _domains(result: ResolutionResult, *, development: bool) -> list[str]:
    from node.core.verify.domains import line_of, told_of  # noqa: PLC0415
    from node.core.verify.materials import Mode  # noqa: PLC0415
    from node.outbound.http import Egress, EgressPolicy  # noqa: PLC0415
    from node.services.domains import look  # noqa: PLC0415

    now = datetime.now(UTC)
    async with Egress(EgressPolicy(Mode.FULL, allow_loopback=development)) as egress:
        told = [told_of(link, now) for link in await look(result.document, egress, now)]
    return [line_of(one) + (f" ({one['fault']})" if "fault" in one else "") for one in told]


async def _resolve(
    text: str, at_block: int | None, endpoints: Endpoints, networks: Path | None, *, development: bool
) -> tuple[ResolutionResult, str | None]:
    from node.core.did.resolution import parse_did  # noqa: PLC0415
    from node.core.verify.materials import Mode  # noqa: PLC0415
    from node.outbound.http import Egress, EgressPolicy  # noqa: PLC0415
    from node.outbound.resolve import resolve_did  # noqa: PLC0415

    now = datetime.now(UTC)
    method, _ = parse_did(text)
    if at_block is not None and method != "ethr":
        raise Misconfigured("versions by their block are those of did:ethr")
    async with Egress(EgressPolicy(Mode.FULL, endpoints, allow_loopback=development)) as egress:
        if method != "ethr":
            return await resolve_did(text, now=now, egress=egress), None
        return await _resolve_ethr(text, at_block, egress, networks, now)


async def _resolve_ethr(
    text: str, at_block: int | None, egress: Egress, networks: Path | None, now: datetime
) -> tuple[ResolutionResult, str]:
    """As of the newest final block, so that operators whose endpoints lag can say the same."""
    from node.commands import loading  # noqa: PLC0415
    from node.core.did.ethr_identity import parse_did_ethr  # noqa: PLC0415
    from node.outbound.headers import ChainEndpoints  # noqa: PLC0415
    from node.outbound.resolve import RegistryEndpoint, resolve_did_ethr  # noqa: PLC0415

    name = parse_did_ethr(text)
    table = loading.load_table(networks)
    network = loading.network_of(table, name.chain_id)
    voices = ChainEndpoints(egress, table).of(name.chain_id)
    final = (await voices.newest()).value.hash

    async def ask(client: ChainClient) -> ResolutionResult:
        registry = RegistryEndpoint(client, network.did_registry)
        return await resolve_did_ethr(name, registry, now=now, at_block=at_block, block=final)

    said = await voices.say("document", ask, lambda result: repr(result.to_json()))
    return said.value, said.source
