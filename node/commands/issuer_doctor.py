"""`bonafides issuer doctor`: what is not as it should be, and what to do."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import click

from node.commands.issuer_options import as_json_option, issuer_place, opened, print_json, run_async

if TYPE_CHECKING:
    from node.services.doctor import Finding

_FAULT: Final = 1
_UNKNOWN: Final = 3


@click.command()
@issuer_place
@as_json_option
@click.pass_context
@run_async
async def doctor(
    ctx: click.Context,
    folder: Path,
    passphrase_file: Path | None,  # noqa: ARG001 - every command has it
    rpc: str | None,
    database: str | None,
    as_json: bool,
) -> None:
    """Examine clock, endpoints, contracts, keys, writer, balance, DID document, status lists and domain.

    Each finding comes with what to do about it. Reads only, and needs no passphrase; the issuer's URL is asked as a
    stranger would. Exit status: 0 nothing is wrong (there may be warnings), 1 something is, 3 nothing is known to be
    but something could not be told.
    """
    from node.commands.issuer_folder import Folder  # noqa: PLC0415
    from node.core.verify.materials import Mode  # noqa: PLC0415
    from node.outbound.http import Egress, EgressPolicy  # noqa: PLC0415
    from node.services import doctor as examining  # noqa: PLC0415

    development = Folder.load(folder).development
    async with opened(folder, None, rpc, database, keys=False) as node:
        own = urlsplit(node.settings.url)
        port = own.port or (443 if own.scheme == "https" else 80)
        policy = EgressPolicy(Mode.FULL, hosts=(f"{own.hostname}:{port}",), allow_loopback=development)
        async with Egress(policy) as egress:
            found = await examining.examine(node, egress)
    levels = {finding.level for finding in found}
    if as_json:
        print_json({"findings": [_json(finding) for finding in found]})
    else:
        _print(found)
    if examining.Level.FAULT in levels:
        ctx.exit(_FAULT)
    if examining.Level.UNKNOWN in levels:
        ctx.exit(_UNKNOWN)


def _json(finding: Finding) -> dict[str, str | None]:
    return {
        "subject": finding.subject,
        "level": str(finding.level),
        "detail": finding.detail,
        "remedy": finding.remedy,
    }


def _print(found: list[Finding]) -> None:
    for finding in found:
        # Words of servers must not steer the terminal.
        line = f"{finding.level:<8} {finding.subject}: {finding.detail}"
        click.echo("".join(char if char.isprintable() else " " for char in line))
        if finding.remedy is not None:
            click.echo(f"{'':<8} → {finding.remedy}")
