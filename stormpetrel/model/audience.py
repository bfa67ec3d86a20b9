"""The audience as numbers: visitors by period and channel, and their growth."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from stormpetrel.audience.periods import Period, before, periods_at, year_before

CHANNELS = ("web", "apps", "feeds", "sms")
TIMES_FROM = 2.0
"""Growth is shown as a factor from this one up, and in percent below it."""


@dataclass(frozen=True, slots=True)
class AudienceRow:
    """One period. `numbers`: by name, as the watch has counted them; `machines`: how many have counted.

    With several machines, each number is that of the machine with the greatest: a person who came to two of them is
    in both. `is_running`: the period is not over. `earlier`, `year_earlier`: all visitors of the period before and
    of the same period a year before; None if they were not counted.
    """

    period: Period
    numbers: Mapping[str, int]
    machines: int
    is_running: bool
    earlier: int | None
    year_earlier: int | None

    @property
    def name(self) -> str:
        """Return the period's name."""
        return self.period.name

    def visitors(self, channel: str = "all") -> int:
        """Return the unique visitors of a channel, or of all together."""
        return self.numbers.get(f"visitors/{channel}", 0)

    def count(self, name: str) -> int:
        """Return the number with that name; 0 if there is none."""
        return self.numbers.get(name, 0)

    def share(self, name: str) -> dict[str, float]:
        """Return the shares (0 to 1) of the counts below `name`, for example "from", the greatest first."""
        prefix = f"{name}/"
        counts = {key[len(prefix) :]: count for key, count in self.numbers.items() if key.startswith(prefix)}
        total = sum(counts.values())
        return {key: count / total for key, count in sorted(counts.items(), key=lambda one: -one[1]) if total}

    @property
    def growth(self) -> str:
        """Return the growth against the period before; "" if there is none to compare, or while it runs."""
        return "" if self.is_running else growth(self.visitors(), self.earlier)

    @property
    def year_growth(self) -> str:
        """Return the growth against the same period a year before; "" as for `growth`."""
        return "" if self.is_running else growth(self.visitors(), self.year_earlier)


def growth(now: int, earlier: int | None) -> str:
    """Return the growth: a factor from TIMES_FROM up, else percent with a sign; "" if there was nothing before."""
    if not earlier:
        return ""
    factor = now / earlier
    if factor >= TIMES_FROM:
        return f"{factor:.0f}×" if factor >= 10 else f"{factor:.1f}×"
    percent = round((factor - 1) * 100)
    return f"{percent:+} %"


def periods_between(kind: str, *, from_s: float, until_s: float) -> list[Period]:
    """Return the periods of a kind (day, week, month) that are at least partly in a span of time, oldest first."""
    found: list[Period] = []
    at_s = from_s
    while at_s < until_s:
        period = next(one for one in periods_at(at_s) if one.kind == kind)
        found.append(period)
        at_s = period.until_s
    return found


def names_needed(periods: Iterable[Period]) -> list[str]:
    """Return the names of these periods and of those that their growth is measured against."""
    names: set[str] = set()
    for period in periods:
        names |= {period.name, before(period).name, year_before(period).name}
    return sorted(names)


def rows_of(
    periods: Iterable[Period], stored: Mapping[str, Mapping[str, Mapping[str, int]]], *, now_s: float
) -> list[AudienceRow]:
    """Return a row for each period that was counted. `stored`: numbers by name, by machine, by period."""
    rows = []
    for period in periods:
        machines = stored.get(period.name)
        if machines:
            rows.append(
                AudienceRow(
                    period=period,
                    numbers=_greatest(machines),
                    machines=len(machines),
                    is_running=now_s < period.until_s,
                    earlier=_visitors(stored, before(period)),
                    year_earlier=_visitors(stored, year_before(period)),
                )
            )
    return rows


def _visitors(stored: Mapping[str, Mapping[str, Mapping[str, int]]], period: Period) -> int | None:
    machines = stored.get(period.name)
    return _greatest(machines).get("visitors/all") if machines else None


def _greatest(machines: Mapping[str, Mapping[str, int]]) -> dict[str, int]:
    found: dict[str, int] = {}
    for numbers in machines.values():
        for name, count in numbers.items():
            found[name] = max(count, found.get(name, 0))
    return found
