"""A table of the tests' own, and what is done with it: the database is tried without any rule."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from stormpetrel.model.event import AccountChanged, Event
from stormpetrel.storage.connection import Connection, connect
from stormpetrel.storage.database import Database
from stormpetrel.storage.statement import Statement

_INSERT = "INSERT INTO notes (id, text) VALUES (:id, :text)"
_IDS = "SELECT id FROM notes ORDER BY id"
INSERT, IDS = Statement(_INSERT, _INSERT), Statement(_IDS, _IDS)


def make_table(url: str) -> None:
    """The table, at a database that may be empty."""
    connection = connect(url, create=True)
    connection.raw.execute("CREATE TABLE notes (id BIGINT PRIMARY KEY, text TEXT NOT NULL)")  # type: ignore[call-overload]
    connection.close()


def add(connection: Connection, *, note_id: int, text: str = "") -> int:
    """A write that tells what it did."""
    connection.run(INSERT, id=note_id, text=text)
    connection.tell(AccountChanged(note_id))
    return note_id


def ids(connection: Connection) -> list[int]:
    """All notes."""
    return [row[0] for row in connection.all(IDS)]


def ids_at(url: str) -> list[int]:
    """All notes, read by somebody else."""
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
    """Runs `body` with an open database, and closes it."""

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
    """What it gives, or the error that it raises."""
    try:
        return await awaitable
    except Exception as error:
        return error
