"""`bonafides issuer revoke|suspend|reinstate|message`: change what verifiers read of a credential."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from node.commands.issuer_options import (
    CREDENTIAL_HELP,
    as_json_option,
    finish,
    issuer_place,
    no_wait_option,
    opened,
    print_json,
    run_async,
    stamp,
)

if TYPE_CHECKING:
    from node.services.issuer import Issuer
    from node.services.revocation import Action


def _status_command(name: str, words: str) -> click.Command:
    @click.command(name, help=words)
    @issuer_place
    @click.argument("credentials", nargs=-1, required=True, metavar="CREDENTIAL…")
    @click.option("--reason", required=True, help="Kept with the change, for the issuer's own record.")
    @no_wait_option
    @as_json_option
    @run_async
    async def change(
        folder: Path,
        passphrase_file: Path | None,
        rpc: str | None,
        database: str | None,
        credentials: tuple[str, ...],
        reason: str,
        no_wait: bool,
        as_json: bool,
    ) -> None:
        from node.services.revocation import Action  # noqa: PLC0415

        async with opened(folder, passphrase_file, rpc, database) as node:
            await _change(node, credentials, Action(name), reason, wait=not no_wait, as_json=as_json)

    return change


@click.command(
    help=f"Set what the status of credentials says, where their template has messages. {CREDENTIAL_HELP}"
)
@issuer_place
@click.argument("credentials", nargs=-1, required=True, metavar="CREDENTIAL…")
@click.option(
    "--value",
    required=True,
    type=click.IntRange(0, 255),
    help="Number of the message, from 0, in the order of the template's statusMessage.",
)
@click.option("--reason", required=True, help="Kept with the change, for the issuer's own record.")
@no_wait_option
@as_json_option
@run_async
async def message(
    folder: Path,
    passphrase_file: Path | None,
    rpc: str | None,
    database: str | None,
    credentials: tuple[str, ...],
    value: int,
    reason: str,
    no_wait: bool,
    as_json: bool,
) -> None:
    """Set the status of credentials to the message of that number."""
    from node.services.revocation import Action  # noqa: PLC0415

    async with opened(folder, passphrase_file, rpc, database) as node:
        wait = not no_wait
        await _change(node, credentials, Action.MESSAGE, reason, value=value, wait=wait, as_json=as_json)


async def _change(
    node: Issuer,
    names: Sequence[str],
    action: Action,
    reason: str,
    *,
    value: int | None = None,
    wait: bool,
    as_json: bool,
) -> None:
    from node.services import lookup, revocation  # noqa: PLC0415

    records = [await lookup.find_credential(node, name) for name in names]
    changes = await revocation.change_status(
        node, records, action, reason=reason, requested_by="command line", value=value
    )
    ids = [change.credential_id for change in changes]
    if node.on_chain and wait:
        from node.services.anchoring import AnchorWorker  # noqa: PLC0415

        # Status words only: a batch that is open stays open.
        await finish(AnchorWorker(node), str(action), close=False, done=lambda tick: not tick.transactions)
    effective = await revocation.is_effective(node, ids) and all(
        one.ends is None or one.is_effective for one in changes
    )
    if as_json:
        print_json({"action": str(action), "effective": effective, "credentials": ids})
        return
    for change in changes:
        if change.ends is not None:
            click.echo(f"{change.credential_id}  {action}  renewed no more: over at {stamp(change.ends)}")
            ids.remove(change.credential_id)
    for credential_id in ids:
        click.echo(f"{credential_id}  {action}  {'effective' if effective else 'accepted, on its way'}")


revoke = _status_command("revoke", f"Revoke credentials for good. {CREDENTIAL_HELP}")
suspend = _status_command("suspend", f"Suspend credentials of a suspendable template. {CREDENTIAL_HELP}")
reinstate = _status_command("reinstate", f"End the suspension of credentials. {CREDENTIAL_HELP}")
