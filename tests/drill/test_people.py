"""The schedule of visitors, the end of a run, and the content of a plan."""

from __future__ import annotations

import asyncio
import time
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest

from stormpetrel.drill import audience, scenario
from stormpetrel.drill.client import Course
from stormpetrel.drill.loopback import Address, TrafficBudget
from stormpetrel.drill.people import RATES_PER_S, Crowd, arrivals
from stormpetrel.drill.people_plan import PeoplePlan
from stormpetrel.drill.record import Line
from stormpetrel.drill.search import _TAGS
from tests.drill.attacked import community_of, invented_community, member

SECONDS = 2000.0


@pytest.fixture(scope="module")
def found() -> list[tuple[float, str]]:
    return arrivals(Random(1), SECONDS, 1.0)


def test_arrivals_are_in_order_and_end_with_the_run(found: list[tuple[float, str]]) -> None:
    times = [t for t, _ in found]
    assert times == sorted(times)
    assert 0 < times[0] < 1
    assert SECONDS - 1 < times[-1] < SECONDS


@pytest.mark.parametrize("kind", RATES_PER_S)
def test_each_kind_comes_at_its_rate(found: list[tuple[float, str]], kind: str) -> None:
    wanted = RATES_PER_S[kind] * SECONDS
    # A Poisson count deviates by its square root. A deviation of five times that never happens.
    assert abs(sum(one == kind for _, one in found) - wanted) < 5 * wanted**0.5


def test_gaps_are_exponential_not_regular(found: list[tuple[float, str]]) -> None:
    times = [t for t, kind in found if kind == "own"]
    gaps = [b - a for a, b in pairwise(times)]
    mean = sum(gaps) / len(gaps)
    variance = sum((gap - mean) ** 2 for gap in gaps) / len(gaps)
    assert 0.9 < variance**0.5 / mean < 1.1


def test_the_scale_multiplies_and_a_seed_repeats() -> None:
    few, many = arrivals(Random(2), 100, 0.5), arrivals(Random(2), 100, 2.0)
    assert 3 < len(many) / len(few) < 5
    assert arrivals(Random(3), 100, 1.0) == arrivals(Random(3), 100, 1.0)


def test_a_run_ends_when_each_listener_has_got_the_last_post_or_missed_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(audience, "DEADLINE_S", 0.2)
    listener, poster = member("streaming", 1), member("posting", 2)
    community = community_of(
        members=[listener, poster], sleepers=[], newcomers=[], victim=invented_community().victim
    )
    community.listens[listener.account_id] = (poster.account_id,)
    lines: list[Line] = []

    async def run() -> None:
        course = Course(
            target=Address("127.0.0.1", 1),
            host="drill.example",
            start_s=time.monotonic(),
            budget=TrafficBudget.of(connections=10, seconds=30),
            phase_at=lambda t: "calm",
            put=lines.append,
        )
        crowd = Crowd(course, community, 1)
        crowd.expect(poster.account_id, "drill-1-2-3 and this is what happened today", time.monotonic())
        await crowd.finish()

    asyncio.run(run())
    # Its stream was never opened.
    assert [(one.channel, one.who, one.outcome) for one in lines] == [("streaming", "streaming1", "timeout")]


def test_a_plan_is_the_same_after_writing(tmp_path: Path) -> None:
    plan = PeoplePlan("127.0.0.1", 80, "community.json", scenario.storm(seed=1), 7, 1234.5, 0.5)
    plan.save(tmp_path / "plan.json")
    assert PeoplePlan.load(tmp_path / "plan.json") == plan


def test_tags_are_taken_off_what_is_looked_for() -> None:
    assert _TAGS.sub("", "<p>drill-1-2-3 and this</p>") == "drill-1-2-3 and this"
