"""The tastes of the accounts that listen: what they want to see, and which authors and hashtags they follow.

Cached while one of the account's streams is open, and current with every event applied: changed accounts are
read again before the next post is delivered (`refresh`). The size is that of the listening accounts and their
follows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from stormpetrel.model.timeline import NEVER_MS, Taste
from stormpetrel.rules import timelines
from stormpetrel.storage.engine.database import Database

READ_AT_ONCE = 20
"""Tastes read in one turn of the loop; each takes about 0.1 ms there on SQLite."""


class _Reader:
    __slots__ = ("changes", "streams", "taste")

    def __init__(self) -> None:
        self.streams = 0
        self.changes = 0
        self.taste: Taste | None = None


class Readers:
    """The tastes of the accounts that listen. `clock_ms`: milliseconds since 1970, for the end of mutes."""

    def __init__(self, database: Database, *, clock_ms: Callable[[], int]) -> None:
        self._database = database
        self._clock_ms = clock_ms
        self._readers: dict[int, _Reader] = {}
        # Keyed by author and by followed hashtag.
        self._followers: dict[int | str, set[int]] = {}
        self._stale: set[int] = set()
        self._first_end_ms = NEVER_MS

    def __len__(self) -> int:
        return len(self._readers)

    async def enter(self, reader_id: int) -> None:
        """Begin a stream of the reader; `leave` ends it. Return when the taste is loaded."""
        reader = self._readers.get(reader_id)
        if reader is None:
            reader = self._readers[reader_id] = _Reader()
        reader.streams += 1
        if reader.taste is None:
            await self._load(reader_id)

    def leave(self, reader_id: int) -> None:
        """End a stream of the reader, also one that did not finish entering."""
        reader = self._readers[reader_id]
        reader.streams -= 1
        if not reader.streams:
            self._install(reader_id, reader, None)
            del self._readers[reader_id]
            self._stale.discard(reader_id)

    def changed(self, reader_ids: Iterable[int]) -> None:
        """Note that these readers' follows, hashtags, blocks, mutes or exclusive lists have changed."""
        for reader_id in reader_ids:
            reader = self._readers.get(reader_id)
            if reader is not None:
                reader.changes += 1
                self._stale.add(reader_id)

    def all_changed(self) -> None:
        """Mark all tastes as outdated."""
        self.changed(list(self._readers))

    @property
    def is_stale(self) -> bool:
        """True if `changed` has left tastes for `refresh` to read."""
        return bool(self._stale)

    async def refresh(self) -> None:
        """Return when every taste is current. Raise Busy if the database fails."""
        now_ms = self._clock_ms()
        if self._first_end_ms <= now_ms:
            ended = [
                (reader_id, reader.taste.until_ms)
                for reader_id, reader in self._readers.items()
                if reader.taste is not None and reader.taste.until_ms < NEVER_MS
            ]
            self.changed(reader_id for reader_id, until_ms in ended if until_ms <= now_ms)
            self._first_end_ms = min((until for _, until in ended if until > now_ms), default=NEVER_MS)
        while self._stale:
            for reader_id in list(self._stale)[:READ_AT_ONCE]:
                await self._load(reader_id)
            if self._stale:
                await asyncio.sleep(0)

    def taste(self, reader_id: int) -> Taste | None:
        """Return the reader's taste, or None if it is not loaded (yet); then no post may be shown."""
        reader = self._readers.get(reader_id)
        return None if reader is None else reader.taste

    def hides(self, reader_id: int | None, author_id: int) -> bool:
        """Return True if one hides the other, or the taste is not loaded; never for a visitor."""
        if reader_id is None or reader_id == author_id:
            return False
        taste = self.taste(reader_id)
        return taste is None or author_id in taste.hidden

    def followers_of(self, source: int | str) -> tuple[int, ...]:
        """Return the listening accounts that follow the author or the hashtag."""
        return tuple(self._followers.get(source, ()))

    async def _load(self, reader_id: int) -> None:
        while (reader := self._readers.get(reader_id)) is not None:
            changes = reader.changes
            taste = await self._database.read(timelines.taste, reader_id=reader_id, now_ms=self._clock_ms())
            if self._readers.get(reader_id) is not reader:
                continue
            # A change during the read may or may not be included, so read again.
            if reader.changes == changes:
                self._install(reader_id, reader, taste)
                self._stale.discard(reader_id)
                return
        self._stale.discard(reader_id)

    def _install(self, reader_id: int, reader: _Reader, taste: Taste | None) -> None:
        for source in _sources(reader.taste):
            followers = self._followers[source]
            followers.discard(reader_id)
            if not followers:
                del self._followers[source]
        reader.taste = taste
        for source in _sources(taste):
            self._followers.setdefault(source, set()).add(reader_id)
        if taste is not None:
            self._first_end_ms = min(self._first_end_ms, taste.until_ms)


def _sources(taste: Taste | None) -> tuple[int | str, ...]:
    return () if taste is None else (*taste.followed, *taste.tags)
