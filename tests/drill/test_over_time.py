"""The values of a run over time, as the charts draw them."""

from __future__ import annotations

import pytest

from stormpetrel.drill import over_time
from stormpetrel.drill.over_time import Slices
from stormpetrel.drill.record import FAILED, REFUSED, AttackSecond
from tests.drill.lines import line


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (1, Slices(2, 1)),
        (60, Slices(2, 30)),
        (61, Slices(2, 31)),
        (300, Slices(4, 75)),
        (3600, Slices(40, 90)),
    ],
)
def test_a_run_is_cut_into_at_most_ninety_slices_of_whole_seconds(seconds, expected):
    assert over_time.slices(seconds) == expected


def test_a_moment_after_the_end_is_in_the_last_slice_and_one_before_the_start_in_the_first():
    cut = Slices(2, 5)
    assert [cut.of(t) for t in (-1, 0, 1.9, 2, 9.9, 12)] == [0, 0, 0, 1, 4, 4]


def test_kept_is_the_share_of_first_attempts_that_were_served_and_a_gap_where_nobody_asked():
    lines = [line(0.5), line(1, FAILED), line(1, REFUSED, is_retry=True), line(4, REFUSED), line(5)]
    lines += [line(0, channel="web", app="")]
    assert over_time.kept(lines, Slices(2, 3)) == {"apps": (50.0, None, 50.0), "web": (100.0, None, None)}


def test_channels_come_in_their_usual_order_and_unknown_ones_last():
    lines = [line(0, channel=channel) for channel in ("zebra", "new", "web", "apps")]
    assert list(over_time.kept(lines, Slices(2, 1))) == ["apps", "web", "new", "zebra"]


def test_latency_is_that_of_members_requests_that_were_served():
    lines = [line(0, ms=ms) for ms in (10.0, 20.0, 30.0)]
    lines += [line(0, REFUSED, ms=900.0), line(0, channel="new", ms=800.0)]
    assert over_time.latency_ms(lines, Slices(2, 2), 50) == (20.0, None)
    assert over_time.latency_ms(lines, Slices(2, 2), 99) == (30.0, None)


def test_refusals_are_counted_a_second_with_retries():
    lines = [line(0, REFUSED), line(1, REFUSED, is_retry=True), line(1), line(3, FAILED)]
    assert over_time.refused_per_s(lines, Slices(2, 2)) == (1.0, 0.0)


def test_vectors_are_told_apart_and_come_by_number():
    attacks = [
        AttackSecond(0, "A10", 10, 1, 4, 0, 5),
        AttackSecond(1, "A10", 30, 1, 0, 0, 5),
        AttackSecond(2, "A3", 8, 8, 0, 0, 5),
        AttackSecond(2, "A17", 0, 0, 0, 0, 0),
    ]
    found = over_time.vectors(attacks, Slices(2, 2))
    assert list(found) == ["A3", "A10"]
    assert found["A10"] == over_time.VectorRates((20.0, 0.0), (2.0, 0.0), 40, 4, 30)
    assert over_time.attackers_refused_per_s(attacks, Slices(2, 2)) == (2.0, 0.0)


def test_the_extreme_of_nothing_is_nothing():
    assert over_time.extreme((None, 3.0, 1.0), min) == 1.0
    assert over_time.extreme((None,), max) is None
