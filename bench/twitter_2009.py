"""Posts and home polls of an instance as large as Twitter in 2009, from a cold start and after kill -9 and a restart.

    python bench/twitter_2009.py [--directory DIR] [--polls 2000] [--seconds 20] [--cold] [--quick] [--json]

20,000 accounts with 126 follows on average and 200,000 posts, two web workers, all roles, SQLite: 300 posts a second
by 1,000 members, and home polls by 4,000 others, each with a token and a kept connection of its own and `since_id`,
as apps send it. Three phases: the load begins with the server; one worker gets kill -9; the whole server is
restarted under load. A post without an acknowledgement is sent again with its key, as apps do. Targets: p99 of the
polls 250 ms, no post refused; after a kill or restart 99 % of the polls within 5 s, every post stored once.
DIR keeps the seeded instance. Each run uses a copy of it: a run leaves its posts of 1,000 members as the newest
ones, and the first homes of the next run would depend on them. The client has the same cores.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import open_load
import peers
import places
from burst import TOKEN_AGE_MS, stored_posts, tokens_of
from figure_rows import print_rows
from open_load import Answer, OpenLoad, Planned

SIZE = (20_000, 200_000, 126)
QUICK = (1_000, 20_000, 60)
POSTERS = 1_000
READERS = 4_000
POSTS_PER_S = 300
RETRY_S = 0.5
GIVE_UP_S = 15.0
GOOD_SHARE = 0.99


class Community:
    """The load of one phase, and its answers. `tokens`: of the posters, then of the readers."""

    def __init__(
        self, port: int, tokens: list[str], *, posters: int, polls_per_s: float, seconds: float, name: str
    ) -> None:
        self.load = OpenLoad(port, answer_s=10.0)
        self.polls: list[Answer] = []
        self.first_tries: Counter[int] = Counter()
        self.acknowledged: dict[int, float] = {}
        self.unacknowledged: set[int] = set()
        self._port = port
        self._name = name
        self._seconds = seconds
        self._polls_per_s = polls_per_s
        self._posters, self._readers = tokens[:posters], tokens[posters:]
        self._newest = [""] * len(self._readers)

    def run(self) -> None:
        """Send it all, and wait for the answers."""
        for number in range(int(POSTS_PER_S * self._seconds)):
            self.load.plan(self._post(number, number / POSTS_PER_S, first=True))
        for turn in range(int(self._polls_per_s * self._seconds)):
            self.load.plan(self._poll(turn % len(self._readers), turn / self._polls_per_s))
        self.load.run(until_s=self._seconds + GIVE_UP_S)

    def _post(self, number: int, at_s: float, *, first: bool) -> Planned:
        token = self._posters[number % len(self._posters)]
        data = open_load.post(f"{self._name} {number}", token, f"{self._name}-{number}", self._port)

        def done(answer: Answer) -> None:
            if first:
                self.first_tries[answer.status] += 1
            if answer.status == 200:
                self.acknowledged[number] = answer.done_s
                self.unacknowledged.discard(number)
                return
            self.unacknowledged.add(number)
            if answer.done_s < self._seconds + GIVE_UP_S / 2:
                self.load.plan(self._post(number, answer.done_s + RETRY_S, first=False))

        return Planned(at_s, -1, open_load.address(number % 1_000), lambda: data, done)

    def _poll(self, reader: int, at_s: float) -> Planned:
        def make() -> bytes:
            newest = self._newest[reader]
            path = "/api/v1/timelines/home?limit=20" + (f"&since_id={newest}" if newest else "")
            return open_load.get(path, self._readers[reader], self._port)

        def done(answer: Answer) -> None:
            self.polls.append(answer)
            if answer.status == 200 and len(answer.body) > 2:
                self._newest[reader] = answer.body[8 : answer.body.index(b'"', 8)].decode()

        return Planned(at_s, reader, open_load.address(10_000 + reader), make, done)

    def figures(self, stored: Counter[int], *, from_s: float = 0.0) -> dict[str, Any]:
        """Return the figures by name. `from_s`: when the worker or server was killed; 0 if none was."""
        polls = [answer for answer in self.polls if answer.sent_s >= from_s]
        good = sorted(answer.latency_s for answer in polls if answer.status == 200)
        by_second: dict[int, Counter[bool]] = defaultdict(Counter)
        for answer in polls:
            by_second[int(answer.sent_s - from_s)][answer.status == 200] += 1
        bad = [second for second, found in by_second.items() if found[True] < GOOD_SHARE * found.total()]
        return {
            "polls/s": len(polls) / (self._seconds - from_s),
            "polls %": 100 * len(good) / max(1, len(polls)),
            "poll p50 ms": 1000 * good[len(good) // 2] if good else 0.0,
            "poll p99 ms": 1000 * good[int(len(good) * 0.99)] if good else 0.0,
            "99 % again after s": float(max(bad, default=-1) + 1),
            "poll statuses": dict(Counter(answer.status for answer in polls)),
            "posts first tries": dict(self.first_tries),
            "posts acknowledged %": 100 * len(self.acknowledged) / max(1, int(POSTS_PER_S * self._seconds)),
            "posts lost": sum(not stored[number] for number in self.acknowledged),
            "posts doubled": sum(count > 1 for count in stored.values()),
            "client late s": self.load.late_s,
        }


class Server:
    """The instance's server, started by the bench: it can be restarted while the load runs."""

    def __init__(self, place: places.Place) -> None:
        self._place = place
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, without waiting for it."""
        self.process = subprocess.Popen(
            [*places.STORMPETREL, "serve"],
            env=self._place.environ,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def restart(self) -> None:
        """Stop and start it."""
        self.stop()
        self.start()

    def kill_worker(self) -> None:
        """Kill the first web worker."""
        assert self.process is not None
        os.kill(places.workers_of(self.process.pid)[0], signal.SIGKILL)

    def cpu_s(self) -> float:
        """Return the CPU time of the workers that are alive."""
        return sum(map(peers.cpu_s, places.workers_of(self.process.pid))) if self.process else 0.0

    def stop(self) -> None:
        """End it by SIGTERM."""
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(30)


def seed(directory: Path, size: tuple[int, int, int]) -> None:
    """Make the instance in `directory`, unless an earlier run did."""
    directory.mkdir(exist_ok=True)
    done = directory / "seeded"
    if not done.exists():
        with places.place(directory, places.seed(*size), workers=2):
            done.touch()


def measure(
    directory: Path,
    size: tuple[int, int, int],
    *,
    polls_per_s: float,
    seconds: float,
    only_cold: bool = False,
) -> list[dict[str, Any]]:
    """Return a row of figures for each phase. `only_cold`: of the cold start alone."""
    with places.place(directory, workers=2) as place:
        pass
    url = f"sqlite:///{directory / 'stormpetrel.db'}"
    posters, readers = min(POSTERS, size[0] // 5), min(READERS, size[0] * 4 // 5)
    now_ms = time.time_ns() // 1_000_000
    tokens = [token for _, token in tokens_of(url, posters + readers, now_ms=now_ms - TOKEN_AGE_MS)]
    server, rows = Server(place), []
    middle_s = seconds / 2
    phases: list[tuple[str, Callable[[], None], float]] = [
        ("cold start", lambda: None, 0.0),
        ("a worker killed", server.kill_worker, middle_s),
        ("restart", server.restart, middle_s),
    ]
    server.start()
    try:
        for number, (phase, act, at_s) in enumerate(phases[:1] if only_cold else phases):
            name = f"phase{now_ms}x{number}"
            if number:
                time.sleep(3)
            else:
                peers.wait_for(place.port)
            community = Community(
                place.port, tokens, posters=posters, polls_per_s=polls_per_s, seconds=seconds, name=name
            )
            timer = threading.Timer(at_s, act)
            before_s = server.cpu_s()
            timer.start()
            community.run()
            timer.join()
            figures = community.figures(stored_posts(url, name), from_s=at_s)
            if not number:
                figures["CPU ms of workers for a second"] = 1000 * (server.cpu_s() - before_s) / seconds
            rows.append({"phase": phase, **figures})
    finally:
        server.stop()
    return rows


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--directory", type=Path)
    parser.add_argument("--polls", type=float, default=2_000.0, help="home polls a second")
    parser.add_argument("--seconds", type=float, default=20.0, help="length of a phase")
    parser.add_argument("--cold", action="store_true", help="the cold start only")
    parser.add_argument(
        "--quick", action="store_true", help="1,000 accounts, 300 polls a second, 4 s a phase"
    )
    parser.add_argument("--json", action="store_true", help="the figures as JSON")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="petrel-2009-") as temporary:
        size = QUICK if options.quick else SIZE
        directory: Path = options.directory or Path(temporary) / "seeded"
        seed(directory, size)
        if options.directory:
            ignore = shutil.ignore_patterns("*.sock")
            directory = Path(shutil.copytree(directory, Path(temporary) / "copy", ignore=ignore))
        rows = measure(
            directory,
            size,
            polls_per_s=300.0 if options.quick else options.polls,
            seconds=4.0 if options.quick else options.seconds,
            only_cold=options.cold,
        )
    print_rows(rows, as_json=options.json, width=32)


if __name__ == "__main__":
    main()
