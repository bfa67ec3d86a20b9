"""Store the policies for notifications, the accepted senders, and which notifications wait in a request."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

_FILTERED = sa.text("filtered")
_CHOICES = (
    "for_not_following",
    "for_not_followers",
    "for_new_accounts",
    "for_private_mentions",
    "for_bots",
)


def upgrade() -> None:
    """Make the tables, and the column with its indexes."""
    op.add_column(
        "notifications", sa.Column("filtered", sa.Boolean(), server_default=sa.text("FALSE"), nullable=False)
    )
    op.create_index(
        "ix_notifications_filtered",
        "notifications",
        ["account_id", "from_account_id", "id"],
        sqlite_where=_FILTERED,
        postgresql_where=_FILTERED,
    )
    # In the list's index the filtered ones have a place of their own.
    op.create_index(
        "ix_notifications_account_id_filtered_id", "notifications", ["account_id", "filtered", "id"]
    )
    op.drop_index("ix_notifications_account_id_id", "notifications")
    op.create_table(
        "notification_policies",
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        *(sa.Column(name, sa.Text(), server_default="accept", nullable=False) for name in _CHOICES),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name="fk_notification_policies_account_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("account_id", name="pk_notification_policies"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "notification_permissions",
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("from_account_id", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name="fk_notification_permissions_account_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["from_account_id"],
            ["accounts.id"],
            name="fk_notification_permissions_from_account_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("account_id", "from_account_id", name="pk_notification_permissions"),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_notification_permissions_from_account_id", "notification_permissions", ["from_account_id"]
    )


def downgrade() -> None:
    """Drop them. Notifications that wait in a request are shown."""
    op.drop_table("notification_permissions")
    op.drop_table("notification_policies")
    op.drop_index("ix_notifications_filtered", "notifications")
    op.create_index("ix_notifications_account_id_id", "notifications", ["account_id", "id"])
    op.drop_index("ix_notifications_account_id_filtered_id", "notifications")
    op.drop_column("notifications", "filtered")
