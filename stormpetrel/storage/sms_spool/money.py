"""Money spent on texts, in the spool: reserved before a text is sent, settled when the carrier has it.

Amounts are whole millionths of the currency, so that sums are exact. Scopes: everything, a prefix, a number, all
numbers without an account, and those with a prefix. The last two are never settled: the reserved amount counts, also
for a text that failed.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

ALL = "all"
STRANGERS = "strangers"
MICROS = 1_000_000

_ADD = """INSERT INTO spending (day, scope, spent, reserved) VALUES (?, ?, ?, ?)
    ON CONFLICT (day, scope) DO UPDATE SET spent = spent + excluded.spent, reserved = reserved + excluded.reserved"""
_OF_DAY = "SELECT spent, reserved FROM spending WHERE day = ? AND scope = ?"
_OF_MONTH = "SELECT coalesce(sum(spent + reserved), 0) FROM spending WHERE day >= ? AND day < ? AND scope = ?"
_TOP = """SELECT scope, sum(spent + reserved) FROM spending WHERE day = ? AND scope LIKE ? GROUP BY scope
    ORDER BY 2 DESC LIMIT ?"""


@dataclass(frozen=True, slots=True)
class Caps:
    """Limits in millionths; 0 for none. `reserve`: the part of each that only lane 1 may use.

    `strangers`: the part of the limits per day and month that numbers without an account may use together. Forged
    numbers that want answers could otherwise use up the money for members. `prefix`: the part of the strangers'
    limits for numbers with one prefix, so that those of one range cannot use up the answers to all others.
    """

    day: int
    month: int
    user_day: int
    reserve: float
    strangers: float = 1.0
    prefix: float = 1.0


def micros(amount: Decimal) -> int:
    """Return an amount of money in millionths, rounded up: a limit is never exceeded by rounding."""
    return int((amount * MICROS).to_integral_value(rounding="ROUND_CEILING"))


def money(amount: int) -> str:
    """Return millionths as decimal text: "0.05", "12"."""
    return format((Decimal(amount) / MICROS).normalize(), "f")


def day_of(now_ms: int) -> str:
    """Return the day in UTC: "2026-11-29"."""
    return datetime.fromtimestamp(now_ms / 1000, UTC).strftime("%Y-%m-%d")


def reserve(
    db: sqlite3.Connection,
    *,
    price: int,
    number: str,
    prefix: str,
    is_security: bool,
    caps: Caps,
    now_ms: int,
    is_stranger: bool = False,
) -> bool:
    """Reserve the price of a text within all limits; return False, and reserve nothing, if one would be exceeded."""
    day = day_of(now_ms)
    room = 1.0 if is_security else 1.0 - caps.reserve
    spent, reserved = of_day(db, day=day)
    if caps.day and spent + reserved + price > int(caps.day * room):
        return False
    if caps.month and of_month(db, day=day) + price > int(caps.month * room):
        return False
    if caps.user_day and sum(of_day(db, day=day, scope=f"n:{number}")) + price > int(caps.user_day * room):
        return False
    if is_stranger:
        shares = ((STRANGERS, caps.strangers), (f"s:{prefix}", caps.strangers * caps.prefix))
        for scope, share in shares:
            if caps.day and sum(of_day(db, day=day, scope=scope)) + price > int(caps.day * share):
                return False
            if caps.month and of_month(db, day=day, scope=scope) + price > int(caps.month * share):
                return False
        _add(db, day, [scope for scope, _ in shares], 0, price)
    _add(db, day, (ALL, f"n:{number}", f"p:{prefix}"), 0, price)
    return True


def settle(db: sqlite3.Connection, *, day: str, number: str, prefix: str, reserved: int, price: int) -> None:
    """Turn money reserved on `day` into money spent; `price` 0 if nothing was spent."""
    _add(db, day, (ALL, f"n:{number}", f"p:{prefix}"), price, -reserved)


def of_day(db: sqlite3.Connection, *, day: str, scope: str = ALL) -> tuple[int, int]:
    """Return the money spent and the money reserved on a day."""
    row = db.execute(_OF_DAY, (day, scope)).fetchone()
    return (0, 0) if row is None else (int(row[0]), int(row[1]))


def of_month(db: sqlite3.Connection, *, day: str, scope: str = ALL) -> int:
    """Return the money spent or reserved in the month of a day."""
    return int(db.execute(_OF_MONTH, (f"{day[:7]}-01", f"{day[:7]}-99", scope)).fetchone()[0])


def top(db: sqlite3.Connection, *, day: str, kind: str, count: int) -> list[tuple[str, int]]:
    """Return the numbers (`kind` "n") or prefixes ("p") with the highest spending of a day."""
    return [(row[0][2:], int(row[1])) for row in db.execute(_TOP, (day, f"{kind}:%", count))]


def _add(db: sqlite3.Connection, day: str, scopes: Sequence[str], spent: int, reserved: int) -> None:
    db.executemany(_ADD, [(day, scope, spent, reserved) for scope in scopes])
