"""Reads from a request's head who its visitor is, as far as counting needs it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from stormpetrel.audience.classes import is_program, landing_class, referrer_class, subscribers_of
from stormpetrel.audience.counter import (
    ALL,
    APPS,
    FEEDS,
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
_FILES = (b"/assets/", b"/media/")
_MACHINES = frozenset({b"/favicon.ico", b"/robots.txt", b"/manifest.webmanifest"})

Headers = Sequence[tuple[bytes, bytes]]


class Visitor(NamedTuple):
    """The visitor of a request. `apart`: the name under which the request alone is counted; "" for a person's.

    `mark`: the account or the cookie, b"" if there is none. `key`: the hash of all but the address.
    `landing`, `referrer`: classes, if the request can be the first page of a visit, else "".
    """

    apart: str
    channel: int
    mark: bytes
    agent: bytes
    is_young: bool
    landing: str
    referrer: str
    key: int


def channel_of(path: bytes, facts: PathFacts, *, has_token: bool) -> int | None:
    """Return the channel of a path, FILE, or None if nothing is counted there."""
    if has_token:
        return APPS
    if facts.family is Family.API:
        # Not the discovery by other servers (nodeinfo, webfinger).
        return APPS if path.startswith(b"/api/") else None
    if facts.family is Family.FEED:
        return FEEDS
    if path.startswith(_FILES):
        return FILE
    return None if path in _MACHINES or not facts.exists else WEB


class VisitorReader:
    """Reads visitors for one worker. `own_host`: of this instance's pages, in lower case."""

    __slots__ = ("_counter", "_own_host", "_secret")

    def __init__(self, counter: VisitorCounter, *, secret: bytes, own_host: bytes) -> None:
        self._counter = counter
        self._secret = secret
        self._own_host = own_host

    def read(
        self,
        headers: Headers,
        path: bytes,
        facts: PathFacts,
        *,
        epoch_s: float,
        account_id: int | None = None,
        has_token: bool = False,
        signed_in_at_s: float = 0.0,
    ) -> Visitor | None:
        """Return the visitor; None if nothing is counted. `headers`: names in lower case.

        `account_id`: of the credential; `signed_in_at_s`: when its session began.
        """
        channel = channel_of(path, facts, has_token=has_token)
        if channel is None:
            return None
        agent = referrer = b""
        cookie: bytes | None = None
        for name, value in headers:
            if name == b"user-agent":
                agent = value[:MAX_AGENT_BYTES]
            elif name == b"referer":
                referrer = value
            elif name == b"cookie":
                cookie = value if cookie is None else cookie + b"; " + value
            elif (name == b"sec-gpc" or name == b"dnt") and value == b"1":
                return _apart("opted_out", channel)
        mark, issued_s = b"", signed_in_at_s
        if account_id is not None:
            mark = b"account %d" % account_id
        visitor, device = marks_of(self._secret, cookie, epoch_s=epoch_s)
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
            if is_program(agent, is_feed=channel == FEEDS):
                return _apart("programs", channel)
        is_young = epoch_s - issued_s < YOUNG_S
        landing = origin = ""
        if channel == WEB:
            origin = referrer_class(referrer, self._own_host)
            landing = landing_class(path) if origin else ""
        key = hash((channel if channel != FILE else WEB, mark, agent, is_young))
        return Visitor("", channel, mark, agent, is_young, landing, origin, key)

    def see(self, visitor: Visitor, address: str) -> None:
        """Count a visitor. `address`: the client's, for IPv6 its /64."""
        counter = self._counter
        if visitor.apart:
            if visitor.channel != FILE:
                counter.count(f"requests/{visitor.apart}")
            return
        if not counter.is_new(hash((visitor.key, address))):
            return
        mark, channel = visitor.mark, visitor.channel
        if not mark:
            self._see_unmarked(visitor, address)
        else:
            by_account = mark.startswith(b"account")
            found = WEB if channel == FILE else channel
            counter.add(mark, (found, ALL, MEMBERS) if by_account else (found, ALL))
            counter.count("known_by/account" if by_account else "known_by/cookie")
            if visitor.is_young and found == WEB:
                counter.add(_place_of(visitor, address), (RETURNED,))
        if visitor.landing:
            counter.count(f"landing/{visitor.landing}")
            counter.count(f"from/{visitor.referrer}")

    def _see_unmarked(self, visitor: Visitor, address: str) -> None:
        channel = visitor.channel
        self._counter.add(_place_of(visitor, address), (UNMARKED,) if channel == WEB else (channel, ALL))
        self._counter.count("known_by/address")


def see_text(counter: VisitorCounter, *, account_id: int | None, number_hash: bytes) -> None:
    """Count the sender of a text: the account, or a phone that belongs to none."""
    if account_id is not None:
        counter.add(b"account %d" % account_id, (SMS, ALL, MEMBERS))
    else:
        counter.add(b"phone " + number_hash, (SMS, ALL))
    counter.count("known_by/account" if account_id is not None else "known_by/phone")


def _place_of(visitor: Visitor, address: str) -> bytes:
    """Return the mark of address and browser."""
    return b"place %b %b" % (address.encode(), visitor.agent)


def _apart(name: str, channel: int) -> Visitor:
    return Visitor(name, channel, b"", b"", is_young=False, landing="", referrer="", key=0)
