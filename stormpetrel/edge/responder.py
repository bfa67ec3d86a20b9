"""Chooses the part of the edge that answers a message, and continues with its connection afterwards.

A message is answered from the cache, waits for a rendering in progress, runs at the application, waits in the queue
for that, or is refused. The responder knows the connection as a `ConnectionLine`, and the exchange knows
the responder as its `Wire`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Protocol

from stormpetrel.edge.asgi import websocket_scope
from stormpetrel.edge.cache import CachedPage, Flight
from stormpetrel.edge.exchange import HttpExchange
from stormpetrel.edge.fast_path import FastPath
from stormpetrel.edge.finished import FinishedAnswer
from stormpetrel.edge.frames import handshake_bytes
from stormpetrel.edge.heads import Head
from stormpetrel.edge.input import ConnectionInput
from stormpetrel.edge.message import RequestMessage
from stormpetrel.edge.output import ConnectionOutput
from stormpetrel.edge.parser import BETWEEN, RequestParser
from stormpetrel.edge.reception import HEALTH, Reception
from stormpetrel.edge.state import ENDED, EXCHANGE, FLIGHT, STREAM, UPLOAD, ConnectionState
from stormpetrel.edge.websocket import EdgeWebSocket
from stormpetrel.edge.worker import EdgeWorker
from stormpetrel.shield.answer import Refused
from stormpetrel.shield.classify import WRITES
from stormpetrel.shield.evidence import kind_of
from stormpetrel.shield.queues import GONE, RUNNING, Ticket


class ConnectionLine(Protocol):
    """A connection, as its responder sees it."""

    transport: asyncio.Transport
    write: Callable[[bytes], None]
    state: ConnectionState
    parser: RequestParser
    input: ConnectionInput
    output: ConnectionOutput
    counted_as: str

    def enter(self, state: ConnectionState) -> None:
        """Change the state."""
        ...

    def arm(self, now: float) -> None:
        """Set the deadline of the state."""
        ...

    def become_idle(self, now: float) -> None:
        """Wait for the next message: an answer is complete."""
        ...

    def feed_held(self) -> None:
        """Read the bytes held back, if it is their turn."""
        ...

    def close(self) -> None:
        """Close once the client has read everything written."""
        ...

    def linger(self) -> None:
        """Close our side and discard further input."""
        ...

    def retire(self) -> bytes:
        """Leave the transport to another protocol; return the bytes held back."""
        ...

    def abort(self) -> None:
        """Drop the connection, even if data is still to be written."""
        ...


class Responder:
    """Answers the messages of one connection, one at a time.

    `exchange`: the message's, while it is queued or at the application.
    """

    __slots__ = (
        "_fast_path",
        "_flight",
        "_line",
        "_loop",
        "_reception",
        "_worker",
        "exchange",
        "transport",
        "write",
    )

    def __init__(
        self, line: ConnectionLine, worker: EdgeWorker, reception: Reception, fast_path: FastPath
    ) -> None:
        self._line = line
        self._worker = worker
        self._loop = worker.loop
        self._reception = reception
        self._fast_path = fast_path
        self._flight: Flight | None = None
        self.transport = line.transport
        self.write = line.write
        self.exchange: HttpExchange | None = None

    def answer(self, message: RequestMessage, now: float) -> None:
        """Answer a message: from memory, from the cache, or by the application."""
        head = self._reception.head
        if head is not None and head.key is not None and self._serve_hot(head, head.key, now):
            return
        if message.path == HEALTH and message.method in ("GET", "HEAD"):
            only_head = message.method == "HEAD"
            self._fast_path.answer_health(only_head=only_head, keep_alive=message.keep_alive)
            self._answered(now, keep_alive=message.keep_alive)
            return
        self._admit(message, now)

    def reject(self, refused: Refused, *, linger: bool = True) -> None:
        """Refuse input that cannot be accepted, and close: nothing after it can be interpreted.

        `linger`: the client may be sending, so read on for a while.
        """
        worker = self._worker
        parser = self._line.parser
        message = parser.message
        if message is not None and message is not self._reception.message:
            worker.counts.requests += 1
        exchange, self.exchange = self.exchange, None
        if exchange is not None:
            # An upload failed while its request ran: an answer that has begun cannot be taken back.
            exchange.disconnect()
            if exchange.has_begun:
                self._line.abort()
                return
        worker.counts.refused[refused.because] += 1
        self.write(
            worker.refusals.answer(
                refused,
                path=parser.path,
                date=worker.date,
                keep_alive=False,
                method="" if message is None else message.method,
            )
        )
        if linger:
            self._line.linger()
        else:
            self._line.close()

    def lost(self) -> None:
        """Give up whatever was under way: the client has disconnected."""
        self._leave_flight()
        exchange, self.exchange = self.exchange, None
        if exchange is not None:
            if exchange.task is None:
                self._worker.counts.gone_while_waiting += 1
            exchange.disconnect()

    def _serve_hot(self, head: Head, key: bytes, now: float) -> bool:
        """Answer from the cache, or wait for a rendering in progress; False if this request must render."""
        cache = self._worker.cache
        page = cache.lookup(key, now)
        flight = cache.flights.get(key)
        if page is not None and (page.fresh_until_s > now or flight is not None):
            self._fast_path.answer_page(page, head, now)
            self._answered(now, keep_alive=head.keep_alive)
            return True
        if flight is not None and cache.wait(flight, self):
            self._flight = flight
            self._line.enter(FLIGHT)
            self._line.arm(now)
            return True
        return False

    def resume_from_flight(self, *, alone: bool) -> None:
        """Use the page that this request waited for, or render it. `alone`: without trying to share it."""
        self._flight = None
        head, message = self._reception.head, self._reception.message
        if self._line.state is not FLIGHT or head is None or head.key is None or message is None:
            return
        now = self._loop.time()
        if alone or not self._serve_hot(head, head.key, now):
            self._admit(message, now, alone=alone)
        self._line.feed_held()

    def give_up_flight(self, at_s: float) -> None:
        """Refuse the request: the rendering took too long to wait for."""
        self._leave_flight()
        message = self._reception.message
        assert message is not None
        ticket = self._worker.shield.stranger(self._reception.sender.stranger)
        self._refuse(message, "queue/flight", ticket, at_s)
        self._line.feed_held()

    def _leave_flight(self) -> None:
        flight, self._flight = self._flight, None
        if flight is not None and self in flight.waiters:
            flight.waiters.remove(self)

    def _admit(self, message: RequestMessage, now: float, *, alone: bool = False) -> None:
        """Run the message at the application, queue it, or refuse it. `alone`: do not render for others."""
        worker = self._worker
        reception = self._reception
        ticket = reception.decide(message, now)
        # A refused request costs no more than the work up to here.
        if ticket.state == GONE:
            self._refuse(message, ticket.because, ticket, now)
            return
        key = reception.answer_key(message)
        finished: FinishedAnswer | None = None
        if key is not None and reception.visit.token is not None:
            finished = worker.finished.find(key, worker.epoch_s(now))
        because = worker.shield.ask(ticket, now)
        if because:
            self._refuse(message, because, ticket, now)
            return
        ticket.kind = kind_of(
            reception.path_facts,
            message.path,
            message.query,
            changes=message.method in WRITES,
            is_cached=False,
        )
        if finished is not None and ticket.state == RUNNING:
            worker.give_back(ticket)
            self._fast_path.answer_finished(finished, message, reception.visit, ticket)
            self._answered(now, keep_alive=message.keep_alive)
            return
        is_complete = self._line.parser.phase is BETWEEN
        self.exchange = exchange = HttpExchange(
            self,
            worker,
            ticket,
            message,
            reception.visit,
            client=reception.sender.client,
            body=self._line.input.take_body(),
            is_body_complete=is_complete,
        )
        head = reception.head
        if head is not None and head.key is not None:
            exchange.share(head, head.key, now, alone=alone)
        elif key is not None:
            exchange.may_keep(key)
        self._line.enter(EXCHANGE if is_complete else UPLOAD)
        if ticket.state == RUNNING:
            exchange.start()
        else:
            worker.settle()

    def _refuse(self, message: RequestMessage, because: str, ticket: Ticket, now: float) -> None:
        """Serve an old page if there is one, else a refusal."""
        head = self._reception.head
        if head is not None and head.key is not None:
            page = self._worker.cache.lookup(head.key, now)
            if page is not None:
                self._fast_path.answer_page(page, head, now)
                self._answered(now, keep_alive=head.keep_alive)
                return
        is_complete = self._line.parser.phase is BETWEEN
        keep_alive = message.keep_alive and is_complete and not self._worker.is_draining
        self.write(self._fast_path.refusal(because, ticket, message.path, keep_alive, message.method, now))
        self._line.input.drop_message()
        if is_complete:
            self._answered(now, keep_alive=keep_alive)
        else:
            self._line.linger()

    def _answered(self, now: float, *, keep_alive: bool) -> None:
        """Move on after an answer that needed no application was written."""
        if keep_alive:
            self._line.become_idle(now)
        else:
            self._line.close()

    # The wire of the exchange

    @property
    def is_paused(self) -> bool:
        """Return True while the client has too much unread data."""
        return self._line.output.is_paused

    async def drained(self) -> None:
        """Wait until the client has read enough for more to be written, or has disconnected."""
        if self._line.state not in ENDED:
            await self._line.output.drained(self._loop)

    def body_taken(self, size_bytes: int) -> None:
        """Let more of the body come: the application took this many bytes."""
        self._line.input.release(size_bytes)
        if self._line.state is UPLOAD:
            if not self._line.input.held:
                self._line.input.resume(self.transport)
            self._line.arm(self._loop.time())

    def introduction(self, page: CachedPage, head: Head) -> bytes:
        """Return the header lines with a new visitor's cookie; b"" for none."""
        return self._fast_path.introduction(page, head)

    def stream_opened(self) -> None:
        """Note that the answer that has begun stays open."""
        exchange = self.exchange
        if exchange is None:
            return
        if self._worker.is_draining:
            exchange.write_end()
        elif self._line.state is EXCHANGE:
            self._line.enter(STREAM)
            self._line.arm(self._loop.time())

    def refuse_exchange(self, because: str) -> None:
        """Refuse the request: it lost its place in the queue."""
        exchange, self.exchange = self.exchange, None
        message = self._reception.message
        if exchange is None or message is None:
            return
        self._refuse(message, because, exchange.ticket, self._loop.time())
        exchange.land(retry=True)
        self._line.feed_held()

    def exchange_finished(self) -> None:
        """Continue with the connection: the answer is complete."""
        exchange, self.exchange = self.exchange, None
        line = self._line
        line.input.drop_message()
        state = line.state
        if state in ENDED or exchange is None:
            return
        if state is UPLOAD:
            line.linger()
        elif not exchange.keep_alive or self._worker.is_draining:
            line.close()
        else:
            line.become_idle(self._loop.time())
            if line.input.is_paused:
                line.feed_held()

    def hand_over(self) -> None:
        """Make the connection a WebSocket: the handshake was admitted."""
        worker = self._worker
        exchange, self.exchange = self.exchange, None
        assert exchange is not None
        worker.counts.admitted += 1
        worker.counts.upgrades += 1
        # The handshake has its slot: this connection object need not be notified any more.
        exchange.ticket.payload = None
        if worker.audience is not None:
            scope = exchange.scope
            if not scope["is_canary"]:
                worker.audience.see_answered(
                    exchange.facts, scope["visit"], scope["raw_path"], epoch_s=worker.second
                )
        release = partial(worker.give_back, exchange.ticket)
        held = self._line.retire()
        socket = EdgeWebSocket(
            worker=worker,
            transport=self.transport,
            address=self._line.counted_as,
            release=release,
            left=self._reception.pass_on(),
            turned_away=partial(worker.turned_away, exchange.ticket),
            scope=websocket_scope(exchange.scope, release),
        )
        self.transport.set_protocol(socket)
        self._line.input.resume(self.transport)
        socket.data_received(handshake_bytes(exchange.scope["headers"]))
        if held and not self.transport.is_closing():
            socket.data_received(held)

    def abort(self) -> None:
        """Drop the connection, even if data is still to be written."""
        self._line.abort()
