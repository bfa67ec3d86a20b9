"""The changes of phones that the sms role reads: each once, also those that commit late."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from stormpetrel.gateway.phone_changes import LATE_MS, PhoneChanges
from stormpetrel.model.phone import PhoneKeys
from stormpetrel.rules import phones
from stormpetrel.storage import phones as stored
from stormpetrel.storage.engine.database import Database

KEYS = PhoneKeys(b"k" * 32)


def linked(store, number):
    return store.do(
        phones.link, account_id=store.person(), number=number, route="r", keys=KEYS, zone="UTC", language="en",
        now_ms=store.now_ms,
    )  # fmt: skip


def passes(store, *between):
    """Return the phones of each pass; `between` change the store after each but the last."""

    async def main():
        db, changes, found = Database(store.url), PhoneChanges(), []
        await db.open()
        try:
            for change in (*between, lambda: None):
                seen = []
                while some := await changes.next(db):
                    changes.taken(some)
                    seen += some
                found.append(seen)
                change()
        finally:
            await db.close()
        return found

    return asyncio.run(main())


def test_each_change_is_read_once_in_order(store):
    first, second = linked(store, "+15551234501"), linked(store, "+15551234502")

    def lock():
        store.do(phones.lock, phone=first, now_ms=store.now_ms)

    found = passes(store, lambda: None, lock, lambda: None)
    assert [[phone.id for phone in some] for some in found] == [[first.id, second.id], [], [first.id], []]


@pytest.mark.parametrize("late_ms", [0, 1, LATE_MS - 1_000])
def test_a_change_that_commits_after_a_later_one_is_read(store, late_ms):
    """On PostgreSQL two transactions may take the same time, and the one with the smaller id may commit last."""
    first, second = linked(store, "+15551234501"), linked(store, "+15551234502")
    now_ms = store.now_ms + 100_000

    def put(phone, at_ms):
        store.do(stored.put, replace(phone, changed_at_ms=at_ms, stopped=True))

    found = passes(store, lambda: put(second, now_ms), lambda: put(first, now_ms - late_ms), lambda: None)
    assert [[phone.id for phone in some] for some in found[1:]] == [[second.id], [first.id], []]
    assert found[2][0].stopped


def test_two_changes_of_a_phone_in_one_millisecond_are_both_read(store):
    phone = linked(store, "+15551234501")

    def stop():
        store.do(stored.put, replace(phone, stopped=True))

    found = passes(store, stop, lambda: None)
    assert [[one.stopped for one in some] for some in found] == [[False], [True], []]
