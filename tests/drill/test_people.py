"""The schedule of visitors, and the content of a plan."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from random import Random

import pytest

from stormpetrel.drill import scenario
from stormpetrel.drill.people import RATES_PER_S, arrivals
from stormpetrel.drill.people_plan import PeoplePlan
from stormpetrel.drill.search import _TAGS

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


def test_a_plan_is_the_same_after_writing(tmp_path: Path) -> None:
    plan = PeoplePlan("127.0.0.1", 80, "community.json", scenario.storm(seed=1), 7, 1234.5, 0.5)
    plan.save(tmp_path / "plan.json")
    assert PeoplePlan.load(tmp_path / "plan.json") == plan


def test_tags_are_taken_off_what_is_looked_for() -> None:
    assert _TAGS.sub("", "<p>drill-1-2-3 and this</p>") == "drill-1-2-3 and this"
