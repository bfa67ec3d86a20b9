"""Admission on plain numbers, without socket or clock. Invariants by hypothesis, figures by table."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stormpetrel.shield.admit import (
    BOUNDED_RUNNING_PER_CORE,
    BOUNDED_WAITING_PER_CORE,
    PER_ADDRESS_REQUESTS,
    PER_ADDRESS_SIGN_INS,
    Gate,
    Policy,
)
from stormpetrel.shield.allowance import LATE_S
from stormpetrel.shield.classify import K0, K1, K1_COLD, K2, K3_FAR, K3_NEAR, K4, LANES
from stormpetrel.shield.concurrency import MOST
from stormpetrel.shield.identify import Identity
from stormpetrel.shield.queues import RUNNING, WAITING, FairQueue, Ticket


def member(n: int) -> Identity:
    return Identity("account", n)


def stranger(n: int) -> Identity:
    return Identity("address", f"192.0.2.{n}")


LANE_OF = {"member reads": K1, "cold read": K1_COLD, "member writes": K0, "stranger": K3_FAR, "sign in": K2}
# Arrivals and completions in any order: (who and class, or a completion), and the time between them.
EVENTS = st.lists(
    st.tuples(
        st.sampled_from([*LANE_OF, "done", "done", "leave"]),
        st.integers(0, 5),
        st.sampled_from([0.0, 0.0, 0.01, 0.3, 2.5]),
    ),
    max_size=120,
)


@given(events=EVENTS, waiting=st.integers(1, 12), per_identity=st.integers(1, 4), running=st.integers(1, 3))
def test_whatever_happens_the_gate_keeps_its_promises(
    events: list[tuple[str, int, float]], waiting: int, per_identity: int, running: int
) -> None:
    gate = Gate(Policy(waiting=waiting, waiting_per_identity=per_identity, running=running))
    queue = gate.queue
    assert isinstance(queue, FairQueue)
    at_s = 1.0
    runs: list[Ticket] = []
    waits: list[Ticket] = []
    for what, n, passed_s in events:
        at_s += passed_s
        gate.turn(at_s)
        evicted = gate.evicted()
        if what == "done":
            if runs:
                gate.done(runs.pop(n % len(runs)), 0.003)
        elif what == "leave":
            # Not a ticket that has just lost its place.
            if stays := [ticket for ticket in waits if ticket.state == WAITING]:
                gate.leave(stays[n % len(stays)])
                waits.remove(stays[n % len(stays)])
        else:
            identity = member(n) if what.startswith(("member", "cold")) else stranger(n)
            ticket = Ticket(identity, LANE_OF[what])
            lower = [
                lane
                for lane in range(ticket.lane + 1, len(LANES))
                if queue.waiting_in(lane) > queue.floor_of(lane)
            ]
            is_owed = queue.waiting_in(ticket.lane) < queue.floor_of(ticket.lane)
            before = queue.waiting_in(ticket.lane)
            because = gate.ask(ticket, at_s)
            evicted += gate.evicted()
            if because == "queue/full":
                # A known identity is never refused while evicting strangers could make room for it.
                assert not lower
                assert not is_owed
            elif because == "queue/identity":
                assert sum(t.identity == identity and t.lane == ticket.lane for t in waits) >= per_identity
            elif ticket.state == RUNNING:
                runs.append(ticket)
            else:
                waits.append(ticket)
                assert queue.waiting_in(ticket.lane) in (before, before + 1)
        for ticket, because in evicted:
            waits.remove(ticket)
            if because == "queue/displaced":
                assert ticket.lane >= LANE_OF.get(what, 0) or is_owed
            else:
                assert because == "queue/deadline"
                assert ticket.deadline_s <= at_s
        while (ticket_or_none := gate.next(at_s)) is not None:
            waits.remove(ticket_or_none)
            runs.append(ticket_or_none)
            assert ticket_or_none.deadline_s > at_s
        for ticket, because in gate.evicted():
            assert because == "queue/deadline"
            waits.remove(ticket)
        # No ticket waits while a slot is free, no more run than there are slots, and no table exceeds its
        # bound.
        assert gate.running == len(runs) <= running
        assert len(queue) == len(waits)
        # Besides the places that a class has of its own.
        shared = sum(max(0, queue.waiting_in(lane) - own.own_places) for lane, own in enumerate(LANES))
        assert shared <= waiting
        assert not waits or gate.running == running
        assert all(ticket.state == WAITING for ticket in waits)
        held = Counter((ticket.identity, ticket.lane) for ticket in waits)
        assert all(count <= per_identity for count in held.values())


WINDOWS = st.lists(
    st.tuples(
        st.sampled_from(["late", "in time", "ask", "ask", "ask", "done", "done", "leave", "charge"]),
        st.integers(0, len(LANES) - 1),
        st.integers(0, 30),
        st.sampled_from([0.0001, 0.002, 0.05, 2.0]),
    ),
    max_size=200,
)


@given(events=WINDOWS, running=st.integers(1, 4), is_stressed=st.booleans())
def test_slots_and_allowances_stay_true_whatever_comes_while_the_loop_is_late(
    events: list[tuple[str, int, int, float]], running: int, is_stressed: bool
) -> None:
    gate = Gate(Policy(running=running))
    slots, queue = gate.concurrency, gate.queue
    assert isinstance(queue, FairQueue)
    at_s = 1.0
    runs: list[Ticket] = []
    waits: list[Ticket] = []
    for what, lane, n, cost_s in events:
        at_s += 0.01
        if what in ("late", "in time"):
            at_s += 0.1
            gate.turn(at_s)
            gate.used_s += cost_s
            gate.stress(is_stressed, lag_s=2 * LATE_S if what == "late" else 0.0)
        elif what == "ask":
            ticket = Ticket(member(n), lane)
            assert not gate.ask(ticket, at_s)
            (runs if ticket.state == RUNNING else waits).append(ticket)
        elif what == "leave" and waits:
            gate.leave(waits.pop(n % len(waits)))
        elif runs and what == "done":
            ticket = runs.pop(n % len(runs))
            gate.done(ticket, cost_s)
            assert gate.done(ticket, cost_s) == -1.0
        elif runs and what == "charge":
            gate.charge(runs[n % len(runs)], cost_s)
        while (found := gate.next(at_s)) is not None:
            waits.remove(found)
            runs.append(found)
        for ticket, _ in gate.evicted():
            waits.remove(ticket)
        strangers = [ticket for ticket in runs if ticket.lane >= K3_NEAR]
        assert (slots.running, slots.known) == (len(runs), len(runs) - len(strangers))
        assert len(strangers) <= running <= slots.slots <= MOST
        assert sorted(map(id, waits)) == sorted(id(t) for t in waits if t.state == WAITING)
        # A ticket waits for a slot that it may take, or for the CPU time of its class, and for nothing else.
        for ticket in waits:
            is_known = ticket.lane < K3_NEAR
            has_time = is_known or (
                gate.strangers.left_s > 0.0 and (ticket.lane < K4 or gate.demoted.left_s > 0.0)
            )
            assert not (slots.has_slot(is_known=is_known) and has_time)


def test_mode_bounded_runs_8_and_keeps_64_waiting_per_core_then_refuses() -> None:
    gate = Gate(Policy(mode="bounded", cores=2))
    asked = [gate.ask(Ticket(stranger(1), K3_NEAR), 0.0) for _ in range(2 * 80)]
    assert gate.running == 2 * BOUNDED_RUNNING_PER_CORE
    assert asked.count("queue/full") == 2 * (80 - BOUNDED_RUNNING_PER_CORE - BOUNDED_WAITING_PER_CORE)


def test_mode_off_refuses_nobody_and_serves_first_in_first_out() -> None:
    gate = Gate(Policy(mode="off", running=1))
    tickets = [Ticket(stranger(n % 7), 3 - n % 2) for n in range(3000)]
    assert {gate.ask(ticket, 0.0) for ticket in tickets} == {""}
    for ticket in tickets[1:1000]:
        gate.leave(ticket)
    gate.done(tickets[0], 0.01)
    assert gate.next(1000.0) is tickets[1000]


def test_mode_per_address_limits_addresses_tokens_and_sign_ins() -> None:
    gate = Gate(Policy(mode="per-address"))

    def spend(n: int, **keys: object) -> str:
        return gate.spend(stranger(n), at_s=0.0, **keys)  # type: ignore[arg-type]

    assert [spend(1) for _ in range(PER_ADDRESS_REQUESTS + 1)][-1] == "ceiling/requests"
    tokens = [spend(10 + n, token_hash=b"t") for n in range(PER_ADDRESS_REQUESTS + 1)]
    assert tokens[-2:] == ["", "ceiling/token"]
    sign_ins = [spend(2, is_sign_in=True) for _ in range(PER_ADDRESS_SIGN_INS + 1)]
    assert sign_ins[-2:] == ["", "ceiling/sign-in"]


def test_an_unknown_mode_is_an_error() -> None:
    with pytest.raises(ValueError, match="unknown shield mode"):
        Gate(Policy(mode="whatever"))


def test_under_overload_a_member_passes_the_strangers_whose_time_is_used_up():
    gate = Gate(Policy(running=2))
    first = Ticket(stranger(1), K3_FAR)
    assert gate.ask(first, 1.0) == ""
    gate.stress(True, lag_s=0.0)
    assert gate.done(first, 0.09) > 0.0
    gate.stress(True, lag_s=1.0)
    gate.charge(first, 0.09)
    waiting = [Ticket(stranger(n), lane) for n, lane in ((2, K3_NEAR), (3, K3_FAR), (4, K4))]
    for ticket in waiting:
        assert gate.ask(ticket, 1.0) == ""
        assert ticket.state == WAITING
    assert gate.next(1.0) is None
    reads = Ticket(member(1), 1)
    gate.ask(reads, 1.01)
    assert gate.next(1.01) is reads
    assert gate.next(1.01) is None

    gate.stress(True, lag_s=0.0)  # the next window
    assert gate.next(1.1) is waiting[0]
    gate.done(waiting[0], 5.0)
    assert gate.next(1.1) is None
    gate.stress(False, lag_s=0.0)  # no overload: no limit
    assert gate.next(1.2) is waiting[1]


def test_demoted_clients_wait_while_the_loop_is_late_and_others_do_not() -> None:
    gate = Gate(Policy(running=4))
    gate.turn(1.0)
    gate.stress(False, lag_s=2 * LATE_S)
    spent = [Ticket(stranger(n), K4) for n in range(2)]
    for ticket in spent:
        assert not gate.ask(ticket, 1.0)
        # The window has 3 ms for them: the second request crosses the line.
        gate.done(ticket, 0.002)
    demoted, other = Ticket(stranger(3), K4), Ticket(stranger(4), K3_FAR)
    for ticket in (demoted, other):
        assert not gate.ask(ticket, 1.0)
    assert (demoted.state, gate.next(1.0), gate.next(1.0)) == (WAITING, other, None)
    gate.turn(1.1)
    gate.stress(False, lag_s=0.0)
    assert gate.next(1.1) is demoted
