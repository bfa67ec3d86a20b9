"""The audience: the visitors of the latest periods, and how many members were active."""

from __future__ import annotations

from stormpetrel.audience.periods import before, periods_at
from stormpetrel.model.audience import AudienceRow, names_needed, periods_between, rows_of
from stormpetrel.storage import audience as stored
from stormpetrel.storage.engine.connection import Connection

DAY_S = 86_400
SHOWN_S = {"day": 29 * DAY_S, "week": 11 * 7 * DAY_S, "month": 12 * 31 * DAY_S}
"""How far back the rows of each kind go: 30 days, 12 weeks, 13 months."""
HALF_YEAR = 6
MEMBERS = "visitors/members"


def rows(connection: Connection, *, kind: str, now_ms: int) -> list[AudienceRow]:
    """Return the latest periods of a kind (day, week, month) that were counted, oldest first."""
    now_s = now_ms / 1000
    periods = periods_between(kind, from_s=now_s - SHOWN_S[kind], until_s=now_s + 1)
    return rows_of(periods, stored.numbers_of(connection, periods=names_needed(periods)), now_s=now_s)


def active_members(connection: Connection, *, periods: list[str]) -> list[int]:
    """Return how many members came in each of these periods; 0 for one that was not counted."""
    found = stored.numbers_of(connection, periods=periods)
    return [
        max((numbers.get(MEMBERS, 0) for numbers in found.get(period, {}).values()), default=0)
        for period in periods
    ]


def active_months(connection: Connection, *, now_ms: int) -> tuple[int, int]:
    """Return how many members came in a month, and in half a year; 0 if that was not counted.

    Months cannot be added up, so both are the greatest number of a month: of this one and the last one, and of the
    last six with this one.
    """
    months = [periods_at(now_ms / 1000)[2]]
    for _ in range(HALF_YEAR):
        months.append(before(months[-1]))
    members = active_members(connection, periods=[month.name for month in months])
    return max(members[:2]), max(members)
