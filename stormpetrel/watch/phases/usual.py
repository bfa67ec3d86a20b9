"""The usual traffic of this instance: means and deviations of the measures in calm, and the limits that follow."""

from __future__ import annotations

from dataclasses import dataclass, field

from stormpetrel.watch.phases.cohorts import COHORTS
from stormpetrel.watch.phases.measures import Measures

LEARNT_S = 10.0
"""Until this much calm was seen, nothing is unusual."""
MEMORY_S = 120.0
"""Seconds of calm that the means remember, falling exponentially."""
FACTOR = 3.0
DEVIATIONS = 8.0
"""A rate is unusual above this many times its mean, and above its mean by this many mean absolute deviations."""
GAP, GAP_MEMORY = 0.1, 10.0
"""With fewer requests than this part of the usual, little is learnt: the memory is so many times as long."""
EARLY = 3.0
CLIPPED = 4.0
"""A second counts as at most this many deviations away."""
FLOORS = {
    "requests": 60.0,
    "opened": 60.0,
    "churn": 40.0,
    "slow": 25.0,
    "open_streams": 200.0,
    "texts_new": 3.0,
    "malformed": 20.0,
    "sign_ins": 5.0,
    "sign_ups": 3.0,
    "bodies": 5.0,
    "claims": 5.0,
    "writes": 10.0,
    "streams": 10.0,
}
"""Per second (slow, open_streams: connections). Fewer are no attack worth a name."""
FLOOR = 20.0
"""Of all other cohorts, requests per second."""
WATCHED = (*COHORTS, "requests", "opened", "churn", "slow", "open_streams", "texts_new", "malformed")


@dataclass(frozen=True, slots=True)
class Usual:
    """The means of `seconds` of calm. `deviations`: mean absolute ones, of the rates. `mix`: as in Measures."""

    seconds: float = 0.0
    rates: dict[str, float] = field(default_factory=dict)
    deviations: dict[str, float] = field(default_factory=dict)
    features: dict[str, float] = field(default_factory=dict)
    mix: dict[str, float] = field(default_factory=dict)

    @property
    def is_learnt(self) -> bool:
        """Return True once enough calm was seen."""
        return self.seconds >= LEARNT_S

    def learn(self, seen: Measures, *, memory_s: float = MEMORY_S) -> Usual:
        """Return the usual traffic after one more second of calm.

        `memory_s`: longer than MEMORY_S for traffic that is not calm, but lasts.
        """
        # At first the later seconds count for more: after a restart, applications open their streams again.
        part = 1.0 / memory_s
        if memory_s <= MEMORY_S:
            part = max(part, EARLY / (self.seconds + EARLY))
        if self.is_learnt and seen.rates.get("requests", 0.0) < GAP * self.rates.get("requests", 0.0):
            # The link or a proxy is down: people come back as many as before.
            part = 1.0 / (GAP_MEMORY * memory_s)
        rates, deviations = dict(self.rates), dict(self.deviations)
        for name, rate in seen.rates.items():
            before, deviation = self.rates.get(name, rate), self.deviations.get(name, 0.0)
            away = abs(rate - before)
            if self.is_learnt:
                # One strange second, or the first of an attack, must not hide the next.
                rate = min(rate, self.limit(name))
                away = min(away, CLIPPED * deviation + FLOORS.get(name, FLOOR) / DEVIATIONS)
            rates[name] = _moved(before, rate, part)
            deviations[name] = _moved(deviation, away, part)
        features = self.features | {
            name: _moved(self.features.get(name, value), value, part) for name, value in seen.features.items()
        }
        return Usual(
            self.seconds + 1.0,
            rates,
            deviations,
            features,
            {
                name: _moved(self.mix.get(name, 0.0), seen.mix.get(name, 0.0), part)
                for name in self.mix.keys() | seen.mix.keys()
            },
        )

    def limit(self, name: str) -> float:
        """Return the rate above which a measure is unusual."""
        usual = self.rates.get(name, 0.0)
        return max(
            usual + FLOORS.get(name, FLOOR),
            FACTOR * usual,
            usual + DEVIATIONS * self.deviations.get(name, 0.0),
        )

    def excess(self, seen: Measures, name: str) -> float:
        """Return how much of a rate is above the usual; 0 unless it is above the limit."""
        rate = seen.rates.get(name, 0.0)
        return rate - self.rates.get(name, 0.0) if rate > self.limit(name) else 0.0

    def surplus(self, seen: Measures, name: str) -> float:
        """Return how much of a rate is above the usual, 0 for none."""
        return max(0.0, seen.rates.get(name, 0.0) - self.rates.get(name, 0.0))


def _moved(before: float, value: float, part: float) -> float:
    return before + (value - before) * part
