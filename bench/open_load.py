"""An open-loop HTTP client for benchmarks: many requests at planned times, from one thread, to loopback.

A request begins at its time, however long earlier ones take, and its latency counts from that time. It costs the
client some 40 µs of CPU, so that a machine of two cores is left to the server.
"""

from __future__ import annotations

import heapq
import itertools
import select
import socket
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

NO_ANSWER = 0
"""The status of a request without a complete answer: reset, or not answered in time."""
_RECEIVE_BYTES = 262_144


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer. `status`: NO_ANSWER if there is none. `body`: empty unless the status is 200.

    `sent_s`, `done_s`: seconds since the load began; the planned beginning, and the end.
    """

    status: int
    body: bytes
    sent_s: float
    done_s: float

    @property
    def latency_s(self) -> float:
        """Return the time from the planned beginning to the end."""
        return self.done_s - self.sent_s


@dataclass(frozen=True, slots=True)
class Planned:
    """One request. `make` returns its bytes when it begins; `done` gets its answer.

    `client`: requests of a client share a connection, one after another; -1: a new connection, closed afterwards.
    `address`: the client's own, of 127.0.0.0/8.
    """

    at_s: float
    client: int
    address: str
    make: Callable[[], bytes]
    done: Callable[[Answer], None]


class _Connection:
    __slots__ = ("buffer", "client", "is_reused", "need", "out", "planned", "sock")

    def __init__(self, sock: socket.socket, client: int) -> None:
        self.sock = sock
        self.client = client
        self.planned: Planned | None = None
        self.out = b""
        self.buffer = bytearray()
        self.need = -1
        self.is_reused = False


class OpenLoad:
    """Sends planned requests to a port of 127.0.0.1. `answer_s`: a later answer counts as none.

    `late_s`: how late the client itself began requests, the worst; a large value means that the client was the limit.
    """

    def __init__(self, port: int, *, answer_s: float = 20.0) -> None:
        self._port = port
        self._answer_s = answer_s
        self._epoll = select.epoll()
        self._open: dict[int, _Connection] = {}
        self._idle: dict[int, _Connection] = {}
        self._busy: dict[int, _Connection] = {}
        self._heap: list[tuple[float, int, Planned]] = []
        self._number = itertools.count()
        self._began_s = 0.0
        self.late_s = 0.0

    def plan(self, planned: Planned) -> None:
        """Add a request; may be called by `done` of another one."""
        heapq.heappush(self._heap, (planned.at_s, next(self._number), planned))

    def now_s(self) -> float:
        """Return the seconds since the load began."""
        return time.perf_counter() - self._began_s

    def run(self, plans: Iterable[Planned] = (), *, until_s: float) -> None:
        """Run until all requests have ended, at most until `until_s`; then count open ones as unanswered."""
        for planned in plans:
            self.plan(planned)
        self._began_s = time.perf_counter()
        checked_s = 0.0
        while (now_s := self.now_s()) < until_s and (self._heap or self._busy):
            while self._heap and self._heap[0][0] <= now_s:
                self._begin(heapq.heappop(self._heap)[2], now_s)
            wait_s = min(self._heap[0][0] - self.now_s(), 0.1) if self._heap else 0.1
            for fd, events in self._epoll.poll(max(0.0, wait_s), 512):
                connection = self._open.get(fd)
                if connection is not None:
                    self._on_events(connection, events)
            if now_s - checked_s > 0.5:
                checked_s = now_s
                self._give_up(now_s - self._answer_s)
        self._give_up(float("inf"))
        for connection in list(self._open.values()):
            self._drop(connection)
        self._epoll.close()

    def _begin(self, planned: Planned, now_s: float) -> None:
        self.late_s = max(self.late_s, now_s - planned.at_s)
        connection = self._idle.pop(planned.client, None) if planned.client >= 0 else None
        if connection is None:
            sock = socket.socket()
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                sock.bind((planned.address, 0))
                sock.connect_ex(("127.0.0.1", self._port))
            except OSError:
                sock.close()
                planned.done(Answer(NO_ANSWER, b"", planned.at_s, now_s))
                return
            connection = _Connection(sock, planned.client)
            self._open[sock.fileno()] = connection
            self._epoll.register(sock.fileno(), select.EPOLLIN | select.EPOLLOUT)
        else:
            connection.is_reused = True
        connection.out = planned.make()
        connection.planned = planned
        self._busy[connection.sock.fileno()] = connection
        if connection.is_reused:
            self._send(connection)

    def _send(self, connection: _Connection) -> None:
        try:
            sent = connection.sock.send(connection.out)
        except BlockingIOError:
            return
        except OSError:
            self._end(connection, NO_ANSWER, b"")
            return
        connection.out = connection.out[sent:]
        if not connection.out and not connection.is_reused:
            self._epoll.modify(connection.sock.fileno(), select.EPOLLIN)

    def _on_events(self, connection: _Connection, events: int) -> None:
        if connection.out and events & (select.EPOLLOUT | select.EPOLLERR | select.EPOLLHUP):
            self._send(connection)
        if events & (select.EPOLLIN | select.EPOLLHUP | select.EPOLLERR) and connection.sock.fileno() >= 0:
            self._read(connection)

    def _read(self, connection: _Connection) -> None:
        try:
            data = connection.sock.recv(_RECEIVE_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._end(connection, NO_ANSWER, b"")
            return
        buffer = connection.buffer
        buffer += data
        if connection.need < 0:
            end = buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            head = bytes(buffer[:end]).lower()
            _, _, length = head.partition(b"\r\ncontent-length:")
            connection.need = end + 4 + int(length.split(b"\r\n", 1)[0] or 0)
        if len(buffer) >= connection.need:
            status = int(buffer[9:12])
            body = bytes(buffer[buffer.index(b"\r\n\r\n") + 4 : connection.need]) if status == 200 else b""
            self._end(connection, status, body)

    def _end(self, connection: _Connection, status: int, body: bytes) -> None:
        planned, connection.planned = connection.planned, None
        closes = status == NO_ANSWER or b"\r\nconnection: close" in connection.buffer
        connection.buffer.clear()
        connection.need = -1
        fd = connection.sock.fileno()
        self._busy.pop(fd, None)
        if planned is None:
            # The server closed an idle connection.
            self._idle.pop(connection.client, None)
            self._drop(connection)
            return
        if closes or planned.client < 0 or planned.client in self._idle:
            self._drop(connection)
        else:
            self._idle[planned.client] = connection
        planned.done(Answer(status, body, planned.at_s, self.now_s()))

    def _drop(self, connection: _Connection) -> None:
        fd = connection.sock.fileno()
        if fd >= 0:
            self._open.pop(fd, None)
            self._epoll.unregister(fd)
            connection.sock.close()

    def _give_up(self, before_s: float) -> None:
        """End the requests that were planned before this as unanswered."""
        for connection in list(self._busy.values()):
            if connection.planned is not None and connection.planned.at_s < before_s:
                self._end(connection, NO_ANSWER, b"")


def get(path: str, token: str, port: int) -> bytes:
    """Return the bytes of a GET with a token, for an answer that is not compressed."""
    return (
        f"GET {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nauthorization: Bearer {token}\r\n\r\n"
    ).encode()


def post(text: str, token: str, key: str, port: int) -> bytes:
    """Return the bytes of a request that creates a post with this text, which needs no escaping in JSON."""
    body = f'{{"status":"{text}"}}'.encode()
    return (
        f"POST /api/v1/statuses HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nauthorization: Bearer {token}\r\n"
        f"idempotency-key: {key}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    ).encode() + body


def address(number: int) -> str:
    """Return an address of 127.0.0.0/8 for a client; each of the first 60,000 numbers has its own."""
    return f"127.{1 + number // 60_000 % 200}.{number // 250 % 240}.{1 + number % 250}"
