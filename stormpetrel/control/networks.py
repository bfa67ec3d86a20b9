"""Sets of networks, searched fast, and the networks that are not public."""

from __future__ import annotations

import ipaddress
from bisect import bisect_right
from collections.abc import Iterable
from typing import Any

from stormpetrel.config import Network

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


class NetworkSet:
    """A set of networks. A search takes 2 µs; the properties of `ipaddress`, such as `is_global`, take 50."""

    def __init__(self, networks: Iterable[Network]) -> None:
        networks = tuple(networks)
        self._ranges: dict[int, tuple[list[int], list[int]]] = {}
        for version in (4, 6):
            # Collapsed, the networks are in order and do not overlap, so that half of them can be left out at each
            # step. `collapse_addresses` is typed for one version.
            same: list[Any] = [network for network in networks if network.version == version]
            apart = list(ipaddress.collapse_addresses(same))
            self._ranges[version] = ([_first(one) for one in apart], [_last(one) for one in apart])

    def overlaps(self, network: Network) -> bool:
        """Return whether an address of `network` is in one of the set's."""
        firsts, lasts = self._ranges[network.version]
        place = bisect_right(firsts, _last(network)) - 1
        return place >= 0 and lasts[place] >= _first(network)


def _first(network: Network) -> int:
    return int(network.network_address)


def _last(network: Network) -> int:
    return _first(network) + (1 << network.max_prefixlen - network.prefixlen) - 1
