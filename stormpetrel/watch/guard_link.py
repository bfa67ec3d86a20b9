"""The watch's side of the guard: its socket, what it is sent each second, and what it reports.

The watch serves as before without a guard: then workers list no sources, and nothing is planned.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import socket
from pathlib import Path

import msgspec

from stormpetrel import clock
from stormpetrel.control import wire
from stormpetrel.control.guard_messages import (
    FILE_NAME,
    SILENT_S,
    GuardList,
    GuardReport,
    decode_report,
)
from stormpetrel.control.messages import GuardState
from stormpetrel.shield.reports import StrangerSource, WorkerReport
from stormpetrel.storage.journal import Note
from stormpetrel.watch.guard_plan import GuardInputs, GuardPlan

UNSENT_BYTES = 4 * 1024 * 1024
LOG_EVERY_S = 60.0
SUM_EVERY_S = 5.0
"""Interval of the journal's notes on how many sources were listed."""
_STRANGERS = ("K3", "K4")
_DRY_RUN = "the guard runs with --dry-run"

log = logging.getLogger(__name__)


class GuardLink:
    """Serves one guard; others are turned away. Call `take` for each report, and `second` once a second."""

    def __init__(self, plan: GuardPlan) -> None:
        self.plan = plan
        self._writer: asyncio.StreamWriter | None = None
        self._is_new = False
        self._report = GuardReport(0, 0, 0)
        self._packets_per_s = 0.0
        self._sources: list[StrangerSource] = []
        self._served = 0
        self._noted = (0, 0)
        self._noted_s = 0.0
        self._was_connected = False
        self._was_off = ""
        self._problem = ""
        self._turned_away = 0
        self._logged_at_s = -math.inf

    @property
    def is_connected(self) -> bool:
        """Return True while a guard follows the list."""
        return self._writer is not None

    @property
    def _blocks(self) -> bool:
        return self.is_connected and not self._report.is_dry_run

    def take(self, report: WorkerReport) -> None:
        """Take what a worker reports for the guard."""
        self.plan.shelter(report.sheltered)
        self.plan.shelter(prefix for prefix, _ in report.prefixes)
        self.plan.hear(report.worker, report.sources)
        self._sources += report.sources
        self._served += sum(report.classes.get(name, {}).get("served", 0) for name in _STRANGERS)

    def second(
        self, *, is_paused: bool, allowed: tuple[str, ...], failures: dict[str, int], at_s: float
    ) -> list[Note]:
        """Send the guard the changes of a second; return notes for the journal."""
        inputs = GuardInputs(self._sources, self._served, is_paused, allowed, failures)
        self._sources, self._served = [], 0
        changes = self.plan.second(inputs, at_s=at_s)
        if self._writer is not None:
            if self._is_new:
                self._is_new = False
                changes = self.plan.all(at_s)
            self._send(self._writer, changes)
        return self._notes(at_s)

    def state(self, *, at_s: float, now_epoch_s: float) -> GuardState:
        """Return the state for `shield status`."""
        off_s = self.plan.off_s(at_s)
        dry_run = _DRY_RUN if self.is_connected and self._report.is_dry_run else ""
        return GuardState(
            is_running=self.is_connected,
            listed=self._report.listed if self._blocks else 0,
            packets=self._report.packets,
            packets_per_s=self._packets_per_s if self.is_connected else 0.0,
            refused=self._report.refused,
            problem=self._report.problem,
            off_because=self.plan.off_because or dry_run,
            off_until_epoch_s=now_epoch_s + off_s if off_s else 0.0,
        )

    def until_epoch_s(self, source: str, *, at_s: float, now_epoch_s: float) -> float:
        """Return until when a running guard blocks a source; 0 if it does not."""
        until_s = self.plan.until_s(source) if self._blocks else 0.0
        return now_epoch_s + until_s - at_s if until_s > at_s else 0.0

    async def serve(self, folder: Path, stop: asyncio.Event) -> None:
        """Serve guards at the socket in `folder` until `stop` is set. Without the socket there is no guard."""
        try:
            # Readable by the group: the guard's user is in it, and may read nothing else of the server's.
            sock = wire.listen(folder, FILE_NAME, mode=0o660)
        except OSError as error:
            log.warning("no guard can connect: %s cannot be created: %s", folder / FILE_NAME, error)
            return
        await self.serve_on(sock, stop)

    async def serve_on(self, sock: socket.socket, stop: asyncio.Event) -> None:
        """Serve guards at a listening socket until `stop` is set; close it then."""
        server = await asyncio.start_unix_server(self._connected, sock=sock)
        try:
            await stop.wait()
        finally:
            server.close()
            if self._writer is not None:
                self._writer.close()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._writer is not None:
            # Two guards would undo each other's table. One that is dead or silent has lost its place.
            self._turn_away()
            writer.close()
            return
        self._writer, self._is_new = writer, True
        loop = asyncio.get_running_loop()
        self._report, told_s = GuardReport(0, 0, 0), loop.time()
        try:
            while True:
                async with asyncio.timeout(SILENT_S):
                    body = await wire.receive(reader)
                if body is None:
                    return
                before, self._report = self._report, decode_report(body)
                passed_s, told_s = loop.time() - told_s, loop.time()
                self._packets_per_s = max(0, self._report.packets - before.packets) / max(passed_s, 0.1)
        except (TimeoutError, OSError, wire.BrokenMessage, msgspec.DecodeError) as error:
            log.warning("the guard is gone: %s", error or type(error).__name__)
        finally:
            self._writer = None
            writer.close()
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await writer.wait_closed()

    def _turn_away(self) -> None:
        """Count a further guard, which tries each second, and log it at most once in LOG_EVERY_S."""
        self._turned_away += 1
        at_s = asyncio.get_running_loop().time()
        if at_s - self._logged_at_s < LOG_EVERY_S:
            return
        self._logged_at_s = at_s
        log.warning(
            "another guard was turned away, because one is connected (attempts so far: %d)", self._turned_away
        )

    def _send(self, writer: asyncio.StreamWriter, changes: GuardList) -> None:
        if writer.transport.get_write_buffer_size() > UNSENT_BYTES:
            writer.transport.abort()
            return
        writer.write(wire.framed(changes))

    def _notes(self, at_s: float) -> list[Note]:
        said = []
        if self.is_connected != self._was_connected:
            self._was_connected = self.is_connected
            said.append("the guard is connected" if self.is_connected else "the guard is gone")
        if self._report.problem != self._problem:
            self._problem = self._report.problem
            said.append(f"the guard failed: {self._problem}" if self._problem else "the guard works again")
        plan = self.plan
        if plan.off_because != self._was_off:
            self._was_off = plan.off_because
            said.append(
                f"lists no sources: {plan.off_because}" if plan.off_because else "lists sources again"
            )
        added, withdrawn = plan.added - self._noted[0], plan.withdrawn - self._noted[1]
        if (added or withdrawn) and at_s - self._noted_s >= SUM_EVERY_S:
            self._noted, self._noted_s = (plan.added, plan.withdrawn), at_s
            said.append(f"listed {added} more sources, withdrew {withdrawn}; {len(plan)} are listed")
        now_ms = clock.now_ms()
        return [Note(at_ms=now_ms, kind="guard", text=text, count=len(plan)) for text in said]
