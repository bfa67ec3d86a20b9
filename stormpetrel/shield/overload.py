"""Overload: detect more demand than capacity and since when, and find which credentials are older.

Source of the measure: H. Zhou et al., "Overload Control for Scaling WeChat Microservices" (DAGOR), SoCC 2018:
the time in the queue, not the CPU load, and the minimum in a window, not its mean, so that a burst is not
taken for overload. Two more inputs: the lateness of the event loop, and the wait of writes for the database's
writer, because waiting for a lock shows in neither.
"""

from __future__ import annotations

WINDOW_S = 0.1
LEAST_WAIT_S = 0.020
"""A class is overloaded if every wait in a window was longer than this …"""
OLDEST_WAIT_S = 0.100
"""… or if a ticket has already waited for this long."""
LAG_S = 0.050
WRITER_WAIT_S = 0.250
DECLARED_AT = 5
HIGHEST = 10
"""An overloaded window adds one to the score, any other takes one off. Overload begins at DECLARED_AT and
ends at 0: after half a second with overload, and after a second without."""
CALM_S = 60.0
"""An attack has ended after this long without overload."""
SETTLED_S = 30.0
"""Overload this soon after the worker's start may be older than the worker: then the onset counts as late, unless the
watch knows that there was none."""
LATE_S = 86_400.0
"""For a late onset, only credentials that are older than it by a day are established."""
NEVER_S = -1.0


class Overload:
    """The state of one worker. Call `turn` once per WINDOW_S. Times: the loop's, or since 1970 (`epoch`)."""

    __slots__ = (
        "_began_s",
        "_directed_epoch_s",
        "_is_late",
        "_last_over_s",
        "_onset_epoch_s",
        "_saw_calm",
        "_score",
        "is_overloaded",
        "lag_s",
        "least",
        "since_epoch_s",
        "worst_lag_s",
        "worst_wait_s",
        "writer_wait_s",
    )

    def __init__(self, lanes: int, *, at_s: float) -> None:
        self._began_s = at_s
        # By class, the shortest wait in this window; a caller that ran a request
        # without waiting may set it to 0.
        self.least = [NEVER_S] * lanes
        self._score = 0
        self._last_over_s = at_s
        self._onset_epoch_s = 0.0
        self._is_late = False
        self._saw_calm = False
        self._directed_epoch_s = 0.0
        self.is_overloaded = False
        self.since_epoch_s = 0.0
        self.lag_s = 0.0
        self.writer_wait_s = 0.0
        # The worst since the last report; the reporting code resets them to 0.
        self.worst_wait_s = 0.0
        self.worst_lag_s = 0.0

    def waited(self, lane: int, wait_s: float) -> None:
        """Note that the first waiting ticket of an identity got a slot after this time."""
        least = self.least[lane]
        if wait_s < least or least < 0.0:
            self.least[lane] = wait_s
        if wait_s > self.worst_wait_s:
            self.worst_wait_s = wait_s

    def turn(
        self,
        *,
        at_s: float,
        epoch_s: float,
        oldest_waits_s: tuple[float, ...] = (),
        lag_s: float = 0.0,
        writer_wait_s: float = 0.0,
    ) -> None:
        """End a window. `oldest_waits_s`: by class, without the class whose waits do no harm (K4)."""
        least = self.least
        is_over = lag_s > LAG_S or writer_wait_s > WRITER_WAIT_S
        for lane, oldest_s in enumerate(oldest_waits_s):
            if least[lane] > LEAST_WAIT_S or oldest_s > OLDEST_WAIT_S:
                is_over = True
        for lane in range(len(least)):
            least[lane] = NEVER_S
        self.lag_s, self.writer_wait_s = lag_s, writer_wait_s
        self.worst_lag_s = max(self.worst_lag_s, lag_s)
        if is_over:
            self._score = min(HIGHEST, self._score + 1)
            if self._score >= DECLARED_AT:
                self._declare(at_s, epoch_s)
        elif self._score:
            self._score -= 1
        if not self._score and self.is_overloaded:
            self.is_overloaded = False
            self.since_epoch_s = 0.0
        if self.is_overloaded:
            self._last_over_s = at_s
        elif self._onset_epoch_s and at_s - self._last_over_s >= CALM_S:
            self._onset_epoch_s = 0.0
            self._is_late = False

    def _declare(self, at_s: float, epoch_s: float) -> None:
        if self.is_overloaded:
            return
        self.is_overloaded = True
        self.since_epoch_s = epoch_s - DECLARED_AT * WINDOW_S
        if not self._onset_epoch_s:
            self._onset_epoch_s = self.since_epoch_s
            self._is_late = at_s - self._began_s < SETTLED_S and not self._saw_calm

    def direct(self, onset_epoch_s: float, *, is_calm: bool = False) -> None:
        """Set the onset from `watch`, which sees all workers and survives their restarts. 0: no attack.

        `is_calm`: the watch knows that there is none, so an overload from now on is no older than this worker.
        """
        self._directed_epoch_s = onset_epoch_s
        if is_calm and not self._onset_epoch_s:
            self._saw_calm = True

    @property
    def onset_epoch_s(self) -> float:
        """Return the time at which the present attack began, in seconds since 1970; 0 in calm."""
        own, directed = self._onset_epoch_s, self._directed_epoch_s
        return min(own, directed) if own and directed else own or directed

    @property
    def cutoff_epoch_s(self) -> float:
        """Return the time before which established credentials were issued; 0: all are established."""
        own, directed = self._onset_epoch_s, self._directed_epoch_s
        if self._is_late and not directed:
            return own - LATE_S
        return min(own, directed) if own and directed else own or directed
