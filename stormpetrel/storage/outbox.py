"""The outbox: pending side effects, written in the transaction that causes them, and run by the courier.

A job is leased, run, and removed. If its effect is in this database, effect and removal are one transaction:
it runs exactly once, even if the courier is killed. Any courier may take a job whose lease has expired. A
failed job is retried, after a longer wait each time; after ATTEMPTS it moves to outbox_dead, for inspection.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from stormpetrel.model.event import Event, OutboxFilled
from stormpetrel.storage.engine.connection import Connection
from stormpetrel.storage.engine.hot import hot
from stormpetrel.storage.engine.statement import sql

LANE_HERE = 0
"""Jobs with an effect in this database."""
LANE_MAIL = 1
"""Jobs that wait for a mail server. They have their own lane, so that a slow server delays no other jobs."""
LANE_FILES = 2
"""Jobs that wait for the store of files. Higher lanes belong to spools, one each (media/spool.py)."""
LANE_STATUS_MAIL = -1
"""Mails to subscribers of the status page: many at once, which must not delay the mails of LANE_MAIL."""
LANE_WEBHOOKS = -2
"""Calls of webhooks."""

ATTEMPTS = 12
RETRY_FIRST_MS = 1000
"""Doubles each time: the twelfth attempt comes about 34 minutes after the first."""
MAX_ERROR_CHARACTERS = 500

_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class LeasedJob:
    """A leased job. `attempts` counts this one; `leased_until_ms` tells this lease from later ones."""

    id: int
    kind: str
    payload: str
    attempts: int
    leased_until_ms: int


_PUT = sql(
    """INSERT INTO outbox (id, kind, payload, due_at_ms, lane)
    VALUES (:job_id, :kind, :payload, :due_at_ms, :lane)"""
)
_DUE = sql(
    "SELECT 1 FROM outbox WHERE lane = :lane AND due_at_ms <= :now_ms AND leased_until_ms <= :now_ms LIMIT 1"
)
# The condition is repeated: on PostgreSQL, if two couriers chose the same row, the second waits for the first
# and then checks only the outer condition again.
_LEASE = sql(
    """UPDATE outbox SET leased_until_ms = :until_ms, attempts = attempts + 1
    WHERE leased_until_ms <= :now_ms AND id IN (
        SELECT id FROM outbox WHERE lane = :lane AND due_at_ms <= :now_ms AND leased_until_ms <= :now_ms
        ORDER BY due_at_ms, id LIMIT :count)
    RETURNING id, kind, payload, attempts, leased_until_ms"""
)
_FINISH = sql("DELETE FROM outbox WHERE id = :job_id AND leased_until_ms = :leased_until_ms")
_RENEW = sql(
    """UPDATE outbox SET leased_until_ms = :until_ms
    WHERE id = :job_id AND leased_until_ms = :leased_until_ms"""
)
_FREE = sql("UPDATE outbox SET leased_until_ms = 0 WHERE lane = :lane AND leased_until_ms > 0")
_DROP = sql("DELETE FROM outbox WHERE id IN :job_ids[]")
_RETRY = sql(
    """UPDATE outbox SET due_at_ms = :due_at_ms, leased_until_ms = 0, last_error = :error
    WHERE id = :job_id AND leased_until_ms = :leased_until_ms"""
)
_POSTPONE = sql(
    """UPDATE outbox SET due_at_ms = :due_at_ms, leased_until_ms = 0, last_error = :error, attempts = attempts - 1
    WHERE id = :job_id AND leased_until_ms = :leased_until_ms"""
)
_BURY = sql(
    """INSERT INTO outbox_dead (id, kind, payload, attempts, last_error, died_at_ms)
    VALUES (:job_id, :kind, :payload, :attempts, :error, :now_ms)"""
)
_COUNTS = sql(
    """SELECT (SELECT count(*) FROM outbox), (SELECT count(*) FROM outbox_dead),
    (SELECT coalesce(min(due_at_ms), 0) FROM outbox)"""
)


def put(
    connection: Connection,
    *,
    kind: str,
    payload: dict[str, Any] | list[Any] | msgspec.Struct,
    now_ms: int,
    delay_ms: int = 0,
    lane: int = LANE_HERE,
    job_id: int | None = None,
) -> int:
    """Add a job that is due in `delay_ms`, and wake the courier after the commit; return the job's id.

    `kind` is a key of courier/deliveries.py, or of its lane's own jobs; `payload` becomes JSON. `job_id`: the
    id of the object that the job is about, so that it has one job at most; None for a new id.
    """
    if job_id is None:
        job_id = connection.new_id(now_ms)
    connection.run_later(
        _PUT,
        job_id=job_id,
        kind=kind,
        payload=_encode(payload).decode(),
        due_at_ms=now_ms + delay_ms,
        lane=lane,
    )
    # The courier finds a later job by its own polling.
    if delay_ms <= 0 and OutboxFilled() not in connection.events:
        connection.tell(OutboxFilled())
    return job_id


def put_events(connection: Connection, events: Sequence[Event], now_ms: int) -> int:
    """Have the courier publish `events` to every process: for commands, which are not on the bus."""
    wanted = [event for event in events if not isinstance(event, OutboxFilled)]
    return put(connection, kind="events", payload=wanted, now_ms=now_ms)


@hot
def is_due(connection: Connection, *, now_ms: int, lane: int = LANE_HERE) -> bool:
    """Return whether any job of the lane could be leased now."""
    return connection.one(_DUE, now_ms=now_ms, lane=lane) is not None


def lease(
    connection: Connection, *, now_ms: int, lease_ms: int, count: int, lane: int = LANE_HERE
) -> list[LeasedJob]:
    """Lease at most `count` free jobs of the lane for `lease_ms`, those due longest first, and return them.

    There are fewer if another courier takes some at the same moment.
    """
    rows = connection.all(_LEASE, now_ms=now_ms, until_ms=now_ms + lease_ms, count=count, lane=lane)
    # RETURNING has no order. Ids grow with time, so this is the order in which the jobs were caused.
    return [LeasedJob(*row) for row in sorted(rows)]


def finish(connection: Connection, job: LeasedJob) -> bool:
    """Remove a job; return False if the lease was lost meanwhile: then the effect must not be run."""
    return connection.run(_FINISH, job_id=job.id, leased_until_ms=job.leased_until_ms) == 1


def renew(connection: Connection, job: LeasedJob, *, until_ms: int) -> LeasedJob | None:
    """Extend the job's lease and return the job; None if it was lost meanwhile."""
    renewed = connection.run(_RENEW, job_id=job.id, leased_until_ms=job.leased_until_ms, until_ms=until_ms)
    return dataclasses.replace(job, leased_until_ms=until_ms) if renewed == 1 else None


def free(connection: Connection, *, lane: int) -> int:
    """End all leases of a one-courier lane, because their holders are dead; return how many there were."""
    return connection.run(_FREE, lane=lane)


def drop(connection: Connection, *, job_ids: Sequence[int]) -> None:
    """Remove jobs that cannot be done any more."""
    connection.run(_DROP, job_ids=job_ids)


def retry(
    connection: Connection,
    job: LeasedJob,
    *,
    error: str,
    now_ms: int,
    jitter: float,
    first_ms: int = RETRY_FIRST_MS,
) -> bool:
    """Give a failed job back for later, or bury it after its last attempt; return True if it is retried.

    `first_ms` is the first wait. `jitter`, 0 to 1, spreads jobs that failed together over half to
    one and a half times the wait.
    """
    if job.attempts >= ATTEMPTS:
        bury(connection, job, error=error, now_ms=now_ms)
        return False
    connection.run(
        _RETRY,
        job_id=job.id,
        leased_until_ms=job.leased_until_ms,
        due_at_ms=now_ms + retry_delay_ms(job.attempts, jitter=jitter, first_ms=first_ms),
        error=error[:MAX_ERROR_CHARACTERS],
    )
    return True


def postpone(connection: Connection, job: LeasedJob, *, error: str, due_at_ms: int) -> None:
    """Give back a job that was not begun, without counting the attempt."""
    connection.run(
        _POSTPONE,
        job_id=job.id,
        leased_until_ms=job.leased_until_ms,
        due_at_ms=due_at_ms,
        error=error[:MAX_ERROR_CHARACTERS],
    )


def retry_delay_ms(attempts: int, *, jitter: float, first_ms: int = RETRY_FIRST_MS) -> int:
    """Return the wait after attempt number `attempts` (from 1): 1, 2, 4, … times
    `first_ms`, times 0.5 to 1.5."""
    return int(first_ms * 2 ** (attempts - 1) * (0.5 + jitter))


def bury(connection: Connection, job: LeasedJob, *, error: str, now_ms: int) -> bool:
    """Move a job to outbox_dead; return False if the lease was lost meanwhile."""
    if not finish(connection, job):
        return False
    connection.run(
        _BURY,
        job_id=job.id,
        kind=job.kind,
        payload=job.payload,
        attempts=job.attempts,
        error=error[:MAX_ERROR_CHARACTERS],
        now_ms=now_ms,
    )
    return True


@dataclass(frozen=True, slots=True)
class OutboxCounts:
    """Numbers of waiting and of dead jobs. `oldest_due_at_ms` 0: no job waits."""

    waiting: int
    dead: int
    oldest_due_at_ms: int


def counts(connection: Connection) -> OutboxCounts:
    """Return counts for people and metrics. This reads every row, so do not call it in a loop."""
    row = connection.one(_COUNTS)
    assert row is not None
    return OutboxCounts(*map(int, row))
