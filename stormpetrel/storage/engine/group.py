"""The calls of one group of the PostgreSQL writer, in their order: which come next, alone or together."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Protocol

from stormpetrel.storage.engine.calls import WriteCall
from stormpetrel.storage.engine.together import several_of

GROUP_CALLS = 128
"""Maximum of calls in one group: on SQLite it bounds how long another process's writer waits for the lock."""
GROUP_S = 0.05
"""Maximum time that a group spends on calls before it commits."""


class NextCall(Protocol):
    """Returns the next write; None if there is none and `wait` is off, or if the store closes."""

    def __call__(self, *, wait: bool) -> WriteCall | None: ...


class CallGroup:
    """A group that begins with `first`, and takes further calls while they wait, up to GROUP_CALLS in GROUP_S.

    `is_waiting` returns how many calls wait.
    """

    __slots__ = ("_alone", "_count", "_end_at_s", "_is_waiting", "_next_call", "_taken")

    def __init__(self, first: WriteCall, *, next_call: NextCall, is_waiting: Callable[[], int]) -> None:
        self._next_call = next_call
        self._is_waiting = is_waiting
        self._end_at_s = time.monotonic() + GROUP_S
        self._count = 1
        # Taken from the queue and not run yet: the next call, and calls that must not run with others.
        self._taken: WriteCall | None = first
        self._alone: deque[WriteCall] = deque()

    @property
    def has_more(self) -> bool:
        """Return True if `take` will give another call, unless that one is not wanted any more."""
        if self._alone or self._taken is not None:
            return True
        return self._may_grow() and self._is_waiting() > 0

    def take(self) -> list[WriteCall]:
        """Return the next call with those behind it that can run in its transaction; [] at the end of the group."""
        if self._alone:
            return [self._alone.popleft()]
        call = self._take_one()
        if call is None:
            return []
        calls = [call]
        several = several_of(call.fn)
        if several is None or call.args:
            return calls
        while (other := self._take_one()) is not None:
            if several_of(other.fn) is not several or other.args:
                self._taken = other
                break
            calls.append(other)
        return calls

    def put_apart(self, calls: Iterable[WriteCall]) -> None:
        """Have `take` give these calls next, each alone."""
        self._alone.extend(calls)

    def _take_one(self) -> WriteCall | None:
        call, self._taken = self._taken, None
        if call is None and self._may_grow():
            call = self._next_call(wait=False)
            self._count += call is not None
        return call

    def _may_grow(self) -> bool:
        return self._count < GROUP_CALLS and time.monotonic() < self._end_at_s
