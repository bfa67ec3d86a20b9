"""Ceilings: a token bucket per identity, in a bounded table.

A bucket holds `limit` requests and refills at limit / PERIOD_S. A ceiling is the last resort against one
sender's excess; the queue provides fairness.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable

from stormpetrel.shield.answer import RateLimit

PERIOD_S = 300.0


class Ceiling:
    """A limit per key in PERIOD_S. `limit` 0: no limit.

    At most `capacity` keys; the oldest entry is dropped, which resets that key to a full bucket.
    Memory: about 200 bytes per key.
    """

    __slots__ = ("_buckets", "_capacity", "_rate_per_s", "limit", "remaining")

    def __init__(self, limit: int, *, capacity: int = 100_000) -> None:
        self.limit = limit
        self._capacity = capacity
        self._rate_per_s = limit / PERIOD_S
        # The remaining requests of the key that spent last.
        self.remaining = 0.0
        # key -> [remaining requests, when that was computed]
        self._buckets: OrderedDict[Hashable, list[float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, key: Hashable, at_s: float) -> bool:
        """Spend one; return False if none remains."""
        if not self.limit:
            return True
        bucket = self._buckets.get(key)
        if bucket is None:
            if len(self._buckets) >= self._capacity:
                self._buckets.popitem(last=False)
            self.remaining = remaining = self.limit - 1.0
            self._buckets[key] = [remaining, at_s]
            return True
        remaining = bucket[0] + (at_s - bucket[1]) * self._rate_per_s
        bucket[1] = at_s
        if remaining < 1.0:
            bucket[0] = remaining
            return False
        self.remaining = bucket[0] = remaining - 1.0 if remaining < self.limit else self.limit - 1.0
        return True

    def is_spent(self, key: Hashable, at_s: float) -> bool:
        """Return True if `take` would return False; spend nothing."""
        bucket = self._buckets.get(key)
        return bucket is not None and bucket[0] + (at_s - bucket[1]) * self._rate_per_s < 1.0

    def rate_limit(self, key: Hashable, at_s: float, *, epoch_s: float) -> RateLimit | None:
        """Return the key's remaining requests; None without a limit. `epoch_s`: `at_s` since 1970."""
        if not self.limit:
            return None
        bucket = self._buckets.get(key)
        if bucket is None:
            return RateLimit(self.limit, self.limit, epoch_s)
        remaining = min(float(self.limit), bucket[0] + (at_s - bucket[1]) * self._rate_per_s)
        return RateLimit(
            self.limit, max(0, int(remaining)), epoch_s + (self.limit - remaining) / self._rate_per_s
        )

    def forget_full(self, at_s: float) -> None:
        """Drop the buckets that are full again: they limit nothing, and their keys are clients' addresses."""
        full = [key for key, (_, last_s) in self._buckets.items() if at_s - last_s >= PERIOD_S]
        for key in full:
            del self._buckets[key]

    def full_in_s(self, remaining: float) -> float:
        """Return the seconds until a bucket with `remaining` requests is full again."""
        return (self.limit - remaining) / self._rate_per_s

    def wait_s(self, key: Hashable, at_s: float) -> float:
        """Return the seconds until the key can spend one; 0 if it can now."""
        bucket = self._buckets.get(key)
        if bucket is None or not self.limit:
            return 0.0
        remaining = bucket[0] + (at_s - bucket[1]) * self._rate_per_s
        return max(0.0, (1.0 - remaining) / self._rate_per_s)
