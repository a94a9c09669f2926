"""`bonafides wallet …`: the learner's own commands.

Thin: what is asked, shown and printed. Results go to stdout, progress and questions to stderr. Exit status: 0 done,
1 refused or failed, 2 wrong use, 3 not finished yet (a credential or bundle is still to come) or undetermined.
"""

from __future__ import annotations

import asyncio
import functools
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from node.core.errors import BonafidesError, Conflict, Misconfigured, NotFound, Refused
from wallet import words
from wallet.config import DEFAULT_FOLDER, load_standards, load_verifier, read_file, read_passphrase

if TYPE_CHECKING:
    from node.core.oid4vp.request import AuthorizationRequest
    from wallet.check import Checker
    from wallet.holdings import Holding
    from wallet.present import Showing
    from wallet.receive import Offered, Receipt, Receiver
    from wallet.store import WalletStore

_FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)
_PATH: Final = click.Path(path_type=Path)
EXIT_REFUSED: Final = 1
EXIT_UNFINISHED: Final = 3

Command = Callable[..., None]


@dataclass(frozen=True, slots=True)
class Common:
    """What every command takes."""

    folder: Path
    passphrase_file: Path | None
    as_json: bool
    development: bool

    def passphrase(self, what: str = "Passphrase of the wallet", *, confirm: bool = False) -> str:
        """From the file, else asked for without showing it."""
        return ask_passphrase(self.passphrase_file, what, confirm=confirm)

    def open(self, *, writable: bool = True) -> WalletStore:
        """The wallet, unlocked."""
        from wallet.store import FILE_NAME, WalletStore  # noqa: PLC0415

        if not (self.folder / FILE_NAME).is_file():
            raise Misconfigured(f"there is no wallet in {self.folder}: make one with `bonafides wallet init`")
        return WalletStore.open(self.folder, self.passphrase(), writable=writable)

    def print(self, body: Any, text: str) -> None:
        """The result, for machines or for people."""
        click.echo(json.dumps(body, ensure_ascii=False) if self.as_json else text)


def ask_passphrase(file: Path | None, what: str, *, confirm: bool = False) -> str:
    """The passphrase in a file, else asked for without showing it."""
    if file is not None:
        return read_passphrase(file)
    answer: str = click.prompt(what, hide_input=True, confirmation_prompt=confirm, err=True)
    return answer


def common(command: Command) -> Command:
    """Add the options that every command takes, handed over as one `Common`."""

    @functools.wraps(command)
    def run(
        folder: Path, passphrase_file: Path | None, as_json: bool, development: bool, **more: Any
    ) -> None:
        command(Common(folder, passphrase_file, as_json, development), **more)

    options = (
        click.option(
            "--dir",
            "folder",
            type=_PATH,
            default=DEFAULT_FOLDER,
            show_default=True,
            envvar="BONAFIDES_WALLET_DIR",
            show_envvar=True,
            help="Folder of the wallet.",
        ),
        click.option(
            "--passphrase-file",
            type=_FILE,
            envvar="BONAFIDES_WALLET_PASSPHRASE_FILE",
            show_envvar=True,
            help="File with the passphrase; without it you are asked.",
        ),
        click.option("--json", "as_json", is_flag=True, help="The result as JSON."),
        click.option(
            "--development",
            is_flag=True,
            envvar="BONAFIDES_DEVELOPMENT",
            show_envvar=True,
            help="Admit loopback hosts and plain http.",
        ),
    )
    for option in reversed(options):
        run = option(run)
    return run


def judging(command: Command) -> Command:
    """Add the options that say how what arrives is judged."""
    options = (
        click.option(
            "--rpc",
            "endpoints",
            multiple=True,
            metavar="URL",
            show_envvar=True,
            help="Endpoint of the chain.",
        ),
        click.option("--networks", type=_FILE, show_envvar=True, help="Your own table of networks."),
        click.option("--trust", type=_FILE, show_envvar=True, help="Your list of recognised issuers."),
        click.option(
            "--checkpoint", "checkpoints", multiple=True, type=_FILE, help="File of block hashes you trust."
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.group()
def wallet() -> None:
    """Receive, keep, back up and show your credentials.

    \b
        bonafides wallet init
        bonafides wallet receive 'openid-credential-offer://…'
        bonafides wallet present 'openid4vp://…'
    """


# --- the wallet itself ---


@wallet.command()
@common
def init(options: Common) -> None:
    """Make a wallet with a key of your own, and print its DID."""
    import secrets  # noqa: PLC0415

    from wallet.holder_keys import SEED_BYTES, HolderKey  # noqa: PLC0415
    from wallet.store import FILE_NAME, WalletStore  # noqa: PLC0415

    if (options.folder / FILE_NAME).exists():
        raise Conflict(f"there is a wallet in {options.folder} already, and it is not overwritten")
    passphrase = options.passphrase("A passphrase for the wallet", confirm=True)
    key = HolderKey(secrets.token_bytes(SEED_BYTES), _now())
    with WalletStore.create(options.folder, passphrase) as store:
        store.add_key(key)
    _tell("without this passphrase, or a backup and its passphrase, what is in the wallet is lost")
    options.print({"did": key.did, "dir": str(options.folder)}, key.did)


@wallet.command()
@common
def did(options: Common) -> None:
    """Print the DID under which credentials are issued to you."""
    with options.open(writable=False) as store:
        name = store.holder_key().did
    options.print({"did": name}, name)


# --- getting credentials ---


@wallet.command()
@click.argument("offer", required=False)
@click.option("--tx-code", metavar="CODE", help="The code that the issuer sent you another way.")
@click.option("--resume", is_flag=True, help="Go on with what was not finished.")
@click.option("--discard", type=int, metavar="NUMBER", help="Give up an unfinished receipt.")
@click.option(
    "--wait",
    type=click.FloatRange(0),
    default=0,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait.",
)
@click.option("--keep-anyway", is_flag=True, help="Keep what is refused as well.")
@click.option("--yes", is_flag=True, help="Accept the offer without asking.")
@judging
@common
def receive(options: Common, offer: str | None, **more: Any) -> None:
    """Take the credential that OFFER, a link or QR code's text, offers.

    What comes is judged and shown. The proof that goes with it can come later: `receive --resume` fetches it.
    """
    if sum((offer is not None, bool(more.pop("resume")), more["discard"] is not None)) != 1:
        raise click.UsageError("give an offer, or --resume, or --discard NUMBER")
    with options.open() as store:
        asyncio.run(_receive(options, store, offer, **more))


async def _receive(
    options: Common,
    store: WalletStore,
    offer: str | None,
    *,
    tx_code: str | None,
    discard: int | None,
    wait: float,
    keep_anyway: bool,
    yes: bool,
    **judged_by: Any,
) -> None:
    from wallet.exchange import open_egress  # noqa: PLC0415
    from wallet.receive import Receiver, find_receipt, pending  # noqa: PLC0415

    checker = _checker(options, **judged_by)
    async with open_egress(development=options.development) as egress:
        receiver = Receiver(
            store, store.holder_key(), checker, egress, tell=_tell, clock=_now, keep_anyway=keep_anyway
        )
        if discard is not None:
            receipt = find_receipt(store, discard)
            await receiver.discard(receipt)
            options.print({"discarded": discard}, f"given up: {receipt.issuer}")
            return
        if offer is not None:
            offered = await receiver.look_at(offer)
            tx_code = _ask_to_receive(offered, store.holder_key().did, tx_code, yes=yes)
            receipts = [receiver.accept(offered, tx_code)]
        else:
            receipts = list(pending(store))
        fault = await _go_on(receiver, receipts, wait)
    unfinished = pending(store)
    _print_received(options, receiver, unfinished)
    if fault is not None:
        raise fault
    if any(not one.kept for one in receiver.arrived):
        _leave_with(EXIT_REFUSED)
    if unfinished:
        _tell("the rest comes later: bonafides wallet receive --resume")
        _leave_with(EXIT_UNFINISHED)


async def _go_on(receiver: Receiver, receipts: Sequence[Receipt], wait: float) -> BonafidesError | None:
    """Take each as far as it goes; one that fails stops no other, and the first fault is raised at the end."""
    fault = None
    for receipt in receipts:
        try:
            await receiver.go_on(receipt, wait_seconds=wait)
        except BonafidesError as error:
            if fault is not None:
                _tell(f"{receipt.issuer}: {error.detail}")
            fault = fault or error
    return fault


def _ask_to_receive(offered: Offered, did_text: str, tx_code: str | None, *, yes: bool) -> str | None:
    """Say who offers what, and ask for a yes and, where one is needed, for the code."""
    from wallet.receive import check_tx_code  # noqa: PLC0415

    _tell_all(words.offer_lines(offered, did_text))
    if not yes:
        click.confirm("Take it?", abort=True, err=True)
    if offered.tx_code is not None and tx_code is None and not yes:
        question = offered.tx_code.description or "The code that the issuer sent you another way"
        tx_code = click.prompt(words.plain(question), err=True)
    check_tx_code(offered.tx_code, tx_code)
    return tx_code


def _print_received(options: Common, receiver: Receiver, unfinished: Sequence[Receipt]) -> None:
    from wallet.holdings import summary  # noqa: PLC0415

    body = {
        "received": [
            {**summary(one.holding), "kept": one.kept, "report": one.report.to_json()}
            for one in receiver.arrived
        ],
        "unfinished": [words.receipt_json(one) for one in unfinished],
    }
    lines = []
    for one in receiver.arrived:
        state = "kept" if one.kept else "refused, not kept (--resume --keep-anyway keeps it)"
        lines += [
            f"{one.holding.short}  {words.plain(one.holding.name)}: {state}",
            *words.check_lines(one.holding.last_check),
        ]
    lines += [f"unfinished {words.receipt_line(one)}" for one in unfinished]
    options.print(body, "\n".join(lines) or "nothing came")


@wallet.command("import")
@click.argument("files", nargs=-1, required=True, type=_FILE, metavar="FILE…")
@click.option("--keep-anyway", is_flag=True, help="Keep what is refused as well.")
@judging
@common
def import_files(options: Common, files: Sequence[Path], keep_anyway: bool, **judged_by: Any) -> None:
    """Take credentials, bundles and badge images from files."""
    from wallet.arrivals import Became, Importer  # noqa: PLC0415

    found = [(path.name, read_file(path)) for path in files]
    with options.open() as store:
        importer = Importer(store, _checker(options, **judged_by), now=_now(), keep_anyway=keep_anyway)
        taken = asyncio.run(importer.take(found))
    options.print(
        [words.taken_json(one) for one in taken], "\n".join(words.taken_words(one) for one in taken)
    )
    if any(one.became is Became.REFUSED for one in taken):
        _leave_with(EXIT_REFUSED)


@wallet.command()
@click.argument("ids", nargs=-1, metavar="[ID…]")
@click.option("--networks", type=_FILE, show_envvar=True, help="Your own table of networks.")
@click.option(
    "--rpc",
    "endpoints",
    multiple=True,
    required=True,
    metavar="URL",
    show_envvar=True,
    help="Endpoint of the chain.",
)
@click.option("--trust", type=_FILE, show_envvar=True, help="Your list of recognised issuers.")
@click.option("--newest", is_flag=True, help="Prove at the newest final block, not at one of the series.")
@common
def refresh(
    options: Common,
    ids: Sequence[str],
    networks: Path | None,
    endpoints: Sequence[str],
    trust: Path | None,
    newest: bool,
) -> None:
    """Renew the proofs of what you hold (all, or those named) from the chain. No issuer is asked."""
    verifier = load_verifier(load_standards(), networks=networks, trust=trust, endpoints=endpoints)
    with options.open() as store:
        chosen = [store.find(text) for text in ids] if ids else store.holdings()
        asyncio.run(_refresh(options, store, chosen, verifier, endpoints, newest=newest, named=bool(ids)))


async def _refresh(
    options: Common,
    store: WalletStore,
    chosen: Sequence[Holding],
    verifier: Any,
    endpoints: Sequence[str],
    *,
    newest: bool,
    named: bool,
) -> None:
    from wallet.exchange import open_egress  # noqa: PLC0415
    from wallet.holdings import summary  # noqa: PLC0415
    from wallet.refresh import Refreshed, Refresher  # noqa: PLC0415

    results, lines, refused = [], [], False
    fault: BonafidesError | None = None
    async with open_egress(endpoints=endpoints, development=options.development) as egress:
        refresher = Refresher(verifier, egress, endpoints, now=_now(), newest=newest)
        for holding in chosen:
            try:
                done = await refresher.refresh(holding)
                if done.report is not None:
                    store.save_holding(done.holding)
            except BonafidesError as error:
                # One that cannot be renewed keeps no other from it.
                done, fault = Refreshed(holding, note=error.detail), fault or error
            refused = refused or (done.report is not None and str(done.report.acceptance) == "refused")
            results.append(
                {
                    **summary(done.holding),
                    "renewed": done.report is not None,
                    "note": done.note,
                    "report": done.report.to_json() if done.report else None,
                }
            )
            header = done.holding.header
            state = done.note if done.report is None or header is None else f"proven at block {header.number}"
            lines.append(f"{holding.short}  {words.plain(holding.name)}: {words.plain(state)}")
            if done.report is not None:
                lines += words.check_lines(done.holding.last_check)
    options.print(results, "\n".join(lines) or "nothing is held")
    if fault is not None:
        raise fault
    if refused:
        _leave_with(EXIT_REFUSED)
    elif named and not any(one["renewed"] or one["header"] for one in results):
        _leave_with(EXIT_UNFINISHED)


# --- looking ---


@wallet.command("list")
@click.option("--disclosures", is_flag=True, help="List what you showed to whom instead.")
@common
def list_holdings(options: Common, disclosures: bool) -> None:
    """List what you hold, and what has not come completely."""
    from wallet.holdings import summary  # noqa: PLC0415
    from wallet.receive import pending  # noqa: PLC0415

    with options.open(writable=False) as store:
        held, unfinished = store.holdings(), pending(store)
        waiting, shown = store.loose_bundles(), store.disclosures()
    if disclosures:
        lines = []
        for one in shown:
            what = ", ".join(item.name for item in one.shown)
            lines.append(f"{one.at:%Y-%m-%d %H:%M}Z  {one.verifier}: {what} ({one.outcome})")
        options.print([one.to_json() for one in shown], "\n".join(lines) or "nothing was shown yet")
        return
    body = {
        "holdings": [summary(one) for one in held],
        "unfinished": [words.receipt_json(one) for one in unfinished],
        "bundlesWaiting": [digest.hex() for digest in waiting],
    }
    lines = [words.holding_line(one) for one in held]
    lines += [f"unfinished {words.receipt_line(one)}" for one in unfinished]
    lines += [f"a bundle waits for the credential {digest.hex()[:10]}…" for digest in waiting]
    options.print(body, "\n".join(lines) or "the wallet is empty")


@wallet.command()
@click.argument("holding_id", metavar="ID")
@common
def show(options: Common, holding_id: str) -> None:
    """Show what you hold under ID: facts, results, evidence, the state of its proof."""
    from wallet.holdings import results_of, summary  # noqa: PLC0415

    with options.open(writable=False) as store:
        held = store.find(holding_id)
        shown = [one for one in store.disclosures() if any(item.digest == held.id for item in one.shown)]
    rows = results_of(held.credential)
    if options.as_json:
        body = {
            **summary(held),
            "credential": held.credential,
            "results": [
                {
                    "criterion": row.criterion,
                    "level": row.level,
                    "value": row.value,
                    "description": row.description,
                }
                for row in rows
            ],
            "disclosures": [one.to_json() for one in shown],
        }
        options.print(body, "")
        return
    click.echo("\n".join(words.facts(held)))
    if rows:
        from rich.console import Console  # noqa: PLC0415
        from rich.table import Table  # noqa: PLC0415

        table = Table("Criterion", "Level", "Value", "Description")
        for row in rows:
            # As plain text: what an issuer wrote is no markup.
            table.add_row(*map(words.plain, (row.criterion, row.level, row.value, row.description)))
        Console(markup=False, highlight=False).print(table)
    for item in held.evidence:
        click.echo(f"evidence   {item.item.name} ({item.item.media_type}, {len(item.item.data):,} bytes)")
    for disclosure in shown:
        click.echo(
            f"shown to   {disclosure.verifier} on {disclosure.at:%Y-%m-%d %H:%M}Z ({disclosure.outcome})"
        )
    click.echo("\n".join(words.check_lines(held.last_check, indent="")))


# --- showing to others ---


@wallet.command()
@click.argument("what", nargs=-1, required=True, metavar="REQUEST|ID…")
@click.option("--challenge", help="The challenge that you were given.")
@click.option("--domain", help="Whom it is for, as you were told.")
@click.option("--out", type=_PATH, metavar="FILE", help="Where the presentation file goes.")
@click.option("--replace", is_flag=True, help="Overwrite FILE.")
@click.option("--use", multiple=True, metavar="ID", help="Answer the request with this credential.")
@click.option("--evidence", multiple=True, metavar="NAME", help="Show this item of evidence too.")
@click.option("--no-evidence", is_flag=True, help="Show no evidence, and do not ask.")
@click.option("--yes", is_flag=True, help="Show without asking.")
@common
def present(options: Common, what: Sequence[str], **more: Any) -> None:
    """Show credentials: answer the link of a verifier, or make a presentation file.

    \b
        bonafides wallet present 'openid4vp://?…'
        bonafides wallet present ID --challenge C --domain D --out presentation.json

    Before anything leaves, you read who asks and what would be shown, and say yes or no.
    """
    if more["evidence"] and more["no_evidence"]:
        raise click.UsageError("either --evidence or --no-evidence")
    with options.open() as store:
        if more["out"] is not None or "://" not in what[0]:
            _present_file(options, store, what, **more)
        elif len(what) != 1 or more["challenge"] or more["domain"]:
            raise click.UsageError("a request is answered where it says: give the link alone")
        else:
            asyncio.run(_present_online(options, store, what[0], **more))


async def _present_online(
    options: Common,
    store: WalletStore,
    link: str,
    *,
    use: Sequence[str],
    evidence: Sequence[str],
    no_evidence: bool,
    yes: bool,
    **_: Any,
) -> None:
    from wallet.exchange import host_of, open_egress  # noqa: PLC0415
    from wallet.present import Presenter, disclosed  # noqa: PLC0415

    key = store.holder_key()
    async with open_egress(development=options.development) as egress:
        presenter = Presenter(store, key, load_standards().canonicalizer, egress)
        request = await presenter.look_at(link)
        holdings = [store.find(text) for text in use] if use else store.holdings()
        found = presenter.answer_for(request, holdings, picked=bool(use))
        host = host_of(request.response_uri)
        _tell_all(words.request_lines(request, host))
        if found is None:
            await _decline(presenter, request)
            raise NotFound("nothing that is held answers the request: nothing was shown")
        takes_bundles = request.client_metadata.bonafides_bundle
        if not takes_bundles and evidence:
            raise Refused(f"{host} takes no proof bundles, so no evidence can be shown to it")
        showings = _with_evidence(found, evidence, ask=takes_bundles and not (yes or no_evidence or evidence))
        parts = [disclosed(one, with_bundle=takes_bundles) for one in showings]
        _tell_all(words.disclosed_lines(parts))
        if not yes and not click.confirm(f"Show this to {host}?", err=True):
            await _decline(presenter, request)
            raise Refused("nothing was shown", code="access_denied")
        redirect = await presenter.send(request, showings, _now())
    body = {"verifier": request.client_id, "shown": [one.to_json() for one in parts], "redirectUri": redirect}
    done = f"shown to {host}" + (f"\nopen this to go on: {words.plain(redirect)}" if redirect else "")
    options.print(body, done)


async def _decline(presenter: Any, request: AuthorizationRequest) -> None:
    try:
        await presenter.decline(request)
    except BonafidesError as error:
        _tell(f"the verifier could not be told: {error.detail}")


def _present_file(
    options: Common,
    store: WalletStore,
    ids: Sequence[str],
    *,
    challenge: str | None,
    domain: str | None,
    out: Path | None,
    replace: bool,
    evidence: Sequence[str],
    no_evidence: bool,
    yes: bool,
    **_: Any,
) -> None:
    from wallet.backup import save_file  # noqa: PLC0415
    from wallet.consent import Disclosure, Outcome  # noqa: PLC0415
    from wallet.present import Showing, disclosed, presentation_file  # noqa: PLC0415

    if not challenge or not domain or out is None:
        raise click.UsageError("a presentation file needs --challenge, --domain and --out")
    key, now = store.holder_key(), _now()
    holdings = list({one.digest: one for one in map(store.find, ids)}.values())
    for one in holdings:
        if any(subject != key.did for subject in one.subject_ids):
            _tell(f"{one.short} was issued to another DID than yours: a verifier will not accept it from you")
    _tell(f"for {words.plain(domain)}, challenge {words.plain(challenge)}")
    showings = _with_evidence(
        [Showing(one) for one in holdings], evidence, ask=not (yes or no_evidence or evidence)
    )
    parts = [disclosed(one, with_bundle=True) for one in showings]
    _tell_all(words.disclosed_lines(parts))
    if not yes:
        click.confirm(f"Write this to {out}?", abort=True, err=True)
    body = presentation_file(
        key, showings, load_standards().canonicalizer, challenge=challenge, domain=domain, now=now
    )
    # Recorded first: a file that exists and is in no record would be worse than a record without a file.
    store.save_disclosure(None, Disclosure(now, domain, None, tuple(parts), Outcome.WRITTEN))
    save_file(out, json.dumps(body, ensure_ascii=False).encode() + b"\n", replace=replace)
    options.print({"file": str(out), "shown": [one.to_json() for one in parts]}, str(out))


def _with_evidence(showings: Sequence[Showing], named: Sequence[str], *, ask: bool) -> Sequence[Showing]:
    """The showings with the evidence that was named, or that the holder says yes to, item by item."""
    from wallet.present import with_evidence  # noqa: PLC0415

    names = list(named)
    if ask:
        for one in showings:
            for item in one.holding.evidence:
                label = f"{item.item.name} ({item.item.media_type}, {len(item.item.data):,} bytes)"
                if item.item.name not in names and click.confirm(f"Show the evidence {label} too?", err=True):
                    names.append(item.item.name)
    return with_evidence(showings, names)


# --- taking out, and bringing back ---


@wallet.command()
@click.argument("holding_id", metavar="ID")
@click.option(
    "--format", "form", type=click.Choice(["json", "bundle", "png", "svg"]), default="json", show_default=True
)
@click.option("--out", type=_PATH, required=True, metavar="FILE")
@click.option(
    "--evidence", multiple=True, metavar="NAME", help="Put this item of evidence in; none by default."
)
@click.option("--all-evidence", is_flag=True, help="Put all evidence in.")
@click.option("--replace", is_flag=True, help="Overwrite FILE.")
@common
def export(
    options: Common,
    holding_id: str,
    form: str,
    out: Path,
    evidence: Sequence[str],
    all_evidence: bool,
    replace: bool,
) -> None:
    """Write what you hold under ID to a file that anybody can read: JSON, bundle, or badge image."""
    from wallet.backup import Format, encode_export, save_file  # noqa: PLC0415

    with options.open(writable=False) as store:
        held = store.find(holding_id)
    names = [one.item.name for one in held.evidence] if all_evidence else evidence
    data = encode_export(held, Format(form), names)
    save_file(out, data, replace=replace)
    if form in ("png", "svg") and held.bundle is None:
        _tell("no bundle is held, so the image carries the credential alone")
    options.print({"file": str(out), "format": form, "id": held.id, "evidence": list(names)}, str(out))


@wallet.command()
@click.argument("file", type=_PATH)
@click.option(
    "--backup-passphrase-file", type=_FILE, help="A passphrase for the backup; without it that of the wallet."
)
@click.option("--replace", is_flag=True, help="Overwrite FILE.")
@common
def backup(options: Common, file: Path, backup_passphrase_file: Path | None, replace: bool) -> None:
    """Write the whole wallet, sealed, to FILE. Keep it elsewhere, and keep its passphrase."""
    from wallet.backup import save_backup  # noqa: PLC0415
    from wallet.store import WalletStore  # noqa: PLC0415

    passphrase = options.passphrase()
    with WalletStore.open(options.folder, passphrase, writable=False) as store:
        count = len(store.holdings())
        own = read_passphrase(backup_passphrase_file) if backup_passphrase_file else passphrase
        save_backup(store, file, own, replace=replace)
    options.print({"file": str(file), "holdings": count}, f"{file}: {count} credentials and your key")


@wallet.command()
@click.argument("file", type=_FILE)
@click.option(
    "--backup-passphrase-file", type=_FILE, help="The passphrase of the backup, where it is another one."
)
@click.option("--replace", is_flag=True, help="Move a wallet that is there already aside.")
@common
def restore(options: Common, file: Path, backup_passphrase_file: Path | None, replace: bool) -> None:
    """Bring the wallet in the backup FILE back."""
    from wallet.backup import restore as bring_back  # noqa: PLC0415

    own = ask_passphrase(backup_passphrase_file or options.passphrase_file, "Passphrase of the backup")
    passphrase = own if options.passphrase_file is None else options.passphrase()
    store, aside = bring_back(file, options.folder, own, passphrase, _now(), replace=replace)
    with store:
        name, count = store.holder_key().did, len(store.holdings())
    if aside is not None:
        _tell(f"the wallet that was there is now {aside}")
    options.print(
        {
            "did": name,
            "dir": str(options.folder),
            "holdings": count,
            "movedAside": str(aside) if aside else None,
        },
        f"{name}\n{count} credentials",
    )


# --- what commands share ---


def _checker(
    options: Common,
    *,
    endpoints: Sequence[str],
    networks: Path | None,
    trust: Path | None,
    checkpoints: Sequence[Path],
) -> Checker:
    from wallet.check import Checker  # noqa: PLC0415

    verifier = load_verifier(
        load_standards(), networks=networks, trust=trust, checkpoints=checkpoints, endpoints=endpoints
    )
    return Checker(verifier, now=_now(), endpoints=endpoints, development=options.development)


def _tell(text: str) -> None:
    click.echo(words.plain(text), err=True)


def _tell_all(lines: Iterable[str]) -> None:
    for line in lines:
        _tell(line)


def _leave_with(status: int) -> None:
    click.get_current_context().exit(status)


def _now() -> datetime:
    return datetime.now(UTC)
