"""The worker's side of the control socket: send a report each second, and apply the directions in return.

Nothing here can delay a request or end a worker: without a watch no report is sent, and directions expire by
themselves (`Directions.expires_epoch_s`).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from stormpetrel.control import wire
from stormpetrel.control.messages import Direct, Hello, Look, ReportMessage, Standing, decode_to_worker
from stormpetrel.shield.reports import Directions, WorkerReport

REPORT_EVERY_S = 1.0
LEAST_PERIOD_S = 0.5
"""A report covers at least this long, also after a late one: counts of a shorter time say little."""
UNSENT_BYTES = 1024 * 1024
"""The connection to a watch is closed when this much waits unread."""

log = logging.getLogger(__name__)


def until_next_s(at_s: float) -> float:
    """Return how long to wait for the next report. `at_s`: of the clock that all processes of a machine share.

    All workers report at the same whole seconds of it. The watch looks at the traffic when it has the reports of
    all, so it would wait for the last one up to a second more if each worker had its own time.
    """
    wait_s = REPORT_EVERY_S - at_s % REPORT_EVERY_S
    return wait_s if wait_s >= LEAST_PERIOD_S else wait_s + REPORT_EVERY_S


class Reporter:
    """Reports for one worker until `stop` is set.

    `report` makes a report; `direct` puts directions into force; `look` answers a question about an identity.
    """

    def __init__(
        self,
        *,
        name: str,
        data_dir: Path,
        report: Callable[[], WorkerReport],
        direct: Callable[[Directions], None],
        look: Callable[[Look], Standing],
    ) -> None:
        self._name = name
        self._data_dir = data_dir
        self._report = report
        self._direct = direct
        self._look = look

    async def run(self, stop: asyncio.Event) -> None:
        """Run until `stop` is set."""
        ending: asyncio.Future[Any] = asyncio.ensure_future(stop.wait())
        pauses_s = wire.retry_pauses_s()
        try:
            while not stop.is_set():
                with contextlib.suppress(OSError):
                    await self._talk(ending)
                if not stop.is_set():
                    await asyncio.wait({ending}, timeout=next(pauses_s))
        finally:
            ending.cancel()

    async def _talk(self, ending: asyncio.Future[Any]) -> None:
        """Run one connection until it ends. Raise OSError if there is no watch."""
        with wire.short_path(self._data_dir) as path:
            reader, writer = await asyncio.open_unix_connection(path)
        hearing: asyncio.Future[Any] = asyncio.ensure_future(self._hear(reader, writer))
        try:
            if not wire.is_owner(writer.get_extra_info("socket")):
                log.error("the control socket belongs to another user: not reporting to it")
                return
            writer.write(wire.framed(Hello(self._name, os.getpid())))
            while not hearing.done() and not ending.done():
                writer.write(wire.framed(ReportMessage(self._report())))
                if writer.transport.get_write_buffer_size() > UNSENT_BYTES:
                    return
                await asyncio.wait(
                    {hearing, ending},
                    timeout=until_next_s(time.monotonic()),
                    return_when=asyncio.FIRST_COMPLETED,
                )
        except Exception:  # a task's outermost handler: an error in a report must not end the worker
            log.exception("sending the shield's report failed")
        finally:
            hearing.cancel()
            with contextlib.suppress(asyncio.CancelledError, OSError):
                await hearing
            writer.close()

    async def _hear(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (body := await wire.receive(reader)) is not None:
                message = decode_to_worker(body)
                if isinstance(message, Direct):
                    try:
                        self._direct(message.directions)
                    except ValueError as error:
                        log.error("invalid directive from watch: %s", error)
                else:
                    writer.write(wire.framed(self._look(message)))
        except (wire.BrokenMessage, msgspec.DecodeError) as error:
            log.error("unreadable message from watch: %s", error)
