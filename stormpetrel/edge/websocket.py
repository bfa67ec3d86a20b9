"""A WebSocket's connection: `websockets` reads and writes its frames, this class adds the network, the edge's
caps, deadlines and limits.

    HANDSHAKE → OPEN → CLOSING → CLOSED
    HANDSHAKE → CLOSING → CLOSED            refused in HTTP, or not a valid handshake

HANDSHAKE: the application decides. OPEN: messages in both directions. CLOSING: our last bytes are written; the
client's close, or its end, is awaited. CLOSED: the transport is gone. Only the handshake takes a slot: it is
released with the answer, and an open stream holds none.
"""

from __future__ import annotations

import asyncio
import enum
import logging
import random
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from websockets.datastructures import Headers
from websockets.frames import Frame, Opcode
from websockets.http11 import Request, Response
from websockets.server import ServerProtocol

from stormpetrel.edge import frames
from stormpetrel.edge.asgi import AsgiMessage
from stormpetrel.edge.inbox import Inbox
from stormpetrel.edge.sockets import reset, unread_bytes
from stormpetrel.edge.streams import MAX_UNREAD_BYTES, ClientDisconnected
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
_log = logging.getLogger("stormpetrel.edge")
# At level info the library logs each connection.
_library_log = logging.getLogger("websockets.server")
_library_log.setLevel(logging.WARNING)


class State(enum.Enum):
    """The part of its life that a connection is in; the module's docstring has the transitions."""

    HANDSHAKE = enum.auto()
    OPEN = enum.auto()
    CLOSING = enum.auto()
    CLOSED = enum.auto()


class EdgeWebSocket(asyncio.Protocol):
    """One upgraded connection, counted until it is lost.

    `release` gives the handshake's slot back. `left`: called when the connection ends. `scope`: the application's,
    without the entries that depend on the handshake.
    """

    __slots__ = (
        "_address",
        "_conn",
        "_fragments",
        "_frames",
        "_inbox",
        "_is_counted",
        "_is_reading_paused",
        "_is_slicing",
        "_is_text",
        "_left",
        "_ping",
        "_refusal",
        "_release",
        "_response",
        "_scope",
        "_state",
        "_transport",
        "_turned_away",
        "_unread",
        "_writable",
        "_write_mark",
        "deadline_s",
        "wheel_slot",
        "worker",
    )

    def __init__(
        self,
        *,
        worker: EdgeWorker,
        transport: asyncio.Transport,
        address: str,
        release: Callable[[], None],
        left: Callable[[], None] | None,
        turned_away: Callable[[int], None],
        scope: dict[str, Any],
    ) -> None:
        self.worker = worker
        self.deadline_s = NEVER
        self.wheel_slot = -1
        self._transport = transport
        self._address = address
        self._release = release
        self._scope = scope
        self._state = State.HANDSHAKE
        self._conn = ServerProtocol(max_size=MAX_MESSAGE_BYTES, logger=_library_log)
        self._response: Response | None = None
        self._refusal: tuple[int, Headers] | None = None
        self._inbox = Inbox()
        self._is_counted = True
        self._left = left
        self._turned_away = turned_away
        # Input
        self._unread = b""
        self._is_slicing = False
        self._is_reading_paused = False
        self._frames = frames.FrameBudget()
        self._fragments: list[bytes] = []
        self._is_text = False
        # Output. `_writable`: None while the client reads, else a future that is set when it reads again.
        self._writable: asyncio.Future[None] | None = None
        self._write_mark = 0
        self._ping: bytes | None = None
        worker.connections.add(self)
        transport.set_write_buffer_limits(high=WRITE_BUFFER_BYTES)
        # Applies until the handshake is answered.
        worker.wheel.arm(self, worker.loop.time() + worker.config.header_timeout_s * 2)

    # The transport

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
        code = frames.ABNORMAL_CLOSURE if self._state is State.HANDSHAKE else frames.NO_STATUS
        self._inbox.put({"type": "websocket.disconnect", "code": code})
        self._state = State.CLOSED
        # asyncio does not call resume_writing for a transport that is lost while paused.
        self._wake_writer()

    def data_received(self, data: bytes) -> None:
        # The client sends (pings, for example) and never reads the answers.
        if self._transport.get_write_buffer_size() > MAX_UNREAD_BYTES:
            self.worker.counts.closed["write"] += 1
            self.abort()
            return
        self._unread += data
        if len(self._unread) == len(data):
            self._read_slice()
        elif len(self._unread) > MAX_UNREAD_INPUT_BYTES:
            self.worker.counts.closed["memory"] += 1
            self.abort()

    def pause_writing(self) -> None:
        self._writable = self.worker.loop.create_future()
        self._write_mark = unread_bytes(self._transport)
        self.worker.wheel.arm(self, self.worker.loop.time() + self.worker.config.write_timeout_s)

    def resume_writing(self) -> None:
        self._wake_writer()
        self._arm_ping()

    def _wake_writer(self) -> None:
        writable, self._writable = self._writable, None
        if writable is not None and not writable.done():
            writable.set_result(None)

    # Input

    def _read_slice(self) -> None:
        """Read a part of the input, and schedule the rest for the next turn of the loop."""
        if self._transport.is_closing():
            self._unread = b""
            self._arm_closing()
            return
        if self._state is State.HANDSHAKE and self._response is not None:
            # Frames that came with the handshake wait for its answer (`send`).
            self._transport.pause_reading()
            self._is_slicing = True
            return
        size = len(self._unread) if self._state is State.HANDSHAKE else SLICE_BYTES
        piece, self._unread = self._unread[:size], self._unread[size:]
        self._conn.receive_data(piece)
        events = self._conn.events_received()
        if self._conn.handshake_exc is not None and self._state is State.HANDSHAKE:
            # The library has written its refusal already. No application runs that would release the slot.
            self._disconnect(frames.ABNORMAL_CLOSURE)
            self._end_refused()
            return
        if not self._frames.take(len(events), self.worker.loop.time()):
            self.worker.counts.closed["frames"] += 1
            self._unread = b""
            self.end(frames.POLICY_VIOLATION)
            return
        if self._conn.parser_exc is not None:
            self._unread = b""
            self._on_broken_frame()
        else:
            for event in events:
                self._on_event(event)
        if self._unread:
            self._transport.pause_reading()
            self._is_slicing = True
            self.worker.loop.call_soon(self._read_slice)
        elif self._transport.is_closing():
            self._arm_closing()
        elif self._is_slicing:
            self._is_slicing = False
            if not self._is_reading_paused:
                self._transport.resume_reading()

    def _on_event(self, event: Any) -> None:
        if isinstance(event, Request):
            self._on_handshake(event)
            return
        frame: Frame = event
        if frame.opcode is Opcode.PING:
            self._flush()
        elif frame.opcode is Opcode.PONG:
            if self._ping is not None and bytes(frame.data) == self._ping:
                self._ping = None
                if self._writable is None:
                    self._arm_ping()
        elif frame.opcode is Opcode.CLOSE:
            self._on_close()
        else:
            if frame.opcode is not Opcode.CONT:
                self._is_text = frame.opcode is Opcode.TEXT
                self._fragments = []
            self._fragments.append(bytes(frame.data))
            if frame.fin:
                self._on_message(b"".join(self._fragments))
                self._fragments = []

    def _on_handshake(self, request: Request) -> None:
        """Start the application, or refuse a request that is no handshake (RFC 6455, 4.2.1)."""
        response = self._response = self._conn.accept(request)
        if response.status_code != HTTPStatus.SWITCHING_PROTOCOLS:
            self._refuse(response)
            return
        offered = ",".join(request.headers.get_all("Sec-WebSocket-Protocol"))
        self._scope |= {
            "type": "websocket",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "scheme": "ws",
            "server": self.worker.server,
            "subprotocols": [name for part in offered.split(",") if (name := part.strip())],
            "extensions": {"websocket.http.response": {}},
            "open_stream": self.open_stream,
        }
        self._inbox.put({"type": "websocket.connect"})
        task = self.worker.loop.create_task(self._run())
        self.worker.tasks.add(task)
        task.add_done_callback(self.worker.tasks.discard)

    def _on_message(self, data: bytes) -> None:
        if self._state is not State.OPEN:
            return
        if self._is_text:
            try:
                self._inbox.put({"type": "websocket.receive", "text": data.decode()})
            except UnicodeDecodeError:
                self._fail(frames.INVALID_DATA)
                return
        else:
            self._inbox.put({"type": "websocket.receive", "bytes": data})
        # One message at a time: the application takes it before more is read.
        if not self._is_reading_paused:
            self._is_reading_paused = True
            self._transport.pause_reading()

    def _on_close(self) -> None:
        """Answer the client's close, or end the close that began here."""
        if self._state is State.OPEN:
            received = self._conn.close_rcvd
            assert received is not None
            self._disconnect(received.code, received.reason)
            self._flush()
            self._state = State.CLOSING
        self._transport.close()

    def _on_broken_frame(self) -> None:
        sent = self._conn.close_sent
        self._disconnect(frames.ABNORMAL_CLOSURE if sent is None else sent.code)
        self._flush()
        self._state = State.CLOSING
        self._transport.close()

    def _fail(self, code: int, reason: str = "") -> None:
        """Close at once, without waiting for the client's close."""
        self._disconnect(code, reason)
        self._conn.fail(code, reason)
        self._flush()
        self._state = State.CLOSING
        self._transport.close()
        self._arm_closing()

    def _disconnect(self, code: int, reason: str = "") -> None:
        self._inbox.put({"type": "websocket.disconnect", "code": code, "reason": reason})

    # The application

    async def _run(self) -> None:
        code = frames.NORMAL_CLOSURE
        try:
            await self.worker.app(self._scope, self.receive, self.send)
        except ClientDisconnected:
            pass
        except Exception:
            _log.exception("a WebSocket failed")
            code = frames.INTERNAL_ERROR
        finally:
            if self._state is State.HANDSHAKE:
                self._refuse(self._conn.reject(HTTPStatus.INTERNAL_SERVER_ERROR, "Internal Server Error"))
            self.end(code)
            self._release()

    async def receive(self) -> dict[str, Any]:
        """Return the next ASGI message."""
        message = await self._inbox.get()
        if self._is_reading_paused and not self._inbox:
            self._is_reading_paused = False
            if not self._is_slicing and not self._transport.is_closing():
                self._transport.resume_reading()
        return message

    async def send(self, message: AsgiMessage) -> None:
        """Take an ASGI message. Raise ClientDisconnected when the connection is lost."""
        if self._writable is not None:
            await asyncio.shield(self._writable)
        if self._state is State.CLOSED:
            raise ClientDisconnected
        kind = message["type"]
        if self._state is State.HANDSHAKE:
            self._answer_handshake(kind, message)
        elif self._state is not State.OPEN:
            pass  # the client or the edge has closed: nothing more is sent
        elif kind == "websocket.send":
            text = message.get("text")
            if text is not None:
                self._conn.send_text(text.encode())
            else:
                self._conn.send_binary(message["bytes"])
            self._flush()
        elif kind == "websocket.close":
            self.end(message.get("code", 1000))
        else:
            raise RuntimeError(f"unexpected ASGI message {kind} on an open WebSocket")

    def _answer_handshake(self, kind: str, message: AsgiMessage) -> None:
        assert self._response is not None
        if kind == "websocket.accept":
            self._accept(self._response, message)
        elif kind == "websocket.close":
            self._refuse(self._conn.reject(HTTPStatus.FORBIDDEN, ""))
        elif kind == "websocket.http.response.start":
            headers = Headers((n.decode("latin-1"), v.decode("latin-1")) for n, v in message["headers"])
            self._refusal = (message["status"], headers)
        elif kind == "websocket.http.response.body" and self._refusal is not None:
            self._refuse(frames.http_refusal(*self._refusal, message.get("body", b"")))
        else:
            raise RuntimeError(f"unexpected ASGI message {kind} in a WebSocket's handshake")

    def _accept(self, response: Response, message: AsgiMessage) -> None:
        if self._transport.is_closing():
            return
        del response.headers["Date"]
        for name, value in message.get("headers", ()):
            response.headers[name.decode("latin-1")] = value.decode("latin-1")
        if message.get("subprotocol"):
            response.headers["Sec-WebSocket-Protocol"] = message["subprotocol"]
        self._conn.send_response(response)
        self._flush()
        self._state = State.OPEN
        self._arm_ping()
        self._end_handshake()
        if self._is_slicing:
            self.worker.loop.call_soon(self._read_slice)

    def _refuse(self, response: Response) -> None:
        """Answer the handshake in HTTP and close."""
        self._disconnect(frames.ABNORMAL_CLOSURE)
        self._turned_away(response.status_code)
        self._conn.send_response(response)
        self._end_refused()

    def _end_refused(self) -> None:
        self._flush()
        self._state = State.CLOSING
        self._transport.close()
        self._end_handshake()
        self._arm_closing()

    def _end_handshake(self) -> None:
        """Release the slot and the handshake's headers: an open stream needs none, and 10,000 take 40 MB."""
        self._release()
        self._scope["headers"] = []
        self._response = None

    # The open stream

    def open_stream(self, heartbeat: bytes) -> EdgeWebSocket:
        """Return the handle for `push` and `end`: `scope["open_stream"]`. Pings replace the `heartbeat`."""
        return self

    def push(self, data: bytes) -> bool:
        """Write a frame (`text_frame`); return False if the listener is gone or dropped for not reading."""
        transport = self._transport
        if self._state is not State.OPEN or transport.is_closing():
            return False
        if transport.get_write_buffer_size() + len(data) > MAX_UNREAD_BYTES:
            self.worker.counts.closed["write"] += 1
            self.abort()
            return False
        transport.write(data)
        return True

    def end(self, code: int) -> None:
        """Close the stream with this code, which the client gets, and also the application from `receive`."""
        if self._state is not State.OPEN or self._transport.is_closing():
            return
        self._disconnect(code)
        self._conn.send_close(code)
        self._flush()
        self._state = State.CLOSING
        if self._is_reading_paused:
            self._is_reading_paused = False
            self._transport.resume_reading()
        # Wait for the client's close before closing: a reset would lose the code.
        self._arm_closing()

    # Deadlines

    def on_deadline(self, at_s: float) -> None:
        """Act on the deadline: a ping is due or unanswered, no data is read, or the handshake or close hangs."""
        closed = self.worker.counts.closed
        if self._state is State.CLOSING or self._transport.is_closing():
            closed["closing"] += 1
            self.abort()
        elif self._writable is not None:
            left = unread_bytes(self._transport)
            if left < self._write_mark:
                self._write_mark = left
                self.worker.wheel.arm(self, at_s + self.worker.config.write_timeout_s)
                return
            closed["write"] += 1
            self.abort()
        elif self._state is State.HANDSHAKE:
            closed["header"] += 1
            self.abort()
        elif self._ping is not None:
            closed["idle"] += 1
            self._fail(frames.INTERNAL_ERROR, "keepalive ping timeout")
        else:
            self._ping = random.randbytes(4)  # noqa: S311 - tells this ping from others, no secret
            self._conn.send_ping(self._ping)
            self._flush()
            self.worker.wheel.arm(self, at_s + PING_S)

    def drain(self) -> None:
        """Close with code 1012, service restart; the client reconnects elsewhere."""
        if self._state is State.HANDSHAKE:
            self._refuse(self._conn.reject(HTTPStatus.SERVICE_UNAVAILABLE, ""))
            return
        self.end(frames.SERVICE_RESTART)
        self._transport.close()
        self._arm_closing()

    def abort(self) -> None:
        """Drop the connection, even if data is still to be written."""
        reset(self._transport)

    def _flush(self) -> None:
        data = b"".join(self._conn.data_to_send())
        if data and not self._transport.is_closing():
            self._transport.write(data)

    def _arm_ping(self) -> None:
        if self._state is State.OPEN and self._is_counted:
            self.worker.wheel.arm(self, self.worker.loop.time() + PING_S)

    def _arm_closing(self) -> None:
        """Set the write deadline for a client that does not complete the close."""
        if self._is_counted:
            self.worker.wheel.arm(self, self.worker.loop.time() + self.worker.config.write_timeout_s)
