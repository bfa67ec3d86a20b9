import ipaddress

from hypothesis import given
from hypothesis import strategies as st

from stormpetrel.guard.limits import LONGEST_S, MASKS, SHORTEST_S, ListLimits

NOTHING = ListLimits(())


def test_addresses_and_small_prefixes_are_taken_for_half_a_minute_to_ten():
    for text in (
        "45.90.1.10",
        "45.90.1.0/24",
        "2a0e:b107:0:1::/64",
        "2a0e:b107::/48",
    ):
        assert NOTHING.checked(text, 30) == ipaddress.ip_network(text)
        assert NOTHING.checked(text, 600) is not None
        assert NOTHING.checked(text, 29) is None
        assert NOTHING.checked(text, 601) is None


def test_wider_prefixes_other_masks_and_broken_text_are_refused():
    for text in (
        "45.90.0.0/19", "45.90.0.0/20", "45.0.0.0/8", "0.0.0.0/0", "::/0",
        "2a0e:b107::/47", "2a0e:b107::/56", "2a0e:b107::/32",
        "2a0e:b107:0:1::10", "45.90.1.10/24", "45.90.1.10; flush ruleset", "45.90.1.10 }\nflush ruleset",
        "", "x" * 1000, "45.90.1.10%eth0", "1517814026",
        "2a0e:b107::%}\nflush ruleset\n#/64", "2a0e:b107::%eth0/64", "2a0e:b107::%0/48",
    ):  # fmt: skip
        assert NOTHING.checked(text, 60) is None, text


def test_addresses_that_belong_to_a_machine_or_a_private_network_are_refused():
    for text in (
        "127.0.0.1", "10.1.2.3", "192.168.1.0/24", "172.16.0.1", "169.254.1.1", "100.64.0.1", "0.0.0.0",
        "224.0.0.1", "239.1.2.3", "255.255.255.255", "240.0.0.1", "fe80::/64", "fc00::/64", "ff02::/64",
        "::/64", "::ffff:45.90.1.10",
    ):  # fmt: skip
        assert NOTHING.checked(text, 60) is None, text


def test_what_the_operator_and_the_machine_need_is_never_listed_also_as_a_part_of_a_prefix():
    limits = ListLimits([ipaddress.ip_network("45.90.1.10"), ipaddress.ip_network("2a0e:b107:5::/48")])
    assert limits.checked("45.90.1.10", 60) is None
    assert limits.checked("45.90.1.0/24", 60) is None
    assert limits.checked("45.90.1.11", 60) is not None
    assert limits.checked("2a0e:b107:5:1::/64", 60) is None
    assert limits.checked("2a0e:b107:6:1::/64", 60) is not None


@given(st.ip_addresses(network=None), st.integers(0, 128), st.integers(-5, 2_000))
def test_whatever_is_asked_for_only_small_public_networks_are_taken_for_a_limited_time(
    address, bits, lasts_s
):
    bits = min(bits, address.max_prefixlen)
    network = ipaddress.ip_network((address, bits), strict=False)
    taken = NOTHING.checked(str(network), lasts_s)
    if taken is not None:
        assert taken == network
        assert taken.prefixlen in MASKS[taken.version]
        assert SHORTEST_S <= lasts_s <= LONGEST_S
        assert taken.is_global
