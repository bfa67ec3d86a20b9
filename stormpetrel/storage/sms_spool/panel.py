"""What the operator's page shows of the spool, read without a write lock and within a time limit."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from stormpetrel.config import SmsConfig
from stormpetrel.storage.sms_spool import canary, outbox, state
from stormpetrel.storage.sms_spool.figures import figures
from stormpetrel.storage.sms_spool.file import FILE_NAME, SpoolFailed, open_spool
from stormpetrel.storage.sms_spool.money import day_of, money, of_month, top

WITHIN_S = 2.0
_BUSY_S = 0.5
_INSTRUCTIONS = 10_000
"""SQLite asks about the time limit after so many of its instructions, less than 1 ms."""
HOUR_MS, DAY_MS = 3_600_000, 86_400_000
MOST_DELAYS = 20_000
"""Delays are taken of the newest texts, at most so many."""
TOP = 10
FAILED = 20
FAILED_MS = 7 * DAY_MS

# Texts of the canary are measurements, not traffic.
_RECEIPTS = f"""SELECT state, count(*) FROM outbox WHERE changed_ms > ? AND route <> '{canary.ROUTE}'
    GROUP BY state"""
_DELAYS = f"""SELECT sent_ms - at_ms FROM outbox WHERE changed_ms >= ?1 AND sent_ms >= ?1
    AND route <> '{canary.ROUTE}' ORDER BY changed_ms DESC LIMIT ?2"""
_FAILED = f"""SELECT id, route, number, kind, segments, error, changed_ms FROM outbox
    WHERE state = 'failed' AND changed_ms > ? AND route <> '{canary.ROUTE}' ORDER BY changed_ms DESC LIMIT ?"""


class SpoolMissing(SpoolFailed):
    """There is no spool on this machine: the sms role has not run here."""


@dataclass(frozen=True, slots=True)
class FailedText:
    """A text that was not delivered, without its words."""

    id: int
    route: str
    number: str
    kind: str
    segments: int
    error: str
    changed_ms: int


@dataclass(frozen=True, slots=True)
class SpoolPanel:
    """The figures of `stormpetrel sms status` and more.

    - `receipts`: texts by state whose state changed in the last day.
    - `delay_ms`: median and 95th percentile from queued to sent in the last hour, None without any.
    - `month`, `prefixes`, `numbers`: money, as decimal text; the last two of today, the highest first.
    """

    figures: dict[str, Any]
    paused: frozenset[str]
    receipts: dict[str, int]
    delay_ms: tuple[int, int] | None
    month: str
    prefixes: tuple[tuple[str, str], ...]
    numbers: tuple[tuple[str, str], ...]
    failed: tuple[FailedText, ...]


@contextmanager
def reading(directory: Path, *, within_s: float = WITHIN_S) -> Iterator[sqlite3.Connection]:
    """Open the spool read-only. Raise SpoolMissing without one, SpoolFailed if a query takes longer than allowed."""
    path = directory / FILE_NAME
    if not path.exists():
        raise SpoolMissing(f"there is no {path}")
    deadline = time.monotonic() + within_s
    try:
        db = sqlite3.connect(
            f"file:{quote(str(path.absolute()))}?mode=ro", uri=True, timeout=_BUSY_S, isolation_level=None
        )
    except sqlite3.Error as error:
        raise SpoolFailed(str(error)) from error
    try:
        db.set_progress_handler(lambda: int(time.monotonic() > deadline), _INSTRUCTIONS)
        yield db
    except sqlite3.Error as error:
        raise SpoolFailed(str(error)) from error
    finally:
        db.close()


def read_panel(directory: Path, config: SmsConfig, *, now_ms: int) -> SpoolPanel:
    """Return the data of the page. Raise SpoolMissing or SpoolFailed."""
    with reading(directory) as db:
        day = day_of(now_ms)
        receipts: dict[str, int] = dict(db.execute(_RECEIPTS, (now_ms - DAY_MS,)).fetchall())
        delays = sorted(row[0] for row in db.execute(_DELAYS, (now_ms - HOUR_MS, MOST_DELAYS)))
        failed = db.execute(_FAILED, (now_ms - FAILED_MS, FAILED)).fetchall()
        return SpoolPanel(
            figures=figures(db, config, now_ms=now_ms),
            paused=frozenset(state.paused(db)),
            receipts=receipts,
            delay_ms=None if not delays else (_share(delays, 0.5), _share(delays, 0.95)),
            month=money(of_month(db, day=day)),
            prefixes=tuple((one, money(spent)) for one, spent in top(db, day=day, kind="p", count=TOP)),
            numbers=tuple((one, money(spent)) for one, spent in top(db, day=day, kind="n", count=TOP)),
            failed=tuple(FailedText(*row) for row in failed),
        )


def _share(ordered: list[int], share: float) -> int:
    """Return the smallest value that this share of the values does not exceed."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def pause(directory: Path, *, route: str, is_paused: bool) -> None:
    """Pause or resume a route. Raise SpoolMissing or SpoolFailed."""
    _require(directory)
    with open_spool(directory) as spool, spool.transaction() as db:
        state.pause(db, route=route, is_paused=is_paused)


def replay(directory: Path, *, message_id: int, now_ms: int) -> bool:
    """Queue a failed text again for a day; return whether it will be sent. Raise SpoolMissing or SpoolFailed."""
    _require(directory)
    with open_spool(directory) as spool, spool.transaction() as db:
        return outbox.replay(db, message_id=message_id, now_ms=now_ms, expires_after_ms=DAY_MS)


def _require(directory: Path) -> None:
    """Raise SpoolMissing without a spool: opening one would create it, where no role reads it."""
    if not (directory / FILE_NAME).exists():
        raise SpoolMissing(f"there is no {directory / FILE_NAME}")
