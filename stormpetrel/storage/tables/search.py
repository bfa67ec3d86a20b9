"""Search indexes, and counts for trends.

`post_words`, the index of posts by words, is not described here: each store has its own kind (SQLite: a
virtual FTS5 table with shadow tables; PostgreSQL: a table of tsvector), made by migration 0004 and
updated by triggers on `posts`.
"""

from __future__ import annotations

from sqlalchemy import Column, Float, Index, PrimaryKeyConstraint, Table, UniqueConstraint

from stormpetrel.storage.tables.columns import Bytewise, id_column, metadata, number, ref, text_column

WORD_INDEX_TABLES = frozenset(
    {"post_words", *(f"post_words_{part}" for part in ("data", "idx", "content", "config", "docsize"))}
)
"""Tables of a database that `metadata` does not know; schema comparisons must skip them."""

account_words = Table(  # words by which an account is found, each by prefix: model/search.py name_words
    "account_words",
    metadata,
    Column("word", Bytewise, nullable=False),
    ref("account_id", "accounts.id"),
    PrimaryKeyConstraint("word", "account_id"),
    Index(None, "account_id"),
    sqlite_with_rowid=False,
)

tag_days = Table(  # public uses of a tag per day (days since 1970, UTC), and the number of accounts
    "tag_days",
    metadata,
    ref("tag_id", "tags.id"),
    number("day"),
    number("uses", 0),
    number("accounts", 0),
    PrimaryKeyConstraint("tag_id", "day"),
    Index(None, "day"),
    sqlite_with_rowid=False,
)

tag_day_accounts = Table(  # the accounts, so that each is counted once
    "tag_day_accounts",
    metadata,
    ref("tag_id", "tags.id"),
    number("day"),
    number("account_id"),
    PrimaryKeyConstraint("tag_id", "day", "account_id"),
    Index(None, "day"),
    sqlite_with_rowid=False,
)

trends = Table(  # a bounded number of currently popular tags and posts; the score halves over time
    "trends",
    metadata,
    text_column("kind"),  # tag, post
    number("subject_id"),
    Column("score", Float, nullable=False),
    PrimaryKeyConstraint("kind", "subject_id"),
    sqlite_with_rowid=False,
)

trend_cursors = Table(  # up to which id each source was counted
    "trend_cursors",
    metadata,
    text_column("name"),  # tags, favourites, boosts; decayed: a time in ms
    number("at"),
    PrimaryKeyConstraint("name"),
)

suggestion_dismissals = Table(  # accounts that an account does not want suggested again
    "suggestion_dismissals",
    metadata,
    ref("account_id", "accounts.id"),
    ref("target_id", "accounts.id"),
    PrimaryKeyConstraint("account_id", "target_id"),
    Index(None, "target_id"),
    sqlite_with_rowid=False,
)

featured_tags = Table(
    "featured_tags",
    metadata,
    id_column(),
    ref("account_id", "accounts.id"),
    ref("tag_id", "tags.id"),
    UniqueConstraint("account_id", "tag_id"),
    Index(None, "tag_id"),
)
