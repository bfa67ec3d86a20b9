"""Direct posts by conversation: a row per conversation and account, and the account's posts in it."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKeyConstraint, Index, PrimaryKeyConstraint, Table

from stormpetrel.storage.tables.columns import metadata, number, ref

conversations = Table(
    "conversations",
    metadata,
    ref("account_id", "accounts.id"),  # the owner of this view
    number("thread_id"),  # the first post, which may be deleted
    number("last_post_id"),
    number("read_to_id", 0),  # newer posts by others are unread
    PrimaryKeyConstraint("account_id", "thread_id"),
    Index(None, "account_id", "last_post_id"),
    sqlite_with_rowid=False,
)

conversation_posts = Table(
    "conversation_posts",
    metadata,
    Column("account_id", BigInteger, nullable=False),
    Column("thread_id", BigInteger, nullable=False),
    ref("post_id", "posts.id"),
    PrimaryKeyConstraint("account_id", "thread_id", "post_id"),
    ForeignKeyConstraint(
        ["account_id", "thread_id"],
        ["conversations.account_id", "conversations.thread_id"],
        name="fk_conversation_posts_account_id",
        ondelete="CASCADE",
    ),
    Index(None, "post_id"),
    sqlite_with_rowid=False,
)
