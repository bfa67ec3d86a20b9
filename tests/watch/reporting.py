"""A worker's report with everything at rest, of which tests change the fields that matter to them."""

from __future__ import annotations

from typing import Any

from stormpetrel.shield.reports import WorkerReport

AT_REST: dict[str, Any] = {
    "worker": 0,
    "sequence": 1,
    "started_epoch_s": 100.0,
    "at_epoch_s": 2_000.0,
    "period_s": 1.0,
    "mode": "full",
    "running": 0,
    "connections": 0,
    "worst_wait_s": 0.0,
    "loop_lag_s": 0.0,
    "writer_wait_s": 0.0,
    "overload_since_epoch_s": 0.0,
    "onset_epoch_s": 0.0,
    "directions_version": 0,
    "paused": False,
    "demoted": 0,
}

OVERLOADED = {"overload_since_epoch_s": 990.0, "onset_epoch_s": 985.0}
"""The fields of a worker that is overloaded since second 990, by an attack that began at 985."""


def a_report(**changed: Any) -> WorkerReport:
    """Return the report of an idle second, with the given changes."""
    return WorkerReport(**(AT_REST | changed))
