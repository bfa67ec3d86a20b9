"""An answer's bytes: status line, headers, and how its body ends. Bytes in, bytes out."""

from __future__ import annotations

import re
from collections.abc import Callable
from http import HTTPStatus

from stormpetrel.edge.cache import METERED, Headers

_STATUS_LINES = {
    status: b"HTTP/1.1 %d %b\r\ndate: " % (status, HTTPStatus(status).phrase.encode())
    for status in map(int, HTTPStatus)
}
_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_NO_BODY = frozenset({204, 304})
_names: dict[bytes, bytes] = {}
_NAMES = 1024
# Headers that often repeat with the same value, and the line for each: an answer has a dozen of them.
_REPEATED_NAMES = frozenset(
    b"access-control-allow-origin access-control-expose-headers cache-control content-security-policy "
    b"content-type cross-origin-opener-policy permissions-policy referrer-policy strict-transport-security vary "
    b"x-content-type-options x-frame-options".split()
)
_lines: dict[tuple[bytes, bytes], bytes] = {}
_LINES = 1024
_OWN_NAMES = frozenset({b"date", b"keep-alive", b"transfer-encoding"})
"""The edge sets these headers itself."""


class AnswerFraming:
    """How one answer is framed. `keep_alive` becomes False if only the end of the connection can end it.

    `only_head`: the request was HEAD. `is_http_1_0`: its client knows no chunks.
    """

    __slots__ = ("_is_bodyless", "_is_chunked", "_left_bytes", "is_http_1_0", "keep_alive", "only_head")

    def __init__(self, *, keep_alive: bool, only_head: bool, is_http_1_0: bool) -> None:
        self.keep_alive = keep_alive
        self.only_head = only_head
        self.is_http_1_0 = is_http_1_0
        self._is_bodyless = False
        self._is_chunked = False
        self._left_bytes: int | None = None

    def begin(
        self,
        status: int,
        headers: Headers,
        body: bytes,
        *,
        more: bool,
        date: bytes,
        metered: Callable[[], bytes],
    ) -> tuple[bytes, bytes]:
        """Return the head, and the beginning of the body as it is sent.

        `more`: the body goes on. `metered`: returns the lines that replace the header METERED. Raise RuntimeError for
        headers that would split the answer, and for a length that is not the body's.
        """
        is_empty = status in _NO_BODY
        lines = [_STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\ndate: " % status, date, b"\r\n"]
        length = self._add_headers(lines, headers, metered, is_empty=is_empty)
        if is_empty or self.only_head or status < 200:
            self._is_bodyless = True
            if self.only_head and length is None and not more and not is_empty:
                lines.append(b"content-length: %d\r\n" % len(body))
            body = b""
        elif length is not None:
            self._left_bytes = length
            self._take(len(body), more=more)
        elif not more:
            lines.append(b"content-length: %d\r\n" % len(body))
        elif self.is_http_1_0:
            self.keep_alive = False
        else:
            self._is_chunked = True
            lines.append(b"transfer-encoding: chunked\r\n")
            body = _chunk(body, more=more)
        lines.append(b"\r\n" if self.keep_alive else b"connection: close\r\n\r\n")
        return b"".join(lines), body

    def part(self, body: bytes, *, more: bool) -> bytes:
        """Return a further part of the body as it is sent. Raise RuntimeError if it breaks the declared length."""
        if self._is_bodyless:
            return b""
        if self._is_chunked:
            return _chunk(body, more=more)
        if self._left_bytes is not None:
            self._take(len(body), more=more)
        return body

    def _take(self, size_bytes: int, *, more: bool) -> None:
        assert self._left_bytes is not None
        self._left_bytes -= size_bytes
        if self._left_bytes < 0 or (self._left_bytes and not more):
            raise RuntimeError("the body does not have the length that content-length says")

    def _add_headers(
        self, lines: list[bytes], headers: Headers, metered: Callable[[], bytes], *, is_empty: bool
    ) -> int | None:
        """Add the headers' lines; return the declared length in bytes, None without one."""
        length: int | None = None
        for header in headers:
            line = _lines.get(header)
            if line is not None:
                lines.append(line)
                continue
            if header[0] == METERED:
                lines.append(metered())
                continue
            name, value = checked(header)
            if name == b"content-length":
                length = int(value)
                if is_empty:
                    continue
            elif name in _OWN_NAMES:
                continue
            elif name == b"connection":
                if b"close" in value.lower():
                    self.keep_alive = False
                continue
            line = b"%b: %b\r\n" % (name, value)
            if name in _REPEATED_NAMES and len(_lines) < _LINES:
                _lines[header] = line
            lines.append(line)
        return length


def checked(header: tuple[bytes, bytes]) -> tuple[bytes, bytes]:
    """Return a header with its name in lower case; RuntimeError for bytes that would split the answer."""
    name, value = header
    known = _names.get(name)
    if known is None:
        if not _TOKEN.fullmatch(name):
            raise RuntimeError("an invalid header name in the application's answer")
        known = name.lower()
        if len(_names) < _NAMES:
            _names[name] = known
    if b"\n" in value or b"\r" in value or b"\0" in value:
        raise RuntimeError(f"an invalid value of the header {known.decode()} in the application's answer")
    return known, value


def _chunk(body: bytes, *, more: bool) -> bytes:
    chunk = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
    return chunk if more else chunk + b"0\r\n\r\n"
