"""Times and durations as text."""

from __future__ import annotations

import pytest

from stormpetrel.cli.times import ago, duration, when


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (119, "119 s"), (120, "2 min"), (7_199, "120 min"), (7_200, "2 h"), (172_800, "2 d")],
)
def test_a_duration_is_in_the_largest_unit_that_has_two(seconds, text):
    assert duration(seconds) == text


def test_a_time_is_in_utc_and_a_time_ahead_is_now():
    assert when(1_900_000_000.9) == "2030-03-17 17:46:40 UTC"
    assert ago(100.0, 190.0) == "90 s"
    assert ago(190.0, 100.0) == "0 s"
