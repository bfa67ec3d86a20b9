"""Answer: the content of a refusal and its Retry-After. The edge makes the bytes."""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from stormpetrel.shield.identify import Identity

MAX_RETRY_AFTER_S = 120
MAX_RISE = 8
FORGIVEN_AFTER_S = 60.0


class RateLimit(NamedTuple):
    """`limit` per five minutes, the remaining requests, and when all are back (seconds since 1970)."""

    limit: int
    remaining: int
    reset_epoch_s: float


@lru_cache(maxsize=64)
def reset_text(second: int) -> bytes:
    """Return the value of X-RateLimit-Reset, ISO 8601, for whole seconds since 1970. Cached for repeats."""
    return time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(second)).encode()


@dataclass(frozen=True, slots=True)
class Refused:
    """A refusal. `because` names the policy line; `retry_after_s` is None if coming back is useless."""

    status: int
    because: str
    safe_text: str
    retry_after_s: int | None = None
    rate_limit: RateLimit | None = None


def retry_after_s(*, waiting: int, drained_per_s: float, refusals: int, jitter: float) -> int:
    """Return the whole seconds until a refused visit should try again, 1 to MAX_RETRY_AFTER_S.

    (1 + waiting / drained_per_s) * min(refusals, MAX_RISE) * (1 + jitter / 2): the time to drain the queue,
    rising with each refusal of the same identity, and spread by `jitter` in [0, 1) so that visits refused
    together do not return together.
    """
    queue_s = 1.0 + waiting / max(drained_per_s, 1.0)
    rise = min(max(refusals, 1), MAX_RISE)
    return min(MAX_RETRY_AFTER_S, max(1, round(queue_s * rise * (1.0 + jitter / 2))))


NOTHING, HEEDED, IGNORED = 0, 1, 2
IGNORED_DEMOTES = 5
"""Too early this often in a row: demoted (S. Kandula et al., "Botz-4-Sale" (Kill-Bots), NSDI 2005)."""
TOLERANCE_S = 0.25


class RetryTracker:
    """How often each identity was refused lately, until when it should wait, and how often it did not.

    At most `capacity` identities; the one refused longest ago is dropped (it starts again at one). An
    identity not refused for FORGIVEN_AFTER_S starts again too.
    """

    def __init__(self, *, capacity: int = 20_000) -> None:
        self._capacity = capacity
        # identity -> [refusals in a row, time of the last, wait until, how often it came back too early]
        self.seen: OrderedDict[Identity, list[float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self.seen)

    def refused(self, identity: Identity, at_s: float) -> int:
        """Count a refusal; return the number of refusals in a row, including this one."""
        entry = self.seen.pop(identity, None)
        if entry is None or at_s - entry[1] > FORGIVEN_AFTER_S:
            entry = [0.0, at_s, 0.0, 0.0]
        if len(self.seen) >= self._capacity:
            self.seen.popitem(last=False)
        entry[0] += 1.0
        entry[1] = at_s
        self.seen[identity] = entry
        return int(entry[0])

    def told(self, identity: Identity, until_s: float) -> None:
        """Note that the identity was asked not to come back before `until_s`."""
        entry = self.seen.get(identity)
        if entry is not None:
            entry[2] = max(entry[2], until_s)

    def arrived(self, identity: Identity, at_s: float) -> int:
        """Return HEEDED or IGNORED for a client that comes back; NOTHING if it had no Retry-After lately."""
        entry = self.seen.get(identity)
        if entry is None or not entry[2] or at_s - entry[1] > FORGIVEN_AFTER_S:
            return NOTHING
        if at_s < entry[2] - TOLERANCE_S:
            entry[3] += 1.0
            return IGNORED
        entry[3] = 0.0
        return HEEDED

    def waits(self, identity: Identity, at_s: float) -> bool:
        """Return whether the identity was refused lately, and did not come back too early IGNORED_DEMOTES times."""
        entry = self.seen.get(identity)
        if entry is None or entry[3] >= IGNORED_DEMOTES:
            return False
        return at_s - entry[1] <= FORGIVEN_AFTER_S or at_s < entry[2]

    def ignored(self, identity: Identity) -> int:
        """Return how often in a row the identity came back too early."""
        entry = self.seen.get(identity)
        return int(entry[3]) if entry is not None else 0
