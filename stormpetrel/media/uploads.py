"""One web worker's uploads: limited per account, spooled to disk, decoded in separate processes, stored.

The event loop only waits. Files are copied and processes awaited in threads of this module, so that a store
or a decoder that hangs blocks no other threads.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, ParamSpec, TypeVar

from stormpetrel.config import Config
from stormpetrel.errors import Busy, TooMany
from stormpetrel.media.decoding import Decoding
from stormpetrel.media.guarded_store import GuardedStore
from stormpetrel.media.job import DecodeResult, Purpose
from stormpetrel.media.spool import UPLOAD, Spool, copy
from stormpetrel.media.store import MediaStore
from stormpetrel.model.media import Decoded

P = ParamSpec("P")
T = TypeVar("T")

DECODERS = 1
"""Per worker: a machine of two cores then decodes two files at most, both niced."""
DECODERS_WAITING = 16
_THREADS = 4


class PerAccountLimit:
    """A limit of concurrent uploads per account."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._by_account: dict[int, int] = {}

    @contextmanager
    def one(self, account_id: int) -> Iterator[None]:
        """Take one of the account's turns for the duration of the context. Raise TooMany."""
        held = self._by_account.get(account_id, 0)
        if held >= self._most:
            raise TooMany("Too many uploads at once; wait until one is done", retry_after_s=2)
        self._by_account[account_id] = held + 1
        try:
            yield
        finally:
            left = self._by_account[account_id] - 1
            if left:
                self._by_account[account_id] = left
            else:
                del self._by_account[account_id]


class Uploads:
    """Handles the uploads of one worker.

    `arriving`: uploads whose bodies are still being read, which take disk space.
    """

    def __init__(self, config: Config, store: MediaStore) -> None:
        self.store = store
        self.spool = Spool(config)
        self._keeper = GuardedStore(store)
        self._media = config.media
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="media")
        self._decoder = asyncio.Semaphore(DECODERS)
        self._waiting = 0
        self._turns = PerAccountLimit(config.media.uploads_per_account)
        self.arriving = PerAccountLimit(config.media.uploads_per_account)

    def check(self) -> None:
        """Raise Busy if it is known that files cannot be stored now."""
        self._keeper.check()

    @contextmanager
    def place_for(self, account_id: int) -> Iterator[Path]:
        """Create a directory for one upload of the account, and delete it afterwards. Raise TooMany, Busy."""
        with self._turns.one(account_id):
            directory = self.spool.new_place()
            try:
                yield directory
            finally:
                shutil.rmtree(directory, ignore_errors=True)

    async def write_down(self, source: IO[bytes], directory: Path, name: str = UPLOAD) -> None:
        """Copy an upload into its directory. Raise Busy when there is no room."""
        await self.in_thread(copy, source, directory / name)

    async def decode(
        self, directory: Path, purpose: Purpose = "attachment", *, within_s: float | None = None
    ) -> Decoded | None:
        """Decode the upload in the directory and store the result; return None if it
        takes longer than `within_s`.

        Raise Invalid for a file that is refused, Busy.
        """
        self.check()
        answer = await self._answer(Decoding(directory, self._media, purpose), within_s)
        return None if answer is None else await self._keeper.keep(directory, answer)

    async def _answer(self, decoding: Decoding, within_s: float | None) -> DecodeResult | None:
        ends_at_s = None if within_s is None else asyncio.get_running_loop().time() + within_s
        is_full = self._waiting >= DECODERS_WAITING
        if within_s is not None and (is_full or within_s <= 0):
            return None
        if is_full:
            raise Busy(
                "Many files are being processed; nothing was stored. Please try again", retry_after_s=5
            )
        self._waiting += 1
        try:
            try:
                async with asyncio.timeout_at(ends_at_s):
                    await self._decoder.acquire()
            except TimeoutError:
                return None
            try:
                running = asyncio.ensure_future(self.in_thread(decoding.run))
                left_s = (
                    None if ends_at_s is None else max(0.0, ends_at_s - asyncio.get_running_loop().time())
                )
                try:
                    await asyncio.wait({running}, timeout=left_s)
                finally:
                    decoding.end()
                # It may have finished at the last moment.
                return await running
            finally:
                self._decoder.release()
        finally:
            self._waiting -= 1

    async def forget(self, decoded: Decoded) -> None:
        """Delete a result that turned out not to be needed."""
        await self._keeper.forget(decoded)

    async def in_thread(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `fn` in one of the threads for files and return its result."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, partial(fn, *args, **kwargs))

    def close(self) -> None:
        """Close without waiting: work in progress ends with the process."""
        self._threads.shutdown(wait=False, cancel_futures=True)
