"""Filters of active readers, compiled and kept: a poll of a timeline reads and compiles nothing."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

from stormpetrel.model.event import AllChanged, Event, FiltersChanged
from stormpetrel.model.filter import ActiveFilters
from stormpetrel.rules import filters
from stormpetrel.storage.database import Database

MAX_READERS = 20_000
"""Most have no filter, which is one small object each."""


class ReaderFilters:
    """What readers do not want to see. Bounded; who has not come for longest is dropped."""

    def __init__(
        self,
        database: Database,
        *,
        max_readers: int = MAX_READERS,
        clock_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._database = database
        self._max_readers = max_readers
        self._clock_ms = clock_ms
        self._kept: OrderedDict[int, ActiveFilters] = OrderedDict()
        # Counts changes: what was read before one must not be kept.
        self._changes = 0

    def __len__(self) -> int:
        return len(self._kept)

    async def of(self, reader_id: int) -> ActiveFilters | None:
        """The reader's filters; None where there are none, which is the usual case."""
        kept = self._kept.get(reader_id)
        if kept is None or kept.until_ms <= self._clock_ms():
            changes = self._changes
            kept = await self._database.read(filters.active, account_id=reader_id, now_ms=self._clock_ms())
            if changes == self._changes:
                self._kept[reader_id] = kept
                self._kept.move_to_end(reader_id)
                while len(self._kept) > self._max_readers:
                    self._kept.popitem(last=False)
        return kept if kept.filters else None

    def apply(self, event: Event) -> None:
        """Drops what the event made wrong."""
        match event:
            case FiltersChanged(account_id=account_id):
                self._changes += 1
                self._kept.pop(account_id, None)
            case AllChanged():
                self._changes += 1
                self._kept.clear()
            case _:
                pass
