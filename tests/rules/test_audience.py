"""The numbers of visitors as rules read them: the latest periods, and the members who were active."""

from __future__ import annotations

from stormpetrel.audience.periods import before, periods_at
from stormpetrel.rules import audience, instance
from stormpetrel.storage.audience import store_numbers


def count(store, numbers):
    """Store numbers of periods, by their distance from the present one: ("month", 1) is the last month."""
    named = {}
    for (kind, ago), found in numbers.items():
        period = next(one for one in periods_at(store.now_ms / 1000) if one.kind == kind)
        for _ in range(ago):
            period = before(period)
        named[period.name] = found
    store_numbers(store.url, machine="a", numbers=named)


def test_the_latest_periods_are_listed_oldest_first(store):
    count(store, {("day", 0): {"visitors/all": 1}, ("day", 2): {"visitors/all": 3}, ("day", 40): {}})
    rows = store.do(audience.rows, kind="day", now_ms=store.now_ms)
    assert [row.visitors() for row in rows] == [3, 1]
    assert [row.is_running for row in rows] == [False, True]
    assert store.do(audience.rows, kind="month", now_ms=store.now_ms) == []


def test_members_who_came_are_the_active_ones_where_they_were_counted(store):
    store.post(store.person())
    assert store.do(instance.active_members, now_ms=store.now_ms) == (1, 1)
    count(
        store,
        {
            ("month", 0): {"visitors/members": 4},
            ("month", 1): {"visitors/members": 9},
            ("month", 6): {"visitors/members": 20},
            ("month", 7): {"visitors/members": 99},
            ("week", 1): {"visitors/members": 7},
        },
    )
    assert store.do(instance.active_members, now_ms=store.now_ms) == (9, 20)
    starts = instance.week_starts(store.now_ms)
    weeks = [store.do(instance.week, start_ms=start_ms) for start_ms in starts[:3]]
    assert [week.active for week in weeks] == [1, 7, 0]
