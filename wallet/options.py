"""What the wallet's commands share: their common options, questions and ways of ending."""

from __future__ import annotations

import functools
import json
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from node.core.errors import Misconfigured
from wallet import words
from wallet.config import DEFAULT_FOLDER, load_standards, load_verifier, read_passphrase

if TYPE_CHECKING:
    from node.core.evm.agreement import Endpoints
    from node.outbound.proofs import Height
    from wallet.check import Checker
    from wallet.refresh import Refresher
    from wallet.store import WalletStore

FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)
PATH: Final = click.Path(path_type=Path)
EXIT_REFUSED: Final = 1
EXIT_UNFINISHED: Final = 3
GOOD_PASSPHRASE_CHARS: Final = 12

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
        click.echo(_readable_json(body) if self.as_json else text)


def _readable_json(body: Any) -> str:
    """JSON with letters as they are, and escaped what would steer a terminal or the order of reading."""
    text = json.dumps(body, ensure_ascii=False)
    return "".join(char if char.isprintable() else json.dumps(char)[1:-1] for char in text)


def warn_if_short(passphrase: str) -> None:
    """Say so where a passphrase is shorter than guessing takes: the file may end up anywhere."""
    if len(passphrase) < GOOD_PASSPHRASE_CHARS:
        tell(f"a passphrase of {GOOD_PASSPHRASE_CHARS} characters and more, four words say, is hard to guess")


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
            type=PATH,
            default=DEFAULT_FOLDER,
            show_default=True,
            envvar="BONAFIDES_WALLET_DIR",
            show_envvar=True,
            help="Folder of the wallet.",
        ),
        click.option(
            "--passphrase-file",
            type=FILE,
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


def asking(command: Command) -> Command:
    """Add the options that name endpoints of the chain, handed over as one `Endpoints`."""

    @functools.wraps(command)
    def run(*arguments: Any, rpc: Sequence[str], agree: int | None, **more: Any) -> None:
        from node.core.evm.agreement import Endpoints  # noqa: PLC0415

        command(*arguments, endpoints=Endpoints.of(rpc, agree), **more)

    agree = click.option(
        "--agree",
        type=click.IntRange(1),
        metavar="N",
        show_envvar=True,
        help="How many operators must agree.  [default: the smallest majority]",
    )
    rpc = click.option(
        "--rpc",
        multiple=True,
        metavar="[OPERATOR=]URL",
        show_envvar=True,
        help="Endpoint of the chain; of several, a majority of operators must agree.",
    )
    return rpc(agree(run))


def judging(command: Command) -> Command:
    """Add the options that say how what arrives is judged."""
    options = (
        asking,
        click.option("--networks", type=FILE, show_envvar=True, help="Your own table of networks."),
        click.option("--trust", type=FILE, show_envvar=True, help="Your list of recognised issuers."),
        click.option(
            "--checkpoint", "checkpoints", multiple=True, type=FILE, help="File of block hashes you trust."
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


@dataclass(frozen=True, slots=True)
class Renewal:
    """Where fresh proofs come from, and by which tables what is proven is judged."""

    endpoints: Endpoints
    proofs: str | None
    networks: Path | None
    trust: Path | None
    development: bool

    @property
    def is_possible(self) -> bool:
        """Whether anybody was named who gives proofs."""
        return bool(self.endpoints.every) or self.proofs is not None

    @asynccontextmanager
    async def opened(self, at: Height | None = None) -> AsyncIterator[Refresher]:
        """Who renews, by a guard of its own: a node that makes proofs may be named by a request as well."""
        from node.outbound.proofs import At  # noqa: PLC0415
        from wallet.exchange import open_egress  # noqa: PLC0415
        from wallet.refresh import ISSUER, Refresher  # noqa: PLC0415

        verifier = load_verifier(
            load_standards(), networks=self.networks, trust=self.trust, on_chain=self.is_possible
        )
        nodes = () if self.proofs in (None, ISSUER) else (self.proofs,)
        async with open_egress(endpoints=self.endpoints, nodes=nodes, development=self.development) as egress:
            yield Refresher(verifier, egress, now=now(), at=at or At.SERIES, proofs=self.proofs)


def renewing(command: Command) -> Command:
    """Add the options that say where fresh proofs come from, handed over as one `Renewal`; under `common`."""

    @functools.wraps(command)
    def run(
        options: Common,
        *,
        endpoints: Endpoints,
        proofs: str | None,
        networks: Path | None,
        trust: Path | None,
        **more: Any,
    ) -> None:
        if endpoints.every and proofs is not None:
            raise click.UsageError("either --rpc or --proofs")
        command(options, renewal=Renewal(endpoints, proofs, networks, trust, options.development), **more)

    for option in (
        click.option("--trust", type=FILE, show_envvar=True, help="Your list of recognised issuers."),
        click.option("--networks", type=FILE, show_envvar=True, help="Your own table of networks."),
        click.option(
            "--proofs",
            metavar="URL|issuer",
            show_envvar=True,
            help="Node that makes proofs, which learns what is asked for: by its URL, or the issuer's own.",
        ),
    ):
        run = option(run)
    return asking(run)


def make_checker(
    options: Common,
    *,
    endpoints: Endpoints,
    networks: Path | None,
    trust: Path | None,
    checkpoints: Sequence[Path],
) -> Checker:
    """The judge that the options of `judging` describe."""
    from wallet.check import Checker  # noqa: PLC0415

    verifier = load_verifier(
        load_standards(),
        networks=networks,
        trust=trust,
        checkpoints=checkpoints,
        on_chain=bool(endpoints.every),
    )
    return Checker(verifier, clock=now, endpoints=endpoints, development=options.development)


def parse_height(_context: click.Context, _option: click.Parameter, text: str | None) -> Height | None:
    """The final block that an option names."""
    if text is None:
        return None
    from node.outbound.proofs import At  # noqa: PLC0415

    if text in list(At):
        return At(text)
    if not text.isascii() or not text.isdigit():
        raise click.BadParameter(f"expected {', '.join(At)} or the number of a block")
    return int(text)


def tell(text: str) -> None:
    """A line on stderr."""
    click.echo(words.plain(text), err=True)


def tell_all(lines: Iterable[str]) -> None:
    """Lines on stderr."""
    for line in lines:
        tell(line)


def leave_with(status: int) -> None:
    """End the command with an exit status."""
    click.get_current_context().exit(status)


def now() -> datetime:
    """The moment, aware."""
    return datetime.now(UTC)
