"""CPU time of one piece of work, across the awaits of a coroutine and the threads that work for it.

Time in a slot says who waited, not who cost: while one request holds the loop, every other one gets older. So the
shield charges CPU time, measured around each step of a request's coroutine.
"""

from __future__ import annotations

import time
from collections.abc import Coroutine
from contextvars import ContextVar
from typing import Any

SHORT_S = 0.0005
"""A step up to this long is charged by the wall clock, which is read without a system call."""

_wall_s = time.perf_counter
_thread_s = time.thread_time


class StepClock:
    """How much CPU time a step of an event loop used; one for each loop, read in its thread.

    A thread's CPU time is read by a system call (0.3 to 4 µs by machine), the wall clock without one (0.05 µs). A
    short step is charged the wall's, a longer one the CPU's since a reading that is at most SHORT_S older than the
    step. So a step that had to wait for a core is charged at most SHORT_S too much.
    """

    __slots__ = ("_read_s", "_read_thread_s")

    def __init__(self) -> None:
        # When this thread's CPU time was last read, and what it was.
        self._read_s = float("-inf")
        self._read_thread_s = 0.0

    def begin(self) -> float:
        """Return when the step begins, for `used`; in seconds, of no known origin."""
        now_s = _wall_s()
        if now_s - self._read_s > SHORT_S:
            self._read_s = now_s
            self._read_thread_s = _thread_s()
        return now_s

    def used(self, began_s: float) -> float:
        """Return the CPU time, in seconds, of the step that began then: the last one that did."""
        wall_s = _wall_s() - began_s
        if wall_s <= SHORT_S:
            return wall_s
        return min(wall_s, _thread_s() - self._read_thread_s)


class CpuMeter(Coroutine[Any, Any, None]):
    """A coroutine whose steps are measured: give it to `loop.create_task` in the place of `inner`."""

    __slots__ = ("_clock", "_done_s", "_inner", "_step_s")

    def __init__(self, inner: Coroutine[Any, Any, None], clock: StepClock) -> None:
        self._inner = inner
        self._clock = clock
        self._done_s = 0.0
        # When the present step began; None between two steps.
        self._step_s: float | None = None

    @property
    def cpu_s(self) -> float:
        """The CPU time used so far, in seconds, that of a step under way included."""
        return self._done_s if self._step_s is None else self._done_s + self._clock.used(self._step_s)

    def add(self, cpu_s: float) -> None:
        """Add what another thread has worked for this coroutine."""
        self._done_s += cpu_s

    def send(self, value: Any) -> Any:
        """Run one step."""
        self._step_s = began_s = self._clock.begin()
        if not self._done_s:
            current_meter.set(self)  # the task's context keeps it
        try:
            return self._inner.send(value)
        finally:
            self._done_s += self._clock.used(began_s)
            self._step_s = None

    def throw(self, *args: Any) -> Any:
        """Run one step that begins with an exception."""
        self._step_s = began_s = self._clock.begin()
        try:
            return self._inner.throw(*args)
        finally:
            self._done_s += self._clock.used(began_s)
            self._step_s = None

    def close(self) -> None:
        """End the coroutine before it is done."""
        self._inner.close()

    def __await__(self) -> Any:
        return self._inner.__await__()


current_meter: ContextVar[CpuMeter | None] = ContextVar("current_meter", default=None)
"""The meter of the request that runs now; None outside of one."""
