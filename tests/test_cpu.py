"""A coroutine is charged for its own steps and its threads' work, but not for the time that others take."""

from __future__ import annotations

import asyncio
import time

from stormpetrel.cpu import SHORT_S, CpuMeter, StepClock, current_meter


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
        clock = StepClock()
        waits, works = CpuMeter(idle(), clock), CpuMeter(busy(), clock)
        await asyncio.gather(*(asyncio.get_running_loop().create_task(meter) for meter in (waits, works)))
        return waits.cpu_s, works.cpu_s

    waited_s, worked_s = asyncio.run(run())
    # This is CPU time, not wall time, so a busy machine does not change it.
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
        meter = CpuMeter(inner(), StepClock())
        await asyncio.get_running_loop().create_task(meter)
        assert current_meter.get() is None
        return meter.cpu_s

    assert asyncio.run(run()) >= 1.0 + seen[0] >= 1.02


def test_the_clock_adds_up_what_requests_used_before_they_are_finished() -> None:
    async def inner() -> None:
        meter = current_meter.get()
        assert meter is not None
        _work(0.02)
        await asyncio.sleep(0)
        meter.add(1.0)
        await asyncio.Event().wait()

    async def run() -> tuple[float, float, bool]:
        clock = StepClock()
        task = asyncio.get_running_loop().create_task(CpuMeter(inner(), clock))
        await asyncio.sleep(0)
        first_s = clock.take()
        await asyncio.sleep(0)
        second_s, is_done = clock.take(), task.done()
        task.cancel()
        return first_s, second_s, is_done

    first_s, second_s, is_done = asyncio.run(run())
    assert first_s >= 0.02
    assert second_s >= 1.0
    assert not is_done


def test_errors_and_cancellation_pass_through() -> None:
    async def fails() -> None:
        await asyncio.sleep(0)
        raise ValueError("as it was")

    async def waits() -> None:
        await asyncio.sleep(60)

    async def run() -> list[type[BaseException]]:
        tasks: list[asyncio.Task[None]] = [
            asyncio.get_running_loop().create_task(CpuMeter(coroutine(), StepClock()))
            for coroutine in (fails, waits)
        ]
        await asyncio.sleep(0.01)
        tasks[1].cancel()
        found = await asyncio.gather(*tasks, return_exceptions=True)
        return [type(error) for error in found if error is not None]

    assert asyncio.run(run()) == [ValueError, asyncio.CancelledError]


def test_time_without_a_core_is_charged_up_to_a_short_step() -> None:
    clock = StepClock()
    began_s = clock.begin()
    time.sleep(0.05)
    assert clock.used(began_s) < 0.05 / 4
    # Work of the thread since the last reading is not charged to the next step, except for a short one.
    _work(SHORT_S * 4)
    began_s = clock.begin()
    _work(SHORT_S * 4)
    assert clock.used(began_s) >= SHORT_S * 4
