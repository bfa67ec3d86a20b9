"""What a path is, as far as the shield cares: which channel it belongs to, and what is dear about it.

The table is data, read from top to bottom; what was found is remembered for the latest few thousand paths.
"""

from __future__ import annotations

import contextlib

from stormpetrel.shield.percent import unquoted

REMEMBERED = 4096

# What kind of thing is asked for. Plain numbers: hashing an enumeration's member costs ten times as much.
PAGE, API, FEED, STREAM, SIGN_IN, TOKEN, SIGN_UP, SEARCH, TAG = range(9)
"""SIGN_IN: the password form, each costs 20 ms of a core. TOKEN: a code, or an application's own secret, for
a token."""

_EXACT = {
    b"/auth/sign_in": SIGN_IN,
    b"/oauth/token": TOKEN,
    b"/auth/sign_up": SIGN_UP,
    b"/api/v1/accounts": SIGN_UP,
    b"/search": SEARCH,
    b"/api/v1/search": SEARCH,
    b"/api/v2/search": SEARCH,
    b"/api/v1/accounts/search": SEARCH,
    b"/oauth/authorize": PAGE,
}
_PREFIXES = (
    (b"/api/v1/streaming", STREAM),
    (b"/api/v1/timelines/tag/", TAG),
    (b"/tags/", TAG),
    (b"/api/", API),
    (b"/oauth/", API),
    (b"/.well-known/", API),
    (b"/nodeinfo", API),
)

SIGNING = frozenset({SIGN_IN, TOKEN, SIGN_UP})
SIGN_INS = frozenset({SIGN_IN, TOKEN})
_DEEP = (b"max_id=", b"min_id=", b"since_id=", b"offset=", b"page=", b"before=", b"after=")

_remembered: dict[bytes, int] = {}


def kind_of(path: bytes) -> int:
    """The kind of a raw path."""
    kind = _remembered.get(path)
    if kind is None:
        kind = _find(path)
        if len(_remembered) >= REMEMBERED:
            _remembered.clear()
        _remembered[path] = kind
    return kind


def is_deep(query: bytes) -> bool:
    """True when the query asks for more than the first page of something."""
    return bool(query) and any(name in query for name in _DEEP)


def _find(path: bytes) -> int:
    # As the router reads it: %5f is _, and a slash at the end does not count.
    with contextlib.suppress(ValueError):
        path = unquoted(path)
    if len(path) > 1 and path.endswith(b"/"):
        path = path[:-1]
    found = _EXACT.get(path)
    if found is not None:
        return found
    if path.endswith(b".atom"):
        return FEED
    return next((kind for prefix, kind in _PREFIXES if path.startswith(prefix)), PAGE)
