"""Queues: choose the next request. A fair queue with classes, and a plain first-in-first-out one to compare.

Time is an argument; a queue knows tickets, not requests. `Gate` (admit.py) owns the slots.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict, deque
from collections.abc import Sequence
from typing import Protocol

from stormpetrel.shield.classify import Lane
from stormpetrel.shield.evidence import PAGES
from stormpetrel.shield.identify import Identity

NEW, WAITING, RUNNING, GONE = 0, 1, 2, 3
REQUEST_COST_S = 0.0001
"""The cost of a request beyond its coroutine's CPU time: parsing and writing, measured at the edge."""
LEVEL_S = 0.02
"""Newest first: identities whose CPU time differs by less than this are treated as equal."""


class Ticket:
    """One request's place: its identity, class and state. `payload` belongs to the owner, and is not read.

    `state`: NEW, WAITING, RUNNING or GONE (done, refused, dropped). `ahead`: how many tickets of its own
    identity waited before it. `remaining`: the rest of its ceiling, if there is one. For the counts:
    `is_known` (it has a credential), `is_neighbour` (its network is known), `kind` (a number in evidence.KINDS) and
    `fixed_cost_s` (its cost beyond its coroutine's CPU time).
    """

    __slots__ = (
        "ahead",
        "application",
        "because",
        "channel",
        "deadline_s",
        "entered_s",
        "fixed_cost_s",
        "identity",
        "is_known",
        "is_neighbour",
        "kind",
        "lane",
        "payload",
        "remaining",
        "state",
        "suspect",
    )

    def __init__(
        self,
        identity: Identity,
        lane: int,
        payload: object = None,
        because: str = "",
        channel: str = "",
        application: str = "",
        is_known: bool = False,  # noqa: FBT001, FBT002 - given by place: it is made for every request
        is_neighbour: bool = False,  # noqa: FBT001, FBT002
    ) -> None:
        self.identity = identity
        self.lane = lane
        self.payload = payload
        self.state = NEW
        self.ahead = 0
        self.because = because
        self.channel = channel
        self.application = application
        self.is_known = is_known
        self.is_neighbour = is_neighbour
        self.fixed_cost_s = REQUEST_COST_S
        self.remaining = 0.0
        self.kind = PAGES
        # The identity that is demoted for excess: for an address a part of it (decide.py).
        self.suspect = identity
        # Negative: it never waited.
        self.entered_s = -1.0
        self.deadline_s = 0.0


class Queue(Protocol):
    """The interface of a queue for `Gate`. `count`: how many tickets wait."""

    count: int

    def __len__(self) -> int: ...

    def offer(self, ticket: Ticket, at_s: float) -> tuple[str, Ticket | None]:
        """Let a ticket wait: return ("", displaced ticket or None), or (reason of the refusal, None)."""

    def take(self, at_s: float, lanes: int | None = None) -> Ticket | None:
        """Return the next ticket to run, of the first `lanes` classes or of all; None if none waits.

        Call `expire` first, so that none is late.
        """

    def leave(self, ticket: Ticket) -> None:
        """Remove a waiting ticket without serving it."""

    def expire(self, at_s: float) -> list[Ticket]:
        """Remove the tickets whose deadline has passed, and return them."""

    def charge(self, ticket: Ticket, cost_s: float) -> None:
        """Charge the cost of a ticket that was served."""

    def oldest_wait_s(self, lane: int, at_s: float) -> float:
        """Return the longest current wait, in this class if the queue has classes."""


class FifoQueue:
    """First in, first out; at most `bound` tickets wait, 0 for no bound. No deadlines."""

    def __init__(self, *, bound: int = 0) -> None:
        self._bound = bound
        self._tickets: deque[Ticket] = deque()
        self.count = 0

    def __len__(self) -> int:
        return self.count

    def offer(self, ticket: Ticket, at_s: float) -> tuple[str, Ticket | None]:
        if self._bound and self.count >= self._bound:
            return "queue/full", None
        ticket.state = WAITING
        ticket.entered_s = at_s
        self._tickets.append(ticket)
        self.count += 1
        return "", None

    def take(self, at_s: float, lanes: int | None = None) -> Ticket | None:
        while self._tickets:
            ticket = self._tickets.popleft()
            if ticket.state == WAITING:
                self.count -= 1
                return ticket
        return None

    def leave(self, ticket: Ticket) -> None:
        if ticket.state == WAITING:
            ticket.state = GONE
            self.count -= 1
            # `take` skips tickets that left; once they are the majority, remove them to bound the memory.
            if len(self._tickets) > 64 and len(self._tickets) > 2 * self.count:
                self._tickets = deque(t for t in self._tickets if t.state == WAITING)

    def expire(self, at_s: float) -> list[Ticket]:
        return []

    def charge(self, ticket: Ticket, cost_s: float) -> None:
        return None

    def oldest_wait_s(self, lane: int, at_s: float) -> float:
        for ticket in self._tickets:
            if ticket.state == WAITING:
                return at_s - ticket.entered_s
        return 0.0


class _Line:
    """The waiting tickets of one identity in one class, oldest first; `debt_s` is charged at the next turn.

    `number` rises from line to line: the newest line has the largest.
    """

    __slots__ = ("debt_s", "identity", "number", "start", "tickets")

    def __init__(self, identity: Identity, start: float, number: int) -> None:
        self.identity = identity
        self.start = start
        self.number = number
        # A list: it nearly always has one item, and a deque takes longer to make.
        self.tickets: list[Ticket] = []
        self.debt_s = 0.0


class _Class:
    """A class's lines, ordered by the CPU time that their identities have used."""

    __slots__ = (
        "arrivals",
        "count",
        "finish",
        "floor",
        "lane",
        "line_time",
        "lines",
        "order",
        "served",
        "start",
    )

    def __init__(self, lane: Lane, floor: int) -> None:
        self.lane = lane
        self.floor = floor
        self.count = 0
        self.start = 0.0
        self.finish = 0.0
        self.line_time = 0.0
        self.lines: dict[Identity, _Line] = {}
        self.order: list[tuple[float, int, _Line]] = []
        self.served: OrderedDict[Identity, float] = OrderedDict()
        self.arrivals: deque[Ticket] = deque()

    @property
    def shared(self) -> int:
        """Return how many of its tickets have one of the shared places."""
        return max(0, self.count - self.lane.own_places)


class FairQueue:
    """Start-time fair queueing between classes, and by CPU time between the identities of a class.

    Source: P. Goyal, H. Vin, H. Cheng, "Start-time Fair Queueing", SIGCOMM 1996: each class has a start tag;
    the smallest is served; a service of cost c moves the class's tag by c / weight; a class that was idle
    starts at the current virtual time, so it neither saves up nor owes. The cost of a request is known only
    afterwards: `estimate_s` is charged when it is taken and the difference when it is done.

    Between identities the virtual time moves by cost / number of lines, as under processor sharing:
    otherwise new identities (5,000 addresses) would always come before a client that was served once (a
    page, now its images). While `newest_first` is set, classes that allow it serve the newest of the
    identities with about equal usage: the others have waited so long that they may be gone, and serving in
    order would make all that late.

    Places: at most `bound` tickets wait, besides those that a class has places of its own for
    (`Lane.own_places`). Each class but the last has a floor of bound * weight / sum of weights.
    Any class may use any free place. If none is free, a class below its floor takes a place from the lowest
    class above its own floor; a class at its floor takes one only from lower classes above theirs, and within
    itself from an identity that holds more. So a class below its floor is never refused, and no class is while
    a lower one holds more than its floor.

    Bounded: `bound` tickets and the classes' own; as many lines; `served_capacity` identities per class remembered
    after they left (the oldest is dropped and starts again as a newcomer).
    """

    def __init__(
        self,
        lanes: Sequence[Lane],
        *,
        bound: int,
        per_identity: int,
        estimate_s: float = 0.001,
        served_capacity: int = 4096,
    ) -> None:
        total = sum(lane.weight for lane in lanes)
        self._classes = [_Class(lane, bound * lane.weight // total) for lane in lanes]
        # Demoted identities get only places that no other class needs.
        self._classes[-1].floor = 0
        self._bound = bound
        self._per_identity = per_identity
        self._estimate_s = estimate_s
        self._served_capacity = served_capacity
        self.count = 0
        # How many of the waiting tickets have one of the shared places.
        self._shared = 0
        self._virtual = 0.0
        self._sequence = 0
        self._lines = 0
        self._dirty = False
        self.newest_first = False

    def __len__(self) -> int:
        return self.count

    def waiting_in(self, lane: int) -> int:
        """Return how many tickets wait in a class."""
        return self._classes[lane].count

    def oldest_wait_s(self, lane: int, at_s: float) -> float:
        """Return the longest wait in a class, ignoring tickets that wait for others of their own identity."""
        for ticket in self._classes[lane].arrivals:
            if ticket.state == WAITING and not ticket.ahead:
                return at_s - ticket.entered_s
        return 0.0

    def floor_of(self, lane: int) -> int:
        """Return the number of places that higher classes leave to this one."""
        return self._classes[lane].floor

    def remembered(self) -> int:
        """Return how many identities are remembered in all classes, waiting or recently served."""
        return sum(len(c.served) + len(c.lines) for c in self._classes)

    def offer(self, ticket: Ticket, at_s: float) -> tuple[str, Ticket | None]:
        own = self._classes[ticket.lane]
        line = own.lines.get(ticket.identity)
        held = len(line.tickets) if line is not None else 0
        if held >= self._per_identity:
            return "queue/identity", None
        displaced: Ticket | None = None
        if own.count >= own.lane.own_places and self._shared >= self._bound:
            displaced = self._make_room(ticket.lane, held)
            if displaced is None:
                return "queue/full", None
        ticket.ahead = held
        ticket.state = WAITING
        ticket.entered_s = at_s
        ticket.deadline_s = at_s + own.lane.deadline_s
        self._dirty = True
        if not own.count:
            own.start = max(self._virtual, own.finish)
        if line is None:
            start = own.served.pop(ticket.identity, 0.0)
            self._lines += 1
            line = _Line(ticket.identity, start if start > own.line_time else own.line_time, self._lines)
            own.lines[ticket.identity] = line
            self._order(own, line)
        line.tickets.append(ticket)
        own.arrivals.append(ticket)
        own.count += 1
        self.count += 1
        if own.count > own.lane.own_places:
            self._shared += 1
        return "", displaced

    def take(self, at_s: float, lanes: int | None = None) -> Ticket | None:
        while self.count:
            own = self._next_class(lanes)
            if own is None:
                return None
            if own.start > self._virtual:
                self._virtual = own.start
            _, _, line = heapq.heappop(own.order)
            if not line.tickets:
                self._forget(own, line)
                continue
            if line.debt_s:
                # Its cost turned out to be more (or less) than estimated since it was put in order.
                line.start += line.debt_s
                line.debt_s = 0.0
                self._order(own, line)
                continue
            ticket = line.tickets.pop(0)
            self._free_place(own)
            own.line_time += self._estimate_s / len(own.lines)
            line.start += self._estimate_s
            own.start += self._estimate_s / own.lane.weight
            own.finish = own.start
            if line.tickets:
                self._order(own, line)
            else:
                self._forget(own, line)
            return ticket
        return None

    def leave(self, ticket: Ticket) -> None:
        if ticket.state != WAITING:
            return
        ticket.state = GONE
        own = self._classes[ticket.lane]
        line = own.lines[ticket.identity]
        line.tickets.remove(ticket)
        self._free_place(own)
        self._sweep(own)

    def expire(self, at_s: float) -> list[Ticket]:
        gone: list[Ticket] = []
        for own in self._classes:
            # One deadline per class: arrival order is deadline order.
            while own.arrivals and (own.arrivals[0].state != WAITING or own.arrivals[0].deadline_s <= at_s):
                ticket = own.arrivals.popleft()
                if ticket.state == WAITING:
                    self.leave(ticket)
                    gone.append(ticket)
        return gone

    def charge(self, ticket: Ticket, cost_s: float) -> None:
        if not self.count:
            # No ticket waits, so none was delayed: all start equal at the next busy time.
            if self._dirty:
                self._start_afresh()
            return
        own = self._classes[ticket.lane]
        more_s = cost_s - (self._estimate_s if ticket.entered_s >= 0 else 0.0)
        if own.lines:
            own.line_time += more_s / len(own.lines)
        if own.count:
            own.start += more_s / own.lane.weight
            own.finish = own.start
        else:
            own.finish = max(own.finish, self._virtual) + more_s / own.lane.weight
        line = own.lines.get(ticket.identity)
        if line is not None:
            line.debt_s += more_s
        else:
            before = own.served.get(ticket.identity)
            if before is None:
                self._remember(own, ticket.identity, own.line_time + more_s)
            else:
                own.served[ticket.identity] = (before if before > own.line_time else own.line_time) + more_s

    def _start_afresh(self) -> None:
        self._dirty = False
        self._virtual = 0.0
        for own in self._classes:
            own.start = own.finish = own.line_time = 0.0
            own.served.clear()
            own.lines.clear()
            own.order.clear()
            own.arrivals.clear()

    def _next_class(self, lanes: int | None) -> _Class | None:
        """Return the class with the smallest start tag among those of the first `lanes` with waiting tickets."""
        best: _Class | None = None
        for own in self._classes[:lanes]:
            if own.count and (best is None or own.start < best.start):
                best = own
        return best

    def _make_room(self, lane: int, held: int) -> Ticket | None:
        """Remove a ticket of the lowest class that may lose one, and return it; None if no class may."""
        own = self._classes[lane]
        is_owed = own.shared < own.floor
        for index in range(len(self._classes) - 1, -1, -1):
            victim = self._classes[index]
            if index == lane and not is_owed:
                # Within its own class a newcomer takes a place only from an identity that holds clearly more.
                if victim.count <= len(victim.lines):
                    return None
                longest = max(victim.lines.values(), key=_length_of)
                if len(longest.tickets) <= held + 1:
                    return None
                displaced = longest.tickets[-1]
            elif victim.shared > victim.floor and (is_owed or index > lane):
                displaced = self._newest(victim)
            else:
                continue
            self.leave(displaced)
            return displaced
        return None

    def _free_place(self, own: _Class) -> None:
        if own.count > own.lane.own_places:
            self._shared -= 1
        own.count -= 1
        self.count -= 1

    def _newest(self, own: _Class) -> Ticket:
        """Return the longest line's newest ticket; if all have one, the newest ticket, found at once."""
        if own.count > len(own.lines):
            return max(own.lines.values(), key=_length_of).tickets[-1]
        while own.arrivals[-1].state != WAITING:
            own.arrivals.pop()
        return own.arrivals[-1]

    def _order(self, own: _Class, line: _Line) -> None:
        self._sequence += 1
        if self.newest_first and own.lane.newest_first:
            # Two lines never have the same number, so the heap never compares lines.
            heapq.heappush(own.order, (line.start // LEVEL_S * LEVEL_S, -line.number, line))
        else:
            heapq.heappush(own.order, (line.start, self._sequence, line))

    def _forget(self, own: _Class, line: _Line) -> None:
        del own.lines[line.identity]
        self._remember(own, line.identity, line.start + line.debt_s)

    def _remember(self, own: _Class, identity: Identity, served: float) -> None:
        if len(own.served) >= self._served_capacity:
            own.served.popitem(last=False)
        own.served[identity] = served

    def _sweep(self, own: _Class) -> None:
        """Remove tickets that have left, once they are the majority of those stored."""
        if len(own.arrivals) > 64 and len(own.arrivals) > 2 * own.count:
            own.arrivals = deque(t for t in own.arrivals if t.state == WAITING)
        if len(own.order) > 64 and len(own.order) > 2 * own.count:
            for line in [line for line in own.lines.values() if not line.tickets]:
                self._forget(own, line)
            own.order = [entry for entry in own.order if entry[2].tickets]
            heapq.heapify(own.order)


def _length_of(line: _Line) -> int:
    return len(line.tickets)
