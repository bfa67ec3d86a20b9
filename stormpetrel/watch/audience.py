"""The watch's part of counting visitors: it makes the keys, merges the counts, stores them, and destroys both.

A period's key and sketches exist until GRACE_S after its end; then only its numbers remain, in the database.
All files and the database are used in a thread of its own, so a slow disk delays no other work.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeVar

import msgspec

from stormpetrel import clock
from stormpetrel.audience.counter import KEY_BYTES, NAMES
from stormpetrel.audience.periods import period_named, periods_at
from stormpetrel.audience.sketch import PACKED_BYTES
from stormpetrel.control import wire
from stormpetrel.control.messages import AudienceHello, AudiencePeriods, decode_audience_news
from stormpetrel.errors import StormpetrelError
from stormpetrel.storage.audience import load_numbers, store_numbers
from stormpetrel.storage.audience_folder import ENDED, AudienceFolder
from stormpetrel.storage.engine.failures import store_failed
from stormpetrel.watch.audience_tally import AudienceTally, PeriodTally, new_tally, stored_tally

TICK_S = 1.0
LEAD_S = 60.0
"""A period's key is made this long before the period, so that all processes have it when it begins."""
GRACE_S = 5.0
"""Counts of a period's last second arrive later than its end."""
STORE_EVERY_S = 5.0
PUBLISH_EVERY_S = 15.0
"""Interval at which the numbers of running periods go to the database."""
MACHINE = "machine"

log = logging.getLogger(__name__)
T = TypeVar("T")


class WatchAudience:
    """See the module. `now_s`: returns seconds since 1970."""

    def __init__(
        self, *, data_dir: Path, database_url: str, is_enabled: bool, now_s: Callable[[], float] = clock.now_s
    ) -> None:
        self.tally = AudienceTally()
        self.problem = ""
        """Why the last use of the files or the database failed; "" if it did not."""
        self._folder = AudienceFolder(data_dir)
        self._url = database_url
        self._is_enabled = is_enabled
        self._is_loaded = False
        self._now_s = now_s
        self._writers: set[asyncio.StreamWriter] = set()
        self._thread = ThreadPoolExecutor(1, "audience")
        self._machine = ""
        # Numbers of ended periods that the database does not have yet.
        self._ended: dict[str, dict[str, int]] = {}
        self._stored_s = self._published_s = 0.0

    async def serve(
        self, hello: AudienceHello, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Take the counts of one process until it disconnects. Raise BrokenMessage or DecodeError."""
        log.debug("%s counts visitors", hello.name)
        self._writers.add(writer)
        try:
            writer.write(wire.framed(self._announcement()))
            while (body := await wire.receive(reader)) is not None:
                news = decode_audience_news(body)
                try:
                    self.tally.take(news.updates, news.counts, news.announced, at_s=self._now_s())
                except ValueError as error:
                    raise msgspec.DecodeError(str(error)) from error
        finally:
            self._writers.discard(writer)

    async def run(self, stop: asyncio.Event) -> None:
        """Count until `stop` is set; then store the counts."""
        try:
            if not self._is_enabled:
                await self.load()
            while self._is_enabled:
                is_last = stop.is_set()
                try:
                    await self.step(is_last=is_last)
                except Exception:  # a task's outermost handler: an error in counting must not end the watch
                    log.exception("counting the audience failed")
                if is_last:
                    break
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), TICK_S)
        finally:
            self._thread.shutdown(wait=False)

    async def load(self) -> None:
        """Read what the last watch has stored; destroy it if counting is turned off.

        Until it was read, no period begins: a new key would make the counts of processes with the old one useless.
        """
        self._is_loaded = bool(await self._in_thread(self._load))

    async def step(self, *, is_last: bool = False) -> None:
        """Begin and end periods, and store the counts when it is time."""
        if not self._is_loaded:
            await self.load()
        if not self._is_loaded:
            return
        now_s = self._now_s()
        await self._begin_periods(now_s)
        ended = [one for one in self.tally.periods.values() if one.period.until_s + GRACE_S <= now_s]
        for tally in ended:
            await self._in_thread(partial(self._end, tally))
        if is_last or now_s - self._stored_s >= STORE_EVERY_S:
            self._stored_s = now_s
            await self._in_thread(self._store)
        if ended or is_last or now_s - self._published_s >= PUBLISH_EVERY_S:
            self._published_s = now_s
            await self._in_thread(self._publish)

    async def _begin_periods(self, now_s: float) -> None:
        wanted = {*periods_at(now_s), *periods_at(now_s + LEAD_S)}
        new = [period for period in wanted if period.name not in self.tally.periods]
        for period in sorted(new):
            await self._in_thread(partial(self._make, period.name))
        if new:
            frame = wire.framed(self._announcement())
            for writer in self._writers:
                writer.write(frame)

    def _announcement(self) -> AudiencePeriods:
        return AudiencePeriods(tuple(sorted(self.tally.periods)))

    # In the thread

    def _load(self) -> bool:
        folder = self._folder
        if not self._is_enabled and not folder.path.exists():
            return True
        folder.make()
        with contextlib.suppress(msgspec.ValidationError):
            self._ended = msgspec.convert(folder.counts(ENDED) or {}, dict[str, dict[str, int]])
        machine = folder.counts(MACHINE)
        if not isinstance(machine, str):
            machine = secrets.token_hex(4)
            folder.put_counts(MACHINE, machine)
        self._machine = machine
        for name in folder.periods():
            tally = stored_tally(
                name, folder.sketches(name, count=len(NAMES), size=PACKED_BYTES), folder.counts(name)
            )
            if tally is None or not self._is_enabled or not folder.has_key(name):
                folder.destroy(name)
            else:
                self.tally.periods[name] = tally
        return True

    def _make(self, name: str) -> None:
        """Make a period's key and sketches. The key is never in memory that cannot be overwritten."""
        key = bytearray(KEY_BYTES)
        with open("/dev/urandom", "rb", buffering=0) as source:
            source.readinto(key)
        tally = new_tally(period_named(name), random.SystemRandom(), earlier=self._earlier(name))
        try:
            self._write(tally)
            self._folder.put_key(name, key)
        finally:
            key[:] = bytes(KEY_BYTES)
        self.tally.periods[name] = tally
        # Its tally has these numbers now.
        self._ended.pop(name, None)

    def _earlier(self, name: str) -> dict[str, int]:
        """Return the numbers with which this period has ended here before; empty if it has not, or no store says."""
        if name in self._ended:
            return self._ended[name]
        try:
            return load_numbers(self._url, periods=[name]).get(name, {}).get(self._machine, {})
        except Exception as error:
            if not _is_outage(error):
                raise
            return {}

    def _store(self) -> None:
        for tally in tuple(self.tally.periods.values()):
            if tally.has_changed:
                tally.has_changed = False
                self._write(tally)

    def _write(self, tally: PeriodTally) -> None:
        self._folder.put_sketches(tally.period.name, tally.packed())
        self._folder.put_counts(tally.period.name, tally.plain())

    def _end(self, tally: PeriodTally) -> None:
        """Keep the numbers of a period, and destroy everything else of it."""
        name = tally.period.name
        self._ended[name] = tally.numbers()
        self._folder.put_counts(ENDED, self._ended)
        self._folder.destroy(name)
        del self.tally.periods[name]
        tally.wipe()

    def _publish(self) -> None:
        """Store all numbers in the database. Those of ended periods stay here until it has them."""
        now_s = self._now_s()
        running = [
            tally
            for tally in tuple(self.tally.periods.values())
            if tally.is_unpublished and tally.period.from_s <= now_s
        ]
        ended = dict(self._ended)
        if not running and not ended:
            return
        for tally in running:
            tally.is_unpublished = False
        numbers = {tally.period.name: tally.numbers() for tally in running}
        try:
            store_numbers(self._url, machine=self._machine, numbers={**numbers, **ended})
        except BaseException:
            for tally in running:
                tally.is_unpublished = True
            raise
        if ended:
            self._ended.clear()
            self._folder.put_counts(ENDED, {})

    async def _in_thread(self, work: Callable[[], T]) -> T | None:
        """Return the result of `work`, or None if the disk or the database failed: the next step tries again."""
        try:
            result = await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except Exception as error:
            if not _is_outage(error):
                raise
            if str(error) != self.problem:
                log.warning("the audience cannot be stored now: %s", error)
            self.problem = str(error)
            return None
        self.problem = ""
        return result


def _is_outage(error: Exception) -> bool:
    """Return whether the disk or the database failed, and not the code."""
    return isinstance(error, OSError | StormpetrelError) or store_failed(error)
