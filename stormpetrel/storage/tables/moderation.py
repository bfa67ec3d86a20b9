"""Reports, moderation actions with their reasons, and the instance's own texts.

The log must outlive the accounts in it: `audit_log` has names beside ids, and no foreign keys.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, PrimaryKeyConstraint, Table, text

from stormpetrel.storage.tables.columns import id_column, metadata, number, ref, text_column

reports = Table(
    "reports",
    metadata,
    id_column(),
    ref("reporter_id", "accounts.id"),
    ref("account_id", "accounts.id"),  # the reported account
    text_column("category"),  # model/moderation.py: Category
    text_column("comment", ""),
    text_column("post_ids", "[]"),  # JSON; the posts may be gone
    text_column("rule_ids", "[]"),  # JSON
    Column("assigned_id", BigInteger),  # the moderator in charge
    number("resolved_at_ms", 0),  # 0: open
    Index(
        "ix_reports_open",
        "id",
        sqlite_where=text("resolved_at_ms = 0"),
        postgresql_where=text("resolved_at_ms = 0"),
    ),
    Index(None, "reporter_id", "id"),
    Index(None, "account_id", "id"),
)

audit_log = Table(  # append-only
    "audit_log",
    metadata,
    id_column(),
    number("actor_id", 0),  # 0: the command line
    text_column("actor_name"),
    text_column("act"),  # model/moderation.py: Act
    number("account_id", 0),  # 0: none
    text_column("account_name", ""),
    number("post_id", 0),
    number("report_id", 0),
    text_column("reason", ""),
    Index(None, "account_id", "id"),
)

warnings = Table(  # notices to an account; the notification has the same id
    "warnings",
    metadata,
    id_column(),
    ref("account_id", "accounts.id"),
    text_column("act"),
    text_column("reason", ""),
    number("post_id", 0),
    Index(None, "account_id", "id"),
)

instance_texts = Table(
    "instance_texts",
    metadata,
    text_column("name"),  # model/moderation.py: TEXT_NAMES
    text_column("text"),
    number("updated_at_ms"),
    PrimaryKeyConstraint("name"),
)

instance_rules = Table(
    "instance_rules",
    metadata,
    id_column(),
    text_column("text"),
    text_column("hint", ""),
)

announcements = Table(
    "announcements",
    metadata,
    id_column(),
    text_column("text"),
    number("updated_at_ms"),
)

announcement_dismissals = Table(
    "announcement_dismissals",
    metadata,
    ref("announcement_id", "announcements.id"),
    ref("account_id", "accounts.id"),
    PrimaryKeyConstraint("announcement_id", "account_id"),
    Index(None, "account_id"),
    sqlite_with_rowid=False,
)

email_domain_blocks = Table(  # sign-ups with an address there are refused
    "email_domain_blocks",
    metadata,
    text_column("domain"),
    number("created_at_ms"),
    PrimaryKeyConstraint("domain"),
)
