"""The watch's state: the combined reports of the workers, the attack, the orders. Time is an argument."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from stormpetrel.bounded import BoundedTable, Eviction
from stormpetrel.control.messages import LoadPoint, OffenderState, WorkerState
from stormpetrel.shield.reports import OUTCOMES, Directions, Offender, WorkerReport
from stormpetrel.storage.journal import Note
from stormpetrel.watch.attack import CALM_S, Attack, step
from stormpetrel.watch.collateral import CollateralLog
from stormpetrel.watch.counts import Rates, Totals, Window, merged_offenders
from stormpetrel.watch.moments import MomentBuilder
from stormpetrel.watch.orders import OperatorRules

ALIVE_S = 5.0
"""A worker without a report for this long counts as gone."""
FRESH_S = 2.5
"""Reports younger than this count as the present: they arrive once a second."""
MAX_WORKERS = 256
LOAD_S = 600
"""Seconds of load that are kept for charts."""
OFFENDER_SHARE = 0.25
OFFENDER_CPU_S = 0.05
"""Under overload, a client with this share of all CPU time, and at least this much in a second, is noted …"""
OFFENDER_AGAIN_S = 60.0
MAX_OFFENDER_NOTES = 10
"""… once in OFFENDER_AGAIN_S, and at most this many of them: people read the journal."""


@dataclass(slots=True)
class _Worker:
    pid: int
    report: WorkerReport | None = None
    came_s: float = 0.0


class ClusterState:
    """The watch's state of this machine. `restarts`: workers that came back as new processes.

    `saw_calm`: the watch before this one ended without an attack, so that one that is found now is younger.
    """

    def __init__(self, *, attack: Attack | None = None, saw_calm: bool = False) -> None:
        self.orders = OperatorRules()
        self.totals = Totals()
        self.collateral = CollateralLog()
        self.attack = attack or Attack()
        self.restarts = 0
        self.has_guard = False
        """Whether a guard runs, which needs the sources of refused requests."""
        self.load: deque[LoadPoint] = deque(maxlen=LOAD_S)
        self.moments = MomentBuilder()
        self._window = Window()
        self._workers: BoundedTable[str, _Worker] = BoundedTable(MAX_WORKERS, evicts=Eviction.OLDEST)
        self._noted: dict[str, float] = {}
        self._saw_calm = saw_calm
        self._calm_turns = 0

    def hello(self, name: str, pid: int, *, now_epoch_s: float) -> list[Note]:
        """Register a worker that connected; return notes for the journal."""
        before = self._workers.get(name)
        self._workers.put(name, _Worker(pid))
        if before is None or before.pid == pid:
            return []
        self.restarts += 1
        text = f"worker {name} was restarted (process {pid} replaces {before.pid})"
        return [Note(at_ms=int(now_epoch_s * 1000), kind="worker", text=text, who=name)]

    def take(self, name: str, report: WorkerReport, *, at_s: float) -> None:
        """Take a worker's report; `at_s` on a monotonic clock."""
        worker = self._workers.get(name)
        if worker is None:
            return
        worker.report, worker.came_s = report, at_s
        self.moments.add(name, report)
        self._window.add(name, report, at_s=at_s)
        self.totals.add(report)
        self.collateral.add(report.refusals)
        self.collateral.add_sums(report.more_refusals)

    def second(self, *, at_s: float, now_epoch_s: float) -> list[Note]:
        """Update the attack, once a second; return notes for the journal."""
        newest = self.newest(at_s=at_s, within_s=FRESH_S)
        self.load.append(_load_of(newest))
        before = self.attack
        self.attack = step(before, newest, now_epoch_s=now_epoch_s, saw_calm=self._saw_calm)
        if newest and not self.attack.onset_epoch_s:
            # Between two pulses of an attack that the last watch did not record, there is no overload either.
            self._calm_turns += 1
            self._saw_calm = self._saw_calm or self._calm_turns >= CALM_S
        else:
            self._calm_turns = 0
        notes = _attack_notes(before, self.attack, now_epoch_s=now_epoch_s)
        if self.attack.overload_since_epoch_s:
            notes += self._offender_notes(merged_offenders(newest), now_epoch_s=now_epoch_s)
        return notes

    def directions(
        self, *, at_s: float, now_epoch_s: float, known_prefixes: tuple[tuple[str, int], ...] = ()
    ) -> Directions:
        """Return the directions for the workers from now on."""
        return self.orders.directions(
            now_epoch_s=now_epoch_s,
            offenders=merged_offenders(self.newest(at_s=at_s, within_s=FRESH_S)),
            onset_epoch_s=self.attack.onset_epoch_s,
            is_calm=self._saw_calm and not self.attack.onset_epoch_s,
            known_prefixes=known_prefixes,
            wants_sources=self.has_guard and self.attack.onset_epoch_s > 0,
        )

    def newest(self, *, at_s: float, within_s: float = ALIVE_S) -> tuple[WorkerReport, ...]:
        """Return the last report of each worker that reported lately."""
        return tuple(
            worker.report
            for worker in self._workers.values()
            if worker.report is not None and at_s - worker.came_s <= within_s
        )

    def workers(self, *, at_s: float) -> tuple[WorkerState, ...]:
        """Return the workers that are alive, by name."""
        return tuple(
            WorkerState(
                name=name,
                pid=worker.pid,
                age_s=at_s - worker.came_s,
                running=report.running,
                waiting=sum(report.waiting.values()),
                worst_wait_s=report.worst_wait_s,
                loop_lag_s=report.loop_lag_s,
                directions_version=report.directions_version,
            )
            for name, worker in sorted(self._workers.items())
            if (report := worker.report) is not None and at_s - worker.came_s <= ALIVE_S
        )

    def rates(self, *, at_s: float) -> Rates:
        """Return counts per second of the last ten seconds."""
        return self._window.rates(at_s=at_s)

    def reports(self, *, at_s: float, within_s: float) -> list[WorkerReport]:
        """Return the workers' reports of the last `within_s`, at most ten seconds, without single refusals."""
        return self._window.reports(at_s=at_s, within_s=within_s)

    def offenders(self, *, at_s: float, count: int) -> tuple[OffenderState, ...]:
        """Return those who used most CPU time in the last ten seconds."""
        merged = merged_offenders(self._window.reports(at_s=at_s))
        return tuple(
            OffenderState(one.identity, one.cpu_s, one.requests, one.refused, one.ignored)
            for one in merged[:count]
        )

    def _offender_notes(self, offenders: Iterable[Offender], *, now_epoch_s: float) -> list[Note]:
        offenders = tuple(offenders)
        total_s = sum(one.cpu_s for one in offenders)
        self._noted = {
            who: at_s for who, at_s in self._noted.items() if now_epoch_s - at_s < OFFENDER_AGAIN_S
        }
        notes = []
        for one in offenders:
            is_heavy = one.cpu_s >= OFFENDER_CPU_S and one.cpu_s >= OFFENDER_SHARE * total_s
            if is_heavy and one.identity not in self._noted and len(self._noted) < MAX_OFFENDER_NOTES:
                self._noted[one.identity] = now_epoch_s
                notes.append(_offender_note(one, now_epoch_s=now_epoch_s))
        return notes


def _offender_note(one: Offender, *, now_epoch_s: float) -> Note:
    kind, _, value = one.identity.partition(":")
    is_address = kind == "address"
    return Note(
        at_ms=int(now_epoch_s * 1000),
        kind="offender",
        # Without the address: it has its own column and is deleted sooner.
        text=f"used {one.cpu_s:.2f} s of CPU in a second with {one.requests} requests, "
        f"{one.refused} refused, {one.ignored} sent before Retry-After ended",
        who=kind if is_address else one.identity,
        address=value if is_address else "",
        count=one.requests,
    )


def _load_of(reports: Iterable[WorkerReport]) -> LoadPoint:
    requests = refused = 0
    wait_s = 0.0
    for report in reports:
        for row in report.classes.values():
            requests += sum(row.get(outcome, 0) for outcome in OUTCOMES)
            refused += row.get("refused", 0)
        wait_s = max(wait_s, report.worst_wait_s)
    return LoadPoint(requests, refused, round(wait_s * 1000, 1))


def _attack_notes(before: Attack, after: Attack, *, now_epoch_s: float) -> list[Note]:
    at_ms = int(now_epoch_s * 1000)
    if after.onset_epoch_s and not before.onset_epoch_s:
        # The entry is read later: a time, not an age.
        began = time.strftime("%H:%M:%S UTC", time.gmtime(after.onset_epoch_s))
        text = f"overload began at {began}; clients known before then are established"
        return [Note(at_ms=at_ms, kind="overload", text=text)]
    if before.onset_epoch_s and not after.onset_epoch_s:
        lasted_s = max(0.0, before.overloaded_at_epoch_s - before.onset_epoch_s)
        return [Note(at_ms=at_ms, kind="calm", text=f"overload ended after {lasted_s:.0f} s")]
    return []
