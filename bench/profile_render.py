"""A profile page of 20 posts that no cache holds, rendered for each request, beside what a request costs anyway.

    python bench/profile_render.py [--rounds 5] [--seconds 3] [--accounts 200] [--json]

One web worker on core 0, wrk on core 1, 32 keep-alive connections, SQLite, the ways interleaved. Each request
asks for an address of its own (a page parameter that never came before), so the hot-page cache never helps and
no two renderings are shared; the fragments of single posts are kept, as they are in service.

nothing rendered  the same way through edge, queue and application to a redirect without a page
profile, same     one account's page over and over
profile, in turn  the pages of many accounts, one after the other
Target: at least 600 renderings per second and core.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import peers

STORMPETREL = [sys.executable, "-m", "stormpetrel"]
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
# Above every id, so that the page is the newest one: 4 and eighteen digits.
UNIQUE = 'string.format("4%%09d%%09d", %d, n)'


def script(paths: list[str], salt: int) -> str:
    """wrk's requests: the paths in turn, each with a parameter that never came before."""
    listed = ", ".join(f'"{path}"' for path in paths)
    return (
        f"local paths = {{{listed}}}\nlocal n = 0\nrequest = function()\n  n = n + 1\n"
        f'  return wrk.format("GET", paths[n % #paths + 1] .. "?max_id=" .. {UNIQUE % salt})\nend\n'
    )


@contextmanager
def place(directory: Path, accounts: int) -> Iterator[tuple[int, int, list[str]]]:
    """A seeded place with one web worker: its port, the worker's pid, and the usernames with enough posts."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("STORMPETREL_")} | {
        "STORMPETREL_DATA_DIR": str(directory),
        "STORMPETREL_WEB_WORKERS": "1",
        "STORMPETREL_SHIELD_REQUESTS_PER_5MIN": "0",
        **{
            f"STORMPETREL_{role}_PORT": str(peers.free_port()) for role in ("WEB", "STATUS", "SMS", "COURIER")
        },
    }
    seed = ["seed", "--users", "2000", "--posts", "100000", "--follows", "50", "--seed", "1"]
    for command in (["init"], seed):
        subprocess.run([*STORMPETREL, *command], env=environ, check=True, stdout=subprocess.DEVNULL)
    port = int(environ["STORMPETREL_WEB_PORT"])
    process = subprocess.Popen(
        [*STORMPETREL, "serve", "--role", "web"],
        env=environ,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        peers.wait_for(port)
        get(port, "/health")
        # The listener is open before the worker is there; with an answer, it is.
        worker = max(children(process.pid) or [process.pid], key=peers.cpu_s)
        peers.pin(worker, 0)
        yield port, worker, authors(port, accounts)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def children(pid: int) -> list[int]:
    """The processes right below `pid`."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        found += map(int, (task / "children").read_text().split())
    return found


def authors(port: int, wanted: int) -> list[str]:
    """Usernames of accounts that have a page of 20 posts, found on the public timeline."""
    names: dict[str, None] = {}
    address = "/public"
    end_s = time.monotonic() + 120
    while len(names) < wanted and time.monotonic() < end_s:
        text = get(port, address)
        for name in re.findall(r'class="who" href="/@(\w+)"', text):
            if name not in names and get(port, f"/@{name}").count('<article class="post"') == 20:
                names[name] = None
        older = re.search(r'rel="next" href="([^"]+)"', text)
        if older is None:
            break
        address = older[1].replace("&#x2f;", "/")
    return list(names)[:wanted]


def get(port: int, path: str) -> str:
    """A page's text."""
    with OPENER.open(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
        text: str = answer.read().decode()
        return text


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--accounts", type=int, default=200)
    parser.add_argument("--quick", action="store_true", help="one round of a second, 20 accounts")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.seconds, options.accounts = 1, 1.0, 20
    with (
        tempfile.TemporaryDirectory(prefix="petrel-profile-") as directory,
        place(Path(directory), options.accounts) as (port, worker, names),
    ):
        pages = [f"/@{name}" for name in names]
        ways: dict[str, tuple[list[str], list[peers.Run]]] = {
            "nothing rendered": (["/profile"], []),
            "profile, same": (pages[:1], []),
            f"profile, {len(pages)} in turn": (pages, []),
        }
        size_bytes = len(get(port, pages[0]).encode())
        salt = 0
        for _ in range(options.rounds):
            for paths, runs in ways.values():
                salt += 1
                url = f"http://127.0.0.1:{port}/"
                runs.append(peers.wrk(url, pid=worker, seconds=options.seconds, script=script(paths, salt)))
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
        print(f"the page: {size_bytes:,} bytes, 20 posts")
    peers.show(rows, as_json=options.json)


if __name__ == "__main__":
    main()
