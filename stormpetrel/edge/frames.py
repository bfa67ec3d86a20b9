"""The parts of a WebSocket that know no socket: bytes that the edge writes itself, codes, and the limit of frames."""

from __future__ import annotations

from email.utils import formatdate
from http import HTTPStatus

from websockets.datastructures import Headers
from websockets.http11 import Response

MAX_FRAMES = 256
FRAMES_PER_S = 20.0
"""MAX_FRAMES at once and FRAMES_PER_S per second: clients only subscribe, unsubscribe and answer pings."""
# RFC 6455, 7.4.1, and IANA's registry
NORMAL_CLOSURE = 1000
NO_STATUS = 1005
ABNORMAL_CLOSURE = 1006
INVALID_DATA = 1007
POLICY_VIOLATION = 1008
INTERNAL_ERROR = 1011
SERVICE_RESTART = 1012

HANDSHAKE_HEADERS = frozenset(
    {
        b"connection",
        b"sec-websocket-extensions",
        b"sec-websocket-key",
        b"sec-websocket-protocol",
        b"sec-websocket-version",
        b"upgrade",
    }
)
"""The headers that decide a handshake (RFC 6455, 4.2.1)."""
_MEDIUM = 126
_LONG = 65_536


def handshake_bytes(headers: list[tuple[bytes, bytes]]) -> bytes:
    """Return a request with those of a handshake's headers that the library reads.

    The library refuses headers and URLs that are longer than 8 KB, and this edge accepts longer ones: people with
    many cookies get their stream.
    """
    lines = [b"GET / HTTP/1.1\r\n"]
    for name, value in headers:
        if name in HANDSHAKE_HEADERS:
            lines += (name, b": ", value, b"\r\n")
    lines.append(b"\r\n")
    return b"".join(lines)


def text_frame(text: bytes) -> bytes:
    """Return a server's text message (RFC 6455, 5.2), the same bytes for every listener. `text`: UTF-8."""
    size = len(text)
    if size < _MEDIUM:
        return b"\x81%c%b" % (size, text)
    if size < _LONG:
        return b"\x81\x7e%b%b" % (size.to_bytes(2), text)
    return b"\x81\x7f%b%b" % (size.to_bytes(8), text)


def http_refusal(status: int, headers: Headers, body: bytes) -> Response:
    """Return the answer to a handshake that the application refuses in HTTP."""
    headers.setdefault("Date", formatdate(usegmt=True))
    headers.setdefault("Connection", "close")
    headers.setdefault("Content-Length", str(len(body)))
    return Response(status, HTTPStatus(status).phrase, headers, body)


class FrameBudget:
    """The frames that a client may still send; they come back over time."""

    __slots__ = ("_at_s", "_used")

    def __init__(self) -> None:
        self._used = 0.0
        self._at_s = 0.0

    def take(self, frames: int, at_s: float) -> bool:
        """Count frames; return False if there are too many."""
        self._used = max(0.0, self._used - (at_s - self._at_s) * FRAMES_PER_S) + frames
        self._at_s = at_s
        return self._used <= MAX_FRAMES
