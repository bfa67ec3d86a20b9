"""The attackers' sockets: an epoll loop that fires attack requests at their planned times and counts the results.

Open loop: an attack request is fired at its time, whatever happened to earlier ones. No event library, because
all the work for a new connection (socket, bind, connect, send, receive, close) must cost less here than on the
server, or the drill would measure itself: 80 µs for a connection that sends nothing, 200 µs with a page read.

Behind a front all of them speak TLS. A handshake costs this side 800 µs, so HANDSHAKES_PER_S (tls.py) bounds them,
and a source that sent a single request keeps its connection for the vector's next one, as attack tools do.
"""

from __future__ import annotations

import contextlib
import heapq
import select
import socket
import ssl
import struct
import time
from collections import deque
from collections.abc import Callable, Iterator

from stormpetrel.drill.answer_reader import AnswerReader
from stormpetrel.drill.attack_connection import AttackConnection, Fire, Tally
from stormpetrel.drill.loopback import Address, BudgetSpent, TrafficBudget, start_socket
from stormpetrel.drill.tls import HandshakeBudget, TlsName, client_hello
from stormpetrel.drill.vectors.attack_requests import AttackRequest, Behaviour

ANSWER_TIMEOUT_S = 10.0
"""After this long without an answer, the attacker gives up: failed."""
MAX_LAG_S = 2.0
"""An attack request that is later than this is skipped: an attack must not go on after its phase."""
_BATCH = 64
"""Attack requests or events handled in a row before the other kind has its turn."""
_READ_BYTES = 262_144
_RESET = struct.pack("ii", 1, 0)
_DEAF_BUFFER_BYTES = 4096
_REFUSALS = frozenset({403, 408, 429, 503})
_HELLOS = 64
"""Beginnings of handshakes, made once. They take turns, so that the attackers spend their time on sending."""
_HANDSHAKE_RECORD = 0x16
_ENDS_BEFORE_TLS = frozenset({Behaviour.RESET, Behaviour.SILENT, Behaviour.HELLO})
"""These end, or stay silent, before the client has to do work for a handshake."""
_SENDS_ALL = frozenset({Behaviour.ASK, Behaviour.HTTP2})
_AWAITS_ANSWER = frozenset({Behaviour.ASK, Behaviour.HELLO})


class Engine:
    """Fires at one target. `each_second` receives each second that ended and every vector's tally of it."""

    def __init__(
        self,
        target: Address,
        *,
        budget: TrafficBudget,
        begin_s: float,
        each_second: Callable[[int, dict[str, Tally]], None],
        kill: Callable[[str], bool] = lambda name: False,
        sms: Address | None = None,
        tls: TlsName | None = None,
    ) -> None:
        """`begin_s`: monotonic time of second 0. `kill`: carries out a KILL attack request; False if it fails.

        `sms`: the target of attack requests at the port for webhooks; None: the other target. `tls`: how the front
        is reached; None: without TLS.
        """
        self._target = target
        self._budget = budget
        self._begin_s = begin_s
        self._each_second = each_second
        self._kill = kill
        self._sms = sms or target
        self._tls = tls
        self._handshakes = HandshakeBudget()
        self._hellos: deque[bytes] = deque()
        self._poll = select.epoll()
        self._open: dict[int, AttackConnection] = {}
        self._idle: dict[str, list[AttackConnection]] = {}
        self._timers: list[tuple[float, int, AttackConnection, int]] = []
        self._timer_number = 0
        self._tallies: dict[str, Tally] = {}
        self._second = 0
        self.skipped = 0
        """Attack requests that were skipped: too late, too many sockets open, or too many handshakes."""

    def run(self, fires: Iterator[Fire], *, seconds: float) -> None:
        """Fire all attack requests until `seconds` are over or the budget is spent, then close all connections."""
        try:
            self._run(fires, seconds)
        except BudgetSpent:
            pass
        finally:
            for connection in tuple(self._open.values()):
                self._end(connection, held=True)
            self._tell(self._second)
            self._poll.close()

    def _run(self, fires: Iterator[Fire], seconds: float) -> None:
        coming = next(fires, None)
        while (now_s := time.monotonic() - self._begin_s) < seconds:
            self._turn_of_second(now_s)
            for _ in range(_BATCH):
                if coming is None or coming.at_s > now_s:
                    break
                self._fire(coming, now_s)
                coming = next(fires, None)
            if coming is None and not self._open:
                return
            self._run_timers(now_s)
            until_s = min(
                self._second + 1.0,
                seconds,
                coming.at_s if coming is not None else seconds,
                self._timers[0][0] if self._timers else seconds,
            )
            wait_s = max(0.0, until_s - (time.monotonic() - self._begin_s))
            for fd, events in self._poll.poll(wait_s, _BATCH):
                connection = self._open.get(fd)
                if connection is not None:
                    self._on_events(connection, events)

    # Time

    def _turn_of_second(self, now_s: float) -> None:
        while now_s >= self._second + 1:
            self._tell(self._second)
            self._second += 1
            for connection in tuple(self._open.values()):
                # The phase is over: close all connections except those that wait for an answer.
                if self._second >= connection.fire.until_s and not connection.is_asking:
                    self._end(connection, held=True)

    def _tell(self, second: int) -> None:
        if self._tallies:
            self._each_second(second, self._tallies)
        for name, tally in tuple(self._tallies.items()):
            tally.sent = tally.ok = tally.refused = tally.failed = tally.skipped = 0
            if not tally.connections:
                del self._tallies[name]

    def _later(self, connection: AttackConnection, at_s: float) -> None:
        self._timer_number += 1
        heapq.heappush(self._timers, (at_s, self._timer_number, connection, connection.serial))

    def _run_timers(self, now_s: float) -> None:
        while self._timers and self._timers[0][0] <= now_s:
            _, _, connection, serial = heapq.heappop(self._timers)
            # Each event on a connection raises its serial, which voids the timers set before.
            if connection.serial == serial:
                self._on_timer(connection, now_s)

    # Firing

    def _fire(self, fire: Fire, now_s: float) -> None:
        attack_request = fire.attack_request
        tally = self._tallies.get(fire.vector)
        if tally is None:
            tally = self._tallies[fire.vector] = Tally()
        if attack_request.behaviour is Behaviour.KILL:
            tally.sent += 1
            if self._kill(attack_request.victim):
                tally.ok += 1
            else:
                tally.failed += 1
            return
        if now_s - fire.at_s > MAX_LAG_S or (fire.most and tally.connections >= fire.most):
            tally.skipped += 1
            self.skipped += 1
            return
        kept = self._idle.get(self._keep_of(fire))
        if kept:
            connection = kept.pop()
            connection.fire = fire
            connection.position = 0
            self._ask(connection)
            return
        if self._needs_tls(attack_request) and not self._handshakes.take(now_s):
            tally.skipped += 1
            self.skipped += 1
            return
        try:
            target = self._sms if attack_request.is_sms else self._target
            sock, is_connected = start_socket(target, source=attack_request.source, budget=self._budget)
        except OSError as error:
            if error.errno is None:
                raise
            tally.sent += 1
            tally.failed += 1
            return
        connection = AttackConnection(sock, fire, tally)
        if attack_request.behaviour is Behaviour.RESET:
            self._vanish(connection)
            return
        self._open[connection.fd] = connection
        tally.connections += 1
        if is_connected:
            self._poll.register(sock, select.EPOLLIN)
            self._later(connection, now_s + ANSWER_TIMEOUT_S)
            self._on_connected(connection)
        else:
            self._poll.register(sock, select.EPOLLOUT)
            self._later(connection, now_s + ANSWER_TIMEOUT_S)

    def _vanish(self, connection: AttackConnection) -> None:
        sock = connection.sock
        connection.tally.sent += 1
        with contextlib.suppress(OSError):
            # Behind a front, this connection is gone before its handshake.
            if connection.fire.attack_request.requests and self._tls is None:
                sock.send(connection.fire.attack_request.requests[0])
            _reset_at_close(sock)
        sock.close()

    def _needs_tls(self, attack_request: AttackRequest) -> bool:
        return (
            self._tls is not None
            and not attack_request.is_sms
            and attack_request.behaviour not in _ENDS_BEFORE_TLS
        )

    def _keep_of(self, fire: Fire) -> str:
        """Return the vector and the word under which the connection is kept for reuse; "" if it is not.

        A source may belong to two vectors. Each has connections of its own, because it has its own tally and limit.
        """
        attack_request, word = fire.attack_request, fire.attack_request.keep
        if not word and self._tls is not None and not attack_request.is_sms:
            is_single = attack_request.behaviour is Behaviour.ASK and len(attack_request.requests) == 1
            word = attack_request.source if is_single else ""
        return f"{fire.vector} {word}" if word else ""

    def _shake(self, connection: AttackConnection) -> None:
        """Go on with the handshake, as far as the front has answered."""
        sock = connection.sock
        try:
            if not connection.is_shaking:
                assert self._tls is not None
                connection.is_shaking = True
                is_http2 = connection.fire.attack_request.behaviour is Behaviour.HTTP2
                context = self._tls.http2_context if is_http2 else self._tls.context
                sock = connection.sock = context.wrap_socket(
                    sock, server_hostname=self._tls.name, do_handshake_on_connect=False
                )
            assert isinstance(sock, ssl.SSLSocket)
            sock.do_handshake()
        except ssl.SSLWantReadError:
            return
        except OSError:
            self._end(connection)
            return
        connection.is_shaking = False
        self._talk(connection)

    def _on_connected(self, connection: AttackConnection) -> None:
        if self._needs_tls(connection.fire.attack_request):
            self._shake(connection)
        else:
            self._talk(connection)

    def _talk(self, connection: AttackConnection) -> None:
        attack_request = connection.fire.attack_request
        now_s = time.monotonic() - self._begin_s
        match attack_request.behaviour:
            case Behaviour.ASK:
                self._ask(connection)
                return
            case Behaviour.HELLO:
                self._greet(connection)
                return
            case Behaviour.NO_READ:
                connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _DEAF_BUFFER_BYTES)
                self._poll.modify(connection.sock, select.EPOLLRDHUP)
        connection.serial += 1
        connection.tally.sent += 1
        if attack_request.requests and not self._send(connection, attack_request.requests[0]):
            return
        if attack_request.behaviour is Behaviour.SLOW_SEND:
            self._later(connection, now_s + attack_request.pace_s)
        elif attack_request.hold_s:
            self._later(connection, now_s + attack_request.hold_s)

    def _greet(self, connection: AttackConnection) -> None:
        connection.serial += 1
        connection.is_asking = True
        connection.tally.sent += 1
        if not self._hellos:
            name = self._tls.name if self._tls is not None else "localhost"
            self._hellos.extend(client_hello(name) for _ in range(_HELLOS))
        self._hellos.rotate()
        if self._send(connection, self._hellos[0]):
            self._later(connection, time.monotonic() - self._begin_s + ANSWER_TIMEOUT_S)

    def _ask(self, connection: AttackConnection) -> None:
        connection.serial += 1
        connection.answer = AnswerReader()
        connection.is_asking = True
        connection.tally.sent += 1
        if self._send(connection, connection.fire.attack_request.requests[connection.position]):
            self._later(connection, time.monotonic() - self._begin_s + ANSWER_TIMEOUT_S)

    def _send(self, connection: AttackConnection, data: bytes) -> bool:
        """Send `data`; return False if the connection broke, after closing and counting it."""
        try:
            sent = connection.sock.send(data)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            sent = 0
        except OSError:
            self._end(connection)
            return False
        if sent < len(data) and connection.fire.attack_request.behaviour in _SENDS_ALL:
            connection.pending = data[sent:]
            self._poll.modify(connection.sock, select.EPOLLIN | select.EPOLLOUT)
        return True

    # What happens

    def _on_timer(self, connection: AttackConnection, now_s: float) -> None:
        attack_request = connection.fire.attack_request
        if connection.is_shaking:
            self._end(connection)
            return
        match attack_request.behaviour:
            case Behaviour.SLOW_SEND:
                position = connection.position
                connection.position += 1
                if self._send(connection, attack_request.requests[1][position : position + 1]):
                    connection.serial += 1
                    self._later(connection, now_s + attack_request.pace_s)
            case Behaviour.ASK if not connection.is_asking and connection.answer.status:
                # The answer is complete and the pause is over: send the next request.
                self._ask(connection)
            case Behaviour.ASK:
                self._end(connection)
            case _ if connection.serial:
                self._end(connection, held=True)
            case _:
                self._end(connection)

    def _on_events(self, connection: AttackConnection, events: int) -> None:
        if events & select.EPOLLOUT and not self._on_writable(connection):
            return
        if events & (select.EPOLLIN | select.EPOLLHUP | select.EPOLLERR | select.EPOLLRDHUP):
            if connection.is_shaking:
                self._shake(connection)
                return
            if connection.fire.attack_request.behaviour is Behaviour.NO_READ:
                self._end(connection)
                return
            data = _read(connection.sock)
            if data is None:
                return
            if data:
                self._on_data(connection, data)
            else:
                self._on_end(connection)

    def _on_writable(self, connection: AttackConnection) -> bool:
        if connection.pending:
            data, connection.pending = connection.pending, b""
            self._poll.modify(connection.sock, select.EPOLLIN)
            return self._send(connection, data)
        if connection.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self._end(connection)
            return False
        self._poll.modify(connection.sock, select.EPOLLIN)
        self._on_connected(connection)
        return connection.sock.fileno() >= 0

    def _on_data(self, connection: AttackConnection, data: bytes) -> None:
        match connection.fire.attack_request.behaviour:
            case Behaviour.HTTP2:
                return
            case Behaviour.HELLO:
                self._greeted(connection, data)
                return
        if connection.answer.status and not connection.is_asking:
            return  # a stream goes on, or the server says goodbye on a reused connection
        had_head = connection.answer.status != 0
        try:
            is_complete = connection.answer.feed(data)
        except ValueError:
            self._end(connection)
            return
        if not had_head and connection.answer.status and not self._goes_on(connection):
            return
        if is_complete:
            self._answered(connection)

    def _greeted(self, connection: AttackConnection, data: bytes) -> None:
        """Leave a server that has done its part of the handshake: the client's part would cost as much."""
        if data[0] == _HANDSHAKE_RECORD:
            connection.tally.ok += 1
        else:
            connection.tally.refused += 1
        _reset_at_close(connection.sock)
        self._close(connection)

    def _goes_on(self, connection: AttackConnection) -> bool:
        """Return True if the answer's body matters. A stream stays open; other connections are closed."""
        behaviour = connection.fire.attack_request.behaviour
        if behaviour is Behaviour.ASK:
            return True
        if behaviour is not Behaviour.LISTEN or connection.answer.status not in (101, 200):
            self._count(connection)
            self._close(connection)
        return False

    def _answered(self, connection: AttackConnection) -> None:
        """Handle a complete answer: plan the next request, keep the connection for reuse, or close it."""
        self._count(connection)
        connection.is_asking = False
        connection.serial += 1
        attack_request = connection.fire.attack_request
        if connection.answer.closing:
            self._close(connection)
        elif connection.position + 1 < len(attack_request.requests):
            connection.position += 1
            self._later(connection, time.monotonic() - self._begin_s + attack_request.pace_s)
        elif keep := self._keep_of(connection.fire):
            self._idle.setdefault(keep, []).append(connection)
        else:
            self._close(connection)

    def _on_end(self, connection: AttackConnection) -> None:
        """Handle a connection that the server ended."""
        if connection.is_asking and connection.answer.ends_with_connection:
            self._count(connection)
            self._close(connection)
        else:
            self._end(connection)

    def _count(self, connection: AttackConnection) -> None:
        status, tally = connection.answer.status, connection.tally
        if status in _REFUSALS:
            tally.refused += 1
        elif status >= 500:
            tally.failed += 1
        else:
            tally.ok += 1

    def _end(self, connection: AttackConnection, *, held: bool = False) -> None:
        """Close and count a connection without a complete answer. `held`: this side ended it."""
        tally = connection.tally
        if not connection.serial:
            # It never connected.
            tally.sent += 1
            tally.failed += 1
        elif connection.fire.attack_request.behaviour in _AWAITS_ANSWER:
            tally.failed += connection.is_asking
        elif held:
            tally.ok += 1
        else:
            tally.refused += 1
        self._close(connection)

    def _close(self, connection: AttackConnection) -> None:
        # Not asked of the socket: it is detached if wrapping it in TLS failed.
        if self._open.pop(connection.fd, None) is None:
            return
        connection.serial += 1
        kept = self._idle.get(self._keep_of(connection.fire))
        if kept and connection in kept:
            kept.remove(connection)
        connection.tally.connections -= 1
        connection.sock.close()


def _reset_at_close(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)


def _read(sock: socket.socket) -> bytes | None:
    """Return what came; b"" at the end of the connection; None if nothing came."""
    try:
        return sock.recv(_READ_BYTES)
    except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
        return None
    except OSError:
        return b""
