"""Webhooks of the status page: confirmed by a challenge, called with signed JSON, turned off after failures."""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import hmac
import json
import threading

import pytest
import uvloop

from stormpetrel import clock
from stormpetrel.config import Config, StatusConfig
from stormpetrel.courier import name_resolver
from stormpetrel.courier.name_resolver import PER_DOMAIN, NameResolver, system_addresses
from stormpetrel.courier.status_webhooks import CHALLENGES, update_message, webhook_lane
from stormpetrel.model.ids import IdMaker
from stormpetrel.model.mail import link_token, new_link
from stormpetrel.model.status_subscription import StatusNotice, SubscriptionState, signing_key, webhook_target
from stormpetrel.rules import status_subscriptions as rules
from stormpetrel.storage import status_subscriptions as stored
from stormpetrel.storage.engine.connection import connect, transaction
from stormpetrel.storage.engine.database import Database
from stormpetrel.storage.engine.statement import sql
from tests.courier.test_status_mails import LATER, NOTICE, NOW_MS, SECRET, WAITING, publish
from tests.webhook_receiver import webhook_receiver

LINK = new_link(SECRET, "hook")
ATTEMPTS = sql("SELECT attempts FROM outbox")


@pytest.fixture
def receiver():
    with webhook_receiver() as running:
        yield running


@pytest.fixture
def store(database_url):
    connection = connect(database_url, ids=IdMaker(63))
    yield connection
    connection.close()


def subscribe(store, url, *, now_ms=NOW_MS):
    """Ask for a webhook; return its id."""
    with transaction(store):
        rules.ask_by_webhook(
            store,
            target=webhook_target(url, allows_private=True),
            channels=(),
            link=LINK,
            network=1,
            most=10,
            most_per_host=10,
            secret=SECRET,
            now_ms=now_ms,
        )
    return found(store).id


def found(store):
    return rules.subscription(store, token_hash=LINK.token_hash)


def work(url, times=1, *, private=True, look_up=system_addresses, hanging=()):
    """Do jobs of the lane, after the look-ups of the hosts `hanging` have begun."""
    config = dataclasses.replace(
        Config(), public_url="https://birds.example", status=StatusConfig(private_webhooks=private)
    )

    async def main():
        db = Database(url)
        await db.open()
        names = NameResolver(look_up)
        try:
            await asyncio.gather(*map(names.addresses, hanging), return_exceptions=True)
            for _ in range(times):
                await webhook_lane(db, config, SECRET, names=names).once()
        finally:
            await db.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())


@pytest.mark.parametrize(
    "answers",
    [
        str.encode,
        lambda text: b" %s\n" % text.encode(),
        lambda text: json.dumps({"challenge": text}).encode(),
    ],
)
def test_a_receiver_that_answers_the_challenge_gets_signed_updates(database_url, store, receiver, answers):
    receiver.answers = answers
    subscribe(store, receiver.url)
    work(database_url)
    assert found(store).state is SubscriptionState.ACTIVE
    publish(store)
    work(database_url)
    (message,) = receiver.of_type("update")
    assert message["version"] == 1
    assert message["incident"] == {
        "id": "bbbbbbbbbbbb",
        "name": "Apps fail",
        "impact": "major",
        "status": "investigating",
        "channels": ["apps"],
        "started_at": "1970-01-01T00:00:00.001Z",
        "scheduled_for": None,
        "scheduled_until": None,
        "url": "https://birds.example/incidents/bbbbbbbbbbbb",
    }
    assert message["update"]["body"] == "Words."
    assert (
        message["unsubscribe_url"] == f"https://birds.example/status/leave?token={link_token(SECRET, 'hook')}"
    )
    for headers, body in receiver.calls:
        signed = headers["stormpetrel-timestamp"].encode() + b"." + body
        key = signing_key(SECRET, "hook").encode()
        assert headers["stormpetrel-signature"] == f"v1={hmac.new(key, signed, hashlib.sha256).hexdigest()}"
    assert [headers["stormpetrel-delivery"] for headers, _ in receiver.calls] == [
        "challenge",
        NOTICE.update_id,
    ]


@pytest.mark.parametrize(
    "answers",
    [lambda text: b"", lambda text: b"ok", lambda text: b"[" * 50_000, lambda text: b'{"challenge": 1}'],
)
def test_a_receiver_that_does_not_answer_the_challenge_is_not_subscribed_and_the_page_says_why(
    database_url, store, receiver, answers
):
    receiver.answers = answers
    subscribe(store, receiver.url)
    for _ in range(CHALLENGES + 1):
        work(database_url)
        store.run(LATER)
    assert len(receiver.calls) == CHALLENGES
    one = found(store)
    assert (one.state, one.off_reason) == (
        SubscriptionState.PENDING,
        "the answer did not have the challenge in it",
    )
    assert store.all(WAITING) == []


def test_a_call_that_fails_is_repeated_and_counted_until_it_succeeds(database_url, store, receiver):
    subscribe(store, receiver.url)
    work(database_url)
    publish(store)
    receiver.status = 302
    for _ in range(2):
        store.run(LATER)
        work(database_url)
    assert found(store).off_reason == "the answer had the status 302"
    receiver.status = 200
    store.run(LATER)
    work(database_url)
    assert found(store).off_reason == ""
    assert len({json.dumps(one) for one in receiver.of_type("update")}) == 1
    assert [kind for kind, _, _ in store.all(WAITING)] == ["status_update"]


def test_a_call_that_has_no_place_among_hosts_that_hang_is_repeated_and_not_counted(
    database_url, store, receiver, monkeypatch
):
    monkeypatch.setattr(name_resolver, "RESOLVE_S", 0.3)
    release = threading.Event()

    def look_up(host):
        if host.startswith("hangs"):
            release.wait(30)
        return ["127.0.0.1"]

    neighbours = [f"hangs{n}.shared.example" for n in range(PER_DOMAIN)]
    subscribe(store, receiver.url.replace("127.0.0.1", "hooks.shared.example"), now_ms=clock.now_ms())
    for _ in range(CHALLENGES):
        work(database_url, look_up=look_up, hanging=neighbours)
        assert store.all(ATTEMPTS) == [(0,)]
        store.run(LATER)
    assert receiver.calls == []
    work(database_url, look_up=look_up)
    assert found(store).state is SubscriptionState.ACTIVE
    publish(store)
    work(database_url, look_up=look_up, hanging=neighbours)
    assert receiver.of_type("update") == []
    assert found(store).off_reason == ""
    store.run(LATER)
    work(database_url, look_up=look_up)
    assert len(receiver.of_type("update")) == 1
    release.set()


def test_a_receiver_that_is_gone_ends_its_subscription(database_url, store, receiver):
    subscribe(store, receiver.url)
    work(database_url)
    publish(store)
    receiver.status = 410
    work(database_url)
    assert stored.count(store) == 0


def test_a_webhook_that_was_turned_off_is_not_called(database_url, store, receiver):
    id = subscribe(store, receiver.url)
    work(database_url)
    publish(store)
    with transaction(store):
        stored.turn_off(store, id=id)
    work(database_url)
    assert receiver.of_type("update") == []
    assert [kind for kind, _, _ in store.all(WAITING)] == ["status_update"]


def test_a_private_address_is_not_called_unless_a_setting_allows_it(database_url, store, receiver):
    subscribe(store, receiver.url)
    work(database_url, private=False)
    assert receiver.calls == []
    ((_, _, why),) = store.all(sql("SELECT kind, attempts, last_error FROM outbox"))
    assert why == "The URL of a webhook must begin with https://"


def test_maintenance_has_its_times():
    planned = StatusNotice(
        *("c" * 12, "d" * 12, "New disks", "maintenance", (), "scheduled", "Posting pauses.", 0, False, 0),
        scheduled_for_ms=3_600_000,
        scheduled_until_ms=7_200_000,
    )
    incident = update_message(planned, Config())["incident"]
    assert incident["scheduled_for"] == "1970-01-01T01:00:00.000Z"
    assert incident["scheduled_until"] == "1970-01-01T02:00:00.000Z"
