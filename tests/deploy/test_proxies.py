"""Caddy, nginx and HAProxy with the configurations of deploy/, in front of a real edge: what they forward,
and how.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from tests.deploy.fronts import DEPLOY, NAME, PROXIES, STATUS_NAME, a_front
from tests.edge.place import Client, a_place, get, post
from tests.ports import reserved_ports

FORGED = ("X-Forwarded-For: 198.51.100.9", "Forwarded: for=198.51.100.9", "X-Real-IP: 198.51.100.9")
KEY = (
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: MTIzNDU2Nzg5MDEyMzQ1Ng==",
)
TRUST = {
    "caddy": {"trusted_proxies": "127.0.0.1"},
    "nginx": {"trusted_proxies": "127.0.0.1"},
    "haproxy": {"trusted_proxies": "127.0.0.2", "proxy_protocol": True},
}
"""The settings that each file requires of Stormpetrel."""
UPLOAD_BYTES = 3_000_000
UPLOAD_PATHS = ("/api/v1/media", "/api/v2/media", "/compose", "/settings/profile")


class App:
    """Answers at the paths that proxies might treat specially. `visits` holds the visits in order."""

    def __init__(self) -> None:
        self.visits: list[Any] = []
        self.stream: Any = None
        self.gate: Any = None
        self.gone = threading.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.visits.append(scope["visit"])
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.accept"})
            while (message := await receive())["type"] != "websocket.disconnect":
                await send({"type": "websocket.send", "text": message["text"]})
            self.gone.set()
        elif scope["path"].startswith("/api/v1/streaming"):
            await send(_start(b"text/event-stream"))
            await send({"type": "http.response.body", "body": b":)\n", "more_body": True})
            self.stream = scope["open_stream"](b":thump\n")
            while (await receive())["type"] != "http.disconnect":
                pass
            self.gone.set()
        else:
            size = 0
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    return
                size += len(message["body"])
                if not message["more_body"]:
                    break
            body = json.dumps({"address": scope["visit"].address, "bytes": size}).encode()
            await send(_start(b"application/json"))
            await send({"type": "http.response.body", "body": body})


def _start(kind: bytes) -> dict[str, Any]:
    return {"type": "http.response.start", "status": 200, "headers": [(b"content-type", kind)]}


def behind(name: str, **keys: Any) -> Any:
    """Run an instance configured as the front's file requires."""
    return a_place(
        app=App(),
        edge=TRUST[name],
        shield={"requests_per_5min": 6},
        body_bytes=lambda path: 2 * UPLOAD_BYTES if path.decode() in UPLOAD_PATHS else 1_048_576,
        **keys,
    )


@pytest.fixture(scope="module", params=list(PROXIES))
def fronted(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Yield a running proxy and the instance behind it. Each test uses its own addresses: the limit is 6
    requests.
    """
    name = request.param
    with behind(name) as place, a_front(name, tmp_path_factory.mktemp(name), edge_port=place.port) as front:
        yield SimpleNamespace(place=place, front=front, app=place.app)


def asked(path: str, *headers: str, **keys: Any) -> bytes:
    return get(path, *headers, **keys).replace(b"petrel.test", NAME.encode())


def test_two_clients_behind_one_proxy_have_ceilings_of_their_own_whatever_they_claim(fronted):
    with (
        fronted.front.connect(source="127.0.0.21") as one,
        fronted.front.connect(source="127.0.0.22") as other,
    ):
        first = [one.ask(asked("/api/v1/x", *FORGED)) for _ in range(8)]
        assert [answer.status for answer in first] == [200] * 6 + [429] * 2
        assert {json.loads(answer.body)["address"] for answer in first[:6]} == {"127.0.0.21"}
        refused = first[-1]
        assert int(refused.headers["retry-after"]) >= 1
        assert refused.headers["x-ratelimit-limit"] == "6"
        assert "error" in json.loads(refused.body)
        second = [other.ask(asked("/api/v1/x", "X-Forwarded-For: 127.0.0.21")) for _ in range(6)]
        assert [(answer.status, json.loads(answer.body)["address"]) for answer in second] == [
            (200, "127.0.0.22")
        ] * 6
    with fronted.front.connect(source="127.0.0.21") as again:
        assert again.ask(asked("/api/v1/x")).status == 429
    assert fronted.place.server.counts.dropped == {}
    assert fronted.place.server.counts.closed["proxy-header"] == 0


def test_events_pass_one_by_one_and_the_end_is_noticed(fronted):
    app = fronted.app
    app.gone.clear()
    with fronted.front.connect(source="127.0.0.31") as client:
        client.send(asked("/api/v1/streaming/user", "Accept: text/event-stream"))
        assert client.answer(to_head=True).status == 200
        for event in (b"event: one\n\n", b"event: two\n\n"):
            fronted.place.until(lambda: app.stream is not None)
            assert fronted.place.call(lambda event=event: app.stream.push(event))
            # The event arrives although nothing follows it.
            while event not in client.kept:
                assert client.more()
        assert app.visits[-1].address == "127.0.0.31"
    assert app.gone.wait(10)
    app.stream = None


def frame(text: bytes) -> bytes:
    """Return a masked text frame, as clients send it."""
    mask = b"\x01\x02\x03\x04"
    return b"\x81" + bytes([0x80 | len(text)]) + mask + bytes(c ^ mask[n % 4] for n, c in enumerate(text))


def test_websockets_pass(fronted):
    fronted.app.gone.clear()
    with fronted.front.connect(source="127.0.0.41") as client:
        answer = client.ask(asked("/api/v1/streaming", *KEY, *FORGED))
        assert answer.status == 101
        for text in (b"hello", b"again"):
            client.send(frame(text))
            wanted = bytes([0x81, len(text)]) + text
            while wanted not in client.kept:
                assert client.more()
        assert fronted.app.visits[-1].address == "127.0.0.41"
    assert fronted.app.gone.wait(10)


def test_uploads_pass_where_files_are_taken_and_are_refused_in_json_elsewhere(fronted):
    body = os.urandom(UPLOAD_BYTES)
    with fronted.front.connect(source="127.0.0.51") as client:
        for path in UPLOAD_PATHS:
            data = post(path, body, "Authorization: Bearer of-a-member").replace(
                b"petrel.test", NAME.encode()
            )
            answer = client.ask(data)
            assert (answer.status, json.loads(answer.body)["bytes"]) == (200, UPLOAD_BYTES)
    with fronted.front.connect(source="127.0.0.52") as client:
        client.send(asked("/api/v1/statuses", f"Content-Length: {UPLOAD_BYTES}", method="POST"))
        for at in range(0, UPLOAD_BYTES, 10_000):
            # Like browsers, continue with the body until an answer arrives. (Caddy sends none if the client
            # stops.)
            client.send(body[at : at + 10_000])
            client.socket.settimeout(0.05)
            with contextlib.suppress(TimeoutError):
                if client.more():
                    break
            client.socket.settimeout(20)
        answer = client.answer()
        assert answer.status == 413
        assert "error" in json.loads(answer.body)


def test_connections_to_the_place_are_kept_and_one_connection_serves_many(fronted):
    place = fronted.place
    before = place.server.counts.accepted
    with fronted.front.connect(source="127.0.0.61") as client:
        assert [client.ask(asked("/x")).status for _ in range(5)] == [200] * 5
    if fronted.front.name != "haproxy":
        with fronted.front.connect(source="127.0.0.62") as client:
            assert json.loads(client.ask(asked("/x")).body)["address"] == "127.0.0.62"
    assert place.server.counts.accepted <= before + 1


def test_plain_http_is_sent_on_to_https(fronted):
    with socket.create_connection(("127.0.0.1", fronted.front.plain_port), 10) as plain:
        plain.sendall(asked("/x?y=1", "Connection: close"))
        head = b""
        while data := plain.recv(65536):
            head += data
    status, _, headers = head.decode().partition("\r\n")
    assert status.split()[1] in ("301", "308")
    assert f"https://{NAME}/x?y=1" in headers or f"https://{NAME}:{fronted.front.port}/x?y=1" in headers


def test_haproxy_passes_a_certificates_challenge_for_both_names_to_certbot(tmp_path):
    certbot = (
        r"^backend certbot$",
        "\n    http-request return status 200 content-type text/plain string proof",
    )
    with (
        behind("haproxy") as place,
        a_front("haproxy", tmp_path, edge_port=place.port, mark=certbot) as front,
    ):
        for name in (NAME, STATUS_NAME):
            with Client(front.plain_port) as plain:
                plain.send(get("/.well-known/acme-challenge/x").replace(b"petrel.test", name.encode()))
                answer = plain.answer()
            assert (name, answer.status, answer.body) == (name, 200, b"proof")


@pytest.mark.parametrize(
    ("name", "file"), [("caddy", "Caddyfile"), ("nginx", "nginx.conf"), ("haproxy", "haproxy.cfg")]
)
def test_each_file_says_what_stormpetrel_has_to_believe(name, file):
    text = (DEPLOY / file).read_text(encoding="utf-8")
    assert f'edge.trusted_proxies = "{TRUST[name]["trusted_proxies"]}"' in text
    assert ("edge.proxy_protocol = true" in text) == ("proxy_protocol" in TRUST[name])


@pytest.mark.parametrize("name", list(PROXIES))
def test_a_restart_is_waited_for_or_told_in_the_callers_language(name, tmp_path):
    with contextlib.ExitStack() as stack:
        (edge_port,) = stack.enter_context(reserved_ports(1))
        front = stack.enter_context(a_front(name, tmp_path, edge_port=edge_port))
        app = stack.enter_context(front.connect(source="127.0.0.71"))
        if name == "nginx":
            for path, begin in (("/api/v1/x", b'{"error":'), ("/x", b"The server")):
                answer = app.ask(asked(path))
                assert (answer.status, answer.headers["retry-after"]) == (503, "5")
                assert answer.body.startswith(begin)
        else:
            app.send(asked("/api/v1/x"))
        stack.enter_context(behind(name, port=edge_port))
        answer = app.ask(asked("/api/v1/x")) if name == "nginx" else app.answer()
        assert (answer.status, json.loads(answer.body)["address"]) == (200, "127.0.0.71")
