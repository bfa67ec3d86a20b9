"""Accepts connections: with more handles on the listening socket while connections queue on it.

libuv accepts one connection per handle and turn of the loop (since 1.46), and a busy worker turns 100 to 300 times a
second. With 8 handles a worker accepted 800 to 2,400 connections a second; a flood of 4,000 filled the kernel's
queue, which then dropped those of members, too: their systems try again after 1, 3 and 7 seconds. Every handle costs
a system call for each connection that another one accepted, so in calm there are few.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable

BACKLOG = 2048
FEWEST = 8
MOST = 64
LONG = 16
"""With more connections in the kernel's queue than this, all handles are opened."""
CALM_S = 10.0
"""After this long without such a queue, the additional ones are closed."""
AGAIN_S = 1.0
"""When handles could not be opened, mostly for want of file descriptors, they are tried again after this long."""
_TCPI_UNACKED = slice(24, 28)
"""In struct tcp_info (linux/tcp.h): of a listening socket, the number of connections that wait to be accepted."""

_log = logging.getLogger("stormpetrel.edge")


def queued(sock: socket.socket) -> int:
    """Return how many connections wait on a listening socket to be accepted; 0 where the system does not tell."""
    with contextlib.suppress(OSError, AttributeError):
        info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCPI_UNACKED.stop)
        return int.from_bytes(info[_TCPI_UNACKED], "little")
    return 0


class Acceptor:
    """The handles on a listening socket, which it closes. `factory` makes the protocol of a connection.

    Call `turn` several times a second.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, factory: Callable[[], asyncio.Protocol], sock: socket.socket
    ) -> None:
        self._loop = loop
        self._factory = factory
        self._sock = sock
        self._servers: list[asyncio.AbstractServer] = []
        # How many are wanted; 0 when it is closed.
        self._count = FEWEST
        self._opening: asyncio.Task[None] | None = None
        self._calm_from_s = self._again_s = 0.0

    def __len__(self) -> int:
        return len(self._servers)

    async def open(self) -> None:
        """Accept connections from now on."""
        await self._open_missing()

    def turn(self, at_s: float) -> None:
        """Open more handles if connections queue, or close those that are no longer needed."""
        if queued(self._sock) > LONG:
            self._calm_from_s = at_s + CALM_S
            if self._count == FEWEST and at_s >= self._again_s:
                self._again_s = at_s + AGAIN_S
                self._count = MOST
                self._opening = self._loop.create_task(self._open_missing())
        elif len(self._servers) > FEWEST and at_s >= self._calm_from_s and self._opening is None:
            self._count = FEWEST
            for server in self._servers[FEWEST:]:
                server.close()
            del self._servers[FEWEST:]

    def close(self) -> None:
        """Stop accepting; the connections that queue are reset."""
        self._count = 0
        self._sock.close()
        for server in self._servers:
            server.close()

    async def wait_closed(self) -> None:
        """Return when the handles that `close` closed are closed."""
        if self._opening is not None:
            await self._opening
        for server in self._servers:
            await server.wait_closed()

    async def _open_missing(self) -> None:
        """Open handles until `_count` are open, or fewer; raise OSError if not even one can be."""
        try:
            while len(self._servers) < self._count:
                sock = self._sock.dup()
                try:
                    server = await self._loop.create_server(self._factory, sock=sock, backlog=BACKLOG)
                except BaseException:
                    sock.close()
                    raise
                if self._count:
                    self._servers.append(server)
                else:
                    server.close()
        except OSError as error:
            if not self._servers:
                raise
            _log.warning("%d of %d handles accept connections: %s", len(self._servers), self._count, error)
            self._count = min(self._count, FEWEST)
        finally:
            self._opening = None
