"""What the commands read at their start: passphrase, pinned standards, and the holder's own tables of trust."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from node.core.errors import Malformed, Misconfigured

if TYPE_CHECKING:
    from node.core.verify.verifier import Standards, Verifier

DEFAULT_FOLDER: Final = "wallet"
_MAX_PASSPHRASE_BYTES: Final = 4096


def read_file(path: Path) -> bytes:
    """The bytes of a file that an option or argument names; Misconfigured where it cannot be read.

    One byte more than any reader takes is the end: a device or a pipe may never come to one.
    """
    from node.core.verify.intake import MAX_INPUT_BYTES  # noqa: PLC0415

    try:
        with path.open("rb") as file:
            return file.read(MAX_INPUT_BYTES + 1)
    except OSError as error:
        raise Misconfigured(f"{path}: {error.strerror}") from error


def read_passphrase(path: Path) -> str:
    """The passphrase in a file, less one final line end."""
    data = read_file(path)
    if len(data) > _MAX_PASSPHRASE_BYTES:
        raise Misconfigured(f"{path} is too long for a passphrase")
    try:
        text = data.decode("utf-8").removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError as error:
        raise Misconfigured(f"{path} is not UTF-8") from error
    if not text:
        raise Misconfigured(f"{path} holds no passphrase")
    return text


def load_standards() -> Standards:
    """Contexts, schemas and networks as this release ships them."""
    import schemas  # noqa: PLC0415 - read by the commands that judge or sign
    from node.core.verify.verifier import Standards  # noqa: PLC0415

    return Standards.read(
        schemas.load_contexts(), schemas.context_digests(), schemas.load_schemas(), schemas.load_networks()
    )


def load_verifier(
    standards: Standards,
    *,
    networks: Path | None = None,
    trust: Path | None = None,
    checkpoints: Iterable[Path] = (),
    on_chain: bool = False,
) -> Verifier:
    """Who judges what arrives: mode chain where an endpoint is named, else offline; the policy is strict."""
    from node.core.evm.checkpoint import parse_checkpoint  # noqa: PLC0415
    from node.core.evm.network import parse_networks  # noqa: PLC0415
    from node.core.verify.materials import Mode  # noqa: PLC0415
    from node.core.verify.trust import parse_trust_list  # noqa: PLC0415
    from node.core.verify.verifier import Verifier  # noqa: PLC0415

    return Verifier.of(
        standards,
        operator_networks={} if networks is None else _parsed(networks, parse_networks),
        trust=None if trust is None else _parsed(trust, parse_trust_list),
        checkpoints=[_parsed(path, parse_checkpoint) for path in checkpoints],
        mode=Mode.CHAIN if on_chain else Mode.OFFLINE,
    )


def _parsed(path: Path, parse: Any) -> Any:
    from node.core.strict_json import parse_json  # noqa: PLC0415

    try:
        return parse(parse_json(read_file(path)))
    except Malformed as error:
        raise Misconfigured(f"{path}: {error.located}") from error
