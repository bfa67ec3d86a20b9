"""The bus on one machine, over real sockets: order, gaps, overflow, restarts, and reading events back."""

from __future__ import annotations

import asyncio
import os
import time

import pytest
import uvloop

from stormpetrel.bus.local import EVERYTHING, MESSAGE_BYTES, NOTHING, BusHub
from stormpetrel.model.event import AllChanged, Notified, OutboxFilled, PostChanged, PostCreated, PostDeleted

ALL = AllChanged()


def changed(post_id):
    return PostChanged(post_id, 1)


@pytest.fixture
def hub():
    hub = BusHub(
        {
            "web-0": EVERYTHING,
            "web-1": EVERYTHING,
            "courier": frozenset({OutboxFilled}),
            "watch": NOTHING,
        }
    )
    yield hub
    hub.close_all_but(None)


def listening(hub, name):
    """Return a bus and the list that collects its events."""
    bus, heard = hub.bus(name), []
    bus.on_events = heard.extend
    return bus, heard


def until(loop, is_so):
    """Run the loop until `is_so()` is true."""

    async def wait():
        async with asyncio.timeout(10):
            while not is_so():
                await asyncio.sleep(0.001)

    loop.run_until_complete(wait())


@pytest.fixture
def loop():
    loop = uvloop.new_event_loop()
    yield loop
    loop.close()


def test_what_was_published_is_there_when_the_receiver_looks_before_it_answers(hub):
    writer = hub.bus("web-0")
    reader, heard = listening(hub, "web-1")
    writer.publish([changed(1), changed(2)])
    writer.publish([changed(3)])
    reader.drain()
    assert heard == [changed(1), changed(2), changed(3)]
    reader.drain()
    assert len(heard) == 3


def test_the_loop_hears_without_looking(hub, loop):
    writer = hub.bus("web-0")
    reader, heard = listening(hub, "web-1")
    reader.attach(loop)
    for number in range(500):
        writer.publish([changed(number)])
    until(loop, lambda: len(heard) == 500)
    assert heard == [changed(number) for number in range(500)]
    assert (writer.lost, reader.gaps) == (0, 0)
    loop.run_until_complete(reader.close())


def test_nobody_gets_its_own_events_back(hub):
    writer, heard = listening(hub, "web-0")
    writer.publish([changed(1)])
    writer.drain()
    assert heard == []


def test_each_process_is_told_only_what_it_wants(hub):
    writer = hub.bus("web-0")
    courier, courier_heard = listening(hub, "courier")
    watch, watch_heard = listening(hub, "watch")
    web, web_heard = listening(hub, "web-1")
    writer.publish([changed(1), OutboxFilled(), Notified(1, 2)])
    writer.publish([changed(2)])
    writer.publish([ALL])
    for bus in (courier, watch, web):
        bus.drain()
    assert courier_heard == [OutboxFilled(), ALL]
    assert watch_heard == []
    assert web_heard == [changed(1), OutboxFilled(), Notified(1, 2), changed(2), ALL]


def test_one_that_wants_nothing_may_tell_the_others(hub):
    reader, heard = listening(hub, "web-0")
    hub.bus("watch").publish([changed(7)])
    reader.drain()
    assert heard == [changed(7)]


def test_a_full_buffer_never_blocks_and_the_receiver_is_told_that_it_missed_something(hub):
    writer = hub.bus("web-0")
    reader, heard = listening(hub, "web-1")
    sent = 0
    while not writer.lost:
        writer.publish([changed(sent)])
        sent += 1
    # The courier and web-1 have separate channels, and only web-1's was full.
    reader.drain()
    assert heard == [*(changed(number) for number in range(sent - 1)), ALL]
    writer.publish([changed(-1)])
    reader.drain()
    assert heard[sent:] == [changed(-1)]


def test_a_hole_between_two_messages_is_told_before_the_second(hub, loop):
    writer = hub.bus("web-0")
    reader, heard = listening(hub, "web-1")
    writer.publish([changed(1)])
    # Like a full buffer: the number is used, but the message is missing.
    writer._senders[0].mark += 1
    writer.publish([changed(3)])
    reader.attach(loop)
    until(loop, lambda: changed(3) in heard)
    assert heard == [changed(1), ALL, changed(3)]
    loop.run_until_complete(reader.close())


def test_events_that_do_not_fit_one_message_are_split_in_order(hub):
    writer = hub.bus("web-0")
    reader, heard = listening(hub, "web-1")
    events = [PostCreated(number, 1, 0, tags=("a" * 1000,)) for number in range(3 * MESSAGE_BYTES // 1000)]
    writer.publish(events)
    reader.drain()
    assert heard == events


def test_an_event_that_is_too_large_for_any_message_becomes_all_changed(hub):
    writer = hub.bus("web-0")
    reader, heard = listening(hub, "web-1")
    writer.publish([changed(1), PostCreated(2, 1, 0, tags=("a" * MESSAGE_BYTES,)), changed(3)])
    reader.drain()
    assert heard == [changed(1), ALL, changed(3)]


def test_a_sender_that_died_is_spoken_for_and_its_successor_goes_on(hub, loop):
    reader, heard = listening(hub, "web-1")
    reader.attach(loop)
    hub.bus("web-0").publish([changed(1)])
    hub.announce_death("web-0")
    reader.drain()
    assert heard == [changed(1)]
    heard.clear()
    successor = hub.bus("web-0")
    successor.publish([changed(2)])
    successor.publish([changed(3)])
    reader.drain()
    assert heard == [changed(2), changed(3)]
    loop.run_until_complete(reader.close())


def test_what_a_dead_sender_has_committed_and_not_published_is_told_for_it(hub):
    reader, heard = listening(hub, "web-1")
    courier, woken = listening(hub, "courier")
    writer = hub.bus("web-0")
    writer.publish([changed(1)])
    writer.pending.note([changed(2), OutboxFilled()])
    done = writer.pending.note([changed(3)])
    writer.pending.published(done)
    hub.announce_death("web-0")
    reader.drain()
    courier.drain()
    assert heard == [changed(1), changed(2), OutboxFilled()]
    assert woken == [OutboxFilled()]
    # A second death, of a successor that has sent nothing, tells nothing more.
    hub.bus("web-0")
    hub.announce_death("web-0")
    reader.drain()
    assert heard == [changed(1), changed(2), OutboxFilled()]


def test_of_events_that_would_do_harm_without_their_change_only_all_changed_is_told(hub):
    reader, heard = listening(hub, "web-1")
    hub.bus("web-0").pending.note([changed(1), PostDeleted(2, 1)])
    hub.announce_death("web-0")
    reader.drain()
    assert heard == [ALL]


def test_a_message_that_was_lost_before_a_death_is_not_forgotten(hub):
    reader, heard = listening(hub, "web-1")
    writer = hub.bus("web-0")
    number = 0
    while not writer.lost:
        writer.publish([changed(number)])
        number += 1
    for _ in range(number - 1):
        reader._receive(reader._receivers[0], heard)
    hub.announce_death("web-0")
    reader.drain()
    assert heard == [*map(changed, range(number - 1)), ALL]


def test_a_death_is_told_also_when_the_buffer_is_full(hub):
    reader, heard = listening(hub, "web-1")
    writer = hub.bus("web-0")
    while not writer.lost:
        writer.publish([changed(0)])
    hub.announce_death("web-0")
    reader.drain()
    assert heard[-1] == ALL


def test_a_receiver_that_was_restarted_hears_nothing_of_the_time_before(hub):
    writer = hub.bus("web-0")
    hub.bus("web-1")  # dies without reading
    writer.publish([changed(1), changed(2)])
    successor, heard = listening(hub, "web-1")
    successor.drain()
    writer.publish([changed(3)])
    successor.drain()
    assert heard == [changed(3)]


def test_what_arrived_and_could_not_be_applied_is_followed_by_all_changed(hub):
    writer = hub.bus("web-0")
    reader, heard = listening(hub, "web-1")

    def fails(events):
        raise ValueError("a bug")

    reader.on_events = fails
    writer.publish([changed(1)])
    with pytest.raises(ValueError, match="a bug"):
        reader.drain()
    reader.on_events = heard.extend
    writer.publish([changed(2)])
    reader.drain()
    assert heard == [ALL, changed(2)]


def test_across_processes_what_is_marked_as_told_can_be_read_at_once(hub):
    """The writer reports by a pipe after publish. A reader of the pipe must then find the event."""
    reader, heard = listening(hub, "web-1")
    answers, answer = os.pipe()
    go, start = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            writer = hub.bus("web-0")
            for number in range(2000):
                os.read(go, 1)
                writer.publish([changed(number)])
                os.write(answer, b".")
        finally:
            os._exit(0)
    missing = 0
    for number in range(2000):
        os.write(start, b".")
        os.read(answers, 1)
        reader.drain()
        missing += heard[-1:] != [changed(number)]
    os.waitpid(pid, 0)
    for end in (answers, answer, go, start):
        os.close(end)
    assert missing == 0
    assert heard == [changed(number) for number in range(2000)]


def test_a_sender_killed_at_any_moment_leaves_no_silent_hole(hub):
    """After kill -9 of a busy writer, the reader has a complete beginning of its events; the last may come twice."""
    reader, heard = listening(hub, "web-1")
    for _ in range(5):
        heard.clear()
        ready, tell = os.pipe()
        pid = os.fork()
        if pid == 0:
            writer = hub.bus("web-0")
            os.write(tell, b".")
            number = 0
            while True:
                writer.publish([changed(number)])
                number += 1
                time.sleep(0)
        os.read(ready, 1)
        while len(heard) < 20:
            reader.drain()
        os.kill(pid, 9)
        os.waitpid(pid, 0)
        hub.announce_death("web-0")
        reader.drain()
        reader.drain()
        os.close(ready)
        os.close(tell)
        numbers = [event.post_id for event in heard]
        if len(numbers) > 1 and numbers[-1] == numbers[-2]:
            numbers.pop()
        assert numbers == list(range(len(numbers)))
