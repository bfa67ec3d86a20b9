"""The socket below a transport: its other side, its unread data, and dropping it."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import socket
import struct
import sys
import termios

_NO_LINGER = struct.pack("ii", 1, 0)


def reset(transport: asyncio.Transport) -> None:
    """Drop a connection at once, and the data that the kernel holds for a client that does not read."""
    sock = transport.get_extra_info("socket")
    if sock is not None and (not transport.is_closing() or transport.get_write_buffer_size()):
        # Without this the kernel holds megabytes per connection for minutes, waiting for the client to read.
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
    transport.abort()


def peer_address(transport: asyncio.Transport) -> tuple[str, int] | None:
    """Return (address, port) of the other side; None for a socket without, or when it is gone already."""
    # Asked of the transport, which knows it: asking its socket costs 1.6 of a new connection's 15 µs.
    name = transport.get_extra_info("peername")
    return (str(name[0]), int(name[1])) if isinstance(name, tuple) else None


def unread_bytes(transport: asyncio.Transport) -> int:
    """Return how many bytes the client has not taken, in the transport and the kernel (also unacknowledged).

    Without the kernel's part, filling its buffers would look like a client that reads.
    """
    held = transport.get_write_buffer_size()
    sock = transport.get_extra_info("socket")
    with contextlib.suppress(OSError, AttributeError):
        held += int.from_bytes(fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, bytes(4)), sys.byteorder)
    return held
