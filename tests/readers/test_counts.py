"""Counts of the whole instance: updated once in a while, in parts, and served from memory in between."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from stormpetrel.errors import Busy
from stormpetrel.readers import counts as module
from stormpetrel.readers.counts import COUNTS_S, REST, Recounted, place_activity, place_counts
from stormpetrel.rules import accounts, instance
from stormpetrel.storage.engine.database import Database
from tests.store import Store


class Counted:
    """A count that takes as long as its gate is closed, with its own clock."""

    def __init__(self) -> None:
        self.at_s = 0.0
        self.begun = 0
        self.value = 1
        self.gate = asyncio.Event()
        self.gate.set()
        self.fails = False

    async def count(self, now_ms: int) -> int:
        self.begun += 1
        await self.gate.wait()
        if self.fails:
            raise Busy
        return self.value

    def kept(self) -> Recounted[int]:
        return Recounted(self.count, every_s=COUNTS_S, clock_s=lambda: self.at_s)


def run(body: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        await body()

    asyncio.run(main())


def test_however_many_ask_it_is_counted_once_in_a_while() -> None:
    async def body() -> None:
        counted = Counted()
        kept = counted.kept()
        assert await asyncio.gather(*(kept.now(now_ms=0) for _ in range(5))) == [1] * 5
        counted.value, counted.at_s = 2, COUNTS_S - 0.1
        assert await kept.now(now_ms=0) == 1
        assert counted.begun == 1
        counted.at_s = COUNTS_S
        assert await kept.now(now_ms=0) == 2

    run(body)


def test_a_count_that_takes_long_is_not_waited_for_and_rests_after() -> None:
    async def body() -> None:
        counted = Counted()
        kept = counted.kept()
        assert await kept.now(now_ms=0) == 1
        counted.at_s, counted.value = COUNTS_S, 2
        counted.gate.clear()
        # Requests in the meantime get the last count.
        assert await asyncio.gather(kept.now(now_ms=0), kept.now(now_ms=0)) == [1, 1]
        counted.at_s += 3.0
        counted.gate.set()
        assert await kept.now(now_ms=0) == 2
        counted.at_s, counted.value = COUNTS_S + REST * 3.0 - 0.1, 3
        assert await kept.now(now_ms=0) == 2
        counted.at_s += 0.2
        assert await kept.now(now_ms=0) == 3

    run(body)


def test_what_was_counted_at_the_start_is_counted_anew_for_the_first_who_asks() -> None:
    async def body() -> None:
        counted = Counted()
        kept = counted.kept()
        kept.warm(now_ms=0)
        await asyncio.sleep(0.01)
        counted.value = 2
        assert await kept.now(now_ms=0) == 2
        assert counted.begun == 2
        # While a slow count runs, only the first count is available.
        slow = counted.kept()
        slow.warm(now_ms=0)
        await asyncio.sleep(0.01)
        counted.gate.clear()
        assert await slow.now(now_ms=0) == 2
        counted.gate.set()

    run(body)


def test_who_leaves_does_not_stop_the_counting_for_others() -> None:
    async def body() -> None:
        counted = Counted()
        kept = counted.kept()
        counted.gate.clear()
        first, second = (asyncio.create_task(kept.now(now_ms=0)) for _ in range(2))
        while not counted.begun:
            await asyncio.sleep(0)
        first.cancel()
        counted.gate.set()
        assert await second == 1
        assert first.cancelled()
        assert counted.begun == 1

    run(body)


def test_a_count_that_failed_is_tried_again_by_the_next_who_asks() -> None:
    async def body() -> None:
        counted = Counted()
        kept = counted.kept()
        counted.fails = True
        with pytest.raises(Busy):
            await kept.now(now_ms=0)
        counted.fails = False
        assert await kept.now(now_ms=0) == 1
        # If a later count fails, the last one is served.
        counted.fails, counted.at_s = True, COUNTS_S
        assert await kept.now(now_ms=0) == 1
        counted.fails, counted.value = False, 2
        assert await kept.now(now_ms=0) == 2

    run(body)


def on(store: Store, body: Callable[[Database], Awaitable[Any]]) -> Any:
    async def main() -> Any:
        database = Database(store.url)
        await database.open()
        try:
            return await body(database)
        finally:
            await database.close()

    return asyncio.run(main())


@pytest.mark.parametrize("at_once", [1, 2, 3, 100])
def test_the_place_is_counted_whole_in_parts_of_any_size(
    store: Store, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(module, "ACCOUNTS_AT_ONCE", at_once)
    idle, active, gone = (store.person(name) for name in ("idle", "active", "gone"))
    store.post(idle)
    store.now_ms += instance.MONTH_MS
    for author in (active, active, gone):
        store.post(author)
    store.do(accounts.suspend, account_id=gone)
    found = on(store, lambda database: place_counts(database).now(now_ms=store.now_ms))
    assert (found.users, found.posts, found.active_month) == (2, 3, 1)


def test_a_week_that_is_over_is_counted_once_and_the_present_one_anew(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    author = store.person()
    store.post(author)
    monkeypatch.setattr(module, "ACTIVITY_S", 0.0)
    monkeypatch.setattr(module, "REST", 0)

    async def body(database: Database) -> None:
        activity = place_activity(database)
        now_ms = store.now_ms
        weeks = await activity.now(now_ms=now_ms)
        assert [week.start_ms for week in weeks] == instance.week_starts(now_ms)
        assert (weeks[0].posts, weeks[0].active, weeks[0].sign_ups) == (1, 1, 1)
        store.post(author)
        again = await activity.now(now_ms=now_ms)
        assert (again[0].posts, again[0].active) == (2, 1)
        later = await activity.now(now_ms=now_ms + instance.WEEK_MS)
        assert (later[0].posts, later[1].posts) == (0, 2)
        store.post(author)
        assert (await activity.now(now_ms=now_ms + instance.WEEK_MS))[1].posts == 2

    on(store, body)
