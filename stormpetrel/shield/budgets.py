"""Budgets: how much expensive work unknown clients may use together. The excess waits in the lowest class.

A budget by itself refuses no request: all are served while there is spare capacity. Known networks and all
others have a budget each, so that a flood from anywhere does not spend the known networks' budget.
"""

from __future__ import annotations

from typing import NamedTuple


class Budget(NamedTuple):
    """Requests per second in a worker, and how many may be saved up."""

    per_s: float
    burst: float


BUDGETS = {
    # An argon2id check costs 21 ms of a core: five a second are a tenth of it, in each worker.
    "sign-in": Budget(5.0, 20.0),
    "token": Budget(20.0, 60.0),
    "sign-up": Budget(1.0, 10.0),
    "write": Budget(5.0, 20.0),
    # A token that was not looked up yet: an indexed query, about 100 µs.
    "miss": Budget(100.0, 300.0),
    # Up to 500 ms in the search thread.
    "search": Budget(5.0, 20.0),
    "tag": Budget(20.0, 60.0),
    "deep": Budget(20.0, 60.0),
    "nowhere": Budget(10.0, 40.0),
    "stream": Budget(20.0, 100.0),
}


class Budgets:
    """The budgets of one worker: two buckets for each entry of BUDGETS."""

    __slots__ = ("_far", "_near")

    def __init__(self) -> None:
        # [remaining requests, when that was computed]
        self._near = {kind: [budget.burst, 0.0] for kind, budget in BUDGETS.items()}
        self._far = {kind: [budget.burst, 0.0] for kind, budget in BUDGETS.items()}

    def take(self, kind: str, *, near: bool, at_s: float) -> bool:
        """Spend one of `kind`; return False if none remains."""
        per_s, burst = BUDGETS[kind]
        bucket = (self._near if near else self._far)[kind]
        remaining = min(burst, bucket[0] + (at_s - bucket[1]) * per_s)
        bucket[1] = at_s
        if remaining < 1.0:
            bucket[0] = remaining
            return False
        bucket[0] = remaining - 1.0
        return True
