"""The watch's access to the history of the status page, in a thread of its own: a slow disk blocks nothing else."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from stormpetrel import clock
from stormpetrel.control.messages import IncidentChange
from stormpetrel.errors import SetupError
from stormpetrel.model.incident import Incident
from stormpetrel.model.status_subscription import StatusNotice
from stormpetrel.storage.status_history import (
    FILE_NAME,
    ChannelDay,
    ChannelMinute,
    StatusHistory,
    StatusHistoryFailed,
)
from stormpetrel.watch.status.board import StatusBoard
from stormpetrel.watch.status.history import SHOWN_DAYS

log = logging.getLogger(__name__)
T = TypeVar("T")

LOG_EVERY_S = 60.0
MEASUREMENTS_EVERY_S = 60.0
SHOWN_MINUTES = 1440


@dataclass(frozen=True, slots=True)
class StoredHistory:
    """What the last watch stored."""

    incidents: tuple[Incident, ...] = ()
    days: tuple[ChannelDay, ...] = ()
    minutes: tuple[ChannelMinute, ...] = ()


class StatusBook:
    """Owns the history's file. `problem`: the reason why it cannot be used now, or "".

    `has_notices`: False if the file has no updates for subscribers, as far as this process knows.
    """

    def __init__(self, data_dir: Path) -> None:
        self.problem = ""
        self.has_notices = True
        self._path = data_dir / FILE_NAME
        self._history: StatusHistory | None = None
        self._thread = ThreadPoolExecutor(1, "status")
        self._logged_at_s = -LOG_EVERY_S

    async def load(self, *, now_ms: int) -> StoredHistory:
        """Return what the last watch stored; empty if the file cannot be read."""

        def read(history: StatusHistory) -> StoredHistory:
            minute = now_ms // 60_000
            return StoredHistory(
                tuple(history.incidents()),
                tuple(history.days(since_day=minute // 1440 - SHOWN_DAYS)),
                tuple(history.minutes(since_minute=minute - SHOWN_MINUTES)),
            )

        return await self._in_thread(read) or StoredHistory()

    async def put_incidents(self, incidents: Iterable[Incident]) -> bool:
        """Store incidents durably; return True if they are stored."""
        rows = tuple(incidents)

        def put(history: StatusHistory) -> bool:
            history.put_incidents(rows)
            return True

        is_stored = await self._in_thread(put) is True
        self.has_notices |= is_stored
        return is_stored

    async def notices(self, *, count: int) -> list[StatusNotice]:
        """Return updates for subscribers, oldest first, at most `count`; none if the file cannot be read."""
        self.has_notices = False
        found = await self._in_thread(lambda history: history.notices(count=count))
        self.has_notices |= found is None or bool(found)
        return found or []

    async def drop_notices(self, notices: Iterable[StatusNotice]) -> None:
        """Delete notices that the store has. If that fails they are handed over again, which changes nothing."""
        update_ids = [one.update_id for one in notices]
        await self._in_thread(lambda history: history.drop_notices(update_ids))

    async def put_measurements(self, board: StatusBoard, *, now_ms: int) -> None:
        """Store what was measured since the last time; keep it for the next time if that fails."""
        days, minutes = board.history.unsaved()

        def put(history: StatusHistory) -> bool:
            history.put_measurements(days, minutes, now_ms=now_ms)
            return True

        if await self._in_thread(put) is True:
            board.history.saved(len(minutes))

    async def close(self) -> None:
        """Close the file and end the thread."""
        await self._in_thread(lambda history: history.close())
        self._thread.shutdown(wait=False)

    async def _in_thread(self, work: Callable[[StatusHistory], T]) -> T | None:
        """Return the result of `work`, or None if the file failed; the next call then reopens it."""
        loop = asyncio.get_running_loop()
        try:
            result = await loop.run_in_executor(self._thread, self._with_history, work)
        except StatusHistoryFailed as error:
            self.problem = str(error)
            if loop.time() - self._logged_at_s >= LOG_EVERY_S:
                self._logged_at_s = loop.time()
                log.warning("the history of the status page %s cannot be used: %s", self._path, error)
            return None
        self.problem = ""
        return result

    def _with_history(self, work: Callable[[StatusHistory], T]) -> T:
        if self._history is None:
            self._history = StatusHistory(self._path)
        try:
            return work(self._history)
        except StatusHistoryFailed:
            # Reopen it next time, in case the file was replaced or repaired.
            history, self._history = self._history, None
            with contextlib.suppress(Exception):
                history.close()
            raise


class IncidentDesk:
    """Takes operators' changes of incidents: stored durably first, then shown."""

    def __init__(self, board: StatusBoard, book: StatusBook) -> None:
        self._board = board
        self._book = book

    async def change(self, change: IncidentChange) -> Incident:
        """Return the changed incident, stored and shown. Raise SetupError; then nothing has changed."""
        board = self._board
        while True:
            before = dict(board.incidents)
            incident = board.changed(change, now_ms=clock.now_ms())
            if not await self._book.put_incidents([incident]):
                raise SetupError(f"the change could not be stored: {self._book.problem}")
            # The watch may have changed it meanwhile: then both changes belong into it.
            if board.incidents.get(incident.id) is before.get(incident.id):
                board.publish(incident)
                return incident


async def keep(board: StatusBoard, book: StatusBook, stop: asyncio.Event, *, every_s: float = 1.0) -> None:
    """Store the board's own changes until `stop` is set, and once more then."""
    loop = asyncio.get_running_loop()
    measured_at_s = loop.time()
    while True:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), every_s)
        unsaved = dict(board.unsaved)
        if unsaved and await book.put_incidents(unsaved.values()):
            board.saved(unsaved)
        if stop.is_set() or loop.time() - measured_at_s >= MEASUREMENTS_EVERY_S:
            measured_at_s = loop.time()
            await book.put_measurements(board, now_ms=clock.now_ms())
        if stop.is_set():
            return


def new_incident_id() -> str:
    """Return a new id of an incident or an update."""
    return secrets.token_hex(6)
