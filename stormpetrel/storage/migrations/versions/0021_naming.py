"""Store the questions to accounts behind hot pages: whether an insight report may name them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "naming_questions",
        sa.Column("id", _KEY, nullable=False, autoincrement=False),
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("began_ms", sa.BigInteger(), nullable=False),
        sa.Column("ended_ms", sa.BigInteger(), nullable=False),
        sa.Column("percent", sa.BigInteger(), nullable=False),
        sa.Column("answer", sa.Text(), server_default="", nullable=False),
        sa.Column("answered_at_ms", sa.BigInteger(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name="fk_naming_questions_account_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_naming_questions"),
        sa.UniqueConstraint("account_id", "began_ms", name="uq_naming_questions_account_id_began_ms"),
    )
    op.create_index("ix_naming_questions_began_ms", "naming_questions", ["began_ms"])


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("naming_questions")
