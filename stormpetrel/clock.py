"""The time of day for this process: the machine's clock, unless it has just jumped.

A clock that was 400 days ahead for one minute made the courier delete every notification and publish posts
that were scheduled for the next month. So a step of more than STEP_MS between two readings is not followed at
once: time continues by the monotonic clock, and the step is followed once it has lasted: a small one after
ten minutes (the machine was asleep, or NTP corrected it), one of more than a day after a day.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from functools import partial
from threading import Lock

log = logging.getLogger(__name__)

LOOK_MS = 20
"""How long only the steady clock is read between two readings of the machine's time of day."""
STEP_MS = 10_000
"""NTP moves a clock by less than this without a step, and a process is rarely stopped for longer."""
DAY_MS = 86_400_000
NS = 1_000_000
"""Nanoseconds in a millisecond."""
SMALL_STEP_HELD_MS = 10 * 60 * 1000
LARGE_STEP_HELD_MS = DAY_MS


class SteadyClock:
    """See the module. `wall_ns` and `steady_ns` return the machine's two clocks, in nanoseconds."""

    def __init__(self, wall_ns: Callable[[], int], steady_ns: Callable[[], int]) -> None:
        self._wall_ns = wall_ns
        self._steady_ns = steady_ns
        self._lock = Lock()
        self._offset_ns = wall_ns() - steady_ns()
        # The step that is not followed yet, and since when it has lasted.
        self._step_ns = 0
        self._since_ns = 0
        # The offset is valid until this time of the steady clock.
        self._look_ns = 0

    @property
    def step_ms(self) -> int:
        """Return the jump of the machine's clock that is not followed, in milliseconds; 0 if the clock is trusted."""
        return self._step_ns // NS

    def now_ms(self) -> int:
        """Return milliseconds since 1970."""
        steady_ns = self._steady_ns()
        if steady_ns < self._look_ns:
            return (steady_ns + self._offset_ns) // NS
        wall_ns = self._wall_ns()
        step_ns = wall_ns - steady_ns - self._offset_ns
        if -STEP_MS * NS <= step_ns <= STEP_MS * NS and not self._step_ns:
            self._offset_ns += step_ns
            self._look_ns = steady_ns + LOOK_MS * NS
            return wall_ns // NS
        with self._lock:
            return self._after_step(wall_ns, steady_ns) // NS

    def _after_step(self, wall_ns: int, steady_ns: int) -> int:
        step_ns = wall_ns - steady_ns - self._offset_ns
        if abs(step_ns) <= STEP_MS * NS:
            log.warning("the system clock is back at the expected time")
            self._follow(step_ns)
            return wall_ns
        if abs(step_ns - self._step_ns) > STEP_MS * NS:
            self._step_ns, self._since_ns = step_ns, steady_ns
            log.error(
                "the system clock jumped by %d s and is ignored for now; correct it (NTP), or restart to accept it",
                step_ns // 1_000_000_000,
            )
        held_ms = SMALL_STEP_HELD_MS if abs(step_ns) <= DAY_MS * NS else LARGE_STEP_HELD_MS
        if steady_ns - self._since_ns < held_ms * NS:
            return steady_ns + self._offset_ns
        log.error("the system clock has kept its new time for %d s and is followed now", held_ms // 1000)
        self._follow(step_ns)
        return wall_ns

    def _follow(self, step_ns: int) -> None:
        self._offset_ns += step_ns
        self._step_ns = self._since_ns = 0


# Unlike CLOCK_MONOTONIC, this clock continues while the machine sleeps.
CLOCK = SteadyClock(time.time_ns, partial(time.clock_gettime_ns, time.CLOCK_BOOTTIME))
"""This process's clock; after a fork each process has its own."""


now_ms = CLOCK.now_ms
"""Returns milliseconds since 1970, by CLOCK."""


def now_s() -> float:
    """Return seconds since 1970, by CLOCK."""
    return CLOCK.now_ms() / 1000
