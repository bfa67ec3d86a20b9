"""The home timeline of an app: 20 posts by token, of a reader who follows 200, on SQLite with one web worker.

    python bench/home_timeline.py [--rounds 5] [--seconds 3] [--quick] [--json]

2,000 accounts and 100,000 posts from `stormpetrel seed`; the worker on core 0, wrk on core 1, 32 keep-alive
connections, the ways interleaved. Target: at least 8,000 requests/s, p99 at most 20 ms.

markers          the least that a request with a token costs here: edge, queue, application, one indexed query
home             ids from memory, posts and accounts from their encoded bytes, the reader's flags by one query
home, older page the same with max_id, further back
public, signed in the public timeline with the reader's flags: ids by query
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import peers

STORMPETREL = [sys.executable, "-m", "stormpetrel"]
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@contextmanager
def place(directory: Path, *, users: int, posts: int) -> Iterator[tuple[int, int, str]]:
    """A seeded place with one web worker: its port, the worker's pid, and the reader's token."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("STORMPETREL_")} | {
        "STORMPETREL_DATA_DIR": str(directory),
        "STORMPETREL_WEB_WORKERS": "1",
        "STORMPETREL_SHIELD_REQUESTS_PER_5MIN": "0",
        **{
            f"STORMPETREL_{role}_PORT": str(peers.free_port()) for role in ("WEB", "STATUS", "SMS", "COURIER")
        },
    }
    seed = ["seed", "--users", str(users), "--posts", str(posts), "--follows", "50", "--seed", "1"]
    for command in (["init"], [*seed, "--reader", "reader", "--reader-follows", "200"]):
        subprocess.run([*STORMPETREL, *command], env=environ, check=True, stdout=subprocess.DEVNULL)
    printed = subprocess.run(
        [*STORMPETREL, "token", "reader", "--scopes", "read"],
        env=environ,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    port = int(environ["STORMPETREL_WEB_PORT"])
    process = subprocess.Popen(
        [*STORMPETREL, "serve", "--role", "web"],
        env=environ,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        peers.wait_for(port)
        get(port, "/health", "")
        # The listener is open before the worker is there; with an answer, it is.
        worker = max(children(process.pid) or [process.pid], key=peers.cpu_s)
        peers.pin(worker, 0)
        yield port, worker, printed.split()[-1]
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def children(pid: int) -> list[int]:
    """The processes right below `pid`."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        found += map(int, (task / "children").read_text().split())
    return found


def get(port: int, path: str, token: str) -> bytes:
    """What a GET answers."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers=headers)
    with OPENER.open(request, timeout=10) as answer:
        body: bytes = answer.read()
        return body


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--quick", action="store_true", help="a smaller place, one short round")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    users, posts = (500, 10_000) if options.quick else (2_000, 100_000)
    rounds, seconds = (1, 1.0) if options.quick else (options.rounds, options.seconds)
    with (
        tempfile.TemporaryDirectory(prefix="petrel-home-") as directory,
        place(Path(directory), users=users, posts=posts) as (port, worker, token),
    ):
        home = get(port, "/api/v1/timelines/home", token)
        statuses = json.loads(home)
        if len(statuses) != 20:
            raise SystemExit(f"the reader's home has {len(statuses)} posts, not 20")
        ways: dict[str, tuple[str, list[peers.Run]]] = {
            "markers": ("/api/v1/markers?timeline[]=home", []),
            "home": ("/api/v1/timelines/home", []),
            "home, older page": (f"/api/v1/timelines/home?max_id={statuses[-1]['id']}", []),
            "public, signed in": ("/api/v1/timelines/public", []),
        }
        for _ in range(rounds):
            for path, runs in ways.values():
                runs.append(
                    peers.wrk(
                        f"http://127.0.0.1:{port}{path}",
                        pid=worker,
                        seconds=seconds,
                        headers=[f"Authorization: Bearer {token}"],
                    )
                )
    rows = [
        {
            "way": way,
            "requests_per_s": peers.spread([run.requests_per_s for run in runs]),
            "cpu_us": peers.spread([run.cpu_us for run in runs]),
            "p99_ms": peers.spread([run.p99_ms for run in runs]),
            "errors": sum(run.refused for run in runs),
        }
        for way, (_, runs) in ways.items()
    ]
    if not options.json:
        print(f"the answer: {len(home):,} bytes, 20 posts")
    peers.show(rows, as_json=options.json)


if __name__ == "__main__":
    main()
