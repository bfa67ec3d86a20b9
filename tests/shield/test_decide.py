"""The shield of one worker, with visitors and time as plain values."""

from __future__ import annotations

import pytest

from stormpetrel.shield.classify import K0, K1, K2, K3_FAR, K3_NEAR, K4, LANES
from stormpetrel.shield.cookies import mint
from stormpetrel.shield.identify import Identity, TokenEntry
from stormpetrel.shield.marks import DEVICE_COOKIE, mint_device
from stormpetrel.shield.prefixes import SHELTERS_EACH
from stormpetrel.shield.queues import GONE
from stormpetrel.shield.reports import Directions, OperatorEntry
from tests.shield.visitors import DAY_S, EPOCH_S, SECRET, Visited, token, token_hash


def attacked(**keys: object) -> Visited:
    """Return a shield 2 s after the onset of an attack that followed a minute of calm."""
    place = Visited(**keys)  # type: ignore[arg-type]
    for n in range(20):
        place.member(n, application="Tusky" if n % 2 else "Ivory")
    place.pass_time(60.0)
    place.flood(2.0)
    assert place.shield.overload.is_overloaded
    return place


def test_in_calm_every_valid_credential_is_established_however_young() -> None:
    place = Visited()
    place.member(1, age_s=1.0)
    assert place.ask("/api/v1/timelines/home", bearer=token(1)).lane == K1
    assert place.ask("/api/v1/statuses", method="POST", bearer=token(1)).lane == K0
    assert place.ask("/home", cookie=place.session(1, age_s=1.0)).lane == K1
    assert place.ask("/@nino", cookie=place.visitor(1, age_s=700.0)).lane == K2


def test_an_unconfirmed_account_waits_as_a_stranger_does() -> None:
    place = Visited()
    place.member(1, is_confirmed=False)
    for method in ("GET", "POST"):
        ticket = place.ask("/api/v1/statuses", method=method, bearer=token(1))
        assert LANES[ticket.lane].name == "K3"
        assert ticket.identity.kind == "address"


def test_under_attack_a_credential_counts_by_whether_it_is_older() -> None:
    place = attacked()
    place.member(100, age_s=1.0)
    assert place.ask("/api/v1/timelines/home", bearer=token(1)).lane == K1
    assert place.ask("/api/v1/statuses", method="POST", bearer=token(1)).lane == K0
    assert place.ask("/home", bearer=None, cookie=place.session(3)).lane == K1
    for ticket in (
        place.ask("/api/v1/timelines/home", bearer=token(100)),
        place.ask("/home", cookie=place.session(4, age_s=1.0)),
        place.ask("/@nino", cookie=place.visitor(4, age_s=1.0)),
    ):
        assert LANES[ticket.lane].name == "K3"


def test_returning_visitors_and_known_devices_and_feed_readers_go_before_strangers() -> None:
    place = Visited()
    place.ask("/@nino.atom", agent="FeedReader/1", address="198.51.100.9")
    place.pass_time(60.0)
    place.flood(2.0)
    returning = place.ask("/@nino", cookie=place.visitor(1))
    assert (returning.lane, returning.channel) == (K2, "returning")
    device = place.ask("/auth/sign_in", method="POST", cookie=place.device(1))
    assert (device.lane, device.channel) == (K2, "sign_in")
    reader = place.ask("/@nino.atom", agent="FeedReader/1", address="198.51.100.9")
    assert (reader.lane, reader.channel) == (K2, "feeds")
    assert LANES[place.ask("/@nino.atom", agent="Other/1", address="198.51.100.9").lane].name == "K3"
    assert LANES[place.ask("/auth/sign_in", method="POST").lane].name == "K3"


def test_strangers_from_where_people_are_have_a_part_of_their_own() -> None:
    place = Visited()
    place.member(1)
    place.ask("/api/v1/timelines/home", bearer=token(1), address="198.51.100.7")
    place.pass_time(60.0)
    place.flood(2.0)
    assert place.ask("/@nino", address="198.51.100.200").lane == K3_NEAR
    assert place.ask("/@nino", address="198.51.101.200").lane == K3_FAR
    # Requests during the attack do not make their networks known.
    place.ask("/api/v1/timelines/home", bearer=token(1), address="198.51.102.1")
    assert place.ask("/@nino", address="198.51.102.200").lane == K3_FAR
    known = place.shield.report(at_s=place.at_s, connections=0, cached=0, because={}).prefixes
    assert known == (("198.51.100.0/24", int(EPOCH_S // DAY_S)),)
    again = Visited()
    again.shield.direct(Directions(1, again.epoch_s + 60, known_prefixes=known), epoch_s=again.epoch_s)
    assert again.ask("/@nino", address="198.51.100.1").lane == K3_NEAR


def test_what_is_dear_waits_in_the_lowest_class_once_the_budget_is_spent_and_is_refused_nobody() -> None:
    place = Visited()
    lanes = []
    for n in range(60):
        ticket = place.ask(f"/search?q={n}", address=f"203.0.113.{n}")
        assert ticket.state != GONE
        lanes.append(ticket.lane)
        place.pass_time(0.01)
    assert lanes[0] == K3_FAR
    assert lanes[-1] == K4
    # A member is not affected.
    place.member(1)
    assert place.ask("/search?q=1", bearer=token(1)).lane == K1


@pytest.mark.parametrize(
    ("path", "method", "exist"),
    [
        ("/auth/sign_in", "POST", True),
        ("/oauth/token", "POST", True),
        ("/api/v1/accounts", "POST", True),
        ("/api/v1/apps", "POST", True),
        ("/tags/storm", "GET", True),
        ("/@nino?max_id=1", "GET", True),
        ("/wp-login.php", "GET", False),
        ("/api/v1/streaming/public", "GET", True),
    ],
)
def test_each_dear_thing_has_a_budget_and_the_neighbours_one_of_their_own(
    path: str, method: str, exist: bool
) -> None:
    place = Visited(exist=exist)
    place.member(1)
    place.ask("/api/v1/timelines/home", bearer=token(1), address="198.51.100.7")
    lanes = []
    for n in range(200):
        lanes.append(place.ask(path, method=method, address=f"203.0.{n % 5}.{n}").lane)
        place.pass_time(0.002)
    assert lanes[0] == K3_FAR
    assert lanes[-1] == K4
    assert place.ask(path, method=method, address="198.51.100.9").lane == K3_NEAR


# Signing up is sent to the second path, but this only reads it.
@pytest.mark.parametrize("path", ["/api/v1/timelines/home", "/api/v1/accounts"])
def test_random_tokens_have_a_budget_of_look_ups(path: str) -> None:
    place = Visited()
    lanes = [
        place.ask(path, bearer=b"forged %d" % n, address=f"203.0.{n // 250}.{n % 250}").lane
        for n in range(400)
        if place.pass_time(0.001) is None
    ]
    # Within the budget, the token may belong to a member that a new worker does not know yet.
    assert (lanes[0], lanes[-1]) == (K2, K4)
    # A token that was looked up and found invalid takes nothing from the budget.
    place.shield.budgets.take("miss", near=False, at_s=place.at_s)
    place.tokens.mark_unknown(token_hash(77), place.at_s)
    assert place.ask("/api/v1/timelines/home", bearer=token(77)).lane == K3_FAR


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/auth/sign_in"),
        ("POST", "/auth/sign_up"),
        ("POST", "/oauth/token"),
        ("POST", "/api/v1/accounts"),
        ("POST", "/api/v1/apps"),
        ("GET", "/search?q=a"),
        ("GET", "/api/v2/search?q=a"),
        ("GET", "/tags/sea"),
        ("GET", "/@nino"),
    ],
)
def test_random_tokens_buy_nothing_where_they_are_not_looked_up_or_the_work_is_dear(method, path) -> None:
    with_tokens, without = Visited(), Visited()
    for n in range(100):
        ticket = with_tokens.ask(path, method=method, bearer=b"random %d" % n)
        other = without.ask(path, method=method)
        assert (ticket.lane, ticket.because, ticket.identity) == (other.lane, other.because, other.identity)


def test_tokens_nobody_knows_yet_are_not_held_against_their_address() -> None:
    place = Visited(waiting_per_identity=2, running=1)
    carrier = "198.51.100.7"
    for n in range(20):
        assert (
            place.ask("/api/v1/timelines/home", bearer=b"new to this worker %d" % n, address=carrier).state
            != GONE
        )
    assert place.ask("/@nino", address=carrier).identity.kind == "address"


def test_a_flood_of_wrong_passwords_never_holds_up_a_known_device() -> None:
    place = attacked()
    for n in range(500):
        place.ask("/auth/sign_in", method="POST", address=f"203.0.{n // 250}.{n % 250}")
        ticket = place.ask("/auth/sign_in", method="POST", cookie=place.device(n), address="203.0.9.9")
        assert ticket.state != GONE
        place.pass_time(0.01)
    report = place.shield.report(at_s=place.at_s, connections=0, cached=0, because={})
    assert report.classes["K2"].get("refused", 0) == 0
    assert report.classes["K2"]["served"] >= 490


# Directions from the watch


def directed(place: Visited, **keys: object) -> None:
    version = place.shield.orders.directions.version + 1
    place.shield.direct(
        Directions(version, place.epoch_s + 30, **keys),  # type: ignore[arg-type]
        epoch_s=place.epoch_s,
    )


def test_the_onset_that_watch_knows_holds_here_too() -> None:
    place = Visited()
    place.member(1, age_s=50.0)
    directed(place, onset_epoch_s=place.epoch_s - 100.0)
    assert LANES[place.ask("/api/v1/timelines/home", bearer=token(1)).lane].name == "K3"
    directed(place, onset_epoch_s=place.epoch_s - 10.0)
    assert place.ask("/api/v1/timelines/home", bearer=token(1)).lane == K1


# Reports


def test_a_report_says_who_was_refused_by_channel_and_application_and_begins_again() -> None:
    place = attacked(waiting_per_identity=2)
    for _ in range(20):
        place.ask("/api/v1/timelines/home", bearer=token(1))
    place.pass_time(1.0)
    report = place.shield.report(at_s=place.at_s, connections=3, cached=7, because={"edge/malformed": 2})
    assert report.applications["Tusky"]["refused"] > 0
    assert report.channels["apps"]["refused"] == report.applications["Tusky"]["refused"]
    assert report.channels["new"]["cached"] == 7
    assert report.because["edge/malformed"] == 2
    assert report.because["queue/identity"] == len(report.refusals)
    assert report.refusals[0].identity == "account:1"
    assert report.refusals[0].application == "Tusky"
    assert report.onset_epoch_s > 0
    assert report.overload_since_epoch_s > 0
    assert report.worst_wait_s > 0.1
    assert {o.identity for o in report.offenders} >= {"account:1"}
    again = place.shield.report(at_s=place.at_s, connections=3, cached=0, because={})
    assert (again.sequence, again.classes, again.refusals) == (report.sequence + 1, {}, ())


def test_mode_overcompensate_challenges_everybody_once_it_feels_an_attack() -> None:
    place = Visited(mode="overcompensate", running=1)
    place.member(1)
    assert place.ask("/api/v1/timelines/home", bearer=token(1)).state != GONE
    place.pass_time(60.0)
    place.flood(2.0)
    assert place.ask("/api/v1/timelines/home", bearer=token(1)).because == "mode/challenge"
    assert place.ask("/@nino").because == "mode/challenge"
    # Also the form to sign in, which is dear only when it is sent.
    for path in ("/@nino", "/auth/sign_in"):
        assert place.ask(path, cookie="stormpetrel_passed=1").state != GONE


# High classes are not cheap ----------------------------------------------------------------------------------


def test_all_sessions_and_devices_of_an_account_are_one_identity() -> None:
    place = Visited()
    sessions = {
        place.ask(
            "/home", cookie=f"stormpetrel_session={mint(SECRET, session_id=n, account_id=7, issued_at_s=9)}"
        ).identity
        for n in range(1, 31)
    }
    assert sessions == {Identity("account", 7)}
    devices = {
        place.ask(
            "/auth/sign_in",
            method="POST",
            cookie=f"{DEVICE_COOKIE}={mint_device(SECRET, mark_id=n, account_id=7, at_s=int(place.epoch_s) - 9)}",
        ).identity
        for n in range(1, 31)
    }
    assert devices == {Identity("device", 7)}


def test_an_ended_session_is_a_stranger_of_its_address() -> None:
    place = Visited()
    cookie = place.session(5)
    assert place.ask("/home", cookie=cookie).lane == K1
    place.tokens.mark_ended(5)
    ticket = place.ask("/home", cookie=cookie)
    assert (LANES[ticket.lane].name, ticket.identity.kind) == ("K3", "address")


def test_after_access_changed_a_session_is_looked_up_within_a_budget_before_it_counts() -> None:
    place = Visited()
    first, second = place.session(5), place.session(6)
    place.tokens.forget_account(5)
    ticket = place.ask("/home", cookie=first)
    assert (ticket.lane, ticket.because) == (K2, "class/unknown-token")
    assert place.ask("/home", cookie=second).lane == K1
    # The lookup found the session still valid.
    place.tokens.put(b"session:5", TokenEntry(5, 1, place.at_s, None))
    assert place.ask("/home", cookie=first).lane == K1


def test_a_young_visitor_cookie_shares_the_ceiling_of_its_address() -> None:
    place = Visited(requests_per_5min=50)
    refused = sum(
        place.ask("/@nino", cookie=place.visitor(n, age_s=0)).because == "ceiling/requests"
        for n in range(200)
    )
    assert refused >= 140
    assert place.ask("/@nino", cookie=place.visitor(1, age_s=2 * 3600)).because != "ceiling/requests"


def test_an_allow_never_makes_a_young_credential_established() -> None:
    place = attacked()
    place.member(9, age_s=0, application="Young")
    expires_s = place.epoch_s + 600
    place.shield.direct(
        Directions(
            version=2,
            expires_epoch_s=expires_s,
            onset_epoch_s=place.shield.cutoff_epoch_s,
            allowed=(OperatorEntry("application", "Young", expires_s, "an observer"),),
        ),
        epoch_s=place.epoch_s,
    )
    ticket = place.ask("/api/v1/timelines/home", bearer=token(9))
    assert (ticket.lane, ticket.because) == (K2, "class/allowed")


def test_members_and_earlier_visitors_shelter_the_networks_they_come_from_during_an_attack() -> None:
    place = attacked()
    before_s = 2 * DAY_S
    place.member(30, age_s=1.0)
    place.ask("/home", bearer=token(1), address="198.51.100.7")
    place.ask("/home", cookie=place.session(2), address="198.51.101.7")
    place.ask("/@nino", cookie=place.visitor(5, age_s=before_s), address="198.51.102.7")
    place.ask("/@nino", cookie=place.device(6, age_s=before_s), address="198.51.103.7")
    # Those who came with the attack shelter nothing.
    place.ask("/home", bearer=token(30), address="198.51.104.7")
    place.ask("/home", bearer=b"made up", address="198.51.105.7")
    place.ask("/@nino", cookie=place.visitor(7, age_s=0.0), address="198.51.106.7")
    place.ask("/@nino", address="198.51.107.7")
    report = place.shield.report(at_s=place.at_s, connections=0, cached=0, because={})
    assert set(report.sheltered) == {f"198.51.{n}.0/24" for n in (100, 101, 102, 103)}


def test_one_visitor_cookie_shelters_a_few_networks_also_while_it_is_young() -> None:
    place = attacked()
    for number, age_s in enumerate((1_300.0, 2 * DAY_S)):
        cookie = place.visitor(number, age_s=age_s)
        for n in range(40):
            place.ask("/@nino", cookie=cookie, address=f"198.51.{n}.7")
        report = place.shield.report(at_s=place.at_s, connections=0, cached=0, because={})
        assert len(report.sheltered) == SHELTERS_EACH


def test_a_known_feed_reader_shelters_its_own_network_during_an_attack() -> None:
    place = Visited()
    place.ask("/@nino.atom", agent="FeedReader/1", address="198.51.100.9")
    place.pass_time(60.0)
    place.flood(2.0)
    place.ask("/@nino.atom", agent="FeedReader/1", address="198.51.100.9")
    place.ask("/@nino.atom", agent="FeedReader/1", address="198.51.101.9")
    place.ask("/@nino.atom", agent="Another/1", address="198.51.102.9")
    report = place.shield.report(at_s=place.at_s, connections=0, cached=0, because={})
    assert report.sheltered == ("198.51.100.0/24",)
