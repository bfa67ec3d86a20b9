"""The states of a connection and the ways between them, as data.

    NEW        accepted; no byte of a request has come
    PREFACE    a proxy opened it: the PROXY protocol's header comes first
    IDLE       between two messages, nothing outstanding; the next bytes may be answered at once
    BLOCKED    as IDLE, but the client does not read: nothing is read from it either
    HEAD       a part of a head has come (or the server drains: each request is parsed, and ends the connection)
    BODY       the head is complete, the body is not, and the application has not begun
    FLIGHT     the message waits for a rendering in progress
    UPLOAD     the message is at the application, or queued for it, while its body comes
    EXCHANGE   the message is complete and at the application, or queued for it
    STREAM     the answer stays open, and gets heartbeats
    CLOSING    all is written; the client reads the rest, until the write deadline
    LINGER     our side is closed; further input is discarded, because a reset would discard the answer
    UPGRADED   the transport belongs to a WebSocket now
    CLOSED     dropped or lost

A client that does not read is a fact beside the state (output.py): only in IDLE does it lead to a state of its own,
so that one comparison decides whether the next bytes may be answered at once.
"""

from __future__ import annotations

import enum


class ConnectionState(enum.IntEnum):
    """The part of its life that a connection is in. IntEnum, because its members are hashed in C."""

    NEW = 0
    PREFACE = 1
    IDLE = 2
    BLOCKED = 3
    HEAD = 4
    BODY = 5
    FLIGHT = 6
    UPLOAD = 7
    EXCHANGE = 8
    STREAM = 9
    CLOSING = 10
    LINGER = 11
    UPGRADED = 12
    CLOSED = 13


(
    NEW,
    PREFACE,
    IDLE,
    BLOCKED,
    HEAD,
    BODY,
    FLIGHT,
    UPLOAD,
    EXCHANGE,
    STREAM,
    CLOSING,
    LINGER,
    UPGRADED,
    CLOSED,
) = ConnectionState

_ENDS = frozenset({CLOSING, CLOSED})
# A message that is complete: answered at once, waiting for a rendering, or at the application.
_DISPATCHED = frozenset({IDLE, BLOCKED, FLIGHT, EXCHANGE})
TRANSITIONS: dict[ConnectionState, frozenset[ConnectionState]] = {
    NEW: _DISPATCHED | _ENDS | {PREFACE, HEAD, BODY, LINGER},
    PREFACE: _ENDS | {NEW, HEAD, LINGER},
    IDLE: _ENDS | {BLOCKED, FLIGHT, EXCHANGE, HEAD, BODY, LINGER},
    BLOCKED: _ENDS | {IDLE},
    HEAD: _DISPATCHED | _ENDS | {BODY, LINGER},
    BODY: _ENDS | {IDLE, BLOCKED, EXCHANGE, UPLOAD, LINGER},
    FLIGHT: _ENDS | {IDLE, BLOCKED, EXCHANGE},
    UPLOAD: _ENDS | {EXCHANGE, STREAM, LINGER},
    EXCHANGE: _ENDS | {IDLE, BLOCKED, STREAM, UPGRADED},
    STREAM: _ENDS | {IDLE, BLOCKED},
    CLOSING: frozenset({CLOSED}),
    LINGER: frozenset({CLOSED}),
    UPGRADED: frozenset(),
    CLOSED: frozenset(),
}
"""The states that may follow each state, itself excepted."""

ENDED = frozenset({CLOSING, LINGER, UPGRADED, CLOSED})
"""No more requests are read."""
READS = frozenset({NEW, IDLE, HEAD, BODY, UPLOAD})
"""Input is read. In the other states it is held back until the answer is complete, or read."""
