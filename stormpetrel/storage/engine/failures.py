"""Classify the stores' errors. psycopg is checked only if it is loaded: otherwise it cannot have raised, and
SQLite users need not import it."""

from __future__ import annotations

import logging
import sqlite3
import sys
from typing import Any

from stormpetrel.errors import Busy, EnvironmentFailure, Invalid, Refusal

log = logging.getLogger(__name__)


def _psycopg() -> Any:
    """Return the driver's module, or None if PostgreSQL was not used yet."""
    return sys.modules.get("psycopg")


def server_gone(error: BaseException) -> bool:
    """Return whether PostgreSQL was unavailable: gone, shutting down, or a statement timed out."""
    driver = _psycopg()
    return driver is not None and isinstance(error, driver.OperationalError | driver.InterfaceError)


def past_its_time(error: BaseException) -> bool:
    """Return whether a read was stopped because it took too long."""
    if isinstance(error, sqlite3.OperationalError):
        return "interrupted" in str(error)
    driver = _psycopg()
    cancelled = driver is not None and isinstance(error, driver.errors.QueryCanceled)
    return cancelled or isinstance(error, TimeoutError)


def store_failed(error: BaseException) -> bool:
    """Return whether the store itself failed (gone, full, locked), rather than the statement being wrong."""
    if isinstance(error, sqlite3.DatabaseError):
        return not isinstance(error, sqlite3.IntegrityError | sqlite3.ProgrammingError)
    return server_gone(error)


def is_corrupt(error: BaseException) -> bool:
    """Return whether SQLite found its file damaged, or not to be a database."""
    return isinstance(error, sqlite3.DatabaseError) and any(
        words in str(error) for words in ("malformed", "is not a database", "disk image")
    )


def to_be_repeated(error: BaseException) -> bool:
    """Return whether PostgreSQL undid a transaction because of another one, so that a retry helps.

    A violated unique key counts: two callers made the same row at once; on the retry,
    the rule sees the other's row.
    """
    driver = _psycopg()
    if driver is None:
        return False
    kinds = driver.errors
    return isinstance(error, kinds.DeadlockDetected | kinds.SerializationFailure | kinds.UniqueViolation)


def is_unknown_transaction(error: BaseException) -> bool:
    """Return whether PostgreSQL was asked about a transaction that it has not begun, or lost in a crash."""
    driver = _psycopg()
    return driver is not None and isinstance(error, driver.errors.InvalidParameterValue)


def cannot_be_stored(error: BaseException) -> bool:
    """Return whether a value is invalid on either store: NUL for PostgreSQL, lone surrogate, over 64 bits."""
    driver = _psycopg()
    if driver is not None and isinstance(error, driver.DataError):
        return True
    return isinstance(error, UnicodeEncodeError | OverflowError)


def for_caller(raised: Exception, busy_text: str | None) -> Exception:
    """Turn a store failure into Busy and an invalid value into Invalid; return other errors unchanged."""
    if cannot_be_stored(raised):
        invalid = Invalid("The request holds characters or numbers that cannot be stored")
        invalid.__cause__ = raised
        return invalid
    if isinstance(raised, Refusal) or not (store_failed(raised) or isinstance(raised, EnvironmentFailure)):
        return raised
    log.error("the database failed: %s", raised)
    busy = Busy(busy_text)
    busy.__cause__ = raised
    return busy
