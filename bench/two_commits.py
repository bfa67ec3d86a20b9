"""CPU of requests in calm, of another checkout beside this one, for the cost of a change.

    python bench/two_commits.py [OTHER] [--starts 3] [--rounds 6] [--quick] [--json]

OTHER is a checkout of another commit (`git worktree add`), this one without it. Three instances on SQLite are
asked in turn, one second each: OTHER, this checkout, and OTHER again, which shows the influence of chance. One web
worker each on core 0, the other roles too, wrk with 32 connections on core 1. All are started anew several times,
because a process's memory layout alone changes some percent. `of_before` is the CPU of OTHER for a request, divided
by that of this checkout in the same round: least, median and largest of all rounds. Target: at least 0.98.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import peers
import places
from posting import script, tokens_of

HERE = Path(__file__).parents[1]
NAMES = ("before", "now", "before again")
SIZE = (500, 10_000, 50)


class Ways:
    """One instance, and the requests that it is asked. `pid`: its worker."""

    def __init__(self, place: places.Place) -> None:
        (self.pid,) = place.workers()
        self._url = f"http://127.0.0.1:{place.port}"
        self._bearer = [f"Authorization: Bearer {place.token('reader')}"]
        self._tokens, author = tokens_of(place.environ["STORMPETREL_DATABASE_URL"])
        # The path, its headers, True if the application makes each answer.
        self.reads: dict[str, tuple[str, list[str], bool]] = {
            "hot page": (f"/@{author}", [], False),
            "home, from memory": ("/api/v1/timelines/home", self._bearer, False),
            "home, made": ("/api/v1/timelines/home", self._bearer, True),
            "markers, made": ("/api/v1/markers?timeline[]=home", self._bearer, True),
            "public, made": ("/api/v1/timelines/public", self._bearer, True),
        }

    def ask(self, way: str, run: int) -> peers.Run:
        """Load the instance for a second."""
        if way == "post":
            path, headers, made = "/", list[str](), script(self._tokens, run)
        else:
            path, headers, is_made = self.reads[way]
            made = peers.differing(run) if is_made else ""
        return peers.wrk(self._url + path, pid=self.pid, seconds=1, headers=headers, script=made)


@contextlib.contextmanager
def started(checkout: Path) -> Iterator[Ways]:
    """Run an instance of the checkout's code."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(contextlib.chdir(checkout))
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="petrel-two-")))
        os.environ["PYTHONPATH"] = str(checkout)
        reader = ["--reader", "reader", "--reader-follows", "200"]
        url = f"sqlite:///{directory}/stormpetrel.db"
        place = places.place(directory, [*places.seed(*SIZE), *reader], only_web=False, database_url=url)
        yield Ways(stack.enter_context(place))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("other", nargs="?", type=Path, default=HERE)
    parser.add_argument("--starts", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--quick", action="store_true", help="one start, one round")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    starts, rounds = (1, 1) if options.quick else (options.starts, options.rounds)
    other = options.other.resolve()
    ratios: dict[tuple[str, str], list[float]] = defaultdict(list)
    cpu_us: dict[tuple[str, str], list[float]] = defaultdict(list)
    for _ in range(starts):
        with contextlib.ExitStack() as stack:
            running = [stack.enter_context(started(checkout)) for checkout in (other, HERE, other)]
            for way in (*running[0].reads, "post"):
                # The first round fills the caches.
                for number in range(rounds + 1):
                    in_turn = zip(NAMES, running, strict=True)
                    order = list(in_turn) if number % 2 else list(in_turn)[::-1]
                    seen = {name: one.ask(way, number).cpu_us for name, one in order}
                    for name, us in seen.items() if number else ():
                        cpu_us[way, name].append(us)
                        ratios[way, name].append(seen["before"] / us)
    rows: list[dict[str, Any]] = [
        {
            "request": way,
            "of": name,
            "cpu_us": peers.spread(cpu_us[way, name]),
            "of_before": peers.spread(found),
        }
        for (way, name), found in ratios.items()
        if name != "before"
    ]
    peers.show(rows, as_json=options.json)


if __name__ == "__main__":
    main()
