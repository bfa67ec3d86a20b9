"""Incoming messages in the spool: each once, and those of a number in the order of arrival."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from stormpetrel.storage.sms_spool import inbox
from stormpetrel.storage.sms_spool.file import SpoolDb, SpoolFile
from stormpetrel.storage.sms_spool.inbox import MEMBERS, STRANGERS

NOW = 1_790_000_000_000


@pytest.fixture
def db(tmp_path: Path) -> Iterator[SpoolDb]:
    spool = SpoolFile(tmp_path)
    yield spool.raw
    spool.close()


def put(db: SpoolDb, key: str, *, number: str = "+995599123456", klass: int = MEMBERS) -> int | None:
    return inbox.put(
        db, key=key, route="drop", number=number, receiver="40404", text=key, now_ms=NOW, klass=klass
    )


def waiting(db: SpoolDb, klass: int) -> list[str]:
    return [one.key for one in inbox.waiting(db, klass=klass, after_id=0, count=100)]


def test_a_key_is_stored_once(db: SpoolDb) -> None:
    assert put(db, "a") == 1
    assert put(db, "a") is None
    assert waiting(db, MEMBERS) == ["a"]


def test_members_do_not_wait_for_strangers(db: SpoolDb) -> None:
    put(db, "forged", number="+15550000001", klass=STRANGERS)
    put(db, "member")
    assert (waiting(db, MEMBERS), waiting(db, STRANGERS)) == (["member"], ["forged"])


def test_messages_of_a_number_keep_their_order_when_it_becomes_known(db: SpoolDb) -> None:
    put(db, "done", klass=STRANGERS)
    inbox.done(db, message_id=1, effect="post", error=None, status_id=None, now_ms=NOW)
    put(db, "first", klass=STRANGERS)
    put(db, "forged", number="+15550000001", klass=STRANGERS)
    put(db, "second")
    assert (waiting(db, MEMBERS), waiting(db, STRANGERS)) == (["first", "second"], ["forged"])
