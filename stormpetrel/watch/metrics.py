"""The metrics for Prometheus. Every set of labels is bounded: a flood must not become a flood of series."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from stormpetrel.control.messages import GuardState
from stormpetrel.model.attack import UNKNOWN_VECTOR, VERDICTS
from stormpetrel.shield.reports import WorkerReport
from stormpetrel.watch.attack import Attack
from stormpetrel.watch.counts import Totals
from stormpetrel.watch.phases.vectors import RULES

MAX_LABEL = 60
_PREFIX = "stormpetrel_"
_VECTORS = (*dict.fromkeys(rule.name for rule in RULES), UNKNOWN_VECTOR)


@dataclass(frozen=True, slots=True)
class CanaryFigures:
    """`is_well`: the last canary succeeded; None before the first. `counts`: by outcome since the start."""

    is_well: bool | None
    seconds: float
    counts: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Figures:
    """The input of the metrics. `newest`: each living worker's last report. `phase`: its verdict, "" for none.

    `vectors`: the means of attack of the phase. `guard_listed`: sources listed for the guard since the start.
    """

    totals: Totals
    attack: Attack
    workers: int
    newest: tuple[WorkerReport, ...]
    restarts: int
    canaries: Mapping[str, CanaryFigures]
    journal_lost: int
    is_journal_well: bool
    phase: str = ""
    vectors: tuple[str, ...] = ()
    guard: GuardState = field(default_factory=GuardState)
    guard_listed: int = 0


def exposition(figures: Figures) -> str:
    """Return the whole text, as of now."""
    totals, newest = figures.totals, figures.newest
    waiting: dict[str, float] = {}
    for report in newest:
        for name, count in report.waiting.items():
            waiting[name] = waiting.get(name, 0) + count
    lines = [
        *_table("requests_total", "Requests by class and outcome.", "class", totals.classes),
        *_table("channel_requests_total", "Requests by channel and outcome.", "channel", totals.channels),
        *_table(
            "application_requests_total",
            "Requests by application and outcome; applications with few requests share a label.",
            "application",
            totals.applications,
        ),
        *_counter("refusals_total", "Refusals by rule.", "because", totals.because),
        *_counter(
            "collateral_total",
            "Refusals of people with a credential, by channel.",
            "channel",
            totals.collateral_by_channel,
        ),
        *_counter(
            "collateral_applications_total",
            "Refusals of people with a credential, by application.",
            "application",
            totals.collateral_by_application,
        ),
        *_one(
            "cache_hits_total",
            "Requests answered from memory.",
            "counter",
            sum(row.get("cached", 0) for row in totals.classes.values()),
        ),
        *_one("workers", "Workers that reported in the last seconds.", "gauge", figures.workers),
        *_one("worker_restarts_total", "Workers that were restarted.", "counter", figures.restarts),
        *_one("running", "Requests running now.", "gauge", sum(r.running for r in newest)),
        *_gauge("waiting", "Requests waiting now, by class.", "class", waiting),
        *_one("connections", "Open connections.", "gauge", sum(r.connections for r in newest)),
        *_one(
            "queue_wait_seconds",
            "Longest wait for a slot in the last second.",
            "gauge",
            max((r.worst_wait_s for r in newest), default=0.0),
        ),
        *_one(
            "loop_lag_seconds",
            "Largest event-loop lag of a worker in the last second.",
            "gauge",
            max((r.loop_lag_s for r in newest), default=0.0),
        ),
        *_one(
            "writer_wait_seconds",
            "Current wait of the write that has waited longest.",
            "gauge",
            max((r.writer_wait_s for r in newest), default=0.0),
        ),
        *_one("demoted", "Demoted identities.", "gauge", sum(r.demoted for r in newest)),
        *_one(
            "overload", "1 while a worker is overloaded.", "gauge", figures.attack.overload_since_epoch_s > 0
        ),
        *_one(
            "onset_seconds",
            "Start of the current attack, in seconds since 1970; 0 if there is none.",
            "gauge",
            figures.attack.onset_epoch_s,
        ),
        *_gauge(
            "phase",
            "1 for the verdict of the present phase of the traffic.",
            "verdict",
            {verdict: float(verdict == (figures.phase or "calm")) for verdict in VERDICTS},
        ),
        *_gauge(
            "phase_means",
            "1 for each means of attack in the present phase.",
            "vector",
            {vector: float(vector in figures.vectors) for vector in _VECTORS},
        ),
        *_gauge(
            "canary_ok",
            "1 if the channel's last canary succeeded.",
            "channel",
            {name: one.is_well for name, one in figures.canaries.items() if one.is_well is not None},
        ),
        *_gauge(
            "canary_seconds",
            "Duration of the channel's last canary.",
            "channel",
            {name: one.seconds for name, one in figures.canaries.items() if one.is_well is not None},
        ),
        *_table(
            "canaries_total",
            "Canaries by channel and outcome.",
            "channel",
            {name: one.counts for name, one in figures.canaries.items()},
        ),
        *_one("journal_ok", "1 while the journal is writable.", "gauge", figures.is_journal_well),
        *_one(
            "journal_lost_total",
            "Journal entries that could not be written.",
            "counter",
            figures.journal_lost,
        ),
        *_guard(figures),
    ]
    return "\n".join(lines) + "\n"


def _guard(figures: Figures) -> list[str]:
    guard = figures.guard
    return [
        *_one("guard", "1 while a guard is connected.", "gauge", guard.is_running),
        *_one("guard_sources", "Sources that the guard blocks now.", "gauge", guard.listed),
        *_one("guard_sources_total", "Sources listed for the guard.", "counter", figures.guard_listed),
        *_one("guard_packets_total", "Packets that the guard dropped.", "counter", guard.packets),
        *_one(
            "guard_off",
            "1 while the guard blocks nothing because of a pause, of canaries, or of --dry-run.",
            "gauge",
            bool(guard.off_because),
        ),
    ]


def _heading(name: str, about: str, kind: str) -> list[str]:
    return [f"# HELP {_PREFIX}{name} {about}", f"# TYPE {_PREFIX}{name} {kind}"]


def _one(name: str, about: str, kind: str, value: float) -> list[str]:
    return [*_heading(name, about, kind), f"{_PREFIX}{name} {_number(value)}"]


def _gauge(name: str, about: str, label: str, values: Mapping[str, float]) -> list[str]:
    return [*_heading(name, about, "gauge"), *_rows(name, label, values.items())]


def _counter(name: str, about: str, label: str, values: Mapping[str, int]) -> list[str]:
    return [*_heading(name, about, "counter"), *_rows(name, label, values.items())]


def _rows(name: str, label: str, values: Iterable[tuple[str, float]]) -> list[str]:
    return [f'{_PREFIX}{name}{{{label}="{_escaped(key)}"}} {_number(value)}' for key, value in sorted(values)]


def _table(name: str, about: str, label: str, table: Mapping[str, Mapping[str, int]]) -> list[str]:
    rows = [
        f'{_PREFIX}{name}{{{label}="{_escaped(key)}",outcome="{_escaped(outcome)}"}} {count}'
        for key, outcomes in sorted(table.items())
        for outcome, count in sorted(outcomes.items())
    ]
    return [*_heading(name, about, "counter"), *rows]


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else f"{value:.6g}"


def _escaped(text: str) -> str:
    return text[:MAX_LABEL].replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
