"""Drains the outbox: leases jobs, does each in one transaction with its removal, returns failed ones."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from stormpetrel.clock import now_ms
from stormpetrel.errors import Busy
from stormpetrel.storage import outbox
from stormpetrel.storage.engine.connection import Connection
from stormpetrel.storage.engine.database import Database
from stormpetrel.storage.outbox import LeasedJob

log = logging.getLogger(__name__)

Deliver = Callable[[Connection, str, int], None]
"""(connection, payload as JSON, now_ms): does a kind of job, in the transaction that also removes it."""

LEASE_MS = 30_000
"""How long the jobs of a killed courier wait."""
JOBS_AT_ONCE = 64
"""Half of a group commit, so that jobs of one lease become durable together and leave room for others."""
URGENCY = 2
"""Behind the requests that people wait for."""


@dataclass(slots=True)
class Drained:
    """Counts since the process started."""

    done: int = 0
    retried: int = 0
    buried: int = 0
    lost: int = 0
    """Jobs whose lease another courier got meanwhile: they were not done here."""


@dataclass(slots=True)
class Drain:
    """Does the jobs of one store with `deliveries`, by kind."""

    db: Database
    deliveries: Mapping[str, Deliver]
    clock_ms: Callable[[], int] = now_ms
    rng: random.Random = field(default_factory=random.SystemRandom)
    drained: Drained = field(default_factory=Drained)

    async def once(self) -> int:
        """Do up to JOBS_AT_ONCE due jobs; return how many were leased. Raise Busy when the store fails."""
        if not await self.db.read(outbox.is_due, now_ms=self.clock_ms()):
            return 0
        jobs = await self.db.write_as(
            URGENCY, 10.0, outbox.lease, now_ms=self.clock_ms(), lease_ms=LEASE_MS, count=JOBS_AT_ONCE
        )
        outcomes = await asyncio.gather(*map(self._do, jobs), return_exceptions=True)
        for outcome in outcomes:
            # Raise only now: no job may still be running when the next round begins.
            if outcome is not None:
                raise outcome
        return len(jobs)

    async def _do(self, job: LeasedJob) -> None:
        deliver = self.deliveries.get(job.kind)
        if deliver is None:
            await self._bury(job, "unknown kind of job in this release")
        elif job.attempts > outbox.ATTEMPTS:
            # No courier ever returned it: each one that took it ended while it was leased.
            await self._bury(job, "the courier crashed on every attempt")
        else:
            try:
                done = await self.db.write_as(URGENCY, 10.0, self._deliver, job, deliver)
            except Busy:
                # The store failed, not the job. Its lease expires and it comes again.
                raise
            except Exception as error:  # any failure of this job must not stop the others
                await self._give_back(job, error)
            else:
                self.drained.done += done
                self.drained.lost += not done

    def _deliver(self, connection: Connection, job: LeasedJob, deliver: Deliver) -> bool:
        if not outbox.finish(connection, job):
            return False
        deliver(connection, job.payload, self.clock_ms())
        return True

    async def _give_back(self, job: LeasedJob, error: Exception) -> None:
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

    async def _bury(self, job: LeasedJob, why: str) -> None:
        await self.db.write_as(URGENCY, 10.0, outbox.bury, job, error=why, now_ms=self.clock_ms())
        self.drained.buried += 1
        log.error("gave up on job %d (%s): %s", job.id, job.kind, why)
