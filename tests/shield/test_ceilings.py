"""Ceilings: never more than the rate and the burst."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from stormpetrel.shield.ceilings import PERIOD_S, Ceiling


@given(st.lists(st.tuples(st.sampled_from(["a", "b"]), st.floats(0, 20)), max_size=80), st.integers(1, 20))
def test_a_ceiling_never_lets_more_through_than_it_says(visits: list[tuple[str, float]], limit: int) -> None:
    ceiling = Ceiling(limit)
    at_s, passed, began_s = 0.0, Counter[str](), 0.0
    for who, wait_s in visits:
        at_s += wait_s
        spent = ceiling.is_spent(who, at_s)
        taken = ceiling.take(who, at_s)
        assert taken != spent
        passed[who] += taken
        rate_limit = ceiling.rate_limit(who, at_s, epoch_s=at_s)
        assert rate_limit is not None
        assert 0 <= rate_limit.remaining <= limit
        assert rate_limit.reset_epoch_s >= at_s
        assert ceiling.wait_s(who, at_s) <= PERIOD_S
        assert passed[who] <= limit + (at_s - began_s) * limit / PERIOD_S + 1e-6


def test_no_ceiling_is_no_ceiling() -> None:
    ceiling = Ceiling(0)
    assert all(ceiling.take("a", 0.0) for _ in range(1000))
    assert not ceiling.is_spent("a", 0.0)
    assert ceiling.rate_limit("a", 0.0, epoch_s=0.0) is None
    assert len(ceiling) == 0


def test_full_buckets_are_dropped_and_used_ones_stay():
    ceiling = Ceiling(3)
    ceiling.take("long ago", 0.0)
    ceiling.take("lately", 10.0)
    ceiling.forget_full(PERIOD_S)
    assert len(ceiling) == 1
    ceiling.forget_full(PERIOD_S + 10.0)
    assert len(ceiling) == 0
