"""`status`: numbers of subscribers without an address, and the removal of one on request."""

from __future__ import annotations

import itertools

from stormpetrel.model.mail import new_link
from stormpetrel.model.status_subscription import SubscriptionKind
from stormpetrel.storage import status_subscriptions as stored
from tests.store import store_at

TIMES = itertools.count(1)
"""Each store that is opened would make the same ids at the same time."""
URL = "https://hooks.example/in"


def subscribe(url, kind, target, channels=(), *, is_active=True):
    with store_at(url) as store:
        link = new_link(b"s" * 32, target)
        id = store.do(
            stored.add,
            kind=kind,
            target=target,
            host="",
            channels=channels,
            nonce=link.nonce,
            token_hash=link.token_hash,
            now_ms=store.now_ms + next(TIMES),
        )
        if is_active:
            store.do(stored.activate, id=id, channels=channels)


def test_subscribers_are_counted_and_not_listed(run, either_place):
    subscribe(either_place, SubscriptionKind.EMAIL, "ann@example.org", ("apps",))
    subscribe(either_place, SubscriptionKind.EMAIL, "ben@example.org")
    subscribe(either_place, SubscriptionKind.EMAIL, "cat@example.org", is_active=False)
    subscribe(either_place, SubscriptionKind.WEBHOOK, URL)
    counted = run("status", "subscribers", "--json").json
    assert counted["email"] == {"active": 2, "pending": 1, "off": 0}
    assert counted["webhook"] == {"active": 1, "pending": 0, "off": 0}
    assert (counted["channels"]["apps"], counted["channels"]["web"]) == (3, 2)
    assert counted["max"] == 50_000
    out = run("status", "subscribers").out
    assert "4 of at most 50,000 subscriptions." in out
    assert "example" not in out


def test_one_is_removed_on_request(run, either_place):
    subscribe(either_place, SubscriptionKind.EMAIL, "ann@example.org")
    subscribe(either_place, SubscriptionKind.WEBHOOK, URL)
    assert "--yes is required" in run("status", "unsubscribe", "ann@example.org", expect=2).complaint
    assert "removed" in run("status", "unsubscribe", "ANN@Example.org", "--yes").out
    assert "removed" in run("status", "unsubscribe", URL, "--yes").out
    assert run("status", "unsubscribe", URL, "--yes", expect=2).complaint == f"no subscription of {URL}"
    assert run("status", "subscribers", "--json").json["email"]["active"] == 0
