"""An answer that stays open: server-sent events on a plain connection.

The application begins it (`scope["open_stream"]`), pushes bytes whenever it has some, and is told by
`receive` when the client is gone. What is slow or dead is dropped here: nothing is kept for it without end, and
no timer is its own.
`EdgeWebSocket` (websocket.py) has the same `push` and `end`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from stormpetrel.edge.connection import unread_bytes

if TYPE_CHECKING:
    from stormpetrel.edge.cycle import Cycle

MAX_UNREAD_BYTES = 262_144
"""A listener that has not taken so much is dropped: it comes back and asks for what it missed."""
HEARTBEAT_S = 15.0
"""As Mastodon: proxies close what is silent for longer, and a dead client is found by it."""


class OpenStream(Protocol):
    """What the application holds of a listener's connection. Both may be called at any time, in the loop."""

    def push(self, data: bytes) -> bool:
        """Write; False when the listener is gone, or was dropped for not reading."""
        ...

    def end(self, code: int) -> None:
        """End it as the protocol wants, with what was pushed before; `code`: RFC 6455, 7.4."""
        ...


class EventStream:
    """One open answer. `heartbeat`: what is sent every HEARTBEAT_S."""

    __slots__ = ("_acknowledged", "_cycle", "_heartbeat", "_pushed")

    def __init__(self, cycle: Cycle, heartbeat: bytes) -> None:
        self._cycle = cycle
        self._heartbeat = heartbeat
        self._pushed = 0
        self._acknowledged = -1

    def push(self, data: bytes) -> bool:
        """Write; False when the listener is gone, or was dropped for not reading."""
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
        """The last of the answer; the client sees it complete. `code` has no place here."""
        self._cycle.write_end()

    def beat(self) -> None:
        """A heartbeat is due. Whoever took nothing since the one before is not there any more."""
        protocol = self._cycle.protocol
        acknowledged = self._pushed - unread_bytes(protocol.transport)
        if acknowledged <= self._acknowledged:
            protocol.worker.counts.closed["idle"] += 1
            protocol.abort()
            return
        self._acknowledged = acknowledged
        self.push(self._heartbeat)
