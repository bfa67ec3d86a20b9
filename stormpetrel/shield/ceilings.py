"""Ceilings: a token bucket per identity, bounded in number.

A bucket holds `limit` requests and refills at limit / PERIOD_S. A ceiling is the last resort against one
sender's excess; fairness is the queue's business.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable

from stormpetrel.shield.answer import RateLimit

PERIOD_S = 300.0


class Ceiling:
    """A limit per key in PERIOD_S. `limit` 0: there is none.

    At most `capacity` keys; the one made first is dropped. That forgives what it had spent, never the
    opposite. Memory: about 200 bytes per key.
    """

    __slots__ = ("_buckets", "_capacity", "_rate_per_s", "left", "limit")

    def __init__(self, limit: int, *, capacity: int = 100_000) -> None:
        self.limit = limit
        self._capacity = capacity
        self._rate_per_s = limit / PERIOD_S
        # What whoever spent last has left
        self.left = 0.0
        # key -> [what is left, when that was true]
        self._buckets: OrderedDict[Hashable, list[float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, key: Hashable, at_s: float) -> bool:
        """Spend one; False when nothing is left."""
        if not self.limit:
            return True
        bucket = self._buckets.get(key)
        if bucket is None:
            if len(self._buckets) >= self._capacity:
                self._buckets.popitem(last=False)
            self.left = left = self.limit - 1.0
            self._buckets[key] = [left, at_s]
            return True
        left = bucket[0] + (at_s - bucket[1]) * self._rate_per_s
        bucket[1] = at_s
        if left < 1.0:
            bucket[0] = left
            return False
        self.left = bucket[0] = left - 1.0 if left < self.limit else self.limit - 1.0
        return True

    def is_spent(self, key: Hashable, at_s: float) -> bool:
        """True when `take` would say no; spends nothing."""
        bucket = self._buckets.get(key)
        return bucket is not None and bucket[0] + (at_s - bucket[1]) * self._rate_per_s < 1.0

    def rate_limit(self, key: Hashable, at_s: float, *, epoch_s: float) -> RateLimit | None:
        """What the key has left; `epoch_s` is the same moment as `at_s` in seconds since 1970. None: no limit."""
        if not self.limit:
            return None
        bucket = self._buckets.get(key)
        if bucket is None:
            return RateLimit(self.limit, self.limit, epoch_s)
        left = min(float(self.limit), bucket[0] + (at_s - bucket[1]) * self._rate_per_s)
        return RateLimit(self.limit, max(0, int(left)), epoch_s + (self.limit - left) / self._rate_per_s)

    def full_in_s(self, left: float) -> float:
        """Seconds until all of it is back for somebody who has so much left."""
        return (self.limit - left) / self._rate_per_s

    def wait_s(self, key: Hashable, at_s: float) -> float:
        """Seconds until the key has one to spend; 0 when it has."""
        bucket = self._buckets.get(key)
        if bucket is None or not self.limit:
            return 0.0
        left = bucket[0] + (at_s - bucket[1]) * self._rate_per_s
        return max(0.0, (1.0 - left) / self._rate_per_s)
