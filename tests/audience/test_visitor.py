"""Who counts as one visitor: people behind shared addresses, on the move, with several devices, and programs."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stormpetrel.audience.counter import VisitorCounter
from stormpetrel.audience.visitor import HEADERS, VisitorReader, see_text
from tests.audience.crowd import (
    API,
    FEED,
    FIREFOX,
    HOST,
    NOON_S,
    PAGE,
    Browser,
    Place,
    session_of,
    token_of,
)

DAY_S = 86_400


def near(count):
    """Return the count as the sketches give it: a small one may be a few too low or too high."""
    return pytest.approx(count, rel=0.015, abs=3)


def test_a_new_visitor_counts_once_though_the_first_request_has_no_cookie():
    place = Place()
    browsers = [Browser(place, f"198.51.100.{number}") for number in range(200)]
    for _ in range(3):
        for one in browsers:
            one.visit()
    assert place.numbers()["visitors/web"] == near(200)
    assert place.numbers()["visitors/without_cookie"] == near(0)


def test_a_visitor_who_returns_no_cookie_counts_by_address_and_browser():
    place = Place()
    for number in range(200):
        Browser(place, f"198.51.100.{number}", keeps_cookies=False).visit()
        Browser(place, f"198.51.100.{number}", keeps_cookies=False).visit()
    Browser(place, "198.51.100.1", agent=b"Lynx", keeps_cookies=False).visit()
    assert place.numbers()["visitors/web"] == near(201)
    assert place.numbers()["visitors/without_cookie"] == near(201)


def test_a_school_behind_one_address_with_the_same_browsers_counts_in_full():
    place = Place()
    for _ in range(600):
        Browser(place, "203.0.113.7").visit()
    assert place.numbers()["visitors/web"] == near(600)


def test_people_of_a_carrier_whose_address_changes_with_each_request_count_once():
    place, rng = Place(), random.Random(7)
    addresses = [f"100.64.0.{number}" for number in range(64)]
    for _ in range(600):
        browser = Browser(place, rng.choice(addresses), agent=b"Mobile Safari %d" % rng.randrange(5))
        for path in (b"/", b"/assets/app.css", b"/public", b"/@Nino"):
            browser.get(path)
            browser.address = rng.choice(addresses)
    assert place.numbers()["visitors/web"] == near(600)


def test_a_session_of_tor_counts_once_whatever_the_exit():
    place, rng = Place(), random.Random(8)
    exits = [f"192.0.2.{number}" for number in range(30)]
    for _ in range(200):
        browser = Browser(place, rng.choice(exits))
        browser.visit()
        browser.address = rng.choice(exits)
        browser.visit()
    assert place.numbers()["visitors/web"] == near(200)


def test_a_member_counts_once_with_two_devices_and_an_app():
    place = Place()
    for account_id in range(1, 201):
        for device in ("desktop", "phone"):
            browser = Browser(place, f"198.51.{account_id}.1", agent=device.encode())
            browser.get(b"/auth/sign_in")
            browser.visit(session_of(account_id))
        place.see(
            b"/api/v1/timelines/home",
            "10.0.0.1",
            [(b"user-agent", b"Tusky")],
            API,
            login=token_of(account_id),
        )
    found = place.numbers()
    assert found["visitors/members"] == found["visitors/apps"] == near(200)
    assert found["visitors/all"] == found["visitors/web"] == near(200)


def test_a_visitor_of_yesterday_counts_again_today_but_once_in_the_month():
    place = Place(NOON_S - DAY_S)
    browsers = [Browser(place, f"198.51.100.{number}") for number in range(100)]
    for one in browsers:
        one.visit()
    yesterday = place.numbers("2026-11-28")
    place.turn_to(NOON_S)
    for one in browsers[:50]:
        one.visit()
    assert yesterday["visitors/web"] == near(100)
    assert place.numbers("2026-11-29")["visitors/web"] == near(50)
    assert place.numbers("2026-11")["visitors/web"] == near(100)


@pytest.mark.parametrize("header", [(b"sec-gpc", b"1"), (b"dnt", b"1")])
def test_who_opts_out_is_a_number_of_requests_and_no_visitor(header):
    place = Place()
    Browser(place, "198.51.100.1", headers=[header]).visit()
    Browser(place, "198.51.100.1", headers=[header]).get(b"/", login=session_of(5))
    found = place.numbers()
    assert found["visitors/all"] == found["visitors/members"] == 0
    # Three pages; the stylesheet is no page.
    assert found["requests/opted_out"] == 3
    assert not [name for name in found if name.startswith(("known_by", "from", "landing"))]


def test_the_value_zero_opts_out_of_nothing():
    place = Place()
    Browser(place, "198.51.100.1", headers=[(b"dnt", b"0")]).visit()
    assert place.numbers()["visitors/web"] == 1


def test_programs_are_a_number_of_requests_also_with_a_cookie():
    place = Place()
    Browser(place, "198.51.100.1", agent=b"Mozilla/5.0 (compatible; Examplebot/2.1)").visit()
    Browser(place, "198.51.100.1", agent=b"").get(b"/")
    found = place.numbers()
    assert (found["visitors/all"], found["requests/programs"]) == (0, 3)


def test_each_request_of_a_program_is_counted_whatever_differs_in_it_and_none_of_its_files():
    place = Place()
    for number in range(20):
        headers = [(b"user-agent", b"curl/8.16.0"), (b"referer", b"https://%d.example/" % number)]
        place.see(b"/", "198.51.100.1", headers)
        place.see(b"/assets/style.css", "198.51.100.1", headers)
    # One that opts out is counted as that, although the same program was seen before.
    place.see(b"/", "198.51.100.1", [(b"user-agent", b"curl/8.16.0"), (b"dnt", b"1")])
    found = place.numbers()
    assert (found["visitors/all"], found["requests/programs"], found["requests/opted_out"]) == (0, 20, 1)
    for one in place.counters:
        assert any(one.programs)
    place.turn_to(NOON_S + DAY_S)
    assert not any(number for one in place.counters for number in one.programs)


def test_feeds_count_readers_and_the_subscribers_that_services_announce():
    place = Place()
    for number in range(100):
        Browser(place, f"198.51.100.{number}", agent=b"FeedReaderbot/1.0").get(b"/@Nino/feed.atom", FEED)
    for count in (120, 150):
        agent = b"Feedly/1.0 (+http://www.feedly.com/fetcher.html; %d subscribers)" % count
        Browser(place, "192.0.2.1", agent=agent).get(b"/@Nino/feed.atom", FEED)
    found = place.numbers()
    assert found["visitors/feeds"] == found["visitors/all"] == near(100)
    assert found["visitors/web"] == 0
    assert (found["subscribers/announced"], found["requests/services"]) == (150, 2)


def test_other_servers_that_look_this_one_up_are_no_visitors():
    place = Place()
    Browser(place, "198.51.100.1").get(b"/nodeinfo/2.0", API)
    Browser(place, "198.51.100.1").get(b"/.well-known/webfinger", API)
    assert place.numbers()["visitors/all"] == 0


def test_the_first_page_of_a_visit_gives_its_referrer_and_landing_page_as_classes():
    place = Place()
    browser = Browser(place, "198.51.100.1")
    browser.get(b"/@Nino/123", referrer=b"https://www.google.com/search?q=secret")
    browser.get(b"/about", referrer=f"https://{HOST}/@Nino/123".encode())
    Browser(place, "198.51.100.2").get(b"/")
    found = place.numbers()
    classes = {name: count for name, count in found.items() if name.startswith(("from/", "landing/"))}
    assert classes == {"from/search": 1, "landing/post": 1, "from/none": 1, "landing/home": 1}


def test_ipv6_neighbours_in_one_network_are_told_apart_by_their_cookies():
    place = Place()
    for _ in range(100):
        Browser(place, "2001:db8:1:2::/64", agent=FIREFOX).visit()
    assert place.numbers()["visitors/web"] == near(100)


@given(
    st.dictionaries(st.sampled_from(sorted(HEADERS)), st.binary(max_size=80)),
    st.one_of(st.sampled_from([b"/", b"/@Nino/1", b"/api/v1/x", b"/assets/a"]), st.binary(max_size=40)),
    st.sampled_from([PAGE, API, FEED]),
    st.sampled_from(["198.51.100.1", "2001:db8:1:2::/64", "local"]),
)
def test_no_header_and_no_path_breaks_the_counting(headers, path, facts, address):
    FUZZED.see(path, address, headers.items(), facts)


FUZZED = Place()


def test_before_the_watch_sends_the_key_of_the_day_no_request_counts_a_person():
    counter = VisitorCounter()
    reader = VisitorReader(counter, secret=b"a secret", own_host=HOST.encode(), paths={b"/": PAGE})
    for _ in range(3):
        reader.see({b"user-agent": FIREFOX}, b"/", "198.51.100.1", epoch_s=NOON_S)
    assert not counter.take()


def test_a_text_counts_its_account_or_else_its_phone():
    place = Place()
    counter: VisitorCounter = place.counters[0]
    see_text(counter, account_id=7, number_hash=b"one")
    see_text(counter, account_id=7, number_hash=b"another")
    see_text(counter, account_id=None, number_hash=b"a stranger's")
    found = place.numbers()
    assert (found["visitors/sms"], found["visitors/all"], found["visitors/members"]) == (2, 2, 1)
    assert (found["known_by/account"], found["known_by/phone"]) == (2, 1)
