"""The sms role: on its own port, to stay up when the web is flooded. For now it only answers /health."""

from __future__ import annotations

import asyncio
import socket

from stormpetrel.bus.local import Bus
from stormpetrel.config import Config
from stormpetrel.process.health import serve_health


async def run(*, config: Config, sock: socket.socket, bus: Bus, stop: asyncio.Event) -> None:
    """Serve on `sock` until `stop` is set."""
    await serve_health(sock, stop=stop, role="sms")
