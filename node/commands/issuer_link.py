"""`bonafides issuer link`: have the DID document say that a domain is the issuer's own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from node.commands.issuer_options import (
    as_json_option,
    finish,
    issuer_place,
    no_wait_option,
    opened,
    print_json,
    run_async,
)

if TYPE_CHECKING:
    from node.services.anchoring import Tick


@click.command()
@click.argument("domain", required=False)
@issuer_place
@click.option("--remove", is_flag=True, help="Have the DID document name the domain no more.")
@no_wait_option
@as_json_option
@run_async
async def link(
    domain: str | None,
    folder: Path,
    passphrase_file: Path | None,
    rpc: str | None,
    database: str | None,
    remove: bool,
    no_wait: bool,
    as_json: bool,
) -> None:
    """Name DOMAIN, by default that of the issuer's URL, in the DID document (`LinkedDomains`), by the owner's key.

    The domain has to say the same: `issuer serve` at its root does, or a file of `issuer export --did-configuration`;
    and, if you like, the DNS. Verifiers with --follow-domains then tell it beside your name. It decides nothing.
    """
    from node.core.jose.domain_linkage import linked_origins, origin_of  # noqa: PLC0415
    from node.services import linking  # noqa: PLC0415
    from node.services.anchoring import AnchorWorker  # noqa: PLC0415
    from node.services.domains import record_name  # noqa: PLC0415

    async with opened(folder, passphrase_file, rpc, database) as node:
        origin = linking.parse_origin(domain or origin_of(node.settings.url))
        asked = await (linking.unlink if remove else linking.link)(node, origin)
        if asked:
            worker = AnchorWorker(node)
            what = "unlinking the domain" if remove else "linking the domain"
            await (worker.tick() if no_wait else finish(worker, what, close=False, done=_settled))
        named = linked_origins(await linking.own_document(node))
        did = node.settings.did
    if as_json:
        print_json({"did": did, "origin": origin, "changed": asked, "linked": list(named)})
        return
    click.echo(f"{did} names {', '.join(named) or 'no domain'}")
    if not remove and (record := record_name(origin)) is not None:
        click.echo(f'in the DNS, if you like: {record}. TXT "did={did}"', err=True)


def _settled(tick: Tick) -> bool:
    """Whether nothing of what the owner asked for is under way; a batch may stay open."""
    return not (tick.transactions or tick.settling)
