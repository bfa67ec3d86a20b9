"""One connection to either store, and how to open it.

Not thread-safe: a connection belongs to the thread that opened it.
"""

from __future__ import annotations

import fcntl
import math
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple, Protocol
from urllib.parse import quote, unquote, urlsplit

import msgspec

from stormpetrel.errors import CorruptStore, EnvironmentFailure, Invalid, SetupError
from stormpetrel.extras import require
from stormpetrel.model.event import Event
from stormpetrel.model.ids import IdMaker
from stormpetrel.model.search import search_words
from stormpetrel.storage.engine.failures import is_corrupt
from stormpetrel.storage.engine.statement import Statement

Row = tuple[Any, ...]

_BEGUN = b"SELECT pg_current_xact_id()::text::bigint, extract(epoch FROM now())::float8"
_LOG = b"SELECT pg_logical_emit_message(true, 'stormpetrel', '')"
"""Writes an empty record to PostgreSQL's log: a commit that wrote nothing flushes nothing."""

_encode = msgspec.json.Encoder().encode

BUSY_TIMEOUT_S = 2.0
"""How long SQLite waits for another process's lock; rarely needed: writers queue on the lock file first."""
STATEMENT_CACHE = 512
POSTGRESQL_STATEMENT_TIMEOUT_MS = 15_000
POSTGRESQL_LOCK_TIMEOUT_MS = 2_000
"""Each wait for another program's lock ends after this time, so that later writes do not wait longer."""
_SESSION, _KEPT = "stormpetrel.session", "kept"
"""A setting of our own. A pooler that gives each transaction another session may be configured to ignore the settings
of a connection. Then two processes take the same slot of ids, and no statement has a time limit."""
_NO_POOLER = "connect to PostgreSQL itself, not to a pooler such as PgBouncer"


class Connection(Protocol):
    """The interface for queries and rules. `events` collects the events to publish after the commit."""

    dialect: str
    events: list[Event]

    def all(self, statement: Statement, **values: Any) -> list[Row]:
        """Return all rows."""

    def one(self, statement: Statement, **values: Any) -> Row | None:
        """Return the first row, or None if there is none."""

    def each(self, statement: Statement, rows: Sequence[dict[str, Any]]) -> list[Row | None]:
        """Run a read once for each of `rows`, in one round trip; return the first row of each, or None."""

    def run(self, statement: Statement, **values: Any) -> int:
        """Run a change; return how many rows it touched."""

    def run_later(self, statement: Statement, **values: Any) -> None:
        """Run a change, perhaps together with later statements; its error may be raised by one of them."""

    def many(self, statement: Statement, rows: Iterable[dict[str, Any]]) -> None:
        """Run a change once for each of `rows`."""

    def new_id(self, now_ms: int) -> int:
        """Return a new id, larger than all that this process made before."""

    def tell(self, event: Event) -> None:
        """Publish an event on the bus once the transaction is committed; drop it if it is not."""


class _Shared:
    """Shared parts of both stores' connections."""

    __slots__ = ("_ids", "events")

    def __init__(self, ids: IdMaker | None) -> None:
        self._ids = ids
        self.events: list[Event] = []

    def new_id(self, now_ms: int) -> int:
        if self._ids is None:
            raise RuntimeError("this connection only reads")
        return self._ids.next(now_ms)

    def tell(self, event: Event) -> None:
        self.events.append(event)


class SqliteConnection(_Shared):
    """A connection to an SQLite file. `raw` is the sqlite3 connection."""

    __slots__ = ("_lock_file", "inode", "path", "raw")
    dialect = "sqlite"

    def __init__(
        self, path: Path, *, ids: IdMaker | None = None, writes: bool = True, create: bool = False
    ) -> None:
        super().__init__(ids)
        self.path = path
        try:
            # "rw": if the file was moved away, fail instead of creating an empty one.
            self.raw = sqlite3.connect(
                f"file:{quote(str(path.absolute()))}?mode={'rwc' if create else 'rw'}",
                uri=True,
                timeout=BUSY_TIMEOUT_S,
                isolation_level=None,
                cached_statements=STATEMENT_CACHE,
                check_same_thread=False,
            )
            self.raw.execute("PRAGMA journal_mode=WAL")
            self.raw.execute("PRAGMA synchronous=FULL")
            self.raw.execute("PRAGMA foreign_keys=ON")
            self.raw.execute("PRAGMA temp_store=MEMORY")
            self.raw.execute("PRAGMA cache_size=-16000")
            # The triggers that update the word index call it (migration 0004).
            self.raw.create_function("search_words", 1, search_words, deterministic=True)
            if not writes:
                self.raw.execute("PRAGMA query_only=ON")
            self.inode = os.stat(path).st_ino
        except (sqlite3.Error, OSError) as error:
            if is_corrupt(error):
                raise CorruptStore(path, error) from error
            missing = "" if path.exists() else " (there is no such file)"
            raise EnvironmentFailure(f"the database {path} cannot be opened: {error}{missing}") from error
        # Writers of all processes queue on this file. SQLite polls for its own lock, which starves some of
        # them (shares of four writers in a trial: 38:1784:6313:9548 without it, 5620:3411:3979:3862 with it).
        self._lock_file = (
            os.open(f"{path}.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600) if writes else -1
        )

    def _bind(self, statement: Statement, values: dict[str, Any]) -> dict[str, Any]:
        for name in statement.lists:
            # msgspec: 1 µs for 20 ids, where json.dumps takes 8.
            values[name] = _encode(list(values[name])).decode()
        return values

    def all(self, statement: Statement, **values: Any) -> list[Row]:
        if statement.lists:
            self._bind(statement, values)
        return self.raw.execute(statement.sqlite, values).fetchall()

    def one(self, statement: Statement, **values: Any) -> Row | None:
        if statement.lists:
            self._bind(statement, values)
        row: Row | None = self.raw.execute(statement.sqlite, values).fetchone()
        return row

    def each(self, statement: Statement, rows: Sequence[dict[str, Any]]) -> list[Row | None]:
        return [self.one(statement, **values) for values in rows]

    def run(self, statement: Statement, **values: Any) -> int:
        if statement.lists:
            self._bind(statement, values)
        for value in values.values():
            if isinstance(value, str) and "\0" in value:
                # As PostgreSQL does: rows must be valid in both stores, so that an
                # instance can move to the other.
                raise Invalid("The request holds characters or numbers that cannot be stored")
        return self.raw.execute(statement.sqlite, values).rowcount

    def run_later(self, statement: Statement, **values: Any) -> None:
        self.run(statement, **values)

    def many(self, statement: Statement, rows: Iterable[dict[str, Any]]) -> None:
        self.raw.executemany(statement.sqlite, rows)

    def begin(self) -> None:
        """Begin a writing transaction, after all waiting writers of other processes.

        Raise sqlite3.OperationalError if the file was moved away or replaced: rows
        written to it would be lost.
        """
        fcntl.flock(self._lock_file, fcntl.LOCK_EX)
        try:
            try:
                is_there = os.stat(self.path).st_ino == self.inode
            except OSError:
                is_there = False
            if not is_there:
                raise sqlite3.OperationalError(f"{self.path} was moved or replaced: put it back, or restart")
            self.raw.execute("BEGIN IMMEDIATE")
        except BaseException:
            fcntl.flock(self._lock_file, fcntl.LOCK_UN)
            raise

    def commit(self) -> None:
        try:
            self.raw.execute("COMMIT")
        except BaseException:
            self.rollback()
            raise
        fcntl.flock(self._lock_file, fcntl.LOCK_UN)

    def rollback(self) -> None:
        try:
            if self.raw.in_transaction:
                self.raw.execute("ROLLBACK")
        finally:
            fcntl.flock(self._lock_file, fcntl.LOCK_UN)

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Run one call of a group commit: only its changes are undone if it raises."""
        self.raw.execute("SAVEPOINT call")
        try:
            yield
        except BaseException:
            # If the disk is full, SQLite may already have rolled everything back; the writer
            # sees that and fails the group.
            if self.raw.in_transaction:
                self.raw.execute("ROLLBACK TO call")
                self.raw.execute("RELEASE call")
            raise
        self.raw.execute("RELEASE call")

    def close(self) -> None:
        self.raw.close()
        if self._lock_file >= 0:
            os.close(self._lock_file)
            self._lock_file = -1


class TransactionId(NamedTuple):
    """A transaction on PostgreSQL: its 64-bit number, and when it began, in seconds since 1970 by the server's clock.

    After a crash, the server gives numbers of lost transactions to others.
    """

    number: int
    began_s: float


class PostgresqlConnection(_Shared):
    """A connection to PostgreSQL. `raw` is the psycopg connection, in autocommit outside `begin`…`commit`.

    In a pipeline, `begin` and `run_later` do not wait for their answers, which come with that of the next statement.
    `transaction_id`: the last one begun, for outcome.py; None until its answer has come.
    """

    __slots__ = ("_cursor", "_later", "_pipeline", "_pipelining", "_xid", "raw", "transaction_id", "until_s")
    dialect = "postgresql"

    def __init__(
        self, url: str, *, ids: IdMaker | None = None, writes: bool = True, limit_s: float | None = None
    ) -> None:
        super().__init__(ids)
        limit_ms = POSTGRESQL_STATEMENT_TIMEOUT_MS if limit_s is None else int(limit_s * 1000)
        options = f"-c statement_timeout={limit_ms} -c lock_timeout={POSTGRESQL_LOCK_TIMEOUT_MS}"
        if not writes:
            options += " -c default_transaction_read_only=on"
        options += f" -c {_SESSION}={_KEPT}"
        # Imported here: it takes a third of a quick command's time, and SQLite does not need it.
        require("postgresql")
        import psycopg

        try:
            self.raw = psycopg.connect(
                url, autocommit=True, connect_timeout=5, options=options, application_name="stormpetrel"
            )
        except psycopg.Error as error:
            where = urlsplit(url).hostname or "local socket"
            # libpq's text may repeat the address, never the password; its first line is enough.
            reason = str(error).strip().splitlines()[0] if str(error).strip() else "no reason given"
            hint = f" ({_NO_POOLER})" if "startup parameter" in reason else ""
            raise EnvironmentFailure(f"the database at {where} cannot be reached: {reason}{hint}") from error
        kept = self.raw.execute(f"SELECT current_setting('{_SESSION}', true)".encode()).fetchone()
        if kept != (_KEPT,):
            self.raw.close()
            where = urlsplit(url).hostname or "local socket"
            raise EnvironmentFailure(
                f"the database at {where} does not keep the settings of a session: {_NO_POOLER}"
            )

        # No statement of a read begins after this, by time.perf_counter; each also has its own limit.
        self.until_s = math.inf
        self.transaction_id: TransactionId | None = None
        self._pipelining: AbstractContextManager[Any] | None = None
        self._pipeline: Any = None
        # One cursor for all statements: each answer is fetched before the next query (CPU per statement: 96
        # µs with a cursor for each, 72 µs with one).
        self._cursor = self.raw.cursor()
        # For statements whose answers come with those of others, and for the transaction's id.
        self._later = self.raw.cursor()
        self._xid = self.raw.cursor()

    @property
    def is_begun(self) -> bool:
        """Return True if the server has answered the last `begin`."""
        return self.transaction_id is not None

    def all(self, statement: Statement, **values: Any) -> list[Row]:
        if time.perf_counter() > self.until_s:
            raise TimeoutError
        rows = self._cursor.execute(statement.postgresql_bytes, _lists(values)).fetchall()
        self._read_id()
        return rows

    def one(self, statement: Statement, **values: Any) -> Row | None:
        if time.perf_counter() > self.until_s:
            raise TimeoutError
        row = self._cursor.execute(statement.postgresql_bytes, _lists(values)).fetchone()
        self._read_id()
        return row

    def each(self, statement: Statement, rows: Sequence[dict[str, Any]]) -> list[Row | None]:
        cursor = self._cursor
        cursor.executemany(statement.postgresql_bytes, [_lists(values) for values in rows], returning=True)
        found: list[Row | None] = [answer.fetchone() for answer in cursor.results()]
        self._read_id()
        return found

    def run(self, statement: Statement, **values: Any) -> int:
        self._cursor.execute(statement.postgresql_bytes, _lists(values))
        self._sync()
        return self._cursor.rowcount

    def run_later(self, statement: Statement, **values: Any) -> None:
        self._later.execute(statement.postgresql_bytes, _lists(values))

    def many(self, statement: Statement, rows: Iterable[dict[str, Any]]) -> None:
        self._cursor.executemany(statement.postgresql_bytes, list(rows))

    def begin(self, *, is_pipelined: bool = False) -> None:
        """Begin a transaction. In a pipeline, its statements may not copy rows."""
        self.transaction_id = None
        if not is_pipelined:
            self._cursor.execute(b"BEGIN; " + _BEGUN, prepare=False)
            self._cursor.nextset()
            row = self._cursor.fetchone()
            assert row is not None
            self.transaction_id = TransactionId(*row)
            return
        self._pipelining = self.raw.pipeline()
        self._pipeline = self._pipelining.__enter__()
        try:
            self._later.execute(b"BEGIN", prepare=False)
            self._xid.execute(_BEGUN)
        except BaseException:
            self.rollback()
            raise

    def limit_locks(self, timeout_ms: int) -> None:
        """Wait for another transaction's lock for this long at most, until the end of this transaction."""
        self._later.execute(f"SET LOCAL lock_timeout TO {timeout_ms:d}".encode())

    def commit(self, *, is_flushed: bool = True, has_predecessors: bool = False) -> None:
        """Commit. Without `is_flushed`, do not wait for the disk: a later flush makes it durable.

        `has_predecessors`: flush those commits too, even if this transaction changed nothing.
        """
        try:
            if self.transaction_id is None:
                # Without it, the outcome of a COMMIT without an answer could not be found out.
                self._sync()
            if not is_flushed:
                self._later.execute(b"SET LOCAL synchronous_commit TO off")
            elif has_predecessors:
                self._later.execute(_LOG)
            self._later.execute(b"COMMIT", prepare=False)
            self._leave()
        except BaseException:
            self.rollback()
            raise

    def flush(self) -> None:
        """Make all earlier commits of the server durable."""
        self._cursor.execute(_LOG)

    def rollback(self) -> None:
        with suppress(Exception):
            self._leave()
        if self.raw.closed:
            return
        try:
            self._cursor.execute(b"ROLLBACK")
        except Exception:
            # The server ended the connection, and the driver has not noticed yet. The caller gets the first error,
            # and finds the connection closed: then it knows that the outcome of a COMMIT is to be found out.
            self.raw.close()

    def _sync(self) -> None:
        """Wait for the answers of all statements sent so far. Raise the first error."""
        if self._pipeline is not None:
            self._pipeline.sync()
            self._read_id()

    def _read_id(self) -> None:
        if self._pipeline is not None and self.transaction_id is None:
            row = self._xid.fetchone()
            assert row is not None
            self.transaction_id = TransactionId(*row)

    def _leave(self) -> None:
        """End the pipeline: wait for all answers. Raise the first error."""
        pipelining, self._pipelining, self._pipeline = self._pipelining, None, None
        if pipelining is not None:
            pipelining.__exit__(None, None, None)

    def close(self) -> None:
        self.raw.close()


def _lists(values: dict[str, Any]) -> dict[str, Any]:
    """Convert tuples and sets to lists, which psycopg sends as arrays."""
    for name, value in values.items():
        if isinstance(value, tuple | set | frozenset):
            values[name] = list(value)
    return values


StoreConnection = SqliteConnection | PostgresqlConnection


def sqlite_path(url: str) -> Path:
    """Return the path in `sqlite:///PATH`; a fourth slash makes it absolute. Raise SetupError without one."""
    path = unquote(url.removeprefix("sqlite:///"))
    if not path or path == ":memory:":
        raise SetupError("database.url must name a file: sqlite:///PATH")
    return Path(path)


def connect(
    url: str,
    *,
    ids: IdMaker | None = None,
    writes: bool = True,
    limit_s: float | None = None,
    create: bool = False,
) -> StoreConnection:
    """Open the store at `url`. Raise EnvironmentFailure if it cannot be reached.

    `limit_s`: longest time of a statement on PostgreSQL; on SQLite the reader sets a handler. `create`:
    create SQLite's file if it is missing.
    """
    if url.startswith("sqlite:///"):
        return SqliteConnection(sqlite_path(url), ids=ids, writes=writes, create=create)
    return PostgresqlConnection(url, ids=ids, writes=writes, limit_s=limit_s)


@contextmanager
def transaction(connection: StoreConnection) -> Iterator[StoreConnection]:
    """Run the body in a transaction; commit it at the end, or roll it back if the body raises."""
    connection.events.clear()
    connection.begin()
    try:
        yield connection
    except BaseException:
        connection.rollback()
        raise
    connection.commit()
