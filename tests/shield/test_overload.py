"""Overload, and the onset and the end of an attack."""

from __future__ import annotations

import pytest

from stormpetrel.shield.overload import (
    CALM_S,
    DECLARED_AT,
    HIGHEST,
    LATE_S,
    SETTLED_S,
    WINDOW_S,
    Overload,
)

EPOCH_S = 1_000_000.0


class Clock:
    """An `Overload` and the time, advanced window by window."""

    def __init__(self, *, settled: bool = True) -> None:
        self.overload = Overload(5, at_s=0.0)
        self.at_s = SETTLED_S + 1.0 if settled else 1.0

    def windows(self, count: int, **keys: object) -> None:
        for _ in range(count):
            self.at_s += WINDOW_S
            wait_s = keys.get("wait_s")
            if wait_s is not None:
                self.overload.waited(1, wait_s)  # type: ignore[arg-type]
            self.overload.turn(
                at_s=self.at_s,
                epoch_s=EPOCH_S + self.at_s,
                **{name: value for name, value in keys.items() if name != "wait_s"},  # type: ignore[arg-type]
                **({"oldest_waits_s": (0.0,) * 5} if "oldest_waits_s" not in keys else {}),
            )


@pytest.mark.parametrize(
    "keys",
    [
        {"wait_s": 0.03},
        {"oldest_waits_s": (0.0, 0.0, 0.0, 0.2, 0.0)},
        {"lag_s": 0.1},
        {"writer_wait_s": 0.5},
    ],
    ids=["the queue", "one who waits", "the loop", "the writer"],
)
def test_half_a_second_of_any_of_these_is_overload(keys: dict[str, object]) -> None:
    clock = Clock()
    clock.windows(DECLARED_AT - 1, **keys)
    assert not clock.overload.is_overloaded
    clock.windows(1, **keys)
    assert clock.overload.is_overloaded
    assert clock.overload.onset_epoch_s == pytest.approx(EPOCH_S + SETTLED_S + 1.0)


@pytest.mark.parametrize(
    "keys", [{"wait_s": 0.015}, {"lag_s": 0.03}, {"writer_wait_s": 0.1}, {"oldest_waits_s": (0.05,) * 5}]
)
def test_less_is_none(keys: dict[str, object]) -> None:
    clock = Clock()
    clock.windows(100, **keys)
    assert not clock.overload.onset_epoch_s


def test_one_who_did_not_wait_says_that_it_was_a_burst() -> None:
    clock = Clock()
    for _ in range(50):
        clock.overload.waited(1, 0.5)
        clock.overload.waited(1, 0.001)
        clock.windows(1)
    assert not clock.overload.is_overloaded
    assert clock.overload.worst_wait_s == 0.5


def test_pulses_are_one_attack_and_a_calm_minute_ends_it() -> None:
    clock = Clock()
    clock.windows(20, wait_s=0.1)
    onset_s = clock.overload.onset_epoch_s
    for _ in range(5):
        clock.windows(HIGHEST)
        assert not clock.overload.is_overloaded
        clock.windows(100)
        clock.windows(50, wait_s=0.1)
        assert clock.overload.is_overloaded
        assert clock.overload.onset_epoch_s == onset_s
    clock.windows(HIGHEST)
    clock.windows(round(CALM_S / WINDOW_S) - 2)
    assert clock.overload.onset_epoch_s == onset_s
    clock.windows(2)
    assert clock.overload.onset_epoch_s == clock.overload.cutoff_epoch_s == 0.0


def test_overload_at_the_start_may_be_older_than_the_worker_so_only_a_day_counts() -> None:
    clock = Clock(settled=False)
    clock.windows(20, wait_s=0.1)
    onset_s = clock.overload.onset_epoch_s
    assert clock.overload.cutoff_epoch_s == onset_s - LATE_S
    clock.overload.direct(onset_s - 100.0)
    assert clock.overload.cutoff_epoch_s == onset_s - 100.0
    assert clock.overload.onset_epoch_s == onset_s - 100.0


def test_what_watch_knows_counts_where_nothing_is_felt() -> None:
    clock = Clock()
    clock.overload.direct(EPOCH_S)
    assert clock.overload.cutoff_epoch_s == EPOCH_S
    clock.overload.direct(0.0)
    assert clock.overload.cutoff_epoch_s == 0.0


def test_overload_at_the_start_is_no_older_than_the_worker_if_watch_knew_of_calm() -> None:
    clock = Clock(settled=False)
    clock.overload.direct(0.0, is_calm=True)
    clock.windows(20, wait_s=0.1)
    assert clock.overload.cutoff_epoch_s == clock.overload.onset_epoch_s > 0.0


def test_calm_that_watch_reports_after_the_overload_began_changes_no_onset() -> None:
    clock = Clock(settled=False)
    clock.windows(20, wait_s=0.1)
    clock.overload.direct(0.0, is_calm=True)
    assert clock.overload.cutoff_epoch_s == clock.overload.onset_epoch_s - LATE_S
