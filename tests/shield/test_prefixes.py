"""Known networks: a bounded table, and for how long a network stays in it."""

from __future__ import annotations

from stormpetrel.shield.prefixes import Prefixes
from tests.shield.visitors import DAY_S


def test_the_newest_networks_are_known_for_two_weeks_and_never_more_than_the_table_holds() -> None:
    small = Prefixes(capacity=10)
    for n in range(100):
        small.saw(f"203.0.{n}.0/24", epoch_s=1e9, learn=True)
    assert len(small) == 10
    assert small.is_known("203.0.99.0/24", epoch_s=1e9)
    assert not small.is_known("203.0.99.0/24", epoch_s=1e9 + 16 * DAY_S)
