"""The home timeline of an app: 20 posts by token, for a reader who follows 200, on SQLite, one web worker.

    python bench/home_timeline.py [--rounds 5] [--seconds 3] [--quick] [--json]

2,000 accounts and 100,000 posts from `stormpetrel seed`; the worker on core 0, wrk on core 1, 32 keep-alive
connections, the ways interleaved. Target: at least 8,000 requests/s, p99 at most 20 ms.

markers          the minimum for a request with a token at the application: edge, queue, one indexed query
poll             home with the newest `since_id`, again and again: the finished answer [] from memory
home             the same for a full page
home, gzip       the same, compressed once
home, made       by the application: ids from memory, posts and accounts from their encoded bytes, flags from memory
older page, made the same with max_id, further back
public, made     the public timeline with the reader's flags: ids by query
home of 40, made the same as home with twice as many posts
40, gzip, made   the same, compressed; the answer then has at most 15 KB, at 1.3 times the CPU

"Made" requests have a parameter without a meaning, different in each: such an answer is never in memory.
"""

from __future__ import annotations

import argparse
import http.client
import json
import tempfile
from pathlib import Path

import peers
import places


def wire_bytes(port: int, path: str, headers: list[str]) -> int:
    """Return the size of an answer's body on the wire, in bytes."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", path, headers=dict(header.split(": ", 1) for header in headers))
    body = connection.getresponse().read()
    connection.close()
    return len(body)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=peers.whole_seconds, default=3)
    parser.add_argument("--quick", action="store_true", help="a smaller place, one short round")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    users, posts = (500, 10_000) if options.quick else (2_000, 100_000)
    rounds, seconds = (1, 1) if options.quick else (options.rounds, options.seconds)
    with (
        tempfile.TemporaryDirectory(prefix="petrel-home-") as directory,
        places.place(
            Path(directory),
            [*places.seed(users, posts, 50), "--reader", "reader", "--reader-follows", "200"],
        ) as place,
    ):
        token = place.token("reader")
        (worker,) = place.workers()
        home = place.get("/api/v1/timelines/home", token=token)
        statuses = json.loads(home)
        if len(statuses) != 20:
            raise SystemExit(f"the reader's home has {len(statuses)} posts, not 20")
        bearer, gzip = f"Authorization: Bearer {token}", "Accept-Encoding: gzip"
        home_of_40 = "/api/v1/timelines/home?limit=40"
        path = "/api/v1/timelines/home"
        # The path, its headers, True if the application makes each answer.
        ways: dict[str, tuple[str, list[str], bool]] = {
            "markers": ("/api/v1/markers?timeline[]=home", [bearer], True),
            "poll": (f"{path}?since_id={statuses[0]['id']}", [bearer], False),
            "home": (path, [bearer], False),
            "home, gzip": (path, [bearer, gzip], False),
            "home, made": (path, [bearer], True),
            "older page, made": (f"{path}?max_id={statuses[-1]['id']}", [bearer], True),
            "public, made": ("/api/v1/timelines/public", [bearer], True),
            "home of 40, made": (home_of_40, [bearer], True),
            "40, gzip, made": (home_of_40, [bearer, gzip], True),
        }
        done: dict[str, list[peers.Run]] = {way: [] for way in ways}
        plain_bytes, gzip_bytes = (
            wire_bytes(place.port, home_of_40, headers) for headers in ([bearer], [bearer, gzip])
        )
        for run in range(rounds):
            for way, (path, headers, is_made) in ways.items():
                done[way].append(
                    peers.wrk(
                        f"http://127.0.0.1:{place.port}{path}",
                        pid=worker,
                        seconds=seconds,
                        headers=headers,
                        script=peers.differing(run) if is_made else None,
                    )
                )
    rows = peers.rows_of(done)
    if not options.json:
        print(f"the answer: {len(home):,} bytes, 20 posts; of 40 {plain_bytes:,}, with gzip {gzip_bytes:,}")
    peers.show(rows, as_json=options.json)


if __name__ == "__main__":
    main()
