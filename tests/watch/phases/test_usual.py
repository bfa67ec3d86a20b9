"""Learning in calm, and the limits of rates that follow from it."""

from __future__ import annotations

from random import Random

from stormpetrel.watch.phases.measures import Measures
from stormpetrel.watch.phases.usual import FACTOR, FLOORS, LEARNT_S, Usual
from tests.watch.phases.traffic import learnt


def test_nothing_is_learnt_from_a_few_seconds() -> None:
    usual = Usual()
    for second in range(int(LEARNT_S)):
        assert not usual.is_learnt
        usual = usual.learn(Measures(float(second), {"requests": 5.0}))
    assert usual.is_learnt


def test_the_limit_follows_what_is_usual_here() -> None:
    small, large = (Usual(60.0, {"requests": rate}) for rate in (10.0, 1_000.0))
    assert small.limit("requests") == 10.0 + FLOORS["requests"]
    assert large.limit("requests") == FACTOR * 1_000.0
    assert Usual(60.0, {"requests": 10.0}, {"requests": 40.0}).limit("requests") == 330.0


def test_only_what_is_beyond_the_limit_is_an_excess() -> None:
    usual = Usual(60.0, {"requests": 10.0})
    assert usual.excess(Measures(1.0, {"requests": 60.0}), "requests") == 0.0
    assert usual.excess(Measures(1.0, {"requests": 200.0}), "requests") == 190.0
    assert usual.surplus(Measures(1.0, {"requests": 60.0}), "requests") == 50.0


def test_a_gap_teaches_little_and_what_lasts_is_learnt_slowly() -> None:
    _, usual = learnt(Random(1))
    silent = crowded = usual
    for second in range(60):
        silent = silent.learn(Measures(float(second), {"requests": 0.0}))
        crowded = crowded.learn(Measures(float(second), {"requests": 500.0}), memory_s=1_800.0)
    assert silent.rates["requests"] > 0.9 * usual.rates["requests"]
    assert crowded.rates["requests"] < 1.2 * usual.rates["requests"]


def test_a_few_strange_seconds_do_not_hide_the_next_ones() -> None:
    _, usual = learnt(Random(1))
    limit = usual.limit("pages")
    after = usual
    for second in range(5):
        after = after.learn(Measures(float(second), {"pages": 2_000.0}))
    assert after.limit("pages") < 2 * limit
