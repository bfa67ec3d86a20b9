"""One connection of the edge: its transport, its one state, and the parts that it owns.

    RequestParser     bytes to messages
    Reception         whose message it is, and whether the cache may answer it
    FastPath          answers from memory
    Responder         answers by the cache, the application or a refusal
    ConnectionInput   bytes that came before their turn, and bodies; ConnectionOutput: whether the client reads

Two ways answer without the application: the memo (the same bytes as a request that was parsed before, between two
messages) and the cache after parsing. Both give the same bytes. A WebSocket continues with a protocol of its own
(websocket.py). The states and the ways between them are in state.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from stormpetrel.edge.deadlines import LINGER_S, body_end_s, deadline_s
from stormpetrel.edge.fast_path import FastPath
from stormpetrel.edge.heads import Head
from stormpetrel.edge.input import STREAM_FROM_BYTES, ConnectionInput
from stormpetrel.edge.message import RequestMessage
from stormpetrel.edge.output import WRITE_BUFFER_BYTES, ConnectionOutput
from stormpetrel.edge.parser import BETWEEN, MessageError, ReadPhase, RequestParser
from stormpetrel.edge.reception import Reception
from stormpetrel.edge.rejections import BODY_TOO_LATE, HEAD_TOO_LATE, INPUT_MEMORY, TOO_MANY_CONNECTIONS
from stormpetrel.edge.responder import Responder
from stormpetrel.edge.senders import Proxies, ProxyPreface, direct_sender
from stormpetrel.edge.sockets import peer_address, reset
from stormpetrel.edge.state import (
    BLOCKED,
    BODY,
    CLOSED,
    CLOSING,
    ENDED,
    EXCHANGE,
    FLIGHT,
    HEAD,
    IDLE,
    LINGER,
    NEW,
    PREFACE,
    READS,
    STREAM,
    TRANSITIONS,
    UPGRADED,
    UPLOAD,
    ConnectionState,
)
from stormpetrel.edge.websocket import EdgeWebSocket
from stormpetrel.edge.wheel import NEVER
from stormpetrel.edge.worker import EdgeWorker
from stormpetrel.shield.evidence import IS_PIPELINED

MAX_MESSAGES_AT_ONCE = 64  # in one turn of the loop: 10,000 fit into one read
_IN_HEAD = ReadPhase.HEAD


class EdgeProtocol(asyncio.Protocol):
    """One connection, as the transport, the timer wheel and the drain see it."""

    __slots__ = (
        "_body_end_s", "_fast_path", "_keepalive_s", "_memo", "_preface", "_reception", "_responder", "counted_as",
        "deadline_s", "input", "loop", "output", "parser", "state", "transport", "wheel_slot", "worker", "write",
    )  # fmt: skip

    transport: asyncio.Transport
    write: Callable[[bytes], None]
    _fast_path: FastPath
    _reception: Reception
    _responder: Responder

    def __init__(self, worker: EdgeWorker) -> None:
        self.worker = worker
        self.loop = worker.loop
        self.state = NEW
        self.deadline_s = NEVER
        self.wheel_slot = -1
        self._keepalive_s = worker.config.keepalive_timeout_s
        self._memo = worker.memo
        self.parser = RequestParser(
            max_header_bytes=worker.config.max_header_bytes, has_cookie_prefix=worker.is_https
        )
        self.input = ConnectionInput(worker.input)
        self.output = ConnectionOutput()
        # The address that the caps count this connection for; "" while they do not.
        self.counted_as = ""
        self._preface: ProxyPreface | None = None
        self._body_end_s = NEVER

    # The transport

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.transport = transport
        self.write = transport.write
        worker = self.worker
        client = peer_address(transport)
        address = client[0] if client is not None else "local"
        over = worker.caps.enter(address)
        if over:
            worker.counts.dropped[over] += 1
            self.abort()
            return
        self.counted_as = address
        worker.connections.add(self)
        worker.counts.accepted += 1
        worker.counts.connections += 1
        transport.set_write_buffer_limits(high=WRITE_BUFFER_BYTES)
        sender = direct_sender(address, client)
        self._fast_path = FastPath(worker, transport.write, sender.stranger)
        self._reception = Reception(worker, sender, self._fast_path)
        self._responder = Responder(self, worker, self._reception, self._fast_path)
        worker.wheel.arm(self, self.loop.time() + worker.config.header_timeout_s)
        proxies = worker.proxies
        if proxies is None or not proxies.trusts(address):
            self._begin()
        elif proxies.speak_first:
            self._preface = ProxyPreface(proxies)
            self.enter(PREFACE)
        else:
            self._trust(proxies)
            self._begin()

    def connection_lost(self, exc: Exception | None) -> None:
        worker = self.worker
        worker.evidence.lost(self.state, exc)
        self.enter(CLOSED)
        if self.counted_as:
            worker.wheel.disarm(self)
            worker.connections.discard(self)
            worker.counts.connections -= 1
            worker.caps.leave(self.counted_as)
            self._reception.leave()
            self._responder.lost()
            # It knows this object: drop it, or the two would form a reference cycle.
            del self._responder
        self.input.drop()
        self.output.resume()
        self.parser.close()

    def data_received(self, data: bytes) -> None:
        state = self.state
        if state is IDLE or state is NEW:
            # Look in the memo's `young` half first: a repeated request then costs one look-up.
            memo = self._memo
            head = memo.young.get(data) or memo.get(data)
            if head is not None and self._answer_remembered(head):
                return
        elif state is PREFACE:
            self._read_preface(data)
            return
        self._feed(data)

    def pause_writing(self) -> None:
        self.output.pause(self.transport)
        if self.state in ENDED:
            return
        if self.state is IDLE or self.state is NEW:
            self.enter(BLOCKED)
        self.worker.wheel.arm(self, self.loop.time() + self.worker.config.write_timeout_s)

    def resume_writing(self) -> None:
        self.output.resume()
        if self.state in ENDED:
            return
        now = self.loop.time()
        if self.state is BLOCKED:
            self.become_idle(now)
        else:
            self.arm(now)
        self.feed_held()

    # State and deadlines

    def enter(self, state: ConnectionState) -> None:
        """Change the state; AssertionError for a way that state.py does not have."""
        assert state is self.state or state in TRANSITIONS[self.state], f"{self.state.name} to {state.name}"
        self.state = state

    def _begin(self) -> None:
        # While the server drains, a request is parsed, so that its answer closes the connection.
        self.enter(HEAD if self.worker.is_draining else NEW)

    def _trust(self, proxies: Proxies) -> None:
        """Let each request name its sender: the connection is from one of these proxies."""
        self._reception.trust(proxies)
        # These heads know their senders, heads of direct connections do not: the same
        # bytes mean different things.
        self._memo = self.worker.proxied_memo

    def become_idle(self, now: float) -> None:
        """Wait for the next request: an answer is complete."""
        if self.worker.is_draining:
            self.close()
        elif self.output.is_paused:
            self.enter(BLOCKED)
        else:
            if self.state is IDLE:
                self.deadline_s = now + self._keepalive_s
            else:
                self.enter(IDLE)
                self.worker.wheel.arm(self, now + self._keepalive_s)
            if self._reception.forwarding is not None:
                self._reception.leave()

    def arm(self, now: float) -> None:
        """Set the deadline of the state, unless the client does not read: then the write deadline stays."""
        if self.output.is_paused:
            return
        if self.state is UPLOAD and self.input.is_paused:
            at_s = NEVER  # the application is not done with the part that it has
        else:
            at_s = deadline_s(self.state, self.worker.config, now, self._body_end_s)
        self.worker.wheel.arm(self, at_s)

    def on_deadline(self, at_s: float) -> None:
        """Act on a deadline that has passed; called by the wheel."""
        state = self.state
        closed = self.worker.counts.closed
        if state is CLOSING or state is LINGER:
            closed[state.name.lower()] += 1
            self.abort()
        elif state in ENDED or self.transport.is_closing():
            pass
        elif self.output.is_paused:
            if self.output.has_moved(self.transport):
                self.worker.wheel.arm(self, at_s + self.worker.config.write_timeout_s)
            else:
                closed["write"] += 1
                self.abort()
        elif state is IDLE and self.transport.get_write_buffer_size():
            closed["write"] += 1
            self.abort()
        elif state is IDLE:
            closed["idle"] += 1
            self.close()
        elif state is HEAD or state is NEW or state is PREFACE:
            closed["header"] += 1
            if self.parser.phase is BETWEEN:
                self.close()
            else:
                self._responder.reject(HEAD_TOO_LATE, linger=False)
        elif state is BODY or (state is UPLOAD and not self.input.is_paused):
            closed["body"] += 1
            self._responder.reject(BODY_TOO_LATE, linger=False)
        elif state is FLIGHT:
            self._responder.give_up_flight(at_s)
        else:
            # In EXCHANGE, the deadline was armed before this request, which runs.
            self.arm(at_s)
            exchange = self._responder.exchange
            if exchange is not None and exchange.stream is not None:
                exchange.stream.beat()

    def drain(self) -> None:
        """Accept no more requests: close when idle, else when the current one is answered."""
        if self.state in ENDED:
            return
        exchange = self._responder.exchange
        if exchange is not None:
            exchange.close_after()
            if exchange.stream is not None:
                exchange.write_end()
        elif self.state in (NEW, PREFACE, IDLE, BLOCKED) and not self.input.held:
            self.close()

    def close(self) -> None:
        """Close once the client has read everything written, at the latest at the write deadline."""
        self.enter(CLOSING)
        self.transport.close()
        self.worker.wheel.arm(self, self.loop.time() + self.worker.config.write_timeout_s)

    def linger(self) -> None:
        """Close our side and discard further input: a reset would also discard the answer."""
        self.enter(LINGER)
        self.input.drop()
        self.input.resume(self.transport)
        self.worker.wheel.arm(self, self.loop.time() + LINGER_S)
        if not self.transport.is_closing():
            self.transport.write_eof()

    def retire(self) -> bytes:
        """Leave the transport to another protocol; return the bytes held back."""
        self.enter(UPGRADED)
        self.worker.wheel.disarm(self)
        self.worker.connections.discard(self)
        self.parser.close()
        held = self.input.take_held()
        self.input.drop()
        del self._responder  # as in connection_lost
        return held

    def abort(self) -> None:
        """Drop the connection, even if data is still to be written."""
        self.enter(CLOSED)
        reset(self.transport)

    # Input

    def _feed(self, data: bytes) -> None:
        """Read one message after another, until one has to wait for its answer."""
        if self.input.held:
            self._hold_back(data)
            return
        parser = self.parser
        at, end, messages = 0, len(data), 0
        try:
            while at < end:
                if self.state not in READS or self.output.is_paused:
                    self._set_aside(data[at:] if at else data)
                    return
                if parser.phase is BETWEEN:
                    if messages == MAX_MESSAGES_AT_ONCE:
                        self._hold_back(data[at:])
                        self.loop.call_soon(self.feed_held)
                        return
                    messages += 1
                at = self._feed_piece(data, at)
        except MessageError as error:
            self._responder.reject(error.refused)
            return
        state = self.state
        if parser.phase is not BETWEEN and state not in ENDED:
            if state is NEW or state is IDLE:
                self.enter(HEAD)
            if state is not NEW and state is not HEAD:  # their deadline is that of the head already
                self.arm(self.loop.time())

    def _feed_piece(self, data: bytes, at: int) -> int:
        """Read a part of one message, and answer the message if it is complete; return where the next part begins.

        Raise MessageError if it cannot be accepted.
        """
        parser = self.parser
        phase = parser.phase
        if phase is BETWEEN and data[at] in b"\r\n":
            at = parser.skip_blank_lines(data, at)
            if at == len(data):
                return at
        cut = parser.cut(data, at)
        is_whole = phase is BETWEEN and cut > 0
        if cut < 0:
            cut = len(data)
        piece = data if at == 0 and cut == len(data) else data[at:cut]
        # `data_received` has looked for all of `data` already.
        if is_whole and piece is not data and (self.state is IDLE or self.state is NEW):
            head = self._memo.get(piece)
            if head is not None and self._answer_remembered(head, IS_PIPELINED if at else 0):
                return cut
        parser.feed(piece)
        now = self.loop.time()
        message = parser.message
        if message is None:
            return cut
        if phase <= _IN_HEAD:
            self._on_head(message, now, IS_PIPELINED if at else 0)
        if parser.body:
            self._on_body()
        if parser.phase is BETWEEN:
            if is_whole:
                self._reception.remember(piece, self._memo)
            self._on_end(message, now)
        elif (
            self.state is BODY
            and self.input.body_bytes >= STREAM_FROM_BYTES
            and parser.max_content_bytes > self.worker.config.max_body_bytes
        ):
            self._responder.answer(message, now)
        return cut

    def _set_aside(self, data: bytes) -> None:
        """Take bytes that are not read now: hold them back, pass them on, or discard them."""
        state = self.state
        if state is UPGRADED:
            successor = self.transport.get_protocol()
            assert isinstance(successor, EdgeWebSocket)
            successor.data_received(data)
        elif state is LINGER:
            if not self.input.discard(len(data)):
                self.worker.counts.closed["linger"] += 1
                self.abort()
        elif state not in ENDED:
            self._hold_back(data)

    def _hold_back(self, data: bytes) -> None:
        """Hold back bytes that came before their turn, and stop reading."""
        self.input.hold(data)
        if self.worker.input.is_exceeded(known=True):
            self.worker.counts.closed["memory"] += 1
            self.abort()
            return
        self.input.pause(self.transport)
        if self.state is IDLE:
            self.enter(HEAD)
            self.arm(self.loop.time())

    def feed_held(self) -> None:
        """Read the bytes held back, if it is their turn."""
        if self.input.held and self.state in READS and not self.output.is_paused:
            self._feed(self.input.take_held())
        if self.input.is_paused and not self.input.held and self.state not in ENDED:
            self.input.resume(self.transport)

    def _on_head(self, message: RequestMessage, now: float, flags: int) -> None:
        """Take a message whose head was read. Raise MessageError to refuse it before its body."""
        reception = self._reception
        reception.receive(message, now, flags)
        if message.has_body:
            limit = self.parser.max_content_bytes = reception.body_limit(message)
            self._body_end_s = body_end_s(self.worker.config, now, length=message.length, limit=limit)
            self.enter(BODY)
            if message.expects_continue:
                self.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _on_body(self) -> None:
        """Pass on the part of the body that was read. Raise MessageError if too much input waits."""
        parser = self.parser
        body, parser.body = parser.body, bytearray()
        exchange = self._responder.exchange
        if exchange is None:
            self.input.add_body(body)
            if self.worker.input.is_exceeded(known=self._reception.visit.identity.kind != "address"):
                raise MessageError(INPUT_MEMORY)
            return
        self.input.count(len(body))
        exchange.add_body(body, is_last=False)
        if len(exchange.body) > STREAM_FROM_BYTES:
            self.input.pause(self.transport)

    def _on_end(self, message: RequestMessage, now: float) -> None:
        """Answer the message, or tell the application that runs already that its body is complete."""
        exchange = self._responder.exchange
        if exchange is None:
            self._responder.answer(message, now)
            return
        if not message.keep_alive:
            exchange.close_after()
        exchange.add_body(b"", is_last=True)
        self.enter(EXCHANGE if exchange.stream is None else STREAM)
        self.arm(now)

    def _answer_remembered(self, head: Head, flags: int = 0) -> bool:
        """Answer a request whose bytes were parsed before; return False if it must be parsed again."""
        if self._reception.forwarding is not None:
            self._reception.recall(head)
        now = self.loop.time()
        worker = self.worker
        if not self._fast_path.answer_remembered(head, now):
            return False
        if worker.counts.requests >= worker.sampler.due:
            worker.evidence.see_head(head, self._fast_path.stranger, flags, epoch_s=worker.second)
        self.parser.skipped_bytes = 0
        if not head.keep_alive:
            self.close()
        elif self.state is not BLOCKED:
            self.state = IDLE
            self.deadline_s = now + self._keepalive_s
        return True

    # The PROXY protocol

    def _read_preface(self, data: bytes) -> None:
        """Read the PROXY protocol's header as it arrives. The deadline of a request's head applies."""
        preface, worker = self._preface, self.worker
        assert preface is not None
        try:
            read = preface.read(data, self.counted_as)
        except ValueError:
            worker.counts.closed["proxy-header"] += 1
            self.abort()
            return
        if read is None:
            return
        self._preface = None
        sender, rest = read
        if sender is not None:
            if worker.caps.move(self.counted_as, sender.address):
                self._responder.reject(TOO_MANY_CONNECTIONS)
                return
            self.counted_as = sender.address
            self._reception.speak_for(sender)
            if sender.is_proxy:
                self._trust(preface.proxies)
        self._begin()
        if rest:
            self.data_received(rest)
