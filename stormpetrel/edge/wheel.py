"""One coarse timer wheel for all deadlines of a worker: no timer per connection or request.

Time is an argument. Moving a deadline to later is one assignment (`item.deadline_s = …`): the wheel checks
the item again when its earlier slot comes round.
"""

from __future__ import annotations

import math
from typing import Generic, Protocol, TypeVar

NEVER = math.inf
_NOWHERE = -1


class Timed(Protocol):
    """An item of the wheel. `wheel_slot` belongs to the wheel; -1 when the item is not in it."""

    deadline_s: float
    wheel_slot: int

    def __hash__(self) -> int: ...


T = TypeVar("T", bound=Timed)


class TimerWheel(Generic[T]):
    """Items by the tick of their deadline. An item is in one slot at most; it is late by at most one tick.

    Memory grows with the number of armed items.
    """

    def __init__(self, *, tick_s: float, at_s: float) -> None:
        self._tick_s = tick_s
        self._slots: dict[int, set[T]] = {}
        self._turned = int(at_s / tick_s)

    def __len__(self) -> int:
        return sum(map(len, self._slots.values()))

    def arm(self, item: T, deadline_s: float) -> None:
        """Set the item's deadline, earlier or later than before."""
        item.deadline_s = deadline_s
        if deadline_s == NEVER:
            return
        slot = max(int(deadline_s / self._tick_s) + 1, self._turned + 1)
        if item.wheel_slot != _NOWHERE:
            if item.wheel_slot <= slot:
                return
            self._slots[item.wheel_slot].discard(item)
        item.wheel_slot = slot
        bucket = self._slots.get(slot)
        if bucket is None:
            self._slots[slot] = {item}
        else:
            bucket.add(item)

    def disarm(self, item: T) -> None:
        """Remove the item."""
        if item.wheel_slot != _NOWHERE:
            self._slots[item.wheel_slot].discard(item)
            item.wheel_slot = _NOWHERE

    def turn(self, at_s: float) -> list[T]:
        """Return the items whose deadline has passed; each is out of the wheel until armed again."""
        now = int(at_s / self._tick_s)
        due: list[T] = []
        late: list[T] = []
        if now - self._turned > len(self._slots):
            passed = [slot for slot in self._slots if slot <= now]
        else:
            passed = [slot for slot in range(self._turned + 1, now + 1) if slot in self._slots]
        self._turned = max(self._turned, now)
        for slot in passed:
            for item in self._slots.pop(slot):
                item.wheel_slot = _NOWHERE
                (due if item.deadline_s <= at_s else late).append(item)
        for item in late:
            self.arm(item, item.deadline_s)
        return due
