"""Counts say what their lists show: without hidden accounts, direct posts, and replies that visitors cannot see."""

from __future__ import annotations

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_SHOWN = "SELECT id FROM accounts WHERE state NOT IN ('suspended', 'deleted')"
_COUNTS = (
    "UPDATE posts SET favourites_count = (SELECT COUNT(*) FROM favourites f WHERE f.post_id = posts.id "
    f"AND f.account_id IN ({_SHOWN})) WHERE favourites_count <> 0",
    "UPDATE posts SET boosts_count = (SELECT COUNT(*) FROM posts b WHERE b.boost_of_id = posts.id "
    f"AND b.author_id IN ({_SHOWN})) WHERE boosts_count <> 0",
    "UPDATE posts SET replies_count = (SELECT COUNT(*) FROM posts r WHERE r.in_reply_to_id = posts.id "
    f"AND r.visibility <= 1 AND r.author_id IN ({_SHOWN})) WHERE replies_count <> 0",
    "UPDATE accounts SET followers_count = (SELECT COUNT(*) FROM follows f WHERE f.followed_id = accounts.id "
    f"AND f.follower_id IN ({_SHOWN})) WHERE followers_count <> 0",
    "UPDATE accounts SET following_count = (SELECT COUNT(*) FROM follows f WHERE f.follower_id = accounts.id "
    f"AND f.followed_id IN ({_SHOWN})) WHERE following_count <> 0",
    "UPDATE accounts SET posts_count = (SELECT COUNT(*) FROM posts p WHERE p.author_id = accounts.id "
    "AND p.visibility <= 2) WHERE posts_count <> 0",
)


def upgrade() -> None:
    """Count anew."""
    for statement in _COUNTS:
        op.execute(statement)


def downgrade() -> None:
    """Nothing: the release before counts on from here."""
