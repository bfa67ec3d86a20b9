"""Admit: run now, wait, or refuse. The slots, the queue and the ceilings of one worker.

The full shield's other pieces (overload detection, demotion, rules) will decide here too; the edge only
asks `Gate`. When everything else is gone, what this file does remains: a bounded fair queue.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from stormpetrel.shield.answer import Patience, RateLimit, Refused, retry_after_s
from stormpetrel.shield.ceilings import Ceiling
from stormpetrel.shield.classify import LANES, SIGN_IN_PATHS
from stormpetrel.shield.identify import Identity
from stormpetrel.shield.queues import GONE, NEW, RUNNING, WAITING, FairQueue, FifoQueue, Queue, Ticket

PER_ADDRESS_REQUESTS = 300
PER_ADDRESS_SIGN_INS = 25
"""Mode per-address: what Mastodon publishes, in PERIOD_S."""
BOUNDED_RUNNING_PER_CORE = 8
BOUNDED_WAITING_PER_CORE = 64
"""Mode bounded: what GoToSocial publishes."""
REQUEST_COST_S = 0.0001
"""What a request costs beside the time it held its slot: parsing and writing, measured at the edge."""
_DRAIN_SMOOTHING = 0.2

_BUSY_TEXT = "The server is busy; nothing was stored. Please try again"
_MANY_TEXT = "Too many requests"


@dataclass(frozen=True, slots=True)
class Policy:
    """How a worker admits. `mode`: full, off, bounded or per-address; `cores` matters to bounded only."""

    mode: str = "full"
    requests_per_5min: int = 15_000
    running: int = 4
    waiting: int = 512
    waiting_per_identity: int = 64
    cores: int = 1


class Gate:
    """The slots of a worker and the queue before them.

    `ask` for each request, `done` when it gives its slot back, `turn` now and then (some times a second);
    after `ask`, `done` and `turn` the owner runs what `next` gives and refuses what `evicted` gives.
    """

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.running = 0
        self.slots = policy.running
        self.queue: Queue
        self.ceiling = Ceiling(policy.requests_per_5min)
        self.sign_ins: Ceiling | None = None
        if policy.mode == "full":
            self.queue = FairQueue(LANES, bound=policy.waiting, per_identity=policy.waiting_per_identity)
        elif policy.mode == "bounded":
            self.slots = BOUNDED_RUNNING_PER_CORE * policy.cores
            self.queue = FifoQueue(bound=BOUNDED_WAITING_PER_CORE * policy.cores)
            self.ceiling = Ceiling(0)
        elif policy.mode == "per-address":
            self.queue = FifoQueue()
            self.ceiling = Ceiling(PER_ADDRESS_REQUESTS)
            self.sign_ins = Ceiling(PER_ADDRESS_SIGN_INS)
        elif policy.mode == "off":
            self.queue = FifoQueue()
            self.ceiling = Ceiling(0)
        else:
            raise ValueError(f"unknown shield mode {policy.mode!r}")
        self._patience = Patience()
        self._evicted: list[tuple[Ticket, str]] = []
        self._drained_per_s = 0.0
        self._done = 0
        self._turned_s = 0.0

    def spend(
        self,
        identity: Identity,
        *,
        token_hash: bytes | None = None,
        sign_in_path: bytes | None = None,
        at_s: float,
    ) -> str:
        """Spend one request of every ceiling that applies; "" or the name of the one that is reached.

        `token_hash`: in mode per-address a token has a ceiling of its own beside its address's.
        `sign_in_path`: the path of a POST, which counts when it is a sign-in.
        """
        ceiling = self.ceiling
        if ceiling.limit and not ceiling.take(identity, at_s):
            return "ceiling/requests"
        if self.sign_ins is not None:
            if token_hash is not None and not ceiling.take(token_hash, at_s):
                return "ceiling/token"
            if sign_in_path in SIGN_IN_PATHS and not self.sign_ins.take(identity, at_s):
                return "ceiling/sign-in"
        return ""

    def ask(self, ticket: Ticket, at_s: float) -> str:
        """RUNNING or WAITING is then the ticket's state and "" the answer; else it is GONE and the reason given."""
        if self.running < self.slots and not len(self.queue):
            self.running += 1
            ticket.state = RUNNING
            ticket.started_s = at_s
            return ""
        because, displaced = self.queue.offer(ticket, at_s)
        if because:
            ticket.state = GONE
        if displaced is not None:
            self._evicted.append((displaced, "queue/displaced"))
        return because

    def next(self, at_s: float) -> Ticket | None:
        """The next ticket that has a slot now, to be run; None when no slot is free or nobody waits."""
        if self.running >= self.slots or not len(self.queue):
            return None
        self._expire(at_s)
        ticket = self.queue.take(at_s)
        if ticket is not None:
            self.running += 1
            ticket.state = RUNNING
            ticket.started_s = at_s
        return ticket

    def done(self, ticket: Ticket, at_s: float) -> None:
        """The ticket gives its slot back (once; again is ignored) and is charged the time it held it."""
        if ticket.state != RUNNING:
            return
        ticket.state = GONE
        self.running -= 1
        self._done += 1
        self.queue.charge(ticket, REQUEST_COST_S + at_s - ticket.started_s)

    def leave(self, ticket: Ticket) -> None:
        """Whoever waited is gone: no work for them."""
        if ticket.state == WAITING:
            self.queue.leave(ticket)
        elif ticket.state == NEW:
            ticket.state = GONE

    def turn(self, at_s: float) -> None:
        """Let deadlines pass and measure how fast the queue drains."""
        passed_s = at_s - self._turned_s
        if passed_s > 0:
            rate = self._done / passed_s if self._turned_s else 0.0
            self._drained_per_s += _DRAIN_SMOOTHING * (rate - self._drained_per_s)
            self._done = 0
            self._turned_s = at_s
        self._expire(at_s)

    def evicted(self) -> list[tuple[Ticket, str]]:
        """Tickets that waited and are now to be refused, each with its reason; given once."""
        if not self._evicted:
            return []
        evicted, self._evicted = self._evicted, []
        return evicted

    def refusal(
        self, because: str, identity: Identity, *, at_s: float, epoch_s: float, jitter: float
    ) -> Refused:
        """What the refused is told. `jitter` in [0, 1); `epoch_s` is `at_s` in seconds since 1970.

        Over a ceiling or too many of one's own waiting: 429 with the rate limit. The queue: 503.
        """
        refusals = self._patience.refused(identity, at_s)
        if because.startswith("ceiling/") or because == "queue/identity":
            ceiling = self.sign_ins if because == "ceiling/sign-in" and self.sign_ins else self.ceiling
            rate_limit = ceiling.rate_limit(identity, at_s, epoch_s=epoch_s)
            if because == "queue/identity":
                wait_s = len(self.queue) / max(self._drained_per_s, 1.0)
                if rate_limit is None:
                    limit = self.policy.waiting_per_identity
                    rate_limit = RateLimit(limit, 0, math.ceil(epoch_s + wait_s))
            else:
                wait_s = ceiling.wait_s(identity, at_s)
            pause_s = retry_after_s(
                waiting=math.ceil(wait_s), drained_per_s=1.0, refusals=refusals, jitter=jitter
            )
            return Refused(429, because, _MANY_TEXT, pause_s, rate_limit)
        pause_s = retry_after_s(
            waiting=len(self.queue), drained_per_s=self._drained_per_s, refusals=refusals, jitter=jitter
        )
        return Refused(503, because, _BUSY_TEXT, pause_s)

    def _expire(self, at_s: float) -> None:
        for ticket in self.queue.expire(at_s):
            self._evicted.append((ticket, "queue/deadline"))
