"""Store which accounts a profile mentions, and index the directory."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

_ACTIVE = sa.text("state = 'active'")


def upgrade() -> None:
    op.add_column("accounts", sa.Column("named", sa.Text(), server_default="", nullable=False))
    op.add_column("accounts", sa.Column("last_post_day", sa.BigInteger(), server_default="0", nullable=False))
    op.execute("UPDATE accounts SET last_post_day = last_post_at_ms / 86400000 WHERE last_post_at_ms > 0")
    op.create_index(
        "ix_accounts_last_post_day",
        "accounts",
        ["last_post_day", "id"],
        sqlite_where=_ACTIVE,
        postgresql_where=_ACTIVE,
    )


def downgrade() -> None:
    op.drop_index("ix_accounts_last_post_day", "accounts")
    op.drop_column("accounts", "last_post_day")
    op.drop_column("accounts", "named")
