"""Queries about hashtags that somebody shows on their profile, and how they use them."""

from __future__ import annotations

from collections.abc import Sequence

from stormpetrel.storage.connection import Connection
from stormpetrel.storage.statement import sql

POSTS_MOST = 1_000
"""Of an account's newest posts, so many are counted: a profile costs the same however much somebody wrote."""

_INSERT = sql(
    "INSERT INTO featured_tags (id, account_id, tag_id) VALUES (:id, :account_id, :tag_id) ON CONFLICT DO NOTHING"
)
_DELETE = sql("DELETE FROM featured_tags WHERE account_id = :account_id AND id = :id")
_FEATURED = sql(
    "SELECT f.id, t.name FROM featured_tags f JOIN tags t ON t.id = f.tag_id "
    "WHERE f.account_id = :account_id ORDER BY f.id"
)
# What everybody may see of it; what is for few is counted for nobody.
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
    """Shows a tag; False when it was shown."""
    return connection.run(_INSERT, id=id, account_id=account_id, tag_id=tag_id) > 0


def delete(connection: Connection, *, account_id: int, id: int) -> bool:
    """Shows a tag no longer, by its row's id; False when it was not shown."""
    return connection.run(_DELETE, account_id=account_id, id=id) > 0


def featured(connection: Connection, *, account_id: int) -> list[tuple[int, str]]:
    """(row's id, key) of the tags that the account shows, as they came."""
    return [(row[0], row[1]) for row in connection.all(_FEATURED, account_id=account_id)]


def featured_among(connection: Connection, *, account_id: int, names: Sequence[str]) -> set[str]:
    """Those of the tags (keys) that the account shows."""
    return {row[0] for row in connection.all(_AMONG, account_id=account_id, names=names)}


def used(connection: Connection, *, account_id: int) -> dict[str, tuple[int, int]]:
    """By tag (key), the most used first: posts with it among the account's newest, when the last was written."""
    rows = connection.all(_USED, account_id=account_id, most=POSTS_MOST)
    return {row[0]: (row[1], row[2]) for row in rows}
