"""The record of attacks, a separate SQLite file beside the journal: moments, phases, spans. All bodies are JSON.

The watch writes it; the insight report is made from it and from the journal, without the store. Each body is a row's
column `body`, so that SQLite's JSON functions can compute every number of the report from the file. It is bounded:
beyond MAX_MOMENTS, the moments of the oldest attack are deleted, and of spans and phases the newest MAX_SPANS and
MAX_PHASES stay. It holds no address and no credential.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from stormpetrel.model.attack import AttackPhase, AttackSpan, Moment
from stormpetrel.storage.engine.sqlite_file import open_file, reading, writing

FILE_NAME = "attacks.sqlite"
MAX_MOMENTS = 10_000
"""At about 2 KB each, the file stays below 30 MB."""
MAX_PHASES = 2_000
MAX_SPANS = 500

TABLES = """
CREATE TABLE IF NOT EXISTS moments (
    at_s INTEGER PRIMARY KEY,
    attack INTEGER NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS moments_by_attack ON moments (attack, at_s);
CREATE TABLE IF NOT EXISTS phases (
    number INTEGER PRIMARY KEY,
    attack INTEGER NOT NULL,
    began_ms INTEGER NOT NULL,
    ended_ms INTEGER NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS phases_by_attack ON phases (attack, number);
CREATE TABLE IF NOT EXISTS spans (
    number INTEGER PRIMARY KEY,
    onset_ms INTEGER NOT NULL,
    noticed_ms INTEGER NOT NULL,
    ended_ms INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS usual (
    number INTEGER PRIMARY KEY CHECK (number = 1),
    body TEXT NOT NULL
);
"""
_PUT_USUAL = "INSERT OR REPLACE INTO usual (number, body) VALUES (1, ?)"
_PUT_MOMENT = "INSERT OR REPLACE INTO moments (at_s, attack, body) VALUES (?, ?, ?)"
_PUT_PHASE = "INSERT OR REPLACE INTO phases (number, attack, began_ms, ended_ms, body) VALUES (?, ?, ?, ?, ?)"
_PUT_SPAN = "INSERT OR REPLACE INTO spans (number, onset_ms, noticed_ms, ended_ms) VALUES (?, ?, ?, ?)"
_BOUND_MOMENTS = """DELETE FROM moments WHERE at_s <= (
    SELECT at_s FROM moments ORDER BY at_s DESC LIMIT 1 OFFSET ?)"""
_BOUND_PHASES = "DELETE FROM phases WHERE number <= (SELECT max(number) FROM phases) - ?"
_BOUND_SPANS = "DELETE FROM spans WHERE number <= (SELECT max(number) FROM spans) - ?"
_LAST = "SELECT (SELECT coalesce(max(number), 0) FROM spans), (SELECT coalesce(max(number), 0) FROM phases)"
_READ_SPANS = """SELECT number, onset_ms, noticed_ms, ended_ms FROM spans
    WHERE onset_ms <= ? AND (ended_ms = 0 OR ended_ms >= ?) ORDER BY number"""
_READ_PHASES = """SELECT body FROM phases
    WHERE began_ms <= ? AND (ended_ms = 0 OR ended_ms >= ?) ORDER BY number"""
_READ_MOMENTS = "SELECT body FROM moments WHERE at_s BETWEEN ? AND ? ORDER BY at_s"

_encode = msgspec.json.Encoder().encode
_moment = msgspec.json.Decoder(Moment).decode
_phase = msgspec.json.Decoder(AttackPhase).decode


class AttackRecordFailed(Exception):
    """The file cannot be read or written: a full disk, no permission, not a database."""


@dataclass(frozen=True, slots=True)
class RecordedAttacks:
    """What a time span of the record holds, each part oldest first."""

    spans: tuple[AttackSpan, ...] = ()
    phases: tuple[AttackPhase, ...] = ()
    moments: tuple[Moment, ...] = ()


class AttackRecord:
    """The record, open for writing. For one thread at a time; raises AttackRecordFailed."""

    def __init__(self, path: Path, *, max_moments: int = MAX_MOMENTS) -> None:
        self._max_moments = max_moments
        try:
            # A power failure may lose the last second, as with the journal.
            self._raw = open_file(path, tables=TABLES, synchronous="NORMAL")
        except (OSError, sqlite3.Error) as error:
            raise AttackRecordFailed(str(error)) from error

    def close(self) -> None:
        """Close the file."""
        self._raw.close()

    def last_numbers(self) -> tuple[int, int]:
        """Return the highest number of a span and of a phase, 0 for none."""
        try:
            span, phase = self._raw.execute(_LAST).fetchone()
        except sqlite3.Error as error:
            raise AttackRecordFailed(str(error)) from error
        return int(span), int(phase)

    def usual(self) -> str:
        """Return the usual traffic before the last attack, as it was written; "" for none."""
        try:
            row = self._raw.execute("SELECT body FROM usual").fetchone()
        except sqlite3.Error as error:
            raise AttackRecordFailed(str(error)) from error
        return "" if row is None else str(row[0])

    def write(
        self,
        *,
        attack: int,
        moments: Sequence[Moment] = (),
        phases: Iterable[AttackPhase] = (),
        spans: Iterable[AttackSpan] = (),
        usual: str = "",
    ) -> None:
        """Write all or none, replacing rows of the same time or number; then enforce the bounds.

        `attack`: the number of the span to which the moments belong. `usual`: the usual traffic before it, as the
        watch reads it; empty to leave it.
        """
        try:
            with writing(self._raw):
                self._raw.executemany(_PUT_MOMENT, [(m.at_s, attack, _encode(m).decode()) for m in moments])
                self._raw.executemany(
                    _PUT_PHASE,
                    [(p.number, p.attack, p.began_ms, p.ended_ms, _encode(p).decode()) for p in phases],
                )
                self._raw.executemany(
                    _PUT_SPAN, [(s.number, s.onset_ms, s.noticed_ms, s.ended_ms) for s in spans]
                )
                if usual:
                    self._raw.execute(_PUT_USUAL, (usual,))
                self._raw.execute(_BOUND_MOMENTS, (self._max_moments,))
                self._raw.execute(_BOUND_PHASES, (MAX_PHASES,))
                self._raw.execute(_BOUND_SPANS, (MAX_SPANS,))
        except sqlite3.Error as error:
            raise AttackRecordFailed(str(error)) from error


def read_attacks(path: Path, *, from_ms: int, until_ms: int, with_moments: bool = True) -> RecordedAttacks:
    """Return what the record holds of a time span, ends included. Works while the watch writes.

    Raise AttackRecordFailed; a missing file is an empty record.
    """
    if not path.exists():
        return RecordedAttacks()
    try:
        with reading(path) as raw:
            within = (until_ms, from_ms)
            return RecordedAttacks(
                tuple(AttackSpan(*row) for row in raw.execute(_READ_SPANS, within)),
                tuple(_phase(row[0]) for row in raw.execute(_READ_PHASES, within)),
                tuple(
                    _moment(row[0]) for row in raw.execute(_READ_MOMENTS, (from_ms // 1000, until_ms // 1000))
                )
                if with_moments
                else (),
            )
    except (sqlite3.Error, msgspec.DecodeError) as error:
        raise AttackRecordFailed(str(error)) from error
