"""Identify: find the sender of a request from memory. No database, no clock.

A token in the table stands for its account, a session cookie with a valid MAC for its session's account; any
other request comes from a stranger at its address. A token that was not looked up yet also starts as a
stranger: random tokens share their address's part of the queue and get no better access to the database.
"""

from __future__ import annotations

import hashlib
import math
import re
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from stormpetrel.bounded import BoundedTable, Eviction
from stormpetrel.shield.cookies import COOKIE_NAME, SessionClaims, pairs
from stormpetrel.shield.cookies import read as read_cookie
from stormpetrel.shield.percent import parameter, unquoted
from stormpetrel.shield.token_index import TokenIndex

FRESH_S = 60.0
"""A token's entry is trusted this long; after that it still queues as its account until looked up again."""
UNKNOWN_S = 10.0
"""A token found to be unknown is not looked up again for this long."""
MAX_TOKEN_BYTES = 512
_COOKIE = COOKIE_NAME.encode()
_TOKEN_PARAMETER = parameter(b"access_token")


class Identity(NamedTuple):
    """The identity whose budget a request spends.

    `value`: account id (for all its tokens, sessions and devices), the random id of a visitor
    cookie (marks.py), or address (IPv6: its /64); the beginning of the hash of a token not looked
    up yet; the person of a canary (canary.py).
    """

    kind: Literal["account", "device", "visitor", "address", "canary", "token"]
    value: int | str


@dataclass(frozen=True, slots=True)
class TokenEntry:
    """A known access token. `account_id` is None for an application's own token.

    `created_at_ms`: since 1970. `checked_at_s`: the worker's monotonic clock. `claims` belongs to
    the application and is not read here. `application`: the name of its OAuth client.
    `is_operator`: exempt from `deny`. `is_confirmed`: False for an account whose address is not confirmed;
    its requests count as a stranger's, and have no identity of their own.
    """

    account_id: int | None
    created_at_ms: int
    checked_at_s: float
    claims: object
    application: str = ""
    is_operator: bool = False
    is_confirmed: bool = True
    identity: Identity | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        # Made once, because it is read with every request.
        if self.account_id is not None and self.is_confirmed:
            object.__setattr__(self, "identity", Identity("account", self.account_id))

    def is_fresh(self, at_s: float) -> bool:
        """Return True while the entry may replace a database look-up."""
        return at_s - self.checked_at_s < FRESH_S


class Credentials(NamedTuple):
    """The credentials in a request's head: the SHA-256 of its bearer token, and its session cookie's text."""

    token_hash: bytes | None
    cookie: bytes | None


class Visit(NamedTuple):
    """One request's sender, as far as memory can identify it.

    `token_hash`: SHA-256 of the bearer token, if one was sent. `token`: its entry in the table, if fresh;
    `entry`: its entry, fresh or not. `session`: the claims of a cookie with a valid MAC, unless that session
    is known to have ended. `address`: the client's, in full. `is_unverified`: the access of the session's
    account changed, and the session was not looked up since.
    """

    identity: Identity
    address: str
    token_hash: bytes | None = None
    token: TokenEntry | None = None
    session: SessionClaims | None = None
    entry: TokenEntry | None = None
    is_unverified: bool = False

    @property
    def is_anonymous(self) -> bool:
        """Return True if it has neither a bearer token nor a valid session: it sees public content only."""
        return self.token_hash is None and self.session is None


class TokenTable:
    """Access tokens by SHA-256, and the hashes recently found to be unknown. `index`: tokens from before the start.

    At most `capacity` entries; the one checked longest ago is dropped (which costs its owner one look-up). At
    most `unknown_capacity` unknown hashes; the oldest is dropped.
    """

    def __init__(self, *, capacity: int = 100_000, unknown_capacity: int = 20_000) -> None:
        oldest = Eviction.OLDEST
        self.index = TokenIndex()
        self._entries: BoundedTable[bytes, TokenEntry] = BoundedTable(
            capacity, evicts=oldest, on_drop=self._dropped
        )
        self._of_account: dict[int, set[bytes]] = {}
        self._unknown_until_s: BoundedTable[bytes, float] = BoundedTable(unknown_capacity, evicts=oldest)
        # Two sets, each key stored as its own value: sessions found to have ended, which never come back, and
        # accounts whose access changed.
        self._ended: BoundedTable[int, int] = BoundedTable(unknown_capacity, evicts=oldest)
        self._changed: BoundedTable[int, int] = BoundedTable(unknown_capacity, evicts=oldest)

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def unknown_count(self) -> int:
        """Return how many hashes are remembered as unknown."""
        return len(self._unknown_until_s)

    def get(self, token_hash: bytes, at_s: float) -> TokenEntry | None:
        """Return the entry, fresh or not (`TokenEntry.is_fresh`); None if absent. `at_s` is not used yet."""
        entry = self._entries.get(token_hash)
        return self._from_index(token_hash) if entry is None and self.index else entry

    def put(self, token_hash: bytes, entry: TokenEntry) -> None:
        """Store the result of a look-up; replace an older entry."""
        self._unknown_until_s.pop(token_hash)
        self._entries.put(token_hash, entry)
        if entry.account_id is not None:
            self._of_account.setdefault(entry.account_id, set()).add(token_hash)

    def forget(self, token_hash: bytes) -> None:
        """Drop one entry: the token was revoked."""
        self._entries.pop(token_hash)
        self.index.discard(token_hash)

    def forget_account(self, account_id: int) -> None:
        """Drop every entry of an account that was suspended or signed out everywhere."""
        for token_hash in tuple(self._of_account.get(account_id, ())):
            self.forget(token_hash)
        self._changed.put(account_id, account_id)

    def mark_ended(self, session_id: int) -> None:
        """Remember a session that a look-up found ended; a session never comes back."""
        self._ended.put(session_id, session_id)

    def has_ended(self, session_id: int) -> bool:
        """Return whether the session is known to have ended."""
        return self._ended.get(session_id) is not None

    def is_unverified(self, claims: SessionClaims) -> bool:
        """Return whether the session's account changed its access and the session was not looked up since."""
        changed = self._changed.get(claims.account_id) is not None
        return changed and self._entries.get(b"session:%d" % claims.session_id) is None

    def clear(self) -> None:
        """Drop all tokens, known and unknown: the bus has a gap."""
        self._entries.clear()
        self._of_account.clear()
        self._unknown_until_s.clear()

    def mark_unknown(self, token_hash: bytes, at_s: float) -> None:
        """Remember a hash that a look-up did not find; do not repeat the look-up for UNKNOWN_S."""
        self._unknown_until_s.put(token_hash, at_s + UNKNOWN_S)

    def is_unknown(self, token_hash: bytes, at_s: float) -> bool:
        """Return True if a look-up less than UNKNOWN_S ago did not find the hash."""
        until_s = self._unknown_until_s.get(token_hash)
        if until_s is None:
            return False
        if until_s <= at_s:
            self._unknown_until_s.pop(token_hash)
            return False
        return True

    def forget_all_unknown(self) -> None:
        """Forget all unknown hashes: an account came back, so its tokens may be valid again."""
        self._unknown_until_s.clear()

    def _from_index(self, token_hash: bytes) -> TokenEntry | None:
        """Return an entry that is not fresh; None for an unknown token, or if its account's access changed since."""
        found = self.index.find(token_hash)
        if found is None or self._changed.get(found[0]) is not None:
            return None
        entry = TokenEntry(found[0], found[1], -math.inf, None)
        self._entries.put(token_hash, entry)
        self._of_account.setdefault(found[0], set()).add(token_hash)
        return entry

    def _dropped(self, token_hash: bytes, entry: TokenEntry) -> None:
        if entry.account_id is not None:
            hashes = self._of_account[entry.account_id]
            hashes.discard(token_hash)
            if not hashes:
                del self._of_account[entry.account_id]


def address_identity(address: str) -> Identity:
    """Return the identity of the strangers at an address: the address itself, for IPv6 its /64."""
    if ":" not in address:
        return Identity("address", address)
    bare = address.partition("%")[0]
    if "." in bare:
        return Identity("address", bare)
    head, gap, tail = bare.partition("::")
    groups = head.split(":") if head else []
    if gap:
        after = tail.split(":") if tail else []
        groups += ["0"] * (8 - len(groups) - len(after)) + after
    return Identity("address", ":".join(group.lstrip("0") or "0" for group in groups[:4]) + "::/64")


def may_have_token(query: bytes) -> bool:
    """Return whether a query string could contain an access token, also percent-encoded."""
    return b"access_token" in query or b"%" in query


def credentials_of(authorization: bytes | None, cookie: bytes | None, query: bytes) -> Credentials | None:
    """Return the credentials in a head; None if there are none, that is, if the request is anonymous.

    `authorization`, `cookie`: the header values, joined if repeated. A request with an Authorization that is
    not a usable bearer token, or with an invalid session cookie, is still not anonymous.
    """
    token: bytes | None = None
    found = False
    if authorization is not None:
        found = True
        if authorization[:7] == b"Bearer ":
            token = authorization[7:].strip()
        else:
            scheme, _, value = authorization.strip().partition(b" ")
            if scheme.lower() == b"bearer":
                token = value.strip()
    if may_have_token(query):
        parameter_found = _TOKEN_PARAMETER.search(b"&" + query)
        if parameter_found is not None:
            found = True
            token = _value_of(parameter_found) if token is None else token
    session: bytes | None = None
    if cookie is not None and _COOKIE in cookie:
        session = _session_in(cookie)
        found = found or session is not None
    if not found:
        return None
    if token is None or not 0 < len(token) <= MAX_TOKEN_BYTES:
        return Credentials(None, session)
    return tuple.__new__(Credentials, (hashlib.sha256(token).digest(), session))


def _value_of(parameter_found: re.Match[bytes]) -> bytes | None:
    """Return the decoded value of a parameter; None if it cannot be decoded."""
    try:
        return unquoted((parameter_found[1] or b"").replace(b"+", b" "))
    except ValueError:
        return None


def identify(
    credentials: Credentials | None,
    *,
    stranger: Identity,
    address: str,
    tokens: TokenTable,
    secret: bytes,
    at_s: float,
) -> Visit:
    """Return the sender. `stranger`: `address_identity(address)`, cached per connection to save time.

    A token takes precedence over a cookie. A token that any client can get (an application's own, or that of an
    unconfirmed account) queues as a stranger, but is passed on to the application.
    """
    if credentials is None:
        return Visit(stranger, address)
    token_hash = credentials.token_hash
    identity = stranger
    fresh: TokenEntry | None = None
    entry: TokenEntry | None = None
    session: SessionClaims | None = None
    is_unverified = False
    if token_hash is not None:
        entry = tokens.get(token_hash, at_s)
        if entry is not None:
            if entry.identity is not None:
                identity = entry.identity
            if entry.is_fresh(at_s):
                fresh = entry
    if credentials.cookie is not None:
        known = _claims_of(secret, credentials.cookie)
        if known is not None and not tokens.has_ended(known[0].session_id):
            session, own = known
            if identity is stranger:
                is_unverified = tokens.is_unverified(session)
                if not is_unverified:
                    identity = own
    # Visit(…) would call a Python function for each request of a member; the same goes
    # for the credentials above.
    return tuple.__new__(Visit, (identity, address, token_hash, fresh, session, entry, is_unverified))


_REMEMBERED_COOKIES = 4096
_REMEMBERED_BYTES = 1024
# Browsers repeat the same header: finding the session in it and checking its MAC costs 6 µs.
_headers: dict[bytes, bytes | None] = {}
_claims: dict[tuple[bytes, bytes], tuple[SessionClaims, Identity]] = {}


def _session_in(header: bytes) -> bytes | None:
    """Return the text of the session cookie in a Cookie header; None without one."""
    if header in _headers:
        return _headers[header]
    session = next((value for name, value in pairs(header) if name == _COOKIE), None)
    if len(header) <= _REMEMBERED_BYTES:
        if len(_headers) >= _REMEMBERED_COOKIES:
            _headers.clear()
        _headers[header] = session
    return session


def _claims_of(secret: bytes, cookie: bytes) -> tuple[SessionClaims, Identity] | None:
    """Return the cookie's claims and their identity; None if invalid. Valid ones are cached by their text."""
    known = _claims.get((secret, cookie))
    if known is None:
        claims = read_cookie(secret, cookie)
        if claims is not None:
            if len(_claims) >= _REMEMBERED_COOKIES:
                _claims.clear()
            known = _claims[secret, cookie] = (claims, Identity("account", claims.account_id))
    return known
