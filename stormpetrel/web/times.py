"""Format times for pages. Each text with date and time has the format of `moment`, with the zone."""

from __future__ import annotations

from datetime import UTC, datetime

from minijinja import Markup

_MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()


def iso(at_ms: int) -> str:
    """Return a time in ISO 8601, to the second: 2026-11-29T08:20:11Z."""
    return _utc(at_ms).strftime("%Y-%m-%dT%H:%M:%SZ")


def moment(at_ms: int) -> str:
    """Return a time as plain text, for places without elements: 29 Nov 2026, 08:20 UTC."""
    return "".join(_day_and_clock(at_ms))


def exactly(at_ms: int) -> Markup:
    """Return the same as an element that no script shortens."""
    return Markup(f'<time datetime="{iso(at_ms)}">{moment(at_ms)}</time>')


def when(at_ms: int) -> Markup:
    """Return a past time: phones show only the day; for a week the script shows "5 min ago" instead."""
    day, clock = _day_and_clock(at_ms)
    return Markup(
        f'<time class="when" datetime="{iso(at_ms)}" title="{day}{clock}">'
        f'{day}<span class="clock">{clock}</span></time>'
    )


def month(at_ms: int) -> Markup:
    """Return the month of a time: Nov 2026."""
    at = _utc(at_ms)
    return Markup(f'<time datetime="{at:%Y-%m-%d}">{_MONTHS[at.month - 1]} {at.year}</time>')


def span(seconds: float) -> str:
    """Return seconds in the largest unit that has at least two: "90 s", "4 min", "3 h", "2 d"."""
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"


def _day_and_clock(at_ms: int) -> tuple[str, str]:
    at = _utc(at_ms)
    return f"{at.day} {_MONTHS[at.month - 1]} {at.year}", f", {at:%H:%M} UTC"


def _utc(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms / 1000, UTC)
