"""The control socket on the wire: its path, its permissions, and messages as bytes.

A UNIX socket, `watch.sock` in the data directory, which the watch role creates each time it starts.
Workers and commands connect to it, also when separate supervisors started them, and reconnect when either
side has restarted: no file descriptor must be inherited by a fork. A message is its length, four bytes
big endian, and MessagePack.

Only the owner may use it: the file has mode 0600, and both sides ask the kernel for
the peer's user (SO_PEERCRED).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import msgspec

FILE_NAME = "watch.sock"
MAX_MESSAGE_BYTES = 4 * 1024 * 1024
"""A report with every bounded table full is about a tenth of this size."""
BACKLOG = 128
FIRST_RETRY_S, RETRY_S = 0.1, 1.0
"""Pauses between attempts to reach a missing watch: at the start, when it is about to begin, and later."""
_LENGTH = struct.Struct(">I")
_CREDENTIALS = struct.Struct("3i")

encode = msgspec.msgpack.Encoder().encode


class BrokenMessage(Exception):
    """The other side violated the protocol; the connection cannot be used any more."""


@contextlib.contextmanager
def short_path(data_dir: Path, name: str = FILE_NAME) -> Iterator[str]:
    """Yield a short path of the socket: a UNIX socket's may have 107 bytes, a data directory's any length."""
    folder = os.open(data_dir, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{name}"
    finally:
        os.close(folder)


def listen(data_dir: Path, name: str = FILE_NAME, *, mode: int = 0o600) -> socket.socket:
    """Return the listening socket, its file with this mode. The caller must be this directory's only watch.

    Raise OSError. Replace the socket file of a watch that was killed: the role's lock proves that it
    is dead (listeners.lock_role).
    """
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with short_path(data_dir, name) as path:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
            # No client may connect between bind and chmod: before `listen`, all connections are refused.
            sock.bind(path)
            os.chmod(path, mode)
        sock.listen(BACKLOG)
        sock.settimeout(0)
    except BaseException:
        sock.close()
        raise
    return sock


def retry_pauses_s() -> Iterator[float]:
    """Yield the pauses between attempts to reach the watch, randomised so that workers do not retry together."""
    pause_s = FIRST_RETRY_S
    while True:
        pause_s = min(pause_s, RETRY_S)
        yield pause_s * (0.75 + random.random() / 2)  # noqa: S311 - a spread, guards nothing
        pause_s *= 2


def is_owner(sock: socket.socket) -> bool:
    """Return whether the other end belongs to this process's user, or to root."""
    raw = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    user_id: int = _CREDENTIALS.unpack(raw)[1]
    return user_id in (0, os.geteuid())


def framed(message: object) -> bytes:
    """Return a message in its wire format."""
    body = encode(message)
    return _LENGTH.pack(len(body)) + body


async def receive(reader: asyncio.StreamReader) -> bytes | None:
    """Return the next message; None if the other side has closed. Raise BrokenMessage."""
    try:
        head = await reader.readexactly(_LENGTH.size)
        return await reader.readexactly(_sized(head))
    except (asyncio.IncompleteReadError, ConnectionError):
        return None


def receive_blocking(sock: socket.socket) -> bytes:
    """Return the next message of a blocking socket. Raise BrokenMessage, also if it closes early; OSError."""
    return _exactly(sock, _sized(_exactly(sock, _LENGTH.size)))


def _sized(head: bytes) -> int:
    size: int = _LENGTH.unpack(head)[0]
    if size > MAX_MESSAGE_BYTES:
        raise BrokenMessage(f"a message of {size} bytes")
    return size


def _exactly(sock: socket.socket, count: int) -> bytes:
    parts = bytearray()
    while len(parts) < count:
        part = sock.recv(count - len(parts))
        if not part:
            raise BrokenMessage(f"the other side closed the connection{' within a message' * bool(parts)}")
        parts += part
    return bytes(parts)
