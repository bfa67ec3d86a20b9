"""A run's lines as values over time, for charts: pure functions, one value for each slice of the run.

A share or latency without any data in a slice is None, a gap in the chart, which differs from zero.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import ceil

from stormpetrel.charts import Values
from stormpetrel.drill.percentile import percentile
from stormpetrel.drill.record import CHANNELS, OK, REFUSED, AttackSecond, Line

MOST_SLICES = 90
"""More slices would be finer than a phone's screen shows."""
LEAST_S = 2
"""Shorter slices of rare events would be meaningless."""
MEMBERS = frozenset({"apps", "web", "posting"})


@dataclass(frozen=True, slots=True)
class Slices:
    """How a run is divided: `count` slices of `each_s` seconds."""

    each_s: float
    count: int

    def of(self, t: float) -> int:
        """Return the slice number of a moment; moments after the end belong to the last slice."""
        return max(0, min(self.count - 1, int(t / self.each_s)))


def slices(seconds: float) -> Slices:
    """Divide a run (`seconds` > 0) into at most MOST_SLICES slices of whole seconds, at least LEAST_S."""
    each_s = float(max(LEAST_S, ceil(seconds / MOST_SLICES)))
    return Slices(each_s, max(1, ceil(seconds / each_s)))


def kept(lines: Iterable[Line], cut: Slices) -> dict[str, Values]:
    """Return by channel the percentage of first attempts served in time, by their intended time."""
    asked: dict[str, list[int]] = defaultdict(lambda: [0] * cut.count)
    served: dict[str, list[int]] = defaultdict(lambda: [0] * cut.count)
    for line in lines:
        if not line.is_retry:
            number = cut.of(line.t)
            asked[line.channel][number] += 1
            served[line.channel][number] += line.outcome == OK
    return {
        channel: tuple(
            100.0 * ok / all_ if all_ else None
            for ok, all_ in zip(served[channel], asked[channel], strict=True)
        )
        for channel in sorted(asked, key=_place)
    }


def _place(channel: str) -> tuple[int, str]:
    return CHANNELS.index(channel) if channel in CHANNELS else len(CHANNELS), channel


def latency_ms(lines: Iterable[Line], cut: Slices, percent: float) -> Values:
    """Return the `percent`th percentile of members' served requests, in ms from their intended time."""
    times: list[list[float]] = [[] for _ in range(cut.count)]
    for line in lines:
        if line.channel in MEMBERS and line.outcome == OK:
            times[cut.of(line.t)].append(line.ms)
    return tuple(percentile(percent, some) for some in times)


def refused_per_s(lines: Iterable[Line], cut: Slices) -> Values:
    """Return the refusals of people per second, retries included."""
    return _per_second(((line.t, 1) for line in lines if line.outcome == REFUSED), cut)


@dataclass(frozen=True, slots=True)
class VectorRates:
    """Rates of one vector per second: requests sent and refused; also their totals and the highest rate."""

    sent_per_s: Values
    refused_per_s: Values
    sent: int
    refused: int
    most_per_s: int


def vectors(attacks: Sequence[AttackSecond], cut: Slices) -> dict[str, VectorRates]:
    """Return the rates by vector, in the order of their numbers, for vectors that sent anything."""
    found: dict[str, VectorRates] = {}
    for name in sorted({one.vector for one in attacks}, key=lambda name: int(name[1:])):
        mine = [one for one in attacks if one.vector == name]
        sent = sum(one.sent for one in mine)
        if sent:
            found[name] = VectorRates(
                _per_second(((one.t, one.sent) for one in mine), cut),
                _per_second(((one.t, one.refused) for one in mine), cut),
                sent,
                sum(one.refused for one in mine),
                max(one.sent for one in mine),
            )
    return found


def attackers_refused_per_s(attacks: Iterable[AttackSecond], cut: Slices) -> Values:
    """Return the refusals of attackers per second, all vectors together."""
    return _per_second(((one.t, one.refused) for one in attacks), cut)


def _per_second(counts: Iterable[tuple[float, int]], cut: Slices) -> Values:
    sums = [0] * cut.count
    for t, count in counts:
        sums[cut.of(t)] += count
    return tuple(count / cut.each_s for count in sums)


def extreme(values: Values, choose: Callable[[Iterable[float]], float]) -> float | None:
    """Return `min` or `max` of the known values; None if there are none."""
    known = [value for value in values if value is not None]
    return choose(known) if known else None
