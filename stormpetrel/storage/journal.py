"""The shield's journal, a separate SQLite file: events with their time, and state that watch must not lose.

It is a separate file because it must be writable when the store is not, and because it does not belong into
backups of what people wrote. It is bounded: beyond MAX_ENTRIES or MAX_BYTES the oldest entries are deleted.
Addresses are deleted after ADDRESS_DAYS; the rest of an entry stays.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from stormpetrel.storage.engine.sqlite_file import open_file, reading, writing

FILE_NAME = "journal.sqlite"
MAX_ENTRIES = 50_000
MAX_BYTES = 32 * 1024 * 1024
"""Size of the file. Its write-ahead log comes on top, at most WAL_BYTES."""
WAL_BYTES = 1024 * 1024
MAX_TEXT = 500
ADDRESS_DAYS = 14
MAX_PREFIXES = 50_000
DAY_MS = 86_400_000

TABLES = """
CREATE TABLE IF NOT EXISTS entries (
    id INTEGER PRIMARY KEY,
    at_ms INTEGER NOT NULL,
    kind TEXT NOT NULL,
    who TEXT NOT NULL,
    address TEXT NOT NULL,
    application TEXT NOT NULL,
    channel TEXT NOT NULL,
    because TEXT NOT NULL,
    count INTEGER NOT NULL,
    text TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS entries_with_address ON entries (at_ms) WHERE address <> '';
CREATE TABLE IF NOT EXISTS directions (
    verdict TEXT NOT NULL,
    kind TEXT NOT NULL,
    value TEXT NOT NULL,
    expires_ms INTEGER NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (kind, value)
);
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS prefixes (prefix TEXT PRIMARY KEY, day INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS prefixes_by_day ON prefixes (day);
CREATE TABLE IF NOT EXISTS shelters (prefix TEXT PRIMARY KEY, day INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS shelters_by_day ON shelters (day);
"""
_COLUMNS = "at_ms, kind, who, address, application, channel, because, count, text"
_ADD = f"INSERT INTO entries ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
_COUNT = "SELECT coalesce(max(id) - min(id) + 1, 0) FROM entries"
_DROP_OLDEST = "DELETE FROM entries WHERE id IN (SELECT id FROM entries ORDER BY id LIMIT ?)"
_FORGET_ADDRESSES = "UPDATE entries SET address = '' WHERE address <> '' AND at_ms < ?"
_READ = f"""SELECT id, {_COLUMNS} FROM entries
    WHERE (?1 = '' OR kind = ?1) AND at_ms >= ?2 ORDER BY id DESC LIMIT ?3"""
_DIRECTIONS = (
    "SELECT verdict, kind, value, expires_ms, reason FROM directions WHERE expires_ms > ? ORDER BY 2, 3"
)
_SET_DIRECTION = (
    "INSERT OR REPLACE INTO directions (verdict, kind, value, expires_ms, reason) VALUES (?, ?, ?, ?, ?)"
)
_VALUES = "SELECT value FROM directions WHERE kind = ?"
_END_DIRECTION = "DELETE FROM directions WHERE kind = ? AND value = ?"
_END_EXPIRED = "DELETE FROM directions WHERE expires_ms <= ?"
_FACTS = "SELECT name, value FROM facts"
_SET_FACT = "INSERT OR REPLACE INTO facts (name, value) VALUES (?, ?)"
_PREFIXES = "SELECT prefix, day FROM {} WHERE day >= ? ORDER BY day DESC LIMIT ?"
_SEE_PREFIX = """INSERT INTO {} (prefix, day) VALUES (?, ?)
    ON CONFLICT (prefix) DO UPDATE SET day = max(day, excluded.day)"""
_FORGET_PREFIXES = "DELETE FROM {} WHERE day < ?"
_BOUND_PREFIXES = """DELETE FROM {0} WHERE prefix IN (
    SELECT prefix FROM {0} ORDER BY day DESC LIMIT -1 OFFSET ?)"""


class Networks(StrEnum):
    """The tables of networks with the last day on which they were seen.

    KNOWN: of activity with a credential. SHELTERED: others, from which a client from before an attack came during it.
    """

    KNOWN = "prefixes"
    SHELTERED = "shelters"


@dataclass(frozen=True, slots=True)
class Note:
    """Entry. `kind`: overload, calm, offender, collateral, allow, deny, undo, pause, canary, worker, watch, incident,
    check.

    `who`: an identity as in reports, but never an address, which is in `address` alone. `count`: how many
    times it happened, for one entry about several events.
    """

    at_ms: int
    kind: str
    text: str
    who: str = ""
    address: str = ""
    application: str = ""
    channel: str = ""
    because: str = ""
    count: int = 1


@dataclass(frozen=True, slots=True)
class Direction:
    """An allow or deny that must outlive a restart. Fields as in shield.reports.OperatorEntry."""

    verdict: str
    kind: str
    value: str
    expires_ms: int
    reason: str


def attack_name(number: int) -> str:
    """Return the identity of an attack, for `who` of an entry about it."""
    return f"attack:{number}"


class JournalFailed(Exception):
    """The file cannot be read or written: a full disk, no permission, not a database."""


class Journal:
    """The journal, open for writing. For one thread at a time; raises JournalFailed.

    Only the watch writes. Other processes read (`read`), also while it writes.
    """

    def __init__(self, path: Path, *, max_entries: int = MAX_ENTRIES, max_bytes: int = MAX_BYTES) -> None:
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        try:
            # To lose the last second in a power failure is acceptable for a journal.
            self._raw = open_file(path, tables=TABLES, synchronous="NORMAL", wal_bytes=WAL_BYTES)
        except (OSError, sqlite3.Error) as error:
            raise JournalFailed(str(error)) from error

    def close(self) -> None:
        """Close the file."""
        self._raw.close()

    def write(self, notes: Sequence[Note]) -> None:
        """Write all of the notes or none, then enforce the bounds."""
        try:
            with writing(self._raw):
                self._raw.executemany(
                    _ADD,
                    [
                        (n.at_ms, n.kind, n.who, n.address, n.application, n.channel, n.because, n.count,
                         n.text[:MAX_TEXT])
                        for n in notes
                    ],
                )  # fmt: skip
                over = self._raw.execute(_COUNT).fetchone()[0] - self._max_entries
                if over > 0:
                    self._raw.execute(_DROP_OLDEST, (over,))
                while self._used_bytes() > self._max_bytes:
                    held = self._raw.execute(_COUNT).fetchone()[0]
                    if not held:
                        break
                    self._raw.execute(_DROP_OLDEST, (held // 10 + 1,))
        except sqlite3.Error as error:
            raise JournalFailed(str(error)) from error

    def tidy(self, *, now_ms: int) -> None:
        """Delete expired addresses, prefixes and directions."""
        before_ms = now_ms - ADDRESS_DAYS * DAY_MS
        try:
            self._raw.execute(_FORGET_ADDRESSES, (before_ms,))
            for table in Networks:
                self._raw.execute(_FORGET_PREFIXES.format(table), (before_ms // DAY_MS,))
                self._raw.execute(_BOUND_PREFIXES.format(table), (MAX_PREFIXES,))
            self._raw.execute(_END_EXPIRED, (now_ms,))
            # Overwritten data must not stay in the write-ahead log.
            self._raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        except sqlite3.Error as error:
            raise JournalFailed(str(error)) from error

    def directions(self, *, now_ms: int) -> list[Direction]:
        """Return the directions in force."""
        try:
            return [Direction(*row) for row in self._raw.execute(_DIRECTIONS, (now_ms,))]
        except sqlite3.Error as error:
            raise JournalFailed(str(error)) from error

    def values(self, *, kind: str) -> list[str]:
        """Return the values of all directions of a kind, as they were stored."""
        try:
            return [str(row[0]) for row in self._raw.execute(_VALUES, (kind,))]
        except sqlite3.Error as error:
            raise JournalFailed(str(error)) from error

    def set_direction(self, direction: Direction) -> None:
        """Store a direction, replacing one for the same entry."""
        row = (
            direction.verdict,
            direction.kind,
            direction.value,
            direction.expires_ms,
            direction.reason[:MAX_TEXT],
        )
        self._run(_SET_DIRECTION, row)

    def end_direction(self, *, kind: str, value: str) -> None:
        """Delete the direction for an entry."""
        self._run(_END_DIRECTION, (kind, value))

    def facts(self) -> dict[str, int]:
        """Return numbers by name: until when the shield is paused, when the attack began."""
        try:
            return dict(self._raw.execute(_FACTS).fetchall())
        except sqlite3.Error as error:
            raise JournalFailed(str(error)) from error

    def set_fact(self, name: str, value: int) -> None:
        """Store a number."""
        self._run(_SET_FACT, (name, value))

    def networks(self, table: Networks, *, now_ms: int) -> list[tuple[str, int]]:
        """Return networks and their last day within ADDRESS_DAYS, newest first, at most MAX_PREFIXES."""
        first_day = now_ms // DAY_MS - ADDRESS_DAYS
        try:
            rows = self._raw.execute(_PREFIXES.format(table), (first_day, MAX_PREFIXES))
            return [(row[0], row[1]) for row in rows]
        except sqlite3.Error as error:
            raise JournalFailed(str(error)) from error

    def see_networks(self, table: Networks, prefixes: Iterable[tuple[str, int]]) -> None:
        """Store networks and the day."""
        try:
            with writing(self._raw):
                self._raw.executemany(_SEE_PREFIX.format(table), prefixes)
        except sqlite3.Error as error:
            raise JournalFailed(str(error)) from error

    def _run(self, statement: str, values: tuple[object, ...]) -> None:
        try:
            self._raw.execute(statement, values)
        except sqlite3.Error as error:
            raise JournalFailed(str(error)) from error

    def _used_bytes(self) -> int:
        pages = self._raw.execute("PRAGMA page_count").fetchone()[0]
        free = self._raw.execute("PRAGMA freelist_count").fetchone()[0]
        page_bytes = self._raw.execute("PRAGMA page_size").fetchone()[0]
        return int(pages - free) * int(page_bytes)


def read(path: Path, *, kind: str, since_ms: int, count: int) -> list[tuple[int, Note]]:
    """Return (number, entry), newest first, at most `count`; `kind` "" for all. Works while the watch writes.

    Raise JournalFailed; a missing file is an empty journal.
    """
    if not path.exists():
        return []
    try:
        with reading(path) as raw:
            rows = raw.execute(_READ, (kind, since_ms, count)).fetchall()
    except sqlite3.Error as error:
        raise JournalFailed(str(error)) from error
    return [
        (
            row[0],
            Note(
                at_ms=row[1],
                kind=row[2],
                who=row[3],
                address=row[4],
                application=row[5],
                channel=row[6],
                because=row[7],
                count=row[8],
                text=row[9],
            ),
        )
        for row in rows
    ]
