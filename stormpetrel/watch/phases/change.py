"""Changes of traffic: the distance of two mixes, a change of level, and where in a row of seconds it happened."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Weights = Mapping[str, float]


def jensen_shannon(one: Weights, other: Weights) -> float:
    """Return the Jensen-Shannon divergence of two mixes in bits, 0 (alike) to 1 (nothing in common).

    Each is given by weights of any sum. An empty mix is like any other.
    """
    sum_one, sum_other = sum(one.values()), sum(other.values())
    if sum_one <= 0.0 or sum_other <= 0.0:
        return 0.0
    distance = 0.0
    for name in one.keys() | other.keys():
        p, q = one.get(name, 0.0) / sum_one, other.get(name, 0.0) / sum_other
        middle = (p + q) / 2
        if p > 0.0:
            distance += p / 2 * math.log2(p / middle)
        if q > 0.0:
            distance += q / 2 * math.log2(q / middle)
    return max(0.0, distance)


def noise(count_one: float, count_other: float, names: int) -> float:
    """Return the divergence in bits that two samples of the same mix have by chance.

    (names - 1) / (8 ln 2) * (1/n + 1/m), by Taylor's theorem: 2 ln 2 times n times the divergence from a known mix
    is distributed as chi-squared.
    """
    if count_one < 1.0 or count_other < 1.0:
        return 1.0
    return max(0, names - 1) / (8 * math.log(2)) * (1 / count_one + 1 / count_other)


@dataclass(frozen=True, slots=True)
class Cusum:
    """The cumulative sums of a figure's logarithm above and below its reference, in nepers."""

    above: float = 0.0
    below: float = 0.0

    def step(self, value: float, reference: float, *, slack: float) -> Cusum:
        """Return the sums after one more value. `slack`: the deviation that adds nothing."""
        moved = math.log((value + 1.0) / (reference + 1.0))
        return Cusum(max(0.0, self.above + moved - slack), max(0.0, self.below - moved - slack))


def split(mixes: Sequence[Weights]) -> int:
    """Return the index of the mix at which the row changed most: the parts before and from it differ most.

    1 to len(mixes) - 1; 0 for fewer than two. The longer the parts, the more their difference counts.
    """
    best, best_at = -1.0, 0
    for at in range(1, len(mixes)):
        score = jensen_shannon(added(mixes[:at]), added(mixes[at:])) * math.sqrt(at * (len(mixes) - at))
        if score > best:
            best, best_at = score, at
    return best_at


def added(mixes: Sequence[Weights]) -> dict[str, float]:
    """Return the sum of mixes."""
    total: dict[str, float] = {}
    for mix in mixes:
        for name, weight in mix.items():
            total[name] = total.get(name, 0.0) + weight
    return total
