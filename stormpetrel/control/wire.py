"""The control socket on the wire: where it is, who may use it, and messages as bytes.

A UNIX socket, `watch.sock` in the data directory, that the watch role makes anew each time it starts. Workers
and commands connect to it, whether one supervisor started them all or each its own, and connect again when
either side was restarted: nothing has to be handed down by a fork. A message is its length, four bytes big
endian, and MessagePack.

Only the owner may use it: the file has mode 0600, and both sides ask the kernel who is there (SO_PEERCRED).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import msgspec

FILE_NAME = "watch.sock"
MAX_MESSAGE_BYTES = 4 * 1024 * 1024
"""A report with every bounded table full is about a tenth of it."""
BACKLOG = 128
_LENGTH = struct.Struct(">I")
_CREDENTIALS = struct.Struct("3i")

encode = msgspec.msgpack.Encoder().encode


class BrokenMessage(Exception):
    """The other side does not speak as agreed; the connection is of no use any more."""


@contextlib.contextmanager
def short_path(data_dir: Path) -> Iterator[str]:
    """A path of the socket that fits: a UNIX socket's may have 107 bytes, a data directory's any length."""
    folder = os.open(data_dir, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{FILE_NAME}"
    finally:
        os.close(folder)


def listen(data_dir: Path) -> socket.socket:
    """The listening socket, its file with mode 0600. The caller is the only watch of this data directory.

    Raises OSError. What a watch that was killed left behind is replaced: the lock of the role says that it is
    dead (listeners.lock_role).
    """
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with short_path(data_dir) as path:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
            # Nobody may connect between the making of the file and its chmod: before `listen` all are refused.
            sock.bind(path)
            os.chmod(path, 0o600)
        sock.listen(BACKLOG)
        sock.settimeout(0)
    except BaseException:
        sock.close()
        raise
    return sock


def is_owner(sock: socket.socket) -> bool:
    """Whether the other end belongs to this process's user, or to root."""
    raw = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    user_id: int = _CREDENTIALS.unpack(raw)[1]
    return user_id in (0, os.geteuid())


def framed(message: object) -> bytes:
    """A message as it is sent."""
    body = encode(message)
    return _LENGTH.pack(len(body)) + body


async def receive(reader: asyncio.StreamReader) -> bytes | None:
    """The next message; None when the other side has ended. Raises BrokenMessage."""
    try:
        head = await reader.readexactly(_LENGTH.size)
        return await reader.readexactly(_sized(head))
    except (asyncio.IncompleteReadError, ConnectionError):
        return None


def receive_blocking(sock: socket.socket) -> bytes:
    """The next message on a blocking socket. Raises BrokenMessage, also when it ends before; OSError."""
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
            raise BrokenMessage("the connection ended within a message")
        parts += part
    return bytes(parts)
