"""Reads the numbers of an insight report, each with its query (insight_queries.py).

A report is made from the journal and the record of attacks alone; the store may be gone, and no process needs to run.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from stormpetrel.model.attack import AttackSpan
from stormpetrel.model.insight import (
    Number,
    NumberRow,
    NumberTable,
    ReportData,
    ReportWindow,
    TimelineEntry,
    Value,
)
from stormpetrel.storage import attack_record, journal
from stormpetrel.storage.attack_record import read_attacks
from stormpetrel.storage.insight_queries import (
    ATTACKS,
    IDENTITIES,
    JOURNAL,
    LAST_MOMENT,
    NOTED_ADDRESSES,
    NUMBERS,
    SERIES,
    TABLES,
    TIMELINE,
    NumberQuery,
    TableQuery,
)
from stormpetrel.storage.journal import attack_name

SLICES = 120
"""The most points of a chart: more are finer than a phone's screen shows."""
AROUND_S = 60
"""Seconds before the attack that give the usual traffic, and that a chart shows before and after it."""
MAX_ROWS = 200
_BUSY_S = 5.0


class InsightUnreadable(Exception):
    """The journal or the record of attacks cannot be read: damaged, or no permission."""


def last_attack(data_dir: Path, *, until_ms: int) -> AttackSpan | None:
    """Return the attack that began last before a time; None if there is none. Raise InsightUnreadable."""
    spans = attacks_between(data_dir, from_ms=0, until_ms=until_ms)
    return spans[-1] if spans else None


def attacks_between(data_dir: Path, *, from_ms: int, until_ms: int) -> tuple[AttackSpan, ...]:
    """Return the attacks of a time span, oldest first. Raise InsightUnreadable."""
    try:
        found = read_attacks(data_dir / ATTACKS, from_ms=from_ms, until_ms=until_ms, with_moments=False)
    except attack_record.AttackRecordFailed as error:
        raise InsightUnreadable(f"{data_dir / ATTACKS}: {error}") from error
    return found.spans


def last_moment_ms(data_dir: Path, *, from_ms: int) -> int:
    """Return the last moment that was recorded since a time, in ms; 0 for none. Raise InsightUnreadable."""
    with _opened(data_dir) as files:
        try:
            found = files[ATTACKS].execute(LAST_MOMENT.format(from_s=from_ms // 1000)).fetchone()[0]
        except sqlite3.Error as error:
            raise InsightUnreadable(str(error)) from error
    return (found or 0) * 1000


def read_report_data(data_dir: Path, window: ReportWindow, *, domain: str) -> ReportData:
    """Run all queries. Works while the watch writes, and without any process. Raise InsightUnreadable.

    A missing file has no rows.
    """
    values: dict[str, int | str] = {
        "from_ms": window.from_ms,
        "until_ms": window.until_ms,
        "made_ms": window.made_ms,
        "from_s": window.from_s,
        "until_s": window.until_s,
        "around_s": AROUND_S,
        "slice_s": max(1, -(-(window.until_s - window.from_s + 2 * AROUND_S + 1) // SLICES)),
    }
    with _opened(data_dir) as files:
        try:
            record = read_attacks(
                data_dir / ATTACKS, from_ms=window.from_ms, until_ms=window.until_ms, with_moments=False
            )
            values["attacks"] = ", ".join(_literal(attack_name(span.number)) for span in record.spans) or "''"
            return ReportData(
                domain=domain,
                window=window,
                spans=record.spans,
                phases=record.phases,
                timeline=tuple(
                    TimelineEntry(*row) for row in files[JOURNAL].execute(TIMELINE.format_map(values))
                ),
                numbers={one.name: _number(files, one, values) for one in NUMBERS},
                tables={one.name: _table(files, one, values) for one in TABLES},
                series={one.name: _series(files, one, values) for one in SERIES},
            )
        except (sqlite3.Error, attack_record.AttackRecordFailed) as error:
            raise InsightUnreadable(str(error)) from error


def noted_addresses(data_dir: Path, window: ReportWindow) -> tuple[str, list[tuple[str, int]]]:
    """Return the query, and (address, entries) of the clients that used most CPU time. Raise InsightUnreadable."""
    query = NOTED_ADDRESSES.format(from_ms=window.from_ms, until_ms=window.until_ms)
    with _opened(data_dir) as files:
        try:
            return query, [(str(row[0]), int(row[1])) for row in files[JOURNAL].execute(query)]
        except sqlite3.Error as error:
            raise InsightUnreadable(str(error)) from error


def identities_in_journal(data_dir: Path) -> frozenset[str]:
    """Return every identity and address that the journal holds, for checks. Raise InsightUnreadable."""
    with _opened(data_dir) as files:
        try:
            return frozenset(str(row[0]) for row in files[JOURNAL].execute(IDENTITIES) if row[0])
        except sqlite3.Error as error:
            raise InsightUnreadable(str(error)) from error


@contextmanager
def _opened(data_dir: Path) -> Iterator[dict[str, sqlite3.Connection]]:
    with (
        closing(_open(data_dir / ATTACKS, attack_record.TABLES)) as attacks,
        closing(_open(data_dir / JOURNAL, journal.TABLES)) as entries,
    ):
        yield {ATTACKS: attacks, JOURNAL: entries}


def _open(path: Path, tables: str) -> sqlite3.Connection:
    """Open a file for reading. In place of a missing one, return empty tables in memory."""
    try:
        is_there = path.exists()
        # Not opened read-only: the last reader of a write-ahead log may have to remove it.
        raw = sqlite3.connect(path if is_there else ":memory:", timeout=_BUSY_S, isolation_level=None)
        try:
            if not is_there:
                raw.executescript(tables)
            raw.execute("PRAGMA query_only=ON")
            # All numbers of a report are of the same moment, also while the watch writes.
            raw.execute("BEGIN")
        except BaseException:
            raw.close()
            raise
    except sqlite3.Error as error:
        raise InsightUnreadable(f"{path}: {error}") from error
    return raw


def _number(files: dict[str, sqlite3.Connection], query: NumberQuery, values: dict[str, int | str]) -> Number:
    sql = query.sql.format_map(values)
    return Number(_plain(files[query.file].execute(sql).fetchone()[0]), sql, query.file)


def _table(
    files: dict[str, sqlite3.Connection], query: TableQuery, values: dict[str, int | str]
) -> NumberTable:
    sql = query.sql.format_map(values)
    found = files[query.file].execute(sql).fetchmany(MAX_ROWS)
    rows = tuple(_row(query, sql, row) for row in found)
    return NumberTable(query.name, query.keys, query.columns, sql, query.file, rows)


def _series(
    files: dict[str, sqlite3.Connection], query: TableQuery, values: dict[str, int | str]
) -> NumberTable:
    """Return a table whose numbers refer to the query of the whole: a chart has hundreds of them."""
    sql = query.sql.format_map(values)
    rows = tuple(_row(query, sql, row, is_single=False) for row in files[query.file].execute(sql))
    return NumberTable(query.name, query.keys, query.columns, sql, query.file, rows)


def _row(query: TableQuery, sql: str, row: tuple[object, ...], *, is_single: bool = True) -> NumberRow:
    key = tuple(part if isinstance(part, int) else str(part) for part in row[: len(query.keys)])
    where = " AND ".join(f'"{name}" = {_literal(part)}' for name, part in zip(query.keys, key, strict=True))
    numbers = {
        column: Number(
            _plain(value),
            f"SELECT {column} FROM ({sql}) WHERE {where}" if is_single else sql,
            query.file,
            sql,
        )
        for column, value in zip(query.columns, row[len(query.keys) :], strict=True)
    }
    return NumberRow(key, numbers)


def _literal(part: str | int) -> str:
    return str(part) if isinstance(part, int) else "'" + part.replace("'", "''") + "'"


def _plain(value: object) -> Value:
    return value if isinstance(value, int | float) else None
