"""A burst: 7,500 posts by as many members within one second, at a server that just started.

    python bench/burst.py [--store sqlite|postgresql|both] [--posts 7500] [--warm-s 0] [--rounds 3] [--quick] [--json]

`serve` with two workers and all roles, which has run before; then it starts again and the burst begins. Each post has
the token of another account, a connection and a loopback address of its own (ten clients to an address). Beside it
100 members' home polls a second, kept alive. Afterwards: is each acknowledged post stored exactly once, no refused
one, and do the refusals that clients got equal those in /metrics? Targets: all acknowledged within 10 s and seen by
followers within 10 s, none lost or doubled, 99.5 % of the reads answered. The client has the same cores.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import open_load
import peers
import places
from figure_rows import print_rows
from member_tokens import create_tokens
from open_load import Answer, OpenLoad, Planned
from posting import database_at

from stormpetrel.model.ids import IdMaker
from stormpetrel.storage.engine.connection import connect
from stormpetrel.storage.engine.statement import sql

POSTS, QUICK_POSTS = 7_500, 1_000
READERS = 200
READS_PER_S = 100
BURST_S = 1.0
LISTENS_S = 14.0
"""The reads go on for this long."""
TOKEN_AGE_MS = 3 * 86_400_000
_ACCOUNTS = sql("SELECT id FROM accounts WHERE id > 0 ORDER BY id LIMIT :count")
_STORED = sql("SELECT id, text FROM posts WHERE text LIKE :start")
_FOLLOWED = sql("SELECT followed_id FROM follows WHERE follower_id = :follower_id")


def tokens_of(url: str, count: int, *, now_ms: int) -> list[tuple[int, str]]:
    """Create a token for each of so many accounts; return account id and token. `now_ms`: when it was created."""
    connection = connect(url, ids=IdMaker(63))
    ids = [row[0] for row in connection.all(_ACCOUNTS, count=count)]
    tokens = create_tokens(connection, ids, now_ms=now_ms)
    connection.close()
    return list(zip(ids, tokens, strict=True))


def refusals_counted(place: places.Place) -> Counter[str]:
    """Return the refusals in /metrics by rule."""
    found: Counter[str] = Counter()
    for line in place.metrics().splitlines():
        name, _, rest = line.partition("{")
        if name in ("stormpetrel_refusals_total", "stormpetrel_collateral_total"):
            label, _, value = rest.rpartition("} ")
            found[f"{name.removeprefix('stormpetrel_')} {label}"] += int(float(value))
    return found


class Burst:
    """The posts and reads of one burst, and their answers."""

    def __init__(self, port: int, members: list[tuple[int, str]], posts: int, name: str) -> None:
        self.load = OpenLoad(port)
        self.answers: dict[int, Answer] = {}
        self.reads: list[Answer] = []
        self.seen_s: dict[int, float] = {}
        self.name = name
        self._port = port
        self._posts = posts
        self._members = members

    def run(self) -> None:
        """Send all of it, and wait for the answers."""
        for number, (_, token) in enumerate(self._members[: self._posts]):
            text = f"{self.name} {number}"
            data = open_load.post(text, token, f"{self.name}-{number}", self._port)
            self.load.plan(
                Planned(
                    number / self._posts * BURST_S,
                    -1,
                    open_load.address(number // 10),
                    lambda data=data: data,  # type: ignore[misc]
                    lambda answer, number=number: self.answers.__setitem__(number, answer),  # type: ignore[misc]
                )
            )
        readers = self._members[-READERS:]
        for turn in range(int(READS_PER_S * LISTENS_S)):
            reader = turn % len(readers)
            data = open_load.get("/api/v1/timelines/home?limit=40", readers[reader][1], self._port)
            self.load.plan(
                Planned(
                    turn / READS_PER_S,
                    reader,
                    open_load.address(10_000 + reader),
                    lambda data=data: data,  # type: ignore[misc]
                    self.reads.append,
                )
            )
        self.load.run(until_s=LISTENS_S + 10.0)


def visible_s(place: places.Place, url: str, burst: Burst, members: list[tuple[int, str]]) -> float:
    """Return the seconds from the burst's end until 20 followers' homes show the newest acknowledged posts.

    Raise RuntimeError if one does not within 10 s.
    """
    ids = {
        members[number][0]: stored
        for number, answer in burst.answers.items()
        if answer.status == 200 and (stored := json.loads(answer.body)["id"])
    }
    began_s = time.monotonic()
    connection = connect(url, writes=False)
    try:
        for reader_id, token in members[-20:]:
            followed = {row[0] for row in connection.all(_FOLLOWED, follower_id=reader_id)}
            newest = sorted((int(ids[one]) for one in followed if one in ids), reverse=True)[:40]
            while True:
                home = [
                    int(post["id"])
                    for post in json.loads(place.get("/api/v1/timelines/home?limit=40", token=token))
                ]
                if not newest or set(newest[:20]) <= set(home):
                    break
                if time.monotonic() - began_s > 10:
                    raise RuntimeError(f"a follower does not see {len(set(newest[:20]) - set(home))} posts")
                time.sleep(0.05)
    finally:
        connection.close()
    return time.monotonic() - began_s


def stored_posts(url: str, name: str) -> Counter[int]:
    """Return how often each post of the burst is stored, by its number."""
    connection = connect(url, writes=False)
    try:
        rows = connection.all(_STORED, start=f"{name} %")
    finally:
        connection.close()
    return Counter(int(text.rpartition(" ")[2]) for _, text in rows)


def measure(store: str, *, posts: int, rounds: int, warm_s: float) -> list[dict[str, Any]]:
    """Return the figures of each round."""
    rows: list[dict[str, Any]] = []
    with contextlib.ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="petrel-burst-")))
        url = stack.enter_context(database_at(store, directory))
        keys = {"workers": 2, "only_web": False, "database_url": url}
        with places.place(directory, places.seed(posts + READERS, 20_000, 20), **keys):
            pass  # a server that has run before
        members = tokens_of(url, posts + READERS, now_ms=time.time_ns() // 1_000_000 - TOKEN_AGE_MS)
        for number in range(rounds):
            name = f"burst{number}"
            with places.place(directory, **keys) as place:
                time.sleep(warm_s)
                if warm_s:
                    for _, token in members:
                        place.get("/api/v1/accounts/verify_credentials", token=token)
                before_s = sum(map(peers.cpu_s, place.workers()))
                burst = Burst(place.port, members, posts, name)
                burst.run()
                used_s = sum(map(peers.cpu_s, place.workers())) - before_s
                time.sleep(2.5)
                counted = refusals_counted(place)
                seen_s = visible_s(place, url, burst, members)
            rows.append(
                {
                    "store": store,
                    **figures(burst, stored_posts(url, name), counted),
                    "followers see s": seen_s,
                }
            )
            rows[-1]["CPU s of workers"] = used_s
    return rows


def figures(burst: Burst, stored: Counter[int], counted: Counter[str]) -> dict[str, Any]:
    """Return a round's figures by name."""
    status = Counter(answer.status for answer in burst.answers.values())
    good = [answer for answer in burst.answers.values() if answer.status == 200]
    acknowledged = {number for number, answer in burst.answers.items() if answer.status == 200}
    refused = {number for number, answer in burst.answers.items() if answer.status in (429, 503)}
    reads = Counter(answer.status for answer in burst.reads)
    latencies = sorted(answer.latency_s for answer in burst.reads if answer.status == 200)
    in_metrics = sum(count for name, count in counted.items() if name.startswith("refusals_total"))
    sent = sum(status[code] + reads[code] for code in (429, 503))
    return {
        "acknowledged %": 100 * len(good) / len(burst.answers),
        "last acknowledged s": max((answer.done_s for answer in good), default=0.0),
        "posts/s": len(good) / max((answer.done_s for answer in good), default=1.0),
        "statuses": dict(status),
        "lost": sum(not stored[number] for number in acknowledged),
        "doubled": sum(count > 1 for count in stored.values()),
        "refused and stored": sum(bool(stored[number]) for number in refused),
        "reads %": 100 * reads[200] / max(1, len(burst.reads)),
        "reads p99 ms": 1000 * latencies[int(len(latencies) * 0.99)] if latencies else 0.0,
        "read statuses": dict(reads),
        "refusals sent": sent,
        "refusals in /metrics": in_metrics,
        "counts": dict(counted),
        "client late s": burst.load.late_s,
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--store", choices=("sqlite", "postgresql", "both"), default="both")
    parser.add_argument("--posts", type=int, default=POSTS)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--warm-s", type=float, default=0.0, help="let the server run, and know all tokens, before"
    )
    parser.add_argument("--quick", action="store_true", help="1,000 posts, one round, SQLite only")
    parser.add_argument("--json", action="store_true", help="the figures as JSON")
    options = parser.parse_args()
    posts, rounds = (QUICK_POSTS, 1) if options.quick else (options.posts, options.rounds)
    stores = ["sqlite", "postgresql"] if options.store == "both" and not options.quick else [options.store]
    if stores == ["both"]:
        stores = ["sqlite"]
    rows = [
        row for store in stores for row in measure(store, posts=posts, rounds=rounds, warm_s=options.warm_s)
    ]
    print_rows(rows, as_json=options.json, width=24)


if __name__ == "__main__":
    main()
