"""Whether an address that a stranger chose is public, and not one of a machine in the operator's network."""

from __future__ import annotations

import ipaddress
import socket

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_SPECIAL = tuple(
    ipaddress.ip_network(text)
    for text in (
        *("192.0.0.0/24", "192.88.99.0/24", "64:ff9b:1::/48", "2001::/23", "3fff::/20", "5f00::/16"),
        # Azure's wire server tells a machine its settings and certificates. No registry has it.
        "168.63.129.16/32",
    )
)
"""Special networks that Python 3.11 calls global, most in IANA's registries. Some clouds tell secrets in them."""


def is_public(address: str) -> bool:
    """Return True if an IP address is reachable from anywhere, also if it holds an IPv4 address that must be."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour
        if ip in _NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
        if ip.teredo is not None or ip.is_site_local:
            return False
    if any(ip in network for network in _SPECIAL):
        return False
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


def literal_address(host: str) -> str | None:
    """Return the IP address that a URL's host is; None for a name.

    Resolvers also read the old short forms of IPv4: 127.1, 0x7f.1, 2130706433.
    """
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        pass
    if not host[-1:].isascii() or not host.rpartition(".")[2][:1].isdigit():
        return None
    try:
        return socket.inet_ntoa(socket.inet_aton(host))
    except OSError:
        return None


def names_private_host(host: str) -> bool:
    """Return True if a URL's host is an address that is not public, or a name of the machine itself."""
    address = literal_address(host)
    if address is not None:
        return not is_public(address)
    return host == "localhost" or host.endswith(".localhost")
