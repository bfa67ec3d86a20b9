"""Paths as the shield sees them: the kind of request, and whether it is expensive.

The table is data, read from top to bottom; results for the latest few thousand paths are cached.
"""

from __future__ import annotations

import contextlib

from stormpetrel.shield.percent import unquoted

REMEMBERED = 4096

# The kinds of request. Plain integers: hashing an enumeration's member costs ten times as much.
PAGE, API, FEED, STREAM, SIGN_IN, TOKEN, SIGN_UP, SEARCH, TAG, APPS = range(10)
"""SIGN_IN: the password form, 20 ms of a core each. TOKEN: exchange a code, or an
application's own secret, for a token. APPS: register an application, also with an invalid token."""

_EXACT = {
    b"/auth/sign_in": SIGN_IN,
    b"/oauth/token": TOKEN,
    b"/auth/sign_up": SIGN_UP,
    b"/api/v1/accounts": SIGN_UP,
    b"/api/v1/apps": APPS,
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
    """Return the kind of a raw path."""
    kind = _remembered.get(path)
    if kind is None:
        kind = _find(path)
        if len(_remembered) >= REMEMBERED:
            _remembered.clear()
        _remembered[path] = kind
    return kind


def is_deep(query: bytes) -> bool:
    """Return True if the query asks for a page after the first."""
    return bool(query) and any(name in query for name in _DEEP)


def _find(path: bytes) -> int:
    # As the router does: decode percent-encoding (%5f is _) and ignore a slash at the end.
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
