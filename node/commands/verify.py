"""`bonafides verify FILE…`: judge what somebody gave you, one report a file."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from node.core.errors import Malformed

if TYPE_CHECKING:
    from node.core.verify.report import Report
    from node.core.verify.verifier import Verifier
    from node.outbound.gather import Gatherer

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_EXIT: Final = {"accepted": 0, "refused": 1, "undetermined": 3}
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
        self.fail(f"{text} is no span of time: write 90s, 30m, 24h or 7d", param, ctx)


class Moment(click.ParamType[datetime]):
    """A time with its zone, such as 2027-05-03T12:00:00Z."""

    name = "time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """An aware datetime."""
        from node.core.times import parse_datetime_stamp  # noqa: PLC0415

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
    help="What may be opened: nothing, the chain endpoint, also mirrors, also hosts that the document "
    "names.  [default: chain with --rpc, else offline]",
)
@click.option(
    "--checkpoint",
    "checkpoints",
    multiple=True,
    type=_FILE,
    help="File of block hashes that you trust; needs no network.",
)
@click.option("--rpc", "endpoints", multiple=True, metavar="URL", help="JSON-RPC endpoint of the chain.")
@click.option("--networks", type=_FILE, help="Your own table of networks, beside the one that is built in.")
@click.option("--trust", type=_FILE, help="Your list of recognised issuers.")
@click.option(
    "--policy",
    default="strict",
    show_default=True,
    help="strict, any-issuer-unsafe or signature-only-unsafe.",
)
@click.option(
    "--max-header-age",
    type=Span(),
    default="24h",
    show_default=True,
    help="How old the proof of key and status may be.",
)
@click.option("--as-of", type=Moment(), help="Judge as of this time instead of now.")
@click.option("--challenge", help="The challenge that you gave the presenter.")
@click.option("--domain", multiple=True, help="Your own name in the challenge.")
@click.option("--development", is_flag=True, help="Admit loopback hosts and plain http.")
@click.option("--json", "as_json", is_flag=True, help="One report a line, as JSON.")
@click.pass_context
def verify(
    ctx: click.Context,
    files: Sequence[Path],
    mode: str | None,
    checkpoints: Sequence[Path],
    endpoints: Sequence[str],
    networks: Path | None,
    trust: Path | None,
    policy: str,
    max_header_age: int,
    as_of: datetime | None,
    challenge: str | None,
    domain: Sequence[str],
    development: bool,  # noqa: FBT001
    as_json: bool,  # noqa: FBT001
) -> None:
    """Judge credentials, bundles, presentations and badge images.

    Prints what was found and why. Exit status: 0 all accepted, 1 something refused, 3 nothing refused but something
    could not be told, 2 wrong use.

    \b
    Without any option nothing is opened: what an issuer with a chain has signed then needs its bundle and
    a checkpoint file, or an endpoint:
        bonafides verify bundle.json --checkpoint checkpoint.json --trust trust.json
        bonafides verify bundle.json --rpc https://… --trust trust.json
    """
    from node.commands.loading import (  # noqa: PLC0415 - `--help` needs none of it
        load_checkpoints,
        load_networks,
        load_standards,
        load_trust,
    )
    from node.core.verify.holder import Asked  # noqa: PLC0415
    from node.core.verify.materials import Mode  # noqa: PLC0415
    from node.core.verify.policy import named_policy  # noqa: PLC0415
    from node.core.verify.verifier import Verifier  # noqa: PLC0415

    chosen = Mode(mode) if mode else Mode.CHAIN if endpoints else Mode.OFFLINE
    operator_networks = load_networks(networks)
    verifier = Verifier.of(
        load_standards(),
        operator_networks=operator_networks,
        trust=load_trust(trust),
        checkpoints=load_checkpoints(checkpoints),
        policy=named_policy(policy).limited_to(max_header_age),
        mode=chosen,
    )
    asked = Asked(challenge, tuple(domain) or None)
    reports = _judge_all(files, verifier, list(endpoints), asked, as_of, development=development)
    acceptances = set()
    for path, report in zip(files, reports, strict=True):
        acceptances.add(report.acceptance)
        if as_json:
            _print_json(path, report)
        else:
            _print_words(path, report)
    ctx.exit(max((_EXIT[found] for found in acceptances), key=_severity))


def _severity(status: int) -> int:
    return (0, 3, 1).index(status)


def _judge_all(
    files: Sequence[Path],
    verifier: Verifier,
    endpoints: list[str],
    asked: object,
    as_of: datetime | None,
    *,
    development: bool,
) -> list[Report]:
    from node.commands.loading import read_file  # noqa: PLC0415
    from node.core.verify import engine  # noqa: PLC0415
    from node.core.verify.intake import Intake, read_intake  # noqa: PLC0415
    from node.core.verify.materials import Materials, Mode  # noqa: PLC0415

    now = datetime.now(UTC)
    taken: list[Intake | Malformed] = []
    for path in files:
        try:
            taken.append(read_intake(read_file(path)))
        except Malformed as error:
            taken.append(error)

    def offline(intake: Intake | Malformed) -> Report:
        if isinstance(intake, Malformed):
            return engine.unreadable(intake, verifier, now=now)
        return engine.verify(intake, Materials.none(), verifier, now=now, as_of=as_of, asked=asked)  # type: ignore[arg-type]

    if verifier.mode is Mode.OFFLINE:
        return [offline(intake) for intake in taken]
    return asyncio.run(_judge_online(taken, verifier, endpoints, asked, as_of, now, offline, development))


async def _judge_online(
    taken: Sequence[object],
    verifier: Verifier,
    endpoints: list[str],
    asked: object,
    as_of: datetime | None,
    now: datetime,
    offline: object,
    development: bool,  # noqa: FBT001
) -> list[Report]:
    raise NotImplementedError


def _print_json(path: Path, report: Report) -> None:
    import orjson  # noqa: PLC0415

    click.echo(orjson.dumps({"file": str(path), **report.to_json()}).decode())


def _print_words(path: Path, report: Report) -> None:
    raise NotImplementedError


_ = (sys, replace)
