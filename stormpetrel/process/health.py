"""The smallest HTTP server: /health, from memory, for all roles except the web.

It serves GET and HEAD of /health, of /metrics if the role has metrics, and of / if it has a page; otherwise
404 in JSON. Heads, idle time, connections and unread answers are bounded. A request with a body is answered
and its connection closed, so no part of a body is ever read as a request.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable, Mapping
from email.utils import formatdate
from http import HTTPStatus
from typing import NamedTuple, cast

MAX_HEAD_BYTES = 8192
MAX_CONNECTIONS = 512
HEAD_TIMEOUT_S = 5.0
IDLE_TIMEOUT_S = 30.0
BACKLOG = 1024

HEALTHY = b'{"status":"ok"}'
JSON = "application/json; charset=utf-8"
METRICS_TEXT = "text/plain; version=0.0.4; charset=utf-8"
_HTML = "text/html; charset=utf-8"

Metrics = Callable[[], Mapping[str, float] | str]
"""Returns the role's metrics by their Prometheus names, or the whole text."""


def metrics_body(metrics: Metrics) -> bytes:
    """Return the metrics in the text format of Prometheus."""
    figures = metrics()
    if not isinstance(figures, str):
        figures = "".join(f"{name} {value:g}\n" for name, value in figures.items())
    return figures.encode()


def error_body(text: str) -> bytes:
    """Return the JSON of an error."""
    return json.dumps({"error": text}).encode()


def response_bytes(
    status: int, content_type: str, body: bytes, *, close: bool, send_body: bool = True, more: str = ""
) -> bytes:
    """Return a response. `more`: further header lines. `send_body`: False for the answer to HEAD."""
    head = (
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n"
        f"Date: {formatdate(usegmt=True)}\r\n"
        f"Content-Type: {content_type}\r\n"
        f"Content-Length: {len(body)}\r\n"
        "Cache-Control: no-store\r\n"
        "X-Content-Type-Options: nosniff\r\n"
        f"{more}"
        f"Connection: {'close' if close else 'keep-alive'}\r\n\r\n"
    )
    return head.encode("ascii") + (body if send_body else b"")


class RootPage(NamedTuple):
    """The answer to `/`: `body()` makes the HTML per request, `policy` is its Content-Security-Policy."""

    body: Callable[[], bytes]
    policy: str


async def serve_health(
    sock: socket.socket,
    *,
    stop: asyncio.Event,
    role: str,
    metrics: Metrics | None = None,
    page: RootPage | None = None,
) -> None:
    """Answer on the listening `sock` until `stop` is set."""
    loop = asyncio.get_running_loop()
    connections: set[_HealthConnection] = set()
    server = await loop.create_server(
        lambda: _HealthConnection(loop, connections, role, metrics, page), sock=sock, backlog=BACKLOG
    )
    try:
        await stop.wait()
    finally:
        server.close()
        for connection in list(connections):
            connection.close()
        await server.wait_closed()


class _HealthConnection(asyncio.Protocol):
    """One connection. Its timer is the deadline for the next complete head."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        connections: set[_HealthConnection],
        role: str,
        metrics: Metrics | None,
        page: RootPage | None,
    ) -> None:
        self._loop = loop
        self._connections = connections
        self._role = role
        self._metrics = metrics
        self._page = page
        self._received = b""
        self._transport: asyncio.Transport
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports have all methods of Transport but are not subclasses.
        self._transport = cast(asyncio.Transport, transport)
        if len(self._connections) >= MAX_CONNECTIONS:
            self._transport.abort()
            return
        self._connections.add(self)
        self._wait(HEAD_TIMEOUT_S)

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.discard(self)
        if self._timer is not None:
            self._timer.cancel()

    def pause_writing(self) -> None:
        # The client requests but never reads: not worth waiting for.
        self._transport.abort()

    def close(self) -> None:
        self._transport.close()

    def _wait(self, timeout_s: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(timeout_s, self._transport.abort)

    def data_received(self, data: bytes) -> None:
        if self._transport.is_closing():
            return
        if not self._received:
            self._wait(HEAD_TIMEOUT_S)
        self._received += data
        while not self._transport.is_closing():
            head, end, rest = self._received.partition(b"\r\n\r\n")
            if len(head) > MAX_HEAD_BYTES:
                self._answer(431, JSON, error_body("The request head is too large"), close=True)
                return
            if not end:
                return
            self._received = rest
            self._wait(HEAD_TIMEOUT_S if rest else IDLE_TIMEOUT_S)
            self._request(head)

    def _request(self, head: bytes) -> None:
        first, _, fields = head.partition(b"\r\n")
        words = first.split(b" ")
        if len(words) != 3 or words[2] not in (b"HTTP/1.1", b"HTTP/1.0"):
            self._answer(400, JSON, error_body("The request could not be read"), close=True)
            return
        method, target, version = words
        names = {line.partition(b":")[0].strip().lower(): line for line in fields.split(b"\r\n")}
        connection = names.get(b"connection", b"").lower()
        close = (
            b"content-length" in names
            or b"transfer-encoding" in names
            or b"close" in connection
            or (version == b"HTTP/1.0" and b"keep-alive" not in connection)
        )
        path = target.partition(b"?")[0]
        send_body = method != b"HEAD"
        if method not in (b"GET", b"HEAD"):
            self._answer(405, JSON, error_body("Method not allowed"), close=close)
        elif path == b"/health":
            self._answer(200, JSON, HEALTHY, close=close, send_body=send_body)
        elif path == b"/metrics" and self._metrics is not None:
            body = metrics_body(self._metrics)
            self._answer(200, METRICS_TEXT, body, close=close, send_body=send_body)
        elif path == b"/" and self._page is not None:
            policy = f"Content-Security-Policy: {self._page.policy}\r\nReferrer-Policy: no-referrer\r\n"
            self._answer(200, _HTML, self._page.body(), close=close, send_body=send_body, more=policy)
        else:
            known = ["/health", "/metrics"] if self._metrics is not None else ["/health"]
            text = f"Not found. Paths of Stormpetrel's {self._role} role: {' and '.join(known)}"
            self._answer(404, JSON, error_body(text), close=close, send_body=send_body)

    def _answer(
        self,
        status: int,
        content_type: str,
        body: bytes,
        *,
        close: bool,
        send_body: bool = True,
        more: str = "",
    ) -> None:
        if status == 405:
            more += "Allow: GET, HEAD\r\n"
        self._transport.write(
            response_bytes(status, content_type, body, close=close, send_body=send_body, more=more)
        )
        if close:
            self._transport.close()
