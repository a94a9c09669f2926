"""`bonafides verifier serve`: the endpoint and the page that judge."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from node.commands.endpoints import naming_endpoints
from node.commands.verifier_checkpoint import checkpoint
from node.commands.verifier_folder import folder_option, make_folder
from node.commands.verifier_follow import follow
from node.commands.verifier_list import read_list
from node.core.errors import Misconfigured

if TYPE_CHECKING:
    from aiohttp.web import Application

    from node.config import VerifierConfig
    from node.core.verify.verifier import Verifier
    from node.web.serve import AppFactory

_SEVERAL: Final = ("rpc", "beacon", "light_client_checkpoint", "checkpoint_key")
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group()
def verifier() -> None:
    """Judge what people show you: by a page, an endpoint, and requests to wallets."""


verifier.add_command(checkpoint)
verifier.add_command(follow)
verifier.add_command(read_list)


@verifier.command()
@folder_option
@click.option("--database", metavar="URL", show_envvar=True, help="PostgreSQL instead of a file in --dir.")
@click.option("--host", show_envvar=True, help="Address to listen on.  [default: 127.0.0.1]")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    show_envvar=True,
    help="Port to listen on; 0 takes a free one.  [default: 8803]",
)
@click.option(
    "--url",
    "public_url",
    metavar="URL",
    show_envvar=True,
    help="Where browsers and wallets reach it.  [default: made of host and port]",
)
@click.option("--tls-cert", type=_FILE, show_envvar=True, help="Certificate chain (PEM).")
@click.option("--tls-key", type=_FILE, show_envvar=True, help="Private key of --tls-cert (PEM).")
@naming_endpoints
@click.option(
    "--beacon",
    multiple=True,
    metavar="[@CHAIN=]URL",
    show_envvar=True,
    help="Server of the Beacon API, for the light client; proven, so any will do.",
)
@click.option(
    "--light-client-checkpoint",
    multiple=True,
    metavar="[@CHAIN=]ROOT",
    show_envvar=True,
    help="Root of a final beacon block that you trust, at most two weeks old; what is learned since stays in --dir.",
)
@click.option(
    "--follow",
    is_flag=True,
    default=None,
    show_envvar=True,
    help="Keep a proven copy of the registries of these chains and answer from it: no check opens a connection.",
)
@click.option(
    "--follow-domains",
    is_flag=True,
    default=None,
    show_envvar=True,
    help="With --follow and --trust: ask the sites and the DNS of recognised issuers once a day, whatever is checked, "
    "whether they are theirs; told beside the issuer.",
)
@click.option("--networks", type=_FILE, show_envvar=True, help="Your own table of networks.")
@click.option("--trust", type=_FILE, show_envvar=True, help="Your list of recognised issuers.")
@click.option(
    "--checkpoint",
    metavar="FILE|URL",
    show_envvar=True,
    help="File of block hashes that you trust. One at an https URL must be signed, and is asked for every hour.",
)
@click.option(
    "--checkpoint-key",
    multiple=True,
    metavar="KEY",
    show_envvar=True,
    help="Whose signature a checkpoint file from a URL must carry: a Multikey or did:key.",
)
@click.option(
    "--mode",
    type=click.Choice(["offline", "chain", "mirror"]),
    show_envvar=True,
    help="What may be opened: nothing, the chain endpoints, also the URL of --checkpoint.  "
    "[default: what the other options need]",
)
@click.option(
    "--policy",
    show_envvar=True,
    help="strict, any-issuer-unsafe or signature-only-unsafe.  [default: strict]",
)
@click.option(
    "--max-header-age",
    show_envvar=True,
    metavar="SPAN",
    help="How old the proof of key and status may be: 90s, 30m, 24h, 7d.  [default: 24h]",
)
@click.option(
    "--compromise",
    type=click.Choice(["fail", "dispute"]),
    show_envvar=True,
    help="What becomes of a credential that was recorded since its key was stolen, by the issuer's word, but before "
    "the issuer said so: fail refuses it; dispute leaves it undetermined, for a person to look at, since an issuer "
    "could say so to be rid of it.  [default: fail]",
)
@click.option(
    "--name", metavar="TEXT", show_envvar=True, help="Your name, as wallets show it to their holders."
)
@click.option("--development", is_flag=True, default=None, help="Admit loopback hosts and plain http.")
@click.option(
    "--reuse-port",
    is_flag=True,
    default=None,
    show_envvar=True,
    help="Share the port with other processes of this verifier. A file that somebody's document showed can then be "
    "downloaded from the process that judged it alone.",
)
@click.option(
    "--suite",
    is_flag=True,
    default=None,
    show_envvar=True,
    help="Serve /suite, the VC API as the W3C's interoperability suites expect it.",
)
@click.option(
    "--suite-keys",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    show_envvar=True,
    help="--suite, and issue there for anybody, by a did:key of each key type drawn from the seed in FILE; "
    "made when missing.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the ready line as JSON.")
def serve(folder: Path, name: str | None, as_json: bool, **options: Any) -> None:
    """Serve the verifier until SIGTERM or SIGINT; prints its URL when it is ready.

    Without a trust list no issuer is recognised, so nothing is accepted by the strict policy.
    """
    # Imported here: `--help` needs none of it.
    from node.config import VerifierConfig, load_config  # noqa: PLC0415
    from node.web.serve import TlsFiles, print_ready, run_app  # noqa: PLC0415

    several = {name: options[name] or None for name in _SEVERAL}
    config = load_config(VerifierConfig, dir=folder, **{**options, **several})
    run_app(
        _application(config, name),
        config.host,
        config.port,
        tls=TlsFiles.of(config.tls_cert, config.tls_key),
        ready=print_ready(as_json=as_json),
        reuse_port=config.reuse_port,
    )


def _application(config: VerifierConfig, name: str | None) -> AppFactory:
    """The application, as soon as it is known at which URL it is served; all files are read before."""
    from node.services.checkpoints import Mirror  # noqa: PLC0415
    from node.services.suite.keys import read_seed  # noqa: PLC0415
    from node.web.verifier import VerifierOptions, make_verifier_app  # noqa: PLC0415

    judge = _judge(config)
    make_folder(config.dir)
    mirror = None
    if config.checkpoint_url is not None:
        mirror = Mirror(config.checkpoint_url, config.mirror_keys, config.dir / "checkpoint.json")
    seed = read_seed(config.suite_keys) if config.suite_keys is not None else None

    def make_app(served_url: str) -> Application:
        return make_verifier_app(
            VerifierOptions(
                public_url=_public_url(config.public_url or served_url, development=config.development),
                database_url=config.database_url,
                verifier=judge,
                endpoints=config.endpoints,
                light_clients=config.light_clients,
                folder=config.dir,
                follow=config.follow,
                follow_domains=config.follow_domains,
                mirror=mirror,
                name=name,
                development=config.development,
                request_seconds=config.challenge_seconds,
                max_open_requests=config.max_open_requests,
                suite=config.suite or seed is not None,
                suite_seed=seed,
            )
        )

    return make_app


def _judge(config: VerifierConfig) -> Verifier:
    from node.commands.loading import load_verifier  # noqa: PLC0415
    from node.core.verify.materials import Mode  # noqa: PLC0415
    from node.core.verify.policy import named_policy  # noqa: PLC0415

    policy = named_policy(config.policy).limited_to(config.max_header_age)
    return load_verifier(
        config.networks,
        config.trust,
        checkpoints=[config.checkpoint_file] if config.checkpoint_file else [],
        policy=policy.judging_compromise(config.compromise),
        mode=Mode(config.reach),
    )


def _public_url(url: str, *, development: bool) -> str:
    """https, unless this is for development: wallets send there what their holders show."""
    if not url.startswith("https://") and not development:
        raise Misconfigured(
            f"{url} is not https: give --tls-cert and --tls-key, or --url of the proxy in front, "
            "or --development to try it on this machine"
        )
    return url
