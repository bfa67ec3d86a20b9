"""One request at the application, and its answer: the ASGI side of a connection.

Leaner than uvicorn's own cycle, and different where it matters here: the body is usually complete before the
application starts, an answer in one piece is one write, a hot page's answer is kept, and the slot goes back
when the answer is complete or as soon as the request waits for its own client.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Iterable
from http import HTTPStatus
from typing import TYPE_CHECKING

from uvicorn.protocols.utils import ClientDisconnected

from stormpetrel.cpu import CpuMeter
from stormpetrel.edge.cache import MAX_KEPT_BYTES, METERED, Flight, Headers, Page
from stormpetrel.edge.codings import accepts_gzip, encode_fast, is_compressible
from stormpetrel.edge.heads import Head
from stormpetrel.edge.streams import EventStream
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
"""An answer for one reader is compressed from this size: below, it fits into a packet anyway."""
_NAMES_BYTES = frozenset({b"etag", b"content-encoding", b"content-range", b"accept-ranges"})
NOT_WORTH_CHARGING_S = 0.0001
"""What a request costs after its slot is given back is charged from here on; most end in less."""
# Headers that come with the same value again and again, and the line each gives: an answer has a dozen of them.
_REPEATED_NAMES = frozenset(
    b"access-control-allow-origin access-control-expose-headers cache-control content-security-policy "
    b"content-type cross-origin-opener-policy permissions-policy referrer-policy strict-transport-security vary "
    b"x-content-type-options x-frame-options".split()
)
_lines: dict[tuple[bytes, bytes], bytes] = {}
_LINES = 1024
FAILED = Refused(500, "edge/failed", "Something went wrong on the server; the error has been logged")


class HotRender:
    """`scope["hot"]`: the application says here that its answer may be given to everybody."""

    __slots__ = ("tags", "ttl_s")

    def __init__(self) -> None:
        self.tags: tuple[str, ...] | None = None
        self.ttl_s: float | None = None

    def keep(self, tags: Iterable[str], *, ttl_s: float | None = None) -> None:
        """Keep this request's 200 answer under these tags ("account:12", "post:34", "public", …).

        `ttl_s`: how long it is fresh; None for the configured time. An answer that sets a cookie or says
        `private` or `no-store` is not kept whatever is said here.
        """
        self.tags = tuple(tags)
        self.ttl_s = ttl_s


class Cycle:
    """One request: waits with a ticket, runs, answers. `protocol` is the connection it came from."""

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
        self.stale: Page | None = None
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

    # What the gate decides

    def start(self) -> None:
        """A slot is held: run at the application."""
        worker = self.worker
        if self.is_upgrade:
            self.protocol.hand_over(self)
            return
        worker.counts.admitted += 1
        self._meter = CpuMeter(self._run(), worker.step_clock)
        self.task = task = worker.loop.create_task(self._meter)
        worker.tasks.add(task)

    def refuse(self, because: str) -> None:
        """The place in the queue was lost."""
        self.protocol.refuse_cycle(self, because)

    def release(self) -> None:
        """Give the slot back; again is ignored. Also the application's `scope["release_slot"]`."""
        meter = self._meter
        cpu_s = 0.0
        if self.ticket.state == RUNNING and meter is not None:
            self._charged_s = cpu_s = meter.cpu_s
        self.worker.give_back(self.ticket, cpu_s)

    def open_stream(self, heartbeat: bytes) -> EventStream:
        """`scope["open_stream"]`: an answer that was begun stays open until its client goes or `end`.

        It holds no slot, its `heartbeat` is sent while nothing else is, and a drain ends it.
        """
        if not self._sent or self.finished:
            raise RuntimeError("a stream is an answer that was begun and is not complete")
        self.release()
        self.stream = EventStream(self, heartbeat)
        self.protocol.stream_opened(self)
        return self.stream

    def write_part(self, data: bytes) -> int:
        """A part of an open answer, as it goes out; the bytes it takes."""
        framed = self._frame(data, more=True)
        self.protocol.transport.write(framed)
        return len(framed)

    def write_end(self) -> None:
        """The open answer is complete; again is ignored."""
        if not self.finished and not self.disconnected:
            self._write_last(self._frame(b"", more=False))

    @property
    def has_begun(self) -> bool:
        """True when a part of the answer was written."""
        return self._sent

    def disconnect(self) -> None:
        """The client is gone."""
        self.disconnected = True
        self.wake()

    def wake(self) -> None:
        """Something came that `receive` may be waiting for."""
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
            # Only the end of the drain cancels: the connection goes with it.
            self.protocol.abort()
        except BaseException as error:
            # The process's edge: whatever the application raised must end as an answer, logged and counted.
            if not (self.disconnected and isinstance(error, OSError)):
                self._fail(error)
        finally:
            if self.task is not None:
                worker.tasks.discard(self.task)
            self.release()
            self._charge_rest()
            self.land(retry=False)

    def _charge_rest(self) -> None:
        """Charge what was used since the slot was given back: a write renders its answer only then."""
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
            # A page that was right a moment ago serves a visitor better than an error.
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
        """The rendering others wait for is over. `retry`: they may find a leader among themselves."""
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
            # It waits for its own client, with no work to do: others may have the slot.
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
            # Not to be kept: on as any other answer.
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
                # A slow reader keeps its own answer waiting, not a slot.
                self.release()
                await self.protocol.drained()

    def _compressed(self, body: bytes) -> bytes:
        """Return a whole answer in gzip, its headers changed to say so, where its client takes that.

        Not under overload, where CPU is what is short. Not where the answer names its bytes (ETag, a range).
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
        """Keep the answer for everybody and give this client its form of it; False: it may not be kept."""
        hot, head, worker = self.hot, self.head, self.worker
        assert hot is not None
        assert head is not None
        assert head.key is not None
        for name, value in self._headers:
            name = name.lower()
            if name == b"set-cookie" or (name == b"cache-control" and _PRIVATE.search(value)):
                return False
        page = Page(head.key, [checked(header) for header in self._headers], body)
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
        # Not kept because something was invalidated meanwhile: one of those who wait renders again.
        self.land(retry=True)
        if stored:
            worker.cache.touch(page)
        return True

    def _begin(self, body: bytes, *, more: bool) -> bytes:
        """Status line, headers and the first of the body."""
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
            # Copying a large body to save a write would cost more, and its memory once per slow reader.
            self.protocol.transport.write(b"".join(lines))
            return body
        else:
            lines.append(body)
        return b"".join(lines)

    def _limit_lines(self) -> bytes:
        """What is left to whom this answer goes."""
        worker, left = self.worker, self.ticket.left
        ceiling = worker.gate.ceiling
        if not ceiling.limit:
            return b""
        return worker.refusals.rate_limit_lines(
            ceiling.limit, int(left), worker.second + 1 + ceiling.full_in_s(left)
        )

    def _frame(self, body: bytes, *, more: bool) -> bytes:
        """More of the body, as it goes out."""
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
        # With the slot held until here, what is left to do costs next to nothing.
        self._is_charged = self.ticket.state == RUNNING
        self.release()
        self.wake()
        protocol.cycle_finished(self)


def checked(header: tuple[bytes, bytes]) -> tuple[bytes, bytes]:
    """A header, its name in lower case; RuntimeError for what would split the answer in two."""
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
