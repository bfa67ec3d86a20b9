"""Known networks: a bounded table, and for how long a network stays in it."""

from __future__ import annotations

from stormpetrel.shield.prefixes import SHELTERS_EACH, Prefixes
from tests.shield.visitors import DAY_S


def test_the_newest_networks_are_known_for_two_weeks_and_never_more_than_the_table_holds() -> None:
    small = Prefixes(capacity=10)
    for n in range(100):
        small.saw(f"203.0.{n}.0/24", epoch_s=1e9, learn=True)
    assert len(small) == 10
    assert small.is_known("203.0.99.0/24", epoch_s=1e9)
    assert not small.is_known("203.0.99.0/24", epoch_s=1e9 + 16 * DAY_S)


def test_one_identity_shelters_a_few_networks_and_no_more_until_the_attack_is_over() -> None:
    prefixes = Prefixes()
    for n in range(100):
        prefixes.shelter(f"203.0.{n}.0/24", "account 1")
    assert prefixes.take_sheltered(is_calm=False) == tuple(f"203.0.{n}.0/24" for n in range(SHELTERS_EACH))
    prefixes.shelter("203.0.200.0/24", "account 1")
    assert prefixes.take_sheltered(is_calm=False) == ()
    prefixes.shelter("203.0.0.0/24", "account 1")
    prefixes.shelter("203.0.200.0/24", "account 2")
    assert prefixes.take_sheltered(is_calm=True) == ("203.0.0.0/24", "203.0.200.0/24")
    prefixes.shelter("203.0.200.0/24", "account 1")
    assert prefixes.take_sheltered(is_calm=False) == ("203.0.200.0/24",)
    assert len(prefixes) == 0, "a sheltered network is not known"
