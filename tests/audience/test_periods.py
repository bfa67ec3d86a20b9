"""Days, ISO weeks and months in UTC."""

from __future__ import annotations

import pytest

from stormpetrel.audience.periods import before, period_named, periods_at, year_before

DAY_S = 86_400


def names(at_s):
    return [one.name for one in periods_at(at_s)]


def test_a_time_is_in_a_day_a_week_and_a_month():
    assert names(1_795_953_600) == ["2026-11-29", "2026-W48", "2026-11"]


def test_a_week_belongs_to_the_year_of_its_thursday():
    new_year = period_named("2027-01-01")
    assert names(new_year.from_s) == ["2027-01-01", "2026-W53", "2027-01"]
    week = period_named("2026-W53")
    assert (week.until_s - week.from_s) == 7 * DAY_S


@pytest.mark.parametrize("name", ["2026-11-29", "2026-W48", "2026-11", "2024-02", "2026-12"])
def test_a_period_ends_where_the_next_one_begins(name):
    period = period_named(name)
    after = next(one for one in periods_at(period.until_s) if one.kind == period.kind)
    assert after.from_s == period.until_s
    assert before(after) == period


@pytest.mark.parametrize(
    ("name", "earlier"),
    [("2026-11", "2025-11"), ("2026-W48", "2025-W48"), ("2026-11-29", "2025-11-30"), ("2024-02", "2023-02")],
)
def test_the_year_before_is_the_same_month_or_52_weeks_before(name, earlier):
    assert year_before(period_named(name)).name == earlier


@pytest.mark.parametrize("name", ["", "2026", "2026-13", "2026-W54", "2026-02-30", "2026-11\n", "../x"])
def test_other_names_are_no_periods(name):
    with pytest.raises(ValueError, match=r"."):
        period_named(name)
