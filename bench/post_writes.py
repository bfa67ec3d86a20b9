"""The store's part of a post: posts a second, and CPU of the writing process and of PostgreSQL for each.

    python bench/post_writes.py [--store sqlite|postgresql] [--posts 1000] [--rounds 6] [--tags] [--quick] [--json]

`Database.write(create_post)` alone in one process: 64 calls wait at any time, each by the next of 1,000 accounts and
with an idempotency key of its own. `--tags`: each post has a hashtag that is used by all. PostgreSQL runs on the same
cores with its own settings and fsync. The server's CPU is that of all its processes.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import peers
import places
from figure_rows import print_rows
from posting import database_at

from stormpetrel import clock
from stormpetrel.model.ids import IdMaker
from stormpetrel.rules import posts as rules
from stormpetrel.rules.posts import Draft
from stormpetrel.storage.engine.connection import PostgresqlConnection, connect
from stormpetrel.storage.engine.database import Database
from stormpetrel.storage.engine.statement import Statement

ACCOUNTS = 1_000
WAITING = 64
_ACCOUNTS = "SELECT id FROM accounts WHERE id > 0 ORDER BY id LIMIT :count"
SOME_ACCOUNTS = Statement(_ACCOUNTS, _ACCOUNTS)


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


class ServerCpu:
    """The CPU time of a PostgreSQL server: of its processes that are alive."""

    def __init__(self, url: str) -> None:
        """Find the server by one of its backends."""
        self._postmaster = 0
        if url.startswith("postgresql:"):
            connection = connect(url, writes=False)
            assert isinstance(connection, PostgresqlConnection)
            row = connection.raw.execute("SELECT pg_backend_pid()").fetchone()
            assert row is not None
            stat = Path(f"/proc/{row[0]}/stat").read_text()
            self._postmaster = int(stat.rpartition(")")[2].split()[1])
            connection.close()

    def seconds(self) -> float:
        """Return it in seconds; 0 for SQLite."""
        if not self._postmaster:
            return 0.0
        # schedstat counts in nanoseconds, where stat counts in ticks of 10 ms.
        found = 0
        for pid in _children(self._postmaster):
            with contextlib.suppress(FileNotFoundError):
                found += int(Path(f"/proc/{pid}/schedstat").read_text().split()[0])
        return found / 1e9


async def _round(database: Database, authors: list[int], *, posts: int, number: int, text: str) -> None:
    free = asyncio.Semaphore(WAITING)

    async def one(at: int) -> None:
        async with free:
            await database.write(
                rules.create_post,
                author_id=authors[at % len(authors)],
                draft=Draft(text=text.format(at)),
                max_characters=500,
                domain="example.org",
                now_ms=clock.now_ms(),
                idempotency_key=f"{number}-{at}",
            )

    await asyncio.gather(*(one(at) for at in range(posts)))


async def _measure(url: str, *, posts: int, rounds: int, text: str) -> list[dict[str, Any]]:
    connection = connect(url, ids=IdMaker(62))
    authors = [row[0] for row in connection.all(SOME_ACCOUNTS, count=ACCOUNTS)]
    connection.close()
    database = Database(url)
    await database.open()
    server = ServerCpu(url)
    rows = []
    # The first round fills the caches of statements and plans.
    for number in range(-1, rounds):
        began_s, cpu_s, server_s = time.perf_counter(), time.process_time(), server.seconds()
        await _round(database, authors, posts=posts, number=number, text=text)
        took_s = time.perf_counter() - began_s
        if number >= 0:
            rows.append(
                {
                    "posts/s": posts / took_s,
                    "client CPU us/post": (time.process_time() - cpu_s) / posts * 1e6,
                    "server CPU us/post": (server.seconds() - server_s) / posts * 1e6,
                }
            )
    await database.close()
    return rows


def measure(store: str, *, posts: int, rounds: int, text: str) -> dict[str, Any]:
    """Return the figures of one store."""
    with contextlib.ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        url = stack.enter_context(database_at(store, directory))
        environ = {
            name: value for name, value in os.environ.items() if not name.startswith("STORMPETREL_")
        } | {
            "STORMPETREL_DATA_DIR": str(directory),
            "STORMPETREL_DATABASE_URL": url,
        }
        for command in (["init"], places.seed(ACCOUNTS, 5_000, 20)):
            subprocess.run(
                [*places.STORMPETREL, *command], env=environ, check=True, stdout=subprocess.DEVNULL
            )
        rows = asyncio.run(_measure(url, posts=posts, rounds=rounds, text=text))
    return {"store": store, **{name: peers.spread([row[name] for row in rows]) for name in rows[0]}}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--store", choices=("sqlite", "postgresql"), default="postgresql")
    parser.add_argument("--posts", type=int, default=1_000, help="posts of a round")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--tags", action="store_true", help="each post has a hashtag")
    parser.add_argument("--quick", action="store_true", help="one round, SQLite")
    parser.add_argument("--json", action="store_true", help="the figures as JSON")
    options = parser.parse_args()
    text = "A post number {} about the sea" + (" #storm" if options.tags else "")
    store, rounds = ("sqlite", 1) if options.quick else (options.store, options.rounds)
    print_rows(
        [measure(store, posts=options.posts, rounds=rounds, text=text)], as_json=options.json, width=24
    )


if __name__ == "__main__":
    main()
