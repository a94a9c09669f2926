"""Pinned data files of the standards: JSON-LD contexts, JSON Schemas and the table of networks.

Only the standard library is imported here, so that node and wallet can both read the files, from a checkout
or a wheel.
What is returned is bytes as vendored; `node.core` compares them with their digests.
"""

from __future__ import annotations

import json
from importlib.resources import files


def load_contexts() -> dict[str, bytes]:
    """The pinned JSON-LD contexts: URL to the bytes of its file."""
    folder = files("schemas") / "contexts"
    return {entry["url"]: (folder / entry["file"]).read_bytes() for entry in _context_index()}


def context_digests() -> dict[str, str]:
    """URL of each pinned context to the SHA-256 of its RFC 8785 form, lower-case hex."""
    return {entry["url"]: entry["jcsSha256"] for entry in _context_index()}


def load_schemas() -> dict[str, bytes]:
    """The JSON Schemas: path below this package to the bytes of the file."""
    found = {}
    for folder in ("openbadges", "bonafides"):
        directory = files("schemas") / folder
        if directory.is_dir():
            for file in directory.iterdir():
                if file.name.endswith(".schema.json"):
                    found[f"{folder}/{file.name}"] = file.read_bytes()
    return found


def load_networks() -> bytes:
    """The table of networks that ships, `networks.json`."""
    return (files("schemas") / "networks.json").read_bytes()


def _context_index() -> list[dict[str, str]]:
    index = json.loads((files("schemas") / "contexts" / "index.json").read_bytes())
    entries: list[dict[str, str]] = index["contexts"]
    return entries
