"""What was found of the domains of issuers."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Make its table."""
    op.create_table(
        "domain_links",
        sa.Column("did", sa.Text, nullable=False),
        sa.Column("origin", sa.Text, nullable=False),
        sa.Column("how", sa.String(32), nullable=False),
        sa.Column("outcome", sa.String(32), nullable=False),
        sa.Column("checked", sa.DateTime(timezone=True), nullable=False),
        sa.Column("confirmed", sa.DateTime(timezone=True)),
        sa.Column("fault", sa.Text),
        sa.PrimaryKeyConstraint("did", "origin", "how", name="pk_domain_links"),
    )
