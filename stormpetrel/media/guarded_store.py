"""Stores decoded files, so that a store that hangs or is unreachable delays nothing else."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from stormpetrel.errors import Busy
from stormpetrel.media.job import DecodeResult
from stormpetrel.media.store import SILENT, MediaStore, StoreAway, new_key
from stormpetrel.model.media import Decoded
from stormpetrel.own_thread import in_own_thread

log = logging.getLogger(__name__)

AT_ONCE = 4
"""Limit of concurrent writes to the store per process; a write that hangs uses up one."""
LONGEST_S = 15.0
SLOWEST_BYTES_PER_S = 500_000
"""The timeout of a write: LONGEST_S, plus one second for each SLOWEST_BYTES_PER_S bytes."""
PAUSE_S = 10.0
"""How long uploads are refused at once after the store did not answer, before they use resources."""


class GuardedStore:
    """One process's access to the store."""

    def __init__(self, store: MediaStore, *, clock_s: Callable[[], float] = time.monotonic) -> None:
        self.store = store
        self._clock_s = clock_s
        self._under_way = 0
        self._away_until_s = -math.inf

    def check(self) -> None:
        """Raise StoreAway while the store is known not to answer."""
        left_s = self._away_until_s - self._clock_s()
        if left_s > 0:
            raise StoreAway(SILENT, retry_after_s=math.ceil(left_s))

    async def keep(self, place: Path, answer: DecodeResult) -> Decoded:
        """Store the decoder's files. Raise Busy; then none is stored."""
        self.check()
        if self._under_way >= AT_ONCE:
            raise StoreAway(SILENT, retry_after_s=5)
        size_bytes = sum((place / name).stat().st_size for name in (answer.main, answer.preview) if name)
        self._under_way += 1
        kept = in_own_thread(lambda: _keep(self.store, place, answer))
        kept.add_done_callback(self._left)
        try:
            await asyncio.wait({kept}, timeout=LONGEST_S + size_bytes / SLOWEST_BYTES_PER_S)
            if not kept.done():
                raise StoreAway(SILENT)
            return kept.result()
        except StoreAway:
            self._away_until_s = self._clock_s() + PAUSE_S
            raise
        finally:
            if not kept.done():
                # The caller no longer waits: delete the files if they are stored after all.
                kept.add_done_callback(self._too_late)

    def _left(self, kept: asyncio.Future[Decoded]) -> None:
        self._under_way -= 1

    def _too_late(self, kept: asyncio.Future[Decoded]) -> None:
        if not kept.cancelled() and kept.exception() is None:
            decoded = kept.result()
            in_own_thread(lambda: delete(self.store, keys_of(decoded)))

    async def forget(self, decoded: Decoded) -> None:
        """Delete stored files that turned out not to be needed."""
        await in_own_thread(lambda: delete(self.store, keys_of(decoded)))


def keys_of(decoded: Decoded) -> list[str]:
    """Return the keys of its files."""
    return [key for key in (decoded.key, decoded.preview_key) if key]


def delete(store: MediaStore, keys: Sequence[str]) -> None:
    """Delete files without a row; if that fails now, the sweep finds them tomorrow."""
    try:
        store.delete(keys)
    except Busy:
        log.warning("a file that belongs to nothing was left in the store")


def _keep(store: MediaStore, place: Path, answer: DecodeResult) -> Decoded:
    keys: dict[str, str] = {}
    try:
        for name in dict.fromkeys((answer.main, answer.preview)):
            if name:
                key = new_key(name.rpartition(".")[2])
                store.put(place / name, key)
                keys[name] = key
    except Busy:
        # The files stored so far have no row, and would stay until tomorrow's sweep.
        delete(store, list(keys.values()))
        raise
    return Decoded(
        kind=answer.kind,
        key=keys.get(answer.main, ""),
        preview_key=keys.get(answer.preview, ""),
        width=answer.width,
        height=answer.height,
        preview_width=answer.preview_width,
        preview_height=answer.preview_height,
        duration_ms=answer.duration_ms,
        bit_rate=answer.bit_rate,
        frame_rate=answer.frame_rate,
        blurhash=answer.blurhash,
    )
