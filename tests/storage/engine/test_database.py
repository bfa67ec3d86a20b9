"""The database as a process uses it: groups, order, deadlines, and answers that are true."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import psycopg
import pytest

from stormpetrel.errors import Busy, Forbidden, Invalid
from stormpetrel.model.event import AccountChanged, Event
from stormpetrel.storage.engine import calls
from stormpetrel.storage.engine import database as module
from stormpetrel.storage.engine.connection import Connection
from stormpetrel.storage.engine.database import (
    MAX_WAITING_SLOW,
    TOO_BROAD,
    WAITING_PER_ASKER,
    Database,
)
from stormpetrel.storage.engine.hot import hot
from stormpetrel.storage.engine.postgresql_writer import RETRIES
from stormpetrel.storage.engine.statement import Statement
from tests.storage.notes import add, ids, ids_at, outcome, run


@asynccontextmanager
async def held_writer(database: Database) -> AsyncIterator[threading.Event]:
    """Keep the writer busy in a call until the block ends or the event is set."""
    release = threading.Event()
    holding = threading.Event()

    def hold(connection: Connection) -> None:
        holding.set()
        release.wait()

    task = asyncio.ensure_future(database.write(hold))
    while not holding.is_set():
        await asyncio.sleep(0)
    try:
        yield release
    finally:
        release.set()
        await task


async def until_queued(database: Database, count: int) -> None:
    """Wait until so many calls are waiting."""
    while database.waiting_writes != count:
        await asyncio.sleep(0)


def test_what_was_written_is_read_at_once_and_told_before_the_answer(database_url: str) -> None:
    order: list[Any] = []

    def publish(events: list[Event]) -> None:
        order.extend(events)

    async def body(database: Database) -> None:
        for number in range(20):
            order.append(await database.write(add, note_id=number))
            assert number in await database.read(ids)
            assert number in await database.read(hot(lambda connection: ids(connection)))

    run(database_url, body, publish)
    assert order == [item for number in range(20) for item in (AccountChanged(number), number)]


def test_a_call_that_fails_hurts_nobody_else_in_its_group(database_url: str) -> None:
    told: list[Event] = []

    def refused(connection: Connection) -> None:
        add(connection, note_id=100)
        raise Forbidden("no")

    def broken(connection: Connection) -> None:
        add(connection, note_id=101)
        raise ZeroDivisionError

    async def body(database: Database) -> None:
        await database.write(add, note_id=1)
        async with held_writer(database) as release:
            calls = [
                database.write(add, note_id=2),
                database.write(add, note_id=1),
                database.write(refused),
                database.write(broken),
                database.write(add, note_id=3),
            ]
            tasks = [asyncio.ensure_future(outcome(call)) for call in calls]
            await until_queued(database, 5)
            release.set()
            found = await asyncio.gather(*tasks)
        assert (found[0], found[4]) == (2, 3)
        assert isinstance(found[1], sqlite3.IntegrityError | psycopg.errors.UniqueViolation)
        assert isinstance(found[2], Forbidden)
        assert isinstance(found[3], ZeroDivisionError)
        assert await database.read(ids) == [1, 2, 3]

    run(database_url, body, told.extend)
    assert sorted(event.account_id for event in told if isinstance(event, AccountChanged)) == [1, 2, 3]


def test_the_most_urgent_goes_first_and_then_who_came_first(sqlite_url: str) -> None:
    taken: list[str] = []

    def take(connection: Connection, name: str) -> None:
        taken.append(name)

    async def body(database: Database) -> None:
        async with held_writer(database) as release:
            calls = [(2, "last"), (1, "second"), (0, "first"), (1, "third")]
            tasks = [
                asyncio.ensure_future(database.write_as(urgency, 10.0, take, name)) for urgency, name in calls
            ]
            await until_queued(database, len(calls))
            release.set()
            await asyncio.gather(*tasks)

    run(sqlite_url, body)
    assert taken == ["first", "second", "third", "last"]


def test_who_waited_past_the_deadline_is_told_that_nothing_was_stored(database_url: str) -> None:
    async def body(database: Database) -> None:
        found = await outcome(database.write_as(1, -1.0, add, note_id=1))
        assert isinstance(found, Busy)
        assert "nothing was stored" in found.safe_text
        assert found.retry_after_s > 0
        await database.write(add, note_id=2)
        assert await database.read(ids) == [2]

    run(database_url, body)


def test_a_caller_who_leaves_loses_the_answer_and_not_the_post(database_url: str) -> None:
    started, release = threading.Event(), threading.Event()

    def slow(connection: Connection) -> None:
        started.set()
        release.wait()
        add(connection, note_id=1)

    async def body(database: Database) -> None:
        leaving = asyncio.ensure_future(database.write(slow))
        while not started.is_set():
            await asyncio.sleep(0)
        leaving.cancel()
        await asyncio.wait([leaving])
        assert leaving.cancelled()
        release.set()
        await database.write(add, note_id=2)

    run(database_url, body)
    assert ids_at(database_url) == [1, 2]


def test_a_caller_who_leaves_before_it_is_their_turn_stores_nothing(database_url: str) -> None:
    async def body(database: Database) -> None:
        async with held_writer(database) as release:
            leaving = asyncio.ensure_future(database.write(add, note_id=1))
            await until_queued(database, 1)
            leaving.cancel()
            await asyncio.wait([leaving])
            release.set()
            await database.write(add, note_id=2)
        assert await database.read(ids) == [2]

    run(database_url, body)


def test_with_too_many_waiting_the_next_is_refused(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "MAX_WAITING_WRITES", 3)

    async def body(database: Database) -> None:
        async with held_writer(database):
            tasks = [asyncio.ensure_future(database.write(add, note_id=number)) for number in range(3)]
            await until_queued(database, 3)
            assert isinstance(await outcome(database.write(add, note_id=9)), Busy)
        assert sorted(await asyncio.gather(*tasks)) == [0, 1, 2]
        assert await database.read(ids) == [0, 1, 2]

    run(sqlite_url, body)


def test_closing_commits_what_waits_and_refuses_what_comes_later(database_url: str) -> None:
    async def body(database: Database) -> None:
        async with held_writer(database) as release:
            tasks = [asyncio.ensure_future(database.write(add, note_id=number)) for number in range(20)]
            await until_queued(database, 20)
            closing = asyncio.ensure_future(database.close())
            await asyncio.sleep(0)
            for late in (database.write(add, note_id=99), database.read(ids)):
                assert isinstance(await outcome(late), Busy)
            release.set()
            await closing
            assert sorted(await asyncio.gather(*tasks)) == list(range(20))

    run(database_url, body)
    assert ids_at(database_url) == list(range(20))


def test_when_telling_the_others_fails_whoever_wrote_is_answered_all_the_same(database_url: str) -> None:
    seen: list[Any] = []

    def publish(events: list[Event]) -> None:
        raise ZeroDivisionError

    async def body(database: Database) -> None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, about: seen.append(about["exception"]))
        assert await database.write(add, note_id=1) == 1
        assert await database.write(add, note_id=2) == 2

    run(database_url, body, publish)
    assert [type(error) for error in seen] == [ZeroDivisionError] * 2


# Hot reads -------------------------------------------------------------------------------------------------


_COUNT = (
    "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < :most) SELECT count(*) FROM n"
)
COUNT = Statement(_COUNT, _COUNT)


@hot
def count_to(connection: Connection, *, most: int) -> int:
    row = connection.one(COUNT, most=most)
    assert row is not None
    return int(row[0])


def test_a_hot_read_that_takes_too_long_leaves_the_loop_and_is_answered(sqlite_url: str) -> None:
    async def body(database: Database) -> None:
        assert database.read_inline(count_to, most=10) == (True, 10)
        assert database.read_inline(count_to, most=1_000_000) == (False, None)
        assert database.aborted_hot_reads == 1
        assert await database.read(count_to, most=1_000_000) == 1_000_000
        assert database.aborted_hot_reads == 2
        # The connection in the event loop still works.
        assert await database.read(count_to, most=10) == 10
        assert database.aborted_hot_reads == 2

    run(sqlite_url, body)


def test_a_read_that_never_ends_is_refused_and_the_next_is_served(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "READ_LIMIT_S", 0.05)

    async def body(database: Database) -> None:
        found = await outcome(database.read(count_to, most=10**12))
        assert isinstance(found, Busy)
        assert "read" in found.safe_text
        assert await database.read(ids) == []

    run(sqlite_url, body)


def test_who_only_reads_cannot_write(database_url: str) -> None:
    def write(connection: Connection) -> None:
        connection.run(Statement("DELETE FROM notes", "DELETE FROM notes"))

    async def body(database: Database) -> None:
        await database.write(add, note_id=1)
        assert isinstance(await outcome(database.read(write)), Exception)
        assert isinstance(await outcome(database.read(hot(write))), Exception)
        assert await database.read(ids) == [1]

    run(database_url, body)


@pytest.mark.parametrize(
    "values",
    [
        {"note_id": 1, "text": "a\x00b"},
        {"note_id": 1, "text": "a\ud800b"},
        {"note_id": 2**63},
        {"note_id": -(2**63) - 1},
        {"note_id": 10**40},
    ],
)
def test_what_no_store_can_hold_is_refused_alike_by_both(database_url: str, values: dict[str, Any]) -> None:
    async def body(database: Database) -> None:
        found = await outcome(database.write(add, **values))
        assert isinstance(found, Invalid), found
        assert await database.write(add, note_id=5, text="é😀") == 5
        assert await database.read(ids) == [5]

    run(database_url, body)


# PostgreSQL ------------------------------------------------------------------------------------------------


def test_two_writes_that_wait_for_each_other_are_both_done(postgresql_url: str) -> None:
    text = "UPDATE notes SET text = text || 'x' WHERE id = :id"
    update = Statement(text, text)
    both_hold_one = threading.Barrier(2)
    runs: list[int] = []

    def cross(connection: Connection, *, first: int, then: int) -> None:
        runs.append(first)
        connection.run(update, id=first)
        if len(runs) <= 2:
            both_hold_one.wait()
        connection.run(update, id=then)

    async def body(database: Database) -> None:
        for number in (1, 2):
            await database.write(add, note_id=number)
        other = Database(postgresql_url)
        await other.open()
        await asyncio.gather(database.write(cross, first=1, then=2), other.write(cross, first=2, then=1))
        await other.close()
        row = await database.read(
            lambda connection: connection.all(Statement("-", "SELECT text FROM notes ORDER BY id"))
        )
        assert row == [("xx",), ("xx",)]

    run(postgresql_url, body)
    # One of the two had to restart. On a busy machine they can meet and restart again.
    assert 3 <= len(runs) <= 2 * (RETRIES + 1)


_ENDLESS = (
    "WITH RECURSIVE counted(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM counted) "
    "SELECT count(*) FROM counted WHERE n < 0"
)


ENDLESS = Statement(_ENDLESS, _ENDLESS)


_COUNTED = _ENDLESS.replace("FROM counted)", "FROM counted WHERE n < 5000)")


COUNTED = Statement(_COUNTED, _COUNTED)


def endless(connection: Connection) -> None:
    connection.all(ENDLESS)


@asynccontextmanager
async def held_searcher(database: Database, asker: int) -> AsyncIterator[None]:
    """Keep a read of `asker` running until the block ends."""
    release, holding = threading.Event(), threading.Event()

    def hold(connection: Connection) -> None:
        holding.set()
        release.wait()

    task = asyncio.ensure_future(database.read_slow(asker, hold))
    while not holding.is_set():
        await asyncio.sleep(0)
    try:
        yield
    finally:
        release.set()
        await task


def test_a_read_without_end_is_cut_off_and_the_next_one_is_served(
    database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def body(database: Database) -> None:
        await database.write(add, note_id=1)
        hostile = asyncio.ensure_future(outcome(database.read_slow(1, endless)))
        waiting = asyncio.ensure_future(database.read_slow(2, ids))
        # Other reads and writes do not wait for it.
        await database.write(add, note_id=2)
        assert await database.read(ids) == [1, 2]
        assert not hostile.done()
        stopped = await hostile
        assert isinstance(stopped, Busy)
        assert (stopped.safe_text, stopped.status) == (TOO_BROAD, 503)
        assert await waiting == await database.read_slow(1, ids) == [1, 2]

    with caplog.at_level(logging.INFO):
        run(database_url, body)
    # It is no failure of the store, and searches must not fill the log.
    assert "failed" not in caplog.text


def test_the_limit_is_about_the_whole_read_not_each_of_its_statements(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SLOW_LIMIT_S", 0.05)
    done = []

    def many(connection: Connection) -> None:
        while True:
            ids(connection)
            done.append(1)

    async def body(database: Database) -> None:
        stopped = await outcome(database.read_slow(1, many))
        assert isinstance(stopped, Busy)
        assert await database.read_slow(1, ids) == []

    run(database_url, body)
    assert len(done) > 1


def test_waiting_for_a_core_is_not_charged_to_a_search(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SLOW_LIMIT_S", 0.2)

    def waits(connection: Connection) -> int:
        # Simulate a machine whose processor is busy with other work.
        time.sleep(0.5)
        return len(connection.all(COUNTED))

    async def body(database: Database) -> None:
        assert await database.read_slow(1, waits) == 1

    run(sqlite_url, body)


def test_one_asker_has_so_many_at_a_time_and_others_their_own(database_url: str) -> None:
    async def body(database: Database) -> None:
        async with held_searcher(database, 1):
            more = [asyncio.ensure_future(database.read_slow(1, ids)) for _ in range(WAITING_PER_ASKER - 1)]
            await asyncio.sleep(0)
            refused = await outcome(database.read_slow(1, ids))
            assert isinstance(refused, Busy)
            assert refused.safe_text == "Your other searches are still under way. Please try again"
            other = asyncio.ensure_future(database.read_slow(2, ids))
            # A client that has hung up occupies no place in the queue.
            more[0].cancel()
            await asyncio.wait(more)
            again = asyncio.ensure_future(database.read_slow(1, ids))
            await asyncio.sleep(0)
        assert await other == await again == []
        assert await database.read_slow(1, ids) == []

    run(database_url, body)


def test_so_many_wait_at_most_and_the_next_is_refused_at_once(database_url: str) -> None:
    async def body(database: Database) -> None:
        async with held_searcher(database, 1):
            waiting = [
                asyncio.ensure_future(database.read_slow(100 + number, ids))
                for number in range(MAX_WAITING_SLOW)
            ]
            await asyncio.sleep(0)
            for asker in (99, 0):
                refused = await outcome(database.read_slow(asker, ids))
                assert isinstance(refused, Busy)
                assert refused.safe_text == "Too many searches are waiting. Please try again"
            assert await database.read(ids) == []
        assert await asyncio.gather(*waiting) == [[]] * MAX_WAITING_SLOW
        assert await database.read_slow(99, ids) == []

    run(database_url, body)
