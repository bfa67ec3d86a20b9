"""What the accounts that listen like to see: their tastes, and who of them follows whom or which hashtag.

Kept while a stream of theirs is open, and right as of every event that has been applied: who changed is read anew
before the next post is handed out (`refresh`). As large as the accounts that listen and whom they follow.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from stormpetrel.model.timeline import NEVER_MS, Taste
from stormpetrel.rules import timelines
from stormpetrel.storage.database import Database

READ_AT_ONCE = 20
"""Tastes read in one turn of the loop; on SQLite each takes about 0.1 ms there."""


class _Reader:
    __slots__ = ("changes", "streams", "taste")

    def __init__(self) -> None:
        self.streams = 0
        self.changes = 0
        self.taste: Taste | None = None


class Readers:
    """The tastes of the accounts that listen. `clock_ms`: now, in milliseconds since 1970; mutes end by it."""

    def __init__(self, database: Database, *, clock_ms: Callable[[], int]) -> None:
        self._database = database
        self._clock_ms = clock_ms
        self._readers: dict[int, _Reader] = {}
        # By author, and by followed hashtag.
        self._followers: dict[int | str, set[int]] = {}
        self._stale: set[int] = set()
        self._first_end_ms = NEVER_MS

    def __len__(self) -> int:
        return len(self._readers)

    async def enter(self, reader_id: int) -> None:
        """A stream of the reader begins; `leave` ends it. Returns when the taste is known."""
        reader = self._readers.get(reader_id)
        if reader is None:
            reader = self._readers[reader_id] = _Reader()
        reader.streams += 1
        if reader.taste is None:
            await self._load(reader_id)

    def leave(self, reader_id: int) -> None:
        """A stream of the reader has ended, or did not come to begin."""
        reader = self._readers[reader_id]
        reader.streams -= 1
        if not reader.streams:
            self._install(reader_id, reader, None)
            del self._readers[reader_id]
            self._stale.discard(reader_id)

    def changed(self, reader_ids: Iterable[int]) -> None:
        """Whom or which hashtags they follow, whom they block or mute, or their exclusive lists have changed."""
        for reader_id in reader_ids:
            reader = self._readers.get(reader_id)
            if reader is not None:
                reader.changes += 1
                self._stale.add(reader_id)

    def all_changed(self) -> None:
        """Nothing is known to be right any more."""
        self.changed(list(self._readers))

    @property
    def is_stale(self) -> bool:
        """Whether `refresh` has something to do because of `changed`."""
        return bool(self._stale)

    async def refresh(self) -> None:
        """Return when every taste is right. Raises Busy when the store fails."""
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
        """The reader's taste; None when it is not known (yet), and then nothing must be shown."""
        reader = self._readers.get(reader_id)
        return None if reader is None else reader.taste

    def hides(self, reader_id: int | None, author_id: int) -> bool:
        """Whether the author is hidden from the reader, or the other way round; never from a visitor."""
        if reader_id is None or reader_id == author_id:
            return False
        taste = self.taste(reader_id)
        return taste is None or author_id in taste.hidden

    def followers_of(self, source: int | str) -> tuple[int, ...]:
        """Those who listen and follow the author, or the hashtag."""
        return tuple(self._followers.get(source, ()))

    async def _load(self, reader_id: int) -> None:
        while (reader := self._readers.get(reader_id)) is not None:
            changes = reader.changes
            taste = await self._database.read(timelines.taste, reader_id=reader_id, now_ms=self._clock_ms())
            if self._readers.get(reader_id) is not reader:
                continue
            # What changed while it was read may or may not be in it.
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
