"""The CPU time that strangers may use under overload: less while the event loop is late.

The queue lets lower classes use all the work that higher ones leave. But a step that has begun delays every other
connection: in a flood of 4,000 new connections a second, members waited for the 250 pages a second that were rendered
for attackers. So while the loop is late, classes K3 and K4 get less time, but never less than the share of the
work that their weights promise them (classify.py).
"""

from __future__ import annotations

import math

from stormpetrel.shield.classify import K3_NEAR, LANES
from stormpetrel.shield.overload import WINDOW_S

LATE_S = 0.020
"""A turn of the loop that takes longer than this is late: a request of a member takes several turns."""
FLOOR_S = WINDOW_S * sum(lane.weight for lane in LANES[K3_NEAR:]) / 100
NO_LIMIT_S = math.inf
_LESS, _MORE = 0.8, 1.05


class StrangersAllowance:
    """The CPU seconds that strangers used in this window, and those that they may use.

    Call `turn` once per WINDOW_S of overload. While the loop is late, each window allows 0.8 times what the last one
    used, down to FLOOR_S; otherwise 1.05 times what it allowed, until that is all that a processor has. What a
    window uses beyond its allowance counts in the next.
    """

    __slots__ = ("allowed_s", "used_s")

    def __init__(self) -> None:
        self.allowed_s = NO_LIMIT_S
        self.used_s = 0.0

    def turn(self, *, lag_s: float) -> None:
        """Begin a window. `lag_s`: how late the loop was at its end."""
        used_s, allowed_s = self.used_s, self.allowed_s
        self.used_s = max(0.0, used_s - allowed_s)
        if lag_s <= LATE_S:
            more_s = allowed_s * _MORE
            self.allowed_s = more_s if more_s < WINDOW_S else NO_LIMIT_S
        elif used_s > FLOOR_S:
            # Otherwise something else makes the loop late, and less for strangers would not help.
            self.allowed_s = max(FLOOR_S, min(allowed_s, used_s) * _LESS)

    def lift(self) -> None:
        """Allow everything: there is no overload."""
        self.allowed_s = NO_LIMIT_S
        self.used_s = 0.0
