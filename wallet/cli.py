"""`bonafides wallet …`: the learner's own commands.

Thin: what is asked, shown and printed. Results go to stdout, progress and questions to stderr. Exit status: 0 done,
1 refused or failed, 2 wrong use, 3 not finished yet (a credential or bundle is still to come) or undetermined.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from node.core.errors import Conflict
from wallet import words
from wallet.cli_getting import import_files, receive, refresh
from wallet.cli_showing import present
from wallet.config import load_standards, read_passphrase
from wallet.options import (
    FILE,
    PATH,
    Common,
    ask_passphrase,
    common,
    now,
    tell,
    warn_if_short,
)


@click.group()
def wallet() -> None:
    """Receive, keep, back up and show your credentials.

    \b
        bonafides wallet init
        bonafides wallet receive 'openid-credential-offer://…'
        bonafides wallet present 'openid4vp://…'
    """


wallet.add_command(receive)
wallet.add_command(import_files)
wallet.add_command(refresh)
wallet.add_command(present)


@wallet.command()
@common
def init(options: Common) -> None:
    """Make a wallet with a key of your own, and print its DID."""
    import secrets  # noqa: PLC0415

    from node.core.keys import KeyKind  # noqa: PLC0415
    from wallet.holder_keys import make_key  # noqa: PLC0415
    from wallet.store import FILE_NAME, WalletStore  # noqa: PLC0415

    if (options.folder / FILE_NAME).exists():
        raise Conflict(f"there is a wallet in {options.folder} already, and it is not overwritten")
    passphrase = options.passphrase("A passphrase for the wallet", confirm=True)
    warn_if_short(passphrase)
    key = make_key(KeyKind.ED25519, secrets.token_bytes, now())
    with WalletStore.create(options.folder, passphrase) as store:
        store.add_key(key)
    tell("without this passphrase, or a backup and its passphrase, what is in the wallet is lost")
    options.print({"did": key.did, "dir": str(options.folder)}, key.did)


@wallet.command()
@common
def did(options: Common) -> None:
    """Print the DID under which credentials are issued to you."""
    with options.open(writable=False) as store:
        name = store.holder_key().did
    options.print({"did": name}, name)


@wallet.command("list")
@click.option("--disclosures", is_flag=True, help="List what you showed to whom instead.")
@common
def list_holdings(options: Common, disclosures: bool) -> None:
    """List what you hold, and what has not come completely."""
    from wallet.holdings import summary  # noqa: PLC0415
    from wallet.receipt import pending  # noqa: PLC0415

    with options.open(writable=False) as store:
        held, unfinished = store.holdings(), pending(store)
        waiting, shown = store.loose_bundles(), store.disclosures()
    if disclosures:
        lines = []
        for one in shown:
            what = ", ".join(words.brief(item.name) for item in one.shown)
            lines.append(f"{one.at:%Y-%m-%d %H:%M}Z  {words.plain(one.verifier)}: {what} ({one.outcome})")
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
    from wallet.claims import results_of  # noqa: PLC0415
    from wallet.holdings import summary  # noqa: PLC0415

    with options.open(writable=False) as store:
        held = store.find(holding_id)
        shown = [one for one in store.disclosures() if any(item.digest == held.id for item in one.shown)]
    rows = results_of(held.document)
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
    click.echo("\n".join([*words.facts(held), *words.choice_lines(held)]))
    if rows:
        from rich.console import Console  # noqa: PLC0415
        from rich.table import Table  # noqa: PLC0415

        table = Table("Criterion", "Level", "Value", "Description")
        for row in rows:
            # As plain text: what an issuer wrote is no markup.
            table.add_row(*map(words.plain, (row.criterion, row.level, row.value, row.description)))
        Console(markup=False, emoji=False, highlight=False).print(table)
    for item in held.evidence:
        label = f"{item.item.name} ({item.item.media_type}, {len(item.item.data):,} bytes)"
        click.echo(f"evidence   {words.plain(label)}")
    for disclosure in shown:
        click.echo(
            f"shown to   {words.plain(disclosure.verifier)} on {disclosure.at:%Y-%m-%d %H:%M}Z ({disclosure.outcome})"
        )
    click.echo("\n".join(words.check_lines(held.last_check, indent="")))


@wallet.command()
@click.argument("holding_id", metavar="ID")
@click.option(
    "--format",
    "form",
    type=click.Choice(["own", "json", "bundle", "png", "svg"]),
    default="own",
    show_default=True,
    help="Own is as it was issued, JSON or a token.",
)
@click.option("--out", type=PATH, required=True, metavar="FILE")
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
    """Write what you hold under ID to a file that anybody can read: as it was issued, bundle, or badge image."""
    from wallet.backup import Format, encode_export, save_file  # noqa: PLC0415
    from wallet.disclose import base_proof_in  # noqa: PLC0415

    with options.open(writable=False) as store:
        held = store.find(holding_id)
    names = [one.item.name for one in held.evidence] if all_evidence else evidence
    data = encode_export(held, Format(form), load_standards().canonicalizer, names)
    save_file(out, data, replace=replace)
    if form in ("own", "json", "bundle") and base_proof_in(held.document) is not None:
        tell(
            "this is for another wallet of yours: whoever has it can show it; show others what `present` writes"
        )
    if form in ("png", "svg") and held.bundle is None:
        tell("no bundle is held, so the image carries the credential alone")
    options.print({"file": str(out), "format": form, "id": held.id, "evidence": list(names)}, str(out))


@wallet.command()
@click.argument("file", type=PATH)
@click.option(
    "--backup-passphrase-file", type=FILE, help="A passphrase for the backup; without it that of the wallet."
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
        warn_if_short(own)
        save_backup(store, file, own, replace=replace)
    options.print(
        {"file": str(file), "holdings": count}, f"{file}: {words.counted(count, 'credential')} and your key"
    )


@wallet.command()
@click.argument("file", type=FILE)
@click.option(
    "--backup-passphrase-file", type=FILE, help="The passphrase of the backup, where it is another one."
)
@click.option("--replace", is_flag=True, help="Move a wallet that is there already aside.")
@common
def restore(options: Common, file: Path, backup_passphrase_file: Path | None, replace: bool) -> None:
    """Bring the wallet in the backup FILE back."""
    from wallet.backup import restore as bring_back  # noqa: PLC0415

    own = ask_passphrase(backup_passphrase_file or options.passphrase_file, "Passphrase of the backup")
    passphrase = own if options.passphrase_file is None else options.passphrase()
    store, aside = bring_back(file, options.folder, own, passphrase, now(), replace=replace)
    with store:
        name, count = store.holder_key().did, len(store.holdings())
    if aside is not None:
        tell(f"the wallet that was there is now {aside}")
    options.print(
        {
            "did": name,
            "dir": str(options.folder),
            "holdings": count,
            "movedAside": str(aside) if aside else None,
        },
        f"{name}\n{words.counted(count, 'credential')}",
    )
