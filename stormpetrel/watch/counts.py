"""Combines the workers' reports: sums, the last ten seconds, totals since the start. No clock, no I/O."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from stormpetrel.bounded import BoundedTable, Eviction
from stormpetrel.shield.evidence import Evidence
from stormpetrel.shield.reports import (
    CHANNELS,
    CLASSES,
    MAX_OFFENDERS,
    OTHER_APPLICATIONS,
    OUTCOMES,
    Offender,
    WorkerReport,
)

WINDOW_S = 10.0
MAX_REASONS = 100
"""Policy lines counted by name: they come from the code, but the bound must not depend on that."""
MAX_NAMED_APPLICATIONS = 20
NAMED_FROM = 100
"""An application is shown by name after this many requests; the others are counted together."""
MAX_CANDIDATES = 2_000
SHOWN_APPLICATIONS = 20
SHOWN_PAGES = 20
OTHER = "other"
_NO_EVIDENCE = Evidence()

Table = dict[str, dict[str, int]]


def add(into: Table, more: Mapping[str, Mapping[str, int]], *, names: Iterable[str] | None = None) -> None:
    """Add counts by name and outcome. With `names`, count all other names as OTHER."""
    known = None if names is None else frozenset(names)
    for name, outcomes in more.items():
        row = into.setdefault(name if known is None or name in known else OTHER, {})
        for outcome, count in outcomes.items():
            if outcome in OUTCOMES:
                row[outcome] = row.get(outcome, 0) + count


def merged_offenders(reports: Iterable[WorkerReport]) -> tuple[Offender, ...]:
    """Return those who used most CPU time in all reports together, most first, at most MAX_OFFENDERS."""
    sums: dict[str, Offender] = {}
    for report in reports:
        for one in report.offenders:
            before = sums.get(one.identity)
            sums[one.identity] = (
                one
                if before is None
                else Offender(
                    one.identity,
                    before.cpu_s + one.cpu_s,
                    before.requests + one.requests,
                    before.refused + one.refused,
                    before.ignored + one.ignored,
                )
            )
    ranked = sorted(sums.values(), key=lambda one: (-one.cpu_s, -one.requests, one.identity))
    return tuple(ranked[:MAX_OFFENDERS])


@dataclass(frozen=True, slots=True)
class Rates:
    """Counts per second by name and outcome, refusals per second by policy line, answers from memory by path."""

    classes: dict[str, dict[str, float]]
    channels: dict[str, dict[str, float]]
    applications: dict[str, dict[str, float]]
    because: dict[str, float]
    pages: dict[str, float]


def _busiest(table: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
    """Return the SHOWN_APPLICATIONS rows with most refusals, then requests."""
    ranked = sorted(
        table.items(), key=lambda item: (-item[1].get("refused", 0), -sum(item[1].values()), item[0])
    )
    return dict(ranked[:SHOWN_APPLICATIONS])


class Window:
    """The workers' reports of the last WINDOW_S; old ones are dropped on every access."""

    def __init__(self) -> None:
        self._reports: deque[tuple[float, str, WorkerReport]] = deque()

    def add(self, worker: str, report: WorkerReport, *, at_s: float) -> None:
        """Add a report that arrived at `at_s`, on a monotonic clock."""
        # Without the parts that are stored elsewhere: with many workers they would use most of the memory.
        self._reports.append(
            (at_s, worker, replace(report, refusals=(), more_refusals=(), prefixes=(), evidence=_NO_EVIDENCE))
        )
        self._forget(at_s)

    def reports(self, *, at_s: float, within_s: float = WINDOW_S) -> list[WorkerReport]:
        """Return the reports of the last `within_s`."""
        self._forget(at_s)
        return [report for came_s, _, report in self._reports if came_s > at_s - within_s]

    def rates(self, *, at_s: float) -> Rates:
        """Return counts per second, over the time that the reports cover."""
        self._forget(at_s)
        classes: Table = {}
        channels: Table = {}
        because: dict[str, int] = {}
        applications: Table = {}
        pages: Counter[str] = Counter()
        covered_s: dict[str, float] = {}
        for _, worker, report in self._reports:
            covered_s[worker] = covered_s.get(worker, 0.0) + report.period_s
            add(classes, report.classes, names=CLASSES)
            add(channels, report.channels, names=CHANNELS)
            add(applications, report.applications)
            pages.update(report.pages)
            for reason, count in report.because.items():
                because[reason] = because.get(reason, 0) + count
        # Workers report in parallel: divide by the longest time that one of them covers, not by their sum.
        seconds = max(covered_s.values(), default=1.0) or 1.0
        return Rates(
            {name: {o: n / seconds for o, n in row.items()} for name, row in classes.items()},
            {name: {o: n / seconds for o, n in row.items()} for name, row in channels.items()},
            _busiest({name: {o: n / seconds for o, n in row.items()} for name, row in applications.items()}),
            {reason: count / seconds for reason, count in because.items()},
            {path: count / seconds for path, count in pages.most_common(SHOWN_PAGES)},
        )

    def _forget(self, at_s: float) -> None:
        while self._reports and self._reports[0][0] <= at_s - WINDOW_S:
            self._reports.popleft()


@dataclass(slots=True)
class Totals:
    """Counts since the watch started; they only rise, so a worker's restart takes nothing away.

    Every table is bounded: classes, channels and outcomes are the shield's, policy lines at most MAX_REASONS,
    applications at most MAX_NAMED_APPLICATIONS plus one row for the rest.
    """

    classes: Table = field(default_factory=dict)
    channels: Table = field(default_factory=dict)
    applications: Table = field(default_factory=dict)
    because: dict[str, int] = field(default_factory=dict)
    collateral_by_channel: dict[str, int] = field(default_factory=dict)
    collateral_by_application: dict[str, int] = field(default_factory=dict)
    reports: int = 0
    _candidates: BoundedTable[str, int] = field(
        default_factory=lambda: BoundedTable(MAX_CANDIDATES, evicts=Eviction.OLDEST)
    )

    def add(self, report: WorkerReport) -> None:
        """Add one report."""
        self.reports += 1
        add(self.classes, report.classes, names=CLASSES)
        add(self.channels, report.channels, names=CHANNELS)
        for reason, count in report.because.items():
            name = reason if reason in self.because or len(self.because) < MAX_REASONS else OTHER
            self.because[name] = self.because.get(name, 0) + count
        for application, outcomes in report.applications.items():
            self._consider(application, sum(outcomes.values()))
            add(self.applications, {self._shown(application): outcomes})
        for refusal in report.refusals:
            self._add_collateral(refusal.channel, refusal.application, 1)
        for more in report.more_refusals:
            self._add_collateral(more.channel, more.application, more.count)

    def _add_collateral(self, channel: str, application: str, count: int) -> None:
        channel = channel if channel in CHANNELS else OTHER
        self.collateral_by_channel[channel] = self.collateral_by_channel.get(channel, 0) + count
        if application:
            shown = self._shown(application)
            by_application = self.collateral_by_application
            by_application[shown] = by_application.get(shown, 0) + count

    def _shown(self, application: str) -> str:
        return application if application in self.applications else OTHER

    def _consider(self, application: str, count: int) -> None:
        """Give an application with many requests its own row, for good: a label that comes and goes would
        make its figures fall."""
        named = len(self.applications) - (OTHER in self.applications)
        if (
            application in self.applications
            or application in ("", OTHER, OTHER_APPLICATIONS)
            or named >= MAX_NAMED_APPLICATIONS
        ):
            return
        seen = (self._candidates.pop(application) or 0) + count
        if seen >= NAMED_FROM:
            self.applications[application] = {}
            return
        self._candidates.put(application, seen)
