"""Queries about followed hashtags."""

from __future__ import annotations

from collections.abc import Sequence

from stormpetrel.model.page import Page
from stormpetrel.storage.engine.connection import Connection
from stormpetrel.storage.engine.paging import paged
from stormpetrel.storage.engine.statement import sql

_INSERT = sql(
    "INSERT INTO tag_follows (id, account_id, tag_id) VALUES (:id, :account_id, :tag_id) ON CONFLICT DO NOTHING"
)
_DELETE = sql("DELETE FROM tag_follows WHERE account_id = :account_id AND tag_id = :tag_id")
_COUNT = sql("SELECT count(*) FROM tag_follows WHERE account_id = :account_id")
_AMONG = sql(
    "SELECT t.name FROM tag_follows f JOIN tags t ON t.id = f.tag_id "
    "WHERE f.account_id = :account_id AND t.name IN :names[text]"
)
_FOLLOWED = paged(
    "SELECT f.id, t.name FROM tag_follows f JOIN tags t ON t.id = f.tag_id WHERE f.account_id = :account_id",
    "f.id",
)
# One query for both, as most readers have neither.
_APART_AND_TAGS = sql(
    "SELECT m.account_id, '' FROM list_members m JOIN lists l ON l.id = m.list_id AND l.exclusive "
    "WHERE l.account_id = :reader_id "
    "UNION ALL SELECT f.tag_id, t.name FROM tag_follows f JOIN tags t ON t.id = f.tag_id "
    "WHERE f.account_id = :reader_id"
)


def apart_and_tags(connection: Connection, *, reader_id: int) -> tuple[frozenset[int], dict[str, int]]:
    """Return (members of the reader's exclusive lists, followed hashtags: key → id)."""
    rows = connection.all(_APART_AND_TAGS, reader_id=reader_id)
    return (
        frozenset(account_id for account_id, name in rows if not name),
        {name: tag_id for tag_id, name in rows if name},
    )


def insert(connection: Connection, *, id: int, account_id: int, tag_id: int) -> bool:
    """Follow a tag; return False if it was followed before."""
    return connection.run(_INSERT, id=id, account_id=account_id, tag_id=tag_id) > 0


def delete(connection: Connection, *, account_id: int, tag_id: int) -> bool:
    """Unfollow a tag; return False if it was not followed."""
    return connection.run(_DELETE, account_id=account_id, tag_id=tag_id) > 0


def count(connection: Connection, *, account_id: int) -> int:
    """Return how many tags the account follows."""
    row = connection.one(_COUNT, account_id=account_id)
    return 0 if row is None else int(row[0])


def followed_among(connection: Connection, *, account_id: int, names: Sequence[str]) -> set[str]:
    """Return those of the tags (keys) that the account follows."""
    return {row[0] for row in connection.all(_AMONG, account_id=account_id, names=names)}


def followed(connection: Connection, *, account_id: int, page: Page) -> list[tuple[int, str]]:
    """Return (internal id, key) of the tags that the account follows, newest first."""
    return _FOLLOWED.run(connection, page, account_id=account_id)
