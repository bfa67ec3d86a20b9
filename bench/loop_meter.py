"""A web worker in a thread of this process, on a loop that measures the CPU time of each of its callbacks.

It measures how long an input blocks the loop at once. It uses asyncio's own loop, because uvloop's callbacks
cannot be measured from Python; the handlers do the same work.
"""

from __future__ import annotations

import asyncio
import asyncio.events
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import peers

from stormpetrel.bus.local import BusHub
from stormpetrel.config_loader import load
from stormpetrel.process.cpu_worker import Heavy, HeavyHub
from stormpetrel.process.secret import load as load_secret
from stormpetrel.roles import web as web_worker

STORMPETREL = [sys.executable, "-m", "stormpetrel"]


@dataclass(slots=True)
class Spent:
    """CPU time of the loop since it was last reset, in seconds."""

    worst_s: float = 0.0
    total_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Measured:
    """A worker that serves on 127.0.0.1: its port, its loop's CPU time, and a member's token."""

    port: int
    spent: Spent
    token: str

    def cost(self, data: bytes, *, parts: int = 1) -> Spent:
        """Send `data` on a new connection, read to the end, and return its cost for the loop."""
        with socket.create_connection(("127.0.0.1", self.port), 20) as client:
            client.settimeout(0.5)
            self.spent.worst_s = self.spent.total_s = 0.0
            size = len(data) // parts + 1
            received = b""
            try:
                for at in range(0, len(data), size):
                    client.sendall(data[at : at + size])
                while (part := client.recv(262_144)) and not ends_with_close(received := received + part):
                    pass
            except (TimeoutError, OSError):
                pass
            # A WebSocket's last bytes may still be on their way to the loop.
            time.sleep(0.02 if b"101 " in received[:16] else 0.002)
        return Spent(self.spent.worst_s, self.spent.total_s)


def ends_with_close(received: bytes) -> bool:
    """Return True if the last frame of a WebSocket (RFC 6455, 5.2) is a close frame.

    The server then waits for the client's end, which reading would do as well.
    """
    head, _, rest = received.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 101 "):
        return False
    at, opcode = 0, 0
    while at + 2 <= len(rest):
        opcode, size, at = rest[at] & 0x0F, rest[at + 1], at + 2
        if size >= 126:
            width = 2 if size == 126 else 8
            size, at = int.from_bytes(rest[at : at + width]), at + width
        at += size
    return opcode == 8 and at == len(rest)


def _run(command: list[str], environ: dict[str, str]) -> str:
    done = subprocess.run(
        [*STORMPETREL, *command],
        env=environ,
        check=True,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    return done.stdout


@contextmanager
def measured_worker(directory: Path, **settings: str) -> Iterator[Measured]:
    """Serve a small seeded instance in `directory` by one measured worker until the block ends."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("STORMPETREL_")} | {
        "STORMPETREL_DATA_DIR": str(directory),
        "STORMPETREL_SHIELD_REQUESTS_PER_5MIN": "0",
        "STORMPETREL_LOG_LEVEL": "warning",
        **{f"STORMPETREL_{name.upper()}": value for name, value in settings.items()},
    }
    _run(["init"], environ)
    _run(["seed", "--users", "200", "--posts", "3000", "--follows", "20", "--seed", "1"], environ)
    _run(["user", "add", "Mira", "--email", "mira@example.org", "--password", "a long enough one 7"], environ)
    token = _run(["token", "Mira", "--scopes", "read write follow push"], environ).split()[-1]
    config = load(None, environ).config
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    hubs = BusHub({"web-0": frozenset()}), HeavyHub(["web-0"])
    spent = Spent()
    ready = threading.Event()
    state: dict[str, Any] = {}

    async def main() -> None:
        state["loop"] = asyncio.get_running_loop()
        state["stop"] = asyncio.Event()
        bus, heavy = hubs[0].bus("web-0"), Heavy(hubs[1].workers["web-0"])
        bus.attach(state["loop"])
        heavy.attach(state["loop"])
        state["loop"].call_later(0.2, ready.set)
        try:
            await web_worker.run(
                config=config, sock=sock, bus=bus, heavy=heavy, stop=state["stop"], secret=load_secret(config)
            )
        finally:
            heavy.close()
            await bus.close()

    thread = threading.Thread(target=lambda: _measured_run(main(), spent), daemon=True)
    thread.start()
    ready.wait(20)
    port = sock.getsockname()[1]
    peers.wait_for(port)
    try:
        yield Measured(port, spent, token)
    finally:
        state["loop"].call_soon_threadsafe(state["stop"].set)
        thread.join(20)
        hubs[0].close_all_but(None)
        hubs[1].close_all_but(None)
        sock.close()


def _measured_run(main: Any, spent: Spent) -> None:
    original = asyncio.events.Handle._run

    def run(handle: asyncio.events.Handle) -> None:
        began_s = time.thread_time()
        original(handle)
        used_s = time.thread_time() - began_s
        spent.total_s += used_s
        spent.worst_s = max(spent.worst_s, used_s)

    asyncio.events.Handle._run = run  # type: ignore[method-assign]
    try:
        asyncio.run(main)
    finally:
        asyncio.events.Handle._run = original  # type: ignore[method-assign]
