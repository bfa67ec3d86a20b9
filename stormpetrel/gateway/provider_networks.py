"""The networks that providers' webhooks come from: the guard (docs/guard.md) must not block them."""

from __future__ import annotations

from collections.abc import Sequence

from stormpetrel.bounded import BoundedTable, Eviction
from stormpetrel.config import Network
from stormpetrel.edge.senders import Proxies
from stormpetrel.shield.prefixes import prefix_of

MAX_NETWORKS = 64
"""A provider sends from a few networks. The one seen longest ago is dropped."""


class ProviderNetworks:
    """The /24 and IPv6 /48 networks of verified requests since the start. `proxies`: the trusted ones."""

    def __init__(self, proxies: Sequence[Network]) -> None:
        self._proxies = Proxies(proxies, speak_first=False)
        # A set: each network is stored as its own value.
        self._seen: BoundedTable[str, str] = BoundedTable(MAX_NETWORKS, evicts=Eviction.LRU)

    @property
    def networks(self) -> tuple[str, ...]:
        """Return the networks in the order of their text."""
        return tuple(sorted(self._seen))

    def saw(self, peer: str, headers: list[tuple[bytes, bytes]]) -> None:
        """Note a request that its provider has verified. `peer`: the address of the connection's other side."""
        address = peer
        if self._proxies.trusts(peer):
            sender = self._proxies.forwarded(headers)
            address = sender.address if sender is not None else peer
        network = prefix_of(address)
        if network and self._seen.get(network) is None:
            self._seen.put(network, network)
