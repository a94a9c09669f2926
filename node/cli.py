"""The command `bonafides`: finds its sub-commands, and turns errors into one line and an exit status.

Sub-commands are entry points of the group `bonafides.commands` and are imported when they are named, so that
`bonafides --help` is quick and the node never imports the wallet.
"""

from __future__ import annotations

import errno
import sys
from importlib.metadata import EntryPoint, entry_points, version
from typing import Any, Final

import click

from node.core.errors import BonafidesError, Malformed, Misconfigured, Unavailable

GROUP: Final = "bonafides.commands"
VARIABLES: Final = "BONAFIDES"
# What each sub-command is for, so that the help of all need not import any of them.
_SUMMARIES: Final = {
    "audit": "List every write of an identity on its chain, none missing.",
    "chain": "Run the embedded chain, or tell it to mine.",
    "config": "Check the configuration of a role.",
    "demo": "Show the whole loop: issue, anchor, hold, present, verify, revoke.",
    "did": "Resolve a DID, as it is or as it was.",
    "issuer": "Issue, anchor, revoke and suspend credentials; serve wallets.",
    "suite": "Answer the W3C's interoperability suite for VC-JOSE-COSE.",
    "verifier": "Serve the verifier's endpoint and page.",
    "verify": "Judge files: credentials, bundles, presentations, badge images.",
    "wallet": "Receive, keep, back up and present credentials.",
}
EXIT_FAILED: Final = 1
EXIT_USAGE: Final = 2
_DISK_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def name_variables(command: click.Command, prefix: str) -> None:
    """Name the environment variable of every option after command and option: BONAFIDES_ISSUER_INIT_DIR.

    By itself click takes the name of the function's parameter, which nobody sees. A variable that the option names
    itself, shared by the commands of a role, stays and comes second.
    """
    if isinstance(command, click.Group):
        for name, sub_command in command.commands.items():
            name_variables(sub_command, f"{prefix}_{_capitals(name)}")
    for parameter in command.params:
        if isinstance(parameter, click.Option) and parameter.allow_from_autoenv:
            own = f"{prefix}_{_capitals(max(parameter.opts, key=len).lstrip('-'))}"
            shared = parameter.envvar or ()
            shared = [shared] if isinstance(shared, str) else shared
            parameter.envvar = [own, *(name for name in shared if name != own)]


def _capitals(name: str) -> str:
    return name.upper().replace("-", "_")


class LazyGroup(click.Group):
    """A group whose commands are entry points, each imported when it is named."""

    def _points(self) -> dict[str, EntryPoint]:
        return {point.name: point for point in entry_points(group=GROUP)}

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """The names of the installed commands."""
        return sorted(self._points())

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """The command, imported now."""
        point = self._points().get(cmd_name)
        if point is None:
            return None
        command = point.load()
        if not isinstance(command, click.Command):
            return None
        name_variables(command, f"{VARIABLES}_{_capitals(cmd_name)}")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, _SUMMARIES.get(name, "")) for name in sorted(self._points())])


@click.group(
    cls=LazyGroup,
    context_settings={
        "auto_envvar_prefix": VARIABLES,
        "show_default": True,
        "help_option_names": ["-h", "--help"],
        "max_content_width": 110,
    },
    epilog="Each option can also be set by the environment variable that its help names.",
)
@click.version_option(version("bonafides"), prog_name="bonafides")
def bonafides() -> None:
    """Verifiable micro-credentials with evidence: issue, hold, and verify without asking the issuer.

    `bonafides demo` shows all of it in a minute. `bonafides verify FILE` judges what somebody gave you.
    """


def main(arguments: list[str] | None = None) -> Any:
    """Entry point of the console script."""
    try:
        return bonafides.main(args=arguments, standalone_mode=False) or 0
    except click.exceptions.Exit as leaving:
        return leaving.exit_code
    except click.Abort:
        click.echo("bonafides: interrupted", err=True)
        return 130
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except BonafidesError as error:
        return _tell(error)
    except OSError as error:
        if error.errno not in _DISK_FULL:
            raise
        # A report that could not be written must not end as if something had been refused.
        click.echo(f"bonafides: could not write: {error.strerror}", err=True)
        return EXIT_USAGE


def _tell(error: BonafidesError) -> int:
    """One lower-case line for the error, and a hint on its own line where there is one."""
    # Names of members, and words of servers, are anybody's: they must not steer the terminal.
    line = "".join(char if char.isprintable() else " " for char in error.located)
    click.echo(f"bonafides: {line}", err=True)
    if isinstance(error, Unavailable) and error.asked:
        click.echo(f"hint: asked {error.asked}", err=True)
    return EXIT_USAGE if isinstance(error, Malformed | Misconfigured) else EXIT_FAILED


if __name__ == "__main__":
    sys.exit(main())
