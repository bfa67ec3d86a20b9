"""A lane of the outbox whose jobs wait for something outside the database: a mail server, the store of files.

Each is done outside any transaction, then removed, in one transaction with what it changes in the database. At
least once: a courier that is killed between the two leaves a job that another does again. So what is sent carries
a name that stays the same, and what is changed is changed only by whom the removal succeeds for. Some jobs are at
work at once; one that hangs holds up only its own place in its own lane, until its time is over.
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
from stormpetrel.storage import outbox
from stormpetrel.storage.connection import Connection
from stormpetrel.storage.database import Database
from stormpetrel.storage.outbox import Job

log = logging.getLogger(__name__)

LEASE_MS = 20_000
"""After a courier was killed, its jobs wait this long."""
RENEW_EVERY_S = 5.0
"""While a job is at work its lease is made longer, so that nobody else begins it."""
RETRY_FIRST_MS = 10_000
"""Doubles each time: what a job waits for may be away for five hours."""
LOOK_EVERY_S = 0.5
STOP_S = 5.0
"""What is at work when the courier ends has this long; what does not make it is done again later."""


class JobFailed(StormpetrelError):
    """It could not be done. `for_good`: not later either."""

    def __init__(self, safe_text: str, *, for_good: bool = False) -> None:
        super().__init__(safe_text)
        self.for_good = for_good


class Attempt:
    """One attempt at a job. Whoever works calls `finish` when it is done, or raises."""

    def __init__(self, db: Database, job: Job, clock_ms: Callable[[], int], drained: Drained) -> None:
        self.job = job
        self.is_finished = False
        self._db = db
        self._clock_ms = clock_ms
        self._drained = drained
        # A lease is known by when it ends: none may be used while it is being changed.
        self._lock = asyncio.Lock()

    async def finish(self, effect: Callable[[Connection], object] | None = None) -> bool:
        """Removes the job and has its effect, in one transaction; False when somebody else got the lease.

        Raises Busy when the store fails, and what `effect` raises: then nothing happened.
        """
        async with self._lock:
            done = await self._db.write_as(URGENCY, 10.0, _finish, self.job, effect)
            self.is_finished = True
        self._drained.done += done
        self._drained.lost += not done
        return done

    async def renew_until(self, ended: asyncio.Event) -> None:
        """Makes the lease longer, again and again."""
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
"""Does a job. Raises JobFailed, or Busy for what will be there again."""


@dataclass(slots=True)
class Dispatch:
    """Does the jobs of one lane with `works`, by kind. One may take `longest_s`; `at_once` are at work together."""

    db: Database
    lane: int
    works: Mapping[str, Work]
    at_once: int
    longest_s: float
    clock_ms: Callable[[], int] = now_ms
    rng: random.Random = field(default_factory=random.SystemRandom)
    drained: Drained = field(default_factory=Drained)

    async def run(self, stop: asyncio.Event) -> None:
        """Works until `stop` is set."""
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
                    # Nothing more is due, or nobody is free: until that changes.
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
        """Does one job; False when none is due. Raises Busy when the store fails."""
        jobs = await self._lease(1)
        for job in jobs:
            await self._do(job)
        return bool(jobs)

    async def _lease(self, count: int) -> list[Job]:
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

    async def _do_or_leave(self, job: Job) -> None:
        """The store failed, not the job: its lease runs out and it comes again."""
        with contextlib.suppress(Busy):
            await self._do(job)

    async def _do(self, job: Job) -> None:
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
        for_good = False
        try:
            async with asyncio.timeout(self.longest_s):
                await work(attempt)
        except JobFailed as error:
            why, for_good = error.safe_text, error.for_good
        except Busy as error:
            why = error.safe_text
        except TimeoutError:
            why = f"it took longer than {self.longest_s:.0f} s"
        except Exception as error:  # the job's own fault, whatever it is: the others go on
            log.exception("job %d (%s) failed", job.id, job.kind)
            why = f"{type(error).__name__}: {error}"
        finally:
            ended.set()
            await renewing
        if attempt.is_finished:
            return
        if for_good:
            await self._bury(attempt.job, why)
        else:
            await self._later(attempt.job, why or "no result was reported")

    async def _later(self, job: Job, why: str) -> None:
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

    async def _bury(self, job: Job, why: str) -> None:
        await self.db.write_as(URGENCY, 10.0, outbox.bury, job, error=why, now_ms=self.clock_ms())
        self.drained.buried += 1
        log.error("gave up on job %d (%s): %s", job.id, job.kind, why)


def _finish(connection: Connection, job: Job, effect: Callable[[Connection], object] | None) -> bool:
    if not outbox.finish(connection, job):
        return False
    if effect is not None:
        effect(connection)
    return True
