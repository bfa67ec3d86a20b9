"""Index the notifications that are shown apart from those that wait in a request."""

from __future__ import annotations

from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Replace the index by one in which the filtered ones have a place of their own."""
    op.create_index(
        "ix_notifications_account_id_filtered_id", "notifications", ["account_id", "filtered", "id"]
    )
    op.drop_index("ix_notifications_account_id_id", "notifications")


def downgrade() -> None:
    """Restore the index."""
    op.create_index("ix_notifications_account_id_id", "notifications", ["account_id", "id"])
    op.drop_index("ix_notifications_account_id_filtered_id", "notifications")
