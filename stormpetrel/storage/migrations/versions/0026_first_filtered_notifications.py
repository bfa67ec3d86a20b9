"""Order the filtered notifications of a sender by id in their index."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

_FILTERED = sa.text("filtered")


def upgrade() -> None:
    """Replace the index by one that has the id too."""
    _replace("account_id", "from_account_id", "id")


def downgrade() -> None:
    """Restore the index."""
    _replace("account_id", "from_account_id")


def _replace(*columns: str) -> None:
    op.drop_index("ix_notifications_filtered", "notifications")
    op.create_index(
        "ix_notifications_filtered",
        "notifications",
        list(columns),
        sqlite_where=_FILTERED,
        postgresql_where=_FILTERED,
    )
