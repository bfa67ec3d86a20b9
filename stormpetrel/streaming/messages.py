"""Messages to listeners: one event in two encodings, each made once for all readers of the same form."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from stormpetrel.edge.frames import text_frame

THUMP = b":thump\n"
"""The heartbeat of server-sent events; `GREETING` is their first line. Both are as in Mastodon."""
GREETING = b":)\n"

_encode = msgspec.json.Encoder().encode


class Message:
    """An event with one payload for each form in which readers see it.

    `payload(form)` returns the bytes of a form: JSON on one line, an id, or None if the event has no payload.
    """

    def __init__(self, event: str, payload: Callable[[int], bytes | None]) -> None:
        self._event = event.encode()
        self._payload = payload
        self._payloads: dict[int, bytes | None] = {}
        self._texts: dict[int, bytes] = {}
        self._made: dict[tuple[tuple[str, ...] | None, int], bytes] = {}

    def frame(self, names: tuple[str, ...], form: int) -> bytes:
        """Return a WebSocket message: the stream, the event, and the payload as a JSON string."""
        made = self._made.get((names, form))
        if made is None:
            payload = self._of(form)
            if form not in self._texts:
                self._texts[form] = b"" if payload is None else b',"payload":' + _encode(payload.decode())
            body = b'{"stream":%b,"event":"%b"%b}' % (_encode(names), self._event, self._texts[form])
            made = self._made[names, form] = text_frame(body)
        return made

    def server_sent(self, form: int) -> bytes:
        """Return a server-sent event."""
        made = self._made.get((None, form))
        if made is None:
            # An EventSource ignores an event without data; Mastodon sends this.
            payload = self._of(form) or b"undefined"
            made = self._made[None, form] = b"event: %b\ndata: %b\n\n" % (self._event, payload)
        return made

    def _of(self, form: int) -> bytes | None:
        if form not in self._payloads:
            self._payloads[form] = self._payload(form)
        return self._payloads[form]


def error_frame(text: str, status: int) -> bytes:
    """Return a WebSocket message about a request that failed."""
    return text_frame(_encode({"error": text, "status": status}))
