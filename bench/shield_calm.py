"""The shield's cost for an ordinary request in calm: mode `full` beside `off`.

    python bench/shield_calm.py [--rounds 7] [--pairs 150] [--quick] [--json]

Two whole instances on SQLite, one web worker each on core 0, the clients on core 1; 4 keep-alive connections
(as many as have a slot: with more it would not be calm). An app reads its home timeline with a token, 100
times full and 100 times off in turn: a machine's speed changes from second to second, so pairs are as close
together as possible. Then the same with an application that does nothing, which leaves only the edge and the
shield. The ratio is of CPU time per request, the median of a round's pairs. Each round restarts them, because
a process's memory layout alone changes some percent. `same_ratio` compares `off` with another instance of
`off`, which shows the influence of chance. Target: at most 1.05 for the ordinary request.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import socket
import statistics
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import peers
import places

CONNECTIONS = 4
TIMES = 25
WARMING_UP = 10
UNLIMITED = 1_000_000_000
MODES = ("off", "full", "off again")


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Do as little as an application can do."""
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"{}"})


class Asker:
    """Connections to one server that repeat the same request; `pid`: its worker."""

    def __init__(self, port: int, pid: int, path: str, headers: Sequence[str]) -> None:
        lines = [f"GET {path} HTTP/1.1", "Host: localhost", "Accept-Encoding: identity", *headers]
        self._request = "\r\n".join([*lines, "", ""]).encode()
        self._sockets = [socket.create_connection(("127.0.0.1", port), 10) for _ in range(CONNECTIONS)]
        self._pid = pid

    def close(self) -> None:
        """Close the connections."""
        for one in self._sockets:
            one.close()

    def cpu_us(self) -> float:
        """Return the server's CPU µs per request, over 100 requests. Raise RuntimeError if one is refused."""
        before_ns = self._cpu_ns()
        for _ in range(TIMES):
            for one in self._sockets:
                one.sendall(self._request)
            for one in self._sockets:
                _read(one)
        return (self._cpu_ns() - before_ns) / 1000 / TIMES / CONNECTIONS

    def _cpu_ns(self) -> int:
        # proc(5): nanoseconds on a processor, of the first thread, which serves.
        return int(Path(f"/proc/{self._pid}/schedstat").read_text().split()[0])


def _read(one: socket.socket) -> None:
    data = one.recv(262_144)
    if not data.startswith(b"HTTP/1.1 200 "):
        raise RuntimeError(f"not served: {data[:200]!r}")
    while (end := data.find(b"\r\n\r\n")) < 0:
        data += one.recv(262_144)
    at = data.index(b"content-length: ") + 16
    left = end + 4 + int(data[at : data.index(b"\r", at)]) - len(data)
    while left > 0:
        left -= len(one.recv(262_144))


@contextmanager
def whole_instance(directory: Path, commands: list[str], mode: str) -> Iterator[Asker]:
    """Run an instance whose reader requests the home timeline."""
    with places.place(
        directory, commands, shield_mode=mode, shield_requests_per_5min=str(UNLIMITED)
    ) as place:
        headers = [f"Authorization: Bearer {place.token('reader')}"]
        with contextlib.closing(
            Asker(place.port, place.workers()[0], "/api/v1/timelines/home", headers)
        ) as asker:
            yield asker


@contextmanager
def bare_edge(mode: str) -> Iterator[Asker]:
    """Run an edge in front of an application that does nothing."""
    with (
        peers.edge(script=__file__, arguments=[mode]) as (port, pid),
        contextlib.closing(Asker(port, pid, "/api/v1/x", [])) as asker,
    ):
        yield asker


def medians(askers: dict[str, Asker], *, pairs: int) -> dict[str, float]:
    """Return one round's cost of a request in each mode, and the ratios, pair by pair."""
    times: dict[str, list[float]] = {mode: [] for mode in askers}
    for number in range(pairs + WARMING_UP):
        # In turn, never the same twice: it would find the processor's caches as it left them.
        for mode in askers:
            taken_us = askers[mode].cpu_us()
            if number >= WARMING_UP:
                times[mode].append(taken_us)
    return {
        "full_cpu_us": statistics.median(times["full"]),
        "off_cpu_us": statistics.median(times["off"]),
        "full_of_off": statistics.median(a / b for a, b in zip(times["full"], times["off"], strict=True)),
        "same_ratio": statistics.median(a / b for a, b in zip(times["off again"], times["off"], strict=True)),
    }


def measured(start: Callable[[str], AbstractContextManager[Asker]], *, pairs: int) -> dict[str, float]:
    """Run one round with new servers."""
    with contextlib.ExitStack() as stack:
        askers = {mode: stack.enter_context(start(mode)) for mode in MODES}
        cores = os.sched_getaffinity(0)
        # The servers were pinned to their core when they were started.
        os.sched_setaffinity(0, {1} if 1 in cores else cores)
        try:
            return medians(askers, pairs=pairs)
        finally:
            os.sched_setaffinity(0, cores)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--pairs", type=int, default=150)
    parser.add_argument("--quick", action="store_true", help="a smaller place, few pairs")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--serve", type=int, metavar="PORT", help=argparse.SUPPRESS)
    parser.add_argument("mode", nargs="?", default="full", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        peers.serve(
            app,
            port=options.serve,
            shield={"mode": options.mode.split()[0], "requests_per_5min": UNLIMITED},
        )
        return
    if options.quick:
        options.rounds, options.pairs = 1, 20
    users, posts = (200, 2_000) if options.quick else (500, 10_000)
    commands = [*places.seed(users, posts, 50), "--reader", "reader", "--reader-follows", "100"]
    found: dict[str, list[dict[str, float]]] = {
        "an app's home timeline": [],
        "an application that does nothing": [],
    }
    with tempfile.TemporaryDirectory(prefix="petrel-calm-") as directory:
        for number in range(options.rounds):
            base = Path(directory) / str(number)

            def start(mode: str, base: Path = base) -> AbstractContextManager[Asker]:
                return whole_instance(base / mode, commands, mode.split()[0])

            found["an app's home timeline"].append(measured(start, pairs=options.pairs))
            found["an application that does nothing"].append(measured(bare_edge, pairs=options.pairs))
    peers.show(
        [
            {"what": what, **{name: peers.spread([one[name] for one in rounds]) for name in rounds[0]}}
            for what, rounds in found.items()
        ],
        as_json=options.json,
    )


if __name__ == "__main__":
    main()
