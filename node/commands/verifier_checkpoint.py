"""`bonafides verifier checkpoint`: make the file of block hashes that verifiers trust, and keep one up to date."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import click

from node.commands.endpoints import asking
from node.core.errors import Malformed, Misconfigured

if TYPE_CHECKING:
    from node.core.evm.agreement import Endpoints
    from node.core.evm.checkpoint import Checkpoint
    from node.core.evm.network import Network
    from node.core.keys import PublicKey, Signer
    from node.core.verify.materials import HeaderAnswer
    from node.services.checkpoints import Mirror

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_KEPT = click.Path(dir_okay=False, path_type=Path)
as_json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")


@click.group()
def checkpoint() -> None:
    """Files of block hashes, by which bundles are judged offline."""


@checkpoint.command()
@click.argument("file", type=_KEPT)
@asking
@click.option("--chain", metavar="CAIP-2", help="The chain, as eip155:1.  [default: that of FILE]")
@click.option("--networks", type=_FILE, show_envvar=True, help="Your own table of networks.")
@click.option(
    "--since",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    metavar="BLOCK",
    help="Where a new file begins; it takes the newest 5,000 of the series at most.",
)
@click.option(
    "--key", type=_KEPT, show_envvar=True, help="Key file to sign with (Ed25519), made when missing."
)
@click.option(
    "--passphrase-file", type=_FILE, show_envvar=True, help="File with its passphrase; else asked for."
)
@as_json_option
def make(
    file: Path,
    endpoints: Endpoints,
    chain: str | None,
    networks: Path | None,
    since: int,
    key: Path | None,
    passphrase_file: Path | None,
    *,
    as_json: bool,
) -> None:
    """Add to FILE what endpoints agree on: hashes of final blocks whose numbers are multiples of the network's step.

    Whoever takes the file from you takes your word for it, so name several endpoints of different operators. Give the
    key that is printed to those who fetch the file: they name it with --checkpoint-key.
    """
    # Imported here: `--help` needs none of it.
    from node.commands import loading  # noqa: PLC0415
    from node.core.evm.network import parse_chain  # noqa: PLC0415
    from node.services.checkpoints import keep, load_kept, signed  # noqa: PLC0415

    kept = load_kept(file)
    if kept is None and chain is None:
        raise Misconfigured("a new file needs its chain: --chain eip155:1")
    try:
        chain_id = parse_chain(chain) if chain is not None else kept.chain_id if kept else 0
    except Malformed as error:
        raise Misconfigured(f"--chain: {error.detail}") from error
    network = loading.network_of(loading.load_table(networks), chain_id)
    signer = None if key is None else _signer(key, passphrase_file)
    made, answer = asyncio.run(_extended(endpoints, network, kept, since))
    if signer is not None:
        made = signed(made, signer)
    keep(file, made)
    for other in answer.others:
        click.echo(f"note: {other}", err=True)
    _tell(file, made, answer.source, signer.public_key if signer else None, as_json=as_json)


async def _extended(
    endpoints: Endpoints, network: Network, kept: Checkpoint | None, since: int
) -> tuple[Checkpoint, HeaderAnswer]:
    from node.core.verify.materials import Mode  # noqa: PLC0415
    from node.outbound.checkpoints import extend_checkpoint  # noqa: PLC0415
    from node.outbound.headers import ChainEndpoints  # noqa: PLC0415
    from node.outbound.http import Egress, EgressLimits, EgressPolicy  # noqa: PLC0415

    unlimited = EgressLimits(requests=None, total_bytes=None, total_seconds=None)
    async with Egress(EgressPolicy(Mode.CHAIN, endpoints, limits=unlimited)) as egress:
        voices = ChainEndpoints(egress, {network.chain_id: network}).of(network.chain_id)
        return await extend_checkpoint(voices, network, kept, since)


def _signer(key: Path, passphrase_file: Path | None) -> Signer:
    from node import keystore  # noqa: PLC0415
    from node.core.keys import KeyKind  # noqa: PLC0415

    is_new = not key.exists()
    if passphrase_file is not None:
        passphrase = keystore.read_passphrase(passphrase_file)
    else:
        passphrase = click.prompt(
            f"Passphrase of {key}", hide_input=True, confirmation_prompt=is_new, err=True
        )
    if is_new:
        keystore.create_key(KeyKind.ED25519, key, passphrase)
    return keystore.open_signer(f"file:{key}", passphrase)


@checkpoint.command()
@click.argument("file", type=_KEPT)
@click.argument("url")
@click.option(
    "--checkpoint-key",
    "keys",
    multiple=True,
    required=True,
    metavar="KEY",
    show_envvar=True,
    help="Whose signature it must carry: a Multikey or did:key.",
)
@click.option("--development", is_flag=True, help="Admit plain http.")
@as_json_option
def fetch(file: Path, url: str, keys: tuple[str, ...], *, development: bool, as_json: bool) -> None:
    """Keep FILE as new as the one at URL, which must be signed; one that is older than FILE is refused."""
    from node.commands.loading import checkpoint_mirrors  # noqa: PLC0415
    from node.core.verify.materials import Mode  # noqa: PLC0415
    from node.services.checkpoints import Mirror  # noqa: PLC0415

    mirror = Mirror(url, checkpoint_mirrors([url], keys, Mode.MIRROR, development=development), file)
    fetched, asked = asyncio.run(_fetched(mirror))
    _tell(file, fetched, asked, None, as_json=as_json)


async def _fetched(mirror: Mirror) -> tuple[Checkpoint, str]:
    from node.core.verify.materials import Mode  # noqa: PLC0415
    from node.outbound.checkpoints import mirror_egress  # noqa: PLC0415

    async with mirror_egress(Mode.MIRROR, [mirror.url]) as egress:
        fetched = await mirror.renewed(egress)
        return fetched, ", ".join(egress.contacted)


def _tell(file: Path, made: Checkpoint, source: str, key: PublicKey | None, *, as_json: bool) -> None:
    told = {
        "file": str(file),
        "chain": made.chain,
        "sequence": made.sequence,
        "headers": len(made.headers),
        "newest": made.newest_number,
        "source": source,
    }
    if key is not None:
        told["key"] = key.multibase
    if as_json:
        import orjson  # noqa: PLC0415

        click.echo(orjson.dumps(told))
        return
    click.echo(
        f"{file}: {made.chain}, sequence {made.sequence}, {len(made.headers)} headers up to block "
        f"{made.newest_number}, by {source}"
    )
    if key is not None:
        click.echo(f"signed by {key.multibase}")
