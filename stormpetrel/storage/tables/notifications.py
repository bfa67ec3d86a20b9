"""Notifications, the policies for them, and markers of how far a reader has read."""

from __future__ import annotations

from sqlalchemy import Index, PrimaryKeyConstraint, Table, text

from stormpetrel.storage.tables.columns import flag, id_column, metadata, number, ref, text_column

notifications = Table(
    "notifications",
    metadata,
    id_column(),
    ref("account_id", "accounts.id"),
    text_column("kind"),  # model/notification.py: Kind
    ref("from_account_id", "accounts.id"),
    ref("post_id", "posts.id", nullable=True),
    number("report_id", 0),  # 0: not about a report
    flag("filtered"),  # waits in a request of its sender
    # The list must not read the filtered ones, which strangers can make many, to pass over them.
    Index(None, "account_id", "filtered", "id"),
    # A page of requests looks for the first notification of each sender.
    Index(
        "ix_notifications_filtered",
        "account_id",
        "from_account_id",
        "id",
        sqlite_where=text("filtered"),
        postgresql_where=text("filtered"),
    ),
    Index(None, "from_account_id", "account_id"),
    Index(None, "post_id"),
)

notification_policies = Table(  # of the accounts that chose one; model/notification_policy.py: Choice
    "notification_policies",
    metadata,
    ref("account_id", "accounts.id"),
    text_column("for_not_following", "accept"),
    text_column("for_not_followers", "accept"),
    text_column("for_new_accounts", "accept"),
    text_column("for_private_mentions", "accept"),
    text_column("for_bots", "accept"),
    PrimaryKeyConstraint("account_id"),
    sqlite_with_rowid=False,
)

notification_permissions = Table(  # senders whose request the account accepted
    "notification_permissions",
    metadata,
    ref("account_id", "accounts.id"),
    ref("from_account_id", "accounts.id"),
    PrimaryKeyConstraint("account_id", "from_account_id"),
    Index(None, "from_account_id"),
    sqlite_with_rowid=False,
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
