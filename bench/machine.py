"""The machine's present speed, compared with the machine on which limits of CPU time and storms were set."""

from __future__ import annotations

import time

STEPS = 20_000
REFERENCE_S = 0.00135
"""The value of `calibration_s` on the machine where the limits were set."""


def calibration_s() -> float:
    """Return the CPU time of a fixed piece of Python, the best of five."""

    def steps() -> float:
        began_s = time.thread_time()
        found = 0
        for number in range(STEPS):
            found += len(str(number))
        return time.thread_time() - began_s

    return min(steps() for _ in range(5))


def slowness() -> float:
    """Return how many times longer this machine takes now than the reference; 1 if it is as fast or faster."""
    return max(1.0, calibration_s() / REFERENCE_S)
