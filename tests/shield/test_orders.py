"""The operator's orders in a worker's shield: what a deny and an allow match, and when they end."""

from __future__ import annotations

import pytest

from stormpetrel.shield.answer import IGNORED_DEMOTES
from stormpetrel.shield.classify import K1, K2
from stormpetrel.shield.queues import GONE, RUNNING
from stormpetrel.shield.reports import Directions, OperatorEntry
from tests.shield.test_decide import attacked, directed
from tests.shield.visitors import DAY_S, EPOCH_S, Visited, token, token_hash


def deny(kind: str, value: str, *, expires_s: float = EPOCH_S + 10_000) -> OperatorEntry:
    return OperatorEntry(kind, value, expires_s, "a test")


DENIALS = [
    ("token", token_hash(5).hex()[:20]),
    ("account", "5"),
    ("application", "Sleeper"),
    ("address", "198.51.100.0/24"),
    ("address", "::ffff:198.51.100.0/120"),
]


@pytest.mark.parametrize(("kind", "value"), DENIALS)
def test_a_deny_matches_what_came_with_the_attack_and_never_who_was_here(kind: str, value: str) -> None:
    place = attacked()
    place.member(5, age_s=0.5, application="Sleeper")
    directed(place, denied=(deny(kind, value),))
    young = place.ask("/api/v1/timelines/home", bearer=token(5), address="198.51.100.7")
    assert (young.state, young.because) == (GONE, f"deny/{kind}")
    place.member(5, age_s=DAY_S, application="Sleeper")
    old = place.ask("/api/v1/timelines/home", bearer=token(5), address="198.51.100.7")
    assert old.state != GONE
    place.member(5, age_s=0.5, application="Sleeper", is_operator=True)
    operator = place.ask("/api/v1/timelines/home", bearer=token(5), address="198.51.100.7")
    assert (operator.state != GONE, operator.lane) == (True, K1)


def test_a_denied_network_lets_its_members_and_the_operator_through() -> None:
    place = Visited()
    place.member(1)
    place.member(2, is_operator=True)
    directed(place, denied=(deny("address", "198.51.100.0/24"),))
    assert place.ask("/@nino", address="198.51.100.7").because == "deny/address"
    assert place.ask("/api/v1/timelines/home", bearer=token(1), address="198.51.100.7").state != GONE
    # The operator's own address cannot be denied, with or without the credential.
    place.ask("/api/v1/timelines/home", bearer=token(2), address="198.51.100.8")
    assert place.ask("/@nino", address="198.51.100.8").state != GONE
    assert place.ask("/@nino", address="198.51.101.8").state != GONE


def test_a_denied_source_that_does_not_wait_is_reported_as_one_unless_its_network_has_members() -> None:
    place = Visited()
    place.member(1)
    place.ask("/api/v1/timelines/home", bearer=token(1), address="198.51.100.7")
    place.pass_time(60.0)
    place.flood(2.0)
    networks = ("203.0.113.0/24", "198.51.100.0/24")
    directed(place, denied=tuple(deny("address", one) for one in networks), wants_sources=True)
    for _ in range(12):
        for address in ("203.0.113.8", "203.0.113.9", "198.51.100.8"):
            assert place.ask("/@nino", address=address).because == "deny/address"
    place.ask("/@nino", address="203.0.113.9", agent="Another/1.0")
    place.pass_time(1.0)
    report = place.shield.report(at_s=place.at_s, connections=0, cached=0, because={})
    ignored = {source.network: source.ignored for source in report.sources}
    assert ignored["203.0.113.8"] >= IGNORED_DEMOTES
    # A client there waits; members are there.
    assert ignored["203.0.113.9"] < IGNORED_DEMOTES
    assert ignored["198.51.100.8"] == -1


def test_an_allow_lifts_and_a_pause_stops_and_all_of_it_ends() -> None:
    place = attacked()
    directed(place, allowed=(deny("address", "203.0.113.7"),), denied=(deny("address", "203.0.113.8"),))
    assert place.ask("/search?q=x", address="203.0.113.7").lane == K2
    assert place.ask("/@nino", address="203.0.113.8").state == GONE
    directed(place, denied=(deny("address", "203.0.113.8"),), paused_until_epoch_s=place.epoch_s + 20)
    assert place.ask("/@nino", address="203.0.113.8").because != "deny/address"
    place.pass_time(25.0)
    assert place.ask("/@nino", address="203.0.113.8").because == "deny/address"
    place.pass_time(10.0)
    # The deny expired: the watch has not repeated it for 30 s.
    assert place.ask("/@nino", address="203.0.113.8").state == RUNNING


def test_an_older_version_changes_nothing_and_a_bad_entry_is_an_error() -> None:
    place = Visited()
    directed(place, denied=(deny("address", "203.0.113.8"),))
    place.shield.direct(Directions(0, place.epoch_s + 30), epoch_s=place.epoch_s)
    assert place.ask("/@nino", address="203.0.113.8").state == GONE
    for bad in (
        deny("address", "nowhere"),
        deny("token", "abc"),
        deny("token", "g" * 20),
        deny("account", "-1"),
        deny("application", ""),
        deny("planet", "earth"),
    ):
        with pytest.raises(ValueError, match=r"\w"):
            directed(place, denied=(bad,))
    assert place.ask("/@nino", address="203.0.113.8").state == GONE
