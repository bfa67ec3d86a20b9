"""A real edge with a small application, for the tests of `edge/`, and a client on bare sockets."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import uvloop

from stormpetrel.config import EdgeConfig, ShieldConfig
from stormpetrel.edge.server import EdgeServer
from stormpetrel.edge.worker import EdgeParts
from stormpetrel.shield.paths import API, FEED, SIGN_IN, Family, PathFacts, PathTable

SECRET = b"a secret that is long enough"
PAGE = b"".join(b"<p>line %d of a page that is worth compressing</p>\n" % n for n in range(200))

TEXT = [(b"content-type", b"text/plain")]


class App:
    """A small ASGI application. `scopes` are those of its calls, `renders` counts the hot pages that it
    rendered.
    """

    def __init__(self) -> None:
        self.scopes: list[Any] = []
        self.renders = 0
        self.gate: asyncio.Event | None = None
        self.tags: Callable[[str], list[str]] = lambda path: [f"path:{path}", "public"]
        self.page = PAGE
        self.cookie = False
        self.is_broken = False
        self.stream: Any = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.scopes.append(scope)
        path = scope.get("path", "")
        if scope["type"] == "websocket":
            await self.echo_socket(scope, receive, send)
        elif path.startswith(("/hot", "/assets/")):
            await self.hot_page(path, scope, send)
        else:
            ways = {
                "/echo": self.echo,
                "/held": self.held,
                "/stream": self.stream_of_parts,
                "/until-gone": self.until_gone,
                "/events": self.events,
                "/large": self.large,
                "/fails": self.fails,
                "/splits": self.splits,
                "/empty": self.empty,
            }
            await ways.get(path, self.named)(scope, receive, send)

    async def answer(self, send: Any, body: bytes, *, status: int = 200, headers: Any = TEXT) -> None:
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def begin(self, send: Any, body: bytes) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": TEXT})
        await send({"type": "http.response.body", "body": body, "more_body": True})

    async def until_disconnected(self, receive: Any) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self.scopes.append("gone")

    async def hot_page(self, path: str, scope: Any, send: Any) -> None:
        self.renders += 1
        if path.startswith("/hot/held") and self.gate is not None:
            await self.gate.wait()
        headers = [(b"content-type", b"text/html; charset=utf-8")]
        if self.cookie:
            headers.append((b"set-cookie", b"a=b"))
        if path.startswith("/hot/fails") or self.is_broken:
            raise RuntimeError("this page fails on purpose")
        if "hot" in scope and not path.startswith("/hot/private"):
            scope["hot"].keep(self.tags(path))
        status = 503 if path.startswith("/hot/busy") else 404 if path.startswith("/hot/missing") else 200
        await self.answer(send, self.page, status=status, headers=headers)

    async def echo(self, scope: Any, receive: Any, send: Any) -> None:
        body = b""
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message["body"]
            if not message["more_body"]:
                break
        await self.answer(send, scope["method"].encode() + b":" + body)

    async def held(self, scope: Any, receive: Any, send: Any) -> None:
        assert self.gate is not None
        await self.gate.wait()
        await self.answer(send, b"held")

    async def stream_of_parts(self, scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": TEXT})
        for n in range(3):
            await send({"type": "http.response.body", "body": b"part %d\n" % n, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async def until_gone(self, scope: Any, receive: Any, send: Any) -> None:
        scope["release_slot"]()
        await self.begin(send, b"open\n")
        await self.until_disconnected(receive)

    async def events(self, scope: Any, receive: Any, send: Any) -> None:
        await self.begin(send, b"begun\n")
        self.stream = scope["open_stream"](b"beat\n")
        await self.until_disconnected(receive)

    async def large(self, scope: Any, receive: Any, send: Any) -> None:
        await self.answer(send, b"x" * 8_000_000)

    async def fails(self, scope: Any, receive: Any, send: Any) -> None:
        raise RuntimeError("this fails on purpose")

    async def splits(self, scope: Any, receive: Any, send: Any) -> None:
        await self.answer(send, b"", headers=[(b"x-bad", b"a\r\nset-cookie: b=c")])

    async def empty(self, scope: Any, receive: Any, send: Any) -> None:
        await self.answer(send, b"", status=204, headers=[])

    async def named(self, scope: Any, receive: Any, send: Any) -> None:
        await self.answer(
            send, f"{scope['method']} {scope['path']} {scope['query_string'].decode()}".encode()
        )

    async def echo_socket(self, scope: Any, receive: Any, send: Any) -> None:
        assert (await receive())["type"] == "websocket.connect"
        path = scope["path"]
        if path == "/socket/broken":
            raise RuntimeError("this fails on purpose")
        if path == "/socket/undecided":
            await receive()
            return
        if not path.startswith("/socket"):
            await send({"type": "websocket.close"})
            return
        await send({"type": "websocket.accept"})
        if path == "/socket/breaks":
            raise RuntimeError("this fails on purpose")
        if path == "/socket/leaves":
            return
        while (message := await receive())["type"] != "websocket.disconnect":
            await send({"type": "websocket.send", "text": message["text"]})
        self.scopes.append(message)


def facts_of(path: bytes) -> PathFacts:
    """Return the facts of a path: those under /hot and /assets/ are cached, and of the query only `page` matters."""
    if path.startswith(b"/hot"):
        return PathFacts(exists=True, hot=frozenset({b"page"}))
    if path.startswith(b"/assets/"):
        return PathFacts(exists=True, hot=frozenset({b"page"}), has_cors=True, is_same_for_all=True)
    if path.startswith((b"/api/", b"/oauth/")):
        return PathFacts(exists=True, family=Family.API, kind=API, changing_kind=API, has_cors=True)
    if path.endswith(b".atom"):
        return PathFacts(exists=True, family=Family.FEED, kind=FEED, has_cors=True)
    return (
        PathFacts(exists=True, changing_kind=SIGN_IN) if path == b"/auth/sign_in" else PathFacts(exists=True)
    )


class Place:
    """A running edge: `port`, `server`, `app`. `call` runs a function in its loop."""

    def __init__(self, **keys: Any) -> None:
        self.app = keys.pop("app", None) or App()
        edge = EdgeConfig(**{"max_connections": 3000, **keys.pop("edge", {})})
        shield = ShieldConfig(**{"requests_per_5min": 0, **keys.pop("shield", {})})
        body_bytes = keys.pop("body_bytes", lambda path: 0)
        facts = keys.pop("facts", facts_of)
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(("127.0.0.1", keys.pop("port", 0)))
        self.port: int = sock.getsockname()[1]
        parts = EdgeParts(
            edge=edge,
            shield=shield,
            paths=PathTable(lambda path: replace(facts(path), body_bytes=body_bytes(path))),
            secret=SECRET,
            public_https=keys.pop("public_https", False),
            **keys,
        )
        self.server = EdgeServer(self.app, parts, sock=sock)
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: uvloop.run(self._main()), daemon=True)

    async def _main(self) -> None:
        self.loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        self.app.gate = asyncio.Event()
        await self.server.start()
        self._ready.set()
        await self.server.serve_until(self._stop)

    def start(self) -> None:
        self._thread.start()
        assert self._ready.wait(10)

    def begin_stop(self) -> None:
        self.loop.call_soon_threadsafe(self._stop.set)

    def stop(self) -> None:
        if self._thread.is_alive():
            with contextlib.suppress(RuntimeError):
                self.loop.call_soon_threadsafe(self.app.gate.set)
                self.begin_stop()
        self._thread.join(20)
        assert not self._thread.is_alive()

    def call(self, function: Callable[[], Any]) -> Any:
        """Run a function in the edge's loop and return its result."""

        async def run() -> Any:
            return function()

        return asyncio.run_coroutine_threadsafe(run(), self.loop).result(10)

    def until(self, condition: Callable[[], Any]) -> None:
        """Wait until the condition holds in the edge's loop. If it never does, the test's own time limit ends
        the wait.
        """
        pause = threading.Event()
        while not self.call(condition):
            pause.wait(0.005)

    def connect(self, *, source: str = "127.0.0.1", receive_buffer_bytes: int = 0) -> Client:
        return Client(self.port, source=source, receive_buffer_bytes=receive_buffer_bytes)

    def ask(self, data: bytes, **keys: Any) -> Answer:
        """Return the answer to one request on its own connection."""
        with self.connect(**keys) as client:
            return client.ask(data)


@contextlib.contextmanager
def a_place(**keys: Any) -> Iterator[Place]:
    place = Place(**keys)
    place.start()
    try:
        yield place
    finally:
        place.stop()


class Answer:
    """One answer: `status`, `headers` (names in lower case), `body`, `raw`."""

    def __init__(self, head: bytes, body: bytes) -> None:
        first, *lines = head.decode("latin-1").split("\r\n")
        self.status = int(first.split(" ")[1])
        pairs = [line.partition(":")[::2] for line in lines if line]
        self.headers = {name.lower(): value.strip() for name, value in pairs}
        self.names = [name.lower() for name, _ in pairs]
        self.body = body
        self.raw = head + b"\r\n\r\n" + body


class Client:
    """An HTTP client on a bare socket."""

    def __init__(self, port: int, *, source: str = "127.0.0.1", receive_buffer_bytes: int = 0) -> None:
        self.socket = socket.socket()
        if receive_buffer_bytes:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.settimeout(20)
        self.kept = b""
        try:
            self.socket.bind((source, 0))
            self.socket.connect(("127.0.0.1", port))
        except ConnectionResetError:
            # The edge accepted and reset the connection at once. The next read reports it as closed.
            pass
        except OSError:
            self.socket.close()
            raise

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def more(self) -> bytes:
        try:
            data = self.socket.recv(1_000_000)
        except TimeoutError:
            raise
        except OSError:
            return b""
        self.kept += data
        return data

    def answer(self, *, to_head: bool = False) -> Answer:
        """Return the next complete answer. Raise EOFError if the connection ends earlier."""
        while b"\r\n\r\n" not in self.kept:
            if not self.more():
                raise EOFError(self.kept)
        head, _, self.kept = self.kept.partition(b"\r\n\r\n")
        answer = Answer(head, b"")
        if to_head or answer.status in (101, 100, 204, 304):
            return answer
        if answer.headers.get("transfer-encoding") == "chunked":
            while not self.kept.endswith(b"0\r\n\r\n"):
                if not self.more():
                    raise EOFError(self.kept)
            body, self.kept = self.kept, b""
            return Answer(head, body)
        length = int(answer.headers["content-length"])
        while len(self.kept) < length:
            if not self.more():
                raise EOFError(self.kept)
        body, self.kept = self.kept[:length], self.kept[length:]
        return Answer(head, body)

    def ask(self, data: bytes) -> Answer:
        self.send(data)
        return self.answer(to_head=data.startswith(b"HEAD "))

    def rest(self) -> bytes:
        """Return everything up to the end of the connection."""
        while self.more():
            pass
        rest, self.kept = self.kept, b""
        return rest

    def is_closed(self) -> bool:
        """Wait until the other side ends the connection. Return True if it sent nothing more."""
        return self.rest() == b""


def get(path: str, *headers: str, method: str = "GET", version: str = "1.1") -> bytes:
    """Return the bytes of a request without a body."""
    lines = [f"{method} {path} HTTP/{version}", "Host: petrel.test", *headers, "", ""]
    return "\r\n".join(lines).encode("latin-1")


def post(path: str, body: bytes, *headers: str, method: str = "POST") -> bytes:
    """Return the bytes of a request with a body and its Content-Length."""
    return get(path, f"Content-Length: {len(body)}", *headers, method=method) + body
