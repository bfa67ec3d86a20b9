"""Index the follows with a limit: without boosts, or in some languages only."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

_LIMITED = sa.text("show_boosts = FALSE OR languages <> ''")


def upgrade() -> None:
    op.create_index(
        "ix_follows_limited",
        "follows",
        ["follower_id"],
        sqlite_where=_LIMITED,
        postgresql_where=_LIMITED,
    )


def downgrade() -> None:
    """Drop the index."""
    op.drop_index("ix_follows_limited", "follows")
