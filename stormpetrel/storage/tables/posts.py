"""Posts, their mentions and hashtags, and readers' reactions."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    UniqueConstraint,
    text,
)

from stormpetrel.storage.tables.columns import Bytewise, flag, id_column, metadata, number, ref, text_column

posts = Table(  # also boosts: those have boost_of_id and no text
    "posts",
    metadata,
    id_column(),
    ref("author_id", "accounts.id"),
    text_column("text", ""),  # as written
    text_column("spoiler_text", ""),
    Column("visibility", SmallInteger, nullable=False),  # model/post.py: Visibility
    flag("sensitive"),
    text_column("language", ""),
    # No foreign key: a reply outlives the post it answers, and then counts as a reply to nothing.
    Column("in_reply_to_id", BigInteger),
    Column("in_reply_to_account_id", BigInteger),
    ref("boost_of_id", "posts.id", nullable=True),
    ref("application_id", "applications.id", nullable=True, ondelete="SET NULL"),
    number("replies_count", 0),
    number("boosts_count", 0),
    number("favourites_count", 0),
    number("created_at_ms"),
    flag("hidden"),  # by moderators: visible to its author and to them only
    number("media_count", 0),  # if 0, media are not queried
    number("edited_at_ms", 0),  # 0: never
    flag("has_poll"),
    # The post that began the thread; null on that post itself, and on boosts.
    Column("thread_id", BigInteger),
    Index(None, "author_id", "id"),
    Index(
        "ix_posts_media",
        "author_id",
        "id",
        sqlite_where=text("media_count > 0"),
        postgresql_where=text("media_count > 0"),
    ),
    Index(
        "ix_posts_public_media",
        "id",
        sqlite_where=text("visibility = 0 AND boost_of_id IS NULL AND media_count > 0"),
        postgresql_where=text("visibility = 0 AND boost_of_id IS NULL AND media_count > 0"),
    ),
    Index(
        "ix_posts_replies",
        "in_reply_to_id",
        "id",
        sqlite_where=text("in_reply_to_id IS NOT NULL"),
        postgresql_where=text("in_reply_to_id IS NOT NULL"),
    ),
    Index(
        "uq_posts_boosts",
        "boost_of_id",
        "author_id",
        unique=True,
        sqlite_where=text("boost_of_id IS NOT NULL"),
        postgresql_where=text("boost_of_id IS NOT NULL"),
    ),
    Index(
        "ix_posts_public",
        "id",
        sqlite_where=text("visibility = 0 AND boost_of_id IS NULL"),
        postgresql_where=text("visibility = 0 AND boost_of_id IS NULL"),
    ),
    Index("ix_posts_application_id", "application_id"),
)

mentions = Table(
    "mentions",
    metadata,
    ref("post_id", "posts.id"),
    ref("account_id", "accounts.id"),
    PrimaryKeyConstraint("post_id", "account_id"),
    Index(None, "account_id", "post_id"),
    sqlite_with_rowid=False,
)

tags = Table(
    "tags",
    metadata,
    id_column(),
    Column("name", Bytewise, nullable=False),  # folded: model/text.py tag_key
    text_column("display"),  # as first written
    number("uses", 0),  # public uses; counted by the courier
    UniqueConstraint("name"),
)

post_tags = Table(
    "post_tags",
    metadata,
    ref("tag_id", "tags.id"),
    ref("post_id", "posts.id"),
    PrimaryKeyConstraint("tag_id", "post_id"),
    Index(None, "post_id"),
    sqlite_with_rowid=False,
)

favourites = Table(
    "favourites",
    metadata,
    id_column(),
    ref("account_id", "accounts.id"),
    ref("post_id", "posts.id"),
    UniqueConstraint("account_id", "post_id"),
    Index(None, "post_id", "id"),
    Index(None, "account_id", "id"),
)

bookmarks = Table(
    "bookmarks",
    metadata,
    id_column(),
    ref("account_id", "accounts.id"),
    ref("post_id", "posts.id"),
    UniqueConstraint("account_id", "post_id"),
    Index(None, "post_id"),
    Index(None, "account_id", "id"),
)

idempotency = Table(  # the post made with a key, for an hour
    "idempotency",
    metadata,
    ref("account_id", "accounts.id"),
    text_column("key"),
    number("post_id"),
    number("created_at_ms"),
    PrimaryKeyConstraint("account_id", "key"),
    Index(None, "created_at_ms"),
    sqlite_with_rowid=False,
)
