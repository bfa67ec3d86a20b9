"""The sms role: a port of its own, so that SMS stays up when the web is flooded. Today it answers /health."""

from __future__ import annotations

import asyncio
import socket

from stormpetrel.bus import Bus
from stormpetrel.config import Config
from stormpetrel.health import serve_health


async def run(*, config: Config, sock: socket.socket, bus: Bus, stop: asyncio.Event) -> None:
    """Serves on `sock` until `stop` is set."""
    await serve_health(sock, stop=stop, role="sms")
