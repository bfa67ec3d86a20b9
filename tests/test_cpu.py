"""What a coroutine is charged: its own steps and its threads' work, and not the time that others take."""

from __future__ import annotations

import asyncio
import time

from stormpetrel.cpu import CpuMeter, current_meter


def _work(seconds: float) -> None:
    until_s = time.thread_time() + seconds
    while time.thread_time() < until_s:
        pass


def test_only_its_own_steps_are_measured() -> None:
    async def idle() -> None:
        await asyncio.sleep(0.05)
        await asyncio.sleep(0)

    async def busy() -> None:
        await asyncio.sleep(0)
        _work(0.05)

    async def run() -> tuple[float, float]:
        waits, works = CpuMeter(idle()), CpuMeter(busy())
        await asyncio.gather(*(asyncio.get_running_loop().create_task(meter) for meter in (waits, works)))
        return waits.cpu_s, works.cpu_s

    waited_s, worked_s = asyncio.run(run())
    # CPU time, not wall time: a busy machine does not change it.
    assert worked_s >= 0.05 > 10 * waited_s


def test_a_step_under_way_counts_and_threads_add_theirs() -> None:
    seen: list[float] = []

    async def inner() -> None:
        meter = current_meter.get()
        assert meter is not None
        _work(0.02)
        seen.append(meter.cpu_s)
        meter.add(1.0)

    async def run() -> float:
        meter = CpuMeter(inner())
        await asyncio.get_running_loop().create_task(meter)
        assert current_meter.get() is None
        return meter.cpu_s

    assert asyncio.run(run()) >= 1.0 + seen[0] >= 1.02


def test_errors_and_cancellation_pass_through() -> None:
    async def fails() -> None:
        await asyncio.sleep(0)
        raise ValueError("as it was")

    async def waits() -> None:
        await asyncio.sleep(60)

    async def run() -> list[type[BaseException]]:
        tasks = [
            asyncio.get_running_loop().create_task(CpuMeter(coroutine())) for coroutine in (fails, waits)
        ]
        await asyncio.sleep(0.01)
        tasks[1].cancel()
        return [type(found) for found in await asyncio.gather(*tasks, return_exceptions=True)]

    assert asyncio.run(run()) == [ValueError, asyncio.CancelledError]
