"""Queries about scheduled posts."""

from __future__ import annotations

import msgspec

from stormpetrel.model.page import Page
from stormpetrel.model.post import Draft, Scheduled
from stormpetrel.storage.engine.connection import Connection, Row
from stormpetrel.storage.engine.paging import paged
from stormpetrel.storage.engine.statement import sql

_COLUMNS = "SELECT s.id, s.account_id, s.draft, s.due_at_ms FROM scheduled_posts s"
_PAGE = paged(f"{_COLUMNS} WHERE s.account_id = :account_id", "s.id")
_ONE = sql(f"{_COLUMNS} WHERE s.id = :scheduled_id")
_INSERT = sql(
    "INSERT INTO scheduled_posts (id, account_id, draft, due_at_ms) "
    "VALUES (:id, :account_id, :draft, :due_at_ms)"
)
_DELETE = sql("DELETE FROM scheduled_posts WHERE id = :scheduled_id")
_COUNTS = sql(
    "SELECT count(*), coalesce(sum(CASE WHEN due_at_ms >= :from_ms AND due_at_ms < :until_ms THEN 1 ELSE 0 END), 0) "
    "FROM scheduled_posts WHERE account_id = :account_id"
)

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Draft).decode


def _scheduled(row: Row) -> Scheduled:
    return Scheduled(row[0], row[1], _decode(row[2]), row[3])


def scheduled(connection: Connection, *, account_id: int, page: Page) -> list[Scheduled]:
    """Return the account's scheduled posts, last written first."""
    return [_scheduled(row) for row in _PAGE.run(connection, page, account_id=account_id)]


def one(connection: Connection, *, scheduled_id: int) -> Scheduled | None:
    """Return a scheduled post, or None if there is none (any more)."""
    row = connection.one(_ONE, scheduled_id=scheduled_id)
    return None if row is None else _scheduled(row)


def insert(connection: Connection, scheduled: Scheduled) -> None:
    """Insert a scheduled post."""
    connection.run(
        _INSERT,
        id=scheduled.id,
        account_id=scheduled.account_id,
        draft=_encode(scheduled.draft).decode(),
        due_at_ms=scheduled.due_at_ms,
    )


def delete(connection: Connection, *, scheduled_id: int) -> bool:
    """Delete a scheduled post; return False if it was gone."""
    return connection.run(_DELETE, scheduled_id=scheduled_id) > 0


def counts(connection: Connection, *, account_id: int, from_ms: int, until_ms: int) -> tuple[int, int]:
    """Return (the account's scheduled posts, those due from `from_ms` to before `until_ms`)."""
    row = connection.one(_COUNTS, account_id=account_id, from_ms=from_ms, until_ms=until_ms)
    assert row is not None
    return int(row[0]), int(row[1])
