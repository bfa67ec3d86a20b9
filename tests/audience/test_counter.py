"""The counter of one process: what a person counts for, and what it forgets."""

from __future__ import annotations

from stormpetrel.audience import counter as module
from stormpetrel.audience.counter import ALL, KEY_BYTES, MEMBERS, WEB, VisitorCounter
from stormpetrel.audience.periods import periods_at
from stormpetrel.audience.sketch import estimate

DAY_S = 86_400
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


def test_a_restarted_watch_gets_every_register_again():
    counter = counting()
    for number in range(500):
        counter.add(b"account %d" % number, (WEB,))
    first = counter.take()
    assert not counter.take()
    counter.repeat()
    again = counter.take()
    assert sorted(map(str, again.updates)) == sorted(map(str, first.updates))


def test_a_report_has_a_limit_and_the_next_one_has_the_rest(monkeypatch):
    monkeypatch.setattr(module, "MAX_UPDATES", 100)
    counter = counting(periods=periods_at(NOON_S)[2:])
    for number in range(250):
        counter.add(b"account %d" % number, (WEB,))
    sizes = []
    while news := counter.take():
        sizes.append(sum(len(values) for *_, values in news.updates))
    assert sizes[:2] == [100, 100]
    assert 240 <= sum(sizes) <= 250


def test_a_period_that_ended_is_reported_and_then_overwritten():
    counter = VisitorCounter()
    day, _, month = periods_at(NOON_S)
    key = bytearray(b"k" * KEY_BYTES)
    counter.begin(day, key)
    counter.begin(month, bytearray(b"m" * KEY_BYTES))
    counter.tick(NOON_S)
    counter.add(b"account 1", (WEB,))
    assert counter.tick(day.until_s)
    counter.add(b"account 2", (WEB,))
    assert key == b"k" * KEY_BYTES
    news = counter.take()
    assert round(estimate(registers_of(news, day.name, WEB))) == 1
    assert round(estimate(registers_of(news, month.name, WEB))) == 2
    assert key == bytes(KEY_BYTES)
    assert not counter.tick(day.until_s + 1)


def test_nothing_is_counted_or_remembered_before_a_period_begins():
    counter = VisitorCounter()
    counter.add(b"account 1", (WEB,))
    counter.remember(12_345)
    assert not counter.has_seen(12_345)
    counter.count_person("account")
    assert not counter.take()


def test_a_person_seen_before_the_key_of_the_day_comes_is_counted_once_in_that_day():
    # The watch was down at midnight: the week and the month go on.
    day, week, month = periods_at(NOON_S)
    counter = counting(periods=(week, month))
    for is_begun in (False, True):
        if is_begun:
            counter.begin(day, bytearray(b"k" * KEY_BYTES))
            assert counter.tick(NOON_S + 1)
        counter.add(b"account 1", (WEB,))
        counter.count_person("account")
    news = counter.take()
    assert news.counts == {"known_by/account": 1}
    assert [round(estimate(registers_of(news, one.name, WEB))) for one in (day, week, month)] == [1, 1, 1]


def test_a_sighting_is_forgotten_when_the_day_ends():
    counter = counting()
    counter.remember(12_345)
    assert counter.has_seen(12_345)
    counter.begin(periods_at(NOON_S + DAY_S)[0], bytearray(KEY_BYTES))
    counter.tick(NOON_S + DAY_S)
    assert not counter.has_seen(12_345)
