"""Queries about hashtags featured on a profile, and how the account uses them."""

from __future__ import annotations

from collections.abc import Sequence

from stormpetrel.storage.engine.connection import Connection
from stormpetrel.storage.engine.statement import sql

POSTS_MOST = 1_000
"""Of an account's newest posts, this many are counted, so that every profile costs the same."""

_INSERT = sql(
    "INSERT INTO featured_tags (id, account_id, tag_id) VALUES (:id, :account_id, :tag_id) ON CONFLICT DO NOTHING"
)
_DELETE = sql("DELETE FROM featured_tags WHERE account_id = :account_id AND id = :id")
_FEATURED = sql(
    "SELECT f.id, t.name FROM featured_tags f JOIN tags t ON t.id = f.tag_id "
    "WHERE f.account_id = :account_id ORDER BY f.id"
)
# Only public and unlisted posts: the counts must not reveal posts for few readers.
_USED = sql(
    "SELECT t.name, count(*), max(p.created_at_ms) FROM (SELECT id, created_at_ms FROM posts "
    "WHERE author_id = :account_id AND boost_of_id IS NULL AND visibility <= 1 AND hidden = FALSE "
    "ORDER BY id DESC LIMIT :most) AS p "
    "JOIN post_tags pt ON pt.post_id = p.id JOIN tags t ON t.id = pt.tag_id "
    "GROUP BY t.name ORDER BY count(*) DESC, t.name"
)
_AMONG = sql(
    "SELECT t.name FROM featured_tags f JOIN tags t ON t.id = f.tag_id "
    "WHERE f.account_id = :account_id AND t.name IN :names[text]"
)


def insert(connection: Connection, *, id: int, account_id: int, tag_id: int) -> bool:
    """Feature a tag; return False if it was featured before."""
    return connection.run(_INSERT, id=id, account_id=account_id, tag_id=tag_id) > 0


def delete(connection: Connection, *, account_id: int, id: int) -> bool:
    """Stop featuring a tag, by its row's id; return False if it was not featured."""
    return connection.run(_DELETE, account_id=account_id, id=id) > 0


def featured(connection: Connection, *, account_id: int) -> list[tuple[int, str]]:
    """Return (row's id, key) of the account's featured tags, in the order they were added."""
    return [(row[0], row[1]) for row in connection.all(_FEATURED, account_id=account_id)]


def featured_among(connection: Connection, *, account_id: int, names: Sequence[str]) -> set[str]:
    """Return those of the tags (keys) that the account features."""
    return {row[0] for row in connection.all(_AMONG, account_id=account_id, names=names)}


def used(connection: Connection, *, account_id: int) -> dict[str, tuple[int, int]]:
    """Return (posts, time of the last) by tag key, most used first, among the account's newest posts."""
    rows = connection.all(_USED, account_id=account_id, most=POSTS_MOST)
    return {row[0]: (row[1], row[2]) for row in rows}
