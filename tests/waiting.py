"""Wait for actions that a server takes on its own."""

import time
from collections.abc import Callable
from typing import Any

# Long enough for a busy machine. A wait ends with its condition, so this costs time only in a failure.
PATIENCE_S = 30.0
LOOK_EVERY_S = 0.01


def eventually(
    get: Callable[[], Any], is_so: Callable[[Any], Any] = bool, within_s: float = PATIENCE_S
) -> Any:
    """Return the first value of `get()` for which `is_so` holds.

    Raise AssertionError with the last value after `within_s` seconds.
    """
    deadline_s = time.monotonic() + within_s
    while not is_so(value := get()):
        assert time.monotonic() < deadline_s, value
        time.sleep(LOOK_EVERY_S)
    return value
