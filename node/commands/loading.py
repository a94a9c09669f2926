"""Files that commands read once at their start: the pinned standards and the operator's own tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import schemas
from node.core.errors import BonafidesError, Malformed, Misconfigured
from node.core.evm.checkpoint import Checkpoint, parse_checkpoint, parse_checkpoint_key
from node.core.evm.claim import Claim, parse_claim
from node.core.evm.network import Network, format_chain, parse_networks
from node.core.keys import PublicKey
from node.core.strict_json import parse_json
from node.core.verify.intake import MAX_INPUT_BYTES
from node.core.verify.materials import Mode
from node.core.verify.policy import STRICT, Policy
from node.core.verify.trust import TrustList, parse_trust_list
from node.core.verify.verifier import Standards, Verifier


def load_standards() -> Standards:
    """Contexts, schemas and networks as this release ships them."""
    return Standards.read(
        schemas.load_contexts(), schemas.context_digests(), schemas.load_schemas(), schemas.load_networks()
    )


def read_file(path: Path) -> bytes:
    """The bytes of a file that an option names; Misconfigured where it cannot be read.

    One byte more than any reader takes is the end: a device or a pipe may never come to one.
    """
    try:
        with path.open("rb") as file:
            return file.read(MAX_INPUT_BYTES + 1)
    except OSError as error:
        raise Misconfigured(f"{path}: {error.strerror}") from error


def load_networks(path: Path | None) -> dict[int, Network]:
    """The operator's own table of networks, empty without a file."""
    return {} if path is None else _parsed(path, parse_networks)


def load_table(path: Path | None) -> dict[int, Network]:
    """All networks that are known: the built-in ones, and the operator's, which come first."""
    return {**load_standards().networks, **load_networks(path)}


def network_of(table: Mapping[int, Network], chain_id: int) -> Network:
    """The network of a chain; Misconfigured where no table has it."""
    if chain_id not in table:
        raise Misconfigured(f"{format_chain(chain_id)} is in no table of networks: --networks names one")
    return table[chain_id]


def load_trust(path: Path | None) -> TrustList | None:
    """The list of recognised issuers; None without a file, which is not the same as an empty list."""
    return None if path is None else _parsed(path, parse_trust_list)


def load_checkpoints(paths: Iterable[Path]) -> list[Checkpoint]:
    """The checkpoint files that were named: naming one is trusting it, so no signature is asked for."""
    return [_parsed(path, parse_checkpoint) for path in paths]


def load_verifier(
    networks: Path | None,
    trust: Path | None,
    *,
    checkpoints: Iterable[Path] = (),
    policy: Policy = STRICT,
    mode: Mode,
) -> Verifier:
    """A verifier by the standards of this release and the operator's files."""
    return Verifier.of(
        load_standards(),
        operator_networks=load_networks(networks),
        trust=load_trust(trust),
        checkpoints=load_checkpoints(checkpoints),
        policy=policy,
        mode=mode,
    )


def checkpoint_mirrors(
    urls: Sequence[str], keys: Sequence[str], mode: Mode, *, development: bool
) -> tuple[PublicKey, ...]:
    """The keys of which one must have signed each file fetched from `urls`; Misconfigured where none may be."""
    schemes = ("https://", "http://") if development else ("https://",)
    if not all(url.startswith(schemes) for url in urls):
        raise Misconfigured("a checkpoint file is fetched from an https URL")
    if urls and mode not in (Mode.MIRROR, Mode.FULL):
        raise Misconfigured(f"mode {mode} fetches no checkpoint file: --mode mirror does")
    if urls and not keys:
        raise Misconfigured("a checkpoint file from a URL must be signed: name the key with --checkpoint-key")
    try:
        return tuple(map(parse_checkpoint_key, keys))
    except Malformed as error:
        raise Misconfigured(f"--checkpoint-key: {error.detail}") from error


def check_list_mirrors(urls: Sequence[str], mode: Mode, *, development: bool) -> None:
    """Misconfigured where copies of status lists are not to be had at such URLs, or are not asked for in this mode."""
    schemes = ("https://", "http://") if development else ("https://",)
    if not all(url.startswith(schemes) and "?" not in url for url in urls):
        raise Misconfigured("a mirror is an https URL without a query")
    if urls and mode is not Mode.MIRROR:
        raise Misconfigured(f"mode {mode} asks no mirror for status lists: --mode mirror does")


def load_claim(path: Path) -> Claim:
    """What an issuer says it wrote to the chain."""
    claim: Claim = _parsed(path, parse_claim)
    return claim


def _parsed(path: Path, parse: Any) -> Any:
    try:
        return parse(parse_json(read_file(path)))
    except Misconfigured:
        raise
    except BonafidesError as error:
        raise Misconfigured(f"{path}: {error.located}") from error
