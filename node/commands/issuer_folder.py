"""An issuer's folder: what stands in it, and an `Issuer` opened from it.

    issuer.json      endpoint, database, when batches close and what may be paid, and whether credentials get status
                     entries, as `issuer init` was told
    issuer.db        the database, unless another was named
    keys/*.json      sealed keys
    networks.json    a copy of the operator's table

`issuer.json` can hold an endpoint's key in its URL and has mode 0600. Options win over the file.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import orjson

from node.core.errors import Malformed, Misconfigured

if TYPE_CHECKING:
    from node.core.evm.network import Network
    from node.services.issuer import AnchoringTerms, ChainAccess, Issuer, SecondChain

SETTINGS_FILE: Final = "issuer.json"
NETWORKS_FILE: Final = "networks.json"
DATABASE_FILE: Final = "issuer.db"
TERMS: Final = ("agree", "batch_size", "batch_age", "max_fee", "low_balance")
"""Members of `issuer.json` about anchoring: operators, items, seconds, gwei, anchors."""
WITNESS: Final = ("witness_rpc", "witness_network", "witness")


@dataclass(frozen=True, slots=True)
class Folder:
    """Where an issuer lives and how its surroundings are reached; None: not given yet, or not needed."""

    path: Path
    rpc: str | None = None
    database: str | None = None
    development: bool = False
    status: bool | None = None
    """Without a chain: whether credentials get status entries by default; None in folders of earlier releases."""
    terms: Mapping[str, float] = field(default_factory=dict)
    """Those of `TERMS` that were given."""
    witness_rpc: str | None = None
    witness_network: str | None = None
    """CAIP-2 id of a second chain, as a further record of the time."""
    witness: str | None = None
    """`any` or `all`: which of the chains must have a batch before the worker is done."""

    @classmethod
    def begun(cls, path: Path) -> Folder:
        """As `load`, or a folder without an issuer yet."""
        return cls.load(path) if (path / SETTINGS_FILE).is_file() else cls(path)

    @classmethod
    def load(cls, path: Path) -> Folder:
        """What `issuer init` left in the folder; Misconfigured where there is no issuer."""
        from node.core.strict_json import parse_json_object  # noqa: PLC0415

        try:
            body = parse_json_object((path / SETTINGS_FILE).read_bytes())
        except OSError as error:
            raise Misconfigured(
                f"{path} holds no issuer: run `bonafides issuer init --dir {path}`"
            ) from error
        except Malformed as error:
            raise Misconfigured(f"{path / SETTINGS_FILE}: {error.detail}") from error
        known = {name: body.get(name) for name in ("rpc", "database", *WITNESS)}
        status = body.get("status")
        return cls(
            path,
            development=body.get("development") is True,
            status=status if isinstance(status, bool) else None,
            terms=_terms(body.get("terms"), path),
            **known,
        )

    def save(self) -> None:
        """Write the folder's settings, readable for their owner alone."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        body = {name: value for name, value in asdict(self).items() if name != "path"}
        write_private(self.path / SETTINGS_FILE, orjson.dumps(body, option=orjson.OPT_INDENT_2) + b"\n")

    def with_options(
        self,
        *,
        rpc: str | None = None,
        database: str | None = None,
        terms: Mapping[str, Any] | None = None,
    ) -> Folder:
        """The folder with what the command line says instead; `terms` are those of `TERMS` and `WITNESS`."""
        given = {name: value for name, value in (terms or {}).items() if value is not None}
        witness = {name: given.pop(name) for name in WITNESS if name in given}
        return replace(
            self,
            rpc=rpc or self.rpc,
            database=database or self.database,
            terms={**self.terms, **given},
            **witness,
        )

    @property
    def agree(self) -> int | None:
        """How many operators of endpoints must agree; None: the smallest majority."""
        return int(self.terms["agree"]) if "agree" in self.terms else None

    def anchoring_terms(self) -> AnchoringTerms:
        """When batches are closed, and what may be paid; defaults where nothing was said."""
        from datetime import timedelta  # noqa: PLC0415

        from node.services.issuer import GWEI, AnchoringTerms  # noqa: PLC0415

        usual, said = AnchoringTerms(), self.terms
        return AnchoringTerms(
            batch_size=int(said.get("batch_size", usual.batch_size)),
            batch_age=timedelta(seconds=said["batch_age"]) if "batch_age" in said else usual.batch_age,
            max_fee_per_gas=int(said["max_fee"] * GWEI) if "max_fee" in said else usual.max_fee_per_gas,
            low_balance=int(said.get("low_balance", usual.low_balance)),
        )

    def keep_networks(self, file: Path | None) -> None:
        """Keep a copy of the operator's table, so that later commands need not be told again."""
        from node.commands.loading import load_networks  # noqa: PLC0415

        if file is not None:
            load_networks(file)  # a table that cannot be read shall not take the place of one that can
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_private(self.path / NETWORKS_FILE, _read(file))

    def networks(self) -> dict[int, Network]:
        """The operator's own table, empty where none was given."""
        from node.commands.loading import load_networks  # noqa: PLC0415

        file = self.path / NETWORKS_FILE
        return load_networks(file if file.is_file() else None)

    def has(self, name: str) -> bool:
        """Whether a file of that name is in the folder."""
        return (self.path / name).is_file()

    @property
    def database_url(self) -> str:
        """The database: the one that was named, else the file in the folder."""
        from node.storage.database import sqlite_url  # noqa: PLC0415

        return self.database or sqlite_url(self.path / DATABASE_FILE)


def _terms(body: object, path: Path) -> dict[str, float]:
    if body is None:
        return {}
    if isinstance(body, dict) and all(
        name in TERMS and type(value) in (int, float) and value >= 0 for name, value in body.items()
    ):
        return body
    raise Misconfigured(f"{path / SETTINGS_FILE}: terms are {', '.join(TERMS)}, each a number")


def write_private(file: Path, data: bytes) -> None:
    """Put `data` at `file` whole or not at all, readable for its owner alone."""
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        draft.unlink(missing_ok=True)
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "wb") as opened:  # noqa: PTH123 - the descriptor carries the mode
            opened.write(data)
            opened.flush()
            os.fsync(opened.fileno())
        draft.replace(file)
    except OSError as error:
        raise Misconfigured(f"{file} cannot be written: {error.strerror}") from error
    finally:
        draft.unlink(missing_ok=True)


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise Misconfigured(f"{file}: {error.strerror}") from error


@asynccontextmanager
async def open_issuer(folder: Folder, passphrase: str | None) -> AsyncIterator[Issuer]:
    """The issuer that lives in `folder`, its database and endpoint open until the end of the block.

    Keys are opened when they are first needed; without a passphrase, what needs one is Misconfigured. `chain` is None
    where no endpoint is known: then whatever needs one says so.
    """
    from node.commands.loading import load_standards  # noqa: PLC0415
    from node.services.issuer import Issuer, Keyring  # noqa: PLC0415
    from node.storage.database import open_database  # noqa: PLC0415

    async with AsyncExitStack() as stack:
        database = await open_database(folder.database_url)
        stack.push_async_callback(database.close)
        async with database.reading() as reading:
            settings = await reading.issuer.load()
        if settings is None:
            raise Misconfigured(f"{folder.path} holds no issuer yet: run `bonafides issuer init` again")
        standards = load_standards()
        chain = second = None
        if settings.chain is not None and folder.rpc is not None:
            networks = {**standards.networks, **folder.networks()}
            opening = open_chain(folder.rpc, networks, settings.chain, folder.agree)
            chain = await stack.enter_async_context(opening)
            second = await open_second(stack, folder, networks, settings.chain)
        keyring = Keyring(folder.path, passphrase)
        yield Issuer(
            database,
            settings,
            keyring,
            standards,
            chain,
            anchoring=folder.anchoring_terms(),
            second=second,
            status_by_default=folder.status,
        )


async def open_second(
    stack: AsyncExitStack, folder: Folder, networks: dict[int, Network], own: str
) -> SecondChain | None:
    """The second chain of which the folder was told, None where it was told of none. Misconfigured where it is none."""
    from node.services.issuer import SecondChain  # noqa: PLC0415

    rpc, name = folder.witness_rpc, folder.witness_network
    if rpc is None and name is None:
        return None
    if rpc is None or name is None:
        raise Misconfigured("a second chain needs both --witness-rpc and --witness-network")
    if name == own:
        raise Misconfigured(f"{name} is the chain of the issuer's DID: a second chain is another one")
    chain = await stack.enter_async_context(open_chain(rpc, networks, name))
    return SecondChain(chain, is_needed=folder.witness != "any")


@asynccontextmanager
async def open_chain(
    rpc: str, networks: dict[int, Network], name: str | None = None, agree: int | None = None
) -> AsyncIterator[ChainAccess]:
    """The chain behind endpoints: the one called `name` (CAIP-2), or whichever the first endpoint says it is.

    `rpc` holds them with blanks between, each URL or OPERATOR=URL; `agree` operators must say the same.
    """
    from node.core.evm.agreement import Endpoints  # noqa: PLC0415
    from node.core.evm.network import format_chain, parse_chain  # noqa: PLC0415
    from node.outbound.chain import ChainClient  # noqa: PLC0415
    from node.services.issuer import ChainAccess  # noqa: PLC0415

    endpoints = Endpoints.of(rpc.split(), agree)
    async with AsyncExitStack() as stack:
        client, *others = [
            await stack.enter_async_context(ChainClient(endpoint.url)) for endpoint in endpoints.every
        ]
        chain_id = parse_chain(name) if name is not None else await client.chain_id()
        network = networks.get(chain_id)
        if network is None:
            raise Misconfigured(
                f"{format_chain(chain_id)} is in no table of networks: give one with --networks"
            )
        yield ChainAccess(client, network, tuple(others), endpoints)
