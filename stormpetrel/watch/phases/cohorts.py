"""Sorts sampled requests into cohorts: requests of one nature, each in exactly one.

The order matters: a request is counted where its strongest mark is. The requests of one kind of attack are then in
one cohort, also when people and other attacks come at the same time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from stormpetrel.shield.evidence import (
    ASSET,
    BROWSER,
    CACHED,
    CLAIMS_ADDRESS,
    DEEP,
    FEEDS,
    FORGED,
    HAS_COOKIE,
    HAS_EXTRA_QUERY,
    IS_PIPELINED,
    IS_WRITE,
    IS_YOUNG,
    KNOWN_NETWORK,
    MEDIA,
    MEMBER,
    NO_AGENT,
    PAGES,
    PROGRAM,
    REFERRERS,
    RETURNING,
    SEARCHES,
    SIGN_INS,
    SIGN_UPS,
    STREAMS,
    TAGS,
    TOKENS,
    UNKNOWN_PATH,
    SampledRequest,
)

COHORTS = (
    "claims", "bodies", "sign_ups", "sign_ins", "streams", "forged", "writes", "abused", "members", "files",
    "pipelined", "shared", "few", "feeds", "search", "expensive", "pages", "others",
)  # fmt: skip
"""In the order of sorting.

- claims: claim to be forwarded for another address. bodies: a large body of a stranger.
- sign_ups: accounts and applications; sign_ins: passwords, codes and tokens. streams: opened.
- forged: with an invalid credential. writes: of members; abused: of credentials with very many requests;
  members: their other requests.
- files: of pages, and media. pipelined: sent before the last answer was read.
- shared, few: from addresses with very many requests, in networks with and without members.
- feeds; search; expensive: tags, pages after the first, unknown paths; pages: all others; others: the API, writes.
"""
LARGE_BODY_BYTES = 8_192
"""Forms and posts of people are smaller; uploads are members'."""
WINDOW_S = 3.0
"""The time in which a sender's requests are counted."""
HEAVY_ADDRESS_PER_S = 4.0
HEAVY_CREDENTIAL_PER_S = 2.0
"""More than a person sends for longer than WINDOW_S; files of pages do not count."""
BURST_PER_S = 6.0
"""An address with so many requests in the last second is heavy at once."""
LEAST_ROWS = 4
"""Sampled requests of a sender, before it is called heavy."""
_NO_REFERRER, _OWN = REFERRERS.index("none"), REFERRERS.index("own")
_FILES = frozenset({ASSET, MEDIA})
_HERE_BEFORE = frozenset({MEMBER, KNOWN_NETWORK, RETURNING})
_EXPENSIVE = frozenset({TAGS, DEEP, UNKNOWN_PATH})


@dataclass(frozen=True, slots=True)
class Sampled:
    """A second's sample. `weight`: the requests that each of `rows` stands for.

    `asked`: the addresses of strangers' requests that count for their address; `of_members`: those that members use;
    `credentials`: of members' requests.
    """

    weight: float
    rows: tuple[SampledRequest, ...]
    asked: Counter[int] = field(init=False)
    of_members: frozenset[int] = field(init=False)
    credentials: Counter[int] = field(init=False)

    def __post_init__(self) -> None:
        # Made once, because each second is looked at in several windows.
        strangers = [row.address for row in self.rows if row.source != MEMBER and _is_counted(row)]
        object.__setattr__(self, "asked", Counter(strangers))
        object.__setattr__(
            self,
            "of_members",
            frozenset(row.address for row in self.rows if row.source in _HERE_BEFORE),
        )
        object.__setattr__(
            self, "credentials", Counter([row.credential for row in self.rows if row.source == MEMBER])
        )


@dataclass(frozen=True, slots=True)
class HeavySenders:
    """The hashes of addresses and credentials with very many requests; `shared`: addresses of members too."""

    addresses: frozenset[int] = frozenset()
    shared: frozenset[int] = frozenset()
    credentials: frozenset[int] = frozenset()


def heavy_senders(window: Sequence[Sampled], *, seconds: float, last: Sequence[Sampled] = ()) -> HeavySenders:
    """Return who sent very many requests in the window, of `seconds`. `last`: its last second."""
    asked = [(part.weight, part.asked) for part in window]
    heavy = _frequent(asked, HEAVY_ADDRESS_PER_S * seconds)
    heavy |= _frequent([(part.weight, part.asked) for part in last], BURST_PER_S)
    shared = heavy and heavy & frozenset().union(*(part.of_members for part in window))
    credentials = [(part.weight, part.credentials) for part in window]
    return HeavySenders(heavy, shared, _frequent(credentials, HEAVY_CREDENTIAL_PER_S * seconds))


def _frequent(parts: Sequence[tuple[float, Counter[int]]], least: float) -> frozenset[int]:
    """Return those with `least` requests or more, of which at least LEAST_ROWS were sampled."""
    rows: dict[int, int] = {}
    for _, counts in parts:
        for one, count in counts.items():
            rows[one] = rows.get(one, 0) + count
    return frozenset(
        one
        for one, count in rows.items()
        if count >= LEAST_ROWS and sum(weight * counts[one] for weight, counts in parts) >= least
    )


def _is_counted(row: SampledRequest) -> bool:
    """Return whether a request counts for its address: a browser loads many files, and requests that
    are sent ahead of the answers are not served at that rate."""
    return bool(row.address) and row.kind not in _FILES and not row.flags & IS_PIPELINED


def cohort_of(row: SampledRequest, heavy: HeavySenders) -> str:
    """Return the cohort of a request, one of COHORTS."""
    kind, source, flags = row.kind, row.source, row.flags
    if flags & CLAIMS_ADDRESS:
        return "claims"
    if source != MEMBER and row.body_bytes >= LARGE_BODY_BYTES:
        return "bodies"
    if kind == SIGN_UPS:
        return "sign_ups"
    if kind in (SIGN_INS, TOKENS):
        return "sign_ins"
    if kind == STREAMS:
        return "streams"
    if source == FORGED:
        return "forged"
    if source == MEMBER:
        if flags & IS_WRITE:
            return "writes"
        return "abused" if row.credential in heavy.credentials else "members"
    return _of_stranger(row, heavy)


def _of_stranger(row: SampledRequest, heavy: HeavySenders) -> str:
    kind = row.kind
    if kind in _FILES:
        return "files"
    if row.flags & IS_PIPELINED:
        return "pipelined"
    if row.address in heavy.addresses:
        return "shared" if row.address in heavy.shared else "few"
    if kind == FEEDS:
        return "feeds"
    if kind == SEARCHES:
        return "search"
    if kind in _EXPENSIVE:
        return "expensive"
    return "pages" if kind in (CACHED, PAGES) else "others"


def is_like_a_program(row: SampledRequest) -> bool:
    """Return whether a stranger's request looks more like a program's than like a person's.

    A named program is one. For others two of these must come together: a query that no page knows; neither a page
    that it came from nor a cookie; not a browser.
    """
    if row.agent in (PROGRAM, NO_AGENT):
        return True
    signs = bool(row.flags & HAS_EXTRA_QUERY) + (row.agent != BROWSER)
    signs += row.referrer == _NO_REFERRER and not row.flags & HAS_COOKIE
    return signs >= 2


def distinct(values: Sequence[int]) -> float:
    """Return an estimate of how many different senders a sample comes from, by the pairs that are alike.

    n(n - 1) / sum of k(k - 1), where k of n are alike (Simpson's index): independent of the size of the sample. With
    no pair alike, it is the number that half a pair would give.
    """
    count = len(values)
    if count < 2:
        return float(count)
    alike = sum(k * (k - 1) for k in Counter(values).values())
    return count * (count - 1) / max(alike, 1.0)


def is_young_write(row: SampledRequest) -> bool:
    """Return whether a write has a credential of the last day."""
    return bool(row.flags & IS_YOUNG)


def came_by_a_link(row: SampledRequest) -> bool:
    """Return whether a request names another site or a mail as the page that it came from."""
    return row.referrer not in (_NO_REFERRER, _OWN)
