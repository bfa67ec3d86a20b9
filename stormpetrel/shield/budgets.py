"""Budgets: what unknown clients together may have of what is dear. The excess waits in the lowest class.

So a budget refuses nobody by itself: while there is nothing better to do, all of it is done. Networks where
people are and all others have a budget each, so that a flood from anywhere does not spend the neighbours'.
"""

from __future__ import annotations

from typing import NamedTuple


class Budget(NamedTuple):
    """`per_s` in a worker, and `burst` saved up."""

    per_s: float
    burst: float


BUDGETS = {
    # An argon2id check costs 21 ms of a core: five a second are a tenth of it, in each worker.
    "sign-in": Budget(5.0, 20.0),
    "token": Budget(20.0, 60.0),
    "sign-up": Budget(1.0, 10.0),
    "write": Budget(5.0, 20.0),
    # A token that nobody has looked up: an indexed query, about 100 µs.
    "miss": Budget(100.0, 300.0),
    # Up to 500 ms in the searcher's thread.
    "search": Budget(5.0, 20.0),
    "tag": Budget(20.0, 60.0),
    "deep": Budget(20.0, 60.0),
    "nowhere": Budget(10.0, 40.0),
    "stream": Budget(20.0, 100.0),
}


class Budgets:
    """The budgets of one worker: as many buckets as BUDGETS has, twice."""

    __slots__ = ("_far", "_near")

    def __init__(self) -> None:
        # [what is left, when that was true]
        self._near = {kind: [budget.burst, 0.0] for kind, budget in BUDGETS.items()}
        self._far = {kind: [budget.burst, 0.0] for kind, budget in BUDGETS.items()}

    def take(self, kind: str, *, near: bool, at_s: float) -> bool:
        """Spend one of `kind`; False when nothing is left."""
        per_s, burst = BUDGETS[kind]
        bucket = (self._near if near else self._far)[kind]
        left = min(burst, bucket[0] + (at_s - bucket[1]) * per_s)
        bucket[1] = at_s
        if left < 1.0:
            bucket[0] = left
            return False
        bucket[0] = left - 1.0
        return True
