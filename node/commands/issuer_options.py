"""What the issuer's commands share: the options that find an issuer, its passphrase, progress, and results."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar

import click

from node.core.errors import Misconfigured

if TYPE_CHECKING:
    from node.services.anchoring import AnchorWorker, Tick

P = ParamSpec("P")
R = TypeVar("R")

FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)
FOLDER: Final = click.Path(exists=True, file_okay=False, path_type=Path)
# A batch is closed in one database transaction: a million take a minute, in which nothing else is written, and 1.3 GB.
MAX_BATCH_SIZE: Final = 1_000_000
CREDENTIAL_HELP: Final = "CREDENTIAL is an id, a digest, a row's id, or COHORT/ROW."


def _joined(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> str | None:
    """Endpoints as `issuer.json` keeps them, with blanks between: one alone as it is."""
    return " ".join(values) or None


def issuer_place(command: Callable[P, R]) -> Callable[P, R]:
    """The options by which every command finds its issuer."""
    for option in (
        click.option(
            "--database",
            metavar="URL",
            envvar="BONAFIDES_ISSUER_DATABASE",
            show_envvar=True,
            help="Database.  [default: issuer.db in the folder]",
        ),
        click.option(
            "--rpc",
            multiple=True,
            callback=_joined,
            metavar="[OPERATOR=]URL",
            envvar="BONAFIDES_ISSUER_RPC",
            show_envvar=True,
            help="JSON-RPC endpoint of the chain; of several, a majority of operators must agree on what is final."
            "  [default: as at init]",
        ),
        click.option(
            "--passphrase-file",
            type=FILE,
            envvar="BONAFIDES_ISSUER_PASSPHRASE_FILE",
            show_envvar=True,
            help="File with the keys' passphrase; else asked for.",
        ),
        click.option(
            "--dir",
            "folder",
            type=click.Path(file_okay=False, path_type=Path),
            default=Path("issuer"),
            envvar="BONAFIDES_ISSUER_DIR",
            show_default=True,
            show_envvar=True,
            help="The issuer's folder.",
        ),
    ):
        command = option(command)
    return command


def _setting(name: str, told: str, **more: Any) -> Callable[[Any], Any]:
    """An option that the environment may set as well, under the name that is the option's."""
    variable = "BONAFIDES_ISSUER" + name.removeprefix("-").replace("-", "_").upper()
    return click.option(name, envvar=variable, show_envvar=True, help=told, **more)


def anchoring_terms(command: Callable[P, R]) -> Callable[P, R]:
    """The options about when batches close and what may be paid, for a command with `**terms`."""
    for option in (
        _setting(
            "--witness",
            "With a second chain: which of the two must have a batch before it is done.  [default: all]",
            type=click.Choice(["any", "all"]),
        ),
        _setting(
            "--witness-network",
            "A second chain, in the table of networks, to which each commitment goes as well, as a further"
            " record of the time: eip155:…. No verdict reads it.",
            metavar="CAIP2",
        ),
        _setting(
            "--witness-rpc",
            "JSON-RPC endpoint of the second chain.",
            multiple=True,
            callback=_joined,
            metavar="[OPERATOR=]URL",
        ),
        _setting(
            "--agree",
            "How many operators of endpoints must agree.  [default: as at init, else the smallest majority]",
            type=click.IntRange(1),
            metavar="N",
        ),
        _setting(
            "--low-balance",
            "Warn when the writer can pay for fewer anchors.  [default: as at init, else 50]",
            type=click.IntRange(0),
            metavar="ANCHORS",
        ),
        _setting(
            "--max-fee",
            "No transaction offers more for gas.  [default: as at init, else 200]",
            type=click.FloatRange(0, min_open=True),
            metavar="GWEI",
        ),
        _setting(
            "--batch-age",
            "Close a batch when its oldest item has waited as long.  [default: as at init, else 60]",
            type=click.IntRange(0),
            metavar="SECONDS",
        ),
        _setting(
            "--batch-size",
            "Close a batch when it has as many items; a million take a minute, in which nobody else "
            "writes.  [default: as at init, else 1000]",
            type=click.IntRange(1, MAX_BATCH_SIZE),
            metavar="ITEMS",
        ),
    ):
        command = option(command)
    return command


as_json_option: Final = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
no_wait_option: Final = click.option(
    "--no-wait", is_flag=True, help="Leave the rest to `issuer serve` or the next command."
)


def run_async(command: Callable[P, Coroutine[Any, Any, R]]) -> Callable[P, R]:
    """A coroutine function as the plain function that click calls, each in an event loop of its own."""

    @functools.wraps(command)
    def run(*arguments: P.args, **options: P.kwargs) -> R:
        return asyncio.run(command(*arguments, **options))

    return run


def opened(
    folder: Path,
    passphrase_file: Path | None,
    rpc: str | None,
    database: str | None,
    *,
    keys: bool = True,
    passphrase: str | None = None,
    terms: Mapping[str, Any] | None = None,
) -> Any:
    """The issuer of a folder, for `async with`; with `keys`, its passphrase is asked for first."""
    from node.commands.issuer_folder import Folder, open_issuer  # noqa: PLC0415

    place = Folder.load(folder).with_options(rpc=rpc, database=database, terms=terms)
    if keys and passphrase is None:
        passphrase = ask_passphrase(passphrase_file)
    return open_issuer(place, passphrase)


def ask_passphrase(file: Path | None) -> str:
    """The passphrase of the keys: from the file, else asked for without showing it."""
    from node.keystore import read_passphrase  # noqa: PLC0415

    if file is not None:
        return read_passphrase(file)
    entered: str = click.prompt("Passphrase of the issuer's keys", hide_input=True, err=True)
    return entered


def ask_new_passphrase(file: Path | None, folder: Path) -> str:
    """As `ask_passphrase`; asked for twice where `folder` has no keys yet."""
    if file is not None or (folder / "keys").is_dir():
        return ask_passphrase(file)
    entered: str = click.prompt(
        "New passphrase for the issuer's keys", hide_input=True, confirmation_prompt=True, err=True
    )
    return entered


class Bars:
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


def stamp(moment: Any) -> str | None:
    """A time for JSON."""
    from node.core.times import format_datetime_stamp  # noqa: PLC0415

    return None if moment is None else format_datetime_stamp(moment)


def print_json(body: Any) -> None:
    """One line of JSON on standard output: the whole result of a command."""
    import orjson  # noqa: PLC0415

    click.echo(orjson.dumps(body).decode())


_KINDS: Final = ("Ed25519", "P-256", "P-384", "BLS12-381")
kind_option: Final = click.option(
    "--kind",
    type=click.Choice(_KINDS),
    default=_KINDS[0],
    show_default=True,
    help="Kind of key: ECDSA suites need P-256 or P-384, ecdsa-sd-2023 P-256, bbs-2023 BLS12-381.",
)


def key_kind(name: str) -> Any:
    """The KeyKind that `--kind` names."""
    from node.core.keys import KeyKind  # noqa: PLC0415

    return KeyKind.BLS12381_G2 if name == _KINDS[-1] else KeyKind(name)


async def finish(
    worker: AnchorWorker,
    what: str,
    *,
    close: bool = True,
    done: Callable[[Tick], bool] | None = None,
) -> Tick:
    """Run the worker to its end with a line of progress; what is set aside ends it too, as an error.

    Each trouble is told once, since without a terminal the line does not show.
    """
    from rich.console import Console  # noqa: PLC0415

    before = await worker.parked()

    def over(tick: Tick) -> bool:
        if tick.parked > before or tick.is_stuck:
            why = "; ".join(trouble.detail for trouble in tick.troubles) or "see `issuer status`"
            raise Misconfigured(f"{what} stopped: {why}. Mend it, then `issuer anchor --retry`")
        return (done or (lambda seen: seen.is_done))(tick)

    told: set[str] = set()
    with Console(stderr=True).status(what) as line:

        def show(tick: Tick) -> None:
            for detail in dict.fromkeys(trouble.detail for trouble in tick.troubles):
                if detail not in told:
                    line.console.print(f"{what}: {detail}", markup=False, highlight=False, soft_wrap=True)
            told.update(trouble.detail for trouble in tick.troubles)
            line.update(
                f"{what}: block {tick.block}, {tick.waiting} waiting, {tick.batches} batches,"
                f" {tick.transactions} transactions under way"
            )

        return await worker.run_until_done(close=close, on_tick=show, done=over)
