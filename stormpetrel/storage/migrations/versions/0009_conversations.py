"""Direct posts by conversation; those that are there already are sorted into them, as read."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

# Two statements over the direct posts alone, whatever else there is. Who wrote one and who is mentioned in it
# have it; an author may mention themselves, hence UNION.
_DIRECT = """
SELECT author_id AS account_id, coalesce(thread_id, id) AS thread_id, id AS post_id FROM posts WHERE visibility = 3
UNION
SELECT m.account_id, coalesce(p.thread_id, p.id), p.id FROM posts p JOIN mentions m ON m.post_id = p.id
WHERE p.visibility = 3
"""
_CONVERSATIONS = f"""
INSERT INTO conversations (account_id, thread_id, last_post_id, read_to_id)
SELECT account_id, thread_id, max(post_id), max(post_id) FROM ({_DIRECT}) direct GROUP BY account_id, thread_id
"""
_POSTS = f"""
INSERT INTO conversation_posts (account_id, thread_id, post_id)
SELECT account_id, thread_id, post_id FROM ({_DIRECT}) direct
"""


def _number(name: str, default: str | None = None) -> sa.Column[int]:
    return sa.Column(
        name, sa.BigInteger(), server_default=sa.text(default) if default else None, nullable=False
    )


def upgrade() -> None:
    op.create_table(
        "conversations",
        _number("account_id"),
        _number("thread_id"),
        _number("last_post_id"),
        _number("read_to_id", "0"),
        sa.PrimaryKeyConstraint("account_id", "thread_id", name="pk_conversations"),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name="fk_conversations_account_id", ondelete="CASCADE"
        ),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "conversation_posts",
        _number("account_id"),
        _number("thread_id"),
        _number("post_id"),
        sa.PrimaryKeyConstraint("account_id", "thread_id", "post_id", name="pk_conversation_posts"),
        sa.ForeignKeyConstraint(
            ["account_id", "thread_id"],
            ["conversations.account_id", "conversations.thread_id"],
            name="fk_conversation_posts_account_id",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["post_id"], ["posts.id"], name="fk_conversation_posts_post_id", ondelete="CASCADE"
        ),
        sqlite_with_rowid=False,
    )
    op.execute(_CONVERSATIONS)
    op.execute(_POSTS)
    op.create_index(
        "ix_conversations_account_id_last_post_id", "conversations", ["account_id", "last_post_id"]
    )
    op.create_index("ix_conversation_posts_post_id", "conversation_posts", ["post_id"])


def downgrade() -> None:
    op.drop_table("conversation_posts")
    op.drop_table("conversations")
