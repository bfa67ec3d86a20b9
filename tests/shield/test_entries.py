"""The valid forms of allow and deny entries."""

from __future__ import annotations

import ipaddress

import pytest

from stormpetrel.shield.entries import (
    LONGEST_S,
    InvalidEntry,
    canonical_value,
    checked,
    covers,
    require_harmless,
)
from stormpetrel.shield.reports import OperatorEntry

NOW_S = 1_000.0


@pytest.mark.parametrize(
    ("kind", "typed", "kept"),
    [
        ("address", "192.0.2.7", "192.0.2.7"),
        ("address", " 192.0.2.7/24 ", "192.0.2.0/24"),
        ("address", "192.0.2.7/32", "192.0.2.7"),
        ("address", "2001:DB8:1::5/48", "2001:db8:1::/48"),
        ("address", "fe80::1%eth0", "fe80::1"),
        ("address", "fe80::1%eth0/64", "fe80::/64"),
        ("address", "::ffff:192.0.2.7", "192.0.2.7"),
        ("address", "::ffff:c000:0207/120", "192.0.2.0/24"),
        ("account", "117340000000000000", "117340000000000000"),
        ("account", "0042", "42"),
        ("token", "ABCDEF0123456789", "abcdef0123456789"),
        ("application", "Tusky for Äpfel", "Tusky for Äpfel"),
    ],
)
def test_an_entry_is_kept_in_its_one_spelling(kind, typed, kept):
    entry = checked(OperatorEntry(kind, typed, NOW_S + 60, " because\n of  it "), now_epoch_s=NOW_S)
    assert entry == OperatorEntry(kind, kept, NOW_S + 60, "because of it")


@pytest.mark.parametrize(
    ("kind", "typed", "text"),
    [
        ("address", "0.0.0.0/0", "too wide"),
        ("address", "10.0.0.0/15", "too wide"),
        ("address", "2001::/31", "too wide"),
        ("address", "::ffff:0:0/96", "too wide"),
        ("address", "192.0.2.256", "neither an address"),
        ("account", "-7", "not the id"),
        ("account", "٣", "not the id"),
        ("account", "9" * 21, "not the id"),
        ("token", "abcdef012345678", "hexadecimal"),
        ("token", "a" * 65, "hexadecimal"),
        ("token", "g" * 16, "hexadecimal"),
        ("application", "", "printable"),
        ("application", "a\x1b[31m", "printable"),
        ("planet", "Earth", "unknown kind"),
    ],
)
def test_what_nobody_can_mean_is_refused(kind, typed, text):
    with pytest.raises(InvalidEntry, match=text):
        checked(OperatorEntry(kind, typed, NOW_S + 60, "x"), now_epoch_s=NOW_S)


@pytest.mark.parametrize("until_s", [NOW_S, NOW_S - 1, NOW_S + LONGEST_S + 1, float("inf"), float("nan")])
def test_an_entry_ends_in_the_future_and_within_a_year(until_s):
    with pytest.raises(InvalidEntry, match="within a year"):
        checked(OperatorEntry("account", "7", until_s, "x"), now_epoch_s=NOW_S)


def test_a_reason_is_short_and_printable():
    with pytest.raises(InvalidEntry, match="reason"):
        checked(OperatorEntry("account", "7", NOW_S + 60, "x" * 201), now_epoch_s=NOW_S)


def test_an_entry_is_about_whom_it_names():
    def entry(kind, of):
        return OperatorEntry(kind, canonical_value(kind, of), NOW_S, "")

    assert covers(entry("address", "192.0.2.0/24"), "192.0.2.7")
    assert covers(entry("address", "2001:db8::/32"), "2001:db8:1::/48")
    assert not covers(entry("address", "192.0.2.0/24"), "192.0.3.7")
    assert not covers(entry("address", "192.0.2.0/24"), "2001:db8::1")
    assert not covers(entry("address", "192.0.2.7"), "192.0.2.0/24")
    assert not covers(entry("address", "192.0.2.7"), "no address")
    assert covers(entry("token", "abcdef0123456789"), "abcdef0123456789ffff")
    assert covers(entry("token", "abcdef0123456789ffff"), "abcdef0123456789")
    assert not covers(entry("token", "abcdef0123456789"), "bbcdef0123456789")
    assert covers(entry("application", "Tusky"), "Tusky")
    assert not covers(entry("application", "Tusky"), "Tusky2")


PROXIES = (
    ipaddress.ip_network("10.3.0.0/16"),
    ipaddress.ip_network("127.0.0.2"),
    ipaddress.ip_network("2001:db8::2"),
    ipaddress.ip_network("172.16.0.0/12"),
    ipaddress.ip_network("fd00::/8"),
)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("127.0.0.1", "127.0.0.1 is this machine itself"),
        ("127.0.0.0/24", "127.0.0.0/24 holds 127.0.0.1, this machine itself"),
        ("::1", "::1 is this machine itself"),
        ("127.0.0.2", "127.0.0.2 is a proxy of edge.trusted_proxies"),
        ("10.3.7.7", "10.3.7.7 belongs to 10.3.0.0/16, a proxy"),
        ("2001:db8::/64", "2001:db8::/64 holds 2001:db8::2, a proxy"),
        ("172.18.0.1", "172.18.0.1 belongs to 172.16.0.0/12, a proxy"),
        ("fd12::/64", "fd12::/64 belongs to fd00::/8, a proxy"),
        ("198.51.100.0/24", "198.51.100.0/24 holds 198.51.100.7, where you are connected from"),
    ],
)
def test_a_deny_of_the_operators_own_machines_is_refused(value, text):
    entry = OperatorEntry("address", value, NOW_S + 60, "x")
    with pytest.raises(InvalidEntry, match=text):
        require_harmless(entry, proxies=PROXIES, session="::ffff:198.51.100.7")


@pytest.mark.parametrize("session", ["", "198.51.100.7", "no address"])
@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("address", "127.0.0.79"),
        ("address", "198.51.100.8"),
        ("address", "2001:db8:1::/48"),
        ("account", "7"),
    ],
)
def test_a_deny_of_others_is_harmless(kind, value, session):
    entry = OperatorEntry(kind, value, NOW_S + 60, "x")
    assert require_harmless(entry, proxies=PROXIES, session=session) is None
