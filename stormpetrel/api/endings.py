"""What ends a post's JSON for one reader: its poll, if it has one, and what the reader did with it."""

from __future__ import annotations

import msgspec

from stormpetrel.api import convert
from stormpetrel.model.poll import Poll
from stormpetrel.model.post import Flags

_encode = msgspec.json.Encoder().encode


def poll_field(poll: Poll, flags: Flags | None, reader_id: int | None, now_ms: int) -> bytes:
    """The poll as a member of the post's object, with what the reader voted for."""
    votes = 0 if flags is None else flags.votes
    return b',"poll":' + _encode(convert.poll(poll, reader_id=reader_id, votes=votes, now_ms=now_ms))


def _flags(
    *, favourited: bool, boosted: bool, bookmarked: bool, muted: bool, pinned: bool, own: bool
) -> bytes:
    values = {
        "favourited": favourited,
        "reblogged": boosted,
        "muted": muted,
        "bookmarked": bookmarked,
        "filtered": [],
    }
    return b"," + _encode(values | ({"pinned": pinned} if own else {}))[1:]


# What ends a post for a reader: by favourited + 2 boosted + 4 bookmarked + 8 muted + 16 pinned + 32 own.
_ENDS = tuple(
    _flags(
        favourited=bool(n & 1),
        boosted=bool(n & 2),
        bookmarked=bool(n & 4),
        muted=bool(n & 8),
        pinned=bool(n & 16),
        own=bool(n & 32),
    )
    for n in range(64)
)
_PLAIN, _OWN = _ENDS[0], _ENDS[32]


_NOT_FILTERED = b'"filtered":[]'


def ending(flags: Flags | None, reader_id: int | None, *, own: bool, filtered: bytes = b"") -> bytes:
    """The reader's flags and the closing brace; only the brace for a visitor.

    `filtered`: the reader's filters that match, as JSON; empty for none.
    """
    if reader_id is None:
        return b"}"
    if filtered:
        end = ending(flags, reader_id, own=own)
        return end.replace(_NOT_FILTERED, b'"filtered":' + filtered, 1)
    if flags is None:
        return _OWN if own else _PLAIN
    return _ENDS[
        flags.favourited
        + 2 * flags.boosted
        + 4 * flags.bookmarked
        + 8 * flags.muted
        + 16 * flags.pinned
        + 32 * own
    ]
