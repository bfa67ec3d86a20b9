"""nginx and HAProxy in front of an instance, as in `--compare`: real ones, started and stopped here."""

from __future__ import annotations

import contextlib
import http.client
import http.server
import os
import selectors
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from stormpetrel.drill import fronts
from stormpetrel.drill.fronts import FRONTS, SHIPPED, Front, FrontUnavailable
from stormpetrel.proxies import versions
from tests.parts import require

AT_ONCE = {"nginx": 21, "haproxy": 20}
"""How many of many simultaneous requests are served. nginx: 20 and those that trickle in. HAProxy: 20 in ten
seconds.
"""
NOTHING_LISTENS = 9
"""A port (discard), for tests that send no request."""


may_answer = threading.Event()
"""/held waits until this event is set."""


class Echo(http.server.BaseHTTPRequestHandler):
    """Answers with the client's address, as forwarded by the proxy."""

    def do_GET(self) -> None:
        if self.path == "/held":
            may_answer.wait(20)
        body = ",".join(self.headers.get_all("X-Forwarded-For", [])).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@pytest.fixture(scope="module")
def upstream_port() -> Iterator[int]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.fixture(params=FRONTS)
def front_name(request: pytest.FixtureRequest) -> str:
    require(request.param)
    return str(request.param)


@pytest.fixture
def front(front_name: str, upstream_port: int) -> Iterator[Front]:
    with FRONTS[front_name](upstream_port=upstream_port) as running:
        yield running


def ask(front: Front, source: str, **headers: str) -> tuple[int, bytes]:
    """Return the status and body of one request on its own connection."""
    connection = http.client.HTTPConnection("127.0.0.1", front.port, timeout=10, source_address=(source, 0))
    try:
        connection.request("GET", "/", headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_the_server_is_told_the_clients_address_and_nothing_that_the_client_says_of_it(front):
    assert ask(front, "127.44.5.6") == (200, b"127.44.5.6")
    assert ask(front, "127.44.5.7", **{"X-Forwarded-For": "127.99.9.9"}) == (200, b"127.44.5.7")


def test_many_requests_from_one_address_are_refused_with_429_and_another_address_is_not(front):
    got = Counter(ask(front, "127.200.1.1")[0] for _ in range(40))
    assert set(got) == {200, 429}
    # On a slow machine time passes between the requests, and a few more get through.
    assert AT_ONCE[front.name] - 1 <= got[200] <= AT_ONCE[front.name] + 8
    assert ask(front, "127.200.1.2")[0] == 200


def test_of_many_connections_of_one_address_ten_are_served(front):
    """The rest are reset (HAProxy, some of them while connecting) or refused with 429 (nginx)."""
    may_answer.clear()
    with contextlib.ExitStack() as stack, selectors.DefaultSelector() as selector:
        stack.callback(may_answer.set)
        sockets = []
        for _ in range(14):
            sock = stack.enter_context(socket.socket())
            sock.settimeout(10)
            sock.bind(("127.201.1.1", 0))
            with contextlib.suppress(ConnectionResetError):
                sock.connect(("127.0.0.1", front.port))
                sockets.append(sock)
        for one in sockets:
            with contextlib.suppress(ConnectionError):
                one.sendall(b"GET /held HTTP/1.1\r\nHost: place.example\r\nConnection: close\r\n\r\n")
            selector.register(one, selectors.EVENT_READ)
        turned_away: dict[object, bytes] = {}
        while len(turned_away) < len(sockets) - 10:
            for key, _ in selector.select(10):
                selector.unregister(key.fileobj)
                turned_away[key.fileobj] = read_all(key.fileobj)  # type: ignore[arg-type]
        assert ask(front, "127.201.1.2")[0] == 200
        may_answer.set()
        assert all(data == b"" or data.startswith(b"HTTP/1.1 429 ") for data in turned_away.values())
        served = [read_all(one) for one in sockets if one not in turned_away]
    assert len(served) == 10
    assert all(data.startswith(b"HTTP/1.") and b" 200 " in data[:15] for data in served)


def read_all(sock: socket.socket) -> bytes:
    data = b""
    try:
        while part := sock.recv(65_536):
            data += part
    except ConnectionResetError:
        pass
    return data


def test_its_work_is_counted_and_nothing_of_it_is_left_when_it_stops(front_name, upstream_port):
    with FRONTS[front_name](upstream_port=upstream_port) as running:
        directory = Path(os.readlink(f"/proc/{running.pid}/cwd"))
        assert directory.name.startswith(f"stormpetrel-drill-{front_name}-")
        # The kernel counts in steps of 10 ms. The number of requests that this takes depends on the machine.
        for number in range(5000):
            ask(running, f"127.202.{number // 200 + 1}.{number % 200 + 1}")
            if running.cpu_s() > 0:
                break
        assert running.cpu_s() > 0
    assert not Path(f"/proc/{running.pid}").exists()
    assert not directory.exists()
    assert running.cpu_s() == 0
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", running.port)) != 0


@pytest.mark.parametrize("name", SHIPPED)
def test_other_users_cannot_read_the_key_of_a_shipped_front(name):
    require(name)
    with fronts.shipped(name, upstream_port=NOTHING_LISTENS, status_port=NOTHING_LISTENS) as running:
        assert running.certificate is not None
        directory = Path(os.readlink(f"/proc/{running.pid}/cwd"))
        files = [path for path in (running.certificate, *directory.rglob("*")) if path.is_file()]
        modes = [path.stat().st_mode & 0o077 for path in files if b"PRIVATE KEY" in path.read_bytes()]
    assert modes
    assert not any(modes)


@pytest.mark.parametrize("name", FRONTS)
def test_what_is_not_installed_says_how_to_get_it(name, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(versions, "SBIN", str(tmp_path))
    wanted = f"{name} is not installed.*sudo apt-get install -y {name}"
    with pytest.raises(FrontUnavailable, match=wanted), FRONTS[name](upstream_port=1):
        pytest.fail("it started")
    assert name in fronts.missing(name)


def test_what_is_installed_is_not_missing(front_name):
    assert fronts.missing(front_name) == ""


def test_a_front_that_does_not_start_says_what_it_said(front_name, upstream_port, monkeypatch):
    monkeypatch.setattr(fronts, f"{front_name.upper()}_CONFIGURATION", "no such thing;\n")
    said = f"{front_name} did not start: .+"
    with pytest.raises(FrontUnavailable, match=said), FRONTS[front_name](upstream_port=upstream_port):
        pytest.fail("it started")


# In front of a real instance -----------------------------------------------------------------------------


def first_bytes(port: int, head: str, *, until: bytes) -> bytes:
    """Send a request, return the answer up to `until`, and close the connection."""
    with socket.create_connection(("127.0.0.1", port), 10, ("127.43.1.1", 0)) as sock:
        sock.sendall(head.replace("\n", "\r\n").encode())
        data = b""
        while until not in data and (part := sock.recv(65_536)):
            data += part
        return data


def test_pages_events_and_websockets_pass_through_it(front_name, quiet_place):
    upstream = int(quiet_place.base_url.rpartition(":")[2])
    with FRONTS[front_name](upstream_port=upstream) as running:
        host = f"Host: 127.0.0.1:{running.port}\n"
        page = first_bytes(
            running.port, f"GET /about HTTP/1.1\n{host}Connection: close\n\n", until=b"</html>"
        )
        assert page.startswith(b"HTTP/1.1 200 ")
        events = first_bytes(running.port, f"GET /api/v1/streaming/public HTTP/1.1\n{host}\n", until=b":)\n")
        assert b"text/event-stream" in events
        assert b":)\n" in events
        switched = first_bytes(
            running.port,
            f"GET /api/v1/streaming?stream=public HTTP/1.1\n{host}Connection: Upgrade\nUpgrade: websocket\n"
            "Sec-WebSocket-Version: 13\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\n\n",
            until=b"\r\n\r\n",
        )
        assert switched.startswith(b"HTTP/1.1 101 ")
