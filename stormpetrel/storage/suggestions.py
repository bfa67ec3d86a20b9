"""Queries that suggest accounts to follow."""

from __future__ import annotations

from stormpetrel.storage.engine.connection import Connection
from stormpetrel.storage.engine.statement import sql

FOLLOWS_MOST = 50
"""At most this many of the reader's newest follows, and of each of theirs: 2,500 rows at most."""
POPULAR_MOST = 500
"""At most this many of the most followed accounts are considered."""

# Discoverable accounts that the reader neither follows already nor has rejected.
_WANTED = (
    "a.state = 'active' AND a.discoverable = TRUE AND a.silenced = FALSE AND a.id <> :reader_id "
    "AND NOT EXISTS (SELECT 1 FROM follows x WHERE x.follower_id = :reader_id AND x.followed_id = a.id) "
    "AND NOT EXISTS (SELECT 1 FROM follow_requests x WHERE x.follower_id = :reader_id AND x.followed_id = a.id) "
    "AND NOT EXISTS (SELECT 1 FROM blocks x WHERE x.account_id = :reader_id AND x.target_id = a.id) "
    "AND NOT EXISTS (SELECT 1 FROM blocks x WHERE x.account_id = a.id AND x.target_id = :reader_id) "
    "AND NOT EXISTS (SELECT 1 FROM mutes x WHERE x.account_id = :reader_id AND x.target_id = a.id "
    "AND (x.expires_at_ms = 0 OR x.expires_at_ms > :now_ms)) "
    "AND NOT EXISTS (SELECT 1 FROM suggestion_dismissals x "
    "WHERE x.account_id = :reader_id AND x.target_id = a.id)"
)
_FOLLOWED_BY_FOLLOWED = sql(
    "SELECT a.id FROM (SELECT g.followed_id AS account_id, count(*) AS many FROM "
    "(SELECT f.followed_id FROM follows f WHERE f.follower_id = :reader_id ORDER BY f.id DESC LIMIT :most) AS n "
    "JOIN follows g ON g.follower_id = n.followed_id AND g.id > coalesce((SELECT h.id FROM follows h "
    "WHERE h.follower_id = n.followed_id ORDER BY h.id DESC LIMIT 1 OFFSET :most), 0) "
    "GROUP BY g.followed_id) AS s JOIN accounts a ON a.id = s.account_id "
    f"WHERE {_WANTED} ORDER BY s.many DESC, a.followers_count DESC, a.id LIMIT :count"
)
_POPULAR = sql(
    "SELECT a.id FROM (SELECT id FROM accounts WHERE state = 'active' AND discoverable = TRUE "
    "ORDER BY followers_count DESC, id DESC LIMIT :popular) AS p JOIN accounts a ON a.id = p.id "
    f"WHERE {_WANTED} AND a.followers_count > 0 ORDER BY a.followers_count DESC, a.id DESC LIMIT :count"
)
_DISMISS = sql(
    "INSERT INTO suggestion_dismissals (account_id, target_id) VALUES (:account_id, :target_id) "
    "ON CONFLICT DO NOTHING"
)


def followed_by_followed(connection: Connection, *, reader_id: int, count: int, now_ms: int) -> list[int]:
    """Return accounts followed by accounts that the reader follows, by how many of these follow them."""
    rows = connection.all(
        _FOLLOWED_BY_FOLLOWED, reader_id=reader_id, most=FOLLOWS_MOST, count=count, now_ms=now_ms
    )
    return [row[0] for row in rows]


def popular(connection: Connection, *, reader_id: int, count: int, now_ms: int) -> list[int]:
    """Return the accounts with the most followers, among those that have any."""
    rows = connection.all(_POPULAR, reader_id=reader_id, popular=POPULAR_MOST, count=count, now_ms=now_ms)
    return [row[0] for row in rows]


def dismiss(connection: Connection, *, account_id: int, target_id: int) -> None:
    """Do not suggest the target to the account again."""
    connection.run(_DISMISS, account_id=account_id, target_id=target_id)
