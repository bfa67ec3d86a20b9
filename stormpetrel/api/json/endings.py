"""The end of a post's JSON, which depends on the reader: its poll, if it has one, and the reader's flags."""

from __future__ import annotations

import msgspec

from stormpetrel.api.json import convert
from stormpetrel.model.poll import Poll
from stormpetrel.model.post import NO_FLAGS, Flags

_encode = msgspec.json.Encoder().encode


def poll_field(poll: Poll, flags: Flags | None, reader_id: int | None, now_ms: int) -> bytes:
    """Return the poll as a member of the post's object, with the reader's votes."""
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


# The end of a post's JSON, indexed by favourited + 2 boosted + 4 bookmarked + 8 muted + 16 pinned + 32 own.
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
    """Return the reader's flags and the closing brace; only the brace for a visitor.

    `filtered`: the reader's filters that match, as JSON; empty if none match.
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


VISITOR = -1
"""The form of a post for visitors."""


class SharedStatus:
    """A post for many readers: the bytes that all readers share, completed for each form of the reader's
    fields.

    `shown_id` is the original of a boost, else the post itself; the flags are about that post. `tail` is None
    unless it is a boost. `searched`: the text that readers' filters search.
    """

    __slots__ = ("_forms", "_head", "_now_ms", "_poll", "_tail", "searched", "shown_author_id", "shown_id")

    def __init__(
        self,
        shown_id: int,
        shown_author_id: int,
        head: bytes,
        tail: bytes | None,
        poll: Poll | None,
        searched: str,
        now_ms: int,
    ) -> None:
        self.shown_id = shown_id
        self.shown_author_id = shown_author_id
        self.searched = searched
        self._head = head
        self._tail = tail
        self._poll = poll
        self._now_ms = now_ms
        self._forms: dict[tuple[Flags, bool, bytes], int] = {}

    @property
    def has_media(self) -> bool:
        """Return True if images, video or sounds are attached."""
        return bool(msgspec.json.decode(self.for_end(VISITOR), type=_Attached).media_attachments)

    def end_for(self, flags: Flags | None, reader_id: int | None, filtered: bytes = b"") -> int:
        """Return the number of this reader's form. The count of bodies made is that of forms, not that of
        readers."""
        if reader_id is None:
            return VISITOR
        form = (flags or NO_FLAGS, self.shown_author_id == reader_id, filtered)
        return self._forms.setdefault(form, len(self._forms))

    def for_end(self, end: int) -> bytes:
        """Return the post's JSON in this form."""
        flags, reader_id, own, filtered = NO_FLAGS, None, False, b""
        if end != VISITOR:
            flags, own, filtered = list(self._forms)[end]
            # The poll depends on the reader only by whether they are the author.
            reader_id = self.shown_author_id if own else 0
        parts = [self._head]
        if self._poll is not None:
            parts.append(poll_field(self._poll, flags, reader_id, self._now_ms))
        parts.append(ending(flags, reader_id, own=own, filtered=filtered))
        if self._tail is not None:
            # A boost cannot be pinned, so it has only the flags.
            parts += (self._tail, ending(flags, reader_id, own=False, filtered=filtered))
        return b"".join(parts)


class _Attached(msgspec.Struct):
    media_attachments: list[msgspec.Raw]
