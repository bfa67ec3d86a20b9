"""The addresses of this machine's own network: its interfaces, gateways and resolvers. Linux, from /proc."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from pathlib import Path

from stormpetrel.config import Network

_PROC = Path("/proc/net")
_RESOLVERS = Path("/etc/resolv.conf")


def own_network(*, proc: Path = _PROC, resolvers: Path = _RESOLVERS) -> tuple[Network, ...]:
    """Return the addresses of this machine, its gateways and its resolvers, each as a network of one address.

    Files that are missing, as without IPv6, name no addresses. Raise OSError if a file cannot be read.
    """
    found = {
        *_interfaces_ipv4(_lines(proc / "fib_trie")),
        *_interfaces_ipv6(_lines(proc / "if_inet6")),
        *_gateways_ipv4(_lines(proc / "route")),
        *_gateways_ipv6(_lines(proc / "ipv6_route")),
        *_resolvers_in(_lines(resolvers)),
    }
    return tuple(sorted(found, key=lambda network: (network.version, network.network_address.packed)))


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return []


def _interfaces_ipv4(lines: list[str]) -> Iterator[Network]:
    # "|-- 192.0.2.1", and in the next line "/32 host LOCAL".
    address = ""
    for line in lines:
        head, _, rest = line.partition("|-- ")
        if not head.strip() and rest:
            address = rest.strip()
        elif line.strip() == "/32 host LOCAL" and address:
            yield ipaddress.ip_network(address)


def _interfaces_ipv6(lines: list[str]) -> Iterator[Network]:
    for line in lines:
        yield ipaddress.ip_network(int(line.split()[0], 16).to_bytes(16, "big"))


def _gateways_ipv4(lines: list[str]) -> Iterator[Network]:
    for line in lines[1:]:
        gateway = int(line.split()[2], 16)
        if gateway:
            # In the machine's byte order: little-endian on all that Stormpetrel runs on.
            yield ipaddress.ip_network(gateway.to_bytes(4, "little"))


def _gateways_ipv6(lines: list[str]) -> Iterator[Network]:
    for line in lines:
        gateway = int(line.split()[4], 16)
        if gateway:
            yield ipaddress.ip_network(gateway.to_bytes(16, "big"))


def _resolvers_in(lines: list[str]) -> Iterator[Network]:
    for line in lines:
        words = line.split()
        if len(words) >= 2 and words[0] == "nameserver":
            try:
                yield ipaddress.ip_network(words[1].partition("%")[0])
            except ValueError:
                continue
