"""What the stores' errors mean. psycopg is asked only where it is loaded: what is not cannot have raised, and on
SQLite nobody pays for importing it."""

from __future__ import annotations

import sqlite3
import sys
from typing import Any


def _psycopg() -> Any:
    """The driver's module, or None while nothing has used PostgreSQL."""
    return sys.modules.get("psycopg")


def server_gone(error: BaseException) -> bool:
    """Whether PostgreSQL could not do it: gone, shutting down, or a statement past its time."""
    driver = _psycopg()
    return driver is not None and isinstance(error, driver.OperationalError | driver.InterfaceError)


def past_its_time(error: BaseException) -> bool:
    """Whether a read was stopped because it took too long."""
    if isinstance(error, sqlite3.OperationalError):
        return "interrupted" in str(error)
    driver = _psycopg()
    cancelled = driver is not None and isinstance(error, driver.errors.QueryCanceled)
    return cancelled or isinstance(error, TimeoutError)


def store_failed(error: BaseException) -> bool:
    """Whether the store itself failed (gone, full, locked), rather than the statement being wrong."""
    if isinstance(error, sqlite3.DatabaseError):
        return not isinstance(error, sqlite3.IntegrityError | sqlite3.ProgrammingError)
    return server_gone(error)


def is_corrupt(error: BaseException) -> bool:
    """Return whether SQLite found its file damaged, or to be none of its own."""
    return isinstance(error, sqlite3.DatabaseError) and any(
        words in str(error) for words in ("malformed", "is not a database", "disk image")
    )


def to_be_repeated(error: BaseException) -> bool:
    """Whether PostgreSQL undid a transaction because of another one, so that running it again helps.

    A violated unique key is among them: two callers made the same row at once; run again, the rule sees the other's.
    """
    driver = _psycopg()
    if driver is None:
        return False
    kinds = driver.errors
    return isinstance(error, kinds.DeadlockDetected | kinds.SerializationFailure | kinds.UniqueViolation)


def cannot_be_stored(error: BaseException) -> bool:
    """NUL for PostgreSQL, a lone surrogate, a number past 64 bits: the caller's fault, on either store."""
    driver = _psycopg()
    if driver is not None and isinstance(error, driver.DataError):
        return True
    return isinstance(error, UnicodeEncodeError | OverflowError)
