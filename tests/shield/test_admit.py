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
from stormpetrel.shield.answer import FORGIVEN_AFTER_S, MAX_RETRY_AFTER_S, RetryTracker, retry_after_s
from stormpetrel.shield.ceilings import PERIOD_S, Ceiling
from stormpetrel.shield.classify import (
    CHANGES,
    DEMOTED,
    DEVICE,
    ESTABLISHED,
    KNOWN,
    LANES,
    NEAR,
    OVER,
    READER,
    RETURNS,
    RULES,
    SIGNS_IN,
    classify,
)
from stormpetrel.shield.identify import Identity
from stormpetrel.shield.queues import RUNNING, WAITING, FairQueue, Ticket


def member(n: int) -> Identity:
    return Identity("account", n)


def stranger(n: int) -> Identity:
    return Identity("address", f"192.0.2.{n}")


@pytest.mark.parametrize(
    ("flags", "lane", "because"),
    [
        (KNOWN | ESTABLISHED, "K1", "class/known-reads"),
        (KNOWN | ESTABLISHED | CHANGES, "K0", "class/known-writes"),
        (KNOWN | ESTABLISHED | CHANGES | DEMOTED, "K4", "class/demoted"),
        (KNOWN, "K3", "class/new-credential-far"),
        (KNOWN | NEAR, "K3", "class/new-credential"),
        (SIGNS_IN | CHANGES | DEVICE | OVER, "K2", "class/known-device"),
        (SIGNS_IN | CHANGES | RETURNS, "K3", "class/sign-in"),
        (SIGNS_IN | CHANGES, "K3", "class/sign-in-far"),
        (SIGNS_IN | CHANGES | OVER, "K4", "class/over-budget"),
        (RETURNS, "K2", "class/returning"),
        (READER, "K2", "class/known-reader"),
        (NEAR, "K3", "class/near-stranger"),
        (CHANGES, "K3", "class/stranger"),
        (OVER | NEAR, "K4", "class/over-budget"),
    ],
)
def test_classes(flags: int, lane: str, because: str) -> None:
    rule = classify(flags)
    assert (LANES[rule.lane].name, rule.because) == (lane, because)


def test_weights_are_parts_of_a_hundred_and_the_last_rule_fits_everybody() -> None:
    assert sum(lane.weight for lane in LANES) == 100
    assert RULES[-1].needs == 0


# Arrivals and completions in any order: (who and class, or a completion), and the time between them.
EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["member reads", "member writes", "stranger", "sign in", "done", "done", "leave"]),
        st.integers(0, 5),
        st.sampled_from([0.0, 0.0, 0.01, 0.3, 2.5]),
    ),
    max_size=120,
)
LANE_OF = {"member reads": 1, "member writes": 0, "stranger": 4, "sign in": 2}


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
            identity = member(n) if what.startswith("member") else stranger(n)
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
        assert len(queue) == len(waits) <= waiting
        assert not waits or gate.running == running
        assert all(ticket.state == WAITING for ticket in waits)
        held = Counter((ticket.identity, ticket.lane) for ticket in waits)
        assert all(count <= per_identity for count in held.values())


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
    counts = served({0: writers, 1: readers, 3: strangers}, turns=2000)
    shares = [sum(counts[i] for i in group) / 2000 for group in (writers, readers, strangers)]
    weights = [20 / 79, 50 / 79, 9 / 79]
    for share, weight in zip(shares, weights, strict=True):
        assert share == pytest.approx(weight, rel=0.05)


def test_higher_classes_take_places_from_lower_ones_down_to_their_floor_and_no_further() -> None:
    gate = Gate(Policy(running=1, waiting=100, waiting_per_identity=100))
    queue = gate.queue
    assert isinstance(queue, FairQueue)
    gate.ask(Ticket(stranger(0), 3), 1.0)
    for n in range(110):
        assert gate.ask(Ticket(stranger(1 + n % 5), 3), 1.0) == ("" if n < 100 else "queue/full")
    answers = [gate.ask(Ticket(member(n), 1), 1.0) for n in range(100)]
    assert queue.waiting_in(3) == queue.floor_of(3) == 9
    assert answers.count("") == queue.waiting_in(1) == 100 - 9
    assert {because for _, because in gate.evicted()} == {"queue/displaced"}
    # A class at its floor gets no more places, but shares them better. A class below its floor takes a place
    # from a class above its own.
    assert gate.ask(Ticket(stranger(77), 3), 1.0) == ""
    assert queue.waiting_in(3) == 9
    assert gate.ask(Ticket(member(200), 0), 1.0) == ""
    assert gate.ask(Ticket(stranger(78), 4), 1.0) == ""
    assert (queue.waiting_in(0), queue.waiting_in(1), queue.waiting_in(4)) == (1, 89, 1)
    # Demoted identities have no floor.
    assert gate.ask(Ticket(stranger(79), 5), 1.0) == "queue/full"


def test_what_a_class_does_not_use_goes_to_the_others() -> None:
    assert served({3: [stranger(1), stranger(2)]}, turns=100).total() == 100


def test_identities_of_a_class_share_it_whatever_they_send() -> None:
    many, few = stranger(1), stranger(2)
    counts = served({3: [many] * 8 + [few]}, turns=1000)
    assert counts[few] / counts[many] == pytest.approx(1, rel=0.1)


def test_an_identity_whose_requests_cost_more_runs_less_often() -> None:
    gate = Gate(Policy(running=1, waiting=100, waiting_per_identity=10))
    at_s = 1.0
    spent: Counter[Identity] = Counter()
    dear, cheap = stranger(1), stranger(2)
    first = Ticket(dear, 3)
    gate.ask(first, at_s)
    running: Ticket | None = first
    for _ in range(2000):
        for identity in (dear, cheap):
            gate.ask(Ticket(identity, 3), at_s)
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
    blocker = Ticket(stranger(9), 3)
    gate.ask(blocker, at_s)
    for n in range(4):
        gate.ask(Ticket(stranger(n), 3), at_s)
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
        queue.offer(Ticket(stranger(n), 3), float(n))
        ceiling.take(stranger(n), 0.0)
        patience.refused(stranger(n), 0.0)
        if n % 3 == 0:
            ticket = queue.take(float(n))
            assert ticket is not None
            queue.charge(ticket, 0.01)
        assert queue.remembered() <= 50 + 20
    assert (len(ceiling), len(patience)) == (30, 40)


@given(st.lists(st.tuples(st.sampled_from(["a", "b"]), st.floats(0, 20)), max_size=80), st.integers(1, 20))
def test_a_ceiling_never_lets_more_through_than_it_says(visits: list[tuple[str, float]], limit: int) -> None:
    ceiling = Ceiling(limit)
    at_s, passed, began_s = 0.0, Counter[str](), 0.0
    for who, wait_s in visits:
        at_s += wait_s
        spent = ceiling.is_spent(who, at_s)
        taken = ceiling.take(who, at_s)
        assert taken != spent
        passed[who] += taken
        rate_limit = ceiling.rate_limit(who, at_s, epoch_s=at_s)
        assert rate_limit is not None
        assert 0 <= rate_limit.remaining <= limit
        assert rate_limit.reset_epoch_s >= at_s
        assert ceiling.wait_s(who, at_s) <= PERIOD_S
        assert passed[who] <= limit + (at_s - began_s) * limit / PERIOD_S + 1e-6


def test_no_ceiling_is_no_ceiling() -> None:
    ceiling = Ceiling(0)
    assert all(ceiling.take("a", 0.0) for _ in range(1000))
    assert not ceiling.is_spent("a", 0.0)
    assert ceiling.rate_limit("a", 0.0, epoch_s=0.0) is None
    assert len(ceiling) == 0


@given(st.integers(0, 10_000), st.floats(0, 1e5), st.integers(0, 1000), st.floats(0, 1, exclude_max=True))
def test_retry_after_is_a_whole_number_of_seconds_within_bounds_and_rises(
    waiting: int, drained_per_s: float, refusals: int, jitter: float
) -> None:
    keys = {"waiting": waiting, "drained_per_s": drained_per_s, "jitter": jitter}
    first = retry_after_s(refusals=refusals, **keys)  # type: ignore[arg-type]
    assert 1 <= first <= MAX_RETRY_AFTER_S
    assert retry_after_s(refusals=refusals + 1, **keys) >= first  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("waiting", "drained_per_s", "refusals", "jitter", "expected"),
    [(0, 100.0, 1, 0.0, 1), (400, 100.0, 1, 0.0, 5), (400, 100.0, 2, 0.5, 12), (10_000, 1.0, 1, 0.0, 120)],
)
def test_retry_after_is_the_formula_in_its_docstring(
    waiting: int, drained_per_s: float, refusals: int, jitter: float, expected: int
) -> None:
    assert (
        retry_after_s(waiting=waiting, drained_per_s=drained_per_s, refusals=refusals, jitter=jitter)
        == expected
    )


def test_patience_starts_again_after_a_while() -> None:
    patience = RetryTracker()
    assert [patience.refused(stranger(1), at_s) for at_s in (0.0, 1.0, 2.0)] == [1, 2, 3]
    assert patience.refused(stranger(1), 2.1 + FORGIVEN_AFTER_S) == 1


@pytest.mark.parametrize("because", ["ceiling/requests", "queue/identity", "queue/full", "queue/deadline"])
def test_a_refusal_says_when_to_return_and_429_says_the_limit(because: str) -> None:
    gate = Gate(Policy(requests_per_5min=300))
    refused = gate.refusal(because, stranger(1), suspect=stranger(1), at_s=5.0, epoch_s=1000.0, jitter=0.3)
    assert refused.status == (429 if because in ("ceiling/requests", "queue/identity") else 503)
    assert refused.retry_after_s is not None
    assert (refused.rate_limit is not None) == (refused.status == 429)
    assert refused.because == because


def test_mode_bounded_runs_8_and_keeps_64_waiting_per_core_then_refuses() -> None:
    gate = Gate(Policy(mode="bounded", cores=2))
    asked = [gate.ask(Ticket(stranger(1), 3), 0.0) for _ in range(2 * 80)]
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
