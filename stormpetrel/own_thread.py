"""Runs work that may block for long in a separate daemon thread, which ends with the process.

An executor has only a few threads, and the interpreter waits for them at exit.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def in_own_thread(work: Callable[[], T]) -> asyncio.Future[T]:
    """Return the result of `work`, run in a new thread. Callers bound the number; none can be cancelled."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def tell(result: T | None, error: BaseException | None) -> None:
        if done.done():
            return
        if error is None:
            done.set_result(result)  # type: ignore[arg-type]  # without an error it is a T
        else:
            done.set_exception(error)

    def body() -> None:
        result: T | None = None
        failure: BaseException | None = None
        try:
            result = work()
        except BaseException as error:  # passed on, whatever it is
            failure = error
        # If the loop has ended, no caller waits.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(tell, result, failure)

    threading.Thread(target=body, name="waits", daemon=True).start()
    return done
