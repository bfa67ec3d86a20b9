"""Addresses that a stranger chose: which are public, and how a URL can write an address."""

from __future__ import annotations

import pytest

from stormpetrel.model.public_address import is_public, literal_address, names_private_host


def test_public_addresses_are_public():
    for address in (
        "93.184.216.34",
        "2606:2800:220:1:248:1893:25c8:1946",
        "64:ff9b::5db8:d822",
        "2002:5db8:d822::1",
    ):
        assert is_public(address)
        assert not names_private_host(address)
    assert not is_public("2001:0:1::1")
    assert not is_public("fe80::1%eth0")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1", "0x7f.1", "2130706433", "0177.0.0.1", "0x7f000001"])
def test_every_spelling_of_an_address_is_read_as_the_resolver_reads_it(host):
    assert literal_address(host) == "127.0.0.1"
    assert names_private_host(host)


@pytest.mark.parametrize(
    "host",
    [
        *("::1", "fd00::1", "169.254.169.254", "10.0.0.1", "localhost", "a.localhost", "::ffff:127.0.0.1"),
        *("168.63.129.16", "::ffff:168.63.129.16", "64:ff9b::a83f:8110"),
    ],
)
def test_a_private_host_is_recognised(host):
    assert names_private_host(host)


@pytest.mark.parametrize(
    "host", ["hooks.example", "1.example", "127.0.0.1.example", "localhost.example", "10", ""]
)
def test_a_name_is_not_an_address(host):
    assert names_private_host(host) is (host == "10")
    assert (literal_address(host) is None) is (host != "10")
