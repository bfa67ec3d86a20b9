"""The CPU time that strangers may use under overload, on plain numbers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stormpetrel.shield.allowance import (
    FLOOR,
    LATE_S,
    LATE_WINDOWS,
    NO_LIMIT_S,
    DemotedAllowance,
    StrangersAllowance,
)
from stormpetrel.shield.overload import WINDOW_S

FLOOR_S = FLOOR * WINDOW_S


def limited() -> StrangersAllowance:
    """Return an allowance at its floor."""
    allowance = StrangersAllowance()
    for _ in range(20):
        allowance.spend(min(WINDOW_S, allowance.left_s))
        allowance.turn(lag_s=1.0)
    assert allowance.left_s == pytest.approx(FLOOR_S)
    return allowance


def test_strangers_are_not_limited_before_the_loop_is_late():
    allowance = StrangersAllowance()
    for _ in range(100):
        allowance.spend(WINDOW_S)
        allowance.turn(lag_s=LATE_S)
        assert allowance.left_s == NO_LIMIT_S


def test_while_the_loop_is_late_each_window_allows_less_down_to_the_floor():
    allowance = StrangersAllowance()
    left = []
    for _ in range(20):
        allowance.spend(min(WINDOW_S, allowance.left_s))
        allowance.turn(lag_s=LATE_S + 0.001)
        left.append(allowance.left_s)
    assert left[:2] == [pytest.approx(0.08), pytest.approx(0.064)]
    assert left == sorted(left, reverse=True)
    assert left[-1] == pytest.approx(FLOOR_S)


def test_a_late_loop_is_not_the_strangers_fault_if_they_use_less_than_the_floor():
    allowance = StrangersAllowance()
    for _ in range(20):
        allowance.spend(FLOOR_S - 0.001)
        allowance.turn(lag_s=1.0)
    assert allowance.left_s == NO_LIMIT_S


def test_a_late_window_is_longer_and_strangers_have_their_share_of_it():
    allowance = limited()
    for _ in range(10):
        allowance.spend(allowance.left_s)
        allowance.turn(lag_s=0.2, passed_s=0.3)
        assert allowance.left_s == pytest.approx(FLOOR * 0.3)


def test_the_allowance_grows_again_when_the_loop_is_in_time():
    allowance = limited()
    windows = 0
    while allowance.left_s < NO_LIMIT_S:
        allowance.turn(lag_s=0.0)
        windows += 1
    assert windows == 25


def test_without_overload_nothing_is_limited_or_owed():
    allowance = limited()
    allowance.spend(9.0)
    allowance.lift()
    assert allowance.left_s == NO_LIMIT_S
    allowance.turn(lag_s=1.0)
    assert allowance.left_s == NO_LIMIT_S


@given(st.lists(st.tuples(st.floats(0, 0.2), st.floats(0.1, 0.5)), min_size=1, max_size=200))
def test_a_step_longer_than_the_allowance_is_paid_in_the_next_windows(windows):
    allowance = limited()
    used_s = 0.0
    allowed_s = allowance.left_s
    for step_s, passed_s in windows:
        # A step begins while something is left.
        if allowance.left_s > 0.0:
            allowance.spend(step_s)
            used_s += step_s
        assert used_s <= allowed_s + max(step for step, _ in windows)
        before_s = allowance.left_s
        allowance.turn(lag_s=1.0, passed_s=passed_s)
        allowed_s += allowance.left_s - min(0.0, before_s)


def test_demoted_clients_have_their_share_of_a_late_window_and_of_some_after_it():
    allowance = DemotedAllowance(0.03)
    assert allowance.left_s == NO_LIMIT_S
    left = []
    for lag_s in (LATE_S, LATE_S + 0.001, *[0.0] * LATE_WINDOWS):
        allowance.turn(lag_s=lag_s, passed_s=0.2)
        left.append(allowance.left_s)
    assert left == [NO_LIMIT_S, *[pytest.approx(0.006)] * LATE_WINDOWS, NO_LIMIT_S]


@given(st.lists(st.tuples(st.floats(0.001, 2.0), st.floats(0.1, 0.5)), min_size=1, max_size=200))
def test_expensive_requests_of_demoted_clients_get_no_more_than_their_share(
    windows: list[tuple[float, float]],
) -> None:
    allowance = DemotedAllowance(0.03)
    used_s = passed_in_all_s = 0.0
    for cost_s, passed_s in windows:
        allowance.turn(lag_s=1.0, passed_s=passed_s)
        passed_in_all_s += passed_s
        # A request begins while something is left.
        if allowance.left_s > 0.0:
            allowance.left_s -= cost_s
            used_s += cost_s
        assert used_s <= 0.03 * passed_in_all_s + max(cost for cost, _ in windows) + 1e-9


def test_demoted_clients_owe_nothing_after_the_late_windows() -> None:
    allowance = DemotedAllowance(0.03)
    allowance.turn(lag_s=1.0, passed_s=0.1)
    allowance.left_s -= 9.0
    for _ in range(LATE_WINDOWS):
        allowance.turn(lag_s=0.0, passed_s=0.1)
    assert allowance.left_s == NO_LIMIT_S
    allowance.turn(lag_s=1.0, passed_s=0.1)
    assert allowance.left_s == pytest.approx(0.003)
