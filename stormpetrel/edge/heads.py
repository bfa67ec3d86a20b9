"""Request heads: what the cache needs to know of one, and the memo that saves parsing it again.

The memo is safe by construction: it maps the exact bytes of one whole request, as they were fed to the real
parser between two messages, to what that parser made of them. The same bytes in the same place mean the same.
"""

from __future__ import annotations

import enum
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stormpetrel.edge.proxied import Sender

MEMO_ENTRIES = 4096
MEMO_MAX_BYTES = 1536
MAX_DATE_BYTES = 64
"""A longer date is none: the longest form in use has 33 characters."""


class Family(enum.IntEnum):
    """What kind of answer a path's refusals have: JSON, plain text, or a page."""

    PAGE = 0
    API = 1
    FEED = 2


PATHS = (
    # The consent page is a page, for people read it.
    (b"/oauth/authorize", Family.PAGE, False),
    (b"/oauth/", Family.API, True),
    (b"/api/", Family.API, True),
    (b"/.well-known/", Family.API, True),
    (b"/nodeinfo/", Family.API, True),
    # Web apps draw these on a canvas, or load them with `crossorigin`.
    (b"/assets/", Family.PAGE, True),
    (b"/media/", Family.PAGE, True),
)
"""Beginnings of paths, the first that fits counts: the family, and whether every answer there, a refusal too, is
readable from any origin (CORS). Other paths are pages, and feeds where they end so, which have CORS."""
_FEED_SUFFIX = b".atom"
_API_PREFIXES = tuple(prefix for prefix, family, _ in PATHS if family is Family.API)
_CORS_PREFIXES = tuple(prefix for prefix, _, cors in PATHS if cors)
_CONSENT = PATHS[0][0]
_API_TEXTS = tuple(prefix.decode() for prefix in _API_PREFIXES)
_CONSENT_TEXT = _CONSENT.decode()

CORS = (
    (b"access-control-allow-origin", b"*"),
    (
        b"access-control-expose-headers",
        b"Link, X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset, X-Request-Id, Retry-After",
    ),
)
"""The headers where `has_cors`; given twice, browsers refuse the answer."""


def family_of(path: bytes) -> Family:
    """The family of a path."""
    if path.startswith(_API_PREFIXES):
        return Family.PAGE if path.startswith(_CONSENT) else Family.API
    return Family.FEED if path.endswith(_FEED_SUFFIX) else Family.PAGE


def is_api_path(path: str) -> bool:
    """Whether the family is API: errors there are JSON, and every answer has CORS."""
    return path.startswith(_API_TEXTS) and not path.startswith(_CONSENT_TEXT)


def has_cors(path: bytes) -> bool:
    """True where every answer, a refusal too, is readable from any origin."""
    if path.startswith(_CORS_PREFIXES):
        return not path.startswith(_CONSENT)
    return path.endswith(_FEED_SUFFIX)


class Head:
    """What one bodyless anonymous GET or HEAD asks of the cache. `plain`: just the whole bytes as they are.

    `modified_since_s`: the date of If-Modified-Since in seconds since 1970; 0 without one that counts.
    `is_introduced`: it brings a visitor cookie, valid or not.
    `sender`: behind a proxy, whom its bytes name as their sender; set and read by proxied.py alone.
    """

    sender: Sender | None

    __slots__ = (
        "coding",
        "family",
        "if_none_match",
        "is_introduced",
        "keep_alive",
        "key",
        "modified_since_s",
        "only_head",
        "path",
        "plain",
        "sender",
    )

    def __init__(
        self,
        path: bytes,
        key: bytes | None,
        *,
        coding: int,
        if_none_match: bytes | None,
        only_head: bool,
        keep_alive: bool,
        if_modified_since: bytes | None = None,
        is_introduced: bool = False,
    ) -> None:
        self.path = path
        self.key = key
        self.coding = coding
        self.if_none_match = if_none_match
        self.only_head = only_head
        self.keep_alive = keep_alive
        self.is_introduced = is_introduced
        self.family = family_of(path)
        # Beside If-None-Match it says nothing (RFC 9110, 13.1.3).
        self.modified_since_s = 0
        if if_modified_since is not None and if_none_match is None:
            self.modified_since_s = date_s(if_modified_since)
        self.plain = if_none_match is None and not self.modified_since_s and not only_head and keep_alive


class HeadMemo:
    """Heads by the exact bytes of their request, in two halves: when the young one is full it becomes the old.

    At most 2 * MEMO_ENTRIES requests of MEMO_MAX_BYTES each (12 MB); what was not seen for a whole half is
    dropped. Only what comes twice is remembered, so clients that all differ leave nothing behind. Requests
    with a credential are never in it.
    """

    __slots__ = ("_old", "_seen", "young")

    def __init__(self) -> None:
        self.young: dict[bytes, Head] = {}
        self._old: dict[bytes, Head] = {}
        self._seen = [0] * MEMO_ENTRIES

    def __len__(self) -> int:
        return len(self.young) + len(self._old)

    def get(self, data: bytes) -> Head | None:
        """What these bytes were found to mean."""
        head = self.young.get(data)
        if head is None:
            head = self._old.get(data)
            if head is not None:
                self.put(data, head)
        return head

    def offer(self, data: bytes, head: Head) -> None:
        """Remember it when it comes for the second time, unless it is too long."""
        mark = hash(data)
        place = mark % MEMO_ENTRIES
        if self._seen[place] != mark:
            self._seen[place] = mark
        elif len(data) <= MEMO_MAX_BYTES:
            self.put(data, head)

    def put(self, data: bytes, head: Head) -> None:
        """Remember it."""
        if len(self.young) >= MEMO_ENTRIES:
            self._old = self.young
            self.young = {}
        self.young[data] = head


def etag_matches(if_none_match: bytes, etag: bytes) -> bool:
    """If-None-Match against one entity tag: weak comparison, lists, `*` (RFC 9110, 13.1.2).

    Our tags have no comma in them, so splitting at commas finds ours whatever else is in the list.
    """
    if if_none_match.strip() == b"*":
        return True
    return any(tag.strip().removeprefix(b"W/") == etag for tag in if_none_match.split(b","))


def date_s(text: bytes) -> int:
    """An HTTP date in seconds since 1970; 0 for anything else, which is then as if it had not been sent."""
    if len(text) > MAX_DATE_BYTES:
        return 0
    try:
        at = parsedate_to_datetime(text.decode("ascii"))
        return max(0, int(at.timestamp()))
    except (ValueError, OverflowError, TypeError, IndexError):
        # What the standard library raises for garbage, down to "year 0" and a zone of a million hours.
        return 0
