"""`bonafides issuer witness`: say by an anchor what stands at somebody's did:web or did:webvh."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from node.commands.issuer_options import (
    FILE,
    as_json_option,
    finish,
    issuer_place,
    no_wait_option,
    opened,
    print_json,
    run_async,
)
from node.core.errors import Malformed, Misconfigured, NotVerified

if TYPE_CHECKING:
    from node.core.strict_json import JsonObject
    from node.services.issuer import Issuer
    from node.services.witness import Sight

_PUBLIC: Final = 0o644  # it is for handing out


@click.command()
@click.argument("did")
@issuer_place
@click.option(
    "--out",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the proven snapshot here. Until it is final, what was seen is in FILE.pending.",
)
@click.option(
    "--credential",
    "credentials",
    multiple=True,
    type=FILE,
    help="A credential of that issuer: its bundle with the snapshot is written beside it, as FILE.bundle.json.",
)
@click.option(
    "--prove-again", is_flag=True, help="Look and anchor nothing: renew the proof of the snapshot in --out."
)
@click.option("--development", is_flag=True, help="Admit loopback hosts and plain http.")
@no_wait_option
@as_json_option
@run_async
async def witness(
    did: str,
    folder: Path,
    passphrase_file: Path | None,
    rpc: str | None,
    database: str | None,
    out: Path,
    credentials: tuple[Path, ...],
    prove_again: bool,
    development: bool,
    no_wait: bool,
    as_json: bool,
) -> None:
    """Fetch the document of a did:web (or the log of a did:webvh), anchor it, and write the proof.

    Verifiers whose trust list names this issuer's DID under `witnesses` of that one know its key by the snapshot,
    without asking its site, for as long as they let a proof be old: 24 hours by default. So run it once a day.
    """
    from node.services import witness as witnessing  # noqa: PLC0415
    from node.services.anchoring import AnchorWorker  # noqa: PLC0415

    shown = [_read_credential(file, did) for file in credentials]
    async with opened(folder, passphrase_file, rpc, database, keys=not prove_again) as node:
        if prove_again:
            sight = _read(out, did)
            if sight is None:
                raise Misconfigured(f"{out} holds no snapshot yet")
        else:
            sight = await _under_way(node, did, out, development=development)
            if no_wait:
                await AnchorWorker(node).tick()
            else:
                await finish(
                    AnchorWorker(node),
                    "anchoring what was seen",
                    close=False,
                    done=lambda tick: not tick.transactions,
                )
        if no_wait and not await witnessing.is_final(node, sight):
            _tell(sight, out, [], as_json=as_json, final=False)
            return
        try:
            sight = await witnessing.prove(node, sight)
        except NotVerified:
            _pending(out).unlink(missing_ok=True)  # too late for this one: the next run looks anew
            raise
    _write(out, sight)
    _pending(out).unlink(missing_ok=True)
    written = [
        _write_bundle(file, sight, credential) for file, credential in zip(credentials, shown, strict=True)
    ]
    _tell(sight, out, written, as_json=as_json, final=True)


async def _under_way(node: Issuer, did: str, out: Path, *, development: bool) -> Sight:
    """What was seen before and promised to the chain, else what is seen now; either way promised."""
    from node.core.verify.materials import Mode  # noqa: PLC0415
    from node.outbound.http import Egress, EgressPolicy  # noqa: PLC0415
    from node.services import witness as witnessing  # noqa: PLC0415

    pending = _pending(out)
    begun = _read(pending, did)
    if begun is not None and await witnessing.promised(node, begun) is not None:
        return begun
    async with Egress(EgressPolicy(mode=Mode.FULL, allow_loopback=development)) as egress:
        sight = await witnessing.look(node, did, egress)
    _write(pending, sight)
    await witnessing.ask(node, sight)
    return sight


def _pending(out: Path) -> Path:
    return out.with_name(out.name + ".pending")


def _read(file: Path, did: str) -> Sight | None:
    """The record in a file, None where there is none; Misconfigured where it is of something else."""
    from node.core.strict_json import parse_json  # noqa: PLC0415
    from node.services.witness import parse_sight  # noqa: PLC0415

    try:
        sight = parse_sight(parse_json(file.read_bytes()))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Misconfigured(f"{file} cannot be read: {error.strerror}") from error
    except Malformed as error:
        raise Misconfigured(f"{file}: {error.detail}") from error
    if sight.did != did:
        raise Misconfigured(f"{file} is of another DID: {sight.did[:200]}")
    return sight


def _read_credential(file: Path, did: str) -> JsonObject | str:
    """The credential in a file, an object or the text of a token, which must be of the issuer that is witnessed."""
    from node.core.envelope import enveloped  # noqa: PLC0415
    from node.core.verify.intake import read_intake  # noqa: PLC0415

    shown, *more = read_intake(file.read_bytes()).credentials
    named = shown.document.get("issuer", shown.document.get("iss"))
    if more or (named.get("id") if isinstance(named, dict) else named) != did:
        raise Misconfigured(f"{file} is not a credential of {did}")
    if shown.envelope is None:
        return shown.document
    token = shown.envelope.token
    return token if isinstance(token, str) else enveloped(shown.envelope)


def _write(file: Path, sight: Sight) -> None:
    import orjson  # noqa: PLC0415

    from node.commands.issuer_folder import write_private  # noqa: PLC0415

    write_private(file, orjson.dumps(sight.to_json()))
    file.chmod(_PUBLIC)


def _write_bundle(file: Path, sight: Sight, credential: JsonObject | str) -> Path:
    """Readable for its owner alone: a credential is about somebody."""
    import orjson  # noqa: PLC0415

    from node.commands.issuer_folder import write_private  # noqa: PLC0415

    target = file.with_name(file.name + ".bundle.json")
    write_private(target, orjson.dumps(sight.bundle_of(credential).to_json()))
    return target


def _tell(sight: Sight, out: Path, written: Sequence[Path], *, as_json: bool, final: bool) -> None:
    if as_json:
        body = sight.to_json()
        print_json(
            {
                "did": sight.did,
                "seen": body["seen"],
                "final": final,
                "snapshot": str(out if final else _pending(out)),
                "bundles": [str(file) for file in written],
            }
        )
        return
    if not final:
        click.echo("on its way: run this again")
        return
    for file in (out, *written):
        click.echo(file)
