"""The time of day as this process takes it: the machine's, unless that has just jumped.

A clock that was 400 days ahead for one minute made the courier delete every notification and publish the posts that
were planned for next month. So a step of more than STEP_MS between two looks is not followed at once: time goes on by
the monotonic clock, and the step is followed when it has stood for a while: a small one after ten minutes (the
machine was asleep, or NTP set it right), one of more than a day after a day.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from threading import Lock

log = logging.getLogger(__name__)

STEP_MS = 10_000
"""NTP moves a clock by less than this without a step, and a process is rarely stopped for longer."""
DAY_MS = 86_400_000
SMALL_STEP_HELD_MS = 10 * 60 * 1000
LARGE_STEP_HELD_MS = DAY_MS


class SteadyClock:
    """See the module. `wall_ms` and `steady_ms` are the machine's two clocks, in milliseconds."""

    def __init__(self, wall_ms: Callable[[], int], steady_ms: Callable[[], int]) -> None:
        self._wall_ms = wall_ms
        self._steady_ms = steady_ms
        self._lock = Lock()
        self._offset_ms = wall_ms() - steady_ms()
        # The step that is not followed yet, and since when it stands.
        self._step_ms = 0
        self._since_ms = 0

    @property
    def step_ms(self) -> int:
        """How far the machine's clock has jumped and is not followed; 0 when it is trusted."""
        return self._step_ms

    def now_ms(self) -> int:
        """Return milliseconds since 1970."""
        steady_ms = self._steady_ms()
        wall_ms = self._wall_ms()
        step_ms = wall_ms - steady_ms - self._offset_ms
        if -STEP_MS <= step_ms <= STEP_MS and not self._step_ms:
            self._offset_ms += step_ms
            return wall_ms
        with self._lock:
            return self._after_step(wall_ms, steady_ms)

    def _after_step(self, wall_ms: int, steady_ms: int) -> int:
        step_ms = wall_ms - steady_ms - self._offset_ms
        if abs(step_ms) <= STEP_MS:
            log.warning("the machine's clock is back where it was expected")
            self._follow(step_ms)
            return wall_ms
        if abs(step_ms - self._step_ms) > STEP_MS:
            self._step_ms, self._since_ms = step_ms, steady_ms
            log.error(
                "the machine's clock jumped by %d s; going on without it. Set it right (NTP), or restart to take it",
                step_ms // 1000,
            )
        held_ms = SMALL_STEP_HELD_MS if abs(step_ms) <= DAY_MS else LARGE_STEP_HELD_MS
        if steady_ms - self._since_ms < held_ms:
            return steady_ms + self._offset_ms
        log.error(
            "the machine's clock has stood at its new time for %d s and is followed now", held_ms // 1000
        )
        self._follow(step_ms)
        return wall_ms

    def _follow(self, step_ms: int) -> None:
        self._offset_ms += step_ms
        self._step_ms = self._since_ms = 0


def _boot_ms() -> int:
    # Unlike the monotonic clock it goes on while the machine sleeps.
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000


CLOCK = SteadyClock(lambda: time.time_ns() // 1_000_000, _boot_ms)
"""This process's; after a fork it is each one's own."""


def now_ms() -> int:
    """Return milliseconds since 1970, by CLOCK."""
    return CLOCK.now_ms()


def now_s() -> float:
    """Return seconds since 1970, by CLOCK."""
    return CLOCK.now_ms() / 1000
