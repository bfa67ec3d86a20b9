"""The calls of one group of a writer, in their order: which come next, alone or together."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from stormpetrel.model.event import Event
from stormpetrel.storage.engine.calls import Outcome, WriteCall
from stormpetrel.storage.engine.together import APART, Apart, Several, several_of

GROUP_CALLS = 128
"""Maximum of calls in one group: on SQLite it bounds how long another process's writer waits for the lock."""
GROUP_S = 0.05
"""Maximum time that a group spends on calls before it commits."""


class NextCall(Protocol):
    """Returns the next write; None if there is none and `wait` is off, or if the store closes."""

    def __call__(self, *, wait: bool) -> WriteCall | None: ...


class CallGroup:
    """A group that begins with `first`, and takes further calls while they wait, up to GROUP_CALLS in GROUP_S.

    `is_waiting` returns how many calls wait; `put_back` adds calls to them again, at their old places.
    """

    __slots__ = ("_count", "_end_at_s", "_is_waiting", "_next_call", "_put_back", "_taken")

    def __init__(
        self,
        first: WriteCall,
        *,
        next_call: NextCall,
        is_waiting: Callable[[], int],
        put_back: Callable[[Sequence[WriteCall]], None],
    ) -> None:
        self._next_call = next_call
        self._is_waiting = is_waiting
        self._put_back = put_back
        self._end_at_s = time.monotonic() + GROUP_S
        self._count = 1
        # Taken from the queue and not run yet: the next call.
        self._taken: WriteCall | None = first

    @property
    def has_more(self) -> bool:
        """Return True if `take` will give another call, unless that one is not wanted any more."""
        if self._taken is not None:
            return True
        return self._may_grow() and self._is_waiting() > 0

    def take(self) -> list[WriteCall]:
        """Return the next call with those behind it that can run in its transaction; [] at the end of the group."""
        call = self._take_one()
        if call is None:
            return []
        calls = [call]
        several = _several_with(call)
        if several is None:
            return calls
        while (other := self._take_one()) is not None:
            if _several_with(other) is not several:
                self._taken = other
                break
            calls.append(other)
        return calls

    def put_apart(self, calls: Sequence[WriteCall]) -> None:
        """Let these calls wait again, each to be taken alone.

        Those that the group cannot take any more are left to the next one: each may wait for a lock, and the calls
        that were done are answered when the group ends.
        """
        for call in calls:
            call.is_apart = True
        # The call behind them must not overtake them.
        behind, self._taken = self._taken, None
        self._put_back([*calls, behind] if behind is not None else calls)

    def _take_one(self) -> WriteCall | None:
        call, self._taken = self._taken, None
        if call is None and self._may_grow():
            call = self._next_call(wait=False)
            self._count += call is not None
        return call

    def _may_grow(self) -> bool:
        return self._count < GROUP_CALLS and time.monotonic() < self._end_at_s


def answers_of(
    calls: Sequence[WriteCall], results: Sequence[Any | Apart], events: list[Event]
) -> tuple[list[Outcome], list[WriteCall]]:
    """Return the answers of calls that were done together, and the calls that were not done.

    All events are the first answer's, so that they are published before it.
    """
    answers: list[Outcome] = []
    apart: list[WriteCall] = []
    for call, result in zip(calls, results, strict=True):
        if result is APART:
            apart.append(call)
        else:
            answers.append((call.future, result, None, [] if answers else events))
    return answers, apart


def _several_with(call: WriteCall) -> Several[Any] | None:
    """Return the function that can do this call with others; None if it must be alone."""
    return None if call.is_apart or call.args else several_of(call.fn)
