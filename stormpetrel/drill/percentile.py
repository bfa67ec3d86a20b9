"""The percentile of measured values."""

from __future__ import annotations

from collections.abc import Iterable
from math import ceil


def percentile(percent: float, values: Iterable[float]) -> float | None:
    """Return the percentile by nearest rank; None without values."""
    ordered = sorted(values)
    if not ordered:
        return None
    return ordered[max(0, ceil(len(ordered) * percent / 100) - 1)]
