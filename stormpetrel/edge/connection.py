"""One connection, below the messages: its state, its deadlines and how it closes.

The worker's wheel holds the deadlines; `_kind` says which one applies. Input buffered for a message is
counted here, so that all connections of a worker together stay within INPUT_MEMORY_BYTES.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import socket
import struct
import sys
import termios
from typing import TYPE_CHECKING, Any

import httptools
from uvicorn.config import Config
from uvicorn.server import ServerState

from stormpetrel.edge.wheel import NEVER
from stormpetrel.edge.worker import EdgeWorker
from stormpetrel.shield.identify import Identity, Visit

if TYPE_CHECKING:
    from stormpetrel.edge.cache import Flight
    from stormpetrel.edge.cycle import Cycle

WRITE_BUFFER_BYTES = 65_536
LINGER_S = 2.0
LINGER_BYTES = 262_144
"""After a refusal with input left unread, this much is read and discarded; a reset would lose the refusal."""

_NO_LINGER = struct.pack("ii", 1, 0)

HEADER = "header"
BODY = "body"
IDLE = "idle"
WRITE = "write"
FLIGHT = "flight"
BUSY = "busy"
STREAM = "stream"
CLOSING = "closing"
LINGER = "linger"


def reset(transport: asyncio.Transport) -> None:
    """Drop a connection at once, and the data that the kernel holds for a client that does not read."""
    sock = transport.get_extra_info("socket")
    if sock is not None and (not transport.is_closing() or transport.get_write_buffer_size()):
        # Without this the kernel holds megabytes per connection for minutes, waiting for the client to read.
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
    transport.abort()


def unread_bytes(transport: asyncio.Transport) -> int:
    """Return how many bytes the client has not taken, in the transport and the kernel (also unacknowledged).

    Without the kernel's part, filling its buffers would look like a client that reads.
    """
    held = transport.get_write_buffer_size()
    sock = transport.get_extra_info("socket")
    with contextlib.suppress(OSError, AttributeError):
        held += int.from_bytes(fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, bytes(4)), sys.byteorder)
    return held


class EdgeConnection(asyncio.Protocol):
    """The state of a connection, its deadlines, and the ways it closes.

    `ready`: the connection is between two messages, has nothing outstanding or held back, and the client
    reads: the next bytes may be answered at once. Every other flag gives a reason why not.
    """

    def __init__(
        self,
        worker: EdgeWorker,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        # Passed to uvicorn's protocol when the connection becomes a WebSocket
        self.config = config
        self.server_state = server_state
        self.app_state = app_state
        self.loop = _loop or worker.loop
        self.parser = httptools.HttpRequestParser(self)
        # The edge ignores bytes after a message that said `close`; the parser must not reject them.
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self.transport: asyncio.Transport = None  # type: ignore[assignment]
        self.client: tuple[str, int] | None = None
        self.url = b""
        self.headers: list[tuple[bytes, bytes]] = []
        self.worker = worker
        self.memo = worker.memo
        self.address = ""
        self.stranger: Identity = None  # type: ignore[assignment]
        self._nobody: Visit = None  # type: ignore[assignment]
        # For the wheel
        self.deadline_s = NEVER
        self.wheel_slot = -1
        self._kind = HEADER
        self._keepalive_s = worker.config.keepalive_timeout_s
        # The connection
        self.ready = False
        self.write_paused = False
        self._reading_paused = False
        self._closing = False
        self._lingering_bytes = -1
        self._stash = b""
        self._write_mark = 0
        self._drain_waiters: list[asyncio.Future[None]] = []
        self._body = bytearray()
        self._input_bytes = 0
        # The answer to the message that was read
        self._outstanding = False
        self._cycle: Cycle | None = None
        self._flight: Flight | None = None

    def _arm(self, kind: str, deadline_s: float) -> None:
        self._kind = kind
        self.worker.wheel.arm(self, deadline_s)

    def _arm_write(self) -> None:
        if self._kind != WRITE:
            self._write_mark = unread_bytes(self.transport)
            self._arm(WRITE, self.loop.time() + self.worker.config.write_timeout_s)

    def _pause_reading(self) -> None:
        if not self._reading_paused:
            self._reading_paused = True
            self.transport.pause_reading()

    def _resume_reading(self) -> None:
        if self._reading_paused and not self.transport.is_closing():
            self._reading_paused = False
            self.transport.resume_reading()

    def _wake_drained(self) -> None:
        waiters, self._drain_waiters = self._drain_waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def drained(self) -> None:
        """Return when the client has read enough for more to be written, or has disconnected."""
        if self.write_paused and not self._closing:
            waiter = self.loop.create_future()
            self._drain_waiters.append(waiter)
            await waiter

    def _forget_input(self) -> None:
        """Release the input buffered for this connection's message; bytes held back stay counted."""
        self.worker.input_bytes -= self._input_bytes - len(self._stash)
        self._input_bytes = len(self._stash)
        if self._body:
            self._body = bytearray()

    def _discard(self, size_bytes: int) -> None:
        if self._lingering_bytes >= 0:
            self._lingering_bytes += size_bytes
            if self._lingering_bytes > LINGER_BYTES:
                self.worker.counts.closed[LINGER] += 1
                self.abort()

    def _close(self) -> None:
        """Close once the client has read everything written, at the latest at the write deadline."""
        self._closing = True
        self.ready = False
        self.transport.close()
        self._arm(CLOSING, self.loop.time() + self.worker.config.write_timeout_s)

    def _linger(self) -> None:
        """Close our side and discard further input: a reset would also discard the answer."""
        self._closing = True
        self.ready = False
        self._lingering_bytes = 0
        self._stash = b""
        self._forget_input()
        self._outstanding = False
        self._resume_reading()
        self._arm(LINGER, self.loop.time() + LINGER_S)
        if not self.transport.is_closing():
            self.transport.write_eof()

    def abort(self) -> None:
        """Drop the connection, even if data is still to be written."""
        self._closing = True
        self.ready = False
        reset(self.transport)
