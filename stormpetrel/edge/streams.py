"""An answer that stays open: server-sent events on a plain connection.

The application opens it (`scope["open_stream"]`), pushes bytes at any time, and learns from `receive` that
the client has disconnected. A slow or dead client is dropped here, so that no data piles up for it; a stream
needs no timer of its own. `EdgeWebSocket` (websocket.py) has the same `push` and `end`.
"""

from __future__ import annotations

from typing import Protocol

from stormpetrel.edge.limits import Counts
from stormpetrel.edge.sockets import unread_bytes
from stormpetrel.edge.wire import Wire

MAX_UNREAD_BYTES = 262_144
"""A listener with this much unread data is dropped; it reconnects and fetches the part it missed."""
HEARTBEAT_S = 15.0
"""The same as Mastodon: proxies close connections that are silent longer, and it detects dead clients."""


class ClientDisconnected(OSError):
    """The application sent to a client that is gone."""


class OpenStream(Protocol):
    """The application's handle of a listener's connection. Call it at any time, in the event loop."""

    def push(self, data: bytes) -> bool:
        """Write; return False if the listener has disconnected or was dropped for not reading."""
        ...

    def end(self, code: int) -> None:
        """End the stream as its protocol requires, after all pushed data; `code`: RFC 6455, 7.4."""
        ...


class OpenAnswer(Protocol):
    """An answer that has begun."""

    @property
    def is_open(self) -> bool:
        """Return True while the client is there and the answer is not complete."""
        ...

    def write_part(self, data: bytes) -> int:
        """Write a part of it; return its size in bytes as sent."""
        ...

    def write_end(self) -> None:
        """Complete it; a second call does nothing."""
        ...


class EventStream:
    """One open answer. `heartbeat`: the bytes sent every HEARTBEAT_S."""

    __slots__ = ("_acknowledged", "_answer", "_counts", "_heartbeat", "_pushed", "_wire")

    def __init__(self, answer: OpenAnswer, wire: Wire, counts: Counts, heartbeat: bytes) -> None:
        self._answer = answer
        self._wire = wire
        self._counts = counts
        self._heartbeat = heartbeat
        self._pushed = 0
        self._acknowledged = -1

    def push(self, data: bytes) -> bool:
        """Write; return False if the listener has disconnected or was dropped for not reading."""
        transport = self._wire.transport
        if not self._answer.is_open or transport.is_closing():
            return False
        if transport.get_write_buffer_size() + len(data) > MAX_UNREAD_BYTES:
            self._counts.closed["write"] += 1
            self._wire.abort()
            return False
        self._pushed += self._answer.write_part(data)
        return True

    def end(self, code: int) -> None:
        """Complete the answer as the client sees it. `code` has no place in this protocol."""
        self._answer.write_end()

    def beat(self) -> None:
        """Send a heartbeat; drop a client that has taken nothing since the last one."""
        acknowledged = self._pushed - unread_bytes(self._wire.transport)
        if acknowledged <= self._acknowledged:
            self._counts.closed["idle"] += 1
            self._wire.abort()
            return
        self._acknowledged = acknowledged
        self.push(self._heartbeat)
