"""Quotas as data: the networks that share one, and the rows that store them."""

from __future__ import annotations

import pytest

from stormpetrel.model import quota as quotas
from stormpetrel.model.quota import network_of, slot


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.0/24"),
        ("::ffff:192.0.2.7", "192.0.2.0/24"),
        ("2001:db8:1:2ff::1", "2001:db8:1:200::/56"),
        ("fe80::1%eth0", "fe80::/56"),
        ("nonsense", "nonsense"),
    ],
)
def test_networks_are_what_one_customer_has(address, network):
    assert network_of(address) == network


def test_rows_are_bounded_and_nobody_can_choose_one():
    slots = {slot(b"x" * 32, f"login {number}") for number in range(1000)}
    assert len(slots) > 990
    assert all(1 <= one <= quotas.SLOTS for one in slots)
    assert slot(b"x" * 32, "a") != slot(b"y" * 32, "a")
