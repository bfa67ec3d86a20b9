"""The measured past of the channels in memory: seconds in each state by day, response times by minute."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from stormpetrel.model.channel import ChannelState, worst
from stormpetrel.storage.status_history import MINUTES_KEPT, ChannelDay, ChannelMinute
from stormpetrel.watch.status.channels import ChannelStatus

SHOWN_DAYS = 90
BAD_SHARE = 0.5
"""A day is shown in the worst state that lasted for BAD_S, or this share of the day's measurements."""
BAD_S = 60.0
DAY_S = 86_400


class ChannelHistory:
    """The days and minutes of every channel. Time is an argument."""

    def __init__(self, days: Iterable[ChannelDay] = (), minutes: Iterable[ChannelMinute] = ()) -> None:
        self._days = {(one.channel, one.day): one for one in days}
        self._minutes: dict[str, deque[ChannelMinute]] = {}
        for one in minutes:
            self._of(one.channel).append(one)
        # Of each channel: the present minute, the sum of its response times, and their number.
        self._sums: dict[str, tuple[int, float, int]] = {}
        self._unsaved_days: set[tuple[str, int]] = set()
        self._unsaved_minutes: list[ChannelMinute] = []

    def add(self, statuses: Iterable[ChannelStatus], *, seconds: float, now_epoch_s: float) -> None:
        """Add the time since the last call, in each channel's present state."""
        day, minute = int(now_epoch_s // DAY_S), int(now_epoch_s // 60)
        for one in statuses:
            key = (one.channel, day)
            spent = self._days.get(key)
            if spent is None:
                spent = self._days[key] = ChannelDay(one.channel, day)
                self._days.pop((one.channel, day - SHOWN_DAYS), None)
            spent.seconds[one.state] = spent.seconds.get(one.state, 0.0) + seconds
            self._unsaved_days.add(key)
            self._time(one, minute)

    def unsaved(self) -> tuple[list[ChannelDay], list[ChannelMinute]]:
        """Return what changed since `saved` was called."""
        return [self._days[key] for key in self._unsaved_days if key in self._days], list(
            self._unsaved_minutes
        )

    def saved(self, minutes: int) -> None:
        """Note that all days, and the first `minutes` of the unsaved minutes, are stored."""
        self._unsaved_days.clear()
        del self._unsaved_minutes[:minutes]

    def states(self, channel: str, *, today: int) -> list[ChannelState | None]:
        """Return the state of each of the last SHOWN_DAYS days, today last; None where nothing was measured."""
        return [self.state(channel, day) for day in range(today - SHOWN_DAYS + 1, today + 1)]

    def state(self, channel: str, day: int) -> ChannelState | None:
        """Return the state that a day is shown in; None if nothing was measured."""
        found = self._days.get((channel, day))
        if found is None or not found.measured_s:
            return None
        return worst(
            state
            for state, seconds in found.seconds.items()
            if state is not ChannelState.UNKNOWN
            and (seconds >= BAD_S or seconds >= BAD_SHARE * found.measured_s)
        )

    def uptime(self, channel: str, *, today: int) -> float | None:
        """Return the share of the measured time of SHOWN_DAYS without an outage; None without a measurement.

        Maintenance and degraded performance count as no outage; time without a measurement does not count.
        """
        good = measured = 0.0
        for day in range(today - SHOWN_DAYS + 1, today + 1):
            found = self._days.get((channel, day))
            if found is not None:
                measured += found.measured_s
                good += found.seconds.get(ChannelState.OPERATIONAL, 0.0)
                good += found.seconds.get(ChannelState.DEGRADED, 0.0)
        return good / measured if measured else None

    def times(self, channel: str, *, since_minute: int, every: int) -> list[float | None]:
        """Return the mean response times in ms from a minute on, for each span of `every` minutes."""
        sums: dict[int, tuple[float, int]] = {}
        for one in self._minutes.get(channel, ()):
            if one.minute >= since_minute:
                place = (one.minute - since_minute) // every
                total, count = sums.get(place, (0.0, 0))
                sums[place] = (total + one.ms, count + 1)
        return [
            sums[place][0] / sums[place][1] if place in sums else None
            for place in range(max(sums, default=-1) + 1)
        ]

    def _time(self, one: ChannelStatus, minute: int) -> None:
        at, total, count = self._sums.get(one.channel, (minute, 0.0, 0))
        if minute != at:
            if count:
                done = ChannelMinute(one.channel, at, total / count)
                self._of(one.channel).append(done)
                self._unsaved_minutes.append(done)
                del self._unsaved_minutes[:-MINUTES_KEPT]
            at, total, count = minute, 0.0, 0
        if one.ms and one.state not in (ChannelState.UNKNOWN, ChannelState.MAJOR):
            total, count = total + one.ms, count + 1
        self._sums[one.channel] = (at, total, count)

    def _of(self, channel: str) -> deque[ChannelMinute]:
        return self._minutes.setdefault(channel, deque(maxlen=MINUTES_KEPT))
