"""Accounts, users and their signed-in browsers."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Index, SmallInteger, Table, UniqueConstraint, text

from stormpetrel.storage.tables.columns import (
    Bytewise,
    Key,
    flag,
    id_column,
    metadata,
    number,
    ref,
    text_column,
)

accounts = Table(
    "accounts",
    metadata,
    id_column(),
    text_column("username"),  # as its owner writes it, with capital letters
    Column("username_lower", Bytewise, nullable=False),
    text_column("domain", ""),  # empty: this instance
    text_column("display_name", ""),
    text_column("note", ""),  # as written
    text_column("fields", "[]"),  # JSON: [[name, value], …], as written
    flag("locked"),
    flag("bot"),
    flag("discoverable", default=True),
    flag("indexable", default=True),  # others find its public posts by search
    Column("visibility", SmallInteger, nullable=False, server_default=text("0")),  # default of new posts
    flag("sensitive"),  # default of new posts
    text_column("language", ""),  # default of new posts; empty: none
    number("followers_count", 0),
    number("following_count", 0),
    number("posts_count", 0),
    number("last_post_at_ms", 0),
    number("created_at_ms"),
    text_column("state", "active"),  # model.account.AccountState
    flag("silenced"),  # public, tag and search results show it only to followers
    number("suspended_at_ms", 0),  # 0: not suspended
    text_column("avatar_key", ""),  # files of media_files; empty: none
    text_column("avatar_static_key", ""),
    text_column("header_key", ""),
    text_column("header_static_key", ""),
    text_column(
        "named", ""
    ),  # usernames mentioned in `note` and `fields`, as their owners write them; separated by spaces
    number(
        "last_post_day", 0
    ),  # of last_post_at_ms, in days since 1970, so that its index is written once a day
    UniqueConstraint("username_lower", "domain"),
    Index(
        "ix_accounts_suspended",
        "suspended_at_ms",
        sqlite_where=text("suspended_at_ms > 0"),
        postgresql_where=text("suspended_at_ms > 0"),
    ),
    Index(
        "ix_accounts_last_post_day",
        "last_post_day",
        "id",
        sqlite_where=text("state = 'active'"),
        postgresql_where=text("state = 'active'"),
    ),
    Index(
        "ix_accounts_popular",
        "followers_count",
        "id",
        sqlite_where=text("state = 'active' AND discoverable = TRUE"),
        postgresql_where=text("state = 'active' AND discoverable = TRUE"),
    ),
    Index(
        "ix_accounts_unconfirmed",
        "created_at_ms",
        sqlite_where=text("state = 'unconfirmed'"),
        postgresql_where=text("state = 'unconfirmed'"),
    ),
)

users = Table(  # accounts that can sign in
    "users",
    metadata,
    Column(
        "account_id",
        Key,
        ForeignKey("accounts.id", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    ),
    text_column("email"),
    text_column("email_lower"),
    text_column("password_hash"),
    text_column("role", "member"),  # model/account.py: Role
    text_column("sign_up_reason", ""),
    text_column("locale", "en"),
    number("created_at_ms"),
    UniqueConstraint("email_lower"),
    Index("ix_users_created_at_ms", "created_at_ms"),
    Index(
        "ix_users_team",
        "account_id",
        sqlite_where=text("role <> 'member'"),
        postgresql_where=text("role <> 'member'"),
    ),
)

sessions = Table(  # signed-in browsers
    "sessions",
    metadata,
    id_column(),
    ref("account_id", "accounts.id"),
    number("created_at_ms"),
    text_column("browser", ""),  # "Firefox on Linux"; empty: unknown
    number("network", 0),  # where it began, as a keyed hash (model/quota.py); 0: unknown
    Index(None, "account_id"),
)
