"""Accounts, who can sign in, and signed-in browsers."""

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
    text_column("username"),  # as its owner writes it; capital letters are kept
    Column("username_lower", Bytewise, nullable=False),
    text_column("domain", ""),  # empty: ours
    text_column("display_name", ""),
    text_column("note", ""),  # as written
    text_column("fields", "[]"),  # JSON: [[name, value], …], as written
    flag("locked"),
    flag("bot"),
    flag("discoverable", default=True),
    flag("indexable", default=True),  # others find its public posts by their words
    Column("visibility", SmallInteger, nullable=False, server_default=text("0")),  # default of new posts
    flag("sensitive"),  # default of new posts
    text_column("language", ""),  # default of new posts; empty: none
    number("followers_count", 0),
    number("following_count", 0),
    number("posts_count", 0),
    number("last_post_at_ms", 0),
    number("created_at_ms"),
    text_column("state", "active"),  # active, pending (sign-up awaits approval), suspended
    UniqueConstraint("username_lower", "domain"),
)

users = Table(  # who can sign in
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
    text_column("role", "member"),  # member, admin
    text_column("sign_up_reason", ""),
    text_column("locale", "en"),
    number("created_at_ms"),
    UniqueConstraint("email_lower"),
    Index("ix_users_created_at_ms", "created_at_ms"),
)

sessions = Table(  # signed-in browsers
    "sessions",
    metadata,
    id_column(),
    ref("account_id", "accounts.id"),
    number("created_at_ms"),
    Index(None, "account_id"),
)
