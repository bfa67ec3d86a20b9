"""The attackers' sockets against servers that answer in every possible way."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from stormpetrel.drill import engine
from stormpetrel.drill.attack_connection import Fire, Tally
from stormpetrel.drill.engine import Engine
from stormpetrel.drill.loopback import Address, TrafficBudget
from stormpetrel.drill.tls import TlsName, make_certificate
from stormpetrel.drill.vectors.attack_requests import AttackRequest, Behaviour

ASKED = b"GET / HTTP/1.1\r\nHost: place.example\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
Talk = Callable[[socket.socket], None]


@contextmanager
def server(talk: Talk) -> Iterator[tuple[int, list[str]]]:
    """Run a server that calls `talk` for each connection. Yield its port and the clients' addresses."""
    came: list[str] = []

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            came.append(self.client_address[0])
            self.request.settimeout(10)
            with contextlib.suppress(OSError):  # the attackers hung up first
                talk(self.request)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        request_queue_size = 128

    with Server(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield running.server_address[1], came
        finally:
            running.shutdown()
            thread.join()


def requests_of(sock: socket.socket) -> Iterator[bytes]:
    """Yield the requests of a connection, one by one."""
    data = b""
    while part := sock.recv(65_536):
        data += part
        while b"\r\n\r\n" in data:
            head, _, data = data.partition(b"\r\n\r\n")
            yield head


def answers(*pieces: bytes) -> Talk:
    """Return a `talk` that answers each request with these pieces, with pauses so that each arrives
    separately.
    """

    def talk(sock: socket.socket) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in requests_of(sock):
            for piece in pieces:
                sock.sendall(piece)
                if len(pieces) > 1:
                    time.sleep(0.01)

    return talk


def fire(
    port: int,
    *attack_requests: AttackRequest,
    seconds: float = 5.0,
    until_s: float = 1.0,
    most: int = 0,
    connections: int = 1000,
) -> tuple[Counter[str], Engine]:
    """Fire the attack requests and return the counts and the engine."""
    total: Counter[str] = Counter()

    def each_second(_: int, tallies: dict[str, Tally]) -> None:
        for tally in tallies.values():
            for name in ("sent", "ok", "refused", "failed"):
                total[name] += getattr(tally, name)
            total["connections"] = max(total["connections"], tally.connections)

    made = Engine(
        Address("127.0.0.1", port),
        budget=TrafficBudget.of(connections=connections, seconds=60),
        begin_s=time.monotonic(),
        each_second=each_second,
    )
    made.run(
        (
            Fire(attack_request.at_s, until_s, "A3", attack_request, most)
            for attack_request in attack_requests
        ),
        seconds=seconds,
    )
    return +total, made


def ask(at_s: float = 0.0, *, source: str = "127.200.1.1", keep: str = "") -> AttackRequest:
    return AttackRequest(at_s, source, (ASKED,), keep=keep)


@pytest.mark.parametrize(
    "pieces",
    [
        (ANSWER,),
        (b"HTTP/1.1 200 OK\r\nContent-Le", b"ngth: 5\r\n\r\nhe", b"llo"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n", b"0\r", b"\n\r\n"),
        (b"HTTP/1.1 100 Continue\r\n\r\n", ANSWER),
        (b"HTTP/1.1 204 No Content\r\n\r\n",),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",),
    ],
)
def test_a_complete_answer_is_counted_once_however_it_comes(pieces):
    with server(answers(*pieces)) as (port, came):
        assert fire(port, ask(source="127.200.7.7"))[0] == {"sent": 1, "ok": 1}
    assert came == ["127.200.7.7"]


def test_an_answer_may_end_with_the_connection():
    def talk(sock: socket.socket) -> None:
        next(requests_of(sock))
        sock.sendall(b"HTTP/1.1 200 OK\r\n\r\nas much as there is")

    with server(talk) as (port, _):
        assert fire(port, ask())[0] == {"sent": 1, "ok": 1}


@pytest.mark.parametrize(
    ("status", "counted"),
    [(429, "refused"), (503, "refused"), (403, "refused"), (408, "refused"), (500, "failed")],
)
def test_refusals_and_failures_are_told_apart(status, counted):
    with server(answers(b"HTTP/1.1 %d No\r\nContent-Length: 0\r\n\r\n" % status)) as (port, _):
        assert fire(port, ask())[0] == {"sent": 1, counted: 1}


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe", b"garbage\r\n\r\n"])
def test_an_answer_that_is_none_is_a_failure(said):
    def talk(sock: socket.socket) -> None:
        next(requests_of(sock))
        sock.sendall(said)

    with server(talk) as (port, _):
        assert fire(port, ask())[0] == {"sent": 1, "failed": 1}


def test_who_gets_no_answer_gives_up(monkeypatch):
    monkeypatch.setattr(engine, "ANSWER_TIMEOUT_S", 0.1)
    with server(lambda sock: list(requests_of(sock)) and None) as (port, _):
        assert fire(port, ask())[0] == {"sent": 1, "failed": 1}


# Persistent connections ----------------------------------------------------------------------------------


def test_a_kept_connection_is_used_again_for_the_same_word_only():
    with server(answers(ANSWER)) as (port, came):
        # Far enough apart for each to be answered before the next, on a busy machine too.
        attack_requests = (*(ask(number / 3, keep="one") for number in range(5)), ask(2.0, keep="other"))
        total, _ = fire(port, *attack_requests, until_s=3.0)
    assert total["ok"] == total["sent"] == 6
    assert len(came) == 2


@pytest.mark.parametrize("has_tls", [False, True])
def test_two_vectors_of_one_source_share_neither_connections_nor_counts(has_tls, tmp_path):
    pem = tmp_path / "front.pem"
    make_certificate(pem, ("place.example",))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pem)

    def talk(sock: socket.socket) -> None:
        with context.wrap_socket(sock, server_side=True) if has_tls else sock as talking:
            answers(ANSWER)(talking)

    sent: Counter[str] = Counter()
    connections: Counter[str] = Counter()

    def each_second(_: int, tallies: dict[str, Tally]) -> None:
        for name, tally in tallies.items():
            assert tally.ok == tally.sent
            sent[name] += tally.sent
            connections[name] = max(connections[name], tally.connections)

    with server(talk) as (port, came):
        made = Engine(
            Address("127.0.0.1", port),
            budget=TrafficBudget.of(connections=1000, seconds=60),
            begin_s=time.monotonic(),
            each_second=each_second,
            tls=TlsName(pem, "place.example") if has_tls else None,
        )
        # With TLS, a source keeps its connection without a word.
        attack_request = ask(keep="" if has_tls else "one")
        planned = ((0.0, "A6"), (0.3, "A16"), (0.6, "A16"))
        made.run((Fire(at_s, 2.0, name, attack_request, 0) for at_s, name in planned), seconds=1.5)
    assert sent == {"A6": 1, "A16": 2}
    assert connections == {"A6": 1, "A16": 1}
    assert len(came) == 2


def test_a_kept_connection_that_is_busy_is_not_waited_for():
    may_answer = threading.Event()

    def talk(sock: socket.socket) -> None:
        for _ in requests_of(sock):
            may_answer.wait(10)
            sock.sendall(ANSWER)

    with server(talk) as (port, came):
        timer = threading.Timer(0.3, may_answer.set)
        timer.start()
        total, _ = fire(port, ask(0.0, keep="one"), ask(0.1, keep="one"))
        timer.join()
    assert total["ok"] == 2
    assert len(came) == 2


@pytest.mark.parametrize("close", ["said", "done"])
def test_a_connection_that_the_server_ends_is_replaced(close):
    def talk(sock: socket.socket) -> None:
        next(requests_of(sock))
        sock.sendall(
            ANSWER if close == "done" else ANSWER.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
        )

    with server(talk) as (port, came):
        total, _ = fire(port, ask(0.0, keep="one"), ask(0.2, keep="one"))
    assert total == {"sent": 2, "ok": 2}
    assert len(came) == 2


def test_somebody_who_reads_on_asks_one_thing_after_the_other_on_the_same_connection():
    paths: list[bytes] = []

    def talk(sock: socket.socket) -> None:
        for head in requests_of(sock):
            paths.append(head.split(b" ")[1])
            sock.sendall(ANSWER)

    requests = tuple(ASKED.replace(b"/ ", path + b" ") for path in (b"/a", b"/b", b"/c"))
    with server(talk) as (port, came):
        total, _ = fire(port, AttackRequest(0.0, "127.200.1.1", requests, pace_s=0.05))
    assert total == {"sent": 3, "ok": 3}
    assert paths == [b"/a", b"/b", b"/c"]
    assert len(came) == 1


def test_nobody_reads_on_when_the_phase_is_over():
    requests = (ASKED, ASKED)
    with server(answers(ANSWER)) as (port, _):
        total, _ = fire(port, AttackRequest(0.0, "127.200.1.1", requests, pace_s=2.0))
    assert total["sent"] == total["ok"] == 1


# Held connections ----------------------------------------------------------------------------------------


def test_a_slow_sender_drips_byte_by_byte_until_the_server_has_enough():
    got: list[bytes] = []

    def talk(sock: socket.socket) -> None:
        data = b""
        while not data.endswith(b"abc"):
            data += sock.recv(100)
        got.append(data)

    attack_request = AttackRequest(
        0.0, "127.200.1.1", (b"GET / HTTP/1.1\r\n", b"abcdefgh"), Behaviour.SLOW_SEND, pace_s=0.02
    )
    with server(talk) as (port, _):
        total, _ = fire(port, attack_request)
    assert total["sent"] == total["refused"] == 1
    assert got == [b"GET / HTTP/1.1\r\nabc"]


@pytest.mark.parametrize(
    "behaviour", [Behaviour.SILENT, Behaviour.NO_READ, Behaviour.SLOW_SEND, Behaviour.LISTEN]
)
def test_what_is_held_until_the_end_of_the_phase_is_ok_and_what_the_server_ends_is_refused(behaviour):
    def attack_request(at_s: float) -> AttackRequest:
        return AttackRequest(
            at_s, "127.200.1.1", () if behaviour is Behaviour.SILENT else (b"G", b"ET"), behaviour, pace_s=0.3
        )

    with server(lambda sock: list(requests_of(sock)) and None) as (port, _):
        assert fire(port, attack_request(0.0))[0] == {"sent": 1, "ok": 1, "connections": 1}
    with server(lambda sock: None) as (port, _):
        total = fire(port, attack_request(0.0))[0]
    assert total["sent"] == total["refused"] == 1


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n",
    ],
)
def test_a_stream_is_listened_to_for_a_while_and_then_left(head):
    seen_end = threading.Event()

    def talk(sock: socket.socket) -> None:
        for _ in requests_of(sock):
            sock.sendall(head)
            sock.sendall(b"3\r\n:)\n\r\n")
        seen_end.set()

    with server(talk) as (port, _):
        total, _ = fire(port, AttackRequest(0.0, "127.200.1.1", (ASKED,), Behaviour.LISTEN, hold_s=0.2))
        assert seen_end.wait(10)
    assert total["sent"] == total["ok"] == 1


def test_a_stream_that_is_refused_is_left_at_once():
    with server(answers(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n")) as (port, _):
        total, _ = fire(port, AttackRequest(0.0, "127.200.1.1", (ASKED,), Behaviour.LISTEN, hold_s=60.0))
    assert total == {"sent": 1, "refused": 1}


def test_who_vanishes_leaves_nothing_open():
    with server(answers(ANSWER)) as (port, _):
        total, _ = fire(
            port, *(AttackRequest(0.0, "127.200.1.1", (ASKED,), Behaviour.RESET) for _ in range(20))
        )
    assert total == {"sent": 20}


@pytest.mark.parametrize(
    ("piece", "outcome"),
    [
        (b"\x16\x03\x03\0\x01\x02", "ok"),
        (b"\x15\x03\x03\0\x02\x02\x28", "refused"),
        (ANSWER, "refused"),
        (b"", "failed"),
    ],
)
def test_a_handshake_is_left_once_the_server_has_answered(piece, outcome):
    got: list[bytes] = []

    def talk(sock: socket.socket) -> None:
        got.append(sock.recv(4096))
        if piece:
            sock.sendall(piece)
            sock.recv(4096)  # until the attackers leave

    with server(talk) as (port, _):
        total, _ = fire(
            port, *(AttackRequest(0.0, "127.200.1.1", behaviour=Behaviour.HELLO) for _ in range(3))
        )
    assert total == {"sent": 3, outcome: 3}
    # A record of a handshake that holds a ClientHello with the name of the server, each with another random value.
    assert all(data[0] == 0x16 and data[5] == 0x01 and b"localhost" in data for data in got)
    assert len(set(got)) == 3


def test_frames_of_http2_are_sent_whole_and_their_answers_dropped():
    frames = b"x" * 4_000_000
    got = [0]

    def talk(sock: socket.socket) -> None:
        sock.sendall(b"a" * 1000)
        while data := sock.recv(1_000_000):
            got[0] += len(data)

    with server(talk) as (port, _):
        total, _ = fire(port, AttackRequest(0.0, "127.200.1.1", (frames,), Behaviour.HTTP2, hold_s=0.8))
    assert total == {"sent": 1, "ok": 1}
    assert got == [4_000_000]


# Bounds --------------------------------------------------------------------------------------------------


def test_no_more_sockets_than_the_vector_may_have_are_open():
    attack_requests = [AttackRequest(0.0, "127.200.1.1", (), Behaviour.SILENT) for _ in range(10)]
    with server(lambda sock: list(requests_of(sock)) and None) as (port, came):
        total, made = fire(port, *attack_requests, most=4)
    assert total["sent"] == total["connections"] == len(came) == 4
    assert made.skipped == 6


def test_a_shot_that_is_far_too_late_is_left_out():
    with server(answers(ANSWER)) as (port, _):
        total, made = fire(port, ask(-engine.MAX_LAG_S - 1.0), ask(0.0))
    assert total["sent"] == 1
    assert made.skipped == 1


def test_when_the_budget_is_spent_everything_is_closed():
    attack_requests = [AttackRequest(0.0, "127.200.1.1", (), Behaviour.SILENT) for _ in range(10)]
    ended: list[bytes] = []
    with server(lambda sock: ended.append(sock.recv(1))) as (port, _):
        total, _ = fire(port, *attack_requests, connections=3)
        assert total["sent"] == 3
    assert set(ended) <= {b""}


def test_the_end_of_the_run_closes_what_is_open():
    with server(lambda sock: list(requests_of(sock)) and None) as (port, _):
        began_s = time.monotonic()
        total, _ = fire(
            port, AttackRequest(0.0, "127.200.1.1", (), Behaviour.SILENT), seconds=0.3, until_s=60.0
        )
        assert time.monotonic() - began_s < 30
    assert total["sent"] == 1
