"""No client gets the answer to another request: the edge behind each proxy of deploy/, with clients that try
to make proxy and edge disagree on where a request ends.

Each proxy adds a unique id to the requests that it forwards (`X-Stamp`). A request that reaches the
application without exactly one new stamp was read out of another request's body. Beside each hostile
connection, a second client sends requests through the same proxy, and must get its own answers.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.deploy import desync_requests, fronts
from tests.deploy.fronts import NAME, PROXIES, Front, a_front
from tests.deploy.test_proxies import TRUST
from tests.edge.place import Place, a_place

MARKS = {
    "caddy": (r"^\treverse_proxy [^\n]*\{\n", "\theader_up X-Stamp {http.request.uuid}\n"),
    "nginx": (r"^ *proxy_set_header Host .*\n", "    proxy_set_header X-Stamp $request_id;\n"),
    "haproxy": (r"^frontend web\n", "    http-request set-header X-Stamp %[uuid()]\n"),
}
"""The mark for each proxy, and the line in its file after which it is inserted."""
SILENCE_S = 0.12
"""A connection silent for this long (seconds) is waiting for the rest of a request that never comes."""
SIDE_BY_SIDE = 8


class Marked:
    """Answers with the path and the mark of each request, and records violations."""

    def __init__(self) -> None:
        self.gate: Any = None
        self.seen: set[str] = set()
        self.wrong: list[str] = []
        self.answered = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close"})
            return
        marks = [value for name, value in scope["headers"] if name == b"x-stamp"]
        mark = b"".join(marks).decode("latin-1")
        if len(marks) != 1 or mark in self.seen:
            self.wrong.append(f"{scope['method']} {scope['path']} with the marks {marks}")
        self.seen.add(mark)
        while (message := await receive())["type"] != "http.disconnect" and message["more_body"]:
            pass
        self.answered += 1
        body = json.dumps({"path": scope["path"]}).encode()
        head = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        await send({"type": "http.response.body", "body": body})


class Neighbour:
    """A well-behaved client on a persistent connection."""

    def __init__(self, front: Front, name: str) -> None:
        self._front = front
        self._name = name
        self._asked = 0
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def leave(self) -> None:
        """Close the connection."""
        if self._streams is not None:
            await _close(self._streams[1])

    async def ask(self) -> str:
        """Return "" if the answer belongs to this client's request, else a description of what arrived."""
        self._asked += 1
        path = f"/id/{self._name}-{self._asked}"
        for _ in range(3):
            if self._streams is None:
                self._streams = await _connect(self._front)
            reader, writer = self._streams
            try:
                writer.write(f"GET {path} HTTP/1.1\r\nHost: {NAME}\r\n\r\n".encode())
                head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
                length = next(
                    int(line[15:])
                    for line in head.lower().split(b"\r\n")
                    if line.startswith(b"content-length:")
                )
                body = await asyncio.wait_for(reader.readexactly(length), 10)
            except (OSError, EOFError, asyncio.IncompleteReadError):
                # The proxy may close a persistent connection between two requests.
                await _close(writer)
                self._streams = None
                continue
            if body == json.dumps({"path": path}).encode():
                return ""
            if head.startswith(b"HTTP/1.1 50"):
                # The proxy reports that the connection behind it ended. No answers were mixed up.
                continue
            return f"{path} was answered with {head!r} {body!r}"
        return f"{path} was not answered"


async def _connect(front: Front) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", front.port, ssl=front.trust, server_hostname=NAME)


async def _close(writer: asyncio.StreamWriter) -> None:
    # Skip the TLS close handshake: a proxy that has already closed would not answer it.
    writer.transport.abort()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


async def _hostile(front: Front, number: str, data: bytes) -> str:
    """Send `data` on its own connection. Return "" if every answer belongs to one of its requests."""
    reader, writer = await _connect(front)
    received = b""
    try:
        for piece in desync_requests.pieces(random.Random(number), data):
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        while more := await asyncio.wait_for(reader.read(65_536), SILENCE_S):
            received += more
    except (TimeoutError, OSError):
        pass
    finally:
        await _close(writer)
    if b"neighbour" in received:
        return f"{data!r} was answered with the neighbour's {received!r}"
    return ""


async def _attack(front: Front, connections: list[tuple[str, bytes]]) -> list[str]:
    wrong: list[str] = []
    queue = iter(connections)

    async def side(name: str) -> None:
        neighbour = Neighbour(front, name)
        for number, data in queue:
            for found in (await _hostile(front, number, data), await neighbour.ask()):
                if found:
                    wrong.append(f"after {data!r}: {found}")
        await neighbour.leave()

    await asyncio.gather(*(side(f"neighbour-{n}") for n in range(SIDE_BY_SIDE)))
    return wrong


def attack(name: str, directory: Path, connections: list[tuple[str, bytes]]) -> None:
    """Send all connections through one proxy, and assert that no request was read out of another."""
    app = Marked()
    with a_place(app=app, edge=TRUST[name] | {"max_connections_per_address": 2000}) as place:
        with a_front(name, directory, edge_port=place.port, mark=MARKS[name]) as front:
            wrong = asyncio.run(_attack(front, connections))
        _assert_clean(place, app, wrong, len(connections))


def _assert_clean(place: Place, app: Marked, wrong: list[str], sent: int) -> None:
    found = wrong + place.call(lambda: list(app.wrong))
    assert not found, f"{len(found)} of {sent}:\n" + "\n".join(found[:10])
    # The neighbours alone make as many requests. Fewer would mean that the test did not run.
    assert app.answered >= sent


@pytest.mark.parametrize("name", sorted(PROXIES))
def test_no_answer_belongs_to_another_request(name: str, tmp_path: Path) -> None:
    written = [
        (number, data.replace(b"{id}", number.encode()))
        for n, (_, data) in enumerate(desync_requests.corpus())
        for number in [desync_requests.number_of(0, n)]
    ]
    attack(name, tmp_path / name, written + list(desync_requests.made(seed=1, count=400)))


@pytest.mark.prove
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", sorted(PROXIES))
def test_no_answer_of_twenty_thousand_belongs_to_another_request(name: str, tmp_path: Path) -> None:
    attack(name, tmp_path / name, list(desync_requests.made(seed=2026, count=20_000)))


def test_the_marks_stand_in_every_configuration() -> None:
    assert set(MARKS) == set(fronts.PROXIES)
    assert len(desync_requests.corpus()) >= 12
    assert Counter(data.count(b"{id}") > 0 for _, data in desync_requests.corpus()) == {
        True: len(desync_requests.corpus())
    }
