"""`bonafides issuer erase`: evidence leaves the database; the credential verifies as before."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from node.commands.issuer_options import (
    CREDENTIAL_HELP,
    as_json_option,
    issuer_place,
    opened,
    print_json,
    run_async,
    stamp,
)

if TYPE_CHECKING:
    from node.services.erasure import Erasure

_LEFT_IN_FILES: Final = {
    "log": "another process reads the database, whose log (the file that ends -wal) holds it still: when that is over,"
    " run `issuer erase {again}`",
    "server": "the server's files hold it until `VACUUM FULL evidence_items, credentials`, its log and copies longer",
}


@click.command(
    help=f"Erase evidence of a credential from the database, for good. {CREDENTIAL_HELP}\n\n"
    "Its files, their names and salts go. The credential stays valid, and verifies with what is left: the holder's own"
    " copies are untouched, and what is handed out from now on lacks what was erased. Your evidence folder, exports"
    " and backups are yours to clear. Run again, it finds nothing to do."
)
@issuer_place
@click.argument("credential", metavar="CREDENTIAL")
@click.option(
    "--item",
    "items",
    multiple=True,
    metavar="NAME",
    help="One item, by its name or its number; may be given several times.  [default: all]",
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@as_json_option
@run_async
async def erase(
    folder: Path,
    passphrase_file: Path | None,  # noqa: ARG001 - every command has it
    rpc: str | None,
    database: str | None,
    credential: str,
    items: tuple[str, ...],
    yes: bool,
    as_json: bool,
) -> None:
    """Erase evidence of a credential from the database, for good."""
    from node.services import erasure  # noqa: PLC0415

    async with opened(folder, None, rpc, database, keys=False) as node:
        found = await erasure.plan(node, credential, items)
        if found.items:
            _tell(found)
            if not yes:
                click.confirm("Erase it?", abort=True, err=True)
        traces = await erasure.erase(node, found)
    credential_id = found.record.intent.credential_id
    numbers = [item.index for item in found.items]
    if traces in _LEFT_IN_FILES:
        # By their numbers: their names are gone, and without any all that is left would be erased.
        called = (map(str, numbers) if numbers else items) if items else ()
        again = " ".join([credential, *(f"--item {one}" for one in called)])
        click.echo(f"warning: {_LEFT_IN_FILES[traces].format(again=again)}", err=True)
    if as_json:
        print_json(
            {
                "credential": credential_id,
                "erased": numbers,
                "erased_before": [item.index for item in found.erased],
                "left": [item.index for item in found.left],
                "traces": str(traces),
            }
        )
        return
    done = f"{len(numbers)} erased" if numbers else "nothing to erase"
    click.echo(f"{credential_id}  {done}, {len(found.erased)} before, {len(found.left)} left")


def _tell(found: Erasure) -> None:
    intent = found.record.intent
    click.echo(
        f"of {intent.cohort}/{intent.row_key.removeprefix('id:')}, made {stamp(intent.created_at)}:", err=True
    )
    for mark, items in (("erased", found.items), ("stays", found.left)):
        for item in items:
            # Names of files may come from learners, and must not steer the terminal.
            name = "".join(char if char.isprintable() else " " for char in item.name or "")
            click.echo(f"- {item.index} {name} ({item.media_type}): {mark}", err=True)
    click.echo("it cannot be had back from here; the credential stays valid without it", err=True)
    click.echo("copies are not touched: the holder's, your evidence folder, exports, backups", err=True)
