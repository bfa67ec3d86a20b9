"""The number of slots, on plain numbers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stormpetrel.shield.admit import Gate, Policy
from stormpetrel.shield.allowance import LATE_S
from stormpetrel.shield.classify import K1, K3_FAR, K4
from stormpetrel.shield.concurrency import BUSY, MOST, Concurrency
from stormpetrel.shield.identify import Identity
from stormpetrel.shield.queues import RUNNING, WAITING, Ticket

LATE = LATE_S * 2


def filled(base: int = 4) -> Concurrency:
    """Return slots that known clients hold, all of them."""
    slots = Concurrency(base)
    fill(slots)
    return slots


def fill(slots: Concurrency) -> None:
    while slots.has_slot(is_known=True):
        slots.start(is_known=True)


def test_slots_double_while_the_loop_is_late_and_known_clients_wait() -> None:
    slots = filled()
    seen = []
    for _ in range(5):
        slots.turn(lag_s=LATE, used_s=0.01, passed_s=0.1, known_wait=True)
        fill(slots)
        seen.append(slots.running)
    assert seen == [8, 16, MOST, MOST, MOST]


@pytest.mark.parametrize(
    ("lag_s", "used_s", "known_wait"),
    [(LATE_S, 0.01, True), (LATE, 0.01, False), (LATE, BUSY * 0.1 + 0.001, True)],
    ids=["the loop is in time", "no known client waits", "running requests make the loop late"],
)
def test_otherwise_the_slots_stay_as_they_are(lag_s: float, used_s: float, known_wait: bool) -> None:
    slots = filled()
    slots.turn(lag_s=lag_s, used_s=used_s, passed_s=0.1, known_wait=known_wait)
    assert slots.slots == 4


@pytest.mark.parametrize(
    "is_busy", [True, False], ids=["they use the processor", "three quarters of them are free"]
)
def test_slots_halve_down_to_the_configured_number(is_busy: bool) -> None:
    slots = filled()
    for _ in range(3):
        slots.turn(lag_s=LATE, used_s=0.0, passed_s=0.1, known_wait=True)
        fill(slots)
    if not is_busy:
        while slots.running > 1:
            slots.end(is_known=True)
    seen = []
    for _ in range(5):
        slots.turn(lag_s=LATE, used_s=0.1 if is_busy else 0.0, passed_s=0.1, known_wait=True)
        seen.append(slots.slots)
    assert seen == [16, 8, 4, 4, 4]


def test_a_worker_that_gets_little_of_a_processor_gives_no_more_slots_if_requests_use_most_of_it() -> None:
    slots = filled()
    for used_s, expected in ((0.006, 8), (0.008, 4), (0.008, 4)):
        slots.turn(lag_s=LATE, used_s=used_s, passed_s=0.1, known_wait=True, loop_s=0.01)
        fill(slots)
        assert slots.slots == expected


def test_a_configured_number_above_the_most_stays() -> None:
    slots = filled(100)
    slots.turn(lag_s=LATE, used_s=0.0, passed_s=0.1, known_wait=True)
    assert slots.slots == 100


@given(
    base=st.integers(1, 8),
    steps=st.lists(st.sampled_from(["known", "stranger", "end", "late", "in time"]), max_size=200),
)
def test_strangers_have_the_base_and_never_more(base: int, steps: list[str]) -> None:
    slots = Concurrency(base)
    running: list[bool] = []
    for step in steps:
        if step == "end" and running:
            slots.end(is_known=running.pop(0))
        elif step in ("known", "stranger") and slots.has_slot(is_known=step == "known"):
            running.append(step == "known")
            slots.start(is_known=step == "known")
        elif step in ("late", "in time"):
            slots.turn(lag_s=LATE if step == "late" else 0.0, used_s=0.0, passed_s=0.1, known_wait=True)
        assert (slots.running, slots.known) == (len(running), running.count(True))
        assert running.count(False) <= base <= slots.slots
        # Known clients on the slots that are theirs alone take none from strangers.
        if running.count(True) <= slots.slots - base and running.count(False) < base:
            assert slots.has_slot(is_known=False)


def test_members_run_beside_strangers_that_hold_every_slot() -> None:
    gate = Gate(Policy(running=4))
    at_s = 1.0

    def ask(n: int, lane: int) -> Ticket:
        ticket = Ticket(Identity("account" if lane == K1 else "address", n), lane)
        assert not gate.ask(ticket, at_s)
        return ticket

    held = [ask(n, K4) for n in range(4)]
    strangers = [ask(n, K3_FAR) for n in range(100, 110)]
    members = [ask(n, K1) for n in range(200, 203)]
    assert {one.state for one in held} == {RUNNING}
    assert {one.state for one in strangers + members} == {WAITING}
    assert gate.next(at_s) is None
    at_s += 0.1
    gate.turn(at_s)
    gate.stress(True, lag_s=LATE)
    ran = []
    while (ticket := gate.next(at_s)) is not None:
        ran.append(ticket)
    assert set(ran) == set(members)
    for ticket in ran:
        gate.done(ticket, 0.001)
    assert gate.running == 4


def test_requests_that_take_several_windows_get_no_additional_slots() -> None:
    """60 tokens with the most expensive pages: none of them ends in the window in which it uses the processor."""
    gate = Gate(Policy(running=4))
    at_s = 1.0
    gate.turn(at_s)
    for n in range(60):
        assert not gate.ask(Ticket(Identity("account", n), K1), at_s)
    for _ in range(10):
        at_s += 0.1
        gate.turn(at_s)
        gate.used_s += 0.09
        gate.stress(True, lag_s=LATE)
        assert gate.next(at_s) is None
    assert (gate.running, gate.concurrency.slots) == (4, 4)
