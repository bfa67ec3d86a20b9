"""A process that counts visitors reports them to the watch each second, and learns the periods to count in.

Without a watch it goes on counting until its periods end. Nothing here can delay a request or end the process.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from stormpetrel import clock
from stormpetrel.audience.counter import KEY_BYTES, VisitorCounter
from stormpetrel.audience.periods import period_named
from stormpetrel.control import wire
from stormpetrel.control.messages import AudienceHello, AudienceNews, decode_audience_periods
from stormpetrel.storage.audience_folder import AudienceFolder

REPORT_EVERY_S = 1.0
UNSENT_BYTES = 4 * 1024 * 1024
"""The connection to a watch is closed when this much waits unread."""

log = logging.getLogger(__name__)


class AudienceLink:
    """Reports for one counter until `stop` is set. `on_period`: called when a period has begun or ended."""

    def __init__(
        self,
        counter: VisitorCounter,
        *,
        name: str,
        data_dir: Path,
        on_period: Callable[[], None] = lambda: None,
    ) -> None:
        self._counter = counter
        self._name = name
        self._data_dir = data_dir
        self._folder = AudienceFolder(data_dir)
        self._on_period = on_period

    async def run(self, stop: asyncio.Event) -> None:
        """Run until `stop` is set; the last counts are reported then."""
        ending: asyncio.Future[Any] = asyncio.ensure_future(stop.wait())
        pauses_s = wire.retry_pauses_s()
        try:
            while not stop.is_set():
                with contextlib.suppress(OSError):
                    await self._talk(ending)
                self._tick()
                if not stop.is_set():
                    await asyncio.wait({ending}, timeout=next(pauses_s))
        finally:
            ending.cancel()

    async def _talk(self, ending: asyncio.Future[Any]) -> None:
        """Run one connection until it ends. Raise OSError if there is no watch."""
        with wire.short_path(self._data_dir) as path:
            reader, writer = await asyncio.open_unix_connection(path)
        hearing: asyncio.Future[Any] = asyncio.ensure_future(self._hear(reader))
        try:
            if not wire.is_owner(writer.get_extra_info("socket")):
                return
            writer.write(wire.framed(AudienceHello(self._name)))
            # The watch may have been restarted, with the state of some seconds ago.
            self._counter.repeat()
            while not hearing.done():
                is_last = ending.done()
                self._tick()
                if news := self._counter.take():
                    writer.write(wire.framed(AudienceNews(news.updates, news.counts, news.announced)))
                if is_last or writer.transport.get_write_buffer_size() > UNSENT_BYTES:
                    return
                await asyncio.wait(
                    {hearing, ending}, timeout=REPORT_EVERY_S, return_when=asyncio.FIRST_COMPLETED
                )
        except Exception:  # a task's outermost handler: an error in counting must not end the process
            log.exception("reporting the audience failed")
        finally:
            hearing.cancel()
            with contextlib.suppress(asyncio.CancelledError, OSError):
                await hearing
            writer.close()

    def _tick(self) -> None:
        if self._counter.tick(clock.now_s()):
            self._on_period()

    async def _hear(self, reader: asyncio.StreamReader) -> None:
        try:
            while (body := await wire.receive(reader)) is not None:
                for name in decode_audience_periods(body).names:
                    if not self._counter.knows(name):
                        self._begin(name)
                self._tick()
        except (wire.BrokenMessage, msgspec.DecodeError, ValueError) as error:
            log.error("unreadable message from watch about the audience: %s", error)

    def _begin(self, name: str) -> None:
        key = bytearray(KEY_BYTES)
        try:
            if self._folder.read_key(name, key):
                self._counter.begin(period_named(name), key)
        except OSError as error:
            log.error("the key of %s cannot be read; its visitors are not counted: %s", name, error)
