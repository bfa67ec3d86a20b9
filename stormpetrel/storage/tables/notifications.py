"""Notifications, and markers of how far a reader has read."""

from __future__ import annotations

from sqlalchemy import Index, PrimaryKeyConstraint, Table

from stormpetrel.storage.tables.columns import id_column, metadata, number, ref, text_column

notifications = Table(
    "notifications",
    metadata,
    id_column(),
    ref("account_id", "accounts.id"),
    text_column("kind"),  # model/notification.py: Kind
    ref("from_account_id", "accounts.id"),
    ref("post_id", "posts.id", nullable=True),
    number("report_id", 0),  # 0: not about a report
    Index(None, "account_id", "id"),
    Index(None, "from_account_id", "account_id"),
    Index(None, "post_id"),
)

markers = Table(  # how far a reader has read
    "markers",
    metadata,
    ref("account_id", "accounts.id"),
    text_column("timeline"),
    number("last_read_id"),
    number("version", 1),
    number("updated_at_ms"),
    PrimaryKeyConstraint("account_id", "timeline"),
    sqlite_with_rowid=False,
)
