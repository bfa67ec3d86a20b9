"""A process that writes to the database given as its first argument, for tests with several processes and of
sudden ends. It writes lines to stdout and flushes each at once.

    writer_process.py URL acknowledge      prints the id of each note once its write is acknowledged, forever
    writer_process.py URL count SECONDS    prints "ready", waits for a line on stdin, writes for so long, and
                                           prints the number of writes
    writer_process.py URL fill             runs out of disk space in the middle of a group
    writer_process.py URL slots COUNT      takes that many slots of ids, then waits for the end of stdin
"""

from __future__ import annotations

import asyncio
import itertools
import os
import resource
import signal
import sys
import time

from stormpetrel.storage.engine.database import Database
from stormpetrel.storage.engine.slots import take_slot
from tests.storage.notes import add, ids, outcome


def say(*words: object) -> None:
    print(*words, flush=True)


async def acknowledge(database: Database) -> None:
    numbers = itertools.count(1)

    async def one_after_another() -> None:
        for number in numbers:
            say(await database.write(add, note_id=number, text="x" * 200))

    await asyncio.gather(*(one_after_another() for _ in range(8)))


async def count(database: Database, seconds: float) -> None:
    say("ready")
    await asyncio.to_thread(sys.stdin.readline)
    until_s = time.monotonic() + seconds
    start = os.getpid() << 32
    done = 0
    while time.monotonic() < until_s:
        await asyncio.gather(*(database.write(add, note_id=start + done + n) for n in range(10)))
        done += 10
    say(done)


async def fill(database: Database) -> None:
    # The kernel refuses to let the file grow, which SQLite sees as a full disk at COMMIT.
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    await database.write(add, note_id=1)
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))
    calls = [database.write(add, note_id=number, text="x" * 100_000) for number in range(2, 42)]
    found = await asyncio.gather(*(outcome(call) for call in calls))
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    say(*(type(one).__name__ for one in found))
    say(*await database.read(ids))
    await database.write(add, note_id=100)
    say(*await database.read(ids))


async def main() -> None:
    url, what, *more = sys.argv[1:]
    if what == "slots":
        held = [take_slot(url) for _ in range(int(more[0]))]
        say(*(slot.number for slot in held))
        sys.stdin.read()
        return
    database = Database(url)
    await database.open()
    match what:
        case "acknowledge":
            await acknowledge(database)
        case "count":
            await count(database, float(more[0]))
        case "fill":
            await fill(database)
    await database.close()


if __name__ == "__main__":
    asyncio.run(main())
