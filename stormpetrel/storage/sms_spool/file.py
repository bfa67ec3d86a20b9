"""Opens the spool's file, creates its tables, and runs transactions in it.

The sms role writes, and commands do for a moment (`stormpetrel sms send`); every commit is durable before it returns.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

from stormpetrel.storage.engine.sqlite_file import open_file, writing

SpoolDb: TypeAlias = sqlite3.Connection
"""A connection to the spool, for functions of this folder; other code passes it on."""
SpoolCall: TypeAlias = Callable[[SpoolDb], Any]
FILE_NAME = "sms.sqlite"
_BUSY_S = 5.0
ROLE_BUSY_S = 2.0
"""How long the role waits for a lock. A call waits for two commits at most, and providers for 10 s."""
WAL_BYTES = 8 * 1024 * 1024

_TABLES = """
CREATE TABLE IF NOT EXISTS inbox (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    route TEXT NOT NULL,
    number TEXT NOT NULL,
    receiver TEXT NOT NULL,
    text TEXT NOT NULL,
    proof BLOB,
    class INTEGER NOT NULL,
    quiet INTEGER NOT NULL,
    state TEXT NOT NULL,
    effect TEXT,
    error TEXT,
    status_id INTEGER,
    at_ms INTEGER NOT NULL,
    changed_ms INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS inbox_waiting ON inbox (class, id) WHERE state = 'stored';
CREATE INDEX IF NOT EXISTS inbox_waiting_number ON inbox (number) WHERE state = 'stored';
CREATE INDEX IF NOT EXISTS inbox_changed ON inbox (changed_ms);
CREATE INDEX IF NOT EXISTS inbox_number ON inbox (number, id);
CREATE TABLE IF NOT EXISTS part_keys (key TEXT PRIMARY KEY, at_ms INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS part_keys_at ON part_keys (at_ms);
CREATE TABLE IF NOT EXISTS parts (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL,
    route TEXT NOT NULL,
    number TEXT NOT NULL,
    receiver TEXT NOT NULL,
    kind TEXT NOT NULL,
    reference INTEGER NOT NULL,
    total INTEGER NOT NULL,
    part INTEGER NOT NULL,
    coding TEXT NOT NULL,
    octets BLOB NOT NULL,
    locking INTEGER NOT NULL,
    single INTEGER NOT NULL,
    proof BLOB,
    at_ms INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS unsettled (route TEXT NOT NULL, key TEXT NOT NULL, PRIMARY KEY (route, key));
CREATE TABLE IF NOT EXISTS outbox (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    route TEXT NOT NULL,
    number TEXT NOT NULL,
    text TEXT NOT NULL,
    kind TEXT NOT NULL,
    lane INTEGER NOT NULL,
    state TEXT NOT NULL,
    segments INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    reserved INTEGER NOT NULL DEFAULT 0,
    price INTEGER NOT NULL DEFAULT 0,
    day TEXT NOT NULL DEFAULT '',
    prefix TEXT NOT NULL DEFAULT '',
    carrier_id TEXT NOT NULL DEFAULT '',
    error TEXT NOT NULL DEFAULT '',
    due_ms INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    sent_ms INTEGER NOT NULL DEFAULT 0,
    done_ms INTEGER NOT NULL DEFAULT 0,
    changed_ms INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS outbox_queued ON outbox (route, lane, id) WHERE state = 'queued';
CREATE INDEX IF NOT EXISTS outbox_open ON outbox (lane, at_ms) WHERE state IN ('queued', 'sending');
CREATE INDEX IF NOT EXISTS outbox_changed ON outbox (changed_ms);
CREATE INDEX IF NOT EXISTS outbox_number ON outbox (number, at_ms);
CREATE TABLE IF NOT EXISTS units (
    id INTEGER PRIMARY KEY,
    message_id INTEGER NOT NULL REFERENCES outbox (id) ON DELETE CASCADE,
    route TEXT NOT NULL,
    number INTEGER NOT NULL,
    total INTEGER NOT NULL,
    state TEXT NOT NULL,
    wants_receipt INTEGER NOT NULL,
    carrier_id TEXT NOT NULL DEFAULT '',
    attempts INTEGER NOT NULL DEFAULT 0,
    UNIQUE (message_id, number)
);
CREATE INDEX IF NOT EXISTS units_carrier ON units (route, carrier_id) WHERE carrier_id <> '';
CREATE INDEX IF NOT EXISTS units_sending ON units (state) WHERE state = 'sending';
CREATE TABLE IF NOT EXISTS part_reports (
    unit_id INTEGER NOT NULL REFERENCES units (id) ON DELETE CASCADE,
    report TEXT NOT NULL,
    PRIMARY KEY (unit_id, report)
);
CREATE TABLE IF NOT EXISTS part_references (
    message_id INTEGER PRIMARY KEY REFERENCES outbox (id) ON DELETE CASCADE,
    number TEXT NOT NULL,
    reference INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS part_references_number ON part_references (number, message_id);
CREATE TABLE IF NOT EXISTS receipts (
    route TEXT NOT NULL,
    carrier_id TEXT NOT NULL,
    state TEXT NOT NULL,
    error TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    PRIMARY KEY (route, carrier_id)
);
CREATE TABLE IF NOT EXISTS spending (
    day TEXT NOT NULL,
    scope TEXT NOT NULL,
    spent INTEGER NOT NULL DEFAULT 0,
    reserved INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (day, scope)
);
CREATE TABLE IF NOT EXISTS routes (
    name TEXT PRIMARY KEY,
    paused INTEGER NOT NULL DEFAULT 0,
    state TEXT NOT NULL DEFAULT 'down',
    state_ms INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS known (
    number_hash BLOB PRIMARY KEY,
    has_account INTEGER NOT NULL,
    pin_hash BLOB,
    language TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS notices (number TEXT NOT NULL, kind TEXT NOT NULL, at_ms INTEGER NOT NULL,
    PRIMARY KEY (number, kind));
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
"""


class SpoolFailed(Exception):
    """The file cannot be read or written now: a full disk, a lock held for long, a damaged file."""


class SpoolFile:
    """The open file. For one thread at a time; raises SpoolFailed."""

    def __init__(self, directory: Path, *, busy_s: float = _BUSY_S) -> None:
        path = directory / FILE_NAME
        try:
            self.raw = open_file(
                path,
                tables=_TABLES,
                synchronous="FULL",
                busy_s=busy_s,
                wal_bytes=WAL_BYTES,
            )
            self._path, self._inode = path, os.stat(path).st_ino
        except (OSError, sqlite3.Error) as error:
            raise SpoolFailed(f"{path}: {error}") from error

    def close(self) -> None:
        """Close the file."""
        self.raw.close()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Run a durable transaction; undo it if the block raises.

        Raise SpoolFailed if the file was moved away or replaced: what is written to it would be lost.
        """
        try:
            is_there = os.stat(self._path).st_ino == self._inode
        except OSError:
            is_there = False
        if not is_there:
            raise SpoolFailed(f"{self._path} was moved or replaced")
        try:
            with writing(self.raw):
                yield self.raw
        except sqlite3.Error as error:
            raise SpoolFailed(str(error)) from error

    def run(self, calls: Sequence[SpoolCall]) -> list[tuple[Any, Exception | None]]:
        """Run calls as one durable transaction, each in a savepoint; return (result, error) of each.

        A call that raises changes nothing, and does not undo the others. Raise SpoolFailed if nothing was stored.
        """
        done: list[tuple[Any, Exception | None]] = []
        with self.transaction() as db:
            for call in calls:
                db.execute("SAVEPOINT one")
                try:
                    done.append((call(db), None))
                except sqlite3.Error:
                    raise  # the file has failed, not the call
                except Exception as error:
                    db.execute("ROLLBACK TO one")
                    done.append((None, error))
                db.execute("RELEASE one")
        return done


@contextmanager
def open_spool(directory: Path) -> Iterator[SpoolFile]:
    """Open the spool for one command."""
    spool = SpoolFile(directory)
    try:
        yield spool
    finally:
        spool.close()
