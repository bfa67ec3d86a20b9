"""Durably acknowledged posts per second, and the hot page's p99 beside them.

    python bench/posting.py [--store sqlite|postgresql] [--seconds 10] [--quick] [--json]

A seeded instance (2,000 accounts, mean 126 followers, 20,000 posts), `serve` with two web workers on both
cores, 64 connections that each post with a token and an Idempotency-Key (wrk). Beside them, a visitor
requests an author's page 100 times a second on separate connections; latency counts from the intended time.
For comparison, in the same run: rows per second that one program commits one by one to this disk.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import peers
import places
import uvloop
from member_tokens import create_tokens

sys.path.insert(0, str(Path(__file__).parents[1]))

from stormpetrel.model.ids import IdMaker
from stormpetrel.storage.engine.connection import StoreConnection, connect, transaction
from stormpetrel.storage.engine.statement import Statement

WRITERS = 64
PAGES_PER_S = 100
AUTHORS = 500
_SOME_ACCOUNTS = "SELECT id, username FROM accounts ORDER BY followers_count DESC LIMIT :count"
SOME_ACCOUNTS = Statement(_SOME_ACCOUNTS, _SOME_ACCOUNTS)


@contextmanager
def database_at(store: str, directory: Path) -> Iterator[str]:
    """Yield the URL of an empty database; for PostgreSQL on a separate cluster with fsync on."""
    if store == "sqlite":
        yield f"sqlite:///{directory}/stormpetrel.db"
        return
    import psycopg

    from tests.parts import make_run_directory, remove_run_directory, shared_postgresql

    run_directory = make_run_directory()
    try:
        server = shared_postgresql(run_directory)
        url = f"postgresql://postgres:{server.secret}@127.0.0.1:{server.port}"
        with psycopg.connect(f"{url}/postgres", autocommit=True) as connection:
            connection.execute("CREATE DATABASE bench")
        yield f"{url}/bench"
    finally:
        remove_run_directory(run_directory)


def tokens_of(url: str) -> tuple[list[str], str]:
    """Return tokens of the most followed authors, and the name of one of them."""
    connection = connect(url, ids=IdMaker(63))
    people = connection.all(SOME_ACCOUNTS, count=AUTHORS)
    tokens = create_tokens(
        connection, [account_id for account_id, _ in people], now_ms=time.time_ns() // 1_000_000
    )
    connection.close()
    return tokens, people[-1][1]


def script(tokens: list[str], run: int) -> str:
    """Return wrk's script: each request is a new post by the next author, with a different key."""
    listed = ", ".join(f'"{token}"' for token in tokens)
    return f"""
local tokens = {{{listed}}}
local n = 0
request = function()
  n = n + 1
  return wrk.format("POST", "/api/v1/statuses",
    {{["Authorization"] = "Bearer " .. tokens[n % #tokens + 1], ["Content-Type"] = "application/json",
      ["Idempotency-Key"] = "{run}-" .. n}},
    '{{"status":"Durable post ' .. n .. ' about the sea and the weather, number {run} #storm"}}')
end
"""


async def visit(port: int, path: str, seconds: float) -> tuple[list[float], list[float]]:
    """Return latencies and the visitor's own lateness, in seconds, of Poisson arrivals at PAGES_PER_S."""
    request = f"GET {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\n\r\n".encode()
    idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
    taken: list[float] = []
    late: list[float] = []

    async def one(intended_s: float) -> None:
        late.append(time.perf_counter() - intended_s)
        reader, writer = idle.pop() if idle else await asyncio.open_connection("127.0.0.1", port)
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        await reader.readexactly(int(length.split(b":")[1]))
        taken.append(time.perf_counter() - intended_s)
        idle.append((reader, writer))

    rng = random.Random(1)
    begin_s = time.perf_counter()
    intended_s = begin_s
    tasks: set[asyncio.Task[None]] = set()
    while intended_s < begin_s + seconds:
        intended_s += rng.expovariate(PAGES_PER_S)
        await asyncio.sleep(max(0.0, intended_s - time.perf_counter()))
        task = asyncio.create_task(one(intended_s))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    await asyncio.gather(*tasks)
    for _, writer in idle:
        writer.close()
    return taken, late


def p99_ms(values: list[float]) -> float:
    """Return the 99th percentile, in milliseconds."""
    return sorted(values)[int(len(values) * 0.99)] * 1000 if values else 0.0


def bare_commits(url: str, seconds: float) -> float:
    """Return the rows per second that one program commits one by one in the same database, durably."""
    connection: StoreConnection = connect(url, ids=IdMaker(62))
    run = "CREATE TABLE IF NOT EXISTS bench_limit (n INTEGER)"
    connection.run(Statement(run, run))
    insert = Statement("INSERT INTO bench_limit VALUES (1)", "INSERT INTO bench_limit VALUES (1)")
    count = 0
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s:
        with transaction(connection):
            connection.run(insert)
        count += 1
    connection.close()
    return count / seconds


def measure(store: str, *, seconds: int, rounds: int) -> dict[str, Any]:
    """Return the figures of one store."""
    with contextlib.ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        url = stack.enter_context(database_at(store, directory))
        place = stack.enter_context(
            places.place(
                directory, places.seed(2_000, 20_000, 126), workers=2, only_web=False, database_url=url
            )
        )
        port, workers = place.port, place.workers()
        tokens, author = tokens_of(url)
        commits = bare_commits(url, 2.0)
        calm, calm_late = uvloop.run(visit(port, f"/@{author}", 3.0))
        found: list[dict[str, float]] = []
        for number in range(rounds):
            before_s = sum(map(peers.cpu_s, workers))
            visitor = subprocess.Popen(
                [sys.executable, __file__, "--visit", str(port), author, str(seconds)], stdout=subprocess.PIPE
            )
            load = peers.wrk(
                f"http://127.0.0.1:{port}",
                pid=workers[0],
                seconds=seconds,
                connections=WRITERS,
                core=None,
                script=script(tokens, number),
            )
            used_s = sum(map(peers.cpu_s, workers)) - before_s
            out, _ = visitor.communicate(timeout=60)
            pages = json.loads(out)
            found.append(
                {
                    "posts/s": load.requests_per_s,
                    "CPU µs/post": used_s / (load.requests_per_s * seconds) * 1e6,
                    "post p99 ms": load.p99_ms,
                    "refused": load.refused,
                    "hot page p99 ms": pages["p99_ms"],
                    "visitor late p99 ms": pages["late_p99_ms"],
                }
            )
    return {
        "store": store,
        **{name: peers.spread([run[name] for run in found]) for name in found[0]},
        "limit: bare commits/s": commits,
        "hot page p99 ms in calm": p99_ms(calm),
        "visitor late p99 ms in calm": p99_ms(calm_late),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--store", choices=("sqlite", "postgresql", "both"), default="both")
    parser.add_argument("--seconds", type=peers.whole_seconds, default=10, help="length of a round")
    parser.add_argument("--quick", action="store_true", help="one short round, SQLite only")
    parser.add_argument("--json", action="store_true", help="the figures as JSON")
    parser.add_argument("--visit", nargs=3, metavar=("PORT", "AUTHOR", "SECONDS"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.visit:
        port, author, seconds = options.visit
        taken, late = uvloop.run(visit(int(port), f"/@{author}", float(seconds)))
        print(json.dumps({"p99_ms": p99_ms(taken), "late_p99_ms": p99_ms(late)}))
        return
    seconds, rounds = (2, 1) if options.quick else (options.seconds, 5)
    stores = ["sqlite"] if options.quick else ["sqlite", "postgresql"]
    if options.store != "both":
        stores = [options.store]
    rows = [measure(store, seconds=seconds, rounds=rounds) for store in stores]
    if options.json:
        print(json.dumps(rows))
        return
    for row in rows:
        print(f"{row['store']}, {WRITERS} writers, {rounds} rounds of {seconds:g} s: median (min to max)")
        for name, value in row.items():
            if isinstance(value, dict):
                print(f"  {name:28} {value['median']:9.1f} ({value['min']:.1f} to {value['max']:.1f})")
            elif name != "store":
                print(f"  {name:28} {value:9.1f}")


if __name__ == "__main__":
    main()
