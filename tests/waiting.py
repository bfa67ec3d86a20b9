"""Wait for actions that a server takes on its own."""

import time
from collections.abc import Callable
from typing import Any

# Long enough for a busy machine. A wait ends with its condition, so this costs time only in a failure.
PATIENCE_S = 30.0
LOOK_EVERY_S, LOOK_AT_LEAST_EVERY_S = 0.01, 0.1
"""The pause between looks: a tenth of the wait so far, within these limits. Most looks are requests, and a hundred
each second took much of the CPU time that the server needed for what the test waits for."""


def eventually(
    get: Callable[[], Any], is_so: Callable[[Any], Any] = bool, within_s: float = PATIENCE_S
) -> Any:
    """Return the first value of `get()` for which `is_so` holds.

    Raise AssertionError with the last value after `within_s` seconds.
    """
    begun_at_s = time.monotonic()
    while not is_so(value := get()):
        waited_s = time.monotonic() - begun_at_s
        assert waited_s < within_s, value
        time.sleep(min(max(LOOK_EVERY_S, waited_s / 10), LOOK_AT_LEAST_EVERY_S))
    return value
