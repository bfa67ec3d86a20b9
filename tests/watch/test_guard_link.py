"""The watch's side of the guard: with a client at its socket, and with a real guard and real packets."""

from __future__ import annotations

import asyncio
import contextlib
import stat

from stormpetrel.control import wire
from stormpetrel.control.guard_messages import FILE_NAME, GuardReport, decode_list
from stormpetrel.shield.reports import StrangerSource
from stormpetrel.watch.guard_link import GuardLink
from stormpetrel.watch.guard_plan import STRIKES, GuardPlan
from tests.guard.listing import a_guard, a_listener, connects
from tests.guard.networks import LISTED, OTHER, SERVER, two_machines
from tests.watch.reporting import a_report

FLOOD = a_report(sources=(StrangerSource(LISTED, 50, 20),), classes={"K3": {"served": 1}})


@contextlib.asynccontextmanager
async def a_link(folder):
    """Run the watch's side at a socket in `folder`."""
    link = GuardLink(GuardPlan(is_known=lambda _: False))
    stop = asyncio.Event()
    serving = asyncio.ensure_future(link.serve(folder, stop))
    while not (folder / FILE_NAME).exists():
        await asyncio.sleep(0.005)
    try:
        yield link
    finally:
        stop.set()
        await serving


def second(link, at_s, *, is_paused=False, reports=(FLOOD,)):
    """Let a second pass at the watch; return the texts of its notes."""
    for report in reports:
        link.take(report)
    notes = link.second(is_paused=is_paused, allowed=(), failures={}, at_s=float(at_s))
    return [note.text for note in notes]


class GuardClient:
    """A guard's side, message by message."""

    async def connect(self, folder):
        with wire.short_path(folder, FILE_NAME) as path:
            self.reader, self.writer = await asyncio.open_unix_connection(path)

    async def read(self):
        return decode_list(await wire.receive(self.reader))

    def answer(self, *state):
        self.writer.write(wire.framed(GuardReport(*state)))


async def until(condition):
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.005)


def test_a_dry_run_is_shown_as_one_that_blocks_nothing(tmp_path):
    async def body():
        async with a_link(tmp_path) as link:
            guard = GuardClient()
            await guard.connect(tmp_path)
            await until(lambda: link.is_connected)
            for at_s in range(STRIKES + 1):
                second(link, at_s)
            assert link.until_epoch_s(LISTED, at_s=5.0, now_epoch_s=1e9)
            guard.answer(1, 0, 0, "", True)
            await until(lambda: link.state(at_s=5.0, now_epoch_s=1e9).off_because)
            state = link.state(at_s=5.0, now_epoch_s=1e9)
            assert (state.is_running, state.listed) == (True, 0)
            assert state.off_because == "the guard runs with --dry-run"
            assert not link.until_epoch_s(LISTED, at_s=5.0, now_epoch_s=1e9)
            guard.writer.close()
            await until(lambda: not link.is_connected)
            assert not link.state(at_s=6.0, now_epoch_s=1e9).off_because

    asyncio.run(body())


def test_a_guard_gets_the_list_and_then_the_changes_and_its_state_is_shown(tmp_path):
    async def body():
        async with a_link(tmp_path) as link:
            assert stat.S_IMODE((tmp_path / FILE_NAME).stat().st_mode) == 0o660
            assert not link.state(at_s=0.0, now_epoch_s=1e9).is_running
            guard = GuardClient()
            await guard.connect(tmp_path)
            await until(lambda: link.is_connected)
            assert second(link, 0) == ["the guard is connected"]
            assert (await guard.read()).is_all
            for at_s in range(1, STRIKES):
                said = second(link, at_s)
            assert [(await guard.read()).listed for _ in range(STRIKES - 1)][-1] == ((LISTED, 30),)
            assert said == ["listed 1 more sources, withdrew 0; 1 are listed"] or said == []
            guard.answer(1, 1_000, 0)
            await until(lambda: link.state(at_s=4.0, now_epoch_s=1e9).listed)
            state = link.state(at_s=4.0, now_epoch_s=1e9)
            assert (state.is_running, state.packets) == (True, 1_000)
            assert state.packets_per_s > 0
            assert link.until_epoch_s(LISTED, at_s=5.0, now_epoch_s=1e9) == 1e9 + 29
            assert link.until_epoch_s(OTHER, at_s=5.0, now_epoch_s=1e9) == 0
            assert second(link, 9, is_paused=True)[:1] == ["lists no sources: the shield is paused"]
            assert (await guard.read()).is_all
            guard.answer(0, 1_000, 0, "nft is gone")
            await until(lambda: link.state(at_s=4.0, now_epoch_s=1e9).problem)
            assert "the guard failed: nft is gone" in second(link, 10, is_paused=True)
            guard.writer.close()
            await until(lambda: not link.is_connected)
            assert "the guard is gone" in second(link, 11, is_paused=True)

    asyncio.run(body())


def test_a_second_guard_is_turned_away_and_the_next_one_gets_the_whole_list(tmp_path, caplog):
    async def body():
        async with a_link(tmp_path) as link:
            first, other, third = GuardClient(), GuardClient(), GuardClient()
            await first.connect(tmp_path)
            await until(lambda: link.is_connected)
            for at_s in range(STRIKES):
                second(link, at_s)
            for _ in range(3):
                await other.connect(tmp_path)
                assert await asyncio.wait_for(other.reader.read(), 20) == b""
                other.writer.close()
            # It tries each second; the log says so at most once a minute.
            assert [one.getMessage() for one in caplog.records if "turned away" in one.getMessage()] == [
                "another guard was turned away, because one is connected (attempts so far: 1)"
            ]
            assert (await first.read()).is_all
            first.writer.close()
            await until(lambda: not link.is_connected)
            await third.connect(tmp_path)
            await until(lambda: link.is_connected)
            second(link, 4)
            whole = await third.read()
            assert (whole.is_all, whole.listed) == (True, ((LISTED, 30),))
            third.writer.close()

    asyncio.run(body())


def test_a_guard_that_sends_nonsense_is_disconnected(tmp_path):
    async def body():
        async with a_link(tmp_path) as link:
            guard = GuardClient()
            await guard.connect(tmp_path)
            guard.writer.write(b"\x00\x00\x00\x02{}")
            assert await asyncio.wait_for(guard.reader.read(), 20) == b""
            await until(lambda: not link.is_connected)
            guard.writer.close()

    asyncio.run(body())


def test_a_flood_that_the_workers_report_is_dropped_by_the_kernel_until_the_shield_is_paused(tmp_path):
    async def body():
        with two_machines() as (server, client), a_listener(server):

            async def is_open(source):
                return await asyncio.to_thread(connects, client, source, SERVER)

            async with a_link(tmp_path) as link:
                with a_guard(server, tmp_path):
                    await until(lambda: link.is_connected)
                    assert await is_open(LISTED)
                    for at_s in range(STRIKES):
                        second(link, at_s)
                    await until(lambda: link.state(at_s=5.0, now_epoch_s=1e9).listed == 1)
                    assert not await is_open(LISTED)
                    assert await is_open(OTHER)
                    second(link, 6, reports=())
                    await until(lambda: link.state(at_s=6.0, now_epoch_s=1e9).packets)
                    second(link, 7, is_paused=True)
                    await until(lambda: link.state(at_s=7.0, now_epoch_s=1e9).listed == 0)
                    assert await is_open(LISTED)

    asyncio.run(body())
