"""How many requests of a worker run at the same time: more of known clients while they wait for a late event loop.

A running request needs the CPU for several short steps, and waits for a turn of the loop before each. In a flood
of cached pages and refusals a turn takes 50 to 130 ms. With 4 slots, each was then held for 50 to 400 ms, and all
together used a tenth of a processor, while members waited for a slot until they were refused (docs/decisions/0034).
"""

from __future__ import annotations

import math

from stormpetrel.shield.allowance import LATE_S

MOST = 32
"""With more slots, the steps of running requests would be a large part of each turn."""
BUSY = 0.35
"""When running requests use more than this share of a processor, they make the loop late themselves: none of them
would be finished sooner if more ran at the same time."""
MOSTLY = 0.7
"""The same if they use more than this part of the CPU time of the loop: beside other programs a worker may get less
than BUSY of a processor, and spend all of it on requests."""


class Concurrency:
    """The slots of a worker: `base` for all classes, and the others, up to `slots`, for known clients (above K3).

    Call `turn` in each window. The slots double after a window with a late loop in which known clients waited. They
    halve after a window in which running requests were BUSY or MOSTLY what the loop did, and when three quarters of
    the slots are free.
    """

    __slots__ = ("base", "known", "running", "slots")

    def __init__(self, base: int) -> None:
        self.base = self.slots = base
        self.running = self.known = 0

    def has_slot(self, *, is_known: bool) -> bool:
        """Return True if one more request of a known client, or of another, may run."""
        if is_known:
            return self.running < self.slots
        return self.running - min(self.known, self.slots - self.base) < self.base

    def start(self, *, is_known: bool) -> None:
        """Take a slot."""
        self.running += 1
        self.known += is_known

    def end(self, *, is_known: bool) -> None:
        """Give a slot back."""
        self.running -= 1
        self.known -= is_known

    def turn(
        self, *, lag_s: float, used_s: float, passed_s: float, known_wait: bool, loop_s: float = math.inf
    ) -> None:
        """End a window of `passed_s`. `lag_s`: how late the loop is; `used_s`: the CPU time of running requests.

        `known_wait`: a known client waits for a slot. `loop_s`: the CPU time of the loop, if it is measured.
        """
        if used_s > min(BUSY * passed_s, MOSTLY * loop_s) or self.running * 4 <= self.slots:
            self.slots = max(self.base, self.slots // 2)
        elif known_wait and lag_s > LATE_S:
            self.slots = max(self.base, min(MOST, self.slots * 2))
