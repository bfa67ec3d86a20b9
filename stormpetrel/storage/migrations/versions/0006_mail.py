"""Confirmed addresses and links in mails; jobs in lanes; what a session's browser calls itself."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_UNCONFIRMED = sa.text("state = 'unconfirmed'")


def upgrade() -> None:
    op.create_table(
        "mail_links",
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("expires_at_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_mail_links_account_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_mail_links")),
    )
    op.create_index("ix_mail_links_account_id", "mail_links", ["account_id"])
    op.create_index("ix_mail_links_expires_at_ms", "mail_links", ["expires_at_ms"])
    op.create_table(
        "mail_quotas",
        sa.Column(
            "slot", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column("window_id", sa.BigInteger(), nullable=False),
        sa.Column("asked", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("slot", name=op.f("pk_mail_quotas")),
    )
    op.add_column("outbox", sa.Column("lane", sa.BigInteger(), server_default=sa.text("0"), nullable=False))
    op.drop_index("ix_outbox_due", table_name="outbox")
    op.create_index("ix_outbox_due", "outbox", ["lane", "due_at_ms"])
    op.add_column("sessions", sa.Column("browser", sa.Text(), server_default=sa.text("''"), nullable=False))
    op.create_index(
        "ix_accounts_unconfirmed",
        "accounts",
        ["created_at_ms"],
        sqlite_where=_UNCONFIRMED,
        postgresql_where=_UNCONFIRMED,
    )


def downgrade() -> None:
    # The release before knows neither state: who has not confirmed waits for approval, who is gone is suspended.
    op.execute("UPDATE accounts SET state = 'pending' WHERE state = 'unconfirmed'")
    op.execute("UPDATE accounts SET state = 'suspended' WHERE state = 'deleted'")
    op.drop_index("ix_accounts_unconfirmed", table_name="accounts")
    op.drop_column("sessions", "browser")
    op.drop_index("ix_outbox_due", table_name="outbox")
    op.drop_column("outbox", "lane")
    op.create_index("ix_outbox_due", "outbox", ["due_at_ms"])
    op.drop_table("mail_quotas")
    op.drop_table("mail_links")
