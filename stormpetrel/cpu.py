"""CPU time of a request, across the awaits of its coroutine and the threads that work for it.

Time in a slot measures waiting, not cost: while one request blocks the loop, all others grow older too. So
the shield charges CPU time, measured around each step of a request's coroutine.
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
    """Measures the CPU time of an event loop's steps, and adds it up; one per loop, read in its thread.

    A thread's CPU time is read by a system call (0.3 to 4 µs, depending on the machine), the wall clock
    without one (0.05 µs). A short step is charged wall time. A longer step is charged CPU time since a
    reading that is at most SHORT_S older than the step. So a step that had to wait for a core is charged at
    most SHORT_S too much.
    """

    __slots__ = ("_read_s", "_read_thread_s", "total_s")

    def __init__(self) -> None:
        # Of all meters of this clock since `take`, of requests that are not finished too.
        self.total_s = 0.0
        # The time of the last reading of this thread's CPU time, and its value.
        self._read_s = float("-inf")
        self._read_thread_s = 0.0

    def begin(self) -> float:
        """Return the step's start for `used`, in seconds of an arbitrary origin."""
        now_s = _wall_s()
        if now_s - self._read_s > SHORT_S:
            self._read_s = now_s
            self._read_thread_s = _thread_s()
        return now_s

    def used(self, began_s: float) -> float:
        """Return the CPU time, in seconds, of the step that began at `began_s`; only for the latest step."""
        wall_s = _wall_s() - began_s
        return wall_s if wall_s <= SHORT_S else self._used_s(wall_s)

    def end(self, began_s: float) -> float:
        """End the latest step, which began at `began_s`: return its CPU time in seconds, and add it to the total."""
        # As `used`, without another call: this is done for each step of each request.
        wall_s = _wall_s() - began_s
        used_s = wall_s if wall_s <= SHORT_S else self._used_s(wall_s)
        self.total_s += used_s
        return used_s

    def _used_s(self, wall_s: float) -> float:
        return min(wall_s, _thread_s() - self._read_thread_s)

    def take(self) -> float:
        """Return the CPU time, in seconds, of all requests since the last call, in finished steps."""
        total_s, self.total_s = self.total_s, 0.0
        return total_s


class CpuMeter(Coroutine[Any, Any, None]):
    """A coroutine whose steps are measured: pass it to `loop.create_task` instead of `inner`."""

    __slots__ = ("_clock", "_done_s", "_inner", "_step_s")

    def __init__(self, inner: Coroutine[Any, Any, None], clock: StepClock) -> None:
        self._inner = inner
        self._clock = clock
        self._done_s = 0.0
        # When the current step began; None between two steps.
        self._step_s: float | None = None

    @property
    def cpu_s(self) -> float:
        """Return the CPU time used so far, in seconds, including a running step."""
        return self._done_s if self._step_s is None else self._done_s + self._clock.used(self._step_s)

    def add(self, cpu_s: float) -> None:
        """Add the CPU time of another thread that worked for this coroutine."""
        self._done_s += cpu_s
        self._clock.total_s += cpu_s

    def send(self, value: Any) -> Any:
        """Run one step."""
        self._step_s = began_s = self._clock.begin()
        if not self._done_s:
            current_meter.set(self)  # the task's context keeps it
        try:
            return self._inner.send(value)
        finally:
            self._done_s += self._clock.end(began_s)
            self._step_s = None

    def throw(self, *args: Any) -> Any:
        """Run one step that begins with an exception."""
        self._step_s = began_s = self._clock.begin()
        try:
            return self._inner.throw(*args)
        finally:
            self._done_s += self._clock.end(began_s)
            self._step_s = None

    def close(self) -> None:
        """End the coroutine early."""
        self._inner.close()

    def __await__(self) -> Any:
        return self._inner.__await__()


current_meter: ContextVar[CpuMeter | None] = ContextVar("current_meter", default=None)
"""The meter of the running request; None outside of one."""
