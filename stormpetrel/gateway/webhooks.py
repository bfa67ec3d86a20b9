"""The HTTP server that providers call: /sms/ROUTE, and the role's /health and /metrics, on a socket of its own.

It shares nothing with the web: no shield, no application, no database. A request is read whole, its provider checks
the signature, and the answer comes after everything in it is stored:

    2xx  stored, or stored before        403  forged         404  no such route, or it has no webhooks
    400  unreadable                      405  other methods  413  body above MAX_BODY_BYTES
    503  not stored: send it again       500  a defect, logged

Connections, heads, bodies, pipelined requests, time and unread answers are bounded.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import cast

from stormpetrel.edge.message import RequestMessage
from stormpetrel.edge.parser import BETWEEN, HEAD, MessageError, RequestParser
from stormpetrel.edge.rejections import BODY_TOO_LARGE, BODY_TOO_LATE, HEAD_TOO_LATE
from stormpetrel.gateway.provider import (
    Forged,
    Inbound,
    Incoming,
    NotStored,
    Provider,
    Unreadable,
    WebhookAnswer,
    WebhookProvider,
    WebhookRequest,
)
from stormpetrel.gateway.provider_networks import ProviderNetworks
from stormpetrel.process.health import (
    BACKLOG,
    HEALTHY,
    JSON,
    METRICS_TEXT,
    Metrics,
    error_body,
    metrics_body,
    response_bytes,
)
from stormpetrel.shield.answer import Refused

MAX_CONNECTIONS = 512
MAX_HEAD_BYTES = 16_384
MAX_BODY_BYTES = 16_384
MAX_HELD_BYTES = 16_384
"""Bytes that are read while a request is answered; more wait in the kernel."""
HEAD_TIMEOUT_S = 5.0
BODY_TIMEOUT_S = 10.0
IDLE_TIMEOUT_S = 30.0
ANSWER_TIMEOUT_S = 10.0
"""Twilio waits for 15 s, the Android gateway for 30 s."""
LINGER_S = 1.0
"""The client may still send when its request is refused. Closed at once, it would not see the answer."""
STOP_S = 5.0
RETRY_AFTER_S = 5
REFUSAL_LOG_EVERY_S = 60.0
PREFIX = "/sms/"

_log = logging.getLogger("stormpetrel.sms")


async def serve_webhooks(
    sock: socket.socket,
    *,
    stop: asyncio.Event,
    providers: Mapping[str, Provider],
    inbound_of: Callable[[str], Inbound],
    metrics: Metrics | None = None,
    networks: ProviderNetworks | None = None,
) -> None:
    """Answer on the listening `sock` until `stop` is set. `providers`: by the names of their routes.

    `networks`: notes where verified requests come from.
    """
    loop = asyncio.get_running_loop()
    receiver = _WebhookReceiver(loop, providers, inbound_of, metrics, networks)
    server = await loop.create_server(lambda: _WebhookConnection(receiver), sock=sock, backlog=BACKLOG)
    try:
        await stop.wait()
    finally:
        server.close()
        receiver.is_stopping = True
        for connection in list(receiver.connections):
            connection.stop()
        if receiver.tasks:
            await asyncio.wait(receiver.tasks, timeout=STOP_S)
        for connection in list(receiver.connections):
            connection.abort()
        await server.wait_closed()


@dataclass(slots=True)
class _WebhookReceiver:
    """The parts that all connections share."""

    loop: asyncio.AbstractEventLoop
    providers: Mapping[str, Provider]
    inbound_of: Callable[[str], Inbound]
    metrics: Metrics | None
    networks: ProviderNetworks | None
    connections: dict[_WebhookConnection, None] = field(default_factory=dict)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)
    logged_at_s: dict[str, float] = field(default_factory=dict)
    is_stopping: bool = False

    def admit(self, connection: _WebhookConnection) -> bool:
        """Take a new connection; return False if there is no place for it.

        When all places are taken, the connection without a request for the longest time loses its place. So a
        client that only holds connections cannot keep providers out.
        """
        if self.is_stopping:
            return False
        if len(self.connections) >= MAX_CONNECTIONS:
            longest = next((each for each in self.connections if not each.is_answering), None)
            if longest is None:
                return False
            del self.connections[longest]
            longest.abort()
        self.connections[connection] = None
        return True

    def heard(self, connection: _WebhookConnection) -> None:
        """Note that the connection has sent a whole request."""
        if connection in self.connections:
            del self.connections[connection]
            self.connections[connection] = None

    def provider_of(self, path: str) -> tuple[str, WebhookProvider] | None:
        """Return the route and its provider for a path; None if there is none that takes webhooks."""
        route = path.removeprefix(PREFIX)
        provider = self.providers.get(route) if route != path else None
        return (route, cast(WebhookProvider, provider)) if hasattr(provider, "receive") else None

    async def receive(self, route: str, provider: WebhookProvider, request: WebhookRequest) -> WebhookAnswer:
        """Store everything that the request carries, and return its answer. Raise Forged, Unreadable, NotStored."""
        found, answer = provider.receive(request)
        if found:
            inbound = self.inbound_of(route)
            # All at once, in order, so that the gateway can commit them together.
            stored = await asyncio.gather(
                *(
                    inbound.message(each) if isinstance(each, Incoming) else inbound.receipt(each)
                    for each in found
                ),
                return_exceptions=True,
            )
            for result in stored:
                if isinstance(result, BaseException):
                    raise result
        return answer

    def log_refusal(self, route: str, error: Exception) -> None:
        """Log at most one refused webhook of a route in a while: anyone can send them."""
        now_s = self.loop.time()
        if now_s - self.logged_at_s.get(route, -REFUSAL_LOG_EVERY_S) >= REFUSAL_LOG_EVERY_S:
            self.logged_at_s[route] = now_s
            _log.warning("SMS route %s: webhook refused: %s", route, error)


class _WebhookConnection(asyncio.Protocol):
    """One connection. It reads on only after it has answered; its timer is the deadline of the phase."""

    def __init__(self, receiver: _WebhookReceiver) -> None:
        self._receiver = receiver
        self._parser = RequestParser(max_header_bytes=MAX_HEAD_BYTES, has_cookie_prefix=False)
        self._parser.max_content_bytes = MAX_BODY_BYTES
        self._transport: asyncio.Transport
        self._timer: asyncio.TimerHandle | None = None
        self._held = b""
        self.is_answering = False
        self._is_refused = False
        self._has_ended = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports have all methods of Transport but are not subclasses.
        self._transport = cast(asyncio.Transport, transport)
        if self._receiver.admit(self):
            self._wait(HEAD_TIMEOUT_S)
        else:
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._receiver.connections.pop(self, None)
        self._wait(None)
        self._parser.close()

    def pause_writing(self) -> None:
        # The client requests but never reads: not worth waiting for.
        self.abort()

    def eof_received(self) -> bool:
        """Keep the connection until the requests before the end of the stream are answered."""
        self._has_ended = True
        return self.is_answering

    def abort(self) -> None:
        self._transport.abort()

    def stop(self) -> None:
        """Close, after the answer in progress."""
        if not self.is_answering:
            self._transport.close()

    def data_received(self, data: bytes) -> None:
        if self._is_refused or self._transport.is_closing():
            return
        if self.is_answering:
            self._held += data
            if len(self._held) > MAX_HELD_BYTES:
                self._transport.pause_reading()
            return
        self._read(data)

    def _read(self, data: bytes) -> None:
        at = 0
        try:
            while at < len(data) and not self._is_refused and not self._transport.is_closing():
                if self.is_answering:
                    self._held = data[at:]
                    return
                at = self._read_piece(data, at)
        except MessageError as error:
            self._refuse(error.refused)

    def _read_piece(self, data: bytes, at: int) -> int:
        """Read a part of one message, and answer the message if it is complete; return where the next part begins."""
        parser = self._parser
        phase = parser.phase
        if phase is BETWEEN:
            at = parser.skip_blank_lines(data, at)
            if at == len(data):
                return at
            self._wait(HEAD_TIMEOUT_S)
        end = parser.cut(data, at)
        if end < 0:
            end = len(data)
        parser.feed(data[at:end])
        message = parser.message
        if message is None:
            return end
        if phase <= HEAD and message.has_body:
            if message.length > MAX_BODY_BYTES:
                raise MessageError(BODY_TOO_LARGE)
            self._wait(BODY_TIMEOUT_S)
            if message.expects_continue:
                self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if parser.phase is BETWEEN:
            body, parser.body = bytes(parser.body), bytearray()
            # The parser ends a message that asks for another protocol, and cannot read another one after it.
            if b"upgrade" in message.facts:
                message.keep_alive = False
            self._on_message(message, body)
        return end

    def _on_message(self, message: RequestMessage, body: bytes) -> None:
        self._receiver.heard(self)
        method, path = message.method, message.path_text
        found = self._receiver.provider_of(path)
        if found is not None:
            if method not in ("GET", "POST"):
                self._answer_error(message, 405, "Method not allowed", more="Allow: GET, POST\r\n")
                return
            self.is_answering = True
            self._wait(None)
            task = self._receiver.loop.create_task(self._answer_webhook(message, body, *found))
            self._receiver.tasks.add(task)
            task.add_done_callback(self._receiver.tasks.discard)
        elif path not in ("/health", "/metrics") or (path == "/metrics" and self._receiver.metrics is None):
            self._answer_error(
                message, 404, "Not found. Paths of Stormpetrel's sms role: /health, /metrics and /sms/ROUTE"
            )
        elif method not in ("GET", "HEAD"):
            self._answer_error(message, 405, "Method not allowed", more="Allow: GET, HEAD\r\n")
        elif self._receiver.metrics is not None and path == "/metrics":
            self._answer(message, 200, METRICS_TEXT, metrics_body(self._receiver.metrics))
        else:
            self._answer(message, 200, JSON, HEALTHY)

    async def _answer_webhook(
        self, message: RequestMessage, body: bytes, route: str, provider: WebhookProvider
    ) -> None:
        headers: dict[str, str] = {}
        for raw_name, raw_value in message.headers:
            name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        request = WebhookRequest(message.method, message.query, headers, body, time.time())
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                answer = await self._receiver.receive(route, provider, request)
            if self._receiver.networks is not None:
                self._receiver.networks.saw(self._transport.get_extra_info("peername")[0], message.headers)
            self._answer(message, answer.status, answer.content_type, answer.body)
        except Forged as error:
            self._receiver.log_refusal(route, error)
            self._answer_error(message, 403, "The signature is missing or wrong")
        except Unreadable as error:
            self._receiver.log_refusal(route, error)
            self._answer_error(message, 400, str(error))
        except (NotStored, TimeoutError):
            retry = f"Retry-After: {RETRY_AFTER_S}\r\n"
            self._answer_error(message, 503, "Nothing was stored; try again later", more=retry)
        except Exception:
            _log.exception("SMS route %s: a webhook failed", route)
            self._answer_error(message, 500, "Something went wrong on the server; the error has been logged")
        self.is_answering = False
        self._read_on()

    def _read_on(self) -> None:
        """Read the bytes that came while the last message was answered."""
        if self._transport.is_closing():
            return
        if self._receiver.is_stopping:
            self._transport.close()
            return
        held, self._held = self._held, b""
        if len(held) > MAX_HELD_BYTES:
            self._transport.resume_reading()
        if held:
            self._read(held)
        if self._has_ended and not self.is_answering:
            self._transport.close()

    def _answer_error(self, message: RequestMessage, status: int, text: str, *, more: str = "") -> None:
        self._answer(message, status, JSON, error_body(text), more=more)

    def _answer(
        self, message: RequestMessage, status: int, content_type: str, body: bytes, *, more: str = ""
    ) -> None:
        if self._transport.is_closing():
            return
        close = not message.keep_alive or self._receiver.is_stopping
        send_body = message.method != "HEAD"
        self._transport.write(
            response_bytes(status, content_type, body, close=close, send_body=send_body, more=more)
        )
        if close:
            self._transport.close()
        else:
            self._wait(IDLE_TIMEOUT_S)

    def _refuse(self, refused: Refused) -> None:
        """Answer a message that cannot be read on, and close the connection a little later."""
        self._is_refused = True
        # The parser answers unknown versions and codings with 5xx, which here means "send it again".
        status = refused.status if refused.status < 500 else 400
        self._transport.write(response_bytes(status, JSON, error_body(refused.safe_text), close=True))
        self._transport.write_eof()
        self._wait(LINGER_S)

    def _wait(self, timeout_s: float | None) -> None:
        """Set the next deadline; None for none."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = (
            None if timeout_s is None else self._receiver.loop.call_later(timeout_s, self._on_deadline)
        )

    def _on_deadline(self) -> None:
        phase = self._parser.phase
        if self._is_refused or phase is BETWEEN:
            self.abort()
        else:
            self._refuse(HEAD_TOO_LATE if phase is HEAD else BODY_TOO_LATE)
