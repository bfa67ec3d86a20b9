"""The reported outcome is true even if the connection to PostgreSQL ends during COMMIT."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from stormpetrel.errors import Busy, OutcomeUnknown
from stormpetrel.storage.engine import outcome as module
from stormpetrel.storage.engine.database import Database
from tests.storage.notes import add, ids_at, run
from tests.storage.relay import Wire, relayed


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


def test_a_commit_that_cannot_be_asked_about_is_said_to_be_unknown(
    wire: tuple[Wire, str], postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    relay, url = wire
    monkeypatch.setattr(module, "ASK_FOR_S", 0.3)

    async def body(database: Database) -> None:
        await database.write(add, note_id=1)
        relay.cut, relay.is_open = "answer", False
        with pytest.raises(OutcomeUnknown, match="may or may not have been stored"):
            await database.write(add, note_id=2)
        relay.is_open = True
        await database.write(add, note_id=3)

    run(url, body)
    assert ids_at(postgresql_url) == [1, 2, 3]


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
