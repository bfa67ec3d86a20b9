"""A moved, missing or damaged database file gives one clear line, and no new empty database.

So does a pooler in front of PostgreSQL.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from stormpetrel.errors import Busy, CorruptStore, EnvironmentFailure, SetupError
from stormpetrel.storage.engine.connection import connect, sqlite_path
from stormpetrel.storage.engine.database import Database
from stormpetrel.storage.engine.migrate import require_current
from stormpetrel.storage.engine.slots import take_slot
from tests.parts import SYSTEM_PATH, require
from tests.ports import reserved_ports
from tests.storage.notes import add, ids_at, run


def test_a_file_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'gone.db'}"
    for writes in (True, False):
        with pytest.raises(EnvironmentFailure, match="there is no such file"):
            connect(url, writes=writes)
    assert not (tmp_path / "gone.db").exists()


def test_a_file_that_is_moved_away_takes_no_more_writes_and_goes_on_when_it_is_back(tmp_path: Path) -> None:
    path = tmp_path / "notes.db"
    url = f"sqlite:///{path}"

    async def body(database: Database) -> None:
        await database.write(add, note_id=1)
        path.rename(tmp_path / "elsewhere.db")
        with pytest.raises(Busy):
            await database.write(add, note_id=2)
        assert not path.exists()
        (tmp_path / "elsewhere.db").rename(path)
        await database.write(add, note_id=3)

    run(url, body)
    assert ids_at(url) == [1, 3]


def test_a_file_that_was_used_and_is_gone_is_told_apart_from_a_new_place(sqlite_url: str) -> None:
    take_slot(sqlite_url).release()
    sqlite_path(sqlite_url).unlink()
    with pytest.raises(SetupError, match="put the file back, or restore a backup"):
        require_current(sqlite_url)


@pytest.mark.parametrize("damage", ["other", "header", "pages"])
def test_a_damaged_file_is_to_be_restored(sqlite_url: str, damage: str) -> None:
    path = sqlite_path(sqlite_url)
    data = bytearray(path.read_bytes())
    if damage == "other":
        data = bytearray(b"this is a text of another program\n" * 1000)
    elif damage == "header":
        data[:100] = bytes(100)
    else:
        data[100:4096] = b"\xff" * 3996
    path.write_bytes(data)
    with pytest.raises(CorruptStore, match="restore the newest backup"):
        require_current(sqlite_url)


@contextmanager
def pooler(url: str, directory: Path, *settings: str) -> Iterator[str]:
    """Yield the URL of a PgBouncer in front of the database at `url`, with a session for each transaction."""
    require("pgbouncer")
    program = shutil.which("pgbouncer", path=SYSTEM_PATH)
    assert program is not None
    at = urlsplit(url)
    name = at.path.strip("/")
    with reserved_ports(1) as (port,):
        lines = (
            f"[databases]\n{name} = host=127.0.0.1 port={at.port} user={at.username} password={at.password}",
            f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nauth_type = any\nunix_socket_dir =",
            "pool_mode = transaction",
            *settings,
        )
        path = directory / "pgbouncer.ini"
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        # It refuses to run as root, and reads its configuration before it becomes another user.
        user = ["-u", "nobody"] if os.geteuid() == 0 else []
        process = subprocess.Popen([program, *user, path], stderr=subprocess.PIPE, text=True)
        try:
            assert process.stderr is not None
            assert any("process up" in line for line in process.stderr)
            yield f"postgresql://{at.username}@127.0.0.1:{port}/{name}"
        finally:
            process.terminate()
            process.communicate()


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ((), "unsupported startup parameter: options"),
        (("ignore_startup_parameters = options",), "does not keep the settings of a session"),
    ],
    ids=["as it is installed", "with the settings of a connection ignored"],
)
def test_a_pooler_that_gives_each_transaction_another_session_is_refused(
    postgresql_url: str, tmp_path: Path, settings: tuple[str, ...], reason: str
) -> None:
    with pooler(postgresql_url, tmp_path, *settings) as url:
        with pytest.raises(EnvironmentFailure, match=f"{reason}.*connect to PostgreSQL itself"):
            connect(url)
        with pytest.raises(EnvironmentFailure, match="connect to PostgreSQL itself"):
            take_slot(url)
