"""The fair queue at the gate: floors, shares, costs and bounds."""

from __future__ import annotations

from collections import Counter

import pytest

from stormpetrel.shield.admit import (
    Gate,
    Policy,
)
from stormpetrel.shield.answer import RetryTracker
from stormpetrel.shield.ceilings import Ceiling
from stormpetrel.shield.classify import K3_FAR, K3_NEAR, K4, LANES
from stormpetrel.shield.identify import Identity
from stormpetrel.shield.queues import RUNNING, FairQueue, Ticket
from tests.shield.test_admit import member, stranger


def served(arrivals: dict[int, list[Identity]], *, turns: int, cost_s: float = 0.01) -> Counter[Identity]:
    """Return how often each identity ran, if each of `arrivals` (by class) always has one request waiting."""
    gate = Gate(Policy(running=1, waiting=512, waiting_per_identity=4))
    at_s = 1.0
    counts: Counter[Identity] = Counter()
    running: Ticket | None = None
    for _ in range(turns):
        for lane, identities in arrivals.items():
            for identity in identities:
                ticket = Ticket(identity, lane)
                gate.ask(ticket, at_s)
                if ticket.state == RUNNING:
                    running = ticket
        gate.evicted()
        at_s += cost_s
        assert running is not None
        gate.done(running, cost_s)
        running = gate.next(at_s)
        assert running is not None
        counts[running.identity] += 1
    return counts


def test_floors_hold_while_every_class_wants_more_than_there_is() -> None:
    writers, readers, strangers = (
        [member(n) for n in range(3)],
        [member(n) for n in range(10, 13)],
        [stranger(1)],
    )
    counts = served({0: writers, 1: readers, K3_NEAR: strangers}, turns=2000)
    shares = [sum(counts[i] for i in group) / 2000 for group in (writers, readers, strangers)]
    weights = [25 / 69, 35 / 69, 9 / 69]
    for share, weight in zip(shares, weights, strict=True):
        assert share == pytest.approx(weight, rel=0.05)


def test_higher_classes_take_places_from_lower_ones_down_to_their_floor_and_no_further() -> None:
    gate = Gate(Policy(running=1, waiting=100, waiting_per_identity=100))
    queue = gate.queue
    assert isinstance(queue, FairQueue)
    gate.ask(Ticket(stranger(0), K3_NEAR), 1.0)
    for n in range(110):
        assert gate.ask(Ticket(stranger(1 + n % 5), K3_NEAR), 1.0) == ("" if n < 100 else "queue/full")
    answers = [gate.ask(Ticket(member(n), 1), 1.0) for n in range(100)]
    assert queue.waiting_in(K3_NEAR) == queue.floor_of(K3_NEAR) == 9
    assert answers.count("") == queue.waiting_in(1) == 100 - 9
    assert {because for _, because in gate.evicted()} == {"queue/displaced"}
    # A class at its floor gets no more places, but shares them better. A class below its floor takes a place
    # from a class above its own.
    assert gate.ask(Ticket(stranger(77), K3_NEAR), 1.0) == ""
    assert queue.waiting_in(K3_NEAR) == 9
    assert gate.ask(Ticket(member(200), 0), 1.0) == ""
    assert gate.ask(Ticket(stranger(78), K3_FAR), 1.0) == ""
    # The write has a place of its own.
    assert (queue.waiting_in(0), queue.waiting_in(1), queue.waiting_in(K3_FAR)) == (1, 90, 1)
    # Demoted identities have no floor.
    assert gate.ask(Ticket(stranger(79), K4), 1.0) == "queue/full"


def test_what_a_class_does_not_use_goes_to_the_others() -> None:
    assert served({K3_NEAR: [stranger(1), stranger(2)]}, turns=100).total() == 100


def test_identities_of_a_class_share_it_whatever_they_send() -> None:
    many, few = stranger(1), stranger(2)
    counts = served({K3_NEAR: [many] * 8 + [few]}, turns=1000)
    assert counts[few] / counts[many] == pytest.approx(1, rel=0.1)


def test_an_identity_whose_requests_cost_more_runs_less_often() -> None:
    gate = Gate(Policy(running=1, waiting=100, waiting_per_identity=10))
    at_s = 1.0
    spent: Counter[Identity] = Counter()
    dear, cheap = stranger(1), stranger(2)
    first = Ticket(dear, K3_NEAR)
    gate.ask(first, at_s)
    running: Ticket | None = first
    for _ in range(2000):
        for identity in (dear, cheap):
            gate.ask(Ticket(identity, K3_NEAR), at_s)
        gate.evicted()
        assert running is not None
        cost_s = 0.010 if running.identity == dear else 0.001
        spent[running.identity] += round(cost_s * 1000)
        at_s += cost_s
        gate.done(running, cost_s)
        running = gate.next(at_s)
    assert spent[dear] / spent[cheap] == pytest.approx(1, rel=0.15)


def test_a_long_calm_before_a_storm_is_held_against_nobody() -> None:
    gate = Gate(Policy(running=1))
    at_s = 1.0
    for _ in range(1000):
        ticket = Ticket(member(1), 1)
        gate.ask(ticket, at_s)
        at_s += 1.0
        gate.done(ticket, 0.01)
    order = []
    blocker = Ticket(stranger(9), K3_NEAR)
    gate.ask(blocker, at_s)
    for n in range(4):
        gate.ask(Ticket(stranger(n), K3_NEAR), at_s)
        gate.ask(Ticket(member(n), 1), at_s)
    gate.done(blocker, 0.01)
    while (ticket := gate.next(at_s)) is not None:
        order.append(ticket.lane)
        gate.done(ticket, 0.01)
    assert 1 in order[:2]


def test_tables_stay_within_their_bounds_under_a_flood_of_identities() -> None:
    queue = FairQueue(LANES, bound=50, per_identity=4, served_capacity=20)
    ceiling = Ceiling(10, capacity=30)
    patience = RetryTracker(capacity=40)
    for n in range(2000):
        queue.offer(Ticket(stranger(n), K3_NEAR), float(n))
        ceiling.take(stranger(n), 0.0)
        patience.refused(stranger(n), 0.0)
        if n % 3 == 0:
            ticket = queue.take(float(n))
            assert ticket is not None
            queue.charge(ticket, 0.01)
        assert queue.remembered() <= 50 + 20
    assert (len(ceiling), len(patience)) == (30, 40)


def test_a_burst_of_members_writes_waits_in_places_of_its_own_and_takes_none_of_the_shared_ones() -> None:
    queue = FairQueue(LANES, bound=100, per_identity=4)
    own = LANES[0].own_places
    writers = [Ticket(member(number), 0) for number in range(own)]
    assert {queue.offer(ticket, 1.0) for ticket in writers} == {("", None)}
    readers = [Ticket(member(number), 1) for number in range(own, own + 100)]
    assert {queue.offer(ticket, 1.0) for ticket in readers} == {("", None)}
    # Every place is taken: further writes take those that a lower class has above its floor.
    for number in range(100 - queue.floor_of(1)):
        because, displaced = queue.offer(Ticket(member(-1 - number), 0), 1.0)
        assert (because, displaced is not None and displaced.lane) == ("", 1)
    assert queue.offer(Ticket(member(-1000), 0), 1.0) == ("queue/full", None)
    assert len(queue) == own + 100
    for ticket in writers[:50]:
        queue.leave(ticket)
    assert {queue.offer(Ticket(member(-2000 - number), 0), 1.0)[0] for number in range(50)} == {""}
    while queue.take(2.0) is not None:
        pass
    assert (len(queue), queue._shared) == (0, 0)
