"""`bonafides config check`: all that is wrong with the configuration of a role, before it is started."""

from __future__ import annotations

import click


@click.group()
def config() -> None:
    """Look at the configuration of a role, which comes from options and from the environment."""


@config.command()
@click.argument("role", type=click.Choice(["issuer", "verifier"]))
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.pass_context
def check(ctx: click.Context, role: str, as_json: bool) -> None:
    """Check the configuration of ROLE as `serve` would read it from the environment.

    Lists every fault at once; exit status 1 if there is one. Values are not shown, since some are secret.
    """
    from node.config import ROLES, check_config, describe  # noqa: PLC0415 - `--help` needs no settings

    faults = check_config(role)
    if as_json:
        import orjson  # noqa: PLC0415

        click.echo(orjson.dumps({"role": role, "faults": faults}).decode())
    elif faults:
        for fault in faults:
            click.echo(fault)
    else:
        click.echo(f"the configuration of the {role} can be used")
        for setting in describe(ROLES[role]):
            click.echo(f"  {setting.variable:<36} {setting.description}")
    ctx.exit(1 if faults else 0)
