"""SteadyClock does not follow a jump of the clock at once."""

from __future__ import annotations

import time

import pytest

from stormpetrel.clock import DAY_MS, LARGE_STEP_HELD_MS, NS, SMALL_STEP_HELD_MS, STEP_MS, SteadyClock, now_ms


class Machine:
    """A machine's two clocks, in milliseconds."""

    def __init__(self) -> None:
        self.wall_ms = 1_000_000_000_000
        self.steady_ms = 5_000
        self.clock = SteadyClock(lambda: self.wall_ms * NS, lambda: self.steady_ms * NS)

    def passes(self, ms: int) -> int:
        self.wall_ms += ms
        self.steady_ms += ms
        return self.clock.now_ms()


def test_time_that_passes_and_small_corrections_are_followed() -> None:
    machine = Machine()
    for _ in range(100):
        machine.wall_ms += STEP_MS - 1
        assert machine.passes(1000) == machine.wall_ms
    assert machine.clock.step_ms == 0


@pytest.mark.parametrize("step_ms", [400 * DAY_MS, -400 * DAY_MS, 2 * DAY_MS, -3_600_000, 3_600_000])
def test_a_jump_that_is_taken_back_leaves_no_trace(step_ms: int) -> None:
    machine = Machine()
    before_ms = machine.passes(1000)
    machine.wall_ms += step_ms
    for minute in range(1, 6):
        assert machine.passes(60_000) == before_ms + minute * 60_000
        assert machine.clock.step_ms == step_ms
    machine.wall_ms -= step_ms
    assert machine.passes(1000) == machine.wall_ms
    assert machine.clock.step_ms == 0


@pytest.mark.parametrize(
    ("step_ms", "held_ms"),
    [
        (3_600_000, SMALL_STEP_HELD_MS),
        (-3_600_000, SMALL_STEP_HELD_MS),
        (40 * DAY_MS, LARGE_STEP_HELD_MS),
    ],
)
def test_a_jump_that_stays_is_followed_in_the_end(step_ms: int, held_ms: int) -> None:
    machine = Machine()
    machine.passes(1000)
    machine.wall_ms += step_ms
    machine.passes(1000)
    assert machine.passes(held_ms - 1) == machine.wall_ms - step_ms
    assert machine.passes(1) == machine.wall_ms
    assert machine.passes(1000) == machine.wall_ms


def test_a_second_jump_begins_its_own_time() -> None:
    machine = Machine()
    machine.passes(1000)
    machine.wall_ms += 3_600_000
    machine.passes(1000)
    machine.passes(SMALL_STEP_HELD_MS - 1000)
    machine.wall_ms += 3_600_000
    assert machine.passes(2000) == machine.wall_ms - 2 * 3_600_000


def test_it_is_the_machines_time_otherwise() -> None:
    assert abs(now_ms() - time.time() * 1000) < 5_000
