"""The CPU time that strangers may use under overload, and demoted clients at any time: less while the loop is late.

The queue lets lower classes use all the work that higher ones leave. But a step that has begun delays every other
connection: in a flood of 4,000 new connections a second, members waited for the 250 pages a second that were rendered
for attackers. So while the loop is late, classes K3 and K4 get less time, but never less than FLOOR.
"""

from __future__ import annotations

import math

from stormpetrel.shield.overload import WINDOW_S

LATE_S = 0.020
"""A turn of the loop that takes longer than this is late: a request of a member takes several turns."""
FLOOR = 0.30
"""The share of a processor that strangers always have, more than their weights promise them. If they use less, it is
others who make the loop late: a limit would keep them waiting, and so the overload going, for nothing."""
NO_LIMIT_S = math.inf
_LESS, _MORE = 0.8, 1.05
LATE_WINDOWS = 5
"""Demoted clients are limited in a late window and in the next ones, this many in all. Limited in late windows alone,
they used 10 % of a worker that could not keep up."""


class StrangersAllowance:
    """The CPU seconds that are left to strangers. Call `spend` for what they use, and `turn` in a window of overload.

    Their share of a processor falls to 0.8 times what they used in a window with a late loop, and rises by a
    twentieth in any other, until it is whole. What they use beyond their share is taken off the next windows.
    """

    __slots__ = ("_share", "_used_s", "left_s")

    def __init__(self) -> None:
        self._share = 1.0
        self._used_s = 0.0
        self.left_s = NO_LIMIT_S

    def spend(self, cpu_s: float) -> None:
        """Take what a stranger used off the allowance."""
        self._used_s += cpu_s
        self.left_s -= cpu_s

    def turn(self, *, lag_s: float, passed_s: float = WINDOW_S) -> None:
        """Begin a window. `lag_s`: how late the loop was at the end of the last one, which took `passed_s`."""
        used, self._used_s = self._used_s / max(passed_s, WINDOW_S), 0.0
        if lag_s <= LATE_S:
            self._share = min(1.0, self._share * _MORE)
        elif used > FLOOR:
            self._share = max(FLOOR, min(self._share, used) * _LESS)
        if self._share == 1.0:
            self.left_s = NO_LIMIT_S
            return
        # A late window was longer, and its share with it. What strangers did not use is not saved up.
        owed_s = 0.0 if self.left_s == NO_LIMIT_S else min(0.0, self.left_s)
        self.left_s = owed_s + self._share * max(passed_s, WINDOW_S)

    def lift(self) -> None:
        """Allow everything: there is no overload."""
        self._share = 1.0
        self._used_s = 0.0
        self.left_s = NO_LIMIT_S


class DemotedAllowance:
    """The CPU seconds that are left to demoted clients, who get only what others leave: a late loop leaves nothing.

    Then they have `share` of a processor. Set `left_s` to less for what they use, and call `turn` in each window.
    What they use beyond their share is taken off the next windows, for as long as they are limited: a request that
    costs more than a window allows may begin in each window otherwise.
    """

    __slots__ = ("_late_windows", "_share", "left_s")

    def __init__(self, share: float) -> None:
        self._share = share
        self._late_windows = 0
        self.left_s = NO_LIMIT_S

    def turn(self, *, lag_s: float, passed_s: float) -> None:
        """Begin a window. `lag_s`: how late the loop was at the end of the last one, which took `passed_s`."""
        self._late_windows = LATE_WINDOWS if lag_s > LATE_S else max(0, self._late_windows - 1)
        if not self._late_windows:
            self.left_s = NO_LIMIT_S
            return
        # What they did not use is not saved up.
        owed_s = 0.0 if self.left_s == NO_LIMIT_S else min(0.0, self.left_s)
        self.left_s = owed_s + self._share * passed_s
