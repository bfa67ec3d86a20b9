"""The sms role reports each second to the watch how many texts came and went."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path

from stormpetrel.control import wire
from stormpetrel.control.messages import TextCounts

REPORT_EVERY_S = 1.0


async def report_texts(counts: Callable[[], TextCounts], data_dir: Path, stop: asyncio.Event) -> None:
    """Report until `stop` is set. `counts`: returns the numbers since the start; without new texts, say nothing.

    Without a watch the counts are lost: they are for the present only.
    """
    told = counts()
    while not stop.is_set():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), REPORT_EVERY_S)
        now = counts()
        if now != told:
            # A route that was taken away takes its counts with it.
            new = TextCounts(
                max(0, now.strangers - told.strangers),
                max(0, now.received - told.received),
                max(0, now.sent - told.sent),
                now.networks,
            )
            with contextlib.suppress(OSError):
                await _send(new, data_dir)
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
