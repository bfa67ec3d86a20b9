"""Which networks providers' webhooks come from: only verified requests count, and proxies are looked through."""

from __future__ import annotations

import ipaddress

import pytest

from stormpetrel.gateway.provider_networks import MAX_NETWORKS, ProviderNetworks
from tests.gateway.inbox import MemoryInbox, run
from tests.gateway.test_webhooks import GOOD, kannel
from tests.gateway.webhook_server import ask, serving

PROXY = (ipaddress.ip_network("127.0.0.1"),)


@pytest.mark.parametrize(
    ("peer", "forwarded", "network"),
    [
        ("203.0.113.7", b"", "203.0.113.0/24"),
        ("2001:db8:1:2::7", b"", "2001:db8:1::/48"),
        ("127.0.0.1", b"203.0.113.7", "203.0.113.0/24"),
        ("127.0.0.1", b"192.0.2.1, 203.0.113.7", "203.0.113.0/24"),
        # Anyone can write the header; only a trusted proxy's counts.
        ("203.0.113.7", b"192.0.2.1", "203.0.113.0/24"),
    ],
)
def test_the_network_is_that_of_the_address_behind_trusted_proxies(peer, forwarded, network):
    networks = ProviderNetworks(PROXY)
    networks.saw(peer, [(b"x-forwarded-for", forwarded)] if forwarded else [])
    assert networks.networks == (network,)


def test_the_networks_seen_last_are_remembered():
    networks = ProviderNetworks(())
    for n in range(MAX_NETWORKS):
        networks.saw(f"203.0.{n}.1", [])
    networks.saw("203.0.0.2", [])
    networks.saw("203.1.1.1", [])
    assert len(networks.networks) == MAX_NETWORKS
    assert {"203.0.0.0/24", "203.1.1.0/24"} <= set(networks.networks)
    assert "203.0.1.0/24" not in networks.networks


def test_a_request_counts_only_if_its_provider_verified_it():
    networks = ProviderNetworks(())

    async def main():
        async with serving({"main": kannel()}, MemoryInbox(), networks=networks) as port:
            assert (await ask(port, GOOD.replace("s3cret", "wrong"))).status == 403
            assert networks.networks == ()
            assert (await ask(port, GOOD)).status == 200
            assert networks.networks == ("127.0.0.0/24",)

    run(main)
