"""What a killed process leaves behind: its events from before their COMMIT until they were published."""

from __future__ import annotations

import asyncio
import itertools
import mmap
import os
import signal
import time

import pytest

from stormpetrel.bus.local import EVERYTHING, BusHub
from stormpetrel.bus.pending import REGION_BYTES, PendingEvents, left_behind
from stormpetrel.errors import Invalid
from stormpetrel.model.event import (
    HARMLESS,
    AccountChanged,
    AllChanged,
    PostChanged,
    PostCreated,
    PostDeleted,
    PostEdited,
    ShieldPaused,
)
from stormpetrel.storage.engine.database import Database
from tests.storage.notes import add, ids_at, make_table


@pytest.fixture
def memory():
    with mmap.mmap(-1, 3 * REGION_BYTES) as memory:
        yield memory


def left(memory, region=1):
    return left_behind(memory, region * REGION_BYTES)


def pending(memory, region=1):
    return PendingEvents(memory, region * REGION_BYTES)


def test_events_are_left_until_they_are_published(memory):
    own, other = pending(memory), pending(memory, region=2)
    first = own.note([PostChanged(1, 2)])
    own.note([PostCreated(3, 4, 0, tags=("gale",)), PostChanged(5, 6)])
    other.note([PostChanged(7, 8)])
    own.published(first)
    assert left(memory) == [PostCreated(3, 4, 0, tags=("gale",)), PostChanged(5, 6)]
    assert left(memory) == []
    assert left(memory, region=2) == [PostChanged(7, 8)]


def test_nothing_is_left_of_a_process_that_published_all(memory):
    own = pending(memory)
    for number in [own.note([PostChanged(1, 2)]) for _ in range(3)]:
        own.published(number)
    assert left(memory) == []
    assert left(memory, region=0) == []


def test_a_region_that_is_too_small_or_was_being_written_tells_that_anything_may_have_changed(memory):
    own = pending(memory)
    number = own.note([PostCreated(1, 2, 0, tags=("a" * 100,)) for _ in range(REGION_BYTES // 100)])
    own.note([PostChanged(3, 4)])
    assert left(memory) == [AllChanged()]
    own.published(number)
    assert left(memory) == [PostChanged(3, 4)]


@pytest.mark.parametrize("event", [PostDeleted(1, 2), PostEdited(1, 2, 0), ShieldPaused(1.0, 2.0)])
def test_an_event_that_does_harm_without_its_change_is_told_as_all_changed(memory, event):
    assert type(event) not in HARMLESS
    pending(memory).note([PostChanged(3, 4), event])
    assert left(memory) == [AllChanged()]


def test_a_successor_begins_with_nothing(memory):
    pending(memory).note([PostChanged(1, 2)])
    pending(memory)
    assert left(memory) == []


def test_a_change_that_was_committed_and_not_published_reaches_the_others_after_kill_9(database_url):
    make_table(database_url)
    hub = BusHub({"web-0": EVERYTHING, "web-1": EVERYTHING})
    reader, heard = hub.bus("web-1"), []
    reader.on_events = heard.extend
    committed, tell = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:

            def publish(events):
                os.write(tell, b".")
                time.sleep(60)

            async def write():
                database = Database(database_url, publish=publish, pending=hub.bus("web-0").pending)
                await database.open()
                await database.write(add, note_id=7)

            asyncio.run(write())
        finally:
            os._exit(1)
    assert os.read(committed, 1) == b"."
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    hub.announce_death("web-0")
    reader.drain()
    assert heard == [AccountChanged(7)]
    assert ids_at(database_url) == [7]
    for end in (committed, tell):
        os.close(end)
    hub.close_all_but(None)


class Ledger:
    """Notes which events are pending, and whether they can be read from the store yet."""

    def __init__(self, url):
        self.url = url
        self.order = []
        self._numbers = itertools.count()

    def note(self, events):
        number = next(self._numbers)
        stored = ids_at(self.url)
        self.order.append(("noted", number, [event.account_id in stored for event in events]))
        return number

    def published(self, number):
        self.order.append(("published", number))

    def publish(self, events):
        self.order.append(("events", len(events)))


def test_events_are_pending_from_before_their_commit_until_they_are_published(database_url):
    ledger = Ledger(database_url)

    def fails(connection):
        connection.tell(AccountChanged(8))
        raise Invalid("no")

    async def body():
        database = Database(database_url, publish=ledger.publish, pending=ledger)
        await database.open()
        try:
            await database.write(add, note_id=1)
            with pytest.raises(Invalid):
                await database.write(fails)
            await database.write(add, note_id=2)
        finally:
            await database.close()

    make_table(database_url)
    asyncio.run(body())
    assert ledger.order == [
        step
        for number in range(2)
        for step in (("noted", number, [False]), ("events", 1), ("published", number))
    ]
