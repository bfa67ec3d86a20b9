"""The guard's own limits. They hold whatever the watch sends: a compromised server must not block people.

Only single addresses and prefixes of MASKS, for a limited time, at most MAX_ENTRIES; never an address of this
machine, its gateway or resolver, a private one, or one that the operator named.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from stormpetrel.config import Network
from stormpetrel.control.networks import NOT_PUBLIC, NetworkSet

MAX_ENTRIES = 20_000
SHORTEST_S = 30
LONGEST_S = 600
MASKS = {4: (32, 24), 6: (64, 48)}
"""Lengths of prefixes by version: one address, or a /24; the network of one IPv6 customer, or a /48."""
MAX_TEXT = 50
"""Characters of the longest network with its mask, and some."""


class ListLimits:
    """Checks entries. `never`: networks that no entry may touch, besides those that are not public."""

    def __init__(self, never: Iterable[Network]) -> None:
        self._never = NetworkSet((*NOT_PUBLIC, *never))

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
        is_small = network.prefixlen in MASKS[network.version]
        return network if is_small and not self._never.overlaps(network) else None
