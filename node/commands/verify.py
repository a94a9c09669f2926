"""`bonafides verify FILE…`: judge what somebody gave you, one report a file."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from node.commands.endpoints import asking
from node.commands.known_domains import known_domains as domains_known
from node.core.errors import Malformed
from node.core.times import parse_datetime_stamp

if TYPE_CHECKING:
    from node.core.evm.agreement import Endpoints
    from node.core.evm.light_client.settings import LightClientSettings
    from node.core.keys import PublicKey
    from node.core.verify.domains import Told
    from node.core.verify.holder import Asked
    from node.core.verify.intake import Intake
    from node.core.verify.policy import Compromise
    from node.core.verify.report import IssuerNamed, Report
    from node.core.verify.verifier import Verifier
    from node.outbound.checkpoints import Mirrored

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_EXIT: Final = {"accepted": 0, "refused": 1, "undetermined": 3}
_GRAVEST_LAST: Final = (0, 3, 1)
_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class Span(click.ParamType[int]):
    """A span of time such as 90s, 30m, 24h or 7d, in seconds."""

    name = "span"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Seconds."""
        text = str(value)
        if isinstance(value, int):
            return value
        if text[:-1].isdecimal() and text[-1:] in _UNITS:
            return int(text[:-1]) * _UNITS[text[-1]]
        raise click.BadParameter(f"{text} is no span of time: write 90s, 30m, 24h or 7d", ctx, param)


class Moment(click.ParamType[datetime]):
    """A time with its zone, such as 2027-05-03T12:00:00Z."""

    name = "time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """An aware datetime."""
        if isinstance(value, datetime):
            return value
        try:
            return parse_datetime_stamp(str(value))
        except Malformed as error:
            self.fail(error.detail, param, ctx)


@click.command()
@click.argument("files", nargs=-1, required=True, type=_FILE, metavar="FILE…")
@click.option(
    "--mode",
    type=click.Choice(["offline", "chain", "mirror", "full"]),
    show_envvar=True,
    help="What may be opened: nothing, the chain endpoints, also mirrors, also hosts that the document "
    "names.  [default: mirror with a URL as --checkpoint or --mirror, chain with --rpc, else offline]",
)
@click.option(
    "--checkpoint",
    "checkpoints",
    multiple=True,
    metavar="FILE|URL",
    show_envvar=True,
    help="File of block hashes that you trust; needs no network. One at an https URL must be signed.",
)
@click.option(
    "--checkpoint-key",
    "checkpoint_keys",
    multiple=True,
    metavar="KEY",
    show_envvar=True,
    help="Whose signature a checkpoint file from a URL must carry: a Multikey or did:key.",
)
@click.option(
    "--mirror",
    "mirrors",
    multiple=True,
    metavar="URL",
    show_envvar=True,
    help="Where copies of signed status lists stand, each under the SHA-256 of its own URL, in hex.",
)
@partial(asking, required=False)
@click.option(
    "--beacon",
    "beacons",
    multiple=True,
    metavar="[@CHAIN=]URL",
    show_envvar=True,
    help="Server of the Beacon API, for the light client; proven, so any will do.",
)
@click.option(
    "--light-client-checkpoint",
    "light_client_checkpoints",
    multiple=True,
    metavar="[@CHAIN=]ROOT",
    show_envvar=True,
    help="Root of a final beacon block that you trust, at most two weeks old.",
)
@click.option(
    "--networks", type=_FILE, show_envvar=True, help="Your own table of networks, beside the built-in one."
)
@click.option("--trust", type=_FILE, show_envvar=True, help="Your list of recognised issuers.")
@click.option(
    "--policy",
    default="strict",
    show_default=True,
    show_envvar=True,
    help="strict, any-issuer-unsafe or signature-only-unsafe.",
)
@click.option(
    "--max-header-age",
    type=Span(),
    default="24h",
    show_default=True,
    show_envvar=True,
    help="How old the proof of key and status may be.",
)
@click.option(
    "--compromise",
    type=click.Choice(["fail", "dispute"]),
    default="fail",
    show_default=True,
    show_envvar=True,
    help="What becomes of a credential that was recorded since its key was stolen, by the issuer's word, but before "
    "the issuer said so: fail refuses it; dispute leaves it undetermined, for a person to look at, since an issuer "
    "could say so to be rid of it.",
)
@click.option(
    "--known-domains",
    metavar="DIR|URL",
    show_envvar=True,
    help="Folder or database of your verifier with --follow-domains: what it found of the issuer's domains is told.",
)
@click.option("--as-of", type=Moment(), help="Judge as of this time instead of now.")
@click.option("--challenge", help="The challenge that you gave the presenter.")
@click.option("--domain", "domains", multiple=True, help="Your own name, as you gave it to the presenter.")
@click.option("--development", is_flag=True, help="Admit loopback hosts and plain http.")
@click.option("--json", "as_json", is_flag=True, help="One report a line, as JSON.")
@click.pass_context
def verify(
    ctx: click.Context,
    files: Sequence[Path],
    mode: str | None,
    checkpoints: Sequence[str],
    checkpoint_keys: Sequence[str],
    mirrors: Sequence[str],
    endpoints: Endpoints,
    beacons: Sequence[str],
    light_client_checkpoints: Sequence[str],
    networks: Path | None,
    trust: Path | None,
    policy: str,
    max_header_age: int,
    compromise: Compromise,
    known_domains: str | None,
    as_of: datetime | None,
    challenge: str | None,
    domains: Sequence[str],
    development: bool,
    as_json: bool,
) -> None:
    """Judge credentials, bundles, presentations and badge images.

    A file is told by its bytes: JSON, a token (JWT, SD-JWT, COSE), PNG or SVG. Prints what was found and why, and
    where something is refused the clause that it breaks. Exit status: 0 all accepted, 1 something refused, 3 nothing
    refused but something could not be told, 2 wrong use.

    Without an option nothing is opened. What an issuer with a chain has signed then needs its bundle and a
    checkpoint file; or name an endpoint of the chain, or several of different operators:

    \b
        bonafides verify bundle.json --trust trust.json --checkpoint checkpoint.json
        bonafides verify bundle.json --trust trust.json --checkpoint URL --checkpoint-key KEY
        bonafides verify bundle.json --trust trust.json --rpc URL
        bonafides verify bundle.json --trust trust.json --rpc URL --rpc URL --rpc URL
        bonafides verify bundle.json --trust trust.json --rpc URL --beacon URL --light-client-checkpoint ROOT

    An operator, who has one vote however many endpoints, is the last two labels of the host, or named: OPERATOR=URL.
    Where endpoints are of several chains, OPERATOR@CHAIN=URL says of which each is (its number).

    Of other issuers, keys and status on web sites (did:web, did:webvh, lists at URLs) are fetched in mode full alone;
    of lists that their issuers signed, and that have an end, copies at a --mirror count as well.
    """
    # Imported here: `--help` needs none of it.
    from node.commands import loading  # noqa: PLC0415
    from node.core.evm.light_client.settings import light_client_settings  # noqa: PLC0415
    from node.core.verify.holder import Asked  # noqa: PLC0415
    from node.core.verify.materials import Mode  # noqa: PLC0415
    from node.core.verify.policy import named_policy  # noqa: PLC0415

    urls = tuple(one for one in checkpoints if "://" in one)
    usual = Mode.MIRROR if urls or mirrors else Mode.CHAIN if endpoints.every else Mode.OFFLINE
    verifier = loading.load_verifier(
        networks,
        trust,
        checkpoints=(Path(one) for one in checkpoints if one not in urls),
        policy=named_policy(policy).limited_to(max_header_age).judging_compromise(compromise),
        mode=Mode(mode) if mode else usual,
    )
    keys = loading.checkpoint_mirrors(urls, checkpoint_keys, verifier.mode, development=development)
    loading.check_list_mirrors(mirrors, verifier.mode, development=development)
    judge = _Judge(
        verifier,
        endpoints,
        (urls, keys),
        mirrors,
        light_client_settings(beacons, light_client_checkpoints, with_endpoints=bool(endpoints.every)),
        Asked(challenge, tuple(domains) or None),
        as_of,
        development,
    )
    reports = judge.all(files)
    told = domains_known(known_domains, reports, judge.now)
    tell = _as_json if as_json else _in_words
    for path, report in zip(files, reports, strict=True):
        click.echo(tell(path, report, told))
    ctx.exit(max((_EXIT[report.acceptance] for report in reports), key=_GRAVEST_LAST.index))


class _Judge:
    """One run of the command: the same verifier for every file."""

    def __init__(
        self,
        verifier: Verifier,
        endpoints: Endpoints,
        mirrors: tuple[Sequence[str], Sequence[PublicKey]],
        list_mirrors: Sequence[str],
        light_clients: Sequence[LightClientSettings],
        asked: Asked,
        as_of: datetime | None,
        development: bool,
    ) -> None:
        self.verifier = verifier
        self.endpoints = endpoints
        self.mirrors = mirrors
        self.list_mirrors = tuple(list_mirrors)
        self.light_clients = light_clients
        self.asked = asked
        self.as_of = as_of
        self.development = development
        self.now = datetime.now(UTC)

    def all(self, files: Sequence[Path]) -> list[Report]:
        """A report for each file, in their order."""
        from node.core.verify.materials import Mode  # noqa: PLC0415

        taken = [self._take(path) for path in files]
        if self.verifier.mode is Mode.OFFLINE:
            return [self._offline(one) for one in taken]
        return asyncio.run(self._online(taken))

    def _take(self, path: Path) -> Intake | Malformed:
        from node.commands.loading import read_file  # noqa: PLC0415
        from node.core.verify.intake import read_intake  # noqa: PLC0415

        try:
            return read_intake(read_file(path))
        except Malformed as error:
            return error

    def _offline(self, taken: Intake | Malformed) -> Report:
        from node.core.verify import engine  # noqa: PLC0415
        from node.core.verify.materials import Materials  # noqa: PLC0415

        if isinstance(taken, Malformed):
            return engine.unreadable(taken, self.verifier, now=self.now)
        judge = partial(engine.verify, taken, now=self.now, as_of=self.as_of, asked=self.asked)
        report = judge(Materials.none(), self.verifier)
        if not report.of_unknown_suite:
            return report
        from node.outbound.didkit import second_opinions  # noqa: PLC0415

        opinions = second_opinions(taken, self.verifier, now=self.now, as_of=self.as_of)
        return judge(asyncio.run(opinions), self.verifier)

    async def _online(self, taken: Sequence[Intake | Malformed]) -> list[Report]:
        from node.outbound.gather import examine  # noqa: PLC0415 - opens sockets, so imports aiohttp
        from node.outbound.http import Egress, EgressPolicy  # noqa: PLC0415
        from node.outbound.light_client import light_clients  # noqa: PLC0415

        mirrored = await self._ask_mirrors()
        beacons = tuple(url for one in self.light_clients for url in one.servers)
        policy = EgressPolicy(
            self.verifier.mode,
            self.endpoints,
            beacons=beacons,
            mirrors=tuple(self.mirrors[0]),
            list_mirrors=self.list_mirrors,
            allow_loopback=self.development,
        )
        sources = [one.source for one in light_clients(self.light_clients, self.verifier.networks.every)]
        reports = []
        async with Egress(policy) as egress:
            for one in taken:
                if isinstance(one, Malformed):
                    reports.append(self._offline(one))
                    continue
                async with egress.for_report() as own:
                    reports.append(
                        await examine(
                            one,
                            self.verifier,
                            own,
                            now=self.now,
                            as_of=self.as_of,
                            asked=self.asked,
                            sources=sources,
                        )
                    )
        return [mirrored.told_in(report) for report in reports]

    async def _ask_mirrors(self) -> Mirrored:
        """Once for all files; what is newer than the files that were named is judged by."""
        from node.outbound.checkpoints import Mirrored, with_mirrors  # noqa: PLC0415

        urls, keys = self.mirrors
        mirrored = await with_mirrors(self.verifier, urls, keys) if urls else Mirrored(self.verifier)
        self.verifier = mirrored.verifier
        return mirrored


def _as_json(path: Path, report: Report, told: Told) -> str:
    import orjson  # noqa: PLC0415

    domains = {"domains": told} if told else {}
    return orjson.dumps({"file": str(path), **report.to_json(), **domains}).decode()


_MARKS: Final = {"passed": "ok", "failed": "NO", "unknown": "??", "not_applicable": "--"}


def _named(issuer: IssuerNamed) -> str:
    """Who it is; a name that nobody confirms is told as its own."""
    if issuer.name is not None:
        name = issuer.name
    elif issuer.calls_itself:
        name = f"an issuer that calls itself {issuer.calls_itself!r}"
    else:
        name = "an issuer that gives no name"
    return f"{name} ({issuer.id})"


def _in_words(path: Path, report: Report, told: Told) -> str:
    """The verdict, who issued it and what is known of its domains, then every check with its basis."""
    from node.core.verify.domains import line_of  # noqa: PLC0415
    from node.core.verify.wording import verdict_of, verdict_of_endorsement  # noqa: PLC0415

    verdict = verdict_of(report)
    lines = [f"{path}: {report.acceptance}", f"  {verdict.headline} {verdict.sentence}".rstrip()]
    if report.issuer is not None:
        lines.append(f"  issued by {_named(report.issuer)}")
        known = told.get(report.issuer.id, ()) if report.established else ()
        lines += [f"    {line_of(one)}" for one in known]
    if report.holder_secret is not None and report.holder_secret.pseudonym is not None:
        lines.append(f"  known to {report.holder_secret.domain} as {report.holder_secret.pseudonym}")
    lines.append(
        f"  policy {report.policy}, mode {report.mode}, asked: {', '.join(report.contacted) or 'nobody'}"
    )
    lines += [f"  {_MARKS[check.outcome]}  {check.name:<16} {check.basis}" for check in report.checks]
    for one in report.endorsements:
        _, worth = verdict_of_endorsement(one, report)
        name = _named(one.issuer) if one.issuer is not None else "an issuer that is not named"
        lines.append(f"  endorsed by {name}: {worth.headline} {worth.sentence}".rstrip())
    lines += [f"  note: {note}" for note in report.notes]
    return "\n".join(lines)
