"""`bonafides issuer key` and `token`: what signs, and who may call."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from node.commands.issuer_options import (
    as_json_option,
    ask_passphrase,
    finish,
    issuer_place,
    key_kind,
    kind_option,
    no_wait_option,
    opened,
    print_json,
    run_async,
    stamp,
)

if TYPE_CHECKING:
    from node.services.anchoring import Tick
    from node.services.issuer import Issuer


@click.group()
def key() -> None:
    """The issuer's keys."""


@key.command()
@issuer_place
@kind_option
@no_wait_option
@as_json_option
@run_async
async def add(
    folder: Path,
    passphrase_file: Path | None,
    rpc: str | None,
    database: str | None,
    kind: str,
    no_wait: bool,
    as_json: bool,
) -> None:
    """Add an assertion key of another kind, for what the present ones cannot sign: see `issue --securing`.

    An issuer without a chain is its one key and has no other: `issuer init --did key --kind …` makes another issuer.
    """
    from node.services import rotation  # noqa: PLC0415
    from node.services.anchoring import AnchorWorker  # noqa: PLC0415

    passphrase = ask_passphrase(passphrase_file)
    async with opened(folder, passphrase_file, rpc, database, passphrase=passphrase) as node:
        made = await rotation.add(node, folder, passphrase, key_kind(kind))
        worker = AnchorWorker(node)
        await (worker.tick() if no_wait else finish(worker, "adding the key"))
        await _print_keys(node, {"added": made.multibase}, as_json=as_json)


@key.command()
@issuer_place
@kind_option
@click.option("--again", is_flag=True, help="Begin another rotation within a day of the last one.")
@no_wait_option
@as_json_option
@run_async
async def rotate(
    folder: Path,
    passphrase_file: Path | None,
    rpc: str | None,
    database: str | None,
    kind: str,
    again: bool,
    no_wait: bool,
    as_json: bool,
) -> None:
    """Replace the assertion key of a kind: add the new one, wait, sign with it alone, wait for old batches, retire
    the old.

    Credentials that were anchored before stay valid. An interrupted rotation is gone on with, by this command or by
    whatever else runs for the issuer; run again within a day of its end, this changes nothing without --again.
    """
    from node.services import rotation  # noqa: PLC0415
    from node.services.anchoring import AnchorWorker  # noqa: PLC0415

    passphrase = ask_passphrase(passphrase_file)
    chosen = key_kind(kind)
    async with opened(folder, passphrase_file, rpc, database, passphrase=passphrase) as node:
        made = None if again else await rotation.finished_lately(node, chosen)
        rotated = made is None
        if made is None:
            made = await rotation.begin(node, folder, passphrase, chosen)
            worker = AnchorWorker(node)
            await (worker.tick() if no_wait else finish(worker, "rotating the key"))
        else:
            minutes = int((node.clock() - made.created_at).total_seconds() // 60)
            click.echo(f"nothing to do: rotated {minutes} minutes ago (--again begins another)", err=True)
        await _print_keys(node, {"rotated": rotated, "new": made.multibase}, as_json=as_json)


def _settled(tick: Tick) -> bool:
    """Whether nothing of what the owner asked for is under way; a batch may stay open."""
    return not (tick.transactions or tick.settling)


def _since(ctx: click.Context, param: click.Parameter, value: str) -> int | None:  # noqa: ARG001 - click's form
    """The block of --since, None for now."""
    if value == "now":
        return None
    if not value.isdecimal() or not value.isascii() or len(value) > 15:
        raise click.BadParameter("give the number of a block, or: now")
    return int(value)


@key.command()
@issuer_place
@click.argument("name", metavar="KEY")
@click.option(
    "--since",
    required=True,
    metavar="BLOCK|now",
    callback=_since,
    help="First block in which it is trusted no more; now is the newest block.",
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@no_wait_option
@as_json_option
@run_async
async def compromise(
    folder: Path,
    passphrase_file: Path | None,
    rpc: str | None,
    database: str | None,
    name: str,
    since: int | None,
    yes: bool,
    no_wait: bool,
    as_json: bool,
) -> None:
    """Declare KEY (its publicKeyMultibase, or delegate-N) to be in wrong hands since a block. It cannot be taken back.

    What was anchored under it in that block or later is refused from then on, whoever signed it; what was anchored
    before stays good. It goes out of the DID document, so those who do not read the chain refuse all that it signed.
    The block can be declared again if an earlier one comes to light. Needs the owner's key.
    """
    from node.services import compromise as losing  # noqa: PLC0415
    from node.services.anchoring import AnchorWorker  # noqa: PLC0415

    async with opened(folder, passphrase_file, rpc, database) as node:
        loss = await losing.plan(node, name, since)
        if loss.is_under_way:
            click.echo("declared before, and not final yet: this goes on with it", err=True)
        else:
            click.echo(
                f"{loss.key.multibase} will be compromised since block {loss.since}, for good;", err=True
            )
            click.echo(f"of what was issued here, {loss.void} credentials will be refused", err=True)
            if not yes:
                click.confirm("Declare it?", abort=True, err=True)
            await losing.declare(node, loss)
        worker = AnchorWorker(node)
        await (worker.tick() if no_wait else finish(worker, "declaring the key", close=False, done=_settled))
        result = {"compromised": loss.key.multibase, "since": loss.since, "void": loss.void}
        await _print_keys(node, result, as_json=as_json)


@key.command("list")
@issuer_place
@as_json_option
@run_async
async def key_list(
    folder: Path,
    passphrase_file: Path | None,  # noqa: ARG001 - every command has it
    rpc: str | None,
    database: str | None,
    as_json: bool,
) -> None:
    """List the assertion keys there ever were, with the blocks between which they were good."""
    async with opened(folder, None, rpc, database, keys=False) as node:
        await _print_keys(node, {}, as_json=as_json)


async def _print_keys(node: Issuer, result: dict[str, Any], *, as_json: bool) -> None:
    from node.storage.protocols.issuer import KeyRole  # noqa: PLC0415

    async with node.store.reading() as reading:
        keys = await reading.keys.all(KeyRole.ASSERTION)
    lost = await _lost_since(node)
    if as_json:
        print_json({**result, "keys": [_key_json(one, lost.get(one.multibase)) for one in keys]})
        return
    for one in keys:
        since = f" since block {lost[one.multibase]}" if one.multibase in lost else ""
        click.echo(f"{one.multibase}  {one.state}{since}  {one.verification_method or ''}")


async def _lost_since(node: Issuer) -> dict[str, int]:
    """Compromised keys, and the blocks since when, as far as the chain can be asked now."""
    from node.core.errors import Unavailable  # noqa: PLC0415
    from node.services import compromise as losing  # noqa: PLC0415

    try:
        return {} if node.chain is None else await losing.declared(node)
    except Unavailable:
        return {}


def _key_json(one: Any, compromised_since: int | None) -> dict[str, Any]:
    return {
        "publicKeyMultibase": one.multibase,
        "kind": str(_kind_of(one)),
        "role": str(one.role),
        "state": str(one.state),
        "verificationMethod": one.verification_method,
        "from": one.valid_from,
        "until": one.valid_until,
        "compromisedSince": compromised_since,
    }


def _kind_of(one: Any) -> Any:
    from node.core.keys import parse_multikey  # noqa: PLC0415

    return parse_multikey(one.multibase).kind


@click.group()
def token() -> None:
    """Bearer tokens of programs that call this issuer over HTTP."""


@token.command("create")
@issuer_place
@click.argument("label")
@click.option(
    "--role",
    "roles",
    type=click.Choice(["issue", "status"]),
    multiple=True,
    help="What its bearer may do; may be given twice.  [default: both]",
)
@click.option("--days", type=click.IntRange(1, 3650), help="End it after so many days.")
@as_json_option
@run_async
async def token_create(
    folder: Path,
    passphrase_file: Path | None,  # noqa: ARG001 - every command has it
    rpc: str | None,
    database: str | None,
    label: str,
    roles: tuple[str, ...],
    days: int | None,
    as_json: bool,
) -> None:
    """Make a token called LABEL. It is printed once and stored as a hash."""
    from node.services import api_tokens  # noqa: PLC0415
    from node.storage.protocols.issuer import ApiRole  # noqa: PLC0415

    async with opened(folder, None, rpc, database, keys=False) as node:
        lifetime = None if days is None else timedelta(days=days)
        chosen = frozenset(map(ApiRole, roles or ("issue", "status")))
        text = await api_tokens.create(node, label, chosen, lifetime)
    if as_json:
        print_json({"label": label, "token": text, "roles": sorted(chosen)})
    else:
        click.echo(text)


@token.command("list")
@issuer_place
@as_json_option
@run_async
async def token_list(
    folder: Path,
    passphrase_file: Path | None,  # noqa: ARG001
    rpc: str | None,
    database: str | None,
    as_json: bool,
) -> None:
    """List the tokens that were ever made, without their text."""
    async with opened(folder, None, rpc, database, keys=False) as node, node.store.reading() as reading:
        tokens = await reading.api_tokens.all()
        now = node.clock()
    rows = [
        {
            "label": one.label,
            "roles": sorted(one.roles),
            "created": stamp(one.created_at),
            "expires": stamp(one.expires_at),
            "alive": one.revoked_at is None and (one.expires_at is None or now < one.expires_at),
        }
        for one in tokens
    ]
    if as_json:
        print_json({"tokens": rows})
        return
    for row in rows:
        state = "alive" if row["alive"] else "ended"
        click.echo(f"{row['label']}  {state}  {','.join(row['roles'])}  {row['created']}")


@token.command("revoke")
@issuer_place
@click.argument("label")
@run_async
async def token_revoke(
    folder: Path,
    passphrase_file: Path | None,  # noqa: ARG001
    rpc: str | None,
    database: str | None,
    label: str,
) -> None:
    """End the token called LABEL."""
    from node.core.errors import NotFound  # noqa: PLC0415

    async with (
        opened(folder, None, rpc, database, keys=False) as node,
        node.store.transaction() as transaction,
    ):
        if not await transaction.api_tokens.revoke(label, node.clock()):
            raise NotFound(f"no token called {label} is alive")
    click.echo(f"{label}: ended")
