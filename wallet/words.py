"""What the commands say: holdings, verdicts and disclosures in lines for people, and their JSON twins."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from node.core.did.syntax import is_did_ethr

if TYPE_CHECKING:
    from node.core.oid4vci.metadata import CredentialConfiguration
    from node.core.oid4vp.request import AuthorizationRequest
    from wallet.arrivals import Taken
    from wallet.consent import Disclosed
    from wallet.holder_keys import HolderKey
    from wallet.holdings import Holding, LastCheck
    from wallet.receipt import Receipt
    from wallet.receive import Offered
    from wallet.refresh import Refreshed

_DAY_CHARS: Final = 10
_NAME_CHARS: Final = 100
_WITHOUT_BUNDLE: Final = "none: others will not be able to tell without it"
_NEEDS_NO_BUNDLE: Final = "none, and none is needed: its issuer keeps no record on a chain"


def facts(held: Holding) -> list[str]:
    """The facts of a holding, a line each."""
    name = held.issuer_name
    start, end = plain(held.valid_from or "ever"), plain(held.valid_until or "further notice")
    lines = [
        f"{held.short}  {brief(held.name)}",
        f"issuer     {plain(held.issuer_id)}" + (f" (calls itself {brief(name)!r})" if name else ""),
        f"subject    {plain(', '.join(held.subject_ids)) or 'not named by an identifier'}",
        f"valid      from {start} until {end}",
        f"secured    with {plain(held.securing)}: {_can_be_shown(held)}",
        f"{held.provenance.how:<10} from {plain(held.provenance.source)} on {held.provenance.received:%Y-%m-%d}",
    ]
    header = held.header
    if held.bundle is None:
        lines.append(f"bundle     {_WITHOUT_BUNDLE if _is_chained(held) else _NEEDS_NO_BUNDLE}")
    elif header is None:
        lines.append("bundle     without a proof of the chain's state")
    else:
        moment = datetime.fromtimestamp(header.timestamp, UTC)
        lines.append(f"bundle     proven at block {header.number}, {moment:%Y-%m-%d %H:%M}Z")
    return lines


def _is_chained(held: Holding) -> bool:
    """Whether its issuer keeps a record on a chain, of which bundles tell."""
    return is_did_ethr(held.issuer_id)


def _can_be_shown(held: Holding) -> str:
    """How much of it has to be shown."""
    choices = held.choices
    if len(choices.reveal(())) == len(choices.places):
        return "shown whole"
    if choices.linkable:
        return "shown in part"
    if choices.pseudonymous:
        return "shown in part, under a name of its own for each verifier, and no two verifiers can link it"
    return "shown in part, and no two showings can be linked"


def choice_lines(held: Holding) -> list[str]:
    """By name, what `present --disclose` can choose, and what is always shown; nothing where there is no choice."""
    from wallet.claims import names_of  # noqa: PLC0415

    choices = held.choices
    always = choices.reveal(())
    free = [place for place in choices.places if place not in always]
    if not free:
        return []
    return [
        f"you choose {', '.join(map(brief, names_of(free)))}",
        f"always     {', '.join(map(brief, names_of([one for one in choices.places if one in always])))}",
    ]


def check_lines(last: LastCheck | None, indent: str = "  ") -> list[str]:
    """The last look at it: the verdict, and each check that failed or stayed open."""
    if last is None:
        return []
    lines = [f"{indent}{last.acceptance}: {last.headline} {last.sentence}".rstrip()]
    lines += [f"{indent}  {outcome:<8} {name:<16} {basis}" for name, outcome, basis in last.doubts]
    return list(map(plain, lines))


def refreshed_lines(done: Refreshed, *, runs_out: bool) -> list[str]:
    """What became of a holding whose proofs were to be renewed."""
    held, header, hop = done.holding, done.holding.header, done.holding.hop
    state = done.note
    if done.report is not None and header is not None:
        led = "" if hop is None else f", which block {hop.number} names (a hop)"
        state = "; ".join(filter(None, (f"proven at block {header.number}{led}", done.note)))
    lines = [f"{held.short}  {plain(held.name)}: {plain(state)}"]
    if runs_out:
        lines.append(f"  ends {plain(str(held.valid_until))}: `receive --resume` asks for its successor")
    return lines if done.report is None else [*lines, *check_lines(held.last_check)]


def old_proof_line(held: Holding, hours: float) -> str:
    """Of a holding that is shown with an old proof, since nobody was named who renews it."""
    return f"{held.short}: its proof is older than {hours:g} hours and goes as it is; --rpc or --proofs renews it first"


def received_lines(held: Holding, *, kept: bool) -> list[str]:
    """What came of an offer, and what became of it."""
    state = "kept" if kept else "refused, not kept (--resume --keep-anyway keeps it)"
    line = f"{held.short}  {plain(held.name)}, secured with {plain(held.securing)}: {state}"
    return [line, *check_lines(held.last_check)]


def holding_line(held: Holding) -> str:
    """A holding in one line."""
    last = held.last_check
    verdict = last.acceptance if last else "not looked at"
    until = plain((held.valid_until or "")[:_DAY_CHARS])
    bundle = "with bundle" if held.bundle else "no bundle" if _is_chained(held) else ""
    details = filter(None, (verdict, plain(held.securing), bundle, f"until {until}" if until else ""))
    return f"{held.short}  {brief(held.name)}  ({', '.join(details)})"


def receipt_line(receipt: Receipt) -> str:
    """An unfinished receipt in one line."""
    return f"{receipt.number}: {plain(receipt.issuer)}, waits for {receipt.waits_for}"


def receipt_json(receipt: Receipt) -> dict[str, Any]:
    """The same for `--json`."""
    return {
        "number": receipt.number,
        "issuer": receipt.issuer,
        "waitsFor": receipt.waits_for,
        "begun": receipt.begun.isoformat(),
    }


def taken_json(taken: Taken) -> dict[str, Any]:
    """A file that was taken in, for `--json`."""
    from wallet.holdings import summary  # noqa: PLC0415

    return {
        "file": taken.source,
        "became": str(taken.became),
        "holding": summary(taken.holding) if taken.holding else None,
        "report": taken.report.to_json() if taken.report else None,
    }


def taken_words(taken: Taken) -> str:
    """The same for people."""
    from wallet.check import last_check  # noqa: PLC0415

    name = f"{taken.holding.short}  {brief(taken.holding.name)}: " if taken.holding else ""
    lines = [f"{plain(taken.source)}: {name}{taken.became}"]
    if taken.report is not None:
        lines += check_lines(last_check(taken.report, datetime.now(UTC)))
    return "\n".join(lines)


def counted(count: int, noun: str) -> str:
    """`1 credential`, `2 credentials`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def plain(text: str) -> str:
    """Somebody else's text without what would steer a terminal, or the order in which it is read."""
    return "".join(char if char.isprintable() else " " for char in text)


def brief(text: str) -> str:
    """The same, for one place in a line: a long name must not push what is true out of sight."""
    line = " ".join(plain(text[: 4 * _NAME_CHARS]).split())
    return line if len(line) <= _NAME_CHARS else f"{line[: _NAME_CHARS - 1]}…"


def request_lines(request: AuthorizationRequest, host: str) -> Iterator[str]:
    """Who asks."""
    name = request.client_metadata.client_name
    yield f"{host} asks" + (f" (it calls itself {brief(name)!r}; nobody vouches for that)" if name else "")
    yield f"  known as {plain(request.client_id)}"


def not_yours_lines(holdings: Sequence[Holding], keys: Sequence[HolderKey]) -> Iterator[str]:
    """Which of them a verifier will not accept from this wallet."""
    from node.core.errors import NotFound  # noqa: PLC0415
    from wallet.presentation import holder_of  # noqa: PLC0415

    for one in holdings:
        try:
            holder_of(one, keys)
        except NotFound as error:
            yield f"{one.short} {brief(one.name)}: {error.detail}: a verifier will not accept it from you"


def disclosed_lines(parts: Sequence[Disclosed]) -> Iterator[str]:
    """What would be shown, each claim by name."""
    for part in parts:
        yield f"you would show {part.digest[:10]}  {brief(part.name)}"
        if part.asked:
            yield f"  asked for:       {', '.join(map(brief, part.asked))}"
        yield from _claims_lines(part)
        if part.pseudonymous:
            yield "  this verifier knows you again by a name that no other verifier gets"
        if part.linked_by_holder:
            yield "  your DID signs around it, which links it to all else that you show with this DID"
        yield f"  evidence shown:  {', '.join(map(plain, part.evidence)) or 'none'}"
        if part.withheld:
            yield f"  evidence kept:   {', '.join(map(plain, part.withheld))}"
        yield f"  proof bundle:    {'goes along' if part.with_bundle else 'does not go along'}"


def _claims_lines(part: Disclosed) -> Iterator[str]:
    """The claims that go along: chosen, always there, or all because there is one signature over them."""
    rest = [name for name in part.claims if name not in part.asked]
    if not part.hidden and len(part.always) == len(part.claims):
        yield f"  shown with it:   {', '.join(map(brief, rest)) or 'nothing'}"
        return
    always = [name for name in rest if name in part.always]
    chosen = [name for name in rest if name not in part.always]
    if chosen:
        yield f"  {'shown as well:' if part.asked else 'shown:        '}   {', '.join(map(brief, chosen))}"
    yield f"  always shown:    {', '.join(map(brief, always)) or 'nothing'}"
    yield f"  kept hidden:     {', '.join(map(brief, part.hidden)) or 'nothing'}"
    if not part.linkable:
        yield "  nothing but these claims links it to what you show of it to others"


def _form_of(configuration: CredentialConfiguration) -> str:
    """The format, and with what it is signed where the issuer says it."""
    signed = ", ".join(map(brief, configuration.signing_algorithms))
    return brief(configuration.format) + (f" signed with {signed}" if signed else "")


def offer_lines(offered: Offered, did_of: Callable[[CredentialConfiguration], str]) -> Iterator[str]:
    """Who offers what, and to whom it would be made out."""
    name = offered.metadata.display_name
    yield f"{offered.host} offers you" + (f" (it calls itself {brief(name)!r})" if name else "")
    for configuration in offered.configurations():
        kinds = [one for one in configuration.types if one != "VerifiableCredential"]
        types = ", ".join(map(brief, kinds or [configuration.vct or ""]))
        title = brief(configuration.display_name or configuration.id)
        yield f"  {title}" + (f" ({types})" if types else "") + f", as {_form_of(configuration)}"
        if configuration.proof_types:
            yield f"  made out to {did_of(configuration)}"
        if configuration.binding is not None:
            yield "  bound to a secret that this wallet makes for it, and nobody else learns"
