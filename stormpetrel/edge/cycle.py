"""One request at the application, and its answer: the ASGI side of a connection.

In contrast to other ASGI servers, the body is usually complete before the application
starts, an answer in one piece is one write, answers for hot pages are stored, and the slot is released when
the answer is complete or as soon as the request waits for its own client.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Iterable
from http import HTTPStatus
from typing import TYPE_CHECKING

from stormpetrel.cpu import CpuMeter
from stormpetrel.edge.cache import MAX_KEPT_BYTES, METERED, CachedPage, Flight, Headers
from stormpetrel.edge.codings import accepts_gzip, encode_fast, is_compressible
from stormpetrel.edge.heads import Head
from stormpetrel.edge.streams import ClientDisconnected, EventStream
from stormpetrel.edge.worker import EdgeWorker, Message, Scope
from stormpetrel.shield.answer import Refused
from stormpetrel.shield.queues import RUNNING, Ticket

if TYPE_CHECKING:
    from stormpetrel.edge.protocol import EdgeProtocol

_log = logging.getLogger("stormpetrel.edge")
_STATUS_LINES = {
    status: b"HTTP/1.1 %d %b\r\ndate: " % (status, HTTPStatus(status).phrase.encode())
    for status in map(int, HTTPStatus)
}
_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_PRIVATE = re.compile(rb"(?i)\b(?:no-store|private)\b")
_NO_BODY = frozenset({204, 304})
_names: dict[bytes, bytes] = {}
_NAMES = 1024
_JOINED_BYTES = 65_536
MIN_PERSONAL_BYTES = 1024
"""A personal answer is compressed from this size up: below it, the answer fits into one packet anyway."""
_NAMES_BYTES = frozenset({b"etag", b"content-encoding", b"content-range", b"accept-ranges"})
NOT_WORTH_CHARGING_S = 0.0001
"""CPU time used after the slot was released is charged from this amount up; most requests use less."""
# Headers that often repeat with the same value, and the line for each: an answer has a dozen of them.
_REPEATED_NAMES = frozenset(
    b"access-control-allow-origin access-control-expose-headers cache-control content-security-policy "
    b"content-type cross-origin-opener-policy permissions-policy referrer-policy strict-transport-security vary "
    b"x-content-type-options x-frame-options".split()
)
_lines: dict[tuple[bytes, bytes], bytes] = {}
_LINES = 1024
FAILED = Refused(500, "edge/failed", "Something went wrong on the server; the error has been logged")


class HotRender:
    """`scope["hot"]`: the application uses it to say that its answer may be shared by all visitors."""

    __slots__ = ("tags", "ttl_s")

    def __init__(self) -> None:
        self.tags: tuple[str, ...] | None = None
        self.ttl_s: float | None = None

    def keep(self, tags: Iterable[str], *, ttl_s: float | None = None) -> None:
        """Store this request's 200 answer under these tags ("account:12", "post:34", "public", …).

        `ttl_s`: how long it is fresh; None for the configured time. An answer that sets a cookie, or whose
        Cache-Control has `private` or `no-store`, is never stored.
        """
        self.tags = tuple(tags)
        self.ttl_s = ttl_s


class Cycle:
    """One request: waits with a ticket, runs, answers. `protocol` is its connection."""

    __slots__ = (
        "__weakref__",
        "_charged_s",
        "_chunked",
        "_headers",
        "_is_charged",
        "_left",
        "_meter",
        "_piece_bytes",
        "_pieces",
        "_sent",
        "_started",
        "_status",
        "_told_end",
        "_wakeup",
        "body",
        "disconnected",
        "finished",
        "flight",
        "head",
        "hot",
        "is_body_complete",
        "is_upgrade",
        "keep_alive",
        "only_head",
        "protocol",
        "scope",
        "stale",
        "stream",
        "task",
        "ticket",
        "version_1_0",
        "worker",
    )

    def __init__(
        self,
        protocol: EdgeProtocol,
        worker: EdgeWorker,
        scope: Scope,
        ticket: Ticket,
        *,
        keep_alive: bool,
        only_head: bool,
    ) -> None:
        self.protocol = protocol
        self.worker = worker
        self.scope = scope
        self.ticket = ticket
        self.keep_alive = keep_alive
        self.only_head = only_head
        self.version_1_0 = False
        self.body: bytes | bytearray = b""
        self.is_body_complete = True
        self.is_upgrade = False
        self.disconnected = False
        self.finished = False
        self.head: Head | None = None
        self.hot: HotRender | None = None
        self.flight: Flight | None = None
        self.stale: CachedPage | None = None
        self.stream: EventStream | None = None
        self.task: asyncio.Task[None] | None = None
        self._started = False
        self._sent = False
        self._status = 0
        self._headers: Headers = []
        self._chunked = False
        self._left: int | None = None
        self._pieces: list[bytes] = []
        self._piece_bytes = 0
        self._told_end = False
        self._wakeup: asyncio.Future[None] | None = None
        self._meter: CpuMeter | None = None
        self._charged_s = 0.0
        self._is_charged = False

    # Called when the gate has decided

    def start(self) -> None:
        """Run at the application: the request has a slot now."""
        worker = self.worker
        if self.is_upgrade:
            self.protocol.hand_over(self)
            return
        worker.counts.admitted += 1
        self._meter = CpuMeter(self._run(), worker.step_clock)
        self.task = task = worker.loop.create_task(self._meter)
        worker.tasks.add(task)

    def refuse(self, because: str) -> None:
        """Refuse the request: it lost its place in the queue."""
        self.protocol.refuse_cycle(self, because)

    def release(self) -> None:
        """Release the slot; a second call does nothing. Also the application's `scope["release_slot"]`."""
        meter = self._meter
        cpu_s = 0.0
        if self.ticket.state == RUNNING and meter is not None:
            self._charged_s = cpu_s = meter.cpu_s
        self.worker.give_back(self.ticket, cpu_s)

    def open_stream(self, heartbeat: bytes) -> EventStream:
        """Leave a begun answer open until its client disconnects or `end` is called: `scope["open_stream"]`.

        The stream holds no slot. Its `heartbeat` is sent at intervals, and a drain ends it. Raise
        RuntimeError if the answer has not begun or is complete.
        """
        if not self._sent or self.finished:
            raise RuntimeError("a stream is an answer that was begun and is not complete")
        self.release()
        self.stream = EventStream(self, heartbeat)
        self.protocol.stream_opened(self)
        return self.stream

    def write_part(self, data: bytes) -> int:
        """Write a part of an open answer; return its size in bytes as sent."""
        framed = self._frame(data, more=True)
        self.protocol.transport.write(framed)
        return len(framed)

    def write_end(self) -> None:
        """Complete the open answer; a second call does nothing."""
        if not self.finished and not self.disconnected:
            self._write_last(self._frame(b"", more=False))

    @property
    def has_begun(self) -> bool:
        """Return True once a part of the answer was written."""
        return self._sent

    def disconnect(self) -> None:
        """Note that the client has disconnected."""
        self.disconnected = True
        self.wake()

    def wake(self) -> None:
        """Wake `receive`, if it waits."""
        wakeup = self._wakeup
        if wakeup is not None and not wakeup.done():
            wakeup.set_result(None)

    async def _run(self) -> None:
        worker = self.worker
        try:
            await worker.app(self.scope, self._receive, self._send)
            if not self.finished and not self.disconnected:
                raise RuntimeError("the application returned without completing its answer")
        except asyncio.CancelledError:
            # Only the end of the drain cancels a task; its connection ends with it.
            self.protocol.abort()
        except BaseException as error:
            # The outermost handler: every exception of the application must become an
            # answer, a log line and a count.
            if not (self.disconnected and isinstance(error, OSError)):
                self._fail(error)
        finally:
            if self.task is not None:
                worker.tasks.discard(self.task)
            self.release()
            self._charge_rest()
            self.land(retry=False)

    def _charge_rest(self) -> None:
        """Charge CPU time used since the slot was released: a write renders its answer only after that."""
        meter = self._meter
        if meter is not None and not self._is_charged:
            more_s = meter.cpu_s - self._charged_s
            if more_s > NOT_WORTH_CHARGING_S:
                self.worker.shield.spent_later(self.ticket, more_s)

    def _fail(self, error: BaseException) -> None:
        worker = self.worker
        worker.counts.failed += 1
        _log.error(
            "%s %s failed", self.scope["method"], self.scope["raw_path"].decode("latin-1"), exc_info=error
        )
        if self.disconnected or self.finished:
            return
        if self._sent:
            self.protocol.abort()
            return
        if self.stale is not None and self.head is not None:
            # A recent page serves a visitor better than an error.
            _, wire = self.stale.answer(self.head, worker.second, worker.date)
            self._write_last(wire)
            return
        worker.counts.refused[FAILED.because] += 1
        wire = worker.refusals.answer(
            FAILED,
            path=self.scope["raw_path"],
            date=worker.date,
            keep_alive=self.keep_alive,
            only_head=self.only_head,
        )
        self._write_last(wire)

    def land(self, *, retry: bool) -> None:
        """End the rendering that others wait for. `retry`: one of the waiters may render instead."""
        flight = self.flight
        if flight is not None:
            self.flight = None
            for waiter in self.worker.cache.finish(flight):
                waiter.resume_from_flight(alone=not retry)  # type: ignore[attr-defined]

    # The ASGI interface

    async def _receive(self) -> Message:
        while True:
            if self.disconnected or self.finished:
                return {"type": "http.disconnect"}
            body = self.body
            if body or (self.is_body_complete and not self._told_end):
                more = not self.is_body_complete
                self._told_end = not more
                self.body = bytearray()
                self.protocol.body_taken(len(body))
                return {"type": "http.request", "body": bytes(body), "more_body": more}
            # The request waits for its own client and has no work to do: release the slot for others.
            self.release()
            self._wakeup = self.worker.loop.create_future()
            try:
                await self._wakeup
            finally:
                self._wakeup = None

    async def _send(self, message: Message) -> None:
        kind = message["type"]
        if kind == "http.response.start":
            if self._started:
                raise RuntimeError("http.response.start was sent twice")
            self._started = True
            self._status = message["status"]
            self._headers = list(message.get("headers", ()))
            return
        if kind != "http.response.body":
            raise RuntimeError(f"{kind!r} is not part of an HTTP answer")
        if not self._started or self.finished:
            raise RuntimeError("http.response.body outside of an answer")
        if self.disconnected and self.hot is None:
            raise ClientDisconnected
        body: bytes = message.get("body", b"")
        more: bool = message.get("more_body", False)
        if self.hot is not None and not self._sent and self._status == 200:
            self._pieces.append(body)
            self._piece_bytes += len(body)
            if more and self._piece_bytes <= MAX_KEPT_BYTES:
                return
            body = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
            if not more and self.hot.tags is not None and self._keep(body):
                return
            # The answer may not be stored: send it like any other answer.
            self.hot = None
            if self.disconnected:
                raise ClientDisconnected
        if not more and not self._sent and len(body) >= MIN_PERSONAL_BYTES:
            body = self._compressed(body)
        data = self._frame(body, more=more) if self._sent else self._begin(body, more=more)
        self._sent = True
        if not more:
            self._write_last(data)
            return
        if data:
            self.protocol.transport.write(data)
            if self.protocol.write_paused:
                # A slow reader delays only its own answer and must not hold a slot.
                self.release()
                await self.protocol.drained()

    def _compressed(self, body: bytes) -> bytes:
        """Return a whole answer in gzip and adapt its headers, if the client accepts gzip.

        Return it unchanged under overload, when CPU time is scarce, and if a header describes its exact bytes
        (ETag, Content-Encoding, a range).
        """
        if self._status != 200 or self.worker.shield.is_stressed:
            return body
        for name, value in self.scope["headers"]:
            if name == b"accept-encoding":
                if accepts_gzip(value):
                    break
                return body
        else:
            return body
        kind = b""
        for name, value in self._headers:
            if name == b"content-type":
                kind = value
            elif name in _NAMES_BYTES:
                return body
        if not is_compressible(kind):
            return body
        body = encode_fast(body)
        self._headers = [header for header in self._headers if header[0] != b"content-length"]
        self._headers += ((b"content-encoding", b"gzip"), (b"vary", b"Accept-Encoding"))
        return body

    def _keep(self, body: bytes) -> bool:
        """Store the answer for all visitors and send it to this client; False if it may not be stored."""
        hot, head, worker = self.hot, self.head, self.worker
        assert hot is not None
        assert head is not None
        assert head.key is not None
        for name, value in self._headers:
            name = name.lower()
            if name == b"set-cookie" or (name == b"cache-control" and _PRIVATE.search(value)):
                return False
        page = CachedPage(head.key, [checked(header) for header in self._headers], body)
        at_s = worker.loop.time()
        worker.counts.rendered += 1
        flight = self.flight
        stored = flight is not None and worker.cache.store(
            flight, page, tags=hot.tags or (), at_s=at_s, ttl_s=hot.ttl_s
        )
        self._sent = True
        if not self.disconnected:
            extra = b""
            if page.is_metered:
                extra = self._limit_lines()
            extra += self.protocol.introduction(page, head)
            if head.keep_alive and not self.keep_alive:
                extra += b"connection: close\r\n"
            status, wire = page.answer(head, worker.second, worker.date, extra)
            if status == 304:
                worker.counts.not_modified += 1
            self._write_last(wire)
        else:
            self.finished = True
        # If a tag was invalidated meanwhile, the page was not stored: one of the waiters renders again.
        self.land(retry=True)
        if stored:
            worker.cache.touch(page)
        return True

    def _begin(self, body: bytes, *, more: bool) -> bytes:  # noqa: C901 - on the path of every request
        """Return the status line, the headers and the beginning of the body."""
        status = self._status
        lines = [_STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\ndate: " % status, self.worker.date, b"\r\n"]
        length: int | None = None
        has_length = closes = False
        for header in self._headers:
            line = _lines.get(header)
            if line is not None:
                lines.append(line)
                continue
            if header[0] == METERED:
                lines.append(self._limit_lines())
                continue
            name, value = checked(header)
            if name == b"content-length":
                length, has_length = int(value), True
                if status in _NO_BODY:
                    continue
            elif name == b"transfer-encoding" or name == b"date" or name == b"keep-alive":
                continue
            elif name == b"connection":
                closes = closes or b"close" in value.lower()
                continue
            line = b"%b: %b\r\n" % (name, value)
            if name in _REPEATED_NAMES and len(_lines) < _LINES:
                _lines[header] = line
            lines.append(line)
        if closes or (not self.is_body_complete and not more):
            self.keep_alive = False
        bodyless = self.only_head or status in _NO_BODY or status < 200
        if bodyless:
            self._left = None
        elif has_length:
            assert length is not None
            self._left = length - len(body)
            if self._left < 0 or (self._left and not more):
                raise RuntimeError(f"content-length says {length}, the body has {len(body)} bytes")
        elif not more:
            lines.append(b"content-length: %d\r\n" % len(body))
        elif self.version_1_0:
            self.keep_alive = False
        else:
            self._chunked = True
            lines.append(b"transfer-encoding: chunked\r\n")
        if bodyless and self.only_head and not has_length and not more and status not in _NO_BODY:
            lines.append(b"content-length: %d\r\n" % len(body))
        lines.append(b"\r\n" if self.keep_alive else b"connection: close\r\n\r\n")
        if bodyless:
            self._status = 204
        elif self._chunked:
            lines.append(self._chunk(body, more=more))
        elif len(body) > _JOINED_BYTES:
            # Joining a large body would copy it, which costs more than a second write, and
            # hold the copy per slow reader.
            self.protocol.transport.write(b"".join(lines))
            return body
        else:
            lines.append(body)
        return b"".join(lines)

    def _limit_lines(self) -> bytes:
        """Return the rate-limit lines for the client of this request; b"" without a limit."""
        worker, left = self.worker, self.ticket.left
        ceiling = worker.gate.ceiling
        if not ceiling.limit:
            return b""
        return worker.refusals.rate_limit_lines(
            ceiling.limit, int(left), worker.second + 1 + ceiling.full_in_s(left)
        )

    def _frame(self, body: bytes, *, more: bool) -> bytes:
        """Return a further part of the body as it is sent."""
        if self.only_head or self._status == 204:
            return b""
        if self._chunked:
            return self._chunk(body, more=more)
        if self._left is not None:
            self._left -= len(body)
            if self._left < 0 or (self._left and not more):
                raise RuntimeError("the body does not have the length that content-length says")
        return body

    @staticmethod
    def _chunk(body: bytes, *, more: bool) -> bytes:
        chunk = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
        return chunk if more else chunk + b"0\r\n\r\n"

    def _write_last(self, data: bytes) -> None:
        self._sent = self.finished = True
        protocol = self.protocol
        if data and not self.disconnected:
            protocol.transport.write(data)
        # The slot was held until here, so the remaining work costs next to nothing.
        self._is_charged = self.ticket.state == RUNNING
        self.release()
        self.wake()
        protocol.cycle_finished(self)


def checked(header: tuple[bytes, bytes]) -> tuple[bytes, bytes]:
    """Return a header with its name in lower case; RuntimeError for bytes that would split the answer."""
    name, value = header
    known = _names.get(name)
    if known is None:
        if not _TOKEN.fullmatch(name):
            raise RuntimeError("an invalid header name in the application's answer")
        known = name.lower()
        if len(_names) < _NAMES:
            _names[name] = known
    if b"\n" in value or b"\r" in value or b"\0" in value:
        raise RuntimeError(f"an invalid value of the header {known.decode()} in the application's answer")
    return known, value
