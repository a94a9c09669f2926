"""`bonafides chain`: run the embedded chain, prepare another one, tell a development chain to make blocks."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import click
import orjson

from node.core.encoding import decode_hex
from node.core.errors import Misconfigured
from node.core.strict_json import JsonObject

_rpc_option: Final = click.option(
    "--rpc",
    default="http://127.0.0.1:8545",
    show_default=True,
    show_envvar=True,
    help="URL of the development chain.",
)


def _folder_option(told: str) -> Callable[[Any], Any]:
    return click.option(
        "--dir",
        "folder",
        type=click.Path(file_okay=False, path_type=Path),
        default=Path("chain"),
        show_default=True,
        show_envvar=True,
        help=told,
    )


@click.group()
def chain() -> None:
    """The embedded development chain."""


@chain.command()
@_folder_option("Folder that keeps the chain and its faucet key; begun when empty.")
@click.option(
    "--host", default="127.0.0.1", show_default=True, show_envvar=True, help="Address to listen on."
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8545,
    show_default=True,
    show_envvar=True,
    help="Port to listen on; 0 takes a free one.",
)
@click.option(
    "--finality-lag",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    show_envvar=True,
    help="Blocks by which `finalized` stays behind `latest`.",
)
@click.option(
    "--chain-id",
    type=click.IntRange(1, 2**53 - 1),
    show_envvar=True,
    help="Id of a new chain; drawn at random when left out.",
)
@click.option(
    "--block-time",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    show_envvar=True,
    help="Least seconds between blocks while transactions wait.",
)
@click.option(
    "--fund",
    "funded",
    multiple=True,
    metavar="ADDRESS",
    show_envvar=True,
    help="Address (0x and 40 hex digits) that a new chain gives ether, beside the faucet.",
)
@click.option(
    "--registries/--no-registries",
    default=True,
    show_default=True,
    show_envvar=True,
    help="Deploy both registries where they are missing, and write networks.json into the folder.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the ready line as JSON.")
def serve(
    folder: Path,
    host: str,
    port: int,
    finality_lag: int,
    chain_id: int | None,
    block_time: int,
    funded: tuple[str, ...],
    registries: bool,
    as_json: bool,
) -> None:
    """Run the embedded chain until SIGTERM or SIGINT; prints its URL when it is ready."""
    addresses = [decode_hex(address.lower(), 20) for address in funded]
    asyncio.run(
        _serve(folder, host, port, finality_lag, chain_id, block_time, addresses, registries, as_json)
    )


@chain.command()
@_rpc_option
@_folder_option("Folder that gets networks.json.")
@click.option(
    "--faucet",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    required=True,
    show_envvar=True,
    help="File with the private key (64 hex digits) that pays.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def deploy(rpc: str, folder: Path, faucet: Path, as_json: bool) -> None:
    """Deploy both registries on a development chain of another kind, such as Anvil, where they are missing.

    Writes networks.json, which tells issuers and verifiers of both. The embedded chain does this by itself.
    """
    entry = asyncio.run(_deploy(rpc, _faucet_key(faucet)))
    folder.mkdir(parents=True, exist_ok=True)
    networks = _write_networks(folder, entry)
    made = {"chain": entry["chain"], "networks": str(networks)}
    click.echo(orjson.dumps(made).decode() if as_json else f"{made['chain']} has both registries: {networks}")


@chain.command()
@click.argument("count", type=click.IntRange(1, 10_000), default=1)
@_rpc_option
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def mine(count: int, rpc: str, as_json: bool) -> None:
    """Make COUNT blocks on a development chain, a second apart, and print the number of the last."""
    number = asyncio.run(_mine(rpc, count))
    click.echo(orjson.dumps({"block": number}).decode() if as_json else f"block {number}")


async def _serve(
    folder: Path,
    host: str,
    port: int,
    finality_lag: int,
    chain_id: int | None,
    block_time: int,
    funded: list[bytes],
    registries: bool,
    as_json: bool,
) -> None:
    # Here and not above: importing py-evm takes a second that no other command should pay.
    from node.chain.devchain import FAUCET_FILE, DevChain  # noqa: PLC0415
    from node.chain.devchain_rpc import ChainServer, make_app  # noqa: PLC0415
    from node.web.serve import serving  # noqa: PLC0415

    logging.basicConfig(level=logging.WARNING)
    development_chain = DevChain.open(folder, chain_id=chain_id, funded=funded)
    try:
        server = ChainServer(
            development_chain, finality_lag_blocks=finality_lag, block_time_seconds=block_time
        )
        async with serving(make_app(server), host, port) as (url, stopped):
            ready = {
                "url": url,
                "chain": f"eip155:{development_chain.chain_id}",
                "genesis": "0x" + development_chain.header(0).hash.hex(),
                "faucet": str(folder / FAUCET_FILE),
            }
            if registries:
                ready["networks"] = str(
                    _write_networks(folder, await _deploy(url, _faucet_key(folder / FAUCET_FILE)))
                )
            click.echo(
                orjson.dumps(ready).decode() if as_json else f"chain {ready['chain']} ready at {ready['url']}"
            )
            await stopped.wait()
    finally:
        development_chain.close()


async def _deploy(url: str, faucet_key: bytes) -> JsonObject:
    """Deploy the registries that are missing; the chain's entry for a table of networks."""
    from node.chain.transactions import Transactions, ensure_deployed, network_entry  # noqa: PLC0415
    from node.outbound.chain import ChainClient  # noqa: PLC0415

    async with ChainClient(url) as client:
        deployments = await ensure_deployed(Transactions(client), faucet_key)
        return await network_entry(client, deployments)


def _faucet_key(path: Path) -> bytes:
    try:
        key = bytes.fromhex(path.read_text(encoding="ascii", errors="replace").strip().removeprefix("0x"))
    except ValueError:
        key = b""
    if len(key) != 32:
        raise Misconfigured(f"{path} holds no private key of 64 hexadecimal digits")
    return key


def _write_networks(folder: Path, entry: JsonObject) -> Path:
    """`networks.json`: where verifiers learn of both registries."""
    target = folder / "networks.json"
    draft = target.with_suffix(".new")
    draft.write_bytes(orjson.dumps({"networks": [entry]}, option=orjson.OPT_INDENT_2))
    draft.replace(target)
    return target


async def _mine(rpc: str, count: int) -> int:
    from node.outbound.chain import ChainClient  # noqa: PLC0415 - aiohttp is slow to import

    # Blocks are a second apart, so that many take their time.
    async with ChainClient(rpc, timeout_seconds=count + 20) as client:
        # Anvil wants both members.
        await client.request("evm_mine", [{"timestamp": None, "blocks": count}])
        return await client.block_number()
