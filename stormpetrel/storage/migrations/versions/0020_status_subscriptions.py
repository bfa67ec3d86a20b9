"""Store subscriptions to the status page, the updates to send, and the progress of sending them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "status_subscriptions",
        sa.Column("id", _KEY, nullable=False, autoincrement=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("target_key", sa.Text(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("channels", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("nonce", sa.Text(), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("asked_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("failures", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("failing_since_ms", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("off_reason", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_status_subscriptions"),
        sa.UniqueConstraint("token_hash", name="uq_status_subscriptions_token_hash"),
    )
    op.create_index("ix_status_subscriptions_state", "status_subscriptions", ["state", "kind", "id"])
    op.create_index(
        "ix_status_subscriptions_target_key_asked_at_ms",
        "status_subscriptions",
        ["target_key", "asked_at_ms"],
    )
    confirmed = sa.text("state <> 'pending'")
    op.create_index(
        "uq_status_subscriptions_target_key",
        "status_subscriptions",
        ["target_key"],
        unique=True,
        sqlite_where=confirmed,
        postgresql_where=confirmed,
    )
    op.create_table(
        "status_updates",
        sa.Column("id", _KEY, nullable=False, autoincrement=False),
        sa.Column("update_id", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_status_updates"),
        sa.UniqueConstraint("update_id", name="uq_status_updates_update_id"),
    )
    op.create_index("ix_status_updates_created_at_ms", "status_updates", ["created_at_ms"])
    op.create_table(
        "status_sendings",
        sa.Column("id", _KEY, nullable=False, autoincrement=False),
        sa.Column("status_update_id", sa.BigInteger(), nullable=False),
        sa.Column("after_id", sa.BigInteger(), nullable=False),
        sa.Column("until_id", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["status_update_id"],
            ["status_updates.id"],
            name="fk_status_sendings_status_update_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_status_sendings"),
    )
    op.create_index("ix_status_sendings_status_update_id", "status_sendings", ["status_update_id"])


def downgrade() -> None:
    """Drop the tables."""
    op.drop_table("status_sendings")
    op.drop_table("status_updates")
    op.drop_table("status_subscriptions")
