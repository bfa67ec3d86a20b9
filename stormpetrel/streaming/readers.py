"""The home filters of the accounts that listen: what they want to see, and which authors and hashtags they follow.

Cached while one of the account's streams is open; changed accounts are read again before the next post is
delivered (`refresh`). The size is that of the listening accounts and their follows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from stormpetrel.model.timeline import NEVER_MS, HomeFilter
from stormpetrel.rules import timelines
from stormpetrel.storage.engine.database import Database
from stormpetrel.streaming.current import CurrentValues


class Readers:
    """The home filters of the accounts that listen. `clock_ms`: milliseconds since 1970, for the end of mutes."""

    def __init__(self, database: Database, *, clock_ms: Callable[[], int]) -> None:
        self._database = database
        self._clock_ms = clock_ms
        self._home_filters: CurrentValues[HomeFilter] = CurrentValues(self._read, self._replaced)
        # Keyed by author and by followed hashtag.
        self._followers: dict[int | str, set[int]] = {}
        self._first_end_ms = NEVER_MS

    def __len__(self) -> int:
        return len(self._home_filters)

    async def enter(self, reader_id: int) -> None:
        """Begin a stream of the reader; `leave` ends it. Wait until the home filter is loaded."""
        await self._home_filters.enter(reader_id)

    def leave(self, reader_id: int) -> None:
        """End a stream of the reader, also one that did not finish entering."""
        self._home_filters.leave(reader_id)

    def changed(self, reader_ids: Iterable[int]) -> None:
        """Note that these readers' follows, hashtags, blocks, mutes or exclusive lists have changed."""
        self._home_filters.changed(reader_ids)

    def all_changed(self) -> None:
        """Mark all home filters as outdated."""
        self._home_filters.all_changed()

    @property
    def is_stale(self) -> bool:
        """Return True if `refresh` has home filters to read."""
        return self._home_filters.is_stale

    async def refresh(self) -> None:
        """Read the home filters that are not current. Raise Busy if the database fails."""
        now_ms = self._clock_ms()
        if self._first_end_ms <= now_ms:
            ended = [
                (reader_id, home_filter.until_ms)
                for reader_id, home_filter in self._home_filters.items()
                if home_filter.until_ms < NEVER_MS
            ]
            self.changed(reader_id for reader_id, until_ms in ended if until_ms <= now_ms)
            self._first_end_ms = min((until for _, until in ended if until > now_ms), default=NEVER_MS)
        await self._home_filters.refresh()

    def home_filter(self, reader_id: int) -> HomeFilter | None:
        """Return the reader's home filter, or None if it is not loaded (yet); then no post may be shown."""
        return self._home_filters.get(reader_id)

    def hides(self, reader_id: int | None, author_id: int) -> bool:
        """Return True if one hides the other, or the home filter is not loaded; never for a visitor."""
        if reader_id is None or reader_id == author_id:
            return False
        home_filter = self.home_filter(reader_id)
        return home_filter is None or author_id in home_filter.hidden

    def followers_of(self, source: int | str) -> tuple[int, ...]:
        """Return the listening accounts that follow the author or the hashtag."""
        return tuple(self._followers.get(source, ()))

    async def _read(self, reader_id: int) -> HomeFilter:
        return await self._database.read(timelines.home_filter, reader_id=reader_id, now_ms=self._clock_ms())

    def _replaced(self, reader_id: int, before: HomeFilter | None, after: HomeFilter | None) -> None:
        for source in _sources(before):
            followers = self._followers[source]
            followers.discard(reader_id)
            if not followers:
                del self._followers[source]
        for source in _sources(after):
            self._followers.setdefault(source, set()).add(reader_id)
        if after is not None:
            self._first_end_ms = min(self._first_end_ms, after.until_ms)


def _sources(home_filter: HomeFilter | None) -> tuple[int | str, ...]:
    return () if home_filter is None else (*home_filter.followed, *home_filter.tags)
