"""Jobs of the outbox: leased by one process, finished once, retried later and later, and finally given up."""

from __future__ import annotations

import threading

import pytest

from stormpetrel.model.event import AccessChanged, AllChanged, OutboxFilled
from stormpetrel.model.ids import IdMaker
from stormpetrel.storage import outbox
from stormpetrel.storage.engine.connection import connect, transaction
from stormpetrel.storage.engine.statement import sql

NOW_MS = 1_700_000_000_000
WAITING = sql("SELECT id, attempts, due_at_ms, leased_until_ms, last_error FROM outbox ORDER BY id")
DEAD = sql("SELECT id, kind, payload, attempts, last_error, died_at_ms FROM outbox_dead")


@pytest.fixture
def connection(database_url):
    connection = connect(database_url, ids=IdMaker(1))
    yield connection
    connection.close()


def put(connection, kind="k", *, now_ms=NOW_MS, delay_ms=0):
    with transaction(connection):
        return outbox.put(connection, kind=kind, payload={"a": 1}, now_ms=now_ms, delay_ms=delay_ms)


def lease(connection, *, now_ms=NOW_MS, lease_ms=1000, count=10):
    with transaction(connection):
        return outbox.lease(connection, now_ms=now_ms, lease_ms=lease_ms, count=count)


def test_a_job_that_is_due_is_leased_with_all_that_it_says(connection):
    job_id = put(connection)
    assert connection.events == [OutboxFilled()]
    assert outbox.is_due(connection, now_ms=NOW_MS)
    assert lease(connection) == [outbox.LeasedJob(job_id, "k", '{"a":1}', 1, NOW_MS + 1000)]


def test_the_courier_is_woken_once_for_many_jobs_and_not_for_later_ones(connection):
    with transaction(connection):
        for _ in range(3):
            outbox.put(connection, kind="k", payload=[], now_ms=NOW_MS)
        assert connection.events == [OutboxFilled()]
    put(connection, delay_ms=5000)
    assert connection.events == []


def test_a_leased_job_is_nobody_elses_until_the_lease_is_over(connection):
    put(connection)
    (first,) = lease(connection, lease_ms=1000)
    assert not outbox.is_due(connection, now_ms=NOW_MS + 999)
    assert lease(connection, now_ms=NOW_MS + 999) == []
    (second,) = lease(connection, now_ms=NOW_MS + 1000)
    assert (second.id, second.attempts) == (first.id, 2)


def test_a_job_that_is_not_due_is_left_alone(connection):
    put(connection, delay_ms=5000)
    assert lease(connection, now_ms=NOW_MS + 4999) == []
    assert len(lease(connection, now_ms=NOW_MS + 5000)) == 1


def test_those_due_longest_come_first(connection):
    late = put(connection, now_ms=NOW_MS)
    early = put(connection, now_ms=NOW_MS - 1000)
    assert [job.id for job in lease(connection, count=1)] == [early]
    assert [job.id for job in lease(connection, count=1)] == [late]


def test_finish_removes_a_job_once(connection):
    put(connection)
    (job,) = lease(connection)
    with transaction(connection):
        assert outbox.finish(connection, job)
        assert not outbox.finish(connection, job)
    assert connection.all(WAITING) == []


def test_who_lost_the_lease_can_neither_finish_nor_retry_nor_bury(connection):
    put(connection)
    (old,) = lease(connection)
    (new,) = lease(connection, now_ms=NOW_MS + 1000)
    with transaction(connection):
        assert not outbox.finish(connection, old)
        outbox.retry(connection, old, error="x", now_ms=NOW_MS, jitter=0.5)
        assert not outbox.bury(connection, old, error="x", now_ms=NOW_MS)
    assert connection.all(WAITING) == [(old.id, 2, NOW_MS, new.leased_until_ms, "")]
    assert connection.all(DEAD) == []


def test_a_failed_job_comes_again_later_each_time_and_is_given_up_after_the_last(connection):
    job_id = put(connection)
    now_ms = NOW_MS
    for attempt in range(1, outbox.ATTEMPTS + 1):
        (job,) = lease(connection, now_ms=now_ms)
        assert job.attempts == attempt
        with transaction(connection):
            again = outbox.retry(connection, job, error="E" * 1000, now_ms=now_ms, jitter=0.5)
        assert again is (attempt < outbox.ATTEMPTS)
        if again:
            ((_, _, due_at_ms, _, error),) = connection.all(WAITING)
            assert due_at_ms - now_ms == 1000 * 2 ** (attempt - 1)
            assert error == "E" * outbox.MAX_ERROR_CHARACTERS
            now_ms = due_at_ms
    assert connection.all(WAITING) == []
    assert connection.all(DEAD) == [
        (job_id, "k", '{"a":1}', outbox.ATTEMPTS, "E" * outbox.MAX_ERROR_CHARACTERS, now_ms)
    ]
    assert outbox.counts(connection) == outbox.OutboxCounts(0, 1, 0)


@pytest.mark.parametrize(("jitter", "delay_ms"), [(0.0, 4000), (0.5, 8000), (0.999, 11992)])
def test_jitter_spreads_the_wait_over_half_to_one_and_a_half_times(jitter, delay_ms):
    assert outbox.retry_delay_ms(4, jitter=jitter) == delay_ms


def test_events_of_a_command_wait_for_the_courier_without_its_own_wake_up(connection):
    events = [AccessChanged(5, b"\x00\xff"), OutboxFilled(), AllChanged()]
    with transaction(connection):
        outbox.put_events(connection, events, NOW_MS)
    (job,) = lease(connection)
    assert job.kind == "events"
    assert "outbox" not in job.payload


def test_a_job_of_an_undone_transaction_never_was(connection):
    connection.begin()
    outbox.put(connection, kind="k", payload={}, now_ms=NOW_MS)
    connection.rollback()
    assert connection.all(WAITING) == []


def test_couriers_at_the_same_time_never_get_the_same_job(database_url, connection):
    ids = {put(connection) for _ in range(200)}
    taken, start = [], threading.Barrier(4)

    def courier(number):
        own = connect(database_url, ids=IdMaker(number))
        start.wait()
        while True:
            jobs = lease(own, count=7)
            taken.extend(job.id for job in jobs)
            if not jobs and not outbox.is_due(own, now_ms=NOW_MS):
                break
        own.close()

    threads = [threading.Thread(target=courier, args=(number,)) for number in range(2, 6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == 200
    assert set(taken) == ids
