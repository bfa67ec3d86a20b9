"""An update of the status page becomes sendings and calls, once, for the subscribers of its channels."""

from __future__ import annotations

import msgspec
import pytest
from msgspec.structs import replace

from stormpetrel.model.quota import STATUS_MAIL
from stormpetrel.model.status_subscription import StatusNotice
from stormpetrel.rules import status_subscriptions, status_updates
from stormpetrel.storage.engine.statement import sql
from tests.rules.test_status_subscriptions import SECRET, ask, ask_hook, confirm, hook, jobs
from tests.store import Store

SENDINGS = sql("SELECT id, after_id, until_id FROM status_sendings ORDER BY id")
UPDATES = sql("SELECT id FROM status_updates")
SENT = sql(
    """SELECT u.update_id FROM status_sendings s JOIN status_updates u ON u.id = s.status_update_id
    ORDER BY s.id"""
)
LATE = sql(
    """SELECT id, payload, due_at_ms FROM outbox
    WHERE kind = 'status_update' AND payload LIKE '%true%' ORDER BY due_at_ms, id"""
)
DONE = sql("DELETE FROM outbox WHERE id = :job_id")
NOTICE = StatusNotice(
    "aaaaaaaaaaaa", "bbbbbbbbbbbb", "Apps fail", "major", ("apps",), "investigating", "Words.", 1, False, 1
)


def taken(store: Store, notice: StatusNotice = NOTICE) -> int:
    """Take and split an update; return its id."""
    assert store.do(status_updates.take, notices=[notice], now_ms=store.now_ms) == 1
    id = store.connection.all(UPDATES)[-1][0]
    store.do(status_updates.split, status_update_id=id, now_ms=store.now_ms)
    return int(id)


def sent(store: Store) -> list[str]:
    """Return the updates whose mails were queued, in order."""
    return [name for (name,) in store.connection.all(SENT)]


def test_an_update_that_is_handed_over_twice_is_sent_once(store):
    taken(store)
    assert store.do(status_updates.take, notices=[NOTICE], now_ms=store.now_ms) == 0
    assert len(jobs(store, "status_update")) == 1


def test_without_subscribers_nothing_is_queued(store):
    ask(store)
    taken(store)
    assert jobs(store, "sending") == []
    assert jobs(store, "webhook") == []


def test_mails_are_split_among_few_connections_and_each_subscriber_is_in_one_part(store, monkeypatch):
    monkeypatch.setattr(status_updates, "MIN_PART", 2)
    ids = [confirm(store, ask(store, f"a{number}@example.org")).id for number in range(11)]
    id = taken(store)
    parts = store.connection.all(SENDINGS)
    assert len(jobs(store, "sending")) == len(parts) == status_updates.PARTS
    met = []
    for sending_id, _, _ in parts:
        while (part := store.do(status_updates.next_part, sending_id=sending_id, count=2)) is not None:
            update_id, notice, recipients = part
            assert (update_id, notice) == (id, NOTICE)
            met += [one.id for one in recipients]
            store.do(
                status_updates.advance,
                sending_id=sending_id,
                status_update_id=id,
                after_id=recipients[-1].id,
                sent=[],
                refused=[],
                late=[],
                now_ms=store.now_ms,
            )
        store.do(status_updates.finished, sending_id=sending_id)
    assert met == ids
    assert store.connection.all(SENDINGS) == []


def test_failures_of_single_mails_are_counted_and_tried_again(store):
    one = confirm(store, ask(store))
    id = taken(store)
    ((sending_id, _, _),) = store.connection.all(SENDINGS)
    progress = {"sending_id": sending_id, "status_update_id": id, "after_id": one.id, "now_ms": store.now_ms}
    store.do(status_updates.advance, **progress, sent=[], refused=[(one.id, "550 no")], late=[one.id])
    assert len(jobs(store, "late_mail")) == 1
    found = store.do(status_updates.one_delivery, status_update_id=id, subscription_id=one.id)
    assert found[1].off_reason == "550 no"
    store.do(status_updates.advance, **progress, sent=[one.id], refused=[], late=[])
    found = store.do(status_updates.one_delivery, status_update_id=id, subscription_id=one.id)
    assert found[1].off_reason == ""


def test_webhooks_of_other_channels_are_not_called(store):
    for url, channels in (("https://a.example/", ("apps",)), ("https://b.example/", ("web",))):
        token_hash = ask_hook(store, url)
        one = hook(store, token_hash)
        store.do(status_subscriptions.challenge_answered, id=one.id)
        store.do(
            status_subscriptions.save,
            token_hash=token_hash,
            channels=channels,
            secret=SECRET,
            now_ms=store.now_ms,
        )
    taken(store)
    assert len(jobs(store, "webhook")) == 1


def test_subscribers_of_a_channel_that_is_taken_out_get_the_update_that_says_so(store):
    for name in ("apps", "web", "media"):
        url = f"https://{name}.example/"
        token_hash = ask_hook(store, url)
        store.do(status_subscriptions.challenge_answered, id=hook(store, token_hash).id)
        store.do(
            status_subscriptions.save,
            token_hash=token_hash,
            channels=(name,),
            secret=SECRET,
            now_ms=store.now_ms,
        )
    taken(store, replace(NOTICE, channels=("web",), removed=("apps",)))
    assert len(jobs(store, "webhook")) == 2


def automatic(number: int, *channels: str, status: str = "investigating", impact: str = "major"):
    """Return an automatic update."""
    name = f"{number:012x}"
    return replace(NOTICE, update_id=name, channels=channels, status=status, impact=impact, is_automatic=True)


def run_late(store: Store) -> None:
    """Run the updates whose mails have waited and are due."""
    for job_id, payload, due_at_ms in store.connection.all(LATE):
        if due_at_ms <= store.now_ms:
            store.connection.run(DONE, job_id=job_id)
            store.do(status_updates.split, **msgspec.json.decode(payload), now_ms=store.now_ms)


def test_a_channel_that_fails_and_recovers_for_hours_sends_few_mails_and_the_last_word(store):
    confirm(store, ask(store))
    store.do(status_subscriptions.challenge_answered, id=hook(store, ask_hook(store)).id)
    hours, every_ms = 1, 30_000
    updates = hours * 3_600_000 // every_ms
    for number in range(updates):
        store.now_ms += every_ms
        taken(store, automatic(number, "apps", status="monitoring" if number % 2 else "investigating"))
        run_late(store)
    at_most = STATUS_MAIL.burst + hours * 3_600_000 // STATUS_MAIL.every_ms
    assert at_most - 1 <= len(sent(store)) <= at_most
    assert len(jobs(store, "webhook")) == updates
    store.now_ms += STATUS_MAIL.every_ms
    run_late(store)
    assert sent(store)[-1] == f"{updates - 1:012x}"
    assert store.connection.all(LATE) == []


def test_the_last_mail_of_an_incident_is_what_an_operator_wrote_last(store):
    confirm(store, ask(store))
    for number in range(STATUS_MAIL.burst + 2):
        store.now_ms += 30_000
        taken(store, automatic(number, "apps"))
    resolved = replace(NOTICE, update_id="0perat0r0000", status="resolved", is_automatic=False)
    taken(store, resolved)
    assert len(sent(store)) == STATUS_MAIL.burst + 1
    store.now_ms += STATUS_MAIL.every_ms + 60_000
    run_late(store)
    assert sent(store)[-1] == resolved.update_id
    assert store.connection.all(LATE) == []


def test_other_channels_maintenance_and_what_operators_write_are_mailed_at_once(store):
    confirm(store, ask(store))
    for number in range(10):
        taken(store, automatic(number, "apps"))
    assert len(sent(store)) == STATUS_MAIL.burst
    for number, notice in enumerate(
        (
            automatic(20, "web"),
            automatic(21, "apps", "media"),
            automatic(22, "apps", status="in_progress", impact="maintenance"),
            replace(NOTICE, update_id="bbbbbbbbbbbb"),
        )
    ):
        taken(store, notice)
        assert len(sent(store)) == STATUS_MAIL.burst + 1 + number


@pytest.mark.parametrize(
    ("chosen", "affected", "wants"),
    [
        ((), ("apps",), True),
        (("apps",), ("web", "apps"), True),
        (("web",), ("apps",), False),
        (("web",), (), True),
    ],
)
def test_a_subscriber_gets_the_updates_of_the_chosen_channels(store, chosen, affected, wants):
    assert confirm(store, ask(store), *chosen).wants(affected) is wants
