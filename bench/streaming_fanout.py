"""How soon a post reaches listeners on another worker than the one that took it.

    python bench/streaming_fanout.py [--listeners 1000] [--posts 50] [--quick] [--json]

Two workers; the kernel spreads the listeners over both, and /proc shows which worker has which. Posts go one
by one over one connection. Measured: from just before the request is written until this process has read the
frame; it reads all the sockets itself, so its own time is in the figure. Target for the other worker's
listeners: p99 at most 100 ms. The time of the first listener includes the post itself and its commit to disk.
cpu_us is the CPU time of both workers, including the post itself, per listener and post.

public          visitors on the public stream
user            as many members, who all follow the author, each on their home stream
"""

from __future__ import annotations

import argparse
import json
import select
import socket
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import listeners
import peers
import places

PAUSE_S = 0.1


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--listeners", type=int, default=1_000)
    parser.add_argument("--posts", type=int, default=50)
    parser.add_argument("--quick", action="store_true", help="200 listeners, 10 posts")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    count, posts = (200, 10) if options.quick else (options.listeners, options.posts)
    listeners.allow_open_files()
    rows = []
    for stream in ("public", "user"):
        with (
            tempfile.TemporaryDirectory(prefix="petrel-fanout-") as name,
            places.place(
                Path(name), [*places.seed(count + 100, 5_000, 20), "--reader", "author"], workers=2
            ) as place,
        ):
            tokens: Sequence[str | None] = [None] * count
            if stream == "user":
                tokens = listeners.members(Path(name), count, follow="author")
            rows += _measure(place, stream, tokens, posts)
    peers.show(rows, as_json=options.json)


def _measure(
    place: places.Place, stream: str, tokens: Sequence[str | None], posts: int
) -> list[dict[str, object]]:
    opened = listeners.open_all(place.port, stream, tokens)
    token = place.token("author")
    poll = select.epoll()
    for listener in opened:
        poll.register(listener, select.EPOLLIN)
    with socket.create_connection(("127.0.0.1", place.port), timeout=30) as author:
        _post(author, token, "warm", answered=True)
        listeners.arrivals(opened, poll=poll, marker=b"warm")
        owner = listeners.worker_of(place.port, place.workers())
        own = owner(author)
        where = {listener.fileno(): owner(listener) == own for listener in opened}
        waits: dict[bool, list[float]] = {True: [], False: []}
        firsts: list[float] = []
        lasts: list[float] = []
        used_s = sum(map(peers.cpu_s, place.workers()))
        for number in range(posts):
            marker = f"marker{number}end"
            began_s = time.monotonic()
            _post(author, token, marker, answered=False)
            arrived = listeners.arrivals(opened, poll=poll, marker=marker.encode())
            _answer(author)
            for listener, at_s in arrived.items():
                waits[where[listener]].append((at_s - began_s) * 1000)
            firsts.append((min(arrived.values()) - began_s) * 1000)
            lasts.append((max(arrived.values()) - began_s) * 1000)
            time.sleep(PAUSE_S)
        used_s = sum(map(peers.cpu_s, place.workers())) - used_s
    for listener in opened:
        listener.close()
    return [
        {
            "stream": stream,
            "worker": "the post's own" if is_own else "the other",
            "listeners": sum(one is is_own for one in where.values()),
            "p50_ms": _quantile(waits[is_own], 0.5),
            "p99_ms": _quantile(waits[is_own], 0.99),
            "max_ms": max(waits[is_own]),
            "first_of_all_ms": peers.spread(firsts),
            "last_of_all_ms": peers.spread(lasts),
            "cpu_us": used_s / posts / len(opened) * 1e6,
        }
        for is_own in (False, True)
        if waits[is_own]
    ]


def _post(author: socket.socket, token: str, text: str, *, answered: bool) -> None:
    body = json.dumps({"status": text}).encode()
    head = [
        "POST /api/v1/statuses HTTP/1.1",
        "Host: 127.0.0.1",
        f"Authorization: Bearer {token}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
    ]
    author.sendall("\r\n".join([*head, "", ""]).encode() + body)
    if answered:
        _answer(author)


def _answer(author: socket.socket) -> None:
    data = b""
    while b"\r\n\r\n" not in data:
        data += author.recv(65_536)
    head, _, body = data.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200 "):
        raise RuntimeError(f"the post was refused: {data[:300]!r}")
    lines = head.lower().split(b"\r\n")
    size = next(int(line.partition(b":")[2]) for line in lines if line.startswith(b"content-length:"))
    while len(body) < size:
        body += author.recv(65_536)


def _quantile(values: Sequence[float], share: float) -> float:
    return sorted(values)[min(int(len(values) * share), len(values) - 1)]


if __name__ == "__main__":
    main()
