"""Caches the home timelines of active readers, as ids.

An entry is merged from the instance's newest posts (recent.py), or loaded by a query if those do not reach far
enough. It catches up with them when its reader asks, so a post costs nothing for each follower. Bounded by weight;
the reader idle for longest is dropped.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
from array import array
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
from stormpetrel.readers.recent import RecentPosts
from stormpetrel.rules import timelines
from stormpetrel.storage import timelines as stored
from stormpetrel.storage.engine.connection import Connection
from stormpetrel.storage.engine.database import Database
from stormpetrel.storage.engine.hot import hot

LOADED_IDS = 80 + REPEAT_ENTRIES
"""Ids that a reader's first request loads: two of the longest pages, and those that decide repeats on them."""
LEAST_IDS = 40 + REPEAT_ENTRIES
"""With so many ids a home has the longest page, and those that decide repeats; with fewer, it is merged or read again
for a page that it does not reach."""
FEW_IDS = 10
"""Up to so many posts, a first page is taken from a home of fewer ids."""
LONGEST = Page(limit=40)
MAX_IDS = LOADED_IDS
"""Ids cached per reader; a query answers readers who go further back."""
SLACK_IDS = 16
"""An entry grows by this many ids before the oldest are dropped. With MAX_IDS at most 255: a place takes a byte."""
MAX_WEIGHT = 100 * 1024 * 1024
"""Limit for the bytes of all entries together."""
ENTRY_BYTES = 700
ID_BYTES = 17
"""An entry's id, that of the shown post, and its place in the list without repeats."""
CHUNK = 500
"""Recent posts that a query loads."""
URGENT = 20_000
"""So many recent posts are loaded at once: nearly every home is merged from them, for a tenth of a query's cost."""
URGENT_S = 1.0
"""A first home waits this long for them before it is read by a query."""
REST = 4.0
"""Loading further ones rests for this many times as long as a query took, so that requests have room …"""
REST_S = 0.01
"""… and at least this long."""
RELOAD_S = 10.0
"""Recent posts that were dropped are loaded again at most this often."""

log = logging.getLogger(__name__)
_VERSIONS = itertools.count(1)


class _Home:
    """Entries of one home, oldest first: their ids, and at the same index the id of the post that each shows.

    `complete`: there are no older entries. `seen`, `removals`: how far it has caught up with the recent posts.
    `version`: of the entries; no other home has the same. `is_shallow`: older entries may be found in memory or in
    the store, and it does not reach the longest page.
    """

    __slots__ = (
        "_certain_id",
        "_without_repeats",
        "complete",
        "home_filter",
        "ids",
        "is_shallow",
        "removals",
        "seen",
        "shown_ids",
        "version",
    )

    def __init__(
        self,
        home_filter: HomeFilter,
        entries: list[tuple[int, int]],
        *,
        complete: bool,
        seen: int,
        removals: int,
    ) -> None:
        self.home_filter = home_filter
        self.ids = array("q", [post_id for post_id, _ in entries])
        self.shown_ids = array("q", [shown_id for _, shown_id in entries])
        self.complete = complete
        self.is_shallow = False
        self.seen = seen
        self.removals = removals
        self.version = next(_VERSIONS)
        # The places in `ids` of the entries without repeats; None when they must be computed again.
        self._without_repeats: bytearray | None = None
        # From this id on, repeats are known.
        self._certain_id = 0

    @property
    def weight(self) -> int:
        home_filter = self.home_filter
        return (
            ENTRY_BYTES
            + 8 * len(home_filter.followed)
            + 64 * len(home_filter.hidden)
            + 64 * len(home_filter.exclusive_list_members)
            + 200 * (len(home_filter.tags) + len(home_filter.languages))
            + ID_BYTES * (MAX_IDS + SLACK_IDS)
        )

    def catch_up(self, recent: RecentPosts) -> bool:
        """Add the new posts and drop the removed ones; return False if some are no longer in memory."""
        if self.seen != recent.end:
            new = recent.since(self.seen, self.home_filter)
            if new is None:
                return False
            self.seen = recent.end
            for item in new:
                self.add(item)
        if self.removals != recent.removals_end:
            removed = recent.removed_since(self.removals)
            if removed is None:
                return False
            self.removals = recent.removals_end
            for post_id in removed:
                self.remove(post_id)
        return True

    def add(self, item: TimelineItem) -> None:
        if not self.home_filter.includes(item):
            return
        ids, post_id = self.ids, item.post_id
        at = bisect_left(ids, post_id)
        if at < len(ids) and ids[at] == post_id:
            return
        if at == 0 and not self.complete:
            return  # older than the cached ids: a query finds it
        self.version = next(_VERSIONS)
        ids.insert(at, post_id)
        self.shown_ids.insert(at, item.shown_id)
        if at < len(ids) - 1 or (at < REPEAT_ENTRIES and not self.complete):
            self._without_repeats = None
        elif self._without_repeats is not None and not (item.boost_of_id and repeats(self.shown_ids, at)):
            self._without_repeats.append(at)
        if len(ids) > MAX_IDS + SLACK_IDS:
            del ids[:SLACK_IDS], self.shown_ids[:SLACK_IDS]
            self.complete = False
            self._without_repeats = None

    def remove(self, post_id: int) -> None:
        at = bisect_left(self.ids, post_id)
        if at < len(self.ids) and self.ids[at] == post_id:
            self.version = next(_VERSIONS)
            del self.ids[at], self.shown_ids[at]
            self._without_repeats = None

    def holds(self, post_id: int) -> bool:
        at = bisect_left(self.ids, post_id)
        return at < len(self.ids) and self.ids[at] == post_id

    def page(self, page: Page) -> list[int] | None:
        """Return the page, newest first, or None if the cached ids do not reach far enough."""
        ids, places = self.ids, self._once()
        end = bisect_left(places, bisect_left(ids, page.max_id))
        start = bisect_left(places, bisect_left(ids, page.low + 1))
        reaches = self.complete or (bool(ids) and page.low >= self._certain_id)
        if page.upward:
            found = places[start : min(start + page.limit, end)] if reaches else None
        else:
            first = max(start, end - page.limit)
            found = places[first:end] if end - first == page.limit or reaches else None
        return None if found is None else [ids[at] for at in reversed(found)]

    def shows(self, post_id: int) -> bool:
        """Return True if the entry is shown, and not left out as a repeat."""
        at = bisect_left(self.ids, post_id)
        return at < len(self.ids) and self.ids[at] == post_id and at in self._once()

    def _once(self) -> bytearray:
        places = self._without_repeats
        if places is None:
            entries = list(zip(self.ids, self.shown_ids, strict=True))
            certain = 0 if self.complete else first_certain(entries)
            self._certain_id = self.ids[certain] if certain < len(entries) else MAX_ID
            shown = set(without_repeats(entries))
            places = bytearray(at for at in range(certain, len(entries)) if entries[at][0] in shown)
            self._without_repeats = places
        return places


class _Load:
    """A list that is being loaded."""

    __slots__ = ("began", "reader_id", "task")

    def __init__(self, reader_id: int, began: int) -> None:
        self.reader_id = reader_id
        self.began = began
        self.task: asyncio.Task[_Home]


@hot
def _load(
    connection: Connection, *, reader_id: int, now_ms: int
) -> tuple[HomeFilter, list[tuple[int, int]], bool]:
    home_filter = timelines.home_filter(connection, reader_id=reader_id, now_ms=now_ms)
    return home_filter, *timelines.home_entries(connection, home_filter, page=Page(limit=LOADED_IDS))


class HomeLists:
    """Home timelines by reader. `apply` every event of the bus, in order, in the loop; `run` loads recent posts.

    `clock_ms`: the time in milliseconds since 1970; mutes end by it.
    """

    def __init__(
        self,
        database: Database,
        *,
        max_weight: int = MAX_WEIGHT,
        clock_ms: Callable[[], int] = clock.now_ms,
        recent: RecentPosts | None = None,
    ) -> None:
        self._database = database
        self._clock_ms = clock_ms
        self._homes: BoundedTable[int, _Home] = BoundedTable(
            max_weight,
            evicts=Eviction.LRU,
            weigh=_weight,
            on_drop=lambda reader_id, _: self._edit_affects.discard(reader_id),
        )
        # Readers who follow hashtags, or accounts in some languages only.
        self._edit_affects: set[int] = set()
        self._recent = RecentPosts() if recent is None else recent
        # Keys are readers: changes that a list being loaded may not have seen.
        self._freshness: Freshness[int] = Freshness()
        self._loading: dict[int, _Load] = {}
        self._is_wanted = asyncio.Event()
        self._is_wanted.set()
        # Set while none of the first URGENT recent posts are being loaded.
        self._has_newest = asyncio.Event()
        self._has_newest.set()

    def __len__(self) -> int:
        return len(self._homes)

    async def page(self, reader_id: int, page: Page) -> list[int]:
        """Return the ids of the reader's home timeline, newest first."""
        return (await self.versioned_page(reader_id, page))[0]

    async def versioned_page(self, reader_id: int, page: Page) -> tuple[list[int], int]:
        """Return the ids, and the version of the home that they are from (`is_at`); 0 if a query found them."""
        home = await self._home(reader_id, page)
        found = home.page(page)
        if found is not None:
            return found, home.version
        return await self._database.read(timelines.home_for, home.home_filter, page=page), 0

    def is_at(self, reader_id: int, version: int) -> bool:
        """Return True if the reader's home is in memory and the same as when it had this version."""
        home = self._kept(reader_id)
        return home is not None and home.version == version

    def holds(self, reader_id: int) -> bool:
        """Return True if the reader's home is in memory."""
        return reader_id in self._homes

    async def shows(self, reader_id: int, post_id: int) -> bool:
        """Return True if a new entry of the reader's home is shown there, and not left out as a repeat."""
        return (await self._home(reader_id, LONGEST)).shows(post_id)

    async def _home(self, reader_id: int, page: Page) -> _Home:
        """Return the reader's home. If it may be too shallow for the page, replace it by a deeper one first."""
        home = self._kept(reader_id) or await self._loaded(reader_id, page)
        if home.is_shallow and home.page(page) is None:
            if self._homes.get(reader_id) is home:
                self._homes.pop(reader_id)
            home = await self._loaded(reader_id, page)
        return home

    def _kept(self, reader_id: int) -> _Home | None:
        home = self._homes.get(reader_id)
        if home is None or home.home_filter.until_ms <= self._clock_ms():
            return None
        if not home.catch_up(self._recent):
            self._homes.pop(reader_id)
            return None
        return home

    async def _loaded(self, reader_id: int, page: Page) -> _Home:
        load = self._loading.get(reader_id)
        # An outdated load must not serve a new request: it may be older than the reader's own last change.
        if load is None or not self._freshness.is_current(load.began, reader_id):
            load = self._loading[reader_id] = _Load(reader_id, self._freshness.begin())
            # A separate task: if the first request is cancelled, the others still wait for it.
            load.task = asyncio.create_task(self._run(load, page))
            # If all requests are cancelled, retrieve its error, so that asyncio does not log it.
            load.task.add_done_callback(lambda task: task.cancelled() or task.exception())
        return await asyncio.shield(load.task)

    async def _run(self, load: _Load, page: Page) -> _Home:
        """Load the list for all waiting requests; an app may use many connections at once. `page`: of the first."""
        recent = self._recent
        reader_id, now_ms = load.reader_id, self._clock_ms()
        try:
            home = None
            if not self._has_newest.is_set():
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._has_newest.wait(), URGENT_S)
            if recent.floor_id != MAX_ID:
                home_filter = await self._database.read(
                    timelines.home_filter, reader_id=reader_id, now_ms=now_ms
                )
                home = _merged(home_filter, recent, page)
            if home is None:
                # The query may or may not see what comes while it runs: catching up from here is right for both.
                seen, removals = recent.end, recent.removals_end
                home_filter, entries, complete = await self._database.read(
                    _load, reader_id=reader_id, now_ms=now_ms
                )
                home = _Home(home_filter, entries, complete=complete, seen=seen, removals=removals)
            if home.catch_up(recent) and self._freshness.is_current(load.began, load.reader_id):
                self._keep(load.reader_id, home)
            return home
        finally:
            if self._loading.get(load.reader_id) is load:
                del self._loading[load.reader_id]

    def _keep(self, reader_id: int, home: _Home) -> None:
        home_filter = home.home_filter
        if self._homes.put(reader_id, home) and (home_filter.tags or home_filter.languages):
            self._edit_affects.add(reader_id)

    def clear(self) -> None:
        """Drop all lists, and the recent posts."""
        self._homes.clear()
        self._edit_affects.clear()
        self._recent.clear()
        self._freshness.all_changed()
        self._is_wanted.set()

    def apply(self, event: Event) -> None:
        """Update the lists by an event."""
        match event:
            case PostCreated():
                self._recent.add(event)
            case PostDeleted():
                self._recent.delete(event)
            case RelationshipChanged():
                self._forget(event.account_id)
                self._forget(event.other_id)
            case ListChanged() | FollowedTagsChanged():
                # Exclusive lists hide their members from home; followed hashtags add unfollowed authors.
                self._forget(event.account_id)
            case PostEdited():
                self._recent.edit(event)
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
        """Drop the lists that an edit may affect, by hashtag or language."""
        for reader_id in tuple(self._edit_affects):
            home = self._homes.get(reader_id)
            if home is None:
                continue
            home_filter = home.home_filter
            if event.author_id in home_filter.languages or (
                home_filter.tags
                and (not home_filter.tags.keys().isdisjoint(event.tags) or home.holds(event.post_id))
            ):
                self._homes.pop(reader_id)
        self._freshness.all_changed()

    # The recent posts

    async def run(self, stop: asyncio.Event) -> None:
        """Load recent posts from the store, and again after they were dropped."""
        ending = asyncio.ensure_future(stop.wait())
        if self._recent.floor_id == MAX_ID:
            self._has_newest.clear()
        try:
            while not stop.is_set():
                wanted = asyncio.ensure_future(self._is_wanted.wait())
                await asyncio.wait({ending, wanted}, return_when=asyncio.FIRST_COMPLETED)
                wanted.cancel()
                self._is_wanted.clear()
                if not stop.is_set():
                    try:
                        await self.load_recent(rest=REST)
                    except Exception:  # a task's outermost handler: queries answer meanwhile
                        log.exception("recent posts could not be loaded")
                    await asyncio.wait({ending}, timeout=RELOAD_S)
        finally:
            self._has_newest.set()
            ending.cancel()

    async def load_newest(self) -> None:
        """Load the newest recent posts, from which nearly every home is merged. Raise Busy if the database fails.

        A worker does so before its first request: homes that wait for them would hold the slots of posts.
        """
        await self._load_recent(URGENT, rest=0.0)

    async def load_recent(self, *, rest: float) -> None:
        """Load recent posts until all or as many as fit are in memory. `rest`: pause, in times of a query.

        The newest come without a pause: until they are here, each home that is asked for costs much more by query.
        """
        self._has_newest.clear()
        try:
            if await self._load_recent(URGENT, rest=0.0):
                self._has_newest.set()
                await self._load_recent(MAX_ID, rest=rest)
        finally:
            self._has_newest.set()

    async def _load_recent(self, count: int, *, rest: float) -> bool:
        """Load recent posts until so many are in memory; return True if more can follow."""
        recent, loop = self._recent, asyncio.get_running_loop()
        goes_on = True
        while goes_on and len(recent) < count:
            floor_id, revision, removals = recent.floor_id, recent.revision, recent.removals_end
            began_s = loop.time()
            below_id = MAX_ID if floor_id == MAX_ID else floor_id + 1
            posts = await self._database.read(stored.recent_posts, below_id=below_id, count=CHUNK)
            if (floor_id, revision) == (recent.floor_id, recent.revision):
                goes_on = recent.load(posts, is_all=len(posts) < CHUNK, removals=removals)
            elif floor_id != MAX_ID and recent.floor_id != floor_id:
                return False  # some were dropped, as too many came meanwhile, or all, and another load is due
            if rest:
                await asyncio.sleep(max(REST_S, rest * (loop.time() - began_s)))
        return goes_on


def _weight(home: _Home) -> int:
    return home.weight


def _merged(home_filter: HomeFilter, recent: RecentPosts, page: Page) -> _Home | None:
    """Return the home from the recent posts; None if they do not reach far enough for the page."""
    # Posts of other accounts with a followed hashtag are found by a query alone.
    if home_filter.tags:
        return None
    # A poll, or the short page of a reader who waits under overload, is answered from fewer entries. The reader who
    # goes back from there is rare.
    is_first_page = page == Page(page.limit) and page.limit > FEW_IDS
    if not is_first_page and not page.upward and page.max_id == MAX_ID:
        home = _merged_to(home_filter, recent, count=page.limit + REPEAT_ENTRIES)
        if home.page(page) is not None:
            return home
    home = _merged_to(home_filter, recent, count=LOADED_IDS)
    return None if home.is_shallow and home.page(page) is None else home


def _merged_to(home_filter: HomeFilter, recent: RecentPosts, *, count: int) -> _Home:
    """Return the home with at most `count` of its newest entries."""
    seen, removals = recent.end, recent.removals_end
    entries = recent.newest(home_filter, count=count)
    complete = len(entries) < count and not recent.floor_id
    home = _Home(home_filter, entries[::-1], complete=complete, seen=seen, removals=removals)
    home.is_shallow = not complete and len(entries) < min(LEAST_IDS, LOADED_IDS)
    return home
