"""Moments as pages show them: every text that names a date and a time comes from `moment`, and names its zone."""

from __future__ import annotations

from datetime import UTC, datetime

from minijinja import Markup

_MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()


def iso(at_ms: int) -> str:
    """Gives a moment in ISO 8601, to the second: 2026-11-29T08:20:11Z."""
    return _utc(at_ms).strftime("%Y-%m-%dT%H:%M:%SZ")


def moment(at_ms: int) -> str:
    """Gives a moment to read, for places where no element can stand: 29 Nov 2026, 08:20 UTC."""
    return "".join(_day_and_clock(at_ms))


def exactly(at_ms: int) -> Markup:
    """Gives the same as an element, which no script shortens."""
    return Markup(f'<time datetime="{iso(at_ms)}">{moment(at_ms)}</time>')


def when(at_ms: int) -> Markup:
    """Gives a moment that has passed: a phone shows the day alone, and the script shows "5 min ago" for a week."""
    day, clock = _day_and_clock(at_ms)
    return Markup(
        f'<time class="when" datetime="{iso(at_ms)}" title="{day}{clock}">'
        f'{day}<span class="clock">{clock}</span></time>'
    )


def month(at_ms: int) -> Markup:
    """Gives the month of a moment: Nov 2026."""
    at = _utc(at_ms)
    return Markup(f'<time datetime="{at:%Y-%m-%d}">{_MONTHS[at.month - 1]} {at.year}</time>')


def _day_and_clock(at_ms: int) -> tuple[str, str]:
    at = _utc(at_ms)
    return f"{at.day} {_MONTHS[at.month - 1]} {at.year}", f", {at:%H:%M} UTC"


def _utc(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms / 1000, UTC)
