"""Each job takes effect once, even if the courier dies. A failing job does not hold up the others."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time

import pytest
import uvloop

from stormpetrel.courier.drain import JOBS_AT_ONCE, LEASE_MS, Drain
from stormpetrel.courier.housekeeping import IDEMPOTENCY_KEPT_MS, Housekeeping
from stormpetrel.errors import Busy
from stormpetrel.model.event import PostChanged
from stormpetrel.model.ids import IdMaker
from stormpetrel.storage import outbox
from stormpetrel.storage.engine.connection import connect, transaction
from stormpetrel.storage.engine.database import Database
from stormpetrel.storage.engine.statement import sql

NOW_MS = 1_700_000_000_000
# Any table serves to count effects: each job done adds a tag.
EFFECT = sql("INSERT INTO tags (id, name, display) VALUES (:id, :name, '')")
EFFECTS = sql("SELECT count(*) FROM tags")
NAMES = sql("SELECT name FROM tags ORDER BY id")
WAITING = sql("SELECT count(*) FROM outbox")
DEAD = sql("SELECT kind, attempts, last_error FROM outbox_dead")


def effect(connection, payload, now_ms):
    # A new id and name each time, so that an effect applied twice makes two rows.
    row_id = connection.new_id(now_ms)
    connection.run(EFFECT, id=row_id, name=f"{payload}-{row_id}")


@pytest.fixture
def store(database_url):
    connection = connect(database_url, ids=IdMaker(63))
    yield connection
    connection.close()


def fill(store, count, kind="effect", now_ms=NOW_MS):
    with transaction(store):
        for number in range(count):
            outbox.put(store, kind=kind, payload=[number], now_ms=now_ms)


def in_loop(url, work, *, publish=None, **options):
    """Run `work(drain)` on an open store."""

    async def main():
        db = Database(url, publish=publish)
        await db.open()
        try:
            options.setdefault("clock_ms", lambda: NOW_MS)
            return await work(Drain(db, rng=random.Random(1), **options))
        finally:
            await db.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main())


async def all_of(drain):
    taken = 0
    while count := await drain.once():
        taken += count
    return taken


def test_everything_due_is_done_once(database_url, store):
    fill(store, 150)
    assert in_loop(database_url, all_of, deliveries={"effect": effect}) == 150
    assert store.one(EFFECTS)[0] == 150
    assert store.one(WAITING) == (0,)


def test_what_a_job_tells_is_published_after_it_is_done(database_url, store):
    fill(store, 1)
    told = []

    def tells(connection, payload, now_ms):
        connection.tell(PostChanged(1, 2))

    in_loop(
        database_url,
        all_of,
        deliveries={"effect": tells},
        publish=lambda events: told.append((events, store.one(WAITING))),
    )
    assert ([PostChanged(1, 2)], (0,)) in told


def test_a_job_that_fails_leaves_nothing_behind_and_does_not_hold_up_the_others(database_url, store):
    fill(store, 20)

    def every_fourth_fails(connection, payload, now_ms):
        effect(connection, payload, now_ms)
        if int(payload.strip("[]")) % 4 == 0:
            raise ValueError(f"cannot do {payload}")

    async def work(drain):
        await all_of(drain)
        return drain.drained

    drained = in_loop(database_url, work, deliveries={"effect": every_fourth_fails})
    assert (drained.done, drained.retried, drained.buried) == (15, 5, 0)
    assert store.one(EFFECTS)[0] == 15
    assert store.one(WAITING) == (5,)


def test_a_job_that_always_fails_is_given_up_after_its_last_attempt_with_its_error(database_url, store):
    fill(store, 1)
    at_ms = [NOW_MS]

    def fails(connection, payload, now_ms):
        raise ValueError("no")

    async def work(drain):
        attempts = 0
        while await drain.once():
            attempts += 1
            at_ms[0] += 10**7
        return attempts

    attempts = in_loop(database_url, work, deliveries={"effect": fails}, clock_ms=lambda: at_ms[0])
    assert attempts == outbox.ATTEMPTS
    assert store.all(DEAD) == [("effect", outbox.ATTEMPTS, "ValueError: no")]


def test_a_kind_that_nobody_knows_is_kept_among_the_dead_with_the_reason(database_url, store):
    fill(store, 1, kind="from-the-future")
    in_loop(database_url, all_of, deliveries={})
    assert store.all(DEAD) == [("from-the-future", 1, "unknown kind of job in this release")]


def test_a_job_that_kills_every_courier_is_given_up_in_the_end(database_url, store):
    fill(store, 1)
    for attempt in range(outbox.ATTEMPTS):
        # Each lease belongs to a courier that never returned.
        with transaction(store):
            outbox.lease(store, now_ms=NOW_MS + attempt * LEASE_MS, lease_ms=LEASE_MS, count=1)
    in_loop(
        database_url,
        all_of,
        deliveries={"effect": effect},
        clock_ms=lambda: NOW_MS + outbox.ATTEMPTS * LEASE_MS,
    )
    assert store.all(DEAD) == [("effect", 13, "the courier crashed on every attempt")]
    assert store.one(EFFECTS)[0] == 0


def test_who_lost_its_lease_does_not_do_the_job_again(database_url, store):
    fill(store, 1)

    async def work(drain):
        (late,) = await drain.db.write(outbox.lease, now_ms=NOW_MS, lease_ms=10, count=1)
        (other,) = await drain.db.write(outbox.lease, now_ms=NOW_MS + 10, lease_ms=10, count=1)
        await drain._do(late)
        await drain._do(other)
        return drain.drained

    drained = in_loop(database_url, work, deliveries={"effect": effect})
    assert (drained.done, drained.lost) == (1, 1)
    assert store.one(EFFECTS)[0] == 1


def test_a_store_that_fails_is_not_the_jobs_fault(sqlite_url):
    store = connect(sqlite_url, ids=IdMaker(63))
    fill(store, 1)

    def store_fails(connection, payload, now_ms):
        raise Busy

    async def work(drain):
        with pytest.raises(Busy):
            await drain.once()
        return drain.drained

    drained = in_loop(sqlite_url, work, deliveries={"effect": store_fails})
    assert (drained.retried, drained.buried) == (0, 0)
    assert store.one(WAITING) == (1,)
    store.close()


def test_house_is_kept_to_the_promised_hour(database_url, store):
    with transaction(store):
        store.run(
            sql("INSERT INTO accounts (id, username, username_lower, created_at_ms) VALUES (1, 'a', 'a', 0)")
        )
        for key, age_ms in (("old", IDEMPOTENCY_KEPT_MS + 1), ("young", 3_600_000)):
            store.run(
                sql(
                    """INSERT INTO idempotency (account_id, key, post_id, created_at_ms)
                    VALUES (1, :key, 1, :at_ms)"""
                ),
                key=key,
                at_ms=NOW_MS - age_ms,
            )

    async def work(drain):
        return await Housekeeping(drain.db).round(now_ms=NOW_MS)

    assert in_loop(database_url, work, deliveries={}) == {"idempotency": 1}
    assert store.all(sql("SELECT key FROM idempotency")) == [("young",)]


def test_a_courier_killed_in_the_middle_of_500_jobs_leaves_each_of_them_done_once(database_url, store):
    """Kill three couriers by SIGKILL while they work. A fourth finishes the jobs after the leases expire."""
    fill(store, 500)
    store.close()  # a connection must not survive a fork
    for at_ms in range(NOW_MS, NOW_MS + 3 * LEASE_MS, LEASE_MS):
        pid = os.fork()
        if pid == 0:
            try:
                in_loop(
                    database_url, all_of, deliveries={"effect": effect}, clock_ms=lambda now_ms=at_ms: now_ms
                )
            finally:
                os._exit(0)
        watcher = connect(database_url, writes=False)
        before = watcher.one(EFFECTS)[0]
        deadline_s = time.monotonic() + 20
        while watcher.one(EFFECTS)[0] < before + JOBS_AT_ONCE // 2 and time.monotonic() < deadline_s:
            pass
        watcher.close()
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    in_loop(database_url, all_of, deliveries={"effect": effect}, clock_ms=lambda: NOW_MS + 3 * LEASE_MS)
    store = connect(database_url, writes=False)
    names = [name.partition("-")[0] for (name,) in store.all(NAMES)]
    assert sorted(names) == sorted(f"[{number}]" for number in range(500))
    assert store.one(WAITING) == (0,)
    store.close()
