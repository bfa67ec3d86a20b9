"""Work that may hang for long: in a thread of its own, which takes no place from others and ends with the process.

An executor's threads are few, and the interpreter waits for them at its end.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def in_own_thread(work: Callable[[], T]) -> asyncio.Future[T]:
    """What `work` gives. How many there are at once, the caller bounds; who stops waiting does not end it."""
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
        except BaseException as error:  # handed over, whatever it is
            failure = error
        # The loop may have ended: then nobody waits.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(tell, result, failure)

    threading.Thread(target=body, name="waits", daemon=True).start()
    return done
