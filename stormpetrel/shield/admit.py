"""Admit: run a request now, let it wait, or refuse it. The slots, the queue and the ceilings of one worker.

decide.py has chosen the class before. If all other defences fail, this file still gives a bounded fair queue.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from stormpetrel.shield.allowance import NO_LIMIT_S, DemotedAllowance, StrangersAllowance
from stormpetrel.shield.answer import MAX_RETRY_AFTER_S, RateLimit, Refused, RetryTracker, retry_after_s
from stormpetrel.shield.ceilings import Ceiling
from stormpetrel.shield.classify import K3_NEAR, K4, LANES
from stormpetrel.shield.concurrency import Concurrency
from stormpetrel.shield.identify import Identity
from stormpetrel.shield.overload import WINDOW_S, Overload
from stormpetrel.shield.queues import GONE, NEW, RUNNING, WAITING, FairQueue, FifoQueue, Queue, Ticket

PER_ADDRESS_REQUESTS = 300
PER_ADDRESS_SIGN_INS = 25
"""Mode per-address: the limits that Mastodon publishes, in PERIOD_S."""
BOUNDED_RUNNING_PER_CORE = 8
BOUNDED_WAITING_PER_CORE = 64
"""Mode bounded: the limits that GoToSocial publishes."""
DENIED_S = 10
SPENT = "ceiling/requests"
"""The policy line of an identity that spent its requests."""
_DRAIN_SMOOTHING = 0.2
_NOBODY_WAITS = (0.0,) * K4

_BUSY_TEXT = "The server is busy; nothing was stored. Please try again"
_MANY_TEXT = "Too many requests"


@dataclass(frozen=True, slots=True)
class Policy:
    """How a worker admits. `mode`: full, off, bounded, per-address or overcompensate.

    `cores` is used by mode bounded only.
    """

    mode: str = "full"
    requests_per_5min: int = 15_000
    running: int = 4
    waiting: int = 512
    waiting_per_identity: int = 64
    cores: int = 1


class Gate:
    """The slots of a worker (concurrency.py) and the queue for them.

    Call `ask` for each request, `done` when it gives its slot back, and `turn` several times a second. After
    `ask`, `done` and `turn`, run the tickets from `next` and refuse those from `evicted`.
    """

    def __init__(self, policy: Policy, *, at_s: float = 0.0) -> None:
        self.policy = policy
        self.overload = Overload(len(LANES), at_s=at_s)
        slots = policy.running
        self.queue: Queue
        self.ceiling = Ceiling(policy.requests_per_5min)
        self.sign_ins: Ceiling | None = None
        if policy.mode == "full":
            self.queue = FairQueue(LANES, bound=policy.waiting, per_identity=policy.waiting_per_identity)
        elif policy.mode == "bounded":
            slots = BOUNDED_RUNNING_PER_CORE * policy.cores
            self.queue = FifoQueue(bound=BOUNDED_WAITING_PER_CORE * policy.cores)
            self.ceiling = Ceiling(0)
        elif policy.mode == "per-address":
            self.queue = FifoQueue()
            self.ceiling = Ceiling(PER_ADDRESS_REQUESTS)
            self.sign_ins = Ceiling(PER_ADDRESS_SIGN_INS)
        elif policy.mode in ("off", "overcompensate"):
            self.queue = FifoQueue()
            self.ceiling = Ceiling(0)
        else:
            raise ValueError(f"unknown shield mode {policy.mode!r}")
        self.concurrency = Concurrency(slots)
        self.strangers = StrangersAllowance()
        self.demoted = DemotedAllowance(LANES[K4].weight / 100)
        self.patience = RetryTracker()
        self._evicted: list[tuple[Ticket, str]] = []
        self._drained_per_s = 0.0
        self._done = 0
        self.used_s = 0.0
        """The CPU time of all requests in this window. The worker adds it before `stress`, since `done` gets that
        of a request at its end, too late if it takes several windows. The gate itself adds fixed costs alone."""
        self.loop_s = math.inf
        """The CPU time of the event loop in this window, as the worker measured it."""
        # True while a class may get less than all slots, and all CPU time: `stress` decides it.
        self._is_limiting = False
        self._turned_s = 0.0
        self._window_s = WINDOW_S
        self._expired_s = -1.0

    @property
    def running(self) -> int:
        """Return how many requests hold a slot."""
        return self.concurrency.running

    def spend(
        self,
        identity: Identity,
        at_s: float,
        token_hash: bytes | None = None,
        is_sign_in: bool = False,  # noqa: FBT001, FBT002 - called for every request: keywords cost
    ) -> str:
        """Spend one request of each ceiling that applies; return "", or the name of the reached ceiling.

        `token_hash`: in mode per-address a token has a ceiling of its own in addition to its address's, and a sign-in
        has one more.
        """
        ceiling = self.ceiling
        if ceiling.limit and not ceiling.take(identity, at_s):
            return SPENT
        if self.sign_ins is not None:
            if token_hash is not None and not ceiling.take(token_hash, at_s):
                return "ceiling/token"
            if is_sign_in and not self.sign_ins.take(identity, at_s):
                return "ceiling/sign-in"
        return ""

    def ask(self, ticket: Ticket, at_s: float) -> str:
        """Set the ticket's state to RUNNING or WAITING and return "", or to GONE and return the reason."""
        is_known = ticket.lane < K3_NEAR
        concurrency = self.concurrency
        if (
            not self.queue.count
            and concurrency.running < concurrency.slots
            and (is_known or not self._is_limiting or self._open_lanes() > ticket.lane)
        ):
            concurrency.start(is_known=is_known)
            ticket.state = RUNNING
            self.overload.least[ticket.lane] = 0.0
            return ""
        because, displaced = self.queue.offer(ticket, at_s)
        if because:
            ticket.state = GONE
        if displaced is not None:
            self._evicted.append((displaced, "queue/displaced"))
        return because

    def next(self, at_s: float) -> Ticket | None:
        """Return the next ticket to run; None if no slot is free or no ticket waits."""
        concurrency = self.concurrency
        if not self.queue.count or concurrency.running >= concurrency.slots:
            return None
        # A deadline is later than its ticket's arrival, so one check per moment finds all expired tickets.
        if at_s != self._expired_s:
            self._expire(at_s)
        ticket = self.queue.take(at_s, self._open_lanes() if self._is_limiting else None)
        if ticket is not None:
            concurrency.start(is_known=ticket.lane < K3_NEAR)
            ticket.state = RUNNING
            if not ticket.ahead:
                self.overload.waited(ticket.lane, at_s - ticket.entered_s)
        return ticket

    def done(self, ticket: Ticket, cpu_s: float) -> float:
        """Take the ticket's slot back, once, and charge it; return the cost in seconds, -1 if it had no slot.

        `cpu_s`: the CPU time it used while it held the slot. The time it held the slot is not charged: that
        grows with the work of others.
        """
        if ticket.state != RUNNING:
            return -1.0
        ticket.state = GONE
        self.concurrency.end(is_known=ticket.lane < K3_NEAR)
        self._done += 1
        cost_s = ticket.fixed_cost_s + cpu_s
        self.used_s += ticket.fixed_cost_s
        if ticket.lane >= K3_NEAR:
            self._spend(ticket.lane, cost_s)
        self.queue.charge(ticket, cost_s)
        # A later charge must not subtract the estimate again: this one already did.
        ticket.entered_s = -1.0
        return cost_s

    def charge(self, ticket: Ticket, cpu_s: float) -> None:
        """Charge CPU time that a ticket used after it gave its slot back."""
        if ticket.lane >= K3_NEAR:
            self._spend(ticket.lane, cpu_s)
        self.queue.charge(ticket, cpu_s)

    def _spend(self, lane: int, cost_s: float) -> None:
        """Take what a stranger used off the allowances."""
        self.strangers.spend(cost_s)
        if lane == K4:
            self.demoted.left_s -= cost_s

    def _open_lanes(self) -> int:
        """Return how many of the classes, from the first on, have a slot and CPU time left in this window."""
        if self.strangers.left_s <= 0.0 or not self.concurrency.has_slot(is_known=False):
            return K3_NEAR
        return K4 if self.demoted.left_s <= 0.0 else len(LANES)

    def leave(self, ticket: Ticket) -> None:
        """Drop a ticket whose client has disconnected."""
        if ticket.state == WAITING:
            self.queue.leave(ticket)
        elif ticket.state == NEW:
            ticket.state = GONE

    def turn(self, at_s: float) -> None:
        """Expire tickets at their deadlines and measure how fast the queue drains."""
        passed_s = at_s - self._turned_s
        self._window_s = passed_s if self._turned_s else WINDOW_S
        if passed_s > 0:
            rate = self._done / passed_s if self._turned_s else 0.0
            self._drained_per_s += _DRAIN_SMOOTHING * (rate - self._drained_per_s)
            self._done = 0
            self._turned_s = at_s
        self._expire(at_s)

    def oldest_waits_s(self, at_s: float) -> tuple[float, ...]:
        """Return the longest current wait in each class, without the last class, whose waits do no harm."""
        if not self.queue.count:
            return _NOBODY_WAITS
        return tuple(self.queue.oldest_wait_s(lane, at_s) for lane in range(K4))

    def waiting_by_class(self) -> dict[str, int]:
        """Return how many tickets wait in each class; with a queue without classes, all of them in K3."""
        if not isinstance(self.queue, FairQueue):
            return {"K3": len(self.queue)}
        waiting: dict[str, int] = {}
        for lane, own in enumerate(LANES):
            waiting[own.name] = waiting.get(own.name, 0) + self.queue.waiting_in(lane)
        return waiting

    def stress(self, is_stressed: bool, *, lag_s: float) -> None:  # noqa: FBT001 - a switch
        """Serve the newest first, in classes that allow it, and limit strangers' CPU time; or stop doing so.

        Also choose the number of slots. Call it after `turn`. `lag_s`: how late the loop was in the last window.
        """
        queue = self.queue
        used_s, self.used_s = self.used_s, 0.0
        if isinstance(queue, FairQueue):
            queue.newest_first = is_stressed
            self.demoted.turn(lag_s=lag_s, passed_s=self._window_s)
            self.concurrency.turn(
                lag_s=lag_s,
                used_s=used_s,
                passed_s=self._window_s,
                loop_s=self.loop_s,
                known_wait=any(queue.waiting_in(lane) for lane in range(K3_NEAR)),
            )
        if is_stressed:
            self.strangers.turn(lag_s=lag_s, passed_s=self._window_s)
        else:
            self.strangers.lift()
        concurrency = self.concurrency
        self._is_limiting = (
            concurrency.slots > concurrency.base
            or self.strangers.left_s != NO_LIMIT_S
            or self.demoted.left_s != NO_LIMIT_S
        )

    def denial_s(self, identity: Identity, at_s: float) -> int:
        """Return the Retry-After of a denied identity, longer each time, and remember it."""
        pause_s = min(MAX_RETRY_AFTER_S, DENIED_S * self.patience.refused(identity, at_s))
        self.patience.told(identity, at_s + pause_s)
        return pause_s

    def evicted(self) -> list[tuple[Ticket, str]]:
        """Return the waiting tickets that must now be refused, each with its reason, and forget them."""
        if not self._evicted:
            return []
        evicted, self._evicted = self._evicted, []
        return evicted

    def refusal(
        self,
        because: str,
        identity: Identity,
        *,
        suspect: Identity,
        at_s: float,
        epoch_s: float,
        jitter: float,
    ) -> Refused:
        """Return the answer to a refused request. `jitter` in [0, 1); `epoch_s`: `at_s` since 1970.

        `suspect`: the identity whose refusals are counted; for an address a part of it (decide.py).

        A reached ceiling, or too many waiting requests of one identity: 429 with the rate limit. A
        full queue or a deadline: 503.
        """
        refusals = self.patience.refused(suspect, at_s)
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
            self.patience.told(suspect, at_s + pause_s)
            return Refused(429, because, _MANY_TEXT, pause_s, rate_limit)
        pause_s = retry_after_s(
            waiting=len(self.queue), drained_per_s=self._drained_per_s, refusals=refusals, jitter=jitter
        )
        self.patience.told(suspect, at_s + pause_s)
        return Refused(503, because, _BUSY_TEXT, pause_s)

    def _expire(self, at_s: float) -> None:
        self._expired_s = at_s
        for ticket in self.queue.expire(at_s):
            self._evicted.append((ticket, "queue/deadline"))
