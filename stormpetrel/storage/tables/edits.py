"""Former versions of edited posts, pinned posts, muted threads, and scheduled posts."""

from __future__ import annotations

from sqlalchemy import Index, PrimaryKeyConstraint, Table, UniqueConstraint

from stormpetrel.storage.tables.columns import flag, id_column, metadata, number, ref, text_column

post_edits = Table(  # replaced versions; the current one is in posts
    "post_edits",
    metadata,
    id_column(),
    ref("post_id", "posts.id"),
    text_column("text"),
    text_column("spoiler_text"),
    flag("sensitive"),
    text_column("poll_options", ""),  # JSON: a list of titles; empty without a poll
    text_column("media", ""),  # JSON: [id, description] of each in order; empty if there are none
    number("written_at_ms"),
    Index(None, "post_id", "id"),
)

pins = Table(
    "pins",
    metadata,
    id_column(),
    ref("account_id", "accounts.id"),
    ref("post_id", "posts.id"),
    UniqueConstraint("post_id"),
    Index(None, "account_id", "id"),
)

thread_mutes = Table(
    "thread_mutes",
    metadata,
    ref("account_id", "accounts.id"),
    number("thread_id"),  # no foreign key: a thread outlives its first post
    PrimaryKeyConstraint("account_id", "thread_id"),
    sqlite_with_rowid=False,
)

scheduled_posts = Table(
    "scheduled_posts",
    metadata,
    id_column(),
    ref("account_id", "accounts.id"),
    text_column("draft"),  # JSON: model/post.py, Draft
    number("due_at_ms"),
    Index(None, "account_id", "id"),
)
