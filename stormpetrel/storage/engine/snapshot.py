"""Write one moment of a store to a file while others write to it, and read the contents of that file.

SQLite: the online backup of one read transaction, which does not block writers. PostgreSQL: pg_dump's custom
format, of the same exported snapshot in which the rows are counted.
"""

from __future__ import annotations

import glob
import os
import re
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stormpetrel.errors import EnvironmentFailure
from stormpetrel.storage.engine.connection import PostgresqlConnection, connect, sqlite_path
from stormpetrel.storage.engine.contents import tables

PAGES_AT_ONCE = 1000
"""SQLite pages (4 MB) between two progress reports."""
TOOLS = "/usr/lib/postgresql/*/bin/{name}"
"""Where Debian installs the tools of each version."""
VERSION_TABLE = "alembic_version"
MEDIA_TABLE = "media_files"
_DUMPED_TABLE = re.compile(rb'COPY (?:"?\w+"?\.)?"?(\w+)"? \(([^)]*)\) FROM stdin;\n')
_END_OF_DUMPED_TABLE = b"\\.\n"

CHECK_CACHE_KIB = 262_144
CHECK_MAPPED_BYTES = 1 << 31

Progress = Callable[[int, int], None]
"""(done, total), in the unit that the work is counted in."""


@dataclass(slots=True)
class SnapshotContents:
    """The contents of a snapshot: its migration, rows by table, and the keys of its media files."""

    migration: str = ""
    rows: dict[str, int] = field(default_factory=dict)
    media_keys: set[str] = field(default_factory=set)


class Damaged(EnvironmentFailure):
    """A snapshot that cannot be used."""


# SQLite


def copy_sqlite(url: str, target: Path, progress: Progress) -> None:
    """Write the store at `url`, as it is at one moment, into the new file `target`."""
    source = sqlite_path(url)
    with (
        closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=rw", uri=True, timeout=30)) as reading,
        closing(sqlite3.connect(target)) as writing,
    ):
        # Our own transaction: without one the backup restarts whenever another process writes.
        reading.isolation_level = None
        reading.execute("BEGIN")
        reading.execute("SELECT count(*) FROM sqlite_master").fetchone()
        reading.backup(
            writing,
            pages=PAGES_AT_ONCE,
            progress=lambda _status, left, total: progress(total - left, total),
        )
    with open(target, "rb") as file:
        os.fsync(file.fileno())


def stored_in_sqlite(file: Path) -> SnapshotContents:
    """Return the contents of the snapshot `file`. Raise Damaged if it is corrupt or references dangle."""
    try:
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro&immutable=1", uri=True)) as raw:
            # Both checks look up rows all over the file: with SQLite's usual 2 MB
            # cache they read it many times.
            raw.execute(f"PRAGMA cache_size=-{CHECK_CACHE_KIB}")
            raw.execute(f"PRAGMA mmap_size={CHECK_MAPPED_BYTES}")
            (verdict,) = raw.execute("PRAGMA integrity_check(1)").fetchone()
            if verdict != "ok":
                raise Damaged(f"the database in the backup is damaged: {verdict}")
            dangling = raw.execute("PRAGMA foreign_key_check").fetchone()
            if dangling is not None:
                raise Damaged(f"the database in the backup refers to missing rows ({dangling[0]})")
            # The word index is left out: each of its rows is derived from another table's.
            names = [
                row[1] for row in raw.execute("PRAGMA table_list") if row[0] == "main" and row[2] == "table"
            ]
            stored = SnapshotContents()
            for name in sorted(names):
                if not name.startswith("sqlite_"):
                    (stored.rows[name],) = raw.execute(f'SELECT count(*) FROM "{name}"').fetchone()
            if stored.rows.get(VERSION_TABLE):
                (stored.migration,) = raw.execute(f"SELECT version_num FROM {VERSION_TABLE}").fetchone()
            if MEDIA_TABLE in stored.rows:
                stored.media_keys = {row[0] for row in raw.execute(f"SELECT key FROM {MEDIA_TABLE}")}
            return stored
    except sqlite3.DatabaseError as error:
        raise Damaged(f"the database in the backup cannot be read: {error}") from error


# PostgreSQL


def dump_postgresql(url: str, target: Path) -> SnapshotContents:
    """Write the store at `url`, as it is at one moment, into the new file `target`; return its contents.

    Raise EnvironmentFailure if pg_dump is not installed, is older than the server, or fails.
    """
    connection = connect(url, writes=False)
    assert isinstance(connection, PostgresqlConnection)
    raw = connection.raw
    try:
        raw.execute("SET statement_timeout = 0")
        raw.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        snapshot = _value(raw, "SELECT pg_export_snapshot()")
        options = ("--format=custom", f"--snapshot={snapshot}", f"--file={target}")
        _run("pg_dump", url, *options, "--no-owner", "--no-privileges")
        stored = SnapshotContents()
        for name in tables(connection):
            stored.rows[name] = int(_value(raw, f'SELECT count(*) FROM "{name}"'))
        if stored.rows.get(VERSION_TABLE):
            stored.migration = str(_value(raw, f"SELECT version_num FROM {VERSION_TABLE}"))
        if MEDIA_TABLE in stored.rows:
            keys = raw.execute(f"SELECT key FROM {MEDIA_TABLE}".encode()).fetchall()
            stored.media_keys = {row[0] for row in keys}
        return stored
    finally:
        connection.close()


def _value(raw: Any, query: str) -> Any:
    return raw.execute(query.encode()).fetchone()[0]


def stored_in_dump(file: Path) -> SnapshotContents:
    """Return the contents of the dump `file`, read completely by pg_restore. Raise Damaged if that fails."""
    stored = SnapshotContents()
    with _reading(_tool("pg_restore"), "--data-only", "--file=-", str(file)) as lines:
        name, columns = "", [""]
        for line in lines:
            if name:
                if line == _END_OF_DUMPED_TABLE:
                    name = ""
                    continue
                stored.rows[name] += 1
                # COPY's text format: a tab between values; keys and versions contain
                # nothing that it would escape.
                values = line.rstrip(b"\n").split(b"\t")
                if name == VERSION_TABLE:
                    stored.migration = values[0].decode()
                elif name == MEDIA_TABLE:
                    stored.media_keys.add(values[columns.index("key")].decode())
            elif match := _DUMPED_TABLE.fullmatch(line):
                name = match[1].decode()
                columns = [column.strip().strip('"') for column in match[2].decode().split(",")]
                stored.rows[name] = 0
    return stored


@contextmanager
def _reading(*command: str) -> Iterator[Iterator[bytes]]:
    """Yield the lines that a command writes. Raise Damaged if it fails."""
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        yield iter(process.stdout.readline, b"")
        said = process.stderr.read()
        if process.wait():
            raise Damaged(f"the database in the backup cannot be read: {_first_line(said)}")


def load_postgresql(url: str, file: Path) -> None:
    """Restore the dump `file` into the empty database at `url`, completely or not at all."""
    _run(
        "pg_restore",
        url,
        *("--no-owner", "--no-privileges", "--no-comments", "--single-transaction", "--exit-on-error"),
        str(file),
    )


def require_postgresql_tools() -> None:
    """Raise EnvironmentFailure, naming the missing package, unless pg_dump and pg_restore are installed."""
    for name in ("pg_dump", "pg_restore"):
        _tool(name)


def _tool(name: str) -> str:
    """Return the tool's path, from the newest installed PostgreSQL: it also works with older servers."""
    versions = glob.glob(TOOLS.format(name=name))
    found = max(versions, key=lambda path: float(path.split("/")[4]), default=None) or shutil.which(name)
    if found is None:
        raise EnvironmentFailure(
            f"{name} is not installed, but a backup of a PostgreSQL database needs it: "
            "install postgresql-client"
        )
    return found


def _run(name: str, url: str, *options: str) -> None:
    """Run a PostgreSQL tool on the database at `url`. The password is never among its arguments."""
    from psycopg import conninfo

    parts = conninfo.conninfo_to_dict(url)
    environment = dict(os.environ)
    password = parts.pop("password", None)
    if password is not None:
        environment["PGPASSWORD"] = str(password)
    done = subprocess.run(
        [_tool(name), f"--dbname={conninfo.make_conninfo('', **parts)}", "--no-password", *options],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    if done.returncode:
        raise EnvironmentFailure(f"{name} failed: {_first_line(done.stderr)}")


def _first_line(said: bytes) -> str:
    lines = [line for line in said.decode("utf-8", "replace").splitlines() if line.strip()]
    # The first line is the error, the following ones the statement.
    return lines[0] if lines else "no reason given"
