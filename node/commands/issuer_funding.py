"""Ether for owner and writer: from the faucet of a development chain, or told of, with address and amount."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from node.commands.issuer_options import FILE
from node.core.errors import BonafidesError, Misconfigured

if TYPE_CHECKING:
    from node.services.issuer import ChainAccess, Issuer

faucet_option: Final = click.option(
    "--faucet", type=FILE, show_envvar=True, help="Faucet key of a development chain, which pays."
)


async def fund(made: Issuer, chain: ChainAccess, faucet: Path | None) -> str:
    """Who lacks ether on `chain` after the faucet, if there is one, has paid; empty where nobody does."""
    from node.services import setup  # noqa: PLC0415

    second = None if chain is made.chain else chain
    lacking = await setup.shortages(made, second)
    if lacking and faucet is not None:
        await setup.fund(chain, _faucet_key(faucet), lacking)
        lacking = await setup.shortages(made, second)
    return "; ".join(map(str, lacking))


async def fund_if_can(made: Issuer, chain: ChainAccess, faucet: Path | None) -> str:
    """As `fund`, where nothing else waits for the chain: also why it could not be asked."""
    try:
        await chain.check()
        return await fund(made, chain, faucet)
    except BonafidesError as error:
        return error.detail


def _faucet_key(file: Path) -> bytes:
    text = file.read_text(encoding="ascii", errors="replace").strip().removeprefix("0x")
    try:
        key = bytes.fromhex(text)
    except ValueError:
        key = b""
    if len(key) != 32:
        raise Misconfigured(f"{file} holds no private key of 64 hexadecimal digits")
    return key
