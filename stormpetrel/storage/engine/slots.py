"""Give each process its own slot of ids (model/ids.py), so that no two processes make the same id.

On SQLite a slot is a locked file beside the database; on PostgreSQL an advisory lock of a connection that
stays open while the process lives. Both are released when the process dies, for any reason.
"""

from __future__ import annotations

import errno
import fcntl
import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from stormpetrel.errors import EnvironmentFailure
from stormpetrel.model.ids import SLOTS, IdMaker
from stormpetrel.storage.engine.connection import (
    PostgresqlConnection,
    StoreConnection,
    connect,
    sqlite_path,
)
from stormpetrel.storage.engine.failures import server_gone

ADVISORY_CLASS = 0x5347
"""First key of our advisory locks; the second is the slot."""

_HELD = (
    "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = %s AND objsubid = 2 AND granted "
    "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)
_TRY_LOCK = "SELECT pg_try_advisory_lock(%s, %s)"


@dataclass(slots=True)
class Slot:
    """A slot of this process until `release`. `holder` has the lock: a file descriptor or a connection."""

    number: int
    holder: Any

    def is_held(self) -> bool:
        """Return whether the lock is still held: an advisory lock ends with its connection."""
        if isinstance(self.holder, int):
            return True
        try:
            self.holder.raw.execute("SELECT 1")
        except Exception as error:
            if server_gone(error):
                return False
            raise
        return True

    def release(self) -> None:
        """Release the slot; a second call does nothing (its descriptor may be another file's by then)."""
        holder, self.holder = self.holder, None
        if isinstance(holder, int):
            os.close(holder)
        elif holder is not None:
            holder.close()


def take_slot(url: str) -> Slot:
    """Return a free slot. Raise EnvironmentFailure if all 64 are taken by processes on this database."""
    # Start at a random slot: a process that replaces another must not reuse its slot in the same millisecond.
    start = random.SystemRandom().randrange(SLOTS)
    order = [(start + step) % SLOTS for step in range(SLOTS)]
    if url.startswith("sqlite:///"):
        folder = sqlite_path(url).with_name(sqlite_path(url).name + ".slots")
        folder.mkdir(mode=0o700, exist_ok=True)
        for number in order:
            try:
                handle = os.open(folder / str(number), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
            except OSError as error:
                if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                    raise
                # No inode is left for a new file, but an existing one may be free.
                continue
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(handle)
                continue
            return Slot(number, handle)
    else:
        connection = connect(url)
        assert isinstance(connection, PostgresqlConnection)
        for number in order:
            row = connection.raw.execute(_TRY_LOCK, (ADVISORY_CLASS, number)).fetchone()
            if row is not None and row[0]:
                return Slot(number, connection)
        connection.close()
    raise EnvironmentFailure(f"all {SLOTS} id slots are taken: too many processes use this database")


@contextmanager
def connected(url: str) -> Iterator[StoreConnection]:
    """Yield a connection that makes ids in a slot of its own, for a process that writes for a moment.

    Raise EnvironmentFailure if the store cannot be reached or has no slot.
    """
    slot = take_slot(url)
    try:
        connection = connect(url, ids=IdMaker(slot.number))
        try:
            yield connection
        finally:
            connection.close()
    finally:
        slot.release()


def slots_in_use(url: str) -> int:
    """Return how many processes on any machine hold a slot now: servers and running commands."""
    if not url.startswith("sqlite:///"):
        connection = connect(url, writes=False)
        assert isinstance(connection, PostgresqlConnection)
        try:
            row = connection.raw.execute(_HELD, (ADVISORY_CLASS,)).fetchone()
            return int(row[0]) if row is not None else 0
        finally:
            connection.close()
    held = 0
    folder = sqlite_path(url).with_name(sqlite_path(url).name + ".slots")
    for path in folder.glob("*") if folder.is_dir() else ():
        handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            held += 1
        finally:
            os.close(handle)
    return held
