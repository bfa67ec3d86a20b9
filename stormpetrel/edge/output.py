"""Output that waits: whether the client reads its answers, and the writers that wait until it does."""

from __future__ import annotations

import asyncio

from stormpetrel.edge.sockets import unread_bytes

WRITE_BUFFER_BYTES = 65_536
MIN_DRAIN_BYTES = 4096
"""A slow reader must take at least this much per write deadline, or the connection is closed."""


class ConnectionOutput:
    """The flow of one connection's answers. `is_paused`: the client has too much unread data."""

    __slots__ = ("_unread_bytes", "_waiters", "is_paused")

    def __init__(self) -> None:
        self.is_paused = False
        self._unread_bytes = 0
        self._waiters: list[asyncio.Future[None]] = []

    def pause(self, transport: asyncio.Transport) -> None:
        """Note that the client has fallen behind, and by how much."""
        self.is_paused = True
        self._unread_bytes = unread_bytes(transport)

    def resume(self) -> None:
        """Note that the client reads again, or has disconnected, and wake the writers that wait for it."""
        self.is_paused = False
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    def has_moved(self, transport: asyncio.Transport) -> bool:
        """Return whether the client took at least MIN_DRAIN_BYTES since the last call that returned True."""
        unread = unread_bytes(transport)
        if self._unread_bytes - unread < MIN_DRAIN_BYTES:
            return False
        self._unread_bytes = unread
        return True

    async def drained(self, loop: asyncio.AbstractEventLoop) -> None:
        """Wait until the client has read enough for more to be written, or has disconnected."""
        if self.is_paused:
            waiter = loop.create_future()
            self._waiters.append(waiter)
            await waiter
