"""Evidence for naming an attack: a sample of a worker's requests, and exact counts of connections and costs.

The sample is uniform over a period: every `stride`-th request, and when it is full, every second one is dropped and
the stride doubles. At the start of a flood the cost is bounded at once, without a rate that has to be learnt first.
The watch compares the sample with the usual traffic (watch/phases/). It decides nothing here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple
from zlib import crc32

from stormpetrel.shield.paths import (
    API,
    APPS,
    FEED,
    PAGE,
    SEARCH,
    SIGN_IN,
    SIGN_UP,
    STREAM,
    TAG,
    TOKEN,
    PathFacts,
    is_deep,
)

MAX_SAMPLE = 300
"""Requests in one report of a worker. Looking at one costs about 10 µs."""
MAX_FAILED_LOGINS = 4_096
MAX_PATHS = 20
MAX_PATH_BYTES = 200
SEVERAL = 3
"""A path is reported by name if it was sampled this often: paths with a secret in them are requested once."""

(
    CACHED,
    PAGES,
    APIS,
    FEEDS,
    STREAMS,
    SIGN_INS,
    TOKENS,
    SIGN_UPS,
    SEARCHES,
    TAGS,
    DEEP,
    UNKNOWN_PATH,
    WRITE,
    MEDIA,
    ASSET,
) = range(15)
KINDS = (
    "cached", "page", "api", "feed", "stream", "sign_in", "token", "sign_up", "search", "tag", "deep",
    "unknown_path", "write", "media", "asset",
)  # fmt: skip
"""The purposes of requests. cached: a page from memory; deep: a page after the first; sign_up: applications too."""
MEMBER, RETURNING, KNOWN_NETWORK, NEW_NETWORK, FORGED = range(5)
SOURCES = ("member", "returning", "known_network", "new_network", "forged")
"""Whose request it was. returning: with a visitor cookie from before the attack; known_network: a stranger from a
network that members use; forged: with a credential that is not valid, or that is not known yet."""
BROWSER, APP, READER, PROGRAM, NO_AGENT = range(5)
AGENTS = ("browser", "app", "reader", "program", "none")
REFERRERS = ("none", "own", "search", "social", "mail", "other")

HAS_COOKIE = 1
"""It brought a valid visitor cookie."""
CLAIMS_ADDRESS = 2
"""It claims to be forwarded for another address, though no proxy is trusted there."""
IS_WRITE = 4
IS_YOUNG = 8
"""Its credential is younger than YOUNG_S."""
HAS_EXTRA_QUERY = 16
"""Its query has only parameters that the page does not know, so that it would defeat a cache by the URL."""
IS_PIPELINED = 32
"""It came together with the request before it, without waiting for the answer. Browsers do not do that."""
YOUNG_S = 86_400
SETTLED_S = 60.0
"""A worker that has just started knows no tokens yet: until then, a token that is not known is not called forged."""

_READING = {
    FEED: FEEDS,
    SEARCH: SEARCHES,
    STREAM: STREAMS,
    SIGN_IN: PAGES,
    TOKEN: APIS,
    SIGN_UP: PAGES,
    APPS: APIS,
}
_WRITING = {SIGN_IN: SIGN_INS, TOKEN: TOKENS, SIGN_UP: SIGN_UPS, APPS: SIGN_UPS}
_FLAT = {PAGE: PAGES, API: APIS, TAG: TAGS}


class SampledRequest(NamedTuple):
    """One request of a sample. `kind`, `source`, `agent`, `referrer`: numbers in KINDS, SOURCES, AGENTS, REFERRERS.

    `flags`: HAS_COOKIE to IS_PIPELINED. `address`, `network`, `query`, `path`, `credential`: keyed hashes, the
    same on all workers of an instance; 0 for none. `body_bytes`: the declared size of its body.
    """

    kind: int
    source: int
    agent: int
    referrer: int
    flags: int
    address: int
    network: int
    query: int
    path: int
    credential: int
    body_bytes: int


@dataclass(frozen=True, slots=True)
class Evidence:
    """One worker's evidence of a period.

    - `requests`: all that came, also those that were refused or answered from memory, without the watch's own: an
      estimate by their part of the sample, if not all requests were looked at.
    - `sample`: at most MAX_SAMPLE of them. `paths`: those of the sample that were requested SEVERAL times, by text.
    - `cost_ms`: CPU time of the application in ms by kind of request.
    - `connections`: opened, reset, unused (closed without a request) in the period, and open at its end: slow_head,
      slow_body, unread, silent (each for two periods), streams, idle, busy.
    - `counts`: ignored and heeded (Retry-After), failed_sign_ins, and most_failed: those of one account.
    """

    requests: int = 0
    sample: tuple[SampledRequest, ...] = ()
    paths: dict[str, int] = field(default_factory=dict)
    cost_ms: dict[str, float] = field(default_factory=dict)
    connections: dict[str, int] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)


class KeyedHash:
    """Hashes text to 32 bits, to tell senders apart in a sample: the same on all workers of an instance.

    A checksum from a secret start, because a keyed hash costs ten times as much. It protects nothing, and hashes
    never leave the memory of the workers and the watch.
    """

    __slots__ = ("_start",)

    def __init__(self, secret: bytes) -> None:
        self._start = crc32(b"evidence", crc32(secret))

    def __call__(self, text: bytes | str) -> int:
        """Return the hash, 1 or more; 0 for an empty text."""
        if not text:
            return 0
        return crc32(text.encode() if isinstance(text, str) else text, self._start) or 1


def kind_of(facts: PathFacts, path: bytes, query: bytes, *, changes: bool, is_cached: bool) -> int:
    """Return the purpose of a request, a number in KINDS. `is_cached`: the edge has its page in memory."""
    if changes:
        return _WRITING.get(facts.changing_kind, WRITE)
    if is_cached and not facts.is_same_for_all and facts.kind != FEED:
        return CACHED
    if not facts.exists:
        return UNKNOWN_PATH
    if facts.is_same_for_all:
        return ASSET
    if path.startswith(b"/media/"):
        return MEDIA
    found = _READING.get(facts.kind)
    if found is not None:
        return found
    return DEEP if is_deep(query) else _FLAT.get(facts.kind, PAGES)


class RequestSampler:
    """The sample of a period. `due`: the number of the next request to look at, in the worker's count of all."""

    __slots__ = ("_paths", "_rows", "_skipped", "_stride", "_taken", "due")

    def __init__(self) -> None:
        self.due = 1
        self._taken = 0
        self._stride = 1
        self._rows: list[SampledRequest] = []
        self._paths: list[bytes] = []
        self._skipped = 0.0

    def add(self, row: SampledRequest, path: bytes) -> None:
        """Add the request that was due."""
        rows = self._rows
        rows.append(row)
        self._paths.append(path)
        if len(rows) >= MAX_SAMPLE:
            del rows[::2], self._paths[::2]
            self._skipped /= 2
            self._stride *= 2
        self.due += self._stride

    def skip(self) -> None:
        """Leave out the request that was due, and take the next."""
        self._skipped += 1.0
        self.due += 1

    def take(self, requests: int) -> tuple[int, tuple[SampledRequest, ...], dict[str, int]]:
        """Return how many requests the sample stands for, the sample and its most frequent paths, and begin the next.

        `requests`: the count of all so far, with those that `skip` left out.
        """
        rows, self._rows = tuple(self._rows), []
        looked = len(rows) + self._skipped
        came = requests - self._taken
        # If those left out counted too, a person's request would count for several while few come.
        stands_for = round(came * len(rows) / looked) if looked else came
        self._skipped = 0.0
        seen, self._paths = Counter(self._paths), []
        paths = {
            path.decode("latin-1"): count
            for path, count in seen.most_common(MAX_PATHS)
            if count >= SEVERAL and len(path) <= MAX_PATH_BYTES
        }
        self._stride = -(-came // MAX_SAMPLE) or 1
        self._taken = requests
        self.due = requests + 1
        return stands_for, rows, paths


@dataclass(slots=True)
class EvidenceCounts:
    """Counts of the shield for a worker's evidence, since the last report."""

    cost_s: list[float] = field(default_factory=lambda: [0.0] * len(KINDS))
    ignored: int = 0
    heeded: int = 0

    def take(self) -> tuple[dict[str, float], dict[str, int]]:
        """Return the CPU time in ms by kind, and the other counts; reset all."""
        cost_ms = {
            kind: round(cost_s * 1000, 2) for kind, cost_s in zip(KINDS, self.cost_s, strict=True) if cost_s
        }
        counts = {"ignored": self.ignored, "heeded": self.heeded}
        self.cost_s = [0.0] * len(KINDS)
        self.ignored = self.heeded = 0
        return cost_ms, {name: count for name, count in counts.items() if count}


@dataclass(frozen=True, slots=True)
class FailedSignIns:
    """Passwords that were wrong or not checked in a period. `most`: those for one account."""

    total: int = 0
    most: int = 0


FailedSignInsOf = Callable[[], FailedSignIns]


class FailedLogins:
    """Counts failed checks of passwords, by login, between two reports; at most MAX_FAILED_LOGINS of them apart."""

    def __init__(self) -> None:
        self._total = 0
        self._by_login: dict[int, int] = {}

    def count(self, login: int) -> None:
        """Count a failure. `login`: a number that stands for the account or the name."""
        self._total += 1
        if login in self._by_login or len(self._by_login) < MAX_FAILED_LOGINS:
            self._by_login[login] = self._by_login.get(login, 0) + 1

    def take(self) -> FailedSignIns:
        """Return the failures since the last call."""
        failed = FailedSignIns(self._total, max(self._by_login.values(), default=0))
        self._total = 0
        self._by_login.clear()
        return failed
