"""A reader's first home: merged from the recent posts in memory, beside loaded by a query, in the same run.

    python bench/cold_homes.py [--directory DIR] [--readers 2000] [--quick] [--json]

20,000 accounts with 126 follows on average and 200,000 posts from `stormpetrel seed`, on SQLite, in one process:
CPU time for each home, in turn by both ways. DIR keeps the instance for the next run. Target: at most 1 ms from
memory.

query        the home's filter and its newest entries from the store, as while recent posts are not loaded yet
memory       the filter from the store, the entries from the recent posts
again        the same readers once more, nothing new
after 100    the same after 100 new posts of the instance, and after 1,000
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import resource
import sqlite3
import subprocess
import tempfile
import time
from pathlib import Path

import places

from stormpetrel.model.event import PostCreated
from stormpetrel.model.page import Page
from stormpetrel.readers.home import HomeLists
from stormpetrel.storage.engine.database import Database

PAGE = Page(limit=20)
SIZE = (20_000, 200_000, 126)
QUICK = (1_000, 20_000, 60)
MANY = 40
"""Readers whose first home is measured by one way before the other way's turn."""


def seeded(directory: Path, size: tuple[int, int, int]) -> str:
    """Return the URL of the seeded store in `directory`, made if it is missing."""
    done = directory / "seeded"
    if not done.exists():
        environ = os.environ | {"STORMPETREL_DATA_DIR": str(directory)}
        for command in (["init"], places.seed(*size)):
            subprocess.run(
                [*places.STORMPETREL, *command], env=environ, check=True, stdout=subprocess.DEVNULL
            )
        done.touch()
    return f"sqlite:///{directory / 'stormpetrel.db'}"


def accounts(directory: Path) -> list[int]:
    """Return the ids of all accounts."""
    connection = sqlite3.connect(directory / "stormpetrel.db")
    try:
        return [row[0] for row in connection.execute("SELECT id FROM accounts WHERE id > 0 ORDER BY id")]
    finally:
        connection.close()


async def cpu_us(homes: HomeLists, readers: list[int]) -> float:
    """Return the CPU time of a home in microseconds."""
    began_s = time.process_time()
    for reader_id in readers:
        await homes.page(reader_id, PAGE)
    return (time.process_time() - began_s) / len(readers) * 1e6


async def measured(url: str, ids: list[int], readers: int) -> dict[str, float]:
    """Return the figures by name."""
    pick = random.Random(1)
    chosen = pick.sample(ids, min(len(ids), readers))
    database = Database(url)
    await database.open()
    try:
        by_query, by_memory = HomeLists(database), HomeLists(database)
        await by_query.page(chosen[0], PAGE)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        began_s = time.process_time()
        await by_memory.load_recent(rest=0)
        found = {
            "recent_posts": float(len(by_memory._recent)),
            "loading_s": time.process_time() - began_s,
            "loading_mb": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024,
        }
        query, memory = [], []
        for at in range(0, len(chosen), MANY):
            some = chosen[at : at + MANY]
            query.append(await cpu_us(by_query, some))
            memory.append(await cpu_us(by_memory, some))
        found["query_us"], found["memory_us"] = (
            sorted(query)[len(query) // 2],
            sorted(memory)[len(memory) // 2],
        )
        found["times"] = found["query_us"] / found["memory_us"]
        found["again_us"] = await cpu_us(by_memory, chosen)
        post_id = max(home.ids[-1] for home in by_memory._homes.values() if home.ids)
        for count in (100, 1_000):
            for _ in range(count):
                post_id += 1
                by_memory.apply(PostCreated(post_id=post_id, author_id=pick.choice(ids), visibility=0))
            found[f"after_{count}_us"] = await cpu_us(by_memory, chosen)
        found["entry_bytes"] = by_memory._homes.weight / len(by_memory)
        return found
    finally:
        await database.close()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--directory", type=Path)
    parser.add_argument("--readers", type=int, default=2_000)
    parser.add_argument("--quick", action="store_true", help="1,000 accounts, 200 readers")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="petrel-cold-") as temporary:
        directory: Path = options.directory or Path(temporary)
        directory.mkdir(exist_ok=True)
        url = seeded(directory, QUICK if options.quick else SIZE)
        figures = asyncio.run(measured(url, accounts(directory), 200 if options.quick else options.readers))
    if options.json:
        print(json.dumps(figures))
        return
    for name, value in figures.items():
        print(f"{name:<14}{value:>12,.1f}")


if __name__ == "__main__":
    main()
