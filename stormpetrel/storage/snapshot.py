"""One moment of a store as a file, taken while others write; and what such a file says of itself.

SQLite: the online backup of one read transaction, which writers do not wait for. PostgreSQL: pg_dump's custom
format, of the same exported snapshot that the rows are counted in.
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
from stormpetrel.storage.connection import PostgresqlConnection, connect, sqlite_path
from stormpetrel.storage.contents import tables

PAGES_AT_ONCE = 1000
"""SQLite pages (4 MB) between two words about progress."""
TOOLS = "/usr/lib/postgresql/*/bin/{name}"
"""Where Debian keeps the tools of each version."""
VERSION_TABLE = "alembic_version"
MEDIA_TABLE = "media_files"
_DUMPED_TABLE = re.compile(rb'COPY (?:"?\w+"?\.)?"?(\w+)"? \(([^)]*)\) FROM stdin;\n')
_END_OF_DUMPED_TABLE = b"\\.\n"

CHECK_CACHE_KIB = 262_144
CHECK_MAPPED_BYTES = 1 << 31

Progress = Callable[[int, int], None]
"""(done, total), in whatever unit the work is counted."""


@dataclass(slots=True)
class Stored:
    """What a snapshot holds: its migration, rows by table, and the keys of the media files it refers to."""

    migration: str = ""
    rows: dict[str, int] = field(default_factory=dict)
    media_keys: set[str] = field(default_factory=set)


class Damaged(EnvironmentFailure):
    """A snapshot that cannot be used."""


# SQLite


def copy_sqlite(url: str, target: Path, progress: Progress) -> None:
    """Writes the store at `url`, as it is at one moment, into the new file `target`."""
    source = sqlite_path(url)
    with (
        closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=rw", uri=True, timeout=30)) as reading,
        closing(sqlite3.connect(target)) as writing,
    ):
        # A transaction of our own: without one the backup begins anew whenever another process writes.
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


def stored_in_sqlite(file: Path) -> Stored:
    """What the snapshot `file` holds. Raises Damaged where SQLite finds it broken or references dangle."""
    try:
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro&immutable=1", uri=True)) as raw:
            # Both checks look up rows all over the file: with SQLite's usual 2 MB of pages they read it many times.
            raw.execute(f"PRAGMA cache_size=-{CHECK_CACHE_KIB}")
            raw.execute(f"PRAGMA mmap_size={CHECK_MAPPED_BYTES}")
            (verdict,) = raw.execute("PRAGMA integrity_check(1)").fetchone()
            if verdict != "ok":
                raise Damaged(f"the database in the backup is damaged: {verdict}")
            dangling = raw.execute("PRAGMA foreign_key_check").fetchone()
            if dangling is not None:
                raise Damaged(f"the database in the backup refers to missing rows ({dangling[0]})")
            # The index of words is none of them: it holds no row that is not made from another table's.
            names = [
                row[1] for row in raw.execute("PRAGMA table_list") if row[0] == "main" and row[2] == "table"
            ]
            stored = Stored()
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


def dump_postgresql(url: str, target: Path) -> Stored:
    """Writes the store at `url`, as it is at one moment, into the new file `target`; what it holds.

    Raises EnvironmentFailure when pg_dump is not on this machine, is older than the server, or fails.
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
        stored = Stored()
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


def stored_in_dump(file: Path) -> Stored:
    """What the dump `file` holds, all of it read through pg_restore. Raises Damaged where that fails."""
    stored = Stored()
    with _reading(_tool("pg_restore"), "--data-only", "--file=-", str(file)) as lines:
        name, columns = "", [""]
        for line in lines:
            if name:
                if line == _END_OF_DUMPED_TABLE:
                    name = ""
                    continue
                stored.rows[name] += 1
                # COPY's text form: a tab between values; keys and versions hold nothing it would escape.
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
    """The lines that a command writes. Raises Damaged when it fails."""
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
    """Puts the dump `file` into the empty database at `url`, wholly or not at all."""
    _run(
        "pg_restore",
        url,
        *("--no-owner", "--no-privileges", "--no-comments", "--single-transaction", "--exit-on-error"),
        str(file),
    )


def require_postgresql_tools() -> None:
    """Raises EnvironmentFailure, with the package that helps, unless pg_dump and pg_restore are here."""
    for name in ("pg_dump", "pg_restore"):
        _tool(name)


def _tool(name: str) -> str:
    """The program, of the newest PostgreSQL that is installed: it reads the servers before it, too."""
    versions = glob.glob(TOOLS.format(name=name))
    found = max(versions, key=lambda path: float(path.split("/")[4]), default=None) or shutil.which(name)
    if found is None:
        raise EnvironmentFailure(
            f"{name} is not installed, but a backup of a PostgreSQL database needs it: "
            "install postgresql-client"
        )
    return found


def _run(name: str, url: str, *options: str) -> None:
    """Runs a tool of PostgreSQL on the database at `url`. The password is never among its arguments."""
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
    # The first says what went wrong; those after it, which statement that was.
    return lines[0] if lines else "no reason given"
