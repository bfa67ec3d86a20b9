"""The facts of a path: what a request for it costs, and how its answers are formatted and shared.

The shield and the edge get them as a table. The router compiles it from the routes (http/routing.py), which are the
only place that lists paths.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass

REMEMBERED = 4096
REMEMBERED_BYTES = 512
"""Of longer paths only the last is remembered: the table holds at most 2 MB of paths."""

# The kinds of request. Plain integers: hashing an enumeration's member costs ten times as much.
PAGE, API, FEED, STREAM, SIGN_IN, TOKEN, SIGN_UP, SEARCH, TAG, APPS = range(10)
"""SIGN_IN: a form that checks a password (20 ms of a core), a code or a link. TOKEN: exchange a code, or an
application's own secret, for a token. APPS: register an application, also with an invalid token."""

SIGNING = frozenset({SIGN_IN, TOKEN, SIGN_UP})
SIGN_INS = frozenset({SIGN_IN, TOKEN})
_DEEP = (b"offset=", b"page=", b"before=", b"after=")
_DEEP_IDS = (b"max_id=", b"min_id=", b"since_id=")


class Family(enum.IntEnum):
    """The format of a path's refusals and errors: a page, JSON, or plain text."""

    PAGE = 0
    API = 1
    FEED = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class PathFacts:
    """The facts of one path. The defaults are those of a page that does not exist.

    - `family`: the format of its refusals and errors.
    - `has_cors`: every answer, also a refusal, is readable from any origin.
    - `kind`, `changing_kind`: the kind of a request that reads, and of one that writes.
    - `exists`: there is a route, though perhaps not for every method, and its object may not exist.
    - `hot`: the names of the query parameters that distinguish its cached answers, without brackets; None if
      anonymous answers are never cached.
    - `finished`: the facts of a reader that make a token's stored answer stale (readers/facts.py); None if such
      answers are never stored.
    - `reads_home`: the answer shows the reader's home timeline, which is expensive if it is not in memory.
    - `is_same_for_all`: a static file; session cookies make no difference.
    - `is_opened_by_apps`: web apps open the page in a window and wait for its message.
    - `body_bytes`: the largest body of a request with a credential; 0 for the edge's default.
    """

    family: Family = Family.PAGE
    has_cors: bool = False
    kind: int = PAGE
    changing_kind: int = PAGE
    exists: bool = False
    hot: frozenset[bytes] | None = None
    finished: tuple[int, ...] | None = None
    reads_home: bool = False
    is_same_for_all: bool = False
    is_opened_by_apps: bool = False
    body_bytes: int = 0


class PathTable(dict[bytes, PathFacts]):
    """The facts by raw path: `table[path]`. Never raises KeyError: `find` gives the facts of any path.

    It stores the facts of at most REMEMBERED paths and is emptied when full. Of long paths it stores the last alone:
    a worker looks up the path of one request several times, and decoding 8 KB takes 0.1 ms. A dictionary and not a
    method, because every request looks its path up, also a refused one: a method would cost three times as much.
    """

    __slots__ = ("_find", "_long_facts", "_long_path")

    def __init__(self, find: Callable[[bytes], PathFacts]) -> None:
        super().__init__()
        self._find = find
        self._long_path: bytes | None = None
        self._long_facts = PathFacts()

    def __missing__(self, path: bytes) -> PathFacts:
        if path == self._long_path:
            return self._long_facts
        facts = self._find(path)
        if len(path) > REMEMBERED_BYTES:
            self._long_path, self._long_facts = path, facts
        else:
            if len(self) >= REMEMBERED:
                self.clear()
            self[path] = facts
        return facts


def is_deep(query: bytes) -> bool:
    """Return True if the query asks for a page after the first."""
    if b"=" not in query:
        return False
    # 8 KB of "a=1&" take 15 µs; a regular expression took 62.
    for name in _DEEP if b"_id=" not in query else _DEEP + _DEEP_IDS:  # noqa: SIM110 - `any` takes 1.4 times as long
        if name in query:
            return True
    return False
