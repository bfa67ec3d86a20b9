"""The hot-page cache: anonymous answers as ready bytes, with one rendering per key at a time.

A page is fresh for a second. After that, one visitor renders it again while the others get the old one (at
most `grace_s` old). `invalidate` makes answers stale, `purge` removes them. Time is an argument.

protocol.py decides who may have a cached answer, and the application decides which answers may be stored.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from typing import Protocol

from stormpetrel.bounded import BoundedTable, Eviction
from stormpetrel.edge.codings import ETAG_SUFFIXES, IDENTITY, MIN_BYTES, NAMES, encode, is_compressible
from stormpetrel.edge.heads import Head, date_s, etag_matches
from stormpetrel.freshness import Freshness

Headers = list[tuple[bytes, bytes]]

METERED = b"x-ratelimit-limit"
"""The application marks a metered answer with this header; the edge adds the visitor's remaining quota."""
MAX_KEPT_BYTES = 2 * 1024 * 1024
"""Larger answers are not stored."""
MAX_WAITERS = 1024
"""At most this many clients wait for one rendering; further requests go to the application."""
MAX_HIT_PAGES = 1024
"""At most this many pages are counted between two calls of `take_hits`."""
_LOG_TAGS = 16_384
_ENTRY_OVERHEAD_BYTES = 2048
_STATUS_DATE = b"HTTP/1.1 200 OK\r\ndate: "
_DATE_END = len(_STATUS_DATE) + 29
_NOT_MODIFIED = b"HTTP/1.1 304 Not Modified\r\ndate: "
# Headers that are set for each answer, or that hold for one visitor only.
_DROPPED = frozenset(
    {
        b"date",
        b"server",
        b"etag",
        b"vary",
        b"content-length",
        b"connection",
        b"keep-alive",
        b"transfer-encoding",
        b"accept-ranges",
        b"x-request-id",
        METERED,
        b"x-ratelimit-remaining",
        b"x-ratelimit-reset",
    }
)
_IN_NOT_MODIFIED = frozenset({b"cache-control", b"content-location", b"expires", b"last-modified"})
_IN_NOT_MODIFIED_PREFIX = b"access-control-"


class CachedPage:
    """One rendered answer: for each coding, all of its bytes, ready to be written.

    `wires[coding]` is None until first requested. The date in it is that of `stamps[coding]` and is updated
    at most once a second, so a typical answer costs one look-up and one write.
    """

    __slots__ = (
        "_block",
        "_block_304",
        "_may_encode",
        "_tag",
        "body",
        "etags",
        "fresh_until_s",
        "head_bytes",
        "hits",
        "is_html",
        "is_metered",
        "key",
        "modified_s",
        "stale_until_s",
        "stamps",
        "tags",
        "was_made",
        "wires",
    )

    def __init__(self, key: bytes, headers: Headers, body: bytes) -> None:
        """Keep Vary of the application's `headers` and add Accept-Encoding to it, unless already covered."""
        self.key = key
        self.body = body
        self.fresh_until_s = 0.0
        self.stale_until_s = 0.0
        self.tags: tuple[str, ...] = ()
        self.is_metered = False
        self.modified_s = 0
        content_type = b""
        is_encoded = False
        vary: list[bytes] = []
        kept: list[bytes] = []
        kept_304: list[bytes] = []
        for raw_name, value in headers:
            name = raw_name.lower()
            if name == METERED:
                self.is_metered = True
            if name == b"vary":
                vary += [token.strip() for token in value.split(b",") if token.strip()]
            if name == b"content-type":
                content_type = value
            if name == b"content-encoding":
                is_encoded = True
            if name == b"last-modified":
                self.modified_s = date_s(value)
            if name in _DROPPED:
                continue
            line = name + b": " + value + b"\r\n"
            kept.append(line)
            if name in _IN_NOT_MODIFIED or name.startswith(_IN_NOT_MODIFIED_PREFIX):
                kept_304.append(line)
        if not any(token.lower() in (b"accept-encoding", b"*") for token in vary):
            vary.append(b"Accept-Encoding")
        vary_line = b"vary: " + b", ".join(vary) + b"\r\n"
        self.is_html = content_type.startswith(b"text/html")
        self._block = b"".join(kept) + vary_line
        self._block_304 = b"".join(kept_304) + vary_line
        self._may_encode = len(body) >= MIN_BYTES and not is_encoded and is_compressible(content_type)
        # The tag covers the headers too: a strong tag must change when the type of the
        # representation does. It does not cover Last-Modified: a feed gets that date a second after
        # it changed, and is otherwise the same.
        described = b"".join(line for line in kept if not line.startswith(b"last-modified:")) + vary_line
        digest = hashlib.blake2b(body, digest_size=12, key=hashlib.blake2b(described).digest())
        self._tag = digest.hexdigest().encode()
        self.wires: list[bytes | None] = [None, None, None]
        self.stamps = [0, 0, 0]
        self.head_bytes = [0, 0, 0]
        self.etags = [b"", b"", b""]
        # Answers given since `take_hits`.
        self.hits = 0
        # True when bytes were made that the cache has not accounted for yet.
        self.was_made = False

    @property
    def size_bytes(self) -> int:
        """Return the approximate memory use: the body, and the bytes of each coding made so far."""
        return (
            _ENTRY_OVERHEAD_BYTES + len(self.body) + sum(len(wire) for wire in self.wires if wire is not None)
        )

    def take_codings_of(self, older: CachedPage) -> None:
        """Reuse the encoded bytes of `older` if this page was rendered again and is the same."""
        if older._tag == self._tag and older._block == self._block:
            self.wires, self.stamps = older.wires, older.stamps
            self.head_bytes, self.etags = older.head_bytes, older.etags
            self.body = older.body

    def wire(self, coding: int, second: int, date: bytes) -> bytes:
        """Return the whole answer in this coding, with this date. `second` is the date as a number."""
        wire = self.wires[coding]
        if wire is None:
            wire = self._make(coding, date)
            self.was_made = True
        elif self.stamps[coding] != second:
            wire = b"".join((_STATUS_DATE, date, wire[_DATE_END:]))
            self.was_made = True
        else:
            return wire
        self.wires[coding] = wire
        self.stamps[coding] = second
        return wire

    def answer(self, head: Head, second: int, date: bytes, extra: bytes = b"") -> tuple[int, bytes]:
        """Return status and bytes for a conditional, HEAD or closing request. `extra`: lines to add."""
        coding = head.coding
        wire = self.wire(coding, second, date)
        close = b"" if head.keep_alive else b"connection: close\r\n"
        if head.if_none_match is not None:
            is_known = etag_matches(head.if_none_match, self.etags[coding])
        else:
            # Ignore a date in the future: it is not ours, and the client that sent it would never get a newer
            # page. The page's own date is accepted even while `second`, which a timer advances, is behind the
            # clock that dated the page.
            is_known = 0 < self.modified_s <= head.modified_since_s <= max(second, self.modified_s)
        if is_known:
            etag = b"etag: " + self.etags[coding] + b"\r\n"
            return 304, b"".join((_NOT_MODIFIED, date, b"\r\n", self._block_304, etag, extra, close, b"\r\n"))
        end = self.head_bytes[coding]
        if close or extra:
            lines = wire[: end - 2] + extra + close + b"\r\n"
            return 200, lines if head.only_head else lines + wire[end:]
        return 200, wire[:end] if head.only_head else wire

    def _make(self, coding: int, date: bytes) -> bytes:
        body = self.body
        used = IDENTITY
        if coding != IDENTITY and self._may_encode:
            encoded = encode(body, coding)
            if len(encoded) < len(body):
                body, used = encoded, coding
        etag = b'"' + self._tag + ETAG_SUFFIXES[used] + b'"'
        coding_line = b"content-encoding: " + NAMES[used] + b"\r\n" if used != IDENTITY else b""
        head = b"".join(
            (
                _STATUS_DATE,
                date,
                b"\r\n",
                self._block,
                coding_line,
                b"etag: ",
                etag,
                b"\r\ncontent-length: %d\r\n\r\n" % len(body),
            )
        )
        self.etags[coding] = etag
        self.head_bytes[coding] = len(head)
        return head + body


class FlightWaiter(Protocol):
    """A request that waits for a rendering in progress."""

    def resume_from_flight(self, *, alone: bool) -> None:
        """Use the page, or render it. `alone`: without trying to share it."""
        ...


class Flight:
    """One rendering in progress. `began`: when, for the cache's freshness."""

    __slots__ = ("began", "key", "waiters")

    def __init__(self, key: bytes, began: int) -> None:
        self.key = key
        self.began = began
        self.waiters: list[FlightWaiter] = []


class HotCache:
    """Pages by key, at most `capacity_bytes` of them; the least recently used page is dropped.

    Also bounded: MAX_WAITERS per flight (one flight per rendering in progress), and the log of invalidated
    tags (`freshness`). A rendering that began before the invalidation of one of its tags is not stored.
    """

    def __init__(self, *, capacity_bytes: int, ttl_s: float, grace_s: float) -> None:
        self._capacity_bytes = capacity_bytes
        self._ttl_s = ttl_s
        self._grace_s = grace_s
        # Under overload, every page stays fresh for at least this long.
        self.least_ttl_s = 0.0
        # OLDEST and `touch` at most once a second: the hot path looks up each page as in a plain dict.
        self.pages: BoundedTable[bytes, CachedPage] = BoundedTable(
            capacity_bytes, evicts=Eviction.OLDEST, weigh=_size_bytes, on_drop=self._dropped
        )
        self._keys_of_tag: dict[str, set[bytes]] = {}
        self.flights: dict[bytes, Flight] = {}
        # The pages with hits since `take_hits`; a page that was rendered again is there twice.
        self._hit_pages: list[CachedPage] = []
        self.freshness: Freshness[str] = Freshness(log_keys=_LOG_TAGS)

    def __len__(self) -> int:
        return len(self.pages)

    @property
    def size_bytes(self) -> int:
        """Return the approximate memory use of all pages."""
        return self.pages.weight

    def lookup(self, key: bytes, at_s: float) -> CachedPage | None:
        """Return the page, fresh (`fresh_until_s` > at_s) or within its grace; None if there is none."""
        page = self.pages.get(key)
        if page is None:
            return None
        if page.stale_until_s <= at_s:
            self.pages.pop(key)
            return None
        return page

    def begin(self, key: bytes, at_s: float) -> Flight:
        """Begin a rendering of `key`; none may be in progress already. End it with `finish`."""
        flight = self.flights[key] = Flight(key, self.freshness.begin())
        return flight

    def wait(self, flight: Flight, waiter: FlightWaiter) -> bool:
        """Let `waiter` wait for the rendering; return False if MAX_WAITERS clients already wait for it."""
        if len(flight.waiters) >= MAX_WAITERS:
            return False
        flight.waiters.append(waiter)
        return True

    def store(
        self,
        flight: Flight,
        page: CachedPage,
        *,
        tags: Iterable[str],
        at_s: float,
        ttl_s: float | None = None,
    ) -> bool:
        """Store the page that the flight rendered; return False if a tag was invalidated since it began.

        `ttl_s`: how long it stays fresh; None for the configured time. Also return
        False if the page is too large.
        """
        own_tags = tuple(dict.fromkeys(tags))
        if not self.freshness.is_current(flight.began, *own_tags):
            return False
        if len(page.body) > MAX_KEPT_BYTES or len(page.body) * 2 > self._capacity_bytes:
            return False
        older = self.pages.get(page.key)
        if older is not None:
            page.take_codings_of(older)
        if not self.pages.put(page.key, page):
            return False
        ttl_s = max(self.least_ttl_s, self._ttl_s if ttl_s is None else ttl_s)
        page.fresh_until_s = at_s + ttl_s
        page.stale_until_s = page.fresh_until_s + self._grace_s
        page.tags = own_tags
        for tag in own_tags:
            self._keys_of_tag.setdefault(tag, set()).add(page.key)
        return True

    def finish(self, flight: Flight) -> list[FlightWaiter]:
        """End the rendering, stored or not; return the waiters, each once."""
        if self.flights.get(flight.key) is flight:
            del self.flights[flight.key]
        waiters, flight.waiters = flight.waiters, []
        return waiters

    def touch(self, page: CachedPage) -> None:
        """Mark the page as used, and account for new encoded bytes. Called at most once a second per page."""
        if self.pages.get(page.key) is page:
            self.pages.touch(page.key)
            self.pages.reweigh(page.key)

    def first_hit(self, page: CachedPage) -> None:
        """Remember a page whose `hits` just became 1."""
        if len(self._hit_pages) < MAX_HIT_PAGES:
            self._hit_pages.append(page)

    def take_hits(self, count: int) -> dict[str, int]:
        """Return the paths with most answers from memory since the last call, at most `count`, most first.

        Paths are without query strings: what people search for is theirs.
        """
        hits: Counter[str] = Counter()
        for page in self._hit_pages:
            hits[page.key.partition(b"?")[0].decode("latin-1")] += page.hits
            page.hits = 0
        self._hit_pages.clear()
        return dict(hits.most_common(count))

    def invalidate(self, tag: str) -> None:
        """Make pages with this tag stale: the next visitor renders, the others get the old page meanwhile."""
        self.freshness.changed(tag)
        for key in self._keys_of_tag.get(tag, ()):
            self.pages[key].fresh_until_s = 0.0

    def purge(self, tag: str) -> None:
        """Remove pages with this tag at once: no client gets them again (delete, block, visibility)."""
        self.freshness.changed(tag)
        for key in tuple(self._keys_of_tag.get(tag, ())):
            self.pages.pop(key)

    def purge_all(self) -> None:
        """Remove all pages at once and discard every rendering in progress: the bus has a gap."""
        self.freshness.all_changed()
        self.pages.clear()
        self._keys_of_tag.clear()

    def _dropped(self, key: bytes, page: CachedPage) -> None:
        # A caller that still holds the page must not treat it as fresh.
        page.fresh_until_s = 0.0
        for tag in page.tags:
            keys = self._keys_of_tag[tag]
            keys.discard(key)
            if not keys:
                del self._keys_of_tag[tag]


def _size_bytes(page: CachedPage) -> int:
    return page.size_bytes
