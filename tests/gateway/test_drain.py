"""The inbox while the store is away: stored, answered from memory, and carried out afterwards, in order and once."""

from __future__ import annotations

import shutil
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from stormpetrel.config import Config
from stormpetrel.gateway.drain import NoticeTimes, _answer_without_store
from stormpetrel.model.phone import PhoneKeys
from stormpetrel.process import secret
from stormpetrel.rules import phones
from stormpetrel.storage.sms_spool import inbox, outbox, state
from stormpetrel.storage.sms_spool.file import open_spool
from tests.gateway.phones import drop, new_number, route_settings, sent
from tests.instance import Instance, prepared_instance
from tests.people import Place, now_ms
from tests.waiting import eventually


@pytest.fixture
def instance(tmp_path: Path, sqlite_template: Path) -> Iterator[Instance]:
    database = shutil.copy(sqlite_template, tmp_path / "stormpetrel.db")
    with prepared_instance(tmp_path, f"sqlite:///{database}", **route_settings(tmp_path / "drop")) as made:
        yield made


def link(instance: Instance, number: str) -> int:
    database_url = instance.environ["STORMPETREL_DATABASE_URL"]
    place = Place(instance, database_url, instance.base_url, None)  # type: ignore[arg-type]  # no visitor
    keys = PhoneKeys(secret.load(Config(data_dir=Path(instance.environ["STORMPETREL_DATA_DIR"]))))
    person = place.person("texter")
    place.write(
        phones.link, account_id=person.id, number=number, route="drop", keys=keys, zone="UTC", language="en",
        now_ms=now_ms(),
    )  # fmt: skip
    for client in place.clients:
        client.close()
    return person.id


def posts_of(instance: Instance, account_id: int) -> list[str]:
    path = instance.environ["STORMPETREL_DATABASE_URL"].removeprefix("sqlite:///")
    with sqlite3.connect(path) as db:
        rows = db.execute("SELECT text FROM posts WHERE author_id = ? ORDER BY id", (account_id,)).fetchall()
    return [row[0] for row in rows]


def known_numbers(directory: Path) -> int:
    with open_spool(directory) as spool:
        return len(state.known(spool.raw))


def test_messages_wait_for_a_locked_database_and_are_posted_in_order_once(
    instance: Instance, tmp_path: Path
) -> None:
    number = new_number()
    account_id = link(instance, number)
    instance.start("--role", "sms")
    # The role knows the number before the database is locked.
    drop(tmp_path / "drop", number, "before")
    eventually(lambda: posts_of(instance, account_id) == ["before"])
    eventually(lambda: known_numbers(tmp_path / "data") == 1)
    path = instance.environ["STORMPETREL_DATABASE_URL"].removeprefix("sqlite:///")
    lock = sqlite3.connect(path, isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    texts = [f"message {place}" for place in range(20)]
    for text in texts:
        drop(tmp_path / "drop", number, text)
        time.sleep(0.002)
    drop(tmp_path / "drop", number, "STATUS")
    # Every file is taken: the messages are in the spool.
    eventually(lambda: not list((tmp_path / "drop" / "in").glob("*.json")))
    answers = eventually(lambda: sent(tmp_path / "drop"), lambda found: len(found) >= 2)
    assert sorted(one["text"][:32] for one in answers) == [
        "Stormpetrel is busy. Your text i",
        "Stormpetrel: the website is down",
    ]
    lock.execute("ROLLBACK")
    lock.close()
    eventually(lambda: len(posts_of(instance, account_id)) == 21)
    assert posts_of(instance, account_id) == ["before", *texts]
    # One notice for one phone, however many messages waited.
    assert len(sent(tmp_path / "drop")) == 2
    instance.stop()


def test_a_number_that_has_sent_stop_is_not_told_that_its_messages_wait(tmp_path: Path) -> None:
    number, other, now = new_number(), new_number(), now_ms()
    with open_spool(tmp_path) as spool, spool.transaction() as db:
        outbox.stop(db, number=number, now_ms=now)
        for key, sender, text in (
            ("a", number, "hello"),
            ("b", number, "STATUS"),
            ("c", other, "STOP"),
            ("d", other, "HELP"),
        ):
            inbox.put(db, key=key, route="drop", number=sender, receiver="", text=text, now_ms=now, klass=0)
        context: Any = SimpleNamespace(language="en", title="Here", status=lambda language: "up")
        assert _answer_without_store(db, context, NoticeTimes(1, 1), now, tells_saved=True) == 0
        outbox.start(db, number=number)
        assert _answer_without_store(db, context, NoticeTimes(1, 1), now, tells_saved=True) == 2


def test_a_kill_between_effect_and_spool_posts_nothing_twice(instance: Instance, tmp_path: Path) -> None:
    number = new_number()
    account_id = link(instance, number)
    texts = [f"message {place}" for place in range(120)]
    instance.start("--role", "sms")
    for place, text in enumerate(texts):
        drop(tmp_path / "drop", number, text)
        if place in (40, 80):
            eventually(lambda: len(posts_of(instance, account_id)) > 5)
            instance.kill()
            instance.start("--role", "sms")
    eventually(lambda: len(posts_of(instance, account_id)) == len(texts))
    time.sleep(0.5)
    assert sorted(posts_of(instance, account_id)) == sorted(texts)
    # The store is away for a moment after each start: too short to tell members of it.
    assert sent(tmp_path / "drop") == []
    instance.stop()
