"""`bonafides issuer init`: make an issuer, or go on making it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from node.commands.issuer_funding import faucet_option, fund, fund_if_can
from node.commands.issuer_options import (
    FILE,
    anchoring_terms,
    as_json_option,
    ask_new_passphrase,
    finish,
    issuer_place,
    key_kind,
    kind_option,
    print_json,
    run_async,
)
from node.core.errors import Misconfigured

if TYPE_CHECKING:
    from node.commands.issuer_folder import Folder
    from node.services.issuer import ChainAccess, Issuer


_WITNESS: Final = ("witness_rpc", "witness_network")


@click.command()
@issuer_place
@anchoring_terms
@click.option("--name", required=True, help="The issuer's name, as it stands in credentials.")
@click.option(
    "--url", required=True, metavar="URL", help="Where the issuer will be served; status lists name it."
)
@click.option(
    "--did",
    "method",
    type=click.Choice(["ethr", "key"]),
    default="ethr",
    show_default=True,
    help="ethr: an identity on a chain. key: no chain, no anchors, no revocation on it; the quickest start.",
)
@kind_option
@click.option(
    "--networks", type=FILE, show_envvar=True, help="Your table of networks, beside the one built in."
)
@click.option(
    "--suspendable", is_flag=True, help="Open a list for suspensions as well, now and not at first use."
)
@click.option(
    "--status",
    "with_status",
    is_flag=True,
    help="With --did key: publish a status list nevertheless, with an entry for each credential.",
)
@faucet_option
@click.option(
    "--development", is_flag=True, show_envvar=True, help="Admit an http URL on a loopback address."
)
@as_json_option
@run_async
async def init(
    folder: Path,
    passphrase_file: Path | None,
    rpc: str | None,
    database: str | None,
    name: str,
    url: str,
    method: str,
    kind: str,
    networks: Path | None,
    suspendable: bool,
    with_status: bool,
    faucet: Path | None,
    development: bool,
    as_json: bool,
    **terms: Any,
) -> None:
    """Make an issuer: keys, identity, status lists. Run again, it goes on where it stopped.

    Owner, writer and assertion key are three keys in three sealed files. The address of owner and writer need ether
    for fees; how much is said where it is missing.
    """
    from node.commands.issuer_folder import Folder  # noqa: PLC0415

    _check_public_url(url, development=development)
    # What an earlier run was told is kept: another database would be another issuer with the same keys.
    place = Folder.begun(folder).with_options(
        rpc=rpc if method == "ethr" else None, database=database, terms=terms
    )
    place = replace(
        place,
        development=development or place.development,
        status=_status(place, wanted=with_status or suspendable),
    )
    if method == "ethr" and place.rpc is None:
        raise Misconfigured("an identity on a chain needs an endpoint: --rpc URL (or --did key)")
    if method == "ethr" and kind != "Ed25519":
        raise Misconfigured(f"the first key is Ed25519: then `issuer key add --kind {kind}`")
    if kind == "BLS12-381" and (with_status or suspendable):
        raise Misconfigured("a BLS12-381 key signs no status lists: leave --status and --suspendable out")
    await _check_method(place, method)
    if method == "ethr":
        place = await _with_sound_witness(place, networks, told=any(terms[name] for name in _WITNESS))
    passphrase = ask_new_passphrase(passphrase_file, folder)
    place.save()
    place.keep_networks(networks)
    if method == "key":
        made = await _init_key(
            place, passphrase, name, url, kind, suspendable=suspendable, with_status=with_status
        )
    else:
        made = await _init_chain(place, passphrase, name, url, faucet, suspendable=suspendable)
    if as_json:
        print_json(made)
    else:
        click.echo(made["did"])


def _status(place: Folder, *, wanted: bool) -> bool | None:
    """Whether credentials get status entries by default; what an earlier run was told is kept."""
    from node.commands.issuer_folder import SETTINGS_FILE  # noqa: PLC0415

    # Earlier releases did not write it down: there an open list says it.
    return True if wanted else place.status if place.has(SETTINGS_FILE) else False


async def _with_sound_witness(place: Folder, file: Path | None, *, told: bool) -> Folder:
    """The folder, once a second chain that is `told` of is found to be one: before anything in the folder is touched.

    What an earlier run kept and is none is forgotten: every command would stumble over it.
    """
    from contextlib import AsyncExitStack  # noqa: PLC0415

    from node.commands.issuer_folder import open_chain, open_second  # noqa: PLC0415
    from node.commands.loading import load_networks, load_standards  # noqa: PLC0415

    if place.witness_rpc is None and place.witness_network is None:
        return place
    tables = load_networks(file) if file is not None else place.networks()
    networks = {**load_standards().networks, **tables}
    async with AsyncExitStack() as stack:
        chain = await stack.enter_async_context(open_chain(place.rpc or "", networks, agree=place.agree))
        try:
            await open_second(stack, place, networks, chain.network.chain)
        except Misconfigured as error:
            if told:
                raise
            click.echo(f"forgotten: {error.detail}", err=True)
            return replace(place, witness_rpc=None, witness_network=None)
    return place


async def _check_method(place: Folder, method: str) -> None:
    """Conflict where an issuer of the other kind lives there: before anything in its folder is touched."""
    from node.commands.issuer_folder import DATABASE_FILE  # noqa: PLC0415
    from node.core.errors import Conflict  # noqa: PLC0415
    from node.storage.database import open_database  # noqa: PLC0415

    if place.database is None and not place.has(DATABASE_FILE):
        return
    store = await open_database(place.database_url)
    try:
        async with store.reading() as reading:
            settings = await reading.issuer.load()
    finally:
        await store.close()
    if settings is not None and (settings.identity is None) != (method == "key"):
        raise Conflict(f"the issuer here is {settings.did}: --did {method} makes another, elsewhere")


def _check_public_url(url: str, *, development: bool) -> None:
    from urllib.parse import urlsplit  # noqa: PLC0415

    parts = urlsplit(url)
    loopback = parts.hostname in ("127.0.0.1", "localhost", "::1")
    if parts.scheme == "https" or (development and parts.scheme == "http" and loopback):
        return
    raise Misconfigured("the issuer's URL begins with https:// (http on loopback: --development)")


async def _init_key(
    place: Folder, passphrase: str, name: str, url: str, kind: str, *, suspendable: bool, with_status: bool
) -> dict[str, Any]:
    from node.commands.loading import load_standards  # noqa: PLC0415
    from node.core.status.entry import REVOCATION, SUSPENSION  # noqa: PLC0415
    from node.services import setup, status_lists  # noqa: PLC0415
    from node.storage.database import open_database  # noqa: PLC0415

    store = await open_database(place.database_url)
    try:
        where = setup.Place(place.path, store, passphrase)
        made = await setup.create_without_chain(where, load_standards(), name, url, key_kind(kind))
        for purpose, wanted in ((REVOCATION, with_status or suspendable), (SUSPENSION, suspendable)):
            if wanted:
                await status_lists.ensure_list(made, purpose)
        await status_lists.publish_due(made)
        return {"did": made.settings.did, "url": made.settings.url, "chain": None}
    finally:
        await store.close()


async def _init_chain(
    place: Folder, passphrase: str, name: str, url: str, faucet: Path | None, *, suspendable: bool
) -> dict[str, Any]:
    from contextlib import AsyncExitStack  # noqa: PLC0415

    from node.commands.issuer_folder import open_chain, open_second  # noqa: PLC0415
    from node.commands.loading import load_standards  # noqa: PLC0415
    from node.core.encoding import encode_hex  # noqa: PLC0415
    from node.services import setup  # noqa: PLC0415
    from node.services.anchoring import AnchorWorker  # noqa: PLC0415
    from node.services.issuer import address_of  # noqa: PLC0415
    from node.storage.database import open_database  # noqa: PLC0415

    standards = load_standards()
    networks = {**standards.networks, **place.networks()}
    store = await open_database(place.database_url)
    try:
        async with AsyncExitStack() as stack:
            chain = await stack.enter_async_context(open_chain(place.rpc or "", networks, agree=place.agree))
            await chain.check()
            second = await open_second(stack, place, networks, chain.network.chain)
            where = setup.Place(place.path, store, passphrase)
            made = await setup.create_on_chain(where, standards, chain, name, url)
            made = replace(made, anchoring=place.anchoring_terms())
            if lacking := await fund(made, chain, faucet):
                raise Misconfigured(f"{lacking}: send it, then run the same command again")
            if second is not None:
                await _fund_second(made, second.chain, faucet)
            await setup.register(made, suspendable=suspendable)
            await finish(AnchorWorker(made), "registering")
            async with store.reading() as reading:
                addresses = {
                    str(key.role): encode_hex(address_of(key))
                    for key in await reading.keys.all()
                    if key.role in ("owner", "writer")
                }
            return {
                "did": made.settings.did,
                "url": made.settings.url,
                "chain": chain.network.chain,
            } | addresses
    finally:
        await store.close()


async def _fund_second(made: Issuer, chain: ChainAccess, faucet: Path | None) -> None:
    """As on the issuer's own chain, and told alone: nothing there waits for it."""
    if lacking := await fund_if_can(made, chain, faucet):
        click.echo(f"warning: on the second chain nothing is anchored yet: {lacking}", err=True)
