"""Listeners of the streaming API for benchmarks: bare sockets after a handshake, and members' tokens."""

from __future__ import annotations

import re
import resource
import select
import socket
import sqlite3
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from member_tokens import create_tokens

from stormpetrel.model.ids import IdMaker
from stormpetrel.rules import relationships
from stormpetrel.storage.engine.connection import connect, transaction
from stormpetrel.storage.engine.slots import take_slot

ADDRESSES = 200
"""Number of addresses of 127.0.0.0/8 that listeners come from."""
AT_ONCE = 200
_TIMEOUT_S = 60.0


def allow_open_files() -> None:
    """Raise the limit of open files to the hard limit: each listener needs one."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def members(directory: Path, count: int, *, follow: str = "") -> list[str]:
    """Let `count` seeded members follow the account named `follow`, if any, and return their tokens."""
    path = directory / "stormpetrel.db"
    with sqlite3.connect(path) as reading:
        ids = [
            row[0]
            for row in reading.execute(
                "SELECT id FROM accounts WHERE state = 'active' AND username <> ? LIMIT ?", (follow, count)
            )
        ]
        followed = reading.execute("SELECT id FROM accounts WHERE username = ?", (follow,)).fetchone()
    reading.close()
    if len(ids) < count:
        raise SystemExit(f"only {len(ids)} members were seeded, not {count}")
    url = f"sqlite:///{path}"
    now_ms = time.time_ns() // 1_000_000
    slot = take_slot(url)
    connection = connect(url, ids=IdMaker(slot.number))
    try:
        tokens = create_tokens(connection, ids, now_ms=now_ms, scopes=("read",))
        if followed is not None:
            with transaction(connection):
                for account_id in ids:
                    relationships.follow(
                        connection,
                        follower_id=account_id,
                        followed_id=followed[0],
                        show_boosts=None,
                        notify=None,
                        now_ms=now_ms,
                    )
    finally:
        connection.close()
        slot.release()
    return tokens


def open_all(port: int, stream: str, tokens: Sequence[str | None]) -> list[socket.socket]:
    """Open a WebSocket on the stream for each token. Raise RuntimeError if a handshake is refused."""
    opened: list[socket.socket] = []
    for at in range(0, len(tokens), AT_ONCE):
        part = []
        for number, token in enumerate(tokens[at : at + AT_ONCE], start=at):
            listener = socket.socket()
            listener.settimeout(_TIMEOUT_S)
            listener.bind((f"127.0.{1 + number % ADDRESSES // 100}.{1 + number % 100}", 0))
            listener.connect(("127.0.0.1", port))
            lines = [
                f"GET /api/v1/streaming?stream={stream} HTTP/1.1",
                f"Host: 127.0.0.1:{port}",
                "Connection: Upgrade",
                "Upgrade: websocket",
                "Sec-WebSocket-Version: 13",
                "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
            ]
            if token is not None:
                lines.append(f"Sec-WebSocket-Protocol: {token}")
            listener.sendall("\r\n".join([*lines, "", ""]).encode())
            part.append(listener)
        for listener in part:
            head = b""
            while b"\r\n\r\n" not in head:
                data = listener.recv(65_536)
                if not data:
                    break
                head += data
            if not head.startswith(b"HTTP/1.1 101 "):
                raise RuntimeError(f"the handshake was refused: {head[:200]!r}")
        opened += part
    return opened


def worker_of(port: int, pids: Sequence[int]) -> Callable[[socket.socket], int]:
    """Return a function from a connection to the process at its other end, by the state of /proc now."""
    owner: dict[str, int] = {}
    for pid in pids:
        for link in Path(f"/proc/{pid}/fd").iterdir():
            try:
                found = re.fullmatch(r"socket:\[(\d+)\]", str(link.readlink()))
            except OSError:
                continue
            if found:
                owner[found[1]] = pid
    by_client: dict[tuple[str, int], int] = {}
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if int(fields[1].rpartition(":")[2], 16) == port and fields[9] in owner:
            address, _, client_port = fields[2].partition(":")
            dotted = socket.inet_ntoa(bytes.fromhex(address)[::-1])
            by_client[dotted, int(client_port, 16)] = owner[fields[9]]
    return lambda client: by_client[client.getsockname()]


def arrivals(listeners: Sequence[socket.socket], *, poll: select.epoll, marker: bytes) -> dict[int, float]:
    """Wait until all listeners have read the marker; return when, by file number, in monotonic seconds."""
    waiting = {listener.fileno(): listener for listener in listeners}
    tails = dict.fromkeys(waiting, b"")
    arrived: dict[int, float] = {}
    end_s = time.monotonic() + _TIMEOUT_S
    while waiting and time.monotonic() < end_s:
        for number, _ in poll.poll(1.0):
            if number not in waiting:
                continue
            at_s = time.monotonic()
            data = tails[number] + waiting[number].recv(65_536)
            if marker in data:
                arrived[number] = at_s
                del waiting[number]
            else:
                tails[number] = data[-len(marker) :]
    if waiting:
        raise RuntimeError(f"{len(waiting)} listeners did not hear of it")
    return arrived
