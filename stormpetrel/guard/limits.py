"""The guard's own limits. They hold whatever the watch sends: a compromised server must not block people.

Only single addresses and prefixes of MASKS, for a limited time, at most MAX_ENTRIES; never an address of this
machine, its gateway or resolver, a private one, or one that the operator named.
"""

from __future__ import annotations

import ipaddress
from bisect import bisect_right
from collections.abc import Iterable
from typing import Any

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

MAX_ENTRIES = 20_000
SHORTEST_S = 30
LONGEST_S = 600
MASKS = {4: (32, 24), 6: (64, 48)}
"""Lengths of prefixes by version: one address, or a /24; the network of one IPv6 customer, or a /48."""
MAX_TEXT = 50
"""Characters of the longest network with its mask, and some."""


NOT_PUBLIC = tuple(
    ipaddress.ip_network(text)
    for text in (
        # IANA's special-purpose registries (RFC 6890), and multicast.
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
        *("192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15"),
        *("198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/3"),
        # All of IPv6 but 2000::/3, and in it protocols, documentation and 6to4, which stands for IPv4 networks.
        *("::/3", "4000::/2", "8000::/1", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"),
    )
)


class ListLimits:
    """Checks entries. `never`: networks that no entry may touch, besides NOT_PUBLIC."""

    def __init__(self, never: Iterable[Network]) -> None:
        self._never: dict[int, tuple[list[int], list[int]]] = {}
        networks = (*NOT_PUBLIC, *never)
        for version in MASKS:
            # Collapsed, the networks are in order and do not overlap, so that half of them can be left out at each
            # step. A check takes 10 µs; the properties of `ipaddress` take ten times as long, and 20,000 entries may
            # come at once.
            apart = list(ipaddress.collapse_addresses(_of_version(networks, version)))
            self._never[version] = ([_first(one) for one in apart], [_last(one) for one in apart])

    def checked(self, text: str, lasts_s: int) -> Network | None:
        """Return the network of an entry; None if it exceeds a limit."""
        if len(text) > MAX_TEXT or not SHORTEST_S <= lasts_s <= LONGEST_S:
            return None
        if "%" in text:
            # `ipaddress` takes any text for the zone of an IPv6 address, also commands, and gives it back in the text
            # for nft.
            return None
        try:
            network = ipaddress.ip_network(text)
        except ValueError:
            return None
        if network.prefixlen not in MASKS[network.version]:
            return None
        firsts, lasts = self._never[network.version]
        place = bisect_right(firsts, _last(network)) - 1
        return None if place >= 0 and lasts[place] >= _first(network) else network


def _of_version(networks: Iterable[Network], version: int) -> list[Any]:
    # `collapse_addresses` is typed for one version.
    return [network for network in networks if network.version == version]


def _first(network: Network) -> int:
    return int(network.network_address)


def _last(network: Network) -> int:
    return _first(network) + (1 << network.max_prefixlen - network.prefixlen) - 1
