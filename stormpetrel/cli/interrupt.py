"""Makes Ctrl-C work while SQLite runs one of our functions."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def ctrl_c_is_never_an_error_of_the_store() -> Iterator[None]:
    """Raise KeyboardInterrupt for each Ctrl-C inside the block, even if SQLite turned it into an error.

    SQLite calls `search_words` for each post that it stores, and reports any exception in it as "user-defined
    function raised exception". For the main thread only; if Ctrl-C is already ignored or handled, nothing
    changes.
    """
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    came = False

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal came
        came = True
        signal.default_int_handler(number, frame)

    signal.signal(signal.SIGINT, note)
    try:
        yield
    except Exception as error:
        if came:
            raise KeyboardInterrupt from error
        raise
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
