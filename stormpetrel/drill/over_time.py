"""A run's lines as values over time, for charts: pure functions, one value for each slice of the run.

A slice in which nothing happened has None: a gap, which is not the same as nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import ceil

from stormpetrel.drill.record import CHANNELS, OK, REFUSED, Attack, Line
from stormpetrel.drill.score import p

Values = tuple[float | None, ...]

MOST_SLICES = 90
"""More would be finer than a phone's screen shows."""
LEAST_S = 2
"""Shorter slices of what happens once in a while say nothing."""
MEMBERS = frozenset({"apps", "web", "posting"})


@dataclass(frozen=True, slots=True)
class Slices:
    """How a run is cut: `count` slices of `each_s` seconds."""

    each_s: float
    count: int

    def of(self, t: float) -> int:
        """The slice of a moment; what comes after the end is in the last one."""
        return max(0, min(self.count - 1, int(t / self.each_s)))


def slices(seconds: float) -> Slices:
    """Whole seconds each, LEAST_S or more, at most MOST_SLICES of them. `seconds`: of the run, more than 0."""
    each_s = float(max(LEAST_S, ceil(seconds / MOST_SLICES)))
    return Slices(each_s, max(1, ceil(seconds / each_s)))


def kept(lines: Iterable[Line], cut: Slices) -> dict[str, Values]:
    """By channel: percent of first attempts that were served in time, by the moment that they were wanted."""
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
    """What `percent` of members' served requests took at most, in milliseconds from when they were wanted."""
    times: list[list[float]] = [[] for _ in range(cut.count)]
    for line in lines:
        if line.channel in MEMBERS and line.outcome == OK:
            times[cut.of(line.t)].append(line.ms)
    return tuple(p(percent, some) for some in times)


def refused_per_s(lines: Iterable[Line], cut: Slices) -> Values:
    """People's refusals a second, retries too."""
    return _per_second(((line.t, 1) for line in lines if line.outcome == REFUSED), cut)


@dataclass(frozen=True, slots=True)
class VectorRates:
    """One vector: what it sent and what of it was refused, a second; and the same in all."""

    sent_per_s: Values
    refused_per_s: Values
    sent: int
    refused: int
    most_per_s: int


def vectors(attacks: Sequence[Attack], cut: Slices) -> dict[str, VectorRates]:
    """By vector, those that sent anything, in the order of their numbers."""
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


def attackers_refused_per_s(attacks: Iterable[Attack], cut: Slices) -> Values:
    """Refusals to attackers a second, all vectors together."""
    return _per_second(((one.t, one.refused) for one in attacks), cut)


def _per_second(counts: Iterable[tuple[float, int]], cut: Slices) -> Values:
    sums = [0] * cut.count
    for t, count in counts:
        sums[cut.of(t)] += count
    return tuple(count / cut.each_s for count in sums)


def extreme(values: Values, choose: Callable[[Iterable[float]], float]) -> float | None:
    """`min` or `max` of the values that there are; None when there are none."""
    known = [value for value in values if value is not None]
    return choose(known) if known else None
