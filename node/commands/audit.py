"""`bonafides audit DID`: every write of an identity, none missing; and whether its issuer says the same."""

from __future__ import annotations

import asyncio
import csv
import io
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from node.commands.endpoints import asking
from node.core.errors import Misconfigured, Unavailable

if TYPE_CHECKING:
    from node.core.evm.agreement import Endpoints
    from node.core.evm.claim import Claim
    from node.core.evm.events import RegistryEvent
    from node.services.audit import Audit, Write

_FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)
_DIFFERENT: Final = 1
_NOT_TOLD: Final = 3
_OF_ALL: Final = frozenset({"identity", "n", "block_number", "log_index", "transaction_hash"})


@click.command()
@click.argument("did")
@asking
@click.option(
    "--networks", type=_FILE, show_envvar=True, help="Your own table of networks, beside the built-in one."
)
@click.option("--against", type=_FILE, help="What the issuer says: its `issuer export --audit FILE`.")
@click.option(
    "--from-block",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Where the reading begins; a later block than the first write is told, not believed.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.option("--csv", "as_csv", is_flag=True, help="Print the writes as CSV.")
@click.pass_context
def audit(
    ctx: click.Context,
    did: str,
    endpoints: Endpoints,
    networks: Path | None,
    against: Path | None,
    from_block: int,
    as_json: bool,
    as_csv: bool,
) -> None:
    """List every write of a did:ethr identity with times and cost, and prove that none is missing.

    With --against, what the chain shows is held against what the issuer says that it wrote; anybody may do that. Name
    endpoints of several operators: who sent a write is not proven, and one endpoint alone could lie about it.

    Exit status: 0 all is there, and the same; 1 chain and issuer differ; 3 it could not be told, since no endpoint
    gives every write, or with --against too few give the same; 2 wrong use.
    """
    from node.commands import loading  # noqa: PLC0415

    if as_json and as_csv:
        raise click.UsageError("--json or --csv, not both")
    claim = None if against is None else loading.load_claim(against)
    try:
        found = asyncio.run(_audit(did, endpoints, networks, from_block, claim))
    except Unavailable as error:
        click.echo(f"bonafides: it could not be told: {error.detail}", err=True)
        ctx.exit(_NOT_TOLD)
    if as_json:
        _print_json(did, found)
    elif as_csv:
        click.echo(_as_csv(found), nl=False)
    else:
        _print_words(did, found)
    if found.differences:
        ctx.exit(_DIFFERENT)


async def _audit(
    did: str, endpoints: Endpoints, networks: Path | None, from_block: int, claim: Claim | None
) -> Audit:
    from node.commands import loading  # noqa: PLC0415
    from node.core.did.ethr_identity import parse_did_ethr  # noqa: PLC0415
    from node.core.verify.materials import Mode  # noqa: PLC0415
    from node.outbound.headers import ChainEndpoints  # noqa: PLC0415
    from node.outbound.http import Egress, EgressLimits, EgressPolicy  # noqa: PLC0415
    from node.services import audit as auditing  # noqa: PLC0415

    name = parse_did_ethr(did)
    if claim is not None:
        said = parse_did_ethr(claim.did)
        if (said.chain_id, said.identity) != (name.chain_id, name.identity):
            raise Misconfigured("the issuer's export is of another DID")
    table = loading.load_table(networks)
    network = loading.network_of(table, name.chain_id)
    # As long as it takes: whoever asks is not a page that somebody waits for.
    limits = EgressLimits(requests=None, total_bytes=None, total_seconds=None)
    async with Egress(EgressPolicy(Mode.CHAIN, endpoints, limits=limits)) as egress:
        voices = ChainEndpoints(egress, table).of(name.chain_id)
        return await auditing.audit(voices, network, name.identity, first_block=from_block, claim=claim)


def _details(event: RegistryEvent) -> dict[str, Any]:
    """What an event says beyond what all of them do, by its names."""
    told = {}
    for field in fields(event):
        if field.name not in _OF_ALL:
            value = getattr(event, field.name)
            first, *rest = field.name.split("_")
            told[first + "".join(map(str.capitalize, rest))] = _shown(field.name, value)
    return told


def _shown(name: str, value: Any) -> Any:
    from node.core.encoding import encode_hex, encode_multibase  # noqa: PLC0415

    if name == "key":
        return encode_multibase(value)
    if name == "bits":
        return f"{value:#066x}"
    return encode_hex(value) if isinstance(value, bytes) else value


def _write_json(write: Write) -> dict[str, Any]:
    from node.core.encoding import encode_hex  # noqa: PLC0415
    from node.core.evm.events import call_of  # noqa: PLC0415
    from node.core.times import format_datetime_stamp  # noqa: PLC0415

    event, cost = write.event, write.cost
    return {
        "n": event.n,
        "kind": call_of(event),
        "block": event.block_number,
        "time": format_datetime_stamp(write.time),
        "transaction": encode_hex(event.transaction_hash),
        "by": None if cost is None else encode_hex(cost.sender),
        "gas": None if cost is None else cost.gas,
        "wei": None if cost is None else str(cost.wei),
        **_details(event),
    }


def _print_json(did: str, found: Audit) -> None:
    import orjson  # noqa: PLC0415

    from node.core.encoding import encode_hex  # noqa: PLC0415
    from node.core.times import format_datetime_stamp, from_unix  # noqa: PLC0415
    from node.services.audit import closed_block, key_windows, total  # noqa: PLC0415

    gas, wei = total(found.writes)
    header = {
        "number": found.header.number,
        "hash": encode_hex(found.header.hash),
        "time": format_datetime_stamp(from_unix(found.header.timestamp)),
        "source": found.trusted,
    }
    keys = [
        {
            "publicKeyMultibase": _shown("key", added.key),
            "purposes": added.purposes,
            "from": window.valid_from,
            "until": window.until or None,
            "compromisedSince": window.compromised_since or None,
            "declared": window.declared or None,
        }
        for added, window in key_windows(found.history)
    ]
    differing = found.differences
    body = {
        "did": did,
        "header": header,
        "source": found.told,
        "agreed": found.agreed,
        "head": len(found.writes),
        "closed": closed_block(found.history) or None,
        "keys": keys,
        "gas": gas,
        "wei": str(wei),
        "differences": None
        if differing is None
        else [{"n": one.n, "detail": one.detail} for one in differing],
        "writes": [_write_json(write) for write in found.writes],
    }
    click.echo(orjson.dumps(body).decode())


def _as_csv(found: Audit) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("n", "kind", "block", "time", "transaction", "by", "gas", "wei", "detail"))
    for write in found.writes:
        row = _write_json(write)
        common = [row.pop(name) for name in ("n", "kind", "block", "time", "transaction", "by", "gas", "wei")]
        writer.writerow((*common, " ".join(f"{name}={value}" for name, value in row.items())))
    return text.getvalue()


def _print_words(did: str, found: Audit) -> None:
    from node.services.audit import closed_block, key_windows, total  # noqa: PLC0415

    for write in found.writes:
        row = _write_json(write)
        cost = "" if row["wei"] is None else f"  {row['gas']} gas, {int(row['wei']) / 10**18:.8f} ether"
        names = list(_details(write.event).items())[:2]
        told = " ".join(f"{name}={value}" for name, value in names)
        click.echo(f"{row['n']}  {row['time']}  block {row['block']}  {row['kind']}  {told}{cost}")
    gas, wei = total(found.writes)
    click.echo(f"{did}: {len(found.writes)} writes, and there are no others")
    click.echo(f"as of block {found.header.number}, by {found.trusted}; {gas} gas, {wei / 10**18:.8f} ether")
    for added, window in key_windows(found.history):
        until = f"until block {window.until}" if window.until else "open"
        lost = f", compromised since block {window.compromised_since}" if window.compromised_since else ""
        click.echo(f"key {_shown('key', added.key)}: from block {window.valid_from}, {until}{lost}")
    if closed := closed_block(found.history):
        click.echo(f"closed in block {closed}")
    if found.differences is None:
        return
    if not found.agreed:
        click.echo(
            f"which transaction a write is of is the word of {found.told} alone: it could pass off as the issuer's"
            " own what ended a key, set a status or a writer, pointed to a list or closed"
        )
    for one in found.differences:
        click.echo(f"differs: {f'write {one.n} ' if one.n else ''}{one.detail}")
    if not found.differences:
        click.echo("the issuer says the same")
