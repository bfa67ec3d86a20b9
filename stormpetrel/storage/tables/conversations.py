"""Direct posts by conversation: a row for each account in it, and which posts of the thread are its."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKeyConstraint, Index, PrimaryKeyConstraint, Table

from stormpetrel.storage.tables.columns import metadata, number, ref

conversations = Table(
    "conversations",
    metadata,
    ref("account_id", "accounts.id"),  # whose view of it this is
    number("thread_id"),  # the post that began it, which may be gone
    number("last_post_id"),
    number("read_to_id", 0),  # what is newer and by somebody else is unread
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
