"""One process of the forensic test: a worker's edge, or the watch's part of the audience, with a clock that the test
sets.

    python audience_process.py worker|watch DATA_DIR DATABASE_URL NOW_S

It writes its port and reads commands, one a line: "now SECONDS" sets the clock, "stop" ends it. It answers "ok".
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from stormpetrel import clock
from stormpetrel.audience.counter import VisitorCounter
from stormpetrel.config import EdgeConfig, ShieldConfig
from stormpetrel.control import wire
from stormpetrel.control.audience_link import AudienceLink
from stormpetrel.control.messages import decode_first
from stormpetrel.edge.server import EdgeServer
from stormpetrel.edge.worker import EdgeParts
from stormpetrel.shield.paths import PathFacts, PathTable
from stormpetrel.watch.audience import WatchAudience

SECRET = b"a secret that is long enough"


class SetClock:
    """A clock that runs from the time that was set last."""

    def __init__(self, now_s: float) -> None:
        self.set(now_s)

    def set(self, now_s: float) -> None:
        self._ahead_s = now_s - time.monotonic()

    def __call__(self) -> float:
        return time.monotonic() + self._ahead_s


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answer every path with a page for all visitors."""
    if "hot" in scope:
        scope["hot"].keep(["public"])
    headers = [(b"content-type", b"text/html")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"<p>a page</p>"})


async def commands(now: SetClock) -> None:
    """Obey until "stop" or the end of the input."""
    while True:
        line = (await asyncio.to_thread(sys.stdin.readline)).split()
        if not line or line[0] == "stop":
            return
        now.set(float(line[1]))
        print("ok", flush=True)


async def worker(now: SetClock, data_dir: Path) -> None:
    """Serve pages, and count their visitors."""
    counter = VisitorCounter()
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    parts = EdgeParts(
        # The page stays fresh, so that the ceilings of the shield do not meet the visitors.
        edge=EdgeConfig(trusted_proxies="127.0.0.1", cache_ttl_s=60),
        shield=ShieldConfig(),
        paths=PathTable(lambda path: PathFacts(exists=True, hot=frozenset())),
        secret=SECRET,
        public_https=False,
        visitors=counter,
        host="petrel.example",
    )
    edge = EdgeServer(app, parts, sock=sock)
    await edge.start()
    link = AudienceLink(counter, name="web-0", data_dir=data_dir, on_period=edge.worker.forget_visitors)
    stop = asyncio.Event()
    linked = asyncio.ensure_future(link.run(stop))
    print(sock.getsockname()[1], flush=True)
    await commands(now)
    stop.set()
    await linked
    await edge.drain()


async def watch(now: SetClock, data_dir: Path, url: str) -> None:
    """Merge the counts of the worker."""
    audience = WatchAudience(data_dir=data_dir, database_url=url, is_enabled=True, now_s=now)

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        body = await wire.receive(reader)
        assert body is not None
        with contextlib.suppress(asyncio.CancelledError):
            await audience.serve(decode_first(body), reader, writer)
        writer.close()

    server = await asyncio.start_unix_server(connected, sock=wire.listen(data_dir))
    stop = asyncio.Event()
    running = asyncio.ensure_future(audience.run(stop))
    print(0, flush=True)
    await commands(now)
    stop.set()
    await running
    server.close()


def main() -> None:
    """Run one of the two."""
    kind, data_dir, url, now_s = sys.argv[1:]
    now = SetClock(float(now_s))
    read: Callable[[], float] = now
    clock.now_s = read
    asyncio.run(worker(now, Path(data_dir)) if kind == "worker" else watch(now, Path(data_dir), url))


if __name__ == "__main__":
    main()
