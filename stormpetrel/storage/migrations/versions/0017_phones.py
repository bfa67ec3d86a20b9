"""Store phones, their codes, follows and tags, and the posts to text to them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_LINKED = sa.text("account_id IS NOT NULL")


def upgrade() -> None:
    op.create_table(
        "phones",
        sa.Column("id", _KEY, nullable=False, autoincrement=False),
        sa.Column("number_hash", sa.LargeBinary(), nullable=False),
        sa.Column("sealed_number", sa.Text(), nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=True),
        sa.Column("route", sa.Text(), nullable=False),
        sa.Column("stopped", sa.Boolean(), server_default=sa.text("FALSE"), nullable=False),
        sa.Column("delivers", sa.Boolean(), server_default=sa.text("TRUE"), nullable=False),
        sa.Column("posts", sa.Boolean(), server_default=sa.text("FALSE"), nullable=False),
        sa.Column("pin_hash", sa.LargeBinary(), nullable=True),
        sa.Column("pin_wrong", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("pin_locked_until_ms", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("quiet", sa.Text(), server_default="", nullable=False),
        sa.Column("digest", sa.Text(), server_default="", nullable=False),
        sa.Column("zone", sa.Text(), server_default="UTC", nullable=False),
        sa.Column("language", sa.Text(), server_default="en", nullable=False),
        sa.Column("segments", sa.BigInteger(), server_default="1", nullable=False),
        sa.Column("next_tag", sa.BigInteger(), server_default="1", nullable=False),
        sa.Column("asked", sa.Text(), server_default="", nullable=False),
        sa.Column("asked_at_ms", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("heard_at_ms", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("changed_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name="fk_phones_account_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_phones"),
        sa.UniqueConstraint("number_hash", name="uq_phones_number_hash"),
    )
    op.create_index(
        "ix_phones_account_id",
        "phones",
        ["account_id"],
        unique=True,
        sqlite_where=_LINKED,
        postgresql_where=_LINKED,
    )
    op.create_index("ix_phones_changed_at_ms_id", "phones", ["changed_at_ms", "id"])
    op.create_table(
        "phone_codes",
        sa.Column("code_hash", sa.LargeBinary(), nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("expires_at_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name="fk_phone_codes_account_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("code_hash", name="pk_phone_codes"),
    )
    op.create_index("ix_phone_codes_account_id", "phone_codes", ["account_id"])
    op.create_table(
        "phone_follows",
        sa.Column("phone_id", sa.BigInteger(), nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["phone_id"], ["phones.id"], name="fk_phone_follows_phone_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name="fk_phone_follows_account_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("phone_id", "account_id", name="pk_phone_follows"),
    )
    op.create_index("ix_phone_follows_account_id", "phone_follows", ["account_id"])
    op.create_table(
        "phone_tags",
        sa.Column("phone_id", sa.BigInteger(), nullable=False),
        sa.Column("tag", sa.BigInteger(), nullable=False),
        sa.Column("post_id", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.BigInteger(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(
            ["phone_id"], ["phones.id"], name="fk_phone_tags_phone_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("phone_id", "tag", name="pk_phone_tags"),
    )
    op.create_table(
        "phone_deliveries",
        sa.Column("id", _KEY, nullable=False, autoincrement=False),
        sa.Column("phone_id", sa.BigInteger(), nullable=False),
        sa.Column("post_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("tag", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("due_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["phone_id"], ["phones.id"], name="fk_phone_deliveries_phone_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["post_id"], ["posts.id"], name="fk_phone_deliveries_post_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_phone_deliveries"),
        sa.UniqueConstraint("phone_id", "post_id", name="uq_phone_deliveries_phone_id_post_id"),
    )
    op.create_index("ix_phone_deliveries_due_at_ms_id", "phone_deliveries", ["due_at_ms", "id"])
    op.create_index("ix_phone_deliveries_post_id", "phone_deliveries", ["post_id"])
    op.create_table(
        "phone_messages",
        sa.Column("message_key", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("done_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("message_key", name="pk_phone_messages"),
    )
    op.create_index("ix_phone_messages_done_at_ms", "phone_messages", ["done_at_ms"])


def downgrade() -> None:
    for table in (
        "phone_messages",
        "phone_deliveries",
        "phone_tags",
        "phone_follows",
        "phone_codes",
        "phones",
    ):
        op.drop_table(table)
