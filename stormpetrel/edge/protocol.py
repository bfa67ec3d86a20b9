"""The HTTP/1.1 protocol class: from bytes to an answer from memory, the cache, or the application.

The parser is httptools'; a WebSocket continues with another protocol (websocket.py). The rest of the way
from the first byte to the application is here, in messages.py and in connection.py. The parser gets one
message at a time, cut where its head (or body) ends, so later messages wait as plain bytes and a
pipelining client costs no tasks.

Two paths answer without the application: the memo (`data_received`: the same bytes as a request that was
parsed before, between two messages) and `_serve_hot` after parsing. Both give the same bytes.
"""

from __future__ import annotations

import asyncio
from functools import partial

from stormpetrel.edge.answers import HotAnswers
from stormpetrel.edge.connection import (
    BODY,
    BUSY,
    CLOSING,
    FLIGHT,
    HEADER,
    IDLE,
    LINGER,
    STREAM,
    WRITE,
    WRITE_BUFFER_BYTES,
    peer_address,
    reset,
    unread_bytes,
)
from stormpetrel.edge.cycle import Cycle, HotRender
from stormpetrel.edge.heads import Head
from stormpetrel.edge.streams import HEARTBEAT_S
from stormpetrel.edge.websocket import HANDSHAKE_HEADERS, EdgeWebSocket
from stormpetrel.edge.wheel import NEVER
from stormpetrel.edge.worker import INPUT_MEMORY_BYTES
from stormpetrel.shield.canary import HEADER as CANARY
from stormpetrel.shield.identify import Visit, address_identity
from stormpetrel.shield.queues import GONE, RUNNING, Ticket

MAX_BLANK_BYTES = 16
"""Line ends before a request; RFC 9112, 2.2 asks to skip at least one."""
MAX_CHUNKED_CUTS = 64
"""A chunked body is cut at up to this many blank lines per read, as a body full of them would cost CPU."""
MAX_MESSAGES_AT_ONCE = 64
"""Pipelined messages answered in one turn of the loop: 10,000 fit into one read."""
MIN_DRAIN_BYTES = 4096
"""A slow reader must take at least this much per write deadline, or the connection is closed."""


class EdgeProtocol(HotAnswers):
    """One connection of the edge, as the transport sees it."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.transport = transport
        self.client = client = peer_address(transport)
        address = client[0] if client is not None else "local"
        worker = self.worker
        over = worker.caps.enter(address)
        if over:
            worker.counts.dropped[over] += 1
            self._closing = True
            reset(transport)
            return
        self.address = address
        self.stranger = address_identity(address)
        self._nobody = Visit(self.stranger, address)
        worker.connections.add(self)
        worker.counts.accepted += 1
        worker.counts.connections += 1
        transport.set_write_buffer_limits(high=WRITE_BUFFER_BYTES)
        self.ready = not worker.is_draining
        self._arm(HEADER, self.loop.time() + worker.config.header_timeout_s)

    def connection_lost(self, exc: Exception | None) -> None:
        worker = self.worker
        if self.address:
            worker.wheel.disarm(self)
            worker.connections.discard(self)
            worker.counts.connections -= 1
            worker.caps.leave(self.address)
        self._closing = True
        self.ready = False
        self._stash = b""
        self._forget_input()
        self._leave_flight()
        cycle = self._cycle
        if cycle is not None:
            self._cycle = None
            cycle.disconnect()
            if cycle.task is None:
                # The request still waited in the queue: its client is gone, so do not run it.
                worker.counts.gone_while_waiting += 1
                worker.shield.leave(cycle.ticket)
                cycle.land(retry=True)
        self._wake_drained()
        # The parser holds this object's methods: drop it, or the two would form a reference cycle.
        self.parser = None  # type: ignore[assignment]

    def eof_received(self) -> None:
        return None

    def data_received(self, data: bytes) -> None:
        if self.ready:
            # Look in the memo's `young` half first: a repeated request then costs one look-up.
            memo = self.memo
            head = memo.young.get(data) or memo.get(data)
            if head is not None and self._answer_remembered(head):
                return
        if self._closing:
            self._discard(len(data))
            return
        self._feed(data)

    def pause_writing(self) -> None:
        self.write_paused = True
        self.ready = False
        if not self._closing:
            self._arm_write()

    def resume_writing(self) -> None:
        self.write_paused = False
        self._wake_drained()
        if not self._closing:
            self._settle()
            self._feed_stash()

    def _feed(self, data: bytes) -> None:  # noqa: C901 - on the path of every request
        """Feed the parser one message after another, until one has to wait for its answer."""
        at, end = 0, len(data)
        cuts = messages = 0
        while at < end:
            if self._closing or self._is_sealed:
                self._discard(end - at)
                return
            if (self._outstanding and not self._is_in_body) or self.write_paused:
                self._keep_back(data[at:] if at else data)
                return
            if messages >= MAX_MESSAGES_AT_ONCE:
                self._keep_back(data[at:])
                self.loop.call_soon(self._feed_stash)
                return
            if self._clean:
                while at < end and data[at] in b"\r\n":
                    at += 1
                    self._blank_bytes += 1
                if self._blank_bytes > MAX_BLANK_BYTES:
                    self._refuse_input(400, "edge/malformed", "The request could not be read")
                    return
                if at == end:
                    break
            if self._body_left:
                cut = min(end, at + self._body_left)
            elif self._is_in_body and cuts >= MAX_CHUNKED_CUTS:
                cut = end
            else:
                cut = self._terminator(data, at)
                cuts += 1
            is_whole = self._clean and cut > 0
            messages += 1
            if cut < 0:
                cut = end
            piece = data if at == 0 and cut == end else data[at:cut]
            at = cut
            if is_whole and self.ready:
                head = self.memo.get(piece)
                if head is not None and self._answer_remembered(head):
                    continue
            if not self._parse(piece):
                return
            if self._complete:
                self._complete = False
                self._blank_bytes = 0
                # A canary's mark is valid for seconds only, and a remembered head counts as a stranger's.
                if is_whole and self._head is not None and CANARY not in self._facts:
                    self.memo.offer(piece, self._head)
                self._dispatch()
            elif self._begins_stream:
                self._begins_stream = False
                self._dispatch()
        if not self._clean and not self._closing:
            self._progress()

    def _dispatch(self) -> None:
        """Answer a message: from memory, from the cache, or by the application."""
        self.ready = False
        self._outstanding = True
        now = self.loop.time()
        if self._path == b"/health" and self._method in ("GET", "HEAD"):
            head = Head(
                b"/health",
                None,
                coding=0,
                if_none_match=None,
                only_head=self._method == "HEAD",
                keep_alive=self._keep_alive,
            )
            self._answer_page(self.worker.health, head, now, cached=False)
            return
        head_or_none = self._head
        if head_or_none is None or head_or_none.key is None or not self._serve_hot(head_or_none, now):
            self._admit(now)

    def _admit(self, now: float, *, alone: bool = False) -> None:
        """Run the message at the application, queue it, or refuse it. `alone`: do not render for others."""
        worker = self.worker
        visit = self._visit
        assert visit is not None
        shield = worker.shield
        head = self._head
        ticket = self._decide(visit, now)
        if ticket.state == GONE:
            self._refuse(ticket.because, ticket, head, now)
            return
        # A refused request costs no more than the work up to here.
        because = shield.ask(ticket, now)
        if because:
            self._refuse(because, ticket, head, now)
            return
        scope = self._scope(visit)
        cycle = Cycle(
            self, worker, scope, ticket, keep_alive=self._keep_alive, only_head=self._method == "HEAD"
        )
        ticket.payload = cycle
        cycle.version_1_0 = self._version == "1.0"
        cycle.is_body_complete = self._clean
        cycle.is_upgrade = self._is_upgrade
        if self._body:
            cycle.body, self._body = self._body, bytearray()
        scope["release_slot"] = cycle.release
        scope["open_stream"] = cycle.open_stream
        if head is not None and head.key is not None:
            cycle.head = head
            cycle.hot = scope["hot"] = HotRender()
            scope["method"] = "GET"
            if not alone and head.key not in worker.cache.flights:
                cycle.stale = worker.cache.lookup(head.key, now)
                cycle.flight = worker.cache.begin(head.key, now)
        self._cycle = cycle
        scope["lane"] = ticket.lane
        scope["is_near"] = ticket.is_neighbour
        scope["is_canary"] = ticket.identity.kind == "canary"
        if ticket.state == RUNNING:
            cycle.start()
        else:
            self._settle()
            worker.settle()

    def _decide(self, visit: Visit, now: float) -> Ticket:
        """Return the shield's ticket for the parsed message."""
        return self.worker.shield.decide(
            visit,
            method=self._method,
            path=self._path,
            query=self._query,
            cookie=self._facts.get(b"cookie"),
            headers=self.headers,
            at_s=now,
            canary=self._facts.get(CANARY),
        )

    def refuse_cycle(self, cycle: Cycle, because: str) -> None:
        """Refuse a request that lost its place or got none; serve an old page instead if there is one."""
        if self._cycle is not cycle:
            return
        self._cycle = None
        self._refuse(because, cycle.ticket, cycle.head, self.loop.time())
        cycle.land(retry=True)
        self._feed_stash()

    def _refuse(self, because: str, ticket: Ticket, head: Head | None, now: float) -> None:
        """Serve an old page if there is one, else a refusal."""
        if head is not None and head.key is not None:
            page = self.worker.cache.lookup(head.key, now)
            if page is not None:
                self._answer_page(page, head, now)
                return
        keep_alive = self._keep_alive and self._clean and not self.worker.is_draining
        self.transport.write(
            self._refusal(because, ticket, self._path, keep_alive, self._method == "HEAD", now)
        )
        self._forget_input()
        if self._clean:
            self._answered(keep_alive)
        else:
            self._linger()

    def resume_from_flight(self, *, alone: bool) -> None:
        """Use the page that this request waited for, or render it. `alone`: without trying to share it."""
        self._flight = None
        head = self._head
        if self._closing or head is None:
            return
        self._arm(BUSY, NEVER)
        now = self.loop.time()
        if alone or not self._serve_hot(head, now):
            self._admit(now, alone=alone)
        self._feed_stash()

    def cycle_finished(self, cycle: Cycle) -> None:
        """Continue with the connection after the application completed its answer."""
        if self._cycle is not cycle:
            return
        self._cycle = None
        self._outstanding = False
        self._forget_input()
        if self._closing:
            return
        if not self._clean:
            self._linger()
        elif not cycle.keep_alive or self._is_sealed or self.worker.is_draining:
            self._close()
        else:
            self._settle()
            self._feed_stash()

    def stream_opened(self, cycle: Cycle) -> None:
        """Set the deadline of an open answer: the next heartbeat, or a slow reader's write deadline."""
        if self._cycle is cycle:
            if self.worker.is_draining:
                cycle.write_end()
            else:
                self._settle()

    def body_taken(self, size_bytes: int) -> None:
        """Let more of the body come: the application took this many bytes."""
        taken = min(size_bytes, self._input_bytes)
        self._input_bytes -= taken
        self.worker.input_bytes -= taken
        if self._is_in_body and not self._closing:
            self._resume_reading()
            self._progress()

    def hand_over(self, cycle: Cycle) -> None:
        """Hand the transport and its place in the caps to the WebSocket: the handshake was admitted."""
        worker = self.worker
        worker.counts.admitted += 1
        worker.counts.upgrades += 1
        # The library reads the handshake's own headers only. It refuses lines and addresses that are longer than
        # 8 KB, and this edge accepts longer ones: people with many cookies get their stream.
        lines = [b"GET / HTTP/1.1\r\n"]
        for name, value in self.headers:
            if name in HANDSHAKE_HEADERS:
                lines += (name, b": ", value, b"\r\n")
        lines.append(b"\r\n")
        visit = cycle.scope["visit"]
        # The handshake has its slot: this connection object need not be notified any more.
        cycle.ticket.payload = None
        release = partial(worker.give_back, cycle.ticket)
        worker.wheel.disarm(self)
        worker.connections.discard(self)
        self._closing = True
        self._cycle = None
        # The parser holds this object's methods: drop it, or the two would form a reference cycle.
        self.parser = None  # type: ignore[assignment]
        stash, self._stash = self._stash, b""
        self._forget_input()
        socket = EdgeWebSocket(
            worker=worker,
            transport=self.transport,
            address=self.address,
            release=release,
            scope={
                "client": self.client,
                "path": self._path_text,
                "raw_path": self._path,
                "query_string": self._query,
                "headers": self.headers,
                "visit": visit,
                "release_slot": release,
            },
        )
        self.transport.set_protocol(socket)
        if self._reading_paused:
            self.transport.resume_reading()
        socket.data_received(b"".join(lines))
        if stash and not self.transport.is_closing():
            socket.data_received(stash)

    def _keep_back(self, data: bytes) -> None:
        """Hold back bytes that came before their turn, and pause reading."""
        worker = self.worker
        self._stash = self._stash + data if self._stash else data
        self._input_bytes += len(data)
        worker.input_bytes += len(data)
        self.ready = False
        if worker.input_bytes > INPUT_MEMORY_BYTES:
            worker.counts.closed["memory"] += 1
            self.abort()
            return
        self._pause_reading()

    def _feed_stash(self) -> None:
        if self._closing:
            return
        if self._stash:
            if self._outstanding or self.write_paused:
                return
            data, self._stash = self._stash, b""
            self._input_bytes -= len(data)
            self.worker.input_bytes -= len(data)
            self._feed(data)
        if not self._stash:
            self._resume_reading()

    def _leave_flight(self) -> None:
        flight = self._flight
        if flight is not None:
            self._flight = None
            if self in flight.waiters:
                flight.waiters.remove(self)

    def drain(self) -> None:
        """Accept no more requests: close when idle, else when the current one is answered."""
        self.ready = False
        if self._closing:
            return
        if self._cycle is not None:
            self._cycle.keep_alive = False
            if self._cycle.stream is not None:
                self._cycle.write_end()
        elif self._clean and not self._outstanding and not self._stash:
            self._close()

    def on_deadline(self, at_s: float) -> None:
        """Act on a deadline that has passed; called by the wheel."""
        kind = self._kind
        closed = self.worker.counts.closed
        if self.transport.is_closing() and kind not in (CLOSING, LINGER):
            return
        if kind == WRITE:
            left = unread_bytes(self.transport)
            if self._write_mark - left >= MIN_DRAIN_BYTES:
                self._write_mark = left
                self._arm(WRITE, at_s + self.worker.config.write_timeout_s)
                return
            closed[WRITE] += 1
            self.abort()
        elif self._outstanding and kind in (IDLE, HEADER):
            self._settle()  # the deadline was armed before this request, which runs
        elif kind == IDLE:
            if self.transport.get_write_buffer_size():
                closed[WRITE] += 1
                self.abort()
            else:
                closed[IDLE] += 1
                self._close()
        elif kind == HEADER:
            closed[HEADER] += 1
            if self._clean:
                self._close()
            else:
                self._path = self.url.partition(b"?")[0]
                self._refuse_input(408, "edge/header-deadline", "The request took too long", linger=False)
        elif kind == BODY:
            closed[BODY] += 1
            self._refuse_input(408, "edge/body-deadline", "The request took too long", linger=False)
        elif kind == STREAM:
            if self._cycle is not None and self._cycle.stream is not None:
                self._arm(STREAM, at_s + HEARTBEAT_S)
                self._cycle.stream.beat()
        elif kind == FLIGHT:
            self._leave_flight()
            self._give_up_flight(at_s)
        elif kind in (CLOSING, LINGER):
            closed[kind] += 1
            self.abort()

    def _give_up_flight(self, at_s: float) -> None:
        """Refuse the request: the rendering took too long to wait for."""
        self._refuse("queue/flight", self.worker.shield.stranger(self.stranger), self._head, at_s)
        self._feed_stash()
