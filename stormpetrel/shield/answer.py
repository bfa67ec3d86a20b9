"""Answer: what a refused visit is told, and when it may come back. The bytes are the edge's."""

from __future__ import annotations

from dataclasses import dataclass
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


class Patience:
    """How often each identity was refused lately.

    At most `capacity` identities; the one refused longest ago is dropped (it starts again at one). An
    identity not refused for FORGIVEN_AFTER_S starts again too.
    """

    def __init__(self, *, capacity: int = 20_000) -> None:
        self._capacity = capacity
        self._seen: dict[Identity, tuple[int, float]] = {}

    def __len__(self) -> int:
        return len(self._seen)

    def refused(self, identity: Identity, at_s: float) -> int:
        """Count one refusal; the number of refusals in a row, this one included."""
        before = self._seen.pop(identity, None)
        count = 1 if before is None or at_s - before[1] > FORGIVEN_AFTER_S else before[0] + 1
        if len(self._seen) >= self._capacity:
            del self._seen[next(iter(self._seen))]
        self._seen[identity] = (count, at_s)
        return count
