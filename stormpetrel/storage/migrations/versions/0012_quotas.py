"""Quotas, wrong passwords per account, the network of a session, and codes that were exchanged."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0010"
branch_labels = None
depends_on = None


def _number(name: str, default: str | None = None) -> sa.Column[int]:
    return sa.Column(
        name, sa.BigInteger(), server_default=sa.text(default) if default else None, nullable=False
    )


def upgrade() -> None:
    op.create_table(
        "quotas",
        sa.Column("quota", sa.Text(), nullable=False),
        _number("slot"),
        _number("full_at_ms"),
        sa.PrimaryKeyConstraint("quota", "slot", name="pk_quotas"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "wrong_passwords",
        sa.Column(
            "account_id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        _number("since_ms"),
        _number("last_at_ms"),
        _number("wrong", "0"),
        _number("refused", "0"),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name="fk_wrong_passwords_account_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("account_id", name="pk_wrong_passwords"),
    )
    op.add_column(
        "sessions", sa.Column("network", sa.BigInteger(), server_default=sa.text("0"), nullable=False)
    )
    # A table of its own: the release before takes a code by deleting its row from oauth_codes, and would take
    # one that is spent for one that is not.
    op.create_table(
        "oauth_spent_codes",
        sa.Column("code_hash", sa.LargeBinary(), nullable=False),
        _number("token_id"),
        _number("expires_at_ms"),
        sa.ForeignKeyConstraint(
            ["token_id"], ["tokens.id"], name="fk_oauth_spent_codes_token_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("code_hash", name="pk_oauth_spent_codes"),
    )
    op.create_index("ix_oauth_spent_codes_token_id", "oauth_spent_codes", ["token_id"])
    op.create_index("ix_oauth_spent_codes_expires_at_ms", "oauth_spent_codes", ["expires_at_ms"])


def downgrade() -> None:
    op.drop_table("oauth_spent_codes")
    op.drop_column("sessions", "network")
    op.drop_table("wrong_passwords")
    op.drop_table("quotas")
