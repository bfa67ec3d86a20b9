"""The store when a process, the disk or the server fails without warning, and with several writers."""

from __future__ import annotations

import asyncio
import signal
from contextlib import ExitStack
from typing import Any

from stormpetrel.errors import Busy
from stormpetrel.model.ids import SLOTS
from stormpetrel.storage.engine.database import Database
from stormpetrel.storage.engine.slots import take_slot
from tests.storage.notes import add, ids, ids_at, make_table, outcome, run
from tests.storage.writing import line, writer


def test_what_was_acknowledged_outlives_a_kill(database_url: str) -> None:
    make_table(database_url)
    with writer(database_url, "acknowledge") as process:
        acknowledged = [int(line(process)) for _ in range(300)]
        process.send_signal(signal.SIGKILL)
        assert process.stdout is not None
        # Lines written just before its death count too. The last one may be cut off.
        rest = process.stdout.read().splitlines(keepends=True)
    acknowledged += [int(text) for text in rest if text.endswith("\n")]
    assert set(acknowledged) <= set(ids_at(database_url))


def test_without_room_on_the_disk_a_whole_group_is_refused_and_nothing_of_it_is_stored(
    sqlite_url: str,
) -> None:
    make_table(sqlite_url)
    with writer(sqlite_url, "fill") as process:
        found, stored, afterwards = line(process), line(process), line(process)
        assert process.wait(60) == 0
    outcomes = found.split()
    # Every oversized group was refused as a whole. The acknowledged writes are stored, and no others.
    acknowledged = [number for number, one in enumerate(outcomes, 2) if one == "int"]
    assert "Busy" in outcomes
    assert set(outcomes) <= {"Busy", "int"}
    assert [int(number) for number in stored.split()] == [1, *acknowledged]
    assert [int(number) for number in afterwards.split()] == [1, *acknowledged, 100]
    assert ids_at(sqlite_url) == [1, *acknowledged, 100]


def test_four_processes_that_write_at_once_get_their_shares(database_url: str) -> None:
    make_table(database_url)
    with ExitStack() as stack:
        writers = [stack.enter_context(writer(database_url, "count", "1.5")) for _ in range(4)]
        assert [line(process) for process in writers] == ["ready"] * 4
        for process in writers:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        # An error ("database is locked") would end the process before it prints a number.
        counts = [int(line(process)) for process in writers]
        assert [process.wait(60) for process in writers] == [0] * 4
    assert len(ids_at(database_url)) == sum(counts)
    assert min(counts) >= sum(counts) / len(counts) / 10, counts


# Slots of ids ----------------------------------------------------------------------------------------------


# PostgreSQL goes away --------------------------------------------------------------------------------------


def test_while_the_server_is_away_callers_are_told_and_afterwards_all_is_well(own_postgresql: Any) -> None:
    url, stop, start = own_postgresql

    async def body(database: Database) -> None:
        assert await database.write(add, note_id=1) == 1
        old_slot = database._slot.number
        await asyncio.to_thread(stop)
        for number in range(8):
            assert isinstance(await outcome(database.write(add, note_id=10 + number)), Busy)
        for _ in range(2):
            assert isinstance(await outcome(database.read(ids)), Busy)
        await asyncio.to_thread(start)
        # Other processes come first, and may get the slot whose lock ended with the old server.
        others = [take_slot(url) for _ in range(SLOTS // 2)]
        found = await asyncio.gather(*(database.write(add, note_id=n) for n in range(50, 50 + 40)))
        assert found == list(range(50, 90))
        assert await database.read(ids) == [1, *range(50, 90)]
        assert database._slot.is_held()
        assert database._slot.number not in {slot.number for slot in others}
        assert database._ids.slot == database._slot.number
        assert old_slot in range(SLOTS)
        for slot in others:
            slot.release()

    run(url, body)


def test_a_restart_between_two_writes_is_not_noticed(own_postgresql: Any) -> None:
    url, _, restart = own_postgresql

    async def body(database: Database) -> None:
        await asyncio.gather(*(database.write(add, note_id=n) for n in range(20)))
        await asyncio.to_thread(restart)
        assert await database.read(ids) == list(range(20))
        for number in range(20, 28):
            assert await database.write(add, note_id=number) == number

    run(url, body)
