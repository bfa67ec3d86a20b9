"""The reported outcome is true even if the connection to PostgreSQL ends during COMMIT."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import threading
from collections.abc import Awaitable, Iterator
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from stormpetrel.errors import Busy, OutcomeUnknown
from stormpetrel.model.event import AccountChanged, AllChanged, Event, PostDeleted
from stormpetrel.model.post import Draft
from stormpetrel.rules import posts
from stormpetrel.storage.engine import group
from stormpetrel.storage.engine import outcome as module
from stormpetrel.storage.engine.connection import Connection, PostgresqlConnection, TransactionId
from stormpetrel.storage.engine.database import Database
from stormpetrel.storage.engine.statement import Statement
from tests.storage.notes import add, ids, ids_at, outcome, run
from tests.storage.relay import Wire, relayed
from tests.store import store_at

_DELETE = "DELETE FROM notes WHERE id = :note_id"
DELETE = Statement(_DELETE, _DELETE)


@pytest.fixture
def wire(postgresql_url: str) -> Iterator[tuple[Wire, str]]:
    with relayed(postgresql_url) as found:
        yield found


def test_a_commit_whose_answer_was_lost_is_acknowledged(wire: tuple[Wire, str], postgresql_url: str) -> None:
    relay, url = wire

    async def body(database: Database) -> None:
        await database.write(add, note_id=1)
        relay.cut = "answer"
        await database.write(add, note_id=2)
        await database.write(add, note_id=3)

    run(url, body)
    assert ids_at(postgresql_url) == [1, 2, 3]


def test_a_checkpoint_just_before_a_write_makes_its_outcome_no_less_known(
    wire: tuple[Wire, str], postgresql_url: str
) -> None:
    relay, url = wire

    async def body(database: Database) -> None:
        await database.write(add, note_id=1)
        for note_id in (2, 3):
            with psycopg.connect(postgresql_url, autocommit=True) as operator:
                operator.execute("CHECKPOINT")
            relay.cut = "answer"
            assert await database.write(add, note_id=note_id) == note_id

    run(url, body)
    assert ids_at(postgresql_url) == [1, 2, 3]


def test_a_commit_that_never_arrived_is_refused(wire: tuple[Wire, str], postgresql_url: str) -> None:
    relay, url = wire

    async def body(database: Database) -> None:
        relay.cut = "request"
        with pytest.raises(Busy) as raised:
            await database.write(add, note_id=2)
        assert not isinstance(raised.value, OutcomeUnknown)
        await database.write(add, note_id=3)

    run(url, body)
    assert ids_at(postgresql_url) == [3]


def test_a_transaction_whose_client_is_gone_is_ended_so_that_its_outcome_is_known(
    wire: tuple[Wire, str], postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    relay, url = wire
    monkeypatch.setattr(module, "LET_RUN_S", 0.2)

    async def body(database: Database) -> None:
        relay.cut = "silence"
        refused = await outcome(database.write(add, note_id=2))
        assert type(refused) is Busy
        # Its locks are gone: the same row can be written again.
        assert await database.write(add, note_id=2) == 2

    run(url, body)
    assert ids_at(postgresql_url) == [2]


def test_a_later_transaction_that_got_the_number_after_a_crash_is_not_ended(
    postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LET_RUN_S", 0.0)
    monkeypatch.setattr(module, "ASK_FOR_S", 0.5)
    with psycopg.connect(postgresql_url) as later:
        row = later.execute("SELECT pg_current_xact_id()::text, now()").fetchone()
        assert row is not None
        # It began before the server recovered, so the number may now be another's.
        lost = TransactionId(int(row[0]), 0.0)
        assert module.outcomes(postgresql_url, [lost]) == {lost: None}
        assert later.execute("SELECT 1").fetchone() == (1,)


def test_without_the_right_to_end_a_transaction_its_own_end_is_waited_for(
    postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LET_RUN_S", 0.0)
    role = f"limited_{secrets.token_hex(8)}"
    url = make_conninfo(postgresql_url, user=role, password=role)
    with psycopg.connect(postgresql_url, autocommit=True) as operator:
        operator.execute(f"CREATE ROLE {role} LOGIN PASSWORD '{role}'".encode())
        operator.execute(b"REVOKE EXECUTE ON FUNCTION pg_terminate_backend(int, bigint) FROM PUBLIC")
        try:
            with psycopg.connect(url) as alone:
                row = alone.execute(
                    "SELECT pg_current_xact_id()::text, extract(epoch FROM now())::float8"
                ).fetchone()
                assert row is not None
                going_on = TransactionId(int(row[0]), row[1])
                timer = threading.Timer(0.5, alone.commit)
                timer.start()
                assert module.outcomes(url, [going_on]) == {going_on: True}
                timer.join()
        finally:
            operator.execute(f"DROP ROLE {role}".encode())


def remove(connection: Connection, *, note_id: int) -> None:
    """Publish the event of a deletion, which does harm if nothing was deleted."""
    connection.run(DELETE, note_id=note_id)
    connection.tell(PostDeleted(note_id, 7))


def test_a_commit_that_cannot_be_asked_about_is_said_to_be_unknown_and_all_read_it_again(
    wire: tuple[Wire, str], postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    relay, url = wire
    monkeypatch.setattr(module, "ASK_FOR_S", 0.3)
    told: list[Event] = []

    async def body(database: Database) -> None:
        await database.write(add, note_id=1)
        relay.cut, relay.is_open = "answer", False
        with pytest.raises(OutcomeUnknown, match="may or may not have been stored"):
            await database.write(add, note_id=2)
        assert told == [AccountChanged(1), AccountChanged(2)]
        relay.is_open = True
        await database.write(add, note_id=3)
        relay.cut, relay.is_open = "answer", False
        with pytest.raises(OutcomeUnknown):
            await database.write(remove, note_id=3)
        assert told[2:] == [AccountChanged(3), AllChanged()]

    run(url, body, publish=told.extend)
    assert ids_at(postgresql_url) == [1, 2]


def test_a_post_whose_outcome_was_unknown_is_not_stored_twice_when_it_is_sent_again_with_its_key(
    wire: tuple[Wire, str], postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    relay, url = wire
    monkeypatch.setattr(module, "ASK_FOR_S", 0.3)
    with store_at(postgresql_url) as store:
        author_id = store.person()

    async def body(database: Database) -> None:
        def post() -> Awaitable[Any]:
            return database.write(
                posts.create_post,
                author_id=author_id,
                draft=Draft(text="once"),
                max_characters=500,
                domain="here.example",
                now_ms=store.now_ms,
                idempotency_key="key",
            )

        relay.cut, relay.is_open = "answer", False
        assert type(await outcome(post())) is OutcomeUnknown
        relay.is_open = True
        assert (await post()).post_id == (await post()).post_id

    run(url, body)
    with psycopg.connect(postgresql_url) as reader:
        assert reader.execute("SELECT count(*) FROM posts").fetchone() == (1,)


def test_a_lock_that_another_program_holds_costs_two_seconds(
    wire: tuple[Wire, str], postgresql_url: str
) -> None:
    async def body(database: Database) -> None:
        await database.write(add, note_id=1)
        with psycopg.connect(postgresql_url) as other:
            other.execute("LOCK TABLE notes IN ACCESS EXCLUSIVE MODE")
            with pytest.raises(Busy):
                await database.write(add, note_id=2)
            other.rollback()
        await database.write(add, note_id=3)

    run(postgresql_url, body)
    assert ids_at(postgresql_url) == [1, 3]


@pytest.mark.parametrize("others", [0, 8])
def test_writes_that_a_crash_of_the_server_lost_are_never_acknowledged(
    own_postgresql: Any, others: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`others`: transactions of another program after the crash, which get the numbers of those that were lost."""
    url, _, _ = own_postgresql
    with psycopg.connect(url, autocommit=True) as operator:
        # Without it, the server writes its log by itself five times a second.
        operator.execute("ALTER SYSTEM SET wal_writer_delay = '10s'")
        operator.execute("SELECT pg_reload_conf()")
    answered: list[Any] = []
    told: list[Event] = []
    killed: list[int] = []
    connect = module.PostgresqlConnection

    def connect_after_others(url: str, *, limit_s: float) -> Any:
        connection = connect(url, limit_s=limit_s)
        with psycopg.connect(url, autocommit=True) as other:
            for number in range(others):
                other.execute("INSERT INTO notes VALUES (%s, 'other')", (1_000 + number,))
        return connection

    monkeypatch.setattr(module, "PostgresqlConnection", connect_after_others)
    # On a busy machine too, the writes before the crash are one group, which is not flushed yet.
    monkeypatch.setattr(group, "GROUP_S", 10.0)

    def crash(connection: Connection) -> None:
        """Kill this connection's process, once: the server then ends all others and recovers from its log."""
        assert isinstance(connection, PostgresqlConnection)
        if not killed:
            killed.append(connection.raw.info.backend_pid)
            os.kill(killed[0], signal.SIGKILL)
        ids(connection)

    async def body(database: Database) -> None:
        assert await database.write(add, note_id=0) == 0
        with psycopg.connect(url, autocommit=True) as operator:
            operator.execute("CHECKPOINT")
        writes = [database.write(add, note_id=number) for number in range(1, 5)]
        answered.extend(await asyncio.gather(*writes, database.write(crash), return_exceptions=True))
        # The writer goes on.
        assert await asyncio.wait_for(database.write(add, note_id=9), 10) == 9

    run(url, body, publish=told.extend)
    stored = [number for number in ids_at(url) if number < 1_000]
    assert stored == [0, 9], "the crash lost nothing, so the test shows nothing"
    assert [type(one) for one in answered] == [OutcomeUnknown if others else Busy] * 4 + [type(None)]
    # What may have been stored is read again.
    assert told == [AccountChanged(number) for number in ([0, 1, 2, 3, 4, 9] if others else [0, 9])]
