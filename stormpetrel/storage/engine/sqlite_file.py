"""The SQLite files besides the store (journal, attacks, status, texts): opened with the same settings.

All functions raise sqlite3.Error; their callers turn it into the error of their file.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Literal

BUSY_S = 2.0
"""How long a call waits for the lock of another process."""

Synchronous = Literal["NORMAL", "FULL"]
"""FULL: a commit is durable when it returns. NORMAL: a power failure may lose the last second."""


def open_file(
    path: Path,
    *,
    tables: str,
    synchronous: Synchronous,
    busy_s: float = BUSY_S,
    wal_bytes: int = -1,
) -> sqlite3.Connection:
    """Open a file for writing; create it and its tables if they are missing. Raise OSError too.

    It commits each statement, except in `writing`. `wal_bytes`: the size to which the write-ahead log shrinks after
    it was longer, -1 for none.
    """
    # Created here and not by SQLite, so that it is never readable by other users.
    os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
    raw = sqlite3.connect(path, timeout=busy_s, isolation_level=None, check_same_thread=False)
    try:
        raw.execute("PRAGMA journal_mode=WAL")
        raw.execute(f"PRAGMA synchronous={synchronous}")
        raw.execute("PRAGMA foreign_keys=ON")
        raw.execute(f"PRAGMA journal_size_limit={wal_bytes}")
        # Overwrite deleted texts and addresses. Debian's SQLite does so by default, others do not.
        raw.execute("PRAGMA secure_delete=ON")
        raw.executescript(tables)
    except BaseException:
        raw.close()
        raise
    return raw


@contextmanager
def reading(path: Path, *, busy_s: float = BUSY_S) -> Iterator[sqlite3.Connection]:
    """Open an existing file for reading, also while another process writes; close it after the block."""
    # Not opened read-only: the last reader of a write-ahead log may have to remove it.
    with closing(sqlite3.connect(path, timeout=busy_s, isolation_level=None)) as raw:
        raw.execute("PRAGMA query_only=ON")
        yield raw


@contextmanager
def writing(raw: sqlite3.Connection) -> Iterator[None]:
    """Run the block as one transaction; roll back if it raises."""
    raw.execute("BEGIN IMMEDIATE")
    try:
        yield
        raw.execute("COMMIT")
    except BaseException:
        # If the disk is full, SQLite may have rolled back already.
        if raw.in_transaction:
            raw.execute("ROLLBACK")
        raise
