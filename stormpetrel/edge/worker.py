"""State shared by all connections of a worker: the gate, the cache, the wheel, the counts and the tick.

The edge reads its clock only here and in the protocol; shield and cache get the time as an argument.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from email.utils import formatdate
from typing import Any, Protocol, cast

from stormpetrel import clock
from stormpetrel.audience.counter import VisitorCounter
from stormpetrel.audience.visitor import VisitorReader
from stormpetrel.config import EdgeConfig, ShieldConfig
from stormpetrel.cpu import StepClock
from stormpetrel.edge.asgi import AsgiApp
from stormpetrel.edge.audience import EdgeAudience
from stormpetrel.edge.cache import CachedPage, HotCache
from stormpetrel.edge.codings import accepts_gzip
from stormpetrel.edge.evidence import EdgeEvidence
from stormpetrel.edge.finished import FinishedAnswer, FinishedAnswers
from stormpetrel.edge.heads import HeadMemo
from stormpetrel.edge.input import InputBudget
from stormpetrel.edge.limits import ConnectionCaps, Counts
from stormpetrel.edge.refusals import RefusalWriter
from stormpetrel.edge.senders import Proxies
from stormpetrel.edge.wheel import TimerWheel
from stormpetrel.shield.admit import Policy
from stormpetrel.shield.answer import Refused
from stormpetrel.shield.ceilings import PERIOD_S
from stormpetrel.shield.cookies import sent_name
from stormpetrel.shield.counters import TURNED_AWAY
from stormpetrel.shield.decide import Shield
from stormpetrel.shield.evidence import FailedSignInsOf
from stormpetrel.shield.identify import TokenTable
from stormpetrel.shield.marks import VISITOR_AGE_S, VISITOR_COOKIE, forget_marks, mint_visitor
from stormpetrel.shield.paths import PathTable
from stormpetrel.shield.prefixes import forget_addresses
from stormpetrel.shield.queues import RUNNING, Ticket
from stormpetrel.shield.reports import FEEDS, MAX_PAGES, NO_CLIENTS, Directions, WorkerReport

TICK_S = 0.1
STALL_S = 0.25
"""If a tick is this late, the process had no CPU or the loop was blocked: clients are not to blame."""
READ_FIRST_S = 0.01
"""Greater than zero, because uvloop runs callbacks that are due before it reads."""
STRESSED_TTL_S = 10.0
"""Under overload, a cached page stays fresh this long; changes by its author still show at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeParts:
    """What the application gives to its edge.

    `paths`: the facts by raw path. `secret`: signs the session cookies, at least 16 bytes. `public_https`: clients
    reach this instance by https. `number`:
    this worker's, in its reports. `writer_wait_s`: returns the age in seconds of the oldest write that waits for
    the database. `visitors`: counts the visitors; None to count none. `host`: of the instance's public URL.
    `failed_sign_ins`: takes the sign-ins that failed since its last call. `has_home`: returns True if an account's
    home timeline is in memory.
    """

    edge: EdgeConfig
    shield: ShieldConfig
    paths: PathTable
    secret: bytes
    public_https: bool
    status_url: str = ""
    number: int = 0
    writer_wait_s: Callable[[], float] | None = None
    visitors: VisitorCounter | None = None
    host: str = ""
    failed_sign_ins: FailedSignInsOf | None = None
    has_home: Callable[[int], bool] | None = None

    def __post_init__(self) -> None:
        if len(self.secret) < 16:
            raise ValueError("the cookie secret must have at least 16 bytes")


class TimedConnection(Protocol):
    """The interface of a connection, plain or upgraded, for the wheel and the drain."""

    deadline_s: float
    wheel_slot: int

    def __hash__(self) -> int: ...
    def on_deadline(self, at_s: float) -> None: ...
    def drain(self) -> None: ...
    def abort(self) -> None: ...


class Waiter(Protocol):
    """A request that holds a ticket, and that is notified of its outcome."""

    def start(self) -> None: ...
    def refuse(self, because: str) -> None: ...


class EdgeWorker:
    """The shared state of a worker's connections. One per process; use it from its event loop only."""

    def __init__(
        self,
        app: AsgiApp,
        parts: EdgeParts,
        *,
        loop: asyncio.AbstractEventLoop,
        tokens: TokenTable,
        cache: HotCache,
        finished: FinishedAnswers,
        counts: Counts,
    ) -> None:
        self.app = app
        self.loop = loop
        self.step_clock = StepClock()
        self.config = edge = parts.edge
        self.secret = secret = parts.secret
        self.paths = paths = parts.paths
        self.is_https = public_https = parts.public_https
        self.scheme = "https" if public_https else "http"
        self.tokens = tokens
        self.cache = cache
        self.finished = finished
        self.counts = counts
        self.memo = HeadMemo()
        self.input = InputBudget()
        shield = parts.shield
        secure = b"; Secure" if public_https else b""
        visitor_cookie = sent_name(VISITOR_COOKIE, secure=public_https).encode()
        self._cookie_lines = (
            b"set-cookie: %b=%%b; Path=/; Max-Age=%d; SameSite=Lax; HttpOnly%b\r\n"
            b'cache-control: private="set-cookie"\r\n' % (visitor_cookie, VISITOR_AGE_S, secure)
        )
        self.refusals = RefusalWriter(paths=paths, status_url=parts.status_url, public_https=public_https)
        self.caps = ConnectionCaps(total=edge.max_connections, per_address=edge.max_connections_per_address)
        # The trusted proxies, and the requests that came by them: the same bytes mean another client there.
        self.proxies: Proxies | None = None
        self.proxied_memo = HeadMemo()
        if edge.proxy_networks:
            self.proxies = Proxies(edge.proxy_networks, speak_first=edge.proxy_protocol)
            self.caps.is_exempt = self.proxies.trusts
        self.introduces = shield.mode == "full" and shield.visitor_cookies == "on"
        self.shield = Shield(
            Policy(
                mode=shield.mode,
                requests_per_5min=shield.requests_per_5min,
                running=shield.running,
                waiting=shield.waiting,
                waiting_per_identity=shield.waiting_per_identity,
                cores=os.cpu_count() or 1,
            ),
            tokens=tokens,
            secret=secret,
            paths=paths,
            at_s=loop.time(),
            epoch_s=clock.now_s(),
            number=parts.number,
        )
        self.gate = self.shield.gate
        self.audience: EdgeAudience | None = None
        # The number of the period in which visitors are counted.
        self.period = 0
        if parts.visitors is not None:
            reader = VisitorReader(parts.visitors, secret=secret, own_host=parts.host.encode(), paths=paths)
            self.audience = EdgeAudience(reader, tokens=tokens)
        self.evidence = EdgeEvidence(
            self.shield,
            secret=secret,
            paths=paths,
            tokens=tokens,
            host=parts.host,
            cache=cache,
            counts=counts,
            failed_sign_ins=parts.failed_sign_ins,
            at_s=loop.time(),
        )
        self.sampler = self.evidence.sampler
        self._writer_wait_s = parts.writer_wait_s
        self.has_home = parts.has_home
        self._due_s = 0.0
        # The CPU time of the loop's thread at the last tick.
        self._thread_s = 0.0
        self._reported: Counter[str] = Counter()
        self._reported_from_cache = 0
        self._reported_repeated = 0
        # Holds `Connection`s. It is typed Any because a class that arms itself implements
        # only a part of that protocol.
        self.wheel: TimerWheel[Any] = TimerWheel(tick_s=TICK_S, at_s=loop.time())
        self.connections: set[TimedConnection] = set()
        self.tasks: set[asyncio.Task[None]] = set()
        self.is_draining = False
        # The address it listens on.
        self.server: tuple[str, int] | None = None
        self.health = CachedPage(
            b"/health",
            [(b"content-type", b"application/json"), (b"cache-control", b"no-store")],
            b'{"status":"ok"}',
        )
        # Called in each tick, with the loop's time.
        self.on_tick: Callable[[float], None] = lambda at_s: None
        self.second = 0
        self.date = b""
        self._epoch_less_loop_s = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._set_clock()

    def start_ticking(self) -> None:
        """Start the tick; `stop_ticking` ends it."""
        self._due_s = self.loop.time() + TICK_S
        self._thread_s = time.thread_time()
        self._timer = self.loop.call_later(TICK_S, self._tick)

    def stop_ticking(self) -> None:
        """Stop the tick; deadlines no longer pass."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def epoch_s(self, at_s: float) -> float:
        """Return the loop's time as seconds since 1970."""
        return at_s + self._epoch_less_loop_s

    def refusal(self, because: str, ticket: Ticket, at_s: float) -> Refused:
        """Count a visit refused for `because` and return its refusal."""
        self.counts.refused[because] += 1
        refused = self.shield.refused(
            ticket,
            because,
            at_s=at_s,
            jitter=random.random(),  # noqa: S311 - spreads returns, guards nothing
        )
        self.shield.counters.asked_to_wait(ticket, refused, at_s=at_s)
        return refused

    def turned_away(self, ticket: Ticket, status: int) -> None:
        """Count an answer of the application if it is a refusal for a limit or for lack of capacity."""
        if status in TURNED_AWAY:
            self.shield.counters.turned_away(ticket, status, epoch_s=self.second)

    def limit_lines(self, ticket: Ticket) -> bytes:
        """Return the rate-limit lines for the client of a request; b"" without a limit."""
        ceiling = self.gate.ceiling
        if not ceiling.limit:
            return b""
        remaining = ticket.remaining
        return self.refusals.rate_limit_lines(
            ceiling.limit, int(remaining), self.second + 1 + ceiling.full_in_s(remaining)
        )

    def finished_wire(
        self, answer: FinishedAnswer, accept_encoding: bytes | None, ticket: Ticket, *, keep_alive: bool
    ) -> bytes:
        """Return all bytes of a member's finished answer for one request."""
        # Under overload CPU time is scarce: send the bytes that are there.
        if accepts_gzip(accept_encoding) and (answer.is_packed or not self.shield.is_stressed):
            status, first, rest, body = self.finished.packed(answer)
        else:
            status, first, rest, body = answer.plain()
        end = b"\r\n" if keep_alive else b"connection: close\r\n\r\n"
        return b"".join((status, self.date, first, self.limit_lines(ticket), rest, end, body))

    def introduction(self) -> bytes:
        """Return the header lines with a new visitor's cookie; they keep shared caches from storing it."""
        cookie = mint_visitor(
            self.secret,
            mark_id=random.getrandbits(64),
            at_s=self.second,
        )
        return self._cookie_lines % cookie.encode()

    def forget_visitors(self) -> None:
        """Drop remembered requests and senders: a new period counts visitors again, and the old one leaves none."""
        self.period += 1
        self.memo.clear()
        self.proxied_memo.clear()
        if self.proxies is not None:
            self.proxies.forget()
        forget_addresses()
        forget_marks()
        self.evidence.forget_agents()
        # Until then, the latest clients still have used a part of their ceilings.
        self.loop.call_later(PERIOD_S, self._forget_ceilings)

    def _forget_ceilings(self) -> None:
        self.gate.ceiling.forget_full(self.loop.time())

    def shield_report(self) -> WorkerReport:
        """Return the report of the shield since the last call."""
        counts = self.counts
        # The shield counts its own refusals; this adds the edge's own refusals and
        # closed or dropped connections.
        edge = Counter({name: n for name, n in counts.refused.items() if name.startswith("edge/")})
        edge.update({f"closed/{kind}": n for kind, n in counts.closed.items()})
        edge.update(counts.dropped)
        news, self._reported = edge - self._reported, edge
        cached, self._reported_from_cache = (
            counts.served_from_cache - self._reported_from_cache,
            counts.served_from_cache,
        )
        repeated, self._reported_repeated = counts.repeated - self._reported_repeated, counts.repeated
        at_s = self.loop.time()
        report = self.shield.report(
            at_s=at_s,
            connections=counts.connections,
            cached=cached,
            repeated=repeated,
            because=dict(news),
        )
        counters = self.shield.counters
        # The shield knows no pages, and no connections.
        return replace(
            report,
            held=counters.held.samples(at_s=at_s),
            held_readers=counters.held_readers.samples(at_s=at_s).get(FEEDS, NO_CLIENTS),
            pages=self.cache.take_hits(MAX_PAGES),
            evidence=self.evidence.take(self.connections, at_s),
        )

    def direct(self, directions: Directions) -> None:
        """Apply directions from `watch`. Raise ValueError, changing nothing, if an entry is invalid."""
        self.shield.direct(directions, epoch_s=self.epoch_s(self.loop.time()))

    def give_back(self, ticket: Ticket, cpu_s: float = 0.0) -> None:
        """Take a request's slot back, if it holds one, and run the next. `cpu_s`: CPU time used so far."""
        if ticket.state == RUNNING:
            self.done(ticket, cpu_s)

    def done(self, ticket: Ticket, cpu_s: float) -> None:
        """Take back the slot that a request holds."""
        self.shield.done(ticket, cpu_s)
        if self.gate.queue.count:
            self.settle()

    def settle(self) -> None:
        """Run tickets that have a slot now, and refuse those that lost their place."""
        gate = self.gate
        at_s = self.loop.time()
        while (ticket := gate.next(at_s)) is not None:
            cast(Waiter, ticket.payload).start()
        for ticket, because in gate.evicted():
            cast(Waiter, ticket.payload).refuse(because)

    def _tick(self) -> None:
        self._timer = self.loop.call_later(TICK_S, self._tick)
        at_s = self.loop.time()
        lag_s, self._due_s = max(0.0, at_s - self._due_s), at_s + TICK_S
        self._set_clock()
        shield = self.shield
        thread_s = time.thread_time()
        self.gate.loop_s, self._thread_s = thread_s - self._thread_s, thread_s
        self.gate.used_s += self.step_clock.take()
        shield.turn(
            at_s=at_s,
            epoch_s=self.epoch_s(at_s),
            lag_s=lag_s,
            writer_wait_s=self._writer_wait_s() if self._writer_wait_s is not None else 0.0,
        )
        self.cache.least_ttl_s = STRESSED_TTL_S if shield.is_stressed else 0.0
        self.settle()
        self.on_tick(at_s)
        if lag_s < STALL_S:
            self._let_deadlines_pass()
        else:
            # Data that clients sent while the loop was blocked is still unread: read it before deadlines
            # pass.
            self.loop.call_later(READ_FIRST_S, self._let_deadlines_pass)

    def _let_deadlines_pass(self) -> None:
        if self._timer is None:
            return
        at_s = self.loop.time()
        for connection in self.wheel.turn(at_s):
            connection.on_deadline(at_s)

    def _set_clock(self) -> None:
        now_s = clock.now_s()
        self._epoch_less_loop_s = now_s - self.loop.time()
        if int(now_s) != self.second:
            self.second = int(now_s)
            self.date = formatdate(self.second, usegmt=True).encode()
