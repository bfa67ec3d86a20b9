"""What retention looks for, in the order of an index; and what goes with an app or an account, found by one."""

from __future__ import annotations

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_INDEXES = (
    ("oauth_codes", "application_id"),
    ("oauth_codes", "account_id"),
    ("tokens", "application_id"),
    ("outbox_dead", "died_at_ms"),
)


def upgrade() -> None:
    for table, column in _INDEXES:
        op.create_index(f"ix_{table}_{column}", table, [column])


def downgrade() -> None:
    for table, column in reversed(_INDEXES):
        op.drop_index(f"ix_{table}_{column}", table_name=table)
