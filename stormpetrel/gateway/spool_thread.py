"""The spool in a thread of its own: calls that wait at the same time are one durable commit."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from stormpetrel.gateway.provider import NotStored
from stormpetrel.storage.sms_spool.file import ROLE_BUSY_S, SpoolCall, SpoolDb, SpoolFailed, SpoolFile

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

GROUP_CALLS = 512
MAX_WAITING = 20_000
"""Calls that may wait for a commit; more are refused with NotStored, and the carrier keeps its messages."""
RETRY_OPEN_S = 1.0

_Call = tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any], asyncio.Future[Any]]
_Done = tuple[asyncio.Future[Any], Any, BaseException | None]


class SpoolThread:
    """Runs functions `fn(db, …)` on the spool, each in a savepoint, in the order of the calls.

    After a commit that failed, the file is opened again. `on_open` is called in the thread then, and at first: it
    reads again the facts that functions keep in memory.
    """

    def __init__(self, directory: Path, *, on_open: Callable[[SpoolDb], None]) -> None:
        self._directory = directory
        self._on_open = on_open
        self._calls: deque[_Call] = deque()
        self._ready = threading.Condition()
        self._is_closing = False
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, name="spool", daemon=True)
        self._thread.start()

    async def call(self, fn: Callable[Concatenate[SpoolDb, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Return the result of `fn(db, …)` after its commit. Raise NotStored if nothing was stored."""
        future: asyncio.Future[T] = self._loop.create_future()
        with self._ready:
            if self._is_closing or len(self._calls) >= MAX_WAITING:
                raise NotStored
            self._calls.append((fn, args, kwargs, future))
            self._ready.notify()
        return await future

    async def close(self) -> None:
        """Commit waiting calls, and close the file."""
        with self._ready:
            self._is_closing = True
            self._ready.notify()
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        spool: SpoolFile | None = None
        while True:
            with self._ready:
                while not self._calls and not self._is_closing:
                    self._ready.wait()
                calls = [self._calls.popleft() for _ in range(min(GROUP_CALLS, len(self._calls)))]
            if not calls:
                break
            try:
                spool = spool or self._open()
            except SpoolFailed as error:
                self._answer([(future, None, NotStored(str(error))) for *_, future in calls])
                time.sleep(RETRY_OPEN_S)
                continue
            try:
                results = spool.run([_bound(fn, args, kwargs) for fn, args, kwargs, _ in calls])
            except SpoolFailed as error:
                spool.close()
                spool = None
                self._answer([(future, None, NotStored(str(error))) for *_, future in calls])
            else:
                self._answer([(future, *result) for (*_, future), result in zip(calls, results, strict=True)])
        if spool is not None:
            spool.close()

    def _open(self) -> SpoolFile:
        spool = SpoolFile(self._directory, busy_s=ROLE_BUSY_S)
        try:
            ((_, error),) = spool.run([self._on_open])
        except SpoolFailed:
            spool.close()
            raise
        if error is not None:
            log.error("not all facts of the spool could be read", exc_info=error)
        return spool

    def _answer(self, done: list[_Done]) -> None:
        try:
            self._loop.call_soon_threadsafe(_resolve, done)
        except RuntimeError:
            return  # the loop has ended: no caller waits


def _bound(fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> SpoolCall:
    return lambda db: fn(db, *args, **kwargs)


def _resolve(done: list[_Done]) -> None:
    for future, result, error in done:
        if future.done():
            continue
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)
