"""The visitors of this machine: the sketches of its processes, merged, and the numbers that they give."""

from __future__ import annotations

import random
from array import array
from collections import Counter
from collections.abc import Mapping, Sequence

from stormpetrel.audience.counter import ALL, MAX_SERVICES, NAMES, RETURNED, UNMARKED, WEB, Update
from stormpetrel.audience.periods import Period, period_named
from stormpetrel.audience.sketch import REGISTERS, estimate, fill, packed, union, unpacked

FILL_FROM, FILL_TO = 1024, 3072
"""The sketches of a period begin with a random number of hashes of nothing, in this range."""
MAX_COUNTS = 200
CHANNELS = NAMES[: ALL + 1]


class PeriodTally:
    """The merged counts of one period. `counts`: plain numbers; `announced`: subscribers by feed service.

    `earlier`: the numbers with which the period has ended before. It begins again if the clock is set back, or if
    counting was turned off for a while.
    `has_changed`, `is_unpublished`: since it was stored, and since its numbers went to the database.
    """

    __slots__ = (
        "announced",
        "baseline",
        "counts",
        "earlier",
        "has_changed",
        "is_unpublished",
        "period",
        "sketches",
    )

    def __init__(
        self,
        period: Period,
        sketches: list[bytearray],
        baseline: float,
        *,
        earlier: Mapping[str, int] | None = None,
    ) -> None:
        self.period = period
        self.sketches = sketches
        # The estimate of the sketches while they held nothing but their filling.
        self.baseline = baseline
        self.counts: Counter[str] = Counter()
        self.announced: dict[str, int] = {}
        self.earlier = dict(earlier or {})
        self.has_changed = self.is_unpublished = True

    def numbers(self) -> dict[str, int]:
        """Return the numbers of the period by name: visitors/CHANNEL, requests/…, known_by/…, landing/…, from/…."""
        sketches = self.sketches
        found = [max(0.0, estimate(sketch) - self.baseline) for sketch in sketches]
        # Both sketches were filled alike, so the filling is in neither part of the difference.
        unmarked = max(
            0.0, estimate(union(sketches[UNMARKED], sketches[RETURNED])) - estimate(sketches[RETURNED])
        )
        found[WEB] += unmarked
        found[ALL] += unmarked
        numbers = {f"visitors/{name}": round(found[sketch]) for sketch, name in enumerate(NAMES[:UNMARKED])}
        numbers["visitors/without_cookie"] = round(unmarked)
        if self.announced:
            numbers["subscribers/announced"] = sum(self.announced.values())
        numbers |= self.counts
        for name, count in self.earlier.items():
            # The key of the first part is gone, so people who came in both parts cannot be told: no one is counted
            # twice.
            is_people = name.startswith(("visitors/", "subscribers/"))
            numbers[name] = max(count, numbers.get(name, 0)) if is_people else count + numbers.get(name, 0)
        return numbers

    def plain(self) -> dict[str, object]:
        """Return the counts and other figures that the file beside the sketches has, ready for JSON."""
        return {
            "baseline": self.baseline,
            "counts": dict(self.counts),
            "announced": self.announced,
            "earlier": self.earlier,
        }

    def packed(self) -> list[bytes]:
        """Return the sketches in six bits for each register."""
        return [packed(sketch) for sketch in self.sketches]

    def wipe(self) -> None:
        """Overwrite the sketches."""
        for sketch in self.sketches:
            sketch[:] = bytes(REGISTERS)


def new_tally(period: Period, rng: random.Random, *, earlier: Mapping[str, int] | None = None) -> PeriodTally:
    """Return the tally of a period that begins, with its sketches filled by a secret number of hashes."""
    filled = bytearray(REGISTERS)
    fill(filled, rng.randrange(FILL_FROM, FILL_TO), rng)
    # All alike, so that a channel with every visitor has the same number as all together.
    return PeriodTally(period, [bytearray(filled) for _ in NAMES], estimate(filled), earlier=earlier)


def stored_tally(name: str, stored: Sequence[bytes] | None, plain: object) -> PeriodTally | None:
    """Return the tally of a period as it was stored; None if it cannot be read."""
    if stored is None or not isinstance(plain, dict):
        return None
    try:
        tally = PeriodTally(period_named(name), [unpacked(one) for one in stored], float(plain["baseline"]))
        tally.counts.update({str(key): int(value) for key, value in plain["counts"].items()})
        tally.announced.update({str(key): int(value) for key, value in plain["announced"].items()})
        tally.earlier.update({str(key): int(value) for key, value in plain.get("earlier", {}).items()})
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
    return tally if len(tally.sketches) == len(NAMES) else None


class AudienceTally:
    """The tallies of all periods that are not over, by name."""

    def __init__(self) -> None:
        self.periods: dict[str, PeriodTally] = {}

    def take(
        self,
        updates: Sequence[Update],
        counts: Mapping[str, int],
        announced: Mapping[str, int],
        *,
        at_s: float,
    ) -> None:
        """Merge the news of a process. Plain counts belong to the periods that run at `at_s`."""
        for name, sketch, indexes, values in updates:
            tally = self.periods.get(name)
            if tally is not None and 0 <= sketch < len(NAMES):
                _raise(tally.sketches[sketch], array("H", indexes), values)
                tally.has_changed = tally.is_unpublished = True
        if not counts and not announced:
            return
        for tally in self.periods.values():
            if tally.period.from_s <= at_s < tally.period.until_s:
                _add(tally, counts, announced)


def _raise(registers: bytearray, indexes: array[int], values: bytes) -> None:
    for index, value in zip(indexes, values, strict=True):
        if registers[index] < value:
            registers[index] = value


def _add(tally: PeriodTally, counts: Mapping[str, int], announced: Mapping[str, int]) -> None:
    for name, count in counts.items():
        if name in tally.counts or len(tally.counts) < MAX_COUNTS:
            tally.counts[name] += count
    for service, subscribers in announced.items():
        if service in tally.announced or len(tally.announced) < MAX_SERVICES:
            tally.announced[service] = max(subscribers, tally.announced.get(service, 0))
    tally.has_changed = tally.is_unpublished = True
