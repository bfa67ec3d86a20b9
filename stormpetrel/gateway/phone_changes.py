"""Reads the changes of phones in the store one after the other, and misses none.

Changes have a time and are read in its order. On PostgreSQL a transaction may commit after another one whose time is
later, or the same: reading on from the last time alone would miss its change for good. So each pass begins LATE_MS
before the last one ended, and leaves out the phones that are as they were read before.
"""

from __future__ import annotations

from stormpetrel.model.phone import Phone
from stormpetrel.storage import phones as stored
from stormpetrel.storage.engine.database import Database

LATE_MS = 30_000
"""Longer than any transaction takes: a statement has 10 s at most."""
AT_ONCE = 1000


class PhoneChanges:
    """The place in the changes. Call `next` until it returns no phones, and `taken` after each time."""

    def __init__(self) -> None:
        self._place = (0, 0)
        self._newest_ms = 0
        self._recent: dict[int, Phone] = {}

    async def next(self, db: Database) -> list[Phone]:
        """Return the next phones that have changed; empty if there are no more now. Raise Busy."""
        while True:
            after_ms, after_id = self._place
            found = await db.read(stored.changed_since, after_ms=after_ms, after_id=after_id, count=AT_ONCE)
            if not found:
                self._place = (max(0, self._newest_ms - LATE_MS), 0)
                return []
            changed = [phone for phone in found if self._recent.get(phone.id) != phone]
            if changed:
                return changed
            self._place = (found[-1].changed_at_ms, found[-1].id)

    def taken(self, phones: list[Phone]) -> None:
        """Note that these phones, which `next` has returned, need not be returned again."""
        self._place = (phones[-1].changed_at_ms, phones[-1].id)
        self._newest_ms = max(self._newest_ms, phones[-1].changed_at_ms)
        recent = self._recent | {phone.id: phone for phone in phones}
        self._recent = {
            id: one for id, one in recent.items() if one.changed_at_ms >= self._newest_ms - LATE_MS
        }
