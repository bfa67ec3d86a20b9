"""A WebSocket's connection: uvicorn's protocol with the edge's caps, deadlines and limits.

Only the handshake takes a slot: it is released with the answer, and an open stream holds none.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

from uvicorn._types import ASGISendEvent
from uvicorn.config import Config
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState
from websockets.frames import Frame

from stormpetrel.edge.connection import reset, unread_bytes
from stormpetrel.edge.streams import MAX_UNREAD_BYTES
from stormpetrel.edge.wheel import NEVER
from stormpetrel.edge.worker import EdgeWorker

MAX_MESSAGE_BYTES = 65_536
"""Clients only subscribe and unsubscribe."""
PING_S = 30.0
"""An idle stream gets a ping this often, and has as long to answer."""
WRITE_BUFFER_BYTES = 65_536
SLICE_BYTES = 512
"""Read per turn of the loop: 85 empty frames, at 20 µs each."""
MAX_UNREAD_INPUT_BYTES = 1_048_576
"""Input that may wait for its turn: several reads of the transport."""
MAX_FRAMES = 256
FRAMES_PER_S = 20.0
"""MAX_FRAMES at once and FRAMES_PER_S per second: clients only subscribe, unsubscribe and answer pings."""
POLICY_VIOLATION = 1008
_MEDIUM = 126
_LONG = 65_536


def text_frame(text: bytes) -> bytes:
    """Return a server's text message (RFC 6455, 5.2), the same bytes for every listener. `text`: UTF-8."""
    size = len(text)
    if size < _MEDIUM:
        return b"\x81%c%b" % (size, text)
    if size < _LONG:
        return b"\x81\x7e%b%b" % (size.to_bytes(2), text)
    return b"\x81\x7f%b%b" % (size.to_bytes(8), text)


class _Inbox:
    """The part of asyncio.Queue that uvicorn uses, for one reader: 0.1 KB per listener instead of 2."""

    __slots__ = ("_items", "_reader")

    def __init__(self) -> None:
        self._items: list[Any] = []
        self._reader: asyncio.Future[None] | None = None

    def empty(self) -> bool:
        return not self._items

    def put_nowait(self, item: Any) -> None:
        self._items.append(item)
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    async def get(self) -> Any:
        while not self._items:
            self._reader = asyncio.get_running_loop().create_future()
            try:
                await self._reader
            finally:
                self._reader = None
        return self._items.pop(0)


class _Writable:
    """The part of asyncio.Event that uvicorn uses, for the same reason."""

    __slots__ = ("_is_set", "_waiters")

    def __init__(self) -> None:
        self._is_set = True
        self._waiters: list[asyncio.Future[None]] = []

    def set(self) -> None:
        self._is_set = True
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    def clear(self) -> None:
        self._is_set = False

    async def wait(self) -> bool:
        while not self._is_set:
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            await waiter
        return True


class EdgeWebSocket(WebSocketsSansIOProtocol):
    """One upgraded connection. `release` gives the handshake's slot back; `extras` are added to the scope."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        loop: asyncio.AbstractEventLoop,
        *,
        worker: EdgeWorker,
        address: str,
        release: Callable[[], None],
        extras: dict[str, Any],
    ) -> None:
        super().__init__(config, server_state, app_state, loop)
        self.queue = _Inbox()  # type: ignore[assignment]
        self.writable = _Writable()  # type: ignore[assignment]
        self.worker = worker
        self.deadline_s = NEVER
        self.wheel_slot = -1
        self._address = address
        self._release = release
        self._extras = extras
        self._is_counted = False
        self._left: Callable[[], None] | None = None
        self._is_write_paused = False
        self._write_mark = 0
        self._unread = b""
        self._is_slicing = False
        self._frames = 0.0
        self._frames_at_s = 0.0

    def stand_for(self, client: tuple[str, int] | None, left: Callable[[], None] | None) -> None:
        """Set the client behind a proxy, and the function to call when the connection ends."""
        self._extras["client"] = client
        self._left = left

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._is_counted = True
        self.worker.connections.add(self)
        self.transport.set_write_buffer_limits(high=WRITE_BUFFER_BYTES)
        # Applies until the handshake is answered.
        self.worker.wheel.arm(self, self.loop.time() + self.worker.config.header_timeout_s * 2)

    def connection_lost(self, exc: Exception | None) -> None:
        worker = self.worker
        if self._is_counted:
            self._is_counted = False
            worker.wheel.disarm(self)
            worker.connections.discard(self)
            worker.caps.leave(self._address)
            worker.counts.connections -= 1
            if self._left is not None:
                self._left()
        self._release()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        # The client sends (pings, for example) and never reads the answers.
        if self.transport.get_write_buffer_size() > MAX_UNREAD_BYTES:
            self.worker.counts.closed["write"] += 1
            self.abort()
            return
        self._unread += data
        if len(self._unread) == len(data):
            self._read_slice()
        elif len(self._unread) > MAX_UNREAD_INPUT_BYTES:
            self.worker.counts.closed["memory"] += 1
            self.abort()

    def _read_slice(self) -> None:
        """Read a part of the input, and schedule the rest for the next turn of the loop."""
        if self.transport.is_closing():
            self._unread = b""
            self._arm_closing()
            return
        if self.handshake_initiated and not self.handshake_complete:
            # Frames that came with the handshake wait for its answer (`send`).
            self.transport.pause_reading()
            self._is_slicing = True
            return
        size = SLICE_BYTES if self.handshake_initiated else len(self._unread)
        piece, self._unread = self._unread[:size], self._unread[size:]
        self.conn.receive_data(piece)
        at_s = self.loop.time()
        self._frames = max(0.0, self._frames - (at_s - self._frames_at_s) * FRAMES_PER_S) + len(
            self.conn.events
        )
        self._frames_at_s = at_s
        if self._frames > MAX_FRAMES:
            self.worker.counts.closed["frames"] += 1
            self._unread = b""
            self.conn.events_received()
            self.end(POLICY_VIOLATION)
            return
        if self.conn.parser_exc is not None:
            self._unread = b""
            self.handle_parser_exception()
        else:
            self.handle_events()
        if self._unread:
            self.transport.pause_reading()
            self._is_slicing = True
            self.loop.call_soon(self._read_slice)
        elif self.transport.is_closing():
            self._arm_closing()
        elif self._is_slicing:
            self._is_slicing = False
            if not self.read_paused:
                self.transport.resume_reading()

    async def run_asgi(self) -> None:
        cast(dict[str, Any], self.scope).update(self._extras, open_stream=self.open_stream)
        task = asyncio.current_task()
        if task is not None:
            self.worker.tasks.add(task)
        try:
            await super().run_asgi()
        finally:
            if task is not None:
                self.worker.tasks.discard(task)
            self._release()
            self._arm_closing()

    async def send(self, message: ASGISendEvent) -> None:
        await super().send(message)
        if self.handshake_complete or self.close_sent:
            self._release()
            self._forget_handshake()
            if self._is_slicing:
                self.loop.call_soon(self._read_slice)
        if self.transport.is_closing():
            self._arm_closing()

    def _forget_handshake(self) -> None:
        """Drop the handshake's headers: an open stream needs none, and those of 10,000 take 40 MB."""
        if self.scope.get("headers"):
            self.scope["headers"] = []
            self._extras = {}
            del self.request, self.response

    def open_stream(self, heartbeat: bytes) -> EdgeWebSocket:
        """Return the handle for `push` and `end`: `scope["open_stream"]`. Pings replace the `heartbeat`."""
        return self

    def push(self, data: bytes) -> bool:
        """Write a frame (`text_frame`); return False if the listener is gone or dropped for not reading."""
        transport = self.transport
        if not self.handshake_complete or self.close_sent or transport.is_closing():
            return False
        if transport.get_write_buffer_size() + len(data) > MAX_UNREAD_BYTES:
            self.worker.counts.closed["write"] += 1
            self.abort()
            return False
        transport.write(data)
        return True

    def end(self, code: int) -> None:
        """Close the stream with this code, which the client gets, and also the application from `receive`."""
        if not self.handshake_complete or self.close_sent or self.transport.is_closing():
            return
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code})
        self.conn.send_close(code)
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        if self.read_paused:
            self.read_paused = False
            self.transport.resume_reading()
        # Wait for the client's answer, up to the timeout, before closing: a reset would lose the code.
        self.close_timer = self.loop.call_later(self.worker.config.write_timeout_s, self.abort)

    def start_keepalive(self) -> None:
        self._arm_ping()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._is_write_paused = True
        self._write_mark = unread_bytes(self.transport)
        self.worker.wheel.arm(self, self.loop.time() + self.worker.config.write_timeout_s)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._is_write_paused = False
        self._arm_ping()

    def schedule_ping(self) -> None:
        """Do nothing: the wheel schedules pings. Without an interval uvicorn's method would raise here, and
        every client would lose its connection when it answers its first ping."""

    def handle_pong(self, event: Frame) -> None:
        super().handle_pong(event)
        if self.pending_ping_payload is None and not self._is_write_paused:
            self._arm_ping()

    def on_deadline(self, at_s: float) -> None:
        """Act on the deadline: a ping is due or unanswered, no data is read, or the handshake hangs."""
        closed = self.worker.counts.closed
        if self.transport.is_closing():
            closed["closing"] += 1
            self.abort()
        elif self._is_write_paused:
            left = unread_bytes(self.transport)
            if left < self._write_mark:
                self._write_mark = left
                self.worker.wheel.arm(self, at_s + self.worker.config.write_timeout_s)
                return
            closed["write"] += 1
            self.abort()
        elif not self.handshake_complete:
            closed["header"] += 1
            self.abort()
        elif self.pending_ping_payload is not None:
            closed["idle"] += 1
            self.keepalive_timeout()
            self._arm_closing()
        else:
            self.send_keepalive_ping()
            self.worker.wheel.arm(self, at_s + PING_S)

    def drain(self) -> None:
        """Close with code 1012, service restart; the client reconnects elsewhere."""
        self.shutdown()
        self._arm_closing()

    def abort(self) -> None:
        """Drop the connection, even if data is still to be written."""
        reset(self.transport)

    def _arm_ping(self) -> None:
        self.worker.wheel.arm(self, self.loop.time() + PING_S)

    def _arm_closing(self) -> None:
        """Set the write deadline for a client that does not complete the close."""
        if self._is_counted:
            self.worker.wheel.arm(self, self.loop.time() + self.worker.config.write_timeout_s)
