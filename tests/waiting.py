"""Waits for what a server does on its own."""

import time
from collections.abc import Callable
from typing import Any

# Long, for a machine that does much else; a wait ends with its condition, so it costs time only in a failure.
PATIENCE_S = 30.0
LOOK_EVERY_S = 0.01


def eventually(
    get: Callable[[], Any], is_so: Callable[[Any], Any] = bool, within_s: float = PATIENCE_S
) -> Any:
    """Return the first value of `get()` for which `is_so` holds.

    Raises AssertionError with the last value when `within_s` seconds have passed.
    """
    deadline_s = time.monotonic() + within_s
    while not is_so(value := get()):
        assert time.monotonic() < deadline_s, value
        time.sleep(LOOK_EVERY_S)
    return value
