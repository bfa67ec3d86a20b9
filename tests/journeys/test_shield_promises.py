"""The shield's promises for any requests in any order: by hypothesis, on plain values.

And one long calm: an hour of ordinary use without a single refusal.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from stormpetrel.shield import agents, answer, budgets, counters, orders, prefixes, usage
from stormpetrel.shield.classify import K3_FAR, K3_NEAR, K4, LANES
from stormpetrel.shield.identify import address_identity
from stormpetrel.shield.queues import GONE, FairQueue, Ticket
from stormpetrel.shield.reports import Directions, OperatorEntry
from tests.shield.visitors import DAY_S, Visited, token, token_hash

STRANGE = (K3_NEAR, K3_FAR, K4)

# One step: the kind of request, the number of its sender, and the time that passes before it.
STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            [
                "member reads",
                "member reads",
                "member writes",
                "session reads",
                "young member reads",
                "stranger reads",
                "strangers read",
                "strangers read",
                "forged token",
                "sign-in",
                "sign-in on a device",
                "visitor returns",
                "search",
                "deny",
                "pause",
            ]
        ),
        st.integers(0, 7),
        st.sampled_from([0.0, 0.001, 0.02, 0.3, 3.0]),
    ),
    max_size=60,
)


def step(place: Visited, what: str, n: int) -> list[Ticket]:
    """Do one step. Return the tickets of its requests, in order."""
    near = f"198.51.100.{n}"
    far = f"203.0.113.{n}"
    home = "/api/v1/timelines/home"
    match what:
        case "member reads":
            return [place.ask(home, bearer=token(n), address=near)]
        case "member writes":
            return [place.ask("/api/v1/statuses", method="POST", bearer=token(n), address=near)]
        case "session reads":
            return [place.ask("/home", cookie=place.session(n, age_s=2 * DAY_S), address=near)]
        case "young member reads":
            place.member(100 + n, age_s=0.0)
            return [place.ask(home, bearer=token(100 + n), address=far)]
        case "stranger reads":
            return [place.ask("/@nino", address=near)]
        case "strangers read":
            return [place.ask("/@nino", address=f"203.0.{n}.{k}") for k in range(40)]
        case "forged token":
            return [place.ask(home, bearer=b"forged %d" % k, address=far) for k in range(10)]
        case "sign-in":
            return [place.ask("/auth/sign_in", method="POST", address=f"203.0.{n}.{k}") for k in range(10)]
        case "sign-in on a device":
            return [place.ask("/auth/sign_in", method="POST", cookie=place.device(n, age_s=2 * DAY_S))]
        case "visitor returns":
            return [place.ask("/@nino", cookie=place.visitor(n, age_s=2 * DAY_S), address=far)]
        case "search":
            return [place.ask("/search?q=storm", address=f"203.0.{n}.{k}") for k in range(10)]
        case "deny":
            kinds = (
                ("token", token_hash(n).hex()),
                ("account", str(n)),
                ("application", "Tusky"),
                *(("address", network) for network in ("192.0.0.0/16", "198.51.0.0/16", "203.0.0.0/16")),
            )
            denied = tuple(OperatorEntry(kind, value, place.epoch_s + 5.0, "") for kind, value in kinds)
            version = place.shield.orders.directions.version + 1
            place.shield.direct(
                Directions(version, place.epoch_s + 5.0, denied=denied), epoch_s=place.epoch_s
            )
        case _:
            version = place.shield.orders.directions.version + 1
            place.shield.direct(
                Directions(version, place.epoch_s + 5.0, paused_until_epoch_s=place.epoch_s + 1.0),
                epoch_s=place.epoch_s,
            )
    return []


@settings(max_examples=60)
@given(steps=STEPS, running=st.integers(1, 3), waiting=st.integers(8, 64), per_identity=st.integers(2, 8))
def test_whatever_is_sent_the_shield_keeps_its_promises(
    steps: list[tuple[str, int, float]], running: int, waiting: int, per_identity: int
) -> None:
    place = Visited(running=running, waiting=waiting, waiting_per_identity=per_identity, cost_s=0.02)
    for n in range(8):
        place.member(n, age_s=2 * DAY_S, application="Tusky")
    queue = place.shield.gate.queue
    assert isinstance(queue, FairQueue)
    for what, n, passed_s in steps:
        place.pass_time(passed_s)
        roomy = [lane for lane in STRANGE if queue.waiting_in(lane) > queue.floor_of(lane)]
        before = {lane: queue.waiting_in(lane) for lane in range(len(LANES))}
        tickets = step(place, what, n)
        for ticket in tickets:
            if what in ("member reads", "member writes", "session reads"):
                # The credential is older than the attack: no deny matches it, and while strangers hold more
                # than their floor, it is refused only for its own excess.
                assert not ticket.because.startswith("deny/")
                if ticket.state == GONE:
                    assert ticket.because == "queue/identity" or not roomy
                    assert ticket.because == "queue/identity" or before[ticket.lane] >= queue.floor_of(
                        ticket.lane
                    )
                if not place.shield.usage.is_demoted(ticket.identity, place.at_s):
                    assert ticket.lane in (0, 1)
            elif ticket.because.startswith("deny/"):
                assert place.shield.orders.any_denied
        # Work-conserving: no ticket waits while a slot is free.
        gate = place.shield.gate
        assert not len(queue) or gate.running == running
        assert gate.running <= running
        # No table exceeds its bound. Members' writes have places of their own.
        assert len(queue) - min(queue.waiting_in(0), LANES[0].own_places) <= waiting
        assert len(place.shield.usage) <= 4 * usage.TRACKED
        assert len(gate.patience) <= 20_000
    # Each waiting ticket is served or refused, so in the end the queue is empty.
    place.pass_time(15.0)
    assert len(queue) == 0
    assert place.shield.gate.running == 0


def test_floors_hold_and_what_nobody_uses_goes_to_those_who_wait() -> None:
    place = Visited(cost_s=0.01, running=1)
    for n in range(40):
        place.member(n)
    place.pass_time(60.0)
    served: Counter[str] = Counter()
    rounds = 3000
    for n in range(rounds):
        # Each class wants more than its share of one slot of 10 ms.
        place.ask("/api/v1/statuses", method="POST", bearer=token(n % 20))
        place.ask("/api/v1/timelines/home", bearer=token(20 + n % 20))
        place.ask("/@nino", cookie=place.visitor(n % 20))
        place.ask("/@nino", address=f"203.{n // 250}.{n % 250}.1")
        place.pass_time(0.01)
    report = place.shield.report(at_s=place.at_s, connections=0, cached=0, because={})
    served.update({name: counts.get("served", 0) for name, counts in report.classes.items()})
    total = served.total()
    assert total > 0.97 * rounds
    weights = {"K0": 25, "K1": 35, "K2": 12, "K3": 6}
    for name, weight in weights.items():
        # A write costs more than its slot, so K0 reaches its share with fewer requests.
        assert served[name] / total > 0.8 * weight / sum(weights.values())


def test_no_table_grows_past_its_bound_under_a_flood_of_everything_new() -> None:
    place = Visited(waiting=32)
    for n in range(30_000):
        address = f"{n % 200 + 1}.{n // 200 % 250}.{n % 7}.{n % 250}"
        match n % 5:
            case 0:
                place.ask("/@nino", address=address)
            case 1:
                place.ask("/@a.atom", address=address, agent=f"reader {n}")
            case 2:
                place.ask("/api/v1/timelines/home", bearer=b"forged %d" % n, address=address)
            case 3:
                place.ask("/home", cookie=place.session(n), address=address)
            case _:
                place.shield.usage.demote(address_identity(address), place.at_s)
        if n % 50 == 0:
            place.pass_time(0.1)
    shield = place.shield
    assert len(shield.gate.queue) <= 32
    assert len(shield.usage) <= 2 * usage.TRACKED + 2 * usage.REMEMBERED
    assert len(shield.prefixes) <= prefixes.CAPACITY
    assert len(shield._readers) <= agents.READERS
    assert len(shield._parts) <= agents.READERS
    assert len(shield.gate.patience) <= 20_000
    assert isinstance(shield.gate.queue, FairQueue)
    assert shield.gate.queue.remembered() <= 32 + len(LANES) * 4096
    assert budgets.BUDGETS
    assert counters.MAX_REFUSALS
    assert orders.OPERATOR_ADDRESSES
    assert answer.MAX_RETRY_AFTER_S


# Requests in an hour of calm, about 70 per second in all: (rate per second, kind).
CALM = (
    (20.0, "apps"),
    (15.0, "carrier"),
    (5.0, "school"),
    (2.5, "tor"),
    (10.0, "web"),
    (3.0, "posts"),
    (1.0, "stream"),
    (3.0, "returning"),
    (6.0, "new"),
    (1.5, "feeds"),
    (0.5, "sign-in"),
    (0.1, "sign-up"),
    (2.4, "assets"),
)


@dataclass(frozen=True)
class Cookies:
    """The cookies of 300 people's browsers. A browser sends the same ones all hour."""

    sessions: list[str]
    visitors: list[str]
    devices: list[str]


def live(place: Visited, what: str, dice: random.Random, n: int, cookies: Cookies) -> None:
    """Make one request of this kind."""
    member = dice.randrange(300)
    match what:
        case "apps":
            place.ask("/api/v1/timelines/home?since_id=1", bearer=token(member), address=f"10.1.{member}.1")
        case "carrier":
            place.ask("/api/v1/notifications", bearer=token(member), address=f"10.2.0.{dice.randrange(5)}")
        case "school" if dice.random() < 0.5:
            place.ask("/@nino", address="10.3.0.1")
        case "school":
            place.ask("/home", cookie=cookies.sessions[member], address="10.3.0.1")
        case "tor":
            bearer = token(member) if dice.random() < 0.4 else None
            place.ask("/api/v1/timelines/home", bearer=bearer, address=f"10.4.{dice.randrange(8)}.1")
        case "web" | "assets":
            place.ask("/home", cookie=cookies.sessions[member], address=f"10.5.{member}.1")
        case "posts":
            place.ask("/api/v1/statuses", method="POST", bearer=token(member), address=f"10.1.{member}.1")
        case "stream":
            place.ask("/api/v1/streaming", bearer=token(member), address=f"10.1.{member}.1")
        case "returning":
            place.ask("/tags/storm", cookie=cookies.visitors[member], address=f"10.6.{member}.1")
        case "new":
            address = f"{11 + n % 100}.{n // 100 % 250}.{n // 25_000}.9"
            place.ask(dice.choice(["/@nino", "/search?q=a", "/nowhere", "/@nino?max_id=5"]), address=address)
        case "feeds":
            reader = dice.randrange(80)
            place.ask("/@nino.atom", address=f"10.7.0.{reader % 2}", agent=f"reader {reader}")
        case "sign-in":
            cookie = cookies.devices[member] if dice.random() < 0.7 else ""
            place.ask("/auth/sign_in", method="POST", cookie=cookie, address=f"10.8.{member}.1")
        case _:
            place.ask("/auth/sign_up", method="POST", address=f"10.9.{n % 250}.1")


def test_in_an_hour_of_calm_at_70_requests_a_second_nobody_is_refused_and_no_attack_is_seen() -> None:
    dice = random.Random(2009)
    place = Visited(cost_s=0.006)
    for n in range(300):
        place.member(n, age_s=dice.uniform(1.0, 400 * DAY_S))
    rate = sum(rate for rate, _ in CALM)
    assert 69.0 < rate < 71.0
    cookies = Cookies(
        [place.session(n) for n in range(300)],
        [place.visitor(n) for n in range(300)],
        [place.device(n) for n in range(300)],
    )
    kinds, weights = [what for _, what in CALM], [rate for rate, _ in CALM]
    drawn: list[str] = []
    asked = 0
    end_s = place.at_s + 3600.0
    while place.at_s < end_s:
        if not drawn:
            drawn = dice.choices(kinds, weights, k=1000)
        place.pass_time(dice.expovariate(rate))
        live(place, drawn.pop(), dice, asked, cookies)
        asked += 1
        if asked % 50_000 == 0:
            assert place.shield.overload.onset_epoch_s == 0.0
    place.pass_time(1.0)
    refused = {channel: count for (channel, outcome), count in place.outcomes.items() if outcome == "refused"}
    assert refused == {}
    assert sum(place.outcomes.values()) == asked > 245_000
    assert place.shield.usage.demoted_count(place.at_s) == 0
