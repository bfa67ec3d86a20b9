"""2,000 slow connections against one worker, and an ordinary client beside them.

    python bench/edge_slow.py [--connections 2000] [--quick] [--json]

A quarter each: heads that dribble, bodies that dribble, readers that do not read an answer of 1 MB, silent
ones; from 16 addresses of 127.0.0.0/8, 200 new ones a second. The deadlines are the defaults except for
bodies (10 s, so that the run ends) and idle connections (10 s: a refused reader is one). Shown per kind: how
many the edge closed, and how late after the deadline; and the p99 of an ordinary client (a new request every
5 ms on keep-alive connections) before and during. Target: all closed; p99 at most twice the calm one.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import socket
import time
from typing import Any

import peers

LARGE = b"x" * 1_000_000
BODY_TIMEOUT_S = 10.0
DEADLINES_S = {"silent": 5.0, "head": 5.0, "body": BODY_TIMEOUT_S, "reader": 10.0}
DRIBBLE_S = 1.0
CALM_S = 5.0
NEW_PER_S = 200
ATTACK_S = 35.0
ESTABLISHED = 1


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Send a small answer, or one that a slow reader cannot take at once."""
    while (await receive()).get("more_body"):
        pass
    body = LARGE if scope["path"] == "/large" else b"{}"
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class Slow:
    """One slow connection of a kind. `began_s`, `closed_s`: when it connected, and when the edge ended it."""

    def __init__(self, kind: str, number: int, *, after_s: float) -> None:
        self.kind = kind
        self.after_s = after_s
        self.source = f"127.0.{1 + number % 4}.{1 + number // 4 % 4}"
        self.began_s = 0.0
        self.closed_s = 0.0

    async def run(self, port: int, end_s: float) -> None:
        """Connect, be slow, and record when the edge ended it."""
        loop = asyncio.get_running_loop()
        await asyncio.sleep(self.after_s)
        sock = socket.socket()
        sock.setblocking(False)
        if self.kind == "reader":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.began_s = time.monotonic()
        try:
            sock.bind((self.source, 0))
            await loop.sock_connect(sock, ("127.0.0.1", port))
            first = {
                "silent": b"",
                "head": b"GET / HTTP/1.1\r\nHost: a\r\n",
                "body": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n",
                "reader": b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n",
            }[self.kind]
            if first:
                await loop.sock_sendall(sock, first)
            watch = asyncio.ensure_future(self._watch(sock, end_s))
            while not watch.done() and time.monotonic() < end_s:
                await asyncio.wait([watch], timeout=DRIBBLE_S)
                if self.kind in ("head", "body") and not watch.done():
                    await loop.sock_sendall(sock, b"X-A: b\r\n" if self.kind == "head" else b"z")
            await watch
        except OSError:
            self.closed_s = self.closed_s or time.monotonic()
        finally:
            sock.close()

    async def _watch(self, sock: socket.socket, end_s: float) -> None:
        if self.kind == "reader":
            # Reading would make it an ordinary client: ask the kernel for the connection's state.
            while time.monotonic() < end_s:
                await asyncio.sleep(0.1)
                if sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] != ESTABLISHED:
                    self.closed_s = time.monotonic()
                    return
            return
        loop = asyncio.get_running_loop()
        try:
            await asyncio.wait_for(loop.sock_recv(sock, 65536), max(0.1, end_s - time.monotonic()))
            self.closed_s = time.monotonic()
        except TimeoutError:
            return
        except OSError:
            self.closed_s = time.monotonic()


async def ordinary(port: int, seconds: float) -> list[float]:
    """Return the ms of each request of an ordinary client: every 5 ms, on four connections in turn."""
    connections = [await asyncio.open_connection("127.0.0.1", port) for _ in range(4)]
    took_ms: list[float] = []
    end_s = time.monotonic() + seconds
    turn = 0
    while time.monotonic() < end_s:
        reader, writer = connections[turn % 4]
        turn += 1
        began_s = time.perf_counter()
        writer.write(b"GET /ordinary HTTP/1.1\r\nHost: a\r\n\r\n")
        await reader.readuntil(b"{}")
        took_ms.append((time.perf_counter() - began_s) * 1000)
        await asyncio.sleep(0.005)
    for _, writer in connections:
        writer.close()
    return took_ms


def percentile(values: list[float], share: float) -> float:
    """Return the value that `share` of them do not exceed."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


async def attack(port: int, count: int) -> list[Slow]:
    """Open all slow connections, 200 a second, until the edge has ended each or 35 s have passed."""
    kinds = list(DEADLINES_S)
    slow = [Slow(kinds[number % 4], number // 4, after_s=number / NEW_PER_S) for number in range(count)]
    end_s = time.monotonic() + ATTACK_S
    await asyncio.gather(*(connection.run(port, end_s) for connection in slow))
    return slow


def attack_in_process(port: int, count: int, results: Any) -> None:
    """Run the attackers in a separate process, so that their work is not in the ordinary client's figures."""
    os.nice(10)
    results.put([(s.kind, s.began_s, s.closed_s) for s in asyncio.run(attack(port, count))])


def main() -> None:
    """Measure and print."""
    import multiprocessing

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--connections", type=int, default=2000)
    parser.add_argument("--quick", action="store_true", help="200 connections")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--serve", type=int, metavar="PORT", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.quick:
        options.connections = min(options.connections, 200)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 16_384)), hard))
    if options.serve:
        edge = {"body_timeout_s": BODY_TIMEOUT_S, "keepalive_timeout_s": DEADLINES_S["reader"]}
        peers.serve(
            app,
            port=options.serve,
            edge=edge,
            shield={"requests_per_5min": 0},
        )
        return
    with peers.edge(script=__file__) as (port, pid):
        # The edge has core 0 to itself; its clients share the other core, the attackers with lower priority.
        if (os.cpu_count() or 1) > 1:
            os.sched_setaffinity(0, {1})
        calm = asyncio.run(ordinary(port, CALM_S))
        context = multiprocessing.get_context("spawn")
        results = context.SimpleQueue()
        attackers = context.Process(target=attack_in_process, args=(port, options.connections, results))
        attackers.start()
        before_s = peers.cpu_s(pid)
        under = asyncio.run(ordinary(port, 25.0))
        used_s = peers.cpu_s(pid) - before_s
        slow = results.get()
        attackers.join()
        after = asyncio.run(ordinary(port, CALM_S))
    rows: list[dict[str, Any]] = []
    for kind, deadline_s in DEADLINES_S.items():
        mine = [(began_s, closed_s) for k, began_s, closed_s in slow if k == kind]
        late = [closed_s - began_s - deadline_s for began_s, closed_s in mine if closed_s]
        rows.append(
            {
                "what": f"{kind}, deadline {deadline_s:g} s",
                "count": len(mine),
                "closed": len(late),
                "late_s": peers.spread(late) if late else "",
                "p99_ms": "",
            }
        )
    for name, figures in (("calm before", calm), ("under attack", under), ("calm after", after)):
        rows.append(
            {
                "what": f"ordinary client, {name}",
                "count": len(figures),
                "closed": "",
                "late_s": "",
                "p99_ms": percentile(figures, 0.99),
            }
        )
    calm_ms = max(percentile(calm, 0.99), percentile(after, 0.99))
    rows.append(
        {
            "what": "p99 under attack / calm",
            "count": f"{used_s:.2f} s CPU",
            "closed": "",
            "late_s": "",
            "p99_ms": percentile(under, 0.99) / calm_ms,
        }
    )
    peers.show(rows, as_json=options.json)


if __name__ == "__main__":
    main()
