"""Drains the outbox: leases jobs, does each in one transaction with its removal, gives back what failed."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from stormpetrel.clock import now_ms
from stormpetrel.errors import Busy
from stormpetrel.storage import outbox
from stormpetrel.storage.connection import Connection
from stormpetrel.storage.database import Database
from stormpetrel.storage.outbox import Job

log = logging.getLogger(__name__)

Deliver = Callable[[Connection, str, int], None]
"""(connection, payload as JSON, now_ms): what a kind of job does, in the transaction that also removes it."""

LEASE_MS = 30_000
"""After a courier was killed, its jobs wait this long."""
JOBS_AT_ONCE = 64
"""Half of a group commit, so that jobs of one lease become durable together and leave room for others."""
URGENCY = 2
"""Behind what people wait for."""


@dataclass(slots=True)
class Drained:
    """What has been done since the process started."""

    done: int = 0
    retried: int = 0
    buried: int = 0
    lost: int = 0
    """Jobs whose lease somebody else got meanwhile: they were not done here."""


@dataclass(slots=True)
class Drain:
    """Does the jobs of one store with `deliveries`, by kind."""

    db: Database
    deliveries: Mapping[str, Deliver]
    clock_ms: Callable[[], int] = now_ms
    rng: random.Random = field(default_factory=random.SystemRandom)
    drained: Drained = field(default_factory=Drained)

    async def once(self) -> int:
        """Does what is due, JOBS_AT_ONCE at most; how many jobs were taken. Raises Busy when the store fails."""
        if not await self.db.read(outbox.is_due, now_ms=self.clock_ms()):
            return 0
        jobs = await self.db.write_as(
            URGENCY, 10.0, outbox.lease, now_ms=self.clock_ms(), lease_ms=LEASE_MS, count=JOBS_AT_ONCE
        )
        outcomes = await asyncio.gather(*map(self._do, jobs), return_exceptions=True)
        for outcome in outcomes:
            # Only now: none may still be at work when the next round begins.
            if outcome is not None:
                raise outcome
        return len(jobs)

    async def _do(self, job: Job) -> None:
        deliver = self.deliveries.get(job.kind)
        if deliver is None:
            await self._bury(job, "unknown kind of job in this release")
        elif job.attempts > outbox.ATTEMPTS:
            # It was never given back: each courier that took it died of it, or with it.
            await self._bury(job, "the courier crashed on every attempt")
        else:
            try:
                done = await self.db.write_as(URGENCY, 10.0, self._deliver, job, deliver)
            except Busy:
                # The store failed, not the job. Its lease runs out and it comes again.
                raise
            except Exception as error:  # the job's own fault, whatever it is: the others go on
                await self._give_back(job, error)
            else:
                self.drained.done += done
                self.drained.lost += not done

    def _deliver(self, connection: Connection, job: Job, deliver: Deliver) -> bool:
        if not outbox.finish(connection, job):
            return False
        deliver(connection, job.payload, self.clock_ms())
        return True

    async def _give_back(self, job: Job, error: Exception) -> None:
        again = await self.db.write_as(
            URGENCY,
            10.0,
            outbox.retry,
            job,
            error=f"{type(error).__name__}: {error}",
            now_ms=self.clock_ms(),
            jitter=self.rng.random(),
        )
        if again:
            self.drained.retried += 1
            log.warning("job %d (%s) failed, attempt %d: %r", job.id, job.kind, job.attempts, error)
        else:
            self.drained.buried += 1
            log.error("gave up on job %d (%s): %r", job.id, job.kind, error, exc_info=error)

    async def _bury(self, job: Job, why: str) -> None:
        await self.db.write_as(URGENCY, 10.0, outbox.bury, job, error=why, now_ms=self.clock_ms())
        self.drained.buried += 1
        log.error("gave up on job %d (%s): %s", job.id, job.kind, why)
