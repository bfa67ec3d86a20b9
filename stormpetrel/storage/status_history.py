"""The history of the status page, a separate SQLite file: days of each channel, response times, incidents.

The watch writes it, and commands do while no watch runs. It is separate because it must be readable and writable
when the store is not. An incident is durable when its change returns; of measurements, a power failure may lose the
last minutes. It is bounded: days are deleted after DAYS, response times after MINUTES_KEPT.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from stormpetrel.model.channel import ChannelState
from stormpetrel.model.incident import Incident
from stormpetrel.model.status_subscription import StatusNotice, notices_of
from stormpetrel.storage.engine.sqlite_file import Synchronous, open_file, reading, writing

FILE_NAME = "status.sqlite"
DAYS = 400
MINUTES_KEPT = 2 * 1440
MAX_INCIDENTS = 5_000
MAX_NOTICES = 1_000
"""Updates that wait for the store; the oldest are dropped."""

_TABLES = """
CREATE TABLE IF NOT EXISTS days (
    channel TEXT NOT NULL,
    day INTEGER NOT NULL,
    operational_s REAL NOT NULL,
    degraded_s REAL NOT NULL,
    partial_s REAL NOT NULL,
    major_s REAL NOT NULL,
    maintenance_s REAL NOT NULL,
    unknown_s REAL NOT NULL,
    PRIMARY KEY (channel, day)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS minutes (
    channel TEXT NOT NULL,
    minute INTEGER NOT NULL,
    ms REAL NOT NULL,
    PRIMARY KEY (channel, minute)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS incidents (
    id TEXT PRIMARY KEY,
    started_ms INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL,
    is_open INTEGER NOT NULL,
    body BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS notices (
    seq INTEGER PRIMARY KEY,
    update_id TEXT NOT NULL UNIQUE,
    incident_id TEXT NOT NULL,
    body BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS incidents_open ON incidents (started_ms) WHERE is_open = 1;
"""
_DAY_COLUMNS = "operational_s, degraded_s, partial_s, major_s, maintenance_s, unknown_s"
_STATES = (
    ChannelState.OPERATIONAL,
    ChannelState.DEGRADED,
    ChannelState.PARTIAL,
    ChannelState.MAJOR,
    ChannelState.MAINTENANCE,
    ChannelState.UNKNOWN,
)
_PUT_DAY = f"INSERT OR REPLACE INTO days (channel, day, {_DAY_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
_READ_DAYS = f"SELECT channel, day, {_DAY_COLUMNS} FROM days WHERE day >= ?"
_PUT_MINUTE = "INSERT OR REPLACE INTO minutes (channel, minute, ms) VALUES (?, ?, ?)"
_READ_MINUTES = "SELECT channel, minute, ms FROM minutes WHERE minute >= ? ORDER BY minute"
_PUT_INCIDENT = """INSERT OR REPLACE INTO incidents (id, started_ms, updated_ms, is_open, body)
    VALUES (?, ?, ?, ?, ?)"""
_READ_INCIDENTS = "SELECT body FROM incidents ORDER BY started_ms DESC LIMIT ?"
_READ_OPEN = "SELECT body FROM incidents WHERE is_open = 1 ORDER BY started_ms DESC"
_FORGET_DAYS = "DELETE FROM days WHERE day < ?"
_FORGET_MINUTES = "DELETE FROM minutes WHERE minute < ?"
_BOUND_INCIDENTS = """DELETE FROM incidents WHERE is_open = 0 AND id NOT IN (
    SELECT id FROM incidents ORDER BY started_ms DESC LIMIT ?)"""

_READ_INCIDENT = "SELECT body FROM incidents WHERE id = ?"
_READ_INCIDENT_NOTICES = "SELECT update_id FROM notices WHERE incident_id = ?"
_PUT_NOTICE = "INSERT OR IGNORE INTO notices (update_id, incident_id, body) VALUES (?, ?, ?)"
_READ_NOTICES = "SELECT body FROM notices ORDER BY seq LIMIT ?"
_DROP_NOTICE = "DELETE FROM notices WHERE update_id = ?"
_BOUND_NOTICES = "DELETE FROM notices WHERE seq <= (SELECT max(seq) FROM notices) - ?"

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Incident).decode
_decode_notice = msgspec.json.Decoder(StatusNotice).decode


_Work = Sequence[tuple[str, Sequence[tuple[object, ...]]]]


@dataclass(slots=True)
class ChannelDay:
    """A channel's day. `day`: days since 1970. `seconds`: in each state; the rest of the day was not watched."""

    channel: str
    day: int
    seconds: dict[ChannelState, float] = field(default_factory=dict)

    @property
    def measured_s(self) -> float:
        """Return the seconds with a measurement, apart from maintenance."""
        apart = (ChannelState.UNKNOWN, ChannelState.MAINTENANCE)
        return sum(seconds for state, seconds in self.seconds.items() if state not in apart)


@dataclass(frozen=True, slots=True)
class ChannelMinute:
    """A channel's mean response time in a minute, in ms. `minute`: minutes since 1970."""

    channel: str
    minute: int
    ms: float


class StatusHistoryFailed(Exception):
    """The file cannot be read or written: a full disk, no permission, not a database."""


class StatusHistory:
    """The history, open for writing. For one thread at a time; raises StatusHistoryFailed."""

    def __init__(self, path: Path) -> None:
        try:
            self._raw = open_file(path, tables=_TABLES, synchronous="FULL")
        except (OSError, sqlite3.Error) as error:
            raise StatusHistoryFailed(str(error)) from error

    def close(self) -> None:
        """Close the file."""
        self._raw.close()

    def put_incidents(self, incidents: Iterable[Incident]) -> None:
        """Store incidents, each replacing its older form, and their new updates among the notices.

        They are durable when this returns.
        """
        new = list(incidents)
        rows = [(one.id, one.started_ms, one.updated_ms, int(one.is_open), _encode(one)) for one in new]
        self._write(
            "FULL",
            lambda: [
                *self._notice_changes(new),
                (_PUT_INCIDENT, rows),
                (_BOUND_INCIDENTS, [(MAX_INCIDENTS,)]),
            ],
        )

    def notices(self, *, count: int) -> list[StatusNotice]:
        """Return updates that subscribers have not got yet, oldest first, at most `count`."""
        return [_decode_notice(body) for (body,) in self._read(_READ_NOTICES, (count,))]

    def drop_notices(self, update_ids: Iterable[str]) -> None:
        """Delete notices that were handed over."""
        self._write("NORMAL", lambda: [(_DROP_NOTICE, [(one,) for one in update_ids])])

    def _notice_changes(self, incidents: Iterable[Incident]) -> _Work:
        """Return the changes of the notices when these incidents replace their older forms."""
        added: list[tuple[object, ...]] = []
        dropped: list[tuple[object, ...]] = []
        for one in incidents:
            stored = self._raw.execute(_READ_INCIDENT, (one.id,)).fetchone()
            before = None if stored is None else _decode(stored[0])
            added += [(new.update_id, one.id, _encode(new)) for new in notices_of(one, before)]
            # An operator's change that met one of the watch was stored without it first, and has another id now.
            known = {update.id for update in one.updates}
            waiting = self._raw.execute(_READ_INCIDENT_NOTICES, (one.id,)).fetchall()
            dropped += [row for row in waiting if row[0] not in known]
        return [(_DROP_NOTICE, dropped), (_PUT_NOTICE, added), (_BOUND_NOTICES, [(MAX_NOTICES,)])]

    def put_measurements(
        self, days: Iterable[ChannelDay], minutes: Iterable[ChannelMinute], *, now_ms: int
    ) -> None:
        """Store days and minutes, each replacing its older form; delete expired ones."""
        minute = now_ms // 60_000
        of_days = [
            (one.channel, one.day, *(one.seconds.get(state, 0.0) for state in _STATES)) for one in days
        ]
        of_minutes = [(one.channel, one.minute, one.ms) for one in minutes]
        self._write(
            "NORMAL",
            lambda: [
                (_PUT_DAY, of_days),
                (_PUT_MINUTE, of_minutes),
                (_FORGET_DAYS, [(minute // 1440 - DAYS,)]),
                (_FORGET_MINUTES, [(minute - MINUTES_KEPT,)]),
            ],
        )

    def days(self, *, since_day: int) -> list[ChannelDay]:
        """Return the days from `since_day` on, in no order."""
        return [
            ChannelDay(row[0], row[1], dict(zip(_STATES, row[2:], strict=True)))
            for row in self._read(_READ_DAYS, (since_day,))
        ]

    def minutes(self, *, since_minute: int) -> list[ChannelMinute]:
        """Return the minutes from `since_minute` on, in order."""
        return [ChannelMinute(*row) for row in self._read(_READ_MINUTES, (since_minute,))]

    def incidents(self) -> list[Incident]:
        """Return all incidents and maintenance, at most MAX_INCIDENTS, those that started last first."""
        return [_decode(body) for (body,) in self._read(_READ_INCIDENTS, (MAX_INCIDENTS,))]

    def _read(self, statement: str, values: tuple[object, ...]) -> list[tuple[Any, ...]]:
        try:
            return self._raw.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise StatusHistoryFailed(str(error)) from error

    def _write(self, synchronous: Synchronous, work: Callable[[], _Work]) -> None:
        """Run the changes that `work` returns, in one transaction, in which it may read."""
        try:
            self._raw.execute(f"PRAGMA synchronous={synchronous}")
            with writing(self._raw):
                for statement, rows in work():
                    self._raw.executemany(statement, rows)
        except sqlite3.Error as error:
            raise StatusHistoryFailed(str(error)) from error


def read_incidents(path: Path, *, only_open: bool) -> list[Incident]:
    """Return incidents and maintenance, those that started last first, also while the watch writes.

    Empty if there is no file. Raise StatusHistoryFailed.
    """
    if not path.exists():
        return []
    try:
        with reading(path) as raw:
            statement, values = (_READ_OPEN, ()) if only_open else (_READ_INCIDENTS, (MAX_INCIDENTS,))
            return [_decode(body) for (body,) in raw.execute(statement, values).fetchall()]
    except sqlite3.Error as error:
        raise StatusHistoryFailed(str(error)) from error
