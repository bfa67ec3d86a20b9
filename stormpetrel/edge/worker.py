"""What all connections of one worker share: the gate, the cache, the wheel, the counts, and the clock's tick.

The only clock of the edge is read here and in the protocol; shield and cache get the time as an argument.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import Awaitable, Callable, MutableMapping
from email.utils import formatdate
from typing import Any, Protocol, cast

from stormpetrel.config import EdgeConfig, ShieldConfig
from stormpetrel.edge.cache import HotCache, Page
from stormpetrel.edge.heads import HeadMemo
from stormpetrel.edge.limits import ConnectionCaps, Counts
from stormpetrel.edge.refusals import RefusalPage, RefusalWriter
from stormpetrel.edge.wheel import TimerWheel
from stormpetrel.shield.admit import Gate, Policy
from stormpetrel.shield.answer import Refused
from stormpetrel.shield.identify import TokenTable
from stormpetrel.shield.queues import RUNNING, Ticket

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
AsgiApp = Callable[
    [Scope, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]
]
HotKey = Callable[[bytes, bytes], bytes | None]
BodyLimit = Callable[[bytes], int]

TICK_S = 0.1
INPUT_MEMORY_BYTES = 64 * 1024 * 1024
"""What all connections of a worker may have sent and not yet had taken. Strangers may fill half of it."""


class Connection(Protocol):
    """What the wheel and the drain need of a connection, plain or upgraded."""

    deadline_s: float
    wheel_slot: int

    def __hash__(self) -> int: ...
    def on_deadline(self, at_s: float) -> None: ...
    def drain(self) -> None: ...
    def abort(self) -> None: ...


class Waiter(Protocol):
    """A request that holds a ticket: what becomes of it is told to it."""

    def start(self) -> None: ...
    def refuse(self, because: str) -> None: ...


class EdgeWorker:
    """The shared state of a worker's connections. One per process; used from its event loop only."""

    def __init__(
        self,
        app: AsgiApp,
        *,
        loop: asyncio.AbstractEventLoop,
        edge: EdgeConfig,
        shield: ShieldConfig,
        secret: bytes,
        hot_key: HotKey,
        body_limit: BodyLimit | None,
        refusal_page: RefusalPage | None,
        status_url: str,
        public_https: bool,
        tokens: TokenTable,
        cache: HotCache,
        counts: Counts,
    ) -> None:
        self.app = app
        self.loop = loop
        self.config = edge
        self.secret = secret
        self.hot_key = hot_key
        self.body_limit = body_limit
        self.scheme = "https" if public_https else "http"
        self.tokens = tokens
        self.cache = cache
        self.counts = counts
        self.memo = HeadMemo()
        self.refusals = RefusalWriter(page=refusal_page, status_url=status_url, public_https=public_https)
        self.caps = ConnectionCaps(total=edge.max_connections, per_address=edge.max_connections_per_address)
        self.gate = Gate(
            Policy(
                mode=shield.mode,
                requests_per_5min=shield.requests_per_5min,
                running=shield.running,
                waiting=shield.waiting,
                waiting_per_identity=shield.waiting_per_identity,
                cores=os.cpu_count() or 1,
            )
        )
        # Holds `Connection`s; the layer that arms them is only a part of one.
        self.wheel: TimerWheel[Any] = TimerWheel(tick_s=TICK_S, at_s=loop.time())
        self.connections: set[Connection] = set()
        self.tasks: set[asyncio.Task[None]] = set()
        self.input_bytes = 0
        self.is_draining = False
        self.health = Page(
            b"/health",
            [(b"content-type", b"application/json"), (b"cache-control", b"no-store")],
            b'{"status":"ok"}',
        )
        self.second = 0
        self.date = b""
        self._epoch_less_loop_s = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._set_clock()

    def start_ticking(self) -> None:
        """Begin the tick; `stop_ticking` ends it."""
        self._timer = self.loop.call_later(TICK_S, self._tick)

    def stop_ticking(self) -> None:
        """No tick from now on; deadlines no longer pass."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def epoch_s(self, at_s: float) -> float:
        """The loop's time in seconds since 1970."""
        return at_s + self._epoch_less_loop_s

    def refusal(self, because: str, identity: Any, at_s: float) -> Refused:
        """What a visit refused for `because` is told; counted."""
        self.counts.refused[because] += 1
        return self.gate.refusal(
            because,
            identity,
            at_s=at_s,
            epoch_s=self.epoch_s(at_s),
            jitter=random.random(),  # noqa: S311 - spreads returns, guards nothing
        )

    def give_back(self, ticket: Ticket) -> None:
        """A request's slot, if it holds one."""
        if ticket.state == RUNNING:
            self.done(ticket)

    def done(self, ticket: Ticket) -> None:
        """A request gives its slot back; whoever is next runs."""
        self.gate.done(ticket, self.loop.time())
        if len(self.gate.queue):
            self.settle()

    def settle(self) -> None:
        """Run what has a slot now and refuse what lost its place."""
        gate = self.gate
        at_s = self.loop.time()
        while (ticket := gate.next(at_s)) is not None:
            cast(Waiter, ticket.payload).start()
        for ticket, because in gate.evicted():
            cast(Waiter, ticket.payload).refuse(because)

    def _tick(self) -> None:
        self._timer = self.loop.call_later(TICK_S, self._tick)
        at_s = self.loop.time()
        self._set_clock()
        self.gate.turn(at_s)
        self.settle()
        for connection in self.wheel.turn(at_s):
            connection.on_deadline(at_s)

    def _set_clock(self) -> None:
        now_s = time.time()
        self._epoch_less_loop_s = now_s - self.loop.time()
        if int(now_s) != self.second:
            self.second = int(now_s)
            self.date = formatdate(self.second, usegmt=True).encode()
