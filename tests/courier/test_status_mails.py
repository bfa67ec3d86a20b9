"""Updates to many subscribers: each gets one mail, also when the server fails or the courier is killed."""

from __future__ import annotations

import asyncio
import collections
import dataclasses
import os
import signal
import subprocess
import sys

import pytest
import uvloop

from stormpetrel.config import Config, MailConfig
from stormpetrel.courier import status_mails
from stormpetrel.courier.status_mails import BATCH, status_mail_lane
from stormpetrel.model.ids import IdMaker
from stormpetrel.model.mail import new_link
from stormpetrel.model.status_subscription import StatusNotice, SubscriptionKind
from stormpetrel.rules import status_updates
from stormpetrel.storage import outbox, status_subscriptions
from stormpetrel.storage.engine.connection import connect, transaction
from stormpetrel.storage.engine.database import Database
from stormpetrel.storage.engine.statement import sql
from tests.mail_sink import mail_sink
from tests.waiting import eventually

SECRET = b"s" * 32
NOW_MS = 1_700_000_000_000
NOTICE = StatusNotice(
    "aaaaaaaaaaaa", "bbbbbbbbbbbb", "Apps fail", "major", ("apps",), "investigating", "Words.", 1, False, 1
)
UPDATES = sql("SELECT id FROM status_updates")
WAITING = sql("SELECT kind, attempts, last_error FROM outbox ORDER BY id")
LATER = sql("UPDATE outbox SET due_at_ms = 0, leased_until_ms = 0")
SUBSCRIPTIONS = sql("SELECT state, off_reason, failures FROM status_subscriptions ORDER BY id")


@pytest.fixture
def sink():
    with mail_sink() as running:
        yield running


@pytest.fixture
def store(database_url):
    connection = connect(database_url, ids=IdMaker(63))
    yield connection
    connection.close()


def config(port, tmp_path):
    mail = MailConfig(transport="smtp", host="127.0.0.1", port=port, security="none", timeout_s=5.0)
    return dataclasses.replace(Config(), data_dir=tmp_path, mail=mail)


def subscribe(store, count, channels=()):
    with transaction(store):
        for number in range(count):
            link = new_link(SECRET, f"{number}{channels}")
            id = status_subscriptions.add(
                store,
                kind=SubscriptionKind.EMAIL,
                target=f"a{number}@{'-'.join(channels) or 'all'}.example",
                host="",
                channels=channels,
                nonce=link.nonce,
                token_hash=link.token_hash,
                now_ms=NOW_MS,
            )
            status_subscriptions.activate(store, id=id, channels=channels)


def publish(store, notice=NOTICE):
    with transaction(store):
        status_updates.take(store, notices=[notice], now_ms=NOW_MS)
    id = store.all(UPDATES)[-1][0]
    with transaction(store):
        status_updates.split(store, status_update_id=id, now_ms=NOW_MS)


def work(url, settings, times=1):
    async def main():
        db = Database(url)
        await db.open()
        try:
            lane = status_mail_lane(db, settings, SECRET)
            for _ in range(times):
                await lane.once()
        finally:
            await db.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())


def counted(sink):
    with sink.lock:
        return collections.Counter(recipient for recipient, _ in sink.mails)


def test_each_subscriber_of_the_channel_gets_one_mail(database_url, store, sink, tmp_path):
    subscribe(store, 3 * BATCH + 1)
    subscribe(store, 3, ("web",))
    subscribe(store, 3, ("apps",))
    publish(store)
    work(database_url, config(sink.port, tmp_path))
    assert set(counted(sink).values()) == {1}
    assert len(counted(sink)) == 3 * BATCH + 1 + 3
    assert not any("web" in address for address in counted(sink))
    assert [kind for kind, _, _ in store.all(WAITING)] == ["status_update"]


def test_a_server_that_breaks_off_gets_the_rest_later_and_nothing_twice(
    database_url, store, sink, tmp_path, monkeypatch
):
    subscribe(store, 20)
    publish(store)
    sink.most = 3
    answers = iter([b"250 fine"] * 7 + [b"421 going down"] * 1000)
    sink.verdict = lambda address: next(answers)
    settings = config(sink.port, tmp_path)
    work(database_url, settings)
    ((_, attempts, why),) = [row for row in store.all(WAITING) if row[0] == "sending"]
    assert attempts == 1
    assert "421" in why
    assert sum(counted(sink).values()) == 7
    sink.verdict = lambda address: b"250 fine"
    store.run(LATER)
    work(database_url, settings)
    assert len(counted(sink)) == 20
    assert set(counted(sink).values()) == {1}


def test_a_refused_recipient_is_counted_and_one_that_may_be_accepted_later_is_tried_again(
    database_url, store, sink, tmp_path
):
    subscribe(store, 4)
    publish(store)
    answers = {"a1@all.example": b"550 no such user", "a2@all.example": b"451 greylisted"}
    sink.verdict = lambda address: answers.get(address, b"250 fine")
    settings = config(sink.port, tmp_path)
    work(database_url, settings)
    assert [failures for _, _, failures in store.all(SUBSCRIPTIONS)] == [0, 1, 0, 0]
    assert [kind for kind, _, _ in store.all(WAITING)] == ["status_update", "late_mail"]
    store.run(LATER)
    work(database_url, settings)
    assert [attempts for kind, attempts, _ in store.all(WAITING) if kind == "late_mail"] == [1]
    sink.verdict = lambda address: b"250 fine"
    store.run(LATER)
    work(database_url, settings)
    assert [kind for kind, _, _ in store.all(WAITING)] == ["status_update"]
    assert counted(sink) == {"a0@all.example": 1, "a2@all.example": 1, "a3@all.example": 1}


def test_a_late_mail_to_a_recipient_that_is_gone_is_counted(database_url, store, sink, tmp_path):
    subscribe(store, 1)
    publish(store)
    sink.verdict = lambda address: b"451 greylisted"
    settings = config(sink.port, tmp_path)
    work(database_url, settings)
    sink.verdict = lambda address: b"550 no such user"
    store.run(LATER)
    work(database_url, settings)
    assert [failures for _, _, failures in store.all(SUBSCRIPTIONS)] == [1]
    assert [kind for kind, _, _ in store.all(WAITING)] == ["status_update"]


COURIER = """
import asyncio, dataclasses, pathlib, sys
import uvloop
from tests.courier.test_status_mails import SECRET, config
from stormpetrel.courier.status_mails import status_mail_lane
from stormpetrel.storage.engine.database import Database

async def main():
    db = Database(sys.argv[1])
    await db.open()
    await status_mail_lane(db, config(int(sys.argv[2]), pathlib.Path(sys.argv[3])), SECRET).run(asyncio.Event())

with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
    runner.run(main())
"""


def test_a_courier_that_is_killed_in_the_middle_repeats_one_batch_at_most(
    database_url, store, sink, tmp_path
):
    subscribe(store, 200)
    publish(store)
    sink.wait_s = 0.01
    words = [sys.executable, "-c", COURIER, database_url, str(sink.port), str(tmp_path)]
    for count in (40, 120):
        with subprocess.Popen(words, env=os.environ | {"PYTHONPATH": os.getcwd()}) as courier:
            eventually(lambda: sum(counted(sink).values()), lambda found, least=count: found >= least)
            os.kill(courier.pid, signal.SIGKILL)
        store.run(LATER)
    sink.wait_s = 0.0
    with subprocess.Popen(words, env=os.environ | {"PYTHONPATH": os.getcwd()}) as courier:
        eventually(lambda: [row for row in store.all(WAITING) if row[0] == "sending"], lambda rows: not rows)
        courier.kill()
    found = counted(sink)
    assert len(found) == 200
    assert sum(found.values()) <= 200 + 2 * BATCH
    assert max(found.values()) <= 3


def test_a_courier_that_ends_notes_the_mails_that_are_on_their_way(
    database_url, store, sink, tmp_path, monkeypatch
):
    monkeypatch.setattr("stormpetrel.courier.dispatch.STOP_S", 0.0)
    subscribe(store, 5 * BATCH)
    publish(store)
    sink.wait_s = 0.02

    async def main():
        db = Database(database_url)
        await db.open()
        stop = asyncio.Event()
        lane = status_mails.status_mail_lane(db, config(sink.port, tmp_path), SECRET)
        running = asyncio.create_task(lane.run(stop))
        while sum(counted(sink).values()) < BATCH + 2:
            await asyncio.sleep(0.005)
        stop.set()
        await running
        await db.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
    assert sum(counted(sink).values()) < 5 * BATCH
    store.run(LATER)
    work(database_url, config(sink.port, tmp_path))
    assert len(counted(sink)) == 5 * BATCH
    assert set(counted(sink).values()) == {1}


def test_the_jobs_have_a_lane_of_their_own(store):
    subscribe(store, 1)
    publish(store)
    lanes = store.all(sql("SELECT lane FROM outbox WHERE kind = 'sending'"))
    assert lanes == [(outbox.LANE_STATUS_MAIL,)]
