"""An instance's numbers of people and posts, and its use by week, counted in the background."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from stormpetrel.rules import instance
from stormpetrel.rules.instance import InstanceCounts, Week
from stormpetrel.storage.engine.database import Database

COUNTS_S = 10.0
"""Maximum age of the numbers of people and posts; if counting is slow, REST times its duration."""
ACTIVITY_S = 3600.0
"""Maximum age of the use by week: counting it reads all posts of three months."""
REST = 100
PATIENCE_S = 0.05
"""How long a page waits for a new count before it uses the old one."""
ACCOUNTS_AT_ONCE = 20_000
"""Accounts counted in one read, which takes about 20 ms: other reads run in between."""

T = TypeVar("T")


class Recounted(Generic[T]):
    """The result of `count`: counted again on request, at most once in `every_s`, however many requests come.

    `count` takes the current time in milliseconds since 1970.
    """

    def __init__(
        self,
        count: Callable[[int], Awaitable[T]],
        *,
        every_s: float,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._count = count
        self._every_s = every_s
        self._clock_s = clock_s
        self._counting: asyncio.Task[T] | None = None
        # The last count that succeeded; a task, since any value may be a result.
        self._found: asyncio.Task[T] | None = None
        self._until_s = 0.0

    def begin(self, *, now_ms: int) -> asyncio.Task[T]:
        """Start a count, unless one is running or the last one is recent; return its task."""
        counting = self._counting
        if counting is None or (counting.done() and self._clock_s() >= self._until_s):
            counting = self._counting = asyncio.ensure_future(self._counted(now_ms))
            counting.add_done_callback(self._done)
        return counting

    def warm(self, *, now_ms: int) -> None:
        """Count before the first request, which starts a new count but waits only PATIENCE_S for it."""
        self.begin(now_ms=now_ms).add_done_callback(self._warmed)

    def _warmed(self, _: asyncio.Task[T]) -> None:
        self._until_s = 0.0

    async def now(self, *, now_ms: int) -> T:
        """Return the newest count. Raise Busy when there is none yet and the store cannot be read."""
        counting = self.begin(now_ms=now_ms)
        if self._found is None:
            # A cancelled request must not cancel the count for the others.
            return await asyncio.shield(counting)
        if not counting.done():
            await asyncio.wait({counting}, timeout=PATIENCE_S)
        return self._found.result()

    async def _counted(self, now_ms: int) -> T:
        began_s = self._clock_s()
        found = await self._count(now_ms)
        ended_s = self._clock_s()
        self._until_s = began_s + max(self._every_s, REST * (ended_s - began_s))
        return found

    def _done(self, counting: asyncio.Task[T]) -> None:
        if not counting.cancelled() and counting.exception() is None:
            self._found = counting
        elif self._counting is counting:
            self._counting = None


def place_counts(
    database: Database, *, clock_s: Callable[[], float] = time.monotonic
) -> Recounted[InstanceCounts]:
    """Return the numbers of people, of posts, and of people who were active lately."""

    async def count(now_ms: int) -> InstanceCounts:
        users = posts = after_id = 0
        while True:
            part = await database.read(instance.count_some, after_id=after_id, most=ACCOUNTS_AT_ONCE)
            users += part.users
            posts += part.posts
            if part.last_id is None:
                break
            after_id = part.last_id
        month, half_year = await database.read(instance.active_members, now_ms=now_ms)
        return InstanceCounts(users, posts, month, half_year)

    return Recounted(count, every_s=COUNTS_S, clock_s=clock_s)


def place_activity(database: Database) -> Recounted[list[Week]]:
    """Return the use of the last weeks, the current one first. A past week is counted once."""
    over: dict[int, Week] = {}

    async def count(now_ms: int) -> list[Week]:
        weeks = []
        for start_ms in instance.week_starts(now_ms):
            week = over.get(start_ms)
            if week is None:
                week = await database.read(instance.week, start_ms=start_ms)
            weeks.append(week)
        over.clear()
        over.update((week.start_ms, week) for week in weeks[1:])
        return weeks

    return Recounted(count, every_s=ACTIVITY_S)
