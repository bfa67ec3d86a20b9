"""Numbers of visitors by period, and their growth."""

from __future__ import annotations

import pytest

from stormpetrel.audience.periods import period_named
from stormpetrel.model.audience import growth, names_needed, periods_between, rows_of

DAY_S = 86_400
NOVEMBER = period_named("2026-11")


@pytest.mark.parametrize(
    ("now", "earlier", "text"),
    [
        (20_100_000, 593_000, "34×"),
        (250, 100, "2.5×"),
        (200, 100, "2.0×"),
        (112, 100, "+12 %"),
        (100, 100, "+0 %"),
        (92, 100, "-8 %"),
        (5, 0, ""),
        (5, None, ""),
    ],
)
def test_growth_is_a_factor_or_percent(now, earlier, text):
    assert growth(now, earlier) == text


def test_a_month_is_compared_with_the_month_and_the_year_before():
    assert names_needed([NOVEMBER]) == ["2025-11", "2026-10", "2026-11"]
    stored = {
        "2026-11": {"a": {"visitors/all": 20_100_000}},
        "2026-10": {"a": {"visitors/all": 18_000_000}},
        "2025-11": {"a": {"visitors/all": 593_000}},
    }
    (row,) = rows_of([NOVEMBER], stored, now_s=NOVEMBER.until_s)
    assert (row.growth, row.year_growth) == ("+12 %", "34×")


def test_a_period_that_runs_has_no_growth_yet():
    stored = {"2026-11": {"a": {"visitors/all": 5}}, "2026-10": {"a": {"visitors/all": 4}}}
    (row,) = rows_of([NOVEMBER], stored, now_s=NOVEMBER.until_s - 1)
    assert row.is_running
    assert (row.growth, row.year_growth) == ("", "")


def test_several_machines_give_the_number_of_the_greatest():
    stored = {"2026-11": {"a": {"visitors/all": 5, "visitors/web": 5}, "b": {"visitors/all": 7}}}
    (row,) = rows_of([NOVEMBER], stored, now_s=NOVEMBER.until_s)
    assert (row.machines, row.visitors(), row.visitors("web")) == (2, 7, 5)


def test_the_periods_of_a_span_are_those_that_it_touches():
    from_s = NOVEMBER.from_s
    assert [one.name for one in periods_between("week", from_s=from_s, until_s=from_s + 8 * DAY_S)] == [
        "2026-W44",
        "2026-W45",
    ]
    assert periods_between("day", from_s=from_s, until_s=from_s) == []


def test_shares_add_up_and_begin_with_the_greatest():
    stored = {"2026-11": {"a": {"from/none": 3, "from/search": 1, "landing/home": 4}}}
    (row,) = rows_of([NOVEMBER], stored, now_s=NOVEMBER.until_s)
    assert row.share("from") == {"none": 0.75, "search": 0.25}
    assert list(row.share("from")) == ["none", "search"]
    assert row.share("known_by") == {}
