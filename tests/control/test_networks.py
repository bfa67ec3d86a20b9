import ipaddress

from hypothesis import given
from hypothesis import strategies as st

from stormpetrel.control.networks import NOT_PUBLIC, NetworkSet

ADDRESSES = st.ip_addresses()


def network_of(address, bits):
    return ipaddress.ip_network((address, min(bits, address.max_prefixlen)), strict=False)


NETWORKS = st.builds(network_of, ADDRESSES, st.integers(0, 128))


@given(st.lists(NETWORKS, max_size=6), NETWORKS)
def test_a_set_overlaps_what_one_of_its_networks_overlaps(networks, asked):
    expected = any(asked.version == one.version and asked.overlaps(one) for one in networks)
    assert NetworkSet(networks).overlaps(asked) == expected


@given(ADDRESSES)
def test_each_address_that_is_not_in_the_table_is_public(address):
    if not NetworkSet(NOT_PUBLIC).overlaps(ipaddress.ip_network(address)):
        assert address.is_global
        assert not address.is_multicast


def test_the_table_has_the_networks_of_machines_and_not_those_of_people():
    found = NetworkSet(NOT_PUBLIC)
    for text in (
        "10.1.2.3",
        "127.0.0.1",
        "169.254.1.1",
        "100.64.0.1",
        "224.0.0.1",
        "::1",
        "fe80::1",
        "fc00::1",
    ):
        assert found.overlaps(ipaddress.ip_network(text)), text
    for text in ("45.90.1.10", "1.1.1.1", "192.0.1.1", "2a0e:b107::1", "2001:200::1"):
        assert not found.overlaps(ipaddress.ip_network(text)), text
