"""The hot-page cache: anonymous answers as ready bytes, one rendering per key at a time.

Fresh for a second, then one visitor renders while the others get the old one (at most `grace_s` old).
`invalidate` makes answers stale, `purge` removes them. Time is an argument.

What is not here: who may have a cached answer (protocol.py) and what may be kept (the application says so).
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterable

from stormpetrel.edge.codings import ETAG_SUFFIXES, IDENTITY, MIN_BYTES, NAMES, encode, is_compressible
from stormpetrel.edge.heads import Head, date_s, etag_matches

Headers = list[tuple[bytes, bytes]]

METERED = b"x-ratelimit-limit"
"""With this header the application says that its answer is metered; what is left to this visitor the edge adds."""
MAX_KEPT_BYTES = 2 * 1024 * 1024
"""A larger answer is not kept."""
MAX_WAITERS = 1024
"""So many wait for one rendering; more go to the application by themselves."""
_LOG_TAGS = 16_384
_ENTRY_OVERHEAD_BYTES = 2048
_STATUS_DATE = b"HTTP/1.1 200 OK\r\ndate: "
_DATE_END = len(_STATUS_DATE) + 29
_NOT_MODIFIED = b"HTTP/1.1 304 Not Modified\r\ndate: "
# Made anew for each answer, or true of one visitor only.
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


class Page:
    """One rendered answer: for each coding the whole of its bytes, ready to be written.

    `wires[coding]` is None until first asked for. The date in it is of `stamps[coding]` and put right at
    most once a second, so the usual answer is one look-up and one write.
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
        """`headers`: the application's; its Vary is kept, and Accept-Encoding added when a coding may be used."""
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
        # The headers too: a strong tag must change when the representation's type does. Not its date: a feed
        # gets one a second after it changed, and is the same.
        described = b"".join(line for line in kept if not line.startswith(b"last-modified:")) + vary_line
        digest = hashlib.blake2b(body, digest_size=12, key=hashlib.blake2b(described).digest())
        self._tag = digest.hexdigest().encode()
        self.wires: list[bytes | None] = [None, None, None]
        self.stamps = [0, 0, 0]
        self.head_bytes = [0, 0, 0]
        self.etags = [b"", b"", b""]
        # Bytes were made since the cache last looked: it has to account for them.
        self.was_made = False

    @property
    def size_bytes(self) -> int:
        """Memory this page takes, about: the body, and each coding's bytes that were made."""
        return (
            _ENTRY_OVERHEAD_BYTES + len(self.body) + sum(len(wire) for wire in self.wires if wire is not None)
        )

    def take_codings_of(self, older: Page) -> None:
        """The page was rendered again and is the same: its encoded bytes need not be made again."""
        if older._tag == self._tag and older._block == self._block:
            self.wires, self.stamps = older.wires, older.stamps
            self.head_bytes, self.etags = older.head_bytes, older.etags
            self.body = older.body

    def wire(self, coding: int, second: int, date: bytes) -> bytes:
        """The whole answer in this coding, with this date. `second` is the date as a number."""
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
        """Status and bytes for any request: conditional, HEAD, closing. `extra`: header lines of this visitor."""
        coding = head.coding
        wire = self.wire(coding, second, date)
        close = b"" if head.keep_alive else b"connection: close\r\n"
        if head.if_none_match is not None:
            is_known = etag_matches(head.if_none_match, self.etags[coding])
        else:
            # A date of the future is no date of ours: who sends one would never hear anything new. The page's own
            # date is, also while `second`, which a timer moves on, is behind the clock that dated the page.
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


class Flight:
    """One rendering in progress. `waiters` are the owner's objects; `retry` counts earlier ones that failed."""

    __slots__ = ("began", "key", "waiters")

    def __init__(self, key: bytes, began: int) -> None:
        self.key = key
        self.began = began
        self.waiters: list[object] = []


class HotCache:
    """Pages by key, at most `capacity_bytes` of them; the one used longest ago is dropped.

    Also bounded: MAX_WAITERS per flight (and a flight per rendering in progress), and the log of
    invalidations: the last _LOG_TAGS tags. A rendering that began before what the log remembers is not kept.
    """

    def __init__(self, *, capacity_bytes: int, ttl_s: float, grace_s: float) -> None:
        self._capacity_bytes = capacity_bytes
        self._ttl_s = ttl_s
        self._grace_s = grace_s
        # Under overload everything stays fresh for at least so long.
        self.least_ttl_s = 0.0
        self.pages: OrderedDict[bytes, Page] = OrderedDict()
        self._sizes: dict[bytes, int] = {}
        self._keys_of_tag: dict[str, set[bytes]] = {}
        self.flights: dict[bytes, Flight] = {}
        self.size_bytes = 0
        # Generations: each invalidation has the next number; a rendering knows the number it began at.
        self._generation = 0
        self._floor = 0
        self._log: OrderedDict[str, int] = OrderedDict()

    def __len__(self) -> int:
        return len(self.pages)

    def lookup(self, key: bytes, at_s: float) -> Page | None:
        """The page, fresh (`fresh_until_s` > at_s) or within its grace; None when there is none."""
        page = self.pages.get(key)
        if page is None:
            return None
        if page.stale_until_s <= at_s:
            self._drop(key)
            return None
        return page

    def begin(self, key: bytes, at_s: float) -> Flight:
        """A rendering of `key` begins; there must be none already. End it with `finish`."""
        flight = self.flights[key] = Flight(key, self._generation)
        return flight

    def wait(self, flight: Flight, waiter: object) -> bool:
        """Wait for the rendering; False when too many already do."""
        if len(flight.waiters) >= MAX_WAITERS:
            return False
        flight.waiters.append(waiter)
        return True

    def store(
        self, flight: Flight, page: Page, *, tags: Iterable[str], at_s: float, ttl_s: float | None = None
    ) -> bool:
        """Keep what the flight rendered; False when one of its tags was invalidated since it began.

        `ttl_s`: how long it stays fresh; None for the configured time. Also False when it is too large.
        """
        own_tags = tuple(dict.fromkeys(tags))
        if flight.began < self._floor or any(self._log.get(tag, -1) > flight.began for tag in own_tags):
            return False
        if len(page.body) > MAX_KEPT_BYTES or len(page.body) * 2 > self._capacity_bytes:
            return False
        older = self.pages.get(page.key)
        if older is not None:
            page.take_codings_of(older)
            self._drop(page.key)
        ttl_s = max(self.least_ttl_s, self._ttl_s if ttl_s is None else ttl_s)
        page.fresh_until_s = at_s + ttl_s
        page.stale_until_s = page.fresh_until_s + self._grace_s
        page.tags = own_tags
        self.pages[page.key] = page
        for tag in own_tags:
            self._keys_of_tag.setdefault(tag, set()).add(page.key)
        self._sizes[page.key] = 0
        self.resize(page)
        return True

    def finish(self, flight: Flight) -> list[object]:
        """The rendering is over, kept or not: those who waited for it, each once."""
        if self.flights.get(flight.key) is flight:
            del self.flights[flight.key]
        waiters, flight.waiters = flight.waiters, []
        return waiters

    def touch(self, page: Page) -> None:
        """The page is in use (told at most once a second per page) and may have got new encoded bytes."""
        if self.pages.get(page.key) is page:
            self.pages.move_to_end(page.key)
            self.resize(page)

    def resize(self, page: Page) -> None:
        """Account for the page's present size and drop others if it is too much."""
        size = page.size_bytes
        self.size_bytes += size - self._sizes[page.key]
        self._sizes[page.key] = size
        while self.size_bytes > self._capacity_bytes and self.pages:
            self._drop(next(iter(self.pages)))

    def invalidate(self, tag: str) -> None:
        """Softly: the next visitor renders, the others have the old page meanwhile."""
        self._record(tag)
        for key in self._keys_of_tag.get(tag, ()):
            self.pages[key].fresh_until_s = 0.0

    def purge(self, tag: str) -> None:
        """At once: nobody gets the old page any more (delete, block, visibility)."""
        self._record(tag)
        for key in tuple(self._keys_of_tag.get(tag, ())):
            self._drop(key)

    def purge_all(self) -> None:
        """At once, everything, and every rendering in progress: the bus has a gap."""
        self._generation += 1
        self._floor = self._generation
        self._log.clear()
        self.pages.clear()
        self._sizes.clear()
        self._keys_of_tag.clear()
        self.size_bytes = 0

    def _record(self, tag: str) -> None:
        self._generation += 1
        self._log[tag] = self._generation
        self._log.move_to_end(tag)
        if len(self._log) > _LOG_TAGS:
            _, self._floor = self._log.popitem(last=False)

    def _drop(self, key: bytes) -> None:
        page = self.pages.pop(key)
        # Those who hold the page for an instant must not take it for fresh.
        page.fresh_until_s = 0.0
        self.size_bytes -= self._sizes.pop(key)
        for tag in page.tags:
            keys = self._keys_of_tag[tag]
            keys.discard(key)
            if not keys:
                del self._keys_of_tag[tag]
