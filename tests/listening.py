"""Clients of the streaming API: a WebSocket, and an event stream read from a bare socket."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode, urlsplit

from websockets.sync.client import ClientConnection, connect

TIMEOUT_S = 20.0


class Listening:
    """A WebSocket. Messages are (stream, event, payload), the payload decoded."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    def next(self) -> tuple[list[str], str, Any]:
        """Return the next message, which must not be an error. The payload of a delete is an id."""
        message = self.raw()
        assert "error" not in message, message
        event, payload = message["event"], message.get("payload")
        if event != "delete" and payload is not None:
            payload = json.loads(payload)
        return message["stream"], event, payload

    def raw(self) -> dict[str, Any]:
        """Return the next message, only parsed."""
        message: dict[str, Any] = json.loads(self.connection.recv(timeout=TIMEOUT_S))
        return message

    def until(self, event: str, payload_id: str) -> list[tuple[list[str], str, str]]:
        """Return all messages up to the event about that id, as (stream, event, id)."""
        seen = []
        while True:
            stream, name, payload = self.next()
            about = payload if isinstance(payload, str) else str(payload["id"])
            seen.append((stream, name, about))
            if (name, about) == (event, payload_id):
                return seen

    def say(self, **wish: Any) -> None:
        """Send one message to the server."""
        self.connection.send(json.dumps(wish))

    def settled(self) -> None:
        """Wait until the server has processed every message sent so far: it answers in order."""
        self.say(type="nothing of that name")
        answer = self.raw()
        assert answer == {"error": "Unknown message type", "status": 400}, answer


def address_of(base_url: str, **parameters: str) -> str:
    """Return the WebSocket's URL."""
    query = f"?{urlencode(parameters)}" if parameters else ""
    return f"ws{base_url.removeprefix('http')}/api/v1/streaming{query}"


@contextlib.contextmanager
def listening(base_url: str, token: str | None = None, **parameters: str) -> Iterator[Listening]:
    """Yield a WebSocket. The token goes in the subprotocol, as browsers send it."""
    subprotocols: Any = None if token is None else [token]
    with connect(
        address_of(base_url, **parameters),
        subprotocols=subprotocols,
        open_timeout=TIMEOUT_S,
        proxy=None,
        compression=None,
    ) as connection:
        assert connection.subprotocol == token
        yield Listening(connection)


class Events:
    """An event stream as received: `status`, `headers` (names in lower case), then lines."""

    def __init__(
        self, base_url: str, path: str, *, token: str | None = None, method: str = "GET", version: str = "1.1"
    ) -> None:
        url = urlsplit(base_url)
        assert url.hostname is not None
        self.socket = socket.create_connection((url.hostname, url.port or 80), timeout=TIMEOUT_S)
        lines = [f"{method} {path} HTTP/{version}", f"Host: {url.netloc}"]
        if token is not None:
            lines.append(f"Authorization: Bearer {token}")
        self.socket.sendall("\r\n".join([*lines, "", ""]).encode())
        self._kept = b""
        head = self._until(b"\r\n\r\n").decode()
        first, *rest = head.removesuffix("\r\n\r\n").split("\r\n")
        self.status = int(first.split(" ")[1])
        self.headers = {
            name.lower(): value.strip() for name, _, value in (one.partition(":") for one in rest)
        }
        self._is_chunked = self.headers.get("transfer-encoding") == "chunked"
        self._text = b""

    def __enter__(self) -> Events:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def _until(self, end: bytes) -> bytes:
        while end not in self._kept:
            data = self.socket.recv(65_536)
            if not data:
                raise EOFError(self._kept)
            self._kept += data
        at = self._kept.index(end) + len(end)
        found, self._kept = self._kept[:at], self._kept[at:]
        return found

    def _more(self) -> None:
        if not self._is_chunked:
            data = self._kept or self.socket.recv(65_536)
            self._kept = b""
            if not data:
                raise EOFError
            self._text += data
            return
        size = int(self._until(b"\r\n"), 16)
        while len(self._kept) < size + 2:
            data = self.socket.recv(65_536)
            if not data:
                raise EOFError
            self._kept += data
        self._text += self._kept[:size]
        self._kept = self._kept[size + 2 :]
        if not size:
            raise EOFError("complete")

    def line(self) -> str:
        """Return the next line. Raise EOFError("complete") at a clean end."""
        while b"\n" not in self._text:
            self._more()
        line, _, self._text = self._text.partition(b"\n")
        return line.decode()

    def next(self) -> tuple[str, Any]:
        """Return the next (event, payload)."""
        name = ""
        while True:
            line = self.line()
            if line.startswith("event: "):
                name = line.removeprefix("event: ")
            elif line.startswith("data: "):
                data = line.removeprefix("data: ")
                assert self.line() == ""
                if data == "undefined":
                    return name, None
                return name, data if name == "delete" else json.loads(data)

    def body(self) -> bytes:
        """Return the complete body of an answer that has a Content-Length."""
        size = int(self.headers["content-length"])
        while len(self._kept) < size:
            self._kept += self.socket.recv(65_536)
        return self._kept[:size]
