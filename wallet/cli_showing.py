"""`wallet present`: who asks, what would be shown, one clear yes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from node.core.errors import BonafidesError, NotFound, Refused
from wallet import words
from wallet.config import load_standards
from wallet.options import (
    PATH,
    Common,
    common,
    now,
    tell,
    tell_all,
)

if TYPE_CHECKING:
    from node.core.oid4vp.request import AuthorizationRequest
    from wallet.holdings import Holding
    from wallet.present import Presenter, Showing
    from wallet.store import WalletStore


@click.command()
@click.argument("what", nargs=-1, required=True, metavar="REQUEST|ID…")
@click.option("--challenge", help="The challenge that you were given.")
@click.option("--domain", help="Whom it is for, as you were told.")
@click.option("--out", type=PATH, metavar="FILE", help="Where the presentation file goes.")
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
        tell_all(words.request_lines(request, host))
        if found is None:
            # A no without a person's pause would tell a stranger what is not held (section 15 of OpenID4VP).
            if yes or click.confirm(f"You hold nothing that answers. Tell {host} no?", err=True):
                await _decline(presenter, request)
            raise NotFound("nothing that is held answers the request: nothing was shown")
        takes_bundles = request.client_metadata.bonafides_bundle
        if not takes_bundles and evidence:
            raise Refused(f"{host} takes no proof bundles, so no evidence can be shown to it")
        showings = _with_evidence(found, evidence, ask=takes_bundles and not (yes or no_evidence or evidence))
        parts = [disclosed(one, with_bundle=takes_bundles) for one in showings]
        tell_all(words.disclosed_lines(parts))
        if not yes and not click.confirm(f"Show this to {host}?", err=True):
            await _decline(presenter, request)
            raise Refused("nothing was shown", code="access_denied")
        redirect = await presenter.send(request, showings, now())
    body = {"verifier": request.client_id, "shown": [one.to_json() for one in parts], "redirectUri": redirect}
    done = f"shown to {host}" + (f"\nopen this to go on: {words.plain(redirect)}" if redirect else "")
    options.print(body, done)


async def _decline(presenter: Presenter, request: AuthorizationRequest) -> None:
    try:
        await presenter.decline(request)
    except BonafidesError as error:
        tell(f"the verifier could not be told: {error.detail}")


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
    from wallet.backup import check_target, save_file  # noqa: PLC0415
    from wallet.consent import Disclosure, Outcome  # noqa: PLC0415
    from wallet.present import Showing, disclosed, presentation_file  # noqa: PLC0415

    if not challenge or not domain or out is None:
        raise click.UsageError("a presentation file needs --challenge, --domain and --out")
    check_target(out, replace=replace)
    key, moment = store.holder_key(), now()
    holdings = list({one.digest: one for one in map(store.find, ids)}.values())
    for one in holdings:
        if any(subject != key.did for subject in one.subject_ids):
            tell(f"{one.short} was issued to another DID than yours: a verifier will not accept it from you")
    tell(f"for {words.plain(domain)}, challenge {words.plain(challenge)}")
    showings = _with_evidence(
        [Showing(one) for one in holdings], evidence, ask=not (yes or no_evidence or evidence)
    )
    parts = [disclosed(one, with_bundle=True) for one in showings]
    tell_all(words.disclosed_lines(parts))
    if not yes:
        click.confirm(f"Write this to {out}?", abort=True, err=True)
    body = presentation_file(
        key, showings, load_standards().canonicalizer, challenge=challenge, domain=domain, now=moment
    )
    # Recorded first: a file that exists and is in no record would be worse than a record without a file.
    store.save_disclosure(None, Disclosure(moment, domain, None, tuple(parts), Outcome.WRITTEN))
    save_file(out, json.dumps(body, ensure_ascii=False).encode() + b"\n", replace=replace)
    options.print({"file": str(out), "shown": [one.to_json() for one in parts]}, str(out))


def _with_evidence(showings: Sequence[Showing], named: Sequence[str], *, ask: bool) -> Sequence[Showing]:
    """The showings with the evidence that was named, or that the holder says yes to, item by item."""
    from wallet.present import with_evidence  # noqa: PLC0415

    if not ask:
        return with_evidence(showings, named)
    # Asked and answered for each credential: two may hold items of one name, and a yes is to one of them.
    chosen: dict[bytes, tuple[str, ...]] = {}
    for one in showings:
        if one.holding.digest not in chosen:
            chosen[one.holding.digest] = tuple(_ask_for_evidence(one.holding))
    return [replace(one, evidence=chosen[one.holding.digest]) for one in showings]


def _ask_for_evidence(holding: Holding) -> Iterator[str]:
    for shown in holding.evidence:
        item = shown.item
        label = f"{item.name} ({item.media_type}, {len(item.data):,} bytes) of {words.brief(holding.name)}"
        if click.confirm(f"Show the evidence {words.plain(label)} too?", err=True):
            yield item.name
