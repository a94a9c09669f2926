"""A replica of the registries of the chains that a verifier follows."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make its tables."""
    op.create_table(
        "replica_heads",
        sa.Column("chain_id", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("genesis", sa.LargeBinary, nullable=False),
        sa.Column("registry", sa.LargeBinary, nullable=False),
        sa.Column("followed", sa.BigInteger, nullable=False),
        sa.Column("proven", sa.BigInteger),
        sa.Column("fault", sa.Text),
        sa.PrimaryKeyConstraint("chain_id", name="pk_replica_heads"),
    )
    op.create_table(
        "replica_headers",
        sa.Column("chain_id", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("number", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("hash", sa.LargeBinary, nullable=False),
        sa.Column("raw", sa.LargeBinary, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("strength", sa.Integer, nullable=False),
        sa.Column("is_whole", sa.Boolean, nullable=False),
        sa.Column("is_sound", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("chain_id", "number", name="pk_replica_headers"),
    )
    op.create_table(
        "replica_words",
        sa.Column("chain_id", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("path", sa.LargeBinary, nullable=False),
        sa.Column("word", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("chain_id", "path", name="pk_replica_words"),
    )
    op.create_table(
        "replica_writes",
        sa.Column("chain_id", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("path", sa.LargeBinary, nullable=False),
        sa.Column("block_number", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("slot", sa.LargeBinary, nullable=False),
        sa.Column("identity", sa.LargeBinary, nullable=False),
        sa.Column("before", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("chain_id", "path", "block_number", name="pk_replica_writes"),
    )
    op.create_index("ix_replica_writes_block_number", "replica_writes", ["block_number"])
    op.create_table(
        "replica_identities",
        sa.Column("chain_id", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("identity", sa.LargeBinary, nullable=False),
        sa.Column("proven", sa.BigInteger),
        sa.Column("fault", sa.Text),
        sa.Column("wants_history", sa.Boolean, nullable=False),
        sa.Column("history", sa.LargeBinary),
        sa.Column("history_number", sa.BigInteger),
        sa.Column("history_agreed", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("chain_id", "identity", name="pk_replica_identities"),
    )
