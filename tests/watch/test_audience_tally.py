"""Merging the sketches of processes, and the numbers that they give."""

from __future__ import annotations

import json
import random
from array import array

import pytest

from stormpetrel.audience.counter import ALL, NAMES, WEB
from stormpetrel.audience.periods import period_named
from stormpetrel.audience.sketch import REGISTERS, place
from stormpetrel.watch.audience_tally import (
    MAX_COUNTS,
    AudienceTally,
    PeriodTally,
    new_tally,
    stored_tally,
)

NOVEMBER = period_named("2026-11")


def update(count, seed, *, sketch=WEB, name="2026-11"):
    """Return an update with `count` people."""
    rng = random.Random(seed)
    places = [place(rng.getrandbits(64)) for _ in range(count)]
    indexes = array("H", (index for index, _ in places))
    return (name, sketch, indexes.tobytes(), bytes(rank for _, rank in places))


@pytest.fixture
def tally():
    made = AudienceTally()
    made.periods["2026-11"] = new_tally(NOVEMBER, random.Random(5))
    return made


def web(tally):
    return tally.periods["2026-11"].numbers()["visitors/web"]


def test_a_new_period_has_sketches_that_are_not_empty_and_no_visitors(tally):
    filled = tally.periods["2026-11"].sketches
    assert 1000 < REGISTERS - filled[ALL].count(0) < 3100
    assert {bytes(sketch) for sketch in filled} == {bytes(filled[0])}
    assert web(tally) == 0
    assert bytes(new_tally(NOVEMBER, random.Random(6)).sketches[0]) != filled[0]


def test_the_same_people_at_two_workers_count_once(tally):
    tally.take([update(5_000, 1)], {}, {}, at_s=NOVEMBER.from_s)
    tally.take([update(5_000, 1), update(5_000, 2)], {}, {}, at_s=NOVEMBER.from_s)
    assert web(tally) == pytest.approx(10_000, rel=0.013)


def test_plain_counts_add_up_in_the_periods_that_run(tally):
    for _ in range(2):
        tally.take([], {"requests/programs": 3}, {"Feedly": 10}, at_s=NOVEMBER.from_s)
    tally.take([], {"requests/programs": 3}, {"Feedly": 8}, at_s=NOVEMBER.until_s)
    found = tally.periods["2026-11"].numbers()
    assert (found["requests/programs"], found["subscribers/announced"]) == (6, 10)


def test_news_about_other_periods_and_too_many_names_are_left_out(tally):
    tally.take([update(5, 1, name="2026-12"), update(5, 1, sketch=99)], {}, {}, at_s=NOVEMBER.from_s)
    names = {f"requests/{number}": 1 for number in range(2 * MAX_COUNTS)}
    tally.take([], names, {}, at_s=NOVEMBER.from_s)
    assert web(tally) == 0
    assert len(tally.periods["2026-11"].counts) == MAX_COUNTS


def test_a_stored_tally_is_the_same_afterwards(tally):
    tally.take([update(500, 1)], {"from/none": 2}, {"Feedly": 10}, at_s=NOVEMBER.from_s)
    before = tally.periods["2026-11"]
    plain = json.loads(json.dumps(before.plain()))
    after = stored_tally("2026-11", before.packed(), plain)
    assert isinstance(after, PeriodTally)
    assert (after.numbers(), after.sketches) == (before.numbers(), before.sketches)


@pytest.mark.parametrize("plain", [None, [], {}, {"baseline": "x", "counts": {}, "announced": {}}])
def test_a_tally_that_cannot_be_read_is_none(tally, plain):
    packed = tally.periods["2026-11"].packed()
    assert stored_tally("2026-11", packed, plain) is None
    assert stored_tally("2026-11", None, tally.periods["2026-11"].plain()) is None
    assert stored_tally("2026-11", packed[1:], tally.periods["2026-11"].plain()) is None
    assert len(packed) == len(NAMES)


def test_a_wiped_tally_has_empty_registers(tally):
    one = tally.periods["2026-11"]
    one.wipe()
    assert {bytes(sketch) for sketch in one.sketches} == {bytes(REGISTERS)}
