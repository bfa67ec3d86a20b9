"""A table for tests of the database layer, without any rule, and functions that use it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from stormpetrel.model.event import AccountChanged, Event
from stormpetrel.storage.engine.connection import Connection, connect
from stormpetrel.storage.engine.database import Database
from stormpetrel.storage.engine.statement import Statement

_INSERT = "INSERT INTO notes (id, text) VALUES (:id, :text)"
_IDS = "SELECT id FROM notes ORDER BY id"
INSERT, IDS = Statement(_INSERT, _INSERT), Statement(_IDS, _IDS)


def make_table(url: str) -> None:
    """Create the table in a database that may be empty."""
    connection = connect(url, create=True)
    connection.raw.execute("CREATE TABLE notes (id BIGINT PRIMARY KEY, text TEXT NOT NULL)")  # type: ignore[call-overload]
    connection.close()


def add(connection: Connection, *, note_id: int, text: str = "") -> int:
    """Insert a note and publish an event about it."""
    connection.run(INSERT, id=note_id, text=text)
    connection.tell(AccountChanged(note_id))
    return note_id


def ids(connection: Connection) -> list[int]:
    """Return the ids of all notes."""
    return [row[0] for row in connection.all(IDS)]


def ids_at(url: str) -> list[int]:
    """Return the ids of all notes, read over a separate connection."""
    connection = connect(url, writes=False)
    try:
        return ids(connection)
    finally:
        connection.close()


def run(
    url: str,
    body: Callable[[Database], Awaitable[None]],
    publish: Callable[[list[Event]], None] | None = None,
) -> None:
    """Run `body` with an open database, then close the database."""

    async def inner() -> None:
        database = Database(url, publish=publish)
        await database.open()
        try:
            await body(database)
        finally:
            await database.close()

    make_table(url)
    asyncio.run(inner())


async def outcome(awaitable: Awaitable[Any]) -> Any:
    """Return the result, or the exception raised."""
    try:
        return await awaitable
    except Exception as error:
        return error
