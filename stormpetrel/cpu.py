"""CPU time of one piece of work, across the awaits of a coroutine and the threads that work for it.

Time in a slot says who waited, not who cost: while one request holds the loop, every other one gets older. So the
shield charges CPU time, measured around each step of a request's coroutine (0.5 µs for each step).
"""

from __future__ import annotations

import time
from collections.abc import Coroutine
from contextvars import ContextVar
from typing import Any

_now_s = time.thread_time


class CpuMeter(Coroutine[Any, Any, None]):
    """A coroutine whose steps are measured: give it to `loop.create_task` in the place of `inner`."""

    __slots__ = ("_done_s", "_inner", "_step_s")

    def __init__(self, inner: Coroutine[Any, Any, None]) -> None:
        self._inner = inner
        self._done_s = 0.0
        # When the present step began, by this thread's clock; negative between two steps.
        self._step_s = -1.0

    @property
    def cpu_s(self) -> float:
        """The CPU time used so far, in seconds, that of a step under way included."""
        return self._done_s + (_now_s() - self._step_s if self._step_s >= 0.0 else 0.0)

    def add(self, cpu_s: float) -> None:
        """Add what another thread has worked for this coroutine."""
        self._done_s += cpu_s

    def send(self, value: Any) -> Any:
        """Run one step."""
        self._step_s = began_s = _now_s()
        if not self._done_s:
            current_meter.set(self)  # the task's context keeps it
        try:
            return self._inner.send(value)
        finally:
            self._done_s += _now_s() - began_s
            self._step_s = -1.0

    def throw(self, *args: Any) -> Any:
        """Run one step that begins with an exception."""
        self._step_s = began_s = _now_s()
        try:
            return self._inner.throw(*args)
        finally:
            self._done_s += _now_s() - began_s
            self._step_s = -1.0

    def close(self) -> None:
        """End the coroutine before it is done."""
        self._inner.close()

    def __await__(self) -> Any:
        return self._inner.__await__()


current_meter: ContextVar[CpuMeter | None] = ContextVar("current_meter", default=None)
"""The meter of the request that runs now; None outside of one."""
