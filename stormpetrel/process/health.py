"""The smallest HTTP server: /health, from memory, for all roles except the web.

It serves GET and HEAD of /health, of /metrics if the role has metrics, and of the role's documents; otherwise
404 in JSON. Heads, idle time, connections and unread answers are bounded; at a bound the client that was quiet for
longest is dropped, so that the next one is served. A request with a body is answered and its connection closed, so
no part of a body is ever read as a request.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections import OrderedDict
from collections.abc import Callable, Mapping
from email.utils import formatdate
from http import HTTPStatus
from typing import cast

from stormpetrel.process.document import Document

MAX_HEAD_BYTES = 8192
MAX_CONNECTIONS = 512
HEAD_TIMEOUT_S = 5.0
IDLE_TIMEOUT_S = 30.0
SEND_TIMEOUT_S = 60.0
"""A client has so long to read a response that does not fit into the buffers of its connection."""
MAX_UNREAD_BYTES = 64 * 1024 * 1024
"""All such responses together."""
BACKLOG = 1024

NO_PAGE = (
    b'<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    b'<meta name="color-scheme" content="light dark"><title>Page not found</title><h1>Page not found</h1>'
    b'<p>This page does not exist, or is no longer published.</p><p><a href="/">Go to the status page</a></p></html>'
)
HEALTHY = b'{"status":"ok"}'
JSON = "application/json; charset=utf-8"
HTML = "text/html; charset=utf-8"
METRICS_TEXT = "text/plain; version=0.0.4; charset=utf-8"
MAX_MEMO = 256
MAX_MEMO_HEAD_BYTES = 1024
"""How many requests for documents are answered by their bytes alone, and how long these may be."""

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
    status: int,
    content_type: str,
    body: bytes,
    *,
    close: bool,
    send_body: bool = True,
    more: str = "",
    caching: str = "Cache-Control: no-store\r\n",
) -> bytes:
    """Return a response. `more`: further header lines. `send_body`: False for the answer to HEAD."""
    head = (
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n"
        f"Date: {formatdate(usegmt=True)}\r\n"
        f"Content-Type: {content_type}\r\n"
        f"Content-Length: {len(body)}\r\n"
        f"{caching}"
        "X-Content-Type-Options: nosniff\r\n"
        f"{more}"
        f"Connection: {'close' if close else 'keep-alive'}\r\n\r\n"
    )
    return head.encode("ascii") + (body if send_body else b"")


class DocumentSource:
    """The role's documents by path, and the whole responses to requests that came within this second.

    A flood of requests for the same document then costs a look-up and a write each.
    """

    def __init__(self, find: Callable[[str], Document | None]) -> None:
        self.find = find
        self._second = 0
        self._responses: dict[bytes, bytes] = {}

    def remembered(self, head: bytes, now_s: float) -> bytes | None:
        """Return the response to a request with exactly these bytes; None if it must be made."""
        if int(now_s) != self._second:
            self._second = int(now_s)
            self._responses.clear()
        return self._responses.get(head)

    def remember(self, head: bytes, response: bytes) -> None:
        """Store a response that leaves the connection open, until the end of the second."""
        if len(self._responses) < MAX_MEMO and len(head) <= MAX_MEMO_HEAD_BYTES:
            self._responses[head] = response


async def serve_health(
    sock: socket.socket,
    *,
    stop: asyncio.Event,
    role: str,
    metrics: Metrics | None = None,
    documents: Callable[[str], Document | None] | None = None,
) -> None:
    """Answer on the listening `sock` until `stop` is set. `documents`: returns the document of a path, or None."""
    source = DocumentSource(documents) if documents is not None else None
    loop = asyncio.get_running_loop()
    clients = _Clients()
    server = await loop.create_server(
        lambda: _HealthConnection(loop, clients, role, metrics, source), sock=sock, backlog=BACKLOG
    )
    try:
        await stop.wait()
    finally:
        server.close()
        for connection in list(clients.by_activity):
            connection.close()
        await server.wait_closed()


class _Clients:
    """The open connections, the one that was quiet for longest first, and the bytes that they have not read."""

    def __init__(self) -> None:
        self.by_activity: OrderedDict[_HealthConnection, None] = OrderedDict()
        self.unread_bytes = 0

    def add(self, connection: _HealthConnection) -> None:
        """Add a connection. Refusing it would let 512 silent ones keep all others away."""
        if len(self.by_activity) >= MAX_CONNECTIONS:
            next(iter(self.by_activity)).drop()
        self.by_activity[connection] = None

    def remove(self, connection: _HealthConnection) -> None:
        """Remove a connection with its unread bytes."""
        self.by_activity.pop(connection, None)
        self.unread_bytes -= connection.unread_bytes
        connection.unread_bytes = 0

    def make_room(self) -> None:
        """Drop those that read slowly, the one that was quiet for longest first, until the rest is bounded."""
        for connection in list(self.by_activity):
            if self.unread_bytes <= MAX_UNREAD_BYTES:
                return
            if connection.unread_bytes:
                connection.drop()


class _HealthConnection(asyncio.Protocol):
    """One connection. Its timer is the deadline for the next complete head, or for reading a large response."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        clients: _Clients,
        role: str,
        metrics: Metrics | None,
        documents: DocumentSource | None,
    ) -> None:
        self._loop = loop
        self._clients = clients
        self._role = role
        self._metrics = metrics
        self._documents = documents
        self._received = b""
        self.unread_bytes = 0
        self._transport: asyncio.Transport
        self._timer: asyncio.TimerHandle | None = None
        self._deadline_s = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports have all methods of Transport but are not subclasses.
        self._transport = cast(asyncio.Transport, transport)
        self._clients.add(self)
        self._wait(HEAD_TIMEOUT_S)

    def connection_lost(self, exc: Exception | None) -> None:
        self._clients.remove(self)
        if self._timer is not None:
            self._timer.cancel()

    def pause_writing(self) -> None:
        # The client gets the rest of this response before anything more is read from it.
        self._transport.pause_reading()
        self.unread_bytes = self._transport.get_write_buffer_size()
        self._clients.unread_bytes += self.unread_bytes
        self._wait(SEND_TIMEOUT_S)
        self._clients.make_room()

    def resume_writing(self) -> None:
        self._clients.unread_bytes -= self.unread_bytes
        self.unread_bytes = 0
        if not self._transport.is_closing():
            self._transport.resume_reading()
            self._wait(HEAD_TIMEOUT_S if self._received else IDLE_TIMEOUT_S)
            self._serve()

    def drop(self) -> None:
        """Close the connection without sending the rest."""
        self._clients.remove(self)
        self._transport.abort()

    def close(self) -> None:
        self._transport.close()

    def _wait(self, timeout_s: float) -> None:
        self._deadline_s = self._loop.time() + timeout_s
        if self._timer is None or self._timer.when() > self._deadline_s:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self._loop.call_at(self._deadline_s, self._on_timer)

    def _on_timer(self) -> None:
        # A later deadline leaves the timer alone, which most often is what happens.
        self._timer = None
        if self._loop.time() >= self._deadline_s:
            self.drop()
        else:
            self._timer = self._loop.call_at(self._deadline_s, self._on_timer)

    def data_received(self, data: bytes) -> None:
        if self._transport.is_closing():
            return
        self._clients.by_activity.move_to_end(self)
        if not self._received:
            source = self._documents
            if source is not None:
                now_s = self._loop.time()
                response = source.remembered(data, now_s)
                if response is not None:
                    self._deadline_s = now_s + IDLE_TIMEOUT_S
                    self._transport.write(response)
                    return
            self._wait(HEAD_TIMEOUT_S)
        self._received += data
        if not self.unread_bytes:
            self._serve()

    def _serve(self) -> None:
        """Answer the complete requests, as long as the client reads the responses."""
        while not (self._transport.is_closing() or self.unread_bytes):
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
        source = self._documents
        send_body = method != b"HEAD"
        if method not in (b"GET", b"HEAD"):
            self._answer(405, JSON, error_body("Method not allowed"), close=close)
        elif path == b"/health":
            self._answer(200, JSON, HEALTHY, close=close, send_body=send_body)
        elif path == b"/metrics" and self._metrics is not None:
            body = metrics_body(self._metrics)
            self._answer(200, METRICS_TEXT, body, close=close, send_body=send_body)
        elif source is not None and (document := source.find(path.decode("latin-1"))) is not None:
            self._give(source, document, head, names, close=close, send_body=send_body)
        else:
            if source is not None and not path.startswith(b"/api/"):
                # A reader of the status page may follow a link to a report that was withdrawn.
                self._answer(404, HTML, NO_PAGE, close=close, send_body=send_body)
                return
            known = ["/health", "/metrics"] if self._metrics is not None else ["/health"]
            text = f"Not found. Paths of Stormpetrel's {self._role} role: {' and '.join(known)}"
            self._answer(404, JSON, error_body(text), close=close, send_body=send_body)

    def _give(
        self,
        source: DocumentSource,
        document: Document,
        head: bytes,
        names: Mapping[bytes, bytes],
        *,
        close: bool,
        send_body: bool,
    ) -> None:
        body, status, more = document.body, 200, ""
        if document.etag.encode() in names.get(b"if-none-match", b""):
            status, body = 304, b""
        elif b"gzip" in names.get(b"accept-encoding", b"") and document.compressed:
            body, more = document.compressed, "Content-Encoding: gzip\r\n"
        response = response_bytes(
            status,
            document.content_type,
            body,
            close=close,
            send_body=send_body,
            more=more,
            caching=document.head_lines,
        )
        if not close:
            source.remember(head + b"\r\n\r\n", response)
        self._transport.write(response)
        if close:
            self._transport.close()

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
