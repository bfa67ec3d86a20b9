"""Writes on SQLite in groups: those that can be done at once are, and one that fails changes no other."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

from stormpetrel.errors import Busy, Invalid
from stormpetrel.model.event import AccountChanged, Event
from stormpetrel.storage.engine.connection import Connection
from stormpetrel.storage.engine.database import Database
from tests.storage.notes import add, ids_at, outcome, run
from tests.storage.several import add_one, before, sizes, written_together


def url_in(directory: Path) -> str:
    return f"sqlite:///{directory}/notes.db"


def numbers(events: list[Event]) -> list[int]:
    return [event.account_id for event in events if isinstance(event, AccountChanged)]


def test_writes_that_can_be_done_together_are_done_at_once_and_the_others_follow(tmp_path: Path) -> None:
    url = url_in(tmp_path)
    told: list[Event] = []

    async def body(database: Database) -> None:
        assert await written_together(database, 1, 2, 101, 3, 102) == [1, 2, 101, 3, 102]
        assert sizes == [5]
        assert await database.write(add_one, note_id=4) == 4
        assert sizes == [5]

    run(url, body, told.extend)
    assert numbers(told) == [1, 2, 3, 101, 102, 4]
    assert ids_at(url) == [1, 2, 3, 4, 101, 102]


def test_no_write_is_answered_before_the_commit_of_all(tmp_path: Path) -> None:
    url = url_in(tmp_path)
    seen: list[list[int]] = []

    async def body(database: Database) -> None:
        before.append(lambda: seen.append(ids_at(url)))
        assert await written_together(database, 1, 2, 3) == [1, 2, 3]
        seen.append(ids_at(url))

    run(url, body)
    assert seen == [[], [1, 2, 3]]


def test_one_bad_write_among_those_done_together_fails_alone(tmp_path: Path) -> None:
    url = url_in(tmp_path)
    told: list[Event] = []
    answered: list[Any] = []

    async def body(database: Database) -> None:
        answered.extend(await written_together(database, 5, 6, -(10**30), 5, 7))

    run(url, body, told.extend)
    assert answered[:2] == [5, 6]
    assert isinstance(answered[2], Invalid)
    assert isinstance(answered[3], sqlite3.IntegrityError)
    assert answered[4] == 7
    # A write that was undone published nothing.
    assert numbers(told) == ids_at(url) == [5, 6, 7]


def test_writes_together_on_a_full_disk_are_refused_and_none_is_half_stored(tmp_path: Path) -> None:
    url = url_in(tmp_path)
    answered: list[Any] = []
    told: list[Event] = []

    def limit(connection: Connection, *, pages: int) -> None:
        connection.raw.execute(f"PRAGMA max_page_count={pages}")  # type: ignore[attr-defined]

    async def body(database: Database) -> None:
        await database.write(add, note_id=1)
        await database.write(limit, pages=1)
        filling = [database.write(add, note_id=200 + number, text="x" * 5_000) for number in range(3)]
        answered.extend(await asyncio.gather(*(outcome(call) for call in filling)))
        answered.extend(await written_together(database, *range(10, 90)))
        await database.write(limit, pages=1_000_000)
        assert await written_together(database, 2, 3) == [2, 3]

    run(url, body, told.extend)
    acknowledged = sorted(one for one in answered if isinstance(one, int))
    assert sum(isinstance(one, Busy) for one in answered) == len(answered) - len(acknowledged) >= 3
    assert ids_at(url) == sorted([1, 2, 3, *acknowledged]) == sorted(numbers(told))
