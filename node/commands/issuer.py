"""`bonafides issuer`: the school's command line. Every command is safe to run again.

Results go to stdout, progress and the rest to stderr. What an interrupted command began is gone on with by the same
command, by `issuer anchor`, or by a running `issuer serve`.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Coroutine, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar

import click

from node.core.errors import Misconfigured

if TYPE_CHECKING:
    from node.commands.issuer_folder import Folder
    from node.services.anchoring import AnchorWorker, Tick
    from node.services.issuance import Issued, Plan
    from node.services.issuer import Issuer
    from node.services.offers import NewOffer
    from node.services.revocation import Action

P = ParamSpec("P")
R = TypeVar("R")

_FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)
_FOLDER: Final = click.Path(exists=True, file_okay=False, path_type=Path)
_SUITES: Final = ("eddsa-rdfc-2022", "eddsa-jcs-2022")
_EXAMPLES_OF_FAULTS: Final = 50


class IssuerGroup(click.Group):
    """`serve` is imported when it is named: it brings the web application along."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All commands, `serve` among them."""
        return sorted([*super().list_commands(ctx), "serve"])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name."""
        if cmd_name == "serve":
            from node.web.issuer_command import serve  # noqa: PLC0415

            return serve
        return super().get_command(ctx, cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """List the commands without importing `serve`."""
        rows = {name: command.get_short_help_str() for name, command in self.commands.items()}
        rows["serve"] = "Serve wallets and other programs until SIGTERM."
        with formatter.section("Commands"):
            formatter.write_dl(sorted(rows.items()))


@click.group(cls=IssuerGroup)
def issuer() -> None:
    """Issue, anchor, revoke and suspend credentials; serve wallets.

    \b
    A first credential:
        bonafides issuer init --name "My school" --url https://school.example --did key
        bonafides issuer issue --template template.json --cohort cohort.csv --evidence evidence/
    """


def _place(command: Callable[P, R]) -> Callable[P, R]:
    """The options by which every command finds its issuer."""
    for option in (
        click.option(
            "--database",
            metavar="URL",
            show_envvar=True,
            help="Database.  [default: issuer.db in the folder]",
        ),
        click.option(
            "--rpc",
            metavar="URL",
            show_envvar=True,
            help="JSON-RPC endpoint of the chain.  [default: as at init]",
        ),
        click.option(
            "--passphrase-file",
            type=_FILE,
            show_envvar=True,
            help="File with the keys' passphrase; else asked for.",
        ),
        click.option(
            "--dir",
            "folder",
            type=click.Path(file_okay=False, path_type=Path),
            default=Path("issuer"),
            show_default=True,
            show_envvar=True,
            help="The issuer's folder.",
        ),
    ):
        command = option(command)
    return command


_as_json: Final = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
_no_wait: Final = click.option(
    "--no-wait", is_flag=True, help="Leave the rest to `issuer serve` or the next command."
)


def _async(command: Callable[P, Coroutine[Any, Any, R]]) -> Callable[P, R]:
    @functools.wraps(command)
    def run(*arguments: P.args, **options: P.kwargs) -> R:
        return asyncio.run(command(*arguments, **options))

    return run


# --- init


@issuer.command()
@_place
@click.option("--name", required=True, help="The issuer's name, as it stands in credentials.")
@click.option(
    "--url", required=True, metavar="URL", help="Where the issuer will be served; status lists name it."
)
@click.option(
    "--did",
    "method",
    type=click.Choice(["ethr", "key"]),
    default="ethr",
    show_default=True,
    help="ethr: an identity on a chain. key: no chain, no anchors, no revocation on it; the quickest start.",
)
@click.option(
    "--networks", type=_FILE, show_envvar=True, help="Your table of networks, beside the one built in."
)
@click.option(
    "--suspendable", is_flag=True, help="Open a list for suspensions as well, now and not at first use."
)
@click.option(
    "--status", "with_status", is_flag=True, help="With --did key: publish a status list nevertheless."
)
@click.option("--faucet", type=_FILE, show_envvar=True, help="Faucet key of a development chain, which pays.")
@click.option(
    "--development", is_flag=True, show_envvar=True, help="Admit an http URL on a loopback address."
)
@_as_json
@_async
async def init(
    folder: Path,
    passphrase_file: Path | None,
    rpc: str | None,
    database: str | None,
    name: str,
    url: str,
    method: str,
    networks: Path | None,
    suspendable: bool,
    with_status: bool,
    faucet: Path | None,
    development: bool,
    as_json: bool,
) -> None:
    """Make an issuer: keys, identity, status lists. Run again, it goes on where it stopped.

    Owner, writer and assertion key are three keys in three sealed files. The address of owner and writer need ether
    for fees; how much is said where it is missing.
    """
    from node.commands.issuer_folder import Folder  # noqa: PLC0415

    _check_public_url(url, development=development)
    if method == "ethr" and rpc is None:
        raise Misconfigured("an identity on a chain needs an endpoint: --rpc URL (or --did key)")
    place = Folder(folder, rpc if method == "ethr" else None, database, development)
    passphrase = _new_passphrase(passphrase_file, folder)
    place.save()
    place.keep_networks(networks)
    if method == "key":
        made = await _init_key(place, passphrase, name, url, suspendable=suspendable, with_status=with_status)
    else:
        made = await _init_chain(place, passphrase, name, url, faucet, suspendable=suspendable)
    if as_json:
        _print(made)
    else:
        click.echo(made["did"])


def _check_public_url(url: str, *, development: bool) -> None:
    from urllib.parse import urlsplit  # noqa: PLC0415

    parts = urlsplit(url)
    loopback = parts.hostname in ("127.0.0.1", "localhost", "::1")
    if parts.scheme == "https" or (development and parts.scheme == "http" and loopback):
        return
    raise Misconfigured("the issuer's URL begins with https:// (http on loopback: --development)")


async def _init_key(
    place: Folder, passphrase: str, name: str, url: str, *, suspendable: bool, with_status: bool
) -> dict[str, Any]:
    from node.commands.loading import load_standards  # noqa: PLC0415
    from node.core.status.entry import REVOCATION, SUSPENSION  # noqa: PLC0415
    from node.services import setup, status_lists  # noqa: PLC0415
    from node.storage.database import open_database  # noqa: PLC0415

    store = await open_database(place.database_url)
    try:
        where = setup.Place(place.path, store, passphrase)
        made = await setup.create_without_chain(where, load_standards(), name, url)
        for purpose, wanted in ((REVOCATION, with_status or suspendable), (SUSPENSION, suspendable)):
            if wanted:
                await status_lists.ensure_list(made, purpose)
        await status_lists.publish_due(made)
        return {"did": made.settings.did, "url": made.settings.url, "chain": None}
    finally:
        await store.close()


async def _init_chain(
    place: Folder, passphrase: str, name: str, url: str, faucet: Path | None, *, suspendable: bool
) -> dict[str, Any]:
    from node.commands.issuer_folder import open_chain  # noqa: PLC0415
    from node.commands.loading import load_standards  # noqa: PLC0415
    from node.core.encoding import encode_hex  # noqa: PLC0415
    from node.services import setup  # noqa: PLC0415
    from node.services.anchoring import AnchorWorker  # noqa: PLC0415
    from node.services.issuer import address_of  # noqa: PLC0415
    from node.storage.database import open_database  # noqa: PLC0415

    standards = load_standards()
    networks = {**standards.networks, **place.networks()}
    store = await open_database(place.database_url)
    try:
        async with open_chain(place.rpc or "", networks) as chain:
            await chain.check()
            where = setup.Place(place.path, store, passphrase)
            made = await setup.create_on_chain(where, standards, chain, name, url)
            await _fund(made, faucet)
            await setup.register(made, suspendable=suspendable)
            await _finish(AnchorWorker(made), "registering")
            async with store.reading() as reading:
                addresses = {
                    str(key.role): encode_hex(address_of(key))
                    for key in await reading.keys.all()
                    if key.role in ("owner", "writer")
                }
            return {
                "did": made.settings.did,
                "url": made.settings.url,
                "chain": chain.network.chain,
            } | addresses
    finally:
        await store.close()


async def _fund(made: Issuer, faucet: Path | None) -> None:
    from node.services import setup  # noqa: PLC0415

    lacking = await setup.shortages(made)
    if lacking and faucet is not None:
        await setup.fund(made, _faucet_key(faucet), lacking)
        lacking = await setup.shortages(made)
    if lacking:
        raise Misconfigured("; ".join(map(str, lacking)) + ": send it, then run the same command again")


def _faucet_key(file: Path) -> bytes:
    text = file.read_text(encoding="ascii", errors="replace").strip().removeprefix("0x")
    try:
        key = bytes.fromhex(text)
    except ValueError:
        key = b""
    if len(key) != 32:
        raise Misconfigured(f"{file} holds no private key of 64 hexadecimal digits")
    return key


# --- issue


@issuer.command()
@_place
@click.option(
    "--template", required=True, type=_FILE, help="What all credentials of the cohort have in common (JSON)."
)
@click.option("--cohort", required=True, type=_FILE, help="The learners: CSV or NDJSON.")
@click.option("--evidence", type=_FOLDER, help="Folder of evidence, one sub-folder a row.")
@click.option(
    "--dry-run", is_flag=True, help="Check everything, say what it would come to, and change nothing."
)
@click.option(
    "--suite", type=click.Choice(_SUITES), default=_SUITES[0], show_default=True, help="Cryptosuite."
)
@click.option(
    "--bearer",
    is_flag=True,
    help="Rows without subject_did: issue unbound credentials, anybody's who has them.",
)
@click.option(
    "--status/--no-status", "with_status", default=None, help="Status entries.  [default: with a chain]"
)
@click.option("--tx-code", is_flag=True, help="Protect each offer by a code of six digits, sent another way.")
@click.option("--renew-offers", is_flag=True, help="New links for rows that have not claimed theirs.")
@_as_json
@_async
async def issue(
    folder: Path,
    passphrase_file: Path | None,
    rpc: str | None,
    database: str | None,
    template: Path,
    cohort: Path,
    evidence: Path | None,
    dry_run: bool,
    suite: str,
    bearer: bool,
    with_status: bool | None,
    tx_code: bool,
    renew_offers: bool,
    as_json: bool,
) -> None:
    """Issue credentials to a cohort.

    The whole input is checked before anything is stored. Run again, rows that were issued are passed over and
    what was interrupted is finished. `issuer anchor` or a running `issuer serve` takes them to the chain.
    """
    from node.services import issuance, offering  # noqa: PLC0415
    from node.services.cohort import load_cohort  # noqa: PLC0415
    from node.services.faults import InputFaults  # noqa: PLC0415

    async with _opened(folder, passphrase_file, rpc, database, keys=not dry_run) as node:
        status = node.on_chain if with_status is None else with_status
        terms = issuance.Terms(suite, bearer=bearer, with_status=status)
        try:
            loaded = load_cohort(template, cohort, evidence)
            with _progress() as progress:
                plan = await issuance.plan(node, loaded, terms, progress)
                if not dry_run:
                    await _issue(node, plan, progress)
        except InputFaults as error:
            _tell_faults(error, as_json=as_json)
            raise
        if dry_run:
            _print_plan(plan, as_json=as_json)
            return
        issued = await issuance.results(node, loaded)
        made = await offering.offer(node, issued, bearer=bearer, with_tx_code=tx_code, again=renew_offers)
        _print_issued(node, plan, issued, made, as_json=as_json)


async def _issue(node: Issuer, plan: Plan, progress: Any) -> None:
    from node.services import issuance  # noqa: PLC0415

    await node.signing_key()  # a wrong passphrase is told before anything is stored
    await _ready_lists(node, plan.purposes if plan.new else ())
    await issuance.intend(node, plan, progress)
    await issuance.sign_intended(node, plan.cohort.template.cohort, progress)


async def _ready_lists(node: Issuer, purposes: Sequence[str]) -> None:
    """No index is given out before its list is open and final."""
    from node.services import status_lists  # noqa: PLC0415

    ready = [await status_lists.ensure_list(node, purpose) for purpose in purposes]
    if all(ready):
        return
    from node.services.anchoring import AnchorWorker  # noqa: PLC0415

    await _finish(
        AnchorWorker(node), "opening a status list", close=False, done=lambda tick: not tick.settling
    )


def _print_plan(plan: Plan, *, as_json: bool) -> None:
    rows, new = len(plan.cohort.rows), len(plan.new)
    bound = sum(row.subject_did is not None for row in plan.new)
    body = {
        "dry_run": True,
        "rows": rows,
        "new": new,
        "issued_before": rows - new,
        "signed_at_once": new if plan.terms.bearer else bound,
        "signed_at_claim": 0 if plan.terms.bearer else new - bound,
        "status_entries_per_credential": len(plan.purposes),
        "suite": plan.terms.suite,
    }
    if as_json:
        _print(body)
        return
    click.echo(f"{rows} rows are in order: {new} new, {rows - new} issued before; nothing was changed")
    click.echo(f"  signed at once: {body['signed_at_once']}, at their claim: {body['signed_at_claim']}")
    if len(plan.purposes) > 1:
        click.echo(
            "  suspendable: a second status entry, so an array, which 1EdTech's strict schema does not allow,"
            " and about a fifth more in each bundle"
        )


def _print_issued(
    node: Issuer, plan: Plan, issued: Sequence[Issued], made: Sequence[NewOffer], *, as_json: bool
) -> None:
    links = {one.credential_id: one for one in made}
    if as_json:
        rows = [_issued_json(one, links.get(one.credential_id)) for one in issued]
        _print({"issuer": node.settings.did, "new": len(plan.new), "credentials": rows})
        return
    for one in issued:
        link = links.get(one.credential_id)
        shown = link.link if link else "offered before (--renew-offers makes a new link)"
        code = f"  code {link.tx_code}" if link and link.tx_code else ""
        click.echo(f"{one.row}  {one.state}  {one.credential_id}  {shown}{code}")
    if node.on_chain:
        click.echo("next: bonafides issuer anchor", err=True)


def _issued_json(one: Issued, link: NewOffer | None) -> dict[str, Any]:
    body: dict[str, Any] = {
        "row": one.row,
        "id": one.credential_id,
        "state": str(one.state),
        "digest": one.digest.hex() if one.digest else None,
        "subject_did": one.subject_did,
    }
    if link is not None:
        body["offer"] = {"link": link.link, "uri": link.page, "id": link.offer_id, "tx_code": link.tx_code}
    return body


def _tell_faults(error: Any, *, as_json: bool) -> None:
    faults = error.faults
    for fault in faults[:_EXAMPLES_OF_FAULTS]:
        click.echo(str(fault), err=True)
    if len(faults) > _EXAMPLES_OF_FAULTS:
        click.echo(f"… and {len(faults) - _EXAMPLES_OF_FAULTS:,} more", err=True)
    if as_json:
        members = ("source", "detail", "row", "line", "column")
        _print({"faults": [{name: getattr(fault, name) for name in members} for fault in faults]})


# --- anchor


@issuer.command()
@_place
@click.option("--retry", is_flag=True, help="Take up what was set aside, after its reason was mended.")
@_no_wait
@_as_json
@_async
async def anchor(
    folder: Path,
    passphrase_file: Path | None,
    rpc: str | None,
    database: str | None,
    retry: bool,
    no_wait: bool,
    as_json: bool,
) -> None:
    """Close the open batch, take everything to the chain, and wait until it is final and proven."""
    from node.services import anchoring  # noqa: PLC0415

    async with _opened(folder, passphrase_file, rpc, database) as node:
        if retry:
            await anchoring.retry_parked(node)
        worker = anchoring.AnchorWorker(node)
        if no_wait:
            tick = await worker.tick(close=True)
        else:
            tick = await _finish(worker, "anchoring")
        body = {
            "done": tick.is_done,
            "block": tick.block,
            "waiting": tick.waiting,
            "batches": tick.batches,
            "transactions": tick.transactions,
            "set_aside": tick.parked,
            "troubles": [trouble.detail for trouble in tick.troubles],
        }
        if as_json:
            _print(body)
        else:
            click.echo(
                f"final as of block {tick.block}" if tick.is_done else "on its way: see `issuer status`"
            )


async def _finish(
    worker: AnchorWorker,
    what: str,
    *,
    close: bool = True,
    done: Callable[[Tick], bool] | None = None,
) -> Tick:
    """Run the worker to its end with a line of progress; what is set aside ends it too, as an error."""
    from rich.console import Console  # noqa: PLC0415

    def over(tick: Tick) -> bool:
        if tick.parked:
            why = "; ".join(trouble.detail for trouble in tick.troubles) or "see `issuer status`"
            raise Misconfigured(f"{what} stopped: {why}. Mend it, then `issuer anchor --retry`")
        return (done or (lambda seen: seen.is_done))(tick)

    with Console(stderr=True).status(what) as line:

        def show(tick: Tick) -> None:
            trouble = f"; {tick.troubles[0].detail}" if tick.troubles else ""
            line.update(
                f"{what}: block {tick.block}, {tick.waiting} waiting, {tick.batches} batches,"
                f" {tick.transactions} transactions under way{trouble}"
            )

        return await worker.run_until_done(close=close, on_tick=show, done=over)


# --- revoke, suspend, reinstate


def _status_command(name: str, words: str) -> None:
    @issuer.command(name, help=words)
    @_place
    @click.argument("credentials", nargs=-1, required=True, metavar="CREDENTIAL…")
    @click.option("--reason", required=True, help="Kept with the change, for the issuer's own record.")
    @_no_wait
    @_as_json
    @_async
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

        async with _opened(folder, passphrase_file, rpc, database) as node:
            await _change(node, credentials, Action(name), reason, wait=not no_wait, as_json=as_json)


async def _change(
    node: Issuer, names: Sequence[str], action: Action, reason: str, *, wait: bool, as_json: bool
) -> None:
    from node.services import lookup, revocation  # noqa: PLC0415

    records = [await lookup.find_credential(node, name) for name in names]
    changes = await revocation.change_status(
        node, records, action, reason=reason, requested_by="command line"
    )
    ids = [change.credential_id for change in changes]
    if node.on_chain and wait:
        from node.services.anchoring import AnchorWorker  # noqa: PLC0415

        # Status words only: a batch that is open stays open.
        await _finish(AnchorWorker(node), str(action), close=False, done=lambda tick: not tick.transactions)
    effective = await revocation.is_effective(node, ids)
    if as_json:
        _print({"action": str(action), "effective": effective, "credentials": ids})
        return
    for credential_id in ids:
        click.echo(f"{credential_id}  {action}  {'effective' if effective else 'accepted, on its way'}")


_NAMED: Final = "CREDENTIAL is an id, a digest, a row's id, or COHORT/ROW."
_status_command("revoke", f"Revoke credentials for good. {_NAMED}")
_status_command("suspend", f"Suspend credentials of a suspendable template. {_NAMED}")
_status_command("reinstate", f"End the suspension of credentials. {_NAMED}")


# --- keys


@issuer.group()
def key() -> None:
    """The issuer's keys."""


@key.command()
@_place
@_no_wait
@_as_json
@_async
async def rotate(
    folder: Path,
    passphrase_file: Path | None,
    rpc: str | None,
    database: str | None,
    no_wait: bool,
    as_json: bool,
) -> None:
    """Replace the assertion key: add the new one, wait, sign with it alone, wait for old batches, retire the old.

    Credentials that were anchored before stay valid. Run again, it goes on where it stopped.
    """
    from node.services import rotation  # noqa: PLC0415
    from node.services.anchoring import AnchorWorker  # noqa: PLC0415
    from node.storage.base import KeyRole  # noqa: PLC0415

    passphrase = _passphrase(passphrase_file)
    async with _opened(folder, passphrase_file, rpc, database, passphrase=passphrase) as node:
        new = await rotation.begin(node, folder, passphrase)
        worker = AnchorWorker(node)
        await (worker.tick() if no_wait else _finish(worker, "rotating the key"))
        async with node.store.reading() as reading:
            keys = await reading.keys.all(KeyRole.ASSERTION)
        if as_json:
            _print({"new": new.multibase, "keys": [_key_json(one) for one in keys]})
            return
        for one in keys:
            click.echo(f"{one.multibase}  {one.state}  {one.verification_method or ''}")


def _key_json(one: Any) -> dict[str, Any]:
    return {
        "publicKeyMultibase": one.multibase,
        "role": str(one.role),
        "state": str(one.state),
        "verificationMethod": one.verification_method,
        "from": one.valid_from,
        "until": one.valid_until,
    }


# --- tokens


@issuer.group()
def token() -> None:
    """Bearer tokens of programs that call this issuer over HTTP."""


@token.command("create")
@_place
@click.argument("label")
@click.option(
    "--role",
    "roles",
    type=click.Choice(["issue", "status"]),
    multiple=True,
    help="What its bearer may do; may be given twice.  [default: both]",
)
@click.option("--days", type=click.IntRange(1, 3650), help="End it after so many days.")
@_as_json
@_async
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
    from node.storage.base import ApiRole  # noqa: PLC0415

    async with _opened(folder, None, rpc, database, keys=False) as node:
        lifetime = None if days is None else timedelta(days=days)
        chosen = frozenset(map(ApiRole, roles or ("issue", "status")))
        text = await api_tokens.create(node, label, chosen, lifetime)
    if as_json:
        _print({"label": label, "token": text, "roles": sorted(chosen)})
    else:
        click.echo(text)


@token.command("list")
@_place
@_as_json
@_async
async def token_list(
    folder: Path,
    passphrase_file: Path | None,  # noqa: ARG001
    rpc: str | None,
    database: str | None,
    as_json: bool,
) -> None:
    """List the tokens that were ever made, without their text."""
    async with _opened(folder, None, rpc, database, keys=False) as node, node.store.reading() as reading:
        tokens = await reading.api_tokens.all()
        now = node.clock()
    rows = [
        {
            "label": one.label,
            "roles": sorted(one.roles),
            "created": _stamp(one.created_at),
            "expires": _stamp(one.expires_at),
            "alive": one.revoked_at is None and (one.expires_at is None or now < one.expires_at),
        }
        for one in tokens
    ]
    if as_json:
        _print({"tokens": rows})
        return
    for row in rows:
        state = "alive" if row["alive"] else "ended"
        click.echo(f"{row['label']}  {state}  {','.join(row['roles'])}  {row['created']}")


@token.command("revoke")
@_place
@click.argument("label")
@_async
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
        _opened(folder, None, rpc, database, keys=False) as node,
        node.store.transaction() as transaction,
    ):
        if not await transaction.api_tokens.revoke(label, node.clock()):
            raise NotFound(f"no token called {label} is alive")
    click.echo(f"{label}: ended")


# --- status


@issuer.command()
@_place
@_as_json
@_async
async def status(
    folder: Path,
    passphrase_file: Path | None,  # noqa: ARG001
    rpc: str | None,
    database: str | None,
    as_json: bool,
) -> None:
    """Show what is where, and what is stuck. Needs no passphrase."""
    from node.services import overview  # noqa: PLC0415

    async with _opened(folder, None, rpc, database, keys=False) as node:
        found = await overview.overview(node)
    if as_json:
        _print(found)
    else:
        _print_overview(found)


def _print_overview(found: dict[str, Any]) -> None:
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    console = Console(highlight=False)
    console.print(f"{found['name']}\n{found['did']}\n{found['url']}", markup=False)
    for title in ("chain", "credentials", "anchoring", "transactions"):
        rows = found.get(title)
        if not rows:
            continue
        table = Table(title=title, title_justify="left", show_header=False)
        for name, value in rows.items():
            table.add_row(name.replace("_", " "), str(value))
        console.print(table)
    for title in ("keys", "lists", "set_aside"):
        rows = found[title]
        if not rows:
            continue
        table = Table(*rows[0], title=title.replace("_", " "), title_justify="left")
        for row in rows:
            table.add_row(*("" if value is None else str(value) for value in row.values()))
        console.print(table)


# --- export


@issuer.command()
@_place
@click.option("--credential", metavar="CREDENTIAL", help=f"One credential. {_NAMED}")
@click.option("--bundle", type=click.Path(dir_okay=False, path_type=Path), help="Write its bundle here.")
@click.option("--document", type=click.Path(dir_okay=False, path_type=Path), help="Write it alone here.")
@click.option(
    "--did-document", type=click.Path(dir_okay=False, path_type=Path), help="Write the issuer's DID document."
)
@click.option(
    "--checkpoint",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write a checkpoint file of the chain.",
)
@click.option(
    "--records",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write the issuer's whole record here.",
)
@_as_json
@_async
async def export(
    folder: Path,
    passphrase_file: Path | None,  # noqa: ARG001
    rpc: str | None,
    database: str | None,
    credential: str | None,
    bundle: Path | None,
    document: Path | None,
    did_document: Path | None,
    checkpoint: Path | None,
    records: Path | None,
    as_json: bool,
) -> None:
    """Write credentials, bundles, the DID document, a checkpoint file, or the whole record. Needs no passphrase."""
    from node.services import export as exporting  # noqa: PLC0415

    if (bundle or document) and credential is None:
        raise Misconfigured("name the credential: --credential")
    if not any((bundle, document, did_document, checkpoint, records)):
        raise Misconfigured(
            "say what to write: --bundle, --document, --did-document, --checkpoint or --records"
        )
    written: dict[str, str] = {}
    async with _opened(folder, None, rpc, database, keys=False) as node:
        if bundle is not None and credential is not None:
            _write(bundle, await exporting.bundle_json(node, credential), written, "bundle")
        if document is not None and credential is not None:
            _write(document, await exporting.document_json(node, credential), written, "document")
        if did_document is not None:
            _write(did_document, await exporting.did_document_json(node), written, "did_document")
        if checkpoint is not None:
            _write(checkpoint, await exporting.checkpoint_json(node), written, "checkpoint")
        if records is not None:
            await exporting.write_records(node, records)
            written["records"] = str(records)
    if as_json:
        _print(written)
    else:
        for file in written.values():
            click.echo(file)


def _write(file: Path, data: bytes, written: dict[str, str], name: str) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
    except OSError as error:
        raise Misconfigured(f"{file} cannot be written: {error.strerror}") from error
    written[name] = str(file)


# --- shared


def _opened(
    folder: Path,
    passphrase_file: Path | None,
    rpc: str | None,
    database: str | None,
    *,
    keys: bool = True,
    passphrase: str | None = None,
) -> Any:
    """The issuer of a folder, for `async with`; with `keys`, its passphrase is asked for first."""
    from node.commands.issuer_folder import Folder, open_issuer  # noqa: PLC0415

    place = Folder.load(folder).with_options(rpc=rpc, database=database)
    if keys and passphrase is None:
        passphrase = _passphrase(passphrase_file)
    return open_issuer(place, passphrase)


def _passphrase(file: Path | None) -> str:
    from node.keystore import read_passphrase  # noqa: PLC0415

    if file is not None:
        return read_passphrase(file)
    entered: str = click.prompt("Passphrase of the issuer's keys", hide_input=True, err=True)
    return entered


def _new_passphrase(file: Path | None, folder: Path) -> str:
    if file is not None or (folder / "keys").is_dir():
        return _passphrase(file)
    entered: str = click.prompt(
        "New passphrase for the issuer's keys", hide_input=True, confirmation_prompt=True, err=True
    )
    return entered


class _progress:  # noqa: N801 - reads as a function where it is used
    """Bars on standard error, one for each stage."""

    def __enter__(self) -> Callable[[str, int, int], None]:
        from rich.console import Console  # noqa: PLC0415
        from rich.progress import Progress  # noqa: PLC0415

        self._bars = Progress(console=Console(stderr=True), transient=True)
        self._tasks: dict[str, Any] = {}
        self._bars.start()
        return self._tell

    def _tell(self, stage: str, done: int, total: int) -> None:
        if stage not in self._tasks:
            self._tasks[stage] = self._bars.add_task(stage, total=total)
        self._bars.update(self._tasks[stage], completed=done, total=total)

    def __exit__(self, *raised: object) -> None:
        self._bars.stop()


def _stamp(moment: Any) -> str | None:
    from node.core.times import format_datetime_stamp  # noqa: PLC0415

    return None if moment is None else format_datetime_stamp(moment)


def _print(body: Any) -> None:
    import orjson  # noqa: PLC0415

    click.echo(orjson.dumps(body).decode())
