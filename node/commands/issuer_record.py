"""`bonafides issuer status` and `export`: what is where, and as files."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from node.commands.issuer_options import (
    CREDENTIAL_HELP,
    as_json_option,
    finish,
    issuer_place,
    opened,
    print_json,
    run_async,
)
from node.core.errors import Misconfigured

if TYPE_CHECKING:
    from node.services.issuer import Issuer

# A credential is about somebody, and a bundle opens the evidence as well.
_PERSONAL: Final = frozenset({"bundle", "document"})


@click.command()
@issuer_place
@as_json_option
@run_async
async def status(
    folder: Path,
    passphrase_file: Path | None,  # noqa: ARG001
    rpc: str | None,
    database: str | None,
    as_json: bool,
) -> None:
    """Show what is where, and what is stuck. Needs no passphrase."""
    from node.services import overview  # noqa: PLC0415

    async with opened(folder, None, rpc, database, keys=False) as node:
        found = await overview.overview(node)
    if as_json:
        print_json(found)
    else:
        _print_overview(found)


def _print_overview(found: dict[str, Any]) -> None:
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    from node.services.costs import paid_in_words  # noqa: PLC0415

    console = Console(highlight=False, emoji=False, markup=False)
    console.print(f"{found['name']}\n{found['did']}\n{found['url']}")
    for warning in found["warnings"]:
        console.print(f"warning: {warning}", markup=False)
    tables = {
        title: found.get(title) for title in ("chain", "credentials", "evidence", "anchoring", "transactions")
    }
    tables["paid"] = paid_in_words(found["paid"])
    if second := found.get("second_chain"):
        tables["second chain"] = {"chain": second["chain"]} | second["transactions"]
        tables["paid there"] = paid_in_words(second["paid"])
    for title, rows in tables.items():
        if not rows:
            continue
        table = Table(title=title, title_justify="left", show_header=False)
        for name, value in rows.items():
            table.add_row(name.replace("_", " "), "" if value is None else str(value))
        console.print(table)
    for title in ("keys", "lists", "set_aside"):
        rows = found[title]
        if not rows:
            continue
        table = Table(*rows[0], title=title.replace("_", " "), title_justify="left")
        for row in rows:
            table.add_row(*("" if value is None else str(value) for value in row.values()))
        console.print(table)


@click.command()
@issuer_place
@click.option("--credential", metavar="CREDENTIAL", help=f"One credential. {CREDENTIAL_HELP}")
@click.option("--bundle", type=click.Path(dir_okay=False, path_type=Path), help="Write its bundle here.")
@click.option("--document", type=click.Path(dir_okay=False, path_type=Path), help="Write it alone here.")
@click.option(
    "--did-document", type=click.Path(dir_okay=False, path_type=Path), help="Write the issuer's DID document."
)
@click.option(
    "--did-configuration",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write what links the DID with the origin of the issuer's URL; signs, so needs the passphrase.",
)
@click.option(
    "--checkpoint",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write a checkpoint file of the chain.",
)
@click.option(
    "--audit",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write what was written to the chain, kinds and sizes, for `bonafides audit --against`.",
)
@click.option(
    "--records",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write the issuer's whole record here.",
)
@click.option(
    "--blockcerts",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write Blockcerts v3 files here, of --credential or --cohort; sends a transaction, so needs the passphrase.",
)
@click.option("--cohort", metavar="COHORT", help="With --blockcerts: all that is signed of a cohort.")
@as_json_option
@run_async
async def export(
    folder: Path,
    passphrase_file: Path | None,
    rpc: str | None,
    database: str | None,
    credential: str | None,
    bundle: Path | None,
    document: Path | None,
    did_document: Path | None,
    did_configuration: Path | None,
    checkpoint: Path | None,
    audit: Path | None,
    records: Path | None,
    blockcerts: Path | None,
    cohort: str | None,
    as_json: bool,
) -> None:
    """Write credentials, bundles, the DID document, a checkpoint file, or the whole record.

    Needs no passphrase but for --blockcerts, whose proof is a transaction that the identity's owner sends, and for
    --did-configuration.
    """
    from node.services import export as exporting  # noqa: PLC0415

    if blockcerts is not None:
        names = [] if credential is None else [credential]
        await _export_blockcerts(
            opened(folder, passphrase_file, rpc, database), blockcerts, names, cohort, as_json=as_json
        )
        return
    if (bundle or document) and credential is None:
        raise Misconfigured("name the credential: --credential")
    name = credential or ""
    pieces: list[tuple[str, Path | None, Callable[[Issuer], Awaitable[bytes]]]] = [
        ("bundle", bundle, lambda node: exporting.bundle_json(node, name)),
        ("document", document, lambda node: exporting.document_json(node, name)),
        ("did_document", did_document, exporting.did_document_json),
        ("did_configuration", did_configuration, exporting.did_configuration_json),
        ("checkpoint", checkpoint, exporting.checkpoint_json),
        ("audit", audit, exporting.audit_json),
    ]
    if records is None and not any(target for _, target, _ in pieces):
        options = ", ".join("--" + piece.replace("_", "-") for piece, _, _ in pieces)
        raise Misconfigured(f"say what to write: {options} or --records")
    written: dict[str, str] = {}
    signs = did_configuration is not None
    async with opened(folder, passphrase_file, rpc, database, keys=signs) as node:
        for piece, target, make in pieces:
            if target is not None:
                _write(target, await make(node), written, piece)
        if records is not None:
            await exporting.write_records(node, records)
            written["records"] = str(records)
    if as_json:
        print_json(written)
    else:
        for file in written.values():
            click.echo(file)


async def _export_blockcerts(
    opening: Any, folder: Path, names: list[str], cohort: str | None, *, as_json: bool
) -> None:
    from node.services import blockcerts  # noqa: PLC0415
    from node.services.anchoring import AnchorWorker  # noqa: PLC0415

    if not names and cohort is None:
        raise Misconfigured("say of what: --credential or --cohort")
    async with opening as node:
        prepared = await blockcerts.prepare(node, names, cohort)

        async def wait() -> None:
            await finish(
                AnchorWorker(node), "sending the root", close=False, done=lambda tick: not tick.transactions
            )

        files = [str(file) for file in await blockcerts.export(node, prepared, folder, wait)]
    if as_json:
        print_json({"blockcerts": files})
        return
    for file in files:
        click.echo(file)


def _write(file: Path, data: bytes, written: dict[str, str], name: str) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        mode = 0o600 if name in _PERSONAL else 0o666  # less the umask
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
        with open(descriptor, "wb") as opened:  # noqa: PTH123 - the descriptor carries the mode
            opened.write(data)
    except OSError as error:
        raise Misconfigured(f"{file} cannot be written: {error.strerror}") from error
    written[name] = str(file)
