"""A lean HTTP client: sends prepared bytes, parses answers, chooses source addresses.

A new connection costs about 100 µs on uvloop. It parses what servers send: lengths, chunks, bodies until the
end of the connection, streams. It does nothing else: no redirects, no cookie jar, no retries.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import cast
from urllib.parse import quote

from stormpetrel.drill.loopback import Address, TrafficBudget, open_socket
from stormpetrel.drill.tls import TlsClient

CONNECT_TIMEOUT_S = 5.0
MAX_HEAD_BYTES = 65_536
MAX_KEPT_BODY_BYTES = 1_048_576
"""A body is counted to its end, but stored only up to this size."""
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)
_CLOSE = re.compile(rb"\r\nconnection: *close", re.IGNORECASE)
_STREAM = re.compile(rb"\r\ncontent-type: *text/event-stream", re.IGNORECASE)


class Broken(ConnectionError):
    """The connection ended before the answer was complete, or the data is not HTTP."""


@dataclass(frozen=True, slots=True)
class WireResponse:
    """A response. `head`: status line and headers as sent. `body`: the stored part of the `body_bytes` bytes.

    `first_s`, `done_s`: time.monotonic() at the first byte and at the last (uvloop's own clock counts whole
    milliseconds).
    """

    status: int
    head: bytes
    body: bytes
    body_bytes: int
    first_s: float
    done_s: float

    def header(self, name: str) -> str:
        """Return a header's value, or ""."""
        found = re.search(rb"\r\n" + re.escape(name.encode()) + rb": *([^\r\n]*)", self.head, re.IGNORECASE)
        return found.group(1).decode("latin-1").strip() if found else ""

    def cookies(self) -> dict[str, str]:
        """Return the names and values of the cookies that the answer sets."""
        found = re.findall(rb"\r\nset-cookie: *([^=\r\n]+)=([^;\r\n]*)", self.head, re.IGNORECASE)
        return {name.decode("latin-1"): value.decode("latin-1") for name, value in found}

    @property
    def text(self) -> str:
        """Return the stored body as text."""
        return self.body.decode("utf-8", "replace")


def request(
    method: str, path: str, *, host: str, headers: Mapping[str, str] | None = None, body: bytes = b""
) -> bytes:
    """Return the bytes of a request. `host`: the Host header. A body gets a Content-Length."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    if body or method in ("POST", "PUT", "PATCH"):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def form(fields: Mapping[str, str]) -> bytes:
    """Return fields encoded as a form's body; send it as application/x-www-form-urlencoded."""
    return "&".join(
        f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in fields.items()
    ).encode()


class Exchange(asyncio.Protocol):
    """One connection; one request at a time. Once a stream began, bytes go to `on_bytes` until it ends."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[WireResponse] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._on_bytes: Callable[[bytes], None] | None = None
        self._on_end: Callable[[], None] | None = None
        self.is_open = False
        self._reset()

    def _reset(self) -> None:
        self._buffer = b""
        self._head = b""
        self._status = 0
        self._left = 0
        self._framing = ""
        self._first_s = 0.0
        self._body_bytes = 0
        self._kept: list[bytes] = []
        self._kept_bytes = 0
        self._is_head_request = False

    # For callers

    def send(self, data: bytes, *, timeout_s: float) -> asyncio.Future[WireResponse]:
        """Send a prepared request. If the future raises Broken or TimeoutError, the connection is closed."""
        waiter: asyncio.Future[WireResponse] = self._loop.create_future()
        if self._transport is None or not self.is_open or self._waiter is not None:
            waiter.set_exception(Broken("the connection is closed or busy"))
            return waiter
        self._reset()
        self._is_head_request = data.startswith(b"HEAD ")
        self._waiter = waiter
        self._timer = self._loop.call_later(timeout_s, self._expire)
        self._transport.write(data)
        return waiter

    def stream(
        self, data: bytes, *, timeout_s: float, on_bytes: Callable[[bytes], None], on_end: Callable[[], None]
    ) -> asyncio.Future[WireResponse]:
        """Send a request whose answer does not end (101 or text/event-stream); the future returns its head.

        The data after it goes to `on_bytes` (without chunked framing), then `on_end` is called once. For any
        other answer the future behaves as in `send`, and `on_bytes` is never called.
        """
        self._on_bytes, self._on_end = on_bytes, on_end
        return self.send(data, timeout_s=timeout_s)

    def write(self, data: bytes) -> None:
        """Write raw bytes: a WebSocket's frames, a slow client's drops."""
        if self._transport is not None and self.is_open:
            self._transport.write(data)

    def pause(self) -> None:
        """Stop reading from the connection."""
        if self._transport is not None and self.is_open:
            self._transport.pause_reading()

    def close(self) -> None:
        """Close at once; a waiting caller gets Broken."""
        if self._transport is not None:
            self._transport.abort()
        self.is_open = False

    # Called by the event loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the loop."""
        # A cast instead of a check: uvloop's transports are not subclasses of asyncio's.
        self._transport = cast(asyncio.Transport, transport)
        self.is_open = True

    def data_received(self, data: bytes) -> None:
        """Called by the loop."""
        if self._framing == "stream":
            self._on_stream(data)
            return
        if self._waiter is None:
            return  # unsolicited data: an early refusal, or the server's farewell
        if not self._first_s:
            self._first_s = time.monotonic()
        self._buffer += data
        if not self._framing and not self._read_head():
            return
        self._read_body()

    def connection_lost(self, error: Exception | None) -> None:
        """Called by the loop."""
        self.is_open = False
        if self._waiter is not None:
            if self._framing == "until the end":
                self._finish()
            else:
                self._fail(Broken("the connection ended before the answer was complete"))
        elif self._framing == "stream" and self._on_end is not None:
            on_end, self._on_end = self._on_end, None
            on_end()

    # Reading

    def _read_head(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(self._buffer) > MAX_HEAD_BYTES:
                self._fail(Broken("a head without an end"))
            return False
        head, rest = self._buffer[: end + 2], self._buffer[end + 4 :]
        if not head.startswith(b"HTTP/1.") or not head[9:12].isdigit():
            self._fail(Broken("no HTTP"))
            return False
        status = int(head[9:12])
        if 100 <= status < 200 and status != 101:
            self._buffer = rest
            return self._read_head()
        self._head, self._status, self._buffer = head, status, rest
        if self._on_bytes is not None and (status == 101 or (status == 200 and _STREAM.search(head))):
            self._framing = "stream"
            self._left = -1 if _CHUNKED.search(head) else 0
            self._answer(close=False)
            if rest:
                self._buffer = b""
                self._on_stream(rest)
            return False
        if self._is_head_request or status in (204, 304):
            self._framing, self._left = "length", 0
        elif _CHUNKED.search(head):
            self._framing = "chunks"
        elif found := _LENGTH.search(head):
            self._framing, self._left = "length", int(found.group(1))
        else:
            self._framing = "until the end"
        return True

    def _read_body(self) -> None:
        if self._framing == "chunks":
            if self._read_chunks(self._keep):
                self._finish()
            return
        data, self._buffer = self._buffer, b""
        if self._framing == "length":
            data = data[: self._left]
            self._left -= len(data)
        self._keep(data)
        if self._framing == "length" and self._left <= 0:
            self._finish()

    def _read_chunks(self, take: Callable[[bytes], None]) -> bool:
        """Take whole chunks off the buffer; return True after the last one."""
        while True:
            line = self._buffer.find(b"\r\n")
            if line < 0:
                return False
            try:
                length = int(self._buffer[:line].partition(b";")[0], 16)
            except ValueError:
                self._fail(Broken("a chunk without a length"))
                return False
            end = line + 2 + length + 2
            if len(self._buffer) < end:
                return False
            take(self._buffer[line + 2 : end - 2])
            self._buffer = self._buffer[end:]
            if length == 0:
                return True

    def _on_stream(self, data: bytes) -> None:
        if self._on_bytes is None:
            return
        if self._left == 0:
            self._on_bytes(data)
            return
        self._buffer += data
        if self._read_chunks(lambda chunk: self._on_bytes(chunk) if chunk and self._on_bytes else None):
            self.close()

    def _keep(self, data: bytes) -> None:
        self._body_bytes += len(data)
        if self._kept_bytes < MAX_KEPT_BODY_BYTES:
            self._kept.append(data)
            self._kept_bytes += len(data)

    # Ending

    def _finish(self) -> None:
        self._on_bytes = self._on_end = None
        self._answer(close=self._framing == "until the end" or _CLOSE.search(self._head) is not None)

    def _answer(self, *, close: bool) -> None:
        waiter, self._waiter = self._waiter, None
        if self._timer is not None:
            self._timer.cancel()
        if close:
            self.close()
        if waiter is not None and not waiter.done():
            now_s = time.monotonic()
            waiter.set_result(
                WireResponse(
                    self._status, self._head, b"".join(self._kept), self._body_bytes, self._first_s, now_s
                )
            )

    def _fail(self, error: Exception) -> None:
        waiter, self._waiter = self._waiter, None
        if self._timer is not None:
            self._timer.cancel()
        self.close()
        if waiter is not None and not waiter.done():
            waiter.set_exception(error)

    def _expire(self) -> None:
        self._fail(TimeoutError("no complete answer in time"))


async def connect(
    target: Address,
    *,
    source: str,
    budget: TrafficBudget,
    timeout_s: float = CONNECT_TIMEOUT_S,
    tls: TlsClient | None = None,
) -> Exchange:
    """Open a connection, with TLS if `tls` is given. Raise NotLoopback, BudgetSpent, TimeoutError, or OSError if
    refused or if the certificate is wrong.
    """
    until_s = time.monotonic() + timeout_s
    sock = await open_socket(target, source=source, budget=budget, timeout_s=timeout_s)
    try:
        loop = asyncio.get_running_loop()
        if tls is None:
            _, exchange = await loop.create_connection(Exchange, sock=sock)
            return exchange
        _, exchange = await asyncio.wait_for(
            loop.create_connection(Exchange, sock=sock, ssl=tls.as_context, server_hostname=tls.name),
            max(0.01, until_s - time.monotonic()),
        )
    except BaseException:
        sock.close()
        raise
    return exchange
