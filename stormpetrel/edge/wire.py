"""The interface of a connection for the answer that it carries."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from stormpetrel.edge.cache import CachedPage
from stormpetrel.edge.heads import Head


class Wire(Protocol):
    """One connection, as the exchange on it and its open stream see it. Only the current exchange may call it.

    `write`: sends bytes to the client at once, or after those sent before.
    """

    transport: asyncio.Transport
    write: Callable[[bytes], None]

    @property
    def is_paused(self) -> bool:
        """Return True while the client has too much unread data."""
        ...

    async def drained(self) -> None:
        """Wait until the client has read enough for more to be written, or has disconnected."""
        ...

    def body_taken(self, size_bytes: int) -> None:
        """Let more of the body come: the application took this many bytes."""
        ...

    def introduction(self, page: CachedPage, head: Head) -> bytes:
        """Return the header lines with a new visitor's cookie; b"" for none."""
        ...

    def hand_over(self) -> None:
        """Make the connection a WebSocket: the handshake was admitted."""
        ...

    def refuse_exchange(self, because: str) -> None:
        """Refuse the request: it lost its place in the queue."""
        ...

    def stream_opened(self) -> None:
        """Note that the answer that has begun stays open."""
        ...

    def exchange_finished(self) -> None:
        """Continue with the connection: the answer is complete."""
        ...

    def abort(self) -> None:
        """Drop the connection, even if data is still to be written."""
        ...
