"""Store the numbers of visitors by period. They are numbers alone: no row belongs to a person."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "audience_numbers",
        sa.Column("period", sa.Text(), nullable=False),
        sa.Column("machine", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("period", "machine", "name", name=op.f("pk_audience_numbers")),
    )


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("audience_numbers")
