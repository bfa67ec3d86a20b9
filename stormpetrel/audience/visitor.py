"""Reads from a request's head who its visitor is, as far as counting needs it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from stormpetrel.audience.classes import is_program, landing_class, referrer_class, subscribers_of
from stormpetrel.audience.counter import (
    ALL,
    APPS,
    FEEDS,
    LAST,
    MEMBERS,
    RETURNED,
    SMS,
    UNMARKED,
    WEB,
    VisitorCounter,
)
from stormpetrel.shield.marks import marks_of
from stormpetrel.shield.paths import Family, PathFacts

MAX_AGENT_BYTES = 256
YOUNG_S = 3600
"""A cookie younger than this shows that the first request, without a cookie, was the same visitor's."""
FILE = -1
"""Not a channel: a file of a page. It proves that the browser returns cookies, and is no visit by itself."""
_UNKNOWN = -2
PROGRAMS = "programs"
"""The name under which requests of programs are counted."""
REMEMBERED = 4096
REMEMBERED_BYTES = 512
_FILES = (b"/assets/", b"/media/")
_MACHINES = frozenset({b"/favicon.ico", b"/robots.txt", b"/manifest.webmanifest"})

HeadFacts = Mapping[bytes, bytes]
"""The values of a request's headers by name in lower case. Read here: those of HEADERS."""
HEADERS = frozenset({b"cookie", b"dnt", b"referer", b"sec-gpc", b"user-agent"})


class Visitor(NamedTuple):
    """The visitor of a request. `apart`: the name under which the request alone is counted; "" for a person's.

    `mark`: the account or the cookie, b"" if there is none. `landing`, `referrer`: classes, if the request can be the
    first page of a visit, else "". `key`: the hash of what tells visitors at one address apart.
    """

    apart: str
    channel: int
    mark: bytes
    agent: bytes
    is_young: bool
    landing: str
    referrer: str
    key: int


class VisitorLogin(NamedTuple):
    """The account of a request's credential, None for an application's own token. `since_s`: when a session began."""

    account_id: int | None
    is_token: bool
    since_s: float


NO_LOGIN = VisitorLogin(None, is_token=False, since_s=0.0)


def channel_of(path: bytes, facts: PathFacts) -> int | None:
    """Return the channel of a path without a token; FILE, or None if nothing is counted there."""
    if facts.family is Family.API:
        # Not the discovery by other servers (nodeinfo, webfinger).
        return APPS if path.startswith(b"/api/") else None
    if facts.family is Family.FEED:
        return FEEDS
    if path.startswith(_FILES):
        return FILE
    return None if path in _MACHINES or not facts.exists else WEB


class VisitorReader:
    """Reads and counts the visitors of one worker. `own_host`: of this instance's pages, in lower case."""

    __slots__ = (
        "_channels",
        "_counter",
        "_memo",
        "_own_host",
        "_paths",
        "_program_memo",
        "_programs",
        "_secret",
    )

    def __init__(
        self, counter: VisitorCounter, *, secret: bytes, own_host: bytes, paths: Mapping[bytes, PathFacts]
    ) -> None:
        self._counter = counter
        self._memo = counter.memo
        self._program_memo = counter.programs
        self._secret = secret
        self._own_host = own_host
        self._paths = paths
        self._channels: dict[bytes, int | None] = {}
        # By the hash of the User-Agent: whether it is a program's. Looking for the words costs 15 µs.
        self._programs: dict[int, bool] = {}

    def see(
        self,
        headers: HeadFacts,
        path: bytes,
        address: str,
        *,
        epoch_s: float,
        login: VisitorLogin = NO_LOGIN,
    ) -> list[int] | None:
        """Count the visitor of a request, once a day; nothing before the watch has sent the day's key.

        Return None for a person; for a request that is counted apart, the count, in which each repetition of the
        same request adds 1. `address`: the client's, for IPv6 its /64. `epoch_s`: now, since 1970.
        """
        get = headers.get
        # A browser repeats these, and a flood of programs too, whatever else differs in its requests.
        if login is NO_LOGIN:
            channel = self._channels.get(path, _UNKNOWN)
            if channel == _UNKNOWN:
                channel = self._find_channel(path)
            if channel is None:
                return None
            seen = hash((get(b"user-agent"), get(b"cookie"), address, channel if channel > 0 else WEB))
        else:
            channel = APPS if login.is_token else self._find_channel(path)
            seen = hash((get(b"user-agent"), get(b"cookie"), address, channel, login))
        if b"dnt" not in headers and b"sec-gpc" not in headers:
            if self._memo[seen & LAST] == seen:
                return None
            if self._program_memo[seen & LAST] == seen:
                if channel == FILE:
                    return None
                apart = self._counter.apart(PROGRAMS)
                apart[0] += 1
                return apart
        if not self._counter.is_counting:
            return None
        visitor = self._read(headers, path, channel, epoch_s=epoch_s, login=login)
        if visitor is None:
            return None
        if visitor.apart:
            apart = self._counter.apart(visitor.apart)
            apart[0] += channel != FILE
            if visitor.apart == PROGRAMS:
                self._program_memo[seen & LAST] = seen
            return apart
        self._see_person(visitor, address)
        self._counter.remember(seen)
        return None

    def _read(
        self, headers: HeadFacts, path: bytes, channel: int | None, *, epoch_s: float, login: VisitorLogin
    ) -> Visitor | None:
        """Return the visitor of a request; None if nothing is counted."""
        if channel is None:
            return None
        if headers.get(b"dnt") == b"1" or headers.get(b"sec-gpc") == b"1":
            return _apart("opted_out", channel)
        agent = headers.get(b"user-agent", b"")[:MAX_AGENT_BYTES]
        mark, issued_s = b"", login.since_s
        if login.account_id is not None:
            mark = b"account %d" % login.account_id
        visitor, device = marks_of(self._secret, headers.get(b"cookie"), epoch_s=epoch_s)
        if device is not None:
            mark = mark or b"account %d" % device.account_id
            issued_s = max(issued_s, device.issued_at_s)
        if visitor is not None:
            mark = mark or b"cookie %d" % visitor.mark_id
            issued_s = max(issued_s, visitor.issued_at_s)
        if not mark and channel == FILE:
            return None
        if not mark.startswith(b"account"):
            if channel == FEEDS and (found := subscribers_of(agent)) is not None:
                self._counter.announce(*found)
                return _apart("services", channel)
            if self._is_program(agent, is_feed=channel == FEEDS):
                return _apart(PROGRAMS, channel)
        is_young = epoch_s - issued_s < YOUNG_S
        landing = origin = ""
        if channel == WEB:
            origin = referrer_class(headers.get(b"referer", b""), self._own_host)
            landing = landing_class(path) if origin else ""
        key = hash((WEB if channel == FILE else channel, mark, agent, is_young))
        # A call of the class takes twice as long.
        return tuple.__new__(Visitor, ("", channel, mark, agent, is_young, landing, origin, key))

    def _see_person(self, visitor: Visitor, address: str) -> None:
        """Count a person, unless another request of the day was the same person's."""
        counter = self._counter
        seen = hash((visitor.key, address))
        if self._memo[seen & LAST] == seen:
            return
        counter.remember(seen)
        mark, channel = visitor.mark, visitor.channel
        if not mark:
            known_by = "address"
            counter.add(_place_of(visitor, address), (UNMARKED,) if channel == WEB else (channel, ALL))
        else:
            by_account = mark.startswith(b"account")
            known_by = "account" if by_account else "cookie"
            found = WEB if channel == FILE else channel
            counter.add(mark, (found, ALL, MEMBERS) if by_account else (found, ALL))
            if visitor.is_young and found == WEB:
                counter.add(_place_of(visitor, address), (RETURNED,))
        counter.count_person(known_by, visitor.landing, visitor.referrer)

    def _find_channel(self, path: bytes) -> int | None:
        channels = self._channels
        if len(channels) >= REMEMBERED:
            channels.clear()
        found = channel_of(path, self._paths[path])
        if len(path) <= REMEMBERED_BYTES:
            channels[path] = found
        return found

    def _is_program(self, agent: bytes, *, is_feed: bool) -> bool:
        key = hash((agent, is_feed))
        found = self._programs.get(key)
        if found is None:
            if len(self._programs) >= REMEMBERED:
                self._programs.clear()
            found = self._programs[key] = is_program(agent, is_feed=is_feed)
        return found


def see_text(counter: VisitorCounter, *, account_id: int | None, number_hash: bytes) -> None:
    """Count the sender of a text: the account, or a phone that belongs to none."""
    if account_id is not None:
        counter.add(b"account %d" % account_id, (SMS, ALL, MEMBERS))
    else:
        counter.add(b"phone " + number_hash, (SMS, ALL))
    counter.count_person("account" if account_id is not None else "phone")


def _place_of(visitor: Visitor, address: str) -> bytes:
    """Return the mark of address and browser."""
    return b"place %b %b" % (address.encode(), visitor.agent)


def _apart(name: str, channel: int) -> Visitor:
    return Visitor(name, channel, b"", b"", is_young=False, landing="", referrer="", key=0)
