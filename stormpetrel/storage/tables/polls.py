"""Polls, their options and the ballots."""

from __future__ import annotations

from sqlalchemy import Column, Index, PrimaryKeyConstraint, SmallInteger, Table

from stormpetrel.storage.tables.columns import flag, metadata, number, ref, text_column

polls = Table(  # at most one per post; posts.has_poll is true if there is one
    "polls",
    metadata,
    ref("post_id", "posts.id"),
    flag("multiple"),
    flag("hide_totals"),
    number("expires_at_ms"),
    number("voters_count", 0),
    flag("told"),  # true once the end was announced
    PrimaryKeyConstraint("post_id"),
    sqlite_with_rowid=False,
)

poll_options = Table(
    "poll_options",
    metadata,
    ref("post_id", "polls.post_id"),
    Column("position", SmallInteger, nullable=False),
    text_column("title"),
    number("votes_count", 0),
    PrimaryKeyConstraint("post_id", "position"),
    sqlite_with_rowid=False,
)

ballots = Table(  # one per voter, whatever the choice: no account can vote twice
    "ballots",
    metadata,
    ref("post_id", "polls.post_id"),
    ref("account_id", "accounts.id"),
    Column("choices", SmallInteger, nullable=False),  # bit n: the option at position n
    PrimaryKeyConstraint("post_id", "account_id"),
    Index(None, "account_id"),
    sqlite_with_rowid=False,
)
