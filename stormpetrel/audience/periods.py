"""The periods in which visitors are counted: days, ISO weeks and months, in UTC."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

_DAY = re.compile(r"(\d{4})-(\d\d)-(\d\d)\Z")
_WEEK = re.compile(r"(\d{4})-W(\d\d)\Z")
_MONTH = re.compile(r"(\d{4})-(\d\d)\Z")


class Period(NamedTuple):
    """A day ("2026-11-29"), an ISO week ("2026-W48") or a month ("2026-11"). Times in seconds since 1970.

    `until_s` is the first second after it.
    """

    name: str
    from_s: int
    until_s: int

    @property
    def kind(self) -> str:
        """Return day, week or month."""
        return "week" if "W" in self.name else "day" if len(self.name) == 10 else "month"


def period_named(name: str) -> Period:
    """Return the period with that name. Raise ValueError if there is none."""
    if match := _WEEK.match(name):
        first = date.fromisocalendar(int(match[1]), int(match[2]), 1)
        return _period(name, first, first + timedelta(days=7))
    if match := _DAY.match(name):
        first = date(int(match[1]), int(match[2]), int(match[3]))
        return _period(name, first, first + timedelta(days=1))
    if match := _MONTH.match(name):
        first = date(int(match[1]), int(match[2]), 1)
        return _period(name, first, _next_month(first))
    raise ValueError(f"{name!r} is no day, week or month")


def periods_at(at_s: float) -> tuple[Period, Period, Period]:
    """Return the day, the week and the month in which a time is."""
    day = datetime.fromtimestamp(at_s, UTC).date()
    return period_named(day.isoformat()), week_of(day), period_named(f"{day:%Y-%m}")


def week_of(day: date) -> Period:
    """Return the ISO week of a day."""
    year, week, _ = day.isocalendar()
    return period_named(f"{year:04}-W{week:02}")


def before(period: Period) -> Period:
    """Return the period before."""
    return next(one for one in periods_at(period.from_s - 1) if one.kind == period.kind)


def year_before(period: Period) -> Period:
    """Return the same month of the year before, or the same day or week 52 weeks before (the same weekday)."""
    if period.kind == "month":
        return period_named(f"{int(period.name[:4]) - 1:04}{period.name[4:]}")
    earlier_s = period.from_s - 364 * 86_400
    return next(one for one in periods_at(earlier_s) if one.kind == period.kind)


def _next_month(first: date) -> date:
    return date(first.year + first.month // 12, first.month % 12 + 1, 1)


def _period(name: str, first: date, after: date) -> Period:
    return Period(name, _start_s(first), _start_s(after))


def _start_s(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())
