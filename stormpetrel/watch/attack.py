"""Decides from the reports of all workers when an attack began and ended. A pure step, once a second."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from stormpetrel.shield.overload import LATE_S, SETTLED_S
from stormpetrel.shield.reports import WorkerReport

CALM_S = 60.0
"""An attack that pulses (5 s on, 10 s off) is one attack: it is over after this long without an overload."""


@dataclass(frozen=True, slots=True)
class Attack:
    """`onset_epoch_s`: when it began, 0 for none. `overload_since_epoch_s`: 0 while no worker is overloaded.

    `overloaded_at_epoch_s`: when a worker was last seen overloaded.
    """

    onset_epoch_s: float = 0.0
    overload_since_epoch_s: float = 0.0
    overloaded_at_epoch_s: float = 0.0


def step(
    before: Attack, reports: Iterable[WorkerReport], *, now_epoch_s: float, saw_calm: bool = False
) -> Attack:
    """Return the state after the workers' newest reports, one for each worker that is alive.

    The onset is the earliest that an overloaded worker knows of. Workers that only repeat the watch's
    directions do not count, or an attack would keep itself alive. A worker that was overloaded from its start
    cannot date the onset. If no other worker can, the onset is the overload's beginning when the watch saw calm
    before (`saw_calm`), otherwise a day (LATE_S) before it.
    """
    overloaded = [report for report in reports if report.overload_since_epoch_s > 0]
    if not overloaded:
        if before.onset_epoch_s and now_epoch_s - before.overloaded_at_epoch_s >= CALM_S:
            return Attack()
        return Attack(before.onset_epoch_s, 0.0, before.overloaded_at_epoch_s)
    since_s = min(report.overload_since_epoch_s for report in overloaded)
    # Never later than the onset before: no credential may become "older than the attack" while it lasts.
    known = [before.onset_epoch_s] if before.onset_epoch_s else []
    for report in overloaded:
        if report.overload_since_epoch_s - report.started_epoch_s >= SETTLED_S:
            known += [at_s for at_s in (report.overload_since_epoch_s, report.onset_epoch_s) if at_s > 0]
    if not known:
        known = [since_s if saw_calm else since_s - LATE_S]
    return Attack(min(known), since_s, now_epoch_s)
