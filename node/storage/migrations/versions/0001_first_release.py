"""The tables of the first release."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

# Spelled out here and not imported: the modules move on, a step that was taken does not.
SERIAL: Final = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
STAMP: Final = sa.DateTime(timezone=True)
CHOICE: Final = sa.String(32)


def upgrade() -> None:
    """Make them."""
    op.create_table(
        "api_tokens",
        sa.Column("id", SERIAL, autoincrement=True, nullable=False),
        sa.Column("token_hash", sa.LargeBinary, nullable=False),
        sa.Column("label", sa.String(length=200), nullable=False),
        sa.Column("roles", sa.JSON, nullable=False),
        sa.Column("created_at", STAMP, nullable=False),
        sa.Column("expires_at", STAMP),
        sa.Column("revoked_at", STAMP),
        sa.PrimaryKeyConstraint("id", name="pk_api_tokens"),
        sa.UniqueConstraint("token_hash", name="uq_api_tokens_token_hash"),
    )
    op.create_table(
        "bundles",
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("header_number", sa.BigInteger, nullable=False),
        sa.Column("header_hash", sa.LargeBinary, nullable=False),
        sa.Column("proven_at", STAMP, nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_bundles"),
    )
    op.create_table(
        "credentials",
        sa.Column("credential_id", sa.Text, nullable=False),
        sa.Column("cohort", sa.Text, nullable=False),
        sa.Column("row_key", sa.Text, nullable=False),
        sa.Column("content_digest", sa.LargeBinary, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("subject_did", sa.Text),
        sa.Column("state", CHOICE, nullable=False),
        sa.Column("evidence_size", sa.Integer, nullable=False),
        sa.Column("evidence_root", sa.LargeBinary),
        sa.Column("created_at", STAMP, nullable=False),
        sa.Column("document", sa.LargeBinary),
        sa.Column("digest", sa.LargeBinary),
        sa.Column("key_multibase", sa.Text),
        sa.Column("signed_at", STAMP),
        sa.PrimaryKeyConstraint("credential_id", name="pk_credentials"),
        sa.UniqueConstraint("cohort", "row_key", name="uq_credentials_cohort_row_key"),
        sa.UniqueConstraint("digest", name="uq_credentials_digest"),
    )
    op.create_index("ix_credentials_key_multibase", "credentials", ["key_multibase"])
    op.create_index("ix_credentials_state", "credentials", ["state"])
    op.create_table(
        "issuer",
        sa.Column("only", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("did", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("chain", sa.Text),
        sa.Column("identity", sa.LargeBinary),
        sa.Column("did_registry", sa.LargeBinary),
        sa.Column("credential_registry", sa.LargeBinary),
        sa.Column("created_at", STAMP, nullable=False),
        sa.PrimaryKeyConstraint("only", name="pk_issuer"),
    )
    op.create_table(
        "keys",
        sa.Column("id", SERIAL, autoincrement=True, nullable=False),
        sa.Column("multibase", sa.Text, nullable=False),
        sa.Column("role", CHOICE, nullable=False),
        sa.Column("uri", sa.Text, nullable=False),
        sa.Column("verification_method", sa.Text),
        sa.Column("delegate", sa.Integer),
        sa.Column("state", CHOICE, nullable=False),
        sa.Column("valid_from", sa.BigInteger),
        sa.Column("valid_until", sa.BigInteger),
        sa.Column("created_at", STAMP, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_keys"),
        sa.UniqueConstraint("multibase", name="uq_keys_multibase"),
    )
    op.create_table(
        "nonces",
        sa.Column("purpose", CHOICE, nullable=False),
        sa.Column("nonce_hash", sa.LargeBinary, nullable=False),
        sa.Column("expires_at", STAMP, nullable=False),
        sa.Column("used_at", STAMP),
        sa.PrimaryKeyConstraint("purpose", "nonce_hash", name="pk_nonces"),
    )
    op.create_index("ix_nonces_expires_at", "nonces", ["expires_at"])
    op.create_table(
        "outbox",
        sa.Column("id", SERIAL, autoincrement=True, nullable=False),
        sa.Column("purpose", sa.String(length=64), nullable=False),
        sa.Column("sender", sa.LargeBinary, nullable=False),
        sa.Column("to", sa.LargeBinary),
        sa.Column("data", sa.LargeBinary, nullable=False),
        sa.Column("state", CHOICE, nullable=False),
        sa.Column("nonce", sa.BigInteger),
        sa.Column("transaction_hash", sa.LargeBinary),
        sa.Column("block_number", sa.BigInteger),
        sa.Column("block_hash", sa.LargeBinary),
        sa.Column("fault", sa.Text),
        sa.Column("created_at", STAMP, nullable=False),
        sa.Column("changed_at", STAMP, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_outbox"),
    )
    op.create_index("ix_outbox_state", "outbox", ["state"])
    op.create_index("uq_outbox_sender_nonce", "outbox", ["sender", "nonce"], unique=True)
    op.create_table(
        "presentation_requests",
        sa.Column("id_hash", sa.LargeBinary, nullable=False),
        sa.Column("state_hash", sa.LargeBinary, nullable=False),
        sa.Column("nonce", sa.Text, nullable=False),
        sa.Column("request", sa.LargeBinary, nullable=False),
        sa.Column("created_at", STAMP, nullable=False),
        sa.Column("expires_at", STAMP, nullable=False),
        sa.Column("taken_at", STAMP),
        sa.Column("report", sa.LargeBinary),
        sa.Column("response_code_hash", sa.LargeBinary),
        sa.Column("answered_at", STAMP),
        sa.PrimaryKeyConstraint("id_hash", name="pk_presentation_requests"),
        sa.UniqueConstraint("state_hash", name="uq_presentation_requests_state_hash"),
    )
    op.create_index("ix_presentation_requests_expires_at", "presentation_requests", ["expires_at"])
    op.create_table(
        "senders",
        sa.Column("sender", sa.LargeBinary, nullable=False),
        sa.Column("next_nonce", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("sender", name="pk_senders"),
    )
    op.create_table(
        "attempts",
        sa.Column("id", SERIAL, autoincrement=True, nullable=False),
        sa.Column("entry_id", SERIAL, nullable=False),
        sa.Column("transaction_hash", sa.LargeBinary, nullable=False),
        sa.Column("raw", sa.LargeBinary, nullable=False),
        sa.Column("nonce", sa.BigInteger, nullable=False),
        sa.Column("signed_at", STAMP, nullable=False),
        sa.ForeignKeyConstraint(["entry_id"], ["outbox.id"], name="fk_attempts_entry_id"),
        sa.PrimaryKeyConstraint("id", name="pk_attempts"),
        sa.UniqueConstraint("transaction_hash", name="uq_attempts_transaction_hash"),
    )
    op.create_index("ix_attempts_entry_id", "attempts", ["entry_id"])
    op.create_table(
        "batches",
        sa.Column("id", SERIAL, autoincrement=True, nullable=False),
        sa.Column("commitment", sa.LargeBinary, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("root", sa.LargeBinary, nullable=False),
        sa.Column("sealed_at", STAMP, nullable=False),
        sa.Column("transaction_id", SERIAL),
        sa.ForeignKeyConstraint(["transaction_id"], ["outbox.id"], name="fk_batches_transaction_id"),
        sa.PrimaryKeyConstraint("id", name="pk_batches"),
        sa.UniqueConstraint("commitment", name="uq_batches_commitment"),
        sa.UniqueConstraint("transaction_id", name="uq_batches_transaction_id"),
    )
    op.create_table(
        "evidence_items",
        sa.Column("credential_id", sa.Text, nullable=False),
        sa.Column("index", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("leaf", sa.LargeBinary, nullable=False),
        sa.Column("salt", sa.LargeBinary),
        sa.Column("name", sa.Text),
        sa.Column("media_type", sa.String(length=255)),
        sa.Column("genre", sa.Text),
        sa.Column("data", sa.LargeBinary),
        sa.Column("erased_at", STAMP),
        sa.ForeignKeyConstraint(
            ["credential_id"], ["credentials.credential_id"], name="fk_evidence_items_credential_id"
        ),
        sa.PrimaryKeyConstraint("credential_id", "index", name="pk_evidence_items"),
    )
    op.create_table(
        "offers",
        sa.Column("id", sa.String(length=200), nullable=False),
        sa.Column("credential_id", sa.Text, nullable=False),
        sa.Column("configuration_id", sa.String(length=200), nullable=False),
        sa.Column("code_hash", sa.LargeBinary, nullable=False),
        sa.Column("tx_code_hash", sa.LargeBinary),
        sa.Column("tx_code_failures", sa.Integer, nullable=False),
        sa.Column("state", CHOICE, nullable=False),
        sa.Column("created_at", STAMP, nullable=False),
        sa.Column("expires_at", STAMP, nullable=False),
        sa.ForeignKeyConstraint(
            ["credential_id"], ["credentials.credential_id"], name="fk_offers_credential_id"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_offers"),
        sa.UniqueConstraint("code_hash", name="uq_offers_code_hash"),
    )
    op.create_index("ix_offers_credential_id", "offers", ["credential_id"])
    op.create_table(
        "status_lists",
        sa.Column("list_id", sa.LargeBinary, nullable=False),
        sa.Column("purpose", sa.String(length=64), nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("mode", CHOICE, nullable=False),
        sa.Column("log2_entries", sa.Integer, nullable=False),
        sa.Column("status_size", sa.Integer, nullable=False),
        sa.Column("transaction_id", SERIAL),
        sa.Column("opened_block", sa.BigInteger),
        sa.Column("is_open", sa.Boolean, nullable=False),
        sa.Column("allocated", sa.Integer, nullable=False),
        sa.Column("created_at", STAMP, nullable=False),
        sa.Column("document", sa.LargeBinary),
        sa.Column("signed_at", STAMP),
        sa.Column("valid_until", STAMP),
        sa.ForeignKeyConstraint(["transaction_id"], ["outbox.id"], name="fk_status_lists_transaction_id"),
        sa.PrimaryKeyConstraint("list_id", name="pk_status_lists"),
        sa.UniqueConstraint("url", name="uq_status_lists_url"),
    )
    op.create_table(
        "access_tokens",
        sa.Column("token_hash", sa.LargeBinary, nullable=False),
        sa.Column("offer_id", sa.String(length=200), nullable=False),
        sa.Column("expires_at", STAMP, nullable=False),
        sa.ForeignKeyConstraint(["offer_id"], ["offers.id"], name="fk_access_tokens_offer_id"),
        sa.PrimaryKeyConstraint("token_hash", name="pk_access_tokens"),
    )
    op.create_index("ix_access_tokens_expires_at", "access_tokens", ["expires_at"])
    op.create_table(
        "anchor_items",
        sa.Column("id", SERIAL, autoincrement=True, nullable=False),
        sa.Column("kind", sa.SmallInteger, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("added_at", STAMP, nullable=False),
        sa.Column("batch_id", SERIAL),
        sa.Column("salt", sa.LargeBinary),
        sa.Column("index", sa.BigInteger),
        sa.Column("path", sa.LargeBinary),
        sa.ForeignKeyConstraint(["batch_id"], ["batches.id"], name="fk_anchor_items_batch_id"),
        sa.PrimaryKeyConstraint("id", name="pk_anchor_items"),
        sa.UniqueConstraint("kind", "digest", name="uq_anchor_items_kind_digest"),
    )
    op.create_index("ix_anchor_items_batch_id", "anchor_items", ["batch_id"])
    op.create_table(
        "deferred",
        sa.Column("transaction_hash", sa.LargeBinary, nullable=False),
        sa.Column("offer_id", sa.String(length=200), nullable=False),
        sa.Column("created_at", STAMP, nullable=False),
        sa.Column("delivered_at", STAMP),
        sa.ForeignKeyConstraint(["offer_id"], ["offers.id"], name="fk_deferred_offer_id"),
        sa.PrimaryKeyConstraint("transaction_hash", name="pk_deferred"),
    )
    op.create_table(
        "notifications",
        sa.Column("notification_hash", sa.LargeBinary, nullable=False),
        sa.Column("offer_id", sa.String(length=200), nullable=False),
        sa.Column("event", sa.String(length=64)),
        sa.Column("description", sa.Text),
        sa.Column("received_at", STAMP),
        sa.ForeignKeyConstraint(["offer_id"], ["offers.id"], name="fk_notifications_offer_id"),
        sa.PrimaryKeyConstraint("notification_hash", name="pk_notifications"),
    )
    op.create_index("ix_notifications_offer_id", "notifications", ["offer_id"])
    op.create_table(
        "status_changes",
        sa.Column("id", SERIAL, autoincrement=True, nullable=False),
        sa.Column("credential_id", sa.Text, nullable=False),
        sa.Column("list_id", sa.LargeBinary, nullable=False),
        sa.Column("purpose", sa.String(length=64), nullable=False),
        sa.Column("index", sa.Integer, nullable=False),
        sa.Column("word", sa.Integer, nullable=False),
        sa.Column("value", sa.Integer, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("requested_by", sa.Text, nullable=False),
        sa.Column("requested_at", STAMP, nullable=False),
        sa.Column("state", CHOICE, nullable=False),
        sa.Column("transaction_id", SERIAL),
        sa.ForeignKeyConstraint(["list_id"], ["status_lists.list_id"], name="fk_status_changes_list_id"),
        sa.ForeignKeyConstraint(["transaction_id"], ["outbox.id"], name="fk_status_changes_transaction_id"),
        sa.PrimaryKeyConstraint("id", name="pk_status_changes"),
    )
    op.create_index("ix_status_changes_credential_id", "status_changes", ["credential_id"])
    op.create_index("ix_status_changes_list_id_word", "status_changes", ["list_id", "word"])
    op.create_index("ix_status_changes_transaction_id", "status_changes", ["transaction_id"])
    op.create_table(
        "status_indexes",
        sa.Column("list_id", sa.LargeBinary, nullable=False),
        sa.Column("index", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("credential_id", sa.Text, nullable=False),
        sa.ForeignKeyConstraint(["list_id"], ["status_lists.list_id"], name="fk_status_indexes_list_id"),
        sa.PrimaryKeyConstraint("list_id", "index", name="pk_status_indexes"),
        sa.UniqueConstraint("list_id", "credential_id", name="uq_status_indexes_list_id_credential_id"),
    )
    op.create_index("ix_status_indexes_credential_id", "status_indexes", ["credential_id"])
    op.create_table(
        "status_words",
        sa.Column("list_id", sa.LargeBinary, nullable=False),
        sa.Column("word", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("current", sa.LargeBinary, nullable=False),
        sa.Column("desired", sa.LargeBinary, nullable=False),
        sa.Column("sent", sa.LargeBinary),
        sa.Column("transaction_id", SERIAL),
        sa.ForeignKeyConstraint(["list_id"], ["status_lists.list_id"], name="fk_status_words_list_id"),
        sa.ForeignKeyConstraint(["transaction_id"], ["outbox.id"], name="fk_status_words_transaction_id"),
        sa.PrimaryKeyConstraint("list_id", "word", name="pk_status_words"),
    )
    op.create_index("ix_status_words_transaction_id", "status_words", ["transaction_id"])
