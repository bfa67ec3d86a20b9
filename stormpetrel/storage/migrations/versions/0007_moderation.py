"""Reports, silenced accounts, hidden posts, the audit log."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def _key() -> sa.Column[int]:
    key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    return sa.Column("id", key, autoincrement=False, nullable=False)


def _text(name: str, default: str | None = None) -> sa.Column[str]:
    return sa.Column(
        name, sa.Text(), server_default=None if default is None else sa.text(f"'{default}'"), nullable=False
    )


def _number(name: str, default: int | None = None) -> sa.Column[int]:
    return sa.Column(
        name,
        sa.BigInteger(),
        server_default=None if default is None else sa.text(str(default)),
        nullable=False,
    )


def _belongs(table: str, column: str, target: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [target], name=op.f(f"fk_{table}_{column}"), ondelete="CASCADE")


def upgrade() -> None:
    op.add_column(
        "accounts", sa.Column("silenced", sa.Boolean(), server_default=sa.text("FALSE"), nullable=False)
    )
    op.add_column("accounts", _number("suspended_at_ms", 0))
    op.create_index(
        "ix_accounts_suspended",
        "accounts",
        ["suspended_at_ms"],
        sqlite_where=sa.text("suspended_at_ms > 0"),
        postgresql_where=sa.text("suspended_at_ms > 0"),
    )
    op.create_index(
        "ix_users_team",
        "users",
        ["account_id"],
        sqlite_where=sa.text("role <> 'member'"),
        postgresql_where=sa.text("role <> 'member'"),
    )
    op.add_column("posts", sa.Column("hidden", sa.Boolean(), server_default=sa.text("FALSE"), nullable=False))
    op.add_column("notifications", _number("report_id", 0))
    op.create_table(
        "reports",
        _key(),
        _number("reporter_id"),
        _number("account_id"),
        _text("category"),
        _text("comment", ""),
        _text("post_ids", "[]"),
        _text("rule_ids", "[]"),
        sa.Column("assigned_id", sa.BigInteger(), nullable=True),
        _number("resolved_at_ms", 0),
        _belongs("reports", "reporter_id", "accounts.id"),
        _belongs("reports", "account_id", "accounts.id"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reports")),
    )
    op.create_index(
        "ix_reports_open",
        "reports",
        ["id"],
        sqlite_where=sa.text("resolved_at_ms = 0"),
        postgresql_where=sa.text("resolved_at_ms = 0"),
    )
    op.create_index(op.f("ix_reports_reporter_id_id"), "reports", ["reporter_id", "id"])
    op.create_index(op.f("ix_reports_account_id_id"), "reports", ["account_id", "id"])
    op.create_table(
        "audit_log",
        _key(),
        _number("actor_id", 0),
        _text("actor_name"),
        _text("act"),
        _number("account_id", 0),
        _text("account_name", ""),
        _number("post_id", 0),
        _number("report_id", 0),
        _text("reason", ""),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_log")),
    )
    op.create_index(op.f("ix_audit_log_account_id_id"), "audit_log", ["account_id", "id"])
    op.create_table(
        "warnings",
        _key(),
        _number("account_id"),
        _text("act"),
        _text("reason", ""),
        _number("post_id", 0),
        _belongs("warnings", "account_id", "accounts.id"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_warnings")),
    )
    op.create_index(op.f("ix_warnings_account_id_id"), "warnings", ["account_id", "id"])
    op.create_table(
        "instance_texts",
        _text("name"),
        _text("text"),
        _number("updated_at_ms"),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_instance_texts")),
    )
    op.create_table(
        "instance_rules",
        _key(),
        _text("text"),
        _text("hint", ""),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_instance_rules")),
    )
    op.create_table(
        "announcements",
        _key(),
        _text("text"),
        _number("updated_at_ms"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_announcements")),
    )
    op.create_table(
        "announcement_dismissals",
        _number("announcement_id"),
        _number("account_id"),
        _belongs("announcement_dismissals", "announcement_id", "announcements.id"),
        _belongs("announcement_dismissals", "account_id", "accounts.id"),
        sa.PrimaryKeyConstraint("announcement_id", "account_id", name=op.f("pk_announcement_dismissals")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_announcement_dismissals_account_id"), "announcement_dismissals", ["account_id"])
    op.create_table(
        "email_domain_blocks",
        _text("domain"),
        _number("created_at_ms"),
        sa.PrimaryKeyConstraint("domain", name=op.f("pk_email_domain_blocks")),
    )


def downgrade() -> None:
    for table in (
        "email_domain_blocks",
        "announcement_dismissals",
        "announcements",
        "instance_rules",
        "instance_texts",
        "warnings",
        "audit_log",
        "reports",
    ):
        op.drop_table(table)
    op.drop_column("notifications", "report_id")
    op.drop_column("posts", "hidden")
    op.drop_index("ix_users_team", "users")
    op.drop_index("ix_accounts_suspended", "accounts")
    op.drop_column("accounts", "suspended_at_ms")
    op.drop_column("accounts", "silenced")
