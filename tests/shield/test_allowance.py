"""The CPU time that strangers may use under overload, on plain numbers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stormpetrel.shield.allowance import FLOOR_S, LATE_S, NO_LIMIT_S, StrangersAllowance
from stormpetrel.shield.overload import WINDOW_S


def test_strangers_are_not_limited_before_the_loop_is_late():
    allowance = StrangersAllowance()
    for _ in range(100):
        allowance.used_s += WINDOW_S
        allowance.turn(lag_s=LATE_S)
        assert (allowance.used_s, allowance.allowed_s) == (0.0, NO_LIMIT_S)


def test_while_the_loop_is_late_each_window_allows_less_down_to_the_share_of_their_classes():
    allowance = StrangersAllowance()
    allowed = []
    for _ in range(20):
        allowance.used_s = min(WINDOW_S, allowance.allowed_s)
        allowance.turn(lag_s=LATE_S + 0.001)
        allowed.append(allowance.allowed_s)
    assert allowed[:2] == [pytest.approx(0.08), pytest.approx(0.064)]
    assert allowed == sorted(allowed, reverse=True)
    assert allowed[-1] == FLOOR_S == pytest.approx(0.018)


def test_a_late_loop_is_not_the_strangers_fault_if_they_used_little():
    allowance = StrangersAllowance()
    for _ in range(20):
        allowance.used_s += FLOOR_S / 2
        allowance.turn(lag_s=1.0)
    assert allowance.allowed_s == NO_LIMIT_S


def test_the_allowance_grows_again_when_the_loop_is_in_time():
    allowance = StrangersAllowance()
    for _ in range(20):
        allowance.used_s = WINDOW_S
        allowance.turn(lag_s=1.0)
    assert allowance.allowed_s == FLOOR_S
    windows = 0
    while allowance.allowed_s < NO_LIMIT_S:
        allowance.turn(lag_s=0.0)
        windows += 1
    assert windows == 36


def test_without_overload_nothing_is_limited_or_owed():
    allowance = StrangersAllowance()
    allowance.used_s = 9.0
    allowance.turn(lag_s=1.0)
    allowance.lift()
    assert (allowance.used_s, allowance.allowed_s) == (0.0, NO_LIMIT_S)


@given(st.lists(st.floats(0, 0.2), min_size=1, max_size=200))
def test_a_step_longer_than_the_allowance_is_paid_in_the_next_windows(steps):
    allowance = StrangersAllowance()
    allowance.used_s = WINDOW_S
    allowance.turn(lag_s=1.0)
    used_s = allowed_s = 0.0
    for step_s in steps:
        allowed_s += allowance.allowed_s
        # A step begins while something is left.
        if allowance.used_s < allowance.allowed_s:
            allowance.used_s += step_s
            used_s += step_s
        assert used_s <= allowed_s + max(steps)
        allowance.turn(lag_s=1.0)
