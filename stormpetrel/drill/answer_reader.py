"""A minimal HTTP response parser for attackers: reads the status, finds the end and discards the body."""

from __future__ import annotations

import re

MAX_HEAD_BYTES = 65_536
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)
_CLOSE = re.compile(rb"\r\nconnection: *close", re.IGNORECASE)
_LAST_CHUNK = b"0\r\n\r\n"
_CHUNKS = -1
_UNTIL_CLOSED = -2


class AnswerReader:
    """A reader of one response.

    `status`: 0 until the head is complete. `closing`: the server closes the connection after this response.
    """

    __slots__ = ("_buffer", "_left", "closing", "status")

    def __init__(self) -> None:
        self.status = 0
        self.closing = False
        # Until the head is complete: all bytes received. After that, for a chunked body: the last bytes
        # received.
        self._buffer = b""
        self._left = 0

    @property
    def ends_with_connection(self) -> bool:
        """Return True if only the end of the connection ends the response: no length, not chunked."""
        return self.status != 0 and self._left == _UNTIL_CLOSED

    def feed(self, data: bytes) -> bool:
        """Consume `data`; return True when the response is complete. Raise ValueError if it is not HTTP."""
        if not self.status:
            self._buffer += data
            if not self._read_head():
                return False
        elif self._left >= 0:
            self._left = max(0, self._left - len(data))
        elif self._left == _CHUNKS:
            self._buffer = (self._buffer + data)[-len(_LAST_CHUNK) :]
        return self._left == 0 or (self._left == _CHUNKS and self._buffer == _LAST_CHUNK)

    def _read_head(self) -> bool:
        text = self._buffer
        end = text.find(b"\r\n\r\n")
        if end < 0:
            if len(text) > MAX_HEAD_BYTES:
                raise ValueError("a head without an end")
            return False
        if not text.startswith(b"HTTP/1.") or not text[9:12].isdigit():
            raise ValueError("no HTTP")
        head, rest = text[: end + 2], text[end + 4 :]
        status = int(text[9:12])
        if 100 <= status < 200 and status != 101:
            self._buffer = rest
            return self._read_head()
        self.status = status
        self.closing = _CLOSE.search(head) is not None
        self._buffer = rest[-len(_LAST_CHUNK) :]
        if status in (204, 304):
            self._left = 0
        elif _CHUNKED.search(head):
            self._left = _CHUNKS
        elif found := _LENGTH.search(head):
            self._left = max(0, int(found[1]) - len(rest))
        else:
            self._left = _UNTIL_CLOSED
        return True
