"""Request heads: the facts that the cache needs, and the memo that saves parsing the same bytes again.

The memo is safe by construction: it maps the exact bytes of one whole request, as they were fed to the real
parser between two messages, to the parser's result. The same bytes in the same position mean the same.
"""

from __future__ import annotations

from email.utils import parsedate_to_datetime

from stormpetrel.audience.visitor import HeadFacts
from stormpetrel.edge.senders import Sender
from stormpetrel.shield.paths import PathFacts
from stormpetrel.shield.percent import MAX_PARAMETERS, joined, pairs

MEMO_ENTRIES = 4096
MEMO_MAX_BYTES = 1536
MAX_KEPT_BYTES = 2048
"""The parameters of a key, decoded. No page that clients share has more, and to encode 8 KB takes 0.7 ms."""
MAX_DATE_BYTES = 64
"""A longer date is ignored: the longest form in use has 33 characters."""


def hot_key(facts: PathFacts, path: bytes, query: bytes) -> bytes | None:
    """Return the key of this target in the hot-page cache, or None if it is never cached.

    Parameters that the route does not name are dropped, so adding random ones finds the same page. In
    doubt, a request gets a key of its own: a page must never be cached under the key of a simpler request.
    """
    named = facts.hot
    if named is None:
        return None
    if not query or not named:
        return path
    try:
        # `any[]=x`, `any[0]=x` and `any=x` all reach the handler.
        kept = pairs(query, most=MAX_PARAMETERS, names=named)
    except ValueError:
        return None
    if not kept:
        return path
    # The order of values with the same name matters, and so does that of `any=x` and `any[]=y`.
    kept.sort(key=_field)
    if len(query) > MAX_KEPT_BYTES and sum(len(name) + len(value) for name, value in kept) > MAX_KEPT_BYTES:
        return None
    return path + b"?" + joined(kept)


def _field(pair: tuple[bytes, bytes]) -> bytes:
    """Return the name of a parameter up to its brackets: of the field that it gives a value."""
    return pair[0].partition(b"[")[0]


class Head:
    """The parts of a bodyless anonymous GET or HEAD that the cache needs.

    `plain`: the request takes the stored bytes unchanged.
    `modified_since_s`: the date of If-Modified-Since in seconds since 1970; 0 without a usable one.
    `is_introduced`: it has a visitor cookie, valid or not.
    `sender`: behind a proxy, the sender that its bytes name; None if they name none.
    `facts`: the headers by which its visitor is counted; None for a request that is not counted.
    """

    __slots__ = (
        "coding",
        "facts",
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
        sender: Sender | None = None,
        facts: HeadFacts | None = None,
    ) -> None:
        self.path = path
        self.key = key
        self.coding = coding
        self.if_none_match = if_none_match
        self.only_head = only_head
        self.keep_alive = keep_alive
        self.is_introduced = is_introduced
        self.sender = sender
        self.facts = facts
        # If-Modified-Since is ignored beside If-None-Match (RFC 9110, 13.1.3).
        self.modified_since_s = 0
        if if_modified_since is not None and if_none_match is None:
            self.modified_since_s = date_s(if_modified_since)
        self.plain = if_none_match is None and not self.modified_since_s and not only_head and keep_alive


class HeadMemo:
    """Heads by the exact bytes of their request, in two halves: a full young half becomes the old one.

    At most 2 * MEMO_ENTRIES requests of MEMO_MAX_BYTES each (12 MB). An entry that is not used while a whole
    half fills is dropped. Bytes are stored only when they come twice, so clients that all differ leave
    nothing behind. Requests with a credential are never stored.
    """

    __slots__ = ("_old", "_seen", "young")

    def __init__(self) -> None:
        self.young: dict[bytes, Head] = {}
        self._old: dict[bytes, Head] = {}
        self._seen = [0] * MEMO_ENTRIES

    def __len__(self) -> int:
        return len(self.young) + len(self._old)

    def clear(self) -> None:
        """Drop all heads: those from now on count their visitors in another period."""
        self.young = {}
        self._old = {}

    def get(self, data: bytes) -> Head | None:
        """Return the head stored for these bytes; None if there is none."""
        head = self.young.get(data)
        if head is None:
            head = self._old.get(data)
            if head is not None:
                self.put(data, head)
        return head

    def offer(self, data: bytes, head: Head) -> None:
        """Store the head if these bytes come for the second time and are not too long."""
        mark = hash(data)
        place = mark % MEMO_ENTRIES
        if self._seen[place] != mark:
            self._seen[place] = mark
        elif len(data) <= MEMO_MAX_BYTES:
            self.put(data, head)

    def put(self, data: bytes, head: Head) -> None:
        """Store the head."""
        if len(self.young) >= MEMO_ENTRIES:
            self._old = self.young
            self.young = {}
        self.young[data] = head


def etag_matches(if_none_match: bytes, etag: bytes) -> bool:
    """Compare If-None-Match with one entity tag: weak comparison, lists, `*` (RFC 9110, 13.1.2).

    `etag` includes its quotes, and no tag contains one, so a plain search finds it in any well-formed list.
    Splitting the list took 130 ns a byte.
    """
    return etag in if_none_match or if_none_match.strip() == b"*"


def date_s(text: bytes) -> int:
    """Return an HTTP date in seconds since 1970; 0 for any other text, which is then ignored."""
    if len(text) > MAX_DATE_BYTES:
        return 0
    try:
        at = parsedate_to_datetime(text.decode("ascii"))
        return max(0, int(at.timestamp()))
    except (ValueError, OverflowError, TypeError, IndexError):
        # The standard library raises all of these for garbage such as "year 0" or a zone of a million hours.
        return 0
