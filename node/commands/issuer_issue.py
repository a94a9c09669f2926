"""`bonafides issuer issue` and `anchor`: from a cohort to proofs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from node.commands.issuer_options import (
    FILE,
    FOLDER,
    Bars,
    anchoring_terms,
    as_json_option,
    ask_passphrase,
    finish,
    issuer_place,
    no_wait_option,
    opened,
    print_json,
    run_async,
)

if TYPE_CHECKING:
    from node.services.anchoring import Tick
    from node.services.issuance import Issued, Plan
    from node.services.issuer import Issuer
    from node.services.offers import NewOffer

# As node.core.securing, which is not imported before it is needed; a test compares them.
SECURINGS: Final = (
    *("eddsa-rdfc-2022", "eddsa-jcs-2022", "ecdsa-rdfc-2019", "ecdsa-jcs-2019", "ecdsa-sd-2023", "bbs-2023"),
    *("vc+jwt", "vc+sd-jwt", "vc+cose", "dc+sd-jwt"),
)
_EXAMPLES_OF_FAULTS: Final = 50


@click.command()
@issuer_place
@click.option(
    "--template", required=True, type=FILE, help="What all credentials of the cohort have in common (JSON)."
)
@click.option("--cohort", required=True, type=FILE, help="The learners: CSV or NDJSON.")
@click.option("--evidence", type=FOLDER, help="Folder of evidence, one sub-folder a row.")
@click.option(
    "--dry-run", is_flag=True, help="Check everything, say what it would come to, and change nothing."
)
@click.option(
    "--securing",
    "--suite",
    "securing",
    type=click.Choice(SECURINGS),
    help="Cryptosuite or kind of token. Of ecdsa-sd-2023, bbs-2023, vc+sd-jwt and dc+sd-jwt a holder can show a "
    "part.  [default: as the template says, else eddsa-rdfc-2022]",
)
@click.option(
    "--bearer",
    is_flag=True,
    help="Rows without subject_did: issue unbound credentials, anybody's who has them.",
)
@click.option(
    "--status/--no-status",
    "with_status",
    default=None,
    help="Status entries, in what is issued now.  [default: with a chain, or after `init --status`]",
)
@click.option("--tx-code", is_flag=True, help="Protect each offer by a code of six digits, sent another way.")
@click.option("--renew-offers", is_flag=True, help="New links for rows that have not claimed theirs.")
@as_json_option
@run_async
async def issue(
    folder: Path,
    passphrase_file: Path | None,
    rpc: str | None,
    database: str | None,
    template: Path,
    cohort: Path,
    evidence: Path | None,
    dry_run: bool,
    securing: str | None,
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
    from node.services import issuance, offering, status_lists  # noqa: PLC0415
    from node.services.cohort import load_cohort  # noqa: PLC0415
    from node.services.faults import InputFaults  # noqa: PLC0415
    from node.services.preparing import Terms  # noqa: PLC0415

    async with opened(folder, passphrase_file, rpc, database, keys=not dry_run) as node:
        status = await status_lists.gives_entries(node) if with_status is None else with_status
        try:
            loaded = load_cohort(template, cohort, evidence)
            chosen = securing or loaded.template.securing or SECURINGS[0]
            terms = Terms(chosen, bearer=bearer, with_status=status)
            with Bars() as progress:
                plan = await issuance.plan(node, loaded, terms, progress)
                before = await _secured_otherwise(node, plan)
                if not dry_run:
                    await _issue(node, plan, progress)
        except InputFaults as error:
            _tell_faults(error, as_json=as_json)
            raise
        if dry_run:
            _print_plan(plan, before, await _anchoring_cost(node, plan), as_json=as_json)
            return
        issued = await issuance.results(node, loaded)
        made = await offering.offer(node, issued, bearer=bearer, with_tx_code=tx_code, again=renew_offers)
        _print_issued(node, plan, issued, made, before, as_json=as_json)


async def _secured_otherwise(node: Issuer, plan: Plan) -> Mapping[str, int]:
    from node.services import lookup  # noqa: PLC0415

    new = {row.key for row in plan.new}
    keys = [row.key for row in plan.cohort.rows if row.key not in new]
    return await lookup.secured_otherwise(node, plan.cohort.template.cohort, keys, plan.terms.securing)


async def _anchoring_cost(node: Issuer, plan: Plan) -> dict[str, Any] | None:
    """What anchoring the new rows would cost now, with a sentence for people; None where nothing is anchored."""
    from node.core.securing import is_anchored  # noqa: PLC0415

    if not node.on_chain or not plan.new or not is_anchored(plan.terms.securing):
        return None
    return await _cost(node, len(plan.new))


async def _cost(node: Issuer, items: int) -> dict[str, Any]:
    """An estimate, or why there is none: nothing that was asked for depends on it."""
    from node.core.errors import BonafidesError  # noqa: PLC0415
    from node.services import costs  # noqa: PLC0415

    try:
        estimate = await costs.estimate(node, items)
    except BonafidesError as error:
        return {"unknown": error.detail, "words": f"what it costs could not be told: {error.detail}"}
    return {**estimate.to_json(), "words": str(estimate)}


async def _issue(node: Issuer, plan: Plan, progress: Any) -> None:
    from node.core.securing import KINDS  # noqa: PLC0415
    from node.services import issuance  # noqa: PLC0415

    await node.signing_key(
        kinds=KINDS[plan.terms.securing]
    )  # a wrong passphrase is told before anything is stored
    if not await issuance.ensure_lists(node, plan):
        from node.services.anchoring import AnchorWorker  # noqa: PLC0415

        await finish(
            AnchorWorker(node), "opening a status list", close=False, done=lambda tick: not tick.settling
        )
    await issuance.issue(node, plan, progress)


def _tell_otherwise(securing: str, before: Mapping[str, int]) -> None:
    """What `--securing` did not change."""
    for name, count in before.items():
        click.echo(
            f"issued before as {name}, and left so: {count} of the rows, since a row is issued once."
            f' To have them as {securing} too, issue them under other ids or another "cohort"',
            err=True,
        )


def _print_plan(plan: Plan, before: Mapping[str, int], cost: dict[str, Any] | None, *, as_json: bool) -> None:
    rows, new = len(plan.cohort.rows), len(plan.new)
    at_once = sum(map(plan.signs_at_once, plan.new))
    body = {
        "dry_run": True,
        "rows": rows,
        "new": new,
        "issued_before": rows - new,
        "signed_at_once": at_once,
        "signed_at_claim": new - at_once,
        "status_entries_per_credential": len(plan.purposes),
        "securing": plan.terms.securing,
        "secured_otherwise": before,
        "anchoring": cost,
    }
    if as_json:
        print_json(body)
        return
    click.echo(
        f"{rows} rows are in order as {plan.terms.securing}: {new} new, {rows - new} issued before;"
        " nothing was changed"
        if new
        else f"all {rows} rows were issued before: nothing is new, and nothing was changed"
    )
    _tell_otherwise(plan.terms.securing, before)
    click.echo(f"  signed at once: {body['signed_at_once']}, at their claim: {body['signed_at_claim']}")
    if cost is not None:
        click.echo(f"  {cost['words']}")
    if len(plan.purposes) > 1:
        click.echo(
            f"  {len(plan.purposes)} status entries, so an array, which 1EdTech's strict schema does not allow,"
            " and about a fifth more in each bundle for each after the first"
        )


def _print_issued(
    node: Issuer,
    plan: Plan,
    issued: Sequence[Issued],
    made: Sequence[NewOffer],
    before: Mapping[str, int],
    *,
    as_json: bool,
) -> None:
    links = {one.credential_id: one for one in made}
    if as_json:
        rows = [_issued_json(one, links.get(one.credential_id)) for one in issued]
        print_json(
            {
                "issuer": node.settings.did,
                "new": len(plan.new),
                "secured_otherwise": before,
                "credentials": rows,
            }
        )
        return
    for one in issued:
        link = links.get(one.credential_id)
        if one.state == "withdrawn":
            shown = "revoked before it was claimed"
        else:
            shown = link.link if link else "offered before (--renew-offers makes a new link)"
        code = f"  code {link.tx_code}" if link and link.tx_code else ""
        click.echo(f"{one.row}  {one.state}  {one.credential_id}  {shown}{code}")
    _tell_otherwise(plan.terms.securing, before)
    for step in _next_steps(node, plan, issued, served=bool(links)):
        click.echo(f"next: {step}", err=True)


def _next_steps(node: Issuer, plan: Plan, issued: Sequence[Issued], *, served: bool) -> Iterator[str]:
    """What is left to do; what is anybody's who has it needs no wallet that claims it."""
    signed = [one for one in issued if one.state == "signed"]
    waits = any(one.state == "waiting" for one in issued)
    if node.on_chain and signed and plan.terms.securing != "bbs-2023":
        yield "bonafides issuer anchor"
    if plan.terms.bearer and signed and not waits:
        yield (
            f"bonafides issuer export --credential {signed[0].row} --document FILE writes that badge, to be handed"
            " out; it is anybody's who has it"
        )
        if served:
            yield "or, for wallets, bonafides issuer serve: the links lead there"
    elif served:
        also = "; rows that wait are signed when claimed" if waits else ""
        yield f"bonafides issuer serve: the links lead there{also}"


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
    # A single one is the error itself, which is told at the end.
    for fault in faults[:_EXAMPLES_OF_FAULTS] if len(faults) > 1 else ():
        click.echo(str(fault), err=True)
    if len(faults) > _EXAMPLES_OF_FAULTS:
        click.echo(f"… and {len(faults) - _EXAMPLES_OF_FAULTS:,} more", err=True)
    if as_json:
        members = ("source", "detail", "row", "line", "column")
        print_json({"faults": [{name: getattr(fault, name) for name in members} for fault in faults]})


@click.command()
@issuer_place
@no_wait_option
@as_json_option
@run_async
async def renew(
    folder: Path,
    passphrase_file: Path | None,
    rpc: str | None,
    database: str | None,
    no_wait: bool,
    as_json: bool,
) -> None:
    """Issue again what bbs-2023 secures and runs out within a week; to be run once a week, unless `serve` runs.

    Such credentials live four weeks at most and have no status entry. Wallets get the new one where they got the last,
    or by the links that are printed here, each once, also of what `serve` renewed. On a chain each week has a key of
    its own, which is added first.
    """
    from node.core.keys import KeyKind  # noqa: PLC0415
    from node.services import offering, renewal, rotation  # noqa: PLC0415

    passphrase = ask_passphrase(passphrase_file)
    async with opened(folder, passphrase_file, rpc, database, passphrase=passphrase) as node:
        if await renewal.needs_key(node):
            from node.services.anchoring import AnchorWorker  # noqa: PLC0415

            await rotation.begin(node, folder, passphrase, KeyKind.BLS12381_G2)
            worker = AnchorWorker(node)
            await (worker.tick() if no_wait else finish(worker, "adding the key of the week", close=False))
        await renewal.renew(node)
        renewed = await renewal.renewed(node)
        # Also of what a server renewed: each gets one link.
        links = {one.credential_id: one for one in await offering.offer(node, renewed, bearer=True)}
        issued = [one for one in renewed if one.credential_id in links]
        if as_json:
            rows = [_issued_json(one, links.get(one.credential_id)) for one in issued]
            print_json({"issuer": node.settings.did, "credentials": rows})
            return
        if not issued:
            click.echo("nothing to renew: no bbs-2023 credential is in its last week", err=True)
        for one in issued:
            click.echo(f"{one.row}  renewed  {one.credential_id}  {links[one.credential_id].link}")


@click.command()
@issuer_place
@anchoring_terms
@click.option("--dry-run", is_flag=True, help="Say what it would cost now, and send nothing.")
@click.option("--retry", is_flag=True, help="Take up what was set aside, after its reason was mended.")
@no_wait_option
@as_json_option
@run_async
async def anchor(
    folder: Path,
    passphrase_file: Path | None,
    rpc: str | None,
    database: str | None,
    dry_run: bool,
    retry: bool,
    no_wait: bool,
    as_json: bool,
    **terms: Any,
) -> None:
    """Close the open batch, take everything to the chain, and wait until it is final and proven.

    Exit status: 1 where a bundle does not hold, so that its credential has none to hand out.
    """
    from node.services import anchoring, costs  # noqa: PLC0415

    async with opened(folder, passphrase_file, rpc, database, keys=not dry_run, terms=terms) as node:
        if dry_run:
            await _print_anchoring_cost(node, as_json=as_json)
            return
        if retry:
            await anchoring.retry_parked(node)
        worker = anchoring.AnchorWorker(node)
        if no_wait:
            tick = await worker.tick(close=True)
            for trouble in tick.troubles:
                click.echo(f"anchoring: {trouble.detail}", err=True)
        else:
            tick = await finish(worker, "anchoring")
        body: dict[str, Any] = {
            "done": tick.is_done,
            "block": tick.block,
            "waiting": tick.waiting,
            "batches": tick.batches,
            "on_second_chain_alone": tick.elsewhere,
            "transactions": tick.transactions,
            "set_aside": tick.parked,
            "troubles": [trouble.detail for trouble in tick.troubles],
            "warnings": list(tick.warnings),
        }
        async with node.store.reading() as reading:
            body["paid"] = await costs.paid(reading)
        if as_json:
            print_json(body)
        else:
            _print_anchored(tick, body["paid"]["newest_batch"])
        if tick.unsound:
            raise click.exceptions.Exit(1)


def _print_anchored(tick: Tick, newest_batch: dict[str, int] | None) -> None:
    from node.services import costs  # noqa: PLC0415

    click.echo(_outcome(tick))
    if newest_batch is not None:
        click.echo(f"  {costs.batch_in_words(newest_batch)}")
    for warning in tick.warnings:
        click.echo(f"warning: {warning}", err=True)


def _outcome(tick: Tick) -> str:
    if not tick.is_done:
        return "on its way: see `issuer status`"
    if tick.unsound:
        return f"final as of block {tick.block}, without a bundle for {tick.unsound}"
    if tick.elsewhere:
        return "final on the second chain; on the issuer's own it is on its way, and bundles follow it"
    return f"final as of block {tick.block}"


async def _print_anchoring_cost(node: Issuer, *, as_json: bool) -> None:
    node.require_chain()
    async with node.store.reading() as reading:
        waiting = (await reading.batches.waiting()).count
    cost = await _cost(node, waiting) if waiting else None
    if as_json:
        print_json({"dry_run": True, "waiting": waiting, "anchoring": cost})
    else:
        click.echo(
            f"{waiting} waiting: {cost['words']}" if cost is not None else "nothing waits to be anchored"
        )
