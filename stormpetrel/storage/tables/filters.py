"""Filters of unwanted posts, and the hashtags that a reader follows."""

from __future__ import annotations

from sqlalchemy import Index, Table, UniqueConstraint

from stormpetrel.storage.tables.columns import flag, id_column, metadata, number, ref, text_column

filters = Table(
    "filters",
    metadata,
    id_column(),
    ref("account_id", "accounts.id"),
    text_column("title"),
    text_column("contexts"),  # words of model/filter.py: Context, separated by spaces
    text_column("action", "warn"),  # warn, hide, blur
    number("expires_at_ms", 0),  # 0: never
    Index(None, "account_id", "id"),
)

filter_keywords = Table(
    "filter_keywords",
    metadata,
    id_column(),
    ref("filter_id", "filters.id"),
    text_column("keyword"),
    flag("whole_word", default=True),
    Index(None, "filter_id"),
)

filter_posts = Table(
    "filter_posts",
    metadata,
    id_column(),
    ref("filter_id", "filters.id"),
    ref("post_id", "posts.id"),
    UniqueConstraint("filter_id", "post_id"),
    Index(None, "post_id"),
)

tag_follows = Table(
    "tag_follows",
    metadata,
    id_column(),
    ref("account_id", "accounts.id"),
    ref("tag_id", "tags.id"),
    UniqueConstraint("account_id", "tag_id"),
    Index(None, "tag_id"),
)
