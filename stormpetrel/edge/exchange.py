"""One request at the application, and its answer: the ASGI side of a connection.

In contrast to other ASGI servers, the body is usually complete before the application starts, an answer in one
piece is one write, answers for hot pages and for tokens are stored, and the slot is released when the answer is
complete or as soon as the request waits for its own client.
"""

from __future__ import annotations

import asyncio
import logging
import re
from functools import partial

from stormpetrel.cpu import CpuMeter
from stormpetrel.edge.asgi import AsgiMessage, HotRender, http_scope
from stormpetrel.edge.cache import MAX_KEPT_BYTES, CachedPage, Flight, Headers
from stormpetrel.edge.compression import in_gzip
from stormpetrel.edge.finished import AnswerKey, FinishedOffer
from stormpetrel.edge.framing import AnswerFraming, checked
from stormpetrel.edge.heads import Head
from stormpetrel.edge.message import RequestMessage
from stormpetrel.edge.rejections import FAILED
from stormpetrel.edge.streams import ClientDisconnected, EventStream
from stormpetrel.edge.wire import Wire
from stormpetrel.edge.worker import EdgeWorker
from stormpetrel.shield.counters import TURNED_AWAY
from stormpetrel.shield.identify import Visit
from stormpetrel.shield.queues import RUNNING, Ticket

_log = logging.getLogger("stormpetrel.edge")
_PRIVATE = re.compile(rb"(?i)\b(?:no-store|private)\b")
_JOINED_BYTES = 65_536
NOT_WORTH_CHARGING_S = 0.0001
"""CPU time used after the slot was released is charged from this amount up; most requests use less."""


class HttpExchange:
    """One request: waits with a ticket, runs, answers. `wire` is its connection.

    `body`: the content that the application has not taken. `flight`: the rendering that others wait for; `offer`:
    to store the answer for its token; `stream`: the handle of an answer that stays open.
    """

    __slots__ = (
        "__weakref__",
        "_charged_s",
        "_framing",
        "_has_begun",
        "_headers",
        "_is_body_taken",
        "_is_charged",
        "_is_started",
        "_meter",
        "_piece_bytes",
        "_pieces",
        "_stale_key",
        "_status",
        "_wakeup",
        "_wire",
        "body",
        "disconnected",
        "facts",
        "finished",
        "flight",
        "head",
        "hot",
        "is_body_complete",
        "is_upgrade",
        "offer",
        "scope",
        "stream",
        "task",
        "ticket",
        "worker",
    )

    def __init__(
        self,
        wire: Wire,
        worker: EdgeWorker,
        ticket: Ticket,
        message: RequestMessage,
        visit: Visit,
        *,
        client: tuple[str, int] | None,
        body: bytearray,
        is_body_complete: bool,
    ) -> None:
        self._wire = wire
        self.worker = worker
        self.ticket = ticket
        ticket.payload = self
        self.is_upgrade = message.is_upgrade
        self.facts = message.facts
        self.body = body
        self.is_body_complete = is_body_complete
        self.disconnected = False
        self.finished = False
        self.head: Head | None = None
        self.hot: HotRender | None = None
        self.flight: Flight | None = None
        self.offer: FinishedOffer | None = None
        # The cache may have an older page of this key, served if this rendering fails.
        self._stale_key: bytes | None = None
        self.stream: EventStream | None = None
        self.task: asyncio.Task[None] | None = None
        self._framing = AnswerFraming(
            keep_alive=message.keep_alive,
            only_head=message.method == "HEAD",
            is_http_1_0=message.version == "1.0",
        )
        self._is_started = False
        self._has_begun = False
        self._status = 0
        self._headers: Headers = []
        self._pieces: list[bytes] = []
        self._piece_bytes = 0
        self._is_body_taken = False
        self._wakeup: asyncio.Future[None] | None = None
        self._meter: CpuMeter | None = None
        self._charged_s = 0.0
        self._is_charged = False
        self.scope = scope = http_scope(
            message,
            visit,
            ticket,
            client=client,
            server=worker.server,
            scheme=worker.scheme,
            rate_limit=worker.gate.ceiling.limit,
        )
        scope["release_slot"] = self.release
        scope["open_stream"] = self.open_stream

    def share(self, head: Head, key: bytes, now: float, *, alone: bool) -> None:
        """Offer the application to store its answer for all visitors. `alone`: let no others wait for it."""
        cache = self.worker.cache
        self.head = head
        self.hot = self.scope["hot"] = HotRender()
        self.scope["method"] = "GET"
        if not alone and key not in cache.flights:
            self._stale_key = key
            self.flight = cache.begin(key, now)

    def may_keep(self, key: AnswerKey) -> None:
        """Offer the application to store its answer for the token, if it asks again and again."""
        self.offer = self.worker.finished.offer(key)
        if self.offer is not None:
            self.scope |= {"finished": self.offer, "send_finished": self.send_finished}

    # The gate has decided

    def start(self) -> None:
        """Run at the application: the request has a slot now."""
        worker = self.worker
        if self.is_upgrade:
            self._wire.hand_over()
            return
        worker.counts.admitted += 1
        self._meter = CpuMeter(self._run(), worker.step_clock)
        self.task = task = worker.loop.create_task(self._meter)
        worker.tasks.add(task)

    def refuse(self, because: str) -> None:
        """Refuse the request: it lost its place in the queue."""
        if not self.disconnected:
            self._wire.refuse_exchange(because)

    def release(self) -> None:
        """Release the slot; a second call does nothing. Also the application's `scope["release_slot"]`."""
        meter = self._meter
        cpu_s = 0.0
        if self.ticket.state == RUNNING and meter is not None:
            self._charged_s = cpu_s = meter.cpu_s
        self.worker.give_back(self.ticket, cpu_s)

    # The connection

    @property
    def keep_alive(self) -> bool:
        """Return True if the connection may carry another request after the answer."""
        return self._framing.keep_alive

    def close_after(self) -> None:
        """Let the connection end with the answer."""
        self._framing.keep_alive = False

    @property
    def has_begun(self) -> bool:
        """Return True once a part of the answer was written."""
        return self._has_begun

    @property
    def is_open(self) -> bool:
        """Return True while the client is there and the answer is not complete."""
        return not self.disconnected and not self.finished

    def add_body(self, data: bytes | bytearray, *, is_last: bool) -> None:
        """Pass on a further part of the body."""
        self.body += data
        self.is_body_complete = is_last
        self._wake()

    def disconnect(self) -> None:
        """Note that the client has disconnected, and give up the request's place in the queue."""
        self.disconnected = True
        self._wake()
        if self.task is None:
            self.worker.shield.leave(self.ticket, at_s=self.worker.loop.time())
            self.land(retry=True)

    def land(self, *, retry: bool) -> None:
        """End the rendering that others wait for. `retry`: one of the waiters may render instead."""
        flight = self.flight
        if flight is not None:
            self.flight = None
            for waiter in self.worker.cache.finish(flight):
                waiter.resume_from_flight(alone=not retry)

    def _wake(self) -> None:
        wakeup = self._wakeup
        if wakeup is not None and not wakeup.done():
            wakeup.set_result(None)

    # An open answer

    def open_stream(self, heartbeat: bytes) -> EventStream:
        """Leave a begun answer open until its client disconnects or `end` is called: `scope["open_stream"]`.

        The stream holds no slot. Its `heartbeat` is sent at intervals, and a drain ends it. Raise
        RuntimeError if the answer has not begun or is complete.
        """
        if not self._has_begun or self.finished:
            raise RuntimeError("a stream is an answer that was begun and is not complete")
        self.release()
        self.stream = stream = EventStream(self, self._wire, self.worker.counts, heartbeat)
        if not self.disconnected:
            self._wire.stream_opened()
        return stream

    def write_part(self, data: bytes) -> int:
        """Write a part of an open answer; return its size in bytes as sent."""
        framed = self._framing.part(data, more=True)
        self._wire.write(framed)
        return len(framed)

    def write_end(self) -> None:
        """Complete the open answer; a second call does nothing."""
        if self.is_open:
            self._write_last(self._framing.part(b"", more=False))

    # The application

    async def _run(self) -> None:
        worker = self.worker
        try:
            await worker.app(self.scope, self._receive, self._send)
            if self.is_open:
                raise RuntimeError("the application returned without completing its answer")
        except asyncio.CancelledError:
            # Only the end of the drain cancels a task; its connection ends with it. After its answer, the connection
            # may be at the next request, or belong to a WebSocket.
            if self.is_open:
                self._wire.abort()
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
            # Ticket and scope lead back to this object: 28 objects would wait for the garbage collector.
            self.ticket.payload = None
            del self.scope["release_slot"], self.scope["open_stream"]
            self.scope.pop("send_finished", None)

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
        if not self.is_open:
            return
        if self._has_begun:
            self.worker.shield.failed(self.ticket)
            self._wire.abort()
            return
        if self._stale_key is not None and self.head is not None:
            # A recent page serves a visitor better than an error, unless it was purged during the rendering.
            stale = worker.cache.lookup(self._stale_key, worker.loop.time())
            if stale is not None:
                _, wire = stale.answer(self.head, worker.second, worker.date)
                self._write_last(wire)
                return
        worker.shield.failed(self.ticket)
        worker.counts.refused[FAILED.because] += 1
        wire = worker.refusals.answer(
            FAILED,
            path=self.scope["raw_path"],
            date=worker.date,
            keep_alive=self.keep_alive,
            method=self.scope["method"],
        )
        self._write_last(wire)

    async def _receive(self) -> AsgiMessage:
        while self.is_open:
            body = self.body
            if body or (self.is_body_complete and not self._is_body_taken):
                self._is_body_taken = self.is_body_complete
                self.body = bytearray()
                self._wire.body_taken(len(body))
                return {
                    "type": "http.request",
                    "body": bytes(body),
                    "more_body": not self._is_body_taken,
                }
            # The request waits for its own client and has no work to do: release the slot for others.
            self.release()
            self._wakeup = self.worker.loop.create_future()
            try:
                await self._wakeup
            finally:
                self._wakeup = None
        return {"type": "http.disconnect"}

    async def _send(self, message: AsgiMessage) -> None:
        kind = message["type"]
        if kind == "http.response.start":
            if self._is_started:
                raise RuntimeError("http.response.start was sent twice")
            self._is_started = True
            self._status = message["status"]
            if self._status >= 500:
                self.worker.shield.failed(self.ticket)
            if self._status in TURNED_AWAY:
                self.worker.turned_away(self.ticket, self._status)
            self._headers = list(message.get("headers", ()))
            return
        if kind != "http.response.body":
            raise RuntimeError(f"{kind!r} is not part of an HTTP answer")
        if not self._is_started or self.finished:
            raise RuntimeError("http.response.body outside of an answer")
        if self.disconnected and self.hot is None:
            raise ClientDisconnected
        body: bytes | None = message.get("body", b"")
        assert body is not None
        more: bool = message.get("more_body", False)
        if self.hot is not None and not self._has_begun and self._status == 200:
            body = self._gather(body, self.hot, more=more)
            if body is None:
                return
        data = self._framing.part(body, more=more) if self._has_begun else self._begin(body, more=more)
        if not more:
            self._write_last(data)
        elif data:
            self._wire.write(data)
            if self._wire.is_paused:
                # A slow reader delays only its own answer and must not hold a slot.
                self.release()
                await self._wire.drained()

    def _begin(self, body: bytes, *, more: bool) -> bytes:
        """Return the beginning of the answer as it is sent."""
        if not more and self._status == 200:
            body = self._whole(body)
        self._count()
        framing = self._framing
        if not self.is_body_complete and not more:
            framing.keep_alive = False
        date, metered = self.worker.date, partial(self.worker.limit_lines, self.ticket)
        head, body = framing.begin(self._status, self._headers, body, more=more, date=date, metered=metered)
        self._has_begun = True
        if len(body) > _JOINED_BYTES:
            # Joining a large body would copy it, which costs more than a second write, and
            # hold the copy per slow reader.
            self._wire.write(head)
            return body
        return head + body

    def _count(self) -> None:
        """Count the visitor, unless the answer is an error."""
        worker = self.worker
        scope = self.scope
        if worker.audience is not None and self._status < 400 and not scope["is_canary"]:
            worker.audience.see_answered(self.facts, scope["visit"], scope["raw_path"], epoch_s=worker.second)

    def send_finished(self) -> bool:
        """Send the answer that is stored for this token and return True; return False if there is none.

        The application calls it (`scope["send_finished"]`) once the token is known to be valid.
        """
        offer, worker = self.offer, self.worker
        now_s = worker.epoch_s(worker.loop.time())
        answer = worker.finished.find(offer.key, now_s) if offer is not None and self.is_open else None
        if answer is None:
            return False
        worker.counts.finished += 1
        self._status = 200
        self._count()
        accepted = self.facts.get(b"accept-encoding")
        self._write_last(worker.finished_wire(answer, accepted, self.ticket, keep_alive=self.keep_alive))
        return True

    def _whole(self, body: bytes) -> bytes:
        """Store a whole answer for its token, if allowed; return it in gzip, if that pays and there is CPU time."""
        worker = self.worker
        finished = None if self.offer is None else worker.finished.store(self.offer, self._headers, body)
        packed = None if worker.shield.is_stressed else in_gzip(self._headers, body, self.facts)
        if packed is not None:
            self._headers, body = packed
            if finished is not None:
                worker.finished.take_packed(finished, body)
        return body

    # A page for all visitors

    def _gather(self, body: bytes, hot: HotRender, *, more: bool) -> bytes | None:
        """Collect a page that may be stored. Return None while it is incomplete, and once it is stored.

        Otherwise return the collected body, to be sent like any other answer. Raise ClientDisconnected if no
        client waits for it.
        """
        self._pieces.append(body)
        self._piece_bytes += len(body)
        if more and self._piece_bytes <= MAX_KEPT_BYTES:
            return None
        body = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        if not more and hot.tags is not None and self._keep(body, hot):
            return None
        self.hot = None
        if self.disconnected:
            raise ClientDisconnected
        return body

    def _keep(self, body: bytes, hot: HotRender) -> bool:
        """Store the answer for all visitors and send it to this client; False if it may not be stored."""
        head, worker = self.head, self.worker
        assert head is not None
        assert head.key is not None
        for name, value in self._headers:
            name = name.lower()
            if name == b"set-cookie" or (name == b"cache-control" and _PRIVATE.search(value)):
                return False
        page = CachedPage(head.key, [checked(header) for header in self._headers], body)
        worker.counts.rendered += 1
        flight = self.flight
        stored = flight is not None and worker.cache.store(
            flight, page, tags=hot.tags or (), at_s=worker.loop.time(), ttl_s=hot.ttl_s
        )
        self._has_begun = True
        if not self.disconnected:
            self._write_page(page, head)
        else:
            self.finished = True
        # If a tag was invalidated meanwhile, the page was not stored: one of the waiters renders again.
        self.land(retry=True)
        if stored:
            worker.cache.touch(page)
        return True

    def _write_page(self, page: CachedPage, head: Head) -> None:
        """Send a page to this client."""
        worker = self.worker
        self._count()
        lines = worker.limit_lines(self.ticket) if page.is_metered else b""
        lines += self._wire.introduction(page, head)
        if head.keep_alive and not self.keep_alive:
            lines += b"connection: close\r\n"
        status, wire = page.answer(head, worker.second, worker.date, lines)
        if status == 304:
            worker.counts.not_modified += 1
        self._write_last(wire)

    def _write_last(self, data: bytes) -> None:
        self._has_begun = self.finished = True
        if data and not self.disconnected:
            self._wire.write(data)
        # The slot was held until here, so the remaining work costs next to nothing.
        self._is_charged = self.ticket.state == RUNNING
        self.release()
        self._wake()
        if not self.disconnected:
            self._wire.exchange_finished()
