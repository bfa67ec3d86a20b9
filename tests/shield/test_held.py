"""Clients that wait as they were asked to, counted once each over all workers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stormpetrel.shield.held import MAX_HELD, MAX_SAMPLE, HeldClients, clients_held
from stormpetrel.shield.identify import Identity


def a_worker(*accounts: int, channel: str = "apps") -> HeldClients:
    held = HeldClients()
    for number in accounts:
        held.asked_to_wait(Identity("account", number), channel, until_s=60.0)
    return held


def number_held(*workers: HeldClients, channel: str = "apps") -> int:
    return clients_held([worker.samples(at_s=1.0)[channel] for worker in workers])


def test_a_client_that_two_workers_refused_is_counted_once() -> None:
    assert number_held(a_worker(1, 2, 3), a_worker(2, 3, 4)) == 4
    assert clients_held([]) == 0


def test_a_worker_counts_a_client_once_in_each_channel_until_it_is_served_or_may_come_back() -> None:
    held = a_worker(1, 1, 2)
    held.asked_to_wait(Identity("account", 1), "streaming", until_s=30.0)
    assert (number_held(held), number_held(held, channel="streaming")) == (2, 1)
    held.served(Identity("account", 2), "apps")
    held.served(Identity("account", 3), "apps")
    assert number_held(held) == 1
    assert set(held.samples(at_s=30.0)) == {"apps"}
    assert held.samples(at_s=60.0) == {}
    assert not held.count


@pytest.mark.parametrize("others", [0, 3_000, MAX_HELD])
def test_of_many_clients_a_sample_tells_about_how_many_there_are_on_all_workers(others: int) -> None:
    one = a_worker(*range(MAX_HELD + 5))
    other = a_worker(*range(10_000, 10_000 + others))
    samples = [worker.samples(at_s=1.0).get("apps") for worker in (one, other)]
    assert all(len(sample.clients) <= 1.2 * MAX_SAMPLE for sample in samples if sample)
    right = max(MAX_HELD, 10_000 + others)
    assert clients_held([sample for sample in samples if sample]) == pytest.approx(right, rel=0.15)


@given(st.lists(st.frozensets(st.integers(1, 400), min_size=1), min_size=1, max_size=4))
def test_few_clients_are_counted_exactly(workers: list[frozenset[int]]) -> None:
    held = [a_worker(*accounts) for accounts in workers]
    assert number_held(*held) == len(frozenset().union(*workers))
