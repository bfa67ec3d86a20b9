"""The numbers of visitors in the database."""

from __future__ import annotations

from stormpetrel.storage.audience import load_numbers, store_numbers


def test_a_machine_replaces_its_own_numbers_and_leaves_those_of_others(database_url):
    store_numbers(database_url, machine="a", numbers={"2026-11": {"visitors/all": 5, "visitors/web": 4}})
    store_numbers(database_url, machine="b", numbers={"2026-11": {"visitors/all": 9}})
    store_numbers(
        database_url,
        machine="a",
        numbers={"2026-11": {"visitors/all": 3}, "2026-W48": {"visitors/all": 20_100_000_000}},
    )
    assert load_numbers(database_url, periods=["2026-11", "2026-W48", "2026-10"]) == {
        "2026-11": {"a": {"visitors/all": 3, "visitors/web": 4}, "b": {"visitors/all": 9}},
        "2026-W48": {"a": {"visitors/all": 20_100_000_000}},
    }
