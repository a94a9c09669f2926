"""Answers of the Beacon API (ethereum/beacon-APIs, apis/beacon/light_client/): paths, and what they hold.

Each document is an object of `version`, the name of the fork that shapes it, and `data`. Nothing in it is believed
before `store` has judged it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final, TypeVar

from node.core.encoding import encode_hex
from node.core.errors import Malformed
from node.core.evm.light_client.containers import (
    LightClientBootstrap,
    LightClientUpdate,
    bootstrap_type,
    finality_update_type,
    sync_committee_type,
    update_type,
)
from node.core.evm.light_client.forks import BeaconChain, Fork, named_fork
from node.core.evm.light_client.ssz import Container
from node.core.members import within
from node.core.strict_json import Json, parse_json

_ROOT: Final = "/eth/v1/beacon/light_client"
FINALITY_UPDATE_PATH: Final = f"{_ROOT}/finality_update"
# An update has two headers of 2 KB, and 512 keys of 100 bytes: 56 KB as JSON.
MAX_UPDATES: Final = 16
MAX_ANSWER_BYTES: Final = 2 * 1024 * 1024

T = TypeVar("T")


def bootstrap_path(root: bytes) -> str:
    """Of the bootstrap at the block with this root."""
    return f"{_ROOT}/bootstrap/{encode_hex(root)}"


def updates_path(period: int) -> str:
    """Of the best update of `period` and of those after it."""
    return f"{_ROOT}/updates?start_period={period}&count={MAX_UPDATES}"


def parse_bootstrap(body: bytes, chain: BeaconChain) -> LightClientBootstrap:
    """The answer at `bootstrap_path`."""
    return _parse(parse_json(body, max_bytes=MAX_ANSWER_BYTES), chain, bootstrap_type)


def parse_finality_update(body: bytes, chain: BeaconChain) -> LightClientUpdate:
    """The answer at `FINALITY_UPDATE_PATH`."""
    return _parse(parse_json(body, max_bytes=MAX_ANSWER_BYTES), chain, finality_update_type)


def parse_updates(body: bytes, chain: BeaconChain) -> tuple[LightClientUpdate, ...]:
    """The answer at `updates_path`: at most as many as were asked for."""
    value = parse_json(body, max_bytes=MAX_ANSWER_BYTES)
    if not isinstance(value, list) or len(value) > MAX_UPDATES:
        raise Malformed(f"expected a list of at most {MAX_UPDATES} updates")
    updates = []
    for position, item in enumerate(value):
        with within(position):
            updates.append(_without_blanks(_parse(item, chain, update_type), chain))
    return tuple(updates)


def _without_blanks(update: LightClientUpdate, chain: BeaconChain) -> LightClientUpdate:
    """`is_sync_committee_update`: of one that is signed in the next period, servers leave the committee blank."""
    if any(map(any, update.next_sync_committee_branch)):
        return update
    if update.next_sync_committee != sync_committee_type(chain.sync_committee_size).blank():
        raise Malformed("a committee without its branch", path=("data", "next_sync_committee_branch"))
    return replace(update, next_sync_committee=None, next_sync_committee_branch=())


def _parse(value: Json, chain: BeaconChain, type_of: Callable[[Fork, int], Container[T]]) -> T:
    if not isinstance(value, dict):
        raise Malformed("expected a JSON object")
    kind = type_of(named_fork(value.get("version")), chain.sync_committee_size)
    with within("data"):
        return kind.parse(value.get("data"))
