"""The sms role tells the watch each second how many texts came from numbers without an account."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path

from stormpetrel.control import wire
from stormpetrel.control.messages import TextCounts

REPORT_EVERY_S = 1.0


async def report_texts(strangers: Callable[[], int], data_dir: Path, stop: asyncio.Event) -> None:
    """Report until `stop` is set. `strangers`: returns how many came since the start; without new ones, say nothing.

    Without a watch the counts are lost: they are for the present only.
    """
    told = strangers()
    while not stop.is_set():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), REPORT_EVERY_S)
        now = strangers()
        if now > told:
            with contextlib.suppress(OSError):
                await _send(TextCounts(now - told), data_dir)
        told = now


async def _send(message: TextCounts, data_dir: Path) -> None:
    with wire.short_path(data_dir) as path:
        _, writer = await asyncio.open_unix_connection(path)
    try:
        if wire.is_owner(writer.get_extra_info("socket")):
            writer.write(wire.framed(message))
            await writer.drain()
    finally:
        writer.close()
