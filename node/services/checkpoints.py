"""Checkpoint files that a verifier keeps: the newest of a mirror's, and those that an operator makes for his verifiers.

A file that was kept is believed, as one that is named is: it was signed when it came, and an older one never takes its
place. Losing it costs that memory alone.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import orjson

from node.core.errors import Malformed, Misconfigured
from node.core.evm.checkpoint import MAX_FILE_BYTES, Checkpoint, parse_checkpoint
from node.core.keys import KeyKind, PublicKey, Signer
from node.core.strict_json import parse_json
from node.outbound.checkpoints import fetch_checkpoint
from node.outbound.http import Egress


def load_kept(file: Path) -> Checkpoint | None:
    """The checkpoint file that is kept at a path, None where there is none yet."""
    try:
        data = file.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Misconfigured(f"{file} cannot be read: {error.strerror}") from error
    try:
        return parse_checkpoint(parse_json(data, max_bytes=MAX_FILE_BYTES))
    except Malformed as error:
        raise Misconfigured(f"{file} is no checkpoint file: {error.detail}") from error


def keep(file: Path, checkpoint: Checkpoint) -> None:
    """Put a checkpoint file at a path, whole or not at all."""
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        with draft.open("wb") as opened:
            opened.write(orjson.dumps(checkpoint.to_json()) + b"\n")
            opened.flush()
            os.fsync(opened.fileno())
        draft.replace(file)
    except OSError as error:
        raise Misconfigured(f"{file} cannot be written: {error.strerror}") from error


def signed(checkpoint: Checkpoint, signer: Signer) -> Checkpoint:
    """The file with the operator's signature; Misconfigured where the key is of a kind that does not sign such."""
    if signer.public_key.kind is not KeyKind.ED25519:
        raise Misconfigured("checkpoint files are signed with an Ed25519 key")
    return replace(checkpoint, signature=signer.sign(checkpoint.signed_bytes))


class Mirror:
    """A checkpoint file at a URL of the configuration, and the newest that came from there, kept in `file`."""

    def __init__(self, url: str, keys: Sequence[PublicKey], file: Path) -> None:
        self.url = url
        self._keys = tuple(keys)
        self._file = file

    def kept(self) -> Checkpoint | None:
        """What came last."""
        return load_kept(self._file)

    async def renewed(self, egress: Egress) -> Checkpoint:
        """The file as it stands at the URL now, kept from here on.

        NotVerified where it is not signed by the operator, older than the one that is kept, or contradicts it.
        """
        arrived = await fetch_checkpoint(egress, self.url, self._keys)
        kept = self.kept()
        if kept is not None:
            arrived.check_follows(kept)
        if arrived != kept:
            keep(self._file, arrived)
        return arrived
