"""Other state in the spool: pauses of routes, known numbers, notices that were sent, and its log."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from stormpetrel.storage.sms_spool.money import money

DAY_MS = 86_400_000
KEEP_DAYS = 30
"""Texts are deleted after this time."""
ALIVE_MS = 10_000
"""A role that has not written its state for so long is not running."""

_IN = "SELECT id, route, number, text, state, effect, error, status_id, changed_ms, at_ms FROM inbox"
_OUT = """SELECT id, route, number, text, state, kind, lane, segments, attempts, CASE WHEN price > 0 THEN price ELSE
    reserved END, carrier_id, changed_ms, at_ms FROM outbox"""


@dataclass(frozen=True, slots=True)
class KnownNumber:
    """A linked or following phone, as the sms role must know it without the store."""

    number_hash: bytes
    has_account: bool
    pin_hash: bytes | None
    language: str


def paused(db: sqlite3.Connection) -> set[str]:
    """Return the names of paused routes."""
    return {row[0] for row in db.execute("SELECT name FROM routes WHERE paused")}


def pause(db: sqlite3.Connection, *, route: str, is_paused: bool) -> None:
    """Pause or resume sending on a route."""
    db.execute(
        """INSERT INTO routes (name, paused) VALUES (?, ?)
        ON CONFLICT (name) DO UPDATE SET paused = excluded.paused""",
        (route, is_paused),
    )


def set_route_states(db: sqlite3.Connection, *, states: Sequence[tuple[str, str]], now_ms: int) -> None:
    """Store the state of each route, for commands and pages."""
    db.executemany(
        """INSERT INTO routes (name, state, state_ms) VALUES (?, ?, ?)
        ON CONFLICT (name) DO UPDATE SET state = excluded.state, state_ms = excluded.state_ms""",
        [(name, state, now_ms) for name, state in states],
    )


def route_states(db: sqlite3.Connection, *, now_ms: int) -> dict[str, str]:
    """Return paused, up, connecting or down by route; down if the sms role does not run."""
    rows = db.execute("SELECT name, paused, state, state_ms FROM routes")
    return {
        name: "paused" if is_paused else state if now_ms - at_ms < ALIVE_MS else "down"
        for name, is_paused, state, at_ms in rows
    }


def put_known(db: sqlite3.Connection, known: Sequence[KnownNumber]) -> None:
    """Store known numbers, replacing earlier facts about them."""
    db.executemany(
        "INSERT OR REPLACE INTO known (number_hash, has_account, pin_hash, language) VALUES (?, ?, ?, ?)",
        [(one.number_hash, one.has_account, one.pin_hash, one.language) for one in known],
    )


def known(db: sqlite3.Connection) -> list[KnownNumber]:
    """Return all known numbers."""
    rows = db.execute("SELECT number_hash, has_account, pin_hash, language FROM known")
    return [KnownNumber(row[0], bool(row[1]), row[2], row[3]) for row in rows]


def may_notice(db: sqlite3.Connection, *, number: str, kind: str, every_ms: int, now_ms: int) -> bool:
    """Return True, once per number and time, if a notice of that kind may be sent."""
    made = db.execute(
        """INSERT INTO notices (number, kind, at_ms) VALUES (?1, ?2, ?3)
        ON CONFLICT (number, kind) DO UPDATE SET at_ms = ?3 WHERE at_ms <= ?3 - ?4""",
        (number, kind, now_ms, every_ms),
    )
    return made.rowcount == 1


def fact(db: sqlite3.Connection, name: str) -> int:
    """Return a stored number, 0 if there is none."""
    row = db.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
    return 0 if row is None else int(row[0])


def set_fact(db: sqlite3.Connection, name: str, value: int) -> None:
    """Store a number."""
    db.execute("INSERT OR REPLACE INTO facts (name, value) VALUES (?, ?)", (name, value))


def log(
    db: sqlite3.Connection, *, direction: str, number: str | None, since_ms: int, limit: int
) -> list[tuple[int, int, dict[str, Any]]]:
    """Return (time of arrival, time of the last change, record) of the newest `limit` messages, oldest first.

    `direction`: in or out. Records have the keys of `stormpetrel sms log`.
    """
    base = _IN if direction == "in" else _OUT
    where = "WHERE changed_ms >= ? AND route <> '_canary'" + (" AND number = ?" if number else "")
    values: list[Any] = [since_ms, *([number] if number else []), limit]
    rows = db.execute(f"{base} {where} ORDER BY id DESC LIMIT ?", values).fetchall()
    as_record = _in_record if direction == "in" else _out_record
    return [(row[-1], row[-2], as_record(row)) for row in reversed(rows)]


def _in_record(row: tuple[Any, ...]) -> dict[str, Any]:
    message_id, route, number, text, state, effect, error, status_id, *_ = row
    return {
        "id": f"i{message_id}",
        "direction": "in",
        "route": route,
        "number": number,
        "text": text,
        "state": state,
        "effect": effect,
        "error": error,
        "status_id": None if status_id is None else str(status_id),
    }


def _out_record(row: tuple[Any, ...]) -> dict[str, Any]:
    message_id, route, number, text, state, kind, lane, segments, attempts, price, carrier_id, *_ = row
    return {
        "id": f"o{message_id}",
        "direction": "out",
        "route": route,
        "number": number,
        "text": text,
        "state": state,
        "kind": kind,
        "lane": lane,
        "segments": segments,
        "attempts": attempts,
        "price": money(price),
        "carrier_id": carrier_id or None,
    }


def tidy(db: sqlite3.Connection, *, now_ms: int) -> int:
    """Delete messages older than KEEP_DAYS that wait for nothing; return their number."""
    before_ms = now_ms - KEEP_DAYS * DAY_MS
    removed = db.execute(
        "DELETE FROM inbox WHERE changed_ms < ? AND state <> 'stored'", (before_ms,)
    ).rowcount
    removed += db.execute(
        "DELETE FROM outbox WHERE changed_ms < ? AND state NOT IN ('queued', 'sending')", (before_ms,)
    ).rowcount
    db.execute("DELETE FROM receipts WHERE at_ms < ?", (now_ms - DAY_MS,))
    db.execute("DELETE FROM part_keys WHERE at_ms < ?", (now_ms - DAY_MS,))
    db.execute("DELETE FROM notices WHERE at_ms < ?", (before_ms,))
    return removed
