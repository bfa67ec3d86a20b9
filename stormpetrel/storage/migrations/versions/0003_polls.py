"""Polls, edits, pins, muted threads and posts for later."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

# A reply belongs to the thread of what it answers; one whose parent is gone begins a thread of its own.
_THREADS = """
WITH RECURSIVE tree (id, thread_id) AS (
    SELECT p.id, p.in_reply_to_id FROM posts p JOIN posts root ON root.id = p.in_reply_to_id
    WHERE root.in_reply_to_id IS NULL
    UNION ALL SELECT p.id, tree.thread_id FROM tree JOIN posts p ON p.in_reply_to_id = tree.id)
UPDATE posts SET thread_id = tree.thread_id FROM tree WHERE posts.id = tree.id
"""


def _id() -> sa.Column[int]:
    kind = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    return sa.Column("id", kind, autoincrement=False, nullable=False)


def _number(name: str, default: str | None = None) -> sa.Column[int]:
    return sa.Column(
        name, sa.BigInteger(), server_default=sa.text(default) if default else None, nullable=False
    )


def _text(name: str, default: str | None = None) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), server_default=sa.text(default) if default else None, nullable=False)


def _flag(name: str) -> sa.Column[bool]:
    return sa.Column(name, sa.Boolean(), server_default=sa.text("FALSE"), nullable=False)


def _goes_with(table: str, column: str, target: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [target], name=op.f(f"fk_{table}_{column}"), ondelete="CASCADE")


def upgrade() -> None:
    op.add_column("posts", _number("edited_at_ms", "0"))
    op.add_column("posts", _flag("has_poll"))
    op.add_column("posts", sa.Column("thread_id", sa.BigInteger(), nullable=True))
    op.execute(_THREADS)
    op.create_table(
        "polls",
        _number("post_id"),
        _flag("multiple"),
        _flag("hide_totals"),
        _number("expires_at_ms"),
        _number("voters_count", "0"),
        _flag("told"),
        sa.PrimaryKeyConstraint("post_id", name=op.f("pk_polls")),
        _goes_with("polls", "post_id", "posts.id"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "poll_options",
        _number("post_id"),
        sa.Column("position", sa.SmallInteger(), nullable=False),
        _text("title"),
        _number("votes_count", "0"),
        sa.PrimaryKeyConstraint("post_id", "position", name=op.f("pk_poll_options")),
        _goes_with("poll_options", "post_id", "polls.post_id"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "ballots",
        _number("post_id"),
        _number("account_id"),
        sa.Column("choices", sa.SmallInteger(), nullable=False),
        sa.PrimaryKeyConstraint("post_id", "account_id", name=op.f("pk_ballots")),
        _goes_with("ballots", "post_id", "polls.post_id"),
        _goes_with("ballots", "account_id", "accounts.id"),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_ballots_account_id"), "ballots", ["account_id"])
    op.create_table(
        "post_edits",
        _id(),
        _number("post_id"),
        _text("text"),
        _text("spoiler_text"),
        _flag("sensitive"),
        _text("poll_options", "''"),
        _text("media", "''"),
        _number("written_at_ms"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_post_edits")),
        _goes_with("post_edits", "post_id", "posts.id"),
    )
    op.create_index(op.f("ix_post_edits_post_id_id"), "post_edits", ["post_id", "id"])
    op.create_table(
        "pins",
        _id(),
        _number("account_id"),
        _number("post_id"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pins")),
        sa.UniqueConstraint("post_id", name=op.f("uq_pins_post_id")),
        _goes_with("pins", "account_id", "accounts.id"),
        _goes_with("pins", "post_id", "posts.id"),
    )
    op.create_index(op.f("ix_pins_account_id_id"), "pins", ["account_id", "id"])
    op.create_table(
        "thread_mutes",
        _number("account_id"),
        _number("thread_id"),
        sa.PrimaryKeyConstraint("account_id", "thread_id", name=op.f("pk_thread_mutes")),
        _goes_with("thread_mutes", "account_id", "accounts.id"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "scheduled_posts",
        _id(),
        _number("account_id"),
        _text("draft"),
        _number("due_at_ms"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_scheduled_posts")),
        _goes_with("scheduled_posts", "account_id", "accounts.id"),
    )
    op.create_index(op.f("ix_scheduled_posts_account_id_id"), "scheduled_posts", ["account_id", "id"])


def downgrade() -> None:
    for table in (
        "scheduled_posts",
        "thread_mutes",
        "pins",
        "post_edits",
        "ballots",
        "poll_options",
        "polls",
    ):
        op.drop_table(table)
    for column in ("thread_id", "has_poll", "edited_at_ms"):
        op.drop_column("posts", column)
