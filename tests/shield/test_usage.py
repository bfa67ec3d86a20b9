"""Demotion: which identities, for how long, and whom it does not touch."""

from __future__ import annotations

from stormpetrel.shield.answer import IGNORED_DEMOTES
from stormpetrel.shield.classify import K1, K3_FAR, K3_NEAR, K4
from stormpetrel.shield.queues import GONE, Ticket
from tests.shield.test_decide import attacked
from tests.shield.visitors import Visited, token


def test_a_token_that_floods_is_demoted_alone_and_for_longer_each_time() -> None:
    place = attacked(cost_s=0.01)
    same_app, other = token(3), token(2)
    for n in range(2000):
        place.ask("/api/v1/timelines/home", bearer=token(1), address="198.51.100.7")
        place.ask("/@nino", address=f"203.0.{n // 250}.{n % 250}")
        place.pass_time(0.002)
    assert place.ask("/api/v1/timelines/home", bearer=token(1), address="198.51.100.8").lane == K4
    assert place.ask("/api/v1/timelines/home", bearer=same_app, address="198.51.100.7").lane == K1
    assert place.ask("/api/v1/timelines/home", bearer=other, address="198.51.100.7").lane == K1
    place.shield.usage.demote(place.ask("/x", bearer=token(1)).identity, place.at_s)
    place.pass_time(31.0)
    ticket = place.ask("/api/v1/timelines/home", bearer=token(1))
    assert ticket.lane == K1
    place.shield.usage.demote(ticket.identity, place.at_s)
    place.pass_time(59.0)
    assert place.ask("/api/v1/timelines/home", bearer=token(1)).lane == K4


def test_a_burst_in_calm_demotes_nobody() -> None:
    place = Visited(cost_s=0.01)
    place.member(1)
    for _ in range(1000):
        place.ask("/api/v1/timelines/home", bearer=token(1))
        place.pass_time(0.01)
    assert place.ask("/api/v1/timelines/home", bearer=token(1)).lane == K1


def test_a_stolen_session_at_500_addresses_has_one_share() -> None:
    place = attacked(cost_s=0.01)
    served_before = place.outcomes["apps", "served"]
    stolen = place.session(50)
    for n in range(2000):
        place.ask("/home", cookie=stolen, address=f"203.1.{n % 500 // 250}.{n % 250}")
        if n % 20 == 0:
            assert place.ask("/api/v1/timelines/home", bearer=token(n // 20 % 20)).state != GONE
        place.pass_time(0.002)
    place.pass_time(2.5)
    assert place.outcomes["apps", "served"] - served_before == 100
    assert place.outcomes["apps", "refused"] == 0


def test_who_ignores_its_retry_after_is_demoted_and_who_heeds_it_goes_first() -> None:
    place = attacked()
    rude, polite = "203.0.113.5", "203.0.113.6"
    for address in (rude, polite):
        identity = place.ask("/@nino", address=address).identity
        ticket = Ticket(identity, K3_FAR)
        place.shield.refused(ticket, "queue/full", at_s=place.at_s, jitter=0.0)
    for _ in range(IGNORED_DEMOTES):
        ticket = place.ask("/@nino", address=rude)
    assert ticket.lane == K4
    place.pass_time(8.0)
    assert place.ask("/@nino", address=polite).lane == K3_NEAR
    assert place.shield.gate.patience.ignored(ticket.suspect) >= IGNORED_DEMOTES
    # Another browser at the same address is treated as another visitor.
    assert place.ask("/@nino", address=rude, agent="Another/1.0").lane == K3_FAR


def test_a_shared_address_is_not_demoted_for_one_of_its_people() -> None:
    place = Visited()
    place.member(1)
    place.ask("/api/v1/timelines/home", bearer=token(1), address="198.51.100.7")
    place.pass_time(60.0)
    place.flood(2.0)
    identity = place.ask("/@nino", address="198.51.100.7").identity
    place.shield.refused(Ticket(identity, K3_NEAR), "queue/full", at_s=place.at_s, jitter=0.0)
    lanes = {place.ask("/@nino", address="198.51.100.7").lane for _ in range(20)}
    assert lanes == {K3_NEAR}
