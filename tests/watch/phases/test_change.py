"""The distance of mixes, the level of rates, and the place of a change, with plain numbers."""

from __future__ import annotations

import random

import pytest

from stormpetrel.watch.phases.change import Cusum, added, jensen_shannon, noise, split


def test_mixes_that_are_alike_have_no_distance_and_those_with_nothing_in_common_one_bit() -> None:
    assert jensen_shannon({"a": 2.0, "b": 2.0}, {"a": 50.0, "b": 50.0}) == 0.0
    assert jensen_shannon({"a": 3.0}, {"b": 1.0}) == pytest.approx(1.0)
    assert 0.0 < jensen_shannon({"a": 1.0, "b": 1.0}, {"a": 1.0, "b": 3.0}) < 0.1
    assert jensen_shannon({}, {"a": 1.0}) == 0.0


def test_two_samples_of_the_same_mix_are_as_far_apart_as_chance_says() -> None:
    rng = random.Random(3)
    names, weights = "abcdefgh", (8, 8, 4, 4, 2, 2, 1, 1)

    def sample(count: int) -> dict[str, float]:
        return added([{one: 1.0} for one in rng.choices(names, weights, k=count)])

    for one, other in ((50, 50), (300, 100), (900, 900)):
        distances = [jensen_shannon(sample(one), sample(other)) for _ in range(300)]
        assert sum(distances) / 300 == pytest.approx(noise(one, other, len(names)), rel=0.2)


def test_a_level_that_doubles_adds_up_and_one_that_wavers_does_not() -> None:
    steady = doubled = Cusum()
    for turn in range(20):
        steady = steady.step(100.0 * (1.2 if turn % 2 else 0.8), 100.0, slack=0.35)
    for _ in range(4):
        doubled = doubled.step(200.0, 100.0, slack=0.35)
    assert steady.above < 0.3
    assert doubled.above > 1.2 > steady.below


@pytest.mark.parametrize("at", [1, 3, 5])
def test_a_change_is_found_where_it_happened(at: int) -> None:
    before, after = {"a": 50.0, "b": 20.0}, {"a": 50.0, "b": 20.0, "c": 300.0}
    assert split([before] * at + [after] * (6 - at)) == at
    assert split([before]) == 0
