"""Times and durations as the commands read and print them."""

from __future__ import annotations

import argparse
import time


def when(epoch_s: float) -> str:
    """Return a time in seconds since 1970 as "2026-11-29 22:10:05 UTC"."""
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(epoch_s))


def clock_time(epoch_s: float) -> str:
    """Return a time in seconds since 1970 as "22:10:05 UTC"."""
    return time.strftime("%H:%M:%S UTC", time.gmtime(epoch_s))


def ago(epoch_s: float, now_s: float) -> str:
    """Return the time since then as "4 min"; "0 s" for a time in the future."""
    return duration(max(0.0, now_s - epoch_s))


def duration(seconds: float) -> str:
    """Return seconds in the largest unit that has at least two: "90 s", "4 min", "3 h", "2 d"."""
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def utc_time(text: str) -> int:
    """Convert an argument: a time in UTC, to milliseconds since 1970."""
    from datetime import UTC, datetime

    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time such as 2026-12-01T22:00") from None
    return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)
