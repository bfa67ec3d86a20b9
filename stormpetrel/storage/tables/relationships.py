"""Follows, blocks, mutes and other relationships between accounts."""

from __future__ import annotations

from sqlalchemy import Index, PrimaryKeyConstraint, Table, UniqueConstraint, text

from stormpetrel.storage.tables.columns import flag, id_column, metadata, number, ref, text_column

_LIMITED = text("show_boosts = FALSE OR languages <> ''")

follows = Table(
    "follows",
    metadata,
    id_column(),
    ref("follower_id", "accounts.id"),
    ref("followed_id", "accounts.id"),
    flag("show_boosts", default=True),
    flag("notify"),
    text_column("languages", ""),  # only posts in these, separated by spaces; empty: in all
    UniqueConstraint("follower_id", "followed_id"),
    Index(None, "followed_id", "id"),
    Index(None, "follower_id", "id"),
    Index("ix_follows_notify", "followed_id", sqlite_where=text("notify"), postgresql_where=text("notify")),
    Index("ix_follows_limited", "follower_id", sqlite_where=_LIMITED, postgresql_where=_LIMITED),
)

follow_requests = Table(
    "follow_requests",
    metadata,
    id_column(),
    ref("follower_id", "accounts.id"),
    ref("followed_id", "accounts.id"),
    flag("show_boosts", default=True),
    flag("notify"),
    text_column("languages", ""),  # only posts in these, separated by spaces; empty: in all
    UniqueConstraint("follower_id", "followed_id"),
    Index(None, "followed_id", "id"),
)

blocks = Table(
    "blocks",
    metadata,
    id_column(),
    ref("account_id", "accounts.id"),
    ref("target_id", "accounts.id"),
    UniqueConstraint("account_id", "target_id"),
    Index(None, "target_id"),
)

mutes = Table(
    "mutes",
    metadata,
    id_column(),
    ref("account_id", "accounts.id"),
    ref("target_id", "accounts.id"),
    flag("hide_notifications", default=True),
    number("expires_at_ms", 0),  # 0: never
    UniqueConstraint("account_id", "target_id"),
    Index(None, "target_id"),
    Index(
        "ix_mutes_expiry",
        "expires_at_ms",
        sqlite_where=text("expires_at_ms > 0"),
        postgresql_where=text("expires_at_ms > 0"),
    ),
)

account_notes = Table(  # an account's private notes about others
    "account_notes",
    metadata,
    ref("account_id", "accounts.id"),
    ref("target_id", "accounts.id"),
    text_column("note"),
    PrimaryKeyConstraint("account_id", "target_id"),
    Index(None, "target_id"),
    sqlite_with_rowid=False,
)

endorsements = Table(  # accounts shown on a profile
    "endorsements",
    metadata,
    id_column(),
    ref("account_id", "accounts.id"),
    ref("target_id", "accounts.id"),
    UniqueConstraint("account_id", "target_id"),
    Index(None, "target_id"),
)
