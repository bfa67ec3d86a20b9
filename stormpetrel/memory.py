"""Home timelines of active readers, as ids in memory: loaded once, then extended by what the bus tells.

Bounded by weight (followed accounts + ids); the reader who has not come for longest is dropped and costs one
query when they come back.
"""

from __future__ import annotations

import time
from bisect import bisect_left, insort
from collections import OrderedDict
from collections.abc import Callable

from stormpetrel.model.event import (
    AccountChanged,
    AllChanged,
    Event,
    PostCreated,
    PostDeleted,
    RelationshipChanged,
)
from stormpetrel.model.page import Page
from stormpetrel.model.timeline import Item, Taste
from stormpetrel.rules import timelines
from stormpetrel.storage.connection import Connection
from stormpetrel.storage.database import Database
from stormpetrel.storage.hot import hot

LOADED_IDS = 80
"""Ids that the first read of a reader brings: two of the longest pages."""
MAX_IDS = 400
"""Ids kept per reader; who reads further back is answered by a query."""
MAX_WEIGHT = 1_000_000
"""Followed accounts and ids of all readers together; about 100 MB."""
MAX_PENDING = 10_000
"""Events kept for a list that is being loaded; with more, it is not kept."""


class _Home:
    __slots__ = ("complete", "ids", "taste")

    def __init__(self, taste: Taste, ids: list[int], *, complete: bool) -> None:
        self.taste = taste
        self.ids = ids  # oldest first
        self.complete = complete  # there is nothing older

    @property
    def weight(self) -> int:
        return len(self.taste.followed) + len(self.taste.hidden) + MAX_IDS

    def add(self, event: PostCreated) -> None:
        item = Item(
            post_id=event.post_id,
            author_id=event.author_id,
            visibility=event.visibility,
            in_reply_to_account_id=event.in_reply_to_account_id,
            boost_author_id=event.boost_author_id,
            mentions_reader=self.taste.reader_id in event.mentioned_ids,
        )
        ids = self.ids
        if not self.taste.takes(item):
            return
        at = bisect_left(ids, event.post_id)
        if at < len(ids) and ids[at] == event.post_id:
            return
        if at == 0 and not self.complete:
            return  # older than what is held: a query finds it
        insort(ids, event.post_id)
        if len(ids) > MAX_IDS + 100:
            del ids[:100]
            self.complete = False

    def remove(self, post_id: int) -> None:
        at = bisect_left(self.ids, post_id)
        if at < len(self.ids) and self.ids[at] == post_id:
            del self.ids[at]

    def page(self, page: Page) -> list[int] | None:
        """The page, newest first, or None where the ids held do not reach far enough to say."""
        ids = self.ids
        end = bisect_left(ids, page.max_id)
        start = bisect_left(ids, page.low + 1)
        reaches = self.complete or (bool(ids) and page.low >= ids[0])
        if page.upward:
            return ids[start : min(start + page.limit, end)][::-1] if reaches else None
        first = max(start, end - page.limit)
        if end - first == page.limit or reaches:
            return ids[first:end][::-1]
        return None


class _Load:
    """A list that is being read; `events` came meanwhile. `spoilt`: it must not be kept."""

    __slots__ = ("events", "reader_id", "spoilt")

    def __init__(self, reader_id: int) -> None:
        self.reader_id = reader_id
        self.events: list[PostCreated | PostDeleted] = []
        self.spoilt = False


@hot
def _load(connection: Connection, *, reader_id: int, now_ms: int) -> tuple[Taste, list[int], bool]:
    taste = timelines.taste(connection, reader_id=reader_id, now_ms=now_ms)
    return taste, *timelines.home_to_the_end(connection, taste, page=Page(limit=LOADED_IDS))


def _clock_ms() -> int:
    return time.time_ns() // 1_000_000


class HomeLists:
    """Home timelines by reader. `apply` every event of the bus, in order, in the loop.

    `clock_ms`: now, in milliseconds since 1970; mutes end by it.
    """

    def __init__(
        self, database: Database, *, max_weight: int = MAX_WEIGHT, clock_ms: Callable[[], int] = _clock_ms
    ) -> None:
        self._database = database
        self._max_weight = max_weight
        self._clock_ms = clock_ms
        self._homes: OrderedDict[int, _Home] = OrderedDict()
        self._weight = 0
        self._readers_of: dict[int, set[int]] = {}
        self._loads: set[_Load] = set()

    def __len__(self) -> int:
        return len(self._homes)

    async def page(self, reader_id: int, page: Page) -> list[int]:
        """The ids of the reader's home timeline, newest first."""
        home = self._homes.get(reader_id)
        if home is None or home.taste.until_ms <= self._clock_ms():
            home = await self._loaded(reader_id)
        else:
            self._homes.move_to_end(reader_id)
        found = home.page(page)
        if found is not None:
            return found
        return await self._database.read(timelines.home_for, home.taste, page=page)

    async def _loaded(self, reader_id: int) -> _Home:
        # One of its own for each who waits: the second's answer may be older than the first's, and must not
        # replace it without what came in between.
        load = _Load(reader_id)
        self._loads.add(load)
        try:
            taste, newest, complete = await self._database.read(
                _load, reader_id=reader_id, now_ms=self._clock_ms()
            )
        finally:
            self._loads.discard(load)
        home = _Home(taste, newest[::-1], complete=complete)
        # What was told while the query ran may or may not be in its answer: both ways are harmless.
        for event in load.events:
            _change(home, event)
        if not load.spoilt:
            self._keep(reader_id, home)
        return home

    def _keep(self, reader_id: int, home: _Home) -> None:
        self._drop(reader_id)
        self._homes[reader_id] = home
        self._weight += home.weight
        for author_id in (reader_id, *home.taste.followed):
            self._readers_of.setdefault(author_id, set()).add(reader_id)
        while self._weight > self._max_weight and len(self._homes) > 1:
            self._drop(next(iter(self._homes)))

    def _drop(self, reader_id: int) -> None:
        home = self._homes.pop(reader_id, None)
        if home is None:
            return
        self._weight -= home.weight
        for author_id in (reader_id, *home.taste.followed):
            readers = self._readers_of.get(author_id)
            if readers is not None:
                readers.discard(reader_id)
                if not readers:
                    del self._readers_of[author_id]

    def clear(self) -> None:
        """Drops everything."""
        self._homes.clear()
        self._readers_of.clear()
        self._weight = 0
        for load in self._loads:
            load.spoilt = True

    def apply(self, event: Event) -> None:
        """Brings the lists up to what has just changed."""
        match event:
            case PostCreated() | PostDeleted():
                authors = {event.author_id}
                if isinstance(event, PostDeleted):
                    authors.update(booster_id for _, booster_id in event.boosts)
                for author_id in authors:
                    for reader_id in self._readers_of.get(author_id, ()):
                        _change(self._homes[reader_id], event)
                for load in self._loads:
                    load.events.append(event)
                    load.spoilt = load.spoilt or len(load.events) > MAX_PENDING
            case RelationshipChanged():
                for reader_id in (event.account_id, event.other_id):
                    self._drop(reader_id)
                    for load in self._loads:
                        load.spoilt = load.spoilt or load.reader_id == reader_id
            case AccountChanged() if event.hidden:
                # Its posts and boosts of them may stand in any list.
                self.clear()
            case AllChanged():
                self.clear()
            case _:
                pass


def _change(home: _Home, event: PostCreated | PostDeleted) -> None:
    if isinstance(event, PostCreated):
        home.add(event)
        return
    home.remove(event.post_id)
    for boost_id, _ in event.boosts:
        home.remove(boost_id)
