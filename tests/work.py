"""Measure the work of a function, to compare two sizes of its input. Never compare it with a clock."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest


def assert_linear(run: Callable[[int], object], *, sizes: tuple[int, int] = (8_192, 65_536)) -> None:
    """Assert that the larger input takes less than three times its share of the smaller one's work.

    A quadratic function takes as many times its share as the larger input is larger. Only this thread's own
    work counts. A disturbance of one trial does not repeat in all five.
    """
    small, large = sizes
    for _ in range(5):
        if _work(run, large) < 3 * (large / small) * max(_work(run, small), _work(run, small)):
            return
    pytest.fail(f"{large} bytes take more than three times their share of the work of {small}")


def _work(run: Callable[[int], object], size: int) -> float:
    begun = time.thread_time()
    run(size)
    return max(time.thread_time() - begun, 1e-5)
