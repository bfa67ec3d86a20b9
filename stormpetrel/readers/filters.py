"""Caches the compiled filters of active readers: polling a timeline reads and compiles nothing."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from stormpetrel import clock
from stormpetrel.model.event import AllChanged, Event, FiltersChanged
from stormpetrel.model.filter import ActiveFilters
from stormpetrel.rules import filters
from stormpetrel.storage.engine.database import Database

MAX_BYTES = 64 * 1024 * 1024
"""Limit per worker: about 1,800 readers with a few filters each; a reader without filters takes 600 bytes."""


class ReaderFilters:
    """The filters of readers. Bounded; the reader idle for longest is dropped."""

    def __init__(
        self,
        database: Database,
        *,
        max_bytes: int = MAX_BYTES,
        clock_ms: Callable[[], int] = clock.now_ms,
    ) -> None:
        self._database = database
        self._max_bytes = max_bytes
        self._clock_ms = clock_ms
        self._kept: OrderedDict[int, ActiveFilters] = OrderedDict()
        self._bytes = 0
        # Counts changes: results of queries from before a change must not be cached.
        self._changes = 0

    def __len__(self) -> int:
        return len(self._kept)

    async def of(self, reader_id: int) -> ActiveFilters | None:
        """Return the reader's filters; None if there are none, the usual case."""
        kept = self._kept.get(reader_id)
        if kept is not None and kept.until_ms > self._clock_ms():
            self._kept.move_to_end(reader_id)
        else:
            changes = self._changes
            kept = await self._database.read(filters.active, account_id=reader_id, now_ms=self._clock_ms())
            if changes == self._changes:
                self._keep(reader_id, kept)
        return kept if kept.filters else None

    def _keep(self, reader_id: int, read: ActiveFilters) -> None:
        self._forget(reader_id)
        self._kept[reader_id] = read
        self._bytes += read.held_bytes
        while self._bytes > self._max_bytes:
            self._forget(next(iter(self._kept)))

    def _forget(self, reader_id: int) -> None:
        gone = self._kept.pop(reader_id, None)
        if gone is not None:
            self._bytes -= gone.held_bytes

    def apply(self, event: Event) -> None:
        """Drop the entries that the event made stale."""
        match event:
            case FiltersChanged(account_id=account_id):
                self._changes += 1
                self._forget(account_id)
            case AllChanged():
                self._changes += 1
                self._kept.clear()
                self._bytes = 0
            case _:
                pass
