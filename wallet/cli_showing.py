"""`wallet present`: who asks, what would be shown, one clear yes."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from node.core.errors import BonafidesError, NotFound, Refused
from wallet import words
from wallet.config import load_standards
from wallet.options import (
    PATH,
    Common,
    Renewal,
    common,
    now,
    renewing,
    tell,
    tell_all,
)

if TYPE_CHECKING:
    from node.core.oid4vp.request import AuthorizationRequest
    from wallet.claims import Place
    from wallet.holdings import Holding
    from wallet.present import Presenter
    from wallet.presentation import Showing
    from wallet.refresh import Refresher
    from wallet.store import WalletStore

# Half of what verifiers grant by default.
RENEW_AFTER_HOURS: Final = 12.0


@dataclass(frozen=True, slots=True)
class Parts:
    """Which claims are to be shown of what can be shown in part, as the options say."""

    disclose: tuple[str, ...] = ()
    only: bool = False
    everything: bool = False

    @property
    def told(self) -> bool:
        """Whether the holder said anything."""
        return bool(self.disclose) or self.only or self.everything


@dataclass(slots=True)
class Stapler:
    """Renews the proofs of what is about to be shown. One that cannot be renewed goes as it is, and that is said."""

    renewal: Renewal
    after: timedelta
    found_refused: bool = False
    """Whether a newer proof speaks against something that would be shown."""

    async def renewed(self, store: WalletStore, showings: Sequence[Showing]) -> tuple[Showing, ...]:
        """The showings with fresh proofs, which are kept, where theirs are too old."""
        from wallet.refresh import is_stale  # noqa: PLC0415

        stale = {
            one.holding.digest: one.holding for one in showings if is_stale(one.holding, self.after, now())
        }
        if not stale:
            return tuple(showings)
        if not self.renewal.is_possible:
            hours = self.after.total_seconds() / 3600
            tell_all(words.old_proof_line(one, hours) for one in stale.values())
            return tuple(showings)
        found: dict[bytes, Holding] = {}
        async with self.renewal.opened() as refresher:
            for holding in stale.values():
                found[holding.digest] = await self._renewed(store, refresher, holding)
        return tuple(replace(one, holding=found.get(one.holding.digest, one.holding)) for one in showings)

    async def _renewed(self, store: WalletStore, refresher: Refresher, holding: Holding) -> Holding:
        try:
            done = await refresher.refresh(holding)
        except BonafidesError as error:
            tell(f"{holding.short}: its proof was not renewed, it goes as it is: {error.detail}")
            return holding
        tell_all(words.refreshed_lines(done, runs_out=False))
        if done.report is not None:
            store.save_holding(done.holding)
            self.found_refused |= str(done.report.acceptance) == "refused"
        return done.holding


@click.command()
@click.argument("what", nargs=-1, required=True, metavar="REQUEST|ID…")
@click.option("--challenge", help="The challenge that you were given.")
@click.option("--domain", help="Whom it is for, as you were told.")
@click.option("--out", type=PATH, metavar="FILE", help="Where the presentation file goes.")
@click.option("--replace", is_flag=True, help="Overwrite FILE.")
@click.option("--use", multiple=True, metavar="ID", help="Answer the request with this credential.")
@click.option(
    "--disclose", multiple=True, metavar="CLAIM", help="Show this claim: its name, or a JSON Pointer to it."
)
@click.option(
    "--only", is_flag=True, help="Show nothing but that, what was asked for, and what always shows."
)
@click.option("--everything", is_flag=True, help="Show all claims.")
@click.option("--evidence", multiple=True, metavar="NAME", help="Show this item of evidence too.")
@click.option("--no-evidence", is_flag=True, help="Show no evidence, and do not ask.")
@click.option(
    "--renew-after",
    type=click.FloatRange(0),
    default=RENEW_AFTER_HOURS,
    show_default=True,
    show_envvar=True,
    metavar="HOURS",
    help="Renew a proof that is older first, where --rpc or --proofs says by whom.",
)
@click.option("--yes", is_flag=True, help="Show without asking.")
@common
@renewing
def present(options: Common, what: Sequence[str], **more: Any) -> None:
    """Show credentials: answer the link of a verifier, or make a presentation file.

    \b
        bonafides wallet present 'openid4vp://?…'
        bonafides wallet present ID --challenge C --domain D --out presentation.json
        bonafides wallet present ID --disclose credentialSubject.achievement.name …

    Of a credential that can be shown in part, a verifier gets the claims that it asks for, those that you --disclose,
    and those that its issuer always shows; the rest stays hidden. Before anything leaves, you read who asks and what
    would be shown, and say yes or no. With --rpc or --proofs, proofs that have grown old are renewed after the yes.
    """
    more["stapler"] = Stapler(more.pop("renewal"), timedelta(hours=more.pop("renew_after")))
    if more["evidence"] and more["no_evidence"]:
        raise click.UsageError("either --evidence or --no-evidence")
    more["parts"] = Parts(tuple(more.pop("disclose")), more.pop("only"), more.pop("everything"))
    if more["parts"].everything and (more["parts"].disclose or more["parts"].only):
        raise click.UsageError("either --everything, or --disclose and --only")
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
    stapler: Stapler,
    parts: Parts = Parts(),
    **_: Any,
) -> None:
    from wallet.exchange import host_of, open_egress  # noqa: PLC0415
    from wallet.present import Presenter  # noqa: PLC0415
    from wallet.presentation import disclosed  # noqa: PLC0415

    async with open_egress(development=options.development) as egress:
        canonicalizer = load_standards().canonicalizer
        presenter = Presenter(store, store.holder_keys(), canonicalizer, egress, secrets.token_bytes)
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
        found = _with_claims(found, parts)
        showings = _with_evidence(found, evidence, ask=takes_bundles and not (yes or no_evidence or evidence))
        told = [disclosed(one, with_bundle=takes_bundles) for one in showings]
        tell_all(words.disclosed_lines(told))
        if not yes and not click.confirm(f"Show this to {host}?", err=True):
            await _decline(presenter, request)
            raise Refused("nothing was shown", code="access_denied")
        if takes_bundles:
            showings = await stapler.renewed(store, showings)
            if stapler.found_refused and not (
                yes or click.confirm(f"Show this to {host} all the same?", err=True)
            ):
                await _decline(presenter, request)
                raise Refused("nothing was shown", code="access_denied")
        redirect = await presenter.send(request, showings, now())
    body = {"verifier": request.client_id, "shown": [one.to_json() for one in told], "redirectUri": redirect}
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
    stapler: Stapler,
    parts: Parts,
    **_: Any,
) -> None:
    from wallet.backup import check_target, save_file  # noqa: PLC0415
    from wallet.consent import Disclosure, Outcome  # noqa: PLC0415
    from wallet.presentation import Showing, check_together, disclosed, for_a_file, presentation_file  # noqa: PLC0415

    if not challenge or not domain or out is None:
        raise click.UsageError("a presentation file needs --challenge, --domain and --out")
    check_target(out, replace=replace)
    keys, moment = store.holder_keys(), now()
    holdings = list({one.digest: one for one in map(store.find, ids)}.values())
    tell(f"for {words.plain(domain)}, challenge {words.plain(challenge)}")
    tell_all(words.not_yours_lines(holdings, keys))
    chosen = for_a_file([Showing(one, selection=()) for one in holdings])
    check_together(keys, chosen)
    chosen = _with_claims(chosen, parts) if parts.told else _ask_for_claims(chosen, ask=not yes)
    showings = _with_evidence(chosen, evidence, ask=not (yes or no_evidence or evidence))
    told = [disclosed(one, with_bundle=True) for one in showings]
    tell_all(words.disclosed_lines(told))
    if not yes:
        click.confirm(f"Write this to {out}?", abort=True, err=True)
    showings = asyncio.run(stapler.renewed(store, showings))
    if stapler.found_refused and not yes:
        click.confirm(f"Write this to {out} all the same?", abort=True, err=True)
    body = presentation_file(
        keys,
        showings,
        load_standards().canonicalizer,
        secrets.token_bytes,
        challenge=challenge,
        domain=domain,
        now=moment,
    )
    # Recorded first: a file that exists and is in no record would be worse than a record without a file.
    store.save_disclosure(None, Disclosure(moment, domain, None, tuple(told), Outcome.WRITTEN))
    save_file(out, json.dumps(body, ensure_ascii=False).encode() + b"\n", replace=replace)
    options.print({"file": str(out), "shown": [one.to_json() for one in told]}, str(out))


def _with_claims(showings: Sequence[Showing], parts: Parts) -> tuple[Showing, ...]:
    """The showings with the claims that the holder named besides; NotFound for one that none of them has.

    One that has to be shown whole is told beforehand. Refused where it is all there is, or the holder said `--only`.
    """
    if parts.everything:
        return tuple(replace(one, selection=None) for one in showings)
    whole = [one.holding for one in showings if not _can_choose(one.holding)]
    for one in whole if parts.told else ():
        told = f"{one.short} {words.brief(one.name)} has one signature over all of it and is shown whole"
        if parts.only:
            raise Refused(f"{told}: leave --only out, or show it by itself")
        if len(whole) == len(showings):
            raise Refused(f"{told}: leave --disclose out")
        tell(f"{told}: --disclose changes nothing of it")
    missing = [name for name in parts.disclose if not any(_named(one.holding, name) for one in showings)]
    if missing:
        raise NotFound(f"nothing that would be shown has a claim {missing[0]!r}: `wallet show ID` lists them")
    return tuple(
        replace(
            one,
            selection=(
                *one.chosen,
                *(place for name in parts.disclose for place in _named(one.holding, name)),
            ),
        )
        for one in showings
    )


def _named(holding: Holding, name: str) -> tuple[Place, ...]:
    from wallet.disclose import named_places  # noqa: PLC0415

    try:
        return named_places(holding.choices, [name], holding.document)
    except NotFound:
        return ()


def _can_choose(holding: Holding) -> bool:
    return len(holding.choices.reveal(())) < len(holding.choices.places)


def _ask_for_claims(showings: Sequence[Showing], *, ask: bool) -> tuple[Showing, ...]:
    """The showings with the claims that the holder picks from a list; nobody picks unseen."""
    if not ask and any(_can_choose(one.holding) for one in showings):
        raise click.UsageError("what can be shown in part needs --disclose, --only or --everything")
    return tuple(
        replace(one, selection=_ask_for_places(one.holding)) if _can_choose(one.holding) else one
        for one in showings
    )


def _ask_for_places(holding: Holding) -> tuple[Place, ...]:
    from wallet.claims import names_of, path_text  # noqa: PLC0415

    choices = holding.choices
    always = choices.reveal(())
    free = [place for place in choices.places if place not in always]
    names = names_of(free)
    tell(f"what would you show of {words.brief(holding.name)}, besides what is always shown?")
    tell_all(f"  {number:>3}  {words.brief(name)}" for number, name in enumerate(names, start=1))
    while True:
        answer = click.prompt("Numbers, `all`, or nothing", default="", show_default=False, err=True)
        if answer.strip() == "all":
            return tuple(free)
        picked = set(answer.replace(",", " ").split())
        if picked <= {str(number) for number in range(1, len(names) + 1)}:
            wanted = {names[int(number) - 1] for number in picked}
            return tuple(place for place in free if path_text(place) in wanted)
        tell("numbers of the list, with spaces between them")


def _with_evidence(showings: Sequence[Showing], named: Sequence[str], *, ask: bool) -> Sequence[Showing]:
    """The showings with the evidence that was named, or that the holder says yes to, item by item."""
    from wallet.presentation import with_evidence  # noqa: PLC0415

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
