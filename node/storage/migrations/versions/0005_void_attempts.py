"""A call may be signed anew by another writer; what the former one signed for it is void."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Nothing was void before."""
    op.add_column("attempts", sa.Column("is_void", sa.Boolean, nullable=False, server_default=sa.false()))
