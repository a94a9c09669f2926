"""`wallet receive`, `import` and `refresh`: what comes into the wallet, and what keeps it fresh."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from node.core.errors import BonafidesError
from wallet import words
from wallet.config import read_file
from wallet.options import (
    EXIT_REFUSED,
    EXIT_UNFINISHED,
    FILE,
    Common,
    Renewal,
    common,
    judging,
    leave_with,
    make_checker,
    now,
    parse_height,
    renewing,
    tell,
    tell_all,
)

if TYPE_CHECKING:
    from node.outbound.proofs import Height
    from wallet.holdings import Holding
    from wallet.receipt import Receipt
    from wallet.receive import Offered, Receiver
    from wallet.store import WalletStore


@click.command()
@click.argument("offer", required=False)
@click.option("--tx-code", metavar="CODE", help="The code that the issuer sent you another way.")
@click.option("--resume", is_flag=True, help="Go on with what was not finished, and renew what runs out.")
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
    from wallet.receipt import find_receipt, pending, renewing  # noqa: PLC0415
    from wallet.receive import Receiver  # noqa: PLC0415

    checker = make_checker(options, **judged_by)
    # The endpoints are named so that the guard knows what no offer may name.
    async with open_egress(endpoints=checker.endpoints, development=options.development) as egress:
        receiver = Receiver(
            store, store.holder_keys(), checker, egress, tell=tell, clock=now, keep_anyway=keep_anyway
        )
        if discard is not None:
            receipt = find_receipt(store, discard)
            await receiver.discard(receipt)
            options.print({"discarded": discard}, f"given up: {words.plain(receipt.issuer)}")
            return
        if offer is not None:
            offered = await receiver.look_at(offer)
            lines = words.offer_lines(offered, lambda one: receiver.key_for(one).did)
            tx_code = _ask_to_receive(offered, lines, tx_code, yes=yes)
            receipts = [receiver.accept(offered, tx_code)]
        else:
            receipts = list(pending(store))
        fault = await _go_on(receiver, receipts, wait)
        if offer is None:
            fault = await _go_on(receiver, renewing(store), wait) or fault
    unfinished = pending(store)
    _print_received(options, receiver, unfinished)
    if fault is not None:
        raise fault
    if any(not one.kept for one in receiver.arrived):
        leave_with(EXIT_REFUSED)
    if unfinished:
        tell("the rest comes later: bonafides wallet receive --resume")
        leave_with(EXIT_UNFINISHED)


async def _go_on(receiver: Receiver, receipts: Sequence[Receipt], wait: float) -> BonafidesError | None:
    """Take each as far as it goes; one that fails stops no other, and the first fault is raised at the end."""
    fault = None
    for receipt in receipts:
        try:
            if receipt.renews:
                await receiver.renew(receipt, wait_seconds=wait)
            else:
                await receiver.go_on(receipt, wait_seconds=wait)
        except BonafidesError as error:
            if fault is not None:
                tell(f"{receipt.issuer}: {error.detail}")
            fault = fault or error
    return fault


def _ask_to_receive(offered: Offered, lines: Iterable[str], tx_code: str | None, *, yes: bool) -> str | None:
    """Say who offers what, and ask for a yes and, where one is needed, for the code."""
    from wallet.receive import check_tx_code  # noqa: PLC0415

    tell_all(lines)
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
        lines += words.received_lines(one.holding, kept=one.kept)
    lines += [f"unfinished {words.receipt_line(one)}" for one in unfinished]
    options.print(body, "\n".join(lines) or "nothing came")


@click.command("import")
@click.argument("files", nargs=-1, required=True, type=FILE, metavar="FILE…")
@click.option("--keep-anyway", is_flag=True, help="Keep what is refused as well.")
@judging
@common
def import_files(options: Common, files: Sequence[Path], keep_anyway: bool, **judged_by: Any) -> None:
    """Take credentials from files: JSON, tokens (.jws, .1ob, SD-JWT, COSE), badge images, and bundles beside them."""
    from wallet.arrivals import Became, Importer  # noqa: PLC0415

    found = [(path.name, read_file(path)) for path in files]
    with options.open() as store:
        importer = Importer(store, make_checker(options, **judged_by), now=now(), keep_anyway=keep_anyway)
        taken = asyncio.run(importer.take(found))
    options.print(
        [words.taken_json(one) for one in taken], "\n".join(words.taken_words(one) for one in taken)
    )
    if any(one.became is Became.REFUSED for one in taken):
        leave_with(EXIT_REFUSED)


@click.command()
@click.argument("ids", nargs=-1, metavar="[ID…]")
@click.option("--newest", is_flag=True, help="Prove at the newest final block, not at one of the series.")
@click.option(
    "--hop-to",
    metavar="BLOCK",
    callback=parse_height,
    help="Keep what is proven and lead it to a newer block: series, newest, or a number. Tells nobody what you hold.",
)
@common
@renewing
def refresh(
    options: Common, ids: Sequence[str], renewal: Renewal, newest: bool, hop_to: Height | None
) -> None:
    """Renew the proofs of what you hold (all, or those named).

    By an endpoint of the chain (--rpc), or by a node that makes proofs for holders (--proofs). No issuer is asked,
    unless you say `--proofs issuer`.
    """
    if not renewal.is_possible:
        raise click.UsageError("name an endpoint with --rpc, or a node that makes proofs with --proofs")
    if newest and hop_to is not None:
        raise click.UsageError("either --newest or --hop-to")
    with options.open() as store:
        chosen = [store.find(text) for text in ids] if ids else store.holdings()
        asyncio.run(_refresh(options, store, chosen, renewal, newest=newest, hop_to=hop_to, named=bool(ids)))


async def _refresh(
    options: Common,
    store: WalletStore,
    chosen: Sequence[Holding],
    renewal: Renewal,
    *,
    newest: bool,
    hop_to: Height | None,
    named: bool,
) -> None:
    from node.outbound.proofs import At  # noqa: PLC0415
    from wallet.holdings import runs_out, summary  # noqa: PLC0415
    from wallet.refresh import Refreshed  # noqa: PLC0415

    results, lines, refused = [], [], False
    fault: BonafidesError | None = None
    async with renewal.opened(At.NEWEST if newest else hop_to) as refresher:
        renew = refresher.refresh if hop_to is None else refresher.hop
        for holding in chosen:
            try:
                done = await renew(holding)
                if done.report is not None:
                    store.save_holding(done.holding)
            except BonafidesError as error:
                # One that cannot be renewed keeps no other from it.
                done, fault = Refreshed(holding, note=error.detail), fault or error
            refused = refused or (done.report is not None and str(done.report.acceptance) == "refused")
            results.append(
                {
                    **summary(done.holding),
                    "renewed": done.is_renewed,
                    "note": done.note,
                    "runsOut": runs_out(holding, now()),
                    "report": done.report.to_json() if done.report else None,
                }
            )
            lines += words.refreshed_lines(done, runs_out=runs_out(holding, now()))
    options.print(results, "\n".join(lines) or "nothing is held")
    if fault is not None:
        raise fault
    if refused:
        leave_with(EXIT_REFUSED)
    elif named and not any(one["renewed"] or one["header"] for one in results):
        leave_with(EXIT_UNFINISHED)
