"""Steps from one release's tables to the next, forward only, run whenever a database is opened.

A step is never edited after its release: databases that have taken it will not take it again. The test
opens a database of every earlier release and compares what the steps make with what the modules declare.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import inspect, text
from sqlalchemy.engine import Connection

from node.core.errors import Misconfigured

_FOLDER = Path(__file__).parent


def upgrade(connection: Connection) -> None:
    """Take the steps that are missing, inside the caller's transaction: all of them or none."""
    if _taken(connection) == newest():
        return
    # Here and not above: nearly always there is nothing to do, and Alembic takes its time to import.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415
    from alembic.runtime.migration import MigrationContext  # noqa: PLC0415
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.attributes["connection"] = connection
    script = ScriptDirectory.from_config(config)
    known = {step.revision for step in script.walk_revisions()}
    for revision in MigrationContext.configure(connection).get_current_heads():
        if revision not in known:
            raise Misconfigured("the database was made by a later release of bonafides: upgrade this one")
    command.upgrade(config, "head")


def newest() -> str:
    """The revision of the last step: what its file's name begins with."""
    return max(path.name.partition("_")[0] for path in (_FOLDER / "versions").glob("[0-9]*_*.py"))


def _taken(connection: Connection) -> str | None:
    """The revision that the database says it has, if it says one."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found = connection.execute(text("SELECT version_num FROM alembic_version")).scalars().all()
    return found[0] if len(found) == 1 else None
