"""Lanes of jobs that wait for an outside service: one database effect per job, retried while the service is
down.
"""

from __future__ import annotations

import asyncio
import dataclasses
import threading
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import uvloop

from stormpetrel.config import MediaConfig
from stormpetrel.courier import dispatch
from stormpetrel.courier.dispatch import (
    LEASE_MS,
    POSTPONE_MS,
    POSTPONED_FOR_MS,
    Attempt,
    Dispatch,
    JobPostponed,
    Work,
)
from stormpetrel.courier.files import files_lane
from stormpetrel.media.s3 import S3Store
from stormpetrel.media.store import new_key
from stormpetrel.model.ids import IdMaker
from stormpetrel.own_thread import in_own_thread
from stormpetrel.storage import outbox
from stormpetrel.storage.engine.connection import Connection, connect, transaction
from stormpetrel.storage.engine.database import Database
from stormpetrel.storage.engine.statement import sql
from tests.media_files import png
from tests.media_s3 import s3_server
from tests.ports import reserved_ports

NOW_MS = 1_700_000_000_000
LANE = 77
WAITING = sql("SELECT attempts, last_error, due_at_ms FROM outbox ORDER BY id")
EFFECT = sql("INSERT INTO tags (id, name, display) VALUES (:id, :name, '')")
EFFECTS = sql("SELECT name FROM tags ORDER BY id")


@pytest.fixture
def store(database_url: str) -> Iterator[Connection]:
    connection = connect(database_url, ids=IdMaker(63))
    yield connection
    connection.close()


def fill(store: Connection, kind: str, payload: Any = (), *, lane: int = LANE) -> None:
    with transaction(store):
        outbox.put(store, kind=kind, payload=list(payload), now_ms=NOW_MS, lane=lane)


def effect(connection: Connection, *, name: str) -> None:
    connection.run(EFFECT, id=connection.new_id(NOW_MS), name=name)


def in_loop(url: str, work: Callable[[Database], Awaitable[Any]], *, publish: Any = None) -> Any:
    async def main() -> Any:
        db = Database(url, publish=publish)
        await db.open()
        try:
            return await work(db)
        finally:
            await db.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main())


def lane(db: Database, work: Work, *, now_ms: int = NOW_MS, longest_s: float = 30.0) -> Dispatch:
    return Dispatch(db, LANE, {"work": work}, at_once=1, longest_s=longest_s, clock_ms=lambda: now_ms)


def test_who_lost_the_lease_has_no_effect(database_url: str, store: Connection) -> None:
    fill(store, "work")

    async def both(db: Database) -> list[bool]:
        outcomes = []

        async def other(attempt: Attempt) -> None:
            outcomes.append(await attempt.finish(partial(effect, name="other")))

        async def late(attempt: Attempt) -> None:
            # The lease expires during the work, and another courier does the job.
            await lane(db, other, now_ms=NOW_MS + LEASE_MS).once()
            outcomes.append(await attempt.finish(partial(effect, name="late")))

        await lane(db, late).once()
        return outcomes

    assert in_loop(database_url, both) == [True, False]
    assert store.all(EFFECTS) == [("other",)]
    assert store.all(WAITING) == []


def test_a_job_at_work_keeps_its_lease_for_as_long_as_it_takes(
    database_url: str, store: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatch, "RENEW_EVERY_S", 0.001)
    fill(store, "work")
    now_ms = [NOW_MS]

    async def both(db: Database) -> list[bool]:
        outcomes = []

        async def slow(attempt: Attempt) -> None:
            leased_until_ms = attempt.job.leased_until_ms
            now_ms[0] += LEASE_MS - 1
            while attempt.job.leased_until_ms == leased_until_ms:
                await asyncio.sleep(0)
            now_ms[0] += LEASE_MS - 1
            # Without the extended lease, any courier could take the job by now.
            outcomes.append(await dataclasses.replace(mine, at_once=1).once())
            outcomes.append(await attempt.finish(partial(effect, name="slow")))

        mine = dataclasses.replace(lane(db, slow), clock_ms=lambda: now_ms[0])
        await mine.once()
        return outcomes

    assert in_loop(database_url, both) == [False, True]
    assert store.all(EFFECTS) == [("slow",)]


def test_work_that_takes_too_long_gives_its_place_back_and_comes_again(
    database_url: str, store: Connection
) -> None:
    fill(store, "work")
    ended = threading.Event()

    async def hangs(attempt: Attempt) -> None:
        await in_own_thread(ended.wait)
        await attempt.finish()

    try:
        in_loop(database_url, lambda db: lane(db, hangs, longest_s=0.05).once())
    finally:
        ended.set()
    ((attempts, why, due_at_ms),) = store.all(WAITING)
    assert (attempts, why) == (1, "it took longer than 0 s")
    assert due_at_ms > NOW_MS


def test_a_postponed_job_comes_again_without_an_attempt_less_until_it_is_a_day_old(
    database_url: str, store: Connection
) -> None:
    fill(store, "work")

    async def postponed(attempt: Attempt) -> None:
        raise JobPostponed("no place")

    due_at_ms = NOW_MS
    for _ in range(2 * outbox.ATTEMPTS):
        in_loop(database_url, lambda db, at_ms=due_at_ms: lane(db, postponed, now_ms=at_ms).once())
        ((attempts, error, again_ms),) = store.all(WAITING)
        assert (attempts, error) == (0, "no place")
        assert POSTPONE_MS // 2 <= again_ms - due_at_ms <= POSTPONE_MS * 3 // 2
        due_at_ms = again_ms
    late_ms = NOW_MS + POSTPONED_FOR_MS
    in_loop(database_url, lambda db: lane(db, postponed, now_ms=late_ms).once())
    assert [attempts for attempts, _, _ in store.all(WAITING)] == [1]


def test_what_fails_while_it_has_its_effect_leaves_none(database_url: str, store: Connection) -> None:
    fill(store, "work")

    def fails(connection: Connection) -> None:
        effect(connection, name="half")
        raise ValueError("no")

    in_loop(database_url, lambda db: lane(db, lambda attempt: attempt.finish(fails)).once())
    assert store.all(EFFECTS) == []
    assert [row[:2] for row in store.all(WAITING)] == [(1, "ValueError: no")]


def test_files_of_a_store_that_is_away_are_removed_when_it_is_back(sqlite_url: str, tmp_path: Path) -> None:
    source = tmp_path / "a.png"
    source.write_bytes(png())
    key = new_key("png")
    connection = connect(sqlite_url, ids=IdMaker(63))
    with transaction(connection):
        outbox.put(
            connection, kind="media_files", payload={"keys": [key]}, now_ms=NOW_MS, lane=outbox.LANE_FILES
        )
    with reserved_ports(1) as (port,):
        media = MediaConfig(
            store="s3",
            s3_endpoint=f"http://127.0.0.1:{port}",
            s3_bucket="pictures",
            s3_key="S3RVER",
            s3_secret="S3RVER",
        )
        bucket = S3Store(media)

        async def once(db: Database, *, now_ms: int) -> bool:
            return await dataclasses.replace(files_lane(db, bucket), clock_ms=lambda: now_ms).once()

        assert in_loop(sqlite_url, partial(once, now_ms=NOW_MS)) is True
        ((attempts, why, due_at_ms),) = connection.all(WAITING)
        assert attempts == 1
        assert "is not responding" in why
        with s3_server(tmp_path / "bucket", port=port):
            bucket.put(source, key)
            assert in_loop(sqlite_url, partial(once, now_ms=due_at_ms - 1)) is False
            assert in_loop(sqlite_url, partial(once, now_ms=due_at_ms)) is True
    assert connection.all(WAITING) == []
    assert not any((tmp_path / "bucket").rglob(f"{key}*"))
    connection.close()


def test_a_job_in_parts_applies_each_part_while_it_has_its_lease(
    database_url: str, store: Connection
) -> None:
    fill(store, "work")

    async def both(db: Database) -> list[bool]:
        outcomes = []

        async def other(attempt: Attempt) -> None:
            outcomes.append(await attempt.advance(partial(effect, name="other")))
            outcomes.append(await attempt.finish())

        async def late(attempt: Attempt) -> None:
            outcomes.append(await attempt.advance(partial(effect, name="first")))
            # The lease expires during the work, and another courier goes on with the job.
            await lane(db, other, now_ms=NOW_MS + LEASE_MS).once()
            outcomes.append(await attempt.advance(partial(effect, name="late")))
            await attempt.finish()

        await lane(db, late).once()
        return outcomes

    assert in_loop(database_url, both) == [True, True, True, False]
    assert store.all(EFFECTS) == [("first",), ("other",)]
