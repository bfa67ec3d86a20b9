"""An answer that stays open: server-sent events on a plain connection.

The application opens it (`scope["open_stream"]`), pushes bytes at any time, and learns from `receive` that
the client has disconnected. A slow or dead client is dropped here, so that no data piles up for it; a stream
needs no timer of its own. `EdgeWebSocket` (websocket.py) has the same `push` and `end`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from stormpetrel.edge.connection import unread_bytes

if TYPE_CHECKING:
    from stormpetrel.edge.cycle import Cycle

MAX_UNREAD_BYTES = 262_144
"""A listener with this much unread data is dropped; it reconnects and fetches the part it missed."""
HEARTBEAT_S = 15.0
"""The same as Mastodon: proxies close connections that are silent longer, and it detects dead clients."""


class OpenStream(Protocol):
    """The application's handle of a listener's connection. Call it at any time, in the event loop."""

    def push(self, data: bytes) -> bool:
        """Write; return False if the listener has disconnected or was dropped for not reading."""
        ...

    def end(self, code: int) -> None:
        """End the stream as its protocol requires, after all pushed data; `code`: RFC 6455, 7.4."""
        ...


class EventStream:
    """One open answer. `heartbeat`: the bytes sent every HEARTBEAT_S."""

    __slots__ = ("_acknowledged", "_cycle", "_heartbeat", "_pushed")

    def __init__(self, cycle: Cycle, heartbeat: bytes) -> None:
        self._cycle = cycle
        self._heartbeat = heartbeat
        self._pushed = 0
        self._acknowledged = -1

    def push(self, data: bytes) -> bool:
        """Write; return False if the listener has disconnected or was dropped for not reading."""
        cycle = self._cycle
        protocol = cycle.protocol
        if cycle.disconnected or cycle.finished or protocol.transport.is_closing():
            return False
        if protocol.transport.get_write_buffer_size() + len(data) > MAX_UNREAD_BYTES:
            protocol.worker.counts.closed["write"] += 1
            protocol.abort()
            return False
        self._pushed += cycle.write_part(data)
        return True

    def end(self, code: int) -> None:
        """Complete the answer as the client sees it. `code` has no place in this protocol."""
        self._cycle.write_end()

    def beat(self) -> None:
        """Send a heartbeat; drop a client that has taken nothing since the last one."""
        protocol = self._cycle.protocol
        acknowledged = self._pushed - unread_bytes(protocol.transport)
        if acknowledged <= self._acknowledged:
            protocol.worker.counts.closed["idle"] += 1
            protocol.abort()
            return
        self._acknowledged = acknowledged
        self.push(self._heartbeat)
