"""A lane of the outbox whose jobs wait for something outside the database: a mail server, the store of files.

Each job is done outside any transaction, then removed in one transaction with its changes to the database. At
least once: if a courier is killed between the two, another does the job again. So anything sent carries a
constant name, and only the courier whose removal succeeds changes the database. Several jobs run at once; a
job that hangs blocks only its own slot in its own lane, until its time is over.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from stormpetrel.clock import now_ms
from stormpetrel.courier.drain import URGENCY, Drained
from stormpetrel.errors import Busy, StormpetrelError
from stormpetrel.model.ids import time_ms
from stormpetrel.storage import outbox
from stormpetrel.storage.engine.connection import Connection
from stormpetrel.storage.engine.database import Database
from stormpetrel.storage.outbox import LeasedJob

log = logging.getLogger(__name__)

LEASE_MS = 20_000
"""How long the jobs of a killed courier wait."""
RENEW_EVERY_S = 5.0
"""A running job's lease is extended this often, so that no other courier begins it."""
RETRY_FIRST_MS = 10_000
"""Doubles each time: the service that a job waits for may be down for five hours."""
POSTPONE_MS = 30_000
"""The mean wait of a job that was postponed."""
POSTPONED_FOR_MS = 86_400_000
"""Attempts at an older job are counted even if they were postponed: some reasons never end."""
LOOK_EVERY_S = 0.5
STOP_S = 5.0
"""How long running jobs may take when the courier stops; unfinished ones are done again later."""


class JobFailed(StormpetrelError):
    """A job could not be done. `for_good`: retrying cannot help."""

    def __init__(self, safe_text: str, *, for_good: bool = False) -> None:
        super().__init__(safe_text)
        self.for_good = for_good


class JobPostponed(StormpetrelError):
    """A job was not begun, by no fault of what it waits for: the attempt is not counted."""


class Attempt:
    """One attempt at a job. The worker calls `finish` when it is done, or raises."""

    def __init__(self, db: Database, job: LeasedJob, clock_ms: Callable[[], int], drained: Drained) -> None:
        self.job = job
        self.is_finished = False
        self._db = db
        self._clock_ms = clock_ms
        self._drained = drained
        # A lease is identified by its end: it must not be used while it is being changed.
        self._lock = asyncio.Lock()

    async def finish(self, effect: Callable[[Connection], object] | None = None) -> bool:
        """Remove the job and apply its effect in one transaction; return False if the lease was lost.

        Raise Busy when the store fails, and any error of `effect`: then nothing was changed.
        """
        async with self._lock:
            done = await self._db.write_as(URGENCY, 10.0, _finish, self.job, effect)
            self.is_finished = True
        self._drained.done += done
        self._drained.lost += not done
        return done

    async def advance(self, effect: Callable[[Connection], object]) -> bool:
        """Apply a part of the job and extend its lease in one transaction; return False if the lease was lost.

        Then nothing was changed. Raise Busy when the store fails, and any error of `effect`.
        """
        async with self._lock:
            longer = await self._db.write_as(
                URGENCY, 10.0, _advance, self.job, effect, until_ms=self._clock_ms() + LEASE_MS
            )
            if longer is None:
                return False
            self.job = longer
        return True

    async def renew_until(self, ended: asyncio.Event) -> None:
        """Extend the lease repeatedly until the job ended or another courier got it."""
        while True:
            try:
                await asyncio.wait_for(ended.wait(), RENEW_EVERY_S)
                return
            except TimeoutError:
                pass
            async with self._lock:
                if self.is_finished:
                    return
                try:
                    longer = await self._db.write_as(
                        URGENCY, 10.0, outbox.renew, self.job, until_ms=self._clock_ms() + LEASE_MS
                    )
                except Busy:
                    continue
            if longer is None:
                return
            self.job = longer


Work = Callable[[Attempt], Awaitable[None]]
"""Does a job. Raises JobFailed, JobPostponed, or Busy if a service is down for now."""


@dataclass(slots=True)
class Dispatch:
    """Does the jobs of one lane with `works`, by kind: `at_once` in parallel, each at most `longest_s`."""

    db: Database
    lane: int
    works: Mapping[str, Work]
    at_once: int
    longest_s: float
    clock_ms: Callable[[], int] = now_ms
    rng: random.Random = field(default_factory=random.SystemRandom)
    drained: Drained = field(default_factory=Drained)

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set."""
        at_work: set[asyncio.Task[None]] = set()
        stopping = asyncio.create_task(stop.wait())
        try:
            while not stop.is_set():
                free = self.at_once - len(at_work)
                try:
                    jobs = await self._lease(free) if free else []
                except Busy:
                    jobs = []
                at_work |= {asyncio.create_task(self._do_or_leave(job)) for job in jobs}
                if len(jobs) < free or not free:
                    # No more jobs are due, or no slot is free: wait until that changes.
                    await asyncio.wait(
                        {stopping, *at_work},
                        timeout=LOOK_EVERY_S if free else None,
                        return_when=asyncio.FIRST_COMPLETED,
                    )
                at_work = {task for task in at_work if not task.done()}
        finally:
            stopping.cancel()
            if at_work:
                _, unfinished = await asyncio.wait(at_work, timeout=STOP_S)
                for task in unfinished:
                    task.cancel()
                await asyncio.gather(*unfinished, return_exceptions=True)

    async def once(self) -> bool:
        """Do one job; return False if none is due. Raise Busy when the store fails."""
        jobs = await self._lease(1)
        for job in jobs:
            await self._do(job)
        return bool(jobs)

    async def _lease(self, count: int) -> list[LeasedJob]:
        if not await self.db.read(outbox.is_due, now_ms=self.clock_ms(), lane=self.lane):
            return []
        return await self.db.write_as(
            URGENCY,
            10.0,
            outbox.lease,
            now_ms=self.clock_ms(),
            lease_ms=LEASE_MS,
            count=count,
            lane=self.lane,
        )

    async def _do_or_leave(self, job: LeasedJob) -> None:
        """Do a job. If the store fails, leave it: its lease expires and it comes again."""
        with contextlib.suppress(Busy):
            await self._do(job)

    async def _do(self, job: LeasedJob) -> None:
        work = self.works.get(job.kind)
        if work is None:
            await self._bury(job, "unknown kind of job in this release")
            return
        if job.attempts > outbox.ATTEMPTS:
            await self._bury(job, "the courier crashed on every attempt")
            return
        attempt = Attempt(self.db, job, self.clock_ms, self.drained)
        ended = asyncio.Event()
        renewing = asyncio.create_task(attempt.renew_until(ended))
        why = ""
        for_good = is_postponed = False
        try:
            async with asyncio.timeout(self.longest_s):
                await work(attempt)
        except JobFailed as error:
            why, for_good = error.safe_text, error.for_good
        except JobPostponed as error:
            why, is_postponed = error.safe_text, self.clock_ms() - time_ms(job.id) < POSTPONED_FOR_MS
        except Busy as error:
            why = error.safe_text
        except TimeoutError:
            why = f"it took longer than {self.longest_s:.0f} s"
        except Exception as error:  # any failure of this job must not stop the others
            log.exception("job %d (%s) failed", job.id, job.kind)
            why = f"{type(error).__name__}: {error}"
        finally:
            ended.set()
            await renewing
        if attempt.is_finished:
            return
        if for_good:
            await self._bury(attempt.job, why)
        elif is_postponed:
            due_at_ms = self.clock_ms() + int(POSTPONE_MS * (0.5 + self.rng.random()))
            await self.db.write_as(
                URGENCY, 10.0, outbox.postpone, attempt.job, error=why, due_at_ms=due_at_ms
            )
        else:
            await self._later(attempt.job, why or "no result was reported")

    async def _later(self, job: LeasedJob, why: str) -> None:
        again = await self.db.write_as(
            URGENCY,
            10.0,
            outbox.retry,
            job,
            error=why,
            now_ms=self.clock_ms(),
            jitter=self.rng.random(),
            first_ms=RETRY_FIRST_MS,
        )
        self.drained.retried += again
        self.drained.buried += not again
        level = logging.WARNING if again else logging.ERROR
        log.log(level, "job %d (%s), attempt %d: %s", job.id, job.kind, job.attempts, why)

    async def _bury(self, job: LeasedJob, why: str) -> None:
        await self.db.write_as(URGENCY, 10.0, outbox.bury, job, error=why, now_ms=self.clock_ms())
        self.drained.buried += 1
        log.error("gave up on job %d (%s): %s", job.id, job.kind, why)


def _advance(
    connection: Connection, job: LeasedJob, effect: Callable[[Connection], object], *, until_ms: int
) -> LeasedJob | None:
    longer = outbox.renew(connection, job, until_ms=until_ms)
    if longer is not None:
        effect(connection)
    return longer


def _finish(connection: Connection, job: LeasedJob, effect: Callable[[Connection], object] | None) -> bool:
    if not outbox.finish(connection, job):
        return False
    if effect is not None:
        effect(connection)
    return True
