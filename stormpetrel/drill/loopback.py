"""Opens every socket of the drill: to loopback only, from its own source address, within a budget.

No option lifts the loopback rule. Each connection checks the numeric address that the socket connects to,
after name resolution: a name that pointed at loopback a moment ago proves nothing.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import time
from dataclasses import dataclass
from typing import NamedTuple

_LOOPBACK_6 = socket.inet_pton(socket.AF_INET6, "::1")
# Linux: choose the source port at connect, so that one source address may open more than 28,000 connections.
_BIND_ADDRESS_NO_PORT = 24


class NotLoopback(OSError):
    """A connection was requested that would leave this machine."""


class BudgetSpent(RuntimeError):
    """The run has used up its connections or its time and must end."""


class Address(NamedTuple):
    """A numeric address and a port."""

    host: str
    port: int


def resolve(host: str, port: int) -> Address:
    """Return the numeric address of `host`. Raise NotLoopback unless all its addresses are loopback."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise NotLoopback(f"{host} cannot be resolved: {error}") from error
    addresses = [Address(str(entry[4][0]), port) for entry in found]
    for address in addresses:
        require_loopback(address.host)
    # IPv4 first: only 127.0.0.0/8 has enough addresses for each client to have its own.
    return min(addresses, key=lambda address: ":" in address.host)


def require_loopback(host: str) -> None:
    """Raise NotLoopback unless `host` is a numeric address in 127.0.0.0/8, or ::1."""
    try:
        if ":" in host:
            ok = socket.inet_pton(socket.AF_INET6, host) == _LOOPBACK_6
        else:
            ok = socket.inet_pton(socket.AF_INET, host)[0] == 127
    except OSError:
        ok = False
    if not ok:
        raise NotLoopback(f"the drill sends to loopback only, and {host} is not")


@dataclass(slots=True)
class TrafficBudget:
    """Limits for one process of a run: total new connections, and an end (monotonic seconds)."""

    connections: int
    until_s: float

    @staticmethod
    def of(*, connections: int, seconds: float) -> TrafficBudget:
        """Return a budget that begins now."""
        return TrafficBudget(connections, time.monotonic() + seconds)

    def take(self) -> None:
        """Take one connection. Raise BudgetSpent when no connection or no time is left."""
        if self.connections <= 0 or time.monotonic() > self.until_s:
            raise BudgetSpent("the drill's budget of connections or time is spent")
        self.connections -= 1


def start_socket(target: Address, *, source: str, budget: TrafficBudget) -> tuple[socket.socket, bool]:
    """Return a non-blocking socket from `source` to `target`, and True if it is connected already.

    `source` is ignored for ::1, the only IPv6 loopback address. Raise NotLoopback, BudgetSpent, or OSError
    when the system refuses.
    """
    require_loopback(target.host)
    budget.take()
    is_v6 = ":" in target.host
    sock = socket.socket(socket.AF_INET6 if is_v6 else socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.settimeout(0)  # non-blocking
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if source and not is_v6:
            require_loopback(source)
            sock.setsockopt(socket.IPPROTO_IP, _BIND_ADDRESS_NO_PORT, 1)
            sock.bind((source, 0))
        code = sock.connect_ex((target.host, target.port))
        if code not in (0, errno.EINPROGRESS):
            raise OSError(code, "connect")
    except BaseException:
        sock.close()
        raise
    return sock, code == 0


async def open_socket(
    target: Address, *, source: str, budget: TrafficBudget, timeout_s: float
) -> socket.socket:
    """Return a connected, non-blocking socket. Raise the errors of `start_socket`, and TimeoutError."""
    sock, is_connected = start_socket(target, source=source, budget=budget)
    if is_connected:
        return sock
    try:
        loop = asyncio.get_running_loop()
        await asyncio.wait_for(loop.sock_connect(sock, (target.host, target.port)), timeout_s)
    except BaseException:
        sock.close()
        raise
    return sock


def neighbour(prefix: str, number: int) -> str:
    """Return the `number`th address below a prefix of whole bytes: `neighbour("127.40", 257)` is 127.40.1.4.

    Skip addresses that end in .0 or .255, as real networks do. Raise ValueError when the prefix has no room.
    """
    parts = prefix.split(".")
    free = 4 - len(parts)
    high, low = divmod(number, 254)
    rest = [low + 1]
    for _ in range(free - 1):
        high, byte = divmod(high, 256)
        rest.append(byte)
    if high or free < 1:
        raise ValueError(f"{prefix} has no address number {number}")
    return ".".join([*parts, *(str(byte) for byte in reversed(rest))])
