"""Demotion: which identities, for how long, and which it does not touch."""

from __future__ import annotations

from stormpetrel.shield.answer import IGNORED_DEMOTES
from stormpetrel.shield.classify import K1, K3_FAR, K3_NEAR, K4
from stormpetrel.shield.queues import GONE, Ticket
from stormpetrel.shield.reports import Directions, StrangerSource
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


def sources_of(place, *, wanted=True):
    """Return the sources of the last second by network, as a report lists them."""
    place.shield.direct(
        Directions(version=1, expires_epoch_s=place.epoch_s + 10, wants_sources=wanted), epoch_s=place.epoch_s
    )
    report = place.shield.report(at_s=place.at_s, connections=0, cached=0, because={})
    return {source.network: source for source in report.sources}


def insist(place, address, times=20, agent=""):
    """Refuse requests of an address, each of which comes before the Retry-After of the one before."""
    for _ in range(times):
        ticket = place.ask("/@nino", address=address, agent=agent)
        place.shield.refused(ticket, "queue/full", at_s=place.at_s, jitter=0.0)


def test_a_report_lists_the_refused_sources_with_the_patience_of_their_most_patient_client() -> None:
    place = attacked()
    insist(place, "203.0.113.5")
    insist(place, "203.0.113.6")
    insist(place, "203.0.113.6", times=2, agent="Another/1.0")
    insist(place, "2001:db8:1:2::7")
    place.pass_time(1.0)
    found = sources_of(place)
    assert found["203.0.113.5"].refused >= 20
    assert found["203.0.113.5"].ignored >= IGNORED_DEMOTES
    assert found["203.0.113.6"].ignored < IGNORED_DEMOTES
    assert found["2001:db8:1:2::/64"].ignored >= IGNORED_DEMOTES


def test_a_client_that_waits_counts_also_in_the_seconds_in_which_it_is_absent() -> None:
    place = attacked()
    insist(place, "203.0.113.5", times=1, agent="Another/1.0")
    for _ in range(30):
        insist(place, "203.0.113.5")
        place.pass_time(1.0)
        assert sources_of(place)["203.0.113.5"].ignored < IGNORED_DEMOTES
    # It does not come back: after a minute the others count again.
    place.pass_time(60.0)
    insist(place, "203.0.113.5")
    place.pass_time(1.0)
    sources_of(place)
    insist(place, "203.0.113.5")
    place.pass_time(1.0)
    assert sources_of(place)["203.0.113.5"].ignored >= IGNORED_DEMOTES


def test_a_source_in_a_network_with_members_is_marked_as_exempt() -> None:
    place = Visited()
    place.member(1)
    place.ask("/api/v1/timelines/home", bearer=token(1), address="198.51.100.7")
    place.pass_time(60.0)
    place.flood(2.0)
    insist(place, "198.51.100.8")
    place.pass_time(1.0)
    assert sources_of(place)["198.51.100.8"].ignored == -1


def test_sources_are_listed_only_if_the_directions_want_them() -> None:
    place = attacked()
    insist(place, "203.0.113.5")
    place.pass_time(1.0)
    assert sources_of(place, wanted=False) == {}
    assert isinstance(sources_of(place)["203.0.113.5"], StrangerSource)
