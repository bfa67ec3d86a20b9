"""The counter of one process: what a person counts for, and what it forgets."""

from __future__ import annotations

from stormpetrel.audience.counter import ALL, KEY_BYTES, MEMBERS, WEB, VisitorCounter
from stormpetrel.audience.periods import periods_at
from stormpetrel.audience.sketch import estimate

NOON_S = 1_795_953_600.0  # 2026-11-29 12:00 UTC


def counting(at_s=NOON_S, periods=None):
    counter = VisitorCounter()
    for period in periods or periods_at(at_s):
        counter.begin(period, bytearray(b"k" * KEY_BYTES))
    counter.tick(at_s)
    return counter


def registers_of(news, name, sketch):
    found = bytearray(1 << 16)
    for period, number, indexes, values in news.updates:
        if (period, number) == (name, sketch):
            for at, value in enumerate(values):
                found[int.from_bytes(indexes[2 * at : 2 * at + 2], "little")] = value
    return found


def test_a_person_counts_once_in_each_period_and_channel():
    counter = counting()
    for _ in range(3):
        counter.add(b"account 1", (WEB, ALL, MEMBERS))
    counter.add(b"account 2", (WEB, ALL, MEMBERS))
    news = counter.take()
    assert {name for name, *_ in news.updates} == {"2026-11-29", "2026-W48", "2026-11"}
    assert round(estimate(registers_of(news, "2026-11", WEB))) == 2
    assert not counter.take()
