"""The folder of a verifier, for the commands that keep something in it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from node.core.errors import Misconfigured

folder_option: Final = click.option(
    "--dir",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("verifier"),
    envvar="BONAFIDES_VERIFIER_DIR",
    show_default=True,
    show_envvar=True,
    help="Folder that keeps requests and their results for an hour, and what was followed; made when missing.",
)


def make_folder(folder: Path) -> None:
    """Make it, for its owner alone."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise Misconfigured(f"{folder}: {error.strerror}") from error
