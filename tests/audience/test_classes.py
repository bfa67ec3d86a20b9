"""Classes of programs, feed services, referrers and landing pages."""

from __future__ import annotations

import pytest

from stormpetrel.audience.classes import (
    LANDINGS,
    MAX_SUBSCRIBERS,
    REFERRERS,
    is_program,
    landing_class,
    referrer_class,
    subscribers_of,
)

OWN = b"petrel.example"


@pytest.mark.parametrize(
    "agent",
    [
        b"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/142.0.0.0 Safari/537.36",
        b"Tusky/30.0 (Android 15; okhttp/5.1)",
        b"Ivory/24 CFNetwork/1568.100.1 Darwin/24.0.0",
        b"Mozilla/4.0 (compatible; MSIE 6.0; Windows NT 5.1)",
        b"Lynx/2.9.2",
    ],
)
def test_browsers_and_apps_are_people(agent):
    assert not is_program(agent, is_feed=False)


@pytest.mark.parametrize(
    "agent",
    [
        b"",
        b"curl/8.5.0",
        b"python-requests/2.32",
        b"Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
        b"Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/142.0 Safari/537.36",
        b"UptimeRobot/2.0",
        b"stormpetrel-canary",
    ],
)
def test_crawlers_tools_and_nameless_clients_are_programs(agent):
    assert is_program(agent, is_feed=False)


def test_a_feed_reader_is_a_person_at_a_feed_alone():
    agent = b"Mozilla/5.0 (compatible; Miniflux/2.2; feedbot)"
    assert is_program(agent, is_feed=False)
    assert not is_program(agent, is_feed=True)
    assert is_program(b"Googlebot/2.1", is_feed=True)


@pytest.mark.parametrize(
    ("agent", "found"),
    [
        (b"Feedly/1.0 (+http://www.feedly.com/fetcher.html; 12 subscribers)", ("Feedly", 12)),
        (b"Feedbin feed-id:1 - 3 subscribers", ("Feedbin feed", 3)),
        (b"NewsBlur Feed Fetcher - 1 subscriber - http://x", ("NewsBlur Feed Fetcher", 1)),
        (b"\xff 9999999 subscribers", ("unnamed", MAX_SUBSCRIBERS)),
        (b"Mozilla/5.0 subscribers", None),
        (b"99999999999999999999 subscribers", None),
    ],
)
def test_a_service_announces_its_subscribers(agent, found):
    assert subscribers_of(agent) == found


@pytest.mark.parametrize(
    ("referrer", "found"),
    [
        (b"", "none"),
        (b"https://petrel.example/about", ""),
        (b"https://PETREL.example/", ""),
        (b"https://www.google.co.uk/", "search"),
        (b"https://duckduckgo.com/?q=a", "search"),
        (b"https://t.co/abc", "social"),
        (b"https://old.reddit.com/r/x", "social"),
        (b"https://mail.google.com/", "mail"),
        (b"android-app://com.google.android.gm/", "mail"),
        (b"android-app://org.example/", "other"),
        (b"https://news.example/story", "other"),
        (b"https://notgoogle.example/", "other"),
        (b"https://petrel.example.evil/", "other"),
        (b"nonsense", "other"),
        (b"https://\xff\xfe/", "other"),
    ],
)
def test_a_referrer_is_one_of_a_few_classes(referrer, found):
    assert referrer_class(referrer, OWN) == found
    assert found in (*REFERRERS, "")


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (b"/", "home"),
        (b"/@Nino", "profile"),
        (b"/@Nino/with_replies", "profile"),
        (b"/@Nino/114000", "post"),
        (b"/tags/storm", "tag"),
        (b"/public", "explore"),
        (b"/about", "about"),
        (b"/auth/sign_in", "sign_in"),
        (b"/lists", "other"),
        (b"", "other"),
    ],
)
def test_a_landing_page_is_one_of_a_few_classes(path, found):
    assert landing_class(path) == found
    assert found in LANDINGS
