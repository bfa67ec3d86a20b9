"""The screen of `top`: what a tired person looks at first stands first, and what does not fit is cut at the end.

Pure functions of the watch's state and the size of the terminal.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import zip_longest

from stormpetrel.cli.output import fitted, table_lines, width
from stormpetrel.cli.shield import CLASS_MEANINGS, phase_line, shield_state
from stormpetrel.cli.times import ago, duration
from stormpetrel.control.guard_text import guard_text
from stormpetrel.control.messages import CanaryState, StatusMessage

WIDE = 120
"""From this many columns on, lists stand side by side."""
LISTED = 8
FEWEST = 2
"""A list has up to LISTED rows, and at least this many where the terminal is low."""
MAX_NAME = 35
"""Columns of a name: strangers choose paths and names of applications, and a long one would push the figures away."""
_BARS = " ▁▂▃▄▅▆▇█"
_OUTCOMES = ("served", "cached", "refused", "gone")


def screen(status: StatusMessage, *, columns: int, lines: int, now_s: float) -> list[str]:
    """Return at most `lines` lines of at most `columns` characters."""
    workers = "1 worker" if len(status.workers) == 1 else f"{len(status.workers)} workers"
    shown = [f"{shield_state(status, now_s=now_s)}; mode {status.mode or 'unknown'}, {workers}"]
    if line := phase_line(status):
        shown.append(line)
    if status.paused_until_epoch_s > now_s:
        left = duration(status.paused_until_epoch_s - now_s)
        shown.append(f"PAUSED: denies and demotions are off for {left} (stormpetrel shield pause --end)")
    if status.guard is not None and status.guard.is_running:
        shown.append(f"the guard {guard_text(status.guard)}")
    if status.journal_problem:
        shown.append(f"the journal cannot be written: {status.journal_problem}")
    shown += ["", *_charts(status, columns=columns), "", *_channels(status, now_s=now_s), ""]
    lists = [
        part
        for part in (
            _rules(status, now_s=now_s),
            _classes(status),
            _offenders(status),
            _rates("REFUSED BECAUSE", status.because),
            _rates("HOTTEST PAGES", status.pages),
            _applications(status),
        )
        if part
    ]
    is_wide = columns >= WIDE
    below_each_other = max(1, -(-len(lists) // 2) if is_wide else len(lists))
    # Shorter lists rather than none of the last ones. Each has a head and a blank line.
    rows = max(FEWEST, (lines - len(shown)) // below_each_other - 2)
    lists = [part[: rows + 1] for part in lists]
    shown += _side_by_side(lists, columns=columns) if is_wide else _below(lists)
    return [fitted(line, columns).rstrip() for line in shown[:lines]]


def sparkline(values: Iterable[float], *, width: int) -> str:
    """Return the last `width` values as bars, the largest of them at full height."""
    last = list(values)[-width:]
    top = max(last, default=0.0)
    if top <= 0:
        return _BARS[1] * len(last)
    return "".join(_BARS[max(1, round(value / top * (len(_BARS) - 1)))] for value in last)


def _charts(status: StatusMessage, *, columns: int) -> list[str]:
    width = max(10, columns - 36)
    return [
        f"{name:<14}{values[-1] if values else 0.0:>9,.1f}  {sparkline(values, width=width)}"
        + (f"  max {max(values[-width:]):,.0f}" if values else "")
        for name, values in (
            ("requests/s", [float(one.requests) for one in status.load]),
            ("refused/s", [float(one.refused) for one in status.load]),
            ("longest wait", [one.wait_ms for one in status.load]),
        )
    ]


def _channels(status: StatusMessage, *, now_s: float) -> list[str]:
    # Each channel has a canary for each class of people: the one that fails counts.
    canaries: dict[str, CanaryState] = {}
    for one in status.canaries:
        if one.channel not in canaries or one.outcome not in ("", "ok"):
            canaries[one.channel] = one
    rows = []
    for name in sorted({*canaries, *status.channels}):
        row, canary = status.channels.get(name, {}), canaries.get(name)
        rows.append(
            (
                name,
                *(f"{row.get(outcome, 0.0):.1f}" for outcome in _OUTCOMES),
                "" if canary is None else canary.outcome or "not yet",
                "" if canary is None or not canary.outcome else f"{canary.ms:.0f}",
                "" if canary is None or not canary.outcome else ago(canary.at_epoch_s, now_s),
            )
        )
    return table_lines(
        ("CHANNEL", *(f"{outcome.upper()}/S" for outcome in _OUTCOMES), "CANARY", "MS", "AGO"), rows
    )


def _rules(status: StatusMessage, *, now_s: float) -> list[str]:
    rules = [("allow", one) for one in status.allowed] + [("deny", one) for one in status.denied]
    if not rules:
        return []
    rules.sort(key=lambda rule: rule[1].expires_epoch_s)
    return table_lines(
        ("RULE", "WHO", "ENDS IN", "REASON"),
        [
            (verdict, f"{one.kind} {one.value}", duration(max(0.0, one.expires_epoch_s - now_s)), one.reason)
            for verdict, one in rules[:LISTED]
        ],
    )


def _classes(status: StatusMessage) -> list[str]:
    return table_lines(
        ("CLASS", *(f"{outcome.upper()}/S" for outcome in _OUTCOMES)),
        [
            (
                f"{name} {CLASS_MEANINGS.get(name, '')}".strip(),
                *(f"{row.get(outcome, 0.0):.1f}" for outcome in _OUTCOMES),
            )
            for name, row in sorted(status.classes.items())
        ],
    )


def _offenders(status: StatusMessage) -> list[str]:
    if not status.offenders:
        return []
    return table_lines(
        ("TOP CPU, LAST 10 S", "CPU S", "REQUESTS", "REFUSED"),
        [
            (_short(one.identity), f"{one.cpu_s:.2f}", str(one.requests), str(one.refused))
            for one in status.offenders[:LISTED]
        ],
    )


def _rates(head: str, rates: Mapping[str, float]) -> list[str]:
    if not rates:
        return []
    ranked = sorted(rates.items(), key=lambda item: -item[1])[:LISTED]
    return table_lines((head, "/S"), [(_short(name), f"{rate:.1f}") for name, rate in ranked])


def _applications(status: StatusMessage) -> list[str]:
    if not status.applications:
        return []
    return table_lines(
        ("APPLICATION", "REQUESTS/S", "REFUSED/S"),
        [
            (_short(name), f"{sum(row.values()):.1f}", f"{row.get('refused', 0.0):.1f}")
            for name, row in list(status.applications.items())[:LISTED]
        ],
    )


def _short(name: str) -> str:
    # Of any length: combining characters take no column.
    return fitted(name[: 4 * MAX_NAME], MAX_NAME, end="…")


def _below(lists: Sequence[Sequence[str]]) -> list[str]:
    return [line for part in lists for line in (*part, "")]


def _side_by_side(lists: Sequence[Sequence[str]], *, columns: int) -> list[str]:
    half = columns // 2
    shown = []
    for one, other in zip_longest(lists[::2], lists[1::2], fillvalue=()):
        for left, right in zip_longest(one, other, fillvalue=""):
            beginning = fitted(left, half - 2)
            shown.append(beginning + " " * (half - width(beginning)) + right)
        shown.append("")
    return shown
