"""Answer: what a refused visit is told, and when it may come back. The bytes are the edge's."""

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
    """`limit` per five minutes, what is left, and when all of it is back (seconds since 1970)."""

    limit: int
    remaining: int
    reset_epoch_s: float


@lru_cache(maxsize=64)
def reset_text(second: int) -> bytes:
    """The value of X-RateLimit-Reset: ISO 8601. Whole seconds since 1970; within a second it is asked for often."""
    return time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(second)).encode()


@dataclass(frozen=True, slots=True)
class Refused:
    """A refusal: `because` names the policy line, `retry_after_s` is None when coming back is no use."""

    status: int
    because: str
    safe_text: str
    retry_after_s: int | None = None
    rate_limit: RateLimit | None = None


def retry_after_s(*, waiting: int, drained_per_s: float, refusals: int, jitter: float) -> int:
    """Whole seconds until a refused visit should try again, 1 to MAX_RETRY_AFTER_S.

    (1 + waiting / drained_per_s) * min(refusals, MAX_RISE) * (1 + jitter / 2): the queue's length in time,
    rising with each refusal of the same identity, spread by `jitter` in [0, 1) so that those refused
    together do not return together.
    """
    queue_s = 1.0 + waiting / max(drained_per_s, 1.0)
    rise = min(max(refusals, 1), MAX_RISE)
    return min(MAX_RETRY_AFTER_S, max(1, round(queue_s * rise * (1.0 + jitter / 2))))


NOTHING, HEEDED, IGNORED = 0, 1, 2
IGNORED_DEMOTES = 5
"""Who came back too early so often is demoted (S. Kandula et al., "Botz-4-Sale" (Kill-Bots), NSDI 2005)."""
TOLERANCE_S = 0.25


class Patience:
    """How often each identity was refused lately, until when it was asked to wait, and whether it does.

    At most `capacity` identities; the one refused longest ago is dropped (it starts again at one). An
    identity not refused for FORGIVEN_AFTER_S starts again too.
    """

    def __init__(self, *, capacity: int = 20_000) -> None:
        self._capacity = capacity
        # identity -> [refusals in a row, when the last was, until when to wait, how often it did not]
        self.seen: OrderedDict[Identity, list[float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self.seen)

    def refused(self, identity: Identity, at_s: float) -> int:
        """Count one refusal; the number of refusals in a row, this one included."""
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
        """It was told to come back then, and not before."""
        entry = self.seen.get(identity)
        if entry is not None:
            entry[2] = max(entry[2], until_s)

    def arrived(self, identity: Identity, at_s: float) -> int:
        """It asks again: HEEDED or IGNORED what it was told; NOTHING when it was not told anything lately."""
        entry = self.seen.get(identity)
        if entry is None or not entry[2] or at_s - entry[1] > FORGIVEN_AFTER_S:
            return NOTHING
        if at_s < entry[2] - TOLERANCE_S:
            entry[3] += 1.0
            return IGNORED
        entry[3] = 0.0
        return HEEDED

    def ignored(self, identity: Identity) -> int:
        """How often in a row it came back too early."""
        entry = self.seen.get(identity)
        return int(entry[3]) if entry is not None else 0
