"""Ports reserved on this machine while a test needs them."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator


@contextlib.contextmanager
def reserved_ports(count: int) -> Iterator[list[int]]:
    """Yield `count` free ports of 127.0.0.1, reserved until the block ends.

    Each is held by a socket that is bound but does not listen. A server that sets SO_REUSEADDR or
    SO_REUSEPORT, as they all do, can bind and listen beside it. A request for "any free port" does not get
    it, on any IPv4 address: the drill's clients send from many of 127.0.0.0/8, and a port that is held on
    127.0.0.1 alone is given to them. Then a server that listens on all addresses cannot bind it.
    """
    with contextlib.ExitStack() as stack:
        ports = []
        for _ in range(count):
            holder = stack.enter_context(socket.socket())
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            holder.bind(("", 0))
            ports.append(holder.getsockname()[1])
        yield ports
