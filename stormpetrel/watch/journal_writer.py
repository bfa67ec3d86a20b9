"""The watch's access to the journal, in a separate thread, so that a slow disk blocks no other work.

A disk that is full or slow costs entries, not service: entries wait in a bounded queue that drops the oldest.
The number of lost entries is written to the journal once writing works again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from stormpetrel.shield.entries import InvalidEntry, canonical_value
from stormpetrel.storage.journal import (
    FILE_NAME,
    Direction,
    Journal,
    JournalFailed,
    Networks,
    Note,
)

MAX_WAITING = 2_000
MAX_WAITING_PREFIXES = 20_000
TIDY_EVERY_S = 3_600.0
LOG_EVERY_S = 60.0

log = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Remembered:
    """The state that a watch restores when it starts. `is_read`: False if the journal could not be read."""

    directions: tuple[Direction, ...] = ()
    facts: tuple[tuple[str, int], ...] = ()
    prefixes: tuple[tuple[str, int], ...] = ()
    shelters: tuple[tuple[str, int], ...] = ()
    is_read: bool = False


class JournalWriter:
    """Owns the journal's file. `problem`: why writing fails now, or "". `lost`: entries lost so far.

    `thread`: its thread, also for the record of attacks.
    """

    def __init__(self, data_dir: Path) -> None:
        self.problem = ""
        self.lost = 0
        self._path = data_dir / FILE_NAME
        self._journal: Journal | None = None
        self._waiting: deque[Note] = deque()
        self._unsaid = 0
        # Each table has room of its own: an attacker can make shelters many, while the journal cannot be written.
        self._networks: dict[Networks, dict[str, int]] = {table: {} for table in Networks}
        self.thread = ThreadPoolExecutor(1, "journal")
        self._lock = threading.Lock()
        self._logged_at_s = -LOG_EVERY_S
        self._tidied_at_s = -TIDY_EVERY_S

    def note(self, notes: Sequence[Note]) -> None:
        """Queue notes for the next `flush`."""
        with self._lock:
            for note in notes:
                if len(self._waiting) >= MAX_WAITING:
                    self._waiting.popleft()
                    self.lost += 1
                    self._unsaid += 1
                self._waiting.append(note)

    def see(self, table: Networks, prefixes: Iterable[tuple[str, int]]) -> None:
        """Queue networks with their day for the next `flush`."""
        with self._lock:
            waiting = self._networks[table]
            for prefix, day in prefixes:
                if prefix in waiting or len(waiting) < MAX_WAITING_PREFIXES:
                    waiting[prefix] = max(day, waiting.get(prefix, 0))

    async def remembered(self, *, now_ms: int) -> Remembered:
        """Return the state that the last watch left; empty if the file cannot be read."""

        def read(journal: Journal) -> Remembered:
            return Remembered(
                tuple(journal.directions(now_ms=now_ms)),
                tuple(journal.facts().items()),
                tuple(journal.networks(Networks.KNOWN, now_ms=now_ms)),
                tuple(journal.networks(Networks.SHELTERED, now_ms=now_ms)),
                is_read=True,
            )

        return await self._in_thread(read) or Remembered()

    async def set_direction(self, direction: Direction) -> bool:
        """Store a direction, replacing one for the same entry; return True if it was stored."""

        def replace(journal: Journal) -> None:
            _end(journal, direction.kind, direction.value)
            journal.set_direction(direction)

        return await self._did(replace)

    async def end_direction(self, *, kind: str, value: str) -> bool:
        """End a direction; return True if that was stored."""
        return await self._did(lambda journal: _end(journal, kind, value))

    async def set_fact(self, name: str, value: int) -> bool:
        """Store a fact; return True if it was stored."""
        return await self._did(lambda journal: journal.set_fact(name, value))

    async def flush(self, *, now_ms: int, at_s: float) -> None:
        """Write the queue; remove expired entries every TIDY_EVERY_S."""
        with self._lock:
            notes, unsaid = list(self._waiting), self._unsaid
            networks = {table: list(waiting.items()) for table, waiting in self._networks.items() if waiting}
        if notes or networks or self.problem:
            if unsaid:
                notes.append(
                    Note(
                        at_ms=now_ms,
                        kind="watch",
                        text=f"{unsaid} entries could not be written and are lost",
                        count=unsaid,
                    )
                )

            def write(journal: Journal) -> None:
                journal.write(notes)
                for table, seen in networks.items():
                    journal.see_networks(table, seen)

            if await self._did(write):
                with self._lock:
                    for _ in range(min(len(notes) - bool(unsaid), len(self._waiting))):
                        self._waiting.popleft()
                    self._unsaid -= unsaid
                    for table, seen in networks.items():
                        waiting = self._networks[table]
                        for prefix, day in seen:
                            if waiting.get(prefix) == day:
                                del waiting[prefix]
        if at_s - self._tidied_at_s >= TIDY_EVERY_S:
            self._tidied_at_s = at_s
            await self._did(lambda journal: journal.tidy(now_ms=now_ms))

    async def close(self) -> None:
        """Close the journal and end the thread; entries not flushed before are lost."""
        await self._in_thread(lambda journal: journal.close())
        self.thread.shutdown(wait=False)

    async def _did(self, work: Callable[[Journal], None]) -> bool:
        def done(journal: Journal) -> bool:
            work(journal)
            return True

        return await self._in_thread(done) is True

    async def _in_thread(self, work: Callable[[Journal], T]) -> T | None:
        """Return the result of `work`, or None if the journal failed; the next call then reopens it."""
        loop = asyncio.get_running_loop()
        try:
            result = await loop.run_in_executor(self.thread, self._with_journal, work)
        except JournalFailed as error:
            self.problem = str(error)
            if loop.time() - self._logged_at_s >= LOG_EVERY_S:
                self._logged_at_s = loop.time()
                log.warning("the journal %s cannot be used: %s", self._path, error)
            return None
        self.problem = ""
        return result

    def _with_journal(self, work: Callable[[Journal], T]) -> T:
        if self._journal is None:
            self._journal = Journal(self._path)
        try:
            return work(self._journal)
        except JournalFailed:
            # Reopen it next time, in case the file was replaced or repaired.
            journal, self._journal = self._journal, None
            with contextlib.suppress(Exception):
                journal.close()
            raise


def _end(journal: Journal, kind: str, value: str) -> None:
    """Delete the direction for an entry, however its value is spelt.

    Earlier releases stored a value as it was typed ("2001:DB8::/32"). If only the canonical spelling were deleted, a
    rule that was ended would be in force again after a restart.
    """
    for stored in journal.values(kind=kind):
        if stored == value or _canonical(kind, stored) == value:
            journal.end_direction(kind=kind, value=stored)


def _canonical(kind: str, value: str) -> str | None:
    try:
        return canonical_value(kind, value)
    except InvalidEntry:
        return None
