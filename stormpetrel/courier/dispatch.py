"""A lane of the outbox whose jobs wait for somebody else's server: done outside any transaction, then removed.

At least once: a courier that is killed between the two leaves a job that another does again. So what is sent
carries a name that stays the same. AT_ONCE jobs are at work; one that hangs holds up only its own place, until its
time is over.
"""

from __future__ import annotations

import asyncio
import logging
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from stormpetrel.courier.drain import URGENCY, Drained, now_ms
from stormpetrel.courier.mailer import CONVERSATION_S, MailFailed
from stormpetrel.errors import Busy
from stormpetrel.storage import outbox
from stormpetrel.storage.database import Database
from stormpetrel.storage.outbox import Job

log = logging.getLogger(__name__)

Work = Callable[[Job], None]
"""Does the job, in a thread; must end by itself. Raises MailFailed."""

AT_ONCE = 4
LEASE_MS = int(CONVERSATION_S * 1000) * 3
"""Longer than any work takes, name look-ups and slow disks included."""
RETRY_FIRST_MS = 10_000
"""Doubles each time: a mail server may be away for five hours."""
LOOK_EVERY_S = 0.5
STOP_S = 5.0
"""What is at work when the courier ends has this long; what does not make it is done again later."""


@dataclass(slots=True)
class Dispatch:
    """Does the jobs of one lane with `work`."""

    db: Database
    lane: int
    work: Work
    clock_ms: Callable[[], int] = now_ms
    rng: random.Random = field(default_factory=random.SystemRandom)
    drained: Drained = field(default_factory=Drained)

    async def run(self, stop: asyncio.Event) -> None:
        """Works until `stop` is set."""
        places = [asyncio.create_task(self._place(stop)) for _ in range(AT_ONCE)]
        await stop.wait()
        _, unfinished = await asyncio.wait(places, timeout=STOP_S)
        for task in unfinished:
            task.cancel()
        await asyncio.gather(*places, return_exceptions=True)

    async def _place(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                worked = await self.once()
            except Busy:
                worked = False
            if not worked:
                try:
                    await asyncio.wait_for(stop.wait(), LOOK_EVERY_S)
                except TimeoutError:
                    pass

    async def once(self) -> bool:
        """Does one job; False when none is due. Raises Busy when the store fails."""
        if not await self.db.read(outbox.is_due, now_ms=self.clock_ms(), lane=self.lane):
            return False
        jobs = await self.db.write_as(
            URGENCY,
            10.0,
            outbox.lease,
            now_ms=self.clock_ms(),
            lease_ms=LEASE_MS,
            count=1,
            lane=self.lane,
        )
        for job in jobs:
            await self._do(job)
        return bool(jobs)

    async def _do(self, job: Job) -> None:
        if job.attempts > outbox.ATTEMPTS:
            await self._bury(job, "the courier did not survive any attempt")
            return
        try:
            await _in_thread(self.work, job)
        except MailFailed as error:
            if error.for_good:
                await self._bury(job, error.safe_text)
            else:
                await self._later(job, error.safe_text)
        except Exception as error:  # the job's own fault, whatever it is: the others go on
            log.exception("job %d (%s) failed", job.id, job.kind)
            await self._later(job, f"{type(error).__name__}: {error}")
        else:
            done = await self.db.write_as(URGENCY, 10.0, outbox.finish, job)
            self.drained.done += done
            self.drained.lost += not done

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
        log.error("job %d (%s) is given up: %s", job.id, job.kind, why)


async def _in_thread(work: Work, job: Job) -> None:
    """Runs it in a thread that does not keep the process from ending, as those of an executor would."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()

    def tell(error: BaseException | None) -> None:
        if done.done():
            return
        if error is None:
            done.set_result(None)
        else:
            done.set_exception(error)

    def body() -> None:
        failure: BaseException | None = None
        try:
            work(job)
        except BaseException as error:  # handed over, whatever it is
            failure = error
        try:
            loop.call_soon_threadsafe(tell, failure)
        except RuntimeError:
            pass  # the loop has ended: the job comes again

    threading.Thread(target=body, name=f"job {job.id}", daemon=True).start()
    await done
