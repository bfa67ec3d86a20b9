"""The caches of readers over a store: events reach them at once, and answers of the store can be delayed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from stormpetrel.model.event import Event
from stormpetrel.model.page import Page
from stormpetrel.readers.flags import MAX_FLAGS, ReaderFlags
from stormpetrel.readers.home import HomeLists
from stormpetrel.readers.recent import RecentPosts
from stormpetrel.rules import timelines
from stormpetrel.storage.engine.database import Database
from tests.store import Store

NEWEST = Page(limit=20)


class Counting(Database):
    """A database that counts its reads, and can delay an answer."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.reads = 0
        self.gates: list[asyncio.Event] = []

    async def read(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        self.reads += 1
        result = await super().read(fn, *args, **kwargs)
        if self.gates:
            await self.gates.pop(0).wait()
        return result


@dataclass
class Watched:
    """A store whose events reach the lists in memory, in order, as over the bus."""

    store: Store
    database: Counting
    homes: HomeLists
    recent: RecentPosts
    flags: ReaderFlags
    events: list[Event] = field(default_factory=list)

    async def page(self, reader: int, page: Page = NEWEST) -> list[int]:
        return await self.homes.page(reader, page)

    def stored(self, reader: int, page: Page = NEWEST) -> list[int]:
        return timelines.home(self.store.connection, reader_id=reader, page=page, now_ms=self.store.now_ms)


def watched(
    store: Store,
    body: Callable[[Watched], Awaitable[None]],
    *,
    max_weight: int = 1_000_000,
    recent: RecentPosts | None = None,
) -> None:
    """Run `body` in a loop. Each `store.do` in it notifies the lists at once."""
    recent = RecentPosts() if recent is None else recent

    async def run() -> None:
        database = Counting(store.url)
        await database.open()
        homes = HomeLists(database, max_weight=max_weight, clock_ms=lambda: store.now_ms, recent=recent)
        flags = ReaderFlags(database, max_flags=2 * MAX_FLAGS)
        try:
            with telling(store, homes, flags):
                await body(Watched(store, database, homes, recent, flags))
        finally:
            await database.close()

    asyncio.run(run())


@contextmanager
def telling(store: Store, homes: HomeLists, flags: ReaderFlags) -> Iterator[None]:
    plain = store.do

    def do(rule: Any, /, *args: Any, **kwargs: Any) -> Any:
        result = plain(rule, *args, **kwargs)
        for event in store.events:
            homes.apply(event)
            flags.apply(event)
        return result

    store.do = do  # type: ignore[method-assign]  # like the worker: events are applied before the next action
    try:
        yield
    finally:
        store.do = plain  # type: ignore[method-assign]
