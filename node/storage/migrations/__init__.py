"""Steps from one release's tables to the next, forward only, run whenever a database is opened.

A step is never edited after its release: databases that have taken it will not take it again. The test
opens a database of every earlier release and compares what the steps make with what the modules declare.
"""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.engine import Connection

from node.core.errors import Misconfigured


def upgrade(connection: Connection) -> None:
    """Take the steps that are missing, inside the caller's transaction: all of them or none."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["connection"] = connection
    script = ScriptDirectory.from_config(config)
    known = {step.revision for step in script.walk_revisions()}
    for revision in MigrationContext.configure(connection).get_current_heads():
        if revision not in known:
            raise Misconfigured("the database was made by a later release of bonafides: upgrade this one")
    command.upgrade(config, "head")
