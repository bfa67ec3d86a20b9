"""Merges the workers' reports of a second into one moment, and moments into sums of several seconds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from stormpetrel.control.messages import TextCounts
from stormpetrel.model.attack import Moment
from stormpetrel.shield.evidence import AGENTS, KINDS, REFERRERS, SOURCES
from stormpetrel.shield.reports import CLASSES, WorkerReport
from stormpetrel.watch.phases.cohorts import Sampled

MAX_NAMES = 60
"""Names in one table of a moment: applications and policy lines."""
MAX_PAGES = 20
MAX_ROWS = 900
"""Sampled requests of all workers in a moment: looking at them takes the watch 10 µs each."""
OTHER = "other"
_FLOWS = frozenset({"opened", "reset", "unused"})
"""Connections that are counted in a period; the others are counted at its end."""
Table = dict[str, dict[str, int]]

_NUMBERS = frozenset({"failed_sign_ins", "most_failed", "texts_new"})
"""Features that are numbers of a period and not shares or rates."""


class MomentBuilder:
    """The reports since the last moment, by worker; bounded by the number of workers."""

    def __init__(self) -> None:
        self._reports: dict[str, list[WorkerReport]] = {}
        self._texts: Counter[str] = Counter()

    def add(self, worker: str, report: WorkerReport) -> None:
        """Add a report. Of a worker that reports more than twice in a period, the last two count."""
        came = self._reports.setdefault(worker, [])
        came.append(report)
        del came[:-2]

    def add_texts(self, counts: TextCounts) -> None:
        """Add the text messages of a report of the sms role."""
        self._texts.update({"in": counts.received, "out": counts.sent, "new": counts.strangers})

    def has_all(self, workers: Iterable[str]) -> bool:
        """Return whether each of these workers has reported since the last moment."""
        return self._reports.keys() >= set(workers)

    def close(self, *, at_s: int, is_overloaded: bool) -> tuple[Moment, tuple[Sampled, ...]]:
        """Return the moment up to `at_s`, and the samples of its reports; begin the next."""
        by_worker, self._reports = self._reports, {}
        texts, self._texts = self._texts, Counter()
        reports = [report for came in by_worker.values() for report in came]
        newest = [came[-1] for came in by_worker.values()]
        samples = _samples(reports)
        rows = [row for part in samples for row in part.rows]
        ignored = sum(report.evidence.counts.get("ignored", 0) for report in reports)
        heeded = sum(report.evidence.counts.get("heeded", 0) for report in reports)
        features: dict[str, float] = {
            name: float(sum(report.evidence.counts.get(name, 0) for report in reports))
            for name in ("failed_sign_ins", "most_failed")
        }
        features["texts_new"] = float(texts["new"])
        if ignored + heeded:
            features["ignored_retry"] = ignored / (ignored + heeded)
        moment = Moment(
            at_s=at_s,
            # Workers report in parallel: the time that the slowest covers.
            period_s=round(
                max((sum(r.period_s for r in came) for came in by_worker.values()), default=1.0), 3
            ),
            is_overloaded=is_overloaded,
            requests=sum(report.evidence.requests for report in reports),
            sampled=len(rows),
            worst_wait_ms=_worst(report.worst_wait_s for report in reports),
            loop_lag_ms=_worst(report.loop_lag_s for report in reports),
            writer_wait_ms=_worst(report.writer_wait_s for report in reports),
            classes=_table([r.classes for r in reports], CLASSES),
            channels=_table([r.channels for r in reports]),
            applications=_table([r.applications for r in reports]),
            known=_table([r.known for r in reports]),
            known_applications=_table([r.known_applications for r in reports]),
            because=_most(_sum(r.because for r in reports), MAX_NAMES),
            kinds=_named(Counter(row.kind for row in rows), KINDS),
            cost_ms={
                name: round(cost_ms, 2)
                for name, cost_ms in _sum_floats(r.evidence.cost_ms for r in reports).items()
            },
            sources=_named(Counter(row.source for row in rows), SOURCES),
            agents=_named(Counter(row.agent for row in rows), AGENTS),
            referrers=_named(Counter(row.referrer for row in rows), REFERRERS),
            connections=_connections(reports, newest),
            features={name: value for name, value in features.items() if value},
            texts={name: count for name, count in texts.items() if count},
            pages=_most(_sum([*(r.pages for r in reports), *(r.evidence.paths for r in reports)]), MAX_PAGES),
        )
        return moment, samples


def _samples(reports: Sequence[WorkerReport]) -> tuple[Sampled, ...]:
    """Return the samples of the reports, thinned out evenly if there are many."""
    rows = sum(len(report.evidence.sample) for report in reports)
    stride = -(-rows // MAX_ROWS) or 1
    samples = []
    for report in reports:
        sample = report.evidence.sample[::stride]
        if sample:
            samples.append(Sampled(report.evidence.requests / len(sample), sample))
    return tuple(samples)


def summed(moments: Sequence[Moment]) -> Moment:
    """Return several moments as one: sums, the worst waits, means of the features. Raise ValueError for none."""
    if not moments:
        raise ValueError("no moments")
    last = moments[-1]
    measured: dict[str, list[float]] = {}
    for moment in moments:
        for name, value in moment.features.items():
            measured.setdefault(name, []).append(value)
    states = {name: count for name, count in last.connections.items() if name not in _FLOWS}
    flows = _sum({n: c for n, c in moment.connections.items() if n in _FLOWS} for moment in moments)
    return replace(
        last,
        period_s=round(sum(moment.period_s for moment in moments), 3),
        is_overloaded=any(moment.is_overloaded for moment in moments),
        requests=sum(moment.requests for moment in moments),
        sampled=sum(moment.sampled for moment in moments),
        worst_wait_ms=max(moment.worst_wait_ms for moment in moments),
        loop_lag_ms=max(moment.loop_lag_ms for moment in moments),
        writer_wait_ms=max(moment.writer_wait_ms for moment in moments),
        classes=_table([m.classes for m in moments]),
        channels=_table([m.channels for m in moments]),
        applications=_table([m.applications for m in moments]),
        known=_table([m.known for m in moments]),
        known_applications=_table([m.known_applications for m in moments]),
        because=_most(_sum(m.because for m in moments), MAX_NAMES),
        kinds=_sum(m.kinds for m in moments),
        cost_ms=_sum_floats(m.cost_ms for m in moments),
        sources=_sum(m.sources for m in moments),
        agents=_sum(m.agents for m in moments),
        referrers=_sum(m.referrers for m in moments),
        connections=states | flows,
        features={
            name: round(sum(values) / (1 if name in _NUMBERS else len(values)), 3)
            for name, values in measured.items()
        },
        texts=_sum(m.texts for m in moments),
        pages=_most(_sum(m.pages for m in moments), MAX_PAGES),
    )


def _worst(waits_s: Iterable[float]) -> float:
    return round(max(waits_s, default=0.0) * 1000, 1)


def _named(counts: Mapping[int, int], names: Sequence[str]) -> dict[str, int]:
    return {names[number]: count for number, count in sorted(counts.items()) if number < len(names)}


def _sum(parts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for part in parts:
        total.update(part)
    return dict(total)


def _sum_floats(parts: Iterable[Mapping[str, float]]) -> dict[str, float]:
    total: dict[str, float] = {}
    for part in parts:
        for name, value in part.items():
            total[name] = round(total.get(name, 0.0) + value, 2)
    return total


def _most(counts: Mapping[str, int], most: int) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:most])


def _table(parts: Iterable[Mapping[str, Mapping[str, int]]], names: Sequence[str] = ()) -> Table:
    """Return the sum of tables by name and outcome, without zeros; names beyond MAX_NAMES are counted as OTHER."""
    total: Table = {}
    for part in parts:
        for name, outcomes in part.items():
            is_known = name in total or name in names or len(total) < MAX_NAMES
            row = total.setdefault(name if is_known else OTHER, {})
            for outcome, count in outcomes.items():
                if count:
                    row[outcome] = row.get(outcome, 0) + count
    return {name: row for name, row in total.items() if row}


def _connections(reports: Sequence[WorkerReport], newest: Sequence[WorkerReport]) -> dict[str, int]:
    flows = _sum(
        {name: count for name, count in report.evidence.connections.items() if name in _FLOWS}
        for report in reports
    )
    states = _sum(
        {name: count for name, count in report.evidence.connections.items() if name not in _FLOWS}
        for report in newest
    )
    return states | flows
