"""Potentially expensive reads: cut off at their limit, few at a time, and without delay for other queries."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from stormpetrel.errors import Busy
from stormpetrel.storage.engine import database as module
from stormpetrel.storage.engine.connection import Connection
from stormpetrel.storage.engine.database import MAX_WAITING_SLOW, TOO_BROAD, WAITING_PER_ASKER, Database
from stormpetrel.storage.engine.statement import Statement
from tests.storage.notes import add, ids, outcome, run

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
