"""Finished answers for members: the bytes that a token got for a path, until a fact that they show changes.

An entry belongs to one token and to one path with its query, so no other reader gets it. The application names the
facts (`FinishedOffer.keep`); the edge knows them only as keys that change. A request whose answer is here is
identified, admitted, counted and charged like any other; it is spared the application.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable

from stormpetrel.bounded import BoundedTable, Eviction
from stormpetrel.edge.cache import Headers
from stormpetrel.edge.codings import encode_fast
from stormpetrel.edge.compression import headers_in_gzip, may_be_packed
from stormpetrel.edge.framing import AnswerFraming
from stormpetrel.freshness import Freshness

CAPACITY_BYTES = 64 * 1024 * 1024
"""Limit for all answers of a worker: 1,300 homes of 45 KB, or 25,000 short answers."""
MAX_BODY_BYTES = 256 * 1024
"""Larger answers are not stored."""
_LOG_KEYS = 32_768
"""Changed facts in the log, 8 MB when full: at 250 changes a second it reaches back two minutes, and apps poll once a
minute."""
_MARKS = 65_536
"""Requests that are remembered until they come again; 2.5 MB."""
_ENTRY_BYTES = 2048
_FACT_BYTES = 64
# No header contains it, so it marks the places of the date and of the rate limit in a head.
_PLACE = b"\0"

AnswerKey = tuple[bytes, bytes, bytes]
"""The token's SHA-256, the raw path, the raw query."""
StillHolds = Callable[[], bool]
AnswerParts = tuple[bytes, bytes, bytes, bytes]
"""Status line, head, rest of the head without its last line break, body. The date belongs after the first, and the
rate limit after the second."""


class FinishedOffer:
    """`scope["finished"]`: lets the application store its answer for the next request with this token.

    `began`: a generation from before the application read anything.
    """

    __slots__ = ("began", "facts", "key", "still_holds", "until_s")

    def __init__(self, key: AnswerKey, began: int) -> None:
        self.key = key
        self.began = began
        self.facts: tuple[Hashable, ...] | None = None
        self.until_s = math.inf
        self.still_holds: StillHolds | None = None

    def keep(
        self, facts: Iterable[Hashable], *, until_s: float = math.inf, still_holds: StillHolds | None = None
    ) -> None:
        """Store this request's 200 answer until one of the facts changes, or `still_holds` returns False.

        `until_s`: when its content changes by the clock, in seconds since 1970.
        """
        self.facts = tuple(facts)
        self.until_s = until_s
        self.still_holds = still_holds


class FinishedAnswer:
    """One stored answer. `began`: a generation since which none of its `facts` has changed."""

    __slots__ = ("_body", "_headers", "_packed", "_plain", "began", "facts", "key", "still_holds", "until_s")

    def __init__(
        self, offer: FinishedOffer, facts: tuple[Hashable, ...], headers: Headers, body: bytes
    ) -> None:
        self.key = offer.key
        self.began = offer.began
        self.facts = facts
        self.until_s = offer.until_s
        self.still_holds = offer.still_holds
        # A request's id leads to its failure in the log, and these requests cannot fail.
        self._headers = [header for header in headers if header[0] != b"x-request-id"]
        self._body = body
        self._plain: AnswerParts | None = None
        self._packed: AnswerParts | None = None

    @property
    def size_bytes(self) -> int:
        """Return the approximate memory use: the body, and its bytes in gzip once they were made."""
        packed = self._packed
        more = len(packed[3]) if packed is not None and packed is not self._plain else 0
        return _ENTRY_BYTES + len(self._body) + more + _FACT_BYTES * len(self.facts)

    @property
    def is_packed(self) -> bool:
        """Return True if the bytes in gzip were made."""
        return self._packed is not None

    def plain(self) -> AnswerParts:
        """Return the answer without a coding."""
        if self._plain is None:
            self._plain = _cut(self._headers, self._body)
        return self._plain

    def packed(self) -> AnswerParts:
        """Return the answer in gzip, or without a coding if gzip does not pay."""
        if self._packed is None:
            if may_be_packed(self._headers, self._body):
                self.take_packed(encode_fast(self._body))
            else:
                self._packed = self.plain()
        assert self._packed is not None
        return self._packed

    def take_packed(self, body: bytes) -> None:
        """Store bytes in gzip that were made already."""
        self._packed = _cut(headers_in_gzip(self._headers), body)


class FinishedAnswers:
    """The answers of one worker by `AnswerKey`. Bounded by weight; the one used longest ago is dropped.

    `catch_up`: applies the changes that other processes have published. It is called before an answer is used, as
    before each request of the application.
    """

    def __init__(self, *, capacity_bytes: int = CAPACITY_BYTES) -> None:
        self.catch_up: Callable[[], None] = _nothing
        self._freshness: Freshness[Hashable] = Freshness(log_keys=_LOG_KEYS)
        # The hashes of the keys of requests that came lately, each in its place.
        self._seen = [0] * _MARKS
        self._answers: BoundedTable[AnswerKey, FinishedAnswer] = BoundedTable(
            capacity_bytes, evicts=Eviction.LRU, weigh=_size_bytes
        )

    def __len__(self) -> int:
        return len(self._answers)

    @property
    def size_bytes(self) -> int:
        """Return the approximate memory use of all answers."""
        return self._answers.weight

    def find(self, key: AnswerKey, epoch_s: float) -> FinishedAnswer | None:
        """Return the answer if it still holds, else drop it and return None. `epoch_s`: now, since 1970."""
        answer = self._answers.get(key)
        if answer is None:
            return None
        self.catch_up()
        freshness = self._freshness
        now = freshness.begin()
        if (
            (answer.began == now or freshness.is_current(answer.began, *answer.facts))
            and answer.until_s > epoch_s
            and (answer.still_holds is None or answer.still_holds())
        ):
            # The next look-up compares the facts only if another one has changed since.
            answer.began = now
            return answer
        self._answers.pop(key)
        return None

    def offer(self, key: AnswerKey) -> FinishedOffer | None:
        """Return an offer for a request that the application is about to answer; None for the first of its kind.

        Many requests are not repeated: the next page of a list, the start of an app. Storing their answers would take
        time and memory for nothing.
        """
        mark = hash(key)
        place = mark % _MARKS
        if self._seen[place] != mark:
            self._seen[place] = mark
            return None
        return FinishedOffer(key, self._freshness.begin())

    def store(self, offer: FinishedOffer, headers: Headers, body: bytes) -> FinishedAnswer | None:
        """Store the answer if the application took the offer; return None if it did not, if a fact has changed since,
        or if the answer is too large or sets a cookie.
        """
        facts = offer.facts
        if (
            facts is None
            or len(body) > MAX_BODY_BYTES
            or not self._freshness.is_current(offer.began, *facts)
            or any(name == b"set-cookie" for name, _ in headers)
        ):
            return None
        answer = FinishedAnswer(offer, facts, headers, body)
        return answer if self._answers.put(offer.key, answer) else None

    def packed(self, answer: FinishedAnswer) -> AnswerParts:
        """Return the answer in gzip, if that pays, and account for the bytes when they are made."""
        if answer.is_packed:
            return answer.packed()
        parts = answer.packed()
        self._answers.reweigh(answer.key)
        return parts

    def take_packed(self, answer: FinishedAnswer, body: bytes) -> None:
        """Store the bytes in gzip that were made for the first request."""
        answer.take_packed(body)
        self._answers.reweigh(answer.key)

    def changed(self, facts: Iterable[Hashable]) -> None:
        """Make the answers that show one of these facts stale."""
        self._freshness.changed(*facts)

    def all_changed(self) -> None:
        """Drop all answers, and do not store those in progress: any fact may have changed."""
        self._freshness.all_changed()
        self._answers.clear()


def _cut(headers: Headers, body: bytes) -> AnswerParts:
    framing = AnswerFraming(keep_alive=True, only_head=False, is_http_1_0=False)
    head, body = framing.begin(200, headers, body, more=False, date=_PLACE, metered=lambda: _PLACE)
    status, first, *rest = head[:-2].split(_PLACE)
    return status, first, b"".join(rest), body


def _size_bytes(answer: FinishedAnswer) -> int:
    return answer.size_bytes


def _nothing() -> None:
    """Do nothing: no other process changes anything."""
