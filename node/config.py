"""Configuration: one frozen object per role, checked whole at start, every fault in one go.

A setting comes from an option of the command line, else from the environment (`BONAFIDES_ISSUER_PORT`,
`BONAFIDES_VERIFIER_PORT`, …), else from a default that is safe and local. Secrets are named by the file that
holds them. Messages name settings and what is expected, never a value: a database URL may hold a password.
Only entry points import this module.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self, TypeVar
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from node.core.errors import Malformed, Misconfigured
from node.core.evm.agreement import Endpoints, parse_endpoint
from node.core.evm.checkpoint import parse_checkpoint_key
from node.core.evm.light_client.settings import LightClientSettings, light_client_settings
from node.core.keys import PublicKey
from node.core.verify.policy import Compromise

PREFIX: Final = "BONAFIDES_"
VERIFIER_DATABASE: Final = "verifier.sqlite3"
_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_NAMED: Final = re.compile(r"<([a-z_]+)>")
_DURATION: Final = re.compile(r"([1-9][0-9]{0,8})([smhd])\Z")


class ConfigFaults(Misconfigured):
    """The configuration is refused whole; `faults` has one line for each thing to mend."""

    def __init__(self, faults: list[str]) -> None:
        more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
        super().__init__(faults[0] + more)
        self.faults = tuple(faults)


def parse_duration(text: str) -> int:
    """Seconds of `90s`, `30m`, `24h` or `7d`; Misconfigured otherwise."""
    match = _DURATION.match(text)
    if match is None:
        raise Misconfigured("a duration is a number and one of s, m, h, d: 24h")
    return int(match[1]) * _UNITS[match[2]]


def _fault(detail: str) -> PydanticCustomError:
    """A fault of one setting; or of several together, each named in `detail` as `<name>`."""
    return PydanticCustomError("setting", "{detail}", {"detail": detail})


def _duration(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return parse_duration(value)
    except Misconfigured as error:
        raise _fault(error.detail) from error


def _existing_file(path: Path) -> Path:
    if not path.is_file():
        raise _fault("names no file")
    return path


def _is_url(text: str) -> bool:
    return "://" in text


def _file_or_url(text: object) -> str:
    if not _is_url(str(text)):
        return str(_existing_file(Path(str(text))))
    return _web_url(str(text))


def _web_url(url: str) -> str:
    parts = _split(url)
    if parts.username is not None or parts.query or parts.fragment:
        raise _fault("must be a URL without user, query and fragment")
    return url.rstrip("/")


def _words(value: object) -> object:
    return tuple(value.split()) if isinstance(value, str) else value


def _endpoint(text: str) -> str:
    try:
        parse_endpoint(text)
    except Misconfigured as error:
        raise _fault(error.detail) from error
    return text


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        if parts.scheme in ("http", "https") and parts.hostname and parts.port != 0:
            return parts
    except ValueError:
        pass
    raise _fault("must be an http or https URL")


def _sqlite_url(path: Path) -> str:
    from node.storage.database import sqlite_url  # noqa: PLC0415 - checking settings needs no database layer

    return sqlite_url(path)


Seconds = Annotated[int, BeforeValidator(_duration)]
ExistingFile = Annotated[Path, AfterValidator(_existing_file)]
FileOrUrl = Annotated[str, BeforeValidator(_file_or_url)]
WebUrl = Annotated[str, AfterValidator(_web_url)]
# Several in one variable stand with blanks between them, as click reads options that may be repeated.
Texts = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_words)]
EndpointTexts = Annotated[
    tuple[Annotated[str, AfterValidator(_endpoint)], ...], NoDecode, BeforeValidator(_words)
]


class ServerSettings(BaseSettings):
    """What every role that listens has."""

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", env_ignore_empty=True, validate_default=False, hide_input_in_errors=True
    )

    dir: Path = Field(Path(), description="Folder of the role: database, keys, everything it keeps.")
    database: str | None = Field(
        None,
        description="Database URL, postgresql+asyncpg://… or sqlite+aiosqlite:///FILE. Default: a file in dir.",
    )
    host: str = Field(
        "127.0.0.1", min_length=1, description="Address to listen on. Default: this machine only."
    )
    port: int = Field(0, ge=0, le=65_535, description="Port to listen on; 0 takes a free one.")
    public_url: WebUrl | None = Field(
        None, description="URL under which others reach this role. Default: made from host and port."
    )
    tls_cert: ExistingFile | None = Field(None, description="Certificate chain (PEM); needs tls_key.")
    tls_key: ExistingFile | None = Field(None, description="Private key of tls_cert (PEM).")
    rpc: EndpointTexts = Field(
        (),
        description="JSON-RPC endpoints of the chain, URL or OPERATOR=URL, with blanks between them. "
        "What a single endpoint says is trusted as far as it is.",
    )
    networks: ExistingFile | None = Field(
        None, description="More networks than the built-in table. Every network in it counts as production."
    )
    development: bool = Field(
        False,
        description="Admit loopback hosts and plain http through the egress guard. Never in production.",
    )

    @model_validator(mode="after")
    def _tls_is_a_pair(self) -> Self:
        if (self.tls_cert is None) != (self.tls_key is None):
            raise _fault("<tls_cert> and <tls_key> are given together")
        return self


class IssuerConfig(ServerSettings):
    """The issuer's configuration."""

    model_config = SettingsConfigDict(env_prefix=PREFIX + "ISSUER_")

    dir: Path = Field(Path("issuer"), description="Folder of the issuer, as `issuer init` made it.")
    port: int = Field(
        8080,
        ge=0,
        le=65_535,
        description="Port to listen on; 0 takes a free one. An issuer on loopback takes that of its URL.",
    )
    public_url: WebUrl | None = Field(
        None, description="URL under which wallets reach it. Default: the one that `issuer init` was given."
    )
    passphrase_file: ExistingFile | None = Field(
        None, description="File with the passphrase of the keys. Default: asked for at the terminal."
    )
    batch_size: int | None = Field(
        None,
        ge=1,
        le=1_000_000,
        description="Items that close a batch. Default: as at `issuer init`, else 1000.",
    )
    batch_age: int | None = Field(
        None, ge=0, description="Seconds after which a batch closes. Default: as at `issuer init`, else 60."
    )
    max_fee: float | None = Field(
        None,
        gt=0,
        description="Gwei that no transaction offers more than for gas. Default: as at init, else 200.",
    )
    agree: int | None = Field(
        None,
        ge=1,
        description="How many operators of endpoints must say the same. Default: the smallest majority.",
    )
    witness_rpc: EndpointTexts = Field(
        (),
        description="Endpoints of a second chain, as a further record of the time, with blanks between them.",
    )
    witness_network: str | None = Field(None, description="CAIP-2 id of the second chain.")
    witness: Literal["any", "all"] | None = Field(
        None, description="Which of two chains must have a batch before it is done. Default: all."
    )
    low_balance: int | None = Field(
        None,
        ge=0,
        description="Anchors that the writer should be able to pay for: below it is told. Default: 50.",
    )

    @property
    def database_url(self) -> str:
        """`database`, or the file `issuer.db` in `dir`."""
        return self.database or _sqlite_url(self.dir / "issuer.db")


class VerifierConfig(ServerSettings):
    """The verifier's configuration."""

    model_config = SettingsConfigDict(env_prefix=PREFIX + "VERIFIER_")

    port: int = Field(8803, ge=0, le=65_535, description="Port to listen on; 0 takes a free one.")
    mode: Literal["offline", "chain", "mirror"] | None = Field(
        None,
        description="What may be contacted: nothing, the chain endpoints, or also the mirror of checkpoint. "
        "Default: what the others need.",
    )
    policy: Literal["strict", "any-issuer-unsafe", "signature-only-unsafe"] = Field(
        "strict", description="What is accepted; the permissive ones say so in their names."
    )
    trust: ExistingFile | None = Field(
        None, description="Trust list. Without one no issuer is recognised and nothing is accepted by strict."
    )
    checkpoint: FileOrUrl | None = Field(
        None,
        description="Checkpoint file with trusted headers; trusted because it is named here. One at an https URL must "
        "be signed; its newest form stays in dir.",
    )
    checkpoint_key: Texts = Field(
        (),
        description="Multikey or did:key of whoever signs the checkpoint file at a URL; several with blanks.",
    )
    follow: bool = Field(
        False,
        description="Follow the chains of rpc, and answer from a proven copy of their registries alone.",
    )
    follow_domains: bool = Field(
        False,
        description="Ask sites and DNS of the issuers in trust once a day whether they are theirs; needs follow.",
    )
    max_header_age: Seconds = Field(
        86_400, ge=1, description="Age at which key and status are no longer told: 24h."
    )
    compromise: Compromise = Field(
        "fail",
        description="What becomes of a credential recorded since its key was stolen, but before its issuer said so: "
        "fail refuses it, dispute leaves it undetermined.",
    )
    challenge_seconds: Seconds = Field(
        300, ge=10, le=300, description="How long a challenge can be answered; five minutes at most."
    )
    max_open_requests: int = Field(
        10_000, ge=1, le=1_000_000, description="Challenges and requests that may wait for an answer at once."
    )
    reuse_port: bool = Field(
        False,
        description="Share the port with other processes of this verifier, all with the same folder or database.",
    )
    suite: bool = Field(
        False,
        description="Serve `/suite`, the VC API as interoperability suites expect it; not for the public.",
    )
    suite_keys: Path | None = Field(
        None,
        description="File with the seed of keys that issue under `/suite` for anybody; serves it, made when missing.",
    )

    agree: int | None = Field(
        None,
        ge=1,
        description="How many operators of endpoints must say the same. Default: the smallest majority.",
    )

    beacon: Texts = Field(
        (),
        description="Servers of the Beacon API for the light client, URL or @CHAIN=URL, with blanks between them.",
    )
    light_client_checkpoint: Texts = Field(
        (),
        description="Root of a final beacon block that is trusted, ROOT or @CHAIN=ROOT; at most two weeks old.",
    )

    @model_validator(mode="after")
    def _chain_needs_an_endpoint(self) -> Self:
        if self.mode == "chain" and not self.rpc:
            raise _fault("<mode> chain needs <rpc>")
        if self.follow and (not self.rpc or self.mode == "offline"):
            raise _fault("<follow> needs <rpc>, and another <mode> than offline")
        if self.follow_domains and not (self.follow and self.trust):
            raise _fault(
                "<follow_domains> needs <follow>, and <trust> with the issuers whose domains are asked"
            )
        return self

    @model_validator(mode="after")
    def _mirror_is_signed(self) -> Self:
        url = self.checkpoint_url
        if url is not None and not (url.startswith("https://") or self.development):
            raise _fault("<checkpoint> is fetched from an https URL")
        if url is not None and not self.checkpoint_key:
            raise _fault("<checkpoint> at a URL needs <checkpoint_key>")
        if url is not None and self.mode not in (None, "mirror"):
            raise _fault("<checkpoint> at a URL needs <mode> mirror")
        try:
            self.mirror_keys  # noqa: B018 - read, and so checked
        except Malformed as error:
            raise _fault(f"<checkpoint_key>: {error.detail}") from error
        return self

    @model_validator(mode="after")
    def _endpoints_can_agree(self) -> Self:
        try:
            Endpoints.of(self.rpc, self.agree)
        except Misconfigured as error:
            raise _fault(error.detail) from error
        return self

    @model_validator(mode="after")
    def _light_clients_are_whole(self) -> Self:
        try:
            _ = self.light_clients
        except Misconfigured as error:
            raise _fault(error.detail) from error
        return self

    @property
    def light_clients(self) -> tuple[LightClientSettings, ...]:
        """What `beacon` and `light_client_checkpoint` say."""
        return light_client_settings(self.beacon, self.light_client_checkpoint, with_endpoints=bool(self.rpc))

    @property
    def endpoints(self) -> Endpoints:
        """What `rpc` and `agree` say."""
        return Endpoints.of(self.rpc, self.agree)

    @property
    def checkpoint_url(self) -> str | None:
        """`checkpoint`, where it is a URL."""
        return self.checkpoint if self.checkpoint is not None and _is_url(self.checkpoint) else None

    @property
    def checkpoint_file(self) -> Path | None:
        """`checkpoint`, where it is a file."""
        return None if self.checkpoint is None or _is_url(self.checkpoint) else Path(self.checkpoint)

    @property
    def mirror_keys(self) -> tuple[PublicKey, ...]:
        """Of which one must have signed the file at `checkpoint_url`."""
        return tuple(map(parse_checkpoint_key, self.checkpoint_key))

    @property
    def reach(self) -> Literal["offline", "chain", "mirror"]:
        """`mode`, or what it is by default."""
        if self.mode is not None:
            return self.mode
        return "mirror" if self.checkpoint_url is not None else "chain" if self.rpc else "offline"

    @property
    def database_url(self) -> str:
        """`database`, or the file `verifier.sqlite3` in `dir`."""
        return self.database or _sqlite_url(self.dir / VERIFIER_DATABASE)


ROLES: Final[Mapping[str, type[ServerSettings]]] = {"issuer": IssuerConfig, "verifier": VerifierConfig}
C = TypeVar("C", bound=ServerSettings)


def load_config(role: type[C], **options: Any) -> C:
    """The configuration of a role; options that are None were not given. ConfigFaults with all that is wrong."""
    given = {name: value for name, value in options.items() if value is not None}
    unknown = _unknown_variables(role)
    try:
        config = role(**given)
    except ValidationError as error:
        raise ConfigFaults([_line(role, given, fault) for fault in error.errors()] + unknown) from None
    if unknown:
        raise ConfigFaults(unknown)
    return config


def check_config(role: str, **options: Any) -> list[str]:
    """What is wrong with the configuration of "issuer" or "verifier", one line each; empty if nothing is."""
    try:
        load_config(ROLES[role], **options)
    except ConfigFaults as error:
        return list(error.faults)
    return []


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting, as documentation shows it."""

    name: str
    variable: str
    default: str
    description: str


def describe(role: type[ServerSettings]) -> tuple[Setting, ...]:
    """All settings of a role, for the help, `config check` and the test that wants them documented."""
    return tuple(
        Setting(name, _variable(role, name), _shown(field.default), field.description or "")
        for name, field in role.model_fields.items()
    )


def _shown(default: object) -> str:
    return "" if default in (None, ()) else str(default)


def _prefix(role: type[ServerSettings]) -> str:
    return str(role.model_config.get("env_prefix", ""))


def _variable(role: type[ServerSettings], name: str) -> str:
    return _prefix(role) + name.upper()


def _line(role: type[ServerSettings], given: Mapping[str, Any], fault: Any) -> str:
    if not fault["loc"]:
        return _line_of_several(role, given, fault["msg"])
    name = str(fault["loc"][0])
    # Where it was given decides where somebody has to look.
    place = _option(name) if name in given else _variable(role, name)
    return f"{place}: {fault['msg'][:1].lower()}{fault['msg'][1:]}"


def _line_of_several(role: type[ServerSettings], given: Mapping[str, Any], detail: str) -> str:
    """Settings by their options to somebody who typed one of them, else by their variables."""
    names = _NAMED.findall(detail)
    if not names:
        return f"{_prefix(role)}*: {detail}"
    typed = any(name in given for name in names)
    return _NAMED.sub(lambda found: _option(found[1]) if typed else _variable(role, found[1]), detail)


def _option(name: str) -> str:
    # The one setting whose option is called otherwise.
    return "--url" if name == "public_url" else "--" + name.replace("_", "-")


def _unknown_variables(role: type[ServerSettings]) -> list[str]:
    """A mistyped variable would be passed over in silence, and the default taken for what was meant."""
    prefix = _prefix(role)
    known = {_variable(role, name) for name in role.model_fields}
    # Options of sub-commands have variables of their own, made by click: BONAFIDES_ISSUER_SERVE_HOST.
    commands = tuple(prefix + command + "_" for command in _COMMANDS)
    found = sorted(name for name in os.environ if name.startswith(prefix) and name not in known)
    return [f"{name}: no such setting" for name in found if not name.startswith(commands)]


_COMMANDS: Final = (
    "CHECKPOINT_MAKE",
    "CHECKPOINT_FETCH",
    "FOLLOW",
    "INIT",
    "SERVE",
    "ISSUE",
    "ANCHOR",
    "REVOKE",
    "SUSPEND",
    "REINSTATE",
    "KEY",
    "TOKEN",
    "STATUS",
    "EXPORT",
)
