"""Values of open streams: read once, read again after a change, and never older than the last change."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from stormpetrel.streaming.current import READ_AT_ONCE, CurrentValues


class Source:
    """A store of numbers that counts its reads, and can hold back the answer of the next one."""

    def __init__(self) -> None:
        self.values: dict[int, int] = {}
        self.reads = 0
        self.gate: asyncio.Event | None = None
        self.shown: dict[int, int] = {}
        self.current: CurrentValues[int] = CurrentValues(self.read, self.replaced)

    async def read(self, key: int) -> int | None:
        self.reads += 1
        found = self.values.get(key)
        gate, self.gate = self.gate, None
        if gate is not None:
            await gate.wait()
        return found

    def replaced(self, key: int, before: int | None, after: int | None) -> None:
        assert self.shown.pop(key, None) == before
        if after is not None:
            self.shown[key] = after

    async def held(self, action: Awaitable[None]) -> tuple[asyncio.Event, asyncio.Task[None]]:
        """Begin `action`; return when its read has been answered, and the answer has not arrived."""
        gate = self.gate = asyncio.Event()
        task = asyncio.ensure_future(action)
        while self.gate is not None:
            await asyncio.sleep(0)
        return gate, task


def run(body: Callable[[Source], Awaitable[None]]) -> None:
    async def main() -> None:
        await body(Source())

    asyncio.run(main())


def test_a_value_is_read_for_the_first_stream_and_dropped_after_the_last() -> None:
    async def body(source: Source) -> None:
        source.values[1] = 10
        for _ in range(2):
            await source.current.enter(1)
        assert (source.reads, source.current.get(1), source.shown) == (1, 10, {1: 10})
        source.current.leave(1)
        assert source.current.get(1) == 10
        source.current.leave(1)
        assert (len(source.current), source.current.get(1), source.shown) == (0, None, {})

    run(body)


@pytest.mark.parametrize("change", ["this one", "all"])
def test_a_value_that_changes_while_it_is_read_is_read_again(change: str) -> None:
    async def body(source: Source) -> None:
        source.values[1] = 10
        gate, entering = await source.held(source.current.enter(1))
        source.values[1] = 11
        if change == "all":
            source.current.all_changed()
        else:
            source.current.changed([1])
        gate.set()
        await entering
        assert (source.reads, source.current.get(1)) == (2, 11)
        assert not source.current.is_stale

    run(body)


def test_a_change_of_another_value_costs_no_second_read() -> None:
    async def body(source: Source) -> None:
        source.values.update({1: 10, 2: 20})
        await source.current.enter(2)
        gate, entering = await source.held(source.current.enter(1))
        source.current.changed([2, 3])
        gate.set()
        await entering
        assert source.reads == 2
        assert source.current.is_stale
        await source.current.refresh()
        assert (source.reads, source.current.is_stale) == (3, False)

    run(body)


def test_a_refresh_reads_every_value_that_changed_however_many() -> None:
    async def body(source: Source) -> None:
        keys = range(3 * READ_AT_ONCE)
        for key in keys:
            source.values[key] = key
            await source.current.enter(key)
        source.values = {key: key + 1000 for key in keys}
        source.current.all_changed()
        await source.current.refresh()
        assert dict(source.current.items()) == source.values == source.shown
        assert source.reads == 2 * len(keys)

    run(body)


def test_a_value_whose_last_stream_ends_during_its_read_is_not_stored() -> None:
    async def body(source: Source) -> None:
        source.values[1] = 10
        gate, entering = await source.held(source.current.enter(1))
        source.current.leave(1)
        gate.set()
        await entering
        assert (len(source.current), source.shown) == (0, {})

    run(body)


def test_a_stream_that_begins_during_the_read_of_one_that_ended_gets_the_newest_value() -> None:
    async def body(source: Source) -> None:
        source.values[1] = 10
        gate, entering = await source.held(source.current.enter(1))
        source.current.leave(1)
        source.values[1] = 11
        await source.current.enter(1)
        gate.set()
        await entering
        assert source.current.get(1) == 11

    run(body)
