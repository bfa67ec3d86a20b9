"""Caches the compiled filters of active readers: polling a timeline reads and compiles nothing."""

from __future__ import annotations

from collections.abc import Callable

from stormpetrel import clock
from stormpetrel.bounded import BoundedTable, Eviction
from stormpetrel.freshness import Freshness
from stormpetrel.model.event import AllChanged, Event, FiltersChanged
from stormpetrel.model.filter import NEVER_MS, ActiveFilters
from stormpetrel.rules import filters
from stormpetrel.storage.engine.database import Database

MAX_BYTES = 64 * 1024 * 1024
"""Limit per worker: about 1,800 readers with a few filters each; a reader without filters takes 600 bytes."""

_NO_FILTERS = ActiveFilters((), NEVER_MS)


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
        self._clock_ms = clock_ms
        self._kept: BoundedTable[int, ActiveFilters] = BoundedTable(
            max_bytes, evicts=Eviction.LRU, weigh=_held_bytes
        )
        # Keys are readers.
        self._freshness: Freshness[int] = Freshness()

    def __len__(self) -> int:
        return len(self._kept)

    async def of(self, reader_id: int) -> ActiveFilters | None:
        """Return the reader's filters; None if there are none, the usual case."""
        kept = self._kept.get(reader_id)
        if kept is None or kept.until_ms <= self._clock_ms():
            began = self._freshness.begin()
            # Most readers have none, which costs no work of another thread.
            if await self._database.read(filters.has_any, account_id=reader_id):
                kept = await self._database.read(
                    filters.active, account_id=reader_id, now_ms=self._clock_ms()
                )
            else:
                kept = _NO_FILTERS
            if self._freshness.is_current(began, reader_id):
                self._kept.put(reader_id, kept)
        return kept if kept.filters else None

    def until_ms(self, reader_id: int) -> int:
        """Return when the first of the reader's filters expires; 0 if they are not in memory."""
        kept = self._kept.get(reader_id)
        return 0 if kept is None else kept.until_ms

    def apply(self, event: Event) -> None:
        """Drop the entries that the event made stale."""
        match event:
            case FiltersChanged(account_id=account_id):
                self._freshness.changed(account_id)
                self._kept.pop(account_id)
            case AllChanged():
                self._freshness.all_changed()
                self._kept.clear()
            case _:
                pass


def _held_bytes(active: ActiveFilters) -> int:
    return active.held_bytes
