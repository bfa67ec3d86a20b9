"""What a path is, as far as the shield cares: which channel it belongs to, and what is dear about it.

The table is data, read from top to bottom; what was found is remembered for the latest few thousand paths.
"""

from __future__ import annotations

from enum import IntEnum

REMEMBERED = 4096


class Kind(IntEnum):
    """What kind of thing is asked for."""

    PAGE = 0
    API = 1
    FEED = 2
    STREAM = 3
    SIGN_IN = 4
    """The password form: each costs 20 ms of a core."""
    TOKEN = 5
    """A code, or an application's own secret, for a token."""
    SIGN_UP = 6
    SEARCH = 7
    TAG = 8


_EXACT = {
    b"/auth/sign_in": Kind.SIGN_IN,
    b"/oauth/token": Kind.TOKEN,
    b"/auth/sign_up": Kind.SIGN_UP,
    b"/api/v1/accounts": Kind.SIGN_UP,
    b"/search": Kind.SEARCH,
    b"/api/v1/search": Kind.SEARCH,
    b"/api/v2/search": Kind.SEARCH,
    b"/api/v1/accounts/search": Kind.SEARCH,
    b"/oauth/authorize": Kind.PAGE,
}
_PREFIXES = (
    (b"/api/v1/streaming", Kind.STREAM),
    (b"/api/v1/timelines/tag/", Kind.TAG),
    (b"/tags/", Kind.TAG),
    (b"/api/", Kind.API),
    (b"/oauth/", Kind.API),
    (b"/.well-known/", Kind.API),
    (b"/nodeinfo", Kind.API),
)

SIGNING = frozenset({Kind.SIGN_IN, Kind.TOKEN, Kind.SIGN_UP})
SIGN_IN_PATHS = frozenset({b"/auth/sign_in", b"/oauth/token"})
_DEEP = (b"max_id=", b"min_id=", b"since_id=", b"offset=", b"page=", b"before=", b"after=")

_remembered: dict[bytes, Kind] = {}


def kind_of(path: bytes) -> Kind:
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


def _find(path: bytes) -> Kind:
    found = _EXACT.get(path)
    if found is not None:
        return found
    if path.endswith(b".atom"):
        return Kind.FEED
    return next((kind for prefix, kind in _PREFIXES if path.startswith(prefix)), Kind.PAGE)
