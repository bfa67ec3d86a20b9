"""The thread of the spool: durable commits together, and the truth when nothing could be stored."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from pathlib import Path

import pytest

from stormpetrel.gateway.provider import NotStored
from stormpetrel.gateway.spool_thread import SpoolThread
from stormpetrel.storage.sms_spool import state
from stormpetrel.storage.sms_spool.file import FILE_NAME, SpoolDb
from tests.gateway.inbox import run

BOUND_S = 8.0
"""Less than the 10 s after which a webhook is answered with 503 in any case."""


def put(db: SpoolDb, name: str) -> str:
    state.set_fact(db, name, 1)
    return name


def is_stored(directory: Path, name: str) -> bool:
    with sqlite3.connect(directory / FILE_NAME) as connection:
        return state.fact(connection, name) == 1


def test_calls_at_the_same_time_are_stored_when_they_return(tmp_path: Path) -> None:
    async def main() -> None:
        spool = SpoolThread(tmp_path, on_open=lambda db: None)
        names = [f"fact {number}" for number in range(2000)]
        assert await asyncio.gather(*(spool.call(put, name) for name in names)) == names
        assert all(is_stored(tmp_path, name) for name in names[::100])
        await spool.close()

    run(main)


def test_a_call_that_raises_undoes_itself_only(tmp_path: Path) -> None:
    def fail(db: SpoolDb) -> None:
        put(db, "undone")
        raise ValueError

    async def main() -> None:
        spool = SpoolThread(tmp_path, on_open=lambda db: None)
        done = await asyncio.gather(
            spool.call(put, "one"), spool.call(fail), spool.call(put, "two"), return_exceptions=True
        )
        assert done[0] == "one"
        assert isinstance(done[1], ValueError)
        assert done[2] == "two"
        await spool.close()

    run(main)
    assert [is_stored(tmp_path, name) for name in ("one", "undone", "two")] == [True, False, True]


def test_while_the_file_is_locked_callers_are_refused_in_time_and_served_afterwards(tmp_path: Path) -> None:
    opened = []

    async def main() -> None:
        spool = SpoolThread(tmp_path, on_open=lambda db: opened.append(1))
        await spool.call(put, "before")
        other = sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        refused = []
        for number in range(12):
            began_s = time.monotonic()
            refused.append(asyncio.create_task(spool.call(put, f"refused {number}")))
            refused[-1].add_done_callback(
                lambda _, began_s=began_s: took_s.append(time.monotonic() - began_s)
            )
            await asyncio.sleep(0.3)
        for task in refused:
            with pytest.raises(NotStored):
                await task
        other.execute("ROLLBACK")
        other.close()
        assert await spool.call(put, "after") == "after"
        await spool.close()

    took_s: list[float] = []
    run(main)
    assert max(took_s) < BOUND_S
    assert len(opened) > 1, "the facts in memory were not read again"
    assert not any(is_stored(tmp_path, f"refused {number}") for number in range(12))
    assert is_stored(tmp_path, "after")


def test_nothing_is_acknowledged_into_a_file_that_was_moved_away(tmp_path: Path) -> None:
    async def main() -> None:
        spool = SpoolThread(tmp_path, on_open=lambda db: None)
        await spool.call(put, "before")
        for end in ("", "-wal", "-shm"):
            (tmp_path / (FILE_NAME + end)).rename(tmp_path / f"moved{end}")
        with pytest.raises(NotStored):
            await spool.call(put, "into the moved file")
        assert await spool.call(put, "after") == "after"
        await spool.close()

    run(main)
    assert is_stored(tmp_path, "after")


def test_a_directory_that_comes_back_is_used_again(tmp_path: Path) -> None:
    directory = tmp_path / "away"

    async def main() -> None:
        spool = SpoolThread(directory, on_open=lambda db: None)
        with pytest.raises(NotStored):
            await spool.call(put, "too early")
        directory.mkdir()
        assert await spool.call(put, "after") == "after"
        await spool.close()

    run(main)
    assert is_stored(directory, "after")
