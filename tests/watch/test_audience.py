"""The watch's part of the audience: keys, storing, the end of a period, and a database that is away."""

from __future__ import annotations

import asyncio
import json

import pytest

from stormpetrel.audience.counter import WEB, VisitorCounter
from stormpetrel.audience.periods import period_named
from stormpetrel.control.audience_link import AudienceLink
from stormpetrel.storage.audience import load_numbers
from stormpetrel.storage.audience_folder import AudienceFolder
from stormpetrel.watch.audience import GRACE_S, LEAD_S, WatchAudience
from tests.watch.watching import a_watch

DAY = period_named("2026-11-29")
NEXT_DAY = "2026-11-30"


class Clock:
    """A time of day that the test sets."""

    def __init__(self, now_s):
        self.now_s = now_s

    def __call__(self):
        return self.now_s


def audience_of(directory, url, clock, *, is_enabled=True):
    return WatchAudience(data_dir=directory, database_url=url, is_enabled=is_enabled, now_s=clock)


async def loaded(directory, url, clock):
    """Return an audience that has read its files and begun its periods."""
    made = audience_of(directory, url, clock)
    await made.load()
    await made.step()
    return made


def add(audience, directory, clock, count, name=DAY.name):
    """Add people as a worker's report does."""
    counter = VisitorCounter()
    key = bytearray(32)
    assert AudienceFolder(directory).read_key(name, key)
    counter.begin(period_named(name), key)
    counter.tick(clock.now_s)
    for number in range(count):
        counter.add(b"cookie %d" % number, (WEB,))
    news = counter.take()
    audience.tally.take(news.updates, {"requests/programs": 1}, {}, at_s=clock.now_s)


def counted(audience, people):
    """Return whether the month has about these people."""
    months = [one for name, one in audience.tally.periods.items() if len(name) == 7]
    return abs(months[0].numbers()["visitors/web"] - people) < 0.1 * people


def files(directory):
    return {path.name for path in (directory / "audience").iterdir()}


def stored(url, name=DAY.name):
    return next(iter(load_numbers(url, periods=[name]).get(name, {}).values()), {})


def test_a_period_has_a_key_and_sketches_from_its_beginning_and_only_numbers_after_its_end(
    tmp_path, sqlite_url
):
    async def main():
        clock = Clock(DAY.from_s + 100)
        audience = await loaded(tmp_path, sqlite_url, clock)
        assert {"2026-11-29.key", "2026-11-29.sketches", "2026-11.key", "2026-W48.key"} <= files(tmp_path)
        add(audience, tmp_path, clock, 100)
        clock.now_s = DAY.until_s - LEAD_S
        await audience.step()
        assert f"{NEXT_DAY}.key" in files(tmp_path)
        clock.now_s = DAY.until_s + GRACE_S
        await audience.step()
        assert not [name for name in files(tmp_path) if name.startswith(DAY.name)]
        assert DAY.name not in audience.tally.periods
        assert stored(sqlite_url)["visitors/web"] == pytest.approx(100, abs=10)
        assert stored(sqlite_url)["requests/programs"] == 1

    asyncio.run(main())


def test_a_watch_that_was_killed_goes_on_with_the_counts_of_at_most_five_seconds_ago(tmp_path, sqlite_url):
    async def main():
        clock = Clock(DAY.from_s + 100)
        killed = await loaded(tmp_path, sqlite_url, clock)
        add(killed, tmp_path, clock, 1000)
        clock.now_s += 5
        await killed.step()
        before = killed.tally.periods[DAY.name].numbers()
        again = await loaded(tmp_path, sqlite_url, clock)
        assert again.tally.periods[DAY.name].numbers() == before

    asyncio.run(main())


def test_numbers_of_a_period_wait_for_a_database_that_is_away_and_its_key_does_not(tmp_path, sqlite_url):
    async def main():
        clock = Clock(DAY.from_s + 100)
        audience = await loaded(tmp_path, f"sqlite:///{tmp_path}/missing.db", clock)
        add(audience, tmp_path, clock, 10)
        clock.now_s = DAY.until_s + GRACE_S
        await audience.step()
        assert audience.problem
        assert not [name for name in files(tmp_path) if name.startswith(DAY.name)]
        waiting = json.loads((tmp_path / "audience" / "ended.json").read_bytes())
        again = await loaded(tmp_path, sqlite_url, clock)
        assert stored(sqlite_url) == waiting[DAY.name]
        assert json.loads((tmp_path / "audience" / "ended.json").read_bytes()) == {}
        assert not again.problem

    asyncio.run(main())


def test_a_period_that_ended_while_no_watch_ran_is_ended_at_the_start(tmp_path, sqlite_url):
    async def main():
        clock = Clock(DAY.from_s + 100)
        audience = await loaded(tmp_path, sqlite_url, clock)
        add(audience, tmp_path, clock, 10)
        clock.now_s += 5
        await audience.step()
        clock.now_s = DAY.until_s + 3 * 86_400
        await loaded(tmp_path, sqlite_url, clock)
        assert not [name for name in files(tmp_path) if name.startswith((DAY.name, "2026-11.", "2026-W48"))]
        assert stored(sqlite_url)["visitors/web"] == pytest.approx(10, abs=3)

    asyncio.run(main())


def test_a_clock_that_is_set_back_does_not_replace_the_numbers_of_a_period(tmp_path, sqlite_url):
    async def main():
        clock = Clock(DAY.from_s + 100)
        audience = await loaded(tmp_path, sqlite_url, clock)
        add(audience, tmp_path, clock, 1000)
        clock.now_s = DAY.until_s + GRACE_S
        await audience.step()
        before = stored(sqlite_url)
        clock.now_s = DAY.until_s - 60
        await audience.step()
        add(audience, tmp_path, clock, 10)
        clock.now_s += 30
        await audience.step(is_last=True)
        assert stored(sqlite_url) == before | {"requests/programs": 2}
        # Also if the watch is restarted meanwhile.
        again = await loaded(tmp_path, sqlite_url, clock)
        clock.now_s = DAY.until_s + GRACE_S
        await again.step()
        assert stored(sqlite_url) == before | {"requests/programs": 2}

    asyncio.run(main())


def test_counting_that_was_turned_off_for_a_while_does_not_lose_the_month(tmp_path, sqlite_url):
    async def main():
        clock = Clock(DAY.from_s + 100)
        audience = await loaded(tmp_path, sqlite_url, clock)
        add(audience, tmp_path, clock, 1000)
        clock.now_s += 15
        await audience.step(is_last=True)
        before = stored(sqlite_url)
        assert before["visitors/web"] > 900
        await audience_of(tmp_path, sqlite_url, clock, is_enabled=False).load()
        again = await loaded(tmp_path, sqlite_url, clock)
        await again.step(is_last=True)
        assert stored(sqlite_url) == before

    asyncio.run(main())


def test_sketches_that_a_crash_has_left_without_their_key_are_destroyed(tmp_path, sqlite_url):
    async def main():
        clock = Clock(DAY.from_s + 100)
        await loaded(tmp_path, sqlite_url, clock)
        (tmp_path / "audience" / f"{DAY.name}.key").unlink()
        clock.now_s = DAY.until_s + 3 * 86_400
        await loaded(tmp_path, sqlite_url, clock)
        assert not [name for name in files(tmp_path) if name.startswith(DAY.name)]

    asyncio.run(main())


def test_when_counting_is_turned_off_the_keys_and_sketches_are_destroyed(tmp_path, sqlite_url):
    async def main():
        clock = Clock(DAY.from_s + 100)
        await loaded(tmp_path, sqlite_url, clock)
        stop = asyncio.Event()
        await audience_of(tmp_path, sqlite_url, clock, is_enabled=False).run(stop)
        assert not [name for name in files(tmp_path) if name.endswith((".key", ".sketches"))]

    asyncio.run(main())


def test_an_instance_that_never_counted_gets_no_folder(tmp_path, sqlite_url):
    async def main():
        stop = asyncio.Event()
        await audience_of(tmp_path, sqlite_url, Clock(DAY.from_s), is_enabled=False).run(stop)
        assert not (tmp_path / "audience").exists()

    asyncio.run(main())


def test_the_files_of_a_month_take_at_most_400_kb(tmp_path, sqlite_url):
    async def main():
        clock = Clock(DAY.from_s)
        audience = await loaded(tmp_path, sqlite_url, clock)
        add(audience, tmp_path, clock, 1000, "2026-11")
        clock.now_s += 5
        await audience.step()
        total = sum(path.stat().st_size for path in (tmp_path / "audience").glob("2026-11.*"))
        assert total <= 400_000

    asyncio.run(main())


def test_a_process_reports_to_the_watch_over_the_control_socket_and_again_after_its_restart(
    tmp_path, sqlite_url
):
    async def main():
        counter = VisitorCounter()
        begun = []
        link = AudienceLink(counter, name="web-0", data_dir=tmp_path, on_period=lambda: begun.append(1))
        stop = asyncio.Event()
        reporting = asyncio.ensure_future(link.run(stop))
        for people in (100, 200):
            audience = WatchAudience(data_dir=tmp_path, database_url=sqlite_url, is_enabled=True)
            async with a_watch(tmp_path, audience=audience):
                ending = asyncio.Event()
                running = asyncio.ensure_future(audience.run(ending))
                async with asyncio.timeout(30):
                    while not begun or not audience.tally.periods:
                        await asyncio.sleep(0.01)
                    for number in range(people):
                        counter.add(b"cookie %d" % number, (WEB,))
                    while not counted(audience, people):
                        await asyncio.sleep(0.05)
                ending.set()
                await running
        stop.set()
        await reporting

    asyncio.run(main())


def test_a_disk_that_cannot_be_read_at_the_start_costs_no_key(tmp_path, sqlite_url):
    async def main():
        clock = Clock(DAY.from_s + 100)
        await loaded(tmp_path, sqlite_url, clock)
        before = (tmp_path / "audience" / f"{DAY.name}.key").read_bytes()
        away = (tmp_path / "audience").rename(tmp_path / "away")
        (tmp_path / "audience").write_bytes(b"in the way")
        audience = await loaded(tmp_path, sqlite_url, clock)
        assert audience.problem
        assert not audience.tally.periods
        (tmp_path / "audience").unlink()
        away.rename(tmp_path / "audience")
        await audience.step()
        assert (tmp_path / "audience" / f"{DAY.name}.key").read_bytes() == before
        assert not audience.problem

    asyncio.run(main())


@pytest.mark.parametrize(
    "damaged", ["ended.json", "machine.json", f"{DAY.name}.json", f"{DAY.name}.sketches"]
)
def test_a_damaged_file_costs_its_own_counts_and_nothing_else(tmp_path, sqlite_url, damaged):
    async def main():
        clock = Clock(DAY.from_s + 100)
        audience = await loaded(tmp_path, sqlite_url, clock)
        add(audience, tmp_path, clock, 100, "2026-11")
        clock.now_s += 5
        await audience.step()
        (tmp_path / "audience" / damaged).write_bytes(b'{"a": ["wrong"]}')
        again = await loaded(tmp_path, sqlite_url, clock)
        assert set(again.tally.periods) == {DAY.name, "2026-W48", "2026-11"}
        assert counted(again, 100)

    asyncio.run(main())


def test_an_error_in_counting_is_logged_and_does_not_end_the_watch(tmp_path, sqlite_url, caplog):
    async def main():
        audience = WatchAudience(
            data_dir=tmp_path, database_url=sqlite_url, is_enabled=True, now_s=lambda: nothing
        )
        stop = asyncio.Event()
        running = asyncio.ensure_future(audience.run(stop))
        async with asyncio.timeout(30):
            while "counting the audience failed" not in caplog.text:
                await asyncio.sleep(0.01)
        assert not running.done()
        stop.set()
        await running

    nothing = float("nan")
    asyncio.run(main())
