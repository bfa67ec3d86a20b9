"""Writes on PostgreSQL in groups: each is answered as it ended, once it is durable, and changes no other."""

from __future__ import annotations

import asyncio
import math
import threading
from typing import Any

import psycopg
import pytest

from stormpetrel.errors import Busy, EnvironmentFailure, Forbidden, Invalid
from stormpetrel.model.event import AccountChanged
from stormpetrel.model.ids import IdMaker
from stormpetrel.storage.engine import group
from stormpetrel.storage.engine.calls import Completions, NothingPending, WriteCall
from stormpetrel.storage.engine.connection import Connection, PostgresqlConnection
from stormpetrel.storage.engine.database import Database
from stormpetrel.storage.engine.postgresql_writer import PostgresqlWriter
from stormpetrel.storage.engine.together import APART, together
from tests.storage.notes import INSERT, add, ids_at, make_table, run
from tests.storage.relay import relayed
from tests.storage.several import before, sizes, written_together


def test_writes_that_can_be_done_together_are_one_transaction_and_the_others_follow(
    postgresql_url: str,
) -> None:
    told: list[int] = []

    async def body(database: Database) -> None:
        assert await written_together(database, 1, 2, 101, 3, 102) == [1, 2, 101, 3, 102]
        assert sizes == [5]
        assert await written_together(database, 103, 104) == [103, 104]

    run(
        postgresql_url,
        body,
        publish=lambda events: told.extend(
            event.account_id for event in events if isinstance(event, AccountChanged)
        ),
    )
    assert told == [1, 2, 3, 101, 102, 103, 104]
    with psycopg.connect(postgresql_url) as connection:
        rows = connection.execute("SELECT id, xmin::text::bigint FROM notes ORDER BY id").fetchall()
    number = dict(rows)
    assert number[1] == number[2] == number[3]
    assert len({number[3], number[101], number[102], number[103], number[104]}) == 5


def test_one_bad_write_among_those_done_together_fails_alone(postgresql_url: str) -> None:
    answered: list[Any] = []

    async def body(database: Database) -> None:
        answered.extend(await written_together(database, 5, 6, -(10**30), 5, 7))

    run(postgresql_url, body)
    assert answered[:2] == [5, 6]
    assert isinstance(answered[2], Invalid)
    assert isinstance(answered[3], psycopg.errors.UniqueViolation)
    assert answered[4] == 7
    assert ids_at(postgresql_url) == [5, 6, 7]


@pytest.mark.parametrize("fate", ["answer", "request"])
def test_writes_done_together_are_answered_as_their_commit_ended(postgresql_url: str, fate: str) -> None:
    answered: list[Any] = []

    async def body(database: Database) -> None:
        await database.write(add, note_id=1_000)
        before.append(lambda: setattr(relay, "cut", fate))
        answered.extend(await written_together(database, *range(20)))
        await database.write(add, note_id=2_000)

    with relayed(postgresql_url) as (relay, url):
        run(url, body)
    acknowledged = [note_id for note_id in answered if isinstance(note_id, int)]
    assert acknowledged == ([] if fate == "request" else list(range(20)))
    assert sum(isinstance(error, Busy) for error in answered) == 20 - len(acknowledged)
    assert ids_at(postgresql_url) == sorted([*acknowledged, 1_000, 2_000])


def test_writes_done_together_do_not_wait_long_for_the_lock_of_one(postgresql_url: str) -> None:
    answered: list[Any] = []

    async def body(database: Database) -> None:
        with psycopg.connect(postgresql_url) as other:
            other.execute("INSERT INTO notes (id, text) VALUES (2, '')")
            writing = asyncio.ensure_future(written_together(database, 1, 2, 3))
            # The second waits for the other program until its own limit; the others were done one by one.
            answered.extend(await writing)
            other.rollback()
        assert await written_together(database, 2, 4) == [2, 4]

    run(postgresql_url, body)
    assert answered[0] == 1
    assert isinstance(answered[1], Busy)
    assert answered[2] == 3
    assert ids_at(postgresql_url) == [1, 2, 3, 4]


def test_writes_that_were_put_apart_delay_no_earlier_answer_and_no_urgent_write(
    postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group, "GROUP_CALLS", 4)
    begun, go_on = threading.Event(), threading.Event()
    order: list[int] = []

    @together(lambda connection, calls: [APART for _ in calls])
    def add_apart(connection: Connection, *, note_id: int) -> int:
        order.append(note_id)
        if note_id == 4:
            begun.set()
            assert go_on.wait(10)
        return add(connection, note_id=note_id)

    async def body(database: Database) -> None:
        start = threading.Event()
        held = asyncio.ensure_future(database.write(lambda connection: start.wait(10)))
        writes = [asyncio.ensure_future(database.write(add_apart, note_id=number)) for number in range(6)]
        await asyncio.sleep(0)
        start.set()
        assert await held
        # The next group waits in its first write, and those of the group before are answered.
        assert await asyncio.gather(*writes[:4]) == [0, 1, 2, 3]
        assert await asyncio.to_thread(begun.wait, 10)
        urgent = asyncio.ensure_future(database.write_as(0, 10.0, add_apart, note_id=100))
        await asyncio.sleep(0)
        go_on.set()
        assert await asyncio.gather(*writes[4:], urgent) == [4, 5, 100]

    run(postgresql_url, body)
    assert order == [0, 1, 2, 3, 4, 100, 5]


@pytest.mark.parametrize("fate", ["answer", "request"])
def test_each_write_of_a_group_is_answered_as_it_ended(postgresql_url: str, fate: str) -> None:
    answered: list[int | BaseException] = []

    async def body(database: Database) -> None:
        await database.write(add, note_id=1_000)
        relay.cut = fate
        # The first of them commits without waiting for the disk, while the others wait.
        answered.extend(
            await asyncio.gather(
                *(database.write(add, note_id=number) for number in range(60)), return_exceptions=True
            )
        )
        await database.write(add, note_id=2_000)

    with relayed(postgresql_url) as (relay, url):
        run(url, body)
    acknowledged = [note_id for note_id in answered if isinstance(note_id, int)]
    refused = [error for error in answered if isinstance(error, Busy)]
    assert len(acknowledged) + len(refused) == 60
    assert len(refused) == (1 if fate == "request" else 0)
    assert ids_at(postgresql_url) == sorted([*acknowledged, 1_000, 2_000])


def test_a_write_that_fails_takes_no_other_of_its_group_with_it(postgresql_url: str) -> None:
    make_table(postgresql_url)

    def add_later(connection: Connection, *, note_id: int) -> int:
        connection.run_later(INSERT, id=note_id, text="")
        return note_id

    def refuse(connection: Connection) -> int:
        connection.run_later(INSERT, id=500, text="")
        raise Forbidden

    def change_nothing(connection: Connection) -> int:
        return -1

    answered: list[int | BaseException] = []

    async def body() -> None:
        database = Database(postgresql_url)
        await database.open()
        try:
            writes = [database.write(add_later, note_id=number) for number in (1, 2, 1, 3, 10**30, 4)]
            writes += [database.write(refuse), database.write(change_nothing), database.write(refuse)]
            answered.extend(await asyncio.gather(*writes, return_exceptions=True))
        finally:
            await database.close()

    asyncio.run(body())
    assert ids_at(postgresql_url) == [1, 2, 3, 4]
    assert [one for one in answered if isinstance(one, int)] == [1, 2, 3, 4, -1]
    assert [type(one) for one in answered if not isinstance(one, int)][1:] == [Invalid, Forbidden, Forbidden]


def test_a_group_whose_last_connection_was_ended_by_the_server_is_answered_as_it_ended(
    postgresql_url: str,
) -> None:
    answered: list[int | BaseException] = []

    def end_connection(connection: Connection) -> None:
        """Have the server end this connection, as an operator or a restart does."""
        connection.run(INSERT, id=5_000, text="")
        with psycopg.connect(postgresql_url, autocommit=True) as other:
            other.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'stormpetrel' "
                "AND state = 'idle in transaction' AND datname = current_database()"
            )
        connection.run(INSERT, id=5_001, text="")

    async def body(database: Database) -> None:
        writes = [database.write(add, note_id=number) for number in range(20)]
        answered.extend(
            await asyncio.gather(
                *writes,
                database.write(end_connection),
                database.write(add, note_id=20),
                return_exceptions=True,
            )
        )

    run(postgresql_url, body)
    assert ids_at(postgresql_url) == list(range(21))
    assert isinstance(answered.pop(20), Busy)
    assert answered == list(range(21))


def test_a_write_waits_for_no_further_ones(postgresql_url: str) -> None:
    make_table(postgresql_url)
    go_on = threading.Event()

    def wait(connection: Connection) -> None:
        connection.run(INSERT, id=2, text="")
        assert go_on.wait(10)

    async def body() -> None:
        database = Database(postgresql_url)
        await database.open()
        try:
            assert await database.write(add, note_id=1) == 1
            waiting = asyncio.ensure_future(database.write(wait))
            await asyncio.sleep(0)
            # It was not flushed with a later write: it was answered before there was one.
            assert ids_at(postgresql_url) == [1]
            go_on.set()
            await waiting
        finally:
            await database.close()

    asyncio.run(body())
    assert ids_at(postgresql_url) == [1, 2]


def test_a_write_on_a_new_connection_waits_until_the_process_has_its_slot_of_ids_again(
    postgresql_url: str,
) -> None:
    make_table(postgresql_url)
    connection = PostgresqlConnection(postgresql_url)
    connection.close()
    kept: list[bool] = []

    def keep_slot() -> None:
        """Fail the first time, as when the server goes away again."""
        kept.append(bool(kept))
        if not kept[-1]:
            raise EnvironmentFailure("the database cannot be reached")

    async def body() -> list[Any]:
        loop = asyncio.get_running_loop()
        futures: list[asyncio.Future[Any]] = [loop.create_future() for _ in range(2)]
        calls = [
            WriteCall(add, (), {"note_id": number}, future, (1, number), math.inf)
            for number, future in enumerate(futures)
        ]
        waiting = iter(calls)
        writer = PostgresqlWriter(
            connection,
            url=postgresql_url,
            ids=IdMaker(0),
            # A group for each.
            next_call=lambda *, wait: next(waiting, None) if wait else None,
            is_waiting=lambda: 0,
            put_back=lambda calls: None,
            completions=Completions(loop, lambda events: None, NothingPending()),
            pending=NothingPending(),
            keep_slot=keep_slot,
        )
        await asyncio.to_thread(writer.run)
        return await asyncio.gather(*futures, return_exceptions=True)

    refused, stored = asyncio.run(body())
    assert isinstance(refused, Busy)
    assert stored == 1
    assert kept == [False, True]
    assert ids_at(postgresql_url) == [1]


def test_a_connection_that_cannot_roll_back_is_closed_and_does_not_hide_the_first_error(
    postgresql_url: str,
) -> None:
    connection = PostgresqlConnection(postgresql_url)
    connection.begin()
    # So the driver leaves it when the server ends it in the middle of a pipeline.
    connection.raw.pgconn.enter_pipeline_mode()
    connection.rollback()
    assert connection.raw.closed
