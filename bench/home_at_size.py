"""Home and the public timeline with a token on instances of three sizes: do they cost the same?

    python bench/home_at_size.py [--rounds 5] [--seconds 3] [--directory /tmp/stormpetrel-large] [--quick] [--json]

2,000 accounts and 100,000 posts, 20,000 and 400,000, 200,000 and 2,000,000 (mean 20 follows; the reader follows
200) from `stormpetrel seed`, all on SQLite with one web worker on core 0, wrk on core 1 with 32 keep-alive
connections, the instances interleaved. The large instance stays in its directory and is used again. Targets: the
CPU of a request on the largest at most 1.2 times that on the smallest, and its p99 at most 1.5 times.

home                  the first page, as an app polls it: its finished answer from memory
home, application     the same with a parameter that differs each time: ids from memory, the page by the application
home, cold            another page each time, far back: merged by query, as for a reader who returns after a day
public, application   the public timeline with a token, with a parameter that differs each time
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from contextlib import ExitStack
from pathlib import Path

import peers
import places

SMALL = (2_000, 100_000)
MIDDLE = (20_000, 400_000)
QUICK = ((500, 5_000), (1_000, 10_000), (2_000, 20_000))
HOME, PUBLIC = "/api/v1/timelines/home", "/api/v1/timelines/public"
FOLLOWS = 20
COLD_PAGES = 200
"""Number of different pages that the cold way requests in turn."""


def cold_script(ids: list[str]) -> str:
    """Return wrk's script: another `max_id` each time."""
    listed = ",".join(f'"{some_id}"' for some_id in ids)
    return (
        f"local ids = {{{listed}}}\nlocal n = 0\n"
        "request = function() n = n % #ids + 1\n"
        'return wrk.format("GET", "/api/v1/timelines/home?max_id=" .. ids[n]) end'
    )


def older_ids(place: places.Place, token: str, count: int) -> list[str]:
    """Return ids down the reader's home timeline, one per page."""
    found: list[str] = []
    path = "/api/v1/timelines/home?limit=40"
    while len(found) < count:
        page = json.loads(place.get(path + (f"&max_id={found[-1]}" if found else ""), token=token))
        if not page:
            break
        found.append(page[-1]["id"])
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=peers.whole_seconds, default=3)
    parser.add_argument("--directory", type=Path, default=places.LARGE_DIRECTORY)
    parser.add_argument("--quick", action="store_true", help="three smaller places, one short round")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    sizes = QUICK if options.quick else (SMALL, MIDDLE, places.LARGE)
    rounds, seconds = (1, 1) if options.quick else (options.rounds, options.seconds)
    ways: dict[str, list[peers.Run]] = {}
    with ExitStack() as stack:
        asked = []
        for users, posts in sizes:
            if (users, posts) == places.LARGE:
                place = stack.enter_context(places.large(options.directory))
            else:
                directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="petrel-size-"))
                commands = [
                    *places.seed(users, posts, FOLLOWS),
                    "--reader",
                    "reader",
                    "--reader-follows",
                    "200",
                ]
                place = stack.enter_context(places.place(Path(directory), commands))
            token = place.token("reader")
            name = f"{users:,} accounts, {posts:,} posts"
            asked.append((name, place, token, cold_script(older_ids(place, token, COLD_PAGES))))
        for number in range(rounds):
            for name, place, token, cold in asked:
                (worker,) = place.workers()
                for way, path, script in (
                    ("home", HOME, None),
                    ("home, application", HOME, peers.differing(number)),
                    ("home, cold", HOME, cold),
                    ("public, application", PUBLIC, peers.differing(number)),
                ):
                    ways.setdefault(f"{way}: {name}", []).append(
                        peers.wrk(
                            f"http://127.0.0.1:{place.port}{path}",
                            pid=worker,
                            seconds=seconds,
                            headers=[f"Authorization: Bearer {token}"],
                            script=script,
                        )
                    )
    peers.show(peers.rows_of(ways), as_json=options.json)
    if not options.json:
        small, *_, large = (name for name, *_ in asked)
        for way in dict.fromkeys(key.partition(": ")[0] for key in ways):
            pairs = list(zip(ways[f"{way}: {small}"], ways[f"{way}: {large}"], strict=True))
            cpu = statistics.median(big.cpu_us / little.cpu_us for little, big in pairs)
            p99 = statistics.median(big.p99_ms / little.p99_ms for little, big in pairs)
            print(
                f"{way}: the largest costs {cpu:.2f} of the smallest (target 1.2), its p99 {p99:.2f} (target 1.5)"
            )


if __name__ == "__main__":
    main()
