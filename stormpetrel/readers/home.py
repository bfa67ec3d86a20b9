"""Caches the home timelines of active readers, as ids.

Entries are loaded once, then updated by events of the bus. Bounded by weight; the reader idle for longest is
dropped and costs one query when they come back.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections.abc import Callable

from stormpetrel import clock
from stormpetrel.bounded import BoundedTable, Eviction
from stormpetrel.freshness import Freshness
from stormpetrel.model.event import (
    AccountChanged,
    AllChanged,
    Event,
    FollowedTagsChanged,
    ListChanged,
    PostCreated,
    PostDeleted,
    PostEdited,
    RelationshipChanged,
)
from stormpetrel.model.ids import MAX_ID
from stormpetrel.model.page import Page
from stormpetrel.model.timeline import (
    REPEAT_ENTRIES,
    HomeFilter,
    TimelineItem,
    first_certain,
    repeats,
    without_repeats,
)
from stormpetrel.rules import timelines
from stormpetrel.storage.engine.connection import Connection
from stormpetrel.storage.engine.database import Database
from stormpetrel.storage.engine.hot import hot

LOADED_IDS = 80 + REPEAT_ENTRIES
"""Ids that a reader's first query loads: two of the longest pages, and those that decide repeats on them."""
MAX_IDS = 400
"""Ids cached per reader; a query answers readers who go further back."""
MAX_WEIGHT = 1_000_000
"""Limit for followed accounts and ids of all readers together; about 100 MB."""
MAX_PENDING = 10_000
"""Events stored for a list that is being loaded; after more of them it is outdated."""


class _Home:
    """Entries of one home, oldest first: their ids, and at the same index the id of the post that each shows.

    `complete`: there are no older entries.
    """

    __slots__ = ("_certain_id", "_without_repeats", "complete", "home_filter", "ids", "shown_ids")

    def __init__(self, home_filter: HomeFilter, entries: list[tuple[int, int]], *, complete: bool) -> None:
        self.home_filter = home_filter
        self.ids = [post_id for post_id, _ in entries]
        self.shown_ids = [shown_id for _, shown_id in entries]
        self.complete = complete
        # The ids without repeats; None when they must be computed again.
        self._without_repeats: list[int] | None = None
        # From this id on, repeats are known.
        self._certain_id = 0

    @property
    def weight(self) -> int:
        home_filter = self.home_filter
        return (
            len(home_filter.followed)
            + len(home_filter.hidden)
            + len(home_filter.exclusive_list_members)
            + len(home_filter.tags)
            + MAX_IDS
        )

    def add(self, event: PostCreated) -> None:
        item = TimelineItem(
            post_id=event.post_id,
            author_id=event.author_id,
            visibility=event.visibility,
            in_reply_to_account_id=event.in_reply_to_account_id,
            boost_author_id=event.boost_author_id,
            mentions_reader=self.home_filter.reader_id in event.mentioned_ids,
            language=event.language,
            has_followed_tag=not self.home_filter.tags.keys().isdisjoint(event.tags),
            author_silenced=event.author_silenced,
            boost_of_id=event.boost_of_id,
        )
        ids = self.ids
        if not self.home_filter.includes(item):
            return
        at = bisect_left(ids, event.post_id)
        if at < len(ids) and ids[at] == event.post_id:
            return
        if at == 0 and not self.complete:
            return  # older than the cached ids: a query finds it
        ids.insert(at, event.post_id)
        self.shown_ids.insert(at, item.shown_id)
        if at < len(ids) - 1 or (at < REPEAT_ENTRIES and not self.complete):
            self._without_repeats = None
        elif self._without_repeats is not None and not (event.boost_of_id and repeats(self.shown_ids, at)):
            self._without_repeats.append(event.post_id)
        if len(ids) > MAX_IDS + 100:
            del ids[:100], self.shown_ids[:100]
            self.complete = False
            self._without_repeats = None

    def remove(self, post_id: int) -> None:
        at = bisect_left(self.ids, post_id)
        if at < len(self.ids) and self.ids[at] == post_id:
            del self.ids[at], self.shown_ids[at]
            self._without_repeats = None

    def holds(self, post_id: int) -> bool:
        at = bisect_left(self.ids, post_id)
        return at < len(self.ids) and self.ids[at] == post_id

    def page(self, page: Page) -> list[int] | None:
        """Return the page, newest first, or None if the cached ids do not reach far enough."""
        ids = self._once()
        end = bisect_left(ids, page.max_id)
        start = bisect_left(ids, page.low + 1)
        reaches = self.complete or (bool(self.ids) and page.low >= self._certain_id)
        if page.upward:
            return ids[start : min(start + page.limit, end)][::-1] if reaches else None
        first = max(start, end - page.limit)
        if end - first == page.limit or reaches:
            return ids[first:end][::-1]
        return None

    def shows(self, post_id: int) -> bool:
        """Return True if the entry is shown, and not left out as a repeat."""
        ids = self._once()
        at = bisect_left(ids, post_id)
        return at < len(ids) and ids[at] == post_id

    def _once(self) -> list[int]:
        ids = self._without_repeats
        if ids is None:
            entries = list(zip(self.ids, self.shown_ids, strict=True))
            certain = 0 if self.complete else first_certain(entries)
            self._certain_id = self.ids[certain] if certain < len(entries) else MAX_ID
            ids = [post_id for post_id in without_repeats(entries) if post_id >= self._certain_id]
            self._without_repeats = ids
        return ids


class _Load:
    """A list that is being loaded. `events` arrived meanwhile, and are applied to the result."""

    __slots__ = ("began", "events", "reader_id", "task")

    def __init__(self, reader_id: int, began: int) -> None:
        self.reader_id = reader_id
        self.began = began
        self.events: list[PostCreated | PostDeleted] = []
        self.task: asyncio.Task[_Home]


@hot
def _load(
    connection: Connection, *, reader_id: int, now_ms: int
) -> tuple[HomeFilter, list[tuple[int, int]], bool]:
    home_filter = timelines.home_filter(connection, reader_id=reader_id, now_ms=now_ms)
    return home_filter, *timelines.home_entries(connection, home_filter, page=Page(limit=LOADED_IDS))


class HomeLists:
    """Home timelines by reader. `apply` every event of the bus, in order, in the loop.

    `clock_ms`: the time in milliseconds since 1970; mutes end by it.
    """

    def __init__(
        self, database: Database, *, max_weight: int = MAX_WEIGHT, clock_ms: Callable[[], int] = clock.now_ms
    ) -> None:
        self._database = database
        self._clock_ms = clock_ms
        self._homes: BoundedTable[int, _Home] = BoundedTable(
            max_weight, evicts=Eviction.LRU, weigh=_weight, on_drop=self._dropped
        )
        # Keys are readers: changes that a list being loaded cannot follow by applying an event.
        self._freshness: Freshness[int] = Freshness()
        # Readers by author id, and by followed hashtag.
        self._readers_of: dict[int | str, set[int]] = {}
        self._loads: set[_Load] = set()
        self._loading: dict[int, _Load] = {}

    def __len__(self) -> int:
        return len(self._homes)

    async def page(self, reader_id: int, page: Page) -> list[int]:
        """Return the ids of the reader's home timeline, newest first."""
        home = self._kept(reader_id) or await self._loaded(reader_id)
        found = home.page(page)
        if found is not None:
            return found
        return await self._database.read(timelines.home_for, home.home_filter, page=page)

    def holds(self, reader_id: int) -> bool:
        """Return True if the reader's home is in memory."""
        return reader_id in self._homes

    async def shows(self, reader_id: int, post_id: int) -> bool:
        """Return True if a new entry of the reader's home is shown there, and not left out as a repeat."""
        home = self._kept(reader_id) or await self._loaded(reader_id)
        return home.shows(post_id)

    def _kept(self, reader_id: int) -> _Home | None:
        home = self._homes.get(reader_id)
        if home is None or home.home_filter.until_ms <= self._clock_ms():
            return None
        return home

    async def _loaded(self, reader_id: int) -> _Home:
        load = self._loading.get(reader_id)
        # An outdated load must not serve a new request: it may be older than the reader's own last change.
        if load is None or not self._freshness.is_current(load.began, reader_id):
            load = self._loading[reader_id] = _Load(reader_id, self._freshness.begin())
            # A separate task: if the first request is cancelled, the others still wait for it.
            load.task = asyncio.create_task(self._run(load))
            # If all requests are cancelled, retrieve its error, so that asyncio does not log it.
            load.task.add_done_callback(lambda task: task.cancelled() or task.exception())
        return await asyncio.shield(load.task)

    async def _run(self, load: _Load) -> _Home:
        """Load the list for all waiting requests; an app may use many connections at once."""
        self._loads.add(load)
        try:
            home_filter, entries, complete = await self._database.read(
                _load, reader_id=load.reader_id, now_ms=self._clock_ms()
            )
            home = _Home(home_filter, entries, complete=complete)
            # The query's result may or may not include events from while it ran: both are harmless.
            for event in load.events:
                _change(home, event)
            if self._freshness.is_current(load.began, load.reader_id):
                self._keep(load.reader_id, home)
            return home
        finally:
            self._loads.discard(load)
            if self._loading.get(load.reader_id) is load:
                del self._loading[load.reader_id]

    def _keep(self, reader_id: int, home: _Home) -> None:
        if self._homes.put(reader_id, home):
            for source in _sources(home.home_filter):
                self._readers_of.setdefault(source, set()).add(reader_id)

    def _dropped(self, reader_id: int, home: _Home) -> None:
        for source in _sources(home.home_filter):
            readers = self._readers_of.get(source)
            if readers is not None:
                readers.discard(reader_id)
                if not readers:
                    del self._readers_of[source]

    def clear(self) -> None:
        """Drop all lists."""
        self._homes.clear()
        self._readers_of.clear()
        self._freshness.all_changed()

    def apply(self, event: Event) -> None:
        """Update the lists by an event."""
        match event:
            case PostCreated() | PostDeleted():
                sources: set[int | str] = {event.author_id, *event.tags}
                if isinstance(event, PostDeleted):
                    sources.update(booster_id for _, booster_id in event.boosts)
                for source in sources:
                    for reader_id in self._readers_of.get(source, ()):
                        _change(self._homes[reader_id], event)
                for load in self._loads:
                    if len(load.events) < MAX_PENDING:
                        load.events.append(event)
                    else:
                        self._freshness.changed(load.reader_id)
            case RelationshipChanged():
                self._forget(event.account_id)
                self._forget(event.other_id)
            case ListChanged() | FollowedTagsChanged():
                # Exclusive lists hide their members from home; followed hashtags add unfollowed authors.
                self._forget(event.account_id)
            case PostEdited():
                self._edited(event)
            case AccountChanged() if event.hidden:
                # Its posts and boosts of them may be in any list.
                self.clear()
            case AllChanged():
                self.clear()
            case _:
                pass

    def _forget(self, reader_id: int) -> None:
        self._homes.pop(reader_id)
        self._freshness.changed(reader_id)

    def _edited(self, event: PostEdited) -> None:
        """Drop the lists that an edit may affect, by hashtag or language. Edits are rare."""
        for reader_id, home in list(self._homes.items()):
            home_filter = home.home_filter
            if event.author_id in home_filter.languages or (
                home_filter.tags
                and (not home_filter.tags.keys().isdisjoint(event.tags) or home.holds(event.post_id))
            ):
                self._homes.pop(reader_id)
        self._freshness.all_changed()


def _weight(home: _Home) -> int:
    return home.weight


def _sources(home_filter: HomeFilter) -> tuple[int | str, ...]:
    """Return the sources of a home list's entries: authors and hashtags."""
    return (home_filter.reader_id, *home_filter.followed, *home_filter.tags)


def _change(home: _Home, event: PostCreated | PostDeleted) -> None:
    if isinstance(event, PostCreated):
        home.add(event)
        return
    home.remove(event.post_id)
    for boost_id, _ in event.boosts:
        home.remove(boost_id)
