"""The bus between machines, over a real Redis or Valkey that goes away and comes back."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import subprocess

import pytest
import redis
import uvloop

from stormpetrel.bus.local import EVERYTHING, NOTHING, BusHub
from stormpetrel.bus.valkey import MAX_QUEUED, ValkeyBridge
from stormpetrel.model.event import AllChanged, PostChanged
from tests.parts import redis_program, require
from tests.ports import reserved_ports

ALL = AllChanged()


def changed(post_id):
    return PostChanged(post_id, 1)


@contextlib.asynccontextmanager
async def machine(url, channel, *, wants=EVERYTHING):
    """Yield a machine with one process: its bus, and the list of events that it received."""
    hub = BusHub({"web-0": wants}, valkey_url=url, channel=channel)
    bus, heard = hub.bus("web-0"), []
    bus.on_events = heard.extend
    bus.attach(asyncio.get_running_loop())
    try:
        yield bus, heard
    finally:
        await bus.close()
        hub.close_all_but(None)


async def until(is_so):
    async with asyncio.timeout(20):
        while not is_so():
            await asyncio.sleep(0.005)


def in_loop(main):
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main())


@pytest.fixture
def channel():
    return f"test:{secrets.token_hex(8)}"


def test_events_reach_other_machines_in_order(valkey_url, channel):
    async def main():
        async with machine(valkey_url, channel) as (one, _), machine(valkey_url, channel) as (_, heard):
            # The start of the subscription publishes AllChanged.
            await until(lambda: ALL in heard)
            heard.clear()
            for number in range(300):
                one.publish([changed(number)])
            await until(lambda: len(heard) >= 300)
            assert heard == [changed(number) for number in range(300)]

    in_loop(main)


def test_processes_of_one_machine_do_not_hear_each_other_twice(valkey_url, channel):
    async def main():
        hub = BusHub({"web-0": EVERYTHING, "web-1": EVERYTHING}, valkey_url=valkey_url, channel=channel)
        one, two, heard = hub.bus("web-0"), hub.bus("web-1"), []
        two.on_events = heard.extend
        for bus in (one, two):
            bus.attach(asyncio.get_running_loop())
        async with machine(valkey_url, channel) as (other, _):
            await until(lambda: ALL in heard)
            one.publish([changed(1)])
            other.publish([changed(2)])
            await until(lambda: changed(2) in heard)
        assert heard.count(changed(1)) == 1
        for bus in (one, two):
            await bus.close()
        hub.close_all_but(None)

    in_loop(main)


def test_one_that_wants_nothing_tells_and_does_not_subscribe(valkey_url, channel):
    async def main():
        async with (
            machine(valkey_url, channel) as (_, heard),
            machine(valkey_url, channel, wants=NOTHING) as (watch, _),
        ):
            await until(lambda: ALL in heard)
            watch.publish([changed(1)])
            await until(lambda: changed(1) in heard)
            with redis.Redis.from_url(valkey_url) as client:
                assert client.pubsub_numsub(channel) == [(channel.encode(), 1)]

    in_loop(main)


def test_a_subscription_that_was_cut_is_told_and_taken_up_again(valkey_url, channel):
    async def main():
        async with machine(valkey_url, channel) as (one, _), machine(valkey_url, channel) as (_, heard):
            await until(lambda: ALL in heard)
            heard.clear()
            with redis.Redis.from_url(valkey_url) as client:
                client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
            # Once for the disconnection, once for the reconnection.
            await until(lambda: heard.count(ALL) >= 2)
            one.publish([changed(5)])
            await until(lambda: changed(5) in heard)

    in_loop(main)


def test_a_dead_valkey_fails_and_delays_no_write_and_is_found_again_when_it_is_back(tmp_path, channel):
    require("redis")

    async def main():
        with reserved_ports(1) as (port,):
            url = f"redis://127.0.0.1:{port}/0"
            async with machine(url, channel) as (one, _), machine(url, channel) as (two, heard):
                one.publish([changed(1)])
                # While the server is unreachable, caches in memory are not trusted for long.
                await until(lambda: heard.count(ALL) >= 3)
                server = subprocess.Popen(
                    [redis_program(), "--port", str(port), "--bind", "127.0.0.1", "--save", ""],
                    cwd=tmp_path,
                    stdout=subprocess.DEVNULL,
                )
                try:
                    await until(lambda: one._bridge.subscribed and two._bridge.subscribed)
                    heard.clear()
                    one.publish([changed(2)])
                    await until(lambda: changed(2) in heard)
                finally:
                    server.kill()
                    server.wait()
                heard.clear()
                await until(lambda: ALL in heard)
                one.publish([changed(3)])

    in_loop(main)


@pytest.fixture
def bridge():
    async def make():
        return ValkeyBridge(url="redis://", channel="c", machine="here", hands_on=None)

    return in_loop(make)


def message(machine, number):
    """Return the message that a process on `machine` sends."""

    async def make():
        bridge = ValkeyBridge(url="redis://", channel="c", machine=machine, hands_on=None)
        bridge._sender = b"s"
        bridge._number = number - 1
        bridge.publish([changed(1)])
        return bridge._queue[-1]

    return in_loop(make)


def test_a_number_that_is_missing_is_told_and_one_that_comes_twice_is_dropped(bridge):
    assert bridge._read(message("there", 7)) == [changed(1)]
    assert bridge._read(message("there", 8)) == [changed(1)]
    assert bridge._read(message("there", 8)) == []
    assert bridge._read(message("there", 10)) == [ALL, changed(1)]
    assert bridge._read(message("here", 99)) == []


@pytest.mark.parametrize("data", [b"", b"\xc1", b"\x93\x01\x02\x03", b"hello"])
def test_what_cannot_be_read_counts_as_a_loss(bridge, data):
    assert bridge._read(data) == [ALL]


def test_what_waits_for_valkey_is_bounded_and_the_oldest_goes_first(bridge):
    for number in range(MAX_QUEUED + 5):
        bridge.publish([changed(number)])
    assert len(bridge._queue) == MAX_QUEUED
