"""Calls belong to a chain and cost gas; batches may be anchored on another chain as well."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

SERIAL: Final = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add them; what was there is of the chain of the DID."""
    op.add_column("outbox", sa.Column("chain", sa.String(length=64), nullable=False, server_default=""))
    op.add_column("outbox", sa.Column("gas_used", sa.BigInteger))
    op.add_column("outbox", sa.Column("gas_price", sa.BigInteger))
    op.drop_index("uq_outbox_sender_nonce", "outbox")
    op.create_index("uq_outbox_chain_sender_nonce", "outbox", ["chain", "sender", "nonce"], unique=True)
    op.create_table(
        "next_nonces",
        sa.Column("chain", sa.String(length=64), nullable=False),
        sa.Column("sender", sa.LargeBinary, nullable=False),
        sa.Column("next_nonce", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("chain", "sender", name="pk_next_nonces"),
    )
    op.execute("INSERT INTO next_nonces SELECT '', sender, next_nonce FROM senders")
    op.drop_table("senders")
    op.create_table(
        "witness_anchors",
        sa.Column("batch_id", SERIAL, nullable=False),
        sa.Column("chain", sa.String(length=64), nullable=False),
        sa.Column("transaction_id", SERIAL, nullable=False),
        sa.ForeignKeyConstraint(["batch_id"], ["batches.id"], name="fk_witness_anchors_batch_id"),
        sa.ForeignKeyConstraint(["transaction_id"], ["outbox.id"], name="fk_witness_anchors_transaction_id"),
        sa.PrimaryKeyConstraint("batch_id", "chain", name="pk_witness_anchors"),
        sa.UniqueConstraint("transaction_id", name="uq_witness_anchors_transaction_id"),
    )
